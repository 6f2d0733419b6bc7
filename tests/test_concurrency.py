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

import pytest

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


JOBS = [of_modes, of_gradients, of_training]


@pytest.mark.parametrize("job", JOBS)
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


@pytest.mark.parametrize("job", JOBS[:2])
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
def test_processes_give_the_serial_answers(method: str) -> None:
    alone = [job(3) for job in JOBS]
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads; the next test shows that ours bear it.
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found = [pool.submit(job, 3).result(timeout=120) for job in JOBS]
    assert found == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_in_the_middle_of_another_threads_pass_does_not_hang() -> None:
    script = """if True:
        import os, threading, warnings
        from autograd import Value
        warnings.simplefilter("ignore")
        running = threading.Event()
        y = Value(1.0)
        for _ in range(200_000):
            y = y + 1.0
        def work():
            for _ in range(20):
                running.set()
                y.backward()
        thread = threading.Thread(target=work)
        thread.start()
        running.wait()
        for _ in range(5):
            child = os.fork()
            if not child:
                x = Value(2.0)
                (x * x).backward()
                os._exit(int(x.grad))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
        thread.join()
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
