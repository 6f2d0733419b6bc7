"""What a claimed slope is worth beside the slopes that were seen: a verdict, with its reason."""

import math
from dataclasses import dataclass

from autograd.check.extrapolation import Slope, Slopes
from autograd.check.report import Verdict, hint

_RELATIVE = 1e-6  # what a right gradient may be off, relatively, for its own rounding
_SURE = 4  # times the estimated error of a slope
_OWN = 16  # times f's relative noise, a gradient computed in f's arithmetic may be off
_BURIED = 0.05  # noise of this share of all changes of f hides a slope that is far steeper
_SMALL = 1e-9  # an error of this share of the steepest difference is nothing
_USELESS = 0.02  # a slope that is known no better decides nothing


@dataclass(frozen=True)
class Claim:
    """A slope that somebody claims.

    Attributes:
        slope: the claim.
        result: the function's.
        noise: the noise in it.
        unit: the size of the input.
        hidden: an error of the slope that is nothing beside the other slopes.
    """

    slope: float
    result: float
    noise: float
    unit: float
    hidden: float


@dataclass(frozen=True)
class Judgement:
    """A verdict, the slope that it comes from, what the claim may be off from it, and why."""

    verdict: Verdict
    reference: float
    allowed: float
    note: str = ""


def judged(claim: Claim, seen: Slopes) -> Judgement:
    """The verdict on a claimed slope."""
    left, right = seen.left, seen.right
    if seen.is_flat and claim.slope == 0.0:
        return Judgement(Verdict.PASS, 0.0, 0.0, "f does not change here")
    if seen.are_apart:
        return _at_a_kink(claim, left, right)
    if seen.best.error == math.inf:
        return _without_end(claim, left if left.endless else right)
    missing = " and ".join(
        name for name, side in (("left", left), ("right", right)) if side.value != side.value
    )
    return _compared(claim, seen, f"f has no value on the {missing}" if missing else "")


def _at_a_kink(claim: Claim, left: Slope, right: Slope, sure: float = _SURE) -> Judgement:
    ends = [math.copysign(math.inf, s.value) if s.endless else s.value for s in (left, right)]
    finite = [s for s in (left, right) if not s.endless]
    allowed = sum(sure * s.error + _RELATIVE * abs(s.value) for s in finite)
    inside = min(ends) - allowed <= claim.slope <= max(ends) + allowed
    note = f"slopes {ends[0]:.6g} from the left, {ends[1]:.6g} from the right"
    verdict = Verdict.KINK if inside else Verdict.FAIL
    return Judgement(verdict, sum(ends) / 2, allowed, note)


def _without_end(claim: Claim, side: Slope) -> Judgement:
    """At the end of the domain, or where f is too steep or too noisy for differences."""
    if not side.endless:
        return Judgement(Verdict.INCONCLUSIVE, math.nan, math.inf, "differences show no slope")
    reference = math.copysign(math.inf, side.value)
    note = f"the slope grows without end: it is {side.value:.3g} at the smallest step"
    if claim.slope == reference:
        return Judgement(Verdict.PASS, reference, 0.0, note)
    steeper = claim.slope / side.value >= 1.0 and math.isfinite(claim.slope)
    verdict = Verdict.INCONCLUSIVE if steeper else Verdict.FAIL
    return Judgement(verdict, reference, math.inf, note)


def _compared(claim: Claim, seen: Slopes, note: str) -> Judgement:
    found, slope = claim.slope, seen.best.value
    size = max(abs(claim.result), abs(slope) * claim.unit)
    own = _OWN * claim.noise / size if size else 0.0
    allowed = (_RELATIVE + own) * abs(slope) + _SURE * seen.best.error
    if not abs(found - slope) <= allowed:
        # Noise can blur how far the sides of a slight kink are apart, and the middle hide it.
        faint = _at_a_kink(claim, seen.left, seen.right, sure=1.0)
        clear = max(seen.left.error, seen.right.error) < _USELESS * abs(slope)
        if clear and seen.may_be_apart() and faint.verdict is Verdict.KINK:
            return faint
        if found == found and claim.noise > _BURIED * seen.reach > 0.0:
            return Judgement(
                Verdict.INCONCLUSIVE, slope, math.inf, "f changes by chance alone here"
            )
        return Judgement(Verdict.FAIL, slope, allowed, _cause(found, slope, allowed) or note)
    largest = max(abs(found), abs(slope))
    if allowed > 2 * _RELATIVE * largest:
        relative = f", {_short(allowed / largest)} of the slope" if largest else ""
        note = f"cannot see better than {_short(allowed)}{relative}"
    if allowed > max(_USELESS * largest, claim.hidden, _SMALL * seen.steepest):
        return Judgement(Verdict.INCONCLUSIVE, slope, allowed, note)
    return Judgement(Verdict.PASS, slope, allowed, note)


def _cause(found: float, slope: float, allowed: float) -> str:
    """What the claim would be a sign of, were it not for the noise."""
    for factor in (2.0, 0.5, -1.0, 0.0):
        if allowed < 0.1 * abs(slope) and abs(found - factor * slope) <= 2 * allowed:
            return hint(factor * slope, slope).strip()
    return ""


def _short(x: float) -> str:
    return f"{x:.0e}".replace("e-0", "e-").replace("e+0", "e+")
