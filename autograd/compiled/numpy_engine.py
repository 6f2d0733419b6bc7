"""The engine that runs a `Program` with NumPy alone."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import cache, partial
from typing import Any

import numpy as np

from autograd.compiled import margins
from autograd.compiled.encoded import BLOCKS, DOUBTFUL, FAILED, LOOPS, PASSED, Batch, Encoded
from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, LARGEST, MASKED, ROW
from autograd.compiled.precision import DOUBLE
from autograd.compiled.program import Program
from autograd.compiled.rounding import INFINITE
from autograd.compiled.traced import COMPARISONS
from autograd.printers import arrays
from autograd.printers.arrays import row_of_arrays
from autograd.value import rows

Array = Any
Memory = tuple[Encoded, Array, Array]


@cache
def margins_of_arrays(variant: margins.Variant) -> Callable[..., Any]:
    """A function of arrays x, y, z, p and q that gives the margin and the doubt of a row."""
    rules = margins.margins(rows()[variant.op], variant.unsigned)
    results = f"{arrays.text(rules.margin)}, {arrays.text(rules.doubt)}"
    return arrays.defined(f"{variant.op}_margins", "x, y, z, p, q", rules.parts, results)


def _magnitudes(numbers: Array) -> Array:
    """The magnitudes of numbers, as `rounding` defines them."""
    sizes = abs(numbers)
    sizes = np.where((sizes > 0.0) & (sizes < DOUBLE.smallest), DOUBLE.smallest, sizes)
    return np.where(sizes == np.inf, INFINITE, sizes)


def _margins(code: Encoded, memory: Array, offsets: Array) -> Array:
    """The margins of the numbers at these offsets."""
    sizes = memory[offsets + code.magnitudes.first]
    return memory[offsets + code.bounds.first] - code.unit * sizes


def _terms(code: Encoded, start: int, lanes: int) -> tuple[Array, int]:
    """The start of each lane's terms, and the end of the last, as indices; and how many terms."""
    starts = _starts(code, start, lanes)
    return starts, int(starts[-1])


def _starts(code: Encoded, start: int, groups: int) -> Array:
    """The start of each group, and the end of the last, in the integers that NumPy counts with."""
    return code.pool[start : start + groups + 1].astype(np.intp, copy=False)


def _at(flagged: Array, sample: Array) -> Array:
    """The offsets of numbers, for some samples."""
    offset, own = flagged >> 1, flagged & 1
    return offset[..., None] + own[..., None] * sample


def _masks(row: list[int], code: Encoded, memory: Array, sample: Array) -> Array:
    """Whether each lane is the one that its group's index selects."""
    lanes, py, start, groups = row[2], row[5], row[6], row[8]
    starts = _starts(code, start, groups)
    counts = np.diff(starts)
    index = np.repeat(memory[_at(code.pool[py : py + groups], sample)], counts, axis=0)
    first = code.pool[row[10] : row[10] + groups] - starts[:-1]
    return index == (np.arange(lanes) + np.repeat(first, counts))[:, None]


def _view(memory: Array, start: int, sizes: list[int], strides: list[int]) -> Array:
    return np.lib.stride_tricks.as_strided(
        memory[start:], sizes, [8 * stride for stride in strides]
    )


def contract(Z: Array, X: Array, Y: Array, row: list[int]) -> None:  # noqa: N803
    """Add to Z the sums of products that a row describes."""
    sign, z, x, y = row[1:5]
    n, zs, xs, ys = (row[5 + LOOPS * k : 5 + LOOPS * (k + 1)] for k in range(4))
    over = [d for d in range(LOOPS) if n[d] > 1 and zs[d] != 0]  # loops over lanes
    axes = list(range(LOOPS))
    sums = np.einsum(_view(X, x, n, xs), axes, _view(Y, y, n, ys), axes, over)
    reach = 0
    for d in sorted(over, key=lambda d: abs(zs[d])):
        if abs(zs[d]) <= reach:  # lanes overlap, as in a convolution
            grid = np.array(z)
            for k in over:
                grid = grid[..., None] + zs[k] * np.arange(n[k])
            np.add.at(Z, grid, sign * sums)
            return
        reach += abs(zs[d]) * (n[d] - 1)
    target = _view(Z, z, [n[d] for d in over], [zs[d] for d in over])
    target += sign * sums


class NumpyEngine:
    """Runs a program with NumPy alone, on one thread."""

    name = "numpy"

    def __init__(self, program: Program) -> None:
        self.program = program
        self._codes: dict[int, Encoded] = {}
        self._local = threading.local()
        self.ops = [rows()[name] for name in program.tape.ops]
        self.margins = [margins_of_arrays(variant) for variant in program.cone.rows]

    def memory(self, samples: int) -> Memory:
        """The rows for so many samples, and this thread's memory for numbers and gradients."""
        block = next((size for size in BLOCKS if size >= samples), BLOCKS[-1])
        kept: dict[Any, Any] = self._local.__dict__
        if block not in kept:
            if block not in self._codes:
                self._codes[block] = Encoded(self.program, block)
            code = self._codes[block]
            memory = np.zeros(code.size)
            memory[: code.shared] = 1.0
            constants = self.program.tape.constants
            memory[: len(constants)] = constants
            kept[block] = code, memory, np.zeros(code.size)
        return kept[block]  # type: ignore[no-any-return]

    def run(self, memory: Memory, batch: Batch, threads: int | None = None) -> bool:
        """Whether a sweep over the batch succeeds: guards passed, no doubts, finite results."""
        return self.sweep(*memory, batch)

    def prepared(
        self, memory: Memory, batch: Batch, threads: int | None = None
    ) -> Callable[[], bool]:
        """A sweep over the batch that can be run more than once."""
        return partial(self.sweep, *memory, batch)

    def sweep(self, code: Encoded, memory: Array, grad: Array, batch: Batch) -> bool:
        """Whether all samples passed their guards, none is in doubt, and all results are finite."""
        # In a context of its own: Ctrl-C at the start of errstate's `__exit__` would leave NumPy's
        # warnings off for good.
        return copy_context().run(self._swept, code, memory, grad, batch)

    def _swept(self, code: Encoded, memory: Array, grad: Array, batch: Batch) -> bool:
        n, B, end = code.shared, code.block, code.end  # noqa: N806
        x, status, out, back = batch.x, batch.status, batch.out, batch.back
        lane = np.arange(B)
        for to, begin, count in batch.where.tolist():
            memory[to : to + count] = batch.numbers[begin : begin + count]
        grad[:n] = 0.0
        with np.errstate(all="ignore"):
            for start in range(0, len(x), B):
                count = min(B, len(x) - start)
                samples = np.minimum(start + lane, len(x) - 1)
                for offset, size in code.cleared.tolist():
                    memory[offset : offset + size] = 0.0
                memory[n : n + x.shape[1] * B] = x[samples].T.ravel()
                for row in code.forward.tolist():
                    self._forward(row, code, memory, lane)
                decided = self._decided(code, memory)
                status[start : start + count] = decided[:count]
                results = memory[_at(code.outputs, lane)]
                out[start : start + count] = results[:, :count].T
                if not batch.differentiate:
                    continue
                grad[n:end] = 0.0
                counts = (decided == PASSED) & (lane < count)
                weight = np.where(counts, 1.0, 0.0) * batch.seeds[:, None]
                weight = np.where(results == results, weight, weight * np.nan)
                np.add.at(grad, _at(code.outputs, lane), weight)
                for row in code.backward.tolist():
                    self._backward(row, code, memory, grad, lane)
                inputs = grad[n : n + x.shape[1] * B].reshape(-1, B)
                back[start : start + count] = inputs[:, :count].T
        filled = [out]
        if batch.differentiate:
            gradients = batch.gradients
            gradients[:] = 0.0
            for to, begin, count in batch.where.tolist():
                gradients[begin : begin + count] = grad[to : to + count]
            filled += gradients, back
        return bool((status == PASSED).all() and all(np.isfinite(part).all() for part in filled))

    def _decided(self, code: Encoded, memory: Array) -> Array:
        """The status of each sample; DOUBTFUL if rounding could change any decision."""
        doubtful = np.zeros(code.block, dtype=bool)
        close = np.zeros((len(code.guards), code.block), dtype=bool)
        if len(code.measured):
            doubtful, close = self._doubts(code, memory)
        failed = np.zeros(code.block, dtype=bool)
        compare, sample = list(COMPARISONS.values()), np.arange(code.block)
        for (k, p, q, answer, *_), near in zip(code.guards.tolist(), close, strict=True):
            x, y = memory[_at(np.array([p, q]), sample)]
            failed |= ~near & (compare[k](x, y) != answer)
        status = np.where(failed, FAILED, np.where(close.any(axis=0), DOUBTFUL, PASSED))
        return np.where(doubtful, DOUBTFUL, status)

    def _doubts(self, code: Encoded, memory: Array) -> tuple[Array, Array]:
        """The samples in which a row may decide otherwise, and the same for each guard."""

        def store(offset: int, sizes: Array) -> None:
            for first, unit in ((code.magnitudes.first, 1.0), (code.bounds.first, code.unit)):
                memory[first + offset : first + offset + len(sizes)] = unit * sizes

        store(0, _magnitudes(memory[: code.shared]))
        for first, count in code.measured.tolist():
            offset = code.numbers.lane(first)
            store(offset, _magnitudes(memory[offset : offset + count * code.block]))
        sample = np.arange(code.block)
        doubtful = np.zeros(code.block, dtype=bool)
        for row in code.bounding.tolist():
            if row[0] == ROW:
                doubtful |= self._row_in_doubt(row, code, memory)
            elif row[0] == LARGEST:
                doubtful |= self._largest_in_doubt(row, code, memory)
            else:
                self._forward(row, code, memory, sample)
        close = np.zeros((len(code.guards), code.block), dtype=bool)
        for k, (_, p, q, _, rounded) in enumerate(code.guards.tolist()):
            if rounded:
                offsets = _at(np.array([p, q]), sample)
                x, y = memory[offsets]
                margin = _margins(code, memory, offsets).sum(axis=0)
                # A number differs from itself only if it is nan.
                apart = (abs(x - y) > margin) | (p == q)
                close[k] = (margin != 0.0) & ~(apart & (margin < margins.HUGE))
        return doubtful, close

    def _row_in_doubt(self, row: list[int], code: Encoded, memory: Array) -> Array:
        """The samples in which a row may decide otherwise; adds margins to its results' bounds."""
        _, k, lanes, z, to, *pools = row[:7]
        offsets = [_at(code.pool[p : p + lanes], np.arange(code.block)) for p in pools]
        results = memory[z : z + lanes * code.block].reshape(lanes, code.block)
        operands = [memory[offset] for offset in offsets]
        margin, doubt = self.margins[k](
            *operands, results, *(_margins(code, memory, offset) for offset in offsets)
        )
        memory[to : to + results.size] += np.broadcast_to(margin, results.shape).ravel()
        return ~np.broadcast_to(doubt <= 0.0, results.shape).all(axis=0)

    def _largest_in_doubt(self, row: list[int], code: Encoded, memory: Array) -> Array:
        """The samples in which another number of a list may be the largest."""
        lanes, px, starts = row[2], row[5], row[7]
        begin, total = _terms(code, starts, lanes)
        offsets = _at(code.pool[px : px + total], np.arange(code.block))
        x, margin = memory[offsets], _margins(code, memory, offsets)
        top, most = (np.maximum.reduceat(part, begin[:-1], axis=0) for part in (x, margin))
        counts = np.diff(begin)
        most, top = (np.repeat(part, counts, axis=0) for part in (most, top))
        near = ~((x + margin + most < top) & (most < margins.HUGE))
        several = np.add.reduceat(near, begin[:-1], axis=0, dtype=np.int64) > 1
        return (several & (most[begin[:-1]] != 0.0)).any(axis=0)

    def _forward(self, row: list[int], code: Encoded, memory: Array, sample: Array) -> None:
        if row[0] == CONTRACT:
            contract(memory, memory, memory, row)
            return
        kind, k, lanes, z, px, py, start, sign = row[:8]
        B = len(sample)  # noqa: N806
        if kind == GATHER:
            starts, total = _terms(code, start, lanes)
            x, y = (memory[_at(code.pool[p : p + total], sample)] for p in (px, py))
            sums = np.add.reduceat(x * y, starts[:-1], axis=0)
            offsets = code.pool[z : z + lanes, None] + sample
            np.add.at(memory, offsets.ravel(), sign * sums.ravel())  # a lane may occur twice
            return
        target = memory[z : z + lanes * B].reshape(lanes, B)
        if kind == ROW:
            op = self.ops[k]
            x = memory[_at(code.pool[px : px + lanes], sample)]
            y = memory[_at(code.pool[py : py + lanes], sample)] if op.arity == 2 else None
            target[:] = row_of_arrays(op)[0](x, y)[0]
        elif kind == CHOOSE:
            target[:] = memory[self._chosen(row, code, memory, sample)]
        elif kind == LARGEST:
            starts, total = _terms(code, start, lanes)
            numbers = memory[_at(code.pool[px : px + total], sample)]
            top = np.maximum.reduceat(numbers, starts[:-1], axis=0)
            counts = np.diff(starts)
            within = np.arange(total) - np.repeat(starts[:-1], counts)
            index = np.where(numbers == np.repeat(top, counts, axis=0), within[:, None], total)
            first = np.minimum.reduceat(index, starts[:-1], axis=0)
            target[:] = np.where(np.isnan(top), 0, first)
        else:
            groups, other = row[8:10]
            starts = _starts(code, start, groups)
            instead = np.repeat(memory[code.pool[other : other + groups]], np.diff(starts))
            values = memory[_at(code.pool[px : px + lanes], sample)]
            target[:] = np.where(_masks(row, code, memory, sample), instead[:, None], values)

    def _chosen(self, row: list[int], code: Encoded, memory: Array, sample: Array) -> Array:
        """The offsets of what each lane chooses."""
        lanes, px, py, start = row[2], row[4], row[5], row[6]
        starts, total = _terms(code, start, lanes)
        index = np.nan_to_num(memory[_at(code.pool[py : py + lanes], sample)])
        index = np.clip(index, 0, (np.diff(starts) - 1)[:, None]).astype(np.int64)
        flagged = code.pool[px : px + total][starts[:-1, None] + index]
        return (flagged >> 1) + (flagged & 1) * sample

    def _backward(
        self, row: list[int], code: Encoded, memory: Array, grad: Array, sample: Array
    ) -> None:
        if row[0] == CONTRACT:
            contract(grad, grad, memory, row)
            return
        kind, k, lanes, z, px, py, start, sign, wx, wy = row[:10]
        B = len(sample)  # noqa: N806
        if kind == GATHER:
            starts, total = _terms(code, start, lanes)
            ax, ay = (
                _at(code.pool[px : px + total], sample),
                _at(code.pool[py : py + total], sample),
            )
            g = sign * grad[code.pool[z : z + lanes, None] + sample]
            g = np.repeat(g, np.diff(starts), axis=0)
            if wx:
                np.add.at(grad, ax, np.where(g != 0.0, g * memory[ay], 0.0))
            if wy:
                np.add.at(grad, ay, np.where(g != 0.0, g * memory[ax], 0.0))
            return
        g = grad[z : z + lanes * B].reshape(lanes, B)
        if kind == ROW:
            op = self.ops[k]
            ax = _at(code.pool[px : px + lanes], sample)
            ay = _at(code.pool[py : py + lanes], sample) if op.arity == 2 else None
            y = memory[ay] if ay is not None else None
            slopes = row_of_arrays(op)[1](
                memory[ax], y, memory[z : z + lanes * B].reshape(lanes, B)
            )
            for wanted, slope, offset in zip((wx, wy), slopes, (ax, ay), strict=False):
                if wanted:
                    np.add.at(grad, offset, np.where(g != 0.0, g * slope, 0.0))
        elif kind == MASKED:
            g = np.where(_masks(row, code, memory, sample), 0.0, g)
            np.add.at(grad, _at(code.pool[px : px + lanes], sample), g)
        else:
            np.add.at(grad, self._chosen(row, code, memory, sample), g)
