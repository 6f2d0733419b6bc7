"""Gradient checks in pytest: a fixture, a report folder, and a run under planted mistakes.

Opt in with `-p autograd.pytest_plugin`, or `pytest_plugins = ["autograd.pytest_plugin"]`.
Installing the package registers nothing.

    def test_my_loss(gradcheck):
        gradcheck(my_loss, 0.3, [1.0, 2.0])

`--gradient-pictures FOLDER` saves the subgraph of each failure as SVG.  `--gradient-faults` runs
the tests that use `gradcheck`, or are marked with `@pytest.mark.gradcheck`, once for every mistake
that can be planted in an operation they use, and lists the mistakes that the tests do not catch.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograd.check.gradients import check_gradients
from autograd.check.reproducer import reproducer
from autograd.faults import Fault, faults, planted, used
from autograd.nestings import Tree
from autograd.show.render import RenderError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("gradients")
    group.addoption("--gradient-pictures", metavar="FOLDER", help="save failing subgraphs as SVG")
    group.addoption(
        "--gradient-faults", action="store_true", help="run gradient tests under planted mistakes"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "gradcheck: a test of gradients, for --gradient-faults")


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Any:
    """A function like `check_gradients` that fails the test, with the report, if a check fails."""

    def check(f: Any, *inputs: Tree, **options: Any) -> None:
        __tracebackhide__ = True
        report = check_gradients(f, *inputs, **options)
        if report:
            return
        again = textwrap.indent(reproducer(f, inputs, options), "    ")
        text = f"gradients are {report.verdict.value}\n{report}\n\nto reproduce:\n{again}"
        folder = request.config.getoption("--gradient-pictures")
        if folder and report.culprits:
            path = Path(folder) / (re.sub(r"\W+", "_", request.node.name) + ".svg")
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                text += f"\n    picture: {report.draw().render(path)}"
            except RenderError as error:
                text += f"\n    no picture: {error}"
        pytest.fail(text, pytrace=False)

    return check


def _tests_gradients(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return "gradcheck" in names or item.get_closest_marker("gradcheck") is not None


@dataclass
class Mutations:
    """The results of a run under planted mistakes.

    Attributes:
        tried: the mistakes in operations that the tests use.
        uncaught: the mistakes that no test caught.
        unreached: the number of mistakes in operations that no test uses.
    """

    tried: list[Fault]
    uncaught: list[Fault]
    unreached: int


_MUTATIONS: pytest.StashKey[Mutations] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """With --gradient-faults, first run the gradient tests under each mistake they can reach."""
    if session.config.getoption("--gradient-faults"):
        session.items[:] = [item for item in session.items if _tests_gradients(item)]
        with used() as names:
            for item in session.items:
                _fails(item)
        every = faults()
        tried = [fault for fault in every if not fault.op or fault.op in names]
        uncaught = []
        for fault in tried if names else ():
            with planted(fault):
                if not any(_fails(item) for item in session.items):
                    uncaught.append(fault)
        session.config.stash[_MUTATIONS] = Mutations(tried, uncaught, len(every) - len(tried))
    result = yield
    return result


def _fails(item: pytest.Item) -> bool:
    """Whether the test fails now; the run is not reported."""
    from _pytest.runner import runtestprotocol

    reports = runtestprotocol(item, log=False, nextitem=None)
    return any(report.failed for report in reports)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List the mistakes that the tests do not catch."""
    mutations = config.stash.get(_MUTATIONS, None)
    if mutations is None:
        return
    terminalreporter.section("planted mistakes")
    caught = len(mutations.tried) - len(mutations.uncaught)
    end = "; not caught:" if mutations.uncaught else ""
    terminalreporter.line(
        f"{caught} of {len(mutations.tried)} caught in the operations that these tests use{end}"
    )
    for fault in mutations.uncaught:
        terminalreporter.line(f"  {fault.answer}")
    if mutations.unreached:
        terminalreporter.line(f"{mutations.unreached} more are in operations that no test uses")
