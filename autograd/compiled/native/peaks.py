"""Kernels that measure many numbers at once: their sizes and ends, and how close decisions are.

If the results are within limits, rounding cannot change a decision (see `limits`).
"""

import math
from functools import partial
from typing import Any

from autograd.compiled.native.functions import bits, number
from autograd.compiled.native.ir import Function, Term, Whole
from autograd.compiled.native.lookups import Lookup

NOTHING = -math.inf  # the maximum of no numbers
# Compared as integers, the bits of positive numbers keep their order, and those of negative numbers
# are in reverse order.  So these give the largest number above 0, the lowest below 0, and on each
# side the number nearest to 0.  The bits of nan lie beyond those of inf.
_ENDS = "smax", "umax", "smin", "umin"
_CHAINS = 4  # independent chains of maxima, so that none waits for another


def larger(most: Term, x: Term) -> Term:
    """The larger number; once `most` is nan, it stays nan."""
    return most.replaced(x.compare("ugt", most) & most.compare("ord", most), x)


def peaks(f: Function, ends: bool, whole: bool) -> None:
    """Write the kernel for the largest size in each line of numbers, or, with `ends`, their ends.

    `whole` says that lines consist of whole vectors.
    """
    here, vector = Lookup(f, 1), f.vector
    count, table = here.field(), here.table()
    names = _ENDS if ends else ("umax",)
    chains = _CHAINS // len(names)

    def read(place: Whole, width: int = vector) -> Term:
        x = f.load(f.at(place), width)
        return bits(x if ends else abs(x))

    def line(i: Whole) -> None:
        first, length, to = (f.entry(table, i * 3 + k) for k in range(3))
        start = f.spread(read(first, 1))

        def extended(x: Term, state: list[Term]) -> list[Term]:
            return [_most(name, most, x) for name, most in zip(names, state, strict=True)]

        def several(j: Whole, state: list[Term]) -> list[Term]:
            places = (first + j * (vector * chains) + k * vector for k in range(chains))
            return [
                f.intrinsic("umax", most, read(at)) for most, at in zip(state, places, strict=True)
            ]

        def some(at: Any, state: list[Term]) -> list[Term]:
            return extended(at[1].select(read(first + at[0]), start), state)

        state = [start] * len(names)
        if chains > 1:
            groups = length // (vector * chains)
            a, b, c, d = f.loop(groups, several, [start] * chains)
            state = [_most("umax", _most("umax", a, b), _most("umax", c, d))]
            first, length = first + groups * (vector * chains), length % (vector * chains)
        vectors = length // vector
        state = f.loop(vectors, lambda j, state: extended(read(first + j * vector), state), state)
        if not whole:
            first, length = first + vectors * vector, length % vector
            state = here.vectors(length, some, tuple(state))
        extremes = [
            most.folded(partial(_most, name)) for name, most in zip(names, state, strict=True)
        ]
        for k, most in enumerate(_sides(extremes) if ends else map(number, extremes)):
            here.store(most, to + k)

    f.each(count, line)


def _most(name: str, x: Term, y: Term) -> Term:
    return x.f.intrinsic(name, x, y)


def _sides(extremes: list[Term]) -> list[Term]:
    """The largest number, minus the smallest, and minus the smallest size on each side of 0."""
    highest, lowest, below, above = extremes
    has_above, has_below = highest.compare("sge", 0), below.compare("slt", 0)
    return [
        number(has_above.select(highest, below)),
        -number(has_below.select(lowest, above)),
        has_below.select(number(below), NOTHING),
        has_above.select(-number(above), NOTHING),
    ]


def gaps(f: Function, tile: int) -> None:
    """Write the kernel for minus the smallest gap between the two largest numbers of any list."""
    here = Lookup(f, tile)
    to, count, starts, entries = here.field(), here.field(), here.table(), here.table()

    def lane(i: Whole, state: list[Term]) -> list[Term]:
        def half(h: Whole, state: list[Term]) -> list[Term]:
            def entry(t: Whole, state: list[Term]) -> list[Term]:
                x = here.load(f.entry(entries, t) + h * here.width)
                first, second, lost = state
                lower = x.compare("olt", first).select(x, first)
                return [
                    x.compare("ogt", first).select(x, first),
                    lower.compare("ogt", second).select(lower, second),
                    lost | x.compare("uno", x),
                ]

            low, nowhere = here.number(NOTHING), f.first(0, here.width)
            first, second, lost = here.terms(starts, i, 0, entry, low, low, nowhere)
            return [larger(state[0], (second - first).replaced(lost, math.nan))]

        return f.loop(tile // here.width, half, state)

    (most,) = f.loop(count, lane, [here.number(NOTHING)])
    here.store(most.folded(larger), to)


def distances(f: Function, tile: int) -> None:
    """Write the kernel for minus the smallest distance between the two sides of each guard."""
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
    """Write the kernel that notes whether a peak exceeds its limit, and keeps the largest peaks."""
    here = Lookup(f, 1)
    first, apart, count, doubt = (here.field() for _ in range(4))

    def some(at: Any, state: list[Term]) -> list[Term]:
        place = first + at[0]
        x, limit, seen = (f.load(f.at(place + apart * k)) for k in range(3))
        here.put(larger(seen, x), place + apart * 2, at[1])
        above = x.compare("ugt", limit) & at[1]
        return [state[0].replaced(above, 1.0)]

    (exceeded,) = here.vectors(count, some, (f.number(0.0),))
    here.store(exceeded.total(), doubt)
