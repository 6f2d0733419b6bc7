"""Whole or not at all: steps that Ctrl-C cannot split, and contexts that always put things back.

Python looks for signals when a function of Python's is entered, when a loop turns, and after a call
of a function written in C; never inside such a function.  So what must not be split is done by one
call of a function written in C, and a `finally` does nothing before that call.
"""

import opcode
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from operator import call
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Runs a `map` of functions written in C to its end in one step of the interpreter, in which it
# looks for no signal: Ctrl-C comes before all of it, or after.
at_once: Final[Callable[[Iterable[object]], object]] = partial(deque, maxlen=0)


def together(steps: Iterable[Callable[[], object]]) -> Callable[[], object]:
    """A function, for one call, that makes all these calls in one step, if each of them is one.

    Steps that are added to a list before that call are among them.

    >>> steps = []
    >>> run = together(steps)
    >>> steps.append(partial(print, "done"))
    >>> _ = run()
    done
    """
    return partial(at_once, map(call, steps))


def undo_of(owners: Iterable[object], names: Iterable[str]) -> Callable[[], object]:
    """A function, for one call, that sets attributes back to what they are now, in one step.

    >>> class Lamp:
    ...     lit = False
    >>> lamp = Lamp()
    >>> undo = undo_of([lamp], ["lit"])
    >>> lamp.lit = True
    >>> _ = undo()
    >>> lamp.lit
    False
    """
    places = list(zip(owners, names, strict=False))
    kept = [getattr(owner, name) for owner, name in places]
    return partial(
        at_once, map(setattr, [owner for owner, _ in places], [name for _, name in places], kept)
    )


_RESUME = opcode.opmap.get("RESUME")
_AFTER_YIELD_FROM = 2


def no_signal_at_start(function: Callable[P, R]) -> Callable[P, R]:
    """The function, at whose start Python looks for no signal.

    An `__exit__` that Ctrl-C ends at its start has put nothing back.  The first instruction of a
    function looks for signals, unless it says that it goes on after a `yield from`: this one says
    so.  Where Python has no such instruction, the function stays as it is.

    >>> @no_signal_at_start
    ... def leave(*exception):
    ...     return "left"
    >>> leave()
    'left'
    """
    code = function.__code__
    text = bytearray(code.co_code)
    if _RESUME is not None and _RESUME in text[::2]:
        text[2 * text[::2].index(_RESUME) + 1] = _AFTER_YIELD_FROM
        function.__code__ = code.replace(co_code=bytes(text))
    return function


class Setting(Generic[T]):
    """A context in which a context variable is changed, for this thread and this task only.

    Subclasses say which variable, and define `inside`.
    """

    variable: ContextVar[T]
    _tokens: Any = ()  # what puts it back, and the tokens of the entries before

    def inside(self, before: T) -> T:
        """What the variable is inside, given what it was before."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        variable = self.variable
        before = variable.get()
        changed = self.inside(before)
        try:
            self._tokens = variable.set(changed), self._tokens
        except BaseException:  # Ctrl-C, before there is anything to leave
            variable.set(before)
            raise
        return self

    @no_signal_at_start
    def __exit__(self, *exception: object) -> None:
        token, self._tokens = self._tokens
        self.variable.reset(token)


class Context(Generic[T]):
    """What `context` makes, for one `with` statement; as a decorator for each call."""

    def __init__(self, generate: Callable[[], Generator[T]]) -> None:
        self._generate = generate
        self._generator = generate()

    def __enter__(self) -> T:
        try:
            return next(self._generator)
        except BaseException:  # Ctrl-C, before there is anything to leave
            self._generator.close()
            raise

    @no_signal_at_start
    def __exit__(self, kind: object, error: BaseException | None, trace: Any) -> None:
        generator = self._generator
        if error is None:
            next(generator, None)  # a signal is looked for inside, where `finally` sees it
            return
        try:
            generator.throw(error)
        except BaseException as raised:
            # StopIteration leaves a generator as the cause of a RuntimeError.
            stopped = isinstance(error, StopIteration) and raised.__cause__ is error
            if raised is not error and not stopped:
                raise
            error.__traceback__ = trace

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, inside a context of its own for each call."""

        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with Context(self._generate):
                return function(*args, **kwargs)

        return inside


def context(function: Callable[P, Iterator[T]]) -> Callable[P, Context[T]]:
    """`contextlib.contextmanager`, with a way in and a way out that Ctrl-C cannot cut off.

    The generator changes things inside its `try`, and its `finally` is one step.

    >>> lights = []
    >>> @context
    ... def lit(name):
    ...     try:
    ...         lights.append(name)
    ...         yield name
    ...     finally:
    ...         lights.clear()
    >>> with lit("hall"):
    ...     lights
    ['hall']
    >>> lights
    []
    """

    @wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Context[T]:
        return Context(partial(function, *args, **kwargs))  # type: ignore[arg-type]

    return made


def quietly(function: Callable[[], T]) -> T:
    """The function's result; its arrays overflow to inf as plain numbers do, without a warning.

    >>> import numpy as np
    >>> float(quietly(lambda: np.add(1e308, 1e308)))
    inf
    """
    import numpy as np

    def run() -> T:
        with np.errstate(all="ignore"):
            return function()

    # In a context of its own: Ctrl-C at the start of an `__exit__` would leave NumPy silent.
    return copy_context().run(run)
