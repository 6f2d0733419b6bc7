"""The transforms on exact polynomials: a referee for derivatives inside derivatives.

A function is run on variables; what comes out is a polynomial, whose derivatives are exact.  It
has nothing of the engine: no graph, no floats, and every call has variables of its own.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

Monomial = tuple[int, ...]  # the numbers of its variables, in order; x * x has x twice
_fresh = itertools.count()


class Polynomial:
    """A sum of products of variables, with exact coefficients."""

    def __init__(self, terms: dict[Monomial, Fraction]) -> None:
        self.terms = {monomial: c for monomial, c in terms.items() if c}

    def __add__(self, other: Any) -> Polynomial:
        terms = defaultdict(Fraction, self.terms)
        for monomial, c in polynomial(other).terms.items():
            terms[monomial] += c
        return Polynomial(terms)

    def __mul__(self, other: Any) -> Polynomial:
        terms: dict[Monomial, Fraction] = defaultdict(Fraction)
        for one, c in self.terms.items():
            for two, d in polynomial(other).terms.items():
                terms[tuple(sorted(one + two))] += c * d
        return Polynomial(terms)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Polynomial:
        return self * -1

    def __sub__(self, other: Any) -> Polynomial:
        return self + -polynomial(other)

    def __rsub__(self, other: Any) -> Polynomial:
        return polynomial(other) - self

    def __pow__(self, power: int) -> Polynomial:
        made = polynomial(1)
        for _ in range(power):
            made = made * self
        return made

    def __float__(self) -> float:
        assert not set(self.terms) - {()}
        return float(self.terms.get((), 0))

    def slope(self, variable: int) -> Polynomial:
        """The derivative in a variable."""
        terms: dict[Monomial, Fraction] = defaultdict(Fraction)
        for monomial, c in self.terms.items():
            if variable in monomial:
                rest = list(monomial)
                rest.remove(variable)
                terms[tuple(rest)] += c * monomial.count(variable)
        return Polynomial(terms)

    def at(self, where: dict[int, Polynomial]) -> Polynomial:
        """The polynomial with others in the place of some variables."""
        total = polynomial(0)
        for monomial, c in self.terms.items():
            product = polynomial(c)
            for variable in monomial:
                product = product * where.get(variable, Polynomial({(variable,): Fraction(1)}))
            total = total + product
        return total


def polynomial(x: Any) -> Polynomial:
    """A number as a polynomial; a polynomial as it is."""
    return x if isinstance(x, Polynomial) else Polynomial({(): Fraction(x)})


def _many(tree: Any) -> list[Any]:
    return list(tree) if isinstance(tree, list | tuple) else [tree]


def _run(f: Callable[..., Any], args: list[Any]) -> tuple[list[Polynomial], list[int], Any]:
    """The results as polynomials of fresh variables, these, and the polynomials they stand for."""
    variables: list[int] = []
    where: dict[int, Polynomial] = {}

    def entered(x: Any) -> Any:
        if isinstance(x, list):
            return [entered(part) for part in x]
        variables.append(next(_fresh))
        where[variables[-1]] = polynomial(x)
        return Polynomial({(variables[-1],): Fraction(1)})

    made = f(*(entered(x) for x in args))
    return [polynomial(part) for part in _many(made)], variables, where


def grad(f: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """As the engine's."""
    return lambda *args: value_and_grad(f, argnums)(*args)[1]


def value_and_grad(f: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """As the engine's, of functions of numbers, or of one list."""

    def both(*args: Any) -> Any:
        (y,), variables, where = _run(f, list(args))
        slopes = [y.slope(v).at(where) for v in variables]
        if isinstance(args[0], list):
            return y.at(where), slopes
        chosen = tuple(slopes[k] for k in _many(argnums))
        return y.at(where), chosen if isinstance(argnums, tuple) else chosen[0]

    return both


def vjp(f: Callable[..., Any], *args: Any) -> Any:
    """As the engine's, of functions of numbers."""
    ys, variables, where = _run(f, list(args))

    def pull(weights: Any) -> Any:
        total = sum((y * polynomial(w) for y, w in zip(ys, _many(weights), strict=True)), start=0)
        return tuple(polynomial(total).slope(v).at(where) for v in variables)

    out = [y.at(where) for y in ys]
    return (out[0] if len(out) == 1 else out), pull


def jvp(f: Callable[..., Any], args: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """As the engine's, of functions of numbers to one number."""
    (y,), variables, where = _run(f, list(args))
    terms = [y.slope(v).at(where) * t for v, t in zip(variables, tangents, strict=True)]
    return y.at(where), sum(terms, start=polynomial(0))


def jacobian(f: Callable[..., Any]) -> Callable[..., Any]:
    """As the engine's, of functions of a number or a list."""

    def matrix(x: Any) -> Any:
        ys, variables, where = _run(f, [x])
        rows = [[y.slope(v).at(where) for v in variables] for y in ys]
        found = rows if isinstance(x, list) else [row[0] for row in rows]
        return found if len(ys) > 1 else found[0]

    return matrix


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    """As the engine's, of functions of a number or a list."""

    def second(x: Any) -> Any:
        (y,), variables, where = _run(f, [x])
        rows = [[y.slope(v).slope(u).at(where) for u in variables] for v in variables]
        return rows if isinstance(x, list) else rows[0][0]

    return second


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """As the engine's, of functions of a number."""
    return hessian(f)(x) * v
