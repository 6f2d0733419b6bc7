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
