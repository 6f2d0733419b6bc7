"""The order of the house: who may import whom, and that operations are named in one place."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograd import rows
from autograd.__main__ import main, markdown
from tests import house

ROOT = Path(__file__).resolve().parent.parent
FILES = house.FILES

# Examples and tests define operations of their own; the table in docs has the package's.
TABLE_AT_IMPORT = set(markdown().splitlines())

# The floors, from the ground up.  A file imports from lower floors and from its own, never from a
# higher one, wherever the import stands: in a function or for types alone, too.
FLOORS = """
autograd/bridges/__init__.py autograd/check/__init__.py autograd/compiled/__init__.py autograd/printers/__init__.py autograd/show/__init__.py
autograd/elsewhere.py autograd/rules.py autograd/cells.py autograd/files.py autograd/extras.py autograd/show/fonts.py autograd/show/drawing.py autograd/show/layout.py autograd/show/render.py autograd/show/style.py autograd/show/frame.py autograd/printers/notation.py autograd/atomic.py autograd/textbook.py
autograd/operands.py
autograd/operation.py
autograd/ops.py autograd/printers/machine.py
autograd/native.py
autograd/record.py autograd/printers/arrays.py autograd/printers/source.py autograd/printers/c.py autograd/printers/frameworks.py autograd/printers/jax.py autograd/printers/sympy.py autograd/advice.py autograd/options.py autograd/notes.py autograd/blame.py autograd/order.py
autograd/modes.py autograd/printers/latex.py autograd/printers/mathml.py autograd/printers/plain.py
autograd/ends.py
autograd/value.py
autograd/nestings.py autograd/adjoints.py autograd/tangents.py autograd/transform.py autograd/expressions.py autograd/piecewise.py autograd/strategies.py autograd/printers/decimals.py autograd/python_operation.py
autograd/define.py autograd/faults.py autograd/show/names.py autograd/show/graph.py
autograd/show/formulas.py autograd/show/shown.py
autograd/show/events.py autograd/show/draw.py autograd/show/paths.py
autograd/show/page.py autograd/show/widget.py
autograd/show/player.py autograd/show/terminal.py
autograd/show/animation.py autograd/show/steps.py
autograd/check/accuracy.py autograd/check/report.py autograd/check/carrier.py autograd/check/labels.py autograd/check/case.py autograd/check/slopes.py autograd/check/noise.py autograd/check/extrapolation.py autograd/check/trees.py autograd/check/runs.py autograd/check/jacobians.py autograd/check/judgement.py autograd/check/black_box.py autograd/check/differences.py
autograd/check/local.py autograd/check/adjoint.py autograd/check/program.py autograd/check/cut.py
autograd/check/direction.py autograd/check/sides.py autograd/check/missing.py autograd/check/second.py
autograd/check/end_to_end.py
autograd/check/claims.py autograd/check/explanation.py autograd/check/mistakes.py autograd/check/places.py autograd/check/replay.py autograd/check/shapes.py autograd/check/tensors.py autograd/check/diagnose.py autograd/check/reproducer.py
autograd/check/gradients.py
autograd/compiled/bundles.py autograd/compiled/traced.py autograd/compiled/whole_numbers.py autograd/compiled/recorder.py autograd/compiled/selection.py autograd/compiled/randomness.py
autograd/compiled/tape.py autograd/compiled/lowering.py autograd/compiled/precision.py autograd/compiled/continuity.py autograd/compiled/margins.py autograd/compiled/positive.py autograd/compiled/rounding.py autograd/compiled/program_file.py autograd/compiled/validity.py autograd/compiled/jax_lowering.py autograd/compiled/program.py
autograd/compiled/encoded.py autograd/compiled/native/__init__.py autograd/compiled/native/reals.py autograd/compiled/native/ir.py autograd/compiled/native/intervals.py autograd/compiled/native/target.py autograd/compiled/native/team.py autograd/compiled/native/shapes.py autograd/compiled/native/layout.py autograd/compiled/native/pullbacks.py
autograd/compiled/native/cache.py autograd/compiled/native/functions.py autograd/compiled/native/lookups.py autograd/compiled/native/contractions.py
autograd/compiled/native/printer.py autograd/compiled/native/peaks.py autograd/compiled/native/sweep.py autograd/compiled/native/records.py
autograd/compiled/native/rows.py autograd/compiled/native/limits.py
autograd/compiled/native/doubts.py autograd/compiled/native/writer.py
autograd/compiled/native/bounds.py
autograd/compiled/native/translation.py
autograd/compiled/native/kernels.py
autograd/compiled/native/calls.py
autograd/compiled/numpy_engine.py autograd/compiled/native/engine.py
autograd/compiled/engines.py
autograd/compiled/dependence.py autograd/compiled/environment.py autograd/compiled/arguments.py autograd/compiled/recording.py autograd/compiled/recordings.py
autograd/compiled/call_nodes.py autograd/compiled/serving.py autograd/compiled/verifying.py autograd/compiled/flat.py autograd/compiled/function.py
autograd/__init__.py
autograd/pytest_plugin.py
autograd/distributed/__init__.py autograd/distributed/fingerprint.py autograd/distributed/client.py autograd/distributed/files.py autograd/distributed/worker.py
autograd/distributed/driver.py
nn/columns.py nn/tables.py
nn/activations.py nn/schedules.py nn/data.py nn/storage.py
nn/module.py
nn/probabilities.py
autograd/bridges/refusals.py autograd/bridges/rules.py autograd/bridges/with_torch.py autograd/bridges/arrays.py
autograd/bridges/windows.py autograd/bridges/aten_moves.py autograd/bridges/table.py autograd/bridges/weighted.py
autograd/bridges/aten_axes.py autograd/bridges/torch_run.py
autograd/bridges/aten_products.py
autograd/bridges/aten.py
autograd/bridges/exported.py
autograd/bridges/torch_model.py
autograd/bridges/torch_rules.py
autograd/bridges/torch.py
autograd/bridges/with_jax.py autograd/bridges/primitives.py autograd/bridges/straight.py autograd/bridges/blocks.py
autograd/bridges/c_program.py autograd/bridges/jaxprs.py autograd/bridges/c.py autograd/bridges/scripts.py autograd/bridges/sympy.py autograd/bridges/markdown.py autograd/bridges/sphinx.py autograd/bridges/notebook.py
autograd/bridges/jax.py autograd/bridges/jax_rules.py
nn/reductions.py nn/metrics.py
nn/losses.py nn/optimizer.py nn/study/plots.py
nn/optim.py nn/study/curves.py
nn/arguments.py nn/study/__init__.py nn/study/examination.py nn/study/grid.py
nn/init.py
nn/layers.py
nn/study/network.py nn/study/exercises.py
nn/study/animation.py nn/exercises.py
nn/plots.py
nn/training/replay.py nn/training/history.py nn/training/progress.py
nn/training/recipe.py
nn/training/source.py nn/training/checkpoint.py
nn/training/in_memory.py nn/training/on_files.py nn/training/loop.py
nn/training/fitting.py
nn/training/__init__.py
nn/study/curvature.py nn/study/learning_rate.py nn/study/sweeps.py
nn/distributed.py nn/sweeps.py nn/microgpt.py
nn/__init__.py
nn/demo.py
autograd/__main__.py
"""  # noqa: E501 - a floor is a line
FLOOR = {file: floor for floor, line in enumerate(FLOORS.split("\n")) for file in line.split()}

# What is still to be mended.  Nothing may be added here, and what is mended must go.
CLIMBS: set[str] = set()
PRIVATE: set[str] = set()
CIRCLES: list[set[str]] = []
LARGER: dict[str, int] = {}
LONG: set[tuple[str, str]] = set()

# Lines of code, without docstrings and comments.
MOST_IN_A_FILE = 350
MOST_IN_A_FUNCTION = 60
# A folder with its own number does not count for the folder around it.  The checker judges any
# function, in decimals and in doubles, and names the mistake.  autograd/compiled compares what a
# function depends on at each call; autograd/show draws what a learner looks at; autograd/printers
# writes formulas as code, LaTeX, MathML, plain text, C, JAX, SymPy, and programs for the engine in
# C; autograd/bridges says what each operation of PyTorch and of JAX does to Values, and writes
# graphs for C, scripts and pages; nn/study holds the pictures and the exercises of the notebooks.
# autograd has the names of other libraries and the checks of single numbers, which nn uses.
MOST_IN = {
    "autograd": 4535,
    "autograd/bridges": 2690,
    "autograd/check": 3480,
    "autograd/compiled": 5294,
    "autograd/compiled/native": 3590,
    "autograd/printers": 1137,
    "autograd/show": 2070,
    "nn": 3565,
    "nn/study": 1246,
}
# Taken in by a package for itself.
UNEXPORTED = {
    "Operation",
    "Ops",
    "unknown",
}


def test_every_file_is_on_one_floor() -> None:
    assert set(FLOOR) == set(house.NAMES.values())


def test_no_import_goes_up() -> None:
    climbs = [i for i in house.all_imports() if FLOOR[i.user] < FLOOR[i.source]]
    assert {f"{i.user} -> {i.source}" for i in climbs} == CLIMBS


def test_no_files_import_each_other_in_a_circle() -> None:
    assert [set(circle) for circle in house.circles(house.all_imports())] == CIRCLES


def test_no_private_name_crosses_files() -> None:
    crossing = {f"{i.user}: {i.name}" for i in house.all_imports() if house.private(i.name)}
    for path in house.FILES:
        user = house.NAMES[path]
        crossing |= {f"{user}: {name}" for _, name, _ in house.private_attributes(path)}
        crossing |= {f"{user}: {name}" for name, _ in house.borrowed(path)}
    assert crossing == PRIVATE


@pytest.mark.parametrize("package", house.PACKAGES)
def test_what_a_package_exports_is_what_it_says(package: str) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if node.module.split(".")[0] in house.PACKAGES
    }
    door = importlib.import_module(package)
    assert set(door.__all__) == {name for name in imported if not house.private(name)} - UNEXPORTED
    assert len(door.__all__) == len(set(door.__all__))
    for name in door.__all__:
        assert getattr(door, name) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long(path: Path) -> None:
    name = house.NAMES[path]
    assert house.code_lines(path) <= LARGER.get(name, MOST_IN_A_FILE)


@pytest.mark.parametrize("wing", MOST_IN)
def test_no_wing_grows_beyond_its_budget(wing: str) -> None:
    names = {path: house.NAMES[path] for path in house.FILES}
    wings = {
        path: max(w for w in MOST_IN if name.startswith(w + "/")) for path, name in names.items()
    }
    assert sum(house.code_lines(path) for path in names if wings[path] == wing) <= MOST_IN[wing]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_too_long(path: Path) -> None:
    long = {f.name for f in house.functions(path) if house.body_lines(f) > MOST_IN_A_FUNCTION}
    assert long == {name for file, name in LONG if file == house.NAMES[path]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_opens_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(house.tree(path))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_depends_on_what_is_outside_the_project(path: Path) -> None:
    text = path.read_text()
    assert "../shared" not in text
    assert "/work/" not in text


@pytest.mark.parametrize(
    "path", [f for f in FILES if house.NAMES[f].startswith("autograd/")], ids=house.NAMES.get
)
def test_no_operation_is_defined_outside_the_table(path: Path) -> None:
    if house.NAMES[path] == "autograd/ops.py":
        return
    defined = {
        node.name for node in ast.walk(house.tree(path)) if isinstance(node, ast.FunctionDef)
    }
    assert not defined & set(rows())


def test_the_other_package_called_autograd_is_pointed_out(tmp_path: Path) -> None:
    info = tmp_path / "autograd-1.9.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: autograd\nVersion: 1.9.1\n")
    script = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]; import autograd"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "`autograd` (HIPS) is installed beside `chainrule`" in run.stderr


def test_the_table_of_operations_is_the_one_that_the_command_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["ops", "--markdown"])
    shown = [line for line in capsys.readouterr().out.splitlines() if line in TABLE_AT_IMPORT]
    assert "\n".join(shown) in (ROOT / "docs" / "operations.md").read_text()
    main(["ops"])
    assert "tanh" in capsys.readouterr().out


def test_every_picture_of_the_readme_is_there() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]*)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / path).stat().st_size > 1000
