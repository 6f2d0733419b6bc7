"""Arguments of training: a loss, an optimizer and metrics, also by name, and what is refused."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autograd.operands import item
from nn import losses, metrics, optim
from nn.module import Module
from nn.optimizer import Optimizer
from nn.options import named

Maker = Callable[[Module, float], Optimizer]  # makes an optimizer from a model and a rate


def model_of(model: Any) -> Module:
    """The model itself; TypeError for anything but a module."""
    if not isinstance(model, Module):
        hint = "; make one of the class" if inspect.isclass(model) else ""
        raise TypeError(f"model: expected a module, got {model!r:.60}{hint}")
    return model


def loss_of(loss: Any) -> Callable[[list[Any], list[Any]], Any]:
    """The loss itself, or that of a name, as in "mse".

    Raises ValueError for a name that is none, TypeError for what cannot be called.
    """
    if isinstance(loss, str):
        return named(loss, "loss", losses.NAMED)
    return _function(loss, "loss", "nn.mse")


def optimizer_of(optimizer: Any, model: Module) -> Optimizer:
    """The optimizer itself, or one of that name for the model, as in "adam", with its defaults.

    Raises ValueError for a name that is none and for an optimizer that has none of the model's
    parameters, TypeError for what is no optimizer.
    """
    if isinstance(optimizer, str):
        return named(optimizer.lower(), "optimizer", optim.NAMED)(model)
    if not isinstance(optimizer, Optimizer):
        name = getattr(optimizer, "__name__", "")
        hint = f"; make one, as in {name}(model)" if inspect.isclass(optimizer) else ""
        raise TypeError(f"optimizer: expected an optimizer or its name, got {optimizer!r}{hint}")
    own = {id(value) for value in model.parameters()}
    if own and not any(id(p) in own for group in optimizer.groups for p in group.parameters):
        raise ValueError(
            f"optimizer: {type(optimizer).__name__} has none of this model's parameters, so "
            "nothing would be trained; was the model made anew? make the optimizer after it"
        )
    return optimizer


def maker_of(optimizer: Any) -> Maker:
    """What makes an optimizer from a model and a rate: the function or class, or that of a name.

    Raises ValueError for a name that is none, TypeError for what makes nothing.
    """
    if isinstance(optimizer, str):
        return named(optimizer.lower(), "optimizer", optim.NAMED)
    if not callable(optimizer):
        raise TypeError(
            "optimizer: expected a class such as nn.optim.Adam, its name, or a function of (model, "
            f"rate), got {optimizer!r}"
        )
    return optimizer  # type: ignore[no-any-return]


def metrics_of(given: Any) -> dict[str, Callable[[Any, Any], float]]:
    """The metrics by their names; a metric is a function, or its name, as in "accuracy".

    Raises ValueError for a name that is none, TypeError for what is no list of them.
    """
    found: dict[str, Callable[[Any, Any], float]] = {}
    for metric in list_of(given, "metrics", "[nn.metrics.accuracy]"):
        if isinstance(metric, str):
            metric = named(metric, "metrics", metrics.NAMED)
        function = _function(metric, "metrics", "nn.metrics.accuracy")
        of = function.func if isinstance(function, functools.partial) else function
        name = getattr(of, "__name__", type(of).__name__)
        if name in found:
            raise ValueError(f"metrics: two of them are called {name!r}; write a function for one")
        found[name] = function
    return found


def list_of(given: Any, what: str, example: str) -> list[Any]:
    """The things as a list; TypeError, with an example, for what is no list of them."""
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise TypeError(f"{what}: expected a list, as in {what}={example}, got {given!r}")
    return list(given)


def measured(
    metrics: dict[str, Callable[[Any, Any], float]], outputs: Any, targets: Any
) -> dict[str, float]:
    """The metrics' numbers by name; what a metric cannot use is an error that names it."""
    found = {}
    for name, metric in metrics.items():
        try:
            found[name] = item(metric(outputs, targets))
        except (TypeError, ValueError) as error:
            raise type(error)(f"metrics: {name}: {error}") from error
    return found


def _function(given: Any, what: str, example: str) -> Callable[..., Any]:
    if not callable(given) or inspect.isclass(given):
        raise TypeError(f"{what}: expected a function such as {example}, or a name, got {given!r}")
    return given  # type: ignore[no-any-return]
