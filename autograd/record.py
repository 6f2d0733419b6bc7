"""The source of an operation's methods and of its pullback, generated from its row.

A generated method reads like one written by hand: the numbers, the result, the new node.  It takes
a third of the time of a general `apply` over function objects, and a debugger can step through it.
"""

import ast
import math
import re
from typing import Any

from autograd import native, rules
from autograd.operands import is_foreign, number
from autograd.operation import Operation
from autograd.ops import Ops

_METHOD = """\
def {name}({parameters}):
    '{formula}.'
{operands}
{result}
    mode = get_mode()
    if mode is not None:
        return mode.record(z, op, {a}, {b}, x, {y})
    node = new(Value)
    node._data = z
    node._grad = untouched
    node.row = op
    node.a = {a}
    node.b = {b}
    node.x = x
{keep_y}    return node
"""

_UNARY = """\
    x = a._data"""

_BINARY = """\
    x = a._data
    if type(b) is Value:
        y = b._data
    else:
        y = other(b, a, op)
        if y is NotImplemented:
            return b.apply(op, a, b)
        b = None"""

_OPERATOR = """\
    x = a._data
    if type(b) is Value:
        y = b._data
    else:
        y = other(b, a, op, {reflected!r})
        if y is NotImplemented:
            return b.apply(op, a, b) if isinstance(b, Ops) else y
        b = None"""

_REFLECTED = """\
    x = other(a, b, op)
    if x is NotImplemented:
        return a.apply(op, a, b)
    a = None
    y = b._data"""


def other(operand: object, node: Ops, op: Operation, reflected: str = "") -> Any:
    """The number beside a node; NotImplemented where the other operand's class must decide.

    `reflected` is the operator's method that another class may define.  Raises TypeError, with what
    to write instead, for text, complex numbers and containers.
    """
    if type(operand) is float:
        return operand
    if isinstance(operand, Ops) and type(operand) is not type(node):
        return NotImplemented
    try:
        return number(operand, op.name)
    except TypeError:
        if reflected and is_foreign(operand, reflected):
            return NotImplemented
        raise


def _guarded(lines: list[str], otherwise: str) -> str:
    """The lines, in a `try` if one can raise; a `try` costs nothing until an error is raised."""
    if not any(rules.can_raise(line) for line in lines):
        return "\n".join(f"    {line}" for line in lines)
    body = "\n".join(f"        {line}" for line in lines)
    return (
        f"    try:\n{body}\n    except (ArithmeticError, ValueError):  # an end: inf or nan\n"
        f"        {otherwise}"
    )


def _fast(op: Operation, rows: dict[str, Operation], **targets: ast.expr) -> list[str]:
    if op.functions:  # they are called as they are
        given = ", ".join("xy"[: op.arity])
        called = {"z": f"op.value({given})"}
        rest = "None, z" if op.arity == 1 else "z"
        return [f"{name} = {called.get(name, f'op.{name}({given}, {rest})')}" for name in targets]
    shared = rules.parts(op, *targets.values())
    return [f"{name} = {rules.fast(tree, rows)}" for name, tree in (shared | targets).items()]


def formula(op: Operation) -> str:
    """The row as a textbook writes it, in one line."""
    names = ("z", "dz/dx", "dz/dy")
    return ", ".join(f"{n} = {text}" for n, text in zip(names, op.textbook, strict=False))


def method_source(
    op: Operation, rows: dict[str, Operation], reflected: bool = False, operator: str = ""
) -> str:
    """The source of the method that evaluates the operation and records a node.

    `operator` is the name of the reflected method if another class may take over the operator.
    """
    return _method_source(op, _result(op, rows), reflected, operator)


def _result(op: Operation, rows: dict[str, Operation]) -> str:
    """The lines that compute z."""
    end = "z = op.value(x)" if op.arity == 1 else "z = op.value(x, y)"
    return _guarded(_fast(op, rows, z=op.value_tree), end)


def _method_source(op: Operation, result: str, reflected: bool = False, operator: str = "") -> str:
    unary = op.arity == 1
    operands = _UNARY if unary else _REFLECTED if reflected else _BINARY
    if operator:
        operands = _OPERATOR.format(reflected=operator)
    default = "" if op.default is None else f"={op.default}"
    parameters = "a" if unary else "b, a" if reflected else f"a, b{default}"
    return _METHOD.format(
        name="r" + op.name if reflected else op.name,
        parameters=parameters,
        formula=formula(op),
        operands=operands,
        result=result,
        a="a",
        b="None" if unary else "b",
        y="None" if unary else "y",
        keep_y="" if unary else "    node.y = y\n",
    )


def pullback_source(op: Operation, rows: dict[str, Operation]) -> str:
    """The source of the function that adds dL/dz * dz/dx to dL/dx, and the same for y."""
    reads = {"x": "node.x", "y": "node.y", "z": "node._data"}
    lines = ["g = node._grad"]
    for parent, name, tree in zip("ab", ("dx", "dy"), op.partial_trees, strict=False):
        text = ast.unparse(tree)
        factor = {"1": "+= g", "-1": "-= g"}.get(text, f"+= g * {reads.get(text, name)}")
        block = [f"{parent}._grad {factor}"]
        if text == "0.0":  # there is nothing to add, unless the value is nan
            block = ["if node._data != node._data:", f"    {parent}._grad += node._data"]
        elif factor.endswith(name):
            operands = list(reads)[: op.arity]
            end = (
                f"{name} = op.{name}({', '.join((*operands, *(['None'] * (op.arity == 1)), 'z'))})"
            )
            computed = _guarded(_fast(op, rows, **{name: tree}), end).split("\n")
            computed = [line.removeprefix("    ") for line in computed]
            used = [n for n in reads if any(re.search(rf"\b{n}\b", line) for line in computed)]
            block = [f"{n} = {reads[n]}" for n in used] + computed + block
        lines.append(f"{parent} = node.{parent}")
        if op.arity == 2:  # of two operands one may be a plain number; a single one is a node
            block = [f"if {parent} is not None:", *(f"    {line}" for line in block)]
        lines += block
    return f"def {op.name}_pullback(node):\n" + "".join(f"    {line}\n" for line in lines)


def install(
    op: Operation, value: type[Ops], rows: dict[str, Operation], names: dict[str, Any]
) -> None:
    """Generate the operation's methods and add them to the class `value`.

    `names` are the globals of the generated source.
    """
    base = names
    op.install = lambda slope: install(slope, value, rows, base)
    for slope in vars(op).get("slopes", {}).values():  # only those that exist already
        op.install(slope)
    names = {
        **rules.CONSTANTS,
        **names,
        "Value": value,
        "new": object.__new__,
        "math": math,
        "other": other,
        "op": op,
        "Ops": Ops,
    }
    program, result = native.program(op, rows), _result(op, rows)

    def defined(name: str, reflected: bool = False, operator: str = "") -> Any:
        source = _method_source(op, result, reflected, operator)
        return native.method(program, rules.define(name, source, names), reflected)

    op.method = defined(op.name)
    # An attribute of the row hides the inherited method, which saves a look-up.
    pullback: Any = rules.define(f"{op.name}_pullback", pullback_source(op, rows), names)
    pullback.program = program  # what C runs in place of this very function
    op.pullback = pullback  # type: ignore[method-assign]
    methods: dict[Any, Any] = {op: op.method}
    if op.arity == 2:
        op.reverse = defined("r" + op.name, reflected=True)
        methods[op.reflected] = op.reverse
        operators = [name for name, attribute in vars(Ops).items() if attribute is op.reflected]
        if operators:  # the other operand may take over `v * other`, but not `v.mul(other)`
            methods[op] = defined(op.name, operator=operators[0])
    for name, attribute in vars(Ops).items():
        if attribute in methods:
            setattr(value, name, methods[attribute])
    if vars(Ops).get(op.name) is op:  # the row of a derivative is not a method
        setattr(value, op.name, op.method)
    native.settle()
