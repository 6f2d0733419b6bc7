"""Memory: a chain of ten million nodes, and a hundred epochs of training."""

import argparse
import gc
import resource
import sys
import time
import tracemalloc

from autograd import Value, quiet_gc
from nn import MLP, fit, mse
from nn.data import load_moons
from nn.optim import Adam
from nn.training import finished


def resident() -> int:
    """Bytes of memory that the process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def chain(length: int) -> tuple[float, int, int]:
    """Seconds to build, differentiate and free a chain; bytes at its height, and left behind."""
    gc.collect()
    before, start = resident(), time.perf_counter()
    with quiet_gc():
        first = last = Value(1.0)
        for _ in range(length):
            last = last + 1e-9
        last.backward()
        assert first.grad == 1.0
        height = resident() - before
        del last
    return time.perf_counter() - start, height, resident() - before


def training(epochs: int) -> tuple[int, int]:
    """Bytes that Python holds after a tenth of the epochs, and after all of them."""
    data = load_moons(60)
    model = MLP([2, 8, 1], "tanh", seed=0)
    optimizer = Adam(model, lr=0.01)
    held = []
    tracemalloc.start()
    for epoch in range(1, epochs + 1):
        finished(fit(
            model, data, loss=lambda made, targets: mse([y for (y,) in made], targets),
            optimizer=optimizer, epochs=1, batch_size=10, progress=False,
        ))  # fmt: skip
        if epoch in (epochs // 10, epochs):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return held[0], held[1]


def main(arguments: list[str]) -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(prog="memory", description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000_000)
    parser.add_argument("--epochs", type=int, default=100)
    given = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        parser.error("reads /proc, which only Linux has")
    early, late = training(given.epochs)
    print(
        f"training: {early:,} bytes held after {given.epochs // 10} epochs, "
        f"{late:,} after {given.epochs}"
    )
    seconds, height, left = chain(given.nodes)
    print(
        f"a chain of {given.nodes:,} nodes: {seconds:.1f} s, {height / given.nodes:.0f} bytes a "
        f"node with its place in the order, {left / given.nodes:.1f} left when it was dropped"
    )
