"""Places where a mistake may be (everywhere, a scope, a line, a node), and the names of leaves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from autograd import rules
from autograd.check.replay import Tape

FEW = 60  # in a graph with at most this many nodes, each node is a place of its own
_LISTED = 3  # leaves of one tensor that are listed by name; more are counted
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Place:
    """A set of nodes of a tape, with a name: 'in layer 1', or '' for all nodes."""

    name: str
    members: frozenset[int]
    tape: Tape
    rank: int  # lower for simpler places

    @property
    def own(self) -> str:
        """The user's name for it: 'layer 1'."""
        return self.name.removeprefix("in ")

    @property
    def only(self) -> str:
        """The end of a sentence: ', in layer 1 only'; '' for all nodes."""
        return f", {self.name} only" if self.name else ""

    @cached_property
    def outputs(self) -> list[int]:
        """The nodes inside whose results are used outside, or are the result of the graph."""
        out = {len(self.tape.nodes) - 1} & self.members
        for i in range(self.tape.first, len(self.tape.nodes)):
            if i not in self.members:
                out.update(p for p in self.tape.parents[i] if p in self.members)
        return sorted(out)

    @cached_property
    def inputs(self) -> list[int]:
        """The computed nodes outside whose results are used inside, in the order of use."""
        into = dict.fromkeys(
            p for i in sorted(self.members) for p in self.tape.parents[i]
            if p >= self.tape.first and p not in self.members
        )  # fmt: skip
        return list(into)

    def of(self, name: str) -> list[int]:
        """The nodes inside that come from the named operation."""
        return [i for i in self.tape.by_op.get(name, ()) if i in self.members]


def places(tape: Tape) -> list[Place]:
    """The places of a tape, each set of nodes once, the simplest first."""
    everything, layers = tape.searched, _layers(tape)
    groups: dict[tuple[int, str], set[int]] = {(0, ""): set(everything)}
    scoped = any(tape.nodes[i].scope for i in everything)
    for i in everything:
        node = tape.nodes[i]
        parts = node.scope.split("/") if node.scope else []
        for end in range(1, len(parts) + 1):
            groups.setdefault((1, "in " + "/".join(parts[:end])), set()).add(i)
        if not scoped:
            groups.setdefault((2, f"in layer {layers[i]} of the graph"), set()).add(i)
        if node.line:
            groups.setdefault((3, f"at {node.line}"), set()).add(i)
    if len(everything) <= FEW:
        for i in everything:
            groups[4, f"at one node (value {tape.nodes[i].data:.6g})"] = {i}
    simplest: dict[frozenset[int], Place] = {}
    for (rank, name), members in sorted(groups.items(), key=lambda pair: pair[0][0]):
        key = frozenset(members)
        simplest.setdefault(key, Place(name, key, tape, rank))
    return list(simplest.values())


def _layers(tape: Tape) -> list[int]:
    """The layer of each node; a nonlinear function of one operand ends a layer."""
    layer, behind = [1] * len(tape.nodes), [1] * len(tape.nodes)
    for i in range(tape.first, len(tape.nodes)):
        layer[i] = max((behind[p] for p in tape.parents[i] if p >= 0), default=1)
        op = tape.op(i)
        nonlinear = op.arity == 1 and not rules.is_number(op.partial_trees[0])
        behind[i] = layer[i] + nonlinear
    return layer


# ---------------------------------------------------------------------- names of leaves


def tensors(names: Iterable[str], stars: int) -> dict[str, list[int]]:
    """The indices of names that differ only in their last `stars` numbers, by common name.

    >>> tensors(["W1[0][0]", "W1[0][1]", "b1[0]"], 2)
    {'W1[*][*]': [0, 1], 'b*[*]': [2]}
    """
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(_starred(name, stars), []).append(i)
    return groups


def whole(names: list[str]) -> dict[str, list[int]]:
    """The leaves of each tensor, whose names are the same except for their indices.

    >>> whole(["W1[0][0]", "W1[0][1]", "b1[0]", "layers.0.weights.1"])
    {'W1': [0, 1], 'b1': [2], 'layers.*.weights.*': [3]}
    """
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        short = name.partition("[")[0] if "[" in name else _starred(name, 2)
        groups.setdefault(short, []).append(i)
    return groups


def _starred(name: str, stars: int) -> str:
    numbers = list(_NUMBER.finditer(name))
    for number in reversed(numbers[max(0, len(numbers) - stars) :]):
        name = name[: number.start()] + "*" + name[number.end() :]
    return name


def called(chosen: Iterable[int], names: list[str]) -> str:
    """The names of the chosen leaves, whole tensors by one name, and counts for large parts.

    >>> names = ["W1[0]", "W1[1]", "b1[0]", "b1[1]", "b2[0]", "c"]
    >>> called([2, 3, 4], names), called([0, 1, 2, 5], names)
    ('b*', 'W1, b1[0], c')
    """
    left, texts = set(chosen), []
    for stars in (3, 2, 1, 0):
        for members in tensors(names, stars).values():
            if left.issuperset(members) and (len(members) > 1 or not stars):
                same = (s for s in range(4) for p in tensors(names, s).items() if p[1] == members)
                fewest = min(same)
                texts.append(_starred(names[members[0]], fewest))
                left -= set(members)
        if not stars:
            break
        if stars == 1:
            for name, members in whole(names).items():
                some = left.intersection(members)
                if len(some) > _LISTED:
                    texts.append(f"{len(some)} of {len(members)} in {name}")
                    left -= some
    return ", ".join(re.sub(r"(\[\*\])+$", "", text) for text in texts)
