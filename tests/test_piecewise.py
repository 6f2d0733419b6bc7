"""`where` and `clip`: values, gradients, what they do in compiled functions, and refusals."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import autograd
from autograd import Value, check_gradients, clip, grad, hessian, no_grad, value_and_grad, where


def roots(x: Any) -> Any:
    return where(x > 0.0, autograd.sqrt(x), 3.0 * x)


def test_the_gradient_goes_to_what_is_taken_and_to_nothing_else() -> None:
    a, b = Value(2.0), Value(3.0)
    for condition, leaf, other in ((True, a, b), (1, a, b), (1.0, a, b), (False, b, a), (0, b, a)):
        a.grad = b.grad = 0.0
        z = where(condition, a * a, b * b)
        z.backward()
        assert (z.data, leaf.grad, other.grad) == (leaf.data**2, 2.0 * leaf.data, 0.0)
    assert where(Value(0.0), a, b) is b
    assert where(a > b, a, b) is b


def test_no_inf_or_nan_comes_from_the_other_one() -> None:
    assert value_and_grad(roots)(-1.0) == (-3.0, 3.0)
    assert value_and_grad(roots)(4.0) == (2.0, 0.25)
    guarded = lambda x: where(x > 0.0, 1.0 / x, 0.0)  # noqa: E731
    assert value_and_grad(guarded)(0.0) == (0.0, 0.0)
    assert grad(grad(roots))(4.0) == -1.0 / 32.0
    assert grad(grad(roots))(-4.0) == 0.0


def test_a_number_beside_a_value_is_a_value_and_numbers_alone_are_floats() -> None:
    assert type(where(True, 1, 2)) is float
    assert where(False, 1, 2) == 2.0
    plain = where(True, 1.0, Value(2.0))
    assert type(plain) is Value
    plain.backward()  # as a loss may be that is constant here
    assert type(clip(3, 0, 1)) is float
    assert type(clip(3.0, Value(0.0), 1.0)) is Value
    with no_grad():
        assert where(True, 1.0, Value(2.0)).data == 1.0


@pytest.mark.parametrize(
    ("x", "low", "high", "z", "slopes"),
    [
        (0.5, 0.0, 1.0, 0.5, [1.0, 0.0, 0.0]),
        (7.0, 0.0, 1.0, 1.0, [0.0, 0.0, 1.0]),
        (-7.0, 0.0, 1.0, 0.0, [0.0, 1.0, 0.0]),
        (0.0, 0.0, 1.0, 0.0, [0.5, 0.5, 0.0]),
        (1.0, 0.0, 1.0, 1.0, [0.5, 0.0, 0.5]),
        (9.0, 2.0, 2.0, 2.0, [0.0, 0.0, 1.0]),
        (5.0, -math.inf, math.inf, 5.0, [1.0, 0.0, 0.0]),
        (-math.inf, 0.0, 1.0, 0.0, [0.0, 1.0, 0.0]),
    ],
)
def test_a_number_is_clipped_and_the_bound_that_is_taken_gets_the_gradient(
    x: float, low: float, high: float, z: float, slopes: list[float]
) -> None:
    leaves = [Value(v) for v in (x, low, high)]
    clipped = clip(*leaves)
    clipped.backward()
    assert clipped.data == clip(x, low, high) == z
    assert [leaf.grad for leaf in leaves] == slopes


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
def test_nan_stays_nan() -> None:
    for operands in ((math.nan, 0.0, 1.0), (0.5, math.nan, 1.0), (0.5, 0.0, math.nan)):
        assert math.isnan(clip(*operands))
        leaf = Value(operands[0])
        assert math.isnan(grad(clip(leaf, *operands[1:]), leaf))


CASES: list[tuple[Callable[..., Any], list[tuple[float, float]]]] = [
    (lambda x, y: where(x > y, x * x, y * x), [(2.0, 1.0), (1.0, 2.0), (-3.0, -3.0)]),
    (lambda x, y: roots(x) + y, [(4.0, 1.0), (-4.0, 1.0)]),
    (lambda x, y: where(x > 0.0, 1.0, y), [(2.0, 5.0), (-2.0, 5.0)]),
    (lambda x, y: clip(x * x, y, 2.0), [(0.5, 1.0), (1.2, 1.0), (3.0, 1.0), (1.0, 1.0)]),
]


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize(("f", "points"), CASES)
def test_a_compiled_function_chooses_as_the_eager_one(
    f: Callable[..., Any], points: list[tuple[float, float]], engine: str
) -> None:
    pytest.importorskip({"native": "llvmlite"}.get(engine, engine))
    compiled = autograd.compile(f, engine=engine)
    for at in points * 2:
        found = compiled.value_and_grad(*at, argnums=(0, 1))
        assert found == value_and_grad(f, (0, 1))(*at)


def test_a_checked_gradient_goes_through() -> None:
    for x in (4.0, -4.0):
        assert check_gradients(lambda x: roots(x) * x, x, order=2)
    for x in (-0.3, 0.3, 1.3):
        assert check_gradients(lambda x: clip(x * x, 0.05, 1.0) * x, x, order=2)
    assert check_gradients(lambda x: clip(x, 0.0, 1.0), 1.0).verdict.value == "kink"
    assert hessian(lambda x: clip(x, 0.0, 1.0) ** 3)(0.5) == 3.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: where(2.0, 1.0, 2.0), ValueError, "must be true or false (1 or 0), got 2.0"),
        (lambda: where(math.nan, 1.0, 2.0), ValueError, "got nan; write a comparison"),
        (lambda: where(Value(0.5), 1.0, 2.0), ValueError, "got Value(data=0.5"),
        (lambda: where("x > 0", 1.0, 2.0), TypeError, "where's condition: expected a real number"),
        (lambda: where(None, 1.0, 2.0), TypeError, "where's condition: expected a real number"),
        (lambda: where(True, 1.0, "2"), TypeError, "where: expected a real number, got str"),
        (lambda: where(True, [1.0], 2.0), TypeError, "where: expected a real number, got list"),
        (lambda: clip("1", 0.0, 1.0), TypeError, "clip: expected a real number, got str"),
        (lambda: clip(1.0, None, 1.0), TypeError, "clip: expected a real number, got NoneType"),
        (lambda: clip(0.5, 1.0, 0.0), ValueError, "lower bound 1.0 is above upper bound 0.0"),
    ],
)
def test_what_is_no_choice_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as refused:
        call()
    assert message in str(refused.value)
