"""Gradients against an independent referee: is it right, and if not, which operation is to blame.

Three checks, one verdict.  LOCAL: each node's value and each local derivative that its pullback
uses, against differences of the row's value in decimal arithmetic.  ADJOINT: each node's gradient
against the sum over its consumers, by other code, and backward twice.  END-TO-END: the function
itself, run again on decimals; where it refuses them, on doubles with extrapolated differences.
LOCAL and ADJOINT name the culprit; only END-TO-END sees a branch that was cut from the graph.
"""

import enum
import functools
import html
import itertools
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from autograd.define import ridders
from autograd.ops import Operation, item, number
from autograd.printers import decimals
from autograd.show.names import names
from autograd.show.player import handed
from autograd.transform import Tree, hvp, leaves, rebuilt
from autograd.value import (
    Mode,
    Note,
    Value,
    entered,
    no_grad,
    number_writer,
    numbers,
    one_pass,
    restorer,
    topological,
    unfold,
    user_line,
    visited,
)

ROUNDING = 2.0**-53
FLOOR = 1e-300  # below, what a double was computed from may have had no digits
TINY = 1e-320  # and here it has none itself
VALUE_ULPS, SLOPE_ULPS = 4, 8  # what a row may be off, in units of the last place
TIE = 1e-12  # what a share of a slope at a kink may be off


class Verdict(enum.Enum):
    """What a check says of one gradient."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "FAIL"
    KINK = "kink"
    ILL_CONDITIONED = "ill-conditioned"
    INCONCLUSIVE = "inconclusive"


@dataclass
class Row:
    """One input: its gradient, the referee's, the error the referee could have seen, a verdict."""

    name: str
    at: float
    analytic: float
    referee: float
    error: float
    verdict: Verdict
    note: str = ""


@dataclass
class Report:
    """A table of inputs, and the operations that are to blame; true if nothing failed.

    Printing it shows the table; a notebook shows it as HTML, and `rich` as a table of its own.
    """

    rows: list[Row]
    blame: list[str] = field(default_factory=list)
    culprits: list[Value] = field(default_factory=list)
    summary: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all inputs."""
        if self.blame:
            return Verdict.FAIL
        order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ILL_CONDITIONED, Verdict.KINK]
        return next((v for v in order if any(row.verdict is v for row in self.rows)), Verdict.PASS)

    def __bool__(self) -> bool:
        return self.verdict not in (Verdict.FAIL, Verdict.INCONCLUSIVE)

    def _cells(self) -> list[list[str]]:
        head = ["input", "at", "gradient", "referee", "could see", "verdict"]
        return [head] + [
            [
                row.name,
                f"{row.at:.6g}",
                f"{row.analytic:.10g}",
                f"{row.referee:.10g}",
                f"{row.error:.1e}",
                row.verdict.value + (f": {row.note}" if row.note else ""),
            ]
            for row in self.rows
        ]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(row[i]) for row in cells) for i in range(6)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([self.summary] * bool(self.summary) + lines * bool(self.rows) + self.blame)

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        lines = ["<table><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
        for row in rows:
            cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
            lines.append(f"<tr>{cells}</tr>")
        blame = "".join(f"<p><b>{html.escape(line)}</b></p>" for line in self.blame)
        return "".join(lines) + "</table>" + blame

    def __rich__(self) -> Any:
        from rich.table import Table

        head, *rows = self._cells()
        table = Table(*head, caption="\n".join(self.blame) or None)
        for row in rows:
            table.add_row(*row)
        return table

    def draw(self, **options: Any) -> Any:
        """The subgraph around the first operation to blame, as `autograd.draw` shows it."""
        from autograd.show.draw import draw

        if not self.culprits:
            raise ValueError("no operation is to blame, so there is nothing to draw")
        return draw(self.culprits[0], edges=True, **options)


class _Traced(Mode):
    """Recording that keeps the user's line of each node, and which side of a kink it is on."""

    __slots__ = ("sides",)

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[tuple[Operation, tuple[Any, ...], Value]] = []

    def child(self, change: str, to: Any) -> Mode:
        """Itself, so that every node is traced; `no_grad` alone means what it says."""
        return super().child(change, to) if change == "recording" else self

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Value:
        """The node, with its line."""
        node = super().record(z, op, a, b, x, y)
        node._row = Note(op, line=user_line())
        other = x if y is None else y
        side = (x > 0, x < 0, x > other, x < other, op.piece(x, y)) if op.smooth else ()
        self.sides.append((op, side, node))
        return node


Function = Callable[..., Any]


@dataclass
class _Case:
    """A function, where it is checked, and its recorded graph."""

    f: Function
    inputs: tuple[Tree, ...]
    nodes: list[Value]  # the inputs' nodes, then the parameters
    at: list[float]
    labels: list[str]
    parameters: list[Value]
    root: Value
    traced: _Traced

    def digits(self) -> int:
        """Enough for the whole function: more where numbers of very different size meet."""
        inner = [node for node in topological(self.root) if node.op]
        return decimals.enough(x for node in inner for x in [*_operands(node), node.data])

    def again(self, moved: list[Any]) -> Any:
        """f at other numbers for inputs (anything that computes) and parameters (doubles)."""
        return self.f(*rebuilt(list(self.inputs), iter(moved)))


def _record(f: Function, inputs: tuple[Tree, ...], parameters: Any) -> _Case:
    given = list(leaves(list(inputs)))
    at = [leaf.data if isinstance(leaf, Value) else number(leaf, "an input") for leaf in given]
    named = _named(parameters)
    nodes = [
        Value(x, leaf.label if isinstance(leaf, Value) else "")
        for x, leaf in zip(at, given, strict=True)
    ]
    traced = _Traced()
    with entered(traced):
        root = f(*rebuilt(list(inputs), iter(nodes)))
    if not isinstance(root, Value):
        raise TypeError(f"check_gradients: f must return one Value, got {type(root).__name__}")
    unfold(root)
    labels = list(_labels(inputs))
    chosen = [parameter for _, parameter in named]
    return _Case(
        f,
        inputs,
        nodes + chosen,
        at + [p.data for p in chosen],
        [n.label or label for n, label in zip(nodes, labels, strict=True)] + [n for n, _ in named],
        chosen,
        root,
        traced,
    )


def _labels(inputs: tuple[Tree, ...]) -> Iterable[str]:
    """Paths of the inputs' leaves: x0, x1[2], x1['w']."""
    stack: list[tuple[str, Tree]] = [(f"x{i}", tree) for i, tree in enumerate(inputs)][::-1]
    while stack:
        path, part = stack.pop()
        if isinstance(part, dict):
            stack += [(f"{path}[{key!r}]", p) for key, p in part.items()][::-1]
        elif isinstance(part, list | tuple):
            stack += [(f"{path}[{i}]", p) for i, p in enumerate(part)][::-1]
        else:
            yield path


def _named(parameters: Any) -> list[tuple[str, Value]]:
    if parameters is None:
        return []
    if hasattr(parameters, "named_parameters"):
        return list(parameters.named_parameters())
    if isinstance(parameters, dict):
        return list(parameters.items())
    order = list(parameters)
    for parameter in order:
        if not isinstance(parameter, Value):
            raise TypeError(f"parameters must be Values, got {type(parameter).__name__}")
    return [(name, node) for node, name in names(order).items()]


# ---------------------------------------------------------------------- LOCAL


def _operands(node: Value) -> list[float]:
    assert node.op is not None
    return [node.x, node.y] if node.op.arity == 2 else [node.x]


_STEP = Decimal("1e-25")
_SAME = Decimal("1e-12")  # one-sided slopes that differ by more differ by a kink
_CLOSER = 1000  # a second step is so much smaller,
_JUMP = 100  # and at a jump the slope becomes more than so much larger
_APART = 2.0**-20  # an operand's relative change by which its influence is measured


def _step(at: Decimal, relative: Decimal) -> Decimal:
    """A step that is small beside the number, or beside 1 where it is 0."""
    return (abs(at) or 1) * relative


@dataclass
class _Exact:
    """An operation at one point, in decimals of as many digits as it takes."""

    op: Operation
    operands: list[float]

    def __post_init__(self) -> None:
        self.value = decimals.value(self.op)
        self.at = [Decimal(x) for x in self.operands]
        self.z = self.value(*self.at)

    def slopes(self, k: int, relative: Decimal = _STEP) -> tuple[Decimal, Decimal, Decimal]:
        """Left, central and right slope of the value in operand k."""
        at, here = self.at, self.at[k]
        step = _step(here, relative)
        ends = []
        for moved in (here - step, here + step):
            at[k] = moved
            ends.append(self.value(*at))
        at[k] = here
        below, above = ends
        return (self.z - below) / step, (above - below) / (2 * step), (above - self.z) / step

    def shares(self, used: list[float]) -> str:
        """What is wrong if, at a kink, both partials are possible but their sum is not."""
        step = _step(max(self.at, key=abs), _STEP)
        ends = [self.value(*(x + h for x in self.at)) for h in (-step, step)]
        low, high = sorted([float((self.z - ends[0]) / step), float((ends[1] - self.z) / step)])
        allowed = TIE * max(1.0, abs(low), abs(high))
        if low - allowed <= sum(used) <= high + allowed:
            return ""
        parts = " and ".join(map(repr, used))
        return (
            f"dz/dx and dz/dy of {self.op.name}: the pullback uses {parts}, which add up to "
            f"{sum(used)!r}, should be {low!r}" + (f" to {high!r}" if high > low else "")
        )

    def jumps(self, k: int) -> bool:
        """Whether the value, on either side, does not come closer as the operand does."""
        below, _, above = self.slopes(k)
        nearer, _, near = self.slopes(k, _STEP / _CLOSER)
        return abs(near) > _JUMP * abs(above) or abs(nearer) > _JUMP * abs(below)

    def is_steep(self, k: int) -> bool:
        """Whether the slope grows without end as the step shrinks, as the cube root's at 0."""
        return abs(self.slopes(k, _STEP / _CLOSER)[1]) > 2 * abs(self.slopes(k)[1])

    def blurs(self, used: float, exact: float, k: int | None = None) -> bool:
        """Whether operands with a few of their last bits changed have this value (or slope in k).

        A row may lose as much as its operands' own rounding does, as exp(-x * x) must for large x;
        log(1 + x) loses far more near 0, where log1p hardly feels the rounding of x.
        """

        def wanted(at: _Exact) -> Decimal:
            return at.z if k is None else at.slopes(k)[1]

        reach = 0.0
        for i in range(len(self.operands)):
            near = [x + x * _APART if j == i else x for j, x in enumerate(self.operands)]
            reach += abs(float(wanted(_Exact(self.op, near)) - wanted(self))) / _APART
        return abs(used - exact) <= 2 * VALUE_ULPS * ROUNDING * reach


def _ulps(found: float, exact: float) -> float:
    if abs(found - exact) <= FLOOR:
        return 0.0
    return abs(found - exact) / math.ulp(exact)


def _local(
    inner: list[Value], slopes: dict[Value, list[float]], name: dict[Value, str]
) -> list[tuple[Value, str]]:
    """The nodes whose value or local derivative is wrong, and how."""
    wrong = []
    with decimals.digits(80) as context:
        for node in inner:
            op, operands = node.op, _operands(node)
            assert op is not None
            if not all(map(math.isfinite, operands)):
                continue
            # exp(-x * x) beside 1 is in reach of a double.
            context.prec = decimals.enough([*operands, *(x * x for x in operands if abs(x) > 1.0)])
            exact = _Exact(op, operands)
            z = float(exact.z)
            close = _ulps(node.data, z) <= VALUE_ULPS
            if math.isfinite(z) and not close and not exact.blurs(node.data, z):
                where = _where(node, operands, name)
                what = f"value of {op.name}: {node.data!r}, should be {z!r}; {where}"
                wrong.append((node, what))
                continue
            if not math.isfinite(node.data):
                continue
            for k, used in enumerate(slopes[node]):
                left, middle, right = exact.slopes(k)
                if not (left.is_finite() and right.is_finite()):
                    continue  # an end: there is nothing to compare with
                if math.isinf(used) and exact.is_steep(k):
                    continue
                slope, text = float(middle), repr(float(middle))
                if abs(right - left) > _SAME * max(abs(left), abs(right)):
                    shares = exact.shares(slopes[node]) if k else ""
                    if shares and not exact.jumps(k):
                        wrong.append((node, f"{shares}; {_where(node, operands, name)}"))
                    low, high = sorted([float(left), float(right)])
                    if low - TIE <= used <= high + TIE or high - low <= FLOOR:
                        continue
                    text = f"[{low!r}, {high!r}]"
                if not _ulps(used, slope) <= SLOPE_ULPS and not (
                    exact.jumps(k) or exact.blurs(used, slope, k)
                ):
                    what = (
                        f"dz/d{'xy'[k]} of {op.name}: the pullback uses {used!r}, should be "
                        f"{text}{_hint(used, slope)}; {_where(node, operands, name)}"
                    )
                    wrong.append((node, what))
    return wrong


def _where(node: Value, operands: list[float], name: dict[Value, str]) -> str:
    at = ", ".join(f"{n} = {x!r}" for n, x in zip("xy", operands, strict=False))
    line = f", at {node.line}" if node.line else ""
    known = name.get(node)
    return (f"node {known}, " if known else "") + at + line


def _hint(found: float, right: float) -> str:
    """What a wrong factor is usually a sign of."""
    if right == 0.0 or not math.isfinite(found):
        return ""
    ratio = found / right
    causes = {2.0: "added twice?", 0.5: "a use lost?", -1.0: "a sign?", 0.0: "cut off?"}
    for factor, cause in causes.items():
        if abs(ratio - factor) < 1e-9:
            return f" ({ratio:g} times too much: {cause})" if factor else f" (0: {cause})"
    return ""


# ---------------------------------------------------------------------- ADJOINT

_ADDED = 4  # roundings of each term of a sum


def _adjoint(
    root: Value,
    inner: list[Value],
    ends: list[Value],
    pulls: dict[Value, list[float]],
    name: dict[Value, str],
) -> tuple[dict[Value, float], dict[Value, tuple[float, float]], list[tuple[Value, str]]]:
    """The engine's gradients; our own, with the size of all paths; nodes whose sum is wrong."""
    order = [*inner, *ends]
    with one_pass:
        undo = restorer(order)
        try:
            for node in order:
                node.grad = 0.0
            root.backward()
            first = {node: node.grad for node in order}
            for leaf in ends:
                leaf.grad = 0.0
            root.backward()
            wrong = [
                (node, f"backward twice gives {first[node]!r}, then {node.grad!r}")
                for node in order
                if node.grad.hex() != first[node].hex() and node.grad == node.grad
            ]
        finally:
            undo()
    terms: dict[Value, list[float]] = {node: [] for node in order}
    size, own = dict.fromkeys(order, 0.0), dict.fromkeys(order, 0.0)
    terms[root].append(1.0 if root.data == root.data else math.nan)
    size[root] = own[root] = 1.0
    for node in reversed(inner):
        for parent, slope in zip((node.a, node.b), pulls[node], strict=False):
            if parent is not None:
                if first[node]:
                    terms[parent].append(first[node] * slope)
                size[parent] += abs(size[node] * slope) if size[node] else 0.0
                own[parent] += own[node] * slope if own[node] else 0.0
    ours = {node: (own[node], size[node]) for node in order}
    if any(node._row.hooks for node in order):
        return first, ours, wrong  # a hook may replace a gradient, which is what it is for
    for node in order:
        found, parts = first[node], terms[node]
        total = math.fsum(parts) if all(map(math.isfinite, parts)) else math.nan
        allowed = _ADDED * ROUNDING * (len(parts) + 1) * sum(map(abs, parts)) + FLOOR
        if math.isfinite(total) and not abs(found - total) <= allowed:
            uses = ", ".join(f"{part:.6g}" for part in parts)
            wrong.append(
                (
                    node,
                    f"gradient of node {name.get(node, '?')} is {found!r}, but its {len(parts)} "
                    f"use(s) add up to {total!r} ({uses}){_hint(found, total)}: accumulation or "
                    "the order is at fault",
                )
            )
    return first, ours, wrong


# ---------------------------------------------------------------------- END-TO-END

_BESIDE = Decimal("1e-20")  # the relative step of a function's argument
_TWICE = Decimal("1e-30")  # the step of second differences
_FEWER, _MORE, _MOST = 20, 40, 80  # digits: to agree, for who disagrees, for second differences
_AGREED = 1e-9  # a gradient and the referee's, relatively
_SURE, _CERTAIN = 4, 10  # times the estimated error of a difference
_LOST, _SOUND = 16, 64  # roundings that a sum of paths may lose, of the size of all of them
_SMALLEST, _UNIT = 1e-4, 0.1  # of the steps of `ridders`, relatively, and where x is near 0
_NODES = 3  # roundings of a node that reach the result
_NOISY = 1e-5  # differences of doubles with a larger error decide nothing
_APART_BY = 0.01  # decimals and doubles that differ by more see different functions
_ENDLESS = 1e18  # a second difference of more is a jump of the first derivative
_TWICE_AGREED, _TWICE_LEAST = 1e-8, 1e-6  # second derivatives, relatively, and what counts as 0
_SCALES = (1.0, 1e-2, 1e-4, 1e-6)  # of the steps in doubles, to stay on this side of a kink


@dataclass
class _Seen:
    """Slopes from the left, in the middle and from the right, and the error of the middle."""

    left: float
    middle: float
    right: float
    error: float
    switched: str = ""
    how: str = "decimal"
    rounded: bool = False
    jump: bool = False

    @property
    def kink(self) -> bool:
        """Whether the two one-sided slopes differ."""
        gap = abs(self.left - self.right)
        return gap > max(TIE * abs(self.left), TIE * abs(self.right), FLOOR)


class _Decimals:
    """The function run on decimals, at the point and beside it."""

    def __init__(self, case: _Case, precision: int) -> None:
        self.case, self.precision, self.rounded = case, precision, False
        self.at = [Decimal(x) for x in case.at]
        self.here = self.run(-1, Decimal(0))[0]

    def run(self, k: int, step: Decimal) -> tuple[Decimal, list[Any]]:
        """f with a step in one input, and the sides that its operations were on."""
        case, count = self.case, len(self.at) - len(self.case.parameters)
        with decimals.digits(self.precision):
            moved = [*self.at]
            moved[k] += step
            mode = decimals.Run(dict(zip(case.parameters, moved[count:], strict=True)))
            with entered(mode):
                inputs: list[Any] = [decimals.Carrier(mode, x) for x in moved[:count]]
                out = case.again([*inputs, *case.parameters])
                self.rounded = self.rounded or mode.rounded
                return mode.decimal(out), mode.sides

    def slopes(self, k: int) -> _Seen:
        """The slopes of f along one input."""
        with decimals.digits(self.precision):
            h = _step(self.at[k], _BESIDE)
            left, wide, right = self._slopes(k, h)
            seen = _Seen(left, wide, right, 1e-15 * abs(wide))
            seen.rounded = self.rounded
            leap = abs(wide) * float(h) > _AGREED * float(abs(self.here))
            if not (seen.kink or leap or math.isnan(wide)):
                return seen
            # A gap that shrinks with the step is a bend, and no kink.
            left2, middle, right2 = self._slopes(k, h / _CLOSER)
        seen.middle, seen.error = middle, seen.error + abs(middle - wide)
        seen.jump = abs(left2) > _JUMP * abs(left) or abs(right2) > _JUMP * abs(right)
        if abs(left2 - right2) < 0.1 * abs(left - right):
            seen.left = seen.right = middle
        if seen.kink:
            for i, ((op, one), (_, two)) in enumerate(zip(*self._sides, strict=False)):
                if one != two:
                    sides = self.case.traced.sides
                    seen.switched = op.name
                    if i < len(sides):
                        seen.switched += f" at {sides[i][2].line}"
                    break
        return seen

    def _slopes(self, k: int, h: Decimal) -> tuple[float, float, float]:
        (above, sides), (below, others) = self.run(k, h), self.run(k, -h)
        self._sides = sides, others
        slopes = (self.here - below) / h, (above - below) / (2 * h), (above - self.here) / h
        left, middle, right = map(float, slopes)
        return left, middle, right


def _by_doubles(case: _Case, k: int, noise: float) -> _Seen:
    """The same by extrapolated differences of doubles, on this side of every kink."""
    signature = [(op, side) for op, side, _ in case.traced.sides]
    strayed: list[bool] = []

    def along(t: float) -> float:
        moved = [Value(x) for x in case.at[: len(case.at) - len(case.parameters)]]
        undo = number_writer(case.parameters, numbers(case.parameters))
        traced = _Traced()
        try:
            if k < len(moved):
                moved[k] = Value(t)
            else:
                case.parameters[k - len(moved)].data = t
            with entered(traced):
                out = case.again([*moved, *case.parameters])
        finally:
            undo()
        strayed.append([(op, side) for op, side, _ in traced.sides] != signature)
        return item(out)

    x, best = case.at[k], (math.nan, math.inf)
    for scale in _SCALES:
        strayed.clear()
        slope, error = ridders(lambda t, scale=scale: along(x + (t - x) * scale), x)  # type: ignore[misc]
        # The estimate knows nothing of the noise that all its differences share.
        smallest = _SMALLEST * scale * max(abs(x), _UNIT)
        slope, error = slope / scale, error / scale + noise / smallest
        if not any(strayed) and error < best[1]:
            best = slope, error
    return _Seen(best[0], best[0], best[0], best[1], how="double")


def _judge(
    case: _Case,
    k: int,
    found: float,
    size: float,
    sound: bool,
    seen: _Seen,
    replayed: Callable[[], float | None],
) -> Row:
    allowed = _AGREED * abs(seen.middle) + TINY + _SURE * seen.error
    row = Row(case.labels[k], case.at[k], found, seen.middle, seen.error, Verdict.PASS)
    if not math.isfinite(seen.middle) or (math.isinf(found) and 2 * seen.error > abs(seen.middle)):
        row.verdict = Verdict.INCONCLUSIVE
        row.note = "the function has no finite slope here, or cannot be run beside this point"
        if found != found and seen.middle != seen.middle:
            row.note = "both are nan"
    elif seen.kink or seen.jump:
        low, high = sorted((seen.left, seen.right))
        allowed += _LOST * ROUNDING * size
        inside = low - allowed <= found <= high + allowed
        row.verdict = Verdict.KINK if inside or sound else Verdict.FAIL
        row.note = f"slopes {seen.left:.6g} from the left, {seen.right:.6g} from the right"
        row.note += "" if inside else ", and the gradient is neither nor between"
        if seen.jump:
            row.note = "the function jumps here, and has no slope"
        row.note += f" ({seen.switched} switches)" if seen.switched else ""
    elif seen.how == "double" and seen.error > _NOISY * max(abs(found), abs(seen.middle), FLOOR):
        row.verdict = Verdict.INCONCLUSIVE
        row.note = "differences of doubles are too noisy here"
    elif not abs(found - seen.middle) <= allowed:
        row.verdict = Verdict.FAIL
        row.note = _hint(found, seen.middle)
        if sound and math.isfinite(found):
            true = replayed()
            if true is not None and abs(true - seen.middle) <= _AGREED * abs(seen.middle) + TINY:
                row.verdict = Verdict.ILL_CONDITIONED
                gap = abs(found - seen.middle) / max(abs(seen.middle), TINY)
                lost = min(16, round(16 + math.log10(gap)))
                row.note = f"about {lost} of 16 digits lost to rounding"
            else:
                row.note += " every operation and sum is right, so a branch is cut from the graph:"
                row.note += " .data, float() or detach() in the function?"
        row.note = row.note.strip()
    return row


def _replay(case: _Case, inner: list[Value], k: int, precision: int) -> float | None:
    """The slope of the recorded graph, recomputed on decimals: what the gradient should be."""
    if not inner:
        return None
    with decimals.digits(precision):
        h = _step(Decimal(case.at[k]), _BESIDE)
        ends = []
        for step in (h, -h):
            data: dict[Value | None, Decimal] = {case.nodes[k]: Decimal(case.at[k]) + step}
            for node in inner:
                operands = [
                    data.get(p, Decimal(x))
                    for p, x in zip((node.a, node.b), _operands(node), strict=False)
                ]
                assert node.op is not None
                data[node] = decimals.value(node.op)(*operands)
            ends.append(data[case.root])
        return float((ends[0] - ends[1]) / (2 * h))


# ---------------------------------------------------------------------- the whole


def check_gradients(
    f: Function,
    *inputs: Tree,
    order: int = 1,
    parameters: Any = None,
    sample: int | None = None,
    seed: int = 0,
) -> Report:
    """A Report that says of each input whether f's gradient is right, and if not, who is to blame.

    Args:
        f: a function of Values, in any nesting, that returns one Value.  It is run several times,
            also on decimal numbers, so it must be deterministic.  Of a compiled one, what was
            compiled is checked, and that the replay's gradients are the same.
        inputs: where to check it: numbers or Values in lists, tuples and dicts.
        order: 2 also checks gradients of gradients, as Hessian-vector products.
        parameters: Values that f closes over: a module, a dict by name, or a list.
        sample: check only so many inputs and parameters, chosen by the seed.

    Raises TypeError if f does not return a Value, ValueError if it is not deterministic.

    >>> report = check_gradients(lambda w, x: (w * x).tanh(), 2.0, -1.0)
    >>> report.verdict
    <Verdict.PASS: 'pass'>
    >>> check_gradients(lambda x: x.relu(), 0.0).rows[0].note
    'slopes 0 from the left, 1 from the right (relu at ... switches)'
    """
    if order not in (1, 2):
        raise ValueError(f"check_gradients: order must be 1 or 2, got {order!r}")
    replay: Any = f if hasattr(f, "claims") else None
    f = f if replay is None else replay.function
    case = _record(f, inputs, parameters)
    twice = _record(f, inputs, None)
    if twice.root.data.hex() != case.root.data.hex():
        raise ValueError(
            f"check_gradients: f gave {case.root.data!r} and then {twice.root.data!r} for the same "
            "inputs; fix its random numbers by a seed"
        )
    inner, ends = visited(case.root)
    everything = [*ends, *inner]
    labelled = {n: n.label or label for n, label in zip(case.nodes, case.labels, strict=True)}
    for node in case.nodes[: len(case.nodes) - len(case.parameters)]:  # the rest are the caller's
        node.label = labelled[node]
    name = names(everything) | labelled
    pulls = {node: handed(node, 1.0) for node in inner}
    wrong = _local(inner, pulls, name)
    grads, ours, badly = _adjoint(case.root, inner, ends, pulls, name)
    wrong += badly
    sizes = [grads[node] * node.data for node in inner]
    noise = _NODES * ROUNDING * math.hypot(*(x for x in sizes if math.isfinite(x)), case.root.data)
    chosen = list(range(len(case.nodes)))
    if sample is not None and sample < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, sample))  # noqa: S311 - no secret
    digits = case.digits()
    report = Report([], [text for _, text in wrong], [node for node, _ in wrong])
    # Few digits are enough to agree; only who disagrees is asked again with many.
    decimals = [_decimals(case, digits - _FEWER)]
    for k in chosen:
        node = case.nodes[k]
        found, (own, size) = grads.get(node, 0.0), ours.get(node, (0.0, 0.0))
        sound = not wrong and abs(found - own) <= _SOUND * ROUNDING * size + TINY
        for attempt in range(2):
            if attempt == len(decimals):
                decimals.append(_decimals(case, digits + _MORE))
            seen = _see(case, decimals[attempt], k, noise)
            replayed = functools.partial(_replay, case, inner, k, digits + _MORE)
            row = _judge(case, k, found, size, sound, seen, replayed)
            if row.verdict is Verdict.PASS:
                break
        report.rows.append(row)
    if replay is not None:
        claims = replay.claims(inputs, case.parameters)
        for k, row in zip(chosen, report.rows, strict=True):
            size = ours.get(case.nodes[k], (0.0, 0.0))[1]
            if abs(claims[k] - row.analytic) > 1e-12 * max(abs(row.analytic), size):
                row.verdict, row.note = Verdict.FAIL, f"the replay gives {claims[k]!r}"
    if order == 2 and len(case.nodes) > len(case.parameters):
        report.rows += _second(case, digits + _MOST, seed)
    return report


def _decimals(case: _Case, precision: int) -> _Decimals | None:
    try:
        return _Decimals(case, precision)
    except Exception:  # a function may refuse decimals in any way it likes
        return None


def _see(case: _Case, decimals: _Decimals | None, k: int, noise: float) -> _Seen:
    if decimals is None:
        return _by_doubles(case, k, noise)
    try:
        seen = decimals.slopes(k)
    except Exception:  # a function may refuse decimals in any way it likes
        return _by_doubles(case, k, noise)
    if seen.rounded:
        # A step of 1e-20 does not survive float(); if that number decided nothing but a branch,
        # doubles see the same slope, and if it went on into the result, they see another.
        coarse = _by_doubles(case, k, noise)
        gap = abs(coarse.middle - seen.middle)
        if gap > _APART_BY * max(abs(coarse.middle), abs(seen.middle)) + _CERTAIN * coarse.error:
            return coarse
    return seen


def _second(case: _Case, precision: int, seed: int) -> list[Row]:
    """Rows for the Hessian along a random direction, against second differences of decimals."""
    count = len(case.at) - len(case.parameters)
    rng = random.Random(seed)  # noqa: S311 - no secret
    v = [rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) for _ in range(count)]

    def of_one_argument(parts: list[Any]) -> Any:
        return case.f(*rebuilt(list(case.inputs), iter(parts)))

    with no_grad():  # numbers, also where f depends on parameters
        found = hvp(of_one_argument, case.at[:count], v)
    rows = []
    for k in range(count):

        def run(i: int, j: int, h: Decimal, k: int = k) -> Decimal:
            moved = [Decimal(x) + j * h * Decimal(v[m]) for m, x in enumerate(case.at[:count])]
            moved[k] += i * h
            mode = decimals.Run({})
            with decimals.digits(precision), entered(mode):
                inputs: list[Any] = [decimals.Carrier(mode, x) for x in moved]
                return mode.decimal(of_one_argument(inputs))

        row = Row(f"d2/d{case.labels[k]} dv", case.at[k], found[k], math.nan, 0.0, Verdict.PASS)
        rows.append(row)
        try:
            with decimals.digits(precision):
                h = _TWICE
                cross = run(1, 1, h) - run(1, -1, h) - run(-1, 1, h) + run(-1, -1, h)
                row.referee = float(cross / (4 * h * h))
        except Exception:  # a function may refuse decimals in any way it likes
            row.verdict, row.note = Verdict.INCONCLUSIVE, "the function refuses decimals"
            continue
        row.error = 1e-12 * abs(row.referee)
        if not math.isfinite(row.referee) or abs(row.referee) > _ENDLESS:
            row.verdict, row.note = Verdict.KINK, "the first derivative jumps here"
        elif not abs(row.analytic - row.referee) <= _TWICE_AGREED * max(
            abs(row.referee), _TWICE_LEAST
        ):
            row.verdict, row.note = Verdict.FAIL, _hint(row.analytic, row.referee).strip()
    return rows


_POINTS = [0.0] + [s * x for x in (1e-8, 0.3, 1.0, 2.5, 25.0, 300.0) for s in (1.0, -1.0)]


def check_operation(op: Operation) -> Report:
    """A Report on one operation by itself, at points on all sides of its kinks and far out.

    What a graph's gradient depends on is checked where that graph is; a mistake for x > 20 shows
    only to a graph that goes there.  This asks the row itself, LOCAL alone, at values from 1e-8 to
    300 of both signs, at 0, and at ties.  The report has one line of blame for each mistake.

    >>> from autograd import tanh
    >>> print(check_operation(tanh))
    tanh: 13 points pass
    """
    places = itertools.product(_POINTS, repeat=op.arity)
    nodes = [op(*(Value(x) for x in place)) for place in places]
    nodes = [node for node in nodes if node.data == node.data]
    wrong = _local(nodes, {node: handed(node, 1.0) for node in nodes}, {})
    rest = len(nodes) - len({node for node, _ in wrong})
    blame = [text for _, text in wrong]
    return Report([], blame, [node for node, _ in wrong], f"{op.name}: {rest} points pass")


def assert_gradients(f: Function, *inputs: Tree, **options: Any) -> None:
    """Raise AssertionError with the report's text unless every gradient passes `check_gradients`.

    A kink or an ill-conditioned gradient is no error of the engine, and passes.

    >>> assert_gradients(lambda x: x * x.sin(), 2.0)
    """
    __tracebackhide__ = True
    report = check_gradients(f, *inputs, **options)
    if not report:
        raise AssertionError(f"gradients are {report.verdict.value}\n{report}")


def finite_differences(f: Function, *inputs: Tree, step: float = 1e-5) -> Tree:
    """Plain central differences (f(x + h) - f(x - h)) / 2h of each input, in the inputs' nesting.

    They are what everybody computes first, with the errors that everybody meets: about h^2 from
    the bend of f, and 1e-16 / h from rounding.

    >>> slope, = finite_differences(lambda x: x * x, 3.0)
    >>> abs(slope - 6.0) < 1e-8
    True
    """
    given = [item(leaf) for leaf in leaves(list(inputs))]
    slopes = []
    for k in range(len(given)):
        ends = []
        for h in (step, -step):
            moved = [Value(x + h if i == k else x) for i, x in enumerate(given)]
            ends.append(item(f(*rebuilt(list(inputs), iter(moved)))))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return tuple(rebuilt(list(inputs), iter(slopes)))
