"""How often gradient checkers err on hard cases, old bugs and random graphs, and their cost."""

import random
import time
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from autograd import (
    NonFiniteWarning,
    Value,
    Verdict,
    check_gradients,
    check_operation,
    finite_differences,
    rows,
)
from autograd.faults import faults, planted
from autograd.notes import Note
from nn import MLP, mse
from nn.microgpt import MicroGPT, encode
from tests.black_boxes import BlackBoxCase, float32, scaled
from tests.cases import FACTORS, KINKS, SMOOTH, Case, Plain, claimed, claiming
from tests.classic_bugs import BUGS

SPOILED = {"+0.1 %": 1.001, "+1 %": 1.01, "x2": 2.0, "-1": -1.0, "0": 0.0}

Plainly = Callable[..., float]
Checker = Callable[[Plainly, Sequence[float], Sequence[float]], str]  # "accepts", "fails", "kink"


def _word(verdict: Verdict) -> str:
    words = {Verdict.PASS: "accepts", Verdict.FAIL: "fails", Verdict.KINK: "kink"}
    return words.get(verdict, "undecided")


def _ours(case: Case, gradient: list[float]) -> str:
    return _word(check_gradients(claiming(case, gradient), *case.at).verdict)


def _black_box(f: Plainly, at: Sequence[float], gradient: Sequence[float]) -> str:
    return _word(check_gradients(f, *at, gradient=tuple(gradient)).verdict)


def _plain(case: Case) -> Plainly:
    def f(*xs: float) -> float:
        out = case.f(*map(Plain, map(float, xs)))
        return float(out.data)

    return f


def _torch() -> Checker:
    import torch

    def checked(f: Plainly, at: Sequence[float], gradient: Sequence[float]) -> str:
        class Claim(torch.autograd.Function):  # type: ignore[misc]
            @staticmethod
            def forward(ctx: Any, *xs: Any) -> Any:
                return torch.tensor(f(*(x.item() for x in xs)), dtype=torch.float64)

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return tuple(g * claim for claim in gradient)

        inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in at]
        good = torch.autograd.gradcheck(Claim.apply, inputs, raise_exception=False)
        return "accepts" if good else "fails"

    return checked


def _jax() -> Checker:
    import jax

    jax.config.update("jax_enable_x64", True)
    import numpy as np
    from jax.test_util import check_vjp

    def checked(f: Plainly, at: Sequence[float], gradient: Sequence[float]) -> str:
        def values(*xs: Any) -> Any:
            return np.float64(f(*xs))

        def vjp(*xs: Any) -> Any:
            return values(*xs), lambda g: tuple(np.float64(g) * claim for claim in gradient)

        try:
            check_vjp(values, vjp, tuple(map(np.float64, at)))
        except AssertionError:
            return "fails"
        return "accepts"

    return checked


def _differences(step: float, relative: float = 0.0, least: float = 1e-6) -> Checker:
    def checked(f: Plainly, at: Sequence[float], gradient: Sequence[float]) -> str:
        slopes = finite_differences(f, *map(float, at), step=step)
        pairs = zip(gradient, slopes, strict=True)
        near = (abs(g - slope) <= least + relative * abs(slope) for g, slope in pairs)
        return "accepts" if all(near) else "fails"

    return checked


def _others() -> dict[str, Checker]:
    """The checkers of other libraries, where they are installed."""
    checkers: dict[str, Checker] = {}
    for name, make in (("torch gradcheck", _torch), ("jax check_grads", _jax)):
        try:
            checkers[name] = make()
        except ImportError:
            print(f"({name}: not installed)")
    return checkers


def cases() -> None:
    """Print what each checker says of right and of wrong gradients."""

    def of_plain(check: Checker) -> Callable[[Case, list[float]], str]:
        return lambda case, gradient: check(_plain(case), case.at, gradient)

    checkers = {"chainrule": _ours, "chainrule, gradient=": of_plain(_black_box)}
    checkers |= {name: of_plain(check) for name, check in _others().items()}
    checkers["differences, 1e-6"] = of_plain(_differences(1e-6))
    print(f"{len(SMOOTH)} differentiable cases, {len(KINKS)} kinks\n")
    wrong = " | ".join(FACTORS)
    print(f"| checker | right gradients failed | undecided | accepts {wrong} | kinks seen | s |")
    print("|---|" + "---|" * (len(FACTORS) + 4))
    for name, check in checkers.items():
        start = time.perf_counter()
        right = [check(case, case.gradient) for case in SMOOTH]
        accepted = [
            sum(check(case, claimed(case, factor)) == "accepts" for case in SMOOTH)
            for factor in FACTORS.values()
        ]
        kinks = sum(
            check(case, [case.slopes(0)[side]]) == "kink" for case in KINKS for side in (0, 2)
        )
        seconds = time.perf_counter() - start
        cells = [
            right.count("fails"),
            right.count("undecided"),
            *accepted,
            f"{kinks}/{2 * len(KINKS)}",
        ]
        print(f"| {name} | {' | '.join(map(str, cells))} | {seconds:.0f} |", flush=True)
    engine = [check_gradients(case.f, *case.at).verdict for case in SMOOTH]
    print(f"\nthe engine's own gradients: {_counted(engine)}")


def black_boxes(points: int = 5) -> None:
    """Print what checkers say of gradients of functions that record nothing, number by number."""
    others = _others()
    for step in (1e-6, 1e-8):
        others[f"differences, {step:.0e}".replace("e-0", "e-")] = _differences(step, 1e-3, 1e-5)
    tables = {
        "doubles": list(scaled(0, points)),
        "float32": [case for seed in range(5) for case in float32(seed, points)],
    }
    for title, cases in tables.items():
        count = sum(len(case.at) for case in cases)
        print(f"\n{title}: {count} partial derivatives\n")
        print(f"| {title} | right ones failed | undecided | accepts {' | '.join(SPOILED)} |")
        print("|---|---|---|" + "---|" * len(SPOILED))
        for name, check in {"chainrule, gradient=": None, **others}.items():
            said = {
                spoiled: [word for case in cases for word in _each(case, factor, check)]
                for spoiled, factor in {"right": 1.0, **SPOILED}.items()
            }
            cells = [said["right"].count("fails"), said["right"].count("undecided")]
            cells += [said[spoiled].count("accepts") for spoiled in SPOILED]
            print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)


def _each(case: BlackBoxCase, factor: float, check: Checker | None) -> list[str]:
    """What a checker says of each partial derivative, spoiled by a factor; ours by default."""
    gradient = [factor * g for g in case.gradient]
    if check is None:
        report = check_gradients(case.f, case.at, gradient=gradient)
        return [_word(row.verdict) for row in report.rows]
    words = []
    for k, claim in enumerate(gradient):
        one = case.alone(k)
        words.append(check(lambda x, one=one: float(one.f([x])), one.at, [claim]))
    return words


def _counted(verdicts: list[Verdict]) -> str:
    return ", ".join(f"{verdicts.count(v)} {v.value}" for v in Verdict if v in verdicts)


def bugs() -> None:
    """Print which of thirty classic bugs are caught, and whether the operation is named."""
    caught = named = 0
    for bug in BUGS:
        reports = bug.reports()
        seen = any(not report for report in reports)
        says = any(bug.says in line for report in reports for line in report.blame)
        caught, named = caught + seen, named + says
        if not says:
            print(f"{'not named' if seen else 'not caught'}: {bug.what}")
    print(f"\n{len(BUGS)} classic bugs: {caught} caught, {named} with the culprit named")


def mutants() -> None:
    """Print how many misread rows the checker of single operations catches."""
    of_rows = [fault for fault in faults() if fault.op]
    lived = []
    for fault in of_rows:
        with planted(fault):
            if check_operation(rows()[fault.op]):
                lived.append(fault.answer)
    print(f"{len(of_rows)} misread rows: {len(of_rows) - len(lived)} caught", *lived, sep="\n  ")


class Spoiled(Note):
    """The origin of a node whose gradients come out multiplied by a factor."""

    factor = 1.0

    def pullback(self, node: Any) -> None:
        """The right pullback of a wrong adjoint."""
        right = node.grad
        node.grad = right * self.factor
        super().pullback(node)
        node.grad = right


def graph(seed: int) -> tuple[Callable[..., Any], list[float], list[int]]:
    """A random function of 1 to 4 inputs, 5 to 40 operations, scales 1e-4 to 1e2.

    Also returns which of its operations the result comes from.
    """
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
    used = {len(program) - 1}
    for k in range(len(program) - 1, -1, -1):
        if k in used:
            op, i, j = program[k]
            used.update(operand - len(inputs) for operand in (i, j)[: op.arity])

    def f(*xs: Any, spoil: int = -1, factor: float = 1.0) -> Any:
        made = list(xs)
        for k, (op, i, j) in enumerate(program):
            node = op(*(made[i], made[j])[: op.arity])
            if k == spoil and isinstance(node, Value):
                origin = Spoiled(node.op)
                origin.factor = factor
                node.row = origin
            made.append(node)
        return made[-1]

    return f, inputs, sorted(k for k in used if k >= 0)


def random_graphs(count: int, seed: int) -> None:
    """Print how many right gradients were failed, and how many spoiled ones were missed."""
    names = {name: factor for name, factor in FACTORS.items() if factor == factor}
    verdicts: list[Verdict] = []
    spoiled, missed, named, plain = (dict.fromkeys(names, 0) for _ in range(4))
    for n in range(count):
        f, at, used = graph(seed + n)
        right = check_gradients(f, *at)
        verdicts.append(right.verdict)
        k = random.Random(seed + n).choice(used)
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
            # Its operands' two partials are two lines of blame, of one node.
            culprits = {node for node in report.culprits if node.op is not None}
            named[name] += len(culprits) == 1 and isinstance(culprits.pop().row, Spoiled)
            slopes = finite_differences(f, *at, step=1e-6)
            plain[name] += all(
                abs(row.analytic - slope) < 1e-6
                for row, slope in zip(report.rows, slopes, strict=True)
            )
    print(f"{count} random graphs, seed {seed}, right gradients: {_counted(verdicts)}\n")
    print("| partials of one node | spoiled | missed | that node alone named | differences miss |")
    print("|---|---|---|---|---|")
    for name in names:
        cells = [spoiled[name], missed[name], named[name], plain[name]]
        print(f"| {name} | {' | '.join(map(str, cells))} |")


def costs() -> None:
    """Print what a check costs."""
    model = MLP([2, 6, 3, 1], "tanh", seed=0)

    def loss() -> Any:
        return mse([model([0.3, -0.7])[0]], [1.0])

    def measured(f: Any, *at: Any, **options: Any) -> float:
        start = time.perf_counter()
        assert check_gradients(f, *at, **options).verdict is Verdict.PASS
        return time.perf_counter() - start

    seconds = min(measured(loss, parameters=model) for _ in range(5))
    print(f"\nMLP 2-6-3-1, {len(model.parameters())} parameters: {seconds * 1e3:.0f} ms")

    def chain(x: Any) -> Any:
        return reduce(lambda y, _: y * 0.9999 + 1e-4, range(50_000), x)

    print(f"one input of 100,000 nodes: {measured(chain, 0.5):.1f} s")

    def many(xs: Any) -> Any:
        return sum(x * (0.3 * x).tanh() for x in xs)

    seconds = measured(many, [0.5 + i / 1000 for i in range(1000)])
    print(f"1,000 inputs of x tanh(0.3 x): {seconds:.2f} s")
    gpt = MicroGPT(seed=0)
    for name in ("emma", "isabella", "maximiliana"):
        tokens = encode(name)
        seconds = measured(lambda tokens=tokens: gpt.loss(tokens), parameters=gpt)
        print(f"GPT on {name}, {len(gpt.parameters()):,} parameters: {seconds:.1f} s")


def main(arguments: list[str]) -> None:
    """Print the tables; arguments: the number of graphs (100), the seed (the clock's)."""
    count = int(arguments[0]) if arguments else 100
    seed = int(arguments[1]) if len(arguments) > 1 else int(time.time())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)
        cases()
        black_boxes()
        bugs()
        mutants()
        random_graphs(count, seed)
    costs()


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
