"""Schedules, one class each: the learning rate as a function of the number of steps taken.

A schedule is a function of the step (0, 1, 2, ...) without a state, so a run can be resumed without
saving it.  Only `ReduceOnPlateau` depends on the loss and has a state to save.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, dataclass_transform

from autograd.elsewhere import absent, advice, attribute
from autograd.options import AT_LEAST_0, POSITIVE, real, whole
from nn import tables

Rate = Callable[[Any, int], float]


def _of_steps(rate: Rate) -> Rate:
    """The schedule's function, which gets a step of any library as an int, and returns a float."""

    @wraps(rate)
    def checked(self: Any, step: int) -> float:
        return float(rate(self, whole(step, f"{type(self).__name__}: step", 0)))

    return checked


@dataclass_transform()
@dataclass
class Schedule:
    """The base of all schedules: a dataclass that is called with a step and returns the rate.

    You can also write a schedule without a class: `fit` takes any function of the step.
    """

    __getattr__ = attribute

    def __init_subclass__(cls) -> None:
        dataclass(cls)
        cls.__call__ = _of_steps(cls.__call__)  # type: ignore[assignment, method-assign]

    def __new__(cls, *numbers: Any, **named: Any) -> Any:
        """A new schedule; TypeError, with advice, for an unknown argument."""
        known = {field.name: None for field in fields(cls)}
        for name in named:
            if name not in known:
                text = f"{cls.__name__}: there is no argument {name!r}{advice(name, known)}"
                raise TypeError(text)
        return super().__new__(cls)

    def __call__(self, step: int) -> float:
        """The learning rate of the step, which counts from 0."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            subject = f"{type(self).__name__}: {name}"
            if name in ("steps", "every", "growth", "patience"):
                setattr(self, name, whole(value, subject, 0 if name == "patience" else 1))
            elif name == "milestones":
                steps = [whole(n, subject, 0) for n in tables.samples(value, subject)]
                if steps != sorted(steps):
                    raise ValueError(f"{subject} must be in rising order, got {steps}")
                setattr(self, name, steps)
            elif name not in ("after", "parts", "function"):
                positive = name in ("start", "end")
                setattr(self, name, real(value, subject, POSITIVE if positive else AT_LEAST_0))


class Constant(Schedule):
    """The same rate at every step.

    >>> Constant(0.1)(1000)
    0.1
    """

    rate: float

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return self.rate


class Step(Schedule):
    """rate * factor^(step // every) (PyTorch's StepLR).

    >>> [round(Step(0.1, every=10, factor=0.5)(t), 4) for t in (0, 9, 10, 20)]
    [0.1, 0.1, 0.05, 0.025]
    """

    rate: float
    every: int
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return self.rate * self.factor ** (step // self.every)


class MultiStep(Schedule):
    """rate * factor^(number of milestones reached) (PyTorch's MultiStepLR).

    >>> [round(MultiStep(0.1, [3, 5], factor=0.5)(t), 4) for t in (0, 2, 3, 5)]
    [0.1, 0.1, 0.05, 0.025]
    """

    rate: float
    milestones: Sequence[int]
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return self.rate * self.factor ** bisect_right(self.milestones, step)


class Exponential(Schedule):
    """rate * factor^step (PyTorch's ExponentialLR).

    >>> Exponential(0.1, 0.5)(2)
    0.025
    """

    rate: float
    factor: float

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return self.rate * self.factor**step


class Linear(Schedule):
    """A straight line from rate to final over `steps` steps, and final after that.

    >>> [Linear(1.0, steps=4)(t) for t in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        done = min(step / self.steps, 1.0)
        return self.rate + (self.final - self.rate) * done


class Polynomial(Schedule):
    """final + (rate - final) (1 - step / steps)^power, and final after that.

    It is PyTorch's PolynomialLR, which ends at 0, and Keras' PolynomialDecay.

    >>> [Polynomial(1.0, steps=4, power=2.0)(t) for t in (0, 1, 2, 4, 9)]
    [1.0, 0.5625, 0.25, 0.0, 0.0]
    """

    rate: float
    steps: int
    power: float = 1.0
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        remaining = 1.0 - min(step / self.steps, 1.0)
        return self.final + (self.rate - self.final) * math.pow(remaining, self.power)


class Cosine(Schedule):
    """final + (rate - final) (1 + cos(pi step / steps)) / 2 (Loshchilov and Hutter 2017, eq. 5).

    >>> [round(Cosine(1.0, steps=4)(t), 4) for t in (0, 1, 2, 4)]
    [1.0, 0.8536, 0.5, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return _bent(self.rate, self.final, min(step / self.steps, 1.0))


class CosineRestarts(Schedule):
    """Cosine that restarts after `steps` steps; each cycle is `growth` times as long as the last.

    Loshchilov and Hutter 2017, eq. 5; PyTorch's CosineAnnealingWarmRestarts.

    >>> [round(CosineRestarts(1.0, steps=2, growth=2)(t), 4) for t in (0, 1, 2, 3, 4, 6)]
    [1.0, 0.5, 1.0, 0.8536, 0.5, 1.0]
    """

    rate: float
    steps: int
    growth: int = 1
    final: float = 0.0

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        length = self.steps
        if self.growth == 1:
            step %= length
        while step >= length:
            step, length = step - length, length * self.growth
        return _bent(self.rate, self.final, step / length)


class WarmUp(Schedule):
    """A straight line up to the first rate of another schedule, which then starts at its step 0.

    A number instead of a schedule is a constant rate.

    >>> [WarmUp(Linear(1.0, steps=4), steps=2)(t) for t in (0, 1, 2, 3)]
    [0.5, 1.0, 1.0, 0.75]
    """

    after: "Schedule | Callable[[int], float] | float"
    steps: int

    def __post_init__(self) -> None:
        self.after = schedule(self.after, "WarmUp: after")
        super().__post_init__()

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        after: Any = self.after
        if step < self.steps:
            return float(after(0) * (step + 1) / self.steps)
        return float(after(step - self.steps))


class Sequential(Schedule):
    """Several schedules in a row; at each milestone the next one starts at its step 0.

    >>> two = Sequential([Constant(0.1), Exponential(0.2, 0.5)], milestones=[2])
    >>> [two(t) for t in range(5)]
    [0.1, 0.1, 0.2, 0.1, 0.05]
    """

    parts: Sequence["Schedule | Callable[[int], float] | float"]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        self.parts = [schedule(part, "Sequential: a part") for part in self.parts]
        super().__post_init__()
        if len(self.milestones) != len(self.parts) - 1:
            raise ValueError(
                f"Sequential: {len(self.parts)} parts need {len(self.parts) - 1} milestones, "
                f"got {len(self.milestones)}"
            )

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        k = bisect_right(self.milestones, step)
        part: Any = self.parts[k]
        rate: float = part(step - self.milestones[k - 1] if k else step)
        return rate


class Lambda(Schedule):
    """rate * function(step) (PyTorch's LambdaLR).

    >>> Lambda(0.1, lambda step: 0.5**step)(2)
    0.025
    """

    rate: float
    function: Callable[[int], float]

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return self.rate * float(self.function(step))


def schedule(value: Any, subject: str) -> Any:
    """The schedule or function itself, or the constant schedule of a number.

    >>> schedule(0.5, "schedule")(3)
    0.5
    """
    if callable(value) and not isinstance(value, type):
        return value
    try:
        return Constant(value)
    except (TypeError, ValueError):
        raise TypeError(f"{subject} must be a schedule or a rate, got {value!r}") from None


class OneCycle(Schedule):
    """Half a cosine up from peak / start to peak, another down to peak / start / end (Smith 2018).

    The rise takes the share `warm` of the steps, and the last step has the lowest rate.  The
    numbers are those of PyTorch's OneCycleLR.

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
        self.warm = real(self.warm, "OneCycle: warm", "(0, 1)")

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        first, top = self.peak / self.start, max(self.warm * self.steps - 1.0, 1e-9)
        if step <= top:
            return _bent(first, self.peak, step / top)
        done = min((step - top) / max(self.steps - 1 - top, 1e-9), 1.0)
        return _bent(self.peak, first / self.end, done)


def _bent(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done))


class ReduceOnPlateau(Schedule):
    """The rate, times factor each time the loss has not improved for over `patience` epochs.

    The loss improves if it falls below the best so far by more than the share `threshold` of its
    size.  Call `observe` with each epoch's loss, as `nn.fit` does.  It is PyTorch's
    ReduceLROnPlateau, except that there a loss below 0 may rise and count as an improvement.

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
        self.factor = real(self.factor, "ReduceOnPlateau: factor", "[0, 1)")
        self._now, self._best, self._waited = self.rate, math.inf, 0

    def __call__(self, step: int) -> float:
        """The rate of the step, by the class's formula."""
        return self._now

    def observe(self, loss: float) -> None:
        """Record an epoch's loss, and lower the rate if it is time to."""
        loss = tables.plain(loss, "ReduceOnPlateau: loss")
        best = self._best
        if loss < (best if best == math.inf else best - self.threshold * abs(best)):
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self._now, self._waited = max(self._now * self.factor, self.final), 0

    def state_dict(self) -> dict[str, Any]:
        """The state that a resumed run needs."""
        return {"now": self._now, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state from `state_dict`."""
        now, best, waited = float(state["now"]), float(state["best"]), int(state["waited"])
        self._now, self._best, self._waited = now, best, waited


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
