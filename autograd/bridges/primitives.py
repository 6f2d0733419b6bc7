"""What each primitive of JAX does to arrays of Values.

A primitive whose operands have no Value is run by JAX itself, so only those that carry gradients
are here.  Those that move numbers are run by JAX, too, on the numbers' places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np

from autograd.bridges import arrays
from autograd.bridges.arrays import Array, Number, applied, array, contracted, reduced, row
from autograd.bridges.refusals import UncoveredError
from autograd.bridges.with_jax import jax
from autograd.ops import Ops, rows
from nn.probabilities import total

Function = Callable[..., Any]


@dataclass(frozen=True)
class Equation:
    """A primitive with its operands: arrays of Values, or NumPy's arrays of plain numbers.

    Attributes:
        primitive: JAX's object, which can be run on plain numbers.
        parameters: its parameters.
        floating: whether each operand is made of floats, so that it may have gradients.
    """

    primitive: Any
    parameters: dict[str, Any]
    operands: list[Any]
    floating: list[bool]

    def on(self, operands: Sequence[Any]) -> list[Any]:
        """JAX's own results on plain numbers."""
        primitive = self.primitive
        results = primitive.bind(*operands, **primitive.get_bind_params(self.parameters))
        return list(results) if primitive.multiple_results else [results]

    @property
    def plain(self) -> list[Any]:
        """The operands as plain numbers, without gradients."""
        return [arrays.floats(x) if x.dtype == object else x for x in self.operands]


# ---------------------------------------------------------------------- number by number


def _integer_pow(x: Array, y: int) -> Array:
    return applied(lambda v: v**y, x)


def _rsqrt(x: Array, **_: Any) -> Array:
    return 1.0 / row("sqrt")(x)


def _clamp(low: Array, x: Array, high: Array) -> Array:
    """The number inside the bounds; at a bound, JAX gives no gradient to anything."""

    def inside(low: Number, x: Number, high: Number) -> Number:
        if low < x < high:
            return x
        bound = low if x <= low else high
        return bound if x != bound and low < high else arrays.detached(bound)[()]

    return applied(inside, low, x, high)


def _round(x: Array, rounding_method: Any) -> Array:
    if rounding_method.name == "TO_NEAREST_EVEN":
        return row("round")(x)
    raise UncoveredError(f"round with {rounding_method}; jnp.round is covered")


def _select(which: Any, *cases: Array) -> Array:
    return applied(lambda k, *numbers: numbers[int(k)], which, *cases)


def _same(x: Array, *_: Any, **__: Any) -> Array:
    return x


def _converted(x: Array, new_dtype: Any, **_: Any) -> Any:
    """The same numbers; a shorter float keeps its digits, and an integer has no gradient."""
    if not jax.numpy.issubdtype(new_dtype, jax.numpy.floating):
        return arrays.floats(x).astype(new_dtype)
    return x


# ---------------------------------------------------------------------- along axes


def _reduced(function: Function) -> Function:
    def reduction(x: Array, axes: Sequence[int], **_: Any) -> Array:
        # An empty list of axes means none here, and all in `reduced`.
        return reduced(function, x, list(axes)) if axes else x

    return reduction


def _smallest(numbers: list[Number]) -> Number:
    return -arrays.largest_shared([-v for v in numbers])


def _product(numbers: list[Number]) -> Number:
    return reduce(lambda x, y: x * y, numbers, 1.0)


def _cumulative(name: str) -> Function:
    op = rows()[name]

    def along(x: Array, axis: int, reverse: bool) -> Array:
        def running(numbers: list[Number]) -> list[Number]:
            step = -1 if reverse else 1
            return list(accumulate(numbers[::step], op))[::step]

        return arrays.along(running, x, axis)

    return along


def _sorted(equation: Equation) -> list[Any]:
    """The operands in the order of the first `num_keys` of them."""
    axis = equation.parameters["dimension"]
    shape = equation.operands[0].shape
    places = np.broadcast_to(
        np.arange(shape[axis]).reshape([-1 if d == axis else 1 for d in range(len(shape))]), shape
    )
    *_, order = jax.lax.sort(
        [*equation.plain, places], dimension=axis, is_stable=True,
        num_keys=equation.parameters["num_keys"],
    )  # fmt: skip
    return [np.take_along_axis(x, np.asarray(order), axis) for x in equation.operands]


def _top_k(equation: Equation) -> list[Any]:
    _, places = equation.on(equation.plain)
    axis = equation.parameters.get("axis", -1)
    return [np.take_along_axis(equation.operands[0], np.asarray(places), axis), places]


def _dot_general(a: Array, b: Array, dimension_numbers: Any, **_: Any) -> Array:
    over, batch = dimension_numbers
    return contracted(a, b, over, batch)


# ---------------------------------------------------------------------- moving numbers


def moved(equation: Equation) -> list[Any]:
    """The results of a primitive that only moves numbers: JAX moves their places."""
    count = 1
    places: list[Any] = []
    pool: list[Any] = [0.0]  # at place 0 is what lies outside an array
    for x, floating in zip(equation.operands, equation.floating, strict=True):
        if floating:
            places.append(np.arange(count, count + x.size, dtype=np.int64).reshape(x.shape))
            pool += array(x).ravel().tolist()
            count += x.size
        else:
            places.append(x)
    parameters = equation.parameters
    if "fill_value" in parameters:  # of a gather outside the array
        pool[0] = float("nan") if parameters["fill_value"] is None else parameters["fill_value"]
        parameters = {**parameters, "fill_value": 0}
    where = Equation(equation.primitive, parameters, places, equation.floating).on(places)
    numbers = np.empty(len(pool), dtype=object)
    numbers[:] = pool
    return [numbers[np.asarray(part)] for part in where]


def scattered(combine: Callable[[Number, Number], Number]) -> Callable[[Equation], list[Any]]:
    """A primitive that combines updates with the numbers at places given by indices."""

    def scatter(equation: Equation) -> list[Any]:
        operand, indices, updates = equation.operands
        result = array(operand).copy()
        for k, at in _targets(equation, indices, np.shape(operand), np.shape(updates)):
            result.flat[at] = combine(result.flat[at], array(updates).flat[k])
        return [result]

    return scatter


def _targets(equation: Equation, indices: Any, shape: Any, updates: Any) -> list[tuple[int, int]]:
    """(place of an update, place where it lands), found by scattering the bits of the places."""
    dimensions = equation.parameters["dimension_numbers"]
    options = {"mode": equation.parameters["mode"]}
    count = int(np.prod(updates, dtype=int))
    ones = np.eye(count).reshape(count, *updates)

    def landed(update: Any) -> Any:
        return jax.lax.scatter_add(np.zeros(shape), indices, update, dimensions, **options)

    hits = [np.flatnonzero(np.asarray(landed(one))) for one in ones]
    return [(k, int(at)) for k, found in enumerate(hits) for at in found]


# ---------------------------------------------------------------------- windows


def _places(
    shape: Sequence[int], size: Any, stride: Any, padding: Any, base: Any, dilation: Any
) -> Any:
    """The place in an array of each number of each window, -1 outside of it.

    The first axes are those of the windows, the others those inside a window.
    """
    grid = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    widths = [(low, high, b - 1) for (low, high), b in zip(padding, base, strict=True)]
    padded = np.asarray(jax.lax.pad(grid, np.array(-1), widths))
    index = []
    for axis, (length, k, s, d) in enumerate(
        zip(padded.shape, size, stride, dilation, strict=True)
    ):
        starts = np.arange(0, length - (k - 1) * d, s)
        across = [1] * (2 * len(size))
        across[axis], across[len(size) + axis] = len(starts), k
        index.append((starts[:, None] + d * np.arange(k)).reshape(across))
    return padded[tuple(index)]


def _window_reduced(function: Function) -> Function:
    def reduction(
        x: Array, window_dimensions: Any, window_strides: Any, padding: Any,
        base_dilation: Any, window_dilation: Any, **_: Any,
    ) -> Array:  # fmt: skip
        places = _places(
            x.shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
        )
        front = places.shape[: x.ndim]
        numbers = x.ravel()
        windows = places.reshape(-1, int(np.prod(window_dimensions, dtype=int)))
        results = [function([numbers[i] for i in window if i >= 0]) for window in windows.tolist()]
        return arrays.filled(results, front)

    return reduction


def _convolution(
    x: Array, weights: Array, window_strides: Any, padding: Any, lhs_dilation: Any,
    rhs_dilation: Any, dimension_numbers: Any, feature_group_count: int, batch_group_count: int,
    **_: Any,
) -> Array:  # fmt: skip
    if batch_group_count != 1:
        raise UncoveredError("groups of the batch")
    x = array(x).transpose(dimension_numbers.lhs_spec)
    weights = array(weights).transpose(dimension_numbers.rhs_spec)
    own, each = weights.shape[1], weights.shape[0] // feature_group_count
    places = _places(
        x.shape[2:], weights.shape[2:], window_strides, padding, lhs_dilation, rhs_dilation
    )
    windows = places.reshape(-1, int(np.prod(weights.shape[2:], dtype=int))).tolist()
    samples = x.reshape(*x.shape[:2], -1).tolist()
    kernels = weights.reshape(*weights.shape[:2], -1).tolist()
    sums = []
    for channels in samples:
        for k, kernel in enumerate(kernels):
            pairs = list(zip(channels[k // each * own :], kernel, strict=False))
            for window in windows:
                inside = [(i, j) for j, i in enumerate(window) if i >= 0]
                terms = [c[i] * w[j] for c, w in pairs for i, j in inside]
                sums.append(total(terms))
    result = arrays.filled(sums, (len(x), len(weights), *places.shape[: x.ndim - 2]))
    return result.transpose(np.argsort(dimension_numbers.out_spec))


# ---------------------------------------------------------------------- the list

# Primitives and rows of the same name.
_ROWS = (
    "abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh div erf erfc exp exp2 expm1 "
    "floor log log1p mul neg pow sign sin sinh sqrt square sub tan tanh"
)
_OTHER_ROWS = {
    "add": "add", "add_any": "add", "logistic": "sigmoid", "max": "maximum", "min": "minimum",
    "rem": "fmod",
}  # fmt: skip


def _of_row(name: str) -> Function:
    function = row(name)
    return lambda *operands, **_: function(*operands)


# function(*operands, **parameters) -> result
ON_OPERANDS: dict[str, Function] = {
    **{name: _of_row(name) for name in _ROWS.split()},
    **{name: _of_row(other) for name, other in _OTHER_ROWS.items()},
    "clamp": _clamp,
    "conv_general_dilated": _convolution,
    "convert_element_type": _converted,
    "copy": _same,
    "cumlogsumexp": _cumulative("logaddexp"),
    "cummax": _cumulative("maximum"),
    "cummin": _cumulative("minimum"),
    "cumprod": _cumulative("mul"),
    "cumsum": _cumulative("add"),
    "dot_general": _dot_general,
    "integer_pow": _integer_pow,
    "optimization_barrier": _same,
    "reduce_max": _reduced(arrays.largest_shared),
    "reduce_min": _reduced(_smallest),
    "reduce_precision": _same,
    "reduce_prod": _reduced(_product),
    "reduce_sum": _reduced(total),
    "reduce_window_max": _window_reduced(arrays.largest),
    "reduce_window_sum": _window_reduced(total),
    "round": _round,
    "rsqrt": _rsqrt,
    "select_n": _select,
    "stop_gradient": lambda x, **_: arrays.detached(x),
}
# function(equation) -> results
ON_EQUATIONS: dict[str, Callable[[Equation], list[Any]]] = {
    **dict.fromkeys(
        (
            "broadcast_in_dim", "concatenate", "dynamic_slice", "dynamic_update_slice",
            "expand_dims", "gather", "pad", "reshape", "rev", "scatter", "slice", "split",
            "squeeze", "tile", "transpose",
        ),
        moved,
    ),
    "scatter-add": scattered(lambda x, y: x + y),
    "scatter-mul": scattered(lambda x, y: x * y),
    "sort": _sorted,
    "top_k": _top_k,
}  # fmt: skip
# Results that have no gradient: JAX computes them from the numbers alone.
WITHOUT_GRADIENT = frozenset({"argmax", "argmin", "eq", "ge", "gt", "is_finite", "le", "lt", "ne"})


def results(equation: Equation) -> list[Any]:
    """The results of an equation, of which at least one operand has a Value.

    Raises UncoveredError for a primitive that is not covered.
    """
    name = equation.primitive.name
    if name in WITHOUT_GRADIENT:
        return equation.on(equation.plain)
    if name in ON_EQUATIONS:
        return ON_EQUATIONS[name](equation)
    if name in ON_OPERANDS:
        return [ON_OPERANDS[name](*map(array, equation.operands), **equation.parameters)]
    raise UncoveredError("not covered; `chainrule bridges jax` lists what is")


def has_values(x: Any) -> bool:
    """Whether an array has a Value among its numbers."""
    return x.dtype == object and any(isinstance(v, Ops) for v in x.ravel())
