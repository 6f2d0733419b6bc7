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

from autograd.atomic import forkable_lock
from autograd.compiled.lowering import CONTRACT
from autograd.compiled.native.cache import Code
from autograd.compiled.native.contractions import contraction
from autograd.compiled.native.ir import Function, Straight
from autograd.compiled.native.limits import Limits
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
    """The kernels of a target that programs share."""

    def __init__(self, target: Target) -> None:
        self.target = target
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
        f = Function("kernel", ["call"]) if write is sweep else Function("kernel")
        if write is contraction:
            arguments = (*arguments, self.target.registers)
        write(f, *arguments)
        return f


@cache
def shared_kernels(target: Target) -> Kernels:
    """The kernels of a target, shared by the whole process."""
    return Kernels(target)


class Loaded:
    """A program's records for a tile, with the addresses of their kernels."""

    def __init__(self, program: Program, tile: int, target: Target) -> None:
        self.tile, self.kernels = tile, shared_kernels(target)
        self.translation = translation = Translation(program, tile)
        self.lists = translation.lists
        words = {name: [*records.words, 0] for name, records in self.lists.items()}
        self.words = {name: np.array(numbers, dtype=np.int64) for name, numbers in words.items()}
        wanted = [kernel for records in self.lists.values() for _, kernel in records.kernels]
        addresses = self.kernels.find([(sweep, (tile,)), *wanted])
        for name, records in self.lists.items():
            for at, kernel in records.kernels:
                self.words[name][at] = addresses[kernel]
        self.run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(addresses[sweep, (tile,)])
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
            unit=translation.program.cone.unit,
            size_of=layout.sizes if layout.has_bounds else 0,
            bound_of=layout.bounds if layout.has_bounds else 0,
        )  # fmt: skip
        names = ("less", "less_equal", "greater", "greater_equal", "equal")
        put(**dict(zip(names, translation.guard_counts, strict=True)))
        return call

    def memory(self) -> Array:
        """A thread's numbers, aligned to cache lines."""
        translation = self.translation
        size = translation.layout.scratch + translation.scratch + 16
        whole = np.zeros(size + 8)
        first = -whole.ctypes.data // 8 % 8
        numbers = whole[first : first + size]
        constants = translation.program.tape.constants
        numbers[: len(constants)] = constants
        numbers[translation.layout.shared - 1] = 1.0
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
        sizes: dict[Kernel, int] = {}
        for records in self.lists.values():
            for _, shape in records.shapes:
                kernel = contraction, (shape,)
                sizes[kernel] = sizes.get(kernel, 0) + shape.work
        chosen = iter(sorted(sizes, key=lambda kernel: -sizes[kernel])[:_MOST])
        while some := list(islice(chosen, _TOGETHER)):
            addresses = self.kernels.find(some)
            for name, records in self.lists.items():
                for at, shape in records.shapes:
                    if (contraction, (shape,)) in some:
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
                f = Straight("kernel", words[at : at + words[at + 1]], tables)
                write(f, *arguments)
                functions.append(f)
            with loading:
                code = Code(functions, self.kernels.target, kept=False)
            self._code.append(code)
            for (name, at, _), address in zip(some, code.addresses, strict=True):
                self.words[name][at] = address
            yield
