"""Time and memory of eager graphs, beside micrograd and XAD in the same process."""

import gc
import importlib
import itertools
import math
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from autograd import Value, native, quiet_gc, topological
from nn.microgpt import encode

Make = Callable[[float], Any]
Function = Callable[[Any], Any]


def best(work: Callable[[], Any], repeats: int = 5) -> float:
    """The shortest of some runs, in seconds of this thread, with the collector on."""
    shortest = math.inf
    for _ in range(repeats):
        start = time.thread_time()
        work()
        shortest = min(shortest, time.thread_time() - start)
    return shortest


@dataclass
class Engine:
    """A library of scalars: a parameter from a number, functions, and what a step needs around it.

    `step(loss)` runs a whole step: `loss()` returns a root, and its gradients are computed.
    """

    make: Make
    relu: Function
    step: Callable[[Callable[[], Any]], float]
    exp: Function | None = None
    log: Function | None = None


def chainrule() -> Engine:
    """This library."""
    return Engine(Value, Value.relu, _backward, Value.exp, Value.log)


def micrograd() -> Engine:
    """micrograd, which has no exp and no log."""
    value = importlib.import_module("micrograd.engine").Value
    return Engine(value, value.relu, _backward)


def xad() -> Engine:
    """XAD: scalars in Python, a tape in C++ that stays from step to step."""
    adjoint, functions = importlib.import_module("xad.adj_1st"), importlib.import_module("xad.math")
    tape = adjoint.Tape()
    tape.activate()

    def make(number: float) -> Any:
        parameter = adjoint.Real(number)
        tape.registerInput(parameter)
        return parameter

    def step(loss: Callable[[], Any]) -> float:
        tape.newRecording()
        root = loss()
        tape.registerOutput(root)
        root.derivative = 1.0
        tape.computeAdjoints()
        return float(root.value)

    relu = lambda x: functions.max(x, 0.0)  # noqa: E731
    return Engine(make, relu, step, functions.exp, functions.log)


def _backward(loss: Callable[[], Any]) -> float:
    root = loss()
    root.backward()
    return float(root.data)


def mlp_loss(make: Make, relu: Function) -> Callable[[], Any]:
    """The loss of an MLP 2-16-16-1 with relu: squared errors of 32 samples."""
    rng = random.Random(0)
    sizes = [2, 16, 16, 1]
    layers = [
        [([make(rng.uniform(-1, 1)) for _ in range(n)], make(0.0)) for _ in range(m)]
        for n, m in itertools.pairwise(sizes)
    ]
    samples = [
        ([rng.uniform(-1, 1), rng.uniform(-1, 1)], rng.choice([-1.0, 1.0])) for _ in range(32)
    ]

    def loss() -> Any:
        total: Any = 0.0
        for x, target in samples:
            out: list[Any] = x
            for k, layer in enumerate(layers):
                sums = [sum((w * v for w, v in zip(ws, out, strict=True)), b) for ws, b in layer]
                out = sums if k == len(layers) - 1 else [relu(s) for s in sums]
            total = total + (out[0] - target) ** 2
        return total

    return loss


def gpt_loss(engine: Engine) -> Callable[[], Any]:
    """The loss of a GPT of letters for a name of 6: width 16, 4 heads, 4,192 parameters."""
    rng = random.Random(0)
    tokens, width, heads = encode("amelia"), 16, 4
    exp, log = engine.exp, engine.log
    assert exp is not None
    assert log is not None

    def matrix(rows: int, columns: int) -> list[list[Any]]:
        return [[engine.make(rng.gauss(0.0, 0.08)) for _ in range(columns)] for _ in range(rows)]

    letters, positions, head = matrix(27, width), matrix(16, width), matrix(27, width)
    query, key, value, output = (matrix(width, width) for _ in range(4))
    up, down = matrix(4 * width, width), matrix(width, 4 * width)

    def dot(x: Sequence[Any], y: Sequence[Any]) -> Any:
        first, *others = (a * b for a, b in zip(x, y, strict=True))
        return sum(others, first)

    def linear(weights: list[list[Any]], x: list[Any]) -> list[Any]:
        return [dot(row, x) for row in weights]

    def added(x: list[Any], y: list[Any]) -> list[Any]:
        return [a + b for a, b in zip(x, y, strict=True)]

    def normalized(x: list[Any]) -> list[Any]:
        scale = (dot(x, x) / width + 1e-5) ** -0.5
        return [a * scale for a in x]

    def softmax(scores: list[Any]) -> list[Any]:
        powers = [exp(score) for score in scores]
        total = sum(powers[1:], powers[0])
        return [power / total for power in powers]

    def loss() -> Any:
        keys: list[list[Any]] = []
        values: list[list[Any]] = []
        total: Any = 0.0
        for i, (token, after) in enumerate(itertools.pairwise(tokens)):
            x = normalized(added(letters[token], positions[i]))
            row = normalized(x)
            q = linear(query, row)
            keys.append(linear(key, row))
            values.append(linear(value, row))
            mixed: list[Any] = []
            for start in range(0, width, width // heads):
                part = slice(start, start + width // heads)
                weights = softmax([dot(q[part], k[part]) / 2.0 for k in keys])
                columns = zip(*(v[part] for v in values), strict=True)
                mixed += [dot(weights, column) for column in columns]
            x = added(x, linear(output, mixed))
            hidden = [engine.relu(a) for a in linear(up, normalized(x))]
            x = added(x, linear(down, hidden))
            total = total - log(softmax(linear(head, x))[after])
        return total / (len(tokens) - 1)

    return loss


ENGINES = {"chainrule": chainrule, "micrograd 0.1.0": micrograd, "XAD 1.5.2": xad}


def compared(tasks: Mapping[str, Callable[[], float]], rounds: int = 8) -> dict[str, float]:
    """The shortest step of each engine, in seconds; the engines take turns of 0.1 s."""
    shortest = dict.fromkeys(tasks, math.inf)
    losses = {task() for task in tasks.values()}
    assert max(losses) - min(losses) < 1e-9 * max(losses)  # all compute the same
    for _ in range(rounds):
        for name, task in tasks.items():
            gc.collect()  # one engine's garbage is not the other's cost
            repeats = 3 + int(0.1 / shortest[name])
            shortest[name] = min(shortest[name], best(task, repeats))
    return shortest


def engines() -> dict[str, Engine]:
    """The engines that are installed."""
    there = {}
    for name, engine in ENGINES.items():
        try:
            there[name] = engine()
        except ModuleNotFoundError:
            print(f"{name} is not installed: pip install {name.split()[0].lower()}")
    return there


def table(title: str, tasks: Mapping[str, Callable[[], float]]) -> None:
    """Print the engines' times."""
    shortest = compared(tasks)
    ours = shortest["chainrule"]
    print(f"\n{title}\n\n| engine | ms per step | times ours |\n|---|---|---|")
    for name, seconds in shortest.items():
        print(f"| {name} | {seconds * 1e3:.2f} | {seconds / ours:.1f} |")


def tables() -> None:
    """Print the steps of an MLP and of a GPT."""
    there = engines()
    mlps = {name: partial(e.step, mlp_loss(e.make, e.relu)) for name, e in there.items()}
    gpts = {name: partial(e.step, gpt_loss(e)) for name, e in there.items() if e.exp}
    what = "nodes, forward + order + backward, shortest of all steps, gc on:"
    count = len(topological(mlp_loss(Value, Value.relu)()))
    table(f"MLP 2-16-16-1, 32 samples, {count:,} {what}", mlps)
    count = len(topological(gpt_loss(there["chainrule"])()))
    table(f"GPT of letters, 4,192 parameters, a name of 6, {count:,} {what}", gpts)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a * b": lambda a, b: a * b,
    "a - b": lambda a, b: a - b,
    "a / b": lambda a, b: a / b,
    "a ** 3": lambda a, b: a**3,
    "-a": lambda a, b: -a,
    "a.relu()": lambda a, b: a.relu(),
    "a.exp()": lambda a, b: a.exp(),
    "a.tanh()": lambda a, b: a.tanh(),
}


def per_operation(make: Any, operation: Callable[[Any, Any], Any]) -> float:
    """Nanoseconds for one operation and the addition that sums it up, forward and backward."""
    count = 300  # micrograd's recursion ends before 1,000

    def work() -> None:
        a, b = make(1.1), make(0.9)
        total = make(0.0)
        for _ in range(count):
            total = total + operation(a, b)
        total.backward()

    return best(work, 50) / count * 1e9


def chain(length: int) -> tuple[float, float, float]:
    """Seconds of this thread to build, differentiate and free a chain; the best of three."""

    def once() -> tuple[float, float, float]:
        start = time.thread_time()
        first = last = Value(1.0)
        for _ in range(length):
            last = last + 1e-9
        built = time.thread_time()
        last.backward()
        done = time.thread_time()
        assert first.grad == 1.0
        del last
        return built - start, done - built, time.thread_time() - done

    return min((once() for _ in range(3)), key=sum)


def bytes_per_node() -> int:
    """Memory of a node, with its number and what Python's collector adds."""
    node = Value(1.0) * 2.0
    return sys.getsizeof(node) + (0 if native.engine == "C" else sys.getsizeof(node.data))


def main(arguments: list[str]) -> None:
    """Print the tables; the argument `long` adds the chain of ten million operations."""
    print(f"eager engine in {native.engine}\n")
    tables()
    print("\n| operation (and one addition) | chainrule ns | micrograd ns |\n|---|---|---|")
    try:
        theirs = micrograd().make
    except ModuleNotFoundError:
        theirs = None
    for text, operation in OPERATIONS.items():
        cell = ""
        if theirs:
            try:
                cell = f"{per_operation(theirs, operation):.0f}"
            except AttributeError:
                cell = "missing"
        print(f"| `{text}` | {per_operation(Value, operation):.0f} | {cell} |")
    print("\nchains, with the garbage collector on, and inside quiet_gc():\n")
    print("| nodes | build s | backward s | free s | ns per node | ns per node, quiet |")
    print("|---|---|---|---|---|---|")
    for exponent in range(3, 8 if "long" in arguments else 7):
        parts = chain(10**exponent)
        with quiet_gc():
            quiet = sum(chain(10**exponent)) / 10**exponent * 1e9
        cells = [f"{seconds:.3g}" for seconds in parts]
        cells += [f"{sum(parts) / 10**exponent * 1e9:.0f}", f"{quiet:.0f}"]
        print(f"| 1e{exponent} | {' | '.join(cells)} |")
    print(f"\nmemory: {bytes_per_node()} bytes per node, including its number\n")


if __name__ == "__main__":
    main(sys.argv[1:])
