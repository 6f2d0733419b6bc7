"""The gradient graph as a picture: DOT, SVG, PNG, PDF and Mermaid, grouped by scope."""

import math
import re
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from autograd.elsewhere import advised
from autograd.notes import UNTOUCHED
from autograd.operation import Operation
from autograd.options import whole
from autograd.order import unfold
from autograd.printers.notation import indexed
from autograd.show.graph import Graph
from autograd.show.names import names, variables
from autograd.show.shown import Shown
from autograd.show.style import LINE, NEGATIVE, NEUTRAL, POSITIVE, Style
from autograd.textbook import natural
from autograd.value import Value

_GREY = f'fontcolor="{LINE}"'
RED = "#b0003a"  # of a wrong edge
Wrong = dict[tuple[Value, str], tuple[float, float]]
_SPACE = {"nodesep": "0.25", "ranksep": "0.45"}

MINUS = "\u2212"  # as wide as a plus
WIDEST, MOST_LINES = 48, 12  # characters in a line of a box, and lines of a name
_FILLER = "\ufdd0"  # a code point that is no character
_MOST_NAMES = 6  # of operands in the box of a formula
LIMIT = 300  # boxes; a larger picture is unreadable, and one of thousands cannot be laid out


def quote(text: str) -> str:
    """A DOT string that shows exactly `text`; control characters become U+FFFD.

    >>> print(quote("a & b"))
    "a &amp; b"
    """
    escaped = "".join(
        c
        if c == "\n" or (c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c != "\x7f")
        else "\ufffd"
        for c in text
    )
    # Many lines, some of them empty, make Graphviz in WebAssembly run out of stack.
    escaped = re.sub(r"^(?=\n)|(?<=\n)(?=\n)", " ", escaped)
    escaped = escaped.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n") + '"'


def _wrapped(line: str) -> list[str]:
    """The line in pieces that fit a box; no character is changed or lost."""
    # East Asian characters are two columns wide, so a filler follows each of them.
    wide = "".join(c + _FILLER * (unicodedata.east_asian_width(c) in "WF") for c in line)
    if len(wide) <= WIDEST:
        return [line]
    pieces = textwrap.wrap(
        wide, WIDEST, expand_tabs=False, replace_whitespace=False, drop_whitespace=False
    )
    return [piece.replace(_FILLER, "") for piece in pieces]


def wrapped(text: str) -> str:
    """The text in lines that fit a box, cut after MOST_LINES of them.

    >>> [len(line) for line in wrapped("w" * 100).splitlines()]
    [48, 48, 4]
    """
    lines = [piece for line in text.split("\n") for piece in _wrapped(line)]
    return "\n".join(lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "\u2026"])


def _mermaid_quote(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace('"', "&quot;")
    escaped = escaped.replace("<", "&lt;").replace(">", "&gt;").replace("#", "&#35;")
    return '"' + escaped.replace("\n", "<br>") + '"'


def symbol(op: Operation) -> str:
    """An operation's text in a box: the formula of an operator, else the operation as a call.

    >>> from autograd import rows
    >>> symbol(rows()["add"]), symbol(rows()["tanh"])
    ('x + y', 'tanh(x)')
    """
    text = op.textbook[0]
    short = len(text) <= 6 and "(" not in text
    return text if short else f"{op.name}({'x' if op.arity == 1 else 'x, y'})"


def _leading_to(shown: Shown, target: Value) -> set[Value]:
    """The nodes on a path from the target to the root."""
    path = {target}
    for node in shown.order:
        if any(parent in path for parent, _ in shown.operands(node)):
            path.add(node)
    return path


@advised
def draw(
    root: Value,
    *,
    direction: str = "LR",
    number_format: str = ".4g",
    to: Value | None = None,
    constants: bool = True,
    edges: bool = False,
    group: bool = True,
    limit: int = LIMIT,
    colors: Sequence[str] = (POSITIVE, NEGATIVE),
    font: str = "Courier",
    title: str = "",
    legend: bool = False,
    background: str = "transparent",
    grads: bool = True,
    wrong: Wrong | None = None,
    detail: str = "computed",
) -> Graph:
    """The graph that `root` was computed from, as a Graph that shows itself in a notebook.

    Each box shows a node's name, operation, value and gradient; its colour is the gradient's sign
    (orange positive, blue negative) and size (a tint for each factor of ten below the largest).

    Args:
        root: the result, usually a loss.
        direction: 'LR' (left to right), 'TB', 'RL' or 'BT'.
        number_format: the format of numbers, as for `format`.
        to: draw only the paths from this node to the root.
        constants: whether plain numbers get boxes; otherwise they are written in the operation's.
        edges: whether edges show the local derivative and the gradient that flowed along them.
        group: whether scopes get frames; above the limit each scope becomes one box.
        limit: the maximum number of boxes.
        colors: two colours like '#ee9a3a', for gradients above and below 0.
        font: the font of the text.
        title: text above the picture.
        legend: whether to explain the colours and the kinds of boxes.
        background: a colour, or "transparent"; a PNG of a transparent picture is white.
        grads: whether boxes show gradients, and edges the gradient that flowed along them.
        wrong: (used, right) of local derivatives, by node and operand ('x' or 'y'); such an edge
            shows both, in red.
        detail: "computed" for every operation, or "textbook" for one box in place of the operations
            behind a node's `formula`, as those of softmax and the losses; its edges show the
            derivative through all of them.

    Raises ValueError if there are more boxes than the limit even with collapsed scopes, for an
    unknown direction or colours, and if `to` is not in the graph.

    >>> w, x = Value(2.0, "w"), Value(3.0, "x")
    >>> graph = draw(w * x)
    >>> print(graph.mermaid())
    flowchart LR
      n0["w<br>value 2<br>no backward yet"]
      n1["x<br>value 3<br>no backward yet"]
      n2["v1 = w * x<br>value 6<br>no backward yet"]
      n0 --> n2
      n1 --> n2
    """
    if direction not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"draw: direction must be LR, TB, RL or BT, got {direction!r}")
    if not isinstance(root, Value):
        raise TypeError(f"draw: expected a Value, got {type(root).__name__}")
    unfold(root)
    shown = Shown(root, detail)
    scope = variables(sys._getframe(2)) if len(shown.order) <= 10_000 else {}
    visible = set(shown.order)
    if to is not None:
        if to not in visible:
            inside = " and the textbook shows, such as an operand of a formula" * bool(shown.parts)
            raise ValueError(f"draw: `to` must be a node that the root was computed from{inside}")
        visible = _leading_to(shown, to)
    most = whole(limit, "draw: limit")
    picture = Picture(shown, visible, number_format, constants, edges, group, most)
    picture.style = Style(colors, font, title, legend, background)
    picture.grads, picture.wrong = grads, wrong or {}
    picture.name = names(shown.order, scope) if len(picture.boxes) <= limit else {}
    return picture.graph(direction)


class Picture:
    """Boxes and edges: a box is one node, or all nodes of a collapsed scope."""

    def __init__(
        self,
        shown: Shown,
        visible: set[Value],
        number_format: str,
        constants: bool,
        edges: bool,
        group: bool,
        limit: int,
    ) -> None:
        self.shown, self.visible, self.format = shown, visible, number_format
        self.order = order = [node for node in shown.order if node in visible]
        self.constants, self.edges, self.group = constants, edges, group
        self.name: dict[Value, str] = {}
        self.style = Style()
        self.grads, self.wrong = True, Wrong()
        depth = max((node.scope.count("/") + 1 for node in order if node.scope), default=0)
        self.depth = depth + 1  # scopes at this depth are collapsed
        self.boxes = self._boxes()
        while len(self.boxes) > limit and self.depth > 1:
            self.depth -= 1
            self.boxes = self._boxes()
        if len(self.boxes) > limit:
            raise ValueError(
                f"draw: {len(self.boxes):,} boxes are more than the limit of {limit}; draw only "
                "the paths from one parameter (to=w), compute parts inside `with scope(name):` so "
                "that they can be collapsed, or raise limit="
            )
        grads = [abs(n.grad) for n in order if math.isfinite(n.grad)]
        self.largest = max(grads, default=0.0)

    @classmethod
    def of(
        cls, shown: Shown, nodes: Iterable[Value], name: dict[Value, str], limit: int = LIMIT
    ) -> "Picture":
        """A picture of the nodes, as the player shows them."""
        picture = cls(shown, set(nodes), ".4g", True, False, True, limit)
        picture.name = name
        return picture

    def _home(self, node: Value) -> str:
        """The collapsed scope of a node; '' if the node has its own box."""
        parts = node.scope.split("/") if node.scope else []
        return "/".join(parts[: self.depth]) if len(parts) >= self.depth else ""

    def _boxes(self) -> dict[Any, list[Value]]:
        boxes: dict[Any, list[Value]] = {}
        for node in self.order:
            boxes.setdefault(self._home(node) or node, []).append(node)
        return boxes

    def number(self, value: float) -> str:
        """A number's text in a box, with a minus sign as wide as a plus."""
        return format(value, self.format).replace("-", MINUS) if value == value else "nan"

    def _formula(self, node: Value) -> str:
        assert node.op is not None
        texts = []
        for parent, operand in ((node.a, "x"), (node.b, "y")):
            if parent is not None:
                texts.append(self._called(parent, node))
            elif operand == "x" or node.op.arity == 2:
                texts.append(self.number(getattr(node, operand)))
        form = symbol(node.op)
        if "(" in form:
            return f"{node.op.name}({', '.join(texts)})"
        form = form.replace("-", MINUS)
        return "".join({"x": texts[0], "y": texts[-1]}.get(c, c) for c in form)

    def _called(self, node: Value, inside: Value) -> str:
        """A node's name in another one's box: its label if both are in one frame."""
        if self.group and node.label and node.scope and node.scope == inside.scope:
            return node.label
        return self.name[node]

    def _of(self, node: Value, formula: str) -> list[str]:
        """A line with the operands of a formula, unless they have the names that it uses."""
        operands = [operand for operand, _ in self.shown.operands(node)] if formula else []
        names = [self._called(operand, node) for operand in operands]
        letters = {(indexed(name) or (name,))[0] for name in names}
        if letters.issubset(re.findall(r"[^\W\d_]+", formula)):
            return []
        more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
        return [f"of {', '.join(names[:_MOST_NAMES] + more)}"]

    def lines(self, key: Any) -> list[str]:
        """The lines of text in a box."""
        nodes = self.boxes[key]
        if isinstance(key, str):
            leaves = sum(node.is_leaf for node in nodes)
            return [
                wrapped(key.rpartition("/")[2]),
                f"{len(nodes) - leaves} operations",
                f"{leaves} leaves",
            ]
        (node,) = nodes
        head = self._called(node, node)
        taught = self.shown.formula(node)
        if node.op is not None:
            formula = taught[0] if taught else self._formula(node)
            head = (
                f"{head} = {formula}" if len(head) + len(formula) <= 36 else f"{head}\n= {formula}"
            )
        grad = "no backward yet" if node.grad is UNTOUCHED else f"grad {self.number(node.grad)}"
        texts = map(wrapped, (head, *taught[1:], *self._of(node, " ".join(taught))))
        return [*texts, f"value {self.number(node.data)}", *[grad] * self.grads]

    def _links(self) -> Iterator[tuple[Any, Any, str, bool]]:
        box_of = {node: key for key, nodes in self.boxes.items() for node in nodes}
        seen = set()
        for node in self.order:
            for which, (parent, operand) in enumerate(self.shown.operands(node)):
                if parent not in self.visible:
                    continue
                link = (box_of[parent], box_of[node])
                collapsed = isinstance(link[0], str) or isinstance(link[1], str)
                if link[0] is link[1] or (collapsed and link in seen):
                    continue
                seen.add(link)
                text, wrong = "", self.wrong.get((node, operand))
                if (self.edges or wrong) and not collapsed:
                    slope = self.shown.amounts(node, 1.0)[which] if wrong is None else wrong[1]
                    part, whole = self._called(parent, node), self._called(node, node)
                    text = f"\u2202{whole}/\u2202{part} = {self.number(slope)}"
                    if wrong is not None:
                        text += f"\nused: {self.number(wrong[0])}"
                    elif self.grads and node.grad is not UNTOUCHED:
                        flow = self.shown.amounts(node, node.grad)[which] if node.grad else 0.0
                        text += f"\n+= {self.number(flow)}"
                yield (*link, text, wrong is not None)

    def _frame(self, key: Any) -> str:
        """The scope in whose frame a box is drawn."""
        if not self.group:
            return ""
        return key.rpartition("/")[0] if isinstance(key, str) else key.scope

    def _alike(self) -> list[list[Any]]:
        """The boxes in a frame that differ in a number only, in order: neuron 0, neuron 1, ..."""
        alike: dict[tuple[str, str], list[Any]] = {}
        closed = sorted((key for key in self.boxes if isinstance(key, str)), key=natural)
        for key in [*closed, *self.shown.parts]:
            text = key.rpartition("/")[2] if isinstance(key, str) else self.shown.formula(key)[0]
            if key in self.boxes and re.search(r"\d", text):
                alike.setdefault((self._frame(key), re.sub(r"\d+", "0", text)), []).append(key)
        return [keys for keys in alike.values() if len(keys) > 1]

    def graph(self, direction: str) -> Graph:
        """The picture as a Graph."""
        ids = {key: f"n{i}" for i, key in enumerate(self.boxes)}
        dot: list[str] = []
        mermaid = [f"flowchart {direction}"]
        frames: dict[str, list[str]] = {}
        for key, box in ids.items():
            nodes, lines = self.boxes[key], self.lines(key)
            collapsed = isinstance(key, str)
            largest = max((abs(n.grad) for n in nodes if n.grad == n.grad), default=0.0)
            colour = NEUTRAL if collapsed else self.style.color(nodes[0].grad, self.largest)
            if collapsed and largest:
                lines = [*lines, f"max |grad| {self.number(largest)}"]
            style = f'fillcolor="{colour}"'
            if nodes[0].is_leaf and not collapsed:
                style += ' style="filled"'  # leaves have square corners
            scope = self._frame(key)
            line = f"{box} [id={box} label={quote(chr(10).join(lines))} {style}]\n"
            frames.setdefault(scope, []).append(line)
            mermaid.append(f"  {box}[{_mermaid_quote(chr(10).join(lines))}]")
            plain = nodes[0].op is not None and nodes[0] not in self.shown.parts
            if self.constants and not collapsed and plain:
                self._constants(nodes[0], box, frames[scope], mermaid)
        links = list(self._links())
        rows = [keys for keys in self._alike() if _independent(keys, links)]
        for keys in rows:
            chain = " -> ".join(ids[key] for key in keys)
            frames[self._frame(keys[0])].append(f"{{rank=same {chain} [style=invis]}}\n")
        dot += [*_framed(frames, self.style.font), self.style.key()]
        for tail, head, text, wrong in links:
            look = f'color="{RED}" fontcolor="{RED}" penwidth=2' if wrong else ""
            label = f" [label={quote(text)}{' ' * wrong}{look}]" if text else ""
            dot.append(f"\t{ids[tail]} -> {ids[head]}{label}\n")
            middle = f"|{_mermaid_quote(text)}|" if text else ""
            mermaid.append(f"  {ids[tail]} -->{middle} {ids[head]}")
        graph = Graph(
            dot, "\n".join(mermaid), node_attr=self.style.nodes(), edge_attr=self.style.edges()
        )
        graph.graph_attr.update(_SPACE, rankdir=direction, bgcolor=self.style.background)
        if rows:  # the last search for fewer crossings would change their order again
            graph.graph_attr.update(remincross="false")
        if self.style.title:
            graph.graph_attr.update(label=self.style.title, labelloc="t", fontname=self.style.font)
        graph.boxes = {node: ids[key] for key, nodes in self.boxes.items() for node in nodes}
        return graph

    def _constants(self, node: Value, box: str, dot: list[str], mermaid: list[str]) -> None:
        """Add small boxes for the plain numbers among a node's operands."""
        assert node.op is not None
        for parent, operand in ((node.a, "x"), (node.b, "y"))[: node.op.arity]:
            if parent is None:
                number, name = self.number(getattr(node, operand)), f"{box}{operand}"
                style = f'shape=plaintext style="" margin="0.04,0.02" width=0 height=0 {_GREY}'
                dot.append(f"{name} [id={name} label={quote(number)} {style}]\n")
                dot.append(f"{name} -> {box} [style=dashed arrowsize=0.5 weight=1]\n")
                mermaid.append(f"  {name}([{_mermaid_quote(number)}]) -.-> {box}")


def _independent(keys: list[Any], links: list[tuple[Any, Any, str, bool]]) -> bool:
    """Whether no path leads from one of the boxes to another, so that they can share a column."""
    after: dict[Any, list[Any]] = {}
    for tail, head, _, _ in links:
        after.setdefault(tail, []).append(head)
    seen = {head for key in keys for head in after.get(key, ())}
    stack = list(seen)
    while stack:
        new = set(after.get(stack.pop(), ())) - seen
        seen |= new
        stack += new
    return seen.isdisjoint(keys)


def _framed(frames: dict[str, list[str]], font: str) -> list[str]:
    """The boxes inside nested frames, one for each scope, in order of first use."""
    tree: dict[str, Any] = {}
    for scope in frames:
        branch = tree
        for part in scope.split("/") if scope else []:
            branch = branch.setdefault(part, {})
    dot: list[str] = []
    count = 0
    stack: list[tuple[str, str, dict[str, Any], bool]] = [("", "", tree, False)]
    while stack:
        scope, name, inside, closing = stack.pop()
        if closing:
            dot.append("\t}\n")
            continue
        if scope:
            dot.append(f"\tsubgraph cluster_{count} {{\n")
            dot.append(
                f"\tlabel={quote(wrapped(name))} labeljust=l labelloc=t style=rounded margin=10 "
                f'color="{LINE}" fontname="{font}" fontsize=10 fontcolor="{LINE}"\n'
            )
            count += 1
            stack.append((scope, name, inside, True))
        dot += [f"\t{line}" for line in frames.get(scope, [])]
        for part, below in reversed(inside.items()):
            stack.append((f"{scope}/{part}" if scope else part, part, below, False))
    return dot
