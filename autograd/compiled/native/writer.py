"""The writer of records of every kind: kernels, and the places on which they run.

Places can be shifted: a number's magnitude and bound lie at fixed offsets behind it.
"""

import ast
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from autograd.compiled.lowering import CONTRACT, GATHER, SHARED, Instruction
from autograd.compiled.native import lookups
from autograd.compiled.native.contractions import any_shape, described
from autograd.compiled.native.functions import EXPONENTS
from autograd.compiled.native.layout import Layout
from autograd.compiled.native.reals import DOUBLE, Reals
from autograd.compiled.native.records import Records, Tables, Written
from autograd.compiled.native.rows import Kind, Kinds
from autograd.compiled.native.shapes import SIZES, Loop, Shape, Transposed, merged, single, tiled
from autograd.compiled.program import Program
from autograd.operation import Operation

Array = Any
_MANY = 12  # entries per lane; with fewer, vectors do not find the largest faster
_UNROLLED = 4  # up to this many terms of a looked-up sum are written out


class Side(NamedTuple):
    """A factor of a contraction, or its result.

    Attributes:
        address, strides: the address of its first number, and its strides in the loops.
        own: whether each sample has its own numbers.
        place, step: the place of the first number in memory, and the distance to its neighbour.
    """

    address: int
    strides: tuple[int, ...]
    own: bool
    place: int
    step: int


class Writer:
    """Adds records for a program and a tile; keeps their tables.

    Args:
        real: the type of the numbers that its kernels compute with.

    Attributes:
        scratch: how many numbers of scratch memory kernels need.
    """

    def __init__(
        self, program: Program, tile: int, layout: Layout, tables: Tables, real: Reals = DOUBLE
    ) -> None:
        self.program, self.tile, self.layout = program, tile, layout
        self.tables, self.scratch, self.vector = tables, 0, real.vector
        self.per_place = layout.real.per_double // real.per_double  # places that a number takes
        self._shapes: dict[Shape, int] = {}

    def is_one(self, y: Any) -> bool:
        """Whether a factor is the constant 1 that follows the shared numbers."""
        return bool((y == SHARED + self.program.shared).all())

    def starts(self, one: Instruction) -> int:
        """The table with the start of each lane's terms."""
        return self.tables.append(np.concatenate([[0], np.cumsum(one.counts)]))

    def _parts(self, terms: Sequence[Any]) -> int:
        """The number of vectors in some terms."""
        return len(terms) * max(1, self.tile // self.vector)

    # ------------------------------------------------------------------ sums

    def side(self, address: int, strides: tuple[int, ...], shift: int = 0) -> Side:
        """A factor or a result."""
        place, step = self.layout.factor(address)
        return Side(address, strides, address < SHARED, place + shift, step)

    def adjoint(self, address: int, strides: tuple[int, ...]) -> Side:
        """The adjoints of a factor or of a result."""
        return Side(address, strides, address < SHARED, *self.layout.factor_adjoint(address))

    def contract(
        self, records: Records, one: Instruction, sides: Sequence[Side], add: bool, alone: int
    ) -> None:
        """Add a contraction's record for the sides out, x and y; `alone` if y is 1."""
        steps = [side.step for side in sides[:2]] + [0 if alone else sides[2].step]
        loops = merged(
            Loop(count, *(step * stride for step, stride in zip(steps, each, strict=True)))
            for count, *each in zip(one.sizes, *(side.strides for side in sides), strict=True)
        )
        places, sign = [side.place for side in sides], int(one.sign)
        if self.tile > 1:
            moves = sides[0].own, sides[1].own, sides[2].own and not alone
            one_shape = tiled(loops, self.tile, moves, sign, add, alone, self.vector)
            self._sum(records, one_shape, places)
        else:
            choice = single(loops, sign, add, alone, self.vector)
            self._sum(records, *self._packed(records, places, choice))

    def sizes(
        self, records: Records, loops: Iterable[tuple[int, int, int]], z: int, x: int
    ) -> None:
        """Add the record that sums the sizes of shared numbers; loops are lengths and strides."""
        choice = single(merged(Loop(*loop, 0) for loop in loops), 1, False, SIZES, self.vector)
        self._sum(records, *self._packed(records, [z, x, 0], choice))

    def _packed(
        self, records: Records, places: list[int], choice: tuple[Shape, Transposed | None]
    ) -> tuple[Shape, list[int]]:
        """A shape and its places, after adding a record that transposes a factor if needed."""
        shape, packed = choice
        if packed:
            side = 1 + packed.second
            self.scratch = max(self.scratch, packed.columns * packed.target * self.per_place)
            scratch = self.layout.scratch // self.per_place
            records.append((lookups.transpose, ()), places[side], scratch, *packed[:4])
            places[side] = scratch
        return shape, places

    def _sum(self, records: Records, shape: Shape, places: Sequence[int]) -> None:
        if shape not in self._shapes:
            self._shapes[shape] = self.tables.append(described(shape))
        moving, whole = shape.vector[1:], shape.vector.length % self.vector == 0
        records.shapes.append((len(records.words), shape))
        records.append((any_shape, (moving, shape.alone, whole)), *places, self._shapes[shape])

    def gather(
        self,
        records: Records,
        one: Instruction,
        first: Array,
        shifts: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """Add the record of a sum whose factors are looked up; `shifts` are for z, x and y.

        `first` says of each result whether nothing has been stored at its place.
        """
        add = not first.all()
        x, y, lanes = one.pool
        alone = self.is_one(y) and not shifts[2]
        kernel = lookups.gather, (self.tile, _same(one), alone, int(one.sign), add)
        z, x, y = (
            self.layout.values(pool) + shift
            for pool, shift in zip((lanes, x, y), shifts, strict=True)
        )
        table, parts = self.tables.append, self._parts(x)
        z = table(2 * z + first if add else z)
        records.append(kernel, one.lanes, z, self.starts(one), table(x), table(y), parts=parts)

    def gather_back(self, records: Records, one: Instruction, written: Written) -> None:
        """Add the record of the pullback of such a sum."""
        add, layout, alone = self.tables.append, self.layout, self.is_one(one.pool[1])
        x, y, lanes = one.pool
        wx, wy = one.wanted
        shared = tuple(bool((pool >= SHARED).all()) for pool in (x, y))
        sums = self.tile, _same(one), alone, int(one.sign)
        kernel = lookups.gather_back, (*sums, one.wanted, shared)
        # The kernel adds to x and y in turns.
        wanted = [pool for pool, want in zip((x, y), one.wanted, strict=True) if want]
        pools = np.stack(wanted, axis=1)
        first = written.first(layout.index(pools.ravel())).reshape(pools.shape)
        to = [add(table) for table in (2 * layout.slopes(pools) + first).T]
        tables = (
            add(layout.slopes(lanes)), self.starts(one),
            add(layout.values(x)) if wy else 0, add(layout.values(y)) if wx and not alone else 0,
            to[0] if wx else 0, to[-1] if wy else 0,
        )  # fmt: skip
        records.append(kernel, one.lanes, *tables, parts=self._parts(x))

    # ------------------------------------------------------------------ rows

    def kinds(
        self, pool: Sequence[Array], op: Operation | None = None, back: bool = False
    ) -> Kinds:
        """The kind of each operand of a row; if `op` is given, exponents can be known numbers.

        For a pullback, it is also the kind of their adjoints.
        """
        kinds: list[Kind] = []
        constants = self.program.tape.constants
        for k, addresses in enumerate(pool):
            first = int(addresses[0]) - SHARED
            same, known = (addresses == addresses[0]).all(), 0 <= first < len(constants)
            if k == 1 and op and same and known and constants[first] in EXPONENTS and _is_power(op):
                kinds.append(float(constants[first]))
                continue
            sides = [self.layout.values, self.layout.slopes][: 1 + back]
            places = (find(addresses) for find in sides)
            if len(addresses) > 1 and not all(map(_is_even, places)):
                kinds.append("table")
            elif self.tile > 1 or len(addresses) == 1 or addresses[1] - addresses[0] == 1:
                kinds.append("line")
            else:
                kinds.append("same" if addresses[1] == addresses[0] else "table")
        return tuple(kinds)

    def fields(
        self, operands: Iterable[Array], kinds: Iterable[Kind], beyond: int = 0
    ) -> list[int]:
        """The fields of a record for the places of operands.

        A vector that is not full continues after the last lane, at the place `beyond`.  Its default
        is the first number of all, which can be read and has a magnitude and a bound.
        """
        pairs = zip(operands, kinds, strict=True)
        return list(chain(*(self._field(places, kind, beyond) for places, kind in pairs)))

    def _field(self, places: Array, kind: Kind, beyond: int) -> list[int]:
        if isinstance(kind, float):
            return []
        if kind != "table":
            return [int(places[0]), int(places[1] - places[0]) if len(places) > 1 else 0]
        rest = np.full(self.vector if self.tile == 1 else 0, beyond)
        return [self.tables.append(np.concatenate([places, rest]))]

    # ------------------------------------------------------------------ maxima, choices, masks

    def largest(self, records: Records, one: Instruction) -> None:
        """Add the record that finds the largest of each lane's entries."""
        places = self.layout.values(one.pool[0])
        many = self.tile == 1 and len(places) > _MANY * one.lanes
        in_line = many and _lines(places, one.counts)
        kernel = (lookups.largest_in_line, ()) if in_line else (lookups.largest, (self.tile,))
        tables = self.starts(one), self.tables.append(places)
        z = self.layout.lane(one.z)
        records.append(kernel, one.lanes, z, *tables, parts=self._parts(places))

    def choose(self, records: Records, one: Instruction, back: bool, shift: int = 0) -> None:
        """Add the record of a choice, or of its pullback."""
        entries, index = one.pool
        shared, layout = bool((entries >= SHARED).all()), self.layout
        places = entries - SHARED if shared else layout.values(entries)
        places, lane = (layout.slopes(entries), layout.adjoint) if back else (places, layout.lane)
        starts, at = np.concatenate([[0], np.cumsum(one.counts)]), layout.values(index)
        table = [
            [at[first], one.counts[first], lane(one.z + first) + shift, starts[first], width, step]
            for first, width, step in _together(places, starts, index)
        ]
        kernel = lookups.choose_back if back else lookups.choose
        tables = self.tables.append(table), self.tables.append(places + shift)
        parts = self._parts(one.results)
        records.append((kernel, (self.tile, shared)), len(table), *tables, parts=parts)

    def replace(self, records: Records, one: Instruction, back: bool, shift: int = 0) -> None:
        """Add the record that replaces numbers in such a copy; backward, it sets adjoints to 0."""
        _, index, numbers, instead = one.pool
        lane = self.layout.adjoint if back else self.layout.lane
        first = np.cumsum(one.counts) - one.counts
        columns = (
            self.layout.values(index[first]), lane(one.z) + first * self.tile + shift,
            numbers[first], one.counts, instead[first] - SHARED + shift,
        )  # fmt: skip
        fields = len(first), self.tables.append(np.stack(columns, axis=1)), self.layout.spare
        records.append((lookups.replace, (self.tile, back)), *fields, parts=2 * len(first))


def copy(program: Program, one: Instruction) -> Instruction:
    """The instruction that copies a mask's values before some of them are replaced."""
    value, lanes, count = one.pool[0], one.results, one.lanes
    step = int(value[1] - value[0]) if count > 1 else 0
    ones = np.full(count, SHARED + program.shared)
    if (np.diff(value) == step).all() and abs(step) < SHARED // 2:
        return Instruction(
            CONTRACT, one.level, count, one.z, sizes=(count, 1, 1, 1), zs=(1, 0, 0, 0),
            x=int(value[0]), xs=(step, 0, 0, 0), y=int(ones[0]), wanted=one.wanted,
        )  # fmt: skip
    return Instruction(
        GATHER, one.level, count, one.z, pool=(value, ones, lanes),
        counts=np.ones(count, dtype=np.int64), wanted=one.wanted,
    )  # fmt: skip


def _is_power(op: Operation) -> bool:
    """Whether the row's value or a derivative contains a power."""
    return any(
        isinstance(node, ast.Pow)
        for tree in (op.value_tree, *op.partial_trees)
        for node in ast.walk(tree)
    )


def _is_even(places: Array) -> bool:
    """Whether all neighbours are equally far apart."""
    steps = places[1:] - places[:-1]
    return bool((steps == steps[0]).all())


def _same(one: Instruction) -> int:
    """The number of terms in each lane, if it is the same for all and small; 0 otherwise."""
    low, high = one.terms
    return low if low == high <= _UNROLLED else 0


def _lines(places: Array, counts: Array) -> bool:
    """Whether the places of each lane are consecutive."""
    follows = np.diff(places) == 1
    follows[np.cumsum(counts)[:-1] - 1] = True
    return bool(follows.all())


def _together(places: Array, starts: Array, index: Array) -> list[tuple[int, int, int]]:
    """Groups of neighbouring lanes with the same index and lists at a constant distance.

    Each group is (first lane, number of lanes, distance).
    """
    groups: list[tuple[int, int, int]] = []
    lists = [places[a:b] for a, b in pairwise(starts)]
    for lane, entries in enumerate(lists):
        if groups and index[lane] == index[lane - 1] and len(entries) == len(lists[lane - 1]):
            first, width, before = groups[-1]
            steps = entries - lists[lane - 1]
            step = int(steps[0])
            if step >= 0 and (steps == step).all() and (width == 1 or step == before):
                groups[-1] = first, width + 1, step
                continue
        groups.append((lane, 1, 0))
    return groups
