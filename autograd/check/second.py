"""Second derivatives: the Hessian along a direction, against the graph of the gradient."""

import math
import random
from collections.abc import Sequence
from decimal import Decimal

from autograd.adjoints import gradients
from autograd.check.accuracy import ROUNDING, SOUND, TINY
from autograd.check.adjoint import summed
from autograd.check.case import Case, Recording
from autograd.check.local import wrong_operations
from autograd.check.program import Program, Sweeps
from autograd.check.report import Row, Verdict, hint
from autograd.check.slopes import CLOSER, FADES, STEEP
from autograd.modes import no_grad, recording
from autograd.nestings import rebuilt
from autograd.order import visited
from autograd.printers import decimals
from autograd.show.shown import contributions
from autograd.transform import hvp
from autograd.value import Value

_STEP = Decimal("1e-30")  # relative to each input; the error of the difference is its square
_DIGITS = 160  # two steps of 1e-30 lose 60; doubled until two results agree
_MOST = 1280  # digits at most
_SURE = Decimal("1e-12")  # relative gap at which the results of two precisions agree
_AGREED = 1e-8  # relative gap of a second derivative and its reference
_APART = Decimal("1e-9")  # f' has a kink if those on the left and right have a larger relative gap
_ASIDE = 3  # steps aside that put all four points of a difference on one side
_RESOLVED = 1e-12  # relative error of a reference


class Curvature:
    """The Hessian of f times a direction: by the engine, in decimals, and by differences.

    Each component of the direction has its input's size, so that no input hides the others.
    """

    def __init__(self, case: Case, program: Program, seed: int) -> None:
        self.case, self.program = case, program
        rng = random.Random(seed)  # noqa: S311 - no secret
        self.direction = [
            rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) * (abs(x) or 1.0)
            for x in case.at[: case.count]
        ]
        self.other = [rng.uniform(0.5, 1.0) * (abs(x) or 1.0) for x in case.at[: case.count]]
        with no_grad():  # so that hvp returns numbers even if f depends on parameters
            at = case.at[: case.count]
            self.products = hvp(self._of_one_argument, at, self.direction)
        self._differentiate()

    def _of_one_argument(self, parts: list[Value]) -> Value:
        result: Value = self.case.f(*rebuilt(list(self.case.inputs), iter(parts)))
        return result

    def _differentiate(self) -> None:
        """Record gradient * direction; get its slopes in decimals, and its own sums in doubles."""
        inputs = self.case.recorded.nodes[: self.case.count]
        with recording():
            first = gradients([(self.case.recorded.root, 1.0)], inputs, create_graph=True)
            pairs = zip(first, self.direction, strict=True)
            parts = [g * v for g, v in pairs if isinstance(g, Value)]
            along = sum(parts[1:], parts[0]) if parts else Value(0.0)
        inner, ends = visited(along)
        pulls = {node: contributions(node, 1.0) for node in inner}
        self.blameless = not wrong_operations(inner, pulls, {})
        self.sweeps = Sweeps(Program(Recording(along, inputs)), pulls)
        ours = summed(along, inner, ends, pulls)
        self.slopes = [self.sweeps.first.slope(k) for k in range(len(inputs))]
        self.ours = [ours.get(node, (0.0, 0.0)) for node in inputs]

    def difference(
        self, first: Sequence[float], digits: int, step: Decimal = _STEP, aside: int = 0
    ) -> Decimal:
        """A second difference of f's graph, along `first` and then along the direction."""
        with decimals.digits(digits):
            at = [Decimal(x) for x in self.case.at]
            total = Decimal(0)
            for i, j in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = [*at]
                for m, (u, v) in enumerate(zip(first, self.direction, strict=True)):
                    moved[m] += step * ((i + aside) * Decimal(u) + (j + aside) * Decimal(v))
                total += i * j * self.program.moved(moved)[self.program.root]
            return total / (4 * step * step)

    def sure(self, first: Sequence[float], step: Decimal = _STEP, aside: int = 0) -> Decimal:
        """`difference` with enough digits that more do not change it; otherwise nan."""
        precision, last = _DIGITS, Decimal("nan")
        with decimals.digits(_MOST):
            while precision <= _MOST:
                slope = self.difference(first, precision, step, aside)
                if not slope.is_finite() or abs(slope - last) <= abs(slope) * _SURE:
                    return slope
                last, precision = slope, 2 * precision
            # What shrinks with more digits is rounding: the second derivative is 0.
            coarse = abs(self.difference(first, _DIGITS, step, aside))
            return Decimal(0) if abs(last) * FADES < coarse else Decimal("nan")

    def agrees(self) -> bool:
        """Whether the gradient's graph and differences of f have the same second derivatives.

        They are compared once for all inputs, along a further direction.
        """
        reference = self.sure(self.other)
        with decimals.digits(_DIGITS):
            pairs = zip(self.other, self.slopes, strict=True)
            slope = sum((Decimal(u) * part for u, part in pairs), Decimal(0))
            return abs(reference - slope) <= abs(slope) * Decimal(_AGREED)

    def is_rounded(self, k: int, exact: float) -> bool:
        """Whether the gradient's graph and its sums are right, so only rounding is at fault."""
        own, size = self.ours[k]
        summed_up = abs(self.products[k] - own) <= SOUND * ROUNDING * size + TINY
        return self.blameless and summed_up and _agrees(self.sweeps.sure(k), exact)


def second_rows(case: Case, program: Program, kinks: bool, seed: int) -> list[Row]:
    """A row for each input: the engine's Hessian along a direction, and the reference."""
    curvature = Curvature(case, program, seed)
    smooth = not kinks and curvature.agrees()
    rows = []
    for k, product in enumerate(curvature.products):
        row = Row(f"d2/d{case.labels[k]} dv", case.at[k], product, math.nan, 0.0, Verdict.PASS)
        slope = curvature.slopes[k] if smooth else _alone(curvature, k, row)
        if slope is not None:
            exact = float(slope)
            if smooth and not _agrees(product, exact):
                exact = curvature.sweeps.sure(k)
            _judge(row, k, exact, curvature)
        rows.append(row)
    return rows


def unjudged_rows(case: Case, reason: str) -> list[Row]:
    """Rows without a verdict on second derivatives, with the reason."""
    return [
        Row(f"d2/d{label} dv", x, math.nan, math.nan, 0.0, Verdict.INCONCLUSIVE, reason)
        for label, x in zip(case.labels[: case.count], case.at, strict=False)
    ]


def _alone(curvature: Curvature, k: int, row: Row) -> Decimal | None:
    """The second derivative in one input by differences.

    None if there is none: then the row gets its verdict here.
    """
    unit = abs(curvature.case.at[k]) or 1.0
    along = [unit if i == k else 0.0 for i in range(curvature.case.count)]
    with decimals.digits(_DIGITS):
        scale = Decimal(unit)
        wide, near, left, right = (
            curvature.sure(along, step, aside) / scale
            for step, aside in ((_STEP, 0), (_STEP / CLOSER, 0), (_STEP, -_ASIDE), (_STEP, _ASIDE))
        )
        if not all(slope.is_finite() for slope in (wide, near, left, right)):
            row.verdict, row.note = Verdict.INCONCLUSIVE, "second differences are not finite here"
            return None
        if abs(near) > STEEP * abs(wide):
            row.verdict, row.note = Verdict.KINK, "the first derivative jumps here"
            row.referee = float(near)
            return None
        if abs(left - right) <= _APART * max(abs(left), abs(right)):
            return near
    low, high = sorted((float(left), float(right)))
    allowed = _AGREED * max(abs(low), abs(high))
    inside = low - allowed <= row.analytic <= high + allowed
    row.verdict = Verdict.KINK if inside else Verdict.FAIL
    row.referee = (low + high) / 2
    row.note = f"second slopes {float(left):.6g} from the left, {float(right):.6g} from the right"
    row.note += "" if inside else ", and the second derivative is outside this range"
    return None


def _agrees(product: float, exact: float) -> bool:
    return abs(product - exact) <= _AGREED * abs(exact) + TINY


def _judge(row: Row, k: int, exact: float, curvature: Curvature) -> None:
    row.referee, row.error = exact, _RESOLVED * abs(exact)
    if not math.isfinite(exact):
        row.verdict, row.note = Verdict.INCONCLUSIVE, "the second derivative is not finite here"
    elif not _agrees(row.analytic, exact):
        if curvature.is_rounded(k, exact):
            row.verdict = Verdict.ILL_CONDITIONED
            row.note = "every operation and sum of the gradient is right up to rounding"
        else:
            row.verdict, row.note = Verdict.FAIL, hint(row.analytic, exact).strip()
