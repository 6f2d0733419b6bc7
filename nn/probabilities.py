"""softmax, log_softmax and logsumexp: from logits to probabilities, stable for logits of any size.

All three subtract the largest logit and sum the others with log1p.  Nothing overflows, and 1 + tiny
is not rounded to 1: even a very confident correct answer has the exact loss and gradient (4e-18,
not 0).
"""

import math
import sys
from collections.abc import Sequence
from typing import Any

from autograd import Value, argmax, replaced, select
from autograd.ops import Ops
from autograd.options import as_float
from nn.module import grouping, taught

Number = Any  # a float or a Value
_ALL = "sum_j(e**z_j)"
PROBABILITY = f"p_i = e**z_i / {_ALL}"  # the meaning of p_i in a loss's formula
LARGEST = sys.float_info.max  # the largest finite number


def total(terms: Sequence[Number]) -> Number:
    """The sum, without plain zeros, which Python's `sum` would record as operations."""
    others = [term for term in terms if not (type(term) is float and term == 0.0)]
    result = others[0] if others else 0.0
    for term in others[1:]:
        result = result + term
    return result


def shifted(logits: Sequence[Number], name: str) -> tuple[list[Number], Any]:
    """z - largest for each logit, and the index of the largest.

    The difference of the largest itself is the number 0, not a node, because it has no derivative.
    """
    logits = _listed(logits, name)
    top = argmax(logits)
    largest = select(logits, top)
    return replaced([z - largest for z in logits], top, 0.0), top


def _listed(logits: Any, name: str) -> list[Number]:
    if not hasattr(logits, "__len__") or not len(logits):
        raise ValueError(f"{name}: expected a sequence of at least one logit, got {logits!r}")
    return [z if isinstance(z, Ops) else as_float(z, f"{name}: logit") for z in logits]


def _is_one(logits: Any) -> bool:
    return hasattr(logits, "__len__") and len(logits) == 1


def _others(raised: Sequence[Number], top: Any) -> Number:
    """The sum without e^0 = 1, in which small terms would be lost."""
    return total(replaced(raised, top, 0.0))


def log_normalizer(apart: Sequence[Number], top: Any) -> Number:
    """log(e^d1 + ... + e^dn) for the differences from `shifted`."""
    return Ops.log1p(_others([Ops.exp(d) for d in apart], top))


@grouping
def logsumexp(logits: Sequence[Number]) -> Number:
    """log(e^z1 + ... + e^zn): a smooth maximum.

    If all logits are -inf it is -inf, with gradients of 0.  If some are inf it is inf, and they
    share the gradient.

    >>> logsumexp([Value(1000.0), Value(1000.0)]).data
    1000.6931471805599
    """
    logits = _listed(logits, "logsumexp")
    apart, top = shifted(logits, "logsumexp")
    largest = select(logits, top)
    if largest < -LARGEST:
        return Value(-math.inf)
    if largest > LARGEST:  # inf - inf is nan; a nan among the logits also counts
        without_end = [z for z in logits if not z < math.inf]
        return total(without_end) / len(without_end)
    if _is_one(logits):
        return largest
    return taught(largest + log_normalizer(apart, top), "log(sum_j(e**z_j))")


@grouping
def log_softmax(logits: Sequence[Number]) -> list[Number]:
    """log(softmax(logits)), exact even for probabilities that round to 0 or 1.

    >>> [z.data for z in log_softmax([Value(1000.0), Value(-1000.0)])]
    [0.0, -2000.0]
    """
    if _is_one(logits):
        return [logits[0] - logits[0]]
    apart, top = shifted(logits, "log_softmax")
    normalizer = log_normalizer(apart, top)
    formula = f"log(e**z_{{}} / {_ALL})"
    return [taught(d - normalizer, formula.format(i)) for i, d in enumerate(apart)]


@grouping
def softmax(logits: Sequence[Number]) -> list[Number]:
    """e^zi / (e^z1 + ... + e^zn): positive numbers that add up to 1.

    Give a loss the logits instead (`from_logits=True`): the logarithm of a rounded probability is
    not exact.

    >>> [round(p.data, 4) for p in softmax([Value(1.0), Value(2.0), Value(3.0)])]
    [0.09, 0.2447, 0.6652]
    """
    if _is_one(logits):
        return [1.0 + (logits[0] - logits[0])]
    apart, top = shifted(logits, "softmax")
    raised = [Ops.exp(d) for d in apart]
    denominator = 1.0 + _others(raised, top)
    return [taught(e / denominator, f"e**z_{i} / {_ALL}") for i, e in enumerate(raised)]
