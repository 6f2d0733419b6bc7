"""A compiled program as a C99 function: loops over lanes, with numbers looked up in tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.compiled.lowering import CHOOSE, CONTRACT, GATHER, LARGEST, ROW, SHARED, Instruction
from autograd.compiled.program import Program
from autograd.compiled.traced import COMPARISONS
from autograd.compiled.validity import exact_guards
from autograd.ops import rows
from autograd.printers.c import C, number
from autograd.printers.source import FACTOR, Definitions

Array = Any
_LOOPS = "abct"  # three loops over lanes, and the loop over terms
_HEAD = """\
/* {name}: {outputs} result(s) of {parameters} parameters and {inputs} inputs, and the
   derivatives of the sum of seeds[i] * results[i]; written by chainrule.

   It returns 0; 1 if the inputs are such that the recorded function would take another branch; and
   -1 without memory.  The derivatives are not computed if `seeds` is NULL.  Sums are regrouped, so
   last bits are not those of the graph.  Compile without -ffast-math. */
#include <math.h>
#include <stdlib.h>

"""
_FRAME = """\
int {name}(const double *parameters, const double *inputs, double *results, const double *seeds,
    double *parameter_gradient, double *input_gradient) {{
    static const double constants[] = {{{constants}}};
    double *m = calloc(2 * {size}, sizeof(double)), *g = m + {size};
    if (!m) return -1;
    int status = 0;
    for (int i = 0; i < {count}; i++) m[i] = constants[i];
    for (int i = 0; i < {parameters}; i++) m[{count} + i] = parameters[i];
    m[{shared}] = 1.0;
    for (int i = 0; i < {inputs}; i++) m[{first} + i] = inputs[i];
{guards}{forward}{results}    if (!seeds) goto end;
{seeds}{backward}\
    for (int i = 0; i < {parameters}; i++) parameter_gradient[i] = g[{count} + i];
    for (int i = 0; i < {inputs}; i++) input_gradient[i] = g[{first} + i];
end:
    free(m);
    return status;
}}
"""


def program_to_c(program: Program, name: str) -> str:
    """The source of a C99 function that runs a program and its backward pass; see `to_c`."""
    if not isinstance(program, Program):
        raise TypeError(f"to_c: expected a Value or a Program, got {type(program).__name__}")
    return _Writer(program).source(name)


class _Writer:
    """Writes a program's instructions; memory has the shared numbers, a one, and the lanes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ops = [rows()[name] for name in program.tape.ops]
        self.first = program.shared + 1  # where the lanes start
        self.tables: dict[str, str] = {}  # the name of each table, by its numbers
        self.rules = Definitions(C)

    def source(self, name: str) -> str:
        """The whole source."""
        program, tape = self.program, self.program.tape
        outputs = self._at(program.address[tape.outputs], "i")
        each = f"for (int i = 0; i < {len(tape.outputs)}; i++)"
        guards = [self._guard(guard) for guard in exact_guards(tape, "to_c")]
        # What is nan has nan derivatives.
        seed = f"{each} g[{outputs}] += m[{outputs}] == m[{outputs}] ? seeds[i] : m[{outputs}];"
        steps = program.instructions
        body = _FRAME.format(
            name=name, size=self.first + program.slots, count=len(tape.constants),
            constants=", ".join(map(number, tape.constants.tolist())) or "0.0",
            parameters=tape.parameters, inputs=tape.inputs, shared=program.shared,
            first=self.first, guards=_indented(guards),
            forward=_indented([line for step in steps for line in self._forward(step)]),
            results=_indented([f"{each} results[i] = m[{outputs}];"]), seeds=_indented([seed]),
            backward=_indented([line for step in steps[::-1] for line in self._backward(step)]),
        )  # fmt: skip
        head = _HEAD.format(
            name=name, outputs=len(tape.outputs), parameters=tape.parameters, inputs=tape.inputs
        )
        tables = [f"static const int {n}[] = {{{text}}};\n" for text, n in self.tables.items()]
        return "".join([head, *(f"{t}\n" for t in self.rules.texts.values()), *tables, body])

    # ------------------------------------------------------------------ places in memory

    def _places(self, addresses: Array) -> Array:
        at = np.ravel(addresses)
        return np.where(at >= SHARED, at - SHARED, at + self.first)

    def _at(self, addresses: Array, index: str) -> str:
        """The place of a number in memory, as an expression of an index."""
        return self._listed(self._places(addresses), index)

    def _listed(self, numbers: Array, index: str) -> str:
        """numbers[index], by its formula or from a table."""
        steps = np.unique(np.diff(numbers))
        if len(steps) <= 1:
            step = int(steps[0]) if len(steps) else 0
            return _sum(int(numbers[0]) if len(numbers) else 0, [(step, index)])
        text = ", ".join(map(str, numbers.tolist()))
        return f"{self.tables.setdefault(text, f't{len(self.tables)}')}[{index}]"

    def _guard(self, guard: Sequence[int]) -> str:
        comparison, left, right, answer = guard
        x, y = (self._at(self.program.address[[node]], "0") for node in (left, right))
        test = f"m[{x}] {list(COMPARISONS)[comparison]} m[{y}]"
        return f"if (({test}) != {answer}) {{ status = 1; goto end; }}"

    # ------------------------------------------------------------------ instructions

    def _forward(self, step: Instruction) -> list[str]:
        if step.kind == CONTRACT:
            z, x, y = self._sides(step)
            return _nested(step, f"m[{z}] += {_signed(step, self._product(step, x, y))};")
        each = f"for (int i = 0; i < {step.lanes}; i++)"
        z = self._at(step.results, "i")
        if step.kind == GATHER:
            x, y, product = self._terms(step)
            return [f"{each} for ({product}) m[{z}] += {_signed(step, f'm[{x}] * m[{y}]')};"]
        if step.kind == ROW:
            operands = self._operands(step)
            rule = self.rules.call(self.ops[step.op], "z", self.ops[step.op].value_tree, operands)
            return [f"{each} m[{z}] = {rule};"]
        if step.kind == LARGEST:
            start, count = self._lists(step)
            entry = self._at(step.pool[0], f"{start} + k")
            top = self._at(step.pool[0], f"{start} + best")
            return [
                f"{each} {{",
                "    int best = 0;",
                f"    for (int k = 0; k < {count}; k++) {{",
                f"        if (m[{entry}] != m[{entry}]) {{ best = 0; break; }}",
                f"        if (m[{entry}] > m[{top}]) best = k;",
                "    }",
                f"    m[{z}] = best;",
                "}",
            ]
        if step.kind == CHOOSE:
            return [f"{each} m[{z}] = m[{self._chosen(step)}];"]
        value, instead = self._at(step.pool[0], "i"), self._at(step.pool[3], "i")
        return [f"{each} m[{z}] = {self._masked(step)} ? m[{instead}] : m[{value}];"]

    def _backward(self, step: Instruction) -> list[str]:
        """What it adds to the operands' adjoints; an adjoint of exactly 0 is not carried on."""
        if not any(step.wanted):
            return []
        if step.kind == CONTRACT:
            z, x, y = self._sides(step)
            pairs = [(x, f"m[{y}]")] * step.wanted[0] + [(y, f"m[{x}]")] * step.wanted[1]
            lines = [f"g[{at}] += {_signed(step, f'g[{z}] * {factor}')};" for at, factor in pairs]
            return _nested(step, f"if (g[{z}] != 0.0) {{ {' '.join(lines)} }}")
        each = f"for (int i = 0; i < {step.lanes}; i++)"
        z = self._at(step.results, "i")
        found = f"{each} if (g[{z}] != 0.0)"
        if step.kind == GATHER:
            x, y, product = self._terms(step)
            pairs = [(x, y)] * step.wanted[0] + [(y, x)] * step.wanted[1]
            lines = [f"g[{at}] += {_signed(step, f'g[{z}] * m[{by}]')};" for at, by in pairs]
            return [f"{found} for ({product}) {{ {' '.join(lines)} }}"]
        if step.kind == ROW:
            return [f"{found} {{", *(f"    {line}" for line in self._slopes(step, z)), "}"]
        if step.kind == CHOOSE:
            return [f"{found} g[{self._chosen(step)}] += g[{z}];"]
        value = self._at(step.pool[0], "i")
        return [f"{found} if (!({self._masked(step)})) g[{value}] += g[{z}];"]

    def _slopes(self, step: Instruction, z: str) -> list[str]:
        op, operands = self.ops[step.op], self._operands(step)
        lines = []
        for k, wanted in enumerate(step.wanted[: op.arity]):
            if wanted:
                rule = self.rules.call(op, f"d{'xy'[k]}", op.partial_trees[k], operands, FACTOR)
                lines.append(f"g[{self._at(step.pool[k], 'i')}] += g[{z}] * {rule};")
        return lines

    def _operands(self, step: Instruction) -> dict[str, str]:
        texts = {o: f"m[{self._at(pool, 'i')}]" for o, pool in zip("xy", step.pool, strict=False)}
        return {**texts, "z": f"m[{self._at(step.results, 'i')}]"}

    def _sides(self, step: Instruction) -> list[str]:
        """The places of z, x and y in a contraction's loops."""
        sides = (step.z, step.zs), (step.x, step.xs), (step.y, step.ys)
        return [
            _sum(
                int(self._places(np.array([base]))[0]),
                [(s, i) for s, i, n in zip(strides, _LOOPS, step.sizes, strict=True) if n > 1],
            )
            for base, strides in sides
        ]

    def _product(self, step: Instruction, x: str, y: str) -> str:
        is_one = step.y == SHARED + self.program.shared
        return f"m[{x}]" if is_one else f"m[{x}] * m[{y}]"

    def _lists(self, step: Instruction) -> tuple[str, str]:
        """Where each lane's list starts, and its length."""
        starts = np.concatenate([[0], np.cumsum(step.counts)[:-1]])
        return self._listed(starts, "i"), self._listed(step.counts, "i")

    def _terms(self, step: Instruction) -> tuple[str, str, str]:
        """The places of a term's factors, and the loop over a lane's terms."""
        start, count = self._lists(step)
        x, y = (self._at(pool, "k") for pool in step.pool[:2])
        return x, y, f"int k = {start}; k < {start} + {count}; k++"

    def _chosen(self, step: Instruction) -> str:
        """The place of the number that the index of a lane chooses."""
        start, count = self._lists(step)
        index = f"m[{self._at(step.pool[1], 'i')}]"
        last = f"{count} - 1"
        inside = f"({index} >= 1.0 ? ({index} < {last} ? (int){index} : {last}) : 0)"
        return self._at(step.pool[0], f"{start} + {inside}")

    def _masked(self, step: Instruction) -> str:
        """Whether a lane is the one that its index selects."""
        return f"m[{self._at(step.pool[1], 'i')}] == {self._listed(step.pool[2], 'i')}"


def _indented(lines: list[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _signed(step: Instruction, product: str) -> str:
    return product if step.sign > 0 else f"-({product})"


def _sum(base: int, terms: list[tuple[int, str]]) -> str:
    """base + step * index + ..., without what is 0."""
    parts = [str(base)] * (base != 0 or not any(step for step, _ in terms))
    for step, index in terms:
        inside = index if index.isalnum() else f"({index})"
        if step:
            parts.append(inside if step == 1 else f"{step} * {inside}")
    return " + ".join(parts)


def _nested(step: Instruction, line: str) -> list[str]:
    """A line in the loops of a contraction."""
    loops = [
        f"for (int {i} = 0; {i} < {n}; {i}++) "
        for i, n in zip(_LOOPS, step.sizes, strict=True)
        if n > 1
    ]
    return ["".join(loops) + line]
