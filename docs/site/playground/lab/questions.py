"""The primer's questions as settings to try, each with a claim and the figures that test it."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from lab.network import Network
from lab.setting import Setting
from nn import init, mse
from nn.study.curvature import largest_curvature

_RATES = Setting(data="moons", hidden=(6,), initializer="lecun_normal", seed=3)
_STARTS = Setting(data="circle", hidden=(6, 6, 6), rate=0.5, seed=3)


@dataclass(frozen=True)
class Question:
    """A setting, how many steps to train it, and what should happen."""

    key: str
    title: str
    claim: str
    setting: Setting
    steps: int = 200

    def shown(self) -> dict[str, Any]:
        """The question as the page reads it."""
        return {
            "key": self.key,
            "title": self.title,
            "claim": self.claim,
            "steps": self.steps,
            "setting": self.setting.fields(),
        }


RATES = [
    Question(key, title, claim, replace(_RATES, rate=rate))
    for key, title, rate, claim in (
        ("low", "too low", 0.003, "The loss falls at every step, but hardly gets anywhere."),
        ("right", "right", 0.4, "The loss falls fast and settles."),
        ("high", "high", 1.3, "The loss jumps up and down, but still falls."),
        ("toohigh", "too high", 30.0, "The first steps saturate the network; it never recovers."),
    )
]
STARTS = [
    Question(key, title, claim, replace(_STARTS, initializer=name, activation=activation))
    for key, title, name, activation, claim in (
        ("zeros", "zeros", "zeros", "tanh", "Only the last bias has a gradient."),
        ("constant", "constant", "constant", "tanh", "The neurons of a layer stay identical."),
        ("random", "random, small", "normal", "tanh", "Signal and gradient vanish."),
        ("lecun", "LeCun", "lecun_normal", "tanh", "The signal keeps its size."),
        ("xavier", "Xavier", "glorot_normal", "tanh", "A compromise between signal and gradient."),
        ("he", "He, for relu", "he_normal", "relu", "Twice the variance, as relu halves it."),
    )
]  # fmt: skip


def questions() -> list[dict[str, Any]]:
    """The two groups of questions, as the page reads them."""
    return [
        {"title": "Learning rate", "questions": [q.shown() for q in RATES]},
        {"title": "Initial weights", "questions": [q.shown() for q in STARTS]},
    ]


def _before(setting: Setting) -> list[str]:
    """What can be measured before the first step."""
    fresh = Network(setting)
    inputs, targets = [x for x, _ in fresh.samples], [[t] for _, t in fresh.samples]
    curvature = largest_curvature(fresh.model, (inputs, targets), mse, rounds=20)
    lines = []
    if setting.optimizer == "sgd" and curvature > 0.0:
        bound = 2.0 / curvature
        ratio = setting.rate / bound
        lines.append(
            f"2 / curvature is {bound:.3g} at the start; this rate is {ratio:.3g} times that"
        )
    report = init.examine(fresh.model, inputs, targets, mse)
    signal = [layer.mean_square for layer in report.layers]
    gradient = [layer.gradient for layer in report.layers]
    lines.append(f"mean square of the signal by layer: {_sizes(signal)}")
    lines.append(f"mean square of the gradient by layer: {_sizes(gradient)}")
    return [*lines, *report.findings]


def _sizes(numbers: list[float]) -> str:
    return ", ".join(f"{number:.2g}" for number in numbers)


def measured(network: Network) -> list[str]:
    """The figures of a run so far: what the start was like, and what came of it."""
    if not network.samples or not network.losses:
        return []
    losses = network.losses
    rises = sum(after > before for before, after in pairwise(losses))
    run = (
        f"loss {losses[0]:.4g} at the start, {losses[-1]:.4g} after {len(losses)} steps; "
        f"it rose in {rises} of them; {network.right()} of {len(network.samples)} points are right"
    )
    return [run, *_before(network.setting)]
