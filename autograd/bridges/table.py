"""The gradients of a graph beside those of another library, as a table."""

from dataclasses import dataclass

from autograd.cells import aligned, html_table
from autograd.check.claims import ROUNDINGS, Claim
from autograd.check.places import whole
from autograd.check.replay import sweep


@dataclass(frozen=True)
class Row:
    """The number of one array at which the two gradients differ most.

    Attributes:
        name: the number's name, such as fc1.weight[0, 1].
        count: how many numbers the array has.
        ours, theirs: the two gradients.
        allowed: how far rounding may take them apart.
    """

    name: str
    count: int
    ours: float
    theirs: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the two are the same, up to rounding."""
        same = self.ours == self.theirs or (self.ours != self.ours and self.theirs != self.theirs)
        return same or abs(self.ours - self.theirs) <= self.allowed


@dataclass(frozen=True, repr=False)
class GradientTable:
    """A row for each parameter and input; true if all gradients agree up to rounding.

    `print` shows it as text, a notebook as HTML.
    """

    library: str
    rows: list[Row]

    def __bool__(self) -> bool:
        return all(row.agrees for row in self.rows)

    def _cells(self) -> list[list[str]]:
        head = ["gradient", "numbers", "here", self.library, "difference", ""]
        return [head] + [
            [
                row.name,
                f"{row.count}",
                f"{row.ours:.10g}",
                f"{row.theirs:.10g}",
                f"{abs(row.ours - row.theirs):.1e}",
                "" if row.agrees else "DIFFERS",
            ]
            for row in self.rows
        ]

    def __str__(self) -> str:
        return "\n".join(aligned(self._cells()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self._cells())


def compared(library: str, claim: Claim, ours: list[float]) -> GradientTable:
    """A table of the claimed gradients, which are the library's, beside ours.

    Each array has one row: the number with the largest difference, measured by its rounding error.
    """
    sizes = sweep(claim.tape, sizes=True)
    bound = ROUNDINGS * claim.unit

    def apart(i: int) -> float:
        gap = abs(ours[i] - claim.numbers[i])
        return gap / sizes[i] if sizes[i] else gap

    rows = []
    for members in whole(claim.names).values():
        i = max(members, key=apart)
        rows.append(Row(claim.names[i], len(members), ours[i], claim.numbers[i], bound * sizes[i]))
    return GradientTable(library, rows)
