"""Slopes of a function along a line: differences at many steps, extrapolated, with their errors."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autograd.check.accuracy import ROUNDING

_SMALLEST = 2.0**-33  # of the steps, relative to the unit: about 1e-10
_CLOSE = 2.0**-46  # where they show a kink or a slope without end, which may be beside the inputs
_CLOSEST = 2.0**-80  # the same at 0, where smaller steps still move
_WIDE = 2.0**-4  # steps wider than this share of the first may leave a flat piece of f
_COLUMNS = 4  # extrapolations of one difference: more gain nothing
_BEND = 2.0  # times the change between two steps, what they lead to is off for the bend of f
_SHAKE = 6.0  # times the noise, which is a standard deviation, a difference is off for noise
_UNSETTLED = 0.1  # of the largest change of the difference, one at the smallest steps is too much
_FAR = 10.0  # one-sided slopes are worse; an error that is so much smaller is no chance
_APART = 8.0  # times their errors, one-sided slopes differ at a kink,
_ROUGH = 1e-6  # and relatively
_GROWS = 1.2  # slopes that grow by more at each of so many halvings of the step have no end
_HALVINGS = 8


@dataclass(frozen=True)
class Line:
    """A function of a distance: one input that is moved, or all of them along a direction.

    Attributes:
        run: the function's result at a distance; nan where there is none.
        at: the number that is moved; nan for a direction.
        unit: a distance that is large.
        widest: the first step that is tried.
    """

    run: Callable[[float], float]
    at: float
    unit: float
    widest: float


@dataclass(frozen=True)
class Slope:
    """A slope, and how far off it may be."""

    value: float
    error: float = math.inf
    endless: bool = False  # it grows without end as the step shrinks

    @property
    def is_seen(self) -> bool:
        """Whether there is anything to compare with."""
        return self.endless or self.error < math.inf


@dataclass(frozen=True)
class Slopes:
    """The slopes of a line at distance 0: from the left, central and from the right."""

    left: Slope
    middle: Slope
    right: Slope
    is_flat: bool  # the results are the same, bit for bit, at all steps but the widest ones
    steepest: float  # the largest difference at any step
    reach: float  # how far the result moves at any step

    @property
    def best(self) -> Slope:
        """The central one, unless a side has a far smaller error, as beside a kink."""
        side = min(self.left, self.right, key=lambda slope: slope.error)
        return side if _FAR * side.error < self.middle.error else self.middle

    @property
    def are_apart(self) -> bool:
        """Whether the slopes from the left and from the right surely differ."""
        return self.may_be_apart(_APART)

    def may_be_apart(self, times: float = 1.0) -> bool:
        """Whether the slopes of the two sides differ by more than so many times their errors."""
        left, right = self.left, self.right
        if not (left.is_seen and right.is_seen):
            return False
        if left.endless or right.endless:
            return not (left.endless and right.endless and left.value * right.value > 0)
        sure = times * (left.error + right.error)
        return abs(left.value - right.value) > sure + _ROUGH * max(
            abs(left.value), abs(right.value)
        )


@dataclass(frozen=True)
class _Difference:
    """A difference quotient, and the noise in it."""

    value: float
    shake: float


def slopes(line: Line, noise: float) -> Slopes:
    """The slopes of a line, extrapolated from differences at steps that are halved each time.

    Extrapolation is Richardson's (1911); the error is the change within the table, as in Ridders
    (1982), and the noise.  A slope must agree with the differences at all smaller steps: what a
    wide step sees may be on the other side of a kink, or of a bump that it steps over.

    >>> seen = slopes(Line(math.exp, 0.0, 1.0, 0.25), 1e-16)
    >>> abs(seen.middle.value - 1.0) <= 4 * seen.middle.error < 1e-10
    True
    """
    seen = _seen(line, noise, _SMALLEST)
    unknown = line.at == 0.0 and seen.best.error > _ROUGH * abs(seen.best.value)
    unknown |= not (seen.left.is_seen or seen.middle.is_seen or seen.right.is_seen)
    if unknown or seen.are_apart or seen.left.endless or seen.right.endless:
        return _seen(line, noise, _CLOSE if line.at else _CLOSEST)
    return seen


def _seen(line: Line, noise: float, smallest: float) -> Slopes:
    z = line.run(0.0)
    left: list[_Difference] = []
    middle: list[_Difference] = []
    right: list[_Difference] = []
    is_flat, moves = True, [0.0]
    for step in _steps(line, smallest):
        above, below = line.run(step), line.run(-step)
        moves += [abs(above - z), abs(below - z)]
        is_flat &= step > _WIDE * line.widest or z == above == below
        around = max(abs(line.at), step) * ROUNDING if line.at == line.at else 0.0
        for side, change, width in (
            (left, z - below, step), (middle, above - below, 2 * step), (right, above - z, step),
        ):  # fmt: skip
            slope = change / width
            side.append(_Difference(slope, 2 * (noise + around * abs(slope)) / width))
    sizes = [abs(d.value) for d in [*left, *right]]
    steepest = max(filter(math.isfinite, sizes), default=0.0)
    reach = max(filter(math.isfinite, moves))
    sides = _slope(left, 2.0), _slope(middle, 4.0), _slope(right, 2.0)
    return Slopes(*sides, is_flat, steepest, reach)


def _steps(line: Line, smallest: float) -> Iterator[float]:
    """Powers of two, so that a number and a step add up exactly where they can."""
    step = 2.0 ** math.floor(math.log2(line.widest))
    while step >= smallest * line.unit > 0.0:
        yield step
        step /= 2


def _slope(differences: list[_Difference], factor: float) -> Slope:
    """The extrapolated slope of least error that agrees with the differences at smaller steps."""
    finite = [d for d in differences if math.isfinite(d.value)]
    if _is_endless(finite[-_HALVINGS:]):
        return Slope(finite[-1].value, endless=True)
    if _is_unsettled(finite):
        return Slope(finite[-1].value)
    for error, value, level in sorted(_table(differences, factor)):
        if _agrees(value, error, differences[level:], factor):
            return Slope(value, error)
    return Slope(finite[-1].value if finite else math.nan)


def _table(differences: list[_Difference], factor: float) -> Iterator[tuple[float, float, int]]:
    """(error, slope, number of the smallest step in it) of each place in the table.

    The error is the change from the two places that it comes from, and to the one with half the
    step: where kinks are near, chance may make the first two small.
    """
    rows = _extrapolated(differences, factor)
    for level, row in enumerate(rows):
        above = rows[level - 1] if level else []
        below = rows[level + 1] if level + 1 < len(rows) else []
        for j, (value, shake) in enumerate(row):
            near = [row[j - 1], above[j - 1]] if j else above[:1]
            changes = [abs(value - other) for other, _ in [*near, *below[j : j + 1]]]
            if near and math.isfinite(sum(changes)):
                yield max(changes) + shake, value, level


def _extrapolated(differences: list[_Difference], factor: float) -> list[list[tuple[float, float]]]:
    """Rows of (slope, noise): a difference, and what it and those at wider steps lead to."""
    rows: list[list[tuple[float, float]]] = []
    for difference in differences:
        row = [(difference.value, difference.shake)]
        for j, (old, shake) in enumerate(rows[-1][:_COLUMNS] if rows else []):
            weight = factor ** (j + 1)
            value, own = row[j]
            row.append(
                ((value * weight - old) / (weight - 1), (own * weight + shake) / (weight - 1))
            )
        rows.append(row)
    return rows


def _agrees(value: float, error: float, differences: list[_Difference], factor: float) -> bool:
    """Whether what each two differences lead to is as near as their bend and noise allow."""
    for here, closer in itertools.pairwise(differences):
        change = (closer.value - here.value) / (factor - 1)
        off = abs(value - (closer.value + change))
        shake = (factor * closer.shake + here.shake) / (factor - 1)
        if not off <= error + _BEND * (factor - 1) * abs(change) + _SHAKE * shake:
            return False
    return True


def _is_unsettled(differences: list[_Difference]) -> bool:
    """Whether the smallest steps still change the difference, as where f swings between them."""
    pairs = list(itertools.pairwise(differences))
    changes = [abs(a.value - b.value) - _SHAKE * (a.shake + b.shake) for a, b in pairs]
    return bool(changes) and max(changes[-4:]) > max(0.0, _UNSETTLED * max(changes))


def _is_endless(differences: list[_Difference]) -> bool:
    """Whether slopes of one sign grow at each halving of the step, and by more than noise."""
    pairs = itertools.pairwise(differences)
    sure = all(abs(d.value) > _SHAKE * d.shake for d in differences)
    return (
        sure and len(differences) == _HALVINGS and all(b.value / a.value > _GROWS for a, b in pairs)
    )
