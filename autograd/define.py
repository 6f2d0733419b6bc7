"""The public door for an operation of one's own: one row, checked, then usable everywhere."""

import keyword
import math
from collections.abc import Callable, Iterator
from typing import Any

from autograd import record
from autograd.operation import Op, Operation
from autograd.ops import Ops
from autograd.rules import RuleError
from autograd.value import INSTALLED_WITH, Value, rows

# Where a row is tried, if it is smooth there: both signs, small and large, no round numbers.
_TRIED = [0.013, 0.11, 0.37, 0.83, 1.21, 2.3, 3.7, 6.1, 17.3]
_CLEAR = 1e-6  # a difference whose error is larger, relatively, decides nothing
_SAME, _SURE = 1e-5, 10  # a derivative and the slope, relatively, and times that error


def define_op(name: str, z: str, dx: str, dy: str | None = None, **columns: Any) -> Op[Any]:
    """A new operation of the table, as a function; from now on `v.name()` and `autograd.name(v)`.

    The texts are a row as `autograd/ops.py` explains it: z = h(x, y) and its local derivatives in
    x, y and z, and the columns `smooth`, `textbook`, `dxx`, `y` and shared parts.  The derivatives
    are compared with finite differences of z at points of both signs, inside `smooth`, and second
    derivatives with those of the first; a row that disagrees, or that cannot be compared anywhere,
    is refused and nothing has changed.

    Raises RuleError for a text that is no rule or a derivative that is wrong, ValueError for a
    name that is taken.

    >>> squash = define_op("squash", "x / t", "1 / (t * t)", t="1 + abs(x)")
    >>> squash(3.0), squash(Value(-1.0))
    (0.75, Value(data=-0.5, grad=0.0, op=squash))
    >>> define_op("wrong", "x * x", "x")
    Traceback (most recent call last):
    autograd.rules.RuleError: op 'wrong': dz/dx = 'x' gives ... at x = ..., differences give ...
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"define_op: {name!r} cannot be the name of an operation")
    if hasattr(Value, name) or name in rows():
        raise ValueError(f"define_op: {name!r} is taken; choose another name")
    texts = (z, dx) if dy is None else (z, dx, dy)
    op: Op[Any] = Op(*texts, **columns)
    op.read(name, rows())
    _compare(op)
    for slope in op.slopes.values():
        if slope.name in rows():
            raise ValueError(f"define_op: {slope.name!r}, a derivative of {name!r}, is taken")
        _compare(slope)
    try:
        setattr(Ops, name, op)
        record.install(op, Value, rows(), INSTALLED_WITH)
    except BaseException:  # Ctrl-C: the name stays free
        for owner in (Ops, Value):
            if name in vars(owner):
                delattr(owner, name)
        raise
    return op


def _compare(op: Operation) -> None:
    """Raise RuleError where a derivative differs from the slope of the value."""
    compared = False
    for operands in _points(op):
        z = op.value(*operands)
        for k, derivative in enumerate([op.dx, getattr(op, "dy", None)][: op.arity]):
            assert derivative is not None

            def along(t: float, k: int = k, operands: tuple[float, ...] = operands) -> float:
                return op.value(*operands[:k], t, *operands[k + 1 :])

            slope, error = ridders(along, operands[k])
            if not error <= _CLEAR * max(abs(slope), abs(z)):
                continue  # an end or a kink is near; another point will tell
            compared = True
            x, y = (*operands, None)[:2]
            found = float(derivative(x, y, z))
            if not abs(found - slope) <= _SAME * abs(slope) + _SURE * error:
                at = ", ".join(f"{name} = {v!r}" for name, v in zip("xy", operands, strict=False))
                raise RuleError(
                    f"op {op.name!r}: dz/d{'xy'[k]} = {op.texts[k + 1]!r} gives {found:.6g} "
                    f"at {at}, differences give {slope:.6g}"
                )
    if not compared:
        raise RuleError(
            f"op {op.name!r}: no point was found at which {op.texts[0]!r} is a smooth number; "
            "say where it is with smooth="
        )


def _points(op: Operation) -> Iterator[tuple[float, ...]]:
    numbers = [sign * size for size in _TRIED for sign in (1.0, -1.0)]
    tried = [(x,) for x in numbers] if op.arity == 1 else [(x, y) for x in numbers for y in numbers]
    for operands in tried:
        if op.is_smooth(*operands) and math.isfinite(op.value(*operands)):
            yield operands


def ridders(f: Callable[[float], float], x: float) -> tuple[float, float]:
    """The slope of f at x and an estimate of its error (Ridders 1982): differences, extrapolated.

    >>> slope, error = ridders(math.exp, 1.0)
    >>> abs(slope - math.e) < 1e-9
    True
    """
    step, shrink, rounds = 0.02 * max(abs(x), 0.1), 1.6, 12
    best, error = math.nan, math.inf
    above: list[float] = []
    for i in range(rounds):
        row = [(f(x + step) - f(x - step)) / (2 * step)]
        for j in range(i):
            factor = shrink ** (2 * (j + 1))
            row.append((row[j] * factor - above[j]) / (factor - 1))
            gap = max(abs(row[-1] - row[-2]), abs(row[-1] - above[j]))
            if gap < error:
                best, error = row[-1], gap
        above = row
        step /= shrink
    return best, error
