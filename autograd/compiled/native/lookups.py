"""Kernels that find their operands in tables: irregular sums, choices, maxima and masks.

`tile` samples lie side by side, in vectors; a tile of one is a number.  Places in tables are those
of numbers in the thread's memory.
"""

from collections.abc import Callable
from typing import Any

from autograd.compiled.native.ir import ENTRY, INT, VECTOR, Body, Function, Term, Whole


class Lookup:
    """A kernel for tiles: what its fields and tables are, and its loops over lanes and vectors."""

    def __init__(self, f: Function, tile: int) -> None:
        self.f, self.tile, self.width = f, tile, min(tile, VECTOR)
        self._fields = 2

    def field(self) -> Whole:
        """The next whole number of the record."""
        self._fields += 1
        return self.f.field(self._fields - 1)

    def table(self) -> Term:
        """The table that the next field points to."""
        return self.f.table(self.field())

    def lanes(self, count: Whole, body: Callable[[Any, Any], None]) -> None:
        """The body for each lane and each vector of the tile: (lane, where the vector starts)."""
        halves = self.tile // self.width
        self.f.each(count, lambda i: self.f.each(halves, lambda h: body(i, h * self.width)))

    def load(self, place: Whole) -> Term:
        """The numbers of a vector of samples."""
        return self.f.load(self.f.at(place), self.width)

    def store(self, x: Term, place: Whole) -> None:
        """Put them there."""
        self.f.store(x, self.f.at(place))

    def increase(self, x: Term, place: Whole) -> None:
        """Add them to what is there."""
        pointer = self.f.at(place)
        self.f.store(self.f.load(pointer, x.lanes) + x, pointer)

    def number(self, number: float) -> Term:
        """The number for every sample."""
        return self.f.number(number, self.width)

    def vectors(self, count: Whole, body: Body, carried: tuple[Term, ...] = ()) -> list[Term]:
        """The body for the vectors of a line: (where it starts and what counts, carried)."""

        def inside(i: Whole, state: list[Term]) -> Any:
            start = i * VECTOR
            return body((start, self.f.first(count - start)), state)

        return self.f.loop((count + (VECTOR - 1)) // VECTOR, inside, carried)

    def put(self, x: Term, place: Whole, kept: Term) -> None:
        """Store a vector; where the mask does not hold, what is there stays."""
        pointer = self.f.at(place)
        self.f.store(kept.select(x, self.f.load(pointer)), pointer)

    def terms(self, starts: Term, lane: Whole, same: int, body: Body, *totals: Term) -> list[Term]:
        """The totals after each of a lane's terms; `same` if each lane has so many."""
        if same:
            state = list(totals)
            for k in range(same):
                state = list(body(lane * same + k, state))
            return state
        first, end = self.f.entry(starts, lane), self.f.entry(starts, lane + 1)
        return self.f.loop(end - first, lambda i, state: body(first + i, state), totals)


# ---------------------------------------------------------------------- sums


def gather(f: Function, tile: int, same: int, alone: bool, sign: int, add: bool) -> None:
    """z[lane] = or += sign * sum of x * y, all looked up; `alone` if every y is a one."""
    here = Lookup(f, tile)
    count, targets, starts, xs, ys = here.field(), *(here.table() for _ in range(4))

    def lane(i: Whole, start: Whole) -> None:
        def term(t: Whole, totals: list[Term]) -> list[Term]:
            x = here.load(f.entry(xs, t) + start)
            if alone:
                return [totals[0] + x]
            return [x.times_plus(here.load(f.entry(ys, t) + start), totals[0])]

        (total,) = here.terms(starts, i, same, term, here.number(0.0))
        place = f.entry(targets, i) + start
        if add:
            before = here.load(place)
            total = before + total if sign > 0 else before - total
        here.store(-total if sign < 0 and not add else total, place)

    here.lanes(count, lane)


def gather_back(
    f: Function, tile: int, same: int, alone: bool, sign: int, wanted: tuple[bool, bool]
) -> None:
    """The adjoints of a sum of looked up products, added to those of its factors."""
    here = Lookup(f, tile)
    count, results, starts, xs, ys, to_xs, to_ys = here.field(), *(here.table() for _ in range(6))

    def lane(i: Whole, start: Whole) -> None:
        adjoint = here.load(f.entry(results, i) + start)
        adjoint = -adjoint if sign < 0 else adjoint

        def term(t: Whole, _: list[Term]) -> list[Term]:
            if wanted[0]:
                part = adjoint if alone else adjoint * here.load(f.entry(ys, t) + start)
                here.increase(part, f.entry(to_xs, t) + start)
            if wanted[1]:
                part = adjoint * here.load(f.entry(xs, t) + start)
                here.increase(part, f.entry(to_ys, t) + start)
            return []

        here.terms(starts, i, same, term)

    here.lanes(count, lane)


# ---------------------------------------------------------------------- maxima


def largest(f: Function, tile: int) -> None:
    """z[lane] = which of its entries is the first of the largest; 0 if one of them is nan."""
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
    """The best so far and which it is, after one more; nan, once it is the best, stays it."""
    more = x.compare("ugt", best) & best.compare("ord", best)
    return [more.select(x, best), more.select(number, which)]


def largest_in_line(f: Function) -> None:
    """The same for one sample, where the entries of each lane lie in a line."""
    here = Lookup(f, 1)
    count, place, starts, entries = here.field(), here.field(), here.table(), here.table()
    positions = f.line(range(VECTOR))

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
    """What choices and their pullbacks share: groups of lanes that choose with one index.

    A group says where its index is, from how many entries it chooses, where its first result is,
    where its entries start, how many lanes it has, and how far apart what they choose is.
    """

    def each_lane(self, body: Callable[[Whole, Term], None], shared: bool, many: bool) -> None:
        """The body for each lane: the places of its result and of what each sample chose.

        `shared` says that the entries are of all samples, and `many` that each sample has a sum of
        its own for them.
        """
        f = self.f
        groups, rows, entries = self.field(), self.table(), self.table()

        def group(i: Whole, start: Whole) -> None:
            index, count, result, first, width, apart = (f.entry(rows, i * 6 + k) for k in range(6))
            chosen = self._clipped(self.load(index + start), count) + f.spread(first, self.width)
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
        """The index as a whole number, of those that there are."""
        f, zero = self.f, self.number(0.0)
        index = index.compare("ogt", zero).select(index, zero)
        most = f.spread(f.as_real(count - 1), self.width)
        return index.compare("olt", most).select(index, most).cast("fptosi", INT)


def choose(f: Function, tile: int, shared: bool) -> None:
    """z = the entry that an index says; `shared` if entries are numbers of all samples."""
    here, memory = _Choice(f, tile), f.pointers["memory"]

    def lane(result: Whole, places: Term) -> None:
        here.store(here.load(places) if tile == 1 else f.gathered(memory, places), result)

    here.each_lane(lane, shared, False)


def choose_back(f: Function, tile: int, shared: bool) -> None:
    """The adjoints of choices, added to those of what was chosen; the entries are adjoints."""
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
    """In each group of lanes, the one that an index says becomes another number; backward, 0.

    A group says where its index is, the place of its first lane, that lane's number, how many
    lanes it has, and where the other number is.
    """
    here = Lookup(f, tile)
    groups, rows, spare = here.field(), here.table(), here.field()

    def group(i: Whole, start: Whole) -> None:
        index, first, number, count, other = (f.entry(rows, i * 5 + k) for k in range(5))
        inside = here.load(index + start).cast("fptosi", INT) - f.spread(number, here.width)
        place = inside * tile + f.spread(first, here.width)
        held = inside.compare("ult", f.spread(count, here.width))
        place = held.select(place, f.spread(spare, here.width))
        instead = f.number(0.0, 1) if back else f.load(f.at(other), 1)
        if tile == 1:
            here.store(instead, place)
        else:
            place = place + f.counting() + f.spread(start)
            f.scattered(f.spread(instead), f.pointers["memory"], place)

    here.lanes(groups, group)


def zero(f: Function) -> None:
    """Numbers in a line become 0."""
    here = Lookup(f, 1)
    _zero(f, here.field(), here.field())


def zeros(f: Function) -> None:
    """The same in several lines; a table says where each is, and how long."""
    here = Lookup(f, 1)
    count, table = here.field(), here.table()
    f.each(count, lambda i: _zero(f, f.entry(table, i * 2), f.entry(table, i * 2 + 1)))


def _zero(f: Function, place: Whole, count: Whole) -> None:
    whole = count // VECTOR
    f.each(whole, lambda i: f.store(f.number(0.0), f.at(place + i * VECTOR)))
    rest = place + whole * VECTOR
    f.each(count % VECTOR, lambda i: f.store(f.number(0.0, 1), f.at(rest + i)))


def transpose(f: Function) -> None:
    """A table of numbers, its rows as columns: in squares of vectors, and the rest one by one."""
    here = Lookup(f, 1)
    source, target, rows, columns, source_step, target_step = (here.field() for _ in range(6))

    def block(r: Whole, c: Whole) -> None:
        row, column = r * VECTOR, c * VECTOR
        lines = [f.load(f.at(source + (row + k) * source_step + column)) for k in range(VECTOR)]
        for k, line in enumerate(_transposed(lines)):
            f.store(line, f.at(target + (column + k) * target_step + row))

    def single(row: Whole, column: Whole) -> None:
        x = f.load(f.at(source + row * source_step + column), 1)
        f.store(x, f.at(target + column * target_step + row))

    def nested(count: Whole, times: Whole, body: Callable[[Any, Any], None]) -> None:
        f.each(count, lambda i: f.each(times, lambda j: body(i, j)))

    nested(rows // VECTOR, columns // VECTOR, block)
    done = columns - columns % VECTOR
    nested(rows - rows % VECTOR, columns % VECTOR, lambda i, j: single(i, done + j))
    left = rows - rows % VECTOR
    nested(rows % VECTOR, columns, lambda i, j: single(left + i, j))


def _transposed(lines: list[Term]) -> list[Term]:
    """A square of vectors with its rows as columns, in steps of 1, 2 and 4 places."""
    step = 1
    while step < VECTOR:
        low = [k + (0 if k & step == 0 else VECTOR - step) for k in range(VECTOR)]
        made = list(lines)
        for k in range(VECTOR):
            if k & step == 0:
                x, y = lines[k], lines[k + step]
                made[k], made[k + step] = x.shuffled(y, low), x.shuffled(y, [p + step for p in low])
        lines, step = made, step * 2
    return lines


def transposed_sums(lines: list[Term]) -> Term:
    """The vector of the sums of so many vectors, neighbours first."""
    even, odd = range(0, 2 * VECTOR, 2), range(1, 2 * VECTOR, 2)
    while len(lines) > 1:
        pairs = zip(lines[::2], lines[1::2], strict=True)
        lines = [x.shuffled(y, even) + x.shuffled(y, odd) for x, y in pairs]
    return lines[0]
