"""`Grid`: the runs of a sweep as a table, a figure, and in words."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Trained:
    """One run: its place in the grid, and the loss before training and of each epoch.

    The last loss is inf if the run came to where there are no numbers.
    """

    rate: float
    initializer: str
    seed: int
    loss: list[float]

    @property
    def final(self) -> float:
        """The last loss."""
        return self.loss[-1]

    @property
    def diverged(self) -> bool:
        """Whether the last loss is inf, nan or, but for rounding, more than the first."""
        return not self.loss[-1] - self.loss[0] <= 1e-9 * abs(self.loss[0])

    def outcome(self, best: float) -> str:
        """What came of the run, in words, where `best` is the lowest last loss of all runs.

        By its losses L_0 ... L_n:

        - diverges: see `diverged`;
        - good: it has fallen by at least 90 % of L_0 - best;
        - slow: it is still falling, the last quarter of the epochs by more than 5 % of L_0 - best;
        - plateaus above the best: the rest.
        """
        loss, possible = self.loss, self.loss[0] - best
        if self.diverged:
            return "diverges"
        if loss[0] - loss[-1] >= 0.9 * possible:
            return "good"
        quarter = loss[-1 - max(1, (len(loss) - 1) // 4)]
        if quarter - loss[-1] > 0.05 * possible:
            return "slow"
        # A rate so low that nothing moves falls in a straight line, however little.
        half = loss[(len(loss) - 1) // 2]
        steady = loss[0] - half > 0 and (half - loss[-1]) > 0.5 * (loss[0] - half)
        return "slow" if steady else "plateaus above the best"


@dataclass
class Grid:
    """The runs that are done so far, and what there is to do; prints as a table.

    Attributes:
        rates, initializers, seeds: of which every combination is a run.
        runs: in the order of rates, then initializers, then seeds.
    """

    rates: list[float]
    initializers: list[str]
    seeds: list[int]
    runs: list[Trained] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rates) * len(self.initializers) * len(self.seeds)

    def cell(self, rate: float, initializer: str) -> list[Trained]:
        """The runs of a rate and an initializer, as far as they are done."""
        return [run for run in self.runs if (run.rate, run.initializer) == (rate, initializer)]

    def finals(self, rate: float, initializer: str) -> list[float]:
        """The last losses of all seeds, as far as they are done."""
        return [run.final for run in self.cell(rate, initializer)]

    def median(self, rate: float, initializer: str) -> float:
        """The median of the last losses; nan before the first is done."""
        finals = self.finals(rate, initializer)
        return statistics.median(finals) if finals else math.nan

    @property
    def best(self) -> tuple[float, str]:
        """(rate, initializer) with the lowest median; ValueError before the first run is done."""
        cells = [(self.median(r, i), r, i) for r in self.rates for i in self.initializers]
        done = [cell for cell in cells if cell[0] == cell[0]]
        if not done:
            raise ValueError("sweep: no run is done")
        return min(done, key=lambda cell: cell[0])[1:]

    @property
    def outcomes(self) -> list[str]:
        """What came of each run, in words, see `Trained.outcome`."""
        best = min((run.final for run in self.runs), default=math.nan)
        return [run.outcome(best) for run in self.runs]

    @property
    def is_line(self) -> bool:
        """Whether only the rates differ."""
        return len(self.initializers) == len(self.seeds) == 1

    def __str__(self) -> str:
        if self.is_line:
            lines = ["    rate        start        final  outcome"]
            lines += [
                f"{run.rate:8.3g} {run.loss[0]:12.5g} {run.final:12.5g}  {outcome}"
                for run, outcome in zip(self.runs, self.outcomes, strict=True)
            ]
            return "\n".join(lines)
        width = max(map(len, ["initializer", *self.initializers]))
        lines = [f"{'rate':>8}  {'initializer':<{width}}  {'median':>10}  {'lowest':>10}"
                 f"  {'highest':>10}  diverged"]  # fmt: skip
        for rate in self.rates:
            for name in self.initializers:
                if not (cell := self.cell(rate, name)):
                    continue
                finals = self.finals(rate, name)
                diverged = sum(run.diverged for run in cell)
                mark = "  <- best" if (rate, name) == self.best else ""
                lines.append(
                    f"{rate:8.3g}  {name:<{width}}  {statistics.median(finals):10.4g}"
                    f"  {min(finals):10.4g}  {max(finals):10.4g}  {diverged} of {len(cell)}{mark}"
                )
        return "\n".join(lines)

    def figure(self) -> Any:
        """A matplotlib Figure: loss against epochs, a line for each rate, if only the rates differ;
        or else the median loss of each rate and initializer, coloured."""
        from nn.study import plots

        return plots.sweep(self) if self.is_line and self.runs else plots.grid(self)
