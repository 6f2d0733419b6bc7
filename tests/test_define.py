"""An operation of the user's own: one row, checked when it is defined, then usable everywhere."""

import math
from typing import Any

import pytest

import autograd
from autograd import (
    RuleError,
    Value,
    Verdict,
    check_gradients,
    check_operation,
    define_op,
    draw,
    grad,
    rows,
)
from autograd.define import _points, ridders

MISH = (
    "x * t",
    "t + x * (1 - t * t) * sigmoid(x)",
)


def test_a_defined_operation_is_a_method_a_function_and_a_part_of_other_rows() -> None:
    mish = define_op("mish", *MISH, t="tanh(softplus(x))")
    v = Value(0.7, "v")
    made: Any = v.mish()  # type: ignore[attr-defined]
    made.backward()
    assert made.op is mish
    assert v.grad == pytest.approx(grad(lambda x: x * autograd.tanh(autograd.softplus(x)))(0.7))
    assert autograd.mish(0.7) == mish(0.7) == made.data
    assert "mish(v)" in draw(made).source
    assert grad(grad(mish))(0.3) == pytest.approx(
        grad(grad(lambda x: x * x.softplus().tanh()))(0.3)
    )


def test_two_operands_and_a_default() -> None:
    scaled = define_op("scaled", "x * y * y", "y * y", "2 * x * y", y=3.0)
    assert scaled(2.0) == 18.0
    a, b = Value(2.0), Value(5.0)
    scaled(a, b).backward()
    assert (a.grad, b.grad) == (25.0, 20.0)
    c = Value(2.0)
    scaled(4.0, c).backward()
    assert c.grad == 16.0


def test_other_rows_may_call_it() -> None:
    define_op("cube", "x * x * x", "3 * x * x")
    sixth = define_op("sixth", "cube(x) * cube(x)", "6 * cube(x) * x * x")
    assert sixth(2.0) == 64.0
    v = Value(2.0)
    sixth(v).backward()
    assert v.grad == 192.0


@pytest.mark.parametrize(
    ("arguments", "columns", "message"),
    [
        (("wrong", "x * x", "x"), {}, "dz/dx = 'x' gives"),
        (("wrong", "x * y", "y", "y"), {}, "dz/dy = 'y' gives"),
        (("wrong", "log(x)", "-1 / x"), {"smooth": "x > 0"}, "dz/dx"),
        (("wrong", "x * q", "1"), {}, "unknown operand 'q'"),
        (("wrong", "log(-1 - x * x)", "1"), {}, "smooth="),
        (("wrong", "wrong(x)", "1"), {}, "calls itself"),
    ],
)
def test_a_wrong_row_is_refused_and_nothing_has_changed(
    arguments: tuple[str, ...], columns: dict[str, str], message: str
) -> None:
    with pytest.raises(RuleError, match="op 'wrong'") as refused:
        define_op(*arguments, **columns)
    assert message in str(refused.value)
    assert not hasattr(Value, "wrong")
    assert "wrong" not in rows()


@pytest.mark.parametrize("name", ["tanh", "backward", "data", "lambda", "two words", "_x", 3])
def test_a_name_that_is_taken_or_none_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        define_op(name, "x", "1")


def test_points_at_which_differences_fail_decide_nothing() -> None:
    # At 0.37, which is tried, it jumps; the other points tell.
    stairs = define_op("stairs", "x * x if x < 0.37 else x * x + 1", "2 * x")
    assert stairs(Value(1.0)).data == 2.0


def test_a_row_may_use_pi_and_inf_and_the_referee_knows_them() -> None:
    turns = define_op("turns", "2 * pi * x", "2 * pi")
    assert check_operation(turns).verdict is Verdict.PASS
    assert turns(0.5) == math.pi
    capped = define_op("capped", "x if x < inf else 0", "1.0 if x < inf else 0.0")
    assert check_gradients(capped, 2.0).verdict is Verdict.PASS


@pytest.mark.parametrize("x", [2.0, -30.0, 0.05, 0.0])
def test_differences_are_extrapolated_as_ridders_has_it(x: float) -> None:
    asked: list[float] = []

    def f(t: float) -> float:
        asked.append(t)
        return t**5 - 1.0 / (t + 40.0)

    slope, error = ridders(f, x)
    steps = [0.02 * max(abs(x), 0.1) / 1.6**i for i in range(12)]
    assert asked == pytest.approx([x + sign * h for h in steps for sign in (1, -1)], rel=1e-12)
    table = [[(f(x + h) - f(x - h)) / (2 * h)] for h in steps]
    best = []
    for i in range(1, 12):
        for j in range(1, i + 1):
            left, above = table[i][j - 1], table[i - 1][j - 1]
            table[i].append((left * 1.6 ** (2 * j) - above) / (1.6 ** (2 * j) - 1))
            best.append((max(abs(table[i][j] - left), abs(table[i][j] - above)), table[i][j]))
    gap, wanted = min(best, key=lambda pair: pair[0])
    assert slope == pytest.approx(wanted, rel=1e-11, abs=1e-13)
    assert error == pytest.approx(gap, rel=0.5, abs=1e-13)
    assert slope == pytest.approx(5 * x**4 + 1.0 / (x + 40.0) ** 2, rel=1e-9, abs=1e-12)


def test_points_of_both_signs_and_all_pairs_are_tried() -> None:
    sizes = [0.013, 0.11, 0.37, 0.83, 1.21, 2.3, 3.7, 6.1, 17.3]
    numbers = [sign * size for size in sizes for sign in (1.0, -1.0)]
    assert list(_points(rows()["tanh"])) == [(x,) for x in numbers]
    assert list(_points(rows()["mul"])) == [(x, y) for x in numbers for y in numbers]
    assert list(_points(rows()["log"])) == [(x,) for x in sizes]


def test_a_row_is_compared_to_five_digits() -> None:
    with pytest.raises(RuleError, match=r"gives 1\.0001 at x = 0\.013, differences give 1$"):
        define_op("nearly", "x", "1.0001")
    assert define_op("near", "x", "1.000001")(2.0) == 2.0


def test_outside_of_where_a_row_is_smooth_its_derivative_may_be_anything() -> None:
    with pytest.raises(RuleError, match=r"gives 5 at x = 0\.013"):
        define_op("bent", "x if x > 1 else 0.0", "1.0 if x > 1 else 5.0")
    bent = define_op("bent", "x if x > 1 else 0.0", "1.0 if x > 1 else 5.0", smooth="x > 1")
    assert bent(2.0) == 2.0


def test_a_slip_of_a_hundredth_percent_is_seen_also_where_values_are_large_or_tiny() -> None:
    for z, dx in (("1000 + x", "1.0001"), ("x * 1e-9", "1.0001e-9"), ("x * 1e9", "1.0001e9")):
        with pytest.raises(RuleError, match="differences give"):
            define_op("slip", z, dx)
    assert not hasattr(Value, "slip")


def test_the_second_operand_is_compared_where_the_first_cannot_be() -> None:
    # It jumps in x at every point that is tried, and so only dz/dy can be told.
    with pytest.raises(RuleError, match="dz/dy = '3' gives 3 at"):
        define_op("steps", "sin(1e9 * x) + 2 * y", "0.0", "3")


SOFTSIGN: tuple[str, str] = ("x / t", "1 / (t * t)")


def test_second_derivatives_can_be_given_and_are_compared_too() -> None:
    columns = {"t": "1 + abs(x)", "dxx": "-2 * sign(x) * dx / t"}
    softsign = define_op("softsigned", *SOFTSIGN, **columns)
    assert grad(grad(softsign))(3.0) == -2.0 / 4.0**3
    node: Any = softsign.dx(Value(3.0), None, None)
    assert node.op is rows()["softsigned_dx"]
    with pytest.raises(RuleError, match=r"op 'wrong_dx': dz/dx = .* gives .* differences give"):
        define_op("wrong", *SOFTSIGN, t="1 + abs(x)", dxx="2 * sign(x) * dx / t")
    assert "wrong" not in rows()


def test_the_name_of_a_derivative_is_taken_and_takes_no_other() -> None:
    with pytest.raises(ValueError, match="'tanh_dx' is taken"):
        define_op("tanh_dx", "x", "1")
    define_op("lone_dx", "x * x", "2 * x")
    with pytest.raises(ValueError, match="'lone_dx', a derivative of 'lone', is taken"):
        define_op("lone", "x * x * x", "3 * x * x", dxx="6 * x")
    assert "lone" not in rows()


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_a_function_of_math_is_a_row_without_another_line(engine: str) -> None:
    pytest.importorskip({"native": "llvmlite"}.get(engine, engine))
    radians = define_op("radians", "radians(x)", "0.017453292519943295")
    x = Value(90.0)
    radians(x).backward()
    compiled = autograd.compile(lambda x: radians(x) * x, engine=engine)
    assert (radians(x).data, x.grad) == (math.pi / 2, math.pi / 180)
    assert compiled(90.0) == radians(90.0) * 90.0


def test_what_a_target_lacks_is_refused_there_by_name() -> None:
    ulp = define_op("ulp", "ulp(x)", "0.0")
    assert ulp(Value(1.0)).data == math.ulp(1.0)
    with pytest.raises(NotImplementedError, match=r"ulp: .*LIBM in autograd/printers/decimals\.py"):
        check_operation(ulp)
    with pytest.raises(NotImplementedError, match=r"ulp: .*autograd/show/page\.js"):
        autograd.play(ulp(Value(1.0)))._repr_html_()
    pytest.importorskip("numpy")
    assert autograd.compile(lambda x: ulp(x) + x, engine="numpy")(1.0) == 1.0 + math.ulp(1.0)
    pytest.importorskip("llvmlite")
    with pytest.raises(NotImplementedError, match="ulp: neither the native engine nor C's library"):
        autograd.compile(lambda x: ulp(x) + x, engine="native")(1.0)


def test_an_operation_that_is_interrupted_while_it_is_defined_leaves_its_name_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(autograd.record, "install", interrupt)
        with pytest.raises(KeyboardInterrupt):
            define_op("cut", "2 * x", "2")
    assert "cut" not in autograd.rows()
    assert not hasattr(Value, "cut")
    assert define_op("cut", "2 * x", "2")(3.0) == 6.0
