"""A claimed gradient and the recorded graph of its function: names, numbers, and comparisons."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autograd.blame import user_line
from autograd.check.case import Function
from autograd.check.labels import argument_names, named_parameters, paths
from autograd.check.replay import Tape
from autograd.modes import Mode, entered
from autograd.nestings import Tree, in_order, leaves, mapped
from autograd.notes import Note
from autograd.operands import number
from autograd.order import unfold
from autograd.value import Value

DOUBLE, SINGLE = 2.0**-53, 2.0**-24  # relative rounding errors of one operation
# A claim may be off by this many rounding errors of the summed sizes of all paths.  A matrix
# product rounds once per term, in another order; its operands were rounded a few times per layer.
ROUNDINGS = 256
_VISIBLE = 1e-4  # of the largest number: a difference too large to be rounding
_ROUGHLY = 1e-3  # of the largest number: a claim farther off is rejected without a second look


class _Lined(Mode):
    """Recording that keeps each node's scope and the user's line."""

    __slots__ = ()

    def changed(self, recording: bool, scope: str, anomaly: bool) -> Mode:
        """A mode of the same kind, in which inf and nan are not errors."""
        return _Lined(recording, scope)

    def record(self, z: float, op: Any, a: Any, b: Any, x: float, y: float | None) -> Any:
        """The node, with its line."""
        node = super().record(z, op, a, b, x, y)
        if self.recording:
            node.row = Note(op, "", self.scope, user_line())
        return node


@dataclass
class Claim:
    """A claimed gradient of a function, with the function's graph.

    Attributes:
        tape: the recorded graph; the nodes with a claimed gradient come first.
        names: the names of these nodes.
        numbers: the claimed gradient.
        unit: the relative rounding error of its numbers.
    """

    tape: Tape
    names: list[str]
    numbers: list[float]
    unit: float

    def differs(self, adjoints: list[float], sizes: list[float]) -> Iterator[int]:
        """The leaves whose claims differ from the adjoints by more than rounding.

        `sizes` are the summed sizes of all paths to each leaf.
        """
        bound = ROUNDINGS * self.unit
        for i, claimed in enumerate(self.numbers):
            if not abs(claimed - adjoints[i]) <= bound * sizes[i]:
                yield i

    def hidden(self, right: list[float], sizes: list[float]) -> str:
        """The name of a leaf whose claim is allowed only because its paths cancel; '' if none."""
        visible = _VISIBLE * max(map(abs, (*right[: len(self.numbers)], *self.numbers)))
        for i, claimed in enumerate(self.numbers):
            if visible and min(abs(claimed - right[i]), ROUNDINGS * self.unit * sizes[i]) > visible:
                return self.names[i]
        return ""

    def is_near(self, adjoints: list[float], among: list[int]) -> bool:
        """Whether the adjoints are roughly the claimed ones: a quick first test."""
        allowed = _ROUGHLY * max(abs(self.numbers[i]) for i in among) + math.ulp(0.0)
        return all(abs(self.numbers[i] - adjoints[i]) <= allowed for i in among)


def plain(tree: Tree) -> Tree:
    """The nesting with arrays of any library converted to lists."""
    return mapped(lambda leaf: leaf.tolist() if hasattr(leaf, "tolist") else leaf, tree)


def read(f: Function, inputs: tuple[Tree, ...], gradient: Any, parameters: Any) -> Claim:
    """The claim, with the graph of f at the inputs.

    Raises TypeError or ValueError for a claim that is not one number for each input.
    """
    lists = [plain(tree) for tree in inputs]
    nodes = [Value(number(leaf, "diagnose: an input")) for leaf in map(_item, leaves(lists))]
    named = dict(named_parameters(parameters))
    with entered(_Lined()):
        root = f(*_with_values(inputs, iter(nodes)))
        if not isinstance(root, Value):
            raise TypeError(f"diagnose: f must return one Value, got {type(root).__name__}")
    unfold(root)
    names = list(paths(argument_names(f, len(lists)), lists)) + list(named)
    claim = gradient(*inputs) if callable(gradient) else gradient
    chosen, alone = [*nodes, *named.values()], False
    if isinstance(claim, dict) and named and set(claim) == set(named):
        claim, alone = [claim[name] for name in named], True
    claim = in_order(lists, in_order(lists[0] if lists else [], plain(claim)))
    numbers = [number(leaf, "diagnose: the claimed gradient") for leaf in leaves([claim])]
    if alone:
        chosen, names = list(named.values()), list(named)
    elif len(numbers) == len(nodes):
        chosen, names = nodes, names[: len(nodes)]
    if len(numbers) != len(chosen):
        raise ValueError(
            f"diagnose: the claimed gradient has {len(numbers)} number(s); expected {len(chosen)}, "
            f"one for each of {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
        )
    _refuse_parameters(named)
    single = all(map(_is_single, numbers))
    if root.op is None:
        raise ValueError("diagnose: f returns a leaf, so there is no operation to be wrong")
    return Claim(Tape(root, chosen), names, numbers, SINGLE if single else DOUBLE)


def _refuse_parameters(named: dict[str, Value]) -> None:
    known: dict[Value, str] = {}
    for name, node in named.items():
        if not node.is_leaf:
            raise ValueError(f"diagnose: {name} was computed; a parameter must be a leaf")
        if node in known:
            raise ValueError(f"diagnose: {known[node]} and {name} are the same Value")
        known[node] = name


def _item(leaf: Any) -> Any:
    return leaf.data if isinstance(leaf, Value) else leaf


def _is_single(x: float) -> bool:
    """Whether a number fits in 32 bits, as in a claim computed in float32."""
    if not math.isfinite(x):
        return True
    try:
        rounded: float = struct.unpack("f", struct.pack("f", x))[0]
    except OverflowError:
        return False
    return rounded == x


def _with_values(inputs: tuple[Tree, ...], nodes: Iterator[Value]) -> list[Tree]:
    """The inputs with Values for their numbers; an array becomes a NumPy array of objects."""

    def replaced(leaf: Any) -> Any:
        if not hasattr(leaf, "tolist") or getattr(leaf, "ndim", 0) == 0:
            return next(nodes)
        import numpy as np

        array = np.empty(tuple(leaf.shape), dtype=object)
        for index in np.ndindex(array.shape):
            array[index] = next(nodes)
        return array

    return [mapped(replaced, tree) for tree in inputs]
