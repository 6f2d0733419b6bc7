"""Kinks and ends of domains, wherever they come from: a row, an `if`, a table, a parameter."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import autograd as ag
from autograd import Value, Verdict, assert_gradients, check_gradients, define_op
from autograd.faults import misread, planted

F = Callable[..., Any]
KNOTS = [0.0, 1.0, 3.0, 2.0]


def interpolated(x: Any) -> Any:
    i = min(int(x.data), 2)
    return KNOTS[i] + (x - i) * (KNOTS[i + 1] - KNOTS[i])


def refuses(f: F) -> F:
    def refusing(*xs: Any) -> Any:
        if not all(isinstance(x, Value) for x in xs):
            raise TypeError("Values only")
        return f(*xs)

    return refusing


def smaller(x: Any, y: Any) -> Any:
    return min(x, y, key=lambda v: v.data) * 2


@pytest.mark.parametrize("kind", [lambda f: f, refuses])
@pytest.mark.parametrize(
    ("f", "at", "slopes"),
    [
        (abs, (0.0,), (-1.0, 1.0)),
        (interpolated, (2.0,), (2.0, -1.0)),
        (interpolated, (1.0,), (1.0, 2.0)),
        (lambda x: x * x if x.item() > 1 else 3 * x - 2, (1.0,), (3.0, 2.0)),
        (lambda x: (x if x.data > 0 else 3 * x) * 1e-9, (0.0,), (3e-9, 1e-9)),
        (smaller, (1.0, 1.0), (2.0, 0.0)),
        (lambda x, y: ag.maximum(x, y), (1.5, 1.5), (0.0, 1.0)),
        (lambda x: ag.relu(x) ** 2 + abs(x), (0.0,), (-1.0, 1.0)),
        (lambda x, y: max(x, y) * y, (1.0, 1.0), (0.0, 1.0)),
    ],
)
def test_a_kink_has_the_slopes_of_both_sides(kind: F, f: F, at: Any, slopes: Any) -> None:
    row = check_gradients(kind(f), *at).rows[0]
    left, right = slopes
    assert row.verdict is Verdict.KINK, row
    assert row.note.startswith(f"slopes {left:.6g} from the left, {right:.6g} from the right (")


def test_a_kink_in_a_parameter_is_reported() -> None:
    w = Value(0.0, "w")
    report = check_gradients(lambda x: (w if w > 0 else -w) * x, 3.0, parameters=[w])
    assert [row.verdict for row in report.rows] == [Verdict.PASS, Verdict.KINK]
    assert report.rows[1].note.startswith("slopes -3 from the left, 3 from the right")
    assert w.data == 0.0


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda x: x * [1.0, 2.0, 5.0][int(x.data)], 1.0),
        (lambda x: x.sign(), 0.0),
        (lambda x: x if x > 0 else x + 1.0, 0.0),
        (lambda x: x.floor() + x, 3.0),
    ],
)
def test_a_jump_is_reported_as_a_jump(f: F, at: float) -> None:
    def wrong(x: Any) -> Any:
        z = f(x)
        if isinstance(x, Value):
            x.register_hook(lambda g: g + 0.5)
        return z

    for function, verdict in ((f, Verdict.KINK), (wrong, Verdict.FAIL)):
        (row,) = check_gradients(function, at).rows
        assert row.verdict is verdict
        assert row.note.startswith("the function jumps here, and has no slope")


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda x: x**3, 0.0), (lambda x: (x - 1.0) ** 5, 1.0), (lambda x: abs(x) ** 3, 0.0),
        (lambda x: x**3 - 2.0 * x, 0.0), (lambda x: x * abs(x), 0.0), (lambda x: x**7, 0.0),
        (lambda x: (x - 1) ** 2 if x > 1 else 0.0 * x, 1.0), (lambda x: x.log(), 1e-310),
        (lambda x: 1 / x, 1e-300), (lambda x: x.sin() / x if x != 0 else 1.0 + 0.0 * x, 0.0),
        (lambda x: x.sin(), 1e30), (lambda x: x.cos() * 3.0, 1e22), (lambda x: x.sin(), 1e300),
        (lambda x: interpolated(x), 1.5), (lambda x: ag.relu(x) * x, 0.0),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
def test_smooth_points_are_not_kinks(f: F, at: float) -> None:
    report = check_gradients(f, at)
    assert report.verdict is Verdict.PASS, str(report)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: abs(x) + 5.0 * (x - x.detach()),
        lambda x: ag.relu(x) - ag.relu(-x),  # this is x, but relu'(0) = 0 makes its gradient 0
        lambda x: ag.relu(x) - 0.5 * ag.relu(-x),
    ],
)
def test_a_gradient_outside_the_one_sided_slopes_fails(f: F) -> None:
    with pytest.raises(AssertionError, match="FAIL"):
        assert_gradients(f, 0.0)


def test_slopes_chosen_at_kinks_that_do_not_add_up_are_reported() -> None:
    (row,) = check_gradients(lambda x: ag.relu(x) - ag.relu(-x), 0.0).rows
    assert (row.analytic, row.referee) == (0.0, 1.0)
    assert row.note.startswith(
        "every operation and every sum is right, but the slopes that operations use at their kinks"
    )


def test_an_operation_at_its_kink_is_also_checked_beside_it() -> None:
    hinge = define_op("hinge", "x if x > 0 else 0.0", "1.0 if x > 0 else 0.0", smooth="abs(x) > 0")
    assert check_gradients(hinge, 0.0).verdict is Verdict.KINK
    with planted(misread("hinge", "x", "2.0 if x > 0 else 0.5")):
        (below, above) = check_gradients(hinge, 0.0).blame
    assert "the pullback uses 0.5, should be 0.0, beside a kink at x = -9.3" in below
    assert "the pullback uses 2.0, should be 1.0 (2 times too much: added twice?), beside" in above
    with planted(misread("hinge", "x", "1.001 if x > 0 else 0.0")):
        assert not check_gradients(lambda x: hinge(x - 1.0) + x, 1.0)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_a_flipped_derivative_of_a_huge_angle_fails(name: str) -> None:
    op = ag.rows()[name]
    for at in (50.0, 1e10, 1e30, 1e300):
        assert check_gradients(op, at).verdict is Verdict.PASS
        with planted(misread(name, "x", f"-({op.texts[1]})")):
            assert check_gradients(op, at).verdict is Verdict.FAIL


def test_angles_too_large_for_any_digits_are_inconclusive() -> None:
    fs: list[tuple[F, float]] = [
        (lambda x: x.exp().exp().sin(), 10.0), (lambda x: (x**1000).cos(), 1e5),
        (lambda x: x.exp().exp().tan(), 20.0), (lambda x: x.exp().exp() % 3.0, 10.0),
    ]  # fmt: skip
    for f, at in fs:
        with pytest.warns(ag.NonFiniteWarning):
            assert check_gradients(f, at).verdict is Verdict.INCONCLUSIVE
    (row,) = check_gradients(lambda x: x * x.exp().sin(), 50.0).rows
    assert row.verdict is Verdict.ILL_CONDITIONED


def test_a_softmax_shifted_by_its_argmax_passes() -> None:
    def loss(z: Any) -> Any:
        top = ag.argmax(z)
        total: Any = sum((v - z[top]).exp() for v in z)
        return total.log() + z[top] - z[1]

    report = check_gradients(loss, [1.0, 3.0, 2.5])
    assert report.verdict is Verdict.PASS
    # At a tie the choice of the largest is a kink, but its effects cancel.
    assert check_gradients(loss, [1.0, 1.0, 0.5]).verdict is Verdict.PASS


def test_a_kink_in_one_input_does_not_change_the_verdicts_on_others() -> None:
    report = check_gradients(lambda x, y, z: ag.relu(x) * y + z * z, 0.0, 2.0, 3.0)
    assert [row.verdict for row in report.rows] == [Verdict.KINK, Verdict.PASS, Verdict.PASS]
    many = check_gradients(lambda xs: sum((abs(x) for x in xs[1:]), xs[0] * 2.0), [0.0] * 40)
    assert [row.verdict for row in many.rows] == [Verdict.PASS, *[Verdict.KINK] * 39]


def test_roots_have_no_finite_slope_at_their_ends() -> None:
    for f in (ag.sqrt, ag.cbrt):
        with pytest.warns(ag.NonFiniteWarning):
            (row,) = check_gradients(f, 0.0).rows
        assert row.verdict is Verdict.INCONCLUSIVE
        assert math.isinf(row.analytic)


def test_a_branch_that_no_double_reaches_is_inconclusive() -> None:
    # In decimals, 1 + 1e-20 x is above 1 right beside 0; in doubles it is 1.
    (row,) = check_gradients(lambda x: x * x if x * 1e-20 + 1.0 > 1.0 else -x, 0.0).rows
    assert row.verdict is Verdict.INCONCLUSIVE


PIECES = [name for name, op in ag.rows().items() if op.pieces]


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("x", [3.0, 1e15, 1e17 + 2.0, 1e200])
def test_a_jump_of_an_operation_in_pieces_is_seen_however_large_the_number(
    name: str, x: float
) -> None:
    op = ag.rows()[name]
    at = [x] if op.arity == 1 else [x, 1.0]
    report = check_gradients(op, *at)
    seen = {row.verdict for row in report.rows}
    assert seen <= {Verdict.KINK, Verdict.PASS}, report
    assert (Verdict.KINK in seen) == (name != "round"), report  # which jumps between whole numbers


@pytest.mark.parametrize("name", PIECES)
def test_a_misread_slope_of_an_operation_in_pieces_fails_at_a_large_number(name: str) -> None:
    op = ag.rows()[name]
    at = [3e9 + 0.25] if op.arity == 1 else [1e17, 750.0]
    with planted(misread(name, "x", "2.0")):
        assert not check_gradients(op, *at)
