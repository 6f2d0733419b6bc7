"""Display names of nodes: the label, else the user's variable, else a short stable one."""

import itertools
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from autograd.value import Value

_LEVELS = 4  # w[0]["a"][1], with three subscripts, is still readable as a name


def variables(frame: FrameType | None) -> dict[str, Any]:
    """The caller's variables by name: its globals, and its locals on top of them."""
    if frame is None:
        return {}
    scope = {**frame.f_globals, **frame.f_locals}
    return {name: value for name, value in scope.items() if not name.startswith("_")}


def _variable_names(scope: Mapping[str, Any], wanted: set[Value]) -> dict[Value, str]:
    names: dict[Value, str] = {}
    level: list[tuple[str, Any]] = list(scope.items())
    for _ in range(_LEVELS):
        below: list[tuple[str, Any]] = []
        for name, value in level:
            if isinstance(value, Value):
                if value in wanted:
                    names.setdefault(value, name)
            elif type(value) in (list, tuple):
                below += [(f"{name}[{i}]", part) for i, part in enumerate(value)]
            elif type(value) is dict:
                below += [(f"{name}[{key!r}]", part) for key, part in value.items()]
            elif hasattr(type(value), "named_parameters"):
                below += [(f"{name}.{path}", part) for path, part in value.named_parameters()]
        level = below
    return names


def names(order: list[Value], scope: Mapping[str, Any] | None = None) -> dict[Value, str]:
    """A different name for each node: its label, a variable of `scope`, or v1, v2, ...

    A label stays as it is, but a second node with the label x is called "x (2)".  The short names
    number the unnamed nodes in the given order, so the same graph gets the same names in every
    process.

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
    by_variable = _variable_names(scope or {}, set(unlabelled))
    for bases in (labels, by_variable, dict.fromkeys(unlabelled, "")):
        reserved = taken.union(bases.values())
        for node, base in bases.items():
            if node in chosen:
                continue
            name = base
            while not name or name in taken or (name != base and name in reserved):
                k = next(numbers.setdefault(base, itertools.count(2)))
                name = f"{base} ({k})" if base else f"v{k}"
            taken.add(name)
            chosen[node] = name
    return {node: chosen[node] for node in order}
