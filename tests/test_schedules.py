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
    Exponential,
    Linear,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
    WarmUp,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schedules.json").read_text())
SAME: dict[str, Schedule] = {
    "Step": Step(0.1, every=7, factor=0.5),
    "Exponential": Exponential(0.1, 0.9),
    "Cosine": Cosine(0.1, steps=30, final=0.01),
    "Linear": Linear(0.1, steps=20, final=0.01),
    "OneCycle": OneCycle(0.1, steps=31),
}


@pytest.mark.parametrize("name", SAME)
def test_rates_are_those_of_pytorch(name: str) -> None:
    assert [SAME[name](t) for t in range(30)] == pytest.approx(GOLDEN[name], rel=1e-12)


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
    assert len(kinds) == 8
    good = {
        "rate": 0.1,
        "peak": 0.1,
        "steps": 10,
        "every": 5,
        "factor": 0.5,
        "after": Constant(1.0),
    }
    for kind in kinds:
        needed = [name for name in inspect.signature(kind).parameters if name in good]
        arguments: dict[str, Any] = {name: good[name] for name in needed}
        kind(**arguments)
        for name in needed:
            if name != "after":
                for bad in (-1, math.nan, math.inf, "1"):
                    with pytest.raises(ValueError, match=f"{kind.__name__}: {name} must be"):
                        kind(**{**arguments, name: bad})
    with pytest.raises(ValueError, match="steps"):
        Cosine(0.1, steps=0)
    with pytest.raises(ValueError, match="less than 1"):
        ReduceOnPlateau(0.1, factor=1.0)
    with pytest.raises(ValueError, match="warm"):
        OneCycle(0.1, steps=10, warm=1.0)
