"""The outputs of every neuron over the plane, a few rows of pixels at a time."""

import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from lab.samples import REACH
from nn import MLP

PIXELS = 24  # along each side


class Plane:
    """What each neuron of a model answers at each pixel.

    A plain pass over floats, in the order in which the model computes: a pass over Values would
    take ten times as long.
    """

    def __init__(
        self, model: MLP, hidden: Callable[[float], float], output: Callable[[float], float]
    ) -> None:
        layers: list[Any] = list(model.layers)
        self.layers = [layer.neurons for layer in layers]
        self.functions = [hidden] * (len(layers) - 1) + [output]
        self.row = 0  # the next to compute

    def at(self, x: Sequence[float]) -> list[list[float]]:
        """The outputs of each layer's neurons for one input."""
        found, before = [], list(x)
        for neurons, function in zip(self.layers, self.functions, strict=True):
            outputs = []
            for neuron in neurons:
                weights = neuron.weights
                total = weights[0].data * before[0]
                for weight, number in zip(weights[1:], before[1:], strict=True):
                    total += weight.data * number
                outputs.append(function(total + neuron.bias.data))
            found.append(outputs)
            before = outputs
        return found

    def rows(self, seconds: float) -> list[tuple[int, Any]]:
        """(row, outputs of all neurons at each of its pixels) for the rows that fit into the time.

        The rows go round and round, so that every one is computed again sooner or later.
        """
        end = time.perf_counter() + seconds
        made: list[tuple[int, Any]] = []
        step = 2.0 * REACH / (PIXELS - 1)
        while len(made) < PIXELS:
            y = REACH - self.row * step
            numbers = array("f")
            for i in range(PIXELS):
                for outputs in self.at((i * step - REACH, y)):
                    numbers.extend(outputs)
            made.append((self.row, numbers))
            self.row = (self.row + 1) % PIXELS
            if time.perf_counter() >= end:
                break
        return made
