"""A user's function on decimals: numbers that stand in the place of its Values."""

from decimal import Decimal
from typing import Any

from autograd.modes import Mode
from autograd.operation import Operation
from autograd.ops import Ops
from autograd.printers import decimals
from autograd.value import Value


class Carrier(Ops):
    """A decimal number that user functions compute with in the place of a Value."""

    def __init__(self, run: "Run", exact: Decimal) -> None:
        self.run, self.exact = run, exact

    @property
    def data(self) -> "Carrier":
        """Itself: what is done with the number still moves the result."""
        return self

    def apply(self, op: Operation, x: Any, y: Any) -> "Carrier":
        """The operation on decimals."""
        return self.run.evaluate(op, [x, y][: op.arity])

    def _other(self, other: Any) -> Decimal:
        return self.run.decimal(other)

    def __lt__(self, other: Any) -> bool:
        return self.exact < self._other(other)

    def __le__(self, other: Any) -> bool:
        return self.exact <= self._other(other)

    def __gt__(self, other: Any) -> bool:
        return self.exact > self._other(other)

    def __ge__(self, other: Any) -> bool:
        return self.exact >= self._other(other)

    def __eq__(self, other: object) -> bool:
        try:
            return self.exact == self._other(other)
        except TypeError:
            return NotImplemented

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return self.exact != 0

    # These are not refused: the function has run on Values before, where no_grad() is known.
    def item(self) -> float:
        """Its number as a double."""
        return float(self)

    def __float__(self) -> float:
        return float(self.exact)

    def __int__(self) -> int:
        return int(float(self))

    def __round__(self, digits: int | None = None) -> Any:
        return self.round() if digits is None else round(float(self), digits)

    # A text may be read again as a number, which is no exact one either.
    def __format__(self, spec: str) -> str:
        return format(float(self), spec)

    def __repr__(self) -> str:
        return repr(float(self))

    def detach(self) -> "Carrier":
        """Itself: a branch cut from the graph still moves the result, and that must show."""
        return self


class Run(Mode):
    """One run of a user's function on decimals: while it is the mode, Values give Carriers too."""

    __slots__ = ("given",)

    def __init__(self, given: dict[Value, Decimal]) -> None:
        super().__init__()
        self.given = given

    @property
    def refuses(self) -> bool:
        """Never: the function has run on Values before, where no_grad() is known."""
        return False

    def child(self, change: str, to: Any) -> "Mode":
        """Itself: scopes do not matter here, and `no_grad` must not hide a branch."""
        return self

    def decimal(self, operand: Any) -> Decimal:
        """The exact decimal of an operand of any kind that may be met."""
        if type(operand) is Carrier:
            return operand.exact
        if isinstance(operand, Value):
            given = self.given.get(operand)
            return Decimal(operand.data) if given is None else given
        if isinstance(operand, Decimal):
            return operand
        if isinstance(operand, float | int):
            return Decimal(operand)
        raise TypeError(f"expected a number, got {type(operand).__name__}")

    def evaluate(self, op: Operation, operands: list[Any]) -> Carrier:
        """The result of an operation."""
        return Carrier(self, decimals.value(op)(*map(self.decimal, operands)))

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Any:
        """A Carrier in the place of the node that a Value's method was about to make."""
        operands: list[Any] = [x if a is None else a]
        if op.arity == 2:
            operands.append(y if b is None else b)
        return self.evaluate(op, operands)
