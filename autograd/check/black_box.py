"""Checks of any gradient of any function, against differences that allow for its noise."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autograd.check.extrapolation import Line, slopes
from autograd.check.jacobians import Pullback, claimed
from autograd.check.judgement import Claim, judged
from autograd.check.noise import ROUNDED, noise
from autograd.check.report import Report, Row, Verdict
from autograd.check.runs import BlackBox, Results
from autograd.check.trees import library, refuse_whole_numbers
from autograd.nestings import Tree, leaves

_ALONE = 200  # above this, numbers are moved together, along random directions
_ENTRIES = 400  # above this, entries of a Jacobian are summed with random weights
_DIRECTIONS, _SUMS = 4, 2  # how many random directions and weighted sums
_ARRAYS = 50  # above this, all arrays move together
_NAMED = 3  # wrong numbers that are named in a group that moved together
_HIDDEN = 1e-2  # an error is negligible if it changes f by this share of the largest slope's change
_WIDEST = 0.25  # the first step along a direction
_WORST_FIRST = [
    Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ILL_CONDITIONED, Verdict.KINK, Verdict.PASS,
]  # fmt: skip
_NOISIER = 30  # if all inputs together are this many times noisier, another input causes it


def is_recorded(inputs: tuple[Tree, ...]) -> bool:
    """Whether a function of these inputs can be made of Values: none of them is an array.

    >>> is_recorded(([1.0, 2.0], {"b": 3.0}))
    True
    """
    kinds = [(library(leaf), leaf) for leaf in leaves(list(inputs))]
    return not any(kind and (kind != "numpy" or leaf.shape) for kind, leaf in kinds)


def judge_black_box(
    f: Callable[..., Any],
    inputs: tuple[Tree, ...],
    gradient: Any = None,
    sample: int | None = None,
    seed: int = 0,
) -> Report:
    """A Report on a claimed gradient of a function that records nothing.

    Up to 200 numbers are moved one by one, and up to 400 entries of a Jacobian are checked one by
    one.  With more numbers, each array is moved along random directions; with more entries, the
    results are summed with random weights.  The summary says which was done.

    Raises TypeError if f is not a function of real numbers, ValueError for shapes that do not
    match and for a function that returns two results for the same inputs.

    >>> report = judge_black_box(lambda w, x: w * x * x, (2.0, 3.0), lambda w, x: (x * x, w * x))
    >>> [f"{row.name}: {row.verdict.value} {row.note}" for row in report.rows]
    ['w: pass ', 'x: FAIL (0.5 times too much: a use lost?)']
    """
    box = BlackBox(f, inputs)
    box.must_repeat()
    refuse_whole_numbers(box.inputs)
    count = len(box.inputs.numbers)
    if not count:
        shapes = "".join(f"; {block.path} has shape {block.shape}" for block in box.inputs.blocks)
        raise ValueError(f"check_gradients: the inputs have no number to move{shapes}")
    pullback = claimed(box.f, box.inputs, gradient, box.result.shape)
    rng = random.Random(seed)  # noqa: S311 - no secret
    chosen = list(range(count))
    if sample is not None and sample < count:
        chosen = sorted(rng.sample(chosen, sample))
    judge = _Judge(box, rng)
    results = len(box.result.numbers)
    alone = len(chosen) <= _ALONE
    sums = judge.sums(pullback, results > 1 and not (alone and len(chosen) * results <= _ENTRIES))
    rows = judge.one_by_one(sums, chosen) if alone else judge.together(sums, chosen)
    box.must_repeat()
    how = "one by one" if alone else f"along {_DIRECTIONS} random directions of each array"
    if len(sums) < results:
        how += f"; {results} results, in {_SUMS} sums with random weights"
    worst = max((s.noise for s in sums), default=0.0)
    names = "input" if count == 1 else "inputs"
    return Report(rows, summary=f"{len(chosen)} {names}, {how}; f has noise of {worst:.0e}")


@dataclass(frozen=True)
class _Sum:
    """A weighted sum of f's results.

    Attributes:
        name: the name of its derivative, with {} for the input.
        weights: one for each result.
        gradient: the claimed gradient of the sum.
        noise: its noise when all inputs move.
        hidden: a change of the sum that is negligible beside that of the largest slope.
    """

    name: str
    weights: list[float]
    gradient: list[float]
    noise: float = 0.0
    hidden: float = 0.0

    def of(self, results: Results) -> Callable[[float], float]:
        """The sum as a function of the distance along a line."""
        used = [(k, w) for k, w in enumerate(self.weights) if w]

        def run(distance: float) -> float:
            values = results(distance)
            return sum(w * values[k] for k, w in used)

        return run


class _Judge:
    """Makes the rows of a report."""

    def __init__(self, box: BlackBox, rng: random.Random) -> None:
        self.box, self.rng = box, rng

    def sums(self, pullback: Pullback, together: bool) -> list[_Sum]:
        """Each result alone, or, if `together`, a few sums of all results with random weights."""
        count = len(self.box.result.numbers)
        if together:
            sizes = [abs(z) or 1.0 for z in self.box.result.numbers]
            named = [
                (f"d sum {i}/d{{}}", self._signed(1.0 / size for size in sizes))
                for i in range(_SUMS)
            ]
        else:
            names = (
                ["{}"]
                if count == 1
                else [f"d{self.box.result.name(i)}/d{{}}" for i in range(count)]
            )
            named = [(name, [float(i == k) for k in range(count)]) for i, name in enumerate(names)]
        everywhere = self.box.along(self._direction(range(len(self.box.inputs.numbers))))
        sums = [_Sum(name, weights, pullback(weights)) for name, weights in named]
        return [
            replace(s, noise=noise(s.of(everywhere), 1.0), hidden=self._hidden(s)) for s in sums
        ]

    def one_by_one(self, sums: list[_Sum], chosen: list[int]) -> list[Row]:
        """A row for each sum and input."""
        return [row for k in chosen for row in self._alone(sums, k)]

    def together(self, sums: list[_Sum], chosen: list[int]) -> list[Row]:
        """A row for each sum and array, and one for each wrong number that is located."""
        rows = []
        for name, group in self._groups(chosen):
            for s in sums:
                trials = [self._along(s, name, group) for _ in range(_DIRECTIONS)]
                worst = min(trials, key=lambda row: _WORST_FIRST.index(row.verdict))
                rows.append(worst)
                if worst.verdict is Verdict.FAIL:
                    rows += [row for k in self._wrong(s, group) for row in self._alone([s], k)]
        return rows

    def _alone(self, sums: list[_Sum], k: int) -> list[Row]:
        """The rows of one input, which share the runs of f."""
        box, results = self.box, self.box.beside(k)
        scale, at = box.scale(k), box.inputs.numbers[k]
        rows = []
        for s in sums:
            run = s.of(results)
            line = box.line(run, k)
            level = _credible(noise(run, scale), s.noise, run(0.0))
            name = s.name.format(box.inputs.name(k))
            rows.append(self._row(name, at, line, s.gradient[k], level, s.hidden / scale))
        return rows

    def _along(self, s: _Sum, name: str, group: list[int]) -> Row:
        """The row of one random direction."""
        direction = self._direction(group)
        run = s.of(self.box.along(direction))
        line = Line(run, math.nan, 1.0, _WIDEST)
        claim = math.fsum(s.gradient[k] * direction[k] for k in group)
        level = max(noise(run, 1.0), s.noise)
        row = self._row(s.name.format(name), 0.0, line, claim, level, s.hidden)
        row.note = "along a random direction" + (f": {row.note}" if row.note else "")
        return row

    def _row(
        self, name: str, at: float, line: Line, claim: float, level: float, hidden: float
    ) -> Row:
        z = line.run(0.0)
        if not (math.isfinite(z) and math.isfinite(at)):
            note = f"f is {z} here" if math.isfinite(at) else f"the input is {at}"
            return Row(name, at, claim, math.nan, math.inf, Verdict.INCONCLUSIVE, note)
        result = judged(Claim(claim, z, level, line.unit, hidden), slopes(line, level))
        note = result.note
        if self.box.raised and result.verdict is Verdict.INCONCLUSIVE:
            note += f"; near the inputs, f raised {self.box.raised}"
        return Row(name, at, claim, result.reference, result.allowed, result.verdict, note)

    def _groups(self, chosen: list[int]) -> list[tuple[str, list[int]]]:
        """The chosen inputs of each array, or all in one group if there are many arrays."""
        groups, start = [], 0
        for block in self.box.inputs.blocks:
            end = start + len(block.numbers)
            groups.append((block.path, [k for k in chosen if start <= k < end]))
            start = end
        groups = [(name, group) for name, group in groups if group]
        return groups if len(groups) <= _ARRAYS else [("all inputs", chosen)]

    def _wrong(self, s: _Sum, group: list[int]) -> list[int]:
        """A few inputs whose gradients are wrong, located by halving the group that fails."""
        wrong: list[int] = []
        stack = [group]
        while stack and len(wrong) < _NAMED:
            part = stack.pop()
            if self._along(s, "", part).verdict is not Verdict.FAIL:
                continue
            half = len(part) // 2
            if half:
                stack += [part[half:], part[:half]]
            else:
                wrong += part
        return wrong

    def _hidden(self, s: _Sum) -> float:
        """The largest change of f that is negligible beside that of the largest slope."""
        sizes = (abs(g) * self.box.scale(k) for k, g in enumerate(s.gradient))
        return _HIDDEN * max((size for size in sizes if math.isfinite(size)), default=0.0)

    def _direction(self, chosen: Sequence[int]) -> list[float]:
        """A random direction that moves the chosen inputs, each by its own scale."""
        direction = [0.0] * len(self.box.inputs.numbers)
        for k, v in zip(chosen, self._signed(map(self.box.scale, chosen)), strict=True):
            direction[k] = v
        return direction

    def _signed(self, scales: Iterable[float]) -> list[float]:
        """Random numbers of random sign, from half of each scale to all of it."""
        return [self.rng.choice((-s, s)) * self.rng.uniform(0.5, 1.0) for s in scales]


def _credible(alone: float, everywhere: float, z: float) -> float:
    """The noise along one input: f's own, as along all inputs, unless another is at a kink."""
    if everywhere >= _NOISIER * alone and alone > 2 * ROUNDED * abs(z):
        return alone
    return max(min(alone, _NOISIER * everywhere), everywhere)
