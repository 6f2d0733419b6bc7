"""Infinite slopes at the ends of operations, as that of sqrt at 0, and whether a 0 hides them."""

from collections.abc import Iterable
from typing import Any

from autograd.blame import bad_result
from autograd.modes import Mode, entered
from autograd.operands import Operand

Node = Any  # a Value


def lost_slope(inner: list[Node], roots: list[Node], wanted: Iterable[Node]) -> list[str]:
    """The text on the last operation whose infinite slope met an adjoint of 0; [] if there is none.

    The product counts as 0, but only a rule that gives 0 by itself, as relu's of a negative number,
    says that the branch does not count: behind any other 0 the true slope may be lost.
    """
    stopped = [n for n in inner if n.row.has_ends and not n.grad and at_an_end(n)]
    if stopped:
        along, counts = set[Node](wanted), counting(inner, roots)
        for node in inner:
            if node.a in along or node.b in along:
                along.add(node)
        stopped = [node for node in stopped if node in along and node in counts]
    return [lost_in(node) for node in stopped[-1:]]


def lost_in(node: Node) -> str:
    """The text on a node whose infinite slope met an adjoint or a slope of 0."""
    y = getattr(node, "y", None)
    where = bad_result(node.op, node.x, y, node.data, node.a, node.b, node.line)
    return f"an infinite slope meets a slope of 0, and may be lost: {where}"


def counting(inner: list[Node], roots: list[Node]) -> set[Node]:
    """The nodes that count for the roots: no hook, and no rule that gives 0 by itself, cuts them
    off."""
    counts = set(roots)
    for node in reversed(inner):
        if node.row.hooks:
            counts.discard(node)
        elif node in counts:
            counts.update(parent for parent, slope in slopes_of(node) if not is_cut(slope))
    return counts


def at_an_end(node: Node) -> bool:
    """Whether a slope of the node is inf or nan because its operation has an end there.

    An overflow is no end: the slope of exp(800) is a number, if no double.
    """
    op = node.op
    if not op.has_ends or op.is_smooth(node.x, getattr(node, "y", None)):
        return False
    partials = [node.dx] if node.b is None else [node.dx, node.dy]
    return any(partial - partial != 0.0 for partial in partials)


def slopes_of(node: Node) -> list[tuple[Node, Any]]:
    """The node's parents, each with the local derivative: a Value if it depends on nodes."""
    op = node.op
    parents = [(k, parent) for k, parent in ((1, node.a), (2, node.b)) if parent is not None]
    if op.many:
        return [(parent, 1.0) for _, parent in parents]
    with entered(None):
        x = node.x if node.a is None else Mode.node(node.x)
        y = getattr(node, "y", None) if node.b is None else Mode.node(node.y)
        z = Mode.node(node.data)
        return [(parent, (op.dx if k == 1 else op.dy)(x, y, z)) for k, parent in parents]


def is_cut(slope: Any) -> bool:
    """Whether a rule gave the slope 0 by itself, whatever the numbers of its branch are."""
    return not isinstance(slope, Operand) and bool(slope == 0.0)
