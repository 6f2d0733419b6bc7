"""Convolution, pooling and padding of arrays of Values: sums and maxima over windows."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from autograd.bridges.arrays import Array, Number, array, dot, filled
from nn.probabilities import total

Sizes = Sequence[int]


@dataclass(frozen=True)
class Window:
    """The windows that slide over the last axes of an array, one number for each of these axes.

    Attributes:
        size: the numbers in a window.
        stride: the step from one window to the next.
        padding: the places before and after the array that windows may cover.
        dilation: the step from one place in a window to the next.
        ceil: whether a last window may lie partly behind the padding.
    """

    size: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    ceil: bool = False

    def places(
        self, lengths: Sizes, counts: Sizes | None = None
    ) -> Iterator[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
        """For each window, (place in the window, place in the array) where it covers the array."""
        inside = list(product(*map(range, self.size)))
        for window in product(*map(range, counts or self.counts(lengths))):
            corner = [w * s - p for w, s, p in zip(window, self.stride, self.padding, strict=True)]
            covered = []
            for place in inside:
                at = tuple(c + k * d for c, k, d in zip(corner, place, self.dilation, strict=True))
                if all(0 <= i < length for i, length in zip(at, lengths, strict=True)):
                    covered.append((place, at))
            yield covered

    def counts(self, lengths: Sizes) -> list[int]:
        """The number of windows along each axis."""
        counts = []
        for n, k, s, p, d in zip(
            lengths, self.size, self.stride, self.padding, self.dilation, strict=True
        ):
            free = n + 2 * p - d * (k - 1) - 1
            count = (-(-free // s) if self.ceil else free // s) + 1
            if self.ceil and (count - 1) * s >= n + p:  # it would start behind the array
                count -= 1
            counts.append(count)
        return counts


def convolved(x: Array, weights: Array, window: Window, groups: int = 1) -> Array:
    """The sums of products of the weights (out, in, ...) with each window of x (batch, in, ...).

    >>> window = Window([2], [1], [0], [1])
    >>> convolved([[[1.0, 2.0, 3.0]]], [[[1.0, 10.0]]], window).tolist()
    [[[21.0, 32.0]]]
    """
    x, weights = array(x), array(weights)
    places = list(window.places(x.shape[2:]))
    own, each = weights.shape[1], weights.shape[0] // groups
    sums = []
    for sample in x:
        for k, kernel in enumerate(weights):
            inputs = sample[k // each * own : (k // each + 1) * own]
            for covered in places:
                xs = [channel[at] for channel in inputs for _, at in covered]
                ws = [channel[place] for channel in kernel for place, _ in covered]
                sums.append(dot(xs, ws))
    return filled(sums, (len(x), len(weights), *window.counts(x.shape[2:])))


def spread(x: Array, weights: Array, window: Window, lengths: Sizes, groups: int = 1) -> Array:
    """The transposed convolution: each number of x adds a window of weights (in, out, ...).

    `lengths` are the lengths of the result's last axes, and its windows are the places of x.
    """
    x, weights = array(x), array(weights)
    each, own = weights.shape[1], weights.shape[0] // groups
    terms: dict[tuple[int, ...], list[Number]] = {}
    windows = window.places(lengths, x.shape[2:])
    for source, covered in zip(np.ndindex(x.shape[2:]), windows, strict=True):
        for b, k in product(range(len(x)), range(len(weights))):
            for j, (place, at) in product(range(each), covered):
                out = (b, k // own * each + j, *at)
                terms.setdefault(out, []).append(x[(b, k, *source)] * weights[(k, j, *place)])
    shape = (len(x), each * groups, *lengths)
    return filled([total(terms.get(index, [])) for index in np.ndindex(shape)], shape)


def pooled(function: Callable[[list[Number]], Number], x: Array, window: Window) -> Array:
    """function(list) of the numbers in each window over the last axes of x.

    >>> pooled(max, [[1.0, 5.0, 2.0, 3.0]], Window([2], [2], [0], [1])).tolist()
    [[5.0, 3.0]]
    """
    x = array(x)
    count = len(window.size)
    front, lengths = x.shape[: x.ndim - count], x.shape[x.ndim - count :]
    places = list(window.places(lengths))
    parts = [
        function([part[at] for _, at in covered])
        for part in x.reshape(-1, *lengths)
        for covered in places
    ]
    return filled(parts, (*front, *window.counts(lengths)))


def padded(x: Array, widths: Sequence[tuple[int, int]], filling: Number = 0.0) -> Array:
    """The array with numbers before and after it, along each axis; a negative width cuts.

    >>> padded([1.0, 2.0, 3.0], [(1, -2)]).tolist()
    [0.0, 1.0]
    """
    x = array(x)
    inner = x[
        tuple(slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(x.shape, widths, strict=True))
    ]
    befores = [max(0, a) for a, _ in widths]
    afters = [max(0, b) for _, b in widths]
    shape = [a + n + b for a, n, b in zip(befores, inner.shape, afters, strict=True)]
    result = filled([filling] * math.prod(shape), shape)
    result[tuple(slice(a, a + n) for a, n in zip(befores, inner.shape, strict=True))] = inner
    return result
