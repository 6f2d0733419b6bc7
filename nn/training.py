"""`fit`: epochs, batches, validation, early stopping and checkpoints around an optimizer.

There is one loop.  It asks a `Source` for batches and steps: `InMemory`, or `distributed.OnFiles`.
"""

import contextlib
import math
import os
import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from numbers import Real
from pathlib import Path
from typing import Any, Required, TypedDict

from autograd import NonFiniteError, Value, files, no_grad, quiet_gc, topological
from autograd.atomic import at_once, context, together, undo_of
from autograd.blame import first_nonfinite
from autograd.modes import present_mode, set_mode
from autograd.ops import item
from autograd.value import accumulate, number_writer, numbers
from nn import storage
from nn.arguments import list_of, loss_of, measured, metrics_of, model_of, optimizer_of
from nn.data import Samples, samples
from nn.module import Module, present_scoping, set_scoping, unscoped
from nn.optim import clip_norm, clipped
from nn.optimizer import Optimizer
from nn.options import POSITIVE, generator, real, whole
from nn.replay import Replay, rows
from nn.schedules import ReduceOnPlateau, Schedule
from nn.schedules import schedule as as_schedule

Loss = Callable[[list[Any], list[Any]], Value]
Metric = Callable[[list[Any], list[Any]], float]
StrPath = str | os.PathLike[str]


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


@dataclass
class Recipe:
    """What is trained, and how a step is taken; the arguments of `fit` with these names."""

    model: Module
    loss: Any
    optimizer: Any
    schedule: Any = None
    metrics: Any = ()
    clip: float | None = None

    def __post_init__(self) -> None:
        self.model, self.loss = model_of(self.model), loss_of(self.loss)
        self.optimizer: Optimizer = optimizer_of(self.optimizer, self.model)
        if self.schedule is not None:
            self.schedule = as_schedule(self.schedule, "schedule")
        self.metrics = metrics_of(self.metrics)
        if self.clip is not None:
            self.clip = real(self.clip, "fit: clip", POSITIVE)
        self.parameters = [p for group in self.optimizer.groups for p in group.parameters]

    @property
    def plateau(self) -> ReduceOnPlateau | None:
        """The schedule, if it looks at the loss."""
        return self.schedule if isinstance(self.schedule, ReduceOnPlateau) else None

    def replay(self) -> Replay:
        """A Replay of model and loss."""
        everything = dict.fromkeys([*self.parameters, *self.model.parameters()])
        return Replay(self.model, self.loss, list(everything))

    def step(self, flat: Any = None) -> None:
        """Clip the gradients and take the optimizer's step, in Values or in the arrays of a Flat.

        Raises ArithmeticError, and changes no number, for what is inf or nan.
        """
        if flat is None:
            if self.clip is not None:
                clip_norm(self.parameters, self.clip)
            self.optimizer.step()
            return
        if self.clip is not None:
            where = flat.places(self.parameters)
            flat.gradients[where] = clipped(flat.gradients[where].tolist(), self.clip)[1]
        self.optimizer.step_flat(flat)


@dataclass
class Settings:
    """How long to train, and what to do after each epoch; the arguments of `fit`."""

    epochs: int
    seed: Any = 0
    patience: int | None = None
    checkpoint: StrPath | None = None
    resume: bool = False
    callbacks: Any = ()
    watch: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        self.epochs = whole(self.epochs, "fit: epochs")
        if self.patience is not None:
            self.patience = whole(self.patience, "fit: patience")
        self.callbacks = list_of(self.callbacks, "callbacks", "[function]")
        if self.resume and self.checkpoint is None:
            raise ValueError("fit: resume=True needs the checkpoint to resume from")


# ---------------------------------------------------------------------- sources of batches


class StepError(ArithmeticError):
    """A loss, a gradient or a new number is inf or nan; nothing was changed."""


@dataclass
class Source(ABC):
    """Where batches come from, and how a step is taken on one.

    Attributes:
        recipe: what is trained.
        held: the validation data; None if there are none.
        replay: runs in place of model and loss; its arrays hold the parameters' numbers from
            `enter` until training ends.  None if the Values hold them.
    """

    recipe: Recipe
    held: Samples | None
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
        return self.held

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
        if data is None or not (self.held or recipe.metrics):
            return math.nan, {}
        modules = [module for _, module in recipe.model.named_modules()]
        undo = undo_of(modules, repeat("training"))
        try:
            recipe.model.eval()
            outputs, loss = self.outputs(*data, with_loss=self.held is not None)
        finally:
            undo()
            if self.replay is not None:
                self.replay.look()
        return loss, measured(recipe.metrics, outputs, list(data[1]))


@dataclass
class InMemory(Source):
    """Batches of samples in lists or arrays; steps in Values, or replayed at native speed."""

    data: Samples
    size: int
    compiled: bool | Replay = False

    def enter(self) -> None:
        """Compile model and loss, if that is wanted."""
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
        self.held = self.held and (rows(self.held[0]), rows(self.held[1]))

    def batches(self, rng: random.Random) -> Iterator[tuple[list[int], int]]:
        """The indices of each batch's samples."""
        order = list(range(len(self.data[0])))
        if self.size < len(order):
            rng.shuffle(order)
        for start in range(0, len(order), self.size):
            batch = order[start : start + self.size]
            yield batch, len(batch)

    def step(self, batch: list[int]) -> float:
        """Replayed if it is compiled; what goes wrong then is looked for in Values."""
        inputs, targets = (_chosen(samples, batch) for samples in self.data)
        if self.replay is None:
            return self._in_values(inputs, targets)
        flat = self.replay.flat
        try:
            loss = _finite(self.replay.backward(inputs, targets))
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
        recipe.optimizer.zero_grad()
        accumulate(loss)  # whose errors say what a warning would
        try:
            _finite(loss.data)
            recipe.step()
        except ArithmeticError as error:
            cause = first_nonfinite(topological(loss))
            raise StepError(f"{error}{f': {cause}' if cause else ''}") from None
        return loss.data

    def examined(self) -> Samples | None:
        """The validation data, or else the data that is trained on."""
        return self.held or self.data


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise ArithmeticError(f"the loss is {loss!r}")
    return loss


def _chosen(samples: Any, batch: list[int]) -> Any:
    """Some of the samples: of an array an array, of a list a list."""
    return [samples[i] for i in batch] if isinstance(samples, list) else samples[batch]


@dataclass(frozen=True)
class Files:
    """Two .npy files, of inputs and of targets, as data for `fit`.

    Attributes:
        paths: of the two.
        client: of a dask cluster; this process does the same work if left out.
        chunk: rows in a chunk, see `nn.distributed.Rows`.
    """

    paths: Sequence[StrPath]
    client: Any = None
    chunk: int | None = None


# ---------------------------------------------------------------------- the loop


@dataclass
class State:
    """How far a run has come: what a checkpoint holds beside the model and the optimizer."""

    rng: random.Random
    history: History = field(default_factory=History)
    best: float = math.inf
    waited: int = 0
    best_state: dict[str, Any] | None = None


class Loop:
    """The one training loop: epochs over a source's batches, and what happens between them."""

    def __init__(self, source: Source, settings: Settings) -> None:
        self.source, self.settings, self.recipe = source, settings, source.recipe
        self.state = State(generator(settings.seed))

    def run(self) -> History:
        """The History after so many epochs, or fewer if something ends training."""
        # Whoever wrote the loss may leave a mode behind: not every context is safe from Ctrl-C.
        last: list[Callable[[], object]]
        last = [partial(set_mode, present_mode()), partial(set_scoping, present_scoping())]
        leave = together(last)
        try:
            try:
                self._start()
                if self.source.flat is not None:
                    last.append(self.source.flat.writer())
                missing = self.settings.epochs - len(self.state.history)
                with quiet_gc(), unscoped(), bar(missing, self.settings.progress) as advance:
                    while not self._is_over():
                        self._epoch()
                        self._after_epoch()
                        advance(f"loss {self.state.history.loss[-1]:.4g}")
            finally:
                leave()
            self._settle()
        except KeyboardInterrupt:
            self._interrupted()
            self._settle()
        return self.state.history

    def _start(self) -> None:
        """From the beginning, or from the checkpoint if that is wanted and it is there."""
        path = self.settings.checkpoint
        if path is not None:
            files.remove_leftovers(path)
            if self.settings.resume and Path(path).exists():
                load(path, self.recipe, self.state)
        self.source.enter()

    def _is_over(self) -> bool:
        history = self.state.history
        return len(history) >= self.settings.epochs or bool(history.stopped)

    def _epoch(self) -> None:
        """One pass over the data, and a line of history at its end, and only then."""
        recipe, total, seen = self.recipe, 0.0, 0
        optimizer: Optimizer = recipe.optimizer
        for batch, size in self.source.batches(self.state.rng):
            if recipe.schedule is not None:
                optimizer.lr = recipe.schedule(optimizer.taken)
            try:
                loss = self.source.step(batch)
            except StepError as error:
                where = f"epoch {len(self.state.history) + 1}, step {optimizer.taken + 1}"
                rate = f"; the learning rate was {optimizer.lr:g}, try a lower one"
                advice = rate if optimizer.taken else ""  # no step, so nothing that it has done
                raise TrainingError(f"{where}: {error}{advice}", self.state.history) from None
            total += loss * size
            seen += size
        if self.source.flat is not None:
            self.source.flat.write()
        self._close(total / seen)

    def _close(self, mean: float) -> None:
        """The epoch's line of history, with the mean of its losses."""
        validated = self.source.held is not None
        seen, found = self.source.examine()
        state, history, plateau = self.state, self.state.history, self.recipe.plateau
        line: dict[str, Any] = {
            "loss": [*history.loss, mean],
            "rate": [*history.rate, self.recipe.optimizer.lr],
            "metrics": history.metrics
            | {name: [*history.metrics.get(name, []), x] for name, x in found.items()},
        }
        if validated:
            line["validation_loss"] = [*history.validation_loss, seen]
        if self.settings.watch:
            weights = [p.data for p in self.recipe.model.parameters()]
            line["weights"] = [*history.weights, weights]
        watched = seen if validated else mean
        best: dict[str, Any] = {"waited": state.waited + 1}
        if watched < state.best:
            best = {"best": watched, "waited": 0, "best_state": self.recipe.model.state_dict()}
        changes = [(vars(state), best), (vars(history), line)]
        if plateau is not None:
            observed = copy(plateau)
            observed.observe(watched)
            changes.append((vars(plateau), vars(observed)))
        # One step, which Ctrl-C cannot split: nothing gets ahead of anything else.
        at_once(map(dict.update, *zip(*changes, strict=True)))

    def _after_epoch(self) -> None:
        """Stop if it is time to, call the callbacks, and write the checkpoint."""
        settings, state = self.settings, self.state
        if settings.patience is not None and state.waited >= settings.patience:
            state.history.stopped = f"no better loss for {settings.patience} epochs"
        self._call()
        if settings.checkpoint is not None:
            save(settings.checkpoint, self.recipe, state)

    def _call(self) -> None:
        """Call the callbacks, and go on from what they have made of the model."""
        history, replay = self.state.history, self.source.replay
        try:
            answers = [callback(len(history), history) for callback in self.settings.callbacks]
        finally:
            if replay is not None:
                replay.flat.read()
        if replay is not None:
            replay.look()
        if True in answers:
            history.stopped = "a callback asked to stop"

    def _interrupted(self) -> None:
        """Have the history say that Ctrl-C came, and when."""
        history = self.state.history
        done = len(history)
        text = f"interrupted {f'after epoch {done}' if self._is_over() else f'in epoch {done + 1}'}"
        if history.stopped:
            text = f"{history.stopped}; {text}"
        vars(history).update(stopped=text, interrupted=True)

    def _settle(self) -> None:
        """Go back to the parameters of the best epoch, if `fit` was asked to be patient."""
        if self.settings.patience is not None and self.state.best_state is not None:
            self.recipe.model.load_state_dict(self.state.best_state)


# ---------------------------------------------------------------------- checkpoints

_PARTS = {"model", "optimizer", "random", "history", "best", "plateau"}


def save(path: StrPath, recipe: Recipe, state: State) -> None:
    """Write a checkpoint, whole or not at all."""
    version, words, gauss = state.rng.getstate()
    content = {
        "model": recipe.model.state_dict(),
        "optimizer": recipe.optimizer.state_dict(),
        "random": [version, list(words), gauss],
        "history": vars(state.history),
        "best": [state.best, state.waited, state.best_state],
        "plateau": None if recipe.plateau is None else recipe.plateau.state_dict(),
    }
    storage.write(path, "checkpoint", content)


def load(path: StrPath, recipe: Recipe, state: State) -> None:
    """Go on from a checkpoint; ValueError for one of another model or optimizer."""
    name = Path(path).name
    stored = storage.read(path, "checkpoint", allow_nonfinite=True)
    if not isinstance(stored, dict) or set(stored) != _PARTS:
        raise ValueError(f"fit: {name} is not a checkpoint")
    undo = _undo_of_load(recipe, state)
    try:
        history = _history(stored["history"])
        best, waited, best_state = stored["best"]
        if best_state is not None:
            recipe.model.load_state_dict(best_state)  # that it is one
        recipe.model.load_state_dict(stored["model"])
        recipe.optimizer.load_state_dict(stored["optimizer"])
        if recipe.plateau and stored["plateau"]:
            recipe.plateau.load_state_dict(stored["plateau"])
        version, words, gauss = stored["random"]
        rng = random.Random()  # noqa: S311 - no secret
        rng.setstate((version, tuple(words), gauss))
        vars(state).update(vars(State(rng, history, float(best), int(waited), best_state)))
    except BaseException as error:
        undo()
        if isinstance(error, TypeError | ValueError | KeyError | OverflowError):
            raise ValueError(f"fit: {name} is not a checkpoint of this run: {error}") from None
        raise


def _undo_of_load(recipe: Recipe, state: State) -> Callable[[], object]:
    """A function, for one call, that takes back, in one step, whatever `load` changes."""
    changed: list[tuple[Any, str]] = [
        (group, name) for group in recipe.optimizer.groups for name in ("options", "state")
    ]
    changed += [(recipe.optimizer, "taken")]
    changed += [(owner, name) for owner in (state, recipe.plateau) if owner for name in vars(owner)]
    parameters = recipe.model.parameters()
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
    held = None
    if share is None and validation is not None:
        held = samples(validation, "validation")
    files = Files(data, cluster) if _are_paths(data) else data
    if cluster is not None and files is data:
        raise TypeError(
            f"fit: a cluster reads files, but the data is {_kind(data)} in memory; numpy.save the "
            "inputs and the targets where all workers see them, and give the two .npy files' paths"
        )
    if not isinstance(files, Files):
        data = samples(data)
        if share is not None:
            data, held = _parts(data, share, seed)
        memory = InMemory(recipe, held, data, size or len(data[0]), compiled)
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
    from nn import distributed  # needs NumPy

    return Loop(distributed.OnFiles(recipe, held, files, size), settings).run()


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
    held, rest = (
        (_chosen(data[0], part), _chosen(data[1], part))
        for part in (sorted(order[:count]), sorted(order[count:]))
    )
    return rest, held


@context
def bar(count: int, wanted: bool | None, unit: str = "epoch") -> Any:
    """A function that advances a progress bar by one, or does nothing."""
    shown: Any = None

    def advance(note: str) -> None:
        if shown is not None:
            shown.set_postfix_str(note)
            shown.update()

    try:
        if sys.stderr.isatty() if wanted is None else wanted:
            with contextlib.suppress(ImportError):
                from tqdm import tqdm

                shown = tqdm(total=count, desc="training", unit=unit)
        yield advance
    finally:
        if shown is not None:
            shown.close()
