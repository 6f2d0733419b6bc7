"""An operation of the user's own: one row, checked when it is defined, then usable everywhere."""

import math
import pickle
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
    explain,
    grad,
    hessian,
    jvp,
    no_grad,
    play,
    rows,
    scope,
)
from autograd.define import _points, ridders
from autograd.faults import faults, misread, planted
from autograd.printers import decimals

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


# ---------------------------------------------------------------------- Python functions


def bell(**columns: Any) -> Any:
    """exp(-x^2), of functions; its derivative is also one of Values."""
    return define_op("bell", lambda x: math.exp(-x * x), lambda x, z: -2 * x * z, **columns)


def powered() -> Any:
    """x^y for positive x, of functions of numbers alone."""
    return define_op(
        "powered",
        math.pow,
        lambda x, y: y * math.pow(x, y - 1),
        lambda x, y, z: z * math.log(x),
        smooth="x > 0",
        y=2.0,
    )


def test_python_functions_are_an_operation_in_graphs_hooks_and_scopes() -> None:
    op = bell()
    v = Value(0.5, "v")
    with scope("here"):
        node: Any = v.bell()  # type: ignore[attr-defined]
    (node * v).backward()
    z = math.exp(-0.25)
    assert (node.op, node.data, node.scope) == (op, z, "here")
    assert v.grad == pytest.approx(z - 2 * 0.25 * z)
    assert (node.dx, op(0.5), autograd.bell(0.5)) == (-z, z, z)
    with no_grad():
        assert op(v).is_leaf
    seen: list[float] = []
    node.register_hook(seen.append)
    node.backward(3.0)
    assert seen == [3.0]
    assert "bell(v)" in draw(node).source
    assert "bell_dx(v)" in str(play(node))
    assert "-0.7788" in str(explain(node, v))
    assert pickle.loads(pickle.dumps(op)) is op


def test_two_operands_a_default_and_numbers_on_either_side() -> None:
    op = powered()
    a, b = Value(2.0), Value(3.0)
    op(a, b).backward()
    assert (a.grad, b.grad) == (12.0, 8.0 * math.log(2.0))
    assert op(3.0) == 9.0
    c = Value(3.0)
    op(2.0, c).backward()
    assert c.grad == 8.0 * math.log(2.0)
    a = Value(5.0)
    a.powered().backward()  # type: ignore[attr-defined]
    assert a.grad == 10.0


def test_second_derivatives_need_a_derivative_of_values() -> None:
    second = grad(grad(bell()))
    assert second(0.3) == pytest.approx((4 * 0.09 - 2) * math.exp(-0.09))
    assert jvp(grad(rows()["bell"]), (0.3,), (1.0,))[1] == pytest.approx(second(0.3))
    op = powered()
    for derived in (grad(grad(lambda x: op(x, 3.0))), hessian(lambda x: op(x, 3.0))):
        with pytest.raises(TypeError, match="powered: dz/dx is a Python function of numbers"):
            derived(2.0)
    assert jvp(lambda x: op(x, 3.0), (2.0,), (1.0,)) == (8.0, 12.0)
    constant = define_op("tripled", lambda x: 3 * x, lambda x: 3)
    assert grad(grad(lambda x: constant(x) * x))(2.0) == 6.0


def test_the_checks_judge_python_functions_by_doubles() -> None:
    op, two = bell(), powered()
    assert check_operation(op)
    assert check_operation(two)
    report = check_gradients(lambda x, y: two(op(x), y) * x + y.tanh(), 0.4, 1.3)
    assert report.verdict is Verdict.PASS
    lumpy = define_op("lumpy", lambda x: x * x, lambda x: 2 * x if x < 20 else 3 * x)
    report = check_gradients(lambda x: lumpy(x) + x, 30.0)
    assert report.verdict is Verdict.FAIL
    assert "dz/dx of lumpy: the pullback uses 90.0, should be 60 by differences" in str(report)
    assert "uses 75.0, should be 50" in str(check_operation(lumpy))


def test_what_knows_no_python_functions_refuses_them_by_name() -> None:
    op = bell()
    with pytest.raises(
        NotImplementedError, match=r"bell is a Python function .*which a page cannot"
    ):
        autograd.play(op(Value(1.0)))._repr_html_()
    with pytest.raises(NotImplementedError, match="which decimal arithmetic cannot run"):
        decimals.value(op)
    with pytest.raises(RuleError, match="unknown function 'bell'"):
        define_op("twice_bell", "2 * bell(x)", "-4 * x * bell(x)")
    with pytest.raises(RuleError, match="bell"), planted(misread("bell", "x", "2 * x")):
        pass
    assert not [fault for fault in faults() if fault.op == "bell"]
    pytest.importorskip("numpy")
    for f in (lambda x: op(x) * x, lambda x: grad(op)(x) * x, lambda x: op(Value(0.5)) + x):
        with pytest.raises(autograd.RecordingError, match="which a compiled program cannot run"):
            autograd.compile(f)(1.0)


def test_a_mistake_beside_a_python_function_is_diagnosed() -> None:
    op = bell()

    def f(x: Any, w: Any) -> Any:
        return (op(x) * w).tanh()

    s = op(0.5) * 0.7
    wrong = 1 - s * s
    claimed = [wrong * 0.7 * op.dx(0.5, None, op(0.5)), wrong * op(0.5)]
    said = autograd.diagnose(f, 0.5, 0.7, gradient=claimed)
    assert said.line.startswith("tanh: dz/dx is 1 - x * x")


@pytest.mark.parametrize(
    ("rules", "columns", "error", "message"),
    [
        ((math.sin, math.sin), {}, RuleError, r"'wrong': dz/dx = 'wrong_dx\(x\)' gives"),
        ((math.pow, lambda x, y: y * x ** (y - 1), lambda x, y: x), {"smooth": "x > 0"},
         RuleError, r"dz/dy = 'wrong_dy\(x, y\)' gives"),
        ((math.sin, "cos(x)"), {}, TypeError, "all be texts or all be functions"),
        ((math.sin, math.cos), {"dxx": "-z"}, RuleError, "no column 'dxx'"),
        ((lambda x: "1", math.cos), {}, TypeError, "wrong: its value: expected a real number"),
        ((math.sin, lambda x: None), {}, TypeError, "wrong: dz/dx: expected a real number"),
        ((lambda x: math.log(-1 - x * x), math.cos), {}, RuleError, "smooth="),
    ],
)  # fmt: skip
def test_wrong_functions_are_refused_and_nothing_has_changed(
    rules: tuple[Any, ...], columns: dict[str, str], error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        define_op("wrong", *rules, **columns)
    assert not hasattr(Value, "wrong")
    assert "wrong" not in rows()


def test_what_a_python_function_raises_comes_out_and_no_gradient_has_changed() -> None:
    op = define_op("root", math.sqrt, lambda x: 0.5 / math.sqrt(x), smooth="x > 0")
    with pytest.raises(ValueError, match="math domain error"):
        op(Value(-1.0))
    v = Value(4.0)
    node = op(v)
    node.x = -4.0  # as if the derivative knew less than the value
    with pytest.raises(ValueError, match="math domain error"):
        node.backward()
    assert (v.grad, node.grad) == (0.0, 0.0)


def test_a_function_of_the_users_is_judged_with_its_parameters_and_in_numbers() -> None:
    square = define_op("square_by_hand", lambda x: x * x, lambda x: 2 * x)
    w = Value(2.0, "w")
    report = check_gradients(lambda x: square(x) * w, 3.0, parameters=[w])
    assert [(row.name, row.verdict) for row in report.rows] == [
        ("x", Verdict.PASS), ("w", Verdict.PASS),
    ]  # fmt: skip
    assert w.data == 2.0
    many = check_gradients(lambda xs: sum(square(x) for x in xs), [0.5 + i for i in range(250)])
    assert many
    assert len(many.rows) < 250  # moved together
    (row,) = check_gradients(lambda x: square(x) * w, 3.0, parameters=[w], sample=1).rows
    assert row.verdict is Verdict.PASS


def test_functions_of_c_and_a_textbook_of_their_own_are_taken() -> None:
    length = define_op("length", math.hypot, lambda x, _, z: x / z, lambda _, y, z: y / z)
    x, y = Value(3.0), Value(4.0)
    length(x, y).backward()
    assert (x.grad, y.grad) == (0.6, 0.8)
    square = define_op("squared", lambda x: x * x, lambda x: 2 * x, textbook=("x ** 2", "2 * x"))
    assert square.textbook == ("x ** 2", "2 * x")
    assert square(3.0) == 9.0


def test_random_expressions_leave_python_functions_out() -> None:
    pytest.importorskip("hypothesis")
    from hypothesis import given, settings

    from autograd import strategies

    calls: list[float] = []

    def noted(x: float) -> float:
        calls.append(x)
        return x

    define_op("noted", noted, lambda x: 1.0)
    before = len(calls)

    @settings(max_examples=200, deadline=None)
    @given(strategies.expressions())
    def computed(case: Any) -> None:
        f, at = case
        f(*map(Value, at))

    computed()
    assert len(calls) == before


def test_second_derivatives_of_python_functions_are_not_passed_over_in_silence() -> None:
    cube = define_op("cube_by_hand", lambda x: x**3, lambda x: 3 * x * x)
    with pytest.raises(ValueError, match="check_gradients: cube_by_hand is a Python function"):
        check_gradients(lambda x: cube(x), 2.0, order=2)
