"""Tangents: derivatives in a direction, pushed forward through a graph."""

import math
from collections.abc import Callable
from typing import Any, cast

from autograd.adjoints import (
    has_nan,
    is_number,
    is_plain,
    recorded_operands,
    refuse_choices,
    stops_on_tape,
)
from autograd.ends import at_an_end, counting, is_cut, lost_in, slopes_of
from autograd.value import Value

Tangents = dict[Value | None, Any]


def pushed(
    inner: list[Value],
    ends: list[Value],
    outputs: list[Value],
    directions: dict[Value, Any],
    create_graph: bool,
    as_numbers: bool = False,
    lost: list[str] | None = None,
) -> list[Any]:
    """The derivatives of the outputs in a direction, which is a number or a Value for each node.

    `inner`, `ends` and what follows the directions are as in `adjoints.gradients_of`.
    """
    start: Tangents = {}
    for node, t in directions.items():
        if isinstance(t, Value) and not is_plain(t):
            start[node] = t if create_graph else t.data
        elif t != 0.0:
            start[node] = t
    if not create_graph:
        return _push_numbers(inner, outputs, start, [] if lost is None else lost)
    refuse_choices(ends, list(directions))
    slopes = _push_values(inner, outputs, dict(start))
    if has_nan(slopes):
        slopes = _push_values(inner, outputs, start, stops_on_tape(as_numbers))
    return slopes


def _push_numbers(
    inner: list[Value], outputs: list[Value], tangent: Tangents, lost: list[str]
) -> list[Any]:
    """The tangents of the outputs, as numbers, from those of the input nodes."""
    ends: dict[Value | None, Value] = {}  # of a tangent that is not finite, the end it is from
    stopped: list[tuple[Value, Value]] = []  # a node that has multiplied such a tangent by 0
    for node in inner:
        if node.a not in tangent and node.b not in tangent:
            continue
        z, op = node.data, cast(Any, node.op)
        if op.many:
            total = op.push(node, tangent, False)
        elif z != z:
            total = math.nan
        else:
            total = _total(op, node, tangent, node.x, getattr(node, "y", None), z)
        if total is None:
            continue
        tangent[node] = total
        known = [ends[parent] for parent in node.parents if parent in ends] if ends else []
        if type(total) is float and total - total == 0.0:
            if known:
                met = [ends[p] for p, slope in slopes_of(node) if p in ends and not is_cut(slope)]
                stopped += [(node, end) for end in met]
        elif known or at_an_end(node):
            ends[node] = [*known, node][0]
    if stopped:
        counts = counting(inner, outputs)
        lost += [lost_in(end) for node, end in stopped if node in counts][-1:]
    # A result that is nan has nan derivatives, even if it is an argument.
    return [
        0.0 if (t := tangent.get(z)) is None else t if z.data == z.data else math.nan
        for z in outputs
    ]


def _push_values(
    inner: list[Value],
    outputs: list[Value],
    tangent: Tangents,
    stops: Callable[[Any], bool] = is_number,
) -> list[Any]:
    """The tangents of the outputs, recorded; `stops` as in a recorded backward pass."""
    for node in inner:
        if (node.a in tangent or node.b in tangent) and node not in tangent:
            op = cast(Any, node.op)
            if op.many:
                total = op.push(node, tangent, True)
            elif type(node) is Value and node.data != node.data:
                total = node  # its own derivative, which is nan and depends on it
            else:
                total = _total(op, node, tangent, *recorded_operands(node), node, stops)
            if total is not None:
                tangent[node] = total
    # Computed numbers were tested above, but not arguments that are results, nor those on a tape.
    for output in dict.fromkeys(outputs):
        z = output.data
        if output in tangent and not z == z:  # noqa: SIM201 - the guard of a backward pass
            tangent[output] = output
    return [tangent.get(output, 0.0) for output in outputs]


def _total(
    op: Any,
    node: Value,
    tangent: Tangents,
    x: Any,
    y: Any,
    z: Any,
    stops: Callable[[Any], bool] = is_number,
) -> Any:
    """The tangent of a node from those of its operands; None if it does not depend on them.

    As in a backward pass, a local derivative of 0 is not multiplied, so 0 * inf gives no nan.
    """
    total = None
    for k, t in ((1, tangent.get(node.a)), (2, tangent.get(node.b))):
        if t is not None:
            factor = (op.dx if k == 1 else op.dy)(x, y, z)
            if not stops(factor) or factor != 0:
                total = factor * t if total is None else factor * t + total
            elif total is None and op.texts[k] != "0.0":
                total = 0.0
    return total
