"""`Program`: a recorded function as a few vector instructions that keep every scalar operation."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograd.extras import remedy

try:
    import numpy as np
except ModuleNotFoundError:
    raise ModuleNotFoundError(f"a Program needs NumPy: {remedy('fast', 'numpy')}") from None

from autograd import files
from autograd.compiled import program_file
from autograd.compiled.lowering import (
    CHOOSE,
    GATHER,
    LARGEST,
    MASKED,
    ROW,
    SHARED,
    Instruction,
    Lowered,
)
from autograd.compiled.precision import DOUBLE, Precision
from autograd.compiled.rounding import Cone, cone
from autograd.compiled.selection import argmax, chosen, masked
from autograd.compiled.tape import Tape
from autograd.compiled.traced import ARGMAX, COMPARISONS, DETACH, MASK
from autograd.modes import Mode, entered
from autograd.operands import item
from autograd.show.draw import quote
from autograd.show.graph import Graph
from autograd.textbook import place
from autograd.value import Value, rows

Array = Any
_WORDS = {CHOOSE: "select", LARGEST: "argmax", MASKED: "mask"}


class Program:
    """A recorded function of inputs and parameters, as instructions over lanes.

    It holds arrays of numbers and no Values.  `print` it to see its instructions.

    Attributes:
        tape: the recorded scalar operations.
        instructions: in the order in which they run; backward runs them in reverse.
        address: of each scalar's number; -1 if it is fused into a sum.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        lowered = Lowered(tape)
        self.instructions = lowered.instructions
        self.levels, self.shared, self.slots = lowered.levels, lowered.shared, lowered.slots
        self.address, self.lane_of = lowered.address, lowered.lane_of
        self._cones: dict[Precision, Cone] = {}

    @property
    def cone(self) -> Cone:
        """What rounding could decide in the program, and what that depends on."""
        return self.cone_in(DOUBLE)

    def cone_in(self, precision: Precision) -> Cone:
        """The same in another type of numbers."""
        if precision not in self._cones:
            self._cones[precision] = cone(self, precision)
        return self._cones[precision]

    # ------------------------------------------------------------------ text and pictures

    def __str__(self) -> str:
        tape = self.tape
        lines = [
            f"Program: {len(tape.code):,} operations as {len(self.instructions)} instructions in "
            f"{self.levels} levels, {self.slots:,} lanes; {tape.parameters:,} parameters, "
            f"{tape.inputs} inputs, {len(tape.guards)} guards; {self.size:,} bytes"
        ]
        lines.append("level  what        lanes x terms  where")
        for step in self.instructions:
            low, high = step.terms
            terms = f" x {high}" if low == high else f" x {low}-{high}"
            size = f"{step.lanes}{terms}" if high > 1 else f"{step.lanes}"
            origin = self.locate(step.z)
            text = origin["scope"] or origin["line"]
            lines.append(f"{step.level:>5}  {self.name(step):<10}  {size:>13}  {text}".rstrip())
        return "\n".join(lines)

    def name(self, step: Instruction) -> str:
        """What an instruction does, in a word."""
        if step.kind == ROW:
            return self.tape.ops[step.op]
        if step.kind in _WORDS:
            return _WORDS[step.kind]
        factors = step.pool[1] if step.kind == GATHER else np.array([step.y])
        word = "dot" if step.terms[1] > 1 else "product"
        if (factors == SHARED + self.shared).all():  # the constant one
            word = "sum"
        return word if step.sign > 0 else f"-{word}"

    @property
    def size(self) -> int:
        """How many bytes the tape and the instructions take."""
        arrays = [v for v in vars(self.tape).values() if isinstance(v, np.ndarray)]
        pools = [array for step in self.instructions for array in (*step.pool, step.counts)]
        return int(sum(a.nbytes for a in arrays + pools)) + 200 * len(self.instructions)

    def locate(self, lane: int) -> dict[str, str]:
        """Label, scope and source line of the node in a lane."""
        node = self.lane_of[lane]
        i = node - self.tape.sources
        if i < 0:
            return {"label": f"input {node - self.shared}", "scope": "", "line": ""}
        label, scope, line = self.tape.notes[self.tape.note[i]]
        return {"label": label, "scope": place(scope), "line": line}

    def evaluate(self, parameters: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The outputs, computed operation by operation from numbers or Values."""
        nodes = self.replayed(list(parameters), list(inputs), labels=False)
        return [nodes[o] for o in self.tape.outputs.tolist()]

    def replayed(
        self, parameters: list[Any], inputs: list[Any], labels: bool, scope: str = ""
    ) -> list[Any]:
        """Every node of the tape, computed from numbers or Values.

        With `labels`, the nodes get their recorded labels and scopes, inside `scope`.
        """
        tape = self.tape
        nodes: list[Any] = [*tape.constants.tolist(), *parameters, *inputs]
        table = rows()
        ops = [table[name] for name in tape.ops]
        modes: dict[str, Mode] = {}
        columns = (tape.code, tape.a, tape.b, tape.cut, tape.note, tape.count)
        for k, a, b, cut, note, count in zip(*(c.tolist() for c in columns), strict=True):
            if k >= 0:
                x, y = nodes[a], nodes[b] if b >= 0 else None
                if cut:
                    x, y = (v.data if isinstance(v, Value) else v for v in (x, y))
                label, inner, _ = tape.notes[note] if labels else ("", "", "")
                within = f"{scope}/{inner}" if scope and inner else scope or inner
                mode = modes.setdefault(within, Mode(scope=within)) if within else None
                with entered(mode) if mode else nullcontext():
                    node = ops[k](x) if y is None else ops[k](x, y)
                if label and isinstance(node, Value):
                    node.label = label
            elif k == DETACH:
                node = nodes[a].data if isinstance(nodes[a], Value) else nodes[a]
            else:
                entries = [nodes[e] for e in tape.tables[b : b + count].tolist()]
                if k == MASK:
                    node = masked(nodes[a], *entries)
                else:
                    node = argmax(entries) if k == ARGMAX else chosen(entries, nodes[a])
            nodes.append(node)
        return nodes

    def to_jax(self) -> Callable[[Any, Any], Any]:
        """The program as a JAX function of an array of parameters and an array of inputs.

        It works inside `jit`, `vmap`, `grad` and what else JAX has for functions, in float64 only.
        Its derivatives are those of the table; but where an adjoint of 0 meets an infinite slope,
        JAX's product is nan.  Sums are regrouped as XLA likes, so last bits differ.  A whole input
        for which the recording is not valid, such as an index outside a list, gives nan.

        Raises ValueError for a recording that depends on a comparison of other numbers,
        NotImplementedError for an operation that JAX has no function for, ModuleNotFoundError
        without JAX.

        >>> import autograd, jax
        >>> w = Value(2.0)
        >>> compiled = autograd.compile(lambda x: (w * x).tanh())
        >>> _ = compiled(0.5)
        >>> with jax.enable_x64(True):
        ...     f = compiled.program.to_jax()
        ...     print(jax.jit(jax.grad(f))(jax.numpy.array([2.0]), [0.5]))
        [0.20998717]
        """
        try:
            from autograd.compiled.jax_lowering import function
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_jax needs JAX: pip install 'chainrule[jax]'") from error
        return function(self.tape, self.instructions, self.address)

    def lift(self, parameters: Sequence[float], inputs: Sequence[float]) -> "Lifted":
        """The graph of one sample as Values, for the player, the checker and pictures."""
        tape = self.tape
        p = [Value(float(number), f"p{i}") for i, number in enumerate(parameters)]
        x = [Value(float(number), f"x{i}") for i, number in enumerate(inputs)]
        with entered(None):  # recorded, whatever mode is active
            nodes = self.replayed(p, x, labels=True)
        outputs = [
            nodes[o] if isinstance(nodes[o], Value) else Value(nodes[o]) for o in tape.outputs
        ]
        compare = list(COMPARISONS.values())
        passed = all(
            compare[k](item(nodes[left]), item(nodes[right])) == bool(answer)
            for k, left, right, answer in tape.guards.tolist()
        )
        return Lifted(p, x, outputs, passed)

    def draw(self) -> Graph:
        """A picture with a box for each part of the model, which says what its lanes do.

        A part is a scope, or a source line outside any scope, in consecutive levels.  Boxes that
        read parameters are yellow, those with an output green.

        >>> from autograd import Value, compile, scope
        >>> w = [Value(0.5), Value(-1.0)]
        >>> def f(x):
        ...     with scope("neuron"):
        ...         return (w[0] * x[0] + w[1] * x[1]).tanh()
        >>> program = compile(f)
        >>> _ = program([1.0, 2.0])
        >>> print(program.program.draw().mermaid())
        graph TD
        x["2 inputs"]
        b0["neuron<br>dot of 2 x 1<br>tanh x 1"]
        x --> b0
        """
        boxes: dict[str, list[Instruction]] = {}
        latest: dict[str, tuple[str, int]] = {}  # the last box of each part, and its level
        for step in self.instructions:
            part = self._part(step)
            box, level = latest.get(part, ("", -1))
            if level < step.level - 1:
                box = f"b{len(boxes)}"
            boxes.setdefault(box, []).append(step)
            latest[part] = box, step.level
        owner = np.full(self.slots, "", dtype=object)
        owner[: self.tape.inputs] = "x"
        texts, fills = {"x": f"{self.tape.inputs} inputs"}, {"x": "#ffffff"}
        for box, steps in boxes.items():
            merged: dict[tuple[int, str], list[Instruction]] = {}
            for step in steps:
                owner[step.results] = box
                merged.setdefault((step.level, self.name(step).lstrip("-")), []).append(step)
            lines = [_summary(word, alike) for (_, word), alike in merged.items()]
            texts[box] = "\n".join([self._part(steps[0]), *lines])
        edges: dict[tuple[str, str], None] = {}
        outputs = self.address[self.tape.outputs]
        constants = SHARED + len(self.tape.constants)
        for box, steps in boxes.items():
            reads = np.unique(np.concatenate([step.operands for step in steps]))
            trained = ((reads >= constants) & (reads < SHARED + self.shared)).any()
            final = (owner[outputs[outputs < SHARED]] == box).any()
            fills[box] = "#dff0e3" if final else "#fff4d6" if trained else "#f4f6fa"
            for source in dict.fromkeys(owner[reads[reads < SHARED]].tolist()):
                if source != box:
                    edges[source, box] = None
        body = [
            "\tbgcolor=white ranksep=0.3\n",
            '\tnode [shape=box style="rounded,filled" color="#51627a" fontname=Courier '
            "fontsize=11]\n",
            '\tedge [color="#8a97a8"]\n',
        ]
        mermaid = ["graph TD"]
        for name, text in texts.items():
            body.append(f"\t{name} [label={quote(text)} fillcolor={quote(fills[name])}]\n")
            shown = text.replace('"', "#quot;").replace("\n", "<br>")
            mermaid.append(f'{name}["{shown}"]')
        body += [f"\t{source} -> {target}\n" for source, target in edges]
        mermaid += [f"{source} --> {target}" for source, target in edges]
        return Graph(body, "\n".join(mermaid))

    def _part(self, step: Instruction) -> str:
        """The part of the model that an instruction belongs to; see `draw`."""
        origin = self.locate(int(step.results[0]))
        return origin["scope"].partition("/neuron ")[0] or origin["line"]

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file, completely or not at all; it contains no code."""
        files.write(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The program's tape as bytes; the instructions follow from it."""
        return program_file.packed(self.tape)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Program":
        """The program in a file that `save` wrote; ValueError for any other file."""
        return cls.from_bytes(Path(path).read_bytes(), Path(path).name)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "program") -> "Program":
        """The program from the bytes that `to_bytes` gave; ValueError for any others."""
        return cls(program_file.unpacked(data, name))

    def __reduce__(self) -> Any:
        return Program.from_bytes, (self.to_bytes(),)

    @property
    def digest(self) -> str:
        """A hash of what the program computes; equal for equal tapes."""
        t = self.tape
        digest = hashlib.sha256(json.dumps([t.ops, t.parameters, t.inputs]).encode())
        for array in (t.constants, t.code, t.a, t.b, t.cut, t.tables, t.outputs):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass
class Lifted:
    """One sample's graph as Values."""

    parameters: list[Value]
    inputs: list[Value]
    outputs: list[Value]
    passed: bool  # whether the guards passed


def _summary(word: str, steps: list[Instruction]) -> str:
    """What instructions of one kind and level do, in a line."""
    lanes = len(np.unique(np.concatenate([step.results for step in steps])))
    low, high = min(step.terms[0] for step in steps), max(step.terms[1] for step in steps)
    terms = "" if high == 1 else f" of {high}" if low == high else f" of {low} to {high}"
    return f"{word}{terms} x {lanes:,}"
