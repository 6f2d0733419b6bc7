"""Choices by a whole number that stays an input of a compiled function: select and the like."""

from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from typing import Any

from autograd.compiled.bundles import Block, Bundle
from autograd.compiled.tape import (
    ARGMAX,
    MASK,
    SELECT,
    Traced,
    is_traced,
    kinds_of,
    number_of,
)
from autograd.compiled.whole_numbers import Index
from autograd.modes import present_call, present_mode
from autograd.notes import Note
from autograd.operands import item, number
from autograd.ops import Ops
from autograd.value import Value, is_value


def select(values: Sequence[Any], index: Any) -> Any:
    """values[index]; inside a compiled function the index stays an input.

    The values are numbers, Values, or rows of them; the result is one of them, with its gradient.
    Raises IndexError for an index outside 0 .. len(values) - 1, TypeError for one that is no int.

    >>> select([1.0, 2.0, 4.0], 2)
    4.0
    """
    count = len(values)
    if type(index) is not Index:
        if isinstance(index, bool) or not hasattr(type(index), "__index__"):
            raise TypeError(f"select: expected an index, got {index!r}")
        if not 0 <= index < count:
            raise IndexError(f"select: expected an index from 0 to {count - 1}, got {index}")
        return values[index.__index__()]
    _check("select", index, count)
    if hasattr(values[0], "__len__"):
        index.tape.met.extend(value for row in values for value in row)
        return [select(column, index) for column in zip(*values, strict=True)]
    if len(set(map(kinds_of, values))) > 1:
        index.tape.strict = True  # which are Values is another thing for other arguments
    if len(set(map(is_value, values))) > 1:
        return values[index.exact()]  # a Value or a number, as the index says
    return chosen(values, index)


def replaced(values: Sequence[Any], index: Any, instead: float) -> list[Any]:
    """The values, with a plain number in place of values[index], which gets no gradient then.

    Inside a compiled function the index stays an input, as with `select`.

    >>> replaced([1.0, 2.0, 4.0], 2, 0.0)
    [1.0, 2.0, 0.0]
    """
    if type(index) is not Index:
        made = list(values)
        made[index] = instead
        return made
    _check("replaced", index, len(values))
    return [masked(value, index, i, instead) for i, value in enumerate(values)]


def masked(value: Any, index: Any, place: float, instead: float) -> Any:
    """`instead` where the index is that place, else the value."""
    if not is_traced(index):
        return instead if item(index) == place else value
    data = float(instead) if index.number == place else _number(value)
    operands = (value, index, float(place), float(instead))
    return _made(MASK, index, data, operands, [value], _Masked(index, place, [value]))


def _check(what: str, index: Index, count: int) -> None:
    """IndexError for an index outside of the values, in this call or a later one."""
    if index.kind is None and not 0 <= index < count:
        raise IndexError(f"{what}: expected an index from 0 to {count - 1}, got {index.number:.0f}")


def chosen(values: Sequence[Any], index: Any) -> Any:
    """The value at the place that a number says, or nearest to it."""
    number = index.number if is_traced(index) else item(index)
    value = values[int(min(max(number, 0.0), len(values) - 1.0)) if number == number else 0]
    if not is_traced(index):
        return value
    operands = (index, *values)
    return _made(SELECT, index, _number(value), operands, values, _Selected(index, values))


def _number(value: Any) -> float:
    return number_of(value) if isinstance(value, Ops) else float(value)


def _made(
    kind: int, index: Traced, data: float, operands: tuple[Any, ...], values: Sequence[Any],
    choice: "_Choice",
) -> Traced:  # fmt: skip
    """A node of the tape that was chosen among values."""
    tape, kinds = index.tape, 0
    for value in values:
        kinds |= kinds_of(value)
    row = tape.note(None)
    made = Traced(tape, data, kind, row, tuple(map(tape.placed, operands)), kinds)
    made.x = [value for value in values if is_value(value)]  # see `refuse_choice`
    mode = present_mode()
    if made.x and present_call() is not None and mode is not None and mode.recording:
        # A derivative may be taken here, inside of the function that is recorded.
        made.row = Note(choice, "", row.scope, row.line)  # type: ignore[arg-type]
        made.a = choice.bundle.top
    return made


# ---------------------------------------------------------------------- derivatives inside


class _Choice(Block):
    """The operation of a node that was chosen among values by a recorded index."""

    def __init__(self, index: Traced, values: Sequence[Any]) -> None:
        self.index, self.count = index, len(values)
        self._nodes = [(k, value) for k, value in enumerate(values) if is_value(value)]

    @cached_property
    def bundle(self) -> Bundle:
        """The nodes among the values."""
        return Bundle([node for _, node in self._nodes], [k for k, _ in self._nodes])

    def pull(self, node: Any, adjoint: Any, along: Container[Any]) -> Iterator[tuple[Value, Any]]:
        """Its adjoint, to the value that was chosen."""
        wanted = [k for k, value in self._nodes if value in along]
        yield self.bundle.top, self.bundle.adjoint({k: self.handed(k, adjoint) for k in wanted})

    def handed(self, k: int, adjoint: Any) -> Any:
        """What of the adjoint goes to value k."""
        raise NotImplementedError


class _Selected(_Choice):
    name = "select"

    def handed(self, k: int, adjoint: Any) -> Any:
        # Not a product with 0, which would make nan of an adjoint that is inf.
        return chosen([0.0, adjoint], masked(0.0, self.index, k, 1.0))

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        along = self.bundle.along(tangents)
        return chosen([along.get(k, 0.0) for k in range(self.count)], self.index)


class _Masked(_Choice):
    name = "mask"

    def __init__(self, index: Traced, place: float, values: Sequence[Any]) -> None:
        super().__init__(index, values)
        self.place = place

    def handed(self, k: int, adjoint: Any) -> Any:
        return masked(adjoint, self.index, self.place, 0.0)

    def push(self, node: Any, tangents: dict[Any, Any], graph: bool) -> Any:
        (tangent,) = self.bundle.along(tangents).values()
        return masked(tangent, self.index, self.place, 0.0)


def argmax(values: Sequence[Any]) -> Any:
    """Where the first of the largest numbers stands; 0 if one is nan.

    An int, or inside a compiled function what `select` takes for one.

    >>> argmax([1.0, 3.0, 2.0])
    1
    """
    traced = [v for v in values if is_traced(v)]
    numbers: list[Any] = [number_of(v) if isinstance(v, Value) else v for v in values]
    numbers = [v if isinstance(v, Ops) else number(v, "argmax") for v in numbers]  # decimals, too
    top = numbers.index(max(numbers)) if all(z == z for z in numbers) else 0
    if not traced:
        return top
    tape = traced[0].tape
    return Index(tape, float(top), ARGMAX, tape.note(None), tuple(map(tape.placed, values)), 0)
