"""A call, or several, of each operation of ATen that the bridge covers, on small tensors."""

import math
from typing import Any

import torch

Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]

_rng = torch.Generator().manual_seed(0)


def t(*shape: int) -> Any:
    """Numbers of both signs, none of them twice."""
    return torch.randn(shape, generator=_rng, dtype=torch.float64)


def p(*shape: int) -> Any:
    """Numbers between 0.2 and 0.8, for logarithms and arcs."""
    return 0.2 + 0.6 * torch.rand(shape, generator=_rng, dtype=torch.float64)


def fixed(tensor: Any) -> Any:
    """The tensor, marked: PyTorch computes no gradient of it."""
    tensor.is_fixed = True
    return tensor


def i(*numbers: int) -> Any:
    """Whole numbers."""
    return torch.tensor(numbers)


def b(*truths: int) -> Any:
    """Truth values."""
    return torch.tensor(truths, dtype=torch.bool)


def calls(*arguments: Any, **named: Any) -> Calls:
    """One call."""
    return [(arguments, named)]


_GROUPS = (2, 4, 6)  # batch, channels, size
_X = torch.tensor([-40.0, -2.0, -0.5, 0.5, 2.0, 40.0], dtype=torch.float64)

# fmt: off
CALLS: dict[str, Calls] = {
    **{f"{name}.default": calls(t(5)) for name in ["exp", "exp2", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "asinh", "reciprocal", "sigmoid", "relu", "erf", "erfc", "silu", "floor", "ceil", "round", "sign", "abs", "neg", "trunc"]},
    **{f"{name}.default": calls(p(5)) for name in ["log", "log1p", "log2", "log10", "asin", "acos", "atanh", "sqrt", "rsqrt"]},
    "acosh.default": calls(1 + p(5)),
    "log_sigmoid_forward.default": calls(_X),
    "gelu.default": calls(t(5)) + calls(t(5), approximate="tanh"),
    "elu.default": calls(t(5)) + calls(t(5), 1.7, 1.05) + calls(t(5), 2.0, 1.0, 0.5),
    "leaky_relu.default": calls(t(5)) + calls(t(5), 0.3),
    "softplus.default": calls(_X) + calls(_X, 2.0, 3.0),
    "hardtanh.default": calls(t(9)) + calls(torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)),
    "clamp.default": calls(t(9), -0.5, 0.5) + calls(t(9), None, 0.1) + calls(
        torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64), -1, 1),
    "clamp.Tensor": calls(t(4), t(4) - 1, None) + calls(t(4), None, t(1)),
    "add.Tensor": calls(t(2, 3), t(3)) + calls(t(2), t(2), alpha=2), "add.Scalar": calls(t(3), 2),
    "sub.Tensor": calls(t(2, 3), t(2, 1)) + calls(t(2), 3.0, alpha=0.5), "sub.Scalar": calls(t(3), 2),
    "rsub.Scalar": calls(t(3), 2.0) + calls(t(3), 2.0, 3),
    "mul.Tensor": calls(t(2, 3), t(3)), "mul.Scalar": calls(t(3), 2),
    "div.Tensor": calls(t(2, 3), t(3)), "div.Scalar": calls(t(3), 2),
    "div.Tensor_mode": calls(t(5), p(5), rounding_mode="floor") + calls(t(5), p(5), rounding_mode="trunc"),
    "pow.Tensor_Tensor": calls(p(4), t(4)), "pow.Tensor_Scalar": calls(t(4), 3) + calls(p(4), -0.5),
    "pow.Scalar": calls(2.5, t(4)),
    "maximum.default": calls(t(4), t(4)) + calls(torch.ones(2).double(), torch.ones(2).double()),
    "minimum.default": calls(t(4), t(4)),
    "atan2.default": calls(t(4), t(4)), "hypot.default": calls(t(4), t(4)),
    "fmod.Tensor": calls(t(4), p(4)), "fmod.Scalar": calls(t(4), 0.3),
    "remainder.Tensor": calls(t(4), p(4)), "remainder.Scalar": calls(t(4), -0.3),
    "logaddexp.default": calls(t(4), t(4)),
    "where.self": calls(b(1, 0, 1), t(3), t(2, 3)),
    **{f"{name}.Scalar": calls(i(1, 2, 3), 2) for name in ["eq", "ne", "lt", "le", "gt", "ge"]},
    **{f"{name}.Tensor": calls(i(1, 2, 3), i(3, 2, 1)) for name in ["eq", "ne", "lt", "le", "gt", "ge"]},
    **{f"{name}.Tensor": calls(b(0, 0, 1, 1), b(0, 1, 0, 1)) + calls(i(5), i(6))
       for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{f"{name}.default": calls(b(0, 0, 1, 1), b(0, 1, 0, 1))
       for name in ("logical_and", "logical_or", "logical_xor")},
    "logical_not.default": calls(b(0, 1)), "bitwise_not.default": calls(b(0, 1)) + calls(i(5)),
    "isnan.default": calls(torch.tensor([math.nan, 1.0])),
    "isinf.default": calls(torch.tensor([-math.inf, math.inf, math.nan, 1.0])),
    "sum.default": calls(t(2, 3)) + calls(t()) + calls(t(0)),
    "sum.dim_IntList": calls(t(2, 3, 2), [0, -1]) + calls(t(2, 3), [1], True) + calls(t(2, 3), []),
    "mean.default": calls(t(2, 3)), "mean.dim": calls(t(2, 3), [1], True) + calls(t(2, 3), [-2]),
    "var.correction": calls(t(2, 5), [1]) + calls(t(2, 5), [1], correction=0, keepdim=True) + calls(t(6)),
    "prod.default": calls(t(4)), "prod.dim_int": calls(t(2, 3), 1) + calls(t(2, 3), 0, True),
    "amax.default": calls(t(2, 3), [1]) + calls(torch.tensor([1.0, 2.0, 2.0]).double(), [0], True),
    "amin.default": calls(t(2, 3), [1]) + calls(torch.tensor([1.0, 1.0, 2.0]).double(), [0]),
    "max.default": calls(t(4)), "min.default": calls(t(4)),
    "max.dim": calls(t(2, 3), 1) + calls(torch.tensor([1.0, math.nan, 2.0]).double(), 0),
    "min.dim": calls(t(2, 3), 0, True) + calls(torch.tensor([1.0, math.nan, 0.0]).double(), 0),
    "argmax.default": calls(t(2, 3), 1), "argmin.default": calls(t(5)),
    "any.default": calls(b(0, 1)), "any.dim": calls(torch.eye(2, dtype=torch.bool), 1),
    "any.dims": calls(torch.zeros(2, 2, dtype=torch.bool), [0, 1], True),
    "cumsum.default": calls(t(2, 3), 1) + calls(t(2, 3), 0),
    "sort.default": calls(t(2, 4), 1) + calls(t(4), 0, True), "topk.default": calls(t(2, 5), 2) + calls(t(5), 2, 0, False),
    "_softmax.default": calls(t(2, 3), -1, False) + calls(t(2, 3), 0, False) + calls(t(2, 1), 1, False),
    "_log_softmax.default": calls(t(2, 3), -1, False), "_safe_softmax.default": calls(t(2, 3), -1),
    "native_layer_norm.default": calls(t(2, 3, 4), [4], t(4), t(4), 1e-5) + calls(t(2, 3), [2, 3], None, None, 0.1),
    "native_group_norm.default": calls(t(*_GROUPS), t(4), t(4), 2, 4, 6, 2, 1e-5),
    "_native_batch_norm_legit_functional.default":
        calls(t(4, 2), t(2), t(2), fixed(t(2)), fixed(p(2)), True, 0.1, 1e-5),
    "_native_batch_norm_legit.no_stats": calls(t(2, 2, 3), t(2), t(2), True, 0.1, 1e-5),
    "_native_batch_norm_legit_no_training.default": calls(t(2, 2, 3), t(2), t(2), fixed(t(2)), fixed(p(2)), 0.1, 1e-5),
    "nll_loss_forward.default": calls(t(3, 4), i(1, 0, 3), None, 1, -100) + calls(t(3, 4), i(1, 0, 3), None, 0, -100)
        + calls(t(3, 4), i(1, -100, 3), fixed(p(4)), 1, -100) + calls(t(3, 4), i(1, 2, 3), fixed(p(4)), 2, 2)
        + calls(t(4), torch.tensor(2), None, 1, -100),
    "nll_loss2d_forward.default": calls(t(1, 3, 2, 2), torch.tensor([[[0, 1], [2, 0]]]), None, 1, -100),
    "mm.default": calls(t(2, 3), t(3, 2)), "bmm.default": calls(t(2, 2, 3), t(2, 3, 1)),
    "mv.default": calls(t(2, 3), t(3)), "dot.default": calls(t(3), t(3)),
    "addmm.default": calls(t(2), t(2, 3), t(3, 2)) + calls(t(2, 2), t(2, 3), t(3, 2), beta=0.5, alpha=2)
        + calls(t(2), t(2, 3), t(3, 2), beta=0),
    "baddbmm.default": calls(t(2, 2, 1), t(2, 2, 3), t(2, 3, 1)), "addmv.default": calls(t(2), t(2, 3), t(3)),
    "convolution.default": calls(t(1, 2, 4), t(3, 2, 2), t(3), [1], [1], [1], False, [0], 1)
        + calls(t(2, 2, 4, 3), t(2, 1, 2, 2), None, [2, 1], [0, 1], [1, 2], False, [0, 0], 2)
        + calls(t(1, 2, 3), t(2, 3, 2), t(3), [2], [1], [1], True, [1], 1)
        + calls(t(1, 4, 2, 2), t(4, 1, 2, 2), None, [1, 2], [0, 1], [3, 1], True, [0, 1], 2),
    "max_pool2d_with_indices.default": calls(t(1, 2, 4, 4), [2, 2]) + calls(t(1, 5, 5), [2], [2], [1], [1], True)
        + calls(torch.tensor([[[1.0, math.nan], [2.0, 3.0]]]).double(), [2, 2]),
    "avg_pool1d.default": calls(t(1, 2, 5), [2]) + calls(t(1, 2, 5), [2], [2], [1], True, False),
    "avg_pool2d.default": calls(t(1, 1, 4, 4), [2, 2], [1, 1], [1, 1]) + calls(t(1, 4, 4), [2], [2], [0], False, True, 3),
    "avg_pool3d.default": calls(t(1, 1, 2, 2, 2), [2]),
    "adaptive_avg_pool1d.default": calls(t(1, 2, 5), [3]), "_adaptive_avg_pool2d.default": calls(t(1, 1, 4, 5), [2, 3]),
    "view.default": calls(t(2, 3), [3, -1]), "_unsafe_view.default": calls(t(2, 3), [6]),
    "reshape.default": calls(t(2, 3), [6]), "permute.default": calls(t(2, 3, 1), [2, 0, 1]),
    "t.default": calls(t(2, 3)), "transpose.int": calls(t(2, 3, 1), 0, -1), "unsqueeze.default": calls(t(2), -1),
    "squeeze.default": calls(t(1, 2, 1)), "squeeze.dim": calls(t(1, 2, 1), 0) + calls(t(1, 2), 1),
    "squeeze.dims": calls(t(1, 2, 1), [0, 1]), "expand.default": calls(t(1, 2), [3, -1]) + calls(t(2), [3, 2]),
    "repeat.default": calls(t(2), [2, 3]), "cat.default": calls([t(2, 1), t(2, 2)], 1), "stack.default": calls([t(2), t(2)], -1),
    "flip.default": calls(t(2, 3), [0, -1]), "select.int": calls(t(2, 3), 1, -1) + calls(t(2), 0, 1),
    "slice.Tensor": calls(t(5, 2), 0, 1, 9223372036854775807, 2) + calls(t(2, 5), -1, -3),
    "slice_scatter.default": calls(t(4, 2), t(2, 2), 0, 1, 3), "select_scatter.default": calls(t(2, 3), t(2), 1, -1),
    "split_with_sizes.default": calls(t(5, 2), [2, 3]), "unbind.int": calls(t(2, 3), 1),
    "index.Tensor": calls(t(3, 2), [i(2, 0)]) + calls(t(3, 2), [None, i(1, 1)]) + calls(t(3), [b(1, 0, 1)]),
    "index_put.default": calls(t(3, 2), [i(2, 0)], t(2)) + calls(t(3), [i(1, 1)], t(2), True),
    "index_select.default": calls(t(3, 2), 1, i(1, 1, 0)), "gather.default": calls(t(2, 3), 1, torch.tensor([[0, 2], [1, 1]])),
    "scatter.src": calls(t(2, 3), 1, torch.tensor([[0], [2]]), t(2, 1)), "scatter.value": calls(t(3), 0, i(1), 2.0),
    "embedding.default": calls(t(4, 2), i(3, 0, 3)) + calls(t(4, 2), torch.tensor([[3, 0]]), 3),
    "tril.default": calls(t(3, 3)) + calls(t(2, 3), -1), "triu.default": calls(t(3, 3), 1),
    "diagonal.default": calls(t(3, 3)) + calls(t(2, 3, 3), 1, 1, 2),
    "constant_pad_nd.default": calls(t(2, 2), [1, 0]) + calls(t(2, 3), [-1, 1, 0, 2], 5.0),
    "detach.default": calls(t(2)), "native_dropout.default": calls(t(2), 0.5, False) + calls(t(2), 0.0, True),
    "clone.default": calls(t(2)), "alias.default": calls(t(2)), "lift_fresh_copy.default": calls(t(2)),
    "copy.default": calls(fixed(t(2, 2)), fixed(t(2))),
    "_to_copy.default": calls(t(2), dtype=torch.float64) + calls(t(3) * 3, dtype=torch.int64)
        + calls(i(0, 2), dtype=torch.bool) + calls(b(0, 1), dtype=torch.float64),
    "_assert_tensor_metadata.default": calls(t(2), None, None, torch.float64),
    "full.default": calls([2, 1], 3.0), "full_like.default": calls(t(2), 3.0), "fill.Scalar": calls(t(2), 3.0),
    "zeros.default": calls([2]), "ones.default": calls([2, 2]), "scalar_tensor.default": calls(3.0),
    "arange.start_step": calls(0, 5, 2),
}
# fmt: on
