"""Sphinx: the guides, the notebooks as they were executed, and the reference from docstrings."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

import autograd

project = "chainrule"
author = "The chainrule authors"
release = version = autograd.__version__
for name in autograd.__all__:
    getattr(autograd, name)  # some are there from their first use on, and the reference lists them

extensions = ["autograd.bridges.sphinx", "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# The README is in no list, because the guides repeat it; `grad` is a function and an attribute.
suppress_warnings = ["toc.not_included", "ref.python"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/reference/*.md",
    "notebooks/*.ipynb",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
default_role = "py:obj"  # a name in backticks is a link where there is something of that name
napoleon_use_rtype = False
napoleon_use_param = False  # one entry may describe several arguments
napoleon_custom_sections = [("Attributes", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False}
python_use_unqualified_type_names = True

# In a docstring: an absolute value, and a table or text that is indented after a paragraph.
_BARS = re.compile(r"\|([^|`]+)\|")
_TABLE = re.compile(r"(?m)^([^\s:*.>-].*(?<!::))\n\n((?: {4}.*\n)(?:(?: {4}.*)?\n)*)")

html_theme = "furo"
html_title = "chainrule"
html_copy_source = False
html_show_copyright = False
templates_path = ["site/templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/places.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_static_path = ["site/static"]
html_css_files = ["docs.css"]
html_js_files = ["docs.js"]
html_math_renderer = "mathml"


def _mathml(node: nodes.Node, block: bool) -> str:
    text: str = convert(node.astext(), display="block" if block else "inline")
    return text


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def _as_rst(app: Any, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Change what is plain in a docstring, and has another meaning in reStructuredText.

    The bars of an absolute value, as in |z - y|, are escaped, and an indented table stays as it is.
    """
    text = "\n".join(
        line if line.lstrip().startswith((">>>", "...")) else _BARS.sub(r"\\|\1\\|", line)
        for line in lines
    )
    lines[:] = _TABLE.sub(r"\1\n\n::\n\n\2", text).split("\n")


def _with_levels(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Give the captions of the list of pages the level that a heading needs for screen readers."""
    for part in ("body", "furo_navigation_tree"):
        if part in context:
            context[part] = context[part].replace('role="heading"', 'role="heading" aria-level="2"')


_RUN_HERE = """
<p id="run-here"><button type="button">Run it here</button>
<span>Python runs in your browser; nothing leaves it. It takes a few seconds to start.</span></p>
<script type="module" src="../playground/notebook.js"></script>
"""


def _live(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Let the notebooks run where there is a playground, whose Python they use."""
    source = Path(app.srcdir, page).with_suffix(".ipynb")
    if not context.get("playground") or not source.exists():
        return
    if "import torch" not in source.read_text(encoding="utf-8"):  # no browser has PyTorch
        context["body"] = context["body"].replace("</h1>", f"</h1>{_RUN_HERE}", 1)


def setup(app: Any) -> None:
    """Add formulas as MathML, which every browser shows without a script."""
    app.connect("html-page-context", _with_levels, priority=900)  # after the theme
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("html-page-context", _live)
    app.connect("autodoc-process-docstring", _as_rst)
