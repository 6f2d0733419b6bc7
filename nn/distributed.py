"""Mean gradients over the rows of files too big for one process, and training with them.

Files go in fixed chunks to dask's workers, or through this process one after the other; chunks are
summed in order, so the bits do not depend on how many workers there are, on which of them computed
what, or on whether one of them died on the way.
"""

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import math
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Unpack

import autograd
from autograd import RecordingError, Value, quiet_gc
from autograd.atomic import context
from autograd.compiled.tape import number_of
from autograd.transform import leaves
from nn import training
from nn.columns import quietly
from nn.module import Module, unscoped
from nn.replay import rows as stacked
from nn.training import History

try:
    import numpy as np

    from autograd.compiled.arguments import Call
    from autograd.compiled.flat import Flat
    from autograd.compiled.function import Compiled
    from autograd.compiled.program import Program
    from autograd.compiled.recording import Recording
    from autograd.compiled.recordings import Options
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    raise ModuleNotFoundError(
        "nn.distributed needs NumPy: pip install 'chainrule[distributed]'"
    ) from None

__all__ = ["MismatchError", "Rows", "connect", "fit", "mean_gradient"]
Array = Any
Client = Any  # dask's
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Watcher = Callable[[int, int], object]

BLOCK = 4096  # rows that are computed into the same buffers; fewer if they are wide
NUMBERS = 1 << 18  # that a block of one file has at most: 2 MB
CHUNKS = 64  # a file is cut into about so many, unless it has fewer blocks
PATHS = 64  # different ways through the function, after which something is wrong with it
SAMPLE = 64  # rows that a worker compares with the driver's
# Seconds before workers are asked again when one has died, or nobody is left: 15 in all, in which
# dask starts another.
PAUSES = (0.1, 0.2, 0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0)
_AGREED = 256  # rows on which a batch's loss is compared with the mean over its samples

# One thread for each worker: two that share a core only get into each other's way.  dask would
# give memory back to the system after every block (a trim threshold of 64 kB), which costs more
# than the arithmetic of a small program.
ENVIRONMENT = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    ),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),  # the largest that glibc takes
}


class MismatchError(RuntimeError):
    """A worker is not what the driver is: another version, program, table or file."""


# ---------------------------------------------------------------------- who may take part


def _sources() -> str:
    """A hash of the two packages' files."""
    found = hashlib.sha256()
    for package in (autograd.__file__, __file__):
        for path in sorted(Path(str(package)).parent.rglob("*.py")):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


_SOURCES = _sources()  # as they were imported, not as they may have become since


def fingerprint() -> dict[str, str]:
    """What must be the same on every worker for the same bits, by name."""
    found = {"chainrule": "not installed", "its source files": _SOURCES}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["chainrule"] = metadata.version("chainrule")
    found["Python"] = ".".join(map(str, sys.version_info[:2]))
    found["NumPy"] = np.__version__
    found["numba"] = "none"
    if importlib.util.find_spec("numba") is not None:
        found["numba"] = f"{metadata.version('numba')}, llvmlite {metadata.version('llvmlite')}"
    found["machine"] = f"{platform.system()} {platform.machine()}"
    found["C library"] = " ".join(platform.libc_ver()).strip() or "unknown"  # its exp and log
    found["CPU"], features = _processor()
    return found | {FEATURES: features}


FEATURES = "CPU features"


@functools.cache
def _processor() -> tuple[str, str]:
    """The CPU that native code is made for, and the features that engines choose code by.

    With fused multiply-adds, or wider vectors, sums are rounded at other places.
    """
    built: Any = np.show_config(mode="dicts")
    found = {f"numpy:{name}" for name in built.get("SIMD Extensions", {}).get("found", [])}
    if importlib.util.find_spec("numba") is None:
        return platform.processor() or "unknown", " ".join(sorted(found))
    from llvmlite import binding

    config: Any = importlib.import_module("numba").config  # of names that are set by exec
    # As numba does, which can be told to make code for another CPU than the host's.
    name, features = config.CPU_NAME, config.CPU_FEATURES
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    found |= {one[1:] for one in features.split(",") if one.startswith("+")}
    if config.USING_SVML:
        found.add("SVML")
    return name or binding.get_host_cpu_name(), " ".join(sorted(found))


def compare(wanted: dict[str, str]) -> None:
    """Raise MismatchError, naming the first difference, if this process has another fingerprint."""
    own = fingerprint()
    for name, text in wanted.items():
        here = own.get(name)
        if here == text:
            continue
        if name == FEATURES and here is not None:
            mine, theirs = set(here.split()), set(text.split())
            here, text = (
                " ".join(sorted(some)) or "none besides" for some in (mine - theirs, theirs - mine)
            )
        raise MismatchError(f"{name}: {here} here, and {text} on the driver")


def agree(client: Client) -> dict[str, str]:
    """This process's fingerprint, after all workers have compared theirs with it."""
    own = fingerprint()
    _ask(client, _differs, own)
    return own


def _differs(wanted: dict[str, str]) -> str:
    try:
        compare(wanted)
    except MismatchError as error:
        return str(error)
    return ""


def _ask(client: Client, question: Callable[[Any], str], of: Any) -> None:
    """Raise MismatchError if a worker answers with a reason not to take part, or none is there.

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
        if isinstance(answer, Exception):
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
        name: thing if hasattr(thing, "key") else client.submit(_same, thing, pure=False)
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


def _same(thing: Any) -> Any:
    return thing


@dataclass(frozen=True)
class File:
    """A .npy file whose rows are samples, and what everybody must see in it.

    Raises FileNotFoundError, ValueError for what is no such file or has no rows, and TypeError for
    rows that are not numbers.
    """

    path: str
    shape: tuple[int, ...]
    kind: str
    sample: str  # a hash of some rows

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> "File":
        """The file as it is here."""
        full = os.path.abspath(path)
        found = _mapped(full)
        if found.dtype.kind not in "iufb":
            raise TypeError(f"{full}: expected rows of numbers, got {found.dtype}")
        if not found.ndim or not len(found):
            raise ValueError(f"{full}: it has no rows")
        return cls(full, found.shape, found.dtype.str, _sample(found))

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return math.prod(self.shape[1:])

    def check(self) -> None:
        """Raise MismatchError if the file has other numbers here, as far as a sample shows."""
        if _sample(self.open()) != self.sample:
            raise MismatchError(
                f"{self.path} has other numbers here than where the work was given out; all "
                "workers must see the same file"
            )

    def open(self) -> Array:
        """The rows, mapped into memory: what is not touched is not read."""
        found = _mapped(self.path)
        if (found.shape, found.dtype.str) != (self.shape, self.kind):
            raise MismatchError(
                f"{self.path} has the shape {found.shape} of {found.dtype.str} here, and "
                f"{self.shape} of {self.kind} where the work was given out"
            )
        return found


def _sample(rows: Array) -> str:
    """A hash of rows from everywhere in the file, the first and the last among them."""
    places = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64))
    return hashlib.sha256(rows[places].tobytes()).hexdigest()[:16]


def _mapped(path: str) -> Array:
    try:
        # A plain array over the mapping; the compiled function treats subclasses as lists.
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except ValueError as error:
        raise ValueError(f"{path} is not a whole .npy file of numbers ({error})") from None


# ---------------------------------------------------------------------- what a worker does


class _UnknownPath(Exception):  # noqa: N818 - it asks for a recording
    """A row that takes a way through the function that nobody has recorded."""


def _refuse(*arguments: Any) -> Any:
    raise _UnknownPath([number_of(one) for one in leaves(list(arguments))])


@dataclass
class Part:
    """Sums over the rows of a chunk, or why there are none.

    Attributes:
        unknown: the first row that takes an unrecorded way through the function; -1 if none does.
        bad: which row is inf or nan, in words; '' if none is.
    """

    loss: float
    gradient: Array
    unknown: int = -1
    bad: str = ""


@dataclass(frozen=True)
class Spec:
    """Everything that a worker has to know: numbers and text, no code."""

    fingerprint: dict[str, str]
    programs: tuple[bytes, ...]
    digests: tuple[str, ...]
    places: tuple[Array, ...]  # of each program's parameters among all of them
    parameters: int
    engine: str
    exact: bool
    files: tuple[File, ...]


class Job:
    """The gradient of recorded programs over chunks of rows; travels to workers as its Spec."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._local = threading.local()

    def __reduce__(self) -> Any:
        return Job, (self.spec,)

    def run(self, low: int, high: int, numbers: Array) -> Part:
        """The sums over rows low to high, with those numbers for the parameters."""
        machine: _Machine | None = getattr(self._local, "machine", None)
        if machine is None:
            machine = self._local.machine = _Machine(self.spec)
        return machine.run(low, high, numbers)

    def refusal(self) -> str:
        """Why this process cannot take part; '' if it can."""
        try:
            self._local.machine = _Machine(self.spec)
        except (MismatchError, OSError, TypeError, ValueError) as error:
            return str(error)
        return ""


@functools.lru_cache(PATHS)
def _opened(data: bytes) -> Program:
    return Program.from_bytes(data, "the program")


class _Machine:
    """A Job's programs, ready to run on one thread, with the buffers that they run in."""

    def __init__(self, spec: Spec) -> None:
        compare(spec.fingerprint)
        self.files = spec.files
        for file in self.files:
            file.check()
        columns = [file.open() for file in self.files]
        width = max(1, *(file.width for file in self.files))
        self.block = _block(width)
        values = [Value(0.0) for _ in range(spec.parameters)]
        known = []
        for data, digest, places in zip(spec.programs, spec.digests, spec.places, strict=True):
            try:
                program = _opened(data)
            except ValueError as error:
                raise MismatchError(f"{error}; a worker needs the driver's `define_op`s") from None
            if program.digest != digest:
                raise MismatchError(
                    f"the program is {program.digest[:12]} here, and {digest[:12]} on the driver"
                )
            chosen = [values[place] for place in places.tolist()]
            known.append(Recording(program, chosen, 0, spec.engine))
        self.first = known[0]
        options = Options(spec.engine, spec.exact, cache=len(known))
        self.compiled = Compiled(_refuse, options, surroundings=False)
        self.compiled.adopt([column[:1] for column in columns], known)
        self.flat = Flat(self.compiled, values)

    def run(self, low: int, high: int, numbers: Array) -> Part:
        """The sums over rows low to high, block by block in order."""
        # Mapped anew each time: pages that were read count as this process's memory until they
        # are unmapped, and dask ends workers that use too much.
        columns = [file.open() for file in self.files]
        part = Part(0.0, np.zeros(len(numbers)))
        for start in range(low, high, self.block):
            end = min(start + self.block, high)
            rows = [column[start:end] for column in columns]
            self.flat.numbers[:] = numbers
            try:
                losses = self.flat.backward(*rows)
            except _UnknownPath as unknown:
                part.unknown = start + _place(rows, unknown.args[0])
                return part
            # What overflows is blamed below.
            part.loss += float(quietly(partial(np.add.reduce, losses)))
            part.gradient = quietly(partial(np.add, part.gradient, self.flat.gradients))
            if not (math.isfinite(part.loss) and np.isfinite(part.gradient).all()):
                part.bad = self._blame(rows, losses, start, end)
                return part
            if self.compiled.last is not self.first:
                # The buffers that are kept for the next block are those of the program that ran
                # last; which one that is must not depend on the blocks that came before.
                self.flat = Flat(self.compiled, self.flat.parameters)
        return part

    def _blame(self, rows: list[Array], losses: Array, start: int, end: int) -> str:
        for i, loss in enumerate(losses.tolist()):
            if not math.isfinite(loss):
                return f"row {start + i}: the result is {loss!r}"
            self.flat.backward(*(column[i : i + 1] for column in rows))
            if not np.isfinite(self.flat.gradients).all():
                return f"row {start + i}: the gradient is not finite, with a result of {loss!r}"
        return f"rows {start} to {end - 1}: their sum is beyond the largest float"


def _place(rows: list[Array], wanted: list[float]) -> int:
    """The first row with those numbers; nan is like nan here."""
    numbers = Call(rows).numbers
    same = (numbers == wanted) | (np.isnan(numbers) & np.isnan(wanted))
    return int(np.flatnonzero(same.all(axis=1))[0])


def _block(width: int) -> int:
    return max(64, min(BLOCK, NUMBERS // width))


def _work(low: int, high: int, job: Job, numbers: Array) -> Part:
    return job.run(low, high, numbers)


# ---------------------------------------------------------------------- what the driver does


class Rows:
    """The mean of a function over the rows of files, and its gradient, chunk by chunk.

    Args:
        function: of one row (of each file), giving one number; `autograd.compile` is applied to it.
        paths: a .npy file, or several with equally many rows, one for each argument.  Workers must
            see them under the same path; only path and range are sent.
        parameters: leaves to differentiate in; those of the first row if left out.
        client: a dask Client; this process does the same work if left out.
        chunk: rows in a chunk; about 1/64 of the rows if left out, which keeps 16 workers evenly
            busy and 64 at most.  Other chunks, other roundings.
        progress: called with the number of chunks that are done, and of all.

    Attributes:
        flat: `.numbers` and `.gradients` of the parameters, as arrays.

    Raises MismatchError, naming the worker, when one has another version, other sources, another
    operation table or another file.

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
            raise ValueError("no files were given; expected a .npy file for each argument")
        if client is not None and not hasattr(client, "run"):
            raise TypeError(
                f"expected a dask Client for the cluster, got {type(client).__name__}; make one "
                "with nn.distributed.connect(), or connect(address)"
            )
        self.files = tuple(File.of(path) for path in chosen)
        self.count = self.files[0].shape[0]
        for file in self.files:
            if file.shape[0] != self.count:
                raise ValueError(
                    f"{self.files[0].path} has {self.count} rows, but {file.path} {file.shape[0]}"
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
        """The mean over rows low to high; `flat.gradients` becomes its gradient.

        Raises ArithmeticError, naming the row, if a result or a gradient is inf or nan.
        """
        high = self.count if high is None else high
        if not 0 <= low < high <= self.count:
            raise ValueError(f"rows {low} to {high} are not within the file's {self.count}")
        if self.function.state() != self._state:  # what the function closes over has changed
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
            with contextlib.closing(self._parts([pieces[k] for k in todo], numbers)) as found:
                for k, part in zip(todo, found, strict=True):
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
            todo = [k for _, k in unknown]
        if not (math.isfinite(total) and np.isfinite(gradient).all()):
            raise ArithmeticError(
                f"{self.files[0].path}, rows {low} to {high - 1}: their sum is beyond the largest "
                "float"
            )
        self.flat.gradients = gradient / (high - low)
        return total / (high - low)

    def _pieces(self, low: int, high: int) -> list[tuple[int, int]]:
        """The chunks: they depend on the number of rows, never on that of workers."""
        chunk = self.chunk
        if chunk is None:
            block = _block(max(1, *(file.width for file in self.files)))
            chunk = block * max(1, math.ceil((high - low) / CHUNKS / block))
        return [(start, min(start + chunk, high)) for start in range(low, high, chunk)]

    def _row(self, k: int) -> list[Array]:
        return [np.array(file.open()[k : k + 1]) for file in self.files]

    def _learn(self, row: int) -> None:
        """Record what the function does with a row, and give it to the workers."""
        try:
            self.flat(*self._row(row))
        except Exception as error:
            error.add_note(f"in row {row} of {self.files[0].path}")
            raise
        one = self.function.last
        if len(one.program.tape.outputs) != 1 or one.form != 0:
            raise TypeError(f"{self.function.__name__}: must return one number to be averaged")
        if one.read:
            raise RecordingError(
                f"{self.function.__name__}: it reads the .grad of a parameter, which workers do "
                "not know"
            )
        if one in self._known:
            raise RecordingError(
                f"{self.function.__name__}: row {row} of {self.files[0].path} takes a known way "
                "here, but not on the worker"
            )
        if len(self._known) == PATHS:
            raise RecordingError(
                f"{self.function.__name__}: row {row} of {self.files[0].path} would be way "
                f"number {PATHS + 1} through the function; write choices with autograd.select"
            )
        self.flat.where(one)  # that all its parameters are there
        self._known.append(one)
        self._state = self.function.state()
        entries = [
            (one.program.digest, [self.flat.place[p] for p in one.parameters], one)
            for one in self._known
        ]
        # Sums over the rows of each way are added in this order, which must not depend on which
        # row was met first: a resumed run meets them in another order.
        entries.sort(key=lambda entry: entry[:2])
        spec = Spec(
            fingerprint(),
            tuple(one.program.to_bytes() for _, _, one in entries),
            tuple(digest for digest, _, _ in entries),
            tuple(np.array(places, dtype=np.int64) for _, places, _ in entries),
            len(self.flat.parameters),
            one.engine.name,
            self.function.options.exact,
            self.files,
        )
        self._job = Job(spec)
        if self.client is not None:
            if len(self._known) == 1:
                _ask(self.client, Job.refusal, self._job)
            self._sent = self.client.submit(_same, self._job, pure=False)

    def _parts(self, pieces: list[tuple[int, int]], numbers: Array) -> Generator[Part]:
        """The Part of each piece, in order."""
        if self.client is None:
            for low, high in pieces:
                yield self._job.run(low, high, numbers)
            return
        held: dict[int, Part] = {}
        done = 0
        columns = list(zip(*pieces, strict=True))
        with contextlib.closing(
            completed(self.client, _work, columns, job=self._sent, numbers=numbers)
        ) as parts:
            for k, part in parts:
                held[k] = part
                while done in held:
                    yield held.pop(done)
                    done += 1


def mean_gradient(
    function: Callable[..., Any],
    paths: Paths,
    parameters: Sequence[Value] | None = None,
    *,
    client: Client = None,
    chunk: int | None = None,
    progress: Watcher | None = None,
) -> tuple[float, Array]:
    """(mean, gradient) of a function over all rows of .npy files, to the same bits on any cluster.

    The gradient is an array in the order of the parameters.  See `Rows` for the arguments and what
    is raised, and `connect` for a client.

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


# ---------------------------------------------------------------------- training


@dataclass
class OnFiles(training.Source):
    """Batches of neighbouring rows of two files, in this process or on a cluster's workers."""

    files: training.Files
    size: int | None = None

    def __post_init__(self) -> None:
        if self.recipe.metrics and self.held is None:
            raise ValueError("fit: metrics are of the validation data; give some")
        self.held = self.held and (stacked(self.held[0]), stacked(self.held[1]))

    def enter(self) -> None:
        """Record the loss of a row, and have all workers agree on it."""
        files, replay = self.files, self.recipe.replay()
        self.use(replay)
        with quiet_gc(), unscoped():
            self.rows = Rows(
                replay.compiled,
                files.paths,
                replay.flat.parameters,
                client=files.client,
                chunk=files.chunk,
            )
            self.rows.flat = replay.flat  # that of the optimizer's steps, in the same order
            replay.agrees(*(list(file.open()[:_AGREED]) for file in self.rows.files))

    def batches(self, rng: random.Random) -> Iterator[tuple[tuple[int, int], int]]:
        """The first row of each batch and the row after its last, the batches shuffled."""
        size = self.size or len(self.rows)
        order = list(range(0, len(self.rows), size))
        if len(order) > 1:
            rng.shuffle(order)
        for low in order:
            high = min(low + size, len(self.rows))
            yield (low, high), high - low

    def step(self, batch: tuple[int, int]) -> float:
        """The mean loss of the rows, and a step on the arrays."""
        try:
            loss = self.rows.backward(*batch)
            self.recipe.step(self.flat)
        except ArithmeticError as error:
            raise training.StepError(str(error)) from None
        return loss


def fit(
    model: Module,
    paths: Sequence[str | os.PathLike[str]],
    *,
    client: Client = None,
    chunk: int | None = None,
    **options: Unpack[training.Options],
) -> History:
    """The History of training on two .npy files, one of inputs and one of targets.

    The arguments are those of `nn.fit`, and `client` and `chunk` those of `Rows`.  A batch is a run
    of neighbouring rows, and the seed shuffles the order of batches: shuffle the rows of the files
    once, when they are written.  `validation` is data in memory, not a share of the files, and
    metrics are of that.  The loss must be the mean of its samples' losses, as with
    `nn.fit(..., compiled=True)`.

    Raises TrainingError, naming the row, when a loss or a gradient is inf or nan; the model is then
    as it was before that step.

    >>> import tempfile
    >>> from nn import MLP, mse
    >>> from nn.optim import SGD
    >>> line = MLP([1, 1], None, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x, y = f"{folder}/x.npy", f"{folder}/y.npy"
    ...     np.save(x, np.array([[0.0], [1.0], [2.0]]))
    ...     np.save(y, np.array([[1.0], [3.0], [5.0]]))
    ...     history = fit(line, [x, y], loss=mse, optimizer=SGD(line, lr=0.2), epochs=200)
    >>> [round(p.data, 3) for p in line.parameters()]
    [2.0, 1.0]
    """
    if isinstance(paths, str | os.PathLike) or len(paths) != 2:
        raise ValueError("fit: expected two files, [inputs, targets]")
    for name in options:
        if name not in training.Options.__annotations__:
            raise TypeError(f"fit: there is no argument {name!r} for training on files")
    return training.fit(model, training.Files(paths, client, chunk), **options)
