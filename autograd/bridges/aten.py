"""What each operation of PyTorch's ATen does to arrays of Values: the operations that are covered.

The names are those of `torch.export` after `run_decompositions`, where an attention layer or an
LSTM is a few hundred calls of such operations.  PyTorch itself is not needed here.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.bridges import arrays
from autograd.bridges import aten_axes as axes
from autograd.bridges import aten_moves as moves
from autograd.bridges import aten_products as products
from autograd.bridges.arrays import Array, Number, applied, array, reduced, row
from autograd.ops import Ops

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Covered:
    """One operation.

    Attributes:
        function: the operation on arrays, with ATen's arguments.
        nodes: about how many nodes it adds for each number of its result.
        terms: the length of each of its sums, from the shapes of its arguments; 1 if there are
            no sums of products.
    """

    function: Callable[..., Any]
    nodes: int = 1
    terms: Callable[..., int] = lambda *shapes: 1


def _each(function: Callable[..., Number], nodes: int = 1) -> Covered:
    """An operation on numbers, done for each."""
    return Covered(lambda *arguments: applied(function, *arguments), nodes)


def _moves(function: Callable[..., Any]) -> Covered:
    """An operation that moves numbers and computes none."""
    return Covered(function, 0)


# ---------------------------------------------------------------------- numbers


def _scaled(function: Callable[[Any, Any], Any]) -> Covered:
    """A sum or difference whose second operand has a factor."""

    def run(x: Array, y: Array, alpha: float = 1) -> Array:
        return applied(function, x, y if alpha == 1 else applied(operator.mul, y, alpha))

    return Covered(run)


def _truncated(x: Number) -> Number:
    return Ops.ceil(x) if x < 0 else Ops.floor(x)


def _quotient(x: Array, y: Array, rounding_mode: str | None = None) -> Array:
    if rounding_mode == "floor":
        return row("floordiv")(x, y)
    quotient = applied(operator.truediv, x, y)
    return applied(_truncated, quotient) if rounding_mode else quotient


def _clamped(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """x between the bounds; at a bound the slope is 1, as in PyTorch."""
    if low is not None:
        x = applied(lambda v, a: a if v < a else v, x, low)
    return x if high is None else applied(lambda v, b: b if v > b else v, x, high)


def _hardtanh(x: Array, low: float = -1.0, high: float = 1.0) -> Array:
    """x between the bounds; at a bound the slope is 0, as in PyTorch."""
    return applied(lambda v: low if v <= low else high if v >= high else v, x)


def _elu(x: Array, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0) -> Array:
    if scale == inner == 1.0:
        return row("elu")(x, alpha)
    return applied(lambda v: v * scale if v > 0 else Ops.expm1(v * inner) * (alpha * scale), x)


def _gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "none":
        return row("gelu")(x)
    c = math.sqrt(2 / math.pi)
    return applied(lambda v: 0.5 * v * (1.0 + Ops.tanh(c * (v + 0.044715 * v**3))), x)


def _softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    if beta == 1:
        return applied(lambda v: v if v > threshold else Ops.softplus(v), x)
    return applied(lambda v: v if v * beta > threshold else Ops.softplus(v * beta) / beta, x)


def _negated(x: Any) -> Any:
    return not x if isinstance(x, bool) else ~x


def _converted(x: Array, dtype: Any = None, **_: Any) -> Array:
    """The numbers in another type: floating numbers are doubles in any case."""
    kind = str(dtype)
    if "bool" in kind:
        return applied(lambda v: bool(v != 0), x)
    if "int" in kind:
        return applied(int, arrays.floats(x))
    return applied(lambda v: v if isinstance(v, Ops) else float(v), x) if dtype else x


def _complete(shape: Sequence[int], number: Number, **_: Any) -> Array:
    return arrays.filled([number] * math.prod(shape), shape)


def _complete_like(x: Array, number: Number, **_: Any) -> Array:
    return _complete(x.shape, number)


def _range(start: float, end: float, step: float = 1, **_: Any) -> Array:
    return array(np.arange(start, end, step))


# ---------------------------------------------------------------------- the table

_UNARY = """
exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sqrt
reciprocal sigmoid relu erf erfc silu floor ceil round sign
"""  # rows with the same name and meaning in ATen
_COMPARED = "eq ne lt le gt ge"
_BITS = {
    "bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor,
    "logical_and": lambda x, y: bool(x) and bool(y),
    "logical_or": lambda x, y: bool(x) or bool(y),
    "logical_xor": lambda x, y: bool(x) != bool(y),
}  # fmt: skip


def _matrix(a: Shape, *_: Shape) -> int:
    return a[-1]


def _second_matrix(_: Shape, a: Shape, *__: Shape) -> int:
    return a[-1]


def _kernel(_: Shape, weights: Shape, *__: Shape) -> int:
    return math.prod(weights[1:])


# fmt: off
COVERED: dict[str, Covered] = {
    **{f"{name}.default": Covered(row(name)) for name in _UNARY.split()},
    "abs.default": _each(abs),
    "neg.default": _each(operator.neg),
    "rsqrt.default": _each(lambda x: 1.0 / Ops.sqrt(x), 2),
    "trunc.default": _each(_truncated),
    "log_sigmoid_forward.default": Covered(lambda x: (row("logsigmoid")(x), None)),
    "gelu.default": Covered(_gelu, 3),
    "elu.default": Covered(_elu, 2),
    "leaky_relu.default": Covered(lambda x, slope=0.01: row("leaky_relu")(x, slope)),
    "softplus.default": Covered(_softplus, 2),
    "hardtanh.default": _moves(_hardtanh),
    "clamp.default": _moves(_clamped), "clamp.Tensor": _moves(_clamped),

    "add.Tensor": _scaled(operator.add), "add.Scalar": _scaled(operator.add),
    "sub.Tensor": _scaled(operator.sub), "sub.Scalar": _scaled(operator.sub),
    "rsub.Scalar": _each(lambda x, y, alpha=1: y - (x if alpha == 1 else x * alpha)),
    "mul.Tensor": _each(operator.mul), "mul.Scalar": _each(operator.mul),
    "div.Tensor": Covered(_quotient), "div.Scalar": Covered(_quotient),
    "div.Tensor_mode": Covered(_quotient, 2),
    "pow.Tensor_Tensor": _each(operator.pow), "pow.Tensor_Scalar": _each(operator.pow),
    "pow.Scalar": _each(operator.pow),
    "maximum.default": Covered(row("maximum")), "minimum.default": Covered(row("minimum")),
    "atan2.default": Covered(row("atan2")), "hypot.default": Covered(row("hypot")),
    "fmod.Tensor": Covered(row("fmod")), "fmod.Scalar": Covered(row("fmod")),
    "remainder.Tensor": Covered(row("mod")), "remainder.Scalar": Covered(row("mod")),
    "logaddexp.default": Covered(row("logaddexp")),
    "where.self": _moves(arrays.where),
    **{f"{name}.{kind}": _each(getattr(operator, name), 0)
       for name in _COMPARED.split() for kind in ("Scalar", "Tensor")},
    **{f"{name}.{'Tensor' if 'bit' in name else 'default'}": _each(function, 0)
       for name, function in _BITS.items()},
    "logical_not.default": _each(lambda x: not x, 0), "bitwise_not.default": _each(_negated, 0),
    "isnan.default": _each(lambda x: x != x, 0),
    "isinf.default": _each(lambda x: x >= math.inf or x <= -math.inf, 0),

    "sum.default": Covered(axes.summed), "sum.dim_IntList": Covered(axes.summed),
    "mean.default": Covered(axes.averaged), "mean.dim": Covered(axes.averaged),
    "var.correction": Covered(axes.variance, 3),
    "prod.default": Covered(lambda x, dtype=None: reduced(axes.product, x)),
    "prod.dim_int": Covered(axes.of_axes(axes.product)),
    "amax.default": _moves(axes.of_axes(arrays.largest_shared)),
    "amin.default": _moves(axes.of_axes(axes.smallest_shared)),
    "max.default": _moves(lambda x: reduced(arrays.largest_shared, x)),
    "min.default": _moves(lambda x: reduced(axes.smallest_shared, x)),
    "max.dim": _moves(axes.with_index(axes.greatest)),
    "min.dim": _moves(axes.with_index(axes.least)),
    "argmax.default": _moves(axes.place(axes.greatest)),
    "argmin.default": _moves(axes.place(axes.least)),
    "any.default": _moves(lambda x: reduced(any, x)), "any.dim": _moves(axes.of_axes(any)),
    "any.dims": _moves(axes.of_axes(any)),
    "cumsum.default": Covered(axes.cumulative),
    "sort.default": _moves(axes.in_order), "topk.default": _moves(axes.top),
    "_softmax.default": Covered(axes.softmax, 4),
    "_log_softmax.default": Covered(axes.log_softmax, 4),
    "_safe_softmax.default": Covered(axes.softmax, 4),
    "native_layer_norm.default": Covered(axes.layer_norm, 7),
    "native_group_norm.default": Covered(axes.group_norm, 7),
    "_native_batch_norm_legit_functional.default": Covered(axes.batch_norm, 7),
    "_native_batch_norm_legit.no_stats": Covered(axes.batch_norm_without_running, 7),
    "_native_batch_norm_legit_no_training.default": Covered(axes.batch_norm_in_use, 4),
    "nll_loss_forward.default": Covered(axes.negative_log_likelihood),
    "nll_loss2d_forward.default": Covered(axes.negative_log_likelihood),

    "mm.default": Covered(arrays.matmul, 2, _matrix),
    "bmm.default": Covered(arrays.matmul, 2, _matrix),
    "mv.default": Covered(products.times_vector, 2, _matrix),
    "dot.default": Covered(products.times_vector, 2, _matrix),
    "addmm.default": Covered(products.plus_product(arrays.matmul), 2, _second_matrix),
    "baddbmm.default": Covered(products.plus_product(arrays.matmul), 2, _second_matrix),
    "addmv.default": Covered(products.plus_product(products.times_vector), 2, _second_matrix),
    "convolution.default": Covered(products.convolution, 2, _kernel),
    "max_pool2d_with_indices.default": _moves(products.max_pool),
    "avg_pool1d.default": Covered(products.average_pool(1)),
    "avg_pool2d.default": Covered(products.average_pool(2)),
    "avg_pool3d.default": Covered(products.average_pool(3)),
    "adaptive_avg_pool1d.default": Covered(products.adaptive_pool),
    "_adaptive_avg_pool2d.default": Covered(products.adaptive_pool),

    "view.default": _moves(np.reshape), "_unsafe_view.default": _moves(np.reshape),
    "reshape.default": _moves(np.reshape), "permute.default": _moves(np.transpose),
    "t.default": _moves(np.transpose), "transpose.int": _moves(np.swapaxes),
    "unsqueeze.default": _moves(np.expand_dims),
    "squeeze.default": _moves(moves.squeezed), "squeeze.dim": _moves(moves.squeezed),
    "squeeze.dims": _moves(moves.squeezed),
    "expand.default": _moves(moves.expanded), "repeat.default": _moves(np.tile),
    "cat.default": _moves(lambda parts, dim=0: np.concatenate(parts, dim)),
    "stack.default": _moves(lambda parts, dim=0: np.stack(parts, dim)),
    "flip.default": _moves(lambda x, dims: np.flip(x, tuple(dims))),
    "select.int": _moves(lambda x, dim, index: array(np.take(x, index, dim))),
    "slice.Tensor": _moves(moves.sliced), "slice_scatter.default": _moves(moves.slice_changed),
    "select_scatter.default": _moves(lambda x, source, dim, index: moves.changed(
        x, (slice(None),) * (dim % x.ndim) + (index,), source)),
    "split_with_sizes.default": _moves(moves.split),
    "unbind.int": _moves(lambda x, dim=0: list(map(array, np.moveaxis(x, dim, 0)))),
    "index.Tensor": _moves(moves.indexed), "index_put.default": Covered(moves.put),
    "index_select.default": _moves(lambda x, dim, index: np.take(x, arrays.indices(index), dim)),
    "gather.default": _moves(moves.gathered),
    "scatter.src": _moves(moves.scattered), "scatter.value": _moves(moves.scattered),
    "embedding.default": _moves(moves.embedded),
    "tril.default": _moves(moves.triangle(np.tril)),
    "triu.default": _moves(moves.triangle(np.triu)),
    "diagonal.default": _moves(lambda x, offset=0, a=0, b=1: np.diagonal(x, offset, a, b)),
    "constant_pad_nd.default": _moves(moves.padded),

    "detach.default": _moves(arrays.detached), "native_dropout.default": _moves(moves.dropped),
    "clone.default": _moves(moves.same), "alias.default": _moves(moves.same),
    "lift_fresh_copy.default": _moves(moves.same),
    "copy.default": _moves(lambda x, source, *_: np.broadcast_to(source, x.shape)),
    "_to_copy.default": _moves(_converted),
    "_assert_tensor_metadata.default": _moves(lambda *_, **__: None),
    "full.default": _moves(_complete), "full_like.default": _moves(_complete_like),
    "fill.Scalar": _moves(_complete_like),
    "zeros.default": _moves(lambda shape, **_: _complete(shape, 0.0)),
    "ones.default": _moves(lambda shape, **_: _complete(shape, 1.0)),
    "scalar_tensor.default": _moves(lambda number, **_: array(number)),
    "arange.start_step": _moves(_range),
}
# fmt: on


def nodes(name: str, shapes: Sequence[Shape], result: int) -> int:
    """About how many nodes one call adds: from its arguments' shapes and its result's size.

    >>> nodes("mm.default", [(2, 5), (5, 3)], 6)
    60
    """
    covered = COVERED[name]
    sizes = [math.prod(shape) for shape in shapes]
    numbers = result if name in _PER_RESULT else max([result, *sizes])
    return covered.nodes * covered.terms(*shapes) * numbers


_PER_RESULT = {name for name, covered in COVERED.items() if covered.terms is not Covered.terms}


def covered() -> list[str]:
    """The names of the operations that are covered.

    >>> covered()[:2]
    ['_adaptive_avg_pool2d.default', '_assert_tensor_metadata.default']
    """
    return sorted(COVERED)
