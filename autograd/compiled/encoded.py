"""`Encoded`: a program's instructions as rows of whole numbers, which the engines read."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autograd.compiled.contractions import LOOPS, contraction
from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, MASKED, ROW, SHARED, Instruction
from autograd.compiled.program import Program
from autograd.compiled.rounding import UNIT, Step, runs

Array = Any
BLOCKS = (1, 8, 16, 32, 64)  # samples that are computed side by side
WIDTH = 6 + 4 * LOOPS + 1
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


class Encodings:
    """The rows of one program for blocks of several sizes, and the memory that they run in.

    What engines share that read these rows.
    """

    shares = False  # whether it divides a batch among threads itself

    def __init__(self, program: Program) -> None:
        self.program = program
        self._codes: dict[int, Encoded] = {}
        self._local = threading.local()

    def memory(self, samples: int) -> tuple["Encoded", Array, Array]:
        """The rows for so many samples, and this thread's memory for numbers and gradients."""
        block = next((size for size in BLOCKS if size >= samples), BLOCKS[-1])
        kept: dict[Any, Any] = self._local.__dict__
        if block not in kept:
            if block not in self._codes:
                self._codes[block] = Encoded(self.program, block)
            code = self._codes[block]
            memory = np.zeros(code.size)
            memory[: code.shared] = 1.0
            constants = self.program.tape.constants
            memory[: len(constants)] = constants
            kept[block] = code, memory, np.zeros(code.size)
        return kept[block]  # type: ignore[no-any-return]

    def prepared(
        self, memory: tuple["Encoded", Array, Array], batch: Batch, threads: int = 1
    ) -> Callable[[], bool]:
        """A sweep over the batch, to be run once or again; always on one thread."""
        return partial(self.sweep, *memory, batch)

    def sweep(self, code: "Encoded", memory: Array, grad: Array, batch: Batch) -> bool:
        """Whether, for the samples, nothing is decided otherwise and all results are finite."""
        raise NotImplementedError


class Encoded:
    """A program's instructions as rows of whole numbers, for blocks of a number of samples.

    A row of a contraction is: kind, form, sign, the offsets of z, x and y, the sizes of its loops,
    their strides in z, x and y, and which factor is an adjoint.  A row of another instruction is:
    kind, op, lanes, the offset of z (of GATHER: the index in the pool), the indices in the pool of
    x, y and the start of each lane's terms, sign, and whether gradients in x and y are wanted.

    If rounding could decide anything (see `rounding`), the magnitudes of all numbers and their
    bounds follow the numbers in memory.  For blocks of several samples, each lane's largest
    magnitude and bound follow them.  `bounding` has the rows that compute bounds, and
    `bounding_largest` those that compute the largest.
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
        cone, at = program.cone, 0
        self.unit = cone.unit * UNIT
        regions = []
        for block in (self.block, self.block, self.block, 1, 1):
            regions.append(Region(at, self.shared, block))
            at = regions[-1].lane(program.slots)
        _, self.magnitudes, self.bounds, self.largest, self.largest_bounds = regions
        self.size = self.end
        if len(cone.lanes):
            self.size = at if self.block > 1 else self.largest.first
        first = [region.first for region in regions[1:]]
        self.layout = np.array([*first, cone.unit], dtype=np.int64)
        self.measured = runs(cone.lanes)
        steps = cone.steps if self.block > 1 else []
        self.bounding = self._table([self._bound(step, *regions[1:3]) for step in cone.steps])
        self.bounding_largest = self._table([self._bound(step, *regions[3:]) for step in steps])
        comparison, x, y, answer = program.tape.guards.T
        sides = program.address[x], program.address[y]
        columns = [comparison, *map(self.numbers.flagged, sides), answer, cone.guards]
        columns += map(self.largest_bounds.offsets, sides)
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
        if step.kind == CHOOSE:
            flat = self._shared_choice(step)
        else:
            flat = [part for array in step.pool[:2] for part in self._flat(array)]
        flat += flat[:2] * (len(step.pool) == 1)
        return [
            step.kind, step.op, step.lanes, z, *pools, starts, int(step.sign),
            int(step.wanted[0]), int(step.wanted[1]), *flat,
        ]  # fmt: skip

    def _masked(self, step: Instruction, region: Region) -> list[int]:
        """A mask's row; its lanes come in groups, each for one list of values."""
        value, index, at, instead = step.pool
        starts = np.concatenate([[0], np.cumsum(step.counts)])
        lines = [self._flat(part)[0] == 1 for part in np.split(value, starts[1:-1])]
        first = starts[:-1]
        pools = (
            region.flagged(value), self.numbers.flagged(index[first]), starts, np.array(lines),
            region.offsets(instead[first]), at[first],
        )  # fmt: skip
        px, py, begin, line, other, position = (self._pooled(array) for array in pools)
        z = region.lane(step.z)
        return [step.kind, 0, step.lanes, z, px, py, begin, line, len(first), other, position]

    def _bound(self, step: Step, magnitudes: Region, bounds: Region) -> list[int]:
        """The row of a step on bounds.

        It is the row of the instruction, or: kind, row of the cone, lanes, the offsets of z and of
        its bound, the indices in the pool of x and y, of their bounds, and of the start of each
        lane's entries, the distance from a magnitude to its bound, the unit, whether every sample
        has its own bound, and for x and y, whether and where they lie in a line.
        """
        instruction, wide = step.instruction, bounds is self.bounds
        kind = instruction.kind
        if kind == CHOOSE and wide:
            return self._forward(instruction, bounds, bounds, self.numbers)
        if kind == MASKED and wide:
            return self._masked(instruction, bounds)
        if kind in (CONTRACT, GATHER):
            sides = (bounds if side else magnitudes for side in (step.x_bound, step.y_bound))
            return self._forward(instruction, bounds, *sides)
        x = instruction.pool[0]
        operands = x, instruction.pool[-1] if kind == ROW else x
        counts = instruction.counts
        if kind == MASKED:  # the largest of one
            kind, counts = CHOOSE, np.ones(instruction.lanes, dtype=np.int64)
        pools = [self._pooled(self.numbers.flagged(array)) for array in operands]
        pools += [
            self._pooled(bounds.flagged(array) if wide else bounds.offsets(array) * 2)
            for array in operands
        ]
        pools.append(self._pooled(np.concatenate([[0], np.cumsum(counts)])))
        z = instruction.z
        return [
            kind, instruction.op, instruction.lanes, self.numbers.lane(z), bounds.lane(z), *pools,
            bounds.first - magnitudes.first, int(self.layout[-1]), int(wide),
            *(part for array in operands for part in self._flat(array)),
        ]  # fmt: skip

    def _shared_choice(self, step: Instruction) -> list[int]:
        """[how many lanes in a row choose from neighbours with one index, distance in memory]."""
        entries, index = step.pool
        size = int(step.counts[0])
        if (step.counts != size).any() or len(index) < 2:
            return [1, 0]
        table = entries.reshape(-1, size)
        apart = int(table[1, 0] - table[0, 0])
        follows = (np.diff(index) == 0) & (np.diff(table, axis=0) == apart).all(axis=1)
        breaks = np.flatnonzero(~follows) + 1
        width = int(breaks[0]) if len(breaks) else len(index)
        regular = len(index) % width == 0 and np.array_equal(
            breaks, np.arange(width, len(index), width)
        )
        sample = table < SHARED
        if width == 1 or not regular or sample.any() != sample.all():
            return [1, 0]
        return [width, apart * (self.block if sample.all() else 1)]

    def _flat(self, addresses: Array) -> tuple[int, int]:
        """Whether operands lie in a line (1), are one number (2) or neither (0), and the offset."""
        offset = int(self.numbers.offsets(addresses[:1])[0])
        if (addresses[0] < SHARED or self.block == 1) and (np.diff(addresses) == 1).all():
            return 1, offset
        if addresses[0] >= SHARED and (addresses == addresses[0]).all():
            return 2, offset
        return 0, 0

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
