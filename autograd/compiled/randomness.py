"""Random generators that a function may draw from, and whether any of them has moved."""

import pickle
import random
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from autograd.ops import Ops

# How many levels deep, and among how many objects, generators are searched for.
_SEARCH_DEPTH, _SEARCH_SIZE = 6, 5000
_NOT_SEARCHED = (Ops, str, bytes, int, float, types.ModuleType, types.FunctionType)


class Generators:
    """The random generators of Python, of NumPy and inside some objects, with their states."""

    def __init__(self, objects: Iterable[Any]) -> None:
        self._generators: list[tuple[str, Any]] = [("the module random", random)]
        numpy = sys.modules.get("numpy.random")
        if numpy is not None:
            # NumPy's functions are methods of one generator.
            self._generators.append(("numpy.random", numpy.get_state.__self__))
        for part in _inside(objects):
            if isinstance(part, type):
                continue
            if isinstance(part, random.Random) or _bits(part) is not None:
                self._generators.append((f"a {type(part).__name__} that it holds", part))
        self._before = self._states()

    def moved(self) -> str:
        """The name of a generator that has moved since; '' if none has."""
        for (name, _), before, now in zip(
            self._generators, self._before, self._states(), strict=True
        ):
            if before != now:
                return name
        return ""

    def _states(self) -> list[Any]:
        return [_state(generator) for _, generator in self._generators]


def _state(generator: Any) -> Any:
    if hasattr(generator, "getstate"):
        try:
            return generator.getstate()
        except NotImplementedError:  # it draws from the operating system
            return None
    return pickle.dumps(_bits(generator).state)


def _bits(generator: Any) -> Any:
    """The bit generator behind one of NumPy's generators; None for anything else."""
    # The class is asked, because a model looks for similar names before it says that it has none.
    names = (n for n in ("bit_generator", "_bit_generator") if hasattr(type(generator), n))
    return next((getattr(generator, n) for n in names), None)


def _inside(objects: Iterable[Any]) -> Iterator[Any]:
    """The objects, and what their attributes and containers hold, some levels deep."""
    level, seen = list(objects), set[int]()
    for _ in range(_SEARCH_DEPTH):
        below: list[Any] = []
        for part in level:
            skip = id(part) in seen or issubclass(type(part), _NOT_SEARCHED)
            if skip or len(seen) > _SEARCH_SIZE:
                continue
            seen.add(id(part))
            yield part
            if isinstance(part, dict):
                below += islice(part.values(), _SEARCH_SIZE)
            elif isinstance(part, list | tuple | set | frozenset | deque):
                below += islice(part, _SEARCH_SIZE)
            elif isinstance(part, type):
                below += vars(part).values()
            else:
                below += type(part).__mro__[:-1]
                below += _slots(part)
                if type(getattr(part, "__dict__", None)) is dict:
                    below += islice(vars(part).values(), _SEARCH_SIZE)
        level = below


def _slots(part: Any) -> Iterator[Any]:
    """What an object has in its slots."""
    for kind in type(part).__mro__:
        for slot in vars(kind).values():
            if isinstance(slot, types.MemberDescriptorType):
                yield getattr(part, slot.__name__, None)
