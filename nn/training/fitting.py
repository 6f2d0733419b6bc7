"""`fit`: training on data in memory or in files."""

import os
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, Required, TypedDict

from autograd.elsewhere import advised
from autograd.operands import unboxed
from autograd.options import generator, whole
from nn.data import Samples, are_paths, samples
from nn.module import Module
from nn.optimizer import Optimizer
from nn.schedules import Schedule
from nn.training.history import History
from nn.training.in_memory import InMemory, chosen
from nn.training.loop import Loop
from nn.training.recipe import Files, Loss, Metric, Recipe, Settings, StrPath
from nn.training.replay import Replay


class Options(TypedDict, total=False):
    """The arguments that `fit` and `nn.distributed.fit` share."""

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


@advised
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
        data: a Dataset; (inputs, targets) as lists, arrays, DataFrames or Series; or the paths of
            two .npy files with them, which may be larger than memory (see `nn.distributed.fit` for
            the differences).
        loss: a function such as `nn.mse` that returns one Value from a batch's (outputs, targets);
            or its name, as in "mse".
        optimizer: of the model's parameters; or its name, as in "adam", with its defaults.
        epochs: the total number of passes over the data; a resumed run does the missing ones.
        batch_size: samples per step; by default all.
        schedule: the learning rate, as a function of the number of steps taken; by default the
            optimizer's own.
        validation: data like `data`, or a share of `data` to set apart, chosen by the seed.
        metrics: functions of (outputs, targets) like `nn.metrics.accuracy`, or their names.
        seed: for shuffling the batches.
        clip: the largest allowed norm of a step's gradients.
        patience: stop after this many epochs without a better loss, and restore the best
            parameters; the loss is that of the validation data, if there is any.
        checkpoint: a file for everything that a resumed run needs, replaced after each epoch.
        resume: continue from the checkpoint, with the same bits as a run that never stopped.
        callbacks: functions of the epoch (from 1) and the history; training stops if one returns
            True.
        watch: whether to store every parameter after each epoch in `history.weights`.
        progress: whether to show a bar; by default in a terminal, if tqdm is installed.
        compiled: record one sample's loss and replay it for batches at native speed (see
            `autograd.compile`).  The parameters' numbers are then in arrays; the Values get them
            after each epoch and when training ends for any reason.  It needs
            `pip install 'chainrule[fast]'` and a loss that is the mean of its samples' losses.
            Pass a `Replay` of this model and loss to reuse its recordings.  Training on files is
            always compiled.
        cluster: a dask Client, such as the one from `nn.distributed.connect`; its workers share the
            rows of the two files, and the result has the same bits as without it.

    Ctrl-C ends training between two steps.  The model and the history are then complete,
    `history.interrupted` is True, and `history.stopped` says when it happened.

    Raises TrainingError, with the first operation at fault, if a loss or gradient is inf or nan;
    ValueError for an optimizer of another model, and, with row and column, for data that is
    missing, nan or inf; TypeError for a cluster with data in memory.

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
    validation = unboxed(validation)
    share = float(validation) if isinstance(validation, Real) else None
    apart = None
    if share is None and validation is not None:
        apart = samples(validation, "validation")
    files = Files(data, cluster) if are_paths(data) else data
    if cluster is not None and files is data:
        raise TypeError(
            f"fit: a cluster reads files, but the data is {_kind(data)} in memory; numpy.save the "
            "inputs and the targets where all workers can read them, and pass the paths of the "
            "two .npy files"
        )
    if not isinstance(files, Files):
        data = samples(data)
        if share is not None:
            data, apart = _parts(data, share, seed)
        memory = InMemory(recipe, apart, data, size or len(data[0]), compiled)
        return Loop(memory, settings).run()
    if isinstance(compiled, Replay):
        raise TypeError(
            "fit: a Replay is for data in memory; leave out compiled for training on files"
        )
    if share is not None:
        raise ValueError(
            f"fit: validation={share:g} is a share of data in memory; for training on files pass "
            "validation data that is not in the files"
        )
    from nn.training.on_files import OnFiles  # needs NumPy

    return Loop(OnFiles(recipe, apart, files, size), settings).run()


def _kind(data: Any) -> str:
    """The type of data in memory, for a message."""
    if isinstance(data, list | tuple) and len(data) == 2:
        return f"({', '.join(type(part).__name__ for part in data)})"
    return type(data).__name__


def _parts(data: Samples, share: float, seed: Any) -> tuple[Samples, Samples]:
    """The samples for training, and the share for validation."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"fit: validation must be data or a share between 0 and 1, got {share!r}")
    order = list(range(len(data[0])))
    generator(seed).shuffle(order)
    count = round(share * len(order))
    if not 0 < count < len(order):
        raise ValueError(f"fit: {share:g} of {len(order)} samples leaves one side empty")
    apart, others = (
        (chosen(data[0], part), chosen(data[1], part))
        for part in (sorted(order[:count]), sorted(order[count:]))
    )
    return others, apart
