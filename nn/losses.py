"""Losses of a batch, from probabilities or from logits, with the gradients that mathematics gives.

Every loss is called as `loss(outputs, targets)`, which is PyTorch's order; Keras has the targets
first.  A batch is a sequence of samples: a list, an array, a DataFrame or a Series.  A sample is a
number, or a sequence of numbers: `Layer` gives a list also for one neuron, and [z] counts as z
where the target is a plain number.  Options:

    reduction        "mean" (over all terms), "sum", or "none" (nested as the batch is); Keras
                     takes each sample's mean before it sums, or gives them for "none"
    sample_weight    a number for each sample; "mean" still divides by the number of terms, as Keras
                     and PyTorch's binary losses do; a sample of weight 0 is not looked at, so its
                     target may be missing
    class_weight     a number for each class, in order, or a dict from class to number (1 for those
                     that it does not name)
    label_smoothing  s mixes the targets with a uniform one: y (1 - s) + s / classes
    from_logits      whether the outputs are logits (any number) or, as Keras has it when this is
                     left out, probabilities

What is at the edges: an empty batch, and a mean over no targets at all (every one ignored, or of
a class of weight 0), are ValueErrors; a batch of one class is a batch like any other; a target that
is nan or inf is a ValueError, by its sample.

From logits a loss is finite, and its gradient sigmoid(z) - y or softmax(z) - y, for logits of any
size.  Probabilities are taken as they are: nothing is clamped, a term of weight 0 is left out (so
p = 0 is fine where y = 0), and p = 0 where y = 1 is a loss of inf, reported with the advice to use
logits.  Keras clamps p to 1e-7, and the gradient is then 0 where the model is most wrong.
"""

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from autograd import NonFiniteError, NonFiniteWarning, Value, select  # noqa: F401 - of examples
from autograd.ops import Ops
from nn import tables
from nn.options import AT_LEAST_0, POSITIVE, absent, advice, as_float, real, whole
from nn.probabilities import log_normalizer, log_softmax, shifted, total
from nn.reductions import (
    Batch,
    Number,
    Reduction,
    RowLoss,
    class_weights,
    finite_target,
    of_numbers,
    of_rows,
    same_length,
    signs,
    times,
)

_Log = Callable[[Any], Any]

_ADVICE = "pass logits instead of probabilities, with from_logits=True"
_TOLERANCE = 1e-3  # of a row of probabilities that should add up to 1; logits miss it by far


class Loss(Protocol):
    """How every loss is called; `options` are those of its own."""

    __name__: str

    def __call__(
        self,
        outputs: Batch,
        targets: Batch,
        *,
        reduction: Reduction = "mean",
        sample_weight: Any = None,
        **options: Any,
    ) -> Any:
        """The loss of a batch as a Value; nested as the batch is for reduction="none"."""


def _as_loss(make: Callable[..., Any], reduce: Callable[..., Any], read: Any = None) -> Loss:
    """The loss whose terms `make(**options)` gives and `reduce` adds up."""
    name, own = make.__name__, inspect.signature(make).parameters

    @functools.wraps(make)
    def loss(
        outputs: Batch,
        targets: Batch,
        *,
        reduction: Reduction = "mean",
        sample_weight: Any = None,
        **options: Any,
    ) -> Any:
        for option in options:
            if option not in own:
                known = dict.fromkeys(["reduction", "sample_weight", *own])
                raise TypeError(f"{name}: there is no option {option!r}{advice(option, known)}")
        given = targets if read is None else read(name, targets)
        return reduce(name, make(**options), outputs, given, reduction, sample_weight)

    *shared, _ = inspect.signature(loss, follow_wrapped=False).parameters.values()
    vars(loss)["__signature__"] = inspect.Signature([*shared, *own.values()])
    del vars(loss)["__wrapped__"]
    return loss


def _of_numbers(make: Callable[..., Callable[[Number, Number], Number]]) -> Loss:
    """The loss whose term for an output z and its target y is `make(**options)(z, y)`."""
    return _as_loss(make, of_numbers)


def _of_signs(make: Callable[..., Callable[[Number, Number], Number]]) -> Loss:
    """The same for targets -1 and 1; where all are 0 or 1, they are read as such."""
    return _as_loss(make, of_numbers, signs)


def _of_rows(make: Callable[..., RowLoss]) -> Loss:
    """The loss of rows of outputs, one for each class."""
    return _as_loss(make, of_rows)


# ---------------------------------------------------------------------- of numbers


@_of_numbers
def mse() -> Callable[[Number, Number], Number]:
    """The mean squared error: mean of (z - y)^2 over all numbers of the batch, as a Value.

    Keras' mean over samples of each sample's mean is the same.  Raises ValueError where lengths
    differ.

    >>> mse([[Value(0.0), Value(0.0)], [Value(1.0), Value(1.0)]], [[0, 1], [0, 0]]).data
    0.75
    """
    return lambda z, y: Ops.square(z - y)


@_of_numbers
def mae() -> Callable[[Number, Number], Number]:
    """The mean absolute error: mean of |z - y|, as a Value; its gradient at z = y is 0.

    >>> mae([Value(1.0), Value(0.0)], [0.0, 1.0]).data
    1.0
    """
    return lambda z, y: abs(z - y)


@_of_numbers
def huber(*, delta: float = 1.0) -> Callable[[Number, Number], Number]:
    """The Huber loss as a Value: d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2).

    Here d = z - y.  Huber, Robust Estimation of a Location Parameter (1964).  It is PyTorch's
    HuberLoss and Keras' Huber; PyTorch's SmoothL1Loss is this divided by its beta.

    >>> huber([Value(0.5), Value(3.0)], [0.0, 0.0], reduction="sum").data
    2.625
    """
    delta = real(delta, "huber: delta", POSITIVE)

    def term(z: Number, y: Number) -> Number:
        d = z - y
        return 0.5 * Ops.square(d) if -delta <= d <= delta else delta * (abs(d) - 0.5 * delta)

    return term


@_of_numbers
def log_cosh() -> Callable[[Number, Number], Number]:
    """Mean of log(cosh(z - y)), as a Value: d^2 / 2 for a small d, |d| - log 2 for a large one.

    Green, Bayesian Reconstructions From Emission Tomography Data (1990).  Its gradient is tanh(d),
    and all digits are kept for a small d, which Keras' LogCosh loses.

    >>> round(log_cosh([Value(1e-6)], [0.0]).data, 20)
    5e-13
    """

    def term(z: Number, y: Number) -> Number:
        d = z - y
        if -_LARGE < d < _LARGE:  # cosh d = 1 + 2 sinh(d / 2)^2
            return Ops.log1p(2.0 * Ops.square(Ops.sinh(0.5 * d)))
        return abs(d) - math.log(2.0)

    return term


_LARGE = 700.0  # beyond it cosh overflows, and log cosh d is |d| - log 2 to the last digit


@_of_numbers
def poisson(*, log_input: bool = False) -> Callable[[Number, Number], Number]:
    """Mean of z - y log z, as a Value: of counts y, for rates z (McCullagh and Nelder 1989).

    With `log_input` the outputs are the rates' logarithms, which may be any number, and the term is
    exp(z) - y z.  It is Keras' Poisson, or PyTorch's PoissonNLLLoss, which has log_input=True when
    it is left out.

    >>> poisson([Value(1.0), Value(2.0)], [3, 0]).data
    1.5
    """

    def term(z: Number, y: Number) -> Number:
        if y < 0.0:
            raise ValueError(f"poisson: a target must be at least 0, got {tables.plain(y, '')!r}")
        if log_input:
            return Ops.exp(z) - y * z
        counted = isinstance(y, Ops) or y > 0.0
        return z - y * Ops.log(z) if counted else z

    return term


@_of_numbers
def mape() -> Callable[[Number, Number], Number]:
    """The mean absolute percentage error: 100 times the mean of |(y - z) / y|, as a Value.

    Makridakis, Accuracy measures (1993).  Raises ValueError for a target of 0, of which nothing is
    a percentage; Keras divides by 1e-7 there.

    >>> mape([Value(1.5), Value(4.0)], [1.0, 5.0]).data
    35.0
    """

    def term(z: Number, y: Number) -> Number:
        if y == 0.0:
            raise ValueError("mape: a target of 0 has no percentage; take mae, or leave it out")
        return 100.0 * abs((y - z) / y)

    return term


@_of_numbers
def msle() -> Callable[[Number, Number], Number]:
    """The mean squared logarithmic error: mean of (log(1 + z) - log(1 + y))^2, as a Value.

    Tornqvist, Vartia and Vartia, How should relative changes be measured? (1985).  Raises
    ValueError for a target of -1 or less; an output there has a loss of inf or nan (Keras takes it
    for 1e-7).

    >>> round(msle([Value(math.e - 1.0)], [0.0]).data, 12)
    1.0
    """

    def term(z: Number, y: Number) -> Number:
        if y <= -1.0:
            raise ValueError(f"msle: a target must be above -1, got {tables.plain(y, '')!r}")
        return Ops.square(Ops.log1p(z) - Ops.log1p(y))

    return term


# ---------------------------------------------------------------------- of margins


@_of_signs
def hinge() -> Callable[[Number, Number], Number]:
    """The hinge loss of a margin classifier: mean of max(0, 1 - y z) for y = -1 or 1, as a Value.

    Targets that are all 0 or 1 are read as -1 and 1, as Keras does.  Its gradient at y z = 1 is 0.
    (PyTorch's HingeEmbeddingLoss is another loss.)

    >>> hinge([Value(0.5), Value(-2.0)], [1, -1]).data
    0.25
    """
    return lambda z, y: Ops.relu(1.0 - y * z)


@_of_signs
def squared_hinge() -> Callable[[Number, Number], Number]:
    """Mean of max(0, 1 - y z)^2 for y = -1 or 1, as a Value; targets as for `hinge`.

    Cortes and Vapnik, Support-Vector Networks (1995).

    >>> squared_hinge([Value(0.5), Value(-2.0)], [1, -1]).data
    0.125
    """
    return lambda z, y: Ops.square(Ops.relu(1.0 - y * z))


@_of_rows
def categorical_hinge() -> RowLoss:
    """Mean over the samples of max(0, 1 + max of (1 - y_k) z_k - sum of y_k z_k), as a Value.

    Crammer and Singer, Multiclass Kernel-based Vector Machines (2001), as Keras writes it: targets
    are one-hot rows, and the first maximum is never below 0.

    >>> categorical_hinge([[Value(2.0), Value(1.5), Value(-1.0)]], [[1, 0, 0]]).data
    0.5
    """
    name = "categorical_hinge"

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        shares = _shares(name, row, target, sample)
        pairs = list(zip(row, shares, strict=True))
        right = total([times(y, z) for z, y in pairs if isinstance(y, Ops) or y])
        wrong = [times(1.0 - y, z) if isinstance(y, Ops) or y < 1.0 else 0.0 for z, y in pairs]
        return Ops.relu(1.0 + functools.reduce(Ops.maximum, wrong) - right)

    return RowLoss(loss)


@_of_rows
def cosine_similarity() -> RowLoss:
    """Mean over the samples of -z.y / (|z| |y|), as a Value: -1 where both point the same way.

    Salton, Wong and Yang, A Vector Space Model for Automatic Indexing (1975).  It is Keras'
    CosineSimilarity; PyTorch's CosineEmbeddingLoss adds 1.  A row of zeros has no direction: of a
    target it is a ValueError, of outputs the loss is nan.

    >>> round(cosine_similarity([[Value(3.0), Value(4.0)]], [[4.0, 3.0]]).data, 12)
    -0.96
    """
    name = "cosine_similarity"

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        same_length(name, row, target, sample)
        ys = [finite_target(name, y, sample) for y in target]
        if not any(isinstance(y, Ops) or y for y in ys):
            raise ValueError(f"{name}: sample {sample}: a target of zeros has no direction")
        dot = total([z * y for z, y in zip(row, ys, strict=True)])
        lengths = functools.reduce(Ops.hypot, row, 0.0) * functools.reduce(Ops.hypot, ys, 0.0)
        return -Ops.div(dot, lengths)

    return RowLoss(loss)


# ---------------------------------------------------------------------- of two classes


@_of_numbers
def binary_crossentropy(
    *, from_logits: bool = False, class_weight: Any = None, label_smoothing: float = 0.0
) -> Callable[[Number, Number], Number]:
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
    smoothing = real(label_smoothing, f"{name}: label_smoothing", "[0, 1]")
    w0, w1 = class_weights(name, class_weight, 2)

    def term(z: Number, y: Number) -> Number:
        y = _share(name, "target", y) * (1.0 - smoothing) + 0.5 * smoothing
        log0, log1 = _logs(name, z, from_logits)
        return _expected(name, [(w1 * y, *log1), (w0 * (1.0 - y), *log0)])

    return term


@_of_numbers
def focal(
    *, gamma: float = 2.0, from_logits: bool = False, class_weight: Any = None
) -> Callable[[Number, Number], Number]:
    """Mean of -(1 - p)^gamma log p, p the probability of the target's class (0 or 1), as a Value.

    Lin, Goyal, Girshick, He and Dollar, Focal Loss for Dense Object Detection (2017), equation 4,
    and equation 5 with class_weight=[1 - alpha, alpha].  With gamma = 0 it is the crossentropy.

    >>> round(focal([Value(0.9), Value(0.9)], [1, 0]).data, 6)
    0.933074
    """
    name = "focal"
    power, weights = real(gamma, "focal: gamma", AT_LEAST_0), class_weights(name, class_weight, 2)

    def term(z: Number, y: Number) -> Number:
        if y not in (0.0, 1.0):
            raise ValueError(f"{name}: a target must be 0 or 1, got {tables.plain(y, '')!r}")
        k = 1 if y == 1.0 else 0
        log, of = _logs(name, z, from_logits)[k]
        other = 1.0 - z if k else z
        if from_logits:
            other = Ops.sigmoid(-z if k else z)
        loss = _expected(name, [(weights[k], log, of)])
        return times(Ops.pow(other, power) if power else 1.0, loss)

    return term


# ---------------------------------------------------------------------- of several classes


@_of_rows
def categorical_crossentropy(
    *, from_logits: bool = False, class_weight: Any = None, label_smoothing: float = 0.0
) -> RowLoss:
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
    smoothing = real(label_smoothing, f"{name}: label_smoothing", "[0, 1]")
    weights_of = functools.cache(functools.partial(class_weights, name, class_weight))

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        shares = _shares(name, row, target, sample)
        shares = [y * (1.0 - smoothing) + smoothing / len(row) for y in shares]
        weighted = [w * y for w, y in zip(weights_of(len(row)), shares, strict=True)]
        return _crossentropy(name, row, weighted, from_logits, sample)

    return RowLoss(loss)


@_of_rows
def sparse_categorical_crossentropy(
    *,
    from_logits: bool = False,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> RowLoss:
    """Mean over the samples of -log p[y], for targets y that are the classes' indices, as a Value.

    From logits p = softmax(z), and the gradient is softmax(z) - onehot(y).  It is PyTorch's
    CrossEntropyLoss (which always takes logits) with class indices; as there, with `class_weight`
    "mean" divides by the sum of the targets' weights, and samples whose target is `ignore_index`
    count for nothing (PyTorch ignores -100 when that is left out).

    Raises ValueError for a class that the row does not have, TypeError for one that is no int; else
    as `categorical_crossentropy`.

    >>> z = [Value(1000.0), Value(-1000.0)]
    >>> loss = sparse_categorical_crossentropy([z], [1], from_logits=True)
    >>> loss.backward()
    >>> loss.data, [logit.grad for logit in z]
    (2000.0, [1.0, -1.0])
    """
    name = "sparse_categorical_crossentropy"
    smoothing = real(label_smoothing, f"{name}: label_smoothing", "[0, 1]")
    weights_of = functools.cache(functools.partial(class_weights, name, class_weight))
    if ignore_index is not None:
        ignore_index = whole(ignore_index, f"{name}: ignore_index", None)

    def counts(row: Sequence[Number], target: Any, sample: int) -> Number:
        if isinstance(target, bool) or not hasattr(target, "__index__"):
            raise TypeError(
                f"{name}: sample {sample}: expected a class index, got {target!r}{_sparse(target)}"
            )
        if ignore_index is not None and target == ignore_index:
            return 0.0
        if not 0 <= target < len(row):
            raise ValueError(
                f"{name}: sample {sample}: expected a class from 0 to {len(row) - 1}, got {target}"
            )
        return 1.0 if class_weight is None else select(weights_of(len(row)), target)

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        if ignore_index is not None and target == ignore_index:
            return 0.0
        weights = weights_of(len(row))
        shares = [w * smoothing / len(row) for w in weights] if smoothing else []
        share = 1.0 - smoothing
        if class_weight is not None:  # a product with 1 would be recorded
            share = select(weights, target) * share
        return _crossentropy(name, row, shares, from_logits, sample, target, share)

    return RowLoss(loss, counts)


@_of_rows
def kl_divergence(*, from_logits: bool = False) -> RowLoss:
    """Mean over the samples of sum of y_k log(y_k / p_k), as a Value; 0 where p equals y.

    Kullback and Leibler, On Information and Sufficiency (1951).  "mean" divides by the number of
    samples, as Keras does; PyTorch's KLDivLoss calls that "batchmean" and takes log p.

    Raises ValueError as `categorical_crossentropy` does.

    >>> round(kl_divergence([[Value(0.6), Value(0.4)]], [[0.0, 1.0]]).data, 3)
    0.916
    """
    name = "kl_divergence"

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        shares = _shares(name, row, target, sample)
        entropy = total([y * Ops.log(y) for y in shares if y > 0.0])
        return _crossentropy(name, row, shares, from_logits, sample) + entropy

    return RowLoss(loss)


mean_squared_error, mean_absolute_error = mse, mae
mean_absolute_percentage_error, mean_squared_logarithmic_error = mape, msle
bce, cce, scce, kld = (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
    kl_divergence,
)
# Every loss by every one of its names.
NAMED: dict[str, Loss] = {
    name: loss
    for name, loss in list(globals().items())
    if not name.startswith("_") and hasattr(loss, "__signature__")
}


# ---------------------------------------------------------------------- what they share


def _logs(name: str, z: Number, from_logits: bool) -> tuple[tuple[_Log, Number], ...]:
    """How log(1 - p) and log(p) come from an output: a function, and what it is of."""
    if from_logits:
        _logit(name, z)
        return (Ops.logsigmoid, -z), (Ops.logsigmoid, z)
    _share(name, "probability", z)
    return (Ops.log1p, -z), (Ops.log, z)


def _shares(name: str, row: Sequence[Number], target: Any, sample: int) -> list[Number]:
    """The target's row of numbers in [0, 1], as many as there are outputs."""
    if not tables.is_row(target) and hasattr(target, "__index__") and len(row) > 1:
        raise ValueError(
            f"{name}: sample {sample}: expected a row of {len(row)} shares, such as a one-hot row, "
            f"got {target!r}; class indices are for sparse_categorical_crossentropy"
        )
    same_length(name, row, target, sample)
    return [_share(name, "target", y) for y in target]


def _sparse(target: Any) -> str:
    """What to do with a target that is no class index."""
    if tables.is_row(target):
        if len(target) > 1:
            return "; one-hot rows are for categorical_crossentropy"
        return "; give one index for each sample, as in targets.ravel()"
    return "; make it an int" if isinstance(target, float) and target.is_integer() else ""


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
        terms.append(times(weight, term))
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
        return times(share, log_normalizer(apart, top) - select(apart, target))
    elif not from_logits:
        log = Ops.log
        added = total([_share(name, "probability", p) for p in row])
        if abs(added - 1.0) > _TOLERANCE:
            raise ValueError(
                f"{name}: sample {sample}: the probabilities add up to {added:.6g}, not to 1; "
                "if they are logits, pass from_logits=True"
            )
    logs = [(w, log, z) for w, z in zip(shares, row, strict=False)]
    if not from_logits or shares:
        logs.append((share, log, select(row, target)))
    return _expected(name, logs, "" if from_logits else f"sample {sample}: ")


def _itself(z: Number) -> Number:
    return z


def _logit(name: str, z: Number) -> None:
    """Raise TypeError for what is no number."""
    if not isinstance(z, Ops):
        as_float(z, f"{name}: logit")


def _share(name: str, what: str, of: Number) -> Number:
    """The number, if it lies in [0, 1]; a probability that is nan passes, as nan does anywhere."""
    data = tables.plain(of, f"{name}: {what}")
    if not 0.0 <= data <= 1.0 and (what == "target" or data == data):
        logits = "; if the outputs are logits, pass from_logits=True" * (what == "probability")
        raise ValueError(f"{name}: a {what} must lie in [0, 1], got {data!r}{logits}")
    return data


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
