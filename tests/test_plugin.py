"""The pytest plugin and the hypothesis strategy, as a project outside would use them."""

import functools
import math
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from autograd import Value, Verdict, check_gradients, tanh
from autograd.check.reproducer import reproducer
from autograd.faults import faults
from autograd.strategies import expressions

pytest_plugins = ["pytester"]

SUITE = """
from autograd import Value

def test_product(gradcheck):
    gradcheck(lambda x, y: x * y + x, 0.3, 0.8)

def test_not_of_gradients():
    assert (Value(1.0) - 1.0).data == 0.0
"""

WRONG = """
from autograd.faults import faults, planted

def test_wrong(gradcheck):
    fault = next(f for f in faults() if (f.op, f.operand, f.kind) == ("mul", "x", "sign"))
    with planted(fault):
        gradcheck(lambda x, y: x * y, 2.0, 5.0)
"""


def run(pytester: pytest.Pytester, text: str, *options: str) -> str:
    pytester.makepyfile(text)
    # In a process of its own: mistakes are planted in the engine that this test runs on.
    result = pytester.runpytest_subprocess("-p", "autograd.pytest_plugin", *options)
    return result.stdout.str()


def test_the_fixture_passes_right_gradients(pytester: pytest.Pytester) -> None:
    assert "2 passed" in run(pytester, SUITE)


def test_a_failure_shows_report_reproducer_and_picture_and_no_traceback(
    pytester: pytest.Pytester,
) -> None:
    out = run(pytester, WRONG, "--gradient-pictures", "pictures")
    assert "dz/dx of mul: the pullback uses -5.0, should be 5.0" in out
    assert "    from autograd import check_gradients\n" in out
    assert "    f = lambda x, y: x * y\n" in out
    assert "    check_gradients(f, 2.0, 5.0)\n" in out
    assert "Traceback" not in out
    assert (pytester.path / "pictures" / "test_wrong.svg").read_text().startswith("<?xml")


WEAK = """
import pytest
from autograd import Value

@pytest.mark.gradcheck
def test_only_a_sign():
    x = Value(2.0)
    (x * 3.0).backward()
    assert x.grad > 0
"""


def test_a_suite_is_told_which_mistakes_it_does_not_catch(pytester: pytest.Pytester) -> None:
    out = run(pytester, WEAK, "--gradient-faults")
    assert "1 passed" in out
    count = re.search(r"(\d+) of (\d+) caught in the operations that these tests use; not", out)
    assert count
    own = [fault for fault in faults() if fault.op in ("", "mul")]
    lived = out[out.index("not caught:") :]
    assert int(count[2]) == len(own)
    assert lived.count(": dz/d") + lived.count(": z is") >= 5
    assert "mul: dz/dx is 2 * (y) instead of y" in lived
    assert "mul: dz/dx is -(y) instead of y" not in lived
    assert f"{len(faults()) - len(own)} more are in operations that no test uses" in out
    assert "sub: " not in lived


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expressions())
def test_random_expressions_are_never_failed(case: Any) -> None:
    f, at = case
    report = check_gradients(f, *at)
    assert report.verdict is not Verdict.FAIL, str(report)


# ---------------------------------------------------------------------- the reproducer


def shifted(x: Any) -> Any:
    """A function that can be imported."""
    return x * x + 1.0


def test_what_reproduces_a_failure_runs_when_it_is_pasted() -> None:
    scale, offset = 3.0, Value(0.5)

    def inner(x: Any, ys: Any) -> Any:
        return x * scale + ys["a"][0] * offset

    both = lambda x, y: x * y * scale  # noqa: E731 - it is lambdas that are asked
    for f, inputs in [
        (inner, (2.0, {"a": [Value(1.5)]})),
        (both, (2.0, -0.5)),
        (tanh, (0.5,)),
        (shifted, (0.5,)),
    ]:
        text = reproducer(f, inputs, {"order": 1})
        names: dict[str, Any] = {}
        exec(text.replace("check_gradients(", "found = check_gradients("), names)
        assert str(names["found"]) == str(check_gradients(f, *inputs))


def test_what_no_text_shows_is_named_in_what_reproduces() -> None:
    known = object()
    text = reproducer(lambda x: (x, known), (0.5,), {"parameters": [1]})
    assert "known = ...  # object" in text
    assert text.endswith("check_gradients(f, 0.5, parameters=...)")
    assert "from math import inf" in reproducer(shifted, (math.inf,), {})
    long = reproducer(shifted, ([0.123456789] * 1000,), {})
    assert "its inputs are" in long
    assert "f = ...  # partial" in reproducer(functools.partial(shifted), (1.0,), {})


def test_arrays_are_arrays_in_what_reproduces() -> None:
    np = pytest.importorskip("numpy")
    text = reproducer(shifted, (np.array([0.5, 1.0], dtype=np.float32), np.float64(2.0)), {})
    assert "from numpy import array" in text
    assert text.endswith("check_gradients(shifted, array([0.5, 1.0], 'float32'), 2.0)")
