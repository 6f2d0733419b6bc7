"""Types of real numbers in machine code."""

import math
import struct
from dataclasses import dataclass

from autograd.compiled import precision
from autograd.compiled.precision import Precision


@dataclass(frozen=True)
class Reals:
    """A type of real numbers: LLVM's name, the bits, the bits of the fraction, and the bias."""

    name: str
    bits: int
    fraction: int
    bias: int
    precision: Precision

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.bits // 8

    @property
    def vector(self) -> int:
        """The numbers computed side by side, 64 bytes; narrower registers take several for them."""
        return 512 // self.bits

    @property
    def per_double(self) -> int:
        """How many of them take the place of a double."""
        return 64 // self.bits

    @property
    def whole(self) -> str:
        """The type of whole numbers with as many bits."""
        return f"i{self.bits}"

    def text(self, number: float) -> str:
        """A number in LLVM's notation: the bits of its value as a double.

        >>> DOUBLE.text(1.0), SINGLE.text(1e300) == SINGLE.text(math.inf)
        ('0x3FF0000000000000', True)
        """
        if self.bits == 32:
            number = _nearest_single(number)
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"


def _nearest_single(number: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


DOUBLE = Reals("double", 64, 52, 1023, precision.DOUBLE)
SINGLE = Reals("float", 32, 23, 127, precision.SINGLE)
REALS = {real.name: real for real in (DOUBLE, SINGLE)}  # by LLVM's name
TYPES = {real.precision.name: real for real in REALS.values()}  # by NumPy's name
