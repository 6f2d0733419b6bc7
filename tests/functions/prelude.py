"""What random functions and the questions about them use; its text opens every printed script."""

from collections import namedtuple
from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np

import autograd as ag

P = namedtuple("P", "u v")
WEIGHTS = [1.5, -0.75, 0.5, 2.25, -1.25, 0.875, -0.625, 1.125]
engine, exact = "auto", False  # of the compiled function c
__all__ = ["P", "ag", "inf", "nan"]  # and all that is defined here


def mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    """The same nesting of lists, tuples and dicts with changed numbers."""
    if isinstance(tree, dict):
        return {key: mapped(change, part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        parts = [mapped(change, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return change(tree)


def numbers(tree: Any) -> list[Any]:
    """The numbers of a tree, in order."""
    flat: list[Any] = []
    mapped(flat.append, tree)
    return flat


def like(tree: Any, flat: Any) -> Any:
    """The nesting of a tree with other numbers."""
    rest = iter(flat)
    return mapped(lambda _: next(rest), tree)


def data(tree: Any) -> Any:
    """The tree with plain numbers in place of Values."""
    return mapped(lambda x: x.data if hasattr(x, "detach") else x, tree)


def values(tree: Any) -> Any:
    """The tree with Values in place of its numbers; whole numbers stay."""
    return mapped(lambda x: x if isinstance(x, int) else ag.Value(x), tree)


def weighed(tree: Any) -> Any:
    """One number in which every number of the tree counts."""
    total: Any = 0.0
    for k, x in enumerate(numbers(tree)):
        total = total + x * WEIGHTS[k % len(WEIGHTS)]
    return total


def weights(tree: Any) -> Any:
    """A direction: a weight for each number of the tree."""
    return like(tree, (WEIGHTS[k % len(WEIGHTS)] for k in range(len(numbers(tree)))))


def quiet(run: Callable[[], Any]) -> Any:
    """The result without recording."""
    with ag.no_grad():
        return run()


def backward(run: Callable[[], Any], nodes: list[Any]) -> list[float]:
    """The gradients of a result in the nodes, by its backward()."""
    for node in nodes:
        node.grad = 0.0
    result = run()
    if hasattr(result, "backward"):
        result.backward()
    return [node.grad for node in nodes]


def slopes(run: Callable[[], Any], nodes: list[Any]) -> list[Any]:
    """The gradients of a result in the nodes, which can be differentiated again."""
    result = run()
    if not hasattr(result, "backward"):
        return [0.0] * len(nodes)
    return list(ag.grad(result, nodes, create_graph=True))


def pulled(f: Any, primals: Any) -> Any:
    """What vjp gives: the result, and a gradient for weights on it."""
    result, pull = ag.vjp(f, *primals)
    return result, pull(weights(result))


def pushed(f: Any, primals: Any, along: Any) -> Any:
    """What jvp gives, by the gradient if the result is one number."""
    result, pull = ag.vjp(f, *primals)
    if len(numbers(result)) > 1:
        return ag.jvp(f, primals, along)
    pairs = zip(numbers(pull(like(result, [1.0]))), numbers(along), strict=True)
    return result, like(result, [sum(slope * t for slope, t in pairs)])


def stacked(rows: list[Any]) -> Any:
    """Arguments as arrays with a row for each sample, from the arguments of each."""
    assert len({str(mapped(type, row)) for row in rows}) == 1, "the rows are nested alike"
    columns = zip(*(numbers(row) for row in rows), strict=True)
    return like(rows[0], (np.array(column) for column in columns))


def by_row(tree: Any, rows: list[Any]) -> list[Any]:
    """A tree for each row, from a tree of arrays."""

    def sample(i: int) -> Any:
        return mapped(lambda x: np.asarray(x)[i].item(), tree)

    return [sample(i) for i in range(len(rows))]


def by_leaf(slopes: Any, parameters: list[Any], leaves: list[Any]) -> list[float]:
    """Gradients in the order of the leaves; 0 for one that was not reached."""
    known = {id(p): float(slope) for p, slope in zip(parameters, slopes, strict=True)}
    return [known.get(id(leaf), 0.0) for leaf in leaves]


def products(c: Any, args: Any, leaves: list[Any]) -> list[float]:
    """The compiled function's Hessian in the leaves times a direction."""
    c(*args)
    along = by_leaf(weights(leaves), leaves, c.parameters)
    return by_leaf(c.hvp(along, *args), c.parameters, leaves)


def beside(c: Any, function: Callable[..., Any], **options: Any) -> Any:
    """Another function, compiled as `c` was, once for each text."""
    kept = c.__dict__.setdefault("_beside", {})
    name = getattr(function, "__qualname__", ""), *options
    if name not in kept:
        kept[name] = ag.compile(function, engine=engine, exact=exact, **options)
    return kept[name]


def prepared(args: Any, leaves: list[Any]) -> dict[str, Any]:
    """What a question may name: parts of the arguments, and the same as Values."""
    floats = tuple(arg for arg in args if not isinstance(arg, int))
    given = values(args)
    nodes = [x for x in numbers(given) if not isinstance(x, int)]
    first = iter(leaves[:1])
    return {
        "floats": floats,
        "whole": args[len(floats) :],
        "every": tuple(range(len(floats))),
        "along": weights(floats),
        "given": given,
        "nodes": [*leaves, *nodes],
        # A leaf that the function closes over is also its argument.
        "shared": mapped(lambda x: x if isinstance(x, int) else next(first, x), given),
    }
