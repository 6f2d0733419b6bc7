r"""Rows as LaTeX: \frac for a quotient, cases for a choice."""

import ast

# How tightly each form binds, so that there are no more brackets than needed.
_CHOICE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(6)
_ORDER = {ast.Lt: "<", ast.Gt: ">"}


def latex(text: str) -> str:
    r"""A row's text as LaTeX, for math mode with amsmath.

    >>> latex("-z / y"), latex("x ** (y - 1)"), latex("2 * x * exp(-x)")
    ('-\\frac{z}{y}', 'x^{y - 1}', '2 \\, x \\, \\operatorname{exp}\\left(-x\\right)')
    """
    return _printed(ast.parse(text, mode="eval").body)[0]


def _within(tree: ast.expr, level: int) -> str:
    text, own = _printed(tree)
    return text if own >= level else rf"\left({text}\right)"


def _printed(tree: ast.expr) -> tuple[str, int]:
    match tree:
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
            return symbol + _within(operand, _PRODUCT), _SIGN
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            if isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub):
                quotient = ast.BinOp(left.operand, ast.Div(), right)
                return "-" + _printed(quotient)[0], _SIGN
            return rf"\frac{{{_printed(left)[0]}}}{{{_printed(right)[0]}}}", _ATOM
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_within(left, _ATOM)}^{{{_printed(right)[0]}}}", _POWER
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return rf"{_within(left, _PRODUCT)} \, {_within(right, _POWER)}", _PRODUCT
        case ast.BinOp(left=left, op=sign, right=right):
            symbol = "+" if isinstance(sign, ast.Add) else "-"
            # A sign after a sign needs brackets, and so does a difference that is subtracted.
            return f"{_within(left, _SUM)} {symbol} {_within(right, _PRODUCT)}", _SUM
        case ast.IfExp():
            lines = []
            other: ast.expr = tree
            while isinstance(other, ast.IfExp):
                lines.append(rf"{_printed(other.body)[0]} & \text{{if }} {_condition(other.test)}")
                other = other.orelse
            lines.append(rf"{_printed(other)[0]} & \text{{otherwise}}")
            return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}", _CHOICE
        case ast.Call(func=ast.Name(id=name), args=arguments):
            inside = ", ".join(_printed(argument)[0] for argument in arguments)
            escaped = name.replace("_", r"\_")
            return rf"\operatorname{{{escaped}}}\left({inside}\right)", _ATOM
    raise AssertionError(ast.dump(tree))  # the language has nothing else


def _condition(test: ast.expr) -> str:
    assert isinstance(test, ast.Compare)
    left, right = _printed(test.left)[0], _printed(test.comparators[0])[0]
    return f"{left} {_ORDER[type(test.ops[0])]} {right}"
