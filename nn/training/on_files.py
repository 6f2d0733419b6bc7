"""Batches of rows of two files, in this process or on a cluster."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from autograd import quiet_gc
from autograd.distributed.driver import Rows
from nn.module import unscoped
from nn.training.recipe import Files
from nn.training.replay import rows
from nn.training.source import Source, StepError

_AGREED = 256  # rows on which a batch's loss is compared with the mean over its samples


@dataclass(eq=False, repr=False)
class OnFiles(Source):
    """Batches of neighbouring rows of two files, in this process or on a cluster's workers."""

    files: Files
    size: int | None = None

    def __post_init__(self) -> None:
        if self.recipe.metrics and self.validation is None:
            raise ValueError("fit: metrics are of the validation data; give some")
        self.validation = self.validation and (rows(self.validation[0]), rows(self.validation[1]))

    def enter(self) -> None:
        """Record the loss of a row, and have all workers agree on it."""
        files, replay = self.files, self.recipe.replay()
        self.use(replay)
        with quiet_gc(), unscoped():
            self.rows = Rows(
                replay.compiled,
                files.paths,
                replay.flat.parameters,
                client=files.client,
                chunk=files.chunk,
            )
            self.rows.flat = replay.flat  # that of the optimizer's steps, in the same order
            replay.agrees(*(list(file.open()[:_AGREED]) for file in self.rows.files))

    def batches(self, rng: random.Random) -> Iterator[tuple[tuple[int, int], int]]:
        """The first row of each batch and the row after its last, the batches shuffled."""
        size = self.size or len(self.rows)
        order = list(range(0, len(self.rows), size))
        if len(order) > 1:
            rng.shuffle(order)
        for low in order:
            high = min(low + size, len(self.rows))
            yield (low, high), high - low

    def step(self, batch: tuple[int, int]) -> float:
        """The mean loss of the rows, and a step on the arrays."""
        try:
            loss = self.rows.backward(*batch)
            self.recipe.step(self.flat)
        except ArithmeticError as error:
            raise StepError(str(error)) from None
        return loss
