"""Formulas as plain text, for a box of a picture: Σ_j for a sum, ^ for a power."""

from typing import Final

from autograd.printers.notation import Notation


class Plain(Notation):
    """Plain text in one line."""

    fractions = False

    def number(self, mantissa: str, exponent: int | None) -> str:
        """A number, such as 1.5 or 1.5e-9."""
        return mantissa if exponent is None else f"{mantissa}e{exponent}"

    def symbol(self, name: str) -> str:
        """The name itself."""
        return name

    def bracketed(self, inside: str) -> str:
        """A formula in brackets."""
        return f"({inside})"

    def signed(self, sign: str, operand: str) -> str:
        """A formula with a sign."""
        return sign.replace("-", "\u2212") + operand

    def joined(self, left: str, sign: str, right: str) -> str:
        """A sum, a difference or a comparison."""
        return f"{left} {sign.replace('-', chr(0x2212))} {right}"

    def product(self, left: str, right: str) -> str:
        """A product."""
        return f"{left} \u00b7 {right}" if right[0].isdigit() else f"{left} {right}"

    def quotient(self, above: str, below: str) -> str:
        """A quotient."""
        return f"{above} / {below}"

    def power(self, base: str, exponent: str) -> str:
        """A power."""
        return f"{base}^{exponent}"

    def call(self, name: str, arguments: list[str]) -> str:
        """A function of arguments."""
        return f"{name}({', '.join(arguments)})"

    def total(self, index: str, term: str) -> str:
        """A sum over an index."""
        return f"\u03a3_{index} {term}"

    def cases(self, cases: list[tuple[str, str]], otherwise: str) -> str:
        """A formula for each condition, and one otherwise."""
        return "; ".join([*(f"{f} if {condition}" for f, condition in cases), f"else {otherwise}"])


PLAIN: Final = Plain()
