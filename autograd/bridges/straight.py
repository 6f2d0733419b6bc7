"""A graph as straight-line source: its nodes in order, and a name for each number."""

from collections.abc import Callable
from dataclasses import dataclass

from autograd.order import unfold, visited
from autograd.show.names import names
from autograd.value import Value

MOST = 10_000  # operations; gcc needs about 2 ms for each


@dataclass
class Straight:
    """A graph in the order of computation.

    Attributes:
        leaves: in the order of `topological`, which is the order of the inputs.
        inner: the computed nodes.
        texts: the name of each node's number in the source.
        shown: the name of each node in comments and messages: its label, or a short name.
    """

    leaves: list[Value]
    inner: list[Value]
    texts: dict[Value, str]
    shown: dict[Value, str]

    def operands(self, node: Value, number: Callable[[float], str]) -> dict[str, str]:
        """The texts of a node's operands and result."""
        texts = {"x": number(node.x) if node.a is None else self.texts[node.a]}
        if node.op is not None and node.op.arity == 2:
            texts["y"] = number(node.y) if node.b is None else self.texts[node.b]
        return {**texts, "z": self.texts[node]}


def straight(root: Value, target: str, most: int = MOST) -> Straight:
    """The graph of a value, for source text in a language.

    Raises TypeError for anything but a Value, and ValueError for a graph of more than `most`
    operations and for hooks, which a text in another language cannot run.
    """
    if type(root) is not Value:
        raise TypeError(f"{target}: expected a Value, got {type(root).__name__}")
    unfold(root)
    inner, leaves = visited(root)
    if len(inner) > most:
        raise ValueError(
            f"{target}: the graph has {len(inner):,} operations, and a text of more than {most:,} "
            "is too long to compile; compile the function of the numbers (autograd.compile) and "
            "use its program, or write out a part of the graph"
        )
    shown = names([*leaves, *inner])
    if hooked := [node for node in (*leaves, *inner) if node.hooks]:
        raise ValueError(
            f"{target}: {shown[hooked[0]]} has a hook, which is a Python function; remove it, or "
            "detach the part of the graph behind it"
        )
    texts = {leaf: f"x{i}" for i, leaf in enumerate(leaves)}
    texts |= {node: f"v{i}" for i, node in enumerate(inner)}
    return Straight(leaves, inner, texts, shown)
