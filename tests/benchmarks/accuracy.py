"""The largest error of each operation's value and local derivatives, in units in the last place."""

import itertools
import math
import random
import zlib
from collections.abc import Iterable

from autograd import rows
from tests import reference


def worst(name: str, count: int, more: Iterable[tuple[float, ...]] = ()) -> list[float]:
    """The largest error of z, dz/dx (and dz/dy), in ulp of the exact result.

    Over `count` random points, the ends of what a double can be, and `more`.
    """
    op = rows()[name]
    rng = random.Random(zlib.crc32(name.encode()))
    found = [0.0] * (1 + op.arity)
    for operands in itertools.chain(reference.points(op, count, rng), reference.edges(op), more):
        found = [max(pair) for pair in zip(found, errors(name, *operands), strict=True)]
    return found


def errors(name: str, *operands: float) -> list[float]:
    """The errors at one point; 0 where the exact result is beyond the doubles."""
    op = rows()[name]
    x, y = (*operands, None)[:2]
    z = op.value(*operands)
    if not math.isfinite(z):
        return [0.0] * (1 + op.arity)
    found = [reference.ulps(z, reference.value(op, *operands))]
    for k, dz in enumerate([op.dx, getattr(op, "dy", None)][: op.arity]):
        assert dz is not None
        exact = reference.partial(op, k, *operands)
        inside = abs(exact) < reference.LARGEST
        found.append(reference.ulps(float(dz(x, y, z)), exact) if inside else 0.0)
    return found


def main(arguments: list[str]) -> None:
    """Print the table; the first argument is the number of points per operation (200)."""
    count = int(arguments[0]) if arguments else 200
    print("| operation | z | dz/dx | dz/dy |\n|---|---|---|---|")
    for name in rows():
        cells = [f"{error:.2f}" for error in worst(name, count)]
        print("| " + " | ".join([name, *cells, *[""] * (3 - len(cells))]) + " |", flush=True)
    print("\nerrors in ulp of the exact result; silu' and gelu' pass through 0, where terms cancel")
    hardest = {name: errors(name, reference.HARDEST) for name in ("sin", "cos", "tan")}
    shown = ", ".join(f"{name} {z:.1f}, {name}' {dz:.1f}" for name, (z, dz) in hardest.items())
    print(f"at {reference.HARDEST:.4g}, next to a zero of cos, this libm gives {shown}")
