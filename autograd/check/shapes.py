"""Mistakes of more than one local derivative: transposed weights, Jacobians, strays, lost factors."""

import ast
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from autograd import rules
from autograd.check.places import Place, tensors
from autograd.check.replay import Tape, Wrong, sweep
from autograd.operation import Operation
from autograd.value import rows

Found = Iterator[tuple[str, Wrong]]
_SMALL = 1e-9  # a factor below is 0, of which rounding has left something
_STEPS = 8  # of Newton's method for the length of a step; a polynomial takes few


@dataclass
class Graph:
    """A tape, the names of its leaves, what is claimed of them, and all places."""

    tape: Tape
    names: list[str]
    claimed: list[float]
    places: list[Place]

    @cached_property
    def right(self) -> list[float]:
        """The adjoints as they should be."""
        return sweep(self.tape)

    @cached_property
    def worst(self) -> int:
        """The leaf whose claimed gradient is farthest from the right one."""
        gaps = [abs(c - r) for c, r in zip(self.claimed, self.right, strict=False)]
        return gaps.index(max(gaps))

    @cached_property
    def scopes(self) -> list[Place]:
        """The places that have a name of the user's."""
        return [place for place in self.places if place.rank == 1]

    @cached_property
    def products(self) -> list[tuple[int, int, int]]:
        """(node, k, leaf): nodes that hand on to operand k the number of a leaf, their other one."""
        found = []
        for i in range(self.tape.first, len(self.tape.nodes)):
            op, parents = self.tape.op(i), self.tape.parents[i]
            for k in (0, 1)[: op.arity]:
                leaf = parents[1 - k]
                if op.arity == 2 and op.texts[k + 1] == "yx"[k] and 0 <= leaf < self.tape.first:
                    found.append((i, k, leaf))
        return found

    @cached_property
    def mirrored(self) -> dict[int, tuple[int, str]]:
        """For each leaf of a square matrix the one on the other side of the diagonal, and its name."""
        found = {}
        for name, members in tensors(self.names, 2).items():
            n = math.isqrt(len(members))
            if n > 1 and n * n == len(members):
                for place, i in enumerate(members):
                    row, column = divmod(place, n)
                    found[i] = (members[column * n + row], name.split("[")[0])
        return found


def replaced(tape: Tape, changes: list[tuple[int, int, float]]) -> dict[int, tuple[float, float]]:
    """The partials with other numbers: (node, operand, number)."""
    found: dict[int, tuple[float, float]] = {}
    for i, k, number in changes:
        pair = list(found.get(i, tape.partials[i]))
        pair[k] = number
        found[i] = (pair[0], pair[1])
    return found


def transposed(graph: Graph, place: Place) -> Found:
    """Weights that are transposed on the way down."""
    by_matrix: dict[str, list[tuple[int, int, float]]] = {}
    for i, k, leaf in graph.products:
        down = graph.tape.parents[i][k] >= graph.tape.first
        if i in place.members and leaf in graph.mirrored and down:
            other, name = graph.mirrored[leaf]
            number = graph.tape.nodes[other].data
            by_matrix.setdefault(name, []).append((i, k, number))
    everything = [change for changes in by_matrix.values() for change in changes]
    if len(by_matrix) > 1:
        by_matrix["every square matrix"] = everything
    for name, changes in by_matrix.items():
        text = f"{name} is transposed where the gradient goes down through it"
        yield text, Wrong(replaced(graph.tape, changes))


def before(graph: Graph, place: Place) -> Found:
    """The operand of a function where its result belongs, in the gradients of what multiplies it."""
    tape = graph.tape
    changes: dict[str, list[tuple[int, int, float]]] = {}
    for i in sorted(place.members):
        op = tape.op(i)
        for k in (0, 1) if op.arity == 2 else ():
            other = tape.parents[i][1 - k]
            if op.texts[k + 1] == "yx"[k] and other >= tape.first and tape.op(other).arity == 1:
                changes.setdefault(tape.op(other).name, []).append((i, k, tape.nodes[other].x))
    for name, found in changes.items():
        text = f"a product's gradient takes the number before {name} where the one after it belongs"
        yield text, Wrong(replaced(tape, found))


def borrowed(graph: Graph, place: Place) -> Found:
    """The local derivatives of another scope."""
    tape = graph.tape
    for name in tape.by_op if place.rank == 1 else ():
        own = place.of(name)
        if not own or rules.is_number(tape.op(own[0]).partial_trees[0]):
            continue
        for other in graph.scopes:
            theirs = other.of(name)
            if len(own) == len(theirs) and own != theirs:
                pairs = zip(own, theirs, strict=True)
                wrong = Wrong({i: tape.partials[j] for i, j in pairs})
                yield f"{name}: dz/dx is that of {other.own}", wrong


def gated(graph: Graph, place: Place) -> Found:
    """A derivative that goes by the side of the gradient, where it must go by the operand's."""
    for name in graph.tape.by_op:
        members = place.of(name)
        op = graph.tape.op(members[0]) if members else None
        if op and op.arity == 1 and isinstance(_tree(op.textbook[1]), ast.IfExp):
            text = f"{name}: dz/dx goes by the sign of the gradient where it should go by that of x"
            yield text, Wrong(gated=members)


def handed(graph: Graph, place: Place) -> Found:
    """What comes from above is left out; one use takes the place of the others."""
    for name in graph.tape.by_op:
        if (members := place.of(name)) and graph.tape.op(members[0]).arity == 1:
            yield f"{name}: what comes from above is left out", Wrong(alone=members)
    if place.name:
        yield "what comes from above is left out", Wrong(alone=place.outputs)
        text = "the last use of a number takes the place of the others, to which it must be added"
        yield text, Wrong(overwritten=place.members)


def weighed(graph: Graph, place: Place) -> Found:
    """A factor of all that comes back from a scope: a lost term, another weight of it."""
    if place.rank != 1:
        return
    lost = Wrong(scaled=dict.fromkeys(place.outputs, 0.0))
    without = sweep(graph.tape, lost)
    i = graph.worst
    own = graph.right[i] - without[i]
    factor = (graph.claimed[i] - without[i]) / own if own else math.nan
    if abs(factor) < _SMALL:
        yield f"nothing comes back from {place.own}", lost
    elif math.isfinite(factor):
        text = f"what comes back from {place.own} is {factor:.6g} times what it should be"
        yield text, Wrong(scaled=dict.fromkeys(place.outputs, factor))


def cross(graph: Graph, place: Place) -> Found:
    """Numbers divided by what they add up to, as in softmax: the derivatives of one by another."""
    tape = graph.tape
    lost: dict[str, tuple[dict[int, tuple[float, float]], dict[int, list[tuple[int, float]]]]] = {}
    for i, top, slope in _shares(graph):
        if i in place.members:
            dx, dy = tape.partials[i]
            for kind, (kept, own) in {"lost": (0.0, 1.0), "sign": (-1.0, 2.0)}.items():
                partials, extra = lost.setdefault(kind, ({}, {}))
                partials[i], extra[i] = (dx, kept * dy), [(top, own * dy * slope)]
    texts = {
        "lost": "numbers divided by their sum (softmax): the cross terms are left out, and only the "
        "diagonal counts",
        "sign": "numbers divided by their sum (softmax): the cross terms have the wrong sign",
    }
    for kind, (partials, extra) in lost.items():
        yield texts[kind], Wrong(partials, extra)


def _shares(graph: Graph) -> list[tuple[int, int, float]]:
    """(node, x, slope): quotients of a number by a sum that it is part of, and its slope in it."""
    tape = graph.tape
    wholes: dict[int, list[int]] = {}
    for i in range(tape.first, len(tape.nodes)):
        part, whole = tape.parents[i]
        if min(part, whole) >= 0 and part != whole and tape.op(i).texts[1] == "1 / y":
            wholes.setdefault(whole, []).append(i)
    found = []
    for whole, members in wholes.items():
        if len(members) > 1:
            slopes = sweep(tape, root=whole)
            parts = ((i, tape.parents[i][0]) for i in members)
            found += [(i, part, slopes[part]) for i, part in parts if slopes[part]]
    return found


def jacobians(graph: Graph, place: Place) -> Found:
    """A scope with as many results as operands: its derivative left out, or only the diagonal."""
    tape, outs, ins = graph.tape, place.outputs, place.inputs
    if place.rank != 1 or len(outs) != len(ins) or set(outs) & set(ins):
        return
    cut = {
        i: tuple(0.0 if p in ins else d for p, d in zip(tape.parents[i], tape.partials[i], strict=True))
        for i in sorted(place.members)
        if any(p in ins for p in tape.parents[i])
    }  # fmt: skip
    partials = {i: (pair[0], pair[1]) for i, pair in cut.items()}
    plain = {out: [(into, 1.0)] for out, into in zip(outs, ins, strict=True)}
    name = place.own
    yield f"the derivative of {name} is left out", Wrong(partials, plain)
    if len(outs) > 1:
        diagonal = {
            out: [(into, sweep(tape, root=out, to=into)[into])]
            for out, into in zip(outs, ins, strict=True)
        }
        yield f"of the derivatives of {name} only the diagonal counts", Wrong(partials, diagonal)


def stray(graph: Graph, place: Place) -> Found:
    """A derivative of a function that is not there, multiplied in behind a scope."""
    tape = graph.tape
    if place.rank != 1:
        return
    where = f"behind {place.own}"
    for op in rows().values():
        if op.arity != 1 or rules.is_number(_tree(op.textbook[1])):
            continue
        tree = _tree(op.textbook[1])
        text = (
            f"{op.name}: dz/dx = {op.textbook[1]} is multiplied in {where}, where no {op.name} is"
        )
        for x in (place, *graph.scopes):
            if len(x.outputs) != len(place.outputs):
                continue
            values = [tape.nodes[i].data for i in x.outputs]
            at = "" if x is place else f", of what comes out {x.name}"
            if x is place:
                factors = [float(op.dx(v, None, op.value(v))) for v in values]
                yield text, _scaled(place, factors)
            if not rules.uses(tree, "x"):
                factors = [float(_of_result(op)(v)) for v in values]
                yield f"{text} (z is the number itself{at})", _scaled(place, factors)


def _scaled(place: Place, factors: list[float]) -> Wrong:
    return Wrong(scaled=dict(zip(place.outputs, factors, strict=True)))


def stepped(graph: Graph, place: Place) -> Found:
    """Weights that an optimizer had changed before the gradient went down through them."""
    tape, edges = graph.tape, [edge for edge in graph.products if edge[0] in place.members]
    count = len(graph.claimed)
    if place.name or not edges:
        return

    def pass_at(rate: float) -> tuple[Wrong, list[float]]:
        changes = [
            (i, k, tape.nodes[leaf].data - rate * (graph.claimed[leaf] if leaf < count else 0.0))
            for i, k, leaf in edges
        ]
        wrong = Wrong(replaced(tape, changes))
        return wrong, sweep(tape, wrong)

    # The leaf that is most wrong gives the rate: its gradient is a polynomial in it.
    worst, rate, step = graph.worst, 0.0, 1e-4
    for _ in range(_STEPS):
        here, beside = pass_at(rate)[1][worst], pass_at(rate + step)[1][worst]
        slope = (beside - here) / step
        if not slope or not math.isfinite(slope):
            return
        change = (graph.claimed[worst] - here) / slope
        rate, step = rate + change, 1e-4 * (abs(rate) or 1.0)
    text = f"weights were stepped, by {rate:.6g} times their gradient, before they were used"
    yield text, pass_at(rate)[0]


def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _of_result(op: Operation) -> Callable[[float], float]:
    """The textbook's derivative as a function of z alone."""
    names = {**rules.CONSTANTS, **rows(), "math": math, "divide": rules.divide}
    names["power"] = rules.power
    return rules.function(f"{op.name}_dx_of_z", "z", _tree(op.textbook[1]), op, names)


KINDS = [handed, transposed, before, borrowed, gated, cross, jacobians, weighed, stepped, stray]
