"""Kernels in memory, and programs whose records hold the addresses of their kernels.

A program starts with the kernels for all shapes.  After some work, a thread compiles kernels for
its own shapes.  They compute in the same order, to the same bits, so results do not depend on when
they are ready.
"""

import ctypes
import os
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, islice
from typing import Any

import numpy as np

from autograd.atomic import forkable_lock, quietly
from autograd.compiled.lowering import CONTRACT
from autograd.compiled.native.cache import Code
from autograd.compiled.native.contractions import contraction
from autograd.compiled.native.ir import Function, Straight
from autograd.compiled.native.limits import Limits
from autograd.compiled.native.reals import DOUBLE, Reals
from autograd.compiled.native.records import Kernel
from autograd.compiled.native.sweep import FIELDS, sweep
from autograd.compiled.native.target import Target
from autograd.compiled.native.translation import Translation
from autograd.compiled.program import Program

Array = Any
FIELD = {name: k for k, name in enumerate(FIELDS)}
CHUNK = 8_000_000  # products in a chunk; the gradients of chunks are added in order
_OTHER = 16  # products that take as long as a number of another instruction, roughly
_WARM = 20_000_000  # products after which a program gets its own kernels
_MOST = 150  # shapes with their own kernels, those with the most products first
_FEW = 400  # records; with more, a program's small lookups keep their tables
_TOGETHER = 8  # kernels that are compiled at a time
loading = forkable_lock()


class Kernels:
    """The kernels of a target that programs share.

    Args:
        real, values: the types of numbers; see `Function`.
    """

    def __init__(self, target: Target, real: Reals = DOUBLE, values: Reals = DOUBLE) -> None:
        self.target, self.real, self.values = target, real, values
        self._addresses: dict[Kernel, int] = {}
        self._code: list[Code] = []

    def find(self, kernels: Iterable[Kernel]) -> dict[Kernel, int]:
        """The addresses of all loaded kernels, after loading these."""
        with loading:
            todo = [kernel for kernel in dict.fromkeys(kernels) if kernel not in self._addresses]
            if todo:
                code = Code([self._written(kernel) for kernel in todo], self.target)
                self._code.append(code)
                self._addresses |= zip(todo, code.addresses, strict=True)
            return self._addresses

    def _written(self, kernel: Kernel) -> Function:
        write, arguments = kernel
        parameters = ["call"] if write is sweep else ["record", "memory", "tables"]
        f = Function("kernel", parameters, self.real, self.values)
        if write is contraction:
            arguments = (*arguments, self.target.registers)
        write(f, *arguments)
        return f


@cache
def shared_kernels(target: Target, real: Reals = DOUBLE, values: Reals = DOUBLE) -> Kernels:
    """The kernels of a target, shared by the whole process."""
    return Kernels(target, real, values)


class Loaded:
    """A program's records for a tile, with the addresses of their kernels.

    Attributes:
        kernels: the kernels of each list of records; bounds are computed in doubles.
    """

    def __init__(self, program: Program, tile: int, target: Target, real: Reals = DOUBLE) -> None:
        self.tile, self.target = tile, target
        self.translation = translation = Translation(program, tile, real)
        self.lists = translation.lists
        self.kernels = {
            name: shared_kernels(target, DOUBLE if name == "bounds" else real, real)
            for name in self.lists
        }
        words = {name: [*records.words, 0] for name, records in self.lists.items()}
        self.words = {name: np.array(numbers, dtype=np.int64) for name, numbers in words.items()}
        wanted: dict[Kernels, list[Kernel]] = {self.kernels["forward"]: [(sweep, (tile,))]}
        for name, records in self.lists.items():
            wanted.setdefault(self.kernels[name], []).extend(one for _, one in records.kernels)
        found = {kernels: kernels.find(some) for kernels, some in wanted.items()}
        for name, records in self.lists.items():
            for at, kernel in records.kernels:
                self.words[name][at] = found[self.kernels[name]][kernel]
        address = found[self.kernels["forward"]][sweep, (tile,)]
        self.run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)
        work = sum(shape.work for records in self.lists.values() for _, shape in records.shapes)
        others = (len(one.pool[0]) for one in program.instructions if one.kind != CONTRACT)
        self.work = work // tile + _OTHER * sum(others) + 100  # products per sample, roughly
        tiles = -(-CHUNK // (self.work * tile))
        self.chunk = tile * (1 << min(tiles, 4096 // tile).bit_length() - 1)
        self.call = self._call()
        self.limits = Limits(translation.peaks, translation.layout)
        self.left = _WARM  # products until it gets its own kernels
        self._code: list[Code] = []
        self._compiling = 0  # the process that compiles

    def _call(self) -> Array:
        """The fields that are the same in every call."""
        translation, layout = self.translation, self.translation.layout
        call = np.zeros(len(FIELDS), dtype=np.int64)

        def put(**fields: int) -> None:
            for name, value in fields.items():
                call[FIELD[name]] = value

        for name, words in self.words.items():
            start = words.ctypes.data
            put(**{name: start, f"{name}_end": start + 8 * (len(words) - 1)})
        tape = translation.program.tape
        put(
            tables=translation.tables.ctypes.data, lanes=layout.lanes, adjoints=layout.adjoints,
            sums=layout.sums, sums_count=layout.shared * layout.partial, notes=layout.notes,
            copies=layout.copies, copied=translation.copied, copied_count=len(layout.copied),
            guards=translation.guards, outputs=translation.outputs,
            outputs_count=len(tape.outputs), width=tape.inputs, chunk=self.chunk,
            doubt=layout.doubt, unsure=layout.unsure, exceeded=layout.exceeded,
            roundings=translation.cone.roundings,
            originals=layout.originals, sources=layout.sources, compared=translation.compared,
            size_of=layout.sizes if layout.has_bounds else 0,
            bound_of=layout.bounds if layout.has_bounds else 0,
        )  # fmt: skip
        names = ("less", "less_equal", "greater", "greater_equal", "equal")
        put(**dict(zip(names, translation.guard_counts, strict=True)))
        return call

    def memory(self) -> Array:
        """A thread's numbers, aligned to cache lines."""
        translation = self.translation
        layout, real = translation.layout, translation.layout.real
        size = -(-(layout.scratch + translation.scratch) // real.per_double) + 16
        whole = np.zeros(size + 8)
        first = -whole.ctypes.data // 8 % 8
        doubles = whole[first : first + size]
        numbers = doubles.view(real.precision.name)
        constants = np.append(translation.program.tape.constants, 1.0)
        places = np.append(np.arange(len(constants) - 1), layout.shared - 1)
        numbers[places] = quietly(lambda: constants.astype(numbers.dtype))
        if layout.sources:
            doubles[layout.originals + places] = constants
        self.limits.put(numbers)
        return numbers

    # ------------------------------------------------------------------ kernels of its own

    def ran(self, samples: int) -> None:
        """Count the work done; when it is enough, start a thread that compiles kernels."""
        self.left -= self.work * samples
        if self.left <= 0 and self._compiling != os.getpid():
            self._compiling = os.getpid()
            threading.Thread(target=self.specialize, name="autograd compiles").start()

    def specialize(self) -> None:
        """Give contractions their own kernels, and small lookups kernels without tables."""
        for _ in chain(self._shapes(), self._straight()):
            if not threading.main_thread().is_alive():
                return  # the interpreter is exiting and waits for this thread

    def _shapes(self) -> Iterator[None]:
        sizes: dict[tuple[Kernels, Kernel], int] = {}
        for name, records in self.lists.items():
            for _, shape in records.shapes:
                one = self.kernels[name], (contraction, (shape,))
                sizes[one] = sizes.get(one, 0) + shape.work
        chosen = iter(sorted(sizes, key=lambda one: -sizes[one])[:_MOST])
        while some := list(islice(chosen, _TOGETHER)):
            for kernels in dict.fromkeys(kernels for kernels, _ in some):
                wanted = [kernel for other, kernel in some if other is kernels]
                addresses = kernels.find(wanted)
                for name, records in self.lists.items():
                    for at, shape in records.shapes:
                        if self.kernels[name] is kernels and (contraction, (shape,)) in wanted:
                            self.words[name][at] = addresses[contraction, (shape,)]
            yield

    def _straight(self) -> Iterator[None]:
        if sum(len(records.kernels) for records in self.lists.values()) > _FEW:
            return
        tables = self.translation.tables
        small = iter(
            [
                (name, at, kernel)
                for name, records in self.lists.items()
                for at, kernel in records.small[:_MOST]
            ]
        )
        while some := list(islice(small, _TOGETHER)):
            functions = []
            for name, at, (write, arguments) in some:
                words = self.lists[name].words
                kernels = self.kernels[name]
                record = words[at : at + words[at + 1]]
                f = Straight("kernel", record, tables, kernels.real, kernels.values)
                write(f, *arguments)
                functions.append(f)
            with loading:
                code = Code(functions, self.target, kept=False)
            self._code.append(code)
            for (name, at, _), address in zip(some, code.addresses, strict=True):
                self.words[name][at] = address
            yield
