"""The demo: a neuron step by step, a classifier of irises trained as Values, and their pictures.

`python -m nn.demo` runs it and writes the pictures into `out/`.
"""

import contextlib
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autograd import Value, draw, no_grad, quiet_gc
from autograd.files import write
from autograd.render import RenderError
from autograd.steps import steps
from nn import MLP, sparse_categorical_crossentropy, unscoped
from nn.data import Dataset, load_iris
from nn.module import Module


def step_by_step() -> Value:
    """The primer's neuron y = tanh(w x + b), with every line of its forward and backward pass."""
    x, w, b = Value(-1.0, "x"), Value(2.0, "w"), Value(0.5, "b")
    y = (w * x + b).tanh()
    y.label = "y"
    print("One neuron, y = tanh(w*x + b). What the chain rule does, line by line:\n")
    print("\n".join(steps(y)))
    y.backward()
    return y


def progress(epochs: int) -> Iterable[int]:
    """Counts the epochs, with a bar where tqdm is installed."""
    with contextlib.suppress(ImportError):
        from tqdm import tqdm

        bar: Iterable[int] = tqdm(range(epochs), "training", unit="epoch", file=sys.stdout)
        return bar
    return _lines(epochs)


def _lines(epochs: int) -> Iterator[int]:
    for epoch in range(epochs):
        if epoch % 10 == 0:
            print(f"epoch {epoch} of {epochs}", flush=True)
        yield epoch


def train(model: Module, data: Dataset, epochs: int = 60, rate: float = 0.1) -> list[float]:
    """The loss after each epoch of plain gradient descent, all samples at once, with momentum."""
    velocity = dict.fromkeys(model.parameters(), 0.0)
    history = []
    with quiet_gc(), unscoped():
        for _ in progress(epochs):
            logits = [model(row) for row in data.features]
            loss = sparse_categorical_crossentropy(logits, data.targets, from_logits=True)
            model.zero_grad()
            loss.backward()
            for parameter in velocity:
                velocity[parameter] = 0.9 * velocity[parameter] - rate * parameter.grad
                parameter.data += velocity[parameter]
            history.append(loss.data)
    return history


def accuracy(model: Module, data: Dataset) -> float:
    """The share of samples whose largest logit is that of their class."""
    with no_grad(), unscoped():
        outputs = [[float(z) for z in model(row)] for row in data.features]
    hits = [row.index(max(row)) == k for row, k in zip(outputs, data.targets, strict=True)]
    return sum(hits) / len(hits)


def loss_curve(history: list[float], path: Path) -> None:
    """A picture of the loss after each epoch; needs matplotlib."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure: Any
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(range(1, len(history) + 1), history, color="#1f6fb4", linewidth=2)
    axes.set(xlabel="epoch", ylabel="crossentropy", yscale="log", title="Training on iris")
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, dpi=150)
    pyplot.close(figure)
    write(path, data.getvalue())


def main(folder: str = "out") -> None:
    """Run the demo and write its pictures into the folder."""
    start = time.perf_counter()
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    neuron = step_by_step()

    data, held_out = load_iris().split(seed=2)
    held_out, data = held_out.standardized(like=data), data.standardized()
    model = MLP([4, 8, 3], "tanh", seed=2)
    print(f"\nA classifier made of Values, on {len(data.targets)} irises:\n\n{model}\n")
    history = train(model, data)
    print(
        f"\nloss {history[0]:.4f} -> {history[-1]:.4f}, accuracy on {len(held_out.targets)} irises "
        f"it has not seen: {accuracy(model, held_out):.1%}"
    )

    logits = model(data.features[0])
    loss = sparse_categorical_crossentropy([logits], data.targets[:1], from_logits=True)
    loss.label = "loss"
    loss.backward()
    pictures = {"neuron": draw(neuron, edges=True), "loss": draw(loss, limit=60)}
    written = []
    for name, graph in pictures.items():
        for kind in ("svg", "png"):
            try:
                written.append(graph.render(out / f"{name}.{kind}"))
            except RenderError as error:
                warnings.warn(f"{name}.{kind} is missing: {error}", stacklevel=1)
    try:
        loss_curve(history, out / "loss_curve.png")
        written.append(str(out / "loss_curve.png"))
    except ImportError:
        warnings.warn("the loss curve needs `pip install 'chainrule[plot]'`", stacklevel=1)
    print(f"\npictures, after {time.perf_counter() - start:.0f} s:")
    for path in written:
        print(f"  {path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
