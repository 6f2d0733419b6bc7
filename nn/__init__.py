"""Neural networks of scalars, built on `autograd`; this file lists the public names."""

from __future__ import annotations

import autograd as _autograd

if not getattr(_autograd, "__chainrule__", False):
    raise ImportError(
        "nn needs the `autograd` of the distribution `chainrule`, but another one is installed "
        f"({_autograd.__file__}): HIPS autograd has the same import name, so both cannot be in one "
        "environment; use a new environment, or: "
        "pip uninstall autograd && pip install --force-reinstall chainrule"
    )

from typing import TYPE_CHECKING

from autograd.elsewhere import unknown
from nn import data, init, losses, metrics, optim, plots, schedules
from nn.activations import celu, hardtanh, mish, selu
from nn.layers import MLP, Embedding, Layer, Neuron, Sequential
from nn.losses import (
    bce,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cce,
    cosine_similarity,
    focal,
    hinge,
    huber,
    kl_divergence,
    kld,
    log_cosh,
    mae,
    mape,
    mean_absolute_error,
    mean_squared_error,
    mse,
    msle,
    poisson,
    scce,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from nn.module import Module, unscoped
from nn.probabilities import log_softmax, logsumexp, softmax
from nn.storage import FileFormatError
from nn.study.learning_rate import find_learning_rate
from nn.study.network import draw_network
from nn.study.sweeps import learning_rate_sweep
from nn.training import History, TrainingError, fit

__all__ = [  # noqa: RUF022 - in the order of use
    "Neuron", "Layer", "MLP", "Sequential", "Embedding", "Module", "FileFormatError", "unscoped",
    "init", "mish", "selu", "celu", "hardtanh", "softmax", "log_softmax", "logsumexp", "losses",
    "mse", "mean_squared_error", "mae", "mean_absolute_error", "mape", "msle", "huber", "log_cosh",
    "poisson", "hinge", "squared_hinge", "categorical_hinge", "cosine_similarity", "focal", "bce",
    "binary_crossentropy", "cce", "categorical_crossentropy", "scce",
    "sparse_categorical_crossentropy", "kld", "kl_divergence", "optim", "schedules", "metrics",
    "data", "plots", "fit", "History", "TrainingError", "learning_rate_sweep", "find_learning_rate",
    "draw_network",
]  # fmt: skip

__chainrule__ = True

if TYPE_CHECKING:
    from autograd.operation import Operation


def __getattr__(name: str) -> Operation:
    """The operation of `autograd` with the name, for use as an activation."""
    op = _autograd.rows().get(name)
    if op is None:
        raise unknown("module 'nn'", name, __dir__())
    return op


def __dir__() -> list[str]:
    return sorted([*globals(), *_autograd.rows()])
