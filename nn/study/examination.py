"""A network under the microscope before it is trained: what its initial weights do to signals."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from autograd import Value, recording
from autograd.atomic import together, undo_of
from autograd.value import restorer
from nn.activations import exact_sum, moments, value_and_slope
from nn.module import Module, unscoped

_FLAT = 0.05  # a unit is saturated where its slope is below this share of the largest
_FAR = 40.0  # where a saturating activation is flat to the last bit
_FACTOR = 1e3  # growth or loss of a mean square over the network that is worth a finding


@dataclass(frozen=True)
class LayerExamination:
    """What `examine` saw in one layer.

    `predicted_` numbers come from the initializer's variance and the activation alone; they are nan
    for weights whose mean is not 0, of which the theory does not speak.
    """

    name: str
    fan_in: int
    fan_out: int
    std: float
    """The standard deviation of a weight that the initializer promises."""
    bound: float
    """The largest weight that it can give; inf for a normal distribution."""
    predicted_variance: float
    variance: float
    """Of the activations, over the neurons and the samples."""
    predicted_gradient: float
    gradient: float
    """The mean square of dL/du, u being the sum that goes into the activation."""
    dead: float
    """The share of neurons whose slope is exactly 0 at every sample: they cannot learn."""
    saturated: float | None
    """The share of (neuron, sample) where an activation flat at both ends is flat; else None."""
    distinct: int
    """How many neurons differ in a weight or in the gradient of one: 1 for symmetric layers."""
    rank: int
    """Of the matrix dL/dw: in how many independent directions the layer can move at first."""
    mean_square: float
    activations: tuple[float, ...] = field(repr=False)
    gradients: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class Examination:
    """What `examine` found: print it for a table, or draw it with `figure()`."""

    layers: tuple[LayerExamination, ...]

    @property
    def findings(self) -> list[str]:
        """What is wrong, in words; empty if nothing is."""
        found = []
        hidden = self.layers[:-1] or self.layers
        for layer in self.layers:
            if layer.distinct < layer.fan_out and layer.distinct == 1:
                found.append(f"{layer.name}: its {layer.fan_out} neurons are identical, for ever")
            if layer.dead > 0.5:
                found.append(f"{layer.name}: {layer.dead:.0%} of its neurons are dead")
            if layer.saturated is not None and layer.saturated > 0.5:
                found.append(f"{layer.name}: {layer.saturated:.0%} of its outputs are saturated")
        forward, back = [one.mean_square for one in hidden], [one.gradient for one in self.layers]
        for what, first, last in (
            ("signal", forward[0], forward[-1]),
            ("gradient", back[-1], back[0]),
        ):
            if last == 0.0:
                found.append(f"the {what} is exactly 0 at the end of its way")
            elif last * _FACTOR < first:
                found.append(
                    f"the {what} vanishes: its mean square is multiplied by {last / first:.1e}"
                )
            elif not last < first * _FACTOR:
                found.append(
                    f"the {what} explodes: its mean square is multiplied by {last / first:.1e}"
                )
        return found

    def __str__(self) -> str:
        head = ["layer", "fans", "std", "bound", "var(a)", "predicted", "E[g^2]", "predicted"]
        head += ["dead", "saturated", "distinct", "rank"]
        table = [head]
        for one in self.layers:
            rank = min(one.fan_in, one.fan_out)
            table.append(
                [
                    one.name,
                    f"{one.fan_in}, {one.fan_out}",
                    f"{one.std:.3g}",
                    f"{one.bound:.3g}",
                    *(_text(one.variance), _text(one.predicted_variance)),
                    *(_text(one.gradient), _text(one.predicted_gradient)),
                    f"{one.dead:.0%}",
                    "-" if one.saturated is None else f"{one.saturated:.0%}",
                    f"{one.distinct} of {one.fan_out}",
                    f"{one.rank} of {rank}",
                ]
            )
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines + [f"! {finding}" for finding in self.findings])

    def figure(self) -> Any:
        """A matplotlib Figure: activations, sizes of gradients, and both against the prediction.

        Raises ImportError, naming the extra, when matplotlib is not installed.
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
    """What the model's initial weights make of `data`, layer by layer, forward and backward.

    Args:
        model: a module with layers in it; its parameters and their gradients are left as they were.
        data: samples of numbers; a few dozen give variances good to some ten percent.
        targets, loss: what to differentiate, as in `loss([outputs], [target])` for each sample.
            Left out, each output gets a gradient from N(0, 1), as if from a loss that is as large
            for every output.
        seed: of those gradients.

    The predictions are those of mean field theory: with u the sum that goes into a neuron, var(u)
    = fan_in var(w) E[a^2] of the layer before, E[a^2] = E[f(u)^2] for normal u, and backward
    E[g^2] = fan_out var(w) E[f'(u)^2] E[g^2] of the layer behind (LeCun et al. 1998; Glorot and
    Bengio 2010; He et al. 2015; Poole et al. 2016).

    What is said of initializers, measured: the factor by which ten layers of 32 neurons multiply
    the mean square of the signal on its way forward, and of the gradient on its way back (means
    over six networks; a network by chance strays by a factor of 2).

        units     weights         forward    back
        tanh      N(0, 0.01^2)    8e-26      8e-26     tiny weights vanish
        linear    LeCun           0.7        0.8       LeCun keeps the variance
        tanh      LeCun           0.11       0.06      ... in tanh slowly less
        tanh      LeCun, gain     0.7        2         ... unless with tanh's own gain, 1.59
        relu      LeCun, Glorot   4e-4       8e-4      relu loses half in each layer
        relu      He              0.4        0.8       He suits relu
        linear    He              700        800       and nothing that does not halve
        linear, narrowing from 64 neurons to 8:
                  LeCun, fan_in   1.2        0.12
                  LeCun, fan_out  9.9        0.95
                  Glorot          2.9        0.28      Glorot balances both

    Zeros, ones and constants leave the neurons of a layer identical for ever, with gradients of
    rank 1.  That He's be of no use for relu, as one reads at times, is the opposite of what is
    measured: it is made for relu.

    >>> from nn import MLP, init
    >>> rng = random.Random(0)
    >>> data = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(8)]
    >>> report = examine(MLP([4, 6, 6, 2], "tanh", init=init.constant(0.1)), data)
    >>> [layer.distinct for layer in report.layers]
    [1, 1, 2]
    >>> report.findings[:1]
    ['layers.0: its 6 neurons are identical, for ever']
    """
    watched = [
        _Watched(path or module.name, module)
        for path, module in model.named_modules()
        if hasattr(module, "neurons")
    ]
    if not watched:
        raise ValueError(f"examine: {model.name} has no layers of neurons")
    if not len(data):
        raise ValueError("examine: there is no data")
    if (targets is None) != (loss is None):
        raise ValueError("examine: targets and loss go together")
    if targets is not None and len(targets) != len(data):
        raise ValueError(f"examine: {len(data)} samples but {len(targets)} targets")
    parameters = model.parameters()
    rng, cotangents = random.Random(seed), []  # noqa: S311
    neurons = [neuron for one in watched for neuron in one.layer.neurons]
    undo = together([restorer(parameters), undo_of(neurons, repeat("activation"))])
    try:
        for p in parameters:
            p.grad = 0.0
        for one in watched:
            one.probe()
        for x, target in zip(data, targets or repeat(None, len(data)), strict=True):
            with unscoped(), recording():
                outputs = model(x)
                whole = _weighted(outputs, rng) if loss is None else loss([outputs], [target])
                whole.backward()
            for one in watched:
                one.settle()
            cotangents += [z.grad for z in _flat(outputs)]
        for one in watched:
            one.read()
    finally:
        undo()
    squares = [a * a for x in data for a in map(float, x)], [g * g for g in cotangents]
    predictions = _predictions([one.layer for one in watched], *map(_mean, squares))
    return Examination(tuple(map(_Watched.examination, watched, predictions)))


class _Probe:
    """An activation that remembers what went in and out, and the gradients that came back."""

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
        """Take down the numbers of a pass and let its graph go."""
        for u, z in self.pending:
            self.activations.append(z.data)
            self.gradients.append(u.grad)
            self.slopes.append(value_and_slope(self.function, u.data)[1])
        self.pending.clear()


class _Watched:
    """A layer while it is examined: a probe in each neuron, and the gradients at the end."""

    def __init__(self, name: str, layer: Any) -> None:
        self.name, self.layer = name, layer
        self.probes = [_Probe(neuron.activation) for neuron in layer.neurons]

    def probe(self) -> None:
        """Put the probes in the place of the activations."""
        for neuron, probe in zip(self.layer.neurons, self.probes, strict=True):
            neuron.activation = probe

    def settle(self) -> None:
        """Take down the numbers of a pass."""
        for probe in self.probes:
            probe.settle()

    def read(self) -> None:
        """Take down the gradients of the weights, and what makes neurons differ."""
        neurons = self.layer.neurons
        self.matrix = [[w.grad for w in n.weights] for n in neurons]
        self.different = {
            (*(w.data for w in n.weights), *row, n.bias.grad if n.bias is not None else 0.0)
            for n, row in zip(neurons, self.matrix, strict=True)
        }

    def examination(self, prediction: tuple[float, float]) -> LayerExamination:
        """What was seen, beside the predicted variance and the predicted gradient."""
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
    whole = Value(0.0)
    for z in _flat(outputs):
        whole = whole + rng.gauss(0.0, 1.0) * z
    return whole


def _flat(outputs: Any) -> list[Value]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _mean(numbers: Sequence[float]) -> float:
    return exact_sum(numbers) / len(numbers) if numbers else math.nan


def _predictions(layers: list[Any], inputs: float, outputs: float) -> list[tuple[float, float]]:
    """Per layer the variance of the activations and the mean square of dL/du."""
    square, variances, slopes, stds = inputs, [], [], []
    for layer in layers:
        std = layer.init.std(layer.fan_in, layer.fan_out)
        if layer.init.center() != 0.0:
            std = math.nan
        size = layer.fan_in * std * std * square
        if math.isfinite(size):
            made = moments(layer.activation, size)
            variances.append(made.square - made.mean**2)
            slopes.append(made.slope_square)
            square = made.square
        else:
            variances.append(math.nan)
            slopes.append(math.nan)
            square = math.nan
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
    ends = [abs(value_and_slope(function, far)[1]) for far in (-_FAR, _FAR)]
    if max(ends) > 1e-6 * steepest:
        return None
    return _mean([float(abs(slope) < _FLAT * steepest) for slope in slopes])


def rank(matrix: Sequence[Sequence[float]]) -> int:
    """The rank of a matrix, by elimination with full pivoting; 1e-10 of the largest entry is 0.

    >>> rank([[1.0, 2.0], [2.0, 4.0]])
    1
    """
    rows = [list(row) for row in matrix]
    limit = 1e-10 * max((abs(a) for row in rows for a in row), default=0.0)
    found = 0
    while rows and rows[0]:
        size, i, j = max((abs(a), i, j) for i, row in enumerate(rows) for j, a in enumerate(row))
        if not size > limit:
            break
        found += 1
        pivot = rows.pop(i)
        factors = [row[j] / pivot[j] for row in rows]
        rows = [
            [a - factor * b for k, (a, b) in enumerate(zip(row, pivot, strict=True)) if k != j]
            for row, factor in zip(rows, factors, strict=True)
        ]
    return found


def _text(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.3g}"
