"""Records, each a kernel with the places that it works on, and which places are written before."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd.compiled.native.lookups import zero, zeros
from autograd.compiled.native.reals import DOUBLE, SINGLE
from autograd.compiled.native.shapes import Shape

Array = Any
Kernel = tuple[Callable[..., None], tuple[Any, ...]]  # the function that writes it, its arguments
_SMALL = 400  # up to this many terms are written out


class Records:
    """A list of records, one after the other: kernel, length, fields."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.kernels: list[tuple[int, Kernel]] = []  # where each record starts, and its kernel
        self.shapes: list[tuple[int, Shape]] = []  # the same for contractions
        self.small: list[tuple[int, Kernel]] = []  # the same for kernels that can avoid tables

    def append(self, kernel: Kernel, *fields: int, parts: int = 0) -> None:
        """Add a record; `parts` is its number of looked-up terms."""
        self.kernels.append((len(self.words), kernel))
        if 0 < parts <= _SMALL:
            self.small.append((len(self.words), kernel))
        self.words += [0, 2 + len(fields), *map(int, fields)]


class Tables:
    """Tables of 32-bit whole numbers that kernels look up."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._count = 0

    def append(self, numbers: Any) -> int:
        """Add a table; returns where it starts."""
        start, table = self._count, np.asarray(numbers, dtype=np.int64).ravel()
        self._parts.append(table)
        self._count += len(table)
        return start

    def joined(self) -> Array:
        """All tables in one array, followed by zeros for reads past the end."""
        everything = np.concatenate([*self._parts, np.zeros(SINGLE.vector, dtype=np.int64)])
        if everything.max() >= 1 << 32:
            raise MemoryError("the program is too large: its lanes do not fit into 16 GB")
        return everything.astype(np.uint32)


class Written:
    """Places that have been written since the start of a run.

    Args:
        places: the place of each index.
        fresh: for each index, whether it has not been written yet.
        width: the count of numbers at each index.
        tables: the tables to which lists of places are added.
    """

    def __init__(self, places: Array, fresh: Array, width: int, tables: Tables) -> None:
        self.places, self.fresh, self.width, self.tables = places, fresh, width, tables
        self._earliest = np.zeros(len(places), dtype=np.int64)

    def first(self, indices: Array) -> Array:
        """For each index, whether this is the first time that it is written."""
        order = np.arange(len(indices))
        self._earliest[indices[::-1]] = order[::-1]
        first: Array = self.fresh[indices] & (self._earliest[indices] == order)
        self.fresh[indices] = False
        return first

    def claim(self, records: Records, indices: Array, distinct: bool) -> bool:
        """Whether sums must be added at the indices; if so, unwritten places are set to 0 first."""
        fresh = self.fresh[indices]
        if distinct and fresh.all():
            self.fresh[indices] = False
            return False
        if fresh.any():
            todo = np.unique(indices[fresh])
            self.fresh[todo] = False
            start = np.sort(self.places[todo])
            first = np.flatnonzero(np.diff(start, prepend=-self.width - 1) != self.width)
            counts = np.diff(first, append=len(start)) * self.width
            if len(first) > 1:
                table = self.tables.append(np.stack([start[first], counts], axis=1))
                records.append((zeros, ()), len(first), table, parts=counts.sum() // DOUBLE.vector)
            else:
                records.append(
                    (zero, ()), start[0], counts[0], parts=-(-counts[0] // DOUBLE.vector)
                )
        return True
