"""The saved page: safe text, and in headless Chromium every control, every number, no network."""

import json
import math
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import nn
from autograd import Value, expression, play, rows, scope, topological
from autograd.operation import Op
from autograd.show.page import _function, frame, javascript, page, script_json
from tests.reference import points

NEURON = "h = tanh(w*x + b); (h - y)**2 + h*h"
AT = {"w": 2.0, "x": -1.0, "b": 0.5, "y": 1.0}
HOSTILE = [
    "</script><script>boom()</script>",
    "<!--<script>",
    '"><img src=x onerror=boom()>',
    "a\u2028b",
    "@@DATA@@",
    "${boom()}",
    "\\",
    "'",
]


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def hostile() -> Value:
    total = Value(1.0, "start")
    for label in HOSTILE:
        total = total * Value(1.5, label)
    total.label = HOSTILE[0]
    return total


def test_hostile_labels_stay_text() -> None:
    player = play(hostile())
    assert len(_Tags(player.html()).all("script")) == 2
    assert not _Tags(player.html()).all("img")
    assert json.loads(script_json(HOSTILE)) == HOSTILE
    output = _Tags(player._repr_html_())
    assert [tag for tag, _ in output.found] == ["div", "div", "img", "div", "iframe"]
    assert output.all("img")[0]["src"].startswith("data:image/svg+xml;base64,")
    frame = output.all("iframe")[0]
    assert frame["sandbox"] == "allow-scripts"
    assert len(_Tags(frame["srcdoc"]).all("script")) == 2
    assert not _Tags(frame["srcdoc"]).all("img")


def test_an_output_without_a_picture_has_the_first_events_behind_it() -> None:
    x = y = Value(1.0, "<x>")
    for _ in range(400):
        y = y * x
    text = play(y, {})._repr_html_()
    assert ">forward\n  &lt;x&gt; = 1\n" in text
    assert "... 1,202 events in all</pre>" in text


def test_a_page_needs_nothing_from_outside_and_touches_nothing(tmp_path: Path) -> None:
    y = expression(NEURON, AT)
    before = [(node.data, node.grad) for node in topological(y)]
    path = play(y).save(tmp_path / "player.html")
    assert [(node.data, node.grad) for node in topological(y)] == before
    text = Path(path).read_text()
    assert text.startswith("<!doctype html>")
    assert not re.search(r"(src|href)\s*=", text)
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/1998/Math/MathML",
    }


def test_a_page_of_too_many_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograd.show.page.LARGEST", 100)
    y = Value(1.0)
    for _ in range(101):
        y = y * 1.0
    for shown in (page, frame):
        with pytest.raises(ValueError, match="100 nodes, this graph has 102; play a part of it"):
            shown(play(y))


def test_a_function_that_javascript_lacks_is_refused_by_name() -> None:
    radians: Any = Op("2 * fmod(x, 1)", "2")
    radians.read("row", rows())
    assert "fmod(x, 1)" in javascript(radians)  # one of page.js
    assert "Math.atan2(x, y)" in javascript(rows()["atan2"])
    with pytest.raises(NotImplementedError, match=r"radians: .* autograd/show/page\.js"):
        _function("radians")


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_every_row_as_javascript_agrees_with_python() -> None:
    cases = []
    table = {slope.name: slope for op in rows().values() for slope in op.slopes.values()} | rows()
    for op in table.values():
        for at in points(op, 12, random.Random(op.name)):
            z = op.value(*at)
            x, y = (*at, 0.0)[:2]
            wanted = [z, float(op.dx(x, y, z))]
            if op.arity == 2:
                wanted.append(float(op.dy(x, y, z)))
            bits = [struct.pack(">d", number).hex() for number in (x, y, *wanted)]
            cases.append([op.name, *bits])
    script = (Path(__file__).parent.parent / "autograd" / "show" / "page.js").read_text()
    functions = script[script.index("function erf(") : script.index("// ------")]
    printed = ", ".join(f"{json.dumps(name)}: {javascript(op)}" for name, op in table.items())
    program = (
        functions
        + f"""
    const rows = {{{printed}}};
    const number = (bits) => Buffer.from(bits, "hex").readDoubleBE();
    for (const [name, ...bits] of {json.dumps(cases)}) {{
      const [x, y, ...wanted] = bits.map(number), row = rows[name];
      const found = [row.z(x, y), row.dx(x, y, wanted[0])];
      if (row.dy) found.push(row.dy(x, y, wanted[0]));
      found.forEach((f, i) => {{
        const w = wanted[i];
        const same = Object.is(f, w) || f === w || Math.abs(f - w) <= 1e-12 * Math.abs(w) + 1e-300;
        if (!same) console.log(name, x, y, i, f, w);
      }});
    }}"""
    )
    done = subprocess.run(
        [shutil.which("node") or "", "-"], input=program, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""


# ---------------------------------------------------------------------- in the browser


@pytest.fixture(scope="module")
def offline(browser: Any) -> Iterator[tuple[Any, list[str]]]:
    """A tab without a network, for one page after the other, and the errors in it."""
    errors: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 860})
    tab = context.new_page()
    tab.set_default_timeout(10_000)
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab, errors
    context.close()


@pytest.fixture
def opened(offline: tuple[Any, list[str]], tmp_path: Path) -> Iterator[Any]:
    """A function that opens a root's page by file://, offline; no error may come of it."""
    tab, errors = offline

    def show(root: Value, detail: str = "computed") -> Any:
        tab.goto("file://" + play(root, {}, detail=detail).save(tmp_path / "player.html"))
        return tab

    yield show
    tab.goto("about:blank")  # so that no page goes on into the next test
    found, errors[:] = errors[:], []
    assert found == []


def test_every_control(opened: Any) -> None:
    y = expression(NEURON, AT)
    player = play(y, {})
    tab = opened(y)
    count = len(player)

    def place() -> str:
        return str(tab.text_content("#place"))

    assert place() == f"event 1 of {count}"
    tab.click("#next")
    assert place() == f"event 2 of {count}"
    tab.click("#back")
    tab.click("#back")
    assert place() == f"event 1 of {count}"
    tab.click("#last")
    assert place() == f"event {count} of {count}"
    tab.keyboard.press("ArrowLeft")
    assert place() == f"event {count - 1} of {count}"
    tab.keyboard.press("Home")
    assert place() == f"event 1 of {count}"
    tab.keyboard.press("End")
    tab.click("#first")
    for event in player:
        words, numbers = event.formula, event.numbers()
        if event.kind == "forward" and event.node.op is None:
            words, numbers = str(event), ""  # a leaf is one line
        assert tab.text_content("#formula") == (f"{words}\n= {numbers}" if numbers else words)
        tab.click("#next")
    tab.click("#first")
    tab.click("#lines li:nth-child(4)")
    assert place() == f"event 4 of {count}"
    tab.keyboard.press("PageDown")
    assert place() == f"event 14 of {count}"
    tab.keyboard.press("PageUp")
    tab.fill("#slider", "3")
    assert place() == f"event 4 of {count}"
    tab.press("#slider", "ArrowRight")
    tab.press("#slider", "ArrowLeft")
    assert place() == f"event 4 of {count}"
    tab.select_option("#speed", "200")
    tab.click("#play")
    tab.wait_for_function("document.querySelector('#place').textContent.startsWith('event 8 ')")
    tab.click("#play")
    assert tab.get_attribute("#play", "aria-pressed") == "false"
    assert tab.inner_text("#play") == "play"
    tab.click("g.node >> nth=0")
    assert "value 2" in str(tab.text_content("g.node >> nth=0"))
    assert not tab.is_visible("#question")
    assert not tab.is_visible("#around")
    assert tab.get_attribute("#formula", "aria-live") == "polite"


def test_a_node_says_its_formula_and_is_visited_by_mouse_and_keyboard(opened: Any) -> None:
    y = expression(NEURON, AT)
    player = play(y, {})
    tab = opened(y)
    nodes = [event.node for event in player if event.kind == "forward"]
    for i, node in enumerate(nodes):
        box = tab.locator(f"#{tab.evaluate(f'nodes[{i}].box')}")
        assert box.locator("title").text_content() == str(player[i])
        tab.click("#first")
        box.focus()
        tab.keyboard.press("Enter")
        assert tab.text_content("#formula").replace("\n", " ") == str(player[i])
        tab.click("#last")
        box.dispatch_event("click")
        handed = next(e for e in player[len(nodes) :] if node in (e.node, e.target))
        if node.op is not None:
            handed = next(e for e in player if e.kind == "backward" and e.node is node)
        assert tab.text_content("#formula").replace("\n", " ") == str(handed)


def test_every_place_shows_the_same_however_it_was_reached(opened: Any) -> None:
    y = expression(NEURON, AT)
    player = play(y, {})
    tab = opened(y)
    look = "(i) => { go(i); return document.querySelector('#picture svg').outerHTML; }"
    there = [tab.evaluate(look, i) for i in range(len(player))]
    assert len(set(there)) == len(there)
    rng = random.Random(0)
    for i in [*reversed(range(len(player))), *rng.choices(range(len(player)), k=60)]:
        assert tab.evaluate(look, i) == there[i]
        known = {
            nodes: grad for nodes, grad in enumerate(tab.evaluate("grads")) if grad is not None
        }
        player.jump(i)
        order = topological(y)
        assert known == pytest.approx({order.index(n): g for n, g in player.grads().items()})


def test_the_recorded_pass_is_shown_until_an_input_changes(opened: Any) -> None:
    w, x = Value(2.0, "w"), Value(3.0, "x")
    y = w * x
    w.data = 100.0
    player = play(y, {})
    tab = opened(y)
    tab.click("#last")
    assert tab.text_content("#formula").replace("\n", " ") == str(player[-1])
    assert player[-1].grad == 2.0
    tab.get_by_label("x", exact=True).fill("5")
    tab.click("#last")
    assert tab.evaluate("grads[nodes.findIndex((node) => node.name === 'x')]") == 100.0
    assert tab.evaluate("data[graph.root]") == 500.0


def test_the_quiz_tells_why_and_keeps_the_score(opened: Any) -> None:
    tab = opened(expression("w * x * x", w=3, x=-2))
    tab.click("#quiz")

    def answered(text: str) -> str:
        assert tab.evaluate("document.activeElement.id") == "answer"
        tab.keyboard.press("Control+A")
        tab.keyboard.type(text)
        tab.keyboard.press("Enter")
        return str(tab.text_content("#told"))

    assert "dL/dv1" in str(tab.text_content("#ask"))
    assert not tab.is_visible("#outcome")
    hidden = tab.locator("#lines li").all_text_contents()
    assert hidden[5:]
    assert all(re.fullmatch(r"dL/d\w+ = \?", text) for text in hidden[6:])  # no formula either
    assert answered("2") == "The size is right; check the sign."
    assert answered("abc") == "Please enter a number, such as -0.5 or 1/3."
    assert answered("17").startswith("Not yet: dL/dv2 is 1;")
    assert answered("\u22124/2").startswith("Right: ")
    assert tab.text_content("#score") == "0 of 1 right on the first try"
    tab.keyboard.press("Enter")  # goes on
    assert "dL/dx" in str(tab.text_content("#ask"))
    assert answered("-6,0").startswith("Right: ")
    assert tab.text_content("#score") == "1 of 2 right on the first try"
    tab.keyboard.press("Enter")
    tab.click("#reveal")
    assert str(tab.text_content("#told")).startswith("dL/dw += dL/dv1 * x")
    assert tab.text_content("#score") == "1 of 3 right on the first try"
    tab.keyboard.press("Enter")  # w * x: to x, which has -6 from above
    assert "dL/dx" in str(tab.text_content("#ask"))
    assert answered("-6") == "That is the new contribution; add it to the sum so far."
    assert answered("3") == "That is the local derivative; multiply it by dL/dv1."
    assert answered("-12").startswith("Right: ")
    tab.click("#quiz")
    assert tab.is_visible("#outcome")
    assert not tab.is_visible("#question")
    assert " = ?" not in str(tab.text_content("#lines"))
    tab.click("#last")
    tab.click("#quiz")  # after the last event, from the start again
    assert "dL/dv1" in str(tab.text_content("#ask"))


def test_the_lit_edge_leads_from_the_node_that_hands_on_to_the_one_that_receives(
    opened: Any,
) -> None:
    y = expression(NEURON, AT)
    player = play(y, {})
    tab = opened(y)
    lit = "[...document.querySelectorAll('g.lit title')].map((title) => title.textContent)"
    order = topological(y)
    squares = []
    for i, event in enumerate(player):
        tab.evaluate(f"go({i})")
        box = [str(tab.evaluate(f"nodes[{k}].box")) for k in range(len(order))]
        node = box[order.index(event.node)]
        if event.target is None:
            assert tab.evaluate(lit) == []
            assert tab.locator("g.here").get_attribute("id") == node
            continue
        assert tab.evaluate(lit) == [f"{box[order.index(event.target)]}->{node}"]
        assert tab.locator("g.from").get_attribute("id") == node
        if event.node.a is event.node.b:  # h * h: each of its two edges once
            squares.append(tab.locator("g.lit").get_attribute("id"))
    assert len(set(squares)) == 2
    assert tab.is_visible("#legend")
    assert tab.inner_text("h1") == "backprop of v6"


def test_keys_play_and_the_controls_come_before_the_nodes(opened: Any) -> None:
    tab = opened(expression(NEURON, AT))
    for name in ("space", "Home", "End", "Page Up"):
        assert name in tab.inner_text("#keys")
    tab.select_option("#speed", "200")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("Space")
    tab.wait_for_function("place >= 2")
    tab.keyboard.press("Space")
    assert tab.get_attribute("#play", "aria-pressed") == "false"
    tab.evaluate("go(2)")
    stops = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        stops.append(tab.evaluate("document.activeElement.id"))
    assert stops[:6] == ["first", "back", "next", "last", "play", "speed"]
    top, controls = (tab.locator(name).bounding_box() for name in ("#picture", "#next"))
    assert top["y"] < controls["y"]  # although it is read after them


def test_gradient_steps_are_those_of_python(opened: Any) -> None:
    y = expression(NEURON, AT)
    tab = opened(y)
    tab.evaluate("$('rate').value = -1; $('rate').dispatchEvent(new Event('input'))")
    assert tab.text_content("#rated") == "0.10"
    at, losses = dict(AT), []
    for _ in range(11):
        root = expression(NEURON, at)
        root.backward()
        losses.append(root.data)
        grads = {node.label: node.grad for node in topological(root) if node.label in at}
        for name in ("w", "b"):  # x and y are data
            at[name] -= 0.1 * grads[name]
    tab.click("#descend")
    assert tab.evaluate("data[graph.root]") == pytest.approx(losses[1], rel=1e-12)
    tab.click("#ten")
    root = expression(NEURON, at)
    assert tab.evaluate("data[graph.root]") == pytest.approx(root.data, rel=1e-12)
    assert tab.evaluate("losses") == pytest.approx([*losses, root.data], rel=1e-12)
    assert "after 11 steps" in str(tab.text_content("#losses"))
    assert float(tab.get_by_label("w", exact=True).input_value()) == pytest.approx(at["w"])
    assert tab.locator("#curve polyline").get_attribute("points").count(",") == 12
    tab.click("#restart")
    assert tab.evaluate("data[graph.root]") == pytest.approx(losses[0], rel=1e-12)
    tab.click("#step summary")
    tab.get_by_label("b moves", exact=True).uncheck()
    before = tab.get_by_label("b", exact=True).input_value()
    tab.click("#ten")
    assert tab.get_by_label("b", exact=True).input_value() == before


def test_a_rate_that_is_too_high_ends_in_an_infinite_loss(opened: Any) -> None:
    tab = opened(expression("w**2", w=2.0))
    tab.evaluate("$('rate').value = 1; rated(); for (let k = 0; k < 60; k++) descend(10)")
    assert "inf after" in str(tab.text_content("#losses")) or "nan after" in str(
        tab.text_content("#losses")
    )
    tab.click("#restart")
    assert tab.evaluate("data[graph.root]") == 4.0


def test_few_inputs_have_sliders(opened: Any) -> None:
    tab = opened(expression(NEURON, AT))
    tab.get_by_label("slider of x").fill("1")
    assert float(tab.get_by_label("x", exact=True).input_value()) == 1.0
    root = expression(NEURON, AT | {"x": 1.0})
    assert tab.evaluate("data[graph.root]") == pytest.approx(root.data, rel=1e-12)
    many = opened(expression("+".join(f"x{i}" for i in range(9)), {f"x{i}": 1.0 for i in range(9)}))
    assert many.locator("#inputs input[type=range]").count() == 0
    assert many.locator("#inputs input[type=number]").count() == 9


def test_a_click_opens_a_closed_scope_and_its_numbers_are_the_present_ones(opened: Any) -> None:
    root = network(5, 2)
    tab = opened(root)
    closed = tab.evaluate("[...boxes.values()].map((box) => box.members.length)")
    assert max(closed) > 1
    tab.click("#last")
    k = closed.index(max(closed))
    members = tab.evaluate(f"[...boxes.values()][{k}].members")
    grads = tab.evaluate("grads")
    tab.evaluate(f"[...boxes.keys()][{k}].dispatchEvent(new MouseEvent('click'))")
    assert tab.is_visible("#close")
    shown = tab.locator("#picture g.node").all_text_contents()
    for i in [i for i in members if grads[i] is not None][:20]:
        text = str(tab.evaluate(f"signed(grads[{i}])"))
        assert any(f"grad {text}" in box for box in shown)
    tab.click("#close")
    assert not tab.is_visible("#close")
    assert tab.evaluate("[...boxes.values()].map((box) => box.members.length)") == closed


EXPRESSIONS = [
    "tanh(x*y) + x",
    "exp(-x*x) * y",
    "log(x*x + 1) / (y*y + 2)",
    "sigmoid(x) - sigmoid(y)",
    "relu(x) + relu(-y) + relu(x - y)",
    "x**3 - y**2",
    "abs(x) ** y",
    "maximum(x, y) * minimum(x, y)",
    "gelu(x) + silu(y)",
    "softplus(x) - logsigmoid(y)",
    "erf(x) * erfc(y)",
    "atan2(x, y)",
    "hypot(x, y)",
    "sqrt(x*x + y*y + 1)",
    "sin(x) * cos(y) - tan(x / 3)",
    "leaky_relu(x) + elu(y)",
    "h = tanh(x + y); h*h + h",
    "sinh(x) / cosh(y)",
    "asinh(x) + atan(y) + expm1(x)",
    "x / (y + 10) + 1 / (x - 20)",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_what_if_agrees_with_python(text: str, opened: Any) -> None:
    tab = opened(expression(text, x=0.3, y=-0.8))
    rng = random.Random(text)
    for _ in range(5):
        at = {name: round(rng.uniform(-3, 3), 3) for name in "xy"}
        for name, number in at.items():
            tab.get_by_label(name, exact=True).fill(repr(number))
        y = expression(text, at)
        y.backward()
        wanted = [node.data for node in topological(y)]
        assert tab.evaluate("data") == pytest.approx(wanted, rel=1e-12, abs=1e-300)
        grads = {node.label: node.grad for node in topological(y) if node.label in at}
        found = tab.evaluate(
            "(() => { const g = compute(); return nodes.map((n, i) => [n.name, g[i]]); })()"
        )
        for name, grad in found:
            if name in at:
                assert grad == pytest.approx(grads[name], rel=1e-12, abs=1e-300)


def test_hostile_labels_in_the_browser(opened: Any) -> None:
    tab = opened(hostile())
    tab.evaluate("void (window.boom = () => { throw new Error('boom'); })")
    tab.click("#last")
    assert HOSTILE[0] in str(tab.text_content("#events"))
    assert tab.evaluate("document.images.length") == 0


# ---------------------------------------------------------------------- large graphs


def network(width: int, count: int) -> Value:
    """Layers of tanh neurons, each layer in a scope: width * (4 * width) nodes a layer, about."""
    out = [Value(0.1 * i, f"x{i}") for i in range(width)]
    for layer in range(count):
        with scope(f"layer {layer}"):
            weights = [
                [Value(math.sin(i + 7 * j + layer)) for i in range(width)] for j in range(width)
            ]
            out = [
                sum((w * v for w, v in zip(row, out, strict=True)), Value(0.1)).tanh()
                for row in weights
            ]
    return sum((v * v for v in out), Value(0.0))


CHANGES = """
() => {
  let count = 0;
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  const watching = new MutationObserver((found) => { count += found.length; });
  watching.observe(document, all);
  const most = (moves) => Math.max(...moves.map((to) => {
    go(to);
    const found = watching.takeRecords().length;
    return found;
  }));
  const last = events.length - 1, seed = nodes.length;
  go(seed - 20);
  watching.takeRecords();
  const ahead = most([...Array(60)].map((_, k) => seed - 19 + k));
  const back = most([...Array(60)].map((_, k) => seed + 39 - k));
  return [ahead, back];
}
"""


def test_a_step_changes_as_much_in_a_large_graph_as_in_a_small_one(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograd.show.page.READ", 1_000)  # nothing is closed
    for width, count, boxes in ((5, 1, 60), (10, 3, 900)):
        root = network(width, count)
        tab = opened(root)
        assert tab.locator("g.node").count() > boxes
        ahead, back = tab.evaluate(CHANGES)
        # Of 12 texts, colours and marks, and a list of lines; nothing in them grows.
        assert 0 < ahead < 25
        assert 0 < back < 25


def test_a_graph_of_many_nodes_collapses_by_scope_and_shows_the_neighbours(opened: Any) -> None:
    root = network(10, 7)
    player = play(root, {})
    assert 2_000 < len(topological(root)) < 3_000
    tab = opened(root)
    assert tab.locator("g.node").count() < 300
    assert tab.evaluate("events.length") == len(player)
    tab.click("#last")
    arrived = re.findall(r"grads (\d+) of (\d+)", str(tab.text_content("#picture")))
    assert len(arrived) == 7
    assert all(some == all_ for some, all_ in arrived)
    tab.click("#first")
    assert "grads" not in str(tab.text_content("#picture"))
    i = next(i for i, event in enumerate(player) if event.node.op and event.node.op.arity == 2)
    tab.evaluate(f"go({i})")
    operands = [player[i].names[parent] for parent in player[i].node.parents]
    shown = tab.locator("#operands button").all_inner_texts()
    assert [text.split("\n")[0] for text in shown] == operands
    tab.click("#users button")
    assert player[i].node in player[int(tab.evaluate("place"))].node.parents
    tab.fill("#name", player[i].names[topological(root)[1500]])
    # More leaves than have a field: any other by its name.
    name = [event.name for event in player if event.node.op is None][-1]
    assert tab.get_by_label(name, exact=True).count() == 0
    tab.fill("#name", name)
    tab.press("#name", "Enter")
    tab.get_by_label(name, exact=True).fill("0.75")
    assert 0.75 in tab.evaluate("data")
    tab.fill("#name", "nobody")
    tab.press("#name", "Enter")
    assert tab.text_content("#unknown") == "there is no input with this name"


def test_a_graph_of_60000_nodes_without_scopes_opens_and_steps(opened: Any) -> None:
    x = total = Value(0.5, "x")
    for _ in range(30_000):
        total = (total * 1.0001).tanh()
    tab = opened(total)
    assert not tab.is_visible("#picture")
    assert tab.is_visible("#around")
    tab.keyboard.press("End")
    assert tab.text_content("#place") == "event 120,002 of 120,002".replace(",", "")
    assert tab.locator("#lines li").count() < 40
    assert tab.text_content("#node button").startswith("v1")
    assert tab.text_content("#operands button").startswith("x")
    assert tab.evaluate("grads[0]") == play(total, {})[-1].grad
    # The sign's minus is as wide as a plus; the exponent's stays as numbers are written.
    assert tab.evaluate("signed(-2.5e-9)") == "\u22122.5e-9"
    assert x.grad == 0.0


def test_the_page_works_without_a_picture(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd.show import render

    def none(dot: str) -> Any:
        raise render.RenderError("none")

    monkeypatch.setattr(render, "svg", none)
    tab = opened(expression(NEURON, AT))
    tab.click("#last")
    assert not tab.is_visible("#picture")
    assert tab.is_visible("#around")


def test_a_page_holds_a_picture_of_each_closed_scope_unless_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = network(5, 2)
    text = play(root, {}).html()
    assert text.count("<template ") == 2
    assert '"viewed"' in text
    monkeypatch.setattr("autograd.show.page.OPENED", 1)
    assert "<template " not in play(root, {}).html()
    monkeypatch.setattr("autograd.show.page.OPENED", 40)
    monkeypatch.setattr("autograd.show.page.LIMIT", 3)
    assert "<template " not in play(root, {}).html()


def textbook() -> Value:
    z = [Value(number, f"z{i}") for i, number in enumerate((2.0, -1.0, 0.5))]
    loss: Value = nn.scce([z], [2], from_logits=True)
    loss.label = "L"
    return loss


@pytest.mark.parametrize("width", [390, 600, 900, 1400])
def test_a_frame_is_as_high_as_its_page(width: int, browser: Any) -> None:
    context = browser.new_context(offline=True, viewport={"width": width + 20, "height": 900})
    try:
        for root in (expression(NEURON, AT), textbook(), network(5, 2)):
            tab = context.new_page()
            html = play(root, {})._repr_html_()
            tab.set_content(f'<body style="margin: 10px">{html}</body>')
            inside = tab.frames[1]
            inside.wait_for_function("document.querySelector('#lines li') !== null")
            high, all_, used = inside.evaluate(
                "() => [innerHeight, document.documentElement.scrollHeight,"
                " document.querySelector('#curve').getBoundingClientRect().bottom]"
            )
            assert all_ == high
            assert high - used < 40
            inside.wait_for_function(
                "parseFloat(getComputedStyle(document.getElementById('typeset')).fontSize) > 20"
                " && document.querySelectorAll('#lines li').length"
                " >= Math.min(events.length, Math.floor($('events').clientHeight / 22))"
            )
            picture = "document.getElementById('picture')"
            assert inside.evaluate(f"{picture}.scrollHeight <= {picture}.clientHeight")
            tab.close()
    finally:
        context.close()


def test_formulas_are_typeset(opened: Any) -> None:
    a, b = Value(-1.5, "a_1"), Value(2.0, "weight")
    root = (a * b - 1.0) ** 2.0 / b + (1e-5 * a).exp()
    root.label = "y"
    tab = opened(root)

    def shown(to: str) -> str:
        tab.evaluate(f"go(events.findIndex((e) => line(e).startsWith({to!r})))")
        return str(tab.locator("#typeset").text_content())

    assert shown("a_1") == "a1=\u22121.5"
    assert shown("weight") == "weight=2"
    assert shown("v1 =") == "v1=a1weight=(\u22121.5)\u22c52=\u22123"
    assert shown("v3 =") == "v3=v22=(\u22124)2=16"  # a power, whose base keeps its brackets
    assert shown("v4 =") == "v4=v3weight=162=8"  # a fraction
    assert (
        shown("v5 =")
        == "v5=1\u22c510\u22125a1=1\u22c510\u22125(\u22121.5)=\u22121.5\u22c510\u22125"
    )
    assert shown("dL/dy") == "\u2202L\u2202y=1"
    assert (
        shown("dL/dv2")
        == "\u2202L\u2202v2+=\u2202L\u2202v3\u22c5(2v2)=0.5\u22c5(2(\u22124))=\u22124"
    )
    assert tab.locator("#typeset math").count() == 2
    assert tab.locator("#typeset mfrac").count() == 2
    size = "parseFloat(getComputedStyle(document.getElementById('typeset')).fontSize)"
    before = tab.evaluate(size)
    tab.set_viewport_size({"width": 200, "height": 800})
    shown("dL/dv2")
    assert tab.evaluate(size) < before


def test_the_textbook_in_the_browser(opened: Any) -> None:
    root = textbook()
    player = play(root, {}, detail="textbook")
    tab = opened(root, "textbook")
    lines = tab.evaluate("events.map(line)")
    assert len(lines) == len(player)
    assert lines[-1] == player[-1].line()
    assert lines[3].startswith("L = \u2212log(p_2), p_i = e^z_i / \u03a3_j e^z_j = 1.741")
    tab.evaluate("go(3)")
    assert tab.locator("#typeset munder, #typeset mfrac").count() >= 2
    tab.keyboard.press("End")
    assert tab.locator("#picture g.node").count() == 4
    assert tab.locator("#picture g.lit").count() == 1
    assert "\u2202L\u2202z2" in tab.locator("#typeset").text_content()
    # Other inputs: the operations inside the formula are computed again.
    tab.evaluate("data[0] = -3; again()")
    z = [Value(number, f"z{i}") for i, number in enumerate((-3.0, -1.0, 0.5))]
    loss = nn.scce([z], [2], from_logits=True)
    loss.backward()
    assert tab.evaluate("data[graph.root]") == pytest.approx(loss.data, rel=1e-14)
    grads = tab.evaluate("compute()")
    order = [node.label for node in player.shown.order]
    for leaf in z:
        assert grads[order.index(leaf.label)] == pytest.approx(leaf.grad, rel=1e-12)
