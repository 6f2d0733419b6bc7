"""`examine`: how a network's initial weights change signals and gradients, before training."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from autograd import Value, recording
from autograd.atomic import together, undo_of
from autograd.options import generator
from autograd.value import restorer
from nn.activations import Moments, exact_sum, moments, value_and_slope
from nn.module import Module, unscoped
from nn.tables import samples

_FLAT_SLOPE = 0.05  # a unit is saturated if its slope is below this share of the largest
_FAR_INPUT = 40.0  # a saturating activation is exactly flat at this distance from 0
_REPORTED_FACTOR = 1e3  # a larger change of a mean square over the network is reported


@dataclass(frozen=True)
class LayerExamination:
    """The measurements of one layer.

    The `predicted_` numbers are computed from the initializer's variance and the activation alone.
    They are nan for weights whose mean is not 0, because the theory does not cover these.

    Attributes:
        std: the standard deviation of a weight, by the initializer.
        bound: the largest possible weight, by the initializer; inf for a normal distribution.
        variance: of the activations, over the neurons and the samples.
        gradient: the mean square of dL/du, where u is the input of the activation.
        dead: the share of neurons with a slope of exactly 0 for every sample; they cannot learn.
        saturated: the share of (neuron, sample) pairs on the flat part of the activation; None if
            the activation is not flat at both ends.
        distinct: the number of neurons that differ in a weight or its gradient; 1 for a symmetric
            layer.
        rank: of the matrix dL/dw, the number of independent directions in which the layer can
            change at first.
    """

    name: str
    fan_in: int
    fan_out: int
    std: float
    bound: float
    predicted_variance: float
    variance: float
    predicted_gradient: float
    gradient: float
    dead: float
    saturated: float | None
    distinct: int
    rank: int
    mean_square: float
    activations: tuple[float, ...] = field(repr=False)
    gradients: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class Examination:
    """The result of `examine`: print it as a table, or draw it with `figure()`."""

    layers: tuple[LayerExamination, ...]

    @property
    def findings(self) -> list[str]:
        """The problems in words; empty if there are none."""
        findings = []
        hidden = self.layers[:-1] or self.layers
        for layer in self.layers:
            if layer.distinct < layer.fan_out and layer.distinct == 1:
                findings.append(f"{layer.name}: its {layer.fan_out} neurons stay identical forever")
            if layer.dead > 0.5:
                findings.append(f"{layer.name}: {layer.dead:.0%} of its neurons are dead")
            if layer.saturated is not None and layer.saturated > 0.5:
                findings.append(f"{layer.name}: {layer.saturated:.0%} of its outputs are saturated")
        for name, first, last in (
            ("signal", hidden[0].mean_square, hidden[-1].mean_square),
            ("gradient", self.layers[-1].gradient, self.layers[0].gradient),
        ):
            if last == 0.0:
                findings.append(f"the {name} is exactly 0 at the end")
            elif last * _REPORTED_FACTOR < first or not last < first * _REPORTED_FACTOR:
                change = "vanishes" if last * _REPORTED_FACTOR < first else "explodes"
                factor = f"its mean square is multiplied by {last / first:.1e}"
                findings.append(f"the {name} {change}: {factor}")
        return findings

    def __str__(self) -> str:
        head = ["layer", "fans", "std", "bound", "var(a)", "predicted", "E[g^2]", "predicted"]
        head += ["dead", "saturated", "distinct", "rank"]
        table = [head]
        for layer in self.layers:
            measured = [layer.variance, layer.predicted_variance]
            measured += [layer.gradient, layer.predicted_gradient]
            cells = [layer.name, f"{layer.fan_in}, {layer.fan_out}"]
            cells += [f"{layer.std:.3g}", f"{layer.bound:.3g}", *map(_text, measured)]
            saturated = "-" if layer.saturated is None else f"{layer.saturated:.0%}"
            cells += [f"{layer.dead:.0%}", saturated, f"{layer.distinct} of {layer.fan_out}"]
            table.append([*cells, f"{layer.rank} of {min(layer.fan_in, layer.fan_out)}"])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines + [f"! {finding}" for finding in self.findings])

    def figure(self) -> Any:
        """A matplotlib Figure: activations, sizes of gradients, and both with their predictions.

        Raises ImportError, with the extra to install, if matplotlib is missing.
        """
        from nn.study import plots

        return plots.examination(self)


def examine(
    model: Module,
    data: Sequence[Sequence[float]],
    targets: Sequence[Any] | None = None,
    loss: Callable[[list[Any], list[Any]], Value] | None = None,
    *,
    seed: int = 0,
) -> Examination:
    """An Examination of the model's initial weights: signals and gradients of each layer.

    Args:
        model: a module with layers; its parameters and their gradients do not change.
        data: samples of numbers; with a few dozen, variances are accurate to about 10 %.
        targets, loss: `loss([outputs], [target])` is differentiated for each sample.  By default
            each output gets a random gradient from N(0, 1).
        seed: for the random gradients.

    The predictions are those of mean field theory, where u is the input of an activation f:
    forward, var(u) = fan_in var(w) E[a^2] with a from the layer before, and E[a^2] = E[f(u)^2] for
    normal u; backward, E[g^2] = fan_out var(w) E[f'(u)^2] E[g^2] with g from the next layer (LeCun
    et al. 1998; Glorot and Bengio 2010; He et al. 2015; Poole et al. 2016).

    Measured: the factor by which ten layers of 32 neurons multiply the mean square of the signal
    (forward) and of the gradient (back).  They are means over six networks; single networks differ
    by a factor of up to 2.

        units     weights         forward    back
        tanh      N(0, 0.01^2)    8e-26      8e-26     tiny weights vanish
        linear    LeCun           0.7        0.8       LeCun keeps the variance
        tanh      LeCun           0.11       0.06      ... tanh slowly reduces it
        tanh      LeCun, gain     0.7        2         ... but not with its own gain, 1.59
        relu      LeCun, Glorot   4e-4       8e-4      relu loses half in each layer
        relu      He              0.4        0.8       He suits relu
        linear    He              700        800       ... but not linear units
        linear, narrowing from 64 neurons to 8:
                  LeCun, fan_in   1.2        0.12
                  LeCun, fan_out  9.9        0.95
                  Glorot          2.9        0.28      Glorot balances both

    With zeros, ones and constants the neurons of a layer stay identical forever, with gradients of
    rank 1.

    >>> from nn import MLP, init
    >>> rng = random.Random(0)
    >>> data = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(8)]
    >>> report = examine(MLP([4, 6, 6, 2], "tanh", init=init.constant(0.1)), data)
    >>> [layer.distinct for layer in report.layers]
    [1, 1, 2]
    >>> report.findings[:1]
    ['layers.0: its 6 neurons stay identical forever']
    """
    watched = [
        _WatchedLayer(path or module.name, module)
        for path, module in model.named_modules()
        if hasattr(module, "neurons")
    ]
    if not watched:
        raise ValueError(f"examine: {model.name} has no layers of neurons")
    data = samples(data, "examine: data")
    if not len(data):
        raise ValueError("examine: there is no data; pass at least one sample")
    if (targets is None) != (loss is None):
        raise ValueError("examine: targets and loss need each other; pass both or neither")
    ys = [None] * len(data) if targets is None else samples(targets, "examine: targets")
    if len(ys) != len(data):
        raise ValueError(f"examine: {len(data)} samples but {len(ys)} targets")
    parameters = model.parameters()
    rng, cotangents = generator(seed), []
    neurons = [neuron for entry in watched for neuron in entry.layer.neurons]
    undo = together([restorer(parameters), undo_of(neurons, repeat("activation"))])
    try:
        for p in parameters:
            p.grad = 0.0
        for entry in watched:
            entry.probe()
        for x, target in zip(data, ys, strict=True):
            with unscoped(), recording():
                outputs = model(x)
                total = _weighted(outputs, rng) if loss is None else loss([outputs], [target])
                total.backward()
            for entry in watched:
                entry.settle()
            cotangents += [z.grad for z in _flat(outputs)]
        for entry in watched:
            entry.read()
    finally:
        undo()
    squares = [a * a for x in data for a in map(float, x)], [g * g for g in cotangents]
    predictions = _predictions([entry.layer for entry in watched], *map(_mean, squares))
    return Examination(tuple(map(_WatchedLayer.examination, watched, predictions)))


class _Probe:
    """An activation that records its inputs, its outputs and their gradients."""

    def __init__(self, function: Callable[[Any], Any] | None) -> None:
        self.function = function
        self.pending: list[tuple[Value, Value]] = []
        self.activations: list[float] = []
        self.gradients: list[float] = []
        self.slopes: list[float] = []

    def __call__(self, u: Value) -> Value:
        z: Value = u if self.function is None else self.function(u)
        self.pending.append((u, z))
        return z

    def settle(self) -> None:
        """Record the numbers of a pass and release its graph."""
        for u, z in self.pending:
            self.activations.append(z.data)
            self.gradients.append(u.grad)
            self.slopes.append(value_and_slope(self.function, u.data)[1])
        self.pending.clear()


class _WatchedLayer:
    """A layer during the examination, with a probe in each neuron."""

    def __init__(self, name: str, layer: Any) -> None:
        self.name, self.layer = name, layer
        self.probes = [_Probe(neuron.activation) for neuron in layer.neurons]

    def probe(self) -> None:
        """Replace the activations by the probes."""
        for neuron, probe in zip(self.layer.neurons, self.probes, strict=True):
            neuron.activation = probe

    def settle(self) -> None:
        """Record the numbers of a pass."""
        for probe in self.probes:
            probe.settle()

    def read(self) -> None:
        """Record the gradients of the weights, and the differences between neurons."""
        neurons = self.layer.neurons
        self.matrix = [[w.grad for w in n.weights] for n in neurons]
        self.different = {
            (*(w.data for w in n.weights), *row, n.bias.grad if n.bias is not None else 0.0)
            for n, row in zip(neurons, self.matrix, strict=True)
        }

    def examination(self, prediction: tuple[float, float]) -> LayerExamination:
        """The measurements, with the predicted variance and the predicted gradient."""
        layer, probes = self.layer, self.probes
        activations = [a for probe in probes for a in probe.activations]
        gradients = [g for probe in probes for g in probe.gradients]
        slopes = [s for probe in probes for s in probe.slopes]
        middle = _mean(activations)
        return LayerExamination(
            name=self.name,
            fan_in=layer.fan_in,
            fan_out=layer.fan_out,
            std=layer.init.std(layer.fan_in, layer.fan_out),
            bound=layer.init.bound(layer.fan_in, layer.fan_out),
            predicted_variance=prediction[0],
            variance=_mean([(a - middle) ** 2 for a in activations]),
            predicted_gradient=prediction[1],
            gradient=_mean([g * g for g in gradients]),
            dead=_mean([float(not any(probe.slopes)) for probe in probes]),
            saturated=_saturated(layer.activation, slopes),
            distinct=len(self.different),
            rank=rank(self.matrix),
            mean_square=_mean([a * a for a in activations]),
            activations=tuple(activations),
            gradients=tuple(gradients),
        )


def _weighted(outputs: Any, rng: random.Random) -> Value:
    total = Value(0.0)
    for z in _flat(outputs):
        total = total + rng.gauss(0.0, 1.0) * z
    return total


def _flat(outputs: Any) -> list[Value]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _mean(numbers: Sequence[float]) -> float:
    return exact_sum(numbers) / len(numbers) if numbers else math.nan


def _predictions(layers: list[Any], inputs: float, outputs: float) -> list[tuple[float, float]]:
    """(variance of the activations, mean square of dL/du) for each layer."""
    square, variances, slopes, stds = inputs, [], [], []
    for layer in layers:
        std = layer.init.std(layer.fan_in, layer.fan_out)
        if layer.init.center() != 0.0:
            std = math.nan
        size = layer.fan_in * std * std * square
        known = Moments(math.nan, math.nan, math.nan)
        if math.isfinite(size):
            known = moments(layer.activation, size)
        square = known.square
        variances.append(square - known.mean**2)
        slopes.append(known.slope_square)
        stds.append(std)
    gradient, gradients = outputs, []
    for layer, slope, std in zip(reversed(layers), reversed(slopes), reversed(stds), strict=True):
        gradient *= slope
        gradients.append(gradient)
        gradient *= layer.fan_out * std * std
    return list(zip(variances, reversed(gradients), strict=True))


def _saturated(function: Callable[[Any], Any] | None, slopes: list[float]) -> float | None:
    """The share of flat slopes; None for an activation that is not flat at both ends."""
    steepest = max(abs(value_and_slope(function, 0.1 * i)[1]) for i in range(-50, 51))
    ends = [abs(value_and_slope(function, far)[1]) for far in (-_FAR_INPUT, _FAR_INPUT)]
    if max(ends) > 1e-6 * steepest:
        return None
    return _mean([float(abs(slope) < _FLAT_SLOPE * steepest) for slope in slopes])


def rank(matrix: Sequence[Sequence[float]]) -> int:
    """The rank of a matrix, by elimination with full pivoting; 1e-10 of the largest entry is 0.

    >>> rank([[1.0, 2.0], [2.0, 4.0]])
    1
    """
    rows = [list(row) for row in matrix]
    limit = 1e-10 * max((abs(a) for row in rows for a in row), default=0.0)
    count = 0
    while rows and rows[0]:
        size, i, j = max((abs(a), i, j) for i, row in enumerate(rows) for j, a in enumerate(row))
        if not size > limit:
            break
        count += 1
        pivot = rows.pop(i)
        factors = [row[j] / pivot[j] for row in rows]
        rows = [
            [a - factor * b for k, (a, b) in enumerate(zip(row, pivot, strict=True)) if k != j]
            for row, factor in zip(rows, factors, strict=True)
        ]
    return count


def _text(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.3g}"
