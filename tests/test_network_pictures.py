"""Pictures of networks, of their training as films, and of the lessons' curves."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from nn import MLP, Embedding, Layer, Neuron, Sequential, bce, fit, init, mse, plots, softmax
from nn.optim import SGD

CORNERS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
MODELS: dict[str, Any] = {
    "a neuron": Neuron(2, "tanh", seed=0),
    "a layer": Layer(3, 2, "relu", seed=0),
    "a network": MLP([2, 4, 3, 1], "tanh", seed=0),
    "a chain of layers": Sequential(Layer(2, 3, "tanh", seed=0), Layer(3, 2, seed=1)),
    "without biases": MLP([2, 2], "tanh", bias=False, seed=0),
}


def texts(figure: Any) -> list[str]:
    """What is written in a figure's first panel."""
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_is_a_line_of_its_sign_and_every_activation_a_number(name: str) -> None:
    model = MODELS[name]
    weights = [p.data for key, p in model.named_parameters() if "bias" not in key]
    layers = model.layers if hasattr(model, "layers") else [model]
    size = layers[0].fan_in if hasattr(layers[0], "fan_in") else len(layers[0].weights)
    sample = [0.5, -1.0, 2.0][:size]
    figure = plots.draw_network(model, sample)
    lines = figure.axes[0].lines
    colors = [line.get_color() for line in lines]
    assert colors == [plots.COLORS[0] if w >= 0 else plots.COLORS[1] for w in weights]
    widths = [line.get_linewidth() for line in lines]
    assert widths.index(max(widths)) == max(range(len(weights)), key=lambda k: abs(weights[k]))
    outputs = model(sample)
    for output in outputs if isinstance(outputs, list) else [outputs]:
        assert f"{output.data:.2g}".replace("-", "\N{MINUS SIGN}") in texts(figure)
    plots.draw_network(model)  # without a sample


def test_wide_layers_are_cut_and_small_networks_show_their_numbers() -> None:
    figure = plots.draw_network(MLP([3, 40, 1], "relu", seed=0), [1.0, 2.0, 3.0])
    assert texts(figure).count("\N{VERTICAL ELLIPSIS}") == 1
    assert len(figure.axes[0].lines) == 11 * 3 + 11
    small = Neuron(2, seed=0)
    small.load_state_dict({"weights": [0.25, -3.0], "bias": 0.5})
    assert {"0.25", "\N{MINUS SIGN}3", "b = 0.5", "x1", "x2", "output\nlinear"} <= set(
        texts(plots.draw_network(small))
    )


def test_models_and_samples_that_cannot_be_drawn_are_refused() -> None:
    for model in (Embedding(3, 2, seed=0), Sequential(Layer(2, 2, seed=0), softmax), 3.0):
        with pytest.raises(TypeError, match=r"draw_network: expected a Neuron, .*draw\(model"):
            plots.draw_network(model)
    with pytest.raises(ValueError, match="the network has 2 inputs, got 3"):
        plots.draw_network(Neuron(2, seed=0), [1.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def trained() -> tuple[Any, MLP]:
    """A short training with its weights."""
    model = MLP([2, 2, 1], "tanh", seed=0)
    loss = partial(bce, from_logits=True)
    optimizer = SGD(model, lr=0.5)
    return fit(
        model, (CORNERS, [0, 1, 1, 0]), loss=loss, optimizer=optimizer, epochs=3, watch=True
    ), model


def test_a_training_is_a_film(trained: tuple[Any, MLP], tmp_path: Path) -> None:
    from PIL import Image

    run, model = trained
    before = model.state_dict()
    film = plots.animate_training(run, model, (CORNERS, [0, 1, 1, 0]))
    assert film.epochs == [0, 1, 2]
    with Image.open(film.save(tmp_path / "film.gif")) as picture:
        assert picture.n_frames == 3  # type: ignore[attr-defined]
    assert film.save(tmp_path / "film.html").read_text().count("data:image/png;base64") == 3
    assert model.state_dict() == before
    assert len(plots.animate_training(run, model).epochs) == 3  # without a plane


def test_films_that_cannot_be_made_are_refused(
    trained: tuple[Any, MLP], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.animation import FFMpegWriter

    run, model = trained
    with pytest.raises(ValueError, match=r"expected \.gif, \.mp4 or \.html"):
        plots.animate_training(run, model).save(tmp_path / "film.avi")
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda _: False))
    with pytest.raises(ValueError, match=r"\.mp4 needs ffmpeg"):
        plots.animate_training(run, model).save(tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="expected 2 features, got 3"):
        plots.animate_training(run, model, ([[1.0, 2.0, 3.0]], [1]))
    silent = fit(model, ([[0.0, 1.0]], [1.0]), loss=mse, optimizer=SGD(model, lr=0.1), epochs=1)
    with pytest.raises(ValueError, match="watch=True"):
        plots.animate_training(silent, model)


@pytest.mark.parametrize("separate", [False, True])
def test_curves_are_the_function_and_its_derivative(separate: bool) -> None:
    figure = plots.functions(
        {"square": lambda x: x * x, "sine": lambda x: x.sin()}, separate=separate
    )
    f, slope = (
        figure.axes[0].lines if separate else (figure.axes[0].lines[0], figure.axes[1].lines[0])
    )
    xs = f.get_xdata()
    assert list(f.get_ydata()) == [x * x for x in xs]
    assert list(slope.get_ydata()) == [2 * x for x in xs]


def test_a_walk_has_an_arrow_for_each_step_until_it_leaves_the_picture() -> None:
    walks = {"down": [1.5, 0.5, 0.1], "away": [1.5, -3.0, 9.0, -20.0]}
    down, away = plots.descent(lambda w: w * w, walks, -4.0, 4.0, 16.0).axes
    assert [text.get_text() for text in down.texts] == ["", "", "start"]
    assert len(away.texts) == 3
    assert "leaves the picture in step 2" in away.get_title()


def test_a_surface_has_a_star_at_its_lowest_point_and_its_path() -> None:
    xs, ys = [-1.0, 0.0, 1.0], [0.0, 2.0]
    heights = {"bowl": [[x * x + y for x in xs] for y in ys]}
    axes = plots.surfaces(xs, ys, heights, {"bowl": [(-1.0, 2.0), (0.5, 1.0)]}).axes[0]
    star, path = axes.lines
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([0.0], [0.0])
    assert list(path.get_xdata()) == [-1.0, 0.5]


def test_initializers_are_compared_layer_by_layer() -> None:
    inputs = [[1.0, -1.0], [0.5, 2.0]]
    results = {
        name: init.examine(MLP([2, 4, 4], "relu", init=name, seed=0), inputs)
        for name in ("he_normal", "glorot_normal")
    }
    signal, gradient = plots.compare_initializers(results).axes
    for k, result in enumerate(results.values()):
        assert list(signal.lines[k].get_ydata()) == [x.mean_square for x in result.layers]
        assert list(gradient.lines[k].get_ydata()) == [x.gradient for x in result.layers]


def test_an_mp4_is_written_where_ffmpeg_is(
    trained: tuple[Any, MLP], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.animation import FFMpegWriter, FuncAnimation

    written: list[tuple[Path, type]] = []
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda _: True))

    def save(self: Any, path: Path, writer: Any) -> None:
        self._draw_was_started = True  # as if it had been drawn
        written.append((path, type(writer)))

    monkeypatch.setattr(FuncAnimation, "save", save)
    plots.animate_training(*trained).save(tmp_path / "film.mp4")
    assert written == [(tmp_path / "film.mp4", FFMpegWriter)]


def test_figures_leave_out_what_a_run_has_not(trained: tuple[Any, MLP]) -> None:
    run, _ = trained
    flat = replace(run, loss=[0.0, 0.0], validation_loss=[], metrics={})
    assert plots.history(flat).axes[0].get_yscale() == "linear"  # no logarithm of 0
    assert plots.weights(run).axes[0].get_legend() is None
    assert plots.weights(run, ["w"]).axes[0].get_legend() is not None


def test_a_range_test_without_a_bound_shows_none() -> None:
    result = SimpleNamespace(
        rates=[0.1, 0.2], losses=[2.0, 1.0], smooth=[2.0, 1.0], suggestion=0.1, bound=math.inf
    )
    labels = plots.range_test(result).axes[0].get_legend_handles_labels()[1]
    assert not [label for label in labels if "lambda" in label]
