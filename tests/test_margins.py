"""How far rows carry rounding: no operand within its margin leads further, or to another side."""

import ast
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import rows
from autograd.compiled import margins
from autograd.compiled.margins import Variant
from autograd.compiled.numpy_engine import margins_of_arrays
from autograd.operation import Operation

SPECIAL = [
    0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, math.pi / 2, 1e-17, -1e-17, 1e-290, 0.9999999, -0.99999999,
    30.0, -30.0, 700.0, -745.2, 709.7827, 1e20, -1e20, math.inf, -math.inf,
]  # fmt: skip
LEAST = 1e-296  # of a margin that is not 0


def number(rng: random.Random) -> float:
    """A number, often beside one where rows have a kink, an end, a pole or a zero."""
    found = rng.random()
    if found < 0.35:
        return rng.choice(SPECIAL)
    if found < 0.6:
        return rng.choice(SPECIAL) + rng.gauss(0.0, 1.0) * 10 ** rng.uniform(-17, 0)
    return rng.gauss(0.0, 1.0) * 10 ** rng.uniform(-3, 2)


def reach(rng: random.Random, x: float) -> float:
    """A margin, of the size that sums have, or far too large."""
    size = abs(x) if math.isfinite(x) and x else 1.0
    found = rng.choice([0.0, 1e-17, 1e-15, 1e-9, 1e-4]) * rng.choice([1.0, size])
    return found and max(found, LEAST)


def inside(rng: random.Random, x: float, margin: float) -> float:
    """A number within the margin."""
    if not margin or not math.isfinite(x):
        return x
    found = x + margin * rng.choice([-1, 1, 0.5, -0.5, rng.uniform(-1, 1)])
    return found if abs(found - x) <= margin else x


def variants(op: Operation) -> list[tuple[str, str]]:
    """Which operands may be off, and of which the sign of a zero."""
    if op.arity == 1:
        return [("x", ""), ("", ""), ("", "x")]
    return [("x", ""), ("y", ""), ("xy", ""), ("", "xy"), ("", "x"), ("", "y")]


def sides(op: Operation, operands: tuple[float, ...]) -> Any:
    """What the row decides: whether it is smooth there, and slopes that differ by side alone."""
    x, y = (*operands, None)[:2]
    named = zip(("dx", "dy"), op.partial_trees, strict=False)
    slopes = [getattr(op, name) for name, tree in named if not depends(tree)]
    return [op.is_smooth(*operands), *(slope(x, y, op.value(*operands)) for slope in slopes)]


def depends(tree: ast.expr) -> bool:
    """Whether a slope depends on operands otherwise than through comparisons."""
    branches = [tree]
    while branches:
        one = branches.pop()
        if isinstance(one, ast.IfExp):
            branches += [one.body, one.orelse]
        elif not isinstance(one, ast.Constant):
            return True
    return False


def points(op: Operation, variant: tuple[str, str], rng: random.Random) -> Iterator[list[float]]:
    """x, y, z, p and q."""
    for _ in range(80):
        x, y = number(rng), number(rng)
        if rng.random() < 0.2:
            y = x * (1.0 + rng.choice([0.0, 1e-16, -1e-16, 1e-12]))
        p, q = (reach(rng, v) if name in variant[0] else 0.0 for name, v in (("x", x), ("y", y)))
        yield [x, y, op.value(*(x, y)[: op.arity]), p, q]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(rows()))
def test_no_operands_within_their_margins_lead_further_or_to_another_side(name: str) -> None:
    op, rng = rows()[name], random.Random(name)
    for inexact, unsigned in variants(op):
        table = np.array(list(points(op, (inexact, unsigned), rng)))
        with np.errstate(all="ignore"):
            found = margins_of_arrays(margins.variant(op, unsigned))(*table.T)
        margin, doubt = (np.broadcast_to(part, len(table)) for part in found)
        asked = margins.decides(op, inexact, unsigned)
        for (x, y, z, p, q), most, doubtful in zip(
            table.tolist(), margin.tolist(), doubt.tolist(), strict=True
        ):
            assert most >= 0.0 or most != most
            if not doubtful <= 0.0 or not math.isfinite(most):
                continue
            for _ in range(8):
                moved = [inside(rng, x, p), inside(rng, y, q)]
                for k, v in enumerate("xy"):
                    if v in unsigned and moved[k] == 0.0 and rng.random() < 0.5:
                        moved[k] = -moved[k]
                operands, other = (x, y)[: op.arity], tuple(moved[: op.arity])
                w = op.value(*other)
                where = f"{operands} +- {p}, {q} and {other}"
                assert w == z or (w != w and z != z) or abs(w - z) <= most, where
                if asked and op.smooth:
                    assert sides(op, operands) == sides(op, other), where


@pytest.mark.parametrize("name", sorted(rows()))
def test_exact_operands_are_never_in_doubt(name: str) -> None:
    op, rng = rows()[name], random.Random(name)
    table = np.array([[*one[:3], 0.0, 0.0] for one in points(op, ("", ""), rng)])
    with np.errstate(all="ignore"):
        margin, doubt = margins_of_arrays(Variant(name, ""))(*table.T)
    finite = np.isfinite(table[:, : op.arity]).all(axis=1)
    assert not np.broadcast_to(doubt, len(table))[finite].any()
    if margins.is_exact(op):
        assert not np.broadcast_to(margin, len(table)).any()


EXACT = "floor ceil round fmod mod abs add div "
EXACT += "leaky_relu maximum minimum mul neg pos reciprocal relu sign sqrt square sub"


def test_what_all_engines_round_alike() -> None:
    exact = {name for name, op in rows().items() if margins.is_exact(op)}
    assert exact >= set(EXACT.split())
    assert not exact & {"exp", "pow", "tanh", "sigmoid", "erf", "hypot", "softplus"}
    # A product inside a sum may be rounded once.
    fused = autograd.define_op("fused", "x * y + x", "y + 1", "x")
    assert not margins.is_exact(fused)


@pytest.mark.parametrize(
    ("name", "inexact", "unsigned", "expected"),
    [
        ("relu", "x", "", True), ("relu", "", "x", False), ("tanh", "x", "x", False),
        ("div", "x", "", False), ("div", "y", "", True), ("div", "", "y", True),
        ("div", "", "x", False), ("maximum", "y", "", True), ("leaky_relu", "y", "", False),
        ("leaky_relu", "x", "", True), ("pow", "y", "", True), ("atan2", "x", "", True),
        ("atan2", "", "x", True), ("hypot", "", "xy", False), ("sqrt", "x", "", True),
        ("exp", "x", "x", False), ("sign", "x", "", True),
    ],
)  # fmt: skip
def test_what_a_row_decides_by(name: str, inexact: str, unsigned: str, expected: bool) -> None:
    assert margins.decides(rows()[name], inexact, unsigned) is expected


def test_a_comparison_of_a_rounded_function_decides_also_by_exact_operands() -> None:
    texts = "exp(x) if exp(x) > 2 else 2.0", "exp(x) if exp(x) > 2 else 0.0"
    op = autograd.define_op("bent", *texts, smooth="abs(exp(x) - 2) > 0")
    assert margins.decides(op, "", "")
    edge = math.log(2.0)
    with np.errstate(all="ignore"):
        _, doubt = margins_of_arrays(Variant("bent", ""))(
            np.array([edge, 1.0, 0.5]), None, np.array([2.0, math.e, 2.0]), 0.0, 0.0
        )
    assert (doubt > 0.0).tolist() == [True, False, False]


def test_steps_are_seen_in_the_middle_of_margins() -> None:
    op = rows()["floor"]
    assert margins.decides(op, "x")
    assert margins.is_exact(op)
    x = np.array([2.4, 3.0, 3.0 - 4e-16, 3.0, -1e-17, 1e20])
    p = np.array([1e-9, 5e-16, 1e-15, 0.0, 1e-16, 1e5])
    margin, doubt = margins_of_arrays(Variant("floor", ""))(x, None, np.floor(x), p, 0.0)
    assert (doubt > 0.0).tolist() == [False, True, True, False, True, True]
    assert margin[[0, 3]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("text", ["x - floor(x)", "round(2 * x) / 2", "x * ceil(fmod(x, 1))"])
def test_a_row_that_calls_a_step_jumps_where_that_does(text: str) -> None:
    slope = "1.0" if "-" in text else "0.0" if "/" in text else "ceil(fmod(x, 1))"
    autograd.define_op("saw", text, slope,
                       smooth="abs(fmod(4 * x, 1)) > 0")  # fmt: skip
    x, p = np.array([1.7499999, 2.3]), np.array([0.6, 0.0])
    z = np.array([rows()["saw"].value(v) for v in x])
    _, doubt = margins_of_arrays(Variant("saw", ""))(x, None, z, p, 0.0)
    assert (doubt > 0.0).tolist() == [True, False]


def test_too_wide_margins_say_nothing() -> None:
    with np.errstate(all="ignore"):
        for name, x, p in (("sin", 1e20, 1e4), ("tan", math.pi / 2, 1e-15), ("exp", 1.0, math.inf),
                           ("tanh", 1.0, math.nan), ("exp", 709.78, 1e-3)):  # fmt: skip
            z = rows()[name].value(x)
            margin, _ = margins_of_arrays(Variant(name, ""))(
                np.array([x]), None, np.array([z]), np.array([p]), 0.0
            )
            assert not math.isfinite(margin[0]), name
