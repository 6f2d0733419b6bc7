"""What rounding could decide in a program, and what has to be computed to know when it does.

A compiled sum adds its terms in another order than the eager one, and native code and NumPy round
some functions differently from Python's `math`.  So a number may differ from the eager one, and
anything that it decides may change: a guard, the side of a kink, the end of a domain, which of some
numbers is the largest.  For such numbers, a bound on the difference is computed, their margin.

Each number x has a magnitude |x| and a bound: unit |x| + margin.  For a product x y, |x| times the
bound of y covers both the rounding of the product and the margin of y.  So the instructions for
sums of products also compute bounds (Higham, Accuracy and Stability of Numerical Algorithms, 3.3).

Exact numbers have a margin of 0 and decide nothing wrongly: inputs, parameters and constants, sums
of two terms, products, and functions that IEEE 754 rounds the same everywhere.

In single precision only indices, choices among exact numbers, and constants that it has are exact.
Bounds themselves are computed in doubles, and so is each operation once more, from the rounded
operands: the difference is its own rounding error.  A guard between inputs, parameters and
constants compares their doubles, so it is exact, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from autograd.compiled import margins
from autograd.compiled.continuity import decisive, leaps
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
from autograd.compiled.positive import positive
from autograd.compiled.precision import DOUBLE, Precision
from autograd.compiled.tape import Tape
from autograd.operation import Operation
from autograd.value import rows

Array = Any
INFINITE = 1e150  # the magnitude of inf: so large that finite numbers do not matter next to it
_EXTRA_ROUNDINGS = 8  # besides one for each term in either order
_MAX_EXACT_FACTOR = 2.0**20  # the largest power of two that counts as a factor without rounding
_SUMS = (CONTRACT, GATHER)


class Instructions(Protocol):
    """What this file reads of a program."""

    tape: Tape
    instructions: list[Instruction]
    address: Array
    slots: int


@dataclass(frozen=True)
class Step:
    """An instruction on bounds.

    In a sum of products, each factor is a magnitude or, if `x_bound` or `y_bound`, a bound.
    """

    instruction: Instruction
    x_bound: bool = True
    y_bound: bool = True


@dataclass
class Cone:
    """What decides something, and the inexact numbers that it depends on.

    Attributes:
        steps: the instructions on bounds, in order.
        rows: the rows that the operations of steps refer to, by index.
        lanes: those whose magnitudes and bounds are read or written.
        guards: for each guard, whether rounding could change its outcome.
        roundings: a bound is `unit` times the magnitude, plus the margin; the unit is this many
            times that of the precision.
    """

    steps: list[Step] = field(default_factory=list)
    rows: list[margins.Variant] = field(default_factory=list)
    lanes: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    guards: Array = field(default_factory=lambda: np.zeros(0, dtype=bool))
    roundings: int = _EXTRA_ROUNDINGS
    precision: Precision = DOUBLE

    @property
    def unit(self) -> float:
        """The relative part of each bound."""
        return self.roundings * self.precision.unit


@dataclass
class Exactness:
    """How the number of each lane may differ from the eager one.

    Attributes:
        inexact: whether it may differ at all.
        unsigned: whether a zero may have the other sign; a compiled sum never gives -0.0.
        terms: how many terms other than 0 its sum has.
        shared: whether each shared number is inexact.
    """

    inexact: Array
    unsigned: Array
    terms: Array
    shared: Array

    def of(self, which: Array, addresses: Array) -> Array:
        """A property of the numbers at some addresses; shared numbers have no other than one."""
        own = addresses < SHARED
        found = own & which[np.where(own, addresses, 0)]
        if which is self.inexact and self.shared.any():
            found |= ~own & self.shared[np.where(own, 0, addresses - SHARED)]
        return found

    def operands(self, which: Array, step: Instruction) -> str:
        """The names of a row's operands that have the property in any lane."""
        return "".join(
            name for name, pool in zip("xy", step.pool, strict=False) if self.of(which, pool).any()
        )


def exactness(program: Instructions, precision: Precision = DOUBLE) -> Exactness:
    """How the number of each lane of a program may differ from the eager one."""
    slots = max(program.slots, 1)  # shared numbers look up the first
    factors = _Factors(program)
    flags = np.zeros(slots, bool), np.zeros(slots, bool), np.zeros(slots, np.int64)
    exact = Exactness(*flags, factors.rounded(precision))
    inexact, unsigned = exact.inexact, exact.unsigned
    inexact[: program.tape.inputs] = not precision.eager
    rounded = np.zeros(slots, dtype=bool)  # whether a product in the sum is rounded
    table = rows()
    for step in program.instructions:
        lanes = step.results
        if step.kind in _SUMS:
            z, x, y = step.products
            counts = ~(factors.zero(x) | factors.zero(y))
            np.add.at(exact.terms, z[counts], 1)
            rounded[z[counts & ~(factors.plain(x) | factors.plain(y))]] = True
            inexact[z[exact.of(inexact, x) | exact.of(inexact, y)]] = True
            inexact[lanes] |= (exact.terms[lanes] > 1 + ~rounded[lanes]) | (not precision.eager)
            unsigned[lanes] = True
        elif step.kind == ROW:
            op = table[program.tape.ops[step.op]]
            inexact[lanes] = not (precision.eager and margins.is_exact(op))
            for pool in step.pool:
                inexact[lanes] |= exact.of(inexact, pool)
                unsigned[lanes] |= exact.of(unsigned, pool)
        elif step.kind == CHOOSE:
            starts = np.cumsum(step.counts) - step.counts
            for which in (inexact, unsigned):
                which[lanes] = np.logical_or.reduceat(exact.of(which, step.pool[0]), starts)
        elif step.kind == MASKED:
            for which in (inexact, unsigned):
                which[lanes] = exact.of(which, step.pool[0])
    return exact


class _Factors:
    """Which shared numbers are special as factors."""

    def __init__(self, program: Instructions) -> None:
        # Parameters may change, so they count as 0.1, which is not special.  A one follows them.
        parameters = np.full(program.tape.parameters, 0.1)
        constants = self.constants = np.concatenate([program.tape.constants, parameters, [1.0]])
        self._zero = constants == 0.0
        size = abs(constants)
        power = np.frexp(size)[0] == 0.5
        self._plain = power & (size >= 1.0) & (size <= _MAX_EXACT_FACTOR)

    def zero(self, addresses: Array) -> Array:
        """Whether they are the constant 0, which adds nothing."""
        return self._of(self._zero, addresses)

    def plain(self, addresses: Array) -> Array:
        """Whether they are constants that multiply without rounding."""
        return self._of(self._plain, addresses)

    def rounded(self, precision: Precision) -> Array:
        """Whether the precision cannot represent them."""
        with np.errstate(over="ignore", under="ignore"):
            nearest = self.constants.astype(precision.name).astype(np.float64)
        return (nearest != self.constants) & ~np.isnan(self.constants)

    def beyond(self, precision: Precision, addresses: Array) -> Array:
        """Whether they are constants out of the range of another type than the eager one."""
        return self._of(
            (abs(self.constants) > precision.largest) & (not precision.eager), addresses
        )

    def _of(self, which: Array, addresses: Array) -> Array:
        shared = addresses >= SHARED
        return shared & which[np.where(shared, addresses - SHARED, 0)]


def cone(program: Instructions, precision: Precision = DOUBLE) -> Cone:
    """What rounding could decide in a program, and what that depends on."""
    return _Search(program, precision).run()


class _Search:
    """Searches backwards, from what decides something to the numbers that it depends on."""

    def __init__(self, program: Instructions, precision: Precision) -> None:
        self.program, self.precision = program, precision
        self.exact = exactness(program, precision)
        if not precision.eager:
            self.decisive = decisive(program)
        self.needed = np.zeros(len(self.exact.inexact), dtype=bool)
        self.read: list[Array] = [np.zeros(0, dtype=np.int64)]
        self.table = rows()
        self.rows: dict[margins.Variant, int] = {}
        self.steps: list[Step] = []

    @cached_property
    def positive(self) -> Array:
        """Whether each lane's number is surely above 0."""
        return positive(self.program.tape, self.program.instructions, len(self.exact.inexact))

    def run(self) -> Cone:
        """The cone; empty if inexact numbers decide nothing."""
        program, exact = self.program, self.exact
        sides = program.address[program.tape.guards[:, 1:3]].reshape(-1, 2)
        # A guard that compares a number with itself asks whether it is nan, whatever its rounding.
        computed = (sides >= program.tape.inputs) & (sides < SHARED)
        off = exact.of(exact.inexact, sides) & computed
        # In the eager type, a guard that compares a number with itself asks whether it is nan.
        same = sides[:, 0] == sides[:, 1]
        guards = off.any(axis=1) & ~(same & self.precision.eager)
        # In another one, an overflow alone decides that, and what is beyond its largest number.
        far = guards & (same | _Factors(program).beyond(self.precision, sides).any(axis=1))
        self.read.append(sides[far].ravel())
        self._need(sides[guards & ~far].ravel())
        for step in reversed(program.instructions):
            self._add(step)
        lanes = np.concatenate(self.read)
        sums = [step.instruction for step in self.steps if step.instruction.kind in _SUMS]
        most = max((int(exact.terms[step.results].max()) for step in sums), default=0)
        return Cone(
            self.steps[::-1], list(self.rows), np.unique(lanes[lanes < SHARED]), guards,
            2 * most + _EXTRA_ROUNDINGS, self.precision,
        )  # fmt: skip

    def _need(self, addresses: Array) -> None:
        """Note that the bounds of the numbers at these addresses are needed."""
        self.read.append(addresses)
        own = addresses[addresses < SHARED]
        self.needed[own[self.exact.inexact[own]]] = True

    def _add(self, step: Instruction) -> None:
        """Add the steps for an instruction, if it decides or the bounds of its lanes are needed."""
        lanes = step.results
        wanted = lanes[self.needed[lanes] & self.exact.inexact[lanes]]
        if step.kind == LARGEST:
            decides = self.precision.eager or (self.decisive | self.needed)[lanes].any()
            if decides and self.exact.of(self.exact.inexact, step.pool[0]).any():
                self._add_step(step, step.pool)
        elif step.kind == ROW:
            self._add_row(step, bool(len(wanted)))
        elif len(wanted) and step.kind in _SUMS:
            self._add_sum(step)
        elif len(wanted):
            self._add_step(step, step.pool[:1])  # the index is exact
            index = step.pool[1]
            self.needed[index[index < SHARED]] = True

    def _add_step(self, step: Instruction, pools: Sequence[Array]) -> None:
        for pool in pools:
            self._need(pool)
        self.read.append(step.results)
        self.steps.append(Step(step))

    def _add_row(self, step: Instruction, wanted: bool) -> None:
        exact, op = self.exact, self.table[self.program.tape.ops[step.op]]
        inexact = exact.operands(exact.inexact, step)
        unsigned = exact.operands(exact.unsigned, step)
        may_decide = self.precision.eager or leaps(op)
        if wanted or (may_decide and self._decides(op, step, inexact, unsigned)):
            number = self.rows.setdefault(margins.variant(op, unsigned), len(self.rows))
            self._add_step(replace(step, op=number), step.pool)

    def _decides(self, op: Operation, step: Instruction, inexact: str, unsigned: str) -> bool:
        """Whether rounding could change a decision in a row whose operands may be off."""
        if not margins.decides(op, inexact, unsigned):
            return False
        sides = zip("xy", step.pool, strict=False)
        sure = [v for v, pool in sides if self.exact.of(self.positive, pool).all()]
        unknown = set("xy") - set(sure).intersection(margins.against_zero(op))
        return margins.decides(op, *("".join(unknown & {*names}) for names in (inexact, unsigned)))

    def _add_sum(self, step: Instruction) -> None:
        """Add |x| (bound of y) for each product, and (bound of x) |y| if x may be off."""
        z, x, y = step.products
        sign = 1.0 if self.precision.eager else step.sign  # bounds are added, whatever the sign
        part = replace(step, sign=sign)
        if step.kind == GATHER or not self.exact.inexact[step.results].all():
            chosen = self.needed[z] & self.exact.inexact[z]
            order = np.argsort(z[chosen], kind="stable")
            z, x, y = (column[chosen][order] for column in (z, x, y))
            lanes, counts = np.unique(z, return_counts=True)
            part = Instruction(
                GATHER, step.level, len(lanes), int(lanes[0]), sign=sign, pool=(x, y, lanes),
                counts=counts,
            )  # fmt: skip
        for addresses in (x, y, z):
            self._need(addresses)
        off = [bool(self.exact.of(self.exact.inexact, side).any()) for side in (x, y)]
        if off[1] or not off[0]:
            self.steps.append(Step(part, x_bound=False))
        if off[0]:
            self.steps.append(Step(part, y_bound=False))
        if all(off):
            self.steps.append(Step(part))


def runs(lanes: Sequence[int] | Array) -> Array:
    """Numbers >= 0 as rows of (first, count), one for each run in which each follows the last."""
    lanes = np.asarray(lanes, dtype=np.int64)
    first = np.flatnonzero(np.diff(lanes, prepend=-2) != 1)
    counts = np.diff(first, append=len(lanes))
    return np.stack([lanes[first], counts], axis=1)
