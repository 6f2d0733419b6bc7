"""A mistake that gives the claimed numbers, in words."""

from dataclasses import dataclass, field

from autograd.value import Value


@dataclass
class Explanation:
    """A mistake that gives the claimed numbers.

    Attributes:
        text: the mistake, in words.
        rank: simple ones have a low one.
        edges: (node, operand, wrong local derivative) where it changes one.
        kind: the mistake without the place; in other places it is the same.
    """

    text: str
    rank: int
    edges: list[tuple[Value, str, float]] = field(default_factory=list)
    kind: str = ""
