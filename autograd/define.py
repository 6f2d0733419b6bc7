"""Definition of new operations: one row each, checked, then usable everywhere."""

import keyword
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autograd import record
from autograd.operation import Op, Operation
from autograd.ops import Ops
from autograd.python_operation import of_functions
from autograd.rules import RuleError
from autograd.value import INSTALLED_WITH, Value, rows

# A row is tested where it is smooth: at both signs, small and large, no round numbers.
_TRIED = [0.013, 0.11, 0.37, 0.83, 1.21, 2.3, 3.7, 6.1, 17.3]
_CLEAR = 1e-6  # a difference with a larger relative error decides nothing
_ROUNDED = 2.0**-50 / 0.02  # the rounding of a value, over the first step of `ridders`
_SAME, _SURE = 1e-5, 10  # a derivative and the slope, relatively, and times that error


Rule = str | Callable[..., Any]


def define_op(name: str, z: Rule, dx: Rule, dy: Rule | None = None, **columns: Any) -> Op[Any]:
    """A new operation of the table, as a function; it also adds `v.name()` and `autograd.name(v)`.

    The texts are a row as explained in `autograd/ops.py`: z = h(x, y) and its local derivatives in
    x, y and z, and the columns `smooth`, `textbook`, `dxx`, `y` and shared parts.  The derivatives
    are compared with finite differences of z at points of both signs, inside `smooth`, and second
    derivatives with those of the first.  A row that disagrees, or that cannot be compared anywhere,
    is refused, and nothing changes.

    If an expression is not enough, pass Python functions of numbers: z(x) or z(x, y), and dx and dy
    of the same operands, optionally followed by the result.  They run unchanged in graphs, pictures
    and checks.  `compile`, decimals and pages refuse them.  Second derivatives need a dx made of
    operations (`autograd.cos(x)`, not `math.cos(x)`).  Their columns are `smooth`, `textbook`, `y`.

    Raises RuleError for a text that is not a valid rule or a wrong derivative, ValueError for a
    name that is taken.

    >>> squash = define_op("squash", "x / t", "1 / (t * t)", t="1 + abs(x)")
    >>> squash(3.0), squash(Value(-1.0))
    (0.75, Value(data=-0.5, grad=0.0, op=squash))
    >>> define_op("wrong", "x * x", "x")
    Traceback (most recent call last):
    autograd.rules.RuleError: op 'wrong': dz/dx = 'x' gives ... at x = ..., differences give ...
    >>> def horner(x):
    ...     total = 0.0
    ...     for coefficient in (1.0, -2.0, 3.0):
    ...         total = total * x + coefficient
    ...     return total
    >>> quadratic = define_op("quadratic", horner, lambda x: 2 * x - 2)
    >>> v = Value(0.5)
    >>> v.quadratic().backward()
    >>> v.grad
    -1.0
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"define_op: {name!r} cannot be the name of an operation")
    if hasattr(Value, name) or name in rows():
        raise ValueError(f"define_op: {name!r} is taken; choose another name")
    rules = (z, dx) if dy is None else (z, dx, dy)
    if all(callable(rule) for rule in rules):
        op = of_functions(name, rules, columns)
    elif all(isinstance(rule, str) for rule in rules):
        op = Op(*rules, **columns)
        op.read(name, rows())
    else:
        raise TypeError(
            f"define_op: {name!r}: z and its derivatives must all be texts or all be functions"
        )
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
            known = slope_in_doubles(op, operands, k)
            if known is None:
                continue  # an end of the domain or a kink is near; another point will decide
            slope, error = known
            compared = True
            x, y = (*operands, None)[:2]
            partial = float(derivative(x, y, z))
            if not is_that_slope(partial, slope, error):
                at = ", ".join(f"{name} = {v!r}" for name, v in zip("xy", operands, strict=False))
                raise RuleError(
                    f"op {op.name!r}: dz/d{'xy'[k]} = {op.texts[k + 1]!r} gives {partial:.6g} "
                    f"at {at}, differences give {slope:.6g}"
                )
    if not compared:
        raise RuleError(
            f"op {op.name!r}: {op.texts[0]!r} is not finite and smooth at any of the points tried; "
            "pass smooth=, the condition under which it is smooth"
        )


def slope_in_doubles(
    op: Operation, operands: Sequence[float], k: int
) -> tuple[float, float] | None:
    """The slope of an operation's value in operand k by differences, and an estimate of its error.

    None if differences decide nothing: near the end of the domain or a kink, or with a noisy value.

    >>> slope, error = slope_in_doubles(rows()["mul"], [2.0, 3.0], 0)
    >>> is_that_slope(3.0, slope, error), is_that_slope(2.0, slope, error)
    (True, False)
    """

    unit = operands[k] or 1.0  # steps are relative, because the domain may end at 0

    def along(t: float) -> float:
        return _value_or_nan(op, [*operands[:k], unit * t, *operands[k + 1 :]])

    slope, error = (number / unit for number in ridders(along, operands[k] / unit))
    z = abs(op.value(*operands))
    error = max(abs(error), _ROUNDED * z / abs(unit))  # rounding may make two values equal
    return (slope, error) if error <= _CLEAR * max(abs(slope), z) else None


def is_that_slope(partial: float, slope: float, error: float) -> bool:
    """Whether a derivative agrees with the slope, within the error of the differences."""
    return abs(partial - slope) <= _SAME * abs(slope) + _SURE * error


def _points(op: Operation) -> Iterator[tuple[float, ...]]:
    numbers = [sign * size for size in _TRIED for sign in (1.0, -1.0)]
    tried = [(x,) for x in numbers] if op.arity == 1 else [(x, y) for x in numbers for y in numbers]
    for operands in tried:
        if op.is_smooth(*operands) and is_defined(op, operands):
            yield operands


def is_defined(op: Operation, operands: Sequence[float]) -> bool:
    """Whether the operation returns a finite number at these operands and does not raise."""
    return math.isfinite(_value_or_nan(op, operands))


def _value_or_nan(op: Operation, operands: Sequence[float]) -> float:
    """The value; nan if a Python function raises an error of the kind that `math` raises."""
    try:
        return op.value(*operands)
    except (ArithmeticError, ValueError):
        return math.nan


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
