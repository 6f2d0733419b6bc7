"""`History`: the results of each epoch, and the error of a run that diverged."""

from dataclasses import dataclass, field
from typing import Any

from autograd import NonFiniteError
from autograd.elsewhere import attribute


@dataclass
class History:
    """The results of each epoch; prints as a table.

    Attributes:
        loss: the mean of the batches' losses during the epoch.
        validation_loss: the loss at the end of the epoch; empty without validation data.
        metrics: a list for each name, from the validation data if there is any.
        rate: the learning rate of the epoch's last step.
        weights: every parameter after each epoch, from `fit(..., watch=True)`.
        stopped: why training ended before the last epoch; '' if it did not.
        interrupted: whether Ctrl-C ended training; `stopped` then says when.
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
        columns = {"loss": self.loss, "validation": self.validation_loss, **self.metrics}
        columns = {
            name: column for name, column in (columns | {"rate": self.rate}).items() if column
        }
        lines = ["  ".join(["epoch", *(f"{name:>10}" for name in columns)])]
        count = len(self)
        step = max(1, count // 10)
        for i in sorted({*range(0, count, step), count - 1} - {-1}):
            cells = [f"{column[i]:>10.4g}" for column in columns.values()]
            lines.append("  ".join([f"{i + 1:>5}", *cells]))
        return "\n".join(lines + [self.stopped] * bool(self.stopped))

    __getattr__ = attribute

    def figure(self) -> Any:
        """A matplotlib Figure of the loss curves and the metrics."""
        from nn.study import plots

        return plots.history(self)


def finished(history: History) -> History:
    """The history; KeyboardInterrupt if the run was interrupted.

    Use it for results that need complete runs.

    >>> finished(History(loss=[1.0])).loss
    [1.0]
    """
    if history.interrupted:
        raise KeyboardInterrupt
    return history


class TrainingError(NonFiniteError):
    """The loss or a gradient is inf or nan; the model has its numbers from before that step.

    Attributes:
        history: of the epochs before it.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history
