"""The largest errors of each operation: value and first derivatives in ulp, second derivatives.

With the name of an engine or "float32", the errors are those of compiled functions.
"""

import itertools
import math
import random
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import autograd
from autograd import hessian, rows
from autograd.operation import Operation
from tests import reference

Point = Sequence[float]
LARGEST_SINGLE, SMALLEST_SINGLE = 1e38, 1.2e-38


def worst(name: str, count: int, more: Iterable[Point] = ()) -> list[float]:
    """The largest error of z, dz/dx (and dz/dy), in ulp of the exact result.

    Over `count` random points, the ends of what a double can be, and `more`.
    """
    op = rows()[name]
    found = [0.0] * (1 + op.arity)
    for operands in itertools.chain(_points(op, count), more):
        found = [max(pair) for pair in zip(found, errors(name, *operands), strict=True)]
    return found


def worst_second(name: str, count: int) -> float:
    """The largest relative error of a second derivative, at as many points and their neighbours."""
    op = rows()[name]
    near = reference.neighbours(op, count, random.Random(count))
    return max(second_error(op, *operands) for operands in (*_points(op, count), *near))


def _points(op: Operation, count: int) -> Iterable[Point]:
    rng = random.Random(zlib.crc32(op.name.encode()))
    return itertools.chain(reference.points(op, count, rng), reference.edges(op))


def errors(name: str, *operands: float) -> list[float]:
    """The errors at one point; 0 where the exact result is beyond the doubles."""
    op = rows()[name]
    x, y = (*operands, None)[:2]
    z = op.value(*operands)
    if not math.isfinite(z):
        return [0.0] * (1 + op.arity)
    partials = [op.dx, getattr(op, "dy", None)][: op.arity]
    return _errors(op, operands, z, [float(dz(x, y, z)) for dz in partials if dz is not None])


def _errors(
    op: Operation, operands: Point, z: float, slopes: Iterable[float], single: bool = False
) -> list[float]:
    found, largest = [reference.value_ulps(op, tuple(operands), z, single)], reference.LARGEST
    for k, slope in enumerate(slopes):
        exact = reference.partial(op, k, *operands)
        inside = abs(exact) < (LARGEST_SINGLE if single else largest)
        found.append(reference.ulps(slope, exact, single=single) if inside else 0.0)
    return found


def worst_compiled(name: str, count: int, engine: str) -> list[float]:
    """The same as `worst`, as an engine of compiled functions computes a batch of points.

    In single precision, numbers that it does not have are rounded or left out.
    """
    op, single = rows()[name], engine == "float32"
    points: list[Sequence[float]] = list(_points(op, count))
    if single:
        points = [point for point in ([*map(_single, p)] for p in points) if _fits(op, point)]
    options: dict[str, Any] = {"dtype": engine} if single else {"engine": engine}
    compiled = autograd.compile(lambda *x: op(*x), **options)
    z, slopes = compiled.value_and_grad(*np.array(points).T, argnums=tuple(range(op.arity)))
    found = [0.0] * (1 + op.arity)
    for k in np.flatnonzero(np.isfinite(z)):
        slope = [float(column[k]) for column in slopes]
        some = _errors(op, points[k], float(z[k]), slope, single)
        found = [max(pair) for pair in zip(found, some, strict=True)]
    return found


def _single(x: float) -> float:
    inside = x == 0.0 or SMALLEST_SINGLE < abs(x) < LARGEST_SINGLE
    return float(np.float32(x)) if inside else math.inf


def _fits(op: Operation, operands: Sequence[float]) -> bool:
    """Whether single precision has the operands and the value of a row."""
    if math.inf in operands:
        return False
    z = abs(op.value(*operands))
    return bool(op.is_smooth(*operands)) and (z == 0.0 or SMALLEST_SINGLE < z < LARGEST_SINGLE)


def second_error(op: Operation, *operands: float) -> float:
    """The largest relative error of all second derivatives at one point."""
    if not math.isfinite(op.value(*operands)):
        return 0.0
    computed = hessian(lambda at: op(*at))(list(operands))
    places = itertools.product(range(op.arity), repeat=2)
    return max(reference.second_error(op, i, j, computed[i][j], *operands) for i, j in places)


def main(arguments: list[str]) -> None:
    """Print the table: `accuracy [points per operation (200)] [engine, or float32]`."""
    count = int(arguments[0]) if arguments else 200
    if len(arguments) > 1:
        print(f"| operation, {arguments[1]} | z | dz/dx | dz/dy |\n|---|---|---|---|")
        for name in rows():
            cells = [f"{error:.2f}" for error in worst_compiled(name, count, arguments[1])]
            print("| " + " | ".join([name, *cells, *[""] * (3 - len(cells))]) + " |", flush=True)
        return
    print("| operation | z | dz/dx | dz/dy | second derivatives |\n|---|---|---|---|---|")
    for name in rows():
        cells = [f"{error:.2f}" for error in worst(name, count)]
        cells += [""] * (3 - len(cells)) + [f"{worst_second(name, count):.1e}"]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)
    print(
        "\nerrors in ulp of the exact result, of second derivatives relative to it; silu', gelu',"
    )
    print("logaddexp and the second derivatives of silu, gelu and pow pass through 0, where terms")
    print("cancel: of the last four, the error is relative to the terms")
    hardest = {name: errors(name, reference.HARDEST) for name in ("sin", "cos", "tan")}
    shown = ", ".join(f"{name} {z:.1f}, {name}' {dz:.1f}" for name, (z, dz) in hardest.items())
    print(f"at {reference.HARDEST:.4g}, next to a zero of cos, this libm gives {shown}")
