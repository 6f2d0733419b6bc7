"""END-TO-END: the function itself, run again on decimals; where it refuses them, on doubles."""

import math
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from autograd.check.accuracy import CLOSER, FLOOR, JUMP, ROUNDING, TIE, TINY, step_beside
from autograd.check.case import Case, Traced, operands_of
from autograd.check.report import Row, Verdict, hint
from autograd.define import ridders
from autograd.modes import entered, no_grad
from autograd.nestings import rebuilt
from autograd.operands import item
from autograd.printers import decimals
from autograd.transform import hvp
from autograd.value import Value, number_writer, numbers

_BESIDE = Decimal("1e-20")  # the relative step of a function's argument
_TWICE = Decimal("1e-30")  # the step of second differences
_FEWER, _MORE, _MOST = 20, 40, 80  # digits: to agree, for who disagrees, for second differences
_AGREED = 1e-9  # a gradient and the referee's, relatively
_SURE, _CERTAIN = 4, 10  # times the estimated error of a difference
_LOST, _SOUND = 16, 64  # roundings that a sum of paths may lose, of the size of all of them
_SMALLEST, _UNIT = 1e-4, 0.1  # of the steps of `ridders`, relatively, and where x is near 0
_NODES = 3  # roundings of a node that reach the result
_NOISY = 1e-5  # differences of doubles with a larger error decide nothing
_APART_BY = 0.01  # decimals and doubles that differ by more see different functions
_ENDLESS = 1e18  # a second difference of more is a jump of the first derivative
_TWICE_AGREED, _TWICE_LEAST = 1e-8, 1e-6  # second derivatives, relatively, and what counts as 0
_SCALES = (1.0, 1e-2, 1e-4, 1e-6)  # of the steps in doubles, to stay on this side of a kink


@dataclass
class Claim:
    """The engine's gradient in one input, and what the other two checks think of it.

    Attributes:
        k: which input or parameter.
        gradient: the engine's.
        own: that of our own sum over all paths.
        size: of all paths' terms.
        blameless: whether every operation and every sum is right.
    """

    k: int
    gradient: float
    own: float
    size: float
    blameless: bool

    @property
    def sound(self) -> bool:
        """Whether only the function itself can be at fault."""
        allowed = _SOUND * ROUNDING * self.size + TINY
        return self.blameless and abs(self.gradient - self.own) <= allowed


@dataclass
class _Seen:
    """Slopes from the left, in the middle and from the right, and the error of the middle."""

    left: float
    middle: float
    right: float
    error: float
    switched: str = ""
    how: str = "decimal"
    rounded: bool = False
    jump: bool = False

    @property
    def kink(self) -> bool:
        """Whether the two one-sided slopes differ."""
        gap = abs(self.left - self.right)
        return gap > max(TIE * abs(self.left), TIE * abs(self.right), FLOOR)


class Referee:
    """The function, run again beside where it is checked: few digits are enough to agree.

    Only who disagrees is asked again with many.
    """

    def __init__(self, case: Case, inner: list[Value], grads: dict[Value, float]) -> None:
        self.case, self.inner, self.digits = case, inner, case.digits()
        sizes = [grads[node] * node.data for node in inner]
        finite = (x for x in sizes if math.isfinite(x))
        self.noise = _NODES * ROUNDING * math.hypot(*finite, case.root.data)
        self._runs = [_decimals(case, self.digits - _FEWER)]

    def row(self, claim: Claim) -> Row:
        """What it says of a gradient."""
        for attempt in range(2):
            if attempt == len(self._runs):
                self._runs.append(_decimals(self.case, self.digits + _MORE))
            seen = _see(self.case, self._runs[attempt], claim.k, self.noise)
            row = self._judged(claim, seen)
            if row.verdict is Verdict.PASS:
                break
        return row

    def _judged(self, claim: Claim, seen: _Seen) -> Row:
        case, k, gradient = self.case, claim.k, claim.gradient
        allowed = _AGREED * abs(seen.middle) + TINY + _SURE * seen.error
        row = Row(case.labels[k], case.at[k], gradient, seen.middle, seen.error, Verdict.PASS)
        if not math.isfinite(seen.middle) or (
            math.isinf(gradient) and 2 * seen.error > abs(seen.middle)
        ):
            row.verdict = Verdict.INCONCLUSIVE
            row.note = "the function has no finite slope here, or cannot be run beside this point"
            if gradient != gradient and seen.middle != seen.middle:
                row.note = "both are nan"
        elif seen.kink or seen.jump:
            low, high = sorted((seen.left, seen.right))
            allowed += _LOST * ROUNDING * claim.size
            inside = low - allowed <= gradient <= high + allowed
            row.verdict = Verdict.KINK if inside or claim.sound else Verdict.FAIL
            row.note = f"slopes {seen.left:.6g} from the left, {seen.right:.6g} from the right"
            row.note += "" if inside else ", and the gradient is neither nor between"
            if seen.jump:
                row.note = "the function jumps here, and has no slope"
            row.note += f" ({seen.switched} switches)" if seen.switched else ""
        elif seen.how == "double" and seen.error > _NOISY * max(
            abs(gradient), abs(seen.middle), FLOOR
        ):
            row.verdict = Verdict.INCONCLUSIVE
            row.note = "differences of doubles are too noisy here"
        elif not abs(gradient - seen.middle) <= allowed:
            row.verdict = Verdict.FAIL
            row.note = hint(gradient, seen.middle)
            if claim.sound and math.isfinite(gradient):
                self._explain(row, k, seen.middle)
            row.note = row.note.strip()
        return row

    def _explain(self, row: Row, k: int, slope: float) -> None:
        """Why a gradient differs from the slope, though every operation and sum is right."""
        true = _replay(self.case, self.inner, k, self.digits + _MORE)
        if true is not None and abs(true - slope) <= _AGREED * abs(slope) + TINY:
            row.verdict = Verdict.ILL_CONDITIONED
            gap = abs(row.analytic - slope) / max(abs(slope), TINY)
            lost = min(16, round(16 + math.log10(gap)))
            row.note = f"about {lost} of 16 digits lost to rounding"
        else:
            row.note += " every operation and sum is right, so a branch is cut from the graph:"
            row.note += " .data, float() or detach() in the function?"


class _Decimals:
    """The function run on decimals, at the point and beside it."""

    def __init__(self, case: Case, precision: int) -> None:
        self.case, self.precision, self.rounded = case, precision, False
        self.at = [Decimal(x) for x in case.at]
        self.here = self.run(-1, Decimal(0))[0]

    def run(self, k: int, step: Decimal) -> tuple[Decimal, list[Any]]:
        """f with a step in one input, and the sides that its operations were on."""
        case, count = self.case, len(self.at) - len(self.case.parameters)
        with decimals.digits(self.precision):
            moved = [*self.at]
            moved[k] += step
            mode = decimals.Run(dict(zip(case.parameters, moved[count:], strict=True)))
            with entered(mode):
                inputs: list[Any] = [decimals.Carrier(mode, x) for x in moved[:count]]
                out = case.again([*inputs, *case.parameters])
                self.rounded = self.rounded or mode.rounded
                return mode.decimal(out), mode.sides

    def slopes(self, k: int) -> _Seen:
        """The slopes of f along one input."""
        with decimals.digits(self.precision):
            h = step_beside(self.at[k], _BESIDE)
            left, wide, right = self._slopes(k, h)
            seen = _Seen(left, wide, right, 1e-15 * abs(wide))
            seen.rounded = self.rounded
            leap = abs(wide) * float(h) > _AGREED * float(abs(self.here))
            if not (seen.kink or leap or math.isnan(wide)):
                return seen
            # A gap that shrinks with the step is a bend, and no kink.
            left2, middle, right2 = self._slopes(k, h / CLOSER)
        seen.middle, seen.error = middle, seen.error + abs(middle - wide)
        seen.jump = abs(left2) > JUMP * abs(left) or abs(right2) > JUMP * abs(right)
        if abs(left2 - right2) < 0.1 * abs(left - right):
            seen.left = seen.right = middle
        if seen.kink:
            for i, ((op, one), (_, two)) in enumerate(zip(*self._sides, strict=False)):
                if one != two:
                    sides = self.case.traced.sides
                    seen.switched = op.name
                    if i < len(sides):
                        seen.switched += f" at {sides[i][2].line}"
                    break
        return seen

    def _slopes(self, k: int, h: Decimal) -> tuple[float, float, float]:
        (above, sides), (below, others) = self.run(k, h), self.run(k, -h)
        self._sides = sides, others
        slopes = (self.here - below) / h, (above - below) / (2 * h), (above - self.here) / h
        left, middle, right = map(float, slopes)
        return left, middle, right


def _by_doubles(case: Case, k: int, noise: float) -> _Seen:
    """The same by extrapolated differences of doubles, on this side of every kink."""
    signature = [(op, side) for op, side, _ in case.traced.sides]
    strayed: list[bool] = []

    def along(t: float) -> float:
        moved = [Value(x) for x in case.at[: len(case.at) - len(case.parameters)]]
        undo = number_writer(case.parameters, numbers(case.parameters))
        traced = Traced()
        try:
            if k < len(moved):
                moved[k] = Value(t)
            else:
                case.parameters[k - len(moved)].data = t
            with entered(traced):
                out = case.again([*moved, *case.parameters])
        finally:
            undo()
        strayed.append([(op, side) for op, side, _ in traced.sides] != signature)
        return item(out)

    x, best = case.at[k], (math.nan, math.inf)
    for scale in _SCALES:
        strayed.clear()
        slope, error = ridders(lambda t, scale=scale: along(x + (t - x) * scale), x)  # type: ignore[misc]
        # The estimate knows nothing of the noise that all its differences share.
        smallest = _SMALLEST * scale * max(abs(x), _UNIT)
        slope, error = slope / scale, error / scale + noise / smallest
        if not any(strayed) and error < best[1]:
            best = slope, error
    return _Seen(best[0], best[0], best[0], best[1], how="double")


def _replay(case: Case, inner: list[Value], k: int, precision: int) -> float | None:
    """The slope of the recorded graph, recomputed on decimals: what the gradient should be."""
    if not inner:
        return None
    with decimals.digits(precision):
        h = step_beside(Decimal(case.at[k]), _BESIDE)
        ends = []
        for step in (h, -h):
            data: dict[Value | None, Decimal] = {case.nodes[k]: Decimal(case.at[k]) + step}
            for node in inner:
                operands = [
                    data.get(p, Decimal(x))
                    for p, x in zip((node.a, node.b), operands_of(node), strict=False)
                ]
                assert node.op is not None
                data[node] = decimals.value(node.op)(*operands)
            ends.append(data[case.root])
        return float((ends[0] - ends[1]) / (2 * h))


def _decimals(case: Case, precision: int) -> _Decimals | None:
    try:
        return _Decimals(case, precision)
    except Exception:  # a function may refuse decimals in any way it likes
        return None


def _see(case: Case, decimals: _Decimals | None, k: int, noise: float) -> _Seen:
    if decimals is None:
        return _by_doubles(case, k, noise)
    try:
        seen = decimals.slopes(k)
    except Exception:  # a function may refuse decimals in any way it likes
        return _by_doubles(case, k, noise)
    if seen.rounded:
        # A step of 1e-20 does not survive float(); if that number decided nothing but a branch,
        # doubles see the same slope, and if it went on into the result, they see another.
        coarse = _by_doubles(case, k, noise)
        gap = abs(coarse.middle - seen.middle)
        if gap > _APART_BY * max(abs(coarse.middle), abs(seen.middle)) + _CERTAIN * coarse.error:
            return coarse
    return seen


def second(case: Case, digits: int, seed: int) -> list[Row]:
    """Rows for the Hessian along a random direction, against second differences of decimals."""
    count = len(case.at) - len(case.parameters)
    rng = random.Random(seed)  # noqa: S311 - no secret
    v = [rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) for _ in range(count)]

    def of_one_argument(parts: list[Any]) -> Any:
        return case.f(*rebuilt(list(case.inputs), iter(parts)))

    with no_grad():  # numbers, also where f depends on parameters
        found = hvp(of_one_argument, case.at[:count], v)
    rows = []
    for k in range(count):

        def run(i: int, j: int, h: Decimal, k: int = k) -> Decimal:
            moved = [Decimal(x) + j * h * Decimal(v[m]) for m, x in enumerate(case.at[:count])]
            moved[k] += i * h
            mode = decimals.Run({})
            with decimals.digits(digits + _MOST), entered(mode):
                inputs: list[Any] = [decimals.Carrier(mode, x) for x in moved]
                return mode.decimal(of_one_argument(inputs))

        row = Row(f"d2/d{case.labels[k]} dv", case.at[k], found[k], math.nan, 0.0, Verdict.PASS)
        rows.append(row)
        try:
            with decimals.digits(digits + _MOST):
                h = _TWICE
                cross = run(1, 1, h) - run(1, -1, h) - run(-1, 1, h) + run(-1, -1, h)
                row.referee = float(cross / (4 * h * h))
        except Exception:  # a function may refuse decimals in any way it likes
            row.verdict, row.note = Verdict.INCONCLUSIVE, "the function refuses decimals"
            continue
        row.error = 1e-12 * abs(row.referee)
        if not math.isfinite(row.referee) or abs(row.referee) > _ENDLESS:
            row.verdict, row.note = Verdict.KINK, "the first derivative jumps here"
        elif not abs(row.analytic - row.referee) <= _TWICE_AGREED * max(
            abs(row.referee), _TWICE_LEAST
        ):
            row.verdict, row.note = Verdict.FAIL, hint(row.analytic, row.referee).strip()
    return rows
