"""A gradient graph as Graphviz's class of graphs, with its methods, and without its program."""

import os
import shutil
import tempfile
import warnings
import webbrowser
from pathlib import Path
from typing import Any

import graphviz

from autograd import files
from autograd.show import render
from autograd.value import Value


class Graph(graphviz.Digraph):  # type: ignore[misc]  # graphviz ships no types
    """A `graphviz.Digraph` of a gradient graph that renders with or without the program `dot`.

    Attributes:
        used: the renderer of the last picture, such as 'dot' or 'wasm'.
        boxes: the id, in the picture, of the box that shows a node.
    """

    used = ""
    boxes: dict[Value, str]

    def __init__(self, body: list[str] | None = None, mermaid: str = "", **options: Any) -> None:
        super().__init__(**{"name": "gradients", **options}, body=body)
        self.boxes = {}
        self._mermaid = mermaid

    def copy(self) -> "Graph":
        """A graph of its own with the same boxes."""
        made: Graph = super().copy()
        made.boxes, made._mermaid = dict(self.boxes), self._mermaid
        return made

    def svg(self) -> str:
        """The picture as SVG text.  Raises render.RenderError without any Graphviz."""
        self._laid_out_by(self.engine)
        text, self.used = render.svg(self.source)
        return text

    def png(self, scale: float = 2.0, pixels: float | None = None) -> bytes:
        """The picture as PNG, `scale` times 96 dots per inch, or fewer where it is very large."""
        self._laid_out_by(self.engine)
        data, self.used = render.png(self.source, scale, pixels)
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
        `dot` every format of Graphviz.  Another `format` is added to the name, as Graphviz does; a
        name without either gets .svg.

        Args:
            filename: the file; "gradients" if left out.
            directory: where the file goes.
            view: whether to open it, as `view()` does.
            cleanup: accepted, as `quiet` and `overwrite_source` are: only the picture is written.
            format: "svg", "png", "pdf", "dot" or "mmd".
            outfile: the file, whose extension must be that of its format.
            engine: "dot" is the only one.
        """
        _only(others, "render")
        self._laid_out_by(engine or self.engine)
        path = Path(directory or "") / (outfile or filename or "gradients")
        # Graphviz keeps a format that was set on the graph here, and its own default elsewhere.
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
        """The picture as bytes in a format of `render`; as text with an encoding."""
        _only(others, "pipe")
        self._laid_out_by(engine or self.engine)
        kind = (format or vars(self).get("_format") or "svg").lower()
        data = self._picture(kind, kind)
        return data if encoding is None else data.decode(encoding)

    def _laid_out_by(self, engine: str) -> None:
        if engine != "dot":
            raise ValueError(
                f"engine={engine!r}: these graphs are laid out by 'dot' only; "
                "write a .dot file for other engines"
            )

    def _picture(self, kind: str, name: str) -> bytes:
        if kind == "svg":
            text, self.used = render.svg(render.on_white(self.source))
            return text.encode()
        if kind == "png":
            return self.png()
        if kind == "pdf":
            made, self.used = render.pdf(self.source)
            return made
        if kind in ("dot", "gv"):
            return str(self.source).encode()
        if kind == "mmd":
            return self.mermaid().encode()
        if kind in graphviz.FORMATS and shutil.which("dot"):
            made, self.used = render.by_program(self.source, kind)
            return made
        raise ValueError(f"render: expected .svg, .png, .pdf, .dot or .mmd, got {name!r}")

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg()}
        except render.RenderError as error:
            return {"text/plain": f"{error}\n\n{self.source}"}


def _only(options: dict[str, Any], method: str) -> None:
    """Refuse options that would do nothing here, except those that only tidy up for Graphviz."""
    harmless = ("quiet", "quiet_view", "overwrite_source")
    if unknown := [name for name in options if name not in harmless and options[name] is not None]:
        raise TypeError(
            f"{method}: {unknown[0]}= is no option here; there are format=, encoding= and "
            "engine='dot', and to render also filename, directory, view= and outfile="
        )


def _open(path: Path) -> None:
    if webbrowser.open(path.absolute().as_uri()) is False:
        warnings.warn(f"nothing here can show the picture; it is in {path}", stacklevel=3)
