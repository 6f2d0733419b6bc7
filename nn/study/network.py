"""Networks as circles and lines: neurons with activations, weights as widths and colors."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autograd import no_grad
from nn.layers import MLP, Layer, Neuron, Sequential, activation_name
from nn.module import unscoped
from nn.study.plots import COLORS, figure

POSITIVE, NEGATIVE = COLORS[0], COLORS[1]
_MOST_LABELS = 12  # weights; the numbers of more would cover each other
_MOST_CIRCLES = 12  # in a column; of more neurons, the first ones and the last one are drawn
_WIDEST = 4.5  # points; the line of the largest weight
_DIAMETER = 30.0  # points; smaller if there is not enough room
_FAINTEST = 0.15  # the opacity of the smallest weight


@dataclass
class Column:
    """A column of the picture: its circles, and the texts beside them."""

    title: str
    shown: list[int]  # indices in the layer; -1 stands for the neurons that are left out
    texts: list[str]  # beside the circles
    activations: list[float] | None

    def height(self, row: int) -> float:
        """The height of a row above the middle of the column."""
        return (len(self.shown) - 1) / 2 - row


def draw_network(model: Any, sample: Sequence[float] | None = None) -> Any:
    """A Figure of a network: neurons as circles, weights as lines.

    A wider line is a larger weight; blue is positive, orange negative.  A small network shows its
    weights and biases as numbers.  With a sample, each circle shows its activation as a number and
    as a color.

    Args:
        model: a Neuron, a Layer, an MLP, or a Sequential of Layers.
        sample: the inputs of the first layer.

    Raises TypeError for another model, ValueError for a sample of another length.

    >>> figure = draw_network(Neuron(2, "tanh", seed=0), [1.0, -2.0])
    """
    layers = layers_of(model)
    size = len(layers[0][0].weights)
    if sample is not None and len(sample) != size:
        raise ValueError(f"draw_network: the network has {size} inputs, got {len(sample)}")
    columns = columns_of(layers, sample)
    tallest = max(len(column.shown) for column in columns)
    chart = figure(1.6 + 2.1 * len(columns), 1.0 + 0.62 * tallest)
    draw_on(chart.subplots(), layers, columns)
    return chart


def layers_of(model: Any) -> list[list[Neuron]]:
    """The neurons of each layer; TypeError for a model with anything but Layers."""
    if isinstance(model, Neuron):
        return [[model]]
    if isinstance(model, Layer):
        return [list(model.neurons)]
    steps: Sequence[Any] = model.layers if isinstance(model, MLP | Sequential) else ()
    layers = [list(step.neurons) for step in steps if isinstance(step, Layer)]
    if not layers or len(layers) != len(steps):
        raise TypeError(
            "draw_network: expected a Neuron, a Layer, an MLP or a Sequential of Layers, got "
            f"{type(model).__name__}; draw(model(x)) shows any model as a graph"
        )
    return layers


def _shown(count: int) -> list[int]:
    if count <= _MOST_CIRCLES:
        return list(range(count))
    return [*range(_MOST_CIRCLES - 2), -1, count - 1]


def columns_of(layers: list[list[Neuron]], sample: Sequence[float] | None = None) -> list[Column]:
    """The columns of the inputs and of the layers; with activations if there is a sample."""
    size = len(layers[0][0].weights)
    row = None if sample is None else [float(x) for x in sample]
    shown = _shown(size)
    columns = [Column("inputs", shown, [f"x{k + 1}" if k >= 0 else "" for k in shown], row)]
    few = sum(len(neuron.weights) for neurons in layers for neuron in neurons) <= _MOST_LABELS
    for depth, neurons in enumerate(layers, 1):
        if row is not None:
            with no_grad(), unscoped():
                row = [neuron(row).data for neuron in neurons]
        shown = _shown(len(neurons))
        biases = [neurons[k].bias if few and k >= 0 else None for k in shown]
        texts = [f"b = {_text(bias.data)}" if bias is not None else "" for bias in biases]
        title = "output" if depth == len(layers) else f"layer {depth}"
        columns.append(Column(_titled(title, neurons[0]), shown, texts, row))
    return columns


def _titled(title: str, neuron: Neuron) -> str:
    return f"{title}\n{activation_name(neuron.activation) or 'linear'}"


def draw_on(axes: Any, layers: list[list[Neuron]], columns: list[Column]) -> None:
    """Draw the columns and the lines between them into axes of matplotlib."""
    weights = [w.data for neurons in layers for neuron in neurons for w in neuron.weights]
    largest = max(map(abs, weights)) or 1.0
    for x, (neurons, (before, after)) in enumerate(zip(layers, pairwise(columns), strict=True)):
        for row, k in enumerate(after.shown):
            for source, i in enumerate(before.shown):
                if k >= 0 and i >= 0:
                    ends = before.height(source), after.height(row)
                    number = len(weights) <= _MOST_LABELS
                    _line(axes, x, ends, neurons[k].weights[i].data, largest, number)
    sizes = [abs(a) for column in columns for a in column.activations or ()]
    scale = max(sizes, default=0.0) or 1.0
    tallest = max(len(column.shown) for column in columns)
    points = axes.figure.get_size_inches()[1] * 72 / (tallest + 2)
    diameter = min(_DIAMETER, 0.8 * points)
    for x, column in enumerate(columns):
        _circles(axes, x, column, scale, diameter, last=x == len(columns) - 1)
    axes.set(xlim=(-0.6, len(columns) - 0.3), ylim=(-tallest / 2 - 0.1, tallest / 2 + 0.75))
    axes.set_axis_off()


def _line(
    axes: Any, x: int, ends: tuple[float, float], weight: float, largest: float, number: bool
) -> None:
    """Draw a weight as a line, with its number on it if `number` is set."""
    share = min(1.0, abs(weight) / largest)
    color = POSITIVE if weight >= 0 else NEGATIVE
    alpha = _FAINTEST + (1 - _FAINTEST) * share
    width = 0.4 + (_WIDEST - 0.4) * share
    axes.plot([x, x + 1], ends, color=color, linewidth=width, alpha=alpha, zorder=1)
    if number:
        across = 0.38  # from the left, where lines into the same neuron do not meet yet
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        height = ends[0] + across * (ends[1] - ends[0])
        axes.text(
            x + across,
            height,
            _text(weight),
            ha="center",
            va="center",
            fontsize=8,
            color=color,
            bbox=box,
        )


def _circles(axes: Any, x: int, column: Column, scale: float, diameter: float, last: bool) -> None:
    """Draw the circles of a column, with the numbers in them and the texts beside them."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("signed", [NEGATIVE, "white", POSITIVE])
    axes.text(
        x, column.height(0) + 0.5, column.title, ha="center", va="bottom", fontsize=9, color="0.35"
    )
    # Left of the inputs, right of the outputs, and below the neurons between them.
    offset, across, up = ((-18, 0), "right", "center") if x == 0 else ((0, -18), "center", "top")
    if last:
        offset, across, up = (18, 0), "left", "center"
    for row, k in enumerate(column.shown):
        height = column.height(row)
        if k < 0:
            axes.text(x, height, "\N{VERTICAL ELLIPSIS}", ha="center", va="center", fontsize=14)
            continue
        fill: Any = "white"
        if column.activations is not None:
            activation = column.activations[k]
            fill = shades(0.5 + 0.3 * max(-1.0, min(1.0, activation / scale)))
            axes.text(x, height, _text(activation), ha="center", va="center", fontsize=8, zorder=4)
        axes.scatter(
            [x], [height], s=diameter**2, c=[fill], edgecolors="0.25", linewidths=1.2, zorder=3
        )
        axes.annotate(
            column.texts[row], (x, height), offset, textcoords="offset points",
            ha=across, va=up, fontsize=8,
        )  # fmt: skip


def _text(number: float) -> str:
    """The number to two digits, with a typographic minus sign."""
    return f"{number:.2g}".replace("-", "\N{MINUS SIGN}")
