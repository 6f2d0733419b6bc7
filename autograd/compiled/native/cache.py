"""Kernels as machine code: compiled once, and stored on disk.

The name of an object's file is a hash of everything it depends on: its text in LLVM's assembly,
the version of LLVM, and the processor.  A file is written completely or not at all.  A damaged
file is compiled again.  When there are too many files, the oldest are removed.
"""

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from autograd.compiled.native.ir import Function
from autograd.compiled.native.target import Target, libm

_MOST_FILES = 4000  # objects on the disk, some 10 kB each
_LEFT_OVER = 3600.0  # seconds after which an unfinished file counts as abandoned
_HEAD = hashlib.sha256().digest_size


def folder() -> Path:
    """The folder of compiled kernels: $CHAINRULE_CACHE, else one in the user's cache folder."""
    chosen = os.environ.get("CHAINRULE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "chainrule"


class Code:
    """Machine code in this process; the addresses are valid as long as this object exists.

    Args:
        kept: whether to store it on disk for later processes.
    """

    def __init__(self, functions: Iterable[Function], target: Target, kept: bool = True) -> None:
        machine = target.machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target.machine())
        names = []
        for function in functions:
            name, data = _compiled(function, target, machine, kept)
            names.append(name)
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        self._engine.finalize_object()
        self.addresses = [self._engine.get_function_address(name) for name in names]


def _compiled(function: Function, target: Target, machine: Any, kept: bool) -> tuple[str, bytes]:
    """A function's name and its machine code, from disk or compiled now."""
    text = function.text()
    digest = hashlib.sha256(f"{target.key}\n{text}".encode()).hexdigest()
    name = f"kernel_{digest[:24]}"
    for symbol in function.libm:
        llvm.add_symbol(symbol, libm(symbol))
    path = folder() / f"{digest}.o"
    data = _read(path) if kept else None
    if data is None:
        module = llvm.parse_assembly(text.replace(f"@{function.name}(", f"@{name}("))
        data = machine.emit_object(module)
        if kept:
            _keep(path, data)
    return name, data


def _read(path: Path) -> bytes | None:
    """The object in a file; None if the file is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    whole = data[:_HEAD] == hashlib.sha256(data[_HEAD:]).digest()
    return data[_HEAD:] if whole else None


@cache
def _trim(folder: Path) -> None:
    """Remove the oldest objects if there are too many, and abandoned files; once per process."""
    with contextlib.suppress(OSError):
        objects = sorted(folder.glob("[!.]*.o"), key=lambda path: path.stat().st_mtime)
        spare = len(objects) - _MOST_FILES // 2 if len(objects) > _MOST_FILES else 0
        old = time.time() - _LEFT_OVER
        left = [path for path in folder.glob(".*.o.*") if path.stat().st_mtime < old]
        for path in [*objects[:spare], *left]:
            path.unlink(missing_ok=True)


def _keep(path: Path, data: bytes) -> None:
    """Write an object's file; if that fails, it will be compiled again next time."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _trim(path.parent)
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        os.replace(temporary, path)
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
