"""The choice of the engine that runs a `Program`: NumPy or native code."""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, Protocol

from autograd.compiled.encoded import Batch
from autograd.compiled.numpy_engine import NumpyEngine
from autograd.compiled.precision import DOUBLE, Precision
from autograd.compiled.program import Program
from autograd.extras import remedy

ENGINES = ("auto", "native", "numpy")


class Engine(Protocol):
    """What runs a program.

    Attributes:
        name: what the user calls it.
    """

    name: str

    def memory(self, samples: int) -> Any:
        """What it keeps for so many samples, in this thread."""

    def run(self, memory: Any, batch: Batch, threads: int | None = None) -> bool:
        """Whether, for all samples, nothing is decided otherwise and all is finite.

        Without a number of threads, the engine chooses it.
        """

    def prepared(self, memory: Any, batch: Batch, threads: int | None = None) -> Callable[[], bool]:
        """The same as a function, for several runs.

        Between them, other numbers may be in the arrays, and the batch may get other arrays of
        numbers and gradients.
        """


def check_name(name: str, where: str) -> None:
    """Raise ValueError if there is no engine of that name."""
    if name not in ENGINES:
        raise ValueError(f"{where}: engine must be 'auto', 'native' or 'numpy', got {name!r}")


def check_precision(wanted: str, precision: Precision, where: str, exact: bool = False) -> None:
    """Raise an error if the engine of that name cannot compute in that precision."""
    if precision.eager:
        return
    if exact:
        raise ValueError(f"{where}: exact=True gives the eager bits, which are those of float64")
    if wanted == "numpy":
        raise ValueError(
            f"{where}: dtype={precision.name!r} needs native code, and engine='numpy' computes in "
            "float64 only"
        )
    if importlib.util.find_spec("llvmlite") is None:
        raise ModuleNotFoundError(
            f"{where}: dtype={precision.name!r} needs native code: {remedy('fast', 'llvmlite')}"
        )


def engine(program: Program, wanted: str = "auto", precision: Precision = DOUBLE) -> Engine:
    """The engine of that name; "auto" is native code where llvmlite is installed, else NumPy.

    Asking for "native" without it warns, with what to install, and gives NumPy, which computes in
    float64 only.
    """
    check_name(wanted, "engine")
    check_precision(wanted, precision, "engine")
    if wanted != "numpy" and importlib.util.find_spec("llvmlite") is not None:
        from autograd.compiled.native.engine import NativeEngine  # only here is llvmlite needed

        return NativeEngine(program, precision)
    if wanted == "native":
        warnings.warn(
            "llvmlite is not installed, so NumPy runs this program; pip install 'chainrule[fast]'",
            stacklevel=3,
        )
    return NumpyEngine(program)
