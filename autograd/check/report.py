"""The report of a gradient check: a verdict for each input, and the operations at fault."""

import enum
import html
import math
from dataclasses import dataclass, field
from typing import Any

from autograd.cells import aligned, html_table
from autograd.value import Value


class Verdict(enum.Enum):
    """The verdict on one gradient."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "FAIL"
    KINK = "kink"
    ILL_CONDITIONED = "ill-conditioned"
    INCONCLUSIVE = "inconclusive"


@dataclass
class Row:
    """One input: its gradient, the reference, and a verdict.

    Attributes:
        name: the input's label, or the name of f's argument.
        at: the input's number.
        analytic: the gradient that is checked.
        referee: the reference, which the gradient should equal.
        error: how far off the reference may be; a smaller mistake cannot be detected.
        note: the reason for the verdict.
    """

    name: str
    at: float
    analytic: float
    referee: float
    error: float
    verdict: Verdict
    note: str = ""


@dataclass
class Report:
    """A table of inputs, and the operations at fault; false if a gradient fails or is undecided.

    The column `resolution` is the size of the smallest mistake that can be detected.

    `print` shows the table as text, a notebook as HTML, and `rich` as a rich table.
    """

    rows: list[Row]
    blame: list[str] = field(default_factory=list)
    culprits: list[Value] = field(default_factory=list)
    summary: str = ""
    edges: dict[tuple[Value, str], tuple[float, float]] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict on any input."""
        if self.blame:
            return Verdict.FAIL
        order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ILL_CONDITIONED, Verdict.KINK]
        return next((v for v in order if any(row.verdict is v for row in self.rows)), Verdict.PASS)

    def __bool__(self) -> bool:
        return self.verdict not in (Verdict.FAIL, Verdict.INCONCLUSIVE)

    def _cells(self) -> list[list[str]]:
        head = ["input", "at", "gradient", "reference", "resolution", "verdict"]
        return [head] + [
            [
                row.name,
                f"{row.at:.6g}",
                f"{row.analytic:.10g}",
                f"{row.referee:.10g}",
                f"{row.error:.1e}",
                row.verdict.value + (f": {row.note}" if row.note else ""),
            ]
            for row in self.rows
        ]

    def __str__(self) -> str:
        lines = aligned(self._cells())
        return "\n".join([self.summary] * bool(self.summary) + lines * bool(self.rows) + self.blame)

    def _repr_html_(self) -> str:
        blame = "".join(f"<p><b>{html.escape(line)}</b></p>" for line in self.blame)
        return html_table(self._cells()) + blame

    def __rich__(self) -> Any:
        from rich.table import Table

        head, *rows = self._cells()
        table = Table(*head, caption="\n".join(self.blame) or None)
        for row in rows:
            table.add_row(*row)
        return table

    def draw(self, **options: Any) -> Any:
        """The graph up to the first operation at fault, with its wrong derivatives in red."""
        from autograd.show.draw import draw

        if not self.culprits:
            raise ValueError("no operation is to blame, so there is nothing to draw")
        shown: dict[str, Any] = {"edges": True, "grads": False, "wrong": self.edges} | options
        return draw(self.culprits[0], **shown)


def hint(gradient: float, right: float) -> str:
    """The usual cause of a wrong factor; '' if the factor is not a typical one."""
    if right == 0.0 or not math.isfinite(gradient):
        return ""
    ratio = gradient / right
    causes = {2.0: "added twice?", 0.5: "a use lost?", -1.0: "a sign?", 0.0: "cut off?"}
    for factor, cause in causes.items():
        if abs(ratio - factor) < 1e-9:
            return f" ({ratio:g} times too much: {cause})" if factor else f" (0: {cause})"
    return ""
