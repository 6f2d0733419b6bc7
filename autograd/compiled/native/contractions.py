"""Kernels for contractions: one for each shape, in blocks of registers, and one for all shapes.

Both kinds add in the same order, so they give the same bits.
"""

from collections.abc import Callable, Sequence
from itertools import product

from autograd.compiled.native.ir import Function, Term, Whole
from autograd.compiled.native.shapes import ONCE, SIZES, Shape, pieces

Piece = tuple[int, int, int]  # of a line: its start, its width, and how many numbers count
Key = tuple[Piece, int, int]  # of a sum in a block: its piece, and its indices along p and q
Places = list[Whole]  # of out, x and y
Steps = Sequence[Whole]  # of a loop: its length, and its strides in out, x and y
UNROLLED = 64  # products that are written out one after the other
OUT, X, Y, SHAPE = range(2, 6)  # fields of a record; only the kernel for all shapes has the last


class _Kernel:
    """What both kinds of kernels share: nested loops, and reading factors."""

    def __init__(self, f: Function, moves: tuple[int, int, int], alone: int) -> None:
        self.f, self.moves, self.alone = f, moves, alone
        self.out, *self.factors = (f.at(f.field(k)) for k in (OUT, X, Y))

    def nested(self, loops: Sequence[Steps], at: Places, body: Callable[[Places], None]) -> None:
        """Write the body inside the loops."""
        if not loops:
            body(at)
            return
        (length, *strides), *rest = loops
        self.f.each(length, lambda i: self.nested(rest, moved(at, i, strides), body))

    def factor(self, side: int, place: Whole, piece: Piece, mask: Term | None = None) -> Term:
        """Neighbours of x (0) or y (1), or one number in every place."""
        f, (start, width, kept) = self.f, piece
        if self.moves[1 + side]:
            mask = f.first(kept) if kept else mask
            vector = f.load(f.pointer(self.factors[side], place + start), width, mask)
        else:
            vector = f.spread(f.load(f.pointer(self.factors[side], place), 1), width)
        return abs(vector) if self.alone == SIZES else vector


def moved(at: Places, i: Whole, strides: Steps) -> Places:
    """The places after i steps."""
    return [place + i * step for place, step in zip(at, strides, strict=True)]


# ---------------------------------------------------------------------- for one shape


class _OneShape(_Kernel):
    """A kernel in blocks: neighbouring results along p share x, and those along q share y.

    Attributes:
        p, q: the loops over the results of a block, `sizes` steps at a time.
        together: the number of pieces of the vector loop in a block.
    """

    def __init__(self, f: Function, shape: Shape, registers: int) -> None:
        super().__init__(f, shape.vector[1:], shape.alone)
        self.shape = shape
        # Results that share a place must be added in the order of the loops, so without blocks.
        blocked = shape.outer if shape.apart else ()
        self.p = max((loop for loop in blocked if not loop.x), default=ONCE)
        self.q = max((loop for loop in blocked if not loop.y and loop is not self.p), default=ONCE)
        rest = [loop for loop in shape.outer if loop is not self.p and loop is not self.q]
        self.others = sorted(rest, reverse=True) if shape.apart else rest
        self.line = pieces(shape.vector.length, f.vector)
        shared = (self.p, self.q) != (ONCE, ONCE) and shape.vector.x == shape.vector.y
        self.together = max(1, min(len(self.line), 2 if shared else 4, registers // 2))
        self.sizes = self._sizes(max(1, registers // self.together))

    def _sizes(self, budget: int) -> tuple[int, int]:
        """The numbers of results along p and along q in a block, within a budget of sums."""
        p, q = self.p.length, self.q.length
        if self.p is ONCE or self.q is ONCE:
            return min(p, budget, 14), min(q, budget, 14)
        together, vector = self.together, self.shape.vector

        def cost(size: tuple[int, int]) -> float:
            i, j = size
            loads = (together * j if vector.x else j) + (together * i if vector.y else i)
            return loads / (i * j * together) * (1 + 0.3 * ((p % i > 0) + (q % j > 0)))

        sizes = product(range(1, min(p, 8) + 1), range(1, min(q, 8) + 1))
        return min((size for size in sizes if size[0] * size[1] <= budget), key=cost)

    def write(self) -> None:
        """Write all of it."""
        self.nested(self.others, [0, 0, 0], self._blocks)

    def _blocks(self, at: Places) -> None:
        """Write all blocks of p and q; those at the ends are smaller."""
        for start, many, p in _segments(self.p.length, self.sizes[0]):
            for first, times, q in _segments(self.q.length, self.sizes[1]):
                here = moved(moved(at, start, self.p[1:]), first, self.q[1:])
                steps = [
                    (many, *(p * stride for stride in self.p[1:])),
                    (times, *(q * stride for stride in self.q[1:])),
                ]
                self.nested(steps, here, lambda at, p=p, q=q: self._along(at, p, q))  # type: ignore[misc]

    def _along(self, at: Places, p: int, q: int) -> None:
        """Write a block at every piece of the vector loop."""
        shape, line, together, width = self.shape, self.line, self.together, self.f.vector
        whole = shape.vector.length // width
        if not shape.vector.out:  # a sum: whole vectors first, then the rest of the line
            strides = [width * stride for stride in shape.vector[1:]]
            if whole:
                more = [(whole, *strides)] if whole > 1 else []
                self._block(at, p, q, line[:1], [*shape.sums, *more], shape.add)
            for k, piece in enumerate(line[whole:], whole):
                here = moved(at, k, strides)
                self._block(here, p, q, [(0, *piece[1:])], shape.sums, shape.add or whole > 0)
            return
        groups = whole // together if whole // together > 2 else 0
        steps = [(groups, *(width * together * stride for stride in shape.vector[1:]))]
        self.nested(
            steps, at, lambda at: self._block(at, p, q, line[:together], shape.sums, shape.add)
        )
        for k in range(groups * together, len(line), together):
            self._block(at, p, q, line[k : k + together], shape.sums, shape.add)

    def _block(
        self, at: Places, p: int, q: int, line: list[Piece], sums: Sequence[Steps], add: bool
    ) -> None:
        """Compute the sums of a block in registers, then store them."""
        f, out = self.f, self.shape.vector.out
        keys = [(piece, i, j) for piece in line for i in range(p) for j in range(q)]
        zeros = [f.number(0.0, width) for (_, width, _), _, _ in keys]
        for ((start, _, kept), i, j), total in zip(
            keys, self._summed(sums, at[1:], zeros, keys), strict=True
        ):
            place = at[0] + i * self.p.out + j * self.q.out + start * out
            pointer = f.pointer(self.out, place)
            mask = f.first(kept) if kept and out else None
            total = total if out else total.total()
            if add:
                before = f.load(pointer, total.lanes, mask)
                total = before + total if self.shape.sign > 0 else before - total
            elif self.shape.sign < 0:
                total = -total
            f.store(total, pointer, mask)

    def _summed(
        self, loops: Sequence[Steps], at: Places, totals: list[Term], keys: list[Key]
    ) -> list[Term]:
        """The totals after all terms."""
        if not loops:
            return self._products(at, totals, keys)
        (length, _, *strides), *rest = loops
        assert isinstance(length, int)
        sizes = (n for n in (length, 4, 3, 2) if length % n == 0 and n * len(keys) <= UNROLLED)
        steps = 1 if rest else next(sizes, 1)

        def body(i: Whole, totals: list[Term]) -> list[Term]:
            for k in range(steps):
                totals = self._summed(rest, moved(at, i * steps + k, strides), totals, keys)
            return totals

        return self.f.loop(length // steps, body, totals)

    def _products(self, at: Places, totals: list[Term], keys: list[Key]) -> list[Term]:
        """The totals, each with one more product."""
        loaded: dict[tuple[int, int, int], Term] = {}  # factors that several results share

        def factor(side: int, piece: Piece, along: int, stride: int) -> Term:
            key = side, along, piece[0] if self.moves[1 + side] else -piece[1]
            if key not in loaded:
                loaded[key] = self.factor(side, at[side] + along * stride, piece)
            return loaded[key]

        sums = []
        for (piece, i, j), total in zip(keys, totals, strict=True):
            x = factor(0, piece, j, self.q.x)
            y = None if self.alone else factor(1, piece, i, self.p.y)
            sums.append(total + x if y is None else x.times_plus(y, total))
        return sums


def _segments(length: int, most: int) -> list[tuple[int, int, int]]:
    """A loop in blocks of equal size: (start, number of blocks, size) for each group."""
    if length <= most:
        return [(0, 1, length)]
    even = next((size for size in range(most, max(2, most // 2), -1) if length % size == 0), most)
    rest = length % even
    return [(0, length // even, even), *([(length - rest, 1, rest)] if rest else [])]


def contraction(f: Function, shape: Shape, registers: int) -> None:
    """Write the kernel of one shape."""
    _OneShape(f, shape, registers).write()


# ---------------------------------------------------------------------- for all shapes

_OUTER, _SUMS = 4, 5  # its numbers of loops over results and over terms


def described(shape: Shape) -> list[int]:
    """The shape as numbers in a table, for the kernel for all shapes."""
    loops = [
        *shape.outer, *[ONCE] * (_OUTER - len(shape.outer)),
        *[ONCE] * (_SUMS - len(shape.sums)), *shape.sums,
    ]  # fmt: skip
    head = [shape.sign, int(shape.add), shape.vector.length]
    return head + [number for loop in loops for number in loop]


class _AnyShape(_Kernel):
    """The kernel that reads its loops from the tables and computes one result after the other."""

    def __init__(self, f: Function, moves: tuple[int, int, int], alone: int, whole: bool) -> None:
        super().__init__(f, moves, alone)
        self.whole = whole
        table = f.table(f.field(SHAPE))
        self.sign, self.add, self.length, *known = (
            f.signed(table, k) for k in range(3 + 4 * (_OUTER + _SUMS))
        )
        loops = [known[k : k + 4] for k in range(0, len(known), 4)]
        self.outer, self.sums = loops[:_OUTER], loops[_OUTER:]

    def write(self) -> None:
        """Write all of it."""
        self.nested(self.outer, [0, 0, 0], self._result)

    def _result(self, at: Places) -> None:
        """Write the vectors of one result: whole ones, and the rest of the line."""
        f, out = self.f, self.moves[0]
        whole, rest = self.length // f.vector, self.length % f.vector
        steps = [whole, *(f.spread(f.vector * moves, 1) for moves in self.moves)]
        add = self.add
        if out:
            self.nested([steps], at, lambda at: self._piece(at, [], add, None))
        else:
            some = whole.compare("sgt", 0)
            f.only_if(some, lambda: self._piece(at, [steps], self.add, None))
            add = self.add | some.cast("zext", "i64")
        if not self.whole:
            here = moved(at, self.length - rest, self.moves)
            f.only_if(rest.compare("sgt", 0), lambda: self._piece(here, [], add, f.first(rest)))

    def _piece(self, at: Places, more: list[Steps], add: Term, mask: Term | None) -> None:
        """Write one vector of results, or one result that is the sum of a vector."""
        f, out = self.f, self.moves[0]
        total = self._summed([*self.sums, *more], at[1:], f.number(0.0), mask)
        pointer = f.pointer(self.out, at[0])
        total, mask = (total, mask) if out else (total.total(), None)
        total = total * f.spread(f.as_real(self.sign), total.lanes)
        added = f.load(pointer, total.lanes, mask) + total
        f.store(add.compare("ne", 0).select(added, total), pointer, mask)

    def _summed(self, loops: Sequence[Steps], at: Places, total: Term, mask: Term | None) -> Term:
        """The total after all terms."""
        if not loops:
            piece = (0, self.f.vector, 0)
            x = self.factor(0, at[0], piece, mask)
            if self.alone:
                return total + x
            return x.times_plus(self.factor(1, at[1], piece, mask), total)
        (length, _, *strides), *rest = loops

        def body(i: Whole, totals: list[Term]) -> list[Term]:
            return [self._summed(rest, moved(at, i, strides), totals[0], mask)]

        return self.f.loop(length, body, [total])[0]


def any_shape(f: Function, moves: tuple[int, int, int], alone: int, whole: bool) -> None:
    """Write the kernel for all shapes whose vector loop has the strides `moves`.

    `whole` says that the length of that loop is a multiple of a vector's.
    """
    _AnyShape(f, moves, alone, whole).write()
