"""`Tape`: a recording as arrays of numbers, and `freeze`, which makes one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.compiled.recorder import Recorder
from autograd.compiled.traced import ARGMAX, DETACH, ORDER, Traced, is_traced, number_of
from autograd.compiled.whole_numbers import Index
from autograd.ops import Ops
from autograd.value import Value

Array = Any


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
    recorder.check()
    ends: list[Any] = [*outputs, *(side for g in recorder.guards for side in (g.x, g.y))]
    live = _live(recorder, ends)
    numbers = _Numbers(recorder, [o for node in live for o in node.operands], ends)
    numbers.place(recorder.inputs, live)
    at = numbers.at
    ops: dict[str, int] = {}
    rows: list[tuple[int, int, int, int, bool]] = []
    tables: list[int] = []
    notes: dict[tuple[str, str, str], int] = {}
    note: list[int] = []
    for node in live:
        row, operands = node.row, node.operands
        if node.kind is None:
            assert row.op is not None
            k = ops.setdefault(row.op.name, len(ops))
            second = at(operands[1]) if len(operands) == 2 else -1
            rows.append((k, at(operands[0]), second, 0, node.cut))
        elif node.kind == DETACH:
            rows.append((DETACH, at(operands[0]), -1, 0, True))
        else:
            index, values = (None, operands) if node.kind == ARGMAX else (operands[0], operands[1:])
            choice = -1 if index is None else at(index)
            rows.append((node.kind, choice, len(tables), len(values), node.kind == ARGMAX))
            tables += map(at, values)
        note.append(notes.setdefault((row.label, row.scope, row.line), len(notes)))
    orders = list(ORDER)
    guards = {
        (orders.index(g.order), at(g.x), at(g.y), int(g.answer)): None for g in recorder.guards
    }
    code, a, b, count, cut = ([row[k] for row in rows] for k in range(5))
    tape = Tape(
        ops=list(ops),
        constants=np.array([float.fromhex(text) for text in numbers.constants], dtype=np.float64),
        parameters=len(numbers.parameters), inputs=len(recorder.inputs),
        whole=np.array([type(node) is Index for node in recorder.inputs], dtype=bool),
        code=np.array(code, dtype=np.int16), a=np.array(a, dtype=np.int64),
        b=np.array(b, dtype=np.int64), count=np.array(count, dtype=np.int64),
        cut=np.array(cut, dtype=bool), tables=np.array(tables, dtype=np.int64),
        outputs=np.array([at(o) for o in outputs], dtype=np.int64), form=form,
        guards=np.array(list(guards), dtype=np.int64).reshape(-1, 4),
        notes=[list(key) for key in notes], note=np.array(note, dtype=np.int64),
    )  # fmt: skip
    return tape, list(numbers.parameters)


def _live(recorder: Recorder, ends: Iterable[Any]) -> list[Traced]:
    """The computed nodes that the ends need, in the order in which they were made."""
    nodes = recorder.nodes
    alive = bytearray(len(nodes))
    for thing in ends:
        if is_traced(thing):
            alive[thing.serial] = 1
    for node in reversed(nodes):
        if alive[node.serial]:
            for operand in node.operands:
                if is_traced(operand):
                    alive[operand.serial] = 1
    return [node for node in nodes if alive[node.serial] and node.operands]


class _Numbers:
    """Where on the tape each operand is: constants, parameters, inputs, computed nodes, in turn."""

    def __init__(self, recorder: Recorder, operands: list[Any], ends: list[Any]) -> None:
        self.born = recorder.born
        self.constants: dict[str, int] = {}
        self.parameters: dict[Value, int] = {}
        self._places = [-1] * len(recorder.nodes)
        for operand in (*operands, *ends):
            self._meet(operand)
        met = [v for v in recorder.met if type(v) is Value and v in self.parameters]
        if met:
            order = dict.fromkeys([*met, *self.parameters])
            self.parameters = {p: i for i, p in enumerate(order)}

    def _meet(self, operand: Any) -> None:
        if type(operand) is Value and operand not in self.born:
            if not operand.is_leaf:
                raise TypeError(
                    "compile: a computed Value from outside is used; compute it inside the "
                    "function, or pass it as an argument"
                )
            self.parameters.setdefault(operand, len(self.parameters))
        elif not is_traced(operand):
            self.constants.setdefault(_text(operand), len(self.constants))

    def place(self, inputs: list[Traced], live: list[Traced]) -> None:
        """Give each input and each computed node its place."""
        start = len(self.constants) + len(self.parameters)
        for i, node in enumerate((*inputs, *live)):
            self._places[node.serial] = start + i

    def at(self, operand: Any) -> int:
        """The place of an operand."""
        if is_traced(operand):
            return self._places[int(operand.serial)]
        if type(operand) is Value and operand not in self.born:
            return len(self.constants) + self.parameters[operand]
        return self.constants[_text(operand)]


def _text(constant: Any) -> str:
    """A constant in hexadecimal, which tells the zeros apart."""
    return (number_of(constant) if isinstance(constant, Ops) else float(constant)).hex()
