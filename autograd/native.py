"""The engine in C, in the place of the pure Python parts, where it was compiled.

`eager.c` holds nodes, their order and the sweep.  Everything here has a pure Python counterpart,
which does the same to the bit, and does all that C leaves to Python.  CHAINRULE_PURE=1, set before
the import, switches C off: then a debugger can step through every operation.

>>> import autograd
>>> autograd.native.engine in ("C", "Python")
True
"""

import ast
import functools
import importlib
import math
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from autograd.operation import Operation
from autograd.printers.machine import Assembler

Class = TypeVar("Class", bound=type)


def _load() -> tuple[Any, str]:
    """The extension, or None and the reason why there is none."""
    if os.environ.get("CHAINRULE_PURE") == "1":
        return None, "CHAINRULE_PURE=1"
    try:
        extension = importlib.import_module("autograd.eager")
    except ModuleNotFoundError:
        return None, "it was installed without a C compiler"
    except ImportError as error:
        return None, str(error)
    if sys.getsizeof([]) - [].__sizeof__() != 2 * struct.calcsize("P"):
        return None, "the cycle collector of this Python is of another kind"
    source = Path(__file__).with_name("eager.c")
    if source.exists() and zlib.crc32(source.read_bytes()) != extension.SOURCE:
        return None, "eager.c has changed since it was compiled; install again"
    return extension, ""


_extension, reason = _load()
# "C" or "Python"; `reason` says why it is Python.
engine: Final = "Python" if _extension is None else "C"


def _left_to_python(*_: object) -> None:
    """What an extension that is not there does."""


# Each of these does a whole task in C and returns something true, or does nothing and returns None.
visit: Callable[..., bool | None] = getattr(_extension, "visit", _left_to_python)
backward: Callable[[Any, float], bool | None] = getattr(_extension, "backward", _left_to_python)
derivatives: Callable[..., list[float] | None] = getattr(_extension, "derivatives", _left_to_python)
# The nodes that Python has to pull back, from the last one; C pulls back the others on the way.
steps: Callable[[list[Any]], Iterator[Any]] = getattr(_extension, "steps", reversed)

# What the class in C has itself.
_OWN = {
    *("__dict__", "__doc__", "__init__", "__slots__", "__weakref__"),
    *("_data", "_grad", "a", "b", "data", "grad", "row", "x", "y"),
}


def nodes(
    mode: type, note: type, leaf_row: object, untouched: float, present: Iterable[Any]
) -> Callable[[Class], Class]:
    """A decorator: the class of nodes in C, with the attributes and methods of the pure class.

    `present` are the functions that return the present mode and the present call.
    """

    def in_c(pure: Class) -> Class:
        if _extension is None:
            return pure
        own = vars(pure)
        made: Class = _extension.start(
            pure.__bases__, own["__init__"], mode, note, leaf_row, untouched, *present, math.hypot
        )
        for name, attribute in own.items():
            if name not in _OWN:
                setattr(made, name, attribute)
        made.__doc__ = pure.__doc__
        return made

    return in_c


def program(op: Operation, rows: Mapping[str, Operation]) -> Any:
    """The row for C; None if C cannot run it, or is not there."""
    if _extension is None or op.functions:
        return None
    assembler = Assembler(_extension.INSTRUCTIONS, _extension.FUNCTIONS, rows)
    try:
        slopes = [
            None if ast.unparse(tree) == "0.0" else assembler.code(op, tree)
            for tree in op.partial_trees
        ]
        value = assembler.code(op, op.value_tree)
        return _extension.Program(op, op.default, value, tuple(slopes))
    except (ValueError, OverflowError):  # an unknown function, or a rule that is too long
        return None


def method(program: Any, pure: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    """The generated method with C in front of it: the method itself does what C leaves to it."""
    if program is None:
        return pure
    made: Callable[..., Any] = _extension.Method(program, pure, reflected)
    return functools.update_wrapper(made, pure)


def settle() -> None:
    """Let Python's operators call the methods in C directly, after they were assigned."""
    if _extension is not None:
        _extension.settle()
