"""A scalar autograd engine: `Value` nodes, the chain rule, and tools to see and check them.

Every operation of the table is a function here too: `autograd.exp(v)` takes a Value or a number.
"""

import importlib
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

from autograd.blame import NonFiniteError, NonFiniteWarning
from autograd.check.differences import finite_differences
from autograd.check.gradients import assert_gradients, check_gradients
from autograd.check.local import check_operation
from autograd.check.report import Report, Verdict
from autograd.compiled.selection import argmax, replaced, select
from autograd.compiled.traced import RecordingError, ReplayError
from autograd.define import define_op
from autograd.elsewhere import unknown
from autograd.expressions import ExpressionError, expression
from autograd.modes import detect_anomaly, no_grad, quiet_gc, recording, scope
from autograd.operation import Op, Operation
from autograd.ops import Ops
from autograd.order import topological
from autograd.piecewise import clip, where
from autograd.rules import RuleError
from autograd.show.draw import draw
from autograd.show.graph import Graph
from autograd.show.paths import explain
from autograd.show.player import play
from autograd.transform import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from autograd.value import Value, rows

__all__ = [  # noqa: RUF022 - in the order of use; the operations follow
    "Value",
    "Op",
    "Graph",
    "NonFiniteError",
    "NonFiniteWarning",
    "RuleError",
    "Report",
    "Verdict",
    "assert_gradients",
    "check_gradients",
    "check_operation",
    "Diagnosis",
    "diagnose",
    "compile",
    "RecordingError",
    "ReplayError",
    "select",
    "argmax",
    "replaced",
    "where",
    "clip",
    "finite_differences",
    "define_op",
    "detect_anomaly",
    "draw",
    "explain",
    "expression",
    "ExpressionError",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "play",
    "quiet_gc",
    "recording",
    "rows",
    "scope",
    "topological",
    "value_and_grad",
    "vjp",
]

if TYPE_CHECKING:
    from autograd.check.diagnose import Diagnosis, diagnose
    from autograd.compiled.function import compile  # noqa: A004

__chainrule__ = True
__version__ = "0.1.0"


try:
    metadata.distribution("autograd")
except metadata.PackageNotFoundError:
    pass
else:
    warnings.warn(
        "the package `autograd` (HIPS) is installed beside `chainrule`, and both are imported as "
        "`autograd`: one hides parts of the other; use an environment with only one of them",
        stacklevel=2,
    )


def _missing(advice: str) -> Any:
    def compile(*_: object, **__: object) -> Any:
        raise ModuleNotFoundError(advice)

    return compile


def __getattr__(name: str) -> Any:
    if name == "compile":  # needs NumPy, which nothing else here does
        try:
            from autograd.compiled.function import compile  # noqa: A004
        except ModuleNotFoundError as error:
            # `from autograd import *` works without NumPy; the call raises.
            return _missing(str(error))
        globals()[name] = compile
        return compile
    if name in ("Diagnosis", "diagnose"):  # needed where a gradient is wrong, and nowhere else
        globals()[name] = getattr(importlib.import_module("autograd.check.diagnose"), name)
        return globals()[name]
    op = vars(Ops).get(name)
    if not isinstance(op, Operation):
        raise unknown("module 'autograd'", name, __dir__())
    globals()[name] = op  # the next look-up does not come here
    return op


def __dir__() -> list[str]:
    return sorted({*globals(), *rows()})
