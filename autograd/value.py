"""`Value`: a number that remembers how it was computed, and the chain rule along its graph."""

import math
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, cast, final

from autograd import advice, native, record
from autograd.atomic import at_once as at_once
from autograd.atomic import forkable_lock
from autograd.blame import first_nonfinite
from autograd.elsewhere import advised
from autograd.ends import lost_slope
from autograd.modes import Mode, leaf_row, nonfinite, present_call, present_mode
from autograd.notes import LEAF, UNTOUCHED, Note, registrations, run_hooks
from autograd.operands import compared, equalled, number, refusal, unboxed
from autograd.operation import Hook, Operation, Origin
from autograd.ops import Ops
from autograd.ops import rows as rows  # for the other files
from autograd.order import topological, unfold, visited


@final
@native.nodes(Mode, Note, LEAF, UNTOUCHED, (present_mode, present_call))
class Value(Ops):
    """A number with a gradient, and the operation and operands that it came from.

    Args:
        data: a real number; it is stored as a float.
        label: a name to show in drawings and messages.
        requires_grad: PyTorch's argument; it must be True, because every Value has a gradient.

    Attributes:
        data: the number.  Change it on leaves only, as an optimizer does; any real number may be
            assigned, and is stored as a float.
        grad: dL/d(this) after `L.backward()`.  Passes add up in leaves; an inner node has the
            gradient of the last pass.
        op: the row of the operation that computed it; None for a leaf.
        row: that row, or a Note that adds facts about this node alone.
        a, b: the parents of the first and the second operand; None for a plain number.
        x, y: the operands' numbers at the time of the forward pass (an operation's nodes only).

    Raises TypeError for text, complex numbers, containers, arrays and Values.

    A Value is compared by its number (`v == 1.0`, `v < w`, `if v:`) and hashed by identity, so
    two Values of the same number are two keys of a dict.  `float(v)` and `math.exp(v)` would lose
    the gradient silently: they raise TypeError while operations are recorded.  Use `v.data` for the
    number alone; inside `no_grad()` all of them work.

    >>> w, x, b = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b")
    >>> y = (w * x + b).tanh()
    >>> y.backward()
    >>> round(w.grad, 4), round(x.grad, 4), round(b.grad, 4)
    (-0.1807, 0.3614, 0.1807)
    """

    __slots__ = ("_data", "_grad", "a", "b", "row", "x", "y")

    _data: float
    _grad: float
    a: "Value | None"
    b: "Value | None"
    x: float
    y: float
    row: Origin

    @advised
    def __init__(self, data: float, label: str = "", *, requires_grad: bool = True) -> None:
        if requires_grad is not True:
            raise TypeError(
                "Value: every Value has a gradient; instead of requires_grad=False use a plain "
                "number, or v.detach() for a Value that is part of a graph"
            )
        if type(data) is not float:
            if isinstance(data, Ops):
                raise TypeError(refusal(data, "Value"))
            data = number(data, "Value")
        if not isinstance(label, str):
            raise TypeError(f"Value: expected a str as label, got {label!r}")
        self._data = data
        self._grad = UNTOUCHED
        self.a = self.b = None
        mode = present_mode()
        if mode is None:
            self.row = Note(None, label) if label else LEAF
        else:
            where = mode.scope
            self.row = leaf_row(label, where) if label or where else present_call() or LEAF
            mode.new_leaf(self)

    # Descriptors instead of `__getattr__`, which would slow down every other missing attribute.
    _prev, _children = advice.Renamed(".parents"), advice.Renamed(".parents")
    _local_grads = advice.Renamed(".dx and .dy")
    _op = advice.Renamed(".op")
    _backward = advice.Renamed(".backward(), or autograd.define_op for an operation of your own")
    value, numpy = advice.Renamed(".data"), advice.Renamed(".data")
    gradient, ln = advice.Renamed(".grad"), advice.Renamed(".log()")

    # ------------------------------------------------------------------ what a node knows

    # Users' assignments are checked; the engine writes floats to the slots directly.
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
            """The gradient."""

        @grad.setter
        def grad(self, grad: float) -> None: ...

    else:
        data = property(attrgetter("_data"), _set_data, doc="The number.")
        grad = property(attrgetter("_grad"), _set_grad, doc="The gradient.")

    @property
    def op(self) -> Operation | None:
        """The row of the operation that computed this node; None for a leaf."""
        return self.row.op

    @property
    def label(self) -> str:
        """The node's name; empty if it has none."""
        return self.row.label

    @label.setter
    def label(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f"label: expected a str, got {label!r}")
        self._own_note().label = label

    @property
    def scope(self) -> str:
        """The scopes in which it was created, joined by '/'; empty outside of any."""
        return self.row.place

    @scope.setter
    def scope(self, scope: str) -> None:
        self._own_note().scope = scope

    @property
    def line(self) -> str:
        """The user's source line that created it, 'file:line'; only under `detect_anomaly`."""
        return self.row.line

    @property
    def is_leaf(self) -> bool:
        """Whether it is an input, not the result of an operation."""
        return self.a is None and self.b is None

    @property
    def parents(self) -> "tuple[Value, ...]":
        """The Values among its operands, in order; a Value used twice appears twice."""
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
        """The functions that are called with its gradient in each pass; see `register_hook`."""
        return self.row.hooks

    def _own_note(self) -> Note:
        """This node's Note, which no other node shares."""
        self.row = note = Note.of(self.row)
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

    # These read `.data` instead of the slot, so that a recording notices.
    def __lt__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else compared(other, Value, "__gt__")
        return y if y is NotImplemented else self.data < y

    def __le__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else compared(other, Value, "__ge__")
        return y if y is NotImplemented else self.data <= y

    def __gt__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else compared(other, Value, "__lt__")
        return y if y is NotImplemented else self.data > y

    def __ge__(self, other: "Value | float") -> bool:
        y = other if type(other) is float else compared(other, Value, "__le__")
        return y if y is NotImplemented else self.data >= y

    def __eq__(self, other: object) -> bool:
        y = other if type(other) is float else equalled(other, Value)
        return y if y is NotImplemented else bool(self.data == y)  # of NumPy's floats too

    __hash__ = object.__hash__  # by identity: two nodes of equal numbers are still two nodes

    def __bool__(self) -> bool:
        return self.data != 0.0

    def item(self) -> float:
        """The number alone, like `.data`: for printing, plotting and comparing."""
        return self.data

    def __float__(self) -> float:
        return float(self._converted("float"))  # in a recording, float() reads the input

    def __int__(self) -> int:
        return int(self._converted("int"))

    def __trunc__(self) -> int:
        return int(self._converted("int"))

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            return self.round()  # the operation
        return round(self._converted("rounded number"), digits)

    def _converted(self, to: str) -> float:
        mode = present_mode()
        if mode is None or mode.refuses:
            raise TypeError(advice.conversion(to, sys._getframe(2)))
        return self.data

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's operators call the Value's own; its functions are refused like `math.exp`."""
        names = advice.NUMPY_OPERATORS.get(function.__name__)
        if names is not None and method == "__call__" and not options:
            x, y = (unboxed(operand) for operand in inputs)
            operator = getattr(x, names[0]) if isinstance(x, Value) else getattr(y, names[1])
            return operator(y if isinstance(x, Value) else x)
        mode = present_mode()
        if mode is None or mode.refuses:
            raise TypeError(advice.numpy_function(function.__name__))
        plain = (v.data if isinstance(v, Value) else v for v in inputs)
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
                "a computed Value cannot be copied or pickled, because its graph belongs to it; "
                "copy its number with v.detach(), or save the leaves and compute it again"
            )
        return _leaf, (self.data, self.label, self._grad)

    def __copy__(self) -> "Value":
        make, arguments = self.__reduce__()
        return make(*arguments)  # type: ignore[no-any-return]

    def detach(self) -> "Value":
        """A new leaf with the same number and label, outside the graph."""
        return Value(self.data, self.label)

    # ------------------------------------------------------------------ the chain rule

    def latex(self, detail: str = "computed") -> str:
        r"""The formula of the value as LaTeX, for math mode with amsmath.

        A part that has a label, or is used more than once, has a line of its own.  With
        detail="textbook", a node with a `formula` is written as that.  Raises ValueError for a
        graph of more than 300 operations.

        >>> w, x = Value(2.0, "w1"), Value(3.0, "x")
        >>> print((w * x + 1.0).tanh().latex())
        \tanh\left(w_{1} \, x + 1\right)
        """
        from autograd.printers.latex import typeset  # few need it

        unfold(self)
        return typeset(self, detail)

    @advised
    def backward(self, seed: float = 1.0) -> None:
        """Add seed * d(this)/d(leaf) to the `.grad` of every leaf it was computed from.

        Inner nodes get the gradient of this pass alone.  If Ctrl-C or a hook that raises interrupts
        the pass, every `.grad` stays as it was.  The derivative is taken at the recorded numbers,
        even if a leaf's `.data` has changed since.  A gradient of exactly 0 is not passed on, so
        that a branch without influence cannot give nan as 0 * inf.

        Warns (NonFiniteWarning) if the value or a leaf's gradient is inf or nan, or if an infinite
        slope may be lost because it met a gradient of 0, and names the operation at fault.
        """
        accumulate(self, number(seed, "backward's seed"), _report)

    def zero_grad(self) -> None:
        """Set the gradient of every leaf of its graph to 0; a leaf is its own graph."""
        for node in topological(self):
            if node.is_leaf:
                node._grad = 0.0

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """A function that removes the hook; until then each backward pass calls `hook(grad)`.

        The call comes once this node's gradient is complete; for a leaf, `grad` is what this pass
        adds.  If the hook returns a number, that number replaces the gradient.  In a pass that is
        itself recorded, the gradient is a Value.

        >>> v = Value(3.0)
        >>> remove = v.register_hook(lambda g: max(-1.0, min(1.0, g)))  # clip
        >>> (v * v).backward()
        >>> v.grad
        1.0
        >>> remove()
        """
        if not callable(hook):
            raise TypeError(f"register_hook: expected a function of the gradient, got {hook!r}")
        self._set_hooks((*self.hooks, hook))
        registrations[0] += 1
        return lambda: self._set_hooks(tuple(h for h in self.hooks if h is not hook))

    def _set_hooks(self, hooks: tuple[Hook, ...]) -> None:
        note = Note.of(self.row)
        note.hooks = hooks
        self.row = note  # last, because C asks the row for hooks when it is assigned


def hooked(node: Value, grad: Any) -> Any:
    """A node's gradient in a recorded pass, a number or a Value, after the node's hooks."""
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


# These read a node's slots.  The properties are slower, and a recording notices them.
data_of: Final[Callable[[Value], float]] = attrgetter("_data")
grad_of: Final[Callable[[Value], float]] = attrgetter("_grad")


def is_value(operand: Any) -> bool:
    """Whether it is a Value; a plain number on a tape is not, as the function sees a float."""
    return isinstance(operand, Value) and (type(operand) is Value or not cast(Any, operand).plain)


def leaf_of(plain: Any) -> Value:
    """A leaf with the number of a plain operand, which may be on a tape."""
    return cast(Any, plain).leaf() if isinstance(plain, Value) else Value(plain)


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
    """A function, for one call, that sets each node's `.data` to its number, a float.

    The call is one step of the interpreter: Ctrl-C comes before it or after, never inside.

    >>> v = Value(1.0)
    >>> _ = number_writer([v], [2.0])()
    >>> v.data
    2.0
    """
    mode = present_mode()
    # A recording notices an assignment to `.data`, and refuses it.
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


# Two threads' passes that add to the same leaves would lose sums, so passes run one at a time.
# The lock is reentrant because a hook may start a pass inside a pass.
one_pass: Final = forkable_lock()


def restorer(nodes: Iterable[Value]) -> Callable[[], object]:
    """A function, for one call, that restores every gradient to its present value.

    The call is one step of the interpreter, so that a second Ctrl-C, or one during a `finally`,
    cannot stop it halfway.

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
    """Reverse accumulation: adjoints of inner nodes start at 0, leaves add to what they have."""
    hooked = []
    for leaf in leaves:
        if leaf.row.hooks:
            hooked.append((leaf, leaf._grad))
            leaf._grad = 0.0
        elif leaf._grad is UNTOUCHED:
            leaf._grad = 0.0
    for node in inner:
        node._grad = 0.0
    for root, seed in seeds:
        # A value that is nan has nan derivatives, whatever the formulas give for its operands.
        root._grad += seed if root._data == root._data else math.nan
    for node in native.steps(inner):
        if node._grad:
            node.row.pullback(node)
    for leaf, before in hooked:
        leaf._grad = before + run_hooks(leaf.row.hooks, leaf._grad)


_own_sweep: Final = sweep  # C does the same, but not where a mistake is planted in its place


def accumulate(
    root: Value,
    seed: float = 1.0,
    check: Callable[[list[Value], list[Value], Value], None] | None = None,
) -> None:
    """Run the pass of `root.backward(seed)`, all of it or none; only a `check` can warn."""
    with one_pass:
        if sweep is _own_sweep and native.backward(root, seed):
            return
        inner, leaves = visited(root)
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
    lost: list[str] | None = None,
) -> list[float]:
    """The derivatives of the sum of seed * root in the wanted nodes; no `.grad` changes.

    `inner` and `leaves` are the result of `visited` for the roots.  `lost` gets the text on an
    infinite slope that an adjoint of 0 met, if any.
    """
    seeds, wanted = list(seeds), list(wanted)
    with one_pass:
        if sweep is _own_sweep:
            known = native.derivatives(inner, leaves, seeds, wanted)
            if known is not None:
                return known
        order = inner + leaves
        undo = restorer(order)
        try:
            for leaf in leaves:
                leaf._grad = 0.0
            sweep(inner, leaves, seeds)
            if lost is not None:
                lost += lost_slope(inner, [root for root, seed in seeds if seed], wanted)
            reached = set(order)
            return [node._grad if node in reached else 0.0 for node in wanted]
        finally:
            undo()


# ---------------------------------------------------------------------- inf and nan


def _report(inner: list[Value], leaves: list[Value], root: Value) -> None:
    """Warn, or raise under `detect_anomaly`, if the root or a leaf's gradient is not finite."""
    if root._data - root._data == 0.0:
        for leaf in leaves:
            if leaf._grad - leaf._grad != 0.0:
                break
        else:
            for text in lost_slope(inner, [root], leaves):
                nonfinite(f"backward: {text}")
            return
    unfold(root)
    inner, leaves = visited(root)
    text = first_nonfinite([*leaves, *inner])
    bad = next((leaf for leaf in leaves if leaf._grad - leaf._grad != 0.0), root)
    nonfinite(f"backward: {text or f'a gradient is {bad._grad!r}, through a hook or a sum'}")


def fault(inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]) -> str:
    """The first number that is not finite in a pass with these seeds, without hooks; '' if none."""
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
            return first_nonfinite(order) or "".join(lost_slope(inner, list(dict(seeds)), leaves))
        finally:
            undo()


# The globals of the generated methods besides the operation itself; `define_op` uses them too.
INSTALLED_WITH = {"get_mode": present_mode, "untouched": UNTOUCHED}


Mode.node = Value
for _op in rows().values():
    record.install(_op, Value, rows(), INSTALLED_WITH)
