"""The table of operations: z = h(x, y) and its local derivatives, one row of text each.

Everything else is generated from it: the methods of Value, the pullbacks, higher derivatives, the
formulas that are shown, the labels in drawings, and the tests.  A row is:

    name = Op(z, dz/dx, dz/dy, ...)

The texts are rules in the operands x and y and, in derivatives, the result z (`rules.py` defines
the language).  A row whose z is a call of itself, `exp(x)`, is a function of libm.  More columns:

    smooth=    where the row has derivatives of every order; outside, it has an end or a kink
    pieces=    for a row with many jumps, a number that is constant between two of them
    ends=      the result of a libm function where Python's `math` raises an error
    textbook=  (z, dz/dx, ...) as in a textbook, if the computed texts are longer for accuracy
    dxx=, dxy=, dyy=  the second derivatives, which may also use dx and dy
    y=         the second operand's default
    t=, ...    parts that several texts share, by any other name

Derivatives are accurate to 4 units in the last place wherever the result is a number.
`1 - z * z` for tanh is not: it is wrong by more than 1e-6 on a sixth of all inputs.

Without the columns dxx, dxy and dyy, second derivatives come from differentiating the texts of the
first.  That is accurate to 1e-12 for most rows; tanh needs the column, because the derivative of
`4 * t / ((1 + t) * (1 + t))` is a difference of nearly equal numbers around 0.  With the columns, a
recorded derivative is one node of a row of its own, `tanh_dx` (for two operands, `hypot_dx` and
`hypot_dy`), whose derivatives are these texts; `rows()["tanh_dx"]` returns it.  Third derivatives
come from differentiating the texts of the second.

A comparison with nan is false.  A value that is nan has nan derivatives, whatever the texts give
for its operands; where a value may be a number although an operand is nan, as in hypot(inf, nan),
the last branch of the derivatives' texts is nan.
"""

from typing import Any, TypeVar

from autograd.operands import Operand
from autograd.operation import Op, Operation

T = TypeVar("T", bound=Operand)


class Rows(dict[str, Operation]):
    """Operations by name; `rows["tanh_dx"]` and `in` also know the rows of derivatives."""

    def __missing__(self, name: str) -> Operation:
        base, _, partial = name.rpartition("_")
        op = self.get(base)
        if op is None or partial not in op.slopes:
            raise KeyError(name)
        return op.slopes[partial]

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and isinstance(self[name], Operation)
        except KeyError:
            return False


def rows() -> Rows:
    """Every operation by name: the table's, and those defined since.

    >>> rows()["tanh_dx"]
    Op(tanh_dx(x) = 4 * t / ((1 + t) * (1 + t)))
    """
    return Rows(
        (name, op)
        for name, op in vars(Ops).items()
        if isinstance(op, Operation) and op.name == name
    )


def _named(name: str) -> Operation:
    known = rows()
    if name not in known:
        raise ValueError(f"no operation {name!r}; call define_op before you load what uses it")
    return known[name]


Operation.named = _named


def table(owner: type[T]) -> type[T]:
    """The class, with every row parsed; a bad row raises RuleError when the class is created."""
    own = {name: op for name, op in vars(owner).items() if isinstance(op, Op) and op.name == name}
    for name, op in own.items():
        op.read(name, own)
    return owner


# fmt: off
@table
class Ops(Operand):
    """The rows.  A class that inherits them defines in `apply(op, x, y)` what an operation does.

    Conventions where a derivative is not unique: relu'(0) = abs'(0) = sign'(0) = 0, a tie of
    maximum or minimum gives 1/2 to each, and hypot, atan2 and x**0 at 0 have derivative 0.  The
    steps floor, ceil, round, // and sign have derivative 0 everywhere, also where they jump.
    """

    __slots__ = ()

    #            z = h(x, y)     dz/dx                            dz/dy
    add        = Op("x + y",     "1",                             "1")
    sub        = Op("x - y",     "1",                             "-1")
    mul        = Op("x * y",     "y",                             "x")
    div        = Op("x / y",     "1 / y",                         "-z / y",          smooth="abs(y) > 0")
    pos        = Op("+x",        "1")
    neg        = Op("-x",        "-1")
    square     = Op("x * x",     "2 * x")
    reciprocal = Op("1 / x",     "-z * z",                                           smooth="abs(x) > 0")
    # From y = 0.5 on, y - 1 is exact; below, its rounding would cost 350 ulp at x = 1e300.  z / x
    # first would be inf where x is below 1e-308.
    pow        = Op("x ** y",    "((y * z / x if abs(x) < inf else 0.0) if abs(x) > 0 else y * x ** (y - 1) if abs(y) > 0 else x)"
                                 " if y < 0.5 else y * x ** (y - 1)",
                                 "z * log(x) if abs(x) > 0 else x - inf if y < 0 else x * z",
                                 dxx="y * (y - 1) * x ** (y - 2) if y > 1.5 else (y - 1) * dx / x if abs(x) > 0"
                                     " else y * (y - 1) * x ** (y - 2) if abs(y * (y - 1)) > 0 else 0.0",
                                 dxy="x ** (y - 1) * (1 + y * log(x)) if abs(x) > 0 else 0.0 if y > 1 else -y * inf if abs(y) > 0 else 0.0",
                                 dyy="dy * log(x) if abs(x) > 0 else dy * dy",
                                 textbook=("x ** y", "y * x ** (y - 1)", "z * log(x)"), smooth="x > 0")
    sqrt       = Op("sqrt(x)",   "0.5 / z",                                          smooth="x > 0")
    # libm's cbrt is off by up to 3 ulp.  h is the root to 26 bits, so that h * h is exact.
    cbrt       = Op("c if x > 0 else -c if x < 0 else x", "1 / (3 * z * z)", dxx="-2 * dx / (3 * x)",
                                 w="abs(x) ** 0.3333333333333333", h="134217729 * w - (134217729 * w - w)",
                                 r="abs(x) / (h * h)", c="h + h * ((r - h) / (h + h + r)) if w < inf else w",
                                 textbook=("cbrt(x)", "1 / (3 * z * z)"),            smooth="abs(x) > 0")
    exp        = Op("exp(x)",    "z",                             ends="inf")
    exp2       = Op("2 ** x",    "0.6931471805599453 * z",        textbook=("2 ** x", "log(2) * z"))
    expm1      = Op("expm1(x)",  "exp(x)",                        ends="inf")
    log        = Op("log(x)",    "1 / x",                         ends="nan if x < 0 else -inf",  smooth="x > 0")
    log1p      = Op("log1p(x)",  "1 / (1 + x)",                   ends="nan if x < -1 else -inf", smooth="x > -1")
    log2       = Op("log2(x)",   "1.4426950408889634 / x",        ends="nan if x < 0 else -inf",  smooth="x > 0")
    log10      = Op("log10(x)",  "0.4342944819032518 / x",        ends="nan if x < 0 else -inf",  smooth="x > 0")

    sin        = Op("sin(x)",    "cos(x)")
    cos        = Op("cos(x)",    "-sin(x)")
    tan        = Op("tan(x)",    "1 + z * z")
    asin       = Op("asin(x)",   "1 / sqrt((1 - x) * (1 + x))",   dxx="x * dx / ((1 - x) * (1 + x))",  smooth="x * x < 1")
    acos       = Op("acos(x)",   "-1 / sqrt((1 - x) * (1 + x))",  dxx="x * dx / ((1 - x) * (1 + x))",  smooth="x * x < 1")
    atan       = Op("atan(x)",   "1 / t / t", t="hypot(x, 1)",    textbook=("atan(x)", "1 / (1 + x * x)"))
    # The halves in dxy cannot overflow, and x - y is exact where it is small.
    atan2      = Op("atan2(x, y)", "y / t / t if t > 0 else t",   "-x / t / t if t > 0 else t", t="hypot(x, y)",
                                 dxx="2 * dx * dy", dyy="-2 * dx * dy",
                                 dxy="4 * ((0.5 * x - 0.5 * y) / t) * ((0.5 * x + 0.5 * y) / t) / t / t if t > 0 else t",
                                 textbook=("atan2(x, y)", "y / (x * x + y * y)", "-x / (x * x + y * y)"), smooth="hypot(x, y) > 0")
    hypot      = Op("hypot(x, y)", "x / z if z > 0 else z",       "y / z if z > 0 else z", ends="inf",
                                 dxx="dy / z * dy if z > 0 else 0.0", dxy="-dx / z * dy if z > 0 else 0.0", dyy="dx / z * dx if z > 0 else 0.0",
                                 textbook=("hypot(x, y)", "x / z", "y / z"), smooth="hypot(x, y) > 0")
    sinh       = Op("sinh(x)",   "cosh(x)",                       ends="x * inf")
    cosh       = Op("cosh(x)",   "sinh(x)",                       ends="inf")
    tanh       = Op("tanh(x)",   "4 * t / ((1 + t) * (1 + t))",   t="exp(-2 * x) if x > 0 else exp(2 * x)",
                                 dxx="-2 * z * dx",               textbook=("tanh(x)", "1 - z * z"))
    asinh      = Op("asinh(x)",  "1 / hypot(x, 1)",               textbook=("asinh(x)", "1 / sqrt(x * x + 1)"))
    acosh      = Op("acosh(x)",  "1 / sqrt(x - 1) / sqrt(x + 1)", textbook=("acosh(x)", "1 / sqrt(x * x - 1)"), smooth="x > 1")
    atanh      = Op("atanh(x)",  "1 / ((1 - x) * (1 + x))",       textbook=("atanh(x)", "1 / (1 - x * x)"),     smooth="x * x < 1",
                                 ends="nan if x * x > 1 else x * inf", dxx="2 * x * dx * dx")

    # t is at most 1 in these five, so nothing overflows and no digit is lost on either side.
    sigmoid    = Op("1 / (1 + t) if x > 0 else t / (1 + t)",      "t / ((1 + t) * (1 + t))", dxx="-dx * tanh(x / 2)",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("1 / (1 + exp(-x))", "z * (1 - z)"))
    softplus   = Op("x + log1p(t) if x > 0 else log1p(t)",        "1 / (1 + t) if x > 0 else t / (1 + t)",
                                 dxx="t / ((1 + t) * (1 + t))",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("log(1 + exp(x))", "sigmoid(x)"))
    logsigmoid = Op("-log1p(t) if x > 0 else x - log1p(t)",       "t / (1 + t) if x > 0 else 1 / (1 + t)",
                                 dxx="-t / ((1 + t) * (1 + t))",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("log(sigmoid(x))", "sigmoid(-x)"))
    # exp(x) loses digits below -700; 2.3497e-21 is exp(-47.5), which a double happens to hit to 0.001 ulp.
    silu       = Op("x / (1 + t) if x > 0 else x * t / (1 + t) if x > -700"
                    " else x * 2.349698337452817e-21 * exp(x + 47.5) if x > -1000 else 0 / x",
                    "((1 + t + x * t) / ((1 + t) * (1 + t)) if x < 1000 else 1.0) if x > 0 else t * (1 + t + x) / ((1 + t) * (1 + t)) if x > -700"
                    " else (1 + x) * 2.349698337452817e-21 * exp(x + 47.5) if x > -1000 else 0 / x",
                                 dxx="t / ((1 + t) * (1 + t)) * (2 - x * tanh(x / 2)) if x * x < 1e6 else 0.0",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("x * sigmoid(x)", "sigmoid(x) * (1 + x * sigmoid(-x))"))
    # d + e is x - y in two doubles, and exp(e) is 1 + e; where d is nan, both operands are infinite.
    logaddexp  = Op("x + log1p(t) if d > 0 else y + log1p(t) if d < 1 else x + y",
                    "1 / (1 + t) if d > 0 else t / (1 + t) if d < 1 else 0.5 if abs(x + y) > 0 else d",
                    "t / (1 + t) if d > 0 else 1 / (1 + t) if d < 1 else 0.5 if abs(x + y) > 0 else d",
                                 dxx="t / ((1 + t) * (1 + t))", dxy="-t / ((1 + t) * (1 + t))", dyy="t / ((1 + t) * (1 + t))",
                                 d="x - y", v="d - x", e="x - (d - v) - (y + v)",
                                 t="(exp(-d) * (1 - e) if d > 0 else exp(d) * (1 + e)) if abs(d) < 800 else 0.0 if abs(d) > 1 else d",
                                 textbook=("log(exp(x) + exp(y))", "sigmoid(x - y)", "sigmoid(y - x)"))
    # h is x to 26 bits (Veltkamp 1968), so that h * h is exact and exp(-x * x) keeps its digits.
    erf        = Op("erf(x)",    "1.1283791670955126 * exp(-h * h) * exp((h - x) * (h + x)) if x * x < 1600 else 0.0 if abs(x) > 0 else x",
                                 dxx="-2 * x * dx if x * x < 1600 else dx",
                                 h="134217729 * x - (134217729 * x - x)", textbook=("erf(x)", "2 / sqrt(pi) * exp(-x * x)"))
    erfc       = Op("erfc(x)",   "-1.1283791670955126 * exp(-h * h) * exp((h - x) * (h + x)) if x * x < 1600 else 0.0 if abs(x) > 0 else x",
                                 dxx="-2 * x * dx if x * x < 1600 else dx",
                                 h="134217729 * x - (134217729 * x - x)", textbook=("erfc(x)", "-2 / sqrt(pi) * exp(-x * x)"))
    # p + q is x / sqrt(2) in two doubles and e is exp(-x * x / 2), so c = 2 * Phi(x) is accurate in both tails.
    gelu       = Op("0.5 * x * c if x * x < 1600 else 0.0 if x < 0 else x",
                    "0.5 * c + 0.3989422804014327 * x * e if x * x < 1600 else 0.0 if x < 0 else 1.0 if x > 0 else x",
                                 dxx="0.3989422804014327 * e * (2 - h * h + (h - x) * (h + x)) if x * x < 1600 else 0.0",
                                 h="134217729 * x - (134217729 * x - x)", p="0.7071067811865476 * x",
                                 q="0.7071067839860916 * h - p - 2.799544089368687e-09 * x + 0.7071067839860916 * (x - h)",
                                 e="exp(-0.5 * h * h) * exp(0.5 * (h - x) * (h + x))",
                                 c="erfc(-p) + 1.1283791670955126 * e * q",
                                 textbook=("x * erfc(-x / sqrt(2)) / 2", "erfc(-x / sqrt(2)) / 2 + x * exp(-x * x / 2) / sqrt(2 * pi)"))

    softsign   = Op("x / (1 + t) if t < inf else sign(x)", "1 / (1 + t) / (1 + t)", t="abs(x)", smooth="abs(x) > 0",
                                 textbook=("x / (1 + abs(x))", "1 / ((1 + abs(x)) * (1 + abs(x)))"))
    relu       = Op("0.0 if x < 0 else x",          "1.0 if x > 0 else 0.0",         smooth="abs(x) > 0")
    leaky_relu = Op("x if x > 0 else y * x",        "1.0 if x > 0 else y",          "0.0 if x > 0 else x",
                                 y=0.01,                                             smooth="abs(x) > 0")
    elu        = Op("x if x > 0 else y * expm1(x)", "1.0 if x > 0 else y * exp(x)", "0.0 if x > 0 else expm1(x)",
                                 y=1.0,                                              smooth="abs(x) > 0")
    abs        = Op("abs(x)",                       "sign(x)",                       smooth="abs(x) > 0")
    sign       = Op("1.0 if x > 0 else -1.0 if x < 0 else x", "0.0",                 smooth="abs(x) > 0")
    # x + y is nan where either operand is, and otherwise inf or -inf like both of them.
    maximum    = Op("y if x < y else x if y < inf else x + y",  "1.0 if x > y else 0.0 if x < y else 0.5",
                    "0.0 if x > y else 1.0 if x < y else 0.5",                       smooth="abs(x - y) > 0",
                                 textbook=("x if x > y else y", "1.0 if x > y else 0.0 if x < y else 0.5",
                                           "0.0 if x > y else 1.0 if x < y else 0.5"))
    minimum    = Op("y if x > y else x if y > -inf else x + y", "0.0 if x > y else 1.0 if x < y else 0.5",
                    "1.0 if x > y else 0.0 if x < y else 0.5",                       smooth="abs(x - y) > 0",
                                 textbook=("y if x > y else x", "0.0 if x > y else 1.0 if x < y else 0.5",
                                           "1.0 if x > y else 0.0 if x < y else 0.5"))

    # The remainders and steps are Python's numbers, as floats: math.floor and round give an int, and
    # raise for inf.  C's fmod is exact, with the sign of x; its slope -trunc(x / y) is a whole number.
    fmod       = Op("fmod(x, y)",                   "1",           "-round((x - z) / y)", dxx="0.0", dxy="0.0", dyy="0.0",
                                 textbook=("fmod(x, y)", "1", "(z - x) / y"), pieces="floordiv(x, y)", smooth="abs(fmod(x, y)) > 0")
    # From 2 ** 52 on all numbers are whole, so adding it rounds; halves go to the even number.
    round      = Op("x if abs(x) > 4503599627370496 else x + 4503599627370496 - 4503599627370496 if x > 0"
                    " else -(4503599627370496 - x - 4503599627370496) if x < 0 else x", "0.0",
                                 textbook=("round(x)", "0.0"), pieces="round(x)", smooth="abs(abs(fmod(x, 1)) - 0.5) > 0")
    floor      = Op("r - 1 if r > x else r",        "0.0",         r="round(x)",
                                 textbook=("floor(x)", "0.0"), pieces="floor(x)", smooth="abs(fmod(x, 1)) > 0")
    ceil       = Op("-floor(-x)",                   "0.0",
                                 textbook=("ceil(x)", "0.0"),  pieces="ceil(x)",  smooth="abs(fmod(x, 1)) > 0")
    mod        = Op("(t + y if y > 0 else t) if t < 0 else (t + y if y < 0 else t) if t > 0 else t * t / y", "1",
                    "-round((x - z) / y)",          t="fmod(x, y)", dxx="0.0", dxy="0.0", dyy="0.0",
                                 textbook=("x - y * floor(x / y)", "1", "-floor(x / y)"),
                                 pieces="floordiv(x, y)", smooth="abs(fmod(x, y)) > 0")
    # q is Python's quotient before it is made a whole number; a result of 0 has the sign of x / y.
    floordiv   = Op("(n + 1 if q - n > 0.5 else n) if abs(q) > 0 else 0 * (x / y) if abs(y) > 0 else x / y",
                    "0.0",                          "0.0",
                                 t="fmod(x, y)", d="(x - t) / y",
                                 q="(d - 1 if y > 0 else d) if t < 0 else (d - 1 if y < 0 else d) if t > 0 else d", n="floor(q)",
                                 textbook=("floor(x / y)", "0.0", "0.0"),
                                 pieces="floordiv(x, y)", smooth="abs(fmod(x, y)) > 0")
    # fmt: on

    __add__, __sub__, __mul__, __truediv__, __pow__ = add, sub, mul, div, pow
    __radd__, __rsub__, __rmul__ = add.reflected, sub.reflected, mul.reflected
    __rtruediv__, __rpow__ = div.reflected, pow.reflected
    __mod__, __floordiv__ = mod, floordiv
    __rmod__, __rfloordiv__ = mod.reflected, floordiv.reflected
    __pos__, __neg__, __abs__ = pos, neg, abs

    def __round__(self, digits: int | None = None) -> Any:
        """The operation `round(v)`; rounding to a number of digits has no derivative: TypeError."""
        if digits is None:
            return self.round()
        raise TypeError("round(v, digits) has no gradient; write round(v.data, digits) for the number")
