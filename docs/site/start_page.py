"""The start page: one sentence, a player that needs no Python, how to install, the questions."""

from pathlib import Path

from autograd import expression, play

HERE = Path(__file__).resolve().parent
SHOWN = "h = tanh(w*x + b); L = (h - y)**2"
AT = {"w": 2.0, "x": -1.0, "b": 0.5, "y": 1.0}
_OPTIONAL = "<!-- playground -->"


def write(site: Path, playground: bool) -> None:
    """Write the start page and its player into the folder.

    Lines that end with a mark are left out where there is no playground.
    """
    site.mkdir(parents=True, exist_ok=True)
    lines = (HERE / "start.html").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line.replace(_OPTIONAL, "") for line in lines if playground or _OPTIONAL not in line]
    (site / "index.html").write_text("".join(kept), encoding="utf-8")
    (site / "player.html").write_text(play(expression(SHOWN, AT), {}).html(), encoding="utf-8")
