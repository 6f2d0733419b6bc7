"""`Module`: a function with parameters that can be trained, printed, saved and loaded."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

from autograd import Value, scope
from autograd.atomic import Setting
from autograd.elsewhere import unknown
from autograd.operands import number
from autograd.ops import Ops
from autograd.value import number_writer
from nn import storage
from nn.tables import sample

Numbers = Any  # a float, or a list of Numbers
Hook = Callable[["Module", tuple[Any, ...], Any], None]

Number = Any  # a float or a Value
P = ParamSpec("P")
R = TypeVar("R")
_KIND = "parameters"
_scoped: ContextVar[bool] = ContextVar("scoped", default=True)


class unscoped(Setting[bool]):  # noqa: N801 - reads like no_grad
    """A context in which modules open no scopes: pictures lose their groups, and training is fast.

    Scopes for every neuron make the forward pass of a small network 50 % slower.  Use this context
    for graphs that are built only to run backward on them.

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
        """False: no scopes."""
        return False


# As `present_mode` and `set_mode` in `autograd.modes`.
present_scoping, set_scoping = _scoped.get, _scoped.set


def grouped(name: str) -> AbstractContextManager[object]:
    """A scope with the name; inside `unscoped` a context that does nothing."""
    return scope(name) if _scoped.get() else nullcontext()


def grouping(function: Callable[P, R]) -> Callable[P, R]:
    """The function, computed inside a scope with its name."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with grouped(function.__name__):
            return function(*args, **kwargs)

    vars(inside)["opens_scope"] = True
    return inside


def opens_scope(function: object) -> bool:
    """Whether the function opens a scope of its own."""
    return hasattr(function, "opens_scope")


def taught(result: Number, formula: str) -> Number:
    """The result with its formula, which a textbook picture shows in place of the operations.

    Only for a result that was computed inside `grouped`; without that scope, and for a plain
    number, there is nothing to note.
    """
    node: Any = result
    if _scoped.get() and isinstance(result, Ops) and node.row.op is not None and node.row.scope:
        node.formula = formula
    return result


class Module(ABC):
    """A function with parameters; subclasses assign them in `__init__` and define `forward`.

    The parameters are the leaf Values among the attributes, also inside modules, lists, tuples and
    dicts.  Attributes whose names start with '_' are ignored.  Names and methods are PyTorch's;
    Keras says `weights` for `parameters` and `call` for `forward`.

    Args:
        name: for pictures and messages; by default the class's name in lower case.

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

    # On the class, so that a subclass works even if it forgets `super().__init__()`.
    name = "module"
    training = True
    _hooks: tuple[Hook, ...] = ()
    _stamped = ""  # the scope of this module's parameters

    def __init_subclass__(cls) -> None:
        cls.name = cls.__name__.lower()

    def __init__(self, name: str = "") -> None:
        if "/" in name:  # the separator between the names of scopes
            raise ValueError(f"name: expected a name without '/', got {name!r}")
        if name:
            self.name = name

    def __getstate__(self) -> dict[str, Any]:
        # The parameters of a copy are new leaves without a scope.
        return {key: part for key, part in vars(self).items() if key != "_stamped"}

    def __getattr__(self, name: str) -> Any:
        """Raise AttributeError for a missing attribute, with its name here."""
        raise unknown(type(self).__name__, name, [*vars(self), *dir(type(self))])

    @abstractmethod
    def forward(self, *inputs: Any) -> Any:
        """The module's outputs; call the module instead, which adds the scope and the hooks."""

    def __call__(self, *inputs: Any) -> Any:
        """`forward(*inputs)` inside a scope with the module's name; then the hooks run."""
        if _scoped.get():
            with scope(self.name):
                self._stamp(Value(0.0).scope)  # a new leaf knows the current scope
                outputs = self.forward(*inputs)
        else:
            outputs = self.forward(*inputs)
        for hook in self._hooks:
            hook(self, inputs, outputs)
        return outputs

    def _stamp(self, path: str) -> None:
        """Give the module's own parameters the scope of the call, for pictures.

        A mode that ignores scopes, such as a checker's, has none: then they keep theirs.
        """
        if path and path != self._stamped:
            self._stamped = path
            for value in _values(list(_attributes(self).values())):
                value.scope = path

    def register_forward_hook(self, hook: Hook) -> Callable[[], None]:
        """A function that removes the hook, which runs as `hook(module, inputs, outputs)`."""
        self._hooks = (*self._hooks, hook)

        def remove() -> None:
            self._hooks = tuple(other for other in self._hooks if other is not hook)

        return remove

    @property
    def forward_hooks(self) -> tuple[Hook, ...]:
        """The registered hooks."""
        return self._hooks

    # ------------------------------------------------------------------ modules and parameters

    def named_modules(self) -> Iterator[tuple[str, "Module"]]:
        """(path, module) for this module, with the path '', and each module inside it, once."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, part = stack.pop()
            if isinstance(part, Module):
                if id(part) in seen:
                    continue
                seen.add(id(part))
                yield path, part
            parts = [(k, p) for k, p in _parts(part) if type(p) is not Value]
            stack += [(_joined(path, k), p) for k, p in reversed(parts)]

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(dotted path, parameter) for each parameter, once, in the order of assignment."""
        seen: set[int] = set()
        for path, value in self._inside(_is_leaf):
            if id(value) not in seen:
                seen.add(id(value))
                yield path, value

    def parameters(self) -> list[Value]:
        """Every parameter, each once, in the order of assignment."""
        return [value for _, value in self.named_parameters()]

    def _inside(self, is_wanted: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
        """(dotted path, part) for each chosen part; a shared part has several paths."""
        stack: list[tuple[str, Any, frozenset[int]]] = [("", self, frozenset())]
        while stack:
            path, part, ancestors = stack.pop()
            if is_wanted(part):
                yield path, part
            elif id(part) not in ancestors:  # a child may refer back to its parent
                own = ancestors | {id(part)}
                stack += reversed([(_joined(path, k), p, own) for k, p in _parts(part)])

    def zero_grad(self) -> None:
        """Set every parameter's gradient to 0."""
        for value in self.parameters():
            value.grad = 0.0

    def train(self, mode: bool = True) -> Self:
        """The module itself, with `training` set in it and in every module inside it."""
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
            kind, text = type(module).__name__, module.describe()
            text = f"{kind}{text and ' ' + text}: {count} parameter{plural}"
            lines.append("  " * min(depth, 1) + f"{path}{path and ' '}{text}")
        return "\n".join(lines)

    def describe(self) -> str:
        """The text that the repr shows after the class and the number of parameters."""
        return ""

    # ------------------------------------------------------------------ numbers in and out

    def state_dict(self) -> dict[str, Numbers]:
        """The parameters' numbers by path: a float, or nested lists where the module has lists.

        >>> from nn import Layer, init
        >>> Layer(2, 1, init=init.ones()).state_dict()
        {'neurons.0.weights': [1.0, 1.0], 'neurons.0.bias': 0.0}
        """
        return {path: _numbers(part) for path, part in self._inside(_is_entry)}

    def load_state_dict(self, state: dict[str, Numbers]) -> None:
        """Set every parameter to the numbers from `state_dict`.

        Raises ValueError or TypeError, with the name of the entry, if a name is missing or unknown,
        or a shape or type is wrong.  No parameter is changed then.
        """
        if not isinstance(state, dict):
            raise TypeError(f"{self.name}: expected a dict by name, got {type(state).__name__}")
        entries = dict(self._inside(_is_entry))
        missing = [path for path in entries if path not in state]
        unknown = [path for path in state if path not in entries]
        if missing or unknown:
            raise ValueError(
                f"{self.name}: the names do not match; missing: {_listed(missing)}; "
                f"not known: {_listed(unknown)}"
            )
        numbers: dict[Value, float] = {}
        for path, part in entries.items():
            for entry, value, data in _matched(part, state[path], path):
                if value in numbers and numbers[value].hex() != data.hex():
                    raise ValueError(
                        f"{entry}: a shared parameter cannot have two values: {data!r} and "
                        f"{numbers[value]!r}"
                    )
                numbers[value] = data
        # One step, which Ctrl-C cannot split.
        number_writer(numbers, numbers.values())()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to a JSON file, bit for bit; the file is whole or not there.

        It contains only names and numbers, so loading it cannot execute anything.
        """
        storage.write(path, _KIND, self.state_dict())

    def load(self, path: str | os.PathLike[str], *, allow_nonfinite: bool = False) -> None:
        """Set the parameters from a file that `save` wrote for a module of the same shape.

        Raises FileFormatError (a ValueError) if the file is damaged or of another kind, or contains
        inf or nan, unless `allow_nonfinite` is set; ValueError or TypeError if it is for another
        module.  No parameter is changed then.
        """
        state = storage.read(path, _KIND, allow_nonfinite=allow_nonfinite)
        try:
            self.load_state_dict(state)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{os.path.basename(os.fspath(path))}: {error}") from None


def _attributes(module: Module) -> dict[str, Any]:
    return {name: part for name, part in vars(module).items() if not name.startswith("_")}


def _parts(part: Any) -> list[tuple[str, Any]]:
    """(name, part) for everything directly inside a module, a list, a tuple or a dict."""
    if isinstance(part, Module):
        return list(_attributes(part).items())
    if isinstance(part, list | tuple):
        return [(str(i), inner) for i, inner in enumerate(part)]
    if isinstance(part, dict):
        return [(str(key), inner) for key, inner in part.items()]
    return []


def _values(part: Any) -> Iterator[Value]:
    """The leaf Values of an attribute, without those of modules inside it."""
    stack = [part]
    while stack:
        part = stack.pop()
        if _is_leaf(part):
            yield part
        elif not isinstance(part, Module):
            stack += [inner for _, inner in _parts(part)]


def _is_leaf(part: Any) -> bool:
    return isinstance(part, Value) and part.is_leaf


def _is_entry(part: Any) -> bool:
    """Whether it is an entry of the state: a leaf Value, or a list of entries."""
    if isinstance(part, list | tuple) and part:
        return all(map(_is_entry, part))
    return _is_leaf(part)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _numbers(part: Any) -> Numbers:
    return part.data if isinstance(part, Value) else [_numbers(inner) for inner in part]


def _matched(part: Any, entry: Any, path: str) -> Iterator[tuple[str, Value, float]]:
    if isinstance(part, Value):
        if isinstance(entry, bool):
            raise TypeError(f"{path}: expected a number, got {entry!r}")
        yield path, part, number(entry, path)
        return
    entry = sample(entry)
    if not isinstance(entry, list | tuple):
        raise TypeError(f"{path}: expected a list of {len(part)}, got {type(entry).__name__}")
    if len(entry) != len(part):
        raise ValueError(f"{path}: expected {len(part)} entries, got {len(entry)}")
    for i, (inner, inner_entry) in enumerate(zip(part, entry, strict=True)):
        yield from _matched(inner, inner_entry, f"{path}[{i}]")


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"{name!s:.60}" for name in names[:5]) or "none"
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
