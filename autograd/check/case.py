"""The function that is checked, where it is checked, and its recorded graph."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from autograd.blame import user_line
from autograd.modes import Mode, entered
from autograd.nestings import Tree, leaves, rebuilt
from autograd.notes import Note
from autograd.operands import number
from autograd.operation import Operation
from autograd.order import topological, unfold
from autograd.printers import decimals
from autograd.show.names import names
from autograd.value import Value


class Traced(Mode):
    """Recording that keeps the user's line of each node, and which side of a kink it is on."""

    __slots__ = ("sides",)

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[tuple[Operation, tuple[Any, ...], Value]] = []

    def child(self, change: str, to: Any) -> Mode:
        """Itself, so that every node is traced; `no_grad` alone means what it says."""
        return super().child(change, to) if change == "recording" else self

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Value:
        """The node, with its line."""
        node: Value = super().record(z, op, a, b, x, y)
        node.row = Note(op, line=user_line())
        other = x if y is None else y
        side = (x > 0, x < 0, x > other, x < other, op.piece(x, y)) if op.smooth else ()
        self.sides.append((op, side, node))
        return node


Function = Callable[..., Any]


@dataclass
class Case:
    """A function, where it is checked, and its recorded graph."""

    f: Function
    inputs: tuple[Tree, ...]
    nodes: list[Value]  # the inputs' nodes, then the parameters
    at: list[float]
    labels: list[str]
    parameters: list[Value]
    root: Value
    traced: Traced

    def digits(self) -> int:
        """Enough for the whole function: more where numbers of very different size meet."""
        inner = [node for node in topological(self.root) if node.op]
        return decimals.enough(x for node in inner for x in [*operands_of(node), node.data])

    def again(self, moved: list[Any]) -> Any:
        """f at other numbers for inputs (anything that computes) and parameters (doubles)."""
        return self.f(*rebuilt(list(self.inputs), iter(moved)))


def record(f: Function, inputs: tuple[Tree, ...], parameters: Any) -> Case:
    """The function, run once at the inputs; TypeError unless it returns one Value."""
    given = list(leaves(list(inputs)))
    at = [leaf.data if isinstance(leaf, Value) else number(leaf, "an input") for leaf in given]
    named = _named(parameters)
    nodes = [
        Value(x, leaf.label if isinstance(leaf, Value) else "")
        for x, leaf in zip(at, given, strict=True)
    ]
    traced = Traced()
    with entered(traced):
        root = f(*rebuilt(list(inputs), iter(nodes)))
    if not isinstance(root, Value):
        raise TypeError(f"check_gradients: f must return one Value, got {type(root).__name__}")
    unfold(root)
    labels = list(_labels(inputs))
    chosen = [parameter for _, parameter in named]
    own = [node.label or label for node, label in zip(nodes, labels, strict=True)]
    return Case(
        f=f, inputs=inputs, nodes=nodes + chosen, at=at + [p.data for p in chosen],
        labels=own + [name for name, _ in named], parameters=chosen, root=root, traced=traced,
    )  # fmt: skip


def _labels(inputs: tuple[Tree, ...]) -> Iterable[str]:
    """Paths of the inputs' leaves: x0, x1[2], x1['w']."""
    stack: list[tuple[str, Tree]] = [(f"x{i}", tree) for i, tree in enumerate(inputs)][::-1]
    while stack:
        path, part = stack.pop()
        if isinstance(part, dict):
            stack += [(f"{path}[{key!r}]", p) for key, p in part.items()][::-1]
        elif isinstance(part, list | tuple):
            stack += [(f"{path}[{i}]", p) for i, p in enumerate(part)][::-1]
        else:
            yield path


def _named(parameters: Any) -> list[tuple[str, Value]]:
    if parameters is None:
        return []
    if hasattr(parameters, "named_parameters"):
        return list(parameters.named_parameters())
    if isinstance(parameters, dict):
        return list(parameters.items())
    order = list(parameters)
    for parameter in order:
        if not isinstance(parameter, Value):
            raise TypeError(f"parameters must be Values, got {type(parameter).__name__}")
    return [(name, node) for node, name in names(order).items()]


def operands_of(node: Value) -> list[float]:
    """The numbers that the node's operation was applied to."""
    assert node.op is not None
    return [node.x, node.y] if node.op.arity == 2 else [node.x]
