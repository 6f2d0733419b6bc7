"""The largest error of each operation's value and local derivatives, in units in the last place."""

import math
import random
import zlib

from autograd import rows
from tests import reference


def worst(name: str, count: int) -> list[float]:
    """The largest error of z, dz/dx (and dz/dy) over `count` points, in ulp of the exact result."""
    op = rows()[name]
    found = [0.0] * (1 + op.arity)
    for operands in reference.points(op, count, random.Random(zlib.crc32(name.encode()))):
        x, y = (*operands, None)[:2]
        z = op.value(*operands)
        if not math.isfinite(z):
            continue
        errors = [reference.ulps(z, reference.value(op, *operands))]
        for k, dz in enumerate([op.dx, getattr(op, "dy", None)][: op.arity]):
            assert dz is not None
            exact = reference.partial(op, k, *operands)
            finite = math.isfinite(float(exact))
            errors.append(reference.ulps(float(dz(x, y, z)), exact) if finite else 0.0)
        found = [max(pair) for pair in zip(found, errors, strict=True)]
    return found


def main(arguments: list[str]) -> None:
    """Print the table; the first argument is the number of points per operation (200)."""
    count = int(arguments[0]) if arguments else 200
    print("| operation | z | dz/dx | dz/dy |\n|---|---|---|---|")
    for name in rows():
        cells = [f"{error:.2f}" for error in worst(name, count)]
        print("| " + " | ".join([name, *cells, *[""] * (3 - len(cells))]) + " |", flush=True)
    print("\nerrors in ulp of the exact result; silu' and gelu' pass through 0, where terms cancel")
