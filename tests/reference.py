"""What each row should give, by mpmath at high precision, from the textbook's formula alone."""

import ast
import itertools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from mpmath import mp, mpf

from autograd import rows
from autograd.operation import Operation

# tanh(300) differs from 1 in the 261st digit; the difference must keep 40 digits of its own, also
# when it is divided by the square of a step.
BITS = 2000
_STEP = mpf(2) ** -200

# Where a derivative passes through 0 although its terms do not: they cancel there, and an error is
# measured in units of the last place of the terms, which are about 1/4.
CROSSES_ZERO = {"silu": -1.278, "gelu": -0.752}


# The same for second derivatives: where, and how large the terms are.
_SECOND_CROSSES = {"silu": (2.4, 0.1), "gelu": (1.414, 0.1)}


def terms(op: Operation, *operands: float) -> float:
    """The size of the numbers whose sum z is, where they may cancel: log(e^x + e^y) may be 0."""
    return abs(max(operands)) if op.name == "logaddexp" and min(operands) < 0 else 0.0


def second_terms(op: Operation, i: int, j: int, *operands: float) -> float:
    """The size of the terms of a second derivative, where they may cancel."""
    if op.name in _SECOND_CROSSES:
        root, size = _SECOND_CROSSES[op.name]
        return size if abs(abs(operands[0]) - root) < 0.1 else 0.0
    if op.name == "pow" and i != j:  # x ** (y - 1) * (1 + y * log(x))
        x, y = operands
        return abs(op.value(x, y - 1))
    return 0.0


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


# What mpmath calls otherwise, or means otherwise.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "cbrt": lambda x: mp.cbrt(abs(x)) * (-1 if x < 0 else 1),
    "log2": lambda x: mp.log(x, 2),  # mp.log2 is newer than what SymPy allows
    "fmod": lambda x, y: abs(x) % abs(y) * (-1 if x < 0 else 1),
    "round": mp.nint,
}


def call(op: Operation, *operands: Any) -> Any:
    """The row's value as mpmath has it."""
    if op.textbook[0] != op.signature:
        return _evaluate(op.textbook[0], dict(zip("xy", operands, strict=False)))
    if op.name == "erfc" and abs(operands[0]) > 1000:  # mpmath's series overflows
        return mpf(0 if operands[0] > 0 else 2)
    function = _FUNCTIONS.get(op.name) or getattr(mp, op.name)
    return function(*operands)


def value(op: Operation, *operands: float) -> Any:
    """z to full precision."""
    with mp.workprec(BITS + _step(op, operands, 0)[1]):
        return call(op, *map(mpf, operands))


def partial(op: Operation, k: int, *operands: float) -> Any:
    """dz/dx (k = 0) or dz/dy (k = 1), by a central difference."""
    step, bits = _step(op, operands, k)
    with mp.workprec(BITS + bits):
        at = [mpf(operand) for operand in operands]

        def moved(sign: int) -> Any:
            return call(op, *(x + sign * step if i == k else x for i, x in enumerate(at)))

        return (moved(1) - moved(-1)) / (2 * step)


def second(op: Operation, i: int, j: int, *operands: float) -> Any:
    """The second derivative in the operands i and j (0 for x, 1 for y), by central differences."""
    steps = [_step(op, operands, k) for k in range(op.arity)]
    with mp.workprec(BITS + 2 * max(bits for _, bits in steps)):
        at = [mpf(operand) for operand in operands]

        def moved(a: int, b: int) -> Any:
            moves = [a * (k == i) + b * (k == j) for k in range(op.arity)]
            return call(op, *(x + m * s for x, m, (s, _) in zip(at, moves, steps, strict=True)))

        # Where i is j, the four points are two, and one that counts twice.
        sides = moved(1, 1) - moved(1, -1) - moved(-1, 1) + moved(-1, -1)
        return sides / (4 * steps[i][0] * steps[j][0])


def _step(op: Operation, operands: tuple[float, ...], k: int) -> tuple[Any, int]:
    """A step that is small beside the operand and reaches no jump, and how many more bits it takes.

    Where operands differ in size, what the step does to the result shows only in its last bits.
    """
    sizes = [mpf(abs(x) or 1.0) for x in operands]
    size = min(sizes[k], 1)
    if op.pieces and op.arity == 2:
        x, y = sizes
        size = min(*sizes, 1) * min(y / x, 1)
    spread = mp.log(max(*sizes, 1) / size, 2)
    return _STEP * size, int(spread)


LARGEST, SMALLEST = 1.797e308, 2.3e-308


def ulps(computed: float, exact: Any, least: float = 0.0, single: bool = False) -> float:
    """The error of a float in units in the last place of the exact result, or of `least`.

    `single` means those of single precision.
    """
    nearest = float(exact)
    if computed == nearest:
        return 0.0
    if not math.isfinite(computed) or not math.isfinite(nearest):
        return math.inf
    unit = math.ulp(max(abs(nearest), least))
    if single:
        unit = max(unit * 2.0**29, 2.0**-149)
    with mp.workprec(BITS):
        return float(abs(mpf(computed) - exact) / mpf(unit))


def value_ulps(op: Operation, operands: tuple[float, ...], z: float, single: bool = False) -> float:
    """The error of a row's value in units in the last place."""
    return ulps(z, value(op, *operands), terms(op, *operands), single)


def second_error(op: Operation, i: int, j: int, computed: float, *operands: float) -> float:
    """The relative error of a second derivative in the operands i and j."""
    return relative(op, i, j, computed, second(op, i, j, *operands), *operands)


def relative(op: Operation, i: int, j: int, computed: float, exact: Any, *operands: float) -> float:
    """The error of a second derivative, of its size; below the smallest normal number, of that.

    0 where the exact one is beyond the doubles.
    """
    if abs(exact) > LARGEST:
        return 0.0
    if not math.isfinite(computed):
        return math.inf
    size = max(abs(exact), SMALLEST, second_terms(op, i, j, *operands))
    with mp.workprec(BITS):
        return float(abs(mpf(computed) - exact) / size)


def points(op: Operation, count: int, rng: random.Random) -> Iterator[tuple[float, ...]]:
    """Operands inside the row's smooth region: three in four of a usual size, the rest of any."""
    made = 0
    while made < count:
        operands = tuple(_number(rng) for _ in range(op.arity))
        if op.is_smooth(*operands) and not _lost(op, operands):
            made += 1
            yield operands


def _lost(op: Operation, operands: tuple[float, ...]) -> bool:
    """Whether z has lost digits that its derivatives are made of, near 0 or beyond the largest.

    For atan2, also whether it jumps from -pi to pi.
    """
    if op.name == "atan2":
        return math.hypot(*operands) == math.inf or (operands[0] == 0.0 and operands[1] < 0.0)
    return op.name in ("pow", "hypot") and abs(op.value(*operands)) < 1e-290


def neighbours(op: Operation, count: int, rng: random.Random) -> Iterator[tuple[float, ...]]:
    """Operands beside each other's size, and where derivatives are 0 or change their form."""
    made = 0
    while made < count:
        near = rng.choice([1.0, -1.0]) * 10 ** rng.uniform(-15, -1)
        x = rng.choice([0.0, 1.0, -1.0, 0.5, 1.5, 2.0, math.sqrt(2.0), 2.4, 2.0 * _number(rng)])
        pair = [x + near * max(abs(x), 1.0), rng.choice([-1.0, 1.0]) * x]
        operands = tuple(pair if rng.random() < 0.7 else pair[::-1])[: op.arity]
        if op.is_smooth(*operands) and not _lost(op, operands):
            made += 1
            yield operands


# Subnormal and huge numbers, neighbours of 1 and of zeros of sin and cos, and where exp, tanh and
# erfc end.
_SIZES = [5e-324, 1e-310, 2.3e-308, 1e-160, 1e-17, 2.0**-26, 0.5, 1 - 2.0**-53, 1 - 2.0**-30, 1.0]
_SIZES += [1 + 2.0**-52, math.pi / 2, math.pi, 18.7, 22.0, 26.5, 37.0, 709.7, 744.5, 1e16, 1e155]
_SIZES += [1e300, math.nextafter(math.inf, 0.0), 709.78]
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
