"""Random generators that a function may draw from, and whether one of them has moved."""

import pickle
import random
import sys
import types
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from autograd.ops import Ops

_LEVELS, _MOST = 6, 5000  # how deep and at how many objects a generator is looked for
_NO_DOORS = (Ops, str, bytes, int, float, type, types.ModuleType, types.FunctionType)


class Generators:
    """The random generators of Python and NumPy, and those inside some objects, as they are now."""

    def __init__(self, objects: Iterable[Any]) -> None:
        self._found: list[tuple[str, Any]] = [("the module random", random)]
        numpy = sys.modules.get("numpy.random")
        if numpy is not None:
            self._found.append(("numpy.random", numpy.mtrand._rand))
        for one in _inside(objects):
            if isinstance(one, random.Random) or _bits(one) is not None:
                self._found.append((f"a {type(one).__name__} that it holds", one))
        self._before = self._states()

    def moved(self) -> str:
        """Which of them has moved; '' if none has."""
        now = self._states()
        for (name, _), one, other in zip(self._found, self._before, now, strict=True):
            if one != other:
                return name
        return ""

    def _states(self) -> list[Any]:
        return [_state(one) for _, one in self._found]


def _state(generator: Any) -> Any:
    if hasattr(generator, "getstate"):
        try:
            return generator.getstate()
        except NotImplementedError:  # it draws from the operating system
            return None
    return pickle.dumps(_bits(generator).state)


def _bits(generator: Any) -> Any:
    """What drives a generator of NumPy's; None for anything else."""
    found = getattr(generator, "bit_generator", None)
    return getattr(generator, "_bit_generator", None) if found is None else found


def _inside(things: Iterable[Any]) -> Iterator[Any]:
    """The things, and what is in their attributes and containers, some levels deep."""
    level, seen = list(things), set[int]()
    for _ in range(_LEVELS):
        after: list[Any] = []
        for one in level:
            if id(one) in seen or issubclass(type(one), _NO_DOORS) or len(seen) > _MOST:
                continue
            seen.add(id(one))
            yield one
            if isinstance(one, dict):
                after += islice(one.values(), _MOST)
            elif isinstance(one, list | tuple | set | frozenset):
                after += islice(one, _MOST)
            elif type(getattr(one, "__dict__", None)) is dict:
                after += islice(vars(one).values(), _MOST)
        level = after
