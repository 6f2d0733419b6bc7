"""Plain finite differences, and extrapolated ones with estimates of their errors."""

from collections.abc import Callable, Iterator
from typing import Any

from autograd.check.case import Function
from autograd.check.extrapolation import Slope, slopes
from autograd.check.noise import noise
from autograd.check.runs import BlackBox
from autograd.check.trees import Block, library, nested, refuse_whole_arrays
from autograd.nestings import Tree, mapped, rebuilt
from autograd.options import POSITIVE, real


def finite_differences(
    f: Function, *inputs: Tree, step: float | None = 1e-5, errors: bool = False
) -> Any:
    """Central differences (f(x + h) - f(x - h)) / 2h for each input, in the inputs' nesting.

    These are the usual first choice, with the usual errors: about h^2 from the curvature of f, and
    1e-16 / h from rounding.  For an array the differences are an array.  For a result of shape S
    and an input of shape T they have the shape S + T.

    Args:
        f: a function of numbers, nested lists, Values, or NumPy, torch or JAX arrays.
        inputs: the point at which to take differences.
        step: h; None for slopes extrapolated from many steps, accurate to about 1e-10.
        errors: whether to return estimates of the errors as well, in the same nesting.

    >>> import math
    >>> slope, = finite_differences(lambda x: x * x, 3.0)
    >>> abs(slope - 6.0) < 1e-8
    True
    >>> (slope,), (error,) = finite_differences(math.exp, 1.0, step=None, errors=True)
    >>> abs(slope - math.e) < 4 * error < 1e-8
    True
    """
    step = None if step is None else real(step, "finite_differences: step", POSITIVE)
    box = BlackBox(f, inputs)
    refuse_whole_arrays(box.inputs)
    if step is not None:
        _refuse_lost_steps(box, step)
    columns = [
        _extrapolated(box, k) if step is None else _plain(box, k, step, errors)
        for k in range(len(box.inputs.numbers))
    ]
    values = _in_nesting(box, [[slope.value for slope in column] for column in columns])
    if not errors:
        return values
    return values, _in_nesting(box, [[slope.error for slope in column] for column in columns])


def _refuse_lost_steps(box: BlackBox, step: float) -> None:
    """Raise ValueError for an array of short numbers that such a step would not change."""
    for block in box.inputs.blocks:
        kind = str(block.like.dtype).rpartition(".")[2] if library(block.like) else ""
        bits = {"bfloat16": 7, "float16": 10, "float32": 23}.get(kind, 52)
        if any(abs(x) * 2.0**-bits > step for x in block.numbers if x - x == 0.0):
            raise ValueError(
                f"finite_differences: a step of {step:g} is too small for {block.path}, an array "
                f"of {kind}; give float64, or a larger step"
            )


def _plain(box: BlackBox, k: int, step: float, errors: bool) -> list[Slope]:
    """The differences of all results in input k, with their errors if `errors` is true."""

    def differences(h: float) -> list[float]:
        ends = []
        for moved in (h, -h):
            numbers = [*box.inputs.numbers]
            numbers[k] += moved
            ends.append(box.run(numbers))
        return [(above - below) / (2 * h) for above, below in zip(*ends, strict=True)]

    values = differences(step)
    if not errors:
        return [Slope(value) for value in values]
    levels = [noise(run, box.scale(k)) for run in _each(box, k)]
    return [
        Slope(value, abs(value - wide) + level / step)
        for value, wide, level in zip(values, differences(2 * step), levels, strict=True)
    ]


def _extrapolated(box: BlackBox, k: int) -> list[Slope]:
    scale = box.scale(k)
    return [slopes(box.line(run, k), noise(run, scale)).best for run in _each(box, k)]


def _each(box: BlackBox, k: int) -> Iterator[Callable[[float], float]]:
    """Each result as a function of the distance that input k moves."""
    results = box.beside(k)
    for i in range(len(box.result.numbers)):
        yield lambda distance, i=i: results(distance)[i]  # type: ignore[misc]


def _in_nesting(box: BlackBox, columns: list[list[float]]) -> tuple[Any, ...]:
    """The columns, one for each input number, in the nesting of the inputs and of the result."""
    rest, outer = iter(columns), box.result.shape

    def of(block: Block) -> Any:
        own = [next(rest) for _ in block.numbers]
        if not outer:
            flat = [column[0] for column in own]
            return block.copy(flat) if library(block.like) else rebuilt(block.like, iter(flat))
        flat = [column[i] for i in range(len(box.result.numbers)) for column in own]
        like = box.result.like if library(box.result.like) else block.like
        return nested(flat, outer + block.shape, like)

    return tuple(mapped(of, box.inputs.trees))
