"""Mistakes that people make in a backward pass by hand, with what a diagnosis must say of them.

The networks have two hidden layers of three neurons and a softmax with cross-entropy over three
classes.  Their backward passes are written in NumPy, as a course has them; a mistake is one step
of it written otherwise.  The list was written before `diagnose` was, and is not fitted to it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autograd import scope

Array = Any
SAMPLES, WIDTH, CLASSES = 5, 3, 3
STEP, DECAY = 0.1, 0.02


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


# An activation of arrays, as a method of Values, and its derivative from sums z and results h.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "tanh": (np.tanh, lambda z, h: 1 - h**2),
    "sigmoid": (sigmoid, lambda z, h: h * (1 - h)),
    "relu": (lambda z: np.maximum(z, 0), lambda z, h: (z > 0).astype(float)),
}


@dataclass
class Net:
    """Data, parameters and the kind of a network."""

    activation: str
    decay: float = 0.0
    skip: bool = False

    def __post_init__(self) -> None:
        rng = np.random.default_rng(7)
        self.x = rng.normal(size=(SAMPLES, WIDTH))
        self.y = np.eye(CLASSES)[[0, 2, 1, 1, 0]]
        sizes = [(WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, CLASSES)]
        self.parameters = []
        for size in sizes:
            self.parameters += [rng.normal(size=size), rng.normal(size=size[1]) / 2]

    def loss(self, W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array) -> Any:
        """The loss, of arrays of Values."""
        act = np.vectorize(lambda v: getattr(v, self.activation)(), otypes=[object])
        with scope("layer 1"):
            first = act(self.x @ W1 + b1)
        with scope("layer 2"):
            second = act(first @ W2 + b2)
            if self.skip:
                second = second + first
        with scope("layer 3"):
            sums = second @ W3 + b3
        with scope("softmax"):
            raised = np.exp(sums)
            p = raised / raised.sum(axis=1, keepdims=True)
        with scope("loss"):
            loss = -(self.y * np.log(p)).sum() / SAMPLES
        if self.decay:
            with scope("decay"):
                loss = loss + self.decay * sum((W**2).sum() for W in (W1, W2, W3))
        return loss


@dataclass
class Steps:
    """The steps of a backward pass; a mistake exchanges one of them."""

    error: Callable[..., Array] = lambda p, y, z: (p - y) / SAMPLES
    slope: Callable[..., Array] = lambda k, z, h, right, other: right
    product: Callable[..., Array] = lambda k, dh, slope: dh * slope
    below: Callable[..., Array] = lambda k, dz, W, dW: dz @ W.T
    weights: Callable[..., Array] = lambda k, h, dz, z, dh: h.T @ dz
    biases: Callable[..., Array] = lambda k, dz: dz.sum(axis=0)
    decay: Callable[..., Array] = lambda W, factor: 2 * factor * W
    past: Callable[..., Array] = lambda dh: dh


def by_hand(net: Net, steps: Steps) -> list[Array]:
    """The gradients of W1, b1, W2, b2, W3 and b3."""
    activation, derivative = ACTIVATIONS[net.activation]
    W1, b1, W2, b2, W3, b3 = net.parameters
    z1 = net.x @ W1 + b1
    h1 = activation(z1)
    z2 = h1 @ W2 + b2
    h2 = activation(z2)
    top = h2 + h1 if net.skip else h2
    z3 = top @ W3 + b3
    p = np.exp(z3) / np.exp(z3).sum(axis=1, keepdims=True)
    dz3 = steps.error(p, net.y, z3)
    dW3 = steps.weights(3, top, dz3, z2, dz3)
    dh2 = steps.below(3, dz3, W3, dW3)
    dz2 = steps.product(2, dh2, steps.slope(2, z2, h2, derivative(z2, h2), derivative(z1, h1)))
    dW2 = steps.weights(2, h1, dz2, z1, dh2)
    dh1 = steps.below(2, dz2, W2, dW2) + (steps.past(dh2) if net.skip else 0)
    dz1 = steps.product(1, dh1, steps.slope(1, z1, h1, derivative(z1, h1), derivative(z2, h2)))
    dW1 = steps.weights(1, net.x, dz1, net.x, dh1)
    weights = [dW1, dW2, dW3]
    if net.decay:
        kept = (W1, W2, W3)
        weights = [d + steps.decay(W, net.decay) for d, W in zip(weights, kept, strict=True)]
    biases = [steps.biases(k, dz) for k, dz in enumerate((dz1, dz2, dz3), 1)]
    return [one for pair in zip(weights, biases, strict=True) for one in pair]


@dataclass
class Slip:
    """A mistake: what it is, what the diagnosis must say, and the step that is written wrong."""

    what: str
    says: str
    steps: dict[str, Any]
    net: Net = field(default_factory=lambda: Net("tanh"))

    @property
    def case(self) -> "Case":
        """The network's loss, its parameters and the wrong gradients."""
        wrong = by_hand(self.net, replace(Steps(), **self.steps))
        return Case(self.what, self.says, self.net.loss, self.net.parameters, wrong)


@dataclass
class Case:
    """A mistake as it is given to `diagnose`: what it is, and what the first explanation says."""

    what: str
    says: str
    f: Callable[..., Any]
    inputs: list[Any]
    claimed: Any


def _softmax_signs(p: Array, y: Array, z: Array) -> Array:
    dp = -y / p / SAMPLES
    return dp * p * (1 - p) + p * ((dp * p).sum(axis=1, keepdims=True) - dp * p)


SLIPS = [
    Slip("the mean over the batch is forgotten", r"every.* 5 times",
         {"error": lambda p, y, z: p - y}),
    Slip("the error has the wrong sign", r"every.* sign",
         {"error": lambda p, y, z: (y - p) / SAMPLES}),
    Slip("two passes are added up", r"every.* (2 times|twice)",
         {"error": lambda p, y, z: 2 * (p - y) / SAMPLES}),
    Slip("softmax' is p (1 - p), its diagonal", r"(cross terms|diagonal)",
         {"error": lambda p, y, z: -y * (1 - p) / SAMPLES}),
    Slip("softmax' is left out", r"softmax.* left out",
         {"error": lambda p, y, z: -y / p / SAMPLES}),
    Slip("softmax' has the wrong sign off its diagonal", r"cross terms.* sign",
         {"error": _softmax_signs}),
    Slip("p (1 - p) is multiplied in behind softmax and cross-entropy", r"sigmoid.*multiplied in",
         {"error": lambda p, y, z: (p - y) * p * (1 - p) / SAMPLES}),
    Slip("tanh' from the sums", r"tanh: dz/dx is 1 - x \* x .*1 - z \* z$",
         {"slope": lambda k, z, h, right, other: 1 - z**2}),
    Slip("tanh' from the sums in layer 1", r"tanh: dz/dx is 1 - x \* x .*layer 1 only",
         {"slope": lambda k, z, h, right, other: 1 - z**2 if k == 1 else right}),
    Slip("tanh' is 1 - h", r"tanh: dz/dx is 1 - z ",
         {"slope": lambda k, z, h, right, other: 1 - h}),
    Slip("tanh' is left out in layer 2", r"tanh: dz/dx .*left out.*layer 2 only",
         {"product": lambda k, dh, slope: dh if k == 2 else dh * slope}),
    Slip("tanh' is multiplied in twice in layer 1", r"tanh: dz/dx .*twice.*layer 1 only",
         {"product": lambda k, dh, slope: dh * slope * slope if k == 1 else dh * slope}),
    Slip("sigmoid' is taken of the result", r"sigmoid: dz/dx is .*sigmoid\(z\)",
         {"slope": lambda k, z, h, right, other: sigmoid(h) * (1 - sigmoid(h))}, Net("sigmoid")),
    Slip("sigmoid' is multiplied in twice in layer 2", r"sigmoid: dz/dx .*twice.*layer 2 only",
         {"product": lambda k, dh, slope: dh * slope**2 if k == 2 else dh * slope}, Net("sigmoid")),
    Slip("relu' is 1 everywhere", r"relu: dz/dx .*left out",
         {"slope": lambda k, z, h, right, other: np.ones_like(z)}, Net("relu")),
    Slip("relu' by the sign of the gradient", r"relu: .*gradient",
         {"product": lambda k, dh, slope: dh * (dh > 0)}, Net("relu")),
    Slip("relu' on the wrong side in layer 1", r"relu: dz/dx is .*side.*layer 1 only|"
         r"relu: dz/dx is 0.0 if x > 0.*layer 1 only",
         {"slope": lambda k, z, h, right, other: 1 - right if k == 1 else right}, Net("relu")),
    Slip("W for W.T in layer 2", r"W2.*transposed|transposed.*W2",
         {"below": lambda k, dz, W, dW: dz @ W if k == 2 else dz @ W.T}),
    Slip("the gradient of W2 is transposed", r"W2.*transposed",
         {"weights": lambda k, h, dz, z, dh: (h.T @ dz).T if k == 2 else h.T @ dz}),
    Slip("biases by the mean", r"b.*1/5.* mean",
         {"biases": lambda k, dz: dz.mean(axis=0)}),
    Slip("one bias for all neurons", r"b.*(sum|one number).*",
         {"biases": lambda k, dz: np.full(dz.shape[1], dz.sum())}),
    Slip("the bias of layer 2 is forgotten", r"b2.*(0|left out)",
         {"biases": lambda k, dz: np.zeros(WIDTH) if k == 2 else dz.sum(axis=0)}),
    Slip("the mean is taken twice in the weights", r"W.*1/5",
         {"weights": lambda k, h, dz, z, dh: h.T @ dz / SAMPLES}),
    Slip("the sums in place of the activations in the weights", r"before tanh|operand",
         {"weights": lambda k, h, dz, z, dh: z.T @ dz}),
    Slip("tanh' of the other layer", r"tanh.*layer 2",
         {"slope": lambda k, z, h, right, other: other if k == 1 else right}),
    Slip("only the last sample counts in the weights", r"W.*last",
         {"weights": lambda k, h, dz, z, dh: np.outer(h[-1], dz[-1])}),
    Slip("W2 is multiplied in without tanh' of its own layer", r"tanh.*W2|W2.*tanh",
         {"weights": lambda k, h, dz, z, dh: h.T @ (dh if k == 2 else dz)}),
    Slip("weights are stepped before they are used", r"step",
         {"below": lambda k, dz, W, dW: dz @ (W - STEP * dW).T}),
    Slip("the decay's gradient is left out", r"decay|W",
         {"decay": lambda W, factor: 0 * W}, Net("tanh", decay=DECAY)),
    Slip("the decay's gradient is halved", r"halved",
         {"decay": lambda W, factor: factor * W}, Net("tanh", decay=DECAY)),
    Slip("what skips layer 2 is lost", r"add|skip|use",
         {"past": lambda dh: 0 * dh}, Net("tanh", skip=True)),
]  # fmt: skip
