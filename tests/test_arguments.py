"""What `fit` takes by name, what it refuses by the argument's name, and no-ops that are told."""

import functools
import math
import warnings
from typing import Any

import pytest

from autograd import Value
from nn import (
    MLP,
    TrainingError,
    find_learning_rate,
    fit,
    learning_rate_sweep,
    losses,
    metrics,
    mse,
    optim,
    schedules,
)
from nn.arguments import loss_of, maker_of, metrics_of, optimizer_of
from nn.optim import SGD, Adam

POINTS = [[0.1 * i, 0.2 * (-1) ** i] for i in range(12)]
CLASSES = [i % 2 for i in range(12)]


def detached(outputs: Any, targets: Any) -> Value:
    total: Value = sum((z.detach() - y) ** 2 for (z,), y in zip(outputs, targets, strict=True))
    return total / len(targets)


def started(**options: Any) -> Any:
    model = MLP([2, 4, 1], "tanh", seed=0)
    usual: dict[str, Any] = {"loss": mse, "optimizer": SGD(model, lr=0.1), "epochs": 2}
    return fit(model, (POINTS, CLASSES), **{**usual, **options})


@pytest.mark.parametrize("name", losses.NAMED)
def test_every_loss_may_be_called_by_its_name(name: str) -> None:
    assert loss_of(name) is getattr(losses, name)


@pytest.mark.parametrize("name", optim.NAMED)
def test_every_optimizer_may_be_called_by_its_name(name: str) -> None:
    model = MLP([2, 1], None, seed=0)
    for spelled in (name, optim.NAMED[name].__name__):
        made = optimizer_of(spelled, model)
        assert type(made) is optim.NAMED[name]
        assert made.groups[0].parameters == model.parameters()
        assert maker_of(spelled) is type(made)


def test_names_train_as_the_functions_do() -> None:
    model = MLP([2, 4, 1], "tanh", seed=0)
    again = MLP([2, 4, 1], "tanh", seed=0)
    data = POINTS, CLASSES
    one = fit(model, data, loss="mse", optimizer="adam", epochs=2, metrics=["mae", "r2"])
    two = fit(
        again, data, loss=mse, optimizer=Adam(again), epochs=2, metrics=(metrics.mae, metrics.r2)
    )
    assert vars(one) == vars(two)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"loss": "mes"}, ValueError, "^loss: there is no 'mes'; did you mean 'mse'"),
        ({"loss": "MSELoss"}, ValueError, "^loss: there is no 'MSELoss'; write nn.mse"),
        ({"loss": "CrossEntropyLoss"}, ValueError, "write nn.sparse_categorical_crossentropy"),
        (
            {"loss": lambda z, y: Value(3.0)},
            ValueError,
            "none of the optimizer's parameters, ",
        ),
        ({"loss": detached}, ValueError, "without .data or detach"),
        ({"loss": detached, "compiled": True}, ValueError, "without .data or detach"),
        (
            {"metrics": [lambda z, y: "0.5"]},
            TypeError,
            "its result: expected a real number",
        ),
        ({"loss": 3}, TypeError, "^loss: expected a function such as nn.mse, or a name, got 3"),
        ({"loss": SGD}, TypeError, "^loss: expected a function"),
        ({"optimizer": "adamm"}, ValueError, "^optimizer: there is no 'adamm'; did you mean 'adam"),
        ({"optimizer": Adam}, TypeError, r"^optimizer: .*create one, as in Adam\(model\)"),
        ({"optimizer": mse}, TypeError, "^optimizer: expected an optimizer or its name, got <func"),
        ({"metrics": ["acuracy"]}, ValueError, "^metrics: .*did you mean 'accuracy'"),
        ({"metrics": "accuracy"}, TypeError, r"^metrics: expected a list, as in metrics=\[nn"),
        ({"metrics": metrics.accuracy}, TypeError, "^metrics: expected a list"),
        ({"metrics": [3]}, TypeError, "^metrics: expected a function such as nn.metrics.accuracy"),
        ({"metrics": ["mae", metrics.mae]}, ValueError, "two of them are called 'mae'"),
        (
            {"metrics": ["top_k"]},
            ValueError,
            "^metrics: top_k: top_k: sample 0: expected an output",
        ),
        ({"callbacks": [3]}, TypeError, "^callbacks: expected functions, got 3"),
        ({"callbacks": print}, TypeError, r"^callbacks: expected a list, as in callbacks=\[func"),
        ({"schedule": "cosine"}, TypeError, "^schedule must be a schedule or a rate, got 'cosine'"),
        (
            {"schedule": schedules.Cosine},
            TypeError,
            "^schedule must be a schedule or a rate, got <",
        ),
        ({"clip": -1.0}, ValueError, "^fit: clip must be a finite number above 0"),
        ({"epochs": 2.0}, ValueError, "^fit: epochs must be a whole number of at least 1, got 2.0"),
        ({"seed": "x"}, TypeError, "^seed: expected an int"),
    ],
)
def test_what_fit_cannot_use_is_refused_by_the_arguments_name(
    options: dict[str, Any], kind: Any, words: str
) -> None:
    with pytest.raises(kind, match=words):
        started(**options)


def test_a_schedule_may_be_a_number_or_a_function() -> None:
    assert started(schedule=0.1).loss == started().loss
    assert started(schedule=lambda step: 0.1).loss == started().loss


@pytest.mark.parametrize("model", [MLP, len, None])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(TypeError, match=r"^model: expected a module, got"):
        fit(model, (POINTS, CLASSES), loss=mse, optimizer="sgd", epochs=1)


def test_pairs_in_place_of_two_lists_are_answered() -> None:
    model = MLP([2, 1], None, seed=0)
    with pytest.raises(TypeError, match=r"got list of 12; list\(zip\(\*pairs\)\) converts"):
        fit(model, list(zip(POINTS, CLASSES, strict=True)), loss=mse, optimizer="sgd", epochs=1)


def test_metrics_with_options_keep_their_names() -> None:
    at_half = functools.partial(metrics.accuracy, threshold=0.5)
    assert list(started(metrics=[at_half, "mae"]).metrics) == ["accuracy", "mae"]
    assert list(metrics_of(iter(["f1"]))) == ["f1"]


def test_sweeps_take_names() -> None:
    model, data = MLP([2, 3, 1], "tanh", seed=0), (POINTS, CLASSES)
    found = find_learning_rate(model, data, loss="mse", optimizer="sgd", high=100.0)
    assert found.suggestion > 0.0
    table = learning_rate_sweep(model, data, loss="mse", rates=[0.1], epochs=2, optimizer=Adam)
    assert len(table.runs) == 1
    with pytest.raises(TypeError, match=r"a class such as nn.optim.Adam, its name, or a function"):
        learning_rate_sweep(model, data, loss="mse", rates=[0.1], optimizer=SGD(model))  # type: ignore[arg-type]


# ------------------------------------------------------------------ no-ops


def test_an_optimizer_of_another_model_is_refused_and_one_of_a_part_is_not() -> None:
    old = MLP([2, 4, 1], "tanh", seed=0)
    with pytest.raises(ValueError, match=r"^optimizer: SGD has none of this model's parameters"):
        started(optimizer=SGD(old, lr=0.1))
    model = MLP([2, 4, 1], "tanh", seed=0)
    first, last = model.layers[0].state_dict(), model.layers[1].state_dict()
    part = SGD([*model.layers[1].parameters(), Value(1.0)], lr=0.1)
    fit(model, (POINTS, CLASSES), loss=mse, optimizer=part, epochs=1)
    assert model.layers[0].state_dict() == first
    assert model.layers[1].state_dict() != last


def forgetful(zero: Any, clip: bool = False) -> list[str]:
    """The warnings of three steps with `zero` between them."""
    model = MLP([1, 1], None, seed=0)
    optimizer = SGD(model, lr=0.01)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            zero(model, optimizer)
            mse(model([1.0]), [2.0]).backward()
            if clip:
                optim.clip_norm(model, 1e-3)
                optim.clip_value(model, 1e3)
            optimizer.step()
    return [str(one.message) for one in seen]


def by_hand(model: Any, optimizer: Any) -> None:
    for p in model.parameters():
        p.grad = 0


@pytest.mark.parametrize("clip", [False, True])
def test_a_forgotten_zero_grad_is_told_at_each_step(clip: bool) -> None:
    told = forgetful(lambda model, optimizer: None, clip)
    assert len(told) == 2
    assert "SGD.step: the gradients include those of the last step; call zero_grad()" in told[0]


@pytest.mark.parametrize(
    "zero",
    [lambda m, o: o.zero_grad(), lambda m, o: m.zero_grad(), by_hand],
    ids=["optimizer", "model", "by hand"],
)
def test_gradients_that_were_set_to_0_are_no_reason_to_warn(zero: Any) -> None:
    assert forgetful(zero) == forgetful(zero, clip=True) == []


def test_gradients_that_add_up_before_a_step_are_no_reason_to_warn() -> None:
    x = Value(1.0)
    optimizer = SGD([x], lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            optimizer.zero_grad()
            (x * x).backward()
            (x * 3.0).backward()
            (1.0 - x).backward()
            optimizer.step()
    (x - 1.0).backward()
    (1.0 - x).backward()
    with pytest.warns(UserWarning, match="call zero_grad"):
        optimizer.step()
    assert repr(x.grad) == repr(float(x.grad))


# ------------------------------------------------------------------ blame


def test_a_loss_that_is_nan_before_any_step_is_not_blamed_on_the_learning_rate() -> None:
    def bad(outputs: Any, targets: Any) -> Any:
        return (outputs[0][0] * 0.0 - 1.0).log()

    with pytest.raises(TrainingError, match=r"epoch 1, step 1: the loss is nan") as e:
        started(loss=bad)
    assert "lower" not in str(e.value)
    calls = []

    def later(outputs: Any, targets: Any) -> Any:
        calls.append(1)
        return mse(outputs, targets) * (1.0 if len(calls) < 2 else math.nan)

    with pytest.raises(TrainingError, match=r"the learning rate was 0\.1, try a lower one"):
        started(loss=later)
