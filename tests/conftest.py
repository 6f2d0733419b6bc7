"""Fixtures and hooks for all tests: the table of operations as it ships, and a browser."""

import contextlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Value, rows
from autograd.ops import Ops

SHIPPED = frozenset(rows())


def _remove_added_rows() -> None:
    for name in set(rows()) - SHIPPED:
        delattr(Ops, name)
        delattr(Value, name)
        vars(autograd).pop(name, None)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """Remove the operations that this test, or an example before it, defines."""
    _remove_added_rows()
    yield
    _remove_added_rows()


# Files whose tests train, compile, start a process, a browser or a kernel, or check thousands of
# points.  All other tests are quick: `python3 run.py test --quick` runs them in half a minute.
SLOW = {
    "test_native", "test_black_box", "test_from_jax", "test_program_in_jax", "test_exporting",
    "test_documents", "exporting", "test_network_pictures", "checking", "test_draw",
    "test_attacks", "test_border", "test_check", "test_check_of_second_order", "test_compile",
    "test_compiled_in_graph", "test_concurrency", "test_cut_branches", "test_demo", "test_diagnose",
    "diagnosis", "test_distributed", "test_docs", "test_init", "test_interruptions", "test_kinks",
    "test_learning_rate", "test_margins", "test_memory", "test_microgpt", "test_notebooks",
    "test_notebooks_live", "test_optim", "test_packaging", "test_page", "test_plugin",
    "test_decimals", "test_random_functions", "test_random_graphs", "test_replay", "test_rounding",
    "test_site", "test_sweeps", "test_training", "test_training_ways", "distributed", "README",
    "coming_from", "test_bridge_torch", "test_bridge_jax_rules", "bridges", "torch_model",
    "torch_rules", "jax_rules",
}  # fmt: skip

# Coverage does not measure the tests in these files, with these fixtures or marked `untraced`, nor
# the processes that they start: it makes Python two to three times slower, and cheaper tests run
# the same lines.
UNTRACED = {
    "test_attacks", "test_docs", "test_house", "test_memory", "test_packaging",
    "test_random_functions", "test_random_graphs", "test_site", "coming_from", "diagnosis",
}  # fmt: skip
TRACED_SEEDS = 4  # of the random cases of one test, so many are measured
UNTRACED_FIXTURES = {"browser", "client", "lone_client"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore slow files in the quick loop, because their imports would take half of its time."""
    quick = config.getoption("markexpr") == "quick"
    return True if quick and collection_path.stem in SLOW else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the quick loop, and those that coverage does not measure."""
    cases: Counter[str] = Counter()
    for item in items:
        if item.path.stem not in SLOW and "slow" not in item.keywords:
            item.add_marker("quick")
        traced = item.get_closest_marker("traced")
        test = item.nodeid.partition("[")[0]
        skipped = traced is not None and cases[test] % traced.kwargs["every"] > 0
        cases[test] += 1
        if skipped or item.path.stem in UNTRACED or _is_repetition(item):
            item.add_marker("untraced")


def _is_repetition(item: pytest.Item) -> bool:
    """Whether an item is a later random case, or has a browser or dask's workers."""
    if not isinstance(item, pytest.Function):
        return False
    call = getattr(item, "callspec", None)  # only a test with parameters has one
    late = call is not None and call.indices.get("seed", 0) >= TRACED_SEEDS
    return late or not UNTRACED_FIXTURES.isdisjoint(item.fixturenames)


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """A context in which coverage measures nothing, here or in new processes."""
    coverage: Any = sys.modules.get("coverage")
    stopped = []
    # A worker has two instances: its own, and the one that every new process gets.
    while coverage and (current := coverage.Coverage.current()):
        current.stop()
        stopped.append(current)
    config = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    try:
        yield
    finally:
        if config is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = config
        for current in reversed(stopped):
            current.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a test and its fixtures, without coverage if it is marked `untraced`."""
    with _untraced() if "untraced" in item.keywords else contextlib.nullcontext():
        return (yield)


FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium or Chrome."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium (apt install chromium)")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()
