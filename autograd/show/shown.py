"""The graph as it is shown: its nodes, their operands, and how a gradient flows to these."""

from autograd.order import topological
from autograd.printers.plain import PLAIN
from autograd.textbook import Part, formula_of, shown
from autograd.value import Value


class Shown:
    """The nodes that a picture shows, and the operands of each.

    Attributes:
        order: the nodes, operands first.
        parts: for the result of a formula, the nodes in place of which it is shown.

    >>> from autograd import scope
    >>> a, b = Value(3.0, "a"), Value(1.0, "b")
    >>> with scope("ratio"):
    ...     z = (a - b) * (1.0 / b)
    >>> z.formula = "a / b - 1"
    >>> graph = Shown(z, "textbook")
    >>> len(graph.order), graph.operands(z) == [(a, ""), (b, "")], graph.amounts(z, 1.0)
    (3, True, [1.0, -3.0])
    """

    def __init__(self, root: Value, detail: str = "computed") -> None:
        self.order, self.parts = shown(topological(root), detail)

    def operands(self, node: Value) -> list[tuple[Value, str]]:
        """The nodes that a node was computed from, each with 'x', 'y' or, for a formula, ''."""
        if node in self.parts:
            return [(operand, "") for operand in self.parts[node].operands]
        pairs = ((node.a, "x"), (node.b, "y"))
        return [(parent, operand) for parent, operand in pairs if parent is not None]

    def amounts(self, node: Value, grad: float) -> list[float]:
        """What each of `operands` receives from the node if its gradient is `grad`."""
        if node in self.parts:
            return _through(self.parts[node], grad)
        return [amount for _, amount in _received(node, grad)]

    def formula(self, node: Value) -> list[str]:
        """The lines of a node's formula; none for a node that is shown as it was computed."""
        return PLAIN.lines(formula_of(node.row.scope)) if node in self.parts else []


def _received(node: Value, grad: float) -> list[tuple[Value, float]]:
    """The nodes among the operands, and what they receive from the node's gradient."""
    pairs = zip((node.a, node.b), contributions(node, grad), strict=False)
    return [(parent, amount) for parent, amount in pairs if parent is not None]


def _through(part: Part, grad: float) -> list[float]:
    """What the operands receive over all paths inside a part, by the chain rule."""
    amounts: dict[Value, float] = dict.fromkeys([*part.inner, *part.operands], 0.0)
    amounts[part.inner[0]] = grad
    for node in part.inner:
        if amounts[node]:  # like the engine, which does not pass on a gradient of 0
            for parent, amount in _received(node, amounts[node]):
                amounts[parent] += amount
    return [amounts[operand] for operand in part.operands]


def contributions(node: Value, grad: float) -> list[float]:
    """The amounts that the node's pullback adds to its operands' gradients if its own is `grad`.

    The engine's pullback computes them, on a copy of the node, so they are exact to the bit.
    """
    assert node.op is not None
    copy = Value(node.data)
    copy.x = node.x
    copy.a, copy.b = Value(0.0), None
    if node.op.arity == 2:
        copy.y, copy.b = node.y, Value(0.0)
    copy.grad = grad
    for parent in copy.parents:
        parent.grad = 0.0
    # The pullback of a node with hooks would call them: take the operation's own.
    (node.op if node.row.hooks else node.row).pullback(copy)
    return [parent.grad for parent in copy.parents]
