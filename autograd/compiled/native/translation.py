"""A program's instructions as records, forward and backward.

Memory is not cleared before each run.  The translation keeps track of written places instead: the
first sum at a place replaces its content, and later sums are added.
"""

from itertools import chain
from typing import Any

import numpy as np

from autograd.compiled.lowering import (
    CHOOSE,
    CONTRACT,
    GATHER,
    LARGEST,
    MASKED,
    ROW,
    SHARED,
    Instruction,
)
from autograd.compiled.native.bounds import Bounds
from autograd.compiled.native.layout import Layout
from autograd.compiled.native.limits import Peaks
from autograd.compiled.native.pullbacks import Pullbacks, grid
from autograd.compiled.native.reals import DOUBLE, Reals
from autograd.compiled.native.records import Kernel, Records, Tables, Written
from autograd.compiled.native.rows import adjoints, values
from autograd.compiled.native.shapes import apart
from autograd.compiled.native.writer import Writer, copy
from autograd.compiled.program import Program
from autograd.compiled.rounding import Cone
from autograd.value import rows

Array = Any
LISTS = "begin", "clear", "forward", "peaks", "bounds", "backward"


class Translation:
    """A program's records and tables for tiles of a given size.

    Attributes:
        layout: the places of its numbers.
        lists: its records: those at the start of a call, those that clear adjoints before the
            outputs are seeded, forward, for peaks, for bounds, and backward.
        tables: 32-bit whole numbers.
        peaks: the measurements.
        guards, outputs, copied: where their tables start.
        guard_counts: the number of guards of each order.
        compared: whether the parameters' originals are read, in guards, outputs or for bounds.
        scratch: how many numbers of scratch memory kernels need.
    """

    def __init__(self, program: Program, tile: int, real: Reals = DOUBLE) -> None:
        self.program, self.tile = program, tile
        self.cone = cone = program.cone_in(real.precision)
        tape, address, shared = program.tape, program.address, program.shared + 1
        self.peaks = peaks = Peaks(program, cone)
        constants, copied = len(tape.constants), _copied(program, cone)
        steps = [
            step
            for one in program.instructions
            for step in ([copy(program, one), one] if one.kind == MASKED else [one])
        ]
        pullbacks = Pullbacks(program, steps)
        layout = Layout(
            tile, shared, constants, program.slots, copied, pullbacks.places, pullbacks.count,
            peaks.count, tape.inputs, real,
        )  # fmt: skip
        self.layout = layout
        self.lists = {name: Records() for name in LISTS}
        self.writer = writer = Writer(program, tile, layout, Tables(), real)
        self._ops = [rows()[name] for name in tape.ops]
        lanes = np.arange(program.slots)
        fresh = np.ones(program.slots, dtype=bool)
        self._computed = Written(layout.values(lanes), fresh, tile, writer.tables)
        places = layout.slopes(np.concatenate([SHARED + np.arange(shared), lanes]))
        fresh = np.ones(len(places), dtype=bool)
        fresh[:shared] = tile == 1  # in wider tiles, partial sums are cleared for every chunk
        self._reached = Written(places, fresh, tile, writer.tables)
        for step in steps:
            self._forward(step)
        scratch = 0
        if peaks.count:
            scratch = Bounds(writer, peaks, self.lists).doubles.scratch
        outputs = address[tape.outputs]
        seeded = np.concatenate([outputs, np.arange(tape.inputs)])
        self._reached.claim(self.lists["clear"], layout.index(seeded), False)
        for step in pullbacks.order:
            self._backward(step)
        pairs = np.stack([layout.values(outputs), layout.slopes(outputs)], axis=1)
        self.outputs, self.copied = writer.tables.append(pairs), writer.tables.append(layout.copied)
        ends = np.concatenate([address[tape.guards[:, 1:3]].ravel(), outputs])
        self.compared = bool(cone.steps) or bool((ends >= SHARED + constants).any())
        by_order = np.argsort(tape.guards[:, 0], kind="stable")
        order, x, y, answer = tape.guards[by_order].T
        columns = [*(layout.values(address[side]) for side in (x, y)), answer]
        columns += [cone.guards[by_order]]
        self.guards = writer.tables.append(np.stack(columns, axis=1))
        self.guard_counts = np.bincount(order, minlength=5).tolist()
        self.tables, self.scratch = writer.tables.joined(), max(writer.scratch, scratch)

    # ------------------------------------------------------------------ forward

    def _forward(self, one: Instruction) -> None:
        layout, writer, records = self.layout, self.writer, self.lists["forward"]
        if one.kind == CONTRACT:
            lanes, distinct = (
                grid(one.z, one.sizes, one.zs),
                apart(zip(one.sizes, one.zs, strict=True)),
            )
            add = self._computed.claim(records, lanes, distinct)
            pairs = (one.z, one.zs), (one.x, one.xs), (one.y, one.ys)
            sides = [writer.side(*pair) for pair in pairs]
            writer.contract(records, one, sides, add, writer.is_one(np.array(one.y)))
        elif one.kind == GATHER:
            writer.gather(records, one, self._computed.first(one.pool[2]))
        elif one.kind == ROW:
            op = self._ops[one.op]
            kinds = writer.kinds(one.pool, op)
            fields = writer.fields(map(layout.values, one.pool), kinds)
            kernel: Kernel = (values, (op, self.tile, kinds))
            records.append(kernel, one.lanes, layout.lane(one.z), *fields)
        elif one.kind == CHOOSE:
            writer.choose(records, one, False)
        elif one.kind == LARGEST:
            writer.largest(records, one)
        else:
            writer.replace(records, one, False)
        if one.kind not in (CONTRACT, GATHER):
            self._computed.fresh[one.results] = False

    # ------------------------------------------------------------------ backward

    def _backward(self, one: Instruction) -> None:
        layout, writer, records = self.layout, self.writer, self.lists["backward"]
        reached, results = self._reached, layout.index(one.results)
        reached.claim(records, results, False)
        if one.kind == CONTRACT:
            self._contract_back(one)
        elif one.kind == GATHER:
            writer.gather_back(records, one, reached)
        elif one.kind == ROW:
            self._row_back(one)
        elif one.kind == CHOOSE:
            reached.claim(records, layout.index(one.pool[0]), False)
            writer.choose(records, one, True)
        else:
            writer.replace(records, one, True)

    def _contract_back(self, one: Instruction) -> None:
        writer, records = self.writer, self.lists["backward"]
        adjoint, alone = writer.adjoint(one.z, one.zs), writer.is_one(np.array(one.y))
        pairs = ((one.x, one.xs), (one.y, one.ys))
        for wanted, to, other in zip(one.wanted, pairs, pairs[::-1], strict=True):
            if wanted:
                places = self.layout.index(grid(to[0], one.sizes, to[1]))
                distinct = apart(zip(one.sizes, to[1], strict=True))
                add = self._reached.claim(records, places, distinct)
                sides = [writer.adjoint(*to), adjoint, writer.side(*other)]
                writer.contract(records, one, sides, add, alone)

    def _row_back(self, one: Instruction) -> None:
        layout, writer, op = self.layout, self.writer, self._ops[one.op]
        kinds, wanted = writer.kinds(one.pool, op, True), one.wanted[: op.arity]
        indices = [layout.index(addresses) for addresses in one.pool]
        chosen = [index for index, want in zip(indices, wanted, strict=True) if want]
        everything = np.concatenate(chosen)
        distinct = len(np.unique(everything)) == len(everything)
        records, modes = self.lists["backward"], [""] * op.arity
        for k, (index, kind) in enumerate(zip(indices, kinds, strict=True)):
            if wanted[k] and kind == "same":
                once = len(chosen) == 1 or not np.isin(index[0], indices[1 - k])
                add = self._reached.claim(records, index[:1], once)
            elif wanted[k]:
                alike = kind == "table" and self.tile == 1  # that kernel always adds
                add = self._reached.claim(records, index, distinct and not alike)
            if wanted[k]:
                modes[k] = "add" if add else "set"
        to = [pool for pool, mode in zip(one.pool, modes, strict=True) if mode]
        to_kinds = [kind for kind, mode in zip(kinds, modes, strict=True) if mode]
        fields = writer.fields(map(layout.values, one.pool), kinds)
        fields += writer.fields(map(layout.slopes, to), to_kinds, layout.spare)
        places = layout.lane(one.z), layout.adjoint(one.z)
        kernel = adjoints, (op, self.tile, kinds, tuple(modes))
        records.append(kernel, one.lanes, *places, *fields)


def _copied(program: Program, cone: Cone) -> Array:
    """The indices of the shared numbers that lookups read, including guards and outputs."""
    tape = program.tape
    ends = program.address[np.concatenate([tape.outputs, tape.guards[:, 1], tape.guards[:, 2]])]
    steps = [*program.instructions, *(step.instruction for step in cone.steps)]
    pools = [step.pool[:2] for step in steps if step.kind != CONTRACT]
    everything = np.concatenate([ends, *chain(*pools)])
    return np.unique(everything[everything >= SHARED]) - SHARED
