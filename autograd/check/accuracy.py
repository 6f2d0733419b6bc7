"""How far off numbers may be before anybody is to blame."""

import math

ROUNDING = 2.0**-53
FLOOR = 1e-300  # below, what a double was computed from may have had no digits
TINY = 1e-320  # and here it has none itself
AGREED = 1e-9  # a gradient and its reference, relatively: far below any mistake, above rounding
SOUND = 64  # roundings that a sum of paths may lose, of the size of all of them
TIE = 1e-12  # one-sided slopes that differ by more, relatively, differ by a kink


def near(gradient: float, slope: float) -> bool:
    """Whether two slopes are the same; an overflow is right as inf."""
    return gradient == slope or abs(gradient - slope) <= AGREED * abs(slope) + TINY


def ulps(computed: float, exact: float) -> float:
    """How many units in the last place a number is off; an overflow is right as inf."""
    if computed == exact or abs(computed - exact) <= FLOOR:
        return 0.0
    return abs(computed - exact) / math.ulp(exact)
