"""Claimed gradients: numbers, the results of a function, or those of torch or JAX."""

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from autograd.check.trees import Block, Inputs, Shape, blocks, library, shaped
from autograd.nestings import Tree, leaves, mapped

Row = list[float]
Pullback = Callable[[Sequence[float]], Row]  # the gradient of a weighted sum, by its weights


def claimed(f: Callable[..., Any], inputs: Inputs, gradient: Any, outer: Shape) -> Pullback:
    """The claimed gradient of any weighted sum of f's results; `outer` is the results' shape.

    Raises ValueError for shapes that do not match, TypeError if `gradient` is None for inputs that
    do not record gradients.
    """
    if gradient is None:
        libraries = {library(block.like) for block in inputs.blocks}
        if len(libraries) == 1 and (own := _OWN.get(libraries.pop())):
            return own(f, inputs)
        raise TypeError(
            "these inputs do not record gradients: pass gradient=, a function of the same inputs "
            "or its result; or pass only Values, only torch tensors, or only JAX arrays"
        )
    if callable(gradient):
        gradient = gradient(*inputs.copies(inputs.numbers))
    rows: list[Row] = [[] for _ in range(math.prod(outer))]
    _fill(rows, _per_input(gradient, inputs), inputs.trees, outer)

    def pullback(weights: Sequence[float]) -> Row:
        used = [(w, row) for w, row in zip(weights, rows, strict=True) if w]
        if len(used) == 1 and used[0][0] == 1.0:
            return used[0][1]
        return [math.fsum(w * row[k] for w, row in used) for k in range(len(inputs.numbers))]

    return pullback


def _per_input(gradient: Any, inputs: Inputs) -> Any:
    """One gradient for each input."""
    count = len(inputs.trees)
    if count == 1:
        tree = inputs.trees[0]
        of_tuple = isinstance(tree.like if isinstance(tree, Block) else tree, tuple)
        alone = isinstance(gradient, tuple) and len(gradient) == 1 and not of_tuple
        return gradient if alone else [gradient]
    if _length(gradient) != count:
        raise ValueError(
            f"the gradient must be a tuple of {count}, one for each input; got "
            f"{type(gradient).__name__}"
            + (f" of {_length(gradient)}" if _length(gradient) is not None else "")
        )
    return gradient


def _length(gradient: Any) -> int | None:
    """The number of parts; None if the gradient is not a sequence."""
    if library(gradient):
        return int(gradient.shape[0]) if len(gradient.shape) else None
    return len(gradient) if isinstance(gradient, list | tuple) else None


def _fill(rows: list[Row], gradient: Any, tree: Tree, outer: Shape) -> None:
    """Append the gradient of one part of the inputs to each row.

    Raises ValueError if its shape does not match that part.
    """
    if isinstance(tree, Block):
        shape, numbers = shaped(gradient, f"the gradient in {tree.path}")
        if shape != outer + tree.shape:
            raise ValueError(
                f"the gradient in {tree.path} has shape {shape}, expected {outer + tree.shape}"
                + (": the shape of f's result, then the shape of the input" if outer else "")
            )
        n = len(tree.numbers)
        for i, row in enumerate(rows):
            row += numbers[i * n : (i + 1) * n]
    elif isinstance(tree, dict):
        if not isinstance(gradient, dict) or gradient.keys() != tree.keys():
            raise ValueError(f"the gradient needs the keys {list(tree)}, got {gradient!r}")
        for key, part in tree.items():
            _fill(rows, gradient[key], part, outer)
    else:
        if _length(gradient) != len(tree):
            raise ValueError(f"the gradient needs {len(tree)} parts, got {gradient!r}")
        for part, inner in zip(gradient, tree, strict=True):
            _fill(rows, part, inner, outer)


def _torch(f: Callable[..., Any], inputs: Inputs) -> Pullback:
    """The gradient that torch.autograd computes; this checks a `torch.autograd.Function`."""
    torch = sys.modules["torch"]

    def pullback(weights: Sequence[float]) -> Row:
        copies = inputs.copies(inputs.numbers)
        tensors = [tensor.requires_grad_() for tensor in leaves(copies)]
        rest, results, seeds = iter(weights), [], []
        for block in leaves(blocks(f(*copies), "f")):
            weight = block.copy([next(rest) for _ in block.numbers])
            if getattr(block.like, "requires_grad", False):  # else it depends on no input
                results.append(block.like)
                seeds.append(weight)
        grads = [None] * len(tensors)
        if results:
            grads = torch.autograd.grad(results, tensors, seeds, allow_unused=True)
        parts = [
            [0.0] * tensor.numel() if grad is None else shaped(grad, "the gradient")[1]
            for tensor, grad in zip(tensors, grads, strict=True)
        ]
        return [x for part in parts for x in part]

    return pullback


def _jax(f: Callable[..., Any], inputs: Inputs) -> Pullback:
    """The gradient that `jax.vjp` computes; this checks a `jax.custom_vjp`."""
    result, vjp = sys.modules["jax"].vjp(f, *inputs.copies(inputs.numbers))
    results = blocks(result, "f")

    def pullback(weights: Sequence[float]) -> Row:
        rest = iter(weights)
        seeds = mapped(lambda block: block.copy([next(rest) for _ in block.numbers]), results)
        rows: list[Row] = [[]]
        _fill(rows, vjp(seeds), tuple(inputs.trees), ())
        return rows[0]

    return pullback


_OWN: dict[str, Callable[[Callable[..., Any], Inputs], Pullback]] = {"torch": _torch, "jax": _jax}
