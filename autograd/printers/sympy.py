"""Rows as expressions of SymPy, and expressions of SymPy as rows."""

import ast
import math
from collections.abc import Mapping
from typing import Any

import sympy

from autograd import rules
from autograd.operation import Operation
from autograd.ops import rows

# What SymPy calls by another name than Python.
_NAMES = {"abs": "Abs", "ceil": "ceiling"}
# Functions that SymPy does not have, as formulas of those that it has.  Its Abs has no derivative
# for a symbol that may be complex.
_FORMULAS = {
    "abs": "x if x > 0 else -x",
    "cbrt": "x ** (1 / 3) if x > 0 else -(-x) ** (1 / 3)",
    "expm1": "exp(x) - 1",
    "fmod": "x - y * sign(x / y) * floor(abs(x / y))",
    "hypot": "sqrt(x ** 2 + y ** 2)",
    "log10": "log(x) / log(10)",
    "log1p": "log(1 + x)",
    "log2": "log(x) / log(2)",
}


def expression(op: Operation, operands: Mapping[str, Any]) -> Any:
    """The row over expressions of SymPy, as a textbook writes it.

    >>> from autograd import rows
    >>> expression(rows()["sigmoid"], {"x": sympy.Symbol("x")})
    1/(1 + exp(-x))
    """
    if op.functions:
        raise NotImplementedError(op.unknown_to("SymPy"))
    return _called(op, [operands[o] for o in "xy"[: op.arity]])


def number(value: float) -> Any:
    """A number for SymPy: a whole one is exact."""
    if math.isfinite(value) and value == int(value):
        return sympy.Integer(int(value))
    constants = {math.inf: sympy.oo, -math.inf: -sympy.oo}
    return sympy.nan if value != value else constants.get(value) or sympy.Float(value)


def _evaluated(tree: ast.expr, operands: Mapping[str, Any]) -> Any:
    match tree:
        case ast.Constant(value=value):
            return number(float(value))  # type: ignore[arg-type]
        case ast.Name(id=name):
            return operands[name] if name in operands else number(rules.CONSTANTS[name])
        case ast.UnaryOp(op=sign, operand=operand):
            x = _evaluated(operand, operands)
            return -x if isinstance(sign, ast.USub) else x
        case ast.BinOp(left=left, op=sign, right=right):
            x, y = _evaluated(left, operands), _evaluated(right, operands)
            return _ARITHMETIC[type(sign)](x, y)
        case ast.IfExp(test=ast.Compare(left=left, ops=[order], comparators=[right])):
            x, y = _evaluated(left, operands), _evaluated(right, operands)
            test = x < y if isinstance(order, ast.Lt) else x > y
            chosen, other = (_evaluated(part, operands) for part in (tree.body, tree.orelse))
            return sympy.Piecewise((chosen, test), (other, True))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _called(rows()[name], [_evaluated(argument, operands) for argument in arguments])
    raise AssertionError(ast.dump(tree))  # the language has nothing else


_ARITHMETIC: dict[type, Any] = {
    ast.Add: lambda x, y: x + y, ast.Sub: lambda x, y: x - y, ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y, ast.Pow: lambda x, y: x**y,
}  # fmt: skip


def _called(op: Operation, arguments: list[Any]) -> Any:
    operands = dict(zip("xy", arguments, strict=False))
    if op.name in _FORMULAS:
        return _evaluated(ast.parse(_FORMULAS[op.name], mode="eval").body, operands)
    if op.textbook[0] != op.signature:
        return _evaluated(ast.parse(op.textbook[0], mode="eval").body, operands)
    function = getattr(sympy, _NAMES.get(op.name, op.name), None)
    if function is None:
        raise NotImplementedError(
            f"{op.name}: SymPy has no function of this name; give its formula in "
            "autograd/printers/sympy.py"
        )
    return function(*arguments)


def row_of(function: str) -> Operation | None:
    """The row for the name of a function of SymPy; None if there is none."""
    others = {**{other: name for name, other in _NAMES.items()}, "Max": "maximum", "Min": "minimum"}
    return rows().get(others.get(function, function))
