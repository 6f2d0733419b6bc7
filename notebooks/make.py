"""Executes the notebooks' sources and writes the .ipynb files beside them, outputs and all.

`python notebooks/make.py [name ...]`
"""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def sources() -> list[Path]:
    """The notebooks' sources, in order."""
    return sorted(HERE.glob("[0-9]*.py"))


def executed(source: Path) -> str:
    """The text of the notebook with its outputs; the same source gives the same bytes."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook: Any = jupytext.read(source)
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    resources = {"metadata": {"path": str(HERE)}}
    NotebookClient(
        notebook, timeout=300, record_timing=False, kernel_name="python3", resources=resources
    ).execute()
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata["language_info"] = {"name": "python"}
    text: str = nbformat.writes(notebook)
    return text + "\n"


def main() -> None:
    """Write the named notebooks, or all of them."""
    named = [Path(name).stem for name in sys.argv[1:]]
    for source in sources():
        if not named or source.stem in named:
            source.with_suffix(".ipynb").write_text(executed(source))
            print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main()
