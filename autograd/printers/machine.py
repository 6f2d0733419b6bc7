"""Rows as instructions for the small stack machine in `eager.c`."""

import ast
import math
import operator
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autograd import rules
from autograd.rules import Row

Code = tuple[bytes, bytes]  # instructions and their arguments, 16 bits each; constants

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
}
_FOLDED: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_OPERANDS = ("x", "y", "z")


class UnknownFunctionError(ValueError):
    """Raised for a row that calls a function which the machine does not have."""


@dataclass
class Assembler:
    """Writes the rules of a table as instructions.

    The operands of an instruction are on the stack, and its result takes their place.  A shared
    part of a row is computed once and stored.  Jumps only go forward.

    Args:
        instructions: the number of each instruction.
        functions: the number of each function of libm that the machine can call.
        rows: the table; calls of its rows are written out.
    """

    instructions: Mapping[str, int]
    functions: Mapping[str, int]
    rows: Mapping[str, Row]
    _words: list[int] = field(default_factory=list)
    _constants: list[float] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def code(self, row: Row, tree: ast.expr) -> Code:
        """The instructions for a rule of the row, and their constants.

        Raises UnknownFunctionError for a function that the machine does not have, and
        OverflowError if the rule is too long.

        >>> numbers = {"return": 0, "constant": 1, "x": 2, "multiply": 3}
        >>> rule = rules.parse("3 * x", {"x"}, {})
        >>> from autograd.ops import Ops
        >>> words, constants = Assembler(numbers, {}, {}).code(Ops.exp, rule)
        >>> list(memoryview(words).cast("H")), list(memoryview(constants).cast("d"))
        ([1, 0, 2, 3, 0], [3.0])
        """
        self._words, self._constants, self._places = [], [], {}
        for place, (name, part) in enumerate(rules.parts(row, tree).items()):
            self._put(rules.expand(part, self.rows))
            self._write("store", place)
            self._places[name] = place
        self._put(rules.expand(tree, self.rows))
        self._write("return")
        return array("H", self._words).tobytes(), array("d", self._constants).tobytes()

    def _write(self, instruction: str, *argument: int) -> None:
        self._words += [self.instructions[instruction], *argument]

    def _put(self, tree: ast.expr) -> None:
        """Write the instructions that leave the value of an expanded tree on the stack."""
        number = _constant(tree)
        if number is not None:
            self._put_constant(float(number))
            return
        match tree:
            case ast.Name(id=name) if name in self._places:
                self._write("part", self._places[name])
            case ast.Name(id=name) if name in _OPERANDS:
                self._write(name)
            case ast.Name(id=name):
                self._put_constant(rules.CONSTANTS[name])
            case ast.BinOp(left=left, op=op, right=right):
                self._put(left)
                self._put(right)
                self._write(_BINARY[type(op)])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                self._put(operand)
                self._write("negate")
            case ast.UnaryOp(operand=operand):
                self._put(operand)
            case ast.IfExp(test=ast.Compare() as test, body=body, orelse=orelse):
                self._put_choice(test, body, orelse)
            case ast.Call(func=ast.Name(id=name), args=args):
                for argument in args:
                    self._put(argument)
                self._call(self.rows[name].libm, len(args))
            case _:
                raise AssertionError(ast.dump(tree))

    def _put_constant(self, number: float) -> None:
        self._write("constant", len(self._constants))
        self._constants.append(number)

    def _put_choice(self, test: ast.Compare, body: ast.expr, orelse: ast.expr) -> None:
        self._put(test.left)
        self._put(test.comparators[0])
        self._write("unless_less" if isinstance(test.ops[0], ast.Lt) else "unless_greater", 0)
        otherwise = len(self._words) - 1
        self._put(body)
        self._write("jump", 0)
        end = len(self._words) - 1
        self._words[otherwise] = len(self._words)
        self._put(orelse)
        self._words[end] = len(self._words)

    def _call(self, libm: str, arity: int) -> None:
        if libm not in self.functions:
            raise UnknownFunctionError(f"the machine has no function {libm!r}")
        self._write("call" if arity == 1 else "call_two", self.functions[libm])


def _constant(tree: ast.expr) -> float | None:
    """The value of arithmetic on plain numbers; None for anything else, and where Python raises.

    It may be a whole number, with which Python computes exactly.
    """
    match tree:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=sign, operand=operand):
            x = _constant(operand)
            return -x if x is not None and isinstance(sign, ast.USub) else x
        case ast.BinOp(left=left, op=op, right=right):
            x = _constant(left)
            y = None if x is None else _constant(right)
            if x is None or y is None:
                return None
            try:
                return _FOLDED[type(op)](x, y)
            except (ArithmeticError, ValueError):
                return None
    return None
