"""A recorded graph as lists, and its backward pass in doubles, right or with a mistake.

The pass is the chain rule's sum over all paths.  It shares no code with the engine's pass.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autograd.faults import ARRIVALS
from autograd.operation import Operation
from autograd.order import visited
from autograd.value import Value

NOTHING = -1  # the parent's number where the operand is a plain number


class Tape:
    """The nodes of a graph by number, leaves first, operands before results.

    Attributes:
        nodes: the Values.
        first: the number of the first computed node; the root is the last.
        parents: for each node, the numbers of its two parents, or NOTHING.
        partials: for each node, its two local derivatives, 0 where there is no parent.
        given: the numbers of computed nodes that are right, in which no mistake is searched for.
    """

    def __init__(self, root: Value, leaves: Iterable[Value]) -> None:
        inner, ends = visited(root)
        ends = list(dict.fromkeys((*leaves, *ends)))
        self.nodes, self.first = [*ends, *inner], len(ends)
        number: dict[Value | None, int] = {node: i for i, node in enumerate(self.nodes)}
        number[None] = NOTHING
        self.parents = [(number[node.a], number[node.b]) for node in self.nodes]
        self.given: frozenset[int] = frozenset()
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

    @property
    def searched(self) -> list[int]:
        """The computed nodes in which mistakes are searched for."""
        return [i for i in range(self.first, len(self.nodes)) if i not in self.given]

    @cached_property
    def by_op(self) -> dict[str, list[int]]:
        """The computed nodes of each operation, without those that are given."""
        groups: dict[str, list[int]] = {}
        for i in self.searched:
            groups.setdefault(self.op(i).name, []).append(i)
        return groups

    @cached_property
    def below(self) -> list[int]:
        """For each node, the leaves that it depends on, as bits of an integer."""
        bits = [1 << i for i in range(self.first)]
        for a, b in self.parents[self.first :]:
            bits.append((bits[a] if a >= 0 else 0) | (bits[b] if b >= 0 else 0))
        return bits


def _partials(node: Value) -> tuple[float, float]:
    return node.dx if node.a is not None else 0.0, node.dy if node.b is not None else 0.0


@dataclass(frozen=True)
class Wrong:
    """How a backward pass differs from the right one.

    Attributes:
        partials: wrong local derivatives, by node number.
        extra: (parent, factor) for each additional contribution of a node.
        overwritten: nodes that keep only the last contribution instead of the sum.
        alone: nodes that pass on their local derivatives without the upstream gradient.
        gated: nodes whose local derivative depends on the gradient, not on the operand.
        once: whether only one of two uses by the same operation counts.
    """

    partials: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    extra: Mapping[int, list[tuple[int, float]]] = field(default_factory=dict)
    overwritten: Collection[int] = ()
    alone: Collection[int] = ()
    gated: Collection[int] = ()
    once: bool = False

    @property
    def has_rules(self) -> bool:
        """Whether anything other than local derivatives is wrong."""
        return bool(self.extra or self.overwritten or self.alone or self.gated or self.once)


RIGHT = Wrong()


def sweep(
    tape: Tape, wrong: Wrong = RIGHT, sizes: bool = False, root: int = -1, to: int = 0
) -> list[float]:
    """The adjoint of every node from `root` down to `to`; lower nodes are incomplete.

    With `sizes`, the sums of the sizes of all paths instead.
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
    """Add the adjoints to `g`, with every kind of mistake that `wrong` can describe."""
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
    """The adjoints if nodes are visited in order of their distance from the root."""
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
    """The adjoints if a node passes on its whole gradient whenever a contribution arrives.

    None if that takes too long, as in a deep graph.
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
