"""A scalar autograd engine: `Value` nodes, the chain rule, and everything to see and check them.

Every operation of the table is a function here too: `autograd.exp(v)` takes a Value or a number.
"""


from autograd.ops import Op, Operation
from autograd.rules import RuleError
from autograd.transform import grad, hessian, hvp, jvp, value_and_grad, vjp
from autograd.value import (
    NonFiniteError,
    NonFiniteWarning,
    Value,
    detect_anomaly,
    no_grad,
    quiet_gc,
    recording,
    rows,
    scope,
    topological,
)

__all__ = [  # noqa: RUF022 - in the order of use; the operations follow
    "Value",
    "Op",
    "NonFiniteError",
    "NonFiniteWarning",
    "RuleError",
    "detect_anomaly",
    "grad",
    "hessian",
    "hvp",
    "jvp",
    "no_grad",
    "quiet_gc",
    "recording",
    "rows",
    "scope",
    "topological",
    "value_and_grad",
    "vjp",
]

__chainrule__ = True


def __getattr__(name: str) -> Operation:
    op = rows().get(name)
    if op is None:
        raise AttributeError(f"module 'autograd' has no attribute or operation {name!r}")
    return op


def __dir__() -> list[str]:
    return sorted([*globals(), *rows()])
