"""The machines that run a `Program`: NumPy, and native code that numba compiles from the rows."""

import ast
import hashlib
import importlib.util
import math
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from contextvars import copy_context
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograd import files, rules
from autograd.lowering import (
    CHOOSE,
    CONTRACT,
    GATHER,
    LARGEST,
    MASKED,
    ROW,
    SHARED,
    Instruction,
)
from autograd.ops import Operation
from autograd.program import Program
from autograd.tape import ORDER
from autograd.value import forkable_lock, rows

Array = Any
LOOPS = 5  # of a contraction: three over lanes, one over terms, one over samples
WIDTH = 6 + 4 * LOOPS + 1
HELD, FAILED, DOUBTFUL = 1, 0, 2  # what became of a sample's guards
_one_build = forkable_lock()  # of native code
# Where the sides of a guard are so close, relatively, a regrouped sum may have turned its answer.
CLOSE = 1e-9


class Encoded:
    """A program's instructions as rows of whole numbers, for blocks of a number of samples.

    A row is: kind, then of a contraction: form, sign, the places of z, x and y, the sizes of its
    loops, their strides in z, x and y, and which factor is an adjoint; of others: op, lanes, the
    place (GATHER: the pool's index) of z, the pool's indices of x and y and of where each lane's
    terms start, sign, and whether gradients in x and y are wanted.
    """

    def __init__(self, program: Program, block: int) -> None:
        self.block = block
        self.shared = program.shared + 1  # a one stands behind the parameters
        self.size = self.shared + program.slots * block
        self._parts: list[Array] = []
        self._pooled_so_far = 0
        # What is looked up serves both directions.
        rows = [self._forward(one) for one in program.instructions]
        back = [
            row
            for one, forward in zip(reversed(program.instructions), reversed(rows), strict=True)
            for row in self._backward(one, forward)
        ]
        self.forward, self.backward = self._table(rows), self._table(back)
        tape = program.tape
        self.outputs = self._flagged(program.address[tape.outputs])
        order, x, y, answer = tape.guards.T
        # Constants, parameters and inputs are what they are; anything else may have been rounded,
        # which does not matter where a number is compared with itself: whether it is nan.
        rounded = ((x >= tape.sources) | (y >= tape.sources)) & (x != y)
        x, y = self._flagged(program.address[x]), self._flagged(program.address[y])
        self.guards = np.stack([order, x, y, answer, rounded], axis=1).astype(np.int64)
        self.pool = np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])
        # Sums are added to what is there; the other results take its place.
        added = [one.results for one in program.instructions if one.kind in (CONTRACT, GATHER)]
        lanes = np.unique(np.concatenate([*added, np.zeros(0, dtype=np.int64)]))
        first = np.flatnonzero(np.diff(lanes, prepend=-2) != 1)
        counts = np.diff(first, append=len(lanes))
        self.cleared = np.stack([self.shared + lanes[first] * block, counts * block], axis=1)

    @staticmethod
    def _table(table: list[list[int]]) -> Array:
        made = np.zeros((len(table), WIDTH), dtype=np.int64)
        for k, row in enumerate(table):
            made[k, : len(row)] = row
        return made

    def _flagged(self, addresses: Array) -> Array:
        """Places times two, plus one if every sample has its own number."""
        sample = addresses < SHARED
        place = np.where(sample, self.shared + addresses * self.block, addresses - SHARED)
        return place * 2 + sample

    def _pooled(self, numbers: Array) -> int:
        start = self._pooled_so_far
        self._parts.append(np.asarray(numbers, dtype=np.int64))
        self._pooled_so_far += len(numbers)
        return start

    def _operand(self, base: int, strides: tuple[int, ...]) -> tuple[int, list[int]]:
        if base >= SHARED:
            return base - SHARED, [*strides, 0]
        return self.shared + base * self.block, [*(s * self.block for s in strides), 1]

    def _forward(self, one: Instruction) -> list[int]:
        z = self.shared + one.z * self.block
        if one.kind == CONTRACT:
            return _contraction(
                one.sign, [*one.sizes, self.block],
                (z, [*(s * self.block for s in one.zs), 1]),
                self._operand(one.x, one.xs), self._operand(one.y, one.ys),
            )  # fmt: skip
        if one.kind == MASKED:
            return self._masked(one, z)
        if one.kind == GATHER:
            z = self._pooled(self.shared + one.pool[2] * self.block)
        pools = [self._pooled(self._flagged(array)) for array in one.pool[:2]]
        pools += pools[:1] * (2 - len(pools))  # an operation of one operand is given it twice
        starts = self._pooled(np.concatenate([[0], np.cumsum(one.counts)]))
        if one.kind == CHOOSE:
            flat = self._shared_choice(one)
        else:
            flat = [part for array in one.pool[:2] for part in self._flat(array)]
        flat += flat[:2] * (len(one.pool) == 1)
        return [
            one.kind, one.op, one.lanes, z, *pools, starts, int(one.sign),
            int(one.wanted[0]), int(one.wanted[1]), *flat,
        ]  # fmt: skip

    def _masked(self, one: Instruction, z: int) -> list[int]:
        """A mask's row; its lanes come in groups, those of one list of values."""
        value, index, places, instead = one.pool
        starts = np.concatenate([[0], np.cumsum(one.counts)])
        lines = [self._flat(part)[0] == 1 for part in np.split(value, starts[1:-1])]
        first = starts[:-1]
        pools = (
            self._flagged(value), self._flagged(index[first]), starts, np.array(lines),
            instead[first] - SHARED, places[first],
        )  # fmt: skip
        px, py, at, line, other, place = (self._pooled(array) for array in pools)
        return [one.kind, 0, one.lanes, z, px, py, at, line, len(first), other, place]

    def _shared_choice(self, one: Instruction) -> list[int]:
        """How many lanes at a time choose with one index from neighbours, as the columns of a row.

        With it, how far apart the neighbours are in memory.
        """
        entries, index = one.pool
        size = int(one.counts[0])
        if (one.counts != size).any() or len(index) < 2:
            return [1, 0]
        table = entries.reshape(-1, size)
        apart = int(table[1, 0] - table[0, 0])
        follows = (np.diff(index) == 0) & (np.diff(table, axis=0) == apart).all(axis=1)
        breaks = np.flatnonzero(~follows) + 1
        width = int(breaks[0]) if len(breaks) else len(index)
        regular = len(index) % width == 0 and np.array_equal(
            breaks, np.arange(width, len(index), width)
        )
        sample = table < SHARED
        if width == 1 or not regular or sample.any() != sample.all():
            return [1, 0]
        return [width, apart * (self.block if sample.all() else 1)]

    def _flat(self, addresses: Array) -> tuple[int, int]:
        """Whether operands lie in a line (1), or are one number (2), or neither (0), and where."""
        flagged = self._flagged(addresses[:1])[0]
        if (addresses[0] < SHARED or self.block == 1) and (np.diff(addresses) == 1).all():
            return 1, int(flagged >> 1)
        if addresses[0] >= SHARED and (addresses == addresses[0]).all():
            return 2, int(flagged >> 1)
        return 0, 0

    def _backward(self, one: Instruction, forward: list[int]) -> list[list[int]]:
        if not any(one.wanted):
            return []
        if one.kind != CONTRACT:
            return [forward]
        z = self.shared + one.z * self.block, [*(s * self.block for s in one.zs), 1]
        x, y = self._operand(one.x, one.xs), self._operand(one.y, one.ys)
        sizes = [*one.sizes, self.block]
        made = []
        if one.wanted[0]:
            made.append(_contraction(one.sign, sizes, x, z, y))
        if one.wanted[1]:
            made.append(_contraction(one.sign, sizes, y, z, x))
        return made


Loop = tuple[int, int, int, int]  # size, strides of z, x and y
_ONCE: Loop = (1, 0, 0, 0)


def _contraction(sign: float, sizes: list[int], z: Any, x: Any, y: Any) -> list[int]:
    """A row for z += sign * x * y over five loops, arranged as the native loops want them.

    The row's last number says whether the factors have changed places.
    """
    loops: list[Loop] = []
    for loop in sorted(
        ((size, z[1][d], x[1][d], y[1][d]) for d, size in enumerate(sizes) if size > 1),
        key=lambda loop: [abs(stride) for stride in loop[1:]],
    ):
        # Two loops that walk through one line in all three are one loop.
        if loops and all(
            loops[-1][0] * s == t for s, t in zip(loops[-1][1:], loop[1:], strict=True)
        ):
            loops[-1] = (loops[-1][0] * loop[0], *loops[-1][1:])
        else:
            loops.append(loop)
    swapped = [(n, zs, ys, xs) for n, zs, xs, ys in loops]
    found = min(
        (*_arrangements(loops, False), *_arrangements(swapped, True)), key=lambda one: one[0]
    )
    _, form, order, swap = found
    if swap:
        x, y = y, x
    row = [CONTRACT, form, int(sign), z[0], x[0], y[0]]
    order += [_ONCE] * (LOOPS - len(order))
    for column in range(4):
        row += [one[column] for one in order]
    return [*row, int(swap)]


def _arrangements(loops: list[Loop], swap: bool) -> list[tuple[float, int, list[Loop], bool]]:
    """(rough cost, form, loops in order, swap) for each loop that could be the innermost."""
    total = math.prod(n for n, *_ in loops)
    # Form 0, anything goes: the longest loop inside.
    found = [(2.0 * total, 0, sorted(loops, reverse=True), swap)]

    def largest(wanted: Callable[[Loop], bool], rest: list[Loop]) -> Loop:
        chosen = max((loop for loop in rest if wanted(loop)), default=_ONCE)
        if chosen in rest:
            rest.remove(chosen)
        return chosen

    for inner in loops:
        n, zs, xs, ys = inner
        rest = [loop for loop in loops if loop is not inner]
        if zs == 1 and xs == 1 and ys == 0:  # rows of x, scaled and added up
            repeated = largest(lambda loop: loop[1] == 0, rest)
            copied = largest(lambda loop: loop[2] == 0, rest)
            width = 8 if n >= 8 else 4 if n >= 4 else 1
            cost = total / width * (1 + 2 / repeated[0]) * (1 if copied[0] >= 4 else 2)
            found.append((cost, 1, [inner, repeated, copied, *rest], swap))
        elif zs == 0 and xs == 1 and ys == 1:  # dots
            repeated = largest(lambda loop: loop[1] == 0, rest)
            left = largest(lambda loop: loop[3] == 0, rest)
            right = largest(lambda loop: loop[2] == 0, rest)
            cost = total / n * (n / 8 + 1.5 / repeated[0]) * (1 if left[0] >= 4 else 2)
            found.append((cost, 2, [inner, repeated, left, right, *rest], swap))
        elif zs == 1 and xs == 1 and ys == 1:
            found.append((total / 4, 3, [inner, *rest], swap))
    return found


# ---------------------------------------------------------------------- NumPy


class _Arrays(ast.NodeTransformer):
    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        parts = [self.visit(part) for part in (node.test, node.body, node.orelse)]
        return ast.Call(ast.Name("where"), parts, [])


def _elementwise(name: str) -> Callable[..., Any]:
    function = np.frompyfunc(getattr(math, name), 1, 1)
    return lambda x: function(x).astype(np.float64)


_NUMPY = types.SimpleNamespace(
    **{
        name: getattr(np, {"fabs": "abs", "pow": "power", "asin": "arcsin", "acos": "arccos",
                           "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
                           "acosh": "arccosh", "atanh": "arctanh"}.get(name, name))
        if name not in ("erf", "erfc") else _elementwise(name)
        for name in sorted({op.libm for op in rows().values() if op.libm} | {"pow"})
    }
)  # fmt: skip


def _text(op: Operation, tree: ast.expr, arrays: bool) -> str:
    text = rules.fast(tree, rows())
    return ast.unparse(_Arrays().visit(ast.parse(text, mode="eval").body)) if arrays else text


@cache
def _numpy_row(op: Operation) -> tuple[Callable[..., Any], Callable[..., Any]]:
    names = {**rules.CONSTANTS, "math": _NUMPY, "where": np.where}

    def made(what: str, parameters: str, trees: list[ast.expr]) -> Callable[..., Any]:
        shared = rules.parts(op, *trees)
        lines = [f"{part} = {_text(op, tree, True)}" for part, tree in shared.items()]
        results = ", ".join(_text(op, tree, True) for tree in trees)
        source = "\n    ".join(
            [f"def {op.name}_{what}({parameters}):", *lines, f"return {results},"]
        )
        return rules.define(f"{op.name}_{what}", source + "\n", names)

    return made("values", "x, y", [op.value_tree]), made("slopes", "x, y, z", op.partial_trees)


def _terms(code: Encoded, start: int, lanes: int) -> tuple[Array, int]:
    """Where each lane's terms start, the end of the last one included, and how many there are."""
    starts = code.pool[start : start + lanes + 1]
    return starts, int(starts[-1])


def _masks(row: list[int], code: Encoded, memory: Array, at: Any) -> Array:
    """Whether each lane is the one that its group's index says."""
    lanes, py, start, groups = row[2], row[5], row[6], row[8]
    starts = code.pool[start : start + groups + 1]
    counts = np.diff(starts)
    index = np.repeat(memory[at(code.pool[py : py + groups])], counts, axis=0)
    places = code.pool[row[10] : row[10] + groups] - starts[:-1]
    return index == (np.arange(lanes) + np.repeat(places, counts))[:, None]


def _view(memory: Array, start: int, sizes: list[int], strides: list[int]) -> Array:
    return np.lib.stride_tricks.as_strided(
        memory[start:], sizes, [8 * stride for stride in strides]
    )


def _numpy_contract(Z: Array, X: Array, Y: Array, row: list[int]) -> None:  # noqa: N803
    sign, z, x, y = row[2:6]
    n, zs, xs, ys = (row[6 + LOOPS * k : 6 + LOOPS * (k + 1)] for k in range(4))
    kept = [d for d in range(LOOPS) if n[d] > 1 and zs[d] != 0]
    axes = list(range(LOOPS))
    found = np.einsum(_view(X, x, n, xs), axes, _view(Y, y, n, ys), axes, kept)
    reach = 0
    for d in sorted(kept, key=lambda d: abs(zs[d])):
        if abs(zs[d]) <= reach:  # lanes overlap, as in a convolution
            grid = np.array(z)
            for k in kept:
                grid = grid[..., None] + zs[k] * np.arange(n[k])
            np.add.at(Z, grid, sign * found)
            return
        reach += abs(zs[d]) * (n[d] - 1)
    target = _view(Z, z, [n[d] for d in kept], [zs[d] for d in kept])
    target += sign * found


class NumpyEngine:
    """Runs a program with NumPy alone."""

    name = "numpy"

    def __init__(self, program: Program) -> None:
        self.ops = [rows()[name] for name in program.tape.ops]

    def sweep(
        self, code: Encoded, numbers: Array, where: Array, x: Array, seeds: Array, memory: Array,
        grad: Array, out: Array, held: Array, inputs: Array, gradients: Array,
        differentiate: bool,
    ) -> bool:  # fmt: skip
        """Whether, for the samples x, all guards held and all results are finite.

        Fills `out`, `held`, `inputs` and `gradients`.  `where` has rows of (place in memory, place
        in numbers and gradients, how many), for runs of parameters.
        """
        # In a context of its own: Ctrl-C at the start of errstate's `__exit__` would leave NumPy
        # silent for good.
        return copy_context().run(
            self._swept, code, numbers, where, x, seeds, memory, grad, out, held, inputs, gradients,
            differentiate,
        )  # fmt: skip

    def _swept(
        self, code: Encoded, numbers: Array, where: Array, x: Array, seeds: Array, memory: Array,
        grad: Array, out: Array, held: Array, inputs: Array, gradients: Array,
        differentiate: bool,
    ) -> bool:  # fmt: skip
        n, B = code.shared, code.block  # noqa: N806
        lane = np.arange(B)

        def at(flagged: Array) -> Array:
            place, sample = flagged >> 1, flagged & 1
            return place[..., None] + sample[..., None] * lane

        for to, begin, count in where.tolist():
            memory[to : to + count] = numbers[begin : begin + count]
        grad[:n] = 0.0
        with np.errstate(all="ignore"):
            for start in range(0, len(x), B):
                count = min(B, len(x) - start)
                chosen = np.minimum(start + lane, len(x) - 1)
                for place, size in code.cleared.tolist():
                    memory[place : place + size] = 0.0
                memory[n : n + x.shape[1] * B] = x[chosen].T.ravel()
                for row in code.forward.tolist():
                    self._forward(row, code, memory, at)
                good = self._guarded(code, memory, at)
                held[start : start + count] = good[:count]
                found = memory[at(code.outputs)]
                out[start : start + count] = found[:, :count].T
                if not differentiate:
                    continue
                grad[n:] = 0.0
                weight = np.where((good == HELD) & (lane < count), 1.0, 0.0) * seeds[:, None]
                weight = np.where(found == found, weight, weight * np.nan)
                np.add.at(grad, at(code.outputs), weight)
                for row in code.backward.tolist():
                    self._backward(row, code, memory, grad, at)
                back = grad[n : n + x.shape[1] * B].reshape(-1, B)
                inputs[start : start + count] = back[:, :count].T
        if differentiate:
            gradients[:] = 0.0
            for to, begin, count in where.tolist():
                gradients[begin : begin + count] = grad[to : to + count]
        results = [out, gradients, inputs] if differentiate else [out]
        return bool((held == HELD).all() and all(np.isfinite(part).all() for part in results))

    def _guarded(self, code: Encoded, memory: Array, at: Any) -> Array:
        """For each sample, whether its guards held; doubtful if rounding could turn one."""
        failed = np.zeros(code.block, dtype=bool)
        doubtful = np.zeros(code.block, dtype=bool)
        for order, p, q, answer, rounded in code.guards.tolist():
            x, y = memory[at(np.array(p))], memory[at(np.array(q))]
            close = abs(x - y) <= CLOSE * (abs(x) + abs(y)) if rounded else np.zeros(1, dtype=bool)
            doubtful |= close
            failed |= ~close & (list(ORDER.values())[order](x, y) != answer)
        return np.where(failed, FAILED, np.where(doubtful, DOUBTFUL, HELD))

    def _forward(self, row: list[int], code: Encoded, memory: Array, at: Any) -> None:
        if row[0] == CONTRACT:
            _numpy_contract(memory, memory, memory, row)
            return
        kind, k, lanes, z, px, py, start, sign = row[:8]
        B = code.block  # noqa: N806
        if kind == GATHER:
            starts, whole = _terms(code, start, lanes)
            x, y = (memory[at(code.pool[p : p + whole])] for p in (px, py))
            sums = np.add.reduceat(x * y, starts[:-1], axis=0)
            memory[code.pool[z : z + lanes, None] + np.arange(B)] += sign * sums
            return
        target = memory[z : z + lanes * B].reshape(lanes, B)
        if kind == ROW:
            op = self.ops[k]
            x = memory[at(code.pool[px : px + lanes])]
            y = memory[at(code.pool[py : py + lanes])] if op.arity == 2 else None
            target[:] = _numpy_row(op)[0](x, y)[0]
        elif kind == CHOOSE:
            place = self._chosen(row, code, memory, at)
            target[:] = memory[place]
        elif kind == LARGEST:
            starts, whole = _terms(code, start, lanes)
            numbers = memory[at(code.pool[px : px + whole])]
            top = np.maximum.reduceat(numbers, starts[:-1], axis=0)
            counts = np.diff(starts)
            within = np.arange(whole) - np.repeat(starts[:-1], counts)
            place = np.where(numbers == np.repeat(top, counts, axis=0), within[:, None], whole)
            first = np.minimum.reduceat(place, starts[:-1], axis=0)
            target[:] = np.where(np.isnan(top), 0, first)
        else:
            groups, other = row[8:10]
            starts = code.pool[start : start + groups + 1]
            instead = np.repeat(memory[code.pool[other : other + groups]], np.diff(starts))
            values = memory[at(code.pool[px : px + lanes])]
            target[:] = np.where(_masks(row, code, memory, at), instead[:, None], values)

    def _chosen(self, row: list[int], code: Encoded, memory: Array, at: Any) -> Array:
        """The place of what each lane chooses."""
        lanes, px, py, start = row[2], row[4], row[5], row[6]
        starts, whole = _terms(code, start, lanes)
        index = np.nan_to_num(memory[at(code.pool[py : py + lanes])])
        index = np.clip(index, 0, (np.diff(starts) - 1)[:, None]).astype(np.int64)
        flagged = code.pool[px : px + whole][starts[:-1, None] + index]
        return (flagged >> 1) + (flagged & 1) * np.arange(code.block)

    def _backward(self, row: list[int], code: Encoded, memory: Array, grad: Array, at: Any) -> None:
        if row[0] == CONTRACT:
            # The adjoint is the first or the second factor.
            X, Y = (memory, grad) if row[-1] else (grad, memory)  # noqa: N806
            _numpy_contract(grad, X, Y, row)
            return
        kind, k, lanes, z, px, py, start, sign, wx, wy = row[:10]
        B = code.block  # noqa: N806
        if kind == GATHER:
            starts, whole = _terms(code, start, lanes)
            ax, ay = at(code.pool[px : px + whole]), at(code.pool[py : py + whole])
            g = sign * grad[code.pool[z : z + lanes, None] + np.arange(B)]
            g = np.repeat(g, np.diff(starts), axis=0)
            if wx:
                np.add.at(grad, ax, np.where(g != 0.0, g * memory[ay], 0.0))
            if wy:
                np.add.at(grad, ay, np.where(g != 0.0, g * memory[ax], 0.0))
            return
        g = grad[z : z + lanes * B].reshape(lanes, B)
        if kind == ROW:
            op = self.ops[k]
            ax = at(code.pool[px : px + lanes])
            ay = at(code.pool[py : py + lanes]) if op.arity == 2 else None
            y = memory[ay] if ay is not None else None
            slopes = _numpy_row(op)[1](memory[ax], y, memory[z : z + lanes * B].reshape(lanes, B))
            for wanted, slope, place in zip((wx, wy), slopes, (ax, ay), strict=False):
                if wanted:
                    np.add.at(grad, place, np.where(g != 0.0, g * slope, 0.0))
        elif kind == MASKED:
            g = np.where(_masks(row, code, memory, at), 0.0, g)
            np.add.at(grad, at(code.pool[px : px + lanes]), g)
        else:
            np.add.at(grad, self._chosen(row, code, memory, at), g)


# ---------------------------------------------------------------------- numba


_ROW = """\
\"\"\"The row {op!r} as native loops, generated from the table of operations; safe to delete.\"\"\"

import math

from numba import carray, cfunc, njit, types

from autograd.kernels import power_of_e

inf, nan, pi = math.inf, math.nan, math.pi
numbers, wholes = types.CPointer(types.float64), types.CPointer(types.int64)
kind = types.void(numbers, numbers, wholes, wholes, types.int64)


@njit(error_model="numpy")
def value(x, y):
    {value_parts}
    return {value}


@njit(error_model="numpy")
def slope_x(x, y, z):
    {dx_parts}
    return {dx}


@njit(error_model="numpy")
def slope_y(x, y, z):
    {dy_parts}
    return {dy}


@cfunc(kind, cache=True, error_model="numpy")
def values(memory, grad, pool, row, B):
    memory, pool, row = carray(memory, 1 << 40), carray(pool, 1 << 40), carray(row, 14)
    lanes, first, px, py = row[2], row[3], row[4], row[5]
    n = lanes * B
    z = memory[first : first + n]
    if row[10] == 1 and row[12] != 0:  # a line of numbers, with a line or with one number
        xs = memory[row[11] : row[11] + n]
        if row[12] == 1:
            ys = memory[row[13] : row[13] + n]
            for j in range(n):
                z[j] = value(xs[j], ys[j])
        else:
            y = memory[row[13]]
            for j in range(n):
                z[j] = value(xs[j], y)
        return
    for l in range(lanes):
        p, q = pool[px + l], pool[py + l]
        for b in range(B):
            x, y = memory[(p >> 1) + (p & 1) * b], memory[(q >> 1) + (q & 1) * b]
            z[l * B + b] = value(x, y)


@cfunc(kind, cache=True, error_model="numpy")
def slopes(memory, grad, pool, row, B):
    memory, pool, row = carray(memory, 1 << 40), carray(pool, 1 << 40), carray(row, 14)
    grad = carray(grad, 1 << 40)
    lanes, first, px, py = row[2], row[3], row[4], row[5]
    n = lanes * B
    z, gs = memory[first : first + n], grad[first : first + n]
    if row[10] == 1 and row[12] != 0 and row[9] == 0:
        xs, gx = memory[row[11] : row[11] + n], grad[row[11] : row[11] + n]
        if row[12] == 1:
            ys = memory[row[13] : row[13] + n]
            for j in range(n):
                g = gs[j]
                d = g * slope_x(xs[j], ys[j], z[j])
                gx[j] += d if g != 0.0 else 0.0
        else:
            y = memory[row[13]]
            for j in range(n):
                g = gs[j]
                d = g * slope_x(xs[j], y, z[j])
                gx[j] += d if g != 0.0 else 0.0
        return
    for l in range(lanes):
        p, q = pool[px + l], pool[py + l]
        if B > 1 and p & 1 and q & 1 and p != q:
            p, q, zs, g0 = p >> 1, q >> 1, z[l * B : l * B + B], gs[l * B : l * B + B]
            xs, ys = memory[p : p + B], memory[q : q + B]
            gx, gy = grad[p : p + B], grad[q : q + B]
            if row[8]:
                for b in range(B):
                    d = g0[b] * slope_x(xs[b], ys[b], zs[b])
                    gx[b] += d if g0[b] != 0.0 else 0.0
            if row[9]:
                for b in range(B):
                    d = g0[b] * slope_y(xs[b], ys[b], zs[b])
                    gy[b] += d if g0[b] != 0.0 else 0.0
            continue
        for b in range(B):
            g = gs[l * B + b]
            if g == 0.0:
                continue
            i, j = (p >> 1) + (p & 1) * b, (q >> 1) + (q & 1) * b
            x, y = memory[i], memory[j]
            if row[8]:
                grad[i] += g * slope_x(x, y, z[l * B + b])
            if row[9]:
                grad[j] += g * slope_y(x, y, z[l * B + b])
"""


@cache
def _source(op: Operation) -> str:
    """The row as native loops over lanes and samples."""
    names = {part: ast.Name(part + "_") for part in op.where_trees}

    def text(tree: ast.expr) -> str:
        return rules.fast(rules.substitute(tree, names), rows()).replace("math.exp(", "power_of_e(")

    def parts(tree: ast.expr) -> str:
        shared = rules.parts(op, tree)
        return "\n    ".join(f"{part}_ = {text(one)}" for part, one in shared.items())

    named = dict(zip(("value", "dx", "dy"), (op.value_tree, *op.partial_trees), strict=False))
    texts = {"dy": "0.0", "dy_parts": ""}
    for name, tree in named.items():
        texts |= {name: text(tree), f"{name}_parts": parts(tree)}
    return _ROW.format(op=op, **texts)


def cache_folder() -> Path:
    """Where compiled kernels are kept: $CHAINRULE_CACHE, else the user's cache folder."""
    given = os.environ.get("CHAINRULE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "chainrule"


@cache
def _compiled(source: str) -> tuple[int, int]:
    """The addresses of a row's native loops, compiled now or taken from the disk."""
    stem = "row_" + hashlib.sha256(source.encode()).hexdigest()[:16]
    folder = cache_folder()
    path = folder / f"{stem}.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != source:
            files.write(path, source.encode())
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="chainrule-")) / f"{stem}.py"
        path.write_text(source)
    try:
        module = _executed(stem, path)
    except Exception:
        # What a full disk or a crash left of numba's files is no reason to fail, nor is Ctrl-C
        # in a callback of LLVM's, which loses it, and the object code.
        for left in (path.parent / "__pycache__").glob(f"{stem}.*.nb[ic]"):
            left.unlink(missing_ok=True)
        module = _executed(stem, path)
    return module.values.address, module.slopes.address


def _executed(stem: str, path: Path) -> Any:
    """The module of a file, under a name where numba's cache looks for it; it keeps the code."""
    spec = importlib.util.spec_from_file_location(stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[stem]
        raise
    return module


class NumbaEngine:
    """Runs a program as native code; what is compiled is kept on disk."""

    name = "numba"

    def __init__(self, program: Program) -> None:
        with _one_build:
            from autograd import kernels

            self.run = kernels.sweep
            made = [_compiled(_source(rows()[name])) for name in program.tape.ops]
        self.rows = np.array(made or [(0, 0)], dtype=np.int64)

    def sweep(
        self, code: Encoded, numbers: Array, where: Array, x: Array, seeds: Array, memory: Array,
        grad: Array, out: Array, held: Array, inputs: Array, gradients: Array,
        differentiate: bool,
    ) -> bool:  # fmt: skip
        """Whether, for the samples x, all guards held and all results are finite.

        Fills `out`, `held`, `inputs` and `gradients`.  `where` has rows of (place in memory, place
        in numbers and gradients, how many), for runs of parameters.
        """
        return self.run(  # type: ignore[no-any-return]
            code.forward, code.backward, self.rows, code.pool, code.guards, code.cleared,
            code.outputs, numbers, where, x, seeds, memory, grad, out, held, inputs, gradients,
            code.shared, code.block, differentiate,
        )  # fmt: skip


def engine(program: Program, wanted: str = "auto") -> NumpyEngine | NumbaEngine:
    """The engine of that name; "auto" is numba where it is installed, and NumPy elsewhere.

    Asking for "numba" without it warns, with what to install, and gives NumPy.
    """
    if wanted not in ("auto", "numpy", "numba"):
        raise ValueError(f"engine: expected 'auto', 'numpy' or 'numba', got {wanted!r}")
    if wanted != "numpy" and importlib.util.find_spec("numba") is not None:
        return NumbaEngine(program)
    if wanted == "numba":
        warnings.warn(
            "numba is not installed, so NumPy runs this program; pip install 'chainrule[fast]'",
            stacklevel=3,
        )
    return NumpyEngine(program)
