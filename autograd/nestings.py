"""Nestings of lists, tuples and dicts: their leaves, in order, and the same nesting of others."""

from collections.abc import Callable, Iterator
from typing import Any

from autograd.operands import number
from autograd.value import Value

Tree = Any  # a number, a Value, or a list, tuple or dict of such


def leaves(tree: Tree) -> Iterator[Any]:
    """The numbers and Values of a nesting of lists, tuples and dicts, in order."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            stack += reversed(part.values())
        elif isinstance(part, list | tuple):
            stack += reversed(part)
        else:
            yield part


_NESTINGS = (dict, list, tuple)


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same nesting with function(leaf) in the place of each leaf, in order."""
    if not isinstance(tree, _NESTINGS):
        return function(tree)
    if isinstance(tree, dict):
        return {key: mapped(function, part) for key, part in tree.items()}
    parts = [mapped(function, part) for part in tree]
    if hasattr(tree, "_fields"):
        return type(tree)(*parts)
    return type(tree)(parts)


def rebuilt(tree: Tree, numbers: Iterator[Any]) -> Tree:
    """The same nesting with other leaves, taken in order."""
    return mapped(lambda leaf: next(numbers), tree)


def without_values(tree: Tree) -> Tree:
    """The same nesting with numbers for Values."""
    return mapped(lambda leaf: leaf.data if isinstance(leaf, Value) else leaf, tree)


def matched(tree: Tree, other: Tree, what: str) -> list[Any]:
    """The leaves of another nesting, which must be as many; Values, and numbers as floats."""
    count, numbers = sum(1 for _ in leaves(tree)), list(leaves(other))
    if count != len(numbers):
        raise ValueError(f"{what}: expected {count} number(s), one for each, got {len(numbers)}")
    return [one if isinstance(one, Value) else number(one, what) for one in numbers]
