r"""Rows and graphs as LaTeX: \frac for a quotient, cases for a choice."""

import ast
import itertools
import re
from collections.abc import Mapping
from typing import Any

from autograd.order import topological

# How tightly each form binds, so that there are no more brackets than needed.
_CHOICE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(6)
_ORDER = {ast.Lt: "<", ast.Gt: ">"}
_FUNCTIONS = {"cos", "cosh", "exp", "log", "sin", "sinh", "tan", "tanh"}  # of LaTeX itself
_LONGEST = 300  # operations; nobody can read a longer formula
Texts = Mapping[str, tuple[str, int]]  # what stands for a name, and how tightly it binds


def latex(text: str) -> str:
    r"""A row's text as LaTeX, for math mode with amsmath.

    >>> latex("-z / y"), latex("x ** (y - 1)"), latex("2 * x * exp(-x)")
    ('-\\frac{z}{y}', 'x^{y - 1}', '2 \\, x \\, \\exp\\left(-x\\right)')
    """
    return _printed(ast.parse(text, mode="eval").body, {})[0]


def _within(tree: ast.expr, level: int, texts: Texts) -> str:
    text, own = _printed(tree, texts)
    return text if own >= level else rf"\left({text}\right)"


def _printed(tree: ast.expr, texts: Texts) -> tuple[str, int]:
    match tree:
        case ast.Name(id=name) if name in texts:
            return texts[name]
        case ast.Constant(value=float() | int() as value):
            mantissa, e, exponent = f"{value:g}".partition("e")
            return (
                (rf"{mantissa} \cdot 10^{{{int(exponent)}}}", _PRODUCT) if e else (mantissa, _ATOM)
            )
        case ast.Name(id="pi"):
            return r"\pi", _ATOM
        case ast.Name(id="inf"):
            return r"\infty", _ATOM
        case ast.Name(id=name):
            return (name if len(name) == 1 else rf"\mathrm{{{name}}}"), _ATOM
        case ast.UnaryOp(op=sign, operand=operand):
            symbol = "-" if isinstance(sign, ast.USub) else "+"
            return symbol + _within(operand, _PRODUCT, texts), _SIGN
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            if isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub):
                quotient = ast.BinOp(left.operand, ast.Div(), right)
                return "-" + _printed(quotient, texts)[0], _SIGN
            return rf"\frac{{{_printed(left, texts)[0]}}}{{{_printed(right, texts)[0]}}}", _ATOM
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_within(left, _ATOM, texts)}^{{{_printed(right, texts)[0]}}}", _POWER
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return rf"{_within(left, _PRODUCT, texts)} \, {_within(right, _POWER, texts)}", _PRODUCT
        case ast.BinOp(left=left, op=sign, right=right):
            symbol = "+" if isinstance(sign, ast.Add) else "-"
            # A sign after a sign needs brackets, and so does a difference that is subtracted.
            return f"{_within(left, _SUM, texts)} {symbol} {_within(right, _PRODUCT, texts)}", _SUM
        case ast.IfExp():
            lines = []
            other: ast.expr = tree
            while isinstance(other, ast.IfExp):
                body, test = _printed(other.body, texts)[0], _condition(other.test, texts)
                lines.append(rf"{body} & \text{{if }} {test}")
                other = other.orelse
            lines.append(rf"{_printed(other, texts)[0]} & \text{{otherwise}}")
            return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}", _CHOICE
        case ast.Call(func=ast.Name(id=name), args=arguments):
            inside = ", ".join(_printed(argument, texts)[0] for argument in arguments)
            escaped = name.replace("_", r"\_")
            function = rf"\{name}" if name in _FUNCTIONS else rf"\operatorname{{{escaped}}}"
            return rf"{function}\left({inside}\right)", _ATOM
    raise AssertionError(ast.dump(tree))  # the language has nothing else


def _condition(test: ast.expr, texts: Texts) -> str:
    assert isinstance(test, ast.Compare)
    left, right = _printed(test.left, texts)[0], _printed(test.comparators[0], texts)[0]
    return f"{left} {_ORDER[type(test.ops[0])]} {right}"


def symbol(name: str) -> str:
    r"""A name as a symbol: its digits are a subscript, and a longer name is upright.

    >>> symbol("w"), symbol("w1"), symbol("loss")
    ('w', 'w_{1}', '\\mathrm{loss}')
    """
    letter = re.fullmatch(r"([^\W\d_])_?(\d*)", name)
    if letter:
        return f"{letter[1]}_{{{letter[2]}}}" if letter[2] else letter[1]
    escaped = re.sub(
        r"([\\{}$&#^_%~])", lambda match: _ESCAPED.get(match[1], "\\" + match[1]), name
    )
    return rf"\mathrm{{{escaped}}}"


_ESCAPED = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim "}


def number(x: float) -> tuple[str, int]:
    """A number to four digits, and how tightly it binds."""
    size = f"{abs(x):.4g}"
    text, level = _printed(ast.Constant(float(size)) if size[0].isdigit() else ast.Name(size), {})
    return (f"-{text}", _SIGN) if x < 0 else (text, level)


def typeset(root: Any) -> str:
    """The formula of a node: one line, and before it a line for each part with a name.

    A part has a name if it has a label or is used more than once.  Raises ValueError for a graph of
    more than 300 operations.
    """
    order = topological(root)
    inner = [node for node in order if node.op is not None]
    if len(inner) > _LONGEST:
        raise ValueError(
            f"latex: a formula of {len(inner):,} operations cannot be read; typeset a part of it, "
            "such as an inner node or the loss of one sample"
        )
    uses = dict.fromkeys(order, 0)
    for node in inner:
        for parent in node.parents:
            uses[parent] += 1
    texts: dict[Any, tuple[str, int]] = {}
    lines = []
    seen: dict[str, int] = {}
    numbers = itertools.count(1)
    for node in order:
        if node.op is not None:
            texts[node] = _formula(node, texts)
        name = node.label
        if not name and (node.op is None or uses[node] > 1):
            name = f"v{next(numbers)}"
        if node is root:
            lines.append(
                f"{symbol(name)} &= {_text(node, texts)}" if name else f"& {texts[node][0]}"
            )
        elif name:
            seen[name] = seen.get(name, 0) + 1
            shown = symbol(name), _ATOM
            if seen[name] > 1:  # another node with the same label
                shown = f"{symbol(name)}^{{({seen[name]})}}", _POWER
            if node.op is not None:
                lines.append(f"{shown[0]} &= {texts[node][0]}")
            texts[node] = shown
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
    return _printed(ast.parse(node.op.textbook[0], mode="eval").body, known)
