"""LOCAL: each operation by itself, against differences of its row's value in decimals."""

import itertools
import math
from dataclasses import dataclass
from decimal import Decimal

from autograd.check.accuracy import CLOSER, FLOOR, JUMP, ROUNDING, TIE, step_beside, ulps
from autograd.check.case import operands_of
from autograd.check.report import Report, hint
from autograd.operation import Operation
from autograd.printers import decimals
from autograd.show.events import contributions
from autograd.value import Value

VALUE_ULPS, SLOPE_ULPS = 4, 8  # what a row may be off, in units of the last place
_STEP = Decimal("1e-25")
_SAME = Decimal("1e-12")  # one-sided slopes that differ by more differ by a kink
_APART = 2.0**-20  # an operand's relative change by which its influence is measured


@dataclass
class _Exact:
    """An operation at one point, in decimals of as many digits as it takes."""

    op: Operation
    operands: list[float]

    def __post_init__(self) -> None:
        self.value = decimals.value(self.op)
        self.at = [Decimal(x) for x in self.operands]
        self.z = self.value(*self.at)

    def slopes(self, k: int, relative: Decimal = _STEP) -> tuple[Decimal, Decimal, Decimal]:
        """Left, central and right slope of the value in operand k."""
        at, here = self.at, self.at[k]
        step = step_beside(here, relative)
        ends = []
        for moved in (here - step, here + step):
            at[k] = moved
            ends.append(self.value(*at))
        at[k] = here
        below, above = ends
        return (self.z - below) / step, (above - below) / (2 * step), (above - self.z) / step

    def shares(self, used: list[float]) -> str:
        """What is wrong if, at a kink, both partials are possible but their sum is not."""
        step = step_beside(max(self.at, key=abs), _STEP)
        ends = [self.value(*(x + h for x in self.at)) for h in (-step, step)]
        low, high = sorted([float((self.z - ends[0]) / step), float((ends[1] - self.z) / step)])
        allowed = TIE * max(1.0, abs(low), abs(high))
        if low - allowed <= sum(used) <= high + allowed:
            return ""
        parts = " and ".join(map(repr, used))
        return (
            f"dz/dx and dz/dy of {self.op.name}: the pullback uses {parts}, which add up to "
            f"{sum(used)!r}, should be {low!r}" + (f" to {high!r}" if high > low else "")
        )

    def jumps(self, k: int) -> bool:
        """Whether the value, on either side, does not come closer as the operand does."""
        below, _, above = self.slopes(k)
        nearer, _, near = self.slopes(k, _STEP / CLOSER)
        return abs(near) > JUMP * abs(above) or abs(nearer) > JUMP * abs(below)

    def is_steep(self, k: int) -> bool:
        """Whether the slope grows without end as the step shrinks, as the cube root's at 0."""
        return abs(self.slopes(k, _STEP / CLOSER)[1]) > 2 * abs(self.slopes(k)[1])

    def blurs(self, used: float, exact: float, k: int | None = None) -> bool:
        """Whether operands with a few of their last bits changed have this value (or slope in k).

        A row may lose as much as its operands' own rounding does, as exp(-x * x) must for large x;
        log(1 + x) loses far more near 0, where log1p hardly feels the rounding of x.
        """

        def wanted(at: _Exact) -> Decimal:
            return at.z if k is None else at.slopes(k)[1]

        reach = 0.0
        for i in range(len(self.operands)):
            near = [x + x * _APART if j == i else x for j, x in enumerate(self.operands)]
            reach += abs(float(wanted(_Exact(self.op, near)) - wanted(self))) / _APART
        return abs(used - exact) <= 2 * VALUE_ULPS * ROUNDING * reach


def wrong_operations(
    inner: list[Value], slopes: dict[Value, list[float]], name: dict[Value, str]
) -> list[tuple[Value, str]]:
    """The nodes whose value or local derivative is wrong, and how."""
    wrong = []
    with decimals.digits(80) as context:
        for node in inner:
            op, operands = node.op, operands_of(node)
            assert op is not None
            if not all(map(math.isfinite, operands)):
                continue
            # exp(-x * x) beside 1 is in reach of a double.
            context.prec = decimals.enough([*operands, *(x * x for x in operands if abs(x) > 1.0)])
            exact = _Exact(op, operands)
            z = float(exact.z)
            close = ulps(node.data, z) <= VALUE_ULPS
            if math.isfinite(z) and not close and not exact.blurs(node.data, z):
                where = _where(node, operands, name)
                what = f"value of {op.name}: {node.data!r}, should be {z!r}; {where}"
                wrong.append((node, what))
                continue
            if not math.isfinite(node.data):
                continue
            for k, used in enumerate(slopes[node]):
                left, middle, right = exact.slopes(k)
                if not (left.is_finite() and right.is_finite()):
                    continue  # an end: there is nothing to compare with
                if math.isinf(used) and exact.is_steep(k):
                    continue
                slope, text = float(middle), repr(float(middle))
                if abs(right - left) > _SAME * max(abs(left), abs(right)):
                    shares = exact.shares(slopes[node]) if k else ""
                    if shares and not exact.jumps(k):
                        wrong.append((node, f"{shares}; {_where(node, operands, name)}"))
                    low, high = sorted([float(left), float(right)])
                    if low - TIE <= used <= high + TIE or high - low <= FLOOR:
                        continue
                    text = f"[{low!r}, {high!r}]"
                if not ulps(used, slope) <= SLOPE_ULPS and not (
                    exact.jumps(k) or exact.blurs(used, slope, k)
                ):
                    what = (
                        f"dz/d{'xy'[k]} of {op.name}: the pullback uses {used!r}, should be "
                        f"{text}{hint(used, slope)}; {_where(node, operands, name)}"
                    )
                    wrong.append((node, what))
    return wrong


def _where(node: Value, operands: list[float], name: dict[Value, str]) -> str:
    at = ", ".join(f"{n} = {x!r}" for n, x in zip("xy", operands, strict=False))
    line = f", at {node.line}" if node.line else ""
    known = name.get(node)
    return (f"node {known}, " if known else "") + at + line


_POINTS = [0.0] + [s * x for x in (1e-8, 0.3, 1.0, 2.5, 25.0, 300.0) for s in (1.0, -1.0)]


def check_operation(op: Operation) -> Report:
    """A Report on one operation by itself, at points on all sides of its kinks and far out.

    What a graph's gradient depends on is checked where that graph is; a mistake for x > 20 shows
    only to a graph that goes there.  This asks the row itself, LOCAL alone, at values from 1e-8 to
    300 of both signs, at 0, and at ties.  The report has one line of blame for each mistake.

    >>> from autograd import tanh
    >>> print(check_operation(tanh))
    tanh: 13 points pass
    """
    places = itertools.product(_POINTS, repeat=op.arity)
    nodes = [op(*(Value(x) for x in place)) for place in places]
    nodes = [node for node in nodes if node.data == node.data]
    wrong = wrong_operations(nodes, {node: contributions(node, 1.0) for node in nodes}, {})
    rest = len(nodes) - len({node for node, _ in wrong})
    blame = [text for _, text in wrong]
    return Report([], blame, [node for node, _ in wrong], f"{op.name}: {rest} points pass")
