"""Hostile input: it is refused or shown as text, and touches nothing."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd import draw, play
from tests.benchmarks import fuzz

LABELS = json.loads((fuzz.ATTACKS / "labels.json").read_text())


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_the_corpus_breaks_nothing_and_writes_nothing(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for data in fuzz.corpus(target):
        fuzz.TARGETS[target](data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", fuzz.TARGETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_resembles_the_corpus_breaks_nothing(target: str, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(fuzz.corpus(target)))[: fuzz.LIMIT]
    at = data.draw(st.integers(0, len(start)))
    inserted = data.draw(st.one_of(st.binary(max_size=8), st.text(max_size=8).map(_bytes)))
    fuzz.TARGETS[target](start[:at] + inserted + start[at + data.draw(st.integers(0, 9)) :])


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, str, str]]:
    """Label, SVG and page, for every hostile label."""
    made = []
    for label in LABELS:
        root = fuzz.graph(label)
        made.append((label, draw(root).svg(), play(root, {}).html()))
    return made


def test_pictures_are_xml_with_nothing_that_acts(drawn: list[tuple[str, str, str]]) -> None:
    for label, svg, _ in drawn:
        for element in ET.fromstring(svg).iter():
            tag = str(element.tag).rpartition("}")[2]
            assert tag in {"svg", "g", "title", "path", "polygon", "text", "polyline"}, label
            assert not any("href" in name or name.startswith("on") for name in element.attrib)


def test_pages_have_no_tag_that_a_harmless_one_lacks(drawn: list[tuple[str, str, str]]) -> None:
    def kinds(tree: Any) -> set[str]:
        return {f"{e.tag} {name}" for e in tree.iter() for name in ["", *e.attrib]}

    harmless = play(fuzz.graph("name"), {}).html()
    allowed = kinds(html5lib.parse(harmless, namespaceHTMLElements=False))
    for label, _, text in drawn:
        tree: Any = html5lib.parse(text, namespaceHTMLElements=False)
        assert kinds(tree) <= allowed, label
        assert len(list(tree.iter("script"))) == 2, label
        framed = play(fuzz.graph(label), {})._repr_html_()
        inside: Any = html5lib.parse(framed, namespaceHTMLElements=False)
        assert not list(inside.iter("script")), label
        page: Any = html5lib.parse(
            inside.find(".//iframe").get("srcdoc"), namespaceHTMLElements=False
        )
        assert len(list(page.iter("script"))) == 2, label


def test_in_a_browser_nothing_of_a_label_runs(
    drawn: list[tuple[str, str, str]], tmp_path: Path, browser: Any
) -> None:
    context = browser.new_context(offline=True)
    tab = context.new_page()
    said: list[str] = []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: said.append(request.url))
    # The labels call this; whatever ran would leave its mark.
    tab.add_init_script("window.boom = () => { window.ran = true; }")
    opened = []
    for label, svg, text in drawn:
        for name, content in (("graph.svg", svg), ("page.html", text)):
            path = tmp_path / name
            path.write_text(content, encoding="utf-8")
            tab.goto(path.as_uri())
            opened.append(path.as_uri())
            assert tab.evaluate("window.ran") is None, label
    context.close()
    assert said == opened
