"""Frames of a pass: what each shows, that nothing is touched, and the GIF of all of them."""

import sys
from pathlib import Path

import pytest

from autograd import Value, play, topological
from autograd.show import animation as module
from autograd.show.animation import animation, frame
from autograd.show.render import RenderError


def neuron() -> Value:
    w, x, b = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b")
    return (w * x + b).tanh()


def test_a_frame_shows_the_gradients_so_far_and_touches_nothing() -> None:
    y = neuron()
    player = play(y, {})
    before = [(node.data, node.grad) for node in topological(y)]
    player.jump(2)
    assert "grad" not in frame(player, 0).source.replace("gradients", "")
    seeded = frame(player, 6).source
    assert seeded.count("grad 1") == 1
    last = frame(player, -1).source
    assert "grad 0.3614" in last
    assert last.count("penwidth=3") == 2
    assert player.position == 2
    assert [(node.data, node.grad) for node in topological(y)] == before


def test_all_frames_of_a_gif_have_one_size(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    player = play(neuron(), {})
    path = animation(player, tmp_path / "neuron.gif", events=range(5, 12, 2))
    with image.open(path) as opened:
        assert opened.n_frames == 4
    assert [p.name for p in tmp_path.iterdir()] == ["neuron.gif"]


def test_the_frames_of_a_gif_share_a_number_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pytest.importorskip("PIL.Image")
    player = play(neuron(), {})
    monkeypatch.setattr(module, "PIXELS", 200_000)
    with image.open(animation(player, tmp_path / "two.gif", events=[5, 6])) as opened:
        assert 80_000 < opened.width * opened.height <= 101_000
    with pytest.raises(RenderError, match="fewer than 12 events, so that each has"):
        animation(player, tmp_path / "all.gif", events=[5, 6] * 6)
    assert [p.name for p in tmp_path.iterdir()] == ["two.gif"]


def test_what_is_no_animation_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    player = play(neuron(), {})
    for name, events, seconds in (("a.png", [0], 1.0), ("a.gif", [], 1.0), ("a.gif", [0], 0.0)):
        with pytest.raises(ValueError, match=r"animation: expected a \.gif"):
            animation(player, tmp_path / name, events, seconds)
    with pytest.raises(ValueError, match="jump"):
        frame(player, 99)


def test_without_pillow_a_gif_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"Pillow: pip install 'chainrule\[plot\]'"):
        animation(play(neuron(), {}), tmp_path / "steps.gif")
    assert not list(tmp_path.iterdir())
