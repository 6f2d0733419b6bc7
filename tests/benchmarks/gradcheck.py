"""How often the gradient checker errs on random graphs, right and spoiled, and what it costs."""

import random
import time
import warnings
from collections.abc import Callable
from typing import Any

from autograd import NonFiniteWarning, Value, Verdict, check_gradients, finite_differences, rows
from autograd.value import Note
from nn import MLP, mse


class Spoiled(Note):
    """The origin of a node whose gradients come out multiplied by a factor."""

    factor = 1.0

    def pullback(self, node: Any) -> None:
        """The right pullback of a wrong adjoint."""
        right = node.grad
        node.grad = right * self.factor
        super().pullback(node)
        node.grad = right


def graph(seed: int) -> tuple[Callable[..., Any], list[float], int]:
    """A random function of 1 to 4 inputs, 5 to 40 operations, scales 1e-4 to 1e2; its length."""
    rng = random.Random(seed)
    table = [op for op in rows().values() if op.name != "sign"]
    inputs = [rng.choice([-1, 1]) * 10 ** rng.uniform(-4, 2) for _ in range(rng.randint(1, 4))]
    line = [*inputs]
    program: list[tuple[Any, int, int]] = []
    while len(program) < rng.randint(5, 40):
        op = rng.choice(table)
        i, j = (max(0, len(line) - 1 - int(rng.expovariate(0.4))) for _ in range(2))
        operands = (line[i], line[j])[: op.arity]
        z = op.value(*operands)
        # Ends are another subject, and a number beyond 1e4 soon overflows what is built on it.
        if op.is_smooth(*operands) and 1e-8 < abs(z) < 1e4:
            program.append((op, i, j))
            line.append(z)

    def f(*xs: Any, spoil: int = -1, factor: float = 1.0) -> Any:
        made = list(xs)
        for k, (op, i, j) in enumerate(program):
            node = op(*(made[i], made[j])[: op.arity])
            if k == spoil and isinstance(node, Value):
                origin = Spoiled(node.op)
                origin.factor = factor
                node._row = origin
            made.append(node)
        return made[-1]

    return f, inputs, len(program)


def random_graphs(count: int, seed: int) -> None:
    """Print how many right gradients were failed, and how many spoiled ones were missed."""
    names = {"-1": -1.0, "x2": 2.0, "0": 0.0, "+1 %": 1.01, "+1e-4": 1.0001, "+1e-6": 1.000001}
    verdicts = dict.fromkeys(Verdict, 0)
    spoiled = dict.fromkeys(names, 0)
    missed, named, plain = ({**spoiled} for _ in range(3))
    for n in range(count):
        f, at, length = graph(seed + n)
        right = check_gradients(f, *at)
        verdicts[right.verdict] += 1
        k = random.Random(seed + n).randrange(length)
        for name, factor in names.items():

            def wrong(*xs: Any, f: Any = f, k: int = k, factor: float = factor) -> Any:
                return f(*xs, spoil=k, factor=factor)

            report = check_gradients(wrong, *at)
            # Counted only where the mistake reaches an input by more than rounding.
            pairs = zip(report.rows, right.rows, strict=True)
            if not any(abs(w.analytic - r.analytic) > 1e-9 * abs(r.analytic) for w, r in pairs):
                continue
            spoiled[name] += 1
            missed[name] += bool(report)
            op = f"node v{k + 1},"
            named[name] += any(op in line for line in report.blame)
            slopes = finite_differences(f, *at, step=1e-6)
            plain[name] += all(
                abs(row.analytic - slope) < 1e-6
                for row, slope in zip(report.rows, slopes, strict=True)
            )
    shown = ", ".join(f"{n} {verdict.value}" for verdict, n in verdicts.items() if n)
    print(f"{count} random graphs, seed {seed}, right gradients: {shown}\n")
    print("| partial of one node | spoiled | missed | plain differences miss | node named |")
    print("|---|---|---|---|---|")
    for name in names:
        cells = [spoiled[name], missed[name], plain[name], named[name]]
        print(f"| {name} | {' | '.join(map(str, cells))} |")


def costs() -> None:
    """Print what a check costs."""
    model = MLP([2, 6, 3, 1], "tanh", seed=0)

    def loss() -> Any:
        return mse([model([0.3, -0.7])[0]], [1.0])

    start = time.perf_counter()
    report = check_gradients(loss, parameters=model)
    seconds = time.perf_counter() - start
    print(f"\nMLP 2-6-3-1, {len(report.rows)} parameters: {seconds * 1e3:.0f} ms")
    chain_start = time.perf_counter()

    def chain(x: Any) -> Any:
        y = x
        for _ in range(50_000):
            y = y * 0.9999 + 1e-4
        return y

    assert check_gradients(chain, 0.5).verdict is Verdict.PASS
    print(f"one input of 100,000 nodes: {time.perf_counter() - chain_start:.1f} s")


def main(arguments: list[str]) -> None:
    """Print the tables; arguments: the number of graphs (100), the seed (the clock's)."""
    count = int(arguments[0]) if arguments else 100
    seed = int(arguments[1]) if len(arguments) > 1 else int(time.time())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)
        random_graphs(count, seed)
    costs()


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
