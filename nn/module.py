"""`Module`: what has parameters and can be called, trained, printed, saved and loaded."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Self

from autograd import Value, scope
from autograd.atomic import Setting
from autograd.operands import number
from autograd.value import number_writer
from nn import storage
from nn.options import renamed

Numbers = Any  # a float, or a list of Numbers
Hook = Callable[["Module", tuple[Any, ...], Any], None]

_KIND = "parameters"
_scoped: ContextVar[bool] = ContextVar("scoped", default=True)


class unscoped(Setting[bool]):  # noqa: N801 - reads like no_grad
    """A context in which modules open no scopes: pictures lose their groups, and training is fast.

    A scope for every neuron makes a forward pass of a small network half as slow again.  Code that
    builds graphs only to run backward on them does so in here.

    >>> from nn import Neuron
    >>> neuron = Neuron(2, seed=0)
    >>> neuron([1.0, 2.0]).scope
    'neuron'
    >>> with unscoped():
    ...     neuron([1.0, 2.0]).scope
    ''
    """

    variable = _scoped

    def inside(self, before: bool) -> bool:
        """No scopes."""
        return False


# What `autograd.modes.set_mode` is for the modes.
present_scoping, set_scoping = _scoped.get, _scoped.set


def grouped(name: str) -> AbstractContextManager[object]:
    """A scope of the name, or nothing inside `unscoped`."""
    return scope(name) if _scoped.get() else nullcontext()


class Module(ABC):
    """A function with parameters; subclasses assign those in `__init__` and define `forward`.

    Parameters are the leaf Values among the attributes and those of attributes that are modules,
    lists, tuples or dicts of them.  Attributes whose name starts with '_' are not looked at.  Names
    and methods are PyTorch's; Keras says `weights` for `parameters` and `call` for `forward`.

    Args:
        name: what pictures and messages call it; the class's name in lower case if left out.

    >>> from autograd import Value
    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.height = Value(2.0, "slope"), Value(1.0, "height")
    ...     def forward(self, x):
    ...         return self.slope * x + self.height
    >>> line = Line()
    >>> line(3.0).data
    7.0
    >>> [name for name, _ in line.named_parameters()]
    ['slope', 'height']
    >>> line
    Line: 2 parameters
    """

    # On the class, so that a subclass that forgets `super().__init__()` works all the same.
    name = "module"
    training = True
    _hooks: tuple[Hook, ...] = ()
    _stamped = ""  # the scope that the parameters of this module carry

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__.lower()

    def __init__(self, name: str = "") -> None:
        if "/" in name:  # which joins the names of scopes
            raise ValueError(f"name: expected one without '/', got {name!r}")
        if name:
            self.name = name

    def __getstate__(self) -> dict[str, Any]:
        # A copy's parameters are new leaves, which carry no scope yet.
        return {key: part for key, part in vars(self).items() if key != "_stamped"}

    def __getattr__(self, name: str) -> Any:
        """Only asked for what is not there: an AttributeError with the name that it has here."""
        known = [n for n in [*vars(self), *dir(type(self))] if not n.startswith("_")]
        hint = "" if name.startswith("__") else renamed(name, known)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    @abstractmethod
    def forward(self, *inputs: Any) -> Any:
        """The module's outputs; call the module itself, which adds the scope and the hooks."""

    def __call__(self, *inputs: Any) -> Any:
        """`forward(*inputs)`, inside a scope of the module's name, and then the hooks."""
        if _scoped.get():
            with scope(self.name):
                self._stamp(Value(0.0).scope)  # a new leaf tells the scope that holds
                outputs = self.forward(*inputs)
        else:
            outputs = self.forward(*inputs)
        for hook in self._hooks:
            hook(self, inputs, outputs)
        return outputs

    def _stamp(self, where: str) -> None:
        """Give the module's own parameters the scope that it is called in, as a picture wants."""
        if where != self._stamped:
            self._stamped = where
            for value in _values(list(_attributes(self).values())):
                value.scope = where

    def register_forward_hook(self, hook: Hook) -> Callable[[], None]:
        """Have `hook(module, inputs, outputs)` called after each call; returns how to remove it."""
        self._hooks = (*self._hooks, hook)

        def remove() -> None:
            self._hooks = tuple(kept for kept in self._hooks if kept is not hook)

        return remove

    @property
    def forward_hooks(self) -> tuple[Hook, ...]:
        """The hooks that are registered."""
        return self._hooks

    # ------------------------------------------------------------------ what it is made of

    def named_modules(self) -> Iterator[tuple[str, "Module"]]:
        """This module as '' and every module inside it by its dotted path, each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, part = stack.pop()
            if isinstance(part, Module):
                if id(part) in seen:
                    continue
                seen.add(id(part))
                yield path, part
            stack += reversed([(_joined(path, key), inner) for key, inner in _parts(part)])

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Every parameter by its dotted path, each once, in the order of assignment."""
        seen: set[int] = set()
        for path, value in self._paths():
            if id(value) not in seen:
                seen.add(id(value))
                yield path, value

    def parameters(self) -> list[Value]:
        """Every parameter, each once, in the order of assignment."""
        return [value for _, value in self.named_parameters()]

    def _paths(self) -> Iterator[tuple[str, Value]]:
        """Every path to a parameter; a shared parameter has several."""
        stack: list[tuple[str, Any, frozenset[int]]] = [("", self, frozenset())]
        while stack:
            path, part, above = stack.pop()
            if isinstance(part, Value):
                if part.is_leaf:
                    yield path, part
                continue
            if id(part) not in above:  # a module that refers back to its parent is no part of it
                inside = above | {id(part)}
                stack += reversed([(_joined(path, k), p, inside) for k, p in _parts(part)])

    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0."""
        for value in self.parameters():
            value.grad = 0.0

    def train(self, mode: bool = True) -> Self:
        """The module itself, with `training` set on it and on every module inside it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """The module itself, with `training` off in it and in every module inside it."""
        return self.train(False)

    def __repr__(self) -> str:
        lines = []
        for path, module in self.named_modules():
            depth = path.count(".") + bool(path)
            if depth and module.name.startswith("neuron "):
                continue  # the layer's line says how many there are
            count = len(module.parameters())
            plural = "" if count == 1 else "s"
            about = module.describe()
            text = f"{type(module).__name__}{about and ' ' + about}: {count} parameter{plural}"
            lines.append("  " * min(depth, 1) + f"{path}{path and ' '}{text}")
        return "\n".join(lines)

    def describe(self) -> str:
        """What the repr says of this module beside its class and its number of parameters."""
        return ""

    # ------------------------------------------------------------------ numbers in and out

    def state_dict(self) -> dict[str, Numbers]:
        """The parameters' numbers by path: a float, or nested lists where the module has lists.

        >>> from nn import Layer, init
        >>> Layer(2, 1, init=init.ones()).state_dict()
        {'neurons.0.weights': [1.0, 1.0], 'neurons.0.bias': 0.0}
        """
        return {path: _numbers(part) for path, part in self._entries()}

    def load_state_dict(self, state: dict[str, Numbers]) -> None:
        """Set every parameter to the numbers that `state_dict` gave.

        Raises ValueError or TypeError that names the entry when names are missing or not known, or
        when a shape or a kind is wrong; then no parameter has changed.
        """
        if not isinstance(state, dict):
            raise TypeError(f"{self.name}: expected a dict by name, got {type(state).__name__}")
        entries = dict(self._entries())
        missing = [path for path in entries if path not in state]
        unknown = [path for path in state if path not in entries]
        if missing or unknown:
            raise ValueError(
                f"{self.name}: the names do not match; missing: {_listed(missing)}; "
                f"not known: {_listed(unknown)}"
            )
        numbers: dict[Value, float] = {}
        for path, part in entries.items():
            for where, value, data in _matched(part, state[path], path):
                if value in numbers and numbers[value].hex() != data.hex():
                    raise ValueError(f"{where}: a shared parameter cannot be two numbers")
                numbers[value] = data
        # One step, which Ctrl-C cannot split.
        number_writer(numbers, numbers.values())()

    def _entries(self) -> Iterator[tuple[str, Any]]:
        """The state's entries: a Value, or a list in which there is nothing but Values."""
        stack: list[tuple[str, Any, frozenset[int]]] = [("", self, frozenset())]
        while stack:
            path, part, above = stack.pop()
            if (isinstance(part, Value) and part.is_leaf) or _is_array(part):
                yield path, part
            elif not isinstance(part, Value) and id(part) not in above:
                inside = above | {id(part)}
                stack += reversed([(_joined(path, k), p, inside) for k, p in _parts(part)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to a file, bit for bit, in JSON; the file is whole or not there.

        The file holds names and numbers only, so that loading it cannot execute anything.
        """
        storage.write(path, _KIND, self.state_dict())

    def load(self, path: str | os.PathLike[str], *, allow_nonfinite: bool = False) -> None:
        """Set the parameters from a file that `save` wrote for a module of the same shape.

        Raises FileFormatError (a ValueError) for a file that is none, is damaged, or, unless
        `allow_nonfinite`, holds inf or nan; ValueError or TypeError where it does not fit.  Then
        no parameter has changed.
        """
        state = storage.read(path, _KIND, allow_nonfinite=allow_nonfinite)
        try:
            self.load_state_dict(state)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{os.path.basename(os.fspath(path))}: {error}") from None


def _attributes(module: Module) -> dict[str, Any]:
    return {name: part for name, part in vars(module).items() if not name.startswith("_")}


def _parts(part: Any) -> list[tuple[str, Any]]:
    """What is directly inside a module, a list, a tuple or a dict."""
    if isinstance(part, Module):
        return list(_attributes(part).items())
    if isinstance(part, list | tuple):
        return [(str(i), inner) for i, inner in enumerate(part)]
    if isinstance(part, dict):
        return [(str(key), inner) for key, inner in part.items()]
    return []


def _values(part: Any) -> Iterator[Value]:
    """The leaf Values of an attribute; modules among them keep theirs to themselves."""
    stack = [part]
    while stack:
        part = stack.pop()
        if isinstance(part, Value):
            if part.is_leaf:
                yield part
        elif not isinstance(part, Module):
            stack += [inner for _, inner in _parts(part)]


def _is_array(part: Any) -> bool:
    """Whether it is a list of leaf Values, or of such lists."""
    if not isinstance(part, list | tuple) or not part:
        return False
    return all((isinstance(p, Value) and p.is_leaf) or _is_array(p) for p in part)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _numbers(part: Any) -> Numbers:
    return part.data if isinstance(part, Value) else [_numbers(inner) for inner in part]


def _matched(part: Any, given: Any, where: str) -> Iterator[tuple[str, Value, float]]:
    if isinstance(part, Value):
        if isinstance(given, bool):
            raise TypeError(f"{where}: expected a number, got {given!r}")
        yield where, part, number(given, where)
        return
    if not isinstance(given, list | tuple):
        raise TypeError(f"{where}: expected a list of {len(part)}, got {type(given).__name__}")
    if len(given) != len(part):
        raise ValueError(f"{where}: expected {len(part)} entries, got {len(given)}")
    for i, (inner, one) in enumerate(zip(part, given, strict=True)):
        yield from _matched(inner, one, f"{where}[{i}]")


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"{name!s:.60}" for name in names[:5]) or "none"
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
