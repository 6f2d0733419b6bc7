"""The order of the house: who may import whom, and that operations are named in one place."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograd import rows
from autograd.__main__ import main, markdown

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*ROOT.glob("autograd/**/*.py"), *ROOT.glob("nn/**/*.py")])

# Examples and tests define operations of their own; the README's table has the package's.
TABLE_AT_IMPORT = set(markdown().splitlines())

# A file imports from files above it only.
ORDER = ["rules", "ops", "advice", "record", "value", "transform"]


def imported(path: Path) -> set[str]:
    """The modules of `autograd` that a file imports when it is loaded."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "autograd":
                names |= {alias.name for alias in node.names}
            elif node.module.startswith("autograd."):
                names.add(node.module.split(".")[1])
    return names


@pytest.mark.parametrize("name", ORDER)
def test_imports_go_up_the_list_only(name: str) -> None:
    known = set(ORDER)
    used = imported(ROOT / "autograd" / f"{name}.py") & known
    assert used <= set(ORDER[: ORDER.index(name)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_opens_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_depends_on_what_is_outside_the_project(path: Path) -> None:
    text = path.read_text()
    assert "../shared" not in text
    assert "/work/" not in text


@pytest.mark.parametrize(
    "path", [f for f in FILES if f.parts[-2] == "autograd"], ids=lambda p: p.name
)
def test_no_operation_is_defined_outside_the_table(path: Path) -> None:
    if path.name == "ops.py":
        return
    defined = {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert not defined & set(rows())


def test_the_other_package_called_autograd_is_pointed_out(tmp_path: Path) -> None:
    info = tmp_path / "autograd-1.9.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: autograd\nVersion: 1.9.1\n")
    script = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]; import autograd"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "`autograd` (HIPS) is installed beside `chainrule`" in run.stderr


def test_the_readme_has_the_table_of_operations_as_the_command_prints_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["ops", "--markdown"])
    shown = [line for line in capsys.readouterr().out.splitlines() if line in TABLE_AT_IMPORT]
    assert "\n".join(shown) in (ROOT / "README.md").read_text()
    main(["ops"])
    assert "tanh" in capsys.readouterr().out


def test_every_picture_of_the_readme_is_there() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]*)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / path).stat().st_size > 1000
