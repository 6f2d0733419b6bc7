r"""Rows and graphs as LaTeX: \frac for a quotient, cases for a choice."""

import ast
import itertools
import re
from collections.abc import Mapping
from typing import Any

from autograd.order import topological
from autograd.printers.notation import ATOM, POWER, SIGN, Notation, indexed
from autograd.textbook import formula_of, shown

_FUNCTIONS = {"cos", "cosh", "exp", "log", "sin", "sinh", "tan", "tanh"}  # of LaTeX itself
_CONSTANTS = {"pi": r"\pi", "inf": r"\infty"}
_LONGEST = 300  # operations; nobody can read a longer formula


class Latex(Notation):
    """LaTeX for math mode with amsmath."""

    def number(self, mantissa: str, exponent: int | None) -> str:
        """A number, such as 1.5 or 1.5 times a power of ten."""
        return mantissa if exponent is None else rf"{mantissa} \cdot 10^{{{exponent}}}"

    def symbol(self, name: str) -> str:
        """A name with its index as a subscript; a longer name is upright."""
        return _CONSTANTS.get(name) or symbol(name)

    def bracketed(self, inside: str) -> str:
        """A formula in brackets."""
        return rf"\left({inside}\right)"

    def signed(self, sign: str, operand: str) -> str:
        """A formula with a sign."""
        return sign + operand

    def joined(self, left: str, sign: str, right: str) -> str:
        """A sum, a difference or a comparison."""
        return f"{left} {sign} {right}"

    def product(self, left: str, right: str) -> str:
        """A product."""
        return rf"{left} \cdot {right}" if right[0].isdigit() else rf"{left} \, {right}"

    def quotient(self, above: str, below: str) -> str:
        """A fraction."""
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str) -> str:
        """A power."""
        return f"{base}^{{{exponent}}}"

    def call(self, name: str, arguments: list[str]) -> str:
        """A function of arguments."""
        escaped = name.replace("_", r"\_")
        function = rf"\{name}" if name in _FUNCTIONS else rf"\operatorname{{{escaped}}}"
        return function + self.bracketed(", ".join(arguments))

    def total(self, index: str, term: str) -> str:
        """A sum over an index."""
        return rf"\sum_{{{index}}} {term}"

    def cases(self, cases: list[tuple[str, str]], otherwise: str) -> str:
        """A formula for each condition, and one otherwise."""
        lines = [rf"{formula} & \text{{if }} {condition}" for formula, condition in cases]
        lines.append(rf"{otherwise} & \text{{otherwise}}")
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"


_LATEX = Latex()


def latex(text: str) -> str:
    r"""A row's text as LaTeX, for math mode with amsmath.

    >>> latex("-z / y"), latex("x ** (y - 1)"), latex("2 * x * exp(-x)")
    ('-\\frac{z}{y}', 'x^{y - 1}', '2 \\, x \\, \\exp\\left(-x\\right)')
    """
    return _LATEX.written(text)


def symbol(name: str) -> str:
    r"""A name as a symbol: its index is a subscript, and a longer name is upright.

    >>> symbol("w"), symbol("w1"), symbol("p_k"), symbol("loss")
    ('w', 'w_{1}', 'p_{k}', '\\mathrm{loss}')
    """
    parts = indexed(name)
    if parts:
        return f"{parts[0]}_{{{parts[1]}}}" if parts[1] else parts[0]
    escaped = re.sub(
        r"([\\{}$&#^_%~])", lambda match: _ESCAPED.get(match[1], "\\" + match[1]), name
    )
    return rf"\mathrm{{{escaped}}}"


_ESCAPED = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim "}


def number(x: float) -> tuple[str, int]:
    """A number to four digits, and how tightly it binds."""
    size = f"{abs(x):.4g}"
    text, level = _LATEX.form(
        ast.Constant(float(size)) if size[0].isdigit() else ast.Name(size), {}
    )
    return (f"-{text}", SIGN) if x < 0 else (text, level)


def typeset(root: Any, detail: str = "computed") -> str:
    """The formula of a node: one line, and before it a line for each part with a name.

    A part has a name if it has a label or is used more than once.  With detail "textbook", the
    formula that is taught stands for what was computed; of several with meanings of their own, such
    as p_i, each has a line with them.  Raises ValueError for a graph of more than
    300 operations.
    """
    order, parts = shown(topological(root), detail)
    inner = [node for node in order if node.op is not None]
    if len(inner) > _LONGEST:
        raise ValueError(
            f"latex: a formula of {len(inner):,} operations cannot be read; typeset a part of it, "
            "such as an inner node or the loss of one sample"
        )
    behind = {operand for part in parts.values() for operand in part.operands}
    uses = dict.fromkeys(order, 0)
    for node in inner:
        for parent in parts[node].operands if node in parts else node.parents:
            uses[parent] += 1
    texts: dict[Any, tuple[str, int]] = {}
    lines = []
    several = sum(";" in formula_of(node.row.scope) for node in parts) > 1
    meanings: dict[Any, list[tuple[str, str]]] = {}
    seen: dict[str, int] = {}
    numbers = itertools.count(1)
    for node in order:
        if node in parts:
            (_, texts[node]), *others = _LATEX.statements(formula_of(node.row.scope))
            if others:
                meanings[node] = [(name, text) for name, (text, _) in others]
        elif node.op is not None:
            texts[node] = _formula(node, texts)
        name = node.label
        own_line = several and node in meanings
        if not name and (node.op is None or uses[node] > 1 or node in behind or own_line):
            name = f"v{next(numbers)}"
        aside = ""
        if own_line:
            aside = "".join(rf",\quad {name} = {text}" for name, text in meanings.pop(node))
        if node is root:
            line = f"{symbol(name)} &= {_text(node, texts)}" if name else f"& {texts[node][0]}"
            lines.append(line + aside)
        elif name:
            seen[name] = seen.get(name, 0) + 1
            called = symbol(name), ATOM
            if seen[name] > 1:  # another node with the same label
                called = f"{symbol(name)}^{{({seen[name]})}}", POWER
            if node.op is not None:
                lines.append(f"{called[0]} &= {texts[node][0]}{aside}")
            texts[node] = called
    lines += [f"{name} &= {text}" for pairs in meanings.values() for name, text in pairs]
    if len(lines) == 1:
        return lines[0].replace("&", "", 1).strip()
    return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"


def _text(node: Any, texts: Mapping[Any, tuple[str, int]]) -> str:
    return texts[node][0] if node.op is not None else number(node.data)[0]


def _formula(node: Any, texts: Mapping[Any, tuple[str, int]]) -> tuple[str, int]:
    """A node's operation over the formulas of its operands."""
    operands = {"x": node.x if node.a is None else texts[node.a]}
    if node.op.arity == 2:
        operands["y"] = node.y if node.b is None else texts[node.b]
    known = {
        name: number(text) if isinstance(text, float) else text for name, text in operands.items()
    }
    return _LATEX.form(ast.parse(node.op.textbook[0], mode="eval").body, known)
