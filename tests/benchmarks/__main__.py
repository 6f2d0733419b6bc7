"""Prints the tables of the README: `python -m tests.benchmarks [name ...]`."""

import argparse
import importlib
import pkgutil
from pathlib import Path


def main() -> None:
    """Run the named benchmarks, or all of them."""
    here = Path(__file__).parent
    names = [m.name for m in pkgutil.iter_modules([str(here)]) if m.name != "__main__"]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(names))
    chosen = parser.parse_args().names or names
    for name in chosen:
        if name not in names:
            parser.error(f"no benchmark {name!r}; there are {', '.join(names)}")
        importlib.import_module(f"tests.benchmarks.{name}").main([])


if __name__ == "__main__":
    main()
