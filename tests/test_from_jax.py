"""Functions of JAX as graphs of Values: every primitive, calls, loops, names, and refusals."""

import runpy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograd import Value, check_gradients, draw, no_grad, topological
from autograd.__main__ import main
from autograd.bridges.refusals import UncoveredError

jax = pytest.importorskip("jax")

from jax import lax
from jax import numpy as jnp

from autograd.bridges import jaxprs
from autograd.bridges.jax import JaxGraph, covered, from_jax

X = np.array([0.31, -0.72, 0.53, 0.94])  # different sizes and signs, no number at a kink
POSITIVE = np.array([0.31, 0.72, 0.53, 0.94])
PLANE = np.array([[0.31, -0.72, 0.53], [0.14, 0.95, -0.26]])
WEIGHTS = np.array([1.3, -0.7, 0.4, 2.1])
PICTURE = np.sin(np.arange(32.0)).reshape(1, 4, 4, 2)
KERNEL = np.cos(np.arange(36.0)).reshape(3, 3, 2, 2)


def loop(x: Any) -> Any:
    return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x[1] + x[0]), (0, x[2]))[
        1
    ]


def scanned(x: Any) -> Any:
    def step(carry: Any, row: Any) -> Any:
        carry = jnp.tanh(carry * row + x[0])
        return carry, carry * 2.0

    last, rows = lax.scan(step, x[1], x)
    _, back = lax.scan(step, last, x, reverse=True)
    return last + (rows * WEIGHTS).sum() + (back * WEIGHTS).sum()


doubled = jax.custom_vjp(lambda x: 2.0 * x)
doubled.defvjp(lambda x: (2.0 * x, None), lambda _, g: (2.0 * g,))


wrong = jax.custom_vjp(jnp.sin)
wrong.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x) * g * 1.5,))


def each(
    function: Callable[..., Any], *, at: Any = X
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The weighted sum of the results at some numbers."""
    return lambda x: (function(x) * WEIGHTS).sum(), (at,)


ONE_BY_ONE: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "abs": each(jnp.abs), "acos": each(jnp.arccos), "acosh": each(lambda x: jnp.arccosh(x + 3)),
    "add": each(lambda x: x + x[0]), "asin": each(jnp.arcsin), "asinh": each(jnp.arcsinh),
    "add_any": (lambda x: jax.grad(lambda v: (v * v * jnp.sin(v)).sum())(x).sum(), (X,)),
    "argmax": (lambda x: x[jnp.argmax(x)] * x[0], (X,)),
    "argmin": (lambda x: x[jnp.argmin(x)] * x[0], (X,)),
    "atan": each(jnp.arctan), "atan2": each(lambda x: jnp.arctan2(x, x[0])),
    "atanh": each(jnp.arctanh),
    "broadcast_in_dim": (lambda x: (jnp.broadcast_to(x, (3, 4)) * WEIGHTS).sum(), (X,)),
    "cbrt": each(jnp.cbrt), "ceil": each(lambda x: jnp.ceil(x) * x),
    "checkpoint": each(jax.checkpoint(jnp.sin)), "clamp": each(lambda x: lax.clamp(-0.5, x, 0.6)),
    "concatenate": (lambda x: (jnp.concatenate([x, x[:2] * 2]) ** 2).sum(), (X,)),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda v: v**2, lambda v: v * 3, x[1]), (X,)),
    "conv_general_dilated": (
        lambda x, k: lax.conv_general_dilated(
            x, k, (1, 2), "SAME", rhs_dilation=(1, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
        ).sum(axis=(0, 1)) @ np.array([1.0, -2.0]) @ np.array([1.0, 0.5]),
        (PICTURE, KERNEL),
    ),
    "convert_element_type": (lambda x: (x.astype(jnp.float64) * x.astype(int)).sum(), (X * 3,)),
    "copy": each(lambda x: jnp.array(x, copy=True)), "cos": each(jnp.cos), "cosh": each(jnp.cosh),
    "cumlogsumexp": each(lax.cumlogsumexp), "cummax": each(lax.cummax),
    "cummin": each(lambda x: lax.cummin(x, reverse=True)),
    "cumprod": each(lambda x: jnp.cumprod(x)), "cumsum": each(lambda x: jnp.cumsum(x)),
    "custom_jvp_call": each(lambda x: jax.nn.relu(x) + jax.nn.silu(x) + jax.nn.relu6(x)),
    "custom_vjp_call": each(doubled),
    "div": each(lambda x: x[0] / x),
    "dot_general": (lambda x, y: jnp.einsum("bij,kj->bik", x.reshape(1, 2, 3), y)[0, 1] @ X[:2], (PLANE, PLANE)),
    "dynamic_slice": (lambda x: (lax.dynamic_slice(x, (1,), (2,)) ** 2).sum(), (X,)),
    "dynamic_update_slice": (
        lambda x: (lax.dynamic_update_slice(x, x[:2] * 3, (1,)) * WEIGHTS).sum(), (X,)),
    "eq": each(lambda x: jnp.where(x == x[0], x, 2 * x)),
    "erf": each(jax.scipy.special.erf), "erfc": each(jax.scipy.special.erfc),
    "exp": each(jnp.exp), "exp2": each(jnp.exp2), "expm1": each(jnp.expm1),
    "expand_dims": (lambda x: (jnp.expand_dims(x, 0) ** 2).sum(), (X,)),
    "floor": each(lambda x: jnp.floor(x) * x),
    "gather": (lambda x: (x[jnp.array([[2, 0], [2, 3]])] ** 2).sum() + jnp.take(x, 1), (X,)),
    "ge": each(lambda x: jnp.where(x >= 0.4, x, 2 * x)),
    "gt": each(lambda x: jnp.where(x > 0.4, x, 2 * x)),
    "integer_pow": each(lambda x: x**3 + x**-2),
    "is_finite": each(lambda x: jnp.where(jnp.isfinite(x), x * x, 0.0)),
    "jit": each(jax.jit(jnp.sin)),
    "le": each(lambda x: jnp.where(x <= 0.4, x, 2 * x)),
    "log": each(jnp.log, at=POSITIVE), "log1p": each(jnp.log1p),
    "logistic": each(jax.nn.sigmoid), "lt": each(lambda x: jnp.where(x < 0.4, x, 2 * x)),
    "max": each(lambda x: jnp.maximum(x, 0.4)), "min": each(lambda x: jnp.minimum(x, x[0])),
    "mul": each(lambda x: x * x[0]), "ne": each(lambda x: jnp.where(x != x[0], x, 2 * x)),
    "neg": each(lambda x: -x), "optimization_barrier": each(lambda x: lax.optimization_barrier(x) ** 2),
    "pad": (lambda x: (lax.pad(x, x[0], [(1, 2, 1)]) ** 2).sum() + (lax.pad(x, 0.0, [(-1, 0, 0)]) ** 2).sum(), (X,)),
    "pow": each(lambda x: x ** x[0], at=POSITIVE),
    "reduce_max": (lambda x: (x.max(1) ** 2).sum() + x.max(), (PLANE,)),
    "reduce_min": (lambda x: (x.min(0) ** 2).sum(), (PLANE,)),
    "reduce_precision": each(lambda x: lax.reduce_precision(x, 11, 52)),
    "reduce_prod": (lambda x: (x.prod(1) ** 2).sum(), (PLANE,)),
    "reduce_sum": (lambda x: (x.sum(0) ** 2).sum(), (PLANE,)),
    "reduce_window_max": (
        lambda x: (lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 1, 1), "VALID") ** 2).sum(), (PICTURE,)),
    "reduce_window_sum": (
        lambda x: (lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "SAME") ** 2).sum(), (PICTURE,)),
    "rem": each(lambda x: lax.rem(x * 5, x[0])), "reshape": (lambda x: (x.reshape(3, 2)[1] ** 2).sum(), (PLANE,)),
    "rev": each(lambda x: x[::-1] * x), "round": each(lambda x: jnp.round(x) * x),
    "rsqrt": each(lax.rsqrt, at=POSITIVE), "scan": (scanned, (X,)),
    "scatter": each(lambda x: x.at[jnp.array([0, 2])].set(x[1:3] * 2)),
    "scatter-add": each(lambda x: x.at[jnp.array([0, 2, 0])].add(x[1:] * 2)),
    "scatter-mul": each(lambda x: x.at[jnp.array([0, 2])].multiply(x[1:3] * 2, unique_indices=True)),
    "select_n": (lambda x: lax.select_n(jnp.array([0, 2, 1, 0]), x, 2 * x, x * x).sum(), (X,)),
    "sign": each(lambda x: jnp.sign(x) * x), "sin": each(jnp.sin), "sinh": each(jnp.sinh),
    "slice": (lambda x: (x[1:4:2] ** 2).sum(), (X,)),
    "sort": (lambda x: (jnp.sort(x) * WEIGHTS).sum() + (lax.sort((x, x * x), num_keys=1)[1] * WEIGHTS).sum(), (X,)),
    "split": (lambda x: (jnp.split(x, 2)[1] ** 2).sum(), (X,)),
    "sqrt": each(jnp.sqrt, at=POSITIVE), "square": each(jnp.square),
    "squeeze": (lambda x: jnp.squeeze(x[:, :1], 1) @ X[:2], (PLANE,)),
    "stop_gradient": each(lambda x: lax.stop_gradient(x) * x), "sub": each(lambda x: x - x[0]),
    "tan": each(jnp.tan), "tanh": each(jnp.tanh), "tile": (lambda x: (jnp.tile(x, 2) ** 2).sum(), (X,)),
    "top_k": (lambda x: lax.top_k(x, 2)[0] @ WEIGHTS[:2] + lax.top_k(x, 2)[1].sum(), (X,)),
    "transpose": (lambda x: (x.T[0] ** 2).sum(), (PLANE,)),
}  # fmt: skip


def gradient(f: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """The graph's result and gradients, without a comparison with JAX."""
    with jax.enable_x64(True):
        graph = JaxGraph(f, tuple(map(jnp.asarray, arguments)), 100_000)
    graph.result.backward()
    return graph.result.data, graph.gradients()


def test_every_primitive_that_is_listed_is_tried() -> None:
    assert set(ONE_BY_ONE) | {"while"} == set(covered())


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_a_primitive_has_the_value_and_gradient_that_jax_gives(name: str) -> None:
    f, arguments = ONE_BY_ONE[name]
    value, ours = gradient(f, arguments)
    with jax.enable_x64(True):
        argnums = tuple(range(len(arguments)))
        expected, theirs = jax.jit(jax.value_and_grad(f, argnums))(*arguments)
    assert value == pytest.approx(float(expected), rel=1e-13)
    for here, there in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-11, atol=1e-13)


def test_a_while_loop_has_a_gradient_although_jax_has_none_itself() -> None:
    a, b, c, _ = X.tolist()
    graph = from_jax(loop, X)
    assert graph.result.data == pytest.approx(((c * b + a) * b + a) * b + a)
    graph.result.backward()
    expected = [b * b + b + 1, 3 * c * b * b + 2 * a * b + a, b**3, 0]
    assert graph.gradients()[0].tolist() == pytest.approx(expected)


def model(params: Any, batch: Any, *, scale: float = 1.0) -> Any:
    hidden = jax.nn.gelu(batch["x"] @ params["w"] + params["b"])
    scores = jax.nn.log_softmax(hidden)
    return {"loss": -jnp.mean(scores[jnp.arange(2), batch["y"]]) * scale, "hidden": hidden}


PARAMS = {"w": PLANE.T[:, :2], "b": np.array([0.1, -0.3])}
BATCH = {"x": PLANE, "y": np.array([1, 0])}


def test_a_model_keeps_its_nesting_and_names() -> None:
    graph = from_jax(model, PARAMS, BATCH)
    params, batch = graph.inputs
    assert params["w"][1, 0].label == "params['w'][1, 0]"
    assert batch["y"].tolist() == [1, 0]
    assert graph.result["hidden"].shape == (2, 2)
    graph.result["loss"].backward()
    ours, (inputs, _) = graph.gradients()[0], graph.gradients()[1].values()
    with jax.enable_x64(True):
        theirs = jax.grad(lambda p: model(p, BATCH)["loss"])(jax.tree.map(jnp.asarray, PARAMS))
    assert all(np.allclose(ours[k], theirs[k], rtol=1e-12) for k in PARAMS)
    assert inputs.any()
    assert "log_softmax" in {node.scope for node in topological(graph.result["loss"])}
    assert "log_softmax" in draw(graph.result["loss"]).source
    assert repr(graph) == "model on Values: 14 inputs"


def test_the_graph_can_be_checked_by_the_referees() -> None:
    graph = from_jax(lambda x: jnp.tanh(x[0] * x[1]), X[:2])
    graph.result.backward()
    root = graph.result
    assert check_gradients(
        lambda a, b: (a * b).tanh(), *X[:2].tolist(), gradient=graph.gradients()[0].tolist()
    )
    assert root.op.name == "tanh"


def test_jax_keeps_its_own_settings() -> None:
    before = jnp.zeros(()).dtype
    from_jax(jnp.sum, X)
    assert jnp.zeros(()).dtype == before == jnp.float32


def test_relu_has_the_slope_of_jax_at_its_kink() -> None:
    with_rule = gradient(lambda x: jax.nn.relu(x).sum(), (np.zeros(2),))
    assert with_rule[1][0].tolist() == [0.0, 0.0]
    assert gradient(lambda x: jnp.maximum(x, 0.0).sum(), (np.zeros(2),))[1][0].tolist() == [
        0.5,
        0.5,
    ]
    assert gradient(lambda x: x.max(), (np.ones(2),))[1][0].tolist() == [0.5, 0.5]
    bounds = gradient(lambda x: lax.clamp(0.0, x, 1.0).sum(), (np.array([0.0, 1.0, 0.5]),))
    assert bounds[1][0].tolist() == [0.0, 0.0, 1.0]


def test_a_wrong_rule_of_the_users_own_is_pointed_out() -> None:
    with pytest.warns(
        UserWarning, match=r"gradient in x\[0\] is 1.4285 where the graph gives 0.95.*custom_vjp"
    ):
        from_jax(lambda x: wrong(x).sum(), X)


def test_a_function_that_changes_between_calls_is_refused() -> None:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x.sum() * len(calls)

    with pytest.raises(ValueError, match="not the same function"):
        from_jax(f, X)


def test_rounding_errors_of_a_gradient_of_0_are_no_difference() -> None:
    from_jax(lambda x: jax.nn.softmax(x).sum(), X)
    with pytest.warns(UserWarning, match="of a weighted sum of the results in x"):
        from_jax(wrong, X)


def test_an_error_in_a_rule_of_the_users_own_is_shown() -> None:
    def backward(_: Any, g: Any) -> Any:
        raise ValueError("not today")

    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x), None), backward)
    with pytest.raises(ValueError, match="not today"):
        from_jax(lambda x: f(x).sum(), X)


def test_a_cast_to_a_shorter_float_keeps_all_digits() -> None:
    graph = from_jax(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32).sum(), X)
    assert graph.result.data == sum(X.tolist())


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (lambda x: lax.digamma(x).sum(), r"digamma at test_from_jax.py:\d+: not covered"),
        (lambda x: jax.jit(lax.lgamma)(x).sum(), r"from_jax: lgamma at test_from_jax.py:\d+: not"),
        (lambda x: jnp.fft.fft(x).real.sum(), r"complex numbers"),
        (lambda x: lax.round(x).sum(), r"round at .*jnp.round is covered"),
        (lambda x: lax.while_loop(lambda c: c > 0, lambda c: c, x[0]), "loop of more than 50 steps"),
        (lambda x: jnp.linalg.inv(jnp.outer(x, x) + jnp.eye(4)).sum(), "not covered"),
        (lambda x: lax.conv_general_dilated(x.reshape(4, 1, 1), x[:2].reshape(2, 1, 1), (1,), "SAME",
            batch_group_count=2).sum(), "groups of the batch"),
    ],
)  # fmt: skip
def test_what_is_not_covered_is_refused_with_the_line(
    f: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxprs, "LONGEST", 50)
    with pytest.raises(UncoveredError, match=why):
        from_jax(f, X)


def test_a_graph_above_the_limit_is_refused_before_it_is_built() -> None:
    big = np.ones((300, 300))
    with pytest.raises(ValueError, match=r"from_jax: dot_general at .* limit is 200,000"):
        from_jax(lambda x: (x @ x).sum(), big)
    with pytest.raises(ValueError, match="from_jax: the graph would have about 90,000"):
        from_jax(lambda x: x[0, 0], big, limit=1000)


def test_a_graph_is_recorded_inside_no_grad_too() -> None:
    with no_grad():
        graph = from_jax(lambda x: (x**2).sum(), X)
    graph.result.backward()
    assert graph.gradients()[0].tolist() == (2 * X).tolist()


def test_what_is_nan_is_nan_here_too() -> None:
    assert np.isnan(from_jax(lambda x: jnp.log(x).sum(), X).result.data)
    assert from_jax(jnp.sum, np.zeros(0)).result == 0.0


def test_a_number_at_a_kink_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match=r"JAX's gradient in x\[1\] is 1 where the graph gives 0"):
        from_jax(lambda x: jnp.abs(x).sum(), np.array([2.0, 0.0]))


def test_values_as_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="got a Value; pass its number"):
        from_jax(jnp.sin, Value(1.0))


def test_complex_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="complex"):
        from_jax(lambda x: x.real.sum(), X + 1j)


def test_results_without_a_gradient_are_numbers() -> None:
    graph = from_jax(lambda x, n: (jnp.argmax(x), jnp.zeros(2) + n), X, 3)
    assert graph.result[0] == 3
    assert not isinstance(graph.result[0], Value)
    assert graph.result[1].tolist() == [3.0, 3.0]
    assert from_jax(lambda x: jnp.where(x > 9.0, x, 2.0).sum() * x[0], X).result.data == 8.0 * X[0]
    random = from_jax(
        lambda x, key: (x * jax.random.normal(key, x.shape)).sum(), X, jax.random.key(0)
    )
    assert isinstance(random.result, Value)


def test_arguments_have_the_names_of_the_function_where_it_has_some() -> None:
    def labels(f: Callable[..., Any]) -> list[str]:
        return [x[()].label for x in from_jax(f, 1.0, 2.0).inputs]

    assert labels(lambda a, b: a + b) == ["a", "b"]
    assert labels(lambda a, *more: a + more[0]) == ["a", "x1"]
    unknown = type("Unknown", (), {"__signature__": "none", "__call__": lambda _, a, b: a * b})
    assert labels(unknown()) == ["x0", "x1"]


def test_the_command_prints_what_is_covered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bridges", "jax"]) == 0
    assert capsys.readouterr().out.split() == covered()


def test_without_jax_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    for name in [n for n in sys.modules if n.startswith("autograd.bridges.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"chainrule\[jax\]"):
        runpy.run_module("autograd.bridges.with_jax")
