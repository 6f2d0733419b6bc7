"""The driver: it divides files into chunks of rows, and adds up the chunks' sums in order.

Chunks go to the workers of a cluster, or through this process one after the other.  Because of the
order the bits do not depend on the number of workers, on which of them computes which chunk, or on
whether a worker dies.
"""

import contextlib
import math
import os
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import numpy as np

import autograd
from autograd import RecordingError, Value
from autograd.atomic import quietly
from autograd.compiled.function import Compiled
from autograd.compiled.recording import Recording
from autograd.distributed.client import Client, check_workers, completed, same
from autograd.distributed.files import Array, File, block_of
from autograd.distributed.fingerprint import fingerprint
from autograd.distributed.worker import PATHS, Job, Part, Spec, work

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Watcher = Callable[[int, int], object]
CHUNKS = 64  # the approximate number of chunks in a file, unless it has fewer blocks


class Rows:
    """The mean of a function over the rows of files, and its gradient, chunk by chunk.

    Args:
        function: a function of one row (of each file) that returns one number; it is compiled.
        paths: a .npy file, or several with the same number of rows, one for each argument.  Workers
            must see them under the same path; only the path and the range of rows are sent.
        parameters: the leaves to differentiate in; by default those of the first row.
        client: a dask Client; by default this process does the work.
        chunk: the number of rows in a chunk; by default about 1/64 of the rows, which keeps 16
            workers evenly busy, and no more than 64.  Another size gives other rounding errors.
        progress: called with the number of completed chunks, and the number of all.

    Attributes:
        flat: `.numbers` and `.gradients` of the parameters, as arrays.

    Raises MismatchError, which names the worker, if a worker has another version, other sources,
    another operation table or another file.

    >>> import tempfile
    >>> w = Value(3.0, "w")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.array([1.0, 2.0, 6.0]))
    ...     rows = Rows(lambda x: w * x, f"{folder}/x.npy")
    ...     rows.backward(), rows.flat.gradients, rows.backward(0, 2)
    (9.0, array([3.]), 4.5)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        paths: Paths,
        parameters: Sequence[Value] | None = None,
        *,
        client: Client = None,
        chunk: int | None = None,
        progress: Watcher | None = None,
    ) -> None:
        chosen = [paths] if isinstance(paths, str | os.PathLike) else paths
        if not len(chosen):
            raise ValueError("there are no files; expected a .npy file for each argument")
        if client is not None and not hasattr(client, "run"):
            raise TypeError(
                f"expected a dask Client for the cluster, got {type(client).__name__}; create one "
                "with nn.distributed.connect(), or connect(address)"
            )
        self.files = tuple(File.of(path) for path in chosen)
        self.count = self.files[0].shape[0]
        for file in self.files:
            if file.shape[0] != self.count:
                raise ValueError(
                    f"{self.files[0].path} has {self.count} rows, {file.path} has {file.shape[0]}"
                )
        if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
            raise ValueError(f"chunk must be a whole number of rows, at least 1, got {chunk!r}")
        self.function = function if isinstance(function, Compiled) else autograd.compile(function)
        self.client, self.chunk, self.progress = client, chunk, progress
        first = self._row(0)
        if parameters is None:
            self.function(*first)
            parameters = self.function.parameters
        self.flat = self.function.flat(parameters)
        self._known: list[Recording] = []
        self._learn(0)

    def __len__(self) -> int:
        return self.count

    def backward(self, low: int = 0, high: int | None = None) -> float:
        """The mean over the rows from low to high; its gradient is then in `flat.gradients`.

        Raises ArithmeticError, which names the row, if a result or a gradient is inf or nan.
        """
        high = self.count if high is None else high
        if not 0 <= low < high <= self.count:
            raise ValueError(f"rows {low} to {high} are not within the file's {self.count} rows")
        if self.function.state() != self._state:  # a variable of the closure has changed
            self._known.clear()
            self._learn(0)
        pieces = self._pieces(low, high)
        todo = list(range(len(pieces)))
        numbers = self.flat.numbers.copy()
        total, gradient = 0.0, np.zeros(len(numbers))
        ready: dict[int, Part] = {}
        summed = done = 0
        while todo:
            unknown: list[tuple[int, int]] = []
            with contextlib.closing(self._parts([pieces[k] for k in todo], numbers)) as parts:
                for i, part in parts:
                    k = todo[i]
                    if part.unknown >= 0:
                        unknown.append((part.unknown, k))
                        continue
                    ready[k] = part
                    while summed in ready:
                        part = ready.pop(summed)
                        if part.bad:
                            raise ArithmeticError(f"{self.files[0].path}, {part.bad}")
                        total += part.loss
                        gradient = quietly(partial(np.add, gradient, part.gradient))
                        summed += 1
                    done += 1
                    if self.progress is not None:
                        self.progress(done, len(pieces))
            if unknown:
                self._learn(min(unknown)[0])
            todo = sorted(k for _, k in unknown)
        if not (math.isfinite(total) and np.isfinite(gradient).all()):
            raise ArithmeticError(
                f"{self.files[0].path}, rows {low} to {high - 1}: their sum is too large for a "
                "float"
            )
        self.flat.gradients = gradient / (high - low)
        return total / (high - low)

    def _pieces(self, low: int, high: int) -> list[tuple[int, int]]:
        """The chunks; they depend on the number of rows, never on the number of workers."""
        chunk = self.chunk
        if chunk is None:
            block = block_of(self.files)
            chunk = block * max(1, math.ceil((high - low) / CHUNKS / block))
        return [(start, min(start + chunk, high)) for start in range(low, high, chunk)]

    def _row(self, k: int) -> list[Array]:
        return [np.array(file.open()[k : k + 1]) for file in self.files]

    def _learn(self, row: int) -> None:
        """Record the function at a row, and send the recordings to the workers."""
        try:
            self.flat(*self._row(row))
        except Exception as error:
            error.add_note(f"in row {row} of {self.files[0].path}")
            raise
        recording = self.function.last
        if len(recording.program.tape.outputs) != 1 or recording.form != 0:
            raise TypeError(f"{self.function.__name__}: must return one number to be averaged")
        if recording.grad_leaves:
            raise RecordingError(
                f"{self.function.__name__}: it reads the .grad of a parameter, which workers do "
                "not know"
            )
        if recording in self._known:
            raise RecordingError(
                f"{self.function.__name__}: row {row} of {self.files[0].path} takes a recorded "
                "path here, but a new one on the worker"
            )
        if len(self._known) == PATHS:
            raise RecordingError(
                f"{self.function.__name__}: row {row} of {self.files[0].path} would be path "
                f"number {PATHS + 1} through the function; write choices with autograd.select"
            )
        self.flat.where(recording)  # raises if the arrays lack one of its parameters
        self._known.append(recording)
        self._state = self.function.state()
        entries = [
            (known.program.digest, [self.flat.place[p] for p in known.parameters], known)
            for known in self._known
        ]
        # The sums of the paths are added in this order, which must not depend on the row that took
        # a path first: in a resumed run it is another row.
        entries.sort(key=lambda entry: entry[:2])
        spec = Spec(
            fingerprint(),
            tuple(known.program.to_bytes() for _, _, known in entries),
            tuple(digest for digest, _, _ in entries),
            tuple(np.array(places, dtype=np.int64) for _, places, _ in entries),
            len(self.flat.parameters),
            recording.engine.name,
            self.function.options.exact,
            self.function.options.precision.name,
            self.files,
        )
        self._job = Job(spec)
        if self.client is not None:
            if len(self._known) == 1:
                check_workers(self.client, Job.refusal, self._job)
            self._sent = self.client.submit(same, self._job, pure=False)

    def _parts(self, pieces: list[tuple[int, int]], numbers: Array) -> Generator[tuple[int, Part]]:
        """(index, Part) of each piece, in the order of completion."""
        if self.client is None:
            for i, piece in enumerate(pieces):
                yield i, self._job.run(*piece, numbers)
            return
        columns = list(zip(*pieces, strict=True))
        yield from completed(self.client, work, columns, job=self._sent, numbers=numbers)


def mean_gradient(
    function: Callable[..., Any],
    paths: Paths,
    parameters: Sequence[Value] | None = None,
    *,
    client: Client = None,
    chunk: int | None = None,
    progress: Watcher | None = None,
) -> tuple[float, Array]:
    """(mean, gradient) of a function over all rows of files, with the same bits on any cluster.

    The gradient is an array in the order of the parameters.  See `Rows` for the arguments and the
    errors, and `connect` for a client.

    >>> import tempfile
    >>> w = Value(3.0, "w")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/rows.npy"
    ...     np.save(path, np.array([[1.0, 2.0], [3.0, 5.0]]))
    ...     mean, slope = mean_gradient(lambda row: (w * row[0] - row[1]) ** 2, path)
    >>> mean, slope.tolist()
    (8.5, [13.0])
    """
    rows = Rows(function, paths, parameters, client=client, chunk=chunk, progress=progress)
    mean = rows.backward()
    return mean, rows.flat.gradients
