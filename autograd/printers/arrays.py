"""Rows as functions of NumPy arrays."""

import ast
import math
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from autograd import rules
from autograd.operation import Operation
from autograd.ops import rows


class _Arrays(ast.NodeTransformer):
    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        parts = [self.visit(part) for part in (node.test, node.body, node.orelse)]
        return ast.Call(ast.Name("where"), parts, [])


class Functions:
    """Functions of arrays under their names in `math`: NumPy's, or else number by number."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = next((f for f in _candidates(name) if agrees(f, name)), None)
        if function is None:
            exact = row_of(name)
            by_number = np.frompyfunc(exact.value, exact.arity, 1)
            function = lambda *arrays: by_number(*arrays).astype(np.float64)  # noqa: E731
        setattr(self, name, function)
        return function


def row_of(libm: str) -> Operation:
    """The row that is a function of libm; AttributeError if none is."""
    for op in rows().values():
        if op.libm == libm:
            return op
    raise AttributeError(f"no row is the function {libm!r} of libm")


def _candidates(name: str) -> list[Any]:
    """NumPy's functions that may be this function of `math`: its asin is called arcsin."""
    names = (name, "arc" + name[1:], {"pow": "power"}.get(name, name))
    functions = [getattr(np, other, None) for other in names]
    return [function for function in functions if isinstance(function, np.ufunc)]


def agrees(function: Any, name: str) -> bool:
    """Whether NumPy's function is the one of `math`: its `remainder` is not."""
    own = getattr(math, name)
    for operands in ((-1.75, 2.5), (2.5, -1.75), (0.375, 0.625), (1.5, 3.25)):
        with suppress(ValueError):
            expected = own(*operands[: function.nin])
            if not abs(function(*operands[: function.nin]) - expected) <= 1e-12 * abs(expected):
                return False
    return True


NUMPY = Functions()


def text(tree: ast.expr) -> str:
    """A rule's tree as an expression of arrays."""
    return ast.unparse(_Arrays().visit(ast.parse(rules.fast(tree, rows()), mode="eval").body))


def defined(
    name: str, parameters: str, parts: dict[str, ast.expr], results: str
) -> Callable[..., Any]:
    """The function of arrays that computes the parts and returns the results."""
    lines = [f"{part} = {text(tree)}" for part, tree in parts.items()]
    source = "\n    ".join([f"def {name}({parameters}):", *lines, f"return {results}"])
    names = {**rules.CONSTANTS, "math": NUMPY, "where": np.where}
    function: Callable[..., Any] = rules.define(name, source + "\n", names)
    return function


@cache
def row_of_arrays(op: Operation) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The row's value and its local derivatives; each function returns a tuple."""

    def function(name: str, parameters: str, trees: list[ast.expr]) -> Callable[..., Any]:
        results = ", ".join(map(text, trees)) + ","
        return defined(f"{op.name}_{name}", parameters, rules.parts(op, *trees), results)

    values = function("values", "x, y", [op.value_tree])
    return values, function("slopes", "x, y, z", op.partial_trees)
