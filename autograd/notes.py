"""The facts about a single node besides its row: a label, a scope, a source line, hooks."""

import ast
import functools
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
    def call(self) -> Any:
        """The call of a transform in which a leaf was created; None outside of any."""
        return self._call

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
        self._op.pullback(node)


def run_hooks(hooks: tuple[Hook, ...], grad: float) -> float:
    """The gradient after the hooks, which run one after the other."""
    for hook in hooks:
        changed = hook(grad)
        grad = grad if changed is None else number(changed, "a hook's result")
    return grad


# A formula is written behind the scope, so it goes wherever a scope goes: to tapes and to files.
_MARK: Final = "\x1f"
_ALLOWED: Final = (
    ast.Module, ast.Expr, ast.Assign, ast.Name, ast.Store, ast.Load, ast.Constant, ast.Call,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.UnaryOp, ast.USub,
)  # fmt: skip


def place(scope: str) -> str:
    """The scopes alone, without a formula.

    >>> place(with_formula("net/softmax", "e**z / y"))
    'net/softmax'
    """
    return scope.partition(_MARK)[0]


def formula_of(scope: str) -> str:
    """The formula behind a scope; '' if there is none.

    >>> formula_of(with_formula("net/softmax", "e**z / y"))
    'e**z / y'
    """
    return scope.partition(_MARK)[2]


@functools.lru_cache(maxsize=4096)  # a loss sets the same few formulas at every step
def with_formula(scope: str, formula: str) -> str:
    """The scope with a formula behind it.

    Raises ValueError for a node outside any scope, and for a text that is not a formula.
    """
    if not place(scope):
        raise ValueError(
            "formula: the node must be computed inside `with scope(name):`, so that a picture "
            "knows for which operations the formula stands"
        )
    try:
        tree = ast.parse(formula)
        readable = all(type(node) in _ALLOWED for node in ast.walk(tree)) and tree.body
    except (SyntaxError, TypeError, ValueError):
        readable = False
    if not readable or not isinstance(tree.body[0], ast.Expr):
        raise ValueError(
            "formula: expected a text like 'e**z_0 / sum_j(e**z_j)' or '-log(p_1); p_i = ...', "
            f"got {formula!r:.80}"
        )
    return f"{place(scope)}{_MARK}{formula}"


LEAF: Final = Note(None)
# How many hooks were ever registered: code that serves many leaves looks for hooks on each of them
# only when this has changed.
registrations: Final = [0]
