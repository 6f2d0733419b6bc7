"""order=2: second derivatives of every size pass, wrong ones fail, and kinks of f' are reported."""

import random
from collections.abc import Callable
from typing import Any

import pytest

import autograd as ag
from autograd import Value, Verdict, check_gradients
from autograd.check import second
from autograd.faults import misread, planted
from autograd.transform import hvp

F = Callable[..., Any]
SMOOTH: dict[str, tuple[F, tuple[float, ...]]] = {
    "1/x": (lambda x: 1.0 / x, (1e-7,)),
    "log": (lambda x: x.log(), (1e-40,)),
    "a power": (lambda x: x**2.5, (1e-33,)),
    "a sine of 1e-20": (lambda x: 1e-20 * x.sin(), (0.7,)),
    "tanh": (lambda x: x.tanh(), (1e-3,)),
    "tanh at 1e-20": (lambda x: x.tanh(), (1e-20,)),
    "sigmoid": (lambda x: x.sigmoid(), (1e-9,)),
    "a cube at 0": (lambda x: x**3, (0.0,)),
    "a square at 0": (lambda x: x * x, (0.0,)),
    "a sine at 0": (lambda x: x.sin(), (0.0,)),
    "a cosine at 0": (lambda x: x.cos(), (0.0,)),
    "a line": (lambda x, y: 3 * x - y, (0.3, 0.2)),
    "a product of two scales": (lambda x, y: x * y, (1e-8, 1e8)),
    "hypot of two scales": (ag.hypot, (1e-8, 1.0)),
    "steep": (lambda x: (50 * x).exp(), (1.0,)),
    "oscillating": (lambda x: (1e6 * x).sin(), (0.7,)),
    "saturated": (lambda x: x.tanh(), (18.0,)),
    "beside a large number": (lambda x: x * x + 1e12, (0.3,)),
    "small": (lambda x: 1e-200 * x**3, (0.5,)),
    "large": (lambda x: 1e200 * x**3, (0.5,)),
    "three": (lambda x, y, z: (x * y).tanh() * z.exp() + x / z, (0.7, -1.3, 2.1)),
    "softplus": (lambda x: x.exp().log1p(), (-40.0,)),
    "an eighth power": (lambda x: (x - 1) ** 8, (1.0001,)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_right_second_derivatives_pass_and_spoiled_ones_fail(name: str, monkeypatch: Any) -> None:
    f, at = SMOOTH[name]
    rows = check_gradients(f, *at, order=2).rows[len(at) :]
    assert {row.verdict for row in rows} <= {Verdict.PASS, Verdict.ILL_CONDITIONED}, rows
    for factor in (2.0, -1.0, 1.000001, 0.0):
        spoil: F = lambda *args, by=factor: [by * x for x in hvp(*args)]  # noqa: E731
        monkeypatch.setattr(second, "hvp", spoil)
        spoiled = check_gradients(f, *at, order=2).rows[len(at) :]
        for row, right in zip(spoiled, rows, strict=True):
            if right.referee and right.verdict is Verdict.PASS:
                assert row.verdict is Verdict.FAIL, (factor, row)


def test_digits_lost_to_rounding_are_not_a_mistake() -> None:
    row = check_gradients(lambda x: (x + 1).sqrt() - x.sqrt(), 1e12, order=2).rows[1]
    assert row.verdict is Verdict.ILL_CONDITIONED
    assert row.note == "every operation and sum of the gradient is right up to rounding"


def test_each_input_is_moved_by_its_own_size() -> None:
    rng = random.Random(0)
    a, b = (rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) * x for x in (1e-8, 1e8))
    rows = check_gradients(lambda x, y: x * y, 1e-8, 1e8, order=2).rows[2:]
    assert [row.analytic for row in rows] == pytest.approx([b, a])
    assert [row.referee for row in rows] == pytest.approx([b, a])


@pytest.mark.parametrize(
    ("f", "note"),
    [
        (abs, "the first derivative jumps here"),
        (lambda x: x.relu() + x * x, "the first derivative jumps here"),
        (lambda x: x.relu() ** 2, "second slopes 0 from the left, 1.75795 from the right"),
    ],
)
def test_a_kink_of_the_first_derivative_is_reported(f: F, note: str) -> None:
    row = check_gradients(f, 0.0, order=2).rows[1]
    assert (row.verdict, row.note) == (Verdict.KINK, note)
    assert check_gradients(lambda x: ag.elu(x) * x, 0.0, order=2).rows[1].verdict is Verdict.PASS


def test_other_branches_and_cut_branches_leave_second_derivatives_undecided() -> None:
    row = check_gradients(lambda x: x * x if x > 0 else -x * x, 0.0, order=2).rows[1]
    assert row.verdict is Verdict.INCONCLUSIVE
    assert row.note == "the function takes another branch beside this point"
    report = check_gradients(lambda x: x * x.data, 3.0, order=2)
    assert [row.verdict for row in report.rows] == [Verdict.FAIL, Verdict.INCONCLUSIVE]


def test_a_wrong_derivative_in_a_row_fails_in_both_orders() -> None:
    # Second order differentiates the row's derivative like any other expression.
    for name, at in (("sin", 0.3), ("exp", 0.5), ("log", 2.0)):
        with planted(misread(name, "x", f"1.001 * ({ag.rows()[name].texts[1]})")):
            report = check_gradients(ag.rows()[name], at, order=2)
        assert [row.verdict for row in report.rows] == [Verdict.FAIL, Verdict.FAIL]


def test_all_inputs_are_judged_at_once() -> None:
    w = Value(2.0, "w")

    def f(xs: Any) -> Any:
        total = w * xs[0]
        for x in xs:
            total = total + w * x * (0.3 * x).tanh()
        return total

    report = check_gradients(f, [0.1 * i - 3.0 for i in range(60)], parameters=[w], order=2)
    assert report.verdict is Verdict.PASS
    assert [row.name for row in report.rows[59:63]] == [
        "xs[59]",
        "w",
        "d2/dxs[0] dv",
        "d2/dxs[1] dv",
    ]


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@pytest.mark.parametrize("name", ["sqrt", "log"])
def test_second_derivatives_that_are_no_numbers_are_undecided(name: str) -> None:
    report = check_gradients(lambda x: getattr(x, name)(), 0.0, order=2)
    assert report.rows[-1].verdict is Verdict.INCONCLUSIVE
    assert not report
