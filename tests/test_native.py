"""Machine code made for programs: kernels alone, then the engine beside NumPy's."""

import ast
import ctypes
import itertools
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

pytest.importorskip("llvmlite")

from llvmlite import binding

import autograd
from autograd import Value, argmax, rows
from autograd.compiled import precision
from autograd.compiled.encoded import DOUBTFUL, Batch
from autograd.compiled.margins import is_exact
from autograd.compiled.native import (
    cache,
    calls,
    engine,
    intervals,
    kernels,
    limits,
    lookups,
    peaks,
    team,
)
from autograd.compiled.native.contractions import any_shape, contraction, described
from autograd.compiled.native.engine import NativeEngine
from autograd.compiled.native.functions import EXPONENTS, VECTORS, power
from autograd.compiled.native.ir import Function, Term
from autograd.compiled.native.kernels import Loaded
from autograd.compiled.native.lookups import Lookup
from autograd.compiled.native.reals import DOUBLE, SINGLE, Reals
from autograd.compiled.native.records import Kernel
from autograd.compiled.native.rows import values
from autograd.compiled.native.shapes import Loop, Shape, merged, pieces, single, tiled
from autograd.compiled.native.sweep import sweep
from autograd.compiled.native.target import Target, host, libm
from autograd.compiled.precision import Precision
from autograd.operation import Operation
from nn import MLP, softmax
from tests import reference
from tests.processes import filled
from tests.test_compile import random_graph
from tests.test_engines import PROGRAMS
from tests.test_lowering import CASES
from tests.test_rounding import deciding_function, points

Array = Any


VECTOR = DOUBLE.vector


def run(
    kernel: Kernel, fields: list[int], memory: Array, tables: Array, real: Reals = DOUBLE
) -> None:
    """Run one kernel."""
    address = kernels.shared_kernels(host(), real, real).find([kernel])[kernel]
    pointer = ctypes.c_void_p
    record = np.array([0, len(fields) + 2, *fields], dtype=np.int64)
    table = np.asarray(tables, dtype=np.int64).astype(np.uint32)
    ctypes.CFUNCTYPE(None, pointer, pointer, pointer)(address)(
        record.ctypes.data, memory.ctypes.data, table.ctypes.data
    )


# ---------------------------------------------------------------------- contractions


def random_loops(rng: random.Random) -> list[Loop]:
    """Some loops of a contraction; out may be met twice, as in the pullback of a convolution."""
    count = rng.randint(0, 4)
    strides = [0, 0, 1, 1, 2, 7, 8, 16, 24]
    return merged(
        Loop(rng.choice([2, 3, 4, 5, 8, 9, 16, 17]), *(rng.choice(strides) for _ in range(3)))
        for _ in range(count)
    )


def summed(loops: list[Loop], shape: Shape, memory: Array, places: tuple[int, int, int]) -> Array:
    """The memory after the contraction, added up product by product."""
    found, sums = memory.copy(), np.zeros(len(memory))
    index = np.array([*itertools.product(*(range(loop.length) for loop in loops))], dtype=int)
    o, x, y = (
        place + index @ np.array([loop[k] for loop in loops], dtype=int)
        for k, place in enumerate(places, 1)
    )
    np.add.at(sums, o, memory[x] * (1.0 if shape.alone else memory[y]))
    met = np.unique(o)
    found[met] = (found[met] if shape.add else 0.0) + shape.sign * sums[met]
    return found


def is_distinct(loops: list[Loop]) -> bool:
    moving = [loop for loop in loops if loop.out]
    places = [
        sum(i * loop.out for i, loop in zip(index, moving, strict=True))
        for index in itertools.product(*(range(loop.length) for loop in moving))
    ]
    return len(set(places)) == len(places)


TILED = [(DOUBLE, tile, seed) for tile in (1, 8, 16) for seed in range(5)]
TILED += [(SINGLE, tile, 0) for tile in (1, 16, 32)]


@pytest.mark.parametrize(("real", "tile", "seed"), TILED)
def test_a_kernel_for_a_shape_has_the_bits_of_the_kernel_for_all_shapes(
    real: Reals, tile: int, seed: int
) -> None:
    rng = random.Random(1000 * tile + seed)
    memory = np.random.default_rng(seed).normal(size=300_000).astype(real.precision.name)
    apart, width = 1e-12 if real is DOUBLE else 1e-4, real.vector
    places = 10_000, 100_000, 200_000
    for _ in range(4):
        loops = random_loops(rng)
        alone, sign = rng.random() < 0.3, rng.choice([1, -1])
        if alone:
            loops = merged(loop._replace(y=0) for loop in loops)
        add = rng.random() < 0.5 or not is_distinct(loops)
        if tile == 1:
            shape, packed = single(loops, sign, add, alone, width)
            everything = loops
        else:
            moves = rng.choice([True, False]), rng.random() < 0.7, rng.random() < 0.7
            moves = (moves[0], moves[1], moves[2] and not alone)
            loops = [Loop(n, *(tile * k for k in rest)) for n, *rest in loops]
            shape, packed = tiled(loops, tile, moves, sign, add, alone, width), None
            everything = [*shape.outer, *shape.sums, shape.vector]
        before, given = memory.copy(), list(places)
        if packed:
            scratch = 1000
            side = given[1 + packed.second]
            fields = [side, scratch, *packed[:4]]
            run((lookups.transpose, ()), fields, before, [0], real)
            given[1 + packed.second] = scratch
        found = [before.copy(), before.copy()]
        vector = shape.vector
        general = (any_shape, (vector[1:], alone, vector.length % width == 0))
        run(general, [*given, 0], found[0], np.array(described(shape)), real)
        run((contraction, (shape,)), [*given, 0], found[1], np.zeros(1), real)
        assert np.array_equal(found[0], found[1]), shape
        expected = summed(everything, shape, memory, places)
        assert np.allclose(found[0][5000:], expected[5000:], rtol=apart, atol=apart), shape


def test_a_line_is_cut_into_vectors() -> None:
    assert pieces(16) == [(0, 8, 0), (8, 8, 0)]
    assert pieces(9) == [(0, 8, 0), (8, 1, 0)]
    assert pieces(11) == [(0, 8, 0), (8, 8, 3)]
    assert pieces(4) == [(0, 4, 0)]


# ---------------------------------------------------------------------- functions


def on_vectors(f: Function, function: Callable[[Term], Term]) -> None:
    """A kernel that puts a function of each vector behind it."""
    count = Lookup(f, 1).field()
    f.each(count, lambda i: f.store(function(f.load(f.at(i * 16))), f.at(i * 16 + VECTOR)))


def computed(function: Callable[[Term], Term], numbers: list[float]) -> list[float]:
    """What a vector function gives for some numbers."""
    memory = np.zeros((-(-len(numbers) // VECTOR), 2, VECTOR))
    memory[:, 0] = np.resize(numbers, (len(memory), VECTOR))
    run((on_vectors, (function,)), [len(memory)], memory.ravel(), np.zeros(1))
    found: list[float] = memory[:, 1].ravel()[: len(numbers)].tolist()
    return found


SIZES = [
    0.0,
    5e-324,
    1e-310,
    2.3e-308,
    1e-17,
    2.0**-53,
    0.5,
    1.0,
    709.7,
    745.1,
    746.0,
    1e300,
    math.inf,
]
FAR = {"exp": 740.0, "expm1": 700.0, "tanh": 30.0, "sin": 1e6, "cos": 1e6, "erf": 7.0, "erfc": 27.5}


@pytest.mark.parametrize("name", VECTORS)
def test_functions_of_vectors_are_right_to_1_2_ulp(name: str) -> None:
    rng = random.Random(name)
    high, low = FAR.get(name, 1e3), -1.0 if name == "log1p" else 0.0 if name == "log" else -math.inf
    points = [rng.uniform(max(low, -high), high) for _ in range(200)]
    points += [rng.choice([1, -1]) * 10.0 ** rng.uniform(-12, 1) for _ in range(200)]
    points = [x for x in points if x > low]
    with mp.workprec(200):
        for x, found in zip(points, computed(VECTORS[name], points), strict=True):
            wanted = getattr(mp, name)(mpf(x))
            assert reference.ulps(found, wanted) <= 1.2, x


@pytest.mark.parametrize("name", VECTORS)
def test_functions_of_vectors_have_the_ends_of_the_rows(name: str) -> None:
    points = [sign * x for x in SIZES for sign in (1.0, -1.0)] + [math.nan, *([1.0] * 8)]
    for x, found in zip(points, computed(VECTORS[name], points), strict=True):
        wanted = rows()[name].value(x) if name in rows() else getattr(math, name)(x)
        assert found == pytest.approx(wanted, rel=1e-15, abs=0.0, nan_ok=True), x
        # No number depends on those beside it.
        assert computed(VECTORS[name], [x] * 8)[0] == found or found != found


@pytest.mark.parametrize("y", sorted(EXPONENTS))
def test_easy_powers_are_right_to_2_ulp_and_have_pythons_ends(y: float) -> None:
    points = [sign * x for x in [*SIZES, 0.3, 7.0, 1e-150, 1e150] for sign in (1.0, -1.0)]
    for x, found in zip(points, computed(lambda x: power(x, y), points), strict=True):
        wanted = rows()["pow"].value(x, y)
        assert found == pytest.approx(wanted, rel=4.5e-16, abs=5e-324, nan_ok=True), x


def machine_of(op: Operation) -> NativeEngine:
    """The native engine of one operation."""
    f = op if op.arity == 2 else lambda x: op(x)
    compiled = autograd.compile(f, engine="numpy")
    compiled(*[0.5] * op.arity)
    return NativeEngine(compiled.program)


def raw(machine: NativeEngine, points: list[tuple[float, ...]]) -> tuple[Array, Array]:
    """The values and partial derivatives as the kernels give them, finite or not."""
    x = np.array(points)
    out, held, back = np.empty((len(x), 1)), np.empty(len(x), dtype=np.int64), np.empty(x.shape)
    empty = np.zeros(0)
    where = np.zeros((0, 3), dtype=np.int64)
    some = Batch(empty, where, x, np.ones(1), out, held, back, empty, True)
    machine.prepared(machine.memory(len(x)), some)()
    return out[:, 0], back


@pytest.mark.parametrize("name", [op.name for op in rows().values()])
def test_rows_differ_from_the_eager_ones_by_few_ulp(name: str) -> None:
    op = rows()[name]
    points = [
        *reference.points(op, 60, random.Random(name)),
        *itertools.islice(reference.edges(op), 60),
    ]
    z, slopes = raw(machine_of(op), points)
    for point, found, slope in zip(points, z.tolist(), slopes.tolist(), strict=True):
        wanted = op.value(*point)
        assert found == pytest.approx(wanted, rel=9e-16, abs=1e-323, nan_ok=True), point
        if not math.isfinite(wanted):
            continue
        for partial, dz in zip((op.dx, getattr(op, "dy", None)), slope, strict=False):
            assert partial is not None
            exact = partial(*point, *[None] * (2 - op.arity), wanted)
            loose = 1e-15 if name in reference.CROSSES_ZERO else 1e-322
            assert dz == pytest.approx(exact, rel=1.8e-15, abs=loose, nan_ok=True), point


SUMMED = "add", "sub", "mul", "pos", "neg", "square"  # a zero may have another sign
SPECIAL = [0.0, -0.0, 0.5, 2.5, -0.3, 1e300, 5e-324, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", [op.name for op in rows().values() if is_exact(op)])
def test_rows_that_no_engine_rounds_otherwise_have_the_eager_bits(name: str) -> None:
    op, rng = rows()[name], random.Random(name)
    numbers = SPECIAL + [rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 17) for _ in range(15)]
    points = list(itertools.product(numbers, repeat=op.arity))
    alone = points[:: max(1, len(points) // 40)]
    machine = machine_of(op)
    found = [z for some in (points, *([point] for point in alone)) for z in raw(machine, some)[0]]
    for point, z in zip([*points, *alone], found, strict=True):
        wanted = op.value(*point)
        same = z == wanted if name in SUMMED else z.hex() == wanted.hex()
        assert same or (z != z and wanted != wanted), point


# ---------------------------------------------------------------------- what is measured

SIDES = [[1.5, -2.0, 3.0], [-1.0, -7.0], [2.0, 0.25], [0.0, -0.0], [math.inf, -1.0], [-math.inf]]
UNKNOWN = [[math.nan, 1.0], [-1.0, -math.nan], [-math.nan], [2.0, math.nan, -math.nan, -3.0]]


def measured(numbers: list[float], ends: bool, whole: bool) -> list[float]:
    """What the kernel finds of a line, behind which there are other numbers."""
    memory = np.full(1000, math.nan)
    memory[100 : 100 + len(numbers)] = numbers
    run((peaks.peaks, (ends, whole)), [1, 0], memory, [100, len(numbers), 900])
    found: list[float] = memory[900 : 904 if ends else 901].tolist()
    return found


@pytest.mark.parametrize("numbers", SIDES)
@pytest.mark.parametrize("length", [0, 7, 64, 200])
def test_the_ends_of_a_line_are_measured(numbers: list[float], length: int) -> None:
    line = [*numbers, *random.Random(length).choices(numbers, k=max(0, length - len(numbers)))]
    low = [x for x in line if math.copysign(1.0, x) < 0]
    high = [x for x in line if math.copysign(1.0, x) > 0]
    sides = [max(low, default=-math.inf), -min(high, default=math.inf)]
    for whole in {False, len(line) % VECTOR == 0}:
        assert measured(line, True, whole) == [max(line), -min(line), *sides]
        assert measured(line, False, whole) == [max(map(abs, line))]


@pytest.mark.parametrize("numbers", UNKNOWN)
@pytest.mark.parametrize("length", [1, 64])
def test_a_line_with_a_nan_has_no_size_and_no_end_that_can_be_below_a_limit(
    numbers: list[float], length: int
) -> None:
    line = [*[0.5] * (length - 1), *numbers] + [1.0] * (-(length - 1 + len(numbers)) % VECTOR)
    for whole in (False, True):
        high, low, *_ = measured(line, True, whole)
        assert math.isnan(high) or math.isnan(low)
        assert math.isnan(*measured(line, False, whole))


# ---------------------------------------------------------------------- targets


@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v3"])
def test_older_processors_get_code_that_gives_the_same_answers(cpu: str) -> None:
    own = host()
    if not own.triple.startswith("x86_64"):
        pytest.skip("it is another processor")
    model = MLP([3, 9, 2], "tanh", seed=0)
    compiled = autograd.compile(lambda x: softmax(model(x))[0], engine="numpy")
    x = np.random.default_rng(0).normal(size=(20, 3))
    compiled(x[0].tolist())
    one = compiled.last
    found = []
    for target in (own, Target(cpu, "", own.triple)):
        machine = NativeEngine(one.program)
        machine._loaded[8] = Loaded(one.program, 8, target)
        machine._tiles = [8]
        machine._loaded[8].specialize()
        found.append(swept(machine, one, x))
    for some, other in zip(*found, strict=True):
        assert some == pytest.approx(other, rel=1e-12, abs=1e-14)


def test_code_can_be_made_for_arm() -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    try:
        machine = binding.Target.from_triple(triple).create_target_machine(cpu="generic", jit=True)
    except RuntimeError:
        pytest.skip("this LLVM knows no ARM")
    target = Target("generic", "", triple)
    assert target.registers == 4
    shape = tiled([Loop(4, 8, 0, 8), Loop(5, 0, 1, 8)], 8, (True, False, True), 1, False, False)
    for kernel in ((sweep, (8,)), (values, (rows()["erf"], 8, ("line",))), (contraction, (shape,))):
        function = kernels.Kernels(target)._written(kernel)
        assert machine.emit_object(binding.parse_assembly(function.text()))


def test_a_function_that_the_c_library_lacks_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match=r'no_such_function: .* use engine="numpy"'):
        libm("no_such_function")
    assert libm("tgamma")


# ---------------------------------------------------------------------- what is kept


def test_objects_are_kept_on_disk_and_made_again_when_damaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "kept"))
    assert cache.folder() == tmp_path / "kept"
    kernel: Kernel = (lookups.zero, ())
    written: list[Path] = []
    keep = cache._keep

    def kept(path: Path, data: bytes) -> None:
        written.append(path)
        keep(path, data)

    monkeypatch.setattr(cache, "_keep", kept)

    def loaded(target: Target | None = None) -> int:
        """How many objects had to be made for a kernel."""
        written.clear()
        assert kernels.Kernels(target or host()).find([kernel])[kernel]
        return len(written)

    assert loaded() == 1
    assert loaded() == 0
    (path,) = (tmp_path / "kept").iterdir()
    data = path.read_bytes()
    for damaged in (data[:50], b"", data[:-1] + b"?", b"?" + data[1:]):
        path.write_bytes(damaged)
        assert loaded() == 1
        assert path.read_bytes() == data
    own = host()
    assert loaded(Target(own.cpu, own.features + ",-fma", own.triple)) == 1
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file" / "below"))
    kernel: Kernel = (lookups.zero, ())
    assert kernels.Kernels(host()).find([kernel])[kernel]


@pytest.mark.untraced
def test_processes_may_fill_one_folder_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        assert pool.map(filled, [str(tmp_path)] * 3) == [3] * 3
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 3
    assert all(name.endswith(".o") and not name.startswith(".") for name in names)


# ---------------------------------------------------------------------- threads


def test_threads_work_together_and_all_of_them_must_agree() -> None:
    met = threading.Barrier(3)
    for wrong in (None, 0, 2):

        def work(k: int, todo: Iterator[int], wrong: int | None = wrong) -> bool:
            met.wait(10)
            return k != wrong

        assert team.together(work, 3, 7) is (wrong is None)


@pytest.mark.parametrize("place", [0, 1])
def test_an_error_of_a_thread_comes_out_when_the_others_are_done(place: int) -> None:
    met, done = threading.Barrier(3), list[int]()

    def work(k: int, todo: Iterator[int]) -> bool:
        met.wait(10)
        if k == place:
            raise ZeroDivisionError
        done.append(k)
        return True

    with pytest.raises(ZeroDivisionError):
        team.together(work, 3, 7)
    assert sorted(done) == [k for k in range(3) if k != place]


def test_a_thread_that_is_late_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release, done = threading.Event(), list[tuple[int, int]]()

    def work(k: int, todo: Iterator[int]) -> bool:
        done.extend((k, part) for part in todo)
        return True

    with ThreadPoolExecutor(1) as busy:
        busy.submit(release.wait, 10)
        monkeypatch.setattr(team, "_pool", lambda: busy)
        assert team.together(work, 3, 5) is True
        release.set()
    assert done == [(0, part) for part in range(5)]


@pytest.mark.parametrize(("work", "threads"), [(1_000, 1), (10_000_000, 2)])
def test_all_processors_share_a_batch_that_takes_long_enough(
    work: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MLP([3, 5, 1], "tanh", seed=0)
    compiled = autograd.compile(lambda x: model(x)[0], engine="native")
    x = np.random.default_rng(0).normal(size=(64, 3))
    compiled(x)
    monkeypatch.setattr(engine, "cores", lambda: 2)
    machine: Any = compiled.last.engine
    (code,) = machine._loaded.values()
    code.work, code.chunk = work, 32
    taken: list[int] = []

    def together(work: Callable[[int, Iterator[int]], bool], threads: int, parts: int) -> bool:
        taken.append(threads)
        return work(threads - 1, iter(range(parts)))

    monkeypatch.setattr(calls, "together", together)
    wanted = compiled(x).tolist()
    assert taken == [threads] * (threads > 1)
    assert autograd.compile(compiled.function, engine="native", threads=1)(x).tolist() == wanted


def test_an_interruption_waits_for_the_threads_that_have_started() -> None:
    started, release, done = threading.Event(), threading.Event(), list[int]()

    def work(k: int, todo: Iterator[int]) -> bool:
        if k == 0:
            started.wait(10)
            threading.Timer(0.05, release.set).start()
            raise KeyboardInterrupt
        started.set()
        done.append(next(todo))
        release.wait(10)
        done.extend(todo)  # there is nothing left to do
        return True

    with pytest.raises(KeyboardInterrupt):
        team.together(work, 2, 4)
    assert done == [0]


def test_an_interruption_while_it_waits_changes_nothing() -> None:
    started, done = threading.Event(), list[int]()

    def work(k: int, todo: Iterator[int]) -> bool:
        if k == 0:
            started.wait(10)
            return True
        started.set()
        done.append(next(todo))
        time.sleep(0.1)  # by now, the other thread waits for this one
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        done.append(-1)
        return True

    with pytest.raises(KeyboardInterrupt):
        team.together(work, 2, 4)
    assert done == [0, -1]


# ---------------------------------------------------------------------- the engine


def swept(machine: Any, one: Any, x: Array, differentiate: bool = True) -> list[Array]:
    """Status, outputs, gradients in inputs and parameters of a sweep, and whether it went well."""
    outputs = len(one.program.tape.outputs)
    out, held = np.empty((len(x), outputs)), np.empty(len(x), dtype=np.int64)
    back, slopes, numbers = np.empty(x.shape), np.empty(len(one.parameters)), one.numbers()
    seeds = np.linspace(0.5, 1.5, outputs)
    some = Batch(numbers, one.own_runs, x, seeds, out, held, back, slopes, differentiate)
    good = machine.prepared(machine.memory(len(x)), some)()
    return [np.array(good), held, out, back, slopes]


SAMPLES = (1, 19, 40)


def check(
    f: Callable[..., Any],
    x: Array,
    arguments: Any = None,
    sizes: tuple[int, ...] = SAMPLES,
    kind: Precision = precision.DOUBLE,
) -> None:
    """The native engine gives NumPy's answers, and its own again with kernels of its own.

    In single precision, only samples without doubts are compared with NumPy's.
    """
    compiled = autograd.compile(f, engine="numpy")
    compiled(*(x[0].tolist() if arguments is None else arguments))
    one = compiled.last
    for samples in sizes:
        some = np.ascontiguousarray(x[:samples])
        machine = NativeEngine(one.program, kind)
        first = swept(machine, one, some)
        for loaded in machine._loaded.values():
            loaded.specialize()
        second, wanted = swept(machine, one, some), swept(one.engine, one, some)
        for found, again in zip(first, second, strict=True):
            assert np.array_equal(found, again, equal_nan=True)
        sure = first[1] != DOUBTFUL
        some_of = [part[sure] for part in first[1:4]] + [first[4]] * bool(sure.all())
        for found, right in zip(some_of, [p[sure] for p in wanted[1:4]] + wanted[4:], strict=False):
            size = abs(right[np.isfinite(right)]).max(initial=1.0)
            near = (1e-11, 1e-12) if kind.eager else (1e-4, 1e-5 * size)
            assert np.allclose(found, right, rtol=near[0], atol=near[1], equal_nan=True)


def batch(arguments: Any) -> Array:
    """Forty samples of such arguments."""
    rng = np.random.default_rng(0)
    flat = [one for part in arguments for one in (part if isinstance(part, list) else [part])]
    columns = [
        rng.integers(0, 2, 40) if isinstance(one, int) else rng.normal(size=40) for one in flat
    ]
    return np.array(columns, dtype=np.float64).T


KINDS = [precision.DOUBLE, precision.SINGLE]
INSTRUCTIONS = [
    (name, kind) for kind in KINDS for name in [*PROGRAMS, *CASES][:: 1 if kind.eager else 2]
]


@pytest.mark.parametrize(("name", "kind"), INSTRUCTIONS)
def test_instructions_of_every_kind_are_numpys(name: str, kind: Precision) -> None:
    f, arguments = (PROGRAMS[name] if name in PROGRAMS else CASES[name])[:2]
    x = batch(arguments).astype(kind.name).astype(float)
    check(f, x, arguments, SAMPLES if kind.eager else (1, 6, 40), kind)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs_are_numpys(seed: int) -> None:
    w = [Value(v) for v in np.random.default_rng(seed).normal(size=3)]
    f = random_graph(seed)
    x = np.random.default_rng(seed + 1).normal(size=(40, 4))
    check(lambda *numbers: f(list(numbers), w), x, sizes=(SAMPLES[seed % 3],))


OPERANDS = [(op.name, precision.DOUBLE) for op in rows().values()]
OPERANDS += [(name, precision.SINGLE) for name in ("tanh", "pow", "maximum")]


@pytest.mark.parametrize(("name", "kind"), OPERANDS)
def test_operands_in_lines_in_tables_and_shared_are_numpys(name: str, kind: Precision) -> None:
    op, w = rows()[name], [Value(0.7), Value(0.3)]

    def f(*x: Value) -> list[Any]:
        if op.arity == 1:
            return [op(a) for a in x] + [op(x[4] * x[1])] + [op(x[k]) for k in (3, 0, 7)]
        pairs = [*itertools.pairwise(x), (x[2], x[0]), (x[5], x[5])]
        mixed = [op(w[0], x[3]), op(x[1], w[1]), op(x[0], 2.0), op(0.25, x[8])]
        return [op(a, b) for a, b in pairs] + [op(a, w[0]) for a in x] + mixed

    x = np.random.default_rng(0).uniform(0.1, 0.9, size=(40, 11))
    check(f, x, None, SAMPLES if kind.eager else (1, 6, 40), kind)


def test_the_first_of_many_largest_is_found() -> None:
    def f(*x: Value) -> list[Any]:
        return [argmax(list(x)) * 1.0, argmax(list(x[:17])) * 1.0]

    x = np.random.default_rng(0).integers(0, 5, size=(40, 30)).astype(np.float64)
    x[3, 20] = x[5, 2] = math.nan
    check(f, x)


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 9, 40, 700])
def test_every_width_of_tiles_and_number_of_threads_gives_numpys_answers(
    samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "CHUNK", 20_000)
    model = MLP([3, 5, 2], "tanh", seed=0)
    x = np.random.default_rng(samples).normal(size=(samples, 3))

    def loss(x: list[Value]) -> Value:
        a, b = model(x)
        result: Value = a * b + softmax([a, b])[0]
        return result

    found = []
    for name, threads in (("numpy", 1), *(("native", count) for count in (1, 2, 5))):
        compiled = autograd.compile(loss, reduction="sum", engine=name, threads=threads)
        value, slopes = compiled.value_and_grad(x)
        found.append((value, slopes, compiled.parameter_gradients(x)[1]))
    for one, other in zip(found[0], found[1], strict=True):
        assert other == pytest.approx(one, rel=1e-12, abs=1e-14)
    for some in found[2:]:
        for one, other in zip(found[1], some, strict=True):
            assert np.array_equal(one, other)


def test_constants_and_parameters_in_tables_do_not_make_tiles_narrow() -> None:
    def f(*x: Value) -> Value:
        terms = x[0] * 2.0 + x[1] * x[2] - x[3] * 0.5 + x[2] * x[1].exp()
        return terms * x[0].hypot(x[1]) + x[2].hypot(3.0) * x[3].hypot(x[0])

    model = MLP([4, 5, 1], "tanh", seed=0)  # the bias of its last neuron is looked up
    x = np.random.default_rng(0).normal(size=(70, 4))
    for function in (lambda x: f(*x), lambda x: model(x)[0] * 1.0):
        compiled = autograd.compile(function, engine="native", reduction="sum")
        value, slopes = compiled.value_and_grad(x)
        machine: Any = compiled.last.engine
        assert set(machine._loaded) == {32}
        wanted = autograd.compile(function, engine="numpy", reduction="sum")
        assert wanted.value_and_grad(x) == (
            pytest.approx(value, rel=1e-13),
            pytest.approx(slopes, rel=1e-12),
        )
        ours, theirs = (one.parameter_gradients(x)[1] for one in (compiled, wanted))
        assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-12)


@pytest.mark.parametrize("samples", [2, 9, 33, 200])
def test_a_sample_has_the_same_bits_whatever_its_neighbours(samples: int) -> None:
    model = MLP([3, 9, 2], "tanh", seed=0)
    x = np.random.default_rng(0).normal(size=(200, 3))
    compiled = autograd.compile(lambda x: softmax(model(x))[0], engine="native")
    value, slopes = compiled.value_and_grad(x)
    chosen = np.random.default_rng(samples).permutation(200)[:samples]
    some, slopes_of_some = compiled.value_and_grad(x[chosen])
    assert np.array_equal(some, value[chosen])
    assert np.array_equal(slopes_of_some, slopes[chosen])


@pytest.mark.parametrize("odd", [[], [3], [0, 1], range(20)])
def test_rows_with_inf_or_nan_leave_the_bits_of_the_others(odd: Any) -> None:
    model = MLP([3, 9, 2], "tanh", seed=0)

    def loss(x: list[Value]) -> Value:
        result: Value = softmax(model(x))[0] * x[0].exp() / x[1]
        return result

    x = np.random.default_rng(0).normal(size=(20, 3))
    rows = np.arange(20)
    compiled = autograd.compile(loss, engine="native", reduction=None)
    value, slopes = compiled.value_and_grad(x)
    spoilt = x.copy()
    spoilt[odd] = [[1.0, 0.0, 2.0], [math.nan, 1.0, 1.0], [800.0, 1.0, 1.0], [1.0, -0.0, 0.5]][
        len(odd) % 4
    ]
    found, slopes_found = compiled.value_and_grad(spoilt)
    forward = compiled(spoilt)
    with autograd.no_grad():
        assert np.array_equal(forward, found, equal_nan=True)
    for k in rows:
        if k not in odd:
            assert (found[k], slopes_found[k].tolist()) == (value[k], slopes[k].tolist())
        else:
            exact = autograd.compile(loss, exact=True).value_and_grad(spoilt[k].tolist())
            assert np.array_equal([found[k], *slopes_found[k]], [exact[0], *exact[1]], True)
    total = compiled.parameter_gradients(spoilt)[1]
    eager = autograd.compile(loss, exact=True)
    wanted = eager.parameter_gradients(spoilt)[1]
    assert np.allclose(total, wanted, rtol=1e-12, atol=1e-14, equal_nan=True)


def test_a_sum_of_gradients_that_overflows_is_the_eager_one() -> None:
    w = Value(1.0)
    x = np.array([[1e308, 1.0], [1e308, 1.0], [-1e308, 1.0], [math.inf, 0.0]])
    for count in (3, 4):
        exact = autograd.compile(lambda x: w.detach() * x[1] + (w - w.detach()) * x[0], exact=True)
        found = autograd.compile(exact.function, engine="native")
        one, other = (f.parameter_gradients(x[:count])[1] for f in (found, exact))
        assert np.array_equal(one, other, equal_nan=True)


def test_a_flat_on_several_threads_has_the_bits_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "CHUNK", 20_000)
    model = MLP([3, 5, 1], "tanh", seed=0)
    x = np.random.default_rng(0).normal(size=(700, 3))
    found = []
    for threads in (1, 2, 5):
        compiled = autograd.compile(lambda x: model(x)[0], reduction="mean", threads=threads)
        flat = compiled.flat(model.parameters())
        for _ in range(3):
            value = flat.backward(x)
        assert len(flat._plans) == 1
        found.append([value, *flat.gradients.tolist()])
    assert found[0] == found[1] == found[2]


def test_a_sample_that_is_alone_in_its_branch_has_the_same_bits() -> None:
    model = MLP([3, 9, 2], "tanh", seed=0)

    def f(x: list[Value]) -> Value:
        result: Value = softmax(model(x))[0] if x[0] > 0.0 else softmax(model(x))[1]
        return result

    compiled = autograd.compile(f, engine="native")
    x = np.random.default_rng(0).normal(size=(50, 3))
    value, slopes = compiled.value_and_grad(x)
    for k in np.flatnonzero(x[:, 0] > 0.0):
        some = np.concatenate([x[x[:, 0] <= 0.0][:3], x[k : k + 1]])
        found, slope = compiled.value_and_grad(some)
        assert found[3] == value[k]
        assert np.array_equal(slope[3], slopes[k])


LIMITED = [(precision.DOUBLE, seed) for seed in range(40, 60)]
LIMITED += [(precision.SINGLE, seed) for seed in range(60, 72)]


@pytest.mark.parametrize(("kind", "seed"), LIMITED)
def test_limits_matter_to_no_result(
    kind: Precision, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    f, x = deciding_function(rng, "native"), points(rng, 48)
    compiled = autograd.compile(f, engine="numpy")
    compiled(x[0].tolist())
    one = compiled.last
    monkeypatch.setattr(limits.Limits, "learn", lambda *_: None)
    wanted = swept(NativeEngine(one.program, kind), one, x)  # every number has its bound
    monkeypatch.undo()
    monkeypatch.setattr(limits, "_EARLIEST", 1)
    machine = NativeEngine(one.program, kind)
    for _ in range(3):
        for found, expected in zip(swept(machine, one, x), wanted, strict=True):
            assert np.array_equal(found, expected, equal_nan=True)
    few = [swept(machine, one, np.ascontiguousarray(x[k : k + 8]))[1] for k in range(0, 48, 8)]
    assert np.array_equal(np.concatenate(few), wanted[1])


DIRECT = [op for op in rows().values() if intervals.is_direct(op)]


@pytest.mark.parametrize("op", DIRECT, ids=[op.name for op in DIRECT])
@pytest.mark.parametrize("ends", [(-0.75, 0.5), (0.25, 0.875), (-0.5, -0.125), (0.0, 0.5)])
def test_ends_that_follow_are_those_of_the_values(op: Operation, ends: tuple[float, float]) -> None:
    x = np.linspace(*ends, 101) + (2.0 if op.name == "acosh" else 0.0)
    z = np.array([op.value(one) for one in x.tolist()])
    found = intervals.sides_of(intervals.called(op.name, [(float(x.min()), float(x.max()))]))
    if np.isnan(z).any():
        assert found[0] == math.inf  # no limit is possible
        return
    wanted = [z.max(), -z.min(), *(max(part, default=-math.inf) for part in (z[z < 0], -z[z >= 0]))]
    assert all(a >= b for a, b in zip(found, wanted, strict=True))
    crossed = z.min() < 0 <= z.max()  # then the ends next to 0 are 0
    assert np.allclose(found, [*wanted[:2], 0.0, 0.0] if crossed else wanted, 1e-9, 1e-9)


def test_what_follows_is_not_measured() -> None:
    weights = [Value(0.1 * k + 0.3) for k in range(40)]

    def f(x: list[Value]) -> list[Value]:
        return [(w * x[0] + w * w * x[1] - x[2] * w).tanh().exp().relu() for w in weights]

    compiled = autograd.compile(f, engine="native")
    compiled([0.3, 0.2, 0.1])
    found = limits.Peaks(compiled.program, compiled.program.cone)
    lines = [found.heaps.numbers(heap) for what, heap in found.places if what == "ends"]
    assert [length for _, length in lines] == [len(weights)]


BEYOND = """
import ctypes
import numpy as np
from autograd.compiled.native import kernels, records
from tests import test_native
from tests.test_engines import PROGRAMS
from tests.test_lowering import CASES
from tests.test_rounding import deciding_function, points

c = ctypes.CDLL(None)
c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
c.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
PAGE = 4096

def fenced(array):
    size = -(-array.nbytes // PAGE) * PAGE
    start = c.mmap(None, size + 2 * PAGE, 3, 0x22, -1, 0)
    for page in (start, start + PAGE + size):
        assert not c.mprotect(page, PAGE, 0)
    place = start + PAGE + (size - array.nbytes if side == "end" else 0)
    made = np.frombuffer((ctypes.c_char * array.nbytes).from_address(place), dtype=array.dtype)
    made[:] = array
    return made

memory, joined = kernels.Loaded.memory, records.Tables.joined
kernels.Loaded.memory = lambda self: fenced(memory(self))
records.Tables.joined = lambda self: fenced(joined(self))
for side in ("start", "end"):
    for kind in test_native.KINDS:
        for name in [*PROGRAMS, *CASES][:: 1 if kind.eager else 3]:
            test_native.test_instructions_of_every_kind_are_numpys(name, kind)
        for op in ("tanh", "pow", "maximum")[: 3 if kind.eager else 1]:
            test_native.test_operands_in_lines_in_tables_and_shared_are_numpys(op, kind)
        for seed in (40, 41, 42)[: 3 if kind.eager else 1]:
            test_native.check_bounds(seed, kind)
"""


def check_bounds(seed: int, kind: Precision) -> None:
    """A function that decides by sums runs, alone and in tiles, with every bound."""
    rng = random.Random(seed)
    f, x = deciding_function(rng, "native"), points(rng, 20)
    compiled = autograd.compile(f, engine="numpy")
    compiled(x[0].tolist())
    for samples in (1, 20):
        machine = NativeEngine(compiled.program, kind)
        swept(machine, compiled.last, np.ascontiguousarray(x[:samples]))


@pytest.mark.skipif(sys.platform != "linux", reason="pages are fenced as Linux does it")
@pytest.mark.untraced
def test_nothing_beside_the_numbers_and_tables_is_touched() -> None:
    run = subprocess.run([sys.executable, "-c", BEYOND], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]


RULES = {
    "-x": (-3.0, 2.0), "+x": (-3.0, 2.0), "1 / x": (-1.0, 1.0), "1 / (x + 4)": (-3.0, 2.0),
    "x ** 2": (-3.0, 2.0), "(x + 4) ** 2": (-3.0, 2.0), "x * x - x": (-3.0, 2.0),
    "exp(-x)": (-3.0, 2.0), "tanh(x)": (-3.0, 2.0), "sin(x)": (-9.0, 9.0),
    "sigmoid(x)": (-3.0, 2.0),
    "cosh(x)": (-3.0, 2.0), "abs(x)": (-3.0, 2.0), "log(x)": (0.5, 2.0), "erf(x)": (-1.0, 2.0),
    "atan(x)": (-3.0, 3.0), "sqrt(x)": (0.25, 4.0), "x if x > 0 else -2 * x": (-3.0, 2.0),
    "hypot(x, x)": (-3.0, 2.0), "gelu(x)": (-3.0, 2.0), "maximum(x, 0.5)": (-3.0, 2.0),
}  # fmt: skip


@pytest.mark.parametrize("text", RULES)
def test_an_interval_has_every_value_of_its_rule(text: str) -> None:
    low, high = RULES[text]
    least, most = intervals.interval(ast.parse(text, mode="eval").body, {"x": (low, high)})
    known: dict[str, Any] = {name: lambda *x, op=op: op.value(*x) for name, op in rows().items()}
    for k in range(201):
        x = low + (high - low) * k / 200
        try:
            value = eval(text, {}, known | {"x": x})
        except ZeroDivisionError:
            continue
        assert least <= value <= most


def test_numbers_of_another_kind_or_too_few_are_refused_before_code_runs() -> None:
    weight = Value(2.0)
    f = autograd.compile(lambda x: (x[0] * weight).tanh())
    f(np.array([[0.5], [1.5]]))
    one = f.last
    x, out = np.array([[0.5], [1.5]]), np.empty((2, 1))
    status, back, slopes = np.empty(2, dtype=np.int64), np.empty((2, 1)), np.empty(1)

    def run(**changes: Any) -> None:
        parts: dict[str, Any] = {
            "numbers": np.array([2.0]), "where": one.own_runs, "x": x, "seeds": np.ones(1),
            "out": out, "status": status, "back": back, "gradients": slopes, "differentiate": True,
        }  # fmt: skip
        one.engine.prepared(one.memory(2), Batch(**(parts | changes)))()

    run()
    for name, array in (("x", x.astype(np.float32)), ("out", np.empty((2, 2))[:, :1])):
        with pytest.raises(ValueError, match=f"{name}: expected float64 numbers in one line"):
            run(**{name: array})
    with pytest.raises(ValueError, match="numbers"):
        run(numbers=np.zeros(0))


@pytest.mark.parametrize("known", [None, {"prefer-256-bit": True, "avx2": True}])
def test_a_processor_of_which_llvm_knows_little_has_a_target(
    known: dict[str, bool] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def features() -> dict[str, bool]:
        if known is None:
            raise RuntimeError("unknown")
        return known

    monkeypatch.setattr(binding, "get_host_cpu_features", features)
    found = host.__wrapped__()
    assert isinstance(found, Target)
    assert "+prefer-256-bit" not in str(found)
