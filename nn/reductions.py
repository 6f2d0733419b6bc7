"""What the losses share: how a batch, its targets and its weights enter, and how terms add up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autograd import Value
from autograd.ops import Ops
from nn import tables
from nn.module import grouped
from nn.options import AT_LEAST_0, as_float, real
from nn.probabilities import total

Number = Any  # a float or a Value
Batch = Any  # a sequence, an array or a table of numbers, or of rows of numbers
Reduction = Literal["mean", "sum", "none"]
OfRow = Callable[[Sequence[Number], Any, int], Number]  # of outputs, target and sample


@dataclass(frozen=True)
class RowLoss:
    """What a row of outputs contributes: its loss, and what the mean counts it for, if not 1."""

    loss: OfRow
    counts: OfRow = lambda row, target, sample: 1.0


def _batch(
    name: str, outputs: Batch, targets: Batch, sample_weight: Any
) -> list[tuple[Any, Any, float]]:
    """(outputs, target, weight) of each sample."""
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


def _weights(name: str, what: str, weights: Any, count: int) -> list[float]:
    listed = tables.samples(weights, f"{name}: {what}s", "numbers")
    if len(listed) != count:
        raise ValueError(f"{name}: expected {count} {what}s, one for each, got {listed!r:.80}")
    return [real(w, f"{name}: {what}", AT_LEAST_0) for w in listed]


def class_weights(name: str, weights: Any, count: int) -> list[float]:
    """The weight of each class: 1 where a dict does not name it.

    Raises ValueError for a class that is none, by its name, and for too many or too few weights.
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
    """A target as it is if it is a Value, else as a float; nan and inf are refused."""
    if isinstance(y, Ops):
        return y
    y = as_float(y, f"{name}: target")
    if y - y != 0.0:
        raise ValueError(
            f"{name}: sample {sample}: the target is {y!r}; leave the sample out, or give it a "
            "sample_weight of 0"
        )
    return y


def signs(name: str, targets: Batch) -> Batch:
    """Targets of -1 and 1; where all of them are 0 or 1, these are read as -1 and 1."""
    rows = tables.samples(targets, f"{name}: targets")
    flat = [y for row in rows for y in (row if tables.is_row(row) else [row])]
    if 0 in flat and all(y in (0, 1) for y in flat):  # a 1 is a 1 in both
        return [[2 * y - 1 for y in row] if tables.is_row(row) else 2 * row - 1 for row in rows]
    for y in flat:
        gap = isinstance(y, float) and y - y != 0.0  # for `finite_target`
        if y not in (-1, 1) and not gap:
            raise ValueError(f"{name}: a target must be -1 or 1 (or all of them 0 or 1), got {y!r}")
    return rows


def same_length(name: str, row: Any, target: Any, sample: int) -> None:
    """Raise ValueError unless there is a target for each output of a sample."""
    if not tables.is_row(target):
        raise ValueError(
            f"{name}: sample {sample}: {len(row)} outputs but the target {target!r:.40}"
        )
    if len(row) != len(target):
        raise ValueError(f"{name}: sample {sample}: {len(row)} outputs but {len(target)} targets")


def of_numbers(
    name: str,
    term: Callable[[Number, Number], Number],
    outputs: Batch,
    targets: Batch,
    reduction: Reduction,
    sample_weight: Any,
) -> Any:
    """The loss whose terms are those of each output and its target."""

    def one(z: Number, y: Number, weight: float, i: int) -> Number:
        if not weight:
            return 0.0
        if not isinstance(z, Ops):
            z = as_float(z, f"{name}: output")
        if type(y) is not float or y - y != 0.0:
            y = finite_target(name, y, i)
        return term(z, y) if weight == 1.0 else weight * term(z, y)

    def terms() -> list[tuple[Any, Number]]:
        made: list[tuple[Any, Number]] = []
        for i, (z, y, weight) in enumerate(_batch(name, outputs, targets, sample_weight)):
            if not tables.is_row(z) or (len(z) == 1 and not tables.is_row(y)):
                z = z[0] if tables.is_row(z) else z
                if tables.is_row(y) and len(y) != 1:
                    raise ValueError(f"{name}: sample {i}: 1 output but {len(y)} targets")
                made.append((one(z, y[0] if tables.is_row(y) else y, weight, i), 1.0))
                continue
            same_length(name, z, y, i)
            made.append(([one(*pair, weight, i) for pair in zip(z, y, strict=True)], float(len(z))))
        return made

    return _reduced(name, terms, reduction)


def of_rows(
    name: str,
    loss: RowLoss,
    outputs: Batch,
    targets: Batch,
    reduction: Reduction,
    sample_weight: Any,
) -> Any:
    """The loss whose terms are those of each sample's row of outputs and its target."""

    def terms() -> list[tuple[Any, Number]]:
        made: list[tuple[Any, Number]] = []
        for i, (row, target, weight) in enumerate(_batch(name, outputs, targets, sample_weight)):
            if not tables.is_row(row) or not len(row):
                raise ValueError(
                    f"{name}: sample {i}: expected an output for each class, got {row!r:.80} (the "
                    "outputs come first, then the targets)"
                )
            counts = loss.counts(row, target, i)
            made.append((times(weight, loss.loss(row, target, i)) if weight else 0.0, counts))
        return made

    return _reduced(name, terms, reduction)


def times(weight: Number, loss: Number) -> Number:
    """weight * loss, without a product where the weight is the plain number 1."""
    return loss if type(weight) is float and weight == 1.0 else weight * loss


def _reduced(name: str, terms: Callable[[], list[tuple[Any, Number]]], reduction: Reduction) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    with grouped(name):
        made = terms()
        if reduction == "none":
            return [[*map(_node, z)] if isinstance(z, list) else _node(z) for z, _ in made]
        parts = [part for z, _ in made for part in (z if isinstance(z, list) else [z])]
        if not parts:
            raise ValueError(f"{name}: the samples are empty")
        whole = total(parts)
        count = sum(counts for _, counts in made)
        if reduction == "sum":
            return _node(whole)
        if isinstance(count, float) and count == 0.0:
            raise ValueError(f"{name}: there is nothing to take a mean of: no target counts")
        return _node(whole if isinstance(count, float) and count == 1.0 else Ops.div(whole, count))


def _node(loss: Number) -> Any:
    """A loss in which no Value took part is a leaf, so that the result is a Value always."""
    return loss if isinstance(loss, Ops) else Value(loss)
