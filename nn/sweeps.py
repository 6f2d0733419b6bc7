"""`sweep`: learning rates x initializers x seeds, trained one after the other or on a cluster."""

import copy
import io
import math
import os
import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograd import files, quiet_gc
from autograd.ops import item
from nn import tables
from nn.arguments import Maker, loss_of, maker_of
from nn.data import samples
from nn.init import Initializer
from nn.module import Module, unscoped
from nn.options import whole
from nn.training import Loss, TrainingError, bar, finished, fit

__all__ = ["Grid", "Trained", "sweep"]
PICTURE_EVERY = 1.0  # seconds: a picture takes about a fifth of one
FORMATS = ("png", "svg", "pdf")


@dataclass
class Trained:
    """One run: its place in the grid, and the loss before training and of each epoch.

    The last loss is inf if the run came to where there are no numbers.
    """

    rate: float
    initializer: str
    seed: int
    loss: list[float]

    @property
    def final(self) -> float:
        """The last loss."""
        return self.loss[-1]

    @property
    def diverged(self) -> bool:
        """Whether the last loss is inf, nan or, but for rounding, more than the first."""
        return not self.loss[-1] - self.loss[0] <= 1e-9 * abs(self.loss[0])

    def outcome(self, best: float) -> str:
        """What came of the run, in words, where `best` is the lowest last loss of all runs.

        By its losses L_0 ... L_n:

        - diverges: see `diverged`;
        - good: it has fallen by at least 90 % of L_0 - best;
        - slow: it is still falling, the last quarter of the epochs by more than 5 % of L_0 - best;
        - plateaus above the best: the rest.
        """
        loss, possible = self.loss, self.loss[0] - best
        if self.diverged:
            return "diverges"
        if loss[0] - loss[-1] >= 0.9 * possible:
            return "good"
        quarter = loss[-1 - max(1, (len(loss) - 1) // 4)]
        if quarter - loss[-1] > 0.05 * possible:
            return "slow"
        # A rate so low that nothing moves falls in a straight line, however little.
        half = loss[(len(loss) - 1) // 2]
        steady = loss[0] - half > 0 and (half - loss[-1]) > 0.5 * (loss[0] - half)
        return "slow" if steady else "plateaus above the best"


@dataclass
class Grid:
    """The runs that are done so far, and what there is to do; prints as a table.

    Attributes:
        rates, initializers, seeds: of which every combination is a run.
        runs: in the order of rates, then initializers, then seeds.
    """

    rates: list[float]
    initializers: list[str]
    seeds: list[int]
    runs: list[Trained] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rates) * len(self.initializers) * len(self.seeds)

    def cell(self, rate: float, initializer: str) -> list[Trained]:
        """The runs of a rate and an initializer, as far as they are done."""
        return [run for run in self.runs if (run.rate, run.initializer) == (rate, initializer)]

    def finals(self, rate: float, initializer: str) -> list[float]:
        """The last losses of all seeds, as far as they are done."""
        return [run.final for run in self.cell(rate, initializer)]

    def median(self, rate: float, initializer: str) -> float:
        """The median of the last losses; nan before the first is done."""
        finals = self.finals(rate, initializer)
        return statistics.median(finals) if finals else math.nan

    @property
    def best(self) -> tuple[float, str]:
        """(rate, initializer) with the lowest median; ValueError before the first run is done."""
        cells = [(self.median(r, i), r, i) for r in self.rates for i in self.initializers]
        done = [cell for cell in cells if cell[0] == cell[0]]
        if not done:
            raise ValueError("sweep: no run is done")
        return min(done, key=lambda cell: cell[0])[1:]

    @property
    def outcomes(self) -> list[str]:
        """What came of each run, in words, see `Trained.outcome`."""
        best = min((run.final for run in self.runs), default=math.nan)
        return [run.outcome(best) for run in self.runs]

    @property
    def is_line(self) -> bool:
        """Whether only the rates differ."""
        return len(self.initializers) == len(self.seeds) == 1

    def __str__(self) -> str:
        if self.is_line:
            lines = ["    rate        start        final  outcome"]
            lines += [
                f"{run.rate:8.3g} {run.loss[0]:12.5g} {run.final:12.5g}  {outcome}"
                for run, outcome in zip(self.runs, self.outcomes, strict=True)
            ]
            return "\n".join(lines)
        width = max(map(len, ["initializer", *self.initializers]))
        lines = [f"{'rate':>8}  {'initializer':<{width}}  {'median':>10}  {'lowest':>10}"
                 f"  {'highest':>10}  diverged"]  # fmt: skip
        for rate in self.rates:
            for name in self.initializers:
                if not (cell := self.cell(rate, name)):
                    continue
                finals = self.finals(rate, name)
                diverged = sum(run.diverged for run in cell)
                mark = "  <- best" if (rate, name) == self.best else ""
                lines.append(
                    f"{rate:8.3g}  {name:<{width}}  {statistics.median(finals):10.4g}"
                    f"  {min(finals):10.4g}  {max(finals):10.4g}  {diverged} of {len(cell)}{mark}"
                )
        return "\n".join(lines)

    def figure(self) -> Any:
        """A matplotlib Figure: loss against epochs, a line for each rate, if only the rates differ;
        or else the median loss of each rate and initializer, coloured."""
        from nn import plots

        return plots.sweep(self) if self.is_line else plots.grid(self)


@dataclass(frozen=True)
class _Task:
    """What all runs share."""

    make: Callable[[Any, int], Module]
    data: Any
    loss: Loss
    epochs: int
    batch_size: int | None
    optimizer: Maker
    compiled: bool
    fingerprint: dict[str, str]


def _run(rate: float, start: Initializer | None, seed: int, task: _Task) -> list[float]:
    """The losses of one run, the one before training first."""
    if task.fingerprint:
        from nn import distributed

        distributed.compare(task.fingerprint)
    model = task.make(start, seed)
    inputs, targets = samples(task.data)
    with unscoped(), quiet_gc():
        before = item(task.loss([model(x) for x in inputs], targets))
    try:
        history = fit(
            model,
            task.data,
            loss=task.loss,
            optimizer=task.optimizer(model, rate),
            epochs=task.epochs,
            batch_size=task.batch_size,
            seed=seed,
            progress=False,
            compiled=task.compiled,
        )
    except TrainingError as error:
        return [before, *error.history.loss, math.inf]
    return [before, *finished(history).loss]


def learning_rate_sweep(
    model: Module,
    data: Any,
    *,
    loss: Loss | str,
    rates: Sequence[float],
    epochs: int = 50,
    batch_size: int | None = None,
    seed: int = 0,
    optimizer: Maker | str = "sgd",
    compiled: bool = False,
) -> Grid:
    """A Grid: the model trained with each rate from the numbers it has now, on copies.

    `Grid.outcomes` says in words what came of each rate, see `Trained.outcome`.

    Args:
        optimizer: makes the optimizer from the model and the rate, or is the name of one.
        compiled: as in `fit`.
    """
    return sweep(
        lambda initializer, seed: copy.deepcopy(model),
        data,
        loss=loss,
        rates=rates,
        seeds=[seed],
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        compiled=compiled,
        progress=False,
    )


def sweep(
    make: Callable[[Any, int], Module],
    data: Any,
    *,
    loss: Loss | str,
    rates: Sequence[float],
    initializers: Sequence[Initializer | None] | Mapping[str, Initializer | None] = (None,),
    seeds: Sequence[int] = (0,),
    epochs: int = 20,
    batch_size: int | None = None,
    optimizer: Maker | str = "sgd",
    compiled: bool = False,
    client: Any = None,
    picture: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Grid:
    """A Grid: one training for each learning rate, initializer and seed, with the same bits anyhow.

    Args:
        make: a fresh model from an initializer and a seed; the seed shuffles the batches, too.
        data, loss, epochs, batch_size, compiled: as for `nn.fit`.
        initializers: a list, or a dict with names of yours; None is the model's own.
        optimizer: makes the optimizer from the model and the rate, or is the name of one.
        client: of `nn.distributed.connect`; this process does the same work if left out.
        picture: a .png, .svg or .pdf that is written again, whole, while results come in.
        progress: a bar; if left out, where tqdm is installed and a terminal watches.

    Raises ValueError for an empty list, one that has something twice, or another kind of picture.

    >>> from nn import MLP, init, mse
    >>> def make(initializer, seed):
    ...     return MLP([1, 4, 1], "tanh", init=initializer, seed=seed)
    >>> data = [[-1.0], [0.0], [1.0]], [[1.0], [0.0], [1.0]]
    >>> starts = {"he": init.he_normal(), "zeros": init.zeros()}
    >>> print(sweep(make, data, loss=mse, rates=[0.01, 0.3], initializers=starts, seeds=[0, 1]))
        rate  initializer      median      lowest     highest  diverged
        0.01  he               0.4584      0.3592      0.5577  0 of 2
        0.01  zeros            0.4285      0.4285      0.4285  0 of 2
         0.3  he              0.02596    0.006938     0.04498  0 of 2  <- best
         0.3  zeros            0.2222      0.2222      0.2222  0 of 2
    """
    loss, optimizer = loss_of(loss), maker_of(optimizer)
    rates = tables.numbers(rates, "sweep: rates")
    seeds = [whole(seed, "sweep: seeds", None) for seed in tables.samples(seeds, "sweep: seeds")]
    named = dict(initializers) if isinstance(initializers, Mapping) else {}
    if not isinstance(initializers, Mapping):
        named = {"default" if one is None else str(one): one for one in initializers}
    for what, given in (("rates", rates), ("initializers", initializers), ("seeds", seeds)):
        if not len(given):
            raise ValueError(f"sweep: no {what}")
        if len(named if what == "initializers" else set(given)) != len(given):
            raise ValueError(f"sweep: {what} has something twice: {list(given)}")
    found = Grid(sorted(rates), list(named), list(seeds))
    places = [(r, i, s) for r in found.rates for i in found.initializers for s in found.seeds]
    own: dict[str, str] = {}
    if client is not None:
        from nn import distributed

        own = distributed.agree(client)
    task = _Task(make, data, loss, epochs, batch_size, optimizer, compiled, own)
    picture = None if picture is None else Path(picture)
    if picture is not None:
        _draw(found, picture)
    work = [(rate, named[name], seed) for rate, name, seed in places]
    drawn = time.monotonic()
    done: dict[int, Trained] = {}
    with bar(len(found), progress, "run") as advance, closing(_runs(work, task, client)) as runs:
        for k, losses in runs:
            done[k] = Trained(*places[k], losses)
            found.runs = [done[k] for k in sorted(done)]
            advance(f"best {found.median(*found.best):.4g}")
            if picture is not None and (
                len(done) == len(found) or time.monotonic() - drawn > PICTURE_EVERY
            ):
                _draw(found, picture)
                drawn = time.monotonic()
    return found


def _runs(work: list[Any], task: _Task, client: Any) -> Generator[tuple[int, list[float]]]:
    """(place, losses) of each run, as they are done."""
    if client is None:
        for k, (rate, start, seed) in enumerate(work):
            yield k, _run(rate, start, seed, task)
        return
    from nn import distributed

    yield from distributed.completed(client, _run, list(zip(*work, strict=True)), task=task)


def _draw(found: Grid, path: Path) -> None:
    kind = path.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        raise ValueError(f"sweep: a picture ends with .{', .'.join(FORMATS)}, got {path.name!r}")
    data = io.BytesIO()
    found.figure().savefig(data, format=kind, dpi=150)
    files.write(path, data.getvalue())
