"""The operands of operations: nodes, and the real numbers beside them."""

import sys
from typing import Any

from autograd.textbook import formula_of, with_formula


class Operand:
    """The base of `Value`, and of what stands for one where it is recorded or checked."""

    __slots__ = ()

    def apply(self, op: Any, x: Any, y: Any) -> Any:
        """The result of `op` on operands of which at least one is of this class."""
        raise NotImplementedError

    def item(self) -> Any:
        """The number alone."""
        raise NotImplementedError

    @property
    def formula(self) -> str:
        """The formula that is taught for this node; empty if it has none.

        A picture with `detail="textbook"` shows the formula in one box, in place of the operations
        of the node's scope.  ";" separates the formula from what its names mean.

        >>> from autograd import Value, scope
        >>> a, b = Value(3.0, "a"), Value(1.0, "b")
        >>> with scope("ratio"):
        ...     z = (a - b) * (1.0 / b)
        >>> z.formula = "a / b - 1"
        """
        node: Any = self
        return formula_of(node.row.scope)

    @formula.setter
    def formula(self, formula: str) -> None:
        node: Any = self
        node.scope = with_formula(node.row.scope, formula)


def number(operand: object, subject: str) -> float:
    """The operand as a float; TypeError with advice for anything that is not a real number.

    `subject` is what the message starts with: the operation, or the argument that is wrong.
    """
    if isinstance(operand, float | int):
        try:
            return float(operand)
        except OverflowError:
            raise ValueError(f"{subject}: the integer is too large for a float") from None
    return _foreign(operand, subject)


def _foreign(operand: object, subject: str) -> float:
    from numbers import Real  # 1 ms to import, and needed only for numbers of other libraries

    if isinstance(operand, Real) and not is_time(operand):
        return float(operand)
    plain = unboxed(operand)
    if plain is not operand:
        return number(plain, subject)
    raise TypeError(refusal(operand, subject))


def is_time(operand: object) -> bool:
    """Whether it is a date or a duration of NumPy, which counts a duration as a whole number."""
    return getattr(getattr(operand, "dtype", None), "kind", None) in ("m", "M")


def unboxed(operand: object) -> object:
    """Python's own object for a NumPy scalar or an array without dimensions, else the operand.

    >>> unboxed("text")
    'text'
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(operand, numpy.generic | numpy.ndarray):
        return operand
    if operand.ndim or operand.dtype.kind not in "biufcO":  # no dates
        return operand
    plain: object = operand.item()
    return float(plain) if isinstance(plain, numpy.longdouble) else plain


def item(operand: Any) -> float:
    """The number of a Value, or a plain number as a float, without a gradient.

    >>> item(2), item(True)
    (2.0, 1.0)
    """
    plain: float = operand.item() if isinstance(operand, Operand) else float(operand)
    return plain


def is_foreign(operand: object, method: str) -> bool:
    """Whether the operand is of another class with a reflected `method` of its own to call.

    Python's text, containers and numbers, and arrays, do not count: their methods would repeat the
    sequence, or raise without advice.
    """
    kind = type(operand)
    return (
        not isinstance(
            operand, Operand | float | int | complex | str | bytes | list | tuple | set | dict
        )
        and kind.__module__ not in ("builtins", "decimal")
        and not hasattr(kind, "__array__")
        and getattr(kind, method, None) not in (None, getattr(object, method, None))
    )


def refusal(operand: object, subject: str) -> str:
    """The message on an operand that is not a real number: what to write instead."""
    kind = type(operand).__name__
    if isinstance(operand, str | bytes):
        advice = "convert it first, as in Value(float(text)); a name goes in Value(data, label=...)"
    elif isinstance(operand, complex):
        advice = "this engine is real; use one Value for the real and one for the imaginary part"
    elif isinstance(operand, list | tuple | set | dict):
        advice = "make one Value per number, as in [Value(d) for d in data]"
    elif hasattr(operand, "__array__") and getattr(operand, "shape", None) != ():
        advice = "make one Value per number, as in [Value(d) for d in array.tolist()]"
    elif isinstance(operand, Operand):
        advice = "it is a Value already; v.detach() gives a new leaf with its number"
    else:
        advice = remedy(operand)[2:] or "give a real number"
    return f"{subject}: expected a real number, got {kind}; {advice}"


def remedy(operand: object) -> str:
    """How to get a plain number out of the operand; '' if it has none."""
    if is_time(operand):
        return ""
    if isinstance(operand, Operand) or getattr(operand, "shape", None) == ():
        return "; write its .item() for the number alone"
    if hasattr(operand, "toarray"):
        return "; write .toarray() for a sparse matrix"
    try:
        float(operand)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return "; write float(...) of it"


def compared(other: Any, node: Any, reflected: str) -> Any:
    """The number to compare a node with; NotImplemented where the other class must decide."""
    if type(other) is node:
        return other.data
    if isinstance(other, Operand):
        return NotImplemented  # another class of operands compares in its own way
    try:
        return number(other, "a comparison")
    except TypeError:
        if is_foreign(other, reflected):
            return NotImplemented
        raise


def equalled(other: Any, node: Any) -> Any:
    """The same for ==: an object that is not a number is not equal, and arrays are refused."""
    if type(other) is node:
        return other.data
    if other is None or isinstance(other, Operand | str | bytes):
        return NotImplemented
    from numbers import Number

    other = unboxed(other)
    if isinstance(other, Number):
        return other
    if hasattr(type(other), "__array__"):
        raise TypeError(refusal(other, "=="))
    return NotImplemented
