"""Classic mistakes to plant in the engine: a mutation test for gradient tests, and a game.

`with planted(fault):` puts one wrong local derivative, or one wrong way of adding up, into the
engine; a test suite that still passes does not test that derivative.  For a class, `hidden(seed)`
plants one that nobody knows, with the answer in an envelope.
"""

import ast
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from autograd import record, rules, value
from autograd.atomic import context, undo_of
from autograd.notes import UNTOUCHED
from autograd.operation import Op, Operation, Reflected
from autograd.ops import Ops
from autograd.value import INSTALLED_WITH, Value, rows

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
    """One mistake.

    Attributes:
        op: the operation's name, '' for all of them.
        operand: 'x' or 'y' for that local derivative, 'z' for the value.
        kind: in a word.
        wrong: the text that stands in the row instead of the right one; '' for a mistake in how
            gradients are added up.
        answer: what is wrong, in words.
    """

    op: str
    operand: str
    kind: str
    answer: str
    wrong: str = ""


def misread(name: str, operand: str, wrong: str, kind: str = "text") -> Fault:
    """The fault of a row that has the text `wrong` for dz/dx ('x'), dz/dy ('y') or z ('z').

    >>> with planted(misread("sin", "x", "-cos(x)")):
    ...     Value(0.0).sin().dx
    -1.0
    """
    op = rows()[name]
    right = op.texts["zxy".index(operand)]
    what = "z" if operand == "z" else f"dz/d{operand}"
    return Fault(name, operand, kind, f"{name}: {what} is {wrong} instead of {right}", wrong)


class _Renamed(ast.NodeTransformer):
    """A text in which two names have changed places."""

    def __init__(self, one: str, two: str) -> None:
        self.other = {one: two, two: one}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """The other of the two, or the name itself."""
        return ast.Name(self.other.get(node.id, node.id))


def _misreadings(op: Operation, k: int) -> Iterator[tuple[str, str]]:
    """Kind and text of what a tired reader of the textbook may make of a local derivative."""
    right, textbook = op.texts[k], op.textbook[k]
    for kind, wrong in _WRONG.items():
        if right != "0.0" and not (kind == "unit" and right == "1"):
            yield kind, wrong.format(right=right)
    tree = ast.parse(textbook, mode="eval").body
    if not isinstance(tree, ast.IfExp):  # relu(x) is on the same side as x: no mistake
        swapped = ("x", "z") if op.arity == 1 else ("x", "y")
        text = ast.parse(textbook, mode="eval").body
        yield "argument", ast.unparse(_Renamed(*swapped).visit(text))
    match tree:
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            yield "side", ast.unparse(ast.IfExp(test, otherwise, body))
        case ast.BinOp(left=left, op=ast.Mult(), right=factor):
            yield "factor", ast.unparse(left)
            yield "factor", ast.unparse(factor)
        case ast.BinOp(left=left, op=ast.Div()):
            yield "factor", ast.unparse(left)


def faults() -> list[Fault]:
    """Every mistake that can be planted, those of single operations first.

    >>> len(faults()) > 400
    True
    >>> faults()[1].answer
    'add: dz/dx is 0.0 * (1) instead of 1'
    """
    found = []
    for op in rows().values():
        for k, operand in enumerate("xy"[: op.arity], 1):
            for kind, wrong in _misreadings(op, k):
                if wrong not in (op.texts[k], op.textbook[k]):
                    found.append(misread(op.name, operand, wrong, kind))
        found.append(misread(op.name, "z", f"({op.texts[0]}) * 1.000001", "value"))
    found += [
        Fault("", "", "overwrite", "every pullback says = where it must say +="),
        Fault("", "y", "drop", "the second operand's gradient is dropped"),
        Fault("", "", "upstream", "dL/dz is left out: dz/dx is passed on alone"),
        Fault("", "", "once", "of two uses by one operation, as in x * x, only one is counted"),
        Fault("", "", "order", "nodes pull in the order of their distance from the root"),
        Fault("", "", "stale", "backward adds to what inner nodes have left from the last time"),
    ]
    return found


def _row(fault: Fault) -> Operation:
    """The row with the wrong text in it."""
    op = rows()[fault.op]
    texts = [*op.texts]
    texts["zxy".index(fault.operand)] = fault.wrong
    made: Op[Any] = Op(*texts, **op.where)  # type: ignore[call-overload]
    # A row that is a function of libm would look like one that calls itself, and would, once
    # its value is exchanged: the wrong text calls a copy of the right row.
    right = object.__new__(Operation)
    vars(right).update(vars(op))
    made.read(f"{fault.op}_wrong", {**rows(), fault.op: right})
    return made


def _sources(fault: Fault) -> Iterator[tuple[Operation, str]]:
    """The operations and their pullbacks with a mistake that all of them make."""
    for op in (one for row in rows().values() for one in (row, *row.slopes.values())):
        source = record.pullback_source(op, rows())
        if fault.kind == "overwrite":
            source = re.sub(r"grad ([+-])= ", r"grad = \1", source)
        elif fault.kind == "upstream":
            source = source.replace("g = node._grad", "g = 1.0")
        elif fault.kind == "once":
            source = source.replace("if b is not None:", "if b is not None and b is not node.a:")
        else:
            source = re.sub(r"b\._grad [+-]= .*", "pass", source)
        yield op, source


def _by_distance(
    inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]
) -> None:
    seeds = list(seeds)
    order = [root for root, _ in seeds]
    seen = set(order)
    for node in order:
        order += [parent for parent in dict.fromkeys(node.parents) if parent not in seen]
        seen.update(node.parents)
    _sweep([node for node in reversed(order) if node.op], leaves, seeds)


def _on_what_is_left(
    inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]
) -> None:
    for node in (*inner, *leaves):
        if node.grad is UNTOUCHED:
            node.grad = 0.0
    for root, seed in seeds:
        root.grad = seed
    for node in reversed(inner):
        node.row.pullback(node)


_sweep = value.sweep


@context
def planted(fault: Fault) -> Iterator[Fault]:
    """A context in which the engine makes this mistake; the whole process, all threads.

    >>> a = Value(3.0)
    >>> sign = next(f for f in faults() if f.op == "sub" and f.operand == "y" and f.kind == "sign")
    >>> with planted(sign):
    ...     (5.0 - a).backward()
    >>> a.grad
    1.0
    """
    undo = undo_of(*zip(*_places(), strict=True))
    try:
        _plant(fault)
        yield fault
    finally:
        undo()


def _places() -> Iterator[tuple[object, str]]:
    """Every attribute that a mistake may change, with its owner."""
    yield value, "sweep"
    ops = list(rows().values())
    for op in ops:
        ops += op.slopes.values()
        yield from ((op, name) for name in vars(op))
    for name, row in vars(Ops).items():
        if isinstance(row, Operation | Reflected):
            yield Value, name


def _plant(fault: Fault) -> None:
    sweeps: dict[str, Callable[..., None]] = {"order": _by_distance, "stale": _on_what_is_left}
    if fault.op:
        op, wrong = rows()[fault.op], _row(fault)
        changed = {"value_tree", "partial_trees", "value", "dx", *(["dy"] * (op.arity == 2))}
        vars(op).update((name, getattr(wrong, name)) for name in changed)
        record.install(op, Value, rows(), INSTALLED_WITH)
    elif fault.kind in sweeps:
        value.sweep = sweeps[fault.kind]
    else:
        names = {**rules.CONSTANTS, "math": math}
        for op, source in _sources(fault):
            wrong_pullback = rules.define(f"{op.name}_pullback", source, {**names, "op": op})
            vars(op)["pullback"] = wrong_pullback


@context
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
