"""`compile`: a function of scalars that is recorded once and then runs at native speed."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import call
from typing import Any, Self

from autograd.ops import Ops, number
from autograd.tape import Recorded, Recorder, RecordingError, number_of, one_recording
from autograd.transform import hvp, leaves, rebuilt
from autograd.value import (
    Value,
    accumulate,
    at_once,
    grad_writer,
    number_writer,
    numbers,
    one_pass,
    present_mode,
)

try:
    import numpy as np

    from autograd.engines import DOUBTFUL, FAILED, HELD, Encoded, engine
    from autograd.program import Program, freeze
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    raise ModuleNotFoundError(
        "compile needs NumPy, and is quick with numba: pip install 'chainrule[fast]'"
    ) from None

Array = Any
_NONE = np.zeros(0)
BLOCKS = (1, 8, 16, 32, 64)  # samples that are computed side by side
PART = 64  # samples that one thread computes before it takes more
_WHOLE, _PLAIN, _NUMBERS = "iu", "iuf", "iufb"  # NumPy's kinds; the last has truth values, too


class Recording:
    """A Program, the parameters that it was recorded with, and the memory that it runs in.

    Attributes:
        form: the nesting of the result, with whole numbers for the places of the outputs.
    """

    def __init__(self, program: Program, parameters: list[Value], form: Any, wanted: str) -> None:
        self.program, self.parameters, self.form = program, parameters, form
        self.engine = engine(program, wanted)
        self.own = _runs(np.arange(len(parameters)), len(program.tape.constants))
        self._codes: dict[int, Encoded] = {}
        self._local = threading.local()

    def numbers(self) -> Array:
        """The parameters' numbers, now."""
        return np.array(numbers(self.parameters))

    def memory(self, samples: int) -> tuple[Encoded, Array, Array]:
        """The code for so many samples, and this thread's memory for it."""
        block = next((size for size in BLOCKS if size >= samples), BLOCKS[-1])
        held: dict[Any, Any] = self._local.__dict__
        if block not in held:
            if block not in self._codes:
                self._codes[block] = Encoded(self.program, block)
            code = self._codes[block]
            memory = np.zeros(code.size)
            memory[: code.shared] = 1.0
            constants = self.program.tape.constants
            memory[: len(constants)] = constants
            held[block] = code, memory, np.zeros(code.size)
        return held[block]  # type: ignore[no-any-return]

    def run(
        self, numbers: Array, where: Array, x: Array, seeds: Array | None, gradients: Array
    ) -> tuple[bool, Array, Array, Array]:
        """Whether all went well; outputs (samples, outputs), guards, gradients in the inputs.

        `where` says which numbers the parameters are (see `_runs`); with seeds, `gradients` becomes
        the gradient of the seeds' sum over the samples.
        """
        tape = self.program.tape
        samples = len(x)
        code, memory, grad = self.memory(samples)
        out = np.empty((samples, len(tape.outputs)))
        held = np.empty(samples, dtype=np.int64)
        inputs = np.empty((samples, tape.inputs)) if seeds is not None else out
        good = self.engine.sweep(
            code, numbers, where, x, _NONE if seeds is None else seeds, memory, grad,
            out, held, inputs, gradients, seeds is not None,
        )  # fmt: skip
        return good, out, held, inputs

    def exactly(
        self, numbers: Array, where: Array, x: Array, seeds: Array | None, gradients: Array
    ) -> tuple[bool, Array, Array, Array]:
        """The same, replayed in Values, sample by sample: the bits of the eager engine."""
        out, held, inputs = [], [], []
        gradients[:] = 0.0
        own = np.empty(len(self.parameters))
        start = len(self.program.tape.constants)
        for to, at, count in where.tolist():
            own[to - start : to - start + count] = numbers[at : at + count]
        slopes = np.zeros(len(own))
        for row in x:
            lifted = self.program.lift(own.tolist(), row.tolist())
            out.append([z.data for z in lifted.outputs])
            held.append(HELD if lifted.held else FAILED)
            if seeds is not None:
                if lifted.held:
                    for z, seed in zip(lifted.outputs, seeds.tolist(), strict=True):
                        accumulate(z, seed)  # which does not warn of inf and nan
                slopes += [p.grad for p in lifted.parameters]
                inputs.append([p.grad for p in lifted.inputs])
        for to, at, count in where.tolist():
            gradients[at : at + count] = slopes[to - start : to - start + count]
        found = np.array(held)
        back = np.array(inputs).reshape(len(inputs), x.shape[1])
        return bool((found == HELD).all()), np.array(out), found, back


def _runs(places: Array, start: int) -> Array:
    """Parameters at these places, as rows of (place in memory, place in an array, how many)."""
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    first = np.concatenate([[0], breaks])[: len(places)].astype(np.int64)
    counts = np.diff(np.concatenate([first, [len(places)]]))
    return np.stack([start + first, places[first], counts], axis=1).astype(np.int64)


class Compiled:
    """A function that replays what it was recorded to do; made by `compile`.

    Attributes:
        recorded: how many times the function has been recorded.
    """

    def __init__(
        self, function: Callable[..., Any], engine: str, exact: bool, reduction: str | None,
        threads: int, cache: int,
    ) -> None:  # fmt: skip
        self.function, self.engine, self.exact = function, engine, exact
        self.reduction, self.threads, self.cache = reduction, threads, cache
        self._cache: OrderedDict[Any, list[Recording]] = OrderedDict()
        self._latest: tuple[Recording, ...] = ()
        self._here = threading.local()
        self._lock = threading.RLock()
        self._hvps: dict[Recording, Compiled] = {}
        self.recorded = 0
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", "compiled")

    def __repr__(self) -> str:
        shapes, count = len(self._cache), len(self.recordings)
        return f"compiled {self.__name__}: {count} recording(s) of {shapes} shape(s)"

    # ------------------------------------------------------------------ recordings

    @property
    def last(self) -> Recording:
        """The recording that ran last, in this thread if it has called; RuntimeError if none."""
        return self._used()[-1]

    def _used(self) -> tuple[Recording, ...]:
        """The recordings that served the last call, in the order of the rows that chose them."""
        used: tuple[Recording, ...] = getattr(self._here, "used", self._latest)
        if not used:
            raise RuntimeError(f"{self.__name__}: nothing is recorded before the first call")
        return used

    def _ran(self, *used: Recording) -> None:
        self._latest = self._here.used = used

    @property
    def program(self) -> Program:
        """The program that ran last."""
        return self.last.program

    @property
    def parameters(self) -> list[Value]:
        """The leaves from outside that the last call depended on.

        They are in the order of the program that ran; where rows took different branches, in that
        of all the programs that ran, one after the other.
        """
        used = self._used()
        if len(used) == 1:
            return used[0].parameters
        return list(dict.fromkeys(p for one in used for p in one.parameters))

    @property
    def recordings(self) -> list[Recording]:
        """Everything in the cache, the shape that was used last at the end."""
        with self._lock:
            return [one for found in self._cache.values() for one in found]

    def clear(self) -> None:
        """Forget every recording."""
        with self._lock:
            self._cache.clear()
            self._hvps.clear()

    def _recorded(
        self, call: "_Call", row: Array, tried: list[Recording]
    ) -> tuple[Recording, bool]:
        """A recording of the row, and whether it is new: another thread may have made one."""
        with one_recording:
            others = [one for one in self._known(call.key) if one not in tried]
            return (others[0], False) if others else (self._record(call, row), True)

    def _record(self, call: "_Call", row: Array) -> Recording:
        recorder = Recorder()
        try:
            result = recorder.run(self.function, call.enter(recorder, row))
            outputs = list(leaves(result))
            for one in outputs:
                if not isinstance(one, Ops):
                    number(one, f"{self.__name__}: its result")
            form = rebuilt(result, iter(range(len(outputs))))
            tape, parameters = freeze(recorder, outputs, _plain(form))
        finally:
            recorder.forget()
        made = Recording(Program(tape), parameters, form, self.engine)
        with self._lock:
            kept = OrderedDict(self._cache)
            kept[call.key] = [made, *kept.get(call.key, [])]
            while (spare := sum(map(len, kept.values())) - self.cache) > 0:
                oldest, found = kept.popitem(last=False)
                if len(found) > spare:
                    kept[oldest] = found[:-spare]
                    kept.move_to_end(oldest, last=False)
            held = {one for found in kept.values() for one in found}
            hvps = {one: along for one, along in self._hvps.items() if one in held}
            # One step: Ctrl-C finds the cache as it was, or with the recording in it.
            vars(self).update(_cache=kept, _hvps=hvps, recorded=self.recorded + 1)
        return made

    def _known(self, key: Any) -> list[Recording]:
        with self._lock:
            found = self._cache.get(key)
            if found is None:
                return []
            self._cache.move_to_end(key)
            return list(found)

    def _each(
        self, call: "_Call", differentiate: bool, scale: float, sink: "_Sink"
    ) -> tuple[Recording, Array, Array]:
        """A recording that served; outputs of all samples, and gradients in the inputs.

        The gradients in the parameters go to the sink.
        """
        x = call.numbers
        known = self._known(call.key)
        if known:
            # The usual case: what ran last is good for all samples.
            one = known[0]
            good, out, _, back, gradients = self._run(one, x, differentiate, scale, sink)
            if good:
                if differentiate:
                    sink.keep(one, gradients)
                self._ran(one)
                return one, out, back
        todo = np.arange(len(x))
        total: Any = None
        back = np.zeros(x.shape)
        tried: list[Recording] = []
        used: list[Recording] = []
        while len(todo):
            fresh = False
            if known:
                one = known.pop(0)
            else:
                if sink.flat is not None:
                    sink.flat.write()  # the function runs on the Values
                one, fresh = self._recorded(call, x[todo[0]], tried)
            tried.append(one)
            held = self._run(one, x[todo], False, scale, sink)[2].copy()
            if fresh and held[0] == FAILED:
                # It was recorded with this sample's own numbers: only rounding can say otherwise.
                held[0] = DOUBTFUL
            for k in np.flatnonzero(held == DOUBTFUL):
                row = x[todo[k : k + 1]]
                if self._exactly(one, row, False, scale, sink)[2][0] == FAILED:
                    held[k] = FAILED
            if fresh and held[0] == FAILED:
                raise RecordingError(
                    f"{self.__name__}: the function does not do the same again for the same "
                    "numbers; it must not depend on random numbers or on what it changes itself"
                )
            for answer, run in ((HELD, self._run), (DOUBTFUL, self._exactly)):
                chosen = todo[held == answer]
                if not len(chosen):
                    continue
                _, out, _, inputs, gradients = run(one, x[chosen], differentiate, scale, sink)
                if differentiate:
                    sink.keep(one, gradients)
                if total is None:
                    first, total = one, np.empty((len(x), out.shape[1]))
                if one.form != first.form:
                    raise TypeError(
                        f"{self.__name__}: another nesting for some rows, {one.form!r:.50}, "
                        f"than for others, {first.form!r:.60}"
                    )
                total[chosen] = out
                if differentiate:
                    back[chosen] = inputs
                if one not in used:
                    used.append(one)
            todo = todo[held == FAILED]
        self._ran(*used)
        return first, total, back

    def _computed(self, call: "_Call", sink: "_Sink") -> tuple[Recording, Array]:
        """A recording that served, and outputs of all samples; no gradients."""
        return self._each(call, False, 1.0, sink)[:2]

    def _run(
        self, one: Recording, x: Array, differentiate: bool, scale: float, sink: "_Sink"
    ) -> tuple[bool, Array, Array, Array, Array]:
        """What `Recording.run` gives, and the gradients in the parameters."""
        if self.exact:
            return self._exactly(one, x, differentiate, scale, sink)
        numbers, where, gradients = sink.arrays(one)
        seeds = np.full(len(one.program.tape.outputs), scale) if differentiate else None
        if self.threads > 1 and len(x) > PART:
            # Fixed parts, added in order: the bits do not depend on the number of threads.
            parts = [x[i : i + PART] for i in range(0, len(x), PART)]
            own = [np.zeros(len(gradients)) for _ in parts]
            with ThreadPoolExecutor(self.threads) as pool:
                found = list(
                    pool.map(lambda part, g: one.run(numbers, where, part, seeds, g), parts, own)
                )
            gradients = sum(own[1:], own[0])
            good = all(one[0] for one in found)
            out, held, back = (np.concatenate([one[k] for one in found]) for k in (1, 2, 3))
        else:
            good, out, held, back = one.run(numbers, where, x, seeds, gradients)
        if not good and not (
            np.isfinite(out[held == HELD]).all()
            and (not differentiate or (np.isfinite(gradients).all() and np.isfinite(back).all()))
        ):
            # Where inf or nan appear, the order of operations matters: the eager one decides.
            return self._exactly(one, x, differentiate, scale, sink)
        return good or bool((held == HELD).all()), out, held, back, gradients

    def _exactly(
        self, one: Recording, x: Array, differentiate: bool, scale: float, sink: "_Sink"
    ) -> tuple[bool, Array, Array, Array, Array]:
        numbers, where, gradients = sink.arrays(one)
        seeds = np.full(len(one.program.tape.outputs), scale) if differentiate else None
        return (*one.exactly(numbers, where, x, seeds, gradients), gradients)

    # ------------------------------------------------------------------ calls

    def __call__(self, *args: Any) -> Any:
        """What the function returns, as numbers; for each row, if an argument has rows."""
        if type(present_mode()) is Recorded:
            return self.function(*args)  # it becomes a part of what is being recorded
        call = _Call(args)
        one, out = self._computed(call, _Sink())
        return self._shown(call, one, out)

    def _shown(self, call: "_Call", one: Recording, out: Array) -> Any:
        form = one.form
        if not call.batched:
            return rebuilt(form, iter(out[0].tolist()))
        if self.reduction is not None:
            total = np.add.reduce(out)
            if self.reduction == "mean":
                total /= len(out)
            return rebuilt(form, iter(total.tolist()))
        return rebuilt(form, iter(out.T))

    def _differentiated(self, args: tuple[Any, ...], sink: "_Sink") -> Any:
        call = _Call(args)
        scale = 1.0 / len(call.numbers) if self.reduction == "mean" else 1.0
        one, out, back = self._each(call, True, scale, sink)
        if out.shape[1] != 1:
            raise TypeError(f"{self.__name__}: must return one number to be differentiated")
        return call, one, out, back

    def backward(self, *args: Any) -> Any:
        """The result; and its derivatives are added to the `.grad` of the parameters.

        With rows, it is the sum over them that is differentiated, or the mean with
        `reduction="mean"`.
        """
        sink = _Sink()
        call, one, out, _ = self._differentiated(args, sink)
        shown, total = self._shown(call, one, out), sink.total()
        with one_pass:  # nothing that another thread adds gets lost
            slopes = [p.grad + slope for p, slope in total.items()]
            grad_writer(total, slopes)()
        return shown

    def value_and_grad(self, *args: Any, argnums: int | tuple[int, ...] = 0) -> Any:
        """(result, gradient in an argument), in the nesting of that argument.

        `argnums` chooses the argument, or several; those given as arrays get arrays.
        """
        call, one, out, back = self._differentiated(args, _Sink())
        chosen = argnums if isinstance(argnums, tuple) else (argnums,)
        parts = tuple(call.like(k, back) for k in chosen)
        return self._shown(call, one, out), parts if isinstance(argnums, tuple) else parts[0]

    def parameter_gradients(self, *args: Any) -> tuple[Any, Array]:
        """(result, gradient in the parameters as an array), in the order of `.parameters`."""
        sink = _Sink()
        call, one, out, _ = self._differentiated(args, sink)
        total = sink.total()
        return self._shown(call, one, out), np.array([total[p] for p in self.parameters])

    def claims(self, inputs: Sequence[Any], parameters: Sequence[Value]) -> list[float]:
        """The gradient in every number of the inputs, then in the parameters, for a checker."""
        sink = _Sink()
        *_, back = self._differentiated(tuple(inputs), sink)
        total = sink.total()
        return [*back.ravel().tolist(), *(total.get(p, 0.0) for p in parameters)]

    def per_sample_gradients(self, *args: Any) -> Array:
        """The gradient of each row's result in the parameters: (rows, parameters)."""
        call = _Call(args)
        made = []
        used: dict[Recording, None] = {}
        for row in call.numbers:
            sink = _Sink()
            self._each(call.of(row), True, 1.0, sink)
            made.append(sink.total())
            used |= dict.fromkeys(self._used())
        self._ran(*used)
        return np.array([[one.get(p, 0.0) for p in self.parameters] for one in made])

    def hvp(self, vector: Sequence[float], *args: Any) -> Array:
        """The Hessian in the parameters times a vector, in the order of `.parameters`.

        It is the sum over rows (or the mean) of the Hessians of the results.  Without the Hessian:
        the gradient's program is itself recorded and differentiated (Pearlmutter 1994).

        >>> w = Value(2.0)
        >>> f = compile(lambda x: w * w * w * x)
        >>> f(1.0), f.hvp([1.0], 1.0).tolist()
        (8.0, [12.0])
        """
        call = _Call(args)
        self._computed(call, _Sink())
        used, order, v = self._used(), self.parameters, np.asarray(vector, dtype=np.float64)
        if v.shape != (len(order),):
            raise ValueError(f"hvp: expected {len(order)} numbers, got a shape of {v.shape}")
        along = dict(zip(order, v.tolist(), strict=True))
        total = dict.fromkeys(order, 0.0)
        for row in call.numbers:
            # Rows may have taken different branches, each with parameters of its own.
            one, _ = self._computed(call.of(row), _Sink())
            part = np.array([along[p] for p in one.parameters])
            found = self._along(one)(one.numbers()[None, :], row[None, :], part[None, :])
            for p, product in zip(one.parameters, np.ravel(found).tolist(), strict=True):
                total[p] += product
        self._ran(*used)
        products = np.array(list(total.values()))
        return products / len(call.numbers) if self.reduction == "mean" else products

    def _along(self, one: Recording) -> "Compiled":
        """The product of a recording's Hessian with a vector, of parameters, inputs and vector."""
        found = self._hvps.get(one)
        if found is None:
            replay = one.program.evaluate

            def second(parameters: list[Any], x: list[Any], v: list[Any]) -> Any:
                return hvp(lambda p: replay(p, x)[0], parameters, v)

            found = self._hvps[one] = Compiled(second, self.engine, self.exact, None, 1, 8)
        return found

    def flat(self, parameters: Sequence[Value]) -> "Flat":
        """The parameters as one array that the compiled function works on; see `Flat`."""
        return Flat(self, parameters)


class Flat:
    """Parameters in one array and their gradients in another, for training at native speed.

    A context: inside, the arrays hold the truth; at its end, also by an exception, the numbers and
    gradients go back to the Values' `.data` and `.grad`.  Calls from several threads take turns;
    each thread that wants gradients of its own needs a Flat of its own, as the next call, whoever
    makes it, puts others in their place.

    Args:
        compiled: what computes the loss.
        parameters: its leaves; one that a recording needs and is not among them is an error.

    Attributes:
        numbers, gradients: arrays in the order of the parameters.

    >>> w = Value(3.0)
    >>> with compile(lambda x: w * w * x).flat([w]) as flat:
    ...     loss = flat.backward(2.0)
    ...     flat.numbers -= 0.1 * flat.gradients
    >>> loss, w.grad, round(w.data, 6)
    (18.0, 12.0, 1.8)
    """

    def __init__(self, compiled: Compiled, parameters: Sequence[Value]) -> None:
        self.compiled = compiled
        self.parameters = list(parameters)
        self.place = {p: i for i, p in enumerate(self.parameters)}
        self.numbers = np.array(numbers(self.parameters))
        self.gradients = np.zeros(len(self.parameters))
        self._where: dict[Recording, Array] = {}
        self._plans: dict[Any, _Plan] = {}
        self._places: dict[int, tuple[list[Value], Any]] = {}
        self._turn = threading.RLock()

    def where(self, one: Recording) -> Array:
        """The places of a recording's parameters in the arrays, in runs."""
        found = self._where.get(one)
        if found is None:
            missing = [p for p in one.parameters if p not in self.place]
            if missing:
                raise ValueError(
                    f"flat: the function also depends on {missing[0]!r}, which is not among the "
                    "parameters; add it, or compute with its number (v.data)"
                )
            places = np.array([self.place[p] for p in one.parameters], dtype=np.int64)
            found = self._where[one] = _runs(places, len(one.program.tape.constants))
        return found

    def places(self, parameters: list[Value]) -> Any:
        """Where some of the parameters are in the arrays: a slice, or a list of indices.

        It is found once for each list, such as that of an optimizer's group.
        """
        known = self._places.get(id(parameters))
        if known is None:
            found = [self.place[p] for p in parameters]
            line = slice(found[0], found[0] + len(found))
            in_line = found == list(range(line.start, line.stop))
            known = self._places[id(parameters)] = parameters, line if in_line else found
        return known[1]

    def backward(self, *args: Any) -> Any:
        """The function's result; its gradient takes the place of `gradients`."""
        key: list[Any] = [threading.get_ident()]
        for arg in args:
            if type(arg) is not np.ndarray:
                break
            key += [arg.shape, arg.dtype]
        else:
            with self._turn:
                plan = self._plans.get(tuple(key))
                if plan is not None and plan.run(self, args):
                    return plan.result()
        sink = _Sink(self)
        with self._turn:
            call, one, out, _ = self.compiled._differentiated(args, sink)
            if len(key) > len(args) and args and call.batched and _Plan.serves(self.compiled, call):
                if len(self._plans) >= _MOST_PLANS:
                    self._plans.clear()
                self._plans[tuple(key)] = _Plan(self, one, call)
            self.gradients = sink.sum
        return self.compiled._shown(call, one, out)

    def __call__(self, *args: Any) -> Any:
        """The function's result with the numbers as they are here."""
        call = _Call(args)
        with self._turn:
            one, out = self.compiled._computed(call, _Sink(self))
        return self.compiled._shown(call, one, out)

    def write(self) -> None:
        """Give numbers and gradients to the Values, in one step that Ctrl-C cannot split."""
        written = [
            number_writer(self.parameters, self.numbers.tolist()),
            grad_writer(self.parameters, self.gradients.tolist()),
        ]
        at_once(map(call, written))

    def read(self) -> None:
        """Take the numbers from the Values."""
        self.numbers[:] = numbers(self.parameters)

    def __enter__(self) -> Self:
        self.read()
        return self

    def __exit__(self, *exception: object) -> None:
        self.write()


_MOST_PLANS = 64  # of different shapes, each with memory of its own


class _Plan:
    """A call of arrays that has been made before: what does not change from call to call.

    What is left to do is to copy the arguments and to jump into native code.
    """

    def __init__(self, flat: Flat, one: Recording, call: "_Call") -> None:
        # It is the Flat's, and does not hold it: the two would keep each other alive.
        self.one, self.reduction = one, flat.compiled.reduction
        samples, width = call.numbers.shape
        x = np.empty((samples, width))
        self.views, at = [], 0
        for column in call.columns:
            # Arrays of one dimension have one number a sample.
            step = column.shape[1]
            self.views.append((x[:, at : at + step], column.shape))
            at += step
        scale = 1.0 / samples if self.reduction == "mean" else 1.0
        self.x, self.seeds = x, np.array([scale])
        self.out = np.empty((samples, 1))
        self.held = np.empty(samples, dtype=np.int64)
        self.inputs = np.empty((samples, width))
        self.code, self.memory, self.grad = self.one.memory(samples)
        self.where = flat.where(self.one)
        self.sweep = self.one.engine.sweep
        self.spare = np.empty(len(flat.numbers))

    @staticmethod
    def serves(compiled: Compiled, call: "_Call") -> bool:
        """Whether the call is one of arrays, on one thread, that the engine can do by itself."""
        arrays = all(isinstance(column, np.ndarray) for column in call.columns)
        return arrays and not compiled.exact and compiled.threads == 1

    def run(self, flat: Flat, args: tuple[Any, ...]) -> bool:
        """Whether the engine could do it; then the Flat has the new gradients."""
        for (view, shape), arg in zip(self.views, args, strict=True):
            view[...] = arg.reshape(shape)
        good = self.sweep(
            self.code, flat.numbers, self.where, self.x, self.seeds, self.memory, self.grad,
            self.out, self.held, self.inputs, self.spare, True,
        )  # fmt: skip
        if good:
            flat.gradients, self.spare = self.spare, flat.gradients
            flat.compiled._ran(self.one)
        return good

    def result(self) -> Any:
        """The function's result."""
        if self.reduction is None:
            return rebuilt(self.one.form, iter(self.out.T.copy()))
        total = float(np.add.reduce(self.out, axis=None))
        if self.reduction == "mean":
            total /= len(self.out)
        return rebuilt(self.one.form, iter([total]))


class _Sink:
    """Where a run's parameters come from and where their gradients go."""

    def __init__(self, flat: Flat | None = None) -> None:
        self.flat = flat
        self.found: list[tuple[Recording, Array]] = []  # without a Flat
        self.sum: Any = None  # with one: the gradients in its order

    def arrays(self, one: Recording) -> tuple[Array, Array, Array]:
        """The numbers, the places of the recording's parameters among them, and fresh gradients."""
        if self.flat is None:
            return one.numbers(), one.own, np.empty(len(one.parameters))
        return self.flat.numbers, self.flat.where(one), np.empty(len(self.flat.numbers))

    def keep(self, one: Recording, gradients: Array) -> None:
        """What a run that counts has given."""
        if self.flat is None:
            self.found.append((one, gradients))
        else:
            self.sum = gradients if self.sum is None else self.sum + gradients

    def total(self) -> dict[Value, float]:
        """The gradient of each parameter."""
        total: dict[Value, float] = {}
        for one, gradients in self.found:
            for p, slope in zip(one.parameters, gradients.tolist(), strict=True):
                total[p] = total[p] + slope if p in total else slope
        return total


class _Call:
    """The arguments of a call: their numbers by sample, and the key of their shape."""

    def __init__(self, args: Sequence[Any]) -> None:
        self.args = args
        if len(args) == 1 and type(args[0]) is np.ndarray and args[0].ndim == 2 and len(args[0]):
            (x,) = args
            if x.dtype.kind in _PLAIN:
                self.batched, self.columns = True, [x]
                self.numbers = np.ascontiguousarray(x, dtype=np.float64)
                self.key: Any = ("rows", x.shape[1], x.dtype.kind == "f")
                return
        self.batched = False
        count = 1
        key: list[Any] = []
        columns: list[Any] = []
        parts = list(leaves(list(args)))
        if any(isinstance(part, np.ndarray) and not part.ndim for part in parts):
            # An array without dimensions is a number, whose type says whether it is a whole one.
            parts = [p.item() if isinstance(p, np.ndarray) and not p.ndim else p for p in parts]
            self.args = args = rebuilt(list(args), iter(parts))
        for part in parts:
            if isinstance(part, np.ndarray) and part.ndim:
                if self.batched and len(part) != count:
                    raise ValueError(
                        f"compile: arrays of {count} and of {len(part)} rows; a row is a sample"
                    )
                self.batched, count = True, len(part)
                if not count:
                    raise ValueError("compile: the array has no rows")
                whole = part.dtype.kind in _WHOLE
                if part.dtype.kind not in _NUMBERS:
                    raise TypeError(f"compile: expected an array of numbers, got {part.dtype}")
                key.append(("rows", part.shape[1:], whole))
                columns.append(part.reshape(count, -1))
            elif isinstance(part, Value):
                key.append("value")
                columns.append(number_of(part))
            elif part is None or isinstance(part, bool | str):
                key.append(("fixed", part))
            elif hasattr(part, "__index__"):
                key.append("whole")
                columns.append(float(part.__index__()))
            else:
                key.append("number")
                columns.append(number(part, "compile"))
        self.columns = columns
        width = sum(c.shape[1] if isinstance(c, np.ndarray) else 1 for c in columns)
        numbers = np.empty((count, width))
        at = 0
        for column in columns:
            step = column.shape[1] if isinstance(column, np.ndarray) else 1
            numbers[:, at : at + step] = column
            at += step
        self.numbers = numbers
        self.key = (_nesting(list(args)), tuple(key))

    def of(self, row: Array) -> "_Call":
        """The call of one sample."""
        made = object.__new__(_Call)
        made.args, made.columns, made.key, made.batched = self.args, self.columns, self.key, False
        made.numbers = row[None, :]
        return made

    def enter(self, recorder: Recorder, row: Array) -> list[Any]:
        """The arguments of one sample, as inputs of the recording."""
        numbers = iter(row.tolist())
        count = 0

        def one(whole: bool, plain: bool = True) -> Any:
            nonlocal count
            data = next(numbers)
            count += 1
            return recorder.enter(int(data) if whole else data, f"x{count - 1}", plain)

        made = []
        for part in leaves(list(self.args)):
            if isinstance(part, np.ndarray) and part.ndim:
                whole = part.dtype.kind in _WHOLE
                made.append(_shaped((one(whole) for _ in range(part[0].size)), part.shape[1:]))
            elif part is None or isinstance(part, bool | str):
                made.append(part)
            else:
                node = isinstance(part, Value)
                made.append(one(not node and hasattr(part, "__index__"), not node))
        arguments: list[Any] = rebuilt(list(self.args), iter(made))
        return arguments

    def like(self, k: int, back: Array) -> Any:
        """The part of the gradients that belongs to an argument, nested as it is."""
        at = 0
        for i, arg in enumerate(self.args):
            parts: list[Any] = []
            for part in leaves([arg]):
                if isinstance(part, np.ndarray) and part.ndim:
                    width = part[0].size
                    parts.append(back[:, at : at + width].reshape(part.shape))
                    at += width
                elif part is None or isinstance(part, bool | str):
                    parts.append(0.0)
                else:
                    parts.append(float(back[:, at].sum()))
                    at += 1
            if i == k:
                return rebuilt([arg], iter(parts))[0]
        raise TypeError(f"no argument {k} to differentiate: {len(self.args)} given")


def _shaped(entered: Iterator[Any], shape: tuple[int, ...]) -> Any:
    """The inputs as lists in lists, as an array of that shape has them."""
    if not shape:
        return next(entered)
    return [_shaped(entered, shape[1:]) for _ in range(shape[0])]


def _nesting(tree: Any) -> Any:
    if isinstance(tree, dict):
        return ("dict", *((key, _nesting(part)) for key, part in tree.items()))
    if isinstance(tree, list | tuple):
        return (type(tree).__name__, *(_nesting(part) for part in tree))
    return 0


def _plain(form: Any) -> Any:
    if isinstance(form, dict):
        return {str(key): _plain(part) for key, part in form.items()}
    return [_plain(part) for part in form] if isinstance(form, list | tuple) else form


def compile(
    function: Callable[..., Any],
    *,
    engine: str = "auto",
    exact: bool = False,
    reduction: str | None = None,
    threads: int = 1,
    cache: int = 64,
) -> Compiled:
    """The same function at native speed: its first call records it, later calls replay.

    Arguments are numbers, Values, or nested lists of them; a NumPy array is a batch whose rows
    are the samples.  Whole numbers stay inputs where `select`, `nn.Embedding` or a sparse loss
    uses them.  Leaves from outside are parameters.  What the function asks of its numbers (`if x >
    0`, `float(x)`) becomes a guard: where the answer is another one, it is recorded again.
    Numbers that do not come in as arguments, and random ones, are constants of the recording.

    Args:
        engine: "numpy", "numba", or "auto".
        exact: replay in the eager order, to the same bits; otherwise sums may be regrouped.
        reduction: "mean" or "sum" over the rows, or none.
        threads: over the rows of a batch.
        cache: how many recordings are kept.

    >>> w = Value(3.0, "w")
    >>> f = compile(lambda x: (w * x).tanh() if x > 0 else w * x)
    >>> f(-2.0), f.value_and_grad(-2.0)
    (-6.0, (-6.0, 3.0))
    >>> f.backward(-2.0), w.grad
    (-6.0, -2.0)
    """
    if not callable(function):
        raise TypeError(f"compile: expected a function, got {type(function).__name__}")
    if reduction not in (None, "mean", "sum"):
        raise ValueError(f"compile: reduction must be 'mean', 'sum' or None, got {reduction!r}")
    if threads < 1 or cache < 1:
        raise ValueError("compile: threads and cache must be at least 1")
    if engine not in ("auto", "numpy", "numba"):
        raise ValueError(f"compile: engine must be 'auto', 'numpy' or 'numba', got {engine!r}")
    return Compiled(function, engine, exact, reduction, threads, cache)
