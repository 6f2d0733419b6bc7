"""`compile`: records a function of scalars once, and then runs it at native speed."""

import inspect
import operator
import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from autograd import modes, transform
from autograd.compiled.traced import RecordingError
from autograd.elsewhere import advised
from autograd.extras import remedy
from autograd.modes import Mode, present_call, present_mode
from autograd.nestings import mapped, rebuilt, without_values
from autograd.notes import registrations
from autograd.operands import item
from autograd.options import whole
from autograd.transform import Argnums, argument_numbers, from_the_start
from autograd.value import Value, grad_writer, grads, hooked, one_pass

try:
    import numpy as np

    from autograd.compiled import verifying
    from autograd.compiled.arguments import Call, CarriedError
    from autograd.compiled.call_nodes import CompiledCall, Name, derived, results
    from autograd.compiled.engines import check_name, check_precision
    from autograd.compiled.flat import Flat, refuse_hooks
    from autograd.compiled.precision import precision
    from autograd.compiled.program import Program
    from autograd.compiled.recording import Recording
    from autograd.compiled.recordings import Options, Recordings
    from autograd.compiled.serving import Request, Response, Runner, Sink, serve
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    raise ModuleNotFoundError(
        f"compile needs NumPy, and is fast with llvmlite: {remedy('fast', 'numpy')}"
    ) from None

Array = Any


class Compiled:
    """A function that replays its recordings; made by `compile`."""

    def __init__(
        self, function: Callable[..., Any], options: Options, environment: bool = True
    ) -> None:
        self.function = self.__wrapped__ = function
        self.options, self.unit = options, options.precision.unit
        self.__doc__ = function.__doc__
        self.__name__: str = getattr(function, "__name__", "compiled")
        self._runner = Runner(options.exact, options.threads)
        self._recordings = Recordings(function, self.__name__, options, environment)
        self.state = self._recordings.state
        self._signature: inspect.Signature | None = None
        self._latest: tuple[Recording, ...] = ()
        self._thread = threading.local()
        self._calls = count(1)

    def __repr__(self) -> str:
        shapes, count = len(self._recordings.cache), len(self.recordings)
        return f"compiled {self.__name__}: {count} recording(s) of {shapes} shape(s)"

    # ------------------------------------------------------------------ recordings

    @property
    def recorded(self) -> int:
        """How many times the function has been recorded."""
        return self._recordings.cache.added

    @property
    def last(self) -> Recording:
        """The recording that ran last, in this thread if it made a call.

        Raises RuntimeError before the first call.
        """
        return self._used()[-1]

    def _used(self) -> tuple[Recording, ...]:
        """The recordings that served the last call, in the order of the rows that chose them."""
        used: tuple[Recording, ...] = getattr(self._thread, "used", self._latest)
        if not used:
            raise RuntimeError(f"{self.__name__}: nothing is recorded before the first call")
        return used

    def note_used(self, *used: Recording) -> None:
        """Note the recordings that served a call."""
        self._latest = self._thread.used = used

    @property
    def program(self) -> Program:
        """The program that ran last."""
        return self.last.program

    @property
    def parameters(self) -> list[Value]:
        """The leaves from outside that the last call depended on, in the order of its program.

        If rows took different branches, several programs ran, and their leaves follow each other.
        """
        used = self._used()
        if len(used) == 1:
            return used[0].parameters
        return list(dict.fromkeys(p for recording in used for p in recording.parameters))

    @property
    def recordings(self) -> list[Recording]:
        """Every recording that is kept, those of the shape that was used last at the end."""
        return self._recordings.cache.all()

    def clear(self) -> None:
        """Drop every recording."""
        self._recordings.clear()

    def adopt(self, args: Sequence[Any], recordings: list[Recording]) -> None:
        """Take recordings that were made elsewhere, for calls with arguments like these."""
        self._recordings.adopt(Call(args), recordings)

    # ------------------------------------------------------------------ calls

    def _call(
        self, args: tuple[Any, ...], named: dict[str, Any], differentiated: Sequence[int] = ()
    ) -> Call:
        """The arguments of a call, in the order of the function's signature."""
        if named:
            args, named = self._bound(args, named)
        return Call(args, named, differentiated)

    def _bound(
        self, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._signature is None:
            self._signature = inspect.signature(self.function)
        try:
            bound = self._signature.bind(*args, **named)
        except TypeError as error:
            raise TypeError(f"{self.__name__}{self._signature}: {error}") from None
        return bound.args, bound.kwargs

    def _serve(
        self,
        call: Call,
        request: Request,
        candidates: list[Recording] | None = None,
        quiet: bool = False,
    ) -> Response:
        """What a call gives, from one of the candidates or a new recording."""

        def record(row: Array, tried: list[Recording]) -> tuple[Recording, bool]:
            if request.sink.flat is not None:
                request.sink.flat.write()  # the function runs on the Values
            return self._recordings.record(call, quiet, row, tried)

        if candidates is None:
            candidates = self._recordings.candidates(call, quiet)
        response = serve(call, request, self._runner, candidates, record, self.__name__)
        self.note_used(*response.recordings)
        if self.options.verify and next(self._calls) % self.options.verify == 0:
            verifying.check(self.function, self.__name__, call, response, request)
        return response

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The function's result; for each row, if an argument has rows.

        It has Values where the function itself would return them, and numbers otherwise.  From
        arrays come arrays of numbers.
        """
        mode = present_mode()
        if mode is not None and type(mode) is not Mode:
            return self._inlined(args, named)
        try:
            call = self._call(args, named)
        except CarriedError:
            return self._inlined(args, named)
        if mode is not None and mode.anomaly:
            self._recordings.watch(call, not mode.recording)
        if mode is not None and not mode.recording:
            return self.plain_result(call, self._serve(call, Request(Sink()), quiet=True))
        candidates = self._recordings.candidates(call)
        if not (call.in_graph or (call.batched and present_call() is not None)):
            single = not call.batched or self.options.reduction is not None
            if not (single and candidates and candidates[0].result.is_value):
                response = self._serve(call, Request(Sink()), candidates)
                if not (single and response.first.result.is_value):
                    return self.plain_result(call, response)
                candidates = self._recordings.candidates(call)
        return self._graph_result(call, candidates, "" if mode is None else mode.scope)

    def _inlined(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The function's own result, as a part of what is recorded or checked around the call."""
        try:
            result = self.function(*args, **named)
        except AttributeError:
            # A compiled function gets Values in place of numbers, and may use their methods.
            args, named = mapped(lambda n: Value(n) if type(n) is float else n, [args, named])
            result = self.function(*args, **named)
        mode = present_mode()
        if mode is not None and mode.traces and not mode.recording:
            return without_values(result)  # inside `no_grad`, a compiled function gives numbers
        return result

    def plain_outputs(self, args: tuple[Any, ...], named: dict[str, Any], sink: Sink) -> Any:
        """The function's result as numbers, for the parameters that the sink has."""
        call = self._call(args, named)
        return self.plain_result(call, self._serve(call, Request(sink)))

    def _graph_result(self, call: Call, candidates: list[Recording], scope: str) -> Any:
        """The result as Values, which can be differentiated to any order."""
        inputs = call.value_inputs()
        rows: list[list[Any]] = []
        used: dict[Recording, None] = {}
        for row in call.numbers:
            # With a single result, one pass gives its value and its slopes.
            single = not self.options.exact and (not candidates or candidates[0].outputs == 1)
            request = Request(Sink(), 1.0 if single else None)
            own = call.of_row(row) if call.batched else call
            response = self._serve(own, request, list(candidates))
            recording, slopes = response.first, None
            wide = recording.widened(row[None, :])[0]
            read = len(wide) - len(row)
            if single and recording.outputs == 1:
                slopes = np.concatenate(
                    [response.back[0], np.zeros(read), request.sink.parts[-1][1]]
                )
            node = CompiledCall(
                recording, self.options.exact, wide, response.out[0].tolist(),
                [*inputs, *[None] * read], slopes=slopes, derive=self._derive, scope=scope,
            )  # fmt: skip
            rows.append(results(node, call.values))
            used[recording] = None
            if call.batched:
                candidates = self._recordings.candidates(call)
        self.note_used(*used)
        form = next(iter(used)).form
        if not call.batched:
            return rebuilt(form, iter(rows[0]))
        if self.options.reduction is None:
            columns = np.empty((len(rows[0]), len(rows)), dtype=object)
            for i, outputs in enumerate(rows):
                columns[:, i] = outputs
            return rebuilt(form, iter(columns))
        totals = [sum(column[1:], column[0]) for column in zip(*rows, strict=True)]
        if self.options.reduction == "mean":
            totals = [total / len(rows) for total in totals]
        return rebuilt(form, iter(totals))

    def plain_result(self, call: Call, response: Response) -> Any:
        """The result as numbers."""
        out, form, reduction = response.out, response.first.form, self.options.reduction
        if not call.batched:
            types, numbers = response.first.result.types, iter(out[0].tolist())
            return rebuilt(form, numbers if types is None else map(_as, types, numbers))
        if reduction is not None:
            total = response.total / len(out) if reduction == "mean" else response.total
            return rebuilt(form, iter(total.tolist()))
        return rebuilt(form, iter(out.T))

    def differentiated(self, call: Call, sink: Sink) -> Response:
        """What a call gives; the parameters' gradients go to the sink."""
        reduction = self.options.reduction
        scale = 1.0 / len(call.numbers) if reduction == "mean" else 1.0
        reduced = reduction is not None and call.batched
        response = self._serve(call, Request(sink, scale, reduced))
        if response.out.shape[1] != 1 or response.first.result.types == (bool,):
            raise self._not_one_number()
        return response

    def arguments(self, args: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The arguments for a method of the compiled function.

        Raises RecordingError inside another compiled function, for which the result of the method
        would be a constant.
        """
        mode = present_mode()
        if mode is not None and mode.traces:
            raise RecordingError(
                f"{self.__name__}: a method of a compiled function is used inside another one, "
                "which a replay would not repeat; call it, and differentiate with autograd.grad"
            )
        call = self._call(args, named)
        if mode is not None and mode.anomaly:
            self._recordings.watch(call, not mode.recording)
        return call

    def plain_arguments(self, args: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The arguments for a method that gives numbers.

        Raises TypeError where the derivative of these numbers would be lost silently.
        """
        call = self.arguments(args, named)
        self._refuse_outer(call)
        return call

    def _refuse_outer(self, call: Call) -> None:
        mode = present_mode()
        if (mode is None or mode.recording) and (call.in_graph or present_call() is not None):
            raise TypeError(
                f"{self.__name__}: this gives numbers, and the derivative that goes through Values "
                "or is being taken would be lost; differentiate with autograd.grad, pass numbers "
                "(v.data), or use no_grad()"
            )

    def _not_one_number(self) -> TypeError:
        return TypeError(f"{self.__name__}: must return one number to be differentiated")

    def backward(self, *args: Any, **named: Any) -> Any:
        """The result as a number; its derivatives are added to the `.grad` of the parameters.

        They are also added to the `.grad` of arguments that are Values.  With rows, the sum over
        the rows is differentiated, or the mean with `reduction="mean"`.
        """
        call, mode = self.arguments(args, named), present_mode()
        if call.in_graph or (mode is not None and mode.anomaly):
            with modes.recording():  # an anomaly may be among the adjoints, too
                result = self._graph_result(call, self._recordings.candidates(call), "")
            rows = result.tolist() if isinstance(result, np.ndarray) else [result]
            if not all(isinstance(row, Value) for row in rows):
                raise self._not_one_number()
            sum(rows[1:], rows[0]).backward()
            numbers = [row.data for row in rows]
            return np.array(numbers) if isinstance(result, np.ndarray) else numbers[0]
        sink = Sink()
        response = self.differentiated(call, sink)
        result, total = self.plain_result(call, response), sink.total()
        if registrations[0]:
            total = {p: item(hooked(p, slope)) for p, slope in total.items()}
        with one_pass:  # so that nothing is lost that another thread adds
            grad_writer(total, map(operator.add, grads(total), total.values()))()
        return result

    def value_and_grad(self, *args: Any, argnums: Argnums = 0, **named: Any) -> Any:
        """(result, gradient with respect to an argument) as numbers, in the argument's nesting.

        `argnums` chooses the argument, or several.  The gradient in an array is an array.  If an
        argument is a Value, or an outer derivative is being taken, result and gradient are Values.
        """
        mode = present_mode()
        if mode is not None and type(mode) is not Mode:
            return transform.value_and_grad(self, argnums)(*args, **named)
        if named:
            args, named = self._bound(args, named)
        if type(argnums) is int and 0 <= argnums < len(args):  # the usual case, quickly
            chosen = [argnums]
        else:
            chosen = from_the_start(argument_numbers(argnums, "grad"), args)
        call = Call(args, named, chosen)
        anomaly = mode is not None and mode.anomaly
        if mode is not None and anomaly:
            self._recordings.watch(call, not mode.recording)
        outer = call.in_graph or present_call() is not None or anomaly
        if outer and not call.batched and (mode is None or mode.recording):
            return transform.value_and_grad(self, argnums)(*args, **named)
        self._refuse_outer(call)
        response = self.differentiated(call, Sink())
        parts = [call.gradient(k, response.back) for k in chosen]
        single = type(argnums) is int or hasattr(argnums, "__index__")
        return self.plain_result(call, response), parts[0] if single else tuple(parts)

    def parameter_gradients(self, *args: Any, **named: Any) -> tuple[Any, Array]:
        """(result, gradient in the parameters as an array), in the order of `.parameters`."""
        sink, call = Sink(), self.plain_arguments(args, named)
        response = self.differentiated(call, sink)
        total = sink.total()
        refuse_hooks(total)
        return self.plain_result(call, response), np.array([total[p] for p in self.parameters])

    def claims(self, inputs: Sequence[Any], parameters: Sequence[Value]) -> list[float]:
        """The gradient in every number of the inputs, then in the parameters, for a checker."""
        sink = Sink()
        call = self._call(tuple(inputs), {}, range(len(inputs)))
        response = self.differentiated(call, sink)
        total = sink.total()
        return [*response.back.ravel().tolist(), *(total.get(p, 0.0) for p in parameters)]

    def per_sample_gradients(self, *args: Any, **named: Any) -> Array:
        """The gradient of each row's result in the parameters, of shape (rows, parameters)."""
        call = self.plain_arguments(args, named)
        totals = []
        used: dict[Recording, None] = {}
        for row in call.numbers:
            sink = Sink()
            used |= dict.fromkeys(self.differentiated(call.of_row(row), sink).recordings)
            totals.append(sink.total())
        self.note_used(*used)
        refuse_hooks(self.parameters)
        return np.array([[total.get(p, 0.0) for p in self.parameters] for total in totals])

    def hvp(self, vector: Sequence[float], *args: Any, **named: Any) -> Array:
        """The Hessian in the parameters times a vector, in the order of `.parameters`.

        With rows, it is the sum over the rows, or the mean with `reduction="mean"`.  The Hessian
        itself is never computed: the program of the gradient is recorded and differentiated
        (Pearlmutter 1994).

        >>> w = Value(2.0)
        >>> f = compile(lambda x: w * w * w * x)
        >>> f(1.0).data, f.hvp([1.0], 1.0).tolist()
        (8.0, [12.0])
        """
        call = self.plain_arguments(args, named)
        used = self._serve(call, Request(Sink())).recordings
        order, v = self.parameters, np.asarray(vector, dtype=np.float64)
        if v.shape != (len(order),):
            raise ValueError(f"hvp: expected {len(order)} numbers, got a shape of {v.shape}")
        along = dict(zip(order, v.tolist(), strict=True))
        total = dict.fromkeys(order, 0.0)
        for row in call.numbers:
            # Rows may have taken different branches, which have parameters of their own.
            recording = self._serve(call.of_row(row), Request(Sink())).first
            parameters = recording.parameters
            part = np.array([along[p] for p in parameters])
            args = recording.numbers()[None, :], recording.widened(row[None, :]), part[None, :]
            compiled = self._derive(recording, ("hvp", (), ()))
            products = compiled.plain_outputs(args, {}, Sink())
            for p, product in zip(parameters, np.ravel(products).tolist(), strict=True):
                total[p] += product
        self.note_used(*used)
        result = np.array(list(total.values()))
        return result / len(call.numbers) if self.options.reduction == "mean" else result

    def flat(self, parameters: Sequence[Value]) -> Flat:
        """The parameters as one array that the compiled function works on; see `Flat`."""
        return Flat(self, parameters)

    # ------------------------------------------------------------------ programs of derivatives

    def _derive(self, recording: Recording, name: Name) -> "Compiled":
        """A derivative of a recording, as a function that can be differentiated again."""
        compiled: Compiled | None = recording.derived.get(name)
        if compiled is None:
            own = self.options
            options = Options(own.engine, own.exact, cache=8, precision=own.precision)
            compiled = Compiled(derived(recording, name), options, environment=False)
            compiled = recording.derived.setdefault(name, compiled)
        return compiled


def _as(kind: type, number: float) -> Any:
    """A number as the function returned it: a float, an int or a truth value."""
    return number if kind is float else kind(number)


@advised
def compile(
    function: Callable[..., Any],
    *,
    engine: str = "auto",
    exact: bool = False,
    reduction: str | None = None,
    threads: int | None = None,
    cache: int = 64,
    verify: int = 0,
    dtype: Any = "float64",
) -> Compiled:
    """The same function at native speed: its first call records it, later calls replay.

    Arguments are numbers, Values, or nested lists of them, by position or by name.  A NumPy array
    is a batch whose rows are the samples.  Inside the function, a number also has the methods of a
    Value, and 1 / 0 is inf and not an error.  Numbers of NumPy and fractions count as Python's
    floats and ints.  Leaves from outside are parameters.  Each call reads their numbers, also where
    the function uses `.data` or `detach()`.

    The compiled function gives the same result as the function itself.  If it depends on Values and
    operations are recorded, the result is a Value of the graph, which can be differentiated to
    every order.  Inside `no_grad()`, and for arrays, it is plain numbers (for arrays under an outer
    derivative, one Value per row).  A result also depends on what `select` could have chosen.

    Decisions that depend on numbers (`if x > 0`, `float(x)`, `f"{x}"`) become guards: if a call
    decides otherwise, the function is recorded again.  Whole numbers stay inputs where `select`,
    `nn.Embedding` or a sparse loss uses them; elsewhere, each new one is recorded again.  Each call
    also compares what the function closes over, its defaults, and the globals and the attributes of
    modules and classes that it names: numbers by value, small containers and arrays by their
    contents, everything else by identity, with the plain attributes of an object and its class.  It
    does not see anything deeper, such as the inside of other objects, containers of more than 1,000
    entries, files, the time, `type(x)`, or `x is y`.  If in doubt, use `verify`.

    Args:
        engine: "native" (machine code that llvmlite makes), "numpy", or "auto": what is installed.
        exact: replay in the eager order, to the same bits; otherwise sums may be regrouped.
        reduction: "mean" or "sum" over the rows, or None.
        threads: how many threads of native code share the rows of a batch; by default, all
            processors do if a batch takes long enough.  The results have the same bits.
        cache: how many recordings are kept.
        verify: at every n-th call, also run the function itself, and raise ReplayError with both
            results if they differ by more than 1e-9 of the largest number on the way (1e-4 in
            float32).
        dtype: the type of the numbers inside native code, "float64" or "float32", which is up to
            twice as fast.  Arguments, parameters, results and gradients stay float64: parameters
            are rounded at the start of each call, and gradients of parts of a batch are added in
            float64.

    With "float32", results are good to about seven digits of the largest number on the way.  No
    branch, and no step of a function such as `floor`, differs from the eager one.  Where rounding
    could decide it, the row is computed in float64.  So is a row whose result is inf or nan.  Near
    a kink (`relu` at 0) or the end of a domain (`log` at 0), the rounded number decides.  A number
    below 1.2e-38 may become 0, and one above 3.4e38 becomes inf, as in PyTorch and JAX.

    Raises RecordingError for what a replay would not repeat: random numbers, the next entry of an
    iterator, changes to a leaf, to an argument or to something that the function closes over,
    `backward` inside the function.

    >>> w = Value(3.0, "w")
    >>> f = compile(lambda x: (w * x).tanh() if x > 0 else w * x)
    >>> f(-2.0).data, f.value_and_grad(-2.0)
    (-6.0, (-6.0, 3.0))
    >>> (f(-2.0) * w).backward()
    >>> w.grad
    -12.0
    """
    if not callable(function):
        raise TypeError(f"compile: expected a function, got {type(function).__name__}")
    if reduction not in (None, "mean", "sum"):
        raise ValueError(f"compile: reduction must be 'mean', 'sum' or None, got {reduction!r}")
    threads = None if threads is None else whole(threads, "compile: threads")
    cache, verify = whole(cache, "compile: cache"), whole(verify, "compile: verify", 0)
    check_name(engine, "compile")
    chosen = precision(dtype)
    check_precision(engine, chosen, "compile", exact)
    return Compiled(function, Options(engine, exact, reduction, threads, cache, verify, chosen))
