"""Small inputs of losses, activations and metrics that are compared with other libraries'."""

from typing import Any

NUMBERS = [[0.3, -1.2, 2.0], [0.7, 0.1, -3.0]]
POSITIVE = [[0.3, 1.2, 2.0], [0.7, 0.1, 3.0]]
PROBABILITIES = [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]
ONE_HOT = [[0, 1, 0], [0, 0, 1]]

# Of each loss: outputs, targets and options.
LOSSES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "log_cosh": (NUMBERS, [[0.0, 1.0, 2.5], [-1.0, 0.5, 400.0]], {}),
    "poisson": (POSITIVE, [[0, 1, 3], [2, 0, 5]], {}),
    "poisson log": (NUMBERS, [[0, 1, 3], [2, 0, 5]], {"log_input": True}),
    "mape": (NUMBERS, [[1.0, -2.0, 0.5], [4.0, 0.1, -3.5]], {}),
    "msle": (POSITIVE, [[0.0, 1.0, 2.5], [0.2, 0.5, 9.0]], {}),
    "squared_hinge": (NUMBERS, [[1, -1, 1], [-1, 1, -1]], {}),
    "categorical_hinge": (NUMBERS, ONE_HOT, {}),
    "cosine_similarity": (NUMBERS, [[0.5, 1.0, -0.2], [1.0, 0.0, -3.0]], {}),
    "focal": (PROBABILITIES, ONE_HOT, {"class_weight": [0.75, 0.25]}),
    "focal 0.5": (PROBABILITIES, ONE_HOT, {"gamma": 0.5}),
    "focal logits": (NUMBERS, ONE_HOT, {"from_logits": True, "class_weight": [0.75, 0.25]}),
    "focal logits 0": (NUMBERS, ONE_HOT, {"from_logits": True, "gamma": 0.0}),
}

POINTS = [-30.0, -3.0, -1.19, -0.4, -1e-6, 1e-6, 0.4, 1.5, 3.0, 30.0]
ACTIVATIONS: dict[str, dict[str, float]] = {
    "mish": {},
    "selu": {},
    "celu": {},
    "celu 2": {"alpha": 2.0},
    "softsign": {},
    "hardtanh": {},
}

# Of each problem: outputs and targets; rows of outputs speak for their largest.
CLASSES: dict[str, tuple[Any, Any]] = {
    "two": ([[0.2], [0.7], [0.9], [0.4], [0.6], [0.1]], [0, 1, 0, 1, 1, 0]),
    "three": (
        [[0.1, 2.0, 0.3], [3.0, 1.0, 0.0], [0.0, 1.0, 4.0], [0.5, 0.4, 0.3], [0.0, 2.0, 1.0]],
        [1, 0, 1, 2, 2],
    ),
    "one never said": ([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 0.5]], [0, 2, 1]),
    "one not there": ([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], [0, 1]),
}
AMOUNTS: dict[str, tuple[Any, Any]] = {
    "plain": ([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]),
    "rows": ([[0.5, 1.0], [-1.0, 1.0], [7.0, -6.0]], [[0.0, 2.0], [-1.0, 2.0], [8.0, -5.0]]),
    "constant": ([1.0, 2.0], [3.0, 3.0]),
    "constant and right": ([3.0, 3.0], [3.0, 3.0]),
}

# Losses of epochs that ReduceOnPlateau sees: falling, flat, worse, better by too little, better.
EPOCHS = [3.0, 2.0, 2.0, 2.1, 2.0, 2.0, 2.0, 1.99999, 1.99998, 1.0, *[1.0] * 20]
