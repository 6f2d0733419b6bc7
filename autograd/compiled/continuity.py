"""What is continuous: rows without leaps, and what the index of the largest number is used for.

The largest of some numbers is continuous, although its index jumps where two of them are equal.  So
is a list in which the entry at that index is replaced by a number that it has anyway, and the sum
over a list in which that entry is replaced by any number.  Both are parts of log-sum-exp.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np

from autograd.compiled import margins
from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, LARGEST, MASKED, SHARED
from autograd.compiled.traced import DETACH, MASK, SELECT
from autograd.operation import Operation
from autograd.value import rows

Array = Any
_MARKS = -90.0, -9.1, -2.9, -1.3, -0.4, 0.3, 0.9, 1.7, 3.1, 9.3, 80.0  # a leap is sought in between
_OTHERS = -1.7, 0.6, 2.3
_LEAST, _POLE = 1e-3, 1e6  # differences that count as leaps, the first relative to the values
_DEEP = 8  # operations between an entry of a list and what is computed from it


@cache
def leaps(op: Operation) -> bool:
    """Whether the row's value jumps between finite values, anywhere; found by trying.

    >>> leaps(rows()["floor"]), leaps(rows()["sign"]), leaps(rows()["relu"]), leaps(rows()["div"])
    (True, True, False, False)
    """
    if margins.jumps(op) or not op.smooth:
        return margins.jumps(op)
    pairs = [
        (_at(op, v, -0.0, other), _at(op, v, 0.0, other))
        for v, other in product(margins.signed(op), _OTHERS)
    ]
    for operand, other in product("xy"[: op.arity], _OTHERS[: 3 if op.arity == 2 else 1]):
        for low, high in pairwise(_MARKS):
            for _ in range(50):  # towards the half in which the value changes more
                middle = (low + high) / 2
                ends = [_at(op, operand, x, other) for x in (low, middle, high)]
                far = abs(ends[1] - ends[0]) < abs(ends[2] - ends[1])
                low, high = (middle, high) if far else (low, middle)
            pairs.append((_at(op, operand, low, other), _at(op, operand, high, other)))
    return any(_LEAST * (1 + abs(a) + abs(b)) < abs(a - b) < _POLE for a, b in pairs)


def _at(op: Operation, operand: str, x: float, other: float) -> float:
    return float(op.value(*((x, other) if operand == "x" else (other, x))[: op.arity]))


def decisive(program: Any) -> Array:
    """For each lane, whether it is an index that decides more than what is continuous."""
    return _Search(program).run()


class _Search:
    """Follows the indices, and the lists in which an entry is replaced, to where they are read."""

    def __init__(self, program: Any) -> None:
        self.program, self.tape = program, program.tape
        self.read = np.zeros(program.slots + 1, bool)  # in another way; the last is for no lane
        self.lists: dict[int, list[int]] = {}  # the numbers of which each index is the largest's
        self.group = np.full(program.slots + 1, -1)  # of a lane, the list in which one is replaced
        self.groups: list[tuple[int, int]] = []  # the length of each such list, and its index
        self.places: dict[int, int] = {}  # of the numbers in a list

    def run(self) -> Array:
        """The answer for each lane."""
        program, tape = self.program, self.tape
        if not any(step.kind == LARGEST for step in program.instructions):
            return self.read[:-1]
        self.tell(program.address[np.concatenate([tape.outputs, tape.guards[:, 1:3].ravel()])])
        for step in program.instructions:
            if step.kind in (CONTRACT, GATHER):
                self._sum(*step.products)
            elif step.kind in (LARGEST, CHOOSE, MASKED):
                self.tell(step.pool[0])
                parts = np.split(np.arange(len(step.pool[0])), np.cumsum(step.counts)[:-1])
                for k, part in enumerate(parts):
                    self._list(step, k, part)
            else:
                self.tell(step.operands)
        for lane in np.flatnonzero(self.read & (self.group >= 0)).tolist():
            self.read[self.groups[self.group[lane]][1]] = True
        return self.read[:-1]

    def tell(self, addresses: Array) -> None:
        """Note that numbers are read in another way."""
        self.read[np.where(addresses < SHARED, addresses, -1)] = True

    def _list(self, step: Any, k: int, part: Array) -> None:
        """Note a list of numbers, of which an index is found, or chooses or replaces one."""
        entries = step.pool[0][part].tolist()
        if step.kind == LARGEST:
            self.lists[step.z + k] = entries
            return
        index = int(step.pool[1][k if step.kind == CHOOSE else part[0]])
        known = self.lists.get(index)
        if known is None:
            return
        entries, known = self._nodes(entries), self._nodes(known)
        places = step.kind == CHOOSE or step.pool[2][part].tolist() == list(range(len(known)))
        alike = places and len(entries) == len(known) and self._alike(entries, known)
        if step.kind == MASKED and alike:
            instead = self.tape.constants[step.pool[3][part[0]] - SHARED]
            choice = self.program.lane_of[index], known, float(instead)
            if all(self._keeps(v, x, *choice) for v, x in zip(entries, known, strict=True)):
                return
            self.group[step.z + part] = len(self.groups)
            self.groups.append((len(known), index))
        elif not alike:
            self.tell(np.array([index]))

    def _sum(self, z: Array, *sides: Array) -> None:
        """Note the factors that are not part of a sum over one of the lists."""
        for side, other in (sides, sides[::-1]):
            group = self.group[np.where(side < SHARED, side, -1)]
            whole = (group >= 0) & (other == SHARED + self.program.shared)  # times the constant 1
            if whole.any():
                pairs, inverse, counts = np.unique(
                    np.stack([z, group])[:, whole], axis=1, return_inverse=True, return_counts=True
                )
                lengths = np.array([self.groups[g][0] for g in pairs[1].tolist()])
                whole[whole] = (counts == lengths)[inverse.ravel()]
            self.tell(side[~whole])

    # ------------------------------------------------------------------ on the tape

    def _nodes(self, addresses: Sequence[int]) -> list[int]:
        lanes = self.program.lane_of
        return [a - SHARED if a >= SHARED else lanes[a] for a in addresses]

    def _alike(self, entries: Sequence[int], known: Sequence[int]) -> bool:
        """Whether each entry is the same function of the number at its place in the known list."""
        first = entries[0], known[0]
        self.places = {node: place for place, node in enumerate(known)}
        return all(self._same(first, pair, _DEEP) for pair in zip(entries, known, strict=True))

    def _same(self, one: tuple[int, int], other: tuple[int, int], depth: int) -> bool:
        """Whether the first node of a pair depends on the second as that of the other pair does."""
        (v, x), (w, y), tape = one, other, self.tape
        if v == x or w == y:
            return v == x and w == y
        if v == w:
            return True
        i, j = v - tape.sources, w - tape.sources
        if min(i, j) < 0 or depth == 0:
            return False
        if (tape.code[i], tape.cut[i]) != (tape.code[j], tape.cut[j]):
            return False
        sides = [(int(tape.a[i]), int(tape.a[j])), (int(tape.b[i]), int(tape.b[j]))]
        if tape.code[i] == MASK:  # its list is: index, position, number instead
            tables = [[int(node) for node in tape.tables[b : b + 3]] for b in sides[1]]
            positions = [tape.constants[table.pop(1)] for table in tables]
            if positions != [self.places[x], self.places[y]]:
                return False
            sides = [sides[0], *zip(*tables, strict=True)]
        elif tape.code[i] < 0 and tape.code[i] != DETACH:
            return False
        return all(
            a == b if min(a, b) < 0 else self._same((a, x), (b, y), depth - 1) for a, b in sides
        )

    def _keeps(self, v: int, x: int, index: int, known: list[int], instead: float) -> bool:
        """Whether an entry v of x has the number `instead` where x is the largest."""
        tape, i = self.tape, v - self.tape.sources
        if i < 0 or tape.code[i] < 0 or tape.b[i] < 0 or x not in (tape.a[i], tape.b[i]):
            return False
        chosen = int(tape.a[i] + tape.b[i] - x) - tape.sources
        if chosen < 0 or tape.code[chosen] != SELECT or tape.a[chosen] != index:
            return False
        start, count = tape.b[chosen], tape.count[chosen]
        op = rows()[tape.ops[tape.code[i]]]
        same = tape.tables[start : start + count].tolist() == known
        return same and all(op.value(t, t) == instead for t in (-3.1, 0.7))
