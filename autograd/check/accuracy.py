"""How far off numbers may be before anybody is to blame, and the steps that find it out."""

import math
from decimal import Decimal

ROUNDING = 2.0**-53
FLOOR = 1e-300  # below, what a double was computed from may have had no digits
TINY = 1e-320  # and here it has none itself
TIE = 1e-12  # what a share of a slope at a kink may be off
CLOSER = 1000  # a second step is so much smaller,
JUMP = 100  # and at a jump the slope becomes more than so much larger


def step_beside(at: Decimal, relative: Decimal) -> Decimal:
    """A step that is small beside the number, or beside 1 where it is 0."""
    return (abs(at) or 1) * relative


def ulps(computed: float, exact: float) -> float:
    """How many units in the last place a number is off."""
    if abs(computed - exact) <= FLOOR:
        return 0.0
    return abs(computed - exact) / math.ulp(exact)
