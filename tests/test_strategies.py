"""Random graphs for hypothesis: what may be drawn, and what is made of it."""

import math
from typing import Any

import pytest

from autograd import Value, rows, strategies


class Said:
    """Stands for hypothesis, and remembers what strategies were asked for."""

    def __init__(self, name: str, given: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.name, self.given, self.options = name, given, options

    def map(self, function: Any) -> "Said":
        return Said("map", (self, function), {})


class Strategies:
    def __getattr__(self, name: str) -> Any:
        return lambda *given, **options: Said(name, given, options)


@pytest.mark.parametrize(
    ("options", "steps", "inputs"),
    [({}, 10, 3), ({"steps": 4, "inputs": 1}, 4, 1)],
)
def test_programs_and_points_of_the_sizes_that_are_asked_for(
    options: dict[str, Any], steps: int, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "st", Strategies())
    pair: Any = strategies.expressions(**options)
    mapped, points = pair.given
    (programs, function) = mapped.given
    assert (programs.name, programs.options) == ("lists", {"min_size": 1, "max_size": steps})
    op, *places = programs.given[0].given
    assert op.name == "sampled_from"
    assert [(p.name, p.given) for p in places] == [("integers", (0, 5))] * 2
    assert (points.name, points.options) == ("lists", {"min_size": 1, "max_size": inputs})
    (number,) = points.given
    assert (number.given, number.options) == ((-2.0, 2.0), {"allow_subnormal": False})
    f = function([(rows()["exp"], 0, 0)])
    assert f(0.5) == math.exp(0.5)
    f = function([(rows()["add"], 0, 0)])
    assert f(0.5) in (math.tanh(1.0), math.erf(1.0))


@pytest.mark.parametrize("smooth", [None, True, False])
def test_operations_with_ends_or_kinks_are_left_out(
    smooth: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "st", Strategies())
    given = {} if smooth is None else {"smooth": smooth}
    pair: Any = strategies.expressions(**given)
    (table,) = pair.given[0].given[0].given[0].given[0].given
    wanted = {op.name for op in rows().values() if not op.ends}
    if smooth is not False:
        wanted = {name for name in wanted if not rows()[name].smooth}
        assert "relu" not in wanted
    assert {op.name for op in table} == wanted
    assert {"mul", "tanh", "sigmoid"} <= wanted
    assert "log" not in wanted


def test_operands_are_counted_back_and_what_could_grow_is_squashed() -> None:
    table = rows()
    bounded = table["tanh"]
    program = [(table["sub"], 0, 1), (table["sin"], 2, 9), (table["sigmoid"], 1, 0),
               (table["mul"], 5, 6)]  # fmt: skip
    f = strategies._function(program, bounded)
    first = math.tanh(0.25 - 0.5)  # the last argument less the one before
    second = math.sin(0.5)  # of 0.5, 0.25 and the first result, counted from behind: two back
    third = math.tanh(1.0 / (1.0 + math.exp(-first)))  # sigmoid is no function of libm
    line = [0.5, 0.25, first, second, third]
    fourth = math.tanh(line[-1 - 5 % 5] * line[-1 - 6 % 5])
    assert f(0.5, 0.25) == pytest.approx(fourth, rel=1e-14)
    assert f(Value(0.5), Value(0.25)).data == pytest.approx(fourth, rel=1e-14)
    assert strategies._function(program[:2], bounded)(0.5, 0.25) == second
    assert strategies._function(program[:3], bounded)(0.5, 0.25) == pytest.approx(third)
    assert strategies._function(program[:1], bounded)(0.5) == 0.0
