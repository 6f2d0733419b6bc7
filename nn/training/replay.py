"""`Replay`: a model and its loss, compiled for batches, with the parameters in arrays."""

import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import autograd
from autograd import Value, no_grad
from autograd.operands import item
from nn.module import Module, unscoped

Loss = Callable[[list[Any], list[Any]], Any]
_SAMPLES = 8  # for comparing the mean over samples with the loss
_INTERNAL = {name for name in vars(Module) if name.startswith("_")}


class Replay:
    """The compiled model and loss that `fit(..., compiled=True)` runs.

    One sample's loss is recorded and replayed for the rows of a batch; the loss of a batch is the
    mean over its samples.  Another shape, branch or state of the model's modules is recorded again.

    Args:
        model: called with one sample's inputs.
        loss: of a batch, the mean of its samples' losses.
        parameters: all parameters that the loss depends on.
        dtype: the type of numbers in native code; see `autograd.compile`.

    Raises ModuleNotFoundError without NumPy; ValueError for a model with forward hooks, because a
    replay does not run them.
    """

    def __init__(
        self, model: Module, loss: Loss, parameters: Sequence[Value], dtype: str = "float64"
    ) -> None:
        self._model, self._loss = model, loss
        self._states: dict[Any, tuple[int, Any]] = {}  # a number for each, and what is kept alive
        # `compile` compares the variables of a closure, but does not look deep into a model, so
        # the state of the modules gets a number that it can compare.
        self._state = state = [0]

        def sample(x: Any, y: Any, state: list[int] = state) -> Any:
            return loss([model(x)], [y])

        def forward(x: Any, state: list[int] = state) -> Any:
            return model(x)

        self.compiled = autograd.compile(sample, reduction="sum", cache=256, dtype=dtype)
        self._forward = autograd.compile(forward, cache=256, dtype=dtype)
        self.flat = self.compiled.flat(parameters)
        self._outputs = self._forward.flat(parameters)
        self.look()

    def look(self) -> None:
        """Check the model's modules again after they may have changed.

        Raises ValueError for a forward hook.
        """
        for path, module in self._model.named_modules():
            if module.forward_hooks:
                raise ValueError(
                    f"fit: {path or module.name} has a forward hook, which compiled=True does not "
                    "run; remove it, or use compiled=False"
                )
        snapshot = self._snapshot()
        known = self._states.setdefault(tuple(snapshot.parts), (len(self._states), snapshot))
        self._state[0] = known[0]

    def _snapshot(self) -> Any:
        """All that the modules and the loss have besides parameters and modules."""
        from autograd.compiled.environment import Snapshot  # needs NumPy

        snapshot = Snapshot()
        loss = getattr(self._loss, "__wrapped__", self._loss)
        for name, part in getattr(loss, "__dict__", {}).items():
            snapshot.add_value(f"loss.{name}", part)
        for path, module in self._model.named_modules():
            at = f"{path}." if path else ""
            snapshot.add_value(f"{at}training", module.training)
            for name, part in vars(module).items():
                if name not in _INTERNAL and not _holds_parameters(part):
                    snapshot.add_value(f"{at}{name}", part)
        snapshot.parts.append(("parameters", tuple(map(id, self._model.parameters()))))
        return snapshot

    def agrees(self, inputs: Sequence[Any], targets: Sequence[Any]) -> None:
        """Raise ValueError if the loss is no mean over samples, or a call changes the model."""
        chosen = _different(targets)
        xs, ys = [inputs[i] for i in chosen], [targets[i] for i in chosen]
        before = self._snapshot()
        with unscoped(), no_grad():
            loss = item(self._loss([self._model(x) for x in xs], ys))
        mean = self.loss(xs, ys)
        from autograd.compiled.environment import Environment  # needs NumPy

        changed = Environment.changed(before, self._snapshot())
        if changed:
            raise ValueError(
                f"fit: a call of the model changes {changed}, which compiled=True does not "
                "repeat; use compiled=False"
            )
        tolerance = self.compiled.options.precision.tolerance
        if not abs(loss - mean) <= tolerance * max(abs(loss), abs(mean)) and mean == mean:
            raise ValueError(
                f"fit: compiled=True takes the mean over samples, {mean!r}, but the loss of the "
                f"batch is {loss!r}; use a loss with reduction='mean' and without class_weight, "
                "or compiled=False"
            )

    def backward(self, inputs: Sequence[Any], targets: Sequence[Any]) -> float:
        """The loss of a batch; its gradient is stored in `flat.gradients`."""
        total, parts = 0.0, []
        for xs, ys in _alike(inputs, targets):
            total += self.flat.backward(xs, ys)
            parts.append(self.flat.gradients.copy())
        self.flat.gradients = sum(parts[1:], parts[0]) / len(inputs)
        return total / len(inputs)

    def loss(self, inputs: Sequence[Any], targets: Sequence[Any]) -> float:
        """The mean loss of the samples."""
        sums = [item(self.flat(xs, ys)) for xs, ys in _alike(inputs, targets)]
        return math.fsum(sums) / len(inputs) if all(map(math.isfinite, sums)) else math.nan

    def outputs(self, inputs: Sequence[Any]) -> list[Any]:
        """The model's outputs for each sample, as numbers."""
        self._outputs.numbers = self.flat.numbers
        outputs: list[Any] = [None] * len(inputs)
        for xs, indices in _alike(inputs, range(len(inputs))):
            columns = self._outputs(xs)
            for i, index in enumerate(indices.tolist()):
                outputs[index] = _row(columns, i)
        return outputs


def _holds_parameters(part: Any) -> bool:
    """Whether an attribute of a module is a parameter or a module, or a container of such."""
    while isinstance(part, list | tuple | dict) and part:
        part = next(iter(part.values())) if isinstance(part, dict) else part[0]
    return isinstance(part, Value | Module)


def _different(targets: Sequence[Any]) -> list[int]:
    """The indices of some samples, with targets as different as possible."""
    import numpy as np

    first: dict[str, int] = {}
    for i, target in enumerate(targets):
        first.setdefault(repr(target), i)
    order = sorted(first.values(), key=lambda i: np.ravel(targets[i]).tolist())
    count = min(len(order), _SAMPLES)
    chosen = [order[round(k * (len(order) - 1) / max(count - 1, 1))] for k in range(count)]
    others = (i for i in range(len(targets)) if i not in chosen)
    return sorted([*chosen, *islice(others, _SAMPLES - count)])


def _row(columns: Any, i: int) -> Any:
    """One sample's part of nested columns."""
    if isinstance(columns, list | tuple):
        return [_row(column, i) for column in columns]
    return float(columns[i])


def _alike(inputs: Sequence[Any], targets: Sequence[Any]) -> list[tuple[Any, Any]]:
    """(inputs, targets) as arrays, one pair for each combination of their shapes."""
    import numpy as np

    if isinstance(inputs, np.ndarray) and isinstance(targets, np.ndarray):
        return [(inputs, targets)]
    groups: dict[Any, tuple[list[Any], list[Any]]] = {}
    for x, y in zip(inputs, targets, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        key = (x.shape, x.dtype.kind, y.shape, y.dtype.kind)
        xs, ys = groups.setdefault(key, ([], []))
        xs.append(x)
        ys.append(y)
    return [(np.stack(xs), np.stack(ys)) for xs, ys in groups.values()]


def rows(samples: Sequence[Any]) -> Any:
    """The samples as one array if they have the same shape, else as a list."""
    import numpy as np

    parts = [np.asarray(sample) for sample in samples]
    if len({(part.shape, part.dtype.kind) for part in parts}) == 1:
        return np.stack(parts)
    return list(samples)
