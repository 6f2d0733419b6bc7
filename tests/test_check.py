"""The gradient checker: what it passes, what it fails, and whom it blames."""

import contextlib
import math
import random
import sys
import types
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from autograd import (
    NonFiniteWarning,
    Value,
    Verdict,
    assert_gradients,
    check_gradients,
    check_operation,
    define_op,
    draw,
    exp,
    finite_differences,
    no_grad,
    rows,
    scope,
    tanh,
)
from autograd.check.report import Report, Row
from autograd.faults import Fault, faults, hidden, misread, planted
from autograd.printers.decimals import LIBM
from autograd.show.names import names, variables
from nn import MLP, sparse_categorical_crossentropy
from tests import reference
from tests.benchmarks.gradcheck import Spoiled, graph
from tests.cases import FACTORS, KINKS, SMOOTH, Case, claimed, claiming
from tests.classic_bugs import BUGS, Bug

F = Callable[..., Any]

# Sums of 10,000 terms take a second each; one of them is enough here.
QUICK = [c for c in SMOOTH if c.family != "cancelling" or c.at not in [(0.3,), (0.7,)]]
FAULTS = faults()
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
@pytest.mark.traced(every=10)
def test_wrong_gradients_never_pass(case: Case) -> None:
    for name, factor in FACTORS.items():
        report = check_gradients(claiming(case, claimed(case, factor)), *case.at)
        assert report.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE), f"{name}\n{report}"


@pytest.mark.untraced
def test_a_sum_of_ten_thousand_terms_that_cancel() -> None:
    case = next(c for c in SMOOTH if c not in QUICK)
    assert check_gradients(case.f, *case.at).verdict is Verdict.PASS
    assert not check_gradients(claiming(case, claimed(case, 1.000001)), *case.at)


@pytest.mark.parametrize("case", KINKS)
def test_a_kink_is_called_one_with_both_slopes(case: Case) -> None:
    left, _, right = (slope + 0.0 for slope in case.slopes(0))
    for claim in (left, right):
        (row,) = check_gradients(claiming(case, [claim]), *case.at).rows
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
    seen = {type(node.row) for node in report.culprits if node.op}
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


@pytest.mark.untraced
@pytest.mark.parametrize("name", list(rows()))
def test_every_misreading_of_a_row_is_caught_and_the_operation_named(name: str) -> None:
    op = rows()[name]
    assert check_operation(op), str(check_operation(op))
    for fault in FAULTS:
        if fault.op == name:
            with planted(fault):
                report = check_operation(op)
            assert not report, fault.answer
            assert all(f" of {name}: " in line for line in report.blame)


@pytest.mark.parametrize("name", list(rows()))
def test_a_sign_in_a_row_fails_the_function_that_uses_it(name: str) -> None:
    op, rng = rows()[name], random.Random(name)
    for fault in FAULTS:
        if fault.op == name and fault.kind == "sign":
            f, at = sample_graph(op, rng)
            z = op.value(*at)
            partial = {"x": op.dx, "y": getattr(op, "dy", None)}[fault.operand]
            with planted(fault):
                report = check_gradients(f, *at)
            changed = partial(*at, *[None] * (op.arity == 1), z) != 0.0  # type: ignore[misc]
            assert changed != bool(report)
            assert not changed or any(f" of {name}: " in line for line in report.blame)


@pytest.mark.parametrize("fault", [f for f in FAULTS if not f.op], ids=lambda f: f.kind)
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
    report = check_gradients(lambda x: x * x.detach().item(), 3.0)
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
    assert [row.name for row in report.rows[2:]] == ["d2/dx dv", "d2/dy dv"]


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
    assert (report.rows[1].verdict, report.rows[1].note) == (Verdict.PASS, "")
    kinked = check_gradients(lambda x: (x * 2.0).relu(), 0.0, order=2)
    assert kinked.rows[1].note == "the first derivative jumps here"
    with planted(next(f for f in faults() if (f.op, f.kind) == ("tanh", "half"))):
        wrong = check_gradients(lambda x: x.tanh(), 0.3, order=2)
    assert wrong.rows[1].verdict is Verdict.FAIL


def test_what_is_not_finite_has_no_verdict() -> None:
    with pytest.warns(RuntimeWarning, match=r"log\(x\) = nan"):
        both = check_gradients(lambda x: x.log(), -1.0)
    assert (both.verdict, both.rows[0].note) == (Verdict.INCONCLUSIVE, "the function is nan here")
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


def test_the_rows_of_derivatives_are_operations_that_can_be_checked() -> None:
    slopes = [slope for op in rows().values() for slope in op.slopes.values()]
    assert [op.name for op in slopes if not check_operation(op)] == []


def test_a_slope_without_end_is_no_mistake() -> None:
    for name in ("cbrt", "sqrt"):
        with pytest.warns(NonFiniteWarning):
            assert check_gradients(rows()[name], 0.0).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", [n for n, op in rows().items() if op.libm or n in LIBM])
def test_the_referees_functions_agree_with_mpmath(name: str) -> None:
    from decimal import Decimal

    from mpmath import mp, mpf

    from autograd.printers import decimals

    op = rows()[name]
    assert name in LIBM
    for at in reference.points(op, 12, random.Random(name)):
        if any(abs(x) > 1e4 for x in at):
            continue
        with decimals.digits(80 + 330 * any(abs(x) > 1e15 for x in at)):
            found = decimals.value(op)(*map(Decimal, at))
        with mp.workprec(3000):
            exact = reference.value(op, *at)
            assert abs(mpf(str(found)) - exact) <= abs(exact) * mpf(10) ** -60 + mpf(10) ** -400


@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("at", [-6.0, -4.0, -2.5, -1.0, -0.0, 1.0, 2.5, 4.0, 6.0, 1e22])
def test_decimal_angles_of_every_quarter_turn(name: str, at: float) -> None:
    from mpmath import mp, mpf

    from autograd.printers import decimals

    with decimals.digits(60):
        found = LIBM[name](Decimal(at))
    with mp.workdps(60):
        assert abs(mpf(str(found)) - getattr(mp, name)(mpf(at))) < mpf(10) ** -55


@pytest.mark.parametrize("name", sorted(LIBM))
def test_decimal_functions_of_what_is_no_number_raise_nothing(name: str) -> None:
    op = rows()[name]
    for at in ("nan", "inf", "-inf"):
        for other in ("nan", "inf", "-inf", "2"):
            with contextlib.suppress(InvalidOperation):
                found = LIBM[name](*[Decimal(at), Decimal(other)][: op.arity])
                assert isinstance(found, Decimal)


def test_decimals_of_a_function_are_ordered_detached_and_refuse_what_is_no_number() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append((x < 3, x <= 3, x > 3, x >= 3, x == 2.0, x.item() == 2.0))
        return x * x if x >= Value(1.0) else x.detach() * 0.0 + x

    assert check_gradients(f, 2.0).verdict is Verdict.PASS
    assert seen[0] == (True, True, False, False, True, True)
    assert check_gradients(f, 0.5).verdict is Verdict.PASS

    def odd(x: Any) -> Any:
        return x * ("2" if not isinstance(x, Value) else 2.0)

    assert check_gradients(odd, 2.0).verdict is Verdict.PASS  # in double, as decimals are refused


def test_names_of_nodes_are_different_also_where_a_label_is_v1() -> None:
    a, b = Value(1.0, "v1"), Value(2.0)
    c = a * b
    assert list(names([a, b, c]).values()) == ["v1", "v2", "v3"]
    assert variables(None) == {}


# ---------------------------------------------------------------------- what a report says


def report_of_two() -> Report:
    return Report(
        [
            Row("w", 0.5, 1.0 / 3.0, 2.0, 1e-15, Verdict.FAIL, "why <not>"),
            Row("longer", -1e-7, 0.0, 0.0, 0.0, Verdict.PASS),
        ],
        ["first & last", "second"],
        summary="whole",
    )


def test_a_report_prints_as_a_table_with_its_summary_and_blame() -> None:
    assert str(report_of_two()).split("\n") == [
        "whole",
        "input   at      gradient      reference  resolution  verdict",
        "w       0.5     0.3333333333  2          1.0e-15     FAIL: why <not>",
        "longer  -1e-07  0             0          0.0e+00     pass",
        "first & last",
        "second",
    ]
    assert str(Report([], summary="whole")) == "whole"
    assert str(Report([], ["blame"])) == "blame"
    assert report_of_two()._repr_html_() == (
        "<table><tr><th>input</th><th>at</th><th>gradient</th><th>reference</th>"
        "<th>resolution</th><th>verdict</th></tr>"
        "<tr><td>w</td><td>0.5</td><td>0.3333333333</td><td>2</td><td>1.0e-15</td>"
        "<td>FAIL: why &lt;not&gt;</td></tr>"
        "<tr><td>longer</td><td>-1e-07</td><td>0</td><td>0</td><td>0.0e+00</td><td>pass</td></tr>"
        "</table><p><b>first &amp; last</b></p><p><b>second</b></p>"
    )


def test_rich_shows_the_same_table() -> None:
    pytest.importorskip("rich")
    table = report_of_two().__rich__()
    heads = ["input", "at", "gradient", "reference", "resolution", "verdict"]
    assert [column.header for column in table.columns] == heads
    assert list(table.columns[0].cells) == ["w", "longer"]
    assert list(table.columns[5].cells) == ["FAIL: why <not>", "pass"]
    assert table.caption == "first & last\nsecond"
    assert Report([]).__rich__().caption is None


@pytest.mark.parametrize(
    ("verdicts", "blame", "worst"),
    [
        ([], [], Verdict.PASS),
        ([Verdict.PASS, Verdict.KINK], [], Verdict.KINK),
        ([Verdict.KINK, Verdict.ILL_CONDITIONED], [], Verdict.ILL_CONDITIONED),
        ([Verdict.ILL_CONDITIONED, Verdict.INCONCLUSIVE], [], Verdict.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, Verdict.FAIL], [], Verdict.FAIL),
        ([Verdict.PASS], ["blame"], Verdict.FAIL),
    ],
)
def test_the_worst_verdict_counts(
    verdicts: list[Verdict], blame: list[str], worst: Verdict
) -> None:
    report = Report([Row("x", 0.0, 0.0, 0.0, 0.0, v) for v in verdicts], blame)
    assert report.verdict is worst
    assert bool(report) is (worst not in (Verdict.FAIL, Verdict.INCONCLUSIVE))


def line_of(f: F) -> str:
    return f"test_check.py:{f.__code__.co_firstlineno + 1}"


def doubled_tanh(x: Any) -> Any:
    return (x * 2.0).tanh()


@pytest.mark.parametrize(
    ("kind", "used", "hint"),
    [
        ("double", 1.4231555251744457, "(2 times too much: added twice?)"),
        ("half", 0.3557888812936114, "(0.5 times too much: a use lost?)"),
        ("sign", -0.7115777625872228, "(-1 times too much: a sign?)"),
        ("zero", 0.0, "(0: cut off?)"),
    ],
)
def test_blame_says_what_is_used_what_should_be_and_what_is_usual(
    kind: str, used: float, hint: str
) -> None:
    with planted(next(f for f in faults() if (f.op, f.kind) == ("tanh", kind))):
        report = check_gradients(doubled_tanh, 0.3)
    assert report.blame == [
        f"dz/dx of tanh: the pullback uses {used!r}, should be 0.7115777625872228 {hint}; "
        f"node v2, x = 0.6, at {line_of(doubled_tanh)}"
    ]
    assert [node.data for node in report.culprits] == [math.tanh(0.6)]
    assert report.rows[0].note == hint


def test_a_wrong_value_is_told_with_both_operands_and_no_hint() -> None:
    with planted(misread("mul", "z", "x * y + 1.0")):
        report = check_gradients(lambda x: x * Value(3.0, "three"), Value(2.0, "two"))
        unnamed = check_operation(rows()["mul"])
    line = line_of(lambda: None)[:-3]
    (text,) = report.blame
    assert text.startswith(
        f"value of mul: 7.0, should be 6.0; node v1, x = 2.0, y = 3.0, at {line[:14]}"
    )
    assert len(unnamed.blame) == 169
    assert "value of mul: 1.0, should be 0.0; x = 0.0, y = 0.0" in unnamed.blame


def use_thrice(a: Any, b: Any) -> Any:
    h = a - b * 3.0
    return h * h * b + h


@pytest.mark.parametrize(
    ("kind", "blame"),
    [
        (
            "overwrite",
            [
                "gradient of node v2 is 2.0, but its 3 use(s) add up to 5.0 (1, 2, 2): "
                "accumulation or the order is at fault",
                "gradient of node b is -6.0, but its 2 use(s) add up to -2.0 (4, -6): "
                "accumulation or the order is at fault",
            ],
        ),
        (
            "upstream",
            [
                "gradient of node v1 is -1.0, but its 1 use(s) add up to -5.0 (-5): "
                "accumulation or the order is at fault",
                "gradient of node a is 1.0, but its 1 use(s) add up to 5.0 (5): "
                "accumulation or the order is at fault",
                "gradient of node b is 7.0, but its 2 use(s) add up to 1.0 (4, -3): "
                "accumulation or the order is at fault",
            ],
        ),
        (
            "stale",
            [
                f"backward twice gives {once!r}, then {twice!r}"
                for once, twice in ((-5.0, -23.0), (5.0, 18.0), (1.0, 3.0), (1.0, 2.0))
            ]
            + [
                "backward twice gives 5.0, then 18.0",
                "backward twice gives -11.0, then -61.0",
            ],
        ),
    ],
)
def test_sums_that_are_wrong_are_told_with_their_terms(kind: str, blame: list[str]) -> None:
    with planted(next(f for f in faults() if not f.op and f.kind == kind)):
        report = check_gradients(use_thrice, Value(5.0, "a"), 1.0)
    assert report.blame == blame
    assert len(report.culprits) == len(blame)


def test_a_gradient_twice_its_uses_has_a_hint_of_it() -> None:
    with planted(next(f for f in faults() if not f.op and f.kind == "once")):
        report = check_gradients(lambda x: x * x, 1.5)
    assert report.blame == [
        "gradient of node x is 1.5, but its 2 use(s) add up to 3.0 (1.5, 1.5)"
        " (0.5 times too much: a use lost?): accumulation or the order is at fault"
    ]


def tied(x: Any, y: Any) -> Any:
    return x.maximum(y)


def test_at_a_tie_the_two_partials_must_share_the_slope() -> None:
    with planted(misread("maximum", "y", "1.0")):
        report = check_gradients(tied, 1.0, 1.0)
    where = f"node v1, x = 1.0, y = 1.0, at {line_of(tied)}"
    assert report.blame == [
        "dz/dx and dz/dy of maximum: the pullback uses 0.5 and 1.0, which add up to 1.5, "
        f"should be 1.0; {where}"
    ]
    with planted(misread("maximum", "y", "0.25")):
        assert "add up to 0.75, should be 1.0;" in check_gradients(tied, 1.0, 1.0).blame[0]
    with planted(misread("hypot", "y", "2.0")):
        report = check_gradients(lambda x, y: x.hypot(y), 0.0, 0.0)
    shares, partial = report.blame
    assert shares.startswith(
        "dz/dx and dz/dy of hypot: the pullback uses 0.0 and 2.0, which add up to 2.0, should be "
        "-1.4142135623730951 to 1.4142135623730951; "
    )
    assert partial.startswith("dz/dy of hypot: the pullback uses 2.0, should be [-1.0, 1.0]; ")


@pytest.mark.parametrize("at", [1.0, 6.0])
@pytest.mark.parametrize(
    ("text", "operand", "good"),
    [
        ("-1.0000000000000018", "x", True),  # 8 units in the last place
        ("-1.000000000000002", "x", False),  # 9
        ("-x * 1.0000000000000009", "z", True),  # 4
        ("-x * 1.0000000000000011", "z", False),  # 5
    ],
)
def test_a_row_is_good_to_4_units_in_value_and_8_in_slope(
    text: str, operand: str, good: bool, at: float
) -> None:
    if operand == "z" and at != 1.0:
        at = 2.0  # where a unit in the last place has the same share
    with planted(misread("neg", operand, text)):
        assert (check_gradients(lambda x: -x, at).blame == []) is good


def test_what_is_cut_from_the_graph_is_told() -> None:
    def cut(x: Any) -> Any:
        with no_grad():
            h = x * x
        return h * x

    def adds(x: Any) -> Any:
        return x * x + x.item()

    for f, slope, line, missing, how in (
        (cut, 12.0, 3, 8, "a Value that the function creates moves with its inputs"),
        (adds, 5.0, 1, 1, "add takes a number that moves with the inputs"),
    ):
        report = check_gradients(f, 2.0)
        (row,) = report.rows
        assert row.verdict is Verdict.FAIL
        where = f"test_check.py:{f.__code__.co_firstlineno + line}"
        told = f"a branch is cut from the graph at {where}: "
        assert row.note == told + f"{missing} of the slope is missing"
        assert report.blame[0].startswith(told + how)
        assert len(report.culprits) == 1
        assert row.analytic == 4.0
        assert row.referee == pytest.approx(slope, rel=1e-9)
    (row,) = check_gradients(lambda x: x * x if x.item() > 1 else x, 2.0).rows
    assert (row.verdict, row.referee) == (Verdict.PASS, 4.0)


def test_lines_are_known_inside_of_scopes() -> None:
    def f(x: Any) -> Any:
        with scope("inner"):
            return x.tanh()

    with planted(misread("tanh", "x", "1.0")):
        (text,) = check_gradients(f, 0.3).blame
    assert text.endswith(f"at test_check.py:{f.__code__.co_firstlineno + 2}")


def rectified(x: Any) -> Any:
    return x.relu() * 2.0 + x


def test_kinks_and_jumps_are_told_with_their_slopes_and_the_line() -> None:
    switches = f" (relu at {line_of(rectified)} switches)"
    (row,) = check_gradients(rectified, 0.0).rows
    slopes = "slopes 1 from the left, 3 from the right"
    assert (row.verdict, row.note) == (Verdict.KINK, slopes + switches)
    for wrong in (0.99, 3.01, 9.0):
        (row,) = check_gradients(Claim(rectified, wrong), 0.0).rows
        outside = ", and the gradient is outside this range"
        assert (row.verdict, row.note) == (Verdict.FAIL, slopes + outside + switches)
    for right in (1.0, 2.0, 3.0):
        (row,) = check_gradients(Claim(rectified, right), 0.0).rows
        assert (row.verdict, row.note) == (Verdict.KINK, slopes + switches)
    (row,) = check_gradients(lambda x: x.sign() * 2.0 + x, 0.0).rows
    assert row.note.startswith("the function jumps here, and has no slope (sign at ")
    assert row.verdict is Verdict.KINK


@pytest.mark.parametrize("at", [0.1, 0.0])
def test_digits_that_are_lost_are_counted(at: float) -> None:
    (row,) = check_gradients(lambda x: (x + 1e8 + (0.1 - at)) ** 2 - 2e8 * x, at).rows
    assert row.referee == pytest.approx(0.2, rel=1e-6)
    assert row.note == "about 9 of 16 digits lost to rounding"
    assert row.verdict is Verdict.ILL_CONDITIONED


# ---------------------------------------------------------------------- in double precision


def of_values_alone(f: F) -> F:
    def refusing(*xs: Any) -> Any:
        if not all(isinstance(x, Value) for x in xs):
            raise TypeError("Values only")
        return f(*xs)

    return refusing


@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda x: abs(x), 1e-3, 1.0),
        (lambda x: abs(x), -1e-6, -1.0),
        (lambda x: x.maximum(1.0), 1.0001, 1.0),
        (lambda x: x.minimum(1.0), 0.9999, 1.0),
        (lambda x: x.exp(), 1.3, math.exp(1.3)),
        (lambda x: x.exp(), -30.0, math.exp(-30.0)),
        (lambda x: x.exp(), 300.0, math.exp(300.0)),
        (lambda x: (x * 1e3).sin(), 1.3, 1e3 * math.cos(1300.0)),
        (lambda x: x * x, 0.0, 0.0),
        (lambda x: x * x * x, 1e-4, 3e-8),
        (lambda x: 1.0 / x, 1e-3, -1e6),
        (lambda x: (1.0 + x).log(), 1e-9, 1.0 / (1.0 + 1e-9)),
    ],
)
def test_differences_of_doubles_stay_on_this_side_of_a_kink(f: F, at: float, slope: float) -> None:
    (row,) = check_gradients(of_values_alone(f), at).rows
    assert row.verdict is Verdict.PASS, row
    assert abs(row.referee - slope) <= 4 * row.error + 1e-12 * abs(slope)
    assert row.error <= 1e-6 * max(abs(slope), 1e-4)
    (row,) = check_gradients(Claim(of_values_alone(f), 1.001), at).rows
    assert row.verdict is Verdict.FAIL if slope else Verdict.PASS


def test_a_function_that_refuses_decimals_is_judged_as_any_other() -> None:
    (row,) = check_gradients(of_values_alone(abs), 0.0).rows
    assert row.verdict is Verdict.KINK
    assert row.note.startswith("slopes -1 from the left, 1 from the right (abs at ")
    for factor, verdict in ((1.0, Verdict.PASS), (1.000001, Verdict.FAIL)):
        f = of_values_alone(lambda x: 1e6 + 1e-9 * x)
        (row,) = check_gradients(Claim(f, factor), 1.0).rows
        assert (row.verdict, row.referee) == (verdict, 1e-9)


@pytest.mark.parametrize(
    ("kind", "names"), [(lambda f: f, ("x", "y")), (of_values_alone, ("xs[0]", "xs[1]"))]
)
def test_parameters_are_checked_beside_inputs_and_left_as_they_were(kind: Any, names: Any) -> None:
    w, b = Value(3.0, "w"), Value(0.5, "b")
    report = check_gradients(kind(lambda x, y: w * x * x + y * b), 2.0, 7.0, parameters=[w, b])
    assert [(row.name, row.verdict) for row in report.rows] == [
        (name, Verdict.PASS) for name in (*names, "w", "b")
    ]
    assert [row.analytic for row in report.rows] == [12.0, 0.5, 4.0, 7.0]
    assert [row.referee for row in report.rows] == pytest.approx([12.0, 0.5, 4.0, 7.0])
    assert (w.data, b.data, w.grad, b.grad) == (3.0, 0.5, 0.0, 0.0)
    calls = 0

    def breaks(x: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise KeyboardInterrupt
        return of_values_alone(lambda x: w * x)(x)

    with pytest.raises(KeyboardInterrupt):
        check_gradients(breaks, 2.0, parameters=[w])
    assert w.data == 3.0


# ---------------------------------------------------------------------- what is checked


def test_inputs_in_nests_are_named_by_their_paths_or_labels() -> None:
    def f(p: Any, q: Any, r: Any) -> Any:
        return p["w"][0] * p["w"][1][0] + p["b"] * q + r[0] * r[1] * r[2]

    at = {"w": [2.0, (3.0,)], "b": 1.0}, Value(4.0, "q"), (5.0, 6.0, 7.0)
    report = check_gradients(f, *at)
    names = ["p['w'][0]", "p['w'][1][0]", "p['b']", "q", "r[0]", "r[1]", "r[2]"]
    assert [row.name for row in report.rows] == names
    assert [row.at for row in report.rows] == [2.0, 3.0, 1.0, 4.0, 5.0, 6.0, 7.0]
    assert [row.analytic for row in report.rows] == [3.0, 2.0, 4.0, 1.0, 42.0, 35.0, 30.0]
    assert all(row.verdict is Verdict.PASS for row in report.rows)
    with pytest.raises(TypeError, match=r"^an input: expected a real number, got str"):
        check_gradients(lambda x: x, "2")


def test_a_sample_is_chosen_by_the_seed_and_kept_in_order() -> None:
    def f(x: Any) -> Any:
        return sum(v * v for v in x)

    at = [1.0 + i for i in range(9)]
    for seed in (0, 1, 2):
        chosen = sorted(random.Random(seed).sample(range(9), 3))
        given: dict[str, Any] = {"seed": seed} if seed else {}
        report = check_gradients(f, at, sample=3, **given)
        assert [row.name for row in report.rows] == [f"x[{i}]" for i in chosen]
        assert [row.analytic for row in report.rows] == [2.0 * at[i] for i in chosen]
    for sample in (9, 20, None):
        assert len(check_gradients(f, at, sample=sample).rows) == 9


class Replayed:
    """What `check_gradients` knows of a compiled function."""

    def __init__(self, claims: list[float]) -> None:
        self.claimed = claims
        self.asked: list[Any] = []

    def function(self, x: Any, y: Any) -> Any:
        return x * y

    def claims(self, inputs: Any, parameters: Any) -> list[float]:
        self.asked.append((inputs, parameters))
        return self.claimed

    def __call__(self, *given: Any) -> Any:
        raise AssertionError("the function that was compiled is what is run")


def test_a_replays_gradients_must_be_those_of_the_function() -> None:
    good = Replayed([3.0, 2.0 * (1 + 1e-13)])
    report = check_gradients(good, 2.0, 3.0)
    assert report.verdict is Verdict.PASS
    assert good.asked == [((2.0, 3.0), [])]
    bad = check_gradients(Replayed([3.0, 2.0 * (1 + 1e-11)]), 2.0, 3.0)
    assert [row.verdict for row in bad.rows] == [Verdict.PASS, Verdict.FAIL]
    assert bad.rows[1].note == f"the replay gives {2.0 * (1 + 1e-11)!r}"


def test_second_order_is_along_a_direction_of_the_seed() -> None:
    for seed in (0, 5):
        rng = random.Random(seed)
        a, b = (rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) for _ in "ab")
        given: dict[str, Any] = {"seed": seed} if seed else {}
        report = check_gradients(lambda x, y: x * x * y, 0.5, -0.3, order=2, **given)
        first, second = report.rows[2:]
        for row, name, at, exact in (
            (first, "d2/dx dv", 0.5, 2 * -0.3 * a * 0.5 + 2 * 0.5 * b * 0.3),
            (second, "d2/dy dv", -0.3, 2 * 0.5 * a * 0.5),
        ):
            assert (row.name, row.at, row.verdict, row.note) == (name, at, Verdict.PASS, "")
            assert row.analytic == pytest.approx(exact, rel=1e-14)
            assert row.referee == pytest.approx(exact, rel=1e-14)
            assert row.error == 1e-12 * abs(row.referee)


def test_second_order_asks_of_inputs_each_by_itself() -> None:
    w = Value(3.0, "w")
    report = check_gradients(lambda x: w * x * x, 2.0, parameters=[w], order=2)
    assert [row.name for row in report.rows] == ["x", "w", "d2/dx dv"]
    assert report.verdict is Verdict.PASS
    alone = check_gradients(lambda: w * w * 2.0, parameters=[w], order=2)
    assert [row.name for row in alone.rows] == ["w"]

    def refuses_one(x: Any, y: Any) -> Any:
        if not isinstance(x, Value) and x != 1.5:
            raise TypeError("Values only")
        return x**3 + y**3

    report = check_gradients(refuses_one, 1.5, 0.5, order=2)
    assert [(row.verdict, row.note) for row in report.rows[2:]] == [(Verdict.PASS, "")] * 2
    kinked = check_gradients(lambda x: (x * 2.0).relu() + x, 0.0, order=2)
    assert kinked.rows[1].verdict is Verdict.KINK
    with planted(next(f for f in faults() if (f.op, f.kind) == ("sin", "double"))):
        wrong = check_gradients(lambda x: x.sin(), 0.3, order=2)
    assert (wrong.rows[1].verdict, wrong.rows[1].note) == (
        Verdict.FAIL,
        "(2 times too much: added twice?)",
    )


def test_an_operation_by_itself_is_asked_at_all_points_that_give_numbers() -> None:
    assert str(check_operation(rows()["add"])) == "add: 169 points pass"
    assert str(check_operation(rows()["log"])) == "log: 7 points pass"
    with planted(misread("neg", "x", "-1.0 if x < 100 else 1.0")):
        report = check_operation(rows()["neg"])
    assert report.summary == "neg: 12 points pass"
    assert report.blame == [
        "dz/dx of neg: the pullback uses 1.0, should be -1.0 (-1 times too much: a sign?); "
        "x = 300.0"
    ]
    assert [node.x for node in report.culprits] == [300.0]
    assert report.verdict is Verdict.FAIL


def test_the_culprit_is_drawn_with_partials_on_its_edges_and_options_go_through() -> None:
    with planted(next(f for f in faults() if (f.op, f.kind) == ("tanh", "half"))):
        report = check_gradients(doubled_tanh, 0.3)
    found = report.culprits[0]
    assert len(report.culprits) == 1
    assert [node for node, _ in report.edges] == [found]
    plain = draw(found, edges=True, grads=False, wrong=report.edges)
    unnamed = plain.source.replace("found =", "v2 =").replace("\u2202found", "\u2202v2")
    assert report.draw().source == unnamed
    assert "used: " in report.draw().source
    assert "no backward yet" not in report.draw().source
    assert "rankdir=TB" in report.draw(direction="TB").source
    assert "\u2202v1/\u2202x = 2" in report.draw().source


def test_an_assertion_is_the_report_and_hides_its_own_frame() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_gradients(lambda x: x * x.data, 3.0)
    text = str(failed.value)
    assert text.startswith(
        "gradients are FAIL\ninput  at  gradient  reference  resolution  verdict\n"
    )
    assert failed.traceback[-1].ishidden(failed)
    with pytest.raises(ValueError, match="order must be 1 or 2, got 3"):
        assert_gradients(lambda x: x, 1.0, order=3)


def test_plain_differences_have_the_step_that_is_asked_for() -> None:
    def slope(h: float) -> float:
        return ((1.5 + h) ** 3 - (1.5 - h) ** 3) / (2 * h)

    (found,) = finite_differences(lambda x: x * x * x, 1.5)
    assert found == pytest.approx(slope(1e-5), rel=1e-12)
    (found,) = finite_differences(lambda x: x * x * x, 1.5, step=0.5)
    assert found == slope(0.5) == 7.0


w_of_all: Value = Value(3.0, "w")


@pytest.mark.parametrize("f", [lambda x, y: w_of_all * x * y, lambda x, y: x.maximum(y) * w_of_all])
def test_decimals_are_used_where_a_function_takes_them(f: F) -> None:
    report = check_gradients(f, 2.0, 0.0, parameters=[w_of_all])
    for row in report.rows:
        assert row.verdict is Verdict.PASS
        assert row.error == 1e-15 * abs(row.referee)
    assert [row.referee for row in report.rows] == [row.analytic for row in report.rows]


def test_a_function_that_refuses_decimals_on_one_side_is_checked_on_its_graph() -> None:
    def f(x: Any) -> Any:
        if not isinstance(x, Value) and x > 1.5:
            raise TypeError("Values only")
        return (x * x).sin()

    (row,) = check_gradients(f, 1.5).rows
    assert row.verdict is Verdict.PASS
    assert row.referee == pytest.approx(3.0 * math.cos(2.25), rel=1e-14)


def test_the_terms_of_a_derivative_near_its_zero_may_cancel() -> None:
    # d/dx (x^2 - 3 x) = 2 x - 3 is 0 at 1.5; its terms are of size 3.
    row = define_op("near_zero", "x * x - 3 * x", "2 * x - 3")
    beside = 1.5 + 2.0**-40
    for off, good in ((8e-16, True), (8e-15, False)):
        with planted(misread("near_zero", "x", f"2 * x - 3 + {off!r}")):
            assert (check_gradients(row, beside).blame == []) is good
    with planted(misread("near_zero", "x", "2 * x - 3 + 2e-15")):
        assert check_gradients(row, 6.0).blame == []
    with planted(misread("near_zero", "x", "2 * x - 3 + 1e-13")):
        assert check_gradients(row, 6.0).blame != []


def test_operands_that_are_not_finite_are_passed_over_and_the_rest_is_checked() -> None:
    with planted(misread("tanh", "x", "1.0")):
        report = check_operation(rows()["tanh"])
        assert len(report.blame) == 10
        with pytest.warns(NonFiniteWarning, match=r"may be lost: log\(x\) = -inf"):
            graph = check_gradients(lambda x: (x.log() * 0.5 + 3.0).exp() + (x + 1.0).tanh(), 0.0)
    assert len(graph.blame) == 1
    assert "dz/dx of tanh" in graph.blame[0]


@pytest.mark.parametrize("at", [0.0, 1e-300, 1e300, -1e-8])
def test_scales_of_every_size_are_seen(at: float) -> None:
    (row,) = check_gradients(lambda x: x * 3.0, at).rows
    assert (row.verdict, row.referee, row.analytic) == (Verdict.PASS, 3.0, 3.0)


def test_an_input_without_effect_has_a_gradient_of_zero() -> None:
    rows_ = check_gradients(lambda x, y: y * 2.0, 1.0, 3.0).rows
    assert [(row.analytic, row.referee, row.verdict) for row in rows_] == [
        (0.0, 0.0, Verdict.PASS),
        (2.0, 2.0, Verdict.PASS),
    ]
    rows_ = check_gradients(lambda x, y: y * x.data, 1.5, 3.0).rows
    assert [(row.analytic, row.verdict) for row in rows_] == [
        (0.0, Verdict.FAIL),
        (1.5, Verdict.PASS),
    ]
    assert [row.referee for row in rows_] == pytest.approx([3.0, 1.5], rel=1e-9)


def test_a_replay_is_asked_also_for_inputs_without_effect() -> None:
    class Half(Replayed):
        def function(self, x: Any, y: Any) -> Any:
            return y * 2.0

    assert check_gradients(Half([0.0, 2.0]), 2.0, 3.0).verdict is Verdict.PASS
    wrong = check_gradients(Half([1e-11, 2.0]), 2.0, 3.0)
    assert [row.verdict for row in wrong.rows] == [Verdict.FAIL, Verdict.PASS]

    # Rounding is measured by the size of what is added up.
    class Cancels(Replayed):
        def function(self, x: Any, y: Any) -> Any:
            return (x * 1e6 + y) - x * 1e6

    assert check_gradients(Cancels([1e-7, 1.0]), 2.0, 3.0).verdict is Verdict.PASS
    assert check_gradients(Cancels([1e-5, 1.0]), 2.0, 3.0).verdict is Verdict.FAIL


def test_a_branch_that_moves_the_result_through_float_is_told_from_one_that_decides() -> None:
    def decides(x: Any) -> Any:
        return x * x if x.item() > 1.0 else x

    def moves_a_little(x: Any) -> Any:
        return x * 100.0 + x.item() * 2.0

    assert check_gradients(decides, 1.5).rows[0].error == 1e-15 * 3.0
    (row,) = check_gradients(moves_a_little, 1.5).rows
    assert (row.verdict, row.analytic) == (Verdict.FAIL, 100.0)
    assert row.referee == pytest.approx(102.0, rel=1e-9)


def test_a_wrong_partial_at_a_jump_is_no_mistake_and_at_a_kink_it_is() -> None:
    upward = define_op("upward", "1.0 if x > 0 else 0.0", "0.0")
    with planted(misread("upward", "x", "-3.0")):
        assert check_gradients(upward, 0.0).blame == []
        assert check_gradients(upward, 1.0).blame != []
    downward = define_op("downward", "1.0 if x < 0 else 0.0", "0.0")
    with planted(misread("downward", "x", "3.0")):
        assert check_gradients(downward, 0.0).blame == []
    for name, text in (("steep", "x > 0"), ("sheer", "x < 0")):
        op = define_op(name, f"50 * x if {text} else 0.0", f"50.0 if {text} else 0.0")
        with planted(misread(name, "x", "90.0")):
            (blame,) = check_gradients(op, 0.0).blame
        assert "should be [0.0, 50.0];" in blame


def test_a_replay_that_invents_a_tiny_gradient_is_told() -> None:
    class Half(Replayed):
        def function(self, x: Any, y: Any) -> Any:
            return y * 2.0

    wrong = check_gradients(Half([5e-13, 2.0]), 2.0, 3.0)
    assert wrong.rows[0].note == "the replay gives 5e-13"


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
def test_infinite_terms_of_both_signs_are_no_sum_that_could_be_wrong() -> None:
    report = check_gradients(lambda x: (x.sqrt() - x.sqrt()) + x, 0.0)
    assert report.blame == []
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_gradient_at_a_kink_may_be_off_by_as_much_as_any_other() -> None:
    for claim, verdict in ((3.0 + 1e-9, Verdict.KINK), (3.0 + 1e-8, Verdict.FAIL),
                           (1.0 - 1e-9, Verdict.KINK), (1.0 - 1e-8, Verdict.FAIL)):  # fmt: skip
        (row,) = check_gradients(Claim(rectified, claim), 0.0).rows
        assert row.verdict is verdict


# ---------------------------------------------------------------------- what f may do, and its cost


def test_inputs_are_called_what_the_function_calls_them() -> None:
    def f(w: Any, *rest: Any, b: float = 0.0) -> Any:
        return w * rest[0][0] + rest[1] + b

    report = check_gradients(f, Value(2.0, "weight"), [3.0], 4.0)
    assert [row.name for row in report.rows] == ["weight", "rest[0][0]", "rest[1]"]
    assert [row.name for row in check_gradients(rows()["hypot"], 3.0, 4.0).rows] == ["x", "y"]
    net = MLP([1, 1], "tanh", seed=0)
    assert check_gradients(lambda: net([0.3])[0], parameters=net).rows[0].name == (
        "layers.0.neurons.0.weights.0"
    )


def test_common_generators_give_the_same_numbers_in_every_run_and_go_on_afterwards() -> None:
    numpy = pytest.importorskip("numpy")

    def f(x: Any) -> Any:
        return x * random.random() + x * x * float(numpy.random.rand())

    random.seed(1)
    numpy.random.seed(1)
    assert check_gradients(f, 0.7).verdict is Verdict.PASS
    after = random.random(), numpy.random.rand()
    random.seed(1)
    numpy.random.seed(1)
    f(0.7)
    assert after == (random.random(), numpy.random.rand())


def test_the_runs_of_f_do_not_grow_with_its_inputs() -> None:
    runs = 0

    def f(xs: Any) -> Any:
        nonlocal runs
        runs += 1
        return sum((x * (0.3 * x).tanh() for x in xs), 0.0 * xs[0])

    assert check_gradients(f, [0.01 * i for i in range(1, 300)]).verdict is Verdict.PASS
    assert runs <= 8


def test_a_long_check_has_a_progress_bar_in_a_terminal(monkeypatch: Any) -> None:
    shown: list[tuple[int, str, dict[str, Any]]] = []

    def tqdm(items: Any, what: str, **options: Any) -> Any:
        shown.append((len(items), what, options))
        return items

    def check(count: int) -> None:
        check_gradients(lambda xs: sum(xs[1:], xs[0]), [1.0] * count)

    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=tqdm))
    check(30)
    assert shown == []
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: True))
    check(3)
    assert shown == []
    check(30)
    assert shown == [(30, "checking gradients", {"delay": 2.0, "leave": False})]
    monkeypatch.setitem(sys.modules, "tqdm", None)
    check(30)


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@pytest.mark.parametrize("at", [1e-20, -1e-160, 8.0895376764837855e-258, 1e-300])
@pytest.mark.parametrize("name", [op.name for op in rows().values() if op.arity == 1])
@pytest.mark.traced(every=10)
def test_no_right_derivative_fails_at_a_tiny_operand(name: str, at: float) -> None:
    op = rows()[name]
    report = check_gradients(lambda x: op(x), at)
    assert report.verdict is not Verdict.FAIL, str(report)


@pytest.mark.parametrize("y", [8e-258, -1e-160, 1e-20, 0.3])
@pytest.mark.parametrize("name", ["mod", "fmod", "floordiv"])
def test_no_right_derivative_fails_where_many_periods_fit(name: str, y: float) -> None:
    report = check_gradients(lambda a, b: rows()[name](a, b), 1.0, y)
    assert report.verdict is not Verdict.FAIL, str(report)


def test_what_is_no_function_is_not_checked() -> None:
    with pytest.raises(TypeError, match=r"^check_gradients: expected a function, got 3\.0"):
        check_gradients(3.0)  # type: ignore[arg-type]
