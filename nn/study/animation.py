"""Training as a film: the network, its decision boundary and the loss, epoch by epoch."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nn.data import samples
from nn.module import Module
from nn.study.network import columns_of, draw_on, layers_of
from nn.study.plots import COLORS, boundary_on, figure

_MOST_FRAMES = 60  # a film of a longer run skips epochs
_GRID = 30  # points along each side of the plane, for the decision boundary


class Film:
    """An animation; a notebook shows it as a page with buttons, and `save` writes it to a file.

    Attributes:
        epochs: the epochs that are shown, one for each frame.
    """

    def __init__(
        self, figure: Any, frame: Callable[[int], None], epochs: list[int], rate: int
    ) -> None:
        self.epochs = epochs
        self._figure = figure
        self._frame = frame
        self._rate = rate

    def _animation(self) -> Any:
        """matplotlib's animation; a new one each time, because an unused one gives a warning."""
        from matplotlib.animation import FuncAnimation

        return FuncAnimation(self._figure, self._frame, self.epochs, init_func=lambda: None)

    def save(self, path: str | Path) -> Path:
        """Write the film; the extension sets the format: .gif, .mp4 (needs ffmpeg) or .html.

        Raises ValueError for another extension, and for .mp4 without ffmpeg.
        """
        from matplotlib.animation import FFMpegWriter, PillowWriter

        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".html":
            path.write_text(self._repr_html_(), encoding="utf-8")
        elif kind == ".gif":
            self._animation().save(path, PillowWriter(self._rate))
        elif kind == ".mp4":
            if not FFMpegWriter.isAvailable():
                raise ValueError(f"{path.name}: .mp4 needs ffmpeg; install it, or write .gif")
            self._animation().save(path, FFMpegWriter(self._rate))
        else:
            raise ValueError(f"{path.name}: expected .gif, .mp4 or .html")
        return path

    def _repr_html_(self) -> str:
        return str(self._animation().to_jshtml(self._rate))


def animate_training(run: Any, model: Module, data: Any = None, rate: int = 10) -> Film:
    """A Film of a training run: weights, decision boundary and loss, frame by frame.

    The model itself does not change.

    Args:
        run: the History of `fit(model, ..., watch=True)`.
        model: the trained model; see `draw_network` for the kinds that can be drawn.
        data: samples with two features; if given, the film shows them and the decision boundary.
        rate: frames per second.

    Raises ValueError for a run without weights, TypeError for a model that `draw_network` refuses.
    """
    if not run.weights:
        raise ValueError("animate_training: the run has no weights; use fit(..., watch=True)")
    model = copy.deepcopy(model)
    layers = layers_of(model)
    pairs = samples(data) if data is not None else None
    if pairs is not None and any(len(x) != 2 for x in pairs[0]):
        raise ValueError(f"animate_training: expected 2 features, got {len(pairs[0][0])}")
    count = len(run.weights)
    epochs = sorted({round(k * (count - 1) / (_MOST_FRAMES - 1)) for k in range(_MOST_FRAMES)})
    chart = figure(11.0 if pairs else 8.0, 3.8)
    panels = chart.subplots(1, 3 if pairs else 2)

    def frame(epoch: int) -> None:
        """Draw the state after an epoch."""
        for parameter, number in zip(model.parameters(), run.weights[epoch], strict=True):
            parameter.data = number
        for axes in panels:
            axes.clear()
        draw_on(panels[0], layers, columns_of(layers))
        if pairs:
            boundary_on(panels[1], model, *pairs, _GRID)
        panels[-1].plot(range(1, len(run.loss) + 1), run.loss, color="0.75")
        panels[-1].plot(range(1, epoch + 2), run.loss[: epoch + 1], color=COLORS[0])
        panels[-1].plot([epoch + 1], [run.loss[epoch]], "o", color=COLORS[0])
        panels[-1].set(xlabel="epoch", ylabel="loss", ylim=(0.0, 1.05 * max(run.loss)))
        chart.suptitle(f"epoch {epoch + 1}, loss {run.loss[epoch]:.3f}")

    return Film(chart, frame, epochs, rate)
