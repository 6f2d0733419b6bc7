"""`Tape`: a recording as arrays of numbers, and `freeze`, which builds one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.compiled.recorder import Recorder
from autograd.compiled.traced import ARGMAX, COMPARISONS, DETACH, Traced, is_traced, number_of
from autograd.compiled.whole_numbers import Index
from autograd.value import Value

Array = Any


@dataclass
class Tape:
    """A recording as arrays; its nodes are constants, parameters, inputs, and computed nodes.

    For each computed node, `code` is its index in `ops`, or DETACH, SELECT, ARGMAX or MASK.  `a`
    and `b` are its operands.  For SELECT, ARGMAX and MASK, `b` is the start of a list in `tables`,
    and `count` its length.
    """

    ops: list[str]
    constants: Array
    parameters: int
    inputs: int
    whole: Array  # whether each input is a whole number
    code: Array
    a: Array
    b: Array
    count: Array
    cut: Array
    tables: Array
    outputs: Array
    form: Any
    guards: Array  # rows of comparison, x, y, answer
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
    recorder.check()
    ends: list[Any] = [*outputs, *(side for g in recorder.guards for side in (g.x, g.y))]
    live = _live(recorder, ends)
    others = (o for node in live for o in node.operands if type(o) is not Traced)
    numbering = _Numbering(recorder, [*others, *ends])
    numbering.add_nodes(recorder.inputs, live)
    at, places = numbering.index, numbering.places
    ops: dict[str, int] = {}
    rows: list[tuple[int, int, int, int, bool]] = []
    tables: list[int] = []
    notes: dict[tuple[str, str, str], int] = {}
    note: list[int] = []
    known: dict[int, tuple[int, int]] = {}  # operation and note of each row
    for node in live:
        operands = node.operands
        which = known.get(id(node.row))
        if which is None:
            row = node.row
            name = row.op.name if row.op is not None and node.kind is None else None
            k = -1 if name is None else ops.setdefault(name, len(ops))
            which = k, notes.setdefault((row.label, row.scope, row.line), len(notes))
            known[id(row)] = which
        note.append(which[1])
        if node.kind is None:
            # Most operands are nodes; a call for each of them takes long.
            x, y = operands if len(operands) == 2 else (operands[0], None)
            first = places[x.serial] if type(x) is Traced else at(x)
            second = places[y.serial] if type(y) is Traced else -1 if y is None else at(y)
            rows.append((which[0], first, second, 0, node.cut))
        elif node.kind == DETACH:
            rows.append((DETACH, at(operands[0]), -1, 0, True))
        else:
            index, values = (None, operands) if node.kind == ARGMAX else (operands[0], operands[1:])
            choice = -1 if index is None else at(index)
            rows.append((node.kind, choice, len(tables), len(values), node.kind == ARGMAX))
            tables += map(at, values)
    comparisons = list(COMPARISONS)
    guards = {
        (comparisons.index(g.comparison), at(g.x), at(g.y), int(g.answer)): None
        for g in recorder.guards
    }
    code, a, b, count, cut = ([row[k] for row in rows] for k in range(5))
    constants = [float.fromhex(text) for text in numbering.constants]
    tape = Tape(
        ops=list(ops), constants=np.array(constants, dtype=np.float64),
        parameters=len(numbering.parameters), inputs=len(recorder.inputs),
        whole=np.array([type(node) is Index for node in recorder.inputs], dtype=bool),
        code=np.array(code, dtype=np.int16), a=np.array(a, dtype=np.int64),
        b=np.array(b, dtype=np.int64), count=np.array(count, dtype=np.int64),
        cut=np.array(cut, dtype=bool), tables=np.array(tables, dtype=np.int64),
        outputs=np.array([at(o) for o in outputs], dtype=np.int64), form=form,
        guards=np.array(list(guards), dtype=np.int64).reshape(-1, 4),
        notes=[list(key) for key in notes], note=np.array(note, dtype=np.int64),
    )  # fmt: skip
    return tape, list(numbering.parameters)


def _live(recorder: Recorder, ends: Iterable[Any]) -> list[Traced]:
    """The computed nodes that the ends need, in order of creation."""
    nodes = recorder.nodes
    alive = bytearray(len(nodes))
    for end in ends:
        if is_traced(end):
            alive[end.serial] = 1
    for node in reversed(nodes):
        if alive[node.serial]:
            for operand in node.operands:
                if type(operand) is Traced or is_traced(operand):
                    alive[operand.serial] = 1
    return [node for node in nodes if alive[node.serial] and node.operands]


class _Numbering:
    """The index of each operand on the tape: constants, parameters, inputs, computed nodes."""

    def __init__(self, recorder: Recorder, operands: list[Any]) -> None:
        self.own_leaves = recorder.own_leaves
        self.constants: dict[str, int] = {}
        self.parameters: dict[Value, int] = {}
        self.places = [-1] * len(recorder.nodes)  # of nodes, by serial number
        for operand in operands:
            self._add(operand)
        tables = [v for v in recorder.tables if type(v) is Value and v in self.parameters]
        if tables:
            order = dict.fromkeys([*tables, *self.parameters])
            self.parameters = {p: i for i, p in enumerate(order)}

    def _add(self, operand: Any) -> None:
        if type(operand) is Value and operand not in self.own_leaves:
            if not operand.is_leaf:
                raise TypeError(
                    "compile: the function uses a computed Value from outside; compute it inside "
                    "the function, or pass it as an argument"
                )
            self.parameters.setdefault(operand, len(self.parameters))
        elif not is_traced(operand):
            self.constants.setdefault(_text(operand), len(self.constants))

    def add_nodes(self, inputs: list[Traced], live: list[Traced]) -> None:
        """Number the inputs and the computed nodes."""
        start = len(self.constants) + len(self.parameters)
        for i, node in enumerate((*inputs, *live)):
            self.places[node.serial] = start + i

    def index(self, operand: Any) -> int:
        """The index of an operand."""
        if is_traced(operand):
            return self.places[int(operand.serial)]
        if type(operand) is Value and operand not in self.own_leaves:
            return len(self.constants) + self.parameters[operand]
        return self.constants[_text(operand)]


def _text(constant: Any) -> str:
    """A constant in hexadecimal, where 0.0 and -0.0 differ."""
    return number_of(constant).hex()
