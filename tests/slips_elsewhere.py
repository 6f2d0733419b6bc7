"""More mistakes for `diagnose`: a net without scopes, and four that people have reported."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import scope
from tests.slips import Array, Case, sigmoid

_rng = np.random.default_rng(0)
X, Y = _rng.normal(size=(5, 2)), _rng.normal(size=5)
SMALL = [_rng.normal(size=(2, 3)), _rng.normal(size=3), _rng.normal(size=3)]


def mean_square(W1: Array, b1: Array, W2: Array) -> Any:
    """The mean squared error of two layers, without a scope."""
    return ((np.tanh(X @ W1 + b1) @ W2 - Y) ** 2).sum() / len(Y)


def by_hand(slip: str) -> list[Array]:
    """Its gradients, with a mistake."""
    W1, b1, W2 = SMALL
    A = X @ W1 + b1
    H = np.tanh(A)
    E = H @ W2 - Y
    errors = {"no 2": E / len(Y), "no mean": 2 * E, "sign": -2 * E / len(Y)}
    dP = errors.get(slip, 2 * E / len(Y))
    dH = np.outer(dP, np.ones(3) if slip == "W2 not used" else W2)
    slopes = {"1-A**2": 1 - A**2, "no tanh'": np.ones_like(A), "1-H": 1 - H}
    dA = dH * slopes.get(slip, 1 - H**2)
    dW1 = X.T @ dA
    if slip == "transposed":
        dW1 = dW1.ravel().reshape(3, 2).T
    return [dW1, dA.mean(0) if slip == "db mean" else dA.sum(0), H.T @ dP]


TWO_LAYERS = [
    Case(slip, says, mean_square, SMALL, by_hand(slip))
    for slip, says in {
        "no 2": "every gradient: 1/2",
        "no mean": "every gradient: 5 times",
        "sign": "every gradient: the wrong sign",
        "1-A**2": r"tanh: dz/dx is 1 - x \* x",
        "no tanh'": "tanh: dz/dx = .* is left out",
        "1-H": "tanh: dz/dx is 1 - z ",
        "W2 not used": "mul: dz/dx = y is left out",
        "db mean": "b1: 1/5",
        "transposed": "W1: transposed",
    }.items()
]

_rng = np.random.default_rng(3)
ROWS, LABELS = _rng.normal(size=(4, 3)), np.eye(3)[[0, 1, 2, 0]]
BIG = [_rng.normal(size=size) for size in ((3, 5), (5,), (5, 3), (3,))]


def _two_layers(top: Callable[[Array], Array], loss: Callable[[Array], Array]) -> Any:
    def f(W1: Array, b1: Array, W2: Array, b2: Array) -> Any:
        act = np.vectorize(lambda v: v.sigmoid(), otypes=[object])
        with scope("hidden layer"):
            h = act(ROWS @ W1 + b1)
        with scope("output layer"):
            o = h @ W2 + b2
        o = top(o)
        with scope("loss"):
            return loss(o).sum() / len(ROWS)

    return f


def _sigmoids(o: Array) -> Array:
    with scope("output layer"):
        return np.vectorize(lambda v: v.sigmoid(), otypes=[object])(o)


def _softmax(o: Array) -> Array:
    with scope("softmax"):
        e = np.exp(o)
        return e / e.sum(axis=1, keepdims=True)


def _below(delta: Array, hidden: Array) -> list[Array]:
    """Gradients of both layers for a given error at the second layer's sums."""
    back = delta @ BIG[2].T * hidden * (1 - hidden)
    return [ROWS.T @ back, back.sum(0), hidden.T @ delta, delta.sum(0)]


def _reported() -> list[Case]:
    W1, b1, W2, b2 = BIG
    H = sigmoid(ROWS @ W1 + b1)
    Z = H @ W2 + b2
    out, S = sigmoid(Z), np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    squares = _two_layers(_sigmoids, lambda o: (o - LABELS) ** 2)
    softmax_squares = _two_layers(_softmax, lambda o: (o - LABELS) ** 2)
    entropy = _two_layers(_softmax, lambda p: -LABELS * np.log(p))
    X2 = ROWS @ W1[:, :2] + b1[:2]

    def isrlu(W: Array, b: Array) -> Any:
        with scope("linear"):
            z = ROWS @ W + b
        with scope("isrlu"):
            o = np.vectorize(
                lambda v: v * (1.0 / (1.0 + v.minimum(0.0) ** 2).sqrt()), otypes=[object]
            )(z)
        with scope("loss"):
            return ((o - LABELS[:, :2]) ** 2).sum() / o.size

    local = (1 + np.minimum(X2, 0) ** 2) ** -1.5
    return [
        Case("the output's own sigmoid' is left out", "sigmoid.*left out, in output layer only",
             squares, BIG, _below(2 * (out - LABELS) / len(ROWS), H)),
        Case("softmax' under squares as s (1 - s)", "cross terms|diagonal",
             softmax_squares, BIG, _below(2 * (S - LABELS) / len(ROWS) * S * (1 - S), H)),
        Case("an activation without the upstream gradient", "upstream gradient is left out.*isrlu",
             isrlu, [W1[:, :2], b1[:2]], [ROWS.T @ local, local.sum(0)]),
        Case("a sigmoid' behind softmax and cross-entropy", "sigmoid.*multiplied in",
             entropy, BIG, _below((S - LABELS) / len(ROWS) * out * (1 - out), H)),
    ]  # fmt: skip


REPORTED = _reported()
