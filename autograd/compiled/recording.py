"""`Recording`: what a function did in one call, as a program, and the memory that it runs in."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from autograd.atomic import quietly
from autograd.compiled.dependence import Dependence
from autograd.compiled.encoded import FAILED, PASSED, Batch
from autograd.compiled.engines import engine
from autograd.compiled.precision import DOUBLE, Precision
from autograd.compiled.program import Program
from autograd.compiled.recorder import Recorder
from autograd.compiled.rounding import runs
from autograd.compiled.tape import freeze
from autograd.compiled.traced import ALWAYS, RecordingError, value_bits_of
from autograd.compiled.whole_numbers import Index
from autograd.nestings import leaves, rebuilt
from autograd.operands import number
from autograd.ops import Ops
from autograd.value import Value, accumulate, data_of, grads

Array = Any
_NO_SEEDS = np.zeros(0)


@dataclass(frozen=True)
class Result:
    """What a recorded function returns.

    Attributes:
        form: its nesting, with the index of each output in place of the output.
        types: the type of each output where it is not a Value: float, int or bool; None if all are
            floats.
        value_bits: for each output, the bits that say when it is a Value; see `Traced`.
        aliases: for each output, the index of the input or the leaf from outside that it simply
            is; None if it is computed.
    """

    form: Any
    types: tuple[type, ...] | None
    value_bits: tuple[int, ...]
    aliases: tuple[Any, ...]

    @property
    def is_value(self) -> bool:
        """Whether any output is a Value whatever the arguments are."""
        return any(bits & ALWAYS for bits in self.value_bits)

    @classmethod
    def of(cls, result: Any, recorder: Recorder, name: str) -> tuple["Result", list[Any]]:
        """The Result of a recorded function, and its outputs."""
        outputs = list(leaves(result))
        for output in outputs:
            if not isinstance(output, Ops):
                exact = number(output, f"{name}: its result")
                if type(output) is int and exact != output:
                    raise RecordingError(
                        f"{name}: the whole number {output} in the result is too large to be exact "
                        "in a float; compute it outside of the compiled function"
                    )
        inputs = {id(node): k for k, node in enumerate(recorder.inputs)}
        aliases = [
            output
            if type(output) is Value and output not in recorder.own_leaves
            else inputs.get(id(output))
            for output in outputs
        ]
        types = tuple(_type(output) for output in outputs)
        described = cls(
            rebuilt(result, iter(range(len(outputs)))),
            None if set(types) <= {float} else types,
            tuple(value_bits_of(output) for output in outputs),
            tuple(aliases),
        )
        return described, list(map(recorder.on_tape, outputs))

    @classmethod
    def plain(cls, form: Any) -> "Result":
        """A Result of floats, each a Value where operations are recorded."""
        count = sum(1 for _ in leaves(form))
        return cls(form, None, (ALWAYS,) * count, (None,) * count)


def _type(output: Any) -> type:
    kind = int if type(output) is Index else type(output)
    return kind if kind in (int, bool) else float


@dataclass(slots=True)
class Run:
    """What one recording gave for some samples.

    Attributes:
        good: whether all samples passed their guards, and every result is finite.
        out: the outputs, of shape (samples, outputs).
        status: of each sample: PASSED, FAILED or DOUBTFUL.
        back: the gradients in the inputs, of each sample.
        gradients: the gradients in the parameters, summed over the samples.
    """

    good: bool
    out: Array
    status: Array
    back: Array
    gradients: Array


class Recording:
    """A Program, the parameters that it was recorded with, and the memory that it runs in.

    Args:
        program, parameters: what was recorded.
        result: the Result, or just its form.
        engine_name: the engine; see `engines.engine`.
        precision: the type of numbers in which the engine computes.
        grad_leaves: leaves whose `.grad` is an input, after the inputs from the arguments.

    Attributes:
        outputs: how many numbers the result has.
        derived: what is computed from the recording once, and dropped with it: programs of its
            derivatives, and the bundle of its parameters.
    """

    def __init__(
        self,
        program: Program,
        parameters: list[Value],
        result: Any,
        engine_name: str,
        grad_leaves: Sequence[Value] = (),
        precision: Precision = DOUBLE,
    ) -> None:
        self.program, self.parameters, self.precision = program, parameters, precision
        self.result: Result = result if isinstance(result, Result) else Result.plain(result)
        self.grad_leaves = list(grad_leaves)
        self.outputs = len(program.tape.outputs)
        self.engine = engine(program, engine_name, precision)
        self.own_runs = parameter_runs(np.arange(len(parameters)), len(program.tape.constants))
        self.derived: dict[Any, Any] = {}
        self._numbers = np.zeros(0)

    @cached_property
    def precise(self) -> "Recording":
        """The same recording in float64, for samples for which this one cannot answer."""
        return Recording(
            self.program, self.parameters, self.result, self.engine.name, self.grad_leaves
        )

    @property
    def form(self) -> Any:
        """The nesting of the result, with the index of each output in place of the output."""
        return self.result.form

    def numbers(self) -> Array:
        """The current numbers of the parameters."""
        return np.fromiter(map(data_of, self.parameters), np.float64, len(self.parameters))

    def cached_numbers(self) -> Array:
        """The same numbers, as one shared array for as long as they do not change."""
        numbers = self.numbers()
        if numbers.tobytes() != self._numbers.tobytes():
            self._numbers = numbers
        return self._numbers

    @cached_property
    def dependence(self) -> Dependence:
        """What the outputs depend on."""
        return Dependence(self.program.tape, slopes=False)

    @cached_property
    def slope_dependence(self) -> Dependence:
        """What the outputs depend on, along operands that get a gradient."""
        return Dependence(self.program.tape, slopes=True)

    def reached(self, numbers: Array, row: Array, outputs: Iterable[int]) -> Array:
        """Whether a gradient of some outputs reaches each input, then each parameter.

        Unlike `slope_dependence`, it follows the choices that are made at these numbers.
        """
        slopes = self.eager_slopes(numbers, row, dict.fromkeys(outputs, math.nan))
        reached: Array = np.isnan(slopes)
        return reached

    def eager_slopes(self, numbers: Array, row: Array, weights: dict[int, float]) -> Array:
        """The gradient of a weighted sum of outputs, in inputs and parameters, from Values."""
        lifted = self.program.lift(numbers.tolist(), row.tolist())
        for k, weight in weights.items():
            accumulate(lifted.outputs[k], weight)  # which does not warn of inf and nan
        return np.array(grads([*lifted.inputs, *lifted.parameters]))

    def widened(self, x: Array, slopes: Iterable[float] | None = None) -> Array:
        """The samples' numbers, followed by the gradients that the function reads."""
        if not self.grad_leaves:
            return x
        read = np.array(grads(self.grad_leaves) if slopes is None else list(slopes), np.float64)
        return np.hstack([x, np.tile(read, (len(x), 1))])

    def memory(self, samples: int) -> Any:
        """The memory of the engine for so many samples, in this thread."""
        return self.engine.memory(samples)

    def run(
        self,
        numbers: Array,
        where: Array,
        x: Array,
        seeds: Array | None,
        gradients: Array,
        threads: int | None = None,
        several: bool = False,
    ) -> Run:
        """What the engine gives for samples x.

        `where` says which of the numbers are the parameters; see `parameter_runs`.  With seeds,
        `gradients` is set to the gradient of the outputs, weighted by the seeds and summed over the
        samples.  With `several`, one sample is computed as it would be next to others, to the same
        bits.
        """
        tape = self.program.tape
        samples = len(x)
        out = np.empty((samples, len(tape.outputs)))
        status = np.empty(samples, dtype=np.int64)
        back = np.empty((samples, tape.inputs)) if seeds is not None else out
        batch = Batch(
            numbers=numbers, where=where, x=np.ascontiguousarray(x),
            seeds=_NO_SEEDS if seeds is None else seeds, out=out, status=status, back=back,
            gradients=gradients, differentiate=seeds is not None,
        )  # fmt: skip
        memory = self.memory(max(samples, 1 + several))
        good = self.engine.run(memory, batch, threads)
        return Run(good, out, status, back, gradients)

    def own_numbers(self, numbers: Array, where: Array) -> Array:
        """The numbers of the parameters, taken from others; `where` is as for `run`."""
        own, start = np.empty(len(self.parameters)), len(self.program.tape.constants)
        for to, at, count in where.tolist():
            own[to - start : to - start + count] = numbers[at : at + count]
        return own

    def run_eagerly(
        self, numbers: Array, where: Array, x: Array, seeds: Array | None, gradients: Array
    ) -> Run:
        """The same as `run`, computed in Values sample by sample: the bits of the eager engine."""
        out, statuses, back = [], [], []
        gradients[:] = 0.0
        own, start = self.own_numbers(numbers, where), len(self.program.tape.constants)
        slopes = np.zeros(len(own))
        for row in x:
            lifted = self.program.lift(own.tolist(), row.tolist())
            out.append([z.data for z in lifted.outputs])
            statuses.append(PASSED if lifted.passed else FAILED)
            if seeds is not None:
                if lifted.passed:
                    for z, seed in zip(lifted.outputs, seeds.tolist(), strict=True):
                        accumulate(z, seed)  # which does not warn of inf and nan
                # An overflow of the sum gives no warning here.
                slopes = quietly(partial(np.add, slopes, grads(lifted.parameters)))
                back.append(grads(lifted.inputs))
        for to, at, count in where.tolist():
            gradients[at : at + count] = slopes[to - start : to - start + count]
        status = np.array(statuses)
        shaped = np.array(back).reshape(len(back), x.shape[1])
        return Run(bool((status == PASSED).all()), np.array(out), status, shaped, gradients)


def recording_of(
    recorder: Recorder, result: Any, name: str, engine_name: str, precision: Precision
) -> Recording:
    """The Recording of a function that returned the result while the recorder listened."""
    described, outputs = Result.of(result, recorder, name)
    tape, parameters = freeze(recorder, outputs, _plain(described.form))
    leaves = list(recorder.grads)
    return Recording(Program(tape), parameters, described, engine_name, leaves, precision)


def _plain(form: Any) -> Any:
    if isinstance(form, dict):
        return {str(key): _plain(part) for key, part in form.items()}
    return [_plain(part) for part in form] if isinstance(form, list | tuple) else form


def parameter_runs(positions: Array, start: int) -> Array:
    """Parameters at these positions of an array, as rows of (offset, position, count).

    In memory, the parameters lie one after the other from the offset `start` on.
    """
    rows = runs(positions)
    ends = start + np.cumsum(rows[:, 1])
    return np.column_stack([ends - rows[:, 1], rows])


class RecordingCache:
    """Recordings by key, with the key that was looked up last at the end.

    Args:
        limit: how many recordings are kept; those of the key that is unused for longest go first.

    Attributes:
        added: how many have been added so far.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.added = limit, 0
        self.entries: OrderedDict[Any, list[Recording]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: Any) -> list[Recording]:
        """The recordings of a key, the latest first."""
        with self._lock:
            recordings = self.entries.get(key)
            if recordings is None:
                return []
            self.entries.move_to_end(key)
            return list(recordings)

    def all(self) -> list[Recording]:
        """Every recording."""
        with self._lock:
            return [recording for entry in self.entries.values() for recording in entry]

    def store(self, key: Any, recording: Recording) -> None:
        """Store a recording and drop the surplus; Ctrl-C comes before all of it or after."""
        with self._lock:
            entries = OrderedDict(self.entries)
            entries[key] = [recording, *entries.get(key, [])]
            while (surplus := sum(map(len, entries.values())) - self.limit) > 0:
                oldest, recordings = entries.popitem(last=False)
                if len(recordings) > surplus:
                    entries[oldest] = recordings[:-surplus]
                    entries.move_to_end(oldest, last=False)
            vars(self).update(entries=entries, added=self.added + 1)

    def clear(self) -> None:
        """Drop every recording."""
        with self._lock:
            self.entries = OrderedDict()
