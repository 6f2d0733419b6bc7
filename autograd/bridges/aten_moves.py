"""Operations of ATen that move numbers and compute none, except for sums at equal places."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd.bridges import arrays, windows
from autograd.bridges.arrays import Array, Number, array
from autograd.bridges.refusals import UncoveredError
from autograd.compiled.selection import select


def expanded(x: Array, shape: Sequence[int], implicit: bool = False) -> Array:
    """The array, repeated along axes of length 1; -1 keeps a length."""
    old = [1] * (len(shape) - x.ndim) + list(x.shape)
    return np.broadcast_to(x, [n if m == -1 else m for n, m in zip(old, shape, strict=True)])


def squeezed(x: Array, dim: Any = None) -> Array:
    """The array without these axes of length 1."""
    axes = arrays.normal(dim, x.ndim) if dim != [] else ()
    return np.squeeze(x, tuple(axis for axis in axes if x.shape[axis] == 1))


def cut(x: Array, dim: int, start: int | None, end: int | None, step: int) -> tuple[Any, ...]:
    """The index of a slice along an axis."""
    return (*[slice(None)] * (dim % x.ndim), slice(start, end, step))


def sliced(
    x: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    """A slice along an axis."""
    return x[cut(x, dim, start, end, step)]


def changed(x: Array, where: Any, source: Any) -> Array:
    """A copy with other numbers in some places."""
    result = x.copy()
    result[where] = array(source)
    return result


def slice_changed(
    x: Array, source: Array, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Array:  # fmt: skip
    """A copy with other numbers in a slice."""
    return changed(x, cut(x, dim, start, end, step), source)


def split(x: Array, sizes: Any, dim: int = 0) -> list[Array]:
    """Parts of these sizes along an axis."""
    return np.split(x, np.cumsum(sizes)[:-1], dim)


def gathered(x: Array, dim: int, index: Array, sparse_grad: bool = False) -> Array:
    """The numbers at the given places along an axis."""
    return np.take_along_axis(x, arrays.indices(index), dim)


def indexed(x: Array, index: Sequence[Array | None]) -> Array:
    """The numbers at an index of arrays, as in x[i, j]."""
    return x[places(index)]


def places(index: Sequence[Array | None]) -> tuple[Any, ...]:
    """The index for NumPy."""
    return tuple(slice(None) if part is None else mask_or_indices(part) for part in index)


def mask_or_indices(part: Array) -> Any:
    """A mask of truth values, or whole numbers, for NumPy."""
    flat = array(part).ravel().tolist()
    if flat and isinstance(flat[0], bool):
        return np.array(flat, dtype=bool).reshape(np.shape(part))
    return arrays.indices(part)


def put(x: Array, index: Sequence[Array | None], new: Array, accumulate: bool = False) -> Array:
    """A copy with other numbers at an index, or with these numbers added there."""
    if not accumulate:
        return changed(x, places(index), new)
    result, where = x.copy(), np.arange(x.size).reshape(x.shape)[places(index)]
    flat = result.reshape(-1)
    for i, v in zip(where.ravel(), np.broadcast_to(array(new), where.shape).ravel(), strict=True):
        flat[i] = flat[i] + v
    return result


def scattered(x: Array, dim: int, index: Array, source: Any) -> Array:
    """A copy with other numbers at the given places along an axis."""
    result = x.copy()
    index = arrays.indices(index)
    source = array(source)
    part = source[tuple(map(slice, index.shape))] if source.ndim else source
    np.put_along_axis(result, index, np.broadcast_to(part, index.shape), dim)
    return result


def embedded(weights: Array, index: Array, padding: int = -1, *_: Any, **__: Any) -> Array:
    """The rows of the weights; the row `padding` gets no gradient, as in PyTorch."""
    listed = [list(row) for row in weights]
    if padding >= 0:
        listed[padding] = list(arrays.detached(weights[padding]))
    index = array(index)
    chosen = [v for i in index.ravel() for v in select(listed, i)]
    return arrays.filled(chosen, (*index.shape, weights.shape[1]))


def triangle(function: Callable[..., Any]) -> Callable[..., Array]:
    """The numbers on one side of a diagonal, and 0 on the other."""

    def run(x: Array, diagonal: int = 0) -> Array:
        keep = function(np.ones(x.shape, dtype=bool), diagonal)
        return np.where(keep, x, arrays.filled([0.0] * x.size, x.shape))

    return run


def padded(x: Array, pad: Sequence[int], value: Number = 0.0) -> Array:
    """The array with numbers before and after it along the last axes."""
    last = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return windows.padded(x, [(0, 0)] * (x.ndim - len(last)) + last, value)


def dropped(x: Array, p: float, train: bool | None = True) -> tuple[Any, ...]:
    """The numbers themselves, as dropout gives them outside of training."""
    if train and p:
        raise UncoveredError("dropout in training is random; call module.eval() first")
    return x, None


def same(x: Array, *_: Any, **__: Any) -> Array:
    """The array itself."""
    return x
