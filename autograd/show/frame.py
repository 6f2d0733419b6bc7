"""The height of a page in a notebook's frame, as CSS that depends on the frame's width.

A frame that may run scripts but not reach its notebook cannot set its own height, so the height is
computed where the frame is made: that of the picture at this width, and of all below it.
"""

import re
from dataclasses import dataclass

_READABLE = 0.62  # of the size of a picture; it does not shrink further
HIGHEST = 900  # pixels of a picture; of a higher one, a part is shown
_WIDEST = 1200  # pixels of the page
_SIDES = 42  # pixels beside a picture
_EDGES = 18  # pixels above and below it
_BAR = 12  # a scroll bar
# Below a width, lines break and columns stand below each other: (pixels of width, more height).
_BREAKS = ((862, 196), (626, 24), (606, 48), (570, 20), (378, 24), (342, 60))
_FIXED = 824  # pixels of a wide page without its picture and its inputs
_AROUND = 218  # the neighbours of the present node
_INPUT, _MOST = 50, 308  # pixels of a field, and of all of them
_FIELDS, _SEARCH = 60, 56  # leaves with a field; of more, the user asks for a field by name


@dataclass(frozen=True)
class Contents:
    """What the height of a page depends on.

    Attributes:
        svg: the picture; "" if there is none.
        inputs: the number of leaves.
        around: whether the neighbours of the present node are shown.
    """

    svg: str
    inputs: int
    around: bool

    def picture(self, width: str) -> str:
        """The height of the picture in a frame whose width is a length of CSS."""
        size = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', self.svg)
        if size is None:
            return "0px"
        across, up = (float(side) * 96 / 72 for side in size.groups())
        least = _READABLE * across
        room = f"min({width}, {_WIDEST}px) - {_SIDES}px"
        shrunk = f"max({least:.0f}px, min({across:.0f}px, {room})) * {up / across:.4f}"
        bar = f"clamp(0px, ({least:.0f}px - ({room})) * 999, {_BAR}px)"
        return f"calc(min({HIGHEST}px, {shrunk}) + {_EDGES}px + {bar})"

    def height(self, width: str) -> str:
        """The height of the page in a frame whose width is a length of CSS."""
        inputs = min(self.inputs * _INPUT, _MOST)
        fixed = _FIXED + inputs + _AROUND * self.around + _SEARCH * (self.inputs > _FIELDS)
        steps = [f"clamp(0px, ({at}px - {width}) * 999, {more}px)" for at, more in _BREAKS]
        return f"calc({fixed}px + {self.picture(width)} + {' + '.join(steps)})"
