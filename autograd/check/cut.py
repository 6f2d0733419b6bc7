"""Branches that are cut from the graph, located by recording f again beside the point.

The graph is complete if only the inputs differ between the two recordings.  A constant that moves
with the inputs, or a leaf that f creates and that moves, marks the place where a branch was cut: by
`.data`, `float()`, `detach()`, `no_grad` or a conversion to text.  Its line is known.  If f takes
another Python branch beside the point, its graph has another shape there.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from autograd.check.case import Case, Recording, operands_of
from autograd.check.slopes import slope
from autograd.order import visited
from autograd.printers import decimals
from autograd.value import Value, derivatives

TOUCH = 2.0**-46  # the smallest relative step that changes a number computed from the inputs
_FINE = (1e-9, 1e-6)  # steps at which a number that follows the inputs is seen to move
_WIDE = (1e-2, 1e-3, 1e-4, 1e-5)  # the widest without another branch moves rounded numbers, too
_JUMP = 1e3  # from TOUCH to 1e-6, the change of a constant grows 1e8-fold, that of a jump not
_ALIKE = 0.6  # a rounded number's rates at different steps differ by less, relatively
_SEEN = 8  # units in the last place that a number must move by to be seen
_CENTRAL = 2.0**-18  # the step of central differences of doubles, which are accurate to 1e-11
_CANCELS = 1e-5  # a sum this small beside its terms is 0, as far as steps of 1e-6 can show
_DIGITS = 40  # for the partial with respect to a constant operand
Key = tuple[Value, int]  # a node and the index of its constant operand; -1 for a leaf of f's own


@dataclass
class GraphDiff:
    """The difference between two graphs: the constants that change, or where the shape changes."""

    changes: dict[Key, float]
    fork: Value | None = None

    def place(self) -> Value:
        """The first node that differs."""
        return next(iter(self.changes))[0] if self.fork is None else self.fork

    @property
    def same(self) -> bool:
        """Whether the graphs differ in the numbers of the inputs at most."""
        return self.fork is None and not self.changes


def compare(base: Recording, other: Recording) -> GraphDiff:
    """The constants of a graph that have other values in a second graph, and by how much."""
    inputs = dict(zip(base.nodes, other.nodes, strict=True))
    other_inputs = set(other.nodes)
    pair = {base.root: other.root}
    stack = [base.root]
    changes: dict[Key, float] = {}
    while stack:
        n = stack.pop()
        m = pair[n]
        op = n.op
        if op is not m.op:
            return GraphDiff({}, n)
        if op is None:
            if (inputs[n] is not m) if n in inputs else (m in other_inputs):
                return GraphDiff({}, n)
            if n is not m and n not in inputs and n.data.hex() != m.data.hex():
                changes[n, -1] = m.data - n.data
            continue
        operands = ((n.a, m.a, n.x, m.x),)
        if op.arity == 2:
            operands += ((n.b, m.b, n.y, m.y),)  # type: ignore[assignment]
        for k, (p, q, x, y) in enumerate(operands):
            if (p is None) is not (q is None):
                return GraphDiff({}, n)
            if p is None or q is None:
                if x != y and not (x != x and y != y):
                    changes[n, k] = y - x
            elif p not in pair:
                pair[p] = q
                stack.append(p)
            elif pair[p] is not q:
                return GraphDiff({}, n)
    return GraphDiff(changes)


def cancel(total: float, size: float) -> bool:
    """Whether terms of this size add up to 0, as far as differences of doubles can show."""
    return abs(total) <= _CANCELS * size


@dataclass
class Movement:
    """What moves in f's graph beside the point.

    Attributes:
        moving: the constants that move with the inputs, and how much slope along the direction the
            graph lacks because of each; `weights` has the root's derivatives in these constants.
        flat: whether the smallest steps miss some of them.
        pieces: the sides (-1, 1) on which f takes another branch.
    """

    moving: dict[Key, float] = field(default_factory=dict)
    weights: dict[Key, float] = field(default_factory=dict)
    flat: bool = False
    pieces: set[int] = field(default_factory=set)

    @property
    def step(self) -> float:
        """A step that shows every constant that moves."""
        return max(_WIDE) if self.flat else _FINE[-1]

    @property
    def missing(self) -> float:
        """The slope along the direction that the graph lacks."""
        return math.fsum(self.moving.values())

    @property
    def cancels(self) -> bool:
        """Whether the missing slopes add up to 0, as those of the shift in a stable softmax do."""
        return cancel(self.missing, sum(map(abs, self.moving.values())))


class Surroundings:
    """Recordings of f beside the point, along one random direction for all inputs or for some."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        rng = random.Random(seed)  # noqa: S311 - no secret
        self.direction = [
            rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) * (abs(x) or 1.0) for x in case.at
        ]

    def at(self, h: float, only: Iterable[int] | None = None) -> list[float]:
        """The numbers of the inputs after a step along the direction; `only` limits what moves."""
        moved = [*self.case.at]
        for k in range(len(moved)) if only is None else only:
            moved[k] += h * self.direction[k]
        return moved

    def recorded(self, h: float, only: Iterable[int] | None = None) -> Recording | None:
        """f recorded there; None if it raises an error there, as it may outside its domain."""
        try:
            return self.case.recorded_at(self.at(h, only))
        except Exception:  # outside its domain a function may raise any error
            return None

    def examined(self) -> Movement:
        """What moves in f's graph beside the point; three runs are enough if nothing does."""
        case, movement = self.case, Movement()
        touched = {s: self.recorded(s * TOUCH) for s in (1, -1)}
        diffs = {s: compare(case.recorded, r) for s, r in touched.items() if r is not None}
        if all(diff.same for diff in diffs.values()) and self._is_still():
            return movement
        bases = {1: case.recorded, -1: case.recorded}
        for s, diff in diffs.items():
            touch = touched[s]
            assert touch is not None
            if diff.fork is not None or self._jumps(s, diff):
                movement.pieces.add(s)
                bases[s] = touch
        for signs in [{1, -1}] if not movement.pieces else [{1}, {-1}]:
            base = bases[min(signs)]
            rates = dict(self._following(base, signs))
            for key, weight in _weights(base, list(rates)).items():
                movement.weights[key] = weight
                movement.moving[key] = weight * rates[key]
                movement.flat |= not any(key in diff.changes for diff in diffs.values())
        return movement

    def missing_in(self, k: int, movement: Movement) -> tuple[float, float]:
        """The slope in input k that the cut branches would add, and the size of its terms.

        Both are nan if f takes another Python branch beside the point.
        """
        h = movement.step if movement.flat else _CENTRAL
        total = size = 0.0
        ends = [self.recorded(sign * h, [k]) for sign in (1, -1)]
        diffs = [compare(self.case.recorded, end) for end in ends if end is not None]
        if len(diffs) < 2 or any(diff.fork is not None for diff in diffs) or movement.pieces:
            return math.nan, math.nan
        above, below = (diff.changes for diff in diffs)
        for key in movement.moving:
            change = above.get(key, 0.0) - below.get(key, 0.0)
            part = movement.weights[key] * change / (2 * h * self.direction[k])
            total += part
            size += abs(part)
        return total, size

    def moves(self, part: list[int], movement: Movement) -> bool:
        """Whether some of the moving constants move with these inputs alone."""
        recorded = self.recorded(movement.step, part)
        if recorded is None:
            return True
        diff = compare(self.case.recorded, recorded)
        return diff.fork is not None or not movement.moving.keys().isdisjoint(diff.changes)

    def _is_still(self) -> bool:
        """Whether nothing moves at the widest step at which f takes the same branches."""
        for h in _WIDE:
            wide = self.recorded(h)
            diff = None if wide is None else compare(self.case.recorded, wide)
            if diff is not None and diff.fork is None:
                return not diff.changes
        return True

    def _jumps(self, sign: int, diff: GraphDiff) -> bool:
        """Whether a constant jumps right beside the point, as at a knot of a table."""
        if not diff.changes:
            return False
        farther = self.recorded(sign * _FINE[-1])
        if farther is None:
            return True
        far = compare(self.case.recorded, farther)
        if far.fork is not None:
            return True
        return any(abs(far.changes.get(k, 0.0)) < _JUMP * abs(d) for k, d in diff.changes.items())

    def _following(self, base: Recording, signs: set[int]) -> Iterator[tuple[Key, float]]:
        """The constants that follow the inputs on these sides, and their rates of change."""
        seen: dict[float, dict[Key, float]] = {}
        for s in signs:
            for h in (*_FINE, *_WIDE[:2]):
                r = self.recorded(s * h)
                diff = None if r is None else compare(base, r)
                if diff is not None and diff.fork is None:
                    seen[s * h] = diff.changes
        for key in dict.fromkeys(key for changes in seen.values() for key in changes):
            rates = {h: changes[key] / h for h, changes in seen.items() if changes.get(key)}
            small = [rate for h, rate in rates.items() if abs(h) == _FINE[-1]]
            if small:
                yield key, sum(small) / len(small)
            elif self._is_rounded(key, rates):
                yield key, sum(rates.values()) / len(rates)

    def _is_rounded(self, key: Key, rates: dict[float, float]) -> bool:
        """Whether a constant that only large steps move follows the inputs nevertheless.

        It does if it is a rounded number, or if small steps move it by less than a double shows.
        """
        node, k = key
        constant = node.data if k < 0 else operands_of(node)[k]
        largest = max(map(abs, rates.values()))
        if largest * _FINE[-1] < _SEEN * math.ulp(constant):
            return True
        if constant.is_integer() and all((r * h).is_integer() for h, r in rates.items()):
            return False  # a count or an index into a table, not a rounded number
        alike = max(rates.values()) - min(rates.values()) <= _ALIKE * largest
        return alike and len({abs(h) for h in rates}) > 1


def _weights(base: Recording, keys: list[Key]) -> dict[Key, float]:
    """The root's derivative in each constant operand or leaf."""
    inner, ends = visited(base.root)
    arrived = derivatives(inner, ends, [(base.root, 1.0)], [node for node, _ in keys])
    weights = dict(zip(keys, arrived, strict=True))
    with decimals.digits(_DIGITS):
        for node, k in keys:
            if k >= 0 and node.op is not None and weights[node, k]:
                at = list(map(Decimal, operands_of(node)))
                weights[node, k] *= float(slope(node.op, k, at, decimals.value(node.op)(*at)))
    return weights


def bisected(
    chosen: list[int], moves: Callable[[list[int]], bool], most: int
) -> tuple[set[int], set[int]]:
    """The inputs for which `moves` is true, found by bisection, and those that were not tested.

    Finding an input takes about as many calls as its index has bits; there are at most `most`.
    """
    moving: set[int] = set()
    stack, runs = [chosen] * bool(chosen), 0
    while stack and runs < most:
        part = stack.pop()
        runs += 1
        if not moves(part):
            continue
        if len(part) == 1:
            moving.add(part[0])
        else:
            half = len(part) // 2
            stack += [part[half:], part[:half]]
    return moving, {k for part in stack for k in part}
