"""SVG text to PNG and PDF, in a process of its own, because the libraries for it cannot be stopped.

That process runs this file as a script, without the packages around it.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any


def png(text: str, fonts: list[str], scale: float, system: bool = False) -> bytes:
    """The picture as PNG, `scale` times 96 dots per inch; `system` is as for `pdf`."""
    import resvg_py

    made: bytes = resvg_py.svg_to_bytes(
        svg_string=text,
        dpi=96,
        zoom=scale,
        skip_system_fonts=not system,  # reading them all can take longer than drawing
        font_files=fonts,
        monospace_family="DejaVu Sans Mono",
    )
    return bytes(made)


def pdf(text: str, fonts: list[str], system: bool = False) -> bytes:
    """The picture as PDF with text that can be searched.

    With `system`, it may use every font of the system, beside the files.
    """
    import svg2pdf_py

    shelf = svg2pdf_py.FontDatabase()
    if system:
        shelf.load_system_fonts()
    for font in fonts:
        shelf.load_font_file(font)
    return bytes(svg2pdf_py.svg_to_pdf(text, shelf))


_MAKERS: dict[str, Callable[..., bytes]] = {"png": png, "pdf": pdf}


def drawn(kind: str, seconds: float, **options: Any) -> bytes:
    """What `png` or `pdf` makes of the options, within so many seconds.

    Raises subprocess.TimeoutExpired after that, and ValueError with what the library says.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return _MAKERS[kind](**options)  # there is no Python to start
    order = json.dumps({"kind": kind, "path": sys.path, "options": options})
    run = subprocess.run(  # noqa: S603 - this Python and this file
        [sys.executable, "-I", "-S", __file__],
        input=order.encode(),
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    if run.returncode:
        lines = run.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(lines[-1] if lines else f"drawing ended with code {run.returncode}")
    return run.stdout


def main() -> None:
    """Draw what standard input orders, to standard output."""
    order = json.load(sys.stdin)
    sys.path[:] = order["path"]
    sys.stdout.buffer.write(_MAKERS[order["kind"]](**order["options"]))


if __name__ == "__main__":
    main()
