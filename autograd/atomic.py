"""Steps that Ctrl-C cannot split, and contexts that always restore what they change.

Python looks for signals when it enters a Python function, at the end of each turn of a loop, and
after a call of a C function; never inside a C function.  So a step that must not be split is one
call of a C function, and a `finally` does nothing before that call.
"""

import opcode
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from operator import call
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Runs a whole `map` of C functions in one step of the interpreter: Ctrl-C comes before it or after.
at_once: Final[Callable[[Iterable[object]], object]] = partial(deque, maxlen=0)


def together(steps: Iterable[Callable[[], object]]) -> Callable[[], object]:
    """A function, for one call, that makes all these calls in one step, if each is one step.

    If `steps` is a list, steps that are added to it before the call are made too.

    >>> steps = []
    >>> run = together(steps)
    >>> steps.append(partial(print, "done"))
    >>> _ = run()
    done
    """
    return partial(at_once, map(call, steps))


def undo_of(owners: Iterable[object], names: Iterable[str]) -> Callable[[], object]:
    """A function, for one call, that restores attributes to their present values, in one step.

    >>> class Lamp:
    ...     lit = False
    >>> lamp = Lamp()
    >>> undo = undo_of([lamp], ["lit"])
    >>> lamp.lit = True
    >>> _ = undo()
    >>> lamp.lit
    False
    """
    pairs = list(zip(owners, names, strict=False))
    values = [getattr(owner, name) for owner, name in pairs]
    return partial(
        at_once, map(setattr, [owner for owner, _ in pairs], [name for _, name in pairs], values)
    )


_RESUME = opcode.opmap.get("RESUME")
_AFTER_YIELD_FROM = 2


def no_signal_at_start(function: Callable[P, R]) -> Callable[P, R]:
    """The function, changed so that Python looks for no signal at its start.

    If Ctrl-C stops an `__exit__` at its start, nothing is restored.  The first instruction of a
    function looks for signals, unless it is marked as the one that continues after a `yield from`:
    here it is.  Where Python has no such instruction, the function stays as it is.

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

    Subclasses set `variable`, and define `inside`.
    """

    variable: ContextVar[T]
    _tokens: Any = ()  # the token that restores it, and the tokens of earlier entries

    def inside(self, before: T) -> T:
        """The variable's value inside the context, given its value before."""
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
    """The result of `context`: for one `with` statement, or a decorator that enters each call."""

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
            next(generator, None)  # a signal comes inside the generator, where `finally` runs
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
    """`contextlib.contextmanager` whose entry and exit Ctrl-C cannot cut short.

    The generator makes its changes inside its `try`, and its `finally` is one step.

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
    def manager(*args: P.args, **kwargs: P.kwargs) -> Context[T]:
        return Context(partial(function, *args, **kwargs))  # type: ignore[arg-type]

    return manager


def forkable_lock() -> Any:
    """An RLock that is free in a forked child, where the thread that held it does not exist."""
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock


def quietly(function: Callable[[], T]) -> T:
    """The function's result; NumPy arrays in it overflow to inf without a warning.

    >>> import numpy as np
    >>> float(quietly(lambda: np.add(1e308, 1e308)))
    inf
    """
    import numpy as np

    def run() -> T:
        with np.errstate(all="ignore"):
            return function()

    # In its own context: Ctrl-C at the start of an `__exit__` would leave NumPy's warnings off.
    return copy_context().run(run)
