"""The mistakes that a backward pass may contain, in all places, each as a wrong backward pass."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autograd.check import shapes
from autograd.check.places import Place
from autograd.check.replay import NOTHING, RIGHT, Tape, Wrong, at_each_arrival, by_distance
from autograd.faults import Fault, faults

# Ranks: a mistake in a simple place comes before a simple mistake in a small place.
_PER_PLACE = 10
_ROW, _SUM, _SHAPE, _SCOPE, _PASS = 0, 1, 2, 15, 35

Pass = Callable[[Tape], list[float] | None]


@dataclass(frozen=True)
class Mistake:
    """A mistake in a place: in words, and as a backward pass.

    Attributes:
        text: what is wrong.
        where: the place, as the end of a sentence.
        rank: lower for simpler mistakes.
        wrong: how the pass differs from the right one.
        adjoints: the pass itself, if `wrong` cannot describe it.
        partly: whether it may affect the gradients of some leaves only.
    """

    text: str
    where: str
    rank: int
    wrong: Wrong = RIGHT
    adjoints: Pass | None = None
    partly: bool = True

    def reached(self, tape: Tape) -> int:
        """The leaves whose gradients the mistake may change, as bits."""
        wrong = self.wrong
        if wrong.overwritten or wrong.once or self.adjoints:
            return -1
        bits = 0
        for i in (*wrong.partials, *wrong.extra, *wrong.alone, *wrong.gated):
            bits |= tape.below[i]
        return bits


def _around(wrong: Wrong, places: list[Place]) -> str:
    """The smallest scope that contains all wrong local derivatives; '' if there is none."""
    scopes = (p for p in places if p.rank == 1 and p.members.issuperset(wrong.partials))
    smallest = min(scopes, key=lambda place: len(place.members), default=None)
    return f", {smallest.name}" if smallest else ""


class Mistakes:
    """All known mistakes, for one graph."""

    def __init__(self, tape: Tape, names: list[str], claimed: list[float], wrong: int) -> None:
        self.tape, self.names, self.claimed, self.wrong = tape, names, claimed, wrong
        self._faults: dict[str, list[Fault]] = {}
        for fault in faults():
            self._faults.setdefault(fault.op, []).append(fault)
        self._tried: set[tuple[str, tuple[int, ...]]] = set()
        self._numbers: dict[Fault, dict[int, tuple[float, float]]] = {}

    def everywhere(self, places: list[Place]) -> Iterator[Mistake]:
        """Every mistake in every place, the simple places first."""
        yield from self._sums()
        graph = shapes.Graph(self.tape, self.names, self.claimed, places, self.wrong)
        for place in places:
            rank = place.rank * _PER_PLACE
            for text, wrong in self._rows(place):
                yield Mistake(text, place.only or _around(wrong, places), rank + _ROW, wrong)
            for k, kind in enumerate(shapes.KINDS, _SHAPE):
                for text, wrong in kind(graph, place):
                    yield Mistake(text, place.only, rank + k, wrong)
            of_scopes = shapes.OF_SCOPES if place.rank == 1 and graph.explains(place) else ()
            for k, kind in enumerate(of_scopes):
                for text, wrong in kind(graph, place):
                    yield Mistake(text, "", _SCOPE + k if k else _ROW, wrong, partly=False)

    def _sums(self) -> Iterator[Mistake]:
        """Mistakes in adding up gradients that affect the whole pass."""
        tape, inner = self.tape, range(self.tape.first, len(self.tape.nodes))
        rules = {
            "overwrite": Wrong(overwritten=range(len(tape.nodes))),
            "drop": Wrong({i: (tape.partials[i][0], 0.0) for i in inner}),
            "upstream": Wrong(alone=inner),
            "once": Wrong(once=True),
        }
        passes: dict[str, Pass] = {"arrival": at_each_arrival, "order": by_distance}
        for fault in self._faults[""]:
            if fault.kind in rules:
                yield Mistake(fault.sentence, "", _SUM, rules[fault.kind])
            elif fault.kind in passes:  # the others depend on earlier passes, unknown here
                yield Mistake(fault.sentence, "", _PASS, adjoints=passes[fault.kind])

    def _rows(self, place: Place) -> Iterator[tuple[str, Wrong]]:
        """Wrong local derivatives from `faults`, with their sentences."""
        for name in self.tape.by_op:
            members = place.of(name)
            if (name, tuple(members)) in self._tried:  # the same nodes as in a simpler place
                continue
            self._tried.add((name, tuple(members)))
            for fault in self._faults.get(name, ()) if members else ():
                if fault.operand == "z":
                    continue
                numbers = self._misread(fault)
                changed = {i: numbers[i] for i in members if i in numbers}
                if changed:
                    yield fault.sentence, Wrong(changed)

    def _misread(self, fault: Fault) -> dict[int, tuple[float, float]]:
        """The wrong partials, by node, of all nodes at which the fault changes them."""
        if fault not in self._numbers:
            k, tape = "xy".index(fault.operand), self.tape
            changed, partial = {}, fault.partial
            for i in tape.by_op[fault.op]:
                if tape.parents[i][k] == NOTHING:
                    continue
                pair = list(tape.partials[i])
                pair[k] = partial(*tape.numbers(i))
                if tuple(pair) != tape.partials[i] and math.isfinite(pair[k]):
                    changed[i] = (pair[0], pair[1])
            self._numbers[fault] = changed
        return self._numbers[fault]
