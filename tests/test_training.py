"""`fit`: what it learns, how it stops, and that a resumed run has the same bits."""

import functools
import json
import math
import random
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from autograd import NonFiniteError, Value, detect_anomaly, scope
from nn import (
    MLP,
    FileFormatError,
    TrainingError,
    fit,
    metrics,
    mse,
    plots,
    sparse_categorical_crossentropy,
    storage,
)
from nn.data import Dataset, load_digits, load_iris, load_moons, samples
from nn.optim import SGD, Adam
from nn.schedules import Cosine, ReduceOnPlateau
from nn.training.history import History
from nn.training.replay import Replay
from tests.spies import Spy

crossentropy = functools.partial(sparse_categorical_crossentropy, from_logits=True)


def squared(outputs: list[Any], targets: list[Any]) -> Any:
    return mse([y for (y,) in outputs], targets)


def bits(model: MLP) -> list[str]:
    return [p.data.hex() for p in model.parameters()]


LINE = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]


@pytest.mark.untraced
def test_iris_reaches_95_percent_and_moons_99() -> None:
    train, test = load_iris().split()
    train, test = train.standardized(), test.standardized(train)
    model = MLP([4, 8, 3], "tanh", seed=2)
    history = fit(
        model,
        train,
        loss=crossentropy,
        optimizer=Adam(model, lr=0.02),
        epochs=20,
        batch_size=16,
        validation=test,
        metrics=[metrics.accuracy],
    )
    assert history.metrics["accuracy"][-1] >= 0.95
    moons = load_moons(120, noise=0.1, seed=1)
    held = load_moons(200, noise=0.1, seed=2)
    model = MLP([2, 12, 2], "tanh", seed=3)
    optimizer = Adam(model, lr=0.05)
    history = fit(
        model,
        moons,
        loss=crossentropy,
        optimizer=optimizer,
        epochs=60,
        batch_size=30,
        validation=held,
        metrics=[metrics.accuracy],
    )
    assert history.metrics["accuracy"][-1] >= 0.99


def started(**changed: Any) -> tuple[MLP, dict[str, Any]]:
    model = MLP([2, 4, 2], "tanh", seed=5)
    options: dict[str, Any] = {
        "loss": crossentropy,
        "optimizer": Adam(model, lr=0.1),
        "epochs": 6,
        "batch_size": 7,
        "schedule": Cosine(0.1, steps=30),
        "validation": 0.25,
        "metrics": [metrics.accuracy],
    }
    return model, {**options, **changed}


def plateau() -> ReduceOnPlateau:
    return ReduceOnPlateau(0.1, factor=0.5, patience=1)


def test_nan_stops_training_before_the_step_and_names_the_operation() -> None:
    model = MLP([1, 1], None, seed=0)

    def bad(outputs: list[Any], targets: list[Any]) -> Any:
        return -(outputs[0][0] * 0.0 - 1.0).log()

    before = bits(model)
    with pytest.raises(
        TrainingError, match=r"epoch 1, step 1: the loss is nan: log\(x\) = nan"
    ) as e:
        fit(model, LINE, loss=bad, optimizer=SGD(model), epochs=3)
    assert bits(model) == before
    assert len(e.value.history) == 0


def test_bad_arguments_are_refused_before_anything_happens(tmp_path: Path) -> None:
    model = MLP([1, 1], None, seed=0)

    def run(data: Any = LINE, **options: Any) -> Any:
        base: dict[str, Any] = {"loss": squared, "optimizer": SGD(model), "epochs": 1}
        return fit(model, data, **{**base, **options})

    before = bits(model)
    with pytest.raises(ValueError, match="2 inputs, but 1 targets"):
        run(([[1.0], [2.0]], [1.0]))
    with pytest.raises(ValueError, match="no samples"):
        run(([], []))
    with pytest.raises(TypeError, match="expected a Dataset or"):
        run(5)
    with pytest.raises(ValueError, match="share between 0 and 1"):
        run(validation=1.5)
    with pytest.raises(ValueError, match="leaves one side empty"):
        run(validation=0.01)
    with pytest.raises(TypeError, match="one Value"):
        run(loss=lambda outputs, targets: [1.0])
    (tmp_path / "other").write_text("{}")
    with pytest.raises(FileFormatError):
        run(checkpoint=tmp_path / "other", resume=True)
    run(checkpoint=tmp_path / "line")
    changed = bits(model)
    with pytest.raises(ValueError, match="Adam"):
        run(checkpoint=tmp_path / "line", resume=True, optimizer=Adam(model))
    assert changed == bits(model) != before
    stored = storage.read(tmp_path / "line", "checkpoint")
    del stored["model"]
    storage.write(tmp_path / "line", "checkpoint", stored)
    with pytest.raises(ValueError, match="not a checkpoint"):
        run(checkpoint=tmp_path / "line", resume=True)


def test_metrics() -> None:
    assert metrics.accuracy([[0.7], [0.2]], [1, 0], threshold=0.5) == 1.0
    assert metrics.accuracy([0.7, -0.2], [1, -1]) == 1.0
    assert metrics.accuracy([[0.0, 1.0]], [[0, 1]]) == 1.0
    assert metrics.confusion_matrix([[0.0, 1.0, 0.0]], [2])[2] == [0, 1, 0]
    with pytest.raises(ValueError, match="no samples"):
        metrics.accuracy([], [])
    for metric in (metrics.accuracy, metrics.confusion_matrix):
        with pytest.raises(ValueError, match="1 outputs, but 2 targets"):
            metric([[1.0]], [1, 0])
    with pytest.raises(ValueError, match="no outputs"):
        metrics.classes([[]])


def test_figures_of_training(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data = load_moons(40)
    model, options = started(watch=True)
    history = fit(model, data, **options)
    for figure in (
        history.figure(),
        plots.weights(history, [name for name, _ in model.named_parameters()][:3]),
        plots.decision_boundary(model, data, steps=12),
    ):
        figure.savefig(tmp_path / "figure.png")
    with pytest.raises(ValueError, match="2 features"):
        plots.decision_boundary(model, Dataset([[1.0]], [0], ["a"]))
    with pytest.raises(ValueError, match="watch=True"):
        plots.weights(fit(model, data, **{**options, "watch": False}))


def test_moons_are_two_half_circles() -> None:
    moons = load_moons(101, noise=0.0)
    assert moons.targets.count(0) == 51
    assert all(
        math.hypot(x - t, y - 0.5 * t) == pytest.approx(1.0)
        for (x, y), t in zip(moons.features, moons.targets, strict=True)
    )
    with pytest.raises(ValueError, match="load_moons"):
        load_moons(1)


HOSTILE = {
    "random": [[3, [], None], [3], "x", [3, [-1.0] * 625, None], [1, [0] * 625, None]],
    "history": [
        {"text": "x"},
        {"dict": {"loss": "x"}},
        {"dict": {"lines": []}},
        {"dict": {"rate": ["0x1.0p+0"] * 9}},
        {"dict": {"loss": ["0x1.0p+0", 3]}},
        {"dict": {"loss": {"text": "seven"}}},
    ],
    "best": [[], ["0x1.0p+0", 1], ["0x1.0p+0", 1, {"dict": {}}], [None, 1, None]],
    "model": [{"dict": {}}, None],
    "optimizer": [{"dict": {}}, None],
    "plateau": [{"dict": {"now": None}}, 5],
}


@pytest.mark.parametrize(("part", "i"), [(part, i) for part in HOSTILE for i in range(2)])
def test_a_damaged_checkpoint_is_refused_and_nothing_has_changed(
    part: str, i: int, tmp_path: Path
) -> None:
    def started(**more: Any) -> None:
        model = MLP([1, 1], None, seed=0)
        optimizer, schedule = Adam(model, lr=0.1), ReduceOnPlateau(0.1)
        options: dict[str, Any] = {"optimizer": optimizer, "schedule": schedule, **more}
        try:
            fit(model, LINE, loss=squared, epochs=2, checkpoint=tmp_path / "run", **options)
        finally:
            made.append((bits(model), optimizer.state_dict(), schedule.state_dict()))

    made: list[Any] = []
    model = MLP([1, 1], None, seed=0)
    fresh = bits(model), Adam(model, lr=0.1).state_dict(), ReduceOnPlateau(0.1).state_dict()
    started()
    document = json.loads((tmp_path / "run").read_text())
    document["version"] = 1  # of which there is no checksum
    del document["sha256"]
    wrongs: list[Any] = HOSTILE[part]  # type: ignore[assignment]
    for wrong in wrongs[i::2]:
        document["content"]["dict"][part] = wrong
        (tmp_path / "run").write_text(json.dumps(document))
        with pytest.raises(ValueError, match=r"^(fit: )?run"):
            started(resume=True)
        assert made[-1] == fresh


def test_a_progress_bar_counts_the_epochs_and_training_goes_on_without_tqdm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    model = MLP([1, 1], None, seed=0)
    fit(model, LINE, loss=squared, optimizer=SGD(model, lr=0.1), epochs=3, progress=True)
    said = capsys.readouterr().err
    assert "training: 100%" in said
    assert "3/3" in said
    assert "loss" in said
    monkeypatch.setitem(sys.modules, "tqdm", None)
    again = MLP([1, 1], None, seed=0)
    fit(again, LINE, loss=squared, optimizer=SGD(again, lr=0.1), epochs=3, progress=True)
    assert capsys.readouterr().err == ""
    assert bits(again) == bits(model)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"loss": [1, 2.0]}, "entries that are not numbers"),
        ({"rate": [0.1] * 9}, "more lines than epochs"),
        ({"stopped": 3}, "more lines than epochs"),
        ({"interrupted": 1}, "whether it was interrupted"),
    ],
)
def test_a_checkpoints_history_is_looked_at(
    change: dict[str, Any], why: str, tmp_path: Path
) -> None:
    model = MLP([1, 1], None, seed=0)
    options: dict[str, Any] = {"loss": squared, "optimizer": SGD(model, lr=0.1)}
    fit(model, LINE, epochs=2, checkpoint=tmp_path / "run", **options)
    stored = storage.read(tmp_path / "run", "checkpoint", allow_nonfinite=True)
    stored["history"] |= change
    storage.write(tmp_path / "run", "checkpoint", stored)
    before = bits(model)
    with pytest.raises(ValueError, match=why):
        fit(model, LINE, epochs=3, checkpoint=tmp_path / "run", resume=True, **options)
    assert bits(model) == before


def test_metrics_of_every_form_of_targets() -> None:
    rows_ = [[0.1, 0.7, 0.2], [0.9, 0.05, 0.05], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]]
    one_hot = [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert metrics.accuracy(rows_, one_hot) == metrics.accuracy(rows_, [1, 0, 1, 1]) == 0.75
    assert metrics.confusion_matrix(rows_, one_hot) == [[1, 0, 0], [0, 2, 1], [0, 0, 0]]
    # One output: above the threshold is class 1, and a target may be 0, 1 or -1.
    z = [0.0, 0.5, 1.0, -1.0]
    assert metrics.classes(z) == [0, 1, 1, 0]
    assert metrics.classes(z, threshold=0.5) == [0, 0, 1, 0]
    assert metrics.accuracy(z, [-1, 1, 1, -1]) == 1.0
    assert metrics.accuracy([[x] for x in z], [[0], [1], [1], [1]]) == 0.75
    assert metrics.confusion_matrix(z, [-1, 1, 1, 1]) == [[1, 0], [1, 2]]
    assert metrics.confusion_matrix(z, [0, 1, 1, 1], threshold=0.5) == [[1, 0], [2, 1]]
    assert metrics.confusion_matrix([0.0], [0]) == [[1, 0], [0, 0]]
    assert metrics.confusion_matrix([[0.1, 0.9]], [3]) == [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 0, 0],
    ]
    assert metrics.confusion_matrix([[0.1, 0.9], [0.2, 0.8]], [1, 1]) == [[0, 0], [0, 2]]


@pytest.mark.parametrize("count", [2, 3, 7, 10])
def test_every_point_of_the_moons_is_where_the_formula_says(count: int) -> None:
    upper = count - count // 2
    ts = [math.pi * k / max(upper - 1, 1) for k in range(upper)]
    us = [math.pi * k / max(count // 2 - 1, 1) for k in range(count // 2)]
    plain = [(math.cos(t), math.sin(t)) for t in ts]
    plain += [(1 - math.cos(u), 0.5 - math.sin(u)) for u in us]
    rng = random.Random(3)
    want = [[x + rng.gauss(0.0, 0.2), y + rng.gauss(0.0, 0.2)] for x, y in plain]
    moons = load_moons(count, noise=0.2, seed=3)
    assert moons == Dataset(want, [0] * upper + [1] * (count // 2), ["upper", "lower"])


def test_data_that_is_not_asked_for_otherwise_and_what_is_refused() -> None:
    assert load_moons() == load_moons(200, 0.1, 0)
    for options in ({"count": 1}, {"noise": math.inf}, {"noise": -0.1}):
        with pytest.raises(ValueError, match=r"^load_moons: (count|noise) must be a"):
            load_moons(**options)
    iris = load_iris()
    assert iris.split() == iris.split(0.2, 0)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="split: test must be between 0 and 1"):
            iris.split(share)
    for part in (*iris.split(), iris.standardized()):
        assert part.names == ["setosa", "versicolor", "virginica"]
    assert load_digits().names == list("0123456789")
    # A feature that never changes is left where its mean is.
    flat = Dataset([[3.0, 1.0], [3.0, 2.0]], [0, 1], ["a", "b"])
    assert flat.standardized().features == [[0.0, -1.0], [0.0, 1.0]]
    assert flat.standardized(Dataset([[1.0, 0.0]], [0], ["a"])).features == [[2.0, 1.0], [2.0, 2.0]]


def options_of(model: MLP, **changed: Any) -> dict[str, Any]:
    return {"loss": squared, "optimizer": SGD(model, lr=0.05), "epochs": 4, **changed}


def test_an_epochs_loss_is_the_mean_over_samples_and_batches_take_the_seeds_order() -> None:
    seen: list[list[float]] = []

    def counted(outputs: list[Any], targets: list[Any]) -> Any:
        seen.append(targets)
        return squared(outputs, targets)

    model = MLP([1, 1], None, seed=0)
    weight, bias = (p.data for p in model.parameters())
    still = SGD(model, lr=1e-300)  # too little to move
    idle: dict[str, Any] = {"loss": counted, "optimizer": still}
    history = fit(model, LINE, epochs=2, batch_size=3, **idle)
    mean = sum((weight * x + bias - y) ** 2 for (x,), y in zip(*LINE, strict=True)) / 4
    assert history.loss == pytest.approx([mean, mean])
    rng, order = random.Random(0), []
    for _ in range(2):
        batches = list(range(4))
        rng.shuffle(batches)
        order += [batches[:3], batches[3:]]
    assert seen == [[LINE[1][i] for i in batch] for batch in order]
    seen.clear()
    history = fit(model, LINE, epochs=2, batch_size=4, seed=3, **idle)
    assert seen == [LINE[1], LINE[1]]  # nothing to shuffle
    assert history.weights == []


class Worst:
    """A metric that is an object, with no name of its own."""

    def __call__(self, outputs: list[Any], targets: list[Any]) -> float:
        assert not outputs[0][0].parents  # made without a graph
        return float(max(abs(y.data - t) for (y,), t in zip(outputs, targets, strict=True)))


def test_metrics_look_at_the_validation_data_or_else_at_what_was_trained_on() -> None:
    def count(outputs: list[Any], targets: list[Any]) -> float:
        return float(len(targets))

    calls = 0

    def counted(outputs: list[Any], targets: list[Any]) -> Any:
        nonlocal calls
        calls += 1
        return squared(outputs, targets)

    model = MLP([1, 1], None, seed=0)
    run = functools.partial(fit, model, LINE, metrics=[count, Worst()])
    history = run(**options_of(model, epochs=1, loss=counted))
    assert history.metrics.keys() == {"count", "Worst"}
    assert history.metrics["count"] == [4.0]
    assert history.validation_loss == []
    assert calls == 1  # no loss is computed that nobody asked for
    history = run(**options_of(model, epochs=1, validation=([[5.0]], [11.0])))
    assert history.metrics["count"] == [1.0]
    assert history.metrics["Worst"] == pytest.approx([math.sqrt(history.validation_loss[0])])


@pytest.mark.parametrize("training", [True, False])
def test_validation_leaves_the_model_in_the_mode_it_was_in(training: bool) -> None:
    def watched(outputs: list[Any], targets: list[Any]) -> Any:
        seen.append(model.training)
        return squared(outputs, targets)

    seen: list[bool] = []
    model = MLP([1, 1], None, seed=0)
    model.train(training)
    held = [[5.0]], [11.0]
    fit(model, LINE, validation=held, **options_of(model, epochs=1, loss=watched))
    assert seen == [training, False]
    assert model.training is training


def test_without_patience_the_last_parameters_stay_and_equal_losses_are_no_progress() -> None:
    model = MLP([1, 1], None, seed=0)
    history = fit(
        model, LINE, watch=True, **options_of(model, epochs=6, optimizer=SGD(model, lr=0.4))
    )
    assert history.loss[-1] > history.loss[0]
    assert [p.data for p in model.parameters()] == history.weights[-1]
    history = fit(model, LINE, patience=2, **options_of(model, optimizer=SGD(model, lr=1e-300)))
    assert history.stopped == "no better loss for 2 epochs"
    assert len(history) == 3


def test_patience_is_counted_on_over_a_resumed_run(tmp_path: Path) -> None:
    def rates(epoch: int, history: Any) -> None:
        optimizer.lr = 0.05 if epoch < 3 else 0.4

    def run(epochs: int, **options: Any) -> Any:
        return fit(
            model, LINE, loss=squared, optimizer=optimizer, epochs=epochs, patience=4,
            callbacks=[rates], watch=True, **options,
        )  # fmt: skip

    model = MLP([1, 1], None, seed=0)
    optimizer = SGD(model, lr=0.05)
    whole, ends = run(50), bits(model)
    for first in (2, 3, 5):  # before, at and after the best
        model = MLP([1, 1], None, seed=0)
        optimizer = SGD(model, lr=0.05)
        path = tmp_path / str(first)
        run(first, checkpoint=path)
        again = MLP([1, 1], None, seed=1)
        model, optimizer = again, SGD(again, lr=0.05)
        assert vars(run(50, checkpoint=path, resume=True)) == vars(whole)
        assert bits(model) == ends


def test_a_checkpoint_may_hold_an_infinite_loss_and_another_kind_of_schedule(
    tmp_path: Path,
) -> None:
    def infinite(outputs: list[Any], targets: list[Any]) -> Any:
        return squared(outputs, targets) + (math.inf if targets == [11.0] else 0.0)

    model = MLP([1, 1], None, seed=0)
    options = options_of(model, loss=infinite, validation=([[5.0]], [11.0]))
    path = tmp_path / "run"
    history = fit(model, LINE, **options | {"epochs": 1, "checkpoint": path})
    assert history.validation_loss == [math.inf]
    history = fit(model, LINE, **options | {"checkpoint": path, "resume": True})
    assert history.validation_loss == [math.inf] * 4
    for k, schedule in enumerate((plateau(), Cosine(0.1, steps=30), plateau())):
        more = {"epochs": 5 + k, "schedule": schedule, "checkpoint": path, "resume": True}
        assert len(fit(model, LINE, **options | more)) == 5 + k


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"model": {}}, "^fit: run is not a checkpoint$"),
        ("text", "^fit: run is not a checkpoint$"),
        ({"best": [1.0, 0, {"w": 1.0}]}, "^fit: run is not a checkpoint of this run: "),
        ({"history": {"loss": [1.0], "validation_loss": [1.0, 2.0]}}, "more lines than epochs"),
        ({"history": {"loss": [1.0], "weights": [[1.0], [2.0]]}}, "more lines than epochs"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: Any, why: str, tmp_path: Path) -> None:
    model = MLP([1, 1], None, seed=0)
    options = options_of(model, checkpoint=tmp_path / "run")
    fit(model, LINE, watch=True, **options)  # a line of weights may be longer than the history
    fit(model, LINE, watch=True, resume=True, **options | {"epochs": 5})
    if content not in ("text", {"model": {}}):
        stored = storage.read(tmp_path / "run", "checkpoint", allow_nonfinite=True)
        content = stored | content
    storage.write(tmp_path / "run", "checkpoint", content)
    with pytest.raises(ValueError, match=why):
        fit(model, LINE, resume=True, **options)


def test_one_epoch_of_weights_may_be_resumed(tmp_path: Path) -> None:
    model = MLP([1, 1], None, seed=0)
    options = options_of(model, watch=True, checkpoint=tmp_path / "run")
    fit(model, LINE, **options | {"epochs": 1})
    assert len(fit(model, LINE, resume=True, **options).weights) == 4


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"validation": 0.0}, "^fit: validation must be data or a share between 0 and 1, got 0.0"),
        ({"validation": 1.0}, "^fit: validation must be data or a share between 0 and 1, got 1.0"),
        ({"validation": 0.1}, "^fit: 0.1 of 4 samples leaves one side empty$"),
        ({"validation": 0.9}, "^fit: 0.9 of 4 samples leaves one side empty$"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(options: dict[str, Any], why: str) -> None:
    model = MLP([1, 1], None, seed=0)
    with pytest.raises(ValueError, match=why):
        fit(model, LINE, **options_of(model, **options))


def test_data_is_named_in_what_is_said_of_it_and_one_sample_can_be_set_apart() -> None:
    with pytest.raises(ValueError, match=r"^data: no samples$"):
        samples(([], []))
    model = MLP([1, 1], None, seed=0)
    history = fit(model, LINE, validation=0.25, **options_of(model))
    assert len(history.validation_loss) == 4


def test_training_leaves_mode_and_scope_as_they_were() -> None:
    model = MLP([1, 1], None, seed=0)
    with detect_anomaly(), scope("outer"):
        fit(model, LINE, **options_of(model))
        assert (Value(1.0) * 2.0).scope == "outer"
        with pytest.raises(NonFiniteError):
            Value(0.0).log().backward()


@pytest.mark.parametrize(("wanted", "terminal"), [(True, False), (None, True), (None, False)])
def test_a_bar_counts_the_epochs_that_are_missing(
    wanted: bool | None, terminal: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Bar:
        def __init__(self, **options: Any) -> None:
            made.append(options)

        def set_postfix_str(self, note: str) -> None:
            notes.append(note)

        def update(self) -> None:
            pass

        def close(self) -> None:
            notes.append("closed")

    made: list[Any] = []
    notes: list[str] = []
    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    model = MLP([1, 1], None, seed=0)
    options = options_of(model, checkpoint=tmp_path / "run")
    fit(model, LINE, progress=False, **options | {"epochs": 1})
    assert made == []
    history = fit(model, LINE, progress=wanted, resume=True, **options)
    shown = wanted or terminal
    assert made == [{"total": 3, "desc": "training", "unit": "epoch"}] * shown
    assert notes == [*(f"loss {loss:.4g}" for loss in history.loss[1:]), "closed"] * shown


def test_a_compiled_run_that_is_stopped_within_an_epoch_keeps_the_steps_it_took() -> None:
    pytest.importorskip("numpy")

    def third(taken: int) -> float:
        if taken == 3:
            raise KeyboardInterrupt
        return 0.05

    models = [MLP([1, 1], None, seed=0) for _ in range(2)]
    for model, compiled in zip(models, (True, False), strict=True):
        options = options_of(model, schedule=third, batch_size=1)
        assert fit(model, LINE, compiled=compiled, **options).stopped == "interrupted in epoch 1"
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert one.data == pytest.approx(other.data, rel=1e-12)
    assert bits(models[0]) != bits(MLP([1, 1], None, seed=0))


def test_a_replay_is_used_with_what_it_has_recorded() -> None:
    pytest.importorskip("numpy")
    spy = Spy()  # a plain counter would be seen to change, and refused

    def counted(outputs: list[Any], targets: list[Any]) -> Any:
        spy.things.append(1)
        return squared(outputs, targets)

    model = MLP([1, 1], None, seed=0)
    replay = Replay(model, counted, model.parameters())
    fit(model, LINE, compiled=replay, **options_of(model, loss=counted))
    recorded = len(spy.things)
    assert recorded > 0
    fit(model, LINE, compiled=replay, **options_of(model, loss=counted))
    assert len(spy.things) == recorded


def test_a_history_prints_as_a_table_of_at_most_eleven_epochs() -> None:
    history = History([1.0 / (k + 1) for k in range(25)], rate=[0.1] * 25, stopped="no progress")
    lines = str(history).splitlines()
    assert lines[0].split() == ["epoch", "loss", "rate"]
    assert lines[1].split() == ["1", "1", "0.1"]
    assert lines[-2].split() == ["25", "0.04", "0.1"]
    assert lines[-1] == "no progress"
    assert len(lines) <= 15
    assert str(History()) == "epoch"
