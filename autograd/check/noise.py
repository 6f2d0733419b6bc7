"""The noise of a function: how large its rounding errors are, measured from its results."""

import itertools
import math
from collections.abc import Callable

POINTS = 9  # evaluations in one table (More and Wild 2011 use 7 to 9)
_FLAT = 0.5  # with this share of equal neighbours, the points are too close
_SETTLED = 4  # three levels of a table within this factor of each other are noise
_SAME = 2  # noise grows by at most this at ten times the distance; a root grows by 10^(1/2) or more
_AROUND = 0.25  # the distance, relative to the unit, at which f has its usual size
_ROUNDINGS = 2.0**-50  # the relative rounding error of a few operations
_DISTANCES = [10.0**-k for k in range(14, 1, -1)]  # between the points, relative to the unit
ROUNDED = 2.0**-54  # the least relative noise of any result: a quarter of its last place


def noise(run: Callable[[float], float], unit: float) -> float:
    """The standard deviation of the noise in `run`, a function of a distance, near distance 0.

    ECNoise (More and Wild 2011, Estimating computational noise, SIAM J. Sci. Comput. 33): take
    points so close together that f is a line there, and build a table of differences.  If f has
    noise, the scaled differences stay at one level.  A kink looks like noise too, but its level
    grows with the distance between the points, and the level of real noise does not.  A function
    that moves in steps has a noise of at least half a step.

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
        if steps.count(0.0) >= _FLAT * len(steps):  # too close; if f moves, it moves in steps
            if any(steps) and not moved and distance > _DISTANCES[0]:  # else f jumps at 0 itself
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
    # A level that grows at every distance is a kink or a root.  It hides the noise of f's operands.
    around = [abs(run(side * unit)) for side in (-_AROUND, _AROUND)]
    typical = _ROUNDINGS * max(filter(math.isfinite, around), default=0.0)
    return max(min(levels[0], typical) if levels else 0.0, least)


def _level(values: list[float]) -> float | None:
    """The level at which the scaled differences stay; None if they do not stay at one."""
    steps = [abs(b - a) for a, b in itertools.pairwise(values)]
    if 2 * max(steps) > sum(steps):
        return None  # one step is larger than all others together: a jump
    scale, levels, signs = 1.0, [], []
    size = max(map(abs, values))
    rows = [x / size for x in values]  # so that no square underflows or overflows
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
