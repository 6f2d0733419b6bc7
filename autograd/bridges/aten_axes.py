"""Operations of ATen along axes: sums, extremes, orders, softmax, normalization and a loss."""

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from autograd.bridges import arrays
from autograd.bridges.arrays import Array, Axes, Number, applied, array, reduced
from autograd.bridges.aten_moves import gathered
from autograd.compiled.selection import select
from autograd.ops import Ops
from nn.probabilities import total


def summed(x: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    """The sum along the axes."""
    return reduced(total, x, dim, keepdim)


def averaged(x: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    """The mean along the axes."""
    return reduced(arrays.mean, x, dim, keepdim)


def of_axes(
    function: Callable[[list[Number]], Number],
) -> Callable[[Array, Any, bool], Array]:
    """An operation along axes, from a function of a list."""
    return lambda x, dim=None, keepdim=False, **_: reduced(function, x, dim, keepdim)


def least(numbers: Sequence[Number]) -> int:
    """The index of the smallest number, the first of several, or of the first nan."""
    best = 0
    for i, v in enumerate(numbers):
        if v != v:
            return i
        if v < numbers[best]:
            best = i
    return best


def greatest(numbers: Sequence[Number]) -> int:
    """The index of the largest number, the first of several, or of the first nan."""
    best = 0
    for i, v in enumerate(numbers):
        if v != v:
            return i
        if v > numbers[best]:
            best = i
    return best


def smallest_shared(numbers: Sequence[Number]) -> Number:
    """The smallest number; several that are equal share the gradient."""
    low = numbers[least(numbers)]
    equal = [v for v in numbers if v == low]
    return arrays.mean(equal) if len(equal) > 1 else low


def with_index(place: Callable[[Sequence[Number]], int]) -> Callable[..., tuple[Array, Array]]:
    """max or min along one axis: the numbers, of which each has the gradient, and their places."""

    def run(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
        return (
            reduced(lambda numbers: numbers[place(numbers)], x, [dim], keepdim),
            reduced(place, x, [dim], keepdim),
        )

    return run


def place(place: Callable[[Sequence[Number]], int]) -> Callable[..., Array]:
    """argmax or argmin, from the function of a list that gives the index."""
    return lambda x, dim=None, keepdim=False: reduced(
        place, x, None if dim is None else [dim], keepdim
    )


def product(numbers: Sequence[Number]) -> Number:
    """The product of the numbers; 1 of nothing."""
    result = numbers[0] if numbers else 1.0
    for v in numbers[1:]:
        result = result * v
    return result


def variance(
    x: Array, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Array:
    """The variance along the axes, divided by their number less the correction."""
    return reduced(partial(spread, 1 if correction is None else correction), x, dim, keepdim)


def spread(correction: float, numbers: Sequence[Number]) -> Number:
    """The variance of a list."""
    middle, left = arrays.mean(numbers), len(numbers) - correction
    squares = total([squared(v - middle) for v in numbers])
    return squares / left if left > 0 else math.nan


def squared(x: Number) -> Number:
    """x * x."""
    return x * x


def cumulative(x: Array, dim: int, dtype: Any = None) -> Array:
    """The running sums along an axis."""

    def sums(numbers: Sequence[Number]) -> list[Number]:
        result = list(numbers[:1])
        for v in numbers[1:]:
            result.append(result[-1] + v)
        return result

    return arrays.along(sums, x, dim).reshape(x.shape)


def places_in_order(x: Array, dim: int, descending: bool) -> Array:
    """The places of the numbers along an axis, in the order of their sizes."""

    def places(numbers: Sequence[Number]) -> list[int]:
        return sorted(range(len(numbers)), key=numbers.__getitem__, reverse=descending)

    return arrays.along(places, x, dim)


def in_order(x: Array, dim: int = -1, descending: bool = False) -> tuple[Array, Array]:
    """The numbers along an axis in order, and where they were."""
    order = places_in_order(x, dim, descending).reshape(x.shape)
    return (gathered(x, dim, order) if x.ndim else x), order


def top(
    x: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Array, Array]:
    """The largest numbers along an axis, or the smallest, and where they are."""
    order = np.take(places_in_order(x, dim, largest), range(k), dim)
    return gathered(x, dim, order), order


def softmax(x: Array, dim: int, half_to_float: bool = False) -> Array:
    """softmax along an axis."""
    return arrays.along(arrays.softmax, x, dim).reshape(x.shape)


def log_softmax(x: Array, dim: int, half_to_float: bool = False) -> Array:
    """The logarithm of softmax along an axis."""
    return arrays.along(arrays.log_softmax, x, dim).reshape(x.shape)


def normalized(x: Array, axes: Axes, eps: float) -> Array:
    """The numbers with mean 0 and variance 1 along the axes."""
    middle = reduced(arrays.mean, x, axes, keep=True)
    apart = applied(operator.sub, x, middle)
    variance = reduced(lambda parts: arrays.mean([*map(squared, parts)]), apart, axes, keep=True)
    return applied(operator.truediv, apart, applied(lambda v: Ops.sqrt(v + eps), variance))


def affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    """x * weight + bias."""
    x = x if weight is None else applied(operator.mul, x, weight)
    return x if bias is None else applied(operator.add, x, bias)


def layer_norm(
    x: Array, shape: Sequence[int], weight: Array | None, bias: Array | None, eps: float
) -> tuple[Any, ...]:
    """Normalization along the last axes, with weight and bias."""
    axes = range(x.ndim - len(shape), x.ndim)
    return affine(normalized(x, axes, eps), weight, bias), None, None


def channels(part: Array | None, x: Array) -> Array | None:
    """The numbers of the channels, in a shape that fits x (batch, channel, ...)."""
    return None if part is None else array(part).reshape([-1] + [1] * (x.ndim - 2))


def group_norm(
    x: Array, weight: Array | None, bias: Array | None, n: int, c: int, size: int, groups: int,
    eps: float,
) -> tuple[Any, ...]:  # fmt: skip
    """Normalization in groups of channels, with a weight and a bias for each channel."""
    y = normalized(x.reshape(n, groups, -1), [2], eps).reshape(x.shape)
    return affine(y, channels(weight, x), channels(bias, x)), None, None


def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, mean: Any, variance: Any, training: bool,
    momentum: float, eps: float,
) -> tuple[Any, ...]:  # fmt: skip
    """The batch's own mean and variance in training, else the running ones."""
    if training:
        y = normalized(x, [axis for axis in range(x.ndim) if axis != 1], eps)
    else:
        apart = applied(operator.sub, x, channels(mean, x))
        y = applied(
            operator.truediv, apart, applied(lambda v: math.sqrt(v + eps), channels(variance, x))
        )
    return affine(y, channels(weight, x), channels(bias, x)), None, None, None, None


def batch_norm_without_running(
    x: Array, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> tuple[Any, ...]:
    """Normalization by the batch alone."""
    return batch_norm(x, weight, bias, None, None, True, momentum, eps)


def batch_norm_in_use(
    x: Array, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> tuple[Any, ...]:
    """Normalization by the running mean and variance."""
    return batch_norm(x, weight, bias, mean, variance, False, momentum, eps)


def negative_log_likelihood(
    x: Array, target: Array, weight: Array | None, reduction: int, ignored: int
) -> tuple[Array, Array]:
    """The loss of log-probabilities (class,), (batch, class) or (batch, class, ...)."""
    rows = np.moveaxis(x, 1 if x.ndim > 1 else 0, -1)
    targets = array(target)
    weights = [1.0] * rows.shape[-1] if weight is None else list(array(weight))
    losses, counts = [], []
    for choices, t in zip(rows.reshape(-1, rows.shape[-1]).tolist(), targets.ravel(), strict=True):
        own = 0.0 if t == ignored else select(weights, t)
        counts.append(own)
        loss = -select(choices, t) if own else 0.0
        losses.append(loss if own == 1.0 else loss * own)
    if not reduction:
        return arrays.filled(losses, targets.shape), array(0.0)
    loss, count = total(losses), total(counts)
    if reduction == 1:
        loss = loss / count if count else math.nan
    return array(loss), array(count)
