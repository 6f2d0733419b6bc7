"""The one training loop in its four ways: in Values, compiled, on files, and on a cluster.

Every test here is for each of the ways.
"""

import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, TrainingError, distributed, fit, metrics, mse
from nn.optim import SGD, Adam
from nn.schedules import Cosine, ReduceOnPlateau, Step
from nn.training import History
from nn.training.replay import Replay

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 2))
Y = np.stack([np.tanh(X[:, 0] - X[:, 1]), X[:, 0] * X[:, 1]], axis=1)
VALIDATION = RNG.normal(size=(7, 2)), RNG.normal(size=(7, 2))
WAYS = ["eager", "compiled", "files", pytest.param("cluster", marks=pytest.mark.untraced)]
Run = Callable[..., tuple[MLP, History]]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    pytest.importorskip("distributed")
    with distributed.connect(workers=2) as made:
        yield made


def model_of() -> MLP:
    return MLP([2, 3, 2], "tanh", seed=1)


def paths(folder: Path, x: Any, y: Any) -> list[Path]:
    made = [folder / "x.npy", folder / "y.npy"]
    for path, rows in zip(made, (x, y), strict=True):
        np.save(path, rows)
    return made


@pytest.fixture(params=WAYS)
def train(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A function that trains a model in one of the ways, and returns it and the history."""
    way = request.param
    client = request.getfixturevalue("client") if way == "cluster" else None

    def run(
        model: MLP | None = None, x: Any = X, y: Any = Y, optimizer: Any = None, **options: Any
    ) -> tuple[MLP, History]:
        model = model or model_of()
        data: Any = x.tolist(), y.tolist()
        if way in ("files", "cluster"):
            data, options["cluster"] = paths(tmp_path, x, y), client
        else:
            options["compiled"] = way == "compiled"
        usual: dict[str, Any] = {"loss": mse, "epochs": 4, "batch_size": 8}
        optimizer = (optimizer or functools.partial(Adam, lr=0.05))(model)
        return model, fit(model, data, **(usual | {"optimizer": optimizer} | options))

    return run


def numbers(model: MLP) -> list[float]:
    return [p.data for p in model.parameters()]


def errors(model: MLP, x: Any, y: Any) -> float:
    outputs = [[z.data for z in model(row)] for row in x.tolist()]
    return float(np.mean((np.array(outputs) - y) ** 2))


def test_four_ways_come_to_one_result(train: Run) -> None:
    options: dict[str, Any] = {"batch_size": None, "clip": 0.3, "schedule": Cosine(0.1, 9)}
    want, eager = model_of(), History()
    eager = fit(
        want, (X.tolist(), Y.tolist()), loss=mse, optimizer=Adam(want, lr=0.05), epochs=4,
        validation=VALIDATION, **options,
    )  # fmt: skip
    model, history = train(validation=VALIDATION, **options)
    assert history.loss == pytest.approx(eager.loss, rel=1e-11)
    assert history.validation_loss == pytest.approx(eager.validation_loss, rel=1e-11)
    assert history.rate == eager.rate
    assert numbers(model) == pytest.approx(numbers(want), rel=1e-9)


def test_a_cluster_gives_the_bits_of_files(client: Any, tmp_path: Path) -> None:
    runs = []
    for cluster in (None, client):
        model = model_of()
        history = distributed.fit(
            model, paths(tmp_path, X, Y), loss="mse", optimizer=Adam(model, lr=0.05), epochs=3,
            batch_size=20, client=cluster, chunk=3, clip=0.1, validation=VALIDATION,
        )  # fmt: skip
        runs.append((numbers(model), [p.grad for p in model.parameters()], vars(history)))
    assert runs[0] == runs[1]


SCHEDULES: dict[str, Callable[[], Any]] = {
    "cosine": lambda: Cosine(0.1, steps=30),
    "plateau": lambda: ReduceOnPlateau(0.1, factor=0.5, patience=1),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_resumed_run_has_the_bits_of_a_whole_one(name: str, train: Run, tmp_path: Path) -> None:
    options: dict[str, Any] = {"clip": 0.1, "validation": VALIDATION, "metrics": ["mae"]}
    schedule = SCHEDULES[name]
    whole, expected = train(schedule=schedule(), **options)
    run = functools.partial(train, checkpoint=tmp_path / "run", **options)
    run(schedule=schedule(), epochs=2)
    again, history = run(schedule=schedule(), resume=True)
    assert numbers(again) == numbers(whole)
    assert vars(history) == vars(expected)


def test_ctrl_c_keeps_the_steps_that_were_taken_and_the_run_can_go_on(
    train: Run, tmp_path: Path
) -> None:
    def third_epoch(step: int) -> float:
        if step == 10:  # of 4 steps an epoch
            raise KeyboardInterrupt
        return 0.05

    whole, expected = train(schedule=0.05)
    taken, _ = train(schedule=0.05, epochs=2)
    model, history = train(schedule=third_epoch, checkpoint=tmp_path / "run")
    assert (history.stopped, history.interrupted) == ("interrupted in epoch 3", True)
    assert history.loss == expected.loss[:2]
    assert numbers(model) != numbers(taken)
    model, history = train(schedule=0.05, checkpoint=tmp_path / "run", resume=True)
    assert numbers(model) == numbers(whole)
    assert vars(history) == vars(expected)


def test_ctrl_c_in_a_callback_keeps_what_the_callback_has_changed(train: Run) -> None:
    def pressed(epoch: int, history: History) -> None:
        model.parameters()[0].data = 0.125
        raise KeyboardInterrupt

    model = model_of()
    _, history = train(model, callbacks=[pressed])
    assert (len(history), history.stopped) == (1, "interrupted in epoch 2")
    assert model.parameters()[0].data == 0.125


def test_a_callback_can_stop_and_the_weights_can_be_watched(train: Run) -> None:
    model, history = train(watch=True, epochs=9, callbacks=[lambda epoch, _: epoch == 2])
    assert (len(history), history.stopped) == (2, "a callback asked to stop")
    assert history.weights[-1] == numbers(model)
    assert history.weights[0] != history.weights[1]


def test_a_stopped_run_stays_stopped_when_it_is_resumed(train: Run, tmp_path: Path) -> None:
    path = tmp_path / "run"
    model, history = train(checkpoint=path, callbacks=[lambda epoch, _: epoch == 2])
    again, resumed = train(checkpoint=path, resume=True)
    assert vars(resumed) == vars(history)
    assert numbers(again) == numbers(model)


def test_training_goes_on_from_what_a_callback_makes_of_the_model(train: Run) -> None:
    def zeroed(epoch: int, history: History) -> None:
        if epoch == 2:
            for p in model.parameters():
                p.data = 0.0

    still = functools.partial(SGD, lr=1e-300)
    model = model_of()
    _, history = train(model, optimizer=still, batch_size=None, callbacks=[zeroed])
    start, zero = errors(model_of(), X, Y), float(np.mean(Y**2))
    assert history.loss == pytest.approx([start, start, zero, zero], rel=1e-12)


def test_early_stopping_returns_to_the_best_parameters(train: Run) -> None:
    seen: list[list[float]] = []

    def late(step: int) -> float:
        return 0.05 if step < 12 else 3.0  # too high: from here on it gets worse

    model = model_of()
    _, history = train(
        model, schedule=late, optimizer=SGD, epochs=50, patience=3, validation=VALIDATION,
        callbacks=[lambda epoch, _: seen.append(numbers(model))],
    )  # fmt: skip
    assert history.stopped == "no better loss for 3 epochs"
    best = history.validation_loss.index(min(history.validation_loss))
    assert len(history) == best + 4
    assert numbers(model) == seen[best]


def test_clipping_bounds_the_step_and_is_of_what_is_trained(train: Run) -> None:
    model = model_of()
    start = numbers(model)
    train(model, optimizer=functools.partial(SGD, lr=1.0), epochs=1, batch_size=None, clip=0.01)
    assert math.dist(start, numbers(model)) == pytest.approx(0.01)
    model = model_of()  # the gradients of the first layer do not count
    last = model.layers[1].parameters()
    before = [p.data for p in last]
    train(model, optimizer=lambda m: SGD(m.layers[1], lr=1.0), epochs=1, batch_size=None, clip=0.01)
    assert math.dist(before, [p.data for p in last]) == pytest.approx(0.01)
    assert numbers(model)[:9] == start[:9]


def test_an_epochs_loss_is_the_mean_over_samples_and_the_rate_that_of_its_last_step(
    train: Run,
) -> None:
    model, history = train(
        optimizer=functools.partial(SGD, lr=1.0), schedule=Step(1e-300, 1, 0.5), epochs=2
    )  # batches of 8, 8, 8 and 6
    assert history.loss == pytest.approx([errors(model, X, Y)] * 2, rel=1e-12)
    assert history.rate == [Step(1e-300, 1, 0.5)(3), Step(1e-300, 1, 0.5)(7)]


def test_loss_and_metrics_are_of_the_validation_data_and_the_mode_stays(train: Run) -> None:
    model = model_of()
    model.layers[0].training = False
    _, history = train(model, validation=VALIDATION, metrics=["mae"], epochs=2)
    assert history.validation_loss[-1] == pytest.approx(errors(model, *VALIDATION), rel=1e-12)
    outputs = [[z.data for z in model(row)] for row in VALIDATION[0].tolist()]
    assert history.metrics == {"mae": [pytest.approx(x) for x in history.metrics["mae"]]}
    assert history.metrics["mae"][-1] == pytest.approx(metrics.mae(outputs, VALIDATION[1]))
    assert [layer.training for layer in model.layers] == [False, True]


@pytest.mark.parametrize("size", [7, None])
def test_the_seed_alone_chooses_the_order_of_batches(size: int | None, train: Run) -> None:
    losses = [train(seed=seed, batch_size=size)[1].loss for seed in (0, 0, 5)]
    assert losses[0] == losses[1]
    assert (losses[0] == losses[2]) is (size is None)


def test_divergence_is_an_error_with_the_rate_in_it_and_the_last_good_numbers(train: Run) -> None:
    model = model_of()
    with pytest.raises(
        TrainingError, match=r"^epoch \d+, step \d+: .*rate was 1e\+200, try a"
    ) as e:
        train(model, optimizer=functools.partial(SGD, lr=1e200), epochs=9, batch_size=None)
    assert len(e.value.history) >= 1
    assert all(map(math.isfinite, numbers(model)))


def test_nan_before_any_step_changes_nothing_and_is_not_blamed_on_the_rate(train: Run) -> None:
    def bad(outputs: Any, targets: Any) -> Any:
        return (mse(outputs, targets) * 0.0 - 1.0).log()

    model = model_of()
    before = numbers(model)
    with pytest.raises(TrainingError, match=r"^epoch 1, step 1: .* is nan") as e:
        train(model, loss=bad, batch_size=None)
    assert "try a lower one" not in str(e.value)
    assert numbers(model) == before
    assert len(e.value.history) == 0


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 0}, "^fit: epochs must be a whole number of at least 1, got 0"),
    ({"epochs": None}, "^fit: epochs must be a whole number"),
    ({"batch_size": 0}, "^fit: batch_size must be a whole number of at least 1, got 0"),
    ({"batch_size": 0.5}, "^fit: batch_size must be a whole number"),
    ({"patience": 0}, "^fit: patience must be a whole number"),
    ({"patience": 1.5}, "^fit: patience must be a whole number"),
    ({"clip": -1.0}, "^fit: clip must be a finite number above 0"),
    ({"resume": True}, "resume=True needs a checkpoint"),
    ({"validation": ([], [])}, "^validation: no samples"),
    ({"validation": (X, Y[:3])}, "^validation: 30 inputs, but 3 targets"),
    ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
    ({"loss": "mes"}, "did you mean 'mse'"),
]


@pytest.mark.parametrize(("options", "why"), REFUSED, ids=lambda x: str(x)[:30])
def test_what_cannot_be_meant_is_refused_before_data_is_read(
    options: dict[str, Any], why: str, train: Run, tmp_path: Path
) -> None:
    model = model_of()
    before = numbers(model)
    with pytest.raises(ValueError, match=why):
        train(model, **options)
    assert numbers(model) == before


@pytest.mark.parametrize("train", WAYS[1:], indirect=True)
def test_a_replayed_loss_must_be_a_mean(train: Run) -> None:
    with pytest.raises(ValueError, match="takes the mean over samples"):
        train(loss=functools.partial(mse, reduction="sum"))


def test_training_on_files_takes_no_argument_that_it_does_not_have(tmp_path: Path) -> None:
    model = model_of()
    options: dict[str, Any] = {"loss": mse, "optimizer": SGD(model), "epochs": 1}
    files = paths(tmp_path, X, Y)
    for name in ("cluster", "epoch"):
        with pytest.raises(TypeError, match=name):
            distributed.fit(model, files, **options | {name: True})
    with pytest.raises(ValueError, match="expected two files"):
        distributed.fit(model, files[:1], **options)
    with pytest.raises(TypeError, match="a Replay is for data in memory"):
        fit(model, files, compiled=Replay(model, mse, model.parameters()), **options)
