"""The engine that runs a `Program` as native code, which numba compiles from the table's rows."""

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograd import files
from autograd.atomic import forkable_lock
from autograd.compiled import native_margins
from autograd.compiled.encoded import Batch, Encoded
from autograd.compiled.program import Program
from autograd.compiled.rounding import UNIT
from autograd.printers import native
from autograd.value import rows

Array = Any
_build_lock = forkable_lock()  # one thread at a time compiles native code


def cache_folder() -> Path:
    """The folder of compiled kernels: $CHAINRULE_CACHE, else one in the user's cache folder."""
    chosen = os.environ.get("CHAINRULE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "chainrule"


@cache
def _compiled(source: str) -> Any:
    """The module of a row's native loops, compiled now or read from the disk."""
    stem = "row_" + hashlib.sha256(source.encode()).hexdigest()[:16]
    folder = cache_folder()
    path = folder / f"{stem}.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != source:
            files.write(path, source.encode())
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="chainrule-")) / f"{stem}.py"
        path.write_text(source)
    try:
        return _executed(stem, path)
    except Exception:
        # A full disk or a crash may have left damaged files of numba's, and Ctrl-C in a callback of
        # LLVM's is lost together with the object code: remove the files and compile again.
        for left in (path.parent / "__pycache__").glob(f"{stem}.*.nb[ic]"):
            left.unlink(missing_ok=True)
        return _executed(stem, path)


def _executed(stem: str, path: Path) -> Any:
    """The module of a file, under a name where numba's cache finds it."""
    spec = importlib.util.spec_from_file_location(stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[stem]
        raise
    return module


class NumbaEngine:
    """Runs a program as native code, which is cached on disk."""

    name = "numba"

    def __init__(self, program: Program) -> None:
        with _build_lock:
            from autograd.compiled import kernels

            self.run = kernels.sweep
            modules = [_compiled(native.source(rows()[name])) for name in program.tape.ops]
            bounds = [_compiled(native_margins.source(row, UNIT)) for row in program.cone.rows]
        addresses = [(module.values.address, module.slopes.address) for module in modules]
        self.rows = np.array(addresses or [(0, 0)], dtype=np.int64)
        self.margins = np.array(
            [module.margins.address for module in bounds] or [0], dtype=np.int64
        )

    def sweep(self, code: Encoded, memory: Array, grad: Array, batch: Batch) -> bool:
        """Whether all samples passed their guards, none is in doubt, and all results are finite."""
        return self.run(  # type: ignore[no-any-return]
            code.forward, code.backward, code.bounding, code.bounding_largest, self.rows,
            self.margins, code.pool, code.guards, code.cleared, code.measured, code.outputs,
            code.layout,
            batch.numbers, batch.where, batch.x, batch.seeds, memory, grad, batch.out, batch.status,
            batch.back, batch.gradients,
            code.shared, code.block, code.end, batch.differentiate,
        )  # fmt: skip
