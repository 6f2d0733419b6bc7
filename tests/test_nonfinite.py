"""Inf and nan: every way to a derivative gives the same number, and the user is told once."""

import contextlib
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import autograd
from autograd import (
    NonFiniteError,
    NonFiniteWarning,
    Value,
    detect_anomaly,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    rows,
    value_and_grad,
    vjp,
)
from autograd.modes import present_call, present_mode

nan, inf = math.nan, math.inf
ENDS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, nan, inf, -inf, 1e308, -1e308, 5e-324, 1000.0]
quietly = pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")


def slopes(f: Callable[..., Any], at: list[float]) -> dict[str, list[Any]]:
    """The partial derivatives of f, by every way to them."""
    chosen = tuple(range(len(at)))
    units = [tuple(float(i == k) for i in chosen) for k in chosen]
    nodes = [Value(x) for x in at]
    output = f(*nodes)
    output.backward()
    return {
        "backward": [node.grad for node in nodes],
        "grad": list(grad(f, chosen)(*at)),
        "vjp": list(vjp(f, *at)[1](1.0)),
        "jvp": [jvp(f, tuple(at), unit)[1] for unit in units],
        "jacobian": list(jacobian(lambda *xs: [f(*xs)] * 3, chosen)(*at)[0]),
        "create_graph": [g.data for g in grad(output, nodes, create_graph=True)],
        "grad of Values": [g.data for g in grad(f, chosen)(*nodes)],
        "jvp of Values": [jvp(f, tuple(nodes), unit)[1].data for unit in units],
    }


def equal(one: list[float], two: list[float]) -> bool:
    return all(x == y or (x != x and y != y) for x, y in zip(one, two, strict=True))


@quietly
@pytest.mark.parametrize("name", rows())
def test_every_way_gives_the_same_slopes_at_the_ends(name: str) -> None:
    op: Any = rows()[name]
    for at in itertools.product(ENDS if op.arity == 1 else ENDS[:9], repeat=op.arity):
        found = slopes(lambda *xs: op(*xs), list(at))
        for way, numbers in found.items():
            assert equal(numbers, found["backward"]), (way, at, numbers, found["backward"])
        if op.value(*at) != op.value(*at):
            assert all(g != g for g in found["backward"]), at


@quietly
def test_an_argument_that_is_nan_and_the_result_has_a_nan_derivative() -> None:
    for way, numbers in slopes(lambda x: x, [nan]).items():
        assert equal(numbers, [nan]), way


UNARY = [name for name, op in rows().items() if op.arity == 1]


@quietly
@pytest.mark.parametrize("outer", UNARY)
@pytest.mark.untraced
def test_every_way_gives_the_same_slopes_of_compositions(outer: str) -> None:
    table: dict[str, Any] = dict(rows())
    for inner, x in itertools.product(UNARY, ENDS[::2]):
        found = slopes(lambda v, inner=inner: table[outer](table[inner](v)), [x])
        for way, numbers in found.items():
            recorded = way in ("create_graph", "grad of Values", "jvp of Values")
            # What a number 0 stops is 0; in a recorded pass 0 * inf, which may depend on anything.
            lost = recorded and found["backward"] == [0.0] and numbers[0] != numbers[0]
            assert lost or equal(numbers, found["backward"]), (way, inner, x, found)


ZERO_MEETS_INF = [
    ("square", "sqrt", 0.0), ("tanh", "log10", 0.0), ("reciprocal", "atan", inf),
    ("atan", "exp", 1000.0), ("square", "abs", nan),
]  # fmt: skip


@quietly
@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_a_derivative_inside_a_compiled_function_is_the_eager_one_at_the_ends(engine: str) -> None:
    pytest.importorskip("numpy")
    table: dict[str, Any] = dict(rows())
    for outer, inner, x in ZERO_MEETS_INF:

        def f(v: Any, outer: Any = table[outer], inner: Any = table[inner]) -> Any:
            return outer(inner(v)) * v

        def derivatives(v: Any, f: Any = f) -> Any:
            pulled = vjp(f, v)[1](2.0)[0]
            wide = jacobian(lambda v: [f(v), v, 2.0])(v)
            output = f(leaf := Value(1.0) * v)
            return [grad(f)(v), pulled, wide, hessian(f)(v), grad(grad(f))(v), grad(output, leaf)]

        wanted = list(autograd.nestings.leaves(derivatives(x)))
        for first in (x, 0.5):  # recorded at the end, or in the middle and again at the end
            compiled = autograd.compile(derivatives, engine=engine)
            compiled(first)
            found = list(autograd.nestings.leaves(compiled(x)))
            assert equal(found, wanted), (outer, inner, x, found, wanted)
            with no_grad():  # where grad(output, leaf) finds no graph
                found = list(autograd.nestings.leaves(compiled(Value(x))[:-1]))
                plain = list(autograd.nestings.leaves(derivatives(Value(x))[:-1]))
            assert equal(found, plain), (outer, inner, x, found, plain)


@quietly
@pytest.mark.parametrize("name", rows())
def test_a_nan_has_nan_derivatives_of_the_second_order_too(name: str) -> None:
    op: Any = rows()[name]
    rest = [2.0] * (op.arity - 1)

    def f(p: list[Any]) -> Any:
        return op(*p[: op.arity]) * p[-1]

    at = [nan, *rest, 2.0]
    if op.value(*at[: op.arity]) == op.value(*at[: op.arity]):
        return
    matrix = hessian(f)(at)
    assert all(h != h for h in (*matrix[0], *(row[0] for row in matrix)))
    assert hvp(f, at, [1.0] * len(at))[0] != 0.0
    x = Value(nan)
    slope = grad(op(x, *rest), x, create_graph=True)
    assert math.isnan(grad(slope, x))


# ---------------------------------------------------------------------- who is told

LOST: dict[str, tuple[Callable[[Any], Any], float, str]] = {
    "overflow": (
        lambda x: autograd.log(1.0 + autograd.exp(x)),
        1000.0,
        r"exp\(x\) = inf at x = 1000.0",
    ),
    "slope": (lambda x: autograd.sqrt(x) + x, 0.0, r"dL/dz \* dz/dx is .* in sqrt\(x\) = 0.0"),
    "nan": (lambda x: autograd.log(x) * 2.0, -1.0, r"log\(x\) = nan at x = -1.0"),
    "leaf": (lambda x: x * 2.0, nan, "the leaf is nan"),
    # Its number is 0, and the true slope 1.
    "zero": (lambda x: autograd.sqrt(x) ** 2, 0.0, r"may be lost: sqrt\(x\) = 0.0 at x = 0.0"),
    "pole": (
        lambda x: autograd.atan(autograd.tanh(1.0 / autograd.expm1(x) + 2.0)),
        0.0,
        r"div\(x, y\) = inf at x = 1.0, y = 0.0",
    ),
}
FAMILY: dict[str, Callable[[Callable[[Any], Any], float], Any]] = {
    "grad": lambda f, x: grad(f)(x),
    "grad of an output": lambda f, x: (lambda v: grad(f(v), v))(Value(x)),
    "grad of an output, create_graph": lambda f, x: (lambda v: grad(f(v), v, create_graph=True))(
        Value(x)
    ),
    "grad of Values": lambda f, x: grad(f)(Value(x)),
    "value_and_grad": lambda f, x: value_and_grad(f)(x),
    "vjp": lambda f, x: vjp(lambda v: [v, f(v)], x)[1]([1.0, 1.0]),
    "jvp": lambda f, x: jvp(f, (x,), (1.0,)),
    "jvp of Values": lambda f, x: jvp(f, (Value(x),), (1.0,)),
    "jacobian": lambda f, x: jacobian(lambda v: [v, f(v)])(x),
    "hessian": lambda f, x: hessian(f)(x),
    "hvp": lambda f, x: hvp(f, x, 1.0),
    "backward": lambda f, x: f(Value(x)).backward(),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("way", FAMILY)
def test_the_family_warns_at_the_user_s_line_and_names_the_fault(way: str, lost: str) -> None:
    f, x, text = LOST[lost]
    with pytest.warns(NonFiniteWarning, match=text) as told:
        FAMILY[way](f, x)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert str(told[0].message).startswith(f"{way.partition(' ')[0]}:".replace("value_and_", ""))


no_change = contextlib.nullcontext


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("way", FAMILY)
def test_a_warning_that_is_an_error_leaves_nothing_half_done(way: str, lost: str) -> None:
    f, x, _ = LOST[lost]
    w = Value(3.0, "w")
    (w * 2.0).backward()
    for kind, context in ((NonFiniteWarning, no_change), (NonFiniteError, detect_anomaly)):
        with pytest.raises(kind, match=r"inf|nan"), context():
            FAMILY[way](lambda v: f(v) * w, x)  # pytest makes errors of warnings
        assert (w.grad, present_call(), present_mode()) == (2.0, None, None)
    with no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FAMILY[way if way != "backward" else "grad"](lambda v: f(v) * w, x)
    assert w.grad == 2.0


def test_where_all_is_finite_nobody_is_told() -> None:
    w = Value(0.0)
    for call in FAMILY.values():
        call(lambda x: x * x + autograd.relu(x), 2.0)
    # A leaf from outside may have an infinite slope, which nobody asked for.
    assert grad(lambda x: x * 2.0 + w.sqrt())(1.0).data == 2.0
    with no_grad():
        assert grad(lambda x: x * 2.0 + w.sqrt())(1.0) == 2.0
    # A rule that gives 0 by itself says that the branch does not count.
    for f, x in (
        (lambda x: autograd.maximum(autograd.sqrt(x), 1.0) * 2.0, 0.0),
        (lambda x: autograd.clip(autograd.log(x), -100.0, 0.0), 0.0),
        (lambda x: autograd.relu(autograd.sqrt(x) ** 2 - 1.0) + x, 0.0),
        (lambda x: 0.0 * autograd.sqrt(x) + x, 0.0),
    ):
        for way, call in FAMILY.items():
            if way not in ("hessian", "hvp"):
                call(f, x)
    # And inf that is divided away is no fault of the result.
    assert grad(lambda x: 1.0 / (1.0 + autograd.exp(-x)))(-1000.0) == 0.0


def test_weights_and_directions_that_are_not_finite_are_told() -> None:
    with pytest.warns(NonFiniteWarning, match="vjp: "):
        assert vjp(lambda x: x * 2.0, 1.0)[1](inf) == (inf,)
    with pytest.warns(NonFiniteWarning, match="jvp: the result is inf"):
        assert jvp(lambda x: x * 2.0, (1.0,), (inf,)) == (2.0, inf)


def test_a_fault_of_the_second_derivative_alone_is_told() -> None:
    with pytest.warns(NonFiniteWarning, match="hessian: "):
        assert hessian(lambda x: x**1.5)(0.0) == inf
    assert grad(lambda x: x**1.5)(0.0) == 0.0


def test_hooks_are_not_run_again_to_explain_a_fault() -> None:
    seen: list[float] = []
    x = Value(0.0)
    y = x.sqrt()
    y.register_hook(seen.append)
    with pytest.warns(NonFiniteWarning, match="inf in sqrt"):
        grad(y * 1.0, x)
    assert seen == [1.0]
    z = Value(2.0)
    z.register_hook(lambda g: nan)
    with pytest.warns(NonFiniteWarning, match="grad: the result is nan"):
        grad(z * 1.0, z)


def test_a_gradient_that_no_operation_made_infinite_is_told_too() -> None:
    x = Value(1.0)
    x.register_hook(lambda g: nan)
    with pytest.warns(NonFiniteWarning, match="a gradient is nan, through a hook or a sum"):
        (x * 2.0).backward()
    x = Value(1.0)
    with pytest.warns(NonFiniteWarning, match="a gradient is inf, through a hook or a sum"):
        (x * 1e308 + (x - 1.0) * 1e308).backward()


def test_a_hook_that_gives_0_stops_a_gradient_before_an_infinite_slope() -> None:
    y = (x := Value(0.0)).sqrt()
    y.register_hook(lambda g: 0.0)
    (y * 2.0).backward()
    assert x.grad == grad(y * 2.0, x) == 0.0
    assert grad(y * 2.0, x, create_graph=True).data == 0.0


def test_a_truth_value_has_no_slope() -> None:
    np = pytest.importorskip("numpy")
    for wrong in (True, np.bool_(True)):
        for call in (
            lambda: grad(lambda x: wrong)(1.0),  # noqa: B023
            lambda: vjp(lambda x: [x, wrong], 1.0),  # noqa: B023
            lambda: jacobian(lambda x: wrong)(1.0),  # noqa: B023
            lambda: hessian(lambda x: wrong)(1.0),  # noqa: B023
            lambda: autograd.compile(lambda x: grad(lambda v: v < 0.5)(x))(1.0),
        ):
            with pytest.raises(TypeError, match=r"a truth value, .* no derivative"):
                call()
