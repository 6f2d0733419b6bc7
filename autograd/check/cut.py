"""Branches that are cut from the graph: f recorded again beside the point, and laid on itself.

The graph is the function as long as nothing in it but the inputs moves.  A constant that moves with
them, or a leaf of f's own, is where a branch was cut, by `.data`, `float()`, `detach()`, `no_grad`
or a text; its line is known.  Where f takes another branch of Python's beside the point, its graph
has another shape there.
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

TOUCH = 2.0**-46  # the least step, relatively, that a number computed from the inputs shows
_FINE = (1e-9, 1e-6)  # steps at which a number that follows the inputs is seen to do so
_WIDE = (1e-2, 1e-3, 1e-4, 1e-5)  # the widest at which f takes the same branches shows flat ones
_LEAP = 1e3  # from TOUCH to 1e-6 a number that follows grows by 1e8, and one that leaps by 1
_ALIKE = 0.6  # rates at different steps that differ by less are those of a rounded number
_SEEN = 8  # units in the last place that a number must move to be seen
_CENTRAL = 2.0**-18  # the step of central differences of doubles, which are good to 1e-11
_CANCELS = 1e-5  # a share of the parts that differences of steps of 1e-6 cannot tell from 0
_DIGITS = 40  # of a partial of a constant
Key = tuple[Value, int]  # a node and which of its operands is a constant; -1 for a leaf itself


@dataclass
class Laid:
    """How one graph differs from another: by constants, or by its shape from a node on."""

    changes: dict[Key, float]
    parted: Value | None = None

    def place(self) -> Value:
        """The first node that differs."""
        return next(iter(self.changes))[0] if self.parted is None else self.parted

    @property
    def same(self) -> bool:
        """Whether the one graph is the other, at other numbers for the inputs."""
        return self.parted is None and not self.changes


def lay(one: Recording, other: Recording) -> Laid:
    """The constants of one graph that are others in the other, and by how much."""
    mine = dict(zip(one.nodes, other.nodes, strict=True))
    theirs = set(other.nodes)
    pair = {one.root: other.root}
    stack = [one.root]
    changes: dict[Key, float] = {}
    while stack:
        n = stack.pop()
        m = pair[n]
        op = n.op
        if op is not m.op:
            return Laid({}, n)
        if op is None:
            if (mine[n] is not m) if n in mine else (m in theirs):
                return Laid({}, n)
            if n is not m and n not in mine and n.data.hex() != m.data.hex():
                changes[n, -1] = m.data - n.data
            continue
        operands = ((n.a, m.a, n.x, m.x),)
        if op.arity == 2:
            operands += ((n.b, m.b, n.y, m.y),)  # type: ignore[assignment]
        for k, (p, q, x, y) in enumerate(operands):
            if (p is None) is not (q is None):
                return Laid({}, n)
            if p is None or q is None:
                if x != y and not (x != x and y != y):
                    changes[n, k] = y - x
            elif p not in pair:
                pair[p] = q
                stack.append(p)
            elif pair[p] is not q:
                return Laid({}, n)
    return Laid(changes)


def cancel(total: float, size: float) -> bool:
    """Whether terms of a size add up to 0, as far as differences of doubles show it."""
    return abs(total) <= _CANCELS * size


@dataclass
class Beside:
    """What f's graph is beside the point.

    Attributes:
        moving: the constants that move with the inputs, and the slope along the direction that the
            graph lacks by each; `weights` are their derivatives.
        flat: whether the least steps do not show all of them.
        pieces: on which sides (-1, 1) f takes another branch.
    """

    moving: dict[Key, float] = field(default_factory=dict)
    weights: dict[Key, float] = field(default_factory=dict)
    flat: bool = False
    pieces: set[int] = field(default_factory=set)

    @property
    def step(self) -> float:
        """A step that shows all that moves."""
        return max(_WIDE) if self.flat else _FINE[-1]

    @property
    def missing(self) -> float:
        """The slope along the direction that the graph lacks."""
        return math.fsum(self.moving.values())

    @property
    def cancels(self) -> bool:
        """Whether what is cut adds up to nothing, as the shift of a stable softmax does."""
        return cancel(self.missing, sum(map(abs, self.moving.values())))


class Surroundings:
    """f, recorded beside the point, in one random direction for all inputs, or for some."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        rng = random.Random(seed)  # noqa: S311 - no secret
        self.direction = [
            rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) * (abs(x) or 1.0) for x in case.at
        ]

    def at(self, h: float, only: Iterable[int] | None = None) -> list[float]:
        """The numbers of the inputs, a step along the direction; of some inputs only."""
        moved = [*self.case.at]
        for k in range(len(moved)) if only is None else only:
            moved[k] += h * self.direction[k]
        return moved

    def recorded(self, h: float, only: Iterable[int] | None = None) -> Recording | None:
        """f recorded there; None where it cannot be run, beside its domain."""
        try:
            return self.case.recorded_at(self.at(h, only))
        except Exception:  # beside its domain a function may raise whatever it likes
            return None

    def examined(self) -> Beside:
        """What f's graph is beside the point; two steps are enough where nothing moves."""
        case, beside = self.case, Beside()
        touching = {s: self.recorded(s * TOUCH) for s in (1, -1)}
        laid = {s: lay(case.recorded, r) for s, r in touching.items() if r is not None}
        if all(one.same for one in laid.values()) and self._is_flat():
            return beside
        bases = {1: case.recorded, -1: case.recorded}
        for s, one in laid.items():
            touch = touching[s]
            assert touch is not None
            if one.parted is not None or self._leaps(s, one):
                beside.pieces.add(s)
                bases[s] = touch
        for signs in [{1, -1}] if not beside.pieces else [{1}, {-1}]:
            base = bases[min(signs)]
            rates = dict(self._followed(base, signs))
            for key, weight in _weights(base, list(rates)).items():
                beside.weights[key] = weight
                beside.moving[key] = weight * rates[key]
                beside.flat |= not any(key in one.changes for one in laid.values())
        return beside

    def missing_in(self, k: int, beside: Beside) -> tuple[float, float]:
        """The slope in input k that the graph lacks by what is cut from it; the size of its terms.

        nan where f takes other branches beside the point.
        """
        h = beside.step if beside.flat else _CENTRAL
        total = size = 0.0
        ends = [self.recorded(sign * h, [k]) for sign in (1, -1)]
        laid = [lay(self.case.recorded, end) for end in ends if end is not None]
        if len(laid) < 2 or any(one.parted is not None for one in laid) or beside.pieces:
            return math.nan, math.nan
        above, below = (one.changes for one in laid)
        for key in beside.moving:
            change = above.get(key, 0.0) - below.get(key, 0.0)
            part = beside.weights[key] * change / (2 * h * self.direction[k])
            total += part
            size += abs(part)
        return total, size

    def moves(self, part: list[int], beside: Beside) -> bool:
        """Whether a constant that is cut moves with these inputs alone."""
        beside_part = self.recorded(beside.step, part)
        if beside_part is None:
            return True
        one = lay(self.case.recorded, beside_part)
        return one.parted is not None or not beside.moving.keys().isdisjoint(one.changes)

    def _is_flat(self) -> bool:
        """Whether nothing moves at the widest step at which f takes the same branches either."""
        for h in _WIDE:
            wide = self.recorded(h)
            one = None if wide is None else lay(self.case.recorded, wide)
            if one is not None and one.parted is None:
                return not one.changes
        return True

    def _leaps(self, sign: int, one: Laid) -> bool:
        """Whether a constant is another beside the point, however near: a knot of a table."""
        if not one.changes:
            return False
        farther = self.recorded(sign * _FINE[-1])
        if farther is None:
            return True
        other = lay(self.case.recorded, farther)
        if other.parted is not None:
            return True
        return any(abs(other.changes.get(k, 0.0)) < _LEAP * abs(d) for k, d in one.changes.items())

    def _followed(self, base: Recording, signs: set[int]) -> Iterator[tuple[Key, float]]:
        """The constants of a graph that follow the inputs on these sides, and their rates."""
        seen: dict[float, dict[Key, float]] = {}
        for s in signs:
            for h in (*_FINE, *_WIDE[:2]):
                r = self.recorded(s * h)
                one = None if r is None else lay(base, r)
                if one is not None and one.parted is None:
                    seen[s * h] = one.changes
        for key in dict.fromkeys(key for changes in seen.values() for key in changes):
            rates = {h: changes[key] / h for h, changes in seen.items() if changes.get(key)}
            small = [rate for h, rate in rates.items() if abs(h) == _FINE[-1]]
            if small:
                yield key, sum(small) / len(small)
            elif self._is_rounded(key, rates):
                yield key, sum(rates.values()) / len(rates)

    def _is_rounded(self, key: Key, rates: dict[float, float]) -> bool:
        """Whether what only large steps move follows the inputs, in steps or below rounding."""
        node, k = key
        constant = node.data if k < 0 else operands_of(node)[k]
        largest = max(map(abs, rates.values()))
        if largest * _FINE[-1] < _SEEN * math.ulp(constant):
            return True
        if constant.is_integer() and all((r * h).is_integer() for h, r in rates.items()):
            return False  # a count or the place in a table, which are no rounded numbers
        alike = max(rates.values()) - min(rates.values()) <= _ALIKE * largest
        return alike and len({abs(h) for h in rates}) > 1


def _weights(base: Recording, keys: list[Key]) -> dict[Key, float]:
    """d(root)/d(the constant operand of a node), or of a leaf itself."""
    inner, ends = visited(base.root)
    arrived = derivatives(inner, ends, [(base.root, 1.0)], [node for node, _ in keys])
    weights = dict(zip(keys, arrived, strict=True))
    with decimals.digits(_DIGITS):
        for node, k in keys:
            if k >= 0 and node.op is not None and weights[node, k]:
                at = list(map(Decimal, operands_of(node)))
                weights[node, k] *= float(slope(node.op, k, at, decimals.value(node.op)(*at)))
    return weights


def touching(
    chosen: list[int], moves: Callable[[list[int]], bool], most: int
) -> tuple[set[int], set[int]]:
    """Those inputs of which `moves` is true alone, by halving, and those that were not asked.

    Each costs as many runs as its index has bits; `most` runs are made.
    """
    found: set[int] = set()
    stack, runs = [chosen] * bool(chosen), 0
    while stack and runs < most:
        part = stack.pop()
        runs += 1
        if not moves(part):
            continue
        if len(part) == 1:
            found.add(part[0])
        else:
            half = len(part) // 2
            stack += [part[half:], part[:half]]
    return found, {k for part in stack for k in part}
