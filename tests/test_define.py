"""An operation of the user's own: one row, checked when it is defined, then usable everywhere."""

import math
from typing import Any

import pytest

import autograd
from autograd import (
    RuleError,
    Value,
    Verdict,
    check_gradients,
    check_operation,
    define_op,
    draw,
    grad,
    rows,
)

MISH = (
    "x * t",
    "t + x * (1 - t * t) * sigmoid(x)",
)


def test_a_defined_operation_is_a_method_a_function_and_a_part_of_other_rows() -> None:
    mish = define_op("mish", *MISH, t="tanh(softplus(x))")
    v = Value(0.7, "v")
    made: Any = v.mish()  # type: ignore[attr-defined]
    made.backward()
    assert made.op is mish
    assert v.grad == pytest.approx(grad(lambda x: x * autograd.tanh(autograd.softplus(x)))(0.7))
    assert autograd.mish(0.7) == mish(0.7) == made.data
    assert "mish(v)" in draw(made).source
    assert grad(grad(mish))(0.3) == pytest.approx(
        grad(grad(lambda x: x * x.softplus().tanh()))(0.3)
    )


def test_two_operands_and_a_default() -> None:
    scaled = define_op("scaled", "x * y * y", "y * y", "2 * x * y", y=3.0)
    assert scaled(2.0) == 18.0
    a, b = Value(2.0), Value(5.0)
    scaled(a, b).backward()
    assert (a.grad, b.grad) == (25.0, 20.0)
    c = Value(2.0)
    scaled(4.0, c).backward()
    assert c.grad == 16.0


def test_other_rows_may_call_it() -> None:
    define_op("cube", "x * x * x", "3 * x * x")
    sixth = define_op("sixth", "cube(x) * cube(x)", "6 * cube(x) * x * x")
    assert sixth(2.0) == 64.0
    v = Value(2.0)
    sixth(v).backward()
    assert v.grad == 192.0


@pytest.mark.parametrize(
    ("arguments", "columns", "message"),
    [
        (("wrong", "x * x", "x"), {}, "dz/dx = 'x' gives"),
        (("wrong", "x * y", "y", "y"), {}, "dz/dy = 'y' gives"),
        (("wrong", "log(x)", "-1 / x"), {"smooth": "x > 0"}, "dz/dx"),
        (("wrong", "x * q", "1"), {}, "unknown operand 'q'"),
        (("wrong", "log(-1 - x * x)", "1"), {}, "smooth="),
        (("wrong", "wrong(x)", "1"), {}, "calls itself"),
    ],
)
def test_a_wrong_row_is_refused_and_nothing_has_changed(
    arguments: tuple[str, ...], columns: dict[str, str], message: str
) -> None:
    with pytest.raises(RuleError, match="op 'wrong'") as refused:
        define_op(*arguments, **columns)
    assert message in str(refused.value)
    assert not hasattr(Value, "wrong")
    assert "wrong" not in rows()


@pytest.mark.parametrize("name", ["tanh", "backward", "data", "lambda", "two words", "_x", 3])
def test_a_name_that_is_taken_or_none_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        define_op(name, "x", "1")


def test_points_at_which_differences_fail_decide_nothing() -> None:
    # At 0.5, which is tried, it jumps; the other points tell.
    stairs = define_op("stairs", "x * x if x < 0.5 else x * x + 1", "2 * x")
    assert stairs(Value(1.0)).data == 2.0


def test_a_row_may_use_pi_and_inf_and_the_referee_knows_them() -> None:
    turns = define_op("turns", "2 * pi * x", "2 * pi")
    assert check_operation(turns).verdict is Verdict.PASS
    assert turns(0.5) == math.pi
    capped = define_op("capped", "x if x < inf else 0", "1.0 if x < inf else 0.0")
    assert check_gradients(capped, 2.0).verdict is Verdict.PASS
