"""Display names of nodes: the label, else the user's variable, else a short stable one."""

from collections.abc import Mapping
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

    The short names count the unnamed nodes in the given order, so the same graph gets the same
    names in every process.

    >>> w, x = Value(2.0, "w"), Value(3.0)
    >>> y = w * x + 1.0
    >>> from autograd import topological
    >>> list(names(topological(y), {"x": x}).values())
    ['w', 'x', 'v1', 'v2']
    """
    found = _found(scope, set(order)) if scope else {}
    chosen: dict[Value, str] = {}
    taken: set[str] = set()
    count = 0
    for node in order:
        name = node.label or found.get(node, "")
        if not name:
            count += 1
            while f"v{count}" in taken:
                count += 1
            name = f"v{count}"
        base, k = name, 1
        while name in taken:
            k += 1
            name = f"{base} ({k})"
        taken.add(name)
        chosen[node] = name
    return chosen
