"""Checks of the arguments of training: a model, and a loss, optimizer or metric, also by name."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autograd.elsewhere import named
from nn import losses, metrics, optim
from nn.module import Module
from nn.optimizer import Optimizer
from nn.tables import plain

Maker = Callable[[Module, float], Optimizer]  # makes an optimizer from a model and a rate


def model_of(model: Any) -> Module:
    """The model itself; TypeError for anything but a module."""
    if not isinstance(model, Module):
        hint = "; create an instance of it" if inspect.isclass(model) else ""
        raise TypeError(f"model: expected a module, got {model!r:.60}{hint}")
    return model


def loss_of(loss: Any) -> Callable[[list[Any], list[Any]], Any]:
    """The loss itself, or the loss with the name, as in "mse".

    Raises ValueError for an unknown name, TypeError for anything that is not a function.
    """
    if isinstance(loss, str):
        return named(loss, "loss", losses.NAMED)
    return _function(loss, "loss", "nn.mse")


def optimizer_of(optimizer: Any, model: Module) -> Optimizer:
    """The optimizer itself, or a new one of that name for the model, as in "adam".

    Raises ValueError for an unknown name and for an optimizer with none of the model's parameters,
    TypeError for anything that is not an optimizer.
    """
    if isinstance(optimizer, str):
        return named(optimizer.lower(), "optimizer", optim.NAMED)(model)
    if not isinstance(optimizer, Optimizer):
        name = getattr(optimizer, "__name__", "")
        hint = f"; create one, as in {name}(model)" if inspect.isclass(optimizer) else ""
        raise TypeError(f"optimizer: expected an optimizer or its name, got {optimizer!r}{hint}")
    own = {id(value) for value in model.parameters()}
    if own and not any(id(p) in own for group in optimizer.groups for p in group.parameters):
        raise ValueError(
            f"optimizer: {type(optimizer).__name__} has none of this model's parameters, so "
            "nothing would be trained; if the model is new, create the optimizer again"
        )
    return optimizer


def maker_of(optimizer: Any) -> Maker:
    """A function or class that makes an optimizer from a model and a rate; also by its name.

    Raises ValueError for an unknown name, TypeError for anything that cannot be called.
    """
    if isinstance(optimizer, str):
        return named(optimizer.lower(), "optimizer", optim.NAMED)
    if not callable(optimizer):
        raise TypeError(
            "optimizer: expected a class such as nn.optim.Adam, its name, or a function of (model, "
            f"rate), got {optimizer!r}"
        )
    return optimizer  # type: ignore[no-any-return]


def metrics_of(values: Any) -> dict[str, Callable[[Any, Any], float]]:
    """The metrics by name; each metric is a function or a name, as in "accuracy".

    Raises ValueError for an unknown name, TypeError for anything that is not a list of metrics.
    """
    functions: dict[str, Callable[[Any, Any], float]] = {}
    for metric in list_of(values, "metrics", "[nn.metrics.accuracy]"):
        if isinstance(metric, str):
            metric = named(metric, "metrics", metrics.NAMED)
        function = _function(metric, "metrics", "nn.metrics.accuracy")
        unwrapped = function.func if isinstance(function, functools.partial) else function
        name = getattr(unwrapped, "__name__", type(unwrapped).__name__)
        if name in functions:
            raise ValueError(f"metrics: two of them are called {name!r}; write a function for one")
        functions[name] = function
    return functions


def list_of(values: Any, name: str, example: str) -> list[Any]:
    """The values as a list; TypeError, with an example, for text, dicts and single values."""
    if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
        raise TypeError(f"{name}: expected a list, as in {name}={example}, got {values!r}")
    return list(values)


def measured(
    metrics: dict[str, Callable[[Any, Any], float]], outputs: Any, targets: Any
) -> dict[str, float]:
    """The metrics' numbers by name; an error in a metric names the metric."""
    numbers = {}
    for name, metric in metrics.items():
        try:
            numbers[name] = plain(metric(outputs, targets), "its result")
        except (TypeError, ValueError) as error:
            raise type(error)(f"metrics: {name}: {error}") from error
    return numbers


def _function(value: Any, name: str, example: str) -> Callable[..., Any]:
    if not callable(value) or inspect.isclass(value):
        raise TypeError(f"{name}: expected a function such as {example}, or a name, got {value!r}")
    return value  # type: ignore[no-any-return]
