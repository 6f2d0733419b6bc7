"""Messages on inf and nan: the first operation at fault, its operands, and the user's line."""

import os
import sys
import warnings
from collections.abc import Iterable
from types import FrameType
from typing import Any

from autograd.operation import Operation

Node = Any  # a Value


class NonFiniteWarning(RuntimeWarning):
    """A value or a derivative is inf or nan; the message names the first operation at fault."""


class NonFiniteError(ArithmeticError):
    """Raised under `detect_anomaly` by the first operation whose result is inf or nan."""


def _operand_text(name: str, number: float, node: Node) -> str:
    label = f" ({node.label!r})" if node is not None and node.label else ""
    return f"{name} = {number!r}{label}"


def bad_result(
    op: Operation,
    x: float,
    y: float | None,
    z: float,
    a: Node,
    b: Node,
    line: str,
) -> str:
    """The text of a message on inf or nan: the operation, its result, its operands, the line."""
    operands = [_operand_text("x", x, a)]
    if y is not None:
        operands.append(_operand_text("y", y, b))
    call = f"{op.name}({'x' if y is None else 'x, y'})"
    return f"{call} = {z!r} at {', '.join(operands)}" + (f", at {line}" if line else "")


def _is_ours(frame: FrameType) -> bool:
    """Whether the frame runs code of this project, or of NumPy in between."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in ("autograd", "nn", "numpy")


def user_line() -> str:
    """'file:line' of the innermost frame of the user's code; '' if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not _is_ours(frame):
            return f"{called(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def called(filename: str) -> str:
    """A file's name without its folders; for a notebook cell the name that is shown, In[3]."""
    interactive = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = interactive() if interactive is not None else None
    cell = shell.compile.format_code_name(filename) if shell is not None else None
    return cell[1] if cell is not None else os.path.basename(filename)


def first_nonfinite(order: Iterable[Node]) -> str:
    """The first value that is not finite, else the first derivative, as text; '' if none is."""
    order = list(order)
    for node in order:
        if node.data - node.data != 0.0:
            if node.op is None:
                name = f" {node.label!r}" if node.label else ""
                return f"the leaf{name} is {node.data!r}"
            y = getattr(node, "y", None)
            return bad_result(node.op, node.x, y, node.data, node.a, node.b, node.line)
    for node in reversed(order):
        if node.op is None or not node.grad:
            continue
        for name, parent in (("dx", node.a), ("dy", node.b)):
            if parent is None:
                continue
            partial = getattr(node, name)
            if partial - partial != 0.0 or (node.grad * partial) - (node.grad * partial) != 0.0:
                y = getattr(node, "y", None)
                where = bad_result(node.op, node.x, y, node.data, node.a, node.b, node.line)
                return f"dL/dz * dz/{name} is {node.grad!r} * {partial!r} in {where}"
    return ""


def warn(text: str) -> None:
    """Give a NonFiniteWarning at the user's line."""
    level, frame = 1, sys._getframe(0)
    while _is_ours(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, NonFiniteWarning, stacklevel=level)
