"""What each row should give, by mpmath at high precision, from the textbook's formula alone."""

import ast
import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

from mpmath import mp, mpf

from autograd import rows
from autograd.ops import Operation

# tanh(300) differs from 1 in the 261st digit; the difference must keep 40 digits of its own.
BITS = 3000
_STEP = mpf(2) ** -400

# Where a derivative passes through 0 although its terms do not: they cancel there, and an error is
# measured in units of the last place of the terms, which are about 1/4.
CROSSES_ZERO = {"silu": -1.278, "gelu": -0.752}


def _evaluate(text: str, operands: dict[str, Any]) -> Any:
    return _walk(ast.parse(text, mode="eval").body, operands)


def _walk(tree: ast.expr, operands: dict[str, Any]) -> Any:
    match tree:
        case ast.Constant(value=value):
            return mpf(value)
        case ast.Name(id="pi"):
            return mp.pi
        case ast.Name(id=name):
            return operands[name]
        case ast.UnaryOp(op=op, operand=operand):
            value = _walk(operand, operands)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            x, y = _walk(left, operands), _walk(right, operands)
            match op:
                case ast.Add():
                    return x + y
                case ast.Sub():
                    return x - y
                case ast.Mult():
                    return x * y
                case ast.Div():
                    return x / y
            return mp.power(x, y)
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body):
            x, y = _walk(left, operands), _walk(right, operands)
            return _walk(
                body if (x < y if isinstance(op, ast.Lt) else x > y) else tree.orelse, operands
            )
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return call(rows()[name], *(_walk(argument, operands) for argument in arguments))
    raise AssertionError(ast.dump(tree))


def call(op: Operation, *operands: Any) -> Any:
    """The row's value as mpmath has it."""
    if op.libm:
        if op.name == "erfc" and abs(operands[0]) > 1000:  # mpmath's series overflows
            return mpf(0 if operands[0] > 0 else 2)
        return abs(operands[0]) if op.libm == "fabs" else getattr(mp, op.libm)(*operands)
    return _evaluate(op.textbook[0], dict(zip("xy", operands, strict=False)))


def value(op: Operation, *operands: float) -> Any:
    """z to full precision."""
    with mp.workprec(BITS):
        return call(op, *map(mpf, operands))


def partial(op: Operation, k: int, *operands: float, order: int = 1) -> Any:
    """dz/dx (k = 0) or dz/dy (k = 1), or a higher derivative, by a central difference."""
    with mp.workprec(BITS if order == 1 else BITS + 1500):
        at = [mpf(operand) for operand in operands]
        step = _STEP * (min(abs(at[k]), 1) or mpf(1))

        def moved(steps: int) -> Any:
            return call(op, *at[:k], at[k] + steps * step, *at[k + 1 :])

        if order == 1:
            return (moved(1) - moved(-1)) / (2 * step)
        return (moved(1) - 2 * moved(0) + moved(-1)) / step**2


LARGEST = 1.797e308


def ulps(computed: float, exact: Any) -> float:
    """The error of a float in units in the last place of the exact result."""
    nearest = float(exact)
    if computed == nearest:
        return 0.0
    if not math.isfinite(computed) or not math.isfinite(nearest):
        return math.inf
    with mp.workprec(BITS):
        return float(abs(mpf(computed) - exact) / mpf(math.ulp(nearest)))


def points(op: Operation, count: int, rng: random.Random) -> Iterator[tuple[float, ...]]:
    """Operands inside the row's smooth region: three in four of a usual size, the rest of any."""
    made = 0
    while made < count:
        operands = tuple(_number(rng) for _ in range(op.arity))
        if op.is_smooth(*operands) and not _lost(op, operands):
            made += 1
            yield operands


def _lost(op: Operation, operands: tuple[float, ...]) -> bool:
    """Whether z has lost digits that its derivatives are made of, near 0 or beyond the largest."""
    if op.name == "atan2":
        return math.hypot(*operands) == math.inf
    return op.name in ("pow", "hypot") and abs(op.value(*operands)) < 1e-290


# Subnormal and huge numbers, neighbours of 1 and of zeros of sin and cos, and where exp, tanh and
# erfc end.
_SIZES = [5e-324, 1e-310, 2.3e-308, 1e-160, 1e-17, 2.0**-26, 0.5, 1 - 2.0**-53, 1 - 2.0**-30, 1.0]
_SIZES += [1 + 2.0**-52, math.pi / 2, math.pi, 18.7, 22.0, 26.5, 37.0, 709.7, 744.5, 1e16, 1e155]
_SIZES += [1e300, math.nextafter(math.inf, 0.0)]
# Of all doubles the closest to an odd multiple of pi / 2 (Muller 2016, table 11.1).
HARDEST = 6381956970095103 * 2.0**797


def edges(op: Operation) -> Iterator[tuple[float, ...]]:
    """Operands at the ends of what a double can be, and beside kinks, ends and zeros."""
    numbers = [sign * size for size in _SIZES for sign in (1.0, -1.0)]
    # Every fifth number, so that both signs come.
    for operands in itertools.product(numbers[:: 5 if op.arity == 2 else 1], repeat=op.arity):
        if op.is_smooth(*operands) and not _lost(op, operands):
            yield operands


def _number(rng: random.Random) -> float:
    low, high = rng.choice([(-3, 1), (-2, 0.3), (-1, 2.9), (-300, 300)])
    return rng.choice([-1.0, 1.0]) * 10 ** rng.uniform(low, high)
