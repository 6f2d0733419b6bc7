"""An expression that a user types: its inputs, its player and its referees' report."""

import math
import re
from collections.abc import Mapping
from typing import Any

from autograd import Value, check_gradients, expression, play, rows
from autograd.rules import CONSTANTS
from autograd.show.page import framed

_NAME = re.compile(r"[^\W\d]\w*")


def inputs(text: str) -> list[str]:
    """The names in an expression that need a number, in order.

    >>> inputs("h = tanh(w*x + b); (h - y)**2")
    ['w', 'x', 'b', 'y']
    """
    found: list[str] = []
    for match in _NAME.finditer(text):
        name, after = match[0], text[match.end() :].lstrip()
        called = name in rows() and after.startswith("(")
        assigned = re.search(rf"(^|;)\s*{name}\s*=(?!=)", text)
        if not called and not assigned and name not in CONSTANTS and name not in found:
            found.append(name)
    return found


def first_number(i: int) -> float:
    """The number that the i-th input starts with; they differ in size and sign."""
    return (0.5 + 0.5 * i) * (-1.0) ** i


def see(text: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The player of an expression, as a page and its height, and the report on its gradients.

    Raises ExpressionError, with the place, for a text that is no expression.
    """
    names = inputs(text)
    given = {name: float(numbers.get(name, first_number(i))) for i, name in enumerate(names)}
    root = expression(text, given)
    if not root.label and "L" not in names:
        root.label = "L"

    def again(*values: Value) -> Value:
        return expression(text, dict(zip(names, values, strict=True)))

    report = check_gradients(again, *[Value(n, name) for name, n in given.items()]) if names else ""
    return {
        "inputs": given,
        "result": root.data,
        "page": framed(play(root, {})),
        "report": str(report) or "no inputs, so there is no gradient to check",
        "right": bool(report) or not names,
        "finite": math.isfinite(root.data),
    }
