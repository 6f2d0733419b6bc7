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


def is_leaf(tree: Tree) -> bool:
    """Whether it is a single number or Value."""
    return not isinstance(tree, _NESTINGS)


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same nesting with function(leaf) in place of each leaf, in order."""
    if is_leaf(tree):
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


def matched(tree: Tree, other: Tree, subject: str) -> list[Any]:
    """The leaves of another nesting with as many leaves; Values stay, numbers become floats."""
    count, numbers = sum(1 for _ in leaves(tree)), list(leaves(other))
    if count != len(numbers):
        raise ValueError(f"{subject}: expected {count} number(s), one for each, got {len(numbers)}")
    return [leaf if isinstance(leaf, Value) else number(leaf, subject) for leaf in numbers]
