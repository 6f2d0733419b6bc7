"""Any gradient of any function: what passes, what fails, and what is refused."""

import ctypes
import ctypes.util
import functools
import math
import random
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from autograd import (
    Value,
    Verdict,
    assert_gradients,
    check_gradients,
    finite_differences,
    grad,
    tanh,
)
from autograd.check.noise import noise
from autograd.check.trees import Inputs
from autograd.nestings import mapped
from tests.black_boxes import float32, scaled

F = Callable[..., Any]
rng = np.random.default_rng(0)
WEIGHTS, BIAS, SAMPLE = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=2)
LIBM = ctypes.CDLL(ctypes.util.find_library("m"))
LIBM.erf.restype, LIBM.erf.argtypes = ctypes.c_double, [ctypes.c_double]


def layer(w: Any, x: Any, b: Any) -> Any:
    return np.tanh(w @ x + b)


def loss(w: Any, x: Any, b: Any) -> Any:
    return np.square(layer(w, x, b) - 0.5).sum()


def backward(w: Any, x: Any, b: Any) -> Any:
    """The gradient of the loss, by hand."""
    z = layer(w, x, b)
    dz = 2 * (z - 0.5) * (1 - z * z)
    return np.outer(dz, x), w.T @ dz, dz


class Pair(NamedTuple):
    """A nesting whose parts have names."""

    w: float
    b: float


def in_place(x: Any) -> Any:
    x *= x
    return x.sum()


def at_read_only(x: Any) -> Any:
    x = x.copy()
    x.setflags(write=False)
    return x


RIGHT: dict[str, tuple[F, tuple[Any, ...], Any]] = {
    "a number": (math.sin, (0.7,), math.cos),
    "two numbers": (lambda x, y: x / y, (0.7, -3.0), lambda x, y: (1 / y, -x / y**2)),
    "an array of partials": (lambda x, y: x * y, (2.0, 3.0), lambda x, y: np.array([y, x])),
    "lists of lists": (
        lambda m: m[0][0] * m[1][1] - m[0][1] * m[1][0],
        ([[1.0, 2.0], [3.0, 4.0]],),
        lambda m: [[m[1][1], -m[1][0]], [-m[0][1], m[0][0]]],
    ),
    "a list, an array of partials": (
        lambda x: x[0] * x[1] ** 2, ([2.0, 3.0],), lambda x: np.array([x[1] ** 2, 12.0])
    ),
    "a dict": (
        lambda p: p["w"] * p["x"][0] + p["b"],
        ({"w": 2.0, "x": [3.0, 5.0], "b": 7.0},),
        lambda p: {"b": 1.0, "w": p["x"][0], "x": [p["w"], 0.0]},
    ),
    "named parts": (lambda p: p.w * p.b, (Pair(2.0, 3.0),), lambda p: Pair(p.b, p.w)),
    "arrays in a list": (
        lambda xs: (xs[0] * xs[1]).sum(), ([SAMPLE, 2 * SAMPLE],), lambda xs: [xs[1], xs[0]]
    ),
    "a layer by hand": (loss, (WEIGHTS, SAMPLE, BIAS), backward),
    "numbers for the gradient": (loss, (WEIGHTS, SAMPLE, BIAS), backward(WEIGHTS, SAMPLE, BIAS)),
    "a Jacobian": (
        lambda x: np.tanh(WEIGHTS @ x),
        (SAMPLE,),
        lambda x: WEIGHTS * (1 - np.tanh(WEIGHTS @ x) ** 2)[:, None],
    ),
    "a Jacobian of lists": (
        lambda x: [x[0] * x[1], x[0]], ([2.0, 3.0],), lambda x: [[x[1], x[0]], [1.0, 0.0]]
    ),
    "a function of C": (
        LIBM.erf, (0.4,), lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x)
    ),
    "a closure with a keyword": (
        functools.partial(lambda x, scale: scale * x**3, scale=5.0), (2.0,), 60.0
    ),
    "made of Values": (lambda x: x.tanh() * x, (0.7,), grad(lambda x: x.tanh() * x)),
    "of the table": (lambda x: tanh(x), (Value(0.7),), 1 - math.tanh(0.7) ** 2),
    "an array without dimensions": (lambda x: x * x, (np.array(3.0),), lambda x: 2 * x),
    "a NumPy number": (lambda x: x * x, (np.float64(3.0),), lambda x: np.float64(2 * x)),
    "a strided array": (lambda x: (x**3).sum(), (np.arange(1.0, 9.0)[::3],), lambda x: 3 * x**2),
    "a transposed array": (lambda x: (x[0] ** 2).sum(), (WEIGHTS.T,),
                           lambda x: np.stack([2 * x[0], 0 * x[1]])),
    "a read-only array": (lambda x: (x * x).sum(), (at_read_only(SAMPLE),), lambda x: 2 * x),
    "a function that changes its inputs": (in_place, (SAMPLE,), lambda x: 2 * x),
    "float32": (
        lambda x: (x * x * x).sum(), (SAMPLE.astype(np.float32),), lambda x: 3 * x * x
    ),
    "an empty array beside others": (
        lambda x, y: x.sum() + y * y, (np.zeros((0, 3)), 2.0), lambda x, y: (x, 2 * y)
    ),
    "the smallest number": (lambda x: 2.0 * x, (5e-324,), 2.0),
    "a large number": (lambda x: x / 3.0, (1e300,), 1 / 3.0),
    "tiny numbers": (lambda x, y: x * y, (1e-150, 1e-100), lambda x, y: (y, x)),
    "where little is left of the domain": (math.log, (1e-300,), lambda x: 1 / x),
    "at the end of the domain": (lambda x: x * math.sqrt(x), (0.0,), 0.0),
    "a slope without end": (math.sqrt, (0.0,), math.inf),
    "the end of an arc": (math.acos, (-1.0,), -math.inf),
    "a minimum": (lambda x: 5.0 + (x - 2.0) ** 2, (2.0,), 0.0),
    "a constant": (lambda x: 5.0, (2.0,), 0.0),
    "zeros": (lambda x: math.exp(x[0]) * x[1], ([0.0, 0.0],), [0.0, 1.0]),
    "beside a kink": (lambda x: 3.0 * max(x - 1.0, 0.0), (1.0 + 1e-10,), 3.0),
    "a bump": (lambda x: math.tanh(1e4 * (x - 1.0)), (1.0,), 1e4),
}  # fmt: skip
WRONG: dict[str, Callable[[Any], Any]] = {
    "x2": lambda g: 2 * g,
    "-1": lambda g: -g,
    "+1 %": lambda g: 1.01 * g,
    "nan": lambda g: g + math.nan,
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name: str) -> None:
    f, inputs, gradient = RIGHT[name]
    report = check_gradients(f, *inputs, gradient=gradient)
    assert report.verdict is Verdict.PASS, str(report)


def _is_same(a: Any, b: Any) -> bool:
    return str(a) == str(b)  # inf and nan, too


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.untraced
def test_wrong_gradients_fail(name: str, how: str) -> None:
    f, inputs, gradient = RIGHT[name]
    if callable(gradient):
        here = Inputs(f, inputs)
        gradient = gradient(*here.copies(here.numbers))
    spoiled = mapped(lambda x: WRONG[how](np.asarray(x, float)) + 0.0, gradient)
    if _is_same(spoiled, mapped(lambda x: np.asarray(x, float) + 0.0, gradient)):
        return  # no factor changes 0 or infinity
    report = check_gradients(f, *inputs, gradient=spoiled)
    assert report.verdict is Verdict.FAIL, str(report)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.untraced
def test_no_size_of_the_inputs_is_too_small_or_too_large(seed: int) -> None:
    for case in scaled(seed, points=1):
        assert check_gradients(case.f, case.at, gradient=case.gradient).verdict is Verdict.PASS
        spoiled = [1.001 * g for g in case.gradient]
        rows = check_gradients(case.f, case.at, gradient=spoiled).rows
        assert {row.verdict for row in rows} == {Verdict.FAIL}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.untraced
def test_functions_in_float32_are_judged_by_their_own_noise(seed: int) -> None:
    for case in float32(seed, points=1):
        report = check_gradients(case.f, case.at, gradient=case.gradient)
        assert report.verdict is Verdict.PASS, str(report)
        for factor in (2.0, -1.0, 0.0):
            spoiled = [factor * g for g in case.gradient]
            rows = check_gradients(case.f, case.at, gradient=spoiled).rows
            assert {row.verdict for row in rows} == {Verdict.FAIL}


def test_a_report_says_what_it_could_not_see() -> None:
    x = SAMPLE.astype(np.float32)
    report = check_gradients(lambda x: np.exp(x).sum(), x, gradient=np.exp)
    assert report.verdict is Verdict.PASS
    assert all(row.note.startswith("checked only to within ") for row in report.rows)
    assert "of the slope" in report.rows[0].note
    rough = check_gradients(lambda x: round(x * x, 2), 1.3, gradient=2.6)
    assert rough.verdict is Verdict.INCONCLUSIVE
    assert rough.rows[0].note.startswith("checked only to within")


KINKS: dict[str, tuple[F, float, float, float]] = {
    "abs": (abs, 0.0, -1.0, 1.0),
    "max": (lambda x: max(x, 2.0), 2.0, 0.0, 1.0),
    "small": (lambda x: 5.0 + 1e-6 * max(x, 0.0), 0.0, 0.0, 1e-6),
    "float32": (lambda x: np.maximum(np.float32(x) - np.float32(1), np.float32(0)), 1.0, 0.0, 1.0),
    "jump": (lambda x: math.floor(x) + 2.0 * x, 1.0, 2.0, math.inf),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_is_called_one_and_a_gradient_outside_of_it_fails(name: str) -> None:
    f, x, low, high = KINKS[name]
    for claim in (low, high):
        (row,) = check_gradients(f, x, gradient=claim).rows
        assert row.verdict is Verdict.KINK, row
        assert "from the left" in row.note
    beyond = [low - (high - low or 1.0)] + [2 * high - low] * math.isfinite(high)
    for claim in beyond if math.isfinite(high) else [low - 1.0, math.nan]:
        assert check_gradients(f, x, gradient=claim).verdict is Verdict.FAIL


def test_a_kink_in_one_input_is_no_noise_in_the_others() -> None:
    report = check_gradients(lambda x: abs(x[0]) + x[1] ** 3, [0.0, 2.0], gradient=[0.5, 12.0])
    assert [row.verdict for row in report.rows] == [Verdict.KINK, Verdict.PASS]
    assert not check_gradients(lambda x: abs(x[0]) + x[1] ** 3, [0.0, 2.0], gradient=[0.5, 12.1])


def test_where_a_slope_has_no_end_only_infinity_passes() -> None:
    (row,) = check_gradients(math.sqrt, 0.0, gradient=3.0).rows
    assert row.verdict is Verdict.FAIL
    assert "grows without bound" in row.note
    assert check_gradients(math.sqrt, 0.0, gradient=-math.inf).verdict is Verdict.FAIL
    assert check_gradients(math.cbrt, 0.0, gradient=math.inf).verdict is Verdict.PASS
    assert check_gradients(math.cbrt, 0.0, gradient=1e300).verdict is Verdict.INCONCLUSIVE


def test_what_has_no_number_is_said() -> None:
    (row,) = check_gradients(lambda x: math.nan, 1.0, gradient=1.0).rows
    assert (row.verdict, row.note) == (Verdict.INCONCLUSIVE, "f is nan here")
    (row,) = check_gradients(lambda x: x, math.inf, gradient=1.0).rows
    assert (row.verdict, row.note) == (Verdict.INCONCLUSIVE, "the input is inf")

    def only_here(x: float) -> float:
        if x != 1.0:
            raise RuntimeError("singular matrix")
        return x

    (row,) = check_gradients(only_here, 1.0, gradient=1.0).rows
    assert row.verdict is Verdict.INCONCLUSIVE
    assert "near the inputs, f raised RuntimeError: singular matrix" in row.note


def test_a_usual_mistake_is_guessed() -> None:
    for factor, guess in ((2.0, "added twice?"), (0.5, "a use lost?"), (-1.0, "a sign?")):
        (row,) = check_gradients(math.sin, 0.7, gradient=factor * math.cos(0.7)).rows
        assert guess in row.note


CHANCE = random.Random(0)
REFUSED: dict[str, tuple[F, tuple[Any, ...], Any, str]] = {
    "integers": (lambda x: x, (3,), 1.0, "x is the whole number 3, .* write 3.0"),
    "bool": (lambda x: x, (True,), 1.0, "x is the whole number True"),
    "an array of integers": (lambda x: x.sum(), (np.arange(3),), np.ones(3), "an array of int64"),
    "an array of bools": (
        lambda x: x.sum(), (np.array([True]),), np.ones(1), "an array of bool"
    ),
    "complex inputs": (abs, (1j,), 1.0, "x is complex; check its real and its imaginary part"),
    "complex arrays": (
        lambda z: abs(z).sum(), (np.array([1j]),), 1.0, "z is complex"
    ),
    "complex results": (lambda x: x + 1j, (1.0,), 1.0, "the result of f is complex"),
    "text": (lambda x: x, ("1.0",), 1.0, "x: expected a real number, got str"),
    "no numbers": (lambda x: 1.0, (np.zeros((0, 3)),), np.zeros((0, 3)),
                   r"no number to move; x has shape \(0, 3\)"),
    "no inputs": (lambda: 1.0, (), 1.0, "no number to move"),
    "another shape": (
        loss, (WEIGHTS, SAMPLE, BIAS), lambda w, x, b: (w.T, x, b),
        r"the gradient in w has shape \(2, 3\), expected \(3, 2\)",
    ),
    "a Jacobian the other way round": (
        lambda x: WEIGHTS @ x, (SAMPLE,), WEIGHTS.T,
        r"has shape \(2, 3\), expected \(3, 2\): the shape of f's result, then",
    ),
    "a gradient too few": (
        loss, (WEIGHTS, SAMPLE, BIAS), lambda w, x, b: (w, x), "a tuple of 3, .* got tuple of 2"
    ),
    "one number for two": (lambda x, y: x * y, (1.0, 2.0), 3.0, "a tuple of 2, .* got float"),
    "other keys": (
        lambda p: p["a"], ({"a": [1.0], "b": {}},), {"a": [1.0]}, r"the keys \['a', 'b'\]"
    ),
    "other lengths": (
        lambda p: p[0] * p[1][0], ([1.0, [2.0]],), [1.0], "needs 2 parts"
    ),
    "a ragged result": (lambda x: [x, [x]], (1.0,), 1.0, "parts do not form an array"),
    "no result": (lambda x: None, (1.0,), 1.0, "the result of f: expected a real number"),
    "no gradient": (lambda x: x.sum(), (SAMPLE,), None, "do not record gradients: pass gradient="),
    "chance": (
        lambda x: x + CHANCE.random(), (1.0,), 1.0, "and then .* fix the seed"
    ),
    "an error here": (math.log, (-1.0,), 1.0, "domain|expected a positive input"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_checked_is_refused_with_its_reason(name: str) -> None:
    f, inputs, gradient, says = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=says):
        check_gradients(f, *inputs, gradient=gradient)


def test_options_of_recorded_functions_are_refused() -> None:
    for option in ({"order": 2}, {"parameters": [Value(1.0)]}):
        with pytest.raises(ValueError, match="need a function of Values"):
            check_gradients(math.sin, 1.0, gradient=math.cos, **option)


def test_state_that_shows_late_is_refused() -> None:
    calls: list[float] = []

    def drifting(x: float) -> float:
        calls.append(x)
        return x + (len(calls) > 20)

    with pytest.raises(ValueError, match=r"returned 1\.0 and then 2\.0 for the same inputs"):
        check_gradients(drifting, 1.0, gradient=1.0)


def test_the_callers_arrays_are_left_alone() -> None:
    x = SAMPLE.copy()
    assert_gradients(in_place, x, gradient=lambda x: np.multiply(x, 2, out=x))
    assert x.tolist() == SAMPLE.tolist()


def test_names_come_from_the_signature() -> None:
    report = check_gradients(loss, WEIGHTS, SAMPLE, BIAS, gradient=backward)
    names = [row.name for row in report.rows]
    assert names[0] == "w[0, 0]"
    assert names[-4:] == ["x[1]", "b[0]", "b[1]", "b[2]"]
    assert report.summary.startswith("11 inputs, one by one; f has noise of ")
    nested = check_gradients(
        lambda p: p["m"][1][0] * p["b"], {"m": [[1.0], [2.0]], "b": 3.0},
        gradient={"m": [[0.0], [3.0]], "b": 2.0},
    )  # fmt: skip
    assert [row.name for row in nested.rows] == ["p['m'][0][0]", "p['m'][1][0]", "p['b']"]
    (row,) = check_gradients(LIBM.erf, 0.0, gradient=2 / math.sqrt(math.pi)).rows
    assert row.name == "x0"


def test_a_small_jacobian_is_checked_entry_by_entry() -> None:
    rows = check_gradients(lambda x: WEIGHTS @ x, SAMPLE, gradient=WEIGHTS).rows
    assert [row.name for row in rows][:3] == ["df[0]/dx[0]", "df[1]/dx[0]", "df[2]/dx[0]"]
    wrong = WEIGHTS.copy()
    wrong[2, 1] *= 1.001
    rows = check_gradients(lambda x: WEIGHTS @ x, SAMPLE, gradient=wrong).rows
    assert [row.name for row in rows if row.verdict is Verdict.FAIL] == ["df[2]/dx[1]"]


def test_a_large_jacobian_is_checked_in_sums_with_random_weights() -> None:
    matrix = rng.normal(size=(100, 20))
    x = rng.normal(size=20)
    report = check_gradients(lambda x: matrix @ x, x, gradient=matrix)
    assert report.verdict is Verdict.PASS
    assert "100 results, in 2 sums with random weights" in report.summary
    wrong = matrix.copy()
    wrong[17, 3] *= 1.5
    rows = check_gradients(lambda x: matrix @ x, x, gradient=wrong).rows
    assert {row.name for row in rows if row.verdict is Verdict.FAIL} == {
        "d sum 0/dx[3]",
        "d sum 1/dx[3]",
    }


def test_many_numbers_move_together_and_wrong_ones_are_named() -> None:
    w, x, b = rng.normal(size=(40, 50)) / 7, rng.normal(size=50), rng.normal(size=40)
    report = check_gradients(loss, w, x, b, gradient=backward)
    assert report.verdict is Verdict.PASS
    assert [row.name for row in report.rows] == ["w", "x", "b"]
    assert report.summary.startswith("2090 inputs, along 4 random directions of each array")

    def spoiled(w: Any, x: Any, b: Any) -> Any:
        dw, dx, db = backward(w, x, b)
        dw[17, 3] *= 2.0
        dx[7] = 0.0
        return dw, dx, db

    report = check_gradients(loss, w, x, b, gradient=spoiled)
    failed = [row.name for row in report.rows if row.verdict is Verdict.FAIL]
    assert failed == ["w", "w[17, 3]", "x", "x[7]"]
    report = check_gradients(loss, w, x, b, gradient=backward, sample=5)
    assert len(report.rows) == 5
    assert "one by one" in report.summary


def test_many_arrays_move_as_one() -> None:
    many = [np.array([float(i), 1.0, 2.0, 3.0]) for i in range(60)]
    report = check_gradients(
        lambda xs: sum((x * x).sum() for x in xs), many, gradient=lambda xs: [2 * x for x in xs]
    )
    assert [row.name for row in report.rows] == ["all inputs"]
    assert report


def test_a_number_too_small_to_matter_is_no_reason_to_doubt_the_others() -> None:
    report = check_gradients(
        lambda x: x[0] * x[0] + math.tanh(x[1]), [3.0, 18.0],
        gradient=lambda x: [2 * x[0], 1 - math.tanh(x[1]) ** 2],
    )  # fmt: skip
    assert [row.verdict for row in report.rows] == [Verdict.PASS, Verdict.PASS]
    assert report.rows[1].note.startswith("checked only to within")
    alone = check_gradients(math.tanh, 18.0, gradient=1 - math.tanh(18.0) ** 2)
    assert alone.verdict is Verdict.INCONCLUSIVE


def test_noise_is_measured() -> None:
    wave = functools.cache(lambda t: random.Random(t).gauss(0.0, 1e-6))
    assert 3e-7 < noise(lambda t: math.exp(t) + wave(t), 1.0) < 3e-6
    assert noise(lambda t: abs(t), 1.0) < 1e-12  # a kink is no noise
    assert noise(lambda t: float(np.float32(1.0 + t)), 1.0) < 1e-7


def test_assertions_show_the_report() -> None:
    with pytest.raises(AssertionError, match=r"gradients are FAIL\n(?s:.*)w\[0, 0\]"):
        assert_gradients(
            loss, WEIGHTS, SAMPLE, BIAS, gradient=lambda *xs: (*backward(*xs)[:2], BIAS)
        )
    assert_gradients(loss, WEIGHTS, SAMPLE, BIAS, gradient=backward)


def test_differences_take_and_give_arrays_and_trees() -> None:
    (found,) = finite_differences(lambda x: (x**3).sum(), SAMPLE)
    np.testing.assert_allclose(found, 3 * SAMPLE**2, rtol=1e-8)
    (found,) = finite_differences(lambda x: np.tanh(WEIGHTS @ x), SAMPLE)
    right = WEIGHTS * (1 - np.tanh(WEIGHTS @ SAMPLE) ** 2)[:, None]
    np.testing.assert_allclose(found, right, rtol=1e-7)
    (found,) = finite_differences(lambda p: p["w"] @ p["x"], {"w": SAMPLE, "x": SAMPLE})
    assert set(found) == {"w", "x"}
    (found,) = finite_differences(lambda x: [x[0] * x[1], x[0]], [2.0, 3.0])
    assert found == [[pytest.approx(3.0), pytest.approx(2.0)], [pytest.approx(1.0), 0.0]]
    (found,) = finite_differences(lambda x: np.array([x, x * x]), 2.0)
    np.testing.assert_allclose(found, [1.0, 4.0], rtol=1e-9)
    (found,) = finite_differences(lambda x: x.sum(), SAMPLE.astype(np.float32), step=0.25)
    assert found.dtype == np.float32


@pytest.mark.parametrize("step", [1e-5, 1e-3, None])
def test_differences_know_their_errors(step: float | None) -> None:
    slopes, errors = finite_differences(
        lambda x, y: np.sin(x).sum() * y, SAMPLE, 3.0, step=step, errors=True
    )
    right = 3.0 * np.cos(SAMPLE), np.sin(SAMPLE).sum()
    for slope, error, exact in zip(slopes, errors, right, strict=True):
        assert np.all(np.abs(slope - exact) <= 4 * error)
        assert np.all(error < (1e-8 if step is None else 1e-4))


def test_differences_refuse_what_cannot_move() -> None:
    with pytest.raises(TypeError, match="x is an array of int64"):
        finite_differences(lambda x: x.sum(), np.arange(3))
    for step in (0.0, -1e-5, math.inf, math.nan):
        with pytest.raises(ValueError, match="step must be a finite number above 0"):
            finite_differences(math.sin, 1.0, step=step)
    with pytest.raises(ValueError, match=r"domain|expected"):
        finite_differences(math.sqrt, 0.0)
    for short in (np.float16, np.float32):
        with pytest.raises(ValueError, match=rf"too small for x, an array of {short.__name__}"):
            finite_differences(lambda x: x.sum(), np.array([300.0], short))
        assert finite_differences(lambda x: x * x, short(0.5)) == (pytest.approx(1.0),)
    assert finite_differences(math.sin, 0) == (pytest.approx(1.0),)


class Tensor:
    """As much of torch's Tensor as a check of its gradients takes, with a pullback by hand."""

    dtype = "torch.float64"

    def __init__(self, numbers: Any, pullback: F | None = None) -> None:
        self.numbers, self.pullback = np.asarray(numbers, float), pullback
        self.shape, self.requires_grad = self.numbers.shape, pullback is not None

    def tolist(self) -> Any:
        return self.numbers.tolist()

    def numel(self) -> int:
        return self.numbers.size

    def detach(self) -> "Tensor":
        return Tensor(self.numbers)

    def new_tensor(self, numbers: list[float]) -> "Tensor":
        return Tensor(numbers)

    def reshape(self, shape: Any) -> "Tensor":
        return Tensor(self.numbers.reshape(shape))

    def requires_grad_(self) -> "Tensor":
        self.requires_grad = True
        return self


def _torch_grad(results: Any, inputs: Any, weights: Any, allow_unused: bool) -> list[Any]:
    assert allow_unused
    grads: list[Any] = [None] * len(inputs)
    for result, weight in zip(results, weights, strict=True):
        for k, part in enumerate(result.pullback(weight.numbers)):
            grads[k] = part if grads[k] is None or part is None else grads[k] + part
    return [None if part is None else Tensor(part) for part in grads]


def cubed(factor: float) -> F:
    """x ** 3 and, beside it, y; with a derivative of factor * x ** 2."""

    def f(x: Any, y: Any) -> Any:
        return Tensor(x.numbers**3, lambda g: [g * factor * x.numbers**2, None])

    return f


@pytest.fixture
def torch_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(Tensor=Tensor, autograd=SimpleNamespace(grad=_torch_grad))
    monkeypatch.setitem(sys.modules, "torch", library)


@pytest.mark.usefixtures("torch_in_small")
def test_what_torch_computes_itself_is_checked() -> None:
    x, y = Tensor([[1.0, -2.0]]), Tensor([3.0])
    report = check_gradients(cubed(3.0), x, y)
    assert report.verdict is Verdict.PASS, str(report)
    assert [row.name for row in report.rows[-2:]] == ["df[0, 0]/dy[0]", "df[0, 1]/dy[0]"]
    failed = [
        row.name for row in check_gradients(cubed(2.0), x, y).rows if row.verdict is Verdict.FAIL
    ]
    assert failed == ["df[0, 0]/dx[0, 0]", "df[0, 1]/dx[0, 1]"]
    # What comes from no input, for torch, has a gradient of 0.
    assert not check_gradients(lambda x: Tensor(x.numbers * 2.0), x)
    assert check_gradients(lambda x: Tensor(5.0), Tensor(3.0))
    (found,) = finite_differences(lambda x: Tensor(x.numbers**2), Tensor([2.0]), step=None)
    assert found.numbers == pytest.approx(np.array([[4.0]]))
    with pytest.raises(TypeError, match="do not record gradients"):
        check_gradients(lambda x, y: x, x, 2.0)


class Array(np.ndarray):
    """An array that says that it is JAX's."""


def _array(numbers: Any, dtype: Any = float) -> Any:
    return np.array(numbers, dtype).view(Array)


@pytest.fixture
def jax_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def vjp(f: F, *inputs: Any) -> Any:
        return f(*inputs), lambda weights: f.pullback(weights, *inputs)  # type: ignore[attr-defined]

    library = SimpleNamespace(Array=Array, vjp=vjp, numpy=SimpleNamespace(array=_array))
    monkeypatch.setitem(sys.modules, "jax", library)
    monkeypatch.setattr("autograd.check.trees._ARRAYS", {"jax": "Array", "numpy": "ndarray"})


@pytest.mark.usefixtures("jax_in_small")
def test_what_jax_computes_itself_is_checked() -> None:
    def f(p: Any, x: Any) -> Any:
        return _array(p["w"] * x)

    f.pullback = lambda g, p, x: ({"b": 0 * g, "w": g * x}, g * p["w"])  # type: ignore[attr-defined]
    p, x = {"w": _array([1.0, 2.0]), "b": _array([5.0, 6.0])}, _array([3.0, 4.0])
    report = check_gradients(f, p, x)
    assert report.verdict is Verdict.PASS, str(report)
    assert report.rows[0].name == "df[0]/dp['w'][0]"
    f.pullback = lambda g, p, x: ({"b": 0 * g, "w": g * x}, g * x)  # type: ignore[attr-defined]
    assert check_gradients(f, p, x).verdict is Verdict.FAIL


def test_a_function_of_torch_is_checked_in_one_line() -> None:
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):  # type: ignore[misc, name-defined]
        factor = 3.0

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @classmethod
        def backward(cls, ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return cls.factor * x**2 * g

    for dtype in (torch.float32, torch.float64):
        x = torch.tensor([[1.0, -2.0, 0.5]], dtype=dtype)
        assert_gradients(Cube.apply, x)
        assert_gradients(
            lambda x: torch.tanh(x).sum(), x, gradient=lambda x: 1 - torch.tanh(x) ** 2
        )
    Cube.factor = 2.0
    assert check_gradients(Cube.apply, torch.tensor([1.0, -2.0])).verdict is Verdict.FAIL
    layer = torch.nn.Linear(3, 2)
    assert_gradients(
        lambda x, w, b: torch.nn.functional.linear(x, w, b).tanh(), x, *layer.double().parameters()
    )


def test_a_function_of_jax_is_checked_in_one_line() -> None:
    jax = pytest.importorskip("jax")
    x = jax.numpy.array([0.5, 1.0, 2.0])
    for factor, verdict in ((1.0, Verdict.PASS), (2.0, Verdict.FAIL)):
        f = jax.custom_vjp(jax.numpy.sin)
        f.defvjp(
            lambda x: (jax.numpy.sin(x), x),
            lambda x, g, factor=factor: (factor * g * jax.numpy.cos(x),),
        )
        assert check_gradients(f, x).verdict is verdict
    assert_gradients(lambda p: (p["b"] * p["a"]).sum(), {"b": x, "a": 2 * x})
    (found,) = finite_differences(lambda x: x * x, x, step=None)
    np.testing.assert_allclose(found, np.diag(2 * np.asarray(x)), atol=1e-4)


def test_numpy_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    x = [0.1 * (i + 1) for i in range(300)]
    report = check_gradients(
        lambda x: math.fsum(t**3 for t in x), x, gradient=[3 * t * t for t in x]
    )
    assert report.verdict is Verdict.PASS, str(report)
    assert "random directions" in report.summary
    assert check_gradients(lambda x: x[0] * x[1], [2.0, 3.0], gradient=[3.0, 2.0])


def test_an_error_of_the_function_itself_comes_out_as_it_is() -> None:
    with pytest.raises(AttributeError, match="no_such_method"):
        check_gradients(lambda x: x.no_such_method(), 1.0, gradient=1.0)


def test_a_result_of_another_shape_is_no_result() -> None:
    (row,) = check_gradients(lambda x: [x] * (1 + (x != 1.0)), 1.0, gradient=[1.0]).rows
    assert row.verdict is Verdict.INCONCLUSIVE
    assert "the result of f has shape (2,), but had (1,)" in row.note


def test_lists_of_arrays_are_arrays() -> None:
    x = np.array([0.5, 2.0])
    assert_gradients(lambda x: [x[0] * x[1], np.array(x[0])], x, gradient=[x[::-1], [1.0, 0.0]])
    assert_gradients(
        lambda xs: xs[0] * xs[1], [np.float64(2.0), np.float32(3.0)], gradient=[3.0, 2.0]
    )


def test_there_are_as_many_names_as_numbers() -> None:
    inputs = Inputs(lambda *xs: 0.0, (1.0, [2.0, 3.0]))
    assert [inputs.name(k) for k in range(3)] == ["xs[0]", "xs[1][0]", "xs[1][1]"]
    with pytest.raises(IndexError):
        inputs.name(3)
    assert Inputs(max, (1.0, 2.0)).name(1) == "x1"
    assert Inputs(lambda *args: 0.0, (1.0, 2.0)).name(1) == "x1"


def test_where_differences_show_nothing_nothing_is_said() -> None:
    wild = functools.cache(lambda t: random.Random(t).uniform(-1.0, 1.0))
    (row,) = check_gradients(wild, 1.0, gradient=1.0).rows
    assert row.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("gap", [0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5])
@pytest.mark.untraced
def test_the_sides_of_a_slight_kink_do_not_fail_for_the_noise(gap: float) -> None:
    for shift in (0.0, 0.3, 1.7):

        def f(x: float, shift: float = shift) -> Any:
            return np.float32(shift + x) + np.float32(gap) * np.maximum(np.float32(x), 0)

        for side in (1.0, 1.0 + gap):
            assert check_gradients(f, 0.0, gradient=side).verdict is not Verdict.FAIL
        assert check_gradients(f, 0.0, gradient=1.5).verdict is Verdict.FAIL


@pytest.mark.parametrize("exponent", [6, 9, 10, 11, 12, 13, 15])
def test_what_swings_between_the_steps_does_not_fail(exponent: int) -> None:
    w = 10.0**exponent
    for x in (0.371, 0.7, 1.3):
        right = w * math.cos(w * x)
        report = check_gradients(lambda t: math.sin(w * t), x, gradient=right)
        assert report.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE), str(report)
        wrong = check_gradients(lambda t: math.sin(w * t), x, gradient=-right)
        assert wrong.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE), str(wrong)
        if exponent < 9:
            assert (report.verdict, wrong.verdict) == (Verdict.PASS, Verdict.FAIL)
    (row,) = check_gradients(math.sin, 1e30, gradient=math.cos(1e30)).rows
    assert (row.verdict, row.note) == (
        Verdict.INCONCLUSIVE,
        "the changes of f are mostly noise here",
    )
