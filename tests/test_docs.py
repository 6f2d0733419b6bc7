"""The API's pages hold every public name, and need no network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import autograd
import nn
from autograd import Value, rows

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the site, written with what the group `docs` brings and no more."""
    pytest.importorskip("pdoc")
    folder = tmp_path_factory.mktemp("docs")
    only = [sys.executable, str(ROOT / "tests" / "only.py"), "docs"]
    command = [*only, str(ROOT / "docs" / "make.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warn" not in done.stderr
    return folder


@pytest.mark.parametrize("package", [autograd, nn], ids=["autograd", "nn"])
def test_every_public_name_is_on_the_page(pages: Path, package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    places = set(re.findall(r'id="([^"]*)"', (pages / f"{name}.html").read_text()))
    modules = {page.stem for page in (pages / name).glob("*.html")}
    assert set(package.__all__) <= places | modules  # type: ignore[attr-defined]


def test_operations_are_on_the_page_with_their_formulas(pages: Path) -> None:
    text = (pages / "autograd.html").read_text()
    places = set(re.findall(r'id="Value\.([^"]*)"', text))
    assert set(rows()) <= places
    assert Value.tanh.__doc__ == "z = tanh(x), dz/dx = 1 - z * z."


def test_the_first_page_leads_to_every_operation(pages: Path) -> None:
    links = re.findall(r'href="autograd.html#Value\.([^"]*)"', (pages / "index.html").read_text())
    assert links == list(rows())


def test_examples_are_shown_as_they_are_written(pages: Path) -> None:
    for page in pages.rglob("*.html"):
        text = re.sub(r"<[^>]*>", "", page.read_text())
        assert not re.findall(r"[)\]](?:nn|autograd)\.\w+", text), page.name


def test_no_page_asks_the_network(pages: Path) -> None:
    for page in pages.rglob("*.html"):
        asked = re.findall(r'(?:src|@import|url\()[ ="\']*(?:https?:)?//[^"\')]*', page.read_text())
        linked = re.findall(r'<link[^>]*href="(?:https?:)?//[^"]*"', page.read_text())
        assert not asked + linked, page.name
