"""A user's function in decimal arithmetic: numbers that take the place of its Values."""

from decimal import Decimal
from typing import Any

from autograd.modes import Mode
from autograd.operation import Operation
from autograd.ops import Ops
from autograd.printers import decimals
from autograd.value import Value


class Carrier(Ops):
    """A decimal number that user functions compute with in place of a Value."""

    def __init__(self, run: "Run", exact: Decimal) -> None:
        self.run, self.exact = run, exact

    @property
    def data(self) -> "Carrier":
        """The Carrier itself: what is computed from `.data` still changes the result."""
        return self

    def apply(self, op: Operation, x: Any, y: Any) -> "Carrier":
        """The result of the operation in decimals."""
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

    # Conversions are allowed: the function has run on Values, which refuse them outside no_grad().
    def item(self) -> float:
        """The number as a double."""
        return float(self)

    def __float__(self) -> float:
        return float(self.exact)

    def __int__(self) -> int:
        return int(float(self))

    def __round__(self, digits: int | None = None) -> Any:
        return self.round() if digits is None else round(float(self), digits)

    # The function may parse the text as a number again; like float(), it has a double's digits.
    def __format__(self, spec: str) -> str:
        return format(float(self), spec)

    def __repr__(self) -> str:
        return repr(float(self))

    def detach(self) -> "Carrier":
        """The Carrier itself: a detached branch still changes the result, and the check sees it."""
        return self


class Run(Mode):
    """The mode of one run on decimals; operations on Values return Carriers in it, too."""

    __slots__ = ("exact",)

    def __init__(self, exact: dict[Value, Decimal]) -> None:
        super().__init__()
        self.exact = exact

    @property
    def refuses(self) -> bool:
        """False: the function has run on Values, which refuse conversions outside no_grad()."""
        return False

    def child(self, change: str, to: Any) -> "Mode":
        """This mode itself: scopes do not matter here, and `no_grad` must not hide a branch."""
        return self

    def decimal(self, operand: Any) -> Decimal:
        """The exact decimal of an operand: a Carrier, a Value or a number."""
        if type(operand) is Carrier:
            return operand.exact
        if isinstance(operand, Value):
            exact = self.exact.get(operand)
            return Decimal(operand.data) if exact is None else exact
        if isinstance(operand, Decimal):
            return operand
        if isinstance(operand, float | int):
            return Decimal(operand)
        raise TypeError(f"expected a number, got {type(operand).__name__}")

    def evaluate(self, op: Operation, operands: list[Any]) -> Carrier:
        """The result of an operation, as a Carrier."""
        return Carrier(self, decimals.value(op)(*map(self.decimal, operands)))

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Any:
        """A Carrier in place of the node that a Value's method would record."""
        operands: list[Any] = [x if a is None else a]
        if op.arity == 2:
            operands.append(y if b is None else b)
        return self.evaluate(op, operands)
