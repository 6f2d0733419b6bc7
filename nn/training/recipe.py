"""`Recipe` and `Settings`: the checked arguments of training in two records."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autograd import Value
from autograd.options import POSITIVE, real, whole
from nn.arguments import list_of, loss_of, metrics_of, model_of, optimizer_of
from nn.module import Module
from nn.optim import clip_norm, clipped
from nn.optimizer import Optimizer
from nn.schedules import ReduceOnPlateau
from nn.schedules import schedule as as_schedule
from nn.training.replay import Replay

Loss = Callable[[list[Any], list[Any]], Value]
Metric = Callable[[list[Any], list[Any]], float]
StrPath = str | os.PathLike[str]


@dataclass
class Recipe:
    """What to train, and how to take a step; the arguments of `fit` with these names."""

    model: Module
    loss: Any
    optimizer: Any
    schedule: Any = None
    metrics: Any = ()
    clip: float | None = None

    def __post_init__(self) -> None:
        self.model, self.loss = model_of(self.model), loss_of(self.loss)
        self.optimizer: Optimizer = optimizer_of(self.optimizer, self.model)
        if self.schedule is not None:
            self.schedule = as_schedule(self.schedule, "schedule")
        self.metrics = metrics_of(self.metrics)
        if self.clip is not None:
            self.clip = real(self.clip, "fit: clip", POSITIVE)
        self.parameters = [p for group in self.optimizer.groups for p in group.parameters]
        trained = set(self.parameters)
        self.untrained = [p for p in self.model.parameters() if p not in trained]

    @property
    def plateau(self) -> ReduceOnPlateau | None:
        """The schedule, if it depends on the loss; else None."""
        return self.schedule if isinstance(self.schedule, ReduceOnPlateau) else None

    def replay(self) -> Replay:
        """A Replay of the model and the loss."""
        together = dict.fromkeys([*self.parameters, *self.model.parameters()])
        return Replay(self.model, self.loss, list(together))

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to 0, also of those that are not trained."""
        self.optimizer.zero_grad()
        for p in self.untrained:
            p.zero_grad()

    def step(self, flat: Any = None) -> None:
        """Clip the gradients and take the optimizer's step, on Values or on the arrays of a Flat.

        Raises ArithmeticError, and changes no parameter, if a number is inf or nan.
        """
        if flat is None:
            if self.clip is not None:
                clip_norm(self.parameters, self.clip)
            self.optimizer.step()
            return
        if self.clip is not None:
            indices = flat.places(self.parameters)
            flat.gradients[indices] = clipped(flat.gradients[indices].tolist(), self.clip)[1]
        self.optimizer.step_flat(flat)


@dataclass
class Settings:
    """How long to train, and what to do after each epoch; the arguments of `fit`."""

    epochs: int
    seed: Any = 0
    patience: int | None = None
    checkpoint: StrPath | None = None
    resume: bool = False
    callbacks: Any = ()
    watch: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        self.epochs = whole(self.epochs, "fit: epochs")
        if self.patience is not None:
            self.patience = whole(self.patience, "fit: patience")
        self.callbacks = list_of(self.callbacks, "callbacks", "[function]")
        for callback in self.callbacks:
            if not callable(callback):
                raise TypeError(f"callbacks: expected functions, got {callback!r}")
        if self.resume and self.checkpoint is None:
            raise ValueError("fit: resume=True needs a checkpoint; pass checkpoint=path")


@dataclass(frozen=True)
class Files:
    """Two .npy files, of inputs and of targets, as data for `fit`.

    Attributes:
        paths: of the two files.
        client: of a dask cluster; by default this process does the work.
        chunk: rows in a chunk, see `nn.distributed.Rows`.
    """

    paths: Sequence[StrPath]
    client: Any = None
    chunk: int | None = None
