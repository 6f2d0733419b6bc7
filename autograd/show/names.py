"""Display names of nodes: the label, else the user's variable, else a short stable one."""

import itertools
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from autograd.value import Value

_DEEP = 4  # w[0]["a"][1] is a name one can still read


def variables(frame: FrameType | None) -> dict[str, Any]:
    """What a caller calls things: its globals, and its locals on top of them."""
    if frame is None:
        return {}
    found = {**frame.f_globals, **frame.f_locals}
    return {name: thing for name, thing in found.items() if not name.startswith("_")}


def _found(scope: Mapping[str, Any], wanted: set[Value]) -> dict[Value, str]:
    names: dict[Value, str] = {}
    level: list[tuple[str, Any]] = list(scope.items())
    for _ in range(_DEEP):
        below: list[tuple[str, Any]] = []
        for name, thing in level:
            if isinstance(thing, Value):
                if thing in wanted:
                    names.setdefault(thing, name)
            elif type(thing) in (list, tuple):
                below += [(f"{name}[{i}]", part) for i, part in enumerate(thing)]
            elif type(thing) is dict:
                below += [(f"{name}[{key!r}]", part) for key, part in thing.items()]
            elif hasattr(type(thing), "named_parameters"):
                below += [(f"{name}.{path}", part) for path, part in thing.named_parameters()]
        level = below
    return names


def names(order: list[Value], scope: Mapping[str, Any] | None = None) -> dict[Value, str]:
    """A name for each node, different for each: label, variable of `scope`, or v1, v2, ...

    A label stays as it is, except that the second node with it gets "x (2)".  The short names count
    the unnamed nodes in the given order, so the same graph gets the same names in every process.

    >>> w, x = Value(2.0, "w"), Value(3.0)
    >>> y = w * x + 1.0
    >>> from autograd import topological
    >>> list(names(topological(y), {"x": x}).values())
    ['w', 'x', 'v1', 'v2']
    """
    labels = {node: node.label for node in order if node.label}
    unlabelled = [node for node in order if node not in labels]
    chosen: dict[Value, str] = {}
    taken: set[str] = set()
    numbers: dict[str, Iterator[int]] = {"": itertools.count(1)}
    for given in (labels, _found(scope or {}, set(unlabelled)), dict.fromkeys(unlabelled, "")):
        reserved = taken.union(given.values())
        for node, base in given.items():
            if node in chosen:
                continue
            name = base
            while not name or name in taken or (name != base and name in reserved):
                k = next(numbers.setdefault(base, itertools.count(2)))
                name = f"{base} ({k})" if base else f"v{k}"
            taken.add(name)
            chosen[node] = name
    return {node: chosen[node] for node in order}
