"""The search for a learning rate: a range test, and the bound of stability."""

import copy
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autograd.options import as_float, generator, whole
from nn.arguments import Maker, loss_of, maker_of
from nn.data import samples
from nn.module import Module
from nn.study.curvature import largest_curvature
from nn.training.history import History, TrainingError, finished
from nn.training.in_memory import InMemory
from nn.training.loop import Loop
from nn.training.recipe import Loss, Recipe, Settings


@dataclass
class RangeTest:
    """Losses for rising learning rates, and a suggested rate.

    Attributes:
        rates, losses: of each step, up to the end of the test.
        smooth: the losses' running mean.
        suggestion: the rate around which the losses fall fastest.
        reason: for the suggestion, in words.
        bound: 2 / lambda_max; above it gradient descent leaves a minimum with this curvature.
        curvature: lambda_max, the largest eigenvalue of the loss's Hessian at the model's numbers.
    """

    rates: list[float]
    losses: list[float]
    smooth: list[float]
    suggestion: float
    reason: str
    bound: float
    curvature: float

    def __str__(self) -> str:
        return (
            f"learning rate {self.suggestion:.3g}: {self.reason}\n"
            f"stability bound 2 / lambda_max = {self.bound:.3g} (lambda_max = {self.curvature:.3g})"
        )

    def figure(self) -> Any:
        """A matplotlib Figure: loss against rate, the suggestion, and the bound."""
        from nn.study import plots

        return plots.range_test(self)


def find_learning_rate(
    model: Module,
    data: Any,
    *,
    loss: Loss | str,
    low: float = 1e-4,
    high: float = 10.0,
    steps: int = 60,
    batch_size: int | None = None,
    seed: int = 0,
    optimizer: Maker | str = "sgd",
    curvature_samples: int = 64,
    compiled: bool = False,
) -> RangeTest:
    """A RangeTest (Smith 2017): a copy is trained with a rate that rises from low to high.

    The model and all random states stay unchanged.  The test ends when the loss is inf or nan, or
    four times its lowest.  The bound is that of plain gradient descent, from the Hessian of the
    loss of the first `curvature_samples` samples.

    With `compiled`, the steps are replayed as in `fit`.

    Raises ValueError for an invalid range, and if the loss never falls.
    """
    loss, steps = loss_of(loss), whole(steps, "find_learning_rate: steps")
    seed = whole(seed, "find_learning_rate: seed", None)
    low, high = as_float(low, "find_learning_rate: low"), as_float(high, "find_learning_rate: high")
    if not 0.0 < low < high < math.inf or steps < 10:
        raise ValueError(
            "find_learning_rate: low must be above 0 and below high, and steps at least 10, got "
            f"{low!r}, {high!r}, {steps!r}"
        )
    inputs, targets = samples(data)
    size = len(inputs)
    if batch_size is not None:
        size = whole(batch_size, "find_learning_rate: batch_size")
    copied = copy.deepcopy(model)
    rates = [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]
    recipe = Recipe(copied, loss, maker_of(optimizer)(copied, low), lambda step: rates[step])
    source = SingleBatches(recipe, None, (inputs, targets), size, compiled, seed)
    try:
        settings = Settings(steps, callbacks=[_is_lost], progress=False)
        losses = finished(Loop(source, settings).run()).loss
    except TrainingError as error:
        losses = error.history.loss
    first = inputs[:curvature_samples], targets[:curvature_samples]
    return _range_test(rates, losses, largest_curvature(copy.deepcopy(model), first, loss))


@dataclass(eq=False, repr=False)
class SingleBatches(InMemory):
    """One batch in each epoch; every sample is used once before any is used again."""

    seed: int = 0
    order: list[int] = field(default_factory=list, init=False)

    def batches(self, rng: random.Random) -> Iterator[tuple[list[int], int]]:
        """The next batch."""
        count = len(self.data[0])
        while len(self.order) < self.size:
            order = list(range(count))
            if self.size < count:
                generator(self.seed + self.recipe.optimizer.taken).shuffle(order)
            self.order += order
        batch, self.order = self.order[: self.size], self.order[self.size :]
        yield batch, self.size


def _is_lost(epoch: int, history: History) -> bool:
    """Whether the loss is so far above its lowest that higher rates are not worth a try."""
    return history.loss[-1] > 4.0 * min(history.loss) and epoch > 5


def _range_test(rates: list[float], losses: list[float], curvature: float) -> RangeTest:
    """The RangeTest for the losses of the first rates."""
    steps, smooth = len(rates), _smoothed(losses)
    lowest = smooth.index(min(smooth)) if smooth else 0
    if lowest == 0:
        raise ValueError(
            f"find_learning_rate: the loss never falls between {rates[0]:g} and {rates[-1]:g}; "
            "start lower"
        )
    # Losses differ more between batches than between steps, so the difference of two neighbours
    # is noise.  A slope is therefore that of a line through a fifth of the range.
    reach = steps // 10
    k = min(range(min(reach, lowest), lowest + 1), key=lambda k: _slope(losses, k, reach))
    reason = f"the loss falls fastest there; it is lowest at {rates[lowest]:.3g}" + (
        f" and out of bounds from {rates[len(losses) - 1]:.3g}" if len(losses) < steps else ""
    )
    bound = 2.0 / curvature if curvature > 0.0 else math.inf
    return RangeTest(rates[: len(losses)], losses, smooth, rates[k], reason, bound, curvature)


def _slope(losses: list[float], k: int, reach: int) -> float:
    """The slope of the least-squares line through the losses up to `reach` steps from k."""
    near = range(max(0, k - reach), min(len(losses), k + reach + 1))
    middle = (near[0] + near[-1]) / 2.0
    spread = sum((i - middle) ** 2 for i in near)
    return sum((i - middle) * losses[i] for i in near) / spread


def _smoothed(losses: list[float], keep: float = 0.7) -> list[float]:
    """The running mean with weights keep^k, corrected for the bias at its start."""
    mean, weight, smooth = 0.0, 0.0, []
    for loss in losses:
        mean, weight = keep * mean + (1 - keep) * loss, keep * weight + (1 - keep)
        smooth.append(mean / weight)
    return smooth
