"""The guides, the notebooks and the reference hold every public name, and need no network."""

import re
from pathlib import Path

import pytest

import autograd
import nn
from autograd import Value, rows
from tests.built_site import ROOT, built

PAGES = {"autograd": ["autograd"], "nn": ["nn", "nn_parts"]}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the site."""
    pytest.importorskip("sphinx")
    return built(tmp_path_factory.getbasetemp())


def places(pages: Path, name: str) -> set[str]:
    """What the pages of the reference on a package can be asked for."""
    texts = [(pages / "docs" / "reference" / f"{page}.html").read_text() for page in PAGES[name]]
    return set(re.findall(r'id="(?:module-)?([^"]*)"', "".join(texts)))


@pytest.mark.parametrize("package", [autograd, nn], ids=["autograd", "nn"])
def test_every_public_name_is_on_the_page(pages: Path, package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    there = {place.removeprefix(f"{name}.") for place in places(pages, name)}
    assert set(package.__all__) <= there  # type: ignore[attr-defined]


def test_operations_are_on_the_page_with_their_formulas(pages: Path) -> None:
    there = places(pages, "autograd")
    assert {f"autograd.Value.{name}" for name in rows()} <= there
    assert Value.tanh.__doc__ == "z = tanh(x), dz/dx = 1 - z * z."
    text = re.sub("<[^>]*>", "", (pages / "docs" / "reference" / "autograd.html").read_text())
    assert "z = tanh(x), dz/dx = 1 - z * z." in text


def test_the_order_is_install_quickstart_how_to_reference(pages: Path) -> None:
    text = (pages / "docs" / "index.html").read_text()
    tree = text[text.index('class="sidebar-tree"', text.index("Start page")) :]
    links = [tree.index(f'href="{name}.html"') for name in ("install", "quickstart", "stepping")]
    links.append(tree.index('href="reference/autograd.html"'))
    assert links == sorted(links)


def test_every_guide_and_notebook_is_in_the_list_of_pages(pages: Path) -> None:
    text = (pages / "docs" / "index.html").read_text()
    tree = text[text.index("Start page") :]
    start = (pages / "index.html").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert path.stem == "index" or f'href="{path.stem}.html"' in tree, path.name
    for path in NOTEBOOKS:
        assert f"notebooks/{path.stem}.html" in tree, path.name
        assert f"notebooks/{path.stem}.html" in start, path.name


def test_every_notebook_is_there_with_its_outputs(pages: Path) -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        text = (pages / "notebooks" / f"{path.stem}.html").read_text()
        assert "cell_output" in text, path.name
        assert "$$" not in re.sub("<(script|pre).*?</\\1>", "", text, flags=re.S), path.name
    assert "<math" in (pages / "notebooks" / "05_chain_rule.html").read_text()


def test_a_notebook_runs_in_its_page_unless_it_needs_pytorch(pages: Path) -> None:
    if not (pages / "playground").exists():
        pytest.skip("needs packages of npm")
    for path in NOTEBOOKS:
        there = 'id="run-here"' in (pages / "notebooks" / f"{path.stem}.html").read_text()
        assert there == ("import torch" not in path.read_text()), path.name


def test_what_is_searched_for_is_found_without_a_server(pages: Path) -> None:
    index = (pages / "searchindex.js").read_text()
    for word in ("check_gradi", "player", "xavier"):  # the index holds stems
        assert word in index


def test_a_bar_of_an_absolute_value_stays_one(pages: Path) -> None:
    text = (pages / "docs" / "reference" / "nn_parts.html").read_text()
    assert "|z - y|" in re.sub("<[^>]*>", "", text)


def test_no_page_asks_the_network(pages: Path) -> None:
    for page in pages.rglob("*.html"):
        text = page.read_text()
        asked = re.findall(r'(?:src|@import|url\()[ ="\']*(?:https?:)?//[^"\')]*', text)
        linked = re.findall(r'<link[^>]*href="(?:https?:)?//[^"]*"', text)
        assert not asked + linked, page.name


def test_every_link_leads_to_a_page(pages: Path) -> None:
    for page in pages.rglob("*.html"):
        for link in re.findall(r'<a [^>]*?href="([^"#?]+)', page.read_text()):
            if not link.startswith(("http:", "https:", "mailto:", "data:")):
                assert (page.parent / link).resolve().exists(), f"{page.name}: {link}"
