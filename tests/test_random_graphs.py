"""Random graphs: gradients against dual numbers of mpmath, and laws that every gradient obeys."""

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from autograd import Value, grad, rows, topological
from autograd.faults import Fault, faults, planted
from tests import reference
from tests.benchmarks import random_graphs

SMOOTH = [op for op in rows().values() if not op.smooth and not op.ends and op.name != "tan"]
STEPS = st.lists(
    st.tuples(st.sampled_from(SMOOTH), st.integers(0, 4), st.integers(0, 4)),
    min_size=1,
    max_size=12,
)
INPUTS = st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=1, max_size=3)


def run(inputs: list[Any], steps: Any, call: Any) -> Any:
    line = list(inputs)
    for op, i, j in steps:
        operands = [line[-1 - i % len(line)], line[-1 - j % len(line)]][: op.arity]
        line.append(call(op, *operands))
        # Else a few squarings overflow and hide the rest.
        if op.name in ("square", "mul", "add", "exp2"):
            line.append(call(rows()["tanh"], line[-1]))
    return line[-1]


def engine(op: Any, *operands: Any) -> Any:
    return op(*operands)


@settings(max_examples=150, deadline=None)
@given(INPUTS, STEPS)
def test_gradients_equal_those_of_high_precision_differences(inputs: Any, steps: Any) -> None:
    leaves = [Value(x) for x in inputs]
    root = run(leaves, steps, engine)
    root.backward()
    with mp.workprec(400):
        step = mpf(2) ** -120
        for k, leaf in enumerate(leaves):

            def moved(sign: int, k: int = k) -> Any:
                at = [mpf(x) + (sign * step if i == k else 0) for i, x in enumerate(inputs)]
                return run(at, steps, reference.call)

            exact = (moved(1) - moved(-1)) / (2 * step)
            # The forward values carry rounding, which a cancelling sum magnifies.
            scale = max(1.0, abs(leaf.grad), *(abs(n.grad * n.data) for n in topological(root)))
            assert abs(leaf.grad - exact) <= 1e-12 * scale


@settings(max_examples=100, deadline=None)
@given(INPUTS, STEPS, st.floats(-3, 3))
def test_backward_is_linear_in_its_seed_and_repeatable(
    inputs: Any, steps: Any, seed: float
) -> None:
    leaves = [Value(x) for x in inputs]
    root = run(leaves, steps, engine)
    root.backward()
    once = [leaf.grad for leaf in leaves]
    root.zero_grad()
    root.backward()
    assert [leaf.grad for leaf in leaves] == once
    root.zero_grad()
    root.backward(seed=seed)
    for leaf, g in zip(leaves, once, strict=True):
        assert math.isclose(leaf.grad, seed * g, rel_tol=1e-9, abs_tol=1e-9 * abs(seed))


@settings(max_examples=100, deadline=None)
@given(INPUTS, STEPS)
def test_grad_equals_backward_bit_for_bit_and_create_graph_changes_no_number(
    inputs: Any, steps: Any
) -> None:
    leaves = [Value(x) for x in inputs]
    root = run(leaves, steps, engine)
    found = grad(root, leaves)
    root.backward()
    assert found == [leaf.grad for leaf in leaves]
    graph = [g.data for g in grad(root, leaves, create_graph=True)]
    for g, leaf in zip(graph, leaves, strict=True):
        assert math.isclose(g, leaf.grad, rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("engines", "graphs", "points"),
    [(["eager"], 3000, 10), (["eager", "numpy", "native"], 500, 25), (["float32"], 250, 25)],
)
def test_no_random_graph_is_out_of_bounds(engines: list[str], graphs: int, points: int) -> None:
    for package in set(engines) - {"eager"}:
        pytest.importorskip({"numpy": "numpy"}.get(package, "llvmlite"))
    tally = random_graphs.compare(graphs, 2, engines, points)
    assert tally.compared == graphs
    assert not any(tally.wrong.values()), tally.wrong
    # A bound that nothing comes near would see nothing.
    assert all(0.01 < worst <= 1.0 for worst in tally.worst.values())


@pytest.mark.parametrize(
    "fault", random.Random(5).sample(faults(), 4), ids=lambda fault: f"{fault.op} {fault.kind}"
)
def test_random_graphs_see_a_planted_mistake(fault: Fault) -> None:
    with planted(fault):
        tally = random_graphs.compare(1000, 3, ["eager"], 2)
    assert tally.wrong["eager"]
