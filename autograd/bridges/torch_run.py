"""A PyTorch module run by PyTorch itself: its results and its own gradients, as plain numbers."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.bridges.with_torch import torch
from autograd.nestings import leaves, mapped

Tensor = Any


def tensors(inputs: tuple[Any, ...]) -> list[Any]:
    """The inputs as a flat list; what is no tensor stays as it is."""
    return list(leaves(list(inputs)))


def is_floating(part: Any) -> bool:
    """Whether it is a tensor of floating numbers, which have gradients."""
    return isinstance(part, torch.Tensor) and bool(part.is_floating_point())


def numbers(tensor: Tensor) -> Any:
    """A tensor's numbers as a NumPy array, floating ones as doubles."""
    if tensor.is_complex():
        raise TypeError("from_torch: a complex tensor; Values are real numbers")
    if tensor.is_floating_point() and tensor.element_size() < 4:
        raise TypeError(f"from_torch: a tensor of {tensor.dtype}; call .float() or .double() first")
    tensor = tensor.detach().cpu()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


class Run:
    """One forward pass of a module; neither its buffers nor any `.grad` changes.

    Attributes:
        results: the tensors of its result, in order, where they are floating numbers.
        single: whether any number has less than the digits of a double.
    """

    def __init__(self, module: Any, inputs: tuple[Any, ...]) -> None:
        fresh = [
            part.detach().clone().requires_grad_() if is_floating(part) else part
            for part in tensors(inputs)
        ]
        # Copies of the leaves, because the module may change its inputs in place.
        rest = iter([part.clone() if is_floating(part) else part for part in fresh])
        again = tuple(mapped(lambda _: next(rest), list(inputs)))
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        with torch.enable_grad():
            result = torch.func.functional_call(module, buffers, again)
        self.results = [part for part in leaves(result) if is_floating(part)]
        self._wanted = [p for p in module.parameters() if p.requires_grad]
        self._wanted += [part for part in fresh if is_floating(part)]
        known = [*self._wanted, *self.results, *filter(is_floating, buffers.values())]
        self.single = any(tensor.dtype != torch.float64 for tensor in known)

    def weights(self) -> list[Any]:
        """An array of random numbers for each result, the same in each run."""
        rng = random.Random(0)  # noqa: S311 - no secret
        return [
            np.array([rng.uniform(0.5, 1.5) for _ in range(part.numel())]).reshape(part.shape)
            for part in self.results
        ]

    def gradients(self, seeds: Sequence[Any]) -> list[float]:
        """The gradients of the sum of seed * result: of the parameters, then of the inputs."""
        pairs = [
            (
                result,
                torch.as_tensor(seed, dtype=result.dtype, device=result.device).reshape(
                    result.shape
                ),
            )
            for result, seed in zip(self.results, seeds, strict=True)
            if result.requires_grad
        ]
        if not pairs:
            return [0.0] * sum(part.numel() for part in self._wanted)
        results, weights = zip(*pairs, strict=True)
        found = torch.autograd.grad(
            results, self._wanted, weights, allow_unused=True, retain_graph=True
        )
        blank = [
            torch.zeros_like(part) if grad is None else grad
            for part, grad in zip(self._wanted, found, strict=True)
        ]
        flat: list[float] = np.concatenate([numbers(grad).ravel() for grad in blank]).tolist()
        return flat
