"""A row that is a call of Python functions: its value, and its local derivatives."""

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
    """The operation of that name whose value and derivatives are the functions.

    Raises RuleError for a column that only texts can have, and for a name that is no plain name.
    """
    if unknown := columns.keys() - _COLUMNS:
        raise RuleError(f"op {name!r}: a row of functions has no column {min(unknown)!r}")
    # A row of texts that stands in for it is read, so that all columns are there and checked.
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
    """z of numbers."""

    def value(x: float, y: float | None = None) -> float:
        return number(function(x) if op.arity == 1 else function(x, y), f"{op.name}: its value")

    return value


def _slope(op: Op[Any], operand: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A local derivative: of numbers a number, of Values what the function makes of them."""
    takes_z = _required(function) > op.arity

    def slope(x: Any, y: Any = None, z: Any = None) -> Any:
        given = [*(x, y)[: op.arity], *[z] * takes_z]
        what = f"{op.name}: dz/d{operand}"
        if not any(isinstance(one, Operand) for one in given):
            return number(function(*given), what)
        try:
            found = function(*given)
            return found if isinstance(found, Operand) else number(found, what)
        except TypeError as error:
            raise TypeError(
                f"{what} is a Python function of numbers, so there is no second derivative; write "
                f"it with operations of Values (autograd.cos(x), not math.cos(x)): {error}"
            ) from error

    return slope


def _required(function: Callable[..., Any]) -> int:
    """How many arguments a function needs; 0 where it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in kinds and one.default is inspect.Parameter.empty for one in parameters)
