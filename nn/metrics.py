"""Metrics: what people want to know of a model beside its loss; plain numbers, no gradients."""

from collections.abc import Sequence
from typing import Any

from autograd.ops import item


def classes(outputs: Sequence[Any], threshold: float = 0.0) -> list[int]:
    """The class that each sample's outputs speak for.

    Of several outputs it is the largest; a single one stands for class 1 above the threshold,
    which is 0 for logits and 0.5 for probabilities.

    >>> classes([[0.1, 2.0], [3.0, 1.0]]), classes([[0.3], [-0.2]])
    ([1, 0], [1, 0])
    """
    found = []
    for sample in outputs:
        row = [item(z) for z in sample] if isinstance(sample, list | tuple) else [item(sample)]
        if not row:
            raise ValueError("classes: a sample has no outputs")
        best = max(range(len(row)), key=row.__getitem__)
        found.append(best if len(row) > 1 else int(row[0] > threshold))
    return found


def accuracy(outputs: Sequence[Any], targets: Sequence[Any], threshold: float = 0.0) -> float:
    """The share of samples whose class is the target's; a target below 0 stands for class 0.

    >>> accuracy([[0.1, 2.0], [3.0, 1.0]], [1, 1])
    0.5
    """
    found = classes(outputs, threshold)
    if len(found) != len(targets):
        raise ValueError(f"accuracy: {len(found)} outputs, but {len(targets)} targets")
    if not found:
        raise ValueError("accuracy: no samples")
    right = sum(k == _target(t) for k, t in zip(found, targets, strict=True))
    return right / len(found)


def confusion_matrix(
    outputs: Sequence[Any], targets: Sequence[Any], threshold: float = 0.0
) -> list[list[int]]:
    """How often class i (row) was taken for class j (column).

    >>> confusion_matrix([[0.1, 2.0], [3.0, 1.0], [0.0, 1.0]], [1, 1, 0])
    [[0, 1], [1, 1]]
    """
    found, wanted = classes(outputs, threshold), [_target(target) for target in targets]
    if len(found) != len(wanted):
        raise ValueError(f"confusion_matrix: {len(found)} outputs, but {len(wanted)} targets")
    width = max((len(row) for row in outputs if isinstance(row, list | tuple)), default=2)
    size = max([width, 2, *(k + 1 for k in found + wanted)])
    matrix = [[0] * size for _ in range(size)]
    for k, target in zip(found, wanted, strict=True):
        matrix[target][k] += 1
    return matrix


def _target(target: Any) -> int:
    if isinstance(target, list | tuple):  # one-hot, or a single number in a list
        return (
            max(range(len(target)), key=target.__getitem__)
            if len(target) > 1
            else _target(target[0])
        )
    return max(int(item(target)), 0)
