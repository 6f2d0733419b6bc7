"""The gradient checker: what it passes, what it fails, and whom it blames."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

import autograd
from autograd import (
    Value,
    Verdict,
    assert_gradients,
    check_gradients,
    exp,
    finite_differences,
    log,
    rows,
    tanh,
)
from autograd.faults import Fault, faults, hidden, planted
from autograd.precise import LIBM
from nn import MLP, sparse_categorical_crossentropy
from tests import reference

F = Callable[..., Any]

RIGHT: list[tuple[str, F, tuple[float, ...]]] = [
    ("easy", lambda x, y: (x * y + x.sin()).tanh(), (0.3, -0.7)),
    ("large", lambda x: x * x + 1e12, (3.0,)),
    ("scale 1e8", lambda x: (x * 1e8).sin() * 1e-8, (0.7,)),
    ("scale 1e-150", lambda x: x * x, (1e-150,)),
    ("loss of 1e-8", lambda x: 1e-8 * exp(x), (0.3,)),
    ("steep", lambda x: exp(50.0 * x), (1.3,)),
    ("steep pole", lambda x: 1.0 / (x - 1.0), (1.00001,)),
    ("saturated tanh", lambda x: x.tanh(), (18.0,)),
    ("saturated sigmoid", lambda x: x.sigmoid(), (-40.0,)),
    ("far saturated", lambda x: x.tanh(), (300.0,)),
    ("cancelling", lambda x: sum([x * 1e4] * 50, x) - 50 * 1e4 * x, (0.3,)),
    ("beside a kink", lambda x: (x - 1.0).relu() * 3.0, (1.0 + 1e-10,)),
    ("beside a tie", lambda x, y: x.maximum(y), (1.0, 1.0 + 1e-12)),
    ("differentiable kink", lambda x: x * abs(x), (0.0,)),
    ("edge of the domain", lambda x: log(x), (1e-15,)),
    ("edge of asin", lambda x: x.asin(), (1 - 1e-12,)),
    ("oscillating", lambda x: (1e6 * x).sin(), (0.7,)),
    ("tiny gradient", lambda x: exp(-x * x) * 1e-9, (2.0,)),
    ("softmax", lambda a, b: exp(a) / (exp(a) + exp(b)), (3.0, -2.0)),
    ("power", lambda x, y: x**y, (1.7, -2.3)),
    ("gelu at its flat point", lambda x: x.gelu(), (-0.7517915246935645,)),
]


@pytest.mark.parametrize(("what", "f", "at"), RIGHT, ids=[name for name, _, _ in RIGHT])
def test_right_gradients_pass_where_plain_differences_do_not(
    what: str, f: F, at: tuple[float, ...]
) -> None:
    report = check_gradients(f, *at)
    assert report.verdict in (Verdict.PASS, Verdict.ILL_CONDITIONED), str(report)
    assert report


class Claim:
    """A function whose gradient is claimed to be a factor times the right one."""

    def __init__(self, f: F, factor: float) -> None:
        self.f, self.factor = f, factor

    def __call__(self, *xs: Any) -> Any:
        out = self.f(*xs)
        if isinstance(out, Value) and not out.is_leaf:
            factor = self.factor
            out.register_hook(lambda g: g * factor)
        return out


@pytest.mark.parametrize("factor", [-1.0, 2.0, 0.0, 1.01, 1.0001, 1.000001, math.nan])
@pytest.mark.parametrize(("what", "f", "at"), RIGHT, ids=[name for name, _, _ in RIGHT])
def test_wrong_gradients_fail(what: str, f: F, at: tuple[float, ...], factor: float) -> None:
    if what in ("differentiable kink", "gelu at its flat point", "cancelling"):
        return  # the gradient is 0, or lost in rounding: a factor does not show
    if factor == factor:
        assert not check_gradients(Claim(f, factor), *at)
    else:
        with pytest.warns(autograd.NonFiniteWarning):
            assert not check_gradients(Claim(f, factor), *at)


KINKS: list[tuple[str, F, tuple[float, ...], float, float]] = [
    ("relu", lambda x: x.relu(), (0.0,), 0.0, 1.0),
    ("abs", lambda x: abs(x), (0.0,), -1.0, 1.0),
    ("leaky", lambda x: x.leaky_relu(), (0.0,), 0.01, 1.0),
    ("elu 2", lambda x: x.elu(2.0), (0.0,), 2.0, 1.0),
    ("tie", lambda x: x.maximum(1.0), (1.0,), 0.0, 1.0),
    ("minimum", lambda x: x.minimum(1.0), (1.0,), 1.0, 0.0),
    ("scaled", lambda x: (x * 1e-9).relu(), (0.0,), 0.0, 1e-9),
    ("inside", lambda x: (x - 2.0).relu() * 3.0 + x, (2.0,), 1.0, 4.0),
    ("two", lambda x: x.relu() - 0.5 * (-x).relu(), (0.0,), 0.5, 1.0),
    ("python", lambda x: x if x > 0 else -2.0 * x, (0.0,), -2.0, 1.0),
]


@pytest.mark.parametrize(("what", "f", "at", "left", "right"), KINKS, ids=[k[0] for k in KINKS])
def test_a_kink_is_called_one_with_both_slopes(
    what: str, f: F, at: tuple[float, ...], left: float, right: float
) -> None:
    (row,) = check_gradients(f, *at).rows
    assert row.verdict is Verdict.KINK
    assert f"slopes {left:.6g} from the left, {right:.6g} from the right" in row.note


def sample_graph(op: Any, rng: random.Random) -> tuple[F, tuple[float, ...]]:
    """A small function with the operation in its middle, at a smooth point."""
    while True:
        at = tuple(rng.choice([-1.0, 1.0]) * rng.uniform(0.2, 2.5) for _ in range(op.arity))
        if op.is_smooth(*at) and math.isfinite(op.value(*at)):
            return lambda *xs: op(*xs) * 1.25 + tanh(op(*xs)), at


@pytest.mark.parametrize("name", list(rows()))
def test_every_operation_passes(name: str) -> None:
    rng = random.Random(name)
    for _ in range(3):
        f, at = sample_graph(rows()[name], rng)
        assert_gradients(f, *at)


PLANTED = [fault for fault in faults() if fault.op]


@pytest.mark.parametrize("name", list(rows()))
def test_every_mistake_in_a_row_is_caught_and_the_operation_named(name: str) -> None:
    rng = random.Random(name)
    for fault in PLANTED:
        if fault.op == name:
            f, at = sample_graph(rows()[name], rng)
            with planted(fault):
                report = check_gradients(f, *at)
            same = _has_no_effect(fault, at)
            assert same or not report, fault.answer
            assert same or any(f" {name}:" in line for line in report.blame), fault.answer


def _has_no_effect(fault: Fault, at: tuple[float, ...]) -> bool:
    """Whether the wrong derivative happens to be the right one at this point, as relu's slope 1."""
    op = rows()[fault.op]
    z = op.value(*at)
    x, y = (*at, None)[:2]
    right = [float(dz(x, y, z)) for dz in (op.dx, getattr(op, "dy", None)) if dz]
    if fault.kind == "swap":
        return right[0] == right[1]
    one = right["xy".index(fault.operand)]
    return one == 0.0 if fault.kind != "unit" else one == 1.0


@pytest.mark.parametrize("fault", [f for f in faults() if not f.op], ids=lambda f: f.kind)
def test_mistakes_in_adding_up_are_caught(fault: Fault) -> None:
    def f(a: Any, b: Any) -> Any:
        return (a * b + a * a).tanh() * b + a * 2.0

    with planted(fault):
        report = check_gradients(f, 0.3, 0.8)
    assert not report
    assert report.blame


def test_a_branch_cut_from_the_graph_is_seen_end_to_end() -> None:
    report = check_gradients(lambda x: x * x.data, 3.0)
    assert report.verdict is Verdict.FAIL
    assert "cut from the graph" in str(report)
    report = check_gradients(lambda x: x * float(x.detach()), 3.0)
    assert report.verdict is Verdict.FAIL


def test_hints_tell_the_usual_causes() -> None:
    for factor, hint in ((2.0, "added twice"), (0.5, "use lost"), (-1.0, "sign"), (0.0, "cut off")):
        report = check_gradients(Claim(lambda x: x * x, factor), 3.0)
        assert hint in str(report)


def test_blame_tells_operand_partials_label_and_line() -> None:
    fault = next(f for f in faults() if (f.op, f.operand, f.kind) == ("mul", "y", "sign"))
    with planted(fault), pytest.raises(AssertionError) as failed:
        assert_gradients(lambda w, x: (w * x).tanh(), Value(2.0, "w"), Value(-1.0, "x"))
    text = str(failed.value)
    assert "dz/dy of mul: the pullback uses -2.0, should be 2.0 (-1 times" in text
    assert "x = 2.0, y = -1.0, at test_check.py:" in text


def test_nested_inputs_parameters_of_a_module_and_samples() -> None:
    assert_gradients(lambda p: p["w"][0] * p["w"][1] + p["b"], {"w": [2.0, 3.0], "b": 1.0})
    model = MLP([3, 4, 2], "tanh", seed=0)

    def loss() -> Any:
        logits = [model([0.1, -0.4, 0.9])]
        return sparse_categorical_crossentropy(logits, [1], from_logits=True)

    before = [(p.data, p.grad) for p in model.parameters()]
    report = check_gradients(loss, parameters=model)
    assert report.verdict is Verdict.PASS, str(report)
    assert len(report.rows) == 26
    assert report.rows[0].name == "layers.0.neurons.0.weights.0"
    assert [(p.data, p.grad) for p in model.parameters()] == before
    some = check_gradients(loss, parameters=model, sample=5, seed=1)
    assert [r.name for r in some.rows] == [
        r.name for r in check_gradients(loss, parameters=model, sample=5, seed=1).rows
    ]
    assert len(some.rows) == 5


def test_second_order() -> None:
    report = check_gradients(lambda x, y: exp(x * y) + x**3, 0.5, -0.3, order=2)
    assert report.verdict is Verdict.PASS, str(report)
    assert [row.name for row in report.rows[2:]] == ["d2/dx0 dv", "d2/dx1 dv"]


def test_a_function_that_refuses_decimals_is_checked_in_double() -> None:
    def f(x: Any) -> Any:
        if not isinstance(x, Value):
            raise TypeError("Values only")
        return (x * x).sin()

    report = check_gradients(f, 1.3)
    assert report.verdict is Verdict.PASS, str(report)
    assert not check_gradients(Claim(f, 1.0001), 1.3)


def test_functions_that_cannot_be_checked_are_refused() -> None:
    noise = random.Random(0)
    with pytest.raises(ValueError, match="seed"):
        check_gradients(lambda x: x * noise.random(), 1.0)
    with pytest.raises(TypeError, match="one Value"):
        check_gradients(lambda x: [x], 1.0)
    with pytest.raises(ValueError, match="order"):
        check_gradients(lambda x: x, 1.0, order=3)


def test_reports_show_in_notebooks_and_draw_the_culprit() -> None:
    fault = next(f for f in faults() if (f.op, f.kind) == ("tanh", "half"))
    with planted(fault):
        report = check_gradients(lambda x: (x * 2.0).tanh(), Value(0.3, "<b>"))
    assert "&lt;b&gt;" in report._repr_html_()
    assert "<td><b>" not in report._repr_html_()
    assert "tanh" in report.draw().source
    with pytest.raises(ValueError, match="to blame"):
        check_gradients(lambda x: x * 2.0, 1.0).draw()
    table = pytest.importorskip("rich.table")
    assert isinstance(report.__rich__(), table.Table)


def test_plain_differences_are_there_by_name() -> None:
    slopes = finite_differences(lambda p, y: p[0] * p[1] * y, [2.0, 3.0], 4.0)
    assert slopes == ([pytest.approx(12.0), pytest.approx(8.0)], pytest.approx(6.0))


def test_the_engine_is_whole_again_after_a_fault_and_the_answer_is_in_the_envelope() -> None:
    before = {name: op.pullback for name, op in rows().items()}
    with hidden(7) as envelope:
        assert envelope == []
    assert envelope[0] in [fault.answer for fault in faults()]
    assert {name: op.pullback for name, op in rows().items()} == before


@pytest.mark.parametrize("name", [op.name for op in rows().values() if op.libm])
def test_the_referees_functions_agree_with_mpmath(name: str) -> None:
    from decimal import Decimal

    from mpmath import mp, mpf

    from autograd import precise

    op = rows()[name]
    assert op.libm in LIBM
    for at in reference.points(op, 12, random.Random(name)):
        if any(abs(x) > 1e4 for x in at):
            continue
        with precise.digits(precise.enough(at)):
            found = precise.value(op, *map(Decimal, at))
        with mp.workprec(3000):
            exact = reference.value(op, *at)
            assert abs(mpf(str(found)) - exact) <= abs(exact) * mpf(10) ** -60 + mpf(10) ** -400
