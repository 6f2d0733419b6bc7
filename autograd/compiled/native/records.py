"""Records: which kernel runs on which places, and what has been written before it runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd.compiled.native.ir import VECTOR
from autograd.compiled.native.lookups import zero, zeros
from autograd.compiled.native.shapes import Shape

Array = Any
Kernel = tuple[Callable[..., None], tuple[Any, ...]]  # what writes it, and for what
_SMALL = 400  # terms that are written out


class Records:
    """A list of records, one after the other: kernel, length, fields."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.kernels: list[tuple[int, Kernel]] = []  # where each record starts, and its kernel
        self.shapes: list[tuple[int, Shape]] = []  # the same of contractions
        self.small: list[tuple[int, Kernel]] = []  # and of what can do without tables

    def append(self, kernel: Kernel, *fields: int, parts: int = 0) -> None:
        """Add a record; `parts` is how many terms it has, where they are looked up."""
        self.kernels.append((len(self.words), kernel))
        if 0 < parts <= _SMALL:
            self.small.append((len(self.words), kernel))
        self.words += [0, 2 + len(fields), *map(int, fields)]


class Tables:
    """Whole numbers of 32 bits that kernels look up."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._count = 0

    def append(self, numbers: Any) -> int:
        """Where the new table starts."""
        start, table = self._count, np.asarray(numbers, dtype=np.int64).ravel()
        self._parts.append(table)
        self._count += len(table)
        return start

    def joined(self) -> Array:
        """All of them; what is read behind the last is 0."""
        everything = np.concatenate([*self._parts, np.zeros(VECTOR, dtype=np.int64)])
        if everything.max() >= 1 << 32:
            raise MemoryError("the program is too large: its lanes do not fit into 32 GB")
        return everything.astype(np.uint32)


class Written:
    """Which places have been written since the start of a run.

    Args:
        places: of each index.
        fresh: whether it has not been written.
        width: how many numbers an index has.
        tables: where lists of places go.
    """

    def __init__(self, places: Array, fresh: Array, width: int, tables: Tables) -> None:
        self.places, self.fresh, self.width, self.tables = places, fresh, width, tables

    def claim(self, records: Records, indices: Array, distinct: bool) -> bool:
        """Whether sums must be added at the indices; zeros are put where that needs them."""
        fresh = self.fresh[indices]
        if distinct and fresh.all():
            self.fresh[indices] = False
            return False
        if fresh.any():
            todo = np.unique(indices[fresh])
            self.fresh[todo] = False
            start = self.places[todo]
            first = np.flatnonzero(np.diff(start, prepend=-self.width - 1) != self.width)
            counts = np.diff(first, append=len(start)) * self.width
            if len(first) > 1:
                table = self.tables.append(np.stack([start[first], counts], axis=1))
                records.append((zeros, ()), len(first), table, parts=counts.sum() // VECTOR)
            else:
                records.append((zero, ()), start[0], counts[0], parts=-(-counts[0] // VECTOR))
        return True
