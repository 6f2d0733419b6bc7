"""Whole numbers of a function that is being recorded: ints to Python, inputs to a replay."""

import operator
from collections.abc import Callable
from typing import Any

from autograd.compiled.traced import EXACT, RecordingError, Traced
from autograd.ops import Ops
from autograd.value import Value


class Index(Traced):
    """A whole number of a function that is being recorded.

    With `select`, and beside a number that is not whole, it stays an input; sums and products of
    whole numbers are whole numbers again.  Anything else that Python does with an int is done with
    the int, and the recording is good for that int alone.
    """

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int

    def _detached(self, kinds: int) -> "Index":
        return self

    def exact(self) -> int:
        """The int, which the recording is good for alone."""
        self.tape.ask("==", self, self.number)
        return int(self.number)

    def __index__(self) -> int:
        return self.exact()

    def __float__(self) -> float:
        return float(self.exact())

    def __round__(self, digits: int | None = None) -> int:
        return round(self.exact(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.exact(), spec)

    def __repr__(self) -> str:
        return repr(self.exact()) if self.tape.running else f"{self.number:.0f} (recorded)"

    def __hash__(self) -> int:
        return hash(self.exact())

    def __getattr__(self, name: str) -> Any:
        if not hasattr(int, name):
            raise AttributeError(f"a whole number has no {name!r}")
        return getattr(self.exact(), name)

    def __reduce_ex__(self, protocol: object) -> Any:
        return int, (self.exact(),)

    def __truediv__(self, other: Any) -> Any:
        if not isinstance(other, Ops) or type(other) is Index:
            _refuse_zero(other)
        return super().__truediv__(other)

    def __rtruediv__(self, other: Any) -> Any:
        _refuse_zero(self)
        return super().__rtruediv__(other)


def _refuse_zero(divisor: Any) -> None:
    """As Python does for numbers that are no Values; whether a recorded one is 0 is a guard."""
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
    """A method that gives a recorded whole number for whole numbers, else what the row gives."""
    found: Any = vars(Ops)[name]

    def method(self: Index, *others: Any) -> Any:
        if not all(map(_is_whole, others)):
            if not all(map(_is_number, others)):
                return NotImplemented  # a list may be repeated so many times
            return found.__get__(self, Index)(*others)
        operands = (*others, self) if reflected else (self, *others)
        numbers = [int(one.number) if type(one) is Index else int(one) for one in operands]
        numbers.append(python(*numbers))
        largest = max(numbers, key=abs)
        if abs(largest) >= EXACT:
            raise RecordingError(
                f"compile: the whole number {largest} is too large to be exact in a float; "
                "compute with it outside of the compiled function"
            )
        tape = self.tape
        made = Index(tape, float(numbers[-1]), None, tape.note(found.op), operands, 0)
        for one in (*operands, made):
            if type(one) is Index and one.serial not in tape.exact:
                tape.exact.add(one.serial)
                tape.ask("<", one, float(EXACT))
                tape.ask(">", one, -float(EXACT))
        return made

    return method


def _fixed(name: str, python: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    """A method that computes with the int itself; beside a node it gives what the row gives."""
    found: Any = vars(Ops).get(name)

    def method(self: Index, *others: Any) -> Any:
        if found is not None and any(type(one) in (Traced, Value) for one in others):
            return found.__get__(self, Index)(*others)
        if not all(map(_is_number, others)):
            return NotImplemented
        operands = (*others, self) if reflected else (self, *others)
        return python(*(one.exact() if type(one) is Index else one for one in operands))

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
