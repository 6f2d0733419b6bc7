"""END-TO-END: a verdict on every input's gradient, by comparison with a reference."""

import math
from dataclasses import dataclass

from autograd.check.accuracy import AGREED, ROUNDING, SOUND, TINY, near
from autograd.check.case import Case
from autograd.check.cut import Surroundings, bisected
from autograd.check.missing import MOST_ALONE, RESOLVED, Cuts
from autograd.check.program import Program, Sweeps
from autograd.check.report import Row, Verdict, hint
from autograd.check.second import second_rows, unjudged_rows
from autograd.check.sides import Sides, Slopes
from autograd.value import Value

_LOST = 16  # roundings that a sum over paths may lose at a kink, relative to the size of its terms
_NO_SLOPE = "the function has no finite slope here, or cannot be run beside this point"
_CHOICES = (
    "every operation and every sum is right, but the slopes that operations use at their kinks do "
    "not add up to the function's slope"
)


def _undecided(row: Row) -> None:
    row.verdict, row.note = Verdict.INCONCLUSIVE, _NO_SLOPE


def _finite(sides: Sides) -> bool:
    return math.isfinite(sides.left) and math.isfinite(sides.right)


@dataclass(frozen=True)
class Settings:
    """The options of a check: its order, its seed, and whether `detach()` is intended.

    `unit` is the relative rounding error of a replay's numbers.
    """

    order: int = 1
    seed: int = 0
    detached: str = "mistake"
    unit: float = 2.0**-53


@dataclass
class Claim:
    """The engine's gradient in one input, and the results of the other two checks.

    Attributes:
        k: the index of the input or parameter.
        gradient: the engine's gradient.
        own: the checker's own sum over all paths.
        size: the sum of the absolute terms of all paths.
        blameless: whether every operation and every sum is right.
    """

    k: int
    gradient: float
    own: float
    size: float
    blameless: bool

    @property
    def sound(self) -> bool:
        """Whether the engine is right, so that only the function itself can be at fault."""
        allowed = SOUND * ROUNDING * self.size + TINY
        return self.blameless and abs(self.gradient - self.own) <= allowed


class Referee:
    """The reference for every input: its slope in the recorded graph, in decimals.

    Attributes:
        cuts: the branches that are cut from the graph.
    """

    def __init__(
        self, case: Case, pulls: dict[Value, list[float]], chosen: list[int], settings: Settings
    ) -> None:
        self.case, self.settings = case, settings
        self.program = Program(case.recorded)
        self.sweeps = Sweeps(self.program, pulls)
        around = Surroundings(case, settings.seed)
        self.cuts = Cuts(around, self.program, chosen, settings.detached == "intended")
        self.slopes = Slopes(case, self.program, around)
        self.kinked = self.sweeps.first.upstream()
        self.switching: set[int] = set()
        if self.cuts.branches:
            self.switching = set().union(*bisected(chosen, self.cuts.switches, MOST_ALONE))

    def row(self, claim: Claim) -> Row:
        """The row of the report on a gradient."""
        k, case = claim.k, self.case
        row = Row(case.labels[k], case.at[k], claim.gradient, math.nan, math.nan, Verdict.PASS)
        if math.isnan(case.recorded.root.data):
            row.verdict, row.note = Verdict.INCONCLUSIVE, "the function is nan here"
            return row
        if self.cuts.judged(row, k, self.sweeps.first.of(k)):
            return row
        sides = self.slopes.of(k, k in self.switching) if self._is_beside_kink(k) else None
        if sides is None:
            self._smooth(row, claim, self.sweeps.first.of(k))
        elif sides.jump or sides.kink or not _finite(sides):
            self._kink(row, claim, sides)
        else:
            self._smooth(row, claim, (sides.left + sides.right) / 2)
        return row

    def second_rows(self) -> list[Row]:
        """The rows on second derivatives in the inputs."""
        if self.cuts.cut:
            return unjudged_rows(self.case, "a branch is cut from the graph")
        if self.cuts.branches:
            return unjudged_rows(self.case, "the function takes another branch beside this point")
        kinks = bool(self.sweeps.first.kinks)
        return second_rows(self.case, self.program, kinks, self.settings.seed)

    def _is_beside_kink(self, k: int) -> bool:
        return k in self.kinked or k in self.switching

    def _smooth(self, row: Row, claim: Claim, slope: float) -> None:
        """Judge a gradient where f has one slope."""
        row.referee, row.error = slope, RESOLVED * abs(slope)
        gradient = claim.gradient
        if near(gradient, slope):
            return
        if not self._is_beside_kink(claim.k):
            slope = row.referee = self.sweeps.sure(claim.k)
            row.error = RESOLVED * abs(slope)
        if not math.isfinite(slope):
            _undecided(row)
        elif near(gradient, slope):
            return
        elif claim.sound and math.isfinite(gradient) and self._is_conventional(claim.k, slope):
            row.verdict = Verdict.ILL_CONDITIONED
            gap = abs(gradient - slope) / max(abs(slope), TINY)
            lost = 16 if gap > 1.0 else round(16 + math.log10(gap))
            row.note = f"about {lost} of 16 digits lost to rounding"
        else:
            row.verdict = Verdict.FAIL
            row.note = hint(gradient, slope).strip()
            if claim.sound and math.isfinite(gradient):
                row.note = _CHOICES

    def _is_conventional(self, k: int, slope: float) -> bool:
        """Whether the slope is the graph's own, which includes the operations' choices at kinks."""
        return not self._is_beside_kink(k) or near(self.sweeps.first.of(k), slope)

    def _kink(self, row: Row, claim: Claim, sides: Sides) -> None:
        """Judge a gradient by the slopes on both sides: it may be any number between them."""
        low, high = sorted((sides.left, sides.right))
        row.referee = (low + high) / 2
        row.error = RESOLVED * abs(row.referee)
        if not _finite(sides) and not sides.jump:
            _undecided(row)
            return
        allowed = _LOST * ROUNDING * claim.size + AGREED * abs(row.referee) + TINY
        row.verdict = Verdict.KINK
        switched = sides.switched or self._switched()
        row.note = f"slopes {sides.left:.6g} from the left, {sides.right:.6g} from the right"
        if sides.jump:
            row.note = "the function jumps here, and has no slope"
            if not (claim.sound or near(claim.gradient, self.sweeps.first.of(claim.k))):
                row.verdict = Verdict.FAIL
                row.note += ", and the gradient is not what its operations give"
        elif not low - allowed <= claim.gradient <= high + allowed:
            inside = low - allowed <= self.sweeps.first.of(claim.k) <= high + allowed
            row.verdict = Verdict.ILL_CONDITIONED if claim.sound and inside else Verdict.FAIL
            row.note += ", and the gradient is outside this range"
        row.note += f" ({switched})" if switched else ""

    def _switched(self) -> str:
        kinks = self.sweeps.first.kinks
        if not kinks:
            return ""
        node = kinks[-1]  # the first in the graph: a sweep goes backward
        assert node.op is not None
        return f"{node.op.name} at {node.line} switches"
