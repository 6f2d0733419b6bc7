"""Compiled programs: a GPT of scalars, a small network, recording, and training on digits.

The peers that are installed run in the same process on one thread, on the same numbers.  A library
that is elsewhere can be given in PYTHONPATH.  Each ratio is between times that were measured in
turns.  `compile gpt network irregular threads recording digits` are the parts; without any, all of
them run.
"""

import itertools
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

import autograd
from autograd import Value, quiet_gc
from nn import MLP, fit, metrics, mse, sparse_categorical_crossentropy, unscoped
from nn.data import load_digits
from nn.microgpt import MicroGPT, encode
from nn.optim import Adam
from nn.training import finished
from tests.benchmarks.peers import GPTS, NAME, NETWORKS, Step

BATCHES = [1, 8, 64, 512]
TURN = 0.03  # seconds


def in_turns(steps: Sequence[Step], seconds: float = 1.0) -> list[float]:
    """The shortest run of each step in microseconds, in this time for each; they take turns."""
    shortest = [math.inf] * len(steps)
    for step in steps:
        step()
    end = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < end:
        for k, step in enumerate(steps):
            turn = time.perf_counter() + TURN
            while (start := time.perf_counter()) < turn:
                step()
                shortest[k] = min(shortest[k], time.perf_counter() - start)
    return [each * 1e6 for each in shortest]


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    for cells in (heads, ["---"] * len(heads), *lines):
        print("| " + " | ".join(cells) + " |")


# ---------------------------------------------------------------------- the GPT


def eager(model: MicroGPT) -> Step:
    """Loss and all gradients as Values."""

    def step() -> None:
        with quiet_gc(), unscoped():
            model.loss(encode(NAME)).backward()

    return step


def compiled(
    model: MicroGPT, engine: str, batch: int, threads: int | None = 1, dtype: str = "float64"
) -> Step:
    """Loss and all gradients of a batch of names of one length, warmed up."""
    function = autograd.compile(
        model.loss, engine=engine, reduction="mean", threads=threads, dtype=dtype
    )
    x, flat = np.array([encode(NAME)] * batch), function.flat(model.parameters())
    return warm(lambda: flat.backward(x), batch)


def with_adam(model: MicroGPT, batch: int) -> Step:
    """The same and a step of the optimizer, with a learning rate of 0."""
    function = autograd.compile(model.loss, reduction="mean", threads=1)
    x, flat = np.array([encode(NAME)] * batch), function.flat(model.parameters())
    adam = Adam(model, lr=0.0)

    def step() -> None:
        flat.backward(x)
        adam.step_flat(flat)

    return warm(step, batch)


def warm(step: Step, batch: int) -> Step:
    """The step, after so many runs that native code has its own kernels."""
    for _ in range(4 + 1000 // batch):
        step()
    time.sleep(2.0)
    return step


def gpt() -> None:
    """The tables of the GPT: times, and the peers' times as multiples of ours."""
    model = MicroGPT(seed=0)
    nodes = len(autograd.topological(model.loss(encode(NAME))))
    print(f"character GPT, 4,192 parameters, a name of 6 letters, {nodes:,} nodes: loss and all")
    print("gradients, one thread, microseconds per sample, in float64 where nothing else is said\n")
    makers: dict[str, Callable[[int], Step | None]] = {
        "chainrule, compiled, native": lambda b: compiled(model, "native", b),
        "the same, with Adam's step": lambda b: with_adam(model, b),
        "chainrule, compiled, float32": lambda b: compiled(model, "native", b, dtype="float32"),
        "chainrule, compiled, numpy": lambda b: compiled(model, "numpy", b),
        "chainrule, eager Values": lambda b: eager(model) if b == 1 else None,
        "CasADi SX": lambda b: GPTS["CasADi SX"](model, b) if b == 1 else None,
    }
    for name in ("JAX", "Enzyme-JAX", "PyTorch"):
        makers[name] = partial(GPTS[name], model)
    times: dict[str, list[float]] = {name: [] for name in makers}
    for batch in BATCHES:
        steps = {name: step for name, maker in makers.items() if (step := maker(batch))}
        found = dict(zip(steps, in_turns(list(steps.values())), strict=True))
        for name, each in times.items():
            each.append(found.get(name, math.nan) / batch)
    times = {name: each for name, each in times.items() if each[0] == each[0]}
    heads = [f"batch {b}" for b in BATCHES]
    table(["engine", *heads], [[name, *map(_cell, each)] for name, each in times.items()])
    print(
        "\nmultiples of the compiled time (for an engine that takes one sample at a time, "
        "its time per sample is used)\n"
    )
    ours = times.pop("chainrule, compiled, native")
    del times["the same, with Adam's step"], times["chainrule, compiled, float32"]
    lines = []
    for name, each in times.items():
        ratios = [(b if b == b else each[0]) / a for a, b in zip(ours, each, strict=True)]
        lines.append([name, *map(_cell, ratios)])
    table(["times ours", *heads], lines)


def _cell(number: float) -> str:
    return "" if number != number else f"{number:,.1f}"


def threads() -> None:
    """How much faster all processors are than one thread."""
    model = MicroGPT(seed=0)
    print("\nthe GPT's loss and gradients, microseconds per sample by the number of threads\n")
    lines = []
    for batch in (128, 512, 4096):
        one, every = in_turns([compiled(model, "native", batch, count) for count in (1, None)])
        lines.append([str(batch), _cell(one / batch), _cell(every / batch), f"{one / every:.2f}"])
    table(["batch", "1 thread", "all processors", "times as fast"], lines)


# ---------------------------------------------------------------------- a small network


def network() -> None:
    """MLP 2-16-16-1 with 32 samples, beside the peers."""
    model = MLP([2, 16, 16, 1], "relu", seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (32, 2)), rng.choice([-1.0, 1.0], 32)
    function = autograd.compile(lambda x, y: mse([model(x)], [y]), reduction="mean")
    flat = function.flat(model.parameters())
    steps = {"chainrule, compiled": warm(lambda: flat.backward(x, y), 1)}
    steps |= {name: step for name, maker in NETWORKS.items() if (step := maker(model, x, y))}
    times = in_turns(list(steps.values()))
    print("\nMLP 2-16-16-1, 32 samples, loss and gradients, microseconds per step\n")
    lines = [
        [name, f"{us:.1f}", f"{us / times[0]:.1f}"] for name, us in zip(steps, times, strict=True)
    ]
    table(["engine", "us per step", "times ours"], lines)


# ---------------------------------------------------------------------- irregular graphs

GRAPHS = [(1_000, 100), (10_000, 1_000), (10_000, 50), (100_000, 5_000), (100_000, 100),
          (1_000_000, 5_000)]  # fmt: skip


def random_graph(count: int, near: int) -> tuple[list[Value], Callable[[list[Value]], Value]]:
    """Parameters, and a function of about so many operations on the last `near` numbers."""
    rng = random.Random(0)
    w = [Value(rng.uniform(-1, 1)) for _ in range(200)]
    plan = [(rng.choice("++**--stde"), rng.random(), rng.random(), rng.random())
            for _ in range(count // 3)]  # fmt: skip
    rules: dict[str, Callable[[Value, Value], Value]] = {
        "+": lambda p, q: (p + q) * 0.7, "*": lambda p, q: p * q * 0.5,
        "-": lambda p, q: (p - q) * 0.7, "s": lambda p, q: (p * 0.3).sigmoid(),
        "t": lambda p, q: (p * 0.3).tanh(), "d": lambda p, q: p / (q * q + 1.0),
        "e": lambda p, q: (p.tanh() * -0.3).exp() * 0.5,
    }  # fmt: skip

    def f(x: list[Value]) -> Value:
        line = [*x, *w]
        for rule, a, b, c in plan:
            recent = line[-near:]
            other = w[int(b * len(w))] if c < 0.3 else recent[int(b * len(recent))]
            line.append(rules[rule](recent[int(a * len(recent))], other))
        total = line[0]
        for one in line[1:]:
            total = total + one
        return total

    return w, f


def irregular() -> None:
    """How long graphs without structure take, and how much memory."""
    print("\nrandom graphs: value and gradients, one thread, microseconds per sample\n")
    lines = []
    for count, near in GRAPHS:
        w, f = random_graph(count, near)
        function = autograd.compile(f, reduction="mean", threads=1)
        x = np.random.default_rng(0).uniform(-1, 1, (64, 8))
        flat = function.flat(w)
        batches = [x[:1], x]
        times = in_turns([warm(partial(flat.backward, some), len(x)) for some in batches])
        program, machine = function.program, function.last.engine
        memory = machine.memory(len(x))
        size = memory[1][0].nbytes / memory[0].tile / program.slots
        each = [us / len(some) for us, some in zip(times, batches, strict=True)]
        count = len(program.tape.code)
        cells = [f"{count:,}", f"{near:,}", *(f"{us:,.1f}" for us in each)]
        lines.append([*cells, f"{each[1] / count * 1e3:.2f}", f"{size:.1f}"])
    table(
        ["operations", "operands among the last", "batch 1", "batch 64", "ns per operation",
         "bytes per lane and sample"],
        lines,
    )  # fmt: skip


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


PARTS = {
    "gpt": gpt, "network": network, "irregular": irregular, "threads": threads,
    "recording": recording, "digits": digits,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Print the tables."""
    for name in arguments or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
