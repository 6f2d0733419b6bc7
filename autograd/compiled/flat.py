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
from autograd.compiled.recording import Recording, runs
from autograd.compiled.recordings import Options
from autograd.compiled.serving import Served, Sink
from autograd.nestings import rebuilt
from autograd.notes import registrations
from autograd.value import Value, grad_writer, number_writer, numbers

Array = Any
MOST_PLANS = 64  # of different shapes, each with memory of its own


class Loss(Protocol):
    """A compiled function, as far as it is called for its parameters' gradients."""

    options: Options
    state: Callable[[], Any]

    def numbers(self, args: tuple[Any, ...], named: dict[str, Any]) -> Call:
        """The arguments of a method that gives numbers."""

    def differentiated(self, call: Call, sink: Sink) -> Served:
        """What came of a call; the parameters' gradients go to the sink."""

    def computed(self, args: tuple[Any, ...], named: dict[str, Any], sink: Sink) -> Any:
        """What the function returns, as numbers, with parameters as the sink has them."""

    def shown(self, call: Call, served: Served) -> Any:
        """The result as numbers."""

    def ran(self, *used: Recording) -> None:
        """Note that these served a call."""


def refuse_hooks(parameters: Iterable[Value]) -> None:
    """TypeError if a leaf has a hook: what gives its gradient in an array does not run it."""
    for p in parameters:
        if p.hooks:
            raise TypeError(
                f"compile: {p.label or 'a parameter'} has a hook, and hooks are not run where "
                "gradients are kept in arrays; use backward(...) of the compiled function"
            )


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
        self._turn = threading.RLock()
        self._registrations = -1
        self._leaving: Any = ()  # the writer of the last entry, and those of the entries before

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
            found = self._where[one] = runs(places, len(one.program.tape.constants))
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

    def slopes(self, leaves: Iterable[Value]) -> list[float]:
        """What the `.grad` of some leaves is, for a function that reads it."""
        places = [(leaf, self.place.get(leaf)) for leaf in leaves]
        return [leaf.grad if at is None else float(self.gradients[at]) for leaf, at in places]

    def backward(self, *args: Any, **named: Any) -> Any:
        """The function's result; its gradient takes the place of `gradients`."""
        compiled = self.compiled
        if registrations[0] != self._registrations:
            refuse_hooks(self.parameters)
            self._registrations = registrations[0]
        key: list[Any] = [threading.get_ident(), compiled.state()]
        for arg in args:
            if type(arg) is not np.ndarray:
                break
            key += [arg.shape, arg.dtype]
        else:
            with self._turn:
                plan = self._plans.get(tuple(key)) if not named else None
                if plan is not None and plan.run(self, args):
                    return plan.result()
        sink = Sink(self)
        with self._turn:
            call = compiled.numbers(args, named)
            served = compiled.differentiated(call, sink)
            if len(key) > len(args) + 1 and args and Plan.serves(compiled, call, served.used):
                if len(self._plans) >= MOST_PLANS:
                    self._plans.clear()
                self._plans[tuple(key)] = Plan(self, served.one, call)
            self.gradients = sink.sum
        return compiled.shown(call, served)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The function's result, as numbers, with the parameters as they are here."""
        with self._turn:
            return self.compiled.computed(args, named, Sink(self))

    def write(self) -> None:
        """Give numbers and gradients to the Values, in one step that Ctrl-C cannot split."""
        self.writer()()

    def writer(self) -> Callable[[], object]:
        """A function, for one call, that does what `write` does, with the arrays as they are then.

        It is one step of the interpreter: where a `finally` calls it, Ctrl-C cannot come between.
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
        """Take the numbers from the Values."""
        self.numbers[:] = numbers(self.parameters)

    def __enter__(self) -> Self:
        self.read()
        self._leaving = self.writer(), self._leaving
        return self

    @no_signal_at_start
    def __exit__(self, *exception: object) -> None:
        leave, self._leaving = self._leaving
        leave()


class Plan:
    """A call of arrays that has been made before: what does not change from call to call.

    What is left to do is to copy the arguments and to jump into native code.
    """

    def __init__(self, flat: Flat, one: Recording, call: Call) -> None:
        # It is the Flat's, and does not hold it: the two would keep each other alive.
        self.one, self.reduction = one, flat.compiled.options.reduction
        samples, width = call.numbers.shape
        x = np.empty((samples, width))
        self.views, at = [], 0
        for column in call.columns:
            # Arrays of one dimension have one number a sample.
            step = column.shape[1]
            self.views.append((x[:, at : at + step], column.shape))
            at += step
        scale = 1.0 / samples if self.reduction == "mean" else 1.0
        self.batch = Batch(
            numbers=flat.numbers, where=flat.where(one), x=x, seeds=np.array([scale]),
            out=np.empty((samples, 1)), held=np.empty(samples, dtype=np.int64),
            inputs=np.empty((samples, width)), gradients=np.empty(len(flat.numbers)),
            differentiate=True,
        )  # fmt: skip
        self.sweep = one.engine.prepared(one.memory(samples), self.batch)

    @staticmethod
    def serves(compiled: Loss, call: Call, used: list[Recording]) -> bool:
        """Whether the call is one of arrays, on one thread, that the engine can do by itself."""
        options = compiled.options
        simple = not options.exact and options.threads == 1 and not options.verify
        arrays = call.batched and all(isinstance(column, np.ndarray) for column in call.columns)
        return arrays and simple and not used[0].read

    def run(self, flat: Flat, args: tuple[Any, ...]) -> bool:
        """Whether the engine could do it; then the Flat has the new gradients."""
        for (view, shape), arg in zip(self.views, args, strict=True):
            view[...] = arg.reshape(shape)
        batch = self.batch
        batch.numbers = flat.numbers
        good = self.sweep()
        if good:
            flat.gradients, batch.gradients = batch.gradients, flat.gradients
            flat.compiled.ran(self.one)
        return good

    def result(self) -> Any:
        """The function's result."""
        if self.reduction is None:
            return rebuilt(self.one.form, iter(self.batch.out.T.copy()))
        total = float(np.add.reduce(self.batch.out, axis=None))
        if self.reduction == "mean":
            total /= len(self.batch.out)
        return rebuilt(self.one.form, iter([total]))
