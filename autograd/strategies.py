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
    """Whether a few uses in a row may overflow, so that most random graphs would be inf or nan."""
    return op.arity == 2 or not op.libm


def _function(program: list[tuple[Operation, int, int]], bounded: Operation) -> Callable[..., Any]:
    """The function that runs a program, in which i and j count back to an operation's operands."""

    def f(*arguments: Any) -> Any:
        results = list(arguments)
        for op, i, j in program:
            operands = [results[-1 - i % len(results)], results[-1 - j % len(results)]][: op.arity]
            result: Any = op(*operands)
            results.append(bounded(result) if _squashed(op) else result)
        return results[-1]

    return f


def expressions(
    steps: int = 10, inputs: int = 3, smooth: bool = True
) -> st.SearchStrategy[tuple[Callable[..., Any], list[float]]]:
    """A strategy for (f, at): a random function of numbers or Values, and where to try it.

    Args:
        steps: the maximum number of operations; `tanh`-like squashing does not count.
        inputs: the maximum number of arguments.
        smooth: leave out operations that are not smooth everywhere.

    >>> from hypothesis import given, settings
    >>> from autograd import assert_gradients
    >>> @settings(max_examples=5, deadline=None)
    ... @given(expressions())
    ... def test(case):
    ...     f, at = case
    ...     assert_gradients(f, *at)
    >>> test()
    """
    # Python functions of the user's may raise, and doubles cannot judge them everywhere.
    told = [op for op in rows().values() if not (op.ends or op.functions)]
    table = [op for op in told if not (smooth and op.smooth)]
    unary = [op for op in table if op.arity == 1 and op.libm]
    bounded = next(op for op in unary if op.value(1e300) == 1.0 == -op.value(-1e300))
    programs = st.lists(
        st.tuples(st.sampled_from(table), st.integers(0, 5), st.integers(0, 5)),
        min_size=1,
        max_size=steps,
    )
    points = st.lists(st.floats(-2.0, 2.0, allow_subnormal=False), min_size=1, max_size=inputs)

    return st.tuples(programs.map(lambda program: _function(program, bounded)), points)
