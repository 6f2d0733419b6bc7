"""Records for rounding bounds: measurements of many numbers at once, and a bound for each number.

`rounding` chooses the instructions that need bounds.
"""

from typing import Any

import numpy as np

from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, LARGEST, ROW, SHARED, Instruction
from autograd.compiled.native import doubts, lookups, peaks
from autograd.compiled.native.limits import Peaks
from autograd.compiled.native.records import Records
from autograd.compiled.native.writer import Writer, copy
from autograd.compiled.rounding import Cone, Step, exactness, runs
from autograd.value import rows

Array = Any


class Bounds:
    """Adds the records of bounds to the lists of a translation."""

    def __init__(self, writer: Writer, watched: Peaks, lists: dict[str, Records]) -> None:
        self.writer, self.peaks, self.lists = writer, watched, lists
        self.layout, self.tile = writer.layout, writer.tile
        self.doubles = Writer(writer.program, writer.tile, writer.layout, writer.tables)
        self.cone = cone = watched.cone
        table = rows()
        self.variants = [(table[variant.op], variant) for variant in cone.rows]
        self._begin()
        self.sums = {} if cone.precision.eager else _whole_sums(cone)
        if self.sums:  # whether doubles have the eager bits, if the operands are exact
            self.exact = ~exactness(writer.program).inexact
        for k, step in enumerate(cone.steps):
            self._follow(k, step)
        self._watch()

    # ------------------------------------------------------------------ many numbers at once

    def _watch(self) -> None:
        """Add the records that measure heaps and the gaps of decisions, and check the limits."""
        lines: dict[tuple[str, bool], list[tuple[int, int, int]]] = {}
        guards, heaps, layout, tables = [], self.peaks.heaps, self.layout, self.writer.tables
        sides = layout.values(self.writer.program.address[self.writer.program.tape.guards[:, 1:3]])
        for (what, which), place in self.peaks.places.items():
            to = layout.peaks + place
            if what == "sum":
                self._sum_of_sizes(self.cone.steps[which].instruction, to)
            elif what == "gap":
                largest = self.cone.steps[which].instruction
                table = self.writer.starts(largest), tables.append(layout.values(largest.pool[0]))
                self.lists["peaks"].append((peaks.gaps, (self.tile,)), to, largest.lanes, *table)
            elif what == "guard":
                guards.append((*sides[which].tolist(), to))
            else:
                first, count = heaps.numbers(which)
                shared = first >= SHARED
                line = (
                    (first - SHARED, count) if shared else (layout.lane(first), count * self.tile)
                )
                lines.setdefault((what, shared), []).append((*line, to))
        for (what, shared), measured in lines.items():
            kernel = peaks.peaks, (what == "ends", not shared and self.tile > 1)
            self.lists["begin" if shared else "peaks"].append(
                kernel, len(measured), tables.append(measured)
            )
        if guards:
            listed = len(guards), tables.append(guards)
            self.lists["peaks"].append((peaks.distances, (self.tile,)), *listed)
        fields = layout.peaks, layout.watched, layout.watched, layout.unsure
        self.lists["peaks"].append((peaks.check, ()), *fields)

    def _sum_of_sizes(self, one: Instruction, to: int) -> None:
        """The largest sum of a contraction's shared factors, over the terms of each result."""
        shared, strides = (one.x, one.xs) if one.x >= SHARED else (one.y, one.ys)
        loops, count = [], 1
        for size, result, stride in zip(one.sizes, one.zs, strides, strict=True):
            if not result:
                loops.append((size, 0, stride))
            elif stride:
                loops.append((size, count, stride))
                count *= size
        # The bounds are not in use yet.
        place, begin = self.layout.bounds * self.layout.real.per_double, self.lists["begin"]
        self.writer.sizes(begin, loops, place, shared - SHARED)
        table = self.writer.tables.append([(place, count, to)])
        begin.append((peaks.peaks, (False, False)), 1, table)

    # ------------------------------------------------------------------ every number

    def _begin(self) -> None:
        """Add the records for the first magnitudes and bounds; no sample is in doubt yet."""
        layout, lanes, inputs = self.layout, self.cone.lanes, self.writer.program.tape.inputs
        lanes = [*runs(lanes[lanes < inputs]).tolist(), *runs(lanes[lanes >= inputs]).tolist()]
        self.lists["bounds"].append((lookups.zero, ()), layout.doubt, self.tile)
        lines = [(0, layout.lanes), *((layout.lane(a), n * self.tile) for a, n in lanes)]
        sources = [(place, n) for place, n in lines if place + n <= layout.sources]
        if sources:
            lines = [line for line in lines if line not in sources]
            table = self.writer.tables.append(sources)
            self._add((doubts.measure, (True,)), len(sources), table, layout.originals)
        self._add((doubts.measure, (False,)), len(lines), self.writer.tables.append(lines))

    def _add(self, kernel: Any, *fields: int) -> None:
        layout, roundings = self.layout, self.cone.roundings
        self.lists["bounds"].append(kernel, layout.sizes, layout.bounds, roundings, *fields)

    def _follow(self, k: int, step: Step) -> None:
        one, writer, layout = step.instruction, self.doubles, self.layout
        parts = layout.sizes, layout.bounds
        if one.kind in (CONTRACT, GATHER) and not self.cone.precision.eager:
            if k in self.sums:
                self._look_up(*self.sums[k])
        elif one.kind in (CONTRACT, GATHER):
            self._sum(one, parts[step.x_bound], parts[step.y_bound], True)
        elif one.kind == ROW:
            (op, variant), kinds = self.variants[one.op], writer.kinds(one.pool)
            operands = writer.fields(map(layout.values, one.pool), kinds)
            fields = one.lanes, layout.lane(one.z), layout.doubt, *operands
            self._add((doubts.row_margins, (op, variant, self.tile, kinds)), *fields)
        elif one.kind == LARGEST:
            tables = writer.starts(one), writer.tables.append(layout.values(one.pool[0]))
            self._add((doubts.largest_doubts, (self.tile,)), one.lanes, *tables, layout.doubt)
        elif one.kind == CHOOSE:
            writer.choose(self.lists["bounds"], one, False, layout.bounds)
        else:
            self._sum(copy(writer.program, one), layout.bounds, layout.sizes, False)
            writer.replace(self.lists["bounds"], one, False, layout.bounds)

    def _sum(self, one: Instruction, x: int, y: int, add: bool) -> None:
        """Add a sum of products of magnitudes and bounds."""
        writer, records, z = self.doubles, self.lists["bounds"], self.layout.bounds
        if one.kind == GATHER:
            writer.gather(records, one, np.full(one.lanes, not add), (z, x, y))
            return
        pairs = (one.z, one.zs, z), (one.x, one.xs, x), (one.y, one.ys, y)
        sides = [writer.side(*pair) for pair in pairs]
        alone = writer.is_one(np.array(one.y)) and y == self.layout.sizes  # the magnitude of 1 is 1
        writer.contract(records, one, sides, add, alone)

    def _look_up(self, lanes: Array, counts: Array, x: Array, y: Array, signs: Array) -> None:
        """Add the record for the margins of whole sums."""
        layout, append, first = self.layout, self.writer.tables.append, SHARED
        codes = [
            4 * np.where(side < first, layout.lane(side), side - first) + (side < first)
            for side in (x, y)
        ]
        tables = (
            append(2 * layout.lane(lanes) + self.exact[lanes]),
            append(np.concatenate([[0], np.cumsum(counts)])),
            append(codes[0] + 2 * (signs < 0)),
            append(codes[1]),
        )
        self._add((doubts.sum_margins, (self.tile,)), len(lanes), *tables)


def _whole_sums(cone: Cone) -> dict[int, tuple[Array, ...]]:
    """For the last step of each sum: its lanes, how many products each has, the products, signs."""
    steps = [(k, step.instruction) for k, step in enumerate(cone.steps)]
    last = {id(one): k for k, one in steps if one.kind in (CONTRACT, GATHER)}
    parts = [(k, one) for k, one in steps if last.get(id(one)) == k]
    if not parts:
        return {}
    columns = [np.broadcast_arrays(*one.products, int(one.sign), k) for k, one in parts]
    z, x, y, sign, k = np.concatenate(columns, axis=1)
    lanes, inverse = np.unique(z, return_inverse=True)
    ends = np.zeros(len(lanes), dtype=np.int64)
    np.maximum.at(ends, inverse, k)
    sums = {}
    for end in np.unique(ends).tolist():
        chosen = np.flatnonzero(ends[inverse] == end)
        chosen = chosen[np.argsort(z[chosen], kind="stable")]
        own, counts = np.unique(z[chosen], return_counts=True)
        sums[end] = own, counts, x[chosen], y[chosen], sign[chosen]
    return sums
