"""Losses of a batch, from probabilities or from logits, with exact gradients.

Call every loss as `loss(outputs, targets)`, in PyTorch's order; in Keras the targets come first.
A batch is a sequence of samples: a list, an array, a DataFrame or a Series.  A sample is a number
or a sequence of numbers.  `Layer` returns a list even for one neuron, so [z] counts as z if the
target is a plain number.  Options:

    reduction        "mean" (over all terms), "sum", or "none" (one loss for each term, nested like
                     the batch); for "sum" and "none" Keras takes each sample's mean first
    sample_weight    a number for each sample; "mean" still divides by the number of terms, like
                     Keras and PyTorch's binary losses; a sample with weight 0 is skipped, so its
                     target may be missing
    class_weight     a number for each class, in order, or a dict from class to number (1 for the
                     classes that are not in it)
    label_smoothing  s mixes the targets with a uniform distribution: y (1 - s) + s / classes
    from_logits      whether the outputs are logits (any numbers); by default, as in Keras, they are
                     probabilities

Edge cases: an empty batch is a ValueError, and so is a mean if all targets are ignored or belong to
classes of weight 0.  A target that is nan or inf is a ValueError that names the sample.

From logits, a loss is finite for logits of any size, and its gradient is sigmoid(z) - y or
softmax(z) - y.  Probabilities are not clamped.  A term of weight 0 is left out, so p = 0 is fine if
y = 0; if y = 1, the loss is inf, with a warning that advises logits.  Keras clamps p to 1e-7, so
its gradient is 0 where the model is most wrong.
"""

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol

from autograd import NonFiniteError, NonFiniteWarning, Value, select  # noqa: F401 - for examples
from autograd.elsewhere import absent, advice
from autograd.ops import Ops
from autograd.options import AT_LEAST_0, POSITIVE, as_float, real, whole
from nn import tables
from nn.module import taught
from nn.probabilities import PROBABILITY, log_normalizer, log_softmax, shifted, total
from nn.reductions import (
    Batch,
    Number,
    Reduction,
    RowLoss,
    Term,
    class_weights,
    finite_target,
    of_numbers,
    of_rows,
    reduced,
    same_length,
    signs,
    times,
)

_Log = Callable[[Any], Any]

_ADVICE = "pass logits instead of probabilities, with from_logits=True"
_SOFTMAX = f"; {PROBABILITY}"
_SIGMOID = "; p = 1 / (1 + e**(-z))"  # the meaning of p in a formula
_TOLERANCE = 1e-3  # for the sum of a row of probabilities; logits are far outside


class Loss(Protocol):
    """The signature of all losses; `options` are the loss's own."""

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
        """The loss of a batch as a Value; for reduction="none" Values nested like the batch."""


def _as_loss(make: Callable[..., Any], terms_of: Callable[..., Any], read: Any = None) -> Loss:
    """A loss with the terms `terms_of(name, make(**options), batch)`."""
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
        data = outputs, targets if read is None else read(name, targets)
        terms = functools.partial(terms_of, name, make(**options))
        return reduced(name, terms, data, reduction, sample_weight)

    *shared, _ = inspect.signature(loss, follow_wrapped=False).parameters.values()
    vars(loss)["__signature__"] = inspect.Signature([*shared, *own.values()])
    del vars(loss)["__wrapped__"]
    return loss


def _of_numbers(make: Callable[..., Term]) -> Loss:
    """A loss with the term `make(**options)(z, y)` for each output z and its target y."""
    return _as_loss(make, of_numbers)


def _of_signs(make: Callable[..., Term]) -> Loss:
    """The same for targets of -1 and 1; targets that are all 0 or 1 are converted."""
    return _as_loss(make, of_numbers, signs)


def _of_rows(make: Callable[..., RowLoss]) -> Loss:
    """A loss of rows of outputs, with one output for each class."""
    return _as_loss(make, of_rows)


# ---------------------------------------------------------------------- of numbers


@_of_numbers
def mse() -> Term:
    """The mean squared error: mean of (z - y)^2 over all numbers of the batch, as a Value.

    Keras' mean of the samples' means is the same.  Raises ValueError if lengths differ.

    >>> mse([[Value(0.0), Value(0.0)], [Value(1.0), Value(1.0)]], [[0, 1], [0, 0]]).data
    0.75
    """
    return lambda z, y: Ops.square(z - y)


@_of_numbers
def mae() -> Term:
    """The mean absolute error: mean of |z - y|, as a Value; its gradient at z = y is 0.

    >>> mae([Value(1.0), Value(0.0)], [0.0, 1.0]).data
    1.0
    """
    return lambda z, y: abs(z - y)


@_of_numbers
def huber(*, delta: float = 1.0) -> Term:
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
def log_cosh() -> Term:
    """Mean of log(cosh(z - y)), as a Value: d^2 / 2 for a small d, |d| - log 2 for a large one.

    Green, Bayesian Reconstructions From Emission Tomography Data (1990).  Its gradient is tanh(d).
    It is exact for a small d, where Keras' LogCosh loses digits.

    >>> round(log_cosh([Value(1e-6)], [0.0]).data, 20)
    5e-13
    """

    def term(z: Number, y: Number) -> Number:
        d = z - y
        if -_LARGE < d < _LARGE:  # cosh d = 1 + 2 sinh(d / 2)^2
            loss = Ops.log1p(2.0 * Ops.square(Ops.sinh(0.5 * d)))
        else:
            loss = abs(d) - math.log(2.0)
        return taught(loss, "log(cosh(z - y))")

    return term


_LARGE = 700.0  # cosh overflows above it, and log cosh d is exactly |d| - log 2


@_of_numbers
def poisson(*, log_input: bool = False) -> Term:
    """Mean of z - y log z, as a Value, for rates z and counts y (McCullagh and Nelder 1989).

    With `log_input` the outputs are the logarithms of the rates, which may be any numbers, and the
    term is exp(z) - y z.  It is Keras' Poisson; in PyTorch's PoissonNLLLoss the default is
    log_input=True.

    >>> poisson([Value(1.0), Value(2.0)], [3, 0]).data
    1.5
    """

    def term(z: Number, y: Number) -> Number:
        if y < 0.0:
            raise ValueError(f"poisson: a target must be at least 0, got {tables.plain(y, '')!r}")
        if log_input:
            return Ops.exp(z) - y * z
        return z - y * Ops.log(z) if isinstance(y, Ops) or y > 0.0 else z

    return term


@_of_numbers
def mape() -> Term:
    """The mean absolute percentage error: 100 times the mean of |(y - z) / y|, as a Value.

    Makridakis, Accuracy measures (1993).  Raises ValueError for a target of 0, where there is no
    percentage; Keras divides by 1e-7 there.

    >>> mape([Value(1.5), Value(4.0)], [1.0, 5.0]).data
    35.0
    """

    def term(z: Number, y: Number) -> Number:
        if y == 0.0:
            raise ValueError("mape: a target of 0 has no percentage; use mae, or leave it out")
        return 100.0 * abs((y - z) / y)

    return term


@_of_numbers
def msle() -> Term:
    """The mean squared logarithmic error: mean of (log(1 + z) - log(1 + y))^2, as a Value.

    Tornqvist, Vartia and Vartia, How should relative changes be measured? (1985).  Raises
    ValueError for a target of -1 or less; the loss of an output of -1 or less is inf or nan (Keras
    clamps it).

    >>> round(msle([Value(math.e - 1.0)], [0.0]).data, 12)
    1.0
    """

    def term(z: Number, y: Number) -> Number:
        if y <= -1.0:
            raise ValueError(f"msle: a target must be above -1, got {tables.plain(y, '')!r}")
        loss = Ops.square(Ops.log1p(z) - Ops.log1p(y))
        return taught(loss, "(log(1 + z) - log(1 + y))**2")

    return term


# ---------------------------------------------------------------------- of margins


@_of_signs
def hinge() -> Term:
    """The hinge loss of a margin classifier: mean of max(0, 1 - y z) for y = -1 or 1, as a Value.

    Targets that are all 0 or 1 are read as -1 and 1, as Keras does.  Its gradient at y z = 1 is 0.
    (PyTorch's HingeEmbeddingLoss is another loss.)

    >>> hinge([Value(0.5), Value(-2.0)], [1, -1]).data
    0.25
    """
    return lambda z, y: Ops.relu(1.0 - y * z)


@_of_signs
def squared_hinge() -> Term:
    """Mean of max(0, 1 - y z)^2 for y = -1 or 1, as a Value; targets as for `hinge`.

    Cortes and Vapnik, Support-Vector Networks (1995).

    >>> squared_hinge([Value(0.5), Value(-2.0)], [1, -1]).data
    0.125
    """
    return lambda z, y: Ops.square(Ops.relu(1.0 - y * z))


@_of_rows
def categorical_hinge() -> RowLoss:
    """Mean over the samples of max(0, 1 + max of (1 - y_k) z_k - sum of y_k z_k), as a Value.

    Crammer and Singer, Multiclass Kernel-based Vector Machines (2001), in Keras' form: targets are
    one-hot rows, and the inner maximum is never below 0.

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
    """Mean over the samples of -z.y / (|z| |y|), as a Value: -1 if both have the same direction.

    Salton, Wong and Yang, A Vector Space Model for Automatic Indexing (1975).  It is Keras'
    CosineSimilarity; PyTorch's CosineEmbeddingLoss adds 1.  A row of zeros has no direction: a
    target of zeros is a ValueError, and for outputs of zeros the loss is nan.

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
        return taught(-Ops.div(dot, lengths), "-sum_i(z_i * y_i) / (norm(z) * norm(y))")

    return RowLoss(loss)


# ---------------------------------------------------------------------- of two classes


@_of_numbers
def binary_crossentropy(
    *, from_logits: bool = False, class_weight: Any = None, label_smoothing: float = 0.0
) -> Term:
    """Mean of -(y log p + (1 - y) log(1 - p)) over all numbers of the batch, as a Value.

    Targets are numbers in [0, 1].  From logits p = sigmoid(z), and the gradient is sigmoid(z) - y
    for any z.  `class_weight` is [weight of y = 0, weight of y = 1]; PyTorch's pos_weight=w is
    [1, w] here.  It is PyTorch's BCELoss, or BCEWithLogitsLoss from logits.

    Raises ValueError for a probability or target outside [0, 1].  Warns if p is 0 or 1 and the
    target is the opposite, because the loss is then inf.

    >>> z = Value(1000.0)
    >>> loss = binary_crossentropy([z], [0], from_logits=True)
    >>> loss.backward()
    >>> loss.data, z.grad
    (1000.0, 1.0)
    """
    name = "binary_crossentropy"
    smoothing = real(label_smoothing, f"{name}: label_smoothing", "[0, 1]")
    w0, w1 = class_weights(name, class_weight, 2)
    formula = "-(y * log(p) + (1 - y) * log(1 - p))"
    if class_weight is not None:
        formula = "-(w_1 * y * log(p) + w_0 * (1 - y) * log(1 - p))"
    formula += _SIGMOID * from_logits

    def term(z: Number, y: Number) -> Number:
        y = _share(name, "target", y) * (1.0 - smoothing) + 0.5 * smoothing
        log0, log1 = _logs(name, z, from_logits)
        return taught(_expected(name, [(w1 * y, *log1), (w0 * (1.0 - y), *log0)]), formula)

    return term


@_of_numbers
def focal(*, gamma: float = 2.0, from_logits: bool = False, class_weight: Any = None) -> Term:
    """Mean of -(1 - p)^gamma log p, as a Value; p is the probability of the target's class.

    Lin, Goyal, Girshick, He and Dollar, Focal Loss for Dense Object Detection (2017), equation 4,
    and equation 5 with class_weight=[1 - alpha, alpha].  Targets are 0 or 1.  With gamma = 0 it is
    the cross-entropy.

    >>> round(focal([Value(0.9), Value(0.9)], [1, 0]).data, 6)
    0.933074
    """
    name = "focal"
    power, weights = real(gamma, "focal: gamma", AT_LEAST_0), class_weights(name, class_weight, 2)

    def term(z: Number, y: Number) -> Number:
        if y not in (0.0, 1.0):
            raise ValueError(f"{name}: a target must be 0 or 1, got {tables.plain(y, '')!r}")
        k = 1 if y == 1.0 else 0
        log, argument = _logs(name, z, from_logits)[k]
        other = 1.0 - z if k else z
        if from_logits:
            other = Ops.sigmoid(-z if k else z)
        loss = _expected(name, [(weights[k], log, argument)])
        weighted = "w_1 * " * (class_weight is not None)
        formula = f"-{weighted}(1 - p)**{power:g} * log(p)"
        if not k:
            formula = f"-{weighted.replace('1', '0')}p**{power:g} * log(1 - p)"
        loss = times(Ops.pow(other, power) if power else 1.0, loss)
        return taught(loss, formula + _SIGMOID * from_logits)

    return term


# ---------------------------------------------------------------------- of several classes


@_of_rows
def categorical_crossentropy(
    *, from_logits: bool = False, class_weight: Any = None, label_smoothing: float = 0.0
) -> RowLoss:
    """Mean over the samples of -sum of y_k log p_k, as a Value.

    A target is a one-hot row, or a row of shares in [0, 1].  From logits p = softmax(z), and the
    gradient is softmax(z) - y for rows that add up to 1.  It is PyTorch's CrossEntropyLoss (which
    always takes logits) with class probabilities.  "mean" divides by the number of samples.

    Raises ValueError if a target and its outputs differ in length, for a probability or target
    outside [0, 1], and for probabilities that do not add up to 1 (Keras divides by their sum).

    >>> p = [[Value(0.05), Value(0.95), Value(0.0)], [Value(0.1), Value(0.8), Value(0.1)]]
    >>> round(categorical_crossentropy(p, [[0, 1, 0], [0, 0, 1]]).data, 3)
    1.177
    """
    name = "categorical_crossentropy"
    smoothing = real(label_smoothing, f"{name}: label_smoothing", "[0, 1]")
    weights_of = functools.cache(functools.partial(class_weights, name, class_weight))
    w, meaning = "w_i * " * (class_weight is not None), _SOFTMAX * from_logits

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        shares = _shares(name, row, target, sample)
        shares = [y * (1.0 - smoothing) + smoothing / len(row) for y in shares]
        weighted = [w * y for w, y in zip(weights_of(len(row)), shares, strict=True)]
        loss = _crossentropy(name, row, weighted, from_logits, sample)
        return taught(loss, f"-sum_i({w}y_i * log(p_i)){meaning}")

    return RowLoss(loss)


@_of_rows
def sparse_categorical_crossentropy(
    *,
    from_logits: bool = False,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> RowLoss:
    """Mean over the samples of -log p[y], as a Value; a target y is the index of a class.

    From logits p = softmax(z), and the gradient is softmax(z) - onehot(y).  It is PyTorch's
    CrossEntropyLoss (which always takes logits) with class indices.  Like there, "mean" with
    `class_weight` divides by the sum of the targets' weights, and samples with the target
    `ignore_index` do not count (PyTorch's default is -100).

    Raises ValueError for a class that does not exist, TypeError for a target that is not an int,
    and the errors of `categorical_crossentropy`.

    >>> z = [Value(1000.0), Value(-1000.0)]
    >>> loss = sparse_categorical_crossentropy([z], [1], from_logits=True)
    >>> loss.backward()
    >>> loss.data, [logit.grad for logit in z]
    (2000.0, [1.0, -1.0])
    """
    name = "sparse_categorical_crossentropy"
    smoothing = real(label_smoothing, f"{name}: label_smoothing", "[0, 1]")
    weights_of = functools.cache(functools.partial(class_weights, name, class_weight))
    w, meaning = "w_i * " * (class_weight is not None), _SOFTMAX * from_logits
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
        if class_weight is not None:  # avoids a recorded product with 1
            share = select(weights, target) * share
        loss = _crossentropy(name, row, shares, from_logits, sample, target, share)
        k = "k" if isinstance(target, Ops) else int(target)
        own = f"-{w}log(p_i)".replace("_i", f"_{k}")
        return taught(loss, (f"-sum_i({w}y_i * log(p_i))" if smoothing else own) + meaning)

    return RowLoss(loss, counts)


@_of_rows
def kl_divergence(*, from_logits: bool = False) -> RowLoss:
    """Mean over the samples of sum of y_k log(y_k / p_k), as a Value; 0 where p equals y.

    Kullback and Leibler, On Information and Sufficiency (1951).  "mean" divides by the number of
    samples, as in Keras; PyTorch's KLDivLoss calls that "batchmean" and takes log p.

    Raises the errors of `categorical_crossentropy`.

    >>> round(kl_divergence([[Value(0.6), Value(0.4)]], [[0.0, 1.0]]).data, 3)
    0.916
    """
    name = "kl_divergence"

    def loss(row: Sequence[Number], target: Any, sample: int) -> Number:
        shares = _shares(name, row, target, sample)
        entropy = total([y * Ops.log(y) for y in shares if y > 0.0])
        loss = _crossentropy(name, row, shares, from_logits, sample) + entropy
        return taught(loss, f"sum_i(y_i * log(y_i / p_i)){_SOFTMAX * from_logits}")

    return RowLoss(loss)


mean_squared_error, mean_absolute_error = mse, mae
mean_absolute_percentage_error, mean_squared_logarithmic_error = mape, msle
bce, cce, scce, kld = (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
    kl_divergence,
)
# Every loss by all its names.
NAMED: dict[str, Loss] = {
    name: loss
    for name, loss in list(globals().items())
    if not name.startswith("_") and hasattr(loss, "__signature__")
}


# ---------------------------------------------------------------------- logs and checks


def _logs(name: str, z: Number, from_logits: bool) -> tuple[tuple[_Log, Number], ...]:
    """(function, argument) for log(1 - p) and for log(p), from an output."""
    if from_logits:
        _logit(name, z)
        return (Ops.logsigmoid, -z), (Ops.logsigmoid, z)
    _share(name, "probability", z)
    return (Ops.log1p, -z), (Ops.log, z)


def _shares(name: str, row: Sequence[Number], target: Any, sample: int) -> list[Number]:
    """The target as a row of numbers in [0, 1], one for each output."""
    if not tables.is_row(target) and hasattr(target, "__index__") and len(row) > 1:
        raise ValueError(
            f"{name}: sample {sample}: expected a row of {len(row)} shares, such as a one-hot row, "
            f"got {target!r}; class indices are for sparse_categorical_crossentropy"
        )
    same_length(name, row, target, sample)
    return [_share(name, "target", finite_target(name, y, sample)) for y in target]


def _sparse(target: Any) -> str:
    """Advice for a target that is not a class index."""
    if tables.is_row(target):
        if len(target) > 1:
            return "; one-hot rows are for categorical_crossentropy"
        return "; give one index for each sample, as in targets.ravel()"
    if isinstance(target, str):
        return "; nn.data.Dataset.from_table and from_csv make indices of text"
    return "; make it an int" if isinstance(target, Real) and target % 1 == 0 else ""


def _expected(name: str, logs: Sequence[tuple[float, _Log, Number]], sample: str = "") -> Number:
    """Minus the sum of weight * log(of) over the terms with a weight other than 0.

    Warns about a term of inf, with advice.
    """
    terms: list[Number] = []
    for weight, log, argument in logs:
        if not weight:
            continue
        try:
            term = log(argument)
        except NonFiniteError as error:
            raise NonFiniteError(f"{name}: {sample}{error}; {_ADVICE}") from None
        if log is not _itself and term <= -math.inf:
            warnings.warn(
                f"{name}: {sample}a probability of exactly 0 for the target's class, so the loss "
                f"is inf; {_ADVICE}",
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
    """-sum of share * log p over the classes, plus the target's own term."""
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
    """Raise TypeError unless the logit is a number."""
    if not isinstance(z, Ops):
        as_float(z, f"{name}: logit")


def _share(name: str, role: str, number: Number) -> Number:
    """The number, if it is in [0, 1]; a probability of nan passes, so the loss is nan."""
    data = tables.plain(number, f"{name}: {role}")
    if not 0.0 <= data <= 1.0 and (role == "target" or data == data):
        logits = "; if the outputs are logits, pass from_logits=True" * (role == "probability")
        raise ValueError(f"{name}: a {role} must lie in [0, 1], got {data!r}{logits}")
    return data


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
