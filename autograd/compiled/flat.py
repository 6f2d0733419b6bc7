"""`Flat`: parameters in one array and their gradients in another, for training at native speed."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import methodcaller
from typing import Any, Protocol, Self

import numpy as np

from autograd.atomic import no_signal_at_start, together
from autograd.compiled.arguments import Call
from autograd.compiled.encoded import Batch
from autograd.compiled.recording import Recording, parameter_runs
from autograd.compiled.recordings import Options
from autograd.compiled.serving import Response, Sink
from autograd.nestings import is_leaf, rebuilt
from autograd.notes import registrations
from autograd.value import Value, grad_writer, grads, number_writer, numbers

Array = Any
MAX_PLANS = 64  # for different shapes of arguments, each with memory of its own


class Loss(Protocol):
    """A compiled function, as far as a Flat uses it; see `Compiled`."""

    options: Options
    state: Callable[[], Any]

    def plain_arguments(self, args: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The arguments for a method that gives numbers."""

    def differentiated(self, call: Call, sink: Sink) -> Response:
        """What a call gives; the parameters' gradients go to the sink."""

    def plain_outputs(self, args: tuple[Any, ...], named: dict[str, Any], sink: Sink) -> Any:
        """The function's result as numbers, for the parameters that the sink has."""

    def plain_result(self, call: Call, response: Response) -> Any:
        """The result as numbers."""

    def note_used(self, *used: Recording) -> None:
        """Note the recordings that served a call."""


def refuse_hooks(parameters: Iterable[Value]) -> None:
    """TypeError if a leaf has a hook, which would not run for gradients in an array."""
    for p in parameters:
        if p.hooks:
            raise TypeError(
                f"compile: {p.label or 'a parameter'} has a hook, and hooks are not run for "
                "gradients in arrays; use backward(...) of the compiled function"
            )


class Flat:
    """Parameters in one array and their gradients in another, for training at native speed.

    It is a context.  Inside, only the arrays are up to date.  At the end, also after an exception,
    the numbers and gradients are written to `.data` and `.grad` of the Values.  Calls from several
    threads take turns, and each call replaces the gradients, so a thread that needs gradients of
    its own needs a Flat of its own.

    Args:
        compiled: the compiled loss.
        parameters: all leaves that the loss depends on; a missing one is an error.

    Attributes:
        numbers, gradients: arrays in the order of the parameters.

    >>> from autograd import compile
    >>> w = Value(3.0)
    >>> with compile(lambda x: w * w * x).flat([w]) as flat:
    ...     loss = flat.backward(2.0)
    ...     flat.numbers -= 0.1 * flat.gradients
    >>> loss, w.grad, round(w.data, 6)
    (18.0, 12.0, 1.8)
    """

    def __init__(self, compiled: Loss, parameters: Sequence[Value]) -> None:
        self.compiled = compiled
        self.parameters = list(parameters)
        self.place = {p: i for i, p in enumerate(self.parameters)}
        self.numbers = np.array(numbers(self.parameters), dtype=np.float64)
        self.gradients = np.zeros(len(self.parameters))
        self._where: dict[Recording, Array] = {}
        self._plans: dict[Any, Plan] = {}
        self._places: dict[int, tuple[list[Value], Any]] = {}
        self._lock = threading.RLock()
        self._registrations = -1
        self._leaving: Any = ()  # (writer of the last entry, (writer of the entry before, ...))

    def where(self, recording: Recording) -> Array:
        """The runs of a recording's parameters in the arrays; see `parameter_runs`."""
        where = self._where.get(recording)
        if where is None:
            missing = [p for p in recording.parameters if p not in self.place]
            if missing:
                raise ValueError(
                    f"flat: the function also depends on {missing[0]!r}, which is not among the "
                    "parameters; add it, or compute with its number (v.data)"
                )
            positions = np.array([self.place[p] for p in recording.parameters], dtype=np.int64)
            where = parameter_runs(positions, len(recording.program.tape.constants))
            self._where[recording] = where
        return where

    def places(self, parameters: list[Value]) -> Any:
        """The positions of some parameters in the arrays: a slice, or a list of indices.

        They are cached for each list object, such as that of an optimizer's group.
        """
        known = self._places.get(id(parameters))
        if known is None:
            indices = [self.place[p] for p in parameters]
            line = slice(indices[0], indices[0] + len(indices))
            in_line = indices == list(range(line.start, line.stop))
            known = self._places[id(parameters)] = parameters, line if in_line else indices
        return known[1]

    def slopes(self, leaves: Iterable[Value]) -> list[float]:
        """The `.grad` of some leaves, for a function that reads it."""
        places = [(leaf, self.place.get(leaf)) for leaf in leaves]
        return [leaf.grad if at is None else float(self.gradients[at]) for leaf, at in places]

    def backward(self, *args: Any, **named: Any) -> Any:
        """The function's result; its gradient replaces `gradients`."""
        compiled = self.compiled
        if registrations[0] != self._registrations:
            refuse_hooks(self.parameters)
            self._registrations = registrations[0]
        shapes = [(arg.shape, arg.dtype) for arg in args if type(arg) is np.ndarray]
        planned = len(shapes) == len(args) > 0 and not named
        key = threading.get_ident(), compiled.state(), *shapes
        if planned and key in self._plans:
            with self._lock:
                plan = self._plans.get(key)
                if plan is not None and plan.run(self, args):
                    return plan.result()
        sink = Sink(self)
        with self._lock:
            call = compiled.plain_arguments(args, named)
            response = compiled.differentiated(call, sink)
            recording = response.first
            if planned and Plan.serves(compiled, call, recording):
                if len(self._plans) >= MAX_PLANS:
                    self._plans.clear()
                self._plans[key] = Plan(self, recording, call)
            self.gradients = sink.sum
        return compiled.plain_result(call, response)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The function's result as numbers, for the parameters in the arrays."""
        with self._lock:
            return self.compiled.plain_outputs(args, named, Sink(self))

    def write(self) -> None:
        """Write numbers and gradients to the Values, in one step that Ctrl-C cannot split."""
        self.writer()()

    def writer(self) -> Callable[[], object]:
        """A function to be called once: it does what `write` does, with the arrays of that time.

        The call is one step of the interpreter, so Ctrl-C cannot interrupt it in a `finally`.
        """

        def later(name: str) -> Iterator[float]:
            arrays = map(getattr, [self], [name])
            return chain.from_iterable(map(methodcaller("tolist"), arrays))

        return together(
            [
                number_writer(self.parameters, later("numbers")),
                grad_writer(self.parameters, later("gradients")),
            ]
        )

    def read(self) -> None:
        """Read the numbers and the gradients of the Values."""
        self.numbers[:] = numbers(self.parameters)
        self.gradients[:] = grads(self.parameters)

    def __enter__(self) -> Self:
        self.read()
        self._leaving = self.writer(), self._leaving
        return self

    @no_signal_at_start
    def __exit__(self, *exception: object) -> None:
        leave, self._leaving = self._leaving
        leave()


class Plan:
    """The buffers of a call with arrays, to be reused by the next call with the same shapes.

    All that is left to do is to copy the arguments and to call native code.
    """

    def __init__(self, flat: Flat, recording: Recording, call: Call) -> None:
        # It does not hold the Flat, which holds it: the two would keep each other alive.
        self.recording, self.reduction = recording, flat.compiled.options.reduction
        samples, width = call.numbers.shape
        x = np.empty((samples, width))
        self.views, at = [], 0
        for column in call.columns:
            # An array of one dimension has one number per sample.
            step = column.shape[1]
            self.views.append((x[:, at : at + step], column.shape))
            at += step
        scale = 1.0 / samples if self.reduction == "mean" else 1.0
        self.batch = Batch(
            numbers=flat.numbers, where=flat.where(recording), x=x, seeds=np.array([scale]),
            out=np.empty((samples, 1)), status=np.empty(samples, dtype=np.int64),
            back=np.empty((samples, width)), gradients=np.empty(len(flat.numbers)),
            differentiate=True,
        )  # fmt: skip
        memory, threads = recording.memory(samples), flat.compiled.options.threads
        self.sweep = recording.engine.prepared(memory, self.batch, threads)
        self.alone = is_leaf(recording.form)

    @staticmethod
    def serves(compiled: Loss, call: Call, recording: Recording) -> bool:
        """Whether all arguments are arrays, and the engine computes the whole call by itself."""
        options = compiled.options
        simple = not options.exact and not options.verify
        arrays = call.batched and all(isinstance(column, np.ndarray) for column in call.columns)
        return arrays and simple and not recording.grad_leaves

    def run(self, flat: Flat, args: tuple[Any, ...]) -> bool:
        """Whether the engine computed all samples; if so, the Flat has the new gradients."""
        for (view, shape), arg in zip(self.views, args, strict=True):
            view[...] = arg if arg.shape == shape else arg.reshape(shape)
        batch = self.batch
        batch.numbers = flat.numbers
        good = self.sweep()
        if good:
            flat.gradients, batch.gradients = batch.gradients, flat.gradients
            flat.compiled.note_used(self.recording)
        return good

    def result(self) -> Any:
        """The function's result."""
        if self.reduction is None:
            return rebuilt(self.recording.form, iter(self.batch.out.T.copy()))
        out = self.batch.out
        total = out.item() if len(out) == 1 else float(np.add.reduce(out.ravel()))
        if self.reduction == "mean":
            total /= len(out)
        return total if self.alone else rebuilt(self.recording.form, iter([total]))
