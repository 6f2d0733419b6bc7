"""Slopes from the left and from the right of one input, where f has a kink or may have one."""

import math
from dataclasses import dataclass
from decimal import Decimal, getcontext

from autograd.check.accuracy import FLOOR, TIE
from autograd.check.case import Case
from autograd.check.cut import TOUCH, Laid, Surroundings, lay
from autograd.check.program import Program
from autograd.check.slopes import CLOSER, FADES, JUMPS, STEEP, STEP
from autograd.printers import decimals

_KEPT = 20  # digits that a difference of two values of f must have left
_MOST = 800  # digits, at most
# Where TOUCH does not reach a branch that decimals have seen, a larger step may.
_REACHES = (TOUCH, 2.0**-30, 2.0**-20, 2.0**-10)


@dataclass
class Sides:
    """One-sided slopes; nan where f has no number, inf where the slope has no end."""

    left: float
    right: float
    jump: bool = False
    switched: str = ""

    @property
    def kink(self) -> bool:
        """Whether the two slopes differ."""
        gap = abs(self.left - self.right)
        return gap > max(TIE * abs(self.left), TIE * abs(self.right), FLOOR)


class Slopes:
    """One-sided slopes of f, by its graph on each side of the point, in decimals."""

    def __init__(self, case: Case, program: Program, around: Surroundings) -> None:
        self.case, self.program, self.around = case, program, around
        self.at = [Decimal(x) for x in case.at]

    def of(self, k: int, switches: bool) -> Sides:
        """The slopes in one input.

        Where f `switches` to another branch beside the point, its graph there is another program.
        """
        sides = Sides(math.nan, math.nan)
        here = self.program, Laid({})
        branches = {s: self._branch(k, s) if switches else here for s in (-1, 1)}
        if switches and all(one is None for one in branches.values()):
            return sides  # decimals saw a branch that doubles do not reach
        for sign, branch in branches.items():
            program, laid = branch or here
            slope, jumps = self._limit(program, k, sign)
            sides.jump = sides.jump or jumps
            if sign < 0:
                sides.left = slope
            else:
                sides.right = slope
            if not laid.same:
                node = laid.place()
                sides.switched = "another branch" + (f" at {node.line}" if node.line else "")
        return sides

    def _limit(self, program: Program, k: int, sign: int) -> tuple[float, bool]:
        """The slope on one side, from two steps, and whether f jumps there."""
        with decimals.digits(self.program.digits):
            step = sign * (abs(self.at[k]) or 1) * STEP.scaleb(-self.program.turned)
            wide, near = (self._slope(program, k, h) for h in (step, step / CLOSER))
            if abs(near) * FADES < abs(wide):
                return 0.0, False
            if abs(near) > JUMPS * abs(wide):
                return float(near), True
            steep = abs(near) > STEEP * abs(wide)
            return math.copysign(math.inf, near) if steep else float(near) + 0.0, False

    def _parts(self, part: list[int], sign: int, h: float) -> tuple[Program, Laid] | None:
        """The program of f there and how it differs; None where it is the one at the point."""
        recorded = self.around.recorded(sign * h, part)
        if recorded is None:
            return None
        laid = lay(self.case.recorded, recorded)
        return None if laid.same else (Program(recorded), laid)

    def _branch(self, k: int, sign: int) -> tuple[Program, Laid] | None:
        sign = sign if self.around.direction[k] > 0 else -sign
        for h in _REACHES:
            found = self._parts([k], sign, h)
            if found is not None:
                return found
        return None

    def _slope(self, program: Program, k: int, step: Decimal) -> Decimal:
        """(f(x + step) - f(x)) / step, with as many digits as it takes."""
        precision = max(program.digits, self.program.digits)
        for _ in range(2):
            with decimals.digits(precision):
                here = self.program.moved(self.at)
                moved = [*self.at]
                moved[k] += step
                if program is self.program:
                    there = [*here]
                    there[program.inputs[k]] = moved[k]
                    program.run(there, program.downstream(k))
                else:
                    there = program.moved(moved)
                value, first = there[program.root], here[self.program.root]
                difference = value - first
                lost = value.adjusted() - difference.adjusted() if difference else _MOST
                missing = _KEPT - (getcontext().prec - lost)
                if missing <= 0 or not difference.is_finite():
                    break
                precision = min(precision + missing, _MOST)
        with decimals.digits(precision):
            return difference / step
