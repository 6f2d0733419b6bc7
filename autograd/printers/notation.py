"""Formulas as they are written on paper, in any notation: which parts need brackets."""

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

# How tightly each form binds, so that there are no more brackets than needed.
CHOICE, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)
Texts = Mapping[str, tuple[str, int]]  # what stands for a name, and how tightly it binds
_ORDER: Final = {ast.Lt: "<", ast.Gt: ">"}
_INDEXED: Final = re.compile(r"([^\W\d_])(?:_?(\d+)|_([a-z]))?")


def indexed(name: str) -> tuple[str, str] | None:
    """The letter and the index of a name like w, w1, w_1 or w_i; None for a longer name.

    >>> indexed("w12"), indexed("p_k"), indexed("x"), indexed("loss")
    (('w', '12'), ('p', 'k'), ('x', ''), None)
    """
    parts = _INDEXED.fullmatch(name)
    return (parts[1], parts[2] or parts[3] or "") if parts else None


class Notation(ABC):
    """A way to write formulas; a subclass says how each form is written."""

    @abstractmethod
    def number(self, mantissa: str, exponent: int | None) -> str:
        """A number, such as 1.5 or 1.5 times a power of ten."""

    @abstractmethod
    def symbol(self, name: str) -> str:
        """A name; pi and inf are the circle's number and infinity."""

    @abstractmethod
    def bracketed(self, inside: str) -> str:
        """A formula in brackets."""

    @abstractmethod
    def signed(self, sign: str, operand: str) -> str:
        """A formula with a sign."""

    @abstractmethod
    def joined(self, left: str, sign: str, right: str) -> str:
        """A sum, a difference or a comparison."""

    @abstractmethod
    def product(self, left: str, right: str) -> str:
        """A product; there is a dot before a number, because 2 3 would be read as 23."""

    @abstractmethod
    def quotient(self, above: str, below: str) -> str:
        """A quotient of two formulas without brackets."""

    @abstractmethod
    def power(self, base: str, exponent: str) -> str:
        """A power."""

    @abstractmethod
    def call(self, name: str, arguments: list[str]) -> str:
        """A function of arguments."""

    @abstractmethod
    def total(self, index: str, term: str) -> str:
        """A sum over an index."""

    @abstractmethod
    def cases(self, cases: list[tuple[str, str]], otherwise: str) -> str:
        """A formula for each condition, and one otherwise."""

    # Whether a quotient is a fraction, with one formula above the other.
    fractions = True

    def written(self, text: str, texts: Texts | None = None) -> str:
        """A formula of the rows' language, with other texts for some names."""
        return self.form(ast.parse(text, mode="eval").body, texts or {})[0]

    def statements(self, text: str) -> list[tuple[str, tuple[str, int]]]:
        """The names and the formulas in a text like '-log(p_1); p_i = ...'; the first has none."""
        statements = []
        for statement in ast.parse(text).body:
            assert isinstance(statement, ast.Expr | ast.Assign)
            names = statement.targets if isinstance(statement, ast.Assign) else []
            name = "".join(self.form(name, {})[0] for name in names)
            statements.append((name, self.form(statement.value, {})))
        return statements

    def lines(self, text: str) -> list[str]:
        """The same, as a line for each formula."""
        return [
            self.joined(name, "=", formula) if name else formula
            for name, (formula, _) in self.statements(text)
        ]

    def _within(self, tree: ast.expr, level: int, texts: Texts) -> str:
        text, own = self.form(tree, texts)
        return text if own >= level else self.bracketed(text)

    def form(self, tree: ast.expr, texts: Texts) -> tuple[str, int]:
        """A formula, and how tightly it binds."""
        match tree:
            case ast.Name(id=name) if name in texts:
                return texts[name]
            case ast.Name(id=name):
                return self.symbol(name), ATOM
            case ast.Constant(value=float() | int() as value):
                mantissa, e, exponent = f"{value:g}".partition("e")
                level = PRODUCT if e else ATOM
                return self.number(mantissa, int(exponent) if e else None), level
            case ast.UnaryOp(op=sign, operand=operand):
                symbol = "-" if isinstance(sign, ast.USub) else "+"
                return self.signed(symbol, self._within(operand, PRODUCT, texts)), SIGN
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._quotient(left, right, texts)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                raised = self._within(right, CHOICE if self.fractions else ATOM, texts)
                return self.power(self._within(left, ATOM, texts), raised), POWER
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                factors = self._within(left, PRODUCT, texts), self._within(right, POWER, texts)
                return self.product(*factors), PRODUCT
            case ast.BinOp(left=left, op=sign, right=right):
                # A sign after a sign needs brackets, and so does a difference that is subtracted.
                first, second = self._within(left, SUM, texts), self._addend(right, texts)
                return self.joined(first, "+" if isinstance(sign, ast.Add) else "-", second), SUM
            case ast.IfExp():
                return self._cases(tree, texts), CHOICE
            case ast.Call(func=ast.Name(id=name), args=[term]) if name.startswith("sum_"):
                summed = self._within(term, PRODUCT, texts)
                return self.total(name.removeprefix("sum_"), summed), POWER
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.call(name, [self.form(a, texts)[0] for a in arguments]), ATOM
        raise AssertionError(ast.dump(tree))  # the language has nothing else

    def _addend(self, tree: ast.expr, texts: Texts) -> str:
        text, own = self.form(tree, texts)
        return text if own >= PRODUCT and own != SIGN else self.bracketed(text)

    def _quotient(self, left: ast.expr, right: ast.expr, texts: Texts) -> tuple[str, int]:
        if isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub):
            return self.signed("-", self._quotient(left.operand, right, texts)[0]), SIGN
        if self.fractions:
            return self.quotient(self.form(left, texts)[0], self.form(right, texts)[0]), ATOM
        above, below = self._within(left, PRODUCT, texts), self._within(right, POWER, texts)
        return self.quotient(above, below), PRODUCT

    def _cases(self, tree: ast.IfExp, texts: Texts) -> str:
        cases = []
        other: ast.expr = tree
        while isinstance(other, ast.IfExp):
            cases.append((self.form(other.body, texts)[0], self._condition(other.test, texts)))
            other = other.orelse
        return self.cases(cases, self.form(other, texts)[0])

    def _condition(self, test: ast.expr, texts: Texts) -> str:
        assert isinstance(test, ast.Compare)
        left, right = self.form(test.left, texts)[0], self.form(test.comparators[0], texts)[0]
        return self.joined(left, _ORDER[type(test.ops[0])], right)
