"""The start page: one sentence, a player that needs no Python, how to install, the questions."""

import html
import re
from pathlib import Path

from autograd import expression, play
from autograd.show.page import framed

HERE = Path(__file__).resolve().parent
README = HERE.parent.parent / "README.md"
SHOWN = "h = tanh(w*x + b); L = (h - y)**2"
AT = {"w": 2.0, "x": -1.0, "b": 0.5, "y": 1.0}
_OPTIONAL, _QUESTIONS, _HEIGHT = "<!-- playground -->", "<!-- questions -->", "<!-- height -->"
_SECTION = re.compile(r"## ([^\n]* questions[^\n]*)\n\n(.*?)\n\n(.*?)\n\n", re.DOTALL)
_QUESTION = re.compile(r"\d+\. \[(.*?)\]\(notebooks/(\w+)\.ipynb\) (.*?)(?=\n\d|\Z)", re.DOTALL)


def questions() -> str:
    """The README's list of questions as HTML, each with a link to its notebook."""
    section = _SECTION.search(README.read_text(encoding="utf-8"))
    assert section
    title, text, listed = section.groups()
    items = [
        f'<li><a href="notebooks/{name}.html">{html.escape(question)}</a><br>'
        f"{html.escape(' '.join(what.split()))}</li>\n"
        for question, name, what in _QUESTION.findall(listed)
    ]
    lines = "".join(items)
    return (
        f'<h2>{title}</h2>\n<p>{" ".join(text.split())}</p>\n<ol class="questions">\n{lines}</ol>'
    )


def write(site: Path, playground: bool) -> None:
    """Write the start page and its player into the folder.

    Lines that end with a mark are left out where there is no playground.
    """
    site.mkdir(parents=True, exist_ok=True)
    lines = (HERE / "start.html").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line.replace(_OPTIONAL, "") for line in lines if playground or _OPTIONAL not in line]
    page, height = framed(play(expression(SHOWN, AT), {}))
    text = "".join(kept).replace(_QUESTIONS, questions()).replace(_HEIGHT, height)
    (site / "index.html").write_text(text, encoding="utf-8")
    (site / "player.html").write_text(page, encoding="utf-8")
