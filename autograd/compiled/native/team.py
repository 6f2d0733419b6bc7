"""Threads that share the chunks of a sweep; they start once and serve the whole process."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from autograd.atomic import forkable_lock

_starting = forkable_lock()
_pools: dict[int, ThreadPoolExecutor] = {}  # by process: a forked child has none of the threads


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pool() -> ThreadPoolExecutor:
    with _starting:
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = ThreadPoolExecutor(max(cores(), 2), "autograd sweeps")
        return _pools[os.getpid()]


class _Job:
    """Shares of a sweep, with their results, and whether more of them may start."""

    def __init__(self, shares: list[Callable[[], bool]]) -> None:
        self.shares = shares
        self.results: list[bool | BaseException] = []
        self.changed = threading.Condition()
        self.running, self.is_open = 0, True

    def run(self, k: int) -> None:
        """Run a share, if it may still start."""
        with self.changed:
            if not self.is_open:
                return
            self.running += 1
        try:
            result: bool | BaseException = self.shares[k]()
        except BaseException as error:
            result = error
        with self.changed:
            self.results.append(result)
            self.running -= 1
            self.changed.notify_all()

    def close(self) -> None:
        """Wait until no share is running; no other share will start after this."""
        with self.changed:
            self.is_open = False
            while self.running:
                self.changed.wait()


def together(shares: list[Callable[[], bool]]) -> bool:
    """Whether all shares that were needed return True.

    The first one runs in this thread, and each other one in its own.  Shares take their work from a
    common list until it is empty, so a share whose thread starts too late is not needed.

    After Ctrl-C, this waits for the shares that have started, because they write to the caller's
    arrays.
    """
    job, interrupted = _Job(shares), None
    try:
        for k in range(1, len(shares)):
            _pool().submit(job.run, k)
        job.run(0)
    finally:
        while True:
            try:
                job.close()
                break
            except KeyboardInterrupt as error:
                interrupted = error
    if interrupted:
        raise interrupted
    for result in job.results:
        if isinstance(result, BaseException):
            raise result
    return all(job.results)
