"""Rules of rows as source text in another language: the walk that the printers share."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autograd import rules
from autograd.operation import Operation
from autograd.ops import rows

# How tightly a text binds.
_ANY, _SUM, _PRODUCT, _SIGN, ATOM = range(5)
FACTOR = _SIGN  # the least that a factor on the right of a product needs
_OPERATORS: dict[type, tuple[str, int]] = {
    ast.Add: ("+", _SUM), ast.Sub: ("-", _SUM), ast.Mult: ("*", _PRODUCT), ast.Div: ("/", _PRODUCT),
}  # fmt: skip


@dataclass(frozen=True)
class Language:
    """How a language writes what the rules are made of.

    Attributes:
        name: for messages.
        number: the text of a number; constants such as inf are numbers.
        power: a template for x ** y.
        choice: a template for a choice, of the test, the result if it holds, and the other.
        function: the text of a call of a row; NotImplementedError if the language has none.
        definition: the text of a function: its name, parameters, lines and result.
        assignment: a template for a line that names a part of a function.
        libm_only: whether the rows that are no function of libm are written out.
        of_power: the least tight operands of a power that need no brackets.
    """

    name: str
    number: Callable[[float], str]
    power: str
    choice: str
    function: Callable[[Operation, list[str]], str]
    definition: Callable[[str, list[str], list[str], str], str]
    assignment: str
    libm_only: bool = False
    of_power: int = _ANY

    def text(self, tree: ast.expr, names: Mapping[str, str], least: int = _ANY) -> str:
        """A rule, with `names` as the texts of its operands.

        It is in brackets if it binds less tightly than `least`.
        """
        text, level = self._printed(tree, names)
        return f"({text})" if level < least else text

    def _printed(self, tree: ast.expr, names: Mapping[str, str]) -> tuple[str, int]:
        """A rule, and how tightly it binds: the same in C and in Python."""
        match tree:
            case ast.Constant(value=value):
                return self.number(float(value)), ATOM  # type: ignore[arg-type]
            case ast.Name(id=name):
                known = names[name] if name in names else self.number(rules.CONSTANTS[name])
                return known, ATOM
            case ast.UnaryOp(op=sign, operand=operand):
                inside = self.text(operand, names, ATOM)
                return f"{'-' if isinstance(sign, ast.USub) else '+'}{inside}", _SIGN
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                operands = (self.text(part, names, self.of_power) for part in (left, right))
                return self.power.format(*operands), ATOM
            case ast.BinOp(left=left, op=sign, right=right):
                symbol, level = _OPERATORS[type(sign)]
                x, y = self.text(left, names, level), self.text(right, names, level + 1)
                return f"{x} {symbol} {y}", level
            case ast.IfExp(test=ast.Compare(left=left, ops=[order], comparators=[right])):
                symbol = "<" if isinstance(order, ast.Lt) else ">"
                x, y = self.text(left, names, _SUM), self.text(right, names, _SUM)
                branches = (self.text(part, names) for part in (tree.body, tree.orelse))
                return self.choice.format(f"{x} {symbol} {y}", *branches), ATOM
            case ast.Call(func=ast.Name(id=name), args=arguments):
                inside_all = [self.text(argument, names) for argument in arguments]
                return self.function(rows()[name], inside_all), ATOM
        raise AssertionError(ast.dump(tree))  # the language has nothing else


class Definitions:
    """The functions of rules that a source needs, each defined once."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.texts: dict[str, str] = {}

    def call(
        self,
        op: Operation,
        prefix: str,
        tree: ast.expr,
        operands: Mapping[str, str],
        least: int = _ANY,
    ) -> str:
        """A rule of the row over the texts of operands.

        A rule of a single operation is written out; for a longer one a function is defined.
        """
        if op.functions:
            raise NotImplementedError(op.unknown_to(self.language.name))
        full, shared = self._complete(tree), rules.parts(op, tree)
        try:
            if not shared and _is_short(full):
                return self.language.text(full, operands, least)
            used = [o for o in operands if any(rules.uses(t, o) for t in (tree, *shared.values()))]
            name = f"{prefix}_{op.name}"
            if not name.isascii():  # a row's name may be any identifier of Python
                name = prefix + "".join(c if c.isascii() else f"_{ord(c):x}" for c in op.name)
            if name not in self.texts:
                self.texts[name] = self._defined(name, used, shared, full)
        except NotImplementedError as error:
            raise NotImplementedError(f"{op.name}: {error}") from None
        return f"{name}({', '.join(operands[o] for o in used)})"

    def _complete(self, tree: ast.expr) -> ast.expr:
        return rules.expand(tree, rows()) if self.language.libm_only else tree

    def _defined(
        self, name: str, parameters: list[str], shared: Mapping[str, ast.expr], tree: ast.expr
    ) -> str:
        known = {operand: operand for operand in "xyz"}
        lines = []
        for k, (part, rule) in enumerate(shared.items()):
            # A keyword of the language with a _ behind it is a name, and so is p with a number.
            own = f"{part}_" if part.isascii() else f"p{k}_"
            text = self.language.text(self._complete(rule), known)
            lines.append(self.language.assignment.format(own, text))
            known[part] = own
        result = self.language.text(tree, known)
        return self.language.definition(name, parameters, lines, result)


def _is_short(tree: ast.expr) -> bool:
    """Whether a rule is at most one operation."""
    inside = ast.BinOp | ast.UnaryOp | ast.Call | ast.IfExp
    return sum(isinstance(node, inside) for node in ast.walk(tree)) <= 1


def remark(text: str) -> str:
    """A text from outside as part of a comment, which it cannot end in any language.

    >>> remark("w[0]*/ system()")
    'w[0]__ system()'
    """
    return "".join(c if c.isascii() and (c.isalnum() or c in " _.,()[]-+=") else "_" for c in text)
