"""Nestings of lists, tuples and dicts: their leaves, and the same nesting with other leaves."""

from collections.abc import Callable, Iterator
from itertools import repeat
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


def in_order(tree: Tree, other: Tree) -> Tree:
    """The other nesting, with its dicts in the order of the tree's dicts that have the same keys.

    >>> in_order({"a": 1.0, "b": 2.0}, {"b": 4.0, "a": 3.0})
    {'a': 3.0, 'b': 4.0}
    """
    if isinstance(tree, dict) and isinstance(other, dict) and tree.keys() == other.keys():
        return {key: in_order(part, other[key]) for key, part in tree.items()}
    if isinstance(tree, list | tuple) and isinstance(other, list | tuple):
        return [in_order(*parts) for parts in zip(tree, other, strict=False)] + list(
            other[len(tree) :]
        )
    return other


def matched(tree: Tree, other: Tree, subject: str) -> list[Any]:
    """The leaves of another nesting of the same form, in the order of the tree's own leaves.

    Dicts are matched by key.  Values stay, and numbers become floats.

    >>> matched({"a": 1.0, "b": [2.0]}, {"b": [4.0], "a": 3}, "weights")
    [3.0, 4.0]
    """
    found: list[Any] = []
    if not _collect(tree, other, found):
        count, given = (sum(1 for _ in leaves(nesting)) for nesting in (tree, other))
        if count != given:
            raise ValueError(f"{subject}: expected {count} number(s), one for each, got {given}")
        wanted, got = _form(tree), _form(other)
        raise ValueError(f"{subject}: expected the nesting {wanted}, got {got}")
    return [
        leaf if type(leaf) is float or isinstance(leaf, Value) else number(leaf, subject)
        for leaf in found
    ]


def _collect(tree: Tree, other: Tree, found: list[Any]) -> bool:
    """Whether the nestings have one form; the other's leaves are added in the tree's order."""
    if isinstance(tree, list | tuple):
        same = isinstance(other, list | tuple) and len(tree) == len(other)
        return same and all(map(_collect, tree, other, repeat(found)))
    if isinstance(tree, dict):
        same = isinstance(other, dict) and tree.keys() == other.keys()
        return same and all(_collect(part, other[key], found) for key, part in tree.items())
    found.append(other)
    return not isinstance(other, _NESTINGS)


def _form(tree: Tree) -> str:
    """A nesting as text, with * for each number: {'a': *, 'b': [*, *]}."""
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{key!r}: {_form(part)}' for key, part in tree.items())}}}"
    if isinstance(tree, list | tuple):
        return f"[{', '.join(map(_form, tree))}]"
    return "*"
