"""Dask clients: checks of the workers, tasks for them, and a cluster on this machine."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from autograd.atomic import context
from autograd.distributed.fingerprint import MismatchError, compare, fingerprint
from autograd.extras import remedy

Client = Any  # dask's

# Seconds to wait before the workers are asked again if one has died or none is left.  In these 15
# seconds dask starts another.
PAUSES = (0.1, 0.2, 0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0)
# One thread for each worker: two threads on a core slow each other down.  By default dask returns
# memory to the system after every block (a trim threshold of 64 kB), which takes longer than the
# arithmetic of a small program.
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),  # the largest that glibc accepts
}


def agree(client: Client) -> dict[str, str]:
    """This process's fingerprint, after all workers have compared their own with it."""
    own = fingerprint()
    check_workers(client, compare, own)
    return own


def check_workers(client: Client, check: Callable[[Any], object], argument: Any) -> None:
    """Raise MismatchError if the check returns or raises a reason on a worker, or none is there.

    If a worker dies during the check, all are asked again, with any that has replaced it.
    """
    answers: dict[str, Any] = {}
    for pause in (*PAUSES, None):
        answers = client.run(check, argument, on_error="return")
        lost = any(isinstance(answer, OSError) for answer in answers.values())
        if pause is None or (answers and not lost):
            break
        time.sleep(pause)
    if not answers:
        raise MismatchError("the cluster has no workers; start some, or wait for them")
    for worker, answer in answers.items():
        if isinstance(answer, ModuleNotFoundError):
            raise MismatchError(
                f"worker {worker} cannot import {answer.name}; install chainrule[distributed] of "
                "this version there"
            )
        if isinstance(answer, Exception) and not isinstance(answer, MismatchError):
            raise MismatchError(f"worker {worker} does not answer: {answer}") from answer
        if answer:
            raise MismatchError(f"worker {worker} refuses: {answer}")


def completed(
    client: Client, function: Callable[..., Any], columns: Sequence[Sequence[Any]], **shared: Any
) -> Generator[tuple[int, Any]]:
    """(index, result) of the function for each row of the columns, in the order of completion.

    Shared arguments are sent once.  If a worker dies, others repeat its tasks.
    """
    from distributed import as_completed

    sent = {
        # Tasks, not scattered data, because a task is repeated if its worker has died.
        name: value if hasattr(value, "key") else client.submit(same, value, pure=False)
        for name, value in shared.items()
    }
    futures = client.map(function, *columns, **sent, pure=False)
    index = {future.key: k for k, future in enumerate(futures)}
    done = 0
    try:
        for batch in as_completed(futures, loop=client.loop).batches():
            for future, result in zip(batch, client.gather(batch), strict=True):
                done += 1
                yield index[future.key], result
    finally:
        if done < len(futures):
            client.cancel(futures)


def same(value: Any) -> Any:
    """The value itself, as a task."""
    return value


@context
def connect(address: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """A context with a dask Client for the scheduler at an address, or for new local workers.

    New workers are processes with one thread each on this machine, by default one for each
    processor; they listen on 127.0.0.1 only and end with the context.  They import the script that
    starts them, so its work must be under `if __name__ == "__main__":`.  For a real cluster run
    `dask worker ADDRESS --nthreads 1 --memory-limit 0` on machines of the same kind.

    Raises ModuleNotFoundError without dask, OSError if there is no answer from the address.

    with connect() as client:
        mean, gradient = mean_gradient(function, "rows.npy", client=client)
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"a cluster needs dask: {remedy('distributed')}") from None
    if address is not None:
        if workers is not None:
            raise ValueError("connect: leave out workers; the cluster at the address has its own")
        with Client(address, set_as_default=False) as client:
            yield client
        return
    count = os.cpu_count() or 1 if workers is None else workers
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"connect: workers must be a whole number of at least 1, got {workers!r}")
    settings = {"distributed.nanny.pre-spawn-environ": ENVIRONMENT}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # the HTTP server must not be public either
            memory_limit=0,  # the pages of a mapped file would count
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
