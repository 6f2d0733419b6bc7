"""The numbers of a function that is being recorded: they behave as Values, and as whole numbers."""

import math
import operator
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from autograd.modes import present_call, present_mode
from autograd.notes import Note
from autograd.operands import is_foreign, number, unboxed
from autograd.operation import Operation, Origin
from autograd.ops import Ops
from autograd.value import Value, data_of

# What a row of the tape is, where it is no operation of the table.
DETACH, SELECT, ARGMAX, MASK = -1, -2, -3, -4
ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
EXACT: Final = 1 << 53  # below it every whole number is a float
SOLID: Final = 1  # the bit of what is a Value, of whatever kind the arguments are
CHOICES = (SELECT, MASK)


class RecordingError(RuntimeError):
    """What a function did cannot be recorded; the message says what to write instead."""


class ReplayError(RuntimeError):
    """A compiled function gave another answer than the function itself; the message has both."""


@dataclass
class Guard:
    """What the function asked of its numbers, and the answer that the recording is good for."""

    order: str
    x: Any
    y: Any
    answer: bool
    line: str


class Listener(Protocol):
    """What a recorded number needs of the recorder that listens to it; see `Recorder`."""

    values: int
    strict: bool
    running: bool
    nodes: "list[Traced]"
    exact: set[int]
    met: list[Any]

    def note(self, op: Operation | None, scope: str | None = None) -> Note:
        """The row, scope and source line of a node that is made now."""

    def placed(self, value: Any) -> Any:
        """What stands on the tape for one of several values."""

    def ask(self, order: str, x: Any, y: Any) -> bool:
        """The answer to a comparison, kept as a guard."""

    def allow(self, plain: bool, to: str) -> None:
        """TypeError where `float` and the like would lose a gradient."""


class Traced(Ops):
    """A number of a function that is being recorded: behaves as a Value, and writes to the tape.

    One that comes from arguments alone that are plain numbers is `plain`: a float in the function
    itself, which may be converted, looked up and shown, and is no node of a graph.

    Attributes:
        number: what it was when it was recorded.
        kind: None for an operation of the table, else DETACH and the like.
        operands: what it was computed from: Traced, Values from outside, and numbers.
        kinds: a bit for each input that makes it a Value if that is one, above the bit SOLID.
        cut: whether it was made inside `no_grad`.
    """

    if TYPE_CHECKING:
        x: Any
        y: Any

    __slots__ = (
        "a", "b", "cut", "kind", "kinds", "number", "operands", "row", "serial", "tape", "x", "y",
    )  # fmt: skip
    __array_ufunc__ = None

    def __init__(
        self,
        tape: Listener,
        number: float,
        kind: int | None,
        row: Origin,
        operands: tuple[Any, ...],
        kinds: int,
        cut: bool = False,
    ) -> None:
        self.tape, self.number, self.kind, self.row = tape, number, kind, row
        self.operands, self.kinds, self.cut = operands, kinds, cut
        self.a: Any = None
        self.b: Any = None  # x and y are set where there are such operands
        self.serial = len(tape.nodes)
        tape.nodes.append(self)

    # The recorded function must not notice that its numbers are not Values.
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return Value

    @property
    def plain(self) -> bool:
        """Whether it is a float in the function itself."""
        return not self.kinds & self.tape.values

    def tell_plain(self) -> bool:
        """As `plain`, for the function: its recording serves calls of one kind alone."""
        self.tape.strict = True
        return self.plain

    # ------------------------------------------------------------------ what a node knows

    def _known(self, name: str) -> None:
        """RecordingError if the function asks an argument how it was computed, or is called."""
        asks = sys._getframe(2).f_globals.get("__name__", "").partition(".")[0]
        if self.kind is None and not self.operands and asks not in ("autograd", "nn"):
            raise RecordingError(
                f"compile: the .{name} of an argument is not known to a replay; pass what is "
                "wanted of it as an argument"
            )

    @property
    def op(self) -> Operation | None:
        """The row of the operation that made it."""
        self._known("op")
        return self.row.op

    def refuse_choice(self, wanted: Iterable[Any]) -> None:
        """RecordingError if it was chosen, outside of any transform, among what is wanted.

        Only inside of one a choice knows its parents, which may be more than two.
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
                stack += [one for one in (node.a, node.b) if one is not None]

    @property
    def label(self) -> str:
        """Its name."""
        self._known("label")
        return self.row.label

    @label.setter
    def label(self, label: str) -> None:
        row = self.row
        self.row = Note(row.op, label, row.scope, row.line)

    @property
    def scope(self) -> str:
        """The scopes that it was made in."""
        self._known("scope")
        return self.row.scope

    @scope.setter
    def scope(self, scope: str) -> None:
        row = self.row
        self.row = Note(row.op, row.label, scope, row.line)

    @property
    def line(self) -> str:
        """The user's source line that made it."""
        self._known("line")
        return self.row.line

    @property
    def is_leaf(self) -> bool:
        """Whether differentiation ends here."""
        self._known("is_leaf")
        return self.a is None and self.b is None

    @property
    def parents(self) -> tuple[Any, ...]:
        """The nodes among its operands."""
        self._known("parents")
        return tuple(parent for parent in (self.a, self.b) if parent is not None)

    @property
    def data(self) -> "Traced":
        """Its number, as a number that stays one in the recording; no gradient goes through."""
        return self._detached(0)

    @data.setter
    def data(self, data: object) -> None:
        raise RecordingError(
            "compile: the function changes the .data of a node, which a replay would not repeat"
        )

    @property
    def grad(self) -> float:
        """Refused: there is no gradient yet, and that of an argument is not known to a replay."""
        raise RecordingError(
            "compile: the .grad of a number that is recorded is not known to a replay; pass it as "
            "an argument"
        )

    def item(self) -> "Traced":
        """As `.data`."""
        return self._detached(0)

    def detach(self) -> "Traced":
        """The same number, cut off from the graph."""
        return self._detached(self.kinds)

    def _detached(self, kinds: int) -> "Traced":
        if self.kinds & ~self.tape.values:
            # Were an argument a Value, more would be cut off, or nothing at all.
            self.tape.strict = True
        if self.plain:
            return self
        return Traced(self.tape, self.number, DETACH, self.tape.note(None), (self,), kinds, True)

    def backward(self, *_: object) -> None:
        """Refused: a compiled function is differentiated from outside."""
        raise RecordingError(
            "compile: return the loss instead of calling its backward(); "
            "the compiled function has .backward(...) and .value_and_grad(...)"
        )

    zero_grad = backward

    def register_hook(self, hook: object) -> None:
        """Refused: a replay runs no hooks."""
        raise RecordingError("compile: hooks are not run by a compiled function")

    # ------------------------------------------------------------------ operations

    def apply(self, op: Operation, x: Any, y: Any) -> Any:
        """The operation, recorded."""
        mode: Any = present_mode()
        if getattr(mode, "tape", None) is not self.tape:
            raise RecordingError(
                f"{op.name}: a number of a compiled function was kept, and used outside of it; "
                "return what is wanted instead"
            )
        if op.arity == 1:
            return mode.record(op.value(x.number), op, x, None, x.number, None)
        operands: list[Any] = []
        for operand in (x, y):
            if isinstance(operand, Ops):
                if type(operand) is not Value and not is_traced(operand):
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
        return self.leaf()  # this is how a transform takes its variable in

    def leaf(self) -> "Traced":
        """As a `Value` that the function makes of a plain number."""
        note = self.tape.note(None)
        row = Note(None, "", note.scope, note.line, present_call())
        return Traced(self.tape, self.number, DETACH, row, (self,), SOLID, True)

    # ------------------------------------------------------------------ what Python may ask

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

    def __hash__(self) -> int:
        return hash(self.exact()) if self.plain else object.__hash__(self)

    def __bool__(self) -> bool:
        return not self._ask("==", 0.0)

    def exact(self) -> float:
        """Its number, which the recording is good for alone: not even the sign of 0 may differ."""
        z = self.number
        if z != z:
            self.tape.ask("==", self, self)
        else:
            self.tape.ask("==", self, z)
            if z == 0.0:
                self.tape.ask(">", 1.0 / self, 0.0)
        return z

    def _converted(self, to: str) -> None:
        """TypeError where the function itself would get one: the gradient would be lost."""
        self.tape.allow(self.plain, to)

    def __getattr__(self, name: str) -> Any:
        if not self.plain or not hasattr(float, name):
            raise AttributeError(f"a number that is recorded has no attribute {name!r}")
        self.tape.strict = True
        return getattr(self.exact(), name)

    def __float__(self) -> float:
        self._converted("float")
        return self.exact()

    def __int__(self) -> int:
        self._converted("int")
        n = int(self.number)
        if abs(n) >= EXACT:
            return int(self.exact())
        if n >= 0:
            self.tape.ask("<", self, n + 1.0)
        if n <= 0:
            self.tape.ask(">", self, n - 1.0)
        if n:
            self.tape.ask(">=" if n > 0 else "<=", self, float(n))
        return n

    __trunc__ = __int__

    def __floor__(self) -> int:
        self._converted("int")
        n = math.floor(self.number)
        if abs(n) >= EXACT:
            return int(self.exact())
        self.tape.ask(">=", self, float(n))
        self.tape.ask("<", self, n + 1.0)
        return n

    def __ceil__(self) -> int:
        self._converted("int")
        n = math.ceil(self.number)
        if abs(n) >= EXACT:
            return int(self.exact())
        self.tape.ask("<=", self, float(n))
        self.tape.ask(">", self, n - 1.0)
        return n

    def __round__(self, digits: int | None = None) -> Any:
        self._converted("rounded number")
        return round(self.exact(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.exact(), spec) if spec else str(self)

    def __repr__(self) -> str:
        if not self.tape.running:
            return f"Value(data={self.number!r}, recorded)"
        if not self.plain:
            raise RecordingError(
                "compile: the text of a Value shows its gradient and its name, which a replay "
                "does not see; write v.data, or show it outside of the compiled function"
            )
        return repr(self.exact())

    def __reduce_ex__(self, protocol: object) -> Any:
        raise RecordingError("compile: a number that is being recorded cannot be copied or pickled")

    def __copy__(self) -> "Traced":
        if not self.plain:
            self.__reduce_ex__(2)
        return self

    def __deepcopy__(self, memo: object) -> "Traced":
        return self.__copy__()


def is_traced(operand: Any) -> bool:
    """Whether it is a number that is being recorded; to `isinstance` it is what it stands for."""
    return issubclass(type(operand), Traced)


def number_of(node: Any) -> float:
    """The number that a node had when it was recorded."""
    return node.number if is_traced(node) else float(data_of(node))


def kinds_of(operand: Any) -> int:
    """Which inputs make an operand a Value, and SOLID if it is one anyway."""
    if is_traced(operand):
        return int(operand.kinds)
    return SOLID if type(operand) is Value else 0
