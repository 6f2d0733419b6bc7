"""Many Values as one node of a graph, so that a compiled call is a few nodes and not thousands.

A node has two parents at most.  The Values that a call depends on are gathered in *bundles*: a
chain of nodes, one for each Value, whose adjoint is a vector.
"""

import math
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

    def call_of(self, node: Any) -> Any:
        """The call that the node is a result of; None for one that is no result."""
        return None

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """The adjoints of its parents as Values or numbers that can be differentiated again.

        Only those that are `along` are wanted.
        """
        raise NotImplementedError

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        """The tangent of the node from those of its parents; None if it depends on none of them.

        They are Values with `graph`, else numbers.
        """
        raise NotImplementedError


def block_node(op: Block, data: float, a: Any, b: Any, scope: str = "") -> Value:
    """A node that is many at once."""
    node: Value = object.__new__(Value)
    node._data = node.x = data
    node.y = math.nan
    node._grad = UNTOUCHED
    node.row = Note(op, "", scope) if scope else op  # type: ignore[arg-type]
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

    def pull(
        self, node: Any, adjoint: Vector, along: Container[Any]
    ) -> Iterator[tuple[Value, Any]]:
        """The same for adjoints that are Values."""
        for value, amount in zip(self.values, adjoint.items, strict=True):
            if value in along and (isinstance(amount, Value) or amount != 0.0):
                yield value, amount


_links: list[_Link] = []


class Bundle:
    """Values as one node, `top`, whose adjoint is a Vector; a single one is the node itself.

    Args:
        values: that a call depends on; there is at least one.
        places: where each of their slopes is among those of the call.
    """

    def __init__(self, values: Sequence[Value], places: Sequence[int]) -> None:
        self.values, self.places = list(values), list(places)
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
    def order(self) -> Array:
        """The places as an array."""
        import numpy as np  # a choice has a bundle, too, and needs no NumPy

        return np.array(self.places, dtype=np.int64)

    def give(self, slopes: Array) -> None:
        """Add their slopes to the adjoints of the Values."""
        if len(self.places) == 1:
            self.top._grad += float(slopes[self.places[0]])
        else:
            top: Any = self.top  # whose adjoint is a Vector while the pass runs
            top._grad = top._grad + Vector(slopes[self.order])

    def adjoint(self, slopes: dict[int, Any]) -> Any:
        """The adjoint of the top, from slopes by place, which may be Values."""
        if len(self.places) == 1:
            return slopes.get(self.places[0], 0.0)
        return Vector([slopes.get(place, 0.0) for place in self.places])

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
