"""Time and memory of eager graphs, beside micrograd in the same run."""

import gc
import importlib
import itertools
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from autograd import Value, quiet_gc, topological


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


def in_a_process_of_its_own(module: str) -> float:
    """Mean seconds of 20 steps in a new process: one engine's garbage is not the other's cost."""
    script = (
        f"import time; from {module} import Value; from tests.benchmarks.speed import mlp_step\n"
        "step = mlp_step(Value); step(); start = time.perf_counter()\n"
        "for _ in range(20): step()\n"
        "print((time.perf_counter() - start) / 20)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(run.stdout)


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
    nodes = len(topological(mlp_step(Value)()))
    print(f"MLP 2-16-16-1, 32 samples, {nodes:,} nodes, forward + order + backward, gc on:\n")
    print("| engine | ms per step | times ours |\n|---|---|---|")
    ours = in_a_process_of_its_own("autograd")
    print(f"| chainrule | {ours * 1e3:.1f} | 1 |")
    if micrograd:
        theirs = in_a_process_of_its_own("micrograd.engine")
        print(f"| micrograd 0.1.0 | {theirs * 1e3:.1f} | {theirs / ours:.1f} |")
    print("\n| operation (and one addition) | chainrule ns | micrograd ns |\n|---|---|---|")
    for text, operation in OPERATIONS.items():
        cell = ""
        if micrograd:
            try:
                cell = f"{per_operation(micrograd, operation):.0f}"
            except AttributeError:
                cell = "missing"
        print(f"| `{text}` | {per_operation(Value, operation):.0f} | {cell} |")
    print("\nchains, with the garbage collector on, and inside quiet_gc():\n")
    print("| nodes | build s | backward s | free s | ns per node | ns per node, quiet |")
    print("|---|---|---|---|---|---|")
    for exponent in range(3, 8 if "long" in arguments else 7):
        parts = chain(10**exponent)
        with quiet_gc():
            quiet = sum(chain(10**exponent)) / 10**exponent * 1e9
        cells = [f"{seconds:.3g}" for seconds in parts]
        cells += [f"{sum(parts) / 10**exponent * 1e9:.0f}", f"{quiet:.0f}"]
        print(f"| 1e{exponent} | {' | '.join(cells)} |")
    print(f"\nmemory: {bytes_per_node():.0f} bytes per node, including its number\n")


if __name__ == "__main__":
    main(sys.argv[1:])
