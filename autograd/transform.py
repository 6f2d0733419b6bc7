"""Derivatives as functions of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

Arguments and results are numbers in any nesting of lists, tuples and dicts.  The transforms nest:
if a derivative depends on anything from outside the differentiated function (a Value among the
arguments, a parameter that the function uses, the variable of an outer derivative), it is recorded
too, and Values are returned.  Inside `no_grad()` the results are always numbers.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, SupportsIndex, overload

from autograd.adjoints import gradients_of
from autograd.modes import Call, nonfinite
from autograd.nestings import Tree, leaves, mapped, matched, rebuilt, without_values
from autograd.operands import item, number, unboxed
from autograd.order import visited
from autograd.tangents import pushed
from autograd.value import Value, fault, is_value, leaf_of

Argnums = SupportsIndex | Sequence[SupportsIndex]


# ---------------------------------------------------------------------- a call of a transform


@dataclass(slots=True)
class _Forward:
    """The forward pass of a transform's function: its inputs, its result and the graph.

    Attributes:
        name: the transform's name.
        nodes: the input nodes, one for each number of the arguments.
        result: what the function returned; `outputs` are its numbers as Values.
        aux: what it returned besides the result.
        before: the Values among the arguments; the graph is not followed beyond them.
        inner, ends: the graph's computed nodes and its leaves.
        values: whether Values are returned: the graph leaves the call, and the caller records.
        lost: the texts on infinite slopes that an adjoint of 0 met.
    """

    call: Call
    name: str
    nodes: list[Value]
    result: Tree
    outputs: list[Value]
    aux: Any
    before: list[Value]
    inner: list[Value]
    ends: list[Value]
    values: bool
    lost: list[str] = field(default_factory=list)

    def gradient(
        self, seeds: list[tuple[Value, Any]], values: bool, call: Call | None = None
    ) -> list[Any]:
        """The derivatives of the sum of seed * output in the input nodes, as Values or numbers.

        `call` is that of the backward pass, if it comes later.
        """
        call = call or self.call
        return gradients_of(
            self.inner, self.ends, seeds, self.nodes, values or call.traces,
            as_numbers=call.quiet or not values, lost=self.lost,
        )  # fmt: skip

    def first(self) -> list[Any]:
        """The derivatives of the output in the input nodes, to be differentiated again."""
        return gradients_of(self.inner, self.ends, [(self.outputs[0], 1.0)], self.nodes, True)

    def pushed(self, directions: list[Any], values: bool) -> list[Any]:
        """The derivatives of the outputs in a direction of the input nodes."""
        return pushed(
            self.inner, self.ends, self.outputs, dict(zip(self.nodes, directions, strict=True)),
            values or self.call.traces, as_numbers=self.call.quiet or not values, lost=self.lost,
        )  # fmt: skip

    def again(self, seeds: list[tuple[Any, Any]], values: bool) -> list[Any]:
        """The same for seed * slope, where a recorded backward pass computed the slopes."""
        known = [(slope, seed) for slope, seed in seeds if isinstance(slope, Value)]
        return gradients_of(
            *visited(*(slope for slope, _ in known), without=self.before), known, self.nodes,
            values or self.call.traces, as_numbers=self.call.quiet or not values, lost=self.lost,
        )  # fmt: skip

    def returned(self, results: list[Any], values: bool) -> list[Any]:
        """The results as they are returned: as Values, or as plain numbers."""
        if values:
            return [v if is_value(v) else leaf_of(v) for v in results]
        return [v.data if isinstance(v, Value) else float(v) for v in results]

    def check(self, returned: list[Any], values: bool, seeds: list[tuple[Any, Any]]) -> None:
        """Warn, or raise under `detect_anomaly`, if a returned number is inf or nan."""
        if self.call.traces:
            return
        numbers = [v.data for v in returned] if values else returned
        if not all(map(math.isfinite, numbers)):
            _complain(self.name, numbers, seeds)
        elif self.lost:
            nonfinite(f"{self.name}: {self.lost.pop()}")


def _complain(name: str, numbers: list[float], seeds: list[tuple[Any, Any]]) -> None:
    text, plain = "", [(root, item(seed)) for root, seed in seeds if isinstance(root, Value)]
    for part in (plain[:1], plain):  # the user's output first, then the slopes computed from it
        text = text or fault(*visited(*(root for root, _ in part)), part)
    bad = next(number for number in numbers if not math.isfinite(number))
    nonfinite(f"{name}: {text or f'the result is {bad!r}'}")


def _forward(
    name: str,
    function: Callable[..., Any],
    args: Sequence[Tree],
    chosen: Sequence[int],
    kwargs: dict[str, Any],
    single: bool = False,
    has_aux: bool = False,
) -> _Forward:
    """The function's recorded forward pass, to be differentiated in the chosen arguments.

    A Value enters through a new node (+v), so that an inner derivative cannot mistake the outer
    variable for its own (perturbation confusion), while the outer derivative still reaches it.
    """
    call = Call()
    records = call.records
    nodes: list[Value] = []
    before: list[Value] = []

    def enter(leaf: Any) -> Value:
        node: Value
        if not isinstance(leaf, Value):
            node = Value(leaf if type(leaf) is float else number(leaf, name))
        elif records:
            node = +leaf
            before.extend(node.parents)  # a plain number on a tape enters as a leaf
        elif type(leaf) is Value:
            node = leaf.detach()
        else:
            node = +leaf.detach()  # a Value on a tape is detached, and enters as a leaf
        nodes.append(node)
        return node

    def inside() -> tuple[Tree, Any, list[Value]]:
        arguments = list(args)
        for k in chosen:
            arguments[k] = mapped(enter, args[k])
        result, aux = function(*arguments, **kwargs), None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"{name}: with has_aux, the function must return (result, aux)")
            result, aux = result
        parts = [result] if single else leaves(result)
        return result, aux, [_output(part, name) for part in parts]

    result, aux, outputs = call.run(inside)
    beside = [part for part in leaves(aux) if isinstance(part, Value)] if has_aux else []
    inner, ends = visited(*outputs, *beside, without=before)
    values = records and (not call.owns_all(ends) or _reaches(inner, [*outputs, *beside], before))
    return _Forward(
        call, name, nodes, result, outputs, aux=aux, before=before, inner=inner, ends=ends,
        values=values,
    )  # fmt: skip


def _reaches(inner: list[Value], outputs: list[Value], before: list[Value]) -> bool:
    """Whether any of the Values `before` is an output, or an operand of a node."""
    if not before:
        return False
    known: set[Value | None] = set(before)
    return any(output in known for output in outputs) or any(
        node.a in known or node.b in known for node in inner
    )


def _output(part: Any, name: str) -> Value:
    """A result of a function as a Value; a plain number depends on nothing."""
    if isinstance(part, Value):
        return part if is_value(part) else +part
    if isinstance(part, list | tuple | dict):
        raise TypeError(f"{name}: the function must return one number, got {part!r}; use vjp")
    if isinstance(unboxed(part), bool):
        raise TypeError(
            f"{name}: the function returned a truth value, {part!r}, which has no derivative; "
            "return a number instead of a comparison"
        )
    return Value(number(part, f"{name}: the function's result"))


def argument_numbers(argnums: Argnums, name: str) -> tuple[int, ...]:
    """The positions of the chosen arguments, as a tuple."""
    try:
        if isinstance(argnums, SupportsIndex):
            return (operator.index(argnums),)
        if not isinstance(argnums, dict):
            return tuple(operator.index(k) for k in argnums)
        raise TypeError  # its keys are no sequence
    except TypeError:
        raise TypeError(
            f"{name}: argnums must be a whole number or several, as in (0, 1), got {argnums!r}"
        ) from None


def from_the_start(positions: tuple[int, ...], args: Sequence[Any]) -> list[int]:
    """The positions counted from the start; negative ones count from the last argument."""
    count = len(args)
    for k in positions:
        if not -count <= k < count:
            raise TypeError(f"no argument {k} to differentiate: {count} given by position")
    indices = [k % count for k in positions]
    if len(indices) > 1 and len(set(indices)) < len(indices):
        raise ValueError(f"argnums {positions} names an argument twice")
    return indices


def _like(args: Sequence[Tree], chosen: list[int], argnums: Argnums) -> Tree:
    """The nesting of a derivative in the chosen arguments: a tuple if argnums is a sequence."""
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
    and the function (gradient, anything else).  It returns numbers if the result depends on its
    numbers alone, and Values if it depends on Values from outside, such as an argument, a
    parameter that f uses, or the variable of an outer derivative.

    Warns (NonFiniteWarning) if the output or a derivative is inf or nan, or if an infinite slope
    may be lost because it met a 0, and names the operation at fault.  Raises TypeError if `f` is
    neither a Value nor a function, if an input is not a Value, or if f's result is not one number;
    RuntimeError if a recorded pass reaches a leaf that changed since the forward pass.

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
            "grad: create_graph is for grad(output, inputs); leave it out: the gradient of a "
            "function is a Value wherever it depends on Values"
        )
    if inputs is not None:
        if argnums is not None:
            raise TypeError("grad: argnums is given twice; pass it once")
        argnums = inputs
    both = value_and_grad(f, 0 if argnums is None else argnums, has_aux=has_aux)

    @_wraps(f)
    def gradient(*args: Tree, **kwargs: Any) -> Any:
        value, slopes = both(*args, **kwargs)
        return (slopes, value[1]) if has_aux else slopes

    return gradient


def _of_output(output: Value, inputs: Tree, create_graph: bool) -> Tree:
    """`grad(output, inputs)`."""
    wanted = list(leaves(inputs))
    for node in wanted:
        if not isinstance(node, Value):
            raise TypeError(f"grad: inputs must be Values, got {type(node).__name__}")
    call, seeds = Call(), [(output, 1.0)]
    inner, ends = visited(output)
    graph, lost = create_graph or call.traces, list[str]()
    plain = call.quiet or not create_graph
    slopes = gradients_of(inner, ends, seeds, wanted, graph, plain, lost)
    if create_graph:
        slopes = [v if isinstance(v, Value) else Value(v) for v in slopes]
    if not call.traces:
        numbers = [item(v) for v in (output, *slopes)]
        if not all(map(math.isfinite, numbers)):
            _complain("grad", numbers, seeds)
        elif lost:
            nonfinite(f"grad: {lost[0]}")
    elif not create_graph:
        slopes = [v if type(v) is float else v.data for v in slopes]
    return rebuilt(inputs, iter(slopes))


def _wraps(f: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`functools.wraps` that does not copy attributes, since the function may be a model."""
    return wraps(f, updated=())


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Tree]]:
    """The function that returns (f(...), gradient) with respect to the chosen argument(s).

    With `has_aux`, f returns (result, anything else), and this pair takes the place of f(...).

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
        forward = _forward("grad", f, args, chosen, kwargs, single=True, has_aux=has_aux)
        seeds: list[tuple[Value, Any]] = [(forward.outputs[0], 1.0)]
        slopes = forward.gradient(seeds, forward.values)
        returned = forward.returned([*forward.outputs, *slopes], forward.values)
        forward.check(returned, forward.values, seeds)
        numbers = iter(returned)
        value = next(numbers)
        if has_aux:
            value = value, forward.aux if forward.values else without_values(forward.aux)
        return value, rebuilt(_like(args, chosen, argnums), numbers)

    return both


def vjp(f: Callable[..., Tree], *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """f's result, and the function that maps weights on it to the gradient of each argument.

    >>> out, pull = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> out, pull([1.0, 10.0])
    ([6.0, 5.0], (13.0, 12.0))
    """
    forward = _forward("vjp", f, primals, range(len(primals)), {})
    outputs, result = forward.outputs, forward.result

    def pull(weights: Tree) -> tuple[Tree, ...]:
        seeds = list(zip(outputs, matched(result, weights, "vjp's weights"), strict=True))
        call = Call()
        values = call.records and (forward.values or any(is_value(w) for _, w in seeds))
        slopes = forward.returned(forward.gradient(seeds, values, call), values)
        forward.check([*forward.returned(outputs, values), *slopes], values, seeds)
        return tuple(rebuilt(list(primals), iter(slopes)))

    return rebuilt(result, iter(forward.returned(outputs, forward.values))), pull


def jvp(
    f: Callable[..., Tree], primals: tuple[Tree, ...], tangents: tuple[Tree, ...]
) -> tuple[Tree, Tree]:
    """f's result, and its derivative in the direction `tangents` (forward accumulation).

    >>> jvp(lambda x, y: [x * y, x + y], (2.0, 3.0), (1.0, 0.0))
    ([6.0, 5.0], [3.0, 1.0])
    """
    directions = matched(list(primals), list(tangents), "jvp's tangents")
    forward = _forward("jvp", f, primals, range(len(primals)), {})
    outputs = forward.outputs
    values = forward.values or (forward.call.records and any(map(is_value, directions)))
    slopes = forward.pushed(directions, values)
    returned = forward.returned([*outputs, *slopes], values)
    forward.check(returned, values, [(output, 1.0) for output in outputs])
    numbers = iter(returned)
    return rebuilt(forward.result, numbers), rebuilt(forward.result, numbers)


def jacobian(f: Callable[..., Tree], argnums: Argnums = 0) -> Callable[..., Tree]:
    """The function that computes f's derivatives: for each number of its result, a nesting like
    the argument(s).

    It takes a backward pass for each number of the result, or a forward pass for each number of
    the argument(s), whichever is fewer.

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
        forward = _forward("jacobian", f, args, chosen, kwargs)
        nodes, outputs = forward.nodes, forward.outputs
        if len(outputs) <= len(nodes):
            rows = [forward.gradient([(output, 1.0)], forward.values) for output in outputs]
        else:
            directions = [[float(other is node) for other in nodes] for node in nodes]
            columns = [forward.pushed(direction, forward.values) for direction in directions]
            rows = [list(row) for row in zip(*columns, strict=True)] or [[] for _ in outputs]
        slopes = forward.returned([slope for row in rows for slope in row], forward.values)
        values = forward.returned(outputs, forward.values)
        forward.check([*values, *slopes], forward.values, [(output, 1.0) for output in outputs])
        like, numbers = _like(args, chosen, argnums), iter(slopes)
        return rebuilt(forward.result, iter([rebuilt(like, numbers) for _ in rows]))

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
        forward = _forward("hessian", f, args, chosen, kwargs, single=True)
        outputs, values = forward.outputs, forward.values
        first = forward.call.run(forward.first)
        rows = [forward.again([(slope, 1.0)], values) for slope in first]
        slopes = forward.returned([slope for row in rows for slope in row], values)
        seeds = [(slope, 1.0) for slope in (*outputs, *first)]
        forward.check([*forward.returned(outputs, values), *slopes], values, seeds)
        like, numbers = _like(args, chosen, argnums), iter(slopes)
        return rebuilt(like, iter([rebuilt(like, numbers) for _ in rows]))

    return second


def hvp(f: Callable[[Tree], Any], x: Tree, v: Tree) -> Tree:
    """f's Hessian at x times v, in the nesting of x; the Hessian is not built (Pearlmutter 1994).

    >>> hvp(lambda p: p[0] ** 2 * p[1], [3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    weights = matched(x, v, "hvp's vector")
    forward = _forward("hvp", f, [x], [0], {}, single=True)
    call, output = forward.call, forward.outputs[0]
    values = forward.values or (call.records and any(map(is_value, weights)))
    slopes = call.run(forward.first)
    along = list(zip(slopes, weights, strict=True))
    products = forward.returned(forward.again(along, values), values)
    returned = [*forward.returned([output], values), *products]
    forward.check(returned, values, [(output, 1.0), *along])
    return rebuilt(x, iter(products))
