"""The verdict on a claimed slope, given the slopes that were measured, with its reason."""

import math
from dataclasses import dataclass

from autograd.check.extrapolation import Slope, Slopes
from autograd.check.report import Verdict, hint

_RELATIVE = 1e-6  # the relative rounding error that a right gradient may have
_SURE = 4  # a right gradient may be off by this many times the estimated error of the slope
_OWN = 16  # and by this many times f's relative noise, if it is computed in f's arithmetic
_BURIED = 0.05  # if noise is this share of all changes of f, differences decide nothing
_SMALL = 1e-9  # an error of this share of the steepest difference is negligible
_USELESS = 0.02  # a slope with a larger relative error decides nothing


@dataclass(frozen=True)
class Claim:
    """A claimed slope.

    Attributes:
        slope: the claim.
        result: the function's result.
        noise: the noise in the result.
        unit: the size of the input.
        hidden: an error of the slope that is negligible beside the other slopes.
    """

    slope: float
    result: float
    noise: float
    unit: float
    hidden: float


@dataclass(frozen=True)
class Judgement:
    """A verdict, the reference slope, how far the claim may be off from it, and the reason."""

    verdict: Verdict
    reference: float
    allowed: float
    note: str = ""


def judged(claim: Claim, measured: Slopes) -> Judgement:
    """The judgement on a claimed slope."""
    left, right = measured.left, measured.right
    if measured.is_flat and claim.slope == 0.0:
        return Judgement(Verdict.PASS, 0.0, 0.0, "f does not change here")
    if measured.are_apart:
        return _at_a_kink(claim, left, right)
    if measured.best.error == math.inf:
        return _unbounded(claim, left if left.endless else right)
    missing = " and ".join(
        name for name, side in (("left", left), ("right", right)) if side.value != side.value
    )
    return _compared(claim, measured, f"f has no value on the {missing}" if missing else "")


def _at_a_kink(claim: Claim, left: Slope, right: Slope, sure: float = _SURE) -> Judgement:
    ends = [math.copysign(math.inf, s.value) if s.endless else s.value for s in (left, right)]
    finite = [s for s in (left, right) if not s.endless]
    allowed = sum(sure * s.error + _RELATIVE * abs(s.value) for s in finite)
    inside = min(ends) - allowed <= claim.slope <= max(ends) + allowed
    note = f"slopes {ends[0]:.6g} from the left, {ends[1]:.6g} from the right"
    verdict = Verdict.KINK if inside else Verdict.FAIL
    return Judgement(verdict, sum(ends) / 2, allowed, note)


def _unbounded(claim: Claim, side: Slope) -> Judgement:
    """The judgement at the end of the domain, or where f is too steep or noisy for differences."""
    if not side.endless:
        note = "the differences do not settle on a slope"
        return Judgement(Verdict.INCONCLUSIVE, math.nan, math.inf, note)
    reference = math.copysign(math.inf, side.value)
    note = f"the slope grows without bound: it is {side.value:.3g} at the smallest step"
    if claim.slope == reference:
        return Judgement(Verdict.PASS, reference, 0.0, note)
    steeper = claim.slope / side.value >= 1.0 and math.isfinite(claim.slope)
    verdict = Verdict.INCONCLUSIVE if steeper else Verdict.FAIL
    return Judgement(verdict, reference, math.inf, note)


def _compared(claim: Claim, measured: Slopes, note: str) -> Judgement:
    claimed, slope = claim.slope, measured.best.value
    size = max(abs(claim.result), abs(slope) * claim.unit)
    own = _OWN * claim.noise / size if size else 0.0
    allowed = (_RELATIVE + own) * abs(slope) + _SURE * measured.best.error
    if not abs(claimed - slope) <= allowed:
        # Noise can blur the gap between the sides of a slight kink; the middle slope then hides it.
        faint = _at_a_kink(claim, measured.left, measured.right, sure=1.0)
        clear = max(measured.left.error, measured.right.error) < _USELESS * abs(slope)
        if clear and measured.may_be_apart() and faint.verdict is Verdict.KINK:
            return faint
        if claimed == claimed and claim.noise > _BURIED * measured.reach > 0.0:
            note = "the changes of f are mostly noise here"
            return Judgement(Verdict.INCONCLUSIVE, slope, math.inf, note)
        return Judgement(Verdict.FAIL, slope, allowed, _cause(claimed, slope, allowed) or note)
    largest = max(abs(claimed), abs(slope))
    if allowed > 2 * _RELATIVE * largest:
        relative = f", {_short(allowed / largest)} of the slope" if largest else ""
        note = f"checked only to within {_short(allowed)}{relative}"
    if allowed > max(_USELESS * largest, claim.hidden, _SMALL * measured.steepest):
        return Judgement(Verdict.INCONCLUSIVE, slope, allowed, note)
    return Judgement(Verdict.PASS, slope, allowed, note)


def _cause(claimed: float, slope: float, allowed: float) -> str:
    """The usual cause of a claim that is, up to noise, a simple multiple of the slope; or ''."""
    for factor in (2.0, 0.5, -1.0, 0.0):
        if allowed < 0.1 * abs(slope) and abs(claimed - factor * slope) <= 2 * allowed:
            return hint(factor * slope, slope).strip()
    return ""


def _short(x: float) -> str:
    return f"{x:.0e}".replace("e-0", "e-").replace("e+0", "e+")
