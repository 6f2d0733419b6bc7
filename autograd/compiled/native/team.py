"""Threads that share the chunks of one sweep; they are started once and serve the whole process."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from autograd.atomic import forkable_lock

_starting = forkable_lock()
_pools: dict[int, ThreadPoolExecutor] = {}  # by process: a forked child has none of the threads


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pool() -> ThreadPoolExecutor:
    with _starting:
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = ThreadPoolExecutor(max(cores(), 2), "autograd sweeps")
        return _pools[os.getpid()]


class _Job:
    """Shares that have been given out: what came of them, and whether they still may start."""

    def __init__(self, shares: list[Callable[[], bool]]) -> None:
        self.shares = shares
        self.results: list[bool | BaseException | None] = [None] * len(shares)
        self.changed = threading.Condition()
        self.running, self.is_open = 0, True

    def run(self, k: int) -> None:
        """Do a share, if it still may start."""
        with self.changed:
            if not self.is_open:
                return
            self.running += 1
        try:
            found: bool | BaseException = self.shares[k]()
        except BaseException as error:
            found = error
        with self.changed:
            self.results[k] = found
            self.running -= 1
            self.changed.notify_all()

    def finish(self) -> None:
        """Wait until all shares have been done."""
        with self.changed:
            while any(one is None for one in self.results):
                self.changed.wait()

    def close(self) -> None:
        """Wait until no share runs; those that have not started never will."""
        with self.changed:
            self.is_open = False
            while self.running:
                self.changed.wait()


def together(shares: list[Callable[[], bool]]) -> bool:
    """Whether all shares say yes; each runs in a thread of its own, the first one here.

    Ctrl-C ends it when the shares that have started are done: they write to the caller's arrays.
    """
    job, interrupted = _Job(shares), None
    try:
        for k in range(1, len(shares)):
            _pool().submit(job.run, k)
        job.run(0)
        job.finish()
    finally:
        while True:
            try:
                job.close()
                break
            except KeyboardInterrupt as error:
                interrupted = error
    if interrupted:
        raise interrupted
    for found in job.results:
        if isinstance(found, BaseException):
            raise found
    return all(job.results)
