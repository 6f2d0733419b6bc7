"""The choice of the engine that runs a `Program`: NumPy or native code."""

import importlib.util
import warnings

from autograd.compiled.numba_engine import NumbaEngine
from autograd.compiled.numpy_engine import NumpyEngine
from autograd.compiled.program import Program


def engine(program: Program, name: str = "auto") -> NumpyEngine | NumbaEngine:
    """The engine of that name; "auto" is numba if it is installed, else NumPy.

    "numba" without numba warns, says what to install, and gives NumPy.
    """
    if name not in ("auto", "numpy", "numba"):
        raise ValueError(f"engine: expected 'auto', 'numpy' or 'numba', got {name!r}")
    if name != "numpy" and importlib.util.find_spec("numba") is not None:
        return NumbaEngine(program)
    if name == "numba":
        warnings.warn(
            "numba is not installed, so NumPy runs this program; pip install 'chainrule[fast]'",
            stacklevel=3,
        )
    return NumpyEngine(program)
