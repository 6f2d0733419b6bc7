"""The player as a notebook widget, through anywidget: Python follows the page's steps."""

from importlib import resources
from typing import Any

from autograd.extras import remedy

try:
    import anywidget
    import traitlets
except ImportError:
    raise ImportError(
        f"a widget needs anywidget: {remedy('notebook', 'anywidget')}; without it a notebook "
        "shows the player itself, which can step, but Python does not follow"
    ) from None

from autograd.show.events import Event, Played
from autograd.show.page import framed


class PlayerWidget(anywidget.AnyWidget):
    """A player's page in a notebook; `step` is its position in the page and in Python.

    A step in the page sets `step` and moves the player; setting `step` moves both.  `observe` it
    like any widget's trait.  Raises traitlets.TraitError for a step out of range.

    >>> from autograd import Value, play
    >>> x = Value(2.0, "x")
    >>> widget = play(x * x).widget()
    >>> widget.step = 3
    >>> print(widget.player.current)
    dL/dx += dL/dv1 * x = 1 * 2 = 2
    """

    _esm = resources.files("autograd.show").joinpath("widget.js").read_text(encoding="utf-8")
    page = traitlets.Unicode().tag(sync=True)
    height = traitlets.Unicode().tag(sync=True)
    count = traitlets.Int().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    def __init__(self, player: Played, height: int | None = None) -> None:
        self.player = player
        text, high = framed(player, height=height)
        super().__init__(page=text, height=high, count=len(player), step=player.position)

    @property
    def event(self) -> Event:
        """The event at the present step."""
        return self.player.current

    @traitlets.validate("step")
    def _valid(self, proposal: Any) -> int:
        step: int = proposal["value"]
        if not 0 <= step < len(self.player):
            raise traitlets.TraitError(f"step: expected 0 to {len(self.player) - 1}, got {step}")
        return step

    @traitlets.observe("step")
    def _moved(self, change: Any) -> None:
        self.player.position = change["new"]
