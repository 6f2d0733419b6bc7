"""The player: its events are those of backward to the bit, and nothing is touched."""

import math
import random
import sys
from typing import Any

import pytest
from hypothesis import given, settings

from autograd import Value, explain, play, rows, topological
from autograd.show.draw import LIMIT
from autograd.show.events import Event
from autograd.show.page import framed
from autograd.show.terminal import screen
from autograd.strategies import expressions
from tests.benchmarks.gradcheck import graph


def neuron() -> tuple[Value, Value, Value, Value]:
    w, x, b = Value(2.0, "w"), Value(-1.0, "x"), Value(0.5, "b")
    return (w * x + b).tanh(), w, x, b


def recorded(f: Any, at: list[float]) -> tuple[Value, list[Value]]:
    leaves = [Value(x) for x in at]
    return f(*leaves), leaves


def check_bits(root: Value) -> None:
    order = topological(root)
    before = [(node.data, node.grad) for node in order]
    player = play(root)
    assert [(node.data, node.grad) for node in order] == before
    for node in order:
        node.grad = 0.0
    root.backward()
    player.jump(-1)
    found = player.grads()
    for node in order:
        assert found.get(node, 0.0).hex() == node.grad.hex() or (
            node.grad == found.get(node, 0.0) == 0.0
        )


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@pytest.mark.parametrize("seed", range(40))
def test_events_end_in_the_gradients_of_backward_to_the_bit(seed: int) -> None:
    f, at, _ = graph(seed)
    check_bits(recorded(f, at)[0])


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@settings(max_examples=60, deadline=None)
@given(expressions(smooth=False))
def test_also_for_any_expression(case: Any) -> None:
    f, at = case
    root = recorded(f, at)[0]
    if isinstance(root, Value):
        check_bits(root)


@pytest.mark.parametrize("name", list(rows()))
def test_every_operation_plays_and_reads_as_text(name: str) -> None:
    op = rows()[name]
    leaves = [Value(x, label) for x, label in zip((0.4, 0.7), "ab", strict=False)][: op.arity]
    if not op.is_smooth(*(leaf.data for leaf in leaves)):
        leaves = [Value(1.5, "a")]
    root = op(*leaves)
    check_bits(root)
    backward = [event for event in play(root) if event.kind == "backward"]
    assert [event.operand for event in backward] == ["x", "y"][: op.arity]
    assert all(event.formula.startswith("dL/d") and "nan" not in str(event) for event in backward)


def test_an_operand_that_is_a_number_receives_nothing_and_one_used_twice_receives_twice() -> None:
    a = Value(3.0, "a")
    events = [e for e in play(a * a + 2.0) if e.kind == "backward"]
    assert [(e.operand, e.arrived, e.uses, e.grad) for e in events[1:]] == [
        ("x", 1, 2, 3.0),
        ("y", 2, 2, 6.0),
    ]


def test_a_gradient_of_zero_is_not_handed_on() -> None:
    x = Value(-1.0, "x")
    root = x.relu() + x * 2.0
    root = root + (x - 1.0).relu()
    targets = [e.target for e in play(root) if e.kind == "backward" and e.target is x]
    assert len(targets) == 2  # the first relu, which hands on 0, and x * 2
    dead = x.exp()
    events = play(dead.relu() * 0.0 + x)
    assert not any(e.node is dead for e in events if e.kind == "backward")


def test_walking_jumping_and_running() -> None:
    y, w, x, b = neuron()
    player = play(y)
    assert len(player) == 6 + 1 + 5
    assert isinstance(player[0], Event)
    assert [e.kind for e in player[5:8]] == ["forward", "seed", "backward"]
    assert player.current is player[0]
    assert player.back() is player[0]
    assert player.next() is player[1]
    assert player.next(100) is player[-1]
    assert player.jump("b").node is b
    assert player.jump(y).node is y
    assert player.jump(player[3]) is player[3]
    assert player.jump(-1) is player[-1]
    assert list(player) == player[:]
    assert player.current is player[-1]
    player.jump(0)
    assert player.run(lambda e: e.target is x) is player[-1]
    player.jump(0)
    assert player.run(rows()["tanh"]).name == "v3" or player.current.node is y
    player.jump(0)
    assert player.run("mul").node.op is rows()["mul"]
    player.jump(0)
    assert player.run("w").target is w
    player.jump(0)
    assert player.run("b").kind == "forward"
    assert player.run(b).target is b
    assert player.run("b") is player[-1]
    player.jump(0)
    assert player.run("exp") is player[-1]  # an operation that this graph has not
    player.jump(0)
    with pytest.raises(ValueError, match="no operation has the name 'tahn'; did you"):
        player.run("tahn")
    assert player.run() is player[-1]
    for bad in ("nothing", 99, Value(1.0)):
        with pytest.raises(ValueError, match="jump"):
            player.jump(bad)
    with pytest.raises(TypeError, match="expected a Value, got float"):
        play(1.0)  # type: ignore[arg-type]


def test_nan_is_seeded_as_nan() -> None:
    x = Value(-1.0, "x")
    player = play(x.log())
    assert math.isnan(player[-1].grad)


def test_a_long_chain_is_played_in_one_pass() -> None:
    x = y = Value(1.0, "x")
    for _ in range(20_000):
        y = y * 0.9999
    player = play(y)
    assert len(player) == 40_002
    assert player[-1].target is x


# ---------------------------------------------------------------------- explain


def test_paths_add_up_to_the_gradient() -> None:
    for seed in range(30):
        f, at, _ = graph(seed)
        root, leaves = recorded(f, at)
        root.backward()
        for leaf in leaves:
            if leaf in topological(root):
                found = explain(root, leaf, k=5000)
                size = math.fsum(abs(path.product) for path in found.paths)  # they may cancel
                assert found.total == pytest.approx(leaf.grad, rel=1e-9, abs=1e-12 * size)
                assert len(found.paths) == min(found.count, 5000)
                if found.count <= 5000:
                    total = math.fsum(path.product for path in found.paths)
                    assert abs(total - leaf.grad) <= 1e-9 * size


def test_the_largest_of_a_million_paths() -> None:
    x = y = Value(1.0, "x")
    for _ in range(20):
        y = y * 0.5 + y * 0.25
    found = explain(y, x, k=3)
    assert found.count == 2**20
    assert [path.product for path in found.paths] == [0.5**20, 0.5**21, 0.5**21]
    assert "1,048,573 smaller paths" in str(found)
    assert "smaller paths" in found._repr_html_()


def test_explaining_what_is_not_there_is_refused() -> None:
    y, *_ = neuron()
    with pytest.raises(ValueError, match="must be a node that the root"):
        explain(y, Value(1.0))
    with pytest.raises(ValueError, match="at least 1"):
        explain(y, y, k=0)
    assert explain(y, y).paths[0].names == ("v3",) or explain(y, y).count == 1


# ---------------------------------------------------------------------- terminal


@pytest.mark.parametrize("size", [(20, 5), (80, 24), (200, 60)])
def test_the_screen_fits_and_marks_the_present_event(size: tuple[int, int]) -> None:
    width, height = size
    player = play(neuron()[0])
    rng = random.Random(0)
    for _ in range(20):
        player.jump(rng.randrange(len(player)))
        lines = screen(player, width, height, colour=False)
        assert all(len(line) <= width for line in lines)
        (marked,) = [line for line in lines if line.startswith(">")]
        assert marked == f"> {player.current}"[:width]
    assert "\x1b[7m" in "".join(screen(player, width, height, colour=True))


def test_a_label_cannot_send_codes_to_the_terminal() -> None:
    x = Value(1.0, "x\x1b[2J\n")
    lines = screen(play(x * x), 80, 24, colour=False)
    assert "x?[2J?" in lines[1]
    assert all(line.isprintable() for line in lines)


# ---------------------------------------------------------------------- widget


def test_the_widget_and_the_player_share_a_position() -> None:
    traitlets = pytest.importorskip("traitlets")
    pytest.importorskip("anywidget")
    player = play(neuron()[0])
    player.jump(2)
    widget = player.widget()
    assert (widget.step, widget.count) == (2, len(player))
    seen: list[str] = []
    widget.observe(lambda change: seen.append(str(widget.event)), "step")
    widget.step = 7
    assert player.position == 7
    assert seen == [str(player[7])]
    assert (widget.page, widget.height) == framed(player, limit=LIMIT)
    for bad in (-1, len(player)):
        with pytest.raises(traitlets.TraitError, match="step: expected 0 to 11"):
            widget.step = bad
    assert player.position == 7


def test_a_widget_without_anywidget_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "autograd.show.widget", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'chainrule\[notebook\]'"):
        play(neuron()[0]).widget()
