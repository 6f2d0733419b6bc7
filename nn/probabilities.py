"""softmax, log_softmax and logsumexp: from logits to probabilities, stable for logits of any size.

All three subtract the largest logit and sum the others with log1p, so that neither overflow nor the
rounding of 1 + tiny costs anything: a right answer by a wide margin still has a loss, and a
gradient, of its true size (4e-18, not 0).
"""

import math
import sys
from collections.abc import Sequence
from typing import Any

from autograd import Value, argmax, replaced, select
from autograd.ops import Ops

Number = Any  # a float or a Value
LARGEST = sys.float_info.max  # of all numbers that are not infinite


def total(terms: Sequence[Number]) -> Number:
    """The sum, without the zeros that are plain numbers: Python's `sum` would record them."""
    kept = [term for term in terms if not (type(term) is float and term == 0.0)]
    result = kept[0] if kept else 0.0
    for term in kept[1:]:
        result = result + term
    return result


def shifted(logits: Sequence[Number], what: str) -> tuple[list[Number], Any]:
    """z - largest for each logit, and where the largest is.

    The largest one's own difference is the number 0, not a node: it has no derivative.
    """
    if not hasattr(logits, "__len__") or not len(logits):
        raise ValueError(f"{what}: expected a sequence of at least one logit, got {logits!r}")
    top = argmax(logits)
    largest = select(logits, top)
    return replaced([z - largest for z in logits], top, 0.0), top


def _others(raised: Sequence[Number], top: Any) -> Number:
    """What is added to e^0 = 1, which by itself would drown them."""
    return total(replaced(raised, top, 0.0))


def log_normalizer(apart: Sequence[Number], top: Any) -> Number:
    """log(e^d1 + ... + e^dn) of what `shifted` gave."""
    return Ops.log1p(_others([Ops.exp(d) for d in apart], top))


def logsumexp(logits: Sequence[Number]) -> Number:
    """log(e^z1 + ... + e^zn): a smooth maximum.

    -inf if all logits are -inf, with gradients of 0; inf if some are inf, which then share the
    gradient.

    >>> logsumexp([Value(1000.0), Value(1000.0)]).data
    1000.6931471805599
    """
    apart, top = shifted(logits, "logsumexp")
    largest = select(logits, top)
    if largest < -LARGEST:
        return Value(-math.inf)
    if largest > LARGEST:  # inf - inf is no distance; nan counts, too
        without_end = [z for z in logits if not z < math.inf]
        return total(without_end) / len(without_end)
    return largest + log_normalizer(apart, top) if len(logits) > 1 else largest


def log_softmax(logits: Sequence[Number]) -> list[Number]:
    """log(softmax(logits)), each exact also where the probability rounds to 0 or to 1.

    >>> [z.data for z in log_softmax([Value(1000.0), Value(-1000.0)])]
    [0.0, -2000.0]
    """
    if len(logits) == 1:
        return [logits[0] - logits[0]]
    apart, top = shifted(logits, "log_softmax")
    rest = log_normalizer(apart, top)
    return [d - rest for d in apart]


def softmax(logits: Sequence[Number]) -> list[Number]:
    """e^zi / (e^z1 + ... + e^zn): positive numbers that add up to 1.

    A loss is better given the logits themselves (`from_logits=True`): the logarithm of a
    probability that has been rounded cannot be repaired.

    >>> [round(p.data, 4) for p in softmax([Value(1.0), Value(2.0), Value(3.0)])]
    [0.09, 0.2447, 0.6652]
    """
    if len(logits) == 1:
        return [1.0 + (logits[0] - logits[0])]
    apart, top = shifted(logits, "softmax")
    raised = [Ops.exp(d) for d in apart]
    whole = 1.0 + _others(raised, top)
    return [e / whole for e in raised]
