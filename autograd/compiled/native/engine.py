"""The engine that runs a program as machine code made for its shapes and for this processor."""

import threading
from collections.abc import Callable
from typing import Any

from autograd.compiled.encoded import Batch
from autograd.compiled.lowering import CHOOSE, CONTRACT, SHARED
from autograd.compiled.native.calls import Call, Shared
from autograd.compiled.native.kernels import Loaded, loading
from autograd.compiled.native.target import host
from autograd.compiled.program import Program

Array = Any
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

    def memory(self, samples: int) -> tuple[Loaded, list[Array]]:
        """The code for so many samples, and this thread's memory for it; more is for helpers."""
        tile = 1
        if samples > 1:
            tile = max((one for one in self._tiles if one < 2 * samples), default=TILES[0])
        kept: dict[Any, Any] = self._local.__dict__
        if tile not in kept:
            loaded = self.loaded(tile)
            kept[tile] = loaded, [loaded.memory()]
        return kept[tile]  # type: ignore[no-any-return]

    def loaded(self, tile: int) -> Loaded:
        """The code for a tile, ready to run."""
        with loading:
            if tile not in self._loaded:
                self._loaded[tile] = Loaded(self.program, tile, host())
            return self._loaded[tile]

    def prepared(
        self, memory: tuple[Loaded, list[Array]], batch: Batch, threads: int = 1
    ) -> Callable[[], bool]:
        """A sweep over the batch, to be run once or again.

        Between two runs the batch may get other arrays of numbers and gradients, and other numbers
        in the same arrays.
        """
        call = Call(*memory, batch)
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
