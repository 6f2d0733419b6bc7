"""`Recorder`: a function runs once, and each operation on its numbers is written down."""

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
from autograd.compiled.traced import (
    ALWAYS,
    COMPARISONS,
    DETACH,
    Guard,
    RecordingError,
    Traced,
    is_traced,
    number_of,
    value_bits_of,
)
from autograd.compiled.whole_numbers import Index
from autograd.modes import Mode, present_call, present_mode, set_mode
from autograd.notes import Note
from autograd.operation import Operation
from autograd.ops import Ops
from autograd.value import Value, at_once, data_of, grad_of

_LARGEST = sys.float_info.max


class Recorded(Mode):
    """The mode in which operations are recorded."""

    __slots__ = ("recorder",)
    traces = True

    def __init__(
        self, recorder: "Recorder", recording: bool = True, scope: str = "", anomaly: bool = False
    ) -> None:
        super().__init__(recording, scope, anomaly)
        self.recorder = recorder

    def changed(self, recording: bool, scope: str, anomaly: bool) -> "Recorded":
        """The same mode with other settings."""
        return Recorded(self.recorder, recording, scope, anomaly)

    @property
    def quiet(self) -> bool:
        """Whether the recorded function is called inside `no_grad`."""
        return self.recorder.quiet

    def new_leaf(self, leaf: Value) -> None:
        """Note a leaf that the function creates itself: it is a constant of the recording."""
        self.recorder.own_leaves.add(leaf)

    def meet_transform(self) -> None:
        """Note a transform: whether its result is a Value depends on the kinds of the arguments."""
        self.recorder.strict = self.recorder.transforms = True

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Any:
        """The node of a result, recorded."""
        if op.functions:
            raise RecordingError(op.unknown_to("a compiled program"))
        recorder = self.recorder
        left = a if type(a) is Traced else recorder.operand(a, x)
        right = b if type(b) is Traced else recorder.operand(b, y)
        operands = (left,) if y is None else (left, right)
        bits, bits_of_b = value_bits_of(a), value_bits_of(b)
        note = recorder.note(op, self.scope)
        node = Traced(recorder, z, None, note, operands, bits | bits_of_b, not self.recording)
        if self.recording:
            # A plain number is no node of the graph, but a derivative may depend on it.
            values = recorder.values
            node.a, node.x = (a, x) if a is None or bits & values else (None, a)
            if y is not None:
                node.b, node.y = (b, y) if b is None or bits_of_b & values else (None, b)
        if self.anomaly:
            if z - z != 0.0:
                raise NonFiniteError(bad_result(op, x, y, z, a, b, node.line))
            recorder.compare("<=", node, _LARGEST)
            recorder.compare(">=", node, -_LARGEST)
        return node


class Recorder:
    """The nodes of a function that is being recorded, in order of creation, and its guards.

    Args:
        values: a bit for each input, the first in the lowest: whether it is a Value.
        quiet: whether the caller is inside `no_grad`, where a Value may be converted.
        arguments: for each input, the Value that was given for it, or None.
        records: whether the function runs as outside `no_grad`, for a program with derivatives.

    Attributes:
        transforms: whether the function takes derivatives.
        strict: whether the recording serves only calls with the same kinds of arguments, inside or
            outside `no_grad` as here, because the function saw something that depends on them.
        own_leaves: the leaves that the function creates itself.
        entered: the recorded number of a leaf that was created from one.
        grads: the leaves from outside whose `.grad` the function reads, each with its input.
        identified: the inputs for which it matters which Value was given.
        refusals: the errors that said what cannot be recorded.
        bounded: the serial numbers of whole numbers with a guard that they are exact as floats.
        tables: entries of tables that `select` chose from; their parameters stay row by row.
    """

    def __init__(
        self,
        values: int = 0,
        quiet: bool = False,
        arguments: Sequence[Value | None] = (),
        records: bool = True,
    ) -> None:
        self.values, self.quiet, self.strict = values << 1 | ALWAYS, quiet, False
        self.records, self.transforms, self.running = records, False, False
        self.nodes: list[Traced] = []
        self.guards: list[Guard] = []
        self.own_leaves: set[Value] = set()
        self.entered: dict[Value, Traced] = {}
        self.inputs: list[Traced] = []
        self.grads: dict[Value, Traced] = {}
        self.arguments, self.identified = arguments, dict[int, Value | None]()
        self.refusals: list[RecordingError] = []
        self.bounded: set[int] = set()
        self.tables: list[Any] = []
        self._first_numbers: dict[Value, float] = {}  # of leaves from outside, at their first use
        self._notes: dict[Any, dict[Any, Note]] = {}  # by the code of the user's function
        self._here: dict[Any, Note] = {}  # those of the function that runs now
        self._caller: Any = None  # the frame outside this package that computes now
        self._user: Any = None  # the nearest frame above it that is the user's own code

    # ------------------------------------------------------------------ what goes to the tape

    def note(self, op: Operation | None, scope: str | None = None) -> Note:
        """Operation, scope and source line of a node that is created now; equal ones are shared."""
        caller: Any = sys._getframe(2)
        while caller is not None and caller.f_globals.get("__name__", "").startswith("autograd."):
            caller = caller.f_back
        if caller is not self._caller:
            # Until that call returns, no frame above it can go on to another line.
            self._caller = frame = caller
            while frame is not None:
                if _package(frame) not in ("autograd", "nn", ""):
                    break
                frame = frame.f_back
            self._user = frame
            self._here = self._notes.setdefault(frame and frame.f_code, {})
        frame = self._user
        if scope is None:
            mode = present_mode()
            scope = mode.scope if mode is not None else ""
        key = (op, scope, frame.f_lasti if frame else 0)
        note = self._here.get(key)
        if note is None:
            line = f"{called(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""
            note = self._here[key] = Note(op, "", scope, line)
        return note

    def leaf_row(self) -> Note:
        """The row of a leaf that the function creates now, maybe inside a transform."""
        note = self.note(None)
        return Note(None, "", note.scope, note.line, present_call())

    def enter(self, data: float, label: str) -> Traced:
        """A new input; a whole number becomes an `Index`."""
        if type(data) is int:
            node: Traced = Index(self, float(data), None, Note(None, label), (), 0)
        else:
            node = Traced(self, data, None, Note(None, label), (), 2 << len(self.inputs))
        self.inputs.append(node)
        return node

    def operand(self, node: Any, number: float | None) -> Any:
        """The operand that the tape gets for a node and its number."""
        if type(node) is not Value:
            return number if node is None else node
        if node in self.own_leaves:  # its number now, because the function may change it later
            return self.entered.get(node, number)
        self._note_number(node)
        return node

    def on_tape(self, value: Any) -> Any:
        """The operand that the tape gets for a value."""
        return self.operand(value, data_of(value)) if type(value) is Value else value

    def compare(self, comparison: str, x: Any, y: Any) -> bool:
        """The answer to a comparison, which becomes a guard."""
        stale = is_traced(y) and y.recorder is not self
        if not self.running or stale:
            raise RecordingError(
                "a number of a compiled function was kept and compared outside of it; return what "
                "you need instead"
            )
        if x is y:
            return comparison in ("<=", ">=", "==") and not self._is_nan(x)
        p, q = number_of(x), number_of(y)
        answer = COMPARISONS[comparison](p, q)
        x, y = self.operand(x, p), self.operand(y, q)
        self.guards.append(Guard(comparison, x, y, answer))
        return answer

    def is_nan(self, x: Traced) -> bool:
        """Whether a derivative is nan, which becomes a guard that rounding leaves alone.

        Where only the order of a sum decides that, the derivative is not finite in any order.
        """
        answer = x.number == x.number
        self.guards.append(Guard("==", x, x, answer))
        return not answer

    def identify(self, node: Traced) -> int:
        """The hash of the Value that was given for an input."""
        (k,) = (k for k, other in enumerate(self.inputs) if other is node)
        value = self.identified[k] = self.arguments[k]
        return object.__hash__(node) if value is None else hash(value)

    def _is_nan(self, x: Any) -> bool:
        # A guard that compares a sum with itself would always be too close to call.
        return not self.compare("<=", x, _LARGEST) and not self.compare(">", x, _LARGEST)

    def check_conversion(self, plain: bool, to: str) -> None:
        """Raise TypeError where `float` and the like would lose a gradient."""
        mode = present_mode()
        recording = mode is None or mode.recording
        # Arguments of another kind, and `no_grad` around the call, have another outcome.
        self.strict = self.strict or plain or recording
        if recording and not plain and not self.quiet:
            raise TypeError(advice.conversion(to, sys._getframe(3)))

    # ------------------------------------------------------------------ leaves from outside

    def _note_number(self, leaf: Value) -> None:
        self._first_numbers.setdefault(leaf, data_of(leaf))

    def data(self, leaf: Value, value_bits: int) -> Any:
        """The number of a leaf, cut off from the graph; each replay reads it again."""
        if leaf in self.own_leaves:
            number: Any = self.entered.get(leaf, data_of(leaf))
            return number if value_bits == 0 else Value(number, leaf.label)
        self._note_number(leaf)
        row = self.leaf_row() if value_bits else self.note(None)
        return Traced(self, data_of(leaf), DETACH, row, (leaf,), value_bits, True)

    def grad(self, leaf: Value) -> Any:
        """The gradient of a leaf, as an input of the recording."""
        if leaf in self.own_leaves:
            return grad_of(leaf)
        node = self.grads.get(leaf)
        if node is None:
            node = self.enter(grad_of(leaf), "grad")
            node.value_bits = 0
            self.grads[leaf] = node
        return node

    # ------------------------------------------------------------------ the run

    def run(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        named: Mapping[str, Any] = MappingProxyType({}),
        anomaly: bool = False,
    ) -> Any:
        """What the function returns; its operations are recorded on the way.

        With `anomaly`, the first operation that gives inf or nan raises NonFiniteError.
        """
        mode = present_mode()
        # `watch` and `undo` are one step of the interpreter each, which no signal interrupts.  A
        # context manager would undo nothing if Ctrl-C came at the start of its `__exit__`.
        watch = partial(
            at_once, _switching(_active.add, self, Recorded(self, self.records, anomaly=anomaly))
        )
        undo = partial(at_once, _switching(_active.discard, self, mode))
        try:
            watch()
            self.running = True
            result = function(*args, **named)
            if self.refusals:  # and the function has caught the error
                raise self.refusals[0]
            return result
        finally:
            self.running = False
            self._caller = self._user = None
            undo()

    def check(self) -> None:
        """RecordingError if the number of a leaf from outside has changed since its first use."""
        for leaf, number in self._first_numbers.items():
            if data_of(leaf) != number and number == number:
                raise _changed("data")

    def forget(self) -> None:
        """Drop the nodes, which refer to the recorder themselves."""
        for part in (
            self.nodes, self.guards, self.own_leaves, self.entered, self.inputs, self._notes,
            self.tables, self.grads, self._first_numbers, self.refusals,
        ):  # fmt: skip
            part.clear()


def _package(frame: Any) -> str:
    """The package whose code a frame runs; '' for code outside of modules."""
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


# ---------------------------------------------------------------------- attributes of leaves


def _recorder() -> Recorder | None:
    """The recorder that is active here and now."""
    mode = present_mode()
    return mode.recorder if type(mode) is Recorded else None


def _changed(name: str) -> RecordingError:
    return RecordingError(
        f"compile: the function changes the .{name} of a Value from outside, which a replay would "
        "not repeat"
    )


def _read(
    plain: Callable[[Value], Any], recorded: Callable[[Recorder, Value], Any]
) -> Callable[[Value], Any]:
    def read(node: Value) -> Any:
        recorder = _recorder()
        return plain(node) if recorder is None else recorded(recorder, node)

    return read


def _write(name: str) -> Callable[[Value, Any], None]:
    def write(node: Value, number: Any) -> None:
        recorder = _recorder()
        if recorder is not None:
            if node not in recorder.own_leaves:
                raise _changed(name)
            if isinstance(number, Ops):
                raise RecordingError(
                    f"compile: the function assigns a computed number to the .{name} of a Value; "
                    "use the number itself, which is a Value already"
                )
            if name == "data":
                recorder.entered.pop(node, None)
        _ORIGINAL[name].__set__(node, number)

    return write


def _create(leaf: Value, data: Any, label: str = "", **options: Any) -> None:
    """`Value.__init__`, also for a number that the function itself would have as a float."""
    recorder = _recorder()
    plain = recorder is not None and is_traced(data) and data.tell_plain()
    _ORIGINAL["__init__"](leaf, data.number if plain else data, label, **options)
    if recorder is not None and plain:
        recorder.entered[leaf] = data


def _refused(name: str) -> Callable[..., Any]:
    def method(node: Value, *args: Any, **named: Any) -> Any:
        if _recorder() is not None:
            getattr(Traced, name)(node, *args, **named)
        return _ORIGINAL[name](node, *args, **named)

    return method


# While any function is recorded, these replace the attributes of Value.  Each looks whether the
# function that is recorded calls it, or some other code.
_NAMES = ("data", "grad", "detach", "__init__", "backward", "zero_grad", "register_hook")
_ORIGINAL: dict[str, Any] = {name: vars(Value)[name] for name in _NAMES}
_RECORDING: dict[str, Any] = {
    "data": property(_read(data_of, lambda recorder, leaf: recorder.data(leaf, 0)), _write("data")),
    "grad": property(_read(grad_of, Recorder.grad), _write("grad")),
    "detach": _read(_ORIGINAL["detach"], lambda recorder, leaf: recorder.data(leaf, ALWAYS)),
    "__init__": _create,
    **{name: _refused(name) for name in _NAMES[4:]},
}
_active: set[Recorder] = set()


def _switching(
    change: Callable[[Recorder], object], recorder: Recorder, mode: Mode | None
) -> Iterator[object]:
    """The steps that start or end a recording, for `at_once`.

    Value gets the attributes for recording if any recorder is active after the change.
    """
    pairs = ((_ORIGINAL[name], _RECORDING[name]) for name in _NAMES)
    chosen = map(operator.getitem, tuple(pairs), map(bool, repeat(_active)))
    return chain(
        map(change, (recorder,)),
        map(setattr, repeat(Value), _NAMES, chosen),
        map(set_mode, (mode,)),
    )


def _forget_other_threads() -> None:
    """Drop the recorders of other threads, which do not run in a forked child."""
    mode = present_mode()
    here = {mode.recorder} if type(mode) is Recorded else set()
    _active.intersection_update(here)
    at_once(_switching(_active.intersection_update, here, mode))  # type: ignore[arg-type]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
