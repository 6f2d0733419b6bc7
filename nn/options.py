"""Checks of single options: numbers of any library, whole numbers, truth values, and names."""

import operator
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from autograd.expressions import did_you_mean
from autograd.operands import number
from nn.elsewhere import LEFT_OUT, NAMES, OPTIONS

T = TypeVar("T")
Seed = int | random.Random | None

POSITIVE, AT_LEAST_0, FINITE = "(0, inf)", "[0, inf)", "(-inf, inf)"
_SHOWN = 20  # names in a message
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
    TypeError: lr: expected a real number, got '0.1'
    """
    try:
        return number(value, subject)
    except TypeError:
        raise TypeError(f"{subject}: expected a real number, got {value!r:.60}") from None


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


def _index(value: Any) -> int | None:
    """The whole number as an int; None for anything else, also for truth values."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
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


def named(name: str, subject: str, known: Mapping[str, T]) -> T:
    """The entry with the name; ValueError with close names, or else with all names.

    >>> named("he_nrmal", "init", {"he_normal": 1, "zeros": 2})
    Traceback (most recent call last):
    ValueError: init: there is no 'he_nrmal'; did you mean 'he_normal'?
    """
    if name in known:
        return known[name]
    raise ValueError(f"{subject}: there is no {name!r}{advice(name, known)}")


def advice(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name, see `renamed`; all known names if none is close."""
    known = list(known)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return renamed(name, known) or f"; there are {', '.join(known[:_SHOWN])}{more}"


def renamed(name: str, known: Iterable[str]) -> str:
    """What another library's name is called here, or a close name; '' if there is neither.

    >>> renamed("Relu", ["relu"]), renamed("gamma", ["rate", "factor"])
    ("; did you mean 'relu'?", "; it is called 'factor' here")
    """
    for here in OPTIONS.get(name, ()):
        if here in known:
            return f"; it is called {here!r} here"
    if name in NAMES:
        return f"; write {NAMES[name]}"
    if name in LEFT_OUT and name not in known:
        return f"; it is left out on purpose: see {LEFT_OUT[name]!r} in docs/left_out.md"
    longer = [repr(other) for other in known if other.startswith(name)]
    return did_you_mean(name, known) or f"; did you mean {' or '.join(longer)}?" * bool(longer)


def absent(module: str, names: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`; its error says what a missing name is called here.

    >>> absent("nn.optim", ["Adam"])("adam")
    Traceback (most recent call last):
    AttributeError: module 'nn.optim' has no attribute 'adam'; did you mean 'Adam'?
    """

    def missing(name: str) -> Any:
        hint = renamed(name, [known for known in names if not known.startswith("_")])
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")

    return missing
