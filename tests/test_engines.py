"""How instructions are encoded for the native loops, what the loops do, and where code is kept.

`python -m tests.test_engines` writes golden/encoded.json anew; look at what has changed in it.
"""

import importlib.util
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import Value, argmax, rows, select
from autograd.compiled import numpy_engine
from autograd.compiled.encoded import DOUBTFUL, FAILED, LOOPS, PASSED, Encoded, contraction
from autograd.compiled.engines import engine
from autograd.compiled.lowering import CONTRACT
from autograd.compiled.native.engine import NativeEngine
from autograd.compiled.numpy_engine import NumpyEngine
from autograd.operation import Op
from autograd.printers import arrays
from tests.recorded import recorded
from tests.test_lowering import WEIGHTS, dense, guarded, masks, scattered

GOLDEN = Path(__file__).parent / "golden" / "encoded.json"
PROGRAMS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "a layer": (dense, [[1.0] * 6]),
    "masks": (masks, [[1.0] * 3, 1, 0]),
    "choices of several lengths": (
        lambda i, x: [select(x, i), select(x[:2], i)], [1, [1.0] * 3]),
    "a choice among rows": (lambda i, t: select([t[0:3], t[3:6]], i), [1, [1.0] * 6]),
    "rows chosen twice": (
        lambda i, j, t: [select([t[0:3], t[3:6]], k) for k in (i, j)], [1, 0, [1.0] * 6]),
    "shared rows": (
        lambda i, x: [a * x for a in select([WEIGHTS[0:3], WEIGHTS[3:6]], i)], [1, 1.0]),
    "irregular choices": (
        lambda i, j, t: [select(t[0:2], i), select(t[1:3], i), select(t[2:4], j)],
        [1, 1, [1.0] * 4]),
    "far choices": (
        lambda i, t: [select([t[0], t[2]], i), select([t[1], t[0]], i)], [1, [1.0] * 3]),
    "mixed choices": (
        lambda i, t: [select([WEIGHTS[k], t[k]], i) for k in (0, 1)], [1, [1.0] * 2]),
    "sums that are looked up": (scattered, [[1.0] * 3]),
    "operations": (
        lambda x: [a.tanh() for a in x] + [x[2].hypot(x[0]), x[1].hypot(2.0)], [[1.0] * 3]),
    "two lines": (lambda x: [x[i].hypot(x[i + 3]) for i in range(3)], [[1.0] * 6]),
    "one number for all": (lambda x: [WEIGHTS[0].hypot(a) for a in x], [[1.0] * 3]),
    "shared numbers in a line": (lambda x: [a.hypot(x[0]) for a in WEIGHTS[:3]], [[1.0]]),
    "the largest": (lambda x: argmax(x), [[1.0] * 3]),
    "a guard": (guarded, [[1.0] * 3]),
    "guards on inputs and constants": (
        lambda x: x[0] if x[0] < x[1] and x[1] > 2.0 else x[1], [[1.0, 3.0]]),
    "no operation": (lambda x: x, [1.0]),
}  # fmt: skip


def encoded(name: str, block: int) -> dict[str, Any]:
    f, arguments = PROGRAMS[name]
    code = Encoded(recorded(f, *arguments), block)
    arrays = {key: a for key, a in vars(code).items() if isinstance(a, np.ndarray)}
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.int64)}
    sizes = {"shared": code.shared, "size": code.size, "block": code.block}
    return sizes | {key: a.tolist() for key, a in arrays.items()}


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_encoded_as_it_was(name: str, block: int) -> None:
    assert encoded(name, block) == json.loads(GOLDEN.read_text())[name][str(block)]


# ---------------------------------------------------------------------- contractions

LOOPED: list[Any] = [
    # Sizes of the loops; strides of z, x and y: over lanes, over terms, over samples.
    ((4, 1, 1, 6, 32), (32, 0, 0, 0, 1), (6, 0, 0, 1, 0), (0, 0, 0, 32, 1)),
    ((4, 1, 1, 6, 1), (1, 0, 0, 0, 1), (6, 0, 0, 1, 0), (0, 0, 0, 1, 1)),
    ((16, 1, 1, 16, 64), (64, 0, 0, 0, 1), (16, 0, 0, 1, 0), (0, 0, 0, 64, 1)),
    ((16, 1, 1, 16, 64), (16, 0, 0, 1, 0), (64, 0, 0, 0, 1), (0, 0, 0, 64, 1)),
    ((16, 1, 1, 16, 64), (0, 0, 0, 64, 1), (64, 0, 0, 0, 1), (16, 0, 0, 1, 0)),
    ((8, 1, 1, 1, 32), (32, 0, 0, 0, 1), (32, 0, 0, 0, 1), (32, 0, 0, 0, 1)),
    ((8, 1, 1, 1, 32), (32, 0, 0, 0, 1), (64, 0, 0, 0, 1), (32, 0, 0, 0, 1)),
    ((5, 5, 1, 1, 1), (1, 5, 0, 0, 1), (0, 1, 0, 0, 1), (1, 0, 0, 0, 1)),
    ((3, 2, 4, 1, 1), (1, 3, 6, 0, 1), (0, 1, 0, 0, 0), (1, 0, 0, 0, 1)),
    ((3, 1, 1, 7, 1), (1, 0, 0, 0, 1), (7, 0, 0, 1, 0), (0, 0, 0, 1, 1)),
    ((4, 1, 1, 3, 4), (4, 0, 0, 0, 1), (3, 0, 0, 1, 0), (0, 0, 0, 4, 1)),
    ((4, 4, 1, 5, 1), (1, 4, 0, 0, 1), (5, 0, 0, 1, 0), (0, 5, 0, 1, 1)),
    ((3, 4, 1, 5, 1), (1, 3, 0, 0, 1), (5, 0, 0, 1, 0), (0, 5, 0, 1, 1)),
    ((2, 1, 1, 20, 5), (5, 0, 0, 0, 1), (20, 0, 0, 1, 0), (0, 0, 0, 5, 1)),
    ((1, 1, 1, 9, 1), (0, 0, 0, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 1, 0)),
    ((6, 1, 1, 1, 1), (2, 0, 0, 0, 1), (3, 0, 0, 0, 0), (0, 0, 0, 0, 1)),
    ((6, 1, 1, 2, 1), (2, 0, 0, 0, 1), (3, 0, 0, 5, 0), (7, 0, 0, -4, 1)),
    ((1, 1, 1, 1, 1), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1)),
    ((2, 3, 4, 5, 6), (6, 12, 36, 0, 1), (1, 2, 6, 24, 0), (30, 0, 0, 6, 1)),
    ((8, 1, 1, 3, 16), (16, 0, 0, 0, 1), (16, 0, 0, 16, 1), (0, 0, 0, 1, 0)),
]


def loops_of(row: list[int]) -> list[tuple[int, ...]]:
    """Size and strides of z, x and y of each loop of a row."""
    columns = [row[5 + LOOPS * k : 5 + LOOPS * (k + 1)] for k in range(4)]
    return list(zip(*columns, strict=True))


def arranged(case: Any) -> list[Any]:
    sizes, *strides = (list(part) for part in case)
    places = zip((100, 200, 300), strides, strict=True)
    return contraction(-1.0, sizes, *places)


def walked(sizes: Any, zs: Any, xs: Any, ys: Any) -> Counter[tuple[int, ...]]:
    """How often each triple of places is met."""
    met: Counter[tuple[int, ...]] = Counter()
    for index in itertools.product(*map(range, sizes)):
        steps = (sum(k * s for k, s in zip(index, t, strict=True)) for t in (zs, xs, ys))
        met[tuple(steps)] += 1
    return met


@pytest.mark.parametrize("k", range(len(LOOPED)))
def test_arranged_loops_meet_what_they_met_before(k: int) -> None:
    sizes, zs, xs, ys = LOOPED[k]
    if math.prod(sizes) > 5000:
        sizes = tuple(min(size, 6) for size in sizes)
    row = arranged((sizes, zs, xs, ys))
    assert row[:5] == [CONTRACT, -1, 100, 200, 300]
    assert all(type(part) is int for part in row)
    found = walked(*zip(*loops_of(row), strict=True))
    assert found == walked(sizes, zs, xs, ys)


@pytest.mark.parametrize("seed", range(30))
def test_numpys_contraction_is_the_sum_over_all_loops(seed: int) -> None:
    rng = random.Random(seed)
    n = [rng.choice([1, 1, 2, 3, 4]) for _ in range(LOOPS)]
    strides = [[rng.choice([0, 1, 2, 5, -1]) for _ in n] for _ in "zxy"]
    row = [0, rng.choice([1, -1]), 60, 60, 60, *n, *itertools.chain(*strides)]
    x, y = (np.array([rng.uniform(-1, 1) for _ in range(150)]) for _ in "xy")
    z = np.ones(150)
    wanted = z.copy()
    for index in itertools.product(*map(range, n)):
        i, j, k = (60 + sum(a * s for a, s in zip(index, t, strict=True)) for t in strides)
        wanted[i] += row[1] * x[j] * y[k]
    numpy_engine.contract(z, x, y, row)
    assert z == pytest.approx(wanted, rel=1e-12, abs=1e-13)


# ---------------------------------------------------------------------- NumPy's sweep


def test_functions_that_numpy_lacks_are_the_rows_for_each_number() -> None:
    x = np.array([[0.5, -1.0], [2.0, 0.0]])
    found = arrays.NUMPY.erf(x)
    assert found.dtype == np.float64
    assert found.tolist() == [[math.erf(v) for v in line] for line in x.tolist()]


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("tanh", np.tanh), ("asin", np.arcsin), ("atan2", np.arctan2), ("acosh", np.arccosh),
        ("fabs", np.fabs), ("pow", np.power), ("hypot", np.hypot), ("fmod", np.fmod),
        ("log1p", np.log1p), ("radians", np.radians), ("copysign", np.copysign),
    ],
)  # fmt: skip
def test_numpys_function_is_found_by_the_name_in_math(name: str, function: Any) -> None:
    assert getattr(arrays.Functions(), name) is function


def test_numpys_function_of_the_same_name_may_be_another() -> None:
    # math.remainder is IEEE 754's, np.remainder is Python's %.
    assert not arrays.agrees(np.remainder, "remainder")
    remainder: Any = Op("remainder(x, y)", "1", "(z - x) / y", ends="nan", smooth="abs(y) > 0")
    remainder.read("remainder", rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "row_of", lambda name: remainder)
        found = arrays.Functions().remainder(np.array([5.0, 5.0, 1.0]), np.array([3.0, 2.0, 0.0]))
    assert found[:2].tolist() == [-1.0, 1.0]
    assert math.isnan(found[2])


EXACT = ["fmod", "floor", "ceil", "round", "mod", "floordiv", "maximum", "minimum", "sign"]


@pytest.mark.parametrize("name", EXACT)
def test_rows_of_exact_operations_have_the_same_bits_for_arrays(name: str) -> None:
    op, rng = rows()[name], random.Random(name)
    numbers = [0.0, -0.0, 0.5, 2.5, -0.3, 1e300, 5e-324, math.inf, -math.inf, math.nan]
    numbers += [rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 17) for _ in range(30)]
    x, y = (np.array(column) for column in zip(*itertools.product(numbers, numbers), strict=True))
    values, slopes = arrays.row_of_arrays(op)
    with np.errstate(all="ignore"):
        z = np.broadcast_to(values(x, y)[0], x.shape)
        found = [np.broadcast_to(part, x.shape) for part in slopes(x, y, z)]
    for k, at in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        operands = (*at[: op.arity], None)[:2]
        exact = op.value(*operands[: op.arity])
        assert float(z[k]).hex() == exact.hex() or exact != exact, at
        for partial, own in zip(found, (op.dx, getattr(op, "dy", None)), strict=False):
            assert own is not None
            wanted = float(own(*operands, exact))
            assert partial[k] == wanted or wanted != wanted, at


def test_a_rows_functions_for_arrays_have_the_rows_name() -> None:
    values, slopes = arrays.row_of_arrays.__wrapped__(rows()["relu"])
    assert (values.__name__, slopes.__name__) == ("relu_values", "relu_slopes")
    x = np.array([-1.0, 0.0, 2.0])
    assert values(x, None)[0].tolist() == [0.0, 0.0, 2.0]
    assert slopes(x, None, None)[0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("x", "y", "margin", "status"),
    [
        (1.0, 2.0, 0.0, FAILED), (2.0, 1.0, 0.0, PASSED), (1.0, 1.0, 0.0, FAILED),
        (1.0, 2.0, 0.5, FAILED), (2.0, 1.0, 0.5, PASSED), (1.0, 1.0, 0.5, DOUBTFUL),
        (1.0, 1.4, 0.5, DOUBTFUL), (1.4, 1.0, 0.5, DOUBTFUL), (0.0, 0.0, 1e-290, DOUBTFUL),
        (math.inf, 1.0, 0.5, PASSED), (-math.inf, 1.0, 0.5, FAILED), (math.inf, 1.0, 0.0, PASSED),
        (math.inf, math.inf, 0.5, DOUBTFUL), (math.nan, 1.0, 0.0, FAILED),
        (2.0, 1.0, math.inf, DOUBTFUL), (2.0, 1.0, math.nan, DOUBTFUL), (2.0, 1.0, 1e285, DOUBTFUL),
    ],
)  # fmt: skip
def test_a_guard_whose_sides_are_within_their_margins_is_doubtful(
    x: float, y: float, margin: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = autograd.compile(
        lambda a, b: a if 0.1 * a + 0.2 * a + 0.7 * a > b else b, engine="numpy"
    )
    made(2.0, 1.0)
    code, memory, _ = made.last.memory(1)
    ((_, p, q, *_),) = code.guards.tolist()
    memory[[p >> 1, q >> 1]] = x, y
    machine = made.last.engine
    assert isinstance(machine, NumpyEngine)
    monkeypatch.setattr(numpy_engine, "_margins", lambda *_: np.array([[margin], [0.0]]))
    monkeypatch.setattr(machine, "_forward", lambda *_: None)
    with np.errstate(all="ignore"):
        assert machine._decided(code, memory).tolist() == [status]
        # One that is doubtful does not take back that another has failed.
        code.guards = np.concatenate([code.guards, [[2, q, q, 1, 0]]])
        assert machine._decided(code, memory).tolist() == [FAILED]


# ---------------------------------------------------------------------- engines and eager

ENGINES = ["numpy", "native"]
MOST = 5  # factors of a product; with the numbers below, its bits and those of sums fit a double
NEVER_ROUNDED = ["add", "sub", "mul", "neg", "square", "relu", "abs", "maximum"]
STEPS = [*NEVER_ROUNDED, "detach", "no_grad", "select", "replaced", "whole"]


def exact_function(rng: random.Random) -> Callable[..., Any]:
    """A function of five numbers and a whole one whose results have no rounding in any order.

    Operands are repeated on purpose: one lane then gets several terms, of products and of single
    numbers, with and without a gradient, and is read and added to several times.
    """
    steps = [
        (rng.choice(STEPS), rng.randrange(1 << 30), rng.randrange(1 << 30))
        for _ in range(rng.randint(2, 14))
    ]
    ends = [rng.randrange(1 << 30) for _ in range(rng.randint(1, 4))]
    w = [Value(rng.choice([-1.5, -0.5, 0.5, 2.0])) for _ in range(3)]

    def f(x: list[Any], n: Any) -> list[Any]:
        line = [*w, *x]
        size = [1] * len(line)  # how many factors
        for what, i, j in steps:
            a, b = i % len(line), j % min(len(line), 4)  # the second operand is one of a few
            if what == "detach":
                line.append(line[a].detach() * line[b] if size[a] + size[b] <= MOST else -line[a])
                size.append(size[a] + size[b] if size[a] + size[b] <= MOST else size[a])
            elif what == "no_grad":
                with autograd.no_grad():
                    inner = line[a] * 0.5 + line[b]
                line.append(inner + line[a])
                size.append(max(size[a] + 1, size[b]))
            elif what == "select":
                line.append(select([line[a], line[b], line[a]], n))
                size.append(max(size[a], size[b]))
            elif what == "replaced":
                chosen = autograd.replaced([line[a], line[b], line[a]], n, 0.25 * (1 + j % 2))
                line += [one + line[b] for one in chosen]
                size += [max(size[a], size[b])] * 3
            elif what == "whole":
                line.append(line[a] * n + line[a])
                size.append(size[a] + 1)
            else:
                if what in ("mul", "square") and size[a] + size[b] > MOST:
                    continue
                row = rows()[what]
                line.append(row(line[a], line[b]) if row.arity == 2 else row(line[a]))
                size.append(size[a] + size[b])
            if size[-1] > MOST:
                line[-1] = line[b]
                size[-1] = size[b]
        return [line[e % len(line)] for e in ends]

    f.leaves = w  # type: ignore[attr-defined]
    return f


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("machine", ENGINES)
@pytest.mark.traced(every=10)
def test_an_engine_gives_the_numbers_and_gradients_of_the_eager_one(
    machine: str, seed: int
) -> None:
    rng = random.Random(seed)
    f = exact_function(rng)
    w = f.leaves  # type: ignore[attr-defined]
    values = autograd.compile(f, engine=machine)
    total = autograd.compile(lambda x, n: sum(f(x, n), 0.0 * w[0]), engine=machine)
    numbers = np.array([[rng.choice([-1.5, -1.0, -0.5, 0.0, 0.5, 2.0]) for _ in range(5)]
                        for _ in range(11)])  # fmt: skip
    whole = np.array([rng.randrange(3) for _ in numbers])
    wanted, slopes, weights = [], [], np.zeros(len(w))
    for x, n in zip(numbers.tolist(), whole.tolist(), strict=True):
        given = [Value(number) for number in x]
        results = f(given, n)
        wanted.append([z.data for z in results])
        found = autograd.grad(sum(results, 0.0 * w[0]), [*given, *w])
        slopes.append(found[:5])
        weights += found[5:]
        assert [getattr(z, "data", z) for z in values(x, n)] == wanted[-1]
        assert total.value_and_grad(x, n) == (sum(wanted[-1]), found[:5])
    assert np.array(values(numbers, whole)).T.tolist() == wanted
    batch, gradient = total.value_and_grad(numbers, whole)
    assert (batch.tolist(), gradient.tolist()) == ([sum(one) for one in wanted], slopes)
    by_leaf = dict(zip(total.parameters, total.parameter_gradients(numbers, whole)[1], strict=True))
    assert [by_leaf.get(leaf, 0.0) for leaf in w] == weights.tolist()


NAN = math.nan


@pytest.mark.parametrize("machine", ["numpy", "native"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_first_of_the_largest_is_found_for_each_sample(machine: str, count: int) -> None:
    compiled = autograd.compile(
        lambda x: [argmax(x[:2]) * 1.0, argmax(x[1:]) * 1.0, argmax(x) * 1.0], engine=machine
    )
    x = np.array([[1.0, 3.0, 3.0, 2.0], [5.0, -1.0, 0.0, 5.0], [0.0, NAN, 1.0, 2.0]])[:count]
    found = np.array(compiled(x)).T.tolist()
    assert found == [[1.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]][:count]


def test_engines_have_names_and_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    program = recorded(lambda x: x * 2.0, 1.0)
    assert type(engine(program)) is NativeEngine
    assert type(engine(program, "auto")) is NativeEngine
    assert type(engine(program, "native")) is NativeEngine
    assert type(engine(program, "numpy")) is NumpyEngine
    with pytest.raises(ValueError, match="must be 'auto', 'native' or 'numpy', got 'jax'"):
        engine(program, "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert type(engine(program)) is NumpyEngine
    compiled = autograd.compile(lambda x: x * 2.0, engine="native")
    with pytest.warns(UserWarning, match="llvmlite is not installed") as caught:
        compiled(1.0)
    assert len(caught) == 1


if __name__ == "__main__":
    written = {name: {b: encoded(name, b) for b in (1, 4)} for name in PROGRAMS}
    lines = [f"  {json.dumps(key)}: {json.dumps(one)}" for key, one in written.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
