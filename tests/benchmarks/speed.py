"""Time and memory of eager graphs, beside micrograd in the same run."""

import gc
import importlib
import itertools
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from autograd import Value, topological


def best(work: Callable[[], Any], repeats: int = 5) -> float:
    """The shortest of some runs, in seconds, with the collector on as a user has it."""
    shortest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def mlp_step(make: Any) -> Callable[[], Any]:
    """One training step's gradient: MLP 2-16-16-1 with relu, squared error, 32 samples."""
    rng = random.Random(0)
    sizes = [2, 16, 16, 1]
    layers = [
        [([make(rng.uniform(-1, 1)) for _ in range(n)], make(0.0)) for _ in range(m)]
        for n, m in itertools.pairwise(sizes)
    ]
    samples = [
        ([rng.uniform(-1, 1), rng.uniform(-1, 1)], rng.choice([-1.0, 1.0])) for _ in range(32)
    ]

    def step() -> Any:
        loss = make(0.0)
        for x, target in samples:
            out: list[Any] = x
            for k, layer in enumerate(layers):
                sums = [sum((w * v for w, v in zip(ws, out, strict=True)), b) for ws, b in layer]
                out = sums if k == len(layers) - 1 else [s.relu() for s in sums]
            loss = loss + (out[0] - target) ** 2
        loss.backward()
        return loss

    return step


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a * b": lambda a, b: a * b,
    "a - b": lambda a, b: a - b,
    "a / b": lambda a, b: a / b,
    "a ** 3": lambda a, b: a**3,
    "-a": lambda a, b: -a,
    "a.relu()": lambda a, b: a.relu(),
    "a.exp()": lambda a, b: a.exp(),
    "a.tanh()": lambda a, b: a.tanh(),
}


def per_operation(make: Any, operation: Callable[[Any, Any], Any]) -> float:
    """Nanoseconds for one operation and the addition that sums it up, forward and backward."""
    count = 300  # micrograd's recursion ends before 1,000

    def work() -> None:
        a, b = make(1.1), make(0.9)
        total = make(0.0)
        for _ in range(count):
            total = total + operation(a, b)
        total.backward()

    return best(work, 50) / count * 1e9


def chain(length: int) -> tuple[float, float, float]:
    """Seconds to build, differentiate and free a chain."""
    start = time.perf_counter()
    first = last = Value(1.0)
    for _ in range(length):
        last = last + 1e-9
    built = time.perf_counter()
    last.backward()
    done = time.perf_counter()
    assert first.grad == 1.0
    del last
    return built - start, done - built, time.perf_counter() - done


def bytes_per_node(count: int = 100_000) -> float:
    """Memory of a node and its number, by tracemalloc."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    node = Value(1.0)
    for _ in range(count):
        node = node * 1.0000001
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / count


def main(arguments: list[str]) -> None:
    """Print the tables; the argument `long` adds the chain of ten million operations."""
    try:
        micrograd: Any = importlib.import_module("micrograd.engine").Value
    except ImportError:
        micrograd = None
    ours = best(mlp_step(Value), 10)
    nodes = len(topological(mlp_step(Value)()))
    print(f"MLP 2-16-16-1, 32 samples, {nodes:,} nodes, forward + order + backward:\n")
    print("| engine | ms | ns a node | times ours |\n|---|---|---|---|")
    print(f"| chainrule | {ours * 1e3:.1f} | {ours / nodes * 1e9:.0f} | 1 |")
    if micrograd:
        theirs = best(mlp_step(micrograd), 5)
        print(f"| micrograd 0.1.0 | {theirs * 1e3:.1f} | | {theirs / ours:.1f} |")
    print("\n| operation (and one addition) | chainrule ns | micrograd ns |\n|---|---|---|")
    for text, operation in OPERATIONS.items():
        cell = ""
        if micrograd:
            try:
                cell = f"{per_operation(micrograd, operation):.0f}"
            except AttributeError:
                cell = "has none"
        print(f"| `{text}` | {per_operation(Value, operation):.0f} | {cell} |")
    print("\n| chain of | build s | backward s | free s | ns a node |\n|---|---|---|---|---|")
    for exponent in range(3, 8 if "long" in arguments else 7):
        build, backward, free = chain(10**exponent)
        total = (build + backward + free) / 10**exponent * 1e9
        print(f"| 1e{exponent} | {build:.3g} | {backward:.3g} | {free:.3g} | {total:.0f} |")
    print(f"\nmemory: {bytes_per_node():.0f} bytes a node, its number included\n")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
