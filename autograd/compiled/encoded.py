"""A program's instructions as rows of whole numbers, which the engines read."""

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
HELD, FAILED, DOUBTFUL = 1, 0, 2  # what became of a sample: of its guards, or of any decision


@dataclass(slots=True)
class Batch:
    """Samples that an engine computes, and the arrays that it fills.

    Attributes:
        numbers: the parameters'.
        where: rows of (place in memory, place in numbers and gradients, how many), for runs of
            parameters.
        x: the samples' inputs.
        seeds: by which the gradients of the results are multiplied.
        out: the results, of shape (samples, results).
        held: of each sample HELD, FAILED or DOUBTFUL.
        inputs: the gradients in the inputs, of each sample.
        gradients: those in the parameters, of all samples.
        differentiate: whether the gradients are wanted.
    """

    numbers: Array
    where: Array
    x: Array
    seeds: Array
    out: Array
    held: Array
    inputs: Array
    gradients: Array
    differentiate: bool


@dataclass(frozen=True)
class Places:
    """Where numbers are in memory: those that all samples share, and behind them the lanes."""

    first: int
    shared: int
    block: int  # samples side by side in a lane

    @property
    def end(self) -> int:
        """Where the numbers that all samples share end, and the lanes begin."""
        return self.first + self.shared

    def lane(self, lane: Any) -> Any:
        """Where a lane begins."""
        return self.end + lane * self.block

    def of(self, addresses: Array) -> Array:
        """Where numbers are, or their first samples."""
        return np.where(addresses < SHARED, self.lane(addresses), self.first + addresses - SHARED)

    def flagged(self, addresses: Array) -> Array:
        """Places times two, plus one if every sample has its own number."""
        return self.of(addresses) * 2 + (addresses < SHARED)

    def operand(self, base: int, strides: tuple[int, ...]) -> tuple[int, list[int]]:
        """The place of an operand of a contraction, and its strides over all loops."""
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

    A row is: kind, then of a contraction: form, sign, the places of z, x and y, the sizes of its
    loops, their strides in z, x and y, and which factor is an adjoint; of others: op, lanes, the
    place (GATHER: the pool's index) of z, the pool's indices of x and y and of where each lane's
    terms start, sign, and whether gradients in x and y are wanted.

    Behind the numbers in memory there are, if rounding could decide anything (see `rounding`), the
    magnitudes of all numbers and their bounds, and, for blocks of several samples, the magnitudes
    and bounds that are the largest of a lane's samples.  `bounding` are the rows that compute
    bounds, and `bounding_largest` those for the largest.
    """

    def __init__(self, program: Program, block: int) -> None:
        self.block = block
        self.shared = program.shared + 1  # a one stands behind the parameters
        self.numbers = Places(0, self.shared, block)
        self.end = self.numbers.lane(program.slots)  # of the numbers
        self._parts: list[Array] = []
        self._pooled_so_far = 0
        # What is looked up serves both directions.
        rows = [self._forward(one, *[self.numbers] * 3) for one in program.instructions]
        back = [
            row
            for one, forward in zip(reversed(program.instructions), reversed(rows), strict=True)
            for row in self._backward(one, forward)
        ]
        self.forward, self.backward = self._table(rows), self._table(back)
        tape = program.tape
        self.outputs = self.numbers.flagged(program.address[tape.outputs])
        # Sums are added to what is there; the other results take its place.
        added = [one.results for one in program.instructions if one.kind in (CONTRACT, GATHER)]
        lanes = runs(np.unique(np.concatenate([*added, np.zeros(0, dtype=np.int64)])))
        self.cleared = np.stack([self.shared + lanes[:, 0] * block, lanes[:, 1] * block], axis=1)
        self._measure(program)
        self.pool = np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])

    def _measure(self, program: Program) -> None:
        """The rows that compute bounds, and the guards with the places of theirs."""
        cone, at = program.cone, 0
        self.unit = cone.unit * UNIT
        places = []
        for block in (self.block, self.block, self.block, 1, 1):
            places.append(Places(at, self.shared, block))
            at = places[-1].lane(program.slots)
        _, self.magnitudes, self.bounds, self.largest, self.largest_bounds = places
        self.size = self.end
        if len(cone.lanes):
            self.size = at if self.block > 1 else self.largest.first
        self.layout = np.array([*(one.first for one in places[1:]), cone.unit], dtype=np.int64)
        self.measured = runs(cone.lanes)
        steps = cone.steps if self.block > 1 else []
        self.bounding = self._table([self._bound(one, *places[1:3]) for one in cone.steps])
        self.bounding_largest = self._table([self._bound(one, *places[3:]) for one in steps])
        order, x, y, answer = program.tape.guards.T
        sides = program.address[x], program.address[y]
        columns = [order, *map(self.numbers.flagged, sides), answer, cone.guards]
        columns += map(self.largest_bounds.of, sides)
        self.guards = np.stack(columns, axis=1).astype(np.int64)

    @staticmethod
    def _table(table: list[list[int]]) -> Array:
        made = np.zeros((len(table), WIDTH), dtype=np.int64)
        for k, row in enumerate(table):
            made[k, : len(row)] = row
        return made

    def _pooled(self, numbers: Array) -> int:
        start = self._pooled_so_far
        self._parts.append(np.asarray(numbers, dtype=np.int64))
        self._pooled_so_far += len(numbers)
        return start

    def _forward(self, one: Instruction, to: Places, x: Places, y: Places) -> list[int]:
        """The row of an instruction whose results and operands are in these places."""
        z = to.lane(one.z)
        if one.kind == CONTRACT:
            return contraction(
                one.sign, [*one.sizes, to.block],
                (z, [*(s * to.block for s in one.zs), 1]),
                x.operand(one.x, one.xs), y.operand(one.y, one.ys),
            )  # fmt: skip
        if one.kind == MASKED:
            return self._masked(one, to)
        if one.kind == GATHER:
            z = self._pooled(to.lane(one.pool[2]))
        pools = [
            self._pooled(side.flagged(array)) for side, array in zip((x, y), one.pool, strict=False)
        ]
        pools += pools[:1] * (2 - len(pools))  # an operation of one operand is given it twice
        starts = self._pooled(np.concatenate([[0], np.cumsum(one.counts)]))
        if one.kind == CHOOSE:
            flat = self._shared_choice(one)
        else:
            flat = [part for array in one.pool[:2] for part in self._flat(array)]
        flat += flat[:2] * (len(one.pool) == 1)
        return [
            one.kind, one.op, one.lanes, z, *pools, starts, int(one.sign),
            int(one.wanted[0]), int(one.wanted[1]), *flat,
        ]  # fmt: skip

    def _masked(self, one: Instruction, places: Places) -> list[int]:
        """A mask's row; its lanes come in groups, those of one list of values."""
        value, index, at, instead = one.pool
        starts = np.concatenate([[0], np.cumsum(one.counts)])
        lines = [self._flat(part)[0] == 1 for part in np.split(value, starts[1:-1])]
        first = starts[:-1]
        pools = (
            places.flagged(value), self.numbers.flagged(index[first]), starts, np.array(lines),
            places.of(instead[first]), at[first],
        )  # fmt: skip
        px, py, begin, line, other, place = (self._pooled(array) for array in pools)
        z = places.lane(one.z)
        return [one.kind, 0, one.lanes, z, px, py, begin, line, len(first), other, place]

    def _bound(self, step: Step, magnitudes: Places, bounds: Places) -> list[int]:
        """The row of a step on bounds.

        It is that of the instruction, or: kind, row of the cone, lanes, the places of z and of its
        bound, the pool's indices of x and y, of their bounds, and of where each lane's entries
        start, how far behind its magnitude a bound is, the unit, whether every sample has its own
        bound, and whether x and y lie in lines, and where.
        """
        one, wide = step.instruction, bounds is self.bounds
        if one.kind == CHOOSE and wide:
            return self._forward(one, bounds, bounds, self.numbers)
        if one.kind == MASKED and wide:
            return self._masked(one, bounds)
        if one.kind in (CONTRACT, GATHER):
            sides = (bounds if side else magnitudes for side in (step.x_bound, step.y_bound))
            return self._forward(one, bounds, *sides)
        operands = one.pool[0], one.pool[-1] if one.kind == ROW else one.pool[0]
        counts = np.ones(one.lanes, dtype=np.int64) if one.kind == MASKED else one.counts
        pools = [self._pooled(self.numbers.flagged(array)) for array in operands]
        pools += [
            self._pooled(bounds.flagged(array) if wide else bounds.of(array) * 2)
            for array in operands
        ]
        pools.append(self._pooled(np.concatenate([[0], np.cumsum(counts)])))
        kind = CHOOSE if one.kind == MASKED else one.kind  # the largest of one
        return [
            kind, one.op, one.lanes, self.numbers.lane(one.z), bounds.lane(one.z), *pools,
            bounds.first - magnitudes.first, int(self.layout[-1]), int(wide),
            *(part for array in operands for part in self._flat(array)),
        ]  # fmt: skip

    def _shared_choice(self, one: Instruction) -> list[int]:
        """How many lanes at a time choose with one index from neighbours, as the columns of a row.

        With it, how far apart the neighbours are in memory.
        """
        entries, index = one.pool
        size = int(one.counts[0])
        if (one.counts != size).any() or len(index) < 2:
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
        """Whether operands lie in a line (1), or are one number (2), or neither (0), and where."""
        place = int(self.numbers.of(addresses[:1])[0])
        if (addresses[0] < SHARED or self.block == 1) and (np.diff(addresses) == 1).all():
            return 1, place
        if addresses[0] >= SHARED and (addresses == addresses[0]).all():
            return 2, place
        return 0, 0

    def _backward(self, one: Instruction, forward: list[int]) -> list[list[int]]:
        if not any(one.wanted):
            return []
        if one.kind != CONTRACT:
            return [forward]
        z = self.numbers.lane(one.z), [*(s * self.block for s in one.zs), 1]
        x, y = self.numbers.operand(one.x, one.xs), self.numbers.operand(one.y, one.ys)
        sizes = [*one.sizes, self.block]
        made = []
        if one.wanted[0]:
            made.append(contraction(one.sign, sizes, x, z, y))
        if one.wanted[1]:
            made.append(contraction(one.sign, sizes, y, z, x))
        return made
