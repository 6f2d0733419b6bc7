"""Derivatives inside derivatives: every transform in every other, wherever the variable is from.

The referee, `tests/polynomials.py`, runs the same programs with exact polynomials.
"""

import itertools
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import autograd
from autograd import (
    Value,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    recording,
    value_and_grad,
    vjp,
)
from autograd.modes import present_call, present_mode
from autograd.nestings import leaves
from tests import polynomials

Function = Callable[[Any], Any]


def _value_and_grad(m: Any, f: Function, at: Any) -> Any:
    value, slope = m.value_and_grad(f)(at)
    return 2.0 * value + slope


def _vjp(m: Any, f: Function, at: Any) -> Any:
    out, pull = m.vjp(lambda x, y: [f(x), x * y], at, 0.5)
    return out[0] + out[1] + pull([2.0, at])[0] + pull([1.0, 0.0])[1]


def _jvp(m: Any, f: Function, at: Any) -> Any:
    out, slope = m.jvp(lambda x, y: f(x) * y, (at, 0.5), (2.0, at))
    return out + slope


def _wide(m: Any, f: Function, at: Any) -> Any:  # more results than arguments: forward
    rows = m.jacobian(lambda x: [f(x), x * x, 3.0])(at)
    return rows[0] - rows[1] + rows[2]


def _tall(m: Any, f: Function, at: Any) -> Any:  # more arguments than results: backward
    row = m.jacobian(lambda p: f(p[0]) * p[1])([at, 0.5])
    return row[0] + 2.0 * row[1]


def _matrix(m: Any, f: Function, at: Any) -> Any:
    rows = m.hessian(lambda p: f(p[0]) * p[1] * p[1])([at, 0.5])
    return rows[0][0] + 3.0 * rows[1][0] + rows[1][1]


def _two(m: Any, f: Function, at: Any) -> Any:
    one, two = m.grad(lambda x, y: f(x) * y, argnums=(0, 1))(at, 0.5)
    return one + 2.0 * two


TRANSFORMS: dict[str, Callable[[Any, Function, Any], Any]] = {
    "grad": lambda m, f, at: m.grad(f)(at),
    "grad of two": _two,
    "value_and_grad": _value_and_grad,
    "vjp": _vjp,
    "jvp": _jvp,
    "wide jacobian": _wide,
    "tall jacobian": _tall,
    "hessian": _matrix,
    "hvp": lambda m, f, at: m.hvp(f, at, 2.0) + m.hvp(f, 0.5, at),
}
# Where the inner derivative has the outer variable from.
SOURCES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "captured": lambda transform, m, f, u: transform(m, lambda t: f(t, u), 1.5),
    "passed": lambda transform, m, f, u: transform(m, lambda t: f(t, 0.75), u),
    "both": lambda transform, m, f, u: transform(m, lambda t: f(t, u), u),
}
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda t, u: t + u,  # perturbation confusion shows as a 2
    "polynomial": lambda t, u: t * t * t * u + 2.0 * (t - u) * (t * u * u - 1.0) * t,
}
AT = 0.625


def nested(m: Any, inner: str, source: str, f: Any) -> Function:
    """u times an inner derivative that depends on u."""
    return lambda u: u * SOURCES[source](TRANSFORMS[inner], m, f, u) + u


def near(found: Any, exact: Any) -> bool:
    wanted = float(exact)
    number = found.data if isinstance(found, Value) else found
    return bool(abs(number - wanted) <= 1e-12 * max(1.0, abs(wanted)))


def both(program: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What the engine gives, and what the referee does."""
    return program(autograd), program(polynomials)


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=list(FUNCTIONS))
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("inner", TRANSFORMS)
@pytest.mark.parametrize("outer", TRANSFORMS)
def test_two_deep(outer: str, inner: str, source: str, f: Any) -> None:
    found, exact = both(lambda m: TRANSFORMS[outer](m, nested(m, inner, source, f), AT))
    assert near(found, exact)
    assert type(found) is float  # nothing comes from outside


_THREE = list(itertools.product(TRANSFORMS, TRANSFORMS, TRANSFORMS))


@pytest.mark.parametrize("names", random.Random(0).sample(_THREE, 60), ids="/".join)
def test_three_deep(names: tuple[str, str, str]) -> None:
    outer, middle, inner = names

    def program(m: Any) -> Any:
        def of_two(t: Any, u: Any) -> Any:
            f = FUNCTIONS["sum" if "hessian" in names else "polynomial"]
            return TRANSFORMS[inner](m, lambda s: f(s, t) * u * s, u) * t * u

        return TRANSFORMS[outer](m, nested(m, middle, "both", of_two), AT)

    found, exact = both(program)
    assert near(found, exact)


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=list(FUNCTIONS))
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("inner", TRANSFORMS)
def test_backward_goes_through_an_inner_derivative(inner: str, source: str, f: Any) -> None:
    program = nested(autograd, inner, source, f)
    value, slope = polynomials.value_and_grad(nested(polynomials, inner, source, f))(AT)
    second = polynomials.hessian(nested(polynomials, inner, source, f))(AT)
    w = Value(AT)
    found = program(w)
    found.backward()
    assert (near(found, value), near(w.grad, slope)) == (True, True)
    again = grad(program(w), w, create_graph=True)
    w.grad = 0.0
    again.backward()
    assert (near(again, slope), near(w.grad, second)) == (True, True)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("inner", TRANSFORMS)
def test_inside_no_grad_there_are_numbers(inner: str, source: str) -> None:
    f, w = FUNCTIONS["polynomial"], Value(AT)
    exact = nested(polynomials, inner, source, f)(polynomials.polynomial(AT))
    with no_grad():
        found = SOURCES[source](TRANSFORMS[inner], autograd, f, w) * w.data + w.data
        assert type(found) is float
        assert near(found, exact)
        # Inside of the outer function operations are recorded again.
        slope = grad(nested(autograd, inner, source, f))(AT)
        outside = grad(lambda t: t * nested(autograd, inner, source, f)(w))(AT)
    assert near(slope, polynomials.grad(nested(polynomials, inner, source, f))(AT))
    assert (type(outside), near(outside, exact)) == (float, True)
    assert w.grad == 0.0


@pytest.mark.parametrize("inner", TRANSFORMS)
def test_what_is_detached_is_a_constant(inner: str) -> None:
    f = FUNCTIONS["polynomial"]

    def program(m: Any, cut: Function) -> Function:
        return lambda u: TRANSFORMS[inner](m, lambda t: f(t, cut(u)), u) * u

    constant = polynomials.polynomial(AT)
    exact = polynomials.grad(program(polynomials, lambda u: constant))(AT)
    assert near(grad(program(autograd, lambda u: u.detach()))(AT), exact)
    assert near(grad(program(autograd, lambda u: u.data))(AT), exact)

    def inside_no_grad(u: Any) -> Any:
        with no_grad():
            return u * 1.0

    assert near(grad(program(autograd, inside_no_grad))(AT), exact)
    with no_grad():  # `recording` inside of it counts
        w = Value(AT)
        with recording():
            found = program(autograd, lambda u: u.detach())(w)
            found.backward()
    assert near(w.grad, exact)


@pytest.mark.parametrize("inner", TRANSFORMS)
def test_several_leaves_get_their_gradients(inner: str) -> None:
    def program(m: Any) -> Callable[..., Any]:
        return lambda a, b, c: a * TRANSFORMS[inner](m, lambda t: a * t * t * b + c * t * b, c * b)

    exact = polynomials.grad(program(polynomials), (0, 1, 2))(0.5, -1.5, AT)
    nodes = [Value(0.5), Value(-1.5), Value(AT)]
    program(autograd)(*nodes).backward()
    assert [near(node.grad, g) for node, g in zip(nodes, exact, strict=True)] == [True] * 3
    slopes = grad(program(autograd), argnums=(0, 1, 2))(0.5, -1.5, AT)
    assert [near(g, e) for g, e in zip(slopes, exact, strict=True)] == [True] * 3
    # One of them a leaf from outside of both, one the outer variable, one a number.
    w = Value(-1.5)
    mixed = grad(lambda a: program(autograd)(a, w, AT))(0.5)
    assert near(mixed, exact[0])
    mixed.backward()
    cross = polynomials.hessian(lambda p: program(polynomials)(p[0], p[1], AT))([0.5, -1.5])
    assert near(w.grad, cross[0][1])


# ---------------------------------------------------------------------- what comes back

w0 = Value(3.0)
RETURNED: dict[str, Callable[[Function], Any]] = {
    "grad": lambda f: grad(lambda p: f(p["a"]) + 0.0 * p["a"])({"a": 2.0, "b": 1.0}),
    "value_and_grad": lambda f: value_and_grad(lambda x, y: f(x), argnums=(0, 1))(2.0, 1.0),
    "vjp": lambda f: vjp(lambda x: [f(x), 1.0], 2.0)[0],
    "pull": lambda f: vjp(lambda x, y: [f(x), 1.0], 2.0, 1.0)[1]([1.0, 1.0]),
    "jvp": lambda f: jvp(lambda x, y: [f(x), y, 1.0], (2.0, 1.0), (1.0, 0.0)),
    "jacobian": lambda f: jacobian(lambda p: [f(p[0]), p[1]])([2.0, 1.0]),
    "wide jacobian": lambda f: jacobian(lambda x: [f(x), x, 1.0])(2.0),
    "hessian": lambda f: hessian(lambda p: f(p[0]) * p[0])([2.0, 1.0]),
    "hvp": lambda f: hvp(lambda p: f(p[0]) * p[0], [2.0, 1.0], [1.0, 1.0]),
}


@pytest.mark.parametrize("call", RETURNED.values(), ids=list(RETURNED))
def test_all_that_comes_back_is_of_one_kind(call: Any) -> None:
    def kinds(f: Function) -> set[type]:
        return {type(one) for one in leaves(call(f))}

    assert kinds(lambda x: x * x * w0) == {Value}
    assert kinds(lambda x: x * x) == {float}
    assert kinds(lambda x: x * x * Value(2.0) * x.detach()) == {float}
    assert kinds(lambda x: grad(lambda t: t * x)(x) * x) == {float}
    assert kinds(lambda x: grad(lambda t: t * x * w0)(x) * x) == {Value}
    with no_grad():
        assert kinds(lambda x: x * x * w0) == {float}


def test_an_argument_that_is_a_value_counts_where_it_is_reached() -> None:
    w = Value(2.0)
    assert type(grad(lambda x: x * x)(w)) is Value
    assert type(grad(lambda x: 3.0)(w)) is float
    assert type(grad(lambda x, y: x * x, 0)(2.0, w)) is float
    found = value_and_grad(lambda x: w)(w)  # it is the result, and not the argument
    assert (found[0] is w, type(found[1]), found[1].data) == (True, Value, 0.0)
    assert type(grad(lambda x: x * w)(w)) is Value
    slope = grad(lambda x: x * x)(w * w)
    slope.backward()
    assert w.grad == 8.0


def test_weights_and_directions_that_are_values_are_differentiated() -> None:
    v = Value(5.0)
    for made in (
        vjp(lambda x: x**3, 2.0)[1](v)[0],
        jvp(lambda x: x**3, (2.0,), (v,))[1],
        hvp(lambda x: x**3, 2.0, v),
    ):
        assert (made.data, grad(made, v)) == (60.0, 12.0)
    with no_grad():
        assert type(vjp(lambda x: x**3, 2.0)[1](v)[0]) is float
        assert type(jvp(lambda x: x**3, (2.0,), (v,))[1]) is float
        assert type(hvp(lambda x: x**3, 2.0, v)) is float


def test_a_pull_back_gives_numbers_if_it_was_made_or_is_called_inside_no_grad() -> None:
    w = Value(3.0)
    _, pull = vjp(lambda x: x * x * w, 2.0)
    with no_grad():
        assert (pull(1.0), type(pull(1.0)[0])) == ((12.0,), float)
        out, numbers = vjp(lambda x: x * x * w, 2.0)
        assert (out, numbers(1.0)) == (12.0, (12.0,))
    assert type(numbers(1.0)[0]) is float
    (slope,) = pull(1.0)
    assert (slope.data, grad(slope, w)) == (12.0, 4.0)


def test_a_chain_of_inner_steps_is_differentiated() -> None:
    def trained(m: Any, rate: Any) -> Any:
        v = rate * 0.0 + 1.0
        for _ in range(4):
            v = v - rate * m.grad(lambda t: (t * t - 2.0) * t)(v)
        return v * v

    exact = polynomials.value_and_grad(lambda rate: trained(polynomials, rate))(0.0625)
    found = value_and_grad(lambda rate: trained(autograd, rate))(0.0625)
    assert near(found[0], exact[0])
    assert near(found[1], exact[1])


def test_the_graph_before_the_arguments_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []
    visited = autograd.order.visited

    def counting(*roots: Any, without: Any = ()) -> Any:
        found = visited(*roots, without=without)
        walked.append(len(found[0]))
        return found

    for home in (autograd.transform, autograd.adjoints):
        monkeypatch.setattr(home, "visited", counting)
    v = Value(1.0)
    for _ in range(20):
        v = v - 0.1 * grad(lambda t: t * t * t)(v)
    assert len(set(walked)) == 1  # and so 200 steps cost ten times as much as 20


# ---------------------------------------------------------------------- beside other things


def test_hooks_run_in_a_recorded_pass_and_see_values() -> None:
    seen: list[Any] = []
    w = Value(3.0)

    def f(x: Any, factor: Any) -> Any:
        y = x * x
        y.register_hook(seen.append)
        y.register_hook(lambda g: g * 2.0)
        x.register_hook(lambda g: g + 1.0)
        return y * factor

    assert grad(f)(2.0, 3.0) == 3.0 * 2.0 * 4.0 + 1.0
    found = grad(f)(2.0, w)
    assert (found.data, grad(found, w)) == (25.0, 8.0)
    assert (seen[0], type(seen[0]), type(seen[1])) == (3.0, float, Value)
    # A hook on what has nothing to do with the argument is not asked.
    w.register_hook(lambda g: 1 / 0)
    assert grad(lambda x: x * w)(2.0).data == 3.0
    inner = grad(lambda x: x * x * w)(2.0)
    with pytest.raises(ZeroDivisionError):
        inner.backward()
    y = Value(2.0)
    y.register_hook(lambda g: "text")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="a hook's result: expected a real number, got str"):
        grad(y * w, y, create_graph=True)


def test_a_leaf_that_is_changed_inside_is_told_with_what_helps() -> None:
    w = Value(3.0)

    def f(x: Any) -> Any:
        y = x * w
        w.data += 1.0
        return y

    with pytest.raises(RuntimeError, match=r"operand y was 3.0 .* 4.0 now; .* no_grad"):
        grad(f)(2.0)
    with no_grad():
        assert grad(f)(2.0) == 4.0


def test_other_threads_are_in_no_call_and_their_leaves_are_from_outside() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        thread = threading.Thread(target=lambda: seen.append((present_call(), Value(2.0))))
        thread.start()
        thread.join()
        return x * seen[-1][1]

    assert type(grad(f)(3.0)) is Value
    assert seen[0][0] is None


def test_a_call_knows_its_leaves_also_with_labels_scopes_and_hooks() -> None:
    def f(x: Any) -> Any:
        with autograd.scope("part"):
            c = Value(2.0, "c")
        c.label = "renamed"
        c.register_hook(lambda g: None)
        with autograd.detect_anomaly(), no_grad():
            d = c * 3.0
        return x * c * d

    assert grad(f)(1.0) == 12.0


def test_ctrl_c_leaves_no_call_and_no_mode() -> None:
    program = nested(autograd, "hessian", "both", FUNCTIONS["polynomial"])
    interrupted = 0
    for moment in itertools.count(0, 7):
        events: Iterator[int] = iter(range(moment))

        def interrupt(frame: Any, event: str, _: Any, events: Iterator[int] = events) -> None:
            apart = frame.f_code.co_name == "<genexpr>" or frame.f_code.co_filename == __file__
            if event in ("call", "c_return") and not apart and next(events, None) is None:
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        try:
            grad(program)(AT)
            break
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.setprofile(None)
        assert (present_call(), present_mode()) == (None, None)
    assert interrupted > 20
