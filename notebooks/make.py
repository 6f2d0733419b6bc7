"""Executes the notebooks' sources and writes the .ipynb files beside them, outputs and all.

`python notebooks/make.py [--check] [name ...]`

With `--check` nothing is written: every source is executed again, and if what comes out is not what
the committed .ipynb holds, the difference is printed and the exit status is 1.  A warning is an
error then.
"""

import difflib
import html
import json
import re
import struct
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLLAPSED = ("check", "plot")  # tags of cells that assert, and of those that only draw


def sources() -> list[Path]:
    """The notebooks' sources, in order."""
    return sorted(HERE.glob("[0-9]*.py"))


_WARNINGS_FAIL = "import warnings; warnings.simplefilter('error')"


def executed(source: Path, warnings_fail: bool = False) -> str:
    """The text of the notebook with its outputs; the same source gives the same bytes."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook: Any = jupytext.read(source)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    resources = {"metadata": {"path": str(HERE)}}
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        coalesce_streams=True,
        kernel_name="python3",
        resources=resources,
    )
    with client.setup_kernel():
        if warnings_fail:
            # Silent, so that it counts as no cell: messages name cells by their numbers.
            client.kc.execute(_WARNINGS_FAIL, silent=True)
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", ()) if tag in COLLAPSED]
        # Their source is collapsed: it is not what the reader came for.
        cell.metadata = {"tags": tags, "jupyter": {"source_hidden": True}} if tags else {}
        for output in cell.get("outputs", ()):
            plain = output.get("data", {})
            if "text/plain" in plain:  # the fallback behind a picture says where it lay in memory
                plain["text/plain"] = re.sub(" at 0x[0-9a-f]+", "", plain["text/plain"])
    notebook.metadata["language_info"] = {"name": "python"}
    text: str = nbformat.writes(notebook)
    return text + "\n"


def comparable(text: str) -> list[str]:
    """The lines of a notebook that must be the same on every machine.

    On one machine the whole file is the same, byte for byte. Elsewhere another version of
    matplotlib draws other pixels, and another Graphviz puts the same boxes elsewhere, which is not
    what makes an output stale. So a PNG is compared by its size in pixels (the cells print or
    assert the numbers that their figures show), an SVG by the texts in it, and all else exactly.
    """
    lines: list[str] = []
    for cell in json.loads(text)["cells"]:
        lines += [f"[{cell['cell_type']}]", *"".join(cell["source"]).splitlines()]
        for output in cell.get("outputs", ()):
            lines += [f"[{output['output_type']}]", *"".join(output.get("text", "")).splitlines()]
            for kind, content in output.get("data", {}).items():
                whole = "".join(content)
                if kind == "image/png":
                    # The header has width and height as two big-endian words, from byte 16 on.
                    width, height = struct.unpack(">II", b64decode(whole)[16:24])
                    whole = f"{width} x {height}"
                elif kind == "image/svg+xml":
                    whole = _texts(whole)
                elif kind == "text/html":
                    # An iframe holds a page as an attribute, and the page a picture.
                    page = html.unescape(whole)
                    whole = re.sub("<svg.*?</svg>", lambda m: _texts(m[0]), page, flags=re.S)
                lines += [f"[{kind}]", *whole.splitlines()]
    return lines


def _texts(svg: str) -> str:
    return "\n".join(sorted(re.findall("<text[^>]*>([^<]*)", svg)))


def main() -> None:
    """Write or check the named notebooks, or all of them."""
    check = "--check" in sys.argv
    named = tuple(Path(name).stem for name in sys.argv[1:] if name != "--check")
    stale = False
    for source in sources():
        if named and not source.stem.startswith(named):  # so `make.py 05` is enough
            continue
        notebook = source.with_suffix(".ipynb")
        made = executed(source, warnings_fail=check)
        if not check:
            notebook.write_text(made)
            print(notebook.name)
            continue
        was = notebook.read_text() if notebook.exists() else '{"cells": []}'
        difference = difflib.unified_diff(
            comparable(was),
            comparable(made),
            f"{notebook.name}, committed",
            "now",
            lineterm="",
            n=1,
        )
        for line in difference:
            stale = True
            print(line[:300])
    if stale:
        sys.exit("stale: run `python notebooks/make.py`, look at the result, and commit it")


if __name__ == "__main__":
    main()
