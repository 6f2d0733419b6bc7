"""Contractions as five loops, in the order that is fastest for the native loops."""

import math
from collections.abc import Callable
from typing import Any

from autograd.compiled.lowering import CONTRACT

LOOPS = 5  # of a contraction: three over lanes, one over terms, one over samples
Loop = tuple[int, int, int, int]  # size, strides of z, x and y
_ONCE: Loop = (1, 0, 0, 0)


def contraction(sign: float, sizes: list[int], z: Any, x: Any, y: Any) -> list[int]:
    """The row for z += sign * x * y over five loops, in the order that is fastest.

    The row's last number says whether the factors are swapped.
    """
    loops: list[Loop] = []
    for loop in sorted(
        ((size, z[1][d], x[1][d], y[1][d]) for d, size in enumerate(sizes) if size > 1),
        key=lambda loop: [abs(stride) for stride in loop[1:]],
    ):
        # Merge two loops that walk along one line in all three.
        if loops and all(
            loops[-1][0] * s == t for s, t in zip(loops[-1][1:], loop[1:], strict=True)
        ):
            loops[-1] = (loops[-1][0] * loop[0], *loops[-1][1:])
        else:
            loops.append(loop)
    swapped = [(n, zs, ys, xs) for n, zs, xs, ys in loops]
    options = (*arrangements(loops, False), *arrangements(swapped, True))
    _, form, order, swap = min(options, key=lambda option: option[0])
    if swap:
        x, y = y, x
    row = [CONTRACT, form, int(sign), z[0], x[0], y[0]]
    order += [_ONCE] * (LOOPS - len(order))
    for column in range(4):
        row += [loop[column] for loop in order]
    return [*row, int(swap)]


def arrangements(loops: list[Loop], swap: bool) -> list[tuple[float, int, list[Loop], bool]]:
    """(estimated cost, form, loops in order, swap) for each loop that could be the innermost."""
    total = math.prod(n for n, *_ in loops)
    # Form 0 is for all strides; the longest loop is the innermost.
    options = [(2.0 * total, 0, sorted(loops, reverse=True), swap)]

    def take_largest(wanted: Callable[[Loop], bool], rest: list[Loop]) -> Loop:
        largest = max((loop for loop in rest if wanted(loop)), default=_ONCE)
        if largest in rest:
            rest.remove(largest)
        return largest

    for inner in loops:
        n, zs, xs, ys = inner
        rest = [loop for loop in loops if loop is not inner]
        if zs == 1 and xs == 1 and ys == 0:  # form 1: scaled rows of x are added
            repeated = take_largest(lambda loop: loop[1] == 0, rest)
            copied = take_largest(lambda loop: loop[2] == 0, rest)
            width = 8 if n >= 8 else 4 if n >= 4 else 1
            cost = total / width * (1 + 2 / repeated[0]) * (1 if copied[0] >= 4 else 2)
            options.append((cost, 1, [inner, repeated, copied, *rest], swap))
        elif zs == 0 and xs == 1 and ys == 1:  # form 2: dot products
            repeated = take_largest(lambda loop: loop[1] == 0, rest)
            left = take_largest(lambda loop: loop[3] == 0, rest)
            right = take_largest(lambda loop: loop[2] == 0, rest)
            cost = total / n * (n / 8 + 1.5 / repeated[0]) * (1 if left[0] >= 4 else 2)
            options.append((cost, 2, [inner, repeated, left, right, *rest], swap))
        elif zs == 1 and xs == 1 and ys == 1:  # form 3: products of neighbours
            options.append((total / 4, 3, [inner, *rest], swap))
    return options
