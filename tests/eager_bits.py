"""Every bit of random graphs, for engines that must agree; run as a script, it prints a digest."""

import hashlib
import json
import math
import pickle
import random
import struct
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from autograd import Value, grad, native, no_grad, rows, scope, topological
from autograd.operation import Operation

# Ends, kinks, subnormal numbers, and one whole number.
SPECIAL = [
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3, 1e-8, 1e-320, 1e300, -1e300, 700.0, -745.0, 710.0),
    *(math.inf, -math.inf, math.nan),
]


def bits(number: float) -> bytes:
    """The bytes of a number; every nan is the same."""
    return b"nan" if number != number else struct.pack("d", number)


def graph(seed: int) -> Value:
    """The root of a random graph over all rows; every third graph has wild numbers."""
    rng, table = random.Random(seed), rows()
    names = sorted(table)

    def number() -> float:
        wild = seed % 3 == 0 and rng.random() < 0.5
        return rng.choice(SPECIAL) if wild else rng.gauss(0.0, 2.0)

    line: list[Any] = [Value(number()) for _ in range(5)]
    for _ in range(40):
        op: Operation = table[rng.choice(names)]
        x = rng.choice(line[-12:])
        if op.arity == 1:
            line.append(op(x))
            continue
        y = rng.choice(line) if rng.random() < 0.7 else number()
        line.append(op(y, x) if rng.random() < 0.3 else op(x, y))
    root: Value = line[-1] + line[-2] * line[-3] - line[-4]
    return root


def numbers(seed: int) -> Iterator[float]:
    """Every number of a graph after two passes, and its gradient by `grad`."""
    with scope("part") if seed % 2 else no_grad() if seed % 10 == 4 else scope("other"):
        root = graph(seed)
    root.backward(random.Random(seed).choice([1.0, -2.5]))
    root.backward()
    order = topological(root)
    for node in order:
        yield from (node.data, node.grad)
    leaves = [node for node in order if node.is_leaf]
    yield from grad(root, leaves)


def digest(graphs: int) -> str:
    """The digest of all bits of some random graphs."""
    total = hashlib.sha256()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(graphs):
            total.update(b"".join(map(bits, numbers(seed))))
    return total.hexdigest()


def main(graphs: int, pickled: bytes) -> None:
    """Print which engine this is, its digest, and a Value that was pickled elsewhere, as JSON."""
    value = pickle.loads(pickled)
    again = pickle.dumps(Value(value.data + 1.0, value.label)).hex()
    seen = {"engine": native.engine, "reason": native.reason, "digest": digest(graphs)}
    print(json.dumps({**seen, "grad": value.grad, "pickled": again}))


if __name__ == "__main__":
    main(int(sys.argv[1]), bytes.fromhex(sys.argv[2]))
