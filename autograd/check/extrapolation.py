"""Slopes of a function along a line: differences at many steps, extrapolated, with their errors."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autograd.check.accuracy import ROUNDING

_SMALLEST = 2.0**-33  # the smallest step, relative to the unit: about 1e-10
_CLOSE = 2.0**-46  # the same after signs of a kink or an infinite slope, which may lie nearby
_CLOSEST = 2.0**-80  # the same at 0, where still smaller steps change the input
_WIDE = 2.0**-4  # steps wider than this share of the first may leave a flat piece of f
_COLUMNS = 4  # extrapolations of one difference: more do not help
_BEND = 2.0  # curvature allows an error of this many times the change between two steps
_SHAKE = 6.0  # noise allows an error of this many times its standard deviation
_UNSETTLED = 0.1  # changes at the smallest steps may be at most this share of the largest change
_FAR = 10.0  # a one-sided slope is preferred only if its error is this many times smaller
_APART = 8.0  # at a kink, one-sided slopes differ by more than this many times their errors,
_ROUGH = 1e-6  # plus this share of the slope
_GROWS = 1.2  # a slope is infinite if it grows by more than this at each halving of the step,
_HALVINGS = 8  # this many times in a row


@dataclass(frozen=True)
class Line:
    """A function of a distance: one input moves, or all inputs move along a direction.

    Attributes:
        run: the function's result at a distance; nan where f has no value.
        at: the input that moves; nan for a direction.
        unit: a distance that counts as large.
        widest: an upper limit for the first step.
    """

    run: Callable[[float], float]
    at: float
    unit: float
    widest: float


@dataclass(frozen=True)
class Slope:
    """A slope, and an estimate of its error."""

    value: float
    error: float = math.inf
    endless: bool = False  # it grows without bound as the step shrinks

    @property
    def is_known(self) -> bool:
        """Whether a claim can be compared with it."""
        return self.endless or self.error < math.inf


@dataclass(frozen=True)
class Slopes:
    """The slopes of a line at distance 0: from the left, central and from the right."""

    left: Slope
    middle: Slope
    right: Slope
    is_flat: bool  # the results are the same, bit for bit, at all steps except the widest
    steepest: float  # the largest difference at any step
    reach: float  # how far the result moves at any step

    @property
    def best(self) -> Slope:
        """The central slope, unless one side has a far smaller error, as next to a kink."""
        side = min(self.left, self.right, key=lambda slope: slope.error)
        return side if _FAR * side.error < self.middle.error else self.middle

    @property
    def are_apart(self) -> bool:
        """Whether the slopes from the left and from the right clearly differ."""
        return self.may_be_apart(_APART)

    def may_be_apart(self, times: float = 1.0) -> bool:
        """Whether the slopes of the two sides differ by more than `times` their errors."""
        left, right = self.left, self.right
        if not (left.is_known and right.is_known):
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

    Extrapolation is Richardson's (1911).  The error is the change within the table, as in Ridders
    (1982), plus the noise.  A slope must agree with the differences at all smaller steps, because
    a wide step may cross a kink or step over a bump.

    >>> at_zero = slopes(Line(math.exp, 0.0, 1.0, 0.25), 1e-16)
    >>> abs(at_zero.middle.value - 1.0) <= 4 * at_zero.middle.error < 1e-10
    True
    """
    first = _measured(line, noise, _SMALLEST)
    unknown = line.at == 0.0 and first.best.error > _ROUGH * abs(first.best.value)
    unknown |= not (first.left.is_known or first.middle.is_known or first.right.is_known)
    if unknown or first.are_apart or first.left.endless or first.right.endless:
        return _measured(line, noise, _CLOSE if line.at else _CLOSEST)
    return first


def _measured(line: Line, noise: float, smallest: float) -> Slopes:
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
    """The steps: powers of two, so that adding one to a number is exact where possible."""
    step = 2.0 ** math.floor(math.log2(line.widest))
    while step >= smallest * line.unit > 0.0:
        yield step
        step /= 2


def _slope(differences: list[_Difference], factor: float) -> Slope:
    """The extrapolated slope with the least error that agrees with all smaller steps."""
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
    """(error, slope, index of its smallest step) of each entry in the extrapolation table.

    The error is the largest change from the two entries that it is computed from, and to the entry
    with half the step: near a kink, the first two changes may be small by chance.
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
    """Rows of (slope, noise): a difference, then its extrapolations with those at wider steps."""
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
    """Whether the slope agrees with the extrapolation of each pair, up to curvature and noise."""
    for here, closer in itertools.pairwise(differences):
        change = (closer.value - here.value) / (factor - 1)
        off = abs(value - (closer.value + change))
        shake = (factor * closer.shake + here.shake) / (factor - 1)
        if not off <= error + _BEND * (factor - 1) * abs(change) + _SHAKE * shake:
            return False
    return True


def _is_unsettled(differences: list[_Difference]) -> bool:
    """Whether the difference still changes at the smallest steps, as when f oscillates."""
    pairs = list(itertools.pairwise(differences))
    changes = [abs(a.value - b.value) - _SHAKE * (a.shake + b.shake) for a, b in pairs]
    return bool(changes) and max(changes[-4:]) > max(0.0, _UNSETTLED * max(changes))


def _is_endless(differences: list[_Difference]) -> bool:
    """Whether slopes of one sign grow at each halving of the step, by more than the noise."""
    pairs = itertools.pairwise(differences)
    sure = all(abs(d.value) > _SHAKE * d.shake for d in differences)
    return (
        sure and len(differences) == _HALVINGS and all(b.value / a.value > _GROWS for a, b in pairs)
    )
