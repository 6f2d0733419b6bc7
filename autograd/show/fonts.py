"""Font files of the system: a monospaced font, and others for characters that it lacks."""

import functools
import re
import struct
import unicodedata
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import BinaryIO

_MONOSPACED = ("DejaVuSansMono.ttf", "Menlo.ttc", "consola.ttf", "LiberationMono-Regular.ttf")
_PLACEHOLDERS = ("LastResort", "AdobeBlank")  # fonts that draw every character as a box or blank
_STYLED = re.compile("(?i)bold|italic|oblique|light|black|thin")


def _folders() -> list[Path]:
    """The folders where operating systems keep fonts."""
    folders = [Path(p) for p in ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")]
    folders += [Path.home() / ".fonts", Path.home() / ".local/share/fonts"]
    return [*folders, Path("/System/Library/Fonts"), Path("C:/Windows/Fonts")]


@functools.cache
def _installed() -> list[Path]:
    """The font files of the system, in the same order on every run."""
    return [
        font
        for folder in _folders()
        for font in sorted(folder.rglob("*.[tToO][tT][fFcC]"))
        if not font.name.startswith(_PLACEHOLDERS)
    ]


@functools.cache
def monospaced() -> Path | None:
    """The file of a monospaced font: the system's, else matplotlib's; None without either."""
    for name in _MONOSPACED:
        for font in _installed():
            if font.name == name:
                return font
    if spec := util.find_spec("matplotlib"):
        assert spec.origin
        shipped = Path(spec.origin).parent / "mpl-data/fonts/ttf" / _MONOSPACED[0]
        if shipped.exists():
            return shipped
    return None


def for_text(text: str) -> tuple[list[Path], str]:
    """The font files for a picture of the text, and the characters that none of them has.

    Without a monospaced font, which every picture needs, there are no files.
    """
    first = monospaced()
    if first is None:
        return [], ""
    visible = frozenset(c for c in text if unicodedata.category(c)[0] not in "CZ" and c > "~")
    others, missing = _others(visible - covered(first, visible))
    return [first, *others], "".join(sorted(missing))


@functools.lru_cache
def _others(wanted: frozenset[str]) -> tuple[list[Path], frozenset[str]]:
    """The fonts for these characters, best coverage first, and the characters in no font."""
    chosen: list[Path] = []
    has = {font: covered(font, wanted) for font in _installed()} if wanted else {}
    while any(characters & wanted for characters in has.values()):
        # Of two fonts with equally many of the characters, an upright regular one.
        best = max(has, key=lambda font: (len(has[font] & wanted), not _STYLED.search(font.name)))
        chosen.append(best)
        wanted -= has[best]
    return chosen, wanted


def covered(font: Path, characters: frozenset[str]) -> frozenset[str]:
    """The characters for which a font file has glyphs; none if the file cannot be read."""
    try:
        with font.open("rb") as file:
            tables = list(_character_maps(file))
    except (OSError, struct.error, ValueError):
        return frozenset()
    return frozenset(c for c in characters if any(_glyph(t, ord(c)) for t in tables))


def _character_maps(file: BinaryIO) -> Iterator[bytes]:
    """The Unicode subtables, in formats 4 and 12, of the first face in an OpenType file."""
    start = 0
    if file.read(4) == b"ttcf":
        start = struct.unpack(">8xI", file.read(12))[0]
    file.seek(start + 4)
    (count,) = struct.unpack(">H6x", file.read(8))
    for tag, _, offset, length in struct.iter_unpack(">4sIII", file.read(16 * count)):
        if tag == b"cmap":
            file.seek(offset)
            table = file.read(length)
            (subtables,) = struct.unpack_from(">2xH", table)
            for _, _, at in struct.iter_unpack(">HHI", table[4 : 4 + 8 * subtables]):
                if struct.unpack_from(">H", table, at)[0] in (4, 12):
                    yield table[at:]


def _glyph(table: bytes, code: int) -> int:
    """The number of a character's glyph in a subtable; 0 if it has none."""
    if table[:2] == b"\0\x0c":
        (groups,) = struct.unpack_from(">12xI", table)
        for first, last, glyph in struct.iter_unpack(">III", table[16 : 16 + 12 * groups]):
            if first <= code <= last:
                return int(glyph) + code - int(first)
        return 0
    double = struct.unpack_from(">6xH", table)[0]  # twice the number of segments
    for i in range(14, 14 + double, 2):
        if code <= struct.unpack_from(">H", table, i)[0]:
            at = i + double + 2
            first, delta, offset = (
                struct.unpack_from(">H", table, at + k * double)[0] for k in range(3)
            )
            if code < first:
                return 0
            index = at + 2 * double + offset + 2 * (code - first)
            glyph = struct.unpack_from(">H", table, index)[0] if offset else code
            return int(glyph + delta) & 0xFFFF if glyph else 0
    return 0
