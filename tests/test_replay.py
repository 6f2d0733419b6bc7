"""`fit(..., compiled=True)` gives the eager history, and refuses what a replay cannot do."""

import functools
import math
from typing import Any

import numpy as np
import pytest

from autograd import RecordingError, Value
from nn import (
    MLP,
    TrainingError,
    binary_crossentropy,
    categorical_crossentropy,
    find_learning_rate,
    fit,
    huber,
    learning_rate_sweep,
    metrics,
    mse,
    sparse_categorical_crossentropy,
)
from nn.columns import Numbers
from nn.data import Dataset, load_digits, load_iris, load_names
from nn.microgpt import MicroGPT, encode
from nn.module import Module
from nn.optim import SGD, Adam
from nn.training.recipe import Recipe
from nn.training.replay import Replay, rows
from tests.golden.networks import OPTIMIZERS
from tests.test_optim import make

crossentropy = functools.partial(sparse_categorical_crossentropy, from_logits=True)
IRIS = load_iris().split()[0].standardized()
FEATURES, CLASSES = IRIS.features[:40], IRIS.targets[:40]

LOSSES: dict[str, tuple[Any, list[Any]]] = {
    "mse": (mse, [[float(k == c) for k in range(3)] for c in CLASSES]),
    "huber": (
        functools.partial(huber, delta=0.3),
        [[float(k == c) for k in range(3)] for c in CLASSES],
    ),
    "bce": (
        functools.partial(binary_crossentropy, from_logits=True),
        [[int(k == c) for k in range(3)] for c in CLASSES],
    ),
    "cce": (
        functools.partial(categorical_crossentropy, from_logits=True, label_smoothing=0.1),
        [[int(k == c) for k in range(3)] for c in CLASSES],
    ),
    "scce": (crossentropy, CLASSES),
    "scce smoothed": (functools.partial(crossentropy, label_smoothing=0.1), CLASSES),
}  # fmt: skip


def trained(loss: Any, targets: list[Any], compiled: bool, **options: Any) -> Any:
    model = MLP([4, 5, 3], "tanh", seed=1)
    options = {"epochs": 3, "batch_size": 16} | options
    history = fit(
        model,
        (FEATURES, targets),
        loss=loss,
        optimizer=Adam(model, lr=0.02),
        validation=(FEATURES[:10], targets[:10]),
        compiled=compiled,
        **options,
    )
    return model, history


@pytest.mark.parametrize("name", LOSSES)
def test_the_history_is_the_eager_one(name: str) -> None:
    loss, targets = LOSSES[name]
    model, want = trained(loss, targets, False, clip=0.5)
    replayed, found = trained(loss, targets, True, clip=0.5)
    assert found.loss == pytest.approx(want.loss, rel=1e-10)
    assert found.validation_loss == pytest.approx(want.validation_loss, rel=1e-10)
    numbers = [[p.data for p in one.parameters()] for one in (model, replayed)]
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-8, abs=1e-10)
    slopes = [[p.grad for p in one.parameters()] for one in (model, replayed)]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("label", OPTIMIZERS)
def test_a_step_on_arrays_has_the_bits_of_one_on_values(label: str) -> None:
    def loss(model: MLP) -> Value:
        return crossentropy([model([0.1, -0.4])], [1])  # type: ignore[no-any-return]

    eager, flat_model = MLP([2, 3, 2], "tanh", seed=0), MLP([2, 3, 2], "tanh", seed=0)
    by_value, by_array = make(label, eager), make(label, flat_model)
    replay = Replay(flat_model, crossentropy, flat_model.parameters())
    for _ in range(5):
        by_value.zero_grad()
        loss(eager).backward()
        by_value.step()
        with replay.flat as flat:
            flat.gradients = np.array([p.grad for p in eager.parameters()])
            by_array.step_flat(flat)
        numbers = [[p.data for p in one.parameters()] for one in (eager, flat_model)]
        assert numbers[0] == numbers[1]
    assert by_value.state_dict() == by_array.state_dict()


def test_a_step_on_arrays_to_inf_changes_nothing_and_names_the_parameter() -> None:
    model = MLP([2, 1], None, seed=0)
    optimizer = SGD(model, lr=1e200)
    before = [p.data for p in model.parameters()]
    with Replay(model, mse, model.parameters()).flat as flat:
        flat.gradients = np.array([1.0, 1e200, 1.0])
        with pytest.raises(ArithmeticError, match=r"new layers\.0\.neurons\.0\.weights\.1 is -inf"):
            optimizer.step_flat(flat)
        flat.gradients = np.array([math.nan, 1.0, 1.0])
        with pytest.raises(ArithmeticError, match=r"gradient of .*weights\.0 is nan"):
            optimizer.step_flat(flat)
    assert [p.data for p in model.parameters()] == before
    assert optimizer.taken == 0


def test_gradients_whose_norm_is_beyond_the_largest_float_are_not_clipped_to_0() -> None:
    model = MLP([2, 1], None, seed=0)
    recipe = Recipe(model, mse, SGD(model, lr=1e-300), clip=1.0)
    before = [p.data for p in model.parameters()]
    with recipe.replay().flat as flat:
        flat.gradients = np.array([1.5e308, 1.5e308, 0.0])
        with pytest.raises(ArithmeticError, match="the norm of the gradients is inf"):
            recipe.step(flat)
        flat.gradients = np.array([3.0, 4.0, 0.0])
        recipe.step(flat)
        assert flat.gradients.tolist() == pytest.approx([0.6, 0.8, 0.0])
    assert [p.data for p in model.parameters()] == pytest.approx(before)
    assert recipe.optimizer.taken == 1


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Numbers([1.0]) + Numbers([1.0, 2.0])


def test_divergence_names_the_operation_as_it_does_eagerly() -> None:
    model = MLP([1, 1], None, seed=0)
    data = [[1e3], [2e3]], [1.0, 2.0]
    options: Any = {"loss": mse, "epochs": 200}
    with pytest.raises(TrainingError, match=r"square\(x\) = inf|the loss is inf|is -?inf") as error:
        fit(model, data, optimizer=SGD(model, lr=1.0), compiled=True, **options)
    assert all(math.isfinite(p.data) for p in model.parameters())
    assert error.value.history.loss


@pytest.mark.untraced
def test_samples_of_several_lengths_are_trained_together() -> None:
    model = MicroGPT(width=8, heads=2, block=8, seed=0)
    names = [name for name in load_names()[:60] if len(name) <= 7]
    texts = [encode(name) for name in names]

    def loss(outputs: list[Any], targets: list[Any]) -> Any:
        return mse([total for (total,) in outputs], targets)

    class Loss(Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any) -> list[Value]:
            return [self.model.loss(tokens)]

    whole = Loss()
    history = fit(
        whole,
        (texts, [0.0] * len(texts)),
        loss=loss,
        optimizer=Adam(whole, lr=0.01),
        epochs=5,
        batch_size=10,
        compiled=True,
    )
    assert history.loss[-1] < 0.8 * history.loss[0]


@pytest.mark.untraced
def test_digits_reach_95_percent() -> None:
    data = load_digits()
    scaled = Dataset([[x / 16 for x in row] for row in data.features], data.targets, data.names)
    train, test = scaled.split(0.165, seed=0)
    model = MLP([64, 32, 10], "relu", seed=0)
    history = fit(
        model,
        train,
        loss=crossentropy,
        optimizer=Adam(model, lr=0.01),
        epochs=12,
        batch_size=32,
        validation=test,
        metrics=[metrics.accuracy],
        compiled=True,
    )
    assert history.metrics["accuracy"][-1] >= 0.95


def test_a_sweep_of_rates_can_run_compiled() -> None:
    model = MLP([4, 3], None, seed=0)
    data = Dataset(FEATURES, CLASSES, IRIS.names)
    options: Any = {"loss": crossentropy, "rates": [0.01, 1.0], "epochs": 4}
    eager = learning_rate_sweep(model, data, **options)
    replayed = learning_rate_sweep(model, data, compiled=True, **options)
    for one, other in zip(eager.runs, replayed.runs, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-10)


def test_a_search_for_a_rate_can_run_compiled() -> None:
    model = MLP([4, 3], None, seed=0)
    data = Dataset(FEATURES, CLASSES, IRIS.names)
    options: Any = {"loss": crossentropy, "steps": 20, "low": 0.01, "high": 20.0}
    eager = find_learning_rate(model, data, **options)
    replayed = find_learning_rate(model, data, compiled=True, **options)
    assert replayed.losses == pytest.approx(eager.losses, rel=1e-9)
    assert replayed.suggestion == eager.suggestion


def test_what_a_replay_cannot_do_is_refused() -> None:
    weighted = functools.partial(crossentropy, class_weight=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="compiled=True takes the mean over samples"):
        trained(weighted, CLASSES, True)
    model = MLP([4, 3], None, seed=0)
    model.layers[0].register_forward_hook(lambda module, inputs, outputs: None)
    with pytest.raises(ValueError, match=r"layers\.0 has a forward hook"):
        fit(
            model,
            (FEATURES, CLASSES),
            loss=crossentropy,
            optimizer=SGD(model, lr=0.1),
            epochs=1,
            compiled=True,
        )


class Sum(Module):
    """w times the sum of however many numbers, and b."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = Value(0.5, "w"), Value(0.25, "b")

    def forward(self, x: Any) -> Any:
        return [sum(x[1:], x[0]) * self.w + self.b]


def test_a_batch_of_three_shapes_has_the_eager_loss_gradient_and_outputs() -> None:
    inputs = [[1.0], [2.0, 3.0], [4.0], [5.0, 6.0, 7.0], [8.0, 9.0]]
    targets = [[1.0], [2.0], [0.5], [3.0], [-1.0]]
    model = Sum()
    replay = Replay(model, mse, model.parameters())
    loss = mse([model(x) for x in inputs], targets)
    loss.backward()
    want = [p.grad for p in replay.flat.parameters]
    assert replay.loss(inputs, targets) == pytest.approx(loss.data, rel=1e-13)
    assert replay.backward(inputs, targets) == pytest.approx(loss.data, rel=1e-13)
    assert replay.flat.gradients.tolist() == pytest.approx(want, rel=1e-13)
    outputs = replay.outputs(inputs)
    assert outputs == [[pytest.approx(model(x)[0].data, rel=1e-13)] for x in inputs]
    assert rows(inputs) == inputs
    assert rows([[1.0], [2.0]]).tolist() == [[1.0], [2.0]]
    assert math.isnan(replay.loss([[1e300], [1.0, 1e300]], [[0.0], [0.0]]))


def test_samples_of_one_form_are_one_array_and_others_stay_a_list() -> None:
    from nn.training.replay import rows

    same = rows([[1.0, 2.0], [3.0, 4.0]])
    assert same.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    for mixed in ([[1.0], [2.0, 3.0]], [1, 2.0]):
        assert rows(mixed) == mixed
        assert type(rows(mixed)) is list


def test_the_loss_and_outputs_of_samples_of_three_forms_come_in_their_order() -> None:
    def model(x: Any) -> Any:
        return sum(v * v for v in x) if isinstance(x, list | tuple) else x * 2.0

    class Mixed(Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = Value(3.0)

        def forward(self, x: Any) -> Any:
            return self.w * model(x)

    made = Mixed()
    replay = Replay(made, lambda outputs, targets: sum(
        ((z - t) ** 2 for z, t in zip(outputs, targets, strict=True)), Value(0.0)
    ) / len(outputs), [made.w])  # fmt: skip
    inputs: list[Any] = [[1.0], [1.0, 2.0], 0.5, [2.0], [0.0, 1.0]]
    targets = [1.0, 2.0, 3.0, 4.0, 5.0]
    outputs = [3.0, 15.0, 3.0, 12.0, 3.0]
    assert replay.outputs(inputs) == outputs
    errors = [(z - t) ** 2 for z, t in zip(outputs, targets, strict=True)]
    assert replay.loss(inputs, targets) == pytest.approx(sum(errors) / 5)
    assert replay.backward(inputs, targets) == pytest.approx(sum(errors) / 5)
    slopes = [2 * (z - t) * z / 3.0 for z, t in zip(outputs, targets, strict=True)]
    assert replay.flat.gradients == pytest.approx([sum(slopes) / 5])
    made.w.data = 1.0
    replay.flat.numbers[:] = 1.0
    assert replay.outputs(inputs) == [1.0, 5.0, 1.0, 4.0, 1.0]
    assert math.isnan(replay.loss([math.inf, 1.0], [0.0, 0.0]))


@pytest.mark.parametrize(("off", "good"), [(1e-10, True), (1e-8, False)])
def test_a_loss_is_a_mean_to_nine_digits(off: float, good: bool) -> None:
    line = MLP([1, 1], None, seed=0)

    def nearly(outputs: list[Any], targets: list[Any]) -> Any:
        return mse([y for (y,) in outputs], targets) * (1.0 + off * (len(outputs) - 1))

    replay = Replay(line, nearly, line.parameters())
    if good:
        replay.agrees([[1.0], [2.0]], [5.0, 6.0])
    else:
        with pytest.raises(ValueError, match="takes the mean over samples"):
            replay.agrees([[1.0], [2.0]], [5.0, 6.0])


# ---------------------------------------------------------------------- what changes meanwhile

INPUTS = [[0.1 * i, 0.2 * (-1) ** i] for i in range(12)]
WAVES = [[math.sin(i)] for i in range(12)]


class Part(Module):
    """Three times its outputs while it trains, and a number that it is set to."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.factor = MLP([2, 3, 1], "tanh", seed=0), 1.0
        self._hidden, self.list, self.array = 1.0, [1.0], np.array([1.0])

    def forward(self, x: Any) -> Any:
        factor = self.factor * self._hidden * self.list[0] * float(self.array[0])
        return [z * (3.0 if self.training else 1.0) * factor for z in self.net(x)]


class Whole(Module):
    """Has the part inside, where `compile` does not look."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [Part()]

    def forward(self, x: Any) -> Any:
        (part,) = self.parts
        norm = sum((p.detach() * p.data for p in part.net.parameters()), Value(0.0)).sqrt()
        return [z / norm for z in part(x)]


def history(compiled: bool, change: Any, loss: Any = mse) -> list[Any]:
    model = Whole()
    kept: list[list[float]] = []

    def callback(epoch: int, _: Any) -> None:
        change(model, epoch)
        kept.append([p.data for p in model.parameters()])

    found = fit(
        model, (INPUTS, WAVES), loss=loss, optimizer=SGD(model, lr=0.1), epochs=4, batch_size=5,
        validation=(INPUTS[:5], WAVES[:5]), callbacks=[callback], compiled=compiled,
    )  # fmt: skip
    return [*found.loss, *found.validation_loss, *(x for row in kept for x in row)]


def clip(model: Any, epoch: int) -> None:
    for p in model.parameters():
        p.data = max(-0.3, min(0.3, p.data))


def grow(model: Any, epoch: int) -> None:
    model.parts[0].factor *= 2.0


def grow_hidden(model: Any, epoch: int) -> None:
    model.parts[0]._hidden *= 2.0


def grow_list(model: Any, epoch: int) -> None:
    model.parts[0].list[0] *= 2.0


def grow_array(model: Any, epoch: int) -> None:
    model.parts[0].array *= 2.0


@pytest.mark.parametrize(
    "change", [lambda *_: None, clip, grow, grow_hidden, grow_list, grow_array]
)
def test_what_callbacks_do_to_a_model_is_heeded(change: Any) -> None:
    assert history(True, change) == pytest.approx(history(False, change), rel=1e-9)


class Weighted:
    """A loss with a weight."""

    def __init__(self) -> None:
        self.weights = [1.0]

    def __call__(self, outputs: list[Any], targets: list[Any]) -> Any:
        return mse(outputs, targets) * self.weights[0]


def test_a_loss_is_an_object_that_a_callback_changes() -> None:
    found = []
    for compiled in (True, False):
        loss = Weighted()

        def double(model: Any, epoch: int, loss: Any = loss) -> None:
            loss.weights[0] *= 2.0

        found.append(history(compiled, double, loss))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.parametrize("optimizer", ["all", "part"])
def test_gradients_are_those_of_eager_training(optimizer: str) -> None:
    """Of what is not trained, too, and of what a callback sets."""
    found = []
    for compiled in (True, False):
        model = Whole()
        parameters = model.parameters()

        def set_last(*_: Any, parameters: Any = parameters) -> None:
            parameters[-1].grad = 0.125

        trained_ones = parameters if optimizer == "all" else parameters[:3]
        fit(
            model, (INPUTS, WAVES), loss=mse, optimizer=SGD(trained_ones, lr=0.1), epochs=2,
            batch_size=5, callbacks=[set_last], compiled=compiled,
        )  # fmt: skip
        found.append([p.grad for p in parameters])
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0][-1] == 0.125


def total(outputs: list[Any], targets: list[Any]) -> Any:
    return sum(((z - 1.0) ** 2 for (z,) in outputs), 0.0)


def weighted(outputs: list[Any], targets: list[Any]) -> Any:
    weights = [5.0 if y > 0.9 else 1.0 for (y,) in targets]
    pairs = zip(weights, outputs, targets, strict=True)
    return sum(k * (z - y) ** 2 for k, (z,), (y,) in pairs) / sum(weights)


@pytest.mark.parametrize(
    ("loss", "targets"), [(total, [[1.0]] * 12), (weighted, [[0.08 * i] for i in range(1, 13)])]
)
def test_no_mean_is_noticed_for_equal_targets_and_for_rare_ones(loss: Any, targets: Any) -> None:
    model = Whole()
    with pytest.raises(ValueError, match="takes the mean over samples"):
        fit(
            model, (INPUTS, targets), loss=loss, optimizer=SGD(model, lr=0.1), epochs=1,
            compiled=True,
        )  # fmt: skip


def test_a_loss_that_a_callback_changes_is_the_new_one() -> None:
    found = []
    for compiled in (True, False):
        weight = {"of the slope": [1.0]}

        def loss(outputs: list[Any], targets: list[Any], weight: Any = weight) -> Any:
            return mse(outputs, targets) * weight["of the slope"][0]

        def double(model: Any, epoch: int, weight: Any = weight) -> None:
            weight["of the slope"][0] *= 2.0

        found.append(history(compiled, double, loss))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_hooks_that_a_callback_registers_and_models_that_count_are_refused() -> None:
    class Counting(Part):
        calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return super().forward(x)

    def fitted(model: Module, callback: Any) -> None:
        fit(
            model,
            (INPUTS, WAVES),
            loss=mse,
            optimizer=SGD(model, lr=0.1),
            epochs=4,
            callbacks=[callback],
            compiled=True,
        )

    inner = Whole()
    inner.parts = [Counting()]
    for counting in (Counting(), inner):
        with pytest.raises((ValueError, RecordingError), match=r"changes .*calls"):
            fitted(counting, lambda *_: None)
    model = Whole()
    with pytest.raises(ValueError, match=r"parts\.0\.net has a forward hook"):
        fitted(model, lambda *_: model.parts[0].net.register_forward_hook(lambda *_: None))
    other = Whole()
    with pytest.raises(TypeError, match="has a hook, and hooks are not run"):
        fitted(other, lambda *_: other.parameters()[0].register_hook(lambda g: g))
