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
from autograd.compiled.precision import DOUBLE, Precision
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
    rules = margins.margins(row.op, variant.unsigned)
    printer = row.printer(numbers, [], z=z, **dict(zip("pq", off, strict=False)))
    for name, tree in rules.parts.items():
        printer.names[name] = printer.number(tree)
    margin, doubt = printer.term(rules.margin), printer.term(rules.doubt)
    precision = z.f.values.precision
    if precision.eager:
        return [margin, doubt]
    own = abs(row.printer(numbers, [row.op.value_tree]).term(row.op.value_tree) - z)
    usual = abs(z).times_plus(precision.noise, precision.underflow)
    return [margin + own, doubt + own.compare("ugt", usual).select(z.like(1.0), 0.0)]


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


def sum_margins(f: Function, tile: int) -> None:
    """Add the margins of sums of products to the bounds of their results.

    Everything is looked up.  A result is its place times 2, plus 1 if doubles give the eager bits
    for exact factors.  A factor is its place times 4, plus 1 if each sample has its own number, and
    plus 2 to subtract the product.
    """
    here = _Bounds(f, tile)
    here.begin()
    count, results, starts, xs, ys = here.field(), *(here.table() for _ in range(4))
    unit = f.spread(here.unit * (DOUBLE.unit / f.values.precision.unit), here.width)

    def factor(code: Term, start: Whole) -> tuple[Term, Term]:
        """Numbers and their margins."""
        own, place = code & 1, (code >> 2) + (code & 1) * start
        read = here.value(place), here.margin(place, here.width)
        x, off = (own.compare("ne", 0).select(v, f.spread(v.part(0), here.width)) for v in read)
        return x, off

    def lane(i: Whole, start: Whole) -> None:
        code = f.spread(f.entry(results, i), 1)
        place = (code >> 1) + start

        def term(t: Whole, state: list[Term]) -> list[Term]:
            codes = [f.spread(f.entry(table, t), 1) for table in (xs, ys)]
            (x, p), (y, q) = (factor(one, start) for one in codes)
            product, (total, size, off) = x * y, state
            product = (codes[0] & 2).compare("ne", 0).select(-product, product)
            off = off + (abs(x) * q + p * abs(y) + p * q)
            return [total + product, size + abs(product), off]

        total, size, off = here.terms(starts, i, 0, term, *[here.number(0.0)] * 3)
        exact = f.spread((code & 1).compare("ne", 0), here.width) & off.compare("oeq", 0.0)
        rounding = (size * unit).replaced(exact, 0.0)
        here.increase(abs(total - here.value(place)) + off + rounding, place + here.bounds)

    here.lanes(count, lane)


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
