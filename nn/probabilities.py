"""softmax, log_softmax and logsumexp: from logits to probabilities, stable for logits of any size.

All three subtract the largest logit and sum the others with log1p, so that neither overflow nor the
rounding of 1 + tiny costs anything: a right answer by a wide margin still has a loss, and a
gradient, of its true size (4e-18, not 0).
"""

from collections.abc import Sequence
from typing import Any

from autograd import Value
from autograd.ops import Ops

Number = Any  # a float or a Value


def total(terms: Sequence[Number]) -> Number:
    """The sum, without the zero that Python's `sum` would record as a node."""
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def _split(logits: Sequence[Number], what: str) -> tuple[int, list[Number]]:
    """Where the largest logit is, and e^(z - largest) for the others, in order."""
    if not hasattr(logits, "__len__") or not len(logits):
        raise ValueError(f"{what}: expected a sequence of at least one logit, got {logits!r}")
    numbers = [float(z) for z in logits]
    top = numbers.index(max(numbers)) if all(z == z for z in numbers) else 0
    largest = logits[top]
    return top, [Ops.exp(z - largest) for i, z in enumerate(logits) if i != top]


def logsumexp(logits: Sequence[Number]) -> Number:
    """log(e^z1 + ... + e^zn): a smooth maximum.

    -inf if all logits are -inf, with gradients of 0; inf if one is inf.

    >>> logsumexp([Value(1000.0), Value(1000.0)]).data
    1000.6931471805599
    """
    if len(logits) and all(float(z) == float("-inf") for z in logits):
        return Value(float("-inf"))
    top, others = _split(logits, "logsumexp")
    return logits[top] + Ops.log1p(total(others)) if others else logits[top]


def log_softmax(logits: Sequence[Number]) -> list[Number]:
    """log(softmax(logits)), each exact also where the probability rounds to 0 or to 1.

    >>> [z.data for z in log_softmax([Value(1000.0), Value(-1000.0)])]
    [-0.0, -2000.0]
    """
    top, others = _split(logits, "log_softmax")
    if not others:
        return [logits[0] - logits[0]]
    rest = Ops.log1p(total(others))
    return [-rest if i == top else (z - logits[top]) - rest for i, z in enumerate(logits)]


def softmax(logits: Sequence[Number]) -> list[Number]:
    """e^zi / (e^z1 + ... + e^zn): positive numbers that add up to 1.

    A loss is better given the logits themselves (`from_logits=True`): the logarithm of a
    probability that has been rounded cannot be repaired.

    >>> [round(p.data, 4) for p in softmax([Value(1.0), Value(2.0), Value(3.0)])]
    [0.09, 0.2447, 0.6652]
    """
    top, others = _split(logits, "softmax")
    if not others:
        return [1.0 + (logits[0] - logits[0])]
    whole = 1.0 + total(others)
    rest = iter(others)
    return [(1.0 if i == top else next(rest)) / whole for i in range(len(logits))]
