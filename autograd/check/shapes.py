"""Mistakes in more than one local derivative: transposed weights, Jacobians, stray factors."""

import ast
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from autograd import rules
from autograd.check.places import Place, whole
from autograd.check.replay import Tape, Wrong, sweep
from autograd.operation import Operation
from autograd.value import rows

Findings = Iterator[tuple[str, Wrong]]
SEVERAL = 3  # wrong numbers needed: a factor fitted to one of them must explain the others
_STEPS = 8  # of Newton's method for the learning rate; a polynomial needs few


@dataclass
class Graph:
    """A tape, the names of its leaves, their claimed gradients, and all places."""

    tape: Tape
    names: list[str]
    claimed: list[float]
    places: list[Place]
    wrong: int  # the leaves whose claims are wrong, as bits

    @cached_property
    def right(self) -> list[float]:
        """The right adjoints."""
        return sweep(self.tape)

    @cached_property
    def worst(self) -> int:
        """The leaf whose claimed gradient is farthest from the right one."""
        gaps = [abs(c - r) for c, r in zip(self.claimed, self.right, strict=False)]
        return gaps.index(max(gaps))

    def explains(self, place: Place) -> bool:
        """Whether gradients through the place reach every leaf with a wrong claim."""
        reached = 0
        for i in place.outputs:
            reached |= self.tape.below[i]
        return not self.wrong & ~reached

    @cached_property
    def scopes(self) -> list[Place]:
        """The places that the user has named."""
        return [place for place in self.places if place.rank == 1]

    @cached_property
    def products(self) -> list[tuple[int, int, int]]:
        """(node, k, leaf): nodes whose local derivative in operand k is the number of a leaf."""
        edges = []
        for i in range(self.tape.first, len(self.tape.nodes)):
            op, parents = self.tape.op(i), self.tape.parents[i]
            for k in (0, 1)[: op.arity]:
                leaf = parents[1 - k]
                if op.arity == 2 and op.texts[k + 1] == "yx"[k] and 0 <= leaf < self.tape.first:
                    edges.append((i, k, leaf))
        return edges

    @cached_property
    def matrices(self) -> dict[str, dict[tuple[int, int], int]]:
        """The leaves of each matrix, by row and column."""
        tensors: dict[str, dict[tuple[int, int], int]] = {}
        for name, members in whole(self.names).items():
            for i in members:
                last = [int(number) for number in re.findall(r"\d+", self.names[i])[-2:]]
                if len(last) == 2:
                    tensors.setdefault(name, {})[last[0], last[1]] = i
        return {name: leaves for name, leaves in tensors.items() if len(leaves) > 3}


def replaced(tape: Tape, changes: list[tuple[int, int, float]]) -> dict[int, tuple[float, float]]:
    """The partials, by node, after the changes (node, operand, number)."""
    partials: dict[int, tuple[float, float]] = {}
    for i, k, number in changes:
        pair = list(partials.get(i, tape.partials[i]))
        pair[k] = number
        partials[i] = (pair[0], pair[1])
    return partials


def exchanged(graph: Graph, place: Place) -> Findings:
    """Weights that the backward pass transposes, or takes from another matrix."""
    tape = graph.tape
    down = [edge for edge in graph.products if edge[0] in place.members]
    down = [(i, k, leaf) for i, k, leaf in down if tape.parents[i][k] >= tape.first]
    for name, own in graph.matrices.items():
        at = {leaf: index for index, leaf in own.items()}
        edges = [(i, k, at[leaf]) for i, k, leaf in down if leaf in at]
        for other, theirs in graph.matrices.items() if edges else ():
            for flip in (False, True):
                indices = [(j, i) if flip else (i, j) for _, _, (i, j) in edges]
                if (other == name and not flip) or not theirs.keys() >= set(indices):
                    continue
                changes = [
                    (i, k, tape.nodes[theirs[index]].data)
                    for (i, k, _), index in zip(edges, indices, strict=True)
                ]
                text = f"{other} is used in place of {name}" + " transposed" * (not flip)
                if name == other:
                    text = f"{name} is transposed"
                text += " where the gradient passes back through it"
                yield text, Wrong(replaced(tape, changes))


def before(graph: Graph, place: Place) -> Findings:
    """Products whose gradient uses the operand of a function instead of its result."""
    tape = graph.tape
    changes: dict[str, list[tuple[int, int, float]]] = {}
    for i in sorted(place.members):
        op = tape.op(i)
        for k in (0, 1) if op.arity == 2 else ():
            other = tape.parents[i][1 - k]
            if op.texts[k + 1] == "yx"[k] and other >= tape.first and tape.op(other).arity == 1:
                changes.setdefault(tape.op(other).name, []).append((i, k, tape.nodes[other].x))
    for name, edges in changes.items():
        text = f"a product's gradient uses the number before {name} instead of the number after it"
        yield text, Wrong(replaced(tape, edges))


def borrowed(graph: Graph, place: Place) -> Findings:
    """Local derivatives taken from another scope."""
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
                yield f"{name}: dz/dx is taken from {other.own}", wrong


def gated(graph: Graph, place: Place) -> Findings:
    """A local derivative that depends on the sign of the gradient instead of the operand's."""
    for name in graph.tape.by_op:
        members = place.of(name)
        op = graph.tape.op(members[0]) if members else None
        if op and op.arity == 1 and isinstance(_tree(op.textbook[1]), ast.IfExp):
            text = f"{name}: dz/dx depends on the sign of the gradient instead of the sign of x"
            yield text, Wrong(gated=members)


def handed(graph: Graph, place: Place) -> Findings:
    """The upstream gradient is left out, or one use overwrites the others."""
    for name in graph.tape.by_op:
        if (members := place.of(name)) and graph.tape.op(members[0]).arity == 1:
            yield f"{name}: the upstream gradient is left out", Wrong(alone=members)
    if place.name:
        yield "the upstream gradient is left out", Wrong(alone=place.outputs)
        text = "the last use of a number overwrites the others, to which it must be added"
        yield text, Wrong(overwritten=place.members)


def severed(graph: Graph, place: Place) -> Findings:
    """A scope that passes back no gradient."""
    yield f"{place.own} passes back no gradient", _scaled(place, [0.0] * len(place.outputs))


def weighed(graph: Graph, place: Place) -> Findings:
    """A factor of the whole gradient through a scope, such as a wrong weight of a loss term."""
    (_, lost), i = next(severed(graph, place)), graph.worst
    without = sweep(graph.tape, lost)[i]
    if graph.right[i] != without and graph.wrong.bit_count() >= SEVERAL:
        factor = (graph.claimed[i] - without) / (graph.right[i] - without)
        text = f"the gradient through {place.own} is {factor:.6g} times the right one"
        yield text, _scaled(place, [factor] * len(place.outputs))


def cross(graph: Graph, place: Place) -> Findings:
    """Wrong cross terms where numbers are divided by their sum, as in softmax."""
    tape = graph.tape
    both: dict[str, tuple[dict[int, tuple[float, float]], dict[int, list[tuple[int, float]]]]] = {}
    for i, top, slope in _shares(graph):
        if i in place.members:
            dx, dy = tape.partials[i]
            for kind, (rest, own) in {"lost": (0.0, 1.0), "sign": (-1.0, 2.0)}.items():
                partials, extra = both.setdefault(kind, ({}, {}))
                partials[i], extra[i] = (dx, rest * dy), [(top, own * dy * slope)]
    texts = {
        "lost": "numbers divided by their sum (softmax): the cross terms are left out, and only "
        "the diagonal counts",
        "sign": "numbers divided by their sum (softmax): the cross terms have the wrong sign",
    }
    for kind, (partials, extra) in both.items():
        yield texts[kind], Wrong(partials, extra)


def _shares(graph: Graph) -> list[tuple[int, int, float]]:
    """(node, x, slope): quotients x / sum where the sum depends on x, and d sum / dx."""
    tape = graph.tape
    wholes: dict[int, list[int]] = {}
    twins: dict[Any, list[int]] = {}  # exp(z) / (exp(z) + ...) may compute exp(z) twice
    for i in range(tape.first, len(tape.nodes)):
        part, whole = tape.parents[i]
        twins.setdefault((tape.op(i).name, *tape.parents[i], *tape.numbers(i)), []).append(i)
        if min(part, whole) >= 0 and part != whole and tape.op(i).texts[1] == "1 / y":
            wholes.setdefault(whole, []).append(i)
    shares = []
    for whole, members in wholes.items():
        parts = {tape.parents[i][0]: [tape.parents[i][0]] for i in members}
        for part in parts:
            if part >= tape.first:
                key = (tape.op(part).name, *tape.parents[part], *tape.numbers(part))
                parts[part] = [twin for twin in twins[key] if twin < whole] or [part]
        slopes = sweep(tape, root=whole, to=min(min(same) for same in parts.values()))
        for i in members:
            part = tape.parents[i][0]
            if slope := math.fsum(slopes[twin] for twin in parts[part]):
                shares.append((i, part, slope))
    return shares


def jacobians(graph: Graph, place: Place) -> Findings:
    """A scope with as many results as operands: no derivative, or only the Jacobian's diagonal."""
    tape, outs, ins = graph.tape, place.outputs, place.inputs
    if len(outs) != len(ins) or set(outs) & set(ins):
        return
    edges = [(i, k) for i in place.members for k in (0, 1) if tape.parents[i][k] in ins]
    partials = replaced(tape, [(i, k, 0.0) for i, k in edges])
    plain = {out: [(into, 1.0)] for out, into in zip(outs, ins, strict=True)}
    name = place.own
    yield f"the derivative of {name} is left out", Wrong(partials, plain)
    if len(outs) > 1:
        diagonal = {
            out: [(into, sweep(tape, root=out, to=into)[into])]
            for out, into in zip(outs, ins, strict=True)
        }
        yield f"only the diagonal of the Jacobian of {name} is used", Wrong(partials, diagonal)


def stray(graph: Graph, place: Place) -> Findings:
    """The derivative of a function that does not occur after a scope, multiplied in there."""
    outputs = {other.own: _values(other) for other in graph.scopes if other is not place}
    own = _values(place)
    for op in rows().values():
        if op.arity != 1 or op.functions or rules.is_number(_tree(op.textbook[1])):
            continue  # a function of the user's may raise there
        factor = f"{op.name}: dz/dx = {op.textbook[1]}"
        text = f"{factor} is multiplied in after {place.own}, where there is no {op.name}"
        yield text, _scaled(place, [float(op.dx(v, None, op.value(v))) for v in own])
        if rules.uses(_tree(op.textbook[1]), "x"):
            continue
        of_z = _of_result(op)
        yield f"{text} (z is the number itself)", _scaled(place, [of_z(v) for v in own])
        for name, values in outputs.items():
            if len(values) == len(own):
                yield (
                    f"{text} (z is the result of scope {name})",
                    _scaled(place, [of_z(v) for v in values]),
                )


def _values(place: Place) -> list[float]:
    return [place.tape.nodes[i].data for i in place.outputs]


def _scaled(place: Place, factors: list[float]) -> Wrong:
    """A pass that multiplies the gradients through the outputs of a place by factors."""
    partials = {}
    for i, factor in zip(place.outputs, factors, strict=True):
        dx, dy = place.tape.partials[i]
        partials[i] = (dx * factor, dy * factor)
    return Wrong(partials)


def stepped(graph: Graph, place: Place) -> Findings:
    """Weights that an optimizer changed before the gradient passed back through them."""
    tape, count = graph.tape, len(graph.claimed)
    edges = [edge for edge in graph.products if tape.parents[edge[0]][edge[1]] >= tape.first]
    if place.name or not edges or graph.wrong.bit_count() < SEVERAL:
        return

    def pass_at(rate: float) -> tuple[Wrong, list[float]]:
        changes = [
            (i, k, tape.nodes[leaf].data - rate * (graph.claimed[leaf] if leaf < count else 0.0))
            for i, k, leaf in edges
        ]
        wrong = Wrong(replaced(tape, changes))
        return wrong, sweep(tape, wrong)

    # The leaf with the largest error gives the rate: its gradient is a polynomial in the rate.
    worst, rate, step = graph.worst, 0.0, 1e-4
    for _ in range(_STEPS):
        here, beside = pass_at(rate)[1][worst], pass_at(rate + step)[1][worst]
        slope = (beside - here) / step
        if not slope or not math.isfinite(slope):
            return
        change = (graph.claimed[worst] - here) / slope
        rate, step = rate + change, 1e-4 * (abs(rate) or 1.0)
    if not rate > 0.0:
        return
    text = f"weights took an optimizer step, {rate:.6g} times their gradient, before they were used"
    yield text, pass_at(rate)[0]


def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@cache
def _of_result(op: Operation) -> Callable[[float], float]:
    """The textbook's derivative as a function of z alone."""
    names = {**rules.CONSTANTS, **rows(), "math": math, "divide": rules.divide}
    names["power"] = rules.power
    return rules.function(f"{op.name}_dx_of_z", "z", _tree(op.textbook[1]), op, names)


KINDS = [handed, exchanged, before, borrowed, gated, cross, stepped]
OF_SCOPES = [severed, jacobians, weighed, stray]  # their texts name the scope
