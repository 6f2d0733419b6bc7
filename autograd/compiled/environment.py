"""What a function depends on besides its arguments: its closure, its globals and its defaults.

Numbers are compared by value, and small containers entry by entry.  Values, models and all other
objects are compared by identity, with the plain attributes of an object and of its class.  Of a
module or a class itself, the attributes that the function's code names are like globals.  Anything
deeper is not compared.
"""

import dis
import sys
import sysconfig
import threading
import types
from array import array
from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice, product
from operator import is_
from typing import Any

import numpy as np

from autograd.compiled.traced import OWN
from autograd.ops import Ops

MAX_ENTRIES = 1000  # of all compared containers together; of others only the length is compared
MAX_BYTES = 8192  # of a compared array
MAX_NAMES = 200  # names in a function and in those that it calls
_MAX_STATES = 64  # how many states are remembered; a state that was forgotten counts as new
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_FUNCTIONS = (types.FunctionType, partial, types.MethodType)
_CONTAINERS = (list, tuple, dict, set, frozenset, deque)
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@dataclass
class Snapshot:
    """Everything that is compared, by name, with what it takes to see quickly that it is the same.

    Attributes:
        parts: (name, fingerprint); equal in two snapshots if nothing that is compared has changed.
        kept_alive: the objects whose `id` is in a fingerprint; it must not be used again.
        used: names of attributes in the code of all functions, in order.
        namespaces: modules and classes outside of libraries, with their names, by `id`.
        searched: objects that may hold random generators.
        iterators: names of iterators, which have no state that can be compared.
    """

    parts: list[tuple[str, Any]] = field(default_factory=list)
    kept_alive: list[Any] = field(default_factory=list)
    used: dict[str, None] = field(default_factory=dict)
    namespaces: dict[int, tuple[str, Any]] = field(default_factory=dict)
    searched: list[Any] = field(default_factory=list)
    iterators: list[str] = field(default_factory=list)
    cells: list[tuple[Any, Any]] = field(default_factory=list)
    names: list[tuple[Callable[[str], Any], str, Any]] = field(default_factory=list)
    defaults: list[tuple[Any, Any, Any]] = field(default_factory=list)
    lists: list[tuple[Any, list[Any]]] = field(default_factory=list)
    dicts: list[tuple[Any, list[Any], list[Any]]] = field(default_factory=list)
    contents: list[tuple[Callable[[], Any], Any]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    entries: int = 0

    def is_current(self) -> bool:
        """Whether nothing has changed since; an equal number in a new object may count as changed.

        Every compiled call asks this, so it compares by identity where it can.
        """
        try:
            for cell, value in self.cells:
                if cell.cell_contents is not value:
                    return False
        except ValueError:  # the cell is empty now
            return False
        for get, name, value in self.names:
            if get(name) is not value:
                return False
        for function, values, named in self.defaults:
            if function.__defaults__ is not values or function.__kwdefaults__ is not named:
                return False
        for sequence, entries in self.lists:
            if len(sequence) != len(entries) or not all(map(is_, sequence, entries)):
                return False
        for content, before in self.contents:
            if content() != before:
                return False
        for table, keys, entries in self.dicts:
            if len(table) != len(entries) or not all(map(is_, table.values(), entries)):
                return False
            if not all(map(is_, table, keys)):
                return False
        return True

    # ------------------------------------------------------------------ functions

    def add_function(self, name: str, function: Any) -> None:
        """Add what a function, a method, a `partial` or a callable object depends on."""
        if isinstance(function, partial):
            self.add_value(f"the arguments of {name}", [function.args, function.keywords])
            self.add_function(name, function.func)
        elif isinstance(function, types.MethodType):
            self.add_value(f"the object of {name}", function.__self__)
            self.add_function(name, function.__func__)
        elif isinstance(function, types.FunctionType):
            self._add_code(name, function)
        elif hasattr(function, "__wrapped__"):
            self.add_function(name, function.__wrapped__)
        else:
            self.add_value(name, function)

    def _add_code(self, name: str, function: types.FunctionType) -> None:
        # The compiled function always counts.  Functions that it calls count unless they belong to
        # a library.
        if id(function) in self.seen or (self.parts and _is_library(function)):
            return
        code = function.__code__
        self.seen.add(id(function))
        self.kept_alive.append(function)
        self.parts.append((name, id(code)))
        if function.__defaults__ or function.__kwdefaults__:
            self.defaults.append((function, function.__defaults__, function.__kwdefaults__))
            self.add_value(f"a default of {name}", [function.__defaults__, function.__kwdefaults__])
        self.used |= dict.fromkeys(_names(code, _ATTRIBUTES))
        for n in function.__dict__:
            self._add_plain(f"{name}.{n}", function.__dict__, n)
        for label, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if len(self.parts) > MAX_NAMES:
                return
            try:
                value = cell.cell_contents
            except ValueError:  # the cell is empty
                self.parts.append((label, None))
                continue
            self.cells.append((cell, value))
            self.add_value(label, value)
        for label in _names(code, _GLOBALS):
            if label not in function.__globals__:
                self.names.append((function.__globals__.get, label, None))  # a builtin, so far
            elif len(self.parts) < MAX_NAMES:
                self._add_named(label, function.__globals__, label)

    def _add_named(self, name: str, table: Any, key: str) -> None:
        """Add the value of a key in the dict of a module or a class."""
        self.names.append((table.get, key, table[key]))
        self.add_value(name, table[key])

    def add_used_attributes(self) -> None:
        """Add the attributes of modules and classes that the code names, except those of libraries.

        They are like globals, and may lead to other modules and classes.
        """
        done: set[tuple[int, str]] = set()
        while len(done) < len(self.namespaces) * len(self.used):
            for (name, owner), n in list(product(self.namespaces.values(), self.used)):
                new = (id(owner), n) not in done
                done.add((id(owner), n))
                if new and n in vars(owner) and len(self.parts) < MAX_NAMES:
                    self._add_named(f"{name}.{n}", vars(owner), n)

    # ------------------------------------------------------------------ values

    def add_value(self, name: str, value: Any) -> None:
        """Add a value that a function depends on."""
        self.parts.append((name, self._fingerprint(name, value)))

    def _fingerprint(self, name: str, value: Any) -> Any:
        """What is compared of a value, as something hashable."""
        kind = type(value)  # not `isinstance`, which takes a recorded number for a Value
        if issubclass(kind, _PLAIN):
            return kind, _text(value)
        if id(value) in self.seen:
            return "again", id(value)
        self.kept_alive.append(value)
        if issubclass(kind, _CONTAINERS):
            self.seen.add(id(value))
            return self._container(name, value)
        if issubclass(kind, np.ndarray):
            return self._array(value)
        if issubclass(kind, bytearray | array):
            return self._content(partial(bytes, value), len(value), value)
        if issubclass(kind, types.ModuleType | type):
            for owner in getattr(value, "__mro__", (value,)):
                if not _is_library(owner):
                    self.namespaces[id(owner)] = name, owner
        elif issubclass(kind, types.BuiltinFunctionType):
            self.add_value(f"the object of {name}", value.__self__)
        elif hasattr(value, "__wrapped__") or kind in _FUNCTIONS:
            self.add_function(name, value)
        elif not issubclass(kind, Ops):
            if hasattr(kind, "__next__") and not hasattr(value, "__dict__"):
                self.iterators.append(name)
            self.searched.append(value)
            if issubclass(kind, UserDict | UserList | ChainMap):
                return self._fingerprint(name, vars(value))
            self._add_attributes(name, value)
        return "same", id(value)

    def _container(self, name: str, value: Any) -> Any:
        size = len(value)
        if self.entries + size > MAX_ENTRIES:
            self.contents.append((value.__len__, size))
            self.searched += islice(value, MAX_ENTRIES)
            return "long", id(value), size
        self.entries += size
        if isinstance(value, set | frozenset):
            self.contents.append((partial(value.__eq__, set(value)), True))
            return type(value), frozenset(self._fingerprint(name, part) for part in value)
        if isinstance(value, dict):
            keys, parts = list(value), list(value.values())
            self.dicts.append((value, keys, parts))
            within = [*keys, *parts]
        else:
            within = list(value)
            if type(value) is not tuple:
                self.lists.append((value, within))
        return type(value), tuple(self._fingerprint(name, part) for part in within)

    def _array(self, value: Any) -> Any:
        if value.dtype.hasobject:
            self.kept_alive += value.ravel().tolist()
        return self._content(partial(_array_content, value), value.nbytes, value)

    def _content(self, read: Callable[[], Any], size: int, value: Any) -> Any:
        """What `read` gives; of a large object, the size and the identity."""
        if size > MAX_BYTES:
            return "long", id(value), size, str(getattr(value, "dtype", ""))
        content = read()
        self.contents.append((read, content))
        return type(value), content

    def _add_attributes(self, name: str, value: Any) -> None:
        """Add the plain attributes of an object and of its class, and the methods of its class."""
        self.seen.add(id(value))
        own = getattr(value, "__dict__", None)
        if type(own) is not dict:
            own = {}
        kinds = type(value).__mro__[:-1]
        # What a library keeps for itself may change in every call.
        internal = {n for kind in kinds if _is_library(kind) for n in vars(kind) if n[:1] == "_"}
        for n in own:
            if n not in internal and not (n[:1] == "_" and _is_library(kinds[0])):
                self._add_plain(f"{name}.{n}", own, n)
        for kind in kinds:
            table = vars(kind)
            for n, part in islice(table.items(), 64):
                if type(part) is types.FunctionType:
                    if n[:2] != "__" or n == "__call__":
                        self._add_code(f"{name}.{n}", part)
                elif type(part) is types.MemberDescriptorType:
                    self._add_plain(f"{name}.{n}", _Slots(value), n)
                elif n not in internal:
                    self._add_plain(f"{name}.{n}", table, n)
                    if n not in own:
                        self.names.append((own.get, n, None))  # it does not hide that of the class

    def _add_plain(self, name: str, table: Any, key: str) -> None:
        """Add the value of a key if it is plain, such as a number or text."""
        part = table.get(key)
        if key[:2] != "__" and issubclass(type(part), _PLAIN):
            self.names.append((table.get, key, part))
            self.add_value(name, part)


class _Slots:
    """The attributes of an object, read like a dict."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self, name: str) -> Any:
        """An attribute; None if it is not set."""
        return getattr(self.value, name, None)


def _array_content(value: Any) -> Any:
    return value.shape, value.dtype.str, value.tobytes()


class Environment:
    """What a function depends on besides its arguments, as a number for each state of it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._latest: tuple[Snapshot, int] | None = None
        self._states: OrderedDict[Any, tuple[int, Snapshot]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def state(self) -> int:
        """A number for the current state; it changes when anything that is compared changes."""
        latest = self._latest
        if latest is not None and latest[0].is_current():
            return latest[1]
        snapshot = self.snapshot()
        with self._lock:
            key = tuple(snapshot.parts)
            known = self._states.pop(key, None)
            if known is None:
                self._count += 1
            number = self._count if known is None else known[0]
            self._states[key] = number, snapshot
            if len(self._states) > _MAX_STATES:
                self._states.popitem(last=False)
            self._latest = snapshot, number
        return number

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        snapshot = Snapshot()
        name = getattr(self.function, "__name__", "the function")
        snapshot.add_function(name, self.function)
        snapshot.add_used_attributes()
        return snapshot

    @staticmethod
    def changed(before: Snapshot, after: Snapshot) -> str:
        """The name of something that differs; '' if nothing does."""
        tables: list[dict[str, list[Any]]] = [{}, {}]
        for table, snapshot in zip(tables, (before, after), strict=True):
            for name, part in snapshot.parts:
                table.setdefault(name, []).append(part)
        old, new = tables
        return next((name for name in old | new if old.get(name) != new.get(name)), "")


def _is_library(part: Any) -> bool:
    """Whether a function, class or module belongs to Python, an installed package, or this one."""
    module = part.__name__ if isinstance(part, types.ModuleType) else part.__module__ or ""
    if module.partition(".")[0] in OWN:
        return True
    if isinstance(part, types.FunctionType):
        return part.__code__.co_filename.startswith(_LIBRARIES)
    path = getattr(sys.modules.get(module, part), "__file__", None)
    return module in sys.stdlib_module_names or (path or "").startswith(_LIBRARIES)


def _text(value: Any) -> Any:
    """A plain value in a form where -0.0 differs from 0.0, and nan equals nan."""
    if isinstance(value, float):
        return float(value).hex()
    if isinstance(value, np.generic):
        return value.tobytes()
    return repr(value) if isinstance(value, complex) else value


@lru_cache(1024)
def _names(code: types.CodeType, steps: tuple[str, ...]) -> tuple[str, ...]:
    """The names in these steps of some code, or of a function defined in it."""
    names: dict[str, None] = {}
    stack = [code]
    while stack:
        code = stack.pop()
        for step in dis.get_instructions(code):
            if step.opname in steps:
                names[step.argval] = None
        stack += [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return tuple(names)
