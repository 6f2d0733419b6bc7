"""Experiments with models: initial weights, learning rates, sweeps, and their figures."""
