"""The order of the pullbacks, and where each adjoint is meanwhile.

An adjoint lives from the first pullback that adds to it until its own.  After that, another adjoint
takes its place.  So the adjoints of a large program need little memory, which stays in the cache.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from autograd.compiled.lowering import CONTRACT, GATHER, MASKED, ROW, SHARED, Instruction
from autograd.compiled.program import Program

Array = Any
_LONG = 64  # terms of a sum; its adjoint is added to each of them just before it is needed
_PERIOD = 16  # pullbacks from one such time to the next
_NEAR = 4  # lanes between neighbours up to which a line of operands stays a line


class Pullbacks:
    """The pullbacks of a program's instructions, without those that no gradient goes through.

    Attributes:
        order: the instructions in the order of their pullbacks; long sums are in parts.
        places: for each lane, the place of its adjoint; those of the inputs come first.
        count: the number of places; unused adjoints have the last.
    """

    def __init__(self, program: Program, steps: Iterable[Instruction]) -> None:
        self.program = program
        address, tape = program.address, program.tape
        outputs = address[tape.outputs]
        self.seeded = np.concatenate([outputs[outputs < SHARED], np.arange(tape.inputs)])
        reached = np.zeros(program.slots, dtype=bool)
        reached[self.seeded] = True
        self.order: list[Instruction] = []
        self.touched: list[Array] = []  # the lanes whose adjoints each pullback reads or changes
        for one in reversed([*steps]):
            if any(one.wanted) and reached[one.results].any():
                self.order.append(one)
                self.touched.append(_touched(one))
                reached[self.touched[-1]] = True
        self._postpone()
        self._allot()

    def _touches(self) -> tuple[Array, Array, Array]:
        """All touched lanes with their times, and when each lane is touched first (-1 if seeded).

        A time is an index in `order`.
        """
        lanes = np.concatenate([*self.touched, np.zeros(0, dtype=np.int64)])
        times = np.repeat(np.arange(len(self.touched)), [len(some) for some in self.touched])
        first = np.full(self.program.slots, len(self.order))
        first[lanes[::-1]] = times[::-1]
        first[self.seeded] = -1
        return lanes, times, first

    def _postpone(self) -> None:
        """Take long sums apart: each term is pulled back shortly before its lane is used next."""
        lanes, times, first = self._touches()
        again = times > first[lanes]
        second = np.full(self.program.slots, -1)
        second[lanes[again][::-1]] = times[again][::-1]
        second[self.seeded] = -1
        parts: dict[int, list[Instruction]] = {}
        apart = set()
        for now, one in enumerate(self.order):
            if sum(one.wanted) != 1 or one.terms[1] < _LONG:
                continue
            sums, x, y = one.products
            side = x if one.wanted[0] else y
            own = np.where(side < SHARED, side, 0)
            when = second[own] // _PERIOD * _PERIOD
            late = (side < SHARED) & (first[own] == now) & (when > now + _PERIOD)
            # Taken apart, a contraction becomes slower.
            if late.sum() < max(_LONG, len(side) // 2 if one.kind == CONTRACT else 0):
                continue
            when = np.where(late, when, now)
            for time in np.unique(when).tolist():
                chosen = when == time
                part = _part(one, sums[chosen], x[chosen], y[chosen])
                parts.setdefault(time, []).append(part)
            apart.add(now)
        order, touched = self.order, self.touched
        self.order, self.touched = [], []
        for now, (one, some) in enumerate(zip(order, touched, strict=True)):
            before = parts.get(now, [])
            after = [] if now in apart else [one]
            self.order += before + after
            self.touched += [_touched(part) for part in before] + [some] * len(after)

    # ------------------------------------------------------------------ places

    def _allot(self) -> None:
        slots, end = self.program.slots, len(self.order)
        lanes, times, first = self._touches()
        last = np.full(slots, -1)
        last[lanes] = times
        starts = self._blocks()
        sizes = np.diff(starts, append=slots)
        born, dies = np.minimum.reduceat(first, starts), np.maximum.reduceat(last, starts)
        kept = int(np.searchsorted(starts, self.program.tape.inputs))  # blocks with inputs
        begin = int(starts[kept]) if kept < len(starts) else slots
        used = np.flatnonzero(born < end)
        used = used[used >= kept]
        found, count = allotted(sizes[used], born[used], dies[used])
        bases = np.full(len(starts), begin + count)
        bases[used] = begin + found
        inside = np.arange(slots) - np.repeat(starts, sizes)
        inside[np.repeat(born == end, sizes)] = 0
        self.places = np.repeat(bases, sizes) + inside
        self.places[:begin] = np.arange(begin)
        self.count = begin + count + 1

    def _blocks(self) -> Array:
        """The first lanes of blocks; the adjoints of a block's lanes are side by side."""
        lines = [pool for one in self.order for pool in _lines(one)]
        ends = np.array([(pool.min(), pool.max()) for pool in lines], dtype=np.int64).reshape(-1, 2)
        joined = np.zeros(self.program.slots + 1, dtype=np.int64)
        np.add.at(joined, ends[:, 0] + 1, 1)
        np.add.at(joined, ends[:, 1] + 1, -1)
        return np.flatnonzero(np.cumsum(joined[:-1]) == 0)


def changed(one: Instruction) -> list[Array]:
    """The addresses whose adjoints a pullback changes, for each operand that wants a gradient."""
    if one.kind == CONTRACT:
        pools: Iterable[Array] = (
            grid(base, one.sizes, strides) for base, strides in ((one.x, one.xs), (one.y, one.ys))
        )
    else:
        pools = () if one.kind == MASKED else one.pool[:2]
    return [pool for pool, wanted in zip(pools, one.wanted, strict=False) if wanted]


def _touched(one: Instruction) -> Array:
    """The lanes whose adjoints a pullback reads or changes."""
    everything = np.concatenate([one.results, *changed(one)])
    return everything[everything < SHARED]


def _part(one: Instruction, lanes: Array, x: Array, y: Array) -> Instruction:
    """The sum of some of the terms of an instruction, in order of its lanes."""
    first = np.flatnonzero(np.diff(lanes, prepend=-1))
    counts = np.diff(first, append=len(lanes))
    return replace(one, kind=GATHER, lanes=len(first), pool=(x, y, lanes[first]), counts=counts)


def _lines(one: Instruction) -> list[Array]:
    """The lanes of each line or grid that the kernel of a pullback walks along."""
    pools = [] if one.kind == GATHER else [one.results]
    if one.kind == CONTRACT:
        pools += changed(one)
    elif one.kind == ROW:
        steps = ((pool, np.diff(pool)) for pool in changed(one))
        pools += [
            pool for pool, step in steps
            if len(step) and (step == step[0]).all() and abs(step[0]) <= _NEAR
        ]  # fmt: skip
    return [pool for pool in pools if pool[0] < SHARED]


def grid(start: int, sizes: Iterable[int], strides: Iterable[int]) -> Array:
    """The addresses that loops visit; loops with stride 0 do not repeat them."""
    addresses = np.array([start])
    for size, stride in zip(sizes, strides, strict=True):
        if stride:
            addresses = (addresses[:, None] + stride * np.arange(size)).ravel()
    return addresses


def allotted(sizes: Array, born: Array, dies: Array) -> tuple[Array, int]:
    """The first place of each block, and the number of places.

    A block that is born after another one has died can have its place, if their sizes are about
    equal: sizes are rounded up to three bits.

    >>> allotted(np.array([1, 9, 1, 10]), np.array([0, 0, 1, 2]), np.array([1, 1, 3, 3]))
    (array([ 0,  1, 11,  1]), 12)
    """
    shifts = np.maximum(np.frexp(sizes)[1] - 3, 0)
    sizes = -(-sizes >> shifts) << shifts
    events = np.stack([np.append(born, dies), np.repeat([0, 1], len(sizes)), np.tile(sizes, 2)])
    order = np.lexsort(events[::-1])  # births come before deaths
    alike = np.split(order, 1 + np.flatnonzero(np.diff(events[:, order]).any(axis=0)))
    free: dict[int, list[int]] = {}
    places, count = np.zeros(len(sizes), dtype=np.int64), 0
    for some in alike if len(sizes) else []:
        blocks = some % len(sizes)
        size = int(sizes[blocks[0]])
        here = free.setdefault(size, [])
        if some[0] >= len(sizes):
            here += places[blocks].tolist()
            continue
        reused = here[max(0, len(here) - len(some)) :]
        del here[len(here) - len(reused) :]
        end = count + (len(some) - len(reused)) * size
        places[blocks] = [*reused, *range(count, end, size)]
        count = end
    return places, count
