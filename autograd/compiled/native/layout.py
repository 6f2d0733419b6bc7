"""The layout of a program's numbers in a thread's memory, for tiles of a given size."""

from typing import Any

import numpy as np

from autograd.compiled.lowering import SHARED
from autograd.compiled.native.reals import DOUBLE, Reals

Array = Any


class Layout:
    """Places of numbers and of their adjoints.

    In this order: the numbers that all samples share; copies of those that lookups read, one for
    every sample of a tile; the lanes; the adjoints of the shared numbers, as partial sums; the
    adjoints of the lanes, whose places are reused; the status of each sample; measured extremes,
    their limits, and their largest values so far; bounds; originals; scratch.

    Places count numbers of the program's type, but those of doubts, bounds and originals count
    doubles.  Originals are shared numbers and inputs before they are rounded to another type.

    Args:
        tile: samples side by side; if 1, lanes are side by side.
        shared: the number of values that all samples share; constants come first.
        constants: how many constants there are; no one asks for their adjoints.
        slots: the number of lanes.
        copied: the indices of the shared numbers that lookups read.
        adjoints: for each lane, where its adjoint is among all adjoints.
        most: how many adjoints there are at a time.
        watched: the number of measured extremes, whose limits show that no bounds are needed; 0 if
            there are no bounds.
        inputs: the number of lanes that are inputs, and need originals in another type.
        real: the type of the program's numbers.
    """

    def __init__(
        self, tile: int, shared: int, constants: int, slots: int, copied: Array, adjoints: Array,
        most: int, watched: int, inputs: int = 0, real: Reals = DOUBLE,
    ) -> None:  # fmt: skip
        self.tile, self.shared, self.slots, self.copied = tile, shared, slots, copied
        self.real, vector, per_double = real, real.vector, real.per_double
        self.partial = vector if tile > 1 else 1  # sums of a shared number's adjoint
        self.copies = self._whole(shared) if tile > 1 else 0
        self.lanes = self._whole(self.copies + len(copied) * tile) if tile > 1 else shared
        self.sums = self._whole(self.lanes + slots * tile) + vector
        self.adjoints = self.sums + shared * self.partial
        self.spare = self._whole(self.adjoints + most * tile) + vector  # written, but never read
        room = max(tile, vector)
        self.notes = self.spare + room  # the status of each sample
        self.doubt = (self.notes + room) // per_double  # how many decisions rounding could change
        self.unsure = self.notes + room + room * per_double  # whether this tile needs bounds
        self.exceeded = self.unsure + 1  # whether they were needed in any tile
        self.peaks = self.unsure + vector
        self.watched = self._whole(watched)
        # The offsets from a number to its magnitude and to its bound, if there are any.
        self.has_bounds = watched > 0
        self.sizes = (self.peaks + 3 * self.watched) // per_double
        self.bounds = self.sizes + self.sums * self.has_bounds
        self.originals = self.bounds + self.sums * self.has_bounds
        self.sources = self.lanes + inputs * tile if real is not DOUBLE else 0
        self.scratch = (self.originals + self._whole(self.sources)) * per_double
        line, copy = np.arange(slots), np.arange(shared)
        if tile > 1:
            copy = np.zeros(shared, dtype=np.int64)
            copy[copied] = self.copies + tile * np.arange(len(copied))
        # By index: the shared numbers first, then the lanes.
        self._values = np.concatenate([copy, self.lanes + tile * line])
        sums = self.sums + self.partial * np.arange(shared)
        sums[:constants] = self.spare
        self._slopes = np.concatenate([sums, self.adjoints + tile * adjoints])

    def _whole(self, count: int) -> int:
        """The next multiple of a vector's length."""
        return -(-count // self.real.vector) * self.real.vector

    def index(self, addresses: Array) -> Array:
        """The indices of numbers; shared numbers come first."""
        return np.where(addresses >= SHARED, addresses - SHARED, self.shared + addresses)

    def values(self, addresses: Array) -> Array:
        """The places of numbers, for lookups."""
        return self._values[self.index(addresses)]

    def slopes(self, addresses: Array) -> Array:
        """The places of the adjoints of numbers, for lookups."""
        return self._slopes[self.index(addresses)]

    def lane(self, number: int) -> int:
        """The place of a lane."""
        return self.lanes + number * self.tile

    def adjoint(self, number: int) -> int:
        """The place of a lane's adjoint."""
        return int(self._slopes[self.shared + number])

    def factor(self, address: int) -> tuple[int, int]:
        """The place of a contraction's operand, and the distance to its neighbour."""
        return (address - SHARED, 1) if address >= SHARED else (self.lane(address), self.tile)

    def factor_adjoint(self, address: int) -> tuple[int, int]:
        """The place of an operand's adjoint, and the distance to its neighbour."""
        if address >= SHARED:
            return self.sums + (address - SHARED) * self.partial, self.partial
        return self.adjoint(address), self.tile
