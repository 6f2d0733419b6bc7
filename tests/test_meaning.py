"""What a Value means where a number is asked for: compared, converted, stored, shown."""

import math
import operator
import random
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

import autograd
from autograd import (
    RecordingError,
    Value,
    Verdict,
    check_gradients,
    detect_anomaly,
    grad,
    no_grad,
    recording,
    scope,
)
from autograd.notes import UNTOUCHED
from autograd.operands import item
from autograd.value import grads, number_writer, numbers
from nn import MLP

nan, inf = math.nan, math.inf

# ---------------------------------------------------------------------- compared

ORDERS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
NUMBERS: list[Callable[[float], Any]] = [
    Value,
    float,
    np.float64,
    np.float32,
    np.array,  # without dimensions
    lambda x: int(x) if x in (0.0, 2.0) else x,
    lambda x: Fraction(x) if math.isfinite(x) else x,
    lambda x: np.int64(x) if x in (0.0, 2.0) else x,
    lambda x: bool(x) if x in (0.0, 1.0) else x,
    lambda x: np.bool_(x) if x in (0.0, 1.0) else x,
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@pytest.mark.parametrize("kind", range(len(NUMBERS)))
def test_comparisons_are_those_of_the_numbers_on_both_sides(order: Any, kind: int) -> None:
    some = [0.0, -0.0, 1.0, 2.0, 0.5, inf, -inf, nan]
    for x in some:
        for y in some:
            other = NUMBERS[kind](y)
            for found in (order(Value(x), other), order(other, Value(x))):
                assert type(found) is bool
            assert order(Value(x), other) is order(x, y)
            assert order(other, Value(x)) is order(y, x)


def test_large_integers_are_compared_exactly() -> None:
    large = 2**53 + 1
    assert Value(2.0**53) != large
    assert Value(2.0**53) == 2**53
    assert Value(1.0) != 10**400


@pytest.mark.parametrize("other", ["1.0", None, b"1", (), [1.0], {}, object(), "", Decimal("1.5")])
def test_what_is_no_number_of_that_size_is_not_equal(other: Any) -> None:
    v = Value(1.0)
    assert (v == other, other == v, v != other, other != v) == (False, False, True, True)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@pytest.mark.parametrize("array", [np.ones(2), np.ones((1, 1)), np.array([], dtype=float)])
def test_an_array_is_not_compared_with_a_value(order: Any, array: Any) -> None:
    for one, two in ((Value(1.0), array), (array, Value(1.0))):
        with pytest.raises(TypeError, match=r"one Value per number, as in .*tolist"):
            order(one, two)


@pytest.mark.parametrize("order", ORDERS[:4], ids=lambda order: order.__name__)
def test_text_and_none_are_not_ordered(order: Any) -> None:
    for other in ("1.0", None, 1j, [1.0]):
        with pytest.raises(TypeError):
            order(Value(1.0), other)


def test_truth_is_whether_the_number_is_not_zero() -> None:
    truths = [bool(Value(x)) for x in (0.0, -0.0, 1.0, -1e-320, inf, nan)]
    assert truths == [False, False, True, True, True, True]
    assert not any([Value(0.0)])
    assert list(filter(None, [Value(0.0), Value(2.0)])) == [2.0]


def test_sets_and_keys_go_by_identity_and_membership_of_a_list_by_number() -> None:
    a, b = Value(1.0), Value(1.0)
    assert len({a, b}) == 2
    assert {a: "a", b: "b"}[b] == "b"
    assert 1.0 not in {a}
    assert 1.0 in [a]
    assert [b, a].index(a) == 0
    assert [a, 2.0] == [b, Value(2.0)]
    assert hash(a) != hash(1.0)


# ---------------------------------------------------------------------- converted

CONVERSIONS: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "float": (float, 2.25, "v.data"),
    "int": (int, 2, "v.data"),
    "complex": (complex, 2.25 + 0j, "v.data"),
    "round to a digit": (lambda v: round(v, 1), 2.2, "v.data"),
    "sqrt": (lambda v: math.sqrt(v), 1.5, "v.sqrt() or autograd.sqrt(v)"),
    "fabs": (lambda v: math.fabs(v), 2.25, "v.abs() or autograd.abs(v)"),
    "hypot": (lambda v: math.hypot(3.0, v), 3.75, "v.hypot() or autograd.hypot(v)"),
    "isnan": (lambda v: math.isnan(v), False, "v.data"),
    "floor": (lambda v: math.floor(v), 2, "v.data"),
    "ceil": (lambda v: math.ceil(v), 3, "v.data"),
    "trunc": (lambda v: math.trunc(v), 2, "v.data"),
    "fsum": (lambda v: math.fsum([v, 1.0]), 3.25, "v.data"),
    "text": (lambda v: "%.1f" % v, "2.2", "v.data"),  # noqa: UP031
    "np.float64": (lambda v: np.float64(v), 2.25, "v.data"),
    "np.array": (lambda v: np.array([v], dtype=float)[0], 2.25, "v.data"),
    "np.asarray": (lambda v: np.asarray(v, dtype=np.float32).item(), 2.25, "v.data"),
}
MODES: list[Callable[[], list[AbstractContextManager[Any]]]] = [
    list,
    lambda: [no_grad(), recording()],
    lambda: [scope("part")],
    lambda: [detect_anomaly()],
]


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_conversion_is_refused_while_operations_are_recorded(name: str) -> None:
    convert, _, advice = CONVERSIONS[name]
    for contexts in MODES:
        with ExitStack() as stack:
            for context in contexts():
                stack.enter_context(context)
            with pytest.raises(TypeError) as refused:
                convert(Value(2.25))
            assert advice in str(refused.value)
            assert "v.data" in str(refused.value)
    with no_grad(), pytest.raises(TypeError, match=r"v\.data"):
        grad(lambda x: convert(x) * x)(2.25)


@pytest.mark.parametrize("name", CONVERSIONS)
def test_inside_no_grad_a_conversion_gives_the_number(name: str) -> None:
    convert, wanted, _ = CONVERSIONS[name]
    with no_grad():
        assert convert(Value(2.25)) == wanted
        assert convert(Value(1.5) * 1.5) == wanted
        with scope("part"):
            assert convert(Value(2.25)) == wanted


def test_rounding_to_a_whole_number_is_an_operation_if_there_is_such_a_row() -> None:
    if "round" not in autograd.rows():
        with pytest.raises(TypeError, match=r"v\.data"):
            round(Value(2.25))
        autograd.define_op("round", "x - x + 2.0", "0.0")
    assert type(round(Value(2.25))) is Value
    assert round(Value(2.25)) == 2
    with no_grad():
        assert round(Value(2.25)) == 2


def test_the_refusal_quotes_what_was_written() -> None:
    x = Value(4.0)
    with pytest.raises(TypeError, match=r"^math\.sqrt\(x \* 2\.0\): a Value as a plain float"):
        math.sqrt(x * 2.0)
    with pytest.raises(TypeError, match=r"^int\(x\): a Value as a plain int"):
        int(x)
    with pytest.raises(TypeError, match=r"^round\(x, 2\): a Value as a plain rounded number"):
        round(x, 2)
    with pytest.raises(TypeError, match=r"^a Value as a plain float would lose its gradient"):
        eval("float(x)", {"x": x})  # there is no source to quote
    with pytest.raises(TypeError, match=r"^a Value as a plain float"):
        math.sqrt(
            x,
        )
    with pytest.raises(TypeError, match="a Value as a plain float"):
        statistics.fmean([x, x])


def test_an_activation_of_python_s_math_is_refused() -> None:
    with pytest.raises(TypeError, match=r"v\.data"):
        MLP([2, 3, 1], math.tanh, seed=0)([1.0, 2.0])


def test_a_list_is_not_indexed_by_a_value() -> None:
    with pytest.raises(TypeError, match="Value"):
        [1.0, 2.0][Value(1.0)]  # type: ignore[call-overload]
    with no_grad(), pytest.raises(TypeError, match="Value"):
        range(Value(2.0))  # type: ignore[call-overload]


def test_item_and_data_give_the_number_and_text_shows_it() -> None:
    v = Value(3.14159, "v")
    assert (v.item(), v.data, item(v)) == (3.14159,) * 3
    assert (item(2), type(item(2)), type(v.item())) == (2.0, float, float)
    assert (f"{v:.2f}", f"{v:8.3f}", f"{v:e}") == ("3.14", "   3.142", "3.141590e+00")
    assert f"{v}" == str(v) == repr(v) == "Value(data=3.14159, grad=0.0, label='v')"


# ---------------------------------------------------------------------- stored

STORED: list[tuple[Any, float]] = [
    (2, 2.0),
    (True, 1.0),
    (Fraction(1, 4), 0.25),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float64(0.1), 0.1),
    (np.float16(0.5), 0.5),
    (np.int64(3), 3.0),
    (np.uint8(3), 3.0),
    (np.bool_(True), 1.0),
    (np.array(0.5), 0.5),
    (np.array(3), 3.0),
    (-0.0, -0.0),
    (nan, nan),
]


@pytest.mark.parametrize(("given", "stored"), STORED, ids=lambda x: repr(x))
def test_any_real_number_is_stored_as_a_float(given: Any, stored: float) -> None:
    v = Value(1.0)
    v.data = given
    v.grad = given
    for found in (v.data, v.grad, Value(given).data, (Value(1.0) * given).data, item(given)):
        assert (type(found), found.hex()) == (float, stored.hex())
    assert type((v * 1e30 * 1e30).data) is float


class Scalar:
    """Stands in for a tensor of another library with one number."""

    shape = ()

    def __repr__(self) -> str:
        return "a scalar"  # without an address, which differs between the processes of a run

    def __array__(self) -> Any:
        return np.array(1.0)


REFUSED: list[tuple[Any, str]] = [
    ("2.0", "Value(float(text))"),
    (1 + 2j, "this engine is real"),
    (np.complex64(1j), "real"),
    (None, "give a real number"),
    ([1.0], "one Value per number"),
    (np.ones(1), "tolist"),
    (np.str_("x"), "real number"),
    (np.datetime64("2020-01-01", "ns"), "real number"),
    (np.timedelta64(3, "D"), "got timedelta64; give a real number"),
    (np.timedelta64(3), "give a real number"),
    (np.array("x", object), "Value(float(text))"),
    (Scalar(), "write its .item() for the number alone"),
    (Decimal("1.5"), "write float(...) of it"),
]


@pytest.mark.parametrize(("wrong", "advice"), REFUSED, ids=lambda x: repr(x))
def test_what_is_no_real_number_is_not_stored(wrong: Any, advice: str) -> None:
    v = Value(1.0, "v")
    v.grad = 3.0
    for name in ("data", "grad"):
        with pytest.raises(
            TypeError, match=rf"^v\.{name} = ...: expected a real number"
        ) as refused:
            setattr(v, name, wrong)
        assert advice in str(refused.value)
    assert (v.data, v.grad) == (1.0, 3.0)


def test_a_value_that_is_stored_as_data_is_refused_with_advice() -> None:
    w = Value(1.0)
    with pytest.raises(TypeError, match=r"p\.data = p\.data - lr \* p\.grad"):
        w.data = w - 0.1 * w.grad  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"v\.grad = \.\.\."):
        w.grad = Value(1.0)  # type: ignore[assignment]
    w.data -= 0.25
    w.grad += 2
    assert (w.data, w.grad, type(w.grad)) == (0.75, 2.0, float)
    with pytest.raises(ValueError, match="too large"):
        w.data = 10**400
    assert w.data == 0.75


def test_numbers_are_read_and_written_in_bulk() -> None:
    nodes = [Value(1.0), Value(2.0)]
    assert (numbers(nodes), grads(nodes)) == ([1.0, 2.0], [0.0, 0.0])
    assert grads(nodes)[0] is UNTOUCHED
    number_writer(nodes, [3.0, 4.0])()
    assert numbers(nodes) == [3.0, 4.0]

    def f(x: Any) -> Any:
        number_writer(nodes, [5.0, 6.0])()
        return x

    with pytest.raises(RecordingError, match=r"changes the \.data of a Value from outside"):
        autograd.compile(f)(1.0)
    assert numbers(nodes) == [3.0, 4.0]


# ---------------------------------------------------------------------- beside other classes


class Amount:
    """Something with units, which knows what it is beside a number."""

    def __radd__(self, other: Any) -> Any:
        return "radd", other

    def __rmul__(self, other: Any) -> Any:
        return "rmul", other

    def __rpow__(self, other: Any) -> Any:
        return "rpow", other

    def __gt__(self, other: Any) -> Any:
        return "gt", other

    def __eq__(self, other: object) -> Any:
        return ("eq", other)

    __hash__ = None  # type: ignore[assignment]


def test_a_class_with_a_reflected_method_is_asked() -> None:
    v, amount = Value(2.0), cast(Any, Amount())
    found: list[Any] = [v + amount, v * amount, v**amount, v < amount]
    assert [name for name, _ in found] == ["radd", "rmul", "rpow", "gt"]
    assert all(other is v for _, other in found)
    assert (v == amount)[0] == "eq"
    with pytest.raises(TypeError, match="sub: expected a real number"):
        v - amount
    with pytest.raises(TypeError, match="mul: expected a real number, got Amount"):
        v.mul(amount)
    with pytest.raises(TypeError, match="mul: expected a real number, got Amount"):
        amount * v
    with pytest.raises(TypeError, match="a comparison: expected a real number, got Amount"):
        v > amount  # noqa: B015


class Text(str):
    """Text of another class."""

    __slots__ = ()


class Pair(NamedTuple):
    """Two numbers."""

    x: float
    y: float


@pytest.mark.parametrize(
    ("other", "advice"),
    [
        ("x", "Value(float(text))"),
        (Text("x"), "Value(float(text))"),
        ([1.0], "one Value"),
        (Pair(1.0, 2.0), "one Value"),
        (1j, "real"),
        (np.ones(2), "tolist"),
        (Decimal("1.5"), "real number"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_text_containers_and_arrays_keep_their_advice(other: Any, advice: str) -> None:
    v = Value(2.0)
    for use in (
        lambda: v + other,
        lambda: v * other,
        lambda: other * v,
        lambda: v - other,
        lambda: other - v,
        lambda: v**other,
        lambda: v / other,
        lambda: v < other,
        lambda: v.maximum(other),
    ):
        with pytest.raises(TypeError) as refused:
            use()
        assert advice in str(refused.value)


# ---------------------------------------------------------------------- NumPy

UFUNCS = {
    "exp": "exp",
    "sqrt": "sqrt",
    "tanh": "tanh",
    "absolute": "abs",
    "negative": "neg",
    "arcsin": "asin",
    "arctan2": "atan2",
    "arccosh": "acosh",
    "maximum": "maximum",
    "square": "square",
}


@pytest.mark.parametrize("name", UFUNCS)
def test_a_function_of_numpy_names_the_operation(name: str) -> None:
    function = getattr(np, name)
    operands = [Value(1.0)] * function.nin
    row = UFUNCS[name]
    with pytest.raises(TypeError, match=rf"np\.{name} of a Value: .*autograd\.{row}\(v\)"):
        function(*operands)
    with no_grad():
        assert np.isclose(function(*operands), getattr(autograd, row)(*[1.0] * function.nin))
    assert row in autograd.rows()


def test_other_functions_of_numpy_are_refused_too() -> None:
    v: Any = Value(1.0)
    array: Any = np.ones(2)
    uses: list[Callable[[], Any]] = [
        lambda: np.signbit(v),
        lambda: np.add(array, v),
        lambda: np.add.reduce(v),
        lambda: array @ v,
        lambda: np.multiply(2.0, v, out=array),
        lambda: exec("array *= v", {"array": array, "v": v}),
    ]
    for use in uses:
        with pytest.raises(TypeError, match=r"np\.\w+ of a Value|one Value per number"):
            use()
    assert array.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "operate", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.bool_, np.array])
def test_numbers_of_numpy_compute_with_values(operate: Any, kind: Any) -> None:
    x = kind(1.0)
    right, left = Value(3.0), Value(3.0)
    one, two = operate(x, right), operate(left, x)
    assert (type(one), type(two)) == (Value, Value)
    assert (one.data, two.data) == (operate(1.0, 3.0), operate(3.0, 1.0))
    (one + two).backward()
    assert right.grad == grad(lambda v: operate(1.0, v))(3.0)
    assert left.grad == grad(lambda v: operate(v, 1.0))(3.0)


def test_inside_no_grad_a_function_of_numpy_gives_its_numbers() -> None:
    array: Any = np.array([1.0, 2.0])
    v: Any = Value(1.5)
    with no_grad():
        assert np.maximum(array, v).tolist() == [1.5, 2.0]
        assert type(np.float64(2.0) * v) is Value
        with pytest.raises(TypeError, match="one Value per number"):
            array * v


def test_arrays_of_objects_compute_one_by_one() -> None:
    a, b = Value(2.0), Value(3.0)
    array = np.array([a, b], dtype=object)
    total = (array * 2.0 + 1.0).sum()
    total.backward()
    assert (total.data, a.grad, b.grad) == (12.0, 2.0, 2.0)
    assert np.exp(array)[0].data == math.exp(2.0)


# ---------------------------------------------------------------------- run on decimals


def test_a_number_taken_out_of_a_value_is_seen_by_the_checker() -> None:
    def cut(x: Any) -> Any:
        return x * math.exp(x.data)

    assert check_gradients(cut, 1.25).verdict is Verdict.FAIL
    assert check_gradients(lambda x: x * 2.0 if x.data > 1.0 else x, 1.25).verdict is Verdict.PASS
    assert check_gradients(lambda x: x if x == 1.25 else x * x, 1.5).verdict is Verdict.PASS

    def asks(x: Any) -> Any:
        with no_grad():
            count = int(x) + round(x) + math.floor(x)
        return x * count if x else x

    assert check_gradients(asks, 2.25).verdict is Verdict.PASS
    assert check_gradients(lambda x: x * len(f"{x:.0f}"), 2.25).verdict is Verdict.PASS
    texts: list[Callable[[Any], str]] = [
        lambda x: f"{x:.17g}",
        lambda x: f"{x.data:.17g}",
        lambda x: str(x.data),
    ]
    for text in texts:
        assert check_gradients(lambda x: x * float(text(x)), 1.3).verdict is Verdict.FAIL  # noqa: B023
    assert check_gradients(lambda x: x if x != "text" else 2.0 * x, 2.0).verdict is Verdict.PASS


def test_random_programs_ask_the_same_of_values_as_of_floats() -> None:
    # What a program does that branches on comparisons of all kinds, with numbers of either kind.
    for seed in range(50):

        def program(line: list[Any], seed: int = seed) -> list[Any]:
            r = random.Random(seed)
            for _ in range(30):
                x, y = r.choice(line), r.choice(line)
                order = r.choice(ORDERS)
                z = x * y - 0.5 if order(x, y) else x + y if x else y - 1
                line.append(z if abs(z) < 100 else z * 0.0)
            return line

        start = [random.Random(seed).choice([-1.0, 0.0, 0.5, 1.0, 2.0]) for _ in range(4)]
        found = program([Value(x) for x in start])
        assert numbers(found) == program(list(start))
