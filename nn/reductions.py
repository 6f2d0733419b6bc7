"""What all losses share: reading a batch, its targets and weights, and adding up the terms."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autograd import Value
from autograd.ops import Ops
from autograd.options import AT_LEAST_0, as_float, real
from nn import tables
from nn.module import grouped
from nn.probabilities import total

Number = Any  # a float or a Value
Batch = Any  # a sequence, an array or a table of numbers, or of rows of numbers
Reduction = Literal["mean", "sum", "none"]
OfRow = Callable[[Sequence[Number], Any, int], Number]  # of outputs, target and sample
Term = Callable[[Number, Number], Number]  # of an output and its target
Sample = tuple[Any, Any, float]  # outputs, target and weight
Terms = list[tuple[Any, Number]]  # the loss of each sample, and how much the mean counts it


@dataclass(frozen=True)
class RowLoss:
    """The loss of a row of outputs, and how much the mean counts the row, if not 1."""

    loss: OfRow
    counts: OfRow = lambda row, target, sample: 1.0


def _batch(name: str, outputs: Batch, targets: Batch, sample_weight: Any) -> list[Sample]:
    ys = tables.samples(targets, f"{name}: targets")
    zs = tables.outputs(outputs, len(ys), f"{name}: outputs")
    if len(zs) != len(ys):
        raise ValueError(f"{name}: {len(zs)} outputs but {len(ys)} targets")
    if not len(zs):
        raise ValueError(f"{name}: the batch is empty")
    weights = [1.0] * len(zs)
    if sample_weight is not None:
        weights = _weights(name, "sample weight", sample_weight, len(zs))
    return list(zip(zs, ys, weights, strict=True))


def _weights(name: str, kind: str, weights: Any, count: int) -> list[float]:
    listed = tables.samples(weights, f"{name}: {kind}s", "numbers")
    if len(listed) != count:
        raise ValueError(f"{name}: expected {count} {kind}s, one for each, got {listed!r:.80}")
    return [real(w, f"{name}: {kind}", AT_LEAST_0) for w in listed]


def class_weights(name: str, weights: Any, count: int) -> list[float]:
    """The weight of each class; 1 for a class that is not in the dict.

    Raises ValueError for an unknown class, and for too many or too few weights.
    """
    if not isinstance(weights, Mapping):
        return [1.0] * count if weights is None else _weights(name, "class weight", weights, count)
    for key in weights:
        if key not in range(count):
            raise ValueError(
                f"{name}: class_weight: there is no class {key!r}; the classes are 0 to {count - 1}"
            )
    listed = [1.0] * count
    for key, weight in weights.items():
        listed[int(key)] = real(weight, f"{name}: class weight", AT_LEAST_0)
    return listed


def finite_target(name: str, y: Number, sample: int) -> Number:
    """The target, as a float unless it is a Value; ValueError for nan and inf."""
    if isinstance(y, Ops):
        return y
    gap = tables.is_missing(y)
    y = y if gap else as_float(y, f"{name}: target")
    if gap or y - y != 0.0:
        raise ValueError(
            f"{name}: sample {sample}: the target is {y!r}; leave the sample out, or give it a "
            "sample_weight of 0"
        )
    return y


def signs(name: str, targets: Batch) -> Batch:
    """The targets as -1 and 1; if all of them are 0 or 1, 0 becomes -1."""

    def read(y: Any) -> Any:
        if isinstance(y, Ops):
            return y
        return math.nan if tables.is_missing(y) else as_float(y, f"{name}: target")

    rows = tables.samples(targets, f"{name}: targets")
    rows = [[*map(read, row)] if tables.is_row(row) else read(row) for row in rows]
    flat = [y for row in rows for y in (row if tables.is_row(row) else [row])]
    if 0 in flat and all(y in (0, 1) for y in flat):  # 1 stays 1 either way
        return [[2 * y - 1 for y in row] if tables.is_row(row) else 2 * row - 1 for row in rows]
    for y in flat:
        gap = isinstance(y, float) and y - y != 0.0  # `finite_target` refuses it later
        if y not in (-1, 1) and not gap:
            raise ValueError(f"{name}: a target must be -1 or 1 (or all must be 0 or 1), got {y!r}")
    return rows


def same_length(name: str, row: Any, target: Any, sample: int) -> None:
    """Raise ValueError unless the sample has one target for each output."""
    if not tables.is_row(target):
        raise ValueError(
            f"{name}: sample {sample}: {len(row)} outputs but the target {target!r:.40}"
        )
    if len(row) != len(target):
        raise ValueError(f"{name}: sample {sample}: {len(row)} outputs but {len(target)} targets")


def of_numbers(name: str, term: Term, batch: list[Sample]) -> Terms:
    """The terms of each output and its target."""

    def weighted(z: Number, y: Number, weight: float, i: int) -> Number:
        if not weight:
            return 0.0
        if not isinstance(z, Ops):
            z = as_float(z, f"{name}: output")
        if type(y) is not float or y - y != 0.0:
            y = finite_target(name, y, i)
        return term(z, y) if weight == 1.0 else weight * term(z, y)

    terms: Terms = []
    for i, (z, y, weight) in enumerate(batch):
        if tables.is_row(z) and (len(z) != 1 or tables.is_row(y)):
            same_length(name, z, y, i)
            parts = [weighted(*pair, weight, i) for pair in zip(z, y, strict=True)]
            terms.append((parts, float(len(z))))
            continue
        if tables.is_row(y) and len(y) != 1:
            raise ValueError(f"{name}: sample {i}: 1 output but {len(y)} targets")
        z, y = (part[0] if tables.is_row(part) else part for part in (z, y))
        terms.append((weighted(z, y, weight, i), 1.0))
    return terms


def of_rows(name: str, loss: RowLoss, batch: list[Sample]) -> Terms:
    """The terms of each sample's row of outputs and its target."""
    terms: Terms = []
    for i, (row, target, weight) in enumerate(batch):
        if not tables.is_row(row) or not len(row):
            raise ValueError(
                f"{name}: sample {i}: expected an output for each class, got {row!r:.80} (the "
                "outputs come first, then the targets)"
            )
        row = [z if isinstance(z, Ops) else as_float(z, f"{name}: output") for z in row]
        counts = loss.counts(row, target, i)
        terms.append((times(weight, loss.loss(row, target, i)) if weight else 0.0, counts))
    return terms


def times(weight: Number, loss: Number) -> Number:
    """weight * loss; the loss itself if the weight is the plain number 1."""
    return loss if type(weight) is float and weight == 1.0 else weight * loss


def reduced(
    name: str,
    terms_of: Callable[[list[Sample]], Terms],
    data: tuple[Batch, Batch],
    reduction: Reduction,
    sample_weight: Any,
) -> Any:
    """The loss of outputs and targets, from the terms of their samples."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    with grouped(name):
        terms = terms_of(_batch(name, *data, sample_weight))
        if reduction == "none":
            return [[*map(_node, z)] if isinstance(z, list) else _node(z) for z, _ in terms]
        parts = [part for z, _ in terms for part in (z if isinstance(z, list) else [z])]
        if not parts:
            raise ValueError(f"{name}: the samples are empty")
        loss = total(parts)
        count = sum(counts for _, counts in terms)
        if reduction == "sum":
            return _node(loss)
        if isinstance(count, float) and count == 0.0:
            raise ValueError(
                f"{name}: there is no mean, because all targets are ignored or have the weight 0"
            )
        return _node(loss if isinstance(count, float) and count == 1.0 else Ops.div(loss, count))


def _node(loss: Number) -> Any:
    """The loss as a Value, also if it was computed from plain numbers alone."""
    return loss if isinstance(loss, Ops) else Value(loss)
