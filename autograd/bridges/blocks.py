"""A block of text in a document, an expression with numbers for its names, as a picture or a page.

    tanh(w*x + b)
    w=2 x=-1 b=0.5

The expression is read by the engine's own grammar (`autograd.expressions`); nothing is executed.
"""

import base64
import html
import re
import warnings
from dataclasses import dataclass

from autograd.blame import NonFiniteWarning
from autograd.expressions import expression, numbers
from autograd.show.draw import draw
from autograd.show.graph import Graph
from autograd.show.page import frame
from autograd.show.player import Player, play
from autograd.show.render import RenderError
from autograd.value import Value

_GIVEN = r"[^\W\d]\w*\s*=\s*[-+\N{MINUS SIGN}]?(?:\d[\d.]*(?:[eE][-+]?\d+)?|\.\d+|inf|nan)"
BOX = (
    '<pre class="chainrule-error" style="border:2px solid #c44;padding:0.5em;white-space:pre-wrap">'
)
# Numbers at the end of the text, after a space, a comma or a new line.
_NUMBERS = re.compile(rf"(?:(?:^|[\s,]+){_GIVEN})*[\s,]*$")


@dataclass
class Block:
    """An expression at some numbers, from the text of a block.

    Attributes:
        text: the expression.
        root: its Value, with gradients.
    """

    text: str
    root: Value

    @classmethod
    def read(cls, text: str) -> "Block":
        """The block with this text; ExpressionError, which says why, if it is none.

        >>> Block.read("h = w*x; h*h  w=2 x=0.5").root.data
        1.0
        """
        match = _NUMBERS.search(text.strip())
        assert match  # of nothing at all, at least
        formula = text.strip()[: match.start()].strip()
        given = (text.partition("=") for text in re.findall(_GIVEN, match[0]))
        values = numbers((name.strip(), number.strip()) for name, _, number in given)
        block = cls(formula, expression(formula, values))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonFiniteWarning)  # the picture shows inf and nan
            block.root.backward()
        return block

    def player(self) -> Player:
        """The block as a backward pass to step through."""
        return play(self.root, {})

    def picture(self) -> Graph:
        """The block as a picture with gradients."""
        return draw(self.root, edges=True)


def played(text: str) -> str:
    """The HTML of a backward pass to step through; for a text that is no block, an error box.

    >>> print(played("tanh(w*x  w=2").removeprefix(BOX))
    x has no value; give one, as in x=1.0
      tanh(w*x
             ^</pre>
    """
    try:
        return frame(Block.read(text).player())
    except (ValueError, RenderError) as error:
        return _box(error)


def drawn(text: str) -> str:
    """The HTML of a picture with gradients; for a text that is no block, an error box."""
    try:
        block = Block.read(text)
        # As an image, nothing in the picture can reach the page around it.
        data = base64.b64encode(block.picture().svg().encode()).decode()
    except (ValueError, RenderError) as error:
        return _box(error)
    alt = html.escape(block.text)
    return (
        f'<img class="chainrule" style="max-width:100%" alt="{alt}" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


def _box(error: Exception) -> str:
    return f"{BOX}{html.escape(str(error))}</pre>"
