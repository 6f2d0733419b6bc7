"""`Grid`: the runs of a sweep as a table, a figure, and in words."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Trained:
    """One run: its place in the grid, and its losses, before training and after each epoch.

    The last loss is inf if a loss or gradient was inf or nan.
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
        """Whether the last loss is inf, nan, or above the first by more than rounding."""
        return not self.loss[-1] - self.loss[0] <= 1e-9 * abs(self.loss[0])

    def outcome(self, best: float) -> str:
        """The result of the run in words; `best` is the lowest last loss of all runs.

        By its losses L_0 ... L_n:

        - diverges: see `diverged`;
        - good: it has fallen by at least 90 % of L_0 - best;
        - slow: it is still falling, in the last quarter of the epochs by over 5 % of L_0 - best;
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
        # With a very low rate the loss falls in a straight line, by very little.
        half = loss[(len(loss) - 1) // 2]
        steady = loss[0] - half > 0 and (half - loss[-1]) > 0.5 * (loss[0] - half)
        return "slow" if steady else "plateaus above the best"


@dataclass
class Grid:
    """The completed runs of a grid; prints as a table.

    Attributes:
        rates, initializers, seeds: there is a run for every combination of them.
        runs: the completed ones, in the order of rates, then initializers, then seeds.
    """

    rates: list[float]
    initializers: list[str]
    seeds: list[int]
    runs: list[Trained] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rates) * len(self.initializers) * len(self.seeds)

    def cell(self, rate: float, initializer: str) -> list[Trained]:
        """The completed runs of a rate and an initializer."""
        return [run for run in self.runs if (run.rate, run.initializer) == (rate, initializer)]

    def finals(self, rate: float, initializer: str) -> list[float]:
        """The last losses of the completed runs."""
        return [run.final for run in self.cell(rate, initializer)]

    def median(self, rate: float, initializer: str) -> float:
        """The median of the last losses; nan if no run is completed."""
        finals = self.finals(rate, initializer)
        return statistics.median(finals) if finals else math.nan

    @property
    def best(self) -> tuple[float, str]:
        """(rate, initializer) with the lowest median; ValueError if no run is completed."""
        cells = [(self.median(r, i), r, i) for r in self.rates for i in self.initializers]
        done = [cell for cell in cells if cell[0] == cell[0]]
        if not done:
            raise ValueError("sweep: no run is completed")
        return min(done, key=lambda cell: cell[0])[1:]

    @property
    def outcomes(self) -> list[str]:
        """The result of each run in words, see `Trained.outcome`."""
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
        """A matplotlib Figure: a loss curve for each rate if only the rates differ, else a coloured
        table of the median losses by rate and initializer."""
        from nn.study import plots

        return plots.sweep(self) if self.is_line and self.runs else plots.grid(self)
