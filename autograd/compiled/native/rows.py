"""Kernels for the rows of the op table: their values, and the adjoints of their operands.

An operand's numbers lie in a line, with a fixed step from lane to lane, or are looked up in a
table.  In a tile of one, vectors run along lanes, and an operand can also be the same number for
all lanes.
"""

import ast
from typing import Any, Literal

from autograd.compiled.native.ir import ENTRY, INT, Function, Term, Whole, vector
from autograd.compiled.native.lookups import Lookup
from autograd.compiled.native.printer import Printer, is_for_doubles
from autograd.compiled.native.reals import DOUBLE
from autograd.operation import Operation

Kind = Literal["line", "same", "table"] | float  # a number is a known exponent
Kinds = tuple[Kind, ...]


class Operand:
    """The places of an operand's lanes, or of their adjoints."""

    def __init__(self, here: Lookup, kind: Kind) -> None:
        self.f, self.kind = here.f, kind
        self.place: Any = None
        self.step: Whole = 0
        if kind == "table":
            self.place = here.table()
        elif isinstance(kind, str):
            self.place, self.step = here.field(), here.field()

    def of(self, lane: Whole) -> Whole:
        """The place of a lane in a tile of several samples."""
        if self.kind == "table":
            return self.f.entry(self.place, lane)
        return self.place + lane * self.step  # type: ignore[no-any-return]

    def vector(self, lane: Whole, apart: Whole = 0) -> Term:
        """The numbers of a vector of lanes of one sample, or those at the distance `apart`."""
        f = self.f
        values = isinstance(apart, int)  # bounds are some places apart from them

        def read(place: Whole, count: int = 0) -> Term:
            return f.value(place, count) if values else f.load(f.at(place + apart), count)

        if self.kind == "line":
            return read(self.place + lane)
        if self.kind == "same":
            return f.spread(read(self.place, 1))
        line, type = f.pointer(self.place, lane, ENTRY), vector(ENTRY, f.vector)
        places = f.term(type, f"load {type}, ptr {line}, align 4").cast("zext", INT)
        places = places + f.spread(apart)
        kind = f.values.name if values else f.real.name
        return f.gathered(f.pointers["memory"], places, kind).to(f.real)


class Row:
    """A row over lanes: their number, `places` of its own, and its operands."""

    def __init__(self, here: Lookup, op: Operation, kinds: Kinds, places: int) -> None:
        self.here, self.op = here, op
        self.count, *self.own = (here.field() for _ in range(1 + places))
        self.operands = [Operand(here, kind) for kind in kinds]

    def printer(self, numbers: list[Term | None], wanted: list[ast.expr], **more: Term) -> Printer:
        """A printer over the operands that has printed the shared parts of the wanted trees."""
        pairs = zip(self.operands, numbers, strict=True)
        inputs = [side.kind if isinstance(side.kind, float) else term for side, term in pairs]
        names = {name: term for name, term in zip("xy", inputs, strict=False) if term is not None}
        real = DOUBLE if is_for_doubles(self.op) else self.here.f.real
        here, known = self.here, {**names, **more}
        width = here.width if here.tile > 1 else here.f.vector
        return Printer(here.f, known, real, width).with_parts(self.op, *wanted)

    def of_tile(self, lane: Whole, start: Whole) -> list[Term | None]:
        """The operands of a lane, for a vector of samples."""
        return [
            None if isinstance(x.kind, float) else self.here.value(x.of(lane) + start)
            for x in self.operands
        ]

    def of_lanes(self, lane: Whole) -> list[Term | None]:
        """The operands of a vector of lanes."""
        return [None if isinstance(x.kind, float) else x.vector(lane) for x in self.operands]


def values(f: Function, op: Operation, tile: int, kinds: Kinds) -> None:
    """Write the kernel for z = h(x, y) in each lane; z lies in a line."""
    here = Lookup(f, tile)
    row = Row(here, op, kinds, 1)
    (result,) = row.own

    def printed(numbers: list[Term | None]) -> Term:
        return row.printer(numbers, [op.value_tree]).term(op.value_tree)

    def lane(i: Whole, start: Whole) -> None:
        here.store(printed(row.of_tile(i, start)), result + i * tile + start)

    def some(at: tuple[Whole, Term], _: list[Term]) -> list[Term]:
        here.put(printed(row.of_lanes(at[0])), result + at[0], at[1])
        return []

    if tile > 1:
        here.lanes(row.count, lane)
    else:
        here.vectors(row.count, some)


def adjoints(f: Function, op: Operation, tile: int, kinds: Kinds, modes: tuple[str, ...]) -> None:
    """Write the kernel for the adjoint of each lane of z, times the partial derivatives.

    For each operand, the mode is "add" to add to its adjoint, "set" to replace it, "" to skip it.
    """
    here = Lookup(f, tile)
    row = Row(here, op, kinds, 2)
    result, adjoint = row.own
    wanted = [k for k, mode in enumerate(modes) if mode]
    to = {k: Operand(here, kinds[k]) for k in wanted}

    def printed(numbers: list[Term | None], z: Term, g: Term) -> list[Term]:
        printer = row.printer(numbers, [op.partial_trees[k] for k in wanted], z=z)
        # An adjoint of exactly 0 stops here: 0 times an infinite partial would be nan.
        some = g.compare("une", 0.0)
        return [some.select(g * printer.term(op.partial_trees[k]), 0.0) for k in wanted]

    def lane(i: Whole, start: Whole) -> None:
        z, g = (here.load(place + i * tile + start) for place in (result, adjoint))
        for k, part in zip(wanted, printed(row.of_tile(i, start), z, g), strict=True):
            put = here.increase if modes[k] == "add" else here.store
            put(part, to[k].of(i) + start)

    def some(at: tuple[Whole, Term], totals: list[Term]) -> list[Term]:
        start, kept = at
        z = f.load(f.at(result + start))
        g = kept.select(f.load(f.at(adjoint + start)), 0.0)
        before, sums = iter(totals), []
        for k, part in zip(wanted, printed(row.of_lanes(start), z, g), strict=True):
            if kinds[k] == "same":
                sums.append(next(before) + part)
            elif kinds[k] == "line":
                place = to[k].place + start
                part = f.load(f.at(place)) + part if modes[k] == "add" else part
                here.put(part, place, kept)
            else:  # one after the other, because places may be equal
                for j in range(f.vector):
                    here.increase(part.part(j), f.entry(to[k].place, start + j))
        return sums

    if tile > 1:
        here.lanes(row.count, lane)
        return
    once = [k for k in wanted if kinds[k] == "same"]
    totals = here.vectors(row.count, some, tuple(f.number(0.0) for _ in once))
    for k, total in zip(once, totals, strict=True):
        put = here.increase if modes[k] == "add" else here.store
        put(total.total(), to[k].place)
