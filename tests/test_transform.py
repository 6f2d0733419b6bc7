"""grad, value_and_grad, vjp, jvp, jacobian, hessian and hvp: nestings, orders, refusals."""

import functools
import gc
import inspect
import math
import random
from typing import Any, NamedTuple

import pytest

import autograd
from autograd import (
    NonFiniteWarning,
    Value,
    exp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    rows,
    sin,
    topological,
    value_and_grad,
    vjp,
)
from nn import MLP


def tangled(p: Any) -> Any:
    return sin(p["w"][0] * p["w"][1]) + p["b"] ** 3 * exp(p["w"][0])


AT: dict[str, Any] = {"w": [0.5, -1.5], "b": 0.7}


def test_gradients_keep_the_nesting_of_their_argument() -> None:
    found = grad(tangled)(AT)
    w, b = AT["w"], AT["b"]
    c = math.cos(w[0] * w[1])
    assert found["w"] == pytest.approx([c * w[1] + b**3 * math.exp(w[0]), c * w[0]])
    assert found["b"] == pytest.approx(3 * b**2 * math.exp(w[0]))


def test_named_tuples_keep_their_type() -> None:
    class Point(NamedTuple):
        x: Any
        y: Any

    assert grad(lambda p: p.x * p.y)(Point(2.0, 3.0)) == Point(3.0, 2.0)


def test_argnums_choose_arguments_and_keywords_pass_through() -> None:
    def f(x: Any, y: Any, power: int = 1) -> Any:
        return x * y**power

    assert grad(f, 1)(2.0, 3.0) == 2.0
    assert grad(f, (0, 1))(2.0, 3.0, power=2) == (9.0, 12.0)
    with pytest.raises(TypeError, match="no argument 2"):
        grad(f, 2)(1.0, 2.0)


def test_grad_of_a_value_touches_no_gradient() -> None:
    x, y = Value(2.0), Value(5.0)
    (x * y).backward()
    assert grad(x * x * y, [x, {"y": y}]) == [20.0, {"y": 4.0}]
    assert (x.grad, y.grad) == (5.0, 2.0)
    assert grad(x * x, Value(1.0)) == 0.0


def test_derivatives_of_derivatives_of_derivatives() -> None:
    cube = [grad(grad(grad(lambda x, k=k: x**k)))(2.0) for k in range(6)]
    assert cube == [0, 0, 0, 6.0, 48.0, 240.0]
    assert grad(grad(grad(lambda x: x**2)))(0.0) == 0.0
    x = Value(0.3)
    slope = grad(exp(x * x), x, create_graph=True)
    slope.backward()
    assert x.grad == pytest.approx((2 + 4 * 0.09) * math.exp(0.09))


def test_an_inner_derivative_does_not_mistake_the_outer_variable_for_its_own() -> None:
    # d/dx [ x * d/dy (x + y) ] = 1; an engine that confuses the two variables says 2.
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(3.0) == 1.0
    assert grad(lambda x: x * grad(lambda y: x + y)(x))(3.0) == 1.0
    assert grad(lambda x: grad(lambda y: x * y * y)(x))(3.0) == 12.0


def test_value_and_grad_gives_both_and_works_inside_no_grad() -> None:
    with no_grad():
        assert value_and_grad(lambda x: x * x)(3.0) == (9.0, 6.0)
        assert hvp(lambda p: p**3, 2.0, 1.0) == 12.0


def test_a_function_that_ignores_its_argument_has_gradient_0() -> None:
    assert value_and_grad(lambda x: 5.0)(1.0) == (5.0, 0.0)
    assert hessian(lambda x: 5.0)([1.0, 2.0]) == [[0.0, 0.0], [0.0, 0.0]]


def program(steps: int, seed: int) -> Any:
    rng = random.Random(seed)
    smooth = [op for op in rows().values() if not op.smooth and not op.ends]

    def f(p: Any) -> Any:
        r = random.Random(seed)
        line = list(p)
        for _ in range(steps):
            op = r.choice(smooth)
            line.append(op(*(r.choice(line) for _ in range(op.arity))).tanh() + r.random())
        return line[-1] * line[-2] + sum(line[1:], line[0])

    return f, [rng.uniform(-2, 2) for _ in range(3)]


@pytest.mark.parametrize("seed", range(20))
def test_forward_and_reverse_and_second_order_agree_on_random_programs(seed: int) -> None:
    f, at = program(12, seed)
    gradient = grad(f)(at)
    rng = random.Random(seed)
    v = [rng.uniform(-1, 1) for _ in at]
    _, slope = jvp(f, (at,), (v,))
    assert slope == pytest.approx(sum(g * t for g, t in zip(gradient, v, strict=True)), rel=1e-10)
    _, pull = vjp(f, at)
    assert pull(1.0) == (pytest.approx(gradient, rel=1e-12),)
    matrix = hessian(f)(at)
    assert matrix == [
        pytest.approx([row[i] for row in matrix], rel=1e-8, abs=1e-10) for i in range(len(at))
    ]
    product = [sum(h * t for h, t in zip(row, v, strict=True)) for row in matrix]
    assert hvp(f, at, v) == pytest.approx(product, rel=1e-9, abs=1e-10)
    _, second = jvp(grad(f), (at,), (v,))
    assert second == pytest.approx(product, rel=1e-9, abs=1e-10)


def test_vjp_and_jvp_of_functions_with_many_results() -> None:
    def f(x: Any, y: Any) -> Any:
        return {"product": x * y, "sums": [x + y, 7.0]}

    out, pull = vjp(f, 2.0, 3.0)
    assert out == {"product": 6.0, "sums": [5.0, 7.0]}
    assert pull({"product": 1.0, "sums": [10.0, 5.0]}) == (13.0, 12.0)
    out, slope = jvp(f, (2.0, 3.0), (1.0, -1.0))
    assert slope == {"product": 1.0, "sums": [0.0, 0.0]}


def test_weights_and_directions_are_matched_by_the_keys_of_dicts() -> None:
    p = {"a": 2.0, "b": [3.0]}

    def f(p: Any) -> Any:
        return p["a"] ** 2 * p["b"][0]

    assert hvp(f, p, {"b": (1.0,), "a": 0.0}) == {"a": 4.0, "b": [0.0]}
    assert jvp(f, (p,), ({"b": [0.0], "a": 1.0},)) == (12.0, 12.0)
    pull = vjp(lambda x: {"p": x, "q": [10.0 * x, x]}, 1.0)[1]
    assert pull({"q": (1.0, 0.0), "p": 0.0}) == (10.0,)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="expected a Value or a function"):
        grad(3.0)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="inputs must be Values"):
        grad(Value(1.0) * 2.0, [1.0])
    with pytest.raises(TypeError, match="one number"):
        grad(lambda x: [x, x])(1.0)
    with pytest.raises(TypeError, match="str"):
        grad(lambda x: x)("1")
    with pytest.raises(ValueError, match=r"expected 2 number\(s\)"):
        jvp(lambda p: p[0], ([1.0, 2.0],), ([1.0],))
    with pytest.raises(ValueError, match="hvp's vector"):
        hvp(lambda p: p[0], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"expected the nesting \{'a': \*\}, got \{'b': \*\}"):
        hvp(lambda p: p["a"], {"a": 1.0}, {"b": 1.0})
    with pytest.raises(ValueError, match=r"nesting \[\[\*\], \*\], got \[\*, \[\*\]\]"):
        vjp(lambda x: ([x], x), 1.0)[1]((1.0, (1.0,)))
    with pytest.raises(TypeError, match=r"argnums must be a whole number .*got \{0: 1\}"):
        grad(lambda x: x, argnums={0: 1})  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="expected a function"):
        value_and_grad(1)  # type: ignore[arg-type]


def test_a_leaf_that_changed_since_the_forward_pass_stops_higher_derivatives() -> None:
    x = Value(2.0)
    z = x**3
    x.data = 5.0
    assert grad(z, x) == 12.0
    with pytest.raises(RuntimeError, match=r"operand x was 2.0 .* is 5.0 now"):
        grad(z, x, create_graph=True)


def test_nan_reaches_every_order() -> None:
    x = Value(-1.0)
    with pytest.warns(NonFiniteWarning, match=r"grad: log\(x\) = nan at x = -1.0"):
        assert math.isnan(grad(x.log(), x))
    with pytest.warns(NonFiniteWarning, match=r"grad: log\(x\) = nan at x = -1.0"):
        assert math.isnan(grad(x.log(), x, create_graph=True).data)
    with pytest.warns(NonFiniteWarning, match=r"jvp: log\(x\) = nan at x = -1.0"):
        assert math.isnan(jvp(lambda v: v.log(), (-1.0,), (1.0,))[1])
    with pytest.warns(NonFiniteWarning):
        x.log().backward()


def test_refusals_say_which_transform_was_asked() -> None:
    with pytest.raises(TypeError, match=r"^vjp: expected a real number, got str"):
        vjp(lambda x: x, "2")
    with pytest.raises(TypeError, match=r"^vjp: the function's result: expected"):
        vjp(lambda x: ["text", x], 2.0)
    with pytest.raises(TypeError, match=r"^jvp: expected a real number, got str"):
        jvp(lambda x: x, ("2",), (1.0,))
    with pytest.raises(TypeError, match=r"^jvp: the function's result: expected"):
        jvp(lambda x: ["text", x], (2.0,), (1.0,))
    with pytest.raises(ValueError, match=r"^jvp's tangents: expected 1 number"):
        jvp(lambda x: x, (2.0,), (1.0, 1.0))


def test_a_directional_derivative_can_be_differentiated_in_point_and_direction() -> None:
    # d/dx (3 x^2 v) = 6 x v and d/dv (3 x^2 v) = 3 x^2
    def slope(x: Any, v: Any) -> Any:
        return jvp(lambda y: y * y * y, (x,), (v,))[1]

    assert grad(slope, (0, 1))(2.0, 5.0) == (60.0, 12.0)
    assert grad(lambda v: slope(2.0, v))(5.0) == 12.0
    assert grad(lambda x: jvp(lambda y: y * y, (x,), (1.0,))[0])(3.0) == 6.0
    out, along = jvp(lambda y: [y * y, y], (Value(3.0),), (1.0,))
    assert [type(part) for part in out] == [Value, Value]
    assert [part.data for part in along] == [6.0, 1.0]


def test_a_leaf_from_outside_has_no_tangent() -> None:
    c = Value(7.0)
    assert jvp(lambda x: c * x + c, (2.0,), (3.0,)) == (21.0, 21.0)
    assert jvp(lambda x: [c, 4.0, x], (2.0,), (3.0,)) == ([7.0, 4.0, 2.0], [0.0, 0.0, 3.0])


SAYS: list[tuple[Any, type[Exception], str]] = [
    (lambda: grad(lambda x: x)("1"), TypeError, "grad: expected a real number"),
    (lambda: grad(lambda x: "1")(1.0), TypeError, "grad: the function's result: expected a real"),
    (lambda: grad(lambda x: [x])(1.0), TypeError, "grad: the function must return one number"),
    (lambda: vjp(lambda x: x, "1"), TypeError, "vjp: expected a real number"),
    (lambda: vjp(lambda x: ["1"], 1.0), TypeError, "vjp: the function's result: expected a real"),
    (lambda: vjp(lambda x: x, 1.0)[1]([1, 2]), ValueError, "vjp's weights: expected 1 number"),
    (lambda: vjp(lambda x: x, 1.0)[1]("1"), TypeError, "vjp's weights: expected a real number"),
    (lambda: jvp(lambda x: x, ("1",), (1.0,)), TypeError, "jvp: expected a real number"),
    (lambda: jvp(lambda x: x, (1.0,), ()), ValueError, "jvp's tangents: expected 1 number"),
    (lambda: jvp(lambda x: "1", (1.0,), (1.0,)), TypeError, "jvp: the function's result"),
    (lambda: hessian(lambda x: x)("1"), TypeError, "hessian: expected a real number"),
    (lambda: hessian(lambda x: "1")(1.0), TypeError, "hessian: the function's result"),
    (lambda: hvp(lambda x: x, "1", 1.0), TypeError, "hvp: expected a real number"),
    (lambda: hvp(lambda x: "1", 1.0, 1.0), TypeError, "hvp: the function's result"),
    (lambda: hvp(lambda x: x, 1.0, [1.0, 2.0]), ValueError, "hvp's vector: expected 1 number"),
]


@pytest.mark.parametrize(("call", "kind", "text"), SAYS, ids=[text for _, _, text in SAYS])
def test_a_refusal_begins_with_what_was_called(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"^{text}"):
        call()


def test_what_is_given_values_gives_values_that_can_be_differentiated_on() -> None:
    x = Value(2.0)
    value, slope = value_and_grad(lambda v: v**3)(x)
    assert (value.data, slope.data) == (8.0, 12.0)
    assert grad(value, x) == grad(lambda v: v**3)(2.0) == 12.0
    assert grad(slope, x) == 12.0

    result, pull = vjp(lambda v: [v**3, v], x)
    assert grad(result[0], x) == 12.0
    (pulled,) = pull([1.0, 1.0])
    assert (pulled.data, grad(pulled, x)) == (13.0, 12.0)
    # Numbers with weights that are Values: linear in the weights.
    w = Value(5.0)
    (linear,) = vjp(lambda v: v**3, 2.0)[1](w)
    assert (linear.data, grad(linear, w)) == (60.0, 12.0)
    assert vjp(lambda v: v**3, 2.0)[1](5.0) == (60.0,)

    shown, along = jvp(lambda v: v**3, (x,), (1.0,))
    assert (grad(shown, x), along.data, grad(along, x)) == (12.0, 12.0, 12.0)
    _, scaled = jvp(lambda v: v**3, (2.0,), (w,))
    assert (scaled.data, grad(scaled, w)) == (60.0, 12.0)

    assert grad(hvp(lambda v: v**3, x, 1.0), x) == 6.0
    product = hvp(lambda v: v**3, 2.0, w)
    assert (product.data, grad(product, w)) == (60.0, 12.0)
    assert isinstance(hvp(lambda v: v**3, 2.0, 5.0), float)
    second = hessian(lambda v: v**3)(x)
    assert (second.data, grad(second, x)) == (12.0, 6.0)
    assert isinstance(hessian(lambda v: v**3)(2.0), float)


def test_the_other_arguments_of_a_hessian_stay_as_they_are() -> None:
    def f(a: Any, x: Any, b: Any, scale: float = 1.0) -> Any:
        return a * x * x * scale + b * x

    assert hessian(f, 1)(3.0, 2.0, 7.0) == 6.0
    assert hessian(f, 1)(3.0, 2.0, 7.0, scale=10.0) == 60.0


def test_a_local_derivative_of_one_or_minus_one_makes_no_product() -> None:
    w, x, y = Value(5.0), Value(2.0), Value(3.0)
    slopes = grad(w * (x - y), [x, y], create_graph=True)
    made = [[node.op.name for node in topological(slope) if node.op] for slope in slopes]
    assert made == [["mul"], ["mul", "neg"]]


def test_a_gradient_of_exactly_zero_goes_no_further() -> None:
    x = Value(0.0)
    with pytest.warns(NonFiniteWarning, match=r"log\(x\) = -inf"):
        (slope,) = grad((x * 0.0).log() * 0.0, [x], create_graph=True)
    assert math.isnan(slope.data)
    unrelated = Value(1.0)
    unrelated.grad = 5.0
    assert grad(x, [unrelated]) == [0.0]
    assert unrelated.grad == 5.0


class Pair(NamedTuple):
    """Two numbers, or nestings of numbers."""

    first: Any
    second: Any


def test_nested_named_tuples_keep_their_kind() -> None:
    found = grad(lambda p: p.first[0] * p.second["a"])(Pair([2.0], {"a": 3.0}))
    assert found == Pair([3.0], {"a": 2.0})
    assert type(found) is Pair


def product(x: Any, y: Any, z: Any = 1.0) -> Any:
    """x times y times z."""
    return x * y * z


class Two:
    """A whole number of another library."""

    def __index__(self) -> int:
        return 2


def test_arguments_are_chosen_by_name_from_the_end_and_several_at_once() -> None:
    assert grad(product, argnums=1)(2.0, 3.0) == grad(product, -1)(2.0, 3.0) == 2.0
    for both in ((0, 1), [0, 1], [0, -1], range(2)):
        assert grad(product, argnums=both)(2.0, 3.0) == (3.0, 2.0)
        assert value_and_grad(product, both)(2.0, 3.0) == (6.0, (3.0, 2.0))
    assert grad(product, argnums=Two())(2.0, 3.0, 4.0) == 6.0
    assert grad(product, argnums=(2,))(2.0, 3.0, 4.0) == (6.0,)
    assert grad(product, argnums=())(2.0, 3.0) == ()
    assert grad(lambda p, q: p["a"] * q[0], argnums=(1, 0))({"a": 2.0}, [3.0]) == (
        [2.0],
        {"a": 3.0},
    )
    assert hessian(product, argnums=(0, 1))(2.0, 3.0) == ((0.0, 1.0), (1.0, 0.0))
    assert hessian(lambda x, y: x * x * y, argnums=-1)(2.0, 3.0) == 0.0
    assert jacobian(lambda x, y: {"p": x * y}, argnums=[0, 1])(2.0, 3.0) == {"p": (3.0, 2.0)}


untyped: Any = autograd
WRONG: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: untyped.grad(product, 2)(2.0, 3.0),
        TypeError,
        "no argument 2 to differentiate: 2 given",
    ),
    (
        lambda: untyped.grad(product, -3)(2.0, 3.0),
        TypeError,
        "no argument -3 to differentiate: 2 given",
    ),
    (
        lambda: untyped.grad(product)(x=2.0, y=3.0),
        TypeError,
        "no argument 0 .*: 0 given by position",
    ),
    (
        lambda: untyped.grad(product, (0, 0))(2.0, 3.0),
        ValueError,
        r"argnums \(0, 0\) names an argument twice",
    ),
    (lambda: untyped.grad(product, (0, -2))(2.0, 3.0), ValueError, "names an argument twice"),
    (
        lambda: untyped.grad(product, 1.0),
        TypeError,
        "grad: argnums must be a whole number or several",
    ),
    (
        lambda: untyped.grad(product, "x"),
        TypeError,
        "grad: argnums must be a whole number or several",
    ),
    (lambda: untyped.hessian(product, [0.5]), TypeError, "hessian: argnums must be"),
    (lambda: untyped.jacobian(product, None), TypeError, "jacobian: argnums must be"),
    (lambda: untyped.grad(product, 0, argnums=1), TypeError, "given twice"),
    (
        lambda: untyped.grad(product, create_graph=True),
        TypeError,
        "create_graph is for grad.output",
    ),
    (lambda: untyped.grad(Value(1.0)), TypeError, "grad: inputs must be Values, got NoneType"),
    (lambda: untyped.hessian(3.0), TypeError, "hessian: expected a function, got float"),
    (lambda: untyped.jacobian(3.0), TypeError, "jacobian: expected a function, got float"),
    (
        lambda: untyped.grad(product, has_aux=True)(2.0, 3.0),
        TypeError,
        r"must return \(result, aux\)",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_choice_is_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


def test_what_comes_back_is_called_as_the_function() -> None:
    for made in (grad(product), value_and_grad(product), hessian(product), jacobian(product)):
        assert (made.__name__, made.__doc__) == ("product", "x times y times z.")
        assert str(inspect.signature(made)).startswith("(x: Any, y: Any, z: Any = 1.0)")
    assert callable(grad(functools.partial(product, 2.0)))
    assert grad(sin)(0.0) == 1.0
    model = MLP([1, 1], None, seed=0)
    made = value_and_grad(model, argnums=0)
    assert "neurons" not in vars(made)
    assert not set(vars(made)) - {"__wrapped__"}


def test_what_is_returned_beside_the_result_is_handed_on() -> None:
    def f(x: Any, w: Any) -> Any:
        return x * x * w, {"twice": x * 2.0, "text": "t", "list": [w, 7]}

    gradient, aux = grad(f, has_aux=True)(3.0, 2.0)
    assert (gradient, aux) == (12.0, {"twice": 6.0, "text": "t", "list": [2.0, 7]})
    assert [type(part) for part in (aux["twice"], *aux["list"])] == [float, float, int]
    (value, aux), gradient = value_and_grad(f, argnums=(0, 1), has_aux=True)(3.0, 2.0)
    assert (value, gradient, aux["twice"]) == (18.0, (12.0, 9.0), 6.0)
    w = Value(2.0)
    gradient, aux = grad(f, has_aux=True)(3.0, w)
    assert [type(part) for part in (gradient, aux["twice"], *aux["list"])] == [Value] * 3 + [int]
    # What is beside the result may lead outside where the result does not.
    gradient, aux = grad(lambda x: (x * x, x * w), has_aux=True)(3.0)
    assert (type(gradient), aux.data, grad(aux, w)) == (Value, 6.0, 3.0)


def test_a_jacobian_has_the_nesting_of_the_result_and_in_it_that_of_the_argument() -> None:
    def f(p: Any) -> Any:
        return {"a": [p["x"] * p["y"][0], 1.0], "b": (p["y"][1] ** 2,)}

    at = {"x": 2.0, "y": (3.0, 4.0)}
    zero = {"x": 0.0, "y": (0.0, 0.0)}
    wanted = {
        "a": [{"x": 3.0, "y": (2.0, 0.0)}, zero],
        "b": ({"x": 0.0, "y": (0.0, 8.0)},),
    }
    assert jacobian(f)(at) == wanted
    wide = jacobian(lambda x: {"a": [x, x * x, 5.0]})(3.0)  # forward
    assert wide == {"a": [1.0, 6.0, 0.0]}
    assert jacobian(lambda x: x * x)(3.0) == 6.0
    assert jacobian(lambda p: [])([1.0]) == []
    assert jacobian(lambda p: [1.0, 2.0])([]) == [[], []]
    assert jacobian(lambda x, scale: [x * scale])(2.0, scale=3.0) == [3.0]


@pytest.mark.parametrize("results", [1, 3, 5])
def test_a_jacobian_is_made_by_the_fewer_passes(
    monkeypatch: pytest.MonkeyPatch, results: int
) -> None:
    passes = {"derivatives": 0, "pushed": 0}
    homes = {"derivatives": autograd.adjoints, "pushed": autograd.transform}
    for name, home in homes.items():
        made = getattr(home, name)

        def counted(*args: Any, name: str = name, made: Any = made, **named: Any) -> Any:
            passes[name] += 1
            return made(*args, **named)

        monkeypatch.setattr(home, name, counted)
    found = jacobian(lambda p: [p[0] * p[1] * k + p[2] for k in range(results)])([2.0, 3.0, 4.0])
    assert found == [[3.0 * k, 2.0 * k, 1.0] for k in range(results)]
    backward, forward = passes["derivatives"], passes["pushed"]
    assert (backward, forward) == ((results, 0) if results <= 3 else (0, 3))


def test_what_a_transform_made_is_freed_without_the_cycle_collector() -> None:
    w = Value(3.0)

    def calls() -> None:
        grad(lambda x: x * grad(lambda y: x * y * w)(x))(2.0)
        vjp(lambda x: x * w, 2.0)[1](w)
        jvp(lambda x: x * w, (2.0,), (w,))
        hessian(lambda p: p[0] * p[1] * w)([1.0, 2.0])
        jacobian(lambda p: [p[0] * w])([1.0, 2.0])
        hvp(lambda x: x * x * w, 2.0, w)

    gc.disable()
    try:
        left = []
        for _ in range(4):  # the first call, and what other tests have left, may leave something
            calls()
            left.append(gc.collect())
        assert min(left[1:]) == 0, left
    finally:
        gc.enable()
