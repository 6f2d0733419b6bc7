"""ADJOINT: each node's gradient against the sum over its uses, and backward run twice."""

import math

from autograd.check.accuracy import FLOOR, ROUNDING
from autograd.check.report import hint
from autograd.value import Value, one_pass, restorer

_ADDED = 4  # roundings allowed for each term of a sum


def wrong_sums(
    root: Value,
    inner: list[Value],
    ends: list[Value],
    pulls: dict[Value, list[float]],
    name: dict[Value, str],
) -> tuple[dict[Value, float], dict[Value, tuple[float, float]], list[tuple[Value, str]]]:
    """The engine's gradients, the gradients of `summed`, and the nodes whose gradient is wrong.

    Each wrong node comes with a description of the mistake.
    """
    order = [*inner, *ends]
    with one_pass:
        undo = restorer(order)
        try:
            for node in order:
                node.grad = 0.0
            root.backward()
            first = {node: node.grad for node in order}
            for leaf in ends:
                leaf.grad = 0.0
            root.backward()
            wrong = [
                (node, f"backward twice gives {first[node]!r}, then {node.grad!r}")
                for node in order
                if node.grad.hex() != first[node].hex() and node.grad == node.grad
            ]
        finally:
            undo()
    ours = summed(root, inner, ends, pulls)
    terms: dict[Value, list[float]] = {node: [] for node in order}
    terms[root].append(1.0 if root.data == root.data else math.nan)
    for node in reversed(inner):
        if first[node]:
            for parent, slope in zip((node.a, node.b), pulls[node], strict=False):
                if parent is not None:
                    terms[parent].append(first[node] * slope)
    if any(node.hooks for node in order):
        return first, ours, wrong  # hooks change gradients on purpose
    for node in order:
        gradient, parts = first[node], terms[node]
        total = math.fsum(parts) if all(map(math.isfinite, parts)) else math.nan
        allowed = _ADDED * ROUNDING * (len(parts) + 1) * sum(map(abs, parts)) + FLOOR
        if math.isfinite(total) and not abs(gradient - total) <= allowed:
            uses = ", ".join(f"{part:.6g}" for part in parts)
            wrong.append(
                (
                    node,
                    f"gradient of node {name.get(node, '?')} is {gradient!r}, but its {len(parts)} "
                    f"use(s) add up to {total!r} ({uses}){hint(gradient, total)}: accumulation or "
                    "the order is at fault",
                )
            )
    return first, ours, wrong


def summed(
    root: Value, inner: list[Value], ends: list[Value], pulls: dict[Value, list[float]]
) -> dict[Value, tuple[float, float]]:
    """Each node's gradient, summed over all paths, and the sum of the terms' absolute values."""
    own = dict.fromkeys([*inner, *ends], 0.0)
    size = dict(own)
    size[root] = own[root] = 1.0
    for node in reversed(inner):
        for parent, slope in zip((node.a, node.b), pulls[node], strict=False):
            if parent is not None:
                size[parent] += abs(size[node] * slope) if size[node] else 0.0
                own[parent] += own[node] * slope if own[node] else 0.0
    return {node: (own[node], size[node]) for node in own}
