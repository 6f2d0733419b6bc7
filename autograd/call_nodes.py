"""A compiled call as a few nodes of a graph: differentiable to every order, at native speed.

A node has two parents at most, so the Values that a call depends on are gathered in *bundles*: a
chain of nodes, one for each Value, whose adjoint is a vector.  The bundle of a recording's
parameters is made once and is shared by all of its calls.  Whoever wants to see operations unfolds
a call into the scalar graph that the function itself would have recorded.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from autograd.ops import Origin
from autograd.program import recorded_plainly
from autograd.recordings import Recording
from autograd.tape import SOLID
from autograd.transform import vjp
from autograd.value import (
    UNTOUCHED,
    Note,
    Value,
    at_once,
    grad_writer,
    grads,
    one_pass,
    present_call,
)

Array = Any
_MODEST = 1e100  # an adjoint of this size or its inverse may scale slopes that are there already


class Vector:
    """Adjoints of many Values, in the order of their bundle."""

    __slots__ = ("items",)

    def __init__(self, items: Any) -> None:
        self.items = items

    def __add__(self, other: "Vector") -> "Vector":
        if isinstance(self.items, list):
            return Vector([x + y for x, y in zip(self.items, other.items, strict=True)])
        return Vector(self.items + other.items)

    def __radd__(self, zero: float) -> "Vector":
        return self


class Weights:
    """Adjoints of the results of a call, by their places."""

    __slots__ = ("items",)

    def __init__(self, items: dict[int, Any]) -> None:
        self.items = items

    def __add__(self, other: "Weights") -> "Weights":
        made = dict(self.items)
        for k, amount in other.items.items():
            made[k] = made[k] + amount if k in made else amount
        return Weights(made)

    def __radd__(self, zero: float) -> "Weights":
        return self


class Block(Origin):
    """What stands in the place of an operation where a node is many at once."""

    many = True
    arity = 0
    name = "compiled"

    @property
    def op(self) -> Any:
        """Itself."""
        return self

    def call_of(self, node: Any) -> "Played | None":
        """The call that the node is a result of; None for one that is no result."""
        return None

    def pull(self, node: Any, adjoint: Any) -> Iterator[tuple[Value, Any]]:
        """The adjoints of its parents as Values or numbers that can be differentiated again."""
        raise NotImplementedError

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangent of the node from those of its parents."""
        raise NotImplementedError


def _node(op: Block, data: float, a: Any, b: Any, scope: str = "") -> Value:
    node: Value = object.__new__(Value)
    node._data = node.x = data
    node.y = math.nan
    node._grad = UNTOUCHED
    node._row = Note(op, "", scope) if scope else op  # type: ignore[arg-type]
    node.a, node.b = a, b
    return node


# ---------------------------------------------------------------------- bundles


class _Link(Block):
    """One more Value in a bundle: a is the rest of the bundle, b the Value."""

    name = "bundle"

    def __init__(self, place: int) -> None:
        self.place = place

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """Tangents by place."""
        found = dict(tangents.get(node.a) or {})
        if node.b in tangents:
            found[self.place] = tangents[node.b]
        return found


class _Top(_Link):
    """The last link of a bundle, which gives all of its Values their adjoints."""

    def __init__(self, values: Sequence[Value]) -> None:
        super().__init__(len(values) - 1)
        self.values = list(values)
        self.differ = len(set(map(id, values))) == len(values)

    def pullback(self, node: Any) -> None:
        """To each Value its own."""
        found, node._grad = node._grad.items.tolist(), 0.0
        if self.differ:
            sums = map(float.__add__, grads(self.values), found)
            at_once(map(setattr, self.values, repeat("_grad"), sums))
        else:
            for value, amount in zip(self.values, found, strict=True):
                value._grad += amount

    def pull(self, node: Any, adjoint: Vector) -> Iterator[tuple[Value, Any]]:
        """The same for adjoints that are Values."""
        for value, amount in zip(self.values, adjoint.items, strict=True):
            if isinstance(amount, Value) or amount != 0.0:
                yield value, amount


_links: list[_Link] = []


class Bundle:
    """Values as one node, `top`, whose adjoint is a Vector; a single one is the node itself.

    Args:
        values: that a call depends on; there is at least one.
        places: where each of their slopes is among those of the call.
    """

    def __init__(self, values: Sequence[Value], places: Sequence[int]) -> None:
        self.places = list(places)
        self.order = np.array(self.places, dtype=np.int64)
        while len(_links) < len(values):
            _links.append(_Link(len(_links)))
        top: Any = values[0]
        if len(values) > 1:
            top = None
            for value, op in zip(values[:-1], _links, strict=False):
                top = _node(op, 0.0, top, value)
            top = _node(_Top(values), 0.0, top, values[-1])
        self.top: Value = top

    def give(self, slopes: Array) -> None:
        """Add their slopes to the adjoints of the Values."""
        if len(self.places) == 1:
            self.top._grad += float(slopes[self.places[0]])
        else:
            top: Any = self.top  # whose adjoint is a Vector while the pass runs
            top._grad = top._grad + Vector(slopes[self.order])

    def adjoint(self, slopes: list[Any]) -> Any:
        """The adjoint of the top, from slopes that may be Values."""
        if len(self.places) == 1:
            return slopes[self.places[0]]
        return Vector([slopes[place] for place in self.places])

    def along(self, tangents: dict[Any, Any]) -> dict[int, Any]:
        """The tangents of the Values by the places of their slopes."""
        if self.top not in tangents:
            return {}
        found = tangents[self.top]
        if len(self.places) == 1:
            return {self.places[0]: found}
        return {self.places[k]: t for k, t in found.items()}


def bundled(values: Sequence[Value], places: Sequence[int]) -> Bundle | None:
    """The bundle of some Values; None for none."""
    return Bundle(values, places) if values else None


# ---------------------------------------------------------------------- calls


class Played(Block):
    """A call: its parents are bundles of what it depends on, of arguments and of parameters.

    Args:
        one: the recording that served.
        exact: whether it is replayed in the eager order.
        row: the numbers of its inputs.
        given: the Value that each of them is; None for one that is a plain number.
        slopes: of the result, if there is a single one, in the inputs and the parameters.
        gradient: gives the compiled function `slopes_of` of a recording.
        scope: where the call is made.
    """

    def __init__(
        self, one: Recording, exact: bool, row: Array, given: list[Value | None],
        slopes: Array | None, gradient: Callable[[Recording], Any], scope: str,
    ) -> None:  # fmt: skip
        self.one, self.exact, self.row, self.given = one, exact, row, given
        self.known, self._gradient, self.scope = slopes, gradient, scope
        self.numbers = one.kept_numbers()
        self.bundles = _bundles(one, given)
        self._unfolded: list[Any] | None = None

    @property
    def single(self) -> bool:
        """Whether there is one result, and its node is the call's."""
        return self.one.outputs == 1

    def call_of(self, node: Any) -> "Played | None":
        """Itself, if its node is its result."""
        return self if self.single else None

    def _parents(self, node: Any) -> Iterator[tuple[Any, Bundle]]:
        for parent, bundle in zip((node.a, node.b), self.bundles, strict=True):
            if bundle is not None:
                yield parent, bundle

    def _weights(self, adjoint: Any) -> dict[int, Any]:
        return {0: adjoint} if self.single else adjoint.items

    def _slopes(self, weights: dict[int, float]) -> Array:
        """The gradient of the weighted sum of results, in arguments and parameters."""
        if self.known is not None and 1 / _MODEST < abs(weights[0]) < _MODEST:
            return self.known * weights[0]
        one, row = self.one, self.row[None, :]
        seeds = np.zeros(len(one.program.tape.outputs))
        for k, weight in weights.items():
            seeds[k] = weight
        slopes = np.empty(len(self.numbers))
        how = one.exactly if self.exact else one.run
        good, _, _, back = how(self.numbers, one.own, row, seeds, slopes)
        if not good and not self.exact:
            back = one.exactly(self.numbers, one.own, row, seeds, slopes)[3]
        return np.concatenate([back[0], slopes])

    def _recorded(self, weights: dict[int, Any]) -> list[Any]:
        """The same as Values that can be differentiated again."""
        one = self.one
        x = [n if v is None else v for v, n in zip(self.given, self.row.tolist(), strict=True)]
        now = np.array([v._data if isinstance(v, Value) else v for v in x])
        if not (
            np.array_equal(now, self.row, equal_nan=True)
            and np.array_equal(one.numbers(), self.numbers, equal_nan=True)
        ):
            raise RuntimeError(
                "compiled: the .data of a Value is another one now than in the forward pass; "
                "higher derivatives need the forward pass again"
            )
        seeds = [weights.get(k, 0.0) for k in range(len(one.program.tape.outputs))]
        found: list[Any] = self._gradient(one)(x, seeds)
        return found

    def pullback(self, node: Any) -> None:
        """One pass of the engine; to each bundle its part."""
        adjoint = node._grad
        if not self.single:
            node._grad = 0.0
        slopes = self._slopes(self._weights(adjoint))
        for _, bundle in self._parents(node):
            bundle.give(slopes)

    def pull(self, node: Any, adjoint: Any) -> Iterator[tuple[Value, Any]]:
        """The same, recorded."""
        slopes = self._recorded(self._weights(adjoint))
        for parent, bundle in self._parents(node):
            yield parent, bundle.adjoint(slopes)

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangents of the results."""
        along: dict[int, Any] = {}
        for _, bundle in self._parents(node):
            along |= bundle.along(tangents)
        made: dict[int, Any] = {}
        for k in range(len(self.one.program.tape.outputs)):
            slopes = self._recorded({k: 1.0}) if graph else self._slopes({k: 1.0}).tolist()
            total: Any = 0.0
            for place, t in along.items():
                if isinstance(slopes[place], Value) or slopes[place] != 0.0:
                    total = slopes[place] * t + total
            made[k] = total
        return made[0] if self.single else made

    # ------------------------------------------------------------------ to be looked at

    def unfold(self, nodes: list[Value]) -> None:
        """Make its results what they would be without `compile`: nodes of a scalar graph.

        `nodes` are those that stand for results of this call.
        """
        with one_pass:
            if self._unfolded is None:
                self._unfolded = self._scalars()
            scalars, outputs = self._unfolded, self.one.program.tape.outputs.tolist()
            places = {outputs[_place(node)]: node for node in nodes}
            taken = {scalars[at]: node for at, node in places.items()}
            for node in scalars:
                if type(node) is Value:
                    node.a, node.b = taken.get(node.a, node.a), taken.get(node.b, node.b)
            for at, node in places.items():
                made = scalars[at]
                scope = made.scope if node.scope == self.scope else node.scope
                note = Note(made.op, node.label or made.label, scope, made.line)
                note.hooks = node.hooks
                fields = {"_row": note, "a": made.a, "b": made.b, "x": made.x}
                fields |= {"y": made.y} if hasattr(made, "y") else {}
                at_once(map(setattr, [node] * len(fields), fields, fields.values()))
                scalars[at] = node
            self._differentiate(scalars, list(places.values()))

    def _scalars(self) -> list[Any]:
        """Every node of the tape at the numbers of this call, on the real leaves and arguments."""
        one = self.one
        parameters = [Value(number) for number in self.numbers.tolist()]
        inputs: list[Any] = self.row.tolist()
        real = dict(zip(parameters, one.parameters, strict=True))
        for k, value in enumerate(self.given):
            if value is not None:
                inputs[k] = Value(inputs[k])
                real[inputs[k]] = value
        nodes: list[Any] = recorded_plainly(
            one.program.replayed, parameters, inputs, labels=True, scope=self.scope
        )
        for node in nodes:
            if type(node) is Value:
                node.a, node.b = real.get(node.a, node.a), real.get(node.b, node.b)  # type: ignore[arg-type]
        return [real.get(node, node) if type(node) is Value else node for node in nodes]

    def _differentiate(self, scalars: list[Any], results: list[Value]) -> None:
        """Give the nodes inside the adjoints that a pass over the scalar graph would give them."""
        if all(node._grad is UNTOUCHED for node in results):
            return
        tape = self.one.program.tape
        inner = [n for n in scalars[tape.sources :] if type(n) is Value and not n.is_leaf]
        inside = set(inner)
        outside = {p for node in inner for p in node.parents} - inside
        undo = grad_writer(outside, grads(outside))
        try:
            kept = {node: node._grad for node in results}
            for node in inner:
                node._grad = kept.get(node, 0.0)
            for node in reversed(inner):
                if node._grad and node.op is not None:
                    node.op.pullback(node)
        finally:
            undo()


class _Part(Block):
    """A result of the call a, which has several."""

    def __init__(self, place: int) -> None:
        self.place = place

    def call_of(self, node: Any) -> "Played | None":
        """The call."""
        found: Played = node.a.op
        return found

    def pullback(self, node: Any) -> None:
        """To the call."""
        node.a._grad = node.a._grad + Weights({self.place: node._grad})

    def pull(self, node: Any, adjoint: Any) -> Iterator[tuple[Value, Any]]:
        """To the call."""
        yield node.a, Weights({self.place: adjoint})

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """From the call."""
        return tangents[node.a].get(self.place, 0.0)


_parts: list[_Part] = []


def _part(place: int) -> _Part:
    while len(_parts) <= place:
        _parts.append(_Part(len(_parts)))
    return _parts[place]


def _place(node: Value) -> int:
    """Which result of a call a node is."""
    op: Any = node.op
    return op.place if type(op) is _Part else 0


def results(played: Played, out: list[float], values: int) -> list[Any]:
    """The outputs of a call as the function itself would return them: Values where it depends on
    any, else numbers.

    Args:
        played: the call.
        out: the outputs' numbers.
        values: a bit for each number of the arguments: whether it is a Value.
    """
    one, result, scope = played.one, played.one.result, played.scope
    a, b = (None if bundle is None else bundle.top for bundle in played.bundles)
    leading = (played.bundles[1] is not None) | values << 1
    hub: Any = None
    made: dict[int, Value] = {}
    found: list[Any] = []
    for k, (z, at) in enumerate(zip(out, one.program.tape.outputs.tolist(), strict=True)):
        same = result.same[k]
        if not result.kinds[k] & (values << 1 | SOLID):
            found.append(z if result.types is None else result.types[k](z))
        elif same is not None:
            found.append(same if type(same) is Value else played.given[same])
        elif not one.depends[k] & leading:
            found.append(Value(z))
        else:
            if at not in made and played.single:
                made[at] = _node(played, z, a, b, scope)
            elif at not in made:
                hub = _node(played, 0.0, a, b, scope) if hub is None else hub
                made[at] = _node(_part(k), z, hub, None, scope)
            found.append(made[at])
    return found


def _bundles(one: Recording, given: list[Value | None]) -> tuple[Bundle | None, Bundle | None]:
    """What a call depends on, of the arguments and of the parameters."""
    width, bits = len(given), 0
    for own_bits in one.depends:
        bits |= own_bits
    places = [k for k, value in enumerate(given) if value is not None and bits >> (k + 1) & 1]
    own = bundled([v for v in (given[place] for place in places) if v is not None], places)
    if "bundle" not in one.derived:
        reached = one.reached_parameters()
        found = bundled([one.parameters[k] for k in reached], [width + k for k in reached])
        one.derived["bundle"] = found
    outside: Bundle | None = one.derived["bundle"]
    call = present_call()
    while call is not None and call.around is not None:
        call = call.around
    if call is not None and not call.records and outside is not None:
        # Whoever called the outermost transform wants numbers: other leaves are of no use.
        wanted = [k for k in outside.places if call.owns(one.parameters[k - width])]
        outside = bundled([one.parameters[k - width] for k in wanted], wanted)
    return own, outside


def slopes_of(one: Recording) -> Callable[..., Any]:
    """The function of inputs and weights that gives the gradient of the weighted sum of results, in
    the inputs and then in the parameters."""
    replay, parameters = one.program.evaluate, one.parameters

    def slopes(x: list[Any], weights: list[Any]) -> list[Any]:
        own, back = vjp(replay, parameters, x)[1](weights)
        return [*back, *own]

    return slopes
