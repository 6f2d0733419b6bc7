"""Kernels in memory, and programs whose records have the addresses of theirs.

Kernels that suit every shape are there at once.  A program that has run for a while gets kernels
of its own from a thread; they compute in the same order, to the same bits, so that it does not
matter when they come.
"""

import ctypes
import os
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from autograd.atomic import forkable_lock
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
CHUNK = 4_000_000  # products of a chunk, whose gradients are added to those before it
_WARM = 20_000_000  # products after which a program gets kernels of its own
_MOST = 100  # shapes that do, those with the most products first
_SHARE = 0.98  # of all products, which those shapes have
_FEW = 400  # records; a program of more keeps its tables
_TOGETHER = 8  # kernels that are compiled at a time
loading = forkable_lock()


class Kernels:
    """The kernels of a target that programs share."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._addresses: dict[Kernel, int] = {}
        self._code: list[Code] = []

    def find(self, kernels: Iterable[Kernel]) -> dict[Kernel, int]:
        """Where kernels are in memory, these among them; what is not there yet is loaded."""
        with loading:
            todo = [one for one in dict.fromkeys(kernels) if one not in self._addresses]
            if todo:
                code = Code([self._written(one) for one in todo], self.target)
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
    """The kernels of a target, once for the process."""
    return Kernels(target)


class Loaded:
    """A program's records for a tile, with the addresses of their kernels."""

    def __init__(self, program: Program, tile: int, target: Target) -> None:
        self.tile, self.kernels = tile, shared_kernels(target)
        self.translation = made = Translation(program, tile)
        self.lists = made.lists
        self.words = {
            name: np.array([*one.words, 0], dtype=np.int64) for name, one in self.lists.items()
        }
        wanted = [kernel for one in self.lists.values() for _, kernel in one.kernels]
        found = self.kernels.find([(sweep, (tile,)), *wanted])
        for name, one in self.lists.items():
            for at, kernel in one.kernels:
                self.words[name][at] = found[kernel]
        self.run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(found[sweep, (tile,)])
        work = sum(shape.work for one in self.lists.values() for _, shape in one.shapes)
        self.work = work // tile + 100  # products of a sample, roughly
        tiles = -(-CHUNK // (self.work * tile))
        self.chunk = tile * (1 << min(tiles, 4096 // tile).bit_length() - 1)
        self.call = self._call()
        self.limits = Limits(made.peaks, made.layout)
        self.left = _WARM  # products until it gets kernels of its own
        self._code: list[Code] = []
        self._compiling = 0  # the process that does

    def _call(self) -> Array:
        """What is the same in every call."""
        made, layout = self.translation, self.translation.layout
        call = np.zeros(len(FIELDS), dtype=np.int64)

        def put(**fields: int) -> None:
            for name, value in fields.items():
                call[FIELD[name]] = value

        for name, words in self.words.items():
            start = words.ctypes.data
            put(**{name: start, f"{name}_end": start + 8 * (len(words) - 1)})
        tape = made.program.tape
        put(
            tables=made.tables.ctypes.data, lanes=layout.lanes, adjoints=layout.adjoints,
            sums=layout.sums, sums_count=layout.shared * layout.partial, notes=layout.notes,
            copies=layout.copies, copied=made.copied, copied_count=len(layout.copied),
            guards=made.guards, outputs=made.outputs, outputs_count=len(tape.outputs),
            width=tape.inputs, chunk=self.chunk, doubt=layout.doubt,
            unsure=layout.unsure, exceeded=layout.exceeded, unit=made.program.cone.unit,
            size_of=layout.sizes if layout.has_bounds else 0,
            bound_of=layout.bounds if layout.has_bounds else 0,
        )  # fmt: skip
        names = ("less", "less_equal", "greater", "greater_equal", "equal")
        put(**dict(zip(names, made.guard_counts, strict=True)))
        return call

    def memory(self) -> Array:
        """A thread's numbers, on a border of the cache's lines."""
        made = self.translation
        size = made.layout.scratch + made.scratch + 16
        whole = np.zeros(size + 8)
        first = -whole.ctypes.data // 8 % 8
        numbers = whole[first : first + size]
        constants = made.program.tape.constants
        numbers[: len(constants)] = constants
        numbers[made.layout.shared - 1] = 1.0
        self.limits.put(numbers)
        return numbers

    # ------------------------------------------------------------------ kernels of its own

    def ran(self, samples: int) -> None:
        """Count what has run; a thread compiles when it is enough."""
        self.left -= self.work * samples
        if self.left <= 0 and self._compiling != os.getpid():
            self._compiling = os.getpid()
            threading.Thread(target=self.specialize, name="autograd compiles").start()

    def specialize(self) -> None:
        """Give contractions kernels for their shapes, and small lookups kernels without tables."""
        steps = self._shapes(), self._straight()
        for step in steps:
            for _ in step:
                if not threading.main_thread().is_alive():
                    return  # the interpreter waits for this thread to end

    def _shapes(self) -> Iterator[None]:
        sizes: dict[Kernel, int] = {}
        for one in self.lists.values():
            for _, shape in one.shapes:
                kernel = contraction, (shape,)
                sizes[kernel] = sizes.get(kernel, 0) + shape.work
        largest = sorted(sizes, key=lambda kernel: -sizes[kernel])[:_MOST]
        before = np.cumsum([0, *(sizes[kernel] for kernel in largest)])[:-1]
        enough = before < _SHARE * sum(sizes.values())
        chosen = iter([kernel for kernel, wanted in zip(largest, enough, strict=True) if wanted])
        while some := list(islice(chosen, _TOGETHER)):
            found = self.kernels.find(some)
            for name, one in self.lists.items():
                for at, shape in one.shapes:
                    if (contraction, (shape,)) in some:
                        self.words[name][at] = found[contraction, (shape,)]
            yield

    def _straight(self) -> Iterator[None]:
        if sum(len(one.kernels) for one in self.lists.values()) > _FEW:
            return
        tables = self.translation.tables
        small = iter(
            [
                (name, at, kernel)
                for name, one in self.lists.items()
                for at, kernel in one.small[:_MOST]
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
