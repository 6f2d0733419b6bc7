"""The notebooks' exercises: an answer is right, or the feedback says what is wrong."""

import functools
import itertools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from autograd import Value, no_grad
from autograd.expressions import expression
from nn.layers import Neuron

_DIGITS = 0.005  # relative; three digits are enough for an answer
_CLOSE = 0.05  # relative; a nearer answer counts as a rounding mistake
_EXACT = 1e-9  # relative; for functions, whose numbers nobody rounds
_CORNERS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
# Positive and without a pattern, so that different functions do not agree at them.
_POINTS = [0.7, 0.35, 0.85, 0.2, 0.6, 0.45, 0.9, 0.3]


@dataclass(frozen=True)
class Feedback:
    """The verdict on an answer: true if the answer is right; it prints as text."""

    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.text


def check(name: str, answer: Any) -> Feedback:
    """The Feedback on an answer: whether it is right, and if not, why.

    Args:
        name: the exercise's number, such as "1.3": the third of notebook 01.
        answer: a number to three digits, a list of numbers, a letter, or a function, depending on
            the exercise; `...` if there is no answer yet.

    Raises KeyError for an exercise that does not exist.

    >>> check("1.3", 0.5)
    1.3: right!
    >>> check("1.3", -0.5)
    1.3: not yet: check the sign: the center is at x = -b/w, and b is -2.
    """
    chosen = exercise(name)
    if answer is ...:
        return Feedback(False, f"{name}: put your answer in place of the dots.")
    kinds = {"corners": _corners, "function": _function, "choices": _choice, "answer": _number}
    complaint = next(judge for kind, judge in kinds.items() if kind in chosen)(chosen, answer)
    return Feedback(
        not complaint, f"{name}: " + (f"not yet: {complaint}" if complaint else "right!")
    )


@functools.cache
def _all() -> dict[str, dict[str, Any]]:
    """Every exercise, by its number."""
    text = resources.files("nn.study").joinpath("exercises.toml").read_text(encoding="utf-8")
    notebooks = tomllib.loads(text)
    return {
        f"{notebook}.{number}": entry
        for notebook, entries in notebooks.items()
        for number, entry in entries.items()
    }


def names() -> list[str]:
    """The numbers of all exercises, in order.

    >>> names()[:2]
    ['1.1', '1.2']
    """
    return list(_all())


def exercise(name: str) -> Mapping[str, Any]:
    """The right and the wrong answers of an exercise, from exercises.toml.

    Raises KeyError for an exercise that does not exist.
    """
    try:
        return _all()[name]
    except KeyError:
        raise KeyError(f"no exercise {name!r}; there are {', '.join(_all())}") from None


def _close(number: float, right: float, within: float) -> bool:
    return abs(number - right) <= within * abs(right)


def _number(exercise: Mapping[str, Any], answer: Any) -> str:
    """The feedback on a number; '' if it is right."""
    try:
        with no_grad():
            number = float(answer)
    except (TypeError, ValueError):
        return f"the answer is a number, and this is {answer!r:.60}."
    right = expression(exercise["answer"]).data
    within = exercise.get("within", _DIGITS)
    if _close(number, right, within):
        return ""
    for text, reason in exercise["wrong"]:
        if _close(number, expression(text).data, within):
            return str(reason)
    if _close(number, right, _CLOSE):
        return f"{number:g} is close. Give three digits."
    return f"{number:g} is not the answer."


def _choice(exercise: Mapping[str, Any], answer: Any) -> str:
    letters = sorted([exercise["answer"], *exercise["choices"]])
    letter = str(answer).strip().lower()
    if letter not in letters:
        return f"the answer is one of the letters {', '.join(letters)}."
    return str(exercise["choices"].get(letter, ""))


def _corners(exercise: Mapping[str, Any], answer: Any) -> str:
    try:
        with no_grad():
            w1, w2, b = map(float, answer)
    except (TypeError, ValueError):
        return "the answer is a list of three numbers: [w1, w2, b]."
    neuron = Neuron(2, seed=0)
    neuron.load_state_dict({"weights": [w1, w2], "bias": b})
    for corner, target in zip(_CORNERS, exercise["corners"], strict=True):
        total = neuron(corner).data
        if (total > 0.0) != bool(target) or total == 0.0:
            side = "above" if target else "below"
            place = f"x1 = {corner[0]:g}, x2 = {corner[1]:g}"
            return f"at {place} the sum is {total:g}, and it must be {side} 0."
    return ""


def _texts(function: str | Sequence[str]) -> list[str]:
    return [function] if isinstance(function, str) else list(function)


def _function(exercise: Mapping[str, Any], answer: Any) -> str:
    """The feedback on a function, compared at a few points; '' if it is right."""
    variables = exercise["variables"]
    signature = f"({', '.join(variables)})"
    if not callable(answer):
        return f"the answer is a function of {signature}, and this is {answer!r:.60}."
    right = _texts(exercise["function"])
    points = [
        list(itertools.islice(itertools.cycle(_POINTS), k, k + len(variables))) for k in range(4)
    ]
    try:
        results = [_results(answer, point) for point in points]
    except Exception as error:
        return f"called with {signature} = {points[0]}, it raises {type(error).__name__}: {error}"
    if any(len(result) != len(right) for result in results):
        return f"it must return {len(right)} number{'s' * (len(right) > 1)}."
    candidates = [(right, ""), *((_texts(texts), why) for texts, why in exercise["wrong"])]
    for texts, complaint in candidates:
        expected = [[_at(text, variables, point) for text in texts] for point in points]
        pairs = zip(itertools.chain(*results), itertools.chain(*expected), strict=True)
        if all(_close(x, y, _EXACT) for x, y in pairs):
            return str(complaint)
    wanted = [_at(text, variables, points[0]) for text in right]
    return f"for {signature} = {points[0]}, it gives {results[0]} instead of {wanted}."


def _results(answer: Callable[..., Any], point: Sequence[float]) -> list[float]:
    """The results of the learner's function, which may use Values or the module `math`."""
    with no_grad():
        result = answer(*map(Value, point))
        return [float(x) for x in (result if isinstance(result, list | tuple) else [result])]


def _at(text: str, variables: Sequence[str], point: Sequence[float]) -> float:
    used = set(re.findall(r"[^\W\d]\w*", text))
    return expression(
        text, {name: x for name, x in zip(variables, point, strict=True) if name in used}
    ).data
