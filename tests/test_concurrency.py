"""Threads, tasks and processes at once give the answers that one alone gives."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import (
    NonFiniteError,
    Value,
    check_gradients,
    detect_anomaly,
    expression,
    grad,
    hvp,
    no_grad,
    play,
    scope,
)
from autograd.compiled.program import Program
from autograd.compiled.recording import Recording
from nn import MLP, fit, mse
from nn.optim import Adam

SHARED = Value(0.3, "shared")


def of_modes(k: int) -> Any:
    """What is recorded inside scopes and outside of them, in no_grad, and with anomalies."""
    found: list[Any] = []
    with scope(f"thread {k}"):
        y = (Value(float(k)) * SHARED).tanh()
        with no_grad(), scope("inner"):
            cut = y * y
        found += [y.scope, y.parents[0].scope, cut.scope, cut.parents, y.data]
        with detect_anomaly():
            try:
                Value(-float(k) - 1.0, f"v{k}").log()
            except NonFiniteError as error:
                found.append(str(error).partition(", at test")[0])
        found.append((y + 1.0).line)
    return [*found, (y + 1.0).scope]


def of_gradients(k: int) -> Any:
    """Derivatives of functions that all lead to one leaf."""
    y = SHARED
    for _ in range(200):
        y = (y * (1.0 + k / 10)).sin() + SHARED
    (slope,) = grad(y, [SHARED])
    with no_grad():
        twice = hvp(lambda p: (p[0] * SHARED).exp() * p[1], [0.1 * k, 2.0], [1.0, 1.0])
    report = check_gradients(lambda x: (x * SHARED).tanh() * x, 0.5 + k)
    return [y.data, slope, twice, str(report), len(play(y))]


def of_training(k: int) -> Any:
    """The bits of a training run, and what a parser and a page make."""
    model = MLP([1, 3, 1], "tanh", seed=k)
    data = [[0.0], [1.0], [2.0]], [1.0, 0.0, 1.0]

    def loss(outputs: list[Any], targets: list[Any]) -> Any:
        return mse([y for (y,) in outputs], targets)

    history = fit(model, data, loss=loss, optimizer=Adam(model), epochs=5, validation=data)
    text = expression("tanh(w*x + b) * w", w=0.1 * k, x=2.0, b=1.0)
    return [history.loss, [p.data.hex() for p in model.parameters()], str(play(text))]


ENGINES = ["numpy", "native"]
NET = MLP([2, 3, 1], "tanh", seed=0)
NAMES = {p: i for i, p in enumerate([*NET.parameters(), SHARED])}
BATCH = np.random.default_rng(0).normal(size=(40, 2))


def sample(x: Any) -> Any:
    """A number with two branches, of parameters that all threads share."""
    (y,) = NET(x)
    return (y * SHARED).tanh() if x[0] > 0.0 else y * y


COMPILED = {engine: autograd.compile(sample, engine=engine, reduction="mean") for engine in ENGINES}


def of_compiled(k: int) -> Any:
    """What functions give that are compiled here and now, recorded while others are called."""
    found: list[Any] = []
    for engine in ENGINES:
        one = autograd.compile(lambda x: sample(x) * (1.0 + k), engine=engine, cache=3)
        for rows in (BATCH, BATCH[: 3 + k], BATCH[k].tolist()):
            slopes = one.parameter_gradients(rows)[1].tolist()
            found.append({NAMES[p]: g for p, g in zip(one.parameters, slopes, strict=True)})
        with scope(f"thread {k}"):
            found += [one.value_and_grad(BATCH[k].tolist()), (SHARED * 1.0).scope]
        found.append(one.hvp([1.0] * len(one.parameters), BATCH[k].tolist()).tolist())
    return found


def of_recorded(k: int) -> Any:
    """What functions give that all of them share, whoever records them."""
    found: list[Any] = []
    for one in COMPILED.values():
        found += [one(BATCH).data, one(BATCH[: 1 + k]).data, one.value_and_grad(BATCH[k].tolist())]
        # One branch has a parameter more than the other.
        slopes = one.parameter_gradients(BATCH[k].tolist())[1].tolist()
        found.append({NAMES[p]: g for p, g in zip(one.parameters, slopes, strict=True)})
    return found


def of_arrays(k: int) -> Any:
    """Training on a Flat of one's own, of a compiled function that all of them share."""
    leaves = [*NET.parameters(), SHARED]
    optimizer, flat = Adam(leaves, lr=0.01 * (1 + k)), COMPILED["native"].flat(leaves)
    found = []
    for rows in (BATCH, BATCH[: 1 + k], BATCH, BATCH):
        found += [flat.backward(rows), flat.gradients.tolist()]
        optimizer.step_flat(flat)
    return [found, flat.numbers.tolist()]


JOBS = [of_modes, of_gradients, of_compiled, of_recorded, of_training, of_arrays]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.untraced
def test_eight_threads_at_once_give_the_serial_answers(job: Callable[[int], Any]) -> None:
    alone = [job(k) for k in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads meet in more places
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(3):
                assert list(pool.map(job, range(8))) == alone
    finally:
        sys.setswitchinterval(interval)
    assert SHARED.grad == 0.0


def test_backward_from_eight_threads_loses_no_gradient() -> None:
    leaf, start = Value(1.0), threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(50):
            y = leaf
            for _ in range(40):
                y = y + leaf
            y.backward()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert leaf.grad == 8 * 50 * 41


@pytest.mark.parametrize("job", JOBS[:4])
@pytest.mark.untraced
def test_tasks_that_take_turns_give_the_serial_answers(job: Callable[[int], Any]) -> None:
    async def task(k: int) -> Any:
        with scope(f"task {k}"), no_grad():
            await asyncio.sleep(0)
            inside = Value(1.0).scope, (SHARED * 2.0).parents
        await asyncio.sleep(0)
        return inside, job(k)

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(task(k) for k in range(8)))

    alone = [(("task " + str(k), ()), job(k)) for k in range(8)]
    assert asyncio.run(all_of_them()) == alone


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.untraced
def test_processes_give_the_serial_answers(method: str) -> None:
    alone = [job(3) for job in JOBS]
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads; the next test shows that ours bear it.
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found = [pool.submit(job, 3).result(timeout=120) for job in JOBS]
    assert found == alone


def evaluated(program: Program, engine: str) -> Any:
    leaves = [Value(0.5 - 0.1 * i) for i in range(program.tape.parameters)]
    one = Recording(program, leaves, 0, engine)
    gradients, seeds = np.zeros(len(leaves)), np.ones(1)
    run = one.run(one.numbers(), one.own_runs, BATCH, seeds, gradients)
    return run.out.tolist(), run.back.tolist(), gradients.tolist()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.untraced
def test_a_program_in_another_process_gives_the_same_bits(method: str) -> None:
    COMPILED["numpy"](BATCH)
    work = [(one.program, e) for one in COMPILED["numpy"].recordings for e in ENGINES]
    alone = [evaluated(*part) for part in work]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found = [pool.submit(evaluated, *part).result(timeout=120) for part in work]
    assert found == alone


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What eight threads come to that start together."""
    start = threading.Barrier(8)

    def waiting(k: int) -> Any:
        start.wait()
        return work(k)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(waiting, range(8)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_first_call_from_eight_threads_records_once(engine: str) -> None:
    one = autograd.compile(sample, engine=engine)
    want = autograd.compile(sample, engine=engine)(BATCH[:1]).tolist()
    assert [found.tolist() for found in at_once(lambda _: one(BATCH[:1]))] == [want] * 8
    assert one.recorded == len(one.recordings) == 1


def test_compiled_backward_from_eight_threads_loses_no_gradient() -> None:
    leaf = Value(1.0)
    one = autograd.compile(lambda x: leaf * x, engine="numpy")

    def work(_: int) -> None:
        for _ in range(50):
            one.backward(3.0)

    at_once(work)
    assert leaf.grad == 8 * 50 * 3.0


def test_calls_of_one_flat_from_eight_threads_take_turns() -> None:
    leaf = Value(2.0)
    one = autograd.compile(lambda x: leaf * leaf * x, reduction="sum")
    flat = one.flat([leaf])
    rows = [np.full((1 + k, 1), 1.0 + k)[:, 0] for k in range(8)]
    want = [float(4.0 * x.sum()) for x in rows]

    def work(k: int) -> bool:
        return all(flat.backward(rows[k]) == want[k] == flat(rows[k]) for _ in range(100))

    assert all(at_once(work))
    assert flat.gradients.tolist()[0] in want
    assert leaf.data == 2.0


# What measures coverage has a lock of its own, which a fork would copy while a thread holds it.
UNMEASURED = {key: text for key, text in os.environ.items() if not key.startswith("COVERAGE_")}
BUSY = {
    "recording": """
leaf = Value(1.0)
def long(x):
    for _ in range(3000):
        x = x * leaf
    return x
slot = vars(Value)["data"]
def again():
    compile(long)(2.0)
def right():
    return compile(lambda x: (x * leaf).tanh())(0.0) == 0.0 and vars(Value)["data"] is slot
again()
""",
    "a pass": """
y = Value(1.0)
for _ in range(200_000):
    y = y + 1.0
def again():
    y.backward()
def right():
    x = Value(2.0)
    (x * x).backward()
    return x.grad == 4.0
""",
}
FORKING = """
import os, threading, warnings
from autograd import Value, compile
warnings.simplefilter("ignore")
running, done = threading.Event(), threading.Event()
{busy}
def work():
    while not done.is_set():
        running.set()
        again()
thread = threading.Thread(target=work)
thread.start()
running.wait()
for _ in range(5):
    child = os.fork()
    if not child:
        os._exit(4 if right() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
done.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("busy", BUSY)
def test_a_fork_while_another_thread_is_busy_does_not_hang(busy: str) -> None:
    script = FORKING.format(busy=BUSY[busy])
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=UNMEASURED)
