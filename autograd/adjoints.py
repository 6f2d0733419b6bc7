"""Adjoints as Values: the backward pass, recorded."""

import math
from typing import Any, cast

from autograd.operands import item
from autograd.order import visited
from autograd.value import Value, data_of, derivatives, hooked


def _adjoints(
    inner: list[Value], outputs: list[tuple[Value, Any]], wanted: list[Value]
) -> list[Any]:
    """d(sum of seed * output)/d(wanted) as Values or numbers, themselves differentiable."""
    # Only what depends on the wanted nodes needs an adjoint; the rest may be all of an outer graph.
    along: set[Value | None] = set(wanted)
    for node in inner:
        if node.a in along or node.b in along:
            along.add(node)
    adjoint: dict[Value, Any] = {}

    def give(node: Value, amount: Any) -> None:
        adjoint[node] = adjoint[node] + amount if node in adjoint else amount

    asks = False  # whether numbers on a tape are asked, as they are where an output is nan
    for output, seed in outputs:
        if output in along:
            z = output.data
            asks = asks or z != z
            # A value that is nan has nan derivatives, to every order: it is its own derivative.
            give(output, output * seed if z != z else seed)
    kept = set(wanted)
    for node in reversed(inner):
        g = adjoint.get(node) if node in kept else adjoint.pop(node, None)
        if g is None or (not isinstance(g, Value) and g == 0.0):
            continue
        if type(node) is Value and node.hooks:
            g = hooked(node, g)
            if node in kept:
                adjoint[node] = g
        op: Any = node.op
        if op.many:
            for parent, amount in op.pull(node, g, along):
                if parent in along:
                    give(parent, amount)
            continue
        x, y = recorded_operands(node)
        lost = False
        if asks or type(node) is Value:
            z = node.data
            lost = z != z
        for k, parent in ((1, node.a), (2, node.b)):
            if parent is not None and parent in along:
                factor = node if lost else (op.dx if k == 1 else op.dy)(x, y, node)
                amount = _product(g, factor, op.texts[k], asks)
                if amount is not None:
                    give(parent, amount)
    for node in dict.fromkeys(wanted):  # the hooks of computed nodes have been run
        if type(node) is Value and node.is_leaf and node.hooks and node in adjoint:
            adjoint[node] = hooked(node, adjoint[node])
    return [adjoint.get(node, 0.0) for node in wanted]


def _product(g: Any, factor: Any, text: str, asks: bool) -> Any:
    """What an adjoint hands on by a local derivative with that text; None if it is nothing."""
    if isinstance(factor, Value):  # it may be 1 or 0 now, and depend on something
        return g * factor
    if factor == 1 or factor == -1:
        return g if factor == 1 else -g
    if factor == 0 and (text == "0.0" or _is_finite(g, asks)):
        return None
    return g * factor


def _is_finite(g: Any, asks: bool) -> bool:
    """Whether 0 * g is 0; of a number on a tape this is asked, unless the output is nan."""
    if type(g) is Value:
        return math.isfinite(g.data)
    if isinstance(g, Value):
        if asks:
            return False
        zero = g * 0.0
        return bool(zero == zero)
    return math.isfinite(g)


def recorded_operands(node: Value) -> tuple[Any, Any]:
    """The node's operands, as Values where they are nodes, at the numbers that were recorded."""
    x, y = node.x, getattr(node, "y", None)
    a, b = node.a, node.b
    # Not `.data`, which a recording would take for a question.
    if type(a) is Value and data_of(a) != x and x == x:
        raise _changed(node, "x", x, data_of(a))
    if type(b) is Value and data_of(b) != y and y == y:
        raise _changed(node, "y", y, data_of(b))
    return x if a is None else a, y if b is None else b


def _changed(node: Value, name: str, then: Any, now: float) -> RuntimeError:
    return RuntimeError(
        f"{node.op.name if node.op else ''}: operand {name} was {then!r} in the forward pass and "
        f"its .data is {now!r} now; higher derivatives, and derivatives that depend on Values from "
        "outside, need the forward pass again (inside no_grad() the numbers can be had)"
    )


def gradients(
    outputs: list[tuple[Value, Any]], wanted: list[Value], create_graph: bool
) -> list[Any]:
    """The derivatives of the sum of seed * output in the wanted nodes; no `.grad` changes.

    With `create_graph` they are Values that can be differentiated again (a number 0 where nothing
    depends on the node), else numbers.
    """
    inner, ends = visited(*(output for output, _ in outputs))
    return gradients_of(inner, ends, outputs, wanted, create_graph)


def gradients_of(
    inner: list[Value],
    ends: list[Value],
    outputs: list[tuple[Value, Any]],
    wanted: list[Value],
    create_graph: bool,
) -> list[Any]:
    """The same for a graph that has been visited."""
    if create_graph:
        refuse_choices(ends, wanted)
        return _adjoints(inner, outputs, wanted)
    for output, seed in outputs:
        if type(seed) is not float:
            outputs = [(output, item(seed)) for output, seed in outputs]
            break
    return derivatives(inner, ends, outputs, wanted)


def refuse_choices(ends: list[Value], wanted: list[Value]) -> None:
    """RecordingError for what looks like a leaf on a tape and was chosen among computed numbers."""
    for end in ends:
        if type(end) is not Value:
            cast(Any, end).refuse_choice(wanted)
