"""A worker's computation: the gradient of recorded programs, summed over a chunk of rows."""

import functools
import math
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autograd import Value
from autograd.atomic import quietly
from autograd.compiled.arguments import Call
from autograd.compiled.flat import Flat
from autograd.compiled.function import Compiled
from autograd.compiled.precision import precision
from autograd.compiled.program import Program
from autograd.compiled.recording import Recording
from autograd.compiled.recordings import Options
from autograd.compiled.traced import number_of
from autograd.distributed.files import Array, File, block_of
from autograd.distributed.fingerprint import MismatchError, compare
from autograd.nestings import leaves

PATHS = 64  # the maximum number of paths through the function; with more, it needs `select`


class _UnknownPath(Exception):  # noqa: N818 - not an error: the driver records the path
    """Raised for a row that takes a path through the function that is not recorded."""


def _refuse(*arguments: Any) -> Any:
    raise _UnknownPath([number_of(argument) for argument in leaves(list(arguments))])


@dataclass
class Part:
    """The sums over the rows of a chunk, or the reason why there are none.

    Attributes:
        unknown: the first row that takes an unrecorded path through the function; -1 if none does.
        bad: a message on the row that is inf or nan; '' if none is.
    """

    loss: float
    gradient: Array
    unknown: int = -1
    bad: str = ""


@dataclass(frozen=True)
class Spec:
    """Everything that a worker needs: numbers and text, no code."""

    fingerprint: dict[str, str]
    programs: tuple[bytes, ...]
    digests: tuple[str, ...]
    places: tuple[Array, ...]  # the indices of each program's parameters among all parameters
    parameters: int
    engine: str
    exact: bool
    dtype: str
    files: tuple[File, ...]


class Job:
    """The gradient of recorded programs over chunks of rows; only its Spec is sent to workers."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._local = threading.local()

    def __reduce__(self) -> Any:
        return Job, (self.spec,)

    def run(self, low: int, high: int, numbers: Array) -> Part:
        """The sums over the rows from low to high, with these numbers as the parameters."""
        machine: Machine | None = getattr(self._local, "machine", None)
        if machine is None:
            machine = self._local.machine = Machine(self.spec)
        return machine.run(low, high, numbers)

    def refusal(self) -> str:
        """Why this process cannot take part; '' if it can."""
        try:
            self._local.machine = Machine(self.spec)
        except (MismatchError, OSError, TypeError, ValueError) as error:
            return str(error)
        return ""


@functools.lru_cache(PATHS)
def _opened(data: bytes) -> Program:
    return Program.from_bytes(data, "the program")


class Machine:
    """A Job's programs and their buffers, ready to run on one thread."""

    def __init__(self, spec: Spec) -> None:
        compare(spec.fingerprint)
        self.files = spec.files
        for file in self.files:
            file.check()
        columns = [file.open() for file in self.files]
        self.block = block_of(self.files)
        values = [Value(0.0) for _ in range(spec.parameters)]
        known, chosen = [], precision(spec.dtype)
        for data, digest, places in zip(spec.programs, spec.digests, spec.places, strict=True):
            try:
                program = _opened(data)
            except ValueError as error:
                raise MismatchError(f"{error}; call define_op on all workers, too") from None
            if program.digest != digest:
                raise MismatchError(
                    f"the program is {program.digest[:12]} here, and {digest[:12]} on the driver"
                )
            parameters = [values[place] for place in places.tolist()]
            known.append(Recording(program, parameters, 0, spec.engine, precision=chosen))
        self.first = known[0]
        options = Options(spec.engine, spec.exact, threads=1, cache=len(known), precision=chosen)
        self.compiled = Compiled(_refuse, options, environment=False)
        self.compiled.adopt([column[:1] for column in columns], known)
        self.flat = Flat(self.compiled, values)

    def run(self, low: int, high: int, numbers: Array) -> Part:
        """The sums over the rows from low to high, block by block in order."""
        # Mapped again in each call: pages that were read count as this process's memory until they
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
                part.unknown = start + _index(rows, unknown.args[0])
                return part
            # An overflow gives no warning here; `_blame` finds its row below.
            part.loss += float(quietly(partial(np.add.reduce, losses)))
            part.gradient = quietly(partial(np.add, part.gradient, self.flat.gradients))
            if not (math.isfinite(part.loss) and np.isfinite(part.gradient).all()):
                part.bad = self._blame(rows, losses, start, end)
                return part
            if self.compiled.last is not self.first:
                # The next block would reuse the buffers of the program that ran last.  New ones,
                # so that the bits do not depend on the blocks before.
                self.flat = Flat(self.compiled, self.flat.parameters)
        return part

    def _blame(self, rows: list[Array], losses: Array, start: int, end: int) -> str:
        for i, loss in enumerate(losses.tolist()):
            if not math.isfinite(loss):
                return f"row {start + i}: the result is {loss!r}"
            self.flat.backward(*(column[i : i + 1] for column in rows))
            if not np.isfinite(self.flat.gradients).all():
                return f"row {start + i}: the gradient is not finite, with a result of {loss!r}"
        return f"rows {start} to {end - 1}: their sum is too large for a float"


def _index(rows: list[Array], wanted: list[float]) -> int:
    """The index of the first row with these numbers, where nan equals nan."""
    numbers = Call(rows).numbers
    same = (numbers == wanted) | (np.isnan(numbers) & np.isnan(wanted))
    return int(np.flatnonzero(same.all(axis=1))[0])


def work(low: int, high: int, job: Job, numbers: Array) -> Part:
    """The job's sums over the rows from low to high."""
    return job.run(low, high, numbers)
