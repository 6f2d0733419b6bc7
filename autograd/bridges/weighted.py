"""Another library's gradients of a weighted sum of results, as a claim about a graph of Values."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from autograd.bridges.arrays import Array, array
from autograd.check.claims import Claim, read
from autograd.order import visited
from autograd.value import Value
from nn.probabilities import total


def signature(names: Sequence[str]) -> inspect.Signature:
    """The signature of a function whose arguments have these names in reports."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Signature([inspect.Parameter(name, kind) for name in names])


def weighted_claim(
    results: Callable[[list[Array]], list[Array]],
    inputs: dict[str, Any],
    weights: Sequence[float],
    gradient: list[float],
    parameters: dict[str, Value] | None = None,
) -> Claim | None:
    """The claim that this is the gradient of the sum of weight * result; None without a graph.

    `results` computes arrays of Values from arrays of Values.  The gradient has a number for each
    input, and then for each parameter.  The weighted sum itself counts as right.
    """
    recorded: list[Any] = []

    def f(*given: Any) -> Any:
        recorded[:] = [v for part in results([*map(array, given)]) for v in part.ravel()]
        root = total([w * v for w, v in zip(weights, recorded, strict=True)])
        return root if isinstance(root, Value) else Value(0.0) * 0.0

    f.__signature__ = signature(list(inputs))  # type: ignore[attr-defined]
    claim = read(f, tuple(inputs.values()), gradient, parameters)
    nodes = [v for v in recorded if isinstance(v, Value)]
    if not nodes:
        return None
    own, tape = set(visited(*nodes)[0]), claim.tape
    tape.given = frozenset(i for i in tape.searched if tape.nodes[i] not in own)
    return claim
