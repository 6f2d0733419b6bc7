"""Calls of a compiled function: keys, columns, memory, caches, sinks, plans and refusals."""

import inspect
import itertools
import math
import threading
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import Value, select
from autograd.compiled import recording
from autograd.compiled.arguments import Call
from autograd.compiled.encoded import BLOCKS
from autograd.compiled.flat import Flat, Plan
from autograd.compiled.function import Compiled
from autograd.compiled.recorder import Recorder
from autograd.compiled.recording import Recording, parameter_runs
from autograd.compiled.recordings import Options
from autograd.compiled.serving import Sink
from tests.spies import Spy

W = [Value(0.5), Value(-1.5), Value(2.0)]


def made(f: Any, *arguments: Any, **options: Any) -> Compiled:
    one: Compiled = autograd.compile(f, **{"engine": "numpy"} | options)
    if arguments:
        one(*arguments)
    return one


# ---------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("places", "start", "rows"),
    [
        ([], 4, []),
        ([0, 1, 2], 5, [[5, 0, 3]]),
        ([3, 4, 0, 7, 8], 2, [[2, 3, 2], [4, 0, 1], [5, 7, 2]]),
        ([2, 1, 0], 0, [[0, 2, 1], [1, 1, 1], [2, 0, 1]]),
        ([9], 1, [[1, 9, 1]]),
    ],
)
def test_places_are_gathered_in_runs(places: list[int], start: int, rows: list[Any]) -> None:
    found = parameter_runs(np.array(places, dtype=np.int64), start)
    assert found.tolist() == rows
    assert (found.shape, found.dtype) == ((len(rows), 3), np.int64)


def test_memory_is_for_the_smallest_block_that_holds_the_samples_and_each_threads_own() -> None:
    last = made(lambda x: W[0] * x[0] + 3.0 * x[1], [1.0, 2.0]).last
    one = Recording(last.program, last.parameters, last.form, "numpy")
    for samples, block in (
        (1, 1),
        (2, 8),
        (8, 8),
        (9, 16),
        (17, 32),
        (33, 64),
        (65, 64),
        (999, 64),
    ):
        code, memory, grad = one.memory(samples)
        assert code.block == block
        assert len(memory) == len(grad) == code.size
        assert memory[: code.shared].tolist() == [3.0, 1.0, 1.0]
        assert not memory[code.shared :].any()
        assert not grad.any()
        again = one.memory(samples)
        assert all(a is b for a, b in zip(again, (code, memory, grad), strict=True))
    there: list[Any] = []
    thread = threading.Thread(target=lambda: there.extend(one.memory(8)))
    thread.start()
    thread.join()
    here = one.memory(8)
    assert there[0] is here[0]
    assert there[1] is not here[1]
    assert BLOCKS == (1, 8, 16, 32, 64)


def test_the_key_of_a_call_is_what_a_recording_depends_on() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    whole = np.array([1, 2, 3], dtype=np.int16)
    call = Call([[0.5, Value(2.0)], rows, {"k": 3, "n": None}, True, "text", whole])
    assert call.batched is True
    assert call.key == (
        (list, ((list, (0, 0)), 0, (dict, ((str, "k", 0), (str, "n", 0))), 0, 0, 0)),
        ("number", "number", ("rows", (2,), False), "whole", ("fixed", type(None), None),
         ("fixed", bool, True), ("fixed", str, "text"), ("rows", (), True)),
    )  # fmt: skip
    assert (call.in_graph, call.values) == (True, 0b10)
    assert call.numbers.tolist() == [
        [0.5, 2.0, 1.0, 2.0, 3.0, 1.0], [0.5, 2.0, 3.0, 4.0, 3.0, 2.0],
        [0.5, 2.0, 5.0, 6.0, 3.0, 3.0],
    ]  # fmt: skip
    single = Call([np.float64(1.5), np.array(2.5), np.int64(3), (1.0,)])
    assert (single.batched, single.numbers.tolist()) == (False, [[1.5, 2.5, 3.0, 1.0]])
    assert single.key == (
        (list, (0, 0, 0, (tuple, (0,)))), ("number", "number", "whole", "number")
    )  # fmt: skip
    assert (single.in_graph, single.values) == (False, 0)
    row = call.of_row(call.numbers[1])
    assert (row.batched, row.numbers.tolist(), row.key) == (False, [[*call.numbers[1]]], call.key)
    assert (row.tree, row.values) == (call.tree, call.values)


@pytest.mark.parametrize(
    ("array", "key"),
    [
        (np.ones((3, 2)), ("rows", 2, True)),
        (np.ones((3, 2), dtype=np.float32), ("rows", 2, True)),
        (np.ones((3, 2), dtype=np.uint8), ("rows", 2, False)),
        (np.ones((3, 2), dtype=bool), ((list, (0,)), (("rows", (2,), False),))),
        (np.ones(3), ((list, (0,)), (("rows", (), False),))),
        (np.ones((3, 2, 2)), ((list, (0,)), (("rows", (2, 2), False),))),
        (np.ones((3, 2, 2), dtype=int), ((list, (0,)), (("rows", (2, 2), True),))),
    ],
)
def test_one_array_is_a_batch(array: Any, key: Any) -> None:
    call = Call([array])
    assert (call.batched, call.key) == (True, key)
    assert call.numbers.tolist() == array.reshape(3, -1).astype(float).tolist()
    assert call.numbers.dtype == np.dtype(np.float64)
    assert call.numbers.flags.c_contiguous


@pytest.mark.parametrize(
    ("args", "error", "why"),
    [
        ([np.ones(2), np.ones(3)], ValueError, "^compile: arrays of 2 and of 3 rows; a row is"),
        ([np.ones((0, 2))], ValueError, "^compile: the array has no rows$"),
        ([np.ones(0)], ValueError, "^compile: the array has no rows$"),
        ([np.array(["a"])], TypeError, "^compile: expected an array of numbers, got <U1$"),
        ([1j], TypeError, "^compile: expected a real number, got complex"),
    ],
)
def test_what_is_no_call_is_refused(args: list[Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        Call(args)


def test_arguments_enter_a_recording_as_they_are_nested() -> None:
    call = Call([np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]), {"a": 2, "b": (Value(0.5), None)},
                  "text", np.array([0.5, 1.5])])  # fmt: skip
    recorder = Recorder()
    (matrix, tree, text, number), named = call.enter(recorder, call.numbers[1])
    assert named == {}
    assert [[v.number for v in row] for row in matrix] == [[5.0, 6.0], [7.0, 8.0]]
    assert (tree["a"].number, tree["b"][0].number, tree["b"][1], text) == (2.0, 0.5, None, "text")
    assert number.number == 1.5
    assert [node.row.label for node in recorder.inputs] == [f"x{i}" for i in range(7)]
    whole = [hasattr(node, "__index__") for node in recorder.inputs]
    assert whole == [True] * 5 + [False, False]


def test_gradients_are_nested_as_their_arguments() -> None:
    rows = np.arange(4.0).reshape(2, 2)
    call = Call([[1.0, Value(2.0)], rows, {"n": None, "t": "text", "x": 3.0}])
    back = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]])
    assert call.gradient(0, back) == [11.0, 22.0]
    assert call.gradient(1, back).tolist() == [[3.0, 4.0], [30.0, 40.0]]
    assert call.gradient(2, back) == {"n": 0.0, "t": 0.0, "x": 55.0}
    with pytest.raises(TypeError, match=r"^no argument 3 to differentiate: 3 given"):
        made(lambda x, y, z: x * y * z).value_and_grad(1.0, 2.0, 3.0, argnums=3)
    column = Call([np.array([1.0, 2.0])])
    assert column.gradient(0, np.array([[7.0], [8.0]])).tolist() == [7.0, 8.0]


def test_results_that_are_kept_are_plain() -> None:
    assert recording._plain({1: (0, [1, 2])}) == {"1": [0, [1, 2]]}
    assert recording._plain(0) == 0


def test_a_sink_adds_up_what_recordings_give() -> None:
    first = made(lambda x: W[0] * x + W[1], 1.0).last
    second = made(lambda x: W[1] * x * W[2], 1.0).last
    sink = Sink()
    for one, gradients in ((first, [1.0, 2.0]), (second, [10.0, 20.0]), (first, [0.5, 0.25])):
        sink.collect(one, np.array(gradients))
    assert sink.total() == {W[0]: 1.5, W[1]: 12.25, W[2]: 20.0}
    numbers, where, gradients = sink.arrays(second)
    assert (numbers.tolist(), len(gradients)) == ([-1.5, 2.0], 2)
    assert where is second.own_runs
    flat = Flat(made(lambda x: W[0] * x), [W[2], W[1], W[0]])
    other = Sink(flat)
    numbers, where, gradients = other.arrays(second)
    assert numbers is flat.numbers
    assert (where.tolist(), len(gradients)) == ([[0, 1, 1], [1, 0, 1]], 3)
    other.collect(first, np.array([1.0, 2.0, 3.0]))
    other.collect(second, np.array([10.0, 20.0, 30.0]))
    assert other.sum.tolist() == [11.0, 22.0, 33.0]


# ---------------------------------------------------------------------- recordings


def test_a_compiled_function_has_the_name_and_text_of_its_function() -> None:
    def named(x: Any) -> Any:
        """What it does."""
        return [x * 2.0] if x > 0 else [x]

    one = made(named)
    assert (one.__name__, one.__doc__) == ("named", "What it does.")
    assert repr(one) == "compiled named: 0 recording(s) of 0 shape(s)"
    with pytest.raises(RuntimeError, match=r"^named: nothing is recorded before the first call$"):
        _ = one.last
    one(1.0)
    one(-1.0)
    one(2)
    assert repr(one) == "compiled named: 3 recording(s) of 2 shape(s)"
    assert (one.recorded, len(one.recordings)) == (3, 3)

    with pytest.raises(TypeError, match=r"^named\(x: .*unexpected keyword argument 'y'"):
        one(1.0, y=2.0)

    class Anonymous:
        def __call__(self, x: Any) -> Any:
            return x

    assert made(Anonymous()).__name__ == "compiled"
    one.clear()
    assert (one.recordings, one.recorded) == ([], 3)
    one(1.0)
    assert one.recorded == 4


def test_the_oldest_recordings_of_the_oldest_shape_are_forgotten_first() -> None:
    def f(x: Any, *rest: Any) -> Any:
        return x * 2.0 if x > 2 else x * 3.0 if x > 1 else x

    one = made(f, cache=4)
    for x in (0.0, 1.5, 2.5):
        one(x)
    first, second, third = reversed(one.recordings)
    one(0.0, 1.0)
    assert len(one.recordings) == 4
    one(1.5)  # its shape is the last that was used now
    assert [len(found) for found in one._recordings.cache.entries.values()] == [1, 3]
    one(0.0, 1.0, 2.0)
    assert [len(found) for found in one._recordings.cache.entries.values()] == [3, 1]
    assert one.recordings[:3] == [third, second, first] or first in one.recordings
    one(1.5, 1.0, 2.0)
    assert [len(found) for found in one._recordings.cache.entries.values()] == [2, 2]
    assert first not in one.recordings  # what was recorded first
    one(2.5, 1.0, 2.0)
    one(0.0, 1.0)
    assert [len(found) for found in one._recordings.cache.entries.values()] == [3, 1]
    single = made(f, cache=1)
    for x in (0.0, 1.5, 2.5):
        single(x)
        assert len(single.recordings) == 1
    assert single.recorded == 3


def test_the_parameters_are_those_of_all_programs_that_ran() -> None:
    one = made(lambda x: W[0] * x if x > 0 else W[1] * x * W[2] if x < -1 else x)
    one(1.0)
    assert one.parameters == [W[0]]
    one(np.array([-2.0, 0.0, 1.0, -3.0]))
    assert [p.data for p in one.parameters] == [-1.5, 2.0, 0.5]
    assert one.last.parameters == [W[0]]
    assert one.program is one.last.program
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append((one.last, one(-2.0), one.parameters)))
    thread.start()
    thread.join()
    assert found[0][0].parameters == [W[0]]
    assert [p.data for p in found[0][2]] == [-1.5, 2.0]
    assert one.last.parameters == [W[0]]  # this thread's own call was another


def test_each_row_goes_to_the_recording_that_is_good_for_it() -> None:
    spy = Spy()
    calls = spy.things

    def f(x: Any) -> Any:
        spy.things.append(x.number)
        return W[0] * x if x > 2 else W[1] * x * x if x > 1 else W[2] * x

    one = made(f)
    x = np.array([3.0, 1.5, 0.5, 2.5, 1.25, 0.25])
    want = [0.5 * 3.0, -1.5 * 2.25, 2.0 * 0.5, 0.5 * 2.5, -1.5 * 1.5625, 2.0 * 0.25]
    assert one(x).tolist() == want
    assert calls == [3.0, 1.5, 0.5]
    assert one(x[::-1].copy()).tolist() == want[::-1]
    assert calls == [3.0, 1.5, 0.5]
    value, slopes = one.value_and_grad(x)
    assert value.tolist() == want
    assert slopes.tolist() == [0.5, -4.5, 2.0, 0.5, -3.75, 2.0]
    value, gradient = one.parameter_gradients(x)
    by_parameter = dict(zip(one.parameters, gradient.tolist(), strict=True))
    assert by_parameter == {W[0]: 5.5, W[1]: 2.25 + 1.5625, W[2]: 0.75}
    total = one.backward(x)
    assert total.tolist() == want
    assert [w.grad for w in W] == [5.5, 3.8125, 0.75]
    one.backward(x)
    assert [w.grad for w in W] == [11.0, 7.625, 1.5]
    for w in W:
        w.grad = 0.0
    rows = one.per_sample_gradients(x)
    order = [W.index(p) for p in one.parameters]
    expected = np.zeros((6, 3))
    for k, (place, slope) in enumerate(
        [(0, 3.0), (1, 2.25), (2, 0.5), (0, 2.5), (1, 1.5625), (2, 0.25)]
    ):
        expected[k, place] = slope
    assert rows.tolist() == expected[:, order].tolist()


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize(("reduction", "factor"), [(None, None), ("sum", 1.0), ("mean", 1.0 / 3.0)])
def test_rows_are_kept_summed_or_averaged(
    engine: str, reduction: str | None, factor: float | None
) -> None:
    one = made(lambda x: [W[0] * x * x, x], engine=engine, reduction=reduction)
    x = np.array([1.0, 2.0, 4.0])
    first, second = one(x)
    if factor is None:
        assert (first.tolist(), second.tolist()) == ([0.5, 2.0, 8.0], [1.0, 2.0, 4.0])
    else:
        assert (first, second) == (pytest.approx(10.5 * factor), pytest.approx(7.0 * factor))
    with pytest.raises(TypeError, match="must return one number to be differentiated"):
        one.backward(x)
    loss = made(lambda x: W[0] * x * x, engine=engine, reduction=reduction)
    value, slopes = loss.value_and_grad(x)
    scale = 1.0 if factor is None else factor
    assert slopes == pytest.approx(x * scale)
    assert np.sum(value) == pytest.approx(10.5 * scale)
    assert loss.parameter_gradients(x)[1] == pytest.approx([21.0 * scale])
    assert loss(2.0) == 2.0  # one sample has nothing to be reduced
    assert loss.value_and_grad(2.0) == (2.0, 2.0)
    assert loss.hvp([3.0], x) == pytest.approx([0.0])
    cube = made(lambda x: W[0] * W[0] * W[0] * x, engine=engine, reduction=reduction)
    assert cube.hvp([2.0], x) == pytest.approx([6.0 * 0.5 * 2.0 * 7.0 * scale])


@pytest.mark.parametrize("exact", [False, True])
def test_the_number_of_threads_changes_no_bit(exact: bool) -> None:
    x = np.linspace(-1.0, 1.0, 200)
    one, other = (
        made(lambda x: (W[0] * x + W[1]).tanh(), threads=threads, exact=exact) for threads in (1, 2)
    )
    assert one(x).tolist() == other(x).tolist()
    assert one.parameter_gradients(x)[1].tolist() == other.parameter_gradients(x)[1].tolist()
    assert one.value_and_grad(x)[1].tolist() == other.value_and_grad(x)[1].tolist()


def test_several_arguments_can_be_differentiated_in() -> None:
    one = made(lambda x, y: x * y[0] + W[0] * y[1])
    assert one.value_and_grad(2.0, [3.0, 4.0]) == (8.0, 3.0)
    assert one.value_and_grad(2.0, [3.0, 4.0], argnums=1) == (8.0, [2.0, 0.5])
    assert one.value_and_grad(2.0, [3.0, 4.0], argnums=(1, 0)) == (8.0, ([2.0, 0.5], 3.0))
    assert one.value_and_grad(2.0, [3.0, 4.0], argnums=(0,)) == (8.0, (3.0,))
    assert one.claims([2.0, [3.0, 4.0]], [W[0], W[1]]) == [3.0, 2.0, 0.5, 4.0, 0.0]


def test_inf_and_nan_are_decided_by_the_eager_order() -> None:
    one = made(lambda x: (x.log() + W[0]) * x, 1.0)
    x = np.array([1.0, 0.0, 2.0])
    found = one(x)
    assert found[0] == 0.5
    assert math.isnan(found[1])
    slopes = one.value_and_grad(x)[1].tolist()
    assert slopes[::2] == pytest.approx([1.5, math.log(2.0) + 1.5])
    assert math.isnan(slopes[1])


# ---------------------------------------------------------------------- flat


def test_places_of_parameters_are_a_slice_or_a_list_and_found_once() -> None:
    flat = Flat(made(lambda x: W[0] * x), W)
    line, scattered, one = [W[0], W[1]], [W[2], W[0]], [W[2]]
    assert flat.places(line) == slice(0, 2)
    assert flat.places(scattered) == [2, 0]
    assert flat.places(one) == slice(2, 3)
    assert flat.places(scattered) is flat.places(scattered)
    assert flat.places([W[1], W[2]]) == slice(1, 3)


def test_numbers_and_gradients_go_to_the_values_and_come_back() -> None:
    w = [Value(1.0), Value(2.0)]
    flat = Flat(made(lambda x: w[0] * x + w[1] * x * x), w)
    flat.numbers[:] = [3.0, 4.0]
    assert flat(2.0) == 22.0
    assert flat.backward(2.0) == 22.0
    assert flat.gradients.tolist() == [2.0, 4.0]
    assert (w[0].data, w[0].grad) == (3.0, 0.0)  # it was recorded with these numbers
    flat.write()
    assert [(p.data, p.grad) for p in w] == [(3.0, 2.0), (4.0, 4.0)]
    w[1].data = 9.0
    flat.read()
    assert flat.numbers.tolist() == [3.0, 9.0]
    with flat as same:
        assert same is flat
        flat.numbers += 1.0
    assert [p.data for p in w] == [4.0, 10.0]
    with pytest.raises(ValueError, match=r"^flat: the function also depends on Value.*, which is"):
        Flat(made(lambda x: w[0] * x + w[1]), w[:1]).backward(1.0)


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize(("reduction", "factor"), [(None, None), ("sum", 1.0), ("mean", 1.0 / 3.0)])
def test_a_call_of_arrays_that_was_made_before_needs_only_its_numbers(
    engine: str, reduction: str | None, factor: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = Value(2.0)
    one = made(lambda x, y: w * x[0] * x[1] + y, engine=engine, reduction=reduction)
    flat = Flat(one, [w])
    x, y = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1.0, 2.0, 3.0])
    slope = (2.0 + 12.0 + 30.0) * (1.0 if factor is None else factor)
    for k in range(3):
        if k == 2:
            monkeypatch.setattr(one, "_serve", None)  # the plan does all
            y = y + 1.0
        found = flat.backward(x, y)
        want = np.array([4.0, 24.0, 60.0]) + y
        if factor is None:
            assert found.tolist() == want.tolist()
        else:
            assert found == pytest.approx(want.sum() * factor)
            assert type(found) is float
        assert flat.gradients == pytest.approx([slope])
        assert len(flat._plans) == 1
        assert one.last is one.recordings[0]
    (key,) = flat._plans
    assert key == (threading.get_ident(), one.state(), ((3, 2), x.dtype), ((3,), y.dtype))


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("unused", [1, 2, 20])
def test_a_parameter_that_the_function_does_not_use_has_gradient_0(
    engine: str, unused: int
) -> None:
    used = [Value(2.0 + k) for k in range(unused)]
    both = [w for pair in zip(used, [Value(1.0)] * unused, strict=True) for w in pair]
    flat = Flat(made(lambda x: sum(w * x for w in used), engine=engine, reduction="sum"), both)
    for _ in range(4):
        flat.backward(np.array([3.0, 4.0]))
        assert flat.gradients.tolist() == [7.0, 0.0] * unused
        flat.gradients += 1.0


@pytest.mark.parametrize("exact", [False, True])
def test_sums_over_branches_do_not_depend_on_which_was_recorded_first(exact: bool) -> None:
    def f(x: list[Value]) -> Value:
        if x[0] > 0.3:
            return (W[0] * x[0] + W[1]).tanh()
        if x[0] > -0.3:
            return (W[0] * x[0] * x[1] + W[1]).exp()
        return W[0] * x[1] / 3.0 + W[1]

    x = np.random.default_rng(0).normal(size=(40, 2))
    found = []
    for first in itertools.permutations([[1.0, 0.5], [0.0, 0.5], [-1.0, 0.5]]):
        one = made(f, exact=exact, reduction="mean")
        one(np.array(first))
        value, gradient = one.parameter_gradients(x)
        found.append((value, one.value_and_grad(x)[1].tolist(), gradient.tolist(), one.parameters))
    assert all(one == found[0] for one in found)


def test_what_a_plan_cannot_serve_is_run_as_any_call() -> None:
    w = Value(2.0)
    x = np.array([1.0, 2.0])
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True), ({"threads": 2}, True), ({"exact": True}, False), ({"verify": 5}, False),
    ]  # fmt: skip
    for options, served in cases:
        one = made(lambda x, *k: w * x, **options)
        one(x)
        assert Plan.serves(one, Call([x]), one.last) is served
        assert Plan.serves(one, Call([x, 1.0]), one.last) is False
        flat = Flat(one, [w])
        for _ in range(2):
            assert flat.backward(x).tolist() == [2.0, 4.0]
            assert flat.backward(x, 1.0).tolist() == [2.0, 4.0]
            assert flat.backward(1.0) == 2.0
        assert len(flat._plans) == served
    branching = made(lambda x: w * x if x > 0 else w * w * x)
    flat = Flat(branching, [w])
    assert flat.backward(np.array([1.0, 3.0])).tolist() == [2.0, 6.0]
    assert flat.backward(np.array([1.0, -3.0])).tolist() == [2.0, -12.0]
    assert flat.gradients.tolist() == [1.0 - 12.0]
    assert flat.backward(np.array([2.0, 3.0])).tolist() == [4.0, 6.0]
    assert flat.gradients.tolist() == [5.0]


def test_a_flat_serves_a_choice_of_rows() -> None:
    table = [[Value(float(10 * i + j)) for j in range(2)] for i in range(3)]
    leaves = [v for row in table for v in row]
    one = made(lambda i: sum(select(table, i), 0.0), reduction="sum")
    flat = Flat(one, leaves)
    assert flat.backward(np.array([0, 2, 2])) == 1.0 + 41.0 + 41.0
    assert flat.gradients.tolist() == [1.0, 1.0, 0.0, 0.0, 2.0, 2.0]
    assert one.recorded == 1


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"function": 3}, TypeError, "^compile: expected a function, got int$"),
        ({"reduction": "max"}, ValueError,
         "^compile: reduction must be 'mean', 'sum' or None, got 'max'$"),
        ({"threads": 0}, ValueError,
         "^compile: threads must be a whole number of at least 1, got 0$"),
        ({"cache": 0}, ValueError,
         "^compile: cache must be a whole number of at least 1, got 0$"),
        ({"verify": -1}, ValueError,
         "^compile: verify must be a whole number of at least 0, got -1$"),
        ({"engine": "jax"}, ValueError,
         "^compile: engine must be 'auto', 'native' or 'numpy', got 'jax'$"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_is_refused(
    options: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        autograd.compile(**{"function": lambda x: x, **options})


def test_the_defaults_are_those_of_the_signature() -> None:
    found = {
        name: p.default
        for name, p in inspect.signature(autograd.compile).parameters.items()
        if name != "function"
    }
    assert found == {
        "engine": "auto", "exact": False, "reduction": None, "threads": None, "cache": 64,
        "verify": 0, "dtype": "float64",
    }  # fmt: skip
    one = autograd.compile(lambda x: x, engine="numpy", exact=True, threads=3, cache=5)
    assert one.options == Options("numpy", True, None, 3, 5)


@pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]]])
def test_a_vector_of_another_length_than_the_parameters_is_refused(vector: Any) -> None:
    one = made(lambda x: W[0] * W[1] * x, 1.0)
    shape = np.shape(vector)
    with pytest.raises(ValueError, match=r"^hvp: expected 2 numbers, got a shape of \(") as caught:
        one.hvp(vector, 1.0)
    assert str(caught.value).endswith(str(shape))
    assert one.hvp([1.0, 2.0], 3.0).tolist() == [6.0, 3.0]


def test_an_array_without_dimensions_is_a_number_of_its_type() -> None:
    one = made(lambda x, i: x * select([2.0, 3.0, 5.0], i))
    assert one(np.array(2.5), np.array(2)) == 12.5
    assert one.value_and_grad(np.array(2.5), 1) == (7.5, 3.0)
    assert one.recorded == 1


def test_a_call_is_another_for_another_nesting() -> None:
    keys = [Call([one]).key for one in ({"a": [1.0]}, {"a": 1.0}, {"b": 1.0}, [1.0], (1.0,), 1.0)]
    assert len(set(keys)) == 6


def test_an_exact_replay_finds_its_parameters_wherever_they_are_in_the_arrays() -> None:
    w = [Value(1.0 + i) for i in range(5)]
    one = made(lambda x: (w[1] * x + 3.0) * w[3] + w[4] * 7.0 - w[0], exact=True)
    flat = Flat(one, w[::-1])
    assert flat.backward(2.0) == 7.0 * 4.0 + 35.0 - 1.0
    by_value = dict(zip(flat.parameters, flat.gradients.tolist(), strict=True))
    assert [by_value[p] for p in w] == [-1.0, 8.0, 0.0, 7.0, 7.0]
    flat.numbers[:] = [0.5, 1.0, 2.0, 3.0, 4.0]  # of the last first
    assert flat.backward(2.0) == (3.0 * 2.0 + 3.0) * 1.0 + 0.5 * 7.0 - 4.0
    batch = flat.backward(np.array([2.0, 0.0]))
    assert batch.tolist() == [9.0 + 3.5 - 4.0, 3.0 + 3.5 - 4.0]


@pytest.mark.parametrize("reduction", [None, "sum"])
def test_a_result_in_a_list_stays_in_one_and_three_arrays_are_kept_apart(
    reduction: str | None,
) -> None:
    w = Value(2.0)
    one = made(lambda x, y, z: [w * x[0] + x[1] * y + z[0] * z[1]], reduction=reduction)
    flat = Flat(one, [w])
    x, y, z = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0]), np.array([[7.0, 8.0]] * 2)
    want = [2.0 + 10.0 + 56.0, 6.0 + 24.0 + 56.0]
    for _ in range(3):
        (found,) = flat.backward(x, y, z)
        assert np.sum(found) == sum(want)
        if reduction is None:
            assert found.tolist() == want
    assert len(flat._plans) == 1


def test_what_is_found_once_is_kept() -> None:
    one = made(lambda x: W[0] * W[1] * x, 1.0)
    name = ("hvp", (), ())
    assert one._derive(one.last, name) is one._derive(one.last, name)
    flat = Flat(one, W)
    assert flat.where(one.last) is flat.where(one.last)
    one.hvp([1.0, 1.0], 1.0)
    assert name in one.last.derived
