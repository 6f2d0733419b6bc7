"""Functions of libm that numba does not know, declared as functions of the C library."""

import math
import re

from autograd.operation import Operation
from autograd.ops import rows


def row_of(libm: str) -> Operation:
    """The row of a function of libm; AttributeError if there is none."""
    for op in rows().values():
        if op.libm == libm:
            return op
    raise AttributeError(f"no row of the table is the libm function {libm!r}")


def declared(texts: dict[str, str]) -> tuple[dict[str, str], str]:
    """The sources, which call such functions without `math.`, and the lines that declare them.

    The lines need numba's `types` and `signature`.  Raises NotImplementedError for a function that
    is not in the C library either.
    """
    called = sorted(set(re.findall(r"math\.(\w+)\(", " ".join(texts.values()))))
    unknown = [name for name in called if not is_known(name)]
    for name in unknown:
        texts = {key: part.replace(f"math.{name}(", f"{name}(") for key, part in texts.items()}
    return texts, "\n".join(map(external, unknown))


def is_known(name: str) -> bool:
    """Whether numba knows the function of `math`."""
    from numba.core.typing import mathdecl

    own = getattr(math, name)
    return any(function is own for function, _ in mathdecl.registry.globals)


def external(name: str) -> str:
    """The line that declares a function of the C library."""
    from llvmlite import binding

    if binding.address_of_symbol(name) is None:
        raise NotImplementedError(
            f"{name}: neither numba nor the C library has a function of this name, so the row "
            'cannot be compiled; use engine="numpy"'
        )
    kinds = ", ".join(["types.float64"] * (1 + row_of(name).arity))
    return f'{name} = types.ExternalFunction("{name}", signature({kinds}))'
