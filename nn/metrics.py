"""Metrics: measures of a model besides its loss, as plain numbers without gradients.

Call every metric as `metric(outputs, targets)`.  Its definition is scikit-learn's of the same name;
scikit-learn has the targets first, and takes classes instead of outputs.  Outputs are Values or
numbers, rows of them, arrays, or the columns of a compiled model.

The predicted class is the largest of several outputs.  A single output predicts class 1 above the
`threshold`: 0.5 for probabilities, 0 for logits.  The default is 0 if an output is outside [0, 1],
because it is not a probability, and else 0.5, with a warning if 0 would give other classes.
"""

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

from autograd.elsewhere import absent
from autograd.ops import Ops
from autograd.options import real, whole
from nn import tables

Average = Literal["binary", "macro", "micro", "weighted"]
Threshold = float | None
Matrix = list[list[int]]


def classes(outputs: Any, threshold: Threshold = None) -> list[int]:
    """The predicted class of each sample.

    >>> classes([[0.1, 2.0], [3.0, 1.0]]), classes([[0.3], [-0.2]])
    ([1, 0], [1, 0])
    """
    return _classes("classes", _rows("classes", outputs, -1), threshold)


def accuracy(outputs: Any, targets: Any, threshold: Threshold = None) -> float:
    """The share of samples for which the predicted class is the target's.

    Targets are class indices or one-hot rows.  For a single output, -1 also means class 0, and a
    share above 1/2 means class 1.

    >>> accuracy([[0.1, 2.0], [3.0, 1.0]], [1, 1])
    0.5
    """
    pairs, _ = _both("accuracy", outputs, targets, threshold)
    return sum(predicted == target for predicted, target in pairs) / len(pairs)


def confusion_matrix(outputs: Any, targets: Any, threshold: Threshold = None) -> Matrix:
    """Counts: row i, column j is how often class i was predicted as class j.

    >>> confusion_matrix([[0.1, 2.0], [3.0, 1.0], [0.0, 1.0]], [1, 1, 0])
    [[0, 1], [1, 1]]
    """
    return _matrix("confusion_matrix", outputs, targets, threshold)


def precision(
    outputs: Any, targets: Any, average: Average = "binary", threshold: Threshold = None
) -> float:
    """The share of the samples predicted as a class that belong to it: TP / (TP + FP).

    Args:
        average: "binary" is the precision of class 1 of two.  For more classes, "macro" is the mean
            over the classes, "weighted" the mean weighted by the classes' counts, and "micro" the
            precision of all counts together.

    It is 0 if no sample was predicted as the class, as in scikit-learn.

    >>> precision([0.9, 0.8, 0.3, 0.7], [1, 0, 0, 1], threshold=0.5)
    0.6666666666666666
    """
    return _score("precision", outputs, targets, average, threshold)


def recall(
    outputs: Any, targets: Any, average: Average = "binary", threshold: Threshold = None
) -> float:
    """The share of a class's samples predicted as that class: TP / (TP + FN); see `precision`.

    >>> recall([0.9, 0.8, 0.3, 0.7], [1, 0, 1, 1], threshold=0.5)
    0.6666666666666666
    """
    return _score("recall", outputs, targets, average, threshold)


def f1(
    outputs: Any, targets: Any, average: Average = "binary", threshold: Threshold = None
) -> float:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); see `precision`.

    >>> f1([0.9, 0.8, 0.3, 0.7], [1, 0, 0, 1], threshold=0.5)
    0.8
    """
    return _score("f1", outputs, targets, average, threshold)


def top_k(outputs: Any, targets: Any, k: int = 5) -> float:
    """The share of samples whose class is among the k largest outputs; in a tie later ones win.

    >>> top_k([[0.1, 0.6, 0.3], [0.5, 0.3, 0.2]], [2, 2], k=2)
    0.5
    """
    k = whole(k, "top_k: k")
    rows, expected = _pairs("top_k", outputs, targets)
    right = 0
    for i, (row, target) in enumerate(zip(rows, expected, strict=True)):
        if len(row) < 2:
            raise ValueError(f"top_k: sample {i}: expected an output for each class, got {row}")
        best = sorted(range(len(row)), key=lambda j: (row[j], j))[-k:]
        right += _class("top_k", target, len(row), i) in best
    return right / len(rows)


def mae(outputs: Any, targets: Any) -> float:
    """The mean absolute error: the mean of |z - y| over all numbers.

    >>> mae([2.5, 0.0], [3.0, -0.5])
    0.5
    """
    pairs = [pair for column in _columns("mae", outputs, targets) for pair in column]
    return math.fsum(abs(z - y) for z, y in pairs) / len(pairs)


def r2(outputs: Any, targets: Any) -> float:
    """1 - sum of (y - z)^2 / sum of (y - mean)^2: the share of the variance that is explained.

    For several outputs it is the mean over them.  If all targets are the same, it is 1 for exact
    outputs and else 0.  For a single sample it is nan, with a warning.  Both are as in
    scikit-learn.

    >>> round(r2([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]), 4)
    0.9486
    """
    scores = []
    for column in _columns("r2", outputs, targets):
        if len(column) < 2:
            warnings.warn("r2: one sample has no variance, so the score is nan", stacklevel=2)
            return math.nan
        mean = math.fsum(y for _, y in column) / len(column)
        residual = math.fsum((y - z) ** 2 for z, y in column)
        spread = math.fsum((y - mean) ** 2 for _, y in column)
        scores.append(1.0 - residual / spread if spread else float(residual == 0.0))
    return math.fsum(scores) / len(scores)


# The metrics that are one number, by their names for `fit`.
NAMED = {f.__name__: f for f in (accuracy, precision, recall, f1, top_k, mae, r2)}


def _rows(name: str, outputs: Any, count: int) -> list[list[float]]:
    """The outputs of each sample as numbers."""
    rows = []
    for i, row in enumerate(tables.outputs(outputs, count, f"{name}: outputs")):
        parts = row if tables.is_row(row) else [row]
        rows.append([tables.plain(z, f"{name}: output") for z in parts])
        if not rows[-1]:
            raise ValueError(f"{name}: sample {i} has no outputs")
        if any(z != z for z in rows[-1]):
            raise ValueError(f"{name}: sample {i}: an output is nan")
    return rows


def _pairs(name: str, outputs: Any, targets: Any) -> tuple[list[list[float]], list[Any]]:
    expected = list(tables.samples(targets, f"{name}: targets"))
    rows = _rows(name, outputs, len(expected))
    if len(rows) != len(expected):
        raise ValueError(f"{name}: {len(rows)} outputs, but {len(expected)} targets")
    if not rows:
        raise ValueError(f"{name}: no samples")
    return rows, expected


def _classes(name: str, rows: list[list[float]], threshold: Threshold) -> list[int]:
    alone = [row[0] for row in rows if len(row) == 1]
    if threshold is not None:
        threshold = real(threshold, f"{name}: threshold")
    else:
        inside = all(0.0 <= z <= 1.0 for z in alone)
        threshold = 0.5 if inside else 0.0
        if inside and any(0.0 < z <= 0.5 for z in alone):
            warnings.warn(
                f"{name}: all {len(alone)} outputs lie in [0, 1], so they count as probabilities, "
                "with the threshold 0.5; pass threshold=0.5 to confirm that, or threshold=0 if "
                "they are logits",
                stacklevel=5,
            )
    return [
        max(range(len(row)), key=row.__getitem__) if len(row) > 1 else int(row[0] > threshold)
        for row in rows
    ]


def _class(name: str, target: Any, width: int, sample: int) -> int:
    """The class of a target; ValueError if it is not a class."""
    if tables.is_row(target):
        if len(target) not in (1, max(width, 2)):
            raise ValueError(f"{name}: sample {sample}: {width} outputs, but {len(target)} targets")
        if len(target) > 1:
            shares = [tables.plain(y, f"{name}: target") for y in target]
            return max(range(len(shares)), key=shares.__getitem__)
        target = target[0]
    y = tables.plain(target, f"{name}: sample {sample}: target")
    if width == 1 and (y == -1.0 or 0.0 <= y <= 1.0):
        return int(y > 0.5)
    if width == 1 or not y >= 0.0 or not y.is_integer():
        two = " of 0 or 1, because there is one output" if width == 1 else ""
        swapped = " (the outputs come first, then the targets)" * isinstance(target, Ops)
        raise ValueError(
            f"{name}: sample {sample}: expected a class index{two}, got {target!r}{swapped}"
        )
    return int(y)


def _both(
    name: str, outputs: Any, targets: Any, threshold: Threshold
) -> tuple[list[tuple[int, int]], int]:
    """(predicted class, target's class) of each sample, and the number of classes."""
    rows, expected = _pairs(name, outputs, targets)
    width = max(map(len, rows))
    predicted = _classes(name, rows, threshold)
    right = [_class(name, target, width, i) for i, target in enumerate(expected)]
    return list(zip(predicted, right, strict=True)), max([width, 2, *(k + 1 for k in right)])


def _matrix(name: str, outputs: Any, targets: Any, threshold: Threshold) -> Matrix:
    pairs, size = _both(name, outputs, targets, threshold)
    matrix = [[0] * size for _ in range(size)]
    for predicted, target in pairs:
        matrix[target][predicted] += 1
    return matrix


def _score(name: str, outputs: Any, targets: Any, average: Average, threshold: Threshold) -> float:
    matrix = _matrix(name, outputs, targets, threshold)
    right = [matrix[k][k] for k in range(len(matrix))]
    counts, predicted = [sum(row) for row in matrix], [sum(c) for c in zip(*matrix, strict=True)]
    parts = {
        "precision": list(zip(right, predicted, strict=True)),
        "recall": list(zip(right, counts, strict=True)),
        "f1": [(2 * r, s + c) for r, s, c in zip(right, predicted, counts, strict=True)],
    }[name]

    def share(part: tuple[int, int]) -> float:
        return part[0] / part[1] if part[1] else 0.0

    # As in scikit-learn, a class without predictions and targets does not count.
    occurring = [k for k in range(len(matrix)) if predicted[k] or counts[k]]
    if average == "binary":
        if len(matrix) > 2:
            raise ValueError(
                f"{name}: {len(matrix)} classes; choose average='macro', 'micro' or 'weighted'"
            )
        return share(parts[1])
    if average == "micro":
        return share((sum(p for p, _ in parts), sum(q for _, q in parts)))
    if average == "macro":
        return math.fsum(share(parts[k]) for k in occurring) / len(occurring)
    if average == "weighted":
        return math.fsum(share(parts[k]) * counts[k] for k in occurring) / sum(counts)
    raise ValueError(
        f"{name}: average must be 'binary', 'macro', 'micro' or 'weighted', got {average!r}"
    )


def _columns(name: str, outputs: Any, targets: Any) -> list[list[tuple[float, float]]]:
    """The (output, target) pairs of each column."""
    rows, expected = _pairs(name, outputs, targets)
    pairs = []
    for i, (row, target) in enumerate(zip(rows, expected, strict=True)):
        parts = target if tables.is_row(target) else [target]
        if len(parts) != len(row):
            raise ValueError(f"{name}: sample {i}: {len(row)} outputs, but {len(parts)} targets")
        ys = [tables.plain(y, f"{name}: target") for y in parts]
        pairs.append(list(zip(row, ys, strict=True)))
    return [list(column) for column in zip(*pairs, strict=True)]


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
