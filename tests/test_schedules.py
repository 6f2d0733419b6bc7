"""Schedules: PyTorch's rates, and what is refused."""

import inspect
import json
import math
from pathlib import Path
from typing import Any

import pytest

from nn import schedules
from nn.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Lambda,
    Linear,
    MultiStep,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Sequential,
    Step,
    WarmUp,
)
from tests.golden.peers import EPOCHS

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schedules.json").read_text())
SAME: dict[str, Schedule] = {
    "Step": Step(0.1, every=7, factor=0.5),
    "MultiStep": MultiStep(0.1, [5, 8, 8, 20], factor=0.5),
    "Exponential": Exponential(0.1, 0.9),
    "Cosine": Cosine(0.1, steps=30, final=0.01),
    "CosineRestarts": CosineRestarts(0.1, steps=7, growth=2, final=0.01),
    "CosineRestarts 1": CosineRestarts(0.1, steps=7),
    "Linear": Linear(0.1, steps=20, final=0.01),
    "Polynomial": Polynomial(0.1, steps=20, power=2.0),
    "OneCycle": OneCycle(0.1, steps=31),
    "Lambda": Lambda(0.1, lambda step: 0.95**step),
    "Sequential": Sequential([Constant(0.01), Exponential(0.1, 0.9)], milestones=[10]),
}


@pytest.mark.parametrize("name", SAME)
def test_rates_are_those_of_pytorch(name: str) -> None:
    assert [SAME[name](t) for t in range(30)] == pytest.approx(GOLDEN[name], rel=1e-12)


def test_a_plateau_is_that_of_pytorch_but_for_losses_below_0() -> None:
    plateau, rates = ReduceOnPlateau(0.1, factor=0.5, patience=1), []
    for loss in EPOCHS:
        plateau.observe(loss)
        rates.append(plateau(0))
    assert rates == pytest.approx(GOLDEN["ReduceOnPlateau"], rel=1e-12)


@pytest.mark.parametrize("worse", [0.0, 5e-5])
@pytest.mark.parametrize("start", [1.0, -1.0, 0.0])
def test_a_loss_that_stays_or_rises_is_no_improvement_whatever_its_sign(
    start: float, worse: float
) -> None:
    plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    for i in range(8):
        plateau.observe(start + worse * i)
    assert plateau(0) == 0.0125
    better = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    for i in range(8):
        better.observe(start - 0.1 * i)
    assert better(0) == 0.1
    at_once = ReduceOnPlateau(0.1, factor=0.5, patience=0)
    for loss in (start, start):
        at_once.observe(loss)
    assert at_once(0) == 0.05


def test_a_number_stands_for_a_constant_rate_and_a_function_for_a_schedule() -> None:
    assert WarmUp(0.1, 5)(0) == pytest.approx(0.02)
    assert WarmUp(0.1, 5)(50) == 0.1
    falling = Sequential([0.5, lambda step: 1.0 / (1 + step)], [2])
    assert [falling(t) for t in range(4)] == [0.5, 0.5, 1.0, 0.5]
    with pytest.raises(TypeError, match=r"^WarmUp: after must be a schedule or a rate, got '0\.1'"):
        WarmUp("0.1", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 parts need 1 milestones, got 2"):
        Sequential([0.1, 0.2], [3, 4])
    with pytest.raises(
        ValueError, match=r"MultiStep: milestones must be in rising order, got \[4, 3\]"
    ):
        MultiStep(0.1, [4, 3])


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Step, {"step_size": 3}, "no argument 'step_size'; it is called 'every' here"),
        (Step, {"every": 3, "gamma": 0.5}, "'gamma'; it is called 'factor' here"),
        (Cosine, {"T_max": 3}, "'T_max'; it is called 'steps' here"),
        (Cosine, {"steps": 3, "eta_min": 3}, "'eta_min'; it is called 'final' here"),
        (CosineRestarts, {"T_0": 3}, "'T_0'; it is called 'steps' here"),
        (Linear, {"total_iters": 3}, "'total_iters'; it is called 'steps' here"),
        (OneCycle, {"max_lr": 0.1}, "'max_lr'; it is called 'peak' here"),
        (ReduceOnPlateau, {"min_lr": 0.1}, "'min_lr'; it is called 'final' here"),
        (Lambda, {"lr_lambda": 0.1}, "'lr_lambda'; it is called 'function' here"),
        (Constant, {"lr": 0.1}, "'lr'; it is called 'rate' here"),
        (Step, {"evry": 3}, "'evry'; did you mean 'every'"),
    ],
)
def test_the_arguments_of_other_libraries_are_named(
    kind: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(
        TypeError, match=f"^{kind.__name__}: there is {words}|^{kind.__name__}.*{words}"
    ):
        kind(0.1, **arguments)


def test_numbers_of_other_libraries_are_stored_as_pythons() -> None:
    np = pytest.importorskip("numpy")
    cosine = Cosine(np.float32(0.5), np.int64(10))
    assert (type(cosine.rate), type(cosine.steps), cosine(5)) == (float, int, 0.25)
    steps = MultiStep(np.array(0.5), np.array([2, 4]))
    assert (steps.milestones, steps(3)) == ([2, 4], 0.05)
    plateau = ReduceOnPlateau(np.float32(0.5), factor=np.float32(0.5), patience=np.int64(0))
    assert [type(x) for x in (plateau.rate, plateau.factor, plateau.patience)] == [
        float,
        float,
        int,
    ]


def test_warm_up_rises_and_hands_over() -> None:
    schedule = WarmUp(Constant(0.4), steps=4)
    assert [schedule(t) for t in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_reduce_on_plateau_waits_reduces_and_is_resumed() -> None:
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=2, final=0.2)
    seen = []
    for loss in [3.0, 2.0, 2.0, 2.0, 2.0, 1.0, *[1.0] * 20]:
        schedule.observe(loss)
        seen.append(schedule(0))
    assert seen[:6] == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    assert seen[-1] == 0.2
    other = ReduceOnPlateau(1.0, factor=0.5, patience=2)
    other.load_state_dict(schedule.state_dict())
    assert other(0) == 0.2


def test_every_schedule_refuses_numbers_out_of_range() -> None:
    kinds: list[Any] = [
        kind
        for _, kind in inspect.getmembers(schedules, inspect.isclass)
        if issubclass(kind, Schedule) and kind is not Schedule
    ]
    assert len(kinds) == 13
    good = {
        "rate": 0.1,
        "peak": 0.1,
        "steps": 10,
        "every": 5,
        "factor": 0.5,
        "after": Constant(1.0),
        "milestones": [3],
        "parts": [0.1, 0.2],
        "function": math.exp,
    }
    for kind in kinds:
        needed = [name for name in inspect.signature(kind).parameters if name in good]
        arguments: dict[str, Any] = {name: good[name] for name in needed}
        kind(**arguments)
        for name in needed:
            if isinstance(good[name], float | int):
                for bad in (-1, math.nan, math.inf, "1"):
                    with pytest.raises((TypeError, ValueError), match=f"^{kind.__name__}: {name}"):
                        kind(**{**arguments, name: bad})
    with pytest.raises(ValueError, match="steps"):
        Cosine(0.1, steps=0)
    with pytest.raises(ValueError, match="factor must be at least 0 and less than 1"):
        ReduceOnPlateau(0.1, factor=1.0)
    with pytest.raises(ValueError, match="warm"):
        OneCycle(0.1, steps=10, warm=1.0)


def test_what_is_not_given_is_what_the_documentation_says() -> None:
    assert Step(0.1, every=2) == Step(0.1, 2, 0.1)
    assert Cosine(0.1, 4) == Cosine(0.1, 4, 0.0)
    assert Linear(0.1, 4) == Linear(0.1, 4, 0.0)
    assert OneCycle(0.1, 4) == OneCycle(0.1, 4, 0.3, 25.0, 1e4)
    assert ReduceOnPlateau(0.1) == ReduceOnPlateau(0.1, 0.1, 10, 1e-4, 0.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Step(0.1, every=0), "Step: every must be a whole number of at least 1, got 0"),
        (lambda: Cosine(0.1, steps=0), "Cosine: steps must be a whole number of at least 1, got 0"),
        (lambda: ReduceOnPlateau(0.1, patience=-1), "ReduceOnPlateau: patience must be a whole"),
        (lambda: OneCycle(0.1, 4, warm=0.0), "OneCycle: warm must be between 0 and 1"),
        (lambda: OneCycle(0.1, 4, warm=1.0), "OneCycle: warm must be between 0 and 1"),
        (lambda: OneCycle(0.1, 4, start=0.0), "OneCycle: start must be a finite number above 0"),
        (lambda: OneCycle(0.1, 4, end=0.0), "OneCycle: end must be a finite number above 0"),
    ],
)
def test_a_refusal_names_schedule_and_option(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        make()


@pytest.mark.parametrize("kind", [Cosine, Linear])
def test_beyond_its_steps_a_rate_stays_where_it_is(kind: Any) -> None:
    assert kind(1.0, 4, 0.5)(4) == kind(1.0, 4, 0.5)(6) == kind(1.0, 4, 0.5)(9) == 0.5


def test_one_cycle_at_its_turns_and_beyond() -> None:
    cycle = OneCycle(1.0, 10, warm=0.4, start=0.5, end=0.25)
    assert cycle(0) == 2.0  # a start below 1 comes down to the peak
    assert cycle(3) == pytest.approx(1.0)  # top is 3
    assert cycle(9) == cycle(14) == pytest.approx(8.0)
    # Of one step, and of so few that none is on the way up.
    assert OneCycle(1.0, 1)(0) == pytest.approx(1.0 / 25.0)
    assert OneCycle(1.0, 2)(1) == pytest.approx(4e-6)
    assert OneCycle(1.0, 4, warm=0.4)(0) == pytest.approx(1.0 / 25.0)


def test_a_plateau_is_waited_for_as_long_as_it_says() -> None:
    plateau = ReduceOnPlateau(1.0, factor=0.5, patience=2, threshold=0.5)
    rates = []
    for loss in (math.inf, 8.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 1.9):
        plateau.observe(loss)
        rates.append(plateau(0))
    # 4 is not below half of 8: the third of such epochs halves the rate, and again the third.
    assert rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert plateau.state_dict() == {"now": 0.25, "best": 1.9, "waited": 0}


@pytest.mark.parametrize("first", [math.nan, math.inf])
def test_a_first_loss_that_is_no_number_is_no_best_loss(first: float) -> None:
    plateau, rates = ReduceOnPlateau(0.1, factor=0.5, patience=0), []
    for loss in (first, 3.0, 2.0, 2.0):
        plateau.observe(loss)
        rates.append(plateau(0))
    assert rates == [0.05, 0.05, 0.05, 0.025]  # as PyTorch's
