"""The notebooks' sources run from beginning to end, and the executed ones are of these sources."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_runs_as_a_script(source: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(source)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_executed_notebook_is_of_this_source(source: Path) -> None:
    notebook = json.loads(source.with_suffix(".ipynb").read_text())
    executed = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    parts = re.split(r"^# %%(?: \[markdown\])?\n", source.read_text(), flags=re.M)[1:]
    code = [part.strip() for part in parts if not part.startswith("# ")]
    assert [cell.strip() for cell in executed] == code
    assert all(c["execution_count"] for c in notebook["cells"] if c["cell_type"] == "code")
