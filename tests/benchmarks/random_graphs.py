"""Random graphs: values and gradients of every engine against high precision, within a bound.

The referee evaluates each operation with MPFR, from the textbook's z alone, and differentiates it
by central differences at 500 bits: no derivative of the engine's is read.  The bound on what
rounding may do follows the graph: it is twice the first-order error of arithmetic in which a value
is good to 2 units in the last place (u), a local derivative to 4, a sum or product of the chain
rule to 1, and in which every result is computed from operands that are rounded already.  In single
precision the inputs are rounded, too.
"""

import argparse
import ast
import functools
import itertools
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gmpy2
from gmpy2 import mpfr

import autograd
from autograd import Value, rows, rules
from autograd.operation import Operation
from tests.reference import CROSSES_ZERO, terms

BITS = 500
# What a difference of values needs where a derivative is far below its value, as in tanh(150).
MORE_BITS = 3000


@dataclass(frozen=True)
class Arithmetic:
    """A type of numbers: its unit in the last place of 1, and how far an input is rounded.

    Attributes:
        smallest: below, digits are lost to underflow, of which the bound knows nothing.
        largest: above, numbers are out of range.
    """

    ulp: float
    rounded: float
    smallest: float
    largest: float


DOUBLES = Arithmetic(2.0**-52, 0.0, 1e-290, 1e300)
SINGLES = Arithmetic(2.0**-23, 2.0**-24, 1e-30, 1e30)

Program = list[tuple[Operation, int, int]]
# From a program and a point: the value and the gradient.
Engine = Callable[["Graph", list[float]], tuple[float, list[float]]]


class OutOfRangeError(ArithmeticError):
    """The graph meets a kink, an end, or a number beyond the doubles; nothing is compared."""


@dataclass(frozen=True)
class Graph:
    """A random program: each step applies a row to earlier results; the last one is the root."""

    inputs: int
    steps: Program

    def __call__(self, *given: Any) -> Any:
        line = list(given)
        for op, i, j in self.steps:
            line.append(op(line[i], line[j]) if op.arity == 2 else op(line[i]))
        return line[-1]

    def __repr__(self) -> str:
        steps = "; ".join(f"{op.name} {i}" + f" {j}" * (op.arity == 2) for op, i, j in self.steps)
        return f"{self.inputs} inputs; {steps}"


def graph(rng: random.Random, table: list[Operation], most: int = 12) -> tuple[Graph, list[float]]:
    """A graph of up to `most` operations and a point at which its numbers are of a usual size."""
    inputs = rng.randint(1, 3)
    line = [rng.choice([-1.0, 1.0]) * 10 ** rng.uniform(-3, 1) for _ in range(inputs)]
    point = list(line)
    steps: Program = []
    wanted = rng.randint(1, most)
    while len(steps) < wanted:
        op = rng.choice(table)
        # A step uses the last result, so that every step counts; the other may be any.
        i, j = len(line) - 1, rng.randrange(len(line))
        i, j = (j, i) if op.arity == 2 and rng.random() < 0.5 else (i, j)
        operands = (line[i], line[j])[: op.arity]
        z = op.value(*operands)
        if op.is_smooth(*operands) and (z == 0.0 or 1e-6 < abs(z) < 1e3):
            steps.append((op, i, j))
            line.append(z)
    return Graph(inputs, steps), point


def eager(graph: Graph, point: list[float]) -> tuple[float, list[float]]:
    """The value and gradient by `backward`, which must not see what an earlier pass has left."""
    leaves = [Value(x) for x in point]
    root = graph(*leaves)
    root.backward()
    root.zero_grad()
    root.backward()
    return root.data, [leaf.grad for leaf in leaves]


class _Compiled:
    """The value and gradient of `autograd.compile`, which records each graph once."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.graph: Graph | None = None
        self.run: Any = None

    def __call__(self, graph: Graph, point: list[float]) -> tuple[float, list[float]]:
        if graph is not self.graph:
            self.graph, self.run = graph, autograd.compile(graph, **self.options)
        every = tuple(range(len(point)))
        value, gradient = self.run.value_and_grad(*point, argnums=every)
        return float(value), [float(g) for g in gradient]


ENGINES: dict[str, Callable[[], Engine]] = {
    "eager": lambda: eager,
    "numpy": functools.partial(_Compiled, engine="numpy"),
    "native": functools.partial(_Compiled, engine="native"),
    "float32": functools.partial(_Compiled, dtype="float32"),
}


# What gmpy2 calls otherwise.
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "round": gmpy2.rint}


@functools.cache
def _exact(op: Operation) -> Callable[..., Any]:
    """The textbook's z as a function of MPFR's numbers."""
    text = op.textbook[0]
    if text == op.signature:
        return _FUNCTIONS.get(op.name) or getattr(gmpy2, op.name)
    called = rules.calls(ast.parse(text, mode="eval"))

    def pi() -> Any:
        return gmpy2.const_pi(gmpy2.get_context().precision)

    names = {name: _exact(rows()[name]) for name in called}
    return eval(f"lambda x, y=None: {re.sub('pi', 'pi()', text)}", {**names, "pi": pi})  # type: ignore[no-any-return]


def _difference(op: Operation, operands: list[Any]) -> tuple[Any, list[float], list[list[float]]]:
    """z, its first derivatives as MPFR's numbers, and its second ones, by differences of z."""
    exact, scale = _exact(op), mpfr(2) ** (-gmpy2.get_context().precision // 5)
    steps = [scale * (min(abs(x), 1) or 1) for x in operands]

    def at(*moves: int) -> Any:
        return exact(*(x + m * s for x, m, s in zip(operands, moves, steps, strict=True)))

    if op.arity == 1:
        z, above, below = at(0), at(1), at(-1)
        (s,) = steps
        return z, [(above - below) / (2 * s)], [[_size((above - 2 * z + below) / s**2)]]
    z, right, left, above, below = at(0, 0), at(1, 0), at(-1, 0), at(0, 1), at(0, -1)
    s, t = steps
    mixed = _size((at(1, 1) - right - above + z) / (s * t))
    second = [
        [_size((right - 2 * z + left) / s**2), mixed],
        [mixed, _size((above - 2 * z + below) / t**2)],
    ]
    return z, [(right - left) / (2 * s), (above - below) / (2 * t)], second


def _size(x: Any) -> float:
    return abs(float(x))


@dataclass
class Truth:
    """The exact value and gradient, and how far from them rounding may lead."""

    value: Any
    value_bound: float
    gradient: list[Any]
    bounds: list[float]

    def misses(self, value: float, gradient: list[float]) -> list[str]:
        """What is out of bounds, in words."""
        pairs = [("value", value, self.value, self.value_bound)]
        for k, (g, exact, bound) in enumerate(
            zip(gradient, self.gradient, self.bounds, strict=True)
        ):
            pairs.append((f"d/dx{k}", g, exact, bound))
        return [
            f"{what} is {found!r}, should be {float(exact)!r} within {bound:.1e}"
            for what, found, exact, bound in pairs
            if not abs(found - exact) <= bound
        ]


def truth(
    graph: Graph, point: list[float], bits: int = BITS, arithmetic: Arithmetic = DOUBLES
) -> Truth:
    """Value and gradient at high precision.

    Raises OutOfRangeError where the arithmetic cannot follow.
    """
    count, ulp = graph.inputs, arithmetic.ulp
    smallest, largest = arithmetic.smallest, arithmetic.largest
    with gmpy2.context(gmpy2.get_context(), precision=bits):
        line = [mpfr(x) for x in point]
        errors = [arithmetic.rounded * abs(x) for x in point]
        tangents = [[mpfr(int(i == k)) for k in range(count)] for i in range(count)]
        paths = [[float(i == k) for k in range(count)] for i in range(count)]
        spread = [[0.0] * count for _ in range(count)]
        rounding = (3 * len(graph.steps) + 4) * ulp
        for op, i, j in graph.steps:
            places = [i, j][: op.arity]
            operands = [line[p] for p in places]
            own = [errors[p] for p in places]
            if op.smooth and _near_an_end(op, [float(x) for x in operands], own):
                raise OutOfRangeError
            z, first, second = _difference(op, operands)
            if not (z == 0 or smallest < _size(z) < largest):
                raise OutOfRangeError
            slopes = [_size(d) for d in first]
            if any(not (d == 0 or smallest < d < largest) for d in slopes):
                raise OutOfRangeError
            size = max(_size(z), terms(op, *map(float, operands)))
            errors.append(sum(d * e for d, e in zip(slopes, own, strict=True)) + 2 * ulp * size)
            # silu' and gelu' pass through 0, where they are good to 4 ulp of their terms.
            least = 2 * ulp * 0.25 if op.name in CROSSES_ZERO else 0.0
            drift = [least + sum(d * e for d, e in zip(row, own, strict=True)) for row in second]
            line.append(z)
            tangent, path, reach_of = [], [], []
            for k in range(count):
                t = [tangents[p][k] for p in places]
                a = [paths[p][k] for p in places]
                tangent.append(sum(d * x for d, x in zip(first, t, strict=True)))
                path.append(sum(d * x for d, x in zip(slopes, a, strict=True)))
                reach_of.append(
                    sum(
                        d * spread[p][k] + x * w
                        for d, p, x, w in zip(slopes, places, a, drift, strict=True)
                    )
                )
            tangents.append(tangent)
            paths.append(path)
            spread.append(reach_of)
        bounds = [
            2 * (s + rounding * a) + 1e-300 for s, a in zip(spread[-1], paths[-1], strict=True)
        ]
        if not all(map(math.isfinite, bounds)):
            raise OutOfRangeError
        return Truth(line[-1], 2 * errors[-1] + 1e-300, tangents[-1], bounds)


def _near_an_end(op: Operation, operands: list[float], errors: list[float]) -> bool:
    """Whether rounding may carry the operands across a kink or an end of the row."""
    reach = [4 * e + 1e-9 * abs(x) for x, e in zip(operands, errors, strict=True)]
    ends = [(x - r, x + r) for x, r in zip(operands, reach, strict=True)]
    if op.arity == 2 and abs(operands[0] - operands[1]) <= sum(reach):
        return True
    if any(low <= 0.0 <= high for low, high in ends):
        return True
    corners = list(itertools.product(*ends))
    pieces = {op.piece(*corner) for corner in corners}
    return len(pieces) > 1 or not all(op.is_smooth(*corner) for corner in corners)


@dataclass
class Tally:
    """What a run has seen.

    Attributes:
        compared: graphs, each at one point.
        skipped: graphs that met a kink, an end or a number out of range at their point.
        wrong: by engine, what was out of bounds, with the graph.
        worst: by engine, the largest error as a share of its bound.
    """

    compared: int = 0
    skipped: int = 0
    wrong: dict[str, list[str]] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)


def points(point: list[float], count: int, rng: random.Random) -> Iterator[list[float]]:
    """The point itself, and others around it."""
    yield point
    for _ in range(count - 1):
        yield [x * rng.uniform(0.7, 1.4) for x in point]


def compare(graphs: int, seed: int, engines: list[str], per_structure: int = 10) -> Tally:
    """Compare so many random graphs, `per_structure` points for each structure.

    The engines compute in the same arithmetic.
    """
    kind = SINGLES if "float32" in engines else DOUBLES
    tally = Tally(wrong={name: [] for name in engines}, worst=dict.fromkeys(engines, 0.0))
    made, table = {name: ENGINES[name]() for name in engines}, list(rows().values())
    rng = random.Random(seed)
    while tally.compared < graphs:
        one, start = graph(rng, table)
        for point in points(start, min(per_structure, graphs - tally.compared), rng):
            try:
                exact = truth(one, point, BITS, kind)
            except OutOfRangeError:
                tally.skipped += 1
                continue
            found = {name: engine(one, point) for name, engine in made.items()}
            if any(exact.misses(*result) for result in found.values()):
                try:  # perhaps the referee's digits are to blame
                    exact = truth(one, point, MORE_BITS, kind)
                except OutOfRangeError:
                    tally.skipped += 1
                    continue
            tally.compared += 1
            for name, (value, gradient) in found.items():
                if misses := exact.misses(value, gradient):
                    tally.wrong[name].append(f"{one!r} at {point}: {'; '.join(misses)}")
                else:
                    tally.worst[name] = max(tally.worst[name], _share(exact, value, gradient))
    return tally


def _share(exact: Truth, value: float, gradient: list[float]) -> float:
    shares = [abs(value - exact.value) / exact.value_bound]
    for g, true, bound in zip(gradient, exact.gradient, exact.bounds, strict=True):
        shares.append(abs(g - true) / bound)
    return float(max(shares))


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="random-graphs", description=__doc__)
    parser.add_argument("--graphs", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--engines", default="eager", help=f"of {','.join(ENGINES)} (eager)")
    parser.add_argument("--points", type=int, default=10, help="for each structure (10)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    engines = given.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"no engine {min(unknown)!r}; there are {', '.join(ENGINES)}")
    start = time.perf_counter()
    tally = compare(given.graphs, given.seed, engines, given.points)
    seconds = time.perf_counter() - start
    print("| engine | graphs | out of bounds | largest error, as a share of its bound |")
    print("|---|---|---|---|")
    for name in engines:
        wrong, worst = len(tally.wrong[name]), tally.worst[name]
        print(f"| {name} | {tally.compared:,} | {wrong} | {worst:.2f} |")
    print(f"\n{tally.skipped:,} more met a kink, an end or a number out of range", end="; ")
    print(f"{tally.compared / seconds:,.0f} graphs a second")
    for name in engines:
        for line in tally.wrong[name][:10]:
            print(f"{name}: {line}")
