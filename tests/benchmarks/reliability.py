"""Attempts to break the package, and the results: the table of docs/reliability.md."""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator

from autograd import NonFiniteWarning, rows
from autograd.faults import faults, planted
from tests.benchmarks import accuracy, fuzz, interruptions, memory, random_functions, random_graphs
from tests.functions.trial import tried
from tests.reference import CROSSES_ZERO

Row = tuple[str, str, str]


def _accuracy(share: float) -> Iterator[Row]:
    points = max(20, int(200 * share))
    ulps = [accuracy.worst(name, points) for name in rows() if name not in CROSSES_ZERO]
    values, slopes = max(z for z, *_ in ulps), max(max(rest) for _, *rest in ulps)
    found = f"value within {values:.2f} ulp, derivatives within {slopes:.2f}"
    yield "operations against mpmath", f"{len(rows())} rows, {points} points each", found
    second = max(accuracy.worst_second(name, points) for name in rows())
    tried = f"{len(rows())} rows, {2 * points} points each"
    yield "second derivatives", tried, f"within {second:.1e}"


def _graphs(share: float) -> Iterator[Row]:
    for engine, count in (
        ("eager", 1_000_000), ("numpy", 20_000), ("native", 20_000), ("float32", 20_000),
    ):  # fmt: skip
        tally = random_graphs.compare(max(200, int(count * share)), 0, [engine], 10)
        found = f"{len(tally.wrong[engine])} out of bounds"
        yield f"random graphs, {engine}", f"{tally.compared:,} against MPFR", found


def _functions(share: float) -> Iterator[Row]:
    for name, engine in random_functions.ENGINES.items():
        tally = tried(range(max(100, int(10_000 * share))), engine)
        much = f"{tally.functions:,}, {tally.compared:,} answers"
        found = f"{len(tally.failures)} wrong, {tally.refused:,} refused, {tally.skipped:,} skipped"
        yield f"random functions, {name}", much, found


def _faults(share: float) -> Iterator[Row]:
    every = faults()
    chosen = every[:: max(1, round(1 / max(share, 1e-9) / 4))]
    lived = []
    for fault in chosen:
        # A mistake may well make nan; that is what is looked for, not worth a warning.
        with planted(fault), warnings.catch_warnings():
            warnings.simplefilter("ignore", NonFiniteWarning)
            # What a thousand graphs do not meet, such as an end of a row, twenty thousand may.
            if not any(
                random_graphs.compare(graphs, 3, ["eager"], 2).wrong["eager"]
                for graphs in (1_000, 20_000)
            ):
                lived.append(fault.answer)
    tried = f"{len(chosen)} of {len(every)} misread rows and sums"
    found = "; ".join([f"{len(lived)} unnoticed by 20,000 random graphs", *lived])
    yield "mistakes planted in the engine", tried, found


def _interruptions(share: float) -> Iterator[Row]:
    trials = max(50, int(1000 * share))
    for kind in interruptions.KINDS:
        hits, broken = interruptions.run(kind, trials)
        tried = f"{interruptions.count(kind, trials)} trials, {hits} hit"
        yield f"Ctrl-C in {kind}", tried, f"{len(broken)} left half done"
    hits, broken = interruptions.killed(trials)
    yield "kill -9 in fit", f"{trials} trials, {hits} hit", f"{len(broken)} left half done"


def _memory(share: float) -> Iterator[Row]:
    early, late = memory.training(100)
    grown = f"{late - early:+,} bytes from epoch 10 to 100"
    yield "memory of training", "100 epochs", grown
    length = max(1_000_000, int(10_000_000 * share))
    seconds, height, left = memory.chain(length)
    found = f"{height / length:.0f} bytes per node, {left / length:.1f} left; {seconds:.1f} s"
    yield "a chain", f"{length:,} nodes", found


def _attacks(share: float) -> Iterator[Row]:
    for target, check in fuzz.TARGETS.items():
        inputs = fuzz.corpus(target)
        broken = 0
        for data in inputs:
            try:
                check(data)
            except Exception:
                broken += 1
        yield f"hostile {target}", f"{len(inputs)} stored inputs", f"{broken} got through"


PARTS: dict[str, Callable[[float], Iterator[Row]]] = {
    "accuracy": _accuracy,
    "graphs": _graphs,
    "functions": _functions,
    "faults": _faults,
    "interruptions": _interruptions,
    "memory": _memory,
    "attacks": _attacks,
}


def main(arguments: list[str]) -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--share", type=float, default=1.0, help="of the whole work (1.0)")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    start = time.perf_counter()
    print("| what | how much | result |\n|---|---|---|")
    for part in given.parts:
        for row in PARTS[part](given.share):
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"\nPython {sys.version.split()[0]}, {time.perf_counter() - start:.0f} s")
