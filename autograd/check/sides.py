"""Slopes from the left and from the right in one input, where f has or may have a kink."""

import math
from dataclasses import dataclass
from decimal import Decimal, getcontext

from autograd.check.accuracy import FLOOR, TIE
from autograd.check.case import Case
from autograd.check.cut import TOUCH, GraphDiff, Surroundings, compare
from autograd.check.program import Program
from autograd.check.slopes import CLOSER, FADES, JUMPS, STEEP, STEP
from autograd.printers import decimals

_MORE = (0, 30, 90, 300)  # further digits, used in turn until two results agree
_SURE = Decimal("1e-13")  # relative gap at which two results agree: less than that of a kink
# A larger step may reach a branch that decimals show and TOUCH does not reach.
_REACHES = (TOUCH, 2.0**-30, 2.0**-20, 2.0**-10)


@dataclass
class Sides:
    """One-sided slopes: nan where f has no value, inf where the slope grows without bound."""

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
    """One-sided slopes of f, from its graph on each side of the point, in decimals."""

    def __init__(self, case: Case, program: Program, around: Surroundings) -> None:
        self.case, self.program, self.around = case, program, around
        self.at = [Decimal(x) for x in case.at]
        self._known: dict[int, list[Decimal]] = {}

    def of(self, k: int, switches: bool) -> Sides:
        """The slopes in one input.

        If f `switches` to another branch beside the point, the graph recorded there is used.
        """
        sides = Sides(math.nan, math.nan)
        here = self.program, GraphDiff({})
        branches = {s: self._branch(k, s) if switches else here for s in (-1, 1)}
        if switches and all(branch is None for branch in branches.values()):
            return sides  # decimals show a branch that no double reaches
        for sign, branch in branches.items():
            program, diff = branch or here
            slope, jumps = self._limit(program, k, sign)
            sides.jump = sides.jump or jumps
            if sign < 0:
                sides.left = slope
            else:
                sides.right = slope
            if not diff.same:
                node = diff.place()
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

    def _program(self, part: list[int], sign: int, h: float) -> tuple[Program, GraphDiff] | None:
        """f's program there and how its graph differs; None if the graph does not differ."""
        recorded = self.around.recorded(sign * h, part)
        if recorded is None:
            return None
        diff = compare(self.case.recorded, recorded)
        return None if diff.same else (Program(recorded), diff)

    def _branch(self, k: int, sign: int) -> tuple[Program, GraphDiff] | None:
        sign = sign if self.around.direction[k] > 0 else -sign
        for h in _REACHES:
            branch = self._program([k], sign, h)
            if branch is not None:
                return branch
        return None

    def _slope(self, program: Program, k: int, step: Decimal) -> Decimal:
        """(f(x + step) - f(x)) / step, with enough digits that more do not change it.

        A difference that still changes with the most digits is rounding, so the slope is 0.
        """
        last = Decimal("nan")
        precision = max(program.digits, self.program.digits)
        for more in _MORE:
            with decimals.digits(precision + more):
                change = self._difference(program, k, step)
                if not change.is_finite() or abs(change - last) <= abs(change) * _SURE:
                    return change / step
                last = change
        return Decimal(0)

    def _difference(self, program: Program, k: int, step: Decimal) -> Decimal:
        """f a step beside the point, minus f at the point."""
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
        """The numbers of all nodes at the point, in the current decimal context."""
        precision = getcontext().prec
        if precision not in self._known:
            self._known[precision] = self.program.moved(self.at)
        return self._known[precision]
