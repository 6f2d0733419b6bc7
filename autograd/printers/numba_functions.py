"""Functions of libm that numba does not know, declared to it as functions of C's library."""

import math
import re

from autograd.operation import Operation
from autograd.ops import rows


def row_of(libm: str) -> Operation:
    """The row that is a function of libm; AttributeError if none is."""
    for op in rows().values():
        if op.libm == libm:
            return op
    raise AttributeError(f"no row is the function {libm!r} of libm")


def declared(texts: dict[str, str]) -> tuple[dict[str, str], str]:
    """The sources with such functions called by their own names, and the lines that declare them.

    The lines need numba's `types` and `signature`.  Raises NotImplementedError for a function that
    C's library does not have either.
    """
    called = sorted(set(re.findall(r"math\.(\w+)\(", " ".join(texts.values()))))
    lacking = [name for name in called if not is_known(name)]
    for name in lacking:
        texts = {key: part.replace(f"math.{name}(", f"{name}(") for key, part in texts.items()}
    return texts, "\n".join(map(external, lacking))


def is_known(name: str) -> bool:
    """Whether numba knows the function of `math`."""
    from numba.core.typing import mathdecl

    own = getattr(math, name)
    return any(function is own for function, _ in mathdecl.registry.globals)


def external(name: str) -> str:
    """The line that declares a function of C's library."""
    from llvmlite import binding

    if binding.address_of_symbol(name) is None:
        raise NotImplementedError(
            f"{name}: neither numba nor C's library has a function of this name, so the row cannot "
            'be compiled; use engine="numpy"'
        )
    kinds = ", ".join(["types.float64"] * (1 + row_of(name).arity))
    return f'{name} = types.ExternalFunction("{name}", signature({kinds}))'
