"""The style of a picture of a graph: colours, font, title, legend and background."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

# People with any common kind of colour blindness can tell orange from blue (Okabe and Ito 2008).
POSITIVE, NEGATIVE = "#ee9a3a", "#56a3d8"
NEUTRAL, BAD = "#f4f4f2", "#f2b8c6"
INK, LINE = "#1b1b1b", "#7a7a76"
# The share of the colour in each tint, mixed with white so that black text is readable.
_SHARES = (0.14, 0.34, 0.62, 1.0)
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def tints(color: str) -> list[str]:
    """The colour and three lighter tints of it, the lightest first.

    >>> tints("#000000")
    ['#dbdbdb', '#a8a8a8', '#616161', '#000000']
    """
    parts = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return [
        "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)
        for share in _SHARES
    ]


@dataclass(frozen=True)
class Style:
    """The style of a picture; `draw` describes each attribute."""

    colors: Sequence[str] = (POSITIVE, NEGATIVE)
    font: str = "Courier"
    title: str = ""
    legend: bool = False
    background: str = "transparent"

    def __post_init__(self) -> None:
        colors = [self.colors] if isinstance(self.colors, str) else list(self.colors)
        if len(colors) != 2 or not all(_HEX.fullmatch(str(color)) for color in colors):
            raise ValueError(
                f"draw: colors must be two like '#ee9a3a', for gradients above and below 0, got "
                f"{self.colors!r}"
            )

    def color(self, grad: float, largest: float) -> str:
        """The colour of a gradient, by its sign and its size relative to the largest."""
        if not math.isfinite(grad):
            return BAD
        if grad == 0.0 or largest == 0.0:
            return NEUTRAL
        # Gradients span decades, so a step of the tint is a factor of ten.
        step = max(0, 3 - int(math.log10(largest / abs(grad)))) if abs(grad) < largest else 3
        return tints(self.colors[0 if grad > 0 else 1])[step]

    def _text(self) -> dict[str, str]:
        return {"fontname": self.font, "fontcolor": INK, "color": LINE}

    def nodes(self) -> dict[str, str]:
        """Graphviz's attributes of every box."""
        return self._text() | {
            "fontsize": "11", "shape": "box", "style": "rounded,filled", "margin": "0.14,0.08",
        }  # fmt: skip

    def edges(self) -> dict[str, str]:
        """Graphviz's attributes of every edge between nodes."""
        # By their weight, these are straightened before edges from plain numbers.
        return self._text() | {
            "fontsize": "9", "fontcolor": LINE, "arrowsize": "0.7", "weight": "8",
        }  # fmt: skip

    def key(self) -> str:
        """The legend as a cluster of Graphviz, '' if there is none."""
        if not self.legend:
            return ""
        square, plain = 'style="filled"', 'shape=plaintext style=""'
        entries = {
            "gradient above 0": f'fillcolor="{self.colors[0]}"',
            "below 0": f'fillcolor="{self.colors[1]}"',
            "a tenth of it": f'fillcolor="{tints(self.colors[1])[2]}"',
            "0": f'fillcolor="{NEUTRAL}"',
            "nan or inf": f'fillcolor="{BAD}"',
            "leaf": f'fillcolor="white" {square}',
            "plain number": f'fontcolor="{LINE}" {plain}',
        }
        small = 'fontsize=9 margin="0.08,0.04" height=0 width=0'
        lines = [
            f'\t\tlegend{i} [label="{text}" {look} {small}]\n'
            for i, (text, look) in enumerate(entries.items())
        ]
        chain = " -> ".join(f"legend{i}" for i in range(len(entries)))
        return (
            f'\tsubgraph cluster_legend {{\n\t\tlabel="" color="{LINE}" style=rounded margin=6\n'
            f"{''.join(lines)}\t\t{chain} [style=invis]\n\t}}\n"
        )
