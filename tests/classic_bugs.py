"""Thirty mistakes that engines have had, with points at which their authors might have tested."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import autograd as ag
from autograd import Report, check_gradients, check_operation, rows
from autograd.faults import Fault, faults, misread, planted


@dataclass
class Bug:
    """A mistake, a function that meets it, three points, and a word that a report must have."""

    what: str
    f: Callable[..., Any]
    points: list[tuple[float, ...]]
    says: str
    faults: list[Fault] = field(default_factory=list)
    operation: str = ""

    def reports(self) -> list[Report]:
        """What the checker says at each point, and of the operation by itself if it is asked."""
        with ExitStack() as stack:
            for fault in self.faults:
                stack.enter_context(planted(fault))
            found = [check_gradients(self.f, *at) for at in self.points]
            if self.operation:
                found.append(check_operation(rows()[self.operation]))
            return found


def _row(what: str, op: str, operand: str, wrong: str, *points: Any, f: Any = None) -> Bug:
    at = [p if isinstance(p, tuple) else (p,) for p in points]
    return Bug(what, f or rows()[op], at, f" of {op}: ", [misread(op, operand, wrong)])


def _engine(kind: str, says: str) -> Bug:
    fault = next(fault for fault in faults() if not fault.op and fault.kind == kind)

    def f(x: Any, y: Any) -> Any:
        # x is used at different distances from the end, and once twice by one operation.
        h = ag.sin(x) * y + x * x
        return h * h + ag.exp(h) * x + h

    return Bug(fault.answer, f, [(0.3, 0.8), (-1.2, 0.5), (0.9, -0.4)], says, [fault])


_XY = [(0.3, 0.8), (-1.2, 0.5), (2.1, -0.4)]
_gelu = rows()["gelu"].texts[1].replace("0.3989422804014327", "0.3989")
_tie = [
    misread("maximum", d, f"1.0 if {d} > {e} else 0.0 if {d} < {e} else 1.0")
    for d, e in ("xy", "yx")
]

BUGS = [
    _row("sub: +1 for the second operand", "sub", "y", "1", *_XY),
    _row("mul: its own operand", "mul", "x", "x", *_XY),
    _row("div: the square forgotten", "div", "y", "-x / y", *_XY),
    _row("1/x: the sign", "reciprocal", "x", "z * z", 0.3, -1.2, 2.1),
    _row(
        "pow: the factor n forgotten",
        "pow",
        "x",
        "x ** (y - 1)",
        (0.3, 0.8),
        (1.2, 0.5),
        (2.1, 3.0),
    ),
    _row("pow: the log forgotten", "pow", "y", "z", (0.3, 0.8), (1.2, 0.5), (2.1, 3.0)),
    _row("tanh: 1 - x^2", "tanh", "x", "1 - x * x", 0.01, 0.3, -1.2),
    _row("sigmoid: s (1 + s)", "sigmoid", "x", "z * (1 + z)", 0.3, -1.2, 2.1),
    _row("sqrt: 0.5", "sqrt", "x", "0.5", 0.3, 1.2, 2.1),
    _row("sin: -cos", "sin", "x", "-cos(x)", 0.3, -1.2, 2.1),
    _row("max: to the wrong side", "maximum", "x", "0.0 if x > y else 1.0 if x < y else 0.5", *_XY),
    _row("log: 1 / (x + 1e-6)", "log", "x", "1 / (x + 1e-6)", 0.3, 1.2, 2.1),
    _row(
        "sin: a sign behind a factor of 1e-7",
        "sin",
        "x",
        "-cos(x)",
        0.3,
        -1.2,
        2.1,
        f=lambda x: x * x + 1e-7 * ag.sin(x),
    ),
    _row(
        "cos: a sign, in a loss of e^-20",
        "cos",
        "x",
        "sin(x)",
        0.3,
        -1.2,
        2.1,
        f=lambda x: ag.exp(-20.0 + ag.cos(x)),
    ),
    _row("relu: slope 1 everywhere", "relu", "x", "1.0", 0.3, -1.2, -2.1),
    _row("abs'(0) = 2", "abs", "x", "sign(x) if abs(x) > 0 else 2.0", 0.0, 0.3, -1.2),
    Bug("max: a tie gives 1 to both", ag.maximum, [(1.0, 1.0), (0.3, 0.8)], " of maximum: ", _tie),
    _row("gelu: a constant with four digits", "gelu", "x", _gelu, 0.3, -1.2, 2.1),
    Bug(
        "softplus' = 0 for x > 20, points up to 2",
        ag.softplus,
        [(0.3,), (-1.2,), (2.0,)],
        " of softplus: ",
        [misread("softplus", "x", "0.0 if x > 20 else sigmoid(x)")],
        "softplus",
    ),
    _row("the same, a point at 25", "softplus", "x", "0.0 if x > 20 else sigmoid(x)", 0.3, 25.0),
    _row("tanh: 1 - z^2 cancels at 17", "tanh", "x", "1 - z * z", 17.0, 18.0),
    _row("log1p as log(1 + x)", "log1p", "z", "log(1 + x)", 1e-6, 1e-9, 1e-3),
    Bug(
        "atan taken for 1 / tan, the derivative too",
        ag.atan,
        [(0.3,), (1.2,)],
        " of atan: ",
        [misread("atan", "z", "1 / tan(x)"), misread("atan", "x", "-1 / (sin(x) * sin(x))")],
    ),
    _engine("overwrite", "accumulation"),
    _engine("once", "accumulation"),
    _engine("order", "accumulation"),
    _engine("upstream", "accumulation"),
    _engine("drop", "the pullback uses 0.0"),
    _engine("stale", "backward twice"),
    Bug(
        "a branch detached",
        lambda x: x * x.data + x,
        [(0.3,), (-1.2,), (2.1,)],
        "cut from the graph",
    ),
]
