"""`Program`: a recording turned back into a few vector instructions, with nothing lost."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

try:
    import numpy as np
except ModuleNotFoundError:
    raise ModuleNotFoundError("a Program needs NumPy: pip install 'chainrule[fast]'") from None

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
from autograd.compiled.rounding import Cone, cone
from autograd.compiled.selection import argmax, chosen, masked
from autograd.compiled.tape import Tape
from autograd.compiled.traced import ARGMAX, DETACH, MASK, ORDER
from autograd.modes import Mode, entered, present_mode, set_mode
from autograd.operands import item
from autograd.show.draw import quote
from autograd.show.graph import Graph
from autograd.value import Value, rows

Array = Any
_WORDS = {CHOOSE: "select", LARGEST: "argmax", MASKED: "mask"}


class Program:
    """A recorded function of inputs and parameters, as instructions over lanes.

    It holds arrays of numbers and no Values.  `print` it to see its instructions.

    Attributes:
        tape: the scalar operations that it was made from.
        instructions: in the order in which they run; backward runs them in reverse.
        address: where each scalar's number is; those fused into a sum have -1.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        lowered = Lowered(tape)
        self.instructions = lowered.instructions
        self.levels, self.shared, self.slots = lowered.levels, lowered.shared, lowered.slots
        self.address, self.lane_of = lowered.address, lowered.lane_of

    @cached_property
    def cone(self) -> Cone:
        """What rounding could decide in it, and what that depends on."""
        return cone(self)

    # ------------------------------------------------------------------ to look at

    def __str__(self) -> str:
        tape = self.tape
        lines = [
            f"Program: {len(tape.code):,} operations as {len(self.instructions)} instructions in "
            f"{self.levels} levels, {self.slots:,} lanes; {tape.parameters:,} parameters, "
            f"{tape.inputs} inputs, {len(tape.guards)} guards; {self.size:,} bytes"
        ]
        lines.append("level  what        lanes x terms  where")
        for one in self.instructions:
            name = self.name(one)
            low, high = one.terms
            terms = f" x {high}" if low == high else f" x {low}-{high}"
            size = f"{one.lanes}{terms}" if high > 1 else f"{one.lanes}"
            where = self.locate(one.z)
            text = where["scope"] or where["line"]
            lines.append(f"{one.level:>5}  {name:<10}  {size:>13}  {text}".rstrip())
        return "\n".join(lines)

    def name(self, one: Instruction) -> str:
        """What an instruction does, in a word."""
        if one.kind == ROW:
            return self.tape.ops[one.op]
        if one.kind in _WORDS:
            return _WORDS[one.kind]
        ones = one.pool[1] if one.kind == GATHER else np.array([one.y])
        word = "dot" if one.terms[1] > 1 else "product"
        if (ones == SHARED + self.shared).all():
            word = "sum"
        return word if one.sign > 0 else f"-{word}"

    @property
    def size(self) -> int:
        """How many bytes the tape and the instructions take."""
        arrays = [v for v in vars(self.tape).values() if isinstance(v, np.ndarray)]
        pools = [array for one in self.instructions for array in (*one.pool, one.counts)]
        return int(sum(a.nbytes for a in arrays + pools)) + 200 * len(self.instructions)

    def locate(self, lane: int) -> dict[str, str]:
        """Label, scope and source line of what a lane holds."""
        node = self.lane_of[lane]
        i = node - self.tape.sources
        if i < 0:
            return {"label": f"input {node - self.shared}", "scope": "", "line": ""}
        return dict(
            zip(("label", "scope", "line"), self.tape.notes[self.tape.note[i]], strict=True)
        )

    def evaluate(self, parameters: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The outputs, computed again operation by operation from numbers or Values."""
        nodes = self.replayed(list(parameters), list(inputs), labels=False)
        return [nodes[o] for o in self.tape.outputs.tolist()]

    def replayed(
        self, parameters: list[Any], inputs: list[Any], labels: bool, scope: str = ""
    ) -> list[Any]:
        """What every node of the tape is, from those numbers or Values.

        With `labels` the nodes are called as they were, and are in the scopes that they were in,
        inside of `scope`.
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
                label, where, _ = tape.notes[note] if labels else ("", "", "")
                where = f"{scope}/{where}" if scope and where else scope or where
                mode = modes.setdefault(where, Mode(scope=where)) if where else None
                with entered(mode) if mode else nullcontext():
                    made = ops[k](x) if y is None else ops[k](x, y)
                if label and isinstance(made, Value):
                    made.label = label
            elif k == DETACH:
                made = nodes[a].data if isinstance(nodes[a], Value) else nodes[a]
            else:
                entries = [nodes[e] for e in tape.tables[b : b + count].tolist()]
                if k == MASK:
                    made = masked(nodes[a], *entries)
                else:
                    made = argmax(entries) if k == ARGMAX else chosen(entries, nodes[a])
            nodes.append(made)
        return nodes

    def lift(self, parameters: Sequence[float], inputs: Sequence[float]) -> "Lifted":
        """The graph of one sample as Values, for the player, the checker and pictures."""
        tape = self.tape
        given = [Value(float(p), f"p{i}") for i, p in enumerate(parameters)]
        entered = [Value(float(x), f"x{i}") for i, x in enumerate(inputs)]
        nodes = recorded_plainly(self.replayed, given, entered, labels=True)
        outputs = [
            nodes[o] if isinstance(nodes[o], Value) else Value(nodes[o]) for o in tape.outputs
        ]
        held = all(
            list(ORDER.values())[order](item(nodes[x]), item(nodes[y])) == bool(answer)
            for order, x, y, answer in tape.guards.tolist()
        )
        return Lifted(given, entered, outputs, held)

    def draw(self) -> Graph:
        """The regrouped picture: a box for each part of the model, with what its lanes do.

        A part is a scope, or a source line outside of any, for as long as its levels follow each
        other.  Boxes that read parameters are yellow, those with an output green.

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
        # Which box an instruction goes into, and the instructions of each.
        boxes: dict[str, list[Instruction]] = {}
        latest: dict[str, tuple[str, int]] = {}  # of each part: its box so far, and its level
        for one in self.instructions:
            found = self.locate(int(one.results[0]))
            part = found["scope"].partition("/neuron ")[0] or found["line"]
            box, level = latest.get(part, ("", -1))
            if level < one.level - 1:
                box = f"b{len(boxes)}"
            boxes.setdefault(box, []).append(one)
            latest[part] = box, one.level
        owner = np.full(self.slots, "", dtype=object)
        owner[: self.tape.inputs] = "x"
        texts, fills = {"x": f"{self.tape.inputs} inputs"}, {"x": "#ffffff"}
        for box, ones in boxes.items():
            found = self.locate(int(ones[0].results[0]))
            part = found["scope"].partition("/neuron ")[0] or found["line"]
            merged: dict[tuple[int, str], list[Instruction]] = {}
            for one in ones:
                owner[one.results] = box
                merged.setdefault((one.level, self.name(one).lstrip("-")), []).append(one)
            lines = [_summary(word, alike) for (_, word), alike in merged.items()]
            texts[box] = "\n".join([part, *lines])
        edges: dict[tuple[str, str], None] = {}
        outputs = self.address[self.tape.outputs]
        constants = SHARED + len(self.tape.constants)
        for box, ones in boxes.items():
            reads = np.unique(np.concatenate([one.operands for one in ones]))
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

    # ------------------------------------------------------------------ to keep

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file, whole or not at all; it holds arrays and text only."""
        files.write(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The program as bytes: its tape, from which the instructions follow."""
        return program_file.packed(self.tape)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Program":
        """The program of a file that `save` wrote; ValueError for any other."""
        return cls.from_bytes(Path(path).read_bytes(), Path(path).name)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "program") -> "Program":
        """The program that `to_bytes` gave; ValueError for anything else."""
        return cls(program_file.unpacked(data, name))

    def __reduce__(self) -> Any:
        return Program.from_bytes, (self.to_bytes(),)

    @property
    def digest(self) -> str:
        """A hash of what it computes; the same for the same tape."""
        tape = self.tape
        found = hashlib.sha256(json.dumps([tape.ops, tape.parameters, tape.inputs]).encode())
        for array in (
            tape.constants,
            tape.code,
            tape.a,
            tape.b,
            tape.cut,
            tape.tables,
            tape.outputs,
        ):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass
class Lifted:
    """One sample's graph as Values."""

    parameters: list[Value]
    inputs: list[Value]
    outputs: list[Value]
    held: bool = field(default=True)  # whether the guards held


def recorded_plainly(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """What the function returns, with its operations recorded, whatever mode there is here."""
    mode = present_mode()
    try:
        set_mode(None)
        return function(*args, **named)
    finally:
        set_mode(mode)


def _summary(word: str, ones: list[Instruction]) -> str:
    """What instructions of one kind and level do, in a line."""
    lanes = len(np.unique(np.concatenate([one.results for one in ones])))
    low, high = min(one.terms[0] for one in ones), max(one.terms[1] for one in ones)
    of = "" if high == 1 else f" of {high}" if low == high else f" of {low} to {high}"
    return f"{word}{of} x {lanes:,}"
