"""matplotlib Figures: loss curves, rates, decision boundaries, networks, animations."""

from nn.study.animation import animate_training
from nn.study.curves import compare_initializers, descent, functions, surfaces
from nn.study.network import draw_network
from nn.study.plots import (
    COLORS,
    decision_boundary,
    examination,
    figure,
    grid,
    history,
    range_test,
    sweep,
    weights,
)

__all__ = [
    "COLORS", "animate_training", "compare_initializers", "decision_boundary", "descent",
    "draw_network", "examination", "figure", "functions", "grid", "history", "range_test",
    "surfaces", "sweep", "weights",
]  # fmt: skip
