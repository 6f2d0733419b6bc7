"""Runs a script that can import only what an extra installs: `python tests/only.py EXTRA SCRIPT ...`."""

import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(requirement: Requirement) -> set[str]:
    """The distributions that a requirement brings along, its own and its extras' included."""
    seen: set[tuple[str, str]] = set()
    stack = [(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)]
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
            raise ModuleNotFoundError(f"No module named {name!r} (not in the extra)", name=name)


if __name__ == "__main__":
    _, extra, script, *arguments = sys.argv
    allowed = needed(Requirement(f"chainrule[{extra}]"))
    for module in [name for name in sys.modules if name.partition(".")[0] == "packaging"]:
        del sys.modules[module]
    sys.meta_path.insert(0, Refusal(allowed))  # type: ignore[arg-type]
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
