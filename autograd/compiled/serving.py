"""How the samples of a call are computed: which recording serves which, and on what numbers."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from autograd.atomic import quietly
from autograd.compiled.arguments import Call
from autograd.compiled.encoded import DOUBTFUL, FAILED, HELD
from autograd.compiled.recording import Recording
from autograd.compiled.tape import RecordingError
from autograd.value import Value

Array = Any
PART = 64  # samples that one thread computes before it takes more


class Store(Protocol):
    """Parameters that are kept in one array; see `Flat`."""

    parameters: list[Value]
    place: dict[Value, int]
    numbers: Array

    def where(self, one: Recording) -> Array:
        """The places of a recording's parameters in the array, in runs."""

    def slopes(self, leaves: Iterable[Value]) -> list[float]:
        """What the `.grad` of some leaves is."""

    def write(self) -> None:
        """Give numbers and gradients to the Values."""


class Sink:
    """Where a run's parameters come from and where their gradients go."""

    def __init__(self, flat: Store | None = None) -> None:
        self.flat = flat
        self.found: list[tuple[Recording, Array]] = []  # without a Flat
        self.sum: Any = None  # with one: the gradients in its order

    def arrays(self, one: Recording) -> tuple[Array, Array, Array]:
        """The numbers, the places of the recording's parameters among them, and fresh gradients."""
        if self.flat is None:
            return one.numbers(), one.own, np.empty(len(one.parameters))
        return self.flat.numbers, self.flat.where(one), np.empty(len(self.flat.numbers))

    def samples(self, one: Recording, x: Array) -> Array:
        """The samples' numbers as a recording wants them."""
        if not one.read:
            return x
        return one.widened(x, None if self.flat is None else self.flat.slopes(one.read))

    def keep(self, one: Recording, gradients: Array) -> None:
        """What a run that counts has given."""
        if self.flat is None:
            self.found.append((one, gradients))
        else:
            self.sum = gradients if self.sum is None else self.sum + gradients

    def spoil(self, one: Recording, reached: Array) -> None:
        """Make nan the gradients of some of a recording's parameters."""
        if self.flat is not None:
            self.sum[[self.flat.place[one.parameters[k]] for k in reached]] = np.nan
        for other, gradients in self.found:
            if other is one:
                gradients[reached] = np.nan

    def total(self) -> dict[Value, float]:
        """The gradient of each parameter."""
        if len(self.found) == 1:
            one, gradients = self.found[0]
            return dict(zip(one.parameters, gradients.tolist(), strict=True))
        total: dict[Value, float] = {}
        for one, gradients in self.found:
            for p, slope in zip(one.parameters, gradients.tolist(), strict=True):
                total[p] = total[p] + slope if p in total else slope
        return total


@dataclass(slots=True)
class Wish:
    """What is wanted of a call.

    Attributes:
        sink: where parameters come from and their gradients go.
        scale: by which the gradients of the outputs are multiplied; None if none are wanted.
        joined: whether the rows are summed or averaged.
        several: whether the call has more than one row.  Each is then computed as one of several,
            also where it is left alone: its bits do not depend on the branches of the others.
    """

    sink: Sink
    scale: float | None = None
    joined: bool = False
    several: bool = False


@dataclass
class Served:
    """What came of a call.

    Attributes:
        used: the recordings that served, in the order of the rows that chose them.
        out: the outputs, of shape (samples, outputs).
        back: gradients in the arguments' numbers, if they were wanted.
    """

    used: list[Recording]
    out: Array
    back: Array

    @property
    def one(self) -> Recording:
        """The recording of the first row."""
        return self.used[0]

    @cached_property
    def total(self) -> Array:
        """The sum of the outputs over the samples; of inf and -inf it is nan, without a warning."""
        found: Array = quietly(partial(np.add.reduce, self.out))
        return found


@dataclass(slots=True)
class Ran:
    """What one recording gave for some samples."""

    good: bool  # whether all guards held
    out: Array
    held: Array  # of each sample, whether its guards did
    back: Array
    gradients: Array


@dataclass
class Runner:
    """How recordings are run: always in the eager order if `exact`, on so many threads."""

    exact: bool
    threads: int

    def run(self, one: Recording, x: Array, wish: Wish) -> Ran:
        """What a recording gives for the samples."""
        if self.exact:
            return self.exactly(one, x, wish)
        width = x.shape[1]
        numbers, where, gradients = wish.sink.arrays(one)
        seeds, wide = _seeds(one, wish), wish.sink.samples(one, x)
        run = partial(one.run, threads=self.threads, several=wish.several)
        if self.threads > 1 and len(x) > PART and not one.engine.shares:
            # Fixed parts, added in order: the bits do not depend on the number of threads.
            parts = [wide[i : i + PART] for i in range(0, len(wide), PART)]
            own = [np.zeros(len(gradients)) for _ in parts]
            with ThreadPoolExecutor(self.threads) as pool:
                found = list(
                    pool.map(lambda part, g: run(numbers, where, part, seeds, g), parts, own)
                )
            gradients = sum(own[1:], own[0])
            good = all(one[0] for one in found)
            out, held, back = (np.concatenate([one[k] for one in found]) for k in (1, 2, 3))
        else:
            good, out, held, back = run(numbers, where, wide, seeds, gradients)
        if one.read:
            back = back[:, :width]
        if not good and not (
            np.isfinite(out[held == HELD]).all()
            and (seeds is None or (np.isfinite(gradients).all() and np.isfinite(back).all()))
        ):
            # Where inf or nan appear, the order of operations matters: the eager one decides.
            return self.exactly(one, x, wish)
        if not good:
            good = bool((held == HELD).all())
        return Ran(good, out, held, back, gradients)

    def exactly(self, one: Recording, x: Array, wish: Wish) -> Ran:
        """The same in the eager order."""
        numbers, where, gradients = wish.sink.arrays(one)
        wide = wish.sink.samples(one, x)
        good, out, held, back = one.exactly(numbers, where, wide, _seeds(one, wish), gradients)
        return Ran(good, out, held, back[:, : x.shape[1]], gradients)

    def settled(self, one: Recording, x: Array, wish: Wish, fresh: bool, name: str) -> Array:
        """For each sample whether its guards hold; where rounding could tell, the eager order does.

        A `fresh` recording was made with the first sample.
        """
        plain = Wish(wish.sink, several=wish.several)
        held = self.run(one, x, plain).held.copy()
        if fresh and held[0] == FAILED:
            # It was recorded with this sample's own numbers: only rounding can say otherwise.
            held[0] = DOUBTFUL
        for k in np.flatnonzero(held == DOUBTFUL):
            if self.exactly(one, x[k : k + 1], plain).held[0] == FAILED:
                held[k] = FAILED
        if fresh and held[0] == FAILED:
            raise RecordingError(
                f"{name}: the function does not do the same again for the same numbers; it must "
                "not depend on random numbers or on what it changes itself"
            )
        return held


def _seeds(one: Recording, wish: Wish) -> Array | None:
    return None if wish.scale is None else np.full(one.outputs, wish.scale)


def serve(
    call: Call,
    wish: Wish,
    runner: Runner,
    known: list[Recording],
    record: Callable[[Array, list[Recording]], tuple[Recording, bool]],
    name: str,
) -> Served:
    """The outputs of all samples; gradients in the parameters go to the wish's sink.

    `record` gives a recording for a row that is none of those tried, and whether it is new.
    """
    x = call.numbers
    wish.several = len(x) > 1
    if known:
        # The usual case: what ran last is good for all samples.
        one = known[0]
        ran = runner.run(one, x, wish)
        if ran.good:
            if wish.scale is not None:
                wish.sink.keep(one, ran.gradients)
            served = Served([one], ran.out, ran.back)
            _spoil(served, x, [(one, slice(None))], wish)
            return served
    todo = np.arange(len(x))
    total: Any = None
    back = np.zeros(x.shape)
    tried: list[Recording] = []
    used: list[Recording] = []
    parts: list[tuple[Recording, Any]] = []
    while len(todo):
        one, fresh = (known.pop(0), False) if known else record(x[todo[0]], tried)
        tried.append(one)
        held = runner.settled(one, x[todo], wish, fresh, name)
        for answer, run in ((HELD, runner.run), (DOUBTFUL, runner.exactly)):
            chosen = todo[held == answer]
            if not len(chosen):
                continue
            ran = run(one, x[chosen], wish)
            if wish.scale is not None:
                wish.sink.keep(one, ran.gradients)
                back[chosen] = ran.back
                parts.append((one, chosen))
            if total is None:
                total = np.empty((len(x), ran.out.shape[1]))
            if used and one.form != used[0].form:
                raise TypeError(
                    f"{name}: another nesting for some rows, {one.form!r:.50}, than for others, "
                    f"{used[0].form!r:.60}"
                )
            total[chosen] = ran.out
            if one not in used:
                used.append(one)
        todo = todo[held == FAILED]
    served = Served(used, total, back)
    _spoil(served, x, parts, wish)
    return served


def _spoil(served: Served, x: Array, parts: list[tuple[Recording, Any]], wish: Wish) -> None:
    """Where the sum or mean over the rows is nan, its derivatives are."""
    if wish.scale is None or not wish.joined or not np.isnan(served.total).any():
        return
    back = served.back
    for one, rows in parts:
        numbers, where, _ = wish.sink.arrays(one)
        own, inputs = one.own_numbers(numbers, where), x.shape[1]
        wide = wish.sink.samples(one, x[rows])
        reached = np.array([one.reached(own, row, range(one.outputs)) for row in wide])
        back[rows] = np.where(reached[:, :inputs], np.nan, back[rows])
        wish.sink.spoil(one, np.flatnonzero(reached[:, wide.shape[1] :].any(axis=0)))
