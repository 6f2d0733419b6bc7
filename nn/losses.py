"""Losses of a batch, from probabilities or from logits, with the gradients that mathematics gives.

Every loss is called as `loss(outputs, targets)`, which is PyTorch's order; Keras has the targets
first.  A batch is a sequence of samples.  A sample is a number, or a sequence of numbers: `Layer`
gives a list also for one neuron, and [z] counts as z where the target is a plain number.  Options:

    reduction        "mean" (over all terms), "sum", or "none" (nested as the batch is); Keras
                     takes each sample's mean before it sums, or gives them for "none"
    sample_weight    a number for each sample; "mean" still divides by the number of terms, as Keras
                     and PyTorch's binary losses do
    class_weight     a number for each class, in order
    label_smoothing  s mixes the targets with a uniform one: y (1 - s) + s / classes
    from_logits      whether the outputs are logits (any number) or, as Keras has it when this is
                     left out, probabilities

From logits a loss is finite, and its gradient sigmoid(z) - y or softmax(z) - y, for logits of any
size.  Probabilities are taken as they are: nothing is clamped, a term of weight 0 is left out (so
p = 0 is fine where y = 0), and p = 0 where y = 1 is a loss of inf, reported with the advice to use
logits.  Keras clamps p to 1e-7, and the gradient is then 0 where the model is most wrong.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

from autograd import NonFiniteError, NonFiniteWarning, Value, select
from autograd.ops import Ops, item, number
from nn.module import grouped
from nn.probabilities import log_normalizer, log_softmax, shifted, total

Number = Any  # a float or a Value
Batch = Sequence[Any]  # of numbers, or of sequences of numbers
Reduction = Literal["mean", "sum", "none"]
_Log = Callable[[Any], Any]

_ADVICE = "pass logits instead of probabilities, with from_logits=True"
_TOLERANCE = 1e-3  # of a row of probabilities that should add up to 1; logits miss it by far


# ---------------------------------------------------------------------- of numbers


def mse(
    outputs: Batch,
    targets: Batch,
    *,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
) -> Any:
    """The mean squared error: mean of (z - y)^2 over all numbers of the batch, as a Value.

    Keras' mean over samples of each sample's mean is the same.  Raises ValueError where lengths
    differ.

    >>> mse([[Value(0.0), Value(0.0)], [Value(1.0), Value(1.0)]], [[0, 1], [0, 0]]).data
    0.75
    """
    return _elementwise("mse", outputs, targets, _squared, reduction, sample_weight)


def mae(
    outputs: Batch,
    targets: Batch,
    *,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
) -> Any:
    """The mean absolute error: mean of |z - y|, as a Value; its gradient at z = y is 0.

    >>> mae([Value(1.0), Value(0.0)], [0.0, 1.0]).data
    1.0
    """
    return _elementwise("mae", outputs, targets, _absolute, reduction, sample_weight)


def huber(
    outputs: Batch,
    targets: Batch,
    *,
    delta: float = 1.0,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
) -> Any:
    """The Huber loss as a Value: d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2).

    Here d = z - y.  Huber, Robust Estimation of a Location Parameter (1964).  It is PyTorch's
    HuberLoss and Keras' Huber; PyTorch's SmoothL1Loss is this divided by its beta.

    >>> huber([Value(0.5), Value(3.0)], [0.0, 0.0], reduction="sum").data
    2.625
    """
    if not 0.0 < number(delta, "huber: delta") < math.inf:
        raise ValueError(f"huber: delta must be above 0 and finite, got {delta!r}")

    def term(z: Number, y: Number) -> Number:
        d = z - y
        return 0.5 * _squared(z, y) if -delta <= d <= delta else delta * (abs(d) - 0.5 * delta)

    return _elementwise("huber", outputs, targets, term, reduction, sample_weight)


def hinge(
    outputs: Batch,
    targets: Batch,
    *,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
) -> Any:
    """The hinge loss of a margin classifier: mean of max(0, 1 - y z) for y = -1 or 1, as a Value.

    Targets that are all 0 or 1 are read as -1 and 1, as Keras does.  Its gradient at y z = 1 is 0.
    (PyTorch's HingeEmbeddingLoss is another loss.)

    >>> hinge([Value(0.5), Value(-2.0)], [1, -1]).data
    0.25
    """
    _batch("hinge", outputs, targets)
    flat = [y for row in targets for y in (row if _is_row(row) else [row])]
    if 0 in flat and all(y in (0, 1) for y in flat):  # a 1 is a 1 in both
        return hinge(
            outputs,
            [[2 * y - 1 for y in row] if _is_row(row) else 2 * row - 1 for row in targets],
            reduction=reduction,
            sample_weight=sample_weight,
        )
    for y in flat:
        if y not in (-1, 1):
            raise ValueError(f"hinge: a target must be -1 or 1 (or all of them 0 or 1), got {y!r}")

    def term(z: Number, y: Number) -> Number:
        return Ops.relu(1.0 - y * z)

    return _elementwise("hinge", outputs, targets, term, reduction, sample_weight)


# ---------------------------------------------------------------------- of two classes


def binary_crossentropy(
    outputs: Batch,
    targets: Batch,
    *,
    from_logits: bool = False,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
    class_weight: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Mean of -(y log p + (1 - y) log(1 - p)) over all numbers of the batch, as a Value.

    Targets lie in [0, 1].  From logits p = sigmoid(z), and the gradient is sigmoid(z) - y for any
    z.  `class_weight` is [weight of y = 0, weight of y = 1]; PyTorch's `pos_weight` is [1, that].
    It is PyTorch's BCELoss, or BCEWithLogitsLoss from logits.

    Raises ValueError for a probability or target outside [0, 1].  Warns when p is 0 or 1 and the
    target says the opposite: the loss is inf.

    >>> z = Value(1000.0)
    >>> loss = binary_crossentropy([z], [0], from_logits=True)
    >>> loss.backward()
    >>> loss.data, z.grad
    (1000.0, 1.0)
    """
    name = "binary_crossentropy"
    smoothing = _smoothing(name, label_smoothing)
    w0, w1 = _class_weights(name, class_weight, 2)

    def term(z: Number, y: Number) -> Number:
        y = _share(name, "target", y) * (1.0 - smoothing) + 0.5 * smoothing
        if from_logits:
            _logit(name, z)
            logs = [(w1 * y, Ops.logsigmoid, z), (w0 * (1.0 - y), Ops.logsigmoid, -z)]
        else:
            _share(name, "probability", z)
            logs = [(w1 * y, Ops.log, z), (w0 * (1.0 - y), Ops.log1p, -z)]
        return _expected(name, logs)

    return _elementwise(name, outputs, targets, term, reduction, sample_weight)


# ---------------------------------------------------------------------- of several classes


def categorical_crossentropy(
    outputs: Batch,
    targets: Batch,
    *,
    from_logits: bool = False,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
    class_weight: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Mean over the samples of -sum of y_k log p_k, for targets that are rows as long, as a Value.

    Targets are one-hot rows, or any shares in [0, 1].  From logits p = softmax(z), and the gradient
    is softmax(z) - y for rows that add up to 1.  It is PyTorch's CrossEntropyLoss (which always
    takes logits) with class probabilities.  "mean" divides by the number of samples.

    Raises ValueError for rows of different lengths, for a probability or target outside [0, 1], and
    for rows of probabilities that do not add up to 1 (Keras divides them by their sum).

    >>> p = [[Value(0.05), Value(0.95), Value(0.0)], [Value(0.1), Value(0.8), Value(0.1)]]
    >>> round(categorical_crossentropy(p, [[0, 1, 0], [0, 0, 1]]).data, 3)
    1.177
    """
    name = "categorical_crossentropy"
    smoothing = _smoothing(name, label_smoothing)

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        _same_length(name, row, target, sample)
        weights = _class_weights(name, class_weight, len(row))
        shares = [_share(name, "target", y) for y in target]
        shares = [y * (1.0 - smoothing) + smoothing / len(row) for y in shares]
        weighted = [w * y for w, y in zip(weights, shares, strict=True)]
        return _crossentropy(name, row, weighted, from_logits, sample)

    return _samplewise(name, outputs, targets, loss, reduction, sample_weight)


def sparse_categorical_crossentropy(
    outputs: Batch,
    targets: Sequence[int],
    *,
    from_logits: bool = False,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
    class_weight: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Mean over the samples of -log p[y], for targets y that are the classes' indices, as a Value.

    From logits p = softmax(z), and the gradient is softmax(z) - onehot(y).  It is PyTorch's
    CrossEntropyLoss (which always takes logits) with class indices; as there, with `class_weight`
    "mean" divides by the sum of the targets' weights.

    Raises ValueError for a class that the row does not have, TypeError for one that is no int; else
    as `categorical_crossentropy`.

    >>> z = [Value(1000.0), Value(-1000.0)]
    >>> loss = sparse_categorical_crossentropy([z], [1], from_logits=True)
    >>> loss.backward()
    >>> loss.data, [logit.grad for logit in z]
    (2000.0, [1.0, -1.0])
    """
    name = "sparse_categorical_crossentropy"
    smoothing = _smoothing(name, label_smoothing)
    divisor = 0.0

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        nonlocal divisor
        weights = _class_weights(name, class_weight, len(row))
        if isinstance(target, bool) or not hasattr(target, "__index__"):
            raise TypeError(f"{name}: sample {sample}: expected a class index, got {target!r}")
        if not 0 <= target < len(row):
            raise ValueError(
                f"{name}: sample {sample}: expected a class from 0 to {len(row) - 1}, got {target}"
            )
        weight = select(weights, target)
        divisor += weight
        shares = [w * smoothing / len(row) for w in weights] if smoothing else []
        share = weight * (1.0 - smoothing)
        return _crossentropy(name, row, shares, from_logits, sample, target, share)

    def count() -> float:
        return divisor

    return _samplewise(
        name, outputs, targets, loss, reduction, sample_weight, count if class_weight else None
    )


def kl_divergence(
    outputs: Batch,
    targets: Batch,
    *,
    from_logits: bool = False,
    reduction: Reduction = "mean",
    sample_weight: Sequence[float] | None = None,
) -> Any:
    """Mean over the samples of sum of y_k log(y_k / p_k), as a Value; 0 where p equals y.

    Kullback and Leibler, On Information and Sufficiency (1951).  "mean" divides by the number of
    samples, as Keras does; PyTorch's KLDivLoss calls that "batchmean" and takes log p.

    Raises ValueError as `categorical_crossentropy` does.

    >>> round(kl_divergence([[Value(0.6), Value(0.4)]], [[0.0, 1.0]]).data, 3)
    0.916
    """
    name = "kl_divergence"

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        _same_length(name, row, target, sample)
        shares = [_share(name, "target", y) for y in target]
        entropy = total([y * Ops.log(y) for y in shares if y > 0.0])
        return _crossentropy(name, row, shares, from_logits, sample) + entropy

    return _samplewise(name, outputs, targets, loss, reduction, sample_weight)


mean_squared_error, mean_absolute_error = mse, mae
bce, cce, scce, kld = (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
    kl_divergence,
)


# ---------------------------------------------------------------------- what they share


def _squared(z: Number, y: Number) -> Number:
    return Ops.square(z - y)


def _absolute(z: Number, y: Number) -> Number:
    return abs(z - y)


def _expected(name: str, logs: Sequence[tuple[float, _Log, Number]], sample: str = "") -> Number:
    """Minus the sum of weight * log(of) over the terms whose weight is not 0.

    An inf among the terms is reported with the advice that helps.
    """
    terms: list[Number] = []
    for weight, log, of in logs:
        if not weight:
            continue
        try:
            term = log(of)
        except NonFiniteError as error:
            raise NonFiniteError(f"{name}: {sample}{error}; {_ADVICE}") from None
        if log is not _itself and term <= -math.inf:
            warnings.warn(
                f"{name}: {sample}a probability of exactly 0 for what the target says happens, so "
                f"the loss is inf; {_ADVICE}",
                NonFiniteWarning,
                stacklevel=2,
            )
        terms.append(_times(weight, term))
    return -total(terms) if terms else 0.0


def _crossentropy(
    name: str,
    row: Sequence[Number],
    shares: list[float],
    from_logits: bool,
    sample: int,
    target: Any = 0,
    share: float = 0.0,
) -> Number:
    """-sum of share * log p over the classes, and over the target by itself."""
    log: _Log = _itself
    if from_logits:
        for z in row:
            _logit(name, z)
    if from_logits and shares:
        row = log_softmax(row)
    elif from_logits and len(row) > 1:
        apart, top = shifted(row, name)
        if not isinstance(share, Ops) and not share:
            return 0.0
        return _times(share, log_normalizer(apart, top) - select(apart, target))
    elif not from_logits:
        log = Ops.log
        whole = total([_share(name, "probability", p) for p in row])
        if abs(whole - 1.0) > _TOLERANCE:
            raise ValueError(
                f"{name}: sample {sample}: the probabilities add up to {whole:.6g}, not to 1; "
                "if they are logits, pass from_logits=True"
            )
    logs = [(w, log, z) for w, z in zip(shares, row, strict=False)]
    if not from_logits or shares:
        logs.append((share, log, select(row, target)))
    return _expected(name, logs, "" if from_logits else f"sample {sample}: ")


def _itself(z: Number) -> Number:
    return z


def _is_row(sample: Any) -> bool:
    return hasattr(sample, "__len__") and hasattr(sample, "__getitem__")


def _batch(name: str, outputs: Any, targets: Any) -> int:
    for what, batch in (("outputs", outputs), ("targets", targets)):
        if not _is_row(batch) or isinstance(batch, str):
            raise TypeError(
                f"{name}: expected {what} for a batch, as in [z] for one sample, got {batch!r:.80}"
            )
    if len(outputs) != len(targets):
        raise ValueError(f"{name}: {len(outputs)} outputs but {len(targets)} targets")
    if not len(outputs):
        raise ValueError(f"{name}: the batch is empty")
    return len(outputs)


def _same_length(name: str, row: Any, target: Any, sample: int) -> None:
    if not _is_row(target) or len(row) != len(target):
        got = f"{len(target)} targets" if _is_row(target) else f"the target {target!r:.40}"
        raise ValueError(f"{name}: sample {sample}: {len(row)} outputs but {got}")


def _logit(name: str, z: Number) -> None:
    """Raise TypeError for what is no number."""
    if not isinstance(z, Ops):
        number(z, f"{name}: logit")


def _share(name: str, what: str, of: Number) -> Number:
    """The number, if it lies in [0, 1]; a probability that is nan passes, as nan does anywhere."""
    data = item(of) if isinstance(of, Ops) else number(of, f"{name}: {what}")
    if not 0.0 <= data <= 1.0 and (what == "target" or data == data):
        logits = "; if the outputs are logits, pass from_logits=True" * (what == "probability")
        raise ValueError(f"{name}: a {what} must lie in [0, 1], got {data!r}{logits}")
    return data


def _smoothing(name: str, smoothing: float) -> float:
    if not 0.0 <= number(smoothing, f"{name}: label_smoothing") <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie in [0, 1], got {smoothing!r}")
    return float(smoothing)


def _weights(name: str, what: str, weights: Sequence[float] | None, count: int) -> list[float]:
    if weights is None:
        return [1.0] * count
    if not _is_row(weights) or len(weights) != count:
        raise ValueError(f"{name}: expected {count} {what}s, one for each, got {weights!r:.80}")
    checked = [number(w, f"{name}: {what}") for w in weights]
    for w in checked:
        if not 0.0 <= w < math.inf:
            raise ValueError(f"{name}: a {what} must be finite and at least 0, got {w!r}")
    return checked


def _class_weights(name: str, weights: Sequence[float] | None, count: int) -> list[float]:
    return _weights(name, "class weight", weights, count)


def _elementwise(
    name: str,
    outputs: Batch,
    targets: Batch,
    term: Callable[[Number, Number], Number],
    reduction: Reduction,
    sample_weight: Sequence[float] | None,
) -> Any:
    count = _batch(name, outputs, targets)
    weights = _weights(name, "sample weight", sample_weight, count)

    def losses() -> list[Any]:
        made: list[Any] = []
        for i, (row, target, weight) in enumerate(zip(outputs, targets, weights, strict=True)):
            if not _is_row(row) or (len(row) == 1 and not _is_row(target)):
                z = row[0] if _is_row(row) else row
                if _is_row(target):
                    raise ValueError(f"{name}: sample {i}: 1 output but {len(target)} targets")
                made.append(_times(weight, term(z, target)))
            else:
                _same_length(name, row, target, i)
                pairs = zip(row, target, strict=True)
                made.append([_times(weight, term(z, y)) for z, y in pairs])
        return made

    return _reduced(name, losses, reduction, None)


def _samplewise(
    name: str,
    outputs: Batch,
    targets: Batch,
    loss: Callable[[Sequence[Number], Any, int], Number],
    reduction: Reduction,
    sample_weight: Sequence[float] | None,
    divisor: Callable[[], float] | None = None,
) -> Any:
    count = _batch(name, outputs, targets)
    weights = _weights(name, "sample weight", sample_weight, count)

    def losses() -> list[Any]:
        made = []
        for i, (row, target, weight) in enumerate(zip(outputs, targets, weights, strict=True)):
            if not _is_row(row) or not len(row):
                raise ValueError(
                    f"{name}: sample {i}: expected an output for each class, got {row!r:.80}"
                )
            made.append(_times(weight, loss(row, target, i)))
        return made

    return _reduced(name, losses, reduction, divisor)


def _times(weight: float, loss: Number) -> Number:
    # A weight that is an input of a recording is not asked: a product with 1 is exact.
    return loss if not isinstance(weight, Ops) and weight == 1.0 else weight * loss


def _reduced(
    name: str,
    losses: Callable[[], list[Any]],
    reduction: Reduction,
    divisor: Callable[[], float] | None,
) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    with grouped(name):
        return _reduce(name, losses, reduction, divisor)


def _reduce(
    name: str,
    losses: Callable[[], list[Any]],
    reduction: Reduction,
    divisor: Callable[[], float] | None,
) -> Any:
    made = losses()
    if reduction == "none":
        return [
            [_node(z) for z in part] if isinstance(part, list) else _node(part) for part in made
        ]
    flat = [z for part in made for z in (part if isinstance(part, list) else [part])]
    if not flat:
        raise ValueError(f"{name}: the samples are empty")
    whole = total(flat)
    count = 1 if reduction == "sum" else len(flat) if divisor is None else divisor()
    if count != 1:
        whole = Ops.div(whole, count)  # which is nan, and no exception, for 0 / 0
    return _node(whole)


def _node(loss: Number) -> Any:
    """A loss in which no Value took part is a leaf, so that the result is a Value always."""
    return loss if isinstance(loss, Ops) else Value(loss)
