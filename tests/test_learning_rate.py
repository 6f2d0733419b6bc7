"""What the learning rate does: four outcomes, a search that leaves no trace, and the bound."""

import functools
import math
import random
from typing import Any

import pytest

from autograd import Value, hessian
from nn import MLP, find_learning_rate, learning_rate_sweep, mse, sparse_categorical_crossentropy
from nn.data import load_iris
from nn.learning_rate import largest_curvature
from nn.module import Module
from nn.optim import SGD

crossentropy = functools.partial(sparse_categorical_crossentropy, from_logits=True)


class Bowl(Module):
    """x^T A x / 2 + c sum x, a loss by itself, with the eigenvalues in `curvatures`."""

    def __init__(self, *curvatures: float) -> None:
        super().__init__()
        self.curvatures = curvatures
        self.x = [Value(1.0 + i) for i in range(len(curvatures))]

    def forward(self, scale: float) -> Any:
        total = Value(0.0)
        for c, x in zip(self.curvatures, self.x, strict=True):
            total = total + 0.5 * scale * c * x * x
        return total


def itself(outputs: list[Value], targets: list[Any]) -> Any:
    return outputs[0]


ONE = [1.0], [0]


@pytest.mark.parametrize(
    ("curvatures", "largest"), [((3.0, 1.0), 3.0), ((1.0, -5.0), 1.0), ((-1.0, -2.0), -1.0)]
)
def test_the_largest_curvature_of_a_quadratic(
    curvatures: tuple[float, ...], largest: float
) -> None:
    assert largest_curvature(Bowl(*curvatures), ONE, itself) == pytest.approx(largest, rel=1e-6)


def test_the_largest_curvature_of_a_network_is_that_of_its_hessian() -> None:
    numpy = pytest.importorskip("numpy")
    model = MLP([2, 3, 1], "tanh", seed=0)
    at = [p.data for p in model.parameters()]
    data = [[0.3, -0.7], [1.0, 0.4]], [1.0, -1.0]

    def squared(outputs: list[Any], targets: list[Any]) -> Any:
        return mse([y for (y,) in outputs], targets)

    def loss(x: list[Any]) -> Any:
        k, outputs = 0, []
        for row in data[0]:
            h: list[Any] = row
            k = 0
            for fan_out, activation in ((3, True), (1, False)):
                new = []
                for _ in range(fan_out):
                    z = sum((w * i for w, i in zip(x[k:], h, strict=False)), x[k + len(h)])
                    new.append(z.tanh() if activation else z)
                    k += len(h) + 1
                h = new
            outputs.append(h)
        return squared(outputs, data[1])

    exact = max(numpy.linalg.eigvalsh(hessian(loss)(at)))
    assert largest_curvature(model, data, squared) == pytest.approx(float(exact), rel=1e-5)


@pytest.mark.parametrize(("share", "falls"), [(0.95, True), (1.05, False)])
def test_gradient_descent_is_stable_just_below_the_bound_and_not_above(
    share: float, falls: bool
) -> None:
    bowl = Bowl(4.0, 0.5)
    found = find_learning_rate(bowl, ONE, loss=itself, low=1e-3, high=3.0)
    assert found.bound == pytest.approx(0.5, rel=1e-6)
    optimizer = SGD(bowl, lr=share * found.bound)
    for _ in range(200):
        optimizer.zero_grad()
        bowl(1.0).backward()
        optimizer.step()
    assert (abs(bowl.x[0].data) < 1e-6) is falls


def test_the_four_outcomes_on_irises() -> None:
    train = load_iris().standardized()
    model = MLP([4, 6, 3], "tanh", seed=0)
    before = [p.data.hex() for p in model.parameters()]
    sweep = learning_rate_sweep(
        model, train, loss=crossentropy, rates=[0.002, 0.5, 100.0], epochs=30
    )
    assert [curve.outcome for curve in sweep.curves][:2] == ["slow", "good"]
    assert sweep.curves[2].outcome in ("diverges", "plateaus above the best")
    assert [p.data.hex() for p in model.parameters()] == before
    assert [curve.rate for curve in sweep.curves] == [0.002, 0.5, 100.0]
    assert len({curve.loss[0] for curve in sweep.curves}) == 1
    assert "slow" in str(sweep)


def test_outcomes_of_a_bowl_are_what_mathematics_says() -> None:
    sweep = learning_rate_sweep(
        Bowl(1.0, 0.9), ONE, loss=itself, rates=[1e-6, 0.02, 1.0, 2.5, 1e200], epochs=40
    )
    outcomes = [curve.outcome for curve in sweep.curves]
    assert outcomes == ["slow", "slow", "good", "diverges", "diverges"]
    assert sweep.curves[-1].final == math.inf
    with pytest.raises(ValueError, match="no rates"):
        learning_rate_sweep(Bowl(1.0), ONE, loss=itself, rates=[])


def test_the_search_leaves_model_and_random_state_as_they_were_even_after_an_error() -> None:
    model = MLP([4, 5, 3], "tanh", seed=0)
    data = load_iris().standardized()
    state = [(p.data.hex(), p.grad) for p in model.parameters()]
    global_state = random.getstate()
    found = find_learning_rate(model, data, loss=crossentropy, batch_size=32, steps=40, high=100.0)
    assert found.rates[0] < found.suggestion < found.rates[-1]
    assert len(found.rates) == len(found.losses) == len(found.smooth)
    assert "falls fastest" in str(found)

    def broken(outputs: list[Any], targets: list[Any]) -> Any:
        broken.calls += 1  # type: ignore[attr-defined]
        if broken.calls > 3:  # type: ignore[attr-defined]
            raise RuntimeError("broken")
        return crossentropy(outputs, targets)

    broken.calls = 0  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="broken"):
        find_learning_rate(model, data, loss=broken)
    assert [(p.data.hex(), p.grad) for p in model.parameters()] == state
    assert random.getstate() == global_state


@pytest.mark.parametrize("seed", range(5))
def test_the_suggestion_is_not_chosen_by_the_noise_of_small_batches(seed: int) -> None:
    # Over all samples the losses of these models fall fastest between 0.1 and 2.
    model = MLP([4, 6, 3], "relu", seed=seed)
    found = find_learning_rate(
        model,
        load_iris().split()[0].standardized(),
        loss=crossentropy,
        low=1e-3,
        high=100.0,
        batch_size=12,
        curvature_samples=2,
        seed=seed,
    )
    assert 0.05 < found.suggestion < 2.0


def test_ranges_that_are_none_are_refused() -> None:
    for low, high, steps in ((0.0, 1.0, 60), (1.0, 0.1, 60), (0.1, 1.0, 3)):
        with pytest.raises(ValueError, match="low must be"):
            find_learning_rate(Bowl(1.0), ONE, loss=itself, low=low, high=high, steps=steps)
    with pytest.raises(ValueError, match="never falls"):
        find_learning_rate(Bowl(1.0), ONE, loss=itself, low=100.0, high=1000.0)


def test_figures_show_every_rate_and_the_bound() -> None:
    pytest.importorskip("matplotlib")
    bowl = Bowl(1.0, 0.9)
    sweep = learning_rate_sweep(bowl, ONE, loss=itself, rates=[0.01, 1.0, 3.0], epochs=20)
    (axes,) = sweep.figure().axes
    assert len(axes.lines) == 3
    found = find_learning_rate(bowl, ONE, loss=itself)
    texts = [text.get_text() for text in found.figure().axes[0].get_legend().get_texts()]
    assert any("lambda" in text for text in texts)


def test_a_function_without_any_curvature_has_none() -> None:
    # Every product of the Hessian is zero, so there is no direction to follow.
    assert largest_curvature(Bowl(0.0), ONE, loss=itself) == 0.0


def test_a_search_that_leaves_the_numbers_stops_there() -> None:
    found = find_learning_rate(
        Bowl(1.0), ONE, loss=lambda outputs, targets: itself(outputs, targets) * 1e150,
        low=1e-160, high=1e10, steps=20,
    )  # fmt: skip
    assert len(found.losses) < 20
    assert all(map(math.isfinite, found.losses))
