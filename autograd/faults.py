"""Classic mistakes to plant in the engine: a mutation test for gradient tests, and a game.

`with planted(fault):` puts one wrong local derivative, or one wrong way of adding up, into the
engine; a test suite that still passes does not test that derivative.  For a class, `hidden(seed)`
plants one that nobody knows, with the answer in an envelope.
"""

import math
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from autograd import rules
from autograd.ops import Op, Operation
from autograd.record import pullback_source
from autograd.value import rows

# What can go wrong with one local derivative, as a text around the right one.
_WRONG = {
    "sign": "-({right})",
    "unit": "1.0",
    "zero": "0.0 * ({right})",
    "double": "2 * ({right})",
    "half": "({right}) / 2",
    "offset": "({right}) * 1.000001",
}


@dataclass(frozen=True)
class Fault:
    """One mistake: the operation ('' for all), the operand, what is wrong, and in words."""

    op: str
    operand: str
    kind: str
    answer: str


def _differs(op: Operation, right: str, kind: str) -> bool:
    if kind == "unit":
        return right not in ("1", "1.0")
    return right not in ("0", "0.0")


def faults() -> list[Fault]:
    """Every mistake that can be planted, those of single operations first.

    >>> len(faults()) > 200
    True
    >>> faults()[1].answer
    'add: dz/dx is 0.0 * (1) instead of 1'
    """
    found = []
    for op in rows().values():
        for operand, right in zip("xy", op.texts[1:], strict=False):
            for kind, wrong in _WRONG.items():
                if _differs(op, right, kind):
                    text = wrong.format(right=right)
                    answer = f"{op.name}: dz/d{operand} is {text} instead of {right}"
                    found.append(Fault(op.name, operand, kind, answer))
        if op.arity == 2 and op.texts[1] != op.texts[-1]:
            found.append(Fault(op.name, "xy", "swap", f"{op.name}: dz/dx and dz/dy are swapped"))
    found += [
        Fault("", "", "overwrite", "every pullback says = where it must say +="),
        Fault("", "y", "drop", "the second operand's gradient is dropped"),
        Fault("", "", "upstream", "dL/dz is left out: dz/dx is passed on alone"),
    ]
    return found


def _source(op: Operation, fault: Fault) -> str:
    """The pullback of the operation with the mistake in it."""
    if fault.op:
        z, *right = op.texts
        if fault.kind == "swap":
            wrong = right[::-1]
        else:
            k = "xy".index(fault.operand)
            wrong = [*right]
            wrong[k] = _WRONG[fault.kind].format(right=right[k])
        other: Op[object] = Op(z, *wrong, ends=op.ends, **op.where)  # type: ignore[call-overload]
        other.read(op.name, rows())
        return pullback_source(other, rows())
    source = pullback_source(op, rows())
    if fault.kind == "overwrite":
        return re.sub(r"grad ([+-])= ", lambda m: f"grad = {m[1].strip('+')}", source)
    if fault.kind == "upstream":
        return source.replace("g = node.grad", "g = 1.0")
    return re.sub(r"b\.grad [+-]= .*", "pass", source)


@contextmanager
def planted(fault: Fault) -> Iterator[Fault]:
    """A context in which the engine makes this mistake; the whole process, all threads.

    >>> from autograd import Value
    >>> a = Value(3.0)
    >>> sign = next(f for f in faults() if f.op == "sub" and f.operand == "y" and f.kind == "sign")
    >>> with planted(sign):
    ...     (5.0 - a).backward()
    >>> a.grad
    1.0
    """
    with ExitStack() as undo:
        for op in rows().values():
            if op.name == fault.op or not fault.op:
                names = {**rules.CONSTANTS, "math": math, "op": op}
                right = op.pullback
                wrong = rules.define(f"{op.name}_pullback", _source(op, fault), names)
                undo.callback(setattr, op, "pullback", right)
                op.pullback = wrong  # type: ignore[method-assign]
        yield fault


@contextmanager
def hidden(seed: int) -> Iterator[list[str]]:
    """A context with a mistake that the seed chooses; afterwards the list holds the answer.

    >>> with hidden(3) as envelope:
    ...     pass  # students look for it with check_gradients
    >>> len(envelope)
    1
    """
    envelope: list[str] = []
    fault = random.Random(seed).choice(faults())  # noqa: S311 - no secret
    with planted(fault):
        yield envelope
    envelope.append(fault.answer)
