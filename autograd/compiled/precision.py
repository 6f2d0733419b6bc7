"""The types of numbers in which a compiled function can compute."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Precision:
    """How an engine rounds.

    In the eager type, sums of two terms, products, and functions that IEEE 754 fixes have the
    eager bits.  In any other type, every number may differ from the eager one.  There, kinks and
    the ends of domains are left to the numbers themselves, because bounds that hold for certain
    are too wide to tell the sides apart in a long computation.  Branches and jumps are not.

    Attributes:
        name: NumPy's name of the type.
        unit: the relative rounding error of one addition or multiplication.
        largest: the largest number.
        smallest: the smallest magnitude but 0: a product of two does not underflow.
        noise: a row's rounding error, relative to its value.
        underflow: how far results may be off without a relative error.
        tolerance: what `verify` allows, relative to the largest number on the way.
        eager: whether it is the type of the eager engine.
    """

    name: str
    unit: float
    largest: float
    smallest: float
    noise: float
    underflow: float
    tolerance: float
    eager: bool


DOUBLE = Precision(
    "float64", unit=2.0**-53, largest=sys.float_info.max, smallest=1e-140, noise=2.0**-48,
    underflow=1e-299, tolerance=1e-9, eager=True,
)  # fmt: skip
SINGLE = Precision(
    "float32", unit=2.0**-24, largest=(2.0 - 2.0**-23) * 2.0**127, smallest=2.0**-63,
    noise=2.0**-19, underflow=1e-35, tolerance=1e-4, eager=False,
)  # fmt: skip
_KNOWN = {DOUBLE.name: DOUBLE, SINGLE.name: SINGLE}


def precision(dtype: Any, where: str = "compile") -> Precision:
    """The type of numbers that a user asks for, by name or as NumPy's type.

    >>> precision("float32").unit == 2.0**-24, precision(np.float64).name
    (True, 'float64')
    """
    scalar = isinstance(dtype, np.dtype) or (
        isinstance(dtype, type) and issubclass(dtype, np.generic)
    )
    name = np.dtype(dtype).name if scalar else dtype
    if not isinstance(name, str) or name not in _KNOWN:
        raise ValueError(f"{where}: dtype must be 'float64' or 'float32', got {dtype!r}")
    return _KNOWN[name]
