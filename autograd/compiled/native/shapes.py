"""Contractions as loops: which loop runs in vectors, and which factor is transposed for it.

A contraction is out += sign * x * y over loops.  Each loop has a length and three strides, in
numbers: in out, x and y.  A loop with stride 0 in out is a sum.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from autograd.compiled.native.reals import DOUBLE


class Loop(NamedTuple):
    """One loop: its length, and its strides in out, x and y."""

    length: int
    out: int
    x: int
    y: int


ONCE = Loop(1, 0, 0, 0)
SIZES = 2


class Shape(NamedTuple):
    """The contraction that a kernel computes.

    Attributes:
        outer: the loops over results, except the vector loop.
        sums: the loops over terms.
        vector: the loop in vectors; its strides are 0 or 1.
        sign: 1 or -1.
        add: whether the sum is added to the number at its place; otherwise it replaces it.
        alone: whether y is 1, so that x alone is summed; SIZES if the sizes of x are summed.
    """

    outer: tuple[Loop, ...]
    sums: tuple[Loop, ...]
    vector: Loop
    sign: int
    add: bool
    alone: int

    @property
    def apart(self) -> bool:
        """Whether all results are known to have different places."""
        return apart((loop.length, loop.out) for loop in (*self.outer, self.vector))

    @property
    def work(self) -> int:
        """The number of products."""
        return math.prod(loop.length for loop in (*self.outer, *self.sums, self.vector))


def shape(loops: list[Loop], vector: Loop, sign: int, add: bool, alone: int) -> Shape:
    """The shape of these loops."""
    outer, sums = (tuple(loop for loop in loops if bool(loop.out) is m) for m in (True, False))
    return Shape(outer, sums, vector, sign, add, alone)


class Transposed(NamedTuple):
    """A factor that is transposed before the contraction: its size, and the strides of its rows."""

    rows: int
    columns: int
    source: int
    target: int
    second: bool  # whether it is y


def apart(loops: Iterable[tuple[int, int]]) -> bool:
    """Whether loops, each a length and a stride, are known to visit no place twice."""
    reach = 0
    for stride, length in sorted((abs(stride), length) for length, stride in loops):
        if stride and length > 1:
            if stride <= reach:
                return False
            reach += stride * (length - 1)
    return True


def merged(loops: Iterable[Loop]) -> list[Loop]:
    """The loops in order of their strides; two that continue each other in all three are merged."""
    lines: list[Loop] = []
    for loop in sorted(
        (loop for loop in loops if loop.length > 1), key=lambda loop: [*map(abs, loop[1:])]
    ):
        last = lines[-1] if lines else ONCE
        if lines and all(last.length * a == b for a, b in zip(last[1:], loop[1:], strict=True)):
            lines[-1] = last._replace(length=last.length * loop.length)
        else:
            lines.append(loop)
    return lines


def pieces(length: int, vector: int = DOUBLE.vector) -> list[tuple[int, int, int]]:
    """A line of numbers as vectors: (start, width, numbers that count, or 0 if all do)."""
    whole, rest = length - length % vector, length % vector
    vectors = [(start, vector, 0) for start in range(0, whole, vector)]
    if rest:
        vectors.append((whole, rest, 0) if rest.bit_count() == 1 else (whole, vector, rest))
    return vectors


# Rough costs in vector operations, measured on one processor: summing a vector, and moving a
# number.  They decide which loop runs in vectors, and nothing else.
_FOLD, _TRANSPOSE = 2.5, 0.6


def _waste(length: int, vector: int) -> float:
    """How many times longer a line of this length takes than the same work in whole vectors."""
    if length > vector // 2:
        return -(-length // vector) * vector / length
    return vector / length if length in (1, 3) else vector / 2 / length * 1.2


def single(
    loops: list[Loop], sign: int, add: bool, alone: int, vector: int = DOUBLE.vector
) -> tuple[Shape, Transposed | None]:
    """The shape for one sample, with vectors along lanes, and the factor to transpose first."""
    total = math.prod(loop.length for loop in loops)
    choices: list[tuple[float, int, Transposed | None]] = []
    for i, loop in enumerate(loops):
        cost = total / vector * _waste(loop.length, vector)
        if loop.out == 1 and loop.x in (0, 1) and loop.y in (0, 1):
            choices.append((cost, i, None))
        elif loop.out == 0 and loop.x == 1 and (alone or loop.y == 1):
            choices.append((cost + total / loop.length * _FOLD, i, None))
        elif loop.out == 1 and not alone:
            for second in (False, True):
                packed = _transposed(loops, loop, second, vector)
                if packed:
                    moved = loop.length * packed.columns
                    choices.append((cost + moved * _TRANSPOSE, i, packed))
    if not choices:
        return shape(loops, Loop(1, 1, 0, 0), sign, add, alone), None
    _, i, packed = min(choices, key=lambda choice: choice[0])
    if packed:
        loops = [_packed(loop, k == i, packed) for k, loop in enumerate(loops)]
    return shape([*loops[:i], *loops[i + 1 :]], loops[i], sign, add, alone), packed


def _transposed(loops: list[Loop], along: Loop, second: bool, vector: int) -> Transposed | None:
    """The transposition of a factor that gives the loop stride 1 in it; None if not possible."""

    def stride(loop: Loop) -> int:
        return loop.y if second else loop.x

    fixed = along.x if second else along.y
    across = next((loop for loop in loops if stride(loop) == 1), ONCE)
    touched = math.prod(loop.length for loop in loops if stride(loop))
    if fixed or min(along.length, across.length) < vector or stride(along) < across.length:
        return None
    if touched != along.length * across.length:
        return None
    target = -(-along.length // vector) * vector
    return Transposed(along.length, across.length, stride(along), target, second)


def _packed(loop: Loop, is_vector: bool, packed: Transposed) -> Loop:
    """The loop with its stride in the transposed factor."""
    stride = loop.y if packed.second else loop.x
    stride = 1 if is_vector else packed.target if stride == 1 else 0
    return loop._replace(y=stride) if packed.second else loop._replace(x=stride)


def tiled(
    loops: list[Loop], tile: int, moves: tuple[bool, bool, bool], sign: int, add: bool, alone: int,
    vector: int = DOUBLE.vector,
) -> Shape:  # fmt: skip
    """The shape for samples side by side; `moves` marks which of out, x and y differ by sample.

    If out is summed over samples, it has a vector of partial sums.
    """
    own, x, y = moves
    if not own and tile > vector:
        loops = [*loops, Loop(tile // vector, 0, vector * x, vector * y)]
        tile = vector
    return shape(loops, Loop(tile, 1, int(x), int(y)), sign, add, alone)
