"""Prints the tables of `docs/`: `python -m tests.benchmarks [name [option ...]]`."""

import argparse
import importlib
import pkgutil
from pathlib import Path

# What runs when no name is given; the others take minutes, or break things on purpose.
TABLES = ["accuracy", "gradcheck", "speed"]


def main() -> None:
    """Run the benchmark of that name with the options that follow it, or with those of `docs/`."""
    here = Path(__file__).parent
    modules = [m.name for m in pkgutil.iter_modules([str(here)]) if m.name != "__main__"]
    names = [name.replace("_", "-") for name in modules]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("name", nargs="?", help=", ".join(names))
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of that benchmark")
    given = parser.parse_args()
    for name in [given.name] if given.name else TABLES:
        if name not in names:
            parser.error(f"no benchmark {name!r}; there are {', '.join(names)}")
        module = importlib.import_module(f"tests.benchmarks.{name.replace('-', '_')}")
        module.main(given.options)


if __name__ == "__main__":
    main()
