"""Exercises: right answers are right, and every known mistake gets its sentence."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograd import Value
from autograd.expressions import expression
from nn import exercises
from nn.study.exercises import exercise

NOTEBOOKS = sorted(Path(__file__).parent.parent.glob("notebooks/0*.ipynb"))


def function(texts: Any, variables: list[str]) -> Callable[..., Any]:
    """The function that the texts describe."""

    def computed(*point: Any) -> Any:
        lists = [texts] if isinstance(texts, str) else texts
        named = dict(zip(variables, point, strict=True))
        results = [
            expression(text, {n: v for n, v in named.items() if re.search(rf"\b{n}\b", text)})
            for text in lists
        ]
        return results[0] if isinstance(texts, str) else results

    return computed


def answers(name: str) -> tuple[Any, list[tuple[Any, str]]]:
    """The right answer, and the wrong ones with what is said to them."""
    entry = exercise(name)
    if "corners" in entry:
        return [expression(text).data for text in entry["example"]], []
    if "choices" in entry:
        return entry["answer"], list(entry["choices"].items())
    if "function" in entry:
        names = entry["variables"]
        return function(entry["function"], names), [
            (function(texts, names), why) for texts, why in entry["wrong"]
        ]
    wrong = [(expression(text).data, why) for text, why in entry["wrong"]]
    return expression(entry["answer"]).data, wrong


@pytest.mark.parametrize("name", exercises.names())
def test_the_right_answer_is_right_and_each_mistake_is_told(name: str) -> None:
    right, wrong = answers(name)
    assert exercises.check(name, right)
    assert repr(exercises.check(name, right)) == f"{name}: right!"
    for answer, why in wrong:
        feedback = exercises.check(name, answer)
        assert not feedback
        assert feedback.text == f"{name}: not yet: {why}"
        assert why[0].islower() or why.startswith(("MSE", "Xavier"))
        assert why.endswith(".")


@pytest.mark.parametrize("name", exercises.names())
def test_no_answer_and_a_senseless_one_are_not_right(name: str) -> None:
    assert not exercises.check(name, ...)
    assert "in place of the dots" in exercises.check(name, ...).text
    for senseless in (None, "tree", object(), [], math.nan, 1e300, {}):
        feedback = exercises.check(name, senseless)
        assert not feedback
        assert feedback.text.startswith(f"{name}: not yet: ")


def test_answers_may_be_rounded_be_values_or_use_the_module_math() -> None:
    assert exercises.check("1.1", -0.462)
    assert exercises.check("1.1", Value(-0.5).tanh())
    assert "close" in exercises.check("1.1", -0.47).text
    assert exercises.check("4.5", lambda p, y: -y * math.log(p) - (1 - y) * math.log(1 - p))
    assert exercises.check("4.4", " B ")
    assert "at x1 = 0, x2 = 0 the sum is 1" in exercises.check("1.4", [1, 1, 1]).text


def test_a_function_that_fails_is_told_with_its_error() -> None:
    text = exercises.check("1.5", lambda w: w).text
    assert "raises TypeError" in text
    assert "it must return 2 numbers" in exercises.check("5.5", lambda x, y, g: x).text
    assert "instead of" in exercises.check("5.5", lambda x, y, g: (x, g)).text


def test_an_unknown_exercise_is_refused_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"no exercise '9.9'; there are 1\.1, 1\.2"):
        exercises.check("9.9", 1)


def test_every_exercise_is_asked_in_its_notebook_with_a_solution() -> None:
    asked: list[str] = []
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text())["cells"]
        sources = ["".join(cell["source"]) for cell in cells]
        mine = re.findall(r'exercises\.check\("(\d\.\d)", answer\)', "\n".join(sources))
        assert 3 <= len(mine) <= 5
        assert sum("<details>" in source for source in sources) == len(mine)
        asked += mine
    assert asked == exercises.names()
