"""Why a parameter has its gradient: the paths, the referees and the player of one sample."""

import math
from itertools import groupby
from typing import Any

from autograd import Value, check_gradients, explain, play, topological
from autograd.show.names import names
from autograd.show.page import framed
from autograd.value import restorer
from lab.network import Network
from nn import mse

MOST_PATHS = 8


def _place(node: Value) -> str:
    """The scope in which a node was computed, without the network's own name."""
    return node.scope.removeprefix("mlp/") or node.label


def _stages(path: Any, place: dict[str, str]) -> list[list[Any]]:
    """[scope, the product of the local derivatives in it] along a path, from leaf to loss."""
    steps = zip(path.names[1:], path.locals, strict=True)
    return [
        [scope, math.prod(local for _, local in group)]
        for scope, group in groupby(steps, key=lambda step: place[step[0]])
    ]


def explained(network: Network, name: str, index: int) -> dict[str, Any]:
    """The gradient of one sample's loss in one parameter, explained; nothing changes.

    Raises ValueError for an unknown parameter or sample.
    """
    if name not in network.named or not 0 <= index < len(network.samples):
        raise ValueError(f"no parameter {name!r} or no sample {index}")
    parameters = list(network.named.values())
    undo, leaf = restorer(parameters), network.named[name]
    (x, target), mean = network.samples[index], leaf.grad

    def loss() -> Value:
        total: Value = mse([network.model(x)], [[target]])
        return total

    try:
        for p in parameters:
            p.grad = 0.0
        root = loss()
        root.label = "loss"
        root.backward()
        found = explain(root, leaf, MOST_PATHS)
        order = topological(root)
        place = {text: _place(node) for node, text in names(order, {}).items()}
        report = check_gradients(loss, parameters={name: leaf})
        page = framed(play(root, {}))
    finally:
        undo()
    return {
        "gradient": found.total,
        "mean": mean,
        "count": found.count,
        "paths": [[_stages(p, place), p.product, p.share] for p in found.paths],
        "report": str(report),
        "right": bool(report),
        "page": page,
        "nodes": len(order),
    }
