"""The one training loop: epochs, validation, early stopping, checkpoints and Ctrl-C."""

from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from autograd import files, quiet_gc
from autograd.atomic import at_once, together
from autograd.modes import present_mode, set_mode
from autograd.options import generator
from nn.module import present_scoping, set_scoping, unscoped
from nn.optimizer import Optimizer
from nn.training.checkpoint import State, load, save
from nn.training.history import History, TrainingError
from nn.training.progress import bar
from nn.training.recipe import Settings
from nn.training.source import Source, StepError


class Loop:
    """The one training loop: epochs over a source's batches, and the work between them."""

    def __init__(self, source: Source, settings: Settings) -> None:
        self.source, self.settings, self.recipe = source, settings, source.recipe
        self.state = State(generator(settings.seed))

    def run(self) -> History:
        """The History of training; it may end before the last epoch."""
        # The user's loss may leave a mode set, because not every context is safe from Ctrl-C.
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
        """Start at the beginning, or at the checkpoint if it exists and `resume` is set."""
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
        """Pass over the data once, and add a line to the history at the end."""
        recipe, total, seen = self.recipe, 0.0, 0
        optimizer: Optimizer = recipe.optimizer
        for batch, size in self.source.batches(self.state.rng):
            if recipe.schedule is not None:
                optimizer.lr = recipe.schedule(optimizer.taken)
            try:
                loss = self.source.step(batch)
            except StepError as error:
                position = f"epoch {len(self.state.history) + 1}, step {optimizer.taken + 1}"
                rate = f"; the learning rate was {optimizer.lr:g}, try a lower one"
                advice = rate if optimizer.taken else ""  # before the first step it has no effect
                raise TrainingError(f"{position}: {error}{advice}", self.state.history) from None
            total += loss * size
            seen += size
        if self.source.flat is not None:
            self.source.flat.write()
        self._close(total / seen)

    def _close(self, mean: float) -> None:
        """Add the epoch's line to the history, with the mean of its losses."""
        validated = self.source.validation is not None
        seen, metrics = self.source.examine()
        state, history, plateau = self.state, self.state.history, self.recipe.plateau
        line: dict[str, Any] = {
            "loss": [*history.loss, mean],
            "rate": [*history.rate, self.recipe.optimizer.lr],
            "metrics": history.metrics
            | {name: [*history.metrics.get(name, []), x] for name, x in metrics.items()},
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
        # One step, which Ctrl-C cannot split, so all parts stay consistent.
        at_once(map(dict.update, *zip(*changes, strict=True)))

    def _after_epoch(self) -> None:
        """Check the patience, call the callbacks, and write the checkpoint."""
        settings, state = self.settings, self.state
        if settings.patience is not None and state.waited >= settings.patience:
            state.history.stopped = f"no better loss for {settings.patience} epochs"
        self._call_back()
        if settings.checkpoint is not None:
            save(settings.checkpoint, self.recipe, state)

    def _call_back(self) -> None:
        """Call the callbacks; training continues with any changes that they make."""
        history, replay = self.state.history, self.source.replay
        try:
            results = [callback(len(history), history) for callback in self.settings.callbacks]
        finally:
            if replay is not None:
                replay.flat.read()
        if replay is not None:
            replay.look()
        if True in results:
            history.stopped = "a callback asked to stop"

    def _interrupted(self) -> None:
        """Write in the history that Ctrl-C ended training, and when."""
        history = self.state.history
        done = len(history)
        text = f"interrupted {f'after epoch {done}' if self._is_over() else f'in epoch {done + 1}'}"
        if history.stopped:
            text = f"{history.stopped}; {text}"
        vars(history).update(stopped=text, interrupted=True)

    def _settle(self) -> None:
        """Restore the parameters of the best epoch, if there is a `patience`."""
        if self.settings.patience is not None and self.state.best_state is not None:
            self.recipe.model.load_state_dict(self.state.best_state)
