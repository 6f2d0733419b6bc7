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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autograd.distributed.client import completed, connect
from autograd.distributed.driver import Rows
from autograd.distributed.files import BLOCK
from autograd.distributed.worker import Part
from nn import MLP

SIZES = [8, 32, 16, 1]
ROWS = [2_000, 10_000, 50_000, 200_000, 1_000_000]
NETWORK = 1.25e9  # bytes a second: 10 Gbit/s, at the driver and at each worker
WORKERS = [10, 100, 1000]
MANY = 100_000_000  # rows of the steps that are reckoned for them
TASKS, REST = 64, 0.01  # tasks that only sleep, about as long as a chunk takes
BURST = 256  # tasks that compute nothing, so that the driver always has something to do
LARGE = 250_000  # numbers in a gradient whose way to the driver is timed
SMALL = (50_000, 512)  # rows and chunk of a step that is mostly tasks
CHECKED = 0.05  # seconds: shorter steps are mostly latency
TURN = 0.2  # seconds: what is shorter runs more often in its turn


class Spent(NamedTuple):
    """Seconds by the clock, and processor seconds of driver and scheduler and of the workers."""

    wall: float
    driver: float
    workers: float


def spent(
    works: dict[Any, tuple[Any, Callable[[], Any]]], repeats: int
) -> tuple[dict[Any, Spent], float]:
    """What each work on its client took, and the usual time as a multiple of the shortest.

    They take turns, so that all meet the same neighbours on a machine that is not idle.  Of times
    by the clock, which neighbours lengthen, the shortest counts; of processor times the median.  A
    work may return the seconds that count as those of the clock.
    """
    runs: dict[Any, list[Spent]] = {key: [] for key in works}
    for k in range(repeats + 1):
        for key, (client, work) in works.items():
            first = _spent(client, work)  # the very first is to warm up
            times = min(10, int(TURN / first.wall)) if k else 0
            runs[key] += [first] * bool(k) + [_spent(client, work) for _ in range(times)]
    best = {
        key: Spent(
            min(run.wall for run in found),
            statistics.median(run.driver for run in found),
            statistics.median(run.workers for run in found),
        )
        for key, found in runs.items()
    }
    usual = (statistics.median(r.wall for r in runs[key]) / best[key].wall for key in works)
    return best, statistics.median(usual)


def _spent(client: Any, work: Callable[[], Any]) -> Spent:
    def workers() -> float:
        return float(sum(client.run(time.process_time).values())) if client else 0.0

    theirs, own, start = workers(), time.process_time(), time.perf_counter()
    told = work()
    wall = time.perf_counter() - start
    own = time.process_time() - own  # with the scheduler, which runs in this process
    return Spent(wall if told is None else told, own, workers() - theirs)


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


def _nothing(low: int, high: int, job: Any, numbers: Any) -> Part:
    for file in job.spec.files:
        file.open()
    return Part(0.0, np.zeros(len(numbers)))


def _rest(low: int, high: int, job: Any, numbers: Any) -> Part:
    time.sleep(REST)
    return _nothing(low, high, job, numbers)


def _timed(job: Any, numbers: Any, rows: int) -> float:
    # Processor time: that of others who use the machine does not count, but sharing a core does.
    start = time.thread_time()
    for low in range(0, rows, BLOCK):
        job.run(low, min(low + BLOCK, rows), numbers)
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


def _tasks(rows: Rows, function: Callable[..., Any], tasks: int) -> None:
    """As `Rows` does it, with another function."""
    columns = [range(tasks), range(1, tasks + 1)]
    numbers = rows.flat.numbers.copy()
    for _ in completed(rows.client, function, columns, job=rows._sent, numbers=numbers):
        pass


def _gradients(client: Any, size: int) -> None:
    for _ in completed(client, _gradient, [[size] * TASKS]):
        pass


# ---------------------------------------------------------------------- what is reckoned


@dataclass
class Costs:
    """Seconds that a step is made of.

    Attributes:
        row: of a worker, for one row.
        step: for one task that computes nothing, there and back.
        busy: processor time of driver and scheduler for a task, of many that come at once.
        alone: the same for a task that comes by itself.
        idle: share of a core that they and the workers take when nothing happens.
        worker: processor time of the worker for each task, apart from the rows.
        byte: for each byte of a gradient that the driver takes in.
        network: for each byte from one machine to another.
        start: processor time of everybody for a step of one task that computes nothing.
    """

    row: float
    step: float
    busy: float
    alone: float
    idle: float
    worker: float
    byte: float
    network: float = 0.0
    start: float = 0.0

    @classmethod
    def of(cls, best: dict[Any, Spent], workers: int) -> "Costs":
        """Of a cluster, from what its works took."""
        # What shares a core's caches and clock with others takes longer.
        crowd = max(1.0, best["row", workers].wall / best["row", 1].wall)
        names = ("one", "many", "rest", "idle", "small gradients", "large gradients")
        one, many, rest, none, small, large = (best[what, workers] for what in names)
        idle = none.driver / none.wall
        busy = (many.driver - one.driver) / (BURST - 1)
        alone = (rest.driver - one.driver - idle * rest.wall) / (TASKS - 1)
        return cls(
            best["row", workers].wall,
            one.wall,
            busy * crowd,
            max(busy, alone) * crowd,
            idle + max(none.workers - one.workers, 0.0) / none.wall,
            (many.workers - one.workers) / (BURST - 1) * crowd,
            max(large.wall - small.wall, 0.0) / (TASKS * 8 * LARGE),
            start=one.driver + one.workers,
        )


def played(
    chunks: int, workers: int, work: float, cost: Costs, receive: float
) -> tuple[float, float]:
    """Seconds until the driver has all results, and how many of them it was busy.

    It does one thing after the other.  Like dask's scheduler it gives each worker a task and one in
    reserve, and another for each result.
    """
    now, spent = 0.0, 0.0
    free = [0.0] * workers
    waiting = [*range(workers)] * 2
    left = chunks
    results: list[tuple[float, int]] = []
    while True:
        while waiting and left:
            worker = waiting.pop(0)
            now, spent, left = now + cost.busy / 2, spent + cost.busy / 2, left - 1
            free[worker] = max(now, free[worker]) + work
            heapq.heappush(results, (free[worker], worker))
        if not results:
            return now, spent
        done, worker = heapq.heappop(results)
        waiting = [worker]
        took = receive + cost.busy / 2 + (cost.alone - cost.busy if done > now else 0.0)
        now, spent = max(now, done) + took, spent + took


class Reckoned(NamedTuple):
    """Seconds of a step and of its parts, which overlap, and everybody's processor seconds.

    To the processor's come those in which dask waits for the step to end.
    """

    step: float
    processor: float
    parts: dict[str, float]


def reckoned(
    rows: float, parameters: int, workers: int, chunks: int, cost: Costs, cores: int | None = None
) -> Reckoned:
    """What a step takes.

    With `cores`, workers and driver share that many; without, each has a machine of its own, and
    one worker passes the parameters' numbers on to all the others.
    """
    gradient = 8 * parameters
    work = rows / chunks * cost.row + cost.worker
    receive = gradient * max(cost.byte, cost.network)
    numbers = gradient * workers * cost.network
    step, driver = played(chunks, workers, work, cost, receive)
    if cores is not None:
        # They cannot do more than the cores can, of which dask takes a share even when it waits.
        step = max(step, (chunks * work + driver) / (min(cores, workers + 1) - cost.idle))
    step += cost.step + numbers
    parts = {
        "compute": math.ceil(chunks / workers) * work,
        "tasks": chunks * cost.busy,
        "bytes": numbers + chunks * receive,
    }
    return Reckoned(step, cost.start + chunks * work + driver, parts)


# ---------------------------------------------------------------------- the tables


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="distributed", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS[-1], help="at most (1,000,000)")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each (7)")
    given = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    counts = [n for n in ROWS if n <= given.rows]
    model = MLP(SIZES, "tanh", seed=0)
    parameters = model.parameters()
    size = len(parameters)

    def loss(row: Any) -> Any:
        return (model(row[:-1])[0] - row[-1]) ** 2

    with tempfile.TemporaryDirectory() as folder:
        path = _file(folder, max(counts[-1], SMALL[0]))
        with connect(workers=1) as one, connect(workers=2) as two:
            clients = {0: None, 1: one, 2: two}
            works: dict[Any, tuple[Any, Callable[[], Any]]] = {}
            ways = {k: Rows(loss, path, parameters, client=clients[k]) for k in clients}
            small = {
                k: Rows(loss, path, parameters, client=clients[k], chunk=SMALL[1]) for k in (1, 2)
            }
            for n, k in itertools.product(counts, clients):
                works[n, k] = clients[k], functools.partial(_step, ways[k], n)
            for k, client in [*clients.items()][1:]:
                works["small", k] = client, functools.partial(_step, small[k], SMALL[0])
                works["idle", k] = client, functools.partial(time.sleep, 2 * TURN)
                works["row", k] = client, functools.partial(_row, ways[k], client, 65_536)
                works["small gradients", k] = client, functools.partial(_gradients, client, 1)
                works["large gradients", k] = client, functools.partial(_gradients, client, LARGE)
                for what, function, tasks in (
                    ("one", _nothing, 1),
                    ("many", _nothing, BURST),
                    ("rest", _rest, TASKS),
                ):
                    works[what, k] = client, functools.partial(_tasks, ways[k], function, tasks)
            best, usual = spent(works, given.repeats)
            bits = {(way.backward(), way.flat.gradients.tobytes()) for way in ways.values()}
            assert len(bits) == 1
            checked: list[tuple[Any, int, int]] = [
                (n, n, len(ways[0]._pieces(0, n))) for n in counts
            ]
            checked.append(("small", SMALL[0], len(small[1]._pieces(0, SMALL[0]))))
    costs = {k: Costs.of(best, k) for k in (1, 2)}

    print(
        f"Mean gradient of an MLP {SIZES} with {size} parameters over a memory-mapped file; all "
        f"answers have the same bits. Each time is the shortest of {given.repeats} turns or more; "
        f"the usual one was {usual:.2f} times as long; the machine's load was {load:.1f} before:\n"
    )
    print("| rows | one process s | 1 worker s | 2 workers s | 2 workers are |")
    print("|---|---|---|---|---|")
    for n in counts:
        alone, single, pair = (best[n, k].wall for k in clients)
        times = alone / pair
        word = f"{times:.2f} times as fast" if times >= 1 else f"{1 / times:.1f} times slower"
        print(f"| {n:,} | {alone:.3f} | {single:.3f} | {pair:.3f} | {word} |")
    here, there = ({n: best[n, k].wall for n in counts} for k in (0, 2))
    print(f"\nOne process is faster below about {_crossing(counts, here, there)}.")

    cores, cost = os.cpu_count() or 1, costs[2]
    print(
        f"\nA row takes {costs[1].row * 1e6:.2f} microseconds in one worker and "
        f"{cost.row * 1e6:.2f} in each of two at once; a task {cost.alone * 1e3:.1f} ms of the "
        f"driver's and scheduler's processor time, {cost.busy * 1e3:.1f} ms if many come at once, "
        f"and {cost.worker * 1e3:.1f} ms of the worker's; a step of one empty task "
        f"{cost.step * 1e3:.0f} ms; gradients arrive at {1e-6 / cost.byte:,.0f} MB/s. Estimated "
        f"from that, with driver and workers on the same {cores} cores; the processor time of all "
        "of them does not count what others did on this machine:\n"
    )
    print(
        "| rows | workers | chunks | estimated s | measured s | difference "
        "| processor s estimated | measured s | difference |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    worst = [0.0, 0.0]
    for (key, n, chunks), k in itertools.product(checked, costs):
        found, seen = reckoned(n, size, k, chunks, costs[k], cores), best[key, k]
        processor = found.processor + costs[k].idle * seen.wall
        pairs = (found.step, seen.wall), (processor, seen.driver + seen.workers)
        if seen.wall >= CHECKED:
            apart = [a / b - 1.0 for a, b in pairs]
            worst = [max(w, abs(a)) for w, a in zip(worst, apart, strict=True)]
            cells = (
                f"{a:.3f} | {b:.3f} | {d:+.0%}" for (a, b), d in zip(pairs, apart, strict=True)
            )
            print(f"| {n:,} | {k} | {chunks} | {' | '.join(cells)} |")
    print(
        f"\nSteps of {CHECKED * 1e3:.0f} ms and more are estimated to within {worst[0]:.0%}, and "
        f"their processor time to within {worst[1]:.0%}."
    )

    print(
        f"\nEstimated for a step over {MANY:,} rows on many machines, 4 chunks for a worker, a row "
        f"taking as much longer as there are more parameters, bytes at {1e-6 * NETWORK:,.0f} MB/s "
        "between machines; the parts overlap:\n"
    )
    print("| parameters | workers | compute s | tasks s | bytes s | step s | speed-up | limit |")
    print("|---|---|---|---|---|---|---|---|")
    for count, workers in itertools.product((size, 10_000, 1_000_000), WORKERS):
        each = costs[1].row * count / size
        cost = replace(costs[1], row=each, network=1 / NETWORK)
        found = reckoned(MANY, count, workers, 4 * workers, cost)
        cells = (_short(x) for x in [*found.parts.values(), found.step])
        limit = max(found.parts, key=lambda what: found.parts[what])
        print(
            f"| {count:,} | {workers:,} | {' | '.join(cells)} | {MANY * each / found.step:,.3g} "
            f"| {limit} |"
        )


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
