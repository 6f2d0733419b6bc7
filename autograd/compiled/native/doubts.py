"""Kernels for bounds: how far numbers may be off, and where that could change a decision.

The rules are in `rounding` and `margins`.  Each number has a magnitude and a bound, each in its own
region of memory.  None of these kernels run if the extremes of many numbers already show that
rounding cannot change a decision (see `limits`).
"""

import math
from typing import Any

from autograd.compiled import margins
from autograd.compiled.margins import HUGE
from autograd.compiled.native.ir import Function, Term, Whole
from autograd.compiled.native.lookups import Lookup
from autograd.compiled.native.peaks import NOTHING, larger
from autograd.compiled.native.rows import Kinds, Row
from autograd.compiled.rounding import INFINITE, SMALLEST, UNIT
from autograd.operation import Operation


def magnitude(x: Term) -> Term:
    """The magnitudes of numbers, as used in bounds."""
    size = abs(x)
    tiny = size.compare("olt", SMALLEST) & size.compare("ogt", 0.0)
    return size.replaced(tiny, SMALLEST).replaced(size.compare("oeq", math.inf), INFINITE)


class _Bounds(Lookup):
    """A kernel on bounds, with their places and their unit."""

    def begin(self) -> None:
        """Read the first fields: the offsets of magnitudes and of bounds, and the unit."""
        self.sizes, self.bounds = self.field(), self.field()
        self.unit = self.f.as_real(self.field()) * UNIT

    def margin(self, place: Whole, width: int) -> Term:
        """How far numbers may be off."""
        f = self.f
        size, bound = (f.load(f.at(place + apart), width) for apart in (self.sizes, self.bounds))
        return bound - f.spread(self.unit, width) * size


# ---------------------------------------------------------------------- for every number


def measure(f: Function) -> None:
    """Write the magnitudes of numbers in lines, and their first bounds."""
    here = _Bounds(f, 1)
    here.begin()
    count, table = here.field(), here.table()

    def line(i: Whole) -> None:
        first, length = f.entry(table, i * 2), f.entry(table, i * 2 + 1)

        def some(at: Any, _: list[Term]) -> list[Term]:
            place, kept = first + at[0], at[1]
            size = magnitude(f.load(f.at(place)))
            here.put(size, place + here.sizes, kept)
            here.put(f.spread(here.unit) * size, place + here.bounds, kept)
            return []

        here.vectors(length, some)

    f.each(count, line)


def _printed(
    row: Row, variant: margins.Variant, numbers: Any, z: Term, off: list[Term]
) -> list[Term]:
    """The margin and the doubt of a row, for a vector of lanes or samples."""
    rules = margins.margins(row.op, variant.unsigned)
    printer = row.printer(numbers, [], z=z, **dict(zip("pq", off, strict=False)))
    for name, tree in rules.parts.items():
        printer.names[name] = printer.number(tree)
    return [printer.term(rules.margin), printer.term(rules.doubt)]


def row_margins(
    f: Function, op: Operation, variant: margins.Variant, tile: int, kinds: Kinds
) -> None:
    """Add a row's margins to the bounds of its results, and its doubts to those of the samples."""
    here = _Bounds(f, tile)
    here.begin()
    row = Row(here, op, kinds, 2)
    result, doubt = row.own

    def lane(i: Whole, start: Whole) -> None:
        z = result + i * tile + start
        off = [here.margin(operand.of(i) + start, here.width) for operand in row.operands]
        margin, more = _printed(row, variant, row.of_tile(i, start), here.load(z), off)
        here.increase(margin, z + here.bounds)
        here.increase(more, doubt + start)

    def some(at: Any, totals: list[Term]) -> list[Term]:
        start, kept = at
        unit = f.spread(here.unit)
        off = [
            operand.vector(start, here.bounds) - unit * operand.vector(start, here.sizes)
            for operand in row.operands
        ]
        z = f.load(f.at(result + start))
        margin, more = _printed(row, variant, row.of_lanes(start), z, off)
        bound = result + start + here.bounds
        here.put(f.load(f.at(bound)) + margin, bound, kept)
        return [totals[0] + kept.select(more, 0.0)]

    if tile > 1:
        here.lanes(row.count, lane)
    else:
        (total,) = here.vectors(row.count, some, (f.number(0.0),))
        here.increase(total.total(), doubt)


def largest_doubts(f: Function, tile: int) -> None:
    """Add to the doubts of samples where rounding could make another list entry the largest."""
    here = _Bounds(f, tile)
    here.begin()
    count, starts, entries, doubt = here.field(), here.table(), here.table(), here.field()

    def lane(i: Whole, start: Whole) -> None:
        def both(t: Whole) -> tuple[Term, Term]:
            place = f.entry(entries, t) + start
            return here.load(place), here.margin(place, here.width)

        def top(t: Whole, state: list[Term]) -> list[Term]:
            x, off = both(t)
            highest, most = state
            return [larger(highest, x), larger(most, off)]

        low = here.number(NOTHING), here.number(0.0)
        highest, most = here.terms(starts, i, 0, top, *low)

        def near(t: Whole, state: list[Term]) -> list[Term]:
            x, off = both(t)
            below = (x + off + most).compare("olt", highest) & most.compare("olt", HUGE)
            return [state[0] + below.select(here.number(0.0), 1.0)]

        (many,) = here.terms(starts, i, 0, near, here.number(0.0))
        several = many.compare("ogt", 1.0) & most.compare("une", 0.0)
        here.increase(several.select(here.number(1.0), 0.0), doubt + start)

    here.lanes(count, lane)
