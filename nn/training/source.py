"""`Source`: where the batches of training come from, and how a step is taken on one."""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from autograd import no_grad
from autograd.atomic import undo_of
from autograd.ops import item
from nn.arguments import measured
from nn.data import Samples
from nn.training.recipe import Recipe
from nn.training.replay import Replay


class StepError(ArithmeticError):
    """A loss, a gradient or a new number is inf or nan; nothing was changed."""


@dataclass(eq=False, repr=False)
class Source(ABC):
    """Where batches come from, and how a step is taken on one.

    Attributes:
        recipe: what is trained.
        validation: data that are not trained on, to look at; None if there are none.
        replay: runs in place of model and loss; its arrays hold the parameters' numbers from
            `enter` until training ends.  None if the Values hold them.
    """

    recipe: Recipe
    validation: Samples | None
    replay: Replay | None = field(default=None, init=False)

    @abstractmethod
    def enter(self) -> None:
        """Prepare what lasts until training ends."""

    @abstractmethod
    def batches(self, rng: random.Random) -> Iterable[tuple[Any, int]]:
        """Each batch and its size, in the order that the source of randomness gives."""

    @abstractmethod
    def step(self, batch: Any) -> float:
        """The loss of the batch, after a step on it; StepError if something is inf or nan."""

    def examined(self) -> Samples | None:
        """The data that loss and metrics at the end of an epoch are of."""
        return self.validation

    def use(self, replay: Replay) -> None:
        """Let the arrays of the replay hold the numbers from here on."""
        replay.flat.read()
        self.replay = replay

    @property
    def flat(self) -> Any:
        """The arrays that hold the numbers; None if the Values do."""
        return None if self.replay is None else self.replay.flat

    def outputs(self, inputs: Any, targets: Any, with_loss: bool) -> tuple[Any, float]:
        """The outputs of the model as it is, and the loss if it is wanted."""
        if self.replay is not None:
            self.replay.look()
            outputs = self.replay.outputs(inputs)
            return outputs, self.replay.loss(inputs, targets) if with_loss else math.nan
        with no_grad():
            outputs = [self.recipe.model(x) for x in inputs]
            return outputs, item(self.recipe.loss(outputs, targets)) if with_loss else math.nan

    def examine(self) -> tuple[float, dict[str, float]]:
        """The loss of the validation data and the metrics, with the model in its mode for that."""
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
