"""Rows as native loops over lanes and samples, for numba."""

import ast
from functools import cache

from autograd import rules
from autograd.operation import Operation
from autograd.ops import rows
from autograd.printers import numba_functions

_LOOPS = """\
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
def source(op: Operation) -> str:
    """The source of a module with the row's loops."""
    names = {part: ast.Name(part + "_") for part in op.where_trees}

    def text(tree: ast.expr) -> str:
        return rules.fast(rules.substitute(tree, names), rows()).replace("math.exp(", "power_of_e(")

    def parts(tree: ast.expr) -> str:
        shared = rules.parts(op, tree)
        return "\n    ".join(f"{part}_ = {text(tree)}" for part, tree in shared.items())

    trees = dict(zip(("value", "dx", "dy"), (op.value_tree, *op.partial_trees), strict=False))
    texts = {"dy": "0.0", "dy_parts": ""}
    for name, tree in trees.items():
        texts |= {name: text(tree), f"{name}_parts": parts(tree)}
    texts, externals = numba_functions.declared(texts)
    return _LOOPS.format(op=op, externals=externals, **texts)
