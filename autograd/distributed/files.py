"""Files of numbers that all processes see, row by row."""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.distributed.fingerprint import MismatchError

Array = Any
SAMPLE = 64  # rows that a worker compares with the driver's
BLOCK = 4096  # rows that are computed into the same buffers; fewer if they are wide
NUMBERS = 1 << 18  # that a block of one file has at most: 2 MB


@dataclass(frozen=True)
class File:
    """A .npy file whose rows are samples, and what everybody must see in it.

    Raises FileNotFoundError, ValueError for what is no such file or has no rows, and TypeError for
    rows that are not numbers.
    """

    path: str
    shape: tuple[int, ...]
    kind: str
    sample: str  # a hash of some rows

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> "File":
        """The file as it is here."""
        full = os.path.abspath(path)
        found = _mapped(full)
        if found.dtype.kind not in "iufb":
            raise TypeError(f"{full}: expected rows of numbers, got {found.dtype}")
        if not found.ndim or not len(found):
            raise ValueError(f"{full}: it has no rows")
        return cls(full, found.shape, found.dtype.str, _sample(found))

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return math.prod(self.shape[1:])

    def check(self) -> None:
        """Raise MismatchError if the file has other numbers here, as far as a sample shows."""
        if _sample(self.open()) != self.sample:
            raise MismatchError(
                f"{self.path} has other numbers here than where the work was given out; all "
                "workers must see the same file"
            )

    def open(self) -> Array:
        """The rows, mapped into memory: what is not touched is not read."""
        found = _mapped(self.path)
        if (found.shape, found.dtype.str) != (self.shape, self.kind):
            raise MismatchError(
                f"{self.path} has the shape {found.shape} of {found.dtype.str} here, and "
                f"{self.shape} of {self.kind} where the work was given out"
            )
        return found


def _sample(rows: Array) -> str:
    """A hash of rows from everywhere in the file, the first and the last among them."""
    places = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64))
    return hashlib.sha256(rows[places].tobytes()).hexdigest()[:16]


def _mapped(path: str) -> Array:
    try:
        # A plain array over the mapping; the compiled function treats subclasses as lists.
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except ValueError as error:
        raise ValueError(f"{path} is not a whole .npy file of numbers ({error})") from None


def block_of(files: Sequence[File]) -> int:
    """How many rows of the files are computed at once: fewer if they are wide."""
    widest = max(1, *(file.width for file in files))
    return max(64, min(BLOCK, NUMBERS // widest))
