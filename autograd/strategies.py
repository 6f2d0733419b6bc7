"""Random expression graphs for the package hypothesis: `@given(expressions())`."""

from collections.abc import Callable
from typing import Any

try:
    from hypothesis import strategies as st
except ModuleNotFoundError:
    raise ModuleNotFoundError("random graphs need hypothesis: pip install hypothesis") from None

from autograd.operation import Operation
from autograd.value import rows


def _squashed(op: Operation) -> bool:
    """Whether a few uses in a row would overflow, and drown every other finding."""
    return op.arity == 2 or not op.libm


def _function(program: list[tuple[Operation, int, int]], bounded: Operation) -> Callable[..., Any]:
    """The last of the results of operations on what is i and j places back, arguments first."""

    def f(*given: Any) -> Any:
        line = list(given)
        for op, i, j in program:
            operands = [line[-1 - i % len(line)], line[-1 - j % len(line)]][: op.arity]
            result: Any = op(*operands)
            line.append(bounded(result) if _squashed(op) else result)
        return line[-1]

    return f


def expressions(
    steps: int = 10, inputs: int = 3, smooth: bool = True
) -> st.SearchStrategy[tuple[Callable[..., Any], list[float]]]:
    """A strategy for (f, at): a random function of numbers or Values, and where to try it.

    Args:
        steps: the most operations, `tanh`-like squashing not counted.
        inputs: the most arguments.
        smooth: leave out operations with ends and kinks.

    >>> from hypothesis import given, settings
    >>> from autograd import assert_gradients
    >>> @settings(max_examples=5, deadline=None)
    ... @given(expressions())
    ... def test(case):
    ...     f, at = case
    ...     assert_gradients(f, *at)
    >>> test()
    """
    table = [op for op in rows().values() if not op.ends and not (smooth and op.smooth)]
    unary = [op for op in table if op.arity == 1 and op.libm]
    bounded = next(op for op in unary if op.value(1e300) == 1.0 == -op.value(-1e300))
    programs = st.lists(
        st.tuples(st.sampled_from(table), st.integers(0, 5), st.integers(0, 5)),
        min_size=1,
        max_size=steps,
    )
    points = st.lists(st.floats(-2.0, 2.0, allow_subnormal=False), min_size=1, max_size=inputs)

    return st.tuples(programs.map(lambda program: _function(program, bounded)), points)
