"""The recordings of one function: which of them may serve a call, and how a new one is made."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograd.atomic import at_once
from autograd.compiled.arguments import Call
from autograd.compiled.environment import Environment
from autograd.compiled.randomness import Generators
from autograd.compiled.recorder import Recorder
from autograd.compiled.recording import Recording, Shelf, made
from autograd.compiled.traced import RecordingError

Array = Any
_PATIENCE = 2.0  # seconds that a thread waits for another one's recording of the same function


@dataclass(frozen=True)
class Options:
    """How a function is compiled; see `compile`."""

    engine: str = "auto"
    exact: bool = False
    reduction: str | None = None
    threads: int = 1
    cache: int = 64
    verify: int = 0


class Recordings:
    """The recordings of a function, and what decides which of them may serve a call.

    Args:
        function, name: what is recorded, and what messages call it.
        options: the engine, and how many recordings are kept.
        environment: whether what the function closes over and names is compared at each call.

    Attributes:
        shelf: where they are kept.
        state: a number that is another one when what is compared has changed.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, options: Options, environment: bool
    ) -> None:
        self.function, self.name, self.engine = function, name, options.engine
        self.shelf = Shelf(options.cache)
        self._strict: set[Any] = set()  # shapes whose recordings serve calls of one kind only
        self._around = Environment(function) if environment else None
        self.state: Callable[[], int] = self._around.state if self._around is not None else int
        self._turn = threading.RLock()

    def known(self, call: Call, quiet: bool = False) -> list[Recording]:
        """Those that may serve a call, the latest first; `quiet` is a call inside `no_grad`."""
        return self.shelf.of(self._key(call, quiet))

    def clear(self) -> None:
        """Forget every recording."""
        self.shelf.clear()
        self._strict.clear()

    def adopt(self, call: Call, recordings: list[Recording]) -> None:
        """Take recordings that were made elsewhere for calls like this one."""
        for one in reversed(recordings):
            self.shelf.keep(self._key(call, False), one)

    def _key(self, call: Call, quiet: bool) -> Any:
        shape = call.key, self.state()
        if self._strict and shape in self._strict:
            return shape, call.values, quiet
        return shape

    def record(
        self, call: Call, quiet: bool, row: Array, tried: list[Recording]
    ) -> tuple[Recording, bool]:
        """A recording of the row, and whether it is new: another thread may have made one."""
        locked: list[bool] = []
        try:
            # Without a limit, a function could wait for a thread that calls this very function.
            # One step takes the lock and notes it: Ctrl-C cannot come between and leave it held.
            asked = map(self._turn.acquire, (True,), (_PATIENCE,))
            at_once(map(locked.append, asked))
            key = self._key(call, quiet)
            others = [one for one in self.shelf.of(key) if one not in tried]
            if others:
                return others[0], False
            recorder = Recorder(call.values, quiet)
            try:
                one = self._recorded(recorder, call, row)
                if recorder.strict and key not in self._strict:
                    shape = key if len(key) == 2 else key[0]
                    self._strict.add(shape)
                    key = shape, call.values, quiet
            finally:
                recorder.forget()
            self.shelf.keep(key, one)
            return one, True
        finally:
            if True in locked:
                self._turn.release()

    def _recorded(self, recorder: Recorder, call: Call, row: Array) -> Recording:
        """What the function does with the row."""
        args, named = call.enter(recorder, row)
        around = self._around
        if around is None:
            result = recorder.run(self.function, args, named)
            return made(recorder, result, self.name, self.engine)
        before = around.walk()
        generators = Generators(before.found)
        result = recorder.run(self.function, args, named)
        moved, changed = generators.moved(), around.changed(before, around.walk())
        if moved:
            raise RecordingError(
                f"{self.name}: random numbers were drawn while the function was recorded, and a "
                f"replay would give the same ones again ({moved} has moved); draw them outside and "
                "pass them as arguments"
            )
        if changed:
            raise RecordingError(
                f"{self.name}: the function changes {changed!r}, which it closes over or names as "
                "a global, and a replay would not; return what it computes instead"
            )
        one = made(recorder, result, self.name, self.engine)
        one.derived["environment"] = before  # what it holds must not be freed: it is told by `id`
        return one

    def watch(self, call: Call, quiet: bool) -> None:
        """Run the function for each sample; NonFiniteError names the operation at fault."""
        for row in call.numbers:
            recorder = Recorder(call.values, quiet)
            try:
                args, named = call.enter(recorder, row)
                recorder.run(self.function, args, named, anomaly=True)
            finally:
                recorder.forget()
