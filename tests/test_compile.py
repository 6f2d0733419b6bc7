"""Compiled functions give what the eager engine gives, on every engine, or say why not."""

import io
import json
import math
import pickle
import random
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd
import nn
from autograd import RecordingError, Value, argmax, rows, select
from autograd.compiled.function import Compiled
from autograd.compiled.program import Program
from autograd.compiled.recorder import Recorder
from autograd.compiled.recordings import Options
from autograd.compiled.selection import chosen, masked
from nn import MLP, Embedding, mse, sparse_categorical_crossentropy
from nn.microgpt import MicroGPT, encode
from tests.spies import Spy

ENGINES = ["numpy", "native"]
POINTS = [0.3, -0.7, 1.6, -2.5, 0.0, 30.0, -800.0, math.inf, -math.inf, math.nan]


def eager(f: Callable[..., Any], *numbers: float) -> tuple[float, list[float]]:
    leaves = [Value(number) for number in numbers]
    result = f(*leaves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result.backward()
    return result.data, [leaf.grad for leaf in leaves]


def close(x: float, y: float, bound: float = 1e-12) -> bool:
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= bound * max(abs(x), abs(y))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_row_is_the_eager_one(engine: str) -> None:
    ops = list(rows().values())

    def all_rows(x: Value, y: Value) -> list[Value]:
        return [op(x) if op.arity == 1 else op(x, y) for op in ops]

    f = autograd.compile(all_rows, engine=engine)
    for x in POINTS:
        for y in (0.5, -2.0, 3.0, math.inf, math.nan):
            for op, found in zip(ops, f(x, y), strict=True):
                want = op(x) if op.arity == 1 else op(x, y)
                assert close(found, want), (op, x, y, found, want)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_rows_gradient_is_the_eager_one(engine: str) -> None:
    ops = list(rows().values())
    chosen = [0.0] * len(ops)

    def each(x: Value, y: Value, wanted: list[Value]) -> Value:
        made = [op(x * 1.0) if op.arity == 1 else op(x * 1.0, y * 1.0) for op in ops]
        total: Value = y * 0.0
        for z, w in zip(made, wanted, strict=True):
            total = total + z * w
        return total

    f = autograd.compile(each, engine=engine)
    for k, op in enumerate(ops):
        for x in (0.3, -0.7, 1.6, -2.5):
            chosen[k] = 1.0
            slopes = f.value_and_grad(x, 0.5, chosen, argnums=(0, 1))[1]
            _, want = eager(lambda x, y: op(x) + 0.0 * y if op.arity == 1 else op(x, y), x, 0.5)  # noqa: B023
            if all(map(math.isfinite, want)) and op.is_smooth(x, 0.5):
                finite = all(map(math.isfinite, slopes))
                assert not finite or all(map(close, slopes, want)), (op, x, slopes, want)
            chosen[k] = 0.0


def random_graph(seed: int) -> Callable[[list[Value], list[Value]], Value]:
    def f(x: list[Value], w: list[Value]) -> Value:
        rng = random.Random(seed)
        nodes: list[Any] = [*x, *w]
        for _ in range(60):
            a, b = rng.choice(nodes), rng.choice(nodes)
            kind = rng.randrange(8)
            if kind < 2:
                made = a * b
            elif kind < 4:
                made = a + b
            elif kind == 4:
                made = a - b
            elif kind == 5:
                made = a.tanh()
            elif kind == 6:
                made = a * 0.5 + b * b - 1.0
            else:
                made = (a * a + 1.0).log()
            nodes.append(made.tanh() if rng.random() < 0.3 else made)
        total = nodes[-1]
        for node in nodes[-12:-1]:
            total = total + node.tanh()
        result: Value = total
        return result

    return f


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_agree_single_and_in_batches(engine: str, seed: int) -> None:
    f = random_graph(seed)
    rng = np.random.default_rng(seed)
    w = [Value(v) for v in rng.normal(size=3)]
    compiled = autograd.compile(lambda x: f(x, w), engine=engine)
    batch = rng.normal(size=(19, 4))
    out, slopes = compiled.value_and_grad(batch)
    sums = np.zeros(3)
    for k, row in enumerate(batch.tolist()):
        x = [Value(v) for v in row]
        for p in w:
            p.grad = 0.0
        result = f(x, w)
        result.backward()
        sums += [p.grad for p in w]
        assert out[k] == pytest.approx(result.data, rel=1e-11, abs=1e-13)
        assert slopes[k] == pytest.approx([v.grad for v in x], rel=1e-10, abs=1e-12)
        assert compiled(row).data == pytest.approx(result.data, rel=1e-11, abs=1e-13)
    _, found = compiled.parameter_gradients(batch)
    order = [w.index(p) for p in compiled.parameters]
    assert found == pytest.approx(sums[order], rel=1e-9, abs=1e-11)
    per_sample = compiled.per_sample_gradients(batch)
    assert per_sample.sum(axis=0) == pytest.approx(found, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("seed", range(4))
def test_an_exact_replay_has_the_eager_bits(seed: int) -> None:
    f = random_graph(seed)
    numbers = [random.Random(seed).gauss(0, 1) for _ in range(7)]
    compiled = autograd.compile(lambda x: f(x[:4], x[4:]), exact=True)
    for _ in range(3):
        value, slopes = compiled.value_and_grad(numbers)
        leaves = [Value(v) for v in numbers]
        result = f(leaves[:4], leaves[4:])
        result.backward()
        assert (value, slopes) == (result.data, [v.grad for v in leaves])
        numbers = [v * 1.25 for v in numbers]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_branch_is_guarded_also_within_a_batch(engine: str) -> None:
    def f(x: Value) -> Value:
        return x * x if x > 0 else -3.0 * x

    compiled = autograd.compile(f, engine=engine)
    assert [compiled(v) for v in (2.0, -2.0, 3.0, -1.0)] == [4.0, 6.0, 9.0, 3.0]
    assert compiled.recorded == 2
    out, slopes = compiled.value_and_grad(np.array([1.0, -1.0, 2.0, -5.0]))
    assert out.tolist() == [1.0, 3.0, 4.0, 15.0]
    assert slopes.tolist() == [2.0, -3.0, 4.0, -3.0]
    assert compiled.recorded == 4, "one for each side of the branch, and the same for rows"


@pytest.mark.parametrize("name", [op.name for op in rows().values() if op.arity == 2])
def test_an_operation_of_a_parameter_and_an_input_is_recorded_in_either_order(name: str) -> None:
    w, op = Value(2.0), rows()[name]
    for f in (getattr(w, name), lambda x: getattr(x, name)(w), lambda x: op(w, x)):
        compiled = autograd.compile(f, engine="numpy")
        assert compiled(1.5).data == pytest.approx(f(Value(1.5)).data, rel=1e-15)
        report = autograd.check_gradients(f, 1.5, parameters=[w])
        assert report.verdict is autograd.Verdict.PASS
        assert all(row.error <= 1e-14 for row in report.rows)  # seen on decimals


def test_float_and_max_and_data_are_guarded() -> None:
    w = Value(2.0)
    compiled = autograd.compile(lambda x: max(x, w) * w.item() + w.data * x, engine="numpy")
    for weight in (2.0, 5.0, 2.0):
        w.data = weight
        for x in (1.0, 3.0, 7.0):
            assert compiled(x) == max(x, weight) * weight + weight * x


def test_the_cache_is_bounded() -> None:
    compiled = autograd.compile(lambda x: x * float(x), engine="numpy", cache=5)
    for k in range(12):
        assert compiled(float(k)) == float(k * k)
    assert len(compiled.recordings) == 5


@pytest.mark.parametrize("engine", ENGINES)
def test_whole_numbers_select_without_a_new_recording(engine: str) -> None:
    letters = Embedding(5, 3, seed=0)
    compiled = autograd.compile(lambda i: sum(letters(i)[1:], letters(i)[0]), engine=engine)
    for i in range(5):
        want = sum(v.data for v in letters.table[i])
        assert compiled(i).data == pytest.approx(want, rel=1e-15)
    assert compiled.recorded == 1
    compiled.backward(np.array([1, 1, 4]))
    assert [row[0].grad for row in letters.table] == [0.0, 2.0, 0.0, 0.0, 1.0]
    with pytest.raises(IndexError, match="0 to 4, got 7"):
        compiled(7)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_largest_can_be_looked_for_without_a_guard(engine: str) -> None:
    def f(x: list[Value]) -> Value:
        top: Value = select(x, argmax(x))
        return top * top

    compiled = autograd.compile(f, engine=engine)
    assert compiled.value_and_grad([1.0, 3.0, 2.0]) == (9.0, [0.0, 6.0, 0.0])
    assert compiled.value_and_grad([5.0, 3.0, 2.0]) == (25.0, [10.0, 0.0, 0.0])
    assert compiled.recorded == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_trains_as_the_eager_one(engine: str) -> None:
    model = MLP([3, 8, 2], "tanh", seed=0)
    x = [[0.1, -0.4, 0.7], [1.0, 0.2, -0.3]]
    y = [[1.0, 0.0], [0.0, 1.0]]
    compiled = autograd.compile(lambda x, y: mse([model(row) for row in x], y), engine=engine)
    loss = mse([model(row) for row in x], y)
    loss.backward()
    want = [p.grad for p in model.parameters()]
    model.zero_grad()
    assert compiled.backward(x, y) == pytest.approx(loss.data, rel=1e-13)
    assert [p.grad for p in model.parameters()] == pytest.approx(want, rel=1e-12, abs=1e-15)
    layers = [one for one in compiled.program.instructions if one.lanes == 16]
    assert layers, "the samples of the batch and the neurons are one instruction"


def test_inf_and_nan_are_the_eager_ones() -> None:
    compiled = autograd.compile(lambda x, y: (x * y).exp() * 0.0 + y, engine="numpy")
    for x, y in [(1.0, 2.0), (1000.0, 1000.0), (math.inf, 0.0), (math.nan, 1.0)]:
        value, slopes = eager(lambda x, y: (x * y).exp() * 0.0 + y, x, y)
        found, gradient = compiled.value_and_grad(x, y, argnums=(0, 1))
        assert close(found, value)
        assert all(map(close, gradient, slopes))


def test_a_derivative_inside_a_compiled_function_is_recorded_too() -> None:
    inner = autograd.grad(lambda x: x * x * x)
    compiled = autograd.compile(lambda x: inner(x) * x, engine="numpy")
    assert compiled.value_and_grad(2.0) == (24.0, 36.0)
    along = autograd.compile(
        lambda x, v: autograd.hvp(lambda p: p[0] ** 2 * p[1], x, v), engine="numpy"
    )
    assert along([3.0, 5.0], [1.0, 0.0]) == [10.0, 6.0]


def test_a_hessian_of_rows_that_take_different_branches_is_that_of_each_rows_own() -> None:
    w = Value(2.0)
    compiled = autograd.compile(lambda x: w * w * x if x > 0 else w * w * w * x)
    assert compiled.hvp([1.0], np.array([1.0, -1.0])).tolist() == [2.0 - 6.0 * 2.0]


def test_a_program_survives_a_file_and_a_pickle(tmp_path: Any) -> None:
    w = Value(0.5)
    compiled = autograd.compile(lambda x: (w * x).tanh() if x < 9 else x, engine="numpy")
    compiled(1.0)
    program = compiled.program
    program.save(tmp_path / "p.npz")
    for other in (Program.load(tmp_path / "p.npz"), pickle.loads(pickle.dumps(program))):
        assert (str(other), other.digest) == (str(program), program.digest)
        assert other.lift([0.5], [1.0]).outputs[0].data == compiled(1.0)
    damaged = bytearray((tmp_path / "p.npz").read_bytes())
    damaged[len(damaged) // 2] ^= 255
    with pytest.raises(ValueError, match=r"not a program|damaged"):
        Program.from_bytes(bytes(damaged))


def test_a_program_is_printed_located_lifted_and_drawn() -> None:
    w = [Value(0.1 * k, f"w{k}") for k in range(4)]

    def f(x: list[Value]) -> Value:
        h = sum((a * b for a, b in zip(w[1:], x[1:], strict=True)), w[0] * x[0])
        h.label = "h"
        result: Value = h.tanh()
        return result

    compiled = autograd.compile(f, engine="numpy")
    value = compiled([1.0, 2.0, 3.0, 4.0])
    program = compiled.program
    assert "8 operations as 2 instructions in 2 levels" in str(program)
    where = program.locate(program.instructions[0].z)
    assert where["label"] == "h"
    assert where["line"].startswith("test_compile.py:")
    lifted = program.lift([p.data for p in compiled.parameters], [1.0, 2.0, 3.0, 4.0])
    lifted.outputs[0].backward()
    assert lifted.outputs[0].data == value
    assert "dot of 4" in program.draw().source


def test_what_cannot_be_recorded_is_refused() -> None:
    w = Value(1.0)
    outside = w * 2.0
    spy = Spy()

    def keeps(x: Value) -> Value:
        spy.things.append(x)
        return x * 1.0

    def changes(x: Value) -> Value:
        w.data = 3.0
        return w * x

    def goes_back(x: Value) -> Value:
        loss = w * x
        loss.backward()
        return loss

    compile_ = autograd.compile
    with pytest.raises(TypeError, match="computed Value from outside"):
        compile_(lambda x: outside * x)(1.0)
    with pytest.raises(RecordingError, match=r"changes the \.data"):
        compile_(changes)(1.0)
    with pytest.raises(RecordingError, match="return the loss instead"):
        compile_(goes_back)(1.0)
    compile_(keeps)(1.0)
    with pytest.raises(RecordingError, match="used outside of it"):
        spy.things[0] * 2.0
    with pytest.raises(TypeError, match="expected a function"):
        compile_(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reduction must be"):
        compile_(keeps, reduction="max")
    with pytest.raises(ValueError, match="of 2 and of 3 rows"):
        compile_(lambda x, y: x * y)(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        compile_(keeps, threads=0)
    with pytest.raises(ValueError, match="engine must be"):
        compile_(keeps, engine="cuda")
    with pytest.raises(ValueError, match="has no rows"):
        compile_(lambda x, y: x * y)(np.ones(0), 1.0)
    with pytest.raises(TypeError, match="an array of numbers, got <U1"):
        compile_(lambda x: x)(np.array(["a"]))
    with pytest.raises(TypeError, match="must return one number"):
        compile_(lambda x: [x, x]).value_and_grad(1.0)
    with pytest.raises(TypeError, match="its result: expected a real number, got str"):
        compile_(lambda x: "x")(1.0)
    with pytest.raises(TypeError, match="no argument 3 to differentiate: 1 given"):
        compile_(lambda x: x * x).value_and_grad(1.0, argnums=3)
    with pytest.raises(RuntimeError, match="nothing is recorded before the first call"):
        compile_(keeps).last  # noqa: B018
    assert w.data == 1.0


def test_numbers_that_are_recorded_have_the_attributes_of_nodes_and_refuse_the_rest() -> None:
    spy = Spy()
    seen = spy.named

    w = Value(1.0)

    def looks(x: Any, k: Any) -> Any:
        with autograd.scope("part"):
            z = (w * x).tanh()
        z.label, z.line  # noqa: B018
        z.label = "z"
        spy.named["names"] = (z.op.name, z.label, z.scope, z.is_leaf, len(z.parents))
        z.scope = "other"
        spy.named["scope"] = z.scope
        spy.named["whole"] = (int(x), round(x, 1), f"{x:.1f}", repr(x), k % 2, k // 2, k == 3)
        spy.named["order"] = (x < 2, x <= 2, x > 2, x >= 2, x == 1.25, x != 1.25, bool(x))
        spy.named["kinds"] = (x == "1.25", z == z, z.data == 0.5)
        return z * k

    assert autograd.compile(looks)(1.25, 3) == math.tanh(1.25) * 3
    assert seen == {
        "names": ("tanh", "z", "part", False, 1),
        "scope": "other",
        "whole": (1, 1.2, "1.2", "1.25", 1, 1, True),
        "order": (True, True, False, False, True, False, True),
        "kinds": (False, True, False),
    }


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda x, z: setattr(z, "data", 1.0), r"changes the \.data of a node"),
        (lambda x, z: z.zero_grad(), "return the loss instead"),
        (lambda x, z: z.register_hook(print), "does not run hooks"),
        (lambda x, z: x.label, "a replay does not know the .label of an argument"),
        (lambda x, z: x.parents, "a replay does not know the .parents of an argument"),
        (lambda x, z: z.grad, r"a replay does not know the \.grad of a recorded number"),
        (lambda x, z: repr(z), "the text of a Value shows its gradient"),
        (lambda x, z: pickle.dumps(x), "cannot be copied or pickled"),
    ],
)
def test_a_refusal_counts_even_if_the_function_catches_it(
    ask: Callable[[Any, Any], Any], match: str
) -> None:
    w = Value(1.0)

    def caught(x: Any) -> Any:
        z = w * x
        try:
            ask(x, z)
        except Exception:
            return z * 100.0
        return z

    compiled = autograd.compile(caught)
    for _ in range(2):
        with pytest.raises(RecordingError, match=match):
            compiled(2.0)
    assert compiled.recordings == []


def test_nan_that_is_taken_out_of_the_graph_is_guarded_too() -> None:
    compiled = autograd.compile(lambda x: x * 2.0 if math.isnan(float(x)) else x * 3.0)
    assert math.isnan(compiled(math.nan))
    assert compiled(1.0) == 3.0
    assert compiled(2.0) == 6.0


def test_a_compiled_function_inside_another_is_a_part_of_it() -> None:
    inner = autograd.compile(lambda x: x * x)
    outer = autograd.compile(lambda x: inner(x) * 3.0)
    assert outer.value_and_grad(2.0) == (12.0, 12.0)
    assert repr(inner) == "compiled <lambda>: 0 recording(s) of 0 shape(s)"
    assert repr(outer) == "compiled <lambda>: 1 recording(s) of 1 shape(s)"
    assert outer.recorded == 1
    outer.clear()
    assert repr(outer) == "compiled <lambda>: 0 recording(s) of 0 shape(s)"
    assert outer(2.0) == 12.0
    assert outer.recorded == 2


def test_arguments_that_are_no_numbers_choose_the_recording() -> None:
    def f(x: Any, kind: Any, more: Any, table: Any) -> Any:
        z = x.tanh() if kind == "tanh" else x.exp()
        return z * 2.0 + table["a"] * table["b"][1] if more is None else z

    compiled = autograd.compile(f)
    table = {"a": 2.0, "b": [1.0, 3.0]}
    assert compiled(0.5, "tanh", None, table) == math.tanh(0.5) * 2.0 + 6.0
    assert compiled(0.5, "exp", True, table) == math.exp(0.5)
    assert compiled(np.array([0.5, 1.0]), "exp", False, table).tolist() == pytest.approx(
        [math.exp(0.5), math.e], rel=1e-15
    )
    assert compiled.recorded == 3
    total, parts = compiled.value_and_grad(0.5, "tanh", None, table, argnums=(1, 2, 3))
    assert total == math.tanh(0.5) * 2.0 + 6.0
    assert parts == (0.0, 0.0, {"a": 3.0, "b": [0.0, 2.0]})


def test_rows_of_truth_values_are_numbers() -> None:
    compiled = autograd.compile(lambda row: row[0] + row[1] * 2.0, engine="numpy")
    assert compiled(np.array([[True, False], [True, True]])).tolist() == [1.0, 3.0]


def test_a_result_of_a_dict_keeps_its_keys() -> None:
    compiled = autograd.compile(lambda x: {"a": x * 2.0, "b": [x, (x, x * x)]})
    assert compiled(3.0) == {"a": 6.0, "b": [3.0, (3.0, 9.0)]}
    stored = Program.from_bytes(compiled.last.program.to_bytes())
    assert stored.tape.form == {"a": 0, "b": [1, [2, 3]]}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_exact_batch_takes_every_branch_and_has_the_eager_bits(engine: str) -> None:
    w = Value(0.7)

    def f(x: Any) -> Any:
        return (w * x).tanh() if x > 0 else (w * x).exp() * x

    compiled = autograd.compile(f, engine=engine, exact=True, reduction="sum")
    x = np.array([0.3, -0.4, 1.7, -2.2])
    found, slopes = compiled.value_and_grad(x)
    leaves = [Value(number) for number in x.tolist()]
    made = [f(leaf) for leaf in leaves]
    for z in made:
        z.backward()
    assert found == pytest.approx(math.fsum(z.data for z in made), rel=1e-15)
    assert slopes.tolist() == [leaf.grad for leaf in leaves]
    assert compiled.recorded == 2


def test_a_flat_forgets_plans_when_there_are_many_shapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("autograd.compiled.flat.MAX_PLANS", 3)
    w = Value(2.0)
    compiled = autograd.compile(lambda x: w * x[0], reduction="sum")
    flat = compiled.flat([w])
    for rows_ in (1, 2, 3, 4, 5, 2):
        for _ in range(2):
            assert flat.backward(np.ones((rows_, 1))) == 2.0 * rows_
            assert flat.gradients.tolist() == [rows_]
        assert len(flat._plans) <= 3


def test_forgotten_recordings_take_their_second_derivatives_with_them() -> None:
    w = Value(2.0)
    compiled = autograd.compile(lambda x: w * w * w * (x[0] if isinstance(x, list) else x), cache=1)
    for k in (1.0, 2.0):
        assert compiled.hvp([1.0], k).tolist() == [6.0 * 2.0 * k]
        assert compiled.hvp([1.0], [k]).tolist() == [6.0 * 2.0 * k]
    assert sum(("hvp", (), ()) in one.derived for one in compiled.recordings) == 1


def test_a_cache_folder_may_be_chosen_and_need_not_be_writable(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograd.compiled import engines
    from autograd.compiled.native import cache

    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "own"))
    assert cache.folder() == tmp_path / "own"
    monkeypatch.delenv("CHAINRULE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "all"))
    assert cache.folder() == tmp_path / "all" / "chainrule"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "below"))

    cube = autograd.define_op("cube_for_a_cache", "x * x * x", "3 * x * x")
    assert autograd.compile(lambda x: cube(x) * 1.0, engine="native")(3.0) == 27.0
    with pytest.raises(ValueError, match="engine: engine must be 'auto'"):
        engines.engine("cuda", None)  # type: ignore[arg-type]


def test_without_llvmlite_numpy_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "llvmlite" else find(name, *a)
    )
    assert autograd.compile(lambda x: x * x)(3.0) == 9.0
    with pytest.warns(UserWarning, match=r"chainrule\[fast\]"):
        assert autograd.compile(lambda x: x * x, engine="native")(3.0) == 9.0


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_get_the_serial_answers(engine: str) -> None:
    model = MLP([2, 4, 1], "tanh", seed=0)
    compiled = autograd.compile(lambda x: model(x)[0], engine=engine)
    batch = np.random.default_rng(0).normal(size=(200, 2))
    want = compiled(batch).tolist()
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        found[k] = [compiled(batch).tolist() for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer == want for answers in found.values() for answer in answers)
    one = autograd.compile(lambda x: model(x)[0], engine=engine, threads=1)
    two = autograd.compile(lambda x: model(x)[0], engine=engine, threads=2)
    assert isinstance(two, Compiled)
    assert two(batch).tolist() == one(batch).tolist()


# ---------------------------------------------------------------------- native loops


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(12))
def test_products_of_matrices_of_any_shape_are_numpys(engine: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k, m = (int(size) for size in rng.integers(1, 21, 3))
    w = rng.normal(size=(n, k))
    leaves = [[Value(number) for number in row] for row in w]
    flat_leaves = [leaf for row in leaves for leaf in row]
    weight = rng.normal(size=(n, m))

    def f(x: list[list[Value]]) -> Value:
        total: Any = 0.0
        for i in range(n):
            for j in range(m):
                dot = sum((leaves[i][t] * x[t][j] for t in range(1, k)), leaves[i][0] * x[0][j])
                total = total + weight[i, j] * dot.sin()
        result: Value = total
        return result

    compiled = autograd.compile(f, engine=engine, reduction="sum")
    for batch in (1, 3, 11, 40):
        x = rng.normal(size=(batch, k, m))
        value, slopes = compiled.value_and_grad(x)
        z = w @ x
        g = weight * np.cos(z)
        assert value == pytest.approx((weight * np.sin(z)).sum(), rel=1e-11, abs=1e-11)
        assert slopes == pytest.approx(w.T @ g, rel=1e-11, abs=1e-11)
        with compiled.flat(flat_leaves) as flat:
            for _ in range(2):  # the second call is the planned one
                assert flat.backward(x) == pytest.approx(value, rel=1e-13, abs=1e-13)
                want = (g @ x.transpose(0, 2, 1)).sum(axis=0).ravel()
                assert flat.gradients == pytest.approx(want, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("engine", ENGINES)
def test_lanes_that_overlap_add_up(engine: str) -> None:
    """A convolution: each input is read by several lanes of one instruction."""
    w = [Value(0.1 * k + 0.3) for k in range(5)]

    def f(x: list[Value]) -> Value:
        made = [sum((w[t] * x[i + t] for t in range(1, 5)), w[0] * x[i]) for i in range(26)]
        result: Value = sum((one.tanh() for one in made[1:]), made[0].tanh())
        return result

    compiled = autograd.compile(f, engine=engine)
    numbers = [math.sin(k) for k in range(30)]
    value, slopes = compiled.value_and_grad(numbers)
    want, gradient = eager(lambda *x: f(list(x)), *numbers)
    assert value == pytest.approx(want, rel=1e-13)
    assert slopes == pytest.approx(gradient, rel=1e-12)


# ---------------------------------------------------------------------- choices


@pytest.mark.parametrize("engine", ENGINES)
def test_masked_lists_are_the_eager_ones_wherever_the_index_points(engine: str) -> None:
    def f(x: list[Value], i: int) -> Value:
        kept = autograd.replaced(x, i, 0.5)
        pairs = zip(kept[1:], x[1:], strict=True)
        result: Value = sum((a * b for a, b in pairs), kept[0] * x[0])
        return result

    compiled = autograd.compile(f, engine=engine)
    numbers = [1.0, -2.0, 3.0, 0.25]
    for i in range(4):
        want, gradient = eager(lambda *x: f(list(x), i), *numbers)  # noqa: B023
        value, slopes = compiled.value_and_grad(numbers, i)
        assert value == pytest.approx(want, rel=1e-15)
        assert slopes == pytest.approx(gradient, rel=1e-15)
    assert compiled.recorded == 1
    with pytest.raises(IndexError, match="replaced: expected an index from 0 to 3, got 4"):
        compiled(numbers, 4)
    batch = np.array([numbers] * 4)
    assert compiled(batch, np.arange(4)).tolist() == [compiled(numbers, i) for i in range(4)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax_is_recorded_once_whichever_logit_is_the_largest(engine: str, name: str) -> None:
    import nn

    function = getattr(nn, name)

    def f(z: list[Value]) -> Value:
        made = function(z)
        result: Value = made[1] * made[1] if isinstance(made, list) else made
        return result

    compiled = autograd.compile(f, engine=engine)
    for z in ([3.0, 1.0, -2.0], [1.0, 3.0, -2.0], [0.0, 40.0, -40.0], [-2.0, 1.0, 1000.0]):
        want, gradient = eager(lambda *x: f(list(x)), *z)
        value, slopes = compiled.value_and_grad(z)
        assert value == pytest.approx(want, rel=1e-12, abs=0.0)
        assert slopes == pytest.approx(gradient, rel=1e-12, abs=1e-300)
    assert compiled.recorded == 1


# ---------------------------------------------------------------------- guards and rounding


@pytest.mark.parametrize("engine", ENGINES)
def test_a_branch_that_rounding_could_turn_is_decided_as_the_eager_one(engine: str) -> None:
    """0.1 * 3 - 0.3 is 5.6e-17 when it is added up in the eager order."""

    def f(x: list[Value]) -> Value:
        total = x[0] + x[1] + x[2] - x[3]
        return x[0] * 2.0 if total > 0 else x[0] * 5.0

    compiled = autograd.compile(f, engine=engine)
    for x in ([0.1, 0.1, 0.1, 0.3], [0.3, -0.1, -0.1, 0.1], [0.1, 0.2, 0.3, 0.6], [1, 1, 1, 3]):
        for _ in range(2):
            assert compiled([float(v) for v in x]) == eager(lambda *x: f(list(x)), *x)[0]


def test_a_number_taken_out_of_the_graph_is_recorded_for_that_number_only() -> None:
    compiled = autograd.compile(lambda x, y: (x + y) * float(x + y), engine="native")
    for x, y in [(0.1, 0.2), (0.1, 0.3), (0.1, 0.2)]:
        assert compiled(x, y) == (x + y) ** 2


# ---------------------------------------------------------------------- arrays of parameters


def test_flat_parameters_go_back_to_the_values_also_after_an_error() -> None:
    model = MLP([2, 3, 1], "tanh", seed=0)
    parameters = model.parameters()
    before = [p.data for p in parameters]
    compiled = autograd.compile(lambda x: model(x)[0], reduction="mean")
    x = np.array([[0.5, -1.0], [1.0, 2.0]])
    kept: list[list[float]] = []

    def half_a_step() -> None:
        with compiled.flat(parameters) as flat:
            flat.backward(x)
            flat.numbers -= 0.1 * flat.gradients
            kept.extend([flat.numbers.tolist(), flat.gradients.tolist()])
            assert [p.data for p in parameters] == before
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        half_a_step()
    assert [[p.data for p in parameters], [p.grad for p in parameters]] == kept


def test_a_flat_without_all_parameters_is_refused() -> None:
    w, b = Value(1.0, "w"), Value(2.0, "b")
    compiled = autograd.compile(lambda x: w * x + b)
    with pytest.raises(ValueError, match=r"also depends on .*label='b'"):
        compiled.flat([w]).backward(1.0)


def test_a_second_order_product_is_the_eager_one() -> None:
    model = MLP([2, 3, 2], "tanh", seed=0)

    def loss(x: list[float], k: int) -> Value:
        made: Value = sparse_categorical_crossentropy([model(x)], [k], from_logits=True)
        return made

    compiled = autograd.compile(loss)
    compiled([0.5, -1.0], 1)
    parameters = compiled.parameters
    v = [0.1 * k - 0.4 for k in range(len(parameters))]
    with autograd.recording():
        slopes = autograd.grad(loss([0.5, -1.0], 1), parameters, create_graph=True)
        along = sum((s * w for s, w in zip(slopes[1:], v[1:], strict=True)), slopes[0] * v[0])
    want = autograd.grad(along, parameters)
    assert compiled.hvp(v, [0.5, -1.0], 1) == pytest.approx(want, rel=1e-11, abs=1e-14)
    with pytest.raises(ValueError, match="hvp: expected 17 numbers"):
        compiled.hvp([1.0], [0.5, -1.0], 1)


def test_a_compiled_function_is_checked_and_a_wrong_replay_is_told() -> None:
    model = MLP([2, 3, 1], "tanh", seed=0)
    compiled = autograd.compile(lambda x: model(x)[0])
    report = autograd.check_gradients(compiled, [0.5, -1.0], parameters=model)
    assert report
    assert len(report.rows) == 2 + len(model.parameters())

    class Wrong(Compiled):
        def claims(self, inputs: Any, parameters: Any) -> list[float]:
            return [1.001 * slope for slope in super().claims(inputs, parameters)]

    wrong = Wrong(compiled.function, Options())
    assert "the replay gives" in str(autograd.check_gradients(wrong, [0.5, -1.0]))


# ---------------------------------------------------------------------- the GPT


@pytest.mark.untraced
def test_the_gpt_of_scalars_is_a_small_program_with_the_eager_losses() -> None:
    model = MicroGPT(width=8, heads=2, block=8, seed=0)
    compiled = autograd.compile(model.loss)
    for name in ("ada", "bob", "eve", "andrea"):
        loss = model.loss(encode(name))
        model.zero_grad()
        loss.backward()
        want = [p.grad for p in model.parameters()]
        model.zero_grad()
        assert compiled.backward(encode(name)) == pytest.approx(loss.data, rel=1e-13)
        assert [p.grad for p in model.parameters()] == pytest.approx(want, rel=1e-10, abs=1e-15)
    assert compiled.recorded == 2, "one for each length"
    program = compiled.program
    assert len(program.instructions) < 100
    assert program.draw().source.count("[label=") < 100
    batch = np.array([encode("ada"), encode("bob"), encode("eve")])
    assert compiled(batch).tolist() == pytest.approx(
        [compiled(encode(n)) for n in ("ada", "bob", "eve")], rel=1e-13
    )


def test_text_that_does_not_fit_the_gpt_is_refused() -> None:
    model = MicroGPT(width=8, heads=2, block=4, seed=0)
    with pytest.raises(ValueError, match="expected 1 to 4 tokens, got 6"):
        model.loss(encode("abcde"))
    with pytest.raises(ValueError, match="expected letters a-z"):
        encode("Ada")
    with pytest.raises(ValueError, match="width must be a multiple of heads=3"):
        MicroGPT(width=8, heads=3)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
        model.sample(temperature=0.0)
    assert all(len(model.sample(seed=seed)) <= 4 for seed in range(3))


def test_a_branch_met_for_the_first_time_is_taken_by_the_numbers_of_the_arrays() -> None:
    w = Value(1.0)
    compiled = autograd.compile(lambda x: w * x if w * x > 0 else 3.0 * w * x)
    with compiled.flat([w]) as flat:
        assert flat.backward(2.0) == 2.0
        flat.numbers[:] = -1.0
        assert flat.backward(2.0) == -6.0
        assert flat.gradients.tolist() == [6.0]


def test_a_recording_that_never_fits_is_an_error_and_no_endless_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from autograd.compiled.recording import Recording, Run

    def failed(one: Any, numbers: Any, where: Any, x: Any, *rest: Any) -> Any:
        return Run(False, np.zeros((len(x), 1)), np.zeros(len(x), dtype=np.int64), x, rest[1])

    monkeypatch.setattr(Recording, "run", failed)
    monkeypatch.setattr(Recording, "run_eagerly", failed)
    with pytest.raises(RecordingError, match="does not do the same again"):
        autograd.compile(lambda x: x * x)(1.0)


def _signed(arrays: dict[str, Any]) -> bytes:
    """The bytes of a program with those arrays, with a hash that is right."""
    import hashlib
    import io

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    head = b"chainrule program\n"
    return head + hashlib.sha256(buffer.getvalue()).hexdigest().encode() + buffer.getvalue()


@pytest.mark.parametrize("seed", range(150))
def test_a_tampered_program_is_refused_or_runs_inside_its_memory(seed: int) -> None:
    import io

    letters = Embedding(5, 3, seed=0)

    def f(i: int, x: list[Value]) -> Value:
        row = letters(i)
        kept = autograd.replaced(x, autograd.argmax(x), 0.5)
        total = sum((a * b for a, b in zip(row[1:], kept[1:], strict=True)), row[0] * kept[0])
        result: Value = total.tanh() if x[0] > 0 else total * total
        return result

    compiled = autograd.compile(f, engine="native")
    compiled(1, [0.5, 1.0, -2.0])
    data = compiled.program.to_bytes()
    with np.load(io.BytesIO(data[len(b"chainrule program\n") + 64 :])) as stored:
        arrays = {key: stored[key].copy() for key in stored.files}
    rng = random.Random(seed)
    assert Program.from_bytes(_signed(arrays)).digest == compiled.program.digest
    key = rng.choice(sorted(set(arrays) - {"json"}))
    array = arrays[key]
    if rng.random() < 0.2:
        arrays[key] = array[: len(array) // 2] if rng.random() < 0.7 else array.astype(np.float32)
    elif array.size:
        value = rng.choice([-(1 << 40), -5, -4, -2, -1, 0, 1, 3, 7, 1 << 20, 1 << 40])
        place = rng.randrange(array.size)
        array.reshape(-1)[place] = np.array(value).astype(array.dtype)
    try:
        program = Program.from_bytes(_signed(arrays))
    except ValueError:
        return
    from autograd.compiled.recording import Recording

    one = Recording(program, [Value(0.1)] * program.tape.parameters, 0, "native")
    x = np.array([[1.0, 0.5, 1.0, -2.0]])[:, : program.tape.inputs]
    gradients = np.zeros(program.tape.parameters)
    seeds = np.ones(len(program.tape.outputs))
    one.run(np.full(program.tape.parameters, 0.1), one.own_runs, x, seeds, gradients)


def test_rows_that_return_different_nestings_are_refused() -> None:
    compiled = autograd.compile(lambda x: x * 2.0 if x > 0 else [x, x], engine="numpy")
    with pytest.raises(TypeError, match="another nesting for some rows"):
        compiled(np.array([1.0, -1.0]))


def test_threads_that_call_with_different_shapes_get_their_own_nesting() -> None:
    compiled = autograd.compile(lambda x: [2.0 * v for v in x] if len(x) > 1 else x[0] * 3.0)
    wrong: list[Any] = []

    def work(x: list[float], want: Any) -> None:
        wrong.extend(found for _ in range(300) if (found := compiled(x)) != want)

    cases: list[Any] = [([1.0], 3.0), ([1.0, 2.0], [2.0, 4.0]), ([1.0] * 3, [2.0] * 3)]
    threads = [threading.Thread(target=work, args=case) for case in cases * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_a_lane_holds_is_told_also_for_inputs() -> None:
    compiled = autograd.compile(lambda x: (x[0] * x[1]).tanh(), engine="numpy")
    compiled([2.0, 3.0])
    program = compiled.last.program
    assert program.locate(program.shared) == {"label": "input 0", "scope": "", "line": ""}


@pytest.mark.parametrize("recorded_before", [True, False])
def test_hooks_of_parameters_are_run_and_refused_where_gradients_are_arrays(
    recorded_before: bool,
) -> None:
    w = Value(2.0)
    compiled, x = autograd.compile(lambda x: w * x), np.array([1.0, 2.0])
    flat = compiled.flat([w])
    if recorded_before:
        compiled(1.0)
        flat.backward(x)
        flat.backward(x)
    remove = w.register_hook(lambda g: 10.0 * g)
    compiled(3.0).backward()
    assert w.grad == 30.0
    compiled.backward(3.0)
    assert w.grad == 60.0
    for refused in (
        lambda: compiled.parameter_gradients(3.0),
        lambda: compiled.per_sample_gradients(x),
        lambda: flat.backward(x),
    ):
        with pytest.raises(TypeError, match="has a hook, and hooks are not run"):
            refused()
    remove()
    assert compiled.parameter_gradients(3.0)[1].tolist() == [3.0]
    flat.backward(x)
    assert flat.gradients.tolist() == [3.0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK", "stored is not a program"),
        (lambda good: good[:-1], "stored is damaged"),
        (lambda good: _signed({"json": np.frombuffer(b"{}", np.uint8)}), "is not a program"),
    ],
)
def test_bytes_that_are_no_program_are_refused_by_name(data: Any, why: str) -> None:
    compiled = autograd.compile(lambda x: x * 2.0, engine="numpy")
    compiled(1.0)
    made = data(compiled.last.program.to_bytes()) if callable(data) else data
    with pytest.raises(ValueError, match=why):
        Program.from_bytes(made, "stored")


def test_a_program_of_another_format_or_table_is_refused_by_name() -> None:
    compiled = autograd.compile(lambda x: x.tanh(), engine="numpy")
    compiled(1.0)
    good = compiled.last.program.to_bytes()
    with np.load(io.BytesIO(good[good.index(b"PK") :])) as stored:
        arrays = {key: stored[key] for key in stored.files}
    rest = json.loads(bytes(arrays["json"]))
    for change, why in (
        ({"format": 99}, "format 99, and this version reads"),
        ({"texts": [["tanh(x)", "1"]]}, "the operation 'tanh' differs from the one in this table"),
    ):
        text = json.dumps(rest | change).encode()
        with pytest.raises(ValueError, match=why):
            Program.from_bytes(_signed({**arrays, "json": np.frombuffer(text, np.uint8)}), "p")


def test_an_anomaly_is_named_while_a_function_is_recorded() -> None:
    with (
        autograd.detect_anomaly(),
        pytest.raises(autograd.NonFiniteError, match=r"log\(x\) = -inf at x = 0\.0 \('x0'\)"),
    ):
        autograd.compile(lambda x: x.log())(0.0)


def test_no_grad_inside_a_compiled_function_cuts() -> None:
    def f(x: Any) -> Any:
        with autograd.no_grad():
            cut = x * x
        return cut * x

    assert autograd.compile(f).value_and_grad(3.0) == (27.0, 9.0)


def test_an_index_must_be_one_and_within_the_values() -> None:
    assert select([1.0, 2.0], 1) == 2.0
    assert select([[1.0, 2.0], [3.0, 4.0]], 1) == [3.0, 4.0]
    for wrong in (True, 0.5, "0"):
        with pytest.raises(TypeError, match="select: expected an index, got"):
            select([1.0, 2.0], wrong)
    for outside in (-1, 2):
        with pytest.raises(IndexError, match=r"from 0 to 1, got -?\d"):
            select([1.0, 2.0], outside)
        with pytest.raises(IndexError, match=r"from 0 to 1, got -?\d"):
            autograd.compile(lambda k: select([1.0, 2.0], k))(outside)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_different_branches_have_the_gradients_of_all_parameters(engine: str) -> None:
    v, w = Value(3.0, "v"), Value(5.0, "w")

    def f(x: Any) -> Any:
        return v * v * x if x > 0 else w * w * w * x

    for rows_ in ([1.0, -2.0, 4.0], [-2.0, 1.0, 4.0], [1.0, 4.0, -2.0]):
        x = np.array(rows_)
        compiled = autograd.compile(f, engine=engine, reduction="sum")
        for _ in range(2):
            total = {v: 2 * 3.0 * 5.0, w: 3 * 25.0 * -2.0}
            found = compiled.parameter_gradients(x)[1]
            assert set(compiled.parameters) == {v, w}
            assert found.tolist() == [total[p] for p in compiled.parameters]
            each = compiled.per_sample_gradients(x)
            assert set(compiled.parameters) == {v, w}
            for row, slopes in zip(rows_, each.tolist(), strict=True):
                want = {v: max(6.0 * row, 0.0), w: min(75.0 * row, 0.0)}
                assert slopes == [want[p] for p in compiled.parameters]
            second = {v: 2 * 5.0, w: 6 * 5.0 * -2.0}
            products = compiled.hvp([1.0, 1.0], x)
            assert products.tolist() == [second[p] for p in compiled.parameters]


def recorded(f: Callable[..., Any], *numbers: float) -> tuple[Recorder, Any]:
    """What is there while a function is recorded, and its result."""
    recorder = Recorder()
    given = [recorder.enter(number, f"x{i}") for i, number in enumerate(numbers)]
    return recorder, recorder.run(f, given)


def test_recorded_nodes_know_their_numbers_names_scopes_and_lines() -> None:
    w, unwatched = Value(3.0, "w"), Value.__dict__["data"]
    layer = nn.Layer(1, 1, "tanh", init=nn.init.ones(), name="part")
    seen: list[Any] = []

    def f(x: Any) -> Any:
        with autograd.scope("outer"):
            z = x * w
            again = x * w
        z.label = "z"
        line = z.line
        z.scope = "moved"
        assert (z.label, z.scope, z.line) == ("z", "moved", line)
        assert again.label == ""
        assert (z.a, z.parents, z.parents[0] is w) == (None, (w,), True)  # x is a plain number
        cut = z.detach()
        assert (cut.number, cut.is_leaf, cut.parents) == (6.0, True, ())
        seen.extend([again.scope, again.line])
        (y,) = layer([x])
        seen.extend([y.scope, y.line.partition(":")[0]])
        inside = Value(5.0)
        inside.data = 7.0  # made here, so it is made again in every replay
        return z + cut + y + inside

    recorder, result = recorded(f, 2.0)
    assert result.number == 12.0 + math.tanh(2.0) + 7.0
    assert seen[0] == "outer"
    assert re.fullmatch(r"test_compile\.py:\d+", seen[1])
    assert seen[2:] == ["part/neuron 0", "test_compile.py"]
    assert recorder.inputs[0].row.label == "x0"
    rows_ = [node.row for node in recorder.nodes if node.row.op is rows()["mul"]]
    assert len(recorder.nodes) == len({id(node) for node in recorder.nodes})
    assert all(row.line.startswith("test_compile.py:") for row in rows_)
    assert w.data == 3.0
    assert Value.__dict__["data"] is unwatched  # as it was


def test_nodes_of_one_line_and_scope_share_what_is_known_of_them() -> None:
    def f(x: Any) -> Any:
        made = [x * 2.0 for _ in range(3)]
        return made[0] + made[1] + made[2] + x * 3.0

    recorder, _ = recorded(f, 1.0)
    products = [node.row for node in recorder.nodes if node.row.op is rows()["mul"]]
    assert products[0] is products[1] is products[2]
    assert products[3] is not products[0]


def test_comparisons_leave_guards() -> None:
    def f(x: Any) -> Any:
        if x > 1.0:
            return x * 2.0
        return x * 3.0 if x else x * 4.0

    recorder, _ = recorded(f, 0.5)
    assert [(g.comparison, g.answer) for g in recorder.guards] == [(">", False), ("==", False)]
    compiled = autograd.compile(f)
    assert [compiled(x) for x in (2.0, 0.5, 0.0, -1.0)] == [4.0, 1.5, 0.0, -3.0]
    assert compiled.recorded == 3
    assert autograd.compile(lambda x: 2.0 * x if bool(x * 1.0) else x + 5.0)(0.0) == 5.0


def test_equality_and_truth_ask_for_the_number() -> None:
    w = Value(2.0)

    def f(x: Any) -> Any:
        assert x != "2.0"
        assert x is not None
        assert x == 2.0
        z = x * w
        assert z == 4.0
        assert bool(z)
        assert select([x, x * 3.0], argmax([x, 0.0])) == 2.0
        assert masked(x, 0.0, 1.0, 5.0) == 2.0
        return z

    recorder, _ = recorded(f, 2.0)
    assert [g.comparison for g in recorder.guards] == ["=="] * 5
    assert [g.answer for g in recorder.guards] == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: x * "2", "mul: expected a real number, got str"),
        (lambda x: x < "2", "a comparison: expected a real number, got str"),
        (lambda x: argmax([x, "2"]), "argmax: expected a real number, got str"),
    ],
)
def test_what_is_no_number_is_refused_in_the_operations_name(call: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        autograd.compile(call)(1.0)


def test_the_first_of_the_largest_is_found_and_of_nan_the_first_place() -> None:
    assert argmax([1.0, 3.0, 3.0]) == 1
    assert argmax([1.0, math.nan, 3.0]) == 0
    _, result = recorded(lambda x, y: argmax([0.5, x, y]), 2.0, 2.0)
    assert result.number == 1.0
    _, result = recorded(lambda x, y: argmax([0.5, x, y]), 2.0, math.nan)
    assert result.number == 0.0


@pytest.mark.parametrize(
    ("place", "value"),
    [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0), (-3.0, 1.0), (9.0, 4.0), (math.nan, 1.0)],
)
def test_a_number_chooses_the_value_at_its_place_or_nearest_to_it(
    place: float, value: float
) -> None:
    assert chosen([1.0, 2.0, 4.0], place) == value


def test_what_is_masked_has_another_number_at_one_place() -> None:
    assert [masked(3.0, i, 1.0, 7.0) for i in (0, 1, 2)] == [3.0, 7.0, 3.0]
    for k in (0, 1, 2):
        _, found = recorded(lambda i: masked(Value(3.0), i, 1.0, 7.0), k)
        assert found.number == (7.0 if k == 1 else 3.0)
        _, found = recorded(lambda i: chosen([1.0, 2.0, 4.0], i), k)
        assert found.number == [1.0, 2.0, 4.0][k]


def test_an_index_counts_as_a_whole_number() -> None:
    _, found = recorded(lambda i: [range(9)[i], i % 2, i // 2, int(i)], 5)
    assert found == [5, 1, 2, 5]


def slopes_inside(x: Any, y: Any) -> Any:
    """A sum of gradients that a function takes itself, of operations with rows of derivatives."""
    first = autograd.grad(lambda x, y: x.tanh() * y, (0, 1))(x, y)
    second = autograd.grad(lambda x, y: x.hypot(y), (0, 1))(x, y)
    return first[0] * first[1] + second[0] * second[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_derivative_inside_is_one_operation_with_its_own(engine: str, tmp_path: Any) -> None:
    f = autograd.compile(slopes_inside, engine=engine)
    for at in ((0.7, 1.3), (2.5, -0.9), (-1.5, 0.8)):
        value, slopes = f.value_and_grad(*at, argnums=(0, 1))
        wanted, exact = autograd.value_and_grad(slopes_inside, (0, 1))(*at)
        assert close(value, wanted)
        assert all(map(close, slopes, exact))
    program = f.program
    assert {"tanh_dx", "hypot_dx", "hypot_dy"} <= set(program.tape.ops)
    program.save(tmp_path / "program")
    assert Program.load(tmp_path / "program").digest == program.digest
