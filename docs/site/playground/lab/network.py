"""A network that trains while the page looks at it."""

import math
import time
from typing import Any

from autograd import Value, rows, topological
from lab import samples
from lab.plane import Plane
from lab.setting import Setting
from nn import MLP, mse, optim


class Network:
    """The model of a setting, its optimizer, and what has happened since it was made.

    Attributes:
        losses: the loss before each step.
        rates: (step, rate) whenever the rate changed.
        stopped: why training cannot go on; "" if it can.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        sizes = [2, *setting.hidden, 1]
        self.model = MLP(
            sizes,
            setting.activation,
            output="tanh",
            init=setting.initializer,
            seed=setting.seed,
        )
        self.named = dict(self.model.named_parameters())
        self.samples = samples.made(setting.data, setting.seed, setting.points)
        self.optimizer = optim.NAMED[setting.optimizer](self.model, lr=setting.rate)
        self.losses: list[float] = []
        self.rates: list[tuple[int, float]] = [(0, setting.rate)]
        self.nodes, self.cost, self.stopped = 0, 0.0, ""
        self.plane = Plane(self.model, rows()[setting.activation].value, rows()["tanh"].value)
        self._told = 0
        self._measure()

    def loss(self) -> Value:
        """The mean squared error over all samples."""
        outputs = [self.model(x) for x, _ in self.samples]
        total: Value = mse(outputs, [[t] for _, t in self.samples])
        return total

    def _measure(self) -> None:
        """The gradients before the first step, which the page shows at once."""
        if self.samples:
            loss = self.loss()
            loss.backward()
            self.nodes = len(topological(loss))

    def turn(self, rate: float) -> None:
        """Train with another learning rate from now on."""
        if rate != self.optimizer.lr:
            self.optimizer.lr = rate
            self.rates.append((len(self.losses), rate))

    def step(self) -> None:
        """Take one step on all samples; `stopped` says so if there cannot be another."""
        if not self.samples:
            self.stopped = "there are no points; click on the plane to add some"
            return
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.losses.append(loss.data)
        if not math.isfinite(loss.data):
            self.stopped = f"the loss is {loss.data} after {len(self.losses) - 1} steps"
            return
        try:
            self.optimizer.step()
        except ArithmeticError as error:
            self.stopped = str(error)

    def train(self, seconds: float, most: int = 1 << 30) -> int:
        """The number of steps taken: as many as fit into the time, at least one; 0 if stopped."""
        start, taken = time.perf_counter(), 0
        while not self.stopped and taken < most:
            self.step()
            taken += 1
            if time.perf_counter() - start >= seconds:
                break
        if taken:
            self.cost = (time.perf_counter() - start) / taken
        return taken

    def right(self) -> int:
        """The number of samples on the right side of the boundary."""
        return sum((self.plane.at(x)[-1][0] > 0.0) == (t > 0.0) for x, t in self.samples)

    def shown(self) -> dict[str, Any]:
        """The numbers that the page shows; the losses are those that it has not seen yet."""
        first, self._told = self._told, len(self.losses)
        return {
            "steps": len(self.losses),
            "first": first,
            "losses": self.losses[first:],
            "numbers": [p.data for p in self.named.values()],
            "slopes": [p.grad for p in self.named.values()],
            "right": self.right(),
            "of": len(self.samples),
            "nodes": self.nodes,
            "cost": self.cost,
            "stopped": self.stopped,
        }

    def described(self) -> dict[str, Any]:
        """What does not change while it trains: names, samples and sizes."""
        self._told = 0
        return {
            "setting": self.setting.fields(),
            "names": list(self.named),
            "samples": [[*x, t] for x, t in self.samples],
            "sizes": [2, *self.setting.hidden, 1],
            **self.shown(),
        }

    def restore(self, numbers: list[float]) -> None:
        """Give the parameters the numbers that the page saw last."""
        for p, number in zip(self.named.values(), numbers, strict=True):
            p.data = number
        self._measure()
