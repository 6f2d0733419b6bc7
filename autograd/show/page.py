"""The player as a page: one file of HTML, SVG and JavaScript that needs no network.

The page contains the graph and the rows that it uses, printed as JavaScript from the op table, so
that it can compute every pass itself, also for other inputs.
"""

import ast
import base64
import functools
import html
import itertools
import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from autograd import rules
from autograd.operation import Operation
from autograd.order import topological
from autograd.printers.mathml import MATHML, mathml
from autograd.show.draw import LIMIT, Picture
from autograd.show.events import Played, plain_numbers
from autograd.show.formulas import formula
from autograd.show.frame import HIGHEST, Contents
from autograd.show.graph import Graph
from autograd.show.render import RenderError
from autograd.show.shown import Shown
from autograd.show.style import BAD, NEGATIVE, NEUTRAL, POSITIVE, tints
from autograd.value import Value, restorer, rows

MOST_BOXES = 1_000  # the browser paints all of them at every step, and more are unreadable
LARGEST = 200_000  # nodes; a page of more is tens of megabytes
READ = 80  # boxes that can be read at once; scopes of a larger graph are closed
OPENED = 40  # closed scopes; of more, none can be opened, because each needs a layout of its own
_MOST_LINES = 60  # of text where there is no picture


# The functions of libm that ECMAScript's Math has under the same names.
_MATH = {
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp",
    "expm1", "hypot", "log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh",
}  # fmt: skip


_SCRIPTS = ("page.js", "typeset.js", "quiz.js", "inputs.js", "controls.js")


def _script() -> str:
    folder = resources.files("autograd.show")
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)


@functools.cache
def _function(libm: str) -> str:
    """The name of a libm function in the page."""
    if libm in _MATH:
        return f"Math.{libm}"
    if libm == "fabs":
        return "Math.abs"
    if f"\nfunction {libm}(" in _script():
        return libm
    raise NotImplementedError(
        f"{libm}: JavaScript has no function of this name, so a page cannot compute it; "
        "add one to autograd/show/page.js"
    )


class _JavaScript(ast.NodeTransformer):
    """Prints a tree that calls only functions of libm."""

    def print(self, tree: ast.expr) -> str:
        match tree:
            case ast.Constant(value=number):
                return repr(number)
            case ast.Name(id=name):
                return {"inf": "Infinity", "nan": "NaN", "pi": "Math.PI"}.get(name, name)
            case ast.UnaryOp(op=sign, operand=operand):
                return f"({'-' if isinstance(sign, ast.USub) else '+'}{self.print(operand)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return f"Math.pow({self.print(left)}, {self.print(right)})"
            case ast.BinOp(left=left, op=sign, right=right):
                symbol = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(sign)]
                return f"({self.print(left)} {symbol} {self.print(right)})"
            case ast.IfExp(test=ast.Compare(left=left, ops=[order], comparators=[right])):
                symbol = "<" if isinstance(order, ast.Lt) else ">"
                test = f"{self.print(left)} {symbol} {self.print(right)}"
                return f"({test} ? {self.print(tree.body)} : {self.print(tree.orelse)})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                inside = ", ".join(map(self.print, arguments))
                return f"{_function(rows()[name].libm)}({inside})"
        raise AssertionError(ast.dump(tree))  # the language has nothing else


def javascript(op: Operation) -> str:
    """The row as a JavaScript object: z, dx and, for two operands, dy, as functions of x, y, z.

    >>> from autograd import rows
    >>> print(javascript(rows()["exp"]))
    {z: (x, y, z) => { return Math.exp(x); }, dx: (x, y, z) => { return z; }}
    """
    if op.functions:
        raise NotImplementedError(op.unknown_to("a page"))
    printer = _JavaScript()
    parts = []
    for name, tree in zip(("z", "dx", "dy"), (op.value_tree, *op.partial_trees), strict=False):
        lines = [
            f"const {shared} = {printer.print(rules.expand(part, rows()))};"
            for shared, part in rules.parts(op, tree).items()
        ]
        lines.append(f"return {printer.print(rules.expand(tree, rows()))};")
        parts.append(f"{name}: (x, y, z) => {{ {' '.join(lines)} }}")
    return "{" + ", ".join(parts) + "}"


def script_json(data: Any) -> str:
    """JSON that no HTML parser can mistake for the end of a script or a comment.

    >>> print(script_json("</script>"))
    "\\u003c/script\\u003e"
    """
    text = json.dumps(data, allow_nan=False)
    for c in "<>&\u2028\u2029":
        text = text.replace(c, f"\\u{ord(c):04x}")
    return text


def _number(x: float) -> float | str:
    """A number for JSON, as text if it is not finite; JavaScript's Number() reads both."""
    return x if math.isfinite(x) else "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"


@dataclass
class View:
    """A closed scope, opened: its picture, and each node's box in it."""

    svg: str
    boxes: dict[Value, str]


@dataclass
class Drawing:
    """The graph as SVG, each node's box in it, and its closed scopes."""

    svg: str = ""
    boxes: dict[Value, str] = field(default_factory=dict)
    views: list[View] = field(default_factory=list)


def drawing(player: Played, order: list[Value], *limits: int) -> Drawing:
    """The graph as it is drawn for the final gradients.

    The number of boxes is limited by the first limit, or by the next if that layout fails.  Without
    a renderer, or with too few scopes to close, the result is empty.
    """
    undo, position = restorer(order), player.position
    try:
        player.position = len(player) - 1
        final = player.grads()
        for node in order:
            node.grad = final.get(node, 0.0)
        for limit in limits:
            with suppress(RenderError, ValueError):
                names = dict(player[0].names)
                picture, graph = _drawn(player.shown, player.shown.order, names, limit)
                closed = [nodes for key, nodes in picture.boxes.items() if isinstance(key, str)]
                few = closed if len(closed) <= OPENED else []
                views = [_view(player.shown, nodes, names) for nodes in few]
                return Drawing(_inline(graph), graph.boxes, [v for v in views if v])
    finally:
        player.position = position
        undo()
    return Drawing()


def _drawn(
    shown: Shown, nodes: list[Value], names: dict[Value, str], limit: int
) -> tuple[Picture, Graph]:
    picture = Picture.of(shown, nodes, names, limit)
    return picture, picture.graph("LR")


def _inline(graph: Graph) -> str:
    """The graph as SVG without the header of a file."""
    text = graph.svg()
    return text[text.index("<svg") :]


def _view(shown: Shown, nodes: list[Value], names: dict[Value, str]) -> View | None:
    """The picture of a scope; None if it has too many nodes for one."""
    if len(nodes) > LIMIT:
        return None
    with suppress(RenderError):
        _, graph = _drawn(shown, nodes, names, LIMIT)
        return View(_inline(graph), graph.boxes)
    return None


def _same(x: float, y: float) -> bool:
    return (x == y and math.copysign(1.0, x) == math.copysign(1.0, y)) or (x != x and y != y)


def _nodes(order: list[Value], player: Played, drawing: Drawing) -> list[Any]:
    index = {node: i for i, node in enumerate(order)}
    names, parts = player[0].names, player.shown.parts
    nodes = []
    for node in order:
        record: dict[str, Any] = {"name": names.get(node, ""), "data": _number(node.data)}
        if node in parts:
            record["taught"] = player.shown.formula(node)
            record["typeset"] = MATHML.lines(node.formula)
            record["inner"] = [index[inside] for inside in parts[node].inner]
            record["operands"] = [index[operand] for operand in parts[node].operands]
        if node.op is not None:
            record["op"] = node.op.name
            for parent, slot, operand in ((node.a, "a", "x"), (node.b, "b", "y"))[: node.op.arity]:
                number = getattr(node, operand)
                if parent is not None:
                    record[slot] = index[parent]
                if parent is None or not _same(parent.data, number):
                    record[operand] = _number(number)
        if node in drawing.boxes:
            record["box"] = drawing.boxes[node]
        nodes.append(record)
    for number, view in enumerate(drawing.views):
        for node, box in view.boxes.items():
            nodes[index[node]] |= {"view": number, "viewed": box}
    return nodes


def _formulas(order: list[Value], nodes: list[Any]) -> list[Any]:
    """Every formula that the graph has, and in each node's record the number of its own.

    A formula is z, dz/dx and dz/dy, each as a text, with whether it needs no brackets as a factor,
    and as MathML.
    """
    numbers: dict[Any, int] = {}
    formulas: list[Any] = []
    for node, record in zip(order, nodes, strict=True):
        if node.op is None:
            continue
        key = (node.op, *plain_numbers(node))
        if key not in numbers:
            numbers[key] = len(formulas)
            texts = [formula(node.op, which, *key[1:]) for which in range(1 + node.op.arity)]
            formulas.append([[t.text, t.bare, mathml(t.text)] for t in texts])
        record["formula"] = numbers[key]
    return formulas


def _framed(
    player: Played, order: list[Value], picture: Drawing, height: int | None
) -> tuple[str, str]:
    shown = player.shown.order
    alone = len(set(picture.boxes.values())) == len(shown)
    contents = Contents(picture.svg, sum(node.is_leaf for node in shown), not alone)
    style = f'class="framed" style="--picture: {contents.picture("100vw")}"'
    text = _page(player, order, picture).replace("<html ", f"<html {style} ", 1)
    return text, f"{height}px" if height else contents.height("100%")


def _page(player: Played, order: list[Value], drawing: Drawing) -> str:
    # The nodes that are shown come first, so that the events of their values have their numbers.
    shown = player.shown.order
    hidden = set(order).difference(shown)
    computed, order = order, [*shown, *(node for node in order if node in hidden)]
    index = {node: i for i, node in enumerate(order)}
    names = player[0].names
    used = {node.op.name: node.op for node in order if node.op is not None}
    nodes = _nodes(order, player, drawing)
    formulas = _formulas(order, nodes)
    data = {
        "nodes": nodes,
        "root": index[player.root],
        "order": [index[node] for node in reversed(shown) if node.op is not None],
        "shown": len(shown),
        "computed": [index[node] for node in computed] if hidden else None,
        "formulas": formulas,
        "colours": {"plus": tints(POSITIVE), "minus": tints(NEGATIVE), "none": NEUTRAL, "bad": BAD},
    }
    table = ", ".join(f"{json.dumps(name)}: {javascript(op)}" for name, op in used.items())
    folder = resources.files("autograd.show")
    parts = {
        "TITLE": html.escape(f"backprop of {names[player.root]}"),
        "PICTURE": drawing.svg,
        "VIEWS": "".join(
            f'<template id="view{number}">{view.svg}</template>'
            for number, view in enumerate(drawing.views)
        ),
        "DATA": script_json(data),
        "ROWS": "{" + table + "}",
        "SCRIPT": _script(),
    }
    head, *pieces = (folder / "page.html").read_text(encoding="utf-8").split("@@")
    return head + "".join(parts[piece] if i % 2 == 0 else piece for i, piece in enumerate(pieces))


def _order(player: Played) -> list[Value]:
    order = topological(player.root)
    if len(order) > LARGEST:
        raise ValueError(
            f"a page shows at most {LARGEST:,} nodes, this graph has {len(order):,}; play a part "
            "of it, such as the loss of one sample or an inner node"
        )
    return order


def page(player: Played, limit: int = MOST_BOXES) -> str:
    """The text of the page: HTML, SVG and JavaScript in one.

    A graph of more boxes than the limit is collapsed by scope; if that is not enough, the page
    shows only the neighbours of the present node.  Raises ValueError for a graph of more than
    200,000 nodes.

    >>> from autograd.show.player import play
    >>> x = Value(2.0, "x")
    >>> page(play(x * x)).startswith("<!doctype html>")
    True
    """
    order = _order(player)
    return _page(player, order, drawing(player, order, READ, limit, LIMIT))


def framed(player: Played, *, limit: int = LIMIT, height: int | None = None) -> tuple[str, str]:
    """The page for a frame, and the height of the frame as CSS, in which 100% is its width."""
    order = _order(player)
    return _framed(player, order, drawing(player, order, READ, limit, LIMIT), height)


def frame(player: Played, height: int | None = None) -> str:
    """The page in an iframe for a notebook, over a still picture for viewers that strip iframes.

    The frame may only run scripts: it has no access to the notebook around it.

    >>> from autograd.show.player import play
    >>> x = Value(2.0, "x")
    >>> 'sandbox="allow-scripts"' in frame(play(x * x))
    True
    """
    order = _order(player)
    picture = drawing(player, order, READ, LIMIT)
    if picture.svg:
        source = base64.b64encode(picture.svg.encode()).decode()
        title = html.escape(f"gradients of {player[0].names[player.root]}")
        still = (
            f'<img src="data:image/svg+xml;base64,{source}" alt="{title}" '
            f'style="max-width:100%;max-height:{height or HIGHEST}px">'
        )
    else:
        lines = list(itertools.islice(player.lines(), _MOST_LINES))
        more = f"\n... {len(player):,} events in all" if len(player) > _MOST_LINES else ""
        text = html.escape(chr(10).join(lines))
        still = f'<pre style="max-height:600px;overflow:auto">{text}{more}</pre>'
    # The page has many double quotes, which need no escape inside single ones.
    text, high = _framed(player, order, picture, height)
    text = text.replace("&", "&amp;").replace("'", "&#x27;")
    # A padding in percent is a part of the width, which a height cannot be.  The still picture is
    # in the same cell of the grid, so it is seen where a viewer strips the frame and these styles.
    return (
        '<div style="position:relative;display:grid">'
        f'<div style="grid-area:1/1;min-width:0">{still}</div>'
        f'<div style="grid-area:1/1;padding-bottom:{high}"></div>'
        f'<iframe srcdoc=\'{text}\' sandbox="allow-scripts" title="backprop player" '
        'style="position:absolute;left:0;top:0;width:100%;height:100%;box-sizing:border-box;'
        'border:1px solid #8888;border-radius:6px"></iframe></div>'
    )
