"""Operations of ATen that sum products or windows: matrix products, convolution, pooling."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from autograd.bridges import arrays, windows
from autograd.bridges.arrays import Array, applied
from autograd.bridges.aten_axes import channels
from autograd.bridges.refusals import UncoveredError
from autograd.bridges.windows import Window
from nn.probabilities import total


def plus_product(
    function: Callable[[Array, Array], Array],
) -> Callable[..., Array]:
    """beta * c + alpha * a @ b."""

    def run(c: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
        product = function(a, b)
        if alpha != 1:
            product = applied(operator.mul, product, alpha)
        if beta == 0:
            return product
        return applied(operator.add, product, c if beta == 1 else applied(operator.mul, c, beta))

    return run


def times_vector(a: Array, b: Array) -> Array:
    """The product of a matrix or a vector with a vector."""
    return arrays.contracted(a, b, ([a.ndim - 1], [0]))


def convolution(
    x: Array, weights: Array, bias: Array | None, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
) -> Array:  # fmt: skip
    """A convolution, or its transpose."""
    window = Window(weights.shape[2:], stride, padding, dilation)
    if transposed:
        lengths = [
            (n - 1) * s - 2 * p + d * (k - 1) + more + 1
            for n, s, p, d, k, more in zip(
                x.shape[2:],
                stride,
                padding,
                dilation,
                weights.shape[2:],
                output_padding,
                strict=True,
            )
        ]
        y = windows.spread(x, weights, window, lengths, groups)
    else:
        y = windows.convolved(x, weights, window, groups)
    return y if bias is None else applied(operator.add, y, channels(bias, y))


def pooling(
    size: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    ceil: bool, count: int,
) -> Window:  # fmt: skip
    """The windows of a pooling operation; one number stands for `count` of them."""

    def each(sizes: Sequence[int]) -> list[int]:
        return list(sizes) * (count if len(sizes) == 1 else 1)

    return Window(each(size), each(stride or size), each(padding), each(dilation), ceil)


def max_pool(
    x: Array, size: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,),
    ceil: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The largest number in each window, the only one with a gradient."""
    window = pooling(size, stride, padding, dilation, ceil, 2)
    return windows.pooled(arrays.largest, x, window), None


def average_pool(
    count: int,
) -> Callable[..., Array]:
    """The mean of each window, over so many axes."""

    def run(
        x: Array, size: Any, stride: Any = (), padding: Any = (0,), ceil: bool = False,
        include: bool = True, divisor: int | None = None,
    ) -> Array:  # fmt: skip
        window = pooling(size, stride, padding, [1], ceil, count)
        if ceil and include and any(window.padding):
            raise UncoveredError("ceil_mode with padding that counts is not covered")
        number = divisor or (math.prod(window.size) if include and any(window.padding) else None)
        return windows.pooled(lambda parts: total(parts) / (number or len(parts)), x, window)

    return run


def adaptive_pool(x: Array, sizes: Sequence[int]) -> Array:
    """The means of parts of x that are as equal as possible, over the last axes."""
    for axis, size in enumerate(sizes, x.ndim - len(sizes)):
        length = x.shape[axis]
        parts = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
        x = arrays.along(lambda row: [arrays.mean(row[a:b]) for a, b in parts], x, axis)  # noqa: B023
    return x
