"""Limits on measured extremes within which rounding cannot change a decision.

The lanes that one instruction computes form a heap; so do the parameters, and each constant.  The
extremes of each heap are measured.  They give intervals, which replace numbers in the rules for
margins.  If no decision is in doubt for some extremes, none is in doubt for smaller ones.  So these
extremes become limits, and machine code compares with them instead of computing all bounds.

Some extremes are not measured, because they follow from others: those of functions that rise or
fall everywhere, and of copies in which some numbers are replaced.
"""

import math
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from autograd.atomic import forkable_lock, quietly
from autograd.compiled import margins
from autograd.compiled.lowering import (
    CONTRACT,
    GATHER,
    LARGEST,
    MASKED,
    ROW,
    SHARED,
    Instruction,
)
from autograd.compiled.native.intervals import Interval, called, interval, is_direct, sides_of
from autograd.compiled.native.layout import Layout
from autograd.compiled.program import Program
from autograd.compiled.rounding import Cone, Step
from autograd.operation import Operation
from autograd.value import rows

Array = Any
Key = tuple[str, int]
_SLACK = 1 + 1e-6  # allows for the rounding of these sums themselves
_EARLIEST, _PATIENT = 16, 1024  # calls beyond the limits before new limits are computed
_CALL = 10_000_000  # products that count as another call
_ROOM = 1.25  # how much larger numbers may become before they exceed the limits

_learning = forkable_lock()


class Heaps:
    """Numbers that are measured together."""

    def __init__(self, program: Program) -> None:
        self.inputs = program.tape.inputs
        ends = [0, self.inputs]
        for step in program.instructions:
            ends += [int(step.results.min()), int(step.results.max()) + 1]
        self.shared, self.constants = program.shared, len(program.tape.constants)
        self.starts = np.unique([end for end in ends if end < max(program.slots, 1)])
        self.ends = np.append(self.starts[1:], program.slots)

    def each(self, addresses: Array) -> Array:
        """The heap of each number: constants, the parameters, the 1 after them, lanes."""
        lane = np.searchsorted(self.starts, addresses, side="right") - 1
        number = np.minimum(addresses - SHARED, self.constants)
        number = np.where(addresses == SHARED + self.shared, self.constants + 1, number)
        return np.where(addresses < SHARED, self.constants + 2 + lane, number)

    def of(self, addresses: Array) -> list[int]:
        """The heaps of some numbers."""
        return np.unique(self.each(addresses)).tolist()  # type: ignore[no-any-return]

    def is_rounded(self, heap: int) -> bool:
        """Whether its numbers are inputs or parameters, which another type rounds."""
        first, _ = self.numbers(heap)
        return first < self.inputs or heap == self.constants

    def numbers(self, heap: int) -> tuple[int, int]:
        """The address of the heap's first number, and its length."""
        if heap == self.constants:
            return SHARED + heap, self.shared - self.constants
        if heap < self.constants + 2:
            return SHARED + (heap if heap < self.constants else self.shared), 1
        k = heap - self.constants - 2
        return int(self.starts[k]), int(self.ends[k] - self.starts[k])


class Peaks:
    """The measurements of a program, each as a number with an upper limit.

    Attributes:
        places: the index of each: the "size" of a heap or its "ends" (4 numbers), a step's largest
            "sum" of shared sizes, its smallest "gap", and a "guard"'s distance.
        count: the number of measurements.
    """

    def __init__(self, program: Program, cone: Cone) -> None:
        self.program, self.cone, self.heaps = program, cone, Heaps(program)
        self.places: dict[Key, int] = {}
        self.count = 0
        ends, sizes = self._needed()
        self._keep("ends", sorted(ends), 4)
        self._keep("size", sorted(sizes - ends))
        for k, step in enumerate(cone.steps):
            if step.instruction.kind == LARGEST:
                self._keep("gap", [k])
            elif step.instruction.kind in (CONTRACT, GATHER) and shared_side(step) is not None:
                self._keep("sum", [k])
        self._keep("guard", np.flatnonzero(cone.guards).tolist())

    def _needed(self) -> tuple[set[int], set[int]]:
        """The heaps whose ends have to be measured, and those whose sizes have to be."""
        ends, sizes, of = set[int](), set[int](), self.heaps.of
        for step in reversed(self.cone.steps):
            one = step.instruction
            results = set(of(one.results)) if one.kind in (ROW, MASKED) else set()
            if one.kind == ROW:
                ends.update(results, *map(of, one.pool))
            elif one.kind in (CONTRACT, GATHER):
                shared = shared_side(step)
                sizes.update(*map(of, factors(step)[shared is not None and shared == 0 :]))
            if self.follows(one):
                for needed in (ends, sizes):
                    if results & needed:
                        needed -= results
                        needed.update(*map(of, sources(one)))
        if not self.cone.precision.eager:  # the size of a source tells how far it is rounded
            tape, address = self.program.tape, self.program.address
            read = [step.instruction.operands for step in self.cone.steps]
            read.append(address[tape.guards[self.cone.guards, 1:3]].ravel())
            sizes.update(filter(self.heaps.is_rounded, of(np.concatenate(read))))
        return ends, sizes

    def follows(self, one: Instruction) -> bool:
        """Whether the extremes of its results follow from those of its sources."""
        return one.kind == MASKED or (one.kind == ROW and is_direct(self.row(one)))

    def row(self, one: Instruction) -> Operation:
        """The operation of a row on bounds."""
        return rows()[self.cone.rows[one.op].op]

    def _keep(self, what: str, which: list[int], count: int = 1) -> None:
        for one in which:
            self.places[what, one] = self.count
            self.count += count

    # ------------------------------------------------------------------ limits

    def limits(self, seen: Array) -> Array | None:
        """Limits with room above the values seen, or else without room; None if neither works."""
        roomy = seen.copy()
        for (what, _), at in self.places.items():
            if what == "ends":
                high, low = seen[at : at + 2]
                room = (_ROOM - 1) * max(abs(high), abs(low))
                roomy[at : at + 2] += room
                roomy[at + 2 : at + 4] /= 4
            elif what in ("size", "sum"):
                roomy[at] *= _ROOM
            else:
                roomy[at] /= 4
        for extremes in (roomy, seen):
            limits = _Evaluation(self, extremes).limits()
            if limits is not None:
                return limits
        return None


class Limits:
    """The limits of a program, learned while it runs; they change its speed and no result."""

    def __init__(self, peaks: Peaks, layout: Layout) -> None:
        self.peaks = peaks
        first, self.count = layout.peaks, layout.watched
        # The places of the peaks, their limits, and their largest values so far.
        self.places = [first + k * self.count for k in range(3)]
        self.limits = np.full(self.count, -math.inf, layout.real.precision.name)
        self.limits[peaks.count :] = math.inf
        self.seen = np.full(self.count, -math.inf)
        self.missed = 0  # calls since the limits were made
        self.patience = _EARLIEST  # the number of such calls before new limits are computed

    def put(self, memory: Array) -> None:
        """Write the limits to a thread's memory."""
        for place, numbers in zip(self.places, (-math.inf, self.limits, -math.inf), strict=True):
            memory[place : place + self.count] = numbers

    def learn(self, memory: Array, work: int) -> None:
        """After a call of so many products that exceeded the limits, try to find new ones."""
        with _learning:
            place = self.places[2]
            self.seen = np.maximum(self.seen, memory[place : place + self.count])
            self.missed += 1 + work // _CALL
            if self.missed >= self.patience:
                self._make()
            self.put(memory)

    def _make(self) -> None:
        limits = quietly(lambda: self.peaks.limits(self.seen[: self.peaks.count]))
        self.missed = 0
        if limits is None or (limits == self.limits[: self.peaks.count]).all():
            self.patience = min(2 * self.patience, _PATIENT)
        else:
            self.patience = _EARLIEST
        if limits is None:
            self.seen[:] = -math.inf
        else:
            # Rounded down, because a number beyond the limit must not pass for one within it.
            rounded = quietly(partial(limits.astype, self.limits.dtype))
            below = np.nextafter(rounded, -np.inf, dtype=rounded.dtype)
            self.limits[: self.peaks.count] = np.where(rounded > limits, below, rounded)


def sources(one: Instruction) -> list[Array]:
    """The addresses of the numbers that the results are computed from, or copied."""
    return [one.pool[0], one.pool[3]] if one.kind == MASKED else list(one.pool)


def factors(step: Step) -> list[Array]:
    """The addresses of x and of y of a sum of products."""
    _, x, y = step.instruction.products
    return [np.unique(x), np.unique(y)]


def shared_side(step: Step) -> int | None:
    """The one factor of a contraction that all samples share, 0 or 1; None if not exactly one."""
    one = step.instruction
    sides = [one.x >= SHARED, one.y >= SHARED]
    if one.kind != CONTRACT or sides.count(True) != 1:
        return None
    return sides.index(True)


class _Evaluation:
    """The margins of heaps for given extremes."""

    def __init__(self, peaks: Peaks, extremes: Array) -> None:
        self.peaks, self.extremes, self.heaps = peaks, extremes, peaks.heaps
        self.program, self.cone, self.precision = peaks.program, peaks.cone, peaks.cone.precision
        self.margins: dict[int, float] = {}  # 0 if there is none
        self.unit, self.constants = self.cone.unit, self.program.tape.constants
        # By heap: the size, and the ends as (highest, -lowest, highest below 0, -lowest above 0).
        self.sizes: dict[int, float] = {}
        self.ends: dict[int, tuple[float, ...]] = {}
        for (what, which), at in peaks.places.items():
            if what == "ends":
                self.ends[which] = tuple(extremes[at : at + 4].tolist())
            elif what == "size":
                self.sizes[which] = float(extremes[at])

    def limits(self) -> Array | None:
        """The extremes, with the distances that guards and choices need.

        None if rounding could change a decision.
        """
        places = self.peaks.places
        for (what, _), at in places.items():
            count = {"size": 1, "sum": 1, "ends": 2}.get(what, 0)
            if not np.isfinite(self.extremes[at : at + count]).all():
                return None
        limits = self.extremes.copy()
        for k, step in enumerate(self.cone.steps):
            one = step.instruction
            if self.peaks.follows(one):
                self._follow(one)
            if one.kind in (CONTRACT, GATHER):
                self._sum(k, step)
            elif one.kind == ROW:
                if not self._row(one):
                    return None
            elif one.kind == LARGEST:
                limits[places["gap", k]] = self._least(8 * self.margin(one.pool[0]))
            else:
                self._add(one, self.margin(one.pool[0]))
        sides = self.program.address[self.program.tape.guards[:, 1:3]]
        for j in np.flatnonzero(self.cone.guards).tolist():
            off = sum(self.margin(sides[j, side : side + 1]) for side in (0, 1))
            limits[places["guard", j]] = self._least(off)
        return None if np.isnan(limits).any() else limits

    def _least(self, margin: float) -> float:
        """Minus the required distance between numbers; nan if no distance is enough."""
        return -margin * _SLACK if margin < margins.HUGE else math.nan

    def margin(self, addresses: Array) -> float:
        """The largest margin of some numbers."""
        return max(
            self._rounded(heap) + self.margins.get(heap, 0.0) for heap in self.heaps.of(addresses)
        )

    def _rounded(self, heap: int) -> float:
        """How far the heap's numbers may be from those that were rounded to them."""
        if self.precision.eager:
            return 0.0
        if self.heaps.is_rounded(heap):
            return self._size(heap) * self.precision.unit
        if heap >= len(self.constants):
            return 0.0
        number = self.constants[heap]
        off = abs(float(number.astype(self.precision.name)) - float(number))
        return off if off < math.inf else 0.0  # a guard reads the constant itself

    def _add(self, one: Instruction, margin: float) -> None:
        for heap in self.heaps.of(one.results):
            self.margins[heap] = self.margins.get(heap, 0.0) + margin

    def _follow(self, one: Instruction) -> None:
        """Note the extremes of results that follow from those of their sources."""
        heaps = {heap for pool in sources(one) for heap in self.heaps.of(pool)}
        for heap in self.heaps.of(one.results):
            if one.kind == ROW:
                image = called(self.peaks.row(one).name, [self._ends(one.pool[0])])
                self.ends[heap] = sides_of(self._widened(*image))
            elif heaps <= self.ends.keys():
                self.ends[heap] = tuple(map(max, zip(*map(self.ends.get, heaps), strict=True)))
            else:
                self.sizes[heap] = max(map(self._size, heaps))

    def _widened(self, low: float, high: float) -> Interval:
        """The interval of the results in another type than the eager one."""
        if self.precision.eager:
            return low, high
        noise, least = self.precision.noise, self.precision.underflow
        return low - noise * abs(low) - least, high + noise * abs(high) + least

    def _size(self, heap: int) -> float:
        size = self.sizes[heap] if heap in self.sizes else max(self.ends[heap][:2])
        return max(size, self.precision.smallest)

    def _sum(self, k: int, step: Step) -> None:
        z, _, _ = step.instruction.products
        terms = float(np.unique(z, return_counts=True)[1].max())
        total, shared = 1.0, shared_side(step)
        for side, (pool, bound) in enumerate(
            zip(factors(step), (step.x_bound, step.y_bound), strict=True)
        ):
            if side == shared and not bound:
                total *= float(self.extremes[self.peaks.places["sum", k]]) / terms
                continue
            heaps = self.heaps.of(pool)
            most = max(self._size(heap) * (self.unit if bound else 1.0) for heap in heaps)
            total *= most + (self.margin(pool) if bound else 0.0)
        self._add(step.instruction, terms * total * _SLACK)

    def _row(self, one: Instruction) -> bool:
        """Whether no decision in a row is in doubt; adds the margin to its results."""
        variant = self.cone.rows[one.op]
        rule = margins.margins(rows()[variant.op], variant.unsigned)
        off = [self.margin(pool) for pool in one.pool]
        names: dict[str, Interval] = {"z": self._ends(one.results)}
        names |= {name: (0.0, p) for name, p in zip("pq", off, strict=False)}
        most = 0.0
        for sides in product(*(self._sides(pool) for pool in one.pool)):
            known = names | dict(zip("xy", sides, strict=False))
            for name, tree in rule.parts.items():
                known[name] = interval(tree, known)
            most = max(most, interval(rule.margin, known)[1])
            if not interval(rule.doubt, known)[1] <= 0.0:
                return False
        if not self.precision.eager:
            low, high = self._ends(one.results)
            most += self.precision.noise * max(abs(low), abs(high)) + self.precision.underflow
        self._add(one, most * _SLACK)
        return most < math.inf

    def _ends(self, addresses: Array) -> Interval:
        ends = [self.ends[heap] for heap in self.heaps.of(addresses)]
        high, low = (max(end[k] for end in ends) for k in (0, 1))
        return -low, high

    def _sides(self, addresses: Array) -> list[Interval]:
        """The intervals of the numbers below 0, and of all others."""
        low, high = self._ends(addresses)
        below, above = (
            max(self.ends[heap][k] for heap in self.heaps.of(addresses)) for k in (2, 3)
        )
        negative = [(low, below)] if below > -math.inf else []
        return negative + ([(-above, high)] if above > -math.inf else [])
