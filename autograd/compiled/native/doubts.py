"""Kernels for bounds: how far numbers may be off, and where that could change a decision.

The rules are in `rounding` and `margins`.  Each number has a magnitude and a bound, each in its own
region of memory.  None of these kernels run if the extremes of many numbers already show that
rounding cannot change a decision (see `limits`).
"""

import math
from typing import Any

from autograd.compiled import margins
from autograd.compiled.margins import HUGE, MIN_MARGIN
from autograd.compiled.native.ir import Function, Term, Whole
from autograd.compiled.native.lookups import Lookup
from autograd.compiled.native.peaks import NOTHING, larger
from autograd.compiled.native.rows import Kinds, Row
from autograd.compiled.precision import Precision
from autograd.compiled.rounding import INFINITE
from autograd.operation import Operation


def magnitude(x: Term, precision: Precision) -> Term:
    """The magnitudes of numbers, as used in bounds."""
    size, least = abs(x), precision.smallest
    tiny = size.compare("olt", least) & size.compare("ogt", 0.0)
    return size.replaced(tiny, least).replaced(size.compare("oeq", math.inf), INFINITE)


class _Bounds(Lookup):
    """A kernel on bounds, with their places and their unit."""

    def begin(self) -> None:
        """Read the first fields: the offsets of magnitudes and of bounds, and the unit."""
        self.sizes, self.bounds = self.field(), self.field()
        self.unit = self.f.as_real(self.field()) * self.f.values.precision.unit

    def margin(self, place: Whole, width: int) -> Term:
        """How far numbers may be off."""
        f = self.f
        size, bound = (f.load(f.at(place + apart), width) for apart in (self.sizes, self.bounds))
        return bound - f.spread(self.unit, width) * size


# ---------------------------------------------------------------------- for every number


def measure(f: Function, sources: bool) -> None:
    """Write the magnitudes of numbers in lines, and their first bounds.

    `sources` means that the numbers have originals; the field after the table is the distance.
    """
    here = _Bounds(f, 1)
    here.begin()
    count, table = here.field(), here.table()
    originals = here.field() if sources else 0

    def off(x: Term, place: Whole) -> Term:
        """How far numbers are from the originals; more than HUGE where they have overflowed."""
        if not sources:
            return f.number(0.0).replaced(abs(x).compare("ueq", math.inf), 2 * HUGE)
        exact = f.load(f.at(place + originals))
        distance = abs(exact - x)
        some = distance.replaced(distance.compare("olt", MIN_MARGIN), MIN_MARGIN)
        return some.replaced(exact.compare("ueq", x), 0.0)

    def line(i: Whole) -> None:
        first, length = f.entry(table, i * 2), f.entry(table, i * 2 + 1)

        def some(at: Any, _: list[Term]) -> list[Term]:
            place, kept = first + at[0], at[1]
            x = f.value(place)
            size = magnitude(x, f.values.precision)
            here.put(size, place + here.sizes, kept)
            bound = f.spread(here.unit) * size
            bound = bound if f.values.precision.eager else bound + off(x, place)
            here.put(bound, place + here.bounds, kept)
            return []

        here.vectors(length, some)

    f.each(count, line)


def _printed(
    row: Row, variant: margins.Variant, numbers: Any, z: Term, off: list[Term]
) -> list[Term]:
    """The margin and the doubt of a row, for a vector of lanes or samples."""
    rules = margins.margins(row.op, variant.unsigned, z.f.values.precision)
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
        margin, more = _printed(row, variant, row.of_tile(i, start), here.value(z), off)
        here.increase(margin, z + here.bounds)
        here.increase(more, doubt + start)

    def some(at: Any, totals: list[Term]) -> list[Term]:
        start, kept = at
        unit = f.spread(here.unit)
        off = [
            operand.vector(start, here.bounds) - unit * operand.vector(start, here.sizes)
            for operand in row.operands
        ]
        z = f.value(result + start)
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
            return here.value(place), here.margin(place, here.width)

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
