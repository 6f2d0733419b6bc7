"""Every row of the table: its value, its derivatives, its ends, and that a wrong row is noticed."""

import ast
import copy
import itertools
import math
import pickle
import random
import zlib
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mpmath import mp, mpf

import autograd
from autograd import Op, RuleError, Value, grad, hessian, record, rows, rules
from autograd.operands import number
from autograd.operation import Operation
from autograd.ops import Ops, table
from autograd.order import topological
from tests import reference

NAMES = list(rows())
# A derivative may be infinite at an end, which a transform warns of.
ENDLESS = pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
SLOPES = [slope for op in rows().values() for slope in op.slopes.values()]
GOLDEN = Path(__file__).parent / "golden"
INF, NAN = math.inf, math.nan
ENDS = [0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, -1e-300, 5e-324, math.inf, -math.inf, math.nan]


def seeded(name: str) -> random.Random:
    return random.Random(zlib.crc32(name.encode()))


def partials(op: Operation, operands: tuple[float, ...], z: float) -> list[float]:
    x, y = (*operands, None)[:2]
    return [float(dz(x, y, z)) for dz in (op.dx, getattr(op, "dy", None)) if dz]


def bits(number: float) -> str:
    return float(number).hex()


def pairs(op: Operation) -> list[tuple[float, ...]]:
    return [(x,) for x in ENDS] if op.arity == 1 else [(x, y) for x in ENDS for y in ENDS]


def error_in_ulps(op: Operation, operands: tuple[float, ...], computed: float, exact: Any) -> float:
    root = reference.CROSSES_ZERO.get(op.name)
    if root is not None and abs(operands[0] - root) < 0.5:
        return abs(float(computed - exact)) / math.ulp(0.25)
    return reference.ulps(computed, exact)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.untraced
def test_value_is_within_2_ulp_and_partials_within_4(name: str) -> None:
    op = rows()[name]
    for operands in [*reference.points(op, 40, seeded(name)), *reference.edges(op)]:
        z = op.value(*operands)
        if not math.isfinite(z):
            continue
        assert reference.value_ulps(op, operands, z) <= 2, operands
        for k, computed in enumerate(partials(op, operands, z)):
            exact = reference.partial(op, k, *operands)
            if abs(exact) < reference.LARGEST:
                assert error_in_ulps(op, operands, computed, exact) <= 4, (
                    operands,
                    ["dx", "dy"][k],
                )


@ENDLESS
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.untraced
def test_second_derivatives_are_right_to_1e_12(name: str) -> None:
    op, rng = rows()[name], seeded(name)
    second = hessian(lambda at: op(*at))
    near = reference.neighbours(op, 8, rng)
    edges = itertools.islice(reference.edges(op), 0, None, 3 if op.arity == 2 else 1)
    for operands in itertools.chain(reference.points(op, 8, rng), near, edges):
        if not math.isfinite(op.value(*operands)):
            continue
        found = second(list(operands))
        for i, j in itertools.product(range(op.arity), repeat=2):
            error = reference.second_error(op, i, j, found[i][j], *operands)
            assert error <= 1e-12, (operands, "xy"[i] + "xy"[j], found[i][j])


@pytest.mark.parametrize("name", [n for n in NAMES if not rows()[n].pieces])
@pytest.mark.untraced
def test_third_derivatives_come_from_differentiating_the_second(name: str) -> None:
    op, rng = rows()[name], seeded(name)
    tried = 0
    while tried < 3:
        at = [rng.choice([-1, 1]) * rng.uniform(0.2, 0.9) for _ in range(op.arity)]
        if not op.is_smooth(*at):
            if name == "acosh":
                at = [1.0 + abs(at[0])]
            else:
                continue
        tried += 1
        for order in itertools.combinations_with_replacement(range(op.arity), 3):
            found = nested(op, order)(at)
            with mp.workdps(200):
                counts = tuple(order.count(k) for k in range(op.arity))
                exact = mp.diff(lambda *x: reference.call(op, *x), tuple(map(mpf, at)), counts)
            assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-11), (at, order)


def nested(op: Operation, order: tuple[int, ...]) -> Callable[[list[Any]], Any]:
    """The function for the derivative in these operands, one after the other."""

    f: Callable[[list[Any]], Any] = lambda at: op(*at)  # noqa: E731

    def partial(f: Callable[[list[Any]], Any], k: int) -> Callable[[list[Any]], Any]:
        return lambda at: grad(f)(at)[k]

    for k in order:
        f = partial(f, k)
    return f


SECOND_ENDS: list[Any] = [
    # where a second derivative is no ordinary number, or comes from another form of the text
    ("asin", (1.0,), [INF]),
    ("asin", (-1.0,), [-INF]),
    ("asin", (2.0,), [NAN]),
    ("acos", (1.0,), [-INF]),
    ("acos", (-1.0,), [INF]),
    ("atanh", (1.0,), [INF]),
    ("atanh", (-1.0,), [-INF]),
    ("sqrt", (0.0,), [-INF]),
    ("cbrt", (0.0,), [-INF]),
    ("log", (0.0,), [-INF]),
    ("log1p", (-1.0,), [-INF]),
    ("acosh", (1.0,), [-INF]),
    ("tanh", (1000.0,), [0.0]),
    ("sigmoid", (-1000.0,), [0.0]),
    ("softplus", (1000.0,), [0.0]),
    ("silu", (-2000.0,), [0.0]),
    ("silu", (INF,), [0.0]),
    ("silu", (-INF,), [0.0]),
    ("erf", (1e200,), [0.0]),
    ("erf", (-INF,), [0.0]),
    ("erfc", (-INF,), [0.0]),
    ("gelu", (1e200,), [0.0]),
    ("gelu", (-INF,), [0.0]),
    ("hypot", (0.0, 0.0), [0.0, 0.0, 0.0]),
    ("atan2", (0.0, 0.0), [0.0, 0.0, 0.0]),
    ("atan2", (1.0, 1.0), [-0.5, 0.0, 0.5]),
    ("atan2", (1.5e308, 5e307), [0.0, 0.0, 0.0]),
    ("pow", (0.0, 0.0), [0.0, 0.0, 0.0]),
    ("pow", (0.0, 1.0), [0.0, -INF, 0.0]),
    ("pow", (0.0, 0.5), [-INF, -INF, 0.0]),
    ("pow", (0.0, 1.4), [INF, 0.0, 0.0]),
    ("pow", (0.0, 2.0), [2.0, 0.0, 0.0]),
    ("pow", (0.0, 3.0), [0.0, 0.0, 0.0]),
    ("pow", (0.0, -1.0), [INF, INF, INF]),
    ("pow", (-0.0, -1.0), [-INF, INF, INF]),
    ("pow", (-2.0, 3.0), [-12.0, NAN, NAN]),
    ("pow", (-2.0, 1.0), [0.0, NAN, NAN]),
    ("logaddexp", (3.0, 3.0), [0.25, -0.25, 0.25]),
    ("logaddexp", (1000.0, 0.0), [0.0, 0.0, 0.0]),
    ("logaddexp", (-INF, 0.0), [0.0, 0.0, 0.0]),
]


@ENDLESS
@pytest.mark.parametrize(("name", "operands", "seconds"), SECOND_ENDS)
def test_second_derivatives_at_ends_and_kinks(
    name: str, operands: tuple[float, ...], seconds: list[float]
) -> None:
    assert second_partials(rows()[name], operands) == pytest.approx(
        seconds, nan_ok=True, rel=1e-15, abs=0
    )


def second_partials(op: Operation, operands: tuple[float, ...]) -> list[float]:
    """dxx, or dxx, dxy and dyy; dxy must come out of both orders."""
    found = hessian(lambda at: op(*at))(list(operands))
    if op.arity == 1:
        return [found[0][0]]
    (xx, xy), (yx, yy) = found
    assert xy == yx or xy != xy
    return [xx, xy, yy]


# ------------------------------------------------------------------ derivatives as rows


@pytest.mark.parametrize("slope", SLOPES, ids=lambda op: op.name)
def test_the_row_of_a_derivative_has_the_bits_of_the_derivative(slope: Operation) -> None:
    name, _, partial = slope.name.rpartition("_")
    op = rows()[name]
    assert op.slopes[partial] is slope
    for operands in [*pairs(op), *reference.points(op, 10, seeded(name))]:
        z = op.value(*operands)
        x, y = (*operands, None)[:2]
        wanted = getattr(op, partial)(x, y, z)
        assert bits(slope(*operands)) == bits(wanted), operands
        nodes = [Value(v) for v in operands]
        node = getattr(op, partial)(*(*nodes, None)[:2], Value(z))
        assert node.op is slope
        assert bits(node.data) == bits(wanted)
        assert node.parents == tuple(nodes)
        node.grad = 1.0
        slope.pullback(node)
        for leaf, dz in zip(nodes, partials(slope, operands, node.data), strict=True):
            is_nan = dz != dz or wanted != wanted
            assert leaf.grad == dz or (leaf.grad != leaf.grad and is_nan), operands


def test_the_row_of_a_derivative_is_found_by_name_and_is_no_operation_of_its_own() -> None:
    slope = rows()["hypot_dy"]
    assert "hypot_dy" in rows()
    assert "hypot_dz" not in rows()
    assert "sin_dx" not in rows()
    assert rows().get("hypot_dy") is None
    assert "hypot_dy" not in list(rows())
    assert not hasattr(Value, "hypot_dy")
    assert not hasattr(autograd, "hypot_dy")
    assert copy.deepcopy(slope) is pickle.loads(pickle.dumps(slope)) is slope
    assert slope.textbook[0] == "y / hypot(x, y)"
    with pytest.raises(KeyError):
        rows()["hypot_dz"]
    # A derivative that is a plain number is none, whatever the columns say.
    assert list(rows()["mod"].slopes) == ["dy"]


def test_numbers_beside_values_are_operands_of_a_derivative() -> None:
    x = Value(3.0)
    for node, wanted in ((x.hypot(4.0), 0.128), (rows()["hypot"](4.0, x), 0.128)):
        (slope,) = grad(node, [x], create_graph=True)
        assert grad(slope, x) == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize("name", [n for n in NAMES if rows()[n].arity == 1])
def test_third_derivatives_agree_on_both_sides_of_every_choice(name: str) -> None:
    # The computed texts switch between two forms of one function; at the switch, 0, a form that
    # is right only in its value would show in a higher derivative.
    op = rows()[name]
    if op.is_smooth(0.0):
        third = grad(grad(grad(op)))
        assert third(0.0) == pytest.approx((third(1e-4) + third(-1e-4)) / 2, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_generated_methods_give_the_bits_of_the_row(name: str) -> None:
    op = rows()[name]
    for operands in [*pairs(op), *reference.points(op, 20, seeded(name))]:
        nodes = [Value(x) for x in operands]
        node = getattr(nodes[0], name)(*nodes[1:])
        z = op.value(*operands)
        assert bits(node.data) == bits(z), operands
        node.grad = 1.0 if z == z else math.nan  # a value that is nan has nan derivatives
        for leaf in nodes:
            leaf.grad = 0.0
        op.pullback(node)
        found = partials(op, operands, z) if z == z else [math.nan] * op.arity
        for leaf, partial in zip(nodes, found, strict=True):
            assert leaf.grad == partial or (leaf.grad != leaf.grad and partial != partial), operands


@pytest.mark.parametrize("name", NAMES)
def test_numbers_on_either_side_and_free_functions_agree_with_methods(name: str) -> None:
    op = rows()[name]
    for operands in reference.points(op, 5, seeded(name)):
        z = op.value(*operands)
        nodes = [Value(x) for x in operands]
        free = getattr(autograd, name)
        made = [free(*nodes), getattr(nodes[0], name)(*nodes[1:])]
        if op.arity == 2:
            made += [free(nodes[0], operands[1]), free(operands[0], nodes[1])]
        assert [v.data for v in made] == [z] * len(made)
        assert free(*operands) == z
        assert type(free(*operands)) is float
        if op.arity == 2:
            assert [len(v.parents) for v in made] == [2, 2, 1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_raises_at_the_ends_and_nan_stays_nan(name: str) -> None:
    op = rows()[name]
    for operands in pairs(op):
        z = op.value(*operands)
        assert type(z) is float
        partials(op, operands, z)
        read = operands[:1] if op.default is not None else operands  # a slope may go unused
        # IEEE 754: nan**0 = 1**nan = 1 and hypot(inf, nan) = inf.
        if any(x != x for x in read) and name not in ("pow", "hypot"):
            assert z != z, operands
        node = getattr(Value(operands[0]), name)(*operands[1:])
        if z != z:
            assert math.isnan(node.dx)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "mod": lambda x, y: x % y,
    "floordiv": lambda x, y: x // y,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_their_own_nodes_on_both_sides(name: str) -> None:
    operator = OPERATORS[name]
    for made in (
        operator(Value(3.0), Value(2.0)),
        operator(Value(3.0), 2),
        operator(3, Value(2.0)),
    ):
        assert made.op is rows()[name]
        assert made.data == operator(3.0, 2.0)
    assert (-Value(1.0)).op is rows()["neg"]
    assert abs(Value(-1.0)).data == 1.0


BAD_ROWS = [
    (("x + q", "1"), "unknown operand 'q' in 'x + q'; known: x"),
    (("tanh(x)", "1 - q * z"), "unknown operand 'q' in '1 - q * z'; known: x, z"),
    (("foo(x)", "1"), "unknown function 'foo'"),
    (("hypot(x)", "1"), "hypot takes 2 operand(s), got 1"),
    (("x +", "1"), "cannot read 'x +'"),
    (("x.real", "1"), "'x.real' is not allowed"),
    (("[x]", "1"), "not allowed"),
    (("x if x == 0 else 1", "1"), "not allowed"),
    (("x if 0 < x < 1 else 1", "1"), "not allowed"),
    (("exp(x=x)", "1"), "not allowed"),
    (("True", "1"), "not allowed"),
    (("x % 2", "1"), "not allowed"),
    (("~x", "1"), "not allowed"),
    (("z", "1"), "unknown operand 'z'"),
    (("x * y", "y"), "unknown operand 'y'"),
    (("bad(x)", "1"), "calls itself, and Python's math has no 'bad'"),
    (("1 + bad(x)", "1"), "calls itself in"),
]
BAD_COLUMNS: list[Any] = [
    ({"dxx": "q * dx"}, "unknown operand 'q' in 'q * dx'; known: dx, dy, x, y, z"),
    ({"dxx": "dx +"}, "cannot read 'dx +'"),
    ({"dxx": "0.0", "dxy": "1"}, "second derivatives need dxx, dxy, dyy"),
    ({"dyy": "0.0"}, "second derivatives need dxx, dxy, dyy"),
    ({"dxx": "0.0", "dxy": "1", "dyy": "0.0", "value": "x"}, "'value', which is taken"),
    ({"dxx": "0.0", "dxy": "1", "dyy": "0.0", "slope_x": "x"}, "'slope_x', which is taken"),
    ({"pieces": "floor(q)"}, "unknown operand 'q'"),
    ({"smooth": "q > 0"}, "unknown operand 'q'"),
]


@pytest.mark.parametrize(("texts", "message"), BAD_ROWS)
def test_a_bad_row_is_refused_by_name(texts: tuple[str, str], message: str) -> None:
    with pytest.raises(RuleError, match="op 'bad': ") as refused:
        Op(*texts).read("bad", rows())
    assert message in str(refused.value)


@pytest.mark.parametrize(("columns", "message"), BAD_COLUMNS)
def test_a_bad_column_is_refused_by_the_rows_name(columns: Any, message: str) -> None:
    with pytest.raises(RuleError, match="op 'bad': ") as refused:
        Op("x * y", "y", "x", **columns).read("bad", rows())
    assert message in str(refused.value)


def test_a_row_of_one_operand_has_one_second_derivative() -> None:
    with pytest.raises(RuleError, match=r"op 'bad': second derivatives need dxx; got \['dxy'\]"):
        Op("x * x", "2 * x", dxy="2").read("bad", rows())


def test_a_row_may_not_use_names_that_the_generated_source_uses() -> None:
    for part in ("g", "node", "math", "inf"):
        with pytest.raises(RuleError, match="taken"):
            Op("x + 1", "1", **{part: "x"}).read("bad", rows())  # type: ignore[call-overload]


def test_a_row_needs_an_identifier_as_its_name() -> None:
    with pytest.raises(RuleError, match="an identifier without a leading underscore"):
        Op("x", "1").read("_x", rows())


def test_generated_source_can_be_read_and_shows_in_tracebacks() -> None:
    import inspect

    source = inspect.getsource(Value.__dict__["tanh"])
    assert "math.tanh(x)" in source
    assert source == record.method_source(rows()["tanh"], rows())


def generated(op: Operation) -> str:
    """Everything that is generated for an operation."""
    reflected = [record.method_source(op, rows(), reflected=True)] * (op.arity == 2)
    return "\n".join(
        [record.method_source(op, rows()), *reflected, record.pullback_source(op, rows())]
    )


def test_generated_source_is_what_a_reader_checked() -> None:
    second = Op("0 * x + y", "0.0", "1", y=2.0)
    second.read("second", rows())
    ops = [*(rows()[name] for name in ("neg", "tanh", "mul", "leaky_relu", "maximum")), second]
    assert "\n".join(map(generated, ops)) == (GOLDEN / "generated.txt").read_text()


def test_a_power_that_overflows_has_the_sign_that_the_exponent_says() -> None:
    for x, y, z in ((-1e200, 2.0, math.inf), (-1e200, 3.0, -math.inf), (1e200, 3.0, math.inf)):
        assert rules.power(x, y) == (Value(x) ** y).data == z


def test_an_operand_of_another_kind_is_asked_and_nothing_is_computed_before() -> None:
    class Stranger(Ops):
        def apply(self, op: Any, x: Any, y: Any) -> Any:
            return op.name, x, y

    node: Any = Value(2.0)
    stranger: Any = Stranger()
    assert node * stranger == node.mul(stranger) == ("mul", node, stranger)
    assert stranger * node == ("mul", stranger, node)
    assert rows()["mul"].reverse(node, stranger) == ("mul", stranger, node)
    assert node.maximum(stranger) == ("maximum", node, stranger)
    with pytest.raises(TypeError, match=r"^mul: expected a real number, got str"):
        node * "3"


# ------------------------------------------------------------------ a wrong row is noticed


class _Mutate(ast.NodeTransformer):
    """Makes the k-th possible change of the tree, and counts the possible ones."""

    def __init__(self, k: int) -> None:
        self.k, self.seen = k, 0

    def _here(self, choices: list[ast.expr], node: ast.expr) -> ast.expr:
        first, self.seen = self.seen, self.seen + len(choices)
        return choices[self.k - first] if first <= self.k < self.seen else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        match node.op:
            case ast.Add():
                choices: list[ast.expr] = [ast.BinOp(left, ast.Sub(), right)]
            case ast.Sub():
                choices = [ast.BinOp(left, ast.Add(), right), ast.BinOp(right, ast.Sub(), left)]
            case ast.Mult():
                choices = [left, right]
            case ast.Div():
                choices = [left, ast.BinOp(right, ast.Div(), left)]
            case _:
                choices = [left, ast.BinOp(right, ast.Pow(), left)]
        return self._here(choices, node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return self._here([node.operand], node) if isinstance(node.op, ast.USub) else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        others = {"x": "y", "y": "x", "z": "x"}
        return self._here([ast.Name(others[node.id])], node) if node.id in others else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(argument) for argument in node.args]
        return self._here([ast.UnaryOp(ast.USub(), node)], node)


def mutants(op: Operation) -> list[tuple[str, str, Operation]]:
    """Copies of the row with one sign flipped, one factor dropped or one operand swapped."""
    found = []
    texts = dict(enumerate(op.texts)) | op.where | op.seconds
    if op.libm:
        del texts[0]  # a name of libm has no sign, factor or order to get wrong
    for place, text in texts.items():
        for new in changes(text):
            mutant = object.__new__(type(op))  # copy.copy gives the row itself
            vars(mutant).update(vars(op))
            mutant.where = {p: new if p == place else t for p, t in op.where.items()}
            mutant.seconds = {p: new if p == place else t for p, t in op.seconds.items()}
            mutant.texts = tuple(  # type: ignore[assignment]
                new if p == place else t for p, t in enumerate(op.texts)
            )
            mutant.where_trees = {}
            try:
                mutant.read(op.name, rows())
            except RuleError:
                continue
            found.append((text, new, mutant))
    return found


def changes(text: str) -> list[str]:
    """The texts that differ from this one by one mistake."""
    if text in ("", "0.0"):
        return []
    changed = [f"-({text})"]
    k = 0
    while True:
        mutator = _Mutate(k)
        tree = mutator.visit(ast.parse(text, mode="eval").body)
        if k >= mutator.seen:
            break
        changed.append(ast.unparse(tree))
        k += 1
    return [new for new in changed if ast.dump(ast.parse(new)) != ast.dump(ast.parse(text))]


def second_texts(op: Operation, operands: tuple[float, ...]) -> list[tuple[int, int, float]]:
    """What the columns of second derivatives give: which two operands, and the number."""
    found = []
    for partial, slope in op.slopes.items():
        numbers = partials(slope, operands, slope.value(*operands))
        found += [("xy".index(partial[1]), j, number) for j, number in enumerate(numbers)]
    return found


@cache
def second_points(name: str) -> list[tuple[tuple[float, ...], dict[tuple[int, int], Any]]]:
    op, rng = rows()[name], seeded(name)
    extra = [(-1.3,), (30.0,)] if op.arity == 1 else [(0.1, 700.3), (1e-158, 3.0), (1e-200, 1e-250)]
    count = 8 // op.arity
    points = [*reference.points(op, count, rng), *reference.neighbours(op, count, rng)]
    points += [p for p in extra if op.is_smooth(*p)]
    places = list(itertools.product(range(op.arity), repeat=2))
    return [(p, {(i, j): reference.second(op, i, j, *p) for i, j in places}) for p in points]


@cache
def expected(name: str) -> list[tuple[tuple[float, ...], float, list[float]]]:
    op = rows()[name]
    extra: list[tuple[float, ...]] = [
        (-30.5,), (-5.3,), (-800.0,), (-705.0,), (3.3,), (25.0,), (400.0,)
    ]  # fmt: skip
    if op.arity == 2:  # far apart, where the smaller still counts
        extra = [(0.1, 700.3), (700.3, 0.1)]
    points = [*reference.points(op, 25, seeded(name)), *(p for p in extra if op.is_smooth(*p))]
    return [
        (
            p,
            reference.value(op, *p),
            [reference.partial(op, k, *p) for k in range(op.arity)],
        )
        for p in points
    ]


CONVENTIONS = [
    # call, operands, z, [dz/dx, dz/dy]: where the value is an end or the derivative a choice
    ("relu", (0.0,), 0.0, [0.0]),
    ("abs", (0.0,), 0.0, [0.0]),
    ("sign", (0.0,), 0.0, [0.0]),
    ("leaky_relu", (0.0, 0.1), 0.0, [0.1, 0.0]),
    ("elu", (0.0, 2.0), 0.0, [2.0, 0.0]),
    ("maximum", (3.0, 3.0), 3.0, [0.5, 0.5]),
    ("minimum", (3.0, 3.0), 3.0, [0.5, 0.5]),
    ("maximum", (INF, INF), INF, [0.5, 0.5]),
    ("maximum", (NAN, 1.0), NAN, [NAN, NAN]),
    ("maximum", (1.0, NAN), NAN, [NAN, NAN]),
    ("minimum", (NAN, 1.0), NAN, [NAN, NAN]),
    ("minimum", (1.0, NAN), NAN, [NAN, NAN]),
    ("hypot", (0.0, 0.0), 0.0, [0.0, 0.0]),
    ("atan2", (0.0, 0.0), 0.0, [0.0, 0.0]),
    ("pow", (0.0, 0.0), 1.0, [0.0, 0.0]),
    ("pow", (0.0, 2.0), 0.0, [0.0, 0.0]),
    ("pow", (0.0, 1.0), 0.0, [1.0, 0.0]),
    ("pow", (0.0, 0.5), 0.0, [INF, 0.0]),
    ("pow", (0.0, -1.0), INF, [-INF, -INF]),
    ("pow", (-2.0, 3.0), -8.0, [12.0, NAN]),
    ("pow", (-2.0, -1.0), -0.5, [-0.25, NAN]),
    ("pow", (-2.0, 0.5), NAN, [NAN, NAN]),
    ("sqrt", (0.0,), 0.0, [INF]),
    ("sqrt", (-1.0,), NAN, [NAN]),
    ("log", (0.0,), -INF, [INF]),
    ("log", (-1.0,), NAN, [NAN]),
    ("log1p", (-1.0,), -INF, [INF]),
    ("log1p", (-2.0,), NAN, [NAN]),
    ("log2", (0.0,), -INF, [INF]),
    ("log10", (0.0,), -INF, [INF]),
    ("atanh", (1.0,), INF, [INF]),
    ("atanh", (-1.0,), -INF, [INF]),
    ("atanh", (2.0,), NAN, [NAN]),
    ("acosh", (0.5,), NAN, [NAN]),
    ("asin", (2.0,), NAN, [NAN]),
    ("sin", (INF,), NAN, [NAN]),
    ("exp", (1000.0,), INF, [INF]),
    ("sinh", (-1000.0,), -INF, [INF]),
    ("cosh", (-1000.0,), INF, [-INF]),
    ("div", (1.0, 0.0), INF, [INF, -INF]),
    ("div", (0.0, 0.0), NAN, [NAN, NAN]),
    ("div", (1.0, -0.0), -INF, [-INF, -INF]),
    ("reciprocal", (0.0,), INF, [-INF]),
    ("sigmoid", (-1000.0,), 0.0, [0.0]),
    ("softplus", (1000.0,), 1000.0, [1.0]),
    ("logsigmoid", (-1000.0,), -1000.0, [1.0]),
    ("erf", (1e200,), 1.0, [0.0]),
    ("erfc", (-1e200,), 2.0, [0.0]),
    ("gelu", (1e200,), 1e200, [1.0]),
    ("gelu", (-1e200,), 0.0, [0.0]),
    ("pow", (INF, 1.0), INF, [1.0, INF]),
    ("pow", (INF, 0.5), INF, [0.0, INF]),
    ("pow", (INF, 0.25), INF, [0.0, INF]),
    ("pow", (INF, 0.0), 1.0, [0.0, INF]),
    ("pow", (INF, -1.0), 0.0, [0.0, NAN]),
    ("pow", (0.0, 0.25), 0.0, [INF, 0.0]),
    ("pow", (-0.0, -1.0), -INF, [-INF, -INF]),
    ("pow", (0.0, NAN), NAN, [NAN, NAN]),
    ("pow", (NAN, 0.0), 1.0, [NAN, NAN]),
    ("pow", (1.0, NAN), 1.0, [NAN, 0.0]),  # 1 for every exponent
    ("pow", (NAN, -1.0), NAN, [NAN, NAN]),
    ("hypot", (INF, NAN), INF, [NAN, NAN]),
    ("hypot", (NAN, INF), INF, [NAN, NAN]),
    ("sqrt", (INF,), INF, [0.0]),
    ("cbrt", (0.0,), 0.0, [INF]),
    ("cbrt", (-INF,), -INF, [0.0]),
    ("cbrt", (-27.0,), -3.0, [1 / 27]),
    ("exp2", (2000.0,), INF, [INF]),
    ("softsign", (INF,), 1.0, [0.0]),
    ("softsign", (-INF,), -1.0, [0.0]),
    ("silu", (INF,), INF, [1.0]),
    ("silu", (-INF,), -0.0, [-0.0]),
    ("silu", (-2000.0,), -0.0, [-0.0]),
    ("silu", (NAN,), NAN, [NAN]),
    ("logaddexp", (INF, INF), INF, [0.5, 0.5]),
    ("logaddexp", (-INF, -INF), -INF, [0.5, 0.5]),
    ("logaddexp", (INF, -INF), INF, [1.0, 0.0]),
    ("logaddexp", (-INF, 2.0), 2.0, [0.0, 1.0]),
    ("logaddexp", (1.5e308, -1.5e308), 1.5e308, [1.0, 0.0]),
    ("logaddexp", (NAN, 1.0), NAN, [NAN, NAN]),
    ("logaddexp", (INF, NAN), NAN, [NAN, NAN]),
    ("maximum", (5e-324, 5e-324), 5e-324, [0.5, 0.5]),
    ("minimum", (5e-324, 5e-324), 5e-324, [0.5, 0.5]),
    ("maximum", (NAN, -INF), NAN, [NAN, NAN]),
    ("maximum", (INF, NAN), NAN, [NAN, NAN]),
    ("minimum", (NAN, INF), NAN, [NAN, NAN]),
    ("minimum", (-INF, NAN), NAN, [NAN, NAN]),
    ("maximum", (NAN, INF), NAN, [NAN, NAN]),
    ("minimum", (NAN, -INF), NAN, [NAN, NAN]),
    ("minimum", (-INF, -INF), -INF, [0.5, 0.5]),
    ("floor", (2.0,), 2.0, [0.0]),
    ("floor", (-0.5,), -1.0, [0.0]),
    ("floor", (-0.0,), -0.0, [0.0]),
    ("floor", (INF,), INF, [0.0]),
    ("floor", (NAN,), NAN, [NAN]),
    ("ceil", (2.0,), 2.0, [0.0]),
    ("ceil", (-0.5,), -0.0, [0.0]),
    ("ceil", (-INF,), -INF, [0.0]),
    ("round", (0.5,), 0.0, [0.0]),
    ("round", (-0.5,), -0.0, [0.0]),
    ("round", (1.5,), 2.0, [0.0]),
    ("round", (2.5,), 2.0, [0.0]),
    ("round", (-3.5,), -4.0, [0.0]),
    ("round", (-INF,), -INF, [0.0]),
    ("round", (4503599627370497.0,), 4503599627370497.0, [0.0]),
    ("fmod", (-7.5, 2.0), -1.5, [1.0, 3.0]),
    ("fmod", (-4.0, 2.0), -0.0, [1.0, 2.0]),
    ("fmod", (1.0, 0.0), NAN, [NAN, NAN]),
    ("fmod", (INF, 2.0), NAN, [NAN, NAN]),
    ("fmod", (3.0, -INF), 3.0, [1.0, 0.0]),
    ("mod", (7.5, -2.0), -0.5, [1.0, 4.0]),
    ("mod", (-4.0, 2.0), 0.0, [1.0, 2.0]),
    ("mod", (4.0, -2.0), -0.0, [1.0, 2.0]),
    ("mod", (5e-324, 2.0), 5e-324, [1.0, 0.0]),
    ("mod", (-3.0, INF), INF, [1.0, NAN]),
    ("mod", (0.0, -INF), -0.0, [1.0, 0.0]),
    ("mod", (1.0, 0.0), NAN, [NAN, NAN]),
    ("mod", (INF, 2.0), NAN, [NAN, NAN]),
    ("floordiv", (7.5, -2.0), -4.0, [0.0, 0.0]),
    ("floordiv", (1.0, 3.0), 0.0, [0.0, 0.0]),
    ("floordiv", (1.0, -3.0), -1.0, [0.0, 0.0]),
    ("floordiv", (-1.0, -3.0), 0.0, [0.0, 0.0]),
    ("floordiv", (0.0, -3.0), -0.0, [0.0, 0.0]),
    ("floordiv", (-3.0, INF), -1.0, [0.0, 0.0]),
    ("floordiv", (3.0, INF), 0.0, [0.0, 0.0]),
    ("floordiv", (1.0, 0.0), INF, [0.0, 0.0]),
    ("floordiv", (0.0, 0.0), NAN, [NAN, NAN]),
    ("floordiv", (INF, 2.0), NAN, [NAN, NAN]),
    ("floordiv", (1e300, -1e-300), -INF, [0.0, 0.0]),
    # The quotient of doubles is not whole here, and Python makes it so: to the nearest, or down.
    ("floordiv", (2251957990913967.0, -1.3440680864867423), -1675479102253188.0, [0.0, 0.0]),
    ("floordiv", (5257142598855509.0, 3.3070680297013855), 1589668719131310.0, [0.0, 0.0]),
    ("floordiv", (-6024516868102856.0, -1.6548807170086242), 3640453844306567.0, [0.0, 0.0]),
    ("floordiv", (-6179338638508372.0, 1.5170889157866836), -4073155221297025.0, [0.0, 0.0]),
]


@pytest.mark.parametrize(("name", "operands", "z", "slopes"), CONVENTIONS)
def test_conventions_at_ends_and_kinks(
    name: str, operands: tuple[float, ...], z: float, slopes: list[float]
) -> None:
    nodes = [Value(x) for x in operands]
    node = getattr(nodes[0], name)(*nodes[1:])
    assert bits(node.data) == bits(z)
    found = [node.dx, node.dy] if len(operands) == 2 else [node.dx]
    assert found == pytest.approx(slopes, nan_ok=True, rel=0, abs=0)


# Parts that are only squared, or whose error is made good by another factor: any sign will do.
EITHER_SIGN = {
    ("erf", "134217729 * x - (134217729 * x - x)"),
    ("erfc", "134217729 * x - (134217729 * x - x)"),
    ("atan", "hypot(x, 1)"),
}
# Changes of a number whose size alone is asked for.
SAME = {("pow", rows()["pow"].seconds["dxx"].replace("abs(y * (y - 1))", "abs(y * (1 - y))"))}


def must_be_nan(op: Operation) -> list[tuple[float, ...]]:
    """Operands at which the texts of all derivatives themselves are nan."""
    places = [p for p in pairs(op) if any(x != x for x in p)]
    if op.name == "pow":  # 1 ** y is 1, and the slope of x ** 1 is 1
        places = [p for p in places if 1.0 not in p]
    # In these a derivative is a plain number or another operand, or has a choice that ends in one.
    # That is made nan where the value is, so the text need not.
    others = ("mul", "div", "fmod", "mod", "leaky_relu", "elu", "maximum", "minimum")
    constant = any(map(rules.is_number, op.partial_trees))
    return [] if op.name in (*others, "relu") or constant else places


@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_compares_ends_in_nan_for_nan(name: str) -> None:
    op = rows()[name]
    for operands in must_be_nan(op):
        z = op.value(*operands)
        assert all(dz != dz for dz in partials(op, operands, z)), operands


def noticed(op: Operation) -> bool:
    """Whether the tests of values and partials would fail for this row."""
    for operands in must_be_nan(op):
        if any(dz == dz for dz in partials(op, operands, op.value(*operands))):
            return True
    for operands, z, slopes in expected(op.name):
        computed = op.value(*operands)
        if math.isfinite(float(z)) and reference.ulps(computed, z) > 2:
            return True
        for found, exact in zip(partials(op, operands, computed), slopes, strict=True):
            allowed = 0 if op.pieces else 4  # a whole number is exact
            if math.isfinite(float(exact)) and error_in_ulps(op, operands, found, exact) > allowed:
                return True
    for name, operands, z, slopes in CONVENTIONS:
        if name == op.name:
            computed = op.value(*operands)
            if bits(computed) != bits(z):
                return True
            if z == z and partials(op, operands, computed) != pytest.approx(
                slopes, nan_ok=True, rel=0, abs=0
            ):
                return True
    return second_noticed(op)


def second_noticed(op: Operation) -> bool:
    """Whether the tests of second derivatives would fail for this row."""
    if not op.slopes:
        return False
    for operands, exact in second_points(op.name):
        for i, j, found in second_texts(op, operands):
            if reference.relative(op, i, j, found, exact[i, j], *operands) > 1e-12:
                return True
    for name, operands, seconds in SECOND_ENDS:
        if name == op.name:
            for i, j, found in second_texts(op, operands):
                if found != pytest.approx(seconds[i + j], nan_ok=True, rel=1e-15, abs=0):
                    return True
    return False


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("name", NAMES)
def test_no_wrong_sign_factor_or_operand_in_a_row_goes_unnoticed(name: str) -> None:
    op = rows()[name]
    assert not noticed(op)
    unnoticed = [
        (old, new)
        for old, new, mutant in mutants(op)
        if (name, old) not in EITHER_SIGN and (name, new) not in SAME and not noticed(mutant)
    ]
    assert unnoticed == []


def test_topological_order_has_operands_first_and_does_not_depend_on_addresses() -> None:
    a, b = Value(1.0), Value(2.0)
    c = a * b
    d = c + a
    assert topological(d) == [a, b, c, d]


def test_the_slope_of_a_small_power_of_a_subnormal_number_is_finite() -> None:
    x, y = 1e-310, 1e-3
    wanted = reference.partial(rows()["pow"], 0, x, y)
    assert 1e306 < wanted < 1e307
    z = Value(x) ** y
    z.backward()
    assert reference.ulps(z.dx, wanted) <= 4


@pytest.mark.parametrize("name", ["tanh", "mul"])
def test_an_operation_of_numbers_counts_its_operands(name: str) -> None:
    op = rows()[name]
    wrong = (1.0, 2.0) if op.arity == 1 else (1.0,)
    with pytest.raises(TypeError, match=rf"{name} takes {op.arity} operand"):
        op(*wrong)


def test_a_row_that_uses_y_needs_its_derivative() -> None:
    with pytest.raises(RuleError, match=r"unknown operand 'y' in 'x \* y'; known: x"):
        Op("x * y", "y").read("halved", rows())


# ------------------------------------------------------------------ rows before they are read


def test_a_row_knows_its_columns_and_takes_the_first_of_its_names() -> None:
    class Own:
        double: Any = Op("x+x", "2")
        twice = double
        capped: Any = Op("sqrt(x)", "0.5 / z", ends="tanh(x)")
        three = 3

    first = vars(Own)["double"]
    assert vars(Own)["twice"] is first
    assert (first.name, first.ends, first.libm, first.arity) == ("double", "", "", 1)
    assert first.reflected.op is first
    assert vars(Own)["capped"].ends == "tanh(x)"
    assert Op("x", "1").name == ""
    row: Any = Op("x+x", "2")
    row.read("row", rows())
    assert row.textbook == ("x+x", "2")  # as it was written
    assert row(2.0) == 4.0
    parts: Any = Op("t+x", "2", t="x")
    parts.read("parts", rows())
    assert parts.textbook == ("x + x", "2")
    ends: Any = Op("sqrt(x)", "0.5 / z", ends="tanh(x)")
    ends.read("sqrt", rows())
    assert (ends.libm, ends(4.0)) == ("sqrt", 2.0)
    assert ends(-1.0) == math.tanh(-1.0)


def test_the_rows_of_a_class_are_read_under_their_own_names() -> None:
    class Own:
        half: Any = Op("x / 2", "0.5")
        other = half
        quarter: Any = Op("half(half(x))", "0.25")
        number = 3

    read: Any = table
    made = read(Own)
    assert made is Own
    assert (made.half(3.0), made.quarter(8.0)) == (1.5, 2.0)
    assert (made.half.name, made.quarter.name) == ("half", "quarter")
    assert made.half.dx(3.0, None, 1.5) == 0.5

    class Wrong:
        bad: Any = Op("x / q", "1")

    with pytest.raises(RuleError, match=r"^op 'bad': unknown operand 'q'"):
        read(Wrong)


@pytest.mark.parametrize(
    ("operand", "kind", "advice"),
    [
        ("3", "str",
         "convert it first, as in Value(float(text)); a name goes in Value(data, label=...)"),
        (b"3", "bytes",
         "convert it first, as in Value(float(text)); a name goes in Value(data, label=...)"),
        (1j, "complex",
         "this engine is real; use one Value for the real and one for the imaginary part"),
        ([1.0], "list", "make one Value per number, as in [Value(d) for d in data]"),
        ({1.0}, "set", "make one Value per number, as in [Value(d) for d in data]"),
        (object(), "object", "give a real number"),
        (None, "NoneType", "give a real number"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_what_to_write_instead(
    operand: Any, kind: str, advice: str
) -> None:
    text = f"expected a real number, got {kind}; {advice}"
    with pytest.raises(TypeError) as caught:
        number(operand, "what")
    assert str(caught.value) == f"what: {text}"
    if operand is not None:
        with pytest.raises(TypeError) as caught:
            rows()["add"](1.0, operand)
        assert str(caught.value) == f"add: {text}"


def test_arrays_and_values_are_refused_with_what_to_write_instead() -> None:
    class Array:
        def __array__(self) -> Any:
            raise NotImplementedError

    for operand, advice in (
        (Array(), "make one Value per number, as in [Value(d) for d in array.tolist()]"),
        (Value(1.0), "it is a Value already; v.detach() gives a new leaf with its number"),
    ):
        kind = type(operand).__name__
        with pytest.raises(TypeError) as caught:
            number(operand, "what")
        assert str(caught.value) == f"what: expected a real number, got {kind}; {advice}"


# ------------------------------------------------------------------ Python's numbers


def sized(rng: random.Random) -> float:
    """A number of any size, whole or half a whole one, or an end."""
    size = rng.choice([rng.uniform(-9, 9), rng.randint(-9, 9), rng.randint(-19, 19) / 2,
                       10 ** rng.uniform(-300, 300), 10 ** rng.uniform(14, 17)])  # fmt: skip
    return rng.choice([-1.0, 1.0]) * size if rng.random() < 0.8 else rng.choice(ENDS)


def test_remainders_and_steps_are_pythons_to_the_sign_of_zero() -> None:
    rng = random.Random(3)
    table = rows()
    for _ in range(4000):
        x, y = sized(rng), sized(rng)
        if math.isfinite(x):
            for name, own in (("floor", math.floor), ("ceil", math.ceil), ("round", round)):
                assert table[name](x) == own(x), (name, x)
            if y != 0.0:
                assert bits(table["fmod"](x, y)) == bits(math.fmod(x, y)), (x, y)
                assert bits(table["mod"](x, y)) == bits(x % y), (x, y)
        if y != 0.0:
            assert bits(table["floordiv"](x, y)) == bits(x // y), (x, y)


def test_the_slope_of_a_remainder_in_its_divisor_is_the_whole_quotient() -> None:
    rng = random.Random(4)
    for _ in range(1000):
        x, y = rng.uniform(-50, 50), rng.choice([-1, 1]) * rng.uniform(0.01, 20)
        exact = Fraction(x) / Fraction(y)
        slopes = grad(lambda x, y: x % y, (0, 1))(x, y)
        assert slopes == (1.0, -math.floor(exact))
        assert grad(autograd.fmod, 1)(x, y) == -math.trunc(exact)


def test_a_sign_of_zero_is_that_of_ieee_754() -> None:
    for name, x, z in (("floor", -0.0, -0.0), ("ceil", -0.3, -0.0), ("round", -0.3, -0.0),
                       ("round", 0.3, 0.0), ("ceil", -0.0, -0.0), ("floor", 0.3, 0.0)):  # fmt: skip
        assert bits(rows()[name](x)) == bits(z)


def test_rounding_a_value_is_an_operation_and_digits_are_refused() -> None:
    x = Value(2.6)
    rounded = round(x)
    assert type(rounded) is Value
    assert (rounded.op, rounded.data) == (rows()["round"], 3.0)
    with pytest.raises(TypeError, match=r"round.* v\.data"):
        round(x, 1)


def test_cubes_have_whole_roots() -> None:
    for k in range(-300, 301):
        assert rows()["cbrt"](float(k**3)) == k
