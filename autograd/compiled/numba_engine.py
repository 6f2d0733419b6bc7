"""The engine that runs a `Program` as native code, which numba compiles from the rows."""

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
from autograd.compiled.encoded import Batch, Encoded, Encodings
from autograd.compiled.program import Program
from autograd.compiled.rounding import UNIT
from autograd.printers import native
from autograd.value import rows

Array = Any
_one_build = forkable_lock()  # of native code


def cache_folder() -> Path:
    """Where compiled kernels are kept: $CHAINRULE_CACHE, else the user's cache folder."""
    given = os.environ.get("CHAINRULE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "chainrule"


@cache
def _compiled(source: str) -> Any:
    """The module of a row's native loops, compiled now or taken from the disk."""
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
        # What a full disk or a crash left of numba's files is no reason to fail, nor is Ctrl-C
        # in a callback of LLVM's, which loses it, and the object code.
        for left in (path.parent / "__pycache__").glob(f"{stem}.*.nb[ic]"):
            left.unlink(missing_ok=True)
        return _executed(stem, path)


def _executed(stem: str, path: Path) -> Any:
    """The module of a file, under a name where numba's cache looks for it; it keeps the code."""
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


class NumbaEngine(Encodings):
    """Runs a program as native code; what is compiled is kept on disk."""

    name = "numba"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        with _one_build:
            from autograd.compiled import kernels

            self.run = kernels.sweep
            modules = [_compiled(native.source(rows()[name])) for name in program.tape.ops]
            carriers = [_compiled(native_margins.source(row, UNIT)) for row in program.cone.rows]
        addresses = [(one.values.address, one.slopes.address) for one in modules]
        self.rows = np.array(addresses or [(0, 0)], dtype=np.int64)
        self.margins = np.array([one.margins.address for one in carriers] or [0], dtype=np.int64)

    def sweep(self, code: Encoded, memory: Array, grad: Array, batch: Batch) -> bool:
        """Whether, for the samples, all guards held and all results are finite."""
        return self.run(  # type: ignore[no-any-return]
            code.forward, code.backward, code.bounding, code.bounding_largest, self.rows,
            self.margins, code.pool, code.guards, code.cleared, code.measured, code.outputs,
            code.layout,
            batch.numbers, batch.where, batch.x, batch.seeds, memory, grad, batch.out, batch.held,
            batch.inputs, batch.gradients,
            code.shared, code.block, code.end, batch.differentiate,
        )  # fmt: skip
