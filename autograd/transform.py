"""Derivatives as functions of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

Arguments and results are numbers in any nesting of lists, tuples and dicts.  The transforms nest:
where a derivative depends on anything from outside of the differentiated function (a Value among
the arguments, a parameter that the function uses, the variable of an outer derivative), it is
recorded too, and what is returned are Values.  Inside `no_grad()` it is always numbers.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, SupportsIndex, cast, overload

from autograd.adjoints import gradients_of, recorded_operands, refuse_choices
from autograd.modes import Call, nonfinite
from autograd.nestings import Tree, leaves, mapped, matched, rebuilt, without_values
from autograd.operands import item, number, unboxed
from autograd.order import visited
from autograd.value import Value, fault, is_value, leaf_of

Argnums = SupportsIndex | Sequence[SupportsIndex]


# ---------------------------------------------------------------------- a call of a transform


@dataclass(slots=True)
class _Forward:
    """What a transform's function did at a point: how its arguments entered, and the graph.

    Attributes:
        what: the transform's name.
        nodes: the numbers of the arguments, as they entered.
        result: what the function returned; `outputs` are its numbers as Values.
        aux: what it returned beside the result.
        before: the Values among the arguments; the graph is not followed into them.
        values: whether it leads out of the call and the caller records: Values are returned then.
        graph: whether the derivative must be recorded.
    """

    call: Call
    what: str
    nodes: list[Value]
    result: Tree
    outputs: list[Value]
    aux: Any
    before: list[Value]
    inner: list[Value]
    ends: list[Value]
    values: bool
    graph: bool

    def gradient(self, seeds: list[tuple[Value, Any]], graph: bool) -> list[Any]:
        """The derivatives of the sum of seed * output in the nodes."""
        return gradients_of(self.inner, self.ends, seeds, self.nodes, graph)

    def again(self, seeds: list[tuple[Any, Any]], graph: bool) -> list[Any]:
        """The same for what was itself computed by a recorded backward pass."""
        known = [(slope, seed) for slope, seed in seeds if isinstance(slope, Value)]
        inner, ends = visited(*(slope for slope, _ in known), without=self.before)
        return gradients_of(inner, ends, known, self.nodes, graph)

    def shown(self, found: list[Any], values: bool) -> list[Any]:
        """What is returned: Values, or numbers where nothing is to be differentiated further."""
        if values:
            return [one if is_value(one) else leaf_of(one) for one in found]
        return [one.data if isinstance(one, Value) else float(one) for one in found]

    def check(self, shown: list[Any], values: bool, seeds: list[tuple[Any, Any]]) -> None:
        """Warn, or raise under `detect_anomaly`, if a number that is returned is inf or nan."""
        if self.call.traces:
            return
        numbers = [one.data for one in shown] if values else shown
        if not all(map(math.isfinite, numbers)):
            _complain(self.what, numbers, seeds)


def _complain(what: str, numbers: list[float], seeds: list[tuple[Any, Any]]) -> None:
    text, plain = "", [(root, item(seed)) for root, seed in seeds if isinstance(root, Value)]
    for some in (plain[:1], plain):  # what the user wrote, before what was made to derive it
        text = text or fault(*visited(*(root for root, _ in some)), some)
    bad = next(one for one in numbers if not math.isfinite(one))
    nonfinite(f"{what}: {text or f'the result is {bad!r}'}")


def _forward(
    what: str,
    function: Callable[..., Any],
    args: Sequence[Tree],
    chosen: Sequence[int],
    kwargs: dict[str, Any],
    single: bool = False,
    has_aux: bool = False,
) -> _Forward:
    """The function at these arguments, recorded, to be differentiated in the chosen ones.

    A Value enters through a node of its own (+v), so that an inner derivative cannot mistake the
    outer variable for its own (perturbation confusion) and the outer one still sees through it.
    """
    call = Call()
    records = call.records
    nodes: list[Value] = []
    before: list[Value] = []

    def enter(leaf: Any) -> Value:
        node: Value
        if not isinstance(leaf, Value):
            node = Value(leaf if type(leaf) is float else number(leaf, what))
        elif records:
            node = +leaf
            before.extend(node.parents)  # a plain number on a tape enters as a leaf
        elif type(leaf) is Value:
            node = leaf.detach()
        else:
            node = +leaf.detach()  # what is on a tape is cut off, and enters as a leaf
        nodes.append(node)
        return node

    def inside() -> tuple[Tree, Any, list[Value]]:
        arguments = list(args)
        for k in chosen:
            arguments[k] = mapped(enter, args[k])
        result, aux = function(*arguments, **kwargs), None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"{what}: with has_aux the function must return (result, aux)")
            result, aux = result
        parts = [result] if single else leaves(result)
        return result, aux, [_output(part, what) for part in parts]

    result, aux, outputs = call.run(inside)
    beside = [part for part in leaves(aux) if isinstance(part, Value)] if has_aux else []
    inner, ends = visited(*outputs, *beside, without=before)
    values = records and (not call.owns_all(ends) or _reaches(inner, [*outputs, *beside], before))
    graph = values or call.traces
    return _Forward(
        call, what, nodes, result, outputs, aux=aux, before=before, inner=inner, ends=ends,
        values=values, graph=graph,
    )  # fmt: skip


def _reaches(inner: list[Value], outputs: list[Value], before: list[Value]) -> bool:
    """Whether any of the Values `before` is an output, or an operand of a node."""
    if not before:
        return False
    known: set[Value | None] = set(before)
    return any(output in known for output in outputs) or any(
        node.a in known or node.b in known for node in inner
    )


def _output(part: Any, what: str) -> Value:
    """A result of a function as a Value; a plain number depends on nothing."""
    if isinstance(part, Value):
        return part if is_value(part) else +part
    if isinstance(part, list | tuple | dict):
        raise TypeError(f"{what}: the function must return one number, got {part!r}; use vjp")
    if isinstance(unboxed(part), bool):
        raise TypeError(
            f"{what}: the function returned a truth value, {part!r}, as a comparison does; "
            "it has no slope"
        )
    return Value(number(part, f"{what}: the function's result"))


def argument_numbers(argnums: Argnums, what: str) -> tuple[int, ...]:
    """The arguments that are chosen, as a tuple."""
    try:
        if isinstance(argnums, SupportsIndex):
            return (operator.index(argnums),)
        return tuple(operator.index(k) for k in argnums)
    except TypeError:
        raise TypeError(
            f"{what}: argnums must be a whole number or several, as in (0, 1), got {argnums!r}"
        ) from None


def from_the_start(positions: tuple[int, ...], args: Sequence[Any]) -> list[int]:
    """The same from the start; negative ones are counted from the last argument."""
    count = len(args)
    for k in positions:
        if not -count <= k < count:
            raise TypeError(f"no argument {k} to differentiate: {count} given by position")
    found = [k % count for k in positions]
    if len(found) > 1 and len(set(found)) < len(found):
        raise ValueError(f"argnums {positions} has an argument twice")
    return found


def _like(args: Sequence[Tree], chosen: list[int], argnums: Argnums) -> Tree:
    """The nesting of a derivative in the chosen arguments: a tuple if there may be several."""
    if hasattr(argnums, "__index__"):
        return args[chosen[0]]
    return tuple(args[k] for k in chosen)


# ---------------------------------------------------------------------- the transforms


@overload
def grad(f: Value, inputs: Tree, create_graph: bool = ...) -> Tree: ...
@overload
def grad(
    f: Callable[..., Any], argnums: Argnums = ..., /, *, has_aux: bool = ...
) -> Callable[..., Tree]: ...
@overload
def grad(
    f: Callable[..., Any], *, argnums: Argnums, has_aux: bool = ...
) -> Callable[..., Tree]: ...
def grad(
    f: Any,
    inputs: Any = None,
    create_graph: bool = False,
    *,
    argnums: Argnums | None = None,
    has_aux: bool = False,
) -> Any:
    """d(output)/d(inputs), or the function that computes the gradient of a function.

    `grad(output, inputs)` takes a Value and Values in any nesting, and returns numbers in the same
    nesting; no `.grad` is touched.  With `create_graph=True` they are Values, so that they can be
    differentiated again.  An input that the output does not depend on has derivative 0.

    `grad(f)` returns a function of the same arguments as `f` whose result is the gradient with
    respect to the first argument; `grad(f, 1)` the second, `grad(f, -1)` the last, and
    `grad(f, argnums=(0, 1))` a tuple of both.  With `has_aux`, f returns (result, anything else),
    and the function (gradient, anything else).  It returns numbers where the result depends on
    its numbers alone, and Values where it depends on Values from outside, such as an argument, a
    parameter that f uses, or the variable of an outer derivative.

    Warns (NonFiniteWarning) where the output or a derivative is inf or nan, naming the first
    operation at fault.  Raises TypeError if `f` is neither, if an input is not a Value, or if f's
    result is not one number; RuntimeError if a recorded pass meets a leaf that changed since the
    forward pass.

    >>> x = Value(3.0)
    >>> grad(x**3, x)
    27.0
    >>> (slope,) = grad(x**3, [x], create_graph=True)
    >>> grad(slope, x)
    18.0
    >>> grad(lambda p: p["w"] * p["x"] + p["b"])({"w": 2.0, "x": -1.0, "b": 0.5})
    {'w': -1.0, 'x': 2.0, 'b': 1.0}
    >>> grad(lambda x: x * grad(lambda y: x * y)(1.0))(2.0)
    4.0
    """
    if isinstance(f, Value):
        return _of_output(f, inputs, create_graph)
    if not callable(f):
        raise TypeError(f"grad: expected a Value or a function, got {type(f).__name__}")
    if create_graph:
        raise TypeError(
            "grad: create_graph is for grad(output, inputs); the gradient of a function is a Value "
            "wherever it depends on Values"
        )
    if inputs is not None:
        if argnums is not None:
            raise TypeError("grad: the arguments to differentiate are given twice")
        argnums = inputs
    both = value_and_grad(f, 0 if argnums is None else argnums, has_aux=has_aux)

    @_wraps(f)
    def gradient(*args: Tree, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def _of_output(output: Value, inputs: Tree, create_graph: bool) -> Tree:
    """`grad(output, inputs)`."""
    wanted = list(leaves(inputs))
    for node in wanted:
        if not isinstance(node, Value):
            raise TypeError(f"grad: inputs must be Values, got {type(node).__name__}")
    call, seeds = Call(), [(output, 1.0)]
    inner, ends = visited(output)
    found = gradients_of(inner, ends, seeds, wanted, create_graph or call.traces)
    if create_graph:
        found = [one if isinstance(one, Value) else Value(one) for one in found]
    if not call.traces:
        numbers = [item(one) for one in (output, *found)]
        if not all(map(math.isfinite, numbers)):
            _complain("grad", numbers, seeds)
    elif not create_graph:
        found = [one if type(one) is float else one.data for one in found]
    return rebuilt(inputs, iter(found))


def _wraps(f: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`functools.wraps` for a function that may be a model, whose attributes stay its own."""
    return wraps(f, updated=())


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Tree]]:
    """The function that returns (f(...), gradient) with respect to the chosen argument(s).

    With `has_aux`, f returns (result, anything else), and so is the first part of what comes back.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    >>> value_and_grad(lambda x: (x * x, "aux"), has_aux=True)(3.0)
    ((9.0, 'aux'), 6.0)
    """
    if not callable(f):
        raise TypeError(f"value_and_grad: expected a function, got {type(f).__name__}")
    positions = argument_numbers(argnums, "grad")

    @_wraps(f)
    def both(*args: Tree, **kwargs: Any) -> tuple[Any, Tree]:
        chosen = from_the_start(positions, args)
        ran = _forward("grad", f, args, chosen, kwargs, single=True, has_aux=has_aux)
        seeds: list[tuple[Value, Any]] = [(ran.outputs[0], 1.0)]
        found = ran.shown([*ran.outputs, *ran.gradient(seeds, ran.graph)], ran.values)
        ran.check(found, ran.values, seeds)
        numbers = iter(found)
        value = next(numbers)
        if has_aux:
            value = value, ran.aux if ran.values else without_values(ran.aux)
        return value, rebuilt(_like(args, chosen, argnums), numbers)

    return both


def vjp(f: Callable[..., Tree], *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """f's result, and the function from weights on the result to the gradient of each argument.

    >>> out, pull = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> out, pull([1.0, 10.0])
    ([6.0, 5.0], (13.0, 12.0))
    """
    ran = _forward("vjp", f, primals, range(len(primals)), {})
    outputs, result = ran.outputs, ran.result

    def pull(weights: Tree) -> tuple[Tree, ...]:
        seeds = list(zip(outputs, matched(result, weights, "vjp's weights"), strict=True))
        now = Call()
        values = now.records and (ran.values or any(is_value(w) for _, w in seeds))
        found = ran.gradient(seeds, values or now.traces)
        found = ran.shown(found, values)
        ran.check([*ran.shown(outputs, values), *found], values, seeds)
        return tuple(rebuilt(list(primals), iter(found)))

    return rebuilt(result, iter(ran.shown(outputs, ran.values))), pull


def jvp(
    f: Callable[..., Tree], primals: tuple[Tree, ...], tangents: tuple[Tree, ...]
) -> tuple[Tree, Tree]:
    """f's result, and its derivative along the direction `tangents` (forward accumulation).

    >>> jvp(lambda x, y: [x * y, x + y], (2.0, 3.0), (1.0, 0.0))
    ([6.0, 5.0], [3.0, 1.0])
    """
    directions = matched(list(primals), list(tangents), "jvp's tangents")
    ran = _forward("jvp", f, primals, range(len(primals)), {})
    call, outputs = ran.call, ran.outputs
    values = ran.values or (call.records and any(map(is_value, directions)))
    slopes = _pushed(ran, directions, values or call.traces)
    found = ran.shown([*outputs, *slopes], values)
    ran.check(found, values, [(output, 1.0) for output in outputs])
    numbers = iter(found)
    return rebuilt(ran.result, numbers), rebuilt(ran.result, numbers)


def _pushed(ran: _Forward, directions: list[Any], graph: bool) -> list[Any]:
    """The derivatives of the outputs along a direction of the nodes."""
    tangent: dict[Value | None, Any] = {}
    for node, t in zip(ran.nodes, directions, strict=True):
        if isinstance(t, Value):
            tangent[node] = t if graph else t.data
        elif t != 0.0:
            tangent[node] = t
    (_push_values if graph else _push_numbers)(ran, tangent)
    return [tangent.get(output, 0.0) for output in ran.outputs]


def _push_numbers(ran: _Forward, tangent: dict[Value | None, Any]) -> None:
    """Give every node that depends on those with a tangent its own, a number."""
    for node in ran.inner:
        if node.a in tangent or node.b in tangent:
            z, op = node.data, cast(Any, node.op)
            if op.many:
                total = op.push(node, tangent, False)
            elif z != z:
                total = math.nan
            else:
                total = _total(op, node, tangent, node.x, getattr(node, "y", None), z)
            if total is not None:
                tangent[node] = total


def _push_values(ran: _Forward, tangent: dict[Value | None, Any]) -> None:
    """The same with recorded operations."""
    refuse_choices(ran.ends, ran.nodes)
    for node in ran.inner:
        if (node.a in tangent or node.b in tangent) and node not in tangent:
            op = cast(Any, node.op)
            if op.many:
                total = op.push(node, tangent, True)
            elif type(node) is Value and node.data != node.data:
                total = node  # its own derivative, which is nan and depends on it
            else:
                total = _total(op, node, tangent, *recorded_operands(node), node)
            if total is not None:
                tangent[node] = total
    if ran.call.traces:  # numbers on a tape are asked at the outputs only
        for output in dict.fromkeys(ran.outputs):
            z = output.data
            if output in tangent and not z == z:  # noqa: SIM201 - asked as a backward pass asks
                tangent[output] = output


def _total(op: Any, node: Value, tangent: dict[Value | None, Any], x: Any, y: Any, z: Any) -> Any:
    """The tangent of a node from those of its operands; None if it does not depend on them.

    As backward, what a local derivative of 0 stops cannot make nan out of 0 * inf.
    """
    total = None
    for k, t in ((1, tangent.get(node.a)), (2, tangent.get(node.b))):
        if t is not None:
            factor = (op.dx if k == 1 else op.dy)(x, y, z)
            if isinstance(factor, Value) or factor != 0:
                total = factor * t if total is None else factor * t + total
            elif total is None and op.texts[k] != "0.0":
                total = 0.0
    return total


def jacobian(f: Callable[..., Tree], argnums: Argnums = 0) -> Callable[..., Tree]:
    """The function that computes f's derivatives: for each number of its result, a nesting like
    the argument(s).

    It makes a backward pass for each number of the result, or a forward pass for each number of
    the argument, whichever are fewer.

    >>> jacobian(lambda p: [p[0] * p[1], p[0] + p[1]])([2.0, 3.0])
    [[3.0, 2.0], [1.0, 1.0]]
    >>> jacobian(lambda x, y: {"product": x * y}, argnums=(0, 1))(2.0, 3.0)
    {'product': (3.0, 2.0)}
    """
    if not callable(f):
        raise TypeError(f"jacobian: expected a function, got {type(f).__name__}")
    positions = argument_numbers(argnums, "jacobian")

    @_wraps(f)
    def matrix(*args: Tree, **kwargs: Any) -> Tree:
        chosen = from_the_start(positions, args)
        ran = _forward("jacobian", f, args, chosen, kwargs)
        nodes, outputs = ran.nodes, ran.outputs
        if len(outputs) <= len(nodes):
            rows = [ran.gradient([(output, 1.0)], ran.graph) for output in outputs]
        else:
            directions = [[float(one is node) for one in nodes] for node in nodes]
            columns = [_pushed(ran, direction, ran.graph) for direction in directions]
            rows = [list(row) for row in zip(*columns, strict=True)] or [[] for _ in outputs]
        found = ran.shown([one for row in rows for one in row], ran.values)
        values = ran.shown(outputs, ran.values)
        ran.check([*values, *found], ran.values, [(output, 1.0) for output in outputs])
        like, numbers = _like(args, chosen, argnums), iter(found)
        return rebuilt(ran.result, iter([rebuilt(like, numbers) for _ in rows]))

    return matrix


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Tree]:
    """The function that computes f's second derivatives: for each number of the argument(s), a
    nesting like the argument(s).

    >>> hessian(lambda p: p[0] ** 2 * p[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """
    if not callable(f):
        raise TypeError(f"hessian: expected a function, got {type(f).__name__}")
    positions = argument_numbers(argnums, "hessian")

    @_wraps(f)
    def second(*args: Tree, **kwargs: Any) -> Tree:
        chosen = from_the_start(positions, args)
        ran = _forward("hessian", f, args, chosen, kwargs, single=True)
        first = ran.call.run(ran.gradient, [(ran.outputs[0], 1.0)], True)
        rows = [ran.again([(slope, 1.0)], ran.graph) for slope in first]
        found = ran.shown([one for row in rows for one in row], ran.values)
        seeds = [(slope, 1.0) for slope in (*ran.outputs, *first)]
        ran.check([*ran.shown(ran.outputs, ran.values), *found], ran.values, seeds)
        like, numbers = _like(args, chosen, argnums), iter(found)
        return rebuilt(like, iter([rebuilt(like, numbers) for _ in rows]))

    return second


def hvp(f: Callable[[Tree], Any], x: Tree, v: Tree) -> Tree:
    """The Hessian of f at x times v, in the nesting of x, without the Hessian (Pearlmutter 1994).

    >>> hvp(lambda p: p[0] ** 2 * p[1], [3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    weights = matched(x, v, "hvp's vector")
    ran = _forward("hvp", f, [x], [0], {}, single=True)
    call = ran.call
    values = ran.values or (call.records and any(map(is_value, weights)))
    first = call.run(ran.gradient, [(ran.outputs[0], 1.0)], True)
    along = list(zip(first, weights, strict=True))
    found = ran.shown(ran.again(along, values or call.traces), values)
    shown = ran.shown(ran.outputs, values)
    ran.check([*shown, *found], values, [(ran.outputs[0], 1.0), *along])
    return rebuilt(x, iter(found))
