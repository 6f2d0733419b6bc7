"""The reader of typed expressions: what it says word for word, how deep, and what it gives."""

import math
from typing import Any

import pytest

from autograd import Value, expression
from autograd.expressions import ExpressionError


def test_an_error_shows_thirty_characters_to_either_side_and_a_caret() -> None:
    text = "".join(chr(65 + i % 26) for i in range(100))
    error = ExpressionError("why", text, 50)
    assert str(error) == f"why\n  {text[20:80]}\n  {' ' * 30}^"
    assert (error.why, error.at) == ("why", 50)
    assert str(ExpressionError("why", text, 10)) == f"why\n  {text[:40]}\n  {' ' * 10}^"
    assert str(ExpressionError("why", "a\tb\x00c", 2)) == "why\n  a b c\n    ^"
    assert str(ExpressionError("why", "x")) == "why\n  x\n  ^"
    bare = ExpressionError("why")
    assert (str(bare), bare.where, bare.at) == ("why", "", 0)


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("1 + ", 3, "expected a number, a name or '(', got the end"),
        ("1 + * 2", 4, "expected a number, a name or '(', got '*'"),
        ("(1 + 2", 6, "expected ')'"),
        ("1 2", 2, "expected an operator, ';' or the end, got '2'"),
        ("tanh(1, 2", 9, "expected ',' or ')'"),
        ("2 * tanh(1, 2)", 4, "tanh takes 1 operand(s), got 2"),
        ("maximum(1)", 0, "maximum takes 2 operand(s), got 1"),
        ("1 + leaky_relu(1, 2, 3)", 4, "leaky_relu takes 1 or 2 operand(s), got 3"),
        ("1 + tanhh(2)", 4, "unknown function 'tanhh'; did you mean 'tanh'?"),
        ("1 + qqq(2)", 4, "unknown function 'qqq'"),
        ("1 + tanh", 4, "tanh is a function: write tanh(...)"),
        ("1 + weigth", 4, "weigth has no value; did you mean 'weight'?"),
        ("1 + q", 4, "q has no value; give one, as in q=1.0"),
        ("a = 1; a = 2", 7, "a has a value already"),
        ("1; weight = 2", 3, "weight has a value already"),
        ("2 + 10 ** 400", 7, "10 ** 400 is too large for a float"),
        ("0.5 ** -2000", 4, "0.5 ** -2000 is too large for a float"),
        ("1e999", 0, "1e999 is too large for a float"),
        ("1 $ 2", 2, "expected an operator, ';' or the end, got '$'"),
    ],
)
def test_what_is_wrong_is_told_with_a_caret_under_its_place(text: str, at: int, why: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        expression(text, weight=1.0)
    assert str(caught.value) == f"{why}\n  {text}\n  {' ' * at}^"
    assert (caught.value.why, caught.value.at) == (why, at)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("0 ** -1", math.inf),
        ("inf ** 2", math.inf),
        ("-2 ** 2", -4.0),
        ("--2", 2.0),
        ("-+-+2", 2.0),
        ("2 ** -1", 0.5),
        ("2 ** 3 ** 2", 512.0),
        (" 1;2 ; 3 ;", 3.0),
        ("a = 2; b = a * a; b + a", 6.0),
        (".5e1 + 5.", 10.0),
        ("-(1 - 3) / 4", 0.5),
        ("pi", math.pi),
    ],
)
def test_numbers_are_computed(text: str, result: float) -> None:
    assert expression(text).data == result


def test_named_parts_are_labelled_and_values_are_their_leaves() -> None:
    w = Value(3.0, "own")
    y = expression("h = -w * x; k = h; k + h", {"x": 2}, w=w)
    assert y.data == -12.0
    y.backward()
    assert w.grad == -4.0
    (h, _) = y.parents
    assert h.label == "h"
    labels = {node.label for node in h.parents[0].parents} | {node.label for node in h.parents}
    assert {"own", "x"} <= labels
    with pytest.raises(ExpressionError, match=r"^v has a value, but the expression has no such"):
        expression("w", w=1.0, v=2.0)


def nested(inside: str, depth: int, opening: str = "(", closing: str = ")") -> str:
    return opening * depth + inside + closing * depth


@pytest.mark.parametrize(
    ("opening", "closing", "one"),
    [("(", ")", "(1)"), ("tanh(", ")", "tanh(1)"), ("1**(", ")", "1**1")],
)
def test_a_hundred_levels_are_read_and_each_that_is_closed_is_free_again(
    opening: str, closing: str, one: str
) -> None:
    levels = opening.count("(") + opening.count("*") // 2
    deepest = 100 // levels
    assert math.isfinite(expression(nested("1", deepest, opening, closing)).data)
    with pytest.raises(ExpressionError, match="nested more than 100 deep"):
        expression(nested("1", deepest + 1, opening, closing))
    assert math.isfinite(expression("+".join([one] * 300)).data)
    # What is closed within counts for nothing, neither for more nor for less.
    for before in (one, "+".join([one] * 150)):
        with pytest.raises(ExpressionError, match="nested more than 100 deep"):
            expression(before + "+" + nested("1", deepest + 1, opening, closing))
        inner = f"{before}+{nested('1', deepest // 2 + 1, opening, closing)}"
        with pytest.raises(ExpressionError, match="nested more than 100 deep"):
            expression(nested(inner, deepest // 2, opening, closing))
        inner = f"{before}+{nested('1', deepest // 2 - 1, opening, closing)}"
        assert expression(nested(inner, deepest // 2, opening, closing)) is not None


def test_a_text_may_have_20000_characters() -> None:
    assert expression("1" + " " * 19_999).data == 1.0
    with pytest.raises(ExpressionError, match=r"^longer than 20000 characters \(20,001\)"):
        expression("1" + " " * 20_000)
    long: Any = "q" * 60
    with pytest.raises(ExpressionError) as caught:
        expression(long)
    assert caught.value.why == f"{'q' * 40} has no value; give one, as in {'q' * 40}=1.0"
