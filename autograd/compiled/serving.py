"""How the samples of a call are computed: which recording serves which sample."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from autograd.atomic import quietly
from autograd.compiled.arguments import Call
from autograd.compiled.encoded import DOUBTFUL, FAILED, PASSED
from autograd.compiled.recording import Recording, Run
from autograd.compiled.traced import RecordingError
from autograd.value import Value

Array = Any


class Store(Protocol):
    """Parameters that are kept in one array; see `Flat`."""

    parameters: list[Value]
    place: dict[Value, int]
    numbers: Array

    def where(self, recording: Recording) -> Array:
        """The runs of a recording's parameters in the array."""

    def slopes(self, leaves: Iterable[Value]) -> list[float]:
        """The `.grad` of some leaves."""

    def write(self) -> None:
        """Give numbers and gradients to the Values."""


class Sink:
    """Where a call takes the parameters' numbers from, and where it puts their gradients."""

    def __init__(self, flat: Store | None = None) -> None:
        self.flat = flat
        self.parts: list[tuple[Recording, Array]] = []  # without a Flat: gradients by recording
        self.sum: Any = None  # with a Flat: the gradients in its order

    def arrays(self, recording: Recording) -> tuple[Array, Array, Array]:
        """The numbers, the runs of the recording's parameters in them, and new gradients."""
        if self.flat is None:
            gradients = np.empty(len(recording.parameters))
            return recording.numbers(), recording.own_runs, gradients
        return self.flat.numbers, self.flat.where(recording), np.empty(len(self.flat.numbers))

    def widened(self, recording: Recording, x: Array) -> Array:
        """The samples' numbers, followed by the gradients that the recording reads."""
        slopes = None if self.flat is None else self.flat.slopes(recording.grad_leaves)
        return recording.widened(x, slopes)

    def collect(self, recording: Recording, gradients: Array) -> None:
        """Add the gradients of a run."""
        if self.flat is None:
            self.parts.append((recording, gradients))
        else:
            self.sum = gradients if self.sum is None else self.sum + gradients

    def set_nan(self, recording: Recording, reached: Array) -> None:
        """Set the gradients of some of a recording's parameters to nan."""
        if self.flat is not None:
            self.sum[[self.flat.place[recording.parameters[k]] for k in reached]] = np.nan
        for other, gradients in self.parts:
            if other is recording:
                gradients[reached] = np.nan

    def total(self) -> dict[Value, float]:
        """The gradient of each parameter."""
        if self.flat is not None:
            return dict(zip(self.flat.parameters, self.sum.tolist(), strict=True))
        if len(self.parts) == 1:
            recording, gradients = self.parts[0]
            return dict(zip(recording.parameters, gradients.tolist(), strict=True))
        total: dict[Value, float] = {}
        for recording, gradients in self.parts:
            for p, slope in zip(recording.parameters, gradients.tolist(), strict=True):
                total[p] = total[p] + slope if p in total else slope
        return total


@dataclass(slots=True)
class Request:
    """What is wanted of a call.

    Attributes:
        sink: where the parameters' numbers come from, and where their gradients go.
        scale: the factor of the outputs' gradients; None if no gradients are wanted.
        reduced: whether the rows are summed or averaged.
        several: whether the call has more than one row.  Each is then computed as one of several,
            even if it is the only one in its branch, so that its bits do not depend on the others.
    """

    sink: Sink
    scale: float | None = None
    reduced: bool = False
    several: bool = False


@dataclass
class Response:
    """What a call gave.

    Attributes:
        recordings: those that served, in the order of the rows that chose them.
        out: the outputs, of shape (samples, outputs).
        back: the gradients in the arguments' numbers, if they were wanted.
    """

    recordings: list[Recording]
    out: Array
    back: Array

    @property
    def first(self) -> Recording:
        """The recording that served the first row."""
        return self.recordings[0]

    @cached_property
    def total(self) -> Array:
        """The sum of the outputs over the samples; inf - inf is nan, without a warning."""
        total: Array = quietly(partial(np.add.reduce, self.out))
        return total


@dataclass
class Runner:
    """Runs recordings on some threads, and always in the eager order if `exact`."""

    exact: bool
    threads: int | None

    def run(self, recording: Recording, x: Array, request: Request) -> Run:
        """What a recording gives for the samples."""
        if self.exact:
            return self.run_eagerly(recording, x, request)
        numbers, where, gradients = request.sink.arrays(recording)
        seeds, wide = _seeds(recording, request), request.sink.widened(recording, x)
        run = recording.run(numbers, where, wide, seeds, gradients, self.threads, request.several)
        if recording.grad_leaves:
            run.back = run.back[:, : x.shape[1]]
        if not run.good:
            self._complete(recording, x, request, run)
        return run

    def _complete(self, recording: Recording, x: Array, request: Request, run: Run) -> None:
        """Replace what is not finite in a run by the numbers of the eager order.

        The order of operations can decide where inf and nan appear.  Each row is judged by itself,
        so that its numbers do not depend on the other rows.  In another type than the eager one,
        doubtful rows are replaced, too, and by numbers that are computed in doubles.
        """
        eager = recording.precision.eager
        wrong = ~np.isfinite(run.out).all(axis=1)
        lost = (wrong | ~np.isfinite(run.back).all(axis=1)) & (run.status == PASSED)
        doubtful = (run.status == DOUBTFUL) & (not eager)
        wrong, again = wrong | doubtful, lost | doubtful

        def other(rows: Array) -> Run:
            if eager:
                return self.run_eagerly(recording, rows, request)
            return self.run(recording.precise, rows, request)

        better = other(x[again]) if again.any() else None
        if better is not None:
            run.status[again], run.out[again & wrong] = better.status, better.out[wrong[again]]
            if request.scale is not None:
                run.back[again] = better.back
        run.good = bool((run.status == PASSED).all())
        if not run.good or request.scale is None:
            return
        finite = bool(np.isfinite(run.gradients).all())
        if better is not None and not again.all():
            # Doubtful rows have added nothing to the gradients.
            kept = run if finite and not lost.any() else self.run(recording, x[~again], request)
            run.gradients = quietly(partial(np.add, kept.gradients, better.gradients))
        elif better is not None:
            run.gradients = better.gradients
        elif not finite:
            run.gradients = other(x).gradients

    def run_eagerly(self, recording: Recording, x: Array, request: Request) -> Run:
        """The same in the eager order."""
        numbers, where, gradients = request.sink.arrays(recording)
        wide, seeds = request.sink.widened(recording, x), _seeds(recording, request)
        run = recording.run_eagerly(numbers, where, wide, seeds, gradients)
        run.back = run.back[:, : x.shape[1]]
        return run

    def status(
        self, recording: Recording, x: Array, request: Request, fresh: bool, name: str
    ) -> Array:
        """The status of each sample; FAILED is certain, also where rounding could decide.

        A `fresh` recording was made with the first sample.
        """
        forward = Request(request.sink, several=request.several)
        status = self.run(recording, x, forward).status.copy()
        if fresh and status[0] == FAILED:
            # It was recorded with this sample's own numbers, so rounding must be the reason.
            status[0] = DOUBTFUL
        for k in np.flatnonzero(status == DOUBTFUL):
            if self.run_eagerly(recording, x[k : k + 1], forward).status[0] == FAILED:
                status[k] = FAILED
        if fresh and status[0] == FAILED:
            raise RecordingError(
                f"{name}: the function does not do the same again for the same numbers; it must "
                "not depend on random numbers or on something that it changes itself"
            )
        return status


def _seeds(recording: Recording, request: Request) -> Array | None:
    return None if request.scale is None else np.full(recording.outputs, request.scale)


def serve(
    call: Call,
    request: Request,
    runner: Runner,
    candidates: list[Recording],
    record: Callable[[Array, list[Recording]], tuple[Recording, bool]],
    name: str,
) -> Response:
    """The outputs of all samples; gradients in the parameters go to the request's sink.

    `record` gives a recording for a row that none of those tried fits, and whether it is new.
    """
    x = call.numbers
    request.several = len(x) > 1
    if candidates:
        # The usual case: the recording that ran last serves all samples.
        recording = candidates[0]
        run = runner.run(recording, x, request)
        if run.good:
            if request.scale is not None:
                request.sink.collect(recording, run.gradients)
            response = Response([recording], run.out, run.back)
            _spread_nan(response, x, [(recording, slice(None))], request)
            return response
    todo = np.arange(len(x))
    tried: list[Recording] = []
    runs: list[tuple[Any, Recording, Run]] = []
    while len(todo):
        if candidates:
            recording, fresh = candidates.pop(0), False
        else:
            recording, fresh = record(x[todo[0]], tried)
        tried.append(recording)
        status = runner.status(recording, x[todo], request, fresh, name)
        for answer, compute in ((PASSED, runner.run), (DOUBTFUL, runner.run_eagerly)):
            rows = todo[status == answer]
            if len(rows):
                runs.append((rows, recording, compute(recording, x[rows], request)))
        todo = todo[status == FAILED]
    # In the order of their first rows, so that sums do not depend on which recording is older.
    runs.sort(key=lambda part: int(part[0][0]))
    used = list(dict.fromkeys(recording for _, recording, _ in runs))
    out, back = np.empty((len(x), runs[0][2].out.shape[1])), np.zeros(x.shape)
    for rows, recording, run in runs:
        if recording.form != used[0].form:
            raise TypeError(
                f"{name}: the result has another nesting for some rows, "
                f"{recording.form!r:.50}, than for others, {used[0].form!r:.60}"
            )
        out[rows] = run.out
        if request.scale is not None:
            request.sink.collect(recording, run.gradients)
            back[rows] = run.back
    parts = [(recording, rows) for rows, recording, _ in runs]
    response = Response(used, out, back)
    _spread_nan(response, x, parts, request)
    return response


def _spread_nan(
    response: Response, x: Array, parts: list[tuple[Recording, Any]], request: Request
) -> None:
    """Where the sum or mean over the rows is nan, make its derivatives nan, too."""
    if request.scale is None or not request.reduced or not np.isnan(response.total).any():
        return
    back = response.back
    for recording, rows in parts:
        numbers, where, _ = request.sink.arrays(recording)
        own, inputs = recording.own_numbers(numbers, where), x.shape[1]
        wide = request.sink.widened(recording, x[rows])
        outputs = range(recording.outputs)
        reached = np.array([recording.reached(own, row, outputs) for row in wide])
        back[rows] = np.where(reached[:, :inputs], np.nan, back[rows])
        request.sink.set_nan(recording, np.flatnonzero(reached[:, wide.shape[1] :].any(axis=0)))
