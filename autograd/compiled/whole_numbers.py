"""Whole numbers of a function that is recorded: ints for Python, inputs for a replay."""

import operator
from collections.abc import Callable
from typing import Any

from autograd.compiled.traced import EXACT, RecordingError, Traced
from autograd.ops import Ops
from autograd.value import Value


class Index(Traced):
    """A whole number of a function that is being recorded.

    `select` takes it as an input of the recording, and so does an operation with a number that is
    not whole.  Sums and products of whole numbers are whole numbers again.  Everything else that
    Python can do with an int uses its value, and makes the recording valid for that value only.
    """

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int

    def _detached(self, kinds: int) -> "Index":
        return self

    def specialized(self) -> int:
        """The int; the recording is now valid for this int only."""
        self.recorder.compare("==", self, self.number)
        return int(self.number)

    def __index__(self) -> int:
        return self.specialized()

    def __float__(self) -> float:
        return float(self.specialized())

    def __round__(self, digits: int | None = None) -> int:
        return round(self.specialized(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.specialized(), spec)

    def __repr__(self) -> str:
        return (
            repr(self.specialized()) if self.recorder.running else f"{self.number:.0f} (recorded)"
        )

    def __hash__(self) -> int:
        return hash(self.specialized())

    def __getattr__(self, name: str) -> Any:
        if not hasattr(int, name):
            raise AttributeError(f"a whole number has no {name!r}")
        return getattr(self.specialized(), name)

    def __reduce_ex__(self, protocol: object) -> Any:
        return int, (self.specialized(),)

    def __truediv__(self, other: Any) -> Any:
        if not isinstance(other, Ops) or type(other) is Index:
            _refuse_zero(other)
        return super().__truediv__(other)

    def __rtruediv__(self, other: Any) -> Any:
        _refuse_zero(self)
        return super().__rtruediv__(other)


def _refuse_zero(divisor: Any) -> None:
    """ZeroDivisionError as for ints and floats; whether a recorded number is 0 becomes a guard."""
    if divisor == 0:
        raise ZeroDivisionError("division by zero")


def _is_whole(operand: Any) -> bool:
    return type(operand) is Index or (
        not isinstance(operand, Ops) and hasattr(type(operand), "__index__")
    )


def _is_number(operand: Any) -> bool:
    kind = type(operand)
    return issubclass(kind, Ops) or (hasattr(kind, "__float__") and not hasattr(kind, "__len__"))


def _computed(name: str, python: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    """A method: a recorded whole number if all operands are whole, else the table's result."""
    row: Any = vars(Ops)[name]

    def method(self: Index, *others: Any) -> Any:
        if not all(map(_is_whole, others)):
            if not all(map(_is_number, others)):
                return NotImplemented  # the other operand may be a list, to be repeated
            return row.__get__(self, Index)(*others)
        operands = (*others, self) if reflected else (self, *others)
        numbers = [int(n.number) if type(n) is Index else int(n) for n in operands]
        numbers.append(python(*numbers))
        largest = max(numbers, key=abs)
        if abs(largest) >= EXACT:
            raise RecordingError(
                f"compile: the whole number {largest} is too large to be exact in a float; "
                "compute with it outside of the compiled function"
            )
        recorder = self.recorder
        node = Index(recorder, float(numbers[-1]), None, recorder.note(row.op), operands, 0)
        for n in (*operands, node):
            if type(n) is Index and n.serial not in recorder.bounded:
                recorder.bounded.add(n.serial)
                recorder.compare("<", n, float(EXACT))
                recorder.compare(">", n, -float(EXACT))
        return node

    return method


def _fixed(name: str, python: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    """A method that computes with the int itself; with a node, the table's result."""
    row: Any = vars(Ops).get(name)

    def method(self: Index, *others: Any) -> Any:
        if row is not None and any(type(other) in (Traced, Value) for other in others):
            return row.__get__(self, Index)(*others)
        if not all(map(_is_number, others)):
            return NotImplemented
        operands = (*others, self) if reflected else (self, *others)
        return python(*(n.specialized() if type(n) is Index else n for n in operands))

    return method


for _name in ("add", "sub", "mul"):
    _python = getattr(operator, _name)
    setattr(Index, f"__{_name}__", _computed(f"__{_name}__", _python, False))
    setattr(Index, f"__r{_name}__", _computed(f"__r{_name}__", _python, True))
for _name in ("neg", "pos"):
    setattr(Index, f"__{_name}__", _computed(f"__{_name}__", getattr(operator, _name), False))
for _name in ("pow", "mod", "floordiv", "and", "or", "xor", "lshift", "rshift"):
    _python = getattr(operator, f"__{_name}__")
    setattr(Index, f"__{_name}__", _fixed(f"__{_name}__", _python, False))
    setattr(Index, f"__r{_name}__", _fixed(f"__r{_name}__", _python, True))
for _name, _reflected in (("divmod", False), ("rdivmod", True)):
    setattr(Index, f"__{_name}__", _fixed(f"__{_name}__", divmod, _reflected))
for _name in ("invert", "abs"):
    setattr(Index, f"__{_name}__", _fixed(f"__{_name}__", getattr(operator, _name), False))
for _name in ("int", "trunc", "floor", "ceil"):
    setattr(Index, f"__{_name}__", Index.__index__)
