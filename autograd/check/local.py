"""LOCAL: each operation on its own, against differences of its row's value in decimals."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from autograd.check.accuracy import AGREED, FLOOR, ROUNDING, TIE, ulps
from autograd.check.case import operands_of
from autograd.check.report import Report, hint
from autograd.check.slopes import FADES, JUMPS, STEEP, enough, slope, slopes_beside, step_beside
from autograd.define import is_defined, is_that_slope, slope_in_doubles
from autograd.operation import Operation
from autograd.printers import decimals
from autograd.show.shown import contributions
from autograd.value import Value

VALUE_ULPS, SLOPE_ULPS = 4, 8  # how far a row may be off, in units in the last place
_FEW, _MANY = 45, 80  # digits that are enough to accept an operation, and to blame one
_FEW_STEP = Decimal("1e-15")  # a step for _FEW digits: a difference keeps enough of them
_APART = 2.0**-20  # relative change of an operand, to measure its influence
_BESIDE = 2.0**-30  # relative distance from a kink at which a row is checked again
_SAME = Decimal(TIE)


@dataclass
class _Exact:
    """An operation at one point, in decimals with many digits."""

    op: Operation
    operands: list[float]

    def __post_init__(self) -> None:
        self.at = [Decimal(x) for x in self.operands]
        self.z = decimals.value(self.op)(*self.at)

    def direction(self, k: int | None) -> list[int]:
        """The direction along operand k, or along both operands if k is None."""
        return [int(k is None or i == k) for i in range(len(self.at))]

    def slopes(self, k: int | None) -> tuple[Decimal, Decimal]:
        """The slopes from the left and from the right; 0 if they vanish with the step."""
        wide = slopes_beside(self.op, self.at, self.direction(k))
        if not (k is None or self.at[k]) and any(wide):
            near = slopes_beside(self.op, self.at, self.direction(k), nearer=True)
            if all(abs(b) * FADES < abs(a) for a, b in zip(wide, near, strict=True) if a):
                return Decimal(0), Decimal(0)
        return wide

    def middle(self, k: int) -> Decimal:
        """The slope by a central difference."""
        return slope(self.op, k, self.at, self.z)

    def shares(self, used: list[float]) -> str:
        """A mistake at a kink if both partials are possible but their sum is not; otherwise ''."""
        low, high = sorted(map(float, self.slopes(None)))
        allowed = TIE * max(abs(low), abs(high))
        if low - allowed <= sum(used) <= high + allowed:
            return ""
        parts = " and ".join(map(repr, used))
        return (
            f"dz/dx and dz/dy of {self.op.name}: the pullback uses {parts}, which add up to "
            f"{sum(used)!r}, should be {low!r}" + (f" to {high!r}" if high > low else "")
        )

    def growth(self, k: int) -> Decimal:
        """The growth of the slope as the step shrinks: a large factor at a jump or a root's 0."""
        wide = slopes_beside(self.op, self.at, self.direction(k))
        step = step_beside(self.op, self.at, self.at[k])
        if max(map(abs, wide)) * step < abs(self.z) * _SAME:
            return Decimal(1)  # the step hardly changes the value
        near = slopes_beside(self.op, self.at, self.direction(k), nearer=True)
        pairs = zip(near, wide, strict=True)
        return max(abs(b / a) if a else Decimal(0) for b, a in pairs if b.is_finite())

    def blurs(self, used: float, exact: float, k: int | None = None) -> bool:
        """Whether rounding of the operands explains this value (or slope in operand k).

        A row may lose as many digits as rounding its operands does: exp(-x * x) must for large x.
        Near 0, log(1 + x) loses far more than that, and log1p shows that it need not.
        """

        def wanted(at: _Exact) -> Decimal:
            return at.z if k is None else at.middle(k)

        influence, here = 0.0, wanted(self)
        for i in range(len(self.operands)):
            near = [x + x * _APART if j == i else x for j, x in enumerate(self.operands)]
            influence += abs(float(wanted(_Exact(self.op, near)) - here)) / _APART
        return abs(used - exact) <= 2 * VALUE_ULPS * ROUNDING * influence


Edges = dict[tuple[Value, str], tuple[float, float]]


def wrong_operations(
    inner: list[Value],
    slopes: dict[Value, list[float]],
    name: dict[Value, str],
    edges: Edges | None = None,
) -> list[tuple[Value, str]]:
    """The nodes whose value or local derivative is wrong, each with a description of the mistake.

    A few digits are enough to accept an operation; only the other operations are computed with
    many.  `edges` is filled with the wrong and the right derivatives, by node and operand.
    """
    edges = {} if edges is None else edges
    with decimals.digits(_FEW):
        suspects = [node for node in inner if not _accepted(node, slopes[node])]
    wrong = []
    for node in suspects:
        assert node.op is not None
        if node.op.functions:
            texts = list(_by_doubles(node, slopes[node]))
        else:
            with decimals.digits(enough(node.op, operands_of(node), _MANY)):
                texts = _faults(node, slopes, edges) or _beside_kink(node)
        wrong += [(node, f"{text}; {_where(node, name)}") for text in texts]
    return wrong


def _by_doubles(node: Value, slopes: list[float]) -> Iterator[str]:
    """The mistakes in the derivatives of a Python function, by differences of doubles."""
    assert node.op is not None
    if not all(map(math.isfinite, operands_of(node))):
        return
    for k, used in enumerate(slopes):
        known = slope_in_doubles(node.op, operands_of(node), k)
        if known is not None and not is_that_slope(used, *known):
            yield (
                f"dz/d{'xy'[k]} of {node.op.name}: the pullback uses {used!r}, should be "
                f"{known[0]:.10g} by differences of doubles{hint(used, known[0])}"
            )


def _accepted(node: Value, used: list[float]) -> bool:
    """Whether a few digits show that the node is right; False at a kink, which needs more care."""
    op, operands, z = node.op, operands_of(node), node.data
    assert op is not None
    if op.functions or (op.smooth and not op.is_smooth(*operands)):
        return False
    if not (math.isfinite(z) and all(map(math.isfinite, operands + used))):
        return False
    at = list(map(Decimal, operands))
    exact = decimals.value(op)(*at)
    if not abs(float(exact) - z) <= VALUE_ULPS * math.ulp(z):
        return False
    for k, partial in enumerate(used):
        right = float(slope(op, k, at, exact, _FEW_STEP))
        if not abs(right - partial) <= SLOPE_ULPS * math.ulp(right):
            return False
    return True


def _faults(node: Value, slopes: dict[Value, list[float]], edges: Edges) -> list[str]:
    """The mistake in the node's value, or else those in its local derivatives."""
    op, operands = node.op, operands_of(node)
    assert op is not None
    if not all(map(math.isfinite, operands)):
        return []
    exact = _Exact(op, operands)
    z = float(exact.z)
    if math.isfinite(z) and not ulps(node.data, z) <= VALUE_ULPS and not exact.blurs(node.data, z):
        return [f"value of {op.name}: {node.data!r}, should be {z!r}"]
    if not math.isfinite(node.data):
        return []
    used, wrong = slopes[node], []
    for k in range(len(used)):
        if texts := _wrong_partial(exact, used, k):
            edges[node, "xy"[k]] = used[k], float(exact.middle(k))
            wrong += texts
    return wrong


def _wrong_partial(exact: _Exact, slopes: list[float], k: int) -> list[str]:
    """The mistakes in dz/d(operand k)."""
    left, right = exact.slopes(k)
    used, wrong = slopes[k], []
    if not (left.is_finite() and right.is_finite()):
        return []  # the end of the domain: there is no slope to compare with
    if math.isinf(used) and exact.growth(k) > STEEP:
        return []
    middle = float(exact.middle(k))
    text = repr(middle)
    if abs(right - left) > _SAME * max(abs(left), abs(right)):
        shares = exact.shares(slopes) if k and not exact.growth(k) > JUMPS else ""
        wrong += [shares] * bool(shares)
        low, high = sorted([float(left), float(right)])
        allowed = TIE * max(abs(low), abs(high))
        if low - allowed <= used <= high + allowed or high - low <= FLOOR:
            return wrong
        text = f"[{low!r}, {high!r}]"
    if not (
        ulps(used, middle) <= SLOPE_ULPS or exact.growth(k) > JUMPS or exact.blurs(used, middle, k)
    ):
        what = f"dz/d{'xy'[k]} of {exact.op.name}: the pullback uses {used!r}, should be {text}"
        wrong.append(what + hint(used, middle))
    return wrong


def _beside_kink(node: Value) -> list[str]:
    """The mistakes of the row right beside the node's operands, if these are at a kink.

    At the kink itself, any slope between the two one-sided slopes is right.
    """
    op, operands = node.op, operands_of(node)
    assert op is not None
    if not op.smooth or op.is_smooth(*operands) or not all(map(math.isfinite, operands)):
        return []
    wrong: list[str] = []
    for k, sign in itertools.product(range(op.arity), (-1.0, 1.0)):
        moved = [*operands]
        moved[k] += sign * _BESIDE * (abs(moved[k]) or 1.0)
        if not op.is_smooth(*moved):
            continue
        exact = _Exact(op, moved)
        at = ", ".join(f"{n} = {x!r}" for n, x in zip("xy", moved, strict=False))
        for i, used in enumerate(contributions(op(*map(Value, moved)), 1.0)):
            right = float(exact.middle(i))
            off = abs(right - used) > AGREED * abs(right) + FLOOR and exact.growth(i) < STEEP
            if math.isfinite(right) and off and not exact.blurs(used, right, i):
                what = (
                    f"dz/d{'xy'[i]} of {op.name}: the pullback uses {used!r}, should be {right!r}"
                )
                wrong.append(f"{what}{hint(used, right)}, beside a kink at {at}")
    return wrong


def _where(node: Value, name: dict[Value, str]) -> str:
    at = ", ".join(f"{n} = {x!r}" for n, x in zip("xy", operands_of(node), strict=False))
    line = f", at {node.line}" if node.line else ""
    known = name.get(node)
    return (f"node {known}, " if known else "") + at + line


_POINTS = [0.0] + [s * x for x in (1e-8, 0.3, 1.0, 2.5, 25.0, 300.0) for s in (1.0, -1.0)]


def check_operation(op: Operation) -> Report:
    """A Report on a single operation, at points on all sides of its kinks and far from 0.

    `check_gradients` checks an operation only at the numbers of one graph, so a mistake for x > 20
    shows only if the graph has such numbers.  This function runs the LOCAL check on the row itself:
    at 0, at ties, and at values from 1e-8 to 300 of both signs.  Each mistake has a line of blame.

    >>> from autograd import tanh
    >>> print(check_operation(tanh))
    tanh: 13 points pass
    """
    places: Iterable[tuple[float, ...]] = itertools.product(_POINTS, repeat=op.arity)
    if op.functions:  # Python functions may raise errors elsewhere
        places = (at for at in places if op.is_smooth(*at) and is_defined(op, at))
    nodes = [op(*(Value(x) for x in place)) for place in places]
    nodes = [node for node in nodes if node.data == node.data]
    wrong = wrong_operations(nodes, {node: contributions(node, 1.0) for node in nodes}, {})
    passed = len(nodes) - len({node for node, _ in wrong})
    blame = [text for _, text in wrong]
    return Report([], blame, [node for node, _ in wrong], f"{op.name}: {passed} points pass")
