"""The saved page: safe text, and in headless Chromium every control, every number, no network."""

import json
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

from autograd import Value, expression, play, rows, scope, topological
from autograd.page import javascript, page, script_json
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
    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.images = 0, 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.scripts += tag == "script"
        self.images += tag == "img"


def hostile() -> Value:
    total = Value(1.0, "start")
    for label in HOSTILE:
        total = total * Value(1.5, label)
    total.label = HOSTILE[0]
    return total


def test_hostile_labels_stay_text() -> None:
    for text in (play(hostile()).html(), play(hostile())._repr_html_()):
        tags = _Tags()
        tags.feed(text)
        assert tags.images == 0
    tags = _Tags()
    tags.feed(play(hostile()).html())
    assert tags.scripts == 2
    assert json.loads(script_json(HOSTILE)) == HOSTILE


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
    }


def test_a_page_of_too_many_nodes_is_refused() -> None:
    y = Value(1.0)
    for _ in range(20_001):
        y = y * 1.0
    with pytest.raises(ValueError, match="20,000 nodes"):
        page(play(y))


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_every_row_as_javascript_agrees_with_python() -> None:
    cases = []
    for op in rows().values():
        for at in points(op, 12, random.Random(op.name)):
            z = op.value(*at)
            x, y = (*at, 0.0)[:2]
            wanted = [z, float(op.dx(x, y, z))]
            if op.arity == 2:
                wanted.append(float(op.dy(x, y, z)))
            bits = [struct.pack(">d", number).hex() for number in (x, y, *wanted)]
            cases.append([op.name, *bits])
    script = (Path(__file__).parent.parent / "autograd" / "page.js").read_text()
    functions = script[script.index("function erf(") : script.index("// ------")]
    table = ", ".join(f"{json.dumps(name)}: {javascript(op)}" for name, op in rows().items())
    program = (
        functions
        + f"""
    const rows = {{{table}}};
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

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, Debian's or Chrome."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium (apt install chromium)")
    with playwright.sync_playwright() as p:
        made = p.chromium.launch(executable_path=chromium, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A function that opens a root's page by file://, offline; no error may come of it."""
    errors: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 860})

    def show(root: Value) -> Any:
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: errors.append(message.text))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto("file://" + play(root, {}).save(tmp_path / "player.html"))
        return tab

    yield show
    context.close()
    assert errors == []


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
        assert tab.text_content("#formula") == (f"{words}\n= {numbers}" if numbers else words)
        tab.click("#next")
    tab.click("#events li:nth-child(4)")
    assert place() == f"event 4 of {count}"
    tab.select_option("#speed", "200")
    tab.click("#play")
    tab.wait_for_function("document.querySelector('#place').textContent.startsWith('event 8 ')")
    tab.click("#play")
    assert tab.get_attribute("#play", "aria-pressed") == "false"
    tab.click("g.node >> nth=0")
    assert "value 2" in str(tab.text_content("g.node >> nth=0"))
    assert not tab.is_visible("#question")


def test_the_quiz_tells_why(opened: Any) -> None:
    tab = opened(expression("w * x * x", w=3, x=-2))
    tab.click("#quiz")

    def answered(text: str) -> str:
        tab.fill("#answer", text)
        tab.press("#answer", "Enter")
        return str(tab.text_content("#told"))

    assert "dL/dv1" in str(tab.text_content("#ask"))
    assert answered("2") == "The size is right; look at the sign."
    assert answered("abc") == "A number, please."
    assert answered("17").startswith("Not yet: dL/dv1 += dL/dv2 * x")
    assert answered("-2").startswith("Right: ")
    tab.click("#next")
    tab.click("#next")
    tab.click("#next")  # w * x: to w, then to x, which has -6 from above
    assert "dL/dx" in str(tab.text_content("#ask"))
    assert answered("-6") == "That is what comes now; add it to what is there."
    assert answered("3") == "That is the local derivative; multiply by what comes from above."
    assert answered("-12").startswith("Right: ")


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


def test_a_graph_of_2000_nodes_collapses_and_steps(opened: Any) -> None:
    x = Value(0.5, "x")
    total = x
    for i in range(40):
        with scope(f"part {i}"):
            for _ in range(25):
                total = (total * 1.01).tanh()
    tab = opened(total)
    tab.click("#last")
    assert tab.evaluate("document.querySelectorAll('g.node').length") < 300
    assert tab.evaluate("events.length") == len(play(total))


def test_the_page_works_without_a_picture(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from autograd import render

    def none(dot: str) -> Any:
        raise render.RenderError("none")

    monkeypatch.setattr(render, "svg", none)
    tab = opened(expression(NEURON, AT))
    tab.click("#last")
    assert not tab.is_visible("#picture")
