"""Clients of dask: who may take part, what they are asked, and a cluster on this machine."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from autograd.atomic import context
from autograd.distributed.fingerprint import MismatchError, compare, fingerprint

Client = Any  # dask's

# Seconds before workers are asked again when one has died, or nobody is left: 15 in all, in which
# dask starts another.
PAUSES = (0.1, 0.2, 0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0)
# One thread for each worker: two that share a core only get into each other's way.  dask would
# give memory back to the system after every block (a trim threshold of 64 kB), which costs more
# than the arithmetic of a small program.
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),  # the largest that glibc takes
}


def agree(client: Client) -> dict[str, str]:
    """This process's fingerprint, after all workers have compared theirs with it."""
    own = fingerprint()
    ask(client, compare, own)
    return own


def ask(client: Client, question: Callable[[Any], object], of: Any) -> None:
    """Raise MismatchError if a worker gives or raises a reason not to take part, or none is there.

    A worker that dies while it is asked is no reason: the others are asked again, and whoever
    comes in its place.
    """
    answers: dict[str, Any] = {}
    for pause in (*PAUSES, None):
        answers = client.run(question, of, on_error="return")
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
            raise MismatchError(f"worker {worker} gives no answer: {answer}") from answer
        if answer:
            raise MismatchError(f"worker {worker} refuses: {answer}")


def completed(
    client: Client, function: Callable[..., Any], columns: Sequence[Sequence[Any]], **shared: Any
) -> Generator[tuple[int, Any]]:
    """(place, result) of the function of each row of the columns, as the cluster gives them.

    What is shared is sent once.  A worker that dies loses what it had; others do it again.
    """
    from distributed import as_completed

    sent = {
        # A task, not scattered data: unlike those it can be had again when its worker has died.
        name: thing if hasattr(thing, "key") else client.submit(same, thing, pure=False)
        for name, thing in shared.items()
    }
    futures = client.map(function, *columns, **sent, pure=False)
    place = {future.key: k for k, future in enumerate(futures)}
    done = 0
    try:
        for batch in as_completed(futures, loop=client.loop).batches():
            for future, result in zip(batch, client.gather(batch), strict=True):
                done += 1
                yield place[future.key], result
    finally:
        if done < len(futures):
            client.cancel(futures)


def same(thing: Any) -> Any:
    """The thing itself, as a task."""
    return thing


@context
def connect(address: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """A dask Client: of the scheduler at an address, or of workers of its own on this machine.

    Workers of its own are processes of one thread each, as many as there are processors unless
    `workers` says otherwise; they listen on 127.0.0.1 only and end with the context.  They import
    the script that made them: it must keep its work under `if __name__ == "__main__":`.  For a
    real cluster start `dask worker ADDRESS --nthreads 1 --memory-limit 0` on machines of one kind.

    Raises ModuleNotFoundError without dask, OSError when nobody answers at the address.

    with connect() as client:
        mean, gradient = mean_gradient(function, "rows.npy", client=client)
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "a cluster needs dask: pip install 'chainrule[distributed]'"
        ) from None
    if address is not None:
        if workers is not None:
            raise ValueError("connect: workers are chosen where the cluster at the address starts")
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
            dashboard_address="127.0.0.1:0",  # its HTTP server, too
            memory_limit=0,  # pages of a mapped file would count
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
