"""Nestings of lists, tuples and dicts: their leaves, and the same nesting with other leaves."""

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
    """The same nesting with function(leaf) in place of each leaf, in order."""
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
    """The same nesting with numbers in place of Values."""
    return mapped(lambda leaf: leaf.data if isinstance(leaf, Value) else leaf, tree)


def _leaves_like(tree: Tree, other: Tree, subject: str) -> list[Any]:
    """The leaves of the other nesting, in the tree's order; ValueError for a dict's other keys."""
    if isinstance(tree, dict) or isinstance(other, dict):
        if not isinstance(tree, dict) or not isinstance(other, dict) or set(tree) != set(other):
            raise ValueError(f"{subject}: expected a nesting like {tree!r:.60}, got {other!r:.60}")
        tree, other = list(tree.values()), [other[key] for key in tree]
    both = isinstance(tree, list | tuple) and isinstance(other, list | tuple)
    if not both or len(tree) != len(other):
        return list(leaves(other))
    pairs = zip(tree, other, strict=True)
    return [leaf for pair in pairs for leaf in _leaves_like(*pair, subject)]


def matched(tree: Tree, other: Tree, subject: str) -> list[Any]:
    """The leaves of another nesting with as many leaves; Values stay, numbers become floats.

    Dicts are matched by their keys, in any order.
    """
    count, numbers = sum(1 for _ in leaves(tree)), _leaves_like(tree, other, subject)
    if count != len(numbers):
        raise ValueError(f"{subject}: expected {count} number(s), one for each, got {len(numbers)}")
    return [leaf if isinstance(leaf, Value) else number(leaf, subject) for leaf in numbers]
