"""Tolerances: how far off a number may be before it counts as wrong."""

import math

ROUNDING = 2.0**-53
FLOOR = 1e-300  # a smaller double may come from subnormal numbers, which have few digits
TINY = 1e-320  # a double this small has almost no digits itself
AGREED = 1e-9  # relative gap of a gradient and its reference: above rounding, below mistakes
SOUND = 64  # roundings that a sum over paths may lose, relative to the size of its terms
TIE = 1e-12  # one-sided slopes with a larger relative gap are those of a kink


def near(gradient: float, slope: float) -> bool:
    """Whether a gradient agrees with a slope; infinities agree if they are equal."""
    return gradient == slope or abs(gradient - slope) <= AGREED * abs(slope) + TINY


def ulps(computed: float, exact: float) -> float:
    """The error of a number in units in the last place; 0 if both are the same infinity."""
    if computed == exact or abs(computed - exact) <= FLOOR:
        return 0.0
    return abs(computed - exact) / math.ulp(exact)
