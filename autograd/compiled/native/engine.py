"""The engine that runs a program as machine code made for its shapes and for this processor."""

import threading
from collections.abc import Callable
from typing import Any

from autograd.compiled.encoded import Batch
from autograd.compiled.lowering import CHOOSE, CONTRACT, SHARED
from autograd.compiled.native.calls import Call, Copy, Shared
from autograd.compiled.native.kernels import Loaded, loading
from autograd.compiled.native.target import host
from autograd.compiled.program import Program

Array = Any
Memory = tuple[Loaded, list[Array], dict[Any, Copy]]
_SMALL = 1024  # numbers that are copied for a call sooner than their addresses are found
_COPIES = 8  # kinds of such calls whose arrays are kept
TILES = 8, 16, 32  # samples side by side
_NUMBERS = 16_384  # lanes and samples of a tile; more of them would not stay near the processor


class NativeEngine:
    """Runs a program as machine code that LLVM makes for it."""

    name = "native"
    shares = True  # it divides a batch among threads itself

    def __init__(self, program: Program) -> None:
        self.program = program
        self._loaded: dict[int, Loaded] = {}
        self._local = threading.local()
        wide = [tile for tile in TILES[1:] if tile * program.slots <= _NUMBERS]
        self._tiles = [*(wide if _is_regular(program) else []), TILES[0]]

    def memory(self, samples: int) -> Memory:
        """The code for so many samples, this thread's memory for it, and its calls of a few.

        Threads that help get memory of their own, which is kept here, too.
        """
        tile = 1
        if samples > 1:
            tile = max((one for one in self._tiles if one < 2 * samples), default=TILES[0])
        kept: dict[Any, Any] = self._local.__dict__
        if tile not in kept:
            loaded = self.loaded(tile)
            kept[tile] = loaded, [loaded.memory()], {}
        return kept[tile]  # type: ignore[no-any-return]

    def loaded(self, tile: int) -> Loaded:
        """The code for a tile, ready to run."""
        with loading:
            if tile not in self._loaded:
                self._loaded[tile] = Loaded(self.program, tile, host())
            return self._loaded[tile]

    def run(self, memory: Memory, batch: Batch, threads: int = 1) -> bool:
        """What a sweep over the batch answers."""
        code, numbers, copies = memory
        samples = len(batch.x)
        if batch.x.size + batch.out.size > _SMALL or (threads > 1 and samples > code.chunk):
            return self.prepared(memory, batch, threads)()
        key = id(batch.where), len(batch.numbers), samples, batch.differentiate
        if key not in copies:
            if len(copies) >= _COPIES:
                copies.clear()
            copies[key] = Copy(code, numbers, batch)
        return copies[key](batch)

    def prepared(self, memory: Memory, batch: Batch, threads: int = 1) -> Callable[[], bool]:
        """A sweep over the batch, to be run once or again.

        Between two runs the batch may get other arrays of numbers and gradients, and other numbers
        in the same arrays.
        """
        call = Call(*memory[:2], batch)
        shares = min(threads, -(-len(batch.x) // call.code.chunk))
        return Shared(call, shares) if shares > 1 else call


def _is_regular(program: Program) -> bool:
    """Whether wide tiles will do: no gradient is looked up that goes to a shared number."""
    for one in program.instructions:
        pools = zip(one.pool, one.wanted, strict=False) if one.kind != CONTRACT else ()
        shared = [pool >= SHARED for pool, wanted in pools if wanted]
        if one.kind == CHOOSE:  # which knows the sums of entries that are all shared
            shared = [part for part in shared if not part.all()]
        if any(part.any() for part in shared):
            return False
    return bool((program.address[program.tape.outputs] < SHARED).all())
