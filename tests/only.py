"""Runs a script that sees no more than a group: `python tests/only.py GROUP SCRIPT ...`."""

import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from run import requirements


def needed(group: str) -> set[str]:
    """The distributions that a group brings along, with all that they require."""
    seen: set[tuple[str, str]] = set()
    wanted = map(Requirement, requirements(group))
    stack = [(canonicalize_name(one.name), extra) for one in wanted for extra in ("", *one.extras)]
    while stack:
        pair = stack.pop()
        if pair in seen:
            continue
        seen.add(pair)
        name, extra = pair
        try:
            texts = requires(name) or []
        except PackageNotFoundError:  # for another system or another version of Python
            continue
        for one in map(Requirement, texts):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                stack += [(canonicalize_name(one.name), more) for more in ("", *one.extras)]
    return {name for name, _ in seen}


class Refusal:
    """Finds no module of a distribution that is not among the needed ones."""

    def __init__(self, allowed: set[str]) -> None:
        self.hidden = {
            module
            for module, owners in packages_distributions().items()
            if not allowed & set(map(canonicalize_name, owners))
        }

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        """Raise for a hidden module; leave every other to Python."""
        if name.partition(".")[0] in self.hidden:
            raise ModuleNotFoundError(f"No module named {name!r} (not in the group)", name=name)


if __name__ == "__main__":
    _, group, script, *arguments = sys.argv
    allowed = needed(group)
    for module in [name for name in sys.modules if name.partition(".")[0] == "packaging"]:
        del sys.modules[module]
    sys.meta_path.insert(0, Refusal(allowed))
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).resolve().parent))  # as Python does
    runpy.run_path(script, run_name="__main__")
