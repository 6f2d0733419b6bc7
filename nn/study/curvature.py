"""The largest curvature of a loss, above which gradient descent is not stable."""

import math
from collections.abc import Callable
from typing import Any

from autograd import Value, quiet_gc, recording
from autograd.adjoints import gradients
from autograd.operands import item
from nn.data import samples
from nn.module import Module, unscoped
from nn.training.recipe import Loss


def largest_curvature(model: Module, data: Any, loss: Loss, rounds: int = 100) -> float:
    """lambda_max, the largest eigenvalue of the loss's Hessian in the model's parameters.

    By power iteration (von Mises 1929) on Hessian-vector products: the graph of the gradient is
    built once, and each round is one backward pass through it.

    >>> from nn import MLP, mse
    >>> line = MLP([1, 1], None, seed=0)
    >>> data = [[0.0], [2.0]], [0.0, 0.0]
    >>> def loss(outputs, targets):
    ...     return mse([y for y, in outputs], targets)
    >>> round(largest_curvature(line, data, loss), 4)  # of [[4, 2], [2, 2]]
    5.2361
    """
    inputs, targets = samples(data)
    parameters = model.parameters()
    with unscoped(), quiet_gc(), recording():
        out = loss([model(x) for x in inputs], targets)
        slopes = gradients([(out, 1.0)], parameters, create_graph=True)

        def times(v: list[float]) -> list[float]:
            pairs = [(s, w) for s, w in zip(slopes, v, strict=True) if isinstance(s, Value)]
            return [item(x) for x in gradients(pairs, parameters, create_graph=False)]

        value = _dominant(times, len(parameters), rounds)
        if value < 0.0:  # all eigenvalues of H - value are at least 0; the largest gives H's
            shift = value

            def shifted(v: list[float]) -> list[float]:
                return [h - shift * x for h, x in zip(times(v), v, strict=True)]

            value = _dominant(shifted, len(parameters), rounds) + shift
    return value


def _dominant(times: Callable[[list[float]], list[float]], count: int, rounds: int) -> float:
    """The eigenvalue with the largest absolute value."""
    # Any start works that is not at right angles to the eigenvector; this one has no pattern.
    v = [1.0 + math.sin(1.0 + 7.0 * i * i) for i in range(count)]
    value = 0.0
    for _ in range(rounds):
        size = math.hypot(*v)
        if size == 0.0:
            return 0.0
        v = [x / size for x in v]
        h = times(v)
        before, value = value, math.fsum(x * y for x, y in zip(v, h, strict=True))
        if abs(value - before) <= 1e-9 * abs(value):
            break
        v = h
    return value
