"""A row's formulas for display: plain numbers are filled in, and the formula is simplified."""

import ast
import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autograd import rules
from autograd.operation import Operation

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip
# `2 * v3` is written 2 v3 if the number is the first factor.
_PRODUCT = re.compile(r"(^|\(|[+-] )(\d+(?:\.\d+)?) \* (?=[xyz]\b)")
_OPERAND = re.compile(r"\b[xyz]\b")
_DOUBLED = re.compile(r"\((\(-[\d.e+-]+\))\)")


class _Simpler(ast.NodeTransformer):
    """Computes parts without operands, and reduces x ** 1, 1 * x, x * 1, x / 1 and x + 0 to x."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """The signed number, if the operand is a number."""
        self.generic_visit(node)
        x = _number(node.operand)
        if x is None:
            return node
        return ast.Constant(-x if isinstance(node.op, ast.USub) else x)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """The result for two numbers, or the operand that the other one does not change."""
        self.generic_visit(node)
        x, y = _number(node.left), _number(node.right)
        if x is not None and y is not None:
            return _computed(node, x, y)
        match node.op:
            case ast.Pow() if y == 1.0:
                return node.left
            case ast.Pow() if y == 0.0:
                return ast.Constant(1.0)
            case ast.Mult() if x == 1.0:
                return node.right
            case ast.Mult() | ast.Div() if y == 1.0:
                return node.left
            case ast.Add() if x == 0.0:
                return node.right
            case ast.Add() | ast.Sub() if y == 0.0:
                return node.left
        return node


def _number(tree: ast.expr) -> float | None:
    return tree.value if isinstance(tree, ast.Constant) else None  # type: ignore[return-value]


def _computed(node: ast.BinOp, x: float, y: float) -> ast.expr:
    try:
        result = _ARITHMETIC[type(node.op)](x, y)
    except (ArithmeticError, ValueError):
        return node
    return ast.Constant(result) if isinstance(result, float) and math.isfinite(result) else node


@dataclass(frozen=True)
class Formula:
    """A formula of a row in x, y and z, with plain numbers filled in.

    Attributes:
        text: the formula.
        bare: whether it is a name, a number or a call, which needs no brackets as a factor.
    """

    text: str
    bare: bool

    def named(self, names: Mapping[str, str]) -> str:
        """The formula with names for x, y and z, as on paper.

        >>> Formula("2 * x", False).named({"x": "v3"})
        '2 v3'
        """
        return _filled(_PRODUCT.sub(r"\1\2 ", self.text), names)

    def numbered(self, numbers: Mapping[str, str]) -> str:
        """The formula with numbers for x, y and z.

        >>> Formula("2 * x", False).numbered({"x": "(-0.5)"})
        '2 * (-0.5)'
        """
        return _filled(self.text, numbers)

    def factor(self, text: str) -> str:
        """The text of this formula as a factor of a product."""
        return text if self.bare else f"({text})"


def _filled(text: str, texts: Mapping[str, str]) -> str:
    return _DOUBLED.sub(r"\1", _OPERAND.sub(lambda match: texts.get(match[0], match[0]), text))


@functools.lru_cache(maxsize=4096)
def formula(
    op: Operation,
    which: int,
    x: float | None = None,
    y: float | None = None,
    number_format: str = ".4g",
) -> Formula:
    """The textbook's z (0), dz/dx (1) or dz/dy (2), simplified by operands that are plain numbers.

    >>> from autograd import rows
    >>> formula(rows()["pow"], 1, y=2.0).text
    '2 * x'
    """
    tree = ast.parse(op.textbook[which], mode="eval").body
    plain = {name: ast.Constant(n) for name, n in (("x", x), ("y", y)) if n is not None}
    if plain and which:  # the formula of a value is not simplified
        tree = _Simpler().visit(rules.substitute(_with_floats(tree), plain))
    else:
        tree = rules.substitute(tree, plain)
    bare = isinstance(tree, ast.Name | ast.Constant | ast.Call)
    return Formula(ast.unparse(_WithNumbers(number_format).visit(tree)), bare)


def _with_floats(tree: ast.expr) -> ast.expr:
    """The tree with floats in place of its whole numbers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = float(node.value)  # type: ignore[arg-type]
    return tree


class _WithNumbers(ast.NodeTransformer):
    """Replaces numbers with their texts."""

    def __init__(self, number_format: str) -> None:
        self.format = number_format

    def visit_Constant(self, node: ast.Constant) -> ast.Name:
        """The number's text, in brackets if it has a sign."""
        text = format(node.value, self.format)
        return ast.Name(f"({text})" if text.startswith("-") else text)
