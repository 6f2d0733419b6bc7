"""The rules of `margins` as native loops over lanes and samples, for numba."""

import ast
from functools import cache

from autograd import rules
from autograd.compiled import margins
from autograd.printers import numba_functions
from autograd.value import rows

_LOOPS = """\
\"\"\"How far the row {op!r} carries rounding, as native loops.  Generated; safe to delete.\"\"\"

import math

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core.typing import signature

from autograd.compiled.kernels import bits, number_of, power_of_e

{externals}
inf, nan, pi = math.inf, math.nan, math.pi
numbers, wholes = types.CPointer(types.float64), types.CPointer(types.int64)
kind = types.void(numbers, numbers, wholes, wholes, types.int64)


@njit(error_model="numpy", forceinline=True)
def margin(x, y, z, p, q):
    {parts}
    return {margin}, {doubt}


@njit(error_model="numpy")
def of_each(memory, doubt, pool, row, B):
    # Every sample of a lane has its own margin.
    n, first, to, apart, unit = row[2] * B, row[3], row[4], row[10], row[11] * {unit!r}
    z, bounds = memory[first : first + n], memory[to : to + n]
    g, h = pool[row[7]] >> 1, pool[row[8]] >> 1
    if row[13] == 1 and row[15] != 0:  # x lies in a line, and y lies in a line or is one number
        x, y = memory[row[14] : row[14] + n], memory[row[16] : row[16] + n]
        p = memory[g : g + n] - unit * memory[g - apart : g - apart + n]
        if row[15] == 1:
            q = memory[h : h + n] - unit * memory[h - apart : h - apart + n]
        else:
            y, q = np.full(n, y[0]), np.full(n, memory[h] - unit * memory[h - apart])
    else:
        x, y, p, q = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
        for l in range(row[2]):
            i, j, g, h = pool[row[5] + l], pool[row[6] + l], pool[row[7] + l], pool[row[8] + l]
            for b in range(B):
                k, u, v = l * B + b, (g >> 1) + (g & 1) * b, (h >> 1) + (h & 1) * b
                x[k], y[k] = memory[(i >> 1) + (i & 1) * b], memory[(j >> 1) + (j & 1) * b]
                p[k] = memory[u] - unit * memory[u - apart]
                q[k] = memory[v] - unit * memory[v - apart]
    most = 0
    for k in range(n):
        m, d = margin(x[k], y[k], z[k], p[k], q[k])
        bounds[k] += m
        most = max(most, bits(d))
    if most > 0:
        for k in range(n):
            doubt[k % B] += margin(x[k], y[k], z[k], p[k], q[k])[1]


@njit(error_model="numpy")
def of_largest(memory, doubt, pool, row, B):
    # All samples of a lane have one margin.
    first, to, apart, unit = row[3], row[4], row[10], row[11] * {unit!r}
    doubtful, left, right = 0, np.empty(B), np.empty(B)
    for l in range(row[2]):
        i, j, g, h = pool[row[5] + l], pool[row[6] + l], pool[row[7] + l], pool[row[8] + l]
        x, y, z = memory[i >> 1 :], memory[j >> 1 :], memory[first + l * B :]
        if not i & 1:
            left[:] = x[0]
            x = left
        if not j & 1:
            right[:] = y[0]
            y = right
        p = memory[g >> 1] - unit * memory[(g >> 1) - apart]
        q = memory[h >> 1] - unit * memory[(h >> 1) - apart]
        most = 0
        for b in range(B):
            m, d = margin(x[b], y[b], z[b], p, q)
            most, doubtful = max(most, bits(m)), max(doubtful, bits(d))
        memory[to + l] += number_of(most)
    doubt[0] += number_of(doubtful)


@cfunc(kind, cache=True, error_model="numpy")
def margins(memory, doubt, pool, row, B):
    memory, pool, row = carray(memory, 1 << 40), carray(pool, 1 << 40), carray(row, 17)
    if row[12]:
        of_each(memory, carray(doubt, 1 << 40), pool, row, B)
    else:
        of_largest(memory, carray(doubt, 1 << 40), pool, row, B)
"""


@cache
def source(variant: margins.Variant, unit: float) -> str:
    """The source of the loops for a row whose operands may be off; `unit` is that of bounds."""
    written = margins.margins(rows()[variant.op], variant.unsigned)

    def text(tree: ast.expr) -> str:
        return rules.fast(tree, rows()).replace("math.exp(", "power_of_e(")

    parts = "\n    ".join(f"{name} = {text(tree)}" for name, tree in written.parts.items())
    texts = {"parts": parts, "margin": text(written.margin), "doubt": text(written.doubt)}
    texts, externals = numba_functions.declared(texts)
    return _LOOPS.format(op=variant.op, unit=unit, externals=externals, **texts)
