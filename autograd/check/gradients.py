"""Gradients against an independent referee: is it right, and if not, which operation is to blame.

Three checks, one verdict.  LOCAL: each node's value and each local derivative that its pullback
uses, against differences of the row's value in decimal arithmetic.  ADJOINT: each node's gradient
against the sum over its consumers, by other code, and backward twice.  END-TO-END: the function
itself, run again on decimals; where it refuses them, on doubles with extrapolated differences.
LOCAL and ADJOINT name the culprit; only END-TO-END sees a branch that was cut from the graph.
"""

import random
from typing import Any

from autograd.check.adjoint import wrong_sums
from autograd.check.case import Function, record
from autograd.check.end_to_end import Claim, Referee, second
from autograd.check.local import wrong_operations
from autograd.check.report import Report, Verdict
from autograd.nestings import Tree
from autograd.order import visited
from autograd.show.events import contributions
from autograd.show.names import names


def check_gradients(
    f: Function,
    *inputs: Tree,
    order: int = 1,
    parameters: Any = None,
    sample: int | None = None,
    seed: int = 0,
) -> Report:
    """A Report that says of each input whether f's gradient is right, and if not, who is to blame.

    Args:
        f: a function of Values, in any nesting, that returns one Value.  It is run several times,
            also on decimal numbers, so it must be deterministic.  Of a compiled one, what was
            compiled is checked, and that the replay's gradients are the same.
        inputs: where to check it: numbers or Values in lists, tuples and dicts.
        order: 2 also checks gradients of gradients, as Hessian-vector products.
        parameters: Values that f closes over: a module, a dict by name, or a list.
        sample: check only so many inputs and parameters, chosen by the seed.

    Raises TypeError if f does not return a Value, ValueError if it is not deterministic.

    >>> report = check_gradients(lambda w, x: (w * x).tanh(), 2.0, -1.0)
    >>> report.verdict
    <Verdict.PASS: 'pass'>
    >>> check_gradients(lambda x: x.relu(), 0.0).rows[0].note
    'slopes 0 from the left, 1 from the right (relu at ... switches)'
    """
    if order not in (1, 2):
        raise ValueError(f"check_gradients: order must be 1 or 2, got {order!r}")
    replay: Any = f if hasattr(f, "claims") else None
    f = f if replay is None else replay.function
    case = record(f, inputs, parameters)
    twice = record(f, inputs, None)
    if twice.root.data.hex() != case.root.data.hex():
        raise ValueError(
            f"check_gradients: f gave {case.root.data!r} and then {twice.root.data!r} for the same "
            "inputs; fix its random numbers by a seed"
        )
    inner, ends = visited(case.root)
    everything = [*ends, *inner]
    labelled = {n: n.label or label for n, label in zip(case.nodes, case.labels, strict=True)}
    for node in case.nodes[: len(case.nodes) - len(case.parameters)]:  # the rest are the caller's
        node.label = labelled[node]
    name = names(everything) | labelled
    pulls = {node: contributions(node, 1.0) for node in inner}
    wrong = wrong_operations(inner, pulls, name)
    grads, ours, badly = wrong_sums(case.root, inner, ends, pulls, name)
    wrong += badly
    chosen = list(range(len(case.nodes)))
    if sample is not None and sample < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, sample))  # noqa: S311 - no secret
    report = Report([], [text for _, text in wrong], [node for node, _ in wrong])
    referee = Referee(case, inner, grads)
    for k in chosen:
        own, size = ours.get(case.nodes[k], (0.0, 0.0))
        gradient = grads.get(case.nodes[k], 0.0)
        report.rows.append(referee.row(Claim(k, gradient, own, size, not wrong)))
    if replay is not None:
        claims = replay.claims(inputs, case.parameters)
        for k, row in zip(chosen, report.rows, strict=True):
            size = ours.get(case.nodes[k], (0.0, 0.0))[1]
            if abs(claims[k] - row.analytic) > 1e-12 * max(abs(row.analytic), size):
                row.verdict, row.note = Verdict.FAIL, f"the replay gives {claims[k]!r}"
    if order == 2 and len(case.nodes) > len(case.parameters):
        report.rows += second(case, referee.digits, seed)
    return report


def assert_gradients(f: Function, *inputs: Tree, **options: Any) -> None:
    """Raise AssertionError with the report's text unless every gradient passes `check_gradients`.

    A kink or an ill-conditioned gradient is no error of the engine, and passes.

    >>> assert_gradients(lambda x: x * x.sin(), 2.0)
    """
    __tracebackhide__ = True
    report = check_gradients(f, *inputs, **options)
    if not report:
        raise AssertionError(f"gradients are {report.verdict.value}\n{report}")
