"""The player as a page: one file of HTML, SVG and JavaScript that needs no network.

The page holds the graph and the rows it uses, printed as JavaScript from the op table, so that it
can compute every pass itself, also for other inputs.
"""

import ast
import html
import json
import math
from importlib import resources
from typing import Any

from autograd import rules
from autograd.draw import BAD, LIMIT, NEGATIVE, NEUTRAL, POSITIVE, Picture
from autograd.ops import Operation
from autograd.player import Player
from autograd.render import RenderError
from autograd.value import Value, restorer, rows, topological, visited

LARGEST = 20_000  # nodes; a page of more is slow to load, and nobody steps through it


class _JavaScript(ast.NodeTransformer):
    """Prints a tree that calls only libm's functions."""

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
                libm = rows()[name].libm
                own = {"fabs": "Math.abs", "erf": "erf", "erfc": "erfc"}
                inside = ", ".join(map(self.print, arguments))
                return f"{own.get(libm, f'Math.{libm}')}({inside})"
        raise AssertionError(ast.dump(tree))  # the language has nothing else


def javascript(op: Operation) -> str:
    """The row as a JavaScript object: z, dx and, of two operands, dy, as functions of x, y, z.

    >>> from autograd import rows
    >>> print(javascript(rows()["exp"]))
    {z: (x, y, z) => { return Math.exp(x); }, dx: (x, y, z) => { return z; }}
    """
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
    """A number as JSON can hold it; JavaScript's Number() reads both."""
    return x if math.isfinite(x) else "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"


def _picture(player: Player, order: list[Value]) -> tuple[str, dict[Value, str]]:
    """The graph as SVG, laid out for the final gradients, and each node's box; or nothing."""
    undo = restorer(order)
    place, player.position = player.position, len(player) - 1
    try:
        final = player.grads()
        for node in order:
            node.grad = final.get(node, 0.0)
        picture = Picture(order, set(order), ".4g", True, False, True, LIMIT)
        picture.name = dict(player[0].names)
        graph = picture.graph("LR")
        text = graph.svg()
    except (RenderError, ValueError):  # without a renderer, or too large: the list is enough
        return "", {}
    finally:
        player.position = place
        undo()
    return text[text.index("<svg") :], graph.boxes


def page(player: Player) -> str:
    """The text of the page.  Raises ValueError for a graph of more than 20,000 nodes."""
    order = topological(player.root)
    if len(order) > LARGEST:
        raise ValueError(
            f"a page can hold {LARGEST:,} nodes, this graph has {len(order):,}; play a part of it"
        )
    index = {node: i for i, node in enumerate(order)}
    svg, boxes = _picture(player, order)
    names = player[0].names
    nodes = []
    for node in order:
        about: dict[str, Any] = {"name": names[node], "data": _number(node.data)}
        if node.op is not None:
            about |= {"op": node.op.name, "a": index.get(node.a), "b": index.get(node.b)}  # type: ignore[arg-type]
            about["x"] = _number(node.x)
            if node.op.arity == 2:
                about["y"] = _number(node.y)
        if node in boxes:
            about["box"] = boxes[node]
        nodes.append(about)
    used = {node.op.name: node.op for node in order if node.op is not None}
    data = {
        "nodes": nodes,
        "root": index[player.root],
        "order": [index[node] for node in reversed(visited(player.root)[0])],
        "texts": {name: list(op.textbook) for name, op in used.items()},
        "colours": {"plus": POSITIVE, "minus": NEGATIVE, "none": NEUTRAL, "bad": BAD},
    }
    table = ", ".join(f"{json.dumps(name)}: {javascript(op)}" for name, op in used.items())
    here = resources.files("autograd")
    filled = (here / "page.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": html.escape(f"backprop of {names[player.root]}"),
        "PICTURE": svg,
        "DATA": script_json(data),
        "ROWS": "{" + table + "}",
        "SCRIPT": (here / "page.js").read_text(encoding="utf-8"),
    }
    made = filled
    head, *pieces = made.split("@@")
    return head + "".join(parts[piece] if i % 2 == 0 else piece for i, piece in enumerate(pieces))


def frame(player: Player, height: int = 620) -> str:
    """The page in an iframe for a notebook, with a still picture for places that strip scripts."""
    text = html.escape(page(player), quote=True)
    still = _picture(player, topological(player.root))[0]
    picture = f"<details><summary>still picture</summary>{still}</details>" if still else ""
    style = f"width:100%;height:{height}px;border:1px solid #8888;border-radius:6px"
    return f'<iframe srcdoc="{text}" style="{style}" title="backprop player"></iframe>{picture}'
