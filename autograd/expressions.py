"""Expressions as text, such as `tanh(w*x + b)`, turned into Values; nothing is executed.

    h = tanh(w*x + b); (h - y)**2

Numbers, names, `+ - * / **`, brackets, and the functions of the op table.  `;` ends a part, and a
part with `=` gives its value a name for later parts.  The reader is a few loops over a text of
limited length: no input can run code, take long, or give anything but a Value or an
ExpressionError.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from autograd.elsewhere import did_you_mean
from autograd.ops import Ops
from autograd.rules import CONSTANTS
from autograd.value import Value, rows

LONGEST = 20_000  # characters
DEEPEST = 100  # nested brackets; one level takes several nested Python calls

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([^\W\d]\w*)|(\*\*|\S))"
)
_SUMS = {"+": "__add__", "-": "__sub__"}
_PRODUCTS = {"*": "__mul__", "/": "__truediv__"}
_SIGNS = "+-"
# Signs of printed text, and the keyboard's signs for them.
PRINTED = str.maketrans(
    "\N{MINUS SIGN}\N{EN DASH}\N{MULTIPLICATION SIGN}\N{MIDDLE DOT}\N{DIVISION SIGN}", "--**/"
)
_SUPERSCRIPTS = "\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
_ELSEWHERE = {"ln": "log", "sgn": "sign"}
_POWER = "a power is written **, as in x**2"


class ExpressionError(ValueError):
    """Raised for a text that is not an expression: the reason, an excerpt, and a caret."""

    def __init__(self, why: str, text: str = "", at: int = 0) -> None:
        self.why, self.at = why, at
        start = max(0, at - 30)
        excerpt = "".join(c if c.isprintable() else " " for c in text[start : at + 30])
        self.where = f"\n  {excerpt}\n  {' ' * (at - start)}^" if text else ""
        super().__init__(why + self.where)


def _row(method: str) -> Any:
    return vars(Ops)[method]


class _Reader:
    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self.text, self.values, self.depth = text, values, 0
        self.known: dict[str, Any] = {}
        self.used: set[str] = set()
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        printed = text.translate(PRINTED)
        while match := _TOKEN.match(printed, at):
            kind = "number" if match[1] else "name" if match[2] else "sign"
            self.tokens.append(
                (kind, match[match.lastindex or 0], match.start(match.lastindex or 0))
            )
            at = match.end()
        self.tokens.append(("end", "", len(text.rstrip())))
        self.k = 0

    def fail(self, why: str, at: int | None = None) -> ExpressionError:
        return ExpressionError(why, self.text, self.tokens[self.k][2] if at is None else at)

    def unexpected(self, expected: str) -> ExpressionError:
        """The error for the present token, which cannot follow an operand."""
        kind, text, at = self.tokens[self.k]
        if text == "^":
            return self.fail(_POWER)
        _, before, start = self.tokens[self.k - 1]
        if start + len(before) == at and (kind in ("number", "name") or text == "("):
            return self.fail(f"a product needs its *: write {before:.20}*{text:.20}")
        return self.fail(expected)

    def take(self, sign: str) -> bool:
        kind, text, _ = self.tokens[self.k]
        if kind == "sign" and text == sign:
            self.k += 1
            return True
        return False

    def parts(self) -> Any:
        """The value of the last part, after all parts are read."""
        while True:
            name = ""
            if self.tokens[self.k][0] == "name" and self.tokens[self.k + 1][1] == "=":
                name, at = self.tokens[self.k][1:]
                if name in self.known or name in self.values:
                    raise self.fail(f"{name} has a value already", at)
                self.k += 2
            result = self.sum()
            if name:
                if isinstance(result, Value) and not result.label:
                    result.label = name
                self.known[name] = result
            more = self.take(";")
            kind, text, _ = self.tokens[self.k]
            if kind == "end":
                return result
            if not more:
                raise self.unexpected(f"expected an operator, ';' or the end, got {text!r:.20}")

    def chain(self, operators: dict[str, str], part: Any) -> Any:
        left = part()
        while self.tokens[self.k][0] == "sign" and self.tokens[self.k][1] in operators:
            row = _row(operators[self.tokens[self.k][1]])
            self.k += 1
            left = row(left, part())
        return left

    def sum(self) -> Any:
        return self.chain(_SUMS, self.product)

    def product(self) -> Any:
        return self.chain(_PRODUCTS, self.signed)

    def signed(self) -> Any:
        """-a ** b is -(a ** b)."""
        signs = []
        while self.tokens[self.k][0] == "sign" and self.tokens[self.k][1] in _SIGNS:
            signs.append(self.tokens[self.k][1])
            self.k += 1
        result = self.power()
        for sign in reversed(signs):
            if sign == "-":
                result = _row("__neg__")(result)
        return result

    def power(self) -> Any:
        """a ** b ** c is a ** (b ** c), and the exponent may have a sign."""
        base = self.atom()
        at = self.tokens[self.k][2]
        if not self.take("**"):
            return base
        self.deeper()
        exponent = self.signed()
        self.depth -= 1
        result = _row("__pow__")(base, exponent)
        # A typing error, unlike 0 ** -1 or a power of a name, whose results may be infinite.
        if isinstance(result, float) and math.isinf(result) and 0.0 < abs(base) < math.inf:
            raise self.fail(f"{base:g} ** {exponent:g} is too large for a float", at)
        return result

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(f"nested more than {DEEPEST} deep; name a part, as in h = tanh(x); h*h")

    def atom(self) -> Any:
        kind, text, at = self.tokens[self.k]
        if kind == "number":
            number = float(text)
            if math.isinf(number):
                raise self.fail(f"{text:.20} is too large for a float")
            self.k += 1
            return number
        if kind == "name":
            self.k += 1
            if self.take("("):
                return self.call(text, at)
            return self.name(text, at)
        if self.take("("):
            self.deeper()
            result = self.sum()
            if not self.take(")"):
                raise self.unexpected("expected ')'")
            self.depth -= 1
            return result
        token = "the end" if kind == "end" else repr(text)
        raise self.fail(f"expected a number, a name or '(', got {token}")

    def call(self, name: str, at: int) -> Any:
        op = rows().get(name)
        if op is None:
            row = _ELSEWHERE.get(name, re.sub("^arc", "a", name))
            near = f"; write {row}(...)" if row in rows() else did_you_mean(name, rows())
            raise self.fail(f"unknown function {name!r:.40}{near}", at)
        self.deeper()
        arguments = []
        if not self.take(")"):
            arguments.append(self.sum())
            while self.take(","):
                arguments.append(self.sum())
            if not self.take(")"):
                raise self.unexpected("expected ',' or ')'")
        self.depth -= 1
        fewest = 1 if op.arity == 1 or op.default is not None else 2
        if not fewest <= len(arguments) <= op.arity:
            count = f"{fewest}" if fewest == op.arity else f"{fewest} or {op.arity}"
            raise self.fail(f"{name} takes {count} operand(s), got {len(arguments)}", at)
        return op(*arguments)

    def name(self, name: str, at: int) -> Any:
        if name in self.known:
            return self.known[name]
        if name in self.values:
            self.used.add(name)
            value: Any = self.values[name]
            self.known[name] = value if isinstance(value, Ops) else Value(value, name)
            return self.known[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in rows():
            raise self.fail(f"{name} is a function: write {name}(...)", at)
        if name[-1] in _SUPERSCRIPTS:
            raise self.fail(_POWER, at)
        near = "; write exp(1)" if name == "e" else did_you_mean(name, self.values)
        raise self.fail(f"{name:.40} has no value{near or f'; give one, as in {name:.40}=1.0'}", at)


def numbers(given: Iterable[tuple[str, str]]) -> dict[str, float]:
    """The numbers by name, from texts; ExpressionError for another text or a second number.

    >>> numbers([("w", "2"), ("x", "-1e3")])
    {'w': 2.0, 'x': -1000.0}
    """
    values: dict[str, float] = {}
    for name, number in given:
        if name in values:
            raise ExpressionError(f"{name} is given twice")
        try:
            values[name] = float(number.translate(PRINTED))
        except ValueError:
            raise ExpressionError(f"{name}: expected a number, got {number!r:.40}") from None
    return values


def expression(text: str, values: Mapping[str, Any] | None = None, **more: Any) -> Value:
    """The Value of an expression over named numbers; its leaves and named parts carry labels.

    A Value given for a name is used as it is.

    Raises ExpressionError, with a caret under the position, for text that is not in the language,
    for a name without a value, and for a value that is not used.

    >>> y = expression("tanh(w*x + b)", w=2, x=-1, b=0.5)
    >>> y.backward()
    >>> round(y.data, 4)
    -0.9051
    >>> expression("tanh(w * x", w=1, x=1)
    Traceback (most recent call last):
    autograd.expressions.ExpressionError: expected ',' or ')'
      tanh(w * x
                ^
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"longer than {LONGEST} characters ({len(text):,})", text, LONGEST)
    reader = _Reader(text, {**(values or {}), **more})
    result = reader.parts()
    if unused := [name for name in reader.values if name not in reader.used]:
        raise ExpressionError(f"{unused[0]:.40} has a value, but the expression has no such name")
    return Value(result) if isinstance(result, float) else result
