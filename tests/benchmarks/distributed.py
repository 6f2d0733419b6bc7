"""Past one machine: where one process is faster, what workers gain, and what will limit many."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nn import MLP, mse
from nn.distributed import CHUNKS, Rows, connect

MODEL = MLP([8, 16, 1], "tanh", seed=0)
SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000]
WORKERS = [1, 2, 10, 100, 1000]


def error(x: Any, y: Any) -> Any:
    """The squared error of one row."""
    return mse([MODEL(x)], [[y]])


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """The median of so many runs after one that does not count."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


@dataclass
class Costs:
    """Seconds of a step's parts: of a row, of a task, of a step without either, of a byte."""

    row: float
    task: float
    step: float
    byte: float

    def parts(self, rows: int, parameters: int, workers: int) -> dict[str, float]:
        """Seconds of computing, of giving out tasks and of the gradients' bytes.

        Every chunk's gradient comes to the driver and the numbers go to every worker.
        """
        chunks = max(CHUNKS, workers)
        busiest = -(-chunks // workers) / chunks
        return {
            "computing": rows * self.row * busiest,
            "tasks": self.step + chunks * self.task,
            "bytes": 8 * parameters * (chunks + workers) * self.byte,
        }


def _costs(client: Any, paths: list[Path], row: float) -> Costs:
    few, many = 32, 256
    rows = Rows(error, paths, MODEL.parameters(), client=client, chunk=1)
    short, long = (seconds(lambda n=n: rows.backward(0, n), 5) for n in (few, many))
    task = (long - short) / (many - few)
    length = 1 << 20

    def fetch() -> None:
        client.gather([client.submit(np.ones, length, pure=False) for _ in range(8)])

    return Costs(row, task, max(0.0, short - few * task), seconds(fetch) / (8 * 8 * length))


def main(arguments: list[str]) -> None:
    """Print what was measured, and what it comes to for more workers than there are here."""
    parser = argparse.ArgumentParser(prog="distributed", description=__doc__)
    parser.add_argument("--rows", type=int, default=SIZES[-1], help="of the largest file")
    parser.add_argument("--network", type=float, default=125e6, help="bytes a second beyond 2")
    given = parser.parse_args(arguments)
    sizes = [*(n for n in SIZES if n < given.rows), given.rows]
    count, parameters = sizes[-1], len(MODEL.parameters())
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "x.npy", Path(folder) / "y.npy"]
        x = np.random.default_rng(0).normal(size=(count, 8))
        np.save(paths[0], x)
        np.save(paths[1], np.tanh(x[:, 0] - x[:, 1]))
        here = Rows(error, paths, MODEL.parameters())
        serial = {n: seconds(lambda n=n: here.backward(0, n)) for n in sizes}
        loss, slope = here.backward(), here.flat.gradients.tobytes()
        measured: dict[int, dict[int, float]] = {}
        costs: dict[int, Costs] = {}
        for workers in (1, 2):
            start = time.perf_counter()
            with connect(workers=workers) as client:
                there = Rows(error, paths, MODEL.parameters(), client=client)
                there.backward(0, sizes[0])
                starting = time.perf_counter() - start
                measured[workers] = {n: seconds(lambda n=n: there.backward(0, n)) for n in sizes}
                same = (there.backward(), there.flat.gradients.tobytes()) == (loss, slope)
                costs[workers] = _costs(client, paths, serial[count] / count)
            print(
                f"{workers} worker{'s' * (workers > 1)}: {starting:.1f} s to start and compile, "
                f"bits {'as' if same else 'NOT as'} in one process"
            )
    print(f"\nmean gradient of {parameters} parameters, seconds a step (median of 3)\n")
    print(f"{'rows':>10} {'one process':>12} {'1 worker':>10} {'2 workers':>10} {'gain of 2':>10}")
    for n in sizes:
        one, two = measured[1][n], measured[2][n]
        print(f"{n:10,} {serial[n]:12.4f} {one:10.4f} {two:10.4f} {serial[n] / two:9.2f}x")
    slower = [n for n in sizes if measured[2][n] >= serial[n]]
    if not slower:
        print(f"2 workers are faster from {serial[sizes[0]]:.3f} s of work a step, or less")
    elif slower[-1] == count:
        print(f"one process is faster up to {serial[count]:.2f} s of work a step, or more")
    else:
        above = sizes[sizes.index(slower[-1]) + 1]
        print(
            f"one process is faster below {serial[slower[-1]]:.3f} to {serial[above]:.3f} s "
            "of work a step, with the cluster running already"
        )
    _reckon(costs, measured, count, parameters, given.network)


def _reckon(
    costs: dict[int, Costs],
    measured: dict[int, dict[int, float]],
    count: int,
    parameters: int,
    network: float,
) -> None:
    for workers, cost in costs.items():
        print(
            f"\n{workers} worker{'s' * (workers > 1)}: {cost.row * 1e9:.0f} ns a row, "
            f"{cost.task * 1e3:.2f} ms a task, {cost.step * 1e3:.0f} ms a step, "
            f"{1e-6 / cost.byte:.0f} MB/s",
            end="",
        )
    print(f"\n\nreckoned from these; beyond 2 workers with {network / 1e6:.0f} MB/s\n")
    print(
        f"{'rows':>14} {'parameters':>10} {'workers':>8} {'computing':>10} {'tasks':>8} "
        f"{'bytes':>8} {'step':>8} {'gain':>6}  limit, or what was measured"
    )
    for rows, size in ((count, parameters), (10**9, parameters), (10**9, 100_000)):
        for workers in WORKERS:
            cost = costs[min(workers, 2)]
            byte = cost.byte if workers <= 2 else 1.0 / network
            # A row's work grows with the parameters: each is used about once.
            cost = Costs(cost.row * size / parameters, cost.task, cost.step, byte)
            parts = cost.parts(rows, size, workers)
            total = sum(parts.values())
            note = max(parts, key=lambda name: parts[name])
            if rows == count and workers in measured:
                seen = measured[workers][count]
                note = f"measured {seen:.3f}, {seen / total:.2f} of it"
            print(
                f"{rows:14,} {size:10,} {workers:8,} {parts['computing']:10.3f} "
                f"{parts['tasks']:8.3f} {parts['bytes']:8.3f} {total:8.3f} "
                f"{rows * cost.row / total:5.1f}x  {note}"
            )
