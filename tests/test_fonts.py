"""Fonts for pictures: what characters a file has, what files a text needs, what is missing."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.ttLib import TTCollection, TTFont
from matplotlib import get_data_path

import autograd.show.render as render
from autograd import Value, draw
from autograd.show import fonts


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The fonts of the system, to be changed by a test."""
    found: list[Path] = []
    monkeypatch.setattr(fonts, "_installed", lambda: found)
    fonts.monospaced.cache_clear()
    fonts._others.cache_clear()
    yield found
    fonts.monospaced.cache_clear()
    fonts._others.cache_clear()


def test_without_a_font_of_the_system_matplotlibs_is_taken_and_without_both_none(
    installed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [font.name for font in fonts.for_text("w")[0]] == ["DejaVuSansMono.ttf"]
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *a: None if name == "matplotlib" else find(name, *a),
    )
    fonts.monospaced.cache_clear()
    with pytest.raises(render.RenderError, match="no monospaced font found"):
        render.png("digraph { a }")


SHIPPED = [
    Path(get_data_path()) / f"fonts/ttf/{name}.ttf"
    for name in ("DejaVuSansMono", "DejaVuSans-BoldOblique", "DejaVuSans", "STIXGeneral", "cmr10")
]


@pytest.mark.parametrize("font", SHIPPED, ids=lambda font: font.stem)
@pytest.mark.untraced
def test_the_characters_of_a_font_are_those_that_another_reader_finds(font: Path) -> None:
    characters = frozenset(map(chr, [*range(0x20, 0x3000, 7), *range(0x1D400, 0x1F700, 5)]))
    table = TTFont(font).getBestCmap()
    theirs = {c for c in characters if table.get(ord(c), ".notdef") != ".notdef"}
    assert fonts.covered(font, characters) == theirs


def test_what_is_no_font_has_no_characters(tmp_path: Path) -> None:
    data = SHIPPED[0].read_bytes()
    for i, text in enumerate([b"", b"ttcf", b"text" * 99, data[:400], data[:12] + data[300:]]):
        (tmp_path / f"{i}.ttf").write_bytes(text)
        assert fonts.covered(tmp_path / f"{i}.ttf", frozenset("w\u6743")) == frozenset()
    assert fonts.covered(tmp_path / "none.ttf", frozenset("w")) == frozenset()


def test_a_collection_of_fonts_is_read(tmp_path: Path) -> None:
    together = TTCollection()
    together.fonts = [TTFont(SHIPPED[0])]
    together.save(tmp_path / "all.ttc")
    asked = frozenset("w\u03b1\u6743")
    assert fonts.covered(tmp_path / "all.ttc", asked) == fonts.covered(SHIPPED[0], asked)


def test_only_the_fonts_that_a_text_needs_are_read(installed: list[Path]) -> None:
    installed += SHIPPED
    mono = SHIPPED[0]
    assert fonts.for_text("w \u2212 1\n") == ([mono], "")
    tau = "\U0001d70f"  # a letter that only mathematical fonts have
    (first, other), missing = fonts.for_text(f"w{tau}\u6743")
    assert first == mono
    assert tau in fonts.covered(other, frozenset(tau))
    assert missing == "\u6743"


@pytest.mark.parametrize(
    ("character", "advice"),
    [
        ("\N{CJK UNIFIED IDEOGRAPH-4E2D}", "fonts-noto-cjk"),
        ("\N{GRINNING FACE}", "fonts-noto-color-emoji"),
        ("\N{TAMIL LETTER KA}", "fonts-noto-core"),
    ],
)
def test_characters_that_no_font_has_are_named(
    character: str, advice: str, installed: list[Path]
) -> None:
    with pytest.warns(UserWarning, match=f"has {character!r}, .*{advice}") as warned:
        draw(Value(1.0, character) * 2.0).png(1.0)
    assert warned[0].filename == __file__
