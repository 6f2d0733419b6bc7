"""`where` and `clip`: a choice between two numbers, and a number limited to a range."""

from typing import Any

from autograd.operands import number
from autograd.ops import Ops
from autograd.value import leaf_of

Number = Any  # a float or a Value


def where(condition: Number, a: Number, b: Number) -> Number:
    """a if the condition is true, else b; only the operand that is chosen gets a gradient.

    The condition is one truth value, such as a comparison, or a number that is 1 or 0; it gets no
    gradient.  The result is a Value if a or b is a Value, else a float.  Both are computed before
    the choice, but an inf or nan in the other operand changes neither the value nor the gradient.
    Inside a compiled function the choice is a guard, as with `if`.

    Raises TypeError for an operand that is not a number, ValueError for a condition other than 0
    and 1.

    >>> from autograd import Value
    >>> x = Value(-1.0)
    >>> y = where(x > 0.0, x.sqrt(), 3.0 * x)
    >>> y.backward()
    >>> y.data, x.grad
    (-3.0, 3.0)
    """
    a, b = (v if isinstance(v, Ops) else number(v, "where") for v in (a, b))
    chosen, other = (a, b) if _holds(condition) else (b, a)
    # A number beside a Value becomes a leaf: the result has a `.grad` whichever is chosen.
    return chosen if _is_value(chosen) or not _is_value(other) else leaf_of(chosen)


def _is_value(operand: Number) -> bool:
    """Whether it is a Value; a recording that tests this serves only calls of the same kind."""
    tell = getattr(operand, "tell_plain", None)
    return isinstance(operand, Ops) and not (tell is not None and tell())


def _holds(condition: Number) -> bool:
    c: Any = condition if isinstance(condition, Ops) else number(condition, "where's condition")
    # No ==: inside a compiled function each of these comparisons is a guard.
    if c >= 1.0 and c <= 1.0:
        return True
    if c >= 0.0 and c <= 0.0:
        return False
    raise ValueError(
        f"where: the condition must be true or false (1 or 0), got {condition!r}; "
        "write a comparison, as in where(x > 0, a, b)"
    )


def clip(x: Number, low: Number, high: Number) -> Number:
    """x, limited to the range from low to high: minimum(maximum(x, low), high).

    The slope in x is 1 between the bounds, 0 outside, and 1/2 at a bound, where x and the bound
    are a tie.  The bounds may be Values: a bound that is the result gets the gradient.  nan stays
    nan.

    Raises TypeError for an operand that is not a number, ValueError if low is above high.

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
        raise ValueError(f"clip: lower bound {low!r} is above upper bound {high!r}; swap them")
    raised: Any = Ops.maximum(x, low)
    return Ops.minimum(raised, high)
