"""Ctrl-C at random moments: what is left is the state from before, or the one from after."""

import argparse
import contextlib
import gc
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import autograd
from autograd import Value, draw, engines, grad, topological
from autograd.program import Program
from autograd.value import present_mode, set_mode
from nn import MLP, fit, mse
from nn.module import present_scoping, set_scoping
from nn.optim import Adam

# Runs until it is interrupted or done; then a text says what is broken, '' that nothing is.
Trial = Callable[[float], tuple[bool, str]]
_UNWATCHED = vars(Value)["data"]  # while a function is recorded, another one is in its place


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


class _Watched(Adam):
    """Keeps the bits of the parameters, and of what it remembers, after every step."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, lr=0.05)
        self.states: list[list[str]] = []
        self.memories: list[Any] = []
        self._keep(p.data for p in self.groups[0].parameters)

    def step(self) -> None:
        super().step()
        numbers = (p.data for group in self.groups for p in group.parameters)
        self._keep(numbers)

    def step_flat(self, flat: Any) -> None:
        super().step_flat(flat)
        self._keep(flat.numbers.tolist())

    def _keep(self, numbers: Iterable[float]) -> None:
        self.states.append([x.hex() for x in numbers])
        self.memories.append(_memory(self))


def _memory(optimizer: Adam) -> list[Any]:
    return [{k: list(map(float, v)) for k, v in g.state.items()} for g in optimizer.groups]


def _training(compiled: bool, folder: Path) -> Trial:
    model = _model()
    watched = _Watched(model)
    _fitted(watched, model, compiled=compiled)
    states = watched.states

    def trial(seconds: float) -> tuple[bool, str]:
        path = folder / "checkpoint"
        path.unlink(missing_ok=True)
        made: list[Any] = []
        model = _model()
        optimizer = Adam(model, lr=0.05)

        def work() -> None:
            made.append(_fitted(optimizer, model, checkpoint=path, compiled=compiled))

        hit = interrupted(work, seconds) or bool(made[0].stopped)
        broken = []
        if _bits(model) != states[optimizer.taken]:
            broken.append("the model is between two steps, or its optimizer is elsewhere")
        if _memory(optimizer) != watched.memories[optimizer.taken]:
            broken.append("what the optimizer remembers is of another step")
        if made:
            one = made[0]
            if not len(one.loss) == len(one.rate) == len(one.validation_loss) == len(one.weights):
                broken.append("the history's columns differ in length")
        left = {p.name for p in folder.iterdir()} - {"checkpoint"}
        if left:
            broken.append(f"files are left: {left}")
        again, resume = _model(), path.exists()
        history = _fitted(
            Adam(again, lr=0.05), again, checkpoint=path, resume=resume, compiled=compiled
        )
        if _bits(again) != states[-1] or len(history) != 4:
            broken.append("the resumed run came to other bits")
        return hit, "; ".join(broken)

    return trial


def training(folder: Path) -> Trial:
    """Model, optimizer, history and checkpoint of `fit`, and what a resumed run comes to."""
    return _training(False, folder)


def training_compiled(folder: Path) -> Trial:
    """The same of `fit(compiled=True)`, whose numbers are in arrays between two epochs."""
    return _training(True, folder)


def _compiled(engine: str = "auto", **more: Any) -> tuple[Any, list[Value], Any]:
    """A function with a branch, its parameters, and rows that take both ways."""
    model = _model()

    def sample(x: Any) -> Any:
        (y,) = model(x)
        return (y * y).tanh() if x[0] > 0.0 else y * 0.5

    made = autograd.compile(sample, engine=engine, reduction="mean", **more)
    return made, model.parameters(), np.array([[0.5, 1.0], [-0.5, 1.0], [0.25, -1.0]])


def recording(folder: Path) -> Trial:
    """A first call: afterwards the function is recorded or not, and gives the right bits."""
    whole, parameters, rows = _compiled()
    inputs = [rows, rows.astype(int), rows[1].tolist(), tuple(rows[2].tolist())]
    want = [np.ravel(whole(x)).tolist() for x in inputs]
    before = [(p.data, p.grad) for p in parameters]

    def trial(seconds: float) -> tuple[bool, str]:
        made, leaves, _ = _compiled(cache=3)  # fewer than there are: some are forgotten

        def work() -> None:
            for x in inputs:
                made(x)

        hit = interrupted(work, seconds)
        broken = []
        if [(p.data, p.grad) for p in leaves] != before:
            broken.append("recording changed a parameter")
        if len(made.recordings) > 3 or not all(made._kept.shelf.kept.values()):
            broken.append("what is recorded is not whole")
        if [np.ravel(made(x)).tolist() for x in inputs] != want:
            broken.append("the function came to other bits")
        return hit, "; ".join(broken)

    return trial


_CALLS = 20


def _calling(engine: str) -> Trial:
    made, parameters, rows = _compiled(engine)
    rows = np.tile(rows, (20, 1))
    want = made(rows)
    sums = [[0.0] * len(parameters)]
    for _ in range(_CALLS):
        made.backward(rows)
        sums.append([p.grad for p in parameters])

    def work() -> None:
        for _ in range(_CALLS):
            made.backward(rows)

    def trial(seconds: float) -> tuple[bool, str]:
        for p in parameters:
            p.grad = 0.0
        hit = interrupted(work, seconds)
        found = [p.grad for p in parameters]
        broken = [] if found in sums else ["a .grad is neither old nor new"]
        if made(rows) != want or made.recorded != 2:
            broken.append("the function came to other bits, or was recorded again")
        return hit, "; ".join(broken)

    return trial


def calling_numpy(folder: Path) -> Trial:
    """`.grad` of the parameters after compiled calls on NumPy, and the next call."""
    return _calling("numpy")


def calling(folder: Path) -> Trial:
    """`.grad` of the parameters after compiled calls in native code, and the next call."""
    return _calling("auto")


def stepping(folder: Path) -> Trial:
    """Steps on a `Flat`: arrays, optimizer and Values are each of one step, whole."""
    made, parameters, rows = _compiled()
    start = [p.data for p in parameters]
    slopes: list[list[float]] = [[0.0] * len(start)]

    def steps(optimizer: Adam, flat: Any, rounds: int = 6) -> None:
        with flat:
            for k in range(rounds):
                flat.backward(rows[: 1 + k % 3])
                optimizer.step_flat(flat)

    watched = _Watched(parameters)
    flat = made.flat(parameters)
    for k in range(6):
        flat.backward(rows[: 1 + k % 3])
        slopes.append(flat.gradients.tolist())
        watched.step_flat(flat)
    states = watched.states

    def trial(seconds: float) -> tuple[bool, str]:
        for p, datum in zip(parameters, start, strict=True):
            p.data, p.grad = datum, 0.0
        optimizer, flat = Adam(parameters, lr=0.05), made.flat(parameters)
        hit = interrupted(lambda: steps(optimizer, flat), seconds)
        taken, broken = optimizer.taken, []
        if [x.hex() for x in flat.numbers.tolist()] != states[taken]:
            broken.append("the arrays are between two steps")
        if _memory(optimizer) != watched.memories[taken]:
            broken.append("what the optimizer remembers is of another step")
        if flat.gradients.tolist() not in slopes[taken : taken + 2]:
            broken.append("the gradients are of no step")
        left = [p.data.hex() for p in parameters], [p.grad for p in parameters]
        # Ctrl-C at the start of `__exit__` leaves the Values as they were.
        now = [x.hex() for x in flat.numbers.tolist()], flat.gradients.tolist()
        if left not in (now, (states[0], slopes[0])):
            broken.append("the Values are between two steps")
        return hit, "; ".join(broken)

    return trial


def keeping(folder: Path) -> Trial:
    """A file of a Program is the old one or the new one, and nothing lies beside it."""
    made, _, rows = _compiled()
    made(rows[0].tolist()), made(rows[1].tolist())
    old, new = (one.program for one in made.recordings)
    path = folder / "program.npz"

    def trial(seconds: float) -> tuple[bool, str]:
        old.save(path)
        hit = interrupted(lambda: new.save(path), seconds)
        found = Program.load(path).digest
        whole = found in (old.digest, new.digest) and [*folder.iterdir()] == [path]
        return hit, "" if whole else "a file is damaged, or a temporary one is left"

    return trial


def building(folder: Path) -> Trial:
    """A row made native code: what is left on disk serves whoever wants it next.

    While LLVM works, Ctrl-C waits for its next callback, and is lost there.
    """

    def trial(seconds: float) -> tuple[bool, str]:
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)

        def work() -> float:
            engines._compiled.cache_clear()
            return float(autograd.compile(lambda x: x.tanh(), engine="numba")(0.5))

        with mock.patch.dict(os.environ, CHAINRULE_CACHE=str(folder)):
            hit = interrupted(work, seconds)
            found = [work(), work()]  # made or read, and read
        left = [path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
        broken = [f"files are left: {left}"] if left else []
        if found != [math.tanh(0.5)] * 2:
            broken.append(f"the row came to {found}")
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
    "compiled fit": training_compiled,
    "Program.save": keeping,
    "recording": recording,
    "compiled call": calling,
    "compiled call, NumPy": calling_numpy,
    "Flat": stepping,
    "native rows": building,
}
SELDOM = {"native rows": 50}  # seconds each, and so many times fewer trials


@contextlib.contextmanager
def _emptied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def count(kind: str, trials: int) -> int:
    """How many trials there are of a kind, where there are so many of most."""
    return -(-trials // SELDOM.get(kind, 1))


def run(kind: str, trials: int, seed: int = 0) -> tuple[int, list[str]]:
    """How many trials were interrupted, and what was broken."""
    rng = random.Random(seed)
    settings = np.geterr()
    with _emptied() as folder:
        trial = KINDS[kind](folder)
        start = time.perf_counter()
        trial(60.0)
        trial(60.0)
        usual = (time.perf_counter() - start) / 2
        hits, broken = 0, []
        filters = list(warnings.filters)
        for _ in range(count(kind, trials)):
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
            if vars(Value)["data"] is not _UNWATCHED:
                text += "; Values are watched as in a recording"
                setattr(Value, "data", _UNWATCHED)  # noqa: B010 - mypy knows it as a number
            if np.geterr() != settings:
                text += "; NumPy's warnings are not as they were"
                np.seterr(**settings)
            if text:
                broken.append(text)
    return hits, broken


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="interruptions", description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--trials", type=int, default=200, help="of each kind (200)")
    given = parser.parse_args(arguments)
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print("| interrupted | trials | interrupted in time | broken |\n|---|---|---|---|")
    failed = []
    for kind in given.kinds:
        hits, broken = run(kind, given.trials)
        failed += [f"{kind}: {text}" for text in broken]
        print(f"| {kind} | {count(kind, given.trials)} | {hits} | {len(broken)} |", flush=True)
    for text in dict.fromkeys(failed):
        print(text)
