"""What a Value is and does beyond its row: the graph, backward, modes, hooks, refusals."""

import asyncio
import copy
import functools
import gc
import math
import os
import pickle
import sys
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import autograd
from autograd import (
    NonFiniteError,
    NonFiniteWarning,
    Value,
    detect_anomaly,
    exp,
    no_grad,
    scope,
    topological,
)
from autograd.blame import first_nonfinite
from autograd.ops import Ops
from autograd.value import accumulate, restorer
from tests.processes import printed

MILLION = 1_000_000


# ------------------------------------------------------------------ right where others are wrong


def test_two_losses_that_share_a_node_add_up() -> None:
    a = Value(3.0)
    shared = a * a
    (shared * 2.0).backward()
    (shared * 3.0).backward()
    assert a.grad == 30.0  # engines that keep inner gradients between passes say 42


def test_backward_twice_with_the_leaf_zeroed_between() -> None:
    a = Value(3.0)
    loss = a * a * a
    loss.backward()
    a.zero_grad()
    loss.backward()
    assert a.grad == 27.0  # not 45


def test_a_leaf_changed_after_the_forward_pass_does_not_falsify_backward() -> None:
    a = Value(3.0)
    loss = a * a
    a.data = 10.0
    loss.backward()
    assert a.grad == 6.0


def test_an_operand_used_twice_counts_twice() -> None:
    a = Value(3.0)
    (a + a).backward()
    assert a.grad == 2.0
    b = Value(3.0)
    (b * b).backward()
    assert b.grad == 6.0


def test_two_to_the_sixty_paths_are_counted_exactly_and_at_once() -> None:
    x = Value(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_leaves_accumulate_and_inner_nodes_hold_the_last_pass() -> None:
    a = Value(2.0)
    b = a * 3.0
    loss = b * b
    loss.backward()
    loss.backward()
    assert (a.grad, b.grad) == (72.0, 12.0)


def test_a_seed_scales_the_gradient_and_a_leaf_can_be_the_root() -> None:
    a = Value(2.0)
    (a * 5.0).backward(seed=3.0)
    assert a.grad == 15.0
    a.backward()
    assert a.grad == 16.0


def chain(length: int) -> tuple[Value, Value]:
    first = last = Value(1.0)
    for _ in range(length):
        last = last + 1e-9
    return first, last


@pytest.mark.slow
@pytest.mark.untraced
def test_a_million_operations_deep_nothing_touches_the_recursion_limit() -> None:
    limit = sys.getrecursionlimit()
    first, last = chain(MILLION)
    last.backward()
    assert first.grad == 1.0
    assert len(topological(last)) == MILLION + 1
    for refused in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="detach"):
            refused(last)
    assert "Value(data=1.0" in repr(last)
    del last  # freed without recursion
    assert sys.getrecursionlimit() == limit


def test_a_dropped_graph_is_freed_without_the_cycle_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            a = Value(2.0, "a")
            with scope("s"):
                loss = ((a * a).tanh() + exp(a) / 3.0).relu()
            remove = loss.register_hook(lambda g: None)
            loss.backward()
            remove()
            del loss, a, remove
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert gc.collect() == 0
    finally:
        gc.enable()


class Interrupted(BaseException):
    pass


def test_a_hook_that_raises_leaves_every_gradient_as_it_was() -> None:
    a, b = Value(2.0), Value(3.0)
    inner = a * b
    loss = inner * a
    loss.backward()
    before = [node.grad for node in topological(loss)]

    def stop(grad: float) -> float:
        raise Interrupted

    a_hook = inner.register_hook(stop)
    with pytest.raises(Interrupted):
        loss.backward()
    assert [node.grad for node in topological(loss)] == before
    a_hook()
    loss.backward()
    assert a.grad == 2 * before[0]


# ------------------------------------------------------------------ what goes in


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("2.0", "Value(float(text))"),
        (b"2", "Value(float(text))"),
        (1 + 2j, "real"),
        ([1.0], "one Value per number"),
        ((1.0,), "one Value per number"),
        ({"a": 1.0}, "one Value per number"),
        (None, "real number"),
        (Value(1.0), "detach"),
    ],
)
def test_the_wrong_kind_of_number_is_refused_with_advice(wrong: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=type(wrong).__name__) as refused:
        Value(wrong)
    assert advice in str(refused.value)
    if not isinstance(wrong, Value):
        uses: list[Callable[[Any], Any]]
        uses = [lambda v: v + wrong, lambda v: wrong * v, lambda v: v.maximum(wrong)]
        for use in uses:
            with pytest.raises(TypeError):
                use(Value(1.0))
        with pytest.raises(TypeError):
            exp(wrong)


def test_arrays_are_refused_with_advice_and_never_make_object_arrays() -> None:
    np = pytest.importorskip("numpy")
    for use in (lambda: Value(np.ones(2)), lambda: np.ones(2) * Value(1.0)):
        with pytest.raises(TypeError, match="tolist"):
            use()
    assert (np.float32(2.0) * Value(3.0)).data == 6.0
    assert Value(np.int64(3)).data == 3.0
    assert type(Value(np.float64(3)).data) is float


def test_integers_booleans_and_fractions_become_floats() -> None:
    from fractions import Fraction

    for given, stored in ((2, 2.0), (True, 1.0), (Fraction(1, 4), 0.25)):
        made = Value(given)  # type: ignore[arg-type]
        assert type(made.data) is float
        assert made.data == stored
    with pytest.raises(ValueError, match="too large"):
        Value(10**400)


def test_labels_must_be_text() -> None:
    with pytest.raises(TypeError, match="label"):
        Value(1.0, 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="label"):
        Value(1.0).label = 3  # type: ignore[assignment]


def test_a_label_can_be_given_later_to_one_node_of_many() -> None:
    a = Value(1.0)
    b, c = a + 1.0, a + 1.0
    b.label = "b"
    assert (a.label, b.label, c.label) == ("", "b", "")
    assert b.op is c.op
    b.backward()
    assert a.grad == 1.0


# ------------------------------------------------------------------ what comes out


def test_a_node_tells_its_operation_operands_and_local_derivatives() -> None:
    w, x = Value(2.0, "w"), Value(-1.0, "x")
    z = w * x
    assert (z.op.name if z.op else "") == "mul"
    assert z.parents == (w, x)
    assert (z.x, z.y, z.dx, z.dy) == (2.0, -1.0, -1.0, 2.0)
    assert w.op is None
    assert w.is_leaf
    assert not z.is_leaf
    with pytest.raises(AttributeError, match="leaf has no dx"):
        _ = w.dx
    with pytest.raises(AttributeError, match="exp has no dy"):
        _ = exp(w).dy


def test_comparisons_and_equality_are_by_value_and_hashing_is_by_identity() -> None:
    one, two, again = Value(1.0), Value(2.0), Value(1.0)
    assert one < two
    assert two > 1
    assert one <= again
    assert one >= 1.0
    assert one > 0
    assert one == again
    assert one != two
    assert len({one, two, again}) == 3
    assert max(one, two) is two
    assert min([two, one]) is one
    assert sum([one, two]) == 3.0
    assert abs(Value(-2.0)).data == 2.0
    assert f"{Value(2.5):.1f}" == "2.5"
    with pytest.raises(TypeError, match="str"):
        _ = one < "2"  # type: ignore[operator]


def test_detach_cuts_the_graph_and_keeps_the_number() -> None:
    a = Value(3.0, "a")
    b = (a * a).detach()
    assert b.is_leaf
    (b * a).backward()
    assert a.grad == 9.0


def test_leaves_can_be_copied_and_pickled() -> None:
    a = Value(3.0, "a")
    (a * 2.0).backward()
    for again in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        assert again is not a
        assert (again.data, again.label, again.grad) == (3.0, "a", 2.0)


def test_zero_grad_of_a_result_zeroes_all_its_leaves() -> None:
    a, b = Value(1.0), Value(2.0)
    loss = a * b
    loss.backward()
    loss.zero_grad()
    assert (a.grad, b.grad) == (0.0, 0.0)


# ------------------------------------------------------------------ modes


def test_no_grad_records_nothing_as_context_and_as_decorator() -> None:
    a = Value(2.0)
    with no_grad():
        assert len((a * a).parents) == 0
        with autograd.recording():
            assert list((a * a).parents) == [a, a]

    @no_grad()
    def square(v: Value) -> Value:
        return v * v

    assert square(a).is_leaf
    assert list((a * a).parents) == [a, a]


def test_no_grad_refuses_functions_that_suspend() -> None:
    def steps() -> Any:
        yield Value(1.0) * 2.0

    async def wait() -> None: ...

    for suspends in (steps, wait):
        with pytest.raises(TypeError, match="is a generator or coroutine"):
            no_grad()(suspends)


def test_modes_belong_to_one_thread_and_one_task() -> None:
    a = Value(2.0)
    seen: list[int] = []

    def other_thread() -> None:
        seen.append(len((a * a).parents))

    with no_grad():
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
    assert seen == [2]

    async def quiet(entered: asyncio.Event, leave: asyncio.Event) -> int:
        with no_grad():
            entered.set()
            await leave.wait()
            return len((a * a).parents)

    async def both() -> tuple[int, int]:
        entered, leave = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(quiet(entered, leave))
        await entered.wait()
        outside = len((a * a).parents)
        leave.set()
        return outside, await task

    assert asyncio.run(both()) == (2, 0)


def test_scopes_nest_and_mark_leaves_and_results() -> None:
    with scope("layer 1"):
        w = Value(1.0, "w")
        with scope("neuron 0"):
            z = w * 2.0
    assert (w.scope, z.scope, (z * 2.0).scope) == ("layer 1", "layer 1/neuron 0", "")
    for wrong in ("", "a/b", 3):
        with pytest.raises(ValueError, match="scope"):
            scope(wrong)  # type: ignore[arg-type]


# ------------------------------------------------------------------ hooks


def test_a_hook_sees_the_finished_gradient_and_can_replace_it() -> None:
    a = Value(3.0)
    b = a * 2.0
    seen: list[float] = []
    remove = b.register_hook(seen.append)
    (b * b + b).backward()
    assert seen == [13.0]
    assert a.grad == 26.0
    remove()
    a.zero_grad()
    b.register_hook(lambda g: 1.0)
    (b * b + b).backward()
    assert a.grad == 2.0
    assert seen == [13.0]


def test_a_hook_on_a_leaf_sees_what_this_pass_adds() -> None:
    a = Value(3.0)
    seen: list[float] = []
    a.register_hook(seen.append)
    loss = a * a
    loss.backward()
    loss.backward()
    assert seen == [6.0, 6.0]
    assert a.grad == 12.0


def test_a_hook_must_be_a_function_and_return_a_number() -> None:
    a = Value(1.0)
    with pytest.raises(TypeError, match="hook"):
        a.register_hook(3)  # type: ignore[arg-type]
    a.register_hook(lambda g: "x")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="hook"):
        (a * 1.0).backward()
    assert a.grad == 0.0


# ------------------------------------------------------------------ inf and nan


def test_backward_warns_and_names_the_first_bad_node() -> None:
    p = Value(0.0, "p")
    q = p.log()
    with pytest.warns(NonFiniteWarning, match=r"log\(x\) = -inf at x = 0.0 \('p'\)"):
        (q * 2.0).backward()


def test_backward_warns_when_only_a_gradient_is_not_finite() -> None:
    p = Value(0.0, "p")
    with pytest.warns(NonFiniteWarning, match=r"dz/dx is 1.0 \* inf in sqrt\(x\) = 0.0"):
        p.sqrt().backward()
    assert p.grad == math.inf


def test_a_bad_leaf_is_named() -> None:
    with pytest.warns(NonFiniteWarning, match="the leaf 'w' is nan"):
        (Value(math.nan, "w") * 2.0).backward()


def test_a_nan_result_has_nan_gradients_whatever_the_formula_says() -> None:
    p = Value(-1.0)
    with pytest.warns(NonFiniteWarning):
        p.log().backward()
    assert math.isnan(p.grad)


def test_a_zero_adjoint_cannot_make_nan_out_of_a_branch_not_taken() -> None:
    p = Value(0.0)
    (p.log().relu() + p).backward()
    assert p.grad == 1.0


def test_detect_anomaly_names_operation_operands_label_and_the_users_line() -> None:
    p = Value(-1.0, "probability")
    with detect_anomaly():
        fine = (p * 2.0).exp()
        with pytest.raises(NonFiniteError) as bad:
            _ = fine + p.log()
    text = str(bad.value)
    assert "log(x) = nan at x = -1.0 ('probability')" in text
    assert "test_value.py:" in text


def test_detect_anomaly_covers_backward_and_no_grad() -> None:
    p = Value(0.0)
    with detect_anomaly():
        root = p.sqrt()
        with pytest.raises(NonFiniteError, match="sqrt"):
            root.backward()
        assert p.grad == 0.0
        with no_grad(), pytest.raises(NonFiniteError, match=r"div\(x, y\) = inf"):
            _ = 1.0 / p


@pytest.mark.untraced
def test_the_same_script_gives_the_same_bits_in_every_process() -> None:
    script = (
        "import random; from autograd import Value\n"
        "r = random.Random(1); v = [Value(r.random()) for _ in range(20)]\n"
        "for _ in range(200):\n"
        "    v.append(r.choice(v) * r.choice(v) + r.choice(v).sin())\n"
        "v[-1].backward(); print([x.grad.hex() for x in v[:20]])"
    )
    assert printed(script) == printed(script)


def test_every_operation_is_a_function_of_the_package_and_unknown_names_are_not() -> None:
    assert set(autograd.rows()) <= set(dir(autograd))
    with pytest.raises(AttributeError, match="no attribute 'tanhh'; did you mean 'tanh'"):
        _ = autograd.tanhh
    for name in autograd.__all__:
        assert hasattr(autograd, name)


def test_quiet_gc_puts_the_collector_back_as_it_was() -> None:
    def fail() -> None:
        with autograd.quiet_gc():
            assert not gc.isenabled()
            with autograd.quiet_gc():
                pass
            assert not gc.isenabled()
            raise Interrupted

    assert gc.isenabled()
    with pytest.raises(Interrupted):
        fail()
    assert gc.isenabled()


def test_an_operation_is_the_same_object_in_every_copy() -> None:
    tanh = autograd.rows()["tanh"]
    for again in (copy.deepcopy([tanh])[0], pickle.loads(pickle.dumps(tanh)), copy.copy(tanh)):
        assert again is tanh
    stranger = pickle.dumps(tanh).replace(b"\x04tanh", b"\x04tanx")
    with pytest.raises(ValueError, match="no operation 'tanx'"):
        pickle.loads(stranger)


def test_comparisons_are_those_of_the_numbers_on_both_sides_of_a_tie() -> None:
    for x in (1.0, 2.0, 3.0):
        for other in (Value(2.0), 2.0):
            found = Value(x) < other, Value(x) <= other, Value(x) > other, Value(x) >= other
            assert found == (x < 2.0, x <= 2.0, x > 2.0, x >= 2.0)
    assert Value(2.0, "w").detach().label == "w"


A, B = "x = 1.0 ('a')", "y = 1e-200 ('b')"


@pytest.mark.parametrize(
    ("root", "text"),
    [
        (lambda a, b: (a / 0.0) * b, "div(x, y) = inf at x = 1.0 ('a'), y = 0.0"),
        (lambda a, b: (1.0 / (b - b)) + a, "div(x, y) = inf at x = 1.0, y = 0.0"),
        (lambda a, b: Value(math.inf, "c") * a, "the leaf 'c' is inf"),
        (lambda a, b: Value(math.inf) * a, "the leaf is inf"),
        (lambda a, b: (b - b).sqrt(), "dL/dz * dz/dx is 1.0 * inf in sqrt(x) = 0.0 at x = 0.0"),
        (lambda a, b: a / b, f"dL/dz * dz/dy is 1.0 * -inf in div(x, y) = 1e+200 at {A}, {B}"),
        (
            lambda a, b: 2.0 / b,
            f"dL/dz * dz/dy is 1.0 * -inf in div(x, y) = 2e+200 at x = 2.0, {B}",
        ),
    ],
)
def test_the_warning_names_the_first_operation_at_fault(root: Any, text: str) -> None:
    a, b = Value(1.0, "a"), Value(1e-200, "b")
    made = root(a, b)
    with pytest.warns(NonFiniteWarning) as caught:
        made.backward()
    assert [str(warning.message) for warning in caught] == [f"backward: {text}"]


def test_a_product_that_overflows_is_named_with_both_factors() -> None:
    x = Value(1e-200, "x")
    with pytest.warns(NonFiniteWarning) as caught:
        ((x * 1e200) * 1e200).backward()
    factors = "dL/dz * dz/dx is 1e+200 * 1e+200 in mul(x, y) = 1.0 at x = 1e-200 ('x'), y = 1e+200"
    assert str(caught[0].message) == f"backward: {factors}"


# ------------------------------------------------------------------ what a node says


PREFIXES: list[tuple[Callable[[], object], str]] = [
    (lambda: Value("1"), "Value: expected a real number"),  # type: ignore[arg-type]
    (lambda: Value(1.0).backward("1"), "backward's seed: expected a real number"),  # type: ignore[arg-type]
    (lambda: Value(1.0) < "1", "a comparison: expected a real number"),  # type: ignore[operator]
    (lambda: Value(1.0) + "1", "add: expected a real number"),  # type: ignore[arg-type]
    (lambda: _hooked("1"), "a hook's result: expected a real number"),
]


def _hooked(result: Any) -> None:
    x = Value(1.0)
    x.register_hook(lambda g: result)
    (x * 2.0).backward()


@pytest.mark.parametrize(("call", "text"), PREFIXES, ids=[text for _, text in PREFIXES])
def test_a_refusal_begins_with_where_it_happened(call: Callable[[], object], text: str) -> None:
    with pytest.raises(TypeError, match=f"^{text}"):
        call()


@pytest.mark.parametrize("order", ["__lt__", "__le__", "__gt__", "__ge__"])
def test_a_comparison_with_another_carrier_is_left_to_it(order: str) -> None:
    class Other(Ops):
        """Numbers of somebody else's."""

    assert getattr(Value(1.0), order)(Other()) is NotImplemented


def test_an_operation_on_a_value_and_another_carrier_is_left_to_the_carrier() -> None:
    class Other(Ops):
        """Numbers of somebody else's."""

        def apply(self, op: Any, x: Any, y: Any) -> Any:
            return op.name, x, y

    x, other = Value(2.0), Other()
    table: dict[str, Any] = dict(autograd.rows())
    assert table["hypot"](x, other) == ("hypot", x, other)
    assert table["hypot"](other, x) == ("hypot", other, x)


def test_a_node_made_in_a_mode_has_its_scope_and_nothing_else() -> None:
    with scope("part"):
        leaf = Value(1.0)
        z, again = leaf * 2.0, leaf * 3.0
        named = Value(1.0, "named")
    assert (z.label, z.scope, z.line) == ("", "part", "")
    assert z.row is again.row  # one Note serves all products of a scope
    assert (named.label, named.scope) == ("named", "part")
    with no_grad():
        assert (leaf * 2.0).row is autograd.notes.LEAF
    with detect_anomaly():
        w = leaf * 2.0
    assert (w.label, w.scope) == ("", "")
    assert w.line.startswith("test_value.py:")
    with scope("part"), detect_anomaly():
        w = leaf * 2.0
    assert (w.label, w.scope) == ("", "part")
    before = w.line
    w.label = "w"
    assert (w.label, w.scope, w.line) == ("w", "part", before)
    plain = Value(1.0) * 2.0
    assert plain.row is plain.op
    with detect_anomaly():
        plain = Value(1.0) * 2.0
    assert (plain.label, plain.scope) == ("", "")


def test_a_mode_is_made_once_for_each_scope_and_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    top = autograd.modes.Mode()
    assert (top.recording, top.scope, top.anomaly) == (True, "", False)
    assert top.child("scope", "a") is top.child("scope", "a")
    inner = top.child("scope", "a").child("scope", "b")
    assert inner.scope == "a/b"
    assert inner is top.child("scope", "a").child("scope", "b")
    assert not top.child("recording", False).recording
    monkeypatch.setattr(autograd.modes, "_MOST_MODES", 5)
    fresh = autograd.modes.Mode()
    for i in range(5):
        fresh.child("scope", f"s{i}")
    assert len(fresh.children) == 5
    fresh.child("scope", "s5")
    assert list(fresh.children) == [("scope", "s5")]
    # Those inside are counted too.
    part = fresh.child("scope", "s5")
    for i in range(4):
        part.child("scope", f"t{i}")
    fresh.child("scope", "s6")
    assert list(fresh.children) == [("scope", "s6")]


def test_a_decorator_hands_all_arguments_on_and_holds_for_each_call() -> None:
    @no_grad()
    def f(x: Value, *, by: float) -> Value:
        return x * by

    z = f(Value(2.0), by=3.0)
    assert (z.data, z.parents) == (6.0, ())
    scaled = no_grad()(functools.partial(lambda x, by: x * by, by=4.0))(Value(2.0))
    assert (scaled.data, scaled.parents) == (8.0, ())


def test_the_line_is_that_of_the_innermost_frame_that_is_the_users() -> None:
    def through_nn() -> Any:
        names = {"__name__": "nn.somewhere", "x": Value(2.0)}
        return eval(compile("x * 3.0", "somewhere.py", "eval"), names)

    def without_a_name() -> Any:
        return eval(compile("x * 3.0", "/a/nameless.py", "eval"), {"x": Value(2.0)})

    with detect_anomaly():
        assert through_nn().line.startswith("test_value.py:")
        assert without_a_name().line == "nameless.py:1"
        assert (Value(2.0) * 3.0).line.startswith("test_value.py:")


def test_a_cell_is_called_what_the_notebook_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Compiler:
        def format_code_name(self, name: str) -> Any:
            return ("Cell", "In[3]") if name == "/tmp/ipykernel_1/123.py" else None

    shell = types.SimpleNamespace(compile=Compiler())
    module = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert autograd.blame.called("/tmp/ipykernel_1/123.py") == "In[3]"
    assert autograd.blame.called("/a/b.py") == "b.py"
    module.get_ipython = lambda: None
    assert autograd.blame.called("/tmp/ipykernel_1/123.py") == "123.py"
    monkeypatch.delitem(sys.modules, "IPython")
    assert autograd.blame.called("/tmp/ipykernel_1/123.py") == "123.py"


def test_what_went_wrong_first_is_told_with_both_operands_and_the_line() -> None:
    x, y = Value(1e300, "x"), Value(1e300, "y")
    with detect_anomaly(), pytest.raises(NonFiniteError) as caught:
        x * y
    text = str(caught.value)
    assert text.startswith("mul(x, y) = inf at x = 1e+300 ('x'), y = 1e+300 ('y'), at test_value")
    with scope("s"):
        z = x * y
    assert first_nonfinite(topological(z)).endswith("x = 1e+300 ('x'), y = 1e+300 ('y')")
    good = Value(1.0) * 2.0
    good.backward()
    assert first_nonfinite(topological(good)) == ""
    # A node whose gradient is zero, or a leaf, is no reason; the next one is.
    a = Value(0.0, "a")
    out = a.sqrt() * 1.0 + (a * 0.0)
    with pytest.warns(NonFiniteWarning, match=r"dL/dz \* dz/dx is 1\.0 \* inf in sqrt\(x\)"):
        out.backward()


def test_the_warning_points_at_the_call_of_backward() -> None:
    with pytest.warns(NonFiniteWarning) as noted:
        Value(0.0).log().backward()
    assert noted[0].filename == __file__


def test_a_restorer_holds_nothing_of_what_it_did() -> None:
    node = Value(1.0)
    undo = restorer([node])
    node.backward()
    assert list(undo()) == []  # type: ignore[call-overload]
    assert node.grad == 0.0


def test_a_pass_without_a_seed_starts_from_one() -> None:
    x = Value(3.0)
    accumulate(x * x)
    assert x.grad == 6.0


def test_a_copy_of_a_leaf_keeps_a_gradient_of_one() -> None:
    x = Value(3.0, "x")
    x.grad = 1.0
    again = copy.copy(x)
    assert (again.data, again.label, again.grad) == (3.0, "x", 1.0)


def test_roots_that_are_leaves_or_repeated_come_once() -> None:
    a, b = Value(1.0), Value(2.0)
    c = a * b
    assert topological(a, a, c, b, c) == [a, b, c]


def test_a_lock_that_a_fork_is_to_find_free_is_taken_before_it_and_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from autograd.atomic import forkable_lock

    registered: list[dict[str, Any]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **calls: registered.append(calls))
    lock = forkable_lock()
    assert registered == [
        {"before": lock.acquire, "after_in_parent": lock.release, "after_in_child": lock.release}
    ]
    with lock, lock:  # the same thread may take it again
        pass
    monkeypatch.delattr(os, "register_at_fork")
    with forkable_lock():
        assert len(registered) == 1
