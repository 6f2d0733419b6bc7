"""What an operation can be applied to: nodes, and the real numbers beside them."""

import sys
from typing import Any


class Operand:
    """A `Value`, and what stands for one where it is recorded or checked."""

    __slots__ = ()

    def apply(self, op: Any, x: Any, y: Any) -> Any:
        """The result of `op` on operands of which at least one is of this class."""
        raise NotImplementedError

    def item(self) -> Any:
        """The number alone."""
        raise NotImplementedError


def number(operand: object, what: str) -> float:
    """The operand as a float; TypeError with advice for anything that is not a real number."""
    if isinstance(operand, float | int):
        try:
            return float(operand)
        except OverflowError:
            raise ValueError(f"{what}: the integer is too large for a float") from None
    return _foreign(operand, what)


def _foreign(operand: object, what: str) -> float:
    from numbers import Real  # 1 ms to import, and needed only for numbers of other libraries

    if isinstance(operand, Real):
        return float(operand)
    plain = unboxed(operand)
    if plain is not operand:
        return number(plain, what)
    raise TypeError(refusal(operand, what))


def unboxed(operand: object) -> object:
    """Python's own object for a NumPy scalar or an array without dimensions; others as they are.

    >>> unboxed("text")
    'text'
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(operand, numpy.generic | numpy.ndarray):
        return operand
    if operand.ndim or operand.dtype.char not in "?bhilqBHILQefdFD":  # no dates, no long doubles
        return operand
    found: object = operand.item()
    return found


def item(operand: Any) -> float:
    """The number of a Value, or a plain number as a float, where no gradient is wanted.

    >>> item(2), item(True)
    (2.0, 1.0)
    """
    found: float = operand.item() if isinstance(operand, Operand) else float(operand)
    return found


def is_foreign(operand: object, method: str) -> bool:
    """Whether another class has a reflected `method` of its own, which must be asked.

    Python's text, containers, numbers and arrays are no such classes: they would repeat themselves
    or raise without advice.
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


def refusal(operand: object, what: str) -> str:
    """What to write instead of an operand that is not a real number."""
    kind = type(operand).__name__
    if isinstance(operand, str | bytes):
        advice = "convert it first, as in Value(float(text)); a name goes in Value(data, label=...)"
    elif isinstance(operand, complex):
        advice = "this engine is real; use one Value for the real and one for the imaginary part"
    elif isinstance(operand, list | tuple | set | dict):
        advice = "make one Value per number, as in [Value(d) for d in data]"
    elif hasattr(operand, "__array__"):
        advice = "make one Value per number, as in [Value(d) for d in array.tolist()]"
    elif isinstance(operand, Operand):
        advice = "it is a Value already; v.detach() gives a new leaf with its number"
    else:
        advice = "give a real number"
    return f"{what}: expected a real number, got {kind}; {advice}"
