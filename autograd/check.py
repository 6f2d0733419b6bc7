"""Gradients against an independent referee: is it right, and if not, which operation is to blame.

Three checks, one verdict.  LOCAL: each node's value and each local derivative that its pullback
uses, against differences of the row's value in decimal arithmetic.  ADJOINT: each node's gradient
against the sum over its consumers, by other code, and backward twice.  END-TO-END: the function
itself, run again on decimals; where it refuses them, on doubles with extrapolated differences.
LOCAL and ADJOINT name the culprit; only END-TO-END sees a branch that was cut from the graph.
"""

import enum
import html
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from autograd import precise
from autograd.define import ridders
from autograd.names import names
from autograd.ops import Operation, number
from autograd.transform import Tree, hvp, leaves, rebuilt
from autograd.value import (
    Mode,
    Note,
    Value,
    entered,
    restore,
    topological,
    user_line,
    visited,
)

ROUNDING = 2.0**-53
FLOOR = 1e-300  # below, a double has no digits left to compare


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
        return "\n".join([*lines, *self.blame])

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
        from autograd.draw import draw

        if not self.culprits:
            raise ValueError("no operation is to blame, so there is nothing to draw")
        return draw(self.culprits[0], edges=True, **options)


class _Traced(Mode):
    """Recording that keeps the user's line of each node, and which side of a kink it is on."""

    __slots__ = ("sides",)

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[tuple[Operation, tuple[bool, ...], Value]] = []

    def child(self, change: str, to: Any) -> Mode:
        """Itself, so that every node is traced; `no_grad` alone means what it says."""
        return super().child(change, to) if change == "recording" else self

    def record(self, z: float, op: Operation, a: Any, b: Any, x: float, y: float | None) -> Value:
        """The node, with its line."""
        node = super().record(z, op, a, b, x, y)
        node._row = Note(op, "", "", user_line())
        other = x if y is None else y
        self.sides.append((op, (x > 0, x < 0, x > other, x < other) if op.smooth else (), node))
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

    def again(self, moved: list[Any]) -> Any:
        """f at other numbers for inputs (anything that computes) and parameters (doubles)."""
        count = len(moved) - len(self.parameters)
        given = rebuilt(list(self.inputs), iter(moved[:count]))
        return self.f(*given)


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


def pulled(node: Value) -> list[float]:
    """The local derivatives that the node's pullback really uses, found by letting it pull 1."""
    assert node.op is not None
    copy = Value(node.data)
    copy.x = node.x
    copy.a, copy.b = (Value(0.0), None) if node.op.arity == 1 else (Value(0.0), Value(0.0))
    if node.op.arity == 2:
        copy.y = node.y
    copy.grad = 1.0
    for parent in copy.parents:
        parent.grad = 0.0
    # A hook is the user's; what is checked is the operation's own pullback.
    (node.op if node._row.hooks else node._row).pullback(copy)
    return [parent.grad for parent in copy.parents]


def _operands(node: Value) -> list[float]:
    assert node.op is not None
    return [node.x, node.y] if node.op.arity == 2 else [node.x]


def _slopes(op: Operation, operands: list[float], k: int) -> tuple[float, float, float]:
    """Left, central and right slope of a row's value in operand k, from decimals."""
    with precise.digits(precise.enough(operands)):
        at = [Decimal(x) for x in operands]
        step = (abs(at[k]) or Decimal(1)) * Decimal("1e-25")

        def moved(steps: int) -> Decimal:
            return precise.value(op, *at[:k], at[k] + steps * step, *at[k + 1 :])

        below, here, above = moved(-1), moved(0), moved(1)
        return (
            float((here - below) / step),
            float((above - below) / (2 * step)),
            float((above - here) / step),
        )


def _ulps(found: float, exact: float) -> float:
    if found == exact or abs(found - exact) <= FLOOR:
        return 0.0
    return abs(found - exact) / math.ulp(exact)


def _local(case: _Case, inner: list[Value], name: dict[Value, str]) -> list[tuple[Value, str]]:
    """The nodes whose value or local derivative is wrong, and how."""
    wrong = []
    for node in inner:
        op, operands = node.op, _operands(node)
        assert op is not None
        if not all(math.isfinite(x) for x in [*operands, node.data]):
            continue
        with precise.digits(precise.enough(operands)):
            z = float(precise.value(op, *map(Decimal, operands)))
        where = _where(node, operands, name)
        if math.isfinite(z) and _ulps(node.data, z) > 4:
            wrong.append((node, f"value of {op.name}: {node.data!r}, should be {z!r}; {where}"))
            continue
        for k, used in enumerate(pulled(node)):
            left, middle, right = _slopes(op, operands, k)
            if not (math.isfinite(left) and math.isfinite(right)):
                continue  # an end: there is nothing to compare with
            low, high = min(left, right), max(left, right)
            kink = high - low > 1e-12 * max(abs(low), abs(high), FLOOR)
            if kink and low - 1e-12 <= used <= high + 1e-12:
                continue
            if _ulps(used, middle) > 8 and not _cancels(op, operands, k, used, middle):
                slope = f"[{low!r}, {high!r}]" if kink else repr(middle)
                wrong.append(
                    (
                        node,
                        f"dz/d{'xy'[k]} of {op.name}: the pullback uses {used!r}, should be "
                        f"{slope}{_hint(used, middle)}; {where}",
                    )
                )
    return wrong


def _cancels(op: Operation, operands: list[float], k: int, used: float, exact: float) -> bool:
    """Whether a derivative is passing through 0, where its terms cancel, and right beside them.

    The terms' size shows a little to the side.  Further out a tenth of the operand would be a
    whole different size, and there no row's derivative has a zero.
    """
    if abs(operands[k]) > 5.0:
        return False
    aside = [x * (1.1 if i == k else 1.0) for i, x in enumerate(operands)]
    terms = abs(_slopes(op, aside, k)[1])
    return abs(used - exact) <= 16 * ROUNDING * terms


def _where(node: Value, operands: list[float], name: dict[Value, str]) -> str:
    at = ", ".join(f"{n} = {x!r}" for n, x in zip("xy", operands, strict=False))
    line = f", at {node.line}" if node.line else ""
    return f"node {name.get(node, node.label) or '?'}, {at}{line}"


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


def _adjoint(
    root: Value, inner: list[Value], ends: list[Value], name: dict[Value, str]
) -> tuple[dict[Value, float], dict[Value, tuple[float, float]], list[tuple[Value, str]]]:
    """The engine's gradients; our own, with the size of all paths; nodes whose sum is wrong."""
    order = [*inner, *ends]
    before = [node.grad for node in order]
    wrong: list[tuple[Value, str]] = []
    try:
        for node in order:
            node.grad = 0.0
        root.backward()
        first = {node: node.grad for node in order}
        for leaf in ends:
            leaf.grad = 0.0
        root.backward()
        wrong += [
            (node, f"backward twice gives {first[node]!r}, then {node.grad!r}")
            for node in order
            if node.grad.hex() != first[node].hex() and node.grad == node.grad
        ]
    finally:
        restore(order, before)
    terms: dict[Value, list[float]] = {node: [] for node in order}
    size, own = dict.fromkeys(order, 0.0), dict.fromkeys(order, 0.0)
    terms[root].append(1.0 if root.data == root.data else math.nan)
    size[root] = own[root] = 1.0
    for node in reversed(inner):
        slopes = dict(zip("ab", pulled(node), strict=False))
        for side in ("a", "b"):
            parent = getattr(node, side)
            if parent is not None:
                slope = slopes[side]
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
        allowed = 4 * ROUNDING * (len(parts) + 1) * sum(map(abs, parts)) + FLOOR
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

    @property
    def kink(self) -> bool:
        """Whether the two one-sided slopes differ."""
        gap = abs(self.left - self.right)
        return gap > 1e-12 * max(abs(self.left), abs(self.right)) and gap > FLOOR


def _by_decimals(case: _Case, direction: list[int], precision: int) -> _Seen:
    """The slope of f along some inputs, by running f on decimals."""
    count = len(case.at) - len(case.parameters)
    rounded = False

    def run(step: Decimal) -> tuple[Decimal, list[Any]]:
        moved = [Decimal(x) + (step if k in direction else 0) for k, x in enumerate(case.at)]
        mode = precise.Run(dict(zip(case.parameters, moved[count:], strict=True)))
        with precise.digits(precision), entered(mode):
            inputs: list[Any] = [precise.Carrier(mode, x) for x in moved[:count]]
            out = case.again([*inputs, *case.parameters])
            nonlocal rounded
            rounded = rounded or mode.rounded
            return mode.decimal(out), mode.sides

    size = max((abs(case.at[k]) for k in direction), default=0.0)
    with precise.digits(precision):
        h = (Decimal(size) if size else Decimal(1)) * Decimal("1e-20")
        here, _ = run(Decimal(0))
        found = []
        for step in (h, h / 1000):
            (above, sides), (below, others) = run(step), run(-step)
            slopes = (here - below) / step, (above - below) / (2 * step), (above - here) / step
            found.append([float(slope) for slope in slopes])
        (left, wide, right), (left2, middle, right2) = found
    seen = _Seen(left, middle, right, 1e-15 * abs(middle) + abs(middle - wide))
    seen.rounded = rounded
    if abs(left2 - right2) < 0.1 * abs(left - right):
        seen.left = seen.right = middle  # the gap shrinks with the step: a bend, not a kink
    if seen.kink:
        for i, ((op, one), (_, two)) in enumerate(zip(sides, others, strict=False)):
            if one != two:
                line = case.traced.sides[i][2].line if i < len(case.traced.sides) else ""
                seen.switched = f"{op.name}" + (f" at {line}" if line else "")
                break
    return seen


def _by_doubles(case: _Case, k: int, noise: float) -> _Seen:
    """The same by extrapolated differences of doubles, on this side of every kink."""
    signature = [(op, side) for op, side, _ in case.traced.sides]
    strayed = False

    def along(t: float) -> float:
        nonlocal strayed
        moved = [Value(x) for x in case.at[: len(case.at) - len(case.parameters)]]
        before = [p.data for p in case.parameters]
        traced = _Traced()
        try:
            if k < len(moved):
                moved[k] = Value(t)
            else:
                case.parameters[k - len(moved)].data = t
            with entered(traced):
                out = case.again([*moved, *case.parameters])
        finally:
            for parameter, data in zip(case.parameters, before, strict=True):
                parameter.data = data
        if [(op, side) for op, side, _ in traced.sides] != signature:
            strayed = True
        return float(out)

    x, best = case.at[k], (math.nan, math.inf)
    for scale in (1.0, 1e-2, 1e-4, 1e-6):
        strayed = False
        slope, error = ridders(lambda t, scale=scale: along(x + (t - x) * scale), x)  # type: ignore[misc]
        # The estimate knows nothing of the noise that all its differences share.
        smallest = 1e-4 * scale * max(abs(x), 0.1)
        slope, error = slope / scale, error / scale + noise / smallest
        if not strayed and error < best[1]:
            best = slope, error
    return _Seen(best[0], best[0], best[0], best[1], how="double")


def _precision(case: _Case) -> int:
    """Digits for a run of the whole function: more where numbers of very different size meet."""
    inner = [node for node in topological(case.root) if node.op]
    return 40 + precise.enough(x for node in inner for x in [*_operands(node), node.data])


def _judge(
    case: _Case, k: int, found: float, size: float, sound: bool, seen: _Seen, replayed: Any
) -> Row:
    allowed = 1e-9 * abs(seen.middle) + 16 * ROUNDING * size + FLOOR + 4 * seen.error
    row = Row(case.labels[k], case.at[k], found, seen.middle, seen.error, Verdict.PASS)
    if not math.isfinite(seen.middle):
        row.verdict = Verdict.INCONCLUSIVE
        row.note = "the function has no finite slope here, or cannot be run beside this point"
        if found != found and seen.middle != seen.middle:
            row.note = "both are nan"
    elif seen.kink:
        low, high = sorted((seen.left, seen.right))
        inside = low - allowed <= found <= high + allowed
        row.verdict = Verdict.KINK if inside or sound else Verdict.FAIL
        row.note = f"slopes {seen.left:.6g} from the left, {seen.right:.6g} from the right"
        row.note += f" ({seen.switched} switches)" if seen.switched else ""
        row.note += "" if inside else ", and the gradient is neither nor between"
    elif seen.how == "double" and seen.error > 1e-5 * max(abs(found), abs(seen.middle), FLOOR):
        row.verdict = Verdict.INCONCLUSIVE
        row.note = "differences of doubles are too noisy here"
    elif not abs(found - seen.middle) <= allowed:
        row.verdict = Verdict.FAIL
        row.note = f"{_hint(found, seen.middle).strip()}"
        if sound and math.isfinite(found):
            true = replayed()
            if true is not None and abs(true - seen.middle) <= 1e-9 * abs(seen.middle) + FLOOR:
                row.verdict = Verdict.ILL_CONDITIONED
                lost = math.log10(abs(found - seen.middle) / (ROUNDING * abs(seen.middle)))
                row.note = f"about {max(0, round(lost))} of 16 digits lost to rounding"
            else:
                row.note += " every operation and sum is right, so a branch is cut from the graph:"
                row.note += " .data, float() or detach() in the function?"
    return row


def _replay(case: _Case, inner: list[Value], k: int, precision: int) -> float | None:
    """The slope of the recorded graph, recomputed on decimals: what the gradient should be."""
    if not inner:
        return None
    with precise.digits(precision):
        size = abs(case.at[k])
        h = (Decimal(size) if size else Decimal(1)) * Decimal("1e-20")
        ends = []
        for step in (h, -h):
            data: dict[Value, Decimal] = {case.nodes[k]: Decimal(case.at[k]) + step}
            for node in inner:
                operands = [
                    data.get(p, Decimal(x)) if p is not None else Decimal(x)
                    for p, x in zip((node.a, node.b), _operands(node), strict=False)
                ]
                assert node.op is not None
                data[node] = precise.value(node.op, *operands)
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
            also on decimal numbers, so it must be deterministic.
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
    case = _record(f, inputs, parameters)
    twice = _record(f, inputs, parameters)
    if twice.root.data.hex() != case.root.data.hex():
        raise ValueError(
            f"check_gradients: f gave {case.root.data!r} and then {twice.root.data!r} for the same "
            "inputs; fix its random numbers by a seed"
        )
    inner, ends = visited(case.root)
    everything = [*ends, *inner]
    for node, label in zip(case.nodes, case.labels, strict=True):
        node.label = node.label or label
    name = names(everything)
    wrong = _local(case, inner, name)
    grads, ours, badly = _adjoint(case.root, inner, ends, name)
    wrong += badly
    sizes = [grads[node] * node.data for node in inner]
    noise = 3 * ROUNDING * math.hypot(*(x for x in sizes if math.isfinite(x)), case.root.data)
    chosen = list(range(len(case.nodes)))
    if sample is not None and sample < len(chosen):
        chosen = sorted(random.Random(seed).sample(chosen, sample))  # noqa: S311 - no secret
    precision = _precision(case)
    report = Report([], [text for _, text in wrong], [node for node, _ in wrong])
    for k in chosen:
        node = case.nodes[k]
        seen = _see(case, k, precision, noise)
        found, (own, size) = grads.get(node, 0.0), ours.get(node, (0.0, 0.0))
        sound = not wrong and abs(found - own) <= 64 * ROUNDING * size + FLOOR
        report.rows.append(
            _judge(
                case,
                k,
                found,
                size,
                sound,
                seen,
                lambda k=k: _replay(case, inner, k, precision),
            )
        )
    if order == 2 and len(case.nodes) > len(case.parameters):
        report.rows += _second(case, precision, seed)
    return report


def _see(case: _Case, k: int, precision: int, noise: float) -> _Seen:
    try:
        seen = _by_decimals(case, [k], precision)
    except Exception:  # a function may refuse decimals in any way it likes
        return _by_doubles(case, k, noise)
    if seen.rounded:
        # A step of 1e-20 does not survive float(); if that number decided nothing but a branch,
        # doubles see the same slope, and if it went on into the result, they see another.
        coarse = _by_doubles(case, k, noise)
        gap = abs(coarse.middle - seen.middle)
        if gap > 0.01 * max(abs(coarse.middle), abs(seen.middle)) + 10 * coarse.error:
            return coarse
    return seen


def _second(case: _Case, precision: int, seed: int) -> list[Row]:
    """Rows for the Hessian along a random direction, against second differences of decimals."""
    count = len(case.at) - len(case.parameters)
    rng = random.Random(seed)  # noqa: S311 - no secret
    v = [rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) for _ in range(count)]

    def of_one_argument(parts: list[Any]) -> Any:
        return case.f(*rebuilt(list(case.inputs), iter(parts)))

    found = hvp(of_one_argument, case.at[:count], v)
    rows = []
    for k in range(count):

        def run(i: int, j: int, h: Decimal, k: int = k) -> Decimal:
            moved = [Decimal(x) + j * h * Decimal(v[m]) for m, x in enumerate(case.at[:count])]
            moved[k] += i * h
            mode = precise.Run({})
            with precise.digits(precision + 40), entered(mode):
                inputs: list[Any] = [precise.Carrier(mode, x) for x in moved]
                return mode.decimal(of_one_argument(inputs))

        row = Row(f"d2/d{case.labels[k]} dv", case.at[k], found[k], math.nan, 0.0, Verdict.PASS)
        rows.append(row)
        try:
            with precise.digits(precision + 40):
                h = Decimal("1e-30")
                cross = run(1, 1, h) - run(1, -1, h) - run(-1, 1, h) + run(-1, -1, h)
                row.referee = float(cross / (4 * h * h))
        except Exception:  # a function may refuse decimals in any way it likes
            row.verdict, row.note = Verdict.INCONCLUSIVE, "the function refuses decimals"
            continue
        row.error = 1e-12 * abs(row.referee)
        if not math.isfinite(row.referee) or abs(row.referee) > 1e18:
            row.verdict, row.note = Verdict.KINK, "the first derivative jumps here"
        elif not abs(row.analytic - row.referee) <= 1e-8 * max(abs(row.referee), 1e-6):
            row.verdict, row.note = Verdict.FAIL, _hint(row.analytic, row.referee).strip()
    return rows


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
    given = [float(leaf) for leaf in leaves(list(inputs))]
    slopes = []
    for k in range(len(given)):
        ends = []
        for h in (step, -step):
            moved = [Value(x + h if i == k else x) for i, x in enumerate(given)]
            ends.append(float(f(*rebuilt(list(inputs), iter(moved)))))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return tuple(rebuilt(list(inputs), iter(slopes)))
