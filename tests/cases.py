"""Functions with gradients that are hard to check: 180 smooth ones in nine families, 20 kinks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

from mpmath import mp, mpf

import autograd as ag
from autograd.operation import Operation
from autograd.ops import Ops
from tests import reference

F = Callable[..., Any]
_BITS = 4000
_STEP = mpf(2) ** -1000


class Exact(Ops):
    """A number of 1,200 decimal digits, of which nothing rounds away."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def apply(self, op: Operation, x: Any, y: Any) -> "Exact":
        operands = [x, y][: op.arity]
        data = [v.data if isinstance(v, Exact) else mpf(v) for v in operands]
        return Exact(reference.call(op, *data))

    def __gt__(self, other: float) -> bool:
        return bool(self.data > other)


class Plain(Ops):
    """A double that records nothing, for checkers that want a function of floats."""

    def __init__(self, data: float) -> None:
        self.data = data

    def apply(self, op: Operation, x: Any, y: Any) -> "Plain":
        operands = [x, y][: op.arity]
        return Plain(op.value(*(v.data if isinstance(v, Plain) else float(v) for v in operands)))

    def __gt__(self, other: float) -> bool:
        return self.data > other


@dataclass
class Case:
    """A function, a point, and its exact gradient there."""

    family: str
    f: F
    at: tuple[float, ...]

    def moved(self, k: int, steps: int) -> Any:
        """f beside the point."""
        at = [mpf(x) for x in self.at]
        at[k] += steps * _STEP * (abs(at[k]) or 1)
        return self.f(*map(Exact, at)).data

    def slopes(self, k: int) -> tuple[float, float, float]:
        """Left, central and right slope in one input."""
        with mp.workprec(_BITS):
            step = _STEP * (abs(mpf(self.at[k])) or 1)
            below, here, above = (self.moved(k, steps) for steps in (-1, 0, 1))
            slopes = (here - below) / step, (above - below) / (2 * step), (above - here) / step
            left, middle, right = map(float, slopes)
            return left, middle, right

    @cached_property
    def gradient(self) -> list[float]:
        """The derivatives to the last bit."""
        slopes = [self.slopes(k)[1] for k in range(len(self.at))]
        # What is left at 0 of a step of 2^-1000 is 0.
        return [0.0 if abs(g) < 1e-290 and 0.0 in self.at else g for g in slopes]


def _each(family: str, f: F, *points: Any) -> Iterator[Case]:
    for at in points:
        yield Case(family, f, at if isinstance(at, tuple) else (at,))


def _total(terms: Any) -> Any:
    return reduce(lambda x, y: x + y, terms)


def _easy() -> Iterator[Case]:
    one: list[F] = [
        lambda x: x * x + 3 * x,
        lambda x: ag.sin(x) * ag.exp(-x),
        lambda x: ag.tanh(2 * x - 1),
        lambda x: ag.sigmoid(x) * (1 - ag.sigmoid(x)),
        lambda x: ag.log(1 + x * x),
        lambda x: ag.sqrt(x * x + 1),
        lambda x: (x + 2) ** 3,
        lambda x: 1 / (2 + ag.cos(x)),
        lambda x: ag.gelu(x),
        lambda x: ag.silu(x) + ag.softplus(x),
        lambda x: ag.relu(x + 1) * 2,
        lambda x: ag.erf(x) - ag.atan(x),
        lambda x: ag.elu(x) + abs(x),
        lambda x: ag.asinh(x) * ag.cosh(x / 2),
        lambda x: ag.exp(ag.tanh(x)),
    ]
    two: list[F] = [
        lambda x, y: x * y + ag.sin(x),
        lambda x, y: x / (y * y + 1),
        lambda x, y: ag.hypot(x, y),
        lambda x, y: ag.tanh(x * y + x - y),
        lambda x, y: ag.exp(x) / (ag.exp(x) + ag.exp(y)),
        lambda x, y: ag.maximum(x, y) * x,
        lambda x, y: ag.atan2(x, y),
        lambda x, y: (x - y) * (x - y) + x,
        lambda x, y: ag.log(ag.exp(x) + ag.exp(y)),
        lambda x, y: abs(x) ** y,
    ]
    for f in one:
        yield from _each("easy", f, 0.37, -0.81)
    for f in two:
        yield from _each("easy", f, (0.37, -0.81), (-1.3, 0.45))


def _scale() -> Iterator[Case]:
    for s in (1e8, 1e-8, 1e-150):
        fs: list[F] = [
            lambda x: x * x,
            lambda x: x * x + 1e12,
            lambda x: ag.sqrt(x),
            lambda x: ag.log(x),
            lambda x: 1 / x,
            lambda x, s=s: x / (x + s),
            lambda x, s=s: 1e-8 * ag.sin(x / s),
            lambda x, s=s: ag.tanh(x / s) * s,
            lambda x, s=s: ag.exp(-x / s),
        ]
        for f in fs:
            yield from _each("scale", f, 1.7 * s)
        yield from _each("scale", lambda x, y: ag.hypot(x, y), (s, 2.1 * s))
        yield from _each("scale", lambda x, y: x * y, (s, 0.3))


def _steep() -> Iterator[Case]:
    def eighth(x: Any) -> Any:
        square = (x - 1) * (x - 1)
        return square * square * square * square

    yield from _each("steep", lambda x: ag.exp(20 * x), 0.5, 1.3, -1.0)
    yield from _each("steep", lambda x: ag.exp(50 * x), 0.5, 1.3, -1.0)
    yield from _each("steep", eighth, 1.0001, 1.01, 0.999)
    yield from _each("steep", lambda x: 1 / (x - 1), 1.00001, 0.9999, 1 + 1e-9)
    yield from _each("steep", lambda x: ag.tanh(1e4 * (x - 1)), 1.0001, 1.0, 0.99995)
    yield from _each("steep", lambda x: x**20.0, 3.0, 0.1, 1.5)
    yield from _each("steep", lambda x: ag.exp(ag.exp(x)), 2.0, 3.0, 1.0)


def _saturated() -> Iterator[Case]:
    yield from _each("saturated", lambda x: ag.tanh(x), 18.0, -20.0, 40.0, 300.0)
    yield from _each("saturated", lambda x: ag.sigmoid(x), -40.0, 40.0, -700.0, 36.0)
    yield from _each("saturated", lambda x: ag.softplus(x), -50.0, 50.0, -300.0)
    yield from _each("saturated", lambda x: ag.logsigmoid(x), 45.0, -45.0)
    yield from _each("saturated", lambda x: ag.erf(x), 5.0)
    yield from _each("saturated", lambda x: ag.erfc(x), 6.0)
    yield from _each("saturated", lambda x: ag.silu(x), -50.0)
    yield from _each("saturated", lambda x: ag.gelu(x), -12.0)
    yield from _each("saturated", lambda x: ag.elu(x), -45.0)


def _cancelling() -> Iterator[Case]:
    def expanded(x: Any) -> Any:
        powers = [x]
        for _ in range(6):
            powers.append(powers[-1] * x)
        factors = [7, -21, 35, -35, 21, -7, 1]
        return _total(c * p for c, p in zip(factors, powers, strict=True)) - 1

    yield from _each("cancelling", expanded, 1.1, 1.01, 1.001, 1.00001, 0.99, 2.0)
    signs = [(-1) ** i * (1 + i * 1e-4) for i in range(10_000)]
    yield from _each("cancelling", lambda x: _total(s * x for s in signs), 0.3)
    yield from _each("cancelling", lambda x: _total(s * ag.sin(x) for s in signs), 0.3)
    yield from _each("cancelling", lambda x: _total(1e8 * s * x for s in signs) + x * x, 0.7)
    yield from _each("cancelling", lambda x: (x + 1e8) - 1e8, 0.3)
    yield from _each("cancelling", lambda x, y: x * x - y * y, (1.0, 1.0 + 1e-9))
    yield from _each("cancelling", lambda x: 1 - ag.cos(x), 1e-4, 1e-6)
    yield from _each("cancelling", lambda x: ag.exp(x) - 1, 1e-10)
    yield from _each("cancelling", lambda x: ag.log(1 + x), 1e-10)
    yield from _each("cancelling", lambda x: ag.sqrt(x + 1) - ag.sqrt(x), 1e10)
    yield from _each("cancelling", lambda x: 1 / x - 1 / (x + 1e-7), 2.0)


def _near() -> Iterator[Case]:
    for gap in (1e-3, -1e-5, 1e-7, -1e-8, 1e-9, 1e-10):
        yield from _each("near a kink", lambda x: ag.relu(x - 1) * 3 + x, 1 + gap)
    yield from _each("near a kink", lambda x: abs(x - 1), 1 + 1e-4, 1 - 1e-7, 1 + 1e-10)
    at = [(1.0, 1.0 + gap) for gap in (1e-3, -1e-6, 1e-8, -1e-10)]
    yield from _each("near a kink", lambda x, y: ag.maximum(x, y), *at)
    yield from _each("near a kink", lambda x: ag.leaky_relu(x) * x, 1e-6, -1e-9)
    yield from _each("near a kink", lambda x, y: ag.minimum(x * y, x + y), (2.0, 2.0 + 1e-6))
    yield from _each("near a kink", lambda x: x * x if x > 1 else 2 * x, 1 + 1e-8)


def _smooth_kinks() -> Iterator[Case]:
    yield from _each("differentiable kink", lambda x: x * abs(x), 0.0)
    yield from _each("differentiable kink", lambda x: ag.relu(x) * x, 0.0)
    yield from _each("differentiable kink", lambda x: ag.elu(x), 0.0)
    yield from _each("differentiable kink", lambda x: ag.maximum(x * x, 0.0), 0.0)


def _edges() -> Iterator[Case]:
    yield from _each("edge of the domain", lambda x: ag.log(x), 1e-15, 1e-300)
    yield from _each("edge of the domain", lambda x: ag.sqrt(x), 1e-15, 1e-200)
    yield from _each("edge of the domain", lambda x: ag.asin(x), 1 - 1e-12, -1 + 1e-9)
    yield from _each("edge of the domain", lambda x: ag.acos(x), 1 - 1e-10)
    yield from _each("edge of the domain", lambda x: ag.acosh(x), 1 + 1e-12)
    yield from _each("edge of the domain", lambda x: ag.atanh(x), 1 - 1e-12)
    yield from _each("edge of the domain", lambda x: ag.log1p(x), -1 + 1e-12)
    yield from _each("edge of the domain", lambda x: x**0.5, 1e-20)
    yield from _each("edge of the domain", lambda x: 1 / x, 1e-12)


def _oscillating() -> Iterator[Case]:
    yield from _each("oscillating", lambda x: ag.sin(1e6 * x), 0.7, 1.3)
    yield from _each("oscillating", lambda x: ag.cos(1e6 * x), -0.4)
    yield from _each("oscillating", lambda x: ag.sin(1 / x), 1e-3, 1e-2)
    yield from _each("oscillating", lambda x: ag.sin(x * x), 1e3)
    yield from _each("oscillating", lambda x: ag.sin(ag.exp(x)), 10.0)
    yield from _each("oscillating", lambda x: x * ag.cos(1e3 * x), 0.9)


def _kinks() -> Iterator[Case]:
    yield from _each("kink", lambda x: ag.relu(x), 0.0)
    yield from _each("kink", lambda x: abs(x), 0.0)
    yield from _each("kink", lambda x: ag.leaky_relu(x), 0.0)
    yield from _each("kink", lambda x: ag.elu(x, 2.0), 0.0)
    yield from _each("kink", lambda x: ag.maximum(x, 1.0), 1.0)
    yield from _each("kink", lambda x: ag.minimum(x, 1.0), 1.0)
    yield from _each("kink", lambda x: ag.relu(1e-9 * x), 0.0)
    yield from _each("kink", lambda x: 1e9 * abs(x), 0.0)
    yield from _each("kink", lambda x: ag.relu(x - 2) * 3 + x, 2.0)
    yield from _each("kink", lambda x: ag.relu(x) - 0.5 * ag.relu(-x), 0.0)
    yield from _each("kink", lambda x: x if x > 0 else -2 * x, 0.0)
    yield from _each("kink", lambda x: ag.tanh(abs(x - 3)), 3.0)
    yield from _each("kink", lambda x: ag.exp(ag.relu(x)), 0.0)
    yield from _each("kink", lambda x: ag.relu(x) * ag.cos(x), 0.0)
    yield from _each("kink", lambda x: abs(ag.sin(x)), 0.0)
    yield from _each("kink", lambda x: ag.maximum(x, -x) + x, 0.0)
    yield from _each("kink", lambda x: ag.maximum(x, ag.minimum(2 * x, 1.0)), 0.0)
    yield from _each("kink", lambda x: abs(abs(x) - 1), 1.0)
    yield from _each("kink", lambda x: ag.log(1 + abs(x)), 0.0)
    yield from _each("kink", lambda x: 1e-12 + ag.relu(x) * 1e-6, 0.0)


_FAMILIES = [
    _easy,
    _scale,
    _steep,
    _saturated,
    _cancelling,
    _near,
    _smooth_kinks,
    _edges,
    _oscillating,
]
SMOOTH = [case for family in _FAMILIES for case in family()]
KINKS = list(_kinks())
FACTORS = {
    "-1": -1.0,
    "x2": 2.0,
    "0": 0.0,
    "+1 %": 1.01,
    "+1e-4": 1.0001,
    "+1e-6": 1.000001,
    "nan": float("nan"),
}


def claimed(case: Case, factor: float) -> list[float]:
    """A wrong gradient; beside 0, which no factor changes, a small number."""
    return [g * factor if g or factor != factor else factor - 1.0 for g in case.gradient]


def claiming(case: Case, gradient: list[float]) -> F:
    """The case's function, whose inputs will say that they have that gradient."""

    def f(*xs: Any) -> Any:
        for x, claim in zip(xs, gradient, strict=True):
            if isinstance(x, ag.Value):
                x.register_hook(lambda _, claim=claim: claim)  # type: ignore[misc]
        return case.f(*xs)

    return f
