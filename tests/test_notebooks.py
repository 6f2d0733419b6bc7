"""The notebooks' sources run from beginning to end, and their committed outputs are not stale."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))


def check(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """`make.py --check`, in a process of its own, for a kernel's sockets outlive the cells."""
    command = [sys.executable, str(folder / "make.py"), "--check", name]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.untraced
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_executed_again_without_a_warning_a_notebook_has_the_outputs_that_are_committed(
    source: Path,
) -> None:
    pytest.importorskip("jupytext")
    pytest.importorskip("ipykernel")
    if "import torch" in source.read_text():
        pytest.importorskip("torch")
    done = check(FOLDER, source.stem)
    assert done.returncode == 0, done.stdout + done.stderr


SOURCE = """\
# %%
from autograd import Value, draw

x = Value(2.0, "x")
(x * x).backward()
print(x.grad)
for i in range(3):
    print(i, flush=True)

# %%
draw(x * x)

# %%
from autograd import check_gradients
from autograd.faults import misread, planted

with planted(misread("sin", "x", "-cos(x)")):
    print(check_gradients(lambda x: x.sin(), 1.0).blame[0])

# %%
from nn import plots

plots.figure(2.0, 1.0)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with make.py and one executed notebook."""
    pytest.importorskip("jupytext")
    pytest.importorskip("ipykernel")
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(FOLDER / "make.py", folder)
    (folder / "1.py").write_text(SOURCE)
    subprocess.run([sys.executable, str(folder / "make.py")], check=True, capture_output=True)
    return folder


# What another text in the committed file is taken for.
CHANGES = {
    "a number in the output": ('"4.0\\n"', '"4.5\\n"', True),
    "a number in a drawing": (">value 4<", ">value 5<", True),
    "where a drawing has its boxes": ('points=\\"', 'points=\\"1,1 ', False),
    "the source": ("Value(2.0", "Value(3.0", True),
    "the pixels of a figure": ("AAAA", "AAAB", False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told_from_a_stale_output(
    small: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, stale = CHANGES[change]
    monkeypatch.syspath_prepend(str(small))
    comparable = importlib.import_module("make").comparable
    text = (small / "1.ipynb").read_text()
    assert before in text
    head, _, tail = text.rpartition(before)
    assert (comparable(head + after + tail) != comparable(text)) is stale


def test_a_stale_notebook_fails_the_check_with_the_difference(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "notebooks")
    (folder / "1.ipynb").write_text((folder / "1.ipynb").read_text().replace('"4.0', '"4.5'))
    done = check(folder, "1")
    assert done.returncode == 1
    assert "-4.5\n+4.0\n" in done.stdout
    assert "make.py" in done.stderr


def test_a_warning_in_a_cell_fails_the_check(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(small / "make.py", folder)
    (folder / "1.py").write_text("# %%\nimport warnings\n\nwarnings.warn('too hot')\n")
    done = check(folder, "1")
    assert done.returncode == 1
    assert "too hot" in done.stderr


def test_a_figure_shows_itself_in_a_notebook_that_has_not_imported_pyplot(small: Path) -> None:
    cells = json.loads((small / "1.ipynb").read_text())["cells"]
    (output,) = cells[-1]["outputs"]
    assert set(output["data"]) == {"image/png", "text/plain"}
    assert output["metadata"]["image/png"] == {"width": 200, "height": 100}


def test_a_message_names_a_cell_as_the_notebook_does(small: Path) -> None:
    cells = json.loads((small / "1.ipynb").read_text())["cells"]
    (output,) = cells[2]["outputs"]
    assert "at In[3]:5" in "".join(output["text"])


def test_what_a_cell_prints_is_one_output_however_it_arrives(small: Path) -> None:
    cells = json.loads((small / "1.ipynb").read_text())["cells"]
    (output,) = cells[0]["outputs"]
    assert output["text"][-3:] == ["0\n", "1\n", "2\n"]


def test_executing_a_notebook_twice_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "notebooks")
    (folder / "1.ipynb").unlink()
    subprocess.run([sys.executable, str(folder / "make.py")], check=True, capture_output=True)
    assert (folder / "1.ipynb").read_bytes() == (small / "1.ipynb").read_bytes()
