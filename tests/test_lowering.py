"""Which vector instructions a recording becomes: their lanes, loops, strides and order."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import Value, argmax, select
from autograd.compiled.lowering import (
    CHOOSE,
    CONTRACT,
    GATHER,
    LARGEST,
    ROW,
    SHARED,
    _boxes,
)
from autograd.compiled.program import Program
from tests.recorded import recorded

WEIGHTS = [Value(1.0 + i / 8) for i in range(24)]


def shown(address: int) -> Any:
    """A lane as its number, a number that all samples share as ('s', place)."""
    return ("s", address - SHARED) if address >= SHARED else address


def told(program: Program) -> list[tuple[Any, ...]]:
    """What there is to know of each instruction."""
    rows = []
    for one in program.instructions:
        if one.kind == CONTRACT:
            sides = shown(one.x), one.xs, shown(one.y), one.ys
            row: tuple[Any, ...] = ("contract", one.sign, one.z, one.sizes, one.zs, *sides)
        else:
            kinds = {GATHER: "gather", ROW: "row", CHOOSE: "choose", LARGEST: "largest"}
            kind = kinds.get(one.kind, "masked")
            assert {array.dtype for array in one.pool} == {np.dtype(np.int64)}
            pools = [[shown(a) for a in array.tolist()] for array in one.pool]
            row = (kind, one.sign, one.z, one.counts.tolist(), *pools)
        rows.append((one.level, one.lanes, one.wanted, *row))
    return rows


def dense(x: list[Value]) -> list[Value]:
    layer = [WEIGHTS[6 * i : 6 * i + 6] for i in range(4)]
    return [sum((w * a for w, a in zip(r[1:], x[1:], strict=True)), r[0] * x[0]) for r in layer]


def nested(x: list[Value]) -> list[Value]:
    return [-(a - (b - a * b)) for a, b in itertools.pairwise(x)]


def scattered(x: list[Value]) -> list[Value]:
    w = WEIGHTS
    return [
        w[0] * x[2] + w[5] * x[1] - w[3] * x[0] + x[2] - x[1],
        w[7] * x[0] + w[1] * x[1] - w[2] * x[2] + x[0] - x[2],
    ]


def masks(x: list[Value], i: int, j: int) -> list[Value]:
    return [*autograd.replaced(x, i, 0.5), *autograd.replaced(x[:2], j, 0.25)]


def guarded(x: list[Value]) -> Value:
    product = x[0] * x[1]
    return product + x[2] if product > 0.5 else product


def places(i: int, x: list[Value]) -> list[Value]:
    # The third list begins at 6 in the table of all lists, and node 6 is the product.
    first, second = select(x, i), select(x, i)
    total = x[0] * x[1] + x[2]
    return [first, second, total, select(x, i)]


BOTH, FIRST, SECOND, NONE = (True, True), (True, False), (False, True), (False, False)
LANES, TERMS, SAME = (1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0)  # strides of one loop
CASES: dict[str, tuple[Callable[..., Any], list[Any], list[tuple[Any, ...]]]] = {
    "a layer is one contraction": (
        dense, [[1.0] * 6],
        [(1, 4, BOTH, "contract", 1.0, 6, (4, 1, 1, 6), (1, 4, 4, 0),
          ("s", 0), (6, 0, 0, 1), 0, TERMS)],
    ),
    "a sum of squares is one lane": (
        lambda x: sum((a * a for a in x[1:]), x[0] * x[0]), [[1.0] * 9],
        [(1, 1, BOTH, "contract", 1.0, 9, (1, 1, 1, 9), (1, 1, 1, 0), 0, TERMS, 0, TERMS)],
    ),
    "a window slides": (
        lambda x: [x[i] * WEIGHTS[0] + x[i + 1] * WEIGHTS[1] + WEIGHTS[2] * x[i + 2]
         for i in range(8)],
        [[1.0] * 10],
        [(1, 8, BOTH, "contract", 1.0, 10, (8, 1, 1, 3), (1, 8, 8, 0),
          ("s", 0), TERMS, 0, (1, 0, 0, 1))],
    ),
    "all products of two lists are two loops": (
        lambda x: [[a * b for b in x] for a in x], [[1.0] * 5],
        [(1, 25, BOTH, "contract", 1.0, 5, (5, 5, 1, 1), (1, 5, 25, 0), 0, (0, 1, 0, 0), 0, LANES)],
    ),
    "three loops": (
        lambda x: [[[a * b for b in x[:3]] for a in x[3:5]] for _ in range(4)], [[1.0] * 5],
        [(1, 24, BOTH, "contract", 1.0, 5, (3, 2, 4, 1), (1, 3, 6, 0), 3, (0, 1, 0, 0), 0, LANES)],
    ),
    "signs of a nest of sums": (
        nested, [[1.0] * 9],
        [(1, 8, BOTH, "contract", -1.0, 9, (8, 1, 1, 1), (1, 8, 8, 0), 0, LANES, 1, LANES),
         (1, 8, FIRST, "contract", 1.0, 9, (8, 1, 1, 1), (1, 8, 8, 0), 1, LANES, ("s", 0), SAME),
         (1, 8, FIRST, "contract", -1.0, 9, (8, 1, 1, 1), (1, 8, 8, 0), 0, LANES, ("s", 0), SAME)],
    ),
    "few terms are looked up": (
        scattered, [[1.0] * 3],
        [(1, 2, BOTH, "gather", 1.0, 3, [2, 2], [("s", 0), ("s", 1), ("s", 3), ("s", 4)],
         [2, 1, 0, 1], [3, 4]),
         (1, 2, BOTH, "gather", -1.0, 3, [1, 1], [("s", 2), ("s", 5)], [0, 2], [3, 4]),
         (1, 2, FIRST, "gather", 1.0, 3, [1, 1], [2, 0], [("s", 6), ("s", 6)], [3, 4]),
         (1, 2, FIRST, "gather", -1.0, 3, [1, 1], [1, 2], [("s", 6), ("s", 6)], [3, 4])],
    ),
    "as late as can be where that is fewer": (
        lambda x: [x[0].tanh(), x[1].exp().tanh()], [[1.0] * 2],
        [(1, 1, FIRST, "row", 1.0, 2, [], [1]), (2, 2, FIRST, "row", 1.0, 3, [], [0, 2])],
    ),
    "as early as can be where that is fewer": (
        lambda x: [x[0].tanh(), x[1].tanh().exp()], [[1.0] * 2],
        [(1, 2, FIRST, "row", 1.0, 2, [], [0, 1]), (2, 1, FIRST, "row", 1.0, 4, [], [3])],
    ),
    "what is used twice is a lane of its own": (
        lambda x: (x[0] * x[1] + x[2]) * (x[1] * x[0]) + x[2], [[1.0] * 3], [
            (1, 2, BOTH, "gather", 1.0, 3, [1, 1], [0, 1], [1, 0], [3, 4]),
            (1, 1, FIRST, "gather", 1.0, 3, [1], [2], [("s", 0)], [3]),
            (2, 1, BOTH, "gather", 1.0, 5, [1], [3], [4], [5]),
            (2, 1, FIRST, "gather", 1.0, 5, [1], [2], [("s", 0)], [5]),
        ],
    ),
    "what has left the graph brings no gradient": (
        lambda x: [(x[0].detach() * x[1]).exp()], [[1.0] * 2], [
            (1, 1, NONE, "gather", 1.0, 2, [1], [0], [("s", 0)], [2]),
            (2, 1, SECOND, "gather", 1.0, 3, [1], [2], [1], [3]),
            (3, 1, FIRST, "row", 1.0, 4, [], [3]),
        ],
    ),
    "a detached branch is dead": (
        lambda x: [x[0].detach().exp() + x[1]], [[1.0] * 2], [
            (1, 1, NONE, "gather", 1.0, 2, [1], [0], [("s", 0)], [2]),
            (2, 1, NONE, "row", 1.0, 3, [], [2]),
            (3, 1, FIRST, "gather", 1.0, 4, [2], [3, 1], [("s", 0), ("s", 0)], [4]),
        ],
    ),
    "weights come first whichever way they are written": (
        lambda x: [WEIGHTS[i] * x[i] if i % 2 else x[i] * WEIGHTS[i] for i in range(8)],
        [[1.0] * 8], [
            (1, 8, BOTH, "contract", 1.0, 8, (8, 1, 1, 1), (1, 8, 8, 0), ("s", 0), LANES, 0, LANES),
        ],
    ),
    "weights come first in a sum that has others": (
        lambda x: [x[i] * x[i + 1] if i % 2 else x[i] * WEIGHTS[i] for i in range(4)],
        [[1.0] * 9], [
            (1, 4, BOTH, "gather", 1.0, 9, [1, 1, 1, 1], [("s", 0), 1, ("s", 1), 3], [0, 2, 2, 4],
             [9, 10, 11, 12]),
        ],
    ),
    "constants have no gradient": (
        lambda x: [2.0 * a for a in x], [[1.0] * 8], [
            (1, 8, SECOND, "contract", 1.0, 8, (8, 1, 1, 1), (1, 8, 8, 0), ("s", 0), SAME, 0,
             LANES),
        ],
    ),
    "regular terms beside others": (
        lambda x: [x[i] * x[i + 1] + x[i * i % 8] * x[3 * i % 7] for i in range(24)],
        [[1.0] * 25], [
            (1, 24, BOTH, "contract", 1.0, 25, (24, 1, 1, 1), (1, 24, 24, 0), 0, LANES, 1, LANES),
            (1, 24, BOTH, "gather", 1.0, 25, [1] * 24, [0, 1, 4, 1] * 6,
             [3 * i % 7 for i in range(24)], [*range(25, 49)]),
        ],
    ),
    "regular terms in another order": (
        lambda x: [x[i] * x[i + 8] + x[i + 4] * x[i + 12] + x[i + 2] * x[i + 10] for i in range(8)],
        [[1.0] * 20], [
            (1, 8, BOTH, "contract", 1.0, 20, (8, 1, 1, 3), (1, 8, 8, 0), 0, (1, 0, 0, 2), 8,
             (1, 0, 0, 2)),
        ],
    ),
    "regular terms behind others": (
        lambda x: [x[i * i % 8] * x[3 * i % 7] + x[i] * x[i + 1] for i in range(24)],
        [[1.0] * 25], [
            (1, 24, BOTH, "contract", 1.0, 25, (24, 1, 1, 1), (1, 24, 24, 0), 0, LANES, 1, LANES),
            (1, 24, BOTH, "gather", 1.0, 25, [1] * 24, [0, 1, 4, 1] * 6,
             [3 * i % 7 for i in range(24)], [*range(25, 49)]),
        ],
    ),
    "one irregular term of four": (
        lambda x: [
            x[i] * x[i + 1] + x[i + 2] * x[i + 9] + x[i * i % 8] * x[3 * i % 7]
            + x[i + 3] * x[24 - i]
            for i in range(24)
        ],
        [[1.0] * 33], [
            (1, 24, BOTH, "contract", 1.0, 33, (24, 1, 1, 1), (1, 24, 24, 0), 0, LANES, 1, LANES),
            (1, 24, BOTH, "contract", 1.0, 33, (24, 1, 1, 1), (1, 24, 24, 0), 2, LANES, 9, LANES),
            (1, 24, BOTH, "contract", 1.0, 33, (24, 1, 1, 1), (1, 24, 24, 0), 3, LANES, 24,
             (-1, 0, 0, 0)),
            (1, 24, BOTH, "gather", 1.0, 33, [1] * 24, [0, 1, 4, 1] * 6,
             [3 * i % 7 for i in range(24)],
              [33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53,
               54, 55, 56]),
        ],
    ),
    "one irregular term of five": (
        lambda x: [
            x[i] * x[i + 1] + x[i + 2] * x[i + 9] + x[i * i % 8] * x[3 * i % 7]
            + x[i + 3] * x[24 - i]
            + x[i + 4] * x[i + 5]
            for i in range(3)
        ],
        [[1.0] * 33], [
            (1, 3, BOTH, "gather", 1.0, 33, [5, 5, 5],
             [0, 2, 0, 3, 4, 1, 3, 1, 4, 5, 2, 4, 4, 5, 6],
              [1, 9, 0, 24, 5, 2, 10, 3, 23, 6, 3, 11, 6, 22, 7], [33, 34, 35]),
        ],
    ),
    "a box behind other lanes": (
        lambda x: [x[29] * x[4], *(x[i] * x[i + 1] for i in range(25))], [[1.0] * 30], [
            (1, 24, BOTH, "contract", 1.0, 32, (24, 1, 1, 1), (1, 24, 24, 0), 1, LANES, 2, LANES),
            (1, 2, BOTH, "gather", 1.0, 30, [1, 1], [29, 0], [4, 1], [30, 31]),
        ],
    ),
    "products of weights keep their order": (
        lambda x: [WEIGHTS[0] * WEIGHTS[1] * x[0], WEIGHTS[0] * 3.0], [[1.0]], [
            (1, 2, BOTH, "gather", 1.0, 1, [1, 1], [("s", 1), ("s", 1)], [("s", 2), ("s", 0)],
             [1, 2]),
            (2, 1, BOTH, "gather", 1.0, 3, [1], [1], [0], [3]),
        ],
    ),
    "constants on the right have no gradient either": (
        lambda x: [a * 2.0 for a in x], [[1.0] * 8], [
            (1, 8, SECOND, "contract", 1.0, 8, (8, 1, 1, 1), (1, 8, 8, 0), ("s", 0), SAME, 0,
             LANES),
        ],
    ),
    "a gradient goes to both sides if some lanes change sides": (
        lambda x: [x[0].exp() * 2.0, x[1] * x[2].detach()], [[1.0] * 3], [
            (1, 1, FIRST, "row", 1.0, 3, [], [0]),
            (1, 1, NONE, "gather", 1.0, 4, [1], [2], [("s", 1)], [4]),
            (2, 2, BOTH, "gather", 1.0, 5, [1, 1], [("s", 0), 1], [3, 4], [5, 6]),
        ],
    ),
    "a second operand is waited for": (
        lambda x: [x[0].hypot(x[1].exp().exp())], [[1.0] * 2], [
            (1, 1, FIRST, "row", 1.0, 2, [], [1]),
            (2, 1, FIRST, "row", 1.0, 3, [], [2]),
            (3, 1, BOTH, "row", 1.0, 4, [], [0], [3]),
        ],
    ),
    "a compared sum is a lane of its own": (
        guarded, [[1.0, 2.0, 3.0]], [
            (1, 1, BOTH, "gather", 1.0, 3, [1], [0], [1], [3]),
            (2, 1, FIRST, "gather", 1.0, 4, [2], [3, 2], [("s", 1), ("s", 1)], [4]),
        ],
    ),
    "a list's place is no use of a node": (places, [1, [1.0, 2.0, 3.0]], [
            (1, 3, FIRST, "choose", 1.0, 4, [3, 3, 3], [1, 2, 3, 1, 2, 3, 1, 2, 3], [0, 0, 0]),
            (1, 1, BOTH, "gather", 1.0, 7, [1], [1], [2], [7]),
            (1, 1, FIRST, "gather", 1.0, 7, [1], [3], [("s", 2)], [7]),
        ]),
    "masks of two lists at one place": (
        lambda x, i: autograd.replaced(x[:2], i, 0.5) + autograd.replaced(x[1:], i, 0.5),
        [[1.0] * 3, 1], [
            (1, 4, FIRST, "masked", 1.0, 4, [2, 2], [0, 1, 1, 2], [3, 3, 3, 3], [0, 1, 0, 1],
             [("s", 1), ("s", 1), ("s", 1), ("s", 1)]),
        ],
    ),
    "masks of parts of two lists": (
        lambda x, i, j: autograd.replaced(x, i, 0.5)[:1] + autograd.replaced(x, j, 0.5)[1:],
        [[1.0] * 3, 1, 0], [
            (1, 3, FIRST, "masked", 1.0, 5, [1, 2], [0, 1, 2], [3, 4, 4], [0, 1, 2],
             [("s", 1), ("s", 1), ("s", 1)]),
        ],
    ),
    "masks of parts of two lists, with numbers of their own": (
        lambda x, i: autograd.replaced(x, i, 0.5)[:1] + autograd.replaced(x, i, 0.25)[1:],
        [[1.0] * 3, 1], [
            (1, 3, FIRST, "masked", 1.0, 4, [1, 2], [0, 1, 2], [3, 3, 3], [0, 1, 2],
             [("s", 1), ("s", 3), ("s", 3)]),
        ],
    ),
    "masks of two lists": (masks, [[1.0] * 3, 1, 0], [
            (1, 5, FIRST, "masked", 1.0, 5, [3, 2], [0, 1, 2, 0, 1], [3, 3, 3, 4, 4],
             [0, 1, 2, 0, 1], [("s", 1), ("s", 1), ("s", 1), ("s", 4), ("s", 4)]),
        ]),
    "masks of one list at two places": (
        lambda x, i, j: autograd.replaced(x, i, 0.5) + autograd.replaced(x, j, 0.25),
        [[1.0] * 3, 1, 0], [
            (1, 6, FIRST, "masked", 1.0, 5, [3, 3], [0, 1, 2, 0, 1, 2], [3, 3, 3, 4, 4, 4],
             [0, 1, 2, 0, 1, 2], [("s", 1), ("s", 1), ("s", 1), ("s", 4), ("s", 4), ("s", 4)]),
        ],
    ),
    "choices of several lengths": (
        lambda i, x: [select(x, i).exp(), select([x[1], x[0]], i)], [1, [1.0, 2.0, 3.0]],
        [(1, 2, FIRST, "choose", 1.0, 4, [3, 2], [1, 2, 3, 2, 1], [0, 0]),
         (2, 1, FIRST, "row", 1.0, 6, [], [4])],
    ),
    "the largest has no gradient": (
        lambda x: argmax(x), [[1.0, 2.0, 3.0]],
        [(1, 1, NONE, "largest", 1.0, 3, [3], [0, 1, 2])],
    ),
    "operands of which some have a gradient": (
        lambda x: [x[0].hypot(x[1]), x[2].hypot(2.0)], [[1.0] * 3],
        [(1, 2, BOTH, "row", 1.0, 3, [], [0, 2], [1, ("s", 0)])],
    ),
    "an operand that has none": (
        lambda x: [a.hypot(2.0) for a in x], [[1.0] * 3],
        [(1, 3, FIRST, "row", 1.0, 3, [], [0, 1, 2], [("s", 0)] * 3)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_recording_becomes_these_instructions(name: str) -> None:
    f, arguments, expected = CASES[name]
    assert told(recorded(f, *arguments)) == expected


def test_lanes_of_an_instruction_and_what_it_reads() -> None:
    (layer,) = recorded(dense, [1.0] * 6).instructions
    assert layer.results.tolist() == [6, 7, 8, 9]
    assert layer.operands.tolist() == [*range(6), *range(SHARED, SHARED + 24)]
    assert layer.terms == (6, 6)
    plus, minus, *_ = recorded(scattered, [1.0] * 3).instructions
    assert plus.results.tolist() == minus.results.tolist() == [3, 4]
    assert plus.operands.tolist() == [0, 1, 2, *(SHARED + i for i in (0, 1, 3, 4))]
    assert plus.terms == (2, 2)
    early, late = recorded(lambda x: [x[0].tanh(), x[1].tanh().exp()], [1.0] * 2).instructions
    assert (early.results.tolist(), late.results.tolist()) == ([2, 3], [4])
    (mask,) = recorded(masks, [1.0] * 3, 1, 0).instructions
    assert mask.results.tolist() == [5, 6, 7, 8, 9]
    assert mask.operands.tolist() == [0, 1, 2, 3, 4]
    assert mask.terms == (1, 1)
    choice = recorded(lambda i, x: [select(x, i), select(x[:2], i)], 1, [1.0] * 3).instructions[0]
    assert choice.terms == (2, 3)


def test_what_a_program_without_operations_holds() -> None:
    program = recorded(lambda x: [x[0], x[0], 2.0], [1.0])
    assert (program.instructions, program.levels, program.slots) == ([], 0, 1)
    assert program.address.tolist() == [SHARED, 0]


def test_only_numbers_inside_a_larger_sum_have_no_address() -> None:
    program = recorded(lambda x: (x[0] * x[1] + x[2]).tanh(), [1.0] * 3)
    assert program.address.tolist() == [0, 1, 2, -1, 3, 4]
    assert program.lane_of == [0, 1, 2, 4, 5]


# ---------------------------------------------------------------------- boxes


def lanes_of(box: Any) -> dict[int, list[tuple[int, int]]]:
    """The pairs of addresses of each lane of a box, by its loops."""
    start, sizes, zs, bx, xs, by, ys = box
    found: dict[int, list[tuple[int, int]]] = {}
    for index in itertools.product(*map(range, sizes)):
        z, x, y = (sum(k * s for k, s in zip(index, t, strict=True)) for t in (zs, xs, ys))
        found.setdefault(start + z, []).append((bx + x, by + y))
    return found


FAR = SHARED // 2


@pytest.mark.parametrize(
    ("x", "y", "boxes", "rest"),
    [
        # Lanes at a distance: base and strides of x and of y.
        ([[3 * i] for i in range(24)], [[7] for _ in range(24)],
         [(0, (24, 1, 1, 1), 0, (3, 0, 0, 0), 7, SAME)], []),
        # 8 of all are enough, 7 are not.
        ([[i] for i in range(8)], [[i] for i in range(8)],
         [(0, (8, 1, 1, 1), 0, LANES, 0, LANES)], []),
        ([[i] for i in range(7)], [[i] for i in range(7)], [], [*range(7)]),
        ([[0, 1, 2, 3], [4, 5, 6, 7]], [[0, 1, 2, 3]] * 2,
         [(0, (2, 1, 1, 4), 0, (4, 0, 0, 1), 0, TERMS)], []),
        # 24 of some are enough, 23 are not.
        ([[i] for i in range(24)] + [[50]], [[i * i if i == 24 else 0] for i in range(25)],
         [(0, (24, 1, 1, 1), 0, LANES, 0, SAME)], [24]),
        ([[i] for i in range(23)] + [[50]], [[i * i if i == 23 else 0] for i in range(24)],
         [], [*range(24)]),
        # The first is taken for the begin of a pair, wherever the second lies.
        ([[90]] + [[i] for i in range(25)], [[9]] + [[0]] * 25,
         [(2, (24, 1, 1, 1), 1, LANES, 0, SAME)], [0, 1]),
        # A lane that fits in none, between two boxes.
        ([[i, i + 1] for i in range(12)] + [[0, 0]] + [[i, i + 2] for i in range(12)],
         [[0, 1]] * 12 + [[9, 4]] + [[0, 1]] * 12,
         [(0, (12, 1, 1, 2), 0, (1, 0, 0, 1), 0, TERMS),
          (13, (12, 1, 1, 2), 0, (1, 0, 0, 2), 0, TERMS)], [12]),
        # Terms in any order are sorted by x; an irregular lane is left.
        ([[2, 0, 1], [1, 2, 3], [4, 2, 3]], [[6, 4, 5], [4, 5, 6], [6, 4, 5]],
         [(0, (3, 1, 1, 3), 0, (1, 0, 0, 1), 4, TERMS)], []),
        ([[0, 1, 3]] + [[i, i + 1, i + 2] for i in range(8)], [[0, 1, 2]] * 9,
         [(1, (8, 1, 1, 3), 0, (1, 0, 0, 1), 0, TERMS)], [0]),
        ([[i, i + 1, i + 2] for i in range(8)] + [[0, 1, 2]], [[0, 1, 2]] * 8 + [[0, 1, 3]],
         [(0, (8, 1, 1, 3), 0, (1, 0, 0, 1), 0, TERMS)], [8]),
        # Where a sort is needed for another lane, this one keeps its order.
        ([[5] * 40, [*range(0, 40, 2), *range(1, 40, 2)]], [[*range(40)]] * 2,
         [(0, (1, 1, 1, 40), 5, (0, 0, 0, 0), 0, (0, 0, 0, 1))], [1]),
        # Terms too far from each other in one lane do no harm to others.
        ([[0, SHARED // 2]] + [[i, i + 1] for i in range(12)], [[0, 1]] * 13,
         [(1, (12, 1, 1, 2), 0, (1, 0, 0, 1), 0, (0, 0, 0, 1))], [0]),
        # Two and three loops.
        ([[i % 4 + 10 * (i // 4)] for i in range(24)], [[i % 4] for i in range(24)],
         [(0, (4, 6, 1, 1), 0, (1, 10, 0, 0), 0, LANES)], []),
        ([[i % 2 + 10 * (i // 2 % 3) + 100 * (i // 6)] for i in range(24)], [[0]] * 24,
         [(0, (2, 3, 4, 1), 0, (1, 10, 100, 0), 0, SAME)], []),
        ([[i % 2 + 10 * (i // 2 % 3) + 100 * (i // 6 % 4) + 1000 * (i // 24)] for i in range(48)],
         [[0]] * 48,
         [(0, (2, 3, 4, 1), 0, (1, 10, 100, 0), 0, SAME),
          (24, (2, 3, 4, 1), 1000, (1, 10, 100, 0), 0, SAME)], []),
        # From a sample's numbers to the shared ones there is no stride.
        ([[0], [SHARED]] * 12, [[0]] * 24, [], [*range(24)]),
        ([[0]] * 24, [[SHARED], [0]] * 12, [], [*range(24)]),
        ([[0, FAR]] * 12, [[0, 1]] * 12, [], [*range(12)]),
        ([[0, 1]] * 12, [[0, FAR]] * 12, [], [*range(12)]),
    ],
)  # fmt: skip
def test_lanes_at_constant_distances_are_boxes(
    x: list[list[int]], y: list[list[int]], boxes: list[Any], rest: list[int]
) -> None:
    found, left = _boxes(np.array(x), np.array(y))
    assert [(start, sizes, bx, xs, by, ys) for start, sizes, _, bx, xs, by, ys in found] == boxes
    assert left.tolist() == rest


@pytest.mark.parametrize("seed", range(40))
def test_boxes_and_what_is_left_are_all_lanes_with_their_own_addresses(seed: int) -> None:
    rng = random.Random(seed)
    terms = rng.choice([1, 2, 3, 5])
    x: list[list[int]] = []
    y: list[list[int]] = []
    for _ in range(rng.randint(1, 5)):
        sizes = [rng.randint(1, 4) for _ in range(3)]
        base, steps = (
            rng.choice([0, 9, SHARED]),
            [[rng.randint(-3, 9) for _ in "abct"] for _ in "xy"],
        )
        order = [*range(terms)]
        if rng.random() < 0.3:
            rng.shuffle(order)
        for index in itertools.product(*map(range, sizes)):
            for rows, step in zip((x, y), steps, strict=True):
                lane = base + 50 + sum(k * s for k, s in zip(index, step, strict=False))
                rows.append([lane + t * step[3] for t in order])
        if rng.random() < 0.4:
            x.append([rng.randint(0, 50) for _ in range(terms)])
            y.append([rng.randint(0, 50) for _ in range(terms)])
    boxes, rest = _boxes(np.array(x), np.array(y))
    held = [lane for box in boxes for lane in lanes_of(box)]
    assert sorted([*held, *rest.tolist()]) == [*range(len(x))]
    for box in boxes:
        for lane, pairs in lanes_of(box).items():
            assert sorted(pairs) == sorted(zip(x[lane], y[lane], strict=True))


def test_every_address_fits_the_integers_of_a_browser() -> None:
    # NumPy's own integers have 32 bits there, and `SHARED + np.arange(n)` must not overflow.
    at_once = SHARED + np.arange(1000, dtype=np.int32)
    assert at_once.dtype == np.int32
    assert at_once[-1] == SHARED + 999
