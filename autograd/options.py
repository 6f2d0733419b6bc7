"""Checks of single options: numbers of any library, whole numbers, seeds and truth values."""

import operator
import random
from typing import Any

from autograd.operands import is_time, number, remedy, unboxed

Seed = int | random.Random | None

POSITIVE, AT_LEAST_0, FINITE = "(0, inf)", "[0, inf)", "(-inf, inf)"
_WORDS = {
    POSITIVE: "a finite number above 0",
    AT_LEAST_0: "a finite number of at least 0",
    FINITE: "a finite number",
    "(0, 1)": "between 0 and 1",
    "[0, 1]": "from 0 to 1",
    "[0, 1)": "at least 0 and less than 1",
}


def as_float(value: Any, subject: str) -> float:
    """The number as a float; TypeError, with the value, for anything but a real number.

    >>> as_float("0.1", "lr")
    Traceback (most recent call last):
    TypeError: lr: expected a real number, got '0.1'; write float(...) of it
    """
    try:
        return number(value, subject)
    except TypeError:
        message = f"{subject}: expected a real number, got {value!r:.60}{remedy(value)}"
        raise TypeError(message) from None


def real(value: Any, subject: str, interval: str = FINITE) -> float:
    """The number as a float, if it is in the interval.

    Accepts the numbers of Python, NumPy and pandas, and fractions.  Raises TypeError for anything
    else; ValueError, with the interval in words, for a number outside it and for nan.

    >>> real(1, "momentum", "[0, 1]")
    1.0
    >>> real(1.5, "momentum", "[0, 1]")
    Traceback (most recent call last):
    ValueError: momentum must be from 0 to 1, got 1.5
    """
    x = as_float(value, subject)
    low, high = map(float, interval[1:-1].split(","))
    inside = low <= x <= high and (x != low or interval[0] == "[")
    if not inside or (x == high and interval[-1] == ")"):
        raise ValueError(f"{subject} must be {_WORDS[interval]}, got {value!r}")
    return x


def whole(value: Any, subject: str, least: int | None = 1) -> int:
    """The whole number as an int; ValueError for anything else, also for truth values.

    With least=None it may be negative.

    >>> whole(3, "epochs")
    3
    >>> whole(2.5, "epochs")
    Traceback (most recent call last):
    ValueError: epochs must be a whole number of at least 1, got 2.5
    """
    count = _index(value)
    if count is None or (least is not None and count < least):
        limit = "" if least is None else f" of at least {least}"
        raise ValueError(f"{subject} must be a whole number{limit}, got {value!r}")
    return count


def position(value: Any, subject: str, count: int) -> int:
    """The index as an int, from 0 to count - 1.

    Raises TypeError for anything but a whole number, IndexError for an index outside the range.

    >>> position(2, "select", 3)
    2
    """
    index = _index(value)
    if index is None:
        raise TypeError(f"{subject}: expected an index, got {value!r:.60}")
    if not 0 <= index < count:
        raise IndexError(f"{subject}: expected an index from 0 to {count - 1}, got {index}")
    return index


def _index(value: Any) -> int | None:
    """The whole number as an int; None for anything else, also for truth values."""
    value = unboxed(value)
    try:
        return None if isinstance(value, bool) or is_time(value) else operator.index(value)
    except TypeError:
        return None


def generator(seed: Any) -> random.Random:
    """The `random.Random` of a seed.

    A whole number seeds a new one, and a `random.Random` is used itself.  None seeds a new one from
    Python's global one, so `random.seed(1)` in a script has an effect.
    """
    if isinstance(seed, random.Random):
        return seed
    chosen = random.getrandbits(64) if seed is None else _index(seed)
    if chosen is None:
        raise TypeError(f"seed: expected an int, a random.Random or None, got {seed!r}")
    return random.Random(chosen)  # noqa: S311 - no secret


def truth(value: Any, subject: str) -> bool:
    """The truth value of Python or NumPy as a bool; TypeError for anything else."""
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return bool(value)
    raise TypeError(f"{subject} must be True or False, got {value!r}")
