"""`Recording`: what a function did once, as a program, with the memory that it runs in."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from autograd.compiled.dependence import Dependence
from autograd.compiled.encoded import FAILED, HELD, Batch
from autograd.compiled.engines import engine
from autograd.compiled.frozen import freeze
from autograd.compiled.program import Program
from autograd.compiled.recorder import Recorder
from autograd.compiled.tape import SOLID, kinds_of
from autograd.compiled.whole_numbers import Index
from autograd.nestings import leaves, rebuilt
from autograd.operands import number
from autograd.ops import Ops
from autograd.value import Value, accumulate, data_of, grads

Array = Any
_NONE = np.zeros(0)


@dataclass(frozen=True)
class Result:
    """What a recorded function returns.

    Attributes:
        form: the nesting, with whole numbers for the places of the outputs.
        types: what an output is where it is plain: float, int or bool; None if all are floats.
        kinds: for each output the bits of the inputs that make it a Value, and SOLID.
        same: for each output the number of the input that it is, or the leaf from outside, if it
            is no more than that.
    """

    form: Any
    types: tuple[type, ...] | None
    kinds: tuple[int, ...]
    same: tuple[Any, ...]

    @property
    def is_value(self) -> bool:
        """Whether any of it is a Value, whatever the arguments are."""
        return any(kinds & SOLID for kinds in self.kinds)

    @classmethod
    def of(cls, result: Any, recorder: Recorder, name: str) -> tuple["Result", list[Any]]:
        """The result of a function that was recorded, and its outputs."""
        outputs = list(leaves(result))
        for one in outputs:
            if not isinstance(one, Ops):
                number(one, f"{name}: its result")
        inputs = {id(node): k for k, node in enumerate(recorder.inputs)}
        same = [
            one if type(one) is Value and one not in recorder.born else inputs.get(id(one))
            for one in outputs
        ]
        types = tuple(_type(one) for one in outputs)
        made = cls(
            rebuilt(result, iter(range(len(outputs)))),
            None if set(types) <= {float} else types,
            tuple(kinds_of(one) for one in outputs),
            tuple(same),
        )
        return made, outputs

    @classmethod
    def plain(cls, form: Any) -> "Result":
        """A result of numbers that depend on Values."""
        count = sum(1 for _ in leaves(form))
        return cls(form, None, (SOLID,) * count, (None,) * count)


def _type(output: Any) -> type:
    if type(output) is Index:
        return int
    kind = type(output)
    return kind if kind in (int, bool) else float


class Recording:
    """A Program, the parameters that it was recorded with, and the memory that it runs in.

    Args:
        program, parameters: what was recorded.
        result: what the function returns, or its nesting, with whole numbers for the outputs.
        wanted: the engine.

    Attributes:
        outputs: how many numbers the result has.
        read: leaves whose `.grad` is an input, after those that come from the arguments.
        derived: what was made of it once, and is forgotten with it: programs of its derivatives,
            and the bundle of its parameters.
    """

    def __init__(
        self,
        program: Program,
        parameters: list[Value],
        result: Any,
        wanted: str,
        read: Sequence[Value] = (),
    ) -> None:
        self.program, self.parameters = program, parameters
        self.result: Result = result if isinstance(result, Result) else Result.plain(result)
        self.read = list(read)
        self.outputs = len(program.tape.outputs)
        self.engine = engine(program, wanted)
        self.own = runs(np.arange(len(parameters)), len(program.tape.constants))
        self.derived: dict[Any, Any] = {}
        self._numbers = np.zeros(0)

    @property
    def form(self) -> Any:
        """The nesting of the result, with whole numbers for the places of the outputs."""
        return self.result.form

    def numbers(self) -> Array:
        """The parameters' numbers, now."""
        return np.fromiter(map(data_of, self.parameters), np.float64, len(self.parameters))

    def kept_numbers(self) -> Array:
        """The same to be kept: one array while they do not change."""
        found = self.numbers()
        if found.tobytes() != self._numbers.tobytes():
            self._numbers = found
        return self._numbers

    @cached_property
    def depends(self) -> Dependence:
        """What the outputs depend on."""
        return Dependence(self.program.tape, slopes=False)

    @cached_property
    def sloping(self) -> Dependence:
        """What the outputs depend on, as far as a gradient goes."""
        return Dependence(self.program.tape, slopes=True)

    def reached(self, numbers: Array, row: Array, outputs: Iterable[int]) -> Array:
        """Whether a gradient goes from some outputs to each input, then to each parameter.

        Unlike `sloping`, it goes by what was chosen at these numbers.
        """
        lifted = self.program.lift(numbers.tolist(), row.tolist())
        for k in outputs:
            accumulate(lifted.outputs[k], math.nan)
        found: Array = np.isnan(grads([*lifted.inputs, *lifted.parameters]))
        return found

    def widened(self, x: Array, slopes: Iterable[float] | None = None) -> Array:
        """The samples' numbers, with the gradients that the function reads behind them."""
        if not self.read:
            return x
        found = np.array(grads(self.read) if slopes is None else list(slopes), dtype=np.float64)
        return np.hstack([x, np.tile(found, (len(x), 1))])

    def memory(self, samples: int) -> Any:
        """What the engine keeps for so many samples, in this thread."""
        return self.engine.memory(samples)

    def run(
        self,
        numbers: Array,
        where: Array,
        x: Array,
        seeds: Array | None,
        gradients: Array,
        threads: int = 1,
        several: bool = False,
    ) -> tuple[bool, Array, Array, Array]:
        """Whether all went well; outputs (samples, outputs), guards, gradients in the inputs.

        `where` says which numbers the parameters are (see `runs`); with seeds, `gradients` becomes
        the gradient of the seeds' sum over the samples.  With `several`, one sample is computed as
        it would be among others, to the same bits.
        """
        tape = self.program.tape
        samples = len(x)
        out = np.empty((samples, len(tape.outputs)))
        held = np.empty(samples, dtype=np.int64)
        inputs = np.empty((samples, tape.inputs)) if seeds is not None else out
        batch = Batch(
            numbers=numbers, where=where, x=np.ascontiguousarray(x),
            seeds=_NONE if seeds is None else seeds, out=out, held=held, inputs=inputs,
            gradients=gradients, differentiate=seeds is not None,
        )  # fmt: skip
        memory = self.memory(max(samples, 1 + several))
        good = self.engine.prepared(memory, batch, threads)()
        return good, out, held, inputs

    def own_numbers(self, numbers: Array, where: Array) -> Array:
        """The numbers of the parameters among others; `where` says where they are (see `runs`)."""
        own, start = np.empty(len(self.parameters)), len(self.program.tape.constants)
        for to, at, count in where.tolist():
            own[to - start : to - start + count] = numbers[at : at + count]
        return own

    def exactly(
        self, numbers: Array, where: Array, x: Array, seeds: Array | None, gradients: Array
    ) -> tuple[bool, Array, Array, Array]:
        """The same, replayed in Values, sample by sample: the bits of the eager engine."""
        out, held, inputs = [], [], []
        gradients[:] = 0.0
        own, start = self.own_numbers(numbers, where), len(self.program.tape.constants)
        slopes = np.zeros(len(own))
        for row in x:
            lifted = self.program.lift(own.tolist(), row.tolist())
            out.append([z.data for z in lifted.outputs])
            held.append(HELD if lifted.held else FAILED)
            if seeds is not None:
                if lifted.held:
                    for z, seed in zip(lifted.outputs, seeds.tolist(), strict=True):
                        accumulate(z, seed)  # which does not warn of inf and nan
                slopes += grads(lifted.parameters)
                inputs.append(grads(lifted.inputs))
        for to, at, count in where.tolist():
            gradients[at : at + count] = slopes[to - start : to - start + count]
        found = np.array(held)
        back = np.array(inputs).reshape(len(inputs), x.shape[1])
        return bool((found == HELD).all()), np.array(out), found, back


def made(recorder: Recorder, result: Any, name: str, wanted: str) -> Recording:
    """The Recording of what a recorder has seen of a function that returned the result."""
    found, outputs = Result.of(result, recorder, name)
    tape, parameters = freeze(recorder, outputs, _plain(found.form))
    return Recording(Program(tape), parameters, found, wanted, list(recorder.grads))


def _plain(form: Any) -> Any:
    if isinstance(form, dict):
        return {str(key): _plain(part) for key, part in form.items()}
    return [_plain(part) for part in form] if isinstance(form, list | tuple) else form


def runs(places: Array, start: int) -> Array:
    """Parameters at these places, as rows of (place in memory, place in an array, how many)."""
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    first = np.concatenate([[0], breaks])[: len(places)].astype(np.int64)
    counts = np.diff(np.concatenate([first, [len(places)]]))
    return np.stack([start + first, places[first], counts], axis=1).astype(np.int64)


class Shelf:
    """The recordings that are kept: by key, the key that was asked for last at the end.

    Args:
        most: how many recordings are kept; the oldest of the oldest key are forgotten first.

    Attributes:
        added: how many there have been.
    """

    def __init__(self, most: int) -> None:
        self.most, self.added = most, 0
        self.kept: OrderedDict[Any, list[Recording]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.kept)

    def of(self, key: Any) -> list[Recording]:
        """The recordings of a key, the latest first."""
        with self._lock:
            found = self.kept.get(key)
            if found is None:
                return []
            self.kept.move_to_end(key)
            return list(found)

    def all(self) -> list[Recording]:
        """Every recording."""
        with self._lock:
            return [one for found in self.kept.values() for one in found]

    def keep(self, key: Any, one: Recording) -> None:
        """Keep one more, and forget what is too much; Ctrl-C comes before all of it or after."""
        with self._lock:
            kept = OrderedDict(self.kept)
            kept[key] = [one, *kept.get(key, [])]
            while (spare := sum(map(len, kept.values())) - self.most) > 0:
                oldest, found = kept.popitem(last=False)
                if len(found) > spare:
                    kept[oldest] = found[:-spare]
                    kept.move_to_end(oldest, last=False)
            vars(self).update(kept=kept, added=self.added + 1)

    def clear(self) -> None:
        """Forget every recording."""
        with self._lock:
            self.kept = OrderedDict()
