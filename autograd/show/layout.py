"""Corrections to a layout by Graphviz: the first frame is on top, and no edge crosses a title.

In a picture from left to right, Graphviz puts the first frame at the bottom, and nothing in its
language changes that.  So the finished SVG is turned upside down, box by box, with upright text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

_GROUP = re.compile(r'<g id="[^"]*" class="(node|edge|cluster)">.*?</g>', re.DOTALL)
_NUMBER = re.compile(r"<title>cluster_(\d+)</title>")
_NODE = re.compile(r'<g id="n(\d+)" class="node">')
_SHAPE = re.compile(r'((?: d| points)=")([^"]*)"')
_POINT = re.compile(r"(-?[\d.]+),(-?[\d.]+)")
_TEXT = re.compile(
    r'(<text [^>]*? x=")(-?[\d.]+)(" y=")(-?[\d.]+)("[^>]*? font-size=")([\d.]+)[^>]*>([^<]*)'
)
_PAGE = re.compile(r'viewBox="\S+ \S+ \S+ ([\d.]+)"')
_ORIGIN = re.compile(r"translate\([\d.]+ ([\d.]+)\)")
_BASELINE = 0.3  # of the font size: from the middle of a line of text down to its baseline
_CHARACTER = 0.6  # of the font size: the width of a monospaced character
_GAP = 2.5  # points, between an edge and the text that is now below it
_INDENT = 6.0  # points, between the left side of a frame and its title
_POSITIONS = 32  # along the upper side of a frame; the title takes the first free one
_PIECES = 12  # straight lines that approximate a piece of a curve

Point = tuple[float, float]


@dataclass
class Box:
    """A rectangle."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def around(cls, points: list[Point]) -> "Box":
        """The smallest box with all points in it."""
        xs, ys = zip(*points, strict=True)
        return cls(min(xs), max(xs), min(ys), max(ys))

    def meets(self, start: Point, end: Point) -> bool:
        """Whether the box around a short line touches this box."""
        line = Box.around([start, end])
        apart = line.right < self.left or line.left > self.right
        return not (apart or line.bottom < self.top or line.top > self.bottom)


def laid_out(dot: str, layout: Callable[[str], str]) -> str:
    """The SVG of a picture from left to right: the first nodes are on top, no edge crosses a title.

    Args:
        dot: the source; its nodes are n0, n1, ... in order.
        layout: turns a source into SVG.
    """
    svg = layout(dot)
    if _order(svg) < 0:
        # The title of a frame is at its lower side, which will be the upper one.
        framed = dot.replace("labelloc=t", "labelloc=b")
        svg = _upside_down(svg if framed == dot else layout(framed))
    return _with_free_titles(svg)


def _order(svg: str) -> int:
    """How many frames have their successor below them, minus those that have it above.

    If the result for frames is 0, it is that for leaves, and if that is 0, that for other boxes,
    such as closed scopes.
    """
    frames: dict[int, Box] = {}
    leaves: dict[int, Box] = {}
    others: dict[int, Box] = {}
    for match in _GROUP.finditer(svg):
        if match[1] == "cluster" and (number := _NUMBER.search(match[0])):
            frames[int(number[1])] = Box.around(_outline(match[0]))
        elif (node := _NODE.search(match[0])) and (outline := _outline(match[0])):
            kind = leaves if "<polygon" in match[0] else others
            kind[int(node[1])] = Box.around(outline)
    return _below(frames) or _below(leaves) or _below(others)


def _below(boxes: Mapping[int, Box]) -> int:
    """How many boxes have the next one below them, minus those that have it above."""
    pairs = list(pairwise(boxes[number] for number in sorted(boxes)))
    return sum((a.bottom < b.top) - (b.bottom < a.top) for a, b in pairs)


def _points(text: str) -> list[Point]:
    """The points of an SVG path or polygon by Graphviz."""
    return [(float(x), float(y)) for x, y in _POINT.findall(text)]


def _outline(group: str) -> list[Point]:
    """The points of all shapes in a group."""
    return [point for _, shape in _SHAPE.findall(group) for point in _points(shape)]


def _upside_down(svg: str) -> str:
    """The SVG turned upside down, with upright text and nodes."""
    page, origin = _PAGE.search(svg), _ORIGIN.search(svg)
    assert page
    assert origin
    height = float(page[1]) - 2 * float(origin[1])
    pieces, end = [], 0
    for match in _GROUP.finditer(svg):
        pieces += [_moved(svg[end : match.start()], height), _turned(match[0], match[1], height)]
        end = match.end()
    return "".join([*pieces, _moved(svg[end:], height)])


def _moved(piece: str, height: float) -> str:
    """A piece of the SVG between groups, with its lines of text at their new height."""
    return _raised(piece, height - 2 * _text_middle(piece))


def _raised(piece: str, shift: float) -> str:
    """A piece of the SVG with its lines of text shifted down by so many points."""
    return _TEXT.sub(
        lambda match: "".join(
            [
                *match.group(1, 2, 3),
                f"{float(match[4]) + shift:.2f}",
                match[0][match.end(4) - match.start() :],
            ]
        ),
        piece,
    )


def _turned(group: str, kind: str, height: float) -> str:
    """A group at its new position: y becomes height - y, but nodes and texts stay upright."""
    middle = _text_middle(group)
    if kind == "node":
        outline = _outline(group)
        box = Box.around(outline) if outline else None
        middle = (box.top + box.bottom) / 2 if box else middle
    shift = height - 2 * middle

    def shape(match: re.Match[str]) -> str:
        ends = [(x, y + shift if kind == "node" else height - y) for x, y in _points(match[2])]
        moved = iter(f"{x:.2f},{y:.2f}" for x, y in ends)
        return f'{match[1]}{_POINT.sub(lambda _: next(moved), match[2])}"'

    # Graphviz leaves less room below the text of an edge than above it.
    return _raised(_SHAPE.sub(shape, group), shift + (_GAP if kind == "edge" else 0.0))


def _text_middle(group: str) -> float:
    """The height of the middle of a group's lines of text."""
    lines = [(float(match[4]), float(match[6])) for match in _TEXT.finditer(group)]
    if not lines:
        return 0.0
    (first, size), (last, _) = lines[0], lines[-1]
    return (first + last) / 2 - _BASELINE * size


def _edges(svg: str) -> list[list[Point]]:
    """Every edge as a chain of points along its curve."""
    chains = []
    for match in _GROUP.finditer(svg):
        if match[1] == "edge":
            start, *rest = _points(_SHAPE.search(match[0])[2])  # type: ignore[index]
            chain = [start]
            for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
                chain += [_bezier(chain[-1], a, b, c, k / _PIECES) for k in range(1, _PIECES)] + [c]
            chains.append(chain)
    return chains


def _bezier(p: Point, a: Point, b: Point, q: Point, t: float) -> Point:
    """The point at t, from 0 to 1, of a cubic curve."""
    s = 1 - t
    weights = (s**3, 3 * s * s * t, 3 * s * t * t, t**3)
    ends = (p, a, b, q)
    return (
        sum(w * point[0] for w, point in zip(weights, ends, strict=True)),
        sum(w * point[1] for w, point in zip(weights, ends, strict=True)),
    )


def _with_free_titles(svg: str) -> str:
    """The SVG with each frame's title where no edge crosses it, as far left as that allows."""
    lines = [line for chain in _edges(svg) for line in pairwise(chain)]

    def moved(match: re.Match[str]) -> str:
        title = _TEXT.search(match[0])
        if match[1] != "cluster" or title is None:
            return match[0]
        frame = Box.around(_outline(match[0]))
        size, y = float(title[6]), float(title[4])
        width = _CHARACTER * size * len(title[7])
        room = max(0.0, frame.right - frame.left - width - 2 * _INDENT)
        starts = [frame.left + _INDENT + room * k / _POSITIONS for k in range(_POSITIONS + 1)]
        boxes = [Box(x - 2, x + width + 2, y - size, y + 2) for x in starts]
        free = (box for box in boxes if not any(box.meets(*line) for line in lines))
        middle = next(free, boxes[0]).left + 2 + width / 2
        start, end = title.span(2)
        return f"{match[0][:start]}{middle:.2f}{match[0][end:]}"

    return _GROUP.sub(moved, svg)
