"""Grids of runs: their table and best, what each run is given, and the picture that grows."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nn import MLP, TrainingError, init, mse
from nn.optim import SGD, Adam
from nn.study import sweeps
from nn.sweeps import Grid, Trained, sweep
from nn.training import History

DATA = [[-1.0], [0.0], [1.0]], [[1.0], [0.0], [1.0]]


def made(initializer: Any, seed: int) -> MLP:
    return MLP([1, 2, 1], "tanh", init=initializer or init.he_normal(), seed=seed)


def grid(*runs: tuple[float, str, int, list[float]]) -> Grid:
    return Grid([0.1, 0.5], ["a", "longer name here"], [0, 1], [Trained(*run) for run in runs])


def test_a_grid_prints_what_is_done_and_marks_the_best() -> None:
    found = grid(
        (0.1, "a", 0, [2.0, 1.5]),
        (0.1, "a", 1, [2.0, 0.5]),
        (0.5, "a", 0, [2.0, 2.0 * (1 + 1e-10)]),
        (0.5, "longer name here", 0, [2.0, math.inf]),
        (0.5, "longer name here", 1, [2.0, 2.1]),
    )
    assert str(found).split("\n") == [
        "    rate  initializer           median      lowest     highest  diverged",
        "     0.1  a                          1         0.5         1.5  0 of 2  <- best",
        "     0.5  a                          2           2           2  0 of 1",
        "     0.5  longer name here         inf         2.1         inf  2 of 2",
    ]
    assert len(found) == 8
    assert found.finals(0.1, "a") == [1.5, 0.5]
    assert math.isnan(found.median(0.1, "longer name here"))
    assert found.best == (0.1, "a")
    with pytest.raises(ValueError, match=r"^sweep: no run is completed$"):
        _ = grid().best


def test_a_grid_in_which_only_the_rates_differ_is_a_line_of_outcomes() -> None:
    pytest.importorskip("matplotlib")
    found = Grid([0.1, 0.5], ["default"], [0])
    assert str(found) == "    rate        start        final  outcome"
    assert found.outcomes == []
    assert "0 of 2 runs" in found.figure().axes[0].get_title()
    found.runs = [Trained(0.1, "default", 0, [2.0, 1.5]), Trained(0.5, "default", 0, [2.0, 0.5])]
    assert found.outcomes == ["slow", "good"]
    assert str(found).split("\n")[1:] == [
        "     0.1            2          1.5  slow",
        "     0.5            2          0.5  good",
    ]
    assert len(found.figure().axes[0].lines) == 2


@pytest.mark.parametrize(
    ("loss", "diverged"),
    [
        ([2.0, 2.0 * (1 + 1e-10)], False),
        ([2.0, 2.1], True),
        ([-1.0, -1.0], False),
        ([-1.0, -0.9], True),
        ([2.0, math.nan], True),
        ([2.0, math.inf], True),
    ],
)
def test_a_run_diverged_if_it_ends_above_its_start_but_for_rounding(
    loss: list[float], diverged: bool
) -> None:
    assert Trained(0.1, "a", 0, loss).diverged is diverged


def test_of_equal_cells_the_first_is_the_best() -> None:
    found = Grid([0.1, 0.5], ["b", "a"], [0])
    found.runs = [Trained(r, n, 0, [2.0, 1.0]) for r in (0.5, 0.1) for n in ("a", "b")]
    assert found.best == (0.1, "b")


class Fit:
    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def __call__(self, model: Any, data: Any, **options: Any) -> History:
        assert data is DATA
        self.given.append(options)
        if options["optimizer"].lr > 1.0:
            raise TrainingError("inf", History(loss=[3.0]))
        return History(loss=[0.5, options["optimizer"].lr])


def test_each_run_is_given_what_the_sweep_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = Fit()
    monkeypatch.setattr(sweeps, "fit", fitted)
    found = sweep(made, DATA, loss=mse, rates=[2.0, 0.25])
    assert (found.rates, found.initializers, found.seeds) == ([0.25, 2.0], ["default"], [0])
    first = [one.loss[0] for one in found.runs]
    assert [one.loss[1:] for one in found.runs] == [[0.5, 0.25], [3.0, math.inf]]
    model = made(None, 0)
    start = mse([model(x) for x in DATA[0]], DATA[1]).data
    assert first == [start, start]
    options = {k: v for k, v in fitted.given[0].items() if k != "optimizer"}
    assert options == {
        "loss": mse, "epochs": 20, "batch_size": None, "seed": 0, "progress": False,
        "compiled": False,
    }  # fmt: skip
    assert type(fitted.given[0]["optimizer"]) is SGD
    fitted.given.clear()
    starts = [init.zeros(), None, init.ones()]
    found = sweep(
        made, DATA, loss=mse, rates=[0.25], initializers=starts, seeds=[4, 3], epochs=7,
        batch_size=2, compiled=True, optimizer=lambda model, rate: Adam(model, lr=rate),
    )  # fmt: skip
    assert found.initializers == [str(init.zeros()), "default", str(init.ones())]
    assert [(one.initializer, one.seed) for one in found.runs] == [
        (name, seed) for name in found.initializers for seed in (4, 3)
    ]
    for one, options in zip(found.runs, fitted.given, strict=True):
        assert type(options.pop("optimizer")) is Adam
        assert options == {
            "loss": mse, "epochs": 7, "batch_size": 2, "seed": one.seed, "progress": False,
            "compiled": True,
        }  # fmt: skip


def test_a_run_on_a_worker_compares_fingerprints_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd.distributed import fingerprint as fingerprints

    compared: list[Any] = []
    monkeypatch.setattr(fingerprints, "compare", compared.append)
    monkeypatch.setattr(sweeps, "fit", Fit())
    own = {"Python": "3"}
    for fingerprint, wanted in ((own, [own]), ({}, [])):
        compared.clear()
        task = sweeps._Task(made, DATA, mse, SGD, {"epochs": 1}, fingerprint)
        assert sweeps._run(0.25, None, 0, task)[1:] == [0.5, 0.25]
        assert compared == wanted


def test_a_cluster_is_asked_and_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd.distributed import client as clients

    given: list[Any] = []

    def completed(client: Any, function: Any, columns: Any, task: Any) -> Iterator[Any]:
        given.append((client, task.fingerprint))
        for k in (1, 0):
            yield k, [9.0, columns[0][k]]

    monkeypatch.setattr(clients, "agree", lambda client: {"asked": client})
    monkeypatch.setattr(clients, "completed", completed)
    found = sweep(made, DATA, loss=mse, rates=[0.5, 0.25], client="a client")
    assert given == [("a client", {"asked": "a client"})]
    assert [(one.rate, one.loss) for one in found.runs] == [(0.25, [9.0, 0.25]), (0.5, [9.0, 0.5])]


@pytest.mark.parametrize("progress", [None, True])
def test_a_bar_counts_the_runs_and_tells_the_best(
    progress: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    @contextlib.contextmanager
    def bar(count: int, wanted: bool | None, unit: str) -> Iterator[Any]:
        asked.append((count, wanted, unit))
        yield asked.append

    monkeypatch.setattr(sweeps, "bar", bar)
    monkeypatch.setattr(sweeps, "fit", Fit())
    options = {} if progress is None else {"progress": progress}
    sweep(made, DATA, loss=mse, rates=[0.5, 0.25], **options)  # type: ignore[arg-type]
    assert asked == [(2, progress, "run"), "best 0.25", "best 0.25"]


def test_the_picture_is_drawn_at_the_begin_the_end_and_once_a_second(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = iter([0.0, 0.5, 1.0, 1.25, 1.5, 2.0, 2.5, 2.75, 99.0, 99.0, 99.0])
    drawn: list[tuple[int, Path]] = []
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sweeps, "_draw", lambda found, path: drawn.append((len(found.runs), path)))
    monkeypatch.setattr(sweeps, "fit", Fit())
    rates = [0.1 * (k + 1) for k in range(8)]
    sweep(made, DATA, loss=mse, rates=rates, picture=tmp_path / "grid.png")
    # After 0.5 and exactly 1.0 seconds it waits; at 1.25 it draws, and counts from 1.5 on.
    assert drawn == [(k, tmp_path / "grid.png") for k in (0, 3, 6, 8)]


@pytest.mark.parametrize(("name", "start"), [("g.png", b"\x89PNG"), ("g.SVG", b"<?xml"),
                                             ("g.tar.pdf", b"%PDF")])  # fmt: skip
def test_a_picture_has_the_format_of_its_name(name: str, start: bytes, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sweeps._draw(grid((0.1, "a", 0, [2.0, 1.5])), tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert data.startswith(start)
    if name.endswith("png"):
        width = int.from_bytes(data[16:20], "big")
        inches = grid().figure().get_size_inches()[0]
        assert width == pytest.approx(150 * inches, abs=2)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rates": []}, "^sweep: no rates$"),
        ({"rates": [0.1], "seeds": []}, "^sweep: no seeds$"),
        ({"rates": [0.1], "initializers": {}}, "^sweep: no initializers$"),
        ({"rates": [0.1, 0.1]}, r"^sweep: rates has duplicates: \[0\.1, 0\.1\]$"),
        ({"rates": [0.1], "initializers": [None, None]}, "^sweep: initializers has duplicates"),
        ({"rates": [0.1], "picture": "grid.gif"},
         r"^sweep: a picture must end in \.png, \.svg, \.pdf, got 'grid\.gif'$"),
    ],
)  # fmt: skip
def test_a_sweep_that_makes_no_sense_is_refused_before_it_begins(
    options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        sweep(made, DATA, loss=mse, **options)
