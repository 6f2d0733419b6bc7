"""SVG text to PNG and PDF, in a separate process, because the libraries for it cannot be stopped.

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

    picture: bytes = resvg_py.svg_to_bytes(
        svg_string=text,
        dpi=96,
        zoom=scale,
        background="white",  # behind the last pixels too, which the picture covers in part
        skip_system_fonts=not system,  # reading them all can take longer than drawing
        font_files=fonts,
        monospace_family="DejaVu Sans Mono",
    )
    return bytes(picture)


def pdf(text: str, fonts: list[str], system: bool = False) -> bytes:
    """The picture as PDF with searchable text.

    With `system`, it may use all fonts of the system besides the files.
    """
    import svg2pdf_py

    database = svg2pdf_py.FontDatabase()
    if system:
        database.load_system_fonts()
    for font in fonts:
        database.load_font_file(font)
    return bytes(svg2pdf_py.svg_to_pdf(text, database))


_WRITERS: dict[str, Callable[..., bytes]] = {"png": png, "pdf": pdf}


def drawn(kind: str, seconds: float, **options: Any) -> bytes:
    """The result of `png` or `pdf` with these options.

    Raises subprocess.TimeoutExpired after so many seconds, and ValueError with the library's
    message.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return _WRITERS[kind](**options)  # there is no Python to start
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
        raise ValueError(lines[-1] if lines else f"drawing exited with code {run.returncode}")
    return run.stdout


def main() -> None:
    """Read a request from standard input and write the picture to standard output."""
    order = json.load(sys.stdin)
    sys.path[:] = order["path"]
    sys.stdout.buffer.write(_WRITERS[order["kind"]](**order["options"]))


if __name__ == "__main__":
    main()
