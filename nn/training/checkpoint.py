"""Checkpoints: files with everything that a run needs to continue with the same bits."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograd.atomic import together, undo_of
from autograd.value import number_writer, numbers
from nn import storage
from nn.training.history import History
from nn.training.recipe import Recipe, StrPath

_PARTS = {"model", "optimizer", "random", "history", "best", "plateau"}


@dataclass
class State:
    """The progress of a run; a checkpoint stores it with the model and the optimizer."""

    rng: random.Random
    history: History = field(default_factory=History)
    best: float = math.inf
    waited: int = 0
    best_state: dict[str, Any] | None = None


def save(path: StrPath, recipe: Recipe, state: State) -> None:
    """Write a checkpoint; the file is whole or unchanged."""
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
    """Load a checkpoint; ValueError, and no change, if it belongs to another run."""
    name = Path(path).name
    stored = storage.read(path, "checkpoint", allow_nonfinite=True)
    if not isinstance(stored, dict) or set(stored) != _PARTS:
        raise ValueError(f"fit: {name} is not a checkpoint")
    undo = _undo_of_load(recipe, state)
    try:
        history = _history(stored["history"])
        best, waited, best_state = stored["best"]
        if best_state is not None:
            recipe.model.load_state_dict(best_state)  # a check
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
    """A function that undoes all changes of `load` in one step; it can be called once."""
    changed: list[tuple[Any, str]] = [
        (group, name) for group in recipe.optimizer.groups for name in ("options", "state")
    ]
    changed += [(recipe.optimizer, "taken")]
    changed += [(owner, name) for owner in (state, recipe.plateau) if owner for name in vars(owner)]
    parameters = recipe.model.parameters()
    weights = number_writer(parameters, numbers(parameters))
    return together([weights, undo_of(*zip(*changed, strict=True))])


def _history(stored: Any) -> History:
    """The History from a checkpoint; TypeError or ValueError if it is damaged."""
    history = History(**stored)
    lists = [history.loss, history.validation_loss, history.rate]
    lists += [*history.metrics.values(), *history.weights]
    if not all(isinstance(x, float) for numbers in lists for x in numbers):
        raise TypeError("its history has entries that are not numbers")
    columns: list[list[Any]] = [*lists[1:3], *history.metrics.values(), history.weights]
    if type(history.interrupted) is not bool:
        raise TypeError("its history does not say whether it was interrupted")
    if not isinstance(history.stopped, str) or any(len(c) > len(history.loss) for c in columns):
        raise ValueError("its history has more lines than epochs")
    return history
