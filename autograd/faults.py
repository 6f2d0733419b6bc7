"""Classic mistakes to plant in the engine, for testing gradient tests and for a guessing game.

`with planted(fault):` puts one wrong local derivative, or one wrong way to add up gradients, into
the engine.  A test suite that still passes does not test that derivative.  For a class,
`hidden(seed)` plants an unknown mistake and keeps the answer in an envelope.
"""

import ast
import functools
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

# Mistakes in a local derivative, as texts around the right one.
_WRONG = {
    "sign": "-({right})",
    "unit": "1.0",
    "zero": "0.0 * ({right})",
    "double": "2 * ({right})",
    "half": "({right}) / 2",
    "twice": "({right}) * ({right})",
    "offset": "({right}) * 1.000001",
}
# The same in words; for the other kinds, the wrong text is shown.
_WORDS = {
    "sign": "has the wrong sign",
    "unit": "is left out",
    "zero": "is set to zero",
    "double": "is counted twice",
    "half": "is halved",
    "twice": "is multiplied in twice",
}
ARRIVALS = 100_000  # the limit of the "arrival" mistake, which takes forever in a deep graph


@dataclass(frozen=True)
class Fault:
    """One mistake.

    Attributes:
        op: the operation's name, '' for all operations.
        operand: 'x' or 'y' for that local derivative, 'z' for the value.
        kind: the kind of mistake, in one word.
        wrong: the wrong text in the row; '' for a mistake in adding up gradients.
        answer: what is wrong, in words.
    """

    op: str
    operand: str
    kind: str
    answer: str
    wrong: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong and what is right, as in a textbook.

        >>> misread("tanh", "x", "1 - x * x").sentence
        'tanh: dz/dx is 1 - x * x where it should be 1 - z * z'
        """
        if not self.op:
            return self.answer
        what = "z" if self.operand == "z" else f"dz/d{self.operand}"
        right = rows()[self.op].textbook["zxy".index(self.operand)]
        if self.kind in _WORDS:
            return f"{self.op}: {what} = {right} {_WORDS[self.kind]}"
        return f"{self.op}: {what} is {self.wrong} where it should be {right}"

    @property
    def partial(self) -> Callable[..., float]:
        """The wrong local derivative, a function of the numbers x, y and z.

        >>> misread("tanh", "x", "1 - x * x").partial(2.0, None, 0.5)
        -3.0
        """
        return _partial(self.op, self.operand, self.wrong, rows()[self.op].texts)


@functools.lru_cache(4096)
def _partial(name: str, operand: str, wrong: str, texts: tuple[str, ...]) -> Callable[..., float]:
    # The row's texts are part of the cache key, because a name may be defined again.
    op = rows()[name]
    known = [*"xy"[: op.arity], *op.where_trees, "z"]
    tree = rules.parse(wrong, known, {row: one.arity for row, one in rows().items()})
    names = {**rules.CONSTANTS, **rows(), "math": math}
    names |= {"divide": rules.divide, "power": rules.power}
    return rules.function(f"{name}_d{operand}_wrong", "x, y=None, z=None", tree, op, names)


def misread(name: str, operand: str, wrong: str, kind: str = "text") -> Fault:
    """The fault of a row with the text `wrong` for dz/dx ('x'), dz/dy ('y') or z ('z').

    >>> with planted(misread("sin", "x", "-cos(x)")):
    ...     Value(0.0).sin().dx
    -1.0
    """
    op = rows()[name]
    right = op.texts["zxy".index(operand)]
    what = "z" if operand == "z" else f"dz/d{operand}"
    return Fault(name, operand, kind, f"{name}: {what} is {wrong} instead of {right}", wrong)


class _Renamed(ast.NodeTransformer):
    """An expression with two names swapped."""

    def __init__(self, first: str, second: str) -> None:
        self.other = {first: second, second: first}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """The other of the two names, or the name itself."""
        return ast.Name(self.other.get(node.id, node.id))


class _Unsquared(ast.NodeTransformer):
    """An expression with each square u * u replaced by u."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """The factor of a square, or the node with its parts visited."""
        if isinstance(node.op, ast.Mult) and ast.dump(node.left) == ast.dump(node.right):
            return node.left
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))


class _Flipped(ast.NodeTransformer):
    """An expression with the sign of its k-th sum or difference flipped."""

    def __init__(self, k: int) -> None:
        self.k = k

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """The node with its parts visited, and its sign flipped if it is the k-th."""
        sign = node.op
        if isinstance(sign, ast.Add | ast.Sub):
            if self.k == 0:
                sign = ast.Sub() if isinstance(sign, ast.Add) else ast.Add()
            self.k -= 1
        return ast.BinOp(self.visit(node.left), sign, self.visit(node.right))


def _misreadings(op: Operation, k: int) -> Iterator[tuple[str, str]]:
    """(kind, text) of each likely misreading of a local derivative in a textbook."""
    right, textbook = op.texts[k], op.textbook[k]
    tree = ast.parse(textbook, mode="eval").body
    plain = rules.is_number(tree) or isinstance(tree, ast.IfExp)  # 1 * 1 is not a mistake
    for kind, wrong in _WRONG.items():
        same = {"unit": right == "1", "twice": plain}
        if right != "0.0" and not same.get(kind):
            yield kind, wrong.format(right=right)
    if not plain:
        signs = [isinstance(node, ast.Add | ast.Sub) for node in ast.walk(tree)]
        for nth in range(sum(signs)):
            yield "flip", ast.unparse(_Flipped(nth).visit(ast.parse(textbook, mode="eval").body))
        yield "square", ast.unparse(_Unsquared().visit(ast.parse(textbook, mode="eval").body))
    if op.arity == 1 and not plain:  # the derivative as a function of x, taken at the result
        own = ast.parse(op.signature, mode="eval").body
        at_result = rules.substitute(rules.substitute(tree, {"z": own}), {"x": ast.Name("z")})
        yield "result", ast.unparse(at_result)
    if not isinstance(tree, ast.IfExp):  # relu(x) and x have the same sign, so this is no mistake
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
    mistakes = []
    for op in rows().values():
        if op.functions:  # there is no text to misread
            continue
        for k, operand in enumerate("xy"[: op.arity], 1):
            known = {op.texts[k], op.textbook[k]}
            for kind, wrong in _misreadings(op, k):
                if wrong not in known:
                    mistakes.append(misread(op.name, operand, wrong, kind))
                known.add(wrong)
        mistakes.append(misread(op.name, "z", f"({op.texts[0]}) * 1.000001", "value"))
    mistakes += [
        Fault("", "", "overwrite", "every pullback uses = where it needs +="),
        Fault("", "y", "drop", "the second operand's gradient is dropped"),
        Fault("", "", "upstream", "dL/dz is left out: dz/dx is passed on alone"),
        Fault("", "", "once", "only one of two uses by the same operation counts, as in x * x"),
        Fault("", "", "arrival", "a node passes on its whole gradient whenever something arrives"),
        Fault("", "", "order", "backward visits nodes in order of distance from the root"),
        Fault("", "", "stale", "backward adds to the last pass's gradients of inner nodes"),
    ]
    return mistakes


def _row(fault: Fault) -> Operation:
    """The row with the wrong text in it."""
    op = rows()[fault.op]
    texts = [*op.texts]
    texts["zxy".index(fault.operand)] = fault.wrong
    wrong: Op[Any] = Op(*texts, **op.where)  # type: ignore[call-overload]
    # The row of a libm function contains its own name, so the wrong row would call itself once it
    # is planted.  The wrong text therefore calls a copy of the right row.
    right = object.__new__(Operation)
    vars(right).update(vars(op))
    wrong.read(f"{fault.op}_wrong", {**rows(), fault.op: right})
    return wrong


def _sources(fault: Fault) -> Iterator[tuple[Operation, str]]:
    """All operations, each with the source of its wrong pullback."""
    for op in (op for row in rows().values() for op in (row, *row.slopes.values())):
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


def _on_stale_gradients(
    inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]
) -> None:
    for node in (*inner, *leaves):
        if node.grad is UNTOUCHED:
            node.grad = 0.0
    for root, seed in seeds:
        root.grad = seed
    for node in reversed(inner):
        node.row.pullback(node)


def _at_each_arrival(
    inner: list[Value], leaves: list[Value], seeds: Iterable[tuple[Value, float]]
) -> None:
    for node in inner:
        node.grad = 0.0
    waiting = []
    for root, seed in seeds:
        root.grad += seed
        waiting.append(root)
    for _ in range(ARRIVALS):
        if not waiting:
            break
        node = waiting.pop()
        if node.op is not None:
            node.op.pullback(node)
            waiting += reversed(dict.fromkeys(node.parents))


_sweep = value.sweep


@context
def planted(fault: Fault) -> Iterator[Fault]:
    """A context in which the engine makes this mistake, in all threads of the process.

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
    """(owner, attribute) for every attribute that a mistake may change."""
    yield value, "sweep"
    ops = list(rows().values())
    for op in ops:
        ops += op.slopes.values()
        yield from ((op, name) for name in vars(op))
    for name, row in vars(Ops).items():
        if isinstance(row, Operation | Reflected):
            yield Value, name


def _plant(fault: Fault) -> None:
    sweeps: dict[str, Callable[..., None]] = {
        "arrival": _at_each_arrival,
        "order": _by_distance,
        "stale": _on_stale_gradients,
    }
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


_USES = ("value", "dx", "dy", "pullback")


@context
def used() -> Iterator[set[str]]:
    """A context that collects the names of operations whose value or derivative is computed.

    >>> with used() as names:
    ...     (Value(2.0) * 3.0).backward()
    >>> names
    {'mul'}
    """
    names: set[str] = set()
    ops = list(rows().values())
    undo = undo_of(*zip(*((op, name) for op in ops for name in vars(op)), strict=True))
    try:
        for op in ops:
            for name in _USES[: 2 + op.arity - 1] + _USES[-1:]:
                vars(op)[name] = _noted(op.name, getattr(op, name), names)
        yield names
    finally:
        undo()


def _noted(name: str, function: Callable[..., Any], names: set[str]) -> Callable[..., Any]:
    """The function, which adds the name to `names` whenever it is called."""

    def noted(*operands: Any) -> Any:
        names.add(name)
        return function(*operands)

    return noted


@context
def hidden(seed: int) -> Iterator[list[str]]:
    """A context with a mistake chosen by the seed; the list gets the answer at the end.

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
