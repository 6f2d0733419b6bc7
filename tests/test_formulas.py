"""Formulas that plain numbers simplify still have the value of the row's derivative."""

import ast
import math
from typing import Any

import pytest

from autograd import rows
from autograd.show.formulas import formula

NUMBERS = [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0]


def value(text: str, **numbers: float) -> float:
    """The value of a formula, with the rows as its functions."""
    names: dict[str, Any] = {name: lambda *x, op=op: op.value(*x) for name, op in rows().items()}
    code = compile(ast.parse(text, mode="eval"), "formula", "eval")
    return float(eval(code, {"inf": math.inf, "nan": math.nan, "pi": math.pi} | names | numbers))


@pytest.mark.parametrize("name", [op.name for op in rows().values() if op.arity == 2])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_formula_with_a_plain_number_has_the_rows_value(name: str, which: int) -> None:
    op = rows()[name]
    exact: Any = (lambda x, y, z: z, op.dx, op.dy)[which]
    compared = 0
    for plain in NUMBERS:
        for other in (0.7, 1.3, 2.5):
            for x, y, known in ((plain, other, {"x": plain}), (other, plain, {"y": plain})):
                try:
                    z = op.value(x, y)
                    wanted = float(exact(x, y, z))
                except (ArithmeticError, ValueError):
                    continue
                if not (math.isfinite(z) and math.isfinite(wanted)):
                    continue
                text = formula(op, which, number_format=".17g", **known).text
                try:
                    found = value(text, x=x, y=y, z=z)
                except ZeroDivisionError:
                    continue  # the textbook's form has an end where the row has none
                if math.isnan(found):
                    continue  # 0 * log(0), which the row knows to be 0
                assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12), text
                compared += 1
    assert compared > 5


@pytest.mark.parametrize(
    ("name", "which", "plain", "text"),
    [
        ("pow", 1, {"y": 2.0}, "2 * x"),
        ("pow", 1, {"y": 3.0}, "3 * x ** 2"),
        ("pow", 1, {"y": 1.0}, "1"),
        ("mul", 1, {"y": -0.5}, "(-0.5)"),
        ("sub", 2, {"x": 4.0}, "(-1)"),
        ("div", 1, {"y": 4.0}, "0.25"),
        ("add", 0, {"y": 3.0}, "x + 3"),
    ],
)
def test_formulas_are_as_short_as_on_paper(
    name: str, which: int, plain: dict[str, float], text: str
) -> None:
    assert formula(rows()[name], which, **plain).text == text


def test_what_has_no_finite_result_stays_as_it_is() -> None:
    assert "/" in formula(rows()["div"], 2, x=1.0, y=0.0).text
    assert formula(rows()["div"], 1, y=0.0).text == "1 / 0"
