"""A program's tape, how it is shown, computed again, stored, and refused when it is damaged."""

import dataclasses
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import Value, argmax, no_grad, scope, select
from autograd.compiled.program import Program
from autograd.compiled.tape import Tape
from autograd.compiled.traced import ARGMAX, DETACH, MASK, SELECT
from autograd.operands import item
from nn import MLP
from tests.recorded import recorded


def lists(i: int, x: list[Value]) -> list[Value]:
    chosen, kept = select(x, i), autograd.replaced(x, i, 0.5)
    return [chosen, kept[0] * x[1].detach(), argmax(x)]


def test_a_tape_has_constants_parameters_inputs_and_operations_in_turn() -> None:
    w, unused = Value(3.0), Value(4.0)
    program = recorded(lambda i, x: (unused * 2.0, [w * 7.0, *lists(i, x)])[1], 1, [1.0, 2.0])
    tape = program.tape
    assert tape.constants.tolist() == [7.0, 0.0, 0.5, 2.0]
    assert (tape.parameters, tape.inputs, tape.sources, len(tape)) == (1, 3, 8, 14)
    assert tape.whole.tolist() == [True, False, False]
    assert tape.ops == ["mul"]
    assert tape.code.tolist() == [0, SELECT, MASK, DETACH, 0, ARGMAX]
    assert tape.a.tolist() == [4, 5, 6, 7, 10, -1]
    assert tape.b.tolist() == [0, 0, 2, -1, 11, 5]
    assert tape.count.tolist() == [0, 2, 3, 0, 0, 2]
    assert tape.cut.tolist() == [False, False, False, True, False, True]
    assert tape.tables.tolist() == [6, 7, 5, 1, 2, 6, 7]
    assert tape.outputs.tolist() == [8, 9, 12, 13]
    assert tape.guards.tolist() == [[3, 5, 1, 1], [0, 5, 3, 1]]
    assert tape.form == [0, 1, 2, 3]
    kinds = {one.name: getattr(tape, one.name) for one in dataclasses.fields(Tape)}
    kinds = {name: a.dtype.str[1:] for name, a in kinds.items() if isinstance(a, np.ndarray)}
    assert kinds == {
        "constants": "f8", "whole": "b1", "code": "i2", "a": "i8", "b": "i8", "count": "i8",
        "cut": "b1", "tables": "i8", "outputs": "i8", "guards": "i8", "note": "i8",
    }  # fmt: skip
    empty = recorded(lambda x: x, 1.0).tape
    assert (empty.guards.shape, empty.cut.dtype, empty.note.dtype) == ((0, 4), bool, np.int64)


def test_parameters_are_in_the_order_in_which_they_were_met() -> None:
    v, w, lost = Value(2.0), Value(3.0), Value(5.0)

    def f(x: Value) -> Value:
        lost * x
        first = v * x
        return w * x + first

    compiled = autograd.compile(f)
    compiled(1.0)
    assert [p is q for p, q in zip(compiled.parameters, [v, w], strict=True)] == [True, True]
    assert compiled.program.tape.parameters == 2


# ---------------------------------------------------------------------- to look at


def model(x: list[Value]) -> Value:
    w = WEIGHTS
    with scope("first"):
        h = [(w[2 * i] * x[0] + w[2 * i + 1] * x[1] - x[0]).tanh() for i in range(2)]
    with scope("middle"):
        m = [(h[0] - h[1]).exp(), -(h[0] * h[1])]
    with scope("last"):
        k = m[0] * m[1]
        k.label = 'a "k"'
    with scope("first"):
        result: Value = (k * w[0]).tanh()
        return result


WEIGHTS = [Value(0.5 - 0.25 * i, f"w{i}") for i in range(4)]


def test_a_program_prints_what_each_instruction_does_and_where() -> None:
    text = str(recorded(model, [1.0, 2.0]))
    head, columns, *lines = text.split("\n")
    assert head.startswith(
        "Program: 17 operations as 10 instructions in 7 levels, 12 lanes; 4 parameters, 2 inputs, "
        "0 guards; "
    )
    assert columns == "level  what        lanes x terms  where"
    assert lines == [
        "    1  dot                 2 x 2  first",
        "    1  -sum                    2  first",
        "    2  tanh                    2  first",
        "    3  sum                     1  middle",
        "    3  -sum                    1  middle",
        "    3  -product                1  middle",
        "    4  exp                     1  middle",
        "    5  product                 1  last",
        "    6  product                 1  first",
        "    7  tanh                    1  first",
    ]


def test_lengths_that_differ_are_printed_as_a_range_and_scopes_come_before_lines() -> None:
    line = str(recorded(lambda i, x: [select(x, i), select(x[:2], i)], 1, [1.0] * 3)).split("\n")[2]
    assert line.startswith("    1  select            2 x 2-3  test_program.py:")
    line = str(recorded(lambda x: 2.0 * x, 1.0)).split("\n")[2]
    assert line.startswith("    1  product                 1  test_program.py:")


def test_the_size_is_that_of_the_arrays_and_200_bytes_for_each_instruction() -> None:
    program = recorded(model, [1.0, 2.0])
    arrays = [v for v in vars(program.tape).values() if isinstance(v, np.ndarray)]
    for one in program.instructions:
        arrays += [*one.pool, one.counts]
    assert program.size == sum(a.nbytes for a in arrays) + 200 * 10
    assert f"; {program.size:,} bytes" in str(program)


def test_a_box_of_the_picture_ends_where_another_part_comes_between() -> None:
    drawn = recorded(model, [1.0, 2.0]).draw()
    assert drawn.mermaid().split("\n") == [
        "graph TD",
        'x["2 inputs"]',
        'b0["first<br>dot of 2 x 2<br>sum x 2<br>tanh x 2"]',
        'b1["middle<br>sum x 1<br>product x 1<br>exp x 1"]',
        'b2["last<br>product x 1"]',
        'b3["first<br>product x 1<br>tanh x 1"]',
        "x --> b0",
        "b0 --> b1",
        "b1 --> b2",
        "b2 --> b3",
    ]
    assert [line.strip() for line in drawn.source.split("\n")][1:-1] == [
        "bgcolor=white ranksep=0.3",
        'node [shape=box style="rounded,filled" color="#51627a" fontname=Courier fontsize=11]',
        'edge [color="#8a97a8"]',
        'x [label="2 inputs" fillcolor="#ffffff"]',
        'b0 [label="first\\ndot of 2 x 2\\nsum x 2\\ntanh x 2" fillcolor="#fff4d6"]',
        'b1 [label="middle\\nsum x 1\\nproduct x 1\\nexp x 1" fillcolor="#f4f6fa"]',
        'b2 [label="last\\nproduct x 1" fillcolor="#f4f6fa"]',
        'b3 [label="first\\nproduct x 1\\ntanh x 1" fillcolor="#dff0e3"]',
        "x -> b0",
        "b0 -> b1",
        "b1 -> b2",
        "b2 -> b3",
        "}",
    ]


def test_a_layers_neurons_are_one_box_and_text_of_a_scope_is_quoted() -> None:
    with scope("outer"):
        net = MLP([2, 3, 1], "tanh", seed=0)

    def f(i: int, x: list[Value]) -> list[Value]:
        with scope('a "part"'):
            chosen = [select(x, i), select(x[:1] + x[:1] + x, i)]
        return [*net(x), *chosen, 2.0 * chosen[0]]

    boxes = [
        line for line in recorded(f, 1, [1.0, 2.0]).draw().mermaid().split("\n") if "[" in line
    ]
    assert boxes[:2] == ['x["3 inputs"]', 'b0["a #quot;part#quot;<br>select of 2 to 4 x 2"]']
    assert 'b1["mlp/layer 0<br>dot of 2 x 3<br>sum x 3<br>tanh x 3"]' in boxes
    line = f.__code__.co_firstlineno + 3
    assert any(box.endswith(f'["test_program.py:{line}<br>product x 1"]') for box in boxes)


def test_what_a_lane_holds_is_told() -> None:
    program = recorded(model, [1.0, 2.0])
    assert program.locate(0) == {"label": "input 0", "scope": "", "line": ""}
    assert program.locate(1) == {"label": "input 1", "scope": "", "line": ""}
    lane = program.instructions[7].z
    found = program.locate(lane)
    assert (found["label"], found["scope"]) == ('a "k"', "last")
    assert found["line"].startswith("test_program.py:")
    assert program.locate(2)["scope"] == "first"


# ---------------------------------------------------------------------- computed again


def test_a_lifted_graph_has_labels_scopes_and_the_sides_of_guards() -> None:
    def f(x: list[Value]) -> list[Value]:
        return [model(x), 2.0 * x[0].detach()] if x[0] > x[1] else [x[0], x[0]]

    program = recorded(f, [2.0, 1.0])
    numbers = [w.data for w in WEIGHTS]
    lifted = program.lift(numbers, [2.0, 1.0])
    assert [p.label for p in lifted.parameters] == ["p0", "p1", "p2", "p3"]
    assert [x.label for x in lifted.inputs] == ["x0", "x1"]
    assert lifted.passed
    assert not program.lift(numbers, [1.0, 1.0]).passed
    root, cut = lifted.outputs
    assert root.scope == "first"
    (product,) = root.parents
    k = product.parents[0]
    assert (k.label, k.scope) == ('a "k"', "last")
    assert product.label == ""
    inner, inputs = [Value(2.0), Value(1.0)], f([Value(2.0), Value(1.0)])
    assert root.data == inputs[0].data
    assert (cut.data, cut.parents) == (4.0, ())
    expected = model(inner)
    expected.backward()
    root.backward()
    assert [x.grad for x in lifted.inputs] == [x.grad for x in inner]


def test_what_was_cut_is_cut_again_whether_numbers_or_values_are_given() -> None:
    w = Value(3.0)

    def f(x: Value) -> Value:
        with no_grad():
            h = w * x
            minus = -x
        return h * x + minus

    program = recorded(f, 2.0)
    assert program.evaluate([3.0], [2.0]) == [10.0]
    p, x = Value(3.0), Value(2.0)
    (result,) = program.evaluate([p], [x])
    result.backward()
    assert (result.data, p.grad, x.grad, result.label) == (10.0, 0.0, 6.0, "")
    assert program.evaluate([3.0], [x])[0].data == 10.0
    (detached,) = recorded(lambda x: x.detach(), 2.0).evaluate([], [5.0])
    assert detached == 5.0
    (detached,) = recorded(lambda x: x.detach(), 2.0).evaluate([], [x])
    assert detached == 2.0


def test_lists_are_computed_again() -> None:
    program = recorded(lists, 1, [1.0, 2.0])
    assert program.evaluate([], [0, 3.0, 2.0]) == [3.0, 1.0, 0]
    x = [Value(3.0), Value(2.0)]
    made = program.evaluate([], [1, *x])
    assert [item(one) for one in made] == [2.0, 6.0, 0.0]


# ---------------------------------------------------------------------- to keep


def stored(program: Program, **changed: Any) -> bytes:
    """The bytes of the program with other fields, with a hash that is right."""
    other = object.__new__(Program)
    other.tape = dataclasses.replace(program.tape, **changed)
    return other.to_bytes()


def parts(program: Program) -> dict[str, bytes]:
    """The files inside a stored program."""
    data = program.to_bytes()
    with zipfile.ZipFile(io.BytesIO(data[data.index(b"PK") :])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    body = buffer.getvalue()
    return b"chainrule program\n" + hashlib.sha256(body).hexdigest().encode() + body


def whole() -> Program:
    """A program with every kind of node, a guard, a parameter and constants."""
    w = Value(3.0)

    def f(i: int, x: list[Value]) -> list[Value]:
        made = lists(i, x)
        return [*made, (w * x[0]).tanh()] if x[0] < x[1] else made

    return recorded(f, 1, [1.0, 2.0])


def test_a_file_is_named_in_what_is_said_of_it(tmp_path: Path) -> None:
    (tmp_path / "no.program").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"^no\.program is not a program$"):
        Program.load(tmp_path / "no.program")
    with pytest.raises(ValueError, match=r"^program is not a program$"):
        Program.from_bytes(b"text")
    program = whole()
    program.save(tmp_path / "p")
    assert Program.load(str(tmp_path / "p")).digest == program.digest
    assert Program.from_bytes(packed(parts(program))).digest == program.digest


def test_the_digest_is_of_all_that_is_computed_and_of_nothing_else() -> None:
    program = whole()
    tape = program.tape
    assert Program(dataclasses.replace(tape, notes=[["", "", ""]] * 9)).digest == program.digest

    def changed(**fields: Any) -> str:
        other = object.__new__(Program)
        other.tape = dataclasses.replace(tape, **fields)
        return other.digest

    digests = {
        program.digest,
        changed(ops=["mul", "sin"]),
        changed(parameters=2),
        changed(inputs=4),
    }
    for name in ("constants", "code", "a", "b", "tables", "outputs"):
        array = getattr(tape, name).copy()
        array[0] += 1
        digests.add(changed(**{name: array}))
    digests.add(changed(cut=~tape.cut))
    assert len(digests) == 11
    assert len(program.digest) == 64
    assert changed(constants=np.repeat(tape.constants, 2)[::2]) == program.digest


def edited(name: str, place: int, value: float) -> Callable[[Tape], dict[str, Any]]:
    def change(tape: Tape) -> dict[str, Any]:
        array = getattr(tape, name).copy()
        array.reshape(-1)[place] = value
        return {name: array}

    return change


# In the program of `whole`, 0, 1 and 2 are constants, 3 is w, 4, 5 and 6 are the inputs.
DEEP = "its result is nested too deeply"
RANGE, NESTING = "an operand is out of range", "its result is not a nesting of its outputs"


def test_the_program_that_is_damaged_below_is_this_one() -> None:
    tape = whole().tape
    assert tape.constants.tolist() == [0.0, 0.5, 2.0]
    assert tape.ops == ["mul", "tanh"]
    assert tape.code.tolist() == [SELECT, MASK, DETACH, 0, ARGMAX, 0, 1]
    assert tape.a.tolist() == [4, 5, 6, 8, -1, 3, 12]
    assert tape.b.tolist() == [0, 2, -1, 9, 5, 5, -1]
    assert tape.count.tolist() == [2, 3, 0, 0, 2, 0, 0]
    assert tape.tables.tolist() == [5, 6, 4, 0, 1, 5, 6]
    assert tape.outputs.tolist() == [7, 10, 11, 13]
    assert tape.guards.tolist() == [[3, 4, 0, 1], [0, 4, 2, 1], [0, 5, 6, 1]]
    assert Program.from_bytes(stored(whole())).digest == whole().digest


@pytest.mark.parametrize(
    ("change", "why"),
    [
        # A node may read only what comes before it.
        (edited("a", 0, 7), RANGE), (edited("a", 0, -1), RANGE), (edited("a", 6, 13), RANGE),
        (edited("a", 2, 9), RANGE), (edited("a", 4, 0), RANGE), (edited("a", 4, -2), RANGE),
        (edited("b", 3, 10), RANGE), (edited("b", 3, -1), RANGE), (edited("b", 6, 0), RANGE),
        (edited("b", 6, -2), RANGE), (edited("tables", 0, 7), RANGE),
        (edited("tables", 1, -1), RANGE), (edited("tables", 5, 11), RANGE),
        (edited("outputs", 0, 14), RANGE), (edited("outputs", 3, -1), RANGE),
        # Lists follow each other.
        (edited("b", 0, 1), RANGE), (edited("b", 1, 1), RANGE), (edited("count", 0, 1), RANGE),
        (edited("count", 0, 0), RANGE), (edited("count", 4, 3), RANGE),
        (edited("count", 4, 1), RANGE), (edited("count", 1, 1 << 40), RANGE),
        # A mask's list is a value, a constant place and a constant.
        (edited("tables", 3, 3), RANGE), (edited("tables", 4, 3), RANGE),
        (edited("constants", 0, 0.5), RANGE), (edited("constants", 0, -1.0), RANGE),
        (edited("constants", 0, 2.0**31), RANGE), (edited("constants", 0, math.nan), RANGE),
        (lambda tape: {"count": np.array([3, 2, 0, 0, 2, 0, 0]),
                       "b": np.array([0, 3, -1, 9, 5, 5, -1])}, RANGE),
        # Codes, orders, notes.
        (edited("code", 3, 2), RANGE), (edited("code", 2, MASK - 1), RANGE),
        (edited("guards", 0, 5), RANGE), (edited("guards", 0, -1), RANGE),
        (edited("guards", 1, 14), RANGE), (edited("guards", 2, 14), RANGE),
        (edited("guards", 2, -1), RANGE), (edited("note", 0, 9), RANGE),
        (edited("note", 0, -1), RANGE),
        # Counts.
        (lambda tape: {"parameters": -1}, RANGE), (lambda tape: {"parameters": 32}, RANGE),
        (lambda tape: {"parameters": 1.0}, RANGE), (lambda tape: {"parameters": True}, RANGE),
        (lambda tape: {"inputs": 2}, RANGE), (lambda tape: {"inputs": 3.0}, RANGE),
        (lambda tape: {"notes": {"0": ["", "", ""]}}, RANGE),
        (lambda tape: {"notes": [["", ""]] * 9}, RANGE),
        (lambda tape: {"notes": [["", "", 1]] * 9}, RANGE),
        (lambda tape: {"notes": ["abc"] * 9}, RANGE),
        *((lambda tape, key=key: {key: getattr(tape, key)[:-1]}, RANGE)
          for key in ("a", "b", "count", "cut", "note")),
        # The nesting.
        (lambda tape: {"form": [0, 1, 2]}, NESTING), (lambda tape: {"form": [0, 1, 3, 2]}, NESTING),
        (lambda tape: {"form": [False, True, 2, 3]}, NESTING),
        (lambda tape: {"form": [0.0, 1, 2, 3]}, NESTING),
        (lambda tape: {"form": [0, 1, 2, 3, "4"]}, NESTING),
        # The operations.
        (lambda tape: {"ops": ["mul", "tan"]}, "the operation 'tan' differs from the .*"),
    ],
)  # fmt: skip
def test_a_tape_that_does_not_hang_together_is_refused(
    change: Callable[[Tape], dict[str, Any]], why: str
) -> None:
    program = whole()
    if why.startswith("the operation"):
        files = parts(program)
        text = files["json.npy"][128:].replace(b'"tanh"]', b'"tan" ]')
        files["json.npy"] = files["json.npy"][:128] + text
        data = packed(files)
    else:
        data = stored(program, **change(program.tape))
    with pytest.raises(ValueError, match=rf"^program is not a program \({why}\)$"):
        Program.from_bytes(data)


def test_what_is_at_the_edge_of_what_is_allowed_is_accepted() -> None:
    program = whole()
    for change in (
        {"parameters": 1, "form": {"a": [0, 1], "b": {"c": 2, "d": 3}}},
        edited("constants", 0, 2.0**31 - 1)(program.tape),
        edited("guards", 0, 4)(program.tape),
        edited("guards", 1, 13)(program.tape),
        edited("outputs", 0, 13)(program.tape),
    ):
        assert Program.from_bytes(stored(program, **change)).tape.inputs == 3
    # A parameter for everything that can read one.
    single = recorded(lambda x: x.tanh(), 1.0)
    tape = single.tape
    reads = 3  # two by the operation, one by the output
    for count, good in ((reads, True), (reads + 1, False)):
        data = stored(single, parameters=count, a=np.array([count]), outputs=np.array([count + 1]))
        if good:
            assert Program.from_bytes(data).tape.parameters == count
        else:
            with pytest.raises(ValueError, match=RANGE):
                Program.from_bytes(data)
    assert tape.parameters == 0


@pytest.mark.parametrize(("depth", "why"), [(100, NESTING), (101, DEEP)])
def test_a_result_may_be_nested_100_deep(depth: int, why: str) -> None:
    form: Any = "wrong"
    for i in range(depth):
        form = [form] if i % 2 else {"k": form}
    with pytest.raises(ValueError, match=why):
        Program.from_bytes(stored(whole(), form=form))


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a", lambda old: old[:-8], "a has another type or shape"),
        ("a", lambda old: old + bytes(8), "a has another type or shape"),
        ("a", lambda old: npy(np.zeros(7, dtype=np.int32)), "a has another type or shape"),
        ("a", lambda old: npy(np.zeros((7, 1), dtype=np.int64)), "a has another type or shape"),
        ("code", lambda old: npy(np.zeros(7, dtype=np.float16)), "code has another type or shape"),
        ("guards", lambda old: npy(np.zeros(12, dtype=np.int64)), "guards has another type or"),
        ("guards", lambda old: npy(np.zeros((4, 3), dtype=np.int64)), "guards has another type or"),
        ("cut", lambda old: old[:-1] + b"\2", "cut has entries other than true and false"),
        ("whole", lambda old: old[:-1] + b"\xff", "whole has entries other than true and false"),
        ("b", lambda old: b"\x93NUMPY\x02" + old[7:], "b is not an array of the expected form"),
        ("b", lambda old: old[:8] + b"\0\0" + old[10:], "b is not an array of the expected form"),
        ("b", lambda old: old[:8] + b"\x77" + old[9:], "b is not an array of the expected form"),
        ("b", lambda old: b"", "b is not an array of the expected form"),
        ("json", lambda old: npy(np.frombuffer(b"[1]", np.uint8)), "its description has other"),
        ("json", lambda old: npy(np.frombuffer(b'{"ops": []}', np.uint8)), "its description has"),
        ("json", lambda old: npy(np.frombuffer(b"{", np.uint8)), "Expecting property name"),
        ("more", lambda old: npy(np.zeros(1)), "it has other parts"),
    ],
)  # fmt: skip
def test_a_part_that_is_damaged_is_refused_by_name(
    name: str, data: Callable[[bytes], bytes], why: str
) -> None:
    files = parts(whole())
    files[f"{name}.npy"] = data(files.get(f"{name}.npy", b""))
    with pytest.raises(ValueError, match=rf"^p is not a program \({why}"):
        Program.from_bytes(packed(files), "p")


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("ops", "mul", "the names of its operations are not texts"),
        ("ops", ["mul", 2], "the names of its operations are not texts"),
        ("texts", {"0": 1, "1": 2}, "the names of its operations are not texts"),
        ("texts", [["x * y", "y", "x"]], "the names of its operations are not texts"),
        ("texts", [["x * y", "x", "y"], ["tanh(x)", "1 - z * z"]], "the operation 'mul' differs"),
        ("ops", ["mul", "t" * 80], "the operation '" + "t" * 59 + " differs from"),
        ("format", "9" * 80, "format '" + "9" * 59 + ", and this version reads 1"),
        ("format", 2, "format 2, and this version reads 1"),
    ],
)
def test_a_description_that_is_another_is_refused(field: str, value: Any, why: str) -> None:
    files = parts(whole())
    text = files["json.npy"]
    rest = json.loads(text[text.index(b'{"') :])
    files["json.npy"] = npy(np.frombuffer(json.dumps(rest | {field: value}).encode(), np.uint8))
    with pytest.raises(ValueError, match=rf"^program is not a program \({why}"):
        Program.from_bytes(packed(files))


def test_what_is_compressed_or_overlaps_is_not_read() -> None:
    files = parts(whole())
    with pytest.raises(ValueError, match="it is compressed"):
        Program.from_bytes(packed(files, zipfile.ZIP_DEFLATED))
    with pytest.warns(UserWarning, match="Duplicate"):
        data = packed_twice(files)
    with pytest.raises(ValueError, match="it has other parts"):
        Program.from_bytes(data)


def packed_twice(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in [*files.items(), ("a.npy", files["a.npy"])]:
            archive.writestr(name, data)
    body = buffer.getvalue()
    return b"chainrule program\n" + hashlib.sha256(body).hexdigest().encode() + body


def test_ctrl_c_while_a_program_is_packed_is_no_other_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = whole()

    def interrupted(*given: Any, **arrays: Any) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("Can't close the ZIP file while there is an open writing handle")

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        program.save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []

    def wrong(*given: Any, **arrays: Any) -> None:
        raise ValueError("another")

    monkeypatch.setattr(np, "savez", wrong)
    with pytest.raises(ValueError, match=r"^another$"):
        program.save(tmp_path / "p")
