"""What all optimizers share: groups of parameters, options, steps that are whole, and state."""

import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from operator import call, setitem
from typing import Any, ClassVar

from autograd import Value
from autograd.atomic import quietly
from autograd.value import UNTOUCHED, at_once, grad_writer, grads, number_writer, numbers
from nn import storage
from nn.columns import Column, Numbers
from nn.module import Module
from nn.options import AT_LEAST_0, advice, real, renamed, truth, whole

State = dict[str, Any]  # a column for each parameter's number, or a float for all
Options = dict[str, Any]
Moved = tuple[Column, State]  # the new numbers and the new state


class Spent(float):
    """A gradient that a step has used: what a backward pass adds to it makes it `Stacked`.

    So a step can tell that `zero_grad` was forgotten, and nothing else costs anything.
    """

    __slots__ = ()

    def __add__(self, other: float) -> "Stacked":
        return Stacked(float(self) + other)

    def __sub__(self, other: float) -> "Stacked":
        return Stacked(float(self) - other)

    def __mul__(self, other: float) -> "Spent":
        return type(self)(float(self) * other)


class Stacked(Spent):
    """The sum of a gradient that a step has used and of what came after."""

    __slots__ = ()


class Group:
    """Parameters that share their options, and what the optimizer remembers of each."""

    def __init__(self, named: list[tuple[str, Value]], options: Options) -> None:
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.options = options
        self.state: State = {}


class Optimizer(ABC):
    """What all optimizers share; subclasses say how numbers and state change in `update`.

    An optimizer of your own is a class with `update` and, for options besides `lr`, `defaults`:
    the type of a default says what the option may be, and `intervals` in which interval.  Saving,
    groups, `fit`, compiled training and steps that are whole follow.

    Args:
        parameters: a module, Values, (name, Value) pairs, or groups: dicts of "parameters" and of
            options that differ in that group, such as {"parameters": ..., "lr": 0.01}.
        lr: the learning rate, at least 0; the class's `rate` if left out.
        options: of the optimizer, see the class; all have `weight_decay` w, which adds w * x to the
            gradient, and `maximize`, which turns it around.

    A parameter that the loss does not reach has a gradient of 0, which decay and momentum act on:
    here a gradient is a number, and one that is 0 by chance moves no further than one that is 0
    because the parameter was not used.  (PyTorch leaves out parameters whose `.grad` is None.)

    Raises TypeError for what is no leaf Value, ValueError for a parameter that comes twice, for no
    parameters, and for options out of range or unknown.

    >>> class SignDescent(Optimizer):
    ...     def update(self, x, g, state, step, **options):
    ...         return x - options["lr"] * (g / abs(g)), {}
    >>> x = Value(3.0)
    >>> optimizer = SignDescent([x], lr=0.5)
    >>> (x * x).backward(); optimizer.step(); x.data
    2.5
    """

    rate: ClassVar[float] = 0.001
    defaults: ClassVar[Options] = {}
    shared: ClassVar[Options] = {"weight_decay": 0.0, "maximize": False}
    intervals: ClassVar[dict[str, str]] = {
        "betas": "[0, 1)",
        "alpha": "[0, 1)",
        "rho": "[0, 1)",
        "momentum": "[0, 1]",
        "dampening": "[0, 1]",
    }
    decoupled: ClassVar[bool] = False  # whether `update` itself sees to the weight decay

    def __init__(self, parameters: Any, lr: float | None = None, **options: Any) -> None:
        self.taken = 0  # steps
        rate = self.rate if lr is None else lr
        everywhere = self._checked({"lr": rate, **self.shared, **self.defaults, **options})
        self.groups: list[Group] = []
        seen: set[Value] = set()
        for part in _parts(parameters):
            changed = {key: value for key, value in part.items() if key != "parameters"}
            named = named_values(part["parameters"])
            for name, parameter in named:
                if parameter in seen:
                    raise ValueError(f"{type(self).__name__}: {name} comes twice")
                seen.add(parameter)
            self.groups.append(Group(named, self._checked({**everywhere, **changed})))
        if not seen:
            raise ValueError(f"{type(self).__name__}: no parameters")

    @abstractmethod
    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The new numbers and the new state, from numbers, gradients and state; changes nothing.

        x and g are columns (`nn.columns`): lists, or arrays.  `state` holds columns and floats;
        `step` counts from 1, and `state` is empty at the first.
        """

    def _checked(self, options: Options) -> Options:
        """The options as Python's numbers; ValueError for one that is unknown or out of range."""
        kind = type(self).__name__
        known = {"lr": 0.0, **self.shared, **self.defaults}
        checked: Options = {}
        for key, value in options.items():
            if key not in known:
                raise ValueError(f"{kind}: unknown option {key!r}{advice(key, known)}")
            what, default = f"{kind}: {key}", known[key]
            interval = self.intervals.get(key, AT_LEAST_0)
            if isinstance(default, bool):
                checked[key] = truth(value, what)
            elif isinstance(default, int):
                checked[key] = whole(value, what)
            elif isinstance(default, tuple):
                if not isinstance(value, tuple | list) or len(value) != len(default):
                    raise ValueError(f"{what} must be {len(default)} numbers, got {value!r}")
                checked[key] = tuple(real(part, what, interval) for part in value)
            else:
                checked[key] = real(value, what, interval)
        return checked

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

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters' numbers by one step along their gradients.

        With a closure, as PyTorch has it, that is called first; its result is returned.

        Raises ValueError if no gradient has been computed, ArithmeticError, naming the parameter,
        if a gradient or a new number is inf or nan.  Then, and when it is interrupted, numbers and
        state are those from before.
        """
        kind, loss = type(self).__name__, None if closure is None else closure()
        if all(p.grad is UNTOUCHED for group in self.groups for p in group.parameters):
            raise ValueError(f"{kind}.step: no gradient yet; call loss.backward() first")
        made: list[Callable[[], object]] = []
        for group in self.groups:
            x, g = Numbers(numbers(group.parameters)), Numbers(grads(group.parameters))
            if Stacked in map(type, g):
                warnings.warn(
                    f"{kind}.step: the gradients of the last step are still in these; call "
                    "zero_grad() between a step and the next backward()",
                    stacklevel=2,
                )
            new, state = self._moved(group, x, g)
            made.append(number_writer(group.parameters, new))
            made.append(grad_writer(group.parameters, [*map(Spent, g)]))
            made.append(partial(setattr, group, "state", state))
        made.append(partial(setattr, self, "taken", self.taken + 1))
        at_once(map(call, made))
        return loss

    def step_flat(self, flat: Any) -> None:
        """The step, on the arrays of a `Flat` (autograd/compiled/flat.py) with the parameters.

        Raises ArithmeticError as `step` does; then, and when it is interrupted, nothing is changed
        or everything.
        """
        made: list[Callable[[], object]] = [partial(setattr, self, "taken", self.taken + 1)]
        for group in self.groups:
            where = flat.places(group.parameters)
            # Copies: what an optimizer remembers must not follow the arrays.
            x, g = flat.numbers[where].copy(), flat.gradients[where].copy()
            new, state = quietly(partial(self._moved, group, x, g))
            made.append(partial(setitem, flat.numbers, where, new))
            made.append(partial(setattr, group, "state", state))
        at_once(map(call, made))

    def _moved(self, group: Group, x: Column, g: Column) -> Moved:
        """What `update` makes of a group's numbers and gradients; inf and nan are refused."""
        kind, options = type(self).__name__, group.options
        _refuse(g, group.names, f"{kind}.step: the gradient of")
        if options["maximize"]:
            g = -1.0 * g
        if options["weight_decay"] and not self.decoupled:
            g = g + options["weight_decay"] * x
        new, state = self.update(x, g, group.state, self.taken + 1, **options)
        _refuse(new, group.names, f"{kind}.step: with lr={options['lr']:g} the new")
        return new, state

    def state_dict(self) -> dict[str, Any]:
        """Everything a later run needs to go on to the same bits, as dicts, lists and numbers."""
        groups = [
            {
                "size": len(group.parameters),
                "options": {
                    key: list(value) if isinstance(value, tuple) else value
                    for key, value in group.options.items()
                },
                "state": {
                    key: part if isinstance(part, float) else list(map(float, part))
                    for key, part in group.state.items()
                },
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
            loaded = [(dict(group["options"]), _state(group)) for group in state["groups"]]
            taken = int(state["taken"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{kind}: this is not an optimizer's state ({error})") from None
        if found != sizes:
            raise ValueError(f"{kind}: expected groups of {sizes} parameters, got {found}")
        for options, _ in loaded:
            if set(options) != set(self.groups[0].options):
                raise ValueError(f"{kind}: the state's options are {sorted(options)}")
        checked = [self._checked(options) for options, _ in loaded]
        parts = zip(checked, loaded, strict=True)
        new: list[dict[str, Any]] = [
            {"options": options, "state": one} for options, (_, one) in parts
        ]
        # One step, which Ctrl-C cannot split.
        at_once(map(dict.update, map(vars, [*self.groups, self]), [*new, {"taken": taken}]))

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


def _state(group: dict[str, Any]) -> State:
    state: State = {}
    for key, part in group["state"].items():
        state[str(key)] = part if isinstance(part, float) else [float(x) for x in part]
        if not isinstance(part, float) and len(part) != group["size"]:
            raise ValueError(f"its lists must have {group['size']} numbers")
    return state


def _parts(parameters: Any) -> list[dict[str, Any]]:
    if isinstance(parameters, Module | Value):
        return [{"parameters": parameters}]
    if not isinstance(parameters, Iterable):
        hint = "; call it" if callable(parameters) else ""
        kind = type(parameters).__name__
        raise TypeError(f"parameters: expected a module or Values, got a {kind}{hint}")
    parts = [parameters] if isinstance(parameters, dict) else list(parameters)
    if parts and all(isinstance(part, dict) for part in parts):
        for part in parts:
            if "parameters" not in part:
                hint = renamed("params", ["parameters"]) if "params" in part else ""
                raise ValueError(f'a group must have "parameters", got {[*part][:5]}{hint}')
        return parts
    return [{"parameters": parts}]


def named_values(parameters: Any) -> list[tuple[str, Value]]:
    """(name, Value) of a module's parameters, of one leaf, or of a list of leaves or such pairs.

    Raises TypeError for what is no leaf Value.
    """
    if isinstance(parameters, Module):
        return list(parameters.named_parameters())
    made: list[tuple[str, Value]] = []
    for i, part in enumerate([parameters] if isinstance(parameters, Value) else parameters):
        name, parameter = part if isinstance(part, tuple) else ("", part)
        if not isinstance(parameter, Value) or not parameter.is_leaf:
            raise TypeError(f"parameter {i}: expected a leaf Value, got {parameter!r:.60}")
        made.append((name or parameter.label or f"parameter {i}", parameter))
    return made


def _refuse(column: Column, names: list[str], what: str) -> None:
    if not isinstance(column, Numbers) and math.isfinite(float(column.sum())):
        return
    for x, name in zip(map(float, column), names, strict=True):
        if x - x != 0.0:
            raise ArithmeticError(f"{what} {name} is {x!r}; nothing was changed")
