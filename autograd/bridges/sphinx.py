"""Directives for Sphinx that draw or play an expression.

In `conf.py`: `extensions = ["autograd.bridges.sphinx"]`, and in a page:

    .. backprop::

       tanh(w*x + b)
       w=2 x=-1 b=0.5

`gradients` instead of `backprop` draws a picture.  Formats other than HTML show the text.
"""

from typing import Any, ClassVar

try:
    from docutils import nodes
    from docutils.parsers.rst import Directive
    from sphinx.addnodes import only
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "autograd.bridges.sphinx needs Sphinx: pip install sphinx", name=error.name
    ) from error

from autograd import __version__
from autograd.bridges.blocks import drawn, played


class _Block(Directive):  # type: ignore[misc]  # Sphinx's types are not read
    has_content = True
    written: ClassVar[Any]  # from a text to HTML

    def run(self) -> list[Any]:
        """The nodes of the block: HTML, or else its text."""
        text = "\n".join(self.content)
        shown = nodes.raw("", type(self).written(text), format="html")
        elsewhere = only("", nodes.literal_block(text, text), expr="not html")
        return [shown, elsewhere]


class Backprop(_Block):
    """A backward pass to step through."""

    written = staticmethod(played)


class Gradients(_Block):
    """A picture with gradients."""

    written = staticmethod(drawn)


def setup(app: Any) -> dict[str, Any]:
    """Add the directives to Sphinx, which calls this."""
    app.add_directive("backprop", Backprop)
    app.add_directive("gradients", Gradients)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
