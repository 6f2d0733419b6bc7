"""Batches of samples in memory: steps in Values, or replayed at native speed."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autograd import Value, topological
from autograd.blame import first_nonfinite
from autograd.value import accumulate
from nn.data import Samples
from nn.training.replay import Replay, rows
from nn.training.source import Source, StepError


@dataclass(eq=False, repr=False)
class InMemory(Source):
    """Batches of samples in lists or arrays; steps in Values, or replayed at native speed."""

    data: Samples
    size: int
    compiled: bool | Replay = False

    def enter(self) -> None:
        """Compile model and loss, if `compiled` is set."""
        if not self.compiled:
            return
        if isinstance(self.compiled, Replay):
            replay = self.compiled
            replay.look()
        else:
            replay = self.recipe.replay()
            replay.agrees(*self.data)
        self.use(replay)
        self.data = rows(self.data[0]), rows(self.data[1])

    def batches(self, rng: random.Random) -> Iterator[tuple[list[int], int]]:
        """(indices, size) of each batch."""
        order = list(range(len(self.data[0])))
        if self.size < len(order):
            rng.shuffle(order)
        for start in range(0, len(order), self.size):
            batch = order[start : start + self.size]
            yield batch, len(batch)

    def step(self, batch: list[int]) -> float:
        """The batch's loss, after a step; if a replay fails, Values repeat it for the error."""
        inputs, targets = (chosen(samples, batch) for samples in self.data)
        if self.replay is None:
            return self._in_values(inputs, targets)
        flat = self.replay.flat
        try:
            loss = _finite(self.replay.backward(inputs, targets))
            if not flat.gradients.any():
                self._refuse_unreached(self.recipe.loss([*map(self.recipe.model, inputs)], targets))
            self.recipe.step(flat)
        except ArithmeticError:
            flat.write()
            loss = self._in_values(inputs, targets)
            flat.read()
        return loss

    def _in_values(self, inputs: list[Any], targets: list[Any]) -> float:
        recipe = self.recipe
        loss = recipe.loss([recipe.model(x) for x in inputs], targets)
        if not isinstance(loss, Value):
            raise TypeError(f"fit: the loss must be one Value, got {type(loss).__name__}")
        recipe.zero_grad()
        accumulate(loss)  # its errors say what a warning would
        if not any(parameter.grad for parameter in recipe.parameters):
            self._refuse_unreached(loss)
        try:
            _finite(loss.data)
            recipe.step()
        except ArithmeticError as error:
            cause = first_nonfinite(topological(loss))
            raise StepError(f"{error}{f': {cause}' if cause else ''}") from None
        return loss.data

    def _refuse_unreached(self, loss: Value) -> None:
        """Raise ValueError if the loss depends on none of the parameters that are trained."""
        if set(topological(loss)).isdisjoint(self.recipe.parameters):
            raise ValueError(
                "fit: the loss depends on none of the optimizer's parameters, so nothing would be "
                "trained; compute it from the outputs themselves, without .data or detach()"
            )

    def examined(self) -> Samples | None:
        """The validation data, or else the training data."""
        return self.validation or self.data


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ArithmeticError(f"the loss is {loss!r}")
    return loss


def chosen(samples: Any, batch: list[int]) -> Any:
    """The samples of a batch, as an array or a list like `samples`."""
    return [samples[i] for i in batch] if isinstance(samples, list) else samples[batch]
