"""Ctrl-C at random moments: what is left is the state from before, or the one from after."""

import argparse
import contextlib
import decimal
import gc
import math
import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import autograd
from autograd import Value, draw, grad, topological
from autograd.compiled.native import kernels
from autograd.compiled.program import Program
from autograd.modes import present_mode, set_mode
from autograd.value import one_pass
from nn import MLP, fit, mse
from nn.module import present_scoping, set_scoping
from nn.optim import Adam
from tests.benchmarks import put_back
from tests.benchmarks.presses import After, At, Press, Trial, Watch, forked


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

    def trial(press: Press) -> tuple[bool, str]:
        for node, g in zip(order, before, strict=True):
            node.grad = g
        hit = press(out.backward)
        found = [node.grad for node in order]
        return hit, "" if found in (before, after) else "a .grad is neither old nor new"

    return trial


def gradient(folder: Path) -> Trial:
    """`grad` leaves every `.grad` alone, whatever happens."""
    out, order = _graph()
    out.backward()
    before = [node.grad for node in order]

    def trial(press: Press) -> tuple[bool, str]:
        hit = press(lambda: grad(out, [order[0]]))
        found = [node.grad for node in order]
        return hit, "" if found == before else "grad changed a .grad"

    return trial


_INPUTS = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, -0.5]]
_TARGETS = [1.0, -1.0, 0.5, 0.0]


def _loss(outputs: list[Any], targets: list[Any]) -> Any:
    return mse([y for (y,) in outputs], targets)


def _fitted(optimizer: Adam, model: Any, data: Any, **more: Any) -> Any:
    return fit(
        model, data, loss=_loss, optimizer=optimizer, epochs=4, batch_size=2, watch=True,
        validation=(_INPUTS, _TARGETS), progress=False, **more,
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

    def step(self, closure: Any = None) -> None:
        super().step(closure)
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


def _training(folder: Path, data: Any = (_INPUTS, _TARGETS), **more: Any) -> Trial:
    model = _model()
    watched = _Watched(model)
    _fitted(watched, model, data, **more)
    states = watched.states

    def trial(press: Press) -> tuple[bool, str]:
        path = folder / "checkpoint"
        path.unlink(missing_ok=True)
        made: list[Any] = []
        model = _model()
        optimizer = Adam(model, lr=0.05)

        def work() -> None:
            made.append(_fitted(optimizer, model, data, checkpoint=path, **more))

        hit = press(work) or made[0].interrupted
        broken = []
        if _bits(model) != states[optimizer.taken]:
            broken.append("the model is between two steps, or its optimizer is elsewhere")
        if _memory(optimizer) != watched.memories[optimizer.taken]:
            broken.append("what the optimizer remembers is of another step")
        if made:
            one = made[0]
            if not len(one.loss) == len(one.rate) == len(one.validation_loss) == len(one.weights):
                broken.append("the history's columns differ in length")
        left = {p.name for p in folder.iterdir() if p.suffix != ".npy"} - {"checkpoint"}
        if left:
            broken.append(f"files are left: {left}")
        again, resume = _model(), path.exists()
        optimizer = Adam(again, lr=0.05)
        history = _fitted(optimizer, again, data, checkpoint=path, resume=resume, **more)
        if _bits(again) != states[-1] or len(history) != 4:
            broken.append("the resumed run came to other bits")
        return hit, "; ".join(broken)

    return trial


def training(folder: Path) -> Trial:
    """Model, optimizer, history and checkpoint of `fit`, and what a resumed run comes to."""
    return _training(folder)


def training_compiled(folder: Path) -> Trial:
    """The same of `fit(compiled=True)`, whose numbers are in arrays between two epochs."""
    return _training(folder, compiled=True)


def training_on_files(folder: Path) -> Trial:
    """The same where the samples are in files."""
    paths = [folder / "inputs.npy", folder / "targets.npy"]
    for path, numbers in zip(paths, (_INPUTS, _TARGETS), strict=True):
        np.save(path, np.array(numbers))
    return _training(folder, paths)


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

    def trial(press: Press) -> tuple[bool, str]:
        made, leaves, _ = _compiled(cache=3)  # fewer than there are: some are forgotten

        def work() -> None:
            for x in inputs:
                made(x)

        hit = press(work)
        broken = []
        if [(p.data, p.grad) for p in leaves] != before:
            broken.append("recording changed a parameter")
        if made._recordings._lock._is_owned():
            broken.append("a lock is held")
        if len(made.recordings) > 3 or not all(made._recordings.cache.entries.values()):
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

    def trial(press: Press) -> tuple[bool, str]:
        for p in parameters:
            p.grad = 0.0
        hit = press(work)
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

    def trial(press: Press) -> tuple[bool, str]:
        for p, datum in zip(parameters, start, strict=True):
            p.data, p.grad = datum, 0.0
        optimizer, flat = Adam(parameters, lr=0.05), made.flat(parameters)
        hit = press(lambda: steps(optimizer, flat))
        taken, broken = optimizer.taken, []
        if [x.hex() for x in flat.numbers.tolist()] != states[taken]:
            broken.append("the arrays are between two steps")
        if _memory(optimizer) != watched.memories[taken]:
            broken.append("what the optimizer remembers is of another step")
        if flat.gradients.tolist() not in slopes[taken : taken + 2]:
            broken.append("the gradients are of no step")
        left = [p.data.hex() for p in parameters], [p.grad for p in parameters]
        if left != ([x.hex() for x in flat.numbers.tolist()], flat.gradients.tolist()):
            broken.append("the Values are between two steps")
        return hit, "; ".join(broken)

    return trial


def keeping(folder: Path) -> Trial:
    """A file of a Program is the old one or the new one, and nothing lies beside it."""
    made, _, rows = _compiled()
    made(rows[0].tolist()), made(rows[1].tolist())
    old, new = (one.program for one in made.recordings)
    path = folder / "program.npz"

    def trial(press: Press) -> tuple[bool, str]:
        old.save(path)
        hit = press(lambda: new.save(path))
        found = Program.load(path).digest
        whole = found in (old.digest, new.digest) and [*folder.iterdir()] == [path]
        return hit, "" if whole else "a file is damaged, or a temporary one is left"

    return trial


def building(folder: Path) -> Trial:
    """A row made native code: what is left on disk serves whoever wants it next."""

    def trial(press: Press) -> tuple[bool, str]:
        for path in folder.iterdir():
            path.unlink()

        def work() -> float:
            kernels.shared_kernels.cache_clear()
            return float(autograd.compile(lambda x: x.tanh(), engine="native")(0.5))

        with mock.patch.dict(os.environ, CHAINRULE_CACHE=str(folder)):
            hit = press(work)
            found = [work(), work()]  # made or read, and read
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        broken = [f"files are left: {left}"] if left else []
        if any(abs(one - math.tanh(0.5)) > 1e-15 for one in found):
            broken.append(f"the row came to {found}")
        return hit, "; ".join(broken)

    return trial


def saving(folder: Path) -> Trial:
    """A file of parameters is the old one or the new one, and nothing lies beside it."""
    old, new = MLP([2, 8, 1], "tanh", seed=0), MLP([2, 8, 1], "tanh", seed=1)
    path = folder / "model.json"

    def trial(press: Press) -> tuple[bool, str]:
        old.save(path)
        hit = press(lambda: new.save(path))
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

    def trial(press: Press) -> tuple[bool, str]:
        path.unlink(missing_ok=True)
        hit = press(picture)
        broken = [] if [node.grad for node in order] == before else ["a gradient has changed"]
        if left := {p.name for p in folder.iterdir()} - {path.name}:
            broken.append(f"files are left: {left}")
        if path.exists() and path.read_text() != whole:
            broken.append("the file is not whole")
        return hit, "; ".join(broken)

    return trial


KINDS: dict[str, Callable[[Path], Trial]] = {
    "backward": backward,
    "grad": gradient,
    "fit": training,
    "save": saving,
    "draw": drawing,
    "compiled fit": training_compiled,
    "fit on files": training_on_files,
    "Program.save": keeping,
    "recording": recording,
    "compiled call": calling,
    "compiled call, NumPy": calling_numpy,
    "Flat": stepping,
    "native rows": building,
    **put_back.KINDS,
}
SELDOM = {"native rows": 10}  # compiled each time, and so many times fewer trials
# Python swallows what is raised while a ZipFile is forgotten.
LOST = {"Program.save"}

# What belongs to the whole process: what is said when it is not as it was, how to look, and how to
# put it back for the next trial.
_SHARED: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "a mode is left": (present_mode, set_mode),
    "modules open no scopes any more": (present_scoping, set_scoping),
    "the collector rests": (gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    "the filters of warnings are not as they were": (
        lambda: list(warnings.filters),
        lambda kept: setattr(warnings, "filters", kept),
    ),
    "Values are watched as in a recording": (
        lambda: vars(Value)["data"],
        lambda slot: setattr(Value, "data", slot),
    ),
    "NumPy's warnings are not as they were": (np.geterr, lambda kept: np.seterr(**kept)),
    "decimals have other digits": (decimal.getcontext, decimal.setcontext),
    "random numbers were drawn": (random.getstate, random.setstate),
    "a lock is held": (
        lambda: [lock._is_owned() for lock in (one_pass,)],
        lambda kept: None,
    ),
}


@contextlib.contextmanager
def _emptied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def count(kind: str, trials: int) -> int:
    """How many trials there are of a kind, where there are so many of most."""
    return -(-trials // SELDOM.get(kind, 1))


def _tried(kind: str, trial: Trial, press: Press) -> tuple[bool, str]:
    """Whether it was interrupted, and what is broken, in the whole process too."""
    before = {text: look() for text, (look, _) in _SHARED.items()}
    hit, broken = trial(press)
    texts = [broken] if broken else []
    if press.came and not hit and kind not in LOST:
        texts.append("KeyboardInterrupt was swallowed")
    for text, (look, repair) in _SHARED.items():
        if look() != before[text]:
            texts.append(text)
            repair(before[text])
    return hit, "; ".join(texts)


def run(kind: str, trials: int, seed: int = 0) -> tuple[int, list[str]]:
    """Of trials at random moments, how many were interrupted, and what was broken."""
    rng = random.Random(seed)
    with _emptied() as folder:
        trial = KINDS[kind](folder)
        start = time.perf_counter()
        trial(Press())
        trial(Press())
        usual = (time.perf_counter() - start) / 2
        found = [
            _tried(kind, trial, After(rng.uniform(0.0, usual))) for _ in range(count(kind, trials))
        ]
    return sum(hit for hit, _ in found), [text for _, text in found if text]


def everywhere(kind: str, most: int | None = None, seed: int = 0) -> tuple[int, int, list[str]]:
    """Of trials at each place of the code, or at so many: how many, how many hit, what broke."""
    with _emptied() as folder:
        trial = KINDS[kind](folder)
        trial(Press())
        trial(Press())
        watch = Watch()
        trial(watch)
        places = watch.places()
        if most is not None and most < len(places):
            places = random.Random(seed).sample(places, most)
        hits, broken = 0, []
        for place in places:
            hit, text = _tried(kind, trial, At(place))
            hits += hit
            if text:
                broken.append(f"at {place}: {text}")
    return len(places), hits, broken


def killed(trials: int, seed: int = 0) -> tuple[int, list[str]]:
    """Of runs of `fit` that kill -9 ended at random moments, how many, and what was broken.

    The next run goes on from the checkpoint to the same bits, and nothing is left beside it.
    """
    rng, data = random.Random(seed), (_INPUTS, _TARGETS)
    hits, broken = 0, []
    with _emptied() as folder:
        path = folder / "checkpoint"

        def fitted(resume: bool) -> list[str]:
            model = _model()
            _fitted(Adam(model, lr=0.05), model, data, checkpoint=path, resume=resume)
            return _bits(model)

        start = time.perf_counter()
        final = fitted(False)
        usual = time.perf_counter() - start
        for _ in range(trials):
            path.unlink(missing_ok=True)
            hits += forked(lambda: fitted(False), rng.uniform(0.0, usual)) != 0
            if fitted(True) != final:
                broken.append("the resumed run came to other bits")
            if [*folder.iterdir()] != [path]:
                broken.append("files are left")
    return hits, broken


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="interruptions", description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--trials", type=int, default=200, help="of each kind (200)")
    parser.add_argument("--places", type=int, default=0, help="of the code, in their stead")
    given = parser.parse_args(arguments)
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print("| interrupted | trials | interrupted in time | broken |\n|---|---|---|---|")
    failed = []
    for kind in given.kinds:
        if given.places:
            trials, hits, broken = everywhere(kind, given.places)
        else:
            trials = count(kind, given.trials)
            hits, broken = run(kind, given.trials)
        failed += [f"{kind}: {text}" for text in broken]
        print(f"| {kind} | {trials} | {hits} | {len(broken)} |", flush=True)
    if set(given.kinds) == set(KINDS):
        hits, broken = killed(given.trials)
        failed += [f"kill -9: {text}" for text in broken]
        print(f"| fit, by kill -9 | {given.trials} | {hits} | {len(broken)} |")
    for text in dict.fromkeys(failed):
        print(text)
