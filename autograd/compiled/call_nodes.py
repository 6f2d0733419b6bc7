"""A compiled call as a few nodes of a graph: differentiable to every order, at native speed.

The bundle of a recording's parameters is made once and is shared by all of its calls.  Whoever
wants to see operations unfolds a call into the scalar graph that the function itself would have
recorded.
"""

import math
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from autograd.compiled.bundles import Block, Bundle, Weights, block_node, bundled
from autograd.compiled.program import recorded_plainly
from autograd.compiled.recording import Recording
from autograd.compiled.traced import SOLID
from autograd.modes import no_grad, present_call
from autograd.notes import UNTOUCHED, Note
from autograd.operands import item
from autograd.ops import Ops
from autograd.transform import jvp, vjp
from autograd.value import Value, accumulate, at_once, grad_writer, grads, one_pass

Array = Any
Name = tuple[str, tuple[int, ...], tuple[int, ...]]
Derive = Callable[[Recording, Name], Any]
_MODEST = 1e100  # an adjoint of this size or its inverse may scale slopes that are there already


class Played(Block):
    """A call: its parents are bundles of what it depends on, of arguments and of parameters.

    Args:
        one: the recording that served.
        exact: whether it is replayed in the eager order.
        row, out: the numbers of its inputs and of its results.
        given: the Value that each input is; None for one that is a plain number.
        slopes: of the result, if there is a single one, in the inputs and the parameters.
        derive: gives the compiled form of a function that is derived from a recording, by name.
        scope: where the call is made.
    """

    def __init__(
        self, one: Recording, exact: bool, row: Array, out: list[float],
        given: list[Value | None], slopes: Array | None, derive: Derive, scope: str,
    ) -> None:  # fmt: skip
        self.one, self.exact, self.row, self.out, self.given = one, exact, row, out, given
        self.known, self._derive, self.scope = slopes, derive, scope
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

    def _lost(self, weights: Iterable[int]) -> dict[int, int]:
        """Places whose derivative is nan because a result is, each with one such result."""
        found: dict[int, int] = {}
        for k in weights:
            if self.out[k] != self.out[k]:
                reached = self.one.reached(self.numbers, self.row, [k])
                own = [p for bundle in self.bundles if bundle for p in bundle.places]
                found |= {p: k for p in own if reached[p]}
        return found

    def _bit(self, place: int) -> int:
        return 2 << place if place < len(self.given) else 1

    # ------------------------------------------------------------------ backward

    def pullback(self, node: Any) -> None:
        """One pass of the engine; to each bundle its part."""
        adjoint = node._grad
        if not self.single:
            node._grad = 0.0
        slopes = self._slopes({0: adjoint} if self.single else adjoint.items)
        for _, bundle in self._parents(node):
            bundle.give(slopes)

    def _slopes(self, weights: dict[int, float]) -> Array:
        """The gradient of the weighted sum of results, in inputs and parameters."""
        lost = any(z != z for z in self.out)
        if self.known is not None and not lost and 1 / _MODEST < abs(weights[0]) < _MODEST:
            return self.known * weights[0]
        one, good = self.one, False
        # The engine would let a result that is nan spoil the derivatives of others.
        if not self.exact and not lost:
            seeds, slopes = np.zeros(one.outputs), np.empty(len(self.numbers))
            for k, weight in weights.items():
                seeds[k] = weight
            good, _, _, back = one.run(self.numbers, one.own, self.row[None, :], seeds, slopes)
            found = np.concatenate([back[0], slopes])
        if not good:
            lifted = one.program.lift(self.numbers.tolist(), self.row.tolist())
            for k, weight in weights.items():
                accumulate(lifted.outputs[k], weight)
            found = np.array(grads([*lifted.inputs, *lifted.parameters]))
        return found

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """The same, recorded, for the Values that are `along`."""
        if self.single and node.data != node.data:
            adjoint = adjoint * node  # nan, and it depends on the call
        weights = {0: adjoint} if self.single else adjoint.items
        wanted = [
            place
            for _, bundle in self._parents(node)
            for value, place in zip(bundle.values, bundle.places, strict=True)
            if value in along
        ]
        slopes = self._recorded(weights, tuple(wanted))
        slopes |= {place: weights[k] for place, k in self._lost(weights).items()}
        for parent, bundle in self._parents(node):
            yield parent, bundle.adjoint(slopes)

    def _recorded(self, weights: dict[int, Any], places: tuple[int, ...]) -> dict[int, Any]:
        """Slopes by place, as Values that can be differentiated again."""
        x, every = self._again(), range(self.one.outputs)
        for outputs in (tuple(every), tuple(weights)):
            compiled = self._derive(self.one, ("slopes", outputs, places))
            found = compiled(x, [weights.get(k, 0.0) for k in outputs])
            # What has no weight must not come in as 0 * inf.
            if len(weights) == len(every) or all(map(math.isfinite, map(item, found))):
                break
        return dict(zip(places, found, strict=True))

    def _again(self) -> list[Any]:
        """The inputs as they are; RuntimeError if they are no longer what they were."""
        x = [n if v is None else v for v, n in zip(self.given, self.row.tolist(), strict=True)]
        now = np.array([v.data if isinstance(v, Value) else v for v in x])
        if not (
            np.array_equal(now, self.row, equal_nan=True)
            and np.array_equal(self.one.numbers(), self.numbers, equal_nan=True)
        ):
            raise RuntimeError(
                "compiled: the .data of a Value is another one now than in the forward pass; "
                "higher derivatives need the forward pass again"
            )
        return x

    # ------------------------------------------------------------------ forward

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangents of the results: of a single one, or by place."""
        along: dict[int, Any] = {}
        for _, bundle in self._parents(node):
            along |= bundle.along(tangents)
        bits = 0
        for place in along:
            bits |= self._bit(place)
        reached = [
            k
            for k, own in enumerate(self.one.sloping.outputs)
            if own & bits
            and (self.out[k] == self.out[k] or not self._lost([k]).keys().isdisjoint(along))
        ]
        if not (self.single and reached):
            if not reached:
                return None if self.single else {}
            found = self._pushed(along, graph)
            return {k: found[k] for k in reached}
        if node.data != node.data:
            return node if graph else math.nan
        if graph:
            return self._pushed(along, graph)[0]
        slopes = self._slopes({0: 1.0}).tolist()
        return sum(slopes[place] * t for place, t in along.items() if slopes[place])

    def _pushed(self, along: dict[int, Any], graph: bool) -> list[Any]:
        """The tangents of all results along tangents by place."""
        places = tuple(sorted(along))
        compiled = self._derive(self.one, ("tangents", (), places))
        with nullcontext() if graph else no_grad():
            found: list[Any] = compiled(self._again(), [along[place] for place in places])
        return found

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
            outside = set(map(id, [*self.one.parameters, *self.given]))
            taken = {
                scalars[at]: node for at, node in places.items() if id(scalars[at]) not in outside
            }
            for node in scalars:
                if type(node) is Value:
                    node.a, node.b = taken.get(node.a, node.a), taken.get(node.b, node.b)
            for at, node in places.items():
                self._become(node, scalars[at], id(scalars[at]) in outside)
                scalars[at] = node
            self._differentiate(scalars, list(places.values()))

    def _become(self, node: Value, made: Any, outside: bool) -> None:
        """Make a result the node that it is in the scalar graph."""
        op, scope, line = None, self.scope, ""
        fields: dict[str, Any] = {"a": None, "b": None}
        if outside:  # a leaf or an argument that was chosen: it is computed from that
            op, fields = vars(Ops)["__pos__"], {"a": made, "b": None, "x": made.data}
        elif type(made) is Value:
            op, scope, line = made.op, made.scope, made.line
            names = [name for name in ("a", "b", "x", "y") if hasattr(made, name)]
            fields = {name: getattr(made, name) for name in names}
        label = node.label or (made.label if type(made) is Value and not outside else "")
        note = Note(op, label, scope if node.scope == self.scope else node.scope, line)
        note.hooks = node.hooks
        fields["row"] = note
        at_once(map(setattr, [node] * len(fields), fields, fields.values()))

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

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """To the call."""
        if node.data != node.data:
            adjoint = adjoint * node  # nan, and it depends on the call
        yield node.a, Weights({self.place: adjoint})

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """From the call."""
        found = tangents[node.a].get(self.place)
        if found is not None and node.data != node.data:
            return node if graph else math.nan
        return found


_parts: list[_Part] = []


def _part(place: int) -> _Part:
    while len(_parts) <= place:
        _parts.append(_Part(len(_parts)))
    return _parts[place]


def _place(node: Value) -> int:
    """Which result of a call a node is."""
    op: Any = node.op
    return op.place if type(op) is _Part else 0


def results(played: Played, values: int) -> list[Any]:
    """The outputs of a call as the function itself would return them: Values where it depends on
    any, else numbers.

    Args:
        played: the call.
        values: a bit for each number of the arguments: whether it is a Value.
    """
    one, result, scope = played.one, played.one.result, played.scope
    a, b = (None if bundle is None else bundle.top for bundle in played.bundles)
    leading = (played.bundles[1] is not None) | values << 1
    hub: Any = None
    made: dict[int, Value] = {}
    found: list[Any] = []
    for k, (z, at) in enumerate(zip(played.out, one.program.tape.outputs.tolist(), strict=True)):
        same = result.same[k]
        if not result.kinds[k] & (values << 1 | SOLID):
            found.append(z if result.types is None else result.types[k](z))
        elif same is not None:
            found.append(same if type(same) is Value else played.given[same])
        elif not one.depends.outputs[k] & leading:
            found.append(Value(z))
        else:
            if at not in made and played.single:
                made[at] = block_node(played, z, a, b, scope)
            elif at not in made:
                hub = block_node(played, 0.0, a, b, scope) if hub is None else hub
                made[at] = block_node(_part(k), z, hub, None, scope)
            found.append(made[at])
    return found


def _bundles(one: Recording, given: list[Value | None]) -> tuple[Bundle | None, Bundle | None]:
    """What a call depends on, of the arguments and of the parameters."""
    width, bits = len(given), 0
    for own_bits in one.depends.outputs:
        bits |= own_bits
    places = [k for k, value in enumerate(given) if value is not None and bits >> (k + 1) & 1]
    own = bundled([v for v in (given[place] for place in places) if v is not None], places)
    if "bundle" not in one.derived:
        reached = one.depends.parameters
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


def derived(one: Recording, name: Name) -> Callable[..., Any]:
    """A function that is derived from a recording, of its inputs x and of weights or tangents.

    `("slopes", outputs, places)` gives the gradient of the weighted sum of some outputs, in what
    stands at the places: inputs, then parameters.  `("tangents", (), places)` gives the tangents of
    all outputs along tangents of those.
    """
    what, outputs, places = name
    parameters, replay = one.parameters, one.program.evaluate

    def part(x: list[Any]) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        """What stands at the places, and the results as a function of it."""
        everything = [*x, *parameters]

        def results(chosen: list[Any]) -> list[Any]:
            entered = list(everything)
            for place, value in zip(places, chosen, strict=True):
                entered[place] = value
            return replay(entered[len(x) :], entered[: len(x)])

        return [everything[place] for place in places], results

    def slopes(x: list[Any], weights: list[Any]) -> Any:
        chosen, results = part(x)

        def some(chosen: list[Any]) -> list[Any]:
            found = results(chosen)
            return [found[k] for k in outputs]

        return vjp(some, chosen)[1](weights)[0]

    def tangents(x: list[Any], directions: list[Any]) -> Any:
        chosen, results = part(x)
        return jvp(results, (chosen,), (directions,))[1]

    return slopes if what == "slopes" else tangents
