"""A recorded graph in lists, and its backward pass in doubles: as it should be, or with a mistake.

The pass is the sum over all paths that the chain rule says, by other code than the engine's.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autograd.faults import ARRIVALS
from autograd.operation import Operation
from autograd.order import visited
from autograd.value import Value

NOTHING = -1  # in the place of a parent that is a plain number


class Tape:
    """The nodes of a graph by number, leaves first, operands before results.

    Attributes:
        nodes: the Values.
        first: the number of the first computed node; the root is the last.
        parents: for each node the numbers of its two parents, or NOTHING.
        partials: for each node its two local derivatives, 0 where there is no parent.
    """

    def __init__(self, root: Value, leaves: Iterable[Value]) -> None:
        inner, ends = visited(root)
        ends = list(dict.fromkeys((*leaves, *ends)))
        self.nodes, self.first = [*ends, *inner], len(ends)
        number: dict[Value | None, int] = {node: i for i, node in enumerate(self.nodes)}
        number[None] = NOTHING
        self.parents = [(number[node.a], number[node.b]) for node in self.nodes]
        self.partials = [(0.0, 0.0)] * self.first + [_partials(node) for node in inner]

    def numbers(self, i: int) -> tuple[float, float | None, float]:
        """x, y and z of a computed node."""
        node = self.nodes[i]
        return node.x, getattr(node, "y", None), node.data

    def op(self, i: int) -> Operation:
        """The operation of a computed node."""
        op = self.nodes[i].op
        assert op is not None
        return op

    @cached_property
    def by_op(self) -> dict[str, list[int]]:
        """The computed nodes of each operation."""
        found: dict[str, list[int]] = {}
        for i in range(self.first, len(self.nodes)):
            found.setdefault(self.op(i).name, []).append(i)
        return found

    @cached_property
    def below(self) -> list[int]:
        """For each node the leaves that it depends on, as the bits of a whole number."""
        bits = [1 << i for i in range(self.first)]
        for a, b in self.parents[self.first :]:
            bits.append((bits[a] if a >= 0 else 0) | (bits[b] if b >= 0 else 0))
        return bits


def _partials(node: Value) -> tuple[float, float]:
    return node.dx if node.a is not None else 0.0, node.dy if node.b is not None else 0.0


@dataclass(frozen=True)
class Wrong:
    """What a backward pass does otherwise.

    Attributes:
        partials: local derivatives in the place of others, by the number of the node.
        extra: (parent, factor) for each further amount that a node hands on.
        overwritten: nodes that keep the last amount that arrives, in the place of the sum.
        alone: nodes that hand on their local derivatives without what comes from above.
        gated: nodes whose local derivative goes by the gradient, not by the operand.
        once: whether of two uses by one operation only one counts.
    """

    partials: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    extra: Mapping[int, list[tuple[int, float]]] = field(default_factory=dict)
    overwritten: Collection[int] = ()
    alone: Collection[int] = ()
    gated: Collection[int] = ()
    once: bool = False

    @property
    def has_rules(self) -> bool:
        """Whether more than local derivatives is otherwise."""
        return bool(self.extra or self.overwritten or self.alone or self.gated or self.once)


RIGHT = Wrong()


def sweep(
    tape: Tape, wrong: Wrong = RIGHT, sizes: bool = False, root: int = -1, to: int = 0
) -> list[float]:
    """The adjoint of every node, of those behind the root and not before the node `to`.

    With `sizes` it is the sum of the sizes of all paths.
    """
    partials = tape.partials
    if wrong.partials:
        partials = list(partials)
        for i, pair in wrong.partials.items():
            partials[i] = pair
    if sizes:
        partials = [(abs(dx), abs(dy)) for dx, dy in partials]
    g = [0.0] * len(tape.nodes)
    g[root] = 1.0
    if wrong.has_rules:
        _with_rules(tape, partials, wrong, g, sizes)
        return g
    parents = tape.parents
    for i in range(root % len(g), max(tape.first - 1, to), -1):
        up = g[i]
        if up:
            a, b = parents[i]
            dx, dy = partials[i]
            if a >= 0:
                g[a] += up * dx
            if b >= 0:
                g[b] += up * dy
    return g


def _with_rules(
    tape: Tape, partials: list[tuple[float, float]], wrong: Wrong, g: list[float], sizes: bool
) -> None:
    """The same, node by node, with everything that may be otherwise."""
    for i in range(len(g) - 1, tape.first - 1, -1):
        up = g[i]
        if not up:
            continue
        if i in wrong.alone:
            up = 1.0
        a, b = tape.parents[i]
        shares = [(a, partials[i][0]), (b, partials[i][1])]
        if i in wrong.gated:
            shares = [(a, float(tape.op(i).dx(up, None, up)))]
        if wrong.once and a == b:
            shares.pop()
        for parent, factor in (*shares, *wrong.extra.get(i, ())):
            if parent >= 0:
                share = up * (abs(factor) if sizes else factor)
                g[parent] = share if parent in wrong.overwritten else g[parent] + share


def by_distance(tape: Tape) -> list[float]:
    """The adjoints where nodes pull in the order of their distance from the root."""
    order = [len(tape.nodes) - 1]
    seen = set(order)
    for i in order:
        new = [p for p in dict.fromkeys(tape.parents[i]) if p >= 0 and p not in seen]
        order += new
        seen.update(new)
    g = [0.0] * len(tape.nodes)
    g[-1] = 1.0
    for i in order:
        for parent, factor in zip(tape.parents[i], tape.partials[i], strict=True):
            if parent >= 0:
                g[parent] += g[i] * factor
    return g


def at_each_arrival(tape: Tape) -> list[float] | None:
    """The adjoints where a node hands on all that it has whenever something arrives.

    None where that takes too long, as it does in a deep graph.
    """
    g = [0.0] * len(tape.nodes)
    g[-1] = 1.0
    waiting = [len(tape.nodes) - 1]
    for _ in range(ARRIVALS):
        if not waiting:
            return g
        i = waiting.pop()
        for parent, factor in zip(tape.parents[i], tape.partials[i], strict=True):
            if parent >= 0:
                g[parent] += g[i] * factor
        waiting += [p for p in reversed(dict.fromkeys(tape.parents[i])) if p >= tape.first]
    return None
