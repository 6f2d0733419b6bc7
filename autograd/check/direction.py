"""f itself against its graph, both on decimals, beside the point."""

from decimal import Decimal

from autograd.check.cut import TOUCH, Surroundings
from autograd.check.program import Program
from autograd.printers import decimals

# Nothing is divided by a step, so it need not be tiny: doubles show these, as they do TOUCH.  A
# branch of Python's that switches within a large one does not within a small one, unless the point
# is on it.
_STEPS = (2.0**-30, 2.0**-38, 2 * TOUCH)
_SPARE = 8  # of the last digits, which the two may round apart


def agree(
    surroundings: Surroundings, program: Program, sign: int, only: list[int] | None = None
) -> bool | None:
    """Whether f and its graph are the same numbers, to the last digit, on one side of the point.

    They take the same steps in the same order, so what differs is not in the graph.  None where f
    refuses decimals.
    """
    try:
        return any(_agree(surroundings, program, sign * h, only) for h in _STEPS)
    except Exception:  # a function may refuse decimals in any way it likes
        return None


def slope(surroundings: Surroundings, program: Program, k: int) -> float:
    """The slope of f itself in input k, by a central difference on decimals."""
    ends = [surroundings.at(sign * _STEPS[0], [k]) for sign in (1, -1)]
    with decimals.digits(program.digits):
        above, below = map(surroundings.case.on_decimals, ends)
        return float((above - below) / (Decimal(ends[0][k]) - Decimal(ends[1][k])))


def least_seen(program: Program) -> float:
    """The least slope, beside a value of f of 1, by which f and its graph are seen to differ."""
    return float(10.0 ** (_SPARE - program.digits)) / _STEPS[-1]


def _agree(surroundings: Surroundings, program: Program, h: float, only: list[int] | None) -> bool:
    at = surroundings.at(h, only)
    with decimals.digits(program.digits):
        itself = surroundings.case.on_decimals(at)
        graph = program.moved(map(Decimal, at))[program.root]
        if itself == graph or (itself.is_nan() and graph.is_nan()):
            return True
        allowed = abs(graph) * Decimal(10) ** (_SPARE - program.digits)
        return abs(itself - graph) <= allowed
