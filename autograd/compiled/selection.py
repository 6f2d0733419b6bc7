"""Choices by an index that stays an input of a compiled function: `select`, `argmax` and others."""

from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from typing import Any

from autograd.compiled.bundles import Block, Bundle
from autograd.compiled.traced import (
    ARGMAX,
    MASK,
    SELECT,
    Traced,
    is_traced,
    number_of,
    value_bits_of,
)
from autograd.compiled.whole_numbers import Index
from autograd.modes import present_call, present_mode
from autograd.notes import Note
from autograd.operands import item, number
from autograd.ops import Ops
from autograd.options import position
from autograd.value import Value, is_value


def select(values: Sequence[Any], index: Any) -> Any:
    """values[index]; inside a compiled function the index stays an input.

    The values are numbers, Values, or rows of them.  The gradient goes to the chosen one.
    Raises IndexError for an index outside 0 .. len(values) - 1, TypeError if it is not an int.

    >>> select([1.0, 2.0, 4.0], 2)
    4.0
    """
    count = len(values)
    if not isinstance(values, list | tuple):
        # A Series would be asked by its labels.
        values = values.tolist() if hasattr(values, "tolist") else list(values)
    if type(index) is not Index:
        return values[position(index, "select", count)]
    _check("select", index, count)
    if hasattr(values[0], "__len__"):
        index.recorder.tables.extend(value for row in values for value in row)
        return [select(column, index) for column in zip(*values, strict=True)]
    if len(set(map(value_bits_of, values))) > 1:
        index.recorder.strict = True  # arguments of other kinds make other entries Values
    if len(set(map(is_value, values))) > 1:
        return values[index.specialized()]  # the index decides whether the result is a Value
    return chosen(values, index)


def replaced(values: Sequence[Any], index: Any, instead: float) -> list[Any]:
    """The values as a list, with a plain number in place of values[index].

    The replaced value gets no gradient.  Inside a compiled function the index stays an input.

    >>> replaced([1.0, 2.0, 4.0], 2, 0.0)
    [1.0, 2.0, 0.0]
    """
    if type(index) is not Index:
        result = list(values)
        result[position(index, "replaced", len(result))] = number(instead, "replaced")
        return result
    _check("replaced", index, len(values))
    return [masked(value, index, i, instead) for i, value in enumerate(values)]


def masked(value: Any, index: Any, position: float, instead: float) -> Any:
    """`instead` if the index equals the position, else the value."""
    if not is_traced(index):
        return instead if item(index) == position else value
    data = float(instead) if index.number == position else number_of(value)
    operands = (value, index, float(position), float(instead))
    return _node(MASK, index, data, operands, [value], _Masked(index, position, [value]))


def _check(name: str, index: Index, count: int) -> None:
    """IndexError if the index is outside the values, in this call or a later one."""
    if index.kind is None and not 0 <= index < count:
        raise IndexError(f"{name}: expected an index from 0 to {count - 1}, got {index.number:.0f}")


def chosen(values: Sequence[Any], index: Any) -> Any:
    """values[index] for an index given as a number; outside the list, the nearest value."""
    number = index.number if is_traced(index) else item(index)
    value = values[int(min(max(number, 0.0), len(values) - 1.0)) if number == number else 0]
    if not is_traced(index):
        return value
    operands = (index, *values)
    return _node(SELECT, index, number_of(value), operands, values, _Selected(index, values))


def _node(
    kind: int, index: Traced, data: float, operands: tuple[Any, ...], values: Sequence[Any],
    choice: "_Choice",
) -> Traced:  # fmt: skip
    """The recorded node of a choice among values."""
    recorder, value_bits = index.recorder, 0
    for value in values:
        value_bits |= value_bits_of(value)
    row, operands = recorder.note(None), tuple(map(recorder.on_tape, operands))
    node = Traced(recorder, data, kind, row, operands, value_bits)
    node.x = [value for value in values if is_value(value)]  # see `refuse_choice`
    mode = present_mode()
    if node.x and present_call() is not None and mode is not None and mode.recording:
        # The recorded function may take a derivative through this node.
        node.row = Note(choice, "", row.scope, row.line)  # type: ignore[arg-type]
        node.a = choice.bundle.top
    return node


# ---------------------------------------------------------------------- derivatives of choices


class _Choice(Block):
    """The operation of a node that a recorded index chose among values."""

    def __init__(self, index: Traced, values: Sequence[Any]) -> None:
        self.index, self.count = index, len(values)
        self._nodes = [(k, value) for k, value in enumerate(values) if is_value(value)]

    @cached_property
    def bundle(self) -> Bundle:
        """The nodes among the values."""
        return Bundle([node for _, node in self._nodes], [k for k, _ in self._nodes])

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """The adjoint of the node, for the value that was chosen."""
        wanted = [k for k, value in self._nodes if value in along]
        parts = {k: self.contribution(k, adjoint) for k in wanted}
        yield self.bundle.top, self.bundle.adjoint(parts)

    def contribution(self, k: int, adjoint: Any) -> Any:
        """The part of the adjoint that goes to value k."""
        raise NotImplementedError


class _Selected(_Choice):
    name = "select"

    def contribution(self, k: int, adjoint: Any) -> Any:
        # A product with 0 would turn an infinite adjoint into nan.
        return chosen([0.0, adjoint], masked(0.0, self.index, k, 1.0))

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        along = self.bundle.along(tangents)
        return chosen([along.get(k, 0.0) for k in range(self.count)], self.index)


class _Masked(_Choice):
    name = "mask"

    def __init__(self, index: Traced, position: float, values: Sequence[Any]) -> None:
        super().__init__(index, values)
        self.position = position

    def contribution(self, k: int, adjoint: Any) -> Any:
        return masked(adjoint, self.index, self.position, 0.0)

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        (tangent,) = self.bundle.along(tangents).values()
        return masked(tangent, self.index, self.position, 0.0)


def argmax(values: Sequence[Any]) -> Any:
    """The index of the largest number, the first if there are several; 0 if one is nan.

    It is an int, and inside a compiled function an input for `select`.

    >>> argmax([1.0, 3.0, 2.0])
    1
    """
    traced = [v for v in values if is_traced(v)]
    numbers: list[Any] = [number_of(v) if isinstance(v, Value) else v for v in values]
    numbers = [v if isinstance(v, Ops) else number(v, "argmax") for v in numbers]  # decimals, too
    top = numbers.index(max(numbers)) if all(z == z for z in numbers) else 0
    if not traced:
        return top
    recorder = traced[0].recorder
    operands = tuple(map(recorder.on_tape, values))
    return Index(recorder, float(top), ARGMAX, recorder.note(None), operands, 0)
