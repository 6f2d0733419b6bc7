"""The player in a terminal: keys step through a list of events with the present one marked."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from autograd.atomic import context
from autograd.show.player import Player

HELP = "n/-> next   b/<- back   f first   l last   r run to where paths meet   q quit"
# The codes that terminals send for keys without a character; some have O instead of [.
_KEY = re.compile(r"\x1b[\[O][A-Z]|.", re.DOTALL)
_KEYS = {"C": "n", "B": "n", "D": "b", "A": "b", "H": "f", "F": "l"}


def screen(player: Player, width: int, height: int, colour: bool) -> list[str]:
    """The lines of the screen: events around the present one, the gradients so far, the keys.

    >>> from autograd import Value
    >>> from autograd.show.player import play
    >>> x = Value(2.0, "x")
    >>> for line in screen(play(x * x), 60, 9, colour=False):
    ...     print(line)
    event 1 of 5
    > x = 2
      v1 = x * x = 2 * 2 = 4
      dL/dv1 = 1
      dL/dx += dL/dv1 * x = 1 * 2 = 2
      dL/dx += dL/dv1 * x = 1 * 2 = 2, total 4
    gradients: none yet
    n/-> next   b/<- back   f first   l last   r run to where pa
    """

    def printable(text: str) -> str:
        return "".join(c if c.isprintable() else "?" for c in text)[:width]

    rows = max(3, height - 4)
    start = max(0, min(player.position - rows // 2, len(player) - rows))
    lines = [f"event {player.position + 1} of {len(player)}"]
    for i in range(start, min(start + rows, len(player))):
        present = i == player.position
        text = printable(f"{'>' if present else ' '} {player[i]}")
        lines.append(f"\x1b[7m{text}\x1b[0m" if present and colour else text)
    event = player.current
    grads = [f"{event.names[node]} {grad:.4g}" for node, grad in player.grads().items()]
    lines.append(printable("gradients: " + ("  ".join(reversed(grads)) or "none yet")))
    return [*lines, HELP[:width]]


def _moved(player: Player, key: str) -> bool:
    """Move the player as a key says; False if the key is to quit."""
    match _KEYS.get(key[-1], "") if len(key) > 1 else key:
        case "q" | "\x03" | "\x04":
            return False
        case "n" | " " | "\r" | "\n":
            player.next()
        case "b":
            player.back()
        case "f":
            player.jump(0)
        case "l":
            player.jump(-1)
        case "r":
            player.run(when=lambda event: event.arrived > 1)
    return True


@context
def _raw(stream: TextIO) -> Iterator[None]:
    """A context in which keys arrive one by one without echo; then the terminal is restored."""
    import termios
    import tty

    before: Any = termios.tcgetattr(stream)
    try:
        tty.setcbreak(stream)
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)


def _keys(stream: TextIO) -> Iterator[str]:
    """The keys as they are pressed; a key held down sends several at once."""
    while typed := os.read(stream.fileno(), 1024).decode(errors="replace"):
        yield from _KEY.findall(typed)


def show(player: Player) -> None:
    """Step through the events with keys; without a terminal, print all of them."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.name == "nt":
        print(player)
        return
    colour = not os.environ.get("NO_COLOR")

    def redraw() -> None:
        width, height = shutil.get_terminal_size()
        text = "\r\n".join(screen(player, width, height, colour))
        sys.stdout.write("\x1b[2J\x1b[H" + text)
        sys.stdout.flush()

    with _raw(sys.stdin):
        redraw()
        for key in _keys(sys.stdin):
            if not _moved(player, key):
                break
            redraw()
    print()
