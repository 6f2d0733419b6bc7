"""The engine that runs a program as machine code, compiled for its shapes and this processor."""

import threading
from collections.abc import Callable
from typing import Any

from autograd.compiled.encoded import Batch
from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, SHARED
from autograd.compiled.native.calls import Call, Copy, Shared
from autograd.compiled.native.kernels import Loaded, loading
from autograd.compiled.native.reals import TYPES
from autograd.compiled.native.target import host
from autograd.compiled.native.team import cores
from autograd.compiled.precision import DOUBLE, Precision
from autograd.compiled.program import Program

Array = Any
Memory = tuple[Loaded, list[Array], dict[Any, Copy]]
_SMALL = 1024  # up to this many numbers, copying them is faster than looking up their addresses
_COPIES = 8  # kinds of such calls whose arrays are reused
_ENOUGH = 25_000_000  # products in a batch from which on all processors share it
SMALLEST = 8  # samples in the smallest tile of several
WIDE = 2, 4  # vectors of samples in wide tiles
_BYTES = 1 << 19  # of the lanes in a tile; more would not fit in the second cache


class NativeEngine:
    """Runs a program as machine code that LLVM compiles for it.

    Args:
        precision: the type of its numbers.
    """

    name = "native"

    def __init__(self, program: Program, precision: Precision = DOUBLE) -> None:
        self.program, self.real = program, TYPES[precision.name]
        self._loaded: dict[int, Loaded] = {}
        self._local = threading.local()
        vector, bytes_of_a_sample = self.real.vector, program.slots * self.real.size
        wide = [count * vector for count in WIDE if _is_regular(program)]
        wide = [tile for tile in wide if tile * bytes_of_a_sample <= _BYTES]
        self._tiles = sorted({SMALLEST, vector, *wide})

    def memory(self, samples: int) -> Memory:
        """The code for that many samples, with this thread's memory and calls of small batches.

        The list of memory also has a part for each thread that helps.
        """
        tile = 1
        if samples > 1:
            tile = max((size for size in self._tiles if size < 2 * samples), default=SMALLEST)
        by_tile: dict[Any, Any] = self._local.__dict__
        if tile not in by_tile:
            loaded = self.loaded(tile)
            by_tile[tile] = loaded, [loaded.memory()], {}
        return by_tile[tile]  # type: ignore[no-any-return]

    def loaded(self, tile: int) -> Loaded:
        """The code for a tile, ready to run."""
        with loading:
            if tile not in self._loaded:
                self._loaded[tile] = Loaded(self.program, tile, host(), self.real)
            return self._loaded[tile]

    def run(self, memory: Memory, batch: Batch, threads: int | None = None) -> bool:
        """Whether a sweep over the batch succeeds: guards passed, no doubts, finite results."""
        code, numbers, copies = memory
        samples = len(batch.x)
        if batch.x.size + batch.out.size > _SMALL or _shares(code, samples, threads) > 1:
            return self.prepared(memory, batch, threads)()
        key = id(batch.where), len(batch.numbers), samples, batch.differentiate
        if key not in copies:
            if len(copies) >= _COPIES:
                copies.clear()
            copies[key] = Copy(code, numbers, batch)
        return copies[key](batch)

    def prepared(
        self, memory: Memory, batch: Batch, threads: int | None = None
    ) -> Callable[[], bool]:
        """A sweep over the batch that can be run more than once.

        Between runs, the batch may get other arrays of numbers and gradients, or other numbers in
        the same arrays.
        """
        call = Call(*memory[:2], batch)
        shares = _shares(call.code, len(batch.x), threads)
        return Shared(call, shares) if shares > 1 else call


def _shares(code: Loaded, samples: int, threads: int | None) -> int:
    """How many threads share a batch; by default all processors, if there is enough work."""
    if threads is None:
        threads = cores() if samples * code.work >= _ENOUGH else 1
    return min(threads, -(-samples // code.chunk))


def _is_regular(program: Program) -> bool:
    """Whether wide tiles are possible: no gradient goes through a table to a parameter.

    Sums and choices whose entries are all shared are possible, too.
    """
    first = SHARED + len(program.tape.constants)
    for step in program.instructions:
        pools = zip(step.pool, step.wanted, strict=False) if step.kind != CONTRACT else ()
        for pool, wanted in pools:
            possible = step.kind in (CHOOSE, GATHER) and (pool >= SHARED).all()
            if wanted and (pool >= first).any() and not possible:
                return False
    return bool((program.address[program.tape.outputs] < SHARED).all())
