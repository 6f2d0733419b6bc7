"""Slopes of one operation, by differences of its value in decimals, not by its derivatives."""

import ast
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from decimal import Decimal, getcontext

from autograd.operation import Operation
from autograd.printers import decimals

STEP = Decimal("1e-25")  # relative step; the error of a central difference is its square
CLOSER = 1000  # a second step is smaller by this factor
FADES = 100  # a slope that shrinks by more with it is 0: that of x^3 at 0 is the step squared
JUMPS = 900  # a slope that grows by more, nearly CLOSER, is a jump divided by the step
STEEP = 2  # one that grows by more has no limit: sqrt's at 0 grows by the root of CLOSER
_KEPT = 20  # digits that a difference must keep
# Digits at most.  At 1e-300 the slope of a cosine is 1e-300, and a step beside it is 1e-325: their
# product is the difference of two values of 1.
_MOST = 700
_ONE = Decimal(1)
_PERIODS = Decimal("1e20")  # of more, a step of 1e-25 beside the operand would skip some


@functools.cache
def is_affine(op: Operation, k: int) -> bool:
    """Whether the row is a + b * operand k, so that one step of any size gives the exact slope.

    The text of the value shows this.

    >>> from autograd import rows
    >>> is_affine(rows()["div"], 0), is_affine(rows()["div"], 1)
    (True, False)
    """
    name = "xy"[k]

    def degree(tree: ast.expr) -> int:
        match tree:
            case ast.Name():
                return int(tree.id == name)
            case ast.UnaryOp():
                return degree(tree.operand)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return max(degree(tree.left), degree(tree.right))
            case ast.BinOp(op=ast.Mult()):
                return degree(tree.left) + degree(tree.right)
            case ast.BinOp(op=ast.Div()) if not degree(tree.right):
                return degree(tree.left)
            case ast.IfExp() if not degree(tree.test):
                return max(degree(tree.body), degree(tree.orelse))
        return 2 * any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(tree))

    return degree(ast.parse(op.textbook[0], mode="eval").body) <= 1


def decades(op: Operation, operands: Sequence[float]) -> float:
    """By how many powers of ten what the operation does is finer than its operands.

    An operation that turns repeats itself after 2 pi; one in pieces jumps after each 1, or each y.

    >>> from autograd import rows
    >>> [decades(rows()[name], [1e200]) for name in ("floor", "sin", "exp")]
    [200.0, 200.0, 0.0]
    >>> decades(rows()["mod"], [1e200, 1e150])
    50.0
    """
    sizes = [math.log10(abs(x)) for x in operands if x and math.isfinite(x)]
    if op.pieces and len(sizes) == len(operands):
        return max(0.0, sizes[0] - sum(sizes[1:]))
    return max(0.0, *sizes) if sizes and decimals.turns(op) else 0.0


def enough(op: Operation, operands: Sequence[float], digits: int) -> int:
    """At least `digits`; more if the operands differ much in size, or it turns or jumps often."""
    sizes = [math.log10(abs(x)) for x in operands if x and math.isfinite(x)]
    if not sizes:
        return digits
    return digits + int(2 * (max(sizes) - min(sizes)) + decades(op, operands))


def step_beside(
    op: Operation, at: Sequence[Decimal], here: Decimal, relative: Decimal = STEP
) -> Decimal:
    """A step that is small relative to the operand `here`, or to 1 if it is 0.

    An operation that turns varies over a distance of 1, however large its operand is, and one in
    pieces (floor, mod) over a piece.
    """
    size = min(abs(here), _ONE) if decimals.turns(op) else abs(here)
    if op.pieces and at[-1]:
        size /= max(_ONE, abs(at[0] / (at[1] if len(at) == 2 else _ONE)) / _PERIODS)
    return size * relative or relative


def slope(
    op: Operation, k: int, at: Sequence[Decimal], z: Decimal, relative: Decimal = STEP
) -> Decimal:
    """dz/d(operand k), by a difference of the row's value with as many digits as it takes."""
    value = decimals.value(op)
    if is_affine(op, k):
        step = max(map(abs, at)) or _ONE
        return (_moved(value, at, k, step) - z) / step
    step = step_beside(op, at, at[k], relative)
    above, below = _moved(value, at, k, step), _moved(value, at, k, -step)
    difference = above - below
    missing = _missing(difference, above)
    if missing:
        with decimals.digits(min(getcontext().prec + missing, _MOST)):
            difference = _moved(value, at, k, step) - _moved(value, at, k, -step)
    wide = difference / (2 * step)
    if wide and not at[k]:
        nearer = step / CLOSER
        near = (_moved(value, at, k, nearer) - _moved(value, at, k, -nearer)) / (2 * nearer)
        return _limit(wide, near)
    return wide


def _missing(difference: Decimal, value: Decimal) -> int:
    """The number of further digits that the difference of two values needs."""
    if not difference or not difference.is_finite():
        return _MOST
    kept = getcontext().prec - value.adjusted() + difference.adjusted()
    return max(0, _KEPT - kept)


def _limit(wide: Decimal, near: Decimal) -> Decimal:
    """The limit of slopes at a step and at one that is CLOSER to 0."""
    return Decimal(0) if abs(near) * FADES < abs(wide) else near


def _moved(value: Callable[..., Decimal], at: Sequence[Decimal], k: int, step: Decimal) -> Decimal:
    if len(at) == 1:
        return value(at[0] + step)
    return value(at[0] + step, at[1]) if k == 0 else value(at[0], at[1] + step)


def slopes_beside(
    op: Operation, at: Sequence[Decimal], direction: Sequence[int], nearer: bool = False
) -> tuple[Decimal, Decimal]:
    """The slopes from the left and from the right along a direction, 1 or 0 for each operand.

    With `nearer`, the step is smaller by CLOSER.
    """
    value = decimals.value(op)
    moved = [x for x, along in zip(at, direction, strict=True) if along]
    step = step_beside(op, at, (min if op.pieces else max)(moved, key=abs))
    if nearer:
        step /= CLOSER
    z = value(*at)
    below, above = (
        value(*(x + sign * step * along for x, along in zip(at, direction, strict=True)))
        for sign in (-1, 1)
    )
    return (z - below) / step, (above - z) / step


def is_kink(op: Operation, at: Sequence[Decimal]) -> bool:
    """Whether the one-sided slopes differ here; a row's `smooth` tells only where they may.

    >>> from autograd import rows
    >>> with decimals.digits(60):
    ...     [is_kink(rows()[name], [Decimal(0), Decimal(3)][:n]) for name, n in
    ...      (("abs", 1), ("pow", 2), ("relu", 1), ("sigmoid", 1))]
    [True, False, True, False]
    """
    if not op.smooth or op.is_smooth(*map(float, at)):
        return False
    for direction in itertools.product((0, 1), repeat=len(at)):
        if any(direction):
            wide, near = (slopes_beside(op, at, direction, nearer) for nearer in (False, True))
            if not all(slope.is_finite() for slope in (*wide, *near)):
                if sum(direction) == 1:
                    return True  # an end of the domain; along both, a power's base is negative
                continue
            if abs(near[1] - near[0]) * FADES > abs(wide[1] - wide[0]):
                return True
            if any(abs(b) > STEEP * abs(a) for a, b in zip(wide, near, strict=True)):
                return True  # a jump, or an infinite slope
    return False
