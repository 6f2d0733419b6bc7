"""What is built and installed is whole, and a stranger's typed code can rely on it."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from autograd import native

ROOT = Path(__file__).resolve().parent.parent
CONSUMER = '''\
"""A stranger's program."""

from autograd import Value, check_gradients, compile, draw, grad
from nn import MLP, mse


def slope(x: float) -> float:
    result: float = grad(lambda v: v * v)(x)
    return result


w: Value = Value(2.0, "w")
y: Value = (w * 3.0).tanh()
y.backward()
gradient: float = w.grad
text: str = draw(y).source
model: MLP = MLP([2, 3, 1], "tanh", seed=0)
loss: Value = mse([model([1.0, 2.0])], [[0.5]])
loss.backward()
assert slope(3.0) == 6.0
assert gradient == w.grad
assert "tanh" in text
assert check_gradients(lambda v: v.sin(), 1.0)
try:
    compile(lambda v: v * v)
except ModuleNotFoundError as error:
    assert "chainrule[fast]" in str(error), error
else:
    raise AssertionError("NumPy is not here, and compile needs it")
print("fine")
'''
# What each of these needs that a bare installation lacks, and the advice that has to come.
ADVICE = {
    "draw(v).svg()": "pip install 'chainrule[viz]'",
    "draw(v).png()": "pip install 'chainrule[viz]'",
    "play(v).widget()": "pip install 'chainrule[notebook]'",
    "compile(lambda x: x)": "pip install 'chainrule[fast]'",
    "importlib.import_module('autograd.compiled.function')": "pip install 'chainrule[fast]'",
    "importlib.import_module('autograd.compiled.program')": "pip install 'chainrule[fast]'",
    "importlib.import_module('autograd.strategies')": "pip install hypothesis",
    "importlib.import_module('nn.distributed')": "pip install 'chainrule[distributed]'",
    "nn.plots.figure()": "pip install 'chainrule[plot]'",
}


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def environment(folder: Path, *packages: object, base: str = sys.executable) -> Path:
    """The Python of a new environment with these packages; this one's pip installs them."""
    run(base, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-compile", *packages)
    return python


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which there is the wheel and what it needs, and no more."""
    (wheel,) = built.glob("*.whl")
    return environment(tmp_path_factory.mktemp("empty"), wheel)


def test_wheel_and_source_distribution_are_whole(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = {
        *("autograd/py.typed", "autograd/show/page.html", "autograd/show/page.js", "nn/py.typed"),
        *("nn/datasets/iris.csv", "nn/datasets/digits.csv.gz", "nn/datasets/names.txt"),
        *("autograd/show/widget.js", "autograd/eager.c"),
    }
    assert wanted <= inside
    assert not [name for name in inside if name.startswith(("tests", "notebooks"))]
    if native.engine == "C":  # there is a compiler
        assert [name for name in inside if re.fullmatch(r"autograd/eager\.\S+\.(so|pyd)", name)]
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"tests/test_value.py", "README.md", "LICENSE", "notebooks/01_neuron.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]


@pytest.mark.skipif(os.name == "nt", reason="needs a compiler that is named by CC")
def test_without_a_compiler_the_wheel_is_pure_and_one_line_says_so(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir"]
    environment = {**os.environ, "CC": "false"}
    build += [str(tmp_path), str(ROOT)]
    done = subprocess.run(build, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout + done.stderr).count("autograd goes on in pure Python: ") == 1
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_a_strangers_program_runs_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    assert run(installed, "-W", "error", "consumer.py", cwd=tmp_path) == "fine\n"
    names = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    assert set(run(installed, "-c", names).split()) == {"chainrule", "graphviz"}
    command = installed.with_name("chainrule")
    assert "dL/dw  -0.18" in run(command, "grad", "tanh(w*x + b)", "w=2", "x=-1", "b=0.5")


@pytest.mark.parametrize("code", ADVICE)
def test_without_an_extra_the_message_says_what_to_install(
    installed: Path, tmp_path: Path, code: str
) -> None:
    setup = "import importlib, nn; from autograd import *; v = Value(1.0).tanh()"
    done = subprocess.run(
        [installed, "-c", f"{setup}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": ""},  # where there is no `dot`
    )
    assert done.returncode == 1
    assert ADVICE[code] in done.stderr.splitlines()[-1]


def test_a_strangers_program_passes_mypy_strict(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    found = run(
        *(sys.executable, "-m", "mypy", "--strict", "--python-executable", installed),
        *("--cache-dir", tmp_path / "cache", "consumer.py"),
        cwd=tmp_path,
    )
    assert "no issues found" in found


def _other_pythons() -> list[str]:
    here = f"3.{sys.version_info.minor}"
    found = []
    for version in ("3.11", "3.12", "3.13"):
        folders = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        path = shutil.which(f"python{version}")
        # A shim of pyenv answers for a version that is not switched on.
        candidates = [*map(str, folders), *([path] if path and "shims" not in path else [])]
        if version != here and candidates:
            found.append(candidates[-1])
    return found


# Where versions of Python differ: syntax trees and what they unparse to, generated code and its
# lines, dataclasses, recursion, warnings.  The mathematics is the same everywhere.
ELSEWHERE = [
    *("table", "value", "eager", "transform", "define", "expressions", "animation", "schedules"),
]
HERE_ALONE = "not ulp and not 1e_12 and not differentiating_the_second"  # mathematics, with mpmath


@pytest.mark.parametrize("python", _other_pythons())
def test_the_core_passes_its_tests_on_the_other_pythons(
    python: str, built: Path, tmp_path: Path
) -> None:
    (source,) = built.glob("*.tar.gz")  # it is compiled for the other Python, if that is possible
    inside = environment(tmp_path / "venv", source, "pytest", "mpmath", "gmpy2", base=python)
    # Beside the source, the tests would import it instead of what was compiled.
    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = [f"tests/test_{name}.py" for name in ELSEWHERE]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "quick", "-k", HERE_ALONE]
    run(inside, "-m", "pytest", *options, *files, cwd=tmp_path)
