"""PyTorch modules on Values: each operation and each kind of layer against PyTorch's autograd."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from autograd import Value  # noqa: E402
from autograd.bridges import arrays, aten  # noqa: E402
from tests.torch_operations import CALLS  # noqa: E402


def parts(tree: Any) -> list[Any]:
    """The tensors or arrays of a result."""
    return list(tree) if isinstance(tree, list | tuple) else [tree]


def with_values(part: Any, made: list[tuple[Any, Any]]) -> Any:
    """A tensor as an array; with a gradient, of Values, which are noted beside it."""
    if isinstance(part, list):
        return [with_values(inner, made) for inner in part]
    if not isinstance(part, torch.Tensor):
        return part
    if not part.requires_grad:
        return arrays.array(part.numpy())
    made.append((part, arrays.values(part.detach().numpy(), "x")))
    return made[-1][1]


def with_gradients(part: Any) -> Any:
    """A tensor's copy that gets a gradient, if it may have one."""
    if isinstance(part, list):
        return [with_gradients(inner) for inner in part]
    if (
        isinstance(part, torch.Tensor)
        and not hasattr(part, "is_fixed")
        and part.is_floating_point()
    ):
        return part.detach().clone().requires_grad_()
    return part


def test_every_operation_that_is_covered_has_a_call() -> None:
    assert set(CALLS) == set(aten.COVERED)


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")  # of an operand that is nan
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_of_an_operation_are_those_of_pytorch(name: str) -> None:
    packet, _, overload = name.partition(".")
    op = getattr(getattr(torch.ops.aten, packet), overload)
    for given, named in CALLS[name]:
        tensors = [with_gradients(part) for part in given]
        made: list[tuple[Any, Any]] = []
        theirs = parts(op(*tensors, **named))
        ours = parts(aten.COVERED[name].function(*[with_values(t, made) for t in tensors], **named))
        total, reference = Value(0.0), 0.0
        for mine, tensor in zip(ours, theirs, strict=False):
            if mine is None or tensor is None:
                continue
            assert mine.shape == tuple(tensor.shape)
            expected = tensor.detach().numpy()
            np.testing.assert_allclose(arrays.floats(mine), expected, 1e-13, 1e-15)
            if tensor.requires_grad:
                weights = np.linspace(0.7, 1.3, mine.size)
                total = sum((w * v for w, v in zip(weights.tolist(), mine.ravel())), total)
                reference = reference + (tensor.ravel() * torch.tensor(weights)).sum()
        if isinstance(reference, float):
            continue
        total.backward()
        wanted = [tensor for tensor, _ in made]
        grads = torch.autograd.grad(reference, wanted, allow_unused=True)
        for (tensor, values), grad in zip(made, grads, strict=True):
            right = np.zeros(tuple(tensor.shape)) if grad is None else grad.numpy().copy()
            right[np.isnan(arrays.floats(values))] = np.nan  # as everywhere here
            np.testing.assert_allclose(arrays.adjoints(values), right, 1e-12, 1e-14)
