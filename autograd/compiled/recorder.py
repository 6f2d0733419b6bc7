"""Recording: a function runs once, and what it did with its numbers becomes a table of scalars."""

import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any

from autograd import advice
from autograd.blame import NonFiniteError, bad_result, called
from autograd.compiled.tape import (
    DETACH,
    ORDER,
    SOLID,
    Guard,
    RecordingError,
    Traced,
    kinds_of,
    number_of,
)
from autograd.compiled.whole_numbers import Index
from autograd.modes import Mode, present_mode, set_mode
from autograd.notes import Note
from autograd.operation import Operation
from autograd.ops import Ops
from autograd.value import Value, at_once, data_of, grad_of

_LARGEST = sys.float_info.max


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

    def meet_transform(self) -> None:
        """Whether a derivative is a Value depends on what the arguments are."""
        self.tape.strict = True

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Any:
        """The node of a result, on the tape."""
        if op.functions:
            raise RecordingError(op.unknown_to("a compiled program"))
        tape = self.tape
        left, right = tape.operand(a, x), tape.operand(b, y)
        operands = (left,) if y is None else (left, right)
        kinds = kinds_of(a) | kinds_of(b)
        node = Traced(tape, z, None, tape.note(op, self.scope), operands, kinds, not self.recording)
        if self.recording:
            # A plain number is no node of the graph, but a derivative may depend on it.
            node.a, node.x = (None, a) if type(a) is not Value and _is_plain(a) else (a, x)
            if y is not None:
                node.b, node.y = (None, b) if type(b) is not Value and _is_plain(b) else (b, y)
        if self.anomaly:
            if z - z != 0.0:
                raise NonFiniteError(bad_result(op, x, y, z, a, b, node.line))
            tape.ask("<=", node, _LARGEST)
            tape.ask(">=", node, -_LARGEST)
        return node


def _is_plain(operand: Any) -> bool:
    return operand is not None and operand.plain


class Recorder:
    """A recording in the making: nodes in the order in which they were made, and guards.

    Args:
        values: a bit for each input, the first in the lowest: whether it is a Value's.
        quiet: whether the caller is inside `no_grad`, where a Value may be converted.

    Attributes:
        strict: whether the function was told what it would not be told for arguments of another
            kind, or outside of `no_grad`: then the recording serves only calls of this kind.
        grads: the leaves from outside whose `.grad` the function reads, each with its input.
    """

    def __init__(self, values: int = 0, quiet: bool = False) -> None:
        self.values, self.quiet, self.strict = values << 1 | SOLID, quiet, False
        self.running = False
        self.nodes: list[Traced] = []
        self.guards: list[Guard] = []
        self.born: set[Value] = set()
        self.inputs: list[Traced] = []
        self.grads: dict[Value, Traced] = {}
        self.exact: set[int] = set()  # whole numbers that have a guard that they are small enough
        self.met: list[Any] = []  # tables, whose parameters are best kept row by row
        self._seen: dict[Value, float] = {}  # the numbers of leaves when they were used first
        self._notes: dict[Any, Note] = {}
        self._near: Any = None  # the call that works with numbers now, and the user's above it
        self._user: Any = None

    # ------------------------------------------------------------------ what goes to the tape

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
        found = self._notes.get(key)
        if found is None:
            line = f"{called(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""
            found = self._notes[key] = Note(op, "", scope, line)
        return found

    def enter(self, data: float, label: str) -> Traced:
        """A new input; a whole number can select."""
        if type(data) is int:
            node: Traced = Index(self, float(data), None, Note(None, label), (), 0)
        else:
            node = Traced(self, data, None, Note(None, label), (), 2 << len(self.inputs))
        self.inputs.append(node)
        return node

    def operand(self, node: Any, number: float | None) -> Any:
        """What stands on the tape for an operand."""
        if type(node) is not Value:
            return number if node is None else node
        if node in self.born:
            return number  # as it is now: it may be changed later
        self._meet(node)
        return node

    def placed(self, value: Any) -> Any:
        """What stands on the tape for one of several values."""
        return self.operand(value, data_of(value)) if type(value) is Value else value

    def ask(self, order: str, x: Any, y: Any) -> bool:
        """The answer to a comparison, kept as a guard."""
        if not self.running:
            raise RecordingError(
                "a number of a compiled function was kept, and compared outside of it; return what "
                "is wanted instead"
            )
        if x is y:
            return order in ("<=", ">=", "==") and not self._is_nan(x)
        p, q = (number_of(o) if isinstance(o, Ops) else float(o) for o in (x, y))
        answer = ORDER[order](p, q)
        x, y = self.operand(x, p), self.operand(y, q)
        self.guards.append(Guard(order, x, y, answer, self.note(None).line))
        return answer

    def _is_nan(self, x: Any) -> bool:
        # Two sides that are one number would always be too close for a regrouped sum to decide.
        return not self.ask("<=", x, _LARGEST) and not self.ask(">", x, _LARGEST)

    def allow(self, plain: bool, to: str) -> None:
        """TypeError where `float` and the like would lose a gradient."""
        mode = present_mode()
        if plain or (self.quiet and mode is not None and mode.recording):
            self.strict = True
        elif mode is None or mode.recording:
            raise TypeError(advice.conversion(to, sys._getframe(3)))

    # ------------------------------------------------------------------ leaves from outside

    def _meet(self, leaf: Value) -> None:
        self._seen.setdefault(leaf, data_of(leaf))

    def read(self, leaf: Value, kinds: int) -> Any:
        """The number of a leaf, cut off from the graph: an input of the recording, as it is."""
        if leaf in self.born:
            return data_of(leaf) if kinds == 0 else Value(data_of(leaf), leaf.label)
        self._meet(leaf)
        return Traced(self, data_of(leaf), DETACH, self.note(None), (leaf,), kinds, True)

    def slope(self, leaf: Value) -> Any:
        """The gradient of a leaf, as an input of the recording."""
        if leaf in self.born:
            return grad_of(leaf)
        found = self.grads.get(leaf)
        if found is None:
            found = self.enter(grad_of(leaf), "grad")
            found.kinds = 0
            self.grads[leaf] = found
        return found

    # ------------------------------------------------------------------ the run

    def run(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        named: Mapping[str, Any] = MappingProxyType({}),
        anomaly: bool = False,
    ) -> Any:
        """What the function returns, with everything it does recorded.

        With `anomaly`, the first operation that makes inf or nan raises NonFiniteError.
        """
        mode = present_mode()
        # Each is one step of the interpreter, in which it looks for no signal.  A context manager
        # would miss what it has to undo if Ctrl-C came at the start of its `__exit__`.
        watch = partial(at_once, _watching(_watched.add, self, Recorded(self, anomaly=anomaly)))
        undo = partial(at_once, _watching(_watched.discard, self, mode))
        try:
            watch()
            self.running = True
            return function(*args, **named)
        finally:
            self.running = False
            self._near = self._user = None
            undo()

    def check(self) -> None:
        """RecordingError if a leaf from outside has another number than when it was used first."""
        for leaf, number in self._seen.items():
            if data_of(leaf) != number and number == number:
                raise _changed("data")

    def forget(self) -> None:
        """Let go of the nodes, which hold on to the recording themselves."""
        for part in (
            self.nodes, self.guards, self.born, self.inputs, self._notes, self.met, self.grads,
            self._seen,
        ):  # fmt: skip
            part.clear()


def _package(frame: Any) -> str:
    """The package whose code a frame runs; '' for code that belongs to no module."""
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


# ---------------------------------------------------------------------- what is asked of a leaf


def _tape() -> Recorder | None:
    """The recording that is made here and now."""
    mode = present_mode()
    return mode.tape if type(mode) is Recorded else None


def _changed(name: str) -> RecordingError:
    return RecordingError(
        f"compile: the function changes the .{name} of a Value from outside, which a replay would "
        "not repeat"
    )


def _read_data(node: Value) -> Any:
    tape = _tape()
    return data_of(node) if tape is None else tape.read(node, 0)


def _read_grad(node: Value) -> Any:
    tape = _tape()
    return grad_of(node) if tape is None else tape.slope(node)


def _detach(node: Value) -> Any:
    tape = _tape()
    return _PLAIN["detach"](node) if tape is None else tape.read(node, SOLID)


def _write(name: str) -> Callable[[Value, Any], None]:
    def write(node: Value, number: Any) -> None:
        tape = _tape()
        if tape is not None:
            if node not in tape.born:
                raise _changed(name)
            if isinstance(number, Ops):
                raise RecordingError(
                    f"compile: a number that is computed becomes the .{name} of a Value; use the "
                    "number itself, which is a Value already"
                )
        _PLAIN[name].__set__(node, number)

    return write


def _refused(name: str) -> Callable[..., Any]:
    def method(node: Value, *args: Any, **named: Any) -> Any:
        tape = _tape()
        if tape is not None:
            getattr(Traced, name)(node, *args, **named)
        return _PLAIN[name](node, *args, **named)

    return method


# While any function is recorded, Value has these in the place of its own; each asks whether it is
# called by the function that is recorded, or from elsewhere.
_NAMES = ("data", "grad", "detach", "backward", "zero_grad", "register_hook")
_PLAIN: dict[str, Any] = {name: vars(Value)[name] for name in _NAMES}
_ASKED: dict[str, Any] = {
    "data": property(_read_data, _write("data")),
    "grad": property(_read_grad, _write("grad")),
    "detach": _detach,
    **{name: _refused(name) for name in _NAMES[3:]},
}
_watched: set[Recorder] = set()


def _watching(
    change: Callable[[Recorder], object], tape: Recorder, mode: Mode | None
) -> Iterator[object]:
    """What enters or leaves a recording, for `at_once`; what is asked depends on who is left."""
    pairs = ((_PLAIN[name], _ASKED[name]) for name in _NAMES)
    chosen = map(operator.getitem, tuple(pairs), map(bool, repeat(_watched)))
    return chain(
        map(change, (tape,)), map(setattr, repeat(Value), _NAMES, chosen), map(set_mode, (mode,))
    )


def _forget_other_threads() -> None:
    """In a forked child no other thread runs, and none of their recordings comes to its end."""
    mode = present_mode()
    here = {mode.tape} if type(mode) is Recorded else set()
    _watched.intersection_update(here)
    at_once(_watching(_watched.intersection_update, here, mode))  # type: ignore[arg-type]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
