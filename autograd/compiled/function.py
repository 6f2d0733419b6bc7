"""`compile`: a function of scalars that is recorded once and then runs at native speed."""

import inspect
import operator
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

from autograd import transform
from autograd.compiled.tape import RecordingError
from autograd.modes import Mode, present_call, present_mode, recording
from autograd.nestings import mapped, rebuilt, without_values
from autograd.notes import registrations
from autograd.operands import item
from autograd.transform import Argnums, argument_numbers, from_the_start, hvp
from autograd.value import Value, grad_writer, grads, hooked, one_pass

try:
    import numpy as np

    from autograd.compiled import verifying
    from autograd.compiled.arguments import Call, CarriedError
    from autograd.compiled.call_nodes import Name, Played, derived, results
    from autograd.compiled.engines import present_name
    from autograd.compiled.flat import Flat, refuse_hooks
    from autograd.compiled.program import Program
    from autograd.compiled.recording import Recording
    from autograd.compiled.recordings import Options, Recordings
    from autograd.compiled.serving import Runner, Served, Sink, Wish, serve
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    raise ModuleNotFoundError(
        "compile needs NumPy, and is quick with llvmlite: pip install 'chainrule[fast]'"
    ) from None

Array = Any


class Compiled:
    """A function that replays what it was recorded to do; made by `compile`."""

    def __init__(
        self, function: Callable[..., Any], options: Options, surroundings: bool = True
    ) -> None:
        self.function = self.__wrapped__ = function
        self.options = options
        self.__doc__ = function.__doc__
        self.__name__: str = getattr(function, "__name__", "compiled")
        self._runner = Runner(options.exact, options.threads)
        self._kept = Recordings(function, self.__name__, options, surroundings)
        self.state = self._kept.state
        self._signature: inspect.Signature | None = None
        self._latest: tuple[Recording, ...] = ()
        self._here = threading.local()
        self._calls = count(1)

    def __repr__(self) -> str:
        shapes, found = len(self._kept.shelf), len(self.recordings)
        return f"compiled {self.__name__}: {found} recording(s) of {shapes} shape(s)"

    # ------------------------------------------------------------------ recordings

    @property
    def recorded(self) -> int:
        """How many times the function has been recorded."""
        return self._kept.shelf.added

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

    def ran(self, *used: Recording) -> None:
        """Note that these served a call."""
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
        """Everything that is kept, the shape that was used last at the end."""
        return self._kept.shelf.all()

    def clear(self) -> None:
        """Forget every recording."""
        self._kept.clear()

    def adopt(self, args: Sequence[Any], recordings: list[Recording]) -> None:
        """Take recordings that were made elsewhere, for calls with arguments like these."""
        self._kept.adopt(Call(args), recordings)

    # ------------------------------------------------------------------ calls

    def _call(
        self, args: tuple[Any, ...], named: dict[str, Any], differentiated: Sequence[int] = ()
    ) -> Call:
        """The arguments; those given by name where the function's signature has them."""
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

    def _served(
        self, call: Call, wish: Wish, known: list[Recording] | None = None, quiet: bool = False
    ) -> Served:
        """What came of a call, by one of those that are known or by a new recording."""

        def record(row: Array, tried: list[Recording]) -> tuple[Recording, bool]:
            if wish.sink.flat is not None:
                wish.sink.flat.write()  # the function runs on the Values
            return self._kept.record(call, quiet, row, tried)

        known = self._kept.known(call, quiet) if known is None else known
        served = serve(call, wish, self._runner, known, record, self.__name__)
        self.ran(*served.used)
        if self.options.verify and next(self._calls) % self.options.verify == 0:
            verifying.check(self.function, self.__name__, call, served, wish)
        return served

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What the function returns; for each row, if an argument has rows.

        As from the function itself, these are Values where they depend on Values and operations
        are recorded, and numbers otherwise; from arrays, arrays of numbers.
        """
        mode = present_mode()
        if mode is not None and type(mode) is not Mode:
            return self._inside(args, named)
        try:
            call = self._call(args, named)
        except CarriedError:
            return self._inside(args, named)
        if mode is not None and mode.anomaly:
            self._kept.watch(call, not mode.recording)
        if mode is not None and not mode.recording:
            return self.shown(call, self._served(call, Wish(Sink()), quiet=True))
        known = self._kept.known(call)
        if not (call.in_graph or (call.batched and present_call() is not None)):
            single = not call.batched or self.options.reduction is not None
            if not (single and known and known[0].result.is_value):
                served = self._served(call, Wish(Sink()), known)
                if not (single and served.one.result.is_value):
                    return self.shown(call, served)
                known = self._kept.known(call)
        return self._in_graph(call, known, "" if mode is None else mode.scope)

    def _inside(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The function's own result, which becomes a part of what is recorded or checked."""
        try:
            result = self.function(*args, **named)
        except AttributeError:
            # To a compiled function a number is a Value, and it may use the methods of one.
            args, named = mapped(lambda n: Value(n) if type(n) is float else n, [args, named])
            result = self.function(*args, **named)
        mode = present_mode()
        if mode is not None and mode.traces and not mode.recording:
            # Inside `no_grad` a compiled function gives numbers, here as elsewhere.
            return without_values(result)
        return result

    def computed(self, args: tuple[Any, ...], named: dict[str, Any], sink: Sink) -> Any:
        """What the function returns, as numbers, with parameters as the sink has them."""
        call = self._call(args, named)
        return self.shown(call, self._served(call, Wish(sink)))

    def _in_graph(self, call: Call, known: list[Recording], scope: str) -> Any:
        """The result as Values, to be differentiated to any order."""
        given = call.given()
        rows: list[list[Any]] = []
        used: dict[Recording, None] = {}
        for row in call.numbers:
            # With a single result, value and slopes are one pass.
            single = not self.options.exact and (not known or known[0].outputs == 1)
            wish = Wish(Sink(), 1.0 if single else None)
            served = self._served(call.of(row) if call.batched else call, wish, list(known))
            one, slopes = served.one, None
            wide = one.widened(row[None, :])[0]
            read = len(wide) - len(row)
            if single and one.outputs == 1:
                slopes = np.concatenate([served.back[0], np.zeros(read), wish.sink.found[-1][1]])
            exact, entered = self.options.exact, [*given, *[None] * read]
            out = served.out[0].tolist()
            played = Played(
                one, exact, wide, out, entered, slopes=slopes, derive=self._derive, scope=scope
            )
            rows.append(results(played, call.values))
            used[one] = None
            if call.batched:
                known = self._kept.known(call)
        self.ran(*used)
        form = next(iter(used)).form
        if not call.batched:
            return rebuilt(form, iter(rows[0]))
        if self.options.reduction is None:
            columns = np.empty((len(rows[0]), len(rows)), dtype=object)
            for i, found in enumerate(rows):
                columns[:, i] = found
            return rebuilt(form, iter(columns))
        totals = [sum(column[1:], column[0]) for column in zip(*rows, strict=True)]
        if self.options.reduction == "mean":
            totals = [total / len(rows) for total in totals]
        return rebuilt(form, iter(totals))

    def shown(self, call: Call, served: Served) -> Any:
        """The result as numbers."""
        out, form, reduction = served.out, served.one.form, self.options.reduction
        if not call.batched:
            types, numbers = served.one.result.types, iter(out[0].tolist())
            return rebuilt(form, numbers if types is None else map(_as, types, numbers))
        if reduction is not None:
            total = served.total / len(out) if reduction == "mean" else served.total
            return rebuilt(form, iter(total.tolist()))
        return rebuilt(form, iter(out.T))

    def differentiated(self, call: Call, sink: Sink) -> Served:
        """What came of a call; the parameters' gradients go to the sink."""
        reduction = self.options.reduction
        scale = 1.0 / len(call.numbers) if reduction == "mean" else 1.0
        joined = reduction is not None and call.batched
        served = self._served(call, Wish(sink, scale, joined))
        if served.out.shape[1] != 1:
            raise self._not_one()
        return served

    def arguments(self, args: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The arguments of a method of the compiled function.

        Raises RecordingError inside another one, where what it gives would be a constant.
        """
        mode = present_mode()
        if mode is not None and mode.traces:
            raise RecordingError(
                f"{self.__name__}: a method of a compiled function is used inside another one, "
                "which a replay would not repeat; call it, and differentiate with autograd.grad"
            )
        call = self._call(args, named)
        if mode is not None and mode.anomaly:
            self._kept.watch(call, not mode.recording)
        return call

    def numbers(self, args: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The arguments of a method that gives numbers.

        Raises TypeError where the derivative of these would be lost without a word.
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

    def _not_one(self) -> TypeError:
        return TypeError(f"{self.__name__}: must return one number to be differentiated")

    def backward(self, *args: Any, **named: Any) -> Any:
        """The result as a number; its derivatives are added to the `.grad` of the parameters.

        They are added to those of the arguments, too, where these are Values.  With rows, it is
        the sum over them that is differentiated, or the mean with `reduction="mean"`.
        """
        call, mode = self.arguments(args, named), present_mode()
        if call.in_graph or (mode is not None and mode.anomaly):
            with recording():  # an anomaly may be among its adjoints, too
                result = self._in_graph(call, self._kept.known(call), "")
            rows = result.tolist() if isinstance(result, np.ndarray) else [result]
            if not all(isinstance(row, Value) for row in rows):
                raise self._not_one()
            sum(rows[1:], rows[0]).backward()
            found = [row.data for row in rows]
            return np.array(found) if isinstance(result, np.ndarray) else found[0]
        sink = Sink()
        served = self.differentiated(call, sink)
        shown, total = self.shown(call, served), sink.total()
        if registrations[0]:
            total = {p: item(hooked(p, slope)) for p, slope in total.items()}
        with one_pass:  # nothing that another thread adds gets lost
            grad_writer(total, map(operator.add, grads(total), total.values()))()
        return shown

    def value_and_grad(self, *args: Any, argnums: Argnums = 0, **named: Any) -> Any:
        """(result, gradient in an argument) as numbers, in the nesting of that argument.

        `argnums` chooses the argument, or several; those given as arrays get arrays.  Where an
        argument is a Value, or an outer derivative wants to go through them, they are Values.
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
            self._kept.watch(call, not mode.recording)
        outer = call.in_graph or present_call() is not None or anomaly
        if outer and not call.batched and (mode is None or mode.recording):
            return transform.value_and_grad(self, argnums)(*args, **named)
        self._refuse_outer(call)
        served = self.differentiated(call, Sink())
        parts = [call.like(k, served.back) for k in chosen]
        single = type(argnums) is int or hasattr(argnums, "__index__")
        return self.shown(call, served), parts[0] if single else tuple(parts)

    def parameter_gradients(self, *args: Any, **named: Any) -> tuple[Any, Array]:
        """(result, gradient in the parameters as an array), in the order of `.parameters`."""
        sink, call = Sink(), self.numbers(args, named)
        served = self.differentiated(call, sink)
        total = sink.total()
        refuse_hooks(total)
        return self.shown(call, served), np.array([total[p] for p in self.parameters])

    def claims(self, inputs: Sequence[Any], parameters: Sequence[Value]) -> list[float]:
        """The gradient in every number of the inputs, then in the parameters, for a checker."""
        sink = Sink()
        call = self._call(tuple(inputs), {}, range(len(inputs)))
        served = self.differentiated(call, sink)
        total = sink.total()
        return [*served.back.ravel().tolist(), *(total.get(p, 0.0) for p in parameters)]

    def per_sample_gradients(self, *args: Any, **named: Any) -> Array:
        """The gradient of each row's result in the parameters: (rows, parameters)."""
        call = self.numbers(args, named)
        found = []
        used: dict[Recording, None] = {}
        for row in call.numbers:
            sink = Sink()
            used |= dict.fromkeys(self.differentiated(call.of(row), sink).used)
            found.append(sink.total())
        self.ran(*used)
        refuse_hooks(self.parameters)
        return np.array([[one.get(p, 0.0) for p in self.parameters] for one in found])

    def hvp(self, vector: Sequence[float], *args: Any, **named: Any) -> Array:
        """The Hessian in the parameters times a vector, in the order of `.parameters`.

        It is the sum over rows (or the mean) of the Hessians of the results.  Without the Hessian:
        the gradient's program is itself recorded and differentiated (Pearlmutter 1994).

        >>> w = Value(2.0)
        >>> f = compile(lambda x: w * w * w * x)
        >>> f(1.0).data, f.hvp([1.0], 1.0).tolist()
        (8.0, [12.0])
        """
        call = self.numbers(args, named)
        used = self._served(call, Wish(Sink())).used
        order, v = self.parameters, np.asarray(vector, dtype=np.float64)
        if v.shape != (len(order),):
            raise ValueError(f"hvp: expected {len(order)} numbers, got a shape of {v.shape}")
        along = dict(zip(order, v.tolist(), strict=True))
        total = dict.fromkeys(order, 0.0)
        for row in call.numbers:
            # Rows may have taken different branches, each with parameters of its own.
            one = self._served(call.of(row), Wish(Sink())).one
            part = np.array([along[p] for p in one.parameters])
            given = one.numbers()[None, :], one.widened(row[None, :]), part[None, :]
            found = self._along(one).computed(given, {}, Sink())
            for p, product in zip(one.parameters, np.ravel(found).tolist(), strict=True):
                total[p] += product
        self.ran(*used)
        products = np.array(list(total.values()))
        return products / len(call.numbers) if self.options.reduction == "mean" else products

    def flat(self, parameters: Sequence[Value]) -> Flat:
        """The parameters as one array that the compiled function works on; see `Flat`."""
        return Flat(self, parameters)

    # ------------------------------------------------------------------ programs of derivatives

    def _derived(self, one: Recording, name: Any, make: Callable[[], Any]) -> "Compiled":
        found: Compiled | None = one.derived.get(name)
        if found is None:
            options = Options(self.options.engine, self.options.exact, cache=8)
            found = one.derived.setdefault(name, Compiled(make(), options, surroundings=False))
        return found

    def _derive(self, one: Recording, name: Name) -> "Compiled":
        """A derivative of a recording, as a function that can be differentiated again."""
        return self._derived(one, name, lambda: derived(one, name))

    def _along(self, one: Recording) -> "Compiled":
        """The product of a recording's Hessian with a vector, of parameters, inputs and vector."""
        return self._derived(one, "along", lambda: partial(_second, one.program.evaluate))


def _second(replay: Callable[..., Any], parameters: list[Any], x: list[Any], v: list[Any]) -> Any:
    return hvp(lambda p: replay(p, x)[0], parameters, v)


def _as(kind: type, number: float) -> Any:
    """A number as the function returned it: a float, an int or a truth value."""
    return number if kind is float else kind(number)


def compile(
    function: Callable[..., Any],
    *,
    engine: str = "auto",
    exact: bool = False,
    reduction: str | None = None,
    threads: int = 1,
    cache: int = 64,
    verify: int = 0,
) -> Compiled:
    """The same function at native speed: its first call records it, later calls replay.

    Arguments are numbers, Values, or nested lists of them, by position or by name; a NumPy array is
    a batch whose rows are the samples.  Inside the function a number is a Value.  Leaves from
    outside are parameters: their numbers, also as `.data` or detached, are read at each call.

    The compiled function answers as the function itself does.  Where Values are among the
    arguments, or leaves are behind it, and operations are recorded, the result is a Value of the
    graph, which can be differentiated to every order; inside `no_grad()`, and for arrays, it is
    plain numbers (for arrays under an outer derivative, one Value a row).  What `select` might have
    chosen is behind a result, too.

    What the function asks of its numbers (`if x > 0`, `float(x)`, `f"{x}"`) becomes a guard: where
    the answer is another one, it is recorded again.  Whole numbers stay inputs where `select`,
    `nn.Embedding` or a sparse loss uses them; used otherwise, each is recorded anew.  What
    the function closes over, has as defaults or names as globals is compared at each call: numbers,
    small containers and arrays by what is in them, anything else by identity, with the plain
    attributes of an object.  What lies deeper cannot be seen: what is inside of objects, containers
    of more than 1,000 entries, files, the time, `type(x)`.  Use `verify` where in doubt.

    Args:
        engine: "native" (machine code that llvmlite makes), "numpy", or "auto": what is installed.
        exact: replay in the eager order, to the same bits; otherwise sums may be regrouped.
        reduction: "mean" or "sum" over the rows, or none.
        threads: over the rows of a batch.
        cache: how many recordings are kept.
        verify: run the function itself beside every so many calls, and raise ReplayError with both
            answers where they differ by more than 1e-9 of the largest number on the way.

    Raises RecordingError for what a replay would not repeat: random numbers, changes of what the
    function closes over or of a leaf, `backward` inside of it.

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
    if threads < 1 or cache < 1:
        raise ValueError("compile: threads and cache must be at least 1")
    if verify < 0:
        raise ValueError(f"compile: verify must be 0 or a number of calls, got {verify!r}")
    name = present_name(engine, "compile")
    return Compiled(function, Options(name, exact, reduction, threads, cache, verify))
