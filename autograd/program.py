"""`Program`: a recording turned back into a few vector instructions, with nothing lost."""

import dataclasses
import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Sequence
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
from autograd.draw import Graph, quote
from autograd.lowering import CHOOSE, GATHER, LARGEST, MASKED, ROW, SHARED, Instruction, Lowered
from autograd.ops import Ops
from autograd.rounding import Cone, cone
from autograd.tape import (
    ARGMAX,
    DETACH,
    MASK,
    ORDER,
    Index,
    Recorder,
    Traced,
    argmax,
    chosen,
    covered,
    number_of,
)
from autograd.value import Mode, Value, entered, rows

Array = Any
FORMAT = 1
_WORDS = {CHOOSE: "select", LARGEST: "argmax", MASKED: "mask"}
_HEAD = b"chainrule program\n"


@dataclass
class Tape:
    """The recording as arrays; a node is a constant, a parameter, an input, or computed, in turn.

    `code` says for each computed node which row of `ops` it is, or DETACH, SELECT, ARGMAX, MASK;
    `a` and `b` are its operands, and for the last three `b` is where its list starts in `tables`.
    """

    ops: list[str]
    constants: Array
    parameters: int
    inputs: int
    whole: Array  # whether an input selects
    code: Array
    a: Array
    b: Array
    count: Array
    cut: Array
    tables: Array
    outputs: Array
    form: Any
    guards: Array  # order, x, y, answer
    notes: list[list[str]]  # label, scope, line
    note: Array

    @property
    def sources(self) -> int:
        """How many nodes are not computed."""
        return len(self.constants) + self.parameters + self.inputs

    def __len__(self) -> int:
        return self.sources + len(self.code)


def freeze(recorder: Recorder, outputs: list[Any], form: Any) -> tuple[Tape, list[Value]]:
    """The part of the recording that the outputs and guards need, and the parameters."""
    nodes = recorder.nodes
    alive = bytearray(len(nodes))
    ends: list[Any] = [*outputs, *(side for g in recorder.guards for side in (g.x, g.y))]
    for thing in ends:
        if type(thing) in (Traced, Index):
            alive[thing.serial] = 1
    for node in reversed(nodes):
        if alive[node.serial]:
            for operand in node.operands:
                if type(operand) in (Traced, Index):
                    alive[operand.serial] = 1
    constants: dict[str, int] = {}
    parameters: dict[Value, int] = {}
    born = recorder.born

    def meet(operand: Any) -> None:
        if type(operand) is Value:
            if operand in born:
                constants.setdefault(number_of(operand).hex(), len(constants))
            elif operand not in parameters:
                if not operand.is_leaf:
                    raise TypeError(
                        "compile: a computed Value from outside is used; compute it inside the "
                        "function, or pass its number"
                    )
                if operand._row.hooks:
                    raise TypeError("compile: hooks are not run by a compiled function")
                parameters[operand] = len(parameters)
        elif not isinstance(operand, Ops):
            constants.setdefault(float(operand).hex(), len(constants))

    live = [node for node in nodes if alive[node.serial] and node.operands]
    for node in live:
        for operand in node.operands:
            meet(operand)
    for thing in ends:
        meet(thing)
    if recorder.met:
        order = [v for v in dict.fromkeys(recorder.met) if type(v) is Value and v in parameters]
        parameters = {p: i for i, p in enumerate(dict.fromkeys([*order, *parameters]))}
    base = len(constants)
    number: list[int] = [-1] * len(nodes)
    for i, node in enumerate(recorder.inputs):
        number[node.serial] = base + len(parameters) + i
    start = base + len(parameters) + len(recorder.inputs)
    for i, node in enumerate(live):
        number[node.serial] = start + i

    def at(operand: Any) -> int:
        if type(operand) is Value:
            if operand in born:
                return constants[number_of(operand).hex()]
            return base + parameters[operand]
        if type(operand) in (Traced, Index):
            return number[int(operand.serial)]
        return constants[float(operand).hex()]

    ops: dict[str, int] = {}
    code, a, b, count, cut, note = [], [], [], [], [], []
    tables: list[int] = []
    notes: dict[tuple[str, str, str], int] = {}
    for node in live:
        row, operands = node._row, node.operands
        if node.kind is None:
            code.append(ops.setdefault(row.op.name, len(ops)))  # type: ignore[union-attr]
            a.append(at(operands[0]))
            b.append(at(operands[1]) if len(operands) == 2 else -1)
            count.append(0)
            cut.append(node.a is None and node.b is None)
        elif node.kind == DETACH:
            code.append(DETACH)
            a.append(at(operands[0]))
            b.append(-1)
            count.append(0)
            cut.append(True)
        else:
            index, values = (None, operands) if node.kind == ARGMAX else (operands[0], operands[1:])
            code.append(node.kind)
            a.append(-1 if index is None else at(index))
            b.append(len(tables))
            count.append(len(values))
            cut.append(node.kind == ARGMAX)
            tables += [at(value) for value in values]
        note.append(notes.setdefault((row.label, row.scope, row.line), len(notes)))
    orders = list(ORDER)
    guards = {
        (orders.index(g.order), at(g.x), at(g.y), int(g.answer)): None for g in recorder.guards
    }
    whole = [hasattr(node, "__index__") for node in recorder.inputs]
    tape = Tape(
        list(ops),
        np.array([float.fromhex(text) for text in constants], dtype=np.float64),
        len(parameters), len(recorder.inputs), np.array(whole, dtype=bool),
        np.array(code, dtype=np.int16), np.array(a, dtype=np.int64), np.array(b, dtype=np.int64),
        np.array(count, dtype=np.int64), np.array(cut, dtype=bool),
        np.array(tables, dtype=np.int64), np.array([at(o) for o in outputs], dtype=np.int64), form,
        np.array(list(guards), dtype=np.int64).reshape(-1, 4),
        [list(key) for key in notes], np.array(note, dtype=np.int64),
    )  # fmt: skip
    return tape, list(parameters)


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
        nodes = self._replayed(list(parameters), list(inputs), labels=False)
        return [nodes[o] for o in self.tape.outputs.tolist()]

    def _replayed(self, parameters: list[Any], inputs: list[Any], labels: bool) -> list[Any]:
        """What every node of the tape is, from those numbers or Values."""
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
                    made = covered(nodes[a], *entries)
                else:
                    made = argmax(entries) if k == ARGMAX else chosen(entries, nodes[a])
            nodes.append(made)
        return nodes

    def lift(self, parameters: Sequence[float], inputs: Sequence[float]) -> "Lifted":
        """The graph of one sample as Values, for the player, the checker and pictures."""
        tape = self.tape
        given = [Value(float(p), f"p{i}") for i, p in enumerate(parameters)]
        entered = [Value(float(x), f"x{i}") for i, x in enumerate(inputs)]
        nodes = self._replayed(given, entered, labels=True)
        outputs = [
            nodes[o] if isinstance(nodes[o], Value) else Value(nodes[o]) for o in tape.outputs
        ]
        held = all(
            list(ORDER.values())[order](float(nodes[x]), float(nodes[y])) == bool(answer)
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
            '\tnode [shape=box style="rounded,filled" color="#51627a" fontname="DejaVu Sans" '
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
        arrays: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for one in dataclasses.fields(Tape):
            value = getattr(self.tape, one.name)
            (arrays if isinstance(value, np.ndarray) else rest)[one.name] = value
        table = rows()
        rest["texts"] = [list(table[name].texts) for name in self.tape.ops]
        rest["format"] = FORMAT
        arrays["json"] = np.frombuffer(json.dumps(rest).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        try:
            np.savez(buffer, **arrays)
        except ValueError as error:
            # After Ctrl-C, zipfile complains of the part that was not finished, and hides it.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            raise
        body = buffer.getvalue()
        return _HEAD + hashlib.sha256(body).hexdigest().encode() + body

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Program":
        """The program of a file that `save` wrote; ValueError for any other."""
        return cls.from_bytes(Path(path).read_bytes(), Path(path).name)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "program") -> "Program":
        """The program that `to_bytes` gave; ValueError for anything else."""
        head, body = data[: len(_HEAD) + 64], data[len(_HEAD) + 64 :]
        if not data.startswith(_HEAD):
            raise ValueError(f"{name} is not a program")
        if head[len(_HEAD) :] != hashlib.sha256(body).hexdigest().encode():
            raise ValueError(f"{name} is damaged")
        try:
            rest, arrays = _unpacked(body)
            tape = Tape(**rest, **arrays)
            _checked(tape)
        except Exception as error:  # what zipfile and json say of damage is of many kinds
            raise ValueError(f"{name} is not a program ({error!s:.200})") from None
        return cls(tape)

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


def _summary(word: str, ones: list[Instruction]) -> str:
    """What instructions of one kind and level do, in a line."""
    lanes = len(np.unique(np.concatenate([one.results for one in ones])))
    low, high = min(one.terms[0] for one in ones), max(one.terms[1] for one in ones)
    of = "" if high == 1 else f" of {high}" if low == high else f" of {low} to {high}"
    return f"{word}{of} x {lanes:,}"


# A .npy file as NumPy writes arrays of one or two dimensions.  Nothing is evaluated.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(?s:..)\{'descr': '([<>|][a-z]\d)', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}),(?: (\d{1,15}))?\), \} *\n"
)
_KINDS = {
    "constants": "f8", "whole": "b1", "code": "i2", "a": "i8", "b": "i8", "count": "i8",
    "cut": "b1", "tables": "i8", "outputs": "i8", "guards": "i8", "note": "i8", "json": "u1",
}  # fmt: skip
_DEPTH = 100  # of the nesting of a result; to compare or write a deeper one, Python recurses


def _unpacked(body: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The fields of a tape that are plain and those that are arrays; ValueError if it has others.

    What is read takes no more memory than the file: nothing is decompressed, and a shape is what
    there are bytes for.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as stored:
        entries = stored.infolist()
        names = sorted(one.filename for one in entries)
        if names != sorted(f"{name}.npy" for name in _KINDS):
            raise ValueError("it has other parts")
        if any(one.compress_type != zipfile.ZIP_STORED for one in entries):
            raise ValueError("it is compressed")
        if sum(one.file_size for one in entries) > len(body):
            raise ValueError("its parts overlap")
        parts = {name: _array(stored.read(f"{name}.npy"), name) for name in _KINDS}
    rest = json.loads(parts.pop("json").tobytes().decode())
    wanted = {one.name for one in dataclasses.fields(Tape)} - set(parts) | {"texts", "format"}
    if not isinstance(rest, dict) or set(rest) != wanted:
        raise ValueError("its description has other fields")
    texts, version = rest.pop("texts"), rest.pop("format")
    if version != FORMAT:
        raise ValueError(f"format {version!r:.60}, and this version reads {FORMAT}")
    table = rows()
    if not (_are_texts(rest["ops"]) and isinstance(texts, list) and len(texts) == len(rest["ops"])):
        raise ValueError("its operations are no texts")
    for op, text in zip(rest["ops"], texts, strict=True):
        if op not in table or list(table[op].texts) != text:
            raise ValueError(f"the operation {op!r:.60} is not the one of this table")
    return rest, parts


def _array(data: bytes, name: str) -> Array:
    """The numbers of a .npy file of a field."""
    found = _NPY.match(data)
    if found is None or data[8:10] != (found.end() - 10).to_bytes(2, "little"):
        raise ValueError(f"{name} is no array as it should be")
    kind, rows_, columns = found.groups()
    shape = [int(size) for size in (rows_, columns) if size is not None]
    if kind[1:].decode() != _KINDS[name] or len(shape) != (2 if name == "guards" else 1):
        raise ValueError(f"{name} has another type or shape")
    numbers = np.frombuffer(data, dtype=np.dtype(kind.decode()), offset=found.end())
    if math.prod(shape) != len(numbers) or (name == "guards" and shape[1] != 4):
        raise ValueError(f"{name} has another type or shape")
    if kind[1:] == b"b1" and not set(data[found.end() :]) <= {0, 1}:
        raise ValueError(f"{name} has something else than true and false")
    return numbers.astype(_KINDS[name]).reshape(shape)


def _are_texts(parts: Any) -> bool:
    return isinstance(parts, list) and all(isinstance(part, str) for part in parts)


def _checked(tape: Tape) -> None:
    """Refuse a tape that does not hang together: native code would read outside of its memory."""
    count = len(tape.code)
    columns = {len(getattr(tape, key)) for key in ("a", "b", "count", "cut", "note")}
    # A parameter is there because something reads it; a huge number of them is none of ours.
    reads = 2 * count + len(tape.tables) + len(tape.outputs) + 2 * len(tape.guards)
    good = type(tape.parameters) is int and 0 <= tape.parameters <= reads
    good = good and tape.inputs == len(tape.whole) and type(tape.inputs) is int
    good = good and columns == {count}
    good = good and isinstance(tape.notes, list)
    good = good and all(_are_texts(note) and len(note) == 3 for note in tape.notes)
    if not (good and _in_range(tape)):
        raise ValueError("an operand is out of range")
    _nested(tape.form, len(tape.outputs))


def _nested(form: Any, outputs: int) -> None:
    """Refuse what is not a nesting of the outputs' places, in order."""
    places, level = [], [(form, 0)]
    while level:
        part, depth = level.pop()
        if depth > _DEPTH:
            raise ValueError("its result is nested too deep")
        if isinstance(part, list | dict):
            inside = list(part.values()) if isinstance(part, dict) else part
            level += [(one, depth + 1) for one in reversed(inside)]
        else:
            places.append(part)
    if places != list(range(outputs)) or not all(type(place) is int for place in places):
        raise ValueError("its result is no nesting of its outputs")


def _in_range(tape: Tape) -> bool:
    """Whether every index points to something that comes before it."""

    def below(indices: Array, end: Any) -> bool:
        return bool(((indices >= 0) & (indices < end)).all())

    own = tape.sources + np.arange(len(tape.code))
    if not (below(tape.note, len(tape.notes)) and below(tape.outputs, len(tape))):
        return False
    if not (below(tape.guards[:, 1:3], len(tape)) and below(tape.guards[:, 0], len(ORDER))):
        return False
    if not ((tape.code >= MASK) & (tape.code < len(tape.ops))).all():
        return False
    table = rows()
    arity = np.array([table[op].arity for op in tape.ops] + [0], dtype=np.int64)
    real = tape.code >= 0
    binary = real & (arity[np.where(real, tape.code, -1)] == 2)
    single = tape.code != ARGMAX
    if not (below(tape.a[single], own[single]) and below(tape.b[binary], own[binary])):
        return False
    if not ((tape.b[real & ~binary] == -1).all() and (tape.a[~single] == -1).all()):
        return False
    lists = tape.code < DETACH
    starts, counts, ends = tape.b[lists], tape.count[lists], own[lists]
    # One list after the other: where they overlap, few bytes would be much to do.
    if not ((counts > 0) & (counts <= len(tape.tables))).all():
        return False
    if not np.array_equal(starts, np.cumsum(counts) - counts) or counts.sum() != len(tape.tables):
        return False
    if not all(
        below(tape.tables[start : start + size], end)
        for start, size, end in zip(starts.tolist(), counts.tolist(), ends.tolist(), strict=True)
    ):
        return False
    masks = tape.b[tape.code == MASK]
    if not (tape.count[tape.code == MASK] == 3).all():
        return False
    fixed = np.concatenate([tape.tables[masks + 1], tape.tables[masks + 2]])
    places = tape.tables[masks + 1]
    if not below(fixed, len(tape.constants)):
        return False
    return below(tape.constants[places], 2.0**31) and bool((tape.constants[places] % 1 == 0).all())
