"""The noise of a function: how far its results are off by rounding, measured from the results."""

import itertools
import math
from collections.abc import Callable

POINTS = 9  # evaluations in one table (More and Wild 2011 use 7 to 9)
_FLAT = 0.5  # a share of equal neighbours from which on the points are too close
_SETTLED = 4  # three levels of a table within this factor of each other are noise
_SAME = 2  # that of ten times the distance is so much larger at most; a root's is 10^(1/2) or more
_AROUND = 0.25  # where f has its usual size, relative to the unit
_ROUNDINGS = 2.0**-50  # of a number of that size, in a few operations
_DISTANCES = [10.0**-k for k in range(14, 1, -1)]  # between the points, relative to the unit
ROUNDED = 2.0**-54  # no result has less noise, relatively, than a quarter of its last place


def noise(run: Callable[[float], float], unit: float) -> float:
    """The standard deviation of the noise in `run`, a function of a distance, near distance 0.

    ECNoise (More and Wild 2011, Estimating computational noise, SIAM J. Sci. Comput. 33): in a
    table of differences of f at points so close that f is a line there, scaled differences of noise
    stay at one level.  Real noise is the same at two distances of the points; at a kink, which
    looks like noise too, it grows with them.  A function that moves in steps has half a step of
    noise at least.

    >>> 1e-18 < noise(lambda t: 1.0 / (3.0 + t), 1.0) < 1e-15
    True
    """
    least = ROUNDED * abs(run(0.0))
    levels: list[float] = []
    moved = False
    for distance in _DISTANCES:
        values = [run((i - POINTS // 2) * distance * unit) for i in range(POINTS)]
        if not all(map(math.isfinite, values)):
            break
        steps = [abs(b - a) for a, b in itertools.pairwise(values)]
        if steps.count(0.0) >= _FLAT * len(steps):  # too close: stairs, if anything moves at all
            if any(steps) and not moved and distance > _DISTANCES[0]:  # else it jumps right here
                least = max(least, min(step for step in steps if step) / 2)
            moved |= any(steps)
            continue
        level = _level(values)
        if level is not None:
            levels.append(level)
            if len(levels) > 1 and level <= _SAME * levels[-2]:
                return max(levels[-2], level, least)
    if len(levels) == 1:
        return max(levels[0], least)
    # What grows throughout is a kink or a root, which hides the noise of what f is computed from.
    around = [abs(run(side * unit)) for side in (-_AROUND, _AROUND)]
    typical = _ROUNDINGS * max(filter(math.isfinite, around), default=0.0)
    return max(min(levels[0], typical) if levels else 0.0, least)


def _level(values: list[float]) -> float | None:
    """The level at which scaled differences stay; None where there is none."""
    steps = [abs(b - a) for a, b in itertools.pairwise(values)]
    if 2 * max(steps) > sum(steps):
        return None  # one step is as large as all others together: a jump
    scale, levels, signs = 1.0, [], []
    size = max(map(abs, values))
    rows = [x / size for x in values]  # squares of tiny or huge numbers are none
    for order in range(1, len(values)):
        rows = [b - a for a, b in itertools.pairwise(rows)]
        scale *= order / (2.0 * (2 * order - 1))  # (order!)^2 / (2 order)!
        levels.append(math.sqrt(scale * sum(x * x for x in rows) / len(rows)))
        signs.append(min(rows) * max(rows) < 0)
    for k in range(len(levels) - 3):
        near = levels[k : k + 3]
        if signs[k] and max(near) <= _SETTLED * min(near):
            return levels[k] * size
    return None
