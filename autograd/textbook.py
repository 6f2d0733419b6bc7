"""Formulas that are taught: a node's own, and the nodes for which it stands in a picture."""

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

Node = Any  # a Value
DETAILS = ("computed", "textbook")

_LONGEST: Final = 1000  # characters; the printers recurse
# A formula is written behind the scope, so it goes wherever a scope goes: to tapes and to files.
_MARK: Final = "\x1f"
_ALLOWED: Final = (
    ast.Module, ast.Expr, ast.Assign, ast.Name, ast.Store, ast.Load, ast.BinOp, ast.Add, ast.Sub,
    ast.Mult, ast.Div, ast.Pow, ast.UnaryOp, ast.USub,
)  # fmt: skip


def place(scope: str) -> str:
    """The scopes alone, without a formula.

    >>> place(with_formula("net/softmax", "e**z / y"))
    'net/softmax'
    """
    return scope.partition(_MARK)[0]


def formula_of(scope: str) -> str:
    """The formula behind a scope; '' if there is none, or another text, as in a forged file.

    >>> formula_of(with_formula("net/softmax", "e**z / y"))
    'e**z / y'
    """
    text = scope.partition(_MARK)[2]
    return text if text and _is_formula(text) else ""


@functools.lru_cache(maxsize=4096)  # a loss sets the same few formulas at every step
def with_formula(scope: str, formula: str) -> str:
    """The scope with a formula behind it.

    Raises ValueError for a node outside any scope, and for a text that is not a formula.
    """
    if not place(scope):
        raise ValueError(
            "formula: the node must be computed inside `with scope(name):`, so that a picture "
            "knows for which operations the formula stands"
        )
    if not _is_formula(formula):
        raise ValueError(
            "formula: expected a text like 'e**z_0 / sum_j(e**z_j)' or '-log(p_1); p_i = ...', "
            f"got {formula!r:.80}"
        )
    return f"{place(scope)}{_MARK}{formula}"


@functools.lru_cache(maxsize=4096)
def _is_formula(text: str) -> bool:
    if not isinstance(text, str) or len(text) > _LONGEST:
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    first = tree.body[0] if tree.body else None
    return isinstance(first, ast.Expr) and all(map(_can_be_printed, ast.walk(tree)))


def _can_be_printed(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and bool(node.args)
    return type(node) in _ALLOWED


@dataclass(frozen=True)
class Part:
    """The nodes that one formula stands for.

    Attributes:
        inner: the result, and the nodes of its scope that it was computed from, results first.
        operands: the nodes outside on which they depend.
    """

    inner: list[Node]
    operands: list[Node]


def shown(order: Sequence[Node], detail: str) -> tuple[list[Node], dict[Node, Part]]:
    """The nodes that a picture shows, operands first, and for a result of a formula its Part.

    Args:
        order: all nodes of a graph, operands first; the last is the root.
        detail: "computed" for every node, or "textbook" for one node in place of each Part.  A Part
            is not replaced if a node inside it is used elsewhere.

    Raises ValueError for another detail.
    """
    if detail not in DETAILS:
        raise ValueError(f"detail must be 'computed' or 'textbook', got {detail!r}")
    parts = _parts(order) if detail == "textbook" else {}
    while True:
        visible = _reached(order, parts)
        leaking = [
            result
            for result, part in parts.items()
            if result in visible and not visible.isdisjoint(part.inner[1:])
        ]
        if not leaking:
            parts = {node: part for node, part in parts.items() if node in visible}
            nodes = _ordered(order[-1], parts) if parts else list(order)
            return nodes, {node: parts[node] for node in nodes if node in parts}
        for result in leaking:
            del parts[result]


def _parts(order: Sequence[Node]) -> dict[Node, Part]:
    index = {node: i for i, node in enumerate(order)}
    parts = {}
    for result in order:
        if result.op is None or not formula_of(result.row.scope):
            continue
        scope = place(result.row.scope)
        inner, operands, stack = {result}, set(), [result]
        while stack:
            for node in stack.pop().parents:
                if node in inner or node in operands:
                    continue
                if _belongs(node, scope):
                    inner.add(node)
                    stack.append(node)
                else:
                    operands.add(node)
        names = {node: f"{place(node.row.scope)}/{node.label}" for node in operands}
        names |= {node: f"{name} {formula_of(node.row.scope)}" for node, name in names.items()}
        parts[result] = Part(
            sorted(inner, key=index.__getitem__, reverse=True),
            sorted(operands, key=lambda node: (natural(names[node]), index[node])),
        )
    return parts


def natural(text: str) -> list[tuple[int, str]]:
    """A key for sorting that puts z2 before z10, and neuron 2 before neuron 10.

    >>> sorted(["z10", "z2"], key=natural)
    ['z2', 'z10']
    """
    pieces = re.findall(r"\d+|\D+", text)
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]


def _belongs(node: Node, scope: str) -> bool:
    """Whether a node was computed inside the scope, and is not a result of another call there."""
    if node.op is None:
        return False
    own = node.row.scope
    return own == scope or place(own).startswith(f"{scope}/")


def _ordered(root: Node, parts: dict[Node, Part]) -> list[Node]:
    """The nodes of a graph in which each Part is one node, operands first."""

    def operands(node: Node) -> Iterator[Node]:
        return iter(parts[node].operands if node in parts else node.parents)

    order, seen, path = [], {root}, [(root, operands(root))]
    while path:
        node, rest = path[-1]
        below = next((operand for operand in rest if operand not in seen), None)
        if below is None:
            order.append(node)
            path.pop()
        else:
            seen.add(below)
            path.append((below, operands(below)))
    return order


def _reached(order: Sequence[Node], parts: dict[Node, Part]) -> set[Node]:
    """The nodes that are left of the last node's graph if each Part is one node."""
    reached = {order[-1]}
    for node in reversed(order):
        if node in reached:
            reached.update(parts[node].operands if node in parts else node.parents)
    return reached
