"""matplotlib Figures of training: curves, rates, decision boundaries, weights over time."""

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
    "COLORS", "decision_boundary", "examination", "figure", "grid", "history", "range_test",
    "sweep", "weights",
]  # fmt: skip
