"""Kernels that measure many numbers at once: their sizes and ends, and how near decisions are.

Limits on what they find tell that rounding can turn nothing (see `limits`).
"""

import math
from functools import partial
from typing import Any

from autograd.compiled.native.functions import bits, number
from autograd.compiled.native.ir import VECTOR, Function, Term, Whole
from autograd.compiled.native.lookups import Lookup

NOTHING = -math.inf  # what the largest of no numbers is
# Integers order the bits of numbers above 0 as these, and those below 0 the other way round: the
# largest above 0, the lowest below it, and of both sides what is the nearest to 0.  The bits of a
# nan lie beyond those of inf.
_ENDS = "smax", "umax", "smin", "umin"
_CHAINS = 4  # of maxima that do not wait for each other


def larger(most: Term, x: Term) -> Term:
    """The larger; nan, once it is there, stays."""
    return most.replaced(x.compare("ugt", most) & most.compare("ord", most), x)


def peaks(f: Function, ends: bool, whole: bool) -> None:
    """The largest size of the numbers in each of some lines, or with `ends` their ends.

    With `whole`, lines are made of whole vectors.
    """
    here = Lookup(f, 1)
    count, table = here.field(), here.table()
    names = _ENDS if ends else ("umax",)
    chains = _CHAINS // len(names) if whole else 1

    def read(place: Whole, width: int = VECTOR) -> Term:
        x = f.load(f.at(place), width)
        return bits(x if ends else abs(x))

    def line(i: Whole) -> None:
        first, length, to = (f.entry(table, i * 3 + k) for k in range(3))
        start = f.spread(read(first, 1))

        def several(j: Whole, state: list[Term]) -> list[Term]:
            places = (first + j * (VECTOR * chains) + k * VECTOR for k in range(chains))
            return [
                f.intrinsic("umax", one, read(at)) for one, at in zip(state, places, strict=True)
            ]

        def some(at: Any, state: list[Term]) -> list[Term]:
            x = read(first + at[0])
            x = x if whole else at[1].select(x, start)
            return [_most(name, one, x) for name, one in zip(names, state, strict=True)]

        state = [start] * len(names)
        if chains > 1:
            groups = length // (VECTOR * chains)
            a, b, c, d = f.loop(groups, several, [start] * chains)
            state = [_most("umax", _most("umax", a, b), _most("umax", c, d))]
            first, length = first + groups * (VECTOR * chains), length % (VECTOR * chains)
        found = [
            one.folded(partial(_most, name))
            for name, one in zip(names, here.vectors(length, some, tuple(state)), strict=True)
        ]
        for k, most in enumerate(_sides(found) if ends else map(number, found)):
            here.store(most, to + k)

    f.each(count, line)


def _most(name: str, x: Term, y: Term) -> Term:
    return x.f.intrinsic(name, x, y)


def _sides(found: list[Term]) -> list[Term]:
    """The largest number, minus the smallest, and of those below 0 and not what is nearest to 0.

    The last two are told as if both were below 0.
    """
    highest, lowest, below, above = found
    has_above, has_below = highest.compare("sge", 0), below.compare("slt", 0)
    return [
        number(has_above.select(highest, below)),
        -number(has_below.select(lowest, above)),
        has_below.select(number(below), NOTHING),
        has_above.select(-number(above), NOTHING),
    ]


def gaps(f: Function, tile: int) -> None:
    """Minus the smallest distance of the largest from the one after it, of some lists."""
    here = Lookup(f, tile)
    to, count, starts, entries = here.field(), here.field(), here.table(), here.table()

    def lane(i: Whole, state: list[Term]) -> list[Term]:
        def half(h: Whole, state: list[Term]) -> list[Term]:
            def entry(t: Whole, state: list[Term]) -> list[Term]:
                x = here.load(f.entry(entries, t) + h * here.width)
                first, second = state
                lower = x.compare("olt", first).select(x, first)
                return [x.compare("ugt", first).select(x, first), larger(second, lower)]

            low = here.number(NOTHING), here.number(NOTHING)
            first, second = here.terms(starts, i, 0, entry, *low)
            return [larger(state[0], second - first)]

        return f.loop(tile // here.width, half, state)

    (most,) = f.loop(count, lane, [here.number(NOTHING)])
    here.store(most.folded(larger), to)


def distances(f: Function, tile: int) -> None:
    """Minus the smallest distance of the sides of each of some guards."""
    here = Lookup(f, tile)
    count, table = here.field(), here.table()

    def guard(i: Whole) -> None:
        x, y, to = (f.entry(table, i * 3 + k) for k in range(3))

        def half(h: Whole, state: list[Term]) -> list[Term]:
            sides = (here.load(place + h * here.width) for place in (x, y))
            return [larger(state[0], -abs(next(sides) - next(sides)))]

        (most,) = f.loop(tile // here.width, half, [here.number(NOTHING)])
        here.store(most.folded(larger), to)

    f.each(count, guard)


def check(f: Function) -> None:
    """Doubt if anything that was measured is above its limit; and the largest that were seen."""
    here = Lookup(f, 1)
    first, apart, count, doubt = (here.field() for _ in range(4))

    def some(at: Any, state: list[Term]) -> list[Term]:
        place = first + at[0]
        x, limit, seen = (f.load(f.at(place + apart * k)) for k in range(3))
        here.put(larger(seen, x), place + apart * 2, at[1])
        above = x.compare("ugt", limit) & at[1]
        return [state[0].replaced(above, 1.0)]

    (found,) = here.vectors(count, some, (f.number(0.0),))
    here.store(found.total(), doubt)
