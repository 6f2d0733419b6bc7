"""Ctrl-C: the state is the one from before or the one from after, and files are whole."""

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Value, draw, no_grad
from autograd.compiled.native import kernels
from autograd.modes import present_mode
from autograd.value import restorer
from nn import MLP, Module, find_learning_rate, fit, learning_rate_sweep, mse
from nn.optim import SGD
from nn.sweeps import sweep
from nn.training import History, loop
from tests.benchmarks import interruptions

# Interrupted between `open` and `with`, Python closes the file itself, and says so.  Ctrl-C that
# comes in a callback of LLVM's, which compiles, is said too, and lost: the work goes on.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EVERYWHERE = [kind for kind in interruptions.KINDS if kind not in interruptions.SELDOM]


@pytest.mark.untraced
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_at_some_of_all_places_of_the_code_nothing_is_left_half_done(kind: str) -> None:
    trials, hits, broken = interruptions.everywhere(kind, 25, seed=7)
    assert not broken
    assert hits > trials // 2


@pytest.mark.untraced
@pytest.mark.parametrize("kind", interruptions.KINDS)
def test_at_random_moments_nothing_is_left_half_done(kind: str) -> None:
    hits, broken = interruptions.run(kind, 15, seed=7)
    assert hits or kind in interruptions.SELDOM
    assert not broken


@pytest.mark.untraced
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
def test_a_run_that_is_killed_goes_on_to_the_same_bits_and_leaves_no_files() -> None:
    _, broken = interruptions.killed(15, seed=7)
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
    assert (history.stopped, history.interrupted) == ("interrupted in epoch 1", True)
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


@pytest.mark.parametrize("compiled", [False, True])
def test_ctrl_c_after_the_last_epoch_loses_nothing_that_was_learned_and_is_said(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def closing(*_: Any) -> Iterator[Any]:
        yield lambda note: None
        raise KeyboardInterrupt

    model, other = MLP([1, 1], None, seed=0), MLP([1, 1], None, seed=0)
    options: dict[str, Any] = {"loss": loss, "epochs": 3, "compiled": compiled}
    whole = fit(other, DATA, optimizer=SGD(other, lr=0.1), **options)
    monkeypatch.setattr(loop, "bar", closing)
    history = fit(model, DATA, optimizer=SGD(model, lr=0.1), **options)
    assert [p.data for p in model.parameters()] == [p.data for p in other.parameters()]
    assert (history.loss, history.interrupted) == (whole.loss, True)
    assert history.stopped == "interrupted after epoch 3"


def test_a_run_that_had_stopped_says_both() -> None:
    def stop(epoch: int, history: History) -> bool:
        return True

    def pressed(epoch: int, history: History) -> None:
        if history.stopped:
            raise KeyboardInterrupt

    model = MLP([1, 1], None, seed=0)
    options: dict[str, Any] = {"loss": loss, "optimizer": SGD(model, lr=0.1)}
    history = fit(model, DATA, callbacks=[stop], epochs=5, **options)
    assert (history.stopped, history.interrupted) == ("a callback asked to stop", False)
    history = fit(model, DATA, patience=1, callbacks=[pressed], epochs=1000, **options)
    assert history.interrupted
    assert history.stopped == (
        f"no better loss for 1 epochs; interrupted after epoch {len(history)}"
    )


class Pressed:
    """A loss in which somebody presses Ctrl-C at the n-th call."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, outputs: list[Any], targets: list[Any]) -> Any:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return loss(outputs, targets)


def started(initializer: Any, seed: int) -> Module:
    return MLP([1, 1], None, seed=seed)


BUILT_ON_FIT: dict[str, Callable[[Any], Any]] = {
    "find_learning_rate": lambda loss: find_learning_rate(started(None, 0), DATA, loss=loss),
    "learning_rate_sweep": lambda loss: learning_rate_sweep(
        started(None, 0), DATA, loss=loss, rates=[0.1, 0.5], epochs=6
    ),
    "sweep": lambda loss: sweep(started, DATA, loss=loss, rates=[0.1], seeds=[0, 1], epochs=6),
}


@pytest.mark.parametrize("n", [1, 5, 9])
@pytest.mark.parametrize("name", BUILT_ON_FIT)
def test_what_is_built_on_fit_takes_no_cut_run_for_a_whole_one(name: str, n: int) -> None:
    press = Pressed(n)
    with pytest.raises(KeyboardInterrupt):
        BUILT_ON_FIT[name](press)
    assert press.left == 0  # and nothing ran after it


def test_a_validation_leaves_a_module_that_its_owner_froze_as_it_is() -> None:
    model = MLP([1, 2, 1], "tanh", seed=0)
    model.layers[0].training = False
    fit(model, DATA, loss=loss, optimizer=SGD(model, lr=0.1), epochs=1, validation=DATA)
    assert [layer.training for layer in model.layers] == [False, True]
    assert model.training


def test_what_a_crash_left_in_the_cache_of_kernels_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    for left in (b"", b"half of an object", b""):
        kernels.shared_kernels.cache_clear()
        assert autograd.compile(lambda x: x.tanh(), engine="native")(0.0) == 0.0
        kept = [*tmp_path.glob("*.o")]
        assert kept
        for path in kept:
            path.write_bytes(left)
