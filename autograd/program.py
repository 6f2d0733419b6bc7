"""`Program`: a recording turned back into a few vector instructions, with nothing lost."""

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autograd.ops import Ops
from autograd.tape import ARGMAX, DETACH, ORDER, SELECT, Index, Recorder, Traced, number_of
from autograd.value import Value, rows, scope

Array = Any
FORMAT = 1
_HEAD = b"chainrule program\n"
# Parameters and constants are shared by all samples; their addresses start here.
SHARED = 1 << 40
# Rows that are sums and products by their own text may be regrouped; nothing else is known of them.
_LINEAR = {"x + y": (1, 1), "x - y": (1, -1), "-x": (-1, 0), "+x": (1, 0)}
_PRODUCTS = {"x * y": False, "x * x": True}
CONTRACT, GATHER, ROW, CHOOSE, LARGEST = range(5)
_KINDS = ["contract", "gather", "row", "select", "argmax"]


@dataclass
class Instruction:
    """One vector instruction: what it does to how many lanes, and where they are."""

    kind: int
    level: int
    lanes: int
    z: int
    op: int = -1
    sign: float = 1.0
    cut: bool = False
    sizes: tuple[int, ...] = (1, 1, 1, 1)
    zs: tuple[int, ...] = (0, 0, 0, 0)
    x: int = 0
    xs: tuple[int, ...] = (0, 0, 0, 0)
    y: int = 0
    ys: tuple[int, ...] = (0, 0, 0, 0)
    pool: tuple[Array, ...] = ()
    wanted: tuple[bool, bool] = (True, True)


@dataclass
class Tape:
    """The recording as arrays; a node is a constant, a parameter, an input, or computed, in turn.

    `code` says for each computed node which row of `ops` it is, or DETACH, SELECT, ARGMAX; `a` and
    `b` are its operands, and for the last two `b` is where its list starts in `tables`.
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
            index, values = (operands[0], operands[1:]) if node.kind == SELECT else (None, operands)
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
        self.instructions: list[Instruction] = []
        self.lane_of: list[int] = []  # the node of each lane
        self._lower()
        self._encoded: dict[Any, Any] = {}

    # ------------------------------------------------------------------ from scalars to vectors

    def _lower(self) -> None:
        tape = self.tape
        table = rows()
        sources, total = tape.sources, len(tape)
        linear: list[Any] = []
        product: list[bool | None] = []
        for name in tape.ops:
            text = table[name].texts[0]
            linear.append(_LINEAR.get(text))
            product.append(_PRODUCTS.get(text))
        code, a, b = tape.code.tolist(), tape.a.tolist(), tape.b.tolist()
        cut = tape.cut.tolist()
        uses = np.zeros(total + 1, dtype=np.int64)
        computed = tape.code >= 0
        np.add.at(uses, tape.a[computed], 1)
        np.add.at(uses, tape.b[computed & (tape.b >= 0)], 1)
        for indices in (tape.tables, tape.outputs, tape.guards[:, 1:3].ravel(), tape.a[~computed]):
            np.add.at(uses, indices[indices >= 0], 2)
        used = uses.tolist()
        fused = bytearray(total)
        roots: list[tuple[int, Any, Any]] = []  # node, key, operands
        for i in range(len(code) - 1, -1, -1):
            node, k = sources + i, code[i]
            if fused[node]:
                continue
            if k == DETACH:
                roots.append((node, ("sum", 0, 0, 1, 0, True), [[], [], [a[i]], []]))
            elif k < 0:
                entries = tape.tables[b[i] : b[i] + tape.count[i]]
                roots.append((node, (k, len(entries)), (a[i], entries)))
            elif linear[k] is None and product[k] is None:
                roots.append((node, (k, cut[i]), (a[i], b[i])))
            else:
                groups: list[list[Any]] = [[], [], [], []]
                stack = [(node, 1)]
                while stack:
                    n, sign = stack.pop()
                    j = n - sources
                    inner = n == node
                    if not inner and j >= 0 and used[n] == 1 and code[j] >= 0 and cut[j] == cut[i]:
                        kk = code[j]
                        inner = linear[kk] is not None or product[kk] is not None
                        if inner:
                            fused[n] = 1
                    if not inner:
                        groups[2 if sign > 0 else 3].append(n)
                        continue
                    kk = code[j]
                    if product[kk] is not None:
                        pair = (a[j], a[j]) if product[kk] else (a[j], b[j])
                        groups[0 if sign > 0 else 1].append(pair)
                    else:
                        sx, sy = linear[kk]
                        if sy:
                            stack.append((b[j], sign * sy))
                        stack.append((a[j], sign * sx))
                roots.append((node, ("sum", *map(len, groups), cut[i]), groups))
        level: list[int] = [0] * total
        grouped: dict[Any, list[tuple[int, Any]]] = {}
        for node, key, operands in reversed(roots):
            if key[0] == "sum":
                inputs = [n for pair in operands[0] for n in pair]
                inputs += [n for pair in operands[1] for n in pair]
                inputs += operands[2] + operands[3]
            elif key[0] == SELECT:
                inputs = [operands[0], *operands[1].tolist()]
            elif key[0] == ARGMAX:
                inputs = operands[1].tolist()
            else:
                inputs = [n for n in operands if n >= 0]
            level[node] = at = 1 + max([level[n] for n in inputs])
            grouped.setdefault((at, key), []).append((node, operands))
        self.levels = max(level, default=0)
        # Addresses: parameters and constants are shared, inputs and results belong to a sample.
        self.shared = len(tape.constants) + tape.parameters
        address = np.full(total, -1, dtype=np.int64)
        address[: self.shared] = SHARED + np.arange(self.shared)
        address[self.shared : sources] = np.arange(tape.inputs)
        slot = tape.inputs
        self.lane_of = list(range(self.shared, sources))
        ordered = sorted(grouped.items(), key=lambda item: item[0][0])  # stable: by level alone
        for _, members in ordered:
            for node, _operands in members:
                address[node] = slot
                self.lane_of.append(node)
                slot += 1
        self.slots = slot
        self.address = address
        live = np.zeros(total, dtype=bool)  # whether a gradient goes there
        live[len(tape.constants) : sources] = True
        live[self.shared : sources] = ~tape.whole
        for (at, key), members in ordered:
            self._emit(at, key, members, address, live)

    def _emit(self, at: int, key: Any, members: Any, address: Array, live: Array) -> None:
        nodes = [node for node, _ in members]
        z, lanes = int(address[nodes[0]]), len(nodes)
        add = self.instructions.append
        if key[0] == "sum":
            *counts, cut = key[1:]
            flows = False
            for kind, size in enumerate(counts):
                if not size:
                    continue
                sign = 1.0 if kind % 2 == 0 else -1.0
                terms = np.array([operands[kind] for _, operands in members], dtype=np.int64)
                if kind < 2:
                    x, y = address[terms[:, :, 0]], address[terms[:, :, 1]]
                    lx, ly = live[terms[:, :, 0]].any(), live[terms[:, :, 1]].any()
                    swap = (y >= SHARED) & (x < SHARED)
                    x, y = np.where(swap, y, x), np.where(swap, x, y)
                    if swap.any():
                        lx, ly = (ly, lx) if swap.all() else (True, True)
                else:
                    x, lx, ly = address[terms], live[terms].any(), False
                    y = np.full_like(x, SHARED + self.shared)  # a one behind the shared numbers
                wanted = (bool(lx) and not cut, bool(ly) and not cut)
                flows = flows or wanted[0] or wanted[1]
                found = self._boxes(x, y)
                if found is None and size > 1 and size <= 4:  # each term by itself may be regular
                    each = [self._boxes(x[:, t : t + 1], y[:, t : t + 1]) for t in range(size)]
                    if None not in each:
                        found = [box for boxes in each for box in boxes]
                for start, sizes, zs, bx, xs, by, ys in found or []:
                    add(
                        Instruction(
                            CONTRACT, at, sizes[0] * sizes[1] * sizes[2], z + start, sign=sign,
                            sizes=sizes, zs=zs, x=bx, xs=xs, y=by, ys=ys, cut=cut, wanted=wanted,
                        )
                    )  # fmt: skip
                if found is None:
                    add(
                        Instruction(
                            GATHER, at, lanes, z, sign=sign, sizes=(lanes, 1, 1, size),
                            pool=(x, y), cut=cut, wanted=wanted,
                        )
                    )  # fmt: skip
            live[nodes] = flows
        elif key[0] in (SELECT, ARGMAX):
            entries = np.array([operands[1] for _, operands in members], dtype=np.int64)
            pool: tuple[Array, ...] = (address[entries],)
            alive = key[0] == SELECT and bool(live[entries].any())
            if key[0] == SELECT:
                pool += (address[np.array([operands[0] for _, operands in members])],)
            add(
                Instruction(
                    CHOOSE if key[0] == SELECT else LARGEST, at, lanes, z,
                    sizes=(lanes, 1, 1, key[1]), pool=pool, wanted=(alive, False),
                )
            )  # fmt: skip
            live[nodes] = alive
        else:
            k, cut = key
            xs = np.array([operands[0] for _, operands in members])
            ys = np.array([operands[1] for _, operands in members])
            binary = bool(ys[0] >= 0)
            wanted = (
                bool(live[xs].any()) and not cut,
                binary and bool(live[ys].any()) and not cut,
            )
            pool = (address[xs], address[ys]) if binary else (address[xs],)
            add(Instruction(ROW, at, lanes, z, op=k, pool=pool, cut=cut, wanted=wanted))
            live[nodes] = wanted[0] or wanted[1]

    def _boxes(self, x: Array, y: Array) -> Any:
        """The lanes as boxes whose operands lie at constant strides; None if there are too many."""
        lanes, terms = x.shape
        base = np.stack([x[:, 0], y[:, 0]], axis=1)
        step = np.zeros((lanes, 2), dtype=np.int64)
        if terms > 1:
            dx, dy = np.diff(x, axis=1), np.diff(y, axis=1)
            if (dx != dx[:, :1]).any() or (dy != dy[:, :1]).any():
                order = np.argsort(x, axis=1, kind="stable")  # a sum may be taken in any order
                x, y = np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)
                dx, dy = np.diff(x, axis=1), np.diff(y, axis=1)
                if (dx != dx[:, :1]).any() or (dy != dy[:, :1]).any():
                    return None
                base = np.stack([x[:, 0], y[:, 0]], axis=1)
            step = np.stack([dx[:, 0], dy[:, 0]], axis=1)
        if (abs(step) > SHARED // 2).any():  # from a sample's numbers to shared ones
            return None
        delta = np.diff(base, axis=0)
        # Whether lane l + 1 is laid out as lane l is.
        steady = (np.diff(step, axis=0) == 0).all(axis=1) & (abs(delta) < SHARED // 2).all(axis=1)
        same = np.zeros(max(lanes - 1, 0), dtype=bool)  # the step into l + 1 is the step out of it
        if lanes > 2:
            same[:-1] = (delta[1:] == delta[:-1]).all(axis=1) & steady[1:] & steady[:-1]
        limit = max(6, lanes // 6)
        boxes: list[Any] = []
        start = 0
        while start < lanes:
            if len(boxes) > limit:
                return None
            rest = lanes - start
            n0 = 1
            if rest > 1 and steady[start]:
                stops = np.flatnonzero(~same[start:])
                n0 = min(rest, int(stops[0]) + 2 if len(stops) else rest)
            sizes = [n0, 1, 1]
            strides = [delta[start] if n0 > 1 else np.zeros(2, dtype=np.int64)]
            block = n0
            for d in (1, 2):
                inner = base[start : start + block] - base[start]
                k, jump = 1, np.zeros(2, dtype=np.int64)
                while start + (k + 1) * block <= lanes:
                    at = start + k * block
                    move = base[at] - base[at - block]
                    if k == 1:
                        jump = move
                    if (
                        (move != jump).any()
                        or (abs(move) > SHARED // 2).any()
                        or (step[at : at + block] != step[start]).any()
                        or (base[at : at + block] - base[at] != inner).any()
                    ):
                        break
                    k += 1
                sizes[d] = k
                strides.append(jump if k > 1 else np.zeros(2, dtype=np.int64))
                block *= k
                if k == 1:
                    strides += [np.zeros(2, dtype=np.int64)] * (2 - d)
                    break
            zs = (1, n0, n0 * sizes[1], 0)
            boxes.append(
                (
                    start, (*sizes, terms), zs,
                    int(base[start, 0]), (*(int(s[0]) for s in strides), int(step[start, 0])),
                    int(base[start, 1]), (*(int(s[1]) for s in strides), int(step[start, 1])),
                )
            )  # fmt: skip
            start += block
        return boxes

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
            size = f"{one.lanes} x {one.sizes[3]}" if one.sizes[3] > 1 else f"{one.lanes}"
            where = self.locate(one.z)
            text = where["scope"] or where["line"]
            lines.append(f"{one.level:>5}  {name:<10}  {size:>13}  {text}".rstrip())
        return "\n".join(lines)

    def name(self, one: Instruction) -> str:
        """What an instruction does, in a word."""
        if one.kind == ROW:
            return self.tape.ops[one.op]
        if one.kind in (CHOOSE, LARGEST):
            return _KINDS[one.kind]
        word = "sum" if one.y == SHARED + self.shared else "product" if one.sizes[3] == 1 else "dot"
        if one.kind == GATHER:
            word = "gathered"
        return word if one.sign > 0 else f"-{word}"

    @property
    def size(self) -> int:
        """How many bytes the tape and the instructions take."""
        arrays = [v for v in vars(self.tape).values() if isinstance(v, np.ndarray)]
        pools = [array for one in self.instructions for array in one.pool]
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

    def lift(self, parameters: Sequence[float], inputs: Sequence[float]) -> "Lifted":
        """The graph of one sample as Values, for the player, the checker and pictures."""
        tape = self.tape
        given = [Value(float(p), f"p{i}") for i, p in enumerate(parameters)]
        entered = [Value(float(x), f"x{i}") for i, x in enumerate(inputs)]
        nodes: list[Any] = [*tape.constants.tolist(), *given, *entered]
        table = rows()
        ops = [table[name] for name in tape.ops]
        scopes: dict[str, Any] = {}
        for i, (k, a, b) in enumerate(
            zip(tape.code.tolist(), tape.a.tolist(), tape.b.tolist(), strict=True)
        ):
            label, where, _line = tape.notes[tape.note[i]]
            if k >= 0:
                x = nodes[a]
                y = nodes[b] if b >= 0 else None
                if tape.cut[i]:
                    x, y = (v.data if isinstance(v, Value) else v for v in (x, y))
                if where:
                    with scopes.setdefault(where, scope(where)):
                        made = ops[k](x) if y is None else ops[k](x, y)
                else:
                    made = ops[k](x) if y is None else ops[k](x, y)
                if label and isinstance(made, Value):
                    made.label = label
            elif k == DETACH:
                made = nodes[a].data if isinstance(nodes[a], Value) else nodes[a]
            else:
                entries = tape.tables[b : b + tape.count[i]].tolist()
                if k == SELECT:
                    index = int(float(nodes[a]))
                    made = nodes[entries[min(max(index, 0), len(entries) - 1)]]
                else:
                    numbers = [float(nodes[e]) for e in entries]
                    clean = all(n == n for n in numbers)
                    made = float(numbers.index(max(numbers)) if clean else 0)
            nodes.append(made)
        outputs = [
            nodes[o] if isinstance(nodes[o], Value) else Value(nodes[o]) for o in tape.outputs
        ]
        held = all(
            list(ORDER.values())[order](float(nodes[x]), float(nodes[y])) == bool(answer)
            for order, x, y, answer in tape.guards.tolist()
        )
        return Lifted(given, entered, outputs, held)

    def draw(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The regrouped picture: a box for all lanes of one level that do the same."""
        import graphviz

        dot = graphviz.Digraph()
        dot.attr(rankdir="LR", bgcolor="white")
        dot.attr("node", shape="box", style="rounded,filled", fillcolor="#f4f6fa",
                 color="#51627a", fontname="Courier", fontsize="12")  # fmt: skip
        dot.attr("edge", color="#8a97a8")
        owner: dict[int, str] = {}
        merged: dict[tuple[int, str], list[Instruction]] = {}
        for one in self.instructions:
            merged.setdefault((one.level, self.name(one)), []).append(one)
        sources = {"p": f"{self.tape.parameters:,} parameters", "x": f"{self.tape.inputs} inputs"}
        for name, text in sources.items():
            dot.node(name, text, fillcolor="#fff4d6")
        for slot in range(self.tape.inputs):
            owner[slot] = "x"
        edges: dict[tuple[str, str], int] = {}
        outputs = set(self.address[self.tape.outputs].tolist())
        for k, ((at, word), ones) in enumerate(merged.items()):
            name = f"i{k}"
            lanes = sum(one.lanes for one in ones)
            terms = sorted({one.sizes[3] for one in ones})
            of = f" of {terms[0]}" if terms[-1] > 1 and len(terms) == 1 else (
                f" of {terms[0]} to {terms[-1]}" if terms[-1] > 1 else "")  # fmt: skip
            places = {self.locate(one.z)["scope"] or self.locate(one.z)["line"] for one in ones}
            place = min(places) + (", ..." if len(places) > 1 else "")
            text = f"{word}{of} x {lanes}\\nlevel {at}" + (f"\\n{place}" if place else "")
            final = any(set(range(o.z, o.z + o.lanes)) & outputs for o in ones)
            dot.node(name, text, fillcolor="#dff0e3" if final else "#f4f6fa")
            for one in ones:
                for address in _operands(one):
                    source = owner.get(address, "p") if address < SHARED else "p"
                    if address < SHARED + self.shared:
                        edges[source, name] = edges.get((source, name), 0) + 1
                for lane in range(one.z, one.z + one.lanes):
                    owner[lane] = name
        for source, target in edges:
            if source != target:
                dot.edge(source, target)
        from autograd import render

        if path is not None:
            _replace(Path(path), render.svg(dot.source)[0].encode())
        return dot

    # ------------------------------------------------------------------ to keep

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file, whole or not at all; it holds arrays and text only."""
        _replace(Path(path), self.to_bytes())

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
        buffer = io.BytesIO()
        np.savez(buffer, json=np.frombuffer(json.dumps(rest).encode(), dtype=np.uint8), **arrays)
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
            with np.load(io.BytesIO(body), allow_pickle=False) as stored:
                rest = json.loads(bytes(stored["json"]))
                arrays = {key: stored[key] for key in stored.files if key != "json"}
            texts, version = rest.pop("texts"), rest.pop("format")
            tape = Tape(**rest, **arrays)
        except Exception as error:
            raise ValueError(f"{name} is not a program ({error})") from None
        table = rows()
        if version != FORMAT:
            raise ValueError(f"{name}: format {version!r}, and this version reads {FORMAT}")
        for op, text in zip(tape.ops, texts, strict=True):
            if op not in table or list(table[op].texts) != text:
                raise ValueError(f"{name}: the operation {op!r} is not the one of this table")
        _checked(tape, name)
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


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole, or leave what was there."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _operands(one: Instruction) -> list[int]:
    """Addresses that an instruction reads; of a box, its corners are enough to name the sources."""
    if one.kind != CONTRACT:
        return sorted({int(v) for array in one.pool for v in np.ravel(array)})
    found = []
    for base, strides in ((one.x, one.xs), (one.y, one.ys)):
        grid = np.array([base])
        for size, stride in zip(one.sizes, strides, strict=True):
            if stride:
                grid = (grid[:, None] + stride * np.arange(size)[None, :]).ravel()
        found += np.unique(grid).tolist()
    return found


def _checked(tape: Tape, name: str) -> None:
    """Refuse a tape whose indices point outside it."""
    own = tape.sources + np.arange(len(tape.code))
    real = tape.code >= 0
    lists = (tape.code == SELECT) | (tape.code == ARGMAX)
    starts, counts = tape.b[lists], tape.count[lists]
    good = (
        (tape.a < own).all()
        and (tape.b[real] < own[real]).all()
        and (tape.a[real] >= 0).all()
        and (tape.code >= ARGMAX).all()
        and (tape.code < len(tape.ops)).all()
        and (starts >= 0).all() and (counts > 0).all()
        and (starts + counts <= len(tape.tables)).all()
        and all((tape.tables[s : s + c] < o).all() and (tape.tables[s : s + c] >= 0).all()
                for s, c, o in zip(starts, counts, own[lists], strict=True))
        and (tape.outputs >= 0).all() and (tape.outputs < len(tape)).all()
        and (tape.guards[:, 1:3] >= 0).all() and (tape.guards[:, 1:3] < len(tape)).all()
        and (tape.guards[:, 0] < len(ORDER)).all() and (tape.guards[:, 0] >= 0).all()
    )  # fmt: skip
    if not good:
        raise ValueError(f"{name}: damaged; an operand is out of range")
