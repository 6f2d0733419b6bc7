"""The fingerprint of a process: everything that must be the same for the same bits."""

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
    """Raised if a worker differs from the driver in version, program, operation table or file."""


def _sources() -> str:
    """A hash of the two packages' files."""
    digest = hashlib.sha256()
    specs = importlib.util.find_spec("autograd"), importlib.util.find_spec("nn")
    for folder in (Path(spec.origin).parent for spec in specs if spec and spec.origin):
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.c")]):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


_SOURCES = _sources()  # at the time of the import; the files may change later


def fingerprint() -> dict[str, str]:
    """The facts, by name, that must be the same on every worker for the same bits."""
    own = {"chainrule": "not installed", "its source files": _SOURCES}
    with contextlib.suppress(metadata.PackageNotFoundError):
        own["chainrule"] = metadata.version("chainrule")
    own["Python"] = ".".join(map(str, sys.version_info[:2]))
    own["NumPy"] = np.__version__
    own["llvmlite"] = "none"
    if importlib.util.find_spec("llvmlite") is not None:
        own["llvmlite"] = metadata.version("llvmlite")
    own["machine"] = f"{platform.system()} {platform.machine()}"
    own["C library"] = " ".join(platform.libc_ver()).strip() or "unknown"  # has exp and log
    own["CPU"], features = _processor()
    return own | {FEATURES: features}


FEATURES = "CPU features"


@functools.cache
def _processor() -> tuple[str, str]:
    """The CPU that native code is compiled for, and the features that affect the code.

    Fused multiply-adds and wider vectors round sums at other steps.
    """
    built: Any = np.show_config(mode="dicts")
    used = {f"numpy:{name}" for name in built.get("SIMD Extensions", {}).get("found", [])}
    if importlib.util.find_spec("llvmlite") is None:
        return platform.processor() or "unknown", " ".join(sorted(used))
    from llvmlite import binding

    features = binding.get_host_cpu_features().flatten()
    used |= {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    return binding.get_host_cpu_name(), " ".join(sorted(used))


def compare(driver: dict[str, str]) -> None:
    """Raise MismatchError, with the first difference, if this process has another fingerprint."""
    own = fingerprint()
    for name, text in driver.items():
        here = own.get(name)
        if here == text:
            continue
        if name == FEATURES and here is not None:
            mine, theirs = set(here.split()), set(text.split())
            here, text = (
                " ".join(sorted(more)) or "none besides" for more in (mine - theirs, theirs - mine)
            )
        raise MismatchError(f"{name}: {here} here, and {text} on the driver")
