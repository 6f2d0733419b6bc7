"""What a worker does: the gradient of recorded programs, summed over a chunk of rows."""

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
from autograd.compiled.program import Program
from autograd.compiled.recording import Recording
from autograd.compiled.recordings import Options
from autograd.compiled.traced import number_of
from autograd.distributed.files import Array, File, block_of
from autograd.distributed.fingerprint import MismatchError, compare
from autograd.nestings import leaves

PATHS = 64  # different ways through the function, after which something is wrong with it


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
    """A Job's programs, ready to run on one thread, with the buffers that they run in."""

    def __init__(self, spec: Spec) -> None:
        compare(spec.fingerprint)
        self.files = spec.files
        for file in self.files:
            file.check()
        columns = [file.open() for file in self.files]
        self.block = block_of(self.files)
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
        self.compiled = Compiled(_refuse, options, environment=False)
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


def work(low: int, high: int, job: Job, numbers: Array) -> Part:
    """The sums of the job over rows low to high."""
    return job.run(low, high, numbers)
