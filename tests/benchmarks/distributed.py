"""From where on a cluster is faster than one process, and what limits it with many workers.

What is reckoned for 10 to 1,000 workers uses numbers measured here: the time of a row, of a task
and of a step of dask's, and the rate at which gradients come in; the network's rate is assumed.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nn import MLP
from nn.distributed import Rows, completed, connect

SIZES = [8, 32, 16, 1]
ROWS = [2_000, 10_000, 50_000, 200_000, 1_000_000]
NETWORK = 1.25e9  # bytes a second: 10 Gbit/s, at the driver
WORKERS = [10, 100, 1000]


def seconds(*works: Callable[[], Any], repeats: int = 5) -> list[float]:
    """The shortest run of each, after one that warms up; they take turns, so that all meet the
    same neighbours on a machine that is not idle.
    """
    shortest = [math.inf] * len(works)
    for k in range(repeats + 1):
        for i, work in enumerate(works):
            start = time.perf_counter()
            work()
            if k:
                shortest[i] = min(shortest[i], time.perf_counter() - start)
    return shortest


def _file(folder: str, rows: int) -> Path:
    path = Path(folder) / "rows.npy"
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(rows, SIZES[0] + 1))
    rng = np.random.default_rng(0)
    for start in range(0, rows, 100_000):
        made[start : start + 100_000] = rng.normal(size=(min(100_000, rows - start), SIZES[0] + 1))
    made.flush()
    return path


def _gradient(size: int) -> Any:
    return np.zeros(size)


@dataclass
class Costs:
    """Seconds that a cluster spends, apart from arithmetic.

    Attributes:
        step: for one task, there and back.
        task: for each further one.
        byte: for each byte of a gradient that comes in.
    """

    step: float
    task: float
    byte: float


def costs(client: Any) -> Costs:
    """Measured with tasks that compute nothing."""

    def work(tasks: int, size: int) -> float:
        return seconds(lambda: [*completed(client, _gradient, [[size] * tasks])])[0]

    step, many = work(1, 1), work(64, 1)
    size = 250_000
    large = work(64, size)
    return Costs(step, (many - step) / 63, max(large - many, 0.0) / (64 * 8 * size))


def reckoned(
    rows: float, row: float, parameters: float, workers: int, chunks: int, cost: Costs
) -> dict[str, float]:
    """Seconds of a step by what they are spent on, as if one came after the other."""
    rounds = math.ceil(chunks / workers)
    return {
        "arithmetic": rows / chunks * rounds * row,
        "tasks": cost.step + (chunks - 1) * cost.task,
        "gradients": 8 * parameters * (chunks + workers) * cost.byte,
    }


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="distributed", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS[-1], help="at most (1,000,000)")
    given = parser.parse_args(arguments)
    counts = [n for n in ROWS if n <= given.rows]
    model = MLP(SIZES, "tanh", seed=0)
    parameters = model.parameters()

    def loss(row: Any) -> Any:
        return (model(row[:-1])[0] - row[-1]) ** 2

    with tempfile.TemporaryDirectory() as folder:
        path = _file(folder, counts[-1])
        with connect(workers=1) as one, connect(workers=2) as two:
            ways = [Rows(loss, path, parameters, client=client) for client in (None, one, two)]
            pieces = {n: len(ways[0]._pieces(0, n)) for n in counts}
            alone: dict[int, float] = {}
            there: dict[int, dict[int, float]] = {1: {}, 2: {}}
            for n in counts:
                alone[n], there[1][n], there[2][n] = seconds(
                    *(lambda way=way, n=n: way.backward(0, n) for way in ways)
                )
            bits = {(way.backward(), way.flat.gradients.tobytes()) for way in ways}
            assert len(bits) == 1
            cost = {1: costs(one), 2: costs(two)}

    row = alone[counts[-1]] / counts[-1]
    print(
        f"Mean gradient of an MLP {SIZES} with {len(parameters)} parameters, {row * 1e6:.2f} "
        "microseconds a row, over a memory-mapped file; all answers have the same bits:\n"
    )
    print("| rows | one process s | 1 worker s | 2 workers s | 2 workers are |")
    print("|---|---|---|---|---|")
    for n in counts:
        times = alone[n] / there[2][n]
        word = f"{times:.2f} times as fast" if times >= 1 else f"{1 / times:.1f} times slower"
        print(f"| {n:,} | {alone[n]:.3f} | {there[1][n]:.3f} | {there[2][n]:.3f} | {word} |")
    print(f"\nOne process is faster below about {_crossing(counts, alone, there[2])}.")

    print(
        f"\nWith 2 workers a step of one task takes {cost[2].step * 1e3:.0f} ms, each further task "
        f"{cost[2].task * 1e3:.1f} ms, and gradients come in at {1e-6 / cost[2].byte:,.0f} MB/s. "
        "Reckoned from that, as a check:\n"
    )
    print("| rows | workers | chunks | reckoned s | measured s |\n|---|---|---|---|---|")
    for n in counts[-3:]:
        for workers in (1, 2):
            found = reckoned(n, row, len(parameters), workers, pieces[n], cost[workers])
            print(
                f"| {n:,} | {workers} | {pieces[n]} | {sum(found.values()):.2f} | "
                f"{there[workers][n]:.2f} |"
            )

    network = Costs(cost[2].step, cost[2].task, max(cost[2].byte, 1 / NETWORK))
    print(
        "\nReckoned for more, a step over all rows, 4 chunks for a worker, all gradients summed by "
        f"one driver at {1e-6 / network.byte:,.0f} MB/s; a row takes as much longer as there are "
        "more parameters:\n"
    )
    print(
        "| rows | parameters | workers | arithmetic s | tasks s | gradients s | speed-up | limit |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for size in (1e7, 1e9):
        for count in (len(parameters), 10_000, 1_000_000):
            each = row * count / len(parameters)
            for workers in WORKERS:
                found = reckoned(size, each, count, workers, 4 * workers, network)
                limit = max(found, key=lambda what: found[what])
                cells = " | ".join(f"{x:,.2g}" if x < 100 else f"{x:,.0f}" for x in found.values())
                times = size * each / sum(found.values())
                print(
                    f"| {size:.0e} | {count:,} | {workers:,} | {cells} | {times:,.3g} | {limit} |"
                )


def _crossing(counts: list[int], alone: dict[int, float], there: dict[int, float]) -> str:
    """How much work both do in the same time, between the two counts where the faster changes."""
    behind = [n for n in counts if alone[n] < there[n]]
    if not behind:
        return f"{alone[counts[0]]:.2g} s of work, or less"
    k = counts.index(behind[-1])
    if k + 1 == len(counts):
        return f"{alone[counts[-1]]:.2g} s of work, or more"
    low, high = (math.log(alone[n] / there[n]) for n in counts[k : k + 2])
    share = low / (low - high)
    work = math.exp(
        (1 - share) * math.log(alone[counts[k]]) + share * math.log(alone[counts[k + 1]])
    )
    return f"{work:.2g} s of work"
