"""Derivatives as functions of functions: grad, value_and_grad, vjp, jvp, hessian, hvp.

Arguments and results are numbers in any nesting of lists, tuples and dicts.  The transforms nest:
a function that differentiates can itself be differentiated.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, overload

from autograd.ops import number
from autograd.value import Value, one_pass, recording, restorer, sweep, topological, visited

Tree = Any  # a number, a Value, or a list, tuple or dict of such


def leaves(tree: Tree) -> Iterator[Any]:
    """The numbers and Values of a nesting of lists, tuples and dicts, in order."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            stack += reversed(part.values())
        elif isinstance(part, list | tuple):
            stack += reversed(part)
        else:
            yield part


def rebuilt(tree: Tree, numbers: Iterator[Any]) -> Tree:
    """The same nesting with other leaves, taken in order."""
    if isinstance(tree, dict):
        return {key: rebuilt(part, numbers) for key, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(rebuilt(part, numbers) for part in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(rebuilt(part, numbers) for part in tree)
    return next(numbers)


def _matched(tree: Tree, other: Tree, what: str) -> list[Any]:
    count, numbers = sum(1 for _ in leaves(tree)), list(leaves(other))
    if count != len(numbers):
        raise ValueError(f"{what}: expected {count} number(s), one for each, got {len(numbers)}")
    return numbers


def _enter(tree: Tree, what: str) -> tuple[list[Value], bool, Tree]:
    """New nodes for the numbers of a tree, whether one was a Value already, and the tree of nodes.

    A Value enters through a node of its own (+v), so that an inner derivative cannot mistake the
    outer variable for its own (perturbation confusion) and the outer one still sees through it.
    """
    given = list(leaves(tree))
    nodes = [+leaf if isinstance(leaf, Value) else Value(number(leaf, what)) for leaf in given]
    nested = any(isinstance(leaf, Value) for leaf in given)
    return nodes, nested, rebuilt(tree, iter(nodes))


def _adjoints(outputs: list[tuple[Value, Any]], wanted: list[Value]) -> list[Any]:
    """d(sum of seed * output)/d(wanted) as Values or numbers, themselves differentiable."""
    order = topological(*(output for output, _ in outputs))
    adjoint: dict[Value, Any] = {}

    def give(node: Value, amount: Any) -> None:
        adjoint[node] = adjoint[node] + amount if node in adjoint else amount

    for output, seed in outputs:
        give(output, seed if output.data == output.data else math.nan)
    kept = set(wanted)
    for node in reversed(order):
        op = node.op
        g = adjoint.get(node) if node in kept else adjoint.pop(node, None)
        if op is None or g is None or (not isinstance(g, Value) and g == 0.0):
            continue
        x, y = _recorded(node)
        for parent, partial in ((node.a, "dx"), (node.b, "dy")):
            if parent is not None:
                factor = getattr(op, partial)(x, y, node)
                if isinstance(factor, Value) or factor != 0:
                    give(parent, g if factor == 1 else -g if factor == -1 else g * factor)
    return [adjoint.get(node, 0.0) for node in wanted]


def _recorded(node: Value) -> tuple[Any, Any]:
    """The node's operands, as Values where they are nodes, at the numbers that were recorded."""
    operands: list[Any] = []
    for parent, name in ((node.a, "x"), (node.b, "y")):
        recorded = getattr(node, name, None)
        if parent is None or recorded is None:
            operands.append(recorded)
        elif type(parent) is not Value or parent.data == recorded or recorded != recorded:
            operands.append(parent)
        else:
            raise RuntimeError(
                f"{node.op.name if node.op else ''}: operand {name} was {recorded!r} in the forward"
                f" pass and its .data is {parent.data!r} now; higher derivatives need the forward"
                " pass again"
            )
    return operands[0], operands[1]


def gradients(
    outputs: list[tuple[Value, Any]], wanted: list[Value], create_graph: bool
) -> list[Any]:
    """The derivatives of the sum of seed * output in the wanted nodes; no `.grad` changes.

    With `create_graph` they are Values that can be differentiated again (a number 0 where nothing
    depends on the node), else numbers.
    """
    if create_graph:
        return _adjoints(outputs, wanted)
    inner, leaves = visited(*(output for output, _ in outputs))
    order = inner + leaves
    with one_pass:
        undo = restorer(order)
        try:
            for leaf in leaves:
                leaf.grad = 0.0
            sweep(inner, leaves, [(output, number(seed, "seed")) for output, seed in outputs])
            reached = set(order)
            return [node.grad if node in reached else 0.0 for node in wanted]
        finally:
            undo()


@overload
def grad(f: Value, inputs: Tree, create_graph: bool = ...) -> Tree: ...
@overload
def grad(f: Callable[..., Any], inputs: int | tuple[int, ...] = ...) -> Callable[..., Tree]: ...
def grad(f: Any, inputs: Any = 0, create_graph: bool = False) -> Any:
    """d(output)/d(inputs), or the function that computes the gradient of a function.

    `grad(output, inputs)` takes a Value and Values in any nesting, and returns numbers in the same
    nesting; no `.grad` is touched.  With `create_graph=True` they are Values, so that they can be
    differentiated again.  An input that the output does not depend on has derivative 0.

    `grad(f)` returns a function of the same arguments as `f` whose result is the gradient with
    respect to the first argument; `grad(f, 1)` the second, `grad(f, (0, 1))` a tuple of both.
    Called with numbers it gives numbers, with Values it gives Values.

    Raises TypeError if `f` is neither, if an input is not a Value, or if f's result is not one
    number; RuntimeError if `create_graph` meets a leaf that changed since the forward pass.

    >>> x = Value(3.0)
    >>> grad(x**3, x)
    27.0
    >>> (slope,) = grad(x**3, [x], create_graph=True)
    >>> grad(slope, x)
    18.0
    >>> grad(lambda p: p["w"] * p["x"] + p["b"])({"w": 2.0, "x": -1.0, "b": 0.5})
    {'w': -1.0, 'x': 2.0, 'b': 1.0}
    """
    if isinstance(f, Value):
        wanted = list(leaves(inputs))
        for node in wanted:
            if not isinstance(node, Value):
                raise TypeError(f"grad: inputs must be Values, got {type(node).__name__}")
        return rebuilt(inputs, iter(gradients([(f, 1.0)], wanted, create_graph)))
    if not callable(f):
        raise TypeError(f"grad: expected a Value or a function, got {type(f).__name__}")
    both = value_and_grad(f, inputs)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def value_and_grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0
) -> Callable[..., tuple[Any, Tree]]:
    """The function that returns (f(...), gradient) with respect to the chosen argument(s).

    >>> value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    if not callable(f):
        raise TypeError(f"value_and_grad: expected a function, got {type(f).__name__}")
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)

    def both(*args: Tree, **kwargs: Any) -> tuple[Any, Tree]:
        for k in chosen:
            if not 0 <= k < len(args):
                raise TypeError(f"no argument {k} to differentiate: {len(args)} given")
        with recording():
            nodes, nested, entered = _enter([args[k] for k in chosen], "grad")
            arguments = list(args)
            for k, argument in zip(chosen, entered, strict=True):
                arguments[k] = argument
            output = _scalar(f(*arguments, **kwargs), "grad")
            gradient = gradients([(output, 1.0)], nodes, nested)
        parts = rebuilt([args[k] for k in chosen], iter(gradient))
        value = output if nested else output.data
        return value, tuple(parts) if isinstance(argnums, tuple) else parts[0]

    return both


def _scalar(output: Any, what: str) -> Value:
    """The result of a function as one Value; a plain number depends on nothing."""
    if isinstance(output, Value):
        return output
    if isinstance(output, list | tuple | dict):
        raise TypeError(f"{what}: the function must return one number, got {output!r}; use vjp")
    return Value(number(output, f"{what}: the function's result"))


def vjp(f: Callable[..., Tree], *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """f's result, and the function from weights on the result to the gradient of each argument.

    >>> out, pull = vjp(lambda x, y: [x * y, x + y], 2.0, 3.0)
    >>> out, pull([1.0, 10.0])
    ([6.0, 5.0], (13.0, 12.0))
    """
    with recording():
        nodes, nested, entered = _enter(list(primals), "vjp")
        result = f(*entered)
        outputs = [_scalar(part, "vjp") for part in leaves(result)]

    def pull(weights: Tree) -> tuple[Tree, ...]:
        seeds = _matched(result, weights, "vjp's weights")
        graph = nested or any(isinstance(seed, Value) for seed in seeds)
        with recording():
            gradient = gradients(list(zip(outputs, seeds, strict=True)), nodes, graph)
        return tuple(rebuilt(list(primals), iter(gradient)))

    shown = outputs if nested else [output.data for output in outputs]
    return rebuilt(result, iter(shown)), pull


def jvp(
    f: Callable[..., Tree], primals: tuple[Tree, ...], tangents: tuple[Tree, ...]
) -> tuple[Tree, Tree]:
    """f's result, and its derivative along the direction `tangents` (forward accumulation).

    >>> jvp(lambda x, y: [x * y, x + y], (2.0, 3.0), (1.0, 0.0))
    ([6.0, 5.0], [3.0, 1.0])
    """
    directions = _matched(list(primals), list(tangents), "jvp's tangents")
    with recording():
        nodes, nested, entered = _enter(list(primals), "jvp")
        nested = nested or any(isinstance(direction, Value) for direction in directions)
        result = f(*entered)
        outputs = [_scalar(part, "jvp") for part in leaves(result)]
        tangent: dict[Value, Any] = dict(zip(nodes, directions, strict=True))
        for node in topological(*outputs):
            op = node.op
            if op is None or node in tangent:
                continue
            x, y = _recorded(node) if nested else (node.x, getattr(node, "y", None))
            z = node if nested else node.data
            total: Any = 0.0
            for parent, partial in ((node.a, op.dx), (node.b, op.dy if op.arity == 2 else None)):
                t = tangent.get(parent, 0.0) if parent is not None else 0.0
                if partial is not None and (isinstance(t, Value) or t != 0.0):
                    total = partial(x, y, z) * t + total
            tangent[node] = total if node.data == node.data else math.nan
    slopes = iter([tangent.get(output, 0.0) for output in outputs])
    shown = iter(outputs if nested else [output.data for output in outputs])
    return rebuilt(result, shown), rebuilt(result, slopes)


def hessian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Tree]:
    """The function that computes f's second derivatives: for each number of the argument, a nesting
    like the argument.

    >>> hessian(lambda p: p[0] ** 2 * p[1])([3.0, 5.0])
    [[10.0, 6.0], [6.0, 0.0]]
    """

    def second(*args: Tree, **kwargs: Any) -> Tree:
        with recording():
            nodes, nested, entered = _enter(args[argnum], "hessian")
            arguments = [*args[:argnum], entered, *args[argnum + 1 :]]
            output = _scalar(f(*arguments, **kwargs), "hessian")
            first = gradients([(output, 1.0)], nodes, create_graph=True)
            rows = [gradients([(_scalar(slope, "hessian"), 1.0)], nodes, nested) for slope in first]
        return rebuilt(args[argnum], iter([rebuilt(args[argnum], iter(row)) for row in rows]))

    return second


def hvp(f: Callable[[Tree], Any], x: Tree, v: Tree) -> Tree:
    """The Hessian of f at x times v, in the nesting of x, without the Hessian (Pearlmutter 1994).

    >>> hvp(lambda p: p[0] ** 2 * p[1], [3.0, 5.0], [1.0, 0.0])
    [10.0, 6.0]
    """
    weights = _matched(x, v, "hvp's vector")
    with recording():
        nodes, nested, entered = _enter(x, "hvp")
        nested = nested or any(isinstance(weight, Value) for weight in weights)
        first = gradients([(_scalar(f(entered), "hvp"), 1.0)], nodes, create_graph=True)
        along = [
            (_scalar(slope, "hvp"), weight) for slope, weight in zip(first, weights, strict=True)
        ]
        return rebuilt(x, iter(gradients(along, nodes, nested)))
