"""Choices by a whole number that stays an input of a compiled function: select and the like."""

from collections.abc import Sequence
from typing import Any

from autograd.ops import Ops, item, number
from autograd.tape import ARGMAX, MASK, SELECT, Traced, is_traced, kinds_of, number_of
from autograd.whole import Index


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
    return _chosen(SELECT, index, _number(values[int(index.number)]), (index, *values), values)


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
    return _chosen(MASK, index, data, operands, (value,))


def _check(what: str, index: Index, count: int) -> None:
    """IndexError for an index outside of the values, in this call or a later one."""
    if index.kind is None and not 0 <= index < count:
        raise IndexError(f"{what}: expected an index from 0 to {count - 1}, got {index.number:.0f}")


def _chosen(
    kind: int, index: Traced, data: float, operands: tuple[Any, ...], values: Sequence[Any]
) -> Traced:
    tape, kinds = index.tape, 0
    for value in values:
        kinds |= kinds_of(value)
    row = tape.note(None)
    made = Traced(tape, data, kind, row, tuple(map(tape.placed, operands)), kinds)
    made.x = [value for value in values if isinstance(value, Ops)]  # see `refuse_choice`
    return made


def _number(value: Any) -> float:
    return number_of(value) if isinstance(value, Ops) else float(value)


def chosen(values: Sequence[Any], index: Any) -> Any:
    """The value at the place that a number says, or nearest to it.

    Where the index is recorded, the others are there with a factor of 0, so that this can be
    differentiated again.
    """
    if is_traced(index):
        total: Any = 0.0
        masks = [masked(0.0, index, i, 1.0) for i in range(len(values))]
        for value, mask in zip(values, masks, strict=True):
            total = total + value * mask
        return total
    place = item(index)
    return values[int(min(max(place, 0.0), len(values) - 1.0)) if place == place else 0]


def covered(value: Any, index: Any, place: float, instead: float) -> Any:
    """As `masked`; where the index is recorded, in a way that can be differentiated again."""
    if not is_traced(index):
        return masked(value, index, place, instead)
    return value * masked(1.0, index, place, 0.0) + masked(0.0, index, place, instead)


def argmax(values: Sequence[Any]) -> Any:
    """Where the first of the largest numbers stands; 0 if one is nan.

    An int, or inside a compiled function what `select` takes for one.

    >>> argmax([1.0, 3.0, 2.0])
    1
    """
    traced = [v for v in values if is_traced(v)]
    numbers = [number_of(v) if isinstance(v, Ops) else number(v, "argmax") for v in values]
    top = numbers.index(max(numbers)) if all(z == z for z in numbers) else 0
    if not traced:
        return top
    tape = traced[0].tape
    row = tape.note(None)
    return Index(tape, float(top), ARGMAX, row, tuple(map(tape.placed, values)), 0)
