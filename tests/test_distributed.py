"""Gradients, training and sweeps on dask's workers have the bits of those in one process."""

import dataclasses
import functools
import importlib.util
import math
import os
import pickle
import platform
import random
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd
from autograd import RecordingError, Value, define_op, select
from autograd.distributed import client as clients
from autograd.distributed import driver, files, worker
from autograd.distributed import fingerprint as fingerprints
from nn import MLP, TrainingError, init, metrics, mse, sparse_categorical_crossentropy
from nn import fit as fit_here
from nn.data import Dataset
from nn.distributed import MismatchError, Rows, connect, fit, mean_gradient
from nn.module import Module
from nn.optim import SGD, Adam
from nn.schedules import Step
from nn.sweeps import Grid, sweep
from nn.training.replay import Replay
from tests.benchmarks import distributed as reckoning

crossentropy = functools.partial(sparse_categorical_crossentropy, from_logits=True)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with connect(workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def lone_client() -> Iterator[Any]:
    with connect(workers=1) as made:
        yield made


CLUSTERS = [
    pytest.param("lone_client", id="1 workers", marks=pytest.mark.untraced),
    pytest.param("client", id="2 workers", marks=pytest.mark.untraced),
]


@pytest.fixture(params=CLUSTERS)
def any_client(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def leaves(count: int) -> list[Value]:
    return [Value(0.1 * (i + 1), f"w{i}") for i in range(count)]


W = leaves(4)
MODEL = MLP([3, 4, 2], "tanh", seed=0)


def smooth(row: Any) -> Any:
    total: Any = sum((w * x for w, x in zip(W, row, strict=False)), 0.0)
    return total.tanh()


def branching(row: Any) -> Any:
    total = W[0] * row[0] + W[1]
    if row[0] > 0.5:
        return (total * W[2]).sin()
    return total.exp() if row[1] > total else total * row[2]


def undecided(row: Any) -> Any:
    # A comparison of what is equal but for rounding: the eager engine has to decide each row.
    return W[0] * row[0] if 0.1 * row[0] + 0.2 * row[0] > 0.3 * row[0] else W[1] * row[1]


def classified(x: Any, y: Any) -> Any:
    return crossentropy([MODEL(x)], [y])


def chosen(x: Any, y: Any) -> Any:
    return (select(W, y) * x[0] + x[1]) ** 2


RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(3000, 3)), RNG.integers(0, 2, 3000)
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[Any], list[Value]]] = {
    "smooth": (smooth, [X], W),
    "branching": (branching, [X], W),
    "undecided": (undecided, [X[:200]], W),
    "classes in a file of their own": (classified, [X, LABELS], MODEL.parameters()),
    "a whole number chooses": (chosen, [X, LABELS], W),
    "single precision": (smooth, [X.astype(np.float32)], W),
    "columns in Fortran's order": (smooth, [np.asfortranarray(X)], W),
    "one row": (smooth, [X[:1]], W),
    "one number a row": (lambda x: (W[0] * x) ** 2, [X[:, 0]], W),
}


def stored(folder: Path, arrays: list[Any]) -> list[Path]:
    paths = [folder / f"part{k}.npy" for k in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array)
    return paths


def eager(function: Callable[..., Any], arrays: list[Any], ws: list[Value]) -> tuple[float, Any]:
    losses, slopes = [], np.zeros(len(ws))
    for rows in zip(*(array.tolist() for array in arrays), strict=True):
        for w in ws:
            w.grad = 0.0
        out = function(*rows)
        out.backward()
        losses.append(out.data)
        slopes += [w.grad for w in ws]
    for w in ws:
        w.grad = 0.0
    return math.fsum(losses) / len(losses), slopes / len(losses)


@functools.cache
def eager_of(name: str) -> tuple[float, Any]:
    """What a function of the table comes to, worked out once for both clusters."""
    return eager(*FUNCTIONS[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_mean_is_that_of_the_rows_and_its_bits_are_those_of_one_process(
    name: str, any_client: Any, tmp_path: Path
) -> None:
    function, arrays, ws = FUNCTIONS[name]
    paths = stored(tmp_path, arrays)
    mean, slope = mean_gradient(function, paths, ws, chunk=700)
    want, slopes = eager_of(name)
    assert mean == pytest.approx(want, rel=1e-12)
    assert slope == pytest.approx(slopes, rel=1e-10, abs=1e-13)
    found, there = mean_gradient(function, paths, ws, chunk=700, client=any_client)
    assert found.hex() == mean.hex()
    assert there.tobytes() == slope.tobytes()


def test_chunks_come_from_the_number_of_rows_alone(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [np.zeros((300_000, 2))])
    rows = Rows(smooth, path, W)
    pieces = rows._pieces(0, len(rows))
    assert pieces[0] == (0, 8192)
    assert pieces[-1] == (294_912, 300_000)
    assert rows._pieces(10, 20) == [(10, 20)]
    assert [one[0] for one in pieces[1:]] == [one[1] for one in pieces[:-1]]


def test_a_killed_worker_changes_no_bit(client: Any, tmp_path: Path) -> None:
    x, y = RNG.normal(size=(60_000, 3)), RNG.integers(0, 2, 60_000)
    paths = stored(tmp_path, [x, y])
    ws = MODEL.parameters()
    want = mean_gradient(classified, paths, ws, chunk=1024)
    pids = client.run(os.getpid)
    left: list[int] = []

    def watch(done: int, total: int) -> None:
        busy = [] if left else [worker for worker, work in client.processing().items() if work]
        if busy:  # it dies with work in its hands
            left.append(total - done)
            os.kill(pids[busy[0]], signal.SIGKILL)

    mean, slope = mean_gradient(classified, paths, ws, chunk=1024, client=client, progress=watch)
    assert left[0] > 0
    assert mean.hex() == want[0].hex()
    assert slope.tobytes() == want[1].tobytes()
    client.wait_for_workers(2)


def test_progress_counts_every_chunk_once_though_some_run_twice(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [X])
    seen: list[tuple[int, int]] = []
    mean_gradient(branching, path, W, chunk=300, progress=lambda *done: seen.append(done))
    assert seen == [(k, 10) for k in range(1, 11)]


def test_the_gradient_is_zero_where_a_parameter_is_not_used(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [X])
    _, slope = mean_gradient(lambda row: W[0] * row[0], path, W)
    assert slope.tolist()[1:] == [0.0, 0.0, 0.0]


def test_rows_can_be_asked_for_in_part_and_follow_the_numbers_in_flat(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [X])
    rows = Rows(lambda row: W[0] * row[0], path, W)
    assert rows.backward(10, 30) == pytest.approx(0.1 * X[10:30, 0].mean())
    rows.flat.numbers[0] = 2.0
    assert rows.backward() == pytest.approx(2.0 * X[:, 0].mean())
    with pytest.raises(ValueError, match="rows 5 to 5000 are not within the file's 3000"):
        rows.backward(5, 5000)


def ways(row: Any) -> Any:
    total = W[0] * row[0] + W[1]
    if row[0] > 1.0:
        return (total * W[2]).sin()
    if row[0] > 0.0:
        return (total * W[3]).exp()
    return total * total.tanh() if row[0] > -1.0 else total * W[1]


def test_the_order_in_which_ways_are_met_changes_no_bit(tmp_path: Path) -> None:
    x = X.copy()
    x[:4, 0], x[10:14, 0] = [2.0, 0.5, -0.5, -2.0], [2.0, -2.0, -0.5, 0.5]
    (path,) = stored(tmp_path, [x])
    one, other = Rows(ways, path, W), Rows(ways, path, W)
    other.backward(10, 14)
    assert one.backward().hex() == other.backward().hex()
    assert one.flat.gradients.tobytes() == other.flat.gradients.tobytes()


BAD: dict[str, tuple[Callable[..., Any], float, str]] = {
    "a result": (lambda row: (W[0] * row[0]).log(), -1.0, "row 1234: the result is nan"),
    "a gradient": (
        lambda row: (W[0] * 0.0 + row[0]).sqrt() * row[1] + W[1],
        0.0,
        "row 1234: the gradient is not finite",
    ),
    "a nan in the file": (smooth, math.nan, "row 1234: the result is nan"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_row_that_is_not_finite_is_named(what: str, client: Any, tmp_path: Path) -> None:
    function, number, message = BAD[what]
    x = abs(X) + 0.5
    x[1234, 0] = number
    (path,) = stored(tmp_path, [x])
    for where in (None, client):
        with pytest.raises(ArithmeticError, match=f"part0.npy, {message}"):
            mean_gradient(function, path, W, chunk=500, client=where)


def test_finite_rows_whose_sum_is_not_are_named_as_a_range(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [np.full((100, 1), 1e307)])
    with pytest.raises(ArithmeticError, match="rows 0 to 99: their sum is too large"):
        mean_gradient(lambda row: W[0] * 1e-300 + row[0], path, W)


def test_a_function_that_fails_says_in_which_row(tmp_path: Path) -> None:
    def function(row: Any) -> Any:
        if row[0] > 3.0:
            raise ValueError("too large")
        return W[0] * row[0]

    x = np.zeros((500, 1))
    x[321] = 4.0
    (path,) = stored(tmp_path, [x])
    with pytest.raises(ValueError, match="too large") as caught:
        mean_gradient(function, path, W)
    assert "in row 321 of" in caught.value.__notes__[0]


def test_a_function_of_a_different_way_for_each_row_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "PATHS", 5)

    def function(row: Any) -> Any:
        return W[0] * float(row[0])

    (path,) = stored(tmp_path, [np.arange(30.0)[:, None]])
    with pytest.raises(RecordingError, match=r"row 5 .* path number 6"):
        mean_gradient(function, path, W)


def test_a_function_of_two_numbers_is_refused(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [X])
    with pytest.raises(TypeError, match="must return one number"):
        mean_gradient(lambda row: [W[0], W[1] * row[0]], path, W)


def test_a_parameter_that_is_not_among_the_given_ones_is_named(tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [X])
    with pytest.raises(ValueError, match=r"also depends on .*w1"):
        mean_gradient(lambda row: W[0] * row[0] + W[1], path, W[:1])


def whole(folder: Path) -> Path:
    return stored(folder, [X])[0]


def cut(folder: Path) -> Path:
    path = whole(folder)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def text(folder: Path) -> Path:
    path = folder / "text.npy"
    path.write_text("1, 2\n")
    return path


FILES: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "missing": (lambda folder: folder / "no.npy", FileNotFoundError, "no.npy"),
    "cut off": (cut, ValueError, "not a complete .npy file"),
    "no array": (text, ValueError, "text.npy is not a complete .npy file"),
    "no rows": (lambda folder: stored(folder, [X[:0]]), ValueError, "it has no rows"),
    "a number": (lambda folder: stored(folder, [np.array(1.0)]), ValueError, "it has no rows"),
    "words": (lambda folder: stored(folder, [np.array(["a"])]), TypeError, "expected rows of num"),
    "complex": (lambda folder: stored(folder, [X * 1j]), TypeError, "expected rows of numbers"),
    "unequal": (lambda folder: stored(folder, [X, X[1:]]), ValueError, "3000 rows, .* has 2999"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    make, kind, message = FILES[name]
    with pytest.raises(kind, match=message):
        mean_gradient(smooth, make(tmp_path), W)


def test_no_files_are_refused() -> None:
    with pytest.raises(ValueError, match="there are no files"):
        mean_gradient(smooth, [], W)


def test_what_is_no_client_is_refused_with_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"dask Client.*, got str; create one with .*connect\(addr"):
        mean_gradient(smooth, whole(tmp_path), W, client="tcp://scheduler:8786")


def test_a_chunk_must_have_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="chunk must be a whole number of rows"):
        mean_gradient(smooth, whole(tmp_path), W, chunk=0)


# ---------------------------------------------------------------------- who may take part


def job(path: Path, **changes: Any) -> worker.Job:
    made = Rows(smooth, path, W)._job
    return worker.Job(dataclasses.replace(made.spec, **changes))


@pytest.mark.parametrize("what", fingerprints.fingerprint())
def test_a_worker_refuses_a_driver_that_differs(
    what: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = whole(tmp_path)
    own = fingerprints.fingerprint()
    for module in (driver, clients):
        monkeypatch.setattr(module, "fingerprint", lambda: own | {what: "another"})
    message = f"worker tcp://127.0.0.1:[0-9]+ refuses: {what}: .* here, and another on the driver"
    with pytest.raises(MismatchError, match=message):
        mean_gradient(smooth, path, W, client=client)
    with pytest.raises(MismatchError, match=message):
        sweep(made, DATA, loss=mse, rates=[0.1], client=client)


def _spoil(dask_worker: Any = None) -> None:
    fingerprints._SOURCES = "spoilt"


def _mend(text: str) -> None:
    fingerprints._SOURCES = text


def test_one_worker_with_other_sources_is_enough_to_refuse(client: Any, tmp_path: Path) -> None:
    path = whole(tmp_path)
    one = next(iter(client.run(os.getpid)))
    client.run(_spoil, workers=[one])
    try:
        with pytest.raises(MismatchError, match=f"{one} refuses: its source files: spoilt here"):
            mean_gradient(smooth, path, W, client=client)
    finally:
        client.run(_mend, fingerprints._SOURCES)
    mean_gradient(smooth, path, W, client=client)


def test_a_worker_that_comes_later_refuses_by_itself(client: Any, tmp_path: Path) -> None:
    rows = Rows(smooth, whole(tmp_path), W, client=client)
    client.run(_spoil)
    try:
        with pytest.raises(MismatchError, match="its source files: spoilt here"):
            rows.backward()
    finally:
        client.run(_mend, fingerprints._SOURCES)


def test_an_operation_that_the_workers_do_not_have_is_named(client: Any, tmp_path: Path) -> None:
    path = whole(tmp_path)
    bump = define_op("bump", "exp(-x * x)", "-2 * x * z")
    with pytest.raises(MismatchError, match=r"refuses: .*'bump' differs from the one"):
        mean_gradient(lambda row: bump(W[0] * row[0]), path, W, client=client)


def test_another_program_than_the_drivers_is_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    assert job(path).refusal() == ""
    assert "on the driver" in job(path, digests=("0" * 64,)).refusal()
    (data,) = job(path).spec.programs
    assert "damaged" in job(path, programs=(data[:-1] + b"x",)).refusal()


def test_another_file_than_the_drivers_is_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    (file,) = job(path).spec.files
    shorter = dataclasses.replace(file, shape=(10, 3))
    assert "(3000, 3) of <f8 here, and (10, 3)" in job(path, files=(shorter,)).refusal()
    gone = dataclasses.replace(file, path=str(tmp_path / "gone.npy"))
    assert "gone.npy" in job(path, files=(gone,)).refusal()


def test_a_file_of_the_same_shape_with_other_numbers_is_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    one = job(path)
    np.save(path, X + 1e-9)
    assert "part0.npy has other numbers here than on the driver" in one.refusal()


def test_other_features_of_the_cpu_are_named_and_only_those(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = fingerprints.fingerprint()
    assert own["CPU features"] == fingerprints.fingerprint()["CPU features"]
    fingerprints.compare(own)
    driver = own | {"CPU features": own["CPU features"] + " avx1024"}
    with pytest.raises(MismatchError) as caught:
        fingerprints.compare(driver)
    assert str(caught.value) == "CPU features: none besides here, and avx1024 on the driver"
    with pytest.raises(MismatchError, match=r"^CPU: .* here, and abacus on the driver$"):
        fingerprints.compare(own | {"CPU": "abacus"})


def test_without_llvmlite_the_features_are_those_that_numpy_found() -> None:
    script = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "from autograd.distributed.fingerprint import fingerprint as f\n"
        "print(f()['llvmlite'], *f()['CPU features'].split(), sep=chr(10))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, *features = run.stdout.splitlines()
    assert first == "none"
    assert all(one.startswith("numpy:") for one in features)


def test_a_job_travels_and_gives_the_same_part(tmp_path: Path) -> None:
    one = job(whole(tmp_path))
    numbers = np.array([w.data for w in W])
    want, found = (j.run(100, 300, numbers) for j in (one, pickle.loads(pickle.dumps(one))))
    assert found.loss == want.loss
    assert (found.gradient == want.gradient).all()


def _listening() -> list[str]:
    """The addresses at which this process takes connections, as Linux lists them."""
    links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    own = {os.readlink(link) for link in links if link.is_symlink()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    lines += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    return [at[1].split(":")[0] for at in lines if at[3] == "0A" and f"socket:[{at[9]}]" in own]


def test_workers_of_ones_own_are_on_loopback_with_one_thread(client: Any) -> None:
    info = client.scheduler_info()["workers"]
    assert all(address.startswith("tcp://127.0.0.1:") for address in info)
    assert {worker["nthreads"] for worker in info.values()} == {1}
    if sys.platform == "linux":
        for sockets in [_listening(), *client.run(_listening).values()]:
            assert set(sockets) == {"0100007F"}  # 127.0.0.1, in the kernel's order
    for found in client.run(lambda: dict(os.environ)).values():
        assert {name: found[name] for name in clients.ENVIRONMENT} == clients.ENVIRONMENT


def test_the_address_of_a_scheduler_will_do(client: Any, tmp_path: Path) -> None:
    path = whole(tmp_path)
    with connect(client.scheduler.address) as other:
        mean, _ = mean_gradient(smooth, path, W, client=other)
    assert mean == mean_gradient(smooth, path, W)[0]
    with pytest.raises(ValueError, match="leave out workers"), connect("tcp://x:1", 2):
        pass


def test_a_cluster_without_workers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Empty:
        def run(self, *arguments: Any, **options: Any) -> dict[str, str]:
            asked.append(arguments)
            return {}

    asked: list[Any] = []
    monkeypatch.setattr(clients, "PAUSES", (0.0, 0.0))  # workers may be on their way
    with pytest.raises(MismatchError, match="the cluster has no workers"):
        mean_gradient(smooth, whole(tmp_path), W, client=Empty())
    assert len(asked) == 3


class Answers:
    """A client whose workers give these answers, one dict for each time that they are asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)

    def run(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        return self.answers.pop(0)


def test_a_worker_that_dies_while_it_is_asked_is_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "PAUSES", (0.0, 0.0, 0.0))
    gone = OSError("connection reset")
    client = Answers({"a": "", "b": gone}, {}, {"a": "", "c": ""})
    assert clients.agree(client) == fingerprints.fingerprint()
    assert not client.answers
    with pytest.raises(MismatchError, match="worker c refuses: it is older"):
        clients.agree(Answers({"a": "", "b": gone}, {"a": "", "c": "it is older"}))
    with pytest.raises(MismatchError, match="worker b does not answer: connection reset"):
        clients.agree(Answers(*[{"a": "", "b": gone}] * 4))
    with pytest.raises(MismatchError, match="worker b does not answer: a bug"):
        clients.agree(Answers({"a": "", "b": ZeroDivisionError("a bug")}))


@pytest.mark.untraced
def test_a_worker_killed_while_training_is_set_up_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = stored(tmp_path, [X, X[:, 0]])
    options: dict[str, Any] = {"loss": mse, "epochs": 1}
    check, killed = clients.check_workers, []

    def killing(client: Any, question: Any, of: Any) -> None:
        killed.append(next(iter(client.run(os.getpid).values())))
        os.kill(killed[0], signal.SIGKILL)
        check(client, question, of)

    monkeypatch.setattr(driver, "check_workers", killing)
    found = []
    with connect(workers=2) as client:  # of its own: dask gives up a worker that dies twice
        for where in (None, client):
            model = MLP([3, 1], None, seed=0)
            fit(model, paths, optimizer=SGD(model, lr=0.1), client=where, **options)
            found.append([p.data.hex() for p in model.parameters()])
    assert found[0] == found[1]
    assert len(killed) == 1


def test_a_worker_without_the_package_is_told_what_to_install(tmp_path: Path) -> None:
    class Bare:
        def run(self, *arguments: Any, **options: Any) -> dict[str, Exception]:
            return {"a": ModuleNotFoundError("No module named 'nn'", name="nn")}

    with pytest.raises(MismatchError, match=r"cannot import nn; install chainrule\[distributed\]"):
        mean_gradient(smooth, whole(tmp_path), W, client=Bare())


@pytest.mark.parametrize("workers", [0, 1.5])
def test_the_number_of_workers_is_checked(workers: Any) -> None:
    with pytest.raises(ValueError, match="workers must be a whole number"), connect(None, workers):
        pass


def test_dask_is_asked_for_by_name_and_only_when_a_cluster_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = "import sys, nn.distributed, nn.sweeps; print('distributed' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"chainrule\[distributed\]"), connect():
        pass


# ---------------------------------------------------------------------- what a step would take

STEPS: dict[str, tuple[tuple[int, int, float], float]] = {
    # (chunks, workers, seconds of work) and the step, with 0.2 s of the driver's for each task
    "one worker computes all the time": ((10, 1, 1.0), 10 + 0.2),
    "two share the work": ((10, 2, 1.0), 5 + 0.1 + 0.2),
    "tasks go out one after the other": ((100, 100, 50.0), 100 * 0.1 + 50 + 0.1),
    "the driver is the limit": ((4000, 1000, 0.1), 4000 * 0.2),
    "fewer chunks than workers": ((1, 5, 3.0), 3 + 0.2),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_played_through_as_its_slowest_part_goes(name: str) -> None:
    (chunks, workers, work), want = STEPS[name]
    cost = reckoning.Costs(row=0.0, step=0.0, busy=0.2, alone=0.2, idle=0.0, worker=0.0, byte=0.0)
    step, driver = reckoning.played(chunks, workers, work, cost, 0.0)
    assert driver == pytest.approx(0.2 * chunks)
    assert step == pytest.approx(want, rel=0.03)


def test_on_one_machine_a_step_takes_at_least_the_processor_time_of_all() -> None:
    cost = reckoning.Costs(row=1e-6, step=0.0, busy=0.1, alone=0.1, idle=0.5, worker=0.1, byte=0.0)
    found = reckoning.reckoned(1_000_000, 10, 2, 10, cost, 2)
    assert found.processor == pytest.approx(1.0 + 10 * 0.1 + 10 * 0.1)
    assert found.step == pytest.approx(found.processor / (2 - 0.5))
    assert found.step > reckoning.reckoned(1_000_000, 10, 2, 10, cost).step


# ---------------------------------------------------------------------- training

Y = np.stack([np.tanh(X[:, 0] - X[:, 1]), X[:, 2] ** 2], axis=1)


def trained(paths: list[Path], model: Module | None = None, **options: Any) -> Any:
    model = model or MLP([3, 4, 2], "tanh", seed=3)
    options = {"epochs": 3, "batch_size": 512, "clip": 1.0} | options
    optimizer = options.pop("optimizer", Adam)(model, lr=0.02)
    history = fit(model, paths, loss=mse, optimizer=optimizer, **options)
    return [p.data for p in model.parameters()], history


def mae_of(outputs: Any, targets: Any) -> float:
    return float(np.mean(abs(np.array(outputs) - np.array(targets))))


def test_a_row_that_spoils_training_is_named_and_the_model_stays(tmp_path: Path) -> None:
    x = X.copy()
    x[2000, 1] = math.nan
    paths = stored(tmp_path, [x, Y])
    model = MLP([3, 4, 2], "tanh", seed=3)
    before = [p.data for p in model.parameters()]
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: .*row 2000: the result is nan"):
        trained(paths, model, batch_size=None)
    assert [p.data for p in model.parameters()] == before


def by_nn(data: Any, **options: Any) -> Any:
    model = MLP([3, 4, 2], "tanh", seed=3)
    usual: dict[str, Any] = {"loss": mse, "optimizer": Adam(model, lr=0.02), "epochs": 3}
    history = fit_here(model, data, **(usual | {"batch_size": 512, "clip": 1.0} | options))
    return [p.data for p in model.parameters()], history


def test_fit_of_nn_trains_on_files_with_and_without_a_cluster_to_the_same_bits(
    any_client: Any, tmp_path: Path
) -> None:
    paths = stored(tmp_path, [X, Y])
    every: dict[str, Any] = {
        "schedule": Step(0.02, 5),
        "validation": (X[:50], Y[:50]),
        "metrics": [mae_of],
        "seed": 4,
        "patience": 2,
        "watch": True,
        "checkpoint": tmp_path / "checkpoint",
        "callbacks": [lambda epoch, _: epoch == 2],
    }
    want, history = trained(paths, client=any_client, **every)
    for data, cluster in (
        (tuple(map(str, paths)), any_client),
        (paths, None),
    ):
        found, there = by_nn(data, cluster=cluster, **every)
        assert found == want
        assert vars(there) == vars(history)
    assert len(history.weights) == len(history) == 2
    found, there = by_nn(paths, cluster=any_client, **(every | {"callbacks": [], "resume": True}))
    assert there.stopped == history.stopped == "a callback asked to stop"
    assert found == want


IN_MEMORY: dict[str, tuple[Any, str]] = {
    "lists": ((X.tolist(), Y.tolist()), r"\(list, list\) in memory; numpy.save"),
    "arrays": ((X, Y), r"\(ndarray, ndarray\) in memory"),
    "a dataset": (Dataset([[0.0]], [0], ["x"]), "Dataset in memory"),
    "one path": ("inputs.npy", "the data is str in memory; .* the paths of the two .npy files"),
    "a path and an array": (("inputs.npy", Y), r"\(str, ndarray\) in memory"),
}


@pytest.mark.parametrize("what", IN_MEMORY)
def test_a_cluster_with_data_in_memory_is_refused_with_the_fix(what: str) -> None:
    data, message = IN_MEMORY[what]
    with pytest.raises(TypeError, match=message):
        by_nn(data, cluster=object())


def test_fit_of_nn_on_files_refuses_what_needs_data_in_memory(tmp_path: Path) -> None:
    paths = stored(tmp_path, [X, Y])
    with pytest.raises(ValueError, match=r"validation=0\.5 is a share of data in memory"):
        by_nn(paths, validation=0.5)
    with pytest.raises(TypeError, match=r"validation: .* got the paths .* use numpy.load"):
        by_nn(paths, validation=paths)
    model = MLP([3, 4, 2], "tanh", seed=3)
    replay = Replay(model, mse, model.parameters())
    with pytest.raises(TypeError, match=r"a Replay is for data in memory.* leave out compiled"):
        by_nn(paths, compiled=replay)
    with pytest.raises(TypeError, match="dask Client for the cluster, got str"):
        by_nn(paths, cluster="tcp://scheduler:8786")


def test_fit_of_nn_on_files_says_what_to_install_without_numpy() -> None:
    script = (
        "import sys; sys.modules['numpy'] = None; import nn; m = nn.MLP([1, 1], None, seed=0)\n"
        "nn.fit(m, ['x.npy', 'y.npy'], loss=nn.mse, optimizer=nn.optim.SGD(m), epochs=1)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "nn.distributed needs NumPy: pip install 'chainrule[distributed]'" in run.stderr


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"validation": 0.2},
        r"validation=0.2 is a share of data in memory; for training on files pass",
    ),
    ({"metrics": [metrics.accuracy]}, "metrics need validation data"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        trained(stored(tmp_path, [X, Y]), **options)


# ---------------------------------------------------------------------- sweeps

DATA = [[-1.0], [0.0], [1.0]], [[1.0], [0.0], [1.0]]


def made(initializer: Any, seed: int) -> Module:
    return MLP([1, 3, 1], "tanh", init=initializer, seed=seed)


def swept(**options: Any) -> Grid:
    starts = {"he": init.he_normal(), "zeros": init.zeros()}
    usual: dict[str, Any] = {
        "rates": [0.1, 0.02, 1e200],
        "initializers": starts,
        "seeds": [4, 5],
        "epochs": 3,
    }
    return sweep(made, DATA, loss=mse, **(usual | options))


def test_a_sweep_on_workers_has_the_bits_of_one_here(client: Any, tmp_path: Path) -> None:
    here, there = swept(), swept(client=client, picture=tmp_path / "grid.png")
    assert here == there
    assert len(here.runs) == len(here) == 12
    model = made(init.he_normal(), 5)
    want = fit_here(model, DATA, loss=mse, optimizer=SGD(model, lr=0.1), epochs=3, seed=5)
    (one,) = [r for r in here.runs if (r.rate, r.initializer, r.seed) == (0.1, "he", 5)]
    assert one.loss[1:] == want.loss
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_prints_a_row_for_each_rate_and_initializer() -> None:
    lines = str(swept()).splitlines()
    assert lines[0].split() == ["rate", "initializer", "median", "lowest", "highest", "diverged"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [rate, name] for rate in ("0.02", "0.1", "1e+200") for name in ("he", "zeros")
    ]
    assert "2 of 2" in lines[5]
    assert [line.endswith("<- best") for line in lines].count(True) == 1


def test_a_run_that_leaves_the_numbers_ends_with_inf() -> None:
    grid = swept()
    assert math.isinf(grid.median(1e200, "he"))
    assert grid.best[0] < 1.0


def test_a_picture_of_half_a_sweep_shows_what_is_there() -> None:
    grid = swept(compiled=True)
    everything = grid.runs
    grid.runs = everything[:3]
    assert math.isnan(grid.median(0.1, "zeros"))
    texts = {t.get_text() for t in grid.figure().axes[0].texts}
    assert texts == {"", f"{grid.median(0.02, 'he'):.3g}", f"{grid.median(0.02, 'zeros'):.3g}"}
    assert "3 of 12 runs" in grid.figure().axes[0].get_title()
    grid.runs = []
    assert grid.figure().axes[0].texts
    with pytest.raises(ValueError, match="no run is completed"):
        _ = grid.best


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rates": []}, "no rates"),
    ({"seeds": [1, 1]}, "seeds has duplicates"),
    ({"initializers": [None, None]}, "initializers has duplicates"),
    ({"picture": "grid.gif"}, "a picture must end in .png, .svg, .pdf, got 'grid.gif'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_wrong_sweep_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        swept(**options)


def test_a_compiled_function_can_be_given_and_used_on(tmp_path: Path) -> None:
    f = autograd.compile(branching, reduction="mean")
    f(X[:100])
    mean, slope = mean_gradient(f, whole(tmp_path), W)
    want, slopes = eager(branching, [X], W)
    assert mean == pytest.approx(want, rel=1e-12)
    assert slope == pytest.approx(slopes, rel=1e-10)
    assert f(X).data == pytest.approx(want, rel=1e-12)


# ---------------------------------------------------------------------- without any cluster


def test_the_sources_are_all_files_of_code_of_the_two_packages() -> None:
    import hashlib

    import nn

    found = hashlib.sha256()
    for package in (autograd, nn):
        folder = Path(str(package.__file__)).parent
        for path in sorted(p for p in folder.glob("**/*") if p.suffix in (".py", ".c")):
            found.update(path.relative_to(folder).as_posix().encode())
            found.update(path.read_bytes())
    assert fingerprints._sources() == found.hexdigest()[:16] == fingerprints._SOURCES


def test_a_fingerprint_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    own = fingerprints.fingerprint()
    assert own["chainrule"] == metadata.version("chainrule")
    assert own["llvmlite"] == metadata.version("llvmlite")
    assert list(own) == [
        "chainrule", "its source files", "Python", "NumPy", "llvmlite", "machine", "C library",
        "CPU", "CPU features",
    ]  # fmt: skip

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert {key: one for key, one in fingerprints.fingerprint().items() if own[key] != one} == {
        "chainrule": "not installed",
        "llvmlite": "none",
        "C library": "unknown",
    }


def test_the_processor_is_what_numpy_and_llvm_choose_code_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = fingerprints._processor.__wrapped__
    llvm = pytest.importorskip("llvmlite").binding
    shown: dict[str, Any] = {"SIMD Extensions": {"found": ["SSE", "AVX"], "not found": ["X"]}}
    monkeypatch.setattr(np, "show_config", lambda mode: dict(shown))
    host = {one[1:] for one in llvm.get_host_cpu_features().flatten().split(",") if one[0] == "+"}
    name, features = asked()
    assert name == llvm.get_host_cpu_name()
    assert features.split(" ") == sorted(host | {"numpy:SSE", "numpy:AVX"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(platform, "processor", lambda: "abacus")
    assert asked() == ("abacus", "numpy:AVX numpy:SSE")
    monkeypatch.setattr(platform, "processor", lambda: "")
    shown["SIMD Extensions"] = {}
    assert asked() == ("unknown", "")
    del shown["SIMD Extensions"]
    assert asked() == ("unknown", "")


def test_a_process_says_how_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(driver: dict[str, str]) -> str:
        with pytest.raises(MismatchError) as caught:
            fingerprints.compare(driver)
        return str(caught.value)

    own = fingerprints.fingerprint() | {"CPU features": "a b c"}
    monkeypatch.setattr(fingerprints, "fingerprint", lambda: own)
    fingerprints.compare(own)
    features = {"CPU features": "c e d"}
    assert told(own | features) == "CPU features: a b here, and d e on the driver"
    assert told(own | {"NumPy": "0.1"}) == f"NumPy: {np.__version__} here, and 0.1 on the driver"
    del own["CPU features"]
    assert told(features) == "CPU features: None here, and c e d on the driver"


class Future:
    def __init__(self, key: str, value: Any) -> None:
        self.key, self.value = key, value


class Fake:
    """A client that does everything at once, and remembers what it was asked for."""

    loop = "its loop"

    def __init__(self) -> None:
        self.submitted: list[Any] = []
        self.mapped: list[Any] = []
        self.cancelled: list[Any] = []

    def submit(self, function: Any, thing: Any, **options: Any) -> Future:
        self.submitted.append((thing, options))
        return Future("sent", function(thing))

    def map(self, function: Any, *columns: Any, **options: Any) -> list[Future]:
        pure = options.pop("pure")
        self.mapped.append((columns, options, pure))
        shared = {name: future.value for name, future in options.items()}
        rows = enumerate(zip(*columns, strict=True))
        self.futures = [Future(f"task {k}", function(*row, **shared)) for k, row in rows]
        return self.futures

    def gather(self, batch: list[Future]) -> list[Any]:
        return [future.value for future in batch]

    def cancel(self, futures: list[Future]) -> None:
        self.cancelled.append(futures)


def test_results_come_with_their_places_and_the_rest_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("distributed")

    def as_completed(futures: list[Future], loop: str) -> Any:
        assert loop == "its loop"
        later = [futures[2:], futures[:2]]
        return types.SimpleNamespace(batches=lambda: iter(later))

    monkeypatch.setattr("distributed.as_completed", as_completed)
    fake = Fake()
    there = Future("known", 100)

    def add(a: int, b: int, big: int, small: int) -> int:
        return a + 10 * b + big + small

    columns = [[1, 2, 3], [4, 5, 6]]
    found = list(clients.completed(fake, add, columns, big=there, small=1000))
    assert found == [(2, 1163), (0, 1141), (1, 1152)]
    assert fake.submitted == [(1000, {"pure": False})]
    ((given, shared, pure),) = fake.mapped
    assert (list(given), shared["big"], pure) == (columns, there, False)
    assert fake.cancelled == []
    some = clients.completed(fake, add, columns, big=there, small=0)
    assert next(some) == (2, 163)
    some.close()
    assert fake.cancelled == [fake.futures]


def test_a_job_makes_its_machine_once_on_each_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Machine:
        def __init__(self, spec: Any) -> None:
            made.append(spec)

        def run(self, *given: Any) -> Any:
            return given

    monkeypatch.setattr(worker, "Machine", Machine)
    spec: Any = "a spec"
    one: Any = worker.Job(spec)
    numbers = np.zeros(1)
    assert one.run(1, 2, numbers) == (1, 2, numbers)
    work: Any = worker.work
    assert work(3, 4, one, numbers) == (3, 4, numbers)
    assert made == [spec]
    other = worker.Job(spec)
    assert other.refusal() == ""
    other.run(1, 2, numbers)
    assert len(made) == 2


def test_a_program_of_another_table_is_told_to_be_one() -> None:
    with pytest.raises(ValueError, match=r"^the program is not a program$"):
        worker._opened(b"text")


@pytest.mark.parametrize(
    ("width", "rows"), [(1, 4096), (64, 4096), (100, 2621), (128, 2048), (5000, 64), (1 << 18, 64)]
)
def test_a_block_has_fewer_rows_if_they_are_wide(width: int, rows: int) -> None:
    assert files.block_of([types.SimpleNamespace(width=width)]) == rows  # type: ignore[list-item]


@pytest.mark.parametrize(("shape", "width"), [((5,), 1), ((5, 3), 3), ((5, 2, 3), 6), ((5, 0), 0)])
def test_the_width_of_a_file_is_how_many_numbers_a_row_has(
    shape: tuple[int, ...], width: int, tmp_path: Path
) -> None:
    (path,) = stored(tmp_path, [np.zeros(shape)])
    assert files.File.of(path).width == width


@pytest.mark.parametrize("kind", ["i2", "u1", "f4", "b1"])
def test_numbers_of_every_kind_may_be_in_a_file(kind: str, tmp_path: Path) -> None:
    (path,) = stored(tmp_path, [np.ones(5, dtype=kind)])
    w = Value(3.0)
    assert mean_gradient(lambda x: w * x, path, [w])[0] == 3.0


@pytest.mark.parametrize(
    ("low", "high", "width", "chunk", "first", "count"),
    [
        (0, 10, 1, None, (0, 10), 1),
        (0, 4096 * 64, 1, None, (0, 4096), 64),
        (0, 4096 * 64 + 1, 1, None, (0, 8192), 33),
        (4096, 4096 * 65, 1, None, (4096, 8192), 64),
        (0, 64 * 64, 5000, None, (0, 64), 64),
        (3, 10, 1, 4, (3, 7), 2),
        (3, 10, 1, 1, (3, 4), 7),
    ],
)
def test_chunks_are_blocks_or_as_many_as_are_asked_for(
    low: int, high: int, width: int, chunk: int | None, first: tuple[int, int], count: int
) -> None:
    rows = object.__new__(Rows)
    file: Any = types.SimpleNamespace(width=width)
    rows.chunk, rows.files = chunk, (file,)
    pieces = rows._pieces(low, high)
    assert (pieces[0], len(pieces), pieces[-1][1]) == (first, count, high)
    assert [end for _, end in pieces[:-1]] == [start for start, _ in pieces[1:]]


def test_a_machine_adds_its_blocks_up_in_order(tmp_path: Path) -> None:
    w = Value(2.0)
    x = np.array([1.0, 2.0, -4.0, 8.0, 16.0])
    (path,) = stored(tmp_path, [x])
    rows = Rows(lambda a: w * a if a > 0 else w * w, path, [w])
    rows.backward()
    machine = worker.Machine(rows._job.spec)
    assert machine.block == 4096
    machine.block = 2
    part = machine.run(0, 5, np.array([3.0]))
    assert (part.loss, part.gradient.tolist(), part.unknown, part.bad) == (
        3.0 * 27 + 9.0, [27 + 6.0], -1, ""
    )  # fmt: skip
    assert machine.run(3, 5, np.array([3.0])).loss == 72.0
    known = worker.Machine(rows._job.spec)
    assert len(known.compiled.recordings) == 2
    assert "2 recording(s) of 1 shape(s)" in repr(known.compiled)


def test_a_way_that_is_met_later_is_learnt_at_its_row(tmp_path: Path) -> None:
    w = Value(2.0)
    (path,) = stored(tmp_path, [np.array([1.0, math.nan, -4.0, math.nan])])
    rows = Rows(lambda a: w * 2.0 if a > 0 else w * w if a < 0 else w, path, [w])
    assert rows.backward() == (4.0 + 2.0 + 4.0 + 2.0) / 4
    assert len(rows._known) == 3
    numbers = [np.array([[1.0, math.nan], [2.0, 5.0], [math.nan, 5.0]])]
    assert worker._index(numbers, [math.nan, 5.0]) == 2
    assert worker._index(numbers, [1.0, math.nan]) == 0


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda w, x: (w * x - 2.0).sqrt() + w, "row 1: the gradient is not finite, with a "),
        (lambda w, x: w / (x - 1.0), "row 1: the result is "),
    ],
)
def test_a_row_with_a_gradient_that_is_not_finite_is_named(
    function: Any, said: str, tmp_path: Path
) -> None:
    w = Value(2.0)
    (path,) = stored(tmp_path, [np.array([3.0, 1.0, 4.0])])
    with pytest.raises(ArithmeticError, match=said):
        Rows(lambda x: function(w, x), path, [w], chunk=2).backward()


def test_a_file_of_one_row_is_enough_and_ranges_are_within_it(tmp_path: Path) -> None:
    w = Value(3.0)
    (path,) = stored(tmp_path, [np.array([2.0])])
    rows = Rows(lambda x: w * x, path, chunk=1)
    assert (rows.backward(), rows.flat.gradients.tolist(), len(rows)) == (6.0, [2.0], 1)
    for low, high in ((0, 0), (1, 1), (-1, 1), (0, 2)):
        with pytest.raises(ValueError, match=f"rows {low} to {high} are not within"):
            rows.backward(low, high)
    compiled = autograd.compile(lambda x: w * x, exact=True)
    exact = Rows(compiled, path, [w])
    assert exact.function is compiled
    spec = exact._job.spec
    assert (spec.exact, spec.parameters, spec.files) == (True, 1, exact.files)
    assert [place.dtype for place in spec.places] == [np.int64]
    assert rows._job.spec.exact is False
    for result in (lambda x: [w * x], lambda x: [w * x, w], lambda x: {"a": w}):
        with pytest.raises(TypeError, match="must return one number to be averaged"):
            Rows(result, path, [w])


def test_a_cluster_of_ones_own_is_asked_for_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    class Context:
        def __init__(self, *given: Any, **options: Any) -> None:
            asked.append((type(self).__name__, given, options))

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            asked.append((type(self).__name__, "left"))

    kinds = {name: type(name, (Context,), {}) for name in ("Client", "LocalCluster", "set")}
    dask = types.SimpleNamespace(config=types.SimpleNamespace(set=kinds["set"]))
    monkeypatch.setitem(sys.modules, "dask", dask)
    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(**kinds))
    with connect("tcp://here:1"):
        pass
    assert asked == [("Client", ("tcp://here:1",), {"set_as_default": False}), ("Client", "left")]
    for workers, processors, count in ((3, 8, 3), (None, 8, 8), (None, None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda processors=processors: processors)
        asked.clear()
        with connect(workers=workers):
            pass
        cluster = asked[1]
        assert asked[0] == (
            "set", ({"distributed.nanny.pre-spawn-environ": clients.ENVIRONMENT},), {}
        )  # fmt: skip
        assert cluster[2] == {
            "n_workers": count, "threads_per_worker": 1, "host": "127.0.0.1",
            "dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": 50,
        }  # fmt: skip
        assert asked[2][0] == "Client"
        assert type(asked[2][1][0]).__name__ == "LocalCluster"
        assert asked[2][2] == {"set_as_default": False}
        assert asked[3:] == [("Client", "left"), ("LocalCluster", "left"), ("set", "left")]


def test_training_on_files_takes_batches_in_the_seeds_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = stored(tmp_path, [X[:500], Y[:500]])
    asked: list[tuple[int, int]] = []
    backward = Rows.backward

    def watched(self: Rows, low: int = 0, high: int | None = None) -> float:
        asked.append((low, high or 0))
        return backward(self, low, high)

    monkeypatch.setattr(Rows, "backward", watched)
    cases: list[tuple[int, int, dict[str, Any]]] = [
        (0, 200, {}), (3, 200, {"seed": 3}), (3, 250, {"seed": 3})
    ]  # fmt: skip
    for seed, size, given in cases:
        asked.clear()
        model = MLP([3, 4, 2], "tanh", seed=3)
        history = fit(
            model, paths, loss=mse, optimizer=SGD(model, lr=1e-300), epochs=2, batch_size=size,
            **given,
        )  # fmt: skip
        rng, wanted = random.Random(seed), []
        for _ in range(2):
            order = list(range(0, 500, size))
            rng.shuffle(order)
            wanted += [(low, min(low + size, 500)) for low in order]
        assert asked == wanted
        outputs = [model(x) for x in X[:500].tolist()]
        mean = mse(outputs, Y[:500].tolist()).data
        assert history.loss == pytest.approx([mean, mean], rel=1e-12)
        assert history.weights == []


def test_training_on_files_gives_on_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nn.training import loop, progress

    paths = stored(tmp_path, [X[:100], Y[:100]])
    made: list[dict[str, Any]] = []
    start = Rows.__init__

    def watched(self: Rows, *given: Any, **options: Any) -> None:
        made.append(options | {"parameters": given[2]})
        start(self, *given, **options)

    bars: list[Any] = []
    bar = progress.bar

    def barred(count: int, wanted: bool | None, unit: str = "epoch") -> Any:
        bars.append((count, wanted))
        return bar(count, False)

    monkeypatch.setattr(Rows, "__init__", watched)
    monkeypatch.setattr(loop, "bar", barred)
    model = MLP([3, 4, 2], "tanh", seed=3)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 50, "validation": (X[:20], Y[:20])}
    options |= {"metrics": [mae_of], "schedule": Step(0.5, 1), "chunk": 30}
    history = fit(model, paths, loss=mse, optimizer=SGD(model), progress=True, **options)
    assert made[0]["chunk"] == 30
    assert made[0]["client"] is None
    assert [p is q for p, q in zip(made[0]["parameters"], model.parameters(), strict=True)]
    assert bars == [(2, True)]
    assert history.rate == [Step(0.5, 1)(1), Step(0.5, 1)(3)]
    outputs = [[z.data for z in model(x)] for x in X[:20].tolist()]
    last = mse([[Value(z) for z in row] for row in outputs], Y[:20].tolist()).data
    assert history.validation_loss[-1] == pytest.approx(last, rel=1e-12)
    assert history.metrics["mae_of"][-1] == pytest.approx(mae_of(outputs, Y[:20]), rel=1e-12)
