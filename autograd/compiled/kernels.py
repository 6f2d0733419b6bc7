"""Native loops that run a program's instructions; numba compiles them once and caches them on disk.

The inner loops use LLVM's vectors of eight doubles, so that they use the processor's registers even
where a compiler would not find out how.  This file only knows addresses.  The table says what an
operation computes, and its compiled rows come in as pointers.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_double = ir.DoubleType()
_long = ir.IntType(64)
_LOOSE = ("contract", "reassoc")
_UNIT = 2.0**-53
_HUGE = 1e280  # with a larger margin, the terms of a sum may have overflowed


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """The address of an array's first number."""
    return context.make_array(kind)(context, builder, array).data


def _signature(result: Any, *arguments: Any) -> Any:
    return result(*arguments)


class _Vectors:
    """Loads and stores of several neighbours at once."""

    def __init__(self, builder: Any, width: int) -> None:
        self.builder, self.width = builder, width
        self.type = _double if width == 1 else ir.VectorType(_double, width)
        self.zero = ir.Constant(self.type, 0.0 if width == 1 else [0.0] * width)

    def pointer(self, base: Any, index: Any) -> Any:
        pointer = self.builder.gep(base, [index])
        return self.builder.bitcast(pointer, self.type.as_pointer())

    def load(self, base: Any, index: Any) -> Any:
        return self.builder.load(self.pointer(base, index), align=8)

    def store(self, base: Any, index: Any, value: Any) -> None:
        self.builder.store(value, self.pointer(base, index), align=8)

    def spread(self, scalar: Any) -> Any:
        """A vector with the same number in every entry."""
        if self.width == 1:
            return scalar
        builder, undefined = self.builder, ir.Constant(self.type, ir.Undefined)
        first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return builder.shuffle_vector(first, undefined, mask)

    def added(self, total: Any, x: Any, y: Any) -> Any:
        """total + x * y."""
        product = self.builder.fmul(x, y, flags=_LOOSE)
        return self.builder.fadd(total, product, flags=_LOOSE)

    def total(self, vector: Any) -> Any:
        """The sum of the entries."""
        if self.width == 1:
            return vector
        name = f"llvm.vector.reduce.fadd.v{self.width}f64"
        kind = ir.FunctionType(_double, [_double, self.type])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        start = ir.Constant(_double, -0.0)
        return self.builder.call(function, [start, vector], fastmath=_LOOSE)


def _loop(builder: Any, count: Any, step: int, totals: list[Any], body: Any) -> list[Any]:
    """The totals after body(i, totals) for i = 0, step, ... while i + step <= count."""
    before = builder.block
    head, inside, after = (builder.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(_long)
    i.add_incoming(ir.Constant(_long, 0), before)
    phis = []
    for total in totals:
        phi = builder.phi(total.type)
        phi.add_incoming(total, before)
        phis.append(phi)
    ahead = builder.add(i, ir.Constant(_long, step))
    builder.cbranch(builder.icmp_signed("<=", ahead, count), inside, after)
    builder.position_at_end(inside)
    changed = body(i, phis)
    i.add_incoming(ahead, builder.block)
    for phi, total in zip(phis, changed, strict=True):
        phi.add_incoming(total, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return phis


def _outer(rows: int, width: int) -> Any:
    """Z[c, i] += sign * sum over r of X[r, i] * Y[c, r], for so many c and i."""

    @intrinsic
    def outer(
        typing: Any, Z: Any, X: Any, Y: Any, z: Any, x: Any, y: Any, n: Any, xr: Any, yr: Any,
        zc: Any, yc: Any, sign: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            Zp, Xp, Yp = (
                _data(context, builder, kind, array)
                for kind, array in zip(signature.args[:3], args[:3], strict=True)
            )
            z, x, y, n, xr, yr, zc, yc, sign = args[3:]
            vectors = _Vectors(builder, width)

            def step(r: Any, totals: list[Any]) -> list[Any]:
                here = vectors.load(Xp, builder.add(x, builder.mul(r, xr)))
                at = builder.add(y, builder.mul(r, yr))
                sums = []
                for c, total in enumerate(totals):
                    place = builder.add(at, builder.mul(yc, ir.Constant(_long, c)))
                    factor = vectors.spread(builder.load(builder.gep(Yp, [place])))
                    sums.append(vectors.added(total, here, factor))
                return sums

            totals = _loop(builder, n, 1, [vectors.zero] * rows, step)
            for c, total in enumerate(totals):
                place = builder.add(z, builder.mul(zc, ir.Constant(_long, c)))
                before = vectors.load(Zp, place)
                vectors.store(Zp, place, vectors.added(before, total, vectors.spread(sign)))
            return context.get_dummy_value()

        whole = [types.int64] * 8
        return _signature(types.void, Z, X, Y, *whole, types.float64), generate

    return outer


def _inner(rows: int, columns: int, width: int) -> Any:
    """Z[c, d] += sign * sum over i of X[c, i] * Y[d, i], for so many c and d."""

    @intrinsic
    def inner(
        typing: Any, Z: Any, X: Any, Y: Any, z: Any, x: Any, y: Any, n: Any, nr: Any, xr: Any,
        yr: Any, zc: Any, xc: Any, zd: Any, yd: Any, sign: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            Zp, Xp, Yp = (
                _data(context, builder, kind, array)
                for kind, array in zip(signature.args[:3], args[:3], strict=True)
            )
            z, x, y, n, nr, xr, yr, zc, xc, zd, yd, sign = args[3:]

            def at(base: Any, stride: Any, k: int) -> Any:
                return builder.add(base, builder.mul(stride, ir.Constant(_long, k)))

            def run(wide: int, start: Any, count: Any) -> list[Any]:
                vectors = _Vectors(builder, wide)

                def again(r: Any, totals: list[Any]) -> list[Any]:
                    left_at = builder.add(builder.add(x, start), builder.mul(r, xr))
                    right_at = builder.add(builder.add(y, start), builder.mul(r, yr))
                    xs = [at(left_at, xc, c) for c in range(rows)]
                    ys = [at(right_at, yd, d) for d in range(columns)]

                    def step(i: Any, totals: list[Any]) -> list[Any]:
                        left = [vectors.load(Xp, builder.add(place, i)) for place in xs]
                        right = [vectors.load(Yp, builder.add(place, i)) for place in ys]
                        return [
                            vectors.added(totals[c * columns + d], left[c], right[d])
                            for c in range(rows)
                            for d in range(columns)
                        ]

                    return _loop(builder, count, wide, totals, step)

                sums = _loop(builder, nr, 1, [vectors.zero] * (rows * columns), again)
                return [vectors.total(sum) for sum in sums]

            done = builder.and_(n, ir.Constant(_long, -width))
            totals = run(width, ir.Constant(_long, 0), done)
            rest = run(1, done, builder.sub(n, done))
            totals = [builder.fadd(a, b, flags=_LOOSE) for a, b in zip(totals, rest, strict=True)]
            for c in range(rows):
                for d in range(columns):
                    place = builder.gep(Zp, [at(at(z, zc, c), zd, d)])
                    part = builder.fmul(totals[c * columns + d], sign)
                    builder.store(builder.fadd(builder.load(place), part), place)
            return context.get_dummy_value()

        whole = [types.int64] * 11
        return _signature(types.void, Z, X, Y, *whole, types.float64), generate

    return inner


@intrinsic
def _pairs(typing: Any, Z: Any, X: Any, Y: Any, z: Any, x: Any, y: Any, n: Any, sign: Any) -> Any:
    """Z[i] += sign * X[i] * Y[i] for i below n, a multiple of eight."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        Zp, Xp, Yp = (
            _data(context, builder, kind, array)
            for kind, array in zip(signature.args[:3], args[:3], strict=True)
        )
        z, x, y, n, sign = args[3:]
        vectors = _Vectors(builder, 8)
        factor = vectors.spread(sign)

        def step(i: Any, totals: list[Any]) -> list[Any]:
            place = builder.add(z, i)
            left = builder.fmul(vectors.load(Xp, builder.add(x, i)), factor)
            right = vectors.load(Yp, builder.add(y, i))
            vectors.store(Zp, place, vectors.added(vectors.load(Zp, place), left, right))
            return totals

        _loop(builder, n, 8, [], step)
        return context.get_dummy_value()

    whole = [types.int64] * 4
    return _signature(types.void, Z, X, Y, *whole, types.float64), generate


@intrinsic
def _row(
    typing: Any, address: Any, memory: Any, grad: Any, pool: Any, code: Any, k: Any, block: Any
) -> Any:
    """Call the compiled row at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = [
            _data(context, builder, kind, array)
            for kind, array in zip(signature.args[1:5], args[1:5], strict=True)
        ]
        width = builder.extract_value(args[4], 5)  # of (memory, parent, items, size, data, shape)
        width = builder.extract_value(width, 1)
        pointers[3] = builder.gep(pointers[3], [builder.mul(args[5], width)])
        arguments = [*pointers, args[6]]
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, arguments)
        return context.get_dummy_value()

    wholes = types.int64, types.int64
    return _signature(types.void, types.int64, memory, grad, pool, code, *wholes), generate


_outer_4_8, _outer_1_8, _outer_1_1 = _outer(4, 8), _outer(1, 8), _outer(1, 1)
_outer_4_4, _outer_1_4 = _outer(4, 4), _outer(1, 4)
_inner_4_2, _inner_1_1 = _inner(4, 2, 8), _inner(1, 1, 8)
_inner_4_1 = _inner(4, 1, 8)

_options: dict[str, Any] = {"error_model": "numpy", "cache": True, "nogil": True}


@njit(**_options)
def _outers(Z, X, Y, z, x, y, n, nr, xr, yr, nc, zc, yc, sign):
    i = 0
    while i + 8 <= n:
        c = 0
        while c + 4 <= nc:
            _outer_4_8(Z, X, Y, z + c * zc + i, x + i, y + c * yc, nr, xr, yr, zc, yc, sign)
            c += 4
        while c < nc:
            _outer_1_8(Z, X, Y, z + c * zc + i, x + i, y + c * yc, nr, xr, yr, zc, yc, sign)
            c += 1
        i += 8
    if i + 4 <= n:
        c = 0
        while c + 4 <= nc:
            _outer_4_4(Z, X, Y, z + c * zc + i, x + i, y + c * yc, nr, xr, yr, zc, yc, sign)
            c += 4
        while c < nc:
            _outer_1_4(Z, X, Y, z + c * zc + i, x + i, y + c * yc, nr, xr, yr, zc, yc, sign)
            c += 1
        i += 4
    while i < n:
        for c in range(nc):
            _outer_1_1(Z, X, Y, z + c * zc + i, x + i, y + c * yc, nr, xr, yr, zc, yc, sign)
        i += 1


@njit(**_options)
def _inners(Z, X, Y, z, x, y, n, nr, xr, yr, nc, zc, xc, nd, zd, yd, sign):
    c = 0
    while c + 4 <= nc:
        d = 0
        while d + 2 <= nd:
            _inner_4_2(
                Z, X, Y, z + c * zc + d * zd, x + c * xc, y + d * yd, n, nr, xr, yr,
                zc, xc, zd, yd, sign,
            )  # fmt: skip
            d += 2
        while d < nd:
            _inner_4_1(
                Z, X, Y, z + c * zc + d * zd, x + c * xc, y + d * yd, n, nr, xr, yr,
                zc, xc, zd, yd, sign,
            )  # fmt: skip
            d += 1
        c += 4
    while c < nc:
        for d in range(nd):
            _inner_1_1(
                Z, X, Y, z + c * zc + d * zd, x + c * xc, y + d * yd, n, nr, xr, yr,
                zc, xc, zd, yd, sign,
            )  # fmt: skip
        c += 1


@njit(**_options)
def _contract(Z, X, Y, code, k):
    form = code[k, 1]
    sign = float(code[k, 2])
    n0, n1, n2, n3, n4 = code[k, 6], code[k, 7], code[k, 8], code[k, 9], code[k, 10]
    z0, z1, z2, z3, z4 = code[k, 11], code[k, 12], code[k, 13], code[k, 14], code[k, 15]
    x0, x1, x2, x3, x4 = code[k, 16], code[k, 17], code[k, 18], code[k, 19], code[k, 20]
    y0, y1, y2, y3, y4 = code[k, 21], code[k, 22], code[k, 23], code[k, 24], code[k, 25]
    for a in range(n4):
        if form == 2:
            z, x, y = code[k, 3] + a * z4, code[k, 4] + a * x4, code[k, 5] + a * y4
            _inners(Z, X, Y, z, x, y, n0, n1, x1, y1, n2, z2, x2, n3, z3, y3, sign)
            continue
        for b in range(n3):
            z = code[k, 3] + a * z4 + b * z3
            x = code[k, 4] + a * x4 + b * x3
            y = code[k, 5] + a * y4 + b * y3
            if form == 1:
                _outers(Z, X, Y, z, x, y, n0, n1, x1, y1, n2, z2, y2, sign)
                continue
            for c in range(n2):
                for r in range(n1):
                    zr = z + c * z2 + r * z1
                    xr = x + c * x2 + r * x1
                    yr = y + c * y2 + r * y1
                    if form == 3:
                        whole = n0 // 8 * 8
                        _pairs(Z, X, Y, zr, xr, yr, whole, sign)
                        for i in range(whole, n0):
                            Z[zr + i] += sign * X[xr + i] * Y[yr + i]
                    elif z0 == 0:
                        total = other = 0.0
                        for i in range(0, n0 - 1, 2):
                            total += X[xr + i * x0] * Y[yr + i * y0]
                            other += X[xr + (i + 1) * x0] * Y[yr + (i + 1) * y0]
                        if n0 & 1:
                            total += X[xr + (n0 - 1) * x0] * Y[yr + (n0 - 1) * y0]
                        Z[zr] += sign * (total + other)
                    elif x0 == 0 and y0 == 0:
                        factor = sign * X[xr] * Y[yr]
                        for i in range(n0):
                            Z[zr + i * z0] += factor
                    else:
                        for i in range(n0):
                            Z[zr + i * z0] += sign * X[xr + i * x0] * Y[yr + i * y0]


@intrinsic
def _power_of_two(typing: Any, exponent: Any) -> Any:
    """2^k for a whole k of -1022 to 1023, from its bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        biased = builder.add(args[0], ir.Constant(_long, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(_long, 52)), _double)

    return _signature(types.float64, types.int64), generate


def _cast(wanted: Any, name: str) -> Any:
    """The same bits as a number of another type."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _double if wanted is types.float64 else _long)

    def cast(typing: Any, x: Any) -> Any:
        return _signature(wanted, x), generate

    cast.__name__ = name
    return intrinsic(cast)


# The bits of numbers >= 0 are in the order of the numbers, and those of nan are above all.
bits = _cast(types.int64, "bits")
number_of = _cast(types.float64, "number_of")


@njit(error_model="numpy", fastmath={"contract"})
def power_of_e(x):
    """e^x within 2 ulp, without branches or calls, so that a loop of it can be vectorized.

    x = k log 2 + r, and the series of e^r to r^13 / 13!, whose remainder is below 2^-55 for
    |r| <= log(2) / 2.  log 2 is split in two parts, the first so short that k times it is exact
    (Cody and Waite 1980, ch. 6).
    """
    y = 710.0 if x > 710.0 else x
    y = y if y > -746.0 else -746.0
    k = math.floor(y * 1.4426950408889634 + 0.5)
    r = (y - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    whole = int(k)
    half = whole >> 1  # in two steps, for results below the smallest normal number
    z = p * _power_of_two(half) * _power_of_two(whole - half)
    return z if x == x else x


@njit(**_options)
def _at(flagged, b):
    return (flagged >> 1) + (flagged & 1) * b


@njit(**_options)
def _chosen(memory, flagged, b, terms):
    index = memory[_at(flagged, b)]
    if not index > 0.0:
        return 0
    return min(int(index), terms - 1) if index < 1e15 else terms - 1


@njit(**_options)
def _forward(code, rows, pool, memory, B):
    best = np.empty(B)
    for k in range(len(code)):
        kind = code[k, 0]
        if kind == 0:
            _contract(memory, memory, memory, code, k)
            continue
        if kind == 2:
            _row(rows[code[k, 1], 0], memory, memory, pool, code, k, B)
            continue
        lanes, z, px, py = code[k, 2], code[k, 3], code[k, 4], code[k, 5]
        if kind == 1:
            sign = float(code[k, 7])
            for l in range(lanes):
                start, end = pool[code[k, 6] + l], pool[code[k, 6] + l + 1]
                if B == 1:
                    total = 0.0
                    for t in range(start, end):
                        total += memory[pool[px + t] >> 1] * memory[pool[py + t] >> 1]
                    memory[pool[z + l]] += sign * total
                    continue
                target = memory[pool[z + l] : pool[z + l] + B]
                for t in range(start, end):
                    p, q = pool[px + t], pool[py + t]
                    if q & 1:
                        for b in range(B):
                            target[b] += sign * memory[_at(p, b)] * memory[(q >> 1) + b]
                    else:
                        factor = sign * memory[q >> 1]
                        for b in range(B):
                            target[b] += memory[_at(p, b)] * factor
        elif kind == 3:
            for l in range(0, lanes, code[k, 10]):  # that many lanes share a choice
                start, end = pool[code[k, 6] + l], pool[code[k, 6] + l + 1]
                for b in range(B):
                    t = start + _chosen(memory, pool[py + l], b, end - start)
                    offset = _at(pool[px + t], b)
                    for c in range(code[k, 10]):
                        memory[z + (l + c) * B + b] = memory[offset + c * code[k, 11]]
        elif kind == 4:
            for l in range(lanes):
                start, end = pool[code[k, 6] + l], pool[code[k, 6] + l + 1]
                if B == 1:
                    top, most = start, memory[pool[px + start] >> 1]
                    for t in range(start + 1, end):
                        number = memory[pool[px + t] >> 1]
                        if not number <= most:  # nan, too, which then stays the largest
                            top, most = t, number
                    memory[z + l] = float(top - start) if most == most else 0.0
                    continue
                target = memory[z + l * B : z + l * B + B]
                target[:] = 0.0
                for t in range(start, end):
                    p = pool[px + t]
                    step = p & 1
                    p >>= 1
                    if t == start:
                        for b in range(B):
                            best[b] = memory[p + step * b]
                        continue
                    index = float(t - start)
                    if step and B > 1:
                        here = memory[p : p + B]
                        for b in range(B):  # nan stays the best
                            number = here[b]
                            more = number > best[b] or number != number
                            target[b] = index if more else target[b]
                            best[b] = number if more else best[b]
                    else:
                        for b in range(B):
                            number = memory[p + step * b]
                            if number > best[b] or number != number:
                                target[b] = index
                                best[b] = number
                for b in range(B):
                    if best[b] != best[b]:
                        target[b] = 0.0
        else:
            for j in range(code[k, 8]):
                start, end = pool[code[k, 6] + j], pool[code[k, 6] + j + 1]
                size, p, q = end - start, pool[px + start], pool[py + j]
                if B == 1:
                    for i in range(size):
                        memory[z + start + i] = memory[pool[px + start + i] >> 1]
                    i = int(memory[q >> 1]) - pool[code[k, 10] + j]
                    if 0 <= i < size:
                        memory[z + start + i] = memory[pool[code[k, 9] + j]]
                    continue
                target = memory[z + start * B : z + end * B]
                if pool[code[k, 7] + j]:  # the group's values lie in a line
                    target[:] = memory[p >> 1 : (p >> 1) + size * B]
                else:
                    for l in range(size):
                        for b in range(B):
                            target[l * B + b] = memory[_at(pool[px + start + l], b)]
                for b in range(B):
                    i = int(memory[_at(q, b)]) - pool[code[k, 10] + j]
                    if 0 <= i < size:
                        target[i * B + b] = memory[pool[code[k, 9] + j]]


@njit(**_options)
def _backward(code, rows, pool, memory, grad, B):
    for k in range(len(code)):
        kind = code[k, 0]
        if kind == 0:
            if code[k, 26]:
                _contract(grad, memory, grad, code, k)
            else:
                _contract(grad, grad, memory, code, k)
            continue
        if kind == 2:
            _row(rows[code[k, 1], 1], memory, grad, pool, code, k, B)
            continue
        lanes, z, px, py = code[k, 2], code[k, 3], code[k, 4], code[k, 5]
        if kind == 5:
            for j in range(code[k, 8]):
                start, end = pool[code[k, 6] + j], pool[code[k, 6] + j + 1]
                size, p, q = end - start, pool[px + start], pool[py + j]
                if B == 1:
                    i = int(memory[q >> 1]) - pool[code[k, 10] + j]
                    if 0 <= i < size:
                        grad[z + start + i] = 0.0
                    for i in range(size):
                        grad[pool[px + start + i] >> 1] += grad[z + start + i]
                    continue
                adjoints = grad[z + start * B : z + end * B]
                for b in range(B):  # this adjoint is not needed any more
                    i = int(memory[_at(q, b)]) - pool[code[k, 10] + j]
                    if 0 <= i < size:
                        adjoints[i * B + b] = 0.0
                if pool[code[k, 7] + j]:
                    target = grad[p >> 1 : (p >> 1) + size * B]
                    for i in range(size * B):
                        target[i] += adjoints[i]
                else:
                    for l in range(size):
                        for b in range(B):
                            grad[_at(pool[px + start + l], b)] += adjoints[l * B + b]
            continue
        if kind == 3:
            for l in range(0, lanes, code[k, 10]):
                start, end = pool[code[k, 6] + l], pool[code[k, 6] + l + 1]
                for b in range(B):
                    t = start + _chosen(memory, pool[py + l], b, end - start)
                    offset = _at(pool[px + t], b)
                    for c in range(code[k, 10]):
                        grad[offset + c * code[k, 11]] += grad[z + (l + c) * B + b]
            continue
        sign = float(code[k, 7])
        for l in range(lanes):
            start, end = pool[code[k, 6] + l], pool[code[k, 6] + l + 1]
            offset = pool[z + l]
            if B == 1:
                g = sign * grad[offset]
                for t in range(start, end):
                    p, q = pool[px + t] >> 1, pool[py + t] >> 1
                    if code[k, 8]:
                        grad[p] += g * memory[q]
                    if code[k, 9]:
                        grad[q] += g * memory[p]
                continue
            for t in range(start, end):
                p, q = pool[px + t], pool[py + t]
                if B > 1 and p & 1 and not q & 1 and not code[k, 9]:
                    adjoints = grad[offset : offset + B]
                    target = grad[p >> 1 : (p >> 1) + B]
                    factor = sign * memory[q >> 1]
                    for b in range(B):
                        target[b] += adjoints[b] * factor
                    continue
                for b in range(B):
                    g = sign * grad[offset + b]
                    if g != 0.0:
                        if code[k, 8]:
                            grad[_at(p, b)] += g * memory[_at(q, b)]
                        if code[k, 9]:
                            grad[_at(q, b)] += g * memory[_at(p, b)]


@njit(error_model="numpy")
def _magnitude(x):
    """The magnitude of a number, as `rounding` defines it."""
    size = abs(x)
    size = 1e-140 if size < 1e-140 and size > 0.0 else size
    return 1e150 if size == math.inf else size


@njit(**_options)
def _measure(memory, measured, layout, n, B, wide):
    """Store the magnitudes of lanes, and the bounds without margins.

    If not wide, only the largest of each lane.
    """
    to, bounds = (layout[0], layout[1]) if wide else (layout[2], layout[3])
    unit = layout[4] * _UNIT
    for r in range(len(measured)):
        first, count = measured[r, 0], measured[r, 1]
        start = n + first * B
        if wide:
            _measure_line(memory, start, to + start, bounds + start, count * B, unit)
            continue
        for l in range(count):
            numbers = memory[start + l * B : start + l * B + B]
            most = 0
            for b in range(B):
                most = max(most, bits(abs(numbers[b])))
            size = number_of(most)  # inf stays inf: there may be large numbers next to it
            size = 1e-140 if size < 1e-140 and size > 0.0 else size
            memory[to + n + first + l] = size
            memory[bounds + n + first + l] = unit * size


@njit(**_options)
def _measure_line(memory, start, to, bounds, count, unit):
    numbers, sizes = memory[start : start + count], memory[to : to + count]
    stored = memory[bounds : bounds + count]
    for i in range(count):
        size = _magnitude(numbers[i])
        sizes[i] = size
        stored[i] = unit * size


@njit(**_options)
def _bound(code, rows, pool, memory, layout, doubt, B, wide):
    """Add margins to bounds; `doubt` becomes positive where a row may decide otherwise.

    It has an entry for each sample; if not wide, only the first counts, for all samples.
    """
    doubt[:] = 0.0
    for k in range(len(code)):
        kind = code[k, 0]
        if kind == 0:
            _contract(memory, memory, memory, code, k)
        elif kind == 2:
            _row(rows[code[k, 1]], memory, doubt, pool, code, k, B)
        elif kind == 4:
            _largest_in_doubt(code[k], pool, memory, doubt, B)
        elif kind == 3 and not wide:
            _chosen_bounds(code[k], pool, memory)
        else:
            _forward(code[k : k + 1], rows.reshape(-1, 1), pool, memory, B if wide else 1)


@njit(**_options)
def _chosen_bounds(row, pool, memory):
    """Add the largest margin of the numbers from which each lane chooses."""
    apart, unit = row[10], row[11] * _UNIT
    for l in range(row[2]):
        most = 0
        for t in range(pool[row[9] + l], pool[row[9] + l + 1]):
            offset = pool[row[7] + t] >> 1
            most = max(most, bits(memory[offset] - unit * memory[offset - apart]))
        memory[row[4] + l] += number_of(most)


@njit(**_options)
def _margin(memory, bound, b, apart, unit):
    """The margin of a number, from the flagged offset of its bound."""
    offset = _at(bound, b)
    return memory[offset] - unit * memory[offset - apart]


@njit(**_options)
def _largest_in_doubt(row, pool, memory, doubt, B):
    """Add to `doubt` for samples in which another number of a list may be the largest."""
    px, gx, apart, unit, wide = row[5], row[7], row[10], row[11] * _UNIT, row[12]
    if B == 1:
        for l in range(row[2]):
            start, end = pool[row[9] + l], pool[row[9] + l + 1]
            doubt[0] += _is_near(pool[px + start : px + end], pool[gx + start : gx + end], memory,
                                 apart, unit)  # fmt: skip
        return
    top, most, near, margin = np.empty(B), np.empty(B), np.empty(B), np.empty(B)
    for l in range(row[2]):
        start, end = pool[row[9] + l], pool[row[9] + l + 1]
        top[:] = -math.inf
        most[:] = 0.0
        near[:] = 0.0
        for again in range(2):
            for t in range(start, end):
                p, g = pool[px + t], pool[gx + t]
                x, bound, size = memory[p >> 1 :], memory[g >> 1 :], memory[(g >> 1) - apart :]
                if wide:
                    for b in range(B):
                        margin[b] = bound[(g & 1) * b] - unit * size[(g & 1) * b]
                else:
                    margin[:] = bound[0] - unit * size[0]
                if not p & 1:
                    x = np.full(B, x[0])
                if again:
                    for b in range(B):
                        far = x[b] + margin[b] + most[b] < top[b] and most[b] < _HUGE
                        near[b] += 0.0 if far else 1.0
                    continue
                for b in range(B):
                    top[b] = x[b] if x[b] > top[b] else top[b]
                    most[b] = most[b] if margin[b] <= most[b] else margin[b]
        for b in range(B):
            doubt[b if wide else 0] += 1.0 if near[b] > 1.0 and most[b] != 0.0 else 0.0


@njit(**_options)
def _is_near(numbers, bounds, memory, apart, unit):
    """1 if more than one number of a list may be the largest, for one sample."""
    top, most, near = -math.inf, 0.0, 0
    for t in range(len(numbers)):
        x, margin = memory[numbers[t] >> 1], _margin(memory, bounds[t], 0, apart, unit)
        top = x if x > top else top
        most = most if margin <= most else margin
    for t in range(len(numbers)):
        x, margin = memory[numbers[t] >> 1], _margin(memory, bounds[t], 0, apart, unit)
        near += 0 if x + margin + most < top and most < _HUGE else 1
    return 1.0 if near > 1 and most != 0.0 else 0.0


@njit(**_options)
def _close(guards, memory, j, b, layout, wide):
    """Whether the sides of a guard are so close that rounding could change its outcome."""
    if guards[j, 4] == 0:
        return False
    p, q = guards[j, 1], guards[j, 2]
    if wide:
        g, h, apart = p + 2 * layout[1], q + 2 * layout[1], layout[1] - layout[0]
    else:
        g, h, apart = guards[j, 5] * 2, guards[j, 6] * 2, layout[3] - layout[2]
    unit = layout[4] * _UNIT
    margin = _margin(memory, g, b, apart, unit) + _margin(memory, h, b, apart, unit)
    # A number differs from itself only if it is nan.
    apart = p == q or abs(memory[_at(p, b)] - memory[_at(q, b)]) > margin
    return margin != 0.0 and not (apart and margin < _HUGE)


@njit(**_options)
def _is_sure(guards, memory, layout, doubt, B):
    """Whether the largest bounds show that rounding decides nothing, in any sample."""
    sure = doubt[0] == 0.0
    for j in range(len(guards)):
        if guards[j, 4] == 1:
            for b in range(B):
                sure &= not _close(guards, memory, j, b, layout, False)
    return sure


@njit(**_options)
def _guarded(guards, memory, b, layout, sure):
    """The status of a sample: passed (1), failed (0) or doubtful (2)."""
    status = 1
    for j in range(len(guards)):
        x = memory[_at(guards[j, 1], b)]
        y = memory[_at(guards[j, 2], b)]
        comparison = guards[j, 0]
        if comparison == 0:
            answer = x < y
        elif comparison == 1:
            answer = x <= y
        elif comparison == 2:
            answer = x > y
        elif comparison == 3:
            answer = x >= y
        else:
            answer = x == y
        if not sure and _close(guards, memory, j, b, layout, True):
            status = 2
        elif answer != (guards[j, 3] == 1):
            return 0
    return status


@njit(**_options)
def sweep(
    fcode, bcode, bounding, largest, rows, margins, pool, guards, cleared, measured, outputs,
    layout, numbers, where, X, seeds, memory, grad, out, status, back, gradients, n, B, end,
    differentiate,
):  # fmt: skip
    """Run a program on the samples X, B at a time.

    It gives whether all samples passed their guards, none is in doubt, and all results are finite.
    """
    samples, width = X.shape
    good, total = True, 0.0
    doubt = np.zeros(B)
    for r in range(len(where)):
        to, at, count = where[r, 0], where[r, 1], where[r, 2]
        memory[to : to + count] = numbers[at : at + count]
    if len(measured) > 0:  # the shared numbers
        _measure_line(memory, 0, layout[0], layout[1], n, layout[4] * _UNIT)
        if B > 1:
            _measure_line(memory, 0, layout[2], layout[3], n, layout[4] * _UNIT)
    if differentiate:
        grad[:n] = 0.0
    for start in range(0, samples, B):
        for r in range(len(cleared)):
            memory[cleared[r, 0] : cleared[r, 0] + cleared[r, 1]] = 0.0
        for i in range(width):
            for b in range(B):
                memory[n + i * B + b] = X[min(start + b, samples - 1), i]
        _forward(fcode, rows, pool, memory, B)
        count = min(B, samples - start)
        sure = len(measured) == 0
        if not sure and B > 1:
            _measure(memory, measured, layout, n, B, False)
            _bound(largest, margins, pool, memory, layout, doubt, B, False)
            sure = _is_sure(guards, memory, layout, doubt, B)
        if not sure:
            _measure(memory, measured, layout, n, B, True)
            _bound(bounding, margins, pool, memory, layout, doubt, B, True)
        for b in range(count):
            status[start + b] = _guarded(guards, memory, b, layout, sure)
            if not sure and doubt[b] > 0.0:
                status[start + b] = 2
            good &= status[start + b] == 1
            for j in range(len(outputs)):
                result = memory[_at(outputs[j], b)]
                out[start + b, j] = result
                total += result
        if differentiate:
            grad[n:end] = 0.0
            for b in range(count):
                if status[start + b] == 1:
                    for j in range(len(outputs)):
                        seed = seeds[j] if out[start + b, j] == out[start + b, j] else float("nan")
                        grad[_at(outputs[j], b)] += seed
            _backward(bcode, rows, pool, memory, grad, B)
            for b in range(count):
                for i in range(width):
                    back[start + b, i] = grad[n + i * B + b]
                    total += grad[n + i * B + b]
    if differentiate:
        gradients[:] = 0.0
        for r in range(len(where)):
            to, at, count = where[r, 0], where[r, 1], where[r, 2]
            gradients[at : at + count] = grad[to : to + count]
        parts = (0.0, 0.0, 0.0, 0.0)
        for i in range(0, len(gradients) - 3, 4):
            parts = (
                parts[0] + gradients[i], parts[1] + gradients[i + 1],
                parts[2] + gradients[i + 2], parts[3] + gradients[i + 3],
            )  # fmt: skip
        for i in range(len(gradients) // 4 * 4, len(gradients)):
            total += gradients[i]
        total += parts[0] + parts[1] + parts[2] + parts[3]
    return good and total - total == 0.0
