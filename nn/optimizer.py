"""What all optimizers share: groups of parameters, options, all-or-nothing steps, and state."""

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
from autograd.elsewhere import advice, advised, attribute, renamed
from autograd.notes import UNTOUCHED
from autograd.options import AT_LEAST_0, real, truth, whole
from autograd.value import at_once, grad_writer, grads, number_writer, numbers
from nn import storage
from nn.columns import Column, Numbers
from nn.module import Module
from nn.tables import sample

State = dict[str, Any]  # a column for each parameter's number, or a float for all
Options = dict[str, Any]
_STORED = (float, bool, int, tuple)  # the types of checked options
Moved = tuple[Column, State]  # the new numbers and the new state


class Spent(float):
    """A gradient that a step has used; adding to it gives a `Stacked`.

    A step can therefore tell that `zero_grad` was forgotten, at no cost elsewhere.
    """

    __slots__ = ()

    def __add__(self, other: float) -> "Stacked":
        return Stacked(float(self) + other)

    def __sub__(self, other: float) -> "Stacked":
        return Stacked(float(self) - other)

    def __mul__(self, other: float) -> "Spent":
        return type(self)(float(self) * other)


class Stacked(Spent):
    """The sum of a gradient that a step has used and a newer one."""

    __slots__ = ()


class Group:
    """Parameters with the same options, and the optimizer's state for each."""

    def __init__(self, named: list[tuple[str, Value]], options: Options) -> None:
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.options = options
        self.state: State = {}


class Optimizer(ABC):
    """The base of all optimizers; a subclass computes new numbers and state in `update`.

    To write your own optimizer, define `update` and, for options besides `lr`, `defaults`.  The
    type of a default is the type of the option, and `intervals` gives its allowed interval.
    Saving, groups, `fit`, compiled training and all-or-nothing steps then work without more code.

    Args:
        parameters: a module, Values, (name, Value) pairs, or groups: dicts with "parameters" and
            the group's own options, such as {"parameters": ..., "lr": 0.01}.
        lr: the learning rate, at least 0; by default the class's `rate`.
        options: see the class.  All have `weight_decay` w, which adds w * x to the gradient, and
            `maximize`, which changes the gradient's sign.

    A parameter that the loss does not use has the gradient 0, and weight decay and momentum still
    change it.  (PyTorch skips parameters whose `.grad` is None.)

    Raises TypeError for parameters that are not leaf Values; ValueError for a parameter that comes
    twice, for no parameters, and for options that are unknown or out of range.

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
    decoupled: ClassVar[bool] = False  # whether `update` applies the weight decay itself

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
                    raise ValueError(f"{type(self).__name__}: {name} comes twice; pass it once")
                seen.add(parameter)
            self.groups.append(Group(named, self._checked({**everywhere, **changed})))
        if not seen:
            raise ValueError(f"{type(self).__name__}: no parameters")

    __getattr__ = attribute

    @abstractmethod
    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The new numbers and the new state; it changes nothing.

        The numbers x and the gradients g are columns (`nn.columns`): lists or arrays.  `state`
        contains columns and floats, and is empty at the first step.  `step` counts from 1.
        """

    def _checked(self, options: Options) -> Options:
        """The options as Python's numbers; ValueError if one is unknown or out of range."""
        kind = type(self).__name__
        known = {"lr": 0.0, **self.shared, **self.defaults}
        checked: Options = {}
        for key, value in options.items():
            if key not in known:
                raise ValueError(f"{kind}: unknown option {key!r}{advice(key, known)}")
            subject, default = f"{kind}: {key}", known[key]
            interval = self.intervals.get(key, AT_LEAST_0)
            if isinstance(default, bool):
                checked[key] = truth(value, subject)
            elif isinstance(default, int):
                checked[key] = whole(value, subject)
            elif isinstance(default, tuple):
                value = sample(value)
                if not isinstance(value, tuple | list) or len(value) != len(default):
                    raise ValueError(f"{subject} must be {len(default)} numbers, got {value!r}")
                checked[key] = tuple(real(part, subject, interval) for part in value)
            else:
                checked[key] = real(value, subject, interval)
        return checked

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it changes all groups."""
        return float(self.groups[0].options["lr"])

    @lr.setter
    def lr(self, rate: float) -> None:
        for group in self.groups:
            group.options = self._checked({**group.options, "lr": rate})

    @advised
    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = 0.0

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """The closure's result, or None; the parameters' numbers change by one step.

        A closure is called before the step, as in PyTorch.

        Raises ValueError if there is no gradient yet; ArithmeticError, with the parameter's name,
        if a gradient or a new number is inf or nan.  Numbers and state are unchanged then, and
        also if the step is interrupted.
        """
        kind, loss = type(self).__name__, None if closure is None else closure()
        if all(p.grad is UNTOUCHED for group in self.groups for p in group.parameters):
            raise ValueError(f"{kind}.step: no gradient yet; call loss.backward() first")
        changes: list[Callable[[], object]] = []
        for group in self.groups:
            x, g = Numbers(numbers(group.parameters)), Numbers(grads(group.parameters))
            kinds = set(map(type, g))
            if Stacked in kinds or kinds == {Spent}:
                warnings.warn(
                    f"{kind}.step: the gradients include those of the last step; call zero_grad() "
                    "and then backward() between two steps",
                    stacklevel=2,
                )
            new, state = self._moved(group, x, g)
            changes.append(number_writer(group.parameters, new))
            changes.append(grad_writer(group.parameters, [*map(Spent, g)]))
            changes.append(partial(setattr, group, "state", state))
        changes.append(partial(setattr, self, "taken", self.taken + 1))
        at_once(map(call, changes))
        return loss

    def step_flat(self, flat: Any) -> None:
        """Take the step on the parameters' arrays in a `Flat` (autograd/compiled/flat.py).

        Raises ArithmeticError like `step`.  An error or an interruption never leaves half a step.
        """
        changes: list[Callable[[], object]] = [partial(setattr, self, "taken", self.taken + 1)]
        for group in self.groups:
            indices = flat.places(group.parameters)
            # Copies, because the optimizer's state must not change with the arrays.
            x, g = flat.numbers[indices].copy(), flat.gradients[indices].copy()
            new, state = quietly(partial(self._moved, group, x, g))
            changes.append(partial(setitem, flat.numbers, indices, new))
            changes.append(partial(setattr, group, "state", state))
        at_once(map(call, changes))

    def _moved(self, group: Group, x: Column, g: Column) -> Moved:
        """The group's new numbers and state; ArithmeticError for inf and nan."""
        kind, options = type(self).__name__, group.options
        if not all(type(option) in _STORED for option in options.values()):
            options = group.options = self._checked(options)  # set by hand, as in PyTorch
        _refuse(g, group.names, f"{kind}.step: the gradient of")
        if options["maximize"]:
            g = -1.0 * g
        if options["weight_decay"] and not self.decoupled:
            g = g + options["weight_decay"] * x
        new, state = self.update(x, g, group.state, self.taken + 1, **options)
        _refuse(new, group.names, f"{kind}.step: with lr={options['lr']:g} the new")
        return new, state

    def state_dict(self) -> dict[str, Any]:
        """The state as dicts, lists and numbers, for a run that continues with the same bits."""

        def stored(named: dict[str, Any]) -> dict[str, Any]:
            return {
                key: part if isinstance(part, float | int) else [float(x) for x in part]
                for key, part in named.items()
            }

        groups = [
            {"size": len(g.parameters), "options": stored(g.options), "state": stored(g.state)}
            for g in self.groups
        ]
        return {"optimizer": type(self).__name__, "taken": self.taken, "groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state from `state_dict`.

        Raises ValueError, and changes nothing, if it belongs to another optimizer or other groups.
        """
        kind = type(self).__name__
        if not isinstance(state, dict) or set(state) != {"optimizer", "taken", "groups"}:
            raise ValueError(f"{kind}: this is not an optimizer's state")
        if state["optimizer"] != kind:
            raise ValueError(f"{kind}: this is the state of {state['optimizer']!r:.40}")
        expected = [len(group.parameters) for group in self.groups]
        try:
            sizes = [int(group["size"]) for group in state["groups"]]
            loaded: list[dict[str, Any]] = [
                {"options": dict(group["options"]), "state": _state(group)}
                for group in state["groups"]
            ]
            taken = int(state["taken"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{kind}: this is not an optimizer's state ({error})") from None
        if sizes != expected:
            raise ValueError(f"{kind}: expected groups of {expected} parameters, got {sizes}")
        for group in loaded:
            if set(group["options"]) != set(self.groups[0].options):
                raise ValueError(f"{kind}: the state's options are {sorted(group['options'])}")
        for group in loaded:
            group["options"] = self._checked(group["options"])
        # One step, which Ctrl-C cannot split.
        at_once(map(dict.update, map(vars, [*self.groups, self]), [*loaded, {"taken": taken}]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file; the file is whole or not there."""
        storage.write(path, "optimizer", self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Load the state from a file that `save` wrote; FileFormatError for any other file."""
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
    """(name, Value) for a module's parameters, one leaf, or a list of leaves or such pairs.

    Raises TypeError for anything that is not a leaf Value.
    """
    if isinstance(parameters, Module):
        return list(parameters.named_parameters())
    pairs: list[tuple[str, Value]] = []
    for i, part in enumerate([parameters] if isinstance(parameters, Value) else parameters):
        name, parameter = part if isinstance(part, tuple) else ("", part)
        if not isinstance(parameter, Value) or not parameter.is_leaf:
            raise TypeError(f"parameter {i}: expected a leaf Value, got {parameter!r:.60}")
        pairs.append((name or parameter.label or f"parameter {i}", parameter))
    return pairs


def _refuse(column: Column, names: list[str], subject: str) -> None:
    if not isinstance(column, Numbers) and math.isfinite(float(column.sum())):
        return
    for x, name in zip(map(float, column), names, strict=True):
        if x - x != 0.0:
            raise ArithmeticError(f"{subject} {name} is {x!r}; nothing was changed")
