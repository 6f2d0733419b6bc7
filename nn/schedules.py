"""Schedules: the learning rate as a function of the number of steps taken, one class each.

A schedule is a function of the step (0, 1, 2, ...) and remembers nothing, so a run that is resumed
needs no state for it.  `ReduceOnPlateau` alone looks at the loss, and has a state to save.
"""

import math
from dataclasses import dataclass
from typing import Any


class Schedule:
    """What all schedules share: called with a step, they give a rate; every number is checked."""

    def __call__(self, step: int) -> float:
        """The learning rate of the step, which counts from 0."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Schedule):
                continue
            low = 1 if name in ("steps", "every", "patience") else 0
            if not isinstance(value, int | float) or not low <= value < math.inf:
                kind = type(self).__name__
                raise ValueError(
                    f"{kind}: {name} must be a number of at least {low}, got {value!r}"
                )


@dataclass
class Constant(Schedule):
    """The same rate for ever.

    >>> Constant(0.1)(1000)
    0.1
    """

    rate: float

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        return self.rate


@dataclass
class Step(Schedule):
    """rate * factor^(step // every): a stair (PyTorch's StepLR).

    >>> [round(Step(0.1, every=10, factor=0.5)(t), 4) for t in (0, 9, 10, 20)]
    [0.1, 0.1, 0.05, 0.025]
    """

    rate: float
    every: int
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        return self.rate * self.factor ** (step // self.every)


@dataclass
class Exponential(Schedule):
    """rate * factor^step (PyTorch's ExponentialLR).

    >>> Exponential(0.1, 0.5)(2)
    0.025
    """

    rate: float
    factor: float

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        return self.rate * self.factor**step


@dataclass
class Linear(Schedule):
    """From rate to final in a straight line over so many steps, and final from there on.

    >>> [Linear(1.0, steps=4)(t) for t in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        done = min(step / self.steps, 1.0)
        return self.rate + (self.final - self.rate) * done


@dataclass
class Cosine(Schedule):
    """final + (rate - final) (1 + cos(pi step / steps)) / 2 (Loshchilov and Hutter 2017, eq. 5).

    >>> [round(Cosine(1.0, steps=4)(t), 4) for t in (0, 1, 2, 4)]
    [1.0, 0.8536, 0.5, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        done = min(step / self.steps, 1.0)
        return self.final + (self.rate - self.final) * (1.0 + math.cos(math.pi * done)) / 2.0


@dataclass
class WarmUp(Schedule):
    """Over the first steps in a straight line up to another schedule, which starts after them.

    >>> [WarmUp(Linear(1.0, steps=4), steps=2)(t) for t in (0, 1, 2, 3)]
    [0.5, 1.0, 1.0, 0.75]
    """

    after: Schedule
    steps: int

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        if step < self.steps:
            return self.after(0) * (step + 1) / self.steps
        return self.after(step - self.steps)


@dataclass
class OneCycle(Schedule):
    """Half a cosine up from peak / start to peak, another down to peak / end (Smith 2018).

    The way up takes the share `warm` of the steps.  Numbers are those of PyTorch's OneCycleLR.

    >>> [round(OneCycle(1.0, steps=10)(t), 6) for t in (0, 2, 9)]
    [0.04, 1.0, 4e-06]
    """

    peak: float
    steps: int
    warm: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0.0 < self.warm < 1.0 and self.start > 0.0 and self.end > 0.0):
            raise ValueError("OneCycle: warm must be between 0 and 1, start and end more than 0")

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        first, top = self.peak / self.start, max(self.warm * self.steps - 1.0, 1e-9)
        if step <= top:
            return _bent(first, self.peak, step / top)
        done = min((step - top) / max(self.steps - 1 - top, 1e-9), 1.0)
        return _bent(self.peak, first / self.end, done)


def _bent(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done))


@dataclass
class ReduceOnPlateau(Schedule):
    """rate, times factor whenever the loss has not improved for more than `patience` epochs.

    To improve is to fall below the best so far by the share `threshold` of it.  Call `observe`
    with each epoch's loss, as `nn.fit` does.

    >>> schedule = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     schedule.observe(loss)
    >>> schedule(0)
    0.05
    """

    rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factor < 1.0:
            raise ValueError(f"ReduceOnPlateau: factor must be less than 1, got {self.factor!r}")
        self._now, self._best, self._waited = self.rate, math.inf, 0

    def __call__(self, step: int) -> float:
        """The rate that the class describes."""
        return self._now

    def observe(self, loss: float) -> None:
        """Take note of an epoch's loss."""
        if loss < self._best * (1.0 - self.threshold) or self._best == math.inf:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self._now, self._waited = max(self._now * self.factor, self.final), 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"now": self._now, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        now, best, waited = float(state["now"]), float(state["best"]), int(state["waited"])
        self._now, self._best, self._waited = now, best, waited
