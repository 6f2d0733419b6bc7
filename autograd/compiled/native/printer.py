"""The printer of a row's tree as vector code, for several numbers at once.

LLVM's own instructions are used where they exist.  Some functions of libm have vector forms
(`functions.py`); the others are called once for each number.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Self

from autograd import rules
from autograd.compiled.native.functions import EXPONENTS, VECTORS, each, power
from autograd.compiled.native.ir import Function, Term
from autograd.compiled.native.reals import Reals
from autograd.operation import Operation
from autograd.value import rows

Number = float | Term
_NEAR_1 = 2.0**24  # smaller numbers are more than the rounding errors of single precision
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
}  # fmt: skip
# LLVM has these under the same names, and processors as instructions.
_BUILT_IN = frozenset({"fabs", "sqrt"})


@cache
def is_for_doubles(op: Operation) -> bool:
    """Whether a row counts on the rounding of doubles: a number in its texts is far from 1.

    >>> is_for_doubles(rows()["floor"]), is_for_doubles(rows()["tanh"])
    (True, False)
    """
    todo, done = [op], {op.name}
    for row in todo:  # and every row that it calls
        for tree in (row.value_tree, *row.partial_trees, *row.where_trees.values()):
            numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            sizes = [abs(float(number)) for number in numbers if number]  # type: ignore[arg-type]
            if any(not 1 / _NEAR_1 < size < _NEAR_1 for size in sizes):
                return True
            called = rules.calls(tree) - done
            todo += [rows()[name] for name in sorted(called)]
            done |= called
    return False


class Printer:
    """Prints trees whose operands are vectors or known numbers.

    It computes in the type `real`, and gives results in the function's own.  A row that is called
    is printed with its own operands, once per set of operands.  Its text is not copied into its
    caller's text, which could double the text with each row in a chain.
    """

    def __init__(
        self, f: Function, names: Mapping[str, Number], real: Reals, width: int,
        called: dict[Any, Number] | None = None,
    ) -> None:  # fmt: skip
        self.f, self.real, self.width = f, real, width
        self.names = {k: x.to(real) if isinstance(x, Term) else x for k, x in names.items()}
        self._printed: dict[str, Number] = {}
        self._called: dict[Any, Number] = {} if called is None else called

    def term(self, tree: ast.expr) -> Term:
        """The tree's value as a vector."""
        return self._term(tree).to(self.f.real)

    def _term(self, tree: ast.expr) -> Term:
        return self._as_term(self.number(tree))

    def _as_term(self, number: Number) -> Term:
        return number if isinstance(number, Term) else self.f.number(number, self.width, self.real)

    def number(self, tree: ast.expr) -> Number:
        """The tree's value: a plain number if it depends only on known numbers."""
        match tree:
            case ast.Constant(value=value):
                return float(value)  # type: ignore[arg-type]
            case ast.Name(id=name):
                return self.names[name] if name in self.names else rules.CONSTANTS[name]
        key = ast.unparse(tree)
        if key not in self._printed:
            self._printed[key] = self._composed(tree)
        return self._printed[key]

    def _composed(self, tree: ast.expr) -> Number:
        match tree:
            case ast.UnaryOp(op=op, operand=operand):
                x = self.number(operand)
                return x if isinstance(op, ast.UAdd) else -x
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(op, self.number(left), self.number(right))
            case ast.IfExp(test=ast.Compare() as test, body=body, orelse=orelse):
                return self._choice(test, body, orelse)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._row(rows()[name], [self._term(part) for part in args])
        raise AssertionError(ast.unparse(tree))

    def _arithmetic(self, op: ast.operator, x: Number, y: Number) -> Number:
        known = not isinstance(x, Term) and not isinstance(y, Term)
        if isinstance(op, ast.Pow):
            if known:
                return float(rules.power(x, y))
            if isinstance(x, Term) and not isinstance(y, Term) and y in EXPONENTS:
                return power(x, y)
            return each("pow", self._as_term(x), self._as_term(y))
        if isinstance(op, ast.Div):
            return float(rules.divide(x, y)) if known else x / y
        return _ARITHMETIC[type(op)](x, y)  # type: ignore[no-any-return]

    def _choice(self, test: ast.Compare, body: ast.expr, orelse: ast.expr) -> Number:
        """One of two values; a function that both share is computed once, on a chosen operand."""
        match body, orelse:
            case ast.Call(func=ast.Name(id=name), args=[x]), ast.Call(
                func=ast.Name(id=other), args=[y]
            ) if name == other:
                return self.number(ast.Call(body.func, [ast.IfExp(test, x, y)], []))
            case ast.BinOp(left=x, op=ast.Div(), right=below), ast.BinOp(
                left=y, op=ast.Div(), right=beneath
            ) if ast.unparse(below) == ast.unparse(beneath):
                return self.number(ast.BinOp(ast.IfExp(test, x, y), ast.Div(), below))
        left, right = self.number(test.left), self.number(test.comparators[0])
        less = isinstance(test.ops[0], ast.Lt)
        if not isinstance(left, Term) and not isinstance(right, Term):
            return self.number(body if (left < right if less else left > right) else orelse)
        mask = self._as_term(left).compare("olt" if less else "ogt", self._as_term(right))
        return mask.select(self._term(body), self._term(orelse))

    def _row(self, op: Operation, arguments: list[Term]) -> Number:
        """The value of another row."""
        if op.libm:
            return self._function(op.libm, arguments)
        key = op.name, *(x.text for x in arguments)
        if key not in self._called:
            names = dict(zip("xy", arguments, strict=False))
            inner = Printer(self.f, names, self.real, self.width, self._called)
            self._called[key] = inner.with_parts(op, op.value_tree).number(op.value_tree)
        return self._called[key]

    def with_parts(self, op: Operation, *wanted: ast.expr) -> Self:
        """This printer, after printing the shared parts of a row that the wanted trees need."""
        for name, tree in rules.parts(op, *wanted).items():
            self.names[name] = self.number(tree)
        return self

    def _function(self, name: str, arguments: list[Term]) -> Term:
        """A function of libm."""
        if name in VECTORS:
            return VECTORS[name](*arguments)
        return self.f.intrinsic(name, *arguments) if name in _BUILT_IN else each(name, *arguments)
