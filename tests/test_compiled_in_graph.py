"""A compiled function in a graph is what the eager one is, to every order and for every use."""

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import autograd
from autograd import (
    NonFiniteError,
    NonFiniteWarning,
    Value,
    check_gradients,
    detect_anomaly,
    draw,
    explain,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    play,
    scope,
    topological,
    value_and_grad,
    vjp,
)
from nn import MLP, mse
from nn.optim import SGD
from tests.spies import Spy

inf, nan = float("inf"), float("nan")

ENGINES = ["numpy", "native"]
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

# ---------------------------------------------------------------------- uses of a function
# Each takes what compiles a function, or leaves it as it is, and gives a function of one number
# that is smooth at 0.7.


def as_argument(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda x: (x * x * x).sin() + x)
    return lambda x: f(x) * x


def as_leaf(wrap: Wrap) -> Callable[[Any], Any]:
    w = Value(1.3, "w")
    f = wrap(lambda x: (w * x).tanh() * w)
    # An outer variable that reaches the function through its leaf: only its number is seen there.
    return lambda x: f(x) + w * x * f(2.0)


def as_both(wrap: Wrap) -> Callable[[Any], Any]:
    w = Value(0.4, "w")
    f = wrap(lambda x, y: w * x * y + (x * w).exp() * y)
    return lambda x: f(x, w) * f(w, x)


def in_nested_lists(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda p: p[0][0] * p[1][0] * p[1][1] + p[0][1])
    return lambda x: f([[x, 2.0], (x.sin(), x * x)])


def in_a_dict(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda p, k=2.0: p["w"][0] * p["x"] ** 3 * k)
    return lambda x: f({"x": x, "w": [x.exp(), 5.0]}, k=3.0)


def twice(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda x: x.sin() * x)
    return lambda x: f(f(x)) * f(x * 2.0) + f(x)


def one_value_as_two_arguments(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda x, y: x * x * y.tanh())
    return lambda x: f(x, x) + f(f(x, x), x)


def one_inside_another(wrap: Wrap) -> Callable[[Any], Any]:
    w = Value(0.8, "w")
    inner = wrap(lambda x: (w * x).sin())
    outer = wrap(lambda x: inner(x) * inner(x * x))
    return lambda x: outer(x) * x


def in_a_loop(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda x, n: x * x * 0.5 + x * n)

    def loop(x: Any) -> Any:
        for n in (1, 2, 1):
            x = f(x, n).tanh()
        return x

    return loop


def with_several_results(wrap: Wrap) -> Callable[[Any], Any]:
    w = Value(0.6, "w")
    f = wrap(lambda x, y: [x * y * w, (x + y, {"z": x.sin()}), w.exp(), 3.0, x])

    def used(x: Any) -> Any:
        a, (b, named), c, d, same = f(x, x * x)
        return a * b * named["z"] + c * x + d * same * f(x, 2.0)[0]

    return used


def with_a_branch(wrap: Wrap) -> Callable[[Any], Any]:
    f = wrap(lambda x: x * x * x if x > 0.5 else x.exp())
    return lambda x: f(x) * f(x - 0.6)


def with_a_derivative_inside(wrap: Wrap) -> Callable[[Any], Any]:
    w = Value(1.1, "w")
    f = wrap(lambda x: x * grad(lambda y: (x * y * w).sin() * y)(0.9))
    return lambda x: f(x) + x


def with_what_is_detached(wrap: Wrap) -> Callable[[Any], Any]:
    w = Value(1.5, "w")

    def f(x: Any) -> Any:
        with no_grad():
            fixed = x * w
        return x * x * fixed + x.detach() * x * w.data

    compiled = wrap(f)
    return lambda x: compiled(x) * x


USES = [
    as_argument, as_leaf, as_both, in_nested_lists, in_a_dict, twice, one_value_as_two_arguments,
    one_inside_another, in_a_loop, with_several_results, with_a_branch, with_a_derivative_inside,
    with_what_is_detached,
]  # fmt: skip

# ---------------------------------------------------------------------- derivatives of a function


def by_grad(f: Any, order: int, x: float) -> Any:
    for _ in range(order):
        f = grad(f)
    return f(x)


def by_value_and_grad(f: Any, order: int, x: float) -> Any:
    for _ in range(order - 1):
        f = (lambda g: lambda x: value_and_grad(g)(x)[1])(f)
    return value_and_grad(f)(x)


def by_vjp(f: Any, order: int, x: float) -> Any:
    for _ in range(order):
        f = (lambda g: lambda x: vjp(g, x)[1](1.0)[0])(f)
    return f(x)


def by_jvp(f: Any, order: int, x: float) -> Any:
    for _ in range(order):
        f = (lambda g: lambda x: jvp(g, (x,), (1.0,))[1])(f)
    return f(x)


def by_create_graph(f: Any, order: int, x: float) -> Any:
    leaf = Value(x)
    result = f(leaf)
    for _ in range(order - 1):
        result = grad(result, leaf, create_graph=True)
    result.backward()
    return leaf.grad


def by_matrices(f: Any, order: int, x: float) -> Any:
    def whole(p: Any) -> Any:
        return f(p[0]) * p[1]

    if order == 1:
        return jacobian(lambda p: [whole(p), p[0]])([x, 1.0])
    if order == 2:
        return hessian(whole)([x, 1.0])
    return hvp(lambda p: grad(whole)(p)[0], [x, 1.0], [1.0, 0.5])


TRANSFORMS = [by_grad, by_value_and_grad, by_vjp, by_jvp, by_create_graph, by_matrices]


def numbers(tree: Any) -> list[float]:
    parts = autograd.nestings.leaves(tree)
    return [one.data if isinstance(one, Value) else one for one in parts]


def types(tree: Any) -> list[type]:
    return [type(one) for one in autograd.nestings.leaves(tree)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("use", USES, ids=lambda f: f.__name__)
@pytest.mark.traced(every=2)
def test_derivatives_are_the_eager_ones(use: Any, transform: Any, engine: str) -> None:
    compiled = use(lambda f: autograd.compile(f, engine=engine))
    eager = use(lambda f: f)
    for order in (1, 2, 3):
        want = transform(eager, order, 0.7)
        for _ in range(2):
            found = transform(compiled, order, 0.7)
            assert numbers(found) == pytest.approx(numbers(want), rel=1e-10, abs=1e-13), order
            assert types(found) == types(want), order
    if transform is not by_create_graph:  # which finds no graph there
        with no_grad():
            found, want = transform(compiled, 2, 0.7), transform(eager, 2, 0.7)
        assert numbers(found) == pytest.approx(numbers(want), rel=1e-10, abs=1e-13)
        assert types(found) == types(want)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_a_compiled_argument_are_those_of_mpmath(order: int) -> None:
    found = by_grad(as_argument(autograd.compile), order, 0.7)
    want = mpmath.diff(lambda x: (mpmath.sin(x**3) + x) * x, 0.7, order)
    assert found == pytest.approx(float(want), rel=1e-9)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("use", USES, ids=lambda f: f.__name__)
def test_leaves_get_the_eager_gradients(use: Any, exact: bool) -> None:
    """All the leaves of the graph, those that the function closes over among them."""
    found = []
    for wrap in (lambda f: autograd.compile(f, engine="numpy", exact=exact), lambda f: f):
        x = Value(0.7)
        y = use(wrap)(x) * 2.0
        y.backward()
        y.backward(0.5)
        leaves = [node for node in topological(y) if node.is_leaf and node.label == "w"]
        found.append((y.data, x.grad, [leaf.grad for leaf in leaves]))
    (y, slope, slopes), (want, wanted, all_wanted) = found
    assert y == pytest.approx(want, rel=1e-13)
    assert slope == pytest.approx(wanted, rel=1e-12)
    assert slopes == pytest.approx(all_wanted, rel=1e-12)


# What these make leaves of are plain numbers in a recording.
LEAVES_OF_THEIR_OWN = [with_a_derivative_inside, with_what_is_detached]


@pytest.mark.parametrize(
    "use", [one for one in USES if one not in LEAVES_OF_THEIR_OWN], ids=lambda f: f.__name__
)
def test_what_shows_a_graph_shows_the_eager_one(use: Any) -> None:
    shown = []
    for wrap in (lambda f: autograd.compile(f, engine="numpy"), lambda f: f):
        x = Value(0.7, "x")
        with scope("outer"):
            y = use(wrap)(x)
        y.label = "y"
        y.backward()
        # Paths of one size may change places.
        pictures = [draw(y).mermaid(), str(play(y)), sorted(str(explain(y, x)).split("\n"))]
        scopes = [node.scope for node in topological(y)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y.backward()
        shown.append([*pictures, scopes, round(x.grad, 9)])
    assert shown[0] == shown[1]


@pytest.mark.parametrize("use", USES, ids=lambda f: f.__name__)
def test_the_checker_says_of_it_what_it_says_of_the_eager_one(use: Any) -> None:
    verdicts = [
        check_gradients(use(wrap), 0.7).verdict
        for wrap in (lambda f: autograd.compile(f, engine="numpy"), lambda f: f)
    ]
    assert verdicts[0] is verdicts[1]


# ---------------------------------------------------------------------- types


def shown(tree: Any) -> Any:
    """The classes of what is in a tree."""
    return autograd.nestings.rebuilt(tree, iter(types(tree)))


W = Value(2.0, "w")
TYPES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a number": (lambda x: x * 2.0, (3.0,)),
    "a Value": (lambda x: x * 2.0, (Value(3.0),)),
    "a leaf behind it": (lambda x: x * W, (3.0,)),
    "some depend on a Value": (lambda x, y: [x * 2.0, y * 2.0, x * y, 1.0], (3.0, Value(4.0))),
    "whole numbers": (lambda n, x: (n * n + 1, n * x, n), (3, 1.5)),
    "truth values": (lambda x: {"positive": x > 0.0, "x": x}, (3.0,)),
    "detached": (lambda x: [x.detach(), x.data, x * 1.0], (Value(3.0),)),
    "a leaf's data": (lambda x: [x * W.data, W.detach(), W.item()], (3.0,)),
    "a constant": (lambda x: [Value(1.0), 2, True, x], (3.0,)),
    "a sum that starts with a Value": (lambda x: sum(x, Value(0.0)), ([3.0, 4.0],)),
    "no operation": (lambda x, y: [y, x, W], (3.0, Value(4.0))),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TYPES)
def test_the_classes_of_a_result_are_the_eager_ones(name: str, engine: str) -> None:
    f, arguments = TYPES[name]
    compiled = autograd.compile(f, engine=engine)
    want = f(*arguments)
    for _ in range(2):
        found = compiled(*arguments)
        assert shown(found) == shown(want)
        assert numbers(found) == numbers(want)
    with no_grad():
        found = compiled(*arguments)
    assert not any(one is Value for one in types(found))
    assert numbers(found) == numbers(want)


def test_what_a_function_hands_through_is_the_same_object() -> None:
    x, f = Value(3.0), autograd.compile(lambda x, y: [x, W, y, x * W])
    found = f(x, 2.0)
    assert (found[0] is x, found[1] is W, found[2]) == (True, True, 2.0)
    again = autograd.compile(lambda x: [z := x * 2.0, z])(x)
    assert again[0] is again[1]


def test_a_computed_value_and_a_leaf_may_be_arguments_and_keep_their_gradients_apart() -> None:
    x = Value(3.0)
    y = x * x
    f = autograd.compile(lambda a, b, c: a * b + c)
    f(y, x, y).backward()
    assert (x.grad, y.grad) == (3.0 * 9.0 + 6.0, 4.0)


def test_arrays_give_arrays_of_numbers_and_of_values_where_a_derivative_is_taken() -> None:
    w = Value(2.0)
    f = autograd.compile(lambda x: (w * x).sin())
    x = np.array([1.0, 2.0, 3.0])
    assert f(x).dtype == np.float64
    assert f(x) == pytest.approx(np.sin(2.0 * x))
    g = autograd.compile(lambda x, k: (k * x).sin())
    k = Value(2.0)
    rows = g(x, k)
    assert (rows.dtype, rows.shape) == (np.dtype(object), (3,))
    sum(rows).backward()
    assert k.grad == pytest.approx(float((x * np.cos(2.0 * x)).sum()))
    assert grad(lambda k: sum(g(x, k), 0.0))(2.0) == pytest.approx(k.grad)
    both = autograd.compile(lambda x, k: [x * k, {"a": k}])(x, k)
    assert [one.shape for one in (both[0], both[1]["a"])] == [(3,), (3,)]


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 3.0), ("mean", 1.0)])
def test_a_reduced_result_of_arrays_is_a_value_that_trains(reduction: str, factor: float) -> None:
    w = Value(2.0)
    f = autograd.compile(lambda x: w * w * x, reduction=reduction)
    x = np.array([1.0, 2.0, 3.0])
    loss = f(x) + w
    loss.backward()
    assert w.grad == pytest.approx(4.0 * 2.0 * factor + 1.0)
    with no_grad():
        assert type(f(x)) is float


def test_a_compiled_model_trains_in_an_eager_loop() -> None:
    losses = []
    for wrap in (autograd.compile, lambda f: f):
        model = MLP([2, 3, 1], "tanh", seed=0)
        run, optimizer, found = wrap(model), SGD(model, lr=0.1), []
        for _ in range(4):
            optimizer.zero_grad()
            outputs = [run([x, 1.0])[0] for x in (0.5, -1.0, 2.0)]
            loss = mse(outputs, [1.0, 0.0, -1.0])
            loss.backward()
            optimizer.step()
            found.append(loss.data)
        losses.append([*found, *(p.data for p in model.parameters())])
    assert losses[0] == pytest.approx(losses[1], rel=1e-11)
    assert losses[0][0] > losses[0][3]


# ---------------------------------------------------------------------- what is done to graphs


def test_a_numbers_own_call_counts_not_what_became_of_the_leaves_since() -> None:
    w, x = Value(2.0), Value(3.0)
    f = autograd.compile(lambda x: w * w * x * x)
    y = f(x)
    w.data, x.data = 10.0, 20.0
    y.backward()
    assert (w.grad, x.grad) == (2.0 * 2.0 * 9.0, 4.0 * 2.0 * 3.0)
    with pytest.raises(RuntimeError, match=r"the \.data of a Value has changed"):
        grad(f(x) + y, x, create_graph=True)
    assert "v1 = w * w = 2 * 2 = 4" in str(play(y))
    assert [node.data for node in topological(y) if not node.is_leaf] == [4.0, 12.0, 36.0]


def test_hooks_run_on_results_arguments_and_leaves() -> None:
    w, x = Value(2.0), Value(3.0)
    y = autograd.compile(lambda x: w * x)(x)
    spy = Spy()
    for node in (w, x, y):
        node.register_hook(lambda g: 10.0 * spy.note(g)[0])
    (y * 5.0).backward()
    assert sorted(spy.things) == [5.0, 50.0 * 2.0, 50.0 * 3.0]
    assert (w.grad, x.grad) == (1500.0, 1000.0)
    draw(y)  # which unfolds it; the hook stays
    (y * 1.0).backward()
    assert w.grad == 1500.0 + 300.0


def test_gradients_are_set_to_zero_and_computed_results_cannot_be_copied() -> None:
    w = Value(2.0)
    y = autograd.compile(lambda x: [w * x, w + x])(Value(3.0))
    total = y[0] * y[1]
    total.backward()
    assert w.grad == 3.0 * 5.0 + 6.0
    total.zero_grad()
    assert w.grad == 0.0
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a computed Value cannot be copied or pickled"):
            refused(y[0])


def test_a_pass_that_is_stopped_leaves_every_gradient_as_it_was() -> None:
    w, x, v = Value(2.0), Value(3.0), Value(1.0)
    y = autograd.compile(lambda x: [w * x * 2.0, w + x])(x)
    total = (y[0] * y[1]) * v
    total.backward()
    before = [node.grad for node in topological(total)]

    def stop(g: float) -> float:
        raise KeyboardInterrupt

    x.register_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        total.backward()
    assert [node.grad for node in topological(total)] == before


def test_inf_and_nan_in_a_call_are_named_by_the_operation_inside() -> None:
    f = autograd.compile(lambda x: (x * 2.0).log() * x)
    x = Value(0.0, "x")
    y = f(x) + 1.0
    with pytest.warns(NonFiniteWarning, match=r"log\(x\) = -inf at x = 0\.0"):
        y.backward()
    with detect_anomaly(), pytest.raises(NonFiniteError, match=r"log\(x\) = -inf at x = 0\.0"):
        f(x)
    with pytest.warns(NonFiniteWarning, match=r"grad: .*sqrt"):
        grad(autograd.compile(lambda x: x.sqrt()))(0.0)
    y = autograd.compile(lambda x: x.sqrt())(Value(0.0))
    with pytest.warns(NonFiniteWarning, match=r"in sqrt\(x\) = 0.0 at x = 0.0$"):
        y.backward()


def test_an_infinite_slope_outside_of_a_call_is_told_if_it_is_lost() -> None:
    f = autograd.compile(lambda x: x * 3.0, engine="numpy")
    for way in (lambda g: grad(g)(0.0), lambda g: jvp(g, (0.0,), (1.0,))):
        for g in (lambda x: f(x.sqrt() ** 2), lambda x: f(x.sqrt()) ** 2):
            with pytest.warns(NonFiniteWarning, match=r"may be lost: sqrt\(x\) = 0.0"):
                way(g)


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@pytest.mark.parametrize("at", [[inf, 1e308, 0.5], [0.5, 0.0, inf], [nan, -1.0, 0.0]])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_with_several_results_has_the_eager_slopes_at_the_ends(
    engine: str, at: list[float]
) -> None:
    def f(v: list[Any]) -> list[Any]:
        return [1.0 / (v[0] * v[0] + v[2].tanh()), (v[1] / v[1]).floor().ceil(), v[2] * v[1]]

    def slopes(f: Any) -> list[float]:
        along = [1.0, -1.0, 0.5]
        values, lifted = f(nodes := list(map(Value, at))), [jvp(f, (nodes,), (along,))]
        every = [grad(value, nodes) for value in values], jacobian(f)(at)
        return numbers([every, jvp(f, (at,), (along,)), vjp(f, at)[1]([1.0, 2.0, 0.0]), lifted])

    found, wanted = slopes(autograd.compile(f, engine=engine)), slopes(f)
    assert found == pytest.approx(wanted, rel=1e-12, nan_ok=True)


def test_a_huge_adjoint_does_not_overflow_on_the_way() -> None:
    f = autograd.compile(lambda x: (x * 1e200) * 1e200)
    x = Value(1e-200)
    (f(x) * 1e-300).backward()
    assert x.grad == pytest.approx(1e100)


def test_a_thousand_parameters_cost_one_node_a_call() -> None:
    w = [Value(0.001 * i) for i in range(1000)]
    f = autograd.compile(lambda x: sum((v * x for v in w), 0.0))
    first = len(topological(f(1.0)))
    y = f(1.0) + f(2.0) + f(3.0)
    assert len(topological(y)) <= first + 2 + 2
    y.backward()
    assert [v.grad for v in w] == [6.0] * 1000


def test_a_method_that_gives_numbers_gives_values_where_a_derivative_goes_through() -> None:
    f = autograd.compile(lambda x: x * x * x)
    assert grad(lambda x: f.value_and_grad(x)[1] * x)(2.0) == 3.0 * 12.0
    assert grad(lambda x: autograd.compile(lambda y: f.value_and_grad(y)[1])(x))(2.0) == 12.0
    x = Value(2.0)
    value, slope = f.value_and_grad(x)
    assert (type(value), type(slope)) == (Value, Value)
    assert f.value_and_grad(2.0) == (8.0, 12.0)
    assert f.value_and_grad(2) == (8.0, 12.0)


def test_numbers_are_refused_where_a_derivative_would_be_lost() -> None:
    w = Value(2.0)
    f = autograd.compile(lambda x: w * x, reduction="sum")
    rows, flat = np.array([1.0, 2.0]), f.flat([w])
    methods: list[Any] = [
        lambda x: f.parameter_gradients(x)[1],
        lambda x: f.per_sample_gradients(x)[0],
        lambda x: f.hvp([1.0], x),
        lambda x: [flat.backward(x)],
    ]
    for method in methods:
        with pytest.raises(TypeError, match="this gives numbers, and the derivative"):
            method(Value(3.0))
        with pytest.raises(TypeError, match="this gives numbers, and the derivative"):
            grad(lambda x: x * method(3.0)[0])(2.0)  # noqa: B023
        with no_grad():
            assert len(method(Value(3.0))) == 1
        assert len(method(3.0)) == 1
    with pytest.raises(TypeError, match="this gives numbers, and the derivative"):
        grad(lambda x: x * f.value_and_grad(rows)[0])(2.0)


def test_backward_adds_to_the_arguments_that_are_values_too() -> None:
    w = Value(2.0)
    f = autograd.compile(lambda x: w * x)
    assert f.backward(w) == 4.0
    assert w.grad == 4.0
    x = Value(3.0)
    f.backward(x * x)
    assert (w.grad, x.grad) == (4.0 + 9.0, 2.0 * 6.0)
    w.grad, k = 0.0, Value(5.0)
    g = autograd.compile(lambda x, k: w * x * k)
    assert g.backward(np.array([1.0, 3.0]), k).tolist() == [10.0, 30.0]
    assert (w.grad, k.grad) == (20.0, 8.0)
