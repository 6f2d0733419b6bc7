"""Writes optimizers.json and schedules.json: `python -m tests.golden`, where torch is installed."""

import json
from pathlib import Path
from typing import Any

import torch

from tests.golden.networks import NETWORKS, OPTIMIZERS, Network


def losses(network: Network, name: str, lr: float, options: dict[str, Any]) -> list[float]:
    """The loss before each of 50 steps, in float64 on one thread."""
    model = network.model()
    numbers = [
        torch.tensor(p.data, dtype=torch.float64, requires_grad=True) for p in model.parameters()
    ]
    optimizer = getattr(torch.optim, name)(numbers, lr=lr, **options)
    x = torch.tensor(network.inputs, dtype=torch.float64)
    y = torch.tensor(network.targets)
    found = []
    for _ in range(50):
        k, h = 0, x
        for i, (fan_in, fan_out) in enumerate(zip(network.sizes, network.sizes[1:], strict=False)):
            rows = []
            biases = []
            for _ in range(fan_out):
                rows.append(torch.stack(numbers[k : k + fan_in]))
                biases.append(numbers[k + fan_in])
                k += fan_in + 1
            h = h @ torch.stack(rows).T + torch.stack(biases)
            if i < len(network.sizes) - 2:
                h = getattr(torch, network.activation)(h)
        if network.loss == "hinge":
            loss = torch.clamp(1 - h[:, 0] * (2 * y - 1), min=0).mean()
            loss = loss + 1e-4 * sum(p * p for p in numbers)
        else:
            loss = torch.nn.functional.cross_entropy(h, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def rates(make: Any) -> list[float]:
    """The learning rate of each of 30 steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = make(optimizer)
    found = []
    for _ in range(30):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def main() -> None:
    """Ask PyTorch for all of them."""
    here = Path(__file__).parent
    made = {
        f"{name}: {label}": losses(network, label.split()[0], lr, options)
        for name, network in NETWORKS.items()
        for label, (lr, options) in OPTIMIZERS.items()
    }
    at = torch.optim.lr_scheduler
    schedules = {
        "Step": rates(lambda o: at.StepLR(o, 7, 0.5)),
        "Exponential": rates(lambda o: at.ExponentialLR(o, 0.9)),
        "Cosine": rates(lambda o: at.CosineAnnealingLR(o, 30, 0.01)),
        "Linear": rates(lambda o: at.LinearLR(o, 1.0, 0.1, 20)),
        "OneCycle": rates(lambda o: at.OneCycleLR(o, 0.1, total_steps=31)),
    }
    header = {"torch": torch.__version__}
    for file, content in (("optimizers", made), ("schedules", schedules)):
        (here / f"{file}.json").write_text(json.dumps({**header, **content}, indent=0) + "\n")


if __name__ == "__main__":
    main()
