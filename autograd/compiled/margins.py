"""How far a row carries rounding, and where rounding could change a decision: read from its text.

A compiled number may differ from the eager one by at most its margin.  For a row z = h(x, y) whose
operands have the margins p and q, there are two more rules in the language of the rows:

    margin   how far z may be off
    doubt    above 0 where, within the margins, a comparison in the row's texts may have another
             answer, or z jumps

The margin is |dz/dx| p + |dz/dy| q, with the slopes at the ends of x +- p and y +- q, plus ULPS for
functions that native code, NumPy and Python's `math` round differently.  That is right where the
slopes hardly change.  Where a slope has a pole, as the row's `smooth` column says, the row is in
doubt within POLE_MARGINS times the margins.  Where the margins are too wide for slopes to tell
(many periods of a sine, a pole of tan), the margin is inf.
"""

import ast
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from autograd import rules
from autograd.operation import Operation
from autograd.value import rows

ULPS = 16  # between two engines' values of one row; each is within a few ulp of the true value
MIN_MARGIN = 1e-300  # a margin is 0, or above this
UNDERFLOW = 1e-299
MIN_ACCURATE = 1e-280  # a smaller result of a function is only accurate to UNDERFLOW
MAX_RESULT = 1e300  # a larger result may overflow
HUGE = 1e280  # with a larger margin, the terms of a sum may have overflowed
MAX_MOVE = 2.0**-10  # farther moves of operands and z, relative to 1 + their size, are not linear
MAX_STEEPNESS = 2.0**20  # of |x dz/dx|, relative to 1 + |z|, for functions without periods
POLE_MARGINS = 1024.0  # this many margins away from its pole, a slope changes by some thousandths
SLOPE_SLACK = 1 + 2.0**-6  # a factor for such changes
_NOISE = ULPS * 2.0**-52
_STEPS = {"ceil", "floor", "fmod", "remainder", "trunc"}  # functions of libm that jump
_ROUNDED = {"fabs", "sqrt", *_STEPS}  # IEEE 754 rounds them the same everywhere
MIN_WHOLE = 2.0**50  # larger numbers are whole or halves
_MARGIN = {"x": "p", "y": "q"}


@dataclass(frozen=True)
class Variant:
    """A row of the table, by name, and the operands whose zeros may have the other sign.

    Any operand may have been rounded; an exact one has a margin of 0.  `unsigned` names only
    operands for which the sign of a zero matters.
    """

    op: str
    unsigned: str


def variant(op: Operation, unsigned: str) -> Variant:
    """The variant of a row for operands whose zeros may have the other sign.

    >>> variant(rows()["maximum"], "x"), variant(rows()["div"], "xy").unsigned
    (Variant(op='maximum', unsigned=''), 'y')
    """
    return Variant(op.name, "".join(v for v in signed(op) if v in unsigned))


@dataclass(frozen=True)
class Margins:
    """The two rules for a row, and the parts that they share, in the order of computation.

    Their variables are x and y, the result z, and the margins p and q.

    >>> ast.unparse(margins(rows()["abs"]).parts["x0"])
    'x - p'
    """

    parts: dict[str, ast.expr]
    margin: ast.expr
    doubt: ast.expr


@cache
def margins(op: Operation, unsigned: str = "") -> Margins:
    """The rules for a row; `unsigned` names the operands whose zeros may have the other sign."""
    writer = _Writer(op, "".join(v for v in signed(op) if v in unsigned))
    margin = writer.margin()
    doubt = writer.doubt() if decides(op, writer.operands, unsigned) else "0.0"
    parts = {name: _tree(part) for name, part in writer.parts.items()}
    return Margins(parts, _tree(margin), _tree(doubt))


def decides(op: Operation, inexact: str, unsigned: str = "") -> bool:
    """Whether rounding could change a decision inside the row, if these operands are not exact."""
    names, rounds = compared(op)
    crossed = set(signed(op)) & set(inexact + unsigned)
    return bool(rounds or set(names) & set(inexact) or crossed)


@cache
def compared(op: Operation) -> tuple[str, bool]:
    """The operands that decide something in a row, and whether the row rounds before it decides.

    They decide the side of a kink, the end of a domain, or a step.  The comparisons of a row that
    is smooth everywhere do not count, because both of their branches agree.

    >>> compared(rows()["div"]), compared(rows()["maximum"]), compared(rows()["tanh"])
    (('y', False), ('xy', False), ('', False))
    """
    sides = [side for test in _tests(op) for side in (test.left, test.comparators[0])]
    trees = [*sides, *_pieces(op), op.value_tree] if jumps(op) else sides
    names = "".join(v for v in "xy" if any(rules.uses(tree, v) for tree in trees))
    return names, not all(_is_decided(test) for test in _tests(op))


@cache
def against_zero(op: Operation) -> str:
    """The operands of a row that are compared with nothing but 0 and negative constants.

    >>> against_zero(rows()["div"]), against_zero(rows()["log1p"]), against_zero(rows()["maximum"])
    ('xy', 'x', '')
    """
    names = {v for v in "xy"[: op.arity] if not jumps(op)}
    for test in _tests(op):
        side, other = (ast.unparse(part) for part in (test.left, test.comparators[0]))
        plain = re.fullmatch(r"-\d+|0", other) and re.fullmatch(r"(abs\()?[xy]\)?", side)
        names -= set() if plain else {v for v in names if rules.uses(test, v)}
    return "".join(sorted(names))


def _is_decided(test: ast.Compare) -> bool:
    """Whether a comparison of exact operands has the same answer everywhere."""
    sides: list[ast.AST] = [test.left, test.comparators[0]]
    if any(isinstance(side, ast.Constant) and side.value == 0 for side in sides):
        # Functions have a small relative error, so their sign is right.
        sides = [arg for side in sides for arg in getattr(side, "args", [side])]
    return all(map(_is_exact, sides))


def jumps(op: Operation) -> bool:
    """Whether the row has jumps: its own (by its column `pieces`), or those of a row it calls."""
    called = [rows()[name] for name in rules.calls(_whole(op, op.value_tree))]
    return bool(op.pieces) or any(row.pieces or row.libm in _STEPS for row in called)


def _pieces(op: Operation) -> list[ast.expr]:
    """The rule that numbers the row's pieces, if there is one."""
    arities = {name: row.arity for name, row in rows().items()}
    return [rules.parse(op.pieces, "xy"[: op.arity], arities)] if op.pieces else []


@cache
def signed(op: Operation) -> str:
    """The operands for which -0.0 and 0.0 give different values, as y in x / y; found by trying.

    >>> signed(rows()["div"]), signed(rows()["relu"])
    ('y', '')
    """
    return "".join(v for v in "xy"[: op.arity] if any(_differs_at_zero(op, v)))


def _differs_at_zero(op: Operation, operand: str) -> list[bool]:
    """Whether -0.0 and 0.0 give different values, for some values of the other operand."""
    differs = []
    for other in (-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0) if op.arity == 2 else (0.0,):
        pair = [(zero, other) if operand == "x" else (other, zero) for zero in (-0.0, 0.0)]
        below, above = (op.value(*operands[: op.arity]) for operands in pair)
        if below == below and above == above:  # not nan
            differs.append(below != above)
    return differs


@cache
def is_exact(op: Operation) -> bool:
    """Whether all engines give the same bits for the same operands.

    >>> is_exact(rows()["div"]), is_exact(rows()["exp"])
    (True, False)
    """
    return _is_exact(_whole(op, op.value_tree))


def _is_exact(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if not _is_rounded_alike(name):
                return False
            case ast.BinOp(op=ast.Pow()):
                return False
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                inside = [part for side in (left, right) for part in ast.walk(side)]
                # A product in a sum may be rounded together with the sum.
                if any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult) for n in inside):
                    return False
    return True


def _is_rounded_alike(name: str) -> bool:
    """Whether all engines give the same bits for a row: a step, or a function IEEE 754 fixes."""
    return bool(rows()[name].pieces) or rows()[name].libm in _ROUNDED


def _whole(op: Operation, tree: ast.expr) -> ast.expr:
    """A tree of the row in x and y only, which calls nothing but functions of libm and steps."""
    z = rules.written_out(op.value_tree, op.where_trees)
    tree = rules.substitute(rules.written_out(tree, op.where_trees), {"z": z})
    return rules.expand(tree, {name: row for name, row in rows().items() if not row.pieces})


@cache
def _tests(op: Operation) -> list[ast.Compare]:
    """The comparisons of a row that has kinks or ends of its domain."""
    if not op.smooth or op.pieces:
        return []
    trees = [_whole(op, tree) for tree in (op.value_tree, *op.partial_trees, op.smooth_tree)]
    tests = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    return list({ast.unparse(test): test for test in tests}.values())


@cache
def _has_poles(op: Operation) -> bool:
    """Whether a slope can become large; those of relu and maximum cannot."""
    trees = [_whole(op, tree) for tree in op.partial_trees]
    return any(
        isinstance(node, ast.Call)
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Pow))
        for tree in trees
        for node in ast.walk(tree)
    )


@cache
def _mixes(op: Operation) -> bool:
    """Whether a pole depends on both operands, as that of atan2 does."""
    sides = [side for test in _tests(op) for side in (test.left, test.comparators[0])]
    return _has_poles(op) and any(all(rules.uses(side, v) for v in "xy") for side in sides)


class _Unconditional(ast.NodeTransformer):
    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.Tuple([self.visit(node.body), self.visit(node.orelse)])


def _without_tests(tree: ast.expr) -> ast.expr:
    """The tree with both branches in place of each conditional."""
    return _Unconditional().visit(tree)  # type: ignore[no-any-return]


def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


Range = tuple[str, str]  # the texts of the smallest and the largest value


@dataclass
class _Writer:
    """Writes the rules part by part; equal texts share a part."""

    op: Operation
    unsigned: str
    parts: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.operands = "xy"[: self.op.arity]
        self.reach = " + ".join(_MARGIN[v] for v in self.operands)
        self.near = {
            v: (self.part(f"{v} - {_MARGIN[v]}"), self.part(f"{v} + {_MARGIN[v]}"))
            for v in self.operands
        }
        self.ends: dict[str, Range] = {v: (f"{v}0", f"{v}1") for v in self.operands}
        for v in self.operands:
            p = self.apart(v)
            below, above = f"{v} - {p}", f"{v} + {p}"
            if v in self.unsigned:  # from a zero with a minus to one without
                below = f"{below} if abs({v}) > 0 else -0.0 - {p}"
                above = f"{above} if abs({v}) > 0 else 0.0 + {p}"
            self.parts |= {f"{v}0": below, f"{v}1": above}

    def apart(self, v: str) -> str:
        """The distance around an operand within which every decision must be the same."""
        if not _has_poles(self.op):
            return _MARGIN[v]
        if not _mixes(self.op):
            return f"{POLE_MARGINS!r} * {_MARGIN[v]}"
        return f"{POLE_MARGINS!r} * ({self.reach})"

    def part(self, text: str) -> str:
        """The name of a part with this text."""
        name = self.names.get(text)
        if name is None:
            name = self.names[text] = f"m{len(self.names)}"
            self.parts[name] = text
        return name

    def at(self, tree: ast.expr, operands: dict[str, str]) -> str:
        """The name of the part for one of the row's trees at these operands."""
        names: dict[str, ast.expr] = {v: ast.Name(name) for v, name in operands.items()}
        for name, shared in rules.parts(self.op, tree).items():
            names[name] = ast.Name(self.part(ast.unparse(rules.substitute(shared, names))))
        return self.part(ast.unparse(rules.substitute(tree, names)))

    # ------------------------------------------------------------------ the margin

    def margin(self) -> str:
        """The margin of z, as the text of a rule."""
        moved = {v: self.moved(v) for v in self.operands}
        total = self.part(" + ".join(moved.values()))
        size = self.part("1 + abs(z)")
        bounds = {total: f"{MAX_MOVE!r} * {size}"}
        slack = 1.0
        if _has_poles(self.op):
            slack = SLOPE_SLACK
            for v in self.operands:
                p = _MARGIN[v]
                bounds[p] = f"{MAX_MOVE!r} * (1 + abs({v}))"
                steep = self.part(f"0.0 if {p} < {MAX_MOVE!r} else abs({v}) * {self.slope(v)}")
                bounds[steep] = f"{MAX_STEEPNESS!r} * {size}"
                if rules.uses(self.op.partial_trees["xy".index(v)], "z"):
                    # The slope uses z itself, so z may not move far.
                    bounds[moved[v]] = f"{MAX_MOVE!r} * abs(z) + {MIN_MARGIN!r}"
        text = f"{slack!r} * {total} + {self.noise(total)}"
        for quantity, bound in bounds.items():
            text = f"({text} if {quantity} < {bound} else inf)"
        if is_exact(self.op):
            text = f"0.0 if {self.reach} < {MIN_MARGIN!r} else {text}"
        return self.part(text)

    def slope(self, v: str) -> str:
        """The size of the slope in an operand: the largest at the ends, plus how much it varies."""
        partial = self.op.partial_trees["xy".index(v)]
        whole = _without_tests(rules.written_out(partial, self.op.where_trees))
        ends = {u: self.near[u] if rules.uses(whole, u) else (u,) for u in self.ends}
        corners = itertools.product(*ends.values())
        slopes = [
            self.part(f"abs({self.at(partial, dict(zip(ends, corner, strict=True)))})")
            for corner in corners
        ]
        while len(slopes) > 1:  # the result is nan if any slope is
            a, b, *slopes = slopes
            slopes.append(a if a == b else self.part(f"0.5 * ({a} + {b}) + 1.5 * abs({a} - {b})"))
        return slopes[0]

    def moved(self, v: str) -> str:
        """How far z moves when an operand moves by its margin."""
        p, slope = _MARGIN[v], self.slope(v)
        least = f"({2 * MIN_MARGIN!r} if {slope} > 0 else 0.0)"
        return self.part(f"0.0 if {p} < {MIN_MARGIN!r} else {slope} * {p} + {least}")

    def noise(self, moved: str) -> str:
        """How far two values of the row differ by rounding and underflow alone."""
        noise = f"({_NOISE!r} * (abs(z) + {moved}) if abs(z) < {MAX_RESULT!r} else inf)"
        lost = f"{UNDERFLOW!r}"
        if is_exact(self.op):
            lost = f"({lost} if abs(z) > 0 else 0.0)"
            noise = f"({noise} if {moved} > 0 else 0.0)"
        else:
            for v in self.ends:  # the value of a function at 0 is exact
                lost = f"({lost} if abs({v}) > 0 else 0.0)"
        return f"{noise} + ({lost} if abs(z) < {MIN_ACCURATE!r} else 0.0)"

    # ------------------------------------------------------------------ doubt

    def doubt(self) -> str:
        """Above 0 where a decision may change, as the text of a rule."""
        terms = [f"(0.0 if {_MARGIN[v]} < {HUGE!r} else 1.0)" for v in self.operands]
        for test in _tests(self.op):
            sides = [self.range(side) for side in (test.left, test.comparators[0])]
            less, more = sides if isinstance(test.ops[0], ast.Lt) else sides[::-1]
            if less[0] != less[1] or more[0] != more[1]:
                terms.append(
                    f"(0.0 if {less[1]} < {more[0]} else 1.0 if {less[0]} < {more[1]} else 0.0)"
                )
        return self.part(" + ".join([*terms, *self.steps(), *self.crossings()]) or "0.0")

    def steps(self) -> list[str]:
        """Above 0 where a step lies within the margins."""
        if not jumps(self.op):
            return []
        text = self.passed(*_pieces(self.op)) if self.op.pieces else self.leaps()
        return [f"(0.0 if {self.reach} < {MIN_MARGIN!r} else {text})"]

    def passed(self, pieces: ast.expr) -> str:
        """Above 0 where the argument of a step, or twice that, passes a whole number.

        The argument of a step of two operands is their quotient.  This does not need the long text
        of the step itself, but it is in doubt at twice as many points as there are jumps.
        """
        tests = []
        for node in ast.walk(pieces):
            if isinstance(node, ast.Call) and not rows()[ast.unparse(node.func)].libm:
                whole = (
                    node.args[0]
                    if len(node.args) == 1
                    else ast.BinOp(node.args[0], ast.Div(), node.args[1])
                )
                low, high = self.rounded(self.range(whole))
                left, right = (self.part(f"fmod(2 * {end}, 1)") for end in (low, high))
                apart = f"abs(2 * {low} - {left} - (2 * {high} - {right}))"
                tests += [
                    f"(0.0 if {apart} < 0.5 else 1.0)",
                    f"(0.0 if abs({left}) > 0 else 1.0)",
                    f"(0.0 if abs({right}) > 0 else 1.0)",
                    f"(0.0 if {low} > 0 else 0.0 if {high} < 0 else 1.0)",
                    f"(0.0 if abs({low}) < {MIN_WHOLE!r} else 1.0)",
                ]
        return " + ".join(tests)

    def crossings(self) -> list[str]:
        """Above 0 where an operand crosses 0, if the sign of its zeros matters."""
        crossing = signed(self.op)
        if not crossing:
            return []
        always = all(all(_differs_at_zero(self.op, v)) for v in crossing)
        still = f"1.0 if {self.reach} < {MIN_MARGIN!r} else 0.0"
        apart = " + ".join(
            f"(1.0 if {v}0 > 0 else 1.0 if {v}1 < 0 else {'0.0' if v in self.unsigned else still})"
            for v in crossing
        )
        leaps = "1.0" if always or self.op.pieces else self.leaps()
        return [f"(0.0 if {apart} > {len(crossing) - 0.5} else {leaps})"]

    def leaps(self) -> str:
        """Above 0 where z differs more between the corners of the margins than its slopes allow."""
        moved = " + ".join(self.moved(v) for v in self.operands)
        allowed = f"{4 * POLE_MARGINS!r} * ({moved}) + {4 * _NOISE!r} * abs(z) + {MIN_MARGIN!r}"
        whole = rules.written_out(self.op.value_tree, self.op.where_trees)
        sides = itertools.product(*(dict.fromkeys(ends) for ends in self.ends.values()))
        # These are not parts, which are always computed.
        first, *others = (
            ast.unparse(
                rules.substitute(
                    whole, {v: ast.Name(end) for v, end in zip(self.ends, corner, strict=True)}
                )
            )
            for corner in sides
        )
        tests = [f"(0.0 if abs(({other}) - ({first})) < {allowed} else 1.0)" for other in others]
        return " + ".join(tests) or "0.0"

    # ------------------------------------------------------------------ ranges

    def range(self, tree: ast.expr) -> Range:
        """The smallest and the largest value of a tree within the margins."""
        match tree:
            case ast.Name(id=name):
                return self.ends.get(name, (name, name))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                low, high = self.range(operand)
                return self.part(f"-{high}"), self.part(f"-{low}")
            case ast.UnaryOp(operand=operand):
                return self.range(operand)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.between("+", self.range(left), self.range(right))
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return self.between("-", self.range(left), self.range(right)[::-1])
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return self.hull("{} * {}", [self.range(left), self.range(right)])
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self.quotient(self.range(left), self.range(right))
            case ast.BinOp(left=left, right=right):
                return self.rounded(self.called("{} ** {}", [left, right]))
            case ast.IfExp(body=body, orelse=orelse):
                return self.extremes([*self.range(body), *self.range(orelse)])
            case ast.Call(func=ast.Name(id=name), args=arguments):
                call = f"{name}({', '.join(['{}'] * len(arguments))})"
                if rows()[name].pieces and len(arguments) == 2:  # not monotonic
                    exact = f"{ast.unparse(tree)} if {self.reach} < {MIN_MARGIN!r} else"
                    return self.part(f"{exact} -inf"), self.part(f"{exact} inf")
                ends = self.called(call, arguments)
                return ends if _is_rounded_alike(name) else self.rounded(ends)
        text = ast.unparse(tree)
        return text, text

    def between(self, sign: str, left: Range, right: Range) -> Range:
        """The range of a sum or difference, from the first ends of both sides to the second."""
        low = self.part(f"{left[0]} {sign} {right[0]}")
        same = left[0] == left[1] and right[0] == right[1]
        return low, low if same else self.part(f"{left[1]} {sign} {right[1]}")

    def quotient(self, left: Range, right: Range) -> Range:
        """The range of a quotient: all numbers if the divisor may be 0."""
        low, high = self.hull("{} / {}", [left, right])
        if right[0] == right[1]:
            return low, high
        pole = f"{right[0]} > 0 else {{0}} if {right[1]} < 0 else"
        return (self.part(f"{low} if {pole.format(low)} -inf"),
                self.part(f"{high} if {pole.format(high)} inf"))  # fmt: skip

    def hull(self, form: str, ranges: Iterable[Iterable[str]]) -> Range:
        """The range of a form's values at all combinations of these ends."""
        ends = itertools.product(*(dict.fromkeys(side) for side in ranges))
        return self.extremes([self.part(form.format(*corner)) for corner in ends])

    def called(self, form: str, arguments: list[ast.expr]) -> Range:
        """The range of a function, from its values at the ends, and at 0 if that is in between."""
        ranges: list[list[str]] = []
        for low, high in map(self.range, arguments):
            inside = f"{low} if {low} > 0 else {high} if {high} < 0 else 0.0"
            ranges.append([low] if low == high else [low, high, self.part(inside)])
        return self.hull(form, ranges)

    def rounded(self, ends: Range) -> Range:
        """A range, widened by the rounding in which engines differ."""
        low, high = ends
        return (self.part(f"{low} - {_NOISE!r} * abs({low})"),
                self.part(f"{high} + {_NOISE!r} * abs({high})"))  # fmt: skip

    def extremes(self, names: list[str]) -> Range:
        """The smallest and the largest of some parts."""
        low = high = names[0]
        for other in dict.fromkeys(names[1:]):
            low = self.part(f"{other} if {other} < {low} else {low}")
            high = self.part(f"{other} if {other} > {high} else {high}")
        return low, high
