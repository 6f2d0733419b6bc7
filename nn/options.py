"""Checks of names, with what a name of another library is called here."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from autograd.expressions import did_you_mean
from nn.elsewhere import LEFT_OUT, NAMES, OPTIONS

T = TypeVar("T")
_SHOWN = 20  # names in a message


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
