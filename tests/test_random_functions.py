"""Random Python functions: eager against a second differentiator, compiled against eager."""

import contextlib
import io
import math
from collections.abc import Callable
from typing import Any

import pytest

import autograd
from autograd import Value, rows
from tests.functions.grammar import function
from tests.functions.jets import REAL, UndecidedError, World
from tests.functions.prelude import data, numbers
from tests.functions.shrink import script, shrunk, size
from tests.functions.transforms import names
from tests.functions.trial import Failure, tried

jets = names(World())


@pytest.mark.parametrize(
    ("engine", "functions"),
    [(None, 120), ("numpy", 50), ("auto", 25)],
)
def test_no_random_function_is_answered_wrongly(engine: str | None, functions: int) -> None:
    tally = tried(range(functions), engine)
    assert not tally.failures, script(shrunk(tally.failures[0], most=300))
    answers = tally.compared + tally.refused + tally.skipped
    assert tally.compared > 0.7 * answers
    # A compiled function may say no, but not often.
    assert tally.refused < (0.02 if engine is None else 0.15) * answers


# Each of these would let one promise of the engine be broken in silence.


def _cut(transform: Any) -> Any:
    """The transform, whose results are constants for all derivatives around it."""
    return lambda *given: data(transform(*given))


def _as_numbers(f: Callable[..., Any], **_: Any) -> Callable[..., Any]:
    return lambda *args: data(f(*args))


def _frozen(f: Callable[..., Any], **_: Any) -> Callable[..., Any]:
    known: list[Any] = []

    def call(*args: Any) -> Any:
        known.extend([] if known else [f(*args)])
        return known[0]

    return call


BROKEN: dict[str, tuple[Any, str, Any, str | None]] = {
    "an inner derivative is a constant": (autograd, "jvp", _cut(autograd.jvp), None),
    "a compiled call is a constant": (autograd, "compile", _as_numbers, None),
    "no number is above another": (Value, "__gt__", lambda *_: False, None),
    "no_grad does nothing": (autograd, "no_grad", contextlib.nullcontext, None),
    "detach does nothing": (Value, "detach", lambda v: v, None),
    "a compiled function answers as the first time": (autograd, "compile", _frozen, "numpy"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_promise_is_noticed(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong, engine = BROKEN[broken]
    monkeypatch.setattr(owner, name, wrong)
    assert first_failure(engine).kind == "wrong"


def first_failure(engine: str | None) -> Failure:
    """The first failure among many functions."""
    for seed in range(300):
        for failure in tried([seed], engine).failures:
            if failure.kind == "wrong":
                return failure
    raise AssertionError("nothing was noticed")


def test_a_failure_becomes_a_small_program_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Value, "__gt__", lambda *_: False)
    failure = first_failure(None)
    small = shrunk(failure)
    assert small.signature == failure.signature
    assert size(small.trial) < size(failure.trial)
    assert len(small.trial.function.source.splitlines()) <= 12
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(script(small), {})
    eager, right = (line[9:] for line in shown.getvalue().splitlines())
    assert eager != right


def test_a_function_of_a_seed_is_always_the_same() -> None:
    assert function(7) == function(7) != function(8)


def test_the_functions_have_everything_in_them() -> None:
    sources = "".join(function(seed).source for seed in range(600))
    parts = [f"ag.{name}(" for name in (*rows(), "grad", "value_and_grad", "vjp", "jvp", "hvp")]
    parts += ["ag.hessian(", "ag.compile(", "ag.select(", "ag.no_grad()", ".detach()", ".data = "]
    parts += ["if not ", " == ", "while ", "for ", "else:", "lambda ", "{0: ", "in {0, 2}", "P("]
    parts += ["range(n0", "[n0]", "isinstance(n0, int)", "float(", "format(", "max(", "sorted("]
    assert [part for part in parts if part not in sources] == []


# The second differentiator itself.


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (lambda: jets.grad(lambda x: x * jets.grad(lambda y: x * y)(1.0))(2.0), [4.0]),
        (lambda: jets.hessian(lambda p: p[0] ** 3 * p[1])([2.0, 5.0]), [60.0, 12.0, 12.0, 0.0]),
        (lambda: jets.hvp(lambda p: jets.sin(p[0]) * p[1], [0.0, 5.0], [1.0, 2.0]), [2.0, 1.0]),
        (lambda: jets.jvp(lambda x: jets.exp(x) / 2, (0.0,), (3.0,)), [0.5, 1.5]),
        (lambda: jets.vjp(lambda x, y: [x * y, x], 2.0, 3.0)[1]([1.0, 10.0]), [13.0, 2.0]),
        (lambda: jets.grad(lambda x: x.detach() * x + jets.relu(x - 2))(2.0), [2.0]),
        (lambda: jets.grad(lambda x: abs(x) + jets.maximum(x, 0.0))(0.0), [0.5]),
        (lambda: jets.grad(jets.grad(jets.tanh))(1.0), [-0.6397000084492246]),
    ],
)
def test_jets_have_textbook_derivatives(found: Callable[[], Any], wanted: list[float]) -> None:
    for jet, right in zip(numbers(found()), wanted, strict=True):
        number, bound = jet.terms[REAL]
        assert abs(number - right) <= bound <= 1e-9


@pytest.mark.parametrize(
    "undecided",
    [
        lambda: jets.grad(lambda x: 1.0 if jets.grad(lambda t: 0.1 * t)(x) > 0.1 else x)(1.0),
        lambda: jets.grad(jets.log)(0.0),
        lambda: jets.exp(jets.Value(1e3)),
        lambda: jets.Value(math.nan) * 2.0,
    ],
)
def test_jets_do_not_decide_what_rounding_decides(undecided: Callable[[], Any]) -> None:
    with pytest.raises(UndecidedError):
        undecided()
