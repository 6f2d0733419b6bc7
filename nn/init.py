"""Initializers for weights: for each, its formula, variance, paper, and when it fails.

Call an initializer with the fans of a layer and a seed; it returns the layer's matrix, one row of
`fan_in` numbers for each of its `fan_out` neurons.

The theory of the scaled initializers in short: for u = w1 x1 + ... with fan_in terms and
independent weights of mean 0, var(u) = fan_in * var(w) * E[x^2].  In the backward pass, the mean
square of a gradient is multiplied by fan_out * var(w) * E[f'(u)^2].  LeCun makes the first factor 1
for linear units, Glorot is a compromise between both, and He's factor 2 corrects for relu.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from autograd.elsewhere import absent, named
from autograd.options import AT_LEAST_0, Seed, as_float, generator, real, whole
from nn.activations import gain
from nn.study.examination import Examination, examine

__all__ = [  # noqa: RUF022 - in the order of the file
    "zeros", "ones", "constant", "uniform", "normal", "truncated_normal", "lecun_normal",
    "lecun_uniform", "glorot_normal", "glorot_uniform", "xavier_normal", "xavier_uniform",
    "he_normal", "he_uniform", "kaiming_normal", "kaiming_uniform", "orthogonal", "gain", "examine",
    "Examination", "Initializer",
]  # fmt: skip

Fan = Literal["fan_in", "fan_out", "fan_avg"]
Matrix = list[list[float]]


class Initializer(ABC):
    """A way to initialize a weight matrix; initializers with equal settings are equal."""

    def __call__(self, fan_in: int, fan_out: int, seed: Seed = None) -> Matrix:
        """`fan_out` rows of `fan_in` numbers; an int seed gives the same numbers every time."""
        fans = whole(fan_in, f"{self}: fan_in"), whole(fan_out, f"{self}: fan_out")
        return self.draw(*fans, generator(seed))

    @staticmethod
    def of(init: "Initializer | str") -> "Initializer":
        """The initializer itself, or the one with the name and its defaults.

        >>> Initializer.of("he_normal") == he_normal()
        True
        """
        if isinstance(init, str):
            return named(init, "init", NAMED)()
        if not isinstance(init, Initializer):
            hint = ", with parentheses, as in he_normal()" if callable(init) else ""
            raise TypeError(f"init: expected an initializer or its name{hint}, got {init!r}")
        return init

    @abstractmethod
    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        """The matrix, drawn with rng."""

    @abstractmethod
    def std(self, fan_in: int, fan_out: int) -> float:
        """The standard deviation of one weight."""

    def bound(self, fan_in: int, fan_out: int) -> float:
        """The largest absolute value of a weight."""
        return math.inf

    def center(self) -> float:
        """The mean of one weight."""
        return 0.0


@final
@dataclass(frozen=True)
class Constant(Initializer):
    """The same number for every weight."""

    value: float

    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        return [[self.value] * fan_in for _ in range(fan_out)]

    def std(self, fan_in: int, fan_out: int) -> float:
        return 0.0

    def bound(self, fan_in: int, fan_out: int) -> float:
        return abs(self.value)

    def center(self) -> float:
        return self.value


@final
@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform weights between two bounds."""

    low: float
    high: float

    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        return [[rng.uniform(self.low, self.high) for _ in range(fan_in)] for _ in range(fan_out)]

    def std(self, fan_in: int, fan_out: int) -> float:
        return (self.high - self.low) / math.sqrt(12.0)

    def bound(self, fan_in: int, fan_out: int) -> float:
        return max(abs(self.low), abs(self.high))

    def center(self) -> float:
        return 0.5 * self.low + 0.5 * self.high


@final
@dataclass(frozen=True)
class Normal(Initializer):
    """Normal weights; values beyond `cut` standard deviations are drawn again.

    `sigma` is the standard deviation of the weights.  The cut makes a distribution narrower, so
    the weights are drawn from a wider one.
    """

    mean: float
    sigma: float
    cut: float = math.inf

    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        wide = self.sigma / narrowing(self.cut)
        rows = ([_normal(rng, self.cut) for _ in range(fan_in)] for _ in range(fan_out))
        return [[self.mean + wide * z for z in row] for row in rows]

    def std(self, fan_in: int, fan_out: int) -> float:
        return self.sigma

    def bound(self, fan_in: int, fan_out: int) -> float:
        return abs(self.mean) + self.cut * self.sigma / narrowing(self.cut)

    def center(self) -> float:
        return self.mean


@final
@dataclass(frozen=True)
class Scaled(Initializer):
    """Weights of mean 0 and variance gain^2 * scale / fan: LeCun, Glorot and He in one formula."""

    scale: float
    fan: Fan
    shape: Literal["normal", "uniform"]
    gain: float = 1.0

    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        if self.shape == "normal":
            return Normal(0.0, self.std(fan_in, fan_out)).draw(fan_in, fan_out, rng)
        bound = self.bound(fan_in, fan_out)
        return Uniform(-bound, bound).draw(fan_in, fan_out, rng)

    def std(self, fan_in: int, fan_out: int) -> float:
        return self._root(1.0, fan_in, fan_out)

    def bound(self, fan_in: int, fan_out: int) -> float:
        return math.inf if self.shape == "normal" else self._root(3.0, fan_in, fan_out)

    def _root(self, factor: float, fan_in: int, fan_out: int) -> float:
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        return self.gain * math.sqrt(factor * self.scale / fans[self.fan])


@final
@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`."""

    gain: float = 1.0

    def draw(self, fan_in: int, fan_out: int, rng: random.Random) -> Matrix:
        count, width = sorted((fan_in, fan_out))
        basis: Matrix = []
        while len(basis) < count:
            row = [rng.gauss(0.0, 1.0) for _ in range(width)]
            # Twice is enough (Kahan and Parlett, in Parlett 1980).  Once leaves large rounding
            # errors if the rest of the row is small.
            for _ in range(2):
                for other in basis:
                    along = math.fsum(a * b for a, b in zip(row, other, strict=True))
                    row = [a - along * b for a, b in zip(row, other, strict=True)]
            length = math.hypot(*row)
            if length > 1e-6:
                basis.append([a / length for a in row])
        if fan_in < fan_out:  # the columns are the short side
            basis = [list(column) for column in zip(*basis, strict=True)]
        return [[self.gain * a for a in row] for row in basis]

    def std(self, fan_in: int, fan_out: int) -> float:
        return self.gain / math.sqrt(max(fan_in, fan_out))

    def bound(self, fan_in: int, fan_out: int) -> float:
        return abs(self.gain)


def _normal(rng: random.Random, cut: float) -> float:
    while True:
        drawn = rng.gauss(0.0, 1.0)
        if abs(drawn) <= cut:
            return drawn


def narrowing(cut: float) -> float:
    """The standard deviation of a standard normal variable cut at `cut` on both sides.

    sqrt(1 - 2 c phi(c) / erf(c / sqrt(2))): 0.8796 for 2 (Johnson, Kotz and Balakrishnan, 1994).

    >>> round(narrowing(2.0), 6)
    0.879626
    """
    if cut == math.inf:
        return 1.0
    density = math.exp(-0.5 * cut * cut) / math.sqrt(2.0 * math.pi)
    return math.sqrt(1.0 - 2.0 * cut * density / math.erf(cut / math.sqrt(2.0)))


# ---------------------------------------------------------------------- the initializers by name


def zeros() -> Initializer:
    """All weights 0; variance 0.

    Fails in all layers but the last: no signal gets through forward, and no gradient backward.
    With odd activations all gradients except the last bias's stay exactly 0.  Right for biases.

    >>> zeros()(2, 1)
    [[0.0, 0.0]]
    """
    return Constant(0.0)


def ones() -> Initializer:
    """All weights 1; variance 0.  Fails like every constant: see `constant`.

    >>> ones()(2, 1)
    [[1.0, 1.0]]
    """
    return Constant(1.0)


def constant(value: float = 0.1) -> Initializer:
    """All weights `value`; variance 0.

    Fails in hidden layers: all neurons of a layer compute the same output, get the same gradient,
    and stay identical forever, so a layer of any width has the value of one neuron (rank 1).

    >>> constant(0.5)(2, 2)
    [[0.5, 0.5], [0.5, 0.5]]
    """
    return Constant(real(value, "constant"))


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """U(low, high); variance (high - low)^2 / 12.  The defaults are Keras' (PyTorch: 0, 1).

    Fails in deep networks: a fixed size suits one fan_in only.  In wider layers signals explode, in
    narrower layers they vanish.

    >>> uniform(-1.0, 1.0).std(10, 10) ** 2  # doctest: +ELLIPSIS
    0.333333333333333...
    """
    low, high = real(low, "uniform: low"), real(high, "uniform: high")
    if low > high:
        raise ValueError(f"uniform: low must not be above high, got {low!r} and {high!r}")
    return Uniform(low, high)


def normal(mean: float = 0.0, std: float = 0.05) -> Initializer:
    """N(mean, std^2); variance std^2.  The default std is Keras' (PyTorch: 1).

    Fails in deep networks like `uniform`: each layer multiplies the mean square of the signal by
    fan_in * std^2 (0.0016 for 16 neurons and std 0.01, so it is gone after three layers).

    >>> normal(0.0, 0.02).std(10, 10)
    0.02
    """
    return Normal(real(mean, "normal: mean"), real(std, "normal: std", AT_LEAST_0))


def truncated_normal(mean: float = 0.0, std: float = 0.05, cut: float = 2.0) -> Initializer:
    """N(mean, std^2) without its tails; variance std^2 after the cut.

    Numbers beyond `cut` standard deviations are drawn again.  A cut at 2 reduces the standard
    deviation by a factor of 0.88, so the numbers are drawn from a wider distribution and end up
    with `std`.  Keras and PyTorch do not correct for the cut here (Keras does in VarianceScaling).
    Fails like `normal`; the cut only avoids outliers.

    >>> round(truncated_normal(0.0, 1.0).bound(10, 10), 4)  # 2 / 0.8796
    2.2737
    """
    mean = real(mean, "truncated_normal: mean")
    std = real(std, "truncated_normal: std", AT_LEAST_0)
    far = as_float(cut, "truncated_normal: cut")
    if not far >= 0.1:  # the formula for std is not accurate
        raise ValueError(f"truncated_normal: the cut must be at least 0.1, got {cut!r}")
    return Normal(mean, std, far)


def lecun_normal(gain: float = 1.0, fan: Fan = "fan_in") -> Initializer:
    """N(0, gain^2 / fan_in): the pre-activation has the mean square of the inputs.

    LeCun, Bottou, Orr and Mueller, Efficient BackProp (1998), equation 16, for tanh-like units near
    their linear part; Klambauer et al. (2017) for selu.  Fails for relu, which halves the signal in
    each layer, and slowly for a plain tanh, which reduces a variance of 1 to 0.39.  Use
    `gain=init.gain("tanh")`, or LeCun's own 1.7159 tanh(2x/3).

    >>> lecun_normal().std(16, 4)
    0.25
    """
    return _scaled("lecun_normal", 1.0, fan, "normal", gain)


def lecun_uniform(gain: float = 1.0, fan: Fan = "fan_in") -> Initializer:
    """U(-b, b) with b = gain * sqrt(3 / fan_in); variance gain^2 / fan_in: see `lecun_normal`.

    >>> lecun_uniform().bound(12, 4)
    0.5
    """
    return _scaled("lecun_uniform", 1.0, fan, "uniform", gain)


def glorot_normal(gain: float = 1.0, fan: Fan = "fan_avg") -> Initializer:
    """N(0, 2 gain^2 / (fan_in + fan_out)): a compromise between forward and backward signal.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
    (2010), equation 12.  It preserves both sizes exactly only for equal fans; from 64 inputs to 4
    neurons the signal grows and the gradient shrinks.  Fails for relu, like `lecun_normal`.

    >>> glorot_normal().std(6, 2)
    0.5
    """
    return _scaled("glorot_normal", 1.0, fan, "normal", gain)


def glorot_uniform(gain: float = 1.0, fan: Fan = "fan_avg") -> Initializer:
    """U(-b, b) with b = gain * sqrt(6 / (fan_in + fan_out)): see `glorot_normal`.

    Glorot and Bengio (2010), equation 16, the "normalized initialization"; Keras' default.

    >>> glorot_uniform().bound(4, 2)
    1.0
    """
    return _scaled("glorot_uniform", 1.0, fan, "uniform", gain)


def he_normal(negative_slope: float = 0.0, gain: float = 1.0, fan: Fan = "fan_in") -> Initializer:
    """N(0, 2 gain^2 / ((1 + negative_slope^2) fan_in)): preserves the signal through relu.

    He, Zhang, Ren and Sun, Delving Deep into Rectifiers (2015), equations 10 and 15.  A relu halves
    the mean square, and a leaky relu multiplies it by (1 + slope^2) / 2; the scale corrects for it.
    Fails for other activations: with linear units the signal doubles in each layer.

    >>> he_normal().std(8, 4)
    0.5
    """
    return _scaled("he_normal", 2.0, fan, "normal", gain, negative_slope)


def he_uniform(negative_slope: float = 0.0, gain: float = 1.0, fan: Fan = "fan_in") -> Initializer:
    """U(-b, b) with b = gain * sqrt(6 / ((1 + negative_slope^2) fan_in)): see `he_normal`.

    >>> he_uniform().bound(6, 4)
    1.0
    """
    return _scaled("he_uniform", 2.0, fan, "uniform", gain, negative_slope)


def orthogonal(gain: float = 1.0) -> Initializer:
    """A random matrix with orthonormal rows (columns if it is tall), times gain.

    Variance gain^2 / max(fan_in, fan_out).  Saxe, McClelland and Ganguli, Exact solutions to the
    nonlinear dynamics of learning in deep linear networks (2014).  Square linear layers preserve
    the length of every vector, forward and backward, at any depth.  Fails for relu without a gain
    of sqrt(2), and for narrowing layers: the part of the input outside the rows is lost.

    >>> w = orthogonal()(3, 2, seed=0)
    >>> abs(sum(a * b for a, b in zip(*w))) < 1e-15
    True
    """
    return Orthogonal(real(gain, "orthogonal: gain"))


xavier_normal, xavier_uniform = glorot_normal, glorot_uniform
kaiming_normal, kaiming_uniform = he_normal, he_uniform

NAMED: dict[str, Callable[[], Initializer]] = {
    name: globals()[name] for name in __all__ if name.islower() and name not in ("gain", "examine")
}


def _scaled(
    name: str,
    scale: float,
    fan: Fan,
    shape: Literal["normal", "uniform"],
    gain: float,
    negative_slope: float = 0.0,
) -> Initializer:
    if fan not in ("fan_in", "fan_out", "fan_avg"):
        raise ValueError(f"{name}: fan must be 'fan_in', 'fan_out' or 'fan_avg', got {fan!r}")
    slope = real(negative_slope, f"{name}: negative_slope")
    gain = real(gain, f"{name}: gain", AT_LEAST_0)
    return Scaled(scale / (1.0 + slope * slope), fan, shape, gain)


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
