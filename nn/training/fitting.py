"""`fit`: the door to training; it chooses the source of batches by the data."""

import os
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, Required, TypedDict

from nn.data import Samples, samples
from nn.module import Module
from nn.optimizer import Optimizer
from nn.options import generator, whole
from nn.schedules import Schedule
from nn.training.history import History
from nn.training.in_memory import InMemory, chosen
from nn.training.loop import Loop
from nn.training.recipe import Files, Loss, Metric, Recipe, Settings, StrPath
from nn.training.replay import Replay


class Options(TypedDict, total=False):
    """The arguments of `fit` that training on files has, too."""

    loss: Required[Loss | str]
    optimizer: Required[Optimizer | str]
    epochs: Required[int]
    batch_size: int | None
    schedule: Schedule | Callable[[int], float] | None
    validation: Any
    metrics: Iterable[Metric | str]
    seed: int
    clip: float | None
    patience: int | None
    checkpoint: StrPath | None
    resume: bool
    callbacks: Iterable[Callable[[int, History], object]]
    watch: bool
    progress: bool | None


def fit(
    model: Module,
    data: Any,
    *,
    loss: Loss | str,
    optimizer: Optimizer | str,
    epochs: int,
    batch_size: int | None = None,
    schedule: Schedule | Callable[[int], float] | None = None,
    validation: Any = None,
    metrics: Iterable[Metric | str] = (),
    seed: int = 0,
    clip: float | None = None,
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Iterable[Callable[[int, History], object]] = (),
    watch: bool = False,
    progress: bool | None = None,
    compiled: bool | Replay = False,
    cluster: Any = None,
) -> History:
    """The History of training the model on the data.

    Args:
        model: called with one sample's inputs at a time.
        data: a Dataset, or (inputs, targets): lists, arrays, DataFrames or Series; or the paths of
            two .npy files of them, which may be larger than memory: `nn.distributed.fit` then does
            the work, and says what is different.
        loss: of a batch: `loss(outputs, targets)`, such as `nn.mse`, gives one Value; or its name,
            as in "mse".
        optimizer: of the model's parameters; or its name, as in "adam", with its defaults.
        epochs: passes over the data, in all; a resumed run takes those that are missing.
        batch_size: samples per step; all of them if left out.
        schedule: the learning rate of each step, from a function of the number of steps taken; the
            optimizer's own if left out.
        validation: data like `data`, or the share of `data` to set apart, chosen by the seed.
        metrics: functions like `nn.metrics.accuracy` of (outputs, targets), or their names.
        seed: shuffles the batches.
        clip: the largest norm that the gradients of a step may have.
        patience: stop after so many epochs without a better loss (the validation's, if there is
            one), and go back to the parameters of the best.
        checkpoint: a file that holds everything after each epoch, written whole or not at all.
        resume: go on from the checkpoint, to the bits of a run that never stopped.
        callbacks: called with the epoch (from 1) and the history; one that returns True stops.
        watch: keep every parameter after each epoch in `history.weights`.
        progress: a bar; if left out, where tqdm is installed and a terminal watches.
        compiled: record one sample's loss and replay it for batches at native speed (see
            `autograd.compile`); the parameters' numbers are in arrays then, and in the Values after
            each epoch and at the end, however it ends.  It needs `pip install 'chainrule[fast]'`
            and a loss that is the mean of its samples' losses.  A `Replay` of this model and loss
            is used again, with what it has recorded.  Training on files always records.
        cluster: a dask Client, such as `nn.distributed.connect` gives, whose workers share the rows
            of the two files; the bits are those of training on the files without it.

    Ctrl-C ends training between two steps: the model and the history are whole,
    `history.interrupted` is True, and `history.stopped` says where it was.

    Raises TrainingError, naming the first operation at fault, when a loss or gradient is inf or
    nan; ValueError, by row and column, for data that is missing, nan or inf, and for an optimizer
    of another model; TypeError for a cluster with data in memory.

    >>> from nn import MLP, mse, fit
    >>> from nn.optim import SGD
    >>> line = MLP([1, 1], None, seed=0)
    >>> def loss(outputs, targets):
    ...     return mse([y for y, in outputs], targets)
    >>> data = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> history = fit(line, data, loss=loss, optimizer=SGD(line, lr=0.2), epochs=200)
    >>> [round(p.data, 3) for p in line.parameters()]
    [2.0, 1.0]
    """
    recipe = Recipe(model, loss, optimizer, schedule, metrics, clip)
    settings = Settings(
        epochs, seed, patience, checkpoint, resume, callbacks, watch=watch, progress=progress
    )
    size = None if batch_size is None else whole(batch_size, "fit: batch_size")
    share = float(validation) if isinstance(validation, Real) else None
    apart = None
    if share is None and validation is not None:
        apart = samples(validation, "validation")
    files = Files(data, cluster) if _are_paths(data) else data
    if cluster is not None and files is data:
        raise TypeError(
            f"fit: a cluster reads files, but the data is {_kind(data)} in memory; numpy.save the "
            "inputs and the targets where all workers see them, and give the two .npy files' paths"
        )
    if not isinstance(files, Files):
        data = samples(data)
        if share is not None:
            data, apart = _parts(data, share, seed)
        memory = InMemory(recipe, apart, data, size or len(data[0]), compiled)
        return Loop(memory, settings).run()
    if isinstance(compiled, Replay):
        raise TypeError(
            "fit: a Replay is for data in memory; training on files records for itself, leave "
            "compiled out"
        )
    if share is not None:
        raise ValueError(
            f"fit: validation={share:g} would be a share of data in memory; with files give the "
            "data itself, such as rows that were kept out of the files"
        )
    from nn.training.on_files import OnFiles  # needs NumPy

    return Loop(OnFiles(recipe, apart, files, size), settings).run()


def _are_paths(data: Any) -> bool:
    return (
        isinstance(data, list | tuple)
        and len(data) == 2
        and all(isinstance(one, str | os.PathLike) for one in data)
    )


def _kind(data: Any) -> str:
    """What was given instead of two paths, in words."""
    if isinstance(data, list | tuple) and len(data) == 2:
        return f"({', '.join(type(one).__name__ for one in data)})"
    return type(data).__name__


def _parts(data: Samples, share: float, seed: Any) -> tuple[Samples, Samples]:
    """The samples to train on, and the share of them that is set apart."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"fit: validation must be data or a share between 0 and 1, got {share!r}")
    order = list(range(len(data[0])))
    generator(seed).shuffle(order)
    count = round(share * len(order))
    if not 0 < count < len(order):
        raise ValueError(f"fit: {share:g} of {len(order)} samples leaves one side empty")
    apart, rest = (
        (chosen(data[0], part), chosen(data[1], part))
        for part in (sorted(order[:count]), sorted(order[count:]))
    )
    return rest, apart
