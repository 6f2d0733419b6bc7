"""Pictures of gradient graphs: what a box says, hostile labels, limits, renderers, determinism."""

import html
import importlib.util
import io
import json
import math
import os
import re
import struct
import sys
import time
import xml.etree.ElementTree as ET
from base64 import b64decode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import autograd
import autograd.show.render as render
from autograd import Value, draw, play, scope, topological
from autograd.extras import remedy
from autograd.show import drawing
from autograd.show.graph import Graph
from autograd.show.names import names, variables
from autograd.show.style import BAD, NEGATIVE, tints
from nn import MLP, mse, scce
from tests.processes import printed


def neuron() -> tuple[Value, Value]:
    w, x = Value(2.0, "w"), Value(-1.0, "x")
    y = (w * x + 0.5).tanh()
    return y, w


def texts(svg: str) -> list[str]:
    """The lines of text of a picture, as an XML parser reads them."""
    root = ET.fromstring(svg)
    return ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_box_says_name_operation_value_and_gradient() -> None:
    y, _ = neuron()
    assert texts(draw(y).svg()).count("no backward yet") == 5
    y.backward()
    shown = texts(draw(y).svg())
    assert {"w", "value 2", "grad \u22120.1807", "v1 = w * x", "y = tanh(v2)"} <= set(shown)
    assert "no backward yet" not in shown


def test_nodes_take_the_users_variable_names() -> None:
    weights = [Value(1.0), Value(2.0)]
    named = {"b": Value(3.0)}
    out = weights[0] * weights[1] + named["b"]
    shown = texts(draw(out).svg())
    assert {"weights[0]", "weights[1]", "named['b']", "out = v1 + named['b']"} <= set(shown)


def test_edges_show_the_local_derivative_and_the_contribution() -> None:
    y, _ = neuron()
    y.backward()
    shown = texts(draw(y, edges=True).svg())
    assert "\u2202v1/\u2202w = \u22121" in shown
    assert f"+= \u2212{0.1807}" in shown
    assert "\u2202" not in "".join(texts(draw(y).svg()))


def test_constants_are_boxes_or_part_of_the_formula() -> None:
    y, _ = neuron()
    assert "n3y" in draw(y).source
    assert "n3y" not in draw(y, constants=False).source
    assert "v2 = v1 + 0.5" in texts(draw(y, constants=False).svg())


def test_only_what_leads_to_one_node_can_be_drawn() -> None:
    y, w = neuron()
    shown = draw(y, to=w).mermaid()
    assert '["w<br>' in shown
    assert '["x<br>' not in shown
    assert "v1 = w * x<br>" in shown
    with pytest.raises(ValueError, match="must be a node that the root"):
        draw(y, to=Value(1.0))


def test_an_operand_outside_the_picture_keeps_its_name() -> None:
    x, w, b = Value(2.0, "x"), Value(3.0, "w"), Value(1.0, "b")
    y = (w * x).tanh() + b
    y.label = "y"
    assert re.findall(r'\["([^<]*)<br>', draw(y, to=b).mermaid()) == ["b", "y = v2 + b"]


def test_colours_tell_sign_and_size() -> None:
    a, b = Value(1.0, "a"), Value(1.0, "b")
    (a * 100.0 - b).backward()
    root = a * 100.0 - b
    root.backward()
    source = draw(root).source
    fills = dict(re.findall(r'id=(n\d+) label="([^"]*)" fillcolor', source))
    assert len(fills) == 4
    colour = dict(re.findall(r'label="(\w)\\n[^"]*" fillcolor="(#\w+)"', source))
    assert colour["a"] == "#ee9a3a"
    assert colour["b"] in tints(NEGATIVE)[:2]


HOSTILE = [
    "x>0",
    "a|b",
    "{c}",
    "<w>",
    "<<TABLE HREF='javascript:alert(1)'>>",
    '"quoted"',
    "back\\slash \\N \\G \\l",
    "&amp; &lt; &",
    "</script>",
    "emoji \U0001f600 é",
    'x" URL="javascript:alert(1)',
    'x"]; evil [label="',
    "<lambda> <map>",
    "%s {{}}",
]


@pytest.mark.parametrize("label", HOSTILE)
def test_any_label_is_drawn_exactly_as_typed(label: str) -> None:
    svg = draw(Value(1.0, label) * 2.0).svg()
    assert label in [text.replace("\u00a0", " ") for text in texts(svg)]
    for element in ET.fromstring(svg).iter():
        assert not any("href" in name for name in element.attrib)
        assert not element.tag.endswith(("script", "}a"))


@pytest.mark.parametrize("label", ["\n" * 50, "a" + "\n" * 50 + "b", "a\n" * 50])
def test_a_label_of_many_lines_is_drawn(label: str) -> None:
    with scope(label):
        root = Value(1.0, label) * 2.0
    assert "\u2212" in draw(root - 9.0).svg()


def test_newlines_split_and_control_characters_are_replaced() -> None:
    shown = texts(draw(Value(1.0, "two\nlines\x00") * 2.0).svg())
    assert "two" in shown
    assert "lines\ufffd" in shown


def test_mermaid_text_escapes_labels() -> None:
    text = draw(Value(1.0, 'a"]<b>#') * 2.0).mermaid()
    assert html.escape('"]<b>').replace("&#x27;", "'") in text
    assert '"]<b>' not in text


def layered(width: int) -> Value:
    x = Value(1.0, "x")
    outs = []
    for i in range(width):
        with scope("layer"), scope(f"neuron {i}"):
            v = x * float(i + 2)
            for _ in range(5):
                v = v.tanh() + 1.0
            outs.append(v)
    return sum(outs[1:], outs[0])


def test_scopes_are_framed_and_above_the_limit_collapsed_one_by_one() -> None:
    root = layered(4)
    framed = draw(root)
    assert framed.source.count("subgraph cluster_") == 5
    assert "subgraph" not in draw(root, group=False).source
    assert "11 operations" in "".join(texts(draw(root, limit=20).svg()))
    assert "44 operations" in "".join(texts(draw(root, limit=6).svg()))


@pytest.mark.slow
def test_a_graph_too_large_is_refused_with_advice_and_never_hangs() -> None:
    x = v = Value(1.0)
    for _ in range(100_000):
        v = v + 1e-9
    with pytest.raises(ValueError, match=r"100,001 boxes .*\(to=w\)"):
        draw(v)
    assert x.grad == 0.0


def woven(operations: int) -> Graph:
    v = [Value(float(i)) for i in range(40)]
    for i in range(operations):
        v.append(v[-1 - i % 37] * v[-1 - i % 23])
    return draw(sum(v[-40:], Value(0.0)), limit=5000)


def test_a_layout_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "SECONDS", 0.05)
    with pytest.raises(render.RenderError, match="took longer"):
        woven(1500).svg()


def test_the_end_of_another_threads_time_stops_no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wasmtime")
    stopped: list[bool] = []
    laid_out = render._laid_out

    def first_stopped(dot: str, seconds: float) -> str | None:
        text = laid_out(dot, 0.01 if not stopped else seconds)
        stopped.append(text is None)
        return text

    monkeypatch.setattr(render, "_laid_out", first_stopped)
    assert woven(60).svg().startswith("<?xml")
    assert stopped == [True, False]


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_drawing_has_the_time_that_the_layout_left(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out = render.svg

    def slow(dot: str, clock: render.Clock | None = None) -> tuple[str, str]:
        made = laid_out(dot)
        assert clock is not None
        clock._end = time.monotonic() + seconds
        return made

    monkeypatch.setattr(render, "svg", slow)
    with pytest.raises(render.RenderError, match="took longer than 20 s; draw less"):
        draw(neuron()[0]).png()


def test_a_picture_is_not_saved_as_text(tmp_path: Path) -> None:
    graph = draw(neuron()[0])
    with pytest.raises(ValueError, match=r"it writes DOT text; for a picture write \.render\("):
        graph.save(tmp_path / "neuron.png")
    assert "digraph" in Path(graph.save("neuron.gv", tmp_path)).read_text()


def test_what_cannot_be_drawn_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "svg", lambda *_: ("<svg", "dot"))
    with pytest.raises(render.RenderError, match=r"could not be drawn: .*root node"):
        render.png("digraph { a }")
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="scale must be a finite number above 0"):
            draw(neuron()[0]).png(scale)


def test_a_frozen_program_draws_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = draw(neuron()[0])
    made = graph.png()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a process was started"))
    assert graph.png() == made


def test_the_process_that_draws_needs_nothing_but_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    options = {"text": text, "fonts": [], "scale": 1.0}
    order = json.dumps({"kind": "png", "path": sys.path, "options": options})
    monkeypatch.setattr("sys.stdin", io.StringIO(order))
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.path", [*sys.path])
    drawing.main()
    assert out.buffer.seek(0) == 0
    assert out.buffer.read() == drawing.png(text, [], 1.0)


def test_a_pdf_has_text_and_one_page_of_the_pictures_size(tmp_path: Path) -> None:
    pytest.importorskip("svg2pdf_py")
    graph = draw(neuron()[0])
    graph.format = "pdf"
    data = Path(graph.render(tmp_path / "neuron")).read_bytes()
    assert graph.used in ("wasm + svg2pdf", "dot")
    assert data.startswith(b"%PDF")
    width, height = map(float, re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", data)[0])
    sizes = re.search(r'width="(\d+)pt" height="(\d+)pt"', graph.svg())
    assert sizes is not None
    assert (width, height) == pytest.approx(tuple(map(float, sizes.groups())), abs=2)
    assert b"/FontFile" in data


def test_no_page_is_longer_than_viewers_open() -> None:
    text = '<svg width="28800pt" height="720pt" viewBox="0 0 28800 720">'
    assert 'width="14400" height="360"' in render._SIZES.sub(render._page_size, text)


@pytest.mark.parametrize("kind", ["svg", "png", "dot", "gv", "mmd"])
def test_files_are_written_whole_and_by_their_ending(tmp_path: Path, kind: str) -> None:
    y, _ = neuron()
    path = tmp_path / f"graph.{kind}"
    assert draw(y).render(path) == str(path)
    start = path.read_bytes()[:9]
    signs = {"svg": b"<?xml", "png": b"\x89PNG", "dot": b"digraph", "gv": b"digraph"}
    assert start.startswith(signs.get(kind, b"flowchart"))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_unknown_kinds_directories_and_bad_options_are_refused(tmp_path: Path) -> None:
    graph = draw(neuron()[0])
    with pytest.raises(ValueError, match=r"expected .svg, .png, .pdf, .dot or .mmd"):
        graph.render(tmp_path / "graph.exe")
    (tmp_path / "d.svg").mkdir()
    with pytest.raises(IsADirectoryError):
        graph.render(tmp_path / "d.svg")
    with pytest.raises(ValueError, match="direction"):
        draw(neuron()[0], direction="up")
    with pytest.raises(TypeError, match="expected a Value"):
        draw(3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options", "made"),
    [
        ("out", {}, "out.svg"),
        ("out", {"format": "png"}, "out.png"),
        ("out.gv", {"format": "svg"}, "out.gv.svg"),
        ("out.svg", {"format": "svg", "cleanup": True}, "out.svg"),
        ("out", {"format": "mmd", "directory": "."}, "out.mmd"),
        ("out", {"outfile": "other.png"}, "other.png"),
        (None, {"quiet": True, "engine": "dot"}, "gradients.svg"),
    ],
)
def test_render_takes_what_graphviz_takes(
    name: str | None, options: Any, made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(draw(neuron()[0]).render(name, **options)) == Path(made)
    assert [p.name for p in tmp_path.iterdir()] == [made]


def test_a_picture_is_piped_and_viewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, opened = draw(neuron()[0]), []
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri))
    assert graph.pipe("dot").startswith(b"digraph")
    assert graph.pipe(format="svg", encoding="utf-8").startswith("<?xml")
    with pytest.raises(ValueError, match=r"expected .svg, .png, .pdf, .dot or .mmd, got 'jpg'"):
        graph.pipe("jpg")
    kept = graph.view(tmp_path / "kept", format="mmd")
    assert Path(graph.render(tmp_path / "again.mmd", view=True)).exists()
    temporary = graph.view()
    assert opened == [Path(p).as_uri() for p in (kept, str(tmp_path / "again.mmd"), temporary)]
    assert Path(temporary).suffix == ".svg"


def test_what_graphviz_sets_on_a_graph_counts(tmp_path: Path) -> None:
    graph = draw(neuron()[0])
    graph.format = "png"
    assert graph.render(tmp_path / "a") == str(tmp_path / "a.png")
    assert graph.pipe()[:4] == b"\x89PNG"
    graph.graph_attr["rankdir"] = "TB"
    width, height = size_of(graph.png())
    assert height > width
    again = graph.copy()
    assert (again.source, again.mermaid(), again.boxes) == (
        graph.source, graph.mermaid(), graph.boxes,
    )  # fmt: skip


def test_options_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    graph = draw(neuron()[0])
    for method in (graph.render, graph.view, graph.pipe):
        with pytest.raises(TypeError, match=r"formt= is not supported"):
            method(formt="png")
        with pytest.raises(TypeError, match=r"renderer= is not supported"):
            method(renderer="cairo")
        with pytest.raises(ValueError, match=r"engine='neato': only engine='dot'"):
            method(engine="neato")
    graph.engine = "neato"
    with pytest.raises(ValueError, match="only engine='dot'"):
        graph.svg()


def test_a_picture_that_nothing_can_open_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda uri: False)
    with pytest.warns(UserWarning, match=r"it is in .*graph\.svg"):
        draw(neuron()[0]).view(tmp_path / "graph")


def size_of(png: bytes) -> tuple[int, ...]:
    return struct.unpack(">II", png[16:24])


def test_a_png_has_no_more_pixels_than_viewers_open(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Value(0.5, "x")
    for _ in range(8):
        x = x * 1.1
    graph = draw(x, constants=False)
    width, height = size_of(graph.png(1.0))
    monkeypatch.setattr(render, "LARGEST", int(0.75 * width))
    assert size_of(graph.png()) == pytest.approx((0.75 * width, 0.75 * height), abs=2)
    assert size_of(graph.png(0.25)) == pytest.approx((0.25 * width, 0.25 * height), abs=2)
    monkeypatch.setattr(render, "LARGEST", 16_000)
    monkeypatch.setattr(render, "PIXELS", width * height // 2)
    assert size_of(graph.png())[0] == pytest.approx(width * 0.5**0.5, abs=5)
    monkeypatch.setattr(render, "PIXELS", width * height // 9)
    with pytest.raises(render.RenderError, match=r"the size that fits; draw less .*\.svg"):
        graph.png()
    assert graph.png(0.25)  # as it was asked for


def test_what_is_exported_is_on_white_and_what_is_shown_is_not(tmp_path: Path) -> None:
    graph = draw(neuron()[0])
    assert "bgcolor=white" not in graph.source
    assert 'fill="white"' not in graph.svg()
    assert 'fill="white"' in Path(graph.render(tmp_path / "graph.svg")).read_text()


def test_long_labels_wrap() -> None:
    long = "a name of words " * 8 + "x" * 60
    source = draw(Value(1.0, long) * 2.0).source
    pieces = re.findall(r'label="([^"]*)"', source)[0].split("\\n")
    assert max(map(len, pieces)) <= 48
    assert "".join(pieces).startswith(long)


def test_names_of_scopes_wrap_and_names_of_many_lines_are_cut() -> None:
    with scope("a part of the model " * 9):
        y = Value(1.0, "line\n" * 40) * 2.0
    for graph in (draw(y), draw(y * 3.0, limit=3, constants=False)):
        for label in re.findall(r'label="([^"]*)"', graph.source):
            pieces = label.split("\\n")
            assert max(map(len, pieces)) <= 48
            assert len(pieces) <= 14


def test_wide_characters_wrap_by_their_width() -> None:
    source = draw(Value(1.0, "\u6743\u91cd" * 30) * 2.0).source
    pieces = re.findall(r'label="([^"]*)"', source)[0].split("\\n")
    assert [len(piece) for piece in pieces[:3]] == [24, 24, 12]
    assert "".join(pieces[:3]) == "\u6743\u91cd" * 30


def test_a_box_is_as_wide_as_its_wide_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wasmtime")
    monkeypatch.setattr("shutil.which", lambda name: None)
    wide = "\u6743\u91cd\ud55c\U0001f600\uff01" * 4
    texts_of = [draw(Value(1.0, label)).svg() for label in ("w" * 40, wide)]
    narrow, broad = (re.search(r'<svg width="(\d+)pt"', text) for text in texts_of)
    assert narrow is not None
    assert broad is not None
    assert broad[1] == narrow[1]
    assert wide in texts(texts_of[1])


def test_without_any_renderer_the_message_names_both_remedies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    graph = draw(neuron()[0])
    with pytest.raises(render.RenderError, match=r"chainrule\[viz\].*apt install graphviz"):
        graph.svg()
    with pytest.raises(render.RenderError, match=r"PDF needs .*chainrule\[viz\].*apt install"):
        graph.render("x.pdf")
    shown = graph._repr_mimebundle_()[0]["text/plain"]
    assert "digraph" in shown


@pytest.fixture
def no_layout() -> Iterator[None]:
    """Graphviz lays out the pictures again afterwards."""
    yield
    render.use(None)


def test_a_layout_of_ones_own_draws_pictures_and_the_page(no_layout: None) -> None:
    seen: list[str] = []

    def own(dot: str) -> str:
        seen.append(dot)
        return '<svg width="8pt" height="8pt" font-family="Courier,monospace"><g id="n0"/></svg>'

    assert render.use(own) is None
    graph = draw(neuron()[0])
    assert 'font-family="DejaVu Sans Mono,' in graph.svg()
    assert graph.used == "own"
    assert seen[0] == graph.source
    assert '<g id="n0"/>' in play(neuron()[0]).html()
    assert render.use(None) is own
    assert render.use(None) is None


def test_a_layout_of_ones_own_is_used_instead_of_the_program_dot(
    dot: None, no_layout: None
) -> None:
    pytest.importorskip("svg2pdf_py")
    render.use(lambda _: '<svg xmlns="http://www.w3.org/2000/svg" width="8pt" height="8pt"/>')
    assert render.pdf("digraph { a }")[1] == "<lambda> + svg2pdf"
    render.use(None)
    assert render.pdf("digraph { a }")[1] == "dot"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (lambda _: 1 / 0, "the layout <lambda> failed: division by zero"),
        (lambda _: None, "the layout <lambda> must return SVG text, got None"),
        (lambda dot: dot, "must return SVG text, got 'digraph"),
    ],
)
def test_a_layout_that_fails_stops_the_picture_but_not_the_page(
    layout: Any, message: str, no_layout: None
) -> None:
    render.use(layout)
    with pytest.raises(render.RenderError, match=message):
        draw(neuron()[0]).svg()
    assert play(neuron()[0]).html().startswith("<!doctype html>")


def test_what_is_no_function_is_refused_as_a_layout() -> None:
    with pytest.raises(TypeError, match="use: expected a function of DOT text, or None, got 'dot'"):
        render.use("dot")  # type: ignore[arg-type]


def test_nothing_in_a_browser_tells_to_run_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "emscripten")
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    graph = draw(neuron()[0])
    with pytest.raises(render.RenderError, match=r"a browser has no Graphviz.*render\.use "):
        graph.svg()
    with pytest.raises(render.RenderError, match="PDF needs svg2pdf-py: it is not available in a"):
        graph.render("x.pdf")
    assert remedy("plot", "matplotlib").endswith("await micropip.install('matplotlib')")
    assert "pip install" not in remedy("plot", "matplotlib") + remedy("viz")


DOT = """#!/bin/sh
[ "$FAILING" ] && { echo "syntax error" >&2; exit 1; }
[ "$HANGING" ] && exec sleep 60
cat > /dev/null
echo "<svg font-family=\\"Courier,monospace\\">$*</svg>"
"""


@pytest.fixture
def dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program `dot` that tells what it was asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dot").write_text(DOT)
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_program_dot_is_used_where_it_is(
    dot: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = draw(neuron()[0])
    assert graph.svg() == f'<svg font-family="{render._FAMILY}">-Tsvg</svg>\n'
    assert graph.used == "dot"
    assert "-Tpdf -Gsize=200,200" in Path(graph.render(tmp_path / "graph.pdf")).read_text()
    # Without resvg the picture is dot's own, with the same dots per inch.
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "resvg_py" else find(name, *a)
    )
    assert render.png("digraph {}") == (
        b'<svg font-family="Courier,monospace">-Tpng -Gdpi=192</svg>\n',
        "dot",
    )
    assert b"-Tjpg" in graph.pipe("jpg")
    monkeypatch.setenv("FAILING", "1")
    with pytest.raises(render.RenderError, match="dot failed: syntax error"):
        graph.svg()


def test_a_program_dot_that_hangs_is_stopped(dot: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "SECONDS", 0.2)
    monkeypatch.setenv("HANGING", "1")
    with pytest.raises(render.RenderError, match=r"took longer than 0\.2 s"):
        draw(neuron()[0]).svg()


def test_text_that_is_no_dot_is_refused_by_graphviz() -> None:
    with pytest.raises(render.RenderError, match="Graphviz failed"):
        render.svg("digraph { a -> ")


def test_without_resvg_and_dot_a_png_names_both_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "resvg_py" else find(name, *a)
    )
    with pytest.raises(render.RenderError, match=r"PNG needs .*chainrule\[viz\].*`dot`"):
        render.png("digraph { a }")


@pytest.mark.slow
def test_a_home_that_cannot_be_written_to_stops_no_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    made: list[Any] = []
    engine = wasmtime.Engine

    def first_refused(config: Any) -> Any:
        made.append(config)
        if len(made) == 1:
            raise OSError("read-only")
        return engine(config)

    monkeypatch.setattr(wasmtime, "Engine", first_refused)
    render._module.cache_clear()
    assert render.svg("digraph { a }")[0].startswith("<?xml")
    assert len(made) == 2
    render._module.cache_clear()


def test_gradients_that_are_no_numbers_are_marked() -> None:
    x = Value(2.0, "x")
    y = x * 3.0
    y.backward()
    x.grad = math.nan
    assert BAD in draw(y).source
    x.grad = math.inf
    assert BAD in draw(y).source


def test_a_picture_shows_itself_in_a_notebook_and_names_its_renderer() -> None:
    graph = draw(neuron()[0])
    assert isinstance(graph, Graph)
    shown, sizes = graph._repr_mimebundle_()
    assert shown["image/svg+xml"].startswith("<?xml")
    assert b64decode(shown["image/png"]).startswith(b"\x89PNG")  # for one that is not trusted
    assert sizes["image/png"]["width"] > sizes["image/png"]["height"] > 20
    assert graph.used in ("dot", "wasm")


def test_text_is_visible_in_the_png() -> None:
    # A font that is not found leaves boxes without text, and says nothing.
    y, _ = neuron()
    with_text = len(draw(y).png())
    blank: Any = draw(y)
    blank.body = [re.sub(r'label="[^"]*"', 'label=""', line) for line in blank.body]
    assert with_text > 1.5 * len(blank.png())


@pytest.mark.untraced
def test_the_same_script_draws_the_same_text_in_every_process() -> None:
    script = (
        "from autograd import Value, draw, scope\n"
        "a, b = Value(1.0, 'a'), Value(2.0)\n"
        "with scope('s'):\n"
        "    c = (a * b).exp() + b\n"
        "c.backward(); print(draw(c, edges=True).source)"
    )
    assert printed(script) == printed(script)


def test_nodes_in_lists_dictionaries_and_modules_have_the_names_of_their_places() -> None:
    class Unit:
        """Whatever says its parameters' names."""

        def __init__(self) -> None:
            self.w = Value(1.0)

        def named_parameters(self) -> Any:
            return [("w", self.w)]

    row, table, unit = [Value(1.0), Value(2.0)], {"a": Value(3.0)}, Unit()
    _hidden, other = Value(4.0), [Unit()]
    total = row[0] * row[1] + table["a"] * unit.w + _hidden * other[0].w + (Value(5.0) - Value(6.0))
    found = set(names(topological(total), variables(sys._getframe())).values())
    assert {"row[0]", "row[1]", "table['a']", "unit.w", "other[0].w", "total"} <= found
    assert "_hidden" not in found
    # What has no name of its own is counted.
    assert sorted(name for name in found if re.fullmatch(r"v\d+", name)) == [
        f"v{i}" for i in range(1, 10)
    ]


def test_a_label_is_never_given_to_another_node() -> None:
    x, y = Value(2.0, "v1"), Value(3.0, "v2 (2)")
    total = (x * y + Value(1.0, "v2") * Value(5.0, "v2")).exp()
    found = names(topological(total), {"v1": total})
    assert {node.label: found[node] for node in (x, y)} == {"v1": "v1", "v2 (2)": "v2 (2)"}
    assert sorted(found.values()) == [
        "v1", "v1 (2)", "v2", "v2 (2)", "v2 (3)", "v3", "v4", "v5",
    ]  # fmt: skip


def test_labels_that_repeat_are_numbered() -> None:
    a, b, c = (Value(float(i), "x") for i in range(3))
    assert list(names([a, b, c]).values()) == ["x", "x (2)", "x (3)"]
    assert list(names([a, Value(1.0)], {}).values()) == ["x", "v1"]


def test_a_drawing_is_made_in_this_process_where_no_other_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("svg2pdf_py")
    monkeypatch.setattr(sys, "executable", "")
    square = '<rect width="8" height="8"/>'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8">{square}</svg>'
    assert drawing.drawn("pdf", 9.0, text=text, fonts=[]).startswith(b"%PDF")


@pytest.mark.parametrize("font", ["Courier", "DejaVu Serif", "a font that nobody has"])
@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_text_in_any_font_is_there(kind: str, font: str) -> None:
    pytest.importorskip("resvg_py" if kind == "png" else "svg2pdf_py")

    def picture(label: str) -> bytes:
        graph = draw(Value(2.0, label))
        graph.node_attr["fontname"] = font
        data: bytes = graph.pipe(kind)
        return data

    assert picture("ab") == picture("ab") != picture("cd")


def test_the_picture_of_a_program_has_its_text() -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("resvg_py")
    once, twice = (autograd.compile(f) for f in (lambda x: x.exp(), lambda x: x.cos()))
    assert (once(0.0), twice(0.0)) == (1.0, 1.0)
    # Both are a box for the input and one of the same size for the operation.
    assert once.program.draw().png() != twice.program.draw().png()


# ------------------------------------------------------------------- order, titles, style


def frames(svg: str) -> dict[str, tuple[float, float, float, float]]:
    """The box of each frame by its titles from the outermost one: left, right, top, bottom."""
    root = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    boxes: dict[str, tuple[float, float, float, float]] = {}
    for group in root.iter(f"{space}g"):
        if group.get("class") == "cluster":
            numbers = re.findall(r"-?[\d.]+", group.findall(f"{space}path")[0].get("d") or "")
            xs, ys = [float(x) for x in numbers[::2]], [float(y) for y in numbers[1::2]]
            box = (min(xs), max(xs), min(ys), max(ys))
            around = [
                name
                for name, (left, right, top, bottom) in boxes.items()
                if left < box[0] and box[1] < right and top < box[2] and box[3] < bottom
            ]
            title = "".join(group.findall(f"{space}text")[0].itertext())
            boxes["/".join([*around[-1:], title])] = box
    return boxes


@pytest.mark.parametrize("sizes", [[2, 3, 1], [4, 6, 3], [2, 2, 2, 1], [3, 5, 1]], ids=str)
@pytest.mark.parametrize("direction", ["LR", "RL"])
def test_the_neurons_of_a_layer_are_in_order_from_top_to_bottom(
    sizes: list[int], direction: str
) -> None:
    model = MLP(sizes, "tanh", seed=0)
    root = mse(list(model([1.0] * sizes[0])), [0.5] * sizes[-1])
    tops: dict[str, list[float]] = {}
    for name, (_, _, top, _) in frames(draw(root, limit=2000, direction=direction).svg()).items():
        layer, separator, _ = name.rpartition("/neuron ")
        if separator:
            tops.setdefault(layer, []).append(top)
    assert sorted(map(len, tops.values())) == sorted(sizes[1:])
    assert all(heights == sorted(heights) for heights in tops.values())


@pytest.mark.parametrize("edges", [False, True])
def test_no_edge_crosses_the_title_of_a_frame(edges: bool) -> None:
    model = MLP([3, 4, 2], "tanh", seed=0)
    svg = draw(mse(model([1.0, 2.0, 3.0]), [0.0, 1.0]), limit=2000, edges=edges).svg()
    root = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    groups = list(root.iter(f"{space}g"))
    titles = [g.findall(f"{space}text")[0] for g in groups if g.get("class") == "cluster"]
    curves = [g.findall(f"{space}path")[0] for g in groups if g.get("class") == "edge"]
    for title in titles:
        x, y, size = (float(title.get(key) or 0.0) for key in ("x", "y", "font-size"))
        half = 0.3 * size * len("".join(title.itertext()))
        for curve in curves:
            numbers = [float(text) for text in re.findall(r"-?[\d.]+", curve.get("d") or "")]
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            for k in range(0, len(points) - 3, 3):
                for t in (i / 40 for i in range(41)):
                    weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3)
                    px, py = (
                        sum(w * p[axis] for w, p in zip(weights, points[k : k + 4], strict=True))
                        for axis in (0, 1)
                    )
                    assert not (abs(px - x) < half and y - 0.7 * size < py < y)


def test_what_is_turned_upside_down_keeps_its_boxes_edges_and_texts() -> None:
    model = MLP([2, 3, 1], "tanh", seed=0)
    graph = draw(model([1.0, -2.0])[0], edges=True, title="turned")
    turned = graph.svg()
    rightly = sorted(texts(turned))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "laid_out", lambda dot, layout: layout(dot))
        plain = graph.svg()
    assert sorted(texts(plain)) == rightly
    assert turned != plain
    # Every edge ends where its node is, as before.
    for text in (turned, plain):
        assert text.count("<path") + text.count("<polygon") == plain.count("<path") + plain.count(
            "<polygon"
        )


def test_colors_font_title_legend_and_background_are_as_asked() -> None:
    y, _ = neuron()
    y.backward()
    graph = draw(
        y, colors=("#123456", "#654321"), font="Helvetica", title="a title", legend=True,
        background="#ffffee",
    )  # fmt: skip
    svg = graph.svg()
    assert "#123456" in svg
    assert "#654321" in svg
    assert "#ee9a3a" not in svg
    assert "Helvetica" in svg
    assert "#ffffee" in svg
    assert {"a title", "gradient above 0", "nan or inf", "plain number"} <= set(texts(svg))
    for colors in ("#123456", ["#123456"], ["red", "blue"], ["#123456", "#12345"]):
        with pytest.raises(ValueError, match="draw: colors must be two like '#ee9a3a'"):
            draw(y, colors=colors)


def test_edges_name_the_nodes_of_their_derivative() -> None:
    w, x = Value(2.0, "w"), Value(-1.0, "x")
    y = w * x
    y.label = "y"
    y.backward()
    written = texts(draw(y, edges=True).svg())
    assert "\u2202y/\u2202w = \u22121" in written
    assert "\u2202y/\u2202x = 2" in written


def test_parameters_have_full_names_and_their_labels_inside_their_frames() -> None:
    model = MLP([2, 2, 1], "tanh", seed=0)
    y = model([1.0, -2.0])[0]
    found = set(names(topological(y)).values())
    assert {"layers.0.neurons.1.w0", "layers.1.neurons.0.b"} <= found
    assert not [name for name in found if "(" in name]
    written = texts(draw(y).svg())
    assert written.count("w0") == 3
    assert not [text for text in written if "layers.0" in text]


def test_a_wrong_derivative_is_marked_with_the_right_one_and_no_gradient_is_missed() -> None:
    w, x = Value(2.0, "w"), Value(3.0, "x")
    z = (w * x).tanh()
    product = z.parents[0]
    picture = draw(z, grads=False, wrong={(product, "y"): (-2.0, 2.0)})
    assert "no backward yet" not in picture.source + picture.mermaid()
    minus = "\u2212"
    label = f'label="\u2202product/\u2202x = 2\\nused: {minus}2"'
    assert f'{label} color="#b0003a" fontcolor="#b0003a" penwidth=2' in picture.source
    assert picture.source.count("\u2202product") == 1
    z.backward()
    assert "grad" not in draw(z, grads=False, edges=True).mermaid()
    assert "+=" not in draw(z, grads=False, edges=True).source
    assert draw(z, edges=True).source.count("+=") == 3


def test_the_drawing_process_draws_with_its_fonts_and_those_of_the_system() -> None:
    from autograd.show import fonts

    text = draw(neuron()[0]).svg()
    files, _ = fonts.for_text(text)
    paths = [str(path) for path in files]
    assert drawing.png(text, paths, 1.0).startswith(b"\x89PNG")
    for system in (False, True):
        assert drawing.pdf(text, paths, system).startswith(b"%PDF")


def test_without_resvg_a_notebook_gets_the_svg_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "resvg_py" else find(name)
    )
    shown, sizes = draw(neuron()[0])._repr_mimebundle_()
    assert set(shown) == {"image/svg+xml"}
    assert sizes == {}


def test_closed_neurons_are_rather_in_order_than_upside_down() -> None:
    model = MLP([4, 8, 3], "tanh", seed=0)
    graph = draw(scce([model([1.0, 2.0, 3.0, 4.0])], [1], from_logits=True), limit=60)
    svg = graph.svg()
    tops = {
        box: float(re.findall(r'y="(-?[\d.]+)"', group)[0])
        for box, group in re.findall(r'<g id="(n\d+)" class="node">(.*?)</g>', svg, re.DOTALL)
    }
    neurons = re.findall(r'(n\d+) \[id=n\d+ label="neuron (\d+)', graph.source)
    assert [number for _, number in neurons] == [*"012", *"01234567"]
    for layer in (neurons[:3], neurons[3:]):
        heights = [tops[box] for box, _ in layer]
        down = sum(a < b for a, b in pairwise(heights))
        assert down > len(heights) / 2


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("sizes", [[3, 6, 4, 1], [2, 12, 3], [2, 4, 4, 1]])
def test_closed_neurons_of_a_layer_are_in_order(sizes: list[int], direction: str) -> None:
    out = MLP(sizes, "tanh", seed=0)([0.5] * sizes[0])
    root = sum(out, Value(0.0)) if isinstance(out, list) else out
    graph = draw(root, limit=50, direction=direction)
    at = {
        node: (float(x), float(y))
        for node, x, y in re.findall(
            r'<g id="(n\d+)" class="node">.*?<text [^>]*x="(\S+)" y="(\S+)"', graph.svg(), re.DOTALL
        )
    }
    frames = re.findall(r"label=\"layer (\d+)\"(.*?)\n\t}", graph.source, re.DOTALL)
    assert len(frames) == len(sizes) - 1
    for _, inside in frames:
        neurons = dict(re.findall(r'(n\d+) \[id=n\d+ label="neuron (\d+)\\n', inside))
        places = [
            at[node][direction == "LR"] for node in sorted(neurons, key=lambda n: int(neurons[n]))
        ]
        assert len(set(places)) == len(neurons)
        assert places == sorted(places)


def test_closed_scopes_that_lead_to_one_another_are_not_in_one_column() -> None:
    x = Value(0.5, "x")
    for k in range(3):
        with scope(f"step {k}"):
            for _ in range(4):
                x = x.sin()
    assert "rank=same" not in draw(x, limit=5).source
