"""Compiled functions in float32: values within bounds, and never another branch than eager."""

import importlib.util
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import autograd
from autograd import Value, argmax, replaced, rows, select
from autograd.compiled.continuity import leaps
from autograd.compiled.engines import engine
from autograd.compiled.native import kernels, limits
from autograd.compiled.native.engine import NativeEngine
from autograd.compiled.precision import SINGLE
from autograd.compiled.program import Program
from autograd.compiled.recording import Recording
from autograd.compiled.selection import masked
from autograd.compiled.traced import ReplayError
from autograd.distributed.driver import Rows
from nn import MLP, fit, logsumexp, mse, softmax
from nn.microgpt import MicroGPT, encode
from nn.optim import SGD
from nn.training.replay import Replay
from tests.benchmarks.accuracy import worst_compiled
from tests.test_native import FAR, raw
from tests.test_rounding import TASKS

UNIT = 2.0**-24


def compiled(f: Callable[..., Any], **options: Any) -> Any:
    return autograd.compile(f, dtype="float32", **options)


# ---------------------------------------------------------------------- values


@pytest.mark.parametrize("name", rows())
def test_values_are_right_to_2_ulp_and_derivatives_to_4(name: str) -> None:
    value, *slopes = worst_compiled(name, 12, "float32")
    assert value <= 2.0
    assert max(slopes) <= 4.0


ENDS = [0.0, 1e-45, 1e-39, 1e-30, 2.0**-25, 0.5, 1.0, 88.7, 89.0, 103.9, 104.5, 1e30, math.inf]


@pytest.mark.parametrize("name", [*sorted(FAR), "log", "log1p"])
def test_functions_have_the_ends_of_the_rows(name: str) -> None:
    op = rows()[name]
    one = autograd.compile(lambda x: op(x), engine="numpy")
    one(0.5)
    points = [float(np.float32(sign * x)) for x in ENDS for sign in (1, -1)] + [math.nan]
    z, _ = raw(NativeEngine(one.program, SINGLE), [(x,) for x in points])
    for x, found in zip(points, z.tolist(), strict=True):
        wanted = op.value(x)
        with np.errstate(over="ignore"):
            wanted = float(np.float32(wanted))
        assert found == pytest.approx(wanted, rel=1.5e-7, abs=1.5e-45, nan_ok=True), x


def network(x: Any) -> Any:
    return softmax(MODEL(x))[0] + x[0].exp() / (x[1] * x[1] + 1.0)


MODEL = MLP([3, 9, 2], "tanh", seed=0)
BOTH = compiled(network), autograd.compile(network)
X = np.random.default_rng(0).normal(size=(150, 3))


@pytest.mark.parametrize("samples", [1, 2, 17, 40, 100])
def test_samples_have_the_same_bits_whatever_their_neighbours(samples: int) -> None:
    f, exact = BOTH
    value, slopes = f.value_and_grad(X)
    found, slopes_found = f.value_and_grad(X[20 : 20 + samples])
    if samples > 1:
        assert np.array_equal(found, value[20 : 20 + samples])
        assert np.array_equal(slopes_found, slopes[20 : 20 + samples])
    wanted, slopes_wanted = exact.value_and_grad(X[20 : 20 + samples])
    assert 0.0 < abs(found - wanted).max() <= 40 * UNIT
    assert abs(slopes_found - slopes_wanted).max() <= 200 * UNIT
    ours, theirs = (g.parameter_gradients(X[:samples])[1] for g in (f, exact))
    assert 0.0 < abs(ours - theirs).max() <= 200 * UNIT * samples


def test_gradients_of_chunks_are_added_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "CHUNK", 1)
    w, x = Value(1.0), np.ones(64 * 1000)
    x[0] = 2.0**24
    found = []
    for threads in (1, 2):
        f = compiled(lambda x: w * x, threads=threads)
        found.append(f.parameter_gradients(x)[1].tolist())
    # In single precision, 2^24 + 1 is 2^24.
    assert found == [[pytest.approx(2.0**24 + len(x) - 1, abs=64)]] * 2


# ---------------------------------------------------------------------- branches and jumps

TINY = [1e-50, -1e-50, 5e-324, 0.0, -0.0, 1e-46, 1e-30]
CLOSE = [
    1.0, 1.0 + 1e-9, 1.0 - 1e-9, 1.0 + 2.0**-23, 2.0**-25, 0.1, float(np.float32(0.1)), 3.0,
    16777216.0, 16777217.0, 1e39,
]  # fmt: skip
HUGE = [1e39, 2e39, -1e39, 1e300, math.inf, -math.inf, 3e38]
W = Value(0.1)
SMALL = Value(1e-50)
HOSTILE: dict[str, tuple[Callable[..., Any], list[float]]] = {
    "above 0": (lambda x: 1.0 if x > 0 else 2.0, TINY),
    "a constant": (lambda x: 1.0 if x >= 0.1 else 2.0, CLOSE),
    "a parameter": (lambda x: 1.0 if x > W else 2.0, [*CLOSE, 0.1 + 1e-17]),
    "a tiny parameter": (lambda x: 1.0 if x < SMALL else 2.0, TINY),
    "two inputs": (lambda x, y: 1.0 if x > y else 2.0, [*CLOSE, *HUGE]),
    "equal": (lambda x, y: 1.0 if x == y else 2.0, [*CLOSE, *TINY]),
    "a sum": (lambda x, y: 1.0 if x + y > 1.0 else 2.0, [*CLOSE, *TINY, 1e-9]),
    "a product": (lambda x, y: 1.0 if x * y > 0.0 else 2.0, [*TINY, 1e-30, -1e-30]),
    "squares": (lambda x, y: 1.0 if x * x >= y * y else 2.0, [1e30, 1e30 + 1e15, 3e38, 1e-30]),
    "a difference of products": (lambda x, y: 1.0 if 3.0 * x - 3.0 * y > 0 else 2.0, CLOSE),
    "a quotient": (lambda x, y: 1.0 if x / y > 1.0 else 2.0, [*CLOSE, 1e-39]),
    "a product and a number": (lambda x, y: 1.0 if x * y > 1.0 + 2.0**-22 else 2.0, CLOSE),
    "a quotient and a number": (lambda x, y: 1.0 if x / y >= 0.3333333432674408 else 2.0, CLOSE),
    "what is finite": (lambda x: 1.0 if x * x <= 1.7976931348623157e308 else 2.0, HUGE),
    "what is not infinite": (lambda x: 1.0 if -math.inf < x * x < math.inf else 2.0, HUGE),
    "a function and a number": (lambda x: 1.0 if x.exp() >= 2.7182817459106445 else 2.0, CLOSE),
    "an exponential": (lambda x: 1.0 if (-x).exp() > 0.0 else 2.0, [100.0, 200.0, 744.0, 800.0]),
    "a relu": (lambda x: 1.0 if (x - 1.0).relu() > 0.0 else 2.0, CLOSE),
    "a logarithm": (lambda x, y: 1.0 if (x - y).log() > -50.0 else 2.0, CLOSE),
    "a root": (lambda x, y: 1.0 if (x - y).sqrt() >= 0.0 else 2.0, CLOSE),
    "nan": (lambda x, y: 1.0 if x - y == x - y else 2.0, HUGE),
    "a sign": (lambda x, y: (x - y).sign(), [*CLOSE, *TINY]),
    "a sign of an input": (lambda x: x.sign(), TINY),
    "a floor": (lambda x: x.floor(), CLOSE[:-1]),
    "a floor of a quotient": (lambda x, y: x // y, [0.3, 0.1, 0.2, 0.7, 1.0, 3.0]),
    "a rounded number": (lambda x: x.round(), [0.5, 0.5 + 1e-10, 1.5 - 1e-10, 2.5]),
    "an angle": (lambda x, y: (x - y).atan2(-1.0).sign(), [*CLOSE[:5], 0.0]),
    "an index": (lambda x, y: argmax([x, y, 1.0 + x - x]) * 1.0, CLOSE),
    "a choice": (lambda x, y: select([1.0 * x, 5.0 * y], argmax([x, y])).sign(), CLOSE),
    "a choice among others": (lambda x, y: select([2.0, 5.0], argmax([x, y])), CLOSE),
    "a largest number": (lambda x, y: 1.0 if x.maximum(y) > 1.0 else 2.0, CLOSE),
    "a whole number": (lambda x: 1.0 if x * 1.0 == 16777217.0 else 2.0, CLOSE),
}


def number(z: Any) -> float:
    return z.data if isinstance(z, Value) else float(z)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_branch_or_jump_is_another_than_the_eager_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_EARLIEST", 1)  # later calls are checked by limits
    f, some = HOSTILE[name]
    arity = f.__code__.co_argcount
    points = [*itertools.product(some, repeat=arity)]
    wanted = [number(f(*map(Value, point))) for point in points]
    one = compiled(f)
    for _ in range(3):
        assert np.array_equal(np.ravel(one(*np.array(points).T)), wanted, equal_nan=True)
    for point, z in list(zip(points, wanted, strict=True))[:12]:
        assert np.array_equal([number(one(*point))], [z], equal_nan=True), point


def test_a_whole_number_beyond_single_precision_takes_its_own_branch() -> None:
    f = compiled(lambda i, x: x * 2.0 if i == 16777216 else x)
    assert [f(i, 1.5) for i in (16777216, 16777217, 16777215, 16777216)] == [3.0, 1.5, 1.5, 3.0]


def test_an_overflow_decides_nothing_and_records_nothing() -> None:
    def f(x: Any, y: Any) -> Any:
        total = x - y
        return total if total == total else 0.0

    one = compiled(f)
    found = [number(one(*point)) for point in ((1.0, 2.0), (1e39, 3e39), (2e39, 2e39))]
    assert found == pytest.approx([-1.0, -2e39, 0.0], rel=1e-15)
    assert one.recorded == 1
    assert number(one(math.inf, math.inf)) == 0.0
    assert one.recorded == 2


def test_what_is_an_input_is_returned_as_it_was() -> None:
    w = Value(0.1)
    one = compiled(lambda i, x: (i, x, w, x * 1.0))
    with autograd.no_grad():
        assert one(16777217, 0.1)[:3] == (16777217, 0.1, 0.1)
        assert one(16777217, 0.1)[3] == float(np.float32(0.1))
        columns = one(np.array([16777217, 3]), np.array([0.1, 1e-300]))
    assert [column.tolist() for column in columns[:3]] == [[16777217, 3], [0.1, 1e-300], [0.1, 0.1]]


def test_doubtful_rows_are_computed_in_float64_and_leave_the_others() -> None:
    w = Value(0.7)

    def f(x: Any) -> Any:
        return w * x[0].exp() if 0.1 * x[0] + 0.7 * x[1] > 0.0 else w * w * x[1]

    x = np.random.default_rng(1).normal(size=(40, 2))
    one, exact = compiled(f), autograd.compile(f, exact=True)
    value, slopes = one.value_and_grad(x)
    close = x.copy()
    close[::5, 1] = -close[::5, 0] / 7.0 * (1.0 + 1e-9)
    found, slopes_found = one.value_and_grad(close)
    wanted, slopes_wanted = exact.value_and_grad(close)
    apart = np.arange(40) % 5 > 0
    assert np.array_equal(found[apart], value[apart])
    assert np.array_equal(slopes_found[apart], slopes[apart])
    assert np.allclose(found[~apart], wanted[~apart], rtol=1e-13)
    assert np.allclose(slopes_found[~apart], slopes_wanted[~apart], rtol=1e-13)
    ours, theirs = (g.parameter_gradients(close)[1] for g in (one, exact))
    assert np.allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_rows_that_overflow_are_computed_in_float64(batch: int) -> None:
    w = Value(2.0)
    f = compiled(lambda x: w * x * x)
    x = np.array([1e30, 3.0, 0.1])[:batch]
    value, slopes = f.value_and_grad(x)
    assert value[0] == pytest.approx(2e60, rel=1e-15)
    assert slopes[0] == pytest.approx(4e30, rel=1e-15)
    assert f.parameter_gradients(x)[1].tolist() == pytest.approx([1e60])
    # The value fits, but the gradient does not.
    g = compiled(lambda x: (w * 1e-30) * x)
    assert g.parameter_gradients(np.array([1e30] * batch))[1] == pytest.approx([batch], rel=1e-6)
    many = np.full(40, 1e38)
    assert compiled(lambda x: w * x).parameter_gradients(many)[1] == pytest.approx([4e39])


# ---------------------------------------------------------------------- what decides

LIST = [Value(0.3), Value(0.1), Value(0.7)]
INDICES: dict[str, tuple[Callable[..., Any], bool]] = {
    "a maximum": (lambda x: select(x, argmax(x)), False),
    "a maximum and more": (lambda x: select(x, argmax(x)).tanh() * x[0], False),
    "a function of the maximum": (lambda x: select([v.exp() for v in x], argmax(x)), False),
    "log-sum-exp": (logsumexp, False),
    "softmax": (lambda x: softmax(x)[1], False),
    "the index": (lambda x: argmax(x) * 1.0, True),
    "the index in a sum": (lambda x: x[0] + argmax(x), True),
    "the index in a guard": (lambda x: x[0] if argmax(x) > 0 else x[1], True),
    "another list": (lambda x: select(LIST, argmax(x)), True),
    "other functions of the list": (
        lambda x: select([x[0], x[1] * 2.0, x[2]], argmax(x)), True),
    "functions of different kinds": (
        lambda x: select([x[0].exp(), x[1].tanh(), x[2].exp()], argmax(x)), True),
    "a shorter list": (lambda x: select(x[:2], argmax(x[:2])) + argmax(x), True),
    "the others, with weights": (lambda x: sum(
        (w * v for w, v in zip((1.0, 2.0, 3.0), replaced(x, argmax(x), 0.0), strict=True)), 0.0),
        True),
    "some of the others": (lambda x: sum(replaced(x, argmax(x), 0.0)[:2], 0.0), True),
    "choices of the list": (
        lambda x: select([select([v, 1.0], argmax(x[:2])) for v in x], argmax(x)), True),
    "the others, less a weight": (
        lambda x: sum(replaced([v - W for v in x], argmax(x), 0.0), 0.0), False),
    "without one, twice": (lambda x: sum(replaced(
        [v.exp() for v in replaced(x, argmax(x), 2.0)], argmax(x), 0.0), 0.0), True),
    "without one, at another place": (lambda x: sum(replaced(
        [masked(v, argmax(x), (k + 1) % 3, 0.0) for k, v in enumerate(x)], argmax(x), 0.0), 0.0),
        True),
    "the others": (lambda x: sum(replaced(x, argmax(x), 0.0), 0.0), False),
    "one of the others": (lambda x: replaced(x, argmax(x), 0.0)[0].exp(), True),
    "others of another list": (
        lambda x: sum(replaced([x[0], x[1] * 2.0, x[2]], argmax(x), 0.0), 0.0), True),
}  # fmt: skip


@pytest.mark.parametrize("name", INDICES)
def test_an_index_decides_unless_it_only_finds_a_maximum(name: str) -> None:
    f, decides = INDICES[name]
    one = autograd.compile(lambda x: f([v * 1.5 for v in x]), engine="numpy")
    one([0.2, 0.5, 0.1])
    cone = one.program.cone_in(SINGLE)
    assert (len(cone.steps) > 0) is decides


@pytest.mark.parametrize("name", rows())
def test_rows_leap_where_their_values_jump(name: str) -> None:
    jumping = {"atan2", "sign", "fmod", "round", "floor", "ceil", "mod", "floordiv"}
    assert leaps(rows()[name]) is (name in jumping)


@pytest.mark.parametrize("task", TASKS)
def test_ordinary_training_stays_in_single_precision(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, loss, kind = TASKS[task]
    model, rng = MLP(sizes, "relu", seed=1), np.random.default_rng(0)
    x, chosen = rng.normal(size=(40, 4)), rng.integers(0, max(sizes[-1], 2), 40)
    x[::7] = 0.0
    y = {
        "real": x[:, 0] * 0.3, "signs": 2.0 * chosen - 1.0, "classes": chosen * 1.0,
        "one-hot": np.eye(max(sizes[-1], 2))[chosen], "index": chosen,
    }[kind]  # fmt: skip
    monkeypatch.setattr(Recording, "precise", None)
    flat_one = compiled(lambda x, y: loss(model(x), y), reduction="mean").flat(model.parameters())
    flat_one.backward(x, y)
    flat_one.backward(x[:1], y[:1])


def test_a_gpt_stays_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = MicroGPT(seed=0), np.array([encode("ab"), encode("cd")])
    monkeypatch.setattr(Recording, "precise", None)
    f = compiled(model.loss, reduction="mean")
    loss, slopes = f.parameter_gradients(x)
    wanted, slopes_wanted = autograd.compile(model.loss, reduction="mean").parameter_gradients(x)
    assert 0.0 < abs(loss - wanted) < 1e-6
    assert 0.0 < abs(slopes - slopes_wanted).max() < 1e-6


# ---------------------------------------------------------------------- with everything else


def test_calls_are_nodes_of_a_graph_to_every_order() -> None:
    w = Value(0.7)
    f = compiled(lambda x: (w * x).tanh() * x)

    def outer(g: Callable[..., Any]) -> list[float]:
        def cube(x: Any) -> Any:
            return g(x) ** 3

        def second(x: Any) -> Any:
            return autograd.grad(cube)(x)

        x = Value(0.5)
        tangent = autograd.jvp(cube, (x,), (1.0,))[1]
        return [*map(number, (cube(0.5), second(0.5), autograd.grad(second)(0.5), tangent))]

    assert outer(f) == pytest.approx(outer(f.function), rel=1e-5)
    assert outer(f) != outer(f.function)


def test_every_method_computes_in_single_precision() -> None:
    w = [Value(0.7), Value(-0.3)]

    def f(x: Any) -> Any:
        return (w[0] * x[0] + w[1] * x[1]).sin() * w[0]

    x = np.random.default_rng(0).normal(size=(5, 2))
    one, exact = compiled(f), autograd.compile(f)
    for name, arguments in {
        "value_and_grad": (x,), "parameter_gradients": (x,), "per_sample_gradients": (x,),
        "hvp": ([1.0, 2.0], x), "claims": ([x], w),
    }.items():  # fmt: skip
        found, wanted = (np.hstack([*map(np.ravel, flat(getattr(g, name)(*arguments)))])
                         for g in (one, exact))  # fmt: skip
        assert found.dtype == np.float64
        assert not np.array_equal(found, wanted), name
        assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6), name
    with one.flat(w) as flat_one:
        assert flat_one.backward(x) == pytest.approx(exact(x), rel=1e-5)
        assert flat_one.gradients.dtype == np.float64


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def test_master_weights_stay_in_float64() -> None:
    w = Value(1.0)
    with compiled(lambda x: w * x).flat([w]) as one:
        for _ in range(10):
            one.backward(np.array([1.0]))
            one.numbers -= 1e-9 * one.gradients
    assert w.data == pytest.approx(1.0 - 1e-8, abs=1e-15)


def test_verify_allows_for_rounding_and_sees_what_is_wrong() -> None:
    secret = [[2.0]]
    f = compiled(lambda x: x.exp() * secret[0][0], verify=1)
    x = np.linspace(-2.0, 2.0, 9)
    assert np.allclose(f(x), 2.0 * np.exp(x), rtol=1e-6)
    holder: Any = type("Holder", (), {"inner": type("Inner", (), {"factor": 2.0})()})()
    g = compiled(lambda x: x * holder.inner.factor, verify=1)
    g(1.0)
    holder.inner.factor = 2.1
    with pytest.raises(ReplayError, match="compiled, the result"):
        g(1.0)


def test_a_checker_allows_for_rounding_and_sees_what_is_wrong() -> None:
    f = compiled(lambda x: (W * x[0] + x[1]).sin() * x[1])
    assert autograd.check_gradients(f, [0.3, 0.4])
    claims = f.claims
    f.claims = lambda inputs, parameters: [1.001 * slope for slope in claims(inputs, parameters)]
    assert not autograd.check_gradients(f, [0.3, 0.4])


def test_a_loaded_program_runs_in_single_precision() -> None:
    f = autograd.compile(lambda x: x.exp(), engine="numpy")
    f(0.3)
    program = Program.from_bytes(f.program.to_bytes())
    one = Recording(program, [], 0, "native", precision=SINGLE)
    x = np.array([[0.3], [0.1]])
    run = one.run(np.zeros(0), one.own_runs, x, None, np.zeros(0))
    assert run.out.ravel().tolist() == pytest.approx(np.exp(x).ravel().tolist(), rel=2e-7)
    assert run.out[0, 0] == float(np.float32(run.out[0, 0]))


def test_fit_trains_in_single_precision() -> None:
    ends = []
    for dtype in ("float64", "float32"):
        model = MLP([1, 4, 1], "relu", seed=0)
        replay = Replay(model, lambda z, y: mse([a for (a,) in z], y), model.parameters(), dtype)
        data = [[0.0], [0.5], [1.0]], [1.0, 2.0, 3.0]
        fit(model, data, loss=replay._loss, optimizer=SGD(model, lr=0.1), epochs=20,
            compiled=replay)  # fmt: skip
        ends.append([p.data for p in model.parameters()])
    assert ends[0] != ends[1]
    assert ends[1] == pytest.approx(ends[0], abs=1e-5)


def test_rows_of_files_are_computed_in_single_precision(tmp_path: Path) -> None:
    path, w = str(tmp_path / "x.npy"), [Value(0.7)]
    np.save(path, np.random.default_rng(0).normal(size=50))
    found = []
    for dtype in ("float64", "float32"):
        f = autograd.compile(lambda x: (w[0] * x).tanh(), dtype=dtype)
        w[0].grad = 0.0
        found.append([Rows(f, path, w).backward(), w[0].grad])
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("dtype", ["float16", "f4", float, None, 32, np.int32, np.dtype("f2")])
def test_another_type_is_refused_by_name(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32', got"):
        autograd.compile(lambda x: x, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_a_type_has_a_name_and_is_numpys(dtype: Any) -> None:
    assert autograd.compile(lambda x: x, dtype=dtype).options.precision is SINGLE


def test_nothing_computes_in_float64_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="engine='numpy' computes in float64 only"):
        compiled(lambda x: x, engine="numpy")
    with pytest.raises(ValueError, match="exact=True gives the eager bits"):
        compiled(lambda x: x, exact=True)
    one = autograd.compile(lambda x: x, engine="numpy")
    one(1.0)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("auto", "native"):
        with pytest.raises(ModuleNotFoundError, match=r"needs native code: pip install"):
            compiled(lambda x: x, engine=name)
        with pytest.raises(ModuleNotFoundError, match=r"needs native code: pip install"):
            engine(one.program, name, SINGLE)
