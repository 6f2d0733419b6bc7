"""The pytest plugin and the hypothesis strategy, as a project outside would use them."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from autograd import Verdict, check_gradients
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
    assert "check_gradients(<lambda>, 2.0, 5.0)" in out
    assert "Traceback" not in out
    assert (pytester.path / "pictures" / "test_wrong.svg").read_text().startswith("<?xml")


def test_a_suite_is_told_which_mistakes_it_lets_live(pytester: pytest.Pytester) -> None:
    out = run(pytester, SUITE, "--gradient-faults")
    assert "these lived:" in out
    lived = out[out.index("these lived:") :]
    assert "sub: dz/dy is -(-1) instead of -1" in lived
    assert "mul:" not in lived
    assert "every pullback says =" not in lived


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expressions())
def test_random_expressions_are_never_failed(case: Any) -> None:
    f, at = case
    report = check_gradients(f, *at)
    assert report.verdict is not Verdict.FAIL, str(report)
