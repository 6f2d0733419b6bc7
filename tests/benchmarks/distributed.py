"""From where on a cluster is faster than one process, and what limits it with many workers.

A step is reckoned by playing it through: a driver that deals out tasks and sums results one after
the other, and workers that compute meanwhile.  What that takes is measured here: a row with one
process at work and with two, dask's processor time for a task, and the rate at which gradients come
in.  At 1 and 2 workers the answer is compared with measured steps; for 10 to 1,000 the network's
rate is assumed.
"""

import argparse
import functools
import heapq
import itertools
import math
import os
import statistics
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
NETWORK = 1.25e9  # bytes a second: 10 Gbit/s, at the driver and at each worker
WORKERS = [10, 100, 1000]
MANY = 100_000_000  # rows of the steps that are reckoned for them
TASKS, REST = 32, 0.02  # tasks that only sleep, about as long as a chunk takes
LARGE = 250_000  # numbers in a gradient whose way to the driver is timed
CHECKED = 0.05  # seconds: shorter steps are mostly latency


def shortest(works: list[Callable[[], Any]], repeats: int) -> tuple[list[float], float]:
    """The shortest run of each, after one that warms up, and the usual run as a multiple of it.

    They take turns, so that all meet the same neighbours on a machine that is not idle.  A work
    may return the seconds that count.
    """
    runs: list[list[float]] = [[] for _ in works]
    for k in range(repeats + 1):
        for times, work in zip(runs, works, strict=True):
            start = time.perf_counter()
            found = work()
            if k:
                times.append(time.perf_counter() - start if found is None else found)
    usual = statistics.median(statistics.median(times) / min(times) for times in runs)
    return [min(times) for times in runs], usual


def _file(folder: str, rows: int) -> Path:
    path = Path(folder) / "rows.npy"
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(rows, SIZES[0] + 1))
    rng = np.random.default_rng(0)
    for start in range(0, rows, 100_000):
        made[start : start + 100_000] = rng.normal(size=(min(100_000, rows - start), SIZES[0] + 1))
    made.flush()
    return path


# ---------------------------------------------------------------------- what workers are asked


def _gradient(size: int) -> Any:
    return np.zeros(size)


def _rest(size: int) -> Any:
    time.sleep(REST)
    return np.zeros(size)


def _timed(job: Any, numbers: Any, rows: int) -> float:
    # Processor time: that of others who use the machine does not count, but sharing a core does.
    start = time.thread_time()
    job.run(0, rows, numbers)
    return (time.thread_time() - start) / rows


def _row(rows: Rows, client: Any, count: int) -> float:
    """Seconds for a row while each of the client's workers computes."""
    numbers = rows.flat.numbers.copy()
    futures = [
        client.submit(_timed, rows._job, numbers, count, workers=[one], pure=False)
        for one in client.scheduler_info()["workers"]
    ]
    found: list[float] = client.gather(futures)
    return max(found)


def _empty(client: Any, tasks: int, size: int) -> None:
    for _ in completed(client, _gradient, [[size] * tasks]):
        pass


def _processor(client: Any, size: int, where: str) -> float:
    """Processor seconds for each of the tasks that only sleep, of the driver or of the workers."""

    def spent() -> float:
        if where == "driver":
            return time.process_time()  # the scheduler of workers of one's own is in this process
        return float(sum(client.run(time.process_time).values()))

    before = spent()
    for _ in completed(client, _rest, [[size] * TASKS]):
        pass
    return (spent() - before) / TASKS


# ---------------------------------------------------------------------- what is reckoned


@dataclass
class Costs:
    """Seconds that a step is made of.

    Attributes:
        row: of a worker, for one row.
        step: for one task that computes nothing, there and back.
        driver: processor time of driver and scheduler for each task.
        worker: processor time of the worker for each task, apart from the rows.
        byte: for each byte of a gradient that the driver takes in.
        network: for each byte from one machine to another.
    """

    row: float
    step: float
    driver: float
    worker: float
    byte: float
    network: float = 0.0


def played(chunks: int, workers: int, work: float, send: float, receive: float) -> float:
    """Seconds until the driver, which does one thing after the other, has all results.

    Like dask's scheduler it gives each worker a task and one in reserve, and another for each
    result.
    """
    now, given = 0.0, 0
    free = [0.0] * workers
    results: list[tuple[float, int]] = []
    for worker in [*range(workers)] * 2:
        if given < chunks:
            now += send
            given += 1
            free[worker] = max(now, free[worker]) + work
            heapq.heappush(results, (free[worker], worker))
    while results:
        done, worker = heapq.heappop(results)
        now = max(now, done) + receive
        if given < chunks:
            now += send
            given += 1
            free[worker] = max(now, free[worker]) + work
            heapq.heappush(results, (free[worker], worker))
    return now


def reckoned(
    rows: float, parameters: int, workers: int, chunks: int, cost: Costs, cores: int | None = None
) -> tuple[float, dict[str, float]]:
    """Seconds of a step, and those of its parts, which overlap.

    With `cores`, workers and driver share that many; without, each has a machine of its own, and
    one worker passes the parameters' numbers on to all the others.
    """
    gradient = 8 * parameters
    work = rows / chunks * cost.row + cost.worker
    receive = cost.driver / 2 + gradient * max(cost.byte, cost.network)
    numbers = gradient * workers * cost.network
    parts = {
        "compute": math.ceil(chunks / workers) * work,
        "tasks": chunks * cost.driver,
        "bytes": numbers + chunks * gradient * max(cost.byte, cost.network),
    }
    step = numbers + played(chunks, workers, work, cost.driver / 2, receive)
    if cores is not None:
        everything = chunks * (work + cost.driver / 2 + receive)
        step = max(step, everything / min(cores, workers + 1))
    return cost.step + step, parts


# ---------------------------------------------------------------------- the tables


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="distributed", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS[-1], help="at most (1,000,000)")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each (7)")
    given = parser.parse_args(arguments)
    counts = [n for n in ROWS if n <= given.rows]
    model = MLP(SIZES, "tanh", seed=0)
    parameters = model.parameters()
    size = len(parameters)

    def loss(row: Any) -> Any:
        return (model(row[:-1])[0] - row[-1]) ** 2

    with tempfile.TemporaryDirectory() as folder:
        path = _file(folder, counts[-1])
        with connect(workers=1) as one, connect(workers=2) as two:
            clients = {1: one, 2: two}
            ways = {
                workers: Rows(loss, path, parameters, client=client)
                for workers, client in {0: None, **clients}.items()
            }
            pieces = {n: len(ways[0]._pieces(0, n)) for n in counts}
            works: dict[Any, Callable[[], Any]] = {}
            for n, workers in itertools.product(counts, ways):
                works[n, workers] = functools.partial(_step, ways[workers], n)
            for k, client in clients.items():
                works["row", k] = functools.partial(_row, ways[k], client, min(counts[-1], 65_536))
                works["step", k] = functools.partial(_empty, client, 1, 1)
                works["few", k] = functools.partial(_empty, client, TASKS, 1)
                works["large", k] = functools.partial(_empty, client, TASKS, LARGE)
                for where in ("driver", "worker"):
                    works[where, k] = functools.partial(_processor, client, size, where)
            found, usual = shortest([*works.values()], given.repeats)
            bits = {(way.backward(), way.flat.gradients.tobytes()) for way in ways.values()}
            assert len(bits) == 1
    least = dict(zip(works, found, strict=True))
    crowd = least["row", 2] / least["row", 1]  # what shares a core's caches and clock takes longer
    costs = {
        k: Costs(
            least["row", k],
            least["step", k],
            least["driver", k] * (crowd if k == 2 else 1.0),
            least["worker", k] * (crowd if k == 2 else 1.0),
            max(least["large", k] - least["few", k], 0.0) / (TASKS * 8 * LARGE),
        )
        for k in clients
    }

    print(
        f"Mean gradient of an MLP {SIZES} with {size} parameters over a memory-mapped file; all "
        f"answers have the same bits.  Each time is the shortest of {given.repeats}; the usual run "
        f"took {usual:.2f} times as long:\n"
    )
    print("| rows | one process s | 1 worker s | 2 workers s | 2 workers are |")
    print("|---|---|---|---|---|")
    for n in counts:
        alone, single, pair = (least[n, workers] for workers in ways)
        times = alone / pair
        word = f"{times:.2f} times as fast" if times >= 1 else f"{1 / times:.1f} times slower"
        print(f"| {n:,} | {alone:.3f} | {single:.3f} | {pair:.3f} | {word} |")
    single, pair = ({n: least[n, workers] for n in counts} for workers in (0, 2))
    print(f"\nOne process is faster below about {_crossing(counts, single, pair)}.")

    cores = os.cpu_count() or 1
    print(
        f"\nA row takes {costs[1].row * 1e6:.2f} microseconds in one worker and "
        f"{costs[2].row * 1e6:.2f} in each of two at once, a task "
        f"{costs[1].driver * 1e3:.1f} ms of the driver's processor time and "
        f"{costs[1].worker * 1e3:.1f} ms of the worker's, a step of one empty task "
        f"{costs[2].step * 1e3:.0f} ms, and gradients come in at {1e-6 / costs[2].byte:,.0f} MB/s. "
        f"Reckoned from that, with driver and workers on the same {cores} cores:\n"
    )
    print("| rows | workers | chunks | reckoned s | measured s | difference |")
    print("|---|---|---|---|---|---|")
    worst = 0.0
    for n, k in itertools.product(counts, clients):
        seconds, _ = reckoned(n, size, k, pieces[n], costs[k], cores)
        apart = seconds / least[n, k] - 1.0
        if least[n, k] >= CHECKED:
            worst = max(worst, abs(apart))
            print(
                f"| {n:,} | {k} | {pieces[n]} | {seconds:.3f} | {least[n, k]:.3f} | {apart:+.0%} |"
            )
    print(f"\nSteps of {CHECKED * 1e3:.0f} ms and more are reckoned to within {worst:.0%}.")

    print(
        f"\nReckoned for a step over {MANY:,} rows on many machines, 4 chunks for a worker, a row "
        f"taking as much longer as there are more parameters, bytes at {1e-6 * NETWORK:,.0f} MB/s "
        "between machines; the parts overlap:\n"
    )
    print("| parameters | workers | compute s | tasks s | bytes s | step s | speed-up | limit |")
    print("|---|---|---|---|---|---|---|---|")
    for count, workers in itertools.product((size, 10_000, 1_000_000), WORKERS):
        each = costs[1].row * count / size
        cost = Costs(
            each, costs[1].step, costs[1].driver, costs[1].worker, costs[1].byte, 1 / NETWORK
        )
        seconds, parts = reckoned(MANY, count, workers, 4 * workers, cost)
        cells = " | ".join(_short(x) for x in [*parts.values(), seconds])
        limit = max(parts, key=lambda what: parts[what])
        print(f"| {count:,} | {workers:,} | {cells} | {MANY * each / seconds:,.3g} | {limit} |")


def _step(rows: Rows, count: int) -> None:
    rows.backward(0, count)


def _short(number: float) -> str:
    return f"{number:,.2g}" if number < 100 else f"{number:,.0f}"


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
