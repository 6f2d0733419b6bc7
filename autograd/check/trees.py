"""Inputs and results of any function, as blocks of numbers: numbers, nested lists, arrays."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autograd.check.labels import argument_names
from autograd.nestings import Tree, leaves, mapped
from autograd.operands import Operand, item, number, unboxed
from autograd.value import Value

Shape = tuple[int, ...]

_ARRAYS = {"numpy": "ndarray", "torch": "Tensor", "jax": "Array"}


def _numpy_copy(like: Any, numbers: Sequence[float], shape: Shape) -> Any:
    if like.shape != shape:
        return sys.modules["numpy"].reshape(numbers, shape)
    copy = like.copy()  # of its own class, in memory of its own
    copy[...] = sys.modules["numpy"].reshape(numbers, shape)
    return copy


# A new array of the kind, type and device of another one.
_COPIES: dict[str, Callable[[Any, Sequence[float], Shape], Any]] = {
    "numpy": _numpy_copy,
    "torch": lambda like, numbers, shape: like.detach().new_tensor(list(numbers)).reshape(shape),
    "jax": lambda like, numbers, shape: (
        sys.modules["jax"].numpy.array(numbers, like.dtype).reshape(shape)
    ),
}


def library(leaf: object) -> str:
    """The library of an array: "numpy", "torch" or "jax"; "" for anything else."""
    for name, kind in _ARRAYS.items():
        module = sys.modules.get(name)  # an array exists only after its library was imported
        if module is not None and isinstance(leaf, getattr(module, kind, ())):
            return name
    return ""


@dataclass(frozen=True)
class Block:
    """Numbers with a shape: one number, nested lists of equal lengths, or an array.

    Attributes:
        path: its name, such as w or p['bias'].
        shape: () for one number.
        numbers: in row-major order.
        like: the original number, lists or array.
    """

    path: str
    shape: Shape
    numbers: list[float]
    like: Any

    def name(self, k: int) -> str:
        """The name of number k: w, w[2][0] in lists, w[2, 0] in an array."""
        places: list[int] = []
        for length in reversed(self.shape):
            k, place = divmod(k, length)
            places.append(place)
        if not places:
            return self.path
        between = ", " if library(self.like) else "]["
        return f"{self.path}[{between.join(map(str, reversed(places)))}]"

    def copy(self, numbers: Sequence[float]) -> Any:
        """A new object of the same kind as the original, with other numbers."""
        kind = library(self.like)
        if kind:
            return _COPIES[kind](self.like, numbers, self.shape)
        rest = iter(numbers)
        return mapped(lambda leaf: _same_kind(leaf, float(next(rest))), self.like)


def nested(numbers: Sequence[float], shape: Shape, like: object = None) -> Any:
    """Numbers in a shape: an array of the same kind as `like`, or nested lists.

    >>> nested([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (3, 2))
    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    """
    kind = library(like)
    if kind:
        return _COPIES[kind](like, numbers, shape)
    if not shape:
        return numbers[0]
    size = len(numbers) // (shape[0] or 1)
    return [nested(numbers[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def _same_kind(leaf: object, x: float) -> Any:
    if isinstance(leaf, Value):
        return Value(x, leaf.label)
    return x if isinstance(unboxed(leaf), float | int) else type(leaf)(x)  # type: ignore[call-arg]


def blocks(tree: Tree, path: str) -> Tree:
    """The nesting with a Block for each array, number, and nested lists of equal lengths.

    Raises TypeError for a leaf that is not a real number.

    >>> block = blocks([[1.0, 2.0], [3.0, 4.0]], "w")
    >>> block.shape, block.name(2), block.copy([5.0, 6.0, 7.0, 8.0])
    ((2, 2), 'w[1][0]', [[5.0, 6.0], [7.0, 8.0]])
    """
    if isinstance(tree, dict):
        return {key: blocks(part, f"{path}[{key!r}]") for key, part in tree.items()}
    if library(tree):
        return Block(path, tuple(tree.shape), _of_array(tree, path), tree)
    shape = _shape(tree)
    if shape is not None:
        return Block(path, shape, [_number(leaf, path) for leaf in leaves(tree)], tree)
    fields = getattr(tree, "_fields", range(len(tree)))
    parts = [
        blocks(part, f"{path}.{field}" if isinstance(field, str) else f"{path}[{field}]")
        for field, part in zip(fields, tree, strict=True)
    ]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def shaped(tree: Tree, path: str) -> tuple[Shape, list[float]]:
    """The shape of one array, number, or nesting of equal lengths, and its numbers.

    >>> shaped([[1.0, 2.0, 3.0]], "y")
    ((1, 3), [1.0, 2.0, 3.0])
    """
    if type(tree) is float:
        return (), [tree]
    parts = blocks(tree, path)
    if isinstance(parts, Block):
        return parts.shape, parts.numbers
    if not isinstance(parts, dict):
        inner = [shaped(part, path) for part in tree]
        if len({shape for shape, _ in inner}) == 1:
            return (len(inner), *inner[0][0]), [x for _, numbers in inner for x in numbers]
    raise TypeError(
        f"{path} is a {type(tree).__name__} whose parts do not form an array; expected a number, "
        "an array, or nested lists of equal lengths"
    )


def _shape(tree: Tree) -> Shape | None:
    """The shape of nested lists of numbers; None if their lengths differ."""
    if isinstance(tree, dict) or library(tree) or hasattr(tree, "_fields"):
        return None
    if not isinstance(tree, list | tuple):
        return ()
    shapes = {_shape(part) for part in tree}
    if len(shapes) > 1 or None in shapes:
        return None
    return (len(tree), *(shapes.pop() or () if shapes else ()))


def _of_array(array: Any, path: str) -> list[float]:
    numbers: list[Any] = array.reshape(-1).tolist()
    return numbers if "float" in str(array.dtype) else [_number(x, path) for x in numbers]


def _number(leaf: Any, path: str) -> float:
    if isinstance(leaf, Operand):
        return item(leaf)
    if isinstance(unboxed(leaf), complex):
        raise TypeError(f"{path} is complex; check its real and its imaginary part as two numbers")
    return number(leaf, path)


class Inputs:
    """The inputs of a function as one list of numbers, named after its parameters.

    >>> inputs = Inputs(lambda w, x: w[0] * x, ([1.5, 2.5], 3.5))
    >>> inputs.numbers, inputs.name(1), inputs.copies([4.0, 5.0, 6.0])
    ([1.5, 2.5, 3.5], 'w[1]', [[4.0, 5.0], 6.0])
    """

    def __init__(self, f: Callable[..., Any], inputs: tuple[Tree, ...]) -> None:
        names = argument_names(f, len(inputs))
        self.trees = [blocks(tree, name) for tree, name in zip(inputs, names, strict=True)]
        self.blocks: list[Block] = list(leaves(self.trees))
        self.numbers = [x for block in self.blocks for x in block.numbers]

    def name(self, k: int) -> str:
        """The name of number k."""
        for block in self.blocks:
            if k < len(block.numbers):
                return block.name(k)
            k -= len(block.numbers)
        raise IndexError(k)

    def copies(self, numbers: Sequence[float]) -> list[Any]:
        """New inputs of the same kinds as the originals, with other numbers."""
        start = 0

        def copy(block: Block) -> Any:
            nonlocal start
            start += len(block.numbers)
            return block.copy(numbers[start - len(block.numbers) : start])

        copies: list[Any] = mapped(copy, self.trees)
        return copies


def refuse_whole_arrays(inputs: Inputs) -> None:
    """Raise TypeError for arrays whose numbers cannot move by a small step."""
    for block in inputs.blocks:
        if library(block.like) and "float" not in str(block.like.dtype):
            raise TypeError(
                f"{block.path} is an array of {block.like.dtype}, which cannot move by a small "
                "step; give floating point numbers, or let f close over it"
            )


def refuse_whole_numbers(inputs: Inputs) -> None:
    """Raise TypeError for whole numbers, because f may need them to be whole."""
    refuse_whole_arrays(inputs)
    for block in inputs.blocks:
        for leaf in [] if library(block.like) else leaves(block.like):
            if isinstance(unboxed(leaf), int):
                raise TypeError(
                    f"{block.path} is the whole number {leaf!r}, which cannot move by a small "
                    f"step; write {float(leaf)!r}, or let f close over it"
                )
