"""The order of a graph's nodes: operands before results, without recursion."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from autograd import native


class _Linked(Protocol):
    """A node with parents; the order depends on nothing else."""

    @property
    def a(self) -> Any:
        """The parent of the first operand, if any."""

    @property
    def b(self) -> Any:
        """The parent of the second operand, if any."""


Node = TypeVar("Node", bound=_Linked)


def topological(*roots: Node) -> list[Node]:
    """The nodes that the roots were computed from, operands before results, roots included.

    The order depends on the graph alone, so the same script gives the same order, and the same
    bits, in every process.  There is no recursion, so a deep graph is no problem.

    >>> from autograd import Value
    >>> a, b = Value(1.0, "a"), Value(2.0, "b")
    >>> [node.label or node.op for node in topological(a * b + a)]
    ['a', 'b', Op(mul(x, y) = x * y), Op(add(x, y) = x + y)]
    """
    order: list[Node] = []
    _visit(roots, order, order)
    return order


def visited(*roots: Node, without: Iterable[Node] = ()) -> tuple[list[Node], list[Node]]:
    """The computed nodes, operands before results, and the leaves of the roots' graph.

    The nodes in `without` are left out, with everything that can be reached through them only.
    """
    inner: list[Node] = []
    leaves: list[Node] = []
    _visit(roots, inner, leaves, without)
    return inner, leaves


def _visit(
    roots: tuple[Node, ...],
    inner: list[Node],
    leaves: list[Node],
    without: Iterable[Node] = (),
) -> None:
    if native.visit(roots, inner, leaves, without):
        return
    emit, emit_leaf = inner.append, leaves.append
    seen: set[Any] = {None, *without}
    see = seen.add
    path: list[Node] = []  # from the root to the node whose operands are being visited
    push, pop = path.append, path.pop
    for root in roots:
        if root in seen:
            continue
        see(root)
        if root.a is None and root.b is None:
            emit_leaf(root)
            continue
        node: Any = root
        while True:
            # A seen node is finished: if it were on the path, the graph would have a cycle.
            if (a := node.a) not in seen:
                see(a)
                if a.a is not None or a.b is not None:
                    push(node)
                    node = a
                    continue
                emit_leaf(a)
            if (b := node.b) not in seen:
                see(b)
                if b.a is not None or b.b is not None:
                    push(node)
                    node = b
                    continue
                emit_leaf(b)
            emit(node)
            if not path:
                break
            node = pop()


def unfold(*roots: Any) -> None:
    """Replace the compiled calls in the roots' graph with the scalar graphs of their functions.

    Their result nodes stay the same objects, with the same numbers.
    """
    calls: dict[Any, list[Any]] = {}
    for node in visited(*roots)[0]:
        op: Any = node.op
        call = op.call_of(node) if op.many else None
        if call is not None:
            calls.setdefault(call, []).append(node)
    for call, nodes in calls.items():
        call.unfold(nodes)
