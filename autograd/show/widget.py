"""The player as a notebook widget, through anywidget: the page steps and Python follows."""

from importlib import resources
from typing import Any

try:
    import anywidget
    import traitlets
except ImportError:
    raise ImportError(
        "a widget needs anywidget: pip install 'chainrule[notebook]'; without it a notebook shows "
        "the player itself, which steps but does not tell Python"
    ) from None

from autograd.show.draw import LIMIT
from autograd.show.page import page
from autograd.show.player import Event, Player


class PlayerWidget(anywidget.AnyWidget):
    """A player's page in a notebook, whose place is `step`, in the page and in Python alike.

    Stepping in the page sets `step` and moves the player; setting `step` moves both.  `observe`
    it as any widget's trait.  Raises traitlets.TraitError for a step that there is none of.

    >>> from autograd import Value, play
    >>> x = Value(2.0, "x")
    >>> widget = play(x * x).widget()
    >>> widget.step = 3
    >>> print(widget.player.current)
    dL/dx += dL/dv1 * x = 1 * 2 = 2
    """

    _esm = resources.files("autograd.show").joinpath("widget.js").read_text(encoding="utf-8")
    page = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(620).tag(sync=True)
    count = traitlets.Int().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    def __init__(self, player: Player, height: int = 620) -> None:
        self.player = player
        super().__init__(
            page=page(player, LIMIT), height=height, count=len(player), step=player.position
        )

    @property
    def event(self) -> Event:
        """The event at the present step."""
        return self.player.current

    @traitlets.validate("step")
    def _valid(self, proposal: Any) -> int:
        step: int = proposal["value"]
        if not 0 <= step < len(self.player):
            raise traitlets.TraitError(
                f"step: there are {len(self.player)} events, from 0 on, got {step}"
            )
        return step

    @traitlets.observe("step")
    def _moved(self, change: Any) -> None:
        self.player.position = change["new"]
