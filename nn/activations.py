"""Activations of layers, and how an activation changes the size of a signal.

Every operation of one operand is an activation, by its name.  The functions below combine them.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from autograd import clip, no_grad, rows, value_and_grad
from autograd.elsewhere import named
from autograd.operands import item
from autograd.operation import Operation
from autograd.ops import Ops

Activation = str | Callable[[Any], Any] | None
Number = Any  # a float or a Value


def mish(x: Number) -> Number:
    """x tanh(softplus(x)) (Misra 2020).

    >>> round(mish(1.0), 6)
    0.865098
    """
    return Ops.mul(x, Ops.tanh(Ops.softplus(x)))


def selu(x: Number) -> Number:
    """scale * elu(x, alpha), which preserves mean 0 and variance 1 (Klambauer et al. 2017, eq. 2).

    >>> round(selu(1.0), 6), round(selu(-1.0), 6)
    (1.050701, -1.111331)
    """
    return 1.0507009873554805 * Ops.elu(x, 1.6732632423543772)


def celu(x: Number, alpha: float = 1.0) -> Number:
    """alpha * elu(x / alpha); its slope has no jump for any alpha (Barron 2017).

    >>> celu(2.0, 4.0), round(celu(-4.0, 4.0), 6)
    (2.0, -2.528482)
    """
    return Ops.mul(alpha, Ops.elu(Ops.div(x, alpha)))


def hardtanh(x: Number, low: float = -1.0, high: float = 1.0) -> Number:
    """x clipped to between low and high (Collobert 2004); see `autograd.clip`.

    >>> hardtanh(0.25), hardtanh(-7.0)
    (0.25, -1.0)
    """
    return clip(x, low, high)


COMPOSED = {function.__name__: function for function in (mish, selu, celu, hardtanh)}


def activation_function(activation: Activation) -> Callable[[Any], Any] | None:
    """The function for a layer's `activation`; None for a linear layer.

    An activation is any function of a Value, or the name of a function here or of an operation with
    one operand, or with a default for its second.  Raises ValueError, with the close names, for an
    unknown name.
    """
    if activation is None:
        return None
    if isinstance(activation, str):
        if "softmax" in activation:
            raise ValueError(
                f"activation: {activation!r} is not a function of one number; softmax takes a "
                "whole layer's outputs, so use a loss with from_logits=True, or "
                "Sequential(..., softmax)"
            )
        known: dict[str, Callable[[Any], Any]] = {**rows(), **COMPOSED}
        activation = named(activation, "activation", known)
    if isinstance(activation, Operation) and activation.arity == 2 and activation.default is None:
        raise ValueError(f"activation: {activation.name} takes two operands")
    if not callable(activation):
        raise TypeError(f"activation: expected a name, a function or None, got {activation!r}")
    return activation


@dataclass(frozen=True)
class Moments:
    """E[f(u)], E[f(u)^2] and E[f'(u)^2] of an activation f for u ~ N(0, s)."""

    mean: float
    square: float
    slope_square: float


def moments(activation: Activation, mean_square: float) -> Moments:
    """E[f(u)], E[f(u)^2] and E[f'(u)^2] for u ~ N(0, mean_square), by the midpoint rule.

    The rule converges exponentially for a smooth integrand on the whole line (Trefethen and
    Weideman, 2014).  The points are symmetric about 0 and avoid it, so a kink or a step at 0 does
    not reduce the accuracy.
    """
    function = activation_function(activation)
    if function is None:
        return Moments(0.0, mean_square, 1.0)
    size, count = math.sqrt(mean_square), 400
    means, squares, slopes, weights = [], [], [], []
    for i in range(count):
        t = -10.0 + 20.0 * (i + 0.5) / count
        value, slope = value_and_slope(function, size * t)
        weight = math.exp(-0.5 * t * t)
        weights.append(weight)
        means.append(value * weight)
        squares.append(value * value * weight)
        slopes.append(slope * slope * weight)
    total = exact_sum(weights)
    return Moments(*(exact_sum(part) / total for part in (means, squares, slopes)))


def exact_sum(numbers: Iterable[float]) -> float:
    """The sum, rounded once; nan or inf if Python's `fsum` raises an error."""
    numbers = list(numbers)
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # beyond the largest float, or inf - inf
        return sum(numbers)


def value_and_slope(function: Callable[[Any], Any] | None, u: float) -> tuple[float, float]:
    """f(u) and f'(u) as numbers, nan if they do not exist; u and 1 for None."""
    if function is None:
        return u, 1.0
    if isinstance(function, Operation):
        z = function.value(u, function.default)
        return z, item(function.dx(u, function.default, z)) if z == z else z
    with no_grad():  # no graph, even if the function has parameters
        return value_and_grad(function)(u)


def gain(activation: Activation) -> float:
    """1 / sqrt(E[f(u)^2]) for u ~ N(0, 1): weights with this gain preserve the size of a signal.

    It is computed from the activation, so it works for any function.  PyTorch's `calculate_gain` is
    a table.  It agrees for linear (1) and relu (sqrt(2)), and has 5/3 for tanh, where 1.59
    preserves a normal signal.

    >>> round(gain("relu") ** 2, 6), round(gain("tanh"), 4), gain(None)
    (2.0, 1.5925, 1.0)
    """
    second = moments(activation, 1.0).square
    if not 0.0 < second < math.inf:
        raise ValueError(
            f"gain: {activation!r} has no gain, because its mean square on N(0, 1) is {second!r}"
        )
    return 1.0 / math.sqrt(second)
