"""Adjoints that take the places of others: two that live at a time never share one."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import autograd
from autograd import Value, argmax, select
from autograd.compiled.lowering import SHARED
from autograd.compiled.native.engine import NativeEngine
from autograd.compiled.native.pullbacks import Pullbacks, allotted
from autograd.compiled.native.translation import Translation
from autograd.compiled.recording import Recording
from nn import MLP, softmax
from nn.microgpt import MicroGPT, encode
from tests.test_native import swept

Array = Any
W = [Value(0.4), Value(-0.7), Value(1.1)]
MODEL = MLP([8, 9, 7, 3], "tanh", seed=1)


def tangled(seed: int, count: int = 130) -> Callable[..., Any]:
    """A function of eight numbers: numbers that are read early and late, long sums, inner results.

    Its operands are parameters, constants and lanes side by side; some are chosen, some masked.
    """

    def f(*x: Any) -> Any:
        rng = random.Random(seed)
        line: list[Any] = [*x]
        for k in range(count):
            near = line[-1 - rng.randrange(min(9, len(line)))]
            a, b = rng.choice([near, near, rng.choice(line)]), rng.choice([*W, *line, 0.5])
            match rng.randrange(9):
                case 0 | 1:
                    line.append(a * b)
                case 2:
                    line.append(a * 0.5 + near * 0.25 - b)
                case 3:
                    line.append((a + b).tanh())
                case 4:
                    line.append(a.sigmoid() * near)
                case 5:
                    line.append(a / (b * b + 1.5))
                case 6:
                    line.append(near.hypot(2.0) - a.hypot(W[k % 3]))
                case 7 if k % 3 == 0:
                    some = [rng.choice(line) * 1.0 for _ in range(4)]
                    line.append(select(some, argmax([part.tanh() for part in some])))
                case _:
                    line += [part.tanh() * 0.3 for part in line[-12:-1:2]]
        total, inner = line[0], line[len(line) // 2]
        for part in line[1:]:  # a long sum: its terms are needed at all times
            total = total + part
        if inner.tanh() > 2.0:  # never, but it is compared
            total = total + 1.0
        return [total.tanh(), inner, line[9] * 1.0, (line[3] * inner).tanh(), x[2] * 1.0, inner]

    return f


def samples(count: int, seed: int = 0, inputs: int = 8) -> Array:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, inputs))


def recorded(f: Callable[..., Any], *arguments: Any) -> Recording:
    compiled = autograd.compile(f, engine="numpy")
    compiled(*arguments)
    return compiled.last


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"tangled {seed}": tangled(seed) for seed in range(4)},
    "tangled, of hundreds": tangled(9, 400),
    "an MLP": lambda *x: softmax(MODEL([*x])),
    "its inputs": lambda *x: [x[0], x[3] * W[0]],
    "only parameters": lambda *x: W[0] * W[1],
}


def spoil(code: Any, memory: Array) -> None:
    """Put nan wherever a sweep has to write before it reads."""
    layout = code.translation.layout
    memory[layout.shared : layout.notes] = np.nan
    memory[layout.peaks + 3 * layout.watched :] = np.nan


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_sweep_finds_nothing_that_another_one_has_left(name: str) -> None:
    one = recorded(FUNCTIONS[name], *samples(1)[0].tolist())
    for count in (1, 19):
        x = samples(count, 1)
        machine = NativeEngine(one.program)
        first = swept(machine, one, x)
        for found, wanted in zip(first, swept(one.engine, one, x), strict=True):
            assert np.allclose(found, wanted, rtol=1e-10, atol=1e-12)
        code, (numbers,), _ = machine.memory(count)
        for turn in range(3):
            spoil(code, numbers)
            if turn == 1 and name in ("tangled 0", "an MLP"):
                code.specialize()
            if turn == 2:  # after a call of other samples, without gradients
                swept(machine, one, samples(count, 2), differentiate=False)
            for found, before in zip(swept(machine, one, x), first, strict=True):
                assert np.array_equal(found, before)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_row_has_the_same_bits_in_tiles_of_every_width(name: str) -> None:
    one = recorded(FUNCTIONS[name], *samples(1)[0].tolist())
    x, found = samples(35, 3), []
    for tile in NativeEngine(one.program)._tiles:
        machine = NativeEngine(one.program)
        machine._tiles = [tile]
        found.append(swept(machine, one, x)[1:4])
    machine = NativeEngine(one.program)
    found += [swept(machine, one, x[k : k + 9])[1:4] for k in (0, 26)]
    for status, out, back in found[:-2]:
        for some, k in ((found[-2], 0), (found[-1], 26)):
            for a, b in zip((status, out, back), some, strict=True):
                assert np.array_equal(a[k : k + 9], b)


def test_calls_of_all_kinds_follow_each_other() -> None:
    f, x = tangled(0, 40), samples(11, 4)
    one, other = (
        autograd.compile(lambda *x: sum(f(*x)[:4]), engine=name, reduction="sum")
        for name in ("native", "numpy")
    )

    def all_of(g: Any) -> list[Array]:
        v = np.linspace(-1.0, 1.0, 3)
        columns = x.T
        alone = g(*x[0].tolist()).data
        results = [*g.value_and_grad(*columns), g.per_sample_gradients(*columns)]
        results += [g.parameter_gradients(*columns)[1], g.hvp(v, *columns)]
        return [np.asarray(part) for part in [*results, alone, g(*columns).data]]

    first, wanted = all_of(one), all_of(other)
    for a, b in zip(first, wanted, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-11)
    for a, b in zip(all_of(one), first, strict=True):
        assert np.array_equal(a, b)


# ---------------------------------------------------------------------- places


@pytest.mark.parametrize("name", [*FUNCTIONS, "a GPT"])
@pytest.mark.parametrize("tile", [1, 8])
def test_adjoints_that_live_at_a_time_have_places_of_their_own(name: str, tile: int) -> None:
    if name == "a GPT":
        one = recorded(MicroGPT(seed=0).loss, encode("andrea"))
    else:
        one = recorded(FUNCTIONS[name], *samples(1)[0].tolist())
    program = one.program
    pullbacks, places = Pullbacks(program, program.instructions), Translation(program, tile).layout
    at = pullbacks.places
    assert at[: program.tape.inputs].tolist() == [*range(program.tape.inputs)]
    assert at.max() < pullbacks.count <= program.slots + 2
    assert places.adjoint(3) == places.adjoints + tile * at[3]
    lives = np.full((2, program.slots), len(pullbacks.order))
    lives[1] = -1
    for now, lanes in enumerate(pullbacks.touched):
        lives[0, lanes] = np.minimum(lives[0, lanes], now)
        lives[1, lanes] = now
    lives[0, pullbacks.seeded] = -1
    lives[1, : program.tape.inputs] = len(pullbacks.order)
    for now in range(-1, len(pullbacks.order)):
        alive = at[(lives[0] <= now) & (now <= lives[1])]
        assert len(np.unique(alive)) == len(alive)


def test_a_long_sum_does_not_keep_the_adjoints_of_its_terms() -> None:
    def f(*x: Any) -> Any:
        line = [*x]
        for k in range(1500):
            line.append((line[-1 - k % 5] * W[k % 3] + line[-3]).tanh())
        total = line[0]
        for part in line[1:]:
            total = total + part * 0.01
        return total

    program = recorded(f, *samples(1)[0].tolist()).program
    pullbacks = Pullbacks(program, program.instructions)
    assert program.slots > 2900
    assert pullbacks.count < 200
    lanes = [part.results[part.results < SHARED] for part in pullbacks.order]
    assert sum(program.address[program.tape.outputs][0] in some for some in lanes) > 50


def test_places_are_given_again_by_size() -> None:
    born, dies = np.array([0, 0, 2, 3, 3, 5]), np.array([1, 3, 5, 4, 5, 5])
    found, count = allotted(np.array([16, 3, 15, 1, 3, 1]), born, dies)
    assert found.tolist() == [3, 0, 3, 19, 20, 19]  # of the second, 0 is free after 3 only
    assert count == 23
