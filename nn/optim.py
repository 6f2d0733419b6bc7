"""Optimizers, one class each: they update the parameters of a model from its gradients.

An optimizer computes all new numbers and its new state before it changes anything, so a step
happens completely or not at all.  Names, defaults and the order of operations are PyTorch's; Keras
says `learning_rate` for `lr` and `rho` or `beta_1` for the decay rates.
"""

import math
from typing import TYPE_CHECKING, Any, ClassVar

from autograd.elsewhere import absent
from autograd.options import POSITIVE, real
from autograd.value import grad_writer, grads
from nn.activations import exact_sum
from nn.columns import Column, divided, larger, like, root
from nn.optimizer import Moved, Optimizer, Options, State, named_values

__all__ = [  # noqa: RUF022 - in the order of the file
    "SGD", "Adagrad", "AdaGrad", "Adadelta", "RMSprop", "Adam", "AdamW", "Adamax", "NAdam", "LBFGS",
    "NAMED", "Optimizer", "clip_norm", "clip_value",
]  # fmt: skip


class SGD(Optimizer):
    """x <- x - lr * v, where v is the gradient, or its running sum v <- momentum * v + g.

    With `nesterov`, the step is g + momentum * v (Sutskever et al. 2013, eq. 3-4 in PyTorch's
    form).  With `dampening` d, (1 - d) g is added to v.

    >>> from autograd import Value
    >>> x = Value(1.0)
    >>> optimizer = SGD([x], lr=0.1)
    >>> (x * x).backward(); optimizer.step(); x.data
    0.8
    """

    defaults: ClassVar[Options] = {"momentum": 0.0, "dampening": 0.0, "nesterov": False}

    def _checked(self, options: Options) -> Options:
        options = super()._checked(options)
        if options["nesterov"] and (not options["momentum"] or options["dampening"]):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0")
        return options

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        lr, momentum = options["lr"], options["momentum"]
        if not momentum:
            return x - lr * g, {}
        v = g
        if "velocity" in state:
            v = momentum * like(x, state["velocity"]) + (1.0 - options["dampening"]) * g
        return x - lr * (g + momentum * v if options["nesterov"] else v), {"velocity": v}


class Adagrad(Optimizer):
    """x <- x - lr * g / (sqrt(s) + eps), where s is the sum of all g^2 so far (Duchi et al. 2011).

    `lr_decay` d divides lr by 1 + (t - 1) d at step t.  s starts at `initial`, by default 0 as in
    PyTorch; Keras starts at 0.1.
    """

    rate = 0.01
    defaults: ClassVar[Options] = {"lr_decay": 0.0, "initial": 0.0, "eps": 1e-10}

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        rate = options["lr"] / (1.0 + (step - 1) * options["lr_decay"])
        s = like(x, state.get("squares", options["initial"])) + g * g
        return x - divided(rate * g, root(s) + options["eps"]), {"squares": s}


class Adadelta(Optimizer):
    """x <- x - lr * d with d = g * sqrt(u + eps) / sqrt(s + eps) (Zeiler 2012, algorithm 1).

    s and u are the running means of g^2 and of d^2, with the decay rate `rho`.
    """

    rate = 1.0
    defaults: ClassVar[Options] = {"rho": 0.9, "eps": 1e-6}

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        rho, eps = options["rho"], options["eps"]
        s = _squares(x, g, state, rho)
        u = like(x, state.get("moves"))
        d = divided(root(u + eps), root(s + eps)) * g
        return x - options["lr"] * d, {"squares": s, "moves": rho * u + (1.0 - rho) * d * d}


class RMSprop(Optimizer):
    """x <- x - lr * g / (sqrt(s) + eps), where s <- alpha s + (1 - alpha) g^2 (Hinton 2012, L. 6e).

    `momentum` adds up the steps as in SGD.  Keras says `rho` for `alpha`; its default is 0.9.
    """

    rate = 0.01
    defaults: ClassVar[Options] = {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0}

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        lr, alpha, eps = options["lr"], options["alpha"], options["eps"]
        s = _squares(x, g, state, alpha)
        if not (momentum := options["momentum"]):
            return x - divided(lr * g, root(s) + eps), {"squares": s}
        v = momentum * like(x, state.get("velocity")) + divided(g, root(s) + eps)
        return x - lr * v, {"squares": s, "velocity": v}


class Adam(Optimizer):
    """x <- x - lr * m / (sqrt(v) + eps), m and v the running means of g and g^2, bias-corrected.

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2 with betas (b1, b2), divided by 1 - b1^t
    and 1 - b2^t at step t (Kingma and Ba 2015, algorithm 1).  With `amsgrad`, the largest v so far
    is used (Reddi, Kale and Kumar 2018, algorithm 2).

    >>> from autograd import Value
    >>> x = Value(1.0)
    >>> optimizer = Adam([x], lr=0.1)
    >>> (x * x).backward(); optimizer.step()
    >>> round(x.data, 6)  # the first step is lr long, whatever the gradient
    0.9
    """

    defaults: ClassVar[Options] = {"betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        b1, b2 = options["betas"]
        m, v = _mean(x, g, state, b1), _squares(x, g, state, b2)
        largest = larger(like(x, state.get("largest")), v) if options["amsgrad"] else v
        state = {"mean": m, "squares": v} | ({"largest": largest} if options["amsgrad"] else {})
        rate = options["lr"] / (1.0 - b1**step)
        scale = math.sqrt(1.0 - b2**step)
        return x - divided(rate * m, root(largest) / scale + options["eps"]), state


class AdamW(Adam):
    """Adam with x <- x - lr * weight_decay * x before each step, instead of decay in g.

    The decay is therefore not divided by sqrt(v) (Loshchilov and Hutter 2019, algorithm 2).
    """

    defaults: ClassVar[Options] = {**Adam.defaults, "weight_decay": 0.01}
    decoupled = True

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        decay = 1.0 - options["lr"] * options["weight_decay"]
        return super().update(decay * x, g, state, step, **options)


class Adamax(Optimizer):
    """x <- x - lr * m / ((1 - b1^t) u), u the largest of b2 u and |g| (Kingma and Ba 2015, alg. 2).

    m is Adam's running mean of g.
    """

    rate = 0.002
    defaults: ClassVar[Options] = {"betas": (0.9, 0.999), "eps": 1e-8}

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        b1, b2 = options["betas"]
        m = _mean(x, g, state, b1)
        u = larger(b2 * like(x, state.get("largest")), abs(g) + options["eps"])
        rate = options["lr"] / (1.0 - b1**step)
        return x - rate * divided(m, u), {"mean": m, "largest": u}


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: a step along the next mean, not the current one (Dozat 2016).

    The momentum of step t is b1 (1 - 0.96^(t d) / 2) with `momentum_decay` d.
    """

    rate = 0.002
    defaults: ClassVar[Options] = {"betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 0.004}

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        (b1, b2), lr = options["betas"], options["lr"]
        now, after = (
            b1 * (1.0 - 0.5 * 0.96 ** (t * options["momentum_decay"])) for t in (step, step + 1)
        )
        product = state.get("product", 1.0) * now
        m, v = _mean(x, g, state, b1), _squares(x, g, state, b2)
        scale = root(v) / math.sqrt(1.0 - b2**step) + options["eps"]
        x = x - divided(lr * (1.0 - now) / (1.0 - product) * g, scale)
        x = x - divided(lr * after / (1.0 - product * after) * m, scale)
        return x, {"product": product, "mean": m, "squares": v}


def _mean(x: Column, g: Column, state: State, decay: float) -> Column:
    """The running mean of the gradients."""
    m = like(x, state.get("mean"))
    return m + (g - m) * (1.0 - decay)


def _squares(x: Column, g: Column, state: State, decay: float) -> Column:
    """The running mean of the squared gradients."""
    return decay * like(x, state.get("squares")) + (1.0 - decay) * g * g


class LBFGS(Optimizer):
    """x <- x + t d, d = -H g with the curvature of the last steps (Liu and Nocedal 1989).

    H comes from the last `history_size` pairs of steps and gradient changes, by the two loops of
    Nocedal and Wright (2006, algorithm 7.4).  For small problems, with all samples in each step.

    A step needs one gradient, like any other optimizer, so it works in `fit`, compiled, and with
    checkpoints; PyTorch's needs a closure.  The line search is spread over the steps: while the
    slope along d is more than half as steep as at the start of the line, downhill or uphill, the
    next step tries another t on the same line: twice as far, or between the two ends by a secant.
    It uses slopes only, so it needs no loss.  With `line_search=False` each t is accepted, and the
    numbers are those of PyTorch's with max_iter=1.

    >>> from autograd import Value
    >>> x, y = Value(-1.0), Value(1.0)
    >>> optimizer = LBFGS([x, y])
    >>> for _ in range(60):
    ...     optimizer.zero_grad()
    ...     ((1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2).backward()
    ...     optimizer.step()
    >>> round(x.data, 6), round(y.data, 6)
    (1.0, 1.0)
    """

    rate = 1.0
    defaults: ClassVar[Options] = {"history_size": 100, "line_search": True}

    def __init__(self, parameters: Any, lr: float | None = None, **options: Any) -> None:
        super().__init__(parameters, lr, **options)
        if len(self.groups) > 1:
            raise ValueError(
                f"LBFGS: expected one group, got {len(self.groups)}; its curvature needs all "
                "parameters together"
            )

    def update(self, x: Column, g: Column, state: State, step: int, **options: Any) -> Moved:
        """The numbers and state after the step in the class's formula."""
        if not state:
            first = min(1.0, 1.0 / (exact_sum(abs(g)) or 1.0)) * options["lr"]
            return _new_line(x, g, -1.0 * g, first, {})
        d, before, t = like(x, state["direction"]), like(x, state["gradient"]), state["length"]
        slope, steepest = _dot(g, d), abs(_dot(before, d))
        if options["line_search"] and abs(slope) > 0.5 * steepest and state["tries"] < _MOST_TRIES:
            return _next_try(x, d, slope, state)
        pairs = [
            (like(x, state[f"move {i}"]), like(x, state[f"change {i}"]))
            for i in range(int(state["pairs"]))
        ]
        move, change = t * d, g - before
        if _dot(move, change) > 1e-10:  # PyTorch's bound; H stays positive
            pairs = [*pairs, (move, change)][-options["history_size"] :]
        memory: State = {}
        for i, (move, change) in enumerate(pairs):
            memory |= {f"move {i}": move, f"change {i}": change}
        return _new_line(x, g, _newton(g, pairs), options["lr"], memory)


_MOST_TRIES = 20.0  # on one line; at a kink the slope never becomes small


def _dot(x: Column, y: Column) -> float:
    return exact_sum(x * y)


def _newton(g: Column, pairs: list[tuple[Column, Column]]) -> Column:
    """-H g, by the two loops."""
    q, weights = -1.0 * g, []
    for move, change in reversed(pairs):
        weights.append(_dot(move, q) / _dot(move, change))
        q = q - weights[-1] * change
    if pairs:
        move, change = pairs[-1]
        q = _dot(move, change) / _dot(change, change) * q
    for (move, change), weight in zip(pairs, reversed(weights), strict=True):
        q = q + (weight - _dot(change, q) / _dot(move, change)) * move
    return q


def _new_line(x: Column, g: Column, d: Column, t: float, memory: State) -> Moved:
    """The result of the first step on a new line."""
    line = {"origin": x, "gradient": g, "direction": d, "length": t, "pairs": len(memory) / 2.0}
    ends = {"tries": 0.0, "low": 0.0, "low slope": _dot(g, d), "high": 0.0, "high slope": 0.0}
    return x + t * d, {**memory, **line, **ends}


def _next_try(x: Column, d: Column, slope: float, state: State) -> Moved:
    """The result of another step on the line: further, or between slopes of opposite signs."""
    t = state["length"]
    end = "high" if slope > 0.0 else "low"
    state = {**state, "tries": state["tries"] + 1.0, end: t, f"{end} slope": slope}
    state["length"] = 2.0 * t
    if state["high"]:
        fall, rise = -state["low slope"], state["high slope"]
        share = min(max(fall / (fall + rise), 0.1), 0.9)
        state["length"] = state["low"] + share * (state["high"] - state["low"])
    return like(x, state["origin"]) + state["length"] * d, state


def clip_norm(parameters: Any, largest: float) -> float:
    """The Euclidean norm of the gradients; they are then scaled to a norm of at most `largest`.

    The parameters are a module or Values, as for an optimizer.

    >>> from autograd import Value
    >>> x = Value(3.0); y = Value(4.0)
    >>> (x * x / 2 + y * y / 2).backward()
    >>> clip_norm([x, y], 1.0), round(y.grad, 3)
    (5.0, 0.8)
    """
    values = [value for _, value in named_values(parameters)]
    norm, scaled = clipped(grads(values), real(largest, "clip_norm: largest", POSITIVE))
    if norm > largest:
        grad_writer(values, scaled)()
    return norm


def clipped(gradients: list[float], largest: float) -> tuple[float, list[float]]:
    """The Euclidean norm of the gradients, and the gradients scaled to a norm of at most `largest`.

    Raises ArithmeticError if the norm is inf or nan.

    >>> clipped([3.0, 4.0], 10.0)
    (5.0, [3.0, 4.0])
    """
    norm = math.hypot(*gradients)
    if not math.isfinite(norm):
        raise ArithmeticError(f"clip_norm: the norm of the gradients is {norm!r}")
    if norm > largest:
        gradients = [gradient * (largest / norm) for gradient in gradients]
    return norm, gradients


def clip_value(parameters: Any, largest: float) -> None:
    """Clip every gradient to between -largest and largest; parameters as for `clip_norm`.

    >>> from autograd import Value
    >>> x = Value(3.0)
    >>> (x * x).backward()
    >>> clip_value([x], 0.5); x.grad
    0.5
    """
    largest = real(largest, "clip_value: largest", POSITIVE)
    values = [value for _, value in named_values(parameters)]
    if any(parameter.grad != parameter.grad for parameter in values):
        raise ArithmeticError("clip_value: a gradient is nan")
    grad_writer(values, [max(-largest, min(largest, parameter.grad)) for parameter in values])()


AdaGrad = Adagrad
# Every optimizer by its name for `fit`.
NAMED: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind
    for kind in (SGD, Adagrad, Adadelta, RMSprop, Adam, AdamW, Adamax, NAdam, LBFGS)
}

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
