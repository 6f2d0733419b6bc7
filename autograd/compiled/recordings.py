"""The recordings of one function: which of them may serve a call, and how a new one is made."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograd.atomic import at_once
from autograd.compiled.arguments import Call, Contents
from autograd.compiled.environment import Environment
from autograd.compiled.precision import DOUBLE, Precision
from autograd.compiled.randomness import Generators
from autograd.compiled.recorder import Recorder
from autograd.compiled.recording import Recording, RecordingCache, recording_of
from autograd.compiled.traced import RecordingError
from autograd.modes import quiet_gc

Array = Any
_LOCK_TIMEOUT = 2.0  # seconds to wait while another thread records the same function


@dataclass(frozen=True)
class Options:
    """How a function is compiled; see `compile`."""

    engine: str = "auto"
    exact: bool = False
    reduction: str | None = None
    threads: int | None = None
    cache: int = 64
    verify: int = 0
    precision: Precision = DOUBLE


class Recordings:
    """The recordings of a function, and the rules for which of them may serve a call.

    Args:
        function, name: the function, and its name in messages.
        options: the engine, and how many recordings are kept.
        environment: whether to compare at each call what the function closes over and names.

    Attributes:
        cache: the recordings.
        state: a function that gives a number for the state of the environment.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, options: Options, environment: bool
    ) -> None:
        self.function, self.name = function, name
        self.kind = options.engine, options.precision
        self.cache = RecordingCache(options.cache)
        self._strict: set[Any] = set()  # keys whose recordings serve only one kind of arguments
        self._identified: dict[Any, set[int]] = {}  # numbers for which it matters which Value it is
        self._environment = Environment(function) if environment else None
        self.state: Callable[[], int] = (
            int if self._environment is None else self._environment.state
        )
        self._lock = threading.RLock()

    def candidates(self, call: Call, quiet: bool = False) -> list[Recording]:
        """Those that may serve a call, the latest first; `quiet` for a call inside `no_grad`."""
        return self.cache.get(self._key(call, quiet))

    def clear(self) -> None:
        """Drop every recording."""
        self.cache.clear()
        self._strict.clear()
        self._identified.clear()

    def adopt(self, call: Call, recordings: list[Recording]) -> None:
        """Take recordings that were made elsewhere for calls like this one."""
        for recording in reversed(recordings):
            self.cache.store(self._key(call, False), recording)

    def _key(self, call: Call, quiet: bool) -> Any:
        return self._specific((call.key, self.state()), call, quiet)

    def _specific(self, key: Any, call: Call, quiet: bool) -> Any:
        """The key of a call, from the nesting of its arguments and the state of the environment."""
        if not self._strict or key not in self._strict:
            return key
        identified = self._identified.get(key, ())
        values = call.value_inputs() if identified else []
        return key, call.values, quiet, tuple(id(values[k]) for k in identified)

    def record(
        self, call: Call, quiet: bool, row: Array, tried: list[Recording]
    ) -> tuple[Recording, bool]:
        """A recording for the row, and whether it is new: another thread may have just made it."""
        locked: list[bool] = []
        try:
            # Without a timeout, a function could wait for a thread that calls this very function.
            # One step takes the lock and notes it, so that Ctrl-C cannot leave it locked.
            acquired = map(self._lock.acquire, (True,), (_LOCK_TIMEOUT,))
            at_once(map(locked.append, acquired))
            general = call.key, self.state()
            key = self._specific(general, call, quiet)
            others = [other for other in self.cache.get(key) if other not in tried]
            if others:
                return others[0], False
            recorder = Recorder(call.values, quiet, call.value_inputs())
            try:
                with quiet_gc():
                    recording = self._recorded(recorder, call, row)
                    if quiet and recorder.transforms:
                        # Inside `no_grad`, a derivative of what the function computed is 0.
                        recorder.forget()
                        recorder = Recorder(call.values, quiet, call.value_inputs(), records=False)
                        recording = self._recorded(recorder, call, row)
                if recorder.identified:
                    known = self._identified.get(general, set())
                    self._identified[general] = known | set(recorder.identified)
                    recording.derived["identified"] = recorder.identified  # kept alive for `id`
                if recorder.strict:
                    self._strict.add(general)
                    key = self._specific(general, call, quiet)
            finally:
                recorder.forget()
            self.cache.store(key, recording)
            return recording, True
        finally:
            if True in locked:
                self._lock.release()

    def _recorded(self, recorder: Recorder, call: Call, row: Array) -> Recording:
        """The recording of the function's call with the row."""
        args, named = call.enter(recorder, row)
        environment = self._environment
        if environment is None:
            result = recorder.run(self.function, args, named)
            return recording_of(recorder, result, self.name, *self.kind)
        before, contents = environment.snapshot(), Contents([args, named])
        if before.iterators:
            raise RecordingError(
                f"{self.name}: the function closes over or names the iterator "
                f"{before.iterators[0]!r}, which a replay would not advance; take what you need of "
                "it outside and pass that as an argument"
            )
        generators = Generators(before.searched)
        result = recorder.run(self.function, args, named)
        moved, changed = generators.moved(), environment.changed(before, environment.snapshot())
        if moved:
            raise RecordingError(
                f"{self.name}: the function drew random numbers while it was recorded ({moved} has "
                "moved), and a replay would repeat them; draw them outside and pass them as "
                "arguments"
            )
        if changed:
            raise RecordingError(
                f"{self.name}: the function changes {changed!r}, which it closes over or names as "
                "a global, and a replay would not; return what it computes instead"
            )
        if not call.batched and contents.changed():
            raise RecordingError(
                f"{self.name}: the function changes a list or dict that is an argument, and a "
                "replay would not; change a copy instead"
            )
        recording = recording_of(recorder, result, self.name, *self.kind)
        # The key of a state has the `id` of objects, which must stay alive with the recording.
        recording.derived["environment"] = before
        return recording

    def watch(self, call: Call, quiet: bool) -> None:
        """Run the function for each sample; NonFiniteError names the operation at fault."""
        for row in call.numbers:
            recorder = Recorder(call.values, quiet, call.value_inputs())
            try:
                args, named = call.enter(recorder, row)
                recorder.run(self.function, args, named, anomaly=True)
            finally:
                recorder.forget()
