"""Compiled programs: a GPT of scalars, a small network, recording, and training on digits.

The peers that are installed run in the same process on one thread, on the same numbers.
"""

import importlib.util
import itertools
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import autograd
from autograd import Value, quiet_gc, rows
from autograd.printers import arrays
from nn import MLP, fit, metrics, mse, sparse_categorical_crossentropy, unscoped
from nn.data import load_digits
from nn.microgpt import MicroGPT, encode
from nn.optim import Adam
from nn.training import finished

BATCHES = [1, 8, 64, 512]
NAME = "andrea"


def best(work: Callable[[], Any], seconds: float = 1.0) -> float:
    """The shortest run, of those that fit into the time, in microseconds."""
    work()
    shortest, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest * 1e6


def have(package: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(package) is not None


# ---------------------------------------------------------------------- the GPT


def eager(model: MicroGPT, tokens: list[int]) -> float:
    """Microseconds for loss and all gradients as Values."""

    def work() -> None:
        model.loss(tokens).backward()

    with quiet_gc(), unscoped():
        return best(work, 2.0)


def compiled(model: MicroGPT, engine: str, batch: int) -> float:
    """Microseconds a sample for loss and all gradients of a batch of names of one length."""
    function = autograd.compile(model.loss, engine=engine, reduction="mean")
    x = np.array([encode(NAME)] * batch)
    with function.flat(model.parameters()) as flat:
        return best(lambda: flat.backward(x)) / batch


def with_adam(model: MicroGPT, batch: int) -> float:
    """Microseconds a sample, the step of the optimizer included."""
    function = autograd.compile(model.loss, reduction="mean")
    x = np.array([encode(NAME)] * batch)
    adam = Adam(model, lr=0.0)
    with function.flat(model.parameters()) as flat:

        def work() -> None:
            flat.backward(x)
            adam.step_flat(flat)

        return best(work) / batch


def casadi(model: MicroGPT, tokens: list[int]) -> float:
    """Microseconds for loss and gradient by CasADi's SX machine, on the recorded operations."""
    import casadi as ca

    function = autograd.compile(lambda: model.loss(tokens), engine="numpy")
    function()
    program = function.program
    tape = program.tape
    p = ca.SX.sym("p", tape.parameters)
    functions = {name: getattr(ca, name, None) for name in ("exp", "log", "log1p", "sqrt", "tanh")}
    math_names = type("Names", (), {**functions, "pow": ca.power, "fabs": ca.fabs})
    nodes: list[Any] = [*tape.constants.tolist(), *(p[i] for i in range(tape.parameters))]
    table = rows()
    texts = [arrays.text(table[name].value_tree) for name in tape.ops]
    lifted = program.lift([w.data for w in function.parameters], [])
    numbers = program.replayed(lifted.parameters, [], labels=False)
    for i, (k, a, b) in enumerate(
        zip(tape.code.tolist(), tape.a.tolist(), tape.b.tolist(), strict=True)
    ):
        if k >= 0:
            names = {"x": nodes[a], "y": nodes[b], "math": math_names, "where": ca.if_else}
            nodes.append(eval(texts[k], names))  # the table's own text
        else:  # what was chosen for these tokens
            found = numbers[tape.sources + i]
            same = [j for j, other in enumerate(numbers[: tape.sources + i]) if other is found]
            nodes.append(nodes[same[0]] if isinstance(found, Value) else float(found))
    loss = nodes[int(tape.outputs[0])]
    both = ca.Function("f", [p], [loss, ca.gradient(loss, p)])
    at = np.array([w.data for w in function.parameters])
    _, slope = both(at)
    _, want = function.parameter_gradients()
    assert abs(np.array(slope).ravel() - want).max() < 1e-12
    buffer, run = both.buffer()
    out, grad = np.zeros(1), np.zeros(len(at))
    buffer.set_arg(0, at.data)
    buffer.set_res(0, out.data)
    buffer.set_res(1, grad.data)
    found_at = best(run)
    assert abs(grad - want).max() < 1e-12
    return found_at


def torch_gpt(model: MicroGPT, batch: int) -> float:
    """Microseconds a sample for loss and all gradients in PyTorch's tensors, float64."""
    import torch

    torch.set_num_threads(1)

    def table(values: Any) -> Any:
        return torch.tensor([[w.data for w in row] for row in values], dtype=torch.float64)

    block = model.blocks[0]
    weights = {name: table([n.weights for n in layer.neurons]) for name, layer in block.items()}
    weights["head"] = table([n.weights for n in model.head.neurons])
    weights |= {"letters": table(model.letters.table), "positions": table(model.positions.table)}
    for one in weights.values():
        one.requires_grad_(True)
    tokens = torch.tensor([encode(NAME)] * batch)
    length, heads = tokens.shape[1] - 1, model.heads
    mask = torch.full((length, length), -math.inf, dtype=torch.float64).triu(1)

    def normalized(x: Any) -> Any:
        return x * ((x * x).mean(-1, keepdim=True) + 1e-5).rsqrt()

    def loss() -> Any:
        x = normalized(weights["letters"][tokens[:, :-1]] + weights["positions"][:length])
        inside = normalized(x)
        q, k, v = (
            (inside @ weights[name].T).view(batch, length, heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        taken = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, -1)
        x = x + taken @ weights["output"].T
        x = x + (normalized(x) @ weights["up"].T).relu() @ weights["down"].T
        logits = x @ weights["head"].T
        return torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1)
        )

    def work() -> None:
        for one in weights.values():
            one.grad = None
        loss().backward()

    assert abs(float(loss().detach()) - model.loss(encode(NAME)).data) < 1e-12
    return best(work) / batch


def gpt() -> None:
    """The table of the GPT."""
    model, tokens = MicroGPT(seed=0), encode(NAME)
    nodes = len(autograd.topological(model.loss(tokens)))
    print(f"character GPT, 4,192 parameters, a name of 6 letters, {nodes:,} nodes: loss and all")
    print("gradients in float64, one thread, microseconds per sample\n")
    print("| engine | " + " | ".join(f"batch {b}" for b in BATCHES) + " |")
    print("|---|" + "---|" * len(BATCHES))
    slow = eager(model, tokens)
    print(f"| chainrule, eager Values | {slow:,.0f} | | | |")
    found = {}
    for engine in ("numpy", "native"):
        found[engine] = [compiled(model, engine, b) for b in BATCHES]
        cells = " | ".join(f"{us:,.1f}" for us in found[engine])
        print(f"| chainrule, compiled, {engine} | {cells} |")
    adam = with_adam(model, 1), with_adam(model, 64)
    print(f"| the same, with Adam's step | {adam[0]:,.1f} | | {adam[1]:,.1f} | |")
    ours = found["native"][0]
    peers = {}
    if have("casadi"):
        peers["CasADi SX"] = [casadi(model, tokens)]
    if have("torch"):
        peers["PyTorch, tensors"] = [torch_gpt(model, b) for b in BATCHES]
    for name, times in peers.items():
        cells = " | ".join(f"{us:,.1f}" for us in times) + " |" * (len(BATCHES) - len(times))
        print(f"| {name} | {cells} |")
    print(f"\nat batch 1, as multiples of the compiled time: eager {slow / ours:,.0f}", end="")
    print("".join(f", {name} {times[0] / ours:,.1f}" for name, times in peers.items()))


# ---------------------------------------------------------------------- a small network


def network() -> None:
    """MLP 2-16-16-1 with 32 samples, beside PyTorch."""
    model = MLP([2, 16, 16, 1], "relu", seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (32, 2)), rng.choice([-1.0, 1.0], 32)
    function = autograd.compile(lambda x, y: mse([model(x)], [y]), reduction="mean")
    with function.flat(model.parameters()) as flat:
        ours = best(lambda: flat.backward(x, y))
    print("\nMLP 2-16-16-1, 32 samples, loss and gradients, microseconds per step\n")
    print("| engine | us per step | times ours |\n|---|---|---|")
    print(f"| chainrule, compiled | {ours:.1f} | 1 |")
    if have("torch"):
        import torch

        torch.set_num_threads(1)
        layers = []
        for layer in model.layers:
            one = torch.nn.Linear(layer.fan_in, layer.fan_out, dtype=torch.float64)
            layers += [one, torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers[:-1])
        tx, ty = torch.tensor(x), torch.tensor(y)

        def work() -> None:
            net.zero_grad()
            ((net(tx)[:, 0] - ty) ** 2).mean().backward()

        theirs = best(work)
        print(f"| PyTorch, tensors, eager | {theirs:.1f} | {theirs / ours:.1f} |")


# ---------------------------------------------------------------------- recording


def _dots(nodes: int) -> Callable[[list[Value]], Value]:
    """A function of so many nodes: rows of 16 products, summed and squashed."""

    def f(x: list[Value]) -> Value:
        total = x[0]
        for k in range(nodes // 34):
            row = x[k % 16] * x[0]
            for i in range(1, 16):
                row = row + x[(k + i) % 16] * x[i]
            total = total + row.tanh()
        return total

    return f


def recording() -> None:
    """How long it takes to record, by the number of nodes; and a new process's first call."""
    print("\nrecording and compiling, in seconds, with a warm disk cache\n")
    print("| nodes | recorded and compiled | us per node |\n|---|---|---|")
    autograd.compile(_dots(1000))([0.01 * i for i in range(16)])
    for count in (10_000, 100_000, 1_000_000):
        function = autograd.compile(_dots(count))
        start = time.perf_counter()
        function([0.01 * i for i in range(16)])
        seconds = time.perf_counter() - start
        print(f"| {count:,} | {seconds:.2f} | {seconds / count * 1e6:.1f} |")
    script = (
        "import time; start = time.perf_counter()\n"
        "import autograd; from nn.microgpt import MicroGPT, encode\n"
        "model = MicroGPT(seed=0); made = time.perf_counter()\n"
        "f = autograd.compile(model.loss); f.backward(encode('andrea'))\n"
        "done = time.perf_counter(); print(f'{done - made:.2f} {done - start:.2f}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    first, whole = done.stdout.split()
    print(f"\nthe GPT's first call in a new process: {first} s, with all imports {whole} s")
    model = MicroGPT(seed=0)
    function = autograd.compile(model.loss)
    function(encode(NAME))
    program = function.program
    print(
        f"its program: {len(program.tape.code):,} operations as {len(program.instructions)} "
        f"instructions in {program.levels} levels, {program.slots:,} lanes, "
        f"{program.size / program.slots:.0f} bytes per lane"
    )


# ---------------------------------------------------------------------- digits


def digits() -> None:
    """An MLP 64-32-10 trained on the digits, from scratch."""
    data = load_digits()
    data.features[:] = [[x / 16 for x in row] for row in data.features]
    train, test = data.split(297 / 1797, seed=0)
    model = MLP([64, 32, 10], "relu", seed=0)
    ends: list[float] = []
    start = time.perf_counter()
    history = finished(
        fit(
            model,
            train,
            loss=partial(sparse_categorical_crossentropy, from_logits=True),
            optimizer=Adam(model, lr=0.01),
            epochs=30,
            batch_size=32,
            validation=test,
            metrics=[metrics.accuracy],
            callbacks=[lambda epoch, history: ends.append(time.perf_counter())],
            compiled=True,
        )
    )
    epochs = sorted(after - before for before, after in itertools.pairwise(ends))
    reached = next(i for i, a in enumerate(history.metrics["accuracy"]) if a >= 0.95)
    print(
        f"\ndigits, MLP 64-32-10, {len(train.targets)} samples in batches of 32, Adam: "
        f"{epochs[len(epochs) // 2] * 1e3:.0f} ms per epoch,\n"
        f"accuracy on {len(test.targets)} test samples: 95 % after "
        f"{ends[reached] - start:.1f} s (epoch {reached + 1}), "
        f"{history.metrics['accuracy'][-1]:.1%} after {ends[-1] - start:.1f} s"
    )


def main(arguments: list[str]) -> None:
    """Print the tables."""
    gpt()
    network()
    recording()
    digits()


if __name__ == "__main__":
    main([])
