"""matplotlib Figures of training: curves, rates, decision boundaries, weights over time."""

import functools
import io
import math
from collections.abc import Sequence
from typing import Any

from autograd import no_grad
from autograd.extras import remedy
from nn.data import samples
from nn.metrics import classes
from nn.module import Module, unscoped

# Okabe and Ito (2008): distinct for every kind of colour vision.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


FILE_DPI, PAGE_DPI = 150, 100  # pixels per inch of the picture, and of its size on the page


@functools.cache
def _figure_class() -> Any:
    """A subclass of matplotlib's Figure that a notebook shows as a picture.

    Without pyplot, a notebook shows only the repr of a plain Figure.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(f"a figure needs matplotlib: {remedy('plot', 'matplotlib')}") from None

    class NotebookFigure(Figure):
        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            data = io.BytesIO()
            self.savefig(data, format="png", dpi=FILE_DPI)
            width, height = (round(side * PAGE_DPI) for side in self.get_size_inches())
            return data.getvalue(), {"width": width, "height": height}

    NotebookFigure.__name__ = NotebookFigure.__qualname__ = "Figure"
    return NotebookFigure


def figure(width: float = 6.4, height: float = 4.2) -> Any:
    """An empty Figure of the size in inches; a notebook shows it at the end of a cell.

    Raises ImportError, with the extra to install, if matplotlib is missing.
    """
    return _figure_class()(figsize=(width, height), layout="constrained")


def history(run: Any) -> Any:
    """A Figure of a History: the loss curves, and next to them the metrics if there are any."""
    chart = figure(10.0 if run.metrics else 6.4)
    axes = chart.subplots(1, 2 if run.metrics else 1, squeeze=False)[0]
    epochs = range(1, len(run) + 1)
    axes[0].plot(epochs, run.loss, color=COLORS[0], label="training")
    if run.validation_loss:
        axes[0].plot(epochs, run.validation_loss, color=COLORS[1], label="validation")
        axes[0].legend(frameon=False)
    axes[0].set(xlabel="epoch", ylabel="loss")
    if min([*run.loss, *run.validation_loss]) > 0.0:
        axes[0].set_yscale("log")
    if run.metrics:
        for (name, numbers), color in zip(run.metrics.items(), COLORS[2:], strict=False):
            axes[1].plot(epochs, numbers, color=color, label=name)
        axes[1].set(xlabel="epoch")
        axes[1].legend(frameon=False)
    return chart


def sweep(result: Any) -> Any:
    """A Figure of a Grid of rates: a loss curve for each rate."""
    chart = figure(8.2, 4.6)
    axes = chart.subplots()
    top = 3.0 * max(run.loss[0] for run in result.runs)
    lowest = min(x for run in result.runs for x in run.loss if x > 0.0)
    colors = COLORS * len(result.runs)
    for run, outcome, color in zip(result.runs, result.outcomes, colors, strict=False):
        clipped = [min(x, 10.0 * top) if x == x else 10.0 * top for x in run.loss]
        name = f"{run.rate:g}: {outcome}"
        axes.plot(range(len(clipped)), clipped, color=color, linewidth=1.8, label=name)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log", ylim=(0.7 * lowest, top))
    axes.locator_params(axis="x", integer=True)
    axes.legend(title="learning rate", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return chart


def grid(result: Any) -> Any:
    """A Figure of a Grid: the median loss for each rate (across) and initializer (down).

    The lowest has a frame.  Cells without a completed run are empty, and losses of inf are grey.
    """
    rates, names = result.rates, result.initializers
    medians = [[result.median(rate, name) for rate in rates] for name in names]
    finite = [x for row in medians for x in row if math.isfinite(x)]
    logs = [math.log10(max(x, 1e-300)) for x in finite] or [0.0]
    low, high = min(logs), max(logs)
    longest = max(map(len, names))
    chart = figure(1.6 + 0.085 * longest + 0.95 * len(rates), 1.3 + 0.55 * len(names))
    axes = chart.subplots()
    from matplotlib import colormaps

    for i, row in enumerate(medians):
        for k, x in enumerate(row):
            # From white to blue, so lightness alone is enough to read it.
            share = (high - math.log10(max(x, 1e-300))) / (high - low or 1.0) if x < math.inf else 0
            color: Any = colormaps["Blues"](0.08 + 0.8 * share) if x < math.inf else "0.82"
            best = bool(finite) and (rates[k], names[i]) == result.best
            style = {"edgecolor": COLORS[1], "linewidth": 2.5, "zorder": 3} if best else {}
            color = "white" if x != x else color
            axes.bar(k, 0.94, 0.94, i - 0.47, color=color, **({"edgecolor": "0.85"} | style))
            text = "" if x != x else f"{x:.3g}"
            tint = "white" if share > 0.6 and math.isfinite(x) else "black"
            axes.text(k, i, text, ha="center", va="center", color=tint, fontsize=9, zorder=4)
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(-0.5, len(rates) - 0.5), ylim=(len(names) - 0.5, -0.5), xlabel="learning rate")
    seeds = f"median of {len(result.seeds)} seeds" if len(result.seeds) > 1 else "one seed"
    axes.set_title(f"last loss, {seeds}; {len(result.runs)} of {len(result)} runs", fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return chart


def range_test(result: Any) -> Any:
    """A Figure of a RangeTest: loss against rate, the suggestion and the stability bound."""
    chart = figure(7.2, 4.4)
    axes = chart.subplots()
    axes.plot(result.rates, result.losses, color="0.6", linewidth=1.0, label="loss of each step")
    axes.plot(result.rates, result.smooth, color=COLORS[0], label="running mean")
    name = f"suggested: {result.suggestion:.2g}"
    axes.axvline(result.suggestion, color=COLORS[2], linestyle="--", label=name)
    if math.isfinite(result.bound):
        name = f"2 / $\\lambda_{{max}}$ = {result.bound:.2g}"
        axes.axvline(result.bound, color=COLORS[1], linestyle=":", linewidth=2.0, label=name)
    top = 1.3 * max(result.smooth[0], min(result.losses))
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.set_ylim(top=max(top, 1.05 * result.losses[0]))
    axes.legend(frameon=False)
    return chart


def examination(result: Any) -> Any:
    """A Figure of an Examination: activations, gradients, and mean squares with predictions."""
    count = len(result.layers)
    chart = figure(10.0, 2.2 + 0.36 * max(count, 4))
    left, middle, right = chart.subplots(1, 3)
    sizes = [abs(a) for layer in result.layers for a in layer.activations if math.isfinite(a)]
    span = max(sizes, default=0.0) or 1.0
    _ridges(left, [layer.activations for layer in result.layers], -span, span)
    left.set(title="activations", xlabel="a")
    left.locator_params(axis="x", nbins=4)
    logs = [
        [math.log10(abs(g)) for g in layer.gradients if g and math.isfinite(g)]
        for layer in result.layers
    ]
    flat = [g for part in logs for g in part] or [0.0]
    _ridges(middle, logs, min(flat) - 0.5, max(flat) + 0.5)
    middle.locator_params(axis="x", nbins=5)
    middle.set(title="gradients dL/du, by size", xlabel="log10 |g|, zeros left out")
    for axes in (left, middle):
        axes.set_yticks(range(count), [layer.name for layer in result.layers])
        axes.set_ylim(count - 0.4, -1.1)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    steps = range(count)
    for color, label, measured, predicted in (
        ("C0", "var(a)", "variance", "predicted_variance"),
        ("C3", "E[g^2]", "gradient", "predicted_gradient"),
    ):
        lines = [
            [getattr(layer, name) or math.nan for layer in result.layers]
            for name in (measured, predicted)
        ]
        right.plot(steps, lines[0], "o-", color=color, label=label)
        right.plot(steps, lines[1], "--", color=color, alpha=0.6, label=f"{label}, predicted")
    right.set_yscale("log")
    # At least three decades; otherwise noise looks like a trend.
    low, high = (math.log10(limit) for limit in right.get_ylim())
    if high - low < 3.0:
        low, high = (low + high - 3.0) / 2.0, (low + high + 3.0) / 2.0
        right.set_ylim(10.0**low, 10.0**high)
    right.set_xticks(steps, [layer.name.split(".")[-1] for layer in result.layers])
    right.set(title="measured and predicted", xlabel="layer")
    right.grid(alpha=0.3)
    right.legend(frameon=False, fontsize="small")
    return chart


def _ridges(axes: Any, parts: Sequence[Sequence[float]], low: float, high: float) -> None:
    """Draw a histogram for each part, one below the other, all with the same height."""
    bins = 60
    step = (high - low) / bins
    centers = [low + (i + 0.5) * step for i in range(bins)]
    for row, part in enumerate(parts):
        counts = [0] * bins
        for number in part:
            if low <= number <= high:
                counts[min(int((number - low) / step), bins - 1)] += 1
        highest = max(counts) or 1
        line = [row - 0.9 * count / highest for count in counts]
        axes.fill_between(centers, row, line, step="mid", color="C0", alpha=0.45, zorder=row)
        axes.step(centers, line, where="mid", color="C0", linewidth=0.8, zorder=row)
    axes.set_xlim(low, high)


def decision_boundary(model: Module, data: Any, steps: int = 60, threshold: float = 0.0) -> Any:
    """A Figure of the model's class at each point of the plane, and the samples.

    Raises ValueError unless the samples have two features.
    """
    inputs, targets = samples(data)
    if any(len(x) != 2 for x in inputs):
        raise ValueError(f"decision_boundary: expected 2 features, got {len(inputs[0])}")
    chart = figure(5.6, 4.6)
    boundary_on(chart.subplots(), model, inputs, targets, steps, threshold)
    return chart


def boundary_on(
    axes: Any,
    model: Module,
    inputs: Sequence[Any],
    targets: Sequence[Any],
    steps: int,
    threshold: float = 0.0,
) -> None:
    """Draw a decision boundary and the samples into axes of matplotlib."""
    from matplotlib.colors import ListedColormap

    spans = []
    for column in zip(*inputs, strict=True):
        low, high = min(column), max(column)
        margin = 0.1 * (high - low or 1.0)
        spans.append(
            [low - margin + (high - low + 2 * margin) * i / (steps - 1) for i in range(steps)]
        )
    across, up = spans
    with no_grad(), unscoped():
        grid = [classes([model([x, y]) for x in across], threshold) for y in up]
    count = max(2, 1 + max(max(row) for row in grid), 1 + max(int(t) for t in targets))
    colors = ListedColormap((COLORS * count)[:count])
    limits = {"cmap": colors, "vmin": -0.5, "vmax": count - 0.5}
    axes.pcolormesh(across, up, grid, alpha=0.25, shading="nearest", **limits)
    xs, ys = zip(*inputs, strict=True)
    labels = [max(int(t), 0) for t in targets]
    size = 18 if len(xs) > 30 else 70
    axes.scatter(xs, ys, c=labels, s=size, edgecolors="white", linewidths=0.6, **limits)
    axes.set(xlabel="$x_1$", ylabel="$x_2$")


def weights(run: Any, names: Sequence[str] = ()) -> Any:
    """A Figure of every parameter over the epochs of a run with `watch=True`.

    Raises ValueError for a run without it.
    """
    if not run.weights:
        raise ValueError("weights: the run has no weights; use fit(..., watch=True)")
    chart = figure(7.2, 4.2)
    axes = chart.subplots()
    columns = list(zip(*run.weights, strict=True))
    for i, column in enumerate(columns):
        color = COLORS[i % len(COLORS)]
        label = names[i] if i < len(names) else None
        faint = 1.0 if len(columns) <= 12 else 0.35
        axes.plot(range(1, len(column) + 1), column, color=color, alpha=faint, label=label)
    if names:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set(xlabel="epoch", ylabel="parameter")
    return chart
