"""What happens in a forward and a backward pass, one event after the other."""

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autograd import rules
from autograd.operation import Operation
from autograd.value import Value


def formula(op: Operation, which: int, operands: Mapping[str, str]) -> str:
    """The textbook's z (0), dz/dx (1) or dz/dy (2) of a row, with other texts for x, y and z.

    >>> from autograd import rows
    >>> formula(rows()["tanh"], 1, {"z": "0.5"})
    '1 - 0.5 * 0.5'
    """
    tree = ast.parse(op.textbook[which], mode="eval").body
    text = ast.unparse(rules.substitute(tree, {k: ast.Name(t) for k, t in operands.items()}))
    return re.sub(r"\((\(-[\d.e+-]+\))\)", r"\1", text)  # tanh((-1.5)) is one pair too many


def _factor(op: Operation, which: int, operands: Mapping[str, str]) -> str:
    """A local derivative as a factor: in brackets unless it is one name, number or call."""
    text = formula(op, which, operands)
    tree = ast.parse(op.textbook[which], mode="eval").body
    return text if isinstance(tree, ast.Name | ast.Constant | ast.Call) else f"({text})"


@dataclass(frozen=True, eq=False)
class Event:
    """One thing that happens in a pass.

    Attributes:
        kind: 'forward' (a node gets its value), 'seed' (dL/dL = 1), or 'backward' (a node hands
            dL/dz * dz/dx to one of its operands).
        node: whose value it is, or who hands on.
        operand: 'x' or 'y' of a backward event, else ''.
        target: who receives, in a backward event.
        upstream: dL/dz of the node.
        local: dz/dx or dz/dy.
        contribution: upstream * local, as the engine rounds it.
        grad: what the target (or the seeded root) has then.
        arrived, uses: how many of the target's contributions have come, and how many there are.
    """

    kind: str
    node: Value
    operand: str = ""
    target: Value | None = None
    upstream: float = math.nan
    local: float = math.nan
    contribution: float = math.nan
    grad: float = math.nan
    arrived: int = 0
    uses: int = 0
    names: Mapping[Value, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The node's."""
        return self.names[self.node]

    def _texts(self, number_format: str) -> tuple[dict[str, str], dict[str, str]]:
        """For x, y and z: their names, and their numbers."""
        node = self.node
        words, numbers = {"z": self.name}, {"z": node.data}
        for parent, operand in ((node.a, "x"), (node.b, "y")):
            number = getattr(node, operand, None)
            if number is not None:
                numbers[operand] = number
                plain = f"{number:{number_format}}"
                words[operand] = self.names[parent] if parent is not None else plain
        texts = {key: f"{number:{number_format}}" for key, number in numbers.items()}
        return words, {key: f"({t})" if t.startswith("-") else t for key, t in texts.items()}

    @property
    def formula(self) -> str:
        """In names: `v1 = w * x`, `dL/dL = 1`, or `dL/dw += dL/dv1 * x`."""
        if self.kind == "seed":
            return f"dL/d{self.name} = 1"
        if self.node.op is None:
            return self.name
        words, _ = self._texts(".4g")
        if self.kind == "forward":
            return f"{self.name} = {formula(self.node.op, 0, words)}"
        assert self.target is not None
        factor = _factor(self.node.op, 1 + "xy".index(self.operand), words)
        return f"dL/d{self.names[self.target]} += dL/d{self.name} * {factor}"

    def numbers(self, number_format: str = ".4g") -> str:
        """The same with numbers: `2 * 3 = 6`, or `1 * 3 = 3`, with the sum where paths meet."""
        if self.kind == "seed":
            return ""
        node, shown = self.node, format(self.node.data, number_format)
        if node.op is None:
            return shown
        _, numbers = self._texts(number_format)
        if self.kind == "forward":
            return f"{formula(node.op, 0, numbers)} = {shown}"
        upstream = format(self.upstream, number_format)
        upstream = f"({upstream})" if upstream.startswith("-") else upstream
        factor = _factor(node.op, 1 + "xy".index(self.operand), numbers)
        text = f"{upstream} * {factor} = {self.contribution:{number_format}}"
        return text + (f", in all {self.grad:{number_format}}" if self.arrived > 1 else "")

    def line(self, number_format: str = ".4g") -> str:
        """Formula and numbers in one line."""
        numbers = self.numbers(number_format)
        return f"{self.formula} = {numbers}" if numbers else self.formula

    def __str__(self) -> str:
        return self.line()


class Played(Protocol):
    """What a page needs of a player: its events, and the present one among them."""

    root: Value
    position: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Event: ...

    @property
    def current(self) -> Event:
        """The event at the present position."""

    def grads(self) -> dict[Value, float]:
        """What every node has received up to and with the present event."""

    def lines(self) -> Iterator[str]:
        """Every event in a line."""


def handed(node: Value, grad: float) -> list[float]:
    """What the node's pullback adds to each operand's gradient, for that gradient of its own.

    The engine's own pullback does it, on a copy, so the numbers are its numbers to the bit.
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
    # A hook is the user's; this is of the operation's own pullback.
    (node.op if node.row.hooks else node.row).pullback(copy)
    return [parent.grad for parent in copy.parents]
