"""`compile`: a function of scalars that is recorded once and then runs at native speed."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autograd.ops import Ops, number
from autograd.tape import Recorded, Recorder, number_of
from autograd.transform import leaves, rebuilt
from autograd.value import NonFiniteWarning, Value, present_mode

try:
    import numpy as np

    from autograd.engines import Encoded, engine
    from autograd.program import Program, freeze
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    raise ModuleNotFoundError(
        "compile needs NumPy, and is quick with numba: pip install 'chainrule[fast]'"
    ) from None

Array = Any
BLOCK = 16  # samples that are computed side by side


class Recording:
    """A Program, the parameters that it was recorded with, and the memory that it runs in."""

    def __init__(self, program: Program, parameters: list[Value], wanted: str) -> None:
        self.program, self.parameters = program, parameters
        self.engine = engine(program, wanted)
        self._codes: dict[int, Encoded] = {}
        self._local = threading.local()

    def numbers(self) -> Array:
        """The parameters' numbers, now."""
        count = len(self.parameters)
        return np.fromiter((p.data for p in self.parameters), dtype=np.float64, count=count)

    def _memory(self, block: int) -> tuple[Encoded, Array, Array, Array]:
        code = self._codes.get(block)
        if code is None:
            code = self._codes[block] = Encoded(self.program, block)
        held = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = {}
        if block not in held:
            constants = self.program.tape.constants
            shared = np.ones(code.shared)
            shared[: len(constants)] = constants
            held[block] = (np.zeros(code.size), np.zeros(code.size), shared)
        return (code, *held[block])

    def run(self, parameters: Array, x: Array, seeds: Array | None) -> Any:
        """Outputs (samples, outputs), which samples' guards held, and gradients.

        The gradients are those of the seeds' sum over samples in the parameters, and of each
        sample in its inputs; None without seeds.
        """
        program = self.program
        samples = len(x)
        block = 1 if samples == 1 else min(BLOCK, samples)
        code, memory, grad, shared = self._memory(block)
        start = len(program.tape.constants)
        shared[start : start + program.tape.parameters] = parameters
        out = np.empty((samples, len(program.tape.outputs)))
        held = np.empty(samples, dtype=np.bool_)
        inputs = np.zeros((samples, program.tape.inputs))
        differentiate = seeds is not None
        weights = np.zeros(len(program.tape.outputs)) if seeds is None else seeds
        self.engine.sweep(code, shared, x, weights, memory, grad, out, held, inputs, differentiate)
        if not differentiate:
            return out, held, None, None
        return out, held, grad[start : start + program.tape.parameters].copy(), inputs


class Compiled:
    """A function that replays what it was recorded to do; made by `compile`."""

    def __init__(
        self, function: Callable[..., Any], engine: str, exact: bool, reduction: str | None,
        threads: int, cache: int,
    ) -> None:  # fmt: skip
        self.function, self.engine, self.exact = function, engine, exact
        self.reduction, self.threads, self.cache = reduction, threads, cache
        self._cache: OrderedDict[Any, list[Recording]] = OrderedDict()
        self._last: Recording | None = None
        self._lock = threading.RLock()
        self.recorded = 0
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", "compiled")

    def __repr__(self) -> str:
        count = sum(map(len, self._cache.values()))
        return f"compiled {self.__name__}: {count} recording(s) of {len(self._cache)} shape(s)"

    # ------------------------------------------------------------------ recordings

    @property
    def program(self) -> Program:
        """The program that ran last."""
        if self._last is None:
            raise RuntimeError(f"{self.__name__}: nothing is recorded before the first call")
        return self._last.program

    @property
    def parameters(self) -> list[Value]:
        """The leaves from outside that the program that ran last depends on, in its order."""
        if self._last is None:
            raise RuntimeError(f"{self.__name__}: nothing is recorded before the first call")
        return self._last.parameters

    @property
    def recordings(self) -> list[Recording]:
        """Everything in the cache, the shape that was used last at the end."""
        return [one for found in self._cache.values() for one in found]

    def clear(self) -> None:
        """Forget every recording."""
        with self._lock:
            self._cache.clear()

    def _record(self, call: "_Call", row: Array) -> Recording:
        recorder = Recorder()
        result = recorder.run(self.function, call.enter(recorder, row))
        outputs = list(leaves(result))
        for one in outputs:
            if not isinstance(one, Ops):
                number(one, f"{self.__name__}: its result")
        form = rebuilt(result, iter(range(len(outputs))))
        tape, parameters = freeze(recorder, outputs, _plain(form))
        made = Recording(Program(tape), parameters, self.engine)
        made.form = form  # type: ignore[attr-defined]
        with self._lock:
            self.recorded += 1
            self._cache.setdefault(call.key, []).insert(0, made)
            while sum(map(len, self._cache.values())) > self.cache:
                oldest = next(iter(self._cache))
                self._cache[oldest].pop()
                if not self._cache[oldest]:
                    del self._cache[oldest]
        return made

    def _each(self, call: "_Call", differentiate: bool, scale: float) -> Any:
        """Results of all samples: outputs, gradients by recording, gradients in the inputs."""
        x = call.numbers
        todo = np.arange(len(x))
        out: Any = None
        back = np.zeros(x.shape)
        grads: list[tuple[Recording, Array]] = []
        with self._lock:
            tried = list(self._cache.get(call.key, ()))
            if call.key in self._cache:
                self._cache.move_to_end(call.key)
        while len(todo):
            one = tried.pop(0) if tried else self._record(call, x[todo[0]])
            rows = x[todo]
            seeds = np.full(len(one.program.tape.outputs), scale) if differentiate else None
            parameters = one.numbers()
            values, held, grad, inputs = self._run(one, parameters, rows, seeds)
            if not held.all():
                if not held.any():
                    if not tried and self.recorded > 10_000:
                        warnings.warn(
                            f"{self.__name__} records again and again; see .program.tape.guards",
                            stacklevel=3,
                        )
                    continue
                rows = rows[held]
                values, _, grad, inputs = self._run(one, parameters, rows, seeds)
            self._last = one
            if out is None:
                out = np.empty((len(x), values.shape[1]))
            done = todo[held]
            out[done] = values
            if differentiate:
                back[done] = inputs
                grads.append((one, grad))
            todo = todo[~held]
        return out, grads, back

    def _run(self, one: Recording, parameters: Array, x: Array, seeds: Array | None) -> Any:
        if self.exact:
            return _eagerly(one, parameters, x, seeds)
        result: Any
        if self.threads > 1 and len(x) >= 2 * BLOCK:
            # Fixed parts, added in order: the bits do not depend on the number of threads.
            parts = [x[i : i + 4 * BLOCK] for i in range(0, len(x), 4 * BLOCK)]
            with ThreadPoolExecutor(self.threads) as pool:
                found = list(pool.map(lambda part: one.run(parameters, part, seeds), parts))
            columns = list(zip(*found, strict=True))
            joined = [
                np.concatenate(columns[k]) if columns[k][0] is not None else None for k in (0, 1, 3)
            ]
            result = (
                joined[0],
                joined[1],
                sum(columns[2]) if seeds is not None else None,
                joined[2],
            )
        else:
            result = one.run(parameters, x, seeds)
        out, held, grad, inputs = result
        finite = np.isfinite(out[held]).all() and (
            seeds is None or (np.isfinite(grad).all() and np.isfinite(inputs).all())
        )
        # Where inf or nan appear, the order of operations matters: there the eager one decides.
        return result if finite else _eagerly(one, parameters, x, seeds)

    # ------------------------------------------------------------------ calls

    def __call__(self, *args: Any) -> Any:
        """What the function returns, as numbers; for each row, if an argument has rows."""
        if type(present_mode()) is Recorded:
            return self.function(*args)  # it becomes a part of what is being recorded
        call = _Call(args)
        out, _, _ = self._each(call, False, 1.0)
        return self._shown(call, out)

    def _shown(self, call: "_Call", out: Array) -> Any:
        form = self._last.form  # type: ignore[union-attr]
        if not call.batched:
            return rebuilt(form, iter(out[0].tolist()))
        if self.reduction == "mean":
            return rebuilt(form, iter(out.mean(axis=0).tolist()))
        if self.reduction == "sum":
            return rebuilt(form, iter(out.sum(axis=0).tolist()))
        return rebuilt(form, iter(out.T))

    def _differentiated(self, args: tuple[Any, ...]) -> Any:
        call = _Call(args)
        scale = 1.0 / len(call.numbers) if self.reduction == "mean" else 1.0
        out, grads, back = self._each(call, True, scale)
        if out.shape[1] != 1:
            raise TypeError(f"{self.__name__}: must return one number to be differentiated")
        return call, out, grads, back

    def backward(self, *args: Any) -> Any:
        """The result; and its derivatives are added to the `.grad` of the parameters.

        With rows, it is the sum over them that is differentiated, or the mean with
        `reduction="mean"`.
        """
        call, out, grads, _ = self._differentiated(args)
        for one, grad in grads:
            for parameter, slope in zip(one.parameters, grad.tolist(), strict=True):
                parameter.grad += slope
        return self._shown(call, out)

    def value_and_grad(self, *args: Any, argnums: int | tuple[int, ...] = 0) -> Any:
        """(result, gradient in an argument), in the nesting of that argument.

        `argnums` chooses the argument, or several; those given as arrays get arrays.
        """
        call, out, _, back = self._differentiated(args)
        chosen = argnums if isinstance(argnums, tuple) else (argnums,)
        parts = tuple(call.like(k, back) for k in chosen)
        return self._shown(call, out), parts if isinstance(argnums, tuple) else parts[0]

    def parameter_gradients(self, *args: Any) -> tuple[Any, Array]:
        """(result, gradient in the parameters as an array), in the order of `.parameters`."""
        call, out, grads, _ = self._differentiated(args)
        order = {p: i for i, p in enumerate(self.parameters)}
        total = np.zeros(len(order))
        for one, grad in grads:
            for p, slope in zip(one.parameters, grad, strict=True):
                total[order[p]] += slope
        return self._shown(call, out), total

    def per_sample_gradients(self, *args: Any) -> Array:
        """The gradient of each row's result in the parameters: (rows, parameters)."""
        call = _Call(args)
        made = []
        for row in call.numbers:
            one_call = call.of(row)
            _, grads, _ = self._each(one_call, True, 1.0)
            made.append(grads[0][1])
        return np.stack(made)


class _Call:
    """The arguments of a call: their numbers by sample, and the key of their shape."""

    def __init__(self, args: Sequence[Any]) -> None:
        self.args = args
        self.batched = False
        count = 1
        key: list[Any] = []
        columns: list[Any] = []
        for part in leaves(list(args)):
            if isinstance(part, np.ndarray) and part.ndim:
                if self.batched and len(part) != count:
                    raise ValueError(
                        f"compile: arrays of {count} and of {len(part)} rows; a row is a sample"
                    )
                self.batched, count = True, len(part)
                if not count:
                    raise ValueError("compile: the array has no rows")
                whole = part.dtype.kind in "iu"
                if part.dtype.kind not in "iufb":
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

        def one(whole: bool) -> Any:
            nonlocal count
            data = next(numbers)
            count += 1
            return recorder.enter(int(data) if whole else data, f"x{count - 1}")

        def array(shape: tuple[int, ...], whole: bool) -> Any:
            return one(whole) if not shape else [array(shape[1:], whole) for _ in range(shape[0])]

        made = []
        for part in leaves(list(self.args)):
            if isinstance(part, np.ndarray) and part.ndim:
                made.append(array(part.shape[1:], part.dtype.kind in "iu"))
            elif part is None or isinstance(part, bool | str):
                made.append(part)
            else:
                made.append(one(not isinstance(part, Value) and hasattr(part, "__index__")))
        entered: list[Any] = rebuilt(list(self.args), iter(made))
        return entered

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


def _eagerly(one: Recording, parameters: Array, x: Array, seeds: Array | None) -> Any:
    """The recording replayed in Values, sample by sample: the bits of the eager engine."""
    out, held, back = [], [], []
    grad = np.zeros(len(one.parameters))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)
        for row in x:
            lifted = one.program.lift(parameters.tolist(), row.tolist())
            out.append([o.data for o in lifted.outputs])
            held.append(lifted.held)
            if seeds is not None:
                if lifted.held:
                    for o, seed in zip(lifted.outputs, seeds.tolist(), strict=True):
                        o.backward(seed)
                grad += [p.grad for p in lifted.parameters]
                back.append([p.grad for p in lifted.inputs])
    outputs = np.array(out)
    return (
        outputs,
        np.array(held),
        grad if seeds is not None else None,
        np.array(back).reshape(x.shape) if seeds is not None else None,
    )


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
