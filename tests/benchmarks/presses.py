"""Ctrl-C at a moment that is chosen: after so many seconds, or at one place of the code."""

import _thread
import dis
import gc
import math
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

from autograd.atomic import no_signal_at_start

Work = Callable[[], Any]
SIGNAL = signal.SIGALRM


class Press:
    """Runs what is to be interrupted, and says whether KeyboardInterrupt ended it; here none comes.

    Attributes:
        came: whether the signal was handled while the work ran; where the work ended all the same
            in the usual way, somebody swallowed KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.came = False

    def start(self) -> None:
        """See to it that the signal comes."""

    def stop(self) -> None:
        """See to it that none comes any more."""

    def __call__(self, work: Work) -> bool:
        """Whether KeyboardInterrupt ended the work."""

        def handle(number: int, frame: Any) -> None:
            self.came = True
            raise KeyboardInterrupt

        old = signal.signal(SIGNAL, handle)
        # What measures coverage has locks that it could not give back, and what measures the
        # collector is called where Python swallows exceptions.
        trace, callbacks = sys.gettrace(), gc.callbacks[:]
        sys.settrace(None)
        gc.callbacks.clear()
        try:
            self.start()
            work()
            self.stop()
        except KeyboardInterrupt:
            return True
        finally:
            self.stop()
            signal.signal(SIGNAL, old)
            sys.settrace(trace)
            gc.callbacks[:] = callbacks
        return False


# Does something that is interrupted or not; says whether it was, and what is broken, '' if nothing.
Trial = Callable[[Press], tuple[bool, str]]


class After(Press):
    """Ctrl-C after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def start(self) -> None:
        """Set the clock."""
        signal.setitimer(signal.ITIMER_REAL, max(self.seconds, 1e-6))

    def stop(self) -> None:
        """Stop the clock."""
        signal.setitimer(signal.ITIMER_REAL, 0)


@dataclass(frozen=True)
class Place:
    """An instruction of a function, at the n-th time that it is executed."""

    code: CodeType
    offset: int
    time: int

    def __str__(self) -> str:
        lines = (line for start, end, line in self.code.co_lines() if start <= self.offset < end)
        name = dis.opname[self.code.co_code[self.offset]]
        file = os.path.basename(self.code.co_filename)
        return f"{file}:{next(lines)}, {self.code.co_qualname}, {name}, time {self.time}"


# Instructions at which Python neither looks for signals nor calls anything: a signal that comes
# there is handled at one of the instructions that follow.
_QUIET = (
    "LOAD_", "STORE_", "POP_", "COPY", "SWAP", "KW_NAMES", "PRECALL", "PUSH_", "BUILD_", "MAKE_",
    "RETURN_VALUE", "RESUME", "CACHE", "NOP", "IS_OP", "JUMP_FORWARD",
)  # fmt: skip
_LOUD = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "POP_JUMP_BACKWARD")


def _matters(code: CodeType, offset: int) -> bool:
    name = dis.opname[code.co_code[offset]]
    return name.startswith(_LOUD) or not name.startswith(_QUIET)


class Watch(Press):
    """Takes down every place where a signal may be handled; nobody presses anything."""

    def __init__(self) -> None:
        super().__init__()
        self.times: Counter[tuple[CodeType, int]] = Counter()

    def places(self) -> list[Place]:
        """Each place at its first and its last time."""
        found = dict.fromkeys(
            Place(code, offset, time)
            for (code, offset), count in self.times.items()
            if _matters(code, offset)
            for time in (1, count)
        )
        return list(found)

    def start(self) -> None:
        """Trace every instruction."""
        sys.settrace(self._trace)

    def stop(self) -> None:
        """Stop tracing."""
        sys.settrace(None)

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.times[frame.f_code, frame.f_lasti] += 1
        return self._trace


class At(Press):
    """Ctrl-C at one place: pending when the instruction begins, handled where Python next looks.

    That is what a signal of the system's does, and it comes at every such place in turn, however
    short the moment is.
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self.left = place, place.time
        # Looking up what is not there makes the signal pending without a call, after which Python
        # would handle it here instead of there.
        self.pending: Any = defaultdict(partial(_thread.interrupt_main, SIGNAL))

    def start(self) -> None:
        """Trace the one function."""
        sys.settrace(self._trace)

    def stop(self) -> None:
        """Stop tracing."""
        sys.settrace(None)

    # Python must not handle the signal in these two: they look for none, and call nothing.
    @no_signal_at_start
    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code is not self.place.code:
            return None
        frame.f_trace_opcodes = True
        return self._step

    @no_signal_at_start
    def _step(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "opcode" and frame.f_lasti == self.place.offset:
            self.left -= 1
            if self.left == 0:
                self.pending[0]
        return self._step


def forked(work: Work, seconds: float = math.inf) -> int:
    """How a child that does the work ends: 0, or minus the signal that killed it.

    It is killed, as by `kill -9`, after so many seconds.
    """
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    if seconds < math.inf:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # nobody else, even if it has ended: it is not waited for
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
