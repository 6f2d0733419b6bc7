"""A jaxpr run on arrays of Values: its equations in order, with loops unrolled."""

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.bridges.arrays import array, floats, row
from autograd.bridges.primitives import Equation, has_values, results
from autograd.bridges.refusals import UncoveredError, refuse_large
from autograd.bridges.with_jax import jax
from autograd.modes import scope

LONGEST = 10_000  # steps of a while loop
_FOLDER = os.path.dirname(jax.__file__)
# Where the equations that hold others keep them; a custom rule has the function itself.
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


@dataclass
class Unrolled:
    """A run of a jaxpr on arrays of Values.

    Attributes:
        limit: the largest number of Values.
        count: about how many Values there are so far.
        shorter: whether JAX rounds any number to a float of fewer bits, which a run does not.
        place: the user's line that is run, for messages.
    """

    limit: int
    count: int = 0
    shorter: bool = False
    place: str = ""

    def run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        """The jaxpr's results: arrays of Values, or NumPy's arrays of plain numbers."""
        known: dict[Any, Any] = dict(zip(jaxpr.constvars, map(plain, constants), strict=True))
        known |= dict(zip(jaxpr.invars, arguments, strict=True))

        def number(variable: Any) -> Any:
            return plain(variable.val) if hasattr(variable, "val") else known[variable]

        outer = self.place
        for equation in jaxpr.eqns:
            self.place = where(equation) or outer  # inside `jit`, an equation has no line
            operands = [number(variable) for variable in equation.invars]
            try:
                outputs = self._outputs(equation, operands)
            except UncoveredError as error:
                if error.args[0].startswith("from_jax"):  # an equation inside this one
                    raise
                name = equation.primitive.name
                raise UncoveredError(f"from_jax: {name}{self.place}: {error}") from error
            for variable, x in zip(equation.outvars, outputs, strict=True):
                kind = variable.aval.dtype
                self.shorter |= _is(kind, jax.numpy.floating) and kind.itemsize < 8
                known[variable] = _settled(x, variable.aval)
        self.place = outer
        return [number(variable) for variable in jaxpr.outvars]

    def _outputs(self, equation: Any, operands: list[Any]) -> list[Any]:
        if any(_is(v.aval.dtype, jax.numpy.complexfloating) for v in equation.outvars):
            raise UncoveredError("complex numbers")
        floating = [x.dtype == object or _is(x.dtype, jax.numpy.floating) for x in operands]
        own = Equation(equation.primitive, equation.params, operands, floating)
        if not any(map(has_values, operands)):
            return own.on(operands)
        name = equation.primitive.name
        if name in ("scan", "while", "cond"):
            return list(getattr(self, f"_{name}")(equation.params, operands))
        body = next((equation.params[key] for key in _BODIES if key in equation.params), None)
        if body is not None:
            return self._called(equation, body, operands)
        self._count(equation, own)
        return results(own)

    def _count(self, equation: Any, own: Equation) -> None:
        sizes = [int(np.prod(v.aval.shape, dtype=int)) for v in equation.outvars]
        self.count += max([*(x.size for x in own.operands), *sizes])
        if own.primitive.name == "dot_general":
            (over, _), _ = own.parameters["dimension_numbers"]
            self.count += 2 * sizes[0] * int(np.prod([own.operands[0].shape[d] for d in over]))
        if own.primitive.name == "conv_general_dilated":
            self.count += 2 * sizes[0] * own.operands[1].size
        refuse_large(f"from_jax: {own.primitive.name}{self.place}", self.count, self.limit)

    # ------------------------------------------------------------------ equations with equations

    def _closed(self, closed: Any, operands: Sequence[Any]) -> list[Any]:
        """The results of a jaxpr with its constants, or of one without."""
        return self.run(getattr(closed, "jaxpr", closed), getattr(closed, "consts", ()), operands)

    def _called(self, equation: Any, body: Any, operands: list[Any]) -> list[Any]:
        """The results of a call, in a scope with the name of the function."""
        if _is_relu(equation, body):  # whose rule says 0 where that of `max` says 1/2
            return [row("relu")(operands[0])]
        name = equation.params.get("name", "")
        inside = scope(name.strip("_")) if name.strip("_").isidentifier() else nullcontext()
        with inside:
            return self._closed(body, operands)

    def _scan(self, parameters: dict[str, Any], operands: list[Any]) -> Iterator[Any]:
        constants, carried = parameters["num_consts"], parameters["num_carry"]
        fixed, carry = operands[:constants], operands[constants : constants + carried]
        sequences = operands[constants + carried :]
        body, length = parameters["jaxpr"], parameters["length"]
        rows: list[Any] = [None] * length
        for t in range(length)[:: -1 if parameters["reverse"] else 1]:
            step = [np.asarray(x[t]) if x.dtype != object else array(x[t]) for x in sequences]
            outputs = self._closed(body, [*fixed, *carry, *step])
            carry, rows[t] = outputs[:carried], outputs[carried:]
        yield from carry
        for k, variable in enumerate(body.jaxpr.outvars[carried:]):
            parts = [row[k] for row in rows]
            shape = (length, *variable.aval.shape)
            yield np.stack(parts).reshape(shape) if parts else np.zeros(shape)

    def _while(self, parameters: dict[str, Any], operands: list[Any]) -> list[Any]:
        first, second = parameters["cond_nconsts"], parameters["body_nconsts"]
        of_test, of_body = operands[:first], operands[first : first + second]
        carry = operands[first + second :]
        for _ in range(LONGEST):
            if not self._closed(parameters["cond_jaxpr"], [*of_test, *carry])[0]:
                return carry
            carry = self._closed(parameters["body_jaxpr"], [*of_body, *carry])
        raise UncoveredError(f"a loop of more than {LONGEST:,} steps")

    def _cond(self, parameters: dict[str, Any], operands: list[Any]) -> list[Any]:
        branches = parameters["branches"]
        taken = min(max(int(operands[0]), 0), len(branches) - 1)
        return self._closed(branches[taken], operands[1:])


_is = jax.numpy.issubdtype


def plain(x: Any) -> Any:
    """A constant as a NumPy array; JAX's keys of random numbers stay as they are."""
    return x if _is(x.dtype, jax.dtypes.prng_key) else np.asarray(x)


def _settled(x: Any, aval: Any) -> Any:
    """A result as an array of Values, or of plain numbers of the right type if it has none."""
    if not hasattr(x, "dtype") or x.dtype == object:
        x = array(x)
        if has_values(x):
            return x
        return floats(x).astype(np.float64 if _is(aval.dtype, jax.numpy.floating) else aval.dtype)
    x = plain(x)
    return x.astype(np.float64) if _is(x.dtype, jax.numpy.floating) else x


def _is_relu(equation: Any, body: Any) -> bool:
    """Whether a function with a rule of its own is max(x, 0), as `jax.nn.relu`."""
    if equation.primitive.name != "custom_jvp_call" or len(equation.invars) != 1:
        return False
    inner = getattr(body, "jaxpr", body)
    while len(inner.eqns) == 1 and "jaxpr" in inner.eqns[0].params:
        inner = inner.eqns[0].params["jaxpr"].jaxpr
    if len(inner.eqns) != 1 or inner.eqns[0].primitive.name != "max":
        return False
    literals = [v.val for v in inner.eqns[0].invars if hasattr(v, "val")]
    return len(literals) == 1 and float(literals[0]) == 0.0


def where(equation: Any) -> str:
    """The user's line of an equation, for a message; "" if it is unknown."""
    trace = equation.source_info.traceback
    for frame in trace.frames if trace is not None else ():
        if not frame.file_name.startswith(_FOLDER):
            return f" at {os.path.basename(frame.file_name)}:{frame.line_num}"
    return ""
