"""The program that `compile` records of a function."""

from collections.abc import Callable
from typing import Any

import autograd
from autograd import Value
from autograd.compiled.program import Program
from autograd.nestings import leaves, rebuilt


def recorded(f: Callable[..., Any], *arguments: Any) -> Program:
    """The program of a function of Values, and of whole numbers."""
    compiled = autograd.compile(f)
    inputs = [Value(x) if isinstance(x, float) else x for x in leaves(arguments)]
    compiled(*rebuilt(arguments, iter(inputs)))
    program: Program = compiled.program
    return program
