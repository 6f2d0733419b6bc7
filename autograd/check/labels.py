"""The names of the numbers that a check is about: arguments with paths into them, parameters."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autograd.nestings import Tree
from autograd.show.names import names
from autograd.value import Value


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of f's first arguments; x0, x1, ... where they are unknown.

    >>> argument_names(lambda w, *xs: w, 3), argument_names(lambda *args: 0.0, 2)
    (['w', 'xs[0]', 'xs[1]'], ['x0', 'x1'])
    """
    declared: list[inspect.Parameter] = []
    callable_: Any = f
    # An operation has a signature on `__call__` alone, and a function has none there.
    for called in (f,) if inspect.isfunction(f) else (callable_.__call__, f):
        with contextlib.suppress(TypeError, ValueError):  # C functions may have no signature
            declared = list(inspect.signature(called).parameters.values())
    own = [p.name for p in declared if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in declared if p.kind is p.VAR_POSITIONAL), "args")
    others = range(len(own), count)
    if rest == "args":  # says nothing
        return own[:count] + [f"x{i}" for i in others]
    return own[:count] + [f"{rest}[{i - len(own)}]" for i in others]


def paths(arguments: Sequence[str], inputs: Sequence[Tree]) -> Iterator[str]:
    """The path of each leaf of the inputs: w, x[2], p['w'].

    >>> list(paths(["w", "p"], [1.0, {"b": [2.0, 3.0]}]))
    ['w', "p['b'][0]", "p['b'][1]"]
    """
    stack: list[tuple[str, Tree]] = list(zip(arguments, inputs, strict=True))[::-1]
    while stack:
        path, part = stack.pop()
        if isinstance(part, dict):
            stack += [(f"{path}[{key!r}]", child) for key, child in part.items()][::-1]
        elif isinstance(part, list | tuple):
            stack += [(f"{path}[{i}]", child) for i, child in enumerate(part)][::-1]
        else:
            yield path


def named_parameters(parameters: Any) -> list[tuple[str, Value]]:
    """The parameters of a module, a dict or a list, with their names; none for None.

    Raises TypeError for a list with anything but Values in it.

    >>> [name for name, _ in named_parameters([Value(1.0, "w"), Value(2.0, "w"), Value(3.0)])]
    ['w', 'w (2)', 'v1']
    """
    if parameters is None:
        return []
    if hasattr(parameters, "named_parameters"):
        return list(parameters.named_parameters())
    if isinstance(parameters, dict):
        return list(parameters.items())
    order = list(parameters)
    for parameter in order:
        if not isinstance(parameter, Value):
            raise TypeError(f"parameters must be Values, got {type(parameter).__name__}")
    return [(name, node) for node, name in names(order).items()]
