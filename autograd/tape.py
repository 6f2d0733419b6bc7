"""Recording: a function runs once, and what it did with its numbers becomes a table of scalars."""

import math
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from autograd import advice
from autograd.ops import Operation, Ops, Origin, is_foreign, item, number, unboxed
from autograd.value import (
    Mode,
    NonFiniteError,
    Note,
    Value,
    at_once,
    called,
    forkable_lock,
    present_mode,
    set_mode,
)

# What a row of the tape is, where it is no operation of the table.
DETACH, SELECT, ARGMAX, MASK = -1, -2, -3, -4
ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_slot = Value.__dict__["_data"]
# What is recorded watches all Values, so it is one function at a time; one may record another.
# Rows are compiled under it too.
one_recording: Final = forkable_lock()
_user_compares = {
    "__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__bool__", "item", "_converted", "_compared",
    "_equalled",
}  # fmt: skip


class RecordingError(RuntimeError):
    """What a function did cannot be recorded; the message says what to write instead."""


@dataclass
class Guard:
    """What the function asked of its numbers, and the answer that the recording is good for."""

    order: str
    x: Any
    y: Any
    answer: bool
    line: str


class Traced(Ops):
    """A number of a function that is being recorded: behaves as a Value, and writes to the tape."""

    __slots__ = (
        "_row", "a", "b", "grad", "kind", "number", "operands", "plain", "serial", "tape", "x", "y",
    )  # fmt: skip
    __array_ufunc__ = None

    def __init__(
        self,
        tape: "Recorder",
        number: float,
        kind: int | None,
        row: Origin,
        operands: tuple[Any, ...],
        plain: bool,
    ) -> None:
        self.tape, self.number, self.kind, self._row = tape, number, kind, row
        self.operands, self.plain = operands, plain
        self.a: Any = None
        self.b: Any = None
        self.x = self.y = math.nan
        self.grad = 0.0
        self.serial = len(tape.nodes)
        tape.nodes.append(self)

    # The recorded function must not notice that its numbers are not Values.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return Value

    @property
    def op(self) -> Operation | None:
        """The row of the operation that made it."""
        chosen = {SELECT: self.operands[1:], MASK: self.operands[:1]}.get(self.kind or 0, ())
        if any(isinstance(one, Ops) for one in chosen):
            raise RecordingError(
                "a derivative is taken inside a compiled function through `select`; "
                "differentiate the compiled function instead"
            )
        return self._row.op

    @property
    def label(self) -> str:
        """Its name."""
        return self._row.label

    @label.setter
    def label(self, label: str) -> None:
        row = self._row
        self._row = Note(row.op, label, row.scope, row.line)

    @property
    def scope(self) -> str:
        """The scopes that it was made in."""
        return self._row.scope

    @scope.setter
    def scope(self, scope: str) -> None:
        row = self._row
        self._row = Note(row.op, row.label, scope, row.line)

    @property
    def line(self) -> str:
        """The user's source line that made it."""
        return self._row.line

    @property
    def is_leaf(self) -> bool:
        """Whether differentiation ends here."""
        return self.a is None and self.b is None

    @property
    def parents(self) -> tuple[Any, ...]:
        """The nodes among its operands."""
        return tuple(parent for parent in (self.a, self.b) if parent is not None)

    @property
    def data(self) -> "Traced":
        """Its number, as a number that stays one in the recording; no gradient goes through."""
        return self.detach()

    @data.setter
    def data(self, data: object) -> None:
        raise RecordingError(
            "compile: the function changes the .data of a node, which a replay would not repeat"
        )

    def detach(self) -> "Traced":
        """The same number, cut off from the graph."""
        return Traced(self.tape, self.number, DETACH, self.tape.note(None), (self,), True)

    def backward(self, seed: float = 1.0) -> None:
        """Refused: a compiled function is differentiated from outside."""
        raise RecordingError(
            "compile: return the loss instead of calling its backward(); "
            "the compiled function has .backward(...) and .value_and_grad(...)"
        )

    zero_grad = backward

    def register_hook(self, hook: object) -> None:
        """Refused: a replay runs no hooks."""
        raise RecordingError("compile: hooks are not run by a compiled function")

    def apply(self, op: Operation, x: Any, y: Any) -> Any:
        """The operation, recorded."""
        mode = present_mode()
        if type(mode) is not Recorded or mode.tape is not self.tape:
            raise RecordingError(
                f"{op.name}: a number of a compiled function was kept, and used outside of it; "
                "return what is wanted instead"
            )
        if op.arity == 1:
            return mode.record(op.value(x.number), op, x, None, x.number, None)
        operands: list[Any] = []
        for operand in (x, y):
            if isinstance(operand, Ops):
                if type(operand) not in _kinds:
                    return operand.apply(op, x, y)
                operands += operand, number_of(operand)
            else:
                operands += None, number(operand, op.name)
        a, p, b, q = operands
        return mode.record(op.value(p, q), op, a, b, p, q)

    def _ask(self, order: str, other: Any) -> bool:
        if not isinstance(other, Ops):
            try:
                other = number(other, "a comparison")
            except TypeError:
                if is_foreign(other, "__lt__"):
                    return NotImplemented  # type: ignore[no-any-return]
                raise
        return self.tape.ask(order, self, other)

    def __lt__(self, other: Any) -> bool:
        return self._ask("<", other)

    def __le__(self, other: Any) -> bool:
        return self._ask("<=", other)

    def __gt__(self, other: Any) -> bool:
        return self._ask(">", other)

    def __ge__(self, other: Any) -> bool:
        return self._ask(">=", other)

    def __eq__(self, other: object) -> bool:
        other = unboxed(other)
        if not isinstance(other, int | float | Ops):
            return NotImplemented
        return self._ask("==", other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return not self._ask("==", 0.0)

    def item(self) -> "Traced":
        """As `.data`."""
        return self.detach()

    def __float__(self) -> float:
        return self._converted("float")

    def __int__(self) -> int:
        return int(self._converted("int"))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._converted("rounded number"), digits)

    def _converted(self, to: str) -> float:
        # What comes from plain arguments alone is a float in the function itself.
        mode = present_mode()
        if not self.plain and (mode is None or mode.refuses):
            raise TypeError(advice.conversion(to, sys._getframe(2)))
        return self.asked()

    def asked(self) -> float:
        """Its number, with a guard for it."""
        if self.number != self.number:
            self.tape.ask("==", self, self)
        else:
            self.tape.ask("==", self, self.number)
        return self.number

    def __format__(self, spec: str) -> str:
        return format(self.number, spec)

    def __repr__(self) -> str:
        return f"Value(data={self.number!r}, recorded)"


class Index(Traced):
    """A whole number of a function that is being recorded; with `select` it stays an input."""

    __slots__ = ()

    def __index__(self) -> int:
        return int(self.asked())

    def __mod__(self, other: int) -> int:
        return int(self.asked()) % other

    def __floordiv__(self, other: int) -> int:
        return int(self.asked()) // other


_traced = (Traced,)
_kinds = (Traced, Index, Value)


def number_of(node: Any) -> float:
    """The number that a node had when it was recorded."""
    return node.number if type(node) in (Traced, Index) else float(_slot.__get__(node))


class Recorded(Mode):
    """The mode in which operations go to a tape."""

    __slots__ = ("tape",)

    traces = True

    def __init__(
        self, tape: "Recorder", recording: bool = True, scope: str = "", anomaly: bool = False
    ) -> None:
        super().__init__(recording, scope, anomaly)
        self.tape = tape

    def changed(self, recording: bool, scope: str, anomaly: bool) -> "Recorded":
        """A mode of this kind."""
        return Recorded(self.tape, recording, scope, anomaly)

    def new_leaf(self, leaf: Value) -> None:
        """A leaf that the function makes itself is a constant of the recording."""
        self.tape.born.add(leaf)

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Any:
        """The node of a result, on the tape."""
        tape = self.tape
        operands: tuple[Any, ...] = (x if a is None else a,)
        if y is not None:
            operands += (y if b is None else b,)
        plain = (a is None or (type(a) is not Value and a.plain)) and (
            b is None or (type(b) is not Value and b.plain)
        )
        node = Traced(tape, z, None, tape.note(op, self.scope), operands, plain)
        if self.recording:
            node.a, node.b, node.x = a, b, x
            if y is not None:
                node.y = y
        if self.anomaly and z - z != 0.0:
            raise NonFiniteError(f"{op.name} = {z!r} at x = {x!r}, y = {y!r}")
        return node


class Recorder:
    """A recording in the making: nodes in the order in which they were made, and guards."""

    def __init__(self) -> None:
        self.nodes: list[Traced] = []
        self.guards: list[Guard] = []
        self.born: set[Value] = set()
        self.inputs: list[Traced] = []
        self.notes: dict[Any, Note] = {}
        self._near: Any = None  # the call that works with numbers now, and the user's above it
        self._user: Any = None
        self.met: list[Any] = []  # tables, whose parameters are best kept row by row

    def note(self, op: Operation | None, scope: str | None = None) -> Note:
        """The row, scope and source line of a node that is made now; shared among such nodes."""
        near: Any = sys._getframe(2)
        while near is not None and near.f_globals.get("__name__", "").startswith("autograd."):
            near = near.f_back
        if near is not self._near:
            # Until that call returns, no frame above it can go on to another line.
            self._near = frame = near
            while frame is not None:
                if _package(frame) not in ("autograd", "nn", ""):
                    break
                frame = frame.f_back
            self._user = frame
        frame = self._user
        if scope is None:
            mode = present_mode()
            scope = mode.scope if mode is not None else ""
        key = (op, scope, frame.f_code if frame else None, frame.f_lineno if frame else 0)
        found = self.notes.get(key)
        if found is None:
            line = f"{called(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""
            found = self.notes[key] = Note(op, "", scope, line)
        return found

    def enter(self, data: float, label: str, plain: bool = True) -> Traced:
        """A new input; a whole number can select.  `plain` is whether it was given as a number."""
        kind = Index if type(data) is int else Traced
        node = kind(self, float(data), None, Note(None, label), (), plain)
        self.inputs.append(node)
        return node

    def ask(self, order: str, x: Any, y: Any) -> bool:
        """The answer to a comparison, kept as a guard."""
        p, q = (number_of(o) if isinstance(o, Ops) else float(o) for o in (x, y))
        answer = ORDER[order](p, q)
        self.guards.append(Guard(order, x, y, answer, self.note(None).line))
        return answer

    def forget(self) -> None:
        """Let go of the nodes, which hold on to the recording themselves."""
        for part in (self.nodes, self.guards, self.born, self.inputs, self.notes, self.met):
            part.clear()

    def run(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """What the function returns, with everything it does recorded."""
        with one_recording:
            before: list[Callable[[], object]] = [
                partial(set_mode, present_mode()),
                partial(setattr, Value, "data", Value.__dict__["data"]),
            ]
            # A context manager would miss what it has to undo if Ctrl-C came at the start of its
            # `__exit__`.
            undo: Callable[[], object] = partial(at_once, map(operator.call, before))
            try:
                set_mode(Recorded(self))
                setattr(Value, "data", _watched)  # noqa: B010 - mypy knows it as a slot
                return function(*arguments)
            finally:
                self._near = self._user = None
                undo()


def _package(frame: Any) -> str:
    """The package whose code a frame runs; '' for code that belongs to no module."""
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _read(node: Value) -> float:
    """A leaf's number; a function that is being recorded gets a guard for it."""
    data: float = _slot.__get__(node)
    mode = present_mode()
    if type(mode) is Recorded:
        frame = sys._getframe(1)
        code = frame.f_code
        inside = _package(frame) == "autograd" or code.co_filename[:10] == "<autograd "
        if (not inside or code.co_name in _user_compares) and node not in mode.tape.born:
            mode.tape.ask("==", node, data)
    return data


def _write(node: Value, data: float) -> None:
    if isinstance(data, Ops):
        raise TypeError("v.data = ...: expected a real number, got Value; write .data for it")
    data = number(data, "v.data = ...")
    mode = present_mode()
    if type(mode) is Recorded and node not in mode.tape.born:
        frame = sys._getframe(1)
        if frame.f_globals.get("__name__", "") != "autograd.value":
            raise RecordingError(
                "compile: the function changes the .data of a Value from outside, "
                "which a replay would not repeat"
            )
    _slot.__set__(node, data)


_watched = property(_read, _write)


def select(values: Sequence[Any], index: Any) -> Any:
    """values[index]; inside a compiled function the index stays an input.

    The values are numbers, Values, or rows of them; the result is one of them, with its gradient.
    Raises IndexError for an index outside 0 .. len(values) - 1, TypeError for one that is no int.

    >>> select([1.0, 2.0, 4.0], 2)
    4.0
    """
    count = len(values)
    if type(index) is not Index:
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise TypeError(f"select: expected an index, got {index!r}")
        if not 0 <= index < count:
            raise IndexError(f"select: expected an index from 0 to {count - 1}, got {index}")
        return values[index.__index__()]
    if index.kind is None and not 0 <= index < count:
        raise IndexError(f"select: expected an index from 0 to {count - 1}, got {index}")
    if hasattr(values[0], "__len__"):
        index.tape.met.extend(value for row in values for value in row)
        return [select(column, index) for column in zip(*values, strict=True)]
    chosen = values[int(index.number)]
    data = number_of(chosen) if isinstance(chosen, Ops) else float(chosen)
    tape = index.tape
    plain = all(map(_is_plain, values))
    return Traced(tape, data, SELECT, tape.note(None), (index, *values), plain)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, Ops) or bool(getattr(value, "plain", False))


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
    if index.kind is None and not 0 <= index < len(values):
        raise IndexError(f"replaced: expected an index from 0 to {len(values) - 1}, got {index}")
    return [masked(value, index, i, instead) for i, value in enumerate(values)]


def masked(value: Any, index: Any, place: float, instead: float) -> Any:
    """`instead` where the index is that place, else the value."""
    if not isinstance(index, _traced):
        return instead if item(index) == place else value
    data = number_of(value) if isinstance(value, Ops) else float(value)
    if index.number == place:
        data = float(instead)
    tape = index.tape
    operands = (value, index, float(place), float(instead))
    return Traced(tape, data, MASK, tape.note(None), operands, _is_plain(value))


def chosen(values: Sequence[Any], index: Any) -> Any:
    """The value at the place that a number says, or nearest to it.

    Where the index is recorded, the others are there with a factor of 0, so that this can be
    differentiated again.
    """
    if isinstance(index, _traced):
        total: Any = 0.0
        masks = [masked(0.0, index, i, 1.0) for i in range(len(values))]
        for value, mask in zip(values, masks, strict=True):
            total = total + value * mask
        return total
    place = item(index)
    return values[int(min(max(place, 0.0), len(values) - 1.0)) if place == place else 0]


def covered(value: Any, index: Any, place: float, instead: float) -> Any:
    """As `masked`; where the index is recorded, in a way that can be differentiated again."""
    if not isinstance(index, _traced):
        return masked(value, index, place, instead)
    return value * masked(1.0, index, place, 0.0) + masked(0.0, index, place, instead)


def argmax(values: Sequence[Any]) -> Any:
    """Where the first of the largest numbers stands; 0 if one is nan.

    An int, or inside a compiled function what `select` takes for one.

    >>> argmax([1.0, 3.0, 2.0])
    1
    """
    traced = [v for v in values if isinstance(v, _traced) and type(v) in (Traced, Index)]
    numbers = [number_of(v) if isinstance(v, Ops) else number(v, "argmax") for v in values]
    top = numbers.index(max(numbers)) if all(z == z for z in numbers) else 0
    if not traced:
        return top
    tape = traced[0].tape
    return Index(tape, float(top), ARGMAX, tape.note(None), tuple(values), True)
