"""JAX functions as graphs of Values: `from_jax`."""

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd.adjoints import gradients
from autograd.bridges import arrays
from autograd.bridges.jaxprs import Unrolled, plain
from autograd.bridges.primitives import ON_EQUATIONS, ON_OPERANDS, WITHOUT_GRADIENT, has_values
from autograd.bridges.refusals import LIMIT, refuse_large
from autograd.bridges.with_jax import jax
from autograd.modes import quiet_gc, recording
from autograd.ops import Ops
from autograd.value import Value
from nn.probabilities import total

# Relative to the largest number of an array: results that differ by more are not the function's,
# and gradients that differ by more are no rounding error.  The last is for floats of fewer bits.
_APART, _CLEARLY, _SHORTER = 1e-9, 1e-6, 0.02
_CALLS = ("checkpoint", "cond", "custom_jvp_call", "custom_vjp_call", "jit", "scan")


class JaxGraph:
    """A JAX function at some arguments, as a graph of Values; made by `from_jax`.

    Attributes:
        inputs: the arguments, in their nesting, as arrays of Values, or of plain numbers if they
            are whole.
        result: the function's result in its nesting: Values, and arrays of Values.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], limit: int
    ) -> None:
        self._function, self._arguments = function, arguments
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        flat, self._nesting = jax.tree.flatten(arguments)
        sizes = sum(np.size(x) for x in flat)
        refuse_large("from_jax", sizes, limit)
        names = _names(function, arguments)
        self._flat = [_input(x, name) for x, name in zip(flat, names, strict=True)]
        self.inputs = jax.tree.unflatten(self._nesting, self._flat)
        with quiet_gc():
            run = Unrolled(limit, sizes)
            results = run.run(closed.jaxpr, closed.consts, self._flat)
        self._results, self._shorter = results, run.shorter
        parts = [x[()] if not np.ndim(x) else x for x in results]
        self.result = jax.tree.unflatten(jax.tree.structure(shape), parts)

    def gradients(self) -> Any:
        """The `.grad` of the inputs as NumPy arrays, in their nesting; 0 for whole numbers."""
        grads = [arrays.adjoints(x) if has_values(x) else np.zeros(np.shape(x)) for x in self._flat]
        return jax.tree.unflatten(self._nesting, grads)

    def __repr__(self) -> str:
        count = sum(has_values(x) * x.size for x in self._flat)
        name = getattr(self._function, "__name__", "a function")
        return f"{name} on Values: {count:,} inputs"

    # ------------------------------------------------------------------ JAX's own numbers

    def verify(self) -> None:
        """Compare results and gradients with JAX's own.

        Raises ValueError if a result differs, and warns if a gradient does.
        """
        floating = [i for i, x in enumerate(self._flat) if has_values(x)]
        flat = jax.tree.leaves(self._arguments)

        def results(*given: Any) -> list[Any]:
            changed = list(flat)
            for i, x in zip(floating, given, strict=True):
                changed[i] = x
            result = self._function(*jax.tree.unflatten(self._nesting, changed))
            return jax.tree.leaves(result)  # type: ignore[no-any-return]

        theirs, pull = jax.vjp(results, *(flat[i] for i in floating))
        for ours, there in zip(self._results, theirs, strict=True):
            here = arrays.floats(ours) if ours.dtype == object else ours
            if not _is_near(here, np.asarray(there), _SHORTER if self._shorter else _APART):
                raise ValueError(
                    f"from_jax: the graph gives {here} where JAX gives {there}, so the graph is "
                    "not the same function"
                )
        try:
            self._compare_gradients(floating, theirs, pull)
        except ValueError as error:
            if "Reverse-mode" not in str(error):  # JAX has no reverse pass of a while loop
                raise

    def _compare_gradients(self, floating: list[int], theirs: list[Any], pull: Any) -> None:
        """Warn if JAX's own gradients are not those of the graph."""
        # Of several results, sums with equal weights could hide a difference.
        several = sum(np.size(x) for x in theirs) > 1
        seeds = [
            np.linspace(0.5, 1.5, np.size(x)).reshape(np.shape(x)) if several else np.ones(x.shape)
            for x in theirs
        ]
        terms = [
            weight * v
            for seed, part in zip(seeds, self._results, strict=True)
            for weight, v in zip(seed.ravel().tolist(), part.ravel().tolist(), strict=True)
            if isinstance(v, Value)
        ]
        root = total(terms)
        if not isinstance(root, Value) or not math.isfinite(root.data):
            return  # what is nan has nan derivatives here, and JAX has its own idea
        nodes = [v for i in floating for v in self._flat[i].ravel()]
        cotangents = [
            seed.astype(x.dtype)
            if jax.numpy.issubdtype(x.dtype, jax.numpy.floating)
            else np.zeros(x.shape, jax.dtypes.float0)
            for seed, x in zip(seeds, theirs, strict=True)
        ]
        there = np.concatenate([np.ravel(x) for x in pull(cotangents)])
        here = np.array(gradients([(root, 1.0)], nodes, create_graph=False))
        floor = _APART * abs(root.data)  # where all gradients are rounding errors of 0
        if not _is_near(here, there, _SHORTER if self._shorter else _CLEARLY, floor):
            k = int(np.argmax(np.nan_to_num(abs(here - there), nan=np.inf)))
            of = " of a weighted sum of the results" if several else ""
            warnings.warn(
                f"from_jax: JAX's gradient{of} in {nodes[k].label} is {there[k]:.6g} where the "
                f"graph gives {here[k]:.6g}; a rule of your own (custom_jvp, custom_vjp) is wrong, "
                "or a number is at a kink, where more than one slope is right",
                stacklevel=4,
            )


def _is_near(here: Any, there: Any, tolerance: float, floor: float = 0.0) -> bool:
    """Whether two arrays are the same, relative to their largest finite number."""
    sizes = abs(np.asarray(there, dtype=np.float64))
    largest = np.max(sizes, initial=floor, where=np.isfinite(sizes))
    return np.allclose(here, there, 0.0, tolerance * largest, equal_nan=True)


def _names(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[str]:
    """A name for each array of the arguments: `params['w']`, after the function's own names."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(arguments)[0]]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a function that says nothing of its arguments
        parameters = []
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = [p.name for p in parameters if p.kind in named][: len(arguments)]
    own += [f"x{i}" for i in range(len(own), len(arguments))]
    return [own[path[0].idx] + jax.tree_util.keystr(path[1:]) for path in paths]


def _input(x: Any, name: str) -> Any:
    """An argument's array: of Values if it is made of floats, else of plain numbers."""
    x = plain(x)
    floating = x.size and jax.numpy.issubdtype(x.dtype, jax.numpy.floating)
    return arrays.values(x, name) if floating else x


def _doubles(x: Any) -> Any:
    """An array, in doubles if it is made of floats."""
    if isinstance(x, Ops):
        raise TypeError(
            "from_jax: expected numbers and arrays, got a Value; pass its number, v.data"
        )
    dtype = jax.numpy.result_type(x)
    if jax.numpy.issubdtype(dtype, np.complexfloating):
        raise TypeError("from_jax: complex numbers are not covered")
    if jax.numpy.issubdtype(dtype, jax.numpy.floating):
        return jax.numpy.asarray(x, jax.numpy.float64)
    return x if jax.numpy.issubdtype(dtype, jax.dtypes.prng_key) else jax.numpy.asarray(x)


def from_jax(function: Callable[..., Any], *arguments: Any, limit: int = LIMIT) -> JaxGraph:
    """A JAX function as a graph of Values at these arguments, for pictures and checks.

    Each floating number of the arguments is a Value with a label such as `params['w'][0, 1]`;
    whole numbers stay plain.  All is computed in doubles, after a cast to a shorter float too.
    Loops (scan, while) are unrolled, and of `cond` and `switch` only the branch that is taken is in
    the graph.  A function with a rule of its own (custom_jvp, custom_vjp) is taken by its body.
    Results and gradients are compared with JAX's own: a difference is an error or a warning, so a
    wrong rule shows.

    Raises UncoveredError for a primitive that is not covered, with your line (`chainrule
    bridges jax` lists those that are), ValueError for a graph of more than `limit` Values.

    >>> import jax.numpy as jnp
    >>> def loss(params, x):
    ...     return jnp.sum(jnp.tanh(params["w"] @ x) ** 2)
    >>> graph = from_jax(loss, {"w": jnp.array([[1.0, -2.0]])}, jnp.array([0.5, 0.25]))
    >>> graph.result
    Value(data=0.0, grad=0.0, op=pow)
    """
    with jax.enable_x64(True), recording():
        arguments = jax.tree.map(_doubles, arguments)
        graph = JaxGraph(function, arguments, limit)
        graph.verify()
    return graph


def covered() -> list[str]:
    """The names of the primitives that `from_jax` covers on Values.

    Those whose operands have no gradient are run by JAX, whatever they are.
    """
    return sorted({*ON_OPERANDS, *ON_EQUATIONS, *WITHOUT_GRADIENT, *_CALLS, "while"})
