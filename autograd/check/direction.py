"""f compared with its graph beside the point, both in decimals."""

from decimal import Decimal

from autograd.check.cut import TOUCH, Surroundings
from autograd.check.program import Program
from autograd.printers import decimals

# Nothing is divided by a step, so it need not be tiny: like TOUCH, each of these changes a double.
# A Python branch that switches within a large step does not within a small one, unless the point is
# right at the switch.
_STEPS = (2.0**-30, 2.0**-38, 2 * TOUCH)
_SPARE = 8  # last digits that rounding may change


def agree(
    surroundings: Surroundings, program: Program, sign: int, only: list[int] | None = None
) -> bool | None:
    """Whether f and its graph agree, to the last digit, on one side of the point.

    Both take the same steps in the same order, so a difference means that a part of f is not in the
    graph.  None if f refuses decimals.
    """
    try:
        return any(_agree(surroundings, program, sign * h, only) for h in _STEPS)
    except Exception:  # a function that refuses decimals may raise any error
        return None


def slope(surroundings: Surroundings, program: Program, k: int) -> float:
    """The slope of f itself in input k, by a central difference in decimals."""
    ends = [surroundings.at(sign * _STEPS[0], [k]) for sign in (1, -1)]
    with decimals.digits(program.digits):
        above, below = map(surroundings.case.on_decimals, ends)
        return float((above - below) / (Decimal(ends[0][k]) - Decimal(ends[1][k])))


def smallest_seen(program: Program) -> float:
    """The smallest missing slope that shows, relative to the value of f."""
    return float(10.0 ** (_SPARE - program.digits)) / _STEPS[-1]


def _agree(surroundings: Surroundings, program: Program, h: float, only: list[int] | None) -> bool:
    at = surroundings.at(h, only)
    with decimals.digits(program.digits):
        exact = surroundings.case.on_decimals(at)
        graph = program.moved(map(Decimal, at))[program.root]
        if exact == graph or (exact.is_nan() and graph.is_nan()):
            return True
        allowed = abs(graph) * Decimal(10) ** (_SPARE - program.digits)
        return abs(exact - graph) <= allowed
