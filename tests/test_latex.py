"""Formulas as LaTeX: every row, names, numbers, and the meaning kept."""

import re
from typing import Any

import pytest

from autograd import Value, explain, expression, rows
from autograd.printers.latex import number, symbol
from autograd.show.paths import Explanation
from nn import scce

SMALL = {"w": 2.0, "x": -1.0, "b": 0.5, "y": 1.0}


@pytest.mark.parametrize("name", rows())
def test_every_operation_is_typeset_with_its_brackets_closed(name: str) -> None:
    op = rows()[name]
    x, y = Value(0.4, "x"), Value(0.3, "y")
    z: Any = op(x) if op.arity == 1 else op(x, y)
    text = z.latex()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")
    assert "x" in text
    assert re.search(r"\\|[-+ ]|\^", text)


def test_parts_with_names_have_lines_of_their_own() -> None:
    text = expression("h = tanh(w*x + b); (h - y)**2 + h*h", SMALL).latex()
    assert text == (
        r"\begin{aligned} h &= \tanh\left(w \, x + b\right) \\ "
        r"& \left(h - y\right)^{2} + h \, h \end{aligned}"
    )


def test_a_part_without_a_name_that_is_used_twice_gets_one() -> None:
    x = Value(2.0, "x")
    square = x * x
    text = (square + square.exp()).latex()
    assert (
        text == r"\begin{aligned} v_{1} &= x \, x \\ & v_{1} + \exp\left(v_{1}\right) \end{aligned}"
    )


def test_two_nodes_with_one_label_stay_two() -> None:
    a, b = Value(2.0, "w"), Value(3.0, "w")
    assert (a * b**2).latex() == r"w \, \left(w^{(2)}\right)^{2}"


def test_the_root_has_its_label_and_a_leaf_its_number() -> None:
    loss = Value(2.0, "w") ** 2
    loss.label = "loss"
    assert loss.latex() == r"\mathrm{loss} = w^{2}"
    assert Value(-0.5, "w").latex() == "w = -0.5"


def test_names_and_numbers_are_symbols() -> None:
    assert symbol("w12") == "w_{12}"
    assert symbol("layers.0.w1") == r"\mathrm{layers.0.w1}"
    assert symbol("50%_{x}") == r"\mathrm{50\%\_\{x\}}"
    assert symbol("\\input") == r"\mathrm{\backslash input}"
    assert [number(x)[0] for x in (-3.0, 1.23456, 1e-9, float("inf"), float("nan"))] == [
        "-3", "1.235", r"1 \cdot 10^{-9}", r"\infty", r"\mathrm{nan}",
    ]  # fmt: skip


def test_a_formula_that_nobody_can_read_is_refused() -> None:
    x = Value(0.5, "x")
    total = x
    for _ in range(301):
        total = total.tanh()
    with pytest.raises(ValueError, match="latex: a formula of 301 operations cannot be read"):
        total.latex()
    deep = x
    for _ in range(299):
        deep = deep.tanh()
    assert deep.latex().count(r"\tanh") == 299


def test_an_explanation_is_the_sum_over_paths() -> None:
    a, b = Value(2.0, "a"), Value(-3.0, "b")
    c = a * b
    c.label = "c"
    y = c * a
    y.label = "y"
    text = explain(y, a).latex()
    assert r"\frac{\partial y}{\partial c} \, \frac{\partial c}{\partial a}" in text
    assert r"&= -12 \end{aligned}" in text
    assert r"\left(-6\right) + \left(-6\right)" in text
    assert explain(a, a).latex().startswith(r"\begin{aligned}")


def test_an_explanation_without_paths_is_its_total() -> None:
    assert Explanation(1.5, [], 0).latex() == "1.5"


def test_a_sign_after_a_plus_or_a_minus_stands_in_brackets() -> None:
    x, y = Value(2.0, "x"), Value(3.0, "y")
    assert (x + -y).latex() == r"x + \left(-y\right)"
    assert (x - -3.0).latex() == r"x - \left(-3\right)"


def test_each_of_several_formulas_has_its_own_meanings() -> None:
    rows = [[Value(0.5, "a"), Value(-0.5, "b")], [Value(1.0, "c"), Value(2.0, "d")]]
    text = scce(rows, [0, 1], from_logits=True).latex(detail="textbook")
    first, second, last = text.removeprefix(r"\begin{aligned} ").split(r" \\ ")
    assert first.startswith(r"v_{1} &= -\log\left(p_{0}\right),\quad p_{i} = ")
    assert second.startswith(r"v_{2} &= -\log\left(p_{1}\right),\quad p_{i} = ")
    assert last == r"& \frac{v_{1} + v_{2}}{2} \end{aligned}"
    one = scce(rows[:1], [0], from_logits=True).latex(detail="textbook")
    assert one.startswith(r"\begin{aligned} & -\log\left(p_{0}\right) \\ p_{i} &= ")
