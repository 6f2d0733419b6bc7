"""Random Python functions: eager answers against a second differentiator, compiled against eager.

`tests/functions/grammar.py` says what the functions are made of, `questions.py` what is asked of
them.  A function counts as wrong once; an answer is compared, refused with an error that says so,
or skipped: rounding decided it, or there is no eager answer.  Failures are made small and printed
as scripts.
"""

import argparse
import time
from pathlib import Path

from tests.functions.shrink import script, shrunk
from tests.functions.trial import Tally, tried

ENGINES: dict[str, str | None] = {"eager": None, "numpy": "numpy", "auto": "auto"}


def row(name: str, tally: Tally) -> str:
    """A line of the table."""
    counts = tally.functions, tally.compared, tally.refused, tally.skipped, len(tally.failures)
    return f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |"


def main(arguments: list[str]) -> None:
    """Print the table, then the failures."""
    parser = argparse.ArgumentParser(prog="random-functions", description=__doc__)
    parser.add_argument("--functions", type=int, default=1000, help="for each engine (1,000)")
    parser.add_argument("--engines", default=",".join(ENGINES), help=f"of {','.join(ENGINES)}")
    parser.add_argument("--seed", type=int, default=0, help="of the first function (0)")
    parser.add_argument("--show", type=int, default=5, help="so many failures as scripts (5)")
    parser.add_argument("--to", type=Path, help="a folder for the scripts, instead of the screen")
    given = parser.parse_args(arguments)
    engines = given.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"no engine {min(unknown)!r}; there are {', '.join(ENGINES)}")
    start, failures = time.perf_counter(), []
    print("| engine | functions | answers compared | refused | skipped | wrong |")
    print("|---|---|---|---|---|---|")
    for name in engines:
        tally = tried(range(given.seed, given.seed + given.functions), ENGINES[name])
        failures += tally.failures
        print(row(name, tally), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")
    for i, failure in enumerate(failures[: given.show]):
        text = script(shrunk(failure))
        if given.to is None:
            print(f"\n{text}")
        else:
            given.to.mkdir(parents=True, exist_ok=True)
            (given.to / f"failure_{i}.py").write_text(text)
