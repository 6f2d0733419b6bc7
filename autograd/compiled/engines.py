"""The machines that run a `Program`: NumPy, and native code that numba compiles from the rows."""

import ast
import hashlib
import importlib.util
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograd import files, rules
from autograd.compiled import margins, native_margins, numba_functions
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
from autograd.compiled.program import Program
from autograd.compiled.rounding import INFINITE, SMALLEST, UNIT, Step, runs
from autograd.compiled.tape import ORDER
from autograd.ops import Operation
from autograd.value import forkable_lock, rows

Array = Any
LOOPS = 5  # of a contraction: three over lanes, one over terms, one over samples
WIDTH = 6 + 4 * LOOPS + 1
_one_build = forkable_lock()  # of native code
HELD, FAILED, DOUBTFUL = 1, 0, 2  # what became of a sample: of its guards, or of any decision


@dataclass(frozen=True)
class _Places:
    """Where numbers are in memory: those that all samples share, and behind them the lanes."""

    first: int
    shared: int
    block: int  # samples side by side in a lane

    @property
    def end(self) -> int:
        """Where the numbers that all samples share end, and the lanes begin."""
        return self.first + self.shared

    def lane(self, lane: Any) -> Any:
        """Where a lane begins."""
        return self.end + lane * self.block

    def of(self, addresses: Array) -> Array:
        """Where numbers are, or their first samples."""
        return np.where(addresses < SHARED, self.lane(addresses), self.first + addresses - SHARED)

    def flagged(self, addresses: Array) -> Array:
        """Places times two, plus one if every sample has its own number."""
        return self.of(addresses) * 2 + (addresses < SHARED)

    def operand(self, base: int, strides: tuple[int, ...]) -> tuple[int, list[int]]:
        """The place of an operand of a contraction, and its strides over all loops."""
        if base >= SHARED:
            return self.first + base - SHARED, [*strides, 0]
        return self.lane(base), [*(s * self.block for s in strides), 1]


class Encoded:
    """A program's instructions as rows of whole numbers, for blocks of a number of samples.

    A row is: kind, then of a contraction: form, sign, the places of z, x and y, the sizes of its
    loops, their strides in z, x and y, and which factor is an adjoint; of others: op, lanes, the
    place (GATHER: the pool's index) of z, the pool's indices of x and y and of where each lane's
    terms start, sign, and whether gradients in x and y are wanted.

    Behind the numbers in memory there are, if rounding could decide anything (see `rounding`), the
    magnitudes of all numbers and their bounds, and, for blocks of several samples, the magnitudes
    and bounds that are the largest of a lane's samples.  `bounding` are the rows that compute
    bounds, and `bounding_largest` those for the largest.
    """

    def __init__(self, program: Program, block: int) -> None:
        self.block = block
        self.shared = program.shared + 1  # a one stands behind the parameters
        self.numbers = _Places(0, self.shared, block)
        self.end = self.numbers.lane(program.slots)  # of the numbers
        self._parts: list[Array] = []
        self._pooled_so_far = 0
        # What is looked up serves both directions.
        rows = [self._forward(one, *[self.numbers] * 3) for one in program.instructions]
        back = [
            row
            for one, forward in zip(reversed(program.instructions), reversed(rows), strict=True)
            for row in self._backward(one, forward)
        ]
        self.forward, self.backward = self._table(rows), self._table(back)
        tape = program.tape
        self.outputs = self.numbers.flagged(program.address[tape.outputs])
        # Sums are added to what is there; the other results take its place.
        added = [one.results for one in program.instructions if one.kind in (CONTRACT, GATHER)]
        lanes = runs(np.unique(np.concatenate([*added, np.zeros(0, dtype=np.int64)])))
        self.cleared = np.stack([self.shared + lanes[:, 0] * block, lanes[:, 1] * block], axis=1)
        self._measure(program)
        self.pool = np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])

    def _measure(self, program: Program) -> None:
        """The rows that compute bounds, and the guards with the places of theirs."""
        cone, at = program.cone, 0
        self.unit = cone.unit * UNIT
        places = []
        for block in (self.block, self.block, self.block, 1, 1):
            places.append(_Places(at, self.shared, block))
            at = places[-1].lane(program.slots)
        _, self.magnitudes, self.bounds, self.largest, self.largest_bounds = places
        self.size = self.end
        if len(cone.lanes):
            self.size = at if self.block > 1 else self.largest.first
        self.layout = np.array([*(one.first for one in places[1:]), cone.unit], dtype=np.int64)
        self.measured = runs(cone.lanes)
        steps = cone.steps if self.block > 1 else []
        self.bounding = self._table([self._bound(one, *places[1:3]) for one in cone.steps])
        self.bounding_largest = self._table([self._bound(one, *places[3:]) for one in steps])
        order, x, y, answer = program.tape.guards.T
        sides = program.address[x], program.address[y]
        columns = [order, *map(self.numbers.flagged, sides), answer, cone.guards]
        columns += map(self.largest_bounds.of, sides)
        self.guards = np.stack(columns, axis=1).astype(np.int64)

    @staticmethod
    def _table(table: list[list[int]]) -> Array:
        made = np.zeros((len(table), WIDTH), dtype=np.int64)
        for k, row in enumerate(table):
            made[k, : len(row)] = row
        return made

    def _pooled(self, numbers: Array) -> int:
        start = self._pooled_so_far
        self._parts.append(np.asarray(numbers, dtype=np.int64))
        self._pooled_so_far += len(numbers)
        return start

    def _forward(self, one: Instruction, to: _Places, x: _Places, y: _Places) -> list[int]:
        """The row of an instruction whose results and operands are in these places."""
        z = to.lane(one.z)
        if one.kind == CONTRACT:
            return _contraction(
                one.sign, [*one.sizes, to.block],
                (z, [*(s * to.block for s in one.zs), 1]),
                x.operand(one.x, one.xs), y.operand(one.y, one.ys),
            )  # fmt: skip
        if one.kind == MASKED:
            return self._masked(one, to)
        if one.kind == GATHER:
            z = self._pooled(to.lane(one.pool[2]))
        pools = [
            self._pooled(side.flagged(array)) for side, array in zip((x, y), one.pool, strict=False)
        ]
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

    def _masked(self, one: Instruction, places: _Places) -> list[int]:
        """A mask's row; its lanes come in groups, those of one list of values."""
        value, index, at, instead = one.pool
        starts = np.concatenate([[0], np.cumsum(one.counts)])
        lines = [self._flat(part)[0] == 1 for part in np.split(value, starts[1:-1])]
        first = starts[:-1]
        pools = (
            places.flagged(value), self.numbers.flagged(index[first]), starts, np.array(lines),
            places.of(instead[first]), at[first],
        )  # fmt: skip
        px, py, begin, line, other, place = (self._pooled(array) for array in pools)
        z = places.lane(one.z)
        return [one.kind, 0, one.lanes, z, px, py, begin, line, len(first), other, place]

    def _bound(self, step: Step, magnitudes: _Places, bounds: _Places) -> list[int]:
        """The row of a step on bounds.

        It is that of the instruction, or: kind, row of the cone, lanes, the places of z and of its
        bound, the pool's indices of x and y, of their bounds, and of where each lane's entries
        start, how far behind its magnitude a bound is, the unit, whether every sample has its own
        bound, and whether x and y lie in lines, and where.
        """
        one, wide = step.instruction, bounds is self.bounds
        if one.kind == CHOOSE and wide:
            return self._forward(one, bounds, bounds, self.numbers)
        if one.kind == MASKED and wide:
            return self._masked(one, bounds)
        if one.kind in (CONTRACT, GATHER):
            sides = (bounds if side else magnitudes for side in (step.x_bound, step.y_bound))
            return self._forward(one, bounds, *sides)
        operands = one.pool[0], one.pool[-1] if one.kind == ROW else one.pool[0]
        counts = np.ones(one.lanes, dtype=np.int64) if one.kind == MASKED else one.counts
        pools = [self._pooled(self.numbers.flagged(array)) for array in operands]
        pools += [
            self._pooled(bounds.flagged(array) if wide else bounds.of(array) * 2)
            for array in operands
        ]
        pools.append(self._pooled(np.concatenate([[0], np.cumsum(counts)])))
        kind = CHOOSE if one.kind == MASKED else one.kind  # the largest of one
        return [
            kind, one.op, one.lanes, self.numbers.lane(one.z), bounds.lane(one.z), *pools,
            bounds.first - magnitudes.first, int(self.layout[-1]), int(wide),
            *(part for array in operands for part in self._flat(array)),
        ]  # fmt: skip

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
        place = int(self.numbers.of(addresses[:1])[0])
        if (addresses[0] < SHARED or self.block == 1) and (np.diff(addresses) == 1).all():
            return 1, place
        if addresses[0] >= SHARED and (addresses == addresses[0]).all():
            return 2, place
        return 0, 0

    def _backward(self, one: Instruction, forward: list[int]) -> list[list[int]]:
        if not any(one.wanted):
            return []
        if one.kind != CONTRACT:
            return [forward]
        z = self.numbers.lane(one.z), [*(s * self.block for s in one.zs), 1]
        x, y = self.numbers.operand(one.x, one.xs), self.numbers.operand(one.y, one.ys)
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


class _Functions:
    """NumPy's functions of arrays by the names of `math`; where it has none, number by number."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = next((f for f in _candidates(name) if _agrees(f, name)), None)
        if function is None:
            exact = numba_functions.row_of(name)
            by_number = np.frompyfunc(exact.value, exact.arity, 1)
            function = lambda *arrays: by_number(*arrays).astype(np.float64)  # noqa: E731
        setattr(self, name, function)
        return function


def _candidates(name: str) -> list[Any]:
    """What NumPy may call a function of `math`: arcsin is asin."""
    names = (name, "arc" + name[1:], {"pow": "power"}.get(name, name))
    found = [getattr(np, other, None) for other in names]
    return [one for one in found if isinstance(one, np.ufunc)]


def _agrees(function: Any, name: str) -> bool:
    """Whether NumPy's function is the one of `math`: its `remainder` is another."""
    own = getattr(math, name)
    for operands in ((-1.75, 2.5), (2.5, -1.75), (0.375, 0.625), (1.5, 3.25)):
        with suppress(ValueError):
            wanted = own(*operands[: function.nin])
            if not abs(function(*operands[: function.nin]) - wanted) <= 1e-12 * abs(wanted):
                return False
    return True


_NUMPY = _Functions()


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


@cache
def _numpy_margins(variant: margins.Variant) -> Callable[..., Any]:
    """The margin and the doubt of a row, as arrays, of x, y, z, p and q."""
    names = {**rules.CONSTANTS, "math": _NUMPY, "where": np.where}
    op = rows()[variant.op]
    found = margins.margins(op, variant.inexact, variant.unsigned)
    lines = [f"{part} = {_text(op, tree, True)}" for part, tree in found.parts.items()]
    results = ", ".join(_text(op, tree, True) for tree in (found.margin, found.doubt))
    source = "\n    ".join([f"def {op.name}_margins(x, y, z, p, q):", *lines, f"return {results}"])
    made: Callable[..., Any] = rules.define(f"{op.name}_margins", source + "\n", names)
    return made


def _magnitudes(numbers: Array) -> Array:
    """How large numbers are, as `rounding` measures them."""
    found = abs(numbers)
    found = np.where((found > 0.0) & (found < SMALLEST), SMALLEST, found)
    return np.where(found == np.inf, INFINITE, found)


def _margins(code: "Encoded", memory: Array, places: Array) -> Array:
    """How far the numbers in these places may be off."""
    sizes = memory[places + code.magnitudes.first]
    return memory[places + code.bounds.first] - code.unit * sizes


def _terms(code: Encoded, start: int, lanes: int) -> tuple[Array, int]:
    """Where each lane's terms start, the end of the last one included, and how many there are."""
    starts = code.pool[start : start + lanes + 1]
    return starts, int(starts[-1])


def _at(flagged: Array, sample: Array) -> Array:
    """The places of numbers, for some samples."""
    place, own = flagged >> 1, flagged & 1
    return place[..., None] + own[..., None] * sample


def _masks(row: list[int], code: Encoded, memory: Array, sample: Array) -> Array:
    """Whether each lane is the one that its group's index says."""
    lanes, py, start, groups = row[2], row[5], row[6], row[8]
    starts = code.pool[start : start + groups + 1]
    counts = np.diff(starts)
    index = np.repeat(memory[_at(code.pool[py : py + groups], sample)], counts, axis=0)
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
        self.margins = [_numpy_margins(one) for one in program.cone.rows]

    def sweep(
        self, code: Encoded, numbers: Array, where: Array, x: Array, seeds: Array, memory: Array,
        grad: Array, out: Array, held: Array, inputs: Array, gradients: Array,
        differentiate: bool,
    ) -> bool:  # fmt: skip
        """Whether, for the samples x, nothing is decided otherwise and all results are finite.

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
        n, B, end = code.shared, code.block, code.end  # noqa: N806
        lane = np.arange(B)
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
                    self._forward(row, code, memory, lane)
                good = self._decided(code, memory)
                held[start : start + count] = good[:count]
                found = memory[_at(code.outputs, lane)]
                out[start : start + count] = found[:, :count].T
                if not differentiate:
                    continue
                grad[n:end] = 0.0
                weight = np.where((good == HELD) & (lane < count), 1.0, 0.0) * seeds[:, None]
                weight = np.where(found == found, weight, weight * np.nan)
                np.add.at(grad, _at(code.outputs, lane), weight)
                for row in code.backward.tolist():
                    self._backward(row, code, memory, grad, lane)
                back = grad[n : n + x.shape[1] * B].reshape(-1, B)
                inputs[start : start + count] = back[:, :count].T
        if differentiate:
            gradients[:] = 0.0
            for to, begin, count in where.tolist():
                gradients[begin : begin + count] = grad[to : to + count]
        results = [out, gradients, inputs] if differentiate else [out]
        return bool((held == HELD).all() and all(np.isfinite(part).all() for part in results))

    def _decided(self, code: Encoded, memory: Array) -> Array:
        """What became of each sample: doubtful if rounding could decide anything otherwise."""
        doubtful = np.zeros(code.block, dtype=bool)
        close = np.zeros((len(code.guards), code.block), dtype=bool)
        if len(code.measured):
            doubtful, close = self._doubts(code, memory)
        failed = np.zeros(code.block, dtype=bool)
        answers, sample = list(ORDER.values()), np.arange(code.block)
        for (order, p, q, answer, *_), near in zip(code.guards.tolist(), close, strict=True):
            x, y = memory[_at(np.array([p, q]), sample)]
            failed |= ~near & (answers[order](x, y) != answer)
        kept = np.where(failed, FAILED, np.where(close.any(axis=0), DOUBTFUL, HELD))
        return np.where(doubtful, DOUBTFUL, kept)

    def _doubts(self, code: Encoded, memory: Array) -> tuple[Array, Array]:
        """The samples in which a row may decide otherwise, and for each guard, where it may."""

        def keep(place: int, sizes: Array) -> None:
            for first, unit in ((code.magnitudes.first, 1.0), (code.bounds.first, code.unit)):
                memory[first + place : first + place + len(sizes)] = unit * sizes

        keep(0, _magnitudes(memory[: code.shared]))
        for first, count in code.measured.tolist():
            place = code.numbers.lane(first)
            keep(place, _magnitudes(memory[place : place + count * code.block]))
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
        for k, (_, p, q, _, rounded, *_) in enumerate(code.guards.tolist()):
            if rounded:
                places = _at(np.array([p, q]), sample)
                x, y = memory[places]
                margin = _margins(code, memory, places).sum(axis=0)
                # Compared with itself, a number is another one only if it may be nan.
                apart = (abs(x - y) > margin) | (p == q)
                close[k] = (margin != 0.0) & ~(apart & (margin < margins.HUGE))
        return doubtful, close

    def _row_in_doubt(self, row: list[int], code: Encoded, memory: Array) -> Array:
        """The samples in which a row may decide otherwise; its results get their margins."""
        _, k, lanes, z, to, *pools = row[:7]
        places = [_at(code.pool[p : p + lanes], np.arange(code.block)) for p in pools]
        found = memory[z : z + lanes * code.block].reshape(lanes, code.block)
        numbers = [memory[place] for place in places]
        margin, doubt = self.margins[k](
            *numbers, found, *(_margins(code, memory, place) for place in places)
        )
        memory[to : to + found.size] += np.broadcast_to(margin, found.shape).ravel()
        return ~np.broadcast_to(doubt <= 0.0, found.shape).all(axis=0)

    def _largest_in_doubt(self, row: list[int], code: Encoded, memory: Array) -> Array:
        """The samples in which another number may be the largest, of some lists."""
        lanes, px, starts = row[2], row[5], row[9]
        begin, whole = _terms(code, starts, lanes)
        places = _at(code.pool[px : px + whole], np.arange(code.block))
        x, margin = memory[places], _margins(code, memory, places)
        top, most = (np.maximum.reduceat(part, begin[:-1], axis=0) for part in (x, margin))
        counts = np.diff(begin)
        most, top = (np.repeat(part, counts, axis=0) for part in (most, top))
        near = ~((x + margin + most < top) & (most < margins.HUGE))
        several = np.add.reduceat(near, begin[:-1], axis=0, dtype=np.int64) > 1
        return (several & (most[begin[:-1]] != 0.0)).any(axis=0)

    def _forward(self, row: list[int], code: Encoded, memory: Array, sample: Array) -> None:
        if row[0] == CONTRACT:
            _numpy_contract(memory, memory, memory, row)
            return
        kind, k, lanes, z, px, py, start, sign = row[:8]
        B = len(sample)  # noqa: N806
        if kind == GATHER:
            starts, whole = _terms(code, start, lanes)
            x, y = (memory[_at(code.pool[p : p + whole], sample)] for p in (px, py))
            sums = np.add.reduceat(x * y, starts[:-1], axis=0)
            places = code.pool[z : z + lanes, None] + sample
            np.add.at(memory, places.ravel(), sign * sums.ravel())  # a lane may be there twice
            return
        target = memory[z : z + lanes * B].reshape(lanes, B)
        if kind == ROW:
            op = self.ops[k]
            x = memory[_at(code.pool[px : px + lanes], sample)]
            y = memory[_at(code.pool[py : py + lanes], sample)] if op.arity == 2 else None
            target[:] = _numpy_row(op)[0](x, y)[0]
        elif kind == CHOOSE:
            place = self._chosen(row, code, memory, sample)
            target[:] = memory[place]
        elif kind == LARGEST:
            starts, whole = _terms(code, start, lanes)
            numbers = memory[_at(code.pool[px : px + whole], sample)]
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
            values = memory[_at(code.pool[px : px + lanes], sample)]
            target[:] = np.where(_masks(row, code, memory, sample), instead[:, None], values)

    def _chosen(self, row: list[int], code: Encoded, memory: Array, sample: Array) -> Array:
        """The place of what each lane chooses."""
        lanes, px, py, start = row[2], row[4], row[5], row[6]
        starts, whole = _terms(code, start, lanes)
        index = np.nan_to_num(memory[_at(code.pool[py : py + lanes], sample)])
        index = np.clip(index, 0, (np.diff(starts) - 1)[:, None]).astype(np.int64)
        flagged = code.pool[px : px + whole][starts[:-1, None] + index]
        return (flagged >> 1) + (flagged & 1) * sample

    def _backward(
        self, row: list[int], code: Encoded, memory: Array, grad: Array, sample: Array
    ) -> None:
        if row[0] == CONTRACT:
            # The adjoint is the first or the second factor.
            X, Y = (memory, grad) if row[-1] else (grad, memory)  # noqa: N806
            _numpy_contract(grad, X, Y, row)
            return
        kind, k, lanes, z, px, py, start, sign, wx, wy = row[:10]
        B = len(sample)  # noqa: N806
        if kind == GATHER:
            starts, whole = _terms(code, start, lanes)
            ax, ay = (
                _at(code.pool[px : px + whole], sample),
                _at(code.pool[py : py + whole], sample),
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
            slopes = _numpy_row(op)[1](memory[ax], y, memory[z : z + lanes * B].reshape(lanes, B))
            for wanted, slope, place in zip((wx, wy), slopes, (ax, ay), strict=False):
                if wanted:
                    np.add.at(grad, place, np.where(g != 0.0, g * slope, 0.0))
        elif kind == MASKED:
            g = np.where(_masks(row, code, memory, sample), 0.0, g)
            np.add.at(grad, _at(code.pool[px : px + lanes], sample), g)
        else:
            np.add.at(grad, self._chosen(row, code, memory, sample), g)


# ---------------------------------------------------------------------- numba


_ROW = """\
\"\"\"The row {op!r} as native loops, generated from the table of operations; safe to delete.\"\"\"

import math

from numba import carray, cfunc, njit, types
from numba.core.typing import signature

from autograd.compiled.kernels import power_of_e

{externals}
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
    texts, externals = numba_functions.declared(texts)
    return _ROW.format(op=op, externals=externals, **texts)


def cache_folder() -> Path:
    """Where compiled kernels are kept: $CHAINRULE_CACHE, else the user's cache folder."""
    given = os.environ.get("CHAINRULE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "chainrule"


@cache
def _compiled(source: str) -> Any:
    """The module of a row's native loops, compiled now or taken from the disk."""
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
        return _executed(stem, path)
    except Exception:
        # What a full disk or a crash left of numba's files is no reason to fail, nor is Ctrl-C
        # in a callback of LLVM's, which loses it, and the object code.
        for left in (path.parent / "__pycache__").glob(f"{stem}.*.nb[ic]"):
            left.unlink(missing_ok=True)
        return _executed(stem, path)


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
            from autograd.compiled import kernels

            self.run = kernels.sweep
            made = [_compiled(_source(rows()[name])) for name in program.tape.ops]
            kept = [_compiled(native_margins.source(one, UNIT)) for one in program.cone.rows]
        addresses = [(one.values.address, one.slopes.address) for one in made]
        self.rows = np.array(addresses or [(0, 0)], dtype=np.int64)
        self.margins = np.array([one.margins.address for one in kept] or [0], dtype=np.int64)

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
            code.forward, code.backward, code.bounding, code.bounding_largest, self.rows,
            self.margins, code.pool, code.guards, code.cleared, code.measured, code.outputs,
            code.layout,
            numbers, where, x, seeds, memory, grad, out, held, inputs, gradients,
            code.shared, code.block, code.end, differentiate,
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
