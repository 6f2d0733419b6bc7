"""Optimizers: how the numbers of a model follow their gradients, one class each.

Each computes new numbers and a new state from the old ones before it changes anything, so a step
is taken whole or not at all.  Names, defaults and the order of operations are PyTorch's; Keras
says `learning_rate` for `lr` and `rho` or `beta_1` for the decay rates.
"""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from operator import call, setitem
from typing import Any, ClassVar

from autograd import Value
from autograd.ops import number
from autograd.value import UNTOUCHED, at_once, grads, number_writer, numbers
from nn import storage
from nn.columns import Column, Numbers, divided, like, quietly, root
from nn.module import Module

State = dict[str, Column]
Options = dict[str, Any]


class Group:
    """Parameters that share their options, and what the optimizer remembers of each."""

    def __init__(self, named: list[tuple[str, Value]], options: Options) -> None:
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.options = options
        self.state: State = {}


class Optimizer(ABC):
    """What all optimizers share; subclasses say how numbers and state change in `update`.

    Args:
        parameters: a module, Values, (name, Value) pairs, or groups: dicts of "parameters" and of
            options that differ in that group, such as {"parameters": ..., "lr": 0.01}.
        lr: the learning rate, at least 0.
        options: of the optimizer, see the class.

    Raises TypeError for what is no leaf Value, ValueError for a parameter that comes twice, for no
    parameters, and for options out of range or unknown.
    """

    defaults: ClassVar[Options] = {}

    def __init__(self, parameters: Any, lr: float, **options: Any) -> None:
        self.taken = 0  # steps
        shared = self._checked({**self.defaults, "lr": lr, **options})
        self.groups: list[Group] = []
        seen: set[Value] = set()
        for part in _parts(parameters):
            changed = {key: value for key, value in part.items() if key != "parameters"}
            named = _named(part["parameters"])
            for name, parameter in named:
                if parameter in seen:
                    raise ValueError(f"{type(self).__name__}: {name} comes twice")
                seen.add(parameter)
            self.groups.append(Group(named, self._checked({**shared, **changed})))
        if not seen:
            raise ValueError(f"{type(self).__name__}: no parameters")

    @abstractmethod
    def update(
        self, x: Column, g: Column, state: State, step: int, **options: Any
    ) -> tuple[Column, State]:
        """The new numbers and the new state, from numbers, gradients and state; changes nothing.

        All are columns (`nn.columns`): lists, or arrays.  `step` counts from 1; `state` is empty at
        the first.
        """

    def _checked(self, options: Options) -> Options:
        kind = type(self).__name__
        for key, value in options.items():
            if key != "lr" and key not in self.defaults:
                known = ", ".join(["lr", *self.defaults])
                raise ValueError(f"{kind}: unknown option {key!r}; there are {known}")
            if isinstance(value, bool):
                continue
            for part in value if isinstance(value, tuple) else (value,):
                rate = key in ("betas", "alpha", "momentum", "dampening")
                if not 0.0 <= number(part, f"{kind}: {key}") <= (1.0 if rate else math.inf):
                    raise ValueError(f"{kind}: {key} must be {_range(rate)}, got {value!r}")
                if not math.isfinite(part) or (key in ("betas", "alpha") and part == 1.0):
                    raise ValueError(f"{kind}: {key} must be {_range(rate)}, got {value!r}")
        return options

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        return float(self.groups[0].options["lr"])

    @lr.setter
    def lr(self, rate: float) -> None:
        for group in self.groups:
            group.options = self._checked({**group.options, "lr": rate})

    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = 0.0

    def step(self) -> None:
        """Change the parameters' numbers by one step along their gradients.

        Raises ValueError if no gradient has been computed, ArithmeticError, naming the parameter,
        if a gradient or a new number is inf or nan.  Then, and when it is interrupted, numbers and
        state are those from before.
        """
        kind = type(self).__name__
        if all(p.grad is UNTOUCHED for group in self.groups for p in group.parameters):
            raise ValueError(f"{kind}.step: no gradient yet; call loss.backward() first")
        made: list[Callable[[], object]] = []
        for group in self.groups:
            x, g = Numbers(numbers(group.parameters)), Numbers(grads(group.parameters))
            _refuse(g, group.names, f"{kind}.step: the gradient of")
            new, state = self.update(x, g, group.state, self.taken + 1, **group.options)
            _refuse(new, group.names, f"{kind}.step: with lr={group.options['lr']:g} the new")
            made.append(number_writer(group.parameters, new))
            made.append(partial(setattr, group, "state", state))
        made.append(partial(setattr, self, "taken", self.taken + 1))
        at_once(map(call, made))

    def step_flat(self, flat: Any) -> None:
        """The step, on the arrays of an `autograd.compiled.Flat` that holds the parameters.

        Raises ArithmeticError as `step` does; then, and when it is interrupted, nothing is changed
        or everything.
        """
        kind = type(self).__name__
        made: list[Callable[[], object]] = [partial(setattr, self, "taken", self.taken + 1)]
        for group in self.groups:
            where = flat.places(group.parameters)
            x, g = flat.numbers[where], flat.gradients[where]
            step = partial(self.update, x, g, group.state, self.taken + 1, **group.options)
            new, state = quietly(step)
            if not math.isfinite(math.fsum((float(g.sum()), float(new.sum())))):
                _refuse(g, group.names, f"{kind}.step: the gradient of")
                _refuse(new, group.names, f"{kind}.step: with lr={group.options['lr']:g} the new")
            made.append(partial(setitem, flat.numbers, where, new))
            made.append(partial(setattr, group, "state", state))
        at_once(map(call, made))

    def state_dict(self) -> dict[str, Any]:
        """Everything a later run needs to go on to the same bits, as dicts, lists and numbers."""
        groups = [
            {
                "size": len(group.parameters),
                "options": {
                    key: list(value) if isinstance(value, tuple) else value
                    for key, value in group.options.items()
                },
                "state": {key: list(map(float, part)) for key, part in group.state.items()},
            }
            for group in self.groups
        ]
        return {"optimizer": type(self).__name__, "taken": self.taken, "groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises ValueError for another optimizer's state or other groups, and changes nothing then.
        """
        kind = type(self).__name__
        if not isinstance(state, dict) or set(state) != {"optimizer", "taken", "groups"}:
            raise ValueError(f"{kind}: this is not an optimizer's state")
        if state["optimizer"] != kind:
            raise ValueError(f"{kind}: the state is that of {state['optimizer']!r:.40}")
        sizes = [len(group.parameters) for group in self.groups]
        try:
            found = [int(group["size"]) for group in state["groups"]]
            loaded = [(_options(group), _state(group)) for group in state["groups"]]
            taken = int(state["taken"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{kind}: this is not an optimizer's state ({error})") from None
        if found != sizes:
            raise ValueError(f"{kind}: expected groups of {sizes} parameters, got {found}")
        for options, _ in loaded:
            self._checked(options)
            if set(options) != set(self.groups[0].options):
                raise ValueError(f"{kind}: the state's options are {sorted(options)}")
        for group, (options, one) in zip(self.groups, loaded, strict=True):
            group.options, group.state = options, one
        self.taken = taken

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all."""
        storage.write(path, "optimizer", self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take over the state of a file that `save` wrote; FileFormatError for any other."""
        self.load_state_dict(storage.read(path, "optimizer"))

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.groups[0].options.items())
        count = sum(len(group.parameters) for group in self.groups)
        return f"{type(self).__name__}({count} parameters, {options})"


def _range(rate: bool) -> str:
    return "from 0 to 1" if rate else "a number of at least 0"


def _options(group: dict[str, Any]) -> Options:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in group["options"].items()}


def _state(group: dict[str, Any]) -> State:
    state = {str(key): [float(x) for x in numbers] for key, numbers in group["state"].items()}
    if any(len(numbers) != group["size"] for numbers in state.values()):
        raise ValueError(f"its lists must have {group['size']} numbers")
    return state


def _parts(parameters: Any) -> list[dict[str, Any]]:
    if isinstance(parameters, Module | Value):
        return [{"parameters": parameters}]
    parts = [parameters] if isinstance(parameters, dict) else list(parameters)
    if parts and all(isinstance(part, dict) for part in parts):
        for part in parts:
            if "parameters" not in part:
                raise ValueError(f'a group must have "parameters", got {sorted(part)}')
        return parts
    return [{"parameters": parts}]


def _named(parameters: Any) -> list[tuple[str, Value]]:
    if isinstance(parameters, Module):
        return list(parameters.named_parameters())
    made: list[tuple[str, Value]] = []
    for i, part in enumerate([parameters] if isinstance(parameters, Value) else parameters):
        name, parameter = part if isinstance(part, tuple) else ("", part)
        if not isinstance(parameter, Value) or not parameter.is_leaf:
            raise TypeError(f"parameter {i}: expected a leaf Value, got {parameter!r:.60}")
        made.append((name or parameter.label or f"parameter {i}", parameter))
    return made


def _refuse(numbers: Column, names: list[str], what: str) -> None:
    for x, name in zip(map(float, numbers), names, strict=True):
        if x - x != 0.0:
            raise ArithmeticError(f"{what} {name} is {x!r}; nothing was changed")


class SGD(Optimizer):
    """x <- x - lr * v, where v is the gradient, or its running sum v <- momentum * v + g.

    With `nesterov`, the step is g + momentum * v (Sutskever et al. 2013, eq. 3-4 as PyTorch writes
    them).  `weight_decay` w adds w * x to the gradient; `dampening` d scales what is added to v.

    >>> x = Value(1.0)
    >>> optimizer = SGD([x], lr=0.1)
    >>> (x * x).backward(); optimizer.step(); x.data
    0.8
    """

    defaults: ClassVar[Options] = {
        "momentum": 0.0,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
    }

    def __init__(self, parameters: Any, lr: float = 0.001, **options: Any) -> None:
        super().__init__(parameters, lr, **options)

    def _checked(self, options: Options) -> Options:
        super()._checked(options)
        if options["nesterov"] and (not options["momentum"] or options["dampening"]):
            raise ValueError("SGD: nesterov needs a momentum, and no dampening")
        return options

    def update(
        self, x: Column, g: Column, state: State, step: int, **options: Any
    ) -> tuple[Column, State]:
        """The step that the class describes."""
        lr, momentum, decay = options["lr"], options["momentum"], options["weight_decay"]
        if decay:
            g = g + decay * x
        if not momentum:
            return x - lr * g, {}
        v = g
        if "velocity" in state:
            v = momentum * like(x, state["velocity"]) + (1.0 - options["dampening"]) * g
        return x - lr * (g + momentum * v if options["nesterov"] else v), {"velocity": v}


class AdaGrad(Optimizer):
    """x <- x - lr * g / (sqrt(s) + eps), where s is the sum of all g^2 so far (Duchi et al. 2011).

    `lr_decay` d divides lr by 1 + (t - 1) d at step t.  PyTorch and Keras write Adagrad; Keras
    starts s at 0.1 where PyTorch, and this, start at 0 (`initial`).
    """

    defaults: ClassVar[Options] = {
        "lr_decay": 0.0,
        "weight_decay": 0.0,
        "initial": 0.0,
        "eps": 1e-10,
    }

    def __init__(self, parameters: Any, lr: float = 0.01, **options: Any) -> None:
        super().__init__(parameters, lr, **options)

    def update(
        self, x: Column, g: Column, state: State, step: int, **options: Any
    ) -> tuple[Column, State]:
        """The step that the class describes."""
        decay, eps = options["weight_decay"], options["eps"]
        rate = options["lr"] / (1.0 + (step - 1) * options["lr_decay"])
        if decay:
            g = g + decay * x
        s = like(x, state.get("squares", options["initial"])) + g * g
        return x - divided(rate * g, root(s) + eps), {"squares": s}


class RMSprop(Optimizer):
    """x <- x - lr * g / (sqrt(s) + eps), where s <- alpha s + (1 - alpha) g^2 (Hinton 2012, L. 6e).

    `momentum` gathers those steps as SGD's does.  Keras says `rho` for `alpha`, with 0.9.
    """

    defaults: ClassVar[Options] = {
        "alpha": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.0,
    }

    def __init__(self, parameters: Any, lr: float = 0.01, **options: Any) -> None:
        super().__init__(parameters, lr, **options)

    def update(
        self, x: Column, g: Column, state: State, step: int, **options: Any
    ) -> tuple[Column, State]:
        """The step that the class describes."""
        lr, alpha, eps = options["lr"], options["alpha"], options["eps"]
        decay, momentum = options["weight_decay"], options["momentum"]
        if decay:
            g = g + decay * x
        s = alpha * like(x, state.get("squares")) + (1.0 - alpha) * g * g
        if not momentum:
            return x - divided(lr * g, root(s) + eps), {"squares": s}
        v = momentum * like(x, state.get("velocity")) + divided(g, root(s) + eps)
        return x - lr * v, {"squares": s, "velocity": v}


class Adam(Optimizer):
    """x <- x - lr * m / (sqrt(v) + eps), m and v the running means of g and g^2, bias-corrected.

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2 with betas (b1, b2), divided by 1 - b1^t
    and 1 - b2^t at step t (Kingma and Ba 2015, algorithm 1).  `weight_decay` w adds w * x to g.

    >>> x = Value(1.0)
    >>> optimizer = Adam([x], lr=0.1)
    >>> (x * x).backward(); optimizer.step()
    >>> round(x.data, 6)  # the first step is lr long, whatever the gradient
    0.9
    """

    defaults: ClassVar[Options] = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}

    def __init__(self, parameters: Any, lr: float = 0.001, **options: Any) -> None:
        super().__init__(parameters, lr, **options)

    def update(
        self, x: Column, g: Column, state: State, step: int, **options: Any
    ) -> tuple[Column, State]:
        """The step that the class describes."""
        if decay := options["weight_decay"]:
            g = g + decay * x
        return self._moved(x, g, state, step, options)

    def _moved(
        self, x: Column, g: Column, state: State, step: int, options: Options
    ) -> tuple[Column, State]:
        (b1, b2), eps = options["betas"], options["eps"]
        m, v = like(x, state.get("mean")), like(x, state.get("squares"))
        m = m + (g - m) * (1.0 - b1)
        v = b2 * v + (1.0 - b2) * g * g
        rate = options["lr"] / (1.0 - b1**step)
        scale = math.sqrt(1.0 - b2**step)
        return x - divided(rate * m, root(v) / scale + eps), {"mean": m, "squares": v}


class AdamW(Adam):
    """Adam, with x <- x - lr * weight_decay * x before each step, instead of a part of g.

    So the decay is not divided by sqrt(v) (Loshchilov and Hutter 2019, algorithm 2).
    """

    defaults: ClassVar[Options] = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}

    def update(
        self, x: Column, g: Column, state: State, step: int, **options: Any
    ) -> tuple[Column, State]:
        """The step that the class describes."""
        kept = 1.0 - options["lr"] * options["weight_decay"]
        return self._moved(kept * x, g, state, step, options)


def clip_norm(parameters: Iterable[Value], largest: float) -> float:
    """The Euclidean norm of the gradients before they are scaled to at most `largest`.

    >>> x = Value(3.0); y = Value(4.0)
    >>> (x * x / 2 + y * y / 2).backward()
    >>> clip_norm([x, y], 1.0), round(y.grad, 3)
    (5.0, 0.8)
    """
    chosen = list(parameters)
    if not largest > 0.0:
        raise ValueError(f"clip_norm: largest must be more than 0, got {largest!r}")
    norm = math.hypot(*(parameter.grad for parameter in chosen))
    if not math.isfinite(norm):
        raise ArithmeticError(f"clip_norm: the norm of the gradients is {norm!r}")
    if norm > largest:
        for parameter in chosen:
            parameter.grad *= largest / norm
    return norm


def clip_value(parameters: Iterable[Value], largest: float) -> None:
    """Cut every gradient off at -largest and largest.

    >>> x = Value(3.0)
    >>> (x * x).backward()
    >>> clip_value([x], 0.5); x.grad
    0.5
    """
    if not largest > 0.0:
        raise ValueError(f"clip_value: largest must be more than 0, got {largest!r}")
    for parameter in parameters:
        if parameter.grad != parameter.grad:
            raise ArithmeticError("clip_value: a gradient is nan")
        parameter.grad = max(-largest, min(largest, parameter.grad))
