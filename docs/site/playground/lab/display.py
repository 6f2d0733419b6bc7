"""What the notebooks use of IPython.display, for a Python that has no IPython."""

import importlib.util
import sys
from types import ModuleType


class Math:
    """A formula in LaTeX, shown as MathML."""

    def __init__(self, data: str) -> None:
        self.data = data

    def _repr_html_(self) -> str:
        from latex2mathml.converter import convert

        text: str = convert(self.data, display="block")
        return text


class Markdown:
    """A text in Markdown, tables included."""

    def __init__(self, data: str) -> None:
        self.data = data

    def _repr_html_(self) -> str:
        from markdown_it import MarkdownIt

        text: str = MarkdownIt("commonmark").enable("table").render(self.data)
        return text


def provide() -> None:
    """Let cells import IPython.display where there is no IPython."""
    if importlib.util.find_spec("IPython") is not None:
        return
    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    for shown in (Math, Markdown):
        setattr(module, shown.__name__, shown)
    package.display = module  # type: ignore[attr-defined]
    sys.modules |= {"IPython": package, "IPython.display": module}
