"""Rows in PyTorch and JAX: a function of the library that is the row, or else the formula."""

import ast
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from autograd.operation import Operation
from autograd.printers.source import ATOM, Definitions, Language

# A function of a library is the row if value and slopes agree here; kinks and ties are among them.
_NUMBERS = (-2.5, -1.0, -0.75, 0.0, 0.375, 0.5, 1.0, 1.75, 3.0)
_PAIRS = ((-1.75, 2.5), (2.5, -1.75), (0.375, 0.625), (1.0, 1.0), (3.25, 1.5), (0.0, 2.0))
_CLOSE = 1e-9
_PLAIN = re.compile(r"\(?-?(\d.*|math\.\w+)\)?")  # the text of a plain number


@dataclass
class Framework:
    """A library that differentiates its own functions.

    Attributes:
        name: for messages.
        modules: the modules with its functions, by the name that a script has for them.
        differentiated: the values and each operand's slopes of a function of the library, for
            lists of numbers.
        choice: the template of a choice: the test, the result if it holds, and the other.
        number: the template of a plain number among a function's operands.
    """

    name: str
    modules: dict[str, Any]
    differentiated: Callable[[Callable[..., Any], Sequence[Sequence[float]]], list[list[float]]]
    choice: str
    number: str
    _found: dict[Operation, str] = field(default_factory=dict)

    def found(self, op: Operation) -> str:
        """The library's function that is the row, as a script calls it; "" if there is none."""
        if op not in self._found:
            tried = (
                path
                for at_kinks in (True, False)  # at a kink, a library may take another slope
                for path, function in self._candidates(op)
                if self._is(op, function, at_kinks)
            )
            self._found[op] = next(tried, "")
        return self._found[op]

    def _candidates(self, op: Operation) -> Iterator[tuple[str, Callable[..., Any]]]:
        for name in (op.name, "arc" + op.name[1:]):  # asin may be arcsin
            for path, module in self.modules.items():
                function = getattr(module, name, None)
                if callable(function):
                    yield f"{path}.{name}", function

    def _is(self, op: Operation, function: Callable[..., Any], at_kinks: bool) -> bool:
        tried = [(x,) for x in _NUMBERS] if op.arity == 1 else _PAIRS
        points, expected = [], []
        for operands in tried:
            z = op.value(*operands)
            x, y = (*operands, None)[:2]
            slopes = [dz(x, y, z) for dz in (op.dx, getattr(op, "dy", None)) if dz is not None]
            # At its ends a row is not finite, and libraries differ.
            if all(map(math.isfinite, (z, *slopes))) and (at_kinks or op.is_smooth(*operands)):
                points.append(operands)
                expected.append((z, *slopes))
        try:
            found = self.differentiated(function, list(zip(*points, strict=True)))
        except Exception:  # a function of the same name may take anything
            return False
        flat = itertools.chain(*zip(*found, strict=True)), itertools.chain(*expected)
        return all(abs(a - b) <= _CLOSE * max(1.0, abs(b)) for a, b in zip(*flat, strict=True))


class FrameworkRows:
    """The rows that a script needs, as expressions and as functions that the script defines."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.defined = Definitions(
            Language(
                name=framework.name,
                number=number,
                power="{} ** {}",
                of_power=ATOM,
                choice=framework.choice,
                function=self._call,
                definition=_definition,
                assignment="{} = {}",
            )
        )

    def text(self, op: Operation, operands: dict[str, str]) -> str:
        """The row over the texts of operands."""
        if op.functions:
            raise NotImplementedError(op.unknown_to(self.framework.name))
        if _is_arithmetic(_formula(op)):
            return self.defined.call(op, "row", _formula(op), operands)
        return self._call(op, [operands[o] for o in "xy"[: op.arity]])

    def _call(self, op: Operation, arguments: list[str]) -> str:
        plain = self.framework.number
        arguments = [plain.format(a) if _PLAIN.fullmatch(a) else a for a in arguments]
        function = self.framework.found(op)
        if function:
            return f"{function}({', '.join(arguments)})"
        tree = _formula(op)
        if _calls_itself(op, tree):
            tree = op.value_tree
        if _calls_itself(op, tree):
            raise NotImplementedError(f"{self.framework.name} has no function {op.name}")
        return self.defined.call(op, "row", tree, dict(zip("xy", arguments, strict=False)))


def number(value: float) -> str:
    """A number as Python source with all its digits.

    >>> number(0.1), number(-math.inf), number(math.nan)
    ('0.1', '(-math.inf)', 'math.nan')
    """
    text = "math.nan"
    if value == value:
        text = "math.inf" if math.isinf(value) else repr(abs(value))
    return f"(-{text})" if math.copysign(1.0, value) < 0 and value == value else text


def _formula(op: Operation) -> ast.expr:
    """The row as a textbook writes it."""
    return ast.parse(op.textbook[0], mode="eval").body


def _is_arithmetic(tree: ast.expr) -> bool:
    """Whether a formula is one sign or one operator between operands."""
    match tree:
        case ast.BinOp(left=ast.Name() | ast.Constant(), right=ast.Name() | ast.Constant()):
            return True
        case ast.UnaryOp(operand=ast.Name()):
            return True
    return False


def _calls_itself(op: Operation, tree: ast.expr) -> bool:
    return any(isinstance(n, ast.Name) and n.id == op.name for n in ast.walk(tree))


def _definition(name: str, parameters: list[str], lines: list[str], result: str) -> str:
    body = "".join(f"    {line}\n" for line in (*lines, f"return {result}"))
    return f"def {name}({', '.join(parameters)}):\n{body}\n"
