"""The numbers that a function gets while it is recorded: they behave as Values."""

import math
import operator
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from autograd.modes import present_call, present_mode
from autograd.notes import Note
from autograd.operands import Operand, is_foreign, number, unboxed
from autograd.operation import Operation, Origin
from autograd.ops import Ops
from autograd.textbook import formula_of
from autograd.value import Value, data_of

# The codes of tape rows that are not operations of the table.
DETACH, SELECT, ARGMAX, MASK = -1, -2, -3, -4
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
EXACT: Final = 1 << 53  # every smaller whole number is a float
ALWAYS: Final = 1  # the bit of a node that is a Value whatever the arguments are
CHOICES = (SELECT, MASK)
OWN: Final = ("autograd", "nn")  # the packages that know what a recorded number is


class RecordingError(RuntimeError):
    """A function did something that cannot be recorded; the message says what to write instead.

    The recording fails even if the function catches the error.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        recorder = getattr(present_mode(), "recorder", None)
        if recorder is not None:
            recorder.refusals.append(self)


class ReplayError(RuntimeError):
    """A compiled function and the function itself gave different answers; the message has both."""


@dataclass
class Guard:
    """A comparison that the function made, and the answer for which the recording is valid."""

    comparison: str
    x: Any
    y: Any
    answer: bool


class Listener(Protocol):
    """What a traced number needs of its recorder; see `Recorder`."""

    values: int
    strict: bool
    running: bool
    nodes: "list[Traced]"
    refusals: list[RecordingError]
    bounded: set[int]
    tables: list[Any]

    def note(self, op: Operation | None, scope: str | None = None) -> Note:
        """The operation, scope and source line of a node that is created now."""

    def leaf_row(self) -> Note:
        """The row of a leaf that the function creates now."""

    def on_tape(self, value: Any) -> Any:
        """The operand that the tape gets for a value."""

    def compare(self, comparison: str, x: Any, y: Any) -> bool:
        """The answer to a comparison, which becomes a guard."""

    def is_nan(self, x: "Traced") -> bool:
        """Whether a derivative is nan, which becomes a guard."""

    def identify(self, node: "Traced") -> int:
        """The hash of the Value that was given for an input."""

    def check_conversion(self, plain: bool, to: str) -> None:
        """Raise TypeError where `float` and the like would lose a gradient."""


class Traced(Ops):
    """A number of a function that is being recorded: behaves as a Value, and writes to the tape.

    If it depends only on arguments that are plain numbers, it is `plain`: the function itself would
    have a float there, which it may convert, look up and print, and which is no node of a graph.

    Attributes:
        recorder: the recorder that listens.
        number: its value in the recorded call.
        kind: None for an operation of the table, else DETACH, SELECT, ARGMAX or MASK.
        operands: what it was computed from: Traced, Values from outside, and numbers.
        value_bits: bits that say when it is a Value: ALWAYS, and above it a bit for each input that
            makes it one by being one.
        cut: whether it was computed inside `no_grad`.
    """

    if TYPE_CHECKING:
        x: Any
        y: Any

    __slots__ = (
        "a", "b", "cut", "kind", "number", "operands", "recorder", "row", "serial", "value_bits",
        "x", "y",
    )  # fmt: skip
    __array_ufunc__ = None

    def __init__(
        self,
        recorder: Listener,
        number: float,
        kind: int | None,
        row: Origin,
        operands: tuple[Any, ...],
        value_bits: int,
        cut: bool = False,
    ) -> None:
        self.recorder, self.number, self.kind, self.row = recorder, number, kind, row
        self.operands, self.value_bits, self.cut = operands, value_bits, cut
        self.a: Any = None
        self.b: Any = None  # x and y are set only if there are such operands
        self.serial = len(recorder.nodes)
        recorder.nodes.append(self)

    # The recorded function must not notice that its numbers are no Values and no floats.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        if self.plain and _asker(2) not in OWN:
            self.recorder.strict = True
            return float
        return Value

    @property
    def plain(self) -> bool:
        """Whether the function itself would have a float here."""
        return not self.value_bits & self.recorder.values

    def tell_plain(self) -> bool:
        """The same as `plain`, told to the function: the recording then serves one kind only."""
        self.recorder.strict = True
        return self.plain

    # ------------------------------------------------------------------ what a node knows

    def _refuse_unknown(self, name: str) -> None:
        """RecordingError if the function asks for an argument's name, operation and the like."""
        if self.kind is None and not self.operands and _asker(3) not in OWN:
            raise RecordingError(
                f"compile: a replay does not know the .{name} of an argument; pass what you need "
                "of it as an argument"
            )

    @property
    def op(self) -> Operation | None:
        """The operation that computed it."""
        self._refuse_unknown("op")
        return self.row.op

    def refuse_choice(self, wanted: Iterable[Any]) -> None:
        """RecordingError if it was chosen, outside any transform, among the wanted nodes.

        A choice may have more than two parents, and knows them only inside a transform.
        """
        targets, seen, stack = set(map(id, wanted)), set[int](), [self]
        while stack:
            node: Any = stack.pop()
            if id(node) in seen or type(node) is float:
                continue
            seen.add(id(node))
            if id(node) in targets and node is not self:
                raise RecordingError(
                    "a derivative is taken inside a compiled function through `select`; use "
                    "autograd.grad of a function, or differentiate the compiled function"
                )
            if is_traced(node) and node.kind in CHOICES and node.a is None:
                stack += node.x
            else:
                stack += [parent for parent in (node.a, node.b) if parent is not None]

    @property
    def label(self) -> str:
        """Its name."""
        self._refuse_unknown("label")
        return self.row.label

    @label.setter
    def label(self, label: str) -> None:
        row = self.row
        self.row = Note(row.op, label, row.scope, row.line)

    @property
    def scope(self) -> str:
        """The scopes in which it was computed."""
        self._refuse_unknown("scope")
        return self.row.place

    @scope.setter
    def scope(self, scope: str) -> None:
        self.row = Note(self.row.op, self.row.label, scope, self.row.line)

    def _taught(self) -> str:
        """The formula that is taught for it."""
        self._refuse_unknown("formula")
        return formula_of(self.row.scope)

    formula = Operand.formula.getter(_taught)  # type: ignore[attr-defined]

    @property
    def line(self) -> str:
        """The user's source line that computed it."""
        self._refuse_unknown("line")
        return self.row.line

    @property
    def is_leaf(self) -> bool:
        """Whether differentiation ends here."""
        self._refuse_unknown("is_leaf")
        return self.a is None and self.b is None

    @property
    def parents(self) -> tuple[Any, ...]:
        """The nodes among its operands."""
        self._refuse_unknown("parents")
        return tuple(parent for parent in (self.a, self.b) if parent is not None)

    @property
    def data(self) -> "Traced":
        """Its number, which stays a number of the recording; no gradient goes through."""
        return self._detached(0)

    @data.setter
    def data(self, data: object) -> None:
        raise RecordingError(
            "compile: the function changes the .data of a node, which a replay would not repeat"
        )

    @property
    def grad(self) -> float:
        """Refused: there is no gradient yet, and a replay does not know that of an argument."""
        raise RecordingError(
            "compile: a replay does not know the .grad of a recorded number; pass it as an argument"
        )

    def item(self) -> "Traced":
        """The same as `.data`."""
        return self._detached(0)

    def detach(self) -> "Traced":
        """The same number, cut off from the graph."""
        return self._detached(self.value_bits)

    def _detached(self, value_bits: int) -> "Traced":
        if self.value_bits & ~self.recorder.values:
            # If an argument were a Value, there would be more to cut off.
            self.recorder.strict = True
        if self.plain:
            return self
        row = self.recorder.leaf_row() if value_bits else self.recorder.note(None)
        return Traced(self.recorder, self.number, DETACH, row, (self,), value_bits, True)

    def backward(self, *_: object) -> None:
        """Refused: a compiled function is differentiated from outside."""
        raise RecordingError(
            "compile: return the loss instead of calling its backward(); "
            "the compiled function has .backward(...) and .value_and_grad(...)"
        )

    zero_grad = backward

    def register_hook(self, hook: object) -> None:
        """Refused: a replay runs no hooks."""
        raise RecordingError("compile: a compiled function does not run hooks")

    # ------------------------------------------------------------------ operations

    def apply(self, op: Operation, x: Any, y: Any) -> Any:
        """The result of the operation, recorded."""
        mode: Any = present_mode()
        recorder = getattr(mode, "recorder", None)
        if recorder is not self.recorder:
            raise _kept(op)
        if op.arity == 1:
            return mode.record(op.value(x.number), op, x, None, x.number, None)
        operands: list[Any] = []
        for operand in (x, y):
            if type(operand) is Traced:  # most are
                operands += operand, operand.number
                if operand.recorder is not recorder:
                    raise _kept(op)
            elif isinstance(operand, Ops):
                if type(operand) is not Value and getattr(operand, "recorder", 0) is not recorder:
                    return operand.apply(op, x, y)
                operands += operand, number_of(operand)
            else:
                operands += None, number(operand, op.name)
        a, p, b, q = operands
        return mode.record(op.value(p, q), op, a, b, p, q)

    def __pos__(self) -> "Traced":
        call = present_call()
        if call is None or not self.plain:
            return self.apply(vars(Ops)["__pos__"], self, None)  # type: ignore[no-any-return]
        return self.leaf()  # a transform turns its argument into a variable by `+x`

    def leaf(self) -> "Traced":
        """A `Value` that the function creates from a plain number."""
        row = self.recorder.leaf_row()
        return Traced(self.recorder, self.number, DETACH, row, (self,), ALWAYS, True)

    def is_nan(self) -> bool:
        """Whether this derivative is nan, which becomes a guard."""
        return self.recorder.is_nan(self)

    # ------------------------------------------------------------------ decisions of Python's

    def _compare(self, comparison: str, other: Any) -> bool:
        if not isinstance(other, Ops):
            try:
                other = number(other, "a comparison")
            except TypeError:
                if is_foreign(other, "__lt__"):
                    return NotImplemented  # type: ignore[no-any-return]
                raise
        return self.recorder.compare(comparison, self, other)

    def __lt__(self, other: Any) -> bool:
        return self._compare("<", other)

    def __le__(self, other: Any) -> bool:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> bool:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> bool:
        return self._compare(">=", other)

    def __eq__(self, other: object) -> bool:
        other = unboxed(other)
        if not isinstance(other, int | float | Ops):
            return NotImplemented
        return self._compare("==", other)

    def __hash__(self) -> int:
        if self.tell_plain():
            return hash(self.specialized())
        if self.kind is None and not self.operands and _asker(2) not in OWN:
            # The function may look the argument up among the Values from outside.
            return self.recorder.identify(self)
        return object.__hash__(self)

    def __bool__(self) -> bool:
        return not self._compare("==", 0.0)

    def specialized(self) -> float:
        """Its number; the recording is now valid for this number only, its sign included if 0."""
        z = self.number
        if z != z:
            self.recorder.compare("==", self, self)
        else:
            self.recorder.compare("==", self, z)
            if z == 0.0:
                self.recorder.compare(">", 1.0 / self, 0.0)
        return z

    def _check_conversion(self, to: str) -> None:
        """TypeError where a Value would raise it, because the gradient would be lost."""
        self.recorder.check_conversion(self.plain, to)

    def __getattr__(self, name: str) -> Any:
        if not self.plain or not hasattr(float, name):
            raise AttributeError(f"a recorded number has no attribute {name!r}")
        self.recorder.strict = True
        return getattr(self.specialized(), name)

    def __float__(self) -> float:
        self._check_conversion("float")
        return self.specialized()

    def __int__(self) -> int:
        self._check_conversion("int")
        n = int(self.number)
        above = (">=", n) if n > 0 else (">", n - 1)
        below = ("<=", n) if n < 0 else ("<", n + 1)
        return self._whole(n, above, below)

    __trunc__ = __int__

    def __floor__(self) -> int:
        self._check_conversion("int")
        n = math.floor(self.number)
        return self._whole(n, (">=", n), ("<", n + 1))

    def __ceil__(self) -> int:
        self._check_conversion("int")
        n = math.ceil(self.number)
        return self._whole(n, ("<=", n), (">", n - 1))

    def _whole(self, n: int, *guards: tuple[str, int]) -> int:
        """The whole number n; the guards say for which numbers it is right."""
        if abs(n) >= EXACT:
            return int(self.specialized())
        for comparison, bound in guards:
            self.recorder.compare(comparison, self, float(bound))
        return n

    def __round__(self, digits: int | None = None) -> Any:
        self._check_conversion("rounded number")
        return round(self.specialized(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.specialized(), spec) if spec else str(self)

    def __repr__(self) -> str:
        if not self.recorder.running:
            return f"Value(data={self.number!r}, recorded)"
        if not self.tell_plain():
            raise RecordingError(
                "compile: the text of a Value shows its gradient and its name, which a replay "
                "does not know; write v.data, or print it outside of the compiled function"
            )
        return repr(self.specialized())

    def __reduce_ex__(self, protocol: object) -> Any:
        raise RecordingError("compile: a number that is being recorded cannot be copied or pickled")

    def __copy__(self) -> "Traced":
        if not self.tell_plain():
            self.__reduce_ex__(2)
        return self

    def __deepcopy__(self, memo: object) -> "Traced":
        return self.__copy__()


def _kept(op: Operation) -> RecordingError:
    return RecordingError(
        f"{op.name}: a number of a compiled function was kept and used outside of it; return what "
        "you need instead"
    )


def _asker(depth: int) -> str:
    """The package of the code so many calls up."""
    name: str = sys._getframe(depth).f_globals.get("__name__", "")
    return name.partition(".")[0]


def is_traced(operand: Any) -> bool:
    """Whether it is a number of a recording, which `isinstance` takes for a Value or an int."""
    return issubclass(type(operand), Traced)


def number_of(operand: Any) -> float:
    """The number of an operand; that of a traced one when it was recorded."""
    if is_traced(operand):
        return operand.number  # type: ignore[no-any-return]
    is_node = isinstance(operand, Ops)
    return float(data_of(operand) if is_node else operand)


def value_bits_of(operand: Any) -> int:
    """The bits that say when an operand is a Value; see `Traced.value_bits`."""
    if type(operand) is Traced or is_traced(operand):
        return operand.value_bits  # type: ignore[no-any-return]
    return ALWAYS if type(operand) is Value else 0
