"""The networks and optimizers that are compared with PyTorch's, step by step."""

from dataclasses import dataclass
from typing import Any

from nn import MLP
from nn.data import load_moons


@dataclass
class Network:
    """A model, data and a loss."""

    sizes: list[int]
    activation: str
    loss: str
    inputs: list[list[float]]
    targets: list[int]

    def model(self) -> MLP:
        """Always the same numbers."""
        return MLP(self.sizes, self.activation, seed=7)


# An odd number: where gradients cancel exactly, adaptive steps would follow the rounding.
_moons = load_moons(23, seed=3)
_three = [sum(x > t for t in (-0.2, 0.9)) for x, _ in _moons.features]

NETWORKS = {
    "moons": Network([2, 8, 8, 1], "relu", "hinge", _moons.features, _moons.targets),
    "classes": Network([2, 6, 3], "tanh", "crossentropy", _moons.features, _three),
}

OPTIMIZERS: dict[str, tuple[float, dict[str, Any]]] = {
    "SGD": (0.1, {}),
    "SGD momentum": (0.05, {"momentum": 0.9}),
    "SGD nesterov": (0.05, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
    "SGD dampening": (0.1, {"momentum": 0.8, "dampening": 0.3}),
    "RMSprop": (0.01, {}),
    "RMSprop momentum": (0.003, {"momentum": 0.9, "alpha": 0.9, "weight_decay": 1e-3}),
    "Adagrad": (0.1, {"lr_decay": 1e-2, "weight_decay": 1e-3}),
    "Adam": (0.02, {}),
    "Adam decay": (0.02, {"betas": (0.8, 0.95), "weight_decay": 1e-2}),
    "Adam amsgrad": (0.05, {"amsgrad": True}),
    "AdamW": (0.02, {"weight_decay": 0.1}),
    "AdamW amsgrad": (0.05, {"amsgrad": True, "weight_decay": 0.1}),
    "SGD maximize": (0.001, {"maximize": True, "weight_decay": 0.1}),
    "Adam maximize": (0.001, {"maximize": True, "weight_decay": 0.1}),
    "Adadelta": (1.0, {}),
    "Adadelta decay": (2.0, {"rho": 0.8, "eps": 1e-4, "weight_decay": 1e-2}),
    "Adamax": (0.02, {}),
    "Adamax decay": (0.02, {"betas": (0.8, 0.95), "weight_decay": 1e-2}),
    "NAdam": (0.02, {}),
    "NAdam decay": (0.02, {"betas": (0.8, 0.95), "momentum_decay": 0.1, "weight_decay": 1e-2}),
    "LBFGS": (0.1, {"line_search": False, "history_size": 5}),
}

# Where PyTorch's options have other names.
THEIRS = {"LBFGS": {"max_iter": 1, "history_size": 5}}
