"""Where a mistake may be: everywhere, in a scope, in a line, at a node; and names of leaves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from autograd import rules
from autograd.check.replay import Tape

FEW = 60  # nodes: in a graph so small each is a place of its own
_SAID = 3  # leaves of a tensor that are said one by one
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Place:
    """Some nodes of a tape, and what they are called; '' for all of them."""

    name: str
    members: frozenset[int]
    tape: Tape
    rank: int  # simple ones have a low one

    @property
    def own(self) -> str:
        """What the user calls it: 'layer 1'."""
        return self.name.removeprefix("in ")

    @property
    def only(self) -> str:
        """What a sentence ends with: ', in layer 1 only'."""
        return f", {self.name} only" if self.name else ""

    @cached_property
    def outputs(self) -> list[int]:
        """The nodes inside whose results go outside, or are the result of all."""
        out = {len(self.tape.nodes) - 1} & self.members
        for i in range(self.tape.first, len(self.tape.nodes)):
            if i not in self.members:
                out.update(p for p in self.tape.parents[i] if p in self.members)
        return sorted(out)

    @cached_property
    def inputs(self) -> list[int]:
        """The computed nodes outside whose results go inside, in the order in which they do."""
        into = dict.fromkeys(
            p for i in sorted(self.members) for p in self.tape.parents[i]
            if p >= self.tape.first and p not in self.members
        )  # fmt: skip
        return list(into)

    def of(self, name: str) -> list[int]:
        """The nodes inside that the operation of that name made."""
        return [i for i in self.tape.by_op.get(name, ()) if i in self.members]


def places(tape: Tape) -> list[Place]:
    """The places of a tape, each set of nodes once, the simplest first."""
    everything = range(tape.first, len(tape.nodes))
    groups: dict[tuple[int, str], set[int]] = {(0, ""): set(everything)}
    scoped = any(tape.nodes[i].scope for i in everything)
    for i, layer in zip(everything, _layers(tape), strict=True):
        node = tape.nodes[i]
        parts = node.scope.split("/") if node.scope else []
        for end in range(1, len(parts) + 1):
            groups.setdefault((1, "in " + "/".join(parts[:end])), set()).add(i)
        if not scoped:
            groups.setdefault((2, f"in layer {layer} of the graph"), set()).add(i)
        if node.line:
            groups.setdefault((3, f"at {node.line}"), set()).add(i)
    if len(everything) <= FEW:
        for i in everything:
            groups[4, f"at one node (value {tape.nodes[i].data:.6g})"] = {i}
    found: dict[frozenset[int], Place] = {}
    for (rank, name), members in sorted(groups.items(), key=lambda pair: pair[0][0]):
        key = frozenset(members)
        found.setdefault(key, Place(name, key, tape, rank))
    return list(found.values())


def _layers(tape: Tape) -> list[int]:
    """For each computed node its layer: functions of one operand that bend are between two."""
    layer, behind = [1] * len(tape.nodes), [1] * len(tape.nodes)
    for i in range(tape.first, len(tape.nodes)):
        layer[i] = max((behind[p] for p in tape.parents[i] if p >= 0), default=1)
        op = tape.op(i)
        bends = op.arity == 1 and not rules.is_number(op.partial_trees[0])
        behind[i] = layer[i] + bends
    return layer[tape.first :]


# ---------------------------------------------------------------------- names of leaves


def tensors(names: Iterable[str], stars: int) -> dict[str, list[int]]:
    """The places of the names that differ in their last `stars` numbers alone.

    >>> tensors(["W1[0][0]", "W1[0][1]", "b1[0]"], 2)
    {'W1[*][*]': [0, 1], 'b*[*]': [2]}
    """
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(_starred(name, stars), []).append(i)
    return found


def whole(names: list[str]) -> dict[str, list[int]]:
    """The leaves of each tensor: those whose names are the same up to their indices.

    >>> whole(["W1[0][0]", "W1[0][1]", "b1[0]", "layers.0.weights.1"])
    {'W1': [0, 1], 'b1': [2], 'layers.*.weights.*': [3]}
    """
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        short = name.partition("[")[0] if "[" in name else _starred(name, 2)
        found.setdefault(short, []).append(i)
    return found


def _starred(name: str, stars: int) -> str:
    numbers = list(_NUMBER.finditer(name))
    for number in reversed(numbers[max(0, len(numbers) - stars) :]):
        name = name[: number.start()] + "*" + name[number.end() :]
    return name


def called(chosen: Iterable[int], names: list[str]) -> str:
    """What some of the leaves are called: whole tensors by their names, of others how many.

    >>> names = ["W1[0]", "W1[1]", "b1[0]", "b1[1]", "b2[0]", "c"]
    >>> called([2, 3, 4], names), called([0, 1, 2, 5], names)
    ('b*', 'W1, b1[0], c')
    """
    left, said = set(chosen), []
    for stars in (3, 2, 1, 0):
        for members in tensors(names, stars).values():
            if left.issuperset(members) and (len(members) > 1 or not stars):
                same = (s for s in range(4) for p in tensors(names, s).items() if p[1] == members)
                fewest = min(same)
                said.append(_starred(names[members[0]], fewest))
                left -= set(members)
        if not stars:
            break
        if stars == 1:
            for name, members in whole(names).items():
                some = left.intersection(members)
                if len(some) > _SAID:
                    said.append(f"{len(some)} of {len(members)} in {name}")
                    left -= some
    return ", ".join(re.sub(r"(\[\*\])+$", "", one) for one in said)
