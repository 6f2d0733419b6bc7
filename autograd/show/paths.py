"""A gradient as a sum over paths, each a product of local derivatives."""

import functools
import heapq
import html
import math
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autograd.options import whole
from autograd.order import unfold
from autograd.printers.latex import number, symbol
from autograd.printers.mathml import MATHML
from autograd.show.names import names, variables
from autograd.show.shown import Shown
from autograd.value import Value

_NAMED = 4  # factors; the names of more make a line too long to read


@dataclass(frozen=True)
class Path:
    """A path from the leaf to the root: names of its nodes, local derivatives, their product."""

    names: tuple[str, ...]
    locals: tuple[float, ...]
    product: float
    share: float

    def __str__(self) -> str:
        steps = [f"\u2202{z}/\u2202{x}" for x, z in self._steps()]
        words = f"{' * '.join(steps)} = " if steps else ""
        return f"{' -> '.join(self.names)}: {words}{self._numbers()}"

    def _steps(self) -> list[tuple[str, str]]:
        """The ends of each edge, from the root on; none if there are too many to read."""
        steps = list(pairwise(self.names))[::-1]
        return steps if len(steps) <= _NAMED else []

    def _numbers(self) -> str:
        factors = " * ".join(f"({x:.4g})" if x < 0 else f"{x:.4g}" for x in reversed(self.locals))
        return f"{factors or '1'} = {self.product:.4g}"

    def cells(self) -> str:
        """The path, its local derivatives as MathML, and its numbers, as cells of HTML."""
        partials = (MATHML.partial(z, x) for x, z in self._steps())
        words = functools.reduce(MATHML.product, partials) if self._steps() else ""
        texts = (
            html.escape(" \u2192 ".join(self.names)),
            f'<math displaystyle="true">{words}</math>' if words else "",
            html.escape(self._numbers().replace("*", "\u22c5").replace("-", "\u2212")),
            f"{self.share:.1%}".replace("-", "\u2212"),
        )
        return "".join(f"<td style='text-align:left'>{text}</td>" for text in texts)

    def latex(self) -> str:
        """The product of local derivatives along the path as LaTeX."""
        steps = [_partial(z, x) for x, z in pairwise(self.names)]
        return r" \, ".join(reversed(steps)) or "1"


def _partial(of: str, by: str) -> str:
    return rf"\frac{{\partial {symbol(of)}}}{{\partial {symbol(by)}}}"


def _bracketed(x: float) -> str:
    text = number(x)[0]
    return rf"\left({text}\right)" if text.startswith("-") else text


@dataclass(frozen=True)
class Explanation:
    """dL/dleaf, its largest paths in order, and the number of all paths."""

    total: float
    paths: list[Path]
    count: int

    def _rows(self) -> list[tuple[str, str]]:
        return [(str(path), f"{path.share:.1%}") for path in self.paths]

    @property
    def rest(self) -> str:
        """A line on the paths that are not listed; '' if all are."""
        others = self.count - len(self.paths)
        if not others:
            return ""
        listed = math.fsum(path.product for path in self.paths)
        return f"{others:,} smaller paths: {self.total - listed:.4g}"

    def __str__(self) -> str:
        rows = self._rows()
        width = max((len(text) for text, _ in rows), default=0)
        lines = [f"{text:<{width}}  {share:>7}" for text, share in rows]
        paths = "1 path" if self.count == 1 else f"{self.count:,} paths"
        return "\n".join([f"{self.total:.6g} over {paths}", *lines, *[self.rest] * bool(self.rest)])

    def latex(self) -> str:
        r"""The sum over the shown paths as LaTeX, for math mode with amsmath.

        >>> a = Value(3.0, "a")
        >>> y = a * a; y.label = "y"
        >>> print(explain(y, a).latex())
        \begin{aligned} \frac{\partial y}{\partial a} &= \frac{\partial y}{\partial a} + \frac{\partial y}{\partial a} \\ &= 3 + 3 \\ &= 6 \end{aligned}
        """  # noqa: E501 - a line of LaTeX
        if not self.paths:
            return number(self.total)[0]
        ends = self.paths[0].names
        words = " + ".join(path.latex() for path in self.paths)
        rest = " + \\dots" if self.rest else ""
        products = " + ".join(_bracketed(path.product) for path in self.paths)
        lines = [
            f"{_partial(ends[-1], ends[0])} &= {words}{rest}",
            f"&= {products}{rest}",
            f"&= {number(self.total)[0]}",
        ]
        return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{path.cells()}</tr>" for path in self.paths)
        head, _, _ = str(self).partition("\n")
        return f"<p>{head}</p><table>{rows}</table><p>{self.rest}</p>"


def explain(root: Value, leaf: Value, k: int = 10, *, detail: str = "computed") -> Explanation:
    """dL/dleaf as a sum over the paths from the leaf to the root, with the k largest listed.

    Each path is a product of local derivatives, and by the chain rule their sum is the gradient
    (Bauer 1974).  However many paths there are, one pass of dynamic programming over the graph
    counts them and finds the largest.  Shares are relative to the gradient, so they can exceed
    100 % where paths cancel.  With detail="textbook", a node with a `formula` counts as one step,
    as in `draw`.

    >>> a, b = Value(2.0, "a"), Value(-3.0, "b")
    >>> c = a * b; c.label = "c"
    >>> d = c + a; d.label = "d"
    >>> print(explain(d * c, a))
    24 over 3 paths
    a -> c -> d -> v1: ∂v1/∂d * ∂d/∂c * ∂c/∂a = (-6) * 1 * (-3) = 18    75.0%
    a -> c -> v1: ∂v1/∂c * ∂c/∂a = (-4) * (-3) = 12                     50.0%
    a -> d -> v1: ∂v1/∂d * ∂d/∂a = (-6) * 1 = -6                       -25.0%
    """
    k = whole(k, "explain: k")
    unfold(root)
    shown = Shown(root, detail)
    if leaf not in set(shown.order):
        inside = " and the textbook shows" * bool(shown.parts)
        raise ValueError(
            f"explain: the leaf must be a node that the root was computed from{inside}"
        )
    # For each node: the number of paths to it, their sum, and the k largest, each linked to the
    # path that it extends.
    count = {leaf: 1}
    total = {leaf: 1.0}
    best: dict[Value, list[tuple[float, Any]]] = {leaf: [(1.0, None)]}
    for node in shown.order:
        if node is leaf or node.op is None:
            continue
        candidates: list[tuple[float, Any]] = []
        operands, locals_ = shown.operands(node), shown.amounts(node, 1.0)
        for (parent, _), local in zip(operands, locals_, strict=True):
            if parent in count:
                count[node] = count.get(node, 0) + count[parent]
                total[node] = total.get(node, 0.0) + total[parent] * local
                candidates += [(p * local, (path, node, local)) for p, path in best[parent]]
        if candidates:
            best[node] = heapq.nlargest(k, candidates, key=lambda path: abs(path[0]))
    name = names(shown.order, variables(sys._getframe(1)))
    gradient = total[root]
    paths = []
    for product, link in best[root]:
        nodes, locals_ = [], []
        while link is not None:
            link, node, local = link
            nodes.append(name[node])
            locals_.append(local)
        share = product / gradient if gradient else math.nan
        path_names = (name[leaf], *reversed(nodes))
        paths.append(Path(path_names, tuple(reversed(locals_)), product, share))
    return Explanation(gradient, paths, count[root])
