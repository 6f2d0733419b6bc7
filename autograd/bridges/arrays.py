"""Arrays of Values: what array libraries do with whole arrays, done number by number.

An array here is a NumPy array of objects: Values, floats, ints or bools.  Numbers that nothing
differentiates stay plain numbers, so they add no nodes to the graph.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from autograd.compiled.selection import argmax, select
from autograd.ops import Ops, rows
from autograd.value import Value
from nn import probabilities
from nn.probabilities import total

Array = Any  # a NumPy array of objects
Number = Any  # a Value, or a plain number
Axes = Sequence[int]


def array(numbers: Any) -> Array:
    """An array of objects, from one number or Value, nested lists of them, or any NumPy array.

    >>> array([[1.0, Value(2.0)]]).shape, array(3.0).shape
    ((1, 2), ())
    """
    if isinstance(numbers, list | tuple):
        return np.array(numbers, dtype=object)
    if isinstance(numbers, np.ndarray):
        return numbers.astype(object, copy=False)
    box = np.empty((), dtype=object)
    box[()] = numbers
    return box


def values(numbers: Any, name: str) -> Array:
    """New Values of the numbers, with the name and the index as labels.

    >>> values([1.0, 2.0], "b")[1]
    Value(data=2.0, grad=0.0, label='b[1]')
    """
    numbers = array(numbers)
    made = np.empty(numbers.shape, dtype=object)
    for index in np.ndindex(made.shape):
        made[index] = Value(numbers[index], label(name, index))
    return made


def label(name: str, index: Sequence[int]) -> str:
    """The name of one number in an array.

    >>> label("w", (2, 0)), label("loss", ())
    ('w[2, 0]', 'loss')
    """
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def floats(numbers: Array) -> Any:
    """The numbers alone, as a NumPy array of floats."""
    plain = [v.item() if isinstance(v, Ops) else v for v in array(numbers).ravel()]
    return np.array(plain, dtype=np.float64).reshape(np.shape(numbers))


def adjoints(nodes: Array) -> Any:
    """The `.grad` of each Value, as a NumPy array of floats; 0 for a plain number."""
    grads = [v.grad if isinstance(v, Value) else 0.0 for v in array(nodes).ravel()]
    return np.array(grads, dtype=np.float64).reshape(np.shape(nodes))


def indices(numbers: Array) -> Any:
    """Whole numbers as a NumPy array of ints, to index with.

    >>> indices(array([1, 0]))
    array([1, 0])
    """
    return np.array(array(numbers).tolist(), dtype=np.int64).reshape(np.shape(numbers))


# ---------------------------------------------------------------------- number by number


def applied(function: Callable[..., Any], *arrays: Any) -> Array:
    """function(number, ...) for each number; the shapes are broadcast.

    >>> applied(lambda x, y: x + y, [[1.0], [2.0]], [10.0, 20.0]).tolist()
    [[11.0, 21.0], [12.0, 22.0]]
    """
    with np.errstate(all="ignore"):  # as everywhere here, inf and nan are results
        return array(np.frompyfunc(function, len(arrays), 1)(*map(array, arrays)))


def row(name: str) -> Callable[..., Array]:
    """A row of the table of operations, as a function of arrays.

    >>> row("hypot")([3.0, 6.0], [4.0, 8.0]).tolist()
    [5.0, 10.0]
    """
    op = rows()[name]
    return lambda *arrays: applied(op, *arrays)


def where(condition: Array, chosen: Array, other: Array) -> Array:
    """For each number, the first if the condition is true, else the second."""
    return applied(lambda holds, x, y: x if holds else y, condition, chosen, other)


def detached(numbers: Array) -> Array:
    """The same numbers without gradients: a Value becomes a leaf outside the graph."""
    return applied(lambda v: v.detach() if hasattr(v, "detach") else v, numbers)


# ---------------------------------------------------------------------- along axes


def normal(axes: Axes | int | None, count: int) -> tuple[int, ...]:
    """The axes from 0 on, in order; all `count` axes for None and for an empty list.

    >>> normal([-1, 0], 3), normal(None, 2)
    ((0, 2), (0, 1))
    """
    listed = [axes] if isinstance(axes, int) else list(axes or range(count))
    return tuple(sorted(axis % count for axis in listed)) if count else ()


def reduced(
    function: Callable[[list[Number]], Number], numbers: Array, axes: Axes | int | None = None,
    keep: bool = False,
) -> Array:  # fmt: skip
    """function(list) of the numbers along the axes; with `keep`, these axes have length 1.

    >>> reduced(max, [[1.0, 5.0], [4.0, 2.0]], [1]).tolist()
    [5.0, 4.0]
    """
    numbers = array(numbers)
    gone = normal(axes, numbers.ndim)
    stay = [axis for axis in range(numbers.ndim) if axis not in gone]
    shape = [numbers.shape[axis] for axis in stay]
    lists = numbers.transpose(*stay, *gone).reshape(math.prod(shape), -1) if numbers.ndim else None
    lists = [[numbers[()]]] if lists is None else lists.tolist()
    result = filled([function(part) for part in lists], shape)
    kept = [1 if axis in gone else numbers.shape[axis] for axis in range(numbers.ndim)]
    return result.reshape(kept) if keep else result


def along(function: Callable[[list[Number]], Sequence[Number]], numbers: Array, axis: int) -> Array:
    """function(list) of the numbers along one axis, where it returns a list of any one length.

    >>> along(sorted, [[3.0, 1.0], [2.0, 4.0]], 1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    numbers = np.moveaxis(np.atleast_1d(array(numbers)), axis, -1)
    lists = [function(part) for part in numbers.reshape(-1, numbers.shape[-1]).tolist()]
    length = len(lists[0]) if lists else 0
    result = filled([v for part in lists for v in part], [*numbers.shape[:-1], length])
    return np.moveaxis(result, -1, axis)


def filled(numbers: Iterable[Number], shape: Sequence[int]) -> Array:
    """An array with these numbers, in row-major order."""
    result = np.empty(math.prod(shape), dtype=object)
    for i, v in enumerate(numbers):
        result[i] = v
    return result.reshape(shape)


def mean(numbers: Sequence[Number]) -> Number:
    """The mean; nan of nothing."""
    return total(numbers) / len(numbers) if len(numbers) else math.nan


def largest(numbers: Sequence[Number]) -> Number:
    """The first of the largest numbers, the only one with a gradient; nan if one is nan.

    >>> x, y = Value(2.0), Value(2.0)
    >>> largest([1.0, x, y]) is x
    True
    """
    for v in numbers:
        if v != v:
            return v
    return select(numbers, argmax(numbers))


def largest_shared(numbers: Sequence[Number]) -> Number:
    """The largest number; several that are equal share the gradient.

    >>> x, y = Value(2.0), Value(2.0)
    >>> largest_shared([1.0, x, y]).backward()
    >>> x.grad, y.grad
    (0.5, 0.5)
    """
    top = largest(numbers)
    equal = [v for v in numbers if v == top]
    return mean(equal) if len(equal) > 1 else top


def softmax(logits: Sequence[Number]) -> Sequence[Number]:
    """e^zi / (e^z1 + ... + e^zn); a plain -inf, as in a mask, has the plain probability 0.

    >>> [round(p.data, 4) if isinstance(p, Value) else p for p in softmax([Value(1.0), -math.inf])]
    [1.0, 0.0]
    """
    return _unmasked(probabilities.softmax, logits, 0.0)


def log_softmax(logits: Sequence[Number]) -> Sequence[Number]:
    """The logarithms of `softmax`; a plain -inf stays one."""
    return _unmasked(probabilities.log_softmax, logits, -math.inf)


def _unmasked(
    function: Callable[[list[Number]], list[Number]], logits: Sequence[Number], masked: float
) -> Sequence[Number]:
    open = [i for i, z in enumerate(logits) if isinstance(z, Ops) or z > -math.inf]
    if not open:
        return [math.nan] * len(logits)
    result: list[Number] = [masked] * len(logits)
    for i, p in zip(open, function([logits[i] for i in open]), strict=True):
        result[i] = p
    return result


# ---------------------------------------------------------------------- products


def dot(xs: Iterable[Number], ys: Iterable[Number]) -> Number:
    """The sum of the products.

    >>> dot([1.0, 2.0], [3.0, 4.0])
    11.0
    """
    return total([x * y for x, y in zip(xs, ys, strict=True)])


def contracted(
    a: Array, b: Array, over: tuple[Axes, Axes], batch: tuple[Axes, Axes] = ((), ())
) -> Array:
    """The sums of products along the axes `over`: the batch's axes, then the others of a and of b.

    >>> contracted([[1.0, 2.0]], [[3.0], [4.0]], ([1], [0])).tolist()
    [[11.0]]
    """
    a, b = array(a), array(b)
    free_a, free_b = (
        [axis for axis in range(part.ndim) if axis not in (*o, *s)]
        for part, o, s in zip((a, b), over, batch, strict=True)
    )
    shape = [a.shape[i] for i in (*batch[0], *free_a)] + [b.shape[i] for i in free_b]
    if not (a.size and b.size):
        return filled([0.0] * math.prod(shape), shape)
    count, terms = (math.prod(a.shape[i] for i in axes) for axes in (batch[0], over[0]))
    left = a.transpose(*batch[0], *free_a, *over[0]).reshape(count, -1, terms).tolist()
    right = b.transpose(*batch[1], *free_b, *over[1]).reshape(count, -1, terms).tolist()
    sums = [dot(x, y) for k in range(count) for x, y in product(left[k], right[k])]
    return filled(sums, shape)


def matmul(a: Array, b: Array) -> Array:
    """The matrix product of two matrices, or of each pair in two batches of matrices.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    batch = tuple(range(array(a).ndim - 2))
    return contracted(a, b, ([len(batch) + 1], [len(batch)]), (batch, batch))
