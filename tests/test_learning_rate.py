"""What the learning rate does: four outcomes, a search that leaves no trace, and the bound."""

import functools
import inspect
import math
import random
import statistics
from typing import Any

import pytest

from autograd import Value, hessian
from nn import (
    MLP,
    TrainingError,
    find_learning_rate,
    learning_rate_sweep,
    mse,
    sparse_categorical_crossentropy,
)
from nn.data import load_iris
from nn.module import Module
from nn.optim import SGD
from nn.study import curvature, sweeps
from nn.study.curvature import largest_curvature
from nn.study.grid import Trained
from nn.study.learning_rate import SingleBatches
from nn.training import History
from nn.training.source import StepError
from tests.spies import Spy

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


@pytest.mark.untraced
def test_the_four_outcomes_on_irises() -> None:
    train = load_iris().standardized()
    model = MLP([4, 6, 3], "tanh", seed=0)
    before = [p.data.hex() for p in model.parameters()]
    sweep = learning_rate_sweep(
        model, train, loss=crossentropy, rates=[0.002, 0.5, 100.0], epochs=30
    )
    assert sweep.outcomes[:2] == ["slow", "good"]
    assert sweep.outcomes[2] in ("diverges", "plateaus above the best")
    assert [p.data.hex() for p in model.parameters()] == before
    assert [run.rate for run in sweep.runs] == [0.002, 0.5, 100.0]
    assert len({run.loss[0] for run in sweep.runs}) == 1
    assert "slow" in str(sweep)


def test_outcomes_of_a_bowl_are_what_mathematics_says() -> None:
    sweep = learning_rate_sweep(
        Bowl(1.0, 0.9), ONE, loss=itself, rates=[1e-6, 0.02, 1.0, 2.5, 1e200], epochs=40
    )
    assert sweep.outcomes == ["slow", "slow", "good", "diverges", "diverges"]
    assert sweep.runs[-1].final == math.inf
    with pytest.raises(ValueError, match="no rates"):
        learning_rate_sweep(Bowl(1.0), ONE, loss=itself, rates=[])


@pytest.mark.untraced
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
@pytest.mark.untraced
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


# ---------------------------------------------------------------------- outcomes and rules


@pytest.mark.parametrize(
    ("loss", "best", "outcome"),
    [
        ([10.0, 5.0, 10.1], 0.0, "diverges"),
        ([10.0, 5.0, math.inf], 0.0, "diverges"),
        ([10.0, math.nan], 0.0, "diverges"),
        ([10.0, 5.0, 10.0], 0.0, "plateaus above the best"),
        ([10.0, 1.0], 0.0, "good"),
        ([10.0, 1.1], 0.0, "slow"),
        ([10.0, 4.625], 4.0, "slow"),
        ([10.0, 4.5], 4.0, "good"),
        ([5.0, 0.25, 0.5], 0.0, "good"),
        # The last quarter: more than 5 % of what was possible.
        ([10.0, 9.0, 8.0, 7.0, 6.0, 5.6, 5.5, 5.3, 5.0], 0.0, "plateaus above the best"),
        ([10.0, 9.0, 8.0, 7.0, 6.0, 5.6, 5.56, 5.3, 5.05], 0.0, "slow"),
        ([10.0, 6.0, 5.7, 5.65, 5.63, 5.6, 5.3, 5.05], 0.0, "plateaus above the best"),
        ([10.0, 5.0, 4.9], 0.0, "plateaus above the best"),
        # A straight line: the second half falls by more than half of the first.
        ([10.0, 9.999, 9.998, 9.997, 9.996], 0.0, "slow"),
        ([10.0, 9.9, 9.75, 9.7, 9.625], 0.0, "plateaus above the best"),
        ([10.0, 9.9, 9.75, 9.7, 9.6], 0.0, "slow"),
        ([10.0, 9.95, 9.75, 9.7, 9.65], 0.0, "plateaus above the best"),
        ([10.0, 11.0, 11.0, 10.2, 9.9], 0.0, "plateaus above the best"),
        ([10.0, 10.0, 10.0, 9.9, 9.8], 0.0, "plateaus above the best"),
    ],
)
def test_the_outcome_is_what_the_losses_say(loss: list[float], best: float, outcome: str) -> None:
    assert Trained(0.1, "default", 0, loss).outcome(best) == outcome


def test_a_sweep_prints_a_line_for_each_rate_and_gives_fit_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, Any]] = []

    def fitted(model: Any, data: Any, **options: Any) -> History:
        given.append(options)
        rate = options["optimizer"].lr
        if rate > 1.0:
            raise TrainingError("the loss is inf", History(loss=[7.0]))
        return History(loss=[1.0, rate])

    monkeypatch.setattr(sweeps, "fit", fitted)
    sweep = learning_rate_sweep(Bowl(2.0), ONE, loss=itself, rates=[2.0, 0.5])
    assert [(run.rate, run.loss) for run in sweep.runs] == [
        (0.5, [1.0, 1.0, 0.5]),
        (2.0, [1.0, 7.0, math.inf]),
    ]
    assert str(sweep).split("\n") == [
        "    rate        start        final  outcome",
        "     0.5            1          0.5  good",
        "       2            1          inf  diverges",
    ]
    options = {k: v for k, v in given[0].items() if k != "optimizer"}
    assert options == {
        "loss": itself, "epochs": 50, "batch_size": None, "seed": 0, "progress": False,
        "compiled": False,
    }  # fmt: skip
    assert type(given[0]["optimizer"]) is SGD
    more: dict[str, Any] = {"epochs": 3, "batch_size": 2, "seed": 5, "compiled": True}
    learning_rate_sweep(Bowl(2.0), ONE, loss=itself, rates=[0.5], **more)
    assert {k: given[-1][k] for k in more} == more


def test_the_defaults_of_the_search_are_those_of_its_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = Steps([9.0 - 0.1 * i for i in range(60)])
    monkeypatch.setattr(SingleBatches, "step", fitted.step)
    find_learning_rate(Bowl(1.0), ONE, loss=itself)
    assert fitted.rates == pytest.approx([1e-4 * 10 ** (5 * i / 59) for i in range(60)])
    found = {
        name: p.default
        for name, p in inspect.signature(find_learning_rate).parameters.items()
        if p.default is not inspect.Parameter.empty
    }
    assert found.pop("optimizer") == "sgd"
    assert found == {
        "low": 1e-4, "high": 10.0, "steps": 60, "batch_size": None, "seed": 0,
        "curvature_samples": 64, "compiled": False,
    }  # fmt: skip


class Steps:
    """A step that has the losses of a list, and remembers what it was asked for."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = losses
        self.rates: list[float] = []
        self.targets: list[list[float]] = []
        self.compiled: list[Any] = []
        self.step = lambda source, batch: self(source, batch)

    def __call__(self, source: SingleBatches, batch: list[int]) -> float:
        optimizer = source.recipe.optimizer
        self.rates.append(optimizer.lr)
        self.targets.append([source.data[1][i] for i in batch])
        self.compiled.append(source.compiled)
        loss = self.losses[len(self.rates) - 1]
        if not math.isfinite(loss):
            raise StepError("the loss is inf")
        optimizer.taken += 1
        return loss


def smoothed(losses: list[float]) -> list[float]:
    """Means with weights that fall to 0.7 from one to the one before."""
    means = []
    for end in range(1, len(losses) + 1):
        weights = [0.7 ** (end - 1 - i) for i in range(end)]
        parts = [w * x for w, x in zip(weights, losses[:end], strict=True)]
        means.append(sum(parts) / sum(weights))
    return means


FALLING = [8.0, 7.9, 7.7, 7.0, 6.0, 4.5, 3.0, 2.2, 1.9, 1.8, 1.75, 1.9, 2.5, 4.0, 7.3, 9.0, 9.9,
           10.0, 11.0, 12.0]  # fmt: skip


def test_the_search_raises_the_rate_step_by_step_and_stops_where_it_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = Steps(FALLING)
    monkeypatch.setattr(SingleBatches, "step", fitted.step)
    found = find_learning_rate(Bowl(2.0), ONE, loss=itself, low=0.01, high=100.0, steps=20)
    rates = [0.01 * 10.0 ** (4 * i / 19) for i in range(20)]
    assert fitted.rates == pytest.approx(rates[:15], rel=1e-12)
    assert found.rates == fitted.rates
    assert found.losses == FALLING[:15]  # 7.3 is more than four times 1.75
    assert found.smooth == pytest.approx(smoothed(FALLING[:15]), rel=1e-12)
    lowest = found.smooth.index(min(found.smooth))
    slopes = {}
    for k in range(2, lowest + 1):
        near = range(max(0, k - 2), min(15, k + 3))
        slopes[k] = statistics.linear_regression(near, [FALLING[i] for i in near]).slope
    steepest = min(slopes, key=lambda k: slopes[k])
    assert found.suggestion == found.rates[steepest]
    assert found.reason == (
        f"the loss falls fastest there; it is lowest at {found.rates[lowest]:.3g} and out of "
        f"bounds from {found.rates[14]:.3g}"
    )
    assert [found.curvature, found.bound] == pytest.approx([2.0, 1.0])
    assert str(found) == (
        f"learning rate {found.suggestion:.3g}: {found.reason}\n"
        "stability bound 2 / lambda_max = 1 (lambda_max = 2)"
    )
    assert fitted.compiled == [False] * 15


@pytest.mark.parametrize(
    ("losses", "seen"),
    [
        ([8.0, 1.0, 4.5, 9.0, 9.0, 0.5, 1.9, 2.0, 2.0, 2.0], 10),  # 2.0 is no more than four times
        ([8.0, 1.0, 4.5, 9.0, 9.0, 2.0, 3.9, 4.1, 2.0, 2.0], 8),
        ([8.0, 1.0, 0.9, 0.8, 0.7, 3.0, 2.0, 2.0, 2.0, 2.0], 6),
        ([8.0, 1.0, 0.9, 0.8, 3.3, 0.7, 2.0, 2.0, 2.0, 2.0], 10),  # too early to tell
        ([8.0, 7.0, 6.0, math.inf, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 3),
    ],
)
def test_the_search_ends_where_the_loss_is_four_times_its_lowest_or_no_number(
    losses: list[float], seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SingleBatches, "step", Steps(losses).step)
    found = find_learning_rate(Bowl(0.0), ONE, loss=itself, steps=10)
    assert found.losses == losses[:seen]
    assert ("out of bounds" in found.reason) is (seen < 10)
    assert (found.curvature, found.bound) == (0.0, math.inf)


@pytest.mark.parametrize("size", [3, 4, None, 6])
def test_batches_of_the_search_go_through_all_samples_before_any_comes_again(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = Steps([9.0 - 0.1 * i for i in range(10)])
    monkeypatch.setattr(SingleBatches, "step", fitted.step)
    data = [1.0] * 4, [0.0, 1.0, 2.0, 3.0]
    find_learning_rate(Bowl(1.0), data, loss=itself, steps=10, batch_size=size, seed=7)
    order: list[float] = []
    for step, targets in enumerate(fitted.targets):
        count = size or 4
        while len(order) < count:
            one = [0.0, 1.0, 2.0, 3.0]
            if count < 4:
                random.Random(7 + step).shuffle(one)
            order += one
        assert targets == order[:count]
        order = order[count:]


def test_the_curvature_is_that_of_the_first_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = [9.0 - 0.1 * i for i in range(10)]
    monkeypatch.setattr(SingleBatches, "step", Steps(falling).step)

    def mean(outputs: list[Any], targets: list[Any]) -> Any:
        return sum(outputs[1:], outputs[0]) / len(outputs)

    data = [float(i) for i in range(1, 101)], [0.0] * 100
    found = find_learning_rate(Bowl(1.0), data, loss=mean, steps=10)
    assert found.curvature == pytest.approx(32.5)  # the mean of 1 ... 64
    falling = [9.0 - 0.1 * i for i in range(10)]
    monkeypatch.setattr(SingleBatches, "step", Steps(falling).step)
    found = find_learning_rate(Bowl(1.0), data, loss=mean, steps=10, curvature_samples=3)
    assert found.curvature == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("low", "high", "steps", "good"),
    [(0.1, 0.2, 10, True), (0.1, 0.2, 9, False), (0.1, 0.1, 10, False), (0.1, math.inf, 10, False)],
)
def test_a_range_needs_an_end_above_its_begin_and_ten_steps(
    low: float, high: float, steps: int, good: bool
) -> None:
    search = functools.partial(
        find_learning_rate, Bowl(1.0), ONE, loss=itself, low=low, high=high, steps=steps
    )
    if good:
        assert search().rates == pytest.approx([low * 2 ** (i / 9) for i in range(10)])
    else:
        with pytest.raises(ValueError, match=f"at least 10, got {low!r}, {high!r}, {steps!r}$"):
            search()


def test_a_compiled_search_records_once() -> None:
    pytest.importorskip("numpy")
    spy = Spy()  # a plain counter would be seen to change, and refused

    def counted(outputs: list[Any], targets: list[Any]) -> Any:
        spy.things.append(1)
        return mse([y for (y,) in outputs], targets)

    line = MLP([1, 1], None, seed=0)
    data = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    options: dict[str, Any] = {"loss": counted, "steps": 12, "low": 1e-3, "high": 0.3}
    eager = find_learning_rate(line, data, **options)
    assert len(spy.things) == 13  # each step, and the curvature
    spy.things.clear()
    found = find_learning_rate(line, data, compiled=True, **options)
    assert found.losses == pytest.approx(eager.losses, rel=1e-12)
    assert len(spy.things) < 8


@pytest.mark.parametrize(
    ("matrix", "largest"),
    [([[2.0, 0.0], [0.0, 1.0]], 2.0), ([[-3.0, 0.0], [0.0, 1.0]], -3.0), ([[0.5]], 0.5)],
)
def test_power_iteration_finds_the_eigenvalue_of_largest_size(
    matrix: list[list[float]], largest: float
) -> None:
    rounds = 0

    def times(v: list[float]) -> list[float]:
        nonlocal rounds
        rounds += 1
        assert math.hypot(*v) == pytest.approx(1.0)
        return [sum(a * x for a, x in zip(row, v, strict=True)) for row in matrix]

    assert curvature._dominant(times, len(matrix), 100) == pytest.approx(largest, rel=1e-8)
    assert rounds < 40  # it stops when nothing changes
    if len(matrix) > 1:
        rounds = 0
        curvature._dominant(times, len(matrix), 3)
        assert rounds == 3
    assert curvature._dominant(lambda v: [0.0 for _ in v], 2, 9) == 0.0
