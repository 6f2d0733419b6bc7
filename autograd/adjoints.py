"""Adjoints as Values: the backward pass, recorded."""

import math
from collections.abc import Callable
from typing import Any, cast

from autograd.operands import item
from autograd.order import visited
from autograd.value import Value, data_of, derivatives, hooked


def is_number(part: Any) -> bool:
    """Whether an adjoint or a tangent is a plain number, and not one on a tape."""
    return not isinstance(part, Value)


def _adjoints(
    inner: list[Value],
    outputs: list[tuple[Value, Any]],
    wanted: list[Value],
    stops: Callable[[Any], bool] = is_number,
) -> list[Any]:
    """d(sum of seed * output)/d(wanted) as Values or numbers, themselves differentiable.

    An adjoint that `stops` is not passed on if it is 0.
    """
    # Only nodes that depend on the wanted ones need an adjoint; others may be a whole outer graph.
    along: set[Value | None] = set(wanted)
    for node in inner:
        if node.a in along or node.b in along:
            along.add(node)
    adjoint: dict[Value, Any] = {}

    def accumulate(node: Value, amount: Any) -> None:
        adjoint[node] = adjoint[node] + amount if node in adjoint else amount

    nan_output = False  # numbers on a tape are compared only where an output is nan
    for output, seed in outputs:
        if output in along:
            z = output.data
            nan_output = nan_output or z != z
            # A value that is nan has nan derivatives, to every order: it is its own derivative.
            accumulate(output, output * seed if z != z else seed)
    retained = set(wanted)
    for node in reversed(inner):
        g = adjoint.get(node) if node in retained else adjoint.pop(node, None)
        if g is None or (stops(g) and g == 0.0):
            continue
        if type(node) is Value and node.hooks:
            g = hooked(node, g)
            if node in retained:
                adjoint[node] = g
            if not isinstance(g, Value) and g == 0.0:
                continue
        op: Any = node.op
        if op.many:
            for parent, amount in op.pull(node, g, along):
                if parent in along:
                    accumulate(parent, amount)
            continue
        x, y = recorded_operands(node)
        is_nan = False
        if nan_output or type(node) is Value:
            z = node.data
            is_nan = z != z
        for k, parent in ((1, node.a), (2, node.b)):
            if parent is not None and parent in along:
                factor = node if is_nan else (op.dx if k == 1 else op.dy)(x, y, node)
                amount = _product(g, factor, op.texts[k], nan_output)
                if amount is not None:
                    accumulate(parent, amount)
    for node in dict.fromkeys(wanted):  # the hooks of computed nodes ran above
        if type(node) is Value and node.is_leaf and node.hooks and node in adjoint:
            adjoint[node] = hooked(node, adjoint[node])
    return [adjoint.get(node, 0.0) for node in wanted]


def _product(g: Any, factor: Any, text: str, nan_output: bool) -> Any:
    """An adjoint times a local derivative with that text; None where nothing is to be added."""
    if isinstance(factor, Value):  # even where it is 1 or 0 now, it may depend on something
        return g * factor
    if factor == 1 or factor == -1:
        return g if factor == 1 else -g
    if factor == 0 and (text == "0.0" or _is_finite(g, nan_output)):
        return None
    return g * factor


def _is_finite(g: Any, nan_output: bool) -> bool:
    """Whether 0 * g is 0; a number on a tape is compared, unless an output is nan."""
    if type(g) is Value:
        return math.isfinite(g.data)
    if isinstance(g, Value):
        if nan_output:
            return False
        zero = g * 0.0
        return bool(zero == zero)
    return math.isfinite(g)


def recorded_operands(node: Value) -> tuple[Any, Any]:
    """The node's operands, as Values where they are nodes, at the numbers that were recorded."""
    x, y = node.x, getattr(node, "y", None)
    a, b = node.a, node.b
    # Not `.data`, which a recording would take for a read by the user.
    if type(a) is Value and data_of(a) != x and x == x:
        raise _changed(node, "x", x, data_of(a))
    if type(b) is Value and data_of(b) != y and y == y:
        raise _changed(node, "y", y, data_of(b))
    return x if a is None else a, y if b is None else b


def _changed(node: Value, name: str, then: Any, now: float) -> RuntimeError:
    return RuntimeError(
        f"{node.op.name if node.op else ''}: operand {name} was {then!r} in the forward pass and "
        f"its .data is {now!r} now; run the forward pass again for higher derivatives and for "
        "derivatives that depend on Values from outside (inside no_grad() numbers need no new pass)"
    )


def gradients(
    outputs: list[tuple[Value, Any]], wanted: list[Value], create_graph: bool
) -> list[Any]:
    """The derivatives of the sum of seed * output in the wanted nodes; no `.grad` changes.

    With `create_graph` they are Values that can be differentiated again (a number 0 where nothing
    depends on the node), else numbers.
    """
    inner, leaves = visited(*(output for output, _ in outputs))
    return gradients_of(inner, leaves, outputs, wanted, create_graph)


def gradients_of(
    inner: list[Value],
    leaves: list[Value],
    outputs: list[tuple[Value, Any]],
    wanted: list[Value],
    create_graph: bool,
    as_numbers: bool = False,
    lost: list[str] | None = None,
) -> list[Any]:
    """The same for a graph that has been visited.

    With `as_numbers`, a pass on a tape gives what a pass with plain numbers would give.  `lost`
    gets the text on an infinite slope that an adjoint of 0 met, if any.
    """
    if create_graph:
        refuse_choices(leaves, wanted)
        slopes = _adjoints(inner, outputs, wanted)
        if has_nan(slopes):
            slopes = _adjoints(inner, outputs, wanted, stops_on_tape(as_numbers))
        return slopes
    for output, seed in outputs:
        if type(seed) is not float:
            outputs = [(output, item(seed)) for output, seed in outputs]
            break
    return derivatives(inner, leaves, outputs, wanted, lost)


def stops_on_tape(as_numbers: bool) -> Callable[[Any], bool]:
    """Which numbers on a tape would be plain numbers without it: all, or those that say so."""
    return lambda part: as_numbers or is_number(part) or is_plain(part)


def is_plain(part: Any) -> bool:
    """Whether a number on a tape depends on plain numbers only."""
    tell = getattr(part, "tell_plain", None)
    return tell is not None and bool(tell())


def has_nan(slopes: list[Any]) -> bool:
    """Whether one of the derivatives on a tape is nan, which becomes a guard.

    In a pass with numbers an adjoint of 0 stops.  On a tape it meets the slope, and 0 * inf is nan.
    Wherever that happens, the pass is recorded again, with a guard for each adjoint.
    """
    return any(
        cast(Any, s).is_nan() for s in slopes if isinstance(s, Value) and type(s) is not Value
    )


def refuse_choices(leaves: list[Value], wanted: list[Value]) -> None:
    """Raise RecordingError for a leaf on a tape that was selected among computed numbers."""
    for leaf in leaves:
        if type(leaf) is not Value:
            cast(Any, leaf).refuse_choice(wanted)
