"""`fit`: epochs, batches, validation, early stopping and checkpoints around an optimizer."""

import contextlib
import math
import os
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from numbers import Real
from pathlib import Path
from typing import Any

from autograd import NonFiniteError, Value, files, no_grad, quiet_gc, topological
from autograd.atomic import at_once, context, together, undo_of
from autograd.ops import item
from autograd.value import (
    accumulate,
    first_nonfinite,
    number_writer,
    numbers,
    present_mode,
    set_mode,
)
from nn import storage, tables
from nn.arguments import list_of, loss_of, measured, metrics_of, model_of, optimizer_of
from nn.data import Dataset
from nn.module import Module, present_scoping, set_scoping, unscoped
from nn.optim import clip_norm
from nn.optimizer import Optimizer
from nn.options import POSITIVE, generator, real, whole
from nn.replay import Replay, rows
from nn.schedules import ReduceOnPlateau, Schedule
from nn.schedules import schedule as as_schedule

Loss = Callable[[list[Any], list[Any]], Value]
Metric = Callable[[list[Any], list[Any]], float]
Samples = tuple[list[Any], list[Any]]


@dataclass
class History:
    """What happened in each epoch; prints as a table.

    Attributes:
        loss: mean of the batches' losses, while the model was changing.
        validation_loss: of the model at the end of the epoch; empty without validation data.
        metrics: a list by name; of the validation data where there are any.
        rate: the learning rate of the epoch's last step.
        weights: every parameter after each epoch, if `fit` was told to watch.
        stopped: why it ended before the last epoch; '' if it did not.
        interrupted: whether Ctrl-C ended it, which `stopped` says in words.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    rate: list[float] = field(default_factory=list)
    weights: list[list[float]] = field(default_factory=list)
    stopped: str = ""
    interrupted: bool = False

    def __len__(self) -> int:
        return len(self.loss)

    def __str__(self) -> str:
        columns = {"loss": self.loss, "validation": self.validation_loss}
        columns = {
            name: c for name, c in (columns | self.metrics | {"rate": self.rate}).items() if c
        }
        lines = ["  ".join(["epoch", *(f"{name:>10}" for name in columns)])]
        count = len(self)
        step = max(1, count // 10)
        for i in sorted({*range(0, count, step), count - 1} - {-1}):
            cells = [f"{column[i]:>10.4g}" for column in columns.values()]
            lines.append("  ".join([f"{i + 1:>5}", *cells]))
        return "\n".join(lines + [self.stopped] * bool(self.stopped))

    def figure(self) -> Any:
        """A matplotlib Figure of the loss curves and the metrics."""
        from nn import plots

        return plots.history(self)


def finished(history: History) -> History:
    """The history, of a run that nobody interrupted; KeyboardInterrupt for any other.

    Whatever is computed from whole runs asks here: a run that Ctrl-C cut short is no result.

    >>> finished(History(loss=[1.0])).loss
    [1.0]
    """
    if history.interrupted:
        raise KeyboardInterrupt
    return history


class TrainingError(NonFiniteError):
    """The loss or a gradient became inf or nan; the model is as it was before that step.

    Attributes:
        history: of the epochs before.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def samples(data: Any, what: str = "data") -> Samples:
    """Inputs and targets of a Dataset or a pair, as two lists of one length.

    Inputs and targets may be lists, arrays, DataFrames or Series; ValueError, with row and column,
    for a number that is missing, nan or inf.
    """
    if isinstance(data, Dataset):
        return list(data.features), list(data.targets)
    if not isinstance(data, list | tuple) or len(data) != 2:
        kind, hint = type(data).__name__, ""
        if hasattr(data, "columns"):
            hint = "; Dataset.from_table(table, target=...) makes one"
        elif isinstance(data, list | tuple):
            hint = f" of {len(data)}; of pairs, list(zip(*pairs)) makes one"
        raise TypeError(f"{what}: expected a Dataset or (inputs, targets), got {kind}{hint}")
    if _are_paths(data):
        raise TypeError(
            f"{what}: expected numbers in memory, got the paths {data[0]} and {data[1]}; "
            "numpy.load them"
        )
    inputs = tables.complete(data[0], f"{what}: inputs")
    targets = tables.complete(data[1], f"{what}: targets")
    if len(inputs) != len(targets):
        raise ValueError(f"{what}: {len(inputs)} inputs, but {len(targets)} targets")
    if not inputs:
        raise ValueError(f"{what}: no samples")
    return inputs, targets


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
    if _are_paths(data):
        if isinstance(compiled, Replay):
            raise TypeError(
                "fit: a Replay is for data in memory; training on files records for itself, leave "
                "compiled out"
            )
        from nn import distributed  # needs NumPy

        return distributed.fit(
            model,
            data,
            loss=loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            validation=validation,
            metrics=metrics,
            seed=seed,
            clip=clip,
            patience=patience,
            checkpoint=checkpoint,
            resume=resume,
            callbacks=callbacks,
            watch=watch,
            progress=progress,
            client=cluster,
        )
    if cluster is not None:
        raise TypeError(
            f"fit: a cluster reads files, but the data is {_kind(data)} in memory; numpy.save the "
            "inputs and the targets where all workers see them, and give the two .npy files' paths"
        )
    run = _Run(model, loss, optimizer, schedule, metrics, clip)
    inputs, targets = samples(data)
    held: Samples | None = None
    if isinstance(validation, Real):
        (inputs, targets), held = _apart(inputs, targets, float(validation), seed)
    elif validation is not None:
        held = samples(validation, "validation")
    size = len(inputs) if batch_size is None else whole(batch_size, "fit: batch_size")
    epochs = whole(epochs, "fit: epochs")
    patience = None if patience is None else whole(patience, "fit: patience")

    def ready() -> Callable[[], None]:
        run.start(seed, checkpoint, resume)
        data, kept = (inputs, targets), held
        if compiled:
            run.compile(compiled, inputs, targets)
            data = rows(inputs), rows(targets)
            kept = held and (rows(held[0]), rows(held[1]))
        return lambda: run.epoch(*data, size, kept, watch)

    return run.train(ready, epochs, patience, checkpoint, callbacks, progress)


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


class _Run:
    """A training run and everything that a checkpoint must hold of it."""

    rng: random.Random

    def __init__(
        self,
        model: Module,
        loss: Loss | str,
        optimizer: Optimizer | str,
        schedule: Schedule | Callable[[int], float] | None,
        metrics: Iterable[Metric | str],
        clip: float | None,
    ) -> None:
        self.model, self.loss = model_of(model), loss_of(loss)
        self.optimizer = optimizer_of(optimizer, model)
        self.schedule = None if schedule is None else as_schedule(schedule, "schedule")
        self.metrics = metrics_of(metrics)
        self.clip = None if clip is None else real(clip, "fit: clip", POSITIVE)
        self.history = History()
        self.best, self.waited = math.inf, 0
        self.best_state: dict[str, Any] | None = None
        self.replay: Replay | None = None
        self.flat: Any = None  # the replay's, once it holds the truth

    def start(self, seed: int, checkpoint: str | os.PathLike[str] | None, resume: bool) -> None:
        """From the beginning, or from the checkpoint if that is wanted and it is there."""
        self.rng = generator(seed)
        if checkpoint is not None:
            files.remove_leftovers(checkpoint)
        if resume:
            if checkpoint is None:
                raise ValueError("fit: resume=True needs the checkpoint to resume from")
            if Path(checkpoint).exists():
                self.load(checkpoint)

    def compile(self, given: bool | Replay, inputs: Any, targets: Any) -> None:
        """Compile model and loss; from here on arrays hold the truth."""
        if isinstance(given, Replay):
            self.replay = given
            given.look()
        else:
            self.recorded().agrees(inputs, targets)
        self.hold()

    def recorded(self) -> Replay:
        """A Replay of model and loss."""
        parameters = [p for group in self.optimizer.groups for p in group.parameters]
        everything = dict.fromkeys([*parameters, *self.model.parameters()])
        self.replay = Replay(self.model, self.loss, list(everything))
        return self.replay

    def hold(self) -> None:
        """Let the replay's arrays hold the truth until `train` ends."""
        assert self.replay is not None
        self.replay.flat.read()
        self.flat = self.replay.flat

    def call(self, callbacks: Iterable[Callable[[int, History], object]]) -> None:
        """Call them, and go on from what they have made of the model."""
        try:
            answers = [callback(len(self.history), self.history) for callback in callbacks]
        finally:
            if self.flat is not None:
                self.flat.read()
        if self.replay is not None:
            self.replay.look()
        if True in answers:
            self.history.stopped = "a callback asked to stop"

    def train(
        self,
        ready: Callable[[], Callable[[], None]],
        epochs: int,
        patience: int | None,
        checkpoint: str | os.PathLike[str] | None,
        callbacks: Iterable[Callable[[int, History], object]],
        progress: bool | None,
    ) -> History:
        """The History after so many epochs, or fewer if something ends training.

        `ready` does what must be done before, and gives the function that does an epoch.
        """
        callbacks = list_of(callbacks, "callbacks", "[function]")
        # Whoever wrote the loss may leave a mode behind: not every context is safe from Ctrl-C.
        last: list[Callable[[], object]]
        last = [partial(set_mode, present_mode()), partial(set_scoping, present_scoping())]
        leave = together(last)
        try:
            try:
                epoch = ready()
                history = self.history
                if self.flat is not None:
                    last.append(self.flat.writer())
                with quiet_gc(), unscoped(), _bar(epochs - len(history), progress) as advance:
                    while len(history) < epochs and not history.stopped:
                        epoch()
                        if patience is not None and self.waited >= patience:
                            history.stopped = f"no better loss for {patience} epochs"
                        self.call(callbacks)
                        if checkpoint is not None:
                            self.save(checkpoint)
                        advance(f"loss {history.loss[-1]:.4g}")
            finally:
                leave()
            self._settle(patience)
        except KeyboardInterrupt:
            self._interrupted(epochs)
            self._settle(patience)
        return self.history

    def _interrupted(self, epochs: int) -> None:
        """Have the history say that Ctrl-C came, and when."""
        history = self.history
        done = len(history)
        over = done >= epochs or history.stopped
        text = f"interrupted {f'after epoch {done}' if over else f'in epoch {done + 1}'}"
        if history.stopped:
            text = f"{history.stopped}; {text}"
        vars(history).update(stopped=text, interrupted=True)

    def _settle(self, patience: int | None) -> None:
        """Go back to the parameters of the best epoch, if `fit` was asked to be patient."""
        if patience is not None and self.best_state is not None:
            self.model.load_state_dict(self.best_state)

    def epoch(
        self,
        inputs: list[Any],
        targets: list[Any],
        size: int,
        held: Samples | None,
        watch: bool = False,
    ) -> None:
        """One pass over the data, and a line of history at its end, and only then."""
        order = list(range(len(inputs)))
        if size < len(order):
            self.rng.shuffle(order)
        total = 0.0
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            loss = self.step(_taken(inputs, batch), _taken(targets, batch))
            total += loss * len(batch)
        if self.replay is not None:
            self.replay.flat.write()
        self.close(total / len(order), held or (inputs, targets), held is not None, watch)

    def close(
        self, mean: float, data: Samples | None, validated: bool, watch: bool = False
    ) -> None:
        """The epoch's line of history, with the mean of its losses; `data` are examined."""
        seen = math.nan
        found: dict[str, float] = {}
        if data is not None and (validated or self.metrics):
            seen, found = self.examine(data, validated)
        history = self.history
        line: dict[str, Any] = {
            "loss": [*history.loss, mean],
            "rate": [*history.rate, self.optimizer.lr],
            "metrics": history.metrics
            | {name: [*history.metrics.get(name, []), x] for name, x in found.items()},
        }
        if validated:
            line["validation_loss"] = [*history.validation_loss, seen]
        if watch:
            weights = [p.data for p in self.model.parameters()]
            line["weights"] = [*history.weights, weights]
        watched = seen if validated else mean
        best: dict[str, Any] = {"waited": self.waited + 1}
        if watched < self.best:
            best = {"best": watched, "waited": 0, "best_state": self.model.state_dict()}
        changes = [(vars(self), best), (vars(history), line)]
        if isinstance(self.schedule, ReduceOnPlateau):
            observed = copy(self.schedule)
            observed.observe(watched)
            changes.append((vars(self.schedule), vars(observed)))
        # One step, which Ctrl-C cannot split: nothing gets ahead of anything else.
        at_once(map(dict.update, *zip(*changes, strict=True)))

    def step(self, inputs: list[Any], targets: list[Any]) -> float:
        """The loss of a batch, and a step of the optimizer."""
        if self.schedule is not None:
            self.optimizer.lr = self.schedule(self.optimizer.taken)
        if self.replay is not None:
            try:
                return self._replayed(self.replay, inputs, targets)
            except ArithmeticError:
                self.replay.flat.write()  # what went wrong is looked for in Values
        loss = self.loss([self.model(x) for x in inputs], targets)
        if not isinstance(loss, Value):
            raise TypeError(f"fit: the loss must be one Value, got {type(loss).__name__}")
        self.optimizer.zero_grad()
        accumulate(loss)  # whose errors say what a warning would
        try:
            if not math.isfinite(loss.data):
                raise ArithmeticError(f"the loss is {loss.data!r}")
            if self.clip is not None:
                clip_norm((p for g in self.optimizer.groups for p in g.parameters), self.clip)
            self.optimizer.step()
        except ArithmeticError as error:
            cause = first_nonfinite(topological(loss))
            where = f"epoch {len(self.history) + 1}, step {self.optimizer.taken + 1}"
            because = f": {cause}" if cause else ""
            rate = f"; the learning rate was {self.optimizer.lr:g}, try a lower one"
            advice = rate if self.optimizer.taken else ""  # no step, so nothing that it has done
            raise TrainingError(f"{where}: {error}{because}{advice}", self.history) from None
        if self.replay is not None:
            self.replay.flat.read()
        return loss.data

    def _replayed(self, replay: Replay, inputs: list[Any], targets: list[Any]) -> float:
        """The step at native speed; ArithmeticError, and nothing changed, for inf and nan."""
        loss = replay.backward(inputs, targets)
        if not math.isfinite(loss):
            raise ArithmeticError(f"the loss is {loss!r}")
        if self.clip is not None:
            norm = math.hypot(*replay.flat.gradients.tolist())
            if norm > self.clip:
                replay.flat.gradients *= self.clip / norm
        self.optimizer.step_flat(replay.flat)
        return loss

    def examine(self, data: Samples, with_loss: bool) -> tuple[float, dict[str, float]]:
        """Loss, if it is wanted, and metrics of the model as it is."""
        inputs, targets = data
        modules = [module for _, module in self.model.named_modules()]
        undo = undo_of(modules, repeat("training"))
        try:
            self.model.eval()
            if self.replay is not None:
                self.replay.look()
                outputs = self.replay.outputs(inputs)
                loss = self.replay.loss(inputs, targets) if with_loss else math.nan
                targets = list(targets)
            else:
                with no_grad():
                    outputs = [self.model(x) for x in inputs]
                    loss = item(self.loss(outputs, targets)) if with_loss else math.nan
        finally:
            undo()
            if self.replay is not None:
                self.replay.look()
        return loss, measured(self.metrics, outputs, targets)

    def save(self, path: str | os.PathLike[str]) -> None:
        """The checkpoint."""
        version, words, gauss = self.rng.getstate()
        plateau = isinstance(self.schedule, ReduceOnPlateau)
        storage.write(
            path,
            "checkpoint",
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "random": [version, list(words), gauss],
                "history": vars(self.history),
                "best": [self.best, self.waited, self.best_state],
                "plateau": self.schedule.state_dict() if plateau else None,  # type: ignore[union-attr]
            },
        )

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint; ValueError for one of another model or optimizer."""
        name = Path(path).name
        stored = storage.read(path, "checkpoint", allow_nonfinite=True)
        if not isinstance(stored, dict) or set(stored) != _PARTS:
            raise ValueError(f"fit: {name} is not a checkpoint")
        plateau = self.schedule if isinstance(self.schedule, ReduceOnPlateau) else None
        undo = self._undo_of_load(plateau)
        try:
            history = _history(stored["history"])
            best, waited, best_state = stored["best"]
            if best_state is not None:
                self.model.load_state_dict(best_state)  # that it is one
            self.model.load_state_dict(stored["model"])
            self.optimizer.load_state_dict(stored["optimizer"])
            if plateau and stored["plateau"]:
                plateau.load_state_dict(stored["plateau"])
            version, words, gauss = stored["random"]
            rng = random.Random()  # noqa: S311 - no secret
            rng.setstate((version, tuple(words), gauss))
            found = {"best": float(best), "waited": int(waited), "best_state": best_state}
            found |= {"rng": rng}
            vars(self).update(found, history=history)
        except BaseException as error:
            undo()
            if isinstance(error, TypeError | ValueError | KeyError | OverflowError):
                raise ValueError(f"fit: {name} is not a checkpoint of this run: {error}") from None
            raise

    def _undo_of_load(self, plateau: ReduceOnPlateau | None) -> Callable[[], object]:
        """A function, for one call, that takes back, in one step, whatever `load` changes."""
        groups = self.optimizer.groups
        parameters = list(self.model.parameters())
        changed: list[tuple[Any, str]] = [
            (group, name) for group in groups for name in ("options", "state")
        ]
        changed += [(self.optimizer, "taken")]
        changed += [(self, name) for name in ("best", "waited", "best_state", "history", "rng")]
        if plateau is not None:
            changed += [(plateau, name) for name in vars(plateau)]
        weights = number_writer(parameters, numbers(parameters))
        return together([weights, undo_of(*zip(*changed, strict=True))])


def _history(stored: Any) -> History:
    """The History that a checkpoint holds; TypeError or ValueError for anything else."""
    history = History(**stored)
    lists = [history.loss, history.validation_loss, history.rate]
    lists += [*history.metrics.values(), *history.weights]
    if not all(isinstance(x, float) for numbers in lists for x in numbers):
        raise TypeError("its history is not made of numbers")
    columns: list[list[Any]] = [*lists[1:3], *history.metrics.values(), history.weights]
    if type(history.interrupted) is not bool:
        raise TypeError("its history does not say whether it was interrupted")
    if not isinstance(history.stopped, str) or any(len(c) > len(history.loss) for c in columns):
        raise ValueError("its history has more lines than epochs")
    return history


_PARTS = {"model", "optimizer", "random", "history", "best", "plateau"}


def _taken(samples: Any, batch: list[int]) -> Any:
    """Some of the samples: of an array an array, of a list a list."""
    return [samples[i] for i in batch] if isinstance(samples, list) else samples[batch]


def _apart(
    inputs: Sequence[Any], targets: Sequence[Any], share: float, seed: int
) -> tuple[Samples, Samples]:
    if not 0.0 < share < 1.0:
        raise ValueError(f"fit: validation must be data or a share between 0 and 1, got {share!r}")
    order = list(range(len(inputs)))
    generator(seed).shuffle(order)
    count = round(share * len(order))
    if not 0 < count < len(order):
        raise ValueError(f"fit: {share:g} of {len(order)} samples leaves one side empty")
    held, rest = sorted(order[:count]), sorted(order[count:])
    return (
        ([inputs[i] for i in rest], [targets[i] for i in rest]),
        ([inputs[i] for i in held], [targets[i] for i in held]),
    )


@context
def _bar(count: int, wanted: bool | None, unit: str = "epoch") -> Any:
    """A function that advances a progress bar by one, or does nothing."""
    bar: Any = None

    def advance(note: str) -> None:
        if bar is not None:
            bar.set_postfix_str(note)
            bar.update()

    try:
        if sys.stderr.isatty() if wanted is None else wanted:
            with contextlib.suppress(ImportError):
                from tqdm import tqdm

                bar = tqdm(total=count, desc="training", unit=unit)
        yield advance
    finally:
        if bar is not None:
            bar.close()
