"""Graphs of Values as SymPy expressions, and back."""

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

try:
    import sympy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "autograd.bridges.sympy needs SymPy: pip install 'chainrule[sympy]'", name="sympy"
    ) from error

from autograd.bridges.straight import straight
from autograd.ops import Ops, rows
from autograd.printers.sympy import expression, number, row_of
from autograd.value import Value

MOST = 300  # operations; SymPy writes out every part as often as it is used


def to_sympy(root: Value) -> Any:
    """The SymPy expression that the graph computes, with a symbol for each leaf.

    A symbol has the leaf's label, or a short name; plain numbers are numbers.  A row is written as
    a textbook does it.  A row without a derivative somewhere may have another there in SymPy.

    Raises ValueError for a graph of more than 300 operations and for hooks, NotImplementedError for
    an operation that SymPy has no function for.

    >>> w, x = Value(2.0, "w"), Value(-1.0, "x")
    >>> formula = to_sympy((w * x).tanh() ** 2)
    >>> formula, formula.diff("w")
    (tanh(w*x)**2, 2*x*(1 - tanh(w*x)**2)*tanh(w*x))
    """
    graph = straight(root, "to_sympy", MOST)
    formulas = {leaf: sympy.Symbol(graph.shown[leaf]) for leaf in graph.leaves}
    for node in graph.inner:
        assert node.op is not None
        operands = {"x": formulas[node.a] if node.a is not None else number(node.x)}
        if node.op.arity == 2:
            operands["y"] = formulas[node.b] if node.b is not None else number(node.y)
        formulas[node] = expression(node.op, operands)
    return formulas[root]


def from_sympy(formula: Any, values: Mapping[str, Any] | None = None, **more: Any) -> Value:
    """The Value of a SymPy expression over named numbers; a Value is used as it is.

    Of a Piecewise only the part that holds for these numbers is in the graph.

    Raises TypeError for a text; ValueError for a symbol without a value, for a value that is not
    used, and for a part that is no operation of the table.

    >>> x, y = sympy.symbols("x y")
    >>> root = from_sympy(sympy.sin(x) * y + x**2, x=0.5, y=2.0)
    >>> root.backward()
    >>> from autograd import topological
    >>> {v.label: round(v.grad, 4) for v in topological(root) if v.label}
    {'x': 2.7552, 'y': 0.4794}
    """
    given = {**(values or {}), **more}
    if not isinstance(formula, sympy.Expr):  # SymPy would execute a text
        raise TypeError(
            f"from_sympy: expected an expression of SymPy, got {type(formula).__name__}; for a "
            "text there is autograd.expression"
        )
    symbols = {symbol.name for symbol in formula.free_symbols}
    if missing := sorted(symbols - given.keys()):
        raise ValueError(f"from_sympy: {missing[0]} has no value; give one: {missing[0]}=1.0")
    if unused := sorted(given.keys() - symbols):
        raise ValueError(f"from_sympy: the expression has no symbol {unused[0]}")
    leaves = {n: v if isinstance(v, Ops) else Value(v, n) for n, v in given.items()}
    known: dict[Any, Any] = {}
    for part in sympy.postorder_traversal(formula):
        if part not in known:
            known[part] = _converted(part, known, leaves)
    result = known[formula]
    return result if isinstance(result, Value) else Value(result)


def _converted(part: Any, known: Mapping[Any, Any], leaves: Mapping[str, Any]) -> Any:
    """A part of an expression, all of whose own parts are known: a Value, a number, or a bool."""
    parts = [known[inner] for inner in part.args]
    if isinstance(part, sympy.Symbol) and part.name in leaves:  # not that of an integral
        return leaves[part.name]
    if isinstance(part, sympy.Pow):
        return _power(part.exp, *parts)
    if isinstance(part, sympy.Piecewise):
        return next((value for value, holds in parts if holds), float("nan"))
    if isinstance(part, sympy.functions.elementary.piecewise.ExprCondPair):
        return tuple(parts)
    for kind, join in _JOINED.items():
        if isinstance(part, kind):
            return reduce(join, parts)
    for kind, compare in _COMPARED.items():
        if isinstance(part, kind):
            return compare(*parts)
    if part in (sympy.true, sympy.false):
        return bool(part)
    if (not part.args and part.is_extended_real) or part is sympy.nan:
        return float(part)
    op = row_of(part.func.__name__)
    if op is not None and op.arity == len(parts):
        return op(*parts)
    raise ValueError(f"from_sympy: {part} is no operation of the table (`chainrule ops`)")


def _power(exponent: Any, x: Any, y: Any) -> Any:
    if exponent == sympy.Rational(1, 2):
        return rows()["sqrt"](x)
    return rows()["reciprocal"](x) if exponent == -1 else rows()["pow"](x, y)


def _of(name: str) -> Any:
    op = rows()[name]
    return lambda x, y: op(x, y)


_JOINED: dict[Any, Any] = {
    sympy.Add: _of("add"), sympy.Mul: _of("mul"), sympy.Max: _of("maximum"),
    sympy.Min: _of("minimum"), sympy.And: lambda x, y: x and y, sympy.Or: lambda x, y: x or y,
}  # fmt: skip
_COMPARED: dict[Any, Any] = {
    sympy.StrictLessThan: operator.lt, sympy.StrictGreaterThan: operator.gt,
    sympy.LessThan: operator.le, sympy.GreaterThan: operator.ge, sympy.Equality: operator.eq,
    sympy.Unequality: operator.ne, sympy.Not: operator.not_,
}  # fmt: skip
