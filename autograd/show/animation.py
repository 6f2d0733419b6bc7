"""Frames of a pass: a picture of each event, and all of them as an animated GIF."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from autograd import files
from autograd.extras import remedy
from autograd.notes import UNTOUCHED
from autograd.order import topological
from autograd.show.draw import Picture
from autograd.show.graph import Graph
from autograd.show.player import Player
from autograd.show.render import RenderError
from autograd.value import restorer

PIXELS = 1_000_000_000  # of all frames together, which are in memory until the file is written

_MARK = "#8a2be2"  # the outline of what happens: dashed where it hands on, solid where it receives


def frame(player: Player, i: int) -> Graph:
    """The graph after the i-th event: the gradients so far, node and target outlined.

    All frames of a player have the same layout, with room for the final numbers.

    >>> from autograd import Value
    >>> from autograd.show.player import play
    >>> x = Value(2.0, "x")
    >>> graph = frame(play(x * x), -1)
    >>> "grad 4" in graph.source, "penwidth=3" in graph.source
    (True, True)
    """
    order = topological(player.root)
    undo, position = restorer(order), player.position
    try:
        event = player.jump(i)
        grads = player.grads()
        for node in order:
            node.grad = grads.get(node, UNTOUCHED)
        graph = Picture.of(player.shown, player.shown.order, dict(event.names)).graph("LR")
    finally:
        player.position = position
        undo()
    marks = {event.node: "rounded,filled"}
    if event.target is not None:
        marks = {event.node: "rounded,filled,dashed", event.target: "rounded,filled"}
    for node, style in marks.items():
        style = style.removeprefix("rounded,") if node.is_leaf else style
        outline = f'penwidth=3 color="{_MARK}" style="{style}"'
        graph.body.append(f"\t{graph.boxes[node]} [{outline}]\n")
    graph.graph_attr.update(label=str(event), labelloc="t", fontname="Courier", fontsize="12")
    # Boxes are as wide as their longest possible text: '-1.234e-05' after 'value '.
    graph.body.insert(0, "\tnode [width=1.9]\n")
    return graph


def animation(
    player: Player,
    path: str | os.PathLike[str],
    events: Iterable[int] | None = None,
    seconds: float = 1.0,
) -> str:
    """Write the frames to an animated GIF, whole or not at all, and return its path.

    Args:
        events: the indices of the events; all if left out.
        seconds: the time that each is shown; the last is shown three times as long.

    Raises ImportError without Pillow (`pip install 'chainrule[plot]'` installs it), RenderError
    without a renderer, ValueError for no events or an extension other than .gif.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"a GIF needs Pillow: {remedy('plot', 'pillow')}") from None
    path = Path(path)
    indices = list(range(len(player)) if events is None else events)
    if path.suffix.lower() != ".gif" or not indices or not seconds > 0.0:
        raise ValueError(
            f"animation: expected a .gif, one event or more, and seconds above 0, got "
            f"{path.name!r}, {len(indices)} events and {seconds!r}"
        )
    pictures = []
    for i in indices:
        try:
            data = frame(player, i).png(1.5, PIXELS / len(indices))
        except RenderError as error:
            advice = f"or choose fewer than {len(indices):,} events, so that each has more pixels"
            raise RenderError(f"{error}; {advice}") from None
        pictures.append(Image.open(io.BytesIO(data)).convert("RGB").quantize(64))
    size = max(p.width for p in pictures), max(p.height for p in pictures)
    pages = []
    for picture in pictures:
        sheet = Image.new("RGB", size, "white")
        sheet.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
        pages.append(sheet.quantize(64))
    buffer = io.BytesIO()
    times = [round(1000 * seconds)] * (len(pages) - 1) + [round(3000 * seconds)]
    pages[0].save(
        buffer, "GIF", save_all=True, append_images=pages[1:], duration=times, loop=0, optimize=True
    )
    files.write(path, buffer.getvalue())
    return str(path)
