"""Rules of rows as C99."""

import math

from autograd.operation import Operation
from autograd.printers.source import Language

# The functions of one and two numbers that <math.h> has, and `math` under the same names.
_FUNCTIONS = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "erf",
    "erfc", "exp", "exp2", "expm1", "fabs", "fmod", "hypot", "log", "log10", "log1p", "log2",
    "pow", "remainder", "sin", "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip


def number(value: float) -> str:
    """The number as a C constant with all its digits.

    >>> number(0.1), number(-0.0), number(-math.inf)
    ('0.1', '(-0.0)', '(-INFINITY)')
    """
    if value != value:
        return "NAN"
    text = "INFINITY" if math.isinf(value) else repr(abs(value))
    return f"(-{text})" if math.copysign(1.0, value) < 0 else text


def _function(op: Operation, arguments: list[str]) -> str:
    libm = op.libm
    if libm not in _FUNCTIONS:
        raise NotImplementedError(
            f"C99 has no function {libm}; add its name to autograd/printers/c.py if it does"
        )
    return f"{libm}({', '.join(arguments)})"


def _definition(name: str, parameters: list[str], lines: list[str], result: str) -> str:
    head = f"static double {name}({', '.join(f'double {p}' for p in parameters) or 'void'})"
    body = "".join(f"    {line}\n" for line in (*lines, f"return {result};"))
    return f"{head} {{\n{body}}}\n"


C = Language(
    name="C",
    number=number,
    power="pow({}, {})",
    choice="({} ? {} : {})",
    function=_function,
    definition=_definition,
    assignment="const double {} = {};",
    libm_only=True,
)

# Names that a function of one's own cannot have.
RESERVED = _FUNCTIONS | {
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
    "extern", "float", "for", "goto", "gradient", "if", "inline", "int", "long", "main", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "union", "unsigned", "void", "volatile", "while", "x",
}  # fmt: skip
