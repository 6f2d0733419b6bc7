"""Rules that functions of JAX define: wrong ones are named, right ones are not accused."""

from typing import Any

import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp

from autograd.bridges.jax_rules import check_rules

X = jnp.array([-1.5, 0.4])


def vjp(forward: Any, backward: Any) -> Any:
    """A function with a rule for the backward pass, which gets the operand."""

    def squash(x: Any) -> Any:
        return forward(x)

    own = jax.custom_vjp(squash)
    own.defvjp(lambda x: (forward(x), x), lambda x, g: (backward(g, x),))
    return own


def jvp(forward: Any, push: Any) -> Any:
    """A function with a rule for tangents."""

    def squash(x: Any) -> Any:
        return forward(x)

    own = jax.custom_jvp(squash)
    own.defjvp(lambda primals, tangents: (forward(*primals), push(*tangents, *primals)))
    return own


RIGHT = {
    "vjp": vjp(jnp.tanh, lambda g, x: g * (1 - jnp.tanh(x) ** 2)),
    "jvp": jvp(jnp.sin, lambda t, x: t * jnp.cos(x)),
    "single": vjp(jnp.sin, lambda g, x: (g * jnp.cos(x.astype(jnp.float32))).astype(g.dtype)),
    "kink": jvp(lambda x: jnp.maximum(x, 0.0), lambda t, x: jnp.where(x > 0, t, 0.0)),
}
WRONG = {
    "tanh: dz/dx is 1 - x * x where it should be 1 - z * z": vjp(
        jnp.tanh, lambda g, x: g * (1 - x * x)
    ),
    "sin: dz/dx = cos(x) has the wrong sign": jvp(jnp.sin, lambda t, x: -t * jnp.cos(x)),
    "the gradient of x0[0] is 0.5 where it should be 0": vjp(jnp.round, lambda g, x: g),
}


def network(function: Any) -> Any:
    """A loss that uses the function inside `jit`, between other operations."""
    return lambda w, x: (jax.jit(lambda y: function(y) * 2.0)(w * x) ** 2).sum()


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_not_accused(name: str) -> None:
    at = jnp.append(X, 0.0) if name == "kink" else X
    report = check_rules(network(RIGHT[name]), jnp.ones_like(at), at)
    note = "\nit is right to single precision only" if name == "single" else ""
    assert str(report) == "the backward pass is right" + note


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_rule_is_named_with_its_function_and_its_mistake(message: str) -> None:
    report = check_rules(network(WRONG[message]), jnp.ones_like(X), X)
    (fault,) = report.faults
    assert fault.mistake.startswith(message[:30])
    assert message.partition(" is ")[2] in fault.mistake
    assert fault.place.startswith("in squash at test_bridge_jax_rules.py:")
    assert fault.rule in ("custom_vjp", "custom_jvp")


def test_a_wrong_rule_inside_a_loop_shows_in_the_whole_function() -> None:
    wrong = next(iter(WRONG.values()))
    report = check_rules(lambda x: jax.lax.scan(lambda c, _: (wrong(c), c), x, None, 2)[0], X)
    (fault,) = report.faults
    assert fault.place == "in the function"
    assert "tanh: dz/dx is 1 - x * x" in fault.mistake
    assert check_rules(lambda k, x: RIGHT["vjp"](x) * k, 3, X)
    assert check_rules(lambda x: 1.0, X)
