"""Metrics: scikit-learn's numbers, what outputs and targets may be, and what is refused."""

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

from autograd import Value
from nn import metrics
from tests.golden.peers import AMOUNTS, CLASSES

GOLDEN = json.loads((Path(__file__).parent / "golden" / "metrics.json").read_text())


def kinds_of(outputs: Any) -> list[Any]:
    """The same outputs as Values, as arrays and as the columns of a compiled model."""
    np = pytest.importorskip("numpy")
    array = np.array(outputs)
    rows = [[Value(z) for z in row] if isinstance(row, list) else Value(row) for row in outputs]
    kinds = [outputs, rows, array, array.astype(object)]
    if array.ndim == 2 and array.shape[0] != array.shape[1]:
        kinds.append([array[:, k] for k in range(array.shape[1])])
    return kinds


@pytest.mark.parametrize("name", CLASSES)
def test_metrics_of_classes_are_those_of_scikit_learn(name: str) -> None:
    outputs, targets = CLASSES[name]
    alone = {"threshold": 0.5} if len(outputs[0]) == 1 else {}
    width = max(2, len(outputs[0]))
    one_hot = [[float(k == t) for k in range(width)] for t in targets]
    for given in kinds_of(outputs):
        for label, expected in GOLDEN[name].items():
            metric, _, option = label.partition(" ")
            options: dict[str, Any] = {"k": int(option)} if metric == "top_k" else {**alone}
            if option and metric != "top_k":
                options["average"] = option
            function = getattr(metrics, metric)
            for wanted in [targets] if alone else [targets, one_hot]:
                got = function(given, wanted, **options)
                if metric == "confusion_matrix":
                    assert got == expected
                else:
                    assert got == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", AMOUNTS)
def test_metrics_of_amounts_are_those_of_scikit_learn(name: str) -> None:
    outputs, targets = AMOUNTS[name]
    for given in kinds_of(outputs):
        for label, expected in GOLDEN[name].items():
            assert getattr(metrics, label)(given, targets) == pytest.approx(expected, rel=1e-14)


def test_every_metric_by_its_name_is_compared() -> None:
    labels = {
        label.split()[0] for case in GOLDEN.values() if isinstance(case, dict) for label in case
    }
    assert labels == {*metrics.NAMED, "confusion_matrix"}


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.precision, metrics.confusion_matrix])
def test_outputs_that_may_be_probabilities_are_taken_for_such_and_it_is_said(metric: Any) -> None:
    outputs, targets = [[0.1], [0.2], [0.9]], [0, 0, 1]
    with pytest.warns(UserWarning, match=r"all 3 outputs lie in \[0, 1\].*threshold=0.5.*=0 if"):
        got = metric(outputs, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert got == metric(outputs, targets, threshold=0.5)
        # Where one lies outside they are logits, and where both thresholds agree nothing is said.
        logits = [[0.1], [-0.2], [0.9]]
        assert metric(logits, targets) == metric(logits, targets, threshold=0.0)
        sure = [[0.0], [1.0], [0.9]]
        assert metric(sure, targets) == metric(sure, targets, threshold=0.5)


def test_a_share_stands_for_the_class_that_it_is_nearer_to() -> None:
    assert metrics.accuracy([[2.0], [-2.0]], [0.95, 0.05]) == 1.0
    assert metrics.accuracy([[2.0], [-2.0]], [1, -1]) == 1.0
    assert metrics.accuracy([[2.0], [-2.0]], [True, False]) == 1.0


def test_the_r2_of_one_sample_is_nan_and_it_is_said() -> None:
    with pytest.warns(UserWarning, match="r2: one sample has no variance") as warned:
        assert math.isnan(metrics.r2([1.0], [2.0]))
    assert warned[0].filename == __file__


def test_what_is_undefined_is_0() -> None:
    outputs, targets = [[-1.0], [-2.0]], [1, 0]  # nothing is taken for class 1
    assert metrics.precision(outputs, targets) == 0.0
    assert metrics.recall([[1.0]], [0]) == 0.0
    assert metrics.accuracy([[1.0], [2.0]], [1, 1]) == 1.0  # a batch of one class


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: metrics.accuracy([[1.0]], [1, 0]), ValueError, "1 outputs, but 2 targets"),
        (lambda: metrics.accuracy([], []), ValueError, "accuracy: no samples"),
        (lambda: metrics.accuracy([[]], [0]), ValueError, "sample 0 has no outputs"),
        (lambda: metrics.accuracy([[math.nan]], [0]), ValueError, "sample 0: an output is nan"),
        (lambda: metrics.accuracy([[1.0]], [math.nan]), ValueError, "sample 0: expected a class"),
        (lambda: metrics.accuracy([[1.0]], [2]), ValueError, "a class index of 0 or 1, .* got 2"),
        (
            lambda: metrics.accuracy([0, 2], [0, 2]),
            ValueError,
            "index of 0 or 1, because there is one",
        ),
        (lambda: metrics.accuracy([[1.0, 2.0]], [-1]), ValueError, "class index, got -1"),
        (lambda: metrics.accuracy([[1.0, 2.0]], [0.5]), ValueError, "class index, got 0.5"),
        (lambda: metrics.accuracy({0: [1.0]}, [1]), TypeError, "outputs: expected a list"),
        (
            lambda: metrics.accuracy([1, 0], [Value(3.0), Value(2.0)]),
            ValueError,
            r"got Value\(data=3.*the outputs come first, then the targets",
        ),
        (
            lambda: metrics.accuracy([[0.1, 0.2, 0.7]], [[0.0, 1.0]]),
            ValueError,
            "accuracy: sample 0: 3 outputs, but 2 targets",
        ),
        (
            lambda: metrics.accuracy([0.1], [1], threshold=math.nan),
            ValueError,
            "accuracy: threshold must be a finite number, got nan",
        ),
        (lambda: metrics.accuracy([["a"]], [1]), TypeError, "output: expected a real number"),
        (
            lambda: metrics.f1([[1.0, 2.0, 3.0]], [1]),
            ValueError,
            "f1: 3 classes; choose average='macro', 'micro' or 'weighted'",
        ),
        (
            lambda: metrics.f1([1.0], [1], average="mean"),  # type: ignore[arg-type]
            ValueError,
            "f1: average must be 'binary', 'macro'.* got 'mean'",
        ),
        (lambda: metrics.top_k([[1.0]], [0]), ValueError, "sample 0: expected an output for each"),
        (lambda: metrics.top_k([[1.0, 2.0]], [0], k=0), ValueError, "k must be a whole number"),
        (lambda: metrics.mae([[1.0, 2.0]], [1.0]), ValueError, "2 outputs, but 1 targets"),
    ],
)
def test_what_cannot_be_measured_is_refused(call: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        call()
