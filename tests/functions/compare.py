"""Whether two answers are equal: their nesting, the kinds of their numbers, and the numbers."""

import math
from typing import Any

from autograd import Value
from tests.functions.jets import REAL, Jet

LOOSE = 1e-8  # relative, where no bound is known
LEAST = 1e-14  # what a compiled function may always lose: whole numbers have no bounds
# Beyond it a bound, which is of first order, says nothing.
VAGUE = 1e-5

Bound = tuple[float, float]  # a number and what rounding may do to it


def kind(x: Any) -> str:
    """What a number is: a Value, a number, or what else."""
    if isinstance(x, Value):
        return "Value"
    return "number" if isinstance(x, float | int) else type(x).__name__


def flat(tree: Any) -> list[tuple[str, Any]]:
    """Every number of a tree with its place."""
    found: list[tuple[str, Any]] = []

    def walk(place: str, part: Any) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                walk(f"{place}[{key!r}]", value)
        elif isinstance(part, list | tuple):
            for i, value in enumerate(part):
                walk(
                    f"{place}[{i}]"
                    if not hasattr(part, "_fields")
                    else f"{place}.{part._fields[i]}",
                    value,
                )
        else:
            found.append((place, part))

    walk("", tree)
    return found


def bounds(tree: Any) -> list[Bound]:
    """The numbers of an answer in Jets, and their bounds."""
    return [x.terms[REAL] if isinstance(x, Jet) else (float(x), 0.0) for _, x in flat(tree)]


def plain(x: Any) -> float:
    """The number of a Value or number."""
    return x.data if isinstance(x, Value) else float(x)


def types(got: Any, wanted: Any, kinds: bool) -> str:
    """How the nesting and, if asked for, the kinds of two answers differ, or nothing."""
    one, two = (
        [(place, kind(x) if kinds else "") for place, x in flat(tree)] for tree in (got, wanted)
    )
    if [place for place, _ in one] != [place for place, _ in two]:
        return f"another nesting: {[p for p, _ in one]} instead of {[p for p, _ in two]}"
    for (place, a), (_, b) in zip(one, two, strict=True):
        if a != b:
            return f"result{place} is a {a}, should be a {b}"
    return ""


def differences(got: list[float], wanted: list[Bound]) -> str:
    """The first number that is out of its bound, or nothing."""
    if len(got) != len(wanted):
        return f"{len(got)} numbers instead of {len(wanted)}"
    for i, (x, (y, bound)) in enumerate(zip(got, wanted, strict=True)):
        if x == y or (x != x and y != y) or bound == math.inf or bound > VAGUE * (1 + abs(y)):
            continue
        if not abs(x - y) <= bound + 1e-250:
            return f"number {i} is {x!r}, should be {y!r} within {bound:.0e}"
    return ""
