"""Formulas in MathML and in plain text: every row keeps its meaning."""

import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from autograd import rows
from autograd.printers.mathml import MATHML, mathml
from autograd.printers.plain import PLAIN

X, Y = 0.4, 0.3
SIGNS = {sign: sign for sign in "()+<>,"} | {"{": "", "\u2212": "-", "\u22c5": "*"}


def read(element: ET.Element) -> str:
    """A formula of MathML as an expression of Python."""
    parts = [read(child) for child in element]
    match element.tag:
        case "mfrac":
            return f"(({parts[0]}) / ({parts[1]}))"
        case "msup":
            return f"(({parts[0]}) ** ({parts[1]}))"
        case "mo":
            return SIGNS[element.text or ""]
        case "mspace":
            return "*"
        case "mi" | "mn":
            return {"\u03c0": "pi", "\u221e": "inf"}.get(element.text or "", element.text or "")
    if element.find("mtable") is None:
        return f"({''.join(parts)})" if element.tag == "math" else "".join(parts)
    lines = [[list(cell) for cell in row] for row in element.iter("mtr")]
    text = "".join(read(part) for part in lines[-1][0])
    for formula, (_, *test) in reversed(lines[:-1]):
        text = f"({read(formula[0])}) if ({''.join(map(read, test))}) else ({text})"
    return f"({text})"


def value(expression: str, numbers: dict[str, float]) -> float:
    functions = dict(rows())
    result: float = eval(expression, {**functions, "pi": math.pi, "inf": math.inf, **numbers})
    return result


@pytest.mark.parametrize("name", rows())
def test_every_formula_of_a_row_means_the_same_in_mathml(name: str) -> None:
    op: Any = rows()[name]
    operands = (X,) if op.arity == 1 else (X, Y)
    z = op(*operands)
    numbers = {"x": X, "y": Y, "z": z}
    for text in op.textbook:  # its constants are printed to six digits
        assert value(read(ET.fromstring(f"<math>{mathml(text)}</math>")), numbers) == pytest.approx(
            value(text, numbers), rel=1e-5, nan_ok=True
        )
        assert PLAIN.written(text)


def test_mathml_has_indices_powers_of_ten_and_sums() -> None:
    assert mathml("w_1") == "<msub><mi>w</mi><mn>1</mn></msub>"
    assert mathml("p_i") == "<msub><mi>p</mi><mi>i</mi></msub>"
    assert mathml("rate") == '<mi mathvariant="normal">rate</mi>'
    assert MATHML.symbol("a<b") == '<mi mathvariant="normal">a&lt;b</mi>'
    small = "<mrow><mo>\u2212</mo><mn>9</mn></mrow>"
    assert (
        mathml("1e-9") == f"<mrow><mn>1</mn><mo>\u22c5</mo><msup><mn>10</mn>{small}</msup></mrow>"
    )
    assert "<munder><mo>\u2211</mo><mi>j</mi></munder>" in mathml("sum_j(z_j)")
    assert "<mn>2</mn><mo>\u22c5</mo><mn>3</mn>" in mathml("2 * 3")  # not 2 3, which reads as 23
    names = ["a", "b"]
    assert MATHML.partial(*names).startswith("<mfrac><mrow><mo>\u2202</mo><mi>a</mi>")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("e**z_0 / sum_j(e**z_j)", "e^z_0 / \u03a3_j e^z_j"),
        ("-(y * log(p) + (1 - y) * log(1 - p))", "\u2212(y log(p) + (1 \u2212 y) log(1 \u2212 p))"),
        ("-(1 - p)**2 * log(p)", "\u2212(1 \u2212 p)^2 log(p)"),
        ("a / (b * c) - (a - b)", "a / (b c) \u2212 (a \u2212 b)"),
        ("2e-9 * x", "2e-9 x"),
        ("2**(x + 1)", "2^(x + 1)"),
        ("x * 2**y", "x \u00b7 2^y"),
        ("-x / y", "\u2212x / y"),
    ],
)  # fmt: skip
def test_plain_text_has_the_brackets_that_it_needs(text: str, plain: str) -> None:
    assert PLAIN.lines(text) == [plain]


def test_a_meaning_has_a_line_of_its_own() -> None:
    assert PLAIN.lines("-log(p_1); p_i = e**z_i") == ["\u2212log(p_1)", "p_i = e^z_i"]
