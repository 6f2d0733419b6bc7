"""A graph of Values as a C99 function of its leaves, with the gradient."""

import re
from typing import TYPE_CHECKING

from autograd.bridges.straight import Straight, straight
from autograd.printers.c import RESERVED, C, number
from autograd.printers.source import FACTOR, Definitions, remark
from autograd.value import Value

if TYPE_CHECKING:
    from autograd.compiled.program import Program

_HEAD = """\
/* {name}: a number, and its derivatives in {count} inputs; written by chainrule.

{inputs}

   Pass the inputs in this order.  The derivatives are written to `gradient`, unless it is NULL.
   Compile without -ffast-math, and with -ffp-contract=off for the same bits on every machine. */
#include <math.h>
#include <stddef.h>

"""


def to_c(root: "Value | Program", name: str = "f") -> str:
    """The source of a C99 function that computes the value and its gradient from the leaves.

    `double f(const double *x, double *gradient)` returns the value.  The inputs are the leaves of
    the graph, in the order of `topological(root)`; a comment lists them by label.  Plain numbers
    are constants.  The operations and their order are those of `backward()`, so the bits are those
    of this engine, up to the last bits of libm's functions.

    For a large graph, give the program of a compiled function (`autograd.compile(f).program` after
    a call): its function has loops, and takes parameters and inputs; a comment says how.

    Raises ValueError for a graph of more than 10,000 operations, for hooks, for a program that
    depends on comparisons, and for a name that is no identifier of C; NotImplementedError for an
    operation that C has no function for.

    >>> w, x = Value(2.0, "w"), Value(-1.0, "x")
    >>> source = to_c((w * x).tanh())
    >>> print(source[source.index("double f") :])
    double f(const double *x, double *gradient) {
        const double x0 = x[0];
        const double x1 = x[1];
        const double v0 = x0 * x1;
        const double v1 = tanh(v0);
        if (!gradient) return v1;
        double gx0 = 0.0, gx1 = 0.0, gv0 = 0.0, gv1 = 0.0;
        gv1 += v1 == v1 ? 1.0 : v1;
        if (gv1 != 0.0) {
            gv0 += gv1 * dx_tanh(v0);
        }
        if (gv0 != 0.0) {
            gx0 += gv0 * x1;
            gx1 += gv0 * x0;
        }
        gradient[0] = gx0;
        gradient[1] = gx1;
        return v1;
    }
    <BLANKLINE>
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in RESERVED:
        raise ValueError(f"to_c: {name!r} cannot be the name of a function in C")
    if not isinstance(root, Value):
        from autograd.bridges.c_program import program_to_c  # only this needs NumPy

        return program_to_c(root, name)
    graph, rules = straight(root, "to_c"), Definitions(C)
    lines = [f"const double {graph.texts[leaf]} = x[{i}];" for i, leaf in enumerate(graph.leaves)]
    for node in graph.inner:
        assert node.op is not None
        text = rules.call(node.op, "z", node.op.value_tree, graph.operands(node, number))
        lines.append(f"const double {graph.texts[node]} = {text};")
    result = graph.texts[root]
    lines.append(f"if (!gradient) return {result};")
    lines += _backward(graph, rules, result)
    lines += [f"gradient[{i}] = g{graph.texts[leaf]};" for i, leaf in enumerate(graph.leaves)]
    lines.append(f"return {result};")
    inputs = "\n".join(
        f"   x[{i}]  {remark(graph.shown[leaf])}" for i, leaf in enumerate(graph.leaves)
    )
    head = _HEAD.format(name=name, count=len(graph.leaves), inputs=inputs)
    definitions = "".join(f"{text}\n" for text in rules.texts.values())
    body = "".join(f"    {line}\n" for line in lines)
    return f"{head}{definitions}double {name}(const double *x, double *gradient) {{\n{body}}}\n"


def _backward(graph: Straight, rules: Definitions, result: str) -> list[str]:
    """The lines of the backward pass: those of `backward()`, in its order."""
    adjoints = [f"g{graph.texts[node]} = 0.0" for node in (*graph.leaves, *graph.inner)]
    lines = [
        f"double {', '.join(adjoints)};",
        f"g{result} += {result} == {result} ? 1.0 : {result};",
    ]
    for node in reversed(graph.inner):
        assert node.op is not None
        z = graph.texts[node]
        steps = []
        for k, parent in enumerate((node.a, node.b)):
            if parent is not None:
                operands, tree = graph.operands(node, number), node.op.partial_trees[k]
                text = rules.call(node.op, f"d{'xy'[k]}", tree, operands, FACTOR)
                steps.append(
                    _contribution(f"g{graph.texts[parent]}", z, node.op.texts[1 + k], text)
                )
        lines.append(f"if (g{z} != 0.0) {{")
        lines += [f"    {step}" for step in steps]
        lines.append("}")
    return lines


def _contribution(adjoint: str, z: str, rule: str, text: str) -> str:
    """What a node adds to the adjoint of an operand whose derivative has this rule."""
    if rule == "0.0":  # there is nothing to add, unless the value is nan
        return f"if ({z} != {z}) {adjoint} += {z};"
    factor = {"1": f"g{z}", "-1": f"-g{z}"}.get(rule, f"g{z} * {text}")
    return f"{adjoint} += {factor};"
