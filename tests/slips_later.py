"""A second set of mistakes for `diagnose`, written when it named all of the first."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import scope
from tests.slips import Array, Case, sigmoid

_rng = np.random.default_rng(11)
N, IN, HIDDEN, OUT = 6, 3, 5, 3
X = _rng.normal(size=(N, IN))
LABELS = np.array([0, 2, 1, 1, 0, 2])
Y = np.eye(OUT)[LABELS]
W1, b1 = _rng.normal(size=(IN, HIDDEN)), _rng.normal(size=HIDDEN)
W2, b2 = _rng.normal(size=(HIDDEN, OUT)), _rng.normal(size=OUT)
NET = [W1, b1, W2, b2]


def act(name: str, z: Array) -> Array:
    return np.vectorize(lambda v: getattr(v, name)(), otypes=[object])(z)


def softmax(z: Array) -> Array:
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def entropy(name: str) -> Callable[..., Any]:
    """A hidden layer, softmax and cross-entropy, without scopes."""

    def f(W1: Array, b1: Array, W2: Array, b2: Array) -> Any:
        h = act(name, X @ W1 + b1)
        p = softmax(h @ W2 + b2)
        return -(Y * np.log(p)).sum() / N

    return f


def squares(W1: Array, b1: Array, W2: Array, b2: Array) -> Any:
    """Two layers of tanh and the squares, with scopes."""
    with scope("hidden"):
        h = np.tanh(X @ W1 + b1)
    with scope("out"):
        o = np.tanh(h @ W2 + b2)
    with scope("loss"):
        return ((o - Y) ** 2).sum() / N


SLOPE: dict[str, Callable[[Array, Array], Array]] = {
    "tanh": lambda z, h: 1 - h * h,
    "sigmoid": lambda z, h: h * (1 - h),
    "relu": lambda z, h: (z > 0) * 1.0,
}
FORWARD: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda z: np.maximum(z, 0),
}


def backward(
    name: str,
    error: Callable[[Array], Array] = lambda p: (p - Y) / N,
    slope: Callable[[Array, Array], Array] | None = None,
    down: Callable[[Array], Array] = lambda dz: dz @ W2.T,
    after: Callable[[list[Array], Array], list[Array]] = lambda g, dh: g,
) -> list[Array]:
    """The gradients of `entropy`, with one step exchanged."""
    z = X @ W1 + b1
    h = FORWARD[name](z)
    p = softmax(h @ W2 + b2)
    dz = error(p)
    dh = down(dz)
    da = dh * (slope or SLOPE[name])(z, h)
    return after([X.T @ da, da.sum(0), h.T @ dz, dz.sum(0)], dh)


def _squares_by_hand(out: Callable[[Array], Array], scale: float = 2 / N) -> list[Array]:
    h = np.tanh(X @ W1 + b1)
    o = np.tanh(h @ W2 + b2)
    dz = scale * (o - Y) * out(o)
    da = (dz @ W2.T) * (1 - h * h)
    return [X.T @ da, da.sum(0), h.T @ dz, dz.sum(0)]


def _case(what: str, says: str, name: str, **steps: Any) -> Case:
    return Case(what, says, entropy(name), NET, backward(name, **steps))


def leaky(W1: Array, b1: Array, W2: Array, b2: Array) -> Any:
    """A leaky hidden layer."""
    with scope("leaky"):
        z = X @ W1 + b1
        h = np.vectorize(lambda v: v.maximum(v * 0.1), otypes=[object])(z)
    return -(Y * np.log(softmax(h @ W2 + b2))).sum() / N


def _leaky_by_hand() -> list[Array]:
    z = X @ W1 + b1
    h = np.maximum(z, 0.1 * z)
    dz = (softmax(h @ W2 + b2) - Y) / N
    da = (dz @ W2.T) * (z > 0)
    return [X.T @ da, da.sum(0), h.T @ dz, dz.sum(0)]


def normalized(x: Array, gain: Array) -> Any:
    """A layer norm of one vector, and the squares."""
    with scope("mean"):
        mean = x.sum(keepdims=True) / len(x)
    with scope("deviation"):
        deviation = (((x - mean) ** 2).sum(keepdims=True) / len(x) + 1e-5) ** 0.5
    return ((gain * (x - mean) / deviation - X[:, 0]) ** 2).sum()


def _norm_by_hand(slip: str) -> list[Array]:
    x, gain = X[:, 1], X[:, 2]
    centered = x - x.mean()
    deviation = (centered.var() + 1e-5) ** 0.5
    out = gain * centered / deviation
    dout = 2 * (out - X[:, 0])
    dn = dout * gain / deviation
    ddeviation = -(dout * gain * centered).sum() / deviation**2
    if slip == "deviation":
        ddeviation = 0.0
    dc = dn + ddeviation * centered / (N * deviation)
    dx = dc if slip == "mean" else dc - dc.mean()
    return [dx, dout * centered / deviation]


def attention(q: Array, k: Array, v: Array) -> Any:
    """One query against six keys, scaled."""
    with scope("scores"):
        scores = k @ q / IN**0.5
    with scope("weights"):
        e = np.exp(scores)
        a = e / e.sum(keepdims=True)
    with scope("loss"):
        return ((a @ v - X[0]) ** 2).sum()


def _attention_by_hand(slip: str) -> list[Array]:
    q, k, v = X[1], X, X[::-1]
    a = np.exp(k @ q / IN**0.5)
    a = a / a.sum()
    do = 2 * (a @ v - X[0])
    da = v @ do
    ds = a * (da - (0 if slip == "cross" else (a * da).sum()))
    scale = 1.0 if slip == "scale" else IN**-0.5
    dq = k.T @ ds * (1.0 if slip == "q" else scale)
    return [dq, np.outer(ds, q) * scale, np.outer(a, do)]


ATTENTION = [X[1], X, X[::-1].copy()]
LATER = [
    _case("the labels are not subtracted", "label|target|lost|left out|nothing", "sigmoid",
          error=lambda p: p / N),
    _case("the labels of the next sample", "label|order|sample", "tanh",
          error=lambda p: (p - np.roll(Y, 1, axis=0)) / N),
    _case("everything is divided by N twice", "every.* 1/6", "relu",
          error=lambda p: (p - Y) / N / N),
    _case("W1 in the place of W2.T", "W1.*W2|W2.*W1", "tanh", down=lambda dz: dz @ W1),
    _case("sigmoid' is h (1 + h)", r"sigmoid: dz/dx is z \* \(1 \+ z\)", "sigmoid",
          slope=lambda z, h: h * (1 + h)),
    _case("tanh' is 1 + h^2", r"tanh: dz/dx is 1 \+ z \* z", "tanh",
          slope=lambda z, h: 1 + h * h),
    _case("sigmoid' from the sums", r"sigmoid: dz/dx is x \* \(1 - x\)", "sigmoid",
          slope=lambda z, h: z * (1 - z)),
    _case("the logarithm to base 2", r"every.*1\.44269", "tanh",
          error=lambda p: (p - Y) / N / np.log(2)),
    _case("the bias without tanh'", "tanh.* left out.*b1", "tanh",
          after=lambda g, dh: [g[0], dh.sum(0), g[2], g[3]]),
    _case("clipped at 0.05", "clip", "tanh",
          after=lambda g, dh: [np.clip(one, -0.05, 0.05) for one in g]),
    _case("a decay that the loss does not have", "added|decay", "relu",
          after=lambda g, dh: [one + 0.02 * w for one, w in zip(g, NET, strict=True)]),
    _case("only the first sample counts in the biases", "b.*only the first of 6 uses", "tanh",
          after=lambda g, dh: [g[0], (dh * SLOPE["tanh"](0, np.tanh(X @ W1 + b1)))[0], g[2],
                               (softmax(np.tanh(X @ W1 + b1) @ W2 + b2) - Y)[0] / N]),
    _case("the gradient of W1 in the layout of its transpose", "W1: transposed", "relu",
          after=lambda g, dh: [g[0].T.reshape(g[0].shape), *g[1:]]),
    Case("tanh' of the output is 1 - o", "tanh: dz/dx is 1 - z .*out only", squares, NET,
         _squares_by_hand(lambda o: 1 - o)),
    Case("the mean is over all elements", "every.* 1/3", squares, NET,
         _squares_by_hand(lambda o: 1 - o * o, 2 / N / OUT)),
    Case("tanh' of the output is left out", "tanh.* left out.*out only", squares, NET,
         _squares_by_hand(lambda o: np.ones_like(o))),
    Case("leaky relu' is 0 on the left", "leaky", leaky, NET, _leaky_by_hand()),
    Case("nothing through the deviation", "deviation", normalized, [X[:, 1], X[:, 2]],
         _norm_by_hand("deviation")),
    Case("nothing through the mean", "mean", normalized, [X[:, 1], X[:, 2]],
         _norm_by_hand("mean")),
    Case("the scale of the scores is forgotten", "scores|div", attention, ATTENTION,
         _attention_by_hand("scale")),
    Case("the scale is forgotten for the query", "q", attention, ATTENTION,
         _attention_by_hand("q")),
    Case("softmax' of the scores is its diagonal without -a a'", "softmax|weights", attention,
         ATTENTION, _attention_by_hand("cross")),
]  # fmt: skip
