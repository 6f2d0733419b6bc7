"""Threads that share the chunks of a sweep; they start once and serve the whole process."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from autograd.atomic import at_once, forkable_lock

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


def together(work: Callable[[int, Iterator[int]], bool], threads: int, parts: int) -> bool:
    """Whether work(k, todo) returns True in every thread k; thread 0 is this one.

    Each takes the numbers of the parts that it computes from `todo`.  A thread that starts late
    leaves all of it to the others.

    This waits for the threads that have started, also after Ctrl-C, because they write to the
    caller's arrays.
    """
    todo, results = iter(range(parts)), list[bool | BaseException]()

    def help_out(k: int, turn: threading.Lock) -> None:
        with turn:
            try:
                results.append(work(k, todo))
            except BaseException as error:
                results.append(error)

    turns = [threading.Lock() for _ in range(threads - 1)]
    try:
        for k, turn in enumerate(turns, 1):
            _pool().submit(help_out, k, turn)
        results.append(work(0, todo))
    finally:
        at_once(todo)  # from now on, a thread that starts does nothing
        while turns:
            try:
                with turns[-1]:
                    turns.pop()
            except KeyboardInterrupt as error:
                results.append(error)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return all(results)
