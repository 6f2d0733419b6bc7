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

_MORE = (0, 30, 90, 300)  # digits: each as often as the last two differ
_SURE = Decimal("1e-13")  # relatively; less than what tells two slopes from one
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
        self._known: dict[int, list[Decimal]] = {}

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
        """(f(x + step) - f(x)) / step, with so many digits that more do not change it.

        A difference that changes with all of them is the rounding of 0.
        """
        last = Decimal("nan")
        precision = max(program.digits, self.program.digits)
        for more in _MORE:
            with decimals.digits(precision + more):
                found = self._difference(program, k, step)
                if not found.is_finite() or abs(found - last) <= abs(found) * _SURE:
                    return found / step
                last = found
        return Decimal(0)

    def _difference(self, program: Program, k: int, step: Decimal) -> Decimal:
        """How much f a step beside the point differs from f at the point."""
        here = self._here()
        moved = [*self.at]
        moved[k] += step
        if program is self.program:
            there = [*here]
            there[program.inputs[k]] = moved[k]
            program.run(there, program.downstream(k))
        else:
            there = program.moved(moved)
        return there[program.root] - here[self.program.root]

    def _here(self) -> list[Decimal]:
        """The numbers of all nodes at the point, in the context at hand."""
        precision = getcontext().prec
        if precision not in self._known:
            self._known[precision] = self.program.moved(self.at)
        return self._known[precision]
