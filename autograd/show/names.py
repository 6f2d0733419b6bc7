"""Display names of nodes: the label, else the user's variable, else a short stable one."""

import itertools
import re
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


def _qualified(labels: dict[Value, str]) -> dict[Value, str]:
    """The labels, with scopes in front of those that several scopes have."""
    scopes: dict[str, set[str]] = {}
    for node, label in labels.items():
        scopes.setdefault(label, set()).add(node.scope)
    several = [group for group in scopes.values() if len(group) > 1]
    paths = {scope: _path(scope) for group in several for scope in group if scope}
    # The name of a single network says nothing here.
    one_root = len({path[0] for path in paths.values()}) == 1
    shared = one_root and all(len(path) > 1 for path in paths.values())
    return {
        node: ".".join([*paths[node.scope][shared:], label])
        if node.scope and len(scopes[label]) > 1
        else label
        for node, label in labels.items()
    }


def _path(scope: str) -> list[str]:
    """The parts of a scope as attributes of a model are called: "layer 0" is layers.0.

    >>> _path("mlp/layer 0/neuron 1")
    ['mlp', 'layers.0', 'neurons.1']
    """
    return [re.sub(r"^(\w+) (\d+)$", r"\1s.\2", part) for part in scope.split("/")]


def names(order: list[Value], scope: Mapping[str, Any] | None = None) -> dict[Value, str]:
    """A different name for each node: its label, a variable of `scope`, or v1, v2, ...

    A label stays as it is.  Nodes of different scopes with the same label, such as the weights of a
    network, get their scopes in front of it, as in "layers.0.neurons.1.w0"; a second node with the
    label x in one scope is called "x (2)".  The short names number the unnamed nodes in the given
    order, so the same graph gets the same names in every process.

    >>> w, x = Value(2.0, "w"), Value(3.0)
    >>> y = w * x + 1.0
    >>> from autograd import topological
    >>> list(names(topological(y), {"x": x}).values())
    ['w', 'x', 'v1', 'v2']
    """
    labels = _qualified({node: node.label for node in order if node.label})
    unlabelled = [node for node in order if node not in labels]
    result: dict[Value, str] = {}
    taken: set[str] = set()
    numbers: dict[str, Iterator[int]] = {"": itertools.count(1)}
    by_variable = _variable_names(scope or {}, set(unlabelled))
    for bases in (labels, by_variable, dict.fromkeys(unlabelled, "")):
        reserved = taken.union(bases.values())
        for node, base in bases.items():
            if node in result:
                continue
            name = base
            while not name or name in taken or (name != base and name in reserved):
                k = next(numbers.setdefault(base, itertools.count(2)))
                name = f"{base} ({k})" if base else f"v{k}"
            taken.add(name)
            result[node] = name
    return {node: result[node] for node in order}
