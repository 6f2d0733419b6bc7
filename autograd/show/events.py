"""The events of a forward and a backward pass."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autograd.show.formulas import Formula, formula
from autograd.show.shown import Shown
from autograd.value import Value


@dataclass(frozen=True, eq=False)
class Event:
    """One step of a pass.

    Attributes:
        kind: 'forward' (a node gets its value), 'seed' (dL/dL = 1), or 'backward' (a node adds
            dL/dz * dz/dx to the gradient of one of its operands).
        node: the node whose value is computed, or whose gradient is passed on.
        operand: 'x' or 'y' in a backward event, else ''.
        target: the operand's node in a backward event.
        upstream: dL/dz of the node.
        local: dz/dx or dz/dy.
        contribution: upstream * local, as the engine rounds it.
        grad: the gradient of the target (or the seeded root) after the event.
        arrived, uses: the number of contributions to the target so far, and in all.
        taught: the lines of the formula for which the node stands; then the operand is ''.
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
    taught: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.names[self.node]

    def _texts(self, number_format: str) -> tuple[dict[str, str], dict[str, str]]:
        """The names of x, y and z, and their numbers."""
        node = self.node
        names, numbers = {"z": self.name}, {"z": node.data}
        for parent, operand in ((node.a, "x"), (node.b, "y")):
            number = getattr(node, operand, None)
            if number is not None:
                numbers[operand] = number
                plain = f"{number:{number_format}}"
                names[operand] = self.names[parent] if parent is not None else plain
        texts = {key: f"{number:{number_format}}" for key, number in numbers.items()}
        return names, {key: f"({t})" if t.startswith("-") else t for key, t in texts.items()}

    @property
    def formula(self) -> str:
        """The event in names: `v1 = w * x`, `dL/dL = 1`, or `dL/dw += dL/dv1 * x`."""
        if self.kind == "seed":
            return f"dL/d{self.name} = 1"
        if self.node.op is None:
            return self.name
        names, _ = self._texts(".4g")
        if self.kind == "forward":
            return (
                f"{self.name} = {self.taught[0] if self.taught else self._formula(0).named(names)}"
            )
        assert self.target is not None
        if self.taught:
            target = self.names[self.target]
            return f"dL/d{target} += dL/d{self.name} * d{self.name}/d{target}"
        slope = self._formula(1 + "xy".index(self.operand))
        factor = slope.factor(slope.named(names))
        return f"dL/d{self.names[self.target]} += dL/d{self.name} * {factor}"

    def _formula(self, which: int, number_format: str = ".4g") -> Formula:
        """The row's z, dz/dx or dz/dy, simplified by the plain numbers among its operands."""
        assert self.node.op is not None
        return formula(self.node.op, which, *plain_numbers(self.node), number_format)

    def numbers(self, number_format: str = ".4g") -> str:
        """The event in numbers: `2 * 3 = 6`, or `1 * 3 = 3`, with the total where paths meet."""
        if self.kind == "seed":
            return ""
        node, value = self.node, format(self.node.data, number_format)
        if node.op is None:
            return value
        _, numbers = self._texts(number_format)
        if self.kind == "forward" and self.taught:
            return value
        if self.kind == "forward":
            return f"{self._formula(0, number_format).numbered(numbers)} = {value}"
        upstream = format(self.upstream, number_format)
        upstream = f"({upstream})" if upstream.startswith("-") else upstream
        if self.taught:
            local = format(self.local, number_format)
            factor = f"({local})" if local.startswith("-") else local
        else:
            slope = self._formula(1 + "xy".index(self.operand), number_format)
            factor = slope.factor(slope.numbered(numbers))
        text = f"{upstream} * {factor} = {self.contribution:{number_format}}"
        return text + (f", total {self.grad:{number_format}}" if self.arrived > 1 else "")

    def line(self, number_format: str = ".4g") -> str:
        """The formula and the numbers in one line."""
        numbers = self.numbers(number_format)
        return f"{self.formula} = {numbers}" if numbers else self.formula

    def __str__(self) -> str:
        return self.line()


def plain_numbers(node: Value) -> tuple[float | None, float | None]:
    """A node's operands that are plain numbers, and None for those that are nodes."""
    assert node.op is not None
    binary = node.op.arity == 2
    return node.x if node.a is None else None, node.y if binary and node.b is None else None


class Played(Protocol):
    """The part of a player that a page needs: its events and its position."""

    root: Value
    shown: Shown
    position: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Event: ...

    @property
    def current(self) -> Event:
        """The event at the present position."""

    def grads(self) -> dict[Value, float]:
        """The gradient of every node after the present event, if it has one."""

    def lines(self) -> Iterator[str]:
        """The events, a line each."""
