"""The demo: a neuron step by step, a classifier of irises, and their pictures.

`python -m nn.demo` runs it and writes the pictures to `out/`.
"""

import functools
import io
import sys
import time
import warnings
from pathlib import Path

from autograd import Value, draw, no_grad
from autograd.files import write
from autograd.show.render import RenderError
from autograd.show.steps import steps
from nn import MLP, fit, sparse_categorical_crossentropy, unscoped
from nn.data import Dataset, load_iris
from nn.metrics import accuracy
from nn.module import Module
from nn.optim import SGD
from nn.training import History, finished


def step_by_step() -> Value:
    """The neuron y = tanh(w x + b); prints every line of its forward and backward pass."""
    x, w, b = Value(-1.0, "x"), Value(2.0, "w"), Value(0.5, "b")
    y = (w * x + b).tanh()
    y.label = "y"
    print("One neuron, y = tanh(w*x + b). The chain rule, line by line:\n")
    print("\n".join(steps(y)))
    y.backward()
    return y


def train(model: Module, data: Dataset) -> History:
    """The History of 60 epochs of gradient descent with momentum, all samples in each step."""
    history = fit(
        model,
        data,
        loss=functools.partial(sparse_categorical_crossentropy, from_logits=True),
        optimizer=SGD(model, lr=0.1, momentum=0.9),
        epochs=60,
        progress=True,
    )
    return finished(history)


def accuracy_of(model: Module, data: Dataset) -> float:
    """The share of samples with the largest logit for the correct class."""
    with no_grad(), unscoped():
        return accuracy([model(row) for row in data.features], data.targets)


def main(folder: str = "out") -> None:
    """Run the demo and write its pictures to the folder."""
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
        f"\nloss {history.loss[0]:.4f} -> {history.loss[-1]:.4f}, accuracy on "
        f"{len(held_out.targets)} irises it has not seen: {accuracy_of(model, held_out):.1%}"
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
        figure = history.figure()
    except ImportError:
        warnings.warn("the loss curve needs `pip install 'chainrule[plot]'`", stacklevel=1)
    else:
        curve = io.BytesIO()
        figure.savefig(curve, dpi=150)
        write(out / "loss_curve.png", curve.getvalue())
        written.append(str(out / "loss_curve.png"))
    print(f"\npictures, after {time.perf_counter() - start:.0f} s:")
    for path in written:
        print(f"  {path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
