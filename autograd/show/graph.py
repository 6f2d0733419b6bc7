"""A gradient graph with the interface of `graphviz.Digraph`, without the need for its program."""

import base64
import os
import shutil
import tempfile
import warnings
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

import graphviz

from autograd import files
from autograd.options import POSITIVE, real
from autograd.show import render
from autograd.value import Value


class Graph(graphviz.Digraph):  # type: ignore[misc]  # graphviz ships no types
    """A `graphviz.Digraph` of a gradient graph that renders with or without the program `dot`.

    Attributes:
        used: the renderer of the last picture, such as 'dot' or 'wasm'.
        boxes: the id, in the picture, of each node's box.
    """

    used = ""
    boxes: dict[Value, str]

    def __init__(self, body: list[str] | None = None, mermaid: str = "", **options: Any) -> None:
        super().__init__(**{"name": "gradients", **options}, body=body)
        self.boxes = {}
        self._mermaid = mermaid

    def copy(self) -> "Graph":
        """A separate graph with the same boxes."""
        graph: Graph = super().copy()
        graph.boxes, graph._mermaid = dict(self.boxes), self._mermaid
        return graph

    def save(self, filename: Any = None, directory: Any = None, **options: Any) -> str:
        """The path of a file with the DOT text; `render` writes pictures."""
        if filename is not None and Path(filename).suffix in (".svg", ".png", ".pdf"):
            raise ValueError(f"save: it writes DOT text; for a picture write .render({filename!r})")
        return str(super().save(filename, directory=directory, **options))

    def svg(self) -> str:
        """The picture as SVG text.  Raises render.RenderError if Graphviz is not installed."""
        self._laid_out_by(self.engine)
        text, self.used = render.svg(self.source)
        return text

    def png(self, scale: float = 2.0, pixels: float | None = None) -> bytes:
        """The picture as PNG at `scale` times 96 dots per inch, or fewer if it is very large."""
        self._laid_out_by(self.engine)
        largest = None if pixels is None else real(pixels, "png: pixels", POSITIVE)
        data, self.used = render.png(self.source, real(scale, "png: scale", POSITIVE), largest)
        return data

    def mermaid(self) -> str:
        """The graph as Mermaid text, which GitHub and many wikis draw."""
        return self._mermaid

    def render(
        self,
        filename: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *,
        outfile: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        **others: Any,
    ) -> str:
        """Write the picture to a file, whole or not at all, and return its path.

        The extension sets the format: .svg, .png, .pdf, .dot (or .gv), .mmd, and with the program
        `dot` every format of Graphviz.  If `format` differs, it is added to the name, as in
        Graphviz; a name without either gets .svg.

        Args:
            filename: the file; "gradients" if left out.
            directory: the file's folder.
            view: whether to open the file, like `view()`.
            cleanup: has no effect, like `quiet` and `overwrite_source`: only the picture is
                written.
            format: "svg", "png", "pdf", "dot" or "mmd".
            outfile: the file, with the extension of its format.
            engine: must be "dot".
        """
        _only(others, "render")
        self._laid_out_by(engine or self.engine)
        path = Path(directory or "") / (outfile or filename or "gradients")
        # graphviz stores a format that the user sets in `_format`; its default is in the class.
        format = format or vars(self).get("_format")
        kind = (format or path.suffix.lstrip(".") or "svg").lower()
        if path.suffix.lower() != f".{kind}":
            path = path.with_name(f"{path.name}.{kind}")
        files.write(path, self._picture(kind, path.name))
        if view:
            _open(path)
        return str(path)

    def view(
        self,
        filename: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        cleanup: bool = False,
        **options: Any,
    ) -> str:
        """Write the picture to a file, in a temporary folder if there is no name, and open it."""
        if not (filename or directory or options.get("outfile")):
            directory = tempfile.mkdtemp()
        return self.render(filename, directory, True, cleanup, **options)

    def pipe(
        self,
        format: str | None = None,
        *,
        engine: str | None = None,
        encoding: str | None = None,
        **others: Any,
    ) -> Any:
        """The picture as bytes in a format of `render`; as text if there is an encoding."""
        _only(others, "pipe")
        self._laid_out_by(engine or self.engine)
        kind = (format or vars(self).get("_format") or "svg").lower()
        data = self._picture(kind, kind)
        return data if encoding is None else data.decode(encoding)

    def _laid_out_by(self, engine: str) -> None:
        if engine != "dot":
            raise ValueError(
                f"engine={engine!r}: only engine='dot' lays out these graphs; write a .dot file "
                "for other engines"
            )

    def _picture(self, kind: str, name: str) -> bytes:
        if kind == "svg":
            text, self.used = render.svg(render.on_white(self.source))
            return text.encode()
        if kind == "png":
            return self.png()
        if kind == "pdf":
            data, self.used = render.pdf(self.source)
            return data
        if kind in ("dot", "gv"):
            return str(self.source).encode()
        if kind == "mmd":
            return self.mermaid().encode()
        if kind in graphviz.FORMATS and shutil.which("dot"):
            data, self.used = render.by_program(self.source, kind)
            return data
        raise ValueError(f"render: expected .svg, .png, .pdf, .dot or .mmd, got {name!r}")

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> tuple[dict[str, str], dict[str, Any]]:
        try:
            shown = {"image/svg+xml": self.svg()}
        except render.RenderError as error:
            return {"text/plain": f"{error}\n\n{self.source}"}, {}
        size: dict[str, Any] = {}
        # A notebook that is not trusted, as one just downloaded, shows PNG and hides SVG.
        with suppress(render.RenderError):
            if png := render.still(shown["image/svg+xml"]):
                shown["image/png"] = base64.b64encode(png).decode()
                size["image/png"] = render.pixels(shown["image/svg+xml"])
        return shown, size


def _only(options: dict[str, Any], method: str) -> None:
    """Refuse options that have no effect here, except those with which graphviz tidies up."""
    harmless = ("quiet", "quiet_view", "overwrite_source")
    if unknown := [name for name in options if name not in harmless and options[name] is not None]:
        raise TypeError(
            f"{method}: {unknown[0]}= is not supported; use format=, encoding= and engine='dot', "
            "and for render also filename, directory, view= and outfile="
        )


def _open(path: Path) -> None:
    if webbrowser.open(path.absolute().as_uri()) is False:
        warnings.warn(f"no program could open the picture; it is in {path}", stacklevel=3)
