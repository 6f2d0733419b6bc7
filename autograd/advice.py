"""Advice for messages: what to write where Python or NumPy needs a plain number from a Value."""

import linecache
import re
from types import FrameType
from typing import Any

from autograd.operation import Operation
from autograd.ops import Ops

# The methods that NumPy's operators call on a Value on the left, and on a Value on the right.
NUMPY_OPERATORS = {
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"),
    "true_divide": ("__truediv__", "__rtruediv__"),
    "floor_divide": ("__floordiv__", "__rfloordiv__"),
    "remainder": ("__mod__", "__rmod__"),
    "power": ("__pow__", "__rpow__"),
    "less": ("__lt__", "__gt__"),
    "less_equal": ("__le__", "__ge__"),
    "greater": ("__gt__", "__lt__"),
    "greater_equal": ("__ge__", "__le__"),
    "equal": ("__eq__", "__eq__"),
    "not_equal": ("__ne__", "__ne__"),
}


class Renamed:
    """An attribute of another library; reading it raises an error with its name here."""

    def __init__(self, here: str) -> None:
        self._here = here

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, node: object, owner: type) -> Any:
        raise AttributeError(f"Value has no attribute {self._name!r}; write {self._here}")

    def __set__(self, node: object, value: object) -> None:
        self.__get__(node, type(node))


def _row(name: str) -> str:
    """The operation's name for a function of `math` or NumPy; '' if there is none."""
    name = {"fabs": "abs", "absolute": "abs", "positive": "pos", "negative": "neg"}.get(name, name)
    name = re.sub("^arc", "a", name)
    return name if isinstance(vars(Ops).get(name), Operation) else ""


def conversion(to: str, frame: FrameType) -> str:
    """Why a Value is not converted in this frame, and what to write instead."""
    source = _expression(frame)
    called = re.match(r"(?:\w+\.)*(\w+)\(", source)
    row = _row(called[1]) if called else ""
    start = f"{source}: " if source else ""
    start += f"a Value as a plain {to} would lose its gradient"
    if row:
        return f"{start}; write v.{row}() or autograd.{row}(v), or v.data for the number alone"
    return (
        f"{start}; write v.data or v.item() for the number alone, or use no_grad(); functions of "
        "`math` are methods here, as in v.sqrt() or autograd.sqrt(v)"
    )


def numpy_function(name: str) -> str:
    """Why NumPy's function is refused for a Value, and what to write instead."""
    row = _row(name)
    if row:
        return f"np.{name} of a Value: write v.{row}() or autograd.{row}(v), one Value at a time"
    return (
        f"np.{name} of a Value: NumPy's functions have no gradients; use autograd's operations, "
        "one Value at a time, or v.data for the number alone"
    )


def _expression(frame: FrameType) -> str:
    """The source of the expression that the frame is computing; '' if it is not known."""
    positions = list(frame.f_code.co_positions())
    first, last, start, end = positions[frame.f_lasti // 2]
    if first is None or first != last or start is None or end is None:
        return ""
    line = linecache.getline(frame.f_code.co_filename, first, frame.f_globals)
    return line.encode()[start:end].decode(errors="replace")
