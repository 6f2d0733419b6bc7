"""Ctrl-C: the state is the one from before or the one from after, and files are whole."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Value, draw, engines, no_grad
from autograd.flat import Flat
from autograd.value import present_mode, restorer
from nn import MLP, fit, mse
from nn.optim import SGD
from tests.benchmarks import interruptions


# Interrupted between `open` and `with`, Python closes the file itself, and says so.  Ctrl-C that
# comes in a callback of LLVM's, which compiles, is said too, and lost: the work goes on.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", interruptions.KINDS)
def test_at_random_moments_nothing_is_left_half_done(kind: str) -> None:
    hits, broken = interruptions.run(kind, 50, seed=7)
    assert hits or kind in interruptions.SELDOM
    assert not broken


def loss(outputs: list[Any], targets: list[Any]) -> Any:
    return mse([y for (y,) in outputs], targets)


DATA = [[0.0], [1.0]], [0.0, 2.0]


def test_ctrl_c_on_the_way_out_of_no_grad_does_not_switch_recording_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    model = MLP([1, 1], None, seed=0)
    monkeypatch.setattr(no_grad, "__exit__", interrupted)
    history = fit(model, DATA, loss=loss, optimizer=SGD(model, lr=0.1), epochs=3, validation=DATA)
    assert history.stopped == "interrupted in epoch 1"
    assert present_mode() is None
    assert (Value(2.0) * 3.0).parents


def test_training_leaves_the_filters_of_warnings_alone() -> None:
    # They belong to the whole process: other threads, and whoever catches an interruption.
    before, seen = list(warnings.filters), []

    def watching(outputs: list[Any], targets: list[Any]) -> Any:
        seen.append(list(warnings.filters))
        return loss(outputs, targets)

    model = MLP([1, 1], None, seed=0)
    fit(model, DATA, loss=watching, optimizer=SGD(model, lr=0.1), epochs=2)
    assert seen == [before, before]


def test_gradients_are_put_back_in_one_step() -> None:
    nodes = [Value(float(i)) for i in range(3)]
    undo = restorer(nodes)
    for node in nodes:
        node.backward()
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    undo()
    sys.setprofile(None)
    assert "call" not in calls  # no function of Python's, in which it would look for signals
    assert [node.grad for node in nodes] == [0.0, 0.0, 0.0]


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        draw(Value(1.0, "x") * 2.0).render(tmp_path / "graph.dot")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_on_the_way_out_of_a_recording_leaves_nobody_watched() -> None:
    def interrupted(x: Value) -> Value:
        raise KeyboardInterrupt

    slot = vars(Value)["data"]
    with pytest.raises(KeyboardInterrupt):
        autograd.compile(interrupted)(1.0)
    assert vars(Value)["data"] is slot
    assert present_mode() is None


def test_ctrl_c_on_the_way_out_of_a_flat_does_not_lose_what_was_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    model, other = MLP([1, 1], None, seed=0), MLP([1, 1], None, seed=0)
    fit(other, DATA, loss=loss, optimizer=SGD(other, lr=0.1), epochs=3, compiled=True)
    monkeypatch.setattr(Flat, "__exit__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(model, DATA, loss=loss, optimizer=SGD(model, lr=0.1), epochs=3, compiled=True)
    assert [p.data for p in model.parameters()] == [p.data for p in other.parameters()]


def test_what_a_crash_left_in_the_cache_of_kernels_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    for left in (b"", b"\x80\x05half of an index", b""):
        engines._compiled.cache_clear()
        assert autograd.compile(lambda x: x.tanh(), engine="numba")(0.0) == 0.0
        kept = [*tmp_path.glob("__pycache__/*.nb[ic]")]
        assert len(kept) == 4
        for path in kept:
            path.write_bytes(left)
