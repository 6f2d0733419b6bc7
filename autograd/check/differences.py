"""Plain finite differences, as everybody computes them first."""

from autograd.check.case import Function
from autograd.nestings import Tree, leaves, rebuilt
from autograd.operands import item
from autograd.value import Value


def finite_differences(f: Function, *inputs: Tree, step: float = 1e-5) -> Tree:
    """Plain central differences (f(x + h) - f(x - h)) / 2h of each input, in the inputs' nesting.

    They are what everybody computes first, with the errors that everybody meets: about h^2 from
    the bend of f, and 1e-16 / h from rounding.

    >>> slope, = finite_differences(lambda x: x * x, 3.0)
    >>> abs(slope - 6.0) < 1e-8
    True
    """
    given = [item(leaf) for leaf in leaves(list(inputs))]
    slopes = []
    for k in range(len(given)):
        ends = []
        for h in (step, -step):
            moved = [Value(x + h if i == k else x) for i, x in enumerate(given)]
            ends.append(item(f(*rebuilt(list(inputs), iter(moved)))))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return tuple(rebuilt(list(inputs), iter(slopes)))
