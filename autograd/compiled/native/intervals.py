"""Interval arithmetic on the rules of rows."""

import ast
import math
from collections.abc import Callable, Mapping

from autograd import rules
from autograd.operation import Operation
from autograd.value import rows

Interval = tuple[float, float]
ANYTHING = -math.inf, math.inf
_RISING = {
    "asin", "asinh", "atan", "cbrt", "erf", "exp", "expm1", "log", "log10", "log1p", "log2", "sinh",
    "sqrt", "tanh",
}  # fmt: skip
_FALLING = {"acos", "erfc"}
_NOISE = 2.0**-48  # allows for the rounding of functions


def is_direct(op: Operation) -> bool:
    """Whether a row's results reach exactly as far as its rule says for the ends of its operand."""
    if op.arity > 1 or op.libm:
        return op.arity == 1 and op.libm in _RISING | _FALLING
    plain = ast.IfExp, ast.Compare, ast.cmpop, ast.Name, ast.Load, ast.Constant
    return all(isinstance(node, plain) for node in ast.walk(op.value_tree))


def sides_of(ends: Interval) -> tuple[float, float, float, float]:
    """The ends of the numbers in an interval: the last two are those next to 0, on each side."""
    low, high = ends
    below = min(high, 0.0) if low < 0.0 else -math.inf
    above = max(low, 0.0) if high >= 0.0 else math.inf
    return high, -low, below, -above


def interval(tree: ast.expr, names: Mapping[str, Interval]) -> Interval:
    """An interval that contains all values of a rule, given intervals for its names.

    >>> interval(ast.parse("1 / x", mode="eval").body, {"x": (2.0, 4.0)})
    (0.25, 0.5)
    """
    match tree:
        case ast.Constant(value=value):
            return float(value), float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            value = rules.CONSTANTS.get(name, math.nan)
            return names.get(name, (value, value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            low, high = interval(operand, names)
            return -high, -low
        case ast.UnaryOp(operand=operand):
            return interval(operand, names)
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right])):
            sides = interval(left, names), interval(right, names)
            (_, less), (more, _) = sides if isinstance(op, ast.Lt) else sides[::-1]
            (low, _), (_, high) = sides if isinstance(op, ast.Lt) else sides[::-1]
            parts = [interval(tree.body, _limited(names, left, op, sides[1]))] * (low < high)
            other = ast.Gt() if isinstance(op, ast.Lt) else ast.Lt()
            if not less < more:
                parts.append(interval(tree.orelse, _limited(names, left, other, sides[1])))
            return _hull([end for part in parts for end in part])
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(op, interval(left, names), interval(right, names))
        case ast.Call(func=ast.Name(id=name), args=args):
            return called(name, [interval(part, names) for part in args])
    raise AssertionError(ast.unparse(tree))


def _limited(
    names: Mapping[str, Interval], left: ast.expr, op: ast.cmpop, right: Interval
) -> Mapping[str, Interval]:
    """The intervals where a comparison holds, or its sides are equal; only a name is limited."""
    if not isinstance(left, ast.Name) or left.id not in names:
        return names
    low, high = names[left.id]
    if isinstance(op, ast.Lt):
        return {**names, left.id: (low, min(high, right[1]))}
    return {**names, left.id: (max(low, right[0]), high)}


def _hull(ends: list[float]) -> Interval:
    """The interval from the least to the greatest end; ANYTHING if one of them is nan."""
    return ANYTHING if any(end != end for end in ends) else (min(ends), max(ends))


_CORNERS: dict[type, Callable[[float, float], float]] = {
    ast.Add: lambda x, y: x + y, ast.Sub: lambda x, y: x - y, ast.Mult: lambda x, y: x * y,
    ast.Div: rules.divide, ast.Pow: rules.power,
}  # fmt: skip


def _combined(op: ast.operator, x: Interval, y: Interval) -> Interval:
    if isinstance(op, ast.Div) and y[0] <= 0.0 <= y[1]:
        return ANYTHING
    if isinstance(op, ast.Pow) and x[0] <= 0.0:
        return ANYTHING
    return _hull([_CORNERS[type(op)](a, b) for a in x for b in y])


def called(name: str, arguments: list[Interval]) -> Interval:
    """An interval that contains all values of a row."""
    row = rows()[name]
    low, high = arguments[0]
    if row.libm == "fabs":
        return (0.0 if low < 0.0 < high else min(abs(low), abs(high))), max(abs(low), abs(high))
    if row.libm in ("sin", "cos"):
        return -1.0, 1.0
    if row.libm in _RISING | _FALLING:
        low, high = _hull([row.value(low), row.value(high)])
        return low - _NOISE * abs(low), high + _NOISE * abs(high)
    if not row.libm:
        names = dict(zip("xy", arguments, strict=False))
        for part, tree in row.where_trees.items():
            names[part] = interval(tree, names)
        return interval(row.value_tree, names)
    return ANYTHING
