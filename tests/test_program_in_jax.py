"""Programs as JAX functions: the same numbers and derivatives as the NumPy engine."""

import itertools
import math
import random
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import Value, define_op, grad, no_grad, rows, select
from autograd.nestings import leaves
from autograd.operation import Operation
from autograd.printers.arrays import row_of_arrays
from nn import MLP
from tests.recorded import recorded, replayed
from tests.test_engines import PROGRAMS as ENGINE_PROGRAMS
from tests.test_lowering import WEIGHTS

jax = pytest.importorskip("jax")

from autograd.printers.jax import Functions, row_of_jax  # noqa: E402 - only with JAX


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def numbers(count: int, seed: int = 0) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(0.2, 0.8) for _ in range(count)]


ENDS = [0.0, -0.0, 1.0, -1.0, 1e300, -1e300, math.inf, -math.inf, math.nan]
NUMBERS = [sign * 10.0**k * m for sign in (1, -1) for k in (-3, -1, 0, 1, 2) for m in (1.7, 3.1)]
PAIRS = [*itertools.product(ENDS, repeat=2), *itertools.product(NUMBERS, repeat=2)]


def interrupted(x: list[Value]) -> list[Value]:
    """Regular sums between two that are looked up."""
    pairs = [(3, 0), *((i, i) for i in range(1, 13)), (1, 4)]
    products = [[x[i + k] * WEIGHTS[j + k] for k in range(6)] for i, j in pairs]
    return [sum(rest, first) for first, *rest in products]


PROGRAMS = {**ENGINE_PROGRAMS, "interrupted": (interrupted, [[1.0] * 18])}
COMPARED = {"a guard", "guards on inputs and constants"}


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - COMPARED))
def test_a_program_has_its_values_and_gradients_in_jax(name: str) -> None:
    f, arguments = PROGRAMS[name]
    program = recorded(f, *arguments)
    whole = program.tape.whole
    p, x = numbers(program.tape.parameters), numbers(program.tape.inputs, 1)
    x = [1.0 if w else v for w, v in zip(whole, x, strict=True)]
    function = program.to_jax()
    outputs, slopes_p, slopes_x = replayed(program, p, x)
    assert np.allclose(list(leaves(jax.jit(function)(p, x))), outputs, rtol=1e-14, atol=0)

    def total(p: Any, x: Any) -> Any:
        return sum(leaves(function(p, x)))

    got = jax.jit(jax.grad(total, argnums=(0, 1)))(np.array(p), np.array(x))
    # The engine gives no gradient to whole numbers, which are no Values.
    for ours, theirs in ((slopes_p, got[0]), (slopes_x, np.where(whole, 0.0, got[1]))):
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", sorted(COMPARED))
def test_a_comparison_of_numbers_is_refused_by_name(name: str) -> None:
    f, arguments = PROGRAMS[name]
    with pytest.raises(ValueError, match=r"only while .* is True.*autograd.where"):
        recorded(f, *arguments).to_jax()


def test_an_index_outside_a_list_gives_nan_and_nan_gradients() -> None:
    function = recorded(lambda i, x: select(x, i), 1, [1.0, 2.0]).to_jax()
    assert function([], [1, 5.0, 7.0]) == 7.0
    assert math.isnan(function([], [2, 5.0, 7.0]))
    assert np.isnan(jax.grad(lambda x: function([], x))(np.array([2, 5.0, 7.0]))).any()


# The second derivatives, away from ends and kinks.
SMOOTH = [(0.375, 0.75), (0.625, 1.75), (1.5, 0.25), (1.75, 2.5)]


@cache
def jax_rows() -> dict[str, Any]:
    """For each row the values, slopes and second derivatives in x, all compiled at once."""

    def one(op: Operation, x: Any, y: Any) -> Any:
        f, rest = row_of_jax(op), [y] if op.arity == 2 else []
        z, pull = jax.vjp(f, x, *rest)
        return z, pull(jax.numpy.ones(len(x)))

    def curved(op: Operation, x: Any, y: Any) -> Any:
        slope = jax.grad(lambda x: row_of_jax(op)(x, *[y][: op.arity - 1]))
        return jax.jvp(slope, (x,), (1.0,))[1]

    def all_rows(pairs: Any, smooth: Any) -> Any:
        return {
            name: (*one(op, *pairs), jax.vmap(lambda x, y, op=op: curved(op, x, y))(*smooth))
            for name, op in rows().items()
        }

    with jax.enable_x64(True):
        found: dict[str, Any] = jax.jit(all_rows)(np.array(PAIRS).T, np.array(SMOOTH).T)
        return found


@pytest.mark.traced(every=9)
@pytest.mark.parametrize("name", rows())
def test_every_row_agrees_with_the_numpy_engine(name: str) -> None:
    op = rows()[name]
    x, y = np.array(PAIRS).T
    operands = [x, y if op.arity == 2 else None]
    with np.errstate(all="ignore"):
        (values,) = row_of_arrays(op)[0](*operands)
        slopes = row_of_arrays(op)[1](*operands, values)
        slopes = [np.where(np.isnan(values), values, slope) for slope in slopes]
    got, partials, second = jax_rows()[name]
    for ours, theirs in zip([got, *partials], [values, *slopes], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-320)
    for pair, curvature in zip(SMOOTH, second.tolist(), strict=True):
        if op.is_smooth(*pair[: op.arity]) and math.isfinite(op.value(*pair[: op.arity])):
            f = grad(grad(lambda x, *y: op(x, *y)))
            assert curvature == pytest.approx(f(*pair[: op.arity]), rel=1e-9, abs=1e-12), pair


def test_transforms_of_jax_work_on_a_model() -> None:
    model = MLP([2, 4, 1], "tanh", seed=0)
    compiled = autograd.compile(lambda x: (model(x)[0] - 0.3) ** 2)
    compiled([0.5, -0.2])
    f, x = compiled.program.to_jax(), np.array([0.5, -0.2])
    p = np.array([v.data for v in compiled.parameters])
    batch = np.array([[0.5, -0.2], [0.1, 0.9]])
    assert np.allclose(jax.jit(jax.vmap(f, (None, 0)))(p, batch), compiled(batch), rtol=1e-14)
    v = np.linspace(-1, 1, len(p))
    forward = jax.jit(lambda p, v: jax.jvp(jax.grad(lambda p: f(p, x)), (p,), (v,))[1])
    assert np.allclose(forward(p, v), compiled.hvp(v.tolist(), x.tolist()), rtol=1e-12)


def test_single_precision_and_wrong_shapes_are_refused() -> None:
    function = recorded(lambda x: x * 2.0, 1.0).to_jax()
    with jax.enable_x64(False), pytest.raises(TypeError, match="needs float64"):
        function([], [1.0])
    with pytest.raises(ValueError, match=r"array of 1 inputs, got one of .*\(2,\); use jax"):
        function([], [1.0, 2.0])


def test_an_operation_that_jax_cannot_run_is_refused_by_name() -> None:
    op = define_op("halved", lambda x: x / 2, lambda x: 0.5)
    with pytest.raises(NotImplementedError, match="halved is a Python function"):
        row_of_jax(op)
    with pytest.raises(NotImplementedError, match="JAX has no function nothing"):
        Functions().nothing  # noqa: B018


def test_what_is_cut_has_no_gradient() -> None:
    def f(x: Value) -> Value:
        with no_grad():
            square = x * x
        return x * square + x.detach() * 3.0

    function = recorded(f, 0.5).to_jax()
    assert jax.grad(lambda x: function([], x))(np.array([0.5])) == 0.25


def test_quotients_are_not_joined() -> None:
    function = recorded(lambda x, y: x / y / y, 1.0, 1.0).to_jax()
    assert jax.jit(function)([], [1e300, 1e200]) == pytest.approx(1e-100)


def test_numbers_without_a_gradient_are_chosen() -> None:
    function = recorded(lambda i, x: select([1.0, 2.0], i) * x, 1, 3.0).to_jax()
    assert jax.grad(lambda x: function([], x))(np.array([0.0, 3.0])).tolist() == [0.0, 1.0]


def test_without_jax_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    program = recorded(lambda x: x * 2.0, 1.0)
    monkeypatch.delitem(sys.modules, "autograd.compiled.jax_lowering", raising=False)
    monkeypatch.delitem(sys.modules, "autograd.printers.jax", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ModuleNotFoundError, match=r"chainrule\[jax\]"):
        program.to_jax()
