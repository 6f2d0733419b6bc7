"""Backpropagation written out line by line: every forward value, then every contribution."""

import ast
import re
import sys

from autograd import rules
from autograd.names import names, variables
from autograd.ops import Operation
from autograd.value import Value, topological, visited


def formula(op: Operation, which: int, operands: dict[str, str]) -> str:
    """The textbook's z (0), dz/dx (1) or dz/dy (2) of a row, with other texts for x, y and z.

    >>> from autograd import rows
    >>> formula(rows()["tanh"], 1, {"z": "0.5"})
    '1 - 0.5 * 0.5'
    """
    tree = ast.parse(op.textbook[which], mode="eval").body
    text = ast.unparse(rules.substitute(tree, {k: ast.Name(t) for k, t in operands.items()}))
    return re.sub(r"\((\(-[\d.e+-]+\))\)", r"\1", text)  # tanh((-1.5)) is one pair too many


def steps(root: Value, number_format: str = ".4g") -> list[str]:
    """The lines of one forward and backward pass over what `root` was computed from.

    Order and numbers are those of `root.backward()`; no gradient is touched.

    >>> a = Value(3.0, "a")
    >>> for line in steps(a * a):
    ...     print(line)
    forward
      a = 3
      v1 = a * a = 3 * 3 = 9
    backward
      dL/dv1 = 1
      dL/da += dL/dv1 * a = 1 * 3 = 3
      dL/da += dL/dv1 * a = 1 * 3 = 3, in all 6
    """
    order = topological(root)
    name = names(order, variables(sys._getframe(1)))

    def shown(number: float) -> str:
        text = format(number, number_format)
        return f"({text})" if text.startswith("-") else text

    lines = ["forward"]
    for node in order:
        result = format(node.data, number_format)
        if node.op is None:
            lines.append(f"  {name[node]} = {result}")
            continue
        words, numbers = _operands(node, name, number_format)
        lines.append(
            f"  {name[node]} = {formula(node.op, 0, words)} = {formula(node.op, 0, numbers)}"
            f" = {result}"
        )
    lines += ["backward", f"  dL/d{name[root]} = 1"]
    adjoint = {root: 1.0}
    for node in reversed(visited(root)[0]):
        g = adjoint.get(node, 0.0)
        if not g or node.op is None:
            continue
        words, numbers = _operands(node, name, number_format)
        for k, (parent, partial) in enumerate(((node.a, "dx"), (node.b, "dy")), 1):
            if parent is None:
                continue
            amount = g * getattr(node, partial)
            before = parent in adjoint
            adjoint[parent] = adjoint.get(parent, 0.0) + amount
            factor, plugged = _factor(node.op, k, words), _factor(node.op, k, numbers)
            line = f"  dL/d{name[parent]} += dL/d{name[node]} * {factor}"
            line += f" = {shown(g)} * {plugged} = {format(amount, number_format)}"
            lines.append(line + (f", in all {adjoint[parent]:{number_format}}" if before else ""))
    return lines


def _factor(op: Operation, which: int, operands: dict[str, str]) -> str:
    """A local derivative as a factor: in brackets unless it is one name, number or call."""
    text = formula(op, which, operands)
    tree = ast.parse(op.textbook[which], mode="eval").body
    return text if isinstance(tree, ast.Name | ast.Constant | ast.Call) else f"({text})"


def _operands(
    node: Value, name: dict[Value, str], number_format: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The texts for x, y and z: their names, and their numbers."""
    words, numbers = {"z": name[node]}, {"z": node.data}
    for parent, operand in ((node.a, "x"), (node.b, "y")):
        number = getattr(node, operand, None)
        if number is not None:
            numbers[operand] = number
            words[operand] = name[parent] if parent is not None else f"{number:{number_format}}"
    texts = {key: f"{number:{number_format}}" for key, number in numbers.items()}
    return words, {key: f"({t})" if t.startswith("-") else t for key, t in texts.items()}
