"""Reports on gradients: whether each is right, and if not, which operation is at fault.

Three checks lead to one verdict.  LOCAL compares each node's value, and each local derivative that
its pullback uses, with differences of the row's value in decimal arithmetic.  ADJOINT compares each
node's gradient with the sum over its consumers, computed by other code, and runs backward twice.
END-TO-END compares every input's gradient with a reverse sweep of the recorded graph in decimals,
and that graph with the function, which is recorded again beside the point and run on decimals.
LOCAL and ADJOINT name the culprit; only END-TO-END detects a branch that was cut from the graph.
"""

import contextlib
import random
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from autograd.check.adjoint import wrong_sums
from autograd.check.black_box import is_recorded, judge_black_box
from autograd.check.case import Case, Function, record
from autograd.check.end_to_end import Claim, Referee, Settings
from autograd.check.local import Edges, wrong_operations
from autograd.check.report import Report, Row, Verdict
from autograd.nestings import Tree, rebuilt
from autograd.options import whole
from autograd.order import visited
from autograd.show.names import names
from autograd.show.shown import contributions
from autograd.value import Value

_MANY = 20  # with more inputs, a progress bar is worth its import
_LONG = 2.0  # seconds before the bar appears
_REPLAYED = 1e4  # rounding errors by which a replay may be off, relative to the size of its terms


def check_gradients(
    f: Function,
    *inputs: Tree,
    gradient: Any = None,
    order: int = 1,
    parameters: Any = None,
    sample: int | None = None,
    seed: int = 0,
    detached: str = "mistake",
) -> Report:
    """A Report with a verdict on f's gradient in each input, and the operations at fault.

    Args:
        f: a function that takes Values, in any nesting, and returns one Value.  It is run about ten
            times: at the inputs, beside them, and on decimal numbers.  In every run it draws the
            same numbers from the global generators of Python and NumPy; apart from these, it must
            be deterministic.  State that it keeps between runs is not reset.  If f is compiled, its
            Python function is checked, and the replay's gradients must be the same.
        inputs: where to check f: numbers or Values in lists, tuples and dicts.
        gradient: the gradient to check instead of f's own.  Then f may be any function of numbers,
            lists, or NumPy, torch or JAX arrays that returns a number or an array.  The gradient is
            a function of the same inputs, or its result: one array, or a tuple with one for each
            input.  For torch tensors and JAX arrays it may be left out: their library's own
            gradient is checked.  See `docs/checking.md`.
        order: 2 also checks gradients of gradients, as Hessian-vector products.
        parameters: Values that f closes over: a module, a dict by name, or a list.  They are set
            in place while f runs, and restored.
        sample: check only this many inputs and parameters, chosen by the seed.
        detached: "intended" if f cuts branches off on purpose by `detach()` or `no_grad`, as for a
            target network: they are then reported, but do not fail.

    Raises TypeError if f does not return a Value, ValueError if f is not deterministic.

    >>> report = check_gradients(lambda w, x: (w * x).tanh(), 2.0, -1.0)
    >>> report.verdict
    <Verdict.PASS: 'pass'>
    >>> check_gradients(lambda x: x.relu(), 0.0).rows[0].note
    'slopes 0 from the left, 1 from the right (relu at ... switches)'
    >>> import math
    >>> check_gradients(math.sin, 2.0, gradient=math.cos).verdict
    <Verdict.PASS: 'pass'>
    >>> print(check_gradients(lambda x: x * x.data, 3.0))  # doctest: +NORMALIZE_WHITESPACE
    input  at  gradient  reference  resolution  verdict
    x      3   3         6          6.0e-09     FAIL: a branch is cut from the graph at ...
    a branch is cut from the graph at ...: mul takes a number that moves with the inputs ...
    """
    if not callable(f):
        raise TypeError(f"check_gradients: expected a function, got {f!r:.60}")
    sample = None if sample is None else whole(sample, "check_gradients: sample")
    seed = whole(seed, "check_gradients: seed", None)
    if gradient is not None or not is_recorded(inputs):
        if order != 1 or parameters is not None:
            raise ValueError("check_gradients: order=2 and parameters= need a function of Values")
        report = judge_black_box(f, inputs, gradient, sample, seed)
        if gradient is not None and report.verdict is Verdict.FAIL:
            from autograd.check.diagnose import mistake  # few need it, and an import takes its time

            report.blame += filter(None, [mistake(f, inputs, gradient)])
        return report
    if order not in (1, 2):
        raise ValueError(f"check_gradients: order must be 1 or 2, got {order!r}")
    if detached not in ("mistake", "intended"):
        raise ValueError(
            f"check_gradients: detached must be 'mistake' or 'intended', got {detached!r}"
        )
    replay: Any = f if hasattr(f, "claims") else None
    case = record(f if replay is None else replay.function, inputs, parameters)
    chosen = list(range(len(case.at)))
    if sample is not None and sample < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, sample))  # noqa: S311 - no secret
    replayed = None if replay is None else replay.claims(inputs, case.parameters)
    settings = Settings(order, seed, detached)
    if hasattr(replay, "unit"):
        settings = replace(settings, unit=replay.unit)
    return _judged(case, chosen, replayed, settings)


def _judged(
    case: Case, chosen: list[int], replayed: list[float] | None, settings: Settings
) -> Report:
    """The report on the graph of a case, and on its replay's gradients, if there is a replay."""
    recorded = case.recorded
    inner, ends = visited(recorded.root)
    name = _names(case, [*ends, *inner])
    pulls = {node: contributions(node, 1.0) for node in inner}
    edges: Edges = {}
    wrong = wrong_operations(inner, pulls, name, edges)
    grads, sums, wrong_nodes = wrong_sums(recorded.root, inner, ends, pulls, name)
    wrong += wrong_nodes
    report = Report([], [text for _, text in wrong], [node for node, _ in wrong], edges=edges)
    by_functions = [node.op for node in inner if node.op and node.op.functions]
    if by_functions:  # they do not run on decimals
        if settings.order == 2:
            raise ValueError(f"check_gradients: {by_functions[0].unknown_to('order=2')}")
        report.rows = _in_doubles(case, [grads.get(node, 0.0) for node in recorded.nodes], chosen)
        return report
    referee, allowed = Referee(case, pulls, chosen, settings), _REPLAYED * settings.unit
    for k in _counted(chosen):
        node = recorded.nodes[k]
        own, size = sums.get(node, (0.0, 0.0))
        gradient = grads.get(node, 0.0)
        row = referee.row(Claim(k, gradient, own, size, not wrong))
        if replayed and abs(replayed[k] - gradient) > allowed * max(abs(gradient), size):
            row.verdict, row.note = Verdict.FAIL, f"the replay gives {replayed[k]!r}"
        report.rows.append(row)
    if settings.order == 2:
        report.rows += referee.second_rows()
    report.blame += referee.cuts.blame()
    report.culprits += referee.cuts.culprits()
    report.summary = "\n".join(referee.cuts.notes())
    return report


def _in_doubles(case: Case, gradient: list[float], chosen: list[int]) -> list[Row]:
    """The rows of a function that uses Python functions, judged from its results in doubles."""

    def moved(numbers: list[Any]) -> Any:
        """The result of f at other numbers for the inputs and then the parameters."""
        saved = [p.data for p in case.parameters]
        try:
            for p, x in zip(case.parameters, numbers[case.count :], strict=True):
                p.data = x.data if isinstance(x, Value) else x
            return case.f(*rebuilt(list(case.inputs), iter(numbers[: case.count])))
        finally:
            for p, x in zip(case.parameters, saved, strict=True):
                p.data = x

    rows = judge_black_box(moved, (case.at,), (gradient,)).rows
    if len(rows) != len(case.labels):
        return rows  # there are so many inputs that each row is for a direction
    for row, label in zip(rows, case.labels, strict=True):
        row.name = label
    return [rows[k] for k in chosen]


def _counted(chosen: list[int]) -> Iterable[int]:
    """The inputs' indices, with a progress bar in a terminal if the check takes long.

    The bar needs tqdm; without it there is none.
    """
    if len(chosen) > _MANY and sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            bar: Iterable[int] = tqdm(chosen, "checking gradients", delay=_LONG, leave=False)
            return bar
    return chosen


def _names(case: Case, everything: list[Value]) -> dict[Value, str]:
    """The names of the nodes for lines of blame; the inputs have the names that f gives them."""
    nodes = case.recorded.nodes
    labelled = {n: n.label or label for n, label in zip(nodes, case.labels, strict=True)}
    return names(everything) | labelled


def assert_gradients(f: Function, *inputs: Tree, **options: Any) -> None:
    """Raise AssertionError with the report, and code to repeat it, unless `check_gradients` passes.

    A kink or an ill-conditioned gradient is not an error of the engine, so it passes.  The options
    are those of `check_gradients`, including `gradient=` for functions of any kind.

    >>> assert_gradients(lambda x: x * x.sin(), 2.0)
    """
    __tracebackhide__ = True
    report = check_gradients(f, *inputs, **options)
    if not report:
        from autograd.check.reproducer import reproducer  # for the same reason

        code = textwrap.indent(reproducer(f, inputs, options), "    ")
        raise AssertionError(
            f"gradients are {report.verdict.value}\n{report}\n\nto reproduce:\n{code}"
        )
