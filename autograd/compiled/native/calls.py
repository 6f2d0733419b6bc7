"""Calls of a program's machine code; between calls, only numbers and gradients may change."""

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from autograd.atomic import quietly
from autograd.compiled.encoded import Batch
from autograd.compiled.native.kernels import FIELD, Loaded
from autograd.compiled.native.team import together

Array = Any
MOST_POINTERS = 4  # pairs of arrays whose addresses are kept
MOST_PARTS = 8  # of the gradients that are filled with zeros one by one


@dataclass(frozen=True)
class _Pointed:
    """The address of a call with certain arrays.

    Attributes:
        rest: the gradients that the call does not fill.
        kept: the objects that have to live as long as the address is used.
    """

    address: int
    rest: list[Array]
    kept: tuple[Any, ...]


class Call:
    """A repeatable sweep over one batch; between runs, its numbers and gradients may change."""

    def __init__(self, code: Loaded, memory: list[Array], batch: Batch) -> None:
        self.code, self.memory, self.batch = code, memory, batch
        self.samples, where = len(batch.x), batch.where
        runs = where.tolist()
        self.filled = sorted((at, at + count) for _, at, count in runs)  # of the gradients
        self.needed = max((end for _, end in self.filled), default=0)
        self.fields = code.call.copy()
        names = ["where", "x", "seeds", "out", "status"]
        self.arrays = {name: _in_line(name, getattr(batch, name)) for name in names}
        if batch.differentiate:
            self.arrays["back"] = _in_line("back", batch.back)
        self.put(**{name: _address(array) for name, array in self.arrays.items()})
        self.put(memory=_address(memory[0]), where_count=len(where))
        self.put(samples=self.samples, differentiate=batch.differentiate)
        self._known: dict[tuple[int, int], _Pointed] = {}

    def put(self, **fields: int) -> None:
        """Set fields of the call."""
        for name, value in fields.items():
            self.fields[FIELD[name]] = value

    def __call__(self) -> bool:
        """Whether all samples passed their guards, none is in doubt, and all results are finite."""
        code, numbers, gradients = self.code, self.batch.numbers, self.batch.gradients
        if code.left > 0:
            code.ran(self.samples)
        known = self._known.get((id(numbers), id(gradients)))
        if known is None:
            known = self._pointed(numbers, gradients)
        for rest in known.rest:
            rest.fill(0.0)
        status = code.run(known.address)
        if status > 1:
            code.limits.learn(self.memory[0], self.samples * code.work)
        return bool(status & 1)

    def contiguous(self, numbers: Array, gradients: Array) -> Array:
        """The numbers in the layout of machine code; raises ValueError if there are too few."""
        if self.batch.differentiate:
            _in_line("gradients", gradients)
        sizes = [numbers.size] + [gradients.size] * self.batch.differentiate
        if min(sizes) < self.needed:
            raise ValueError(
                f"expected {self.needed} numbers of parameters and as many gradients, got "
                f"{numbers.size} and {gradients.size}"
            )
        return np.ascontiguousarray(numbers, dtype=np.float64)

    def _pointed(self, numbers: Array, gradients: Array) -> "_Pointed":
        """The call with these arrays."""
        plain = self.contiguous(numbers, gradients)
        self.put(numbers=_address(plain), gradients=_address(gradients))
        fields = self.fields.copy()
        pointed = _Pointed(
            _address(fields), self._unfilled(gradients), (fields, plain, gradients, numbers)
        )
        if plain is numbers:
            if len(self._known) >= MOST_POINTERS:
                self._known.clear()
            self._known[id(numbers), id(gradients)] = pointed
        return pointed

    def _unfilled(self, gradients: Array) -> list[Array]:
        """The parts of the gradients that no sweep fills; all of them if there are many parts."""
        if not self.batch.differentiate:
            return []
        ends = [0, *(end for _, end in self.filled)]
        starts = [*(start for start, _ in self.filled), len(gradients)]
        rest = [gradients[a:b] for a, b in zip(ends, starts, strict=True) if a < b]
        return rest if len(rest) <= MOST_PARTS else [gradients]


class Copy:
    """Sweeps over small batches, which are copied to arrays whose addresses are known.

    Args:
        batch: the first batch; later ones have arrays of the same shapes.
    """

    def __init__(self, code: Loaded, memory: list[Array], batch: Batch) -> None:
        names = ["numbers", "x", "seeds", "out", "status", "back", "gradients"]
        own: dict[str, Any] = {name: np.array(getattr(batch, name)) for name in names}
        self.call = Call(code, memory, replace(batch, **own))

    def __call__(self, batch: Batch) -> bool:
        """Whether all samples passed their guards, none is in doubt, and all results are finite."""
        own = self.call.batch
        own.numbers[:], own.x[:], own.seeds[:] = batch.numbers, batch.x, batch.seeds
        good = self.call()
        batch.out[:], batch.status[:] = own.out, own.status
        if batch.differentiate:
            batch.back[:], batch.gradients[:] = own.back, own.gradients
        return good


def _address(array: Array) -> int:
    """The address of an array's numbers: `array.ctypes.data`, but three times as fast."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # the array is read-only or empty
        return int(array.ctypes.data)


def _in_line(name: str, array: Array) -> Array:
    """The array; raises ValueError unless its type and layout suit machine code."""
    kind = np.int64 if name in ("where", "status") else np.float64
    if array.dtype != kind or not array.flags.c_contiguous:
        raise ValueError(f"{name}: expected {np.dtype(kind)} numbers in one line of memory")
    return array


class Shared:
    """A repeatable sweep in chunks that threads share; their gradients are added in order."""

    def __init__(self, call: Call, shares: int) -> None:
        self.call, chunk = call, call.code.chunk
        count = -(-call.samples // chunk)
        self.fields = np.repeat(call.fields[None, :], count, axis=0)
        starts = np.arange(count) * chunk
        sizes = np.minimum(chunk, call.samples - starts)
        self._put("samples", sizes)
        for name in ("x", "out", "status", "back"):
            if name in call.arrays:
                array = call.arrays[name]
                self._put(name, array.ctypes.data + starts * array.strides[0])
        call.memory += [call.code.memory() for _ in range(shares - len(call.memory))]
        self.places = [memory.ctypes.data for memory in call.memory[:shares]]
        self.parts = np.zeros((count, 0))

    def _put(self, name: str, numbers: Any) -> None:
        self.fields[:, FIELD[name]] = numbers

    def __call__(self) -> bool:
        """Whether all samples passed their guards, none is in doubt, and all results are finite."""
        call = self.call
        numbers, gradients = call.batch.numbers, call.batch.gradients
        call.code.ran(call.samples)
        plain = call.contiguous(numbers, gradients)
        if self.parts.shape[1] != len(gradients):
            self.parts = np.zeros((len(self.fields), len(gradients)))
        steps = np.arange(len(self.parts))
        self._put("numbers", plain.ctypes.data)
        self._put("gradients", self.parts.ctypes.data + steps * self.parts.strides[0])
        calls = (self.fields.ctypes.data + steps * self.fields.strides[0]).tolist()

        def share(k: int, todo: Iterator[int]) -> bool:
            statuses = []
            for chunk in todo:
                self.fields[chunk, FIELD["memory"]] = self.places[k]
                statuses.append(call.code.run(calls[chunk]))
            if max(statuses, default=0) > 1:
                work = len(statuses) * call.code.chunk * call.code.work
                call.code.limits.learn(call.memory[k], work)
            return all(status & 1 for status in statuses)

        good = together(share, len(self.places), len(calls))
        if not call.batch.differentiate:
            return good
        total = quietly(partial(self._added, gradients))
        return good and math.isfinite(total)

    def _added(self, gradients: Array) -> float:
        """The sum of all gradients, after adding up the gradients of the chunks in order."""
        gradients[:] = self.parts[0]
        for part in self.parts[1:]:
            gradients += part
        return float(gradients.sum())
