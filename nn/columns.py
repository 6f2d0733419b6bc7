"""Columns of numbers with elementwise arithmetic: lists, or NumPy's arrays.

An optimizer's formula is written once and runs on both, with the same bits.
"""

import math
from collections.abc import Callable
from typing import Any

Column = Any  # a `Numbers` or an array of floats


class Numbers(list[float]):
    """A list with elementwise arithmetic, like an array.

    >>> 2.0 * Numbers([1.0, 2.0]) - Numbers([0.5, 0.5])
    [1.5, 3.5]
    """

    def _with(self, other: Any, do: Callable[[float, float], float]) -> "Numbers":
        if isinstance(other, list):
            return Numbers([do(x, y) for x, y in zip(self, other, strict=True)])
        return Numbers([do(x, other) for x in self])

    def __add__(self, other: Any) -> "Numbers":  # type: ignore[override]
        return self._with(other, float.__add__)

    def __sub__(self, other: Any) -> "Numbers":
        return self._with(other, float.__sub__)

    def __mul__(self, other: Any) -> "Numbers":
        return self._with(other, float.__mul__)

    def __truediv__(self, other: Any) -> "Numbers":
        return self._with(other, float.__truediv__)

    def __abs__(self) -> "Numbers":
        return Numbers(map(abs, self))

    def __rmul__(self, other: float) -> "Numbers":  # type: ignore[override]
        return Numbers([other * x for x in self])


def root(x: Column) -> Column:
    """The square root of each number."""
    if isinstance(x, Numbers):
        return Numbers(map(math.sqrt, x))
    import numpy as np

    return np.sqrt(x)


def divided(x: Column, y: Column) -> Column:
    """x / y, elementwise; 0 if x is 0, for any y."""
    if isinstance(x, Numbers):
        return Numbers([p / q if p else 0.0 for p, q in zip(x, y, strict=True)])
    import numpy as np

    return np.divide(x, y, out=np.zeros_like(x), where=x != 0.0)


def larger(x: Column, y: Column) -> Column:
    """The larger of x and y, elementwise."""
    if isinstance(x, Numbers):
        return Numbers(map(max, x, y))
    import numpy as np

    return np.maximum(x, y)


def like(x: Column, numbers: Any) -> Column:
    """The numbers as a column of x's type; a single number is repeated, and None is 0."""
    if numbers is None or isinstance(numbers, float):
        start = numbers or 0.0
        return Numbers([start] * len(x)) if isinstance(x, Numbers) else x * 0.0 + start
    if isinstance(x, Numbers):
        return numbers if isinstance(numbers, Numbers) else Numbers(float(n) for n in numbers)
    import numpy as np

    return np.asarray(numbers, dtype=np.float64)
