"""From scalars to vectors: the operations of a tape as few instructions over many lanes.

A chain of additions over products becomes one dot product.  Results that can be computed side by
side become the lanes of one instruction.  Where their operands lie at constant distances, no
addresses are needed, and the instruction is a contraction: z += sign * x * y, over up to three
loops of lanes and one of terms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd.compiled.tape import Tape
from autograd.compiled.traced import ARGMAX, DETACH, MASK, SELECT
from autograd.value import rows

Array = Any
# Parameters and constants are shared by all samples; their addresses start here.  NumPy's own
# integers have 32 bits in a browser, and have to hold an address.
SHARED = 1 << 30
_FAR = SHARED // 2  # larger than any distance between two lanes or two shared numbers
CONTRACT, GATHER, ROW, CHOOSE, LARGEST, MASKED = range(6)
# Rows that are sums and products by their own text may be regrouped; other rows may not.
_LINEAR = {"x + y": (1, 1), "x - y": (1, -1), "-x": (-1, 0), "+x": (1, 0)}
_PRODUCTS = {"x * y": False, "x * x": True}
_MIN_PRODUCTS = 24  # of a contraction; with fewer, looking operands up is faster
_MIN_PRODUCTS_OF_ALL = 8  # of a contraction that leaves no lane to be looked up
_LANES_PER_CONTRACTION = 8  # lanes that are looked up in the time of one contraction


@dataclass
class Instruction:
    """One vector instruction: what it does, to how many lanes, and where they are.

    Attributes:
        kind: CONTRACT, GATHER (a sum of products that are looked up), ROW (an operation of the
            table), CHOOSE, LARGEST, or MASKED (groups of values, of which the one that an index
            selects is replaced by the group's number).
        z: the first lane; `zs` and `sizes` say where the other lanes of a contraction are.
        pool: the addresses of operands that are looked up.  The third array of GATHER has the
            lanes of the results.  MASKED has values, indices, the value's position in its group,
            and the number instead.
        counts: how many terms, or entries to choose from, each lane has; for MASKED, how many lanes
            each group has.
        wanted: whether a gradient is wanted in x and in y.
    """

    kind: int
    level: int
    lanes: int
    z: int
    op: int = -1
    sign: float = 1.0
    sizes: tuple[int, ...] = (1, 1, 1, 1)
    zs: tuple[int, ...] = (0, 0, 0, 0)
    x: int = 0
    xs: tuple[int, ...] = (0, 0, 0, 0)
    y: int = 0
    ys: tuple[int, ...] = (0, 0, 0, 0)
    pool: tuple[Array, ...] = ()
    counts: Array = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    wanted: tuple[bool, bool] = (False, False)

    @property
    def terms(self) -> tuple[int, int]:
        """The smallest and the largest number of terms of a lane."""
        if len(self.counts) and self.kind != MASKED:
            return int(self.counts.min()), int(self.counts.max())
        return self.sizes[3], self.sizes[3]

    @property
    def results(self) -> Array:
        """The lanes that it writes."""
        if self.kind == GATHER:
            return self.pool[2]
        if self.kind != CONTRACT:
            return self.z + np.arange(self.lanes)
        return self._grid(self.z, self.zs, loops=3)

    @property
    def products(self) -> tuple[Array, Array, Array]:
        """For a sum of products: the lane of each product, and the addresses of its factors."""
        if self.kind == GATHER:
            x, y, lanes = self.pool
            return np.repeat(lanes, self.counts), x, y
        sides = (self.z, self.zs), (self.x, self.xs), (self.y, self.ys)
        z, x, y = (self._grid(base, strides) for base, strides in sides)
        return z, x, y

    def _grid(self, base: int, strides: tuple[int, ...], loops: int = 4) -> Array:
        """The addresses of a side of a contraction, over its first loops."""
        sizes = self.sizes[:loops]
        return base + np.dot(strides[:loops], np.indices(sizes).reshape(loops, -1))

    @property
    def operands(self) -> Array:
        """The addresses that it reads."""
        if self.kind == CONTRACT:
            return np.unique(self.products[1:])
        pools = self.pool[:2]  # the number instead of a masked one is a constant
        return np.unique(np.concatenate([np.ravel(array) for array in pools]))


@dataclass
class _Root:
    """A node that gets a lane; nodes with equal keys may share an instruction."""

    node: int
    key: tuple[Any, ...]
    operands: Any
    reads: Sequence[int]


def _roots(tape: Tape) -> list[_Root]:
    """The nodes that are not part of a larger sum, in order of creation."""
    table = rows()
    texts = [table[name].texts[0] for name in tape.ops]
    linear, product = [_LINEAR.get(text) for text in texts], [_PRODUCTS.get(text) for text in texts]
    code, a, b, cut = (array.tolist() for array in (tape.code, tape.a, tape.b, tape.cut))
    sources, total = tape.sources, len(tape)
    uses = np.zeros(total + 1, dtype=np.int64)
    computed = tape.code >= 0
    np.add.at(uses, tape.a[computed], 1)
    np.add.at(uses, tape.b[computed & (tape.b >= 0)], 1)
    others = (tape.tables, tape.outputs, tape.guards[:, 1:3].ravel(), tape.a[~computed])
    for indices in others:
        np.add.at(uses, indices[indices >= 0], 2)  # so that these are never fused
    used = uses.tolist()
    fused = bytearray(total)
    roots: list[_Root] = []
    for i in range(len(code) - 1, -1, -1):
        node, k = sources + i, code[i]
        if fused[node]:
            continue
        if k == DETACH:
            roots.append(_Root(node, ("sum", 0, 0, 1, 0, True), [[], [], [a[i]], []], [a[i]]))
        elif k < 0:
            entries = tape.tables[b[i] : b[i] + tape.count[i]].tolist()
            reads = entries if k == ARGMAX else [a[i], *entries]
            roots.append(_Root(node, (k,), (a[i], entries), reads))
        elif linear[k] is None and product[k] is None:
            operands = [a[i]] if b[i] < 0 else [a[i], b[i]]
            roots.append(_Root(node, (k, cut[i]), (a[i], b[i]), operands))
        else:
            groups: list[list[Any]] = [[], [], [], []]  # products and single terms, + and -
            reads = []
            stack = [(node, 1)]
            while stack:
                n, sign = stack.pop()
                j = n - sources
                inside = n == node
                if not inside and j >= 0 and used[n] == 1 and code[j] >= 0 and cut[j] == cut[i]:
                    inside = linear[code[j]] is not None or product[code[j]] is not None
                    fused[n] = inside
                if not inside:
                    groups[2 if sign > 0 else 3].append(n)
                    reads.append(n)
                elif product[code[j]] is not None:
                    pair = (a[j], a[j]) if product[code[j]] else (a[j], b[j])
                    groups[0 if sign > 0 else 1].append(pair)
                    reads += pair
                else:
                    sx, sy = linear[code[j]]
                    if sy:
                        stack.append((b[j], sign * sy))
                    stack.append((a[j], sign * sx))
            roots.append(_Root(node, ("sum", *map(len, groups), cut[i]), groups, reads))
    return roots[::-1]


def _levels(roots: list[_Root], total: int) -> list[list[int]]:
    """The earliest and the latest level at which each root can run."""
    early = [0] * total
    for root in roots:
        early[root.node] = 1 + max(early[n] for n in root.reads)
    height = [0] * total
    for root in reversed(roots):
        above = height[root.node] + 1
        for n in root.reads:
            height[n] = max(height[n], above)
    top = max([height[root.node] for root in roots], default=0)
    late = [1 + top - above for above in height]
    return [early, late]


def _grouped(roots: list[_Root], level: list[int]) -> list[tuple[int, list[_Root]]]:
    """(level, roots with equal keys), in order of the levels."""
    groups: dict[Any, list[_Root]] = {}
    for root in roots:
        groups.setdefault((level[root.node], root.key), []).append(root)
    ordered = [(at, members) for (at, _), members in groups.items()]
    return sorted(ordered, key=lambda group: group[0])


class Lowered:
    """The instructions of a tape, in the order in which they run, and where each number is.

    Attributes:
        address: of each node of the tape; -1 if it is part of a larger sum.
        lane_of: the node of each lane.
        slots: how many lanes there are, inputs included.
        shared: how many numbers all samples share.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.instructions: list[Instruction] = []
        roots = _roots(tape)
        groups = min((_grouped(roots, level) for level in _levels(roots, len(tape))), key=len)
        self.levels = groups[-1][0] if groups else 0
        constants, sources = len(tape.constants), tape.sources
        self.shared = constants + tape.parameters
        self.address = np.full(len(tape), -1, dtype=np.int64)
        self.address[: self.shared] = SHARED + np.arange(self.shared)
        self.address[self.shared : sources] = np.arange(tape.inputs)
        nodes = [root.node for _, members in groups for root in members]
        self.lane_of = [*range(self.shared, sources), *nodes]
        self.slots = len(self.lane_of)
        self.address[nodes] = tape.inputs + np.arange(len(nodes))
        self.live = np.full(len(tape), False)  # whether each node needs a gradient
        self.live[constants : self.shared] = True
        self.live[self.shared : sources] = ~tape.whole
        self._rest: dict[Any, list[Any]] = {}  # terms of the current level that are looked up
        for k, (at, members) in enumerate(groups):
            self._emit(at, members)
            if k + 1 == len(groups) or groups[k + 1][0] != at:
                self._gather(at)

    def _emit(self, at: int, members: list[_Root]) -> None:
        key = members[0].key
        nodes = [root.node for root in members]
        if key[0] == "sum":
            *counts, cut = key[1:]
            flows = False
            for kind, size in enumerate(counts):
                if size:
                    terms = np.array([root.operands[kind] for root in members])
                    flows |= self._sum(at, nodes, kind, terms, cut)
            self.live[nodes] = flows
            return
        z, lanes = int(self.address[nodes[0]]), len(nodes)
        if key[0] in (SELECT, ARGMAX):
            entries = np.array([n for root in members for n in root.operands[1]])
            pool: tuple[Array, ...] = (self.address[entries],)
            alive = key[0] == SELECT and bool(self.live[entries].any())
            if key[0] == SELECT:
                pool += (self.address[np.array([root.operands[0] for root in members])],)
            step = Instruction(
                CHOOSE if key[0] == SELECT else LARGEST, at, lanes, z, pool=pool,
                counts=np.array([len(root.operands[1]) for root in members]),
                wanted=(alive, False),
            )  # fmt: skip
        elif key[0] == MASK:
            value, index, positions, instead = np.array(
                [[root.operands[0], *root.operands[1]] for root in members]
            ).T
            numbers = self.tape.constants[positions].astype(np.int64)
            ends = np.diff(numbers) != 1  # of groups: one index, one number instead
            for other in index, instead:
                ends |= np.diff(other) != 0
            step = Instruction(
                MASKED, at, lanes, z, wanted=(bool(self.live[value].any()), False),
                pool=(self.address[value], self.address[index], numbers, self.address[instead]),
                counts=np.diff(np.concatenate([[0], np.flatnonzero(ends) + 1, [lanes]])),
            )  # fmt: skip
        else:
            k, cut = key
            columns = np.array([root.operands for root in members]).T
            columns = columns if columns[1, 0] >= 0 else columns[:1]
            wanted = [bool(self.live[column].any()) and not cut for column in columns]
            step = Instruction(
                ROW, at, lanes, z, op=k,
                pool=tuple(self.address[column] for column in columns),
                wanted=(wanted[0], wanted[-1] and len(wanted) == 2),
            )  # fmt: skip
        self.instructions.append(step)
        self.live[nodes] = any(step.wanted)

    def _sum(self, at: int, nodes: list[int], kind: int, terms: Array, cut: bool) -> bool:
        """Add the instructions for one kind of terms; whether any operand needs a gradient."""
        sign = 1.0 if kind % 2 == 0 else -1.0
        z = int(self.address[nodes[0]])
        if kind < 2:
            x, y = self.address[terms[:, :, 0]], self.address[terms[:, :, 1]]
            lx, ly = bool(self.live[terms[:, :, 0]].any()), bool(self.live[terms[:, :, 1]].any())
            swap = (y >= SHARED) & (x < SHARED)
            if swap.any():
                x, y = np.where(swap, y, x), np.where(swap, x, y)
                lx, ly = (ly, lx) if swap.all() else (True, True)
        else:
            x, lx, ly = self.address[terms], bool(self.live[terms].any()), False
            y = np.full_like(x, SHARED + self.shared)  # the one that follows the shared numbers
        wanted = (lx and not cut, ly and not cut)
        boxes, rest = _boxes(x, y)
        if 1 < x.shape[1] <= 4:  # single terms may be more regular
            each = [_boxes(x[:, t : t + 1], y[:, t : t + 1]) for t in range(x.shape[1])]
            count = sum(len(regular) for regular, _ in each)
            looked_up = sum(len(left) for _, left in each)
            together = len(boxes) + len(rest) * x.shape[1] / _LANES_PER_CONTRACTION
            if count + looked_up / _LANES_PER_CONTRACTION < together:
                boxes = [box for regular, _ in each for box in regular]
                rest = np.zeros(0, dtype=np.int64)
                for t, (_, left) in enumerate(each):
                    self._look_up(sign, wanted, z + left, x[left, t : t + 1], y[left, t : t + 1])
        for start, sizes, zs, bx, xs, by, ys in boxes:
            self.instructions.append(
                Instruction(
                    CONTRACT, at, sizes[0] * sizes[1] * sizes[2], z + start, sign=sign,
                    sizes=sizes, zs=zs, x=bx, xs=xs, y=by, ys=ys, wanted=wanted,
                )
            )  # fmt: skip
        self._look_up(sign, wanted, z + rest, x[rest], y[rest])
        return any(wanted)

    def _look_up(
        self, sign: float, wanted: tuple[bool, bool], lanes: Array, x: Array, y: Array
    ) -> None:
        """Note terms for the GATHER instructions at the end of the level."""
        if len(lanes):
            counts = np.full(len(lanes), x.shape[1], dtype=np.intp)
            self._rest.setdefault((sign, wanted), []).append((lanes, counts, x.ravel(), y.ravel()))

    def _gather(self, at: int) -> None:
        for (sign, wanted), parts in self._rest.items():
            lanes, counts, x, y = (np.concatenate(column) for column in zip(*parts, strict=True))
            self.instructions.append(
                Instruction(
                    GATHER, at, len(lanes), int(lanes[0]), sign=sign, pool=(x, y, lanes),
                    counts=counts, wanted=wanted,
                )
            )  # fmt: skip
        self._rest = {}


def _boxes(x: Array, y: Array) -> tuple[list[Any], Array]:
    """The lanes as boxes whose operands have constant strides, and the lanes outside all boxes.

    A box is (first lane, sizes, strides of z, base and strides of x, base and strides of y).
    """
    lanes, terms = x.shape
    steps = np.zeros((lanes, 2), dtype=np.int64)
    steady = np.ones(lanes, dtype=bool)
    if terms > 1:
        dx, dy = np.diff(x), np.diff(y)
        if (dx != dx[:, :1]).any() or (dy != dy[:, :1]).any():
            order = np.argsort(x, kind="stable")  # a sum may be taken in any order
            x, y = np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)
            dx, dy = np.diff(x), np.diff(y)
            steady = (dx == dx[:, :1]).all(axis=1) & (dy == dy[:, :1]).all(axis=1)
        steps = np.stack([dx[:, 0], dy[:, 0]], axis=1)
        steady &= (abs(steps) < _FAR).all(axis=1)  # no step between lanes and shared numbers
    # (first lane, base of x and y, strides over terms, then sizes and strides of the loops)
    items: list[Any] = [
        (lane, bx, by, (sx, sy), (), ()) if good else None
        for lane, (bx, by, sx, sy, good) in enumerate(
            zip(x[:, 0].tolist(), y[:, 0].tolist(), *steps.T.tolist(), steady.tolist(), strict=True)
        )
    ]
    for _ in range(3):
        items = _merged(items)
    boxes, rest = [], np.full(lanes, True)
    for item in items:
        if item is None:
            continue
        start, bx, by, (sx, sy), sizes, strides = item
        count = sizes[0] * sizes[1] * sizes[2]
        if count * terms < (_MIN_PRODUCTS_OF_ALL if count == lanes else _MIN_PRODUCTS):
            continue
        rest[start : start + count] = False
        zs = (1, sizes[0], sizes[0] * sizes[1], 0)
        xs, ys = (*(s[0] for s in strides), sx), (*(s[1] for s in strides), sy)
        boxes.append((start, (*sizes, terms), zs, bx, xs, by, ys))
    return boxes, np.flatnonzero(rest)


def _merged(items: list[Any]) -> list[Any]:
    """The items, with neighbours at a constant distance merged into one item with one more loop."""
    merged: list[Any] = []
    i, count = 0, len(items)
    while i < count:
        first = items[i]
        if first is None:
            merged.append(None)
            i += 1
            continue
        lane, bx, by, step, sizes, strides = first
        k, jump = 1, (0, 0)
        last = first
        while i + k < count:
            item = items[i + k]
            if item is None or item[3:] != first[3:]:
                break
            move = (item[1] - last[1], item[2] - last[2])
            if max(map(abs, move)) >= _FAR:
                break
            if k == 1:
                jump = move
            elif move != jump:
                break
            last = item
            k += 1
        merged.append((lane, bx, by, step, (*sizes, k), (*strides, jump)))
        i += k
    return merged
