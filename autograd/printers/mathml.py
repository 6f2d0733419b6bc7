"""Formulas as MathML, which browsers draw without a library and without a network."""

import html
import re
from typing import Final

from autograd.printers.notation import Notation, indexed

_CONSTANTS = {"pi": "<mi>\u03c0</mi>", "inf": "<mi>\u221e</mi>"}

_NUMBER_FIRST = re.compile("(<(mrow|msup)>)*<mn>")


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _operator(sign: str) -> str:
    return f"<mo>{html.escape(sign.replace('-', chr(0x2212)))}</mo>"


class MathML(Notation):
    """MathML's elements for the inside of <math>."""

    def number(self, mantissa: str, exponent: int | None) -> str:
        """A number, such as 1.5 or 1.5 times a power of ten."""
        text = f"<mn>{mantissa}</mn>"
        if exponent is None:
            return text
        power = f"<mn>{abs(exponent)}</mn>"
        power = _row(_operator("-"), power) if exponent < 0 else power
        return _row(text, "<mo>\u22c5</mo>", f"<msup><mn>10</mn>{power}</msup>")

    def symbol(self, name: str) -> str:
        """A name with its index as a subscript; a longer name is upright."""
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        parts = indexed(name)
        if parts is None:
            return f'<mi mathvariant="normal">{html.escape(name)}</mi>'
        letter, index = (html.escape(part) for part in parts)
        kind = "mn" if index.isdecimal() else "mi"
        return (
            f"<msub><mi>{letter}</mi><{kind}>{index}</{kind}></msub>"
            if index
            else f"<mi>{letter}</mi>"
        )

    def bracketed(self, inside: str) -> str:
        """A formula in brackets."""
        return _row("<mo>(</mo>", inside, "<mo>)</mo>")

    def signed(self, sign: str, operand: str) -> str:
        """A formula with a sign."""
        return _row(_operator(sign), operand)

    def joined(self, left: str, sign: str, right: str) -> str:
        """A sum, a difference or a comparison."""
        return _row(left, _operator(sign), right)

    def product(self, left: str, right: str) -> str:
        """A product."""
        times = "<mo>\u22c5</mo>" if _NUMBER_FIRST.match(right) else '<mspace width="0.2em"/>'
        return _row(left, times, right)

    def quotient(self, above: str, below: str) -> str:
        """A fraction."""
        return f"<mfrac>{_row(above)}{_row(below)}</mfrac>"

    def power(self, base: str, exponent: str) -> str:
        """A power."""
        return f"<msup>{_row(base)}{_row(exponent)}</msup>"

    def call(self, name: str, arguments: list[str]) -> str:
        """A function of arguments."""
        inside = self.bracketed("<mo>,</mo>".join(arguments))
        return _row(f'<mi mathvariant="normal">{html.escape(name)}</mi>', inside)

    def partial(self, of: str, by: str) -> str:
        """The local derivative of one named node by another."""
        return self.quotient(*(f"<mo>\u2202</mo>{self.symbol(name)}" for name in (of, by)))

    def total(self, index: str, term: str) -> str:
        """A sum over an index."""
        return _row(f"<munder><mo>\u2211</mo><mi>{html.escape(index)}</mi></munder>", term)

    def cases(self, cases: list[tuple[str, str]], otherwise: str) -> str:
        """A formula for each condition, and one otherwise."""
        lines = [(formula, f"<mtext>if \u00a0</mtext>{test}") for formula, test in cases]
        lines.append((otherwise, "<mtext>otherwise</mtext>"))
        rows = "".join(f"<mtr><mtd>{a}</mtd><mtd>{b}</mtd></mtr>" for a, b in lines)
        return _row("<mo>{</mo>", f"<mtable>{rows}</mtable>")


MATHML: Final = MathML()


def mathml(text: str) -> str:
    """A row's text as MathML, for the inside of <math>.

    >>> mathml("x / 2")
    '<mfrac><mrow><mi>x</mi></mrow><mrow><mn>2</mn></mrow></mfrac>'
    """
    return MATHML.written(text)
