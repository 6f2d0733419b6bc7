"""Memory: training does not grow, and what is dropped is freed without the cycle collector."""

import functools
import gc
import pickle
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd
import nn
from autograd import Value, rows, scope
from autograd.compiled.program import Program
from autograd.show.animation import frame
from nn.data import load_moons
from nn.optim import Adam
from nn.schedules import ReduceOnPlateau

MOONS = load_moons(20)
INPUTS, TARGETS = MOONS.features, MOONS.targets
crossentropy = functools.partial(nn.sparse_categorical_crossentropy, from_logits=True)


@pytest.fixture(autouse=True, scope="module")
def frozen() -> Iterator[None]:
    """What other tests have left is set aside: the collector would walk it again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def model() -> Any:
    return nn.MLP([2, 4, 2], "tanh", seed=0)


def fitted(epochs: int = 3, **more: Any) -> Any:
    one = model()
    schedule = ReduceOnPlateau(0.01)
    return nn.fit(
        one, MOONS, loss=crossentropy, optimizer=Adam(one, lr=0.01), epochs=epochs, batch_size=5,
        schedule=schedule, clip=1.0, progress=False, **more,
    )  # fmt: skip


def outputs() -> Any:
    one = model()
    return [one(x) for x in INPUTS]


def refused(work: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError, ArithmeticError)) as caught:
        work()
    del caught


def anomaly() -> None:
    with autograd.detect_anomaly():
        refused(lambda: Value(-1.0).log())


def warned() -> None:
    with pytest.warns(autograd.NonFiniteWarning):
        Value(0.0).log().backward()


def functions() -> None:
    f = lambda p: (p[0] * p[1]).tanh()  # noqa: E731
    at = [0.3, 0.7]
    autograd.grad(f)(at), autograd.hessian(f)(at), autograd.hvp(f, at, [1.0, 0.0])
    autograd.jvp(lambda x: x * x, (2.0,), (1.0,))
    autograd.vjp(lambda x: [x, x * x], 2.0)[1]([1.0, 1.0])
    x = Value(2.0)
    autograd.grad(x * x * x, [x], create_graph=True)


def losses() -> None:
    made = outputs()
    for loss in (
        crossentropy(made, TARGETS),
        nn.mse([y[0] for y in made], TARGETS),
        nn.binary_crossentropy([y[0] for y in made], TARGETS, from_logits=True),
        nn.mean_absolute_error([y[0] for y in made], TARGETS),
        nn.huber([y[0] for y in made], TARGETS),
    ):
        loss.backward()


def hooked() -> None:
    v = Value(3.0, "v")
    remove = v.register_hook(lambda g: g)
    (v * v).backward()
    remove()


def y() -> Value:
    with scope("part"):
        return autograd.expression("h = tanh(w*x + b); h * h + w", w=2, x=-1, b=0.5)


def stored() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        one = model()
        one.save(Path(folder) / "model")
        one.load(Path(folder) / "model")
        fitted(checkpoint=Path(folder) / "run")


def sample(x: Any) -> Any:
    y, z = NET(x)
    return (y * z).tanh() if x[0] > 0.0 else y * 0.5


NET = nn.MLP([2, 4, 2], "tanh", seed=0)
BATCH = np.array([[0.5, 1.0], [-0.5, 1.0], [0.25, -1.0]])


def refused_recording() -> None:
    outside = Value(1.0) * 2.0
    refused(lambda: autograd.compile(lambda x: x * outside)(1.0))
    refused(lambda: autograd.compile(lambda x: x.log() if x > 0 else 1 / 0)(-1.0))


def called(engine: str) -> None:
    one = autograd.compile(sample, engine=engine, reduction="mean")
    one(BATCH), one([0.5, 1.0]), one.backward(BATCH), one.value_and_grad([0.5, 1.0])
    one.parameter_gradients(BATCH), one.per_sample_gradients(BATCH)
    one.hvp([1.0] * len(one.parameters), BATCH)
    one.clear()


def flat() -> None:
    optimizer = Adam(NET, lr=0.0)
    with autograd.compile(sample, reduction="mean").flat(NET.parameters()) as arrays:
        for rows in (BATCH, BATCH[:2], BATCH):
            arrays.backward(rows)
            optimizer.step_flat(arrays)


def program() -> None:
    import tempfile

    one = autograd.compile(sample)
    one(BATCH)
    found = Program.from_bytes(one.program.to_bytes())
    pickle.loads(pickle.dumps(found))
    found.evaluate([0.5] * found.tape.parameters, [0.5, 1.0])
    found.lift([0.5] * found.tape.parameters, [0.5, 1.0]).outputs[0].backward()
    str(found), found.draw().mermaid()
    refused(lambda: Program.from_bytes(b"no program"))
    with tempfile.TemporaryDirectory() as folder:
        found.save(Path(folder) / "program")
        Program.load(Path(folder) / "program")


WORK: dict[str, Callable[[], Any]] = {
    "functions": functions,
    "hooks": hooked,
    "an anomaly": anomaly,
    "a warning": warned,
    "an expression": lambda: y().backward(),
    "a bad expression": lambda: refused(lambda: autograd.expression("tanh(x", x=1)),
    "draw": lambda: autograd.draw(y(), edges=True).mermaid(),
    "play": lambda: str(autograd.play(y())),
    "a page": lambda: autograd.play(y()).html(),
    "frames": lambda: frame(autograd.play(y()), 3).source,
    "explain": lambda: str(autograd.explain((v := Value(0.5)) * v, v)),
    "check_gradients": lambda: str(
        autograd.check_gradients(lambda x, y: (x - y).relu() * x, 2.0, 2.0)
    ),
    "second order check": lambda: str(autograd.check_gradients(lambda x: x.tanh(), 2.0, order=2)),
    "check_operation": lambda: autograd.check_operation(rows()["tanh"]),
    "finite differences": lambda: autograd.finite_differences(lambda x: x * x, 2.0),
    "fit": fitted,
    "fit with validation": lambda: fitted(validation=0.5, patience=2, watch=True),
    "losses": losses,
    "compile": lambda: autograd.compile(sample)(BATCH),
    "a refused recording": refused_recording,
    "compiled calls": lambda: called("auto"),
    "compiled calls, NumPy": lambda: called("numpy"),
    "compiled calls, exact": lambda: autograd.compile(sample, exact=True).backward([0.5, 1.0]),
    "compiled calls on threads": lambda: autograd.compile(sample, threads=2)(np.ones((200, 2))),
    "Flat": flat,
    "Program to bytes and back": program,
    "compiled fit": lambda: fitted(compiled=True),
    "compiled fit with validation": lambda: fitted(compiled=True, validation=0.5, watch=True),
    "storage": stored,
    "examine": lambda: str(nn.init.examine(model(), INPUTS)),
    "a sweep": lambda: nn.learning_rate_sweep(
        model(), MOONS, loss=crossentropy, rates=[0.1, 1.0], epochs=2
    ),
}


CTYPES = {"tuple", "PyCArrayType", "getset_descriptor", "StgDict"}


@pytest.fixture
def resting() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", WORK)
def test_what_is_dropped_is_freed_without_the_collector(name: str, resting: None) -> None:
    WORK[name]()  # fills caches, imports
    gc.collect()
    WORK[name]()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = {type(part).__name__ for part in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    # The package wasmtime makes types of arrays anew for each call.
    assert not found - CTYPES if name == "a page" else not found


@pytest.mark.parametrize("name", rows())
def test_the_graph_of_every_operation_is_freed_without_the_collector(
    name: str, resting: None
) -> None:
    op = rows()[name]
    for _ in range(2):
        root = op(*[Value(0.5, "x"), Value(0.25, "y")][: op.arity])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root.backward()
            if op.arity == 2:
                op(2.0, root), op(root, 2.0)
        del root
    assert gc.collect() == 0


def growth(work: Callable[[int], None], rounds: int) -> int:
    """Bytes that the second half of the rounds leaves behind."""
    for i in range(rounds):
        work(i)
    gc.collect()
    tracemalloc.start()
    for i in range(rounds, 2 * rounds):
        work(i)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held


def test_training_does_not_grow() -> None:
    one = model()
    optimizer = Adam(one, lr=0.01)

    def epoch(_: int) -> None:
        nn.fit(one, MOONS, loss=crossentropy, optimizer=optimizer, epochs=1, batch_size=5)

    # A hundred epochs of 4 steps, each a graph of some 100 kB; a few floats may be younger.
    assert growth(epoch, 50) < 20_000


def test_compiled_training_does_not_grow() -> None:
    one = model()
    optimizer = Adam(one, lr=0.01)

    def epoch(_: int) -> None:
        nn.fit(
            one, MOONS, loss=crossentropy, optimizer=optimizer, epochs=1, batch_size=5,
            validation=MOONS, progress=False, compiled=True,
        )  # fmt: skip

    # Forty runs, each with recordings of its own of some 150 kB.  What the last of them knows of
    # random generators is some 30 kB, and the records of their programs as much.
    assert growth(epoch, 20) < 80_000


def test_a_compiled_function_keeps_no_more_recordings_than_its_cache() -> None:
    one = autograd.compile(lambda x: sum(x, Value(0.0)), cache=3)

    def call(i: int) -> None:
        one([1.0] * (2 + i % 20))

    # Sixty recordings of some 30 kB, and the three that are kept may be younger.
    assert growth(call, 60) < 150_000
    assert len(one.recordings) == 3


def test_scopes_with_ever_new_names_do_not_pile_up() -> None:
    tracemalloc.start()
    for i in range(900):
        with scope(f"step {i}"):
            for k in range(20):
                with scope(f"neuron {k}"):
                    Value(1.0) * 2.0
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    # 18,900 scopes of some 900 bytes were made, and at most 10,000 are remembered.
    assert held < 12_000_000
