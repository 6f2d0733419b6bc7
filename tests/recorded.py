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


def replayed(program: Program, p: list[float], x: list[float]) -> tuple[Any, Any, Any]:
    """Outputs, and derivatives of their sum in parameters and inputs, by the replayed graph."""
    lifted = program.lift(p, x)
    total = sum(lifted.outputs[1:], lifted.outputs[0])
    total.backward()
    inner, outer = ([v.grad for v in part] for part in (lifted.parameters, lifted.inputs))
    return [v.data for v in lifted.outputs], inner, outer
