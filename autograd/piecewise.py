"""`where` and `clip`: one of two numbers, and a number kept between two others."""

from typing import Any

from autograd.operands import number
from autograd.ops import Ops
from autograd.value import leaf_of

Number = Any  # a float or a Value


def where(condition: Number, a: Number, b: Number) -> Number:
    """a if the condition is true, else b; the gradient goes to the one that is taken, and no other.

    The condition is one truth value, such as a comparison, or a number that is 1 or 0; nothing is
    differentiated in it.  The result is a Value if a or b is one, else a float.  Both are computed
    before the choice, but an inf or nan of the other one reaches neither value nor gradient.
    Inside a compiled function the choice is a guard, as with `if`.

    Raises TypeError for what is no number, ValueError for a condition other than 0 and 1.

    >>> from autograd import Value
    >>> x = Value(-1.0)
    >>> y = where(x > 0.0, x.sqrt(), 3.0 * x)
    >>> y.backward()
    >>> y.data, x.grad
    (-3.0, 3.0)
    """
    a, b = (v if isinstance(v, Ops) else number(v, "where") for v in (a, b))
    taken, other = (a, b) if _holds(condition) else (b, a)
    # A number that stands beside a Value may be asked for its gradient, too.
    return taken if _is_value(taken) or not _is_value(other) else leaf_of(taken)


def _is_value(operand: Number) -> bool:
    """Whether it is a Value to the function, whose recording then serves calls of one kind."""
    tell = getattr(operand, "tell_plain", None)
    return isinstance(operand, Ops) and not (tell is not None and tell())


def _holds(condition: Number) -> bool:
    c: Any = condition if isinstance(condition, Ops) else number(condition, "where's condition")
    # Only orders: inside a compiled function each of them is a guard.
    if c >= 1.0 and c <= 1.0:
        return True
    if c >= 0.0 and c <= 0.0:
        return False
    raise ValueError(
        f"where: the condition must be true or false (1 or 0), got {condition!r}; "
        "write a comparison, as in where(x > 0, a, b)"
    )


def clip(x: Number, low: Number, high: Number) -> Number:
    """x, or the bound that it is beyond: minimum(maximum(x, low), high).

    The slope in x is 1 between the bounds, 0 outside, and 1/2 at a bound, where x and the bound
    are a tie.  The bounds may be Values: the one that is taken gets the gradient.  nan stays nan.

    Raises TypeError for what is no number, ValueError for a lower bound above the upper one.

    >>> clip(7.0, 0.0, 1.0), clip(0.25, 0.0, 1.0)
    (1.0, 0.25)
    >>> from autograd import Value
    >>> x = Value(0.25)
    >>> clip(x, 0.0, 1.0).backward()
    >>> x.grad
    1.0
    """
    x, low, high = (v if isinstance(v, Ops) else number(v, "clip") for v in (x, low, high))
    if low > high:
        raise ValueError(f"clip: the lower bound {low!r} is above the upper bound {high!r}")
    raised: Any = Ops.maximum(x, low)
    return Ops.minimum(raised, high)
