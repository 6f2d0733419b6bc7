"""Kernels that find their operands in tables: irregular sums, choices, maxima and masks.

`tile` samples lie side by side, in vectors; a tile of one is a single number.  The places in tables
refer to the thread's memory.
"""

from collections.abc import Callable
from typing import Any

from autograd.compiled.native.ir import ENTRY, INT, Body, Function, Term, Whole


class Lookup:
    """A kernel for tiles: its fields and tables, and its loops over lanes and vectors."""

    def __init__(self, f: Function, tile: int) -> None:
        self.f, self.tile, self.width = f, tile, min(tile, f.vector)
        self._fields = 2

    def field(self) -> Whole:
        """The next whole number of the record."""
        self._fields += 1
        return self.f.field(self._fields - 1)

    def table(self) -> Term:
        """The table that the next field points to."""
        return self.f.table(self.field())

    def lanes(self, count: Whole, body: Callable[[Any, Any], None]) -> None:
        """Run the body for each lane and vector of the tile: (lane, start of the vector)."""
        halves = self.tile // self.width
        self.f.each(count, lambda i: self.f.each(halves, lambda h: body(i, h * self.width)))

    def load(self, place: Whole) -> Term:
        """The numbers of a vector of samples."""
        return self.f.load(self.f.at(place), self.width)

    def value(self, place: Whole) -> Term:
        """The program's numbers for a vector of samples, in the type of the kernel."""
        return self.f.value(place, self.width)

    def store(self, x: Term, place: Whole) -> None:
        """Store a vector of samples at a place."""
        self.f.store(x, self.f.at(place))

    def increase(self, x: Term, place: Whole) -> None:
        """Add a vector of samples to the numbers at a place."""
        pointer = self.f.at(place)
        self.f.store(self.f.load(pointer, x.lanes) + x, pointer)

    def add_at(self, x: Term, entry: Whole, start: Whole) -> None:
        """Add a vector of samples to the numbers at a place, or store it there.

        The entry of the table is twice the place, plus 1 if nothing has been stored there.
        """
        pointer, first = self.f.at(entry // 2 + start), entry % 2
        before = self.f.load(pointer, x.lanes)
        none = self.f.spread(self.f.spread(first, 1).compare("ne", 0), x.lanes)
        self.f.store(before.replaced(none, 0.0) + x, pointer)

    def number(self, number: float) -> Term:
        """The number for every sample."""
        return self.f.number(number, self.width)

    def vectors(self, count: Whole, body: Body, carried: tuple[Term, ...] = ()) -> list[Term]:
        """The carried terms after body((start, mask of valid numbers), carried) for each vector."""

        width = self.f.vector

        def inside(i: Whole, state: list[Term]) -> Any:
            start = i * width
            return body((start, self.f.first(count - start)), state)

        return self.f.loop((count + (width - 1)) // width, inside, carried)

    def put(self, x: Term, place: Whole, kept: Term) -> None:
        """Store a vector where the mask is true, and leave the other numbers unchanged."""
        pointer = self.f.at(place)
        self.f.store(kept.select(x, self.f.load(pointer)), pointer)

    def terms(self, starts: Term, lane: Whole, same: int, body: Body, *totals: Term) -> list[Term]:
        """The totals after all terms of a lane; `same` is their number, or 0 if it varies."""
        if same:
            state = list(totals)
            for k in range(same):
                state = list(body(lane * same + k, state))
            return state
        first, end = self.f.entry(starts, lane), self.f.entry(starts, lane + 1)
        return self.f.loop(end - first, lambda i, state: body(first + i, state), totals)


# ---------------------------------------------------------------------- sums


def gather(f: Function, tile: int, same: int, alone: bool, sign: int, add: bool) -> None:
    """Write z[lane] = sign * sum of x * y, all looked up; `alone` if every y is 1.

    With `add`, it is added to what is there (see `Lookup.add_at`).
    """
    here = Lookup(f, tile)
    count, targets, starts, xs, ys = here.field(), *(here.table() for _ in range(4))

    def lane(i: Whole, start: Whole) -> None:
        def term(t: Whole, totals: list[Term]) -> list[Term]:
            x = here.load(f.entry(xs, t) + start)
            if alone:
                return [totals[0] + x]
            return [x.times_plus(here.load(f.entry(ys, t) + start), totals[0])]

        (total,) = here.terms(starts, i, same, term, here.number(0.0))
        total = -total if sign < 0 else total
        if add:
            here.add_at(total, f.entry(targets, i), start)
        else:
            here.store(total, f.entry(targets, i) + start)

    here.lanes(count, lane)


def gather_back(
    f: Function,
    tile: int,
    same: int,
    alone: bool,
    sign: int,
    wanted: tuple[bool, bool],
    shared: tuple[bool, bool],
) -> None:
    """Write the pullback of a sum of looked-up products, which adds to its factors' adjoints.

    `shared` says of x and of y whether all of them are shared, with partial sums of one vector.
    """
    here = Lookup(f, tile)
    count, results, starts, xs, ys, to_xs, to_ys = here.field(), *(here.table() for _ in range(6))

    def lane(i: Whole, start: Whole) -> None:
        adjoint = here.load(f.entry(results, i) + start)
        adjoint = -adjoint if sign < 0 else adjoint

        def term(t: Whole, _: list[Term]) -> list[Term]:
            if wanted[0]:
                part = adjoint if alone else adjoint * here.load(f.entry(ys, t) + start)
                here.add_at(part, f.entry(to_xs, t), 0 if shared[0] else start)
            if wanted[1]:
                part = adjoint * here.load(f.entry(xs, t) + start)
                here.add_at(part, f.entry(to_ys, t), 0 if shared[1] else start)
            return []

        here.terms(starts, i, same, term)

    here.lanes(count, lane)


# ---------------------------------------------------------------------- maxima


def largest(f: Function, tile: int) -> None:
    """Write z[lane] = the index of the first of its largest entries; 0 if an entry is nan."""
    here = Lookup(f, tile)
    count, place, starts, entries = here.field(), here.field(), here.table(), here.table()

    def lane(i: Whole, start: Whole) -> None:
        first = f.entry(starts, i)

        def entry(t: Whole, state: list[Term]) -> list[Term]:
            x = here.load(f.entry(entries, t) + start)
            return _larger(x, f.spread(f.as_real(t - first), here.width), *state)

        low = here.number(float("-inf")), here.number(0.0)
        best, which = here.terms(starts, i, 0, entry, *low)
        here.store(which.replaced(best.compare("uno", best), 0.0), place + i * tile + start)

    here.lanes(count, lane)


def _larger(x: Term, number: Term, best: Term, which: Term) -> list[Term]:
    """The largest number so far and its index, after one more number; nan stays the largest."""
    more = x.compare("ugt", best) & best.compare("ord", best)
    return [more.select(x, best), more.select(number, which)]


def largest_in_line(f: Function) -> None:
    """Write the same for one sample, if the entries of each lane lie in a line."""
    here = Lookup(f, 1)
    count, place, starts, entries = here.field(), here.field(), here.table(), here.table()
    positions = f.line(range(f.vector))

    def lane(i: Whole, _: Whole) -> None:
        first = f.entry(starts, i)
        source = f.entry(entries, first)

        def part(at: tuple[Whole, Term], state: list[Term]) -> list[Term]:
            start, kept = at
            x = kept.select(f.load(f.at(source + start)), float("-inf"))
            return _larger(x, positions + f.spread(f.as_real(start)), *state)

        low = f.number(float("-inf"))
        best, which = here.vectors(f.entry(starts, i + 1) - first, part, (low, positions))
        top = f.spread(best.folded(lambda x, y: x.compare("ogt", y).select(x, y)))
        which = best.compare("oeq", top).select(which, float("inf"))
        which = which.folded(lambda x, y: x.compare("olt", y).select(x, y))
        here.store(which.replaced(best.compare("uno", best).any(), 0.0), place + i)

    here.lanes(count, lane)


# ---------------------------------------------------------------------- choices


class _Choice(Lookup):
    """The common part of choices and their pullbacks: groups of lanes that share an index.

    A group is six numbers: the place of its index, its number of entries, the place of its first
    result, the start of its entries, its number of lanes, and the distance between their entries.
    """

    def each_lane(self, body: Callable[[Whole, Term], None], shared: bool, many: bool) -> None:
        """Run the body for each lane with the places of its result and of each sample's choice.

        `shared` means that all samples share the entries; `many`, that each sample has its own sum
        for them.
        """
        f = self.f
        groups, rows, entries = self.field(), self.table(), self.table()

        def group(i: Whole, start: Whole) -> None:
            index, count, result, first, width, apart = (f.entry(rows, i * 6 + k) for k in range(6))
            chosen = self._clipped(self.value(index + start), count) + f.spread(first, self.width)
            if self.width == 1:
                places = f.spread(f.entry(entries, chosen), 1)
            else:
                places = f.gathered(entries, chosen, ENTRY).cast("zext", INT)
                if many or not shared:
                    places = places + f.counting(self.width)
                if not shared:
                    places = places + f.spread(start, self.width)

            def lane(k: Whole, state: list[Term]) -> list[Term]:
                body(result + k * self.tile + start, state[0])
                return [state[0] + f.spread(apart, self.width)]

            f.loop(width, lane, [places])

        self.lanes(groups, group)

    def _clipped(self, index: Term, count: Whole) -> Term:
        """The index as a whole number, limited to the existing entries."""
        f, zero = self.f, self.number(0.0)
        index = index.compare("ogt", zero).select(index, zero)
        most = f.spread(f.as_real(count - 1), self.width)
        return index.compare("olt", most).select(index, most).cast("fptosi", INT)


def choose(f: Function, tile: int, shared: bool) -> None:
    """Write z = the entry at an index; `shared` if all samples share the entries."""
    here, memory = _Choice(f, tile), f.pointers["memory"]

    def lane(result: Whole, places: Term) -> None:
        here.store(here.load(places) if tile == 1 else f.gathered(memory, places), result)

    here.each_lane(lane, shared, False)


def choose_back(f: Function, tile: int, shared: bool) -> None:
    """Write the pullback of choices, which adds to the chosen entries; these are adjoints."""
    here, memory = _Choice(f, tile), f.pointers["memory"]

    def lane(result: Whole, places: Term) -> None:
        adjoint = here.load(result)
        if tile == 1:
            here.increase(adjoint, places)
        else:
            f.scattered(f.gathered(memory, places) + adjoint, memory, places)

    here.each_lane(lane, shared, True)


# ---------------------------------------------------------------------- masks and lines


def replace(f: Function, tile: int, back: bool) -> None:
    """Write the kernel that replaces the lane at an index in each group; backward, it sets 0.

    A group is five numbers: the place of its index, the place of its first lane, that lane's
    number, its number of lanes, and the place of the new number.
    """
    here = Lookup(f, tile)
    groups, rows, spare = here.field(), here.table(), here.field()

    def group(i: Whole, start: Whole) -> None:
        index, first, number, count, other = (f.entry(rows, i * 5 + k) for k in range(5))
        inside = here.value(index + start).cast("fptosi", INT) - f.spread(number, here.width)
        place = inside * tile + f.spread(first, here.width)
        valid = inside.compare("ult", f.spread(count, here.width))
        place = valid.select(place, f.spread(spare, here.width))
        instead = f.number(0.0, 1) if back else f.load(f.at(other), 1)
        if tile == 1:
            here.store(instead, place)
        else:
            place = place + f.counting(here.width) + f.spread(start, here.width)
            f.scattered(f.spread(instead, here.width), f.pointers["memory"], place)

    here.lanes(groups, group)


def zero(f: Function) -> None:
    """Write the kernel that sets the numbers in a line to 0."""
    here = Lookup(f, 1)
    _zero(f, here.field(), here.field())


def zeros(f: Function) -> None:
    """Write the same for several lines; a table has the place and length of each."""
    here = Lookup(f, 1)
    count, table = here.field(), here.table()
    f.each(count, lambda i: _zero(f, f.entry(table, i * 2), f.entry(table, i * 2 + 1)))


def _zero(f: Function, place: Whole, count: Whole) -> None:
    width = f.vector
    whole = count // width
    f.each(whole, lambda i: f.store(f.number(0.0), f.at(place + i * width)))
    rest = place + whole * width
    f.each(count % width, lambda i: f.store(f.number(0.0, 1), f.at(rest + i)))


def transpose(f: Function) -> None:
    """Write the transposition of a matrix: in squares of vectors, and the rest number by number."""
    here, width = Lookup(f, 1), f.vector
    source, target, rows, columns, source_step, target_step = (here.field() for _ in range(6))

    def block(r: Whole, c: Whole) -> None:
        row, column = r * width, c * width
        lines = [f.load(f.at(source + (row + k) * source_step + column)) for k in range(width)]
        for k, line in enumerate(_transposed(lines)):
            f.store(line, f.at(target + (column + k) * target_step + row))

    def single(row: Whole, column: Whole) -> None:
        x = f.load(f.at(source + row * source_step + column), 1)
        f.store(x, f.at(target + column * target_step + row))

    def nested(count: Whole, times: Whole, body: Callable[[Any, Any], None]) -> None:
        f.each(count, lambda i: f.each(times, lambda j: body(i, j)))

    nested(rows // width, columns // width, block)
    done = columns - columns % width
    nested(rows - rows % width, columns % width, lambda i, j: single(i, done + j))
    left = rows - rows % width
    nested(rows % width, columns, lambda i, j: single(left + i, j))


def _transposed(lines: list[Term]) -> list[Term]:
    """The transpose of a square of vectors, in steps of 1, 2, 4, ... places."""
    step, count = 1, len(lines)
    while step < count:
        low = [k + (0 if k & step == 0 else count - step) for k in range(count)]
        out = list(lines)
        for k in range(count):
            if k & step == 0:
                x, y = lines[k], lines[k + step]
                out[k], out[k + step] = x.shuffled(y, low), x.shuffled(y, [p + step for p in low])
        lines, step = out, step * 2
    return lines


def transposed_sums(lines: list[Term]) -> Term:
    """The vector of the sums of these vectors, adding neighbours first."""
    width = 2 * lines[0].lanes
    even, odd = range(0, width, 2), range(1, width, 2)
    while len(lines) > 1:
        pairs = zip(lines[::2], lines[1::2], strict=True)
        lines = [x.shuffled(y, even) + x.shuffled(y, odd) for x, y in pairs]
    return lines[0]
