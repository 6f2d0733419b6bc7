"""Batches of rows in two files, in this process or on a cluster."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from autograd import quiet_gc
from autograd.distributed.driver import Rows
from nn.module import unscoped
from nn.training.recipe import Files
from nn.training.source import Source, StepError

_AGREED = 256  # rows for comparing a batch's loss with the mean over its samples


@dataclass(eq=False, repr=False)
class OnFiles(Source):
    """Batches of neighbouring rows in two files, in this process or on a cluster's workers."""

    files: Files
    size: int | None = None

    def __post_init__(self) -> None:
        if self.recipe.metrics and self.validation is None:
            raise ValueError(
                "fit: for training on files, metrics need validation data; pass validation=..."
            )

    def enter(self) -> None:
        """Record the loss of a row, and check that it is the same for all workers."""
        files, replay = self.files, self.recipe.replay()
        self.use(replay)
        with quiet_gc(), unscoped():
            own = replay.flat.parameters
            self.rows = Rows(
                replay.compiled, files.paths, own, client=files.client, chunk=files.chunk
            )
            self.rows.flat = replay.flat  # the arrays that the optimizer changes
            replay.agrees(*(list(file.open()[:_AGREED]) for file in self.rows.files))

    def batches(self, rng: random.Random) -> Iterator[tuple[tuple[int, int], int]]:
        """((first row, row after the last), size) of each batch, shuffled."""
        size = self.size or len(self.rows)
        order = list(range(0, len(self.rows), size))
        if len(order) > 1:
            rng.shuffle(order)
        for low in order:
            high = min(low + size, len(self.rows))
            yield (low, high), high - low

    def step(self, batch: tuple[int, int]) -> float:
        """The mean loss of the rows, after a step on the arrays."""
        try:
            loss = self.rows.backward(*batch)
            self.recipe.step(self.flat)
        except ArithmeticError as error:
            raise StepError(str(error)) from None
        return loss
