"""Functions that record nothing, with their gradients: in doubles of all sizes, and in float32."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = list[float]


@dataclass(frozen=True)
class BlackBoxCase:
    """A function of a list of numbers, a point, and its gradient there."""

    f: Callable[[Any], Any]
    at: Numbers
    gradient: Numbers

    def alone(self, k: int) -> "BlackBoxCase":
        """The function of one of its numbers."""

        def f(x: Any) -> Any:
            return self.f([*self.at[:k], *x, *self.at[k + 1 :]])

        return BlackBoxCase(f, [self.at[k]], [self.gradient[k]])


def _squares(v: Numbers) -> float:
    return math.fsum(x * x for x in v)


def _exponential(v: Numbers) -> Numbers:
    z = math.exp(v[0] / v[2])
    return [z * v[1] / v[2], z, -z * v[1] * v[0] / v[2] ** 2]


def _saturating(v: Numbers) -> Numbers:
    z = math.tanh(v[0] / v[1])
    return [(1 - z * z) * v[2] / v[1], -(1 - z * z) * v[2] * v[0] / v[1] ** 2, z]


_OF_THREE: list[tuple[Callable[[Numbers], float], Callable[[Numbers], Numbers]]] = [
    (lambda v: math.exp(v[0] / v[2]) * v[1], _exponential),
    (lambda v: v[0] * v[1] * v[2], lambda v: [v[1] * v[2], v[0] * v[2], v[0] * v[1]]),
    (lambda v: math.log(_squares(v)), lambda v: [2 * x / _squares(v) for x in v]),
    (lambda v: math.sqrt(_squares(v)), lambda v: [x / math.sqrt(_squares(v)) for x in v]),
    (lambda v: math.fsum(x**3 for x in v), lambda v: [3 * x * x for x in v]),
    (lambda v: math.tanh(v[0] / v[1]) * v[2], _saturating),
]
_SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)


def scaled(seed: int, points: int = 5) -> Iterator[BlackBoxCase]:
    """Six functions of three numbers of each of five sizes, from 1e-6 to 1e6."""
    rng = random.Random(seed)
    for f, gradient in _OF_THREE:
        for scale in _SCALES:
            for _ in range(points):
                at = [scale * rng.uniform(0.5, 2.0) for _ in range(3)]
                yield BlackBoxCase(f, at, gradient(at))


def float32(seed: int, points: int = 5) -> Iterator[BlackBoxCase]:
    """Five functions of four numbers that compute in float32, with gradients in doubles."""
    rng = np.random.default_rng(seed)
    for _ in range(points):
        w, b, v = rng.normal(size=(6, 4)), rng.normal(size=6), rng.normal(size=6)
        for f, gradient in _networks(w, b, v):
            at = rng.normal(size=4)

            def of_list(x: Any, f: Any = f) -> Any:
                return f(np.asarray(x, np.float32))

            yield BlackBoxCase(of_list, at.tolist(), gradient(at).tolist())


def _networks(
    w: Any, b: Any, v: Any
) -> Iterator[tuple[Callable[[Any], Any], Callable[[Any], Any]]]:
    """A network, log-sum-exp, a norm, a crossentropy and a formula; gradients by hand."""
    narrow = [x.astype(np.float32) for x in (w, b, v)]

    def softmax(z: Any) -> Any:
        powers = np.exp(z - z.max())
        return powers / powers.sum()

    def largest(z: Any) -> Any:
        return z.max() + np.log(np.exp(z - z.max()).sum())

    def network(x: Any) -> Any:
        return narrow[2] @ np.tanh(narrow[0] @ x + narrow[1])

    def of_network(x: Any) -> Any:
        return w.T @ (v * (1 - np.tanh(w @ x + b) ** 2))

    def crossentropy(x: Any) -> Any:
        z = narrow[0][:4] @ x
        return largest(z) - z[1]

    def of_crossentropy(x: Any) -> Any:
        return w[:4].T @ (softmax(w[:4] @ x) - np.eye(4)[1])

    def formula(x: Any) -> Any:
        return np.tanh(x[0] * x[1]) * x[2] + x[3] * x[3] * np.float32(0.1)

    def of_formula(x: Any) -> Any:
        z = np.tanh(x[0] * x[1])
        return np.array([(1 - z * z) * x[1] * x[2], (1 - z * z) * x[0] * x[2], z, 0.2 * x[3]])

    yield network, of_network
    yield largest, softmax
    yield (lambda x: np.sqrt((x * x).sum())), (lambda x: x / np.sqrt((x * x).sum()))
    yield crossentropy, of_crossentropy
    yield formula, of_formula
