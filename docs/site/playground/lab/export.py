"""A run of the playground as a script and as a notebook, which give the same numbers."""

import json

from lab.network import Network

_SCRIPT = '''\
"""A network from the chainrule playground, trained with the same steps."""

from nn import MLP, mse
from nn.optim import {optimizer}

SAMPLES = [  # x, y, class
{samples}
]
RATES = {rates}  # from which step on, and which learning rate
STEPS = {steps}

model = MLP({sizes}, {activation!r}, output="tanh", init={initializer!r}, seed={seed})
optimizer = {optimizer}(model, lr={rate!r})
inputs, targets = [[x, y] for x, y, _ in SAMPLES], [[t] for _, _, t in SAMPLES]
for step in range(STEPS):
    optimizer.lr = [rate for first, rate in RATES if first <= step][-1]
    optimizer.zero_grad()
    loss = mse([model(x) for x in inputs], targets)
    loss.backward()
    optimizer.step()

print(f"loss {{mse([model(x) for x in inputs], targets).data!r}} after {{STEPS}} steps")
'''


def script(network: Network) -> str:
    """The text of a Python script that trains the same network with the same steps."""
    setting = network.setting
    taken = len(network.losses) - bool(network.stopped and network.samples)
    return _SCRIPT.format(
        optimizer=type(network.optimizer).__name__,
        samples="\n".join(f"    ({x!r}, {y!r}, {t!r})," for (x, y), t in network.samples),
        rates=network.rates,
        steps=max(taken, 0),
        sizes=[2, *setting.hidden, 1],
        activation=setting.activation,
        initializer=setting.initializer,
        seed=setting.seed,
        rate=setting.rate,
    )


def notebook(network: Network) -> str:
    """The text of a Jupyter notebook with the script, and a cell that draws the boundary."""
    head, _, body = script(network).partition("\n\n")
    classes = "[t for _, _, t in SAMPLES]"
    more = f"from nn import plots\n\nplots.decision_boundary(model, (inputs, {classes}))"
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": head.strip('"')},
        *(
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{i}",
                "metadata": {},
                "outputs": [],
                "source": text,
            }
            for i, text in enumerate((body.strip(), more))
        ),
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1)
