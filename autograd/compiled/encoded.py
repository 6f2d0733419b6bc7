"""`Encoded`: a program's instructions as rows of whole numbers, which NumPy's engine reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, MASKED, SHARED, Instruction
from autograd.compiled.program import Program
from autograd.compiled.rounding import Step, runs

Array = Any
BLOCKS = (1, 8, 16, 32, 64)  # samples that are computed side by side
LOOPS = 5  # of a contraction: three over lanes, one over terms, one over samples
WIDTH = 5 + 4 * LOOPS
# The status of a sample: its guards passed, one failed, or rounding could change a decision.
PASSED, FAILED, DOUBTFUL = 1, 0, 2


@dataclass(slots=True)
class Batch:
    """Samples that an engine computes, and the arrays that it fills.

    Attributes:
        numbers: an array that has the parameters' numbers.
        where: rows of (offset in memory, position in `numbers` and `gradients`, count), for runs of
            parameters.
        x: the samples' inputs.
        seeds: the weights of the results in the gradients.
        out: the results, of shape (samples, results).
        status: of each sample: PASSED, FAILED or DOUBTFUL.
        back: the gradients in the inputs, of each sample.
        gradients: the gradients in the parameters, summed over the samples.
        differentiate: whether gradients are wanted.
    """

    numbers: Array
    where: Array
    x: Array
    seeds: Array
    out: Array
    status: Array
    back: Array
    gradients: Array
    differentiate: bool


@dataclass(frozen=True)
class Region:
    """A region of memory that has a number for each address: first shared numbers, then lanes."""

    first: int
    shared: int
    block: int  # samples side by side in a lane

    @property
    def end(self) -> int:
        """The offset where the shared numbers end and the lanes begin."""
        return self.first + self.shared

    def lane(self, lane: Any) -> Any:
        """The offset of a lane."""
        return self.end + lane * self.block

    def offsets(self, addresses: Array) -> Array:
        """The offsets of numbers, or of their first samples."""
        return np.where(addresses < SHARED, self.lane(addresses), self.first + addresses - SHARED)

    def flagged(self, addresses: Array) -> Array:
        """The offsets times two, plus one if every sample has its own number."""
        return self.offsets(addresses) * 2 + (addresses < SHARED)

    def operand(self, base: int, strides: tuple[int, ...]) -> tuple[int, list[int]]:
        """The offset of an operand of a contraction, and its strides over all loops."""
        if base >= SHARED:
            return self.first + base - SHARED, [*strides, 0]
        return self.lane(base), [*(s * self.block for s in strides), 1]


class Encoded:
    """A program's instructions as rows of whole numbers, for blocks of a number of samples.

    A row of a contraction is: kind, sign, the offsets of z, x and y, the sizes of its loops, and
    their strides in z, x and y.  In `backward`, x is the adjoint.  A row of another instruction is:
    kind, op, lanes, the offset of z (of GATHER: the index in the pool), the indices in the pool of
    x, y and the start of each lane's terms, sign, and whether gradients in x and y are wanted.

    If rounding could decide anything (see `rounding`), the magnitudes of all numbers and their
    bounds follow the numbers in memory, and `bounding` has the rows that compute bounds.
    """

    def __init__(self, program: Program, block: int) -> None:
        self.block = block
        self.shared = program.shared + 1  # the parameters are followed by a one
        self.numbers = Region(0, self.shared, block)
        self.end = self.numbers.lane(program.slots)  # of the numbers
        self._parts: list[Array] = []
        self._pooled_so_far = 0
        # Both directions use the same part of the pool.
        rows = [self._forward(step, *[self.numbers] * 3) for step in program.instructions]
        back = [
            row
            for step, forward in zip(reversed(program.instructions), reversed(rows), strict=True)
            for row in self._backward(step, forward)
        ]
        self.forward, self.backward = self._table(rows), self._table(back)
        tape = program.tape
        self.outputs = self.numbers.flagged(program.address[tape.outputs])
        # Sums are added to the numbers in memory; other results replace them.
        sums = [step.results for step in program.instructions if step.kind in (CONTRACT, GATHER)]
        lanes = runs(np.unique(np.concatenate([*sums, np.zeros(0, dtype=np.int64)])))
        self.cleared = np.stack([self.shared + lanes[:, 0] * block, lanes[:, 1] * block], axis=1)
        self._measure(program)
        self.pool = np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])

    def _measure(self, program: Program) -> None:
        """Set the rows that compute bounds, and the guards with the offsets of their bounds."""
        cone = program.cone
        self.unit = cone.unit
        self.magnitudes = Region(self.end, self.shared, self.block)
        self.bounds = Region(2 * self.end, self.shared, self.block)
        self.size = 3 * self.end if len(cone.lanes) else self.end
        self.measured = runs(cone.lanes)
        self.bounding = self._table([self._bound(step) for step in cone.steps])
        comparison, x, y, answer = program.tape.guards.T
        sides = program.address[x], program.address[y]
        columns = [comparison, *map(self.numbers.flagged, sides), answer, cone.guards]
        self.guards = np.stack(columns, axis=1).astype(np.int64)

    @staticmethod
    def _table(rows: list[list[int]]) -> Array:
        table = np.zeros((len(rows), WIDTH), dtype=np.int64)
        for k, row in enumerate(rows):
            table[k, : len(row)] = row
        return table

    def _pooled(self, numbers: Array) -> int:
        start = self._pooled_so_far
        self._parts.append(np.asarray(numbers, dtype=np.int64))
        self._pooled_so_far += len(numbers)
        return start

    def _forward(self, step: Instruction, to: Region, x: Region, y: Region) -> list[int]:
        """The row of an instruction whose results and operands are in these regions."""
        if step.kind == CONTRACT:
            sides = to.operand(step.z, step.zs), x.operand(step.x, step.xs)
            sizes = [*step.sizes, to.block]
            return contraction(step.sign, sizes, *sides, y.operand(step.y, step.ys))
        if step.kind == MASKED:
            return self._masked(step, to)
        z = self._pooled(to.lane(step.pool[2])) if step.kind == GATHER else to.lane(step.z)
        pools = [
            self._pooled(side.flagged(array))
            for side, array in zip((x, y), step.pool, strict=False)
        ]
        pools += pools[:1] * (2 - len(pools))  # an operation of one operand gets it twice
        starts = self._pooled(np.concatenate([[0], np.cumsum(step.counts)]))
        return [
            step.kind, step.op, step.lanes, z, *pools, starts, int(step.sign),
            int(step.wanted[0]), int(step.wanted[1]),
        ]  # fmt: skip

    def _masked(self, step: Instruction, region: Region) -> list[int]:
        """A mask's row; its lanes come in groups, each for one list of values."""
        value, index, at, instead = step.pool
        starts = np.concatenate([[0], np.cumsum(step.counts)])
        first = starts[:-1]
        pools = (
            region.flagged(value), self.numbers.flagged(index[first]), starts,
            region.offsets(instead[first]), at[first],
        )  # fmt: skip
        px, py, begin, other, position = (self._pooled(array) for array in pools)
        z = region.lane(step.z)
        return [step.kind, 0, step.lanes, z, px, py, begin, 1, len(first), other, position]

    def _bound(self, step: Step) -> list[int]:
        """The row of a step on bounds.

        It is the row of the instruction, or: kind, row of the cone, lanes, the offsets of z and of
        its bound, and the indices in the pool of x, y and the start of each lane's entries.
        """
        instruction, bounds = step.instruction, self.bounds
        kind = instruction.kind
        if kind == CHOOSE:
            return self._forward(instruction, bounds, bounds, self.numbers)
        if kind == MASKED:
            return self._masked(instruction, bounds)
        if kind in (CONTRACT, GATHER):
            sides = (bounds if side else self.magnitudes for side in (step.x_bound, step.y_bound))
            return self._forward(instruction, bounds, *sides)
        operands = instruction.pool[0], instruction.pool[-1]
        pools = [self._pooled(self.numbers.flagged(array)) for array in operands]
        starts = self._pooled(np.concatenate([[0], np.cumsum(instruction.counts)]))
        z = instruction.z
        return [
            kind, instruction.op, instruction.lanes, self.numbers.lane(z), bounds.lane(z), *pools,
            starts,
        ]  # fmt: skip

    def _backward(self, step: Instruction, forward: list[int]) -> list[list[int]]:
        if not any(step.wanted):
            return []
        if step.kind != CONTRACT:
            return [forward]
        sides = (step.z, step.zs), (step.x, step.xs), (step.y, step.ys)
        z, x, y = (self.numbers.operand(*side) for side in sides)
        sizes = [*step.sizes, self.block]
        rows = []
        if step.wanted[0]:
            rows.append(contraction(step.sign, sizes, x, z, y))
        if step.wanted[1]:
            rows.append(contraction(step.sign, sizes, y, z, x))
        return rows


def contraction(sign: float, sizes: list[int], z: Any, x: Any, y: Any) -> list[int]:
    """The row for z += sign * x * y over loops; of z, x and y their offsets and strides."""
    loops: list[tuple[int, ...]] = []
    for loop in sorted(
        ((size, z[1][d], x[1][d], y[1][d]) for d, size in enumerate(sizes) if size > 1),
        key=lambda loop: [abs(stride) for stride in loop[1:]],
    ):
        # Merge two loops that walk along one line in all three.
        if loops and all(
            loops[-1][0] * s == t for s, t in zip(loops[-1][1:], loop[1:], strict=True)
        ):
            loops[-1] = (loops[-1][0] * loop[0], *loops[-1][1:])
        else:
            loops.append(loop)
    loops += [(1, 0, 0, 0)] * (LOOPS - len(loops))
    columns = zip(*loops, strict=True)
    return [CONTRACT, int(sign), z[0], x[0], y[0], *(part for column in columns for part in column)]
