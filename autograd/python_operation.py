"""A row whose value and local derivatives are Python functions."""

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from autograd.operands import Operand, number
from autograd.operation import Op
from autograd.ops import rows
from autograd.rules import RuleError

_COLUMNS = {"smooth", "textbook", "y"}


def of_functions(name: str, functions: Sequence[Any], columns: dict[str, Any]) -> Op[Any]:
    """The named operation, with the functions as its value and derivatives.

    Raises RuleError for a column that only rows of texts can have, and for an invalid name.
    """
    if unknown := columns.keys() - _COLUMNS:
        raise RuleError(f"op {name!r}: a row of functions has no column {min(unknown)!r}")
    # Reading a row of placeholder texts fills in and checks all columns.
    texts = ("x", "1") if len(functions) == 2 else ("x + y", "1", "1")
    op: Op[Any] = Op(*texts, **columns)
    op.read(name, rows())
    operands = ", ".join("xy"[: op.arity])
    first = f"{name}_dx({operands})"
    second = () if op.arity == 1 else (f"{name}_dy({operands})",)
    op.texts = (op.signature, first, *second)
    if "textbook" not in columns:
        op.textbook = op.texts
    op.value_tree, *op.partial_trees = (ast.parse(text, mode="eval").body for text in op.texts)
    op.functions = tuple(functions)
    op.value = _value(op, functions[0])
    op.dx = _slope(op, "x", functions[1])
    if op.arity == 2:
        op.dy = _slope(op, "y", functions[2])
    return op


def _value(op: Op[Any], function: Callable[..., Any]) -> Callable[..., float]:
    """z as a function of numbers."""

    def value(x: float, y: float | None = None) -> float:
        return number(function(x) if op.arity == 1 else function(x, y), f"{op.name}: its value")

    return value


def _slope(op: Op[Any], operand: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A local derivative: a number for numbers; for Values, the result of the function."""
    takes_z = _required(function) > op.arity

    def slope(x: Any, y: Any = None, z: Any = None) -> Any:
        arguments = [*(x, y)[: op.arity], *[z] * takes_z]
        what = f"{op.name}: dz/d{operand}"
        if not any(isinstance(argument, Operand) for argument in arguments):
            return number(function(*arguments), what)
        try:
            result = function(*arguments)
            return result if isinstance(result, Operand) else number(result, what)
        except TypeError as error:
            raise TypeError(
                f"{what} is a Python function of numbers, so there is no second derivative; write "
                f"it with operations of Values (autograd.cos(x), not math.cos(x)): {error}"
            ) from error

    return slope


def _required(function: Callable[..., Any]) -> int:
    """The number of arguments a function requires; 0 if its signature is unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)
