"""A compiled call as a few nodes of a graph: differentiable to every order, at native speed.

All calls of a recording share one bundle of its parameters.  `draw` and others unfold a call into
the scalar graph that the function itself would have recorded.
"""

import math
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from autograd.compiled.bundles import Block, Bundle, Weights, block_node, bundled
from autograd.compiled.recording import Recording
from autograd.compiled.traced import ALWAYS
from autograd.modes import entered, no_grad, present_call
from autograd.notes import UNTOUCHED, Note
from autograd.operands import item
from autograd.ops import Ops
from autograd.transform import hvp, jvp, vjp
from autograd.value import Value, at_once, grad_writer, grads, one_pass

Array = Any
Name = tuple[str, tuple[int, ...], tuple[int, ...]]
Derive = Callable[[Recording, Name], Any]
# An adjoint may scale slopes that are known already if it and its inverse are below this size;
# beyond it, the product could overflow or underflow where a pass of the engine would not.
_SCALABLE = 1e100


class CompiledCall(Block):
    """A call of a compiled function.  Its parents are two bundles: of arguments and of parameters.

    The numbers that it depends on have one index: first come the inputs, then the parameters.

    Args:
        recording: the recording that served the call.
        exact: whether the call runs in the eager order.
        row, out: the numbers of its inputs and of its results.
        inputs: the Value that each input is; None for a plain number.
        slopes: of a single result in the inputs and the parameters, if they are known already.
        derive: gives the compiled form of a function that is derived from a recording, by name.
        scope: the scope of the call.
    """

    def __init__(
        self, recording: Recording, exact: bool, row: Array, out: list[float],
        inputs: list[Value | None], slopes: Array | None, derive: Derive, scope: str,
    ) -> None:  # fmt: skip
        self.recording, self.exact, self.row, self.out = recording, exact, row, out
        self.inputs, self.slopes, self._derive, self.scope = inputs, slopes, derive, scope
        self.numbers = recording.cached_numbers()
        self.bundles = _bundles(recording, inputs)
        self._unfolded: list[Any] | None = None

    @property
    def single(self) -> bool:
        """Whether there is one result, so that its node is the call's own."""
        return self.recording.outputs == 1

    def call_of(self, node: Any) -> "CompiledCall | None":
        """The call itself, if its node is its result."""
        return self if self.single else None

    def _parents(self, node: Any) -> Iterator[tuple[Any, Bundle]]:
        for parent, bundle in zip((node.a, node.b), self.bundles, strict=True):
            if bundle is not None:
                yield parent, bundle

    def _nan_slopes(self, outputs: Iterable[int]) -> dict[int, int]:
        """The indices whose slope is nan because a result is, each with one such result."""
        lost: dict[int, int] = {}
        for k in outputs:
            if self.out[k] != self.out[k]:
                reached = self.recording.reached(self.numbers, self.row, [k])
                own = [i for bundle in self.bundles if bundle for i in bundle.indices]
                lost |= {i: k for i in own if reached[i]}
        return lost

    # ------------------------------------------------------------------ backward

    def pullback(self, node: Any) -> None:
        """Run the engine once, and give each bundle its part of the slopes."""
        adjoint = node._grad
        if not self.single:
            node._grad = 0.0
        slopes = self._slopes({0: adjoint} if self.single else adjoint.items)
        for _, bundle in self._parents(node):
            bundle.give(slopes)

    def _slopes(self, weights: dict[int, float]) -> Array:
        """The gradient of the weighted sum of results, in inputs and parameters."""
        lost = any(z != z for z in self.out)
        if self.slopes is not None and not lost and 1 / _SCALABLE < abs(weights[0]) < _SCALABLE:
            return self.slopes * weights[0]
        recording, good = self.recording, False
        # In the engine, a result that is nan would spoil the derivatives of the others.
        if not self.exact and not lost:
            seeds, gradients = np.zeros(recording.outputs), np.empty(len(self.numbers))
            for k, weight in weights.items():
                seeds[k] = weight
            x = self.row[None, :]
            run = recording.run(self.numbers, recording.own_runs, x, seeds, gradients)
            good, slopes = run.good, np.concatenate([run.back[0], gradients])
        if not good:
            slopes = recording.eager_slopes(self.numbers, self.row, weights)
        return slopes

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """The parts of the bundles, recorded, for the Values that are in `along`."""
        if self.single and node.data != node.data:
            adjoint = adjoint * node  # nan, and it depends on the call
        weights = {0: adjoint} if self.single else adjoint.items
        wanted = [
            index
            for _, bundle in self._parents(node)
            for value, index in zip(bundle.values, bundle.indices, strict=True)
            if value in along
        ]
        slopes = self._recorded_slopes(weights, tuple(wanted))
        slopes |= {index: weights[k] for index, k in self._nan_slopes(weights).items()}
        for parent, bundle in self._parents(node):
            yield parent, bundle.adjoint(slopes)

    def _recorded_slopes(self, weights: dict[int, Any], indices: tuple[int, ...]) -> dict[int, Any]:
        """Slopes by index, as Values that can be differentiated again."""
        x, every = self._unchanged_inputs(), range(self.recording.outputs)
        for outputs in (tuple(every), tuple(weights)):
            compiled = self._derive(self.recording, ("slopes", outputs, indices))
            slopes = compiled(x, [weights.get(k, 0.0) for k in outputs])
            # An output without a weight must not enter as 0 * inf; then only the others take part.
            if len(weights) == len(every) or all(map(math.isfinite, map(item, slopes))):
                break
        return dict(zip(indices, slopes, strict=True))

    def _unchanged_inputs(self) -> list[Any]:
        """The inputs; RuntimeError if a number has changed since the forward pass."""
        x = [n if v is None else v for v, n in zip(self.inputs, self.row.tolist(), strict=True)]
        now = np.array([v.data if isinstance(v, Value) else v for v in x])
        if not (
            np.array_equal(now, self.row, equal_nan=True)
            and np.array_equal(self.recording.numbers(), self.numbers, equal_nan=True)
        ):
            raise RuntimeError(
                "compiled: the .data of a Value has changed since the forward pass; run the "
                "forward pass again before taking higher derivatives"
            )
        return x

    # ------------------------------------------------------------------ forward

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangent of the result; with several results, their tangents by index."""
        along: dict[int, Any] = {}
        for _, bundle in self._parents(node):
            along |= bundle.along(tangents)
        bits = 0
        for index in along:
            bits |= 2 << index if index < len(self.inputs) else 1
        lost = {k: self._nan_slopes([k]) for k, z in enumerate(self.out) if z != z}
        reached = [
            k
            for k, own in enumerate(self.recording.slope_dependence.outputs)
            if (own & bits if self.out[k] == self.out[k] else not along.keys().isdisjoint(lost[k]))
        ]
        if not (self.single and reached):
            if not reached:
                return None if self.single else {}
            pushed = self._pushed(along, graph)
            return {k: pushed[k] for k in reached}
        if node.data != node.data:
            return node if graph else math.nan
        if graph:
            return self._pushed(along, graph)[0]
        slopes = self._slopes({0: 1.0}).tolist()
        return sum(slopes[index] * t for index, t in along.items() if slopes[index])

    def _pushed(self, along: dict[int, Any], graph: bool) -> list[Any]:
        """The tangents of all results, from tangents by index."""
        indices = tuple(sorted(along))
        compiled = self._derive(self.recording, ("tangents", (), indices))
        with nullcontext() if graph else no_grad():
            pushed: list[Any] = compiled(
                self._unchanged_inputs(), [along[index] for index in indices]
            )
        return pushed

    # ------------------------------------------------------------------ as a scalar graph

    def unfold(self, nodes: list[Value]) -> None:
        """Turn results of the call into what they would be without `compile`.

        `nodes` are nodes that stand for results of this call; they become nodes of a scalar graph.
        """
        with one_pass:
            if self._unfolded is None:
                self._unfolded = self._scalars()
            scalars, outputs = self._unfolded, self.recording.program.tape.outputs.tolist()
            results = {outputs[_output_of(node)]: node for node in nodes}
            outside = set(map(id, [*self.recording.parameters, *self.inputs]))
            replaced = {
                scalars[at]: node for at, node in results.items() if id(scalars[at]) not in outside
            }
            for node in scalars:
                if type(node) is Value:
                    node.a, node.b = replaced.get(node.a, node.a), replaced.get(node.b, node.b)
            for at, node in results.items():
                self._become(node, scalars[at], id(scalars[at]) in outside)
                scalars[at] = node
            self._fill_adjoints(scalars, list(results.values()))

    def _become(self, node: Value, scalar: Any, outside: bool) -> None:
        """Turn a result into a node of the scalar graph."""
        op, scope, line = None, self.scope, ""
        fields: dict[str, Any] = {"a": None, "b": None}
        if outside:  # a leaf or an argument that was chosen: the result is +scalar
            op, fields = vars(Ops)["__pos__"], {"a": scalar, "b": None, "x": scalar.data}
        elif type(scalar) is Value:
            op, scope, line = scalar.op, scalar.row.scope, scalar.line
            names = [name for name in ("a", "b", "x", "y") if hasattr(scalar, name)]
            fields = {name: getattr(scalar, name) for name in names}
        label = node.label or (scalar.label if type(scalar) is Value and not outside else "")
        note = Note(op, label, scope if node.scope == self.scope else node.scope, line)
        note.hooks = node.hooks
        fields["row"] = note
        at_once(map(setattr, [node] * len(fields), fields, fields.values()))

    def _scalars(self) -> list[Any]:
        """Every node of the tape at the numbers of this call, on the real leaves and arguments."""
        parameters = [Value(number) for number in self.numbers.tolist()]
        inputs: list[Any] = self.row.tolist()
        real = dict(zip(parameters, self.recording.parameters, strict=True))
        for k, value in enumerate(self.inputs):
            if value is not None:
                inputs[k] = Value(inputs[k])
                real[inputs[k]] = value
        program = self.recording.program
        with entered(None):  # recorded, whatever mode is active
            nodes = program.replayed(parameters, inputs, labels=True, scope=self.scope)
        for node in nodes:
            if type(node) is Value:
                node.a, node.b = real.get(node.a, node.a), real.get(node.b, node.b)  # type: ignore[arg-type]
        return [real.get(node, node) if type(node) is Value else node for node in nodes]

    def _fill_adjoints(self, scalars: list[Any], results: list[Value]) -> None:
        """Give the inner nodes the adjoints that a pass over the scalar graph would give them."""
        if all(node._grad is UNTOUCHED for node in results):
            return
        tape = self.recording.program.tape
        inner = [n for n in scalars[tape.sources :] if type(n) is Value and not n.is_leaf]
        outside = {p for node in inner for p in node.parents} - set(inner)
        undo = grad_writer(outside, grads(outside))
        try:
            adjoints = {node: node._grad for node in results}
            for node in inner:
                node._grad = adjoints.get(node, 0.0)
            for node in reversed(inner):
                if node._grad and node.op is not None:
                    node.op.pullback(node)
        finally:
            undo()


class _Output(Block):
    """One of several results of a call, which is parent a."""

    def __init__(self, k: int) -> None:
        self.k = k

    def call_of(self, node: Any) -> "CompiledCall | None":
        """The call."""
        call: CompiledCall = node.a.op
        return call

    def pullback(self, node: Any) -> None:
        """Add the adjoint to those of the call."""
        node.a._grad = node.a._grad + Weights({self.k: node._grad})

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """The adjoint, for the call."""
        if node.data != node.data:
            adjoint = adjoint * node  # nan, and it depends on the call
        yield node.a, Weights({self.k: adjoint})

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangent, from those of the call."""
        tangent = tangents[node.a].get(self.k)
        if tangent is not None and node.data != node.data:
            return node if graph else math.nan
        return tangent


_outputs: list[_Output] = []


def _output(k: int) -> _Output:
    while len(_outputs) <= k:
        _outputs.append(_Output(len(_outputs)))
    return _outputs[k]


def _output_of(node: Value) -> int:
    """Which result of its call a node is."""
    op: Any = node.op
    return op.k if type(op) is _Output else 0


def results(call: CompiledCall, values: int) -> list[Any]:
    """The outputs of a call as the function itself would return them.

    Outputs that depend on Values are Values, the others numbers.

    Args:
        call: the call.
        values: a bit for each number of the arguments: whether it is a Value.
    """
    recording, described, scope = call.recording, call.recording.result, call.scope
    a, b = (None if bundle is None else bundle.top for bundle in call.bundles)
    leading = (call.bundles[1] is not None) | values << 1
    hub: Any = None
    nodes: dict[int, Value] = {}
    shown: list[Any] = []
    outputs = recording.program.tape.outputs.tolist()
    for k, (z, at) in enumerate(zip(call.out, outputs, strict=True)):
        alias = described.aliases[k]
        if not described.value_bits[k] & (values << 1 | ALWAYS):
            shown.append(z if described.types is None else described.types[k](z))
        elif alias is not None:
            shown.append(alias if type(alias) is Value else call.inputs[alias])
        elif not recording.dependence.outputs[k] & leading:
            shown.append(Value(z))
        else:
            if at not in nodes and call.single:
                nodes[at] = block_node(call, z, a, b, scope)
            elif at not in nodes:
                hub = block_node(call, 0.0, a, b, scope) if hub is None else hub
                nodes[at] = block_node(_output(k), z, hub, None, scope)
            shown.append(nodes[at])
    return shown


def _bundles(
    recording: Recording, inputs: list[Value | None]
) -> tuple[Bundle | None, Bundle | None]:
    """The arguments that a call depends on, and its parameters."""
    width, bits = len(inputs), 0
    for own_bits in recording.dependence.outputs:
        bits |= own_bits
    used = {k: v for k, v in enumerate(inputs) if v is not None and bits >> (k + 1) & 1}
    arguments = bundled(list(used.values()), list(used))
    parameters = recording.parameters
    if "bundle" not in recording.derived:
        reached = recording.dependence.parameters
        recording.derived["bundle"] = bundled(
            [parameters[k] for k in reached], [width + k for k in reached]
        )
    bundle: Bundle | None = recording.derived["bundle"]
    call = present_call()
    while call is not None and call.around is not None:
        call = call.around
    if call is not None and not call.records and bundle is not None:
        # The outermost transform gives plain numbers, so it needs only the leaves that it owns.
        owned = [k for k in bundle.indices if call.owns(parameters[k - width])]
        bundle = bundled([parameters[k - width] for k in owned], owned)
    return arguments, bundle


def derived(recording: Recording, name: Name) -> Callable[..., Any]:
    """A function that is derived from a recording.

    `("slopes", outputs, indices)` takes the inputs and weights of some outputs.  It gives the
    gradient of their weighted sum in the inputs and parameters with these indices.
    `("tangents", (), indices)` takes the inputs and tangents of those, and gives the tangents of
    all outputs.  `("hvp", (), ())` takes parameters, inputs and a vector, and gives the Hessian of
    the first output in the parameters times the vector.
    """
    kind, outputs, indices = name
    parameters, replay = recording.parameters, recording.program.evaluate

    def part(x: list[Any]) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        """The numbers with these indices, and the results as a function of them."""
        everything = [*x, *parameters]

        def results(chosen: list[Any]) -> list[Any]:
            entered = list(everything)
            for index, value in zip(indices, chosen, strict=True):
                entered[index] = value
            return replay(entered[len(x) :], entered[: len(x)])

        return [everything[index] for index in indices], results

    def slopes(x: list[Any], weights: list[Any]) -> Any:
        chosen, results = part(x)

        def some(chosen: list[Any]) -> list[Any]:
            every = results(chosen)
            return [every[k] for k in outputs]

        return vjp(some, chosen)[1](weights)[0]

    def tangents(x: list[Any], directions: list[Any]) -> Any:
        chosen, results = part(x)
        return jvp(results, (chosen,), (directions,))[1]

    def product(own: list[Any], x: list[Any], vector: list[Any]) -> Any:
        return hvp(lambda p: replay(p, x)[0], own, vector)

    kinds: dict[str, Callable[..., Any]]
    kinds = {"slopes": slopes, "tangents": tangents, "hvp": product}
    return kinds[kind]
