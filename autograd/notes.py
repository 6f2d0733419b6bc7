"""The facts about a single node besides its row: a label, a scope, a source line, hooks."""

from typing import Any, Final

from autograd.operands import number
from autograd.operation import Hook, Operation, Origin

# The gradient of a node that no backward pass has reached is this very object, so that a picture
# can tell it from a computed 0; in arithmetic it is an ordinary zero.
UNTOUCHED: Final = float("0.0")


class Note(Origin):
    """The facts about a single node besides its row: a label, a scope, a source line, hooks."""

    def __init__(
        self,
        op: Operation | None,
        label: str = "",
        scope: str = "",
        line: str = "",
        call: Any = None,
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
    def has_ends(self) -> bool:  # type: ignore[override]
        """Whether the operation has ends, see `Origin.has_ends`."""
        return self._op is not None and self._op.has_ends

    @property
    def call(self) -> Any:
        """The call of a transform in which a leaf was created; None outside of any."""
        return self._call

    @property
    def holds_nodes(self) -> bool:  # type: ignore[override]
        """Whether it has hooks, or an operation that may refer to nodes."""
        return bool(self.hooks) or (self._op is not None and self._op.holds_nodes)

    @staticmethod
    def of(row: Origin) -> "Note":
        """A copy of the row as a Note, which no other node shares."""
        note = Note(row.op, row.label, row.scope, row.line)
        note.hooks = row.hooks
        note._call = row.call
        return note

    def pullback(self, node: Any) -> None:
        """Run the hooks on the node's complete adjoint, then pull it back."""
        node._grad = run_hooks(self.hooks, node._grad)
        if node._grad:  # an adjoint of 0 is not passed on, wherever it is from
            self._op.pullback(node)


def run_hooks(hooks: tuple[Hook, ...], grad: float) -> float:
    """The gradient after the hooks, which run one after the other."""
    for hook in hooks:
        changed = hook(grad)
        grad = grad if changed is None else number(changed, "a hook's result")
    return grad


LEAF: Final = Note(None)
# How many hooks were ever registered: code that serves many leaves looks for hooks on each of them
# only when this has changed.
registrations: Final = [0]
