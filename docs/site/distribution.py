"""Pyodide: Python for the browser, and where its packages come from."""

import json
import shutil
from pathlib import Path
from typing import Any

CORE = ("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
USED = ("numpy", "matplotlib")
_HOST = "https://cdn.jsdelivr.net/pyodide/v{version}/full/"


def closure(packages: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """The packages of these names and all that they depend on.

    >>> closure({"a": {"depends": ["b"]}, "b": {"depends": ["a"]}, "c": {"depends": []}}, ("a",))
    ['a', 'b']
    """
    found = list(names)
    for name in found:
        found += [other for other in packages[name]["depends"] if other not in found]
    return found


def write(target: Path, core: Path, given: Path | None) -> None:
    """Write Python itself, and the list of its packages with their addresses.

    Packages that notebooks use are copied from the given distribution.  All others, and these if
    none is given, have an address at Pyodide's usual host.

    Raises SystemExit for a distribution of another version.
    """
    target.mkdir(parents=True)
    for name in CORE:
        shutil.copy(core / name, target)
    lock = json.loads((core / "pyodide-lock.json").read_text(encoding="utf-8"))
    packages, version = lock["packages"], lock["info"]["version"]
    copied = []
    if given is not None:
        theirs = json.loads((given / "pyodide-lock.json").read_text(encoding="utf-8"))
        if theirs["info"]["version"] != version:
            raise SystemExit(f"--pyodide: needs {version}, got {theirs['info']['version']}")
        copied = closure(packages, USED)
        for name in copied:
            shutil.copy(given / packages[name]["file_name"], target)
    for name, package in packages.items():
        if name not in copied:
            package["file_name"] = _HOST.format(version=version) + package["file_name"]
    (target / "pyodide-lock.json").write_text(json.dumps(lock), encoding="utf-8")
