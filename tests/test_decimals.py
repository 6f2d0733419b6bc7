"""The referee's decimal arithmetic: functions to the last digit, ends, powers and comparisons."""

import ast
import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from autograd import Value, rows
from autograd.check.carrier import Carrier, Run
from autograd.operation import Op
from autograd.printers import decimals
from autograd.printers.decimals import LIBM

mpmath = pytest.importorskip("mpmath")
mp, mpf = mpmath.mp, mpmath.mpf

SIZES = ["1e-400", "1e-30", "0.001", "0.04", "0.05", "0.06", "0.3", "0.5", "0.9", "1", "1.5", "2",
         "3.2", "7", "12", "29", "30", "31", "45", "1e3", "1e22", "1e60"]  # fmt: skip
POINTS = [sign + size for size in SIZES for sign in ("", "-")] + ["0", "-0"]
EXACT: dict[str, Callable[[Any], Any]] = {
    "abs": abs, "sqrt": lambda x: mp.sqrt(x), "exp": lambda x: mp.exp(x),
    "expm1": lambda x: mp.expm1(x), "log": lambda x: mp.log(x), "log1p": lambda x: mp.log1p(x),
    "log2": lambda x: mp.log(x, 2), "log10": lambda x: mp.log10(x), "sin": lambda x: mp.sin(x),
    "cos": lambda x: mp.cos(x), "tan": lambda x: mp.tan(x), "asin": lambda x: mp.asin(x),
    "acos": lambda x: mp.acos(x), "atan": lambda x: mp.atan(x), "sinh": lambda x: mp.sinh(x),
    "cosh": lambda x: mp.cosh(x), "tanh": lambda x: mp.tanh(x), "asinh": lambda x: mp.asinh(x),
    "acosh": lambda x: mp.acosh(x), "atanh": lambda x: mp.atanh(x), "erf": lambda x: mp.erf(x),
    "erfc": lambda x: mp.erfc(x), "cbrt": lambda x: mp.cbrt(abs(x)) * (-1 if x < 0 else 1),
    "floor": lambda x: mp.floor(x), "ceil": lambda x: mp.ceil(x), "round": lambda x: mp.nint(x),
}  # fmt: skip
# Differences that lose the digits of what is small beside 1.
LOSING = {"acos", "acosh", "atanh", "asinh", "sinh", "tanh", "asin"}


def inside(name: str, at: str) -> bool:
    x = Decimal(at)
    if name in ("sqrt", "log", "log2", "log10"):
        return x > 0
    if name in ("asin", "acos"):
        return abs(x) < 1
    if name == "acosh":
        return x > 1
    if name in ("log1p", "atanh"):
        return x > -1 and (name == "log1p" or x < 1)
    return name not in ("exp", "expm1", "sinh", "cosh") or abs(x) < 1000


def agree(found: Decimal, exact: Any, digits: int) -> bool:
    with mp.workdps(900):
        return bool(abs(mpf(str(found)) - exact) <= abs(exact) * mpf(10) ** -digits)


@pytest.mark.parametrize("name", sorted(EXACT))
@pytest.mark.parametrize("precision", [30, 50])
def test_a_function_has_all_the_digits_of_the_context(name: str, precision: int) -> None:
    for at in POINTS:
        if not inside(name, at):
            continue
        with decimals.digits(precision):
            found = LIBM[name](Decimal(at))
        if name in ("sin", "cos", "tan") and Decimal(at).adjusted() > precision:
            assert found.is_nan()
            continue
        with mp.workdps(900):
            exact = EXACT[name](mpf(at))
        if name == "erfc" and Decimal(at) > 30:
            assert found == 0
            continue
        assert agree(found, exact, precision - (3 if name in LOSING else 1)), (name, at, found)
        if not Decimal(at):
            assert str(found)[0] == "-" or exact or at == "0" or name == "abs", (name, at, found)


@pytest.mark.parametrize("y", ["0", "-0", "2", "-2", "1e-40", "-1e40"])
@pytest.mark.parametrize("x", ["0", "3", "-3", "1e-20", "-1e20"])
def test_angles_of_every_quarter(x: str, y: str) -> None:
    with decimals.digits(40):
        found = LIBM["atan2"](Decimal(y), Decimal(x))
    if not Decimal(x) and not Decimal(y):
        assert found == 0  # the table's convention
        return
    with mp.workdps(300):
        exact = abs(mp.atan2(abs(mpf(y)), mpf(x)))
    assert agree(found.copy_abs(), exact, 38)
    assert found.is_signed() is (y[0] == "-")


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        *((name, at, "NaN") for name in ("sin", "cos", "tan") for at in ("inf", "-inf", "nan")),
        ("erf", "nan", "NaN"), ("erfc", "nan", "NaN"), ("atan", "nan", "NaN"),
        ("erf", "31", "1"), ("erf", "-inf", "-1"), ("erfc", "inf", "0"), ("erfc", "-31", "2"),
        ("expm1", "inf", "Infinity"), ("expm1", "-inf", "-1"), ("log1p", "-1", "-Infinity"),
        ("log1p", "inf", "Infinity"), ("log1p", "-2", "NaN"), ("expm1", "-0", "-0"),
        ("log1p", "-0", "-0"), ("tanh", "1e20", "1"), ("tanh", "-1e20", "-1"), ("sin", "-0", "-0"),
        ("log", "0", "-Infinity"), ("sqrt", "-1", "NaN"),
    ],
)  # fmt: skip
def test_a_function_at_its_ends(name: str, at: str, expected: str) -> None:
    with decimals.digits(30):
        found = LIBM[name](Decimal(at))
        if expected == "NaN":
            assert found.is_nan()
        else:
            assert +found == Decimal(expected)
            assert found.is_signed() is (expected[0] == "-")


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ("7.5", "2", "1.5"), ("-7.5", "2", "-1.5"), ("7.5", "-2", "1.5"), ("-4", "2", "-0"),
        ("1e60", "7", "1"), ("3", "inf", "3"), ("inf", "2", "NaN"), ("1", "0", "NaN"),
        ("nan", "2", "NaN"), ("2", "nan", "NaN"), ("3e-40", "1e40", "3e-40"),
    ],
)  # fmt: skip
def test_the_remainder_of_a_division_of_any_size(x: str, y: str, expected: str) -> None:
    with decimals.digits(30):
        found = LIBM["fmod"](Decimal(x), Decimal(y))
    assert str(found) == str(Decimal(expected)) or found == Decimal(expected) != 0


def test_a_function_that_decimals_lack_is_refused_by_name() -> None:
    radians: Any = Op("radians(x)", "0.017453292519943295")
    radians.read("radians", rows())
    with pytest.raises(
        NotImplementedError, match=r"radians: .* LIBM in autograd/printers/decimals\.py"
    ):
        decimals.value(radians)


def test_the_arctangent_of_the_infinite_is_a_quarter_turn() -> None:
    for at, sign in (("inf", 1), ("-inf", -1)):
        with decimals.digits(50):
            found = LIBM["atan"](Decimal(at))
        with mp.workdps(80):
            assert agree(found, sign * mp.pi / 2, 49)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ("0", "0", "1"), ("2", "0", "1"), ("0", "2", "0"), ("0", "-1", "Infinity"),
        ("-2", "3", "-8"), ("-2", "4", "16"), ("-2", "-3", "-0.125"), ("-2", "5", "-32"),
        ("-8", "0.5", "NaN"), ("2", "0.5", "1.41421356237310"), ("4", "-0.5", "0.5"),
        ("-1", "999999999", "-1"), ("-1", "99999999", "-1"), ("0.5", "2", "0.25"),
        ("0.5", "1.5", "0.353553390593274"),
    ],
)  # fmt: skip
def test_powers_of_what_is_negative_or_nothing(x: str, y: str, expected: str) -> None:
    with decimals.digits(15):
        found = decimals._power(Decimal(x), Decimal(y))
        assert str(found) == expected or found == Decimal(expected)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_an_angle_without_a_digit_behind_its_point_is_unknown(name: str) -> None:
    for precision, at, known in ((30, "1e30", True), (30, "1e31", False), (50, "-1e60", False)):
        with decimals.digits(precision):
            assert LIBM[name](Decimal(at)).is_nan() is not known
    with decimals.digits(60):
        assert LIBM[name](Decimal(5000).exp()).is_nan()


def test_a_remainder_beyond_all_digits_is_unknown_and_a_sum_of_nan_ends() -> None:
    with decimals.digits(30):
        assert LIBM["fmod"](Decimal("1e100000"), Decimal(3)).is_nan()
        assert decimals._sum(iter([Decimal(1), Decimal("nan"), Decimal(1)])).is_nan()


def test_nothing_is_lost_inside_of_a_row() -> None:
    table = rows()
    saturates: Any = Op("1 - tanh(x)", "-1 / cosh(x) ** 2")
    saturates.read("saturates", table)
    bell: Any = Op("log(1 + exp(-x * x))", "-2 * x / (1 + exp(x * x))")
    bell.read("bell", table)
    exact: dict[Any, Callable[[Any], Any]] = {
        table["logsigmoid"]: lambda x: -mp.log1p(mp.exp(-x)),
        table["softplus"]: lambda x: mp.log1p(mp.exp(x)),
        saturates: lambda x: 2 / (1 + mp.exp(2 * x)),
        bell: lambda x: mp.log1p(mp.exp(-x * x)),
    }
    for op, value in exact.items():
        for at in ("300", "-300", "26"):
            with decimals.digits(40):
                found = decimals.value(op)(Decimal(at))
            if op is bell and abs(Decimal(at)) > 40:
                continue  # less than any double
            with mp.workdps(900):
                assert agree(found, value(mpf(at)), 39)


def test_a_context_has_the_widest_exponents_and_raises_nothing() -> None:
    with decimals.digits(33) as context:
        assert context.prec == 33
        assert (context.Emax, context.Emin) == (decimal.MAX_EMAX, decimal.MIN_EMIN)
        assert context.capitals == 1
        assert not any(context.traps.values())
        assert str(Decimal(1) / 0) == "Infinity"
        assert str(Decimal("1e-999999") * Decimal("1e-99999999")) == "1E-100999998"


def test_a_rows_text_is_computed_with_the_constants_of_the_engine() -> None:
    row: Any = Op("0.1 * x + pi * y ** 2", "0.1", "2 * pi * y")
    row.read("row", rows())
    with decimals.digits(40):
        found = decimals.value(row)(Decimal(3), Decimal(-2))
    with mp.workdps(60):
        assert agree(found, mpf(0.1) * 3 + mp.pi * 4, 38)
    calls: Any = Op("tanh(x) if x < inf else nan", "1 - z * z")
    calls.read("calls", rows())
    with decimals.digits(40):
        assert str(decimals.value(calls)(Decimal("inf"))) == "NaN"
        found = decimals.value(calls)(Decimal("0.5"))
    with mp.workdps(60):
        assert agree(found, mp.tanh(mpf("0.5")), 38)
    # An operand is no constant, also where decimals may raise.
    printer = decimals._Printer()
    assert ast.unparse(printer.visit(ast.parse("x + y", mode="eval").body)) == "x + y"
    assert set(printer.names) == {"power", "pi"}


def test_carriers_are_compared_as_their_numbers_with_numbers_of_any_kind() -> None:
    run = Run({})
    two = Carrier(run, Decimal(2))
    for other in (2, 2.0, Value(2.0), Carrier(run, Decimal(2)), Decimal(2)):
        assert (two < other, two <= other, two > other, two >= other) == (False, True, False, True)
    for other in (3, 3.0, Value(3.0), Carrier(run, Decimal(3))):
        assert (two < other, two <= other, two > other, two >= other) == (True, True, False, False)
    assert (two < 1, two <= 1, two > 1, two >= 1) == (False, False, True, True)
    assert float(two) == 2.0
    assert two.detach() is two
    with pytest.raises(TypeError, match=r"^expected a number, got str"):
        two < "2"  # noqa: B015


def test_a_run_has_the_given_decimals_of_parameters_and_the_numbers_of_other_values() -> None:
    w, v = Value(2.0), Value(0.1)
    run = Run({w: Decimal("2.5")})
    assert run.decimal(w) == Decimal("2.5")
    assert run.decimal(v) == run.decimal(v.data) == Decimal.from_float(v.data) != Decimal("0.1")
    assert run.decimal(7) == 7
    assert run.child("scope", "name") is run


def test_what_a_value_was_about_to_record_is_computed_on_decimals() -> None:
    w = Value(2.0)
    run = Run({w: Decimal("2.5")})
    table = rows()
    assert run.record(0.0, table["mul"], w, None, 2.0, 3.0).data == Decimal("7.5")
    assert run.record(0.0, table["mul"], None, w, 3.0, 2.0).data == Decimal("7.5")
    assert run.record(0.0, table["mul"], w, w, 2.0, 2.0).data == Decimal("6.25")
    assert run.record(0.0, table["sub"], None, w, 3.0, 2.0).data == Decimal("0.5")
    assert run.record(0.0, table["neg"], w, None, 2.0, None).data == Decimal("-2.5")
