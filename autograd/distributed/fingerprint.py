"""What must be the same in every process for the same bits."""

import contextlib
import functools
import hashlib
import importlib.util
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np


class MismatchError(RuntimeError):
    """A worker is not what the driver is: another version, program, table or file."""


def _sources() -> str:
    """A hash of the two packages' files."""
    found = hashlib.sha256()
    specs = importlib.util.find_spec("autograd"), importlib.util.find_spec("nn")
    for folder in (Path(spec.origin).parent for spec in specs if spec and spec.origin):
        for path in sorted(folder.rglob("*.py")):
            found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


_SOURCES = _sources()  # as they were imported, not as they may have become since


def fingerprint() -> dict[str, str]:
    """What must be the same on every worker for the same bits, by name."""
    found = {"chainrule": "not installed", "its source files": _SOURCES}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["chainrule"] = metadata.version("chainrule")
    found["Python"] = ".".join(map(str, sys.version_info[:2]))
    found["NumPy"] = np.__version__
    found["llvmlite"] = "none"
    if importlib.util.find_spec("llvmlite") is not None:
        found["llvmlite"] = metadata.version("llvmlite")
    found["machine"] = f"{platform.system()} {platform.machine()}"
    found["C library"] = " ".join(platform.libc_ver()).strip() or "unknown"  # its exp and log
    found["CPU"], features = _processor()
    return found | {FEATURES: features}


FEATURES = "CPU features"


@functools.cache
def _processor() -> tuple[str, str]:
    """The CPU that native code is made for, and the features that engines choose code by.

    With fused multiply-adds, or wider vectors, sums are rounded at other places.
    """
    built: Any = np.show_config(mode="dicts")
    found = {f"numpy:{name}" for name in built.get("SIMD Extensions", {}).get("found", [])}
    if importlib.util.find_spec("llvmlite") is None:
        return platform.processor() or "unknown", " ".join(sorted(found))
    from llvmlite import binding

    features = binding.get_host_cpu_features().flatten()
    found |= {one[1:] for one in features.split(",") if one.startswith("+")}
    return binding.get_host_cpu_name(), " ".join(sorted(found))


def compare(wanted: dict[str, str]) -> None:
    """Raise MismatchError, naming the first difference, if this process has another fingerprint."""
    own = fingerprint()
    for name, text in wanted.items():
        here = own.get(name)
        if here == text:
            continue
        if name == FEATURES and here is not None:
            mine, theirs = set(here.split()), set(text.split())
            here, text = (
                " ".join(sorted(some)) or "none besides" for some in (mine - theirs, theirs - mine)
            )
        raise MismatchError(f"{name}: {here} here, and {text} on the driver")
