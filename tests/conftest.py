"""What tests share: the table of operations as it ships, and a browser."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

import autograd
from autograd import Value, rows
from autograd.ops import Ops

SHIPPED = frozenset(rows())


def _forget() -> None:
    for name in set(rows()) - SHIPPED:
        delattr(Ops, name)
        delattr(Value, name)
        vars(autograd).pop(name, None)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """The operations that a test, or an example that ran before it, has defined are forgotten."""
    _forget()
    yield
    _forget()


# Files whose tests train, compile, start a process, a browser or a kernel, or try thousands of
# points.  Everything else is quick: `python3 run.py test --quick` runs it within half a minute.
SLOW = {
    "test_attacks", "test_check", "test_compile", "test_concurrency", "test_demo",
    "test_distributed", "test_docs", "test_init", "test_interruptions", "test_learning_rate",
    "test_memory", "test_microgpt", "test_notebooks", "test_notebooks_live", "test_optim",
    "test_packaging", "test_page", "test_plugin", "test_precise", "test_random_graphs",
    "test_replay", "test_sweeps", "test_training", "test_training_ways", "README", "coming_from",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the quick loop."""
    for item in items:
        if item.path.stem not in SLOW and "slow" not in item.keywords:
            item.add_marker("quick")


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
    """Headless Chromium, Debian's or Chrome."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium (apt install chromium)")
    with playwright.sync_playwright() as p:
        made = p.chromium.launch(executable_path=chromium, args=FLAGS)
        yield made
        made.close()
