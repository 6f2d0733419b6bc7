"""Modes of recording operations: not at all, in a scope, with a check for inf and nan."""

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any, ClassVar, Final, ParamSpec, TypeVar

from autograd import blame
from autograd.atomic import Setting, context
from autograd.notes import LEAF, UNTOUCHED, Note
from autograd.operation import Operation, Origin
from autograd.textbook import place

P = ParamSpec("P")
R = TypeVar("R")
Node = Any  # a Value


class Call(Origin):
    """One call of a transform, and the row of the leaves that are created while its function runs.

    The call owns these leaves.  Any other leaf in its graph comes from outside: the derivative
    depends on it, so the derivative must be recorded too if the caller records.

    Attributes:
        records: whether the caller records operations.
        traces: whether the caller writes numbers to a tape, see `Mode.traces`.
        quiet: whether the caller itself is on a tape that is inside `no_grad`, see `Mode.quiet`.
        around: the enclosing call; None if there is none.
    """

    __slots__ = ("_inside", "around", "quiet", "records", "traces")

    @property
    def holds_nodes(self) -> bool:  # type: ignore[override]
        """Whether its mode may refer to nodes, as one that records for `compile` does."""
        return type(self._inside) is not Mode

    def __init__(self) -> None:
        mode = _mode.get()
        self.around = _call.get()
        if mode is None:
            self.records, self.traces, self.quiet, self._inside = True, False, False, _PLAIN
        else:
            self.records, self.traces = mode.recording, mode.traces
            self.quiet = self.around is None and mode.quiet
            self._inside = mode if mode.recording else mode.child("recording", True)
            mode.meet_transform()

    @property
    def op(self) -> None:
        """None, since this is the row of leaves."""
        return None

    @property
    def call(self) -> "Call":
        """Itself."""
        return self

    def owns(self, leaf: Node) -> bool:
        """Whether the leaf was created in this call, or in a call inside it."""
        call: Call | None = leaf.row.call
        while call is not None and call is not self:
            call = call.around
        return call is self

    def owns_all(self, leaves: Iterable[Node]) -> bool:
        """Whether the call owns all the leaves."""
        for leaf in leaves:  # noqa: SIM110 - a generator would cost twice as much
            if leaf.row is not self and not self.owns(leaf):
                return False
        return True

    def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result; its operations are recorded, and this call owns its leaves."""
        mode, around = _mode.get(), _call.get()
        # No context managers: Ctrl-C can stop an `__exit__` at its start.
        try:
            try:
                _mode.set(self._inside)
                _call.set(self)
                return function(*args, **kwargs)
            finally:
                _call.set(around)
        finally:
            _mode.set(mode)


def leaf_row(label: str = "", scope: str = "", line: str = "") -> Origin:
    """The row of a leaf that is created in a mode."""
    call = _call.get()
    if not (label or scope or line):
        return call or LEAF
    note = Note(None, label, scope, line)
    note._call = call
    return note


class Mode:
    """The settings of recording: on or off, the scope, and the check for inf and nan.

    `traces` is whether the numbers themselves go to a tape, so that a derivative is computed with
    recorded operations even where a float would be enough.
    """

    __slots__ = (
        "__weakref__",
        "anomaly",
        "children",
        "recording",
        "remembered",
        "rows",
        "scope",
        "top",
    )

    traces = False
    node: ClassVar[type[Any]]  # Value, which is defined later

    def __init__(self, recording: bool = True, scope: str = "", anomaly: bool = False) -> None:
        self.recording = recording
        self.scope = scope
        self.anomaly = anomaly
        # One Note serves all nodes of an operation in a scope.
        self.rows: dict[Operation, Origin] = {}
        # A scope is entered again for every sample; from the second time on it is a look-up.
        self.children: dict[tuple[str, Any], Mode] = {}
        # The outermost mode, and how many modes it and its descendants remember.
        self.top: weakref.ref[Mode] = weakref.ref(self)
        self.remembered = 0

    def child(self, change: str, to: Any) -> "Mode":
        """This mode with one change; a scope goes inside the present one."""
        mode = self.children.get((change, to))
        if mode is None:
            scope = self.scope
            if change == "scope":
                scope = f"{scope}/{to}" if scope else to
            mode = self.changed(
                to if change == "recording" else self.recording,
                scope,
                to if change == "anomaly" else self.anomaly,
            )
            top = self.top() or self
            if top.remembered >= _MOST_MODES:
                top.children.clear()
                top.remembered = 0
            top.remembered += 1
            mode.top = weakref.ref(top)
            self.children[change, to] = mode
        return mode

    def changed(self, recording: bool, scope: str, anomaly: bool) -> "Mode":
        """A mode of the same class."""
        return Mode(recording, scope, anomaly)

    @property
    def quiet(self) -> bool:
        """Whether the results on its tape are plain numbers, although the tape is recorded."""
        return False

    @property
    def refuses(self) -> bool:
        """Whether `float(v)` is refused, because it would cut a branch from the recorded graph."""
        return self.recording

    def meet_transform(self) -> None:
        """Called when a transform is called in this mode."""

    def new_leaf(self, leaf: Node) -> None:
        """Called with each leaf that is created in this mode."""

    def record(
        self,
        z: float,
        op: Operation,
        a: Node,
        b: Node,
        x: float,
        y: float | None,
    ) -> Node:
        """The node of a result, recorded according to this mode."""
        node = _new(self.node)
        node._data = z
        node._grad = UNTOUCHED
        if self.recording:
            row = self.rows.get(op)
            if row is None:
                row = self.rows[op] = Note(op, "", self.scope) if self.scope else op
            node.row = row
            node.a = a
            node.b = b
            node.x = x
            if y is not None:
                node.y = y
        else:
            node.row = _call.get() or LEAF
            node.a = node.b = None
        if self.anomaly:
            line = blame.user_line()
            row = node.row.op
            node.row = Note(row, "", self.scope, line) if row else leaf_row("", self.scope, line)
            if z - z != 0.0:
                raise blame.NonFiniteError(blame.bad_result(op, x, y, z, a, b, line))
        return node


# About 10 MB.  A program with more scopes names them by the thousand, such as one for each training
# step with a scope for each neuron in it: these are not entered again.
_MOST_MODES = 10_000
_new: Final = object.__new__
_PLAIN: Final = Mode()
_mode: ContextVar[Mode | None] = ContextVar("mode", default=None)
_call: ContextVar[Call | None] = ContextVar("call", default=None)
# A variable that was set is found at once; the default only after a search, by each operation.
_mode.set(None)

# The present mode; None is the ordinary way.  These are not wrapped in Python functions, because
# every operation would pay for the call.
present_mode: Final = _mode.get
set_mode: Final = _mode.set  # in one step of the interpreter
# The innermost call of a transform whose function is running; None outside of any.
present_call: Final = _call.get


class _Entered(Setting[Mode | None]):
    """A context with a changed Mode, for this thread and this task only.

    As a decorator it applies to each call; a generator function is refused, because the mode would
    leak into the code that runs between its steps.
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
                f"{function.__name__} is a generator or coroutine, and the mode would leak to its "
                "caller between its steps; use a `with` block inside it"
            )

        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with _Entered(self._change, self._to):
                return function(*args, **kwargs)

        return inside


class entered(Setting[Mode | None]):  # noqa: N801 - reads like no_grad
    """A context in which `mode` records operations, for this thread and this task only.

    None is the mode outside all contexts.
    """

    variable = _mode

    def __init__(self, mode: Mode | None) -> None:
        self._inner = mode

    def inside(self, before: Mode | None) -> Mode | None:
        """The mode to enter."""
        return self._inner


class no_grad(_Entered):  # noqa: N801 - PyTorch's name
    """A context or decorator in which nothing is recorded: results are leaves.

    >>> from autograd import Value
    >>> w = Value(3.0)
    >>> with no_grad():
    ...     z = w * w
    >>> z.data, z.parents
    (9.0, ())
    """

    def __init__(self) -> None:
        super().__init__("recording", False)


class recording(_Entered):  # noqa: N801 - reads like no_grad
    """A context in which operations are recorded, also inside `no_grad`."""

    def __init__(self) -> None:
        super().__init__("recording", True)


class detect_anomaly(_Entered):  # noqa: N801 - PyTorch's name
    """A context in which the first operation whose result is inf or nan raises NonFiniteError.

    The error names the operation, its operands, their labels and the user's source line.  Values
    are checked as they are computed, adjoints during `backward`.

    >>> from autograd import Value
    >>> p = Value(0.0, label="p")
    >>> with detect_anomaly():
    ...     loss = -p.log()
    Traceback (most recent call last):
    autograd.blame.NonFiniteError: log(x) = -inf at x = 0.0 ('p'), at <doctest ...>:2
    """

    def __init__(self) -> None:
        super().__init__("anomaly", True)


class scope(_Entered):  # noqa: N801 - reads like no_grad
    """A context that groups the nodes created inside it under a name; scopes nest.

    >>> from autograd import Value
    >>> with scope("layer 1"), scope("neuron 0"):
    ...     z = Value(1.0) + 2.0
    >>> z.scope
    'layer 1/neuron 0'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name or "/" in name or place(name) != name:
            raise ValueError(f"scope: expected a name without '/' and '\\x1f', got {name!r}")
        super().__init__("scope", name)


@context
def quiet_gc() -> Iterator[None]:
    """A context in which Python's cycle collector is off; graphs are freed without it.

    A graph of a million nodes is built up to three times faster, because the collector does not
    walk all of it again and again.  Unlike the modes, this applies to the whole process.

    >>> from autograd import Value
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


def nonfinite(text: str) -> None:
    """Warn about inf or nan at the user's line; raise NonFiniteError under `detect_anomaly`."""
    mode = _mode.get()
    if mode is not None and mode.anomaly:
        raise blame.NonFiniteError(text)
    blame.warn(text)
