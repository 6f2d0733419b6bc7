"""Writes the .json files here: `python -m tests.golden`, where torch and scikit-learn are."""

import json
import math
from pathlib import Path
from typing import Any

import sklearn
import torch
from sklearn import metrics
from torch.nn import functional

from tests.golden.networks import NETWORKS, OPTIMIZERS, THEIRS, Network
from tests.golden.peers import ACTIVATIONS, AMOUNTS, CLASSES, EPOCHS, LOSSES, POINTS


def losses(network: Network, name: str, lr: float, options: dict[str, Any]) -> list[float]:
    """The loss before each of 50 steps, in float64 on one thread."""
    model = network.model()
    numbers = [
        torch.tensor(p.data, dtype=torch.float64, requires_grad=True) for p in model.parameters()
    ]
    options = THEIRS.get(name, options)
    optimizer = getattr(torch.optim, name)(numbers, lr=lr, **options)
    x = torch.tensor(network.inputs, dtype=torch.float64)
    y = torch.tensor(network.targets)

    def closure() -> Any:
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
        return loss

    return [optimizer.step(closure).item() for _ in range(50)]


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


def plateau() -> list[float]:
    """The learning rate after each of the epochs."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    found = []
    for loss in EPOCHS:
        schedule.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def focal(z: Any, y: Any, p: Any, gamma: float, weights: list[float]) -> Any:
    """As torchvision's sigmoid_focal_loss has it."""
    right = p * y + (1 - p) * (1 - y)
    return -(weights[1] * y + weights[0] * (1 - y)) * (1 - right) ** gamma * torch.log(right)


# What Keras documents, where PyTorch has no such loss; each gives the terms.
FORMULAS: dict[str, Any] = {
    "log_cosh": lambda z, y: (z - y) + functional.softplus(-2 * (z - y)) - math.log(2.0),
    "poisson": lambda z, y, log_input=False: functional.poisson_nll_loss(
        z, y, log_input=log_input, reduction="none", eps=0.0
    ),
    "mape": lambda z, y: 100 * torch.abs((y - z) / y),
    "msle": lambda z, y: (torch.log(y + 1) - torch.log(z + 1)) ** 2,
    "squared_hinge": lambda z, y: torch.clamp(1 - y * z, min=0) ** 2,
    "categorical_hinge": lambda z, y: torch.clamp(
        ((1 - y) * z).max(dim=1).values - (y * z).sum(dim=1) + 1, min=0
    ),
    "cosine_similarity": lambda z, y: -functional.cosine_similarity(z, y, dim=1),
    "focal": lambda z, y, gamma=2.0, from_logits=False, class_weight=(1.0, 1.0): focal(
        z, y, torch.sigmoid(z) if from_logits else z, gamma, class_weight
    ),
}


def terms(label: str) -> dict[str, Any]:
    """A loss's terms, and the gradient of their sum in the outputs."""
    outputs, targets, options = LOSSES[label]
    z = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    made = FORMULAS[label.split()[0]](z, torch.tensor(targets, dtype=torch.float64), **options)
    made.sum().backward()
    return {"terms": made.tolist(), "gradient": z.grad.tolist()}


def curve(label: str) -> dict[str, Any]:
    """An activation and its slope at the points."""
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = getattr(functional, label.split()[0])(x, **ACTIVATIONS[label])
    y.sum().backward()
    return {"value": y.tolist(), "slope": x.grad.tolist()}


def scores(outputs: Any, targets: Any) -> dict[str, Any]:
    """scikit-learn's metrics of classes."""
    if len(outputs[0]) == 1:
        said = [int(row[0] > 0.5) for row in outputs]
    else:
        said = [max(range(len(row)), key=row.__getitem__) for row in outputs]
    width = max(2, len(outputs[0]))
    made: dict[str, Any] = {
        "confusion_matrix": metrics.confusion_matrix(
            targets, said, labels=list(range(width))
        ).tolist(),
        "accuracy": metrics.accuracy_score(targets, said),
    }
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{name}_score")
        for average in ["macro", "micro", "weighted"] + ["binary"] * (len(outputs[0]) == 1):
            value = score(targets, said, average=average, zero_division=0.0)
            made[f"{name} {average}"] = float(value)
    if len(outputs[0]) > 2:
        labels = list(range(len(outputs[0])))
        for k in (1, 2):
            made[f"top_k {k}"] = float(
                metrics.top_k_accuracy_score(targets, outputs, k=k, labels=labels)
            )
    return made


def main() -> None:
    """Ask PyTorch and scikit-learn for all of them."""
    torch.set_default_dtype(torch.float64)  # NAdam's product of momenta would be a float32
    here = Path(__file__).parent
    optimizers = {
        f"{name}: {label}": losses(network, label.split()[0], lr, options)
        for name, network in NETWORKS.items()
        for label, (lr, options) in OPTIMIZERS.items()
    }
    at = torch.optim.lr_scheduler
    schedules = {
        "Step": rates(lambda o: at.StepLR(o, 7, 0.5)),
        "MultiStep": rates(lambda o: at.MultiStepLR(o, [5, 8, 8, 20], 0.5)),
        "Exponential": rates(lambda o: at.ExponentialLR(o, 0.9)),
        "Cosine": rates(lambda o: at.CosineAnnealingLR(o, 30, 0.01)),
        "CosineRestarts": rates(lambda o: at.CosineAnnealingWarmRestarts(o, 7, 2, 0.01)),
        "CosineRestarts 1": rates(lambda o: at.CosineAnnealingWarmRestarts(o, 7)),
        "Linear": rates(lambda o: at.LinearLR(o, 1.0, 0.1, 20)),
        "Polynomial": rates(lambda o: at.PolynomialLR(o, 20, 2.0)),
        "OneCycle": rates(lambda o: at.OneCycleLR(o, 0.1, total_steps=31)),
        "Lambda": rates(lambda o: at.LambdaLR(o, lambda step: 0.95**step)),
        "Sequential": rates(
            lambda o: at.SequentialLR(
                o, [at.ConstantLR(o, 0.1, 100), at.ExponentialLR(o, 0.9)], milestones=[10]
            )
        ),
        "ReduceOnPlateau": plateau(),
    }
    torchs: dict[str, dict[str, Any]] = {
        "optimizers": optimizers,
        "schedules": schedules,
        "losses": {label: terms(label) for label in LOSSES},
        "activations": {label: curve(label) for label in ACTIVATIONS},
    }
    for file, content in torchs.items():
        write(here / f"{file}.json", {"torch": torch.__version__, **content})
    found: dict[str, Any] = {name: scores(*case) for name, case in CLASSES.items()}
    for name, (outputs, targets) in AMOUNTS.items():
        found[name] = {
            "mae": float(metrics.mean_absolute_error(targets, outputs)),
            "r2": float(metrics.r2_score(targets, outputs)),
        }
    write(here / "metrics.json", {"scikit-learn": sklearn.__version__, **found})


def write(path: Path, content: Any) -> None:
    """Write a golden file, a number a line."""
    path.write_text(json.dumps(content, indent=0) + "\n")


if __name__ == "__main__":
    main()
