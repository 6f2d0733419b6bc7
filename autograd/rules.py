"""The small language of the op table's rows: its parser, its checks, and its printers.

A rule is one expression in the operands `x` and `y` and, in a derivative, the result `z`:

    numbers      2, 0.5, 1e-3          constants   inf, nan, pi
    arithmetic   + - * / **            sign        -x, +x
    choice       a if x > 0 else b     comparison  one `<` or `>`
    functions    any row of the table: exp(x), hypot(x, y), sigmoid(x), ...

Rules are parsed with `ast`, checked against this list and never executed as they are, so a text
from outside can only compute a number.  Compare only with `<` and `>`: a condition that is true at
a single point has no derivative.  The two branches of a choice must agree where they meet, in every
derivative that is to be right there: those of `exp(-x) if x > 0 else exp(x)` do inside an even
function, those of `abs(x)` do not.
"""

import ast
import linecache
import math
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

CONSTANTS = {"inf": math.inf, "nan": math.nan, "pi": math.pi}
_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_UNARY = (ast.USub, ast.UAdd)
_ORDER = (ast.Lt, ast.Gt)


class RuleError(ValueError):
    """Raised for a rule that is not an expression of the language; the text says why."""


class Row(Protocol):
    """The part of a row that printers need: its trees, and its function in libm, if any."""

    arity: int
    libm: str
    value_tree: ast.expr
    where_trees: dict[str, ast.expr]


def parse(text: str, names: Collection[str], functions: Mapping[str, int]) -> ast.expr:
    """The syntax tree of a rule over `names` that calls only `functions` (name -> arity).

    Raises RuleError on anything outside the language.

    >>> ast.unparse(parse("x*exp( -x )", {"x"}, {"exp": 1}))
    'x * exp(-x)'
    >>> parse("q + 1", {"x"}, {})
    Traceback (most recent call last):
    autograd.rules.RuleError: unknown operand 'q' in 'q + 1'; known: x
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise RuleError(f"cannot read {text!r}: {error}") from None
    _refuse(tree, text, names, functions)
    return tree


def _refuse(
    tree: ast.expr, text: str, names: Collection[str], functions: Mapping[str, int]
) -> None:
    stack = [tree]
    while stack:
        node = stack.pop()
        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                continue
            case ast.Name(id=name):
                if name not in names and name not in CONSTANTS:
                    known = ", ".join(sorted(names))
                    raise RuleError(f"unknown operand {name!r} in {text!r}; known: {known}")
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _BINARY):
                stack += [left, right]
            case ast.UnaryOp(op=op, operand=operand) if isinstance(op, _UNARY):
                stack.append(operand)
            case ast.IfExp(
                test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse
            ) if isinstance(op, _ORDER):
                stack += [left, right, body, orelse]
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                if name not in functions:
                    raise RuleError(f"unknown function {name!r} in {text!r}")
                if len(args) != functions[name]:
                    raise RuleError(
                        f"{name} takes {functions[name]} operand(s), got {len(args)} in {text!r}"
                    )
                stack += args
            case _:
                part = ast.unparse(node)
                raise RuleError(f"{part!r} is not allowed in {text!r}; see autograd/rules.py")


def uses(tree: ast.AST, name: str) -> bool:
    """Whether the operand `name` occurs in the tree."""
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def calls(tree: ast.AST) -> set[str]:
    """The functions that the tree calls."""
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


class _Substitute(ast.NodeTransformer):
    def __init__(self, trees: Mapping[str, ast.expr]) -> None:
        self.trees = trees

    def visit_Name(self, node: ast.Name) -> ast.expr:
        # A copy for each occurrence, so that a change to one does not change the others.
        return _copy(self.trees[node.id]) if node.id in self.trees else node


def _copy(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_copy(part) for part in tree]
    if not isinstance(tree, ast.AST):
        return tree
    return type(tree)(**{name: _copy(getattr(tree, name, None)) for name in tree._fields})


def substitute(tree: ast.expr, trees: Mapping[str, ast.expr]) -> ast.expr:
    """A copy of the tree with other trees in place of some names."""
    return _Substitute(trees).visit(_copy(tree))  # type: ignore[no-any-return]


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A rule with other names in it, all exchanged at once.

    >>> renamed("x * z", {"x": "z", "z": "x"})
    'z * x'
    """
    tree = ast.parse(text, mode="eval").body
    return ast.unparse(substitute(tree, {old: ast.Name(new) for old, new in names.items()}))


def is_number(tree: ast.AST) -> bool:
    """Whether the rule is a number that depends on nothing.

    >>> is_number(parse("-1", {"x"}, {})), is_number(parse("x - x", {"x"}, {}))
    (True, False)
    """
    return not any(isinstance(node, ast.Name) for node in ast.walk(tree))


def written_out(tree: ast.expr, parts: Mapping[str, ast.expr]) -> ast.expr:
    """A copy of the tree with the shared parts in place of their names, however deep."""
    for name, part in reversed(list(parts.items())):
        tree = substitute(tree, {name: part})
    return tree


class _Expand(ast.NodeTransformer):
    """Replaces each call of a row that is not in libm with that row's tree."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self.rows = rows

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        row = self.rows.get(node.func.id)
        arguments = [self.visit(argument) for argument in node.args]
        if row is None or row.libm:
            return ast.Call(node.func, arguments, [])
        operands = dict(zip("xy", arguments, strict=False))
        formula = written_out(row.value_tree, row.where_trees)
        return self.visit(substitute(formula, operands))  # type: ignore[no-any-return]


def expand(tree: ast.expr, rows: Mapping[str, Row]) -> ast.expr:
    """A copy of the tree that calls only functions of libm, and functions that are not in `rows`.

    Every printer (floats, arrays, C, JavaScript) starts from this tree.
    """
    return _Expand(rows).visit(_copy(tree))  # type: ignore[no-any-return]


class _Fast(ast.NodeTransformer):
    def __init__(self, rows: Mapping[str, Row]) -> None:
        self.rows = rows

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        name = "math." + self.rows[node.func.id].libm
        return ast.Call(ast.Name(name), [self.visit(argument) for argument in node.args], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Pow):  # `**` turns (-8.0) ** (1/3) into a complex number
            return ast.Call(ast.Name("math.pow"), [left, right], [])
        return ast.BinOp(left, node.op, right)


def fast(tree: ast.expr, rows: Mapping[str, Row]) -> str:
    """The fastest Python source of the rule on floats; it raises where `math` raises."""
    return ast.unparse(_Fast(rows).visit(expand(tree, rows)))


def can_raise(source: str) -> bool:
    """Whether `fast` source can raise: it divides or calls something other than fabs."""
    return "/" in source or "math." in source.replace("math.fabs", "")


class _Safe(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        name = {ast.Div: "divide", ast.Pow: "power"}.get(type(node.op))
        if name:
            return ast.Call(ast.Name(name), [left, right], [])
        return ast.BinOp(left, node.op, right)


def safe(tree: ast.expr) -> str:
    """Python source of the rule on floats or Values; it calls `divide`, `power` and rows.

    On floats it never raises: its infinities and nans are those of IEEE 754.
    """
    return ast.unparse(_Safe().visit(_copy(tree)))


def divide(x: Any, y: Any) -> Any:
    """x / y as in IEEE 754: 1 / 0 is inf, 0 / 0 is nan.

    >>> divide(1.0, -0.0), divide(6.0, 3.0)
    (-inf, 2.0)
    """
    try:
        return x / y
    except ZeroDivisionError:
        if x != x or x == 0.0:
            return math.nan
        return math.copysign(math.inf, x) * math.copysign(1.0, y)


def power(x: Any, y: Any) -> Any:
    """x ** y as in IEEE 754, never complex.

    >>> power(-8.0, 1 / 3), power(-0.0, -3.0), power(10.0, 400.0)
    (nan, -inf, inf)
    """
    if not (isinstance(x, float | int) and isinstance(y, float | int)):
        return x**y
    try:
        return math.pow(x, y)
    except (ArithmeticError, ValueError):
        if x < 0 and y % 1:
            return math.nan
        return math.copysign(math.inf, x) if y % 2 == 1 else math.inf


def define(name: str, source: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    """The function `name` that the generated `source` defines, with `names` as its globals.

    The source is registered in `linecache`, so tracebacks, debuggers and `inspect` show it.
    """
    # The file is named by its text: a table that is parsed twice defines the same text twice.
    filename = f"<autograd {name} {zlib.crc32(source.encode()):08x}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope: dict[str, Any] = {**names, "__name__": "autograd.generated"}  # as in a module's code
    exec(compile(source, filename, "exec"), scope)  # noqa: S102 - printed from whitelisted trees
    return scope[name]  # type: ignore[no-any-return]


def parts(row: Row, *trees: ast.expr) -> dict[str, ast.expr]:
    """The shared parts of the row that the trees need, in the order of computation."""
    needed: dict[str, ast.expr] = {}
    for name, tree in reversed(row.where_trees.items()):
        if any(uses(tree, name) for tree in (*trees, *needed.values())):
            needed = {name: tree, **needed}
    return needed


def function(
    name: str, parameters: str, tree: ast.expr, row: Row, names: Mapping[str, Any]
) -> Callable[..., Any]:
    """The function of `parameters` that computes a rule of the row, on floats or on Values."""
    lines = [f"{part} = {safe(shared)}" for part, shared in parts(row, tree).items()]
    lines = [f"def {name}({parameters}):", *lines, f"return {safe(tree)}"]
    return define(name, "\n    ".join(lines) + "\n", names)
