"""A mistake that gives the claimed numbers, in words."""

from dataclasses import dataclass, field

from autograd.value import Value


@dataclass
class Explanation:
    """A mistake that gives the claimed numbers.

    Attributes:
        text: the mistake, in words.
        rank: lower for simpler mistakes.
        edges: (node, operand, wrong local derivative) for each local derivative that it changes.
        kind: the text without the place; the same mistake elsewhere has the same kind.
    """

    text: str
    rank: int
    edges: list[tuple[Value, str, float]] = field(default_factory=list)
    kind: str = ""
