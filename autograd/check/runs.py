"""Runs of any function at its inputs, and near them."""

import contextlib
import functools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from autograd.check.extrapolation import Line
from autograd.check.trees import Block, Inputs, shaped
from autograd.nestings import Tree, mapped
from autograd.value import Value

_LEAST = 1e-305  # a smaller number counts as 0: steps relative to it would have no digits
_WIDEST = 0.25  # the first step, relative to the largest number in the array of the moved input
Results = Callable[[float], list[float]]  # the results of f, by the distance its inputs move


class BlackBox:
    """A function from a list of numbers to a list of numbers.

    The inputs are copied for each run, so the function may change them.

    Attributes:
        inputs: the inputs at which it is checked.
        result: its result there.
        raised: the first error that it raised at other inputs; there, its results are nan.
    """

    def __init__(self, f: Callable[..., Any], inputs: tuple[Tree, ...]) -> None:
        self.f, self.inputs, self.raised = f, Inputs(f, inputs), ""
        try:
            result = f(*self.inputs.copies(self.inputs.numbers))
        except AttributeError as error:
            if not (isinstance(error.obj, float) and hasattr(Value, error.name or "")):
                raise
            # f needs Values: a plain number has no method such as x.tanh().
            values = mapped(lambda x: Value(x) if isinstance(x, float) else x, inputs)
            self.inputs = Inputs(f, values)
            result = f(*self.inputs.copies(self.inputs.numbers))
        self.result = Block("f", *shaped(result, "the result of f"), like=result)

    def must_repeat(self) -> None:
        """Raise ValueError unless f returns the same results again."""
        for first, then in zip(self.result.numbers, self.run(self.inputs.numbers), strict=True):
            if first.hex() != then.hex():
                raise ValueError(
                    f"f returned {first!r} and then {then!r} for the same inputs; fix the seed of "
                    "its random numbers"
                )

    def run(self, numbers: Sequence[float]) -> list[float]:
        """The results at other numbers.  Raises what f raises, and ValueError for another shape."""
        numpy = sys.modules.get("numpy")
        with numpy.errstate(all="ignore") if numpy else contextlib.nullcontext():
            shape, results = shaped(self.f(*self.inputs.copies(numbers)), "the result of f")
        if shape != self.result.shape:
            raise ValueError(f"the result of f has shape {shape}, but had {self.result.shape}")
        return results

    def __call__(self, numbers: Sequence[float]) -> list[float]:
        """The results at other numbers; nan if f raises an error or returns another shape."""
        try:
            return self.run(numbers)
        except Exception as error:  # outside its domain a function may raise anything
            self.raised = self.raised or f"{type(error).__name__}: {error}"
            return [math.nan] * len(self.result.numbers)

    def along(self, direction: Sequence[float]) -> Results:
        """The results as all inputs move along a direction."""
        at, numpy = self.inputs.numbers, sys.modules.get("numpy")
        if numpy is not None:  # lists are slow for a million numbers
            start, way = numpy.array(at), numpy.array(direction)
            return functools.cache(lambda distance: self(start + distance * way))
        pairs = list(zip(at, direction, strict=True))
        return functools.cache(lambda distance: self([x + distance * v for x, v in pairs]))

    def beside(self, k: int) -> Results:
        """The results as input k moves."""

        @functools.cache
        def run(distance: float) -> list[float]:
            numbers = [*self.inputs.numbers]
            numbers[k] += distance
            return self(numbers)

        return run

    def scale(self, k: int) -> float:
        """The size of input k; if it is 0, that of its array, else of all inputs, else 1."""
        x = abs(self.inputs.numbers[k])
        return x if _LEAST < x < math.inf else self._sizes[k]

    def line(self, run: Callable[[float], float], k: int) -> Line:
        """The line along which input k moves."""
        scale = self.scale(k)
        return Line(run, self.inputs.numbers[k], scale, _WIDEST * max(scale, self._sizes[k]))

    @functools.cached_property
    def _sizes(self) -> list[float]:
        """For each input, the largest number in its array; if that is 0, in all inputs."""
        finite = [[abs(x) for x in b.numbers if math.isfinite(x)] for b in self.inputs.blocks]
        largest = [max((x for x in numbers if x > _LEAST), default=0.0) for numbers in finite]
        everywhere = max(largest) or 1.0
        return [
            size or everywhere
            for size, block in zip(largest, self.inputs.blocks, strict=True)
            for _ in block.numbers
        ]
