"""Rows as JAX functions of float64 arrays, with the table's own derivatives."""

import ast
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
from jax.custom_derivatives import SymbolicZero

from autograd import rules
from autograd.operation import Operation
from autograd.ops import rows

_FAMILIES = ((ast.Add, ast.Sub), (ast.Mult, ast.Div))


class _Jax(ast.NodeTransformer):
    """Arrays in place of numbers.

    XLA takes x + c - c for x, and 1 / t / t for 1 / (t * t), which overflows.  So a barrier is set
    between two operations that it could join.
    """

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        parts = []
        for part in (node.left, node.right):
            inner = part.operand if isinstance(part, ast.UnaryOp) else part
            joined = isinstance(inner, ast.BinOp) and any(
                isinstance(node.op, family) and isinstance(inner.op, family) for family in _FAMILIES
            )
            visited = self.visit(part)
            parts.append(ast.Call(ast.Name("apart"), [visited], []) if joined else visited)
        return ast.BinOp(parts[0], node.op, parts[1])

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        parts = [self.visit(part) for part in (node.test, node.body, node.orelse)]
        return ast.Call(ast.Name("where"), parts, [])


class Functions:
    """JAX's functions under their names in `math`."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # JAX calls asin arcsin too, as NumPy does; fabs and pow have other names.
        for other in (name, {"pow": "power", "fabs": "abs"}.get(name, name)):
            for module in (jnp, jax.scipy.special):
                if hasattr(module, other):
                    setattr(self, name, getattr(module, other))
                    return getattr(module, other)  # type: ignore[no-any-return]
        raise NotImplementedError(
            f"JAX has no function {name}; if it has one of another name, add that to "
            "autograd/printers/jax.py"
        )


_NAMES = {
    **rules.CONSTANTS, "math": Functions(), "where": jnp.where,
    "apart": jax.lax.optimization_barrier,
}  # fmt: skip


def _function(name: str, parameters: str, op: Operation, tree: ast.expr) -> Callable[..., Any]:
    """A rule of the row as a function of arrays."""

    def text(tree: ast.expr) -> str:
        return ast.unparse(_Jax().visit(ast.parse(rules.fast(tree, rows()), mode="eval").body))

    lines = [f"{part} = apart({text(shared)})" for part, shared in rules.parts(op, tree).items()]
    # XLA would join the last operation with that of the next row.
    result = f"apart({text(tree)})" if isinstance(tree, ast.BinOp) else text(tree)
    source = "\n    ".join([f"def {name}({parameters}):", *lines, f"return {result}"])
    return rules.define(name, source + "\n", _NAMES)


def _slope(op: Operation, k: int) -> Callable[..., Any]:
    """A local derivative as a function of the operands and the result."""
    name = f"d{'xy'[k]}"
    if name in op.slopes:  # a row, whose own derivatives are in the table
        row = row_of_jax(op.slopes[name])
        return lambda *operands_and_result: row(*operands_and_result[: op.arity])
    parameters = "x, z" if op.arity == 1 else "x, y, z"
    return _function(f"{op.name}_{name}", parameters, op, op.partial_trees[k])


@cache
def row_of_jax(op: Operation) -> Callable[..., Any]:
    """The row as a function of arrays that `jit`, `vmap`, `grad` and `jvp` understand.

    Its derivatives are those of the row, also where JAX's own conventions differ.

    >>> from autograd import rows
    >>> with jax.enable_x64(True):
    ...     print(jax.grad(row_of_jax(rows()["relu"]))(0.0), row_of_jax(rows()["sigmoid"])(-800.0))
    0.0 0.0
    """
    if op.functions:
        raise NotImplementedError(op.unknown_to("JAX"))
    given = "xy"[: op.arity]
    function = jax.custom_jvp(_function(op.name, ", ".join(given), op, op.value_tree))
    slopes = [_slope(op, k) for k in range(op.arity)]

    def tangent(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        z = function(*primals)
        total = jnp.zeros_like(z)
        for slope, t in zip(slopes, tangents, strict=True):
            if isinstance(t, SymbolicZero):  # a constant exponent: log(x) may be nan
                continue
            # What is nan has nan derivatives, whatever the formulas give for its operands.
            total += jnp.where(z != z, z, slope(*primals, z)) * t
        return z, total

    function.defjvp(tangent, symbolic_zeros=True)
    return function  # type: ignore[no-any-return]


def refuse_single_precision(what: str) -> None:
    """Raise TypeError unless JAX computes in float64: the rows are written for doubles."""
    if jnp.zeros(()).dtype != jnp.float64:
        raise TypeError(
            f"{what} needs float64, and JAX has it switched off: call it inside "
            "`with jax.enable_x64(True):`, or set JAX_ENABLE_X64=1"
        )
