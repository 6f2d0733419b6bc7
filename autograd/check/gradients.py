"""Gradients against an independent reference: is it right, and if not, which operation is to blame.

Three checks, one verdict.  LOCAL: each node's value and each local derivative that its pullback
uses, against differences of the row's value in decimal arithmetic.  ADJOINT: each node's gradient
against the sum over its consumers, by other code, and backward twice.  END-TO-END: the gradient of
every input against one reverse sweep of the recorded graph in decimals, and that graph against the
function: it is recorded again beside the point, and run on decimals.  LOCAL and ADJOINT name the
culprit; only END-TO-END sees a branch that was cut from the graph.
"""

import contextlib
import random
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from autograd.check.adjoint import wrong_sums
from autograd.check.black_box import is_recorded, judge_black_box
from autograd.check.case import Case, Function, record
from autograd.check.diagnose import mistake
from autograd.check.end_to_end import Claim, Referee, Settings
from autograd.check.local import Edges, wrong_operations
from autograd.check.report import Report, Row, Verdict
from autograd.check.reproducer import reproducer
from autograd.nestings import Tree, rebuilt
from autograd.order import visited
from autograd.show.events import contributions
from autograd.show.names import names
from autograd.value import Value

_MANY = 20  # inputs, for which a progress bar is worth its import
_LONG = 2.0  # seconds, before it is shown
_REPLAYED = 1e-12  # what a replay's gradient may be off, of the size of the terms


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
    """A Report that says of each input whether f's gradient is right, and if not, who is to blame.

    Args:
        f: a function of Values, in any nesting, that returns one Value.  It is run about ten times,
            beside the inputs and also on decimal numbers, and draws the same numbers from Python's
            and NumPy's common generators in every run; otherwise it must be deterministic.  What it
            keeps from one run for the next moves on.  Of a compiled one, what was compiled is
            checked, and that the replay's gradients are the same.
        inputs: where to check it: numbers or Values in lists, tuples and dicts.
        gradient: one to check instead of f's own, of any function of numbers, lists, or NumPy,
            torch or JAX arrays to a number or an array: a function of the same inputs, or what it
            returns, which is one array, or a tuple of one for each input.  Not needed for torch
            tensors and JAX arrays, which record their own.  See `docs/checking.md`.
        order: 2 also checks gradients of gradients, as Hessian-vector products.
        parameters: Values that f closes over: a module, a dict by name, or a list.  They are moved
            in place while f runs, and put back.
        sample: check only so many inputs and parameters, chosen by the seed.
        detached: "intended" if f means to cut branches off by `detach()` or `no_grad`, as a target
            network does: they are then reported, and not failed.

    Raises TypeError if f does not return a Value, ValueError if it is not deterministic.

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
    if gradient is not None or not is_recorded(inputs):
        if order != 1 or parameters is not None:
            raise ValueError("check_gradients: order=2 and parameters= need a function of Values")
        report = judge_black_box(f, inputs, gradient, sample, seed)
        if gradient is not None and report.verdict is Verdict.FAIL:
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
    return _judged(case, chosen, replayed, Settings(order, seed, detached))


def _judged(
    case: Case, chosen: list[int], replayed: list[float] | None, settings: Settings
) -> Report:
    """The report on the graph of a case, and on the gradients of its replay, if it has one."""
    recorded = case.recorded
    inner, ends = visited(recorded.root)
    name = _names(case, [*ends, *inner])
    pulls = {node: contributions(node, 1.0) for node in inner}
    edges: Edges = {}
    wrong = wrong_operations(inner, pulls, name, edges)
    grads, ours, badly = wrong_sums(recorded.root, inner, ends, pulls, name)
    wrong += badly
    report = Report([], [text for _, text in wrong], [node for node, _ in wrong], edges=edges)
    if any(node.op and node.op.functions for node in inner):  # decimals cannot run them
        report.rows = _in_doubles(case, [grads.get(node, 0.0) for node in recorded.nodes], chosen)
        return report
    referee = Referee(case, pulls, chosen, settings)
    for k in _counted(chosen):
        node = recorded.nodes[k]
        own, size = ours.get(node, (0.0, 0.0))
        gradient = grads.get(node, 0.0)
        row = referee.row(Claim(k, gradient, own, size, not wrong))
        if replayed and abs(replayed[k] - gradient) > _REPLAYED * max(abs(gradient), size):
            row.verdict, row.note = Verdict.FAIL, f"the replay gives {replayed[k]!r}"
        report.rows.append(row)
    if settings.order == 2:
        report.rows += referee.second_rows()
    report.blame += referee.cuts.blame()
    report.culprits += referee.cuts.culprits()
    report.summary = "\n".join(referee.cuts.notes())
    return report


def _in_doubles(case: Case, gradient: list[float], chosen: list[int]) -> list[Row]:
    """The rows of a function with Python functions in it, judged as one that records nothing."""

    def moved(numbers: list[Any]) -> Any:
        """f at other numbers of the inputs, then of the parameters."""
        before = [p.data for p in case.parameters]
        try:
            for p, x in zip(case.parameters, numbers[case.count :], strict=True):
                p.data = x.data if isinstance(x, Value) else x
            return case.f(*rebuilt(list(case.inputs), iter(numbers[: case.count])))
        finally:
            for p, x in zip(case.parameters, before, strict=True):
                p.data = x

    rows = judge_black_box(moved, (case.at,), (gradient,)).rows
    if len(rows) != len(case.labels):
        return rows  # so many that they were moved along directions
    for row, label in zip(rows, case.labels, strict=True):
        row.name = label
    return [rows[k] for k in chosen]


def _counted(chosen: list[int]) -> Iterable[int]:
    """The inputs, with a progress bar in a terminal if they take long and tqdm is installed."""
    if len(chosen) > _MANY and sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            bar: Iterable[int] = tqdm(chosen, "checking gradients", delay=_LONG, leave=False)
            return bar
    return chosen


def _names(case: Case, everything: list[Value]) -> dict[Value, str]:
    """What the nodes are called in a line of blame: the inputs as f calls them."""
    nodes = case.recorded.nodes
    labelled = {n: n.label or label for n, label in zip(nodes, case.labels, strict=True)}
    return names(everything) | labelled


def assert_gradients(f: Function, *inputs: Tree, **options: Any) -> None:
    """Raise AssertionError with the report, and how to repeat it, unless `check_gradients` passes.

    A kink or an ill-conditioned gradient is no error of the engine, and passes.  The options are
    those of `check_gradients`, with `gradient=` for any function.

    >>> assert_gradients(lambda x: x * x.sin(), 2.0)
    """
    __tracebackhide__ = True
    report = check_gradients(f, *inputs, **options)
    if not report:
        again = textwrap.indent(reproducer(f, inputs, options), "    ")
        raise AssertionError(
            f"gradients are {report.verdict.value}\n{report}\n\nto reproduce:\n{again}"
        )
