"""Rows of texts as a table: aligned for a terminal, and as HTML for a notebook."""

import html
from collections.abc import Sequence

Cells = Sequence[Sequence[str]]  # the first row is the head


def aligned(cells: Cells) -> list[str]:
    """The rows as lines whose columns stand below each other.

    >>> print(*aligned([["name", "at"], ["w", "0.5"]]), sep="\\n")
    name  at
    w     0.5
    """
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def html_table(cells: Cells) -> str:
    """The rows as a table of HTML; nothing in a cell is read as a tag.

    >>> html_table([["name"], ["<w>"]])
    '<table><tr><th>name</th></tr><tr><td>&lt;w&gt;</td></tr></table>'
    """
    tags = ["th", *["td"] * (len(cells) - 1)]
    lines = [
        "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
        for tag, row in zip(tags, cells, strict=True)
    ]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
