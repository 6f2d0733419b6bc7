"""The rows in decimal arithmetic of as many digits as it takes: the referee that shares no code.

Only a row's value is evaluated here, by its textbook formula; derivatives come from differences of
values, so a mistake in a derivative cannot repeat itself in its check.
"""

import ast
import contextlib
import decimal
import functools
import math
import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate, count, repeat
from typing import Any

from autograd import rules
from autograd.operation import Operation
from autograd.value import rows

ZERO, ONE, TWO, HALF = Decimal(0), Decimal(1), Decimal(2), Decimal("0.5")
_NAN = Decimal("nan")


def digits(precision: int) -> contextlib.AbstractContextManager[decimal.Context]:
    """A context with that many digits, the widest exponents, and no exceptions."""
    return decimal.localcontext(
        decimal.Context(
            prec=precision, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[], capitals=1
        )
    )


def _precision() -> int:
    return decimal.getcontext().prec


def _sum(terms: Iterator[Decimal]) -> Decimal:
    """The sum of terms that fall for ever, up to the first that no longer counts."""
    total = next(terms)
    for term in terms:
        longer = total + term
        same, total = longer == total, longer
        if same or longer.is_nan():  # which is not equal to itself
            break
    return total


@functools.lru_cache(64)
def _pi(precision: int) -> Decimal:
    """pi by Machin's formula."""
    with digits(precision + 10):

        def arccot(n: int) -> Decimal:
            return _sum((-1) ** k * ONE / ((2 * k + 1) * n ** (2 * k + 1)) for k in count())

        return 4 * (4 * arccot(5) - arccot(239))


def _series(x: Decimal, term: Decimal, k: int) -> Decimal:
    """term + term * -x^2/((k+1)(k+2)) + ...: sine from k = 1, cosine from k = 0."""
    square = x * x
    factors = (-square / (i * (i + 1)) for i in count(k + 1, 2))
    return _sum(accumulate(factors, initial=term, func=operator.mul))


def _is_no_angle(x: Decimal) -> bool:
    """Whether nothing is known of an angle: it is inf, nan, or has no digit behind its point.

    A number with more digits before its point than are carried was rounded by more than a turn.
    Nothing is spent on pi for it.
    """
    return not x.is_finite() or x.adjusted() > _precision()


def _turned(x: Decimal) -> tuple[int, Decimal]:
    """x as k quarter turns and a rest of at most an eighth of a turn."""
    extra = max(0, x.adjusted()) + 10
    with digits(_precision() + extra):
        quarter = _pi(_precision()) / 2
        k = (x / quarter).to_integral_value()
        return int(k % 4), x - k * quarter


def _sin(x: Decimal) -> Decimal:
    if _is_no_angle(x):
        return _NAN
    if not x:
        return x  # -0 too
    with digits(_precision() + 10):
        k, r = _turned(x)
        part = _series(r, r, 1) if k % 2 == 0 else _series(r, ONE, 0)
        return -part if k in (2, -2, 3, -1) else part


def _cos(x: Decimal) -> Decimal:
    if _is_no_angle(x):
        return _NAN
    with digits(_precision() + 10):
        k, r = _turned(x)
        part = _series(r, ONE, 0) if k % 2 == 0 else _series(r, r, 1)
        return -part if k in (1, -3, 2, -2) else part


def _atan(x: Decimal) -> Decimal:
    if x.is_nan() or not x:
        return x
    with digits(_precision() + 15):
        if x.is_infinite():
            return (_pi(_precision()) / 2).copy_sign(x)
        if abs(x) > 1:
            return (_pi(_precision()) / 2).copy_sign(x) - _atan(ONE / x)
        halvings = 0
        while abs(x) > Decimal("0.05"):
            x = x / (ONE + (ONE + x * x).sqrt())
            halvings += 1
        powers = accumulate(repeat(-x * x), initial=x, func=operator.mul)
        return _sum(power / k for power, k in zip(powers, count(1, 2))) * TWO**halvings


def _atan2(y: Decimal, x: Decimal) -> Decimal:
    with digits(_precision() + 5):
        if not x and not y:
            return ZERO
        angle = _atan(y / x) if x else (_pi(_precision()) / 2).copy_sign(y)
        return angle + _pi(_precision()).copy_sign(y) if x < 0 else angle


def _lost(x: Decimal) -> int:
    """How many digits of x are lost beside 1, and some more."""
    return min(max(0, -x.adjusted()), 800) + 5


def _expm1(x: Decimal) -> Decimal:
    with digits(_precision() + _lost(x)):
        return x.exp() - 1 if x else x


def _log1p(x: Decimal) -> Decimal:
    with digits(_precision() + _lost(x)):
        return (ONE + x).ln() if x else x


def _asinh(x: Decimal) -> Decimal:
    size = abs(x)
    return _log1p(size + size * size / (ONE + (ONE + size * size).sqrt())).copy_sign(x)


def _atanh(x: Decimal) -> Decimal:
    return (_log1p(x) - _log1p(-x)) / 2


def _sinh(x: Decimal) -> Decimal:
    m = _expm1(abs(x))
    return ((m + m / (m + 1)) / 2).copy_sign(x)


def _tanh(x: Decimal) -> Decimal:
    m = _expm1(-2 * abs(x))
    return (m / (m + 2)).copy_sign(x)


_FRACTIONS = 300  # more steps of the continued fraction than so many cost more than the series


def _erfc(x: Decimal) -> Decimal:
    if x.is_nan() or abs(x) > 30:
        return ONE - ONE.copy_sign(x) if not x.is_nan() else x
    if x < 0:
        return ONE + _erf(-x)
    tail = _tail(x) if x > 3 else None
    if tail is not None:
        return tail
    # 1 - erf(x) is about exp(-x * x): that many digits cancel, and the series swells by as many.
    with digits(_precision() + int(float(x) ** 2 * 0.9) + 10):
        return ONE - _series_of_erf(x)


def _tail(x: Decimal) -> Decimal | None:
    """erfc(x) by Laplace's continued fraction (modified Lentz 1976); None where it is too long."""
    enough = Decimal(10) ** -_precision()
    with digits(_precision() + 10):
        fraction, c, d = x, x, ZERO
        for k in range(1, _FRACTIONS):
            d, c = ONE / (x + HALF * k * d), x + HALF * k / c
            fraction *= c * d
            if abs(c * d - ONE) < enough:
                return (-x * x).exp() / (_pi(_precision()).sqrt() * fraction)
    return None


def _erf(x: Decimal) -> Decimal:
    if x.is_nan() or abs(x) > 30:
        return x if x.is_nan() else ONE.copy_sign(x)
    tail = _tail(abs(x)) if abs(x) > 3 else None
    return _series_of_erf(x) if tail is None else (ONE - tail).copy_sign(x)


def _series_of_erf(x: Decimal) -> Decimal:
    with digits(_precision() + int(float(x) ** 2 * 0.9) + 10):
        # All terms of exp(-x^2) * sum 2^k x^(2k+1) / (2k+1)!! have the sign of x.
        square = x * x
        factors = (2 * square / k for k in count(3, 2))
        total = _sum(accumulate(factors, initial=x, func=operator.mul))
        return total * 2 * (-square).exp() / _pi(_precision()).sqrt()


def _fmod(x: Decimal, y: Decimal) -> Decimal:
    if not (x.is_finite() and y):
        return _NAN
    if not y.is_finite():
        return y if y.is_nan() else x
    if x.adjusted() - y.adjusted() > max(_precision(), _LARGEST):
        return _NAN  # the operands' own rounding is more than a whole quotient
    # Decimal's remainder must be able to write down the quotient.
    with digits(_precision() + max(0, x.adjusted() - y.adjusted()) + 5):
        return x % y


def _cbrt(x: Decimal) -> Decimal:
    with digits(_precision() + 10):
        return (abs(x) ** (ONE / 3)).copy_sign(x)


def _asin(x: Decimal) -> Decimal:
    return _atan2(x, ((ONE - x) * (ONE + x)).sqrt())


def _remembered(f: Callable[..., Decimal]) -> Callable[..., Decimal]:
    """The same function, but what it was asked lately it does not compute again.

    A check asks for the same points many times: all slopes at a point share its value, and a step
    in y leaves exp(x) as it was.
    """

    @functools.lru_cache(4096)
    def known(precision: int, *operands: Decimal) -> Decimal:
        return f(*operands)

    # 0 and -0 are equal, but their results are not; what is nan is equal to nothing.
    return lambda *given: known(_precision(), *given) if all(given) else f(*given)


# The functions that rows are a call of, in the row or in its textbook's formula.
LIBM: dict[str, Callable[..., Decimal]] = {
    "abs": abs,
    "sqrt": Decimal.sqrt,
    "cbrt": _cbrt,
    "exp": Decimal.exp,
    "expm1": _expm1,
    "log": Decimal.ln,
    "log1p": _log1p,
    "log2": lambda x: x.ln() / TWO.ln(),
    "log10": Decimal.log10,
    "sin": _sin,
    "cos": _cos,
    "tan": lambda x: _sin(x) / _cos(x),
    "asin": _asin,
    "acos": lambda x: _atan2(((ONE - x) * (ONE + x)).sqrt(), x),
    "atan": _atan,
    "atan2": _atan2,
    "hypot": lambda x, y: (x * x + y * y).sqrt(),
    "sinh": _sinh,
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "tanh": _tanh,
    "asinh": _asinh,
    "acosh": lambda x: _log1p(x - 1 + ((x - 1) * (x + 1)).sqrt()),
    "atanh": _atanh,
    "erf": _erf,
    "erfc": _erfc,
    "fmod": _fmod,
    "floor": lambda x: x.to_integral_value(decimal.ROUND_FLOOR),
    "ceil": lambda x: x.to_integral_value(decimal.ROUND_CEILING),
    "round": lambda x: x.to_integral_value(decimal.ROUND_HALF_EVEN),
}
LIBM = {name: _remembered(f) for name, f in LIBM.items()}


# The functions of LIBM that turn: however large the operand, they vary over 1.
_TURNING = {"sin", "cos", "tan"}
# Those that may be large or small beside 1, by exp(x) or, the errors, by exp(x * x).
_OUTGROWING = {"exp", "expm1", "sinh", "cosh", "tanh", "erf", "erfc"}
_LARGEST = 750  # a double is not above exp(710), and not below exp(-745)
_SPARE = 5  # digits, for the roundings inside


@functools.cache
def _reached(op: Operation) -> frozenset[str]:
    """The functions of LIBM that a row's value is computed with, `**` among them."""
    text = op.textbook[0]
    if text == op.signature:
        return frozenset({op.name})
    found = {"**"} if "**" in text else set()
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= _reached(rows()[node.func.id])
    return frozenset(found)


@functools.cache
def turns(op: Operation) -> bool:
    """Whether the row varies over 1, however large its operand is.

    >>> turns(rows()["sin"]), turns(rows()["exp"])
    (True, False)
    """
    return not _TURNING.isdisjoint(_reached(op))


def _is_single(text: str) -> bool:
    """Whether a text is one operation on the operands, inside which nothing is lost."""
    nodes = ast.walk(ast.parse(text, mode="eval"))
    return sum(isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call) for node in nodes) == 1


def _exact_inside(compute: Callable[..., Decimal], squared: bool) -> Callable[..., Decimal]:
    """The same function with as many more digits as 1 + exp(2 x) loses inside it; or its square."""

    def computed(x: Decimal, y: Decimal | None = None) -> Decimal:
        sizes = (abs(operand) for operand in (x, y) if operand is not None and operand.is_finite())
        size = float(min(max(sizes, default=ZERO), Decimal(_LARGEST)))
        lost = min(2 * size * (size if squared else 1.0), _LARGEST) * math.log10(math.e)
        with digits(_precision() + int(lost) + _SPARE):
            return compute(x, y)

    return computed


@_remembered
def _power(x: Decimal, y: Decimal) -> Decimal:
    if not x and not y:
        return ONE
    if x < 0 and y == y.to_integral_value() and abs(y) < 10**9:
        return -((-x) ** y) if y % 2 else (-x) ** y
    return x**y


class _Printer(ast.NodeTransformer):
    """A row's text as Python that computes with decimals; `names` collects what it refers to."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"power": _power, "pi": lambda: _pi(_precision())}

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A constant such as 0.01 is the double that the engine computes with."""
        name = f"constant_{len(self.names)}"
        self.names[name] = Decimal(node.value)  # type: ignore[arg-type]
        return ast.Name(name)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """An operand, or inf, nan, pi; pi has as many digits as are in use."""
        if node.id == "pi":
            return ast.Call(node, [], [])
        if node.id not in ("x", "y"):
            self.names[node.id] = Decimal(node.id)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Decimal's own power refuses a negative base."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            return ast.Call(ast.Name("power"), [node.left, node.right], [])
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Another row."""
        node.args = [self.visit(argument) for argument in node.args]
        assert isinstance(node.func, ast.Name)
        self.names[f"{node.func.id}_value"] = value(rows()[node.func.id])
        node.func = ast.Name(f"{node.func.id}_value")
        return node


@functools.cache
def value(op: Operation) -> Callable[..., Decimal]:
    """The function for z of a row, to the digits of the context in which it is called.

    It gives nan or inf at the row's ends, never an error.  Raises NotImplementedError for a row
    that is a call of a function which is not here.
    """
    if op.functions:
        raise NotImplementedError(op.unknown_to("decimal arithmetic"))
    text = op.textbook[0]
    if text == op.signature:
        if op.name not in LIBM:
            raise NotImplementedError(
                f"{op.name}: decimal arithmetic has no function of this name, so nothing can be "
                "checked against it; add one to LIBM in autograd/printers/decimals.py"
            )
        return LIBM[op.name]
    found = _compiled(f"{op.name}_decimal", text)
    inside = _reached(op) & {*_OUTGROWING, "**"} and not _is_single(text)
    squared = any(part in text for part in ("x * x", "y * y", "**", "erf"))
    return _exact_inside(found, squared) if inside else found


def _compiled(name: str, text: str) -> Callable[..., Decimal]:
    printer = _Printer()
    tree = printer.visit(ast.parse(text, mode="eval").body)
    source = f"def {name}(x, y=None):\n    return {ast.unparse(tree)}\n"
    return rules.define(name, source, printer.names)
