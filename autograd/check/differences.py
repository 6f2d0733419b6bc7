"""Plain finite differences, as everybody computes them first, and better ones with their errors."""

from collections.abc import Callable, Iterator
from typing import Any

from autograd.check.case import Function
from autograd.check.extrapolation import Slope, slopes
from autograd.check.noise import noise
from autograd.check.runs import BlackBox
from autograd.check.trees import Block, library, nested, refuse_whole_arrays
from autograd.nestings import Tree, mapped, rebuilt


def finite_differences(
    f: Function, *inputs: Tree, step: float | None = 1e-5, errors: bool = False
) -> Any:
    """Plain central differences (f(x + h) - f(x - h)) / 2h of each input, in the inputs' nesting.

    They are what everybody computes first, with the errors that everybody meets: about h^2 from
    the bend of f, and 1e-16 / h from rounding.  An array gives an array, and a result of shape S in
    an input of shape T gives shape S + T.

    Args:
        f: a function of numbers, nested lists, or NumPy, torch or JAX arrays, or of Values.
        inputs: where.
        step: h; None for slopes that are extrapolated from many steps, and good to about 1e-10.
        errors: also return an estimate of the error of each difference, in the same nesting.

    >>> import math
    >>> slope, = finite_differences(lambda x: x * x, 3.0)
    >>> abs(slope - 6.0) < 1e-8
    True
    >>> (slope,), (error,) = finite_differences(math.exp, 1.0, step=None, errors=True)
    >>> abs(slope - math.e) < 4 * error < 1e-8
    True
    """
    if step is not None and not 0.0 < step < float("inf"):
        raise ValueError(f"finite_differences: step must be > 0, got {step!r}")
    box = BlackBox(f, inputs)
    refuse_whole_arrays(box.inputs)
    columns = [
        _extrapolated(box, k) if step is None else _plain(box, k, step, errors)
        for k in range(len(box.inputs.numbers))
    ]
    values = _in_nesting(box, [[slope.value for slope in column] for column in columns])
    if not errors:
        return values
    return values, _in_nesting(box, [[slope.error for slope in column] for column in columns])


def _plain(box: BlackBox, k: int, step: float, errors: bool) -> list[Slope]:
    """The differences of all results in one input, with their errors if asked."""

    def differences(h: float) -> list[float]:
        ends = []
        for moved in (h, -h):
            numbers = [*box.inputs.numbers]
            numbers[k] += moved
            ends.append(box.run(numbers))
        return [(above - below) / (2 * h) for above, below in zip(*ends, strict=True)]

    found = differences(step)
    if not errors:
        return [Slope(value) for value in found]
    levels = [noise(run, box.scale(k)) for run in _each(box, k)]
    return [
        Slope(value, abs(value - wide) + level / step)
        for value, wide, level in zip(found, differences(2 * step), levels, strict=True)
    ]


def _extrapolated(box: BlackBox, k: int) -> list[Slope]:
    scale = box.scale(k)
    return [slopes(box.line(run, k), noise(run, scale)).best for run in _each(box, k)]


def _each(box: BlackBox, k: int) -> Iterator[Callable[[float], float]]:
    """Each result as one input moves."""
    results = box.beside(k)
    for i in range(len(box.result.numbers)):
        yield lambda distance, i=i: results(distance)[i]  # type: ignore[misc]


def _in_nesting(box: BlackBox, columns: list[list[float]]) -> tuple[Any, ...]:
    """The numbers of all inputs, each with one for each result, in the nesting of the inputs."""
    rest, outer = iter(columns), box.result.shape

    def of(block: Block) -> Any:
        mine = [next(rest) for _ in block.numbers]
        if not outer:
            flat = [column[0] for column in mine]
            return block.copy(flat) if library(block.like) else rebuilt(block.like, iter(flat))
        flat = [column[i] for i in range(len(box.result.numbers)) for column in mine]
        like = box.result.like if library(box.result.like) else block.like
        return nested(flat, outer + block.shape, like)

    return tuple(mapped(of, box.inputs.trees))
