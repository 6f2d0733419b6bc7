"""The rules of `margins` as native loops over lanes and samples, for numba."""

import ast
from functools import cache

from autograd import margins, numba_functions, rules
from autograd.rounding import Variant
from autograd.value import rows

_LOOPS = """\
\"\"\"How far the row {op!r} carries rounding, as native loops; generated, safe to delete.\"\"\"

import math

from numba import carray, cfunc, njit, types
from numba.core.typing import signature

from autograd.kernels import bits, number_of, power_of_e

{externals}
inf, nan, pi = math.inf, math.nan, math.pi
numbers, wholes = types.CPointer(types.float64), types.CPointer(types.int64)
kind = types.void(numbers, numbers, wholes, wholes, types.int64)


@njit(error_model="numpy", forceinline=True)
def margin(x, y, z, p, q):
    {parts}
    return {margin}, {doubt}


@njit(error_model="numpy")
def of_lines(memory, doubt, row, g, h, B):
    # x and y lie in lines: no place has to be looked up.
    n, first, to, apart, unit = row[2] * B, row[3], row[4], row[10], row[11] * {unit!r}
    x, z, made = memory[row[14] : row[14] + n], memory[first : first + n], memory[to : to + n]
    y = memory[row[16] : row[16] + n]
    bound, size = memory[g : g + n], memory[g - apart : g - apart + n]
    other, second = memory[h : h + n], memory[h - apart : h - apart + n]
    most = 0
    if row[15] == 1:
        for k in range(n):
            p, q = bound[k] - unit * size[k], other[k] - unit * second[k]
            m, d = margin(x[k], y[k], z[k], p, q)
            made[k] += m
            most = max(most, bits(d))
    else:
        q = other[0] - unit * second[0]
        for k in range(n):
            m, d = margin(x[k], y[0], z[k], bound[k] - unit * size[k], q)
            made[k] += m
            most = max(most, bits(d))
    if most > 0:
        for k in range(n):
            i = k if row[15] == 1 else 0
            p, q = bound[k] - unit * size[k], other[i] - unit * second[i]
            doubt[k % B] += margin(x[k], y[i], z[k], p, q)[1]


@cfunc(kind, cache=True, error_model="numpy")
def margins(memory, doubt, pool, row, B):
    memory, pool, row = carray(memory, 1 << 40), carray(pool, 1 << 40), carray(row, 17)
    doubt = carray(doubt, 1 << 40)
    lanes, first, to = row[2], row[3], row[4]
    apart, unit, wide = row[10], row[11] * {unit!r}, row[12]
    if wide and row[13] == 1 and row[15] != 0:
        of_lines(memory, doubt, row, pool[row[7]] >> 1, pool[row[8]] >> 1, B)
        return
    doubtful = 0
    for l in range(lanes):
        i, j, g, h = pool[row[5] + l], pool[row[6] + l], pool[row[7] + l], pool[row[8] + l]
        x, y = memory[i >> 1 :], memory[j >> 1 :]
        z = memory[first + l * B : first + l * B + B]
        bound, other = memory[g >> 1 :], memory[h >> 1 :]
        size, second = memory[(g >> 1) - apart :], memory[(h >> 1) - apart :]
        i, j = i & 1, j & 1
        if wide:
            made = memory[to + l * B : to + l * B + B]
            for b in range(B):
                p, q = bound[i * b] - unit * size[i * b], other[j * b] - unit * second[j * b]
                m, d = margin(x[i * b], y[j * b], z[b], p, q)
                made[b] += m
                doubt[b] += d
            continue
        p, q = bound[0] - unit * size[0], other[0] - unit * second[0]
        most = 0
        if i == 1 and j == 1:
            for b in range(B):
                m, d = margin(x[b], y[b], z[b], p, q)
                most, doubtful = max(most, bits(m)), max(doubtful, bits(d))
        else:
            for b in range(B):
                m, d = margin(x[i * b], y[j * b], z[b], p, q)
                most, doubtful = max(most, bits(m)), max(doubtful, bits(d))
        memory[to + l] += number_of(most)
    doubt[0] += number_of(doubtful)
"""


@cache
def source(variant: Variant, unit: float) -> str:
    """The loops for a row of which some operands may be off; `unit` is that of bounds."""
    found = margins.margins(rows()[variant.op], variant.inexact, variant.unsigned)

    def text(tree: ast.expr) -> str:
        return rules.fast(tree, rows()).replace("math.exp(", "power_of_e(")

    parts = "\n    ".join(f"{name} = {text(tree)}" for name, tree in found.parts.items())
    texts = {"parts": parts, "margin": text(found.margin), "doubt": text(found.doubt)}
    texts, externals = numba_functions.declared(texts)
    return _LOOPS.format(op=variant.op, unit=unit, externals=externals, **texts)
