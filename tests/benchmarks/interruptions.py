"""Ctrl-C at random moments: what is left is the state from before, or the one from after."""

import argparse
import contextlib
import gc
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autograd import Value, draw, grad, topological
from autograd.value import present_mode, set_mode
from nn import MLP, fit, mse
from nn.module import present_scoping, set_scoping
from nn.optim import Adam

# Runs until it is interrupted or done; then a text says what is broken, '' that nothing is.
Trial = Callable[[float], tuple[bool, str]]


def interrupted(work: Callable[[], Any], seconds: float) -> bool:
    """Whether KeyboardInterrupt, raised after so many seconds as Ctrl-C raises it, ended work."""
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    # What measures coverage has locks that it could not give back.
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        work()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        sys.settrace(trace)
    return False


def _graph(length: int = 400) -> tuple[Value, list[Value]]:
    leaf = Value(1.0)
    out = leaf
    for _ in range(length):
        out = out * 1.0 + leaf * 1e-6
    return out, topological(out)


def backward(folder: Path) -> Trial:
    """`.grad` of every node, inner ones too."""
    out, order = _graph()
    out.backward()
    before = [node.grad for node in order]
    out.backward()
    after = [node.grad for node in order]

    def trial(seconds: float) -> tuple[bool, str]:
        for node, g in zip(order, before, strict=True):
            node.grad = g
        hit = interrupted(out.backward, seconds)
        found = [node.grad for node in order]
        return hit, "" if found in (before, after) else "a .grad is neither old nor new"

    return trial


def gradient(folder: Path) -> Trial:
    """`grad` leaves every `.grad` alone, whatever happens."""
    out, order = _graph()
    out.backward()
    before = [node.grad for node in order]

    def trial(seconds: float) -> tuple[bool, str]:
        hit = interrupted(lambda: grad(out, [order[0]]), seconds)
        found = [node.grad for node in order]
        return hit, "" if found == before else "grad changed a .grad"

    return trial


_INPUTS = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, -0.5]]
_TARGETS = [1.0, -1.0, 0.5, 0.0]


def _loss(outputs: list[Any], targets: list[Any]) -> Any:
    return mse([y for (y,) in outputs], targets)


def _fitted(optimizer: Adam, model: Any, **more: Any) -> Any:
    data = _INPUTS, _TARGETS
    return fit(
        model, data, loss=_loss, optimizer=optimizer, epochs=4, batch_size=2, watch=True,
        validation=data, progress=False, **more,
    )  # fmt: skip


def _model() -> Any:
    return MLP([2, 3, 1], "tanh", seed=0)


def _bits(model: Any) -> list[str]:
    return [p.data.hex() for p in model.parameters()]


def training(folder: Path) -> Trial:
    """Model, optimizer, history and checkpoint of `fit`, and what a resumed run comes to."""
    states = [_bits(_model())]

    class Watched(Adam):
        def step(self) -> None:
            super().step()
            states.append([p.data.hex() for group in self.groups for p in group.parameters])

    model = _model()
    _fitted(Watched(model, lr=0.05), model)

    def trial(seconds: float) -> tuple[bool, str]:
        path = folder / "checkpoint"
        path.unlink(missing_ok=True)
        made: list[Any] = []
        model = _model()
        optimizer = Adam(model, lr=0.05)

        def work() -> None:
            made.append(_fitted(optimizer, model, checkpoint=path))

        hit = interrupted(work, seconds) or bool(made[0].stopped)
        broken = []
        if _bits(model) != states[optimizer.taken]:
            broken.append("the model is between two steps, or its optimizer is elsewhere")
        if made:
            one = made[0]
            if not len(one.loss) == len(one.rate) == len(one.validation_loss) == len(one.weights):
                broken.append("the history's columns differ in length")
        left = {p.name for p in folder.iterdir()} - {"checkpoint"}
        if left:
            broken.append(f"files are left: {left}")
        again = _model()
        history = _fitted(Adam(again, lr=0.05), again, checkpoint=path, resume=path.exists())
        if _bits(again) != states[-1] or len(history) != 4:
            broken.append("the resumed run came to other bits")
        return hit, "; ".join(broken)

    return trial


def saving(folder: Path) -> Trial:
    """A file of parameters is the old one or the new one, and nothing lies beside it."""
    old, new = MLP([2, 8, 1], "tanh", seed=0), MLP([2, 8, 1], "tanh", seed=1)
    path = folder / "model.json"

    def trial(seconds: float) -> tuple[bool, str]:
        old.save(path)
        hit = interrupted(lambda: new.save(path), seconds)
        read = MLP([2, 8, 1], "tanh", seed=2)
        read.load(path)
        whole = _bits(read) in (_bits(old), _bits(new)) and [*folder.iterdir()] == [path]
        return hit, "" if whole else "a file is damaged, or a temporary one is left"

    return trial


def drawing(folder: Path) -> Trial:
    """A picture's file is there or not, and the gradients are as they were."""
    x = Value(2.0, "x")
    out = (x * x).tanh() + x
    out.label = "y"
    out.backward()
    order = topological(out)
    before = [node.grad for node in order]
    path = folder / "graph.dot"

    def picture() -> str:
        return draw(out).render(path)

    picture()
    whole = path.read_text()

    def trial(seconds: float) -> tuple[bool, str]:
        path.unlink(missing_ok=True)
        hit = interrupted(picture, seconds)
        broken = [] if [node.grad for node in order] == before else ["a gradient has changed"]
        if left := {p.name for p in folder.iterdir()} - {path.name}:
            broken.append(f"files are left: {left}")
        if path.exists() and path.read_text() != whole:
            broken.append("the file is not whole")
        return hit, "; ".join(broken)

    return trial


KINDS = {
    "backward": backward,
    "grad": gradient,
    "fit": training,
    "save": saving,
    "draw": drawing,
}


@contextlib.contextmanager
def _emptied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def run(kind: str, trials: int, seed: int = 0) -> tuple[int, list[str]]:
    """How many trials were interrupted, and what was broken."""
    rng = random.Random(seed)
    with _emptied() as folder:
        trial = KINDS[kind](folder)
        start = time.perf_counter()
        trial(60.0)
        trial(60.0)
        usual = (time.perf_counter() - start) / 2
        hits, broken = 0, []
        filters = list(warnings.filters)
        for _ in range(trials):
            hit, text = trial(rng.uniform(0.0, usual))
            hits += hit
            if present_mode() is not None:
                text += "; a mode is left"
                set_mode(None)
            if not present_scoping():
                text += "; modules open no scopes any more"
                set_scoping(True)
            if not gc.isenabled():
                text += "; the collector rests"
                gc.enable()
            if warnings.filters != filters:
                text += "; the filters of warnings are not as they were"
            if text:
                broken.append(text)
    return hits, broken


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="interruptions", description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="of each kind (200)")
    given = parser.parse_args(arguments)
    print("| interrupted | trials | interrupted in time | broken |\n|---|---|---|---|")
    failed = []
    for kind in KINDS:
        hits, broken = run(kind, given.trials)
        failed += [f"{kind}: {text}" for text in broken]
        print(f"| {kind} | {given.trials} | {hits} | {len(broken)} |", flush=True)
    for text in dict.fromkeys(failed):
        print(text)
