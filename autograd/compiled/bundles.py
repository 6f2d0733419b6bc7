"""Many Values as one node of a graph, so that a compiled call is a few nodes and not thousands.

A node has at most two parents.  So the Values that a call depends on are gathered in a *bundle*: a
chain of nodes, one for each Value, whose adjoint is a vector.
"""

from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

from autograd.notes import UNTOUCHED, Note
from autograd.operation import Origin
from autograd.value import Value, at_once, grads

Array = Any


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
    """Adjoints of the results of a call, by the index of the result."""

    __slots__ = ("items",)

    def __init__(self, items: dict[int, Any]) -> None:
        self.items = items

    def __add__(self, other: "Weights") -> "Weights":
        total = dict(self.items)
        for k, amount in other.items.items():
            total[k] = total[k] + amount if k in total else amount
        return Weights(total)

    def __radd__(self, zero: float) -> "Weights":
        return self


class Block(Origin):
    """The operation of a node that stands for many."""

    many = True
    arity = 0
    name = "compiled"

    @property
    def op(self) -> Any:
        """Itself."""
        return self

    def call_of(self, node: Any) -> Any:
        """The call that gave the node as a result; None if the node is not a result."""
        return None

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """The adjoints of the parents in `along`, as Values or numbers.

        The Values can be differentiated again.
        """
        raise NotImplementedError

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangent of the node from those of its parents; None if it depends on none of them.

        With `graph` tangents are Values, else numbers.
        """
        raise NotImplementedError


def block_node(op: Block, data: float, a: Any, b: Any, scope: str = "") -> Value:
    """A node whose operation is a Block."""
    node: Value = object.__new__(Value)
    node._data = node.x = data
    node._grad = UNTOUCHED
    node.row = Note(op, "", scope) if scope else op  # type: ignore[arg-type]
    node.a, node.b = a, b
    return node


# ---------------------------------------------------------------------- bundles


class _Link(Block):
    """Adds a Value to a bundle: parent a is the rest of the bundle, b the Value."""

    name = "bundle"

    def __init__(self, position: int) -> None:
        self.position = position

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """Tangents of the bundle's Values by their positions in it."""
        result = dict(tangents.get(node.a) or {})
        if node.b in tangents:
            result[self.position] = tangents[node.b]
        return result


class _Top(_Link):
    """The last link of a bundle, which gives all Values of the bundle their adjoints."""

    def __init__(self, values: Sequence[Value]) -> None:
        super().__init__(len(values) - 1)
        self.values = list(values)
        self.distinct = len(set(map(id, values))) == len(values)

    def pullback(self, node: Any) -> None:
        """Add the adjoints to those of the Values."""
        adjoints, node._grad = node._grad.items.tolist(), 0.0
        if self.distinct:
            sums = map(float.__add__, grads(self.values), adjoints)
            at_once(map(setattr, self.values, repeat("_grad"), sums))
        else:
            for value, amount in zip(self.values, adjoints, strict=True):
                value._grad += amount

    def pull(
        self, node: Any, adjoint: Vector, along: Container[Any]
    ) -> Iterator[tuple[Value, Any]]:
        """The adjoints of the Values that are in `along`."""
        for value, amount in zip(self.values, adjoint.items, strict=True):
            if value in along and (isinstance(amount, Value) or amount != 0.0):
                yield value, amount


_links: list[_Link] = []


class Bundle:
    """Values as one node, `top`, whose adjoint is a Vector; a single Value is its own top.

    Args:
        values: what a call depends on; at least one Value.
        indices: the index of each of their slopes among those of the call.
    """

    def __init__(self, values: Sequence[Value], indices: Sequence[int]) -> None:
        self.values, self.indices = list(values), list(indices)
        while len(_links) < len(values):
            _links.append(_Link(len(_links)))
        top: Any = values[0]
        if len(values) > 1:
            top = None
            for value, op in zip(values[:-1], _links, strict=False):
                top = block_node(op, 0.0, top, value)
            top = block_node(_Top(values), 0.0, top, values[-1])
        self.top: Value = top

    @cached_property
    def index_array(self) -> Array:
        """`indices` as an array."""
        import numpy as np  # here, because a choice has a bundle and needs no NumPy

        return np.array(self.indices, dtype=np.int64)

    def give(self, slopes: Array) -> None:
        """Add their slopes to the adjoints of the Values."""
        if len(self.indices) == 1:
            self.top._grad += float(slopes[self.indices[0]])
        else:
            top: Any = self.top  # whose adjoint is a Vector while the pass runs
            top._grad = top._grad + Vector(slopes[self.index_array])

    def adjoint(self, slopes: dict[int, Any]) -> Any:
        """The adjoint of the top, from slopes by index; they may be Values."""
        if len(self.indices) == 1:
            return slopes.get(self.indices[0], 0.0)
        return Vector([slopes.get(index, 0.0) for index in self.indices])

    def along(self, tangents: dict[Any, Any]) -> dict[int, Any]:
        """The tangents of the Values, by the indices of their slopes."""
        if self.top not in tangents:
            return {}
        tangent = tangents[self.top]
        if len(self.indices) == 1:
            return {self.indices[0]: tangent}
        return {self.indices[k]: t for k, t in tangent.items()}


def bundled(values: Sequence[Value], indices: Sequence[int]) -> Bundle | None:
    """The bundle of some Values; None for none."""
    return Bundle(values, indices) if values else None
