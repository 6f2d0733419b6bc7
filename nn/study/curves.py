"""Figures for lessons: functions with slopes, gradient descent, loss surfaces, initializers."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from autograd import Value, value_and_grad
from nn.study.plots import COLORS, figure

Curve = Callable[[Value], Value]
_POINTS = 241  # in a curve
_PANELS = 3  # in a row


def _axis(low: float, high: float) -> list[float]:
    return [low + (high - low) * i / (_POINTS - 1) for i in range(_POINTS)]


def _sampled(f: Curve, xs: Sequence[float]) -> tuple[list[float], list[float]]:
    """The values and the slopes of a function."""
    both = value_and_grad(f)
    values, slopes = zip(*map(both, xs), strict=True)
    return list(values), list(slopes)


def functions(
    curves: Mapping[str, Curve],
    low: float = -4.0,
    high: float = 4.0,
    *,
    separate: bool = False,
    xlabel: str = "x",
) -> Any:
    """A Figure of functions of one number and of their derivatives.

    Args:
        curves: functions of a Value, by name.
        low, high: the ends of the curves.
        separate: whether each function has its own panel, with its derivative dashed.  Otherwise
            all functions are on the left and all derivatives on the right.
        xlabel: the name of the horizontal axis.

    >>> figure = functions({"tanh": lambda x: x.tanh(), "relu": lambda x: x.relu()})
    """
    xs = _axis(low, high)
    if separate:
        rows = -(-len(curves) // _PANELS)
        chart = figure(9.6, 0.4 + 2.5 * rows)
        panels = chart.subplots(rows, min(_PANELS, len(curves)), sharex=True, squeeze=False).flat
        for axes, (name, f) in zip(panels, curves.items(), strict=False):
            values, slopes = _sampled(f, xs)
            axes.plot(xs, values, color=COLORS[0], linewidth=2, label="f")
            axes.plot(xs, slopes, "--", color=COLORS[1], linewidth=2, label="f'")
            axes.set(title=name, ylim=(-1.5, 2.5))
            axes.grid(alpha=0.3)
        chart.axes[0].legend(frameon=False)
        return chart
    chart = figure(9.0, 3.4)
    left, right = chart.subplots(1, 2)
    for color, (name, f) in zip(COLORS, curves.items(), strict=False):
        values, slopes = _sampled(f, xs)
        left.plot(xs, values, color=color, linewidth=2, label=name)
        right.plot(xs, slopes, color=color, linewidth=2)
    left.set(title="function", xlabel=xlabel)
    right.set(title="derivative", xlabel=xlabel)
    left.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return chart


def descent(
    f: Curve, walks: Mapping[str, Sequence[float]], low: float, high: float, top: float
) -> Any:
    """A Figure of walks on a curve: the start is a dot, and each step is an arrow.

    The last arrow of a walk that leaves the picture ends at the picture's edge.

    Args:
        f: the loss, as a function of one Value.
        walks: the points of each walk, by title; each walk has its own panel.
        low, high: the ends of the curve.
        top: the height of the picture.

    >>> figure = descent(lambda w: w * w, {"good": [1.5, 0.5, 0.2]}, -2.0, 2.0, 4.0)
    """
    xs = _axis(low, high)
    values, _ = _sampled(f, xs)
    chart = figure(2.9 * len(walks), 3.0)
    panels = chart.subplots(1, len(walks), sharey=True, squeeze=False)[0]
    for axes, (title, points) in zip(panels, walks.items(), strict=True):
        heights, _ = _sampled(f, points)
        axes.plot(xs, values, color="0.7", zorder=1)
        steps = list(pairwise(zip(points, heights, strict=True)))
        for k, (start, end) in enumerate(steps):
            style = {"arrowstyle": "-|>", "color": COLORS[1], "shrinkA": 0, "shrinkB": 0}
            arrow = axes.annotate("", end, start, arrowprops=style, annotation_clip=False)
            arrow.arrow_patch.set_clip_box(axes.bbox)
            if not low <= end[0] <= high or end[1] > top:
                title = f"{title}\n(leaves the picture in step {k + 1})"
                break
        axes.plot(points[0], heights[0], "o", color=COLORS[0], markersize=9, zorder=3)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="w", xlim=(low, high), ylim=(-0.05 * top, top))
        axes.annotate(
            "start", (points[0], heights[0]), (0, 9), textcoords="offset points",
            ha="center", color=COLORS[0], zorder=4,
        )  # fmt: skip
    panels[0].set_ylabel("loss")
    return chart


def surfaces(
    across: Sequence[float],
    up: Sequence[float],
    heights: Mapping[str, Sequence[Sequence[float]]],
    paths: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    labels: tuple[str, str] = ("w", "b"),
) -> Any:
    """A Figure of surfaces as contours, with their lowest points as stars, and paths on them.

    Args:
        across, up: the coordinates of the grid.
        heights: for each title a grid, with one row for each number in `up`.
        paths: points to connect, by the same titles.
        labels: the names of the two axes.

    >>> xs = [-1.0, 0.0, 1.0]
    >>> figure = surfaces(xs, xs, {"bowl": [[x * x + y * y for x in xs] for y in xs]})
    """
    chart = figure(4.8 * len(heights), 4.0)
    panels = chart.subplots(1, len(heights), sharey=True, squeeze=False)[0]
    for axes, (title, grid) in zip(panels, heights.items(), strict=True):
        contours = axes.contourf(across, up, grid, levels=20, cmap="Greys")
        chart.colorbar(contours, ax=axes, label="loss")
        _, i, k = min((z, i, k) for i, row in enumerate(grid) for k, z in enumerate(row))
        star = {"color": "white", "markersize": 14, "markeredgecolor": "black", "zorder": 5}
        axes.plot(across[k], up[i], "*", **star)
        if paths and title in paths:
            xs, ys = zip(*paths[title], strict=True)
            axes.plot(xs, ys, "o-", color=COLORS[1], markersize=4, linewidth=1)
        axes.set(title=title, xlabel=labels[0])
    panels[0].set_ylabel(labels[1])
    return chart


def compare_initializers(examinations: Mapping[str, Any]) -> Any:
    """A Figure of how the signal and the gradient change from layer to layer.

    Args:
        examinations: the result of `init.examine` for each initializer, by name.

    >>> from nn import MLP, init
    >>> model = MLP([2, 4, 4], "relu", init="he_normal", seed=0)
    >>> figure = compare_initializers({"He": init.examine(model, [[1.0, -1.0], [0.5, 2.0]])})
    """
    chart = figure(9.0, 3.6)
    left, right = chart.subplots(1, 2, sharex=True, sharey=True)
    for color, (name, result) in zip(COLORS, examinations.items(), strict=False):
        style = {"color": color, "markersize": 4}
        left.plot([layer.mean_square for layer in result.layers], "o-", label=name, **style)
        right.plot([layer.gradient for layer in result.layers], "o-", **style)
    left.set(title="signal, from left to right", ylabel="mean square")
    right.set(title="gradient, from right to left")
    for axes in (left, right):
        axes.set(yscale="log", xlabel="layer")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
    chart.legend(loc="outside right center", frameon=False)
    return chart
