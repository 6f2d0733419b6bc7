"""Grids of training runs: `sweep`, and the `Grid` of its runs."""

from nn.study.grid import Grid, Trained
from nn.study.sweeps import sweep

__all__ = ["Grid", "Trained", "sweep"]
