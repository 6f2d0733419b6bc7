"""What rounding could decide: never a silent wrong side, and hardly ever a doubt without need."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import Value, argmax, rows, select
from autograd.compiled import rounding
from autograd.compiled.encoded import DOUBTFUL, FAILED, PASSED
from autograd.compiled.function import Compiled
from autograd.compiled.lowering import SHARED
from autograd.compiled.numpy_engine import NumpyEngine
from autograd.compiled.recording import Recording
from nn.layers import MLP
from nn.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    hinge,
    mae,
    mse,
    sparse_categorical_crossentropy,
)
from nn.microgpt import MicroGPT, encode

ENGINES = ["numpy", "native"]
ROW = rows()


def recorded(f: Callable[..., Any], *arguments: Any, engine: str = "numpy") -> Compiled:
    pytest.importorskip({"native": "llvmlite"}.get(engine, engine))
    compiled: Compiled = autograd.compile(f, engine=engine)
    compiled(*arguments)
    return compiled


# ---------------------------------------------------------------------- what may be off

W = [Value(0.7), Value(-1.3)]
OFF: list[tuple[str, Callable[..., Any], bool]] = [
    ("an input", lambda x: x[0], False),
    ("a difference", lambda x: 1.0 - x[0], False),
    ("a product", lambda x: W[0] * x[0], False),
    ("a product with a sign", lambda x: -(x[0] * x[1]), False),
    ("a sum of a number with itself", lambda x: x[0] + x[0], False),
    ("a product with 1, and 0", lambda x: x[0] * 1.0 + 0.0, False),
    ("twice a number, less 1", lambda x: 2.0 * x[0] - 1.0, False),
    ("a quotient", lambda x: (x[0] - x[1]) / 3.0, False),
    ("a kink of exact numbers", lambda x: (x[0] - x[1]).relu(), False),
    ("a root", lambda x: (x[0] * x[1]).sqrt(), False),
    ("a choice of exact numbers", lambda x: select(x, argmax(x)), False),
    ("three terms", lambda x: x[0] + x[1] + x[2], True),
    ("a product in a sum", lambda x: x[0] * x[1] + x[2], True),
    ("a tenth of a number, and another", lambda x: 0.1 * x[0] + x[1], True),
    ("a function", lambda x: x[0].exp(), True),
    ("what comes from a function", lambda x: x[0].exp() - 1.0, True),
    ("a power", lambda x: x[0] ** 2.0, True),
    ("a kink of rounded numbers", lambda x: (x[0] + x[1] - x[2]).relu(), True),
    ("a choice of rounded numbers", lambda x: select([x[0], x[1].exp()], argmax(x[:2])), True),
    ("a number that was taken out", lambda x: x[0].exp().data * 1.0, True),
]


@pytest.mark.parametrize(("name", "f", "off"), OFF, ids=[one[0] for one in OFF])
def test_what_may_be_off(name: str, f: Callable[..., Any], off: bool) -> None:
    program = recorded(f, [1.5, 0.5, 0.25]).program
    exact = rounding.exactness(program)
    assert exact.of(exact.inexact, program.address[program.tape.outputs]).tolist() == [off]


def test_numbers_that_all_samples_share_are_exact() -> None:
    exact = rounding.exactness(recorded(lambda x: x.exp(), 1.0).program)
    found = exact.of(exact.inexact, np.array([SHARED, SHARED + 5, 1]))
    assert found.tolist() == [False, False, True]


def test_a_program_that_decides_nothing_by_what_is_off_pays_nothing() -> None:
    model = MLP([2, 8, 8, 1], "tanh", seed=0)
    for f, arguments in (
        (lambda x, y: mse(model(x), [y]), ([0.5, 1.0], 1.0)),
        (lambda x, y: x[0] if x[0] - x[1] > y else x[1] * 0.7 + x[0] + y, ([1.0, 2.0], 0.5)),
        (lambda x, y: (x[0] - x[1]).relu() + y.exp() / 3.0, ([1.0, 2.0], 0.5)),
    ):
        made = recorded(f, *arguments).last
        assert made.program.cone.steps == []
        assert not made.program.cone.guards.any()
        for samples in (1, 8):
            code, memory, _ = made.memory(samples)
            assert len(code.bounding) == len(code.measured) == 0
            assert len(memory) == code.size == code.end


def test_only_what_a_decision_depends_on_has_bounds() -> None:
    def f(x: list[Value]) -> list[Value]:
        off = 0.7 * x[0] + 0.1 * x[1] + x[2]
        beside = (0.3 * x[0] + 0.2 * x[1] + x[2]).tanh()
        return [off.relu(), beside.exp()]

    program = recorded(f, [1.0, 2.0, 3.0]).program
    kept = [step.instruction.results.tolist() for step in program.cone.steps]
    assert [one.op for one in program.cone.rows] == ["relu"]
    relu, beside = program.address[program.tape.outputs].tolist()
    assert kept[-1] == [relu]
    assert len({lane for part in kept for lane in part}) == 2
    assert beside not in program.cone.lanes


POSITIVE: dict[str, tuple[Callable[..., Any], bool]] = {
    "a square and 1": (lambda x: 1.0 / (x[0] * x[0] + x[1] * x[1] + 1.0), True),
    "an exponential and a constant": (lambda x: (x[0].exp() + 1e-8).log(), True),
    "sizes and a constant": (lambda x: (abs(x[0]) + 2.0 * abs(x[1]) + 0.5).sqrt(), True),
    "positive numbers in a sum that is used twice": (
        lambda x: (s := x[0].sigmoid() * x[1].exp() + 0.1) / (s * s + s + 3.0), True),
    "positive numbers under a kink": (lambda x: (x[0].exp() + x[1].exp() + 1.0).relu(), True),
    "squares alone": (lambda x: 1.0 / (x[0] * x[0] + x[1] * x[1] + x[2] * x[2]), False),
    "a constant that is subtracted": (lambda x: 1.0 / (x[0] * x[0] + x[1] * x[1] - 1.0), False),
    "a square that is subtracted": (lambda x: 1.0 / (1.0 + x[1] * x[1] - x[0] * x[0]), False),
    "a negative constant": (lambda x: 1.0 / (x[0].exp() * -0.1 + 1.0), False),
    "a parameter": (lambda x: 1.0 / (x[0].exp() * W[0] + 1.0), False),
    "one of two is not": (lambda x: 1.0 / (x[0].exp() * x[1] + 1.0), False),
    "what could be below 0": (lambda x: 1.0 / (x[0].tanh() + 1.0), False),
    "constants that are too small": (lambda x: (x[0].exp() + 1e-30).log(), False),
    "a comparison of two": (lambda x: (x[0].exp() + 1.0).maximum(x[1].exp() + 1.0), False),
    "a comparison with more than 0": (lambda x: (x[0].exp() + 1.0).acosh(), False),
}  # fmt: skip


@pytest.mark.parametrize("name", POSITIVE)
def test_a_sum_that_is_surely_positive_decides_nothing_by_its_sign(name: str) -> None:
    f, sure = POSITIVE[name]
    program = recorded(f, [1.5, 0.5, 0.25]).program
    assert (program.cone.steps == []) is sure


# ---------------------------------------------------------------------- the status of samples


def statuses(made: Recording, x: Any) -> list[int]:
    """The status of each sample."""
    numbers, gradients = np.array(x, dtype=np.float64), np.zeros(len(made.parameters))
    run = made.run(made.numbers(), made.own_runs, numbers, None, gradients)
    status: list[int] = run.status.tolist()
    return status


@pytest.mark.parametrize("machine", ENGINES)
@pytest.mark.parametrize("samples", [1, 5])
def test_a_guard_is_doubtful_within_the_margin_of_its_sides(machine: str, samples: int) -> None:
    def f(x: list[Value]) -> Value:
        total = 0.7 * x[0] + 0.1 * x[1] + 0.3 * x[2]
        return x[0] if total > x[3] else x[1]

    made = recorded(f, [1.0, 2.0, 3.0, 0.0], engine=machine).last
    total = 0.7 + 0.1 * 2.0 + 0.3 * 3.0
    # Each of three terms is rounded as a product and with the sum, in either order; and to spare.
    margin = (2 * 3 + 8) * 2.0**-53 * total
    for moved, status in ((0.9, DOUBTFUL), (-0.9, DOUBTFUL), (0.0, DOUBTFUL), (1.2, FAILED),
                          (-1.2, PASSED), (math.inf, FAILED)):  # fmt: skip
        row = [1.0, 2.0, 3.0, total + moved * margin]
        others = [[1.0, 2.0, 3.0, 0.0], [1.0, 2.0, 3.0, 9.0]] * 2
        found = statuses(made, [*others[: samples - 1], row])
        assert found == [*[PASSED, FAILED, PASSED, FAILED][: samples - 1], status]


@pytest.mark.parametrize("machine", ENGINES)
def test_exact_sides_are_never_doubtful(machine: str) -> None:
    made = recorded(lambda x, y: x * 2.0 if 1.0 - y else x, 1.0, 0.5, engine=machine).last
    assert statuses(made, [[1.0, 0.0], [1.0, 1.0], [2.0, 0.3]]) == [PASSED, FAILED, PASSED]
    assert statuses(made, [[1.0, 1.0]]) == [FAILED]


KINKS: dict[str, Callable[..., Any]] = {
    "relu": lambda x: (0.7 * x[0] + 0.1 * x[1] + 0.3 * x[2]).relu(),
    "abs": lambda x: abs(0.7 * x[0] + 0.1 * x[1] + 0.3 * x[2]),
    "maximum": lambda x: (0.7 * x[0] + 0.1 * x[1]).maximum(-0.3 * x[2]),
    "sqrt": lambda x: (0.7 * x[0] + 0.1 * x[1] + 0.3 * x[2]).sqrt(),
    "a pole": lambda x: 1.0 / (0.7 * x[0] + 0.1 * x[1] + 0.3 * x[2]),
    "the largest": lambda x: argmax([0.7 * x[0] + 0.1 * x[1], -0.3 * x[2]]) * x[0],
}


# Native code of a row is compiled for seconds where it is not kept; few rows stand for all.
KINKS_OF = [("numpy", kink) for kink in KINKS] + [("native", "relu"), ("native", "the largest")]
SLOPES = ["relu", "abs", "sign", "maximum", "minimum", "leaky_relu"]
SLOPES_OF = [("numpy", kink) for kink in SLOPES] + [("native", "relu"), ("native", "maximum")]


@pytest.mark.parametrize(("machine", "kink"), KINKS_OF)
def test_a_kink_is_as_doubtful_as_a_guard(machine: str, kink: str) -> None:
    made = recorded(KINKS[kink], [1.0, 2.0, 3.0], engine=machine).last
    near, far = [1.0, 2.0, -3.0], [1.0, 2.0, 0.5]
    for count in (1, 3):
        assert statuses(made, [near] * count) == [DOUBTFUL] * count
        assert statuses(made, [far] * count) == [PASSED] * count
        assert statuses(made, [far, near, far][:count]) == [PASSED, DOUBTFUL, PASSED][:count]


def test_a_zero_of_unknown_sign_is_doubtful_where_its_sign_matters() -> None:
    angle = recorded(lambda x: (x[0] * x[1]).atan2(x[2]), [1.0, 2.0, 1.0])
    for x in ([-0.0, 1.0, -1.0], [0.0, 1.0, -1.0], [-0.0, 1.0, 1.0], [-0.0, 1.0, 0.0]):
        eager = (Value(x[0]) * x[1]).atan2(x[2]).data
        assert angle(x) == eager
        assert np.ravel(angle(np.array([x, x]))).tolist() == [eager, eager]
    relu = recorded(lambda x: (x[0] * x[1]).relu(), [1.0, 2.0]).last
    assert statuses(relu, [[-0.0, 1.0], [0.0, 1.0]]) == [PASSED, PASSED]


@pytest.mark.parametrize("machine", ENGINES)
def test_a_number_compared_with_itself_is_doubtful_only_if_it_may_be_nan(machine: str) -> None:
    def f(x: list[Value]) -> Value:
        total = 0.7 * x[0] + 0.1 * x[1] + 0.3 * x[2]
        return total if total <= total else x[0]

    made = recorded(f, [1.0, 2.0, 3.0], engine=machine).last
    assert statuses(made, [[1.0, 2.0, -3.0]] * 2) == [PASSED, PASSED]
    assert statuses(made, [[1.7e308, 1.7e308, 1.7e308]]) == [DOUBTFUL]


@pytest.mark.parametrize("machine", ENGINES)
def test_a_sum_that_may_have_overflowed_decides_nothing_alone(machine: str) -> None:
    f = recorded(
        lambda x: 1.0 if x[0] + x[1] + x[2] + x[3] > x[4] else 2.0, [1.0] * 5, engine=machine
    )
    large, inf = 1.7e308, math.inf
    x = np.array([[large, large, -large, -large, 0.0], [large, -large, large, -large, 0.0],
                  [large, large, -large, 0.0, 1e308], [-large, -large, large, large, 0.0],
                  [inf, 1.0, 2.0, 3.0, 1e308], [1.0, 2.0, 3.0, -inf, 0.0]])  # fmt: skip
    wanted = [1.0 if sum(row[:4], 0.0) > row[4] else 2.0 for row in x.tolist()]
    assert np.ravel(f(x)).tolist() == wanted
    assert [f(row) for row in x.tolist()] == wanted
    assert statuses(f.last, x[4:5]) in ([PASSED], [FAILED])  # an infinite term decides by itself


# ---------------------------------------------------------------------- against the eager engine

FACTORS = [0.7, 0.1, 1 / 3, 1.0, -0.3, -0.7, 1e-3]
SMOOTH = ["tanh", "exp", "sigmoid", "softplus", "sin", "erf", "gelu", "asinh"]
NUMBERS = [0.0, 0.1, -0.1, 0.2, 0.3, -0.3, 0.7, -0.7, 1.0, -1.0, 0.5, -0.5, 2.0, 1 / 3]


def cancelled(at: list[int], v: list[Any], c: list[float]) -> Any:
    terms = [p * q for p, q in zip(v, c, strict=True)]
    difference = sum(terms, 0.0) - sum(terms[::-1], 0.0)
    return difference * 1e15 if at[0] % 3 else difference


def applied(at: list[int], v: list[Any], c: list[float]) -> Any:
    row = ROW[SMOOTH[at[-1] % len(SMOOTH)]]
    return row(v[0]) if at[1] % 2 else row(v[0] * 0.5 + v[1] * 0.25 - v[0] * 0.5)


def scaled(at: list[int], v: list[Any], c: list[float]) -> Any:
    factor = [1e12, 1e-12, 1e3, -1.0][at[1] % 4]
    return v[0] * factor - v[1] * factor + v[-1] * c[0]


def picked(at: list[int], v: list[Any], c: list[float]) -> Any:
    return select(v, argmax(v)) if at[1] % 2 else v[0] - select(v, argmax(v))


def bent(at: list[int], v: list[Any], c: list[float]) -> Any:
    return [v[0].relu(), abs(v[0]), v[0].maximum(v[1]), v[0].minimum(v[1])][at[1] % 4]


# What makes one more number of some, by random whole numbers and factors; often terms cancel.
STEPS: list[Callable[..., Any]] = [
    lambda at, v, c: sum((p * q for p, q in zip(v, c, strict=True)), 0.0),
    cancelled, cancelled, applied, scaled, picked, bent,
    lambda at, v, c: v[0] * v[1] + v[0] * c[0] - v[1] * v[1],
    lambda at, v, c: v[0] / (1.0 + v[1] * v[1] + v[0] * 0.1),
]  # fmt: skip
# What decides by three numbers; its result is the side.
ENDS: list[Callable[..., Any]] = [
    lambda a, b, c: a.sign(),
    lambda a, b, c: (a - b).relu().sign(),
    lambda a, b, c: (a.maximum(b) - a).sign(),
    lambda a, b, c: (1.0 / (a - b)).sign(),
    lambda a, b, c: (a - b).atan2(c - 1.0).sign(),
    lambda a, b, c: argmax([a, b, c, b - a + a]) * 1.0,
    lambda a, b, c: 1.0 if a > b else 0.0,
    lambda a, b, c: 1.0 if a - b + c <= c else 0.0,
    lambda a, b, c: 1.0 if a - b <= 0.0 and b - a <= 0.0 else 0.0,
    lambda a, b, c: 1.0 if (a + b - c).sqrt() >= 0.0 else 0.0,
    lambda a, b, c: 1.0 if (a - b).log() > -1e308 else 0.0,
]


def deciding_function(rng: random.Random, machine: str) -> Callable[..., Any]:
    """A function of six numbers whose results are the sides that it takes."""
    few = machine != "numpy"
    steps = []
    for _ in range(rng.randint(1, 6)):
        at = [rng.randrange(1 << 20) for _ in range(rng.randint(2, 10))]
        made = rng.choice([STEPS[0], STEPS[1], STEPS[4], STEPS[5], STEPS[7]] if few else STEPS)
        steps.append((made, at, [rng.choice(FACTORS) for _ in at]))
    ends = [
        (rng.choice([*ENDS[:2], *ENDS[5:9]] if few else ENDS),
         [rng.randrange(1 << 20) for _ in "abc"])
        for _ in range(rng.randint(1, 3))
    ]  # fmt: skip

    def f(x: list[Any]) -> list[Any]:
        line = list(x)
        for made, at, factors in steps:
            line.append(made(at, [line[-1 - k % len(line)] for k in at], factors))
        return [side(*(line[-1 - k % len(line)] for k in at)) for side, at in ends]

    return f


def points(rng: random.Random, count: int) -> Any:
    """Samples whose sums often cancel."""
    return np.array([
        [rng.choice(NUMBERS) if rng.random() < 0.9 else rng.gauss(0.0, 1.0) for _ in range(6)]
        for _ in range(count)
    ])  # fmt: skip


def of(z: Any) -> float:
    return z.data if isinstance(z, Value) else float(z)


BATCHES = [("numpy", range(k, k + 10)) for k in range(0, 40, 10)]
BATCHES += [("native", range(40, 52)), ("float32", range(60, 76))]


@pytest.mark.parametrize(("machine", "seeds"), BATCHES)
@pytest.mark.untraced
def test_no_side_is_another_than_the_eager_one(machine: str, seeds: range) -> None:
    pytest.importorskip("numpy" if machine == "numpy" else "llvmlite")
    options: Any = {"dtype": machine} if machine == "float32" else {"engine": machine}
    for seed in seeds:
        rng = random.Random(seed)
        f, x = deciding_function(rng, machine), points(rng, 20)
        wanted = np.array([[of(z) for z in f([Value(v) for v in row])] for row in x.tolist()])
        compiled = autograd.compile(f, **options)
        assert np.array_equal(np.array(compiled(x)).T, wanted, equal_nan=True), seed
        alone = np.array([[float(z) for z in compiled(row)] for row in x[:5].tolist()])
        assert np.array_equal(alone, wanted[:5], equal_nan=True), seed


@pytest.mark.parametrize(("machine", "kink"), SLOPES_OF)
def test_slopes_at_a_sum_that_cancels_are_the_eager_ones(machine: str, kink: str) -> None:
    pytest.importorskip({"native": "llvmlite"}.get(machine, machine))
    w = [Value(0.7) for _ in range(6)]
    row = ROW[kink]

    def f(x: list[Any]) -> Any:
        total = sum((a * b for a, b in zip(w, x, strict=True)), 0.0)
        other = w[0] * x[1] - w[1] * x[1]
        return row(total, other) if kink in ("maximum", "minimum") else row(total)

    rng = random.Random(1)
    some = [[rng.choice(NUMBERS) for _ in w[1:]] for _ in range(60)]
    x = np.array([[*part, round(-sum(part), 10)] for part in some])
    compiled = autograd.compile(f, engine=machine)
    slopes = compiled.per_sample_gradients(x)
    order = [[v is p for v in w].index(True) for p in compiled.parameters]
    for found, sample in zip(slopes.tolist(), x.tolist(), strict=True):
        wanted = autograd.grad(f(sample), w)
        assert found == pytest.approx([wanted[k] for k in order], rel=1e-12)


def kept(made: Recording) -> tuple[Any, Any]:
    """The rows for eight samples, and the numbers that the engine has left, as NumPy has them."""
    code, memory, _ = NumpyEngine(made.program).memory(8)
    if isinstance(made.engine, NumpyEngine):
        return code, made.memory(8)[1]
    loaded, (numbers, *_), _ = made.memory(8)
    lanes = loaded.translation.layout.lanes
    memory[: code.shared] = numbers[: code.shared]
    memory[code.shared : code.end] = numbers[lanes : lanes + code.end - code.shared]
    return code, memory


@pytest.mark.parametrize("machine", ENGINES)
def test_no_number_is_further_from_the_eager_one_than_its_margin(machine: str) -> None:
    pytest.importorskip({"native": "llvmlite"}.get(machine, machine))
    seen, largest = 0, 0.0
    for seed in range(12):
        rng = random.Random(seed)
        f, x = deciding_function(rng, machine), points(rng, 8)
        made = recorded(f, x[0].tolist(), engine=machine).last
        statuses(made, x)
        code, memory = kept(made)
        if not len(code.measured):
            continue
        with np.errstate(all="ignore"):  # the native engine may be sure without these
            doubtful, _ = NumpyEngine(made.program)._doubts(code, memory)
        lanes = made.program.cone.lanes
        places = code.numbers.lane(lanes)[:, None] + np.arange(code.block)
        sizes, bounds = (memory[places + at.first] for at in (code.magnitudes, code.bounds))
        margins, nodes = bounds - code.unit * sizes, np.array(made.program.lane_of)[lanes]
        for k in np.flatnonzero(~doubtful):
            eager = made.program.replayed([], [Value(v) for v in x[k].tolist()], labels=False)
            exact = np.array([of(eager[node]) for node in nodes])
            with np.errstate(invalid="ignore"):
                apart = abs(exact - memory[places[:, k]])
            told = np.isfinite(margins[:, k]) & np.isfinite(apart)
            assert (apart[told] <= margins[told, k]).all(), (seed, k)
            seen += int(told.sum())
            used = told & (margins[:, k] > 0.0)
            largest = max([largest, *(apart[used] / margins[used, k]).tolist()])
    assert seen > 300
    assert 0.0 < largest <= 1.0


# ---------------------------------------------------------------------- how often it is in doubt

TASKS: dict[str, tuple[list[int], Callable[..., Any], str]] = {
    "mse": ([4, 16, 16, 1], lambda z, y: mse(z, [y]), "real"),
    "mae": ([4, 16, 1], lambda z, y: mae(z, [y]), "real"),
    "hinge": ([4, 16, 16, 1], lambda z, y: hinge(z, [y]), "signs"),
    "hinge of classes": ([4, 16, 1], lambda z, y: hinge(z, [y]), "classes"),
    "binary": ([4, 16, 1], lambda z, y: binary_crossentropy(z, [y], from_logits=True), "classes"),
    "binary, smoothed": ([4, 16, 1], lambda z, y: binary_crossentropy(
        z, [y], from_logits=True, label_smoothing=0.1), "classes"),
    "binary, of probabilities": ([4, 16, 1], lambda z, y: binary_crossentropy(
        [z[0].sigmoid()], [y]), "classes"),
    "one-hot": ([4, 16, 3], lambda z, y: categorical_crossentropy(
        [z], [y], from_logits=True), "one-hot"),
    "sparse": ([4, 16, 3], lambda z, y: sparse_categorical_crossentropy(
        [z], [y], from_logits=True), "index"),
}  # fmt: skip


@pytest.mark.parametrize("start", ["random", "zero"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.traced(every=6)
def test_ordinary_training_is_never_in_doubt(
    task: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, loss, kind = TASKS[task]
    model = MLP(sizes, "relu", seed=1)
    if start == "zero":
        for p in model.parameters():
            p.data = 0.0
    compiled = autograd.compile(lambda x, y: loss(model(x), y), engine="numpy", reduction="mean")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    x[::7] = 0.0  # blank samples, and a feature that is always 0
    x[:, 3] = 0.0
    x[1::5, 1] = 1.0
    chosen = rng.integers(0, max(sizes[-1], 2), 300)
    y = {
        "real": x[:, 0] * 0.3, "signs": 2.0 * chosen - 1.0, "classes": chosen * 1.0,
        "one-hot": np.eye(max(sizes[-1], 2))[chosen], "index": chosen,
    }[kind]  # fmt: skip
    monkeypatch.setattr(Recording, "run_eagerly", None)  # nothing is replayed
    with compiled.flat(model.parameters()) as flat:
        for _ in range(3):
            flat.backward(x, y)
            flat.numbers -= 0.05 * flat.gradients


@pytest.mark.untraced
def test_a_gpt_is_not_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MicroGPT(seed=0)
    compiled = autograd.compile(lambda t: model.loss(t), engine="numpy", reduction="mean")
    monkeypatch.setattr(Recording, "run_eagerly", None)
    flat, rng = compiled.flat(model.parameters()), random.Random(0)
    tokens = np.array([encode("".join(rng.choices("abcdefgh", k=4))) for _ in range(8)])
    flat.backward(tokens)
    flat.backward(tokens[:1])


def test_runs_of_numbers() -> None:
    assert rounding.runs([]).tolist() == []
    assert rounding.runs([0]).tolist() == [[0, 1]]
    assert rounding.runs([2, 3, 4, 7, 9, 10]).tolist() == [[2, 3], [7, 1], [9, 2]]
