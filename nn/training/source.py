"""`Source`: the batches of training, and how to take a step on one."""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from autograd import no_grad
from autograd.atomic import undo_of
from autograd.operands import item
from nn.arguments import measured
from nn.data import Samples
from nn.training.recipe import Recipe
from nn.training.replay import Replay, rows


class StepError(ArithmeticError):
    """A loss, a gradient or a new number is inf or nan; nothing has changed."""


@dataclass(eq=False, repr=False)
class Source(ABC):
    """The batches of training, and how to take a step on one.

    Attributes:
        recipe: the model, the loss and how a step is taken.
        validation: data for validation; None if there are none.
        replay: replaces model and loss if training is compiled, else None.  From `enter` until
            training ends, the parameters' numbers are in its arrays.
    """

    recipe: Recipe
    validation: Samples | None
    replay: Replay | None = field(default=None, init=False)

    @abstractmethod
    def enter(self) -> None:
        """Prepare training."""

    @abstractmethod
    def batches(self, rng: random.Random) -> Iterable[tuple[Any, int]]:
        """(batch, size) for each batch, shuffled by rng."""

    @abstractmethod
    def step(self, batch: Any) -> float:
        """The loss of the batch, after a step; StepError if a number is inf or nan."""

    def examined(self) -> Samples | None:
        """The data for loss and metrics at the end of an epoch."""
        return self.validation

    def use(self, replay: Replay) -> None:
        """Use the replay, with the parameters' numbers in its arrays, from now on."""
        replay.flat.read()
        self.replay = replay
        self.validation = self.validation and (rows(self.validation[0]), rows(self.validation[1]))

    @property
    def flat(self) -> Any:
        """The arrays with the parameters' numbers; None if these are in the Values."""
        return None if self.replay is None else self.replay.flat

    def outputs(self, inputs: Any, targets: Any, with_loss: bool) -> tuple[Any, float]:
        """The model's outputs, and the loss if `with_loss`, else nan."""
        if self.replay is not None:
            self.replay.look()
            outputs = self.replay.outputs(inputs)
            return outputs, self.replay.loss(inputs, targets) if with_loss else math.nan
        with no_grad():
            outputs = [self.recipe.model(x) for x in inputs]
            return outputs, item(self.recipe.loss(outputs, targets)) if with_loss else math.nan

    def examine(self) -> tuple[float, dict[str, float]]:
        """The loss of the validation data, and the metrics, with the model in evaluation mode."""
        data, recipe = self.examined(), self.recipe
        if data is None or not (self.validation or recipe.metrics):
            return math.nan, {}
        modules = [module for _, module in recipe.model.named_modules()]
        undo = undo_of(modules, repeat("training"))
        try:
            recipe.model.eval()
            outputs, loss = self.outputs(*data, with_loss=self.validation is not None)
        finally:
            undo()
            if self.replay is not None:
                self.replay.look()
        return loss, measured(recipe.metrics, outputs, list(data[1]))
