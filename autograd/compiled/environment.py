"""What a function depends on beside its arguments: its closure, its globals, its defaults.

Numbers are compared by value and small containers entry by entry; Values, models and anything else
by identity, with the plain attributes of an object.  What lies deeper is not seen.
"""

import dis
import sysconfig
import threading
import types
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from operator import is_
from typing import Any

import numpy as np

from autograd.ops import Ops

ENTRIES = 1000  # of all containers together that are compared; of longer ones only the length
BYTES = 8192  # of an array that is compared
PLACES = 200  # names in a function, and in those that it calls
_KEPT = 64  # states that are told apart; after more of them an old one counts as new
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_OPAQUE = (Ops, type, types.ModuleType, types.BuiltinFunctionType)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@dataclass
class _Walk:
    """One look at everything: what is there, by name, and how to see quickly that it is the same.

    Attributes:
        parts: (name, what it is): equal for two walks if nothing that is compared has changed.
        held: the objects whose identity is a part of that; they must not be freed.
        found: objects that may hold random generators.
    """

    parts: list[tuple[str, Any]] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    cells: list[tuple[Any, Any]] = field(default_factory=list)
    names: list[tuple[Callable[[str], Any], str, Any]] = field(default_factory=list)
    defaults: list[tuple[Any, Any, Any]] = field(default_factory=list)
    lists: list[tuple[Any, list[Any]]] = field(default_factory=list)
    dicts: list[tuple[Any, list[Any], list[Any]]] = field(default_factory=list)
    sets: list[tuple[Any, Any]] = field(default_factory=list)
    arrays: list[tuple[Any, bytes]] = field(default_factory=list)
    lengths: list[tuple[Any, int]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    entries: int = 0

    def is_same(self) -> bool:
        """Whether everything is as it was; a number that was put in anew may count as another."""
        try:
            for cell, value in self.cells:
                if cell.cell_contents is not value:
                    return False
        except ValueError:  # a cell that is empty now
            return False
        for get, name, value in self.names:
            if get(name) is not value:
                return False
        for one, values, named in self.defaults:
            if one.__defaults__ is not values or one.__kwdefaults__ is not named:
                return False
        for one, entries in self.lists:
            if len(one) != len(entries) or not all(map(is_, one, entries)):
                return False
        for one, keys, entries in self.dicts:
            if len(one) != len(entries) or not all(map(is_, one.values(), entries)):
                return False
            if not all(map(is_, one, keys)):
                return False
        for one, before in self.sets:
            if one != before:
                return False
        for one, data in self.arrays:
            if one.tobytes() != data:
                return False
        return not self.lengths or all(len(one) == length for one, length in self.lengths)

    # ------------------------------------------------------------------ functions

    def function(self, name: str, one: Any) -> None:
        """What a function, a method, a `partial` or an object that can be called depends on."""
        if isinstance(one, partial):
            self.see(f"the arguments of {name}", [one.args, one.keywords])
            self.function(name, one.func)
        elif isinstance(one, types.MethodType):
            self.see(f"the object of {name}", one.__self__)
            self.function(name, one.__func__)
        elif isinstance(one, types.FunctionType):
            self._code(name, one)
        elif hasattr(one, "__wrapped__"):
            self.function(name, one.__wrapped__)
        else:
            self.see(name, one)

    def _code(self, name: str, one: types.FunctionType) -> None:
        # The function itself counts whoever wrote it, those that it calls only if they are no
        # library's.
        if id(one) in self.seen or (self.parts and _is_library(one)):
            return
        self.seen.add(id(one))
        self.held.append(one)
        self.parts.append((name, id(one.__code__)))
        if one.__defaults__ or one.__kwdefaults__:
            self.defaults.append((one, one.__defaults__, one.__kwdefaults__))
            self.see(f"a default of {name}", [one.__defaults__, one.__kwdefaults__])
        for label, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=True):
            if len(self.parts) > PLACES:
                return
            try:
                value = cell.cell_contents
            except ValueError:  # nothing is in it yet
                self.parts.append((label, None))
                continue
            self.cells.append((cell, value))
            self.see(label, value)
        names = [n for n in _global_names(one.__code__) if n in one.__globals__]
        for label in names[: max(0, PLACES - len(self.parts))]:
            self.names.append((one.__globals__.get, label, one.__globals__[label]))
            self.see(label, one.__globals__[label])

    # ------------------------------------------------------------------ values

    def see(self, name: str, value: Any) -> None:
        """Something that a function depends on."""
        self.parts.append((name, self._print(name, value)))

    def _print(self, name: str, value: Any) -> Any:
        """What is compared of a value, as something that can be hashed."""
        kind = type(value)  # not `isinstance`: a number that is recorded claims to be another
        if issubclass(kind, _PLAIN):
            return kind, _text(value)
        if id(value) in self.seen:
            return "again", id(value)
        self.held.append(value)
        if issubclass(kind, list | tuple | dict | set | frozenset):
            self.seen.add(id(value))
            return self._container(name, value)
        if issubclass(kind, np.ndarray):
            return self._array(value)
        if issubclass(kind, _OPAQUE):
            return "same", id(value)
        if hasattr(value, "__wrapped__") or kind in (types.FunctionType, partial, types.MethodType):
            self.function(name, value)
        else:
            self.found.append(value)
            self._object(name, value)
        return "same", id(value)

    def _container(self, name: str, value: Any) -> Any:
        size = len(value)
        if self.entries + size > ENTRIES:
            self.lengths.append((value, size))
            self.found += islice(value, ENTRIES)
            return "long", id(value), size
        self.entries += size
        if isinstance(value, set | frozenset):
            self.sets.append((value, set(value)))
            return type(value), frozenset(self._print(name, part) for part in value)
        if isinstance(value, dict):
            keys, parts = list(value), list(value.values())
            self.dicts.append((value, keys, parts))
            within = [*keys, *parts]
        else:
            within = list(value)
            if type(value) is not tuple:
                self.lists.append((value, within))
        return type(value), tuple(self._print(name, part) for part in within)

    def _array(self, value: Any) -> Any:
        if value.nbytes > BYTES:
            return "long", id(value), value.shape, value.dtype.str
        data = value.tobytes()
        self.arrays.append((value, data))
        if value.dtype.hasobject:
            self.held += value.ravel().tolist()
        return value.shape, value.dtype.str, data

    def _object(self, name: str, value: Any) -> None:
        """The plain attributes of an object, but for those that start with '_', and its methods."""
        table = getattr(value, "__dict__", None)
        if type(table) is not dict or id(value) in self.seen:
            return
        self.seen.add(id(value))
        names: dict[str, None] = {}
        for one in (table, *map(vars, type(value).__mro__[:-1])):
            for n, part in islice(one.items(), 64):
                if n[:1] == "_":
                    continue
                if issubclass(type(part), _PLAIN):
                    names[n] = None
                elif type(part) is types.FunctionType and one is not table:
                    self._code(f"{name}.{n}", part)
        for n in names:
            self.names.append((table.get, n, table.get(n)))
            self.see(f"{name}.{n}", getattr(value, n, None))


class Environment:
    """What a function depends on beside its arguments, as a number for each state of it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._latest: tuple[_Walk, int] | None = None
        self._states: OrderedDict[Any, tuple[int, _Walk]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def state(self) -> int:
        """A number that is another one when anything that is compared has changed."""
        latest = self._latest
        if latest is not None and latest[0].is_same():
            return latest[1]
        walk = self.walk()
        with self._lock:
            key = tuple(walk.parts)
            known = self._states.pop(key, None)
            if known is None:
                self._count += 1
            number = self._count if known is None else known[0]
            self._states[key] = number, walk
            if len(self._states) > _KEPT:
                self._states.popitem(last=False)
            self._latest = walk, number
        return number

    def walk(self) -> _Walk:
        """Everything as it is now."""
        made = _Walk()
        made.function(getattr(self.function, "__name__", "the function"), self.function)
        return made

    @staticmethod
    def changed(before: _Walk, after: _Walk) -> str:
        """The name of what is not the same in both; '' if nothing."""
        for (name, one), (_, other) in zip(before.parts, after.parts, strict=False):
            if one != other:
                return name
        longer = max(before.parts, after.parts, key=len)
        same = len(before.parts) == len(after.parts)
        return "" if same else longer[min(len(before.parts), len(after.parts))][0]


def _is_library(one: types.FunctionType) -> bool:
    """Whether a function comes with Python, an installed package, or this one."""
    package = (one.__module__ or "").partition(".")[0]
    return package in ("autograd", "nn") or one.__code__.co_filename.startswith(_LIBRARIES)


def _text(value: Any) -> Any:
    """A number so that the zeros differ and nan is itself."""
    if isinstance(value, float):
        return float(value).hex()
    if isinstance(value, np.generic):
        return value.tobytes()
    return repr(value) if isinstance(value, complex) else value


@lru_cache(1024)
def _global_names(code: types.CodeType) -> tuple[str, ...]:
    """The globals that some code and what is defined in it refer to."""
    names: dict[str, None] = {}
    stack = [code]
    while stack:
        one = stack.pop()
        for step in dis.get_instructions(one):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                names[step.argval] = None
        stack += [part for part in one.co_consts if isinstance(part, types.CodeType)]
    return tuple(names)
