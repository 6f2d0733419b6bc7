"""Truncated Taylor numbers: a second differentiator, which shares no derivative with the engine.

A Jet is a sum of numbers times products of infinitesimals (level, place).  Each call of a transform
opens a level, and two infinitesimals of one level multiply to 0: so gradients in many inputs need
one run, and transforms nest without confusion.  The real parts are the doubles that the engine
computes, so that both take the same branches.  The derivatives of a row are differences of its
textbook's z at high precision.  Every number has a bound for what rounding may do to it.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

from mpmath import mp

from autograd import rows
from autograd.operation import Operation
from tests import reference

Key = frozenset[tuple[int, int]]
Terms = dict[Key, tuple[float, float]]  # a number and the bound of its error
REAL: Key = frozenset()
STEP = 2.0**-47  # what one operation may lose, 32 units in the last place
LOSSES = [0.0, STEP, 1e-11, 1e-6, 1e-4, 1e-2]  # of a derivative of the row, by its order
BITS = 240
NOISE = 1e-40  # of differences of so many digits, where a derivative is 0 or next to it
# The table's conventions: the first derivatives, in each operand, where two straight pieces meet,
# and where a row has no derivative.
PIECES = {"maximum": 0.5, "minimum": 0.5, "relu": 0.0, "abs": 0.0, "sign": 0.0}
PIECES |= dict.fromkeys(["floor", "ceil", "round", "floordiv"], 0.0)
KINKS = PIECES | {"hypot": 0.0, "atan2": 0.0}


class UndecidedError(ArithmeticError):
    """Rounding decides a branch, or a number is beyond what doubles hold: nothing is compared."""


def times(x: Terms, y: Terms) -> Terms:
    """The product, without the terms in which a level would occur twice."""
    product: Terms = {}
    for (s, (a, d)), (t, (b, e)) in itertools.product(x.items(), y.items()):
        if s and t and {level for level, _ in s} & {level for level, _ in t}:
            continue
        loss = abs(a) * e + abs(b) * d + d * e + (STEP * abs(a * b) if s or t or d or e else 0.0)
        c, known = product.get(s | t, (-0.0, 0.0))  # -0.0 + x is x, its sign included
        product[s | t] = c + a * b, known + loss
    return product


@functools.lru_cache(200_000)
def slope(op: Operation, at: tuple[float, ...], orders: tuple[int, ...]) -> float:
    """A partial derivative of a row.  Raises UndecidedError where there is none."""
    if not op.is_smooth(*at):
        if op.name in KINKS:
            return KINKS[op.name] if sum(orders) == 1 else 0.0
        whole = op.name == "pow" and at[1].is_integer() and (at[0] < 0 or at[1] >= 0)
        if not (whole and orders[1] == 0):
            raise UndecidedError
    if not all(x == 0.0 or 1e-40 < abs(x) < 1e20 for x in at):
        raise UndecidedError  # the steps of a difference are too big or too small
    with mp.workprec(BITS):
        try:
            d = float(mp.diff(functools.partial(reference.call, op), at, orders))
        except (TypeError, ValueError, ArithmeticError):
            raise UndecidedError from None
    if abs(d) > 1e60:  # a jump, such as that of atan2
        raise UndecidedError
    return d


class Jet:
    """A number with infinitesimal parts."""

    def __init__(self, world: "World", terms: Terms) -> None:
        self.world, self.terms = world, terms

    def detach(self) -> "Jet":
        return Jet(self.world, {REAL: self.terms[REAL]})

    def _set(self, number: "Jet | float") -> None:
        self.terms = {REAL: self.world.lift(number).terms[REAL]}

    data = property(detach, _set)
    item = detach

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self.world.apply, rows()[name], self)

    def __float__(self) -> float:
        number, bound = self.terms[REAL]
        if bound and not self.world.regroup:
            raise UndecidedError
        return number

    def __int__(self) -> int:
        return int(float(self))

    def __format__(self, spec: str) -> str:
        return format(float(self), spec)

    def __bool__(self) -> bool:
        return self.world.decide(operator.ne, self, 0.0)

    __hash__ = object.__hash__


def _give_operators() -> None:
    """Python's operators: comparisons decide, + - * are the world's, the others are rows."""
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        order = getattr(operator, name)
        setattr(Jet, f"__{name}__", lambda x, y, order=order: x.world.decide(order, x, y))
    binary: dict[str, Callable[[Any, Any, Any], Any]] = {
        "add": lambda world, x, y: world.plus(x, y, 1.0),
        "sub": lambda world, x, y: world.plus(x, y, -1.0),
        "mul": lambda world, x, y: world.product(x, y),
    }
    for name, op in rows().items():
        python = {"div": "truediv"}.get(name, name)
        if op.arity == 2 and hasattr(operator, f"__{python}__"):
            call = binary.get(name, lambda world, x, y, op=op: world.apply(op, x, y))
            setattr(Jet, f"__{python}__", lambda x, y, call=call: call(x.world, x, y))
            setattr(Jet, f"__r{python}__", lambda x, y, call=call: call(x.world, y, x))
        elif op.arity == 1 and hasattr(operator, f"__{python}__"):
            setattr(Jet, f"__{python}__", lambda x, op=op: x.world.apply(op, x))


_give_operators()


class World:
    """The levels that are open, and what rounding is allowed to do.

    With `regroup` every operation may round otherwise than the engine's, as in a compiled function
    that adds in another order; its decisions are then those of the numbers as they are.
    """

    def __init__(self, regroup: bool = False) -> None:
        self.regroup, self.levels, self.cut = regroup, 0, 0

    def lift(self, x: Any) -> Jet:
        return x if isinstance(x, Jet) else Jet(self, {REAL: (float(x), 0.0)})

    def made(self, terms: Terms) -> Jet:
        kept = {key: c for key, c in terms.items() if all(level >= self.cut for level, _ in key)}
        if not all(c == 0.0 or 1e-250 < abs(c) < 1e250 for c, _ in kept.values()):
            raise UndecidedError
        return Jet(self, kept)

    def decide(self, order: Callable[[float, float], bool], x: Any, y: Any) -> bool:
        (a, d), (b, e) = self.lift(x).terms[REAL], self.lift(y).terms[REAL]
        if not self.regroup and (d or e) and abs(a - b) <= d + e:
            raise UndecidedError
        return order(a, b)

    def plus(self, x: Any, y: Any, sign: float) -> Jet:
        total = dict(self.lift(x).terms)
        for key, (b, e) in self.lift(y).terms.items():
            a, d = total.get(key, (0.0, 0.0))
            loss = STEP * (abs(a) + abs(b)) if key or d or e or self.regroup else 0.0
            total[key] = a + sign * b, d + e + loss
        return self.made(total)

    def product(self, x: Any, y: Any) -> Jet:
        terms = times(self.lift(x).terms, self.lift(y).terms)
        number, bound = terms[REAL]
        terms[REAL] = number, bound + (STEP * abs(number) if self.regroup else 0.0)
        return self.made(terms)

    def apply(self, op: Operation, x: Any, y: Any = None) -> Any:
        operands = [x, op.default if y is None else y][: op.arity]
        if not any(isinstance(operand, Jet) for operand in operands):
            return op.value(*map(float, operands))
        jets = [self.lift(operand).terms for operand in operands]
        at = tuple(jet[REAL][0] for jet in jets)
        if not all(map(math.isfinite, at)):
            raise UndecidedError
        errors = [jet[REAL][1] for jet in jets]
        z = op.value(*at)
        drift = self._drift(op, at, errors, (0,) * op.arity)
        total: Terms = {REAL: (z, drift + (STEP * abs(z) if any(errors) or self.regroup else 0.0))}
        parts = [{key: c for key, c in jet.items() if key} for jet in jets]
        depth = len({level for part in parts for key in part for level, _ in key})
        for orders in itertools.product(range(depth + 1), repeat=op.arity):
            if not 0 < sum(orders) <= depth:
                continue
            powers: Terms = {REAL: (1.0, 0.0)}
            for part, order in zip(parts, orders, strict=True):
                for _ in range(order):
                    powers = times(powers, part)
            if powers:
                d = slope(op, at, orders)
                loss = LOSSES[sum(orders)] * abs(d) + self._drift(op, at, errors, orders)
                loss += 0.0 if op.name in PIECES else NOISE
                share = math.prod(map(math.factorial, orders))
                for key, (c, e) in times({REAL: (d / share, loss / share)}, powers).items():
                    number, bound = total.get(key, (0.0, 0.0))
                    total[key] = number + c, bound + e
        return self.made(total)

    @staticmethod
    def _drift(op: Operation, at: Any, errors: list[float], orders: tuple[int, ...]) -> float:
        """How far a derivative of the row moves with the errors of its operands."""
        drift = 0.0
        for k, error in enumerate(errors):
            if error:
                more = tuple(order + (i == k) for i, order in enumerate(orders))
                drift += error * abs(slope(op, at, more))
        return drift
