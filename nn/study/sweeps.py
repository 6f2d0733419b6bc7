"""`sweep`: learning rates x initializers x seeds, trained in this process or on a cluster."""

import copy
import io
import itertools
import math
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograd import files, quiet_gc
from autograd.operands import item
from autograd.options import whole
from nn import tables
from nn.arguments import Maker, loss_of, maker_of
from nn.data import samples
from nn.init import Initializer
from nn.module import Module, unscoped
from nn.study import plots
from nn.study.grid import Grid, Trained
from nn.training.fitting import fit
from nn.training.history import TrainingError, finished
from nn.training.progress import bar
from nn.training.recipe import Loss

PICTURE_EVERY = 1.0  # seconds; drawing takes about 0.2
FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class _Task:
    """The settings that all runs share."""

    make: Callable[[Any, int], Module]
    data: Any
    loss: Loss
    optimizer: Maker
    options: dict[str, Any]  # of `fit`
    fingerprint: dict[str, str]


def _run(rate: float, start: Initializer | None, seed: int, task: _Task) -> list[float]:
    """The losses of one run: before training, then of each epoch."""
    if task.fingerprint:
        from autograd.distributed.fingerprint import compare

        compare(task.fingerprint)
    model = task.make(start, seed)
    inputs, targets = samples(task.data)
    with unscoped(), quiet_gc():
        before = item(task.loss([model(x) for x in inputs], targets))
    try:
        optimizer = task.optimizer(model, rate)
        history = fit(
            model, task.data, loss=task.loss, optimizer=optimizer, seed=seed, **task.options
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
    """A Grid: copies of the model, trained with each rate from its current numbers.

    `Grid.outcomes` gives the result of each rate in words, see `Trained.outcome`.

    Args:
        optimizer: a function of (model, rate), a class such as `nn.optim.Adam`, or its name.
        compiled: as in `fit`.
    """
    return sweep(
        lambda initializer, seed: copy.deepcopy(model), data, loss=loss, rates=rates, seeds=[seed],
        epochs=epochs, batch_size=batch_size, optimizer=optimizer, compiled=compiled,
        progress=False,
    )  # fmt: skip


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
    """A Grid: one run for each learning rate, initializer and seed.

    Args:
        make: a function of (initializer, seed) that returns a new model; the seed also shuffles the
            batches.
        data, loss, epochs, batch_size, compiled: as for `nn.fit`.
        initializers: a list, or a dict with your own names; None is the model's own.
        optimizer: a function of (model, rate), a class such as `nn.optim.Adam`, or its name.
        client: from `nn.distributed.connect`; by default this process does the work, with the same
            bits.
        picture: a .png, .svg or .pdf file that is updated as runs are completed.
        progress: whether to show a bar; by default in a terminal, if tqdm is installed.

    Raises ValueError for an empty list, a duplicate in a list, or another format of picture.

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
        named = {"default" if start is None else str(start): start for start in initializers}
    for name, values in (("rates", rates), ("initializers", initializers), ("seeds", seeds)):
        if not len(values):
            raise ValueError(f"sweep: no {name}")
        if len(named if name == "initializers" else set(values)) != len(values):
            raise ValueError(f"sweep: {name} has duplicates: {list(values)}")
    grid = Grid(sorted(rates), list(named), list(seeds))
    combinations = list(itertools.product(grid.rates, grid.initializers, grid.seeds))
    own: dict[str, str] = {}
    if client is not None:
        from autograd.distributed.client import agree

        own = agree(client)
    options = {"epochs": epochs, "batch_size": batch_size, "compiled": compiled, "progress": False}
    task = _Task(make, data, loss, optimizer, options, own)
    picture = None if picture is None else Path(picture)
    if picture is not None:
        _draw(grid, picture)
    work = [(rate, named[name], seed) for rate, name, seed in combinations]
    last_drawn = time.monotonic()
    done: dict[int, Trained] = {}
    with bar(len(grid), progress, "run") as advance, closing(_runs(work, task, client)) as runs:
        for k, losses in runs:
            done[k] = Trained(*combinations[k], losses)
            grid.runs = [done[k] for k in sorted(done)]
            advance(f"best {grid.median(*grid.best):.4g}")
            due = len(done) == len(grid) or time.monotonic() - last_drawn > PICTURE_EVERY
            if picture is not None and due:
                _draw(grid, picture)
                last_drawn = time.monotonic()
    return grid


def _runs(work: list[Any], task: _Task, client: Any) -> Generator[tuple[int, list[float]]]:
    """(place, losses) of each run, when it is completed."""
    if client is None:
        for k, (rate, start, seed) in enumerate(work):
            yield k, _run(rate, start, seed, task)
        return
    from autograd.distributed.client import completed

    yield from completed(client, _run, list(zip(*work, strict=True)), task=task)


def _draw(grid: Grid, path: Path) -> None:
    kind = path.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        raise ValueError(f"sweep: a picture must end in .{', .'.join(FORMATS)}, got {path.name!r}")
    data = io.BytesIO()
    plots.grid(grid).savefig(data, format=kind, dpi=150)
    files.write(path, data.getvalue())
