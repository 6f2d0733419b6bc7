"""Functions of libm for vectors, within 1.2 units in the last place.

The methods are the usual ones: an argument is reduced by a multiple of log 2 or of pi / 2.  This is
done in two or more parts, the first of which are short enough for exact products (Cody and Waite
1980).  A polynomial does the rest.  Rounding errors are added back where they matter (Dekker 1971,
Knuth 1969).
The coefficients were fitted at Chebyshev's points with 200 bits.  For exponentials and
logarithms, each type of numbers has its own; the other functions are computed in doubles.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from autograd.compiled.native.ir import Term
from autograd.compiled.native.reals import DOUBLE, SINGLE, Reals


@dataclass(frozen=True)
class _Coefficients:
    """What the exponentials and logarithms of a type of numbers need.

    Attributes:
        exp: (e^r - 1 - r) / r^2 for |r| <= log(2) / 2.
        log: (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, for |s| <= 0.1716.
        log2: the logarithm of 2 in two parts; times a power's exponent, the first is exact.
        most, least: beyond these, e^x is inf or 0.
        minus_one: below this, e^x - 1 is -1.
        flat: beyond this, the hyperbolic tangent is 1.
        root_half: the bits of sqrt(1/2).
    """

    exp: tuple[float, ...]
    log: tuple[float, ...]
    log2: tuple[float, float]
    most: float
    least: float
    minus_one: float
    flat: float
    root_half: int


_COEFFICIENTS = {
    DOUBLE: _Coefficients(
        exp=(
            0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326141,
            0.0013888888888883752, 0.00019841269874800683, 2.4801587325533502e-05,
            2.75572554255029e-06, 2.7557273661174726e-07, 2.5105206475334834e-08,
            2.091467944897855e-09,
        ),
        log=(
            0.666666666666667, 0.39999999999899505, 0.2857142862597575, 0.22222211134751835,
            0.18182889128412458, 0.15331721495826012, 0.1461645097955211,
        ),
        log2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
        most=710.0, least=-746.0, minus_one=-40.0, flat=50.0, root_half=0x3FE6A09E667F3BCD,
    ),
    SINGLE: _Coefficients(
        exp=(0.5, 0.1666657775640488, 0.041666556149721146, 0.00836317334324, 0.00139261758886),
        log=(0.6666666865348816, 0.4000012278556824, 0.2855080664157867, 0.2333083003759),
        log2=(0.69317626953125, -2.9088971132296138e-05),
        most=89.0, least=-104.0, minus_one=-20.0, flat=20.0, root_half=0x3F3504F3,
    ),
}  # fmt: skip


def polynomial(x: Term, coefficients: Sequence[float]) -> Term:
    """The sum of coefficients times powers, the constant one first."""
    total = x.like(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = x.times_plus(total, coefficient)
    return total


def bits(x: Term) -> Term:
    """The bits of numbers, as whole numbers."""
    return x.cast("bitcast", x.real.whole)


def number(x: Term) -> Term:
    """The numbers that have these bits."""
    return x.cast("bitcast", _kind(x).name)


def _kind(x: Term) -> Reals:
    """The real numbers that have as many bits as these whole ones."""
    return DOUBLE if x.kind == DOUBLE.whole else SINGLE


def _lost(real: Reals) -> float:
    """Next to 1, numbers below this are lost."""
    return 2.0 ** -(real.fraction + 2)


def _rounding(real: Reals) -> float:
    """Adding this rounds to a whole number, which is then in the last bits."""
    return 1.5 * 2.0**real.fraction


# ---------------------------------------------------------------------- exponentials


def _reduced(x: Term) -> tuple[Term, Term, Term]:
    """k, r and the rounding error of r, so that x = k log 2 + r; for doubles if |x| < 2^19."""
    log2, rounding = _COEFFICIENTS[x.real].log2, _rounding(x.real)
    shifted = x.times_plus(1 / math.log(2), rounding)
    k = shifted - rounding
    part, small = k.times_plus(-log2[0], x), k * log2[1]
    r = part - small
    return bits(shifted) - bits(x.like(rounding)), r, (part - r) - small


def _power_of_2(exponent: Term) -> Term:
    """2^k for a whole k in the range of the normal numbers."""
    real = _kind(exponent)
    return number((exponent + real.bias) << real.fraction)


def _exp(x: Term) -> tuple[Term, Term, Term]:
    """Two terms and k, so that e^x is the sum of the terms times 2^k."""
    known = _COEFFICIENTS[x.real]
    k, r, lost = _reduced(x.at_most(known.most).at_least(known.least))
    whole = r + 1.0
    rest = r - (whole - 1.0)
    return whole, (r * r).times_plus(polynomial(r, known.exp), rest + lost), k


def _scaled(x: Term, k: Term) -> Term:
    """x * 2^k, in two steps so that results below the smallest normal number are right."""
    half = k >> 1
    return x * _power_of_2(half) * _power_of_2(k - half)


def exponential(x: Term) -> Term:
    """e^x."""
    whole, tail, k = _exp(x)
    return _scaled(whole + tail, k)


def _expm1(x: Term) -> tuple[Term, Term]:
    """e^x - 1 as a sum of two terms."""
    known = _COEFFICIENTS[x.real]
    k, r, lost = _reduced(x.at_most(known.most).at_least(known.minus_one))
    half = _power_of_2(k - 1)  # as 2^k may be inf
    first, second = half - 0.5, half * r
    total = first + second
    rest = (first - total) + second
    tail = half.times_plus((r * r).times_plus(polynomial(r, known.exp), lost), rest)
    return total * 2.0, tail * 2.0


def exponential_less_one(x: Term) -> Term:
    """e^x - 1."""
    total, tail = _expm1(x)
    return (total + tail).replaced(abs(x).compare("olt", _lost(x.real)), x)


def hyperbolic_tangent(x: Term) -> Term:
    """The hyperbolic tangent: m / (m + 2) for m = e^2x - 1, corrected for rounding errors."""
    size = abs(x)
    total, tail = _expm1(size.at_most(_COEFFICIENTS[x.real].flat) * 2.0)
    m = total + tail
    last = tail - (m - total)
    below = m + 2.0
    inverse = 1.0 / below
    quotient = m * inverse
    rest = (-quotient).times_plus(below, m) + (last - quotient * ((m - (below - 2.0)) + last))
    result = rest.times_plus(inverse, quotient)
    result = result.replaced(size.compare("olt", _lost(x.real)), size)
    return x.f.intrinsic("copysign", result, x)


# ---------------------------------------------------------------------- logarithms


def _split(x: Term) -> tuple[Term, Term, Term]:
    """k as bits of an exponent, m between sqrt(1/2) and sqrt(2), and k, so that x = 2^k m."""
    whole, real = bits(x), x.real
    places, more = real.fraction, real.bias + 1
    above = whole - _COEFFICIENTS[real].root_half
    power = above & (-1 << places)
    # The number 2^places plus k and more, whose last bits are k and more.
    biased = (above + (more << places)).dropped(places) | ((real.bias + places) << places)
    return power, number(whole - power), number(biased) - (2.0**places + more)


def _logarithm(f: Term, k: Term) -> Term:
    """log(1 + f) + k log 2."""
    known = _COEFFICIENTS[f.real]
    s = f / (f + 2.0)
    z = s * s
    half = f * f * 0.5
    inner = s * (half + z * polynomial(z, known.log))
    return k * known.log2[0] - ((half - k.times_plus(known.log2[1], inner)) - f)


def logarithm(x: Term) -> Term:
    """The natural logarithm."""
    more = x.real.fraction + 2  # enough to make the smallest number a normal one
    tiny = x.compare("olt", 2.0 ** (1 - x.real.bias))
    _, m, k = _split(x.replaced(tiny, x * 2.0**more))
    result = _logarithm(m - 1.0, k.replaced(tiny, k - float(more)))
    result = result.replaced(x.compare("oeq", 0.0), -math.inf)
    result = result.replaced(x.compare("ult", 0.0), math.nan)
    return result.replaced(x.compare("oeq", math.inf), math.inf)


def logarithm_of_one_more(x: Term) -> Term:
    """log(1 + x)."""
    u = x + 1.0
    lost = x - (u - 1.0)
    power, m, k = _split(u)
    lost = lost * number(bits(u.like(1.0)) - power)
    lost = lost.replaced(u.compare("ogt", 1 / _lost(x.real)), 0.0)
    result = _logarithm((m - 1.0) + lost, k)
    result = result.replaced(x.compare("oeq", -1.0), -math.inf)
    result = result.replaced(x.compare("ult", -1.0), math.nan)
    result = result.replaced(u.compare("oeq", math.inf), math.inf)
    return result.replaced(u.compare("oeq", 1.0), x)


# ---------------------------------------------------------------------- waves

_PARTS = (
    float.fromhex("0x1.921fb544p+0"), float.fromhex("0x1.0b4611a6p-34"),
    float.fromhex("0x1.3198a2ep-69"), float.fromhex("0x1.b839a252049c1p-104"),
)  # fmt: skip  # pi / 2: three parts of 33 bits and the rest
_SIN = (
    -0.16666666666666666, 0.008333333333333331, -0.00019841269841265065, 2.755731921933913e-06,
    -2.505210623243528e-08, 1.6058531617037152e-10, -7.586697002817504e-13,
)  # fmt: skip
_COS = (
    0.041666666666666664, -0.0013888888888887398, 2.4801587298765665e-05, -2.7557317271718644e-07,
    2.087614626607931e-09, -1.1382632258093615e-11,
)  # fmt: skip
_FAR = 2.0**19  # beyond this, the parts above are not precise enough


def _difference(x: Term, y: Term) -> tuple[Term, Term]:
    """x - y and its rounding error."""
    total = x - y
    back = total - x
    return total, (x - (total - back)) - (y + back)


def _quarter_turns(x: Term) -> tuple[Term, Term, Term]:
    """The number of quarter turns in x, the rest, and the rounding error of the rest."""
    shifted = x.times_plus(2 / math.pi, _rounding(x.real))
    n = shifted - _rounding(x.real)
    rest, lost = x - n * _PARTS[0], x * 0.0
    for part in _PARTS[1:]:
        rest, more = _difference(rest, n * part)
        lost = lost + more
    total = rest + lost
    return bits(shifted), total, (rest - total) + lost


def _wave(x: Term, name: str, ahead: int) -> Term:
    """The sine of x plus a number of quarter turns."""

    def near() -> Term:
        turns, r, lost = _quarter_turns(x)
        turns = turns + ahead
        z = r * r
        sine = r + (z * r).times_plus(polynomial(z, _SIN), lost - z * lost * 0.5)
        half = z * 0.5
        whole = 1.0 - half
        rest = ((1.0 - whole) - half) + (z * z).times_plus(polynomial(z, _COS), -(r * lost))
        odd = (turns & 1).compare("ne", 0)
        return number(bits(odd.select(whole + rest, sine)) ^ ((turns & 2) << 62))

    far = abs(x).compare("ugt", _FAR).any()
    return x.f.when(far, lambda: each(name, x), near())


def sine(x: Term) -> Term:
    """The sine."""
    return _wave(x, "sin", 0)


def cosine(x: Term) -> Term:
    """The cosine."""
    return _wave(x, "cos", 1)


# ---------------------------------------------------------------------- the error function

# erf(x) / x - 1 in x^2, for |x| <= 1/2.
_ERF = (
    0.1283791670955126, -0.3761263890318375, 0.1128379167095487, -0.02686617064499972,
    0.0052239776220169365, -0.0008548326510724796, 0.00012055286202005714,
    -1.4923003368152099e-05, 1.637123442577e-06, -1.462091340945175e-07,
)  # fmt: skip
# erfc(x) e^(x^2) (1 + 1.4375 x) for 1/2 <= x <= 28, in a / (x + 3) + b; the first in two parts.
_ERFC = (
    0.9423020950008071, 0.1412120090885553, 0.023786054095102697, -0.017470982676558888,
    -0.018832363216808135, -0.009643181940591447, -0.002931296220562337, -0.00035461677323715614,
    0.00010707400615567376, 4.7938374567122e-05, -9.060122089806797e-07, -4.162456792586053e-06,
    -2.5811648402145687e-07, 3.8109738408335363e-07, 3.277362716197376e-08, -3.9750005082047397e-08,
    -2.267305982910569e-09, 4.5159286921502844e-09, -7.493940132672134e-12, -4.850957795972702e-10,
    1.788594063829295e-11, 3.4721950100046873e-11,
)  # fmt: skip
_ERFC_REST, _ERFC_A, _ERFC_B = -1.798448372998304e-17, 7.890909090909091, -1.2545454545454546


def _square(x: Term) -> tuple[Term, Term]:
    """x * x and its rounding error."""
    high = x * 134217729.0
    high = high - (high - x)
    low, square = x - high, x * x
    return square, ((high * high - square) + high * low * 2.0) + low * low


def _erfc(x: Term) -> tuple[Term, Term]:
    """erfc(x) as a sum of two terms, for x >= 1/2."""
    x = x.at_most(28.0)
    u = (1.0 / (x + 3.0)).times_plus(_ERFC_A, _ERFC_B)
    part = u * polynomial(u, _ERFC[1:])
    g = part + _ERFC[0]
    rest = (_ERFC[0] - g) + part + _ERFC_REST
    below = x.times_plus(1.4375, 1.0)
    lost = x.times_plus(1.4375, 1.0 - below)
    inverse = 1.0 / below
    q = g * inverse
    rest = ((-q).times_plus(below, g) + (rest - q * lost)) * inverse
    square, more = _square(x)
    whole, tail, k = _exp(-square)
    e = whole + tail
    low = (whole - e) + tail - e * more
    high = e * q
    rest = e.times_plus(q, -high) + (e * rest + low * q)
    return _scaled(high, k), _scaled(rest, k)


def _small_erf(x: Term) -> Term:
    """erf(x) - x for |x| up to 1/2."""
    return x * polynomial(x * x, _ERF)


def error_function(x: Term) -> Term:
    """The error function."""
    size = abs(x)
    high, low = _erfc(size)
    large = x.f.intrinsic("copysign", (1.0 - high) - low, x)
    return size.compare("olt", 0.5).select(x + _small_erf(x), large)


def rest_of_error_function(x: Term) -> Term:
    """1 minus the error function."""
    size = abs(x)
    high, low = _erfc(size)
    large = x.compare("olt", 0.0).select((2.0 - high) - low, high + low)
    rest = 1.0 - x
    small = rest + (((1.0 - rest) - x) - _small_erf(x))
    return size.compare("olt", 0.5).select(small, large)


# ---------------------------------------------------------------------- all of them


_NAMES_IN_C = {"gamma": "tgamma"}  # names that differ from `math`; C's gamma is the logarithm


def each(name: str, *arguments: Term) -> Term:
    """A function of the C library, called with doubles for each number of a vector."""
    if arguments[0].real is not DOUBLE:
        return in_doubles(partial(each, name), *arguments)
    x, f, name = arguments[0], arguments[0].f, _NAMES_IN_C.get(name, name)
    f.libm.add(name)
    vector = Term(f, x.type, "poison")
    for k in range(x.lanes):
        z = f.call(name, x.kind, *(argument.part(k) for argument in arguments))
        if x.lanes == 1:
            return z
        vector = f.term(x.type, f"insertelement {x.type} {vector}, {z.type} {z}, i32 {k}")
    return vector


def in_doubles(function: Callable[..., Term], *arguments: Term) -> Term:
    """A function's result, computed in doubles."""
    return function(*(x.to(DOUBLE) for x in arguments)).to(arguments[0].real)


VECTORS: dict[str, Callable[[Term], Term]] = {
    "exp": exponential, "expm1": exponential_less_one, "tanh": hyperbolic_tangent,
    "log": logarithm, "log1p": logarithm_of_one_more,
    "sin": partial(in_doubles, sine), "cos": partial(in_doubles, cosine),
    "erf": partial(in_doubles, error_function), "erfc": partial(in_doubles, rest_of_error_function),
    "radians": lambda x: x * (math.pi / 180), "degrees": lambda x: x * (180 / math.pi),
}  # fmt: skip
EXPONENTS = frozenset({0.0, 1.0, 2.0, 3.0, 4.0, -1.0, -2.0, 0.5, 1.5, -0.5, -1.5})


def power(x: Term, y: float) -> Term:
    """x ** y for exponents that need only a few multiplications and roots."""
    if y % 1:
        # Of -0 it is a power of 0, and of -inf one of inf; what else is negative has none.
        root = x.f.intrinsic("sqrt", x + 0.0).replaced(x.compare("oeq", -math.inf), math.inf)
        halves = {0.5: root, -0.5: 1.0 / root, 1.5: abs(x) * root}
        return halves.get(y, 1.0 / abs(x) * (1.0 / root))
    factor = x if y > 0 else 1.0 / x
    square = factor * factor
    wholes = {0.0: x.like(1.0), 1.0: factor, 2.0: square, 3.0: square * factor}
    return wholes.get(abs(y), square * square)
