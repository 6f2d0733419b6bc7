"""Expressions in Markdown, Sphinx and IPython: drawn, played, never executed, errors in a box."""

import base64
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from autograd import ExpressionError
from autograd.bridges import blocks, markdown, notebook
from autograd.bridges.blocks import Block

NEURON = "tanh(w*x + b)\nw=2 x=-1 b=0.5"
HOSTILE = [
    "__import__('os').system('touch owned')", "<script>alert(1)</script>", "x.__class__  x=1",
    "x  x=1<img>", "exp(x)  x='1'", "(lambda: 1)()", "open('owned')", "x  x=1 x=2", "", "  ",
    "x=1", "x  x=1.2.3", "a*b  a=1", "a  a=1 b=2", "9" * 30_000, "(" * 500,
]  # fmt: skip


def pictures(page: str) -> list[str]:
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    return [base64.b64decode(data).decode() for data in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (NEURON, "-0.9051"), ("x*x x=3", "9"), ("x*x\n\nx = 3,\n", "9"),
        ("h = a*b; h*h a=1e-1 b=20", "4"),
        ("x + y\nx=\N{MINUS SIGN}1\ny = 2", "1"), ("2 * 3", "6"),
        ("log(x) x=-1", "nan"), ("x  x=inf", "inf"),
        ("h = 2; h*x x=3", "6"), ("x x=.5", "0.5"),
    ],
)  # fmt: skip
def test_numbers_stand_at_the_end_of_a_block(text: str, value: str) -> None:
    assert f"{Block.read(text).root.data:.4g}" == value


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_that_is_no_block_becomes_a_box_and_nothing_is_executed(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for page in (markdown.backprop(text), markdown.gradients(text)):
        assert page.startswith(blocks.BOX)
        assert "<" not in page.removeprefix(blocks.BOX).removesuffix("</pre>")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_too_large_for_a_picture_becomes_a_box() -> None:
    assert "more than the limit" in markdown.gradients("x" + "+x" * 1000 + "  x=1")


def test_a_picture_is_named_by_labels_alone() -> None:
    (svg,) = pictures(markdown.gradients("a*b + a  a=2 b=3"))
    assert "root" not in svg
    assert "4" in svg  # the gradient in a


def test_fences_of_markdown_draw_and_play() -> None:
    package = pytest.importorskip("markdown")
    pytest.importorskip("pymdownx")
    fences = [
        {"name": name, "class": name, "format": getattr(markdown, name)}
        for name in ("backprop", "gradients")
    ]
    source = "# A\n\n```backprop\n{0}\n```\n\n```gradients\n{0}\n```\n\n```backprop\nw*\n```\n"
    page = package.markdown(
        source.format(NEURON),
        extensions=["pymdownx.superfences"],
        extension_configs={"pymdownx.superfences": {"custom_fences": fences}},
    )
    assert page.count("<iframe") == 1
    assert "0.1807" in pictures(page)[0]
    assert page.count("chainrule-error") == 1


def test_directives_of_sphinx_draw_and_play(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    from sphinx.application import Sphinx

    block = "\n\n   ".join(["{}::", *NEURON.split("\n")])
    page = "A\n=\n\n" + "\n\n".join(f".. {block}".format(n) for n in ("backprop", "gradients"))
    (tmp_path / "index.rst").write_text(f"{page}\n\n.. backprop::\n\n   w*\n")
    options = {"extensions": ["autograd.bridges.sphinx"]}

    def built(kind: str, suffix: str) -> str:
        folders = [str(tmp_path / name) for name in (kind, "trees")]
        app = Sphinx(
            str(tmp_path), None, *folders, kind, options, status=None, warning=sys.stderr,
            warningiserror=True,
        )  # fmt: skip
        app.build()
        return (tmp_path / kind / f"index.{suffix}").read_text()

    html, text = built("html", "html"), built("text", "txt")
    assert html.count("<iframe") == 1
    assert "0.1807" in pictures(html)[0]
    assert html.count('class="chainrule-error"') == 1
    assert "tanh(w*x + b)" in text
    assert "<iframe" not in text


def test_magics_of_ipython_draw_and_play() -> None:
    testing: Any = pytest.importorskip("IPython.testing.globalipapp")
    from IPython.core.error import UsageError
    from IPython.core.interactiveshell import InteractiveShell

    assert testing
    shell: Any = InteractiveShell.instance()
    try:
        shell.extension_manager.load_extension("autograd.bridges.notebook")
        player = shell.run_line_magic("step", "tanh(w*x + b) w=2 x=-1 b=0.5")
        assert "-0.9051" in str(player)
        graph = shell.run_cell_magic("chainrule", "b=0.5", "tanh(w*x + b)\nw=2 x=-1")
        assert "0.1807" in graph.source
        with pytest.raises(UsageError, match="has no value"):
            shell.run_line_magic("step", "tanh(w*x)")
    finally:
        InteractiveShell.clear_instance()


def test_a_magic_says_what_is_wrong() -> None:
    with pytest.raises(ExpressionError, match="given twice"):
        Block.read("x x=1 x=2")
    assert str(notebook.step("x*x x=3")).startswith("forward\n  x = 3")


def test_without_sphinx_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docutils", None)
    monkeypatch.delitem(sys.modules, "autograd.bridges.sphinx", raising=False)
    with pytest.raises(ModuleNotFoundError, match="pip install sphinx"):
        __import__("autograd.bridges.sphinx")
