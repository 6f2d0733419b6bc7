"""Files with rows of numbers that all processes can read."""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.distributed.fingerprint import MismatchError

Array = Any
SAMPLE = 64  # rows, for comparing a worker's file with the driver's
BLOCK = 4096  # rows that are computed at once in the same buffers; fewer if they are wide
NUMBERS = 1 << 18  # the largest size of a block of one file: 2 MB


@dataclass(frozen=True)
class File:
    """A .npy file whose rows are samples, and the facts that must be the same on all workers.

    Raises FileNotFoundError, ValueError for another kind of file or one without rows, and TypeError
    for rows that are not numbers.
    """

    path: str
    shape: tuple[int, ...]
    kind: str
    sample: str  # a hash of some rows

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> "File":
        """The file as this process sees it."""
        full = os.path.abspath(path)
        rows = _mapped(full)
        if rows.dtype.kind not in "iufb":
            raise TypeError(f"{full}: expected rows of numbers, got {rows.dtype}")
        if not rows.ndim or not len(rows):
            raise ValueError(f"{full}: it has no rows")
        return cls(full, rows.shape, rows.dtype.str, _sample(rows))

    @property
    def width(self) -> int:
        """The number of numbers in a row."""
        return math.prod(self.shape[1:])

    def check(self) -> None:
        """Raise MismatchError if a sample of the rows has other numbers here."""
        if _sample(self.open()) != self.sample:
            raise MismatchError(
                f"{self.path} has other numbers here than on the driver; all workers must see the "
                "same file"
            )

    def open(self) -> Array:
        """The rows, mapped into memory: rows that are not used are not read."""
        rows = _mapped(self.path)
        if (rows.shape, rows.dtype.str) != (self.shape, self.kind):
            raise MismatchError(
                f"{self.path} has the shape {rows.shape} of {rows.dtype.str} here, and "
                f"{self.shape} of {self.kind} on the driver; all workers must see the same file"
            )
        return rows


def _sample(rows: Array) -> str:
    """A hash of rows at equal distances, from the first to the last."""
    indices = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64))
    return hashlib.sha256(rows[indices].tobytes()).hexdigest()[:16]


def _mapped(path: str) -> Array:
    try:
        # A plain array, because the compiled function treats the subclass `memmap` as a list.
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except ValueError as error:
        raise ValueError(f"{path} is not a complete .npy file of numbers ({error})") from None


def block_of(files: Sequence[File]) -> int:
    """The number of rows of the files that are computed at once; fewer if they are wide."""
    widest = max(1, *(file.width for file in files))
    return max(64, min(BLOCK, NUMBERS // widest))
