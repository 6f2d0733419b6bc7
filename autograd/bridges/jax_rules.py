"""A check of functions of JAX that define their own rule: which one is wrong, and how."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograd.bridges.arrays import floats
from autograd.bridges.jaxprs import Unrolled, plain, where
from autograd.bridges.primitives import Equation
from autograd.bridges.refusals import LIMIT
from autograd.bridges.rules import SINGLY, Fault, RuleReport
from autograd.bridges.weighted import weighted_claim
from autograd.bridges.with_jax import jax
from autograd.check.black_box import judge_black_box
from autograd.check.claims import SINGLE
from autograd.check.diagnose import diagnosed
from autograd.check.report import Verdict

_RULES = ("custom_jvp_call", "custom_vjp_call")


@dataclass(frozen=True)
class Called:
    """A function and the operands that it was called with.

    Attributes:
        place: where it is, for the report.
        rule: the kind of rule that it defines; "" if it defines none.
        body: its jaxpr, closed.
        function: the function itself, with its rule.
        operands: NumPy's arrays.
    """

    place: str
    rule: str
    body: Any
    function: Callable[..., Any]
    operands: list[Any]

    @property
    def moved(self) -> list[int]:
        """The operands that are made of floats."""
        return [k for k, x in enumerate(self.operands) if _is_floating(x)]

    def with_moved(self, given: Sequence[Any]) -> list[Any]:
        """The operands, with others in place of those that are made of floats."""
        operands = list(self.operands)
        for k, x in zip(self.moved, given, strict=True):
            operands[k] = x
        return operands


def check_rules(function: Callable[..., Any], *arguments: Any, limit: int = LIMIT) -> RuleReport:
    """A RuleReport on the rules (custom_jvp, custom_vjp) of a function of JAX and those it calls.

    Each call of a function with a rule is compared by itself: JAX's gradient, which uses the rule,
    with that of the function's body.  The mistake is searched for as in `diagnose`.  Differences
    of the body must confirm that the gradient is wrong before it is reported.  Rules inside loops
    and branches are not called by themselves: the whole function is compared, too.

    >>> import jax, jax.numpy as jnp
    >>> @jax.custom_vjp
    ... def squash(x):
    ...     return jnp.tanh(x)
    >>> squash.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - x * x),))
    >>> print(check_rules(lambda w: squash(w).sum(), jnp.array([0.5, 1.0])))
    tanh: dz/dx is 1 - x * x where it should be 1 - z * z, in squash at ... (custom_vjp)
    """
    with jax.enable_x64(True):
        flat, nesting = jax.tree.flatten(jax.tree.map(_doubles, arguments))

        def whole(*given: Any) -> Any:
            result = jax.tree.leaves(function(*jax.tree.unflatten(nesting, given)))
            return [jax.numpy.asarray(x) for x in result]

        closed = jax.make_jaxpr(whole)(*flat)
        operands = [np.asarray(x) for x in flat]
        faults: dict[str, Fault] = {}
        note = ""
        everything = Called("in the function", "", closed, whole, operands)
        for call in [*_calls(closed.jaxpr, closed.consts, operands), everything]:
            if call.place in faults or (call is everything and faults):
                continue
            mistake = _mistake(call, limit)
            if mistake == SINGLY:
                note = mistake
            elif mistake:
                faults[call.place] = Fault(call.place, call.rule, mistake)
    return RuleReport(list(faults.values()), note)


def _doubles(x: Any) -> Any:
    x = jax.numpy.asarray(x)
    return x.astype(jax.numpy.float64) if _is_floating(x) else x


def _is_floating(x: Any) -> bool:
    return bool(jax.numpy.issubdtype(x.dtype, jax.numpy.floating))


def _calls(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> Iterator[Called]:
    """The calls of functions with rules, in order, at the numbers of this run."""
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, map(plain, constants), strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        operands = [plain(v.val) if hasattr(v, "val") else known[v] for v in equation.invars]
        own = Equation(equation.primitive, equation.params, operands, [])
        name, body = equation.primitive.name, equation.params.get("jaxpr")
        if name in _RULES:
            inner = equation.params["call_jaxpr"]
            place = f"in {inner.jaxpr.debug_info.func_name}{where(equation)}"
            rule = name.removesuffix("_call")
            yield Called(place, rule, inner, lambda *given, own=own: own.on(given), operands)
        elif name in ("jit", "pjit"):
            yield from _calls(body.jaxpr, body.consts, operands)
        results = map(plain, own.on(operands))
        known |= dict(zip(equation.outvars, results, strict=True))


def _mistake(call: Called, limit: int) -> str:
    """What is wrong with JAX's gradient of a call, or SINGLY; '' if nothing is."""
    moved = call.moved
    results, pull = jax.vjp(
        lambda *given: call.function(*call.with_moved(given)), *(call.operands[k] for k in moved)
    )
    weights = [np.linspace(0.5, 1.5, x.size).reshape(x.shape) for x in results]
    seeds = [
        w.astype(x.dtype) if _is_floating(x) else np.zeros(x.shape, jax.dtypes.float0)
        for w, x in zip(weights, results, strict=True)
    ]
    gradient = [np.asarray(g) for g in pull(seeds)]
    floating = [k for k, x in enumerate(results) if _is_floating(x)]

    def on_values(given: list[Any]) -> list[Any]:
        run = Unrolled(limit)
        parts = run.run(call.body.jaxpr, call.body.consts, call.with_moved(given))
        return [parts[k] for k in floating]

    inputs = {f"x{k}": floats(call.operands[k]) for k in moved}
    claim = weighted_claim(
        on_values, inputs, [w for k in floating for w in weights[k].ravel().tolist()],
        [g for part in gradient for g in part.ravel().tolist()],
    )  # fmt: skip
    if claim is None:
        return ""
    if diagnosed(claim):
        return ""
    diagnosis = diagnosed(replace(claim, unit=SINGLE))
    if diagnosis:
        return SINGLY

    compiled = jax.jit(lambda *given: call.function(*call.with_moved(given)))

    def f(at: dict[str, Any]) -> float:
        parts = compiled(*at.values())
        return sum(float((np.asarray(parts[k]) * weights[k]).sum()) for k in floating)

    report = judge_black_box(f, (inputs,), (dict(zip(inputs, gradient, strict=True)),))
    undecided = report.verdict is Verdict.INCONCLUSIVE and call.rule
    return diagnosis.mistake if report.verdict is Verdict.FAIL or undecided else ""
