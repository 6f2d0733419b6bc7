"""The machines that run a `Program`: NumPy, and native code that numba compiles from the rows."""

import ast
import hashlib
import importlib.util
import math
import os
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograd import rules
from autograd.ops import Operation
from autograd.program import CHOOSE, CONTRACT, GATHER, LARGEST, ROW, SHARED, Instruction, Program
from autograd.tape import ORDER
from autograd.value import rows

Array = Any
SWEEP = 5  # a contraction's loops: three over lanes, one over terms, one over samples


class Encoded:
    """A program's addresses as positions in memory, for blocks of a number of samples."""

    def __init__(self, program: Program, block: int) -> None:
        self.block = block
        self.shared = program.shared + 1  # a one stands behind the parameters
        self.size = self.shared + program.slots * block
        self.pool: list[int] = []
        forward = [self._forward(one) for one in program.instructions]
        backward = [row for one in reversed(program.instructions) for row in self._backward(one)]
        width = max([len(row) for row in forward + backward], default=1)
        self.forward = self._table(forward, width)
        self.backward = self._table(backward, width)
        tape = program.tape
        self.outputs = self._flagged(program.address[tape.outputs])
        guards = tape.guards
        self.guards = np.stack(
            [
                guards[:, 0], self._flagged(program.address[guards[:, 1]]),
                self._flagged(program.address[guards[:, 2]]), guards[:, 3],
            ], axis=1,
        ).reshape(-1, 4)  # fmt: skip
        self.places = np.array(self.pool, dtype=np.int64)
        self.native: list[Array] | None = None  # the tables as the native engine wants them

    @staticmethod
    def _table(table: list[list[int]], width: int) -> Array:
        return np.array([row + [0] * (width - len(row)) for row in table], dtype=np.int64).reshape(
            len(table), width
        )

    def _flagged(self, addresses: Array) -> Array:
        """Positions times two, plus one if every sample has its own number."""
        sample = addresses < SHARED
        place = np.where(sample, self.shared + addresses * self.block, addresses - SHARED)
        return place * 2 + sample

    def _pooled(self, addresses: Array) -> int:
        start = len(self.pool)
        self.pool += self._flagged(np.ravel(addresses)).tolist()
        return start

    def _operand(self, base: int, strides: tuple[int, ...]) -> tuple[int, list[int]]:
        if base >= SHARED:
            return base - SHARED, [*strides, 0]
        return self.shared + base * self.block, [*(s * self.block for s in strides), 1]

    def _contraction(self, sign: float, sizes: list[int], z: Any, x: Any, y: Any) -> list[int]:
        """A row: z += sign * x * y over five loops, arranged so that the inner ones are quick."""
        loops = [(size, z[1][d], x[1][d], y[1][d]) for d, size in enumerate(sizes) if size > 1]

        def kind(loop: tuple[int, ...]) -> int:
            _, zs, xs, ys = loop
            if zs == 1 and (xs, ys) in ((1, 0), (0, 1), (1, 1)):
                return 1
            return 2 if zs == 0 and xs == 1 and ys == 1 else 0

        best = max(loops, key=lambda one: (kind(one) == 1, kind(one) == 2, one[0]), default=None)
        form = kind(best) if best else 0
        swap = False
        order: list[tuple[int, int, int, int]] = []
        if best is not None:
            rest = [one for one in loops if one is not best]
            adds = [one for one in rest if one[1] == 0]
            second = max(adds, default=None)
            if second is not None:
                rest.remove(second)
            order = [best, second or (1, 0, 0, 0), *rest]
            swap = form == 1 and best[2] == 0
        order += [(1, 0, 0, 0)] * (SWEEP - len(order))
        if swap:
            x, y = y, x
            order = [(n, zs, ys, xs) for n, zs, xs, ys in order]
            form = 1
        elif form == 1 and best is not None and best[3] == 1:
            form = 3
        row = [CONTRACT, form, int(sign), z[0], x[0], y[0]]
        for column in range(4):
            row += [one[column] for one in order]
        return row

    def _forward(self, one: Instruction) -> list[int]:
        z = self.shared + one.z * self.block
        if one.kind == CONTRACT:
            sizes = [*one.sizes, self.block]
            return self._contraction(
                one.sign, sizes, (z, [*(s * self.block for s in one.zs), 1]),
                self._operand(one.x, one.xs), self._operand(one.y, one.ys),
            )  # fmt: skip
        pools = [self._pooled(array) for array in one.pool]
        pools += [0] * (2 - len(pools))
        return [
            one.kind, one.op, one.lanes, z, *pools, one.sizes[3], int(one.sign),
            int(one.wanted[0]), int(one.wanted[1]),
        ]  # fmt: skip

    def _backward(self, one: Instruction) -> list[list[int]]:
        if not any(one.wanted):
            return []
        if one.kind != CONTRACT:
            return [self._forward(one)]
        z = self.shared + one.z * self.block, [*(s * self.block for s in one.zs), 1]
        x, y = self._operand(one.x, one.xs), self._operand(one.y, one.ys)
        sizes = [*one.sizes, self.block]
        made = []
        if one.wanted[0]:
            made.append(self._contraction(one.sign, sizes, x, z, y))
        if one.wanted[1]:
            made.append(self._contraction(one.sign, sizes, y, z, x))
        # Which operand of a swapped row is the adjoint is told by a flag at the end.
        for row, target in zip(made, [x, y], strict=False):
            row.append(int(row[4] != z[0]))
            assert row[3] in (x[0], y[0], target[0])
        return made


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


def _view(memory: Array, start: int, sizes: list[int], strides: list[int]) -> Array:
    return np.lib.stride_tricks.as_strided(
        memory[start:], sizes, [8 * stride for stride in strides]
    )


def _numpy_contract(Z: Array, X: Array, Y: Array, row: list[int]) -> None:  # noqa: N803
    sign, z, x, y = row[2:6]
    n, zs, xs, ys = (row[6 + SWEEP * k : 6 + SWEEP * (k + 1)] for k in range(4))
    kept = [d for d in range(SWEEP) if n[d] > 1 and zs[d] != 0]
    axes = list(range(SWEEP))
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
        self, code: Encoded, shared: Array, x: Array, seeds: Array, memory: Array, grad: Array,
        out: Array, held: Array, inputs: Array, differentiate: bool,
    ) -> None:  # fmt: skip
        """Fill `out`, `held`, `inputs` and the shared part of `grad` for the samples x."""
        n, B = code.shared, code.block  # noqa: N806
        lane = np.arange(B)

        def at(flagged: Array) -> Array:
            place, sample = flagged >> 1, flagged & 1
            return place[..., None] + sample[..., None] * lane

        memory[:n] = shared
        grad[:n] = 0.0
        with np.errstate(all="ignore"):
            for start in range(0, len(x), B):
                count = min(B, len(x) - start)
                chosen = np.minimum(start + lane, len(x) - 1)
                memory[n:] = 0.0
                memory[n : n + x.shape[1] * B] = x[chosen].T.ravel()
                for row in code.forward.tolist():
                    self._forward(row, code, memory, at)
                good = np.ones(B, dtype=bool)
                for order, p, q, answer in code.guards.tolist():
                    asked = list(ORDER.values())[order]
                    good &= asked(memory[at(np.array(p))], memory[at(np.array(q))]) == answer
                held[start : start + count] = good[:count]
                found = memory[at(code.outputs)]
                out[start : start + count] = found[:, :count].T
                if not differentiate:
                    continue
                grad[n:] = 0.0
                weight = np.where(good & (lane < count), 1.0, 0.0) * seeds[:, None]
                weight = np.where(found == found, weight, weight * np.nan)
                np.add.at(grad, at(code.outputs), weight)
                for row in code.backward.tolist():
                    self._backward(row, code, memory, grad, at)
                back = grad[n : n + x.shape[1] * B].reshape(-1, B)
                inputs[start : start + count] = back[:, :count].T

    def _forward(self, row: list[int], code: Encoded, memory: Array, at: Any) -> None:
        if row[0] == CONTRACT:
            _numpy_contract(memory, memory, memory, row)
            return
        kind, k, lanes, z, px, py, terms, sign = row[:8]
        B = code.block  # noqa: N806
        target = memory[z : z + lanes * B].reshape(lanes, B)
        first = code.places[px : px + lanes * terms].reshape(lanes, terms)
        if kind == ROW:
            x = memory[at(first[:, 0])]
            op = self.ops[k]
            y = memory[at(code.places[py : py + lanes])] if op.arity == 2 else None
            target[:] = _numpy_row(op)[0](x, y)[0]
        elif kind == GATHER:
            second = code.places[py : py + lanes * terms].reshape(lanes, terms)
            target += sign * (memory[at(first)] * memory[at(second)]).sum(axis=1)
        elif kind == CHOOSE:
            index = memory[at(code.places[py : py + lanes])]
            index = np.clip(np.nan_to_num(index), 0, terms - 1).astype(np.int64)
            numbers = memory[at(first)]
            target[:] = np.take_along_axis(numbers, index[:, None, :], 1)[:, 0, :]
        else:
            numbers = memory[at(first)]
            top = numbers.argmax(axis=1)
            target[:] = np.where(np.isnan(numbers).any(axis=1), 0, top)

    def _backward(self, row: list[int], code: Encoded, memory: Array, grad: Array, at: Any) -> None:
        if row[0] == CONTRACT:
            # The adjoint is the first or the second factor.
            X, Y = (memory, grad) if row[-1] else (grad, memory)  # noqa: N806
            _numpy_contract(grad, X, Y, row)
            return
        kind, k, lanes, z, px, py, terms, sign, wx, wy = row[:10]
        B = code.block  # noqa: N806
        g = grad[z : z + lanes * B].reshape(lanes, B)
        first = code.places[px : px + lanes * terms].reshape(lanes, terms)
        if kind == ROW:
            op = self.ops[k]
            ax = at(first[:, 0])
            ay = at(code.places[py : py + lanes]) if op.arity == 2 else None
            y = memory[ay] if ay is not None else None
            slopes = _numpy_row(op)[1](memory[ax], y, memory[z : z + lanes * B].reshape(lanes, B))
            for wanted, slope, place in zip((wx, wy), slopes, (ax, ay), strict=False):
                if wanted:
                    np.add.at(grad, place, np.where(g != 0.0, g * slope, 0.0))
        elif kind == GATHER:
            second = code.places[py : py + lanes * terms].reshape(lanes, terms)
            ax, ay = at(first), at(second)
            if wx:
                np.add.at(grad, ax, sign * g[:, None, :] * memory[ay])
            if wy:
                np.add.at(grad, ay, sign * g[:, None, :] * memory[ax])
        else:
            index = memory[at(code.places[py : py + lanes])]
            index = np.clip(np.nan_to_num(index), 0, terms - 1).astype(np.int64)
            place = np.take_along_axis(at(first), index[:, None, :], 1)[:, 0, :]
            np.add.at(grad, place, g)


# ---------------------------------------------------------------------- numba

_KERNELS = '''\
"""Generated from the rows of the op table; safe to delete."""

import math

from numba import njit

inf, nan, pi = math.inf, math.nan, math.pi
exact = dict(error_model="numpy", cache=True, nogil=True, fastmath={"contract"})
loose = dict(error_model="numpy", cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})


@njit(**loose)
def dot(X, Y, x, y, nr, xr, yr, n):
    total = 0.0
    for r in range(nr):
        p = x + r * xr
        q = y + r * yr
        for i in range(n):
            total += X[p + i] * Y[q + i]
    return total


@njit(**exact)
def scale(Z, X, Y, z, x, y, nr, xr, yr, n, sign):
    i = 0
    while i + 8 <= n:
        a0 = 0.0; a1 = 0.0; a2 = 0.0; a3 = 0.0; a4 = 0.0; a5 = 0.0; a6 = 0.0; a7 = 0.0
        p = x + i
        q = y
        for r in range(nr):
            c = Y[q]
            a0 += c * X[p]; a1 += c * X[p + 1]; a2 += c * X[p + 2]; a3 += c * X[p + 3]
            a4 += c * X[p + 4]; a5 += c * X[p + 5]; a6 += c * X[p + 6]; a7 += c * X[p + 7]
            p += xr
            q += yr
        Z[z + i] += sign * a0; Z[z + i + 1] += sign * a1
        Z[z + i + 2] += sign * a2; Z[z + i + 3] += sign * a3
        Z[z + i + 4] += sign * a4; Z[z + i + 5] += sign * a5
        Z[z + i + 6] += sign * a6; Z[z + i + 7] += sign * a7
        i += 8
    while i < n:
        a0 = 0.0
        for r in range(nr):
            a0 += Y[y + r * yr] * X[x + r * xr + i]
        Z[z + i] += sign * a0
        i += 1


@njit(**exact)
def pairs(Z, X, Y, z, x, y, nr, xr, yr, n, sign):
    for r in range(nr):
        for i in range(n):
            Z[z + i] += sign * X[x + r * xr + i] * Y[y + r * yr + i]


@njit(**exact)
def contract(Z, X, Y, row):
    form = row[1]
    sign = float(row[2])
    n0, n1, n2, n3, n4 = row[6], row[7], row[8], row[9], row[10]
    z0, z1, z2, z3, z4 = row[11], row[12], row[13], row[14], row[15]
    x0, x1, x2, x3, x4 = row[16], row[17], row[18], row[19], row[20]
    y0, y1, y2, y3, y4 = row[21], row[22], row[23], row[24], row[25]
    for a in range(n4):
        for b in range(n3):
            for c in range(n2):
                z = row[3] + a * z4 + b * z3 + c * z2
                x = row[4] + a * x4 + b * x3 + c * x2
                y = row[5] + a * y4 + b * y3 + c * y2
                if form == 1:
                    scale(Z, X, Y, z, x, y, n1, x1, y1, n0, sign)
                elif form == 2:
                    Z[z] += sign * dot(X, Y, x, y, n1, x1, y1, n0)
                elif form == 3:
                    pairs(Z, X, Y, z, x, y, n1, x1, y1, n0, sign)
                else:
                    for r in range(n1):
                        for i in range(n0):
                            Z[z + r * z1 + i * z0] += (
                                sign * X[x + r * x1 + i * x0] * Y[y + r * y1 + i * y0]
                            )


@njit(**exact)
def chosen(memory, place, b, terms):
    index = memory[(place >> 1) + (place & 1) * b]
    if not index > 0.0:
        return 0
    return min(int(index), terms - 1) if index < 1e15 else terms - 1


@njit(**exact)
def forward(code, pool, memory, B):
    for k in range(len(code)):
        row = code[k]
        kind = row[0]
        if kind == 0:
            contract(memory, memory, memory, row)
            continue
        op, lanes, z, px, py, terms = row[1], row[2], row[3], row[4], row[5], row[6]
        sign = float(row[7])
        if kind == 1:
            for l in range(lanes):
                for b in range(B):
                    total = 0.0
                    for t in range(terms):
                        p, q = pool[px + l * terms + t], pool[py + l * terms + t]
                        total += memory[(p >> 1) + (p & 1) * b] * memory[(q >> 1) + (q & 1) * b]
                    memory[z + l * B + b] += sign * total
        elif kind == 3:
            for l in range(lanes):
                for b in range(B):
                    p = pool[px + l * terms + chosen(memory, pool[py + l], b, terms)]
                    memory[z + l * B + b] = memory[(p >> 1) + (p & 1) * b]
        elif kind == 4:
            for l in range(lanes):
                for b in range(B):
                    top = 0
                    p = pool[px + l * terms]
                    best = memory[(p >> 1) + (p & 1) * b]
                    clean = best == best
                    for t in range(1, terms):
                        p = pool[px + l * terms + t]
                        one = memory[(p >> 1) + (p & 1) * b]
                        if one != one:
                            clean = False
                        if one > best:
                            best = one
                            top = t
                    memory[z + l * B + b] = float(top) if clean else 0.0
@VALUES@

@njit(**exact)
def backward(code, pool, memory, grad, B):
    for k in range(len(code)):
        row = code[k]
        kind = row[0]
        if kind == 0:
            if row[26]:
                contract(grad, memory, grad, row)
            else:
                contract(grad, grad, memory, row)
            continue
        op, lanes, z, px, py, terms = row[1], row[2], row[3], row[4], row[5], row[6]
        sign = float(row[7])
        wx, wy = row[8], row[9]
        if kind == 1:
            for l in range(lanes):
                for b in range(B):
                    g = sign * grad[z + l * B + b]
                    for t in range(terms):
                        p, q = pool[px + l * terms + t], pool[py + l * terms + t]
                        p = (p >> 1) + (p & 1) * b
                        q = (q >> 1) + (q & 1) * b
                        if wx:
                            grad[p] += g * memory[q]
                        if wy:
                            grad[q] += g * memory[p]
        elif kind == 3:
            for l in range(lanes):
                for b in range(B):
                    p = pool[px + l * terms + chosen(memory, pool[py + l], b, terms)]
                    grad[(p >> 1) + (p & 1) * b] += grad[z + l * B + b]
@SLOPES@

@njit(**exact)
def sweep(fcode, bcode, pool, guards, outputs, shared, X, seeds, memory, grad, out, held, inputs,
          n, B, differentiate):
    samples, width = X.shape
    memory[:n] = shared
    if differentiate:
        grad[:n] = 0.0
    for start in range(0, samples, B):
        memory[n:] = 0.0
        for i in range(width):
            for b in range(B):
                memory[n + i * B + b] = X[min(start + b, samples - 1), i]
        forward(fcode, pool, memory, B)
        count = min(B, samples - start)
        for b in range(count):
            good = True
            for j in range(len(guards)):
                p, q = guards[j, 1], guards[j, 2]
                x = memory[(p >> 1) + (p & 1) * b]
                y = memory[(q >> 1) + (q & 1) * b]
                order = guards[j, 0]
                if order == 0:
                    answer = x < y
                elif order == 1:
                    answer = x <= y
                elif order == 2:
                    answer = x > y
                elif order == 3:
                    answer = x >= y
                else:
                    answer = x == y
                if answer != (guards[j, 3] == 1):
                    good = False
            held[start + b] = good
            for j in range(len(outputs)):
                p = outputs[j]
                out[start + b, j] = memory[(p >> 1) + (p & 1) * b]
        if differentiate:
            grad[n:] = 0.0
            for b in range(count):
                if held[start + b]:
                    for j in range(len(outputs)):
                        p = outputs[j]
                        place = (p >> 1) + (p & 1) * b
                        grad[place] += seeds[j] if out[start + b, j] == out[start + b, j] else nan
            backward(bcode, pool, memory, grad, B)
            for b in range(count):
                for i in range(width):
                    inputs[start + b, i] = grad[n + i * B + b]
'''


def _source(ops: list[Operation]) -> str:
    values, slopes = [], []
    for k, op in enumerate(ops):
        binary = op.arity == 2
        read = [
            f"        elif kind == 2 and op == {k}:  # {op!r}",
            "            for l in range(lanes):",
            "                p = pool[px + l]",
            *(["                q = pool[py + l]"] if binary else []),
            "                for b in range(B):",
            "                    x = memory[(p >> 1) + (p & 1) * b]",
            *(["                    y = memory[(q >> 1) + (q & 1) * b]"] if binary else []),
        ]
        pad = " " * 20
        shared = rules.parts(op, op.value_tree)
        values += read
        for name, tree in shared.items():
            values.append(f"{pad}{name}_ = {_text(op, _renamed(op, tree), False)}")
        text = _text(op, _renamed(op, op.value_tree), False)
        values.append(f"{pad}memory[z + l * B + b] = {text}")
        slopes += read
        slopes += [f"{pad}g = grad[z + l * B + b]", f"{pad}if g != 0.0:"]
        slopes.append(f"{pad}    h = memory[z + l * B + b]")
        for name, tree in rules.parts(op, *op.partial_trees).items():
            slopes.append(f"{pad}    {name}_ = {_text(op, _renamed(op, tree), False)}")
        for wanted, place, tree in zip(("wx", "wy"), "pq", op.partial_trees, strict=False):
            text = _text(op, _renamed(op, tree), False)
            slopes.append(f"{pad}    if {wanted}:")
            slopes.append(f"{pad}        grad[({place} >> 1) + ({place} & 1) * b] += g * ({text})")
    text = _KERNELS.replace("@VALUES@", "\n".join(values))
    return text.replace("@SLOPES@", "\n".join(slopes))


def _renamed(op: Operation, tree: ast.expr) -> ast.expr:
    """The rule with names that the kernels use for something else out of the way."""
    names = {"z": ast.Name("h"), **{part: ast.Name(part + "_") for part in op.where_trees}}
    return rules.substitute(tree, names)


def cache_folder() -> Path:
    """Where compiled kernels are kept: $CHAINRULE_CACHE, else the user's cache folder."""
    given = os.environ.get("CHAINRULE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "chainrule"


_building = threading.Lock()


@cache
def _kernels(names: tuple[str, ...], texts: str) -> Any:
    """The module with the kernels for these operations, compiled now or taken from the disk."""
    source = _source([rows()[name] for name in names])
    stem = "kernels_" + hashlib.sha256(source.encode()).hexdigest()[:16]
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{stem}.py"
        if not path.exists() or path.read_text() != source:
            part = folder / f".{stem}.{os.getpid()}"
            part.write_text(source)
            os.replace(part, path)
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="chainrule-")) / f"{stem}.py"
        path.write_text(source)
    spec = importlib.util.spec_from_file_location(stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module  # where numba's cache looks for it
    spec.loader.exec_module(module)
    return module


class NumbaEngine:
    """Runs a program as native code; kernels are kept on disk."""

    name = "numba"

    def __init__(self, program: Program) -> None:
        names = tuple(sorted(program.tape.ops))
        order = [names.index(name) for name in program.tape.ops]
        self.order = np.array(order or [0], dtype=np.int64)
        texts = repr([(name, rows()[name].texts, rows()[name].where) for name in names])
        with _building:
            self.run = _kernels(names, texts).sweep

    def sweep(
        self, code: Encoded, shared: Array, x: Array, seeds: Array, memory: Array, grad: Array,
        out: Array, held: Array, inputs: Array, differentiate: bool,
    ) -> None:  # fmt: skip
        """Fill `out`, `held`, `inputs` and the shared part of `grad` for the samples x."""
        tables = code.native
        if tables is None:
            tables = []
            for given in (code.forward, code.backward):
                table = np.zeros((len(given), 27), dtype=np.int64)
                table[:, : given.shape[1]] = given
                own = table[:, 0] == ROW
                table[own, 1] = self.order[table[own, 1]]
                tables.append(table)
            code.native = tables
        self.run(
            tables[0], tables[1], code.places, code.guards, code.outputs, shared, x, seeds,
            memory, grad, out, held, inputs, code.shared, code.block, differentiate,
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


__all__ = ["CHOOSE", "LARGEST", "Encoded", "NumbaEngine", "NumpyEngine", "cache_folder", "engine"]
