"""The gradient checker: what it passes, what it fails, and whom it blames."""

import contextlib
import math
import random
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from autograd import (
    Value,
    Verdict,
    assert_gradients,
    check_gradients,
    check_operation,
    define_op,
    exp,
    finite_differences,
    rows,
    tanh,
)
from autograd.faults import Fault, faults, hidden, planted
from autograd.names import names, variables
from autograd.precise import LIBM
from nn import MLP, sparse_categorical_crossentropy
from tests import reference
from tests.benchmarks.gradcheck import Spoiled, graph
from tests.cases import FACTORS, KINKS, SMOOTH, Case, claimed, claiming
from tests.classic_bugs import BUGS, Bug

F = Callable[..., Any]

# Sums of 10,000 terms take a second each; one of them is enough here.
QUICK = [c for c in SMOOTH if c.family != "cancelling" or c.at not in [(0.3,), (0.7,)]]
NAMED = [f"{case.family} {case.at}" for case in QUICK]


@pytest.mark.parametrize("case", QUICK, ids=NAMED)
def test_right_gradients_pass_where_plain_differences_do_not(case: Case) -> None:
    report = check_gradients(case.f, *case.at)
    assert report.verdict in (Verdict.PASS, Verdict.ILL_CONDITIONED), str(report)
    assert report
    for row, exact in zip(report.rows, case.gradient, strict=True):
        assert row.referee == pytest.approx(exact, rel=1e-12, abs=1e-18 if exact == 0.0 else 0.0)


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@pytest.mark.parametrize("case", QUICK, ids=NAMED)
def test_wrong_gradients_never_pass(case: Case) -> None:
    for name, factor in FACTORS.items():
        report = check_gradients(claiming(case, claimed(case, factor)), *case.at)
        assert report.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE), f"{name}\n{report}"


def test_a_sum_of_ten_thousand_terms_that_cancel() -> None:
    case = next(c for c in SMOOTH if c not in QUICK)
    assert check_gradients(case.f, *case.at).verdict is Verdict.PASS
    assert not check_gradients(claiming(case, claimed(case, 1.000001)), *case.at)


@pytest.mark.parametrize("case", KINKS)
def test_a_kink_is_called_one_with_both_slopes(case: Case) -> None:
    left, _, right = case.slopes(0)
    (row,) = check_gradients(case.f, *case.at).rows
    assert row.verdict is Verdict.KINK
    assert f"slopes {left:.6g} from the left, {right:.6g} from the right" in row.note
    (row,) = check_gradients(claiming(case, [max(left, right) + 1.0]), *case.at).rows
    assert row.verdict is Verdict.FAIL


def test_a_jump_is_no_slope() -> None:
    (row,) = check_gradients(lambda x: x.sign() * 2.0 + x, 0.0).rows
    assert row.verdict is Verdict.KINK
    assert "jumps" in row.note


@pytest.mark.parametrize("bug", BUGS, ids=[bug.what for bug in BUGS])
def test_classic_bugs_are_caught_and_named(bug: Bug) -> None:
    reports = bug.reports()
    assert any(not report for report in reports)
    assert any(bug.says in str(report) for report in reports), "\n".join(map(str, reports))


def test_a_row_may_magnify_its_own_roundings() -> None:
    bell = define_op("bell", "exp(-x * x)", "-2 * x * z")
    for k in range(60):
        assert_gradients(bell, 0.1 * k + 0.0437)


@pytest.mark.parametrize("seed", range(20))
def test_a_spoiled_node_of_a_random_graph_is_named(seed: int) -> None:
    f, at, used = graph(seed)
    assert check_gradients(f, *at).verdict is not Verdict.FAIL
    k = random.Random(seed).choice(used)
    report = check_gradients(lambda *xs: f(*xs, spoil=k, factor=1.000001), *at)
    seen = {type(node._row) for node in report.culprits if node.op}
    assert seen in ({Spoiled}, set())
    if not seen:  # nothing flows through that node
        assert report.verdict is not Verdict.FAIL


class Claim:
    """A function whose gradient is claimed to be a factor times the right one."""

    def __init__(self, f: F, factor: float) -> None:
        self.f, self.factor = f, factor

    def __call__(self, *xs: Any) -> Any:
        out = self.f(*xs)
        if isinstance(out, Value):
            factor = self.factor
            out.register_hook(lambda g: g * factor)
        return out


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


@pytest.mark.parametrize("name", list(rows()))
def test_every_misreading_of_a_row_is_caught_and_the_operation_named(name: str) -> None:
    op = rows()[name]
    assert check_operation(op), str(check_operation(op))
    for fault in faults():
        if fault.op == name:
            with planted(fault):
                report = check_operation(op)
            assert not report, fault.answer
            assert all(f" of {name}: " in line for line in report.blame)


@pytest.mark.parametrize("name", list(rows()))
def test_a_sign_in_a_row_fails_the_function_that_uses_it(name: str) -> None:
    op, rng = rows()[name], random.Random(name)
    for fault in faults():
        if fault.op == name and fault.kind == "sign":
            f, at = sample_graph(op, rng)
            z = op.value(*at)
            partial = {"x": op.dx, "y": getattr(op, "dy", None)}[fault.operand]
            with planted(fault):
                report = check_gradients(f, *at)
            changed = partial(*at, *[None] * (op.arity == 1), z) != 0.0  # type: ignore[misc]
            assert changed != bool(report)
            assert not changed or any(f" of {name}: " in line for line in report.blame)


@pytest.mark.parametrize("fault", [f for f in faults() if not f.op], ids=lambda f: f.kind)
def test_mistakes_in_adding_up_are_caught(fault: Fault) -> None:
    def f(a: Any, b: Any) -> Any:
        h = a * b + a * a
        return h * h + h.tanh() * b + h

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


def test_parameters_may_have_names_of_a_dict_or_be_a_list() -> None:
    w, b = Value(2.0, "w"), Value(0.5)

    def loss() -> Any:
        return (w * 3.0 + b).tanh()

    assert [r.name for r in check_gradients(loss, parameters={"a": w, "c": b}).rows] == ["a", "c"]
    assert (w.label, b.label) == ("w", "")  # they are the caller's
    assert [r.name for r in check_gradients(loss, parameters=[w, b]).rows] == ["w", "v1"]
    with pytest.raises(TypeError, match="parameters must be Values, got float"):
        check_gradients(loss, parameters=[1.0])


def test_a_function_that_refuses_decimals_beside_a_point_is_checked_in_double() -> None:
    def f(x: Any) -> Any:
        if not isinstance(x, Value) and x != 1.5:
            raise TypeError("Values only")
        return (x * x).sin()

    report = check_gradients(f, 1.5)
    assert report.verdict is Verdict.PASS, str(report)


def test_second_order_of_a_function_that_refuses_decimals_or_jumps_or_is_wrong() -> None:
    def refuses(x: Any) -> Any:
        if not isinstance(x, Value):
            raise TypeError("Values only")
        return x**3

    report = check_gradients(refuses, 1.5, order=2)
    assert (report.rows[1].verdict, report.rows[1].note) == (
        Verdict.INCONCLUSIVE,
        "the function refuses decimals",
    )
    kinked = check_gradients(lambda x: (x * 2.0).relu(), 0.0, order=2)
    assert kinked.rows[1].note == "the first derivative jumps here"
    with planted(next(f for f in faults() if (f.op, f.kind) == ("tanh", "half"))):
        wrong = check_gradients(lambda x: x.tanh(), 0.3, order=2)
    assert wrong.rows[1].verdict is Verdict.FAIL


def test_what_is_not_finite_has_no_verdict() -> None:
    with pytest.warns(RuntimeWarning, match=r"log\(x\) = nan"):
        both = check_gradients(lambda x: x.log(), -1.0)
    assert (both.verdict, both.rows[0].note) == (Verdict.INCONCLUSIVE, "both are nan")
    with pytest.warns(RuntimeWarning, match="inf"):
        endless = check_gradients(lambda x: x.log(), 0.0)
    assert endless.verdict is Verdict.INCONCLUSIVE


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
    answers = [fault.answer for fault in faults()]
    before = [(op.value, op.dx, op.texts, op.partial_trees) for op in rows().values()]
    with hidden(7) as envelope:
        assert envelope == []
    assert envelope[0] in answers
    assert [(op.value, op.dx, op.texts, op.partial_trees) for op in rows().values()] == before
    assert all(check_operation(op) for op in rows().values())


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
            found = precise.value(op)(*map(Decimal, at))
        with mp.workprec(3000):
            exact = reference.value(op, *at)
            assert abs(mpf(str(found)) - exact) <= abs(exact) * mpf(10) ** -60 + mpf(10) ** -400


@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("at", [-6.0, -4.0, -2.5, -1.0, -0.0, 1.0, 2.5, 4.0, 6.0, 1e22])
def test_decimal_angles_of_every_quarter_turn(name: str, at: float) -> None:
    from mpmath import mp, mpf

    from autograd import precise

    with precise.digits(60):
        found = LIBM[rows()[name].libm](Decimal(at))
    with mp.workdps(60):
        assert abs(mpf(str(found)) - getattr(mp, name)(mpf(at))) < mpf(10) ** -55


@pytest.mark.parametrize("name", sorted(LIBM))
def test_decimal_functions_of_what_is_no_number_raise_nothing(name: str) -> None:
    op = next(op for op in rows().values() if op.libm == name)
    for at in ("nan", "inf", "-inf"):
        for other in ("nan", "inf", "-inf", "2"):
            with contextlib.suppress(InvalidOperation):
                found = LIBM[name](*[Decimal(at), Decimal(other)][: op.arity])
                assert isinstance(found, Decimal)


def test_decimals_of_a_function_are_ordered_detached_and_refuse_what_is_no_number() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append((x < 3, x <= 3, x > 3, x >= 3, float(x) == 2.0))
        return x * x if x >= Value(1.0) else x.detach() * 0.0 + x

    assert check_gradients(f, 2.0).verdict is Verdict.PASS
    assert seen[0] == (True, True, False, False, True)
    assert check_gradients(f, 0.5).verdict is Verdict.PASS

    def odd(x: Any) -> Any:
        return x * ("2" if not isinstance(x, Value) else 2.0)

    assert check_gradients(odd, 2.0).verdict is Verdict.PASS  # in double, as decimals are refused


def test_names_of_nodes_are_different_also_where_a_label_is_v1() -> None:
    a, b = Value(1.0, "v1"), Value(2.0)
    c = a * b
    assert list(names([a, b, c]).values()) == ["v1", "v2", "v3"]
    assert variables(None) == {}
