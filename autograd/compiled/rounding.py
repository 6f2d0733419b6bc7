"""What rounding could decide in a program, and what has to be computed to know when it does.

A compiled sum adds its terms in another order than the eager one, and native code and NumPy round
some functions otherwise than Python's `math`.  So a number may differ from the eager one, and what
is decided by it may turn: a guard, the side of a kink, the end of a domain, which of some numbers
is the largest.  Beside such numbers runs a bound of how far they may be off, their margin.

Each number x has a magnitude |x| and a bound: unit |x| + margin.  For a product x y, |x| times the
bound of y bounds how it is rounded and what y brings along, at once; so instructions for sums of
products serve bounds as they are (Higham, Accuracy and Stability of Numerical Algorithms, 3.3).

Exact numbers have a margin of 0 and decide nothing wrongly: inputs, parameters and constants, sums
of two terms, products, and what IEEE 754 rounds the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from autograd.compiled import margins
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
from autograd.compiled.tape import Tape
from autograd.value import rows

Array = Any
SMALLEST = 1e-140  # of a magnitude that is not 0: products of two do not underflow
INFINITE = 1e150  # the magnitude of inf, beside which what has not overflowed does not matter
UNIT = 2.0**-53  # by which one addition or multiplication rounds, relatively
_SPARE = 8  # roundings beside one for each term in either order
_EXACT_FACTOR = 2.0**20  # the largest power of two that multiplies without rounding
_SUMS = (CONTRACT, GATHER)


class Instructions(Protocol):
    """What is read of a program."""

    tape: Tape
    instructions: list[Instruction]
    address: Array
    slots: int


@dataclass(frozen=True)
class Step:
    """An instruction on bounds.

    Of a sum of products, the factors are magnitudes or, where a factor may be off, bounds.
    """

    instruction: Instruction
    x_bound: bool = True
    y_bound: bool = True


@dataclass
class Cone:
    """What decides, and the numbers that it depends on as far as they may be off.

    Attributes:
        steps: what to do with bounds, in order.
        rows: what the operations of steps are rows of.
        lanes: those whose magnitudes and bounds are read or written.
        guards: for each guard, whether rounding could turn it.
        unit: bounds are made of margins and magnitudes in units of UNIT times this.
    """

    steps: list[Step] = field(default_factory=list)
    rows: list[margins.Variant] = field(default_factory=list)
    lanes: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    guards: Array = field(default_factory=lambda: np.zeros(0, dtype=bool))
    unit: int = _SPARE


@dataclass
class Exactness:
    """What may be off, of each lane.

    Attributes:
        inexact: whether its number may differ from the eager one.
        unsigned: whether its zero may have the other sign; a sum never gives -0.0.
        terms: how many terms its sum has that are not 0.
    """

    inexact: Array
    unsigned: Array
    terms: Array

    def of(self, which: Array, addresses: Array) -> Array:
        """That property of the numbers at some addresses; shared numbers are what they are."""
        own = addresses < SHARED
        return own & which[np.where(own, addresses, 0)]

    def operands(self, which: Array, one: Instruction) -> str:
        """The names of a row's operands of which some have the property."""
        return "".join(
            name for name, pool in zip("xy", one.pool, strict=False) if self.of(which, pool).any()
        )


def exactness(program: Instructions) -> Exactness:
    """What may be off, of each lane of a program."""
    slots = max(program.slots, 1)  # the first is looked up for shared numbers
    found = Exactness(np.zeros(slots, bool), np.zeros(slots, bool), np.zeros(slots, np.int64))
    factors = _Factors(program)
    rounded = np.zeros(slots, dtype=bool)  # whether a product of the sum is
    table = rows()
    for one in program.instructions:
        inexact, unsigned = found.inexact, found.unsigned
        lanes = one.results
        if one.kind in _SUMS:
            z, x, y = one.products
            counts = ~(factors.zero(x) | factors.zero(y))
            np.add.at(found.terms, z[counts], 1)
            rounded[z[counts & ~(factors.plain(x) | factors.plain(y))]] = True
            inexact[z[found.of(inexact, x) | found.of(inexact, y)]] = True
            inexact[lanes] |= found.terms[lanes] > 1 + ~rounded[lanes]
            unsigned[lanes] = True
        elif one.kind == ROW:
            op = table[program.tape.ops[one.op]]
            inexact[lanes] = not margins.is_exact(op)
            for pool in one.pool:
                inexact[lanes] |= found.of(inexact, pool)
                unsigned[lanes] |= found.of(unsigned, pool)
        elif one.kind == CHOOSE:
            starts = np.cumsum(one.counts) - one.counts
            for which in (inexact, unsigned):
                which[lanes] = np.logical_or.reduceat(found.of(which, one.pool[0]), starts)
        elif one.kind == MASKED:
            for which in (inexact, unsigned):
                which[lanes] = found.of(which, one.pool[0])
    return found


class _Factors:
    """What is known of the shared numbers as factors."""

    def __init__(self, program: Instructions) -> None:
        constants = np.append(program.tape.constants, np.zeros(program.tape.parameters))
        constants = np.append(constants, 1.0)  # stands behind them
        self._zero = constants == 0.0
        self._zero[len(program.tape.constants) : -1] = False  # a parameter may change
        size = abs(constants)
        whole = (np.frexp(size)[0] == 0.5) & (size >= 1.0) & (size <= _EXACT_FACTOR)
        self._plain = whole

    def zero(self, addresses: Array) -> Array:
        """Whether they are the constant 0, which adds nothing."""
        return self._of(self._zero, addresses)

    def plain(self, addresses: Array) -> Array:
        """Whether they are constants that multiply without rounding."""
        return self._of(self._plain, addresses)

    def _of(self, which: Array, addresses: Array) -> Array:
        shared = addresses >= SHARED
        return shared & which[np.where(shared, addresses - SHARED, 0)]


def cone(program: Instructions) -> Cone:
    """What rounding could decide in a program, and what that depends on."""
    return _Search(program).run()


class _Search:
    """Goes back from what decides to the numbers that it depends on."""

    def __init__(self, program: Instructions) -> None:
        self.program = program
        self.exact = exactness(program)
        self.needed = np.zeros(len(self.exact.inexact), dtype=bool)
        self.read: list[Array] = [np.zeros(0, dtype=np.int64)]
        self.table = rows()
        self.rows: dict[margins.Variant, int] = {}
        self.steps: list[Step] = []

    def run(self) -> Cone:
        """The cone; empty if nothing is decided by what may be off."""
        program, exact = self.program, self.exact
        sides = program.address[program.tape.guards[:, 1:3]].reshape(-1, 2)
        # A number that is compared with itself is asked whether it is nan: rounding has no say.
        guards = exact.of(exact.inexact, sides).any(axis=1) & (sides[:, 0] != sides[:, 1])
        self._need(sides[guards].ravel())
        for one in reversed(program.instructions):
            self._keep(one)
        lanes = np.concatenate(self.read)
        sums = [step.instruction for step in self.steps if step.instruction.kind in _SUMS]
        most = max((int(exact.terms[one.results].max()) for one in sums), default=0)
        return Cone(
            self.steps[::-1], list(self.rows), np.unique(lanes[lanes < SHARED]), guards,
            2 * most + _SPARE,
        )  # fmt: skip

    def _need(self, addresses: Array) -> None:
        """The bounds of the numbers there are wanted."""
        self.read.append(addresses)
        self.needed[addresses[self.exact.of(self.exact.inexact, addresses)]] = True

    def _keep(self, one: Instruction) -> None:
        """Keep what an instruction becomes, if it decides or the bounds of its lanes matter."""
        lanes = one.results
        wanted = lanes[self.needed[lanes] & self.exact.inexact[lanes]]
        if one.kind == LARGEST:
            if self.exact.of(self.exact.inexact, one.pool[0]).any():
                self._keep_whole(one, one.pool)
        elif one.kind == ROW:
            self._keep_row(one, bool(len(wanted)))
        elif len(wanted) and one.kind in _SUMS:
            self._keep_sum(one)
        elif len(wanted):
            self._keep_whole(one, one.pool[:1])  # the index is exact

    def _keep_whole(self, one: Instruction, pools: Sequence[Array]) -> None:
        for pool in pools:
            self._need(pool)
        self.read.append(one.results)
        self.steps.append(Step(one))

    def _keep_row(self, one: Instruction, wanted: bool) -> None:
        exact, name = self.exact, self.program.tape.ops[one.op]
        inexact = exact.operands(exact.inexact, one)
        unsigned = exact.operands(exact.unsigned, one)
        if wanted or margins.decides(self.table[name], inexact, unsigned):
            variant = margins.variant(self.table[name], unsigned)
            number = self.rows.setdefault(variant, len(self.rows))
            self._keep_whole(replace(one, op=number), one.pool)

    def _keep_sum(self, one: Instruction) -> None:
        """Keep |x| (bound of y) for each product, and what x brings along if it may be off."""
        z, x, y = one.products
        kept = replace(one, sign=1.0)
        if one.kind == GATHER or not self.exact.inexact[one.results].all():
            chosen = self.needed[z] & self.exact.inexact[z]
            order = np.argsort(z[chosen], kind="stable")
            z, x, y = (part[chosen][order] for part in (z, x, y))
            lanes, counts = np.unique(z, return_counts=True)
            kept = Instruction(
                GATHER, one.level, len(lanes), int(lanes[0]), pool=(x, y, lanes), counts=counts
            )
        for part in (x, y, z):
            self._need(part)
        off = [bool(self.exact.of(self.exact.inexact, side).any()) for side in (x, y)]
        if off[1] or not off[0]:
            self.steps.append(Step(kept, x_bound=False))
        if off[0]:
            self.steps.append(Step(kept, y_bound=False))
        if all(off):
            self.steps.append(Step(kept))


def runs(lanes: Sequence[int] | Array) -> Array:
    """Sorted numbers as rows of (first, how many) of those that follow each other."""
    lanes = np.asarray(lanes, dtype=np.int64)
    first = np.flatnonzero(np.diff(lanes, prepend=-2) != 1)
    counts = np.diff(first, append=len(lanes))
    return np.stack([lanes[first], counts], axis=1)
