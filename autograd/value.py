"""`Value`: a number that remembers how it was computed, and the chain rule along that memory."""

import gc
import math
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import partial, wraps
from itertools import repeat
from operator import attrgetter
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, final

from autograd import advice, record
from autograd.atomic import Setting, context
from autograd.atomic import at_once as at_once
from autograd.ops import Hook, Operation, Ops, Origin, is_foreign, number, refusal, unboxed
from autograd.ops import rows as rows  # everybody takes it from here

P = ParamSpec("P")
R = TypeVar("R")

# The gradient of a node that no backward pass has reached is this very object, so that a picture
# can say so; in arithmetic it is an ordinary zero.
UNTOUCHED: Final = float("0.0")


class NonFiniteWarning(RuntimeWarning):
    """A value or a derivative is inf or nan; the message names the first operation at fault."""


class NonFiniteError(ArithmeticError):
    """Raised under `detect_anomaly` by the first operation that makes inf or nan."""


class Note(Origin):
    """What is known of one node beyond its row: a label, a scope, a source line, hooks."""

    def __init__(
        self,
        op: Operation | None,
        label: str = "",
        scope: str = "",
        line: str = "",
        call: "Call | None" = None,
    ) -> None:
        self._op: Any = op
        self.label = label
        self.scope = scope
        self.line = line
        self.hooks: tuple[Hook, ...] = ()
        self._call = call

    @property
    def op(self) -> Operation | None:
        """The operation; None for a leaf."""
        return self._op  # type: ignore[no-any-return]

    @property
    def call(self) -> "Call | None":
        """The call of a transform in which a leaf was made; None outside of any."""
        return self._call

    @staticmethod
    def of(row: Origin) -> "Note":
        """What a row says of its node, as a Note that is shared with no other node."""
        note = Note(row.op, row.label, row.scope, row.line)
        note.hooks = row.hooks
        note._call = row.call
        return note

    def pullback(self, node: Any) -> None:
        """Run the hooks on the node's finished adjoint, then pull it back."""
        node._grad = _hooked(self.hooks, node._grad)
        self._op.pullback(node)


def _hooked(hooks: tuple[Hook, ...], grad: float) -> float:
    for hook in hooks:
        changed = hook(grad)
        grad = grad if changed is None else number(changed, "a hook's result")
    return grad


LEAF: Final = Note(None)
# How many hooks were ever registered: what serves many leaves looks at each of them only when this
# has changed.
registrations: Final = [0]


class Call(Origin):
    """One call of a transform, and the row of the leaves that are made while its function runs.

    These leaves are the call's own.  Any other leaf that its graph reaches comes from outside, and
    then the derivative depends on it: it must be recorded too, if the caller records.

    Attributes:
        records: whether the caller records operations.
        traces: whether the caller writes numbers to a tape, see `Mode.traces`.
        around: the call in whose function this one was made; None if there is none.
    """

    __slots__ = ("_inside", "around", "records", "traces")

    def __init__(self) -> None:
        mode = _mode.get()
        self.around = _call.get()
        if mode is None:
            self.records, self.traces, self._inside = True, False, _PLAIN
        else:
            self.records, self.traces = mode.recording, mode.traces
            self._inside = mode if mode.recording else mode.child("recording", True)
            mode.meet_transform()

    @property
    def op(self) -> None:
        """None: it is the row of leaves."""
        return None

    @property
    def call(self) -> "Call":
        """Itself."""
        return self

    def owns(self, leaf: "Value") -> bool:
        """Whether the leaf was made in this call, or in one inside it."""
        call: Call | None = leaf._row.call
        while call is not None and call is not self:
            call = call.around
        return call is self

    def owns_all(self, leaves: "Iterable[Value]") -> bool:
        """Whether it owns each of the leaves."""
        for leaf in leaves:  # noqa: SIM110 - a generator would cost twice as much
            if leaf._row is not self and not self.owns(leaf):
                return False
        return True

    def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns; its operations are recorded and its leaves are this call's."""
        mode, around = _mode.get(), _call.get()
        # No context managers: Python looks for Ctrl-C at the start of an `__exit__`.
        try:
            try:
                _mode.set(self._inside)
                _call.set(self)
                return function(*args, **kwargs)
            finally:
                _call.set(around)
        finally:
            _mode.set(mode)


def present_call() -> Call | None:
    """The innermost call of a transform whose function runs here and now; None outside of any."""
    return _call.get()


def _leaf_row(label: str = "", scope: str = "", line: str = "") -> Origin:
    """The row of a leaf that is made in a mode."""
    call = _call.get()
    if not (label or scope or line):
        return call or LEAF
    note = Note(None, label, scope, line)
    note._call = call
    return note


class Mode:
    """What recording does differently here: nothing at all, a scope, a check for inf and nan.

    `traces` is whether the numbers themselves go to a tape, so that a derivative is computed with
    recorded operations even where a float would do.
    """

    __slots__ = (
        "__weakref__",
        "anomaly",
        "children",
        "inside",
        "recording",
        "rows",
        "scope",
        "top",
    )

    traces = False

    def __init__(self, recording: bool = True, scope: str = "", anomaly: bool = False) -> None:
        self.recording = recording
        self.scope = scope
        self.anomaly = anomaly
        # One Note serves all nodes of an operation in a scope.
        self.rows: dict[Operation, Origin] = {}
        # A scope is entered again for every sample: the second time costs a look-up.
        self.children: dict[tuple[str, Any], Mode] = {}
        # The mode that all of these are inside of, and how many it remembers, theirs included.
        self.top: weakref.ref[Mode] = weakref.ref(self)
        self.inside = 0

    def child(self, change: str, to: Any) -> "Mode":
        """This mode with one thing changed; a scope goes inside the present one."""
        found = self.children.get((change, to))
        if found is None:
            scope = self.scope
            if change == "scope":
                scope = f"{scope}/{to}" if scope else to
            found = self.changed(
                to if change == "recording" else self.recording,
                scope,
                to if change == "anomaly" else self.anomaly,
            )
            top = self.top() or self
            if top.inside >= _MOST_MODES:
                top.children.clear()
                top.inside = 0
            top.inside += 1
            found.top = weakref.ref(top)
            self.children[change, to] = found
        return found

    def changed(self, recording: bool, scope: str, anomaly: bool) -> "Mode":
        """A mode of this kind."""
        return Mode(recording, scope, anomaly)

    @property
    def refuses(self) -> bool:
        """Whether `float(v)` is refused, as it would cut a branch from what is recorded."""
        return self.recording

    def meet_transform(self) -> None:
        """A transform is called in this mode."""

    def new_leaf(self, leaf: "Value") -> None:
        """Told of each leaf that is made in this mode."""

    def record(
        self,
        z: float,
        op: Operation,
        a: "Value | None",
        b: "Value | None",
        x: float,
        y: float | None,
    ) -> "Value":
        """The node of a result, as this mode wants it."""
        node: Value = object.__new__(Value)
        node._data = z
        node._grad = UNTOUCHED
        if self.recording:
            row = self.rows.get(op)
            if row is None:
                row = self.rows[op] = Note(op, "", self.scope) if self.scope else op
            node._row = row
            node.a = a
            node.b = b
            node.x = x
            if y is not None:
                node.y = y
        else:
            node._row = _call.get() or LEAF
            node.a = node.b = None
        if self.anomaly:
            line = user_line()
            row = node._row.op
            node._row = Note(row, "", self.scope, line) if row else _leaf_row("", self.scope, line)
            if z - z != 0.0:
                raise NonFiniteError(bad_result(op, x, y, z, a, b, line))
        return node


# Some 10 MB.  More are names made up by the thousand, such as one for every step of a training, and
# below each of them a mode for every neuron: not worth remembering.
_MOST_MODES = 10_000
_PLAIN: Final = Mode()
_mode: ContextVar[Mode | None] = ContextVar("mode", default=None)
_call: ContextVar[Call | None] = ContextVar("call", default=None)


class _Entered(Setting[Mode | None]):
    """A context in which a changed Mode holds, for this thread and this task only.

    As a decorator it holds for each call; a generator function is refused, because the mode would
    leak into whatever runs between its steps.
    """

    variable = _mode

    def __init__(self, change: str, to: Any) -> None:
        self._change, self._to = change, to

    def inside(self, before: Mode | None) -> Mode:
        """The mode with the change."""
        return (before or _PLAIN).child(self._change, self._to)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & 0x2A0:  # generator, coroutine, async generator
            raise TypeError(
                f"{function.__name__} suspends itself, and the mode would leak to its caller; "
                "use a `with` block inside it"
            )

        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with _Entered(self._change, self._to):
                return function(*args, **kwargs)

        return inside


def present_mode() -> Mode | None:
    """How operations are recorded here and now; None is the ordinary way."""
    return _mode.get()


# Sets what `present_mode` gave, in one step of the interpreter.
set_mode: Final = _mode.set


class entered(Setting[Mode | None]):  # noqa: N801 - reads like no_grad
    """A context in which operations are recorded by `mode`, for this thread and task only."""

    variable = _mode

    def __init__(self, mode: Mode) -> None:
        self._inner = mode

    def inside(self, before: Mode | None) -> Mode:
        """The mode that was given."""
        return self._inner


class no_grad(_Entered):  # noqa: N801 - PyTorch's name
    """A context (or decorator) in which results are leaves: nothing is recorded.

    >>> w = Value(3.0)
    >>> with no_grad():
    ...     z = w * w
    >>> z.data, z.parents
    (9.0, ())
    """

    def __init__(self) -> None:
        super().__init__("recording", False)


class recording(_Entered):  # noqa: N801 - reads like no_grad
    """A context in which results remember their operands, also inside `no_grad`."""

    def __init__(self) -> None:
        super().__init__("recording", True)


class detect_anomaly(_Entered):  # noqa: N801 - PyTorch's name
    """A context in which the first operation that makes inf or nan raises NonFiniteError.

    The error names the operation, its operands, their labels and the user's source line, both for
    values (at once, in forward order) and for adjoints (during `backward`).

    >>> p = Value(0.0, label="p")
    >>> with detect_anomaly():
    ...     loss = -p.log()
    Traceback (most recent call last):
    autograd.value.NonFiniteError: log(x) = -inf at x = 0.0 ('p'), at <doctest ...>:2
    """

    def __init__(self) -> None:
        super().__init__("anomaly", True)


class scope(_Entered):  # noqa: N801 - reads like no_grad
    """A context that groups the nodes made inside it under a name; scopes nest.

    >>> with scope("layer 1"), scope("neuron 0"):
    ...     z = Value(1.0) + 2.0
    >>> z.scope
    'layer 1/neuron 0'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"scope: expected a name without '/', got {name!r}")
        super().__init__("scope", name)


@context
def quiet_gc() -> Iterator[None]:
    """A context in which Python's cycle collector rests; graphs are freed without it.

    Building a graph of a million nodes costs up to three times less, because the collector does
    not walk all of it again and again.  It holds for the whole process, unlike the modes.

    >>> with quiet_gc():
    ...     (Value(2.0) * 3.0).backward()
    """
    enabled = gc.isenabled()
    try:
        gc.disable()
        yield
    finally:
        if enabled:
            gc.enable()


@final
class Value(Ops):
    """A number with a gradient, and the operation and operands that it came from.

    Args:
        data: a real number; it is stored as a float.
        label: a name to show in drawings and messages.
        requires_grad: True, which is PyTorch's word for it: every Value has a gradient.

    Attributes:
        data: the number.  Change it on leaves only, as an optimizer does; any real number may be
            assigned, and is stored as a float.
        grad: dL/d(this) after `L.backward()`.  Leaves add up; inner nodes hold the last pass.
        op: the row of the table that made it; None for a leaf.
        a, b: the parents of the first and the second operand; None for a plain number.
        x, y: the operands' numbers at the time of the forward pass (an operation's nodes only).

    Raises TypeError for text, complex numbers, containers, arrays and Values.

    A Value is compared by its number (`v == 1.0`, `v < w`, `if v:`) and hashed by identity, so
    two Values of the same number are two keys of a dict.  `float(v)` and `math.exp(v)` would lose
    the gradient without a word: they raise TypeError while operations are recorded.  Use
    `v.data` for the number alone; inside `no_grad()` all of them give it.

    >>> w, x, b = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b")
    >>> y = (w * x + b).tanh()
    >>> y.backward()
    >>> round(w.grad, 4), round(x.grad, 4), round(b.grad, 4)
    (-0.1807, 0.3614, 0.1807)
    """

    __slots__ = ("_data", "_grad", "_row", "a", "b", "x", "y")

    _data: float
    _grad: float
    a: "Value | None"
    b: "Value | None"
    x: float
    y: float
    _row: Origin

    def __init__(self, data: float, label: str = "", *, requires_grad: bool = True) -> None:
        if requires_grad is not True:
            raise TypeError(
                "Value: every Value has a gradient; requires_grad=False is a plain number here, or "
                "v.detach() where it comes out of a graph"
            )
        if type(data) is not float:
            if isinstance(data, Ops):
                raise TypeError(refusal(data, "Value"))
            data = number(data, "Value")
        if not isinstance(label, str):
            raise TypeError(f"Value: expected a label of text, got {label!r}")
        self._data = data
        self._grad = UNTOUCHED
        self.a = self.b = None
        mode = _mode.get()
        if mode is None:
            self._row = Note(None, label) if label else LEAF
        else:
            where = mode.scope
            self._row = _leaf_row(label, where) if label or where else _call.get() or LEAF
            mode.new_leaf(self)

    # Descriptors, and no `__getattr__`: a missing attribute costs what it did.
    _prev = _children = advice.Renamed(".parents")
    _local_grads = advice.Renamed(".dx and .dy")
    _op = advice.Renamed(".op")
    _backward = advice.Renamed(".backward(), or autograd.define_op for an operation of your own")

    # ------------------------------------------------------------------ what a node knows

    # What a user assigns is checked; the engine, which writes floats, uses the slots.
    def _set_data(self, data: float) -> None:
        self._data = data if type(data) is float else _stored(data, "data")

    def _set_grad(self, grad: float) -> None:
        self._grad = grad if type(grad) is float else _stored(grad, "grad")

    if TYPE_CHECKING:

        @property
        def data(self) -> float:
            """The number."""

        @data.setter
        def data(self, data: float) -> None: ...

        @property
        def grad(self) -> float:
            """What backward passes have added."""

        @grad.setter
        def grad(self, grad: float) -> None: ...

    else:
        data = property(attrgetter("_data"), _set_data, doc="The number.")
        grad = property(attrgetter("_grad"), _set_grad, doc="What backward passes have added.")

    @property
    def op(self) -> Operation | None:
        """The row of the operation that made this node; None for a leaf."""
        return self._row.op

    @property
    def label(self) -> str:
        """The node's name; empty if it has none."""
        return self._row.label

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f"label: expected text, got {label!r}")
        self._own_note().label = label

    @property
    def scope(self) -> str:
        """The scopes it was made in, joined by '/'; empty outside of any."""
        return self._row.scope

    @scope.setter
    def scope(self, scope: str) -> None:
        self._own_note().scope = scope

    @property
    def line(self) -> str:
        """The user's source line that made it, 'file:line', known under `detect_anomaly`."""
        return self._row.line

    @property
    def is_leaf(self) -> bool:
        """Whether it was given, not computed."""
        return self.a is None and self.b is None

    @property
    def parents(self) -> "tuple[Value, ...]":
        """The Values among its operands, in order; a Value used twice is there twice."""
        return tuple(parent for parent in (self.a, self.b) if parent is not None)

    @property
    def dx(self) -> float:
        """The local derivative dz/dx at the recorded operands; nan if the value is nan."""
        return self._partial("dx", 1)

    @property
    def dy(self) -> float:
        """The local derivative dz/dy at the recorded operands; nan if the value is nan."""
        return self._partial("dy", 2)

    def _partial(self, name: str, arity: int) -> float:
        op = self.op
        if op is None or op.arity < arity:
            raise AttributeError(f"{op.name if op else 'a leaf'} has no {name}")
        if self.data != self.data:
            return math.nan
        return float(getattr(op, name)(self.x, getattr(self, "y", None), self.data))

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """The functions that see its gradient in each pass, see `register_hook`."""
        return self._row.hooks

    def _own_note(self) -> Note:
        """This node's Note, shared with no other node."""
        self._row = note = Note.of(self._row)
        return note

    # ------------------------------------------------------------------ numbers

    def apply(self, op: Operation, x: Any, y: Any) -> Any:
        """The operation on operands of which at least one is a Value."""
        if op.arity == 1:
            return op.method(x)
        for operand in (x, y):
            if isinstance(operand, Ops) and not isinstance(operand, Value):
                return operand.apply(op, x, y)
        return op.method(x, y) if isinstance(x, Value) else op.reverse(y, x)

    # These read `.data` and not the slot, so that a recording is told.
    def __lt__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else _compared(other, "__gt__")
        return y if y is NotImplemented else self.data < y

    def __le__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else _compared(other, "__ge__")
        return y if y is NotImplemented else self.data <= y

    def __gt__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else _compared(other, "__lt__")
        return y if y is NotImplemented else self.data > y

    def __ge__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else _compared(other, "__le__")
        return y if y is NotImplemented else self.data >= y

    def __eq__(self, other: object) -> bool:
        y = other if type(other) is float else _equalled(other)
        return y if y is NotImplemented else bool(self.data == y)  # of NumPy's floats too

    __hash__ = object.__hash__  # by identity: nodes of equal numbers are still two nodes

    def __bool__(self) -> bool:
        return self.data != 0.0

    def item(self) -> float:
        """The number, as `.data`: for printing, plotting and comparing, without a gradient."""
        return self.data

    def __float__(self) -> float:
        return float(self._converted("float"))  # of what is recorded, an input to be asked

    def __int__(self) -> int:
        return int(self._converted("int"))

    def __trunc__(self) -> int:
        return int(self._converted("int"))

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return self.round()  # the operation
        return round(self._converted("rounded number"), digits)

    def _converted(self, to: str) -> float:
        mode = _mode.get()
        if mode is None or mode.refuses:
            raise TypeError(advice.conversion(to, sys._getframe(2)))
        return self.data

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's operators, which ask the Value; its other functions are as those of `math`."""
        names = advice.NUMPY_OPERATORS.get(function.__name__)
        if names is not None and method == "__call__" and not options:
            x, y = (unboxed(operand) for operand in inputs)
            asked = getattr(x, names[0]) if isinstance(x, Value) else getattr(y, names[1])
            return asked(y if isinstance(x, Value) else x)
        mode = _mode.get()
        if mode is None or mode.refuses:
            raise TypeError(advice.numpy_function(function.__name__))
        plain = (one.data if isinstance(one, Value) else one for one in inputs)
        return getattr(function, method)(*plain, **options)

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else repr(self)

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        op = f", op={self.op.name}" if self.op else ""
        return f"Value(data={self.data!r}, grad={self.grad!r}{op}{label})"

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise TypeError(
                "a computed Value cannot be copied or pickled without its whole graph; "
                "copy its number with v.detach(), or save the leaves and compute it again"
            )
        return _leaf, (self.data, self.label, self._grad)

    def __copy__(self) -> "Value":
        make, arguments = self.__reduce__()
        return make(*arguments)  # type: ignore[no-any-return]

    def detach(self) -> "Value":
        """A new leaf with the same number and label, cut off from the graph."""
        return Value(self.data, self.label)

    # ------------------------------------------------------------------ the chain rule

    def backward(self, seed: float = 1.0) -> None:
        """Add seed * d(this)/d(leaf) to the `.grad` of every leaf it was computed from.

        Inner nodes' gradients are those of this pass.  A pass that is interrupted, by Ctrl-C or by
        a hook that raises, leaves every `.grad` as it was.  Differentiates the point that was
        recorded, whatever happened to a leaf's `.data` since.  A gradient of exactly 0 is not
        carried on, so a branch that cannot matter cannot make nan out of 0 * inf.

        Warns (NonFiniteWarning) when the value or a leaf's gradient is inf or nan, naming the
        first operation at fault.
        """
        accumulate(self, number(seed, "backward's seed"), _report)

    def zero_grad(self) -> None:
        """Set the gradient of every leaf it was computed from (itself, if it is one) to 0."""
        for node in topological(self):
            if node.is_leaf:
                node._grad = 0.0

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Have `hook(grad)` called in each backward pass once this node's gradient is complete.

        If it returns a number, that number takes the gradient's place.  For a leaf it sees what
        this pass adds.  In a pass that is itself recorded, the gradient is a Value.  Returns a
        function that removes the hook.

        >>> v = Value(3.0)
        >>> remove = v.register_hook(lambda g: max(-1.0, min(1.0, g)))  # clip
        >>> (v * v).backward()
        >>> v.grad
        1.0
        >>> remove()
        """
        if not callable(hook):
            raise TypeError(f"register_hook: expected a function of the gradient, got {hook!r}")
        note = self._own_note()
        note.hooks = (*note.hooks, hook)
        registrations[0] += 1

        def remove() -> None:
            note = self._own_note()
            note.hooks = tuple(kept for kept in note.hooks if kept is not hook)

        return remove


def hooked(node: Value, grad: Any) -> Any:
    """What a node's hooks make of its gradient in a recorded pass: a number or a Value."""
    for hook in node.hooks:
        changed: Any = hook(grad)
        if changed is not None:
            grad = changed if isinstance(changed, Value) else number(changed, "a hook's result")
    return grad


def _leaf(data: float, label: str, grad: float) -> Value:
    leaf = Value(data, label)
    if grad != 0.0:
        leaf._grad = grad
    return leaf


def _stored(operand: object, name: str) -> float:
    if isinstance(operand, Ops):
        raise TypeError(
            f"v.{name} = ...: expected a real number, got {type(operand).__name__}; write .data "
            f"for its number, as in p.data = p.data - lr * p.grad, or q.data for another Value q"
        )
    return number(operand, f"v.{name} = ...")


def _compared(other: object, reflected: str) -> Any:
    """The number that a Value is compared with; NotImplemented where the other side is asked."""
    if type(other) is Value:
        return other.data
    if isinstance(other, Ops):
        return NotImplemented  # another carrier of the operations knows how it is compared
    try:
        return number(other, "a comparison")
    except TypeError:
        if is_foreign(other, reflected):
            return NotImplemented
        raise


def _equalled(other: object) -> Any:
    """The same for ==, where anything that is no number is not equal, and arrays are refused."""
    if type(other) is Value:
        return other.data
    if other is None or isinstance(other, Ops | str | bytes):
        return NotImplemented
    from numbers import Number

    other = unboxed(other)
    if isinstance(other, Number):
        return other
    if hasattr(type(other), "__array__"):
        raise TypeError(refusal(other, "=="))
    return NotImplemented


def numbers(nodes: Iterable[Value]) -> list[float]:
    """The `.data` of each node.

    >>> numbers([Value(1.0), Value(2.0)])
    [1.0, 2.0]
    """
    return [node._data for node in nodes]


def grads(nodes: Iterable[Value]) -> list[float]:
    """The `.grad` of each node.

    >>> grads([Value(1.0), Value(2.0)])
    [0.0, 0.0]
    """
    return [node._grad for node in nodes]


def number_writer(nodes: Iterable[Value], numbers: Iterable[float]) -> Callable[[], object]:
    """A function, for one call, that gives each node its `.data`, which must be a float.

    The call is one step of the interpreter, in which it looks for no signal: Ctrl-C comes before
    all of it or after.

    >>> v = Value(1.0)
    >>> _ = number_writer([v], [2.0])()
    >>> v.data
    2.0
    """
    mode = _mode.get()
    # A recording hears of what is assigned to `.data`, and refuses it.
    name = "data" if mode is not None and mode.traces else "_data"
    return partial(at_once, map(setattr, nodes, repeat(name), numbers))


def grad_writer(nodes: Iterable[Value], grads: Iterable[float]) -> Callable[[], object]:
    """The same for `.grad`.

    >>> v = Value(1.0)
    >>> _ = grad_writer([v], [2.0])()
    >>> v.grad
    2.0
    """
    return partial(at_once, map(setattr, nodes, repeat("_grad"), grads))


def topological(*roots: Value) -> list[Value]:
    """Every node that the roots were computed from, operands before results, roots included.

    The order depends on the graph alone, so the same script gives the same order, and the same
    bits, in every process.  Nothing here recurses.

    >>> a, b = Value(1.0, "a"), Value(2.0, "b")
    >>> [node.label or node.op for node in topological(a * b + a)]
    ['a', 'b', Op(mul(x, y) = x * y), Op(add(x, y) = x + y)]
    """
    order: list[Value] = []
    _visit(roots, order, order)
    return order


def visited(*roots: Value, without: Iterable[Value] = ()) -> tuple[list[Value], list[Value]]:
    """The computed nodes, operands before results, and the leaves that the roots come from.

    It does not go into the nodes `without`, nor into what only they are computed from.
    """
    inner: list[Value] = []
    leaves: list[Value] = []
    _visit(roots, inner, leaves, without)
    return inner, leaves


def _visit(
    roots: tuple[Value, ...],
    inner: list[Value],
    leaves: list[Value],
    without: Iterable[Value] = (),
) -> None:
    emit, emit_leaf = inner.append, leaves.append
    seen: set[Value | None] = {None, *without}
    see = seen.add
    path: list[Value] = []  # from the root to the node whose operands are being visited
    push, pop = path.append, path.pop
    for root in roots:
        if root in seen:
            continue
        see(root)
        if root.a is None and root.b is None:
            emit_leaf(root)
            continue
        node: Value = root
        while True:
            # What was seen is finished: were it on the path, the graph would have a cycle.
            if (a := node.a) not in seen:
                see(a)
                if a.a is not None or a.b is not None:  # type: ignore[union-attr]
                    push(node)
                    node = a  # type: ignore[assignment]
                    continue
                emit_leaf(a)  # type: ignore[arg-type]
            if (b := node.b) not in seen:
                see(b)
                if b.a is not None or b.b is not None:  # type: ignore[union-attr]
                    push(node)
                    node = b  # type: ignore[assignment]
                    continue
                emit_leaf(b)  # type: ignore[arg-type]
            emit(node)
            if not path:
                break
            node = pop()


def unfold(*roots: Value) -> None:
    """Make of compiled calls behind the roots the scalar graphs that their functions would make.

    The nodes that are their results stay the same objects, with the same numbers.
    """
    calls: dict[Any, list[Value]] = {}
    for node in visited(*roots)[0]:
        op: Any = node.op
        call = op.call_of(node) if op.many else None
        if call is not None:
            calls.setdefault(call, []).append(node)
    for call, nodes in calls.items():
        call.unfold(nodes)


def forkable_lock() -> Any:
    """An RLock that a forked child finds free: it must not wait for a thread that it has not."""
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock


# Passes of two threads may meet in the same leaves, and their sums would get lost: one at a time.
# A hook may start a pass inside a pass.
one_pass: Final = forkable_lock()


def restorer(nodes: Iterable[Value]) -> Callable[[], object]:
    """A function, for one call, that puts every gradient back to what it is now.

    The call is one step of the interpreter, in which it looks for no signal: a second Ctrl-C, or
    one that comes during a `finally`, cannot leave half of it undone.

    >>> v = Value(1.0)
    >>> undo = restorer([v])
    >>> v.backward()
    >>> _ = undo()
    >>> v.grad
    0.0
    """
    nodes = list(nodes)
    return grad_writer(nodes, grads(nodes))


def sweep(inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]) -> None:
    """Reverse accumulation: adjoints of inner nodes from 0, leaves on top of what they have."""
    hooked = []
    for leaf in leaves:
        if leaf._row.hooks:
            hooked.append((leaf, leaf._grad))
            leaf._grad = 0.0
        elif leaf._grad is UNTOUCHED:
            leaf._grad = 0.0
    for node in inner:
        node._grad = 0.0
    for root, seed in seeds:
        # A value that is nan has nan derivatives, whatever a formula would make of its operands.
        root._grad += seed if root._data == root._data else math.nan
    for node in reversed(inner):
        if node._grad:
            node._row.pullback(node)
    for leaf, before in hooked:
        leaf._grad = before + _hooked(leaf._row.hooks, leaf._grad)


def accumulate(
    root: Value,
    seed: float = 1.0,
    check: Callable[[list[Value], list[Value], Value], None] | None = None,
) -> None:
    """The pass of `root.backward(seed)`, whole or not at all; without a `check` it never warns."""
    inner, leaves = visited(root)
    with one_pass:
        undo = restorer(inner + leaves)
        try:
            sweep(inner, leaves, [(root, seed)])
            if check is not None:
                check(inner, leaves, root)
        except BaseException:
            undo()
            raise


def derivatives(
    inner: list[Value],
    leaves: list[Value],
    seeds: Iterable[tuple[Value, float]],
    wanted: Iterable[Value],
) -> list[float]:
    """The derivatives of the sum of seed * root in the wanted nodes; no `.grad` changes.

    `inner` and `leaves` are what `visited` gives for the roots.
    """
    order = inner + leaves
    with one_pass:
        undo = restorer(order)
        try:
            for leaf in leaves:
                leaf._grad = 0.0
            sweep(inner, leaves, seeds)
            reached = set(order)
            return [node._grad if node in reached else 0.0 for node in wanted]
        finally:
            undo()


# ---------------------------------------------------------------------- inf and nan


def _operand_text(name: str, number: float, node: Value | None) -> str:
    label = f" ({node.label!r})" if node is not None and node.label else ""
    return f"{name} = {number!r}{label}"


def bad_result(
    op: Operation,
    x: float,
    y: float | None,
    z: float,
    a: Value | None,
    b: Value | None,
    line: str,
) -> str:
    """What an operation gave at which operands, and where, for a message on inf or nan."""
    operands = [_operand_text("x", x, a)]
    if y is not None:
        operands.append(_operand_text("y", y, b))
    call = f"{op.name}({'x' if y is None else 'x, y'})"
    return f"{call} = {z!r} at {', '.join(operands)}" + (f", at {line}" if line else "")


def _is_ours(frame: FrameType) -> bool:
    """Whether it runs code of this package, or generated by it."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in ("autograd", "nn") or frame.f_code.co_filename.startswith("<autograd ")


def user_line() -> str:
    """'file:line' of the innermost frame that is neither this package's nor generated by it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not _is_ours(frame):
            return f"{called(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def called(filename: str) -> str:
    """A file's name without its folders; of a cell, whose file is a hash, In[3] as it is shown."""
    interactive = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = interactive() if interactive is not None else None
    cell = shell.compile.format_code_name(filename) if shell is not None else None
    return cell[1] if cell is not None else os.path.basename(filename)


def first_nonfinite(order: Iterable[Value]) -> str:
    """What went wrong first, in forward order: a value or a local derivative; '' if nothing."""
    order = list(order)
    for node in order:
        if node.data - node.data != 0.0:
            if node.op is None:
                name = f" {node.label!r}" if node.label else ""
                return f"the leaf{name} is {node.data!r}"
            y = getattr(node, "y", None)
            return bad_result(node.op, node.x, y, node.data, node.a, node.b, node.line)
    for node in reversed(order):
        if node.op is None or not node.grad:
            continue
        for name, parent in (("dx", node.a), ("dy", node.b)):
            if parent is None:
                continue
            partial = getattr(node, name)
            if partial - partial != 0.0 or (node.grad * partial) - (node.grad * partial) != 0.0:
                y = getattr(node, "y", None)
                where = bad_result(node.op, node.x, y, node.data, node.a, node.b, node.line)
                return f"dL/dz * dz/{name} is {node.grad!r} * {partial!r} in {where}"
    return ""


def _report(inner: list[Value], leaves: list[Value], root: Value) -> None:
    """Warn, or raise under `detect_anomaly`, if the root or a leaf's gradient is not finite."""
    if root._data - root._data == 0.0:
        for leaf in leaves:
            if leaf._grad - leaf._grad != 0.0:
                break
        else:
            return
    unfold(root)
    inner, leaves = visited(root)
    text = first_nonfinite([*leaves, *inner])
    if text:
        nonfinite(f"backward: {text}")


def fault(inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]) -> str:
    """What went wrong first in a pass with these seeds, run again without hooks; '' if nothing."""
    seeds = list(seeds)
    unfold(*(root for root, _ in seeds))
    inner, leaves = visited(*(root for root, _ in seeds))
    order = [*leaves, *inner]
    with one_pass:
        undo = restorer(order)
        try:
            for node in order:
                node._grad = 0.0
            for root, seed in seeds:
                root._grad += seed if root._data == root._data else math.nan
            for node in reversed(inner):
                if node._grad and node.op is not None:
                    node.op.pullback(node)
            return first_nonfinite(order)
        finally:
            undo()


def nonfinite(text: str) -> None:
    """Warn of inf or nan at the user's line; NonFiniteError under `detect_anomaly`."""
    mode = _mode.get()
    if mode is not None and mode.anomaly:
        raise NonFiniteError(text)
    level, frame = 1, sys._getframe(0)
    while _is_ours(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, NonFiniteWarning, stacklevel=level)


# What the generated methods need beside the operation itself; `define_op` needs it again.
INSTALLED_WITH = {"get_mode": _mode.get, "untouched": UNTOUCHED}


for _op in rows().values():
    record.install(_op, Value, rows(), INSTALLED_WITH)
