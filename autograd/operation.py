"""One operation: the texts of its row, their trees, and the functions generated from them."""

import ast
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, overload

from autograd import rules
from autograd.operands import Operand, number
from autograd.rules import RuleError
from autograd.textbook import place

T = TypeVar("T", bound=Operand)
Operands = TypeVar("Operands")
Unary = Literal["x"]
Binary = Literal["x, y"]
Optional = Literal["x, y=..."]

# Names with another meaning in the language or in the generated source (`record.py`).
_TAKEN = {"x", "y", "z", "a", "b", "g", "dx", "dy", "op", "node", "mode", "math", *rules.CONSTANTS}
# The names of z, dx and dy of a row as parts of the rows of its derivatives.
_PART_NAMES = {"z": "value", "dx": "slope_x", "dy": "slope_y"}


Hook = Callable[[float], float | None]


class Origin:
    """The origin of a node: its row, or a Note that adds facts about this node alone."""

    label = ""
    scope = ""
    line = ""
    hooks: tuple[Hook, ...] = ()
    # Whether the node is many operations at once, with `pull` and `push` in place of partials.
    many = False
    # Whether a slope may be inf or nan at a point where the row is not smooth.
    has_ends = False
    # Whether it may refer to nodes, so that its own node may become part of a cycle.
    holds_nodes = True

    @property
    def op(self) -> "Operation | None":
        """The operation; None for a leaf."""
        raise NotImplementedError

    @property
    def place(self) -> str:
        """The scopes alone, without the formula that may stand behind them."""
        return place(self.scope)

    @property
    def call(self) -> Any:
        """The call of a transform in which a leaf was created; None outside of any."""
        return None

    def pullback(self, node: Any) -> None:
        """Add the node's adjoint, times the local derivatives, to those of its parents."""
        raise NotImplementedError


class Operation(Origin):
    """A parsed row: its texts, their trees, and the functions generated from them."""

    holds_nodes = False

    # The look-up by name that copies use; set once the table exists.
    named: ClassVar[Callable[[str], "Operation"]]

    # Set by `record.install`, once Value exists.
    method: Callable[..., Any]
    reverse: Callable[..., Any]
    install: Callable[["Operation"], object]

    # Python's own functions, where a row is a call of them (`define_op`): no other target has them.
    functions: tuple[Callable[..., Any], ...] = ()

    # Set by `read`, once the whole table is known.
    value: Callable[..., float]
    dx: Callable[..., Any]
    dy: Callable[..., Any]
    is_smooth: Callable[..., float]
    piece: Callable[..., float]
    value_tree: ast.expr
    partial_trees: list[ast.expr]
    smooth_tree: ast.expr

    def __init__(
        self,
        z: str,
        dx: str,
        dy: str | None = None,
        *,
        dxx: str = "",
        dxy: str = "",
        dyy: str = "",
        y: float | None = None,
        smooth: str = "",
        pieces: str = "",
        ends: str = "",
        textbook: tuple[str, ...] = (),
        **where: str,
    ) -> None:
        self.name = ""
        self.texts = (z, dx) if dy is None else (z, dx, dy)
        self.arity = len(self.texts) - 1
        self.seconds = {"dxx": dxx, "dxy": dxy, "dyy": dyy}
        self.default = y
        self.smooth = smooth
        self.pieces = pieces
        self.ends = ends
        self.textbook = textbook or self.texts
        self.where = where
        self.where_trees: dict[str, ast.expr] = {}
        self.libm = ""
        self.reflected: Reflected = Reflected(self)

    @property
    def op(self) -> "Operation":
        """The row itself: a node without a Note refers to its row."""
        return self

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name  # `__add__ = add` names it a second time

    def __reduce__(self) -> Any:
        # A copy of anything that refers to a row refers to the same row.
        return type(self).named, (self.name,)

    def __repr__(self) -> str:
        arguments = "x" if self.arity == 1 else "x, y"
        own = f"{self.name}({arguments})"
        return f"Op({own})" if self.texts[0] == own else f"Op({own} = {self.texts[0]})"

    @overload
    def __call__(self, x: float, y: float = ...) -> float: ...
    @overload
    def __call__(self, x: T, y: T | float = ...) -> T: ...
    @overload
    def __call__(self, x: float, y: T) -> T: ...
    def __call__(self, x: Any, y: Any = None) -> Any:
        """z, a float for numbers and a Value for Values; no number raises an error."""
        if y is None:
            y = self.default
        if (y is None) != (self.arity == 1):
            raise TypeError(f"{self.name} takes {self.arity} operand(s), got {1 + (y is not None)}")
        if isinstance(x, Operand):
            return x.apply(self, x, y)
        if isinstance(y, Operand):
            return y.apply(self, x, y)
        return self.value(*(number(operand, self.name) for operand in (x, y)[: self.arity]))

    def read(self, name: str, rows: "Mapping[str, Operation]") -> None:
        """Parse the row as `name` and generate its functions; it may call the `rows`.

        Raises RuleError, which names the row, if a text is not a rule in x, y (and z).
        """
        self.name = name
        self.known = rows
        vars(self).pop("slopes", None)
        try:
            texts = {row: op.arity for row, op in rows.items() if not op.functions}
            piece_tree, ends_tree = self._parse(texts)
            self._check_seconds()
        except RuleError as error:
            raise RuleError(f"op {name!r}: {error}") from None
        names = {**rules.CONSTANTS, **rows, name: self, "math": math}
        names |= {"divide": rules.divide, "power": rules.power}
        xy = "x, y=None"
        if self.libm:
            # The only place that turns Python's exceptions into the ends of IEEE 754.
            source = (
                f"def {name}_value({xy}):\n"
                f"    try:\n"
                f"        return math.{self.libm}({', '.join('xy'[: self.arity])})\n"
                f"    except (ArithmeticError, ValueError):\n"
                f"        return {rules.safe(ends_tree)}\n"
            )
            self.value = rules.define(f"{name}_value", source, names)
        else:
            self.value = rules.function(f"{name}_value", xy, self.value_tree, self, names)
        self.is_smooth = rules.function(f"{name}_is_smooth", xy, self.smooth_tree, self, names)
        self.piece = _one_piece
        if self.pieces:
            self.piece = rules.function(f"{name}_piece", xy, piece_tree, self, names)
        for partial, tree in zip(("dx", "dy"), self.partial_trees, strict=False):
            slope = rules.function(f"{name}_{partial}", f"{xy}, z=None", tree, self, names)
            setattr(self, partial, self._recorded(partial, slope) if self._has_row(tree) else slope)

    def _parse(self, arity: dict[str, int]) -> tuple[ast.expr, ast.expr]:
        """The trees of `pieces` and `ends`; those of the other texts become attributes."""
        name, operands = self.name, ["x", "y"][: self.arity]
        if not name.isidentifier() or name.startswith("_"):
            raise RuleError("a row needs an identifier without a leading underscore as its name")
        functions = {**arity, name: self.arity}
        known = [*operands]
        for part, text in self.where.items():
            if part in _TAKEN:
                raise RuleError(f"a part cannot have the name {part!r}, which is taken")
            self.where_trees[part] = rules.parse(text, known, functions)
            known.append(part)
        z, *partials = self.texts
        self.value_tree = rules.parse(z, known, functions)
        self.partial_trees = [rules.parse(dz, [*known, "z"], functions) for dz in partials]
        if z == self.signature:
            self.libm = {"abs": "fabs"}.get(name, name)
            if not hasattr(math, self.libm):
                raise RuleError(f"calls itself, and Python's math has no {name!r}; use other rows")
        elif name in rules.calls(self.value_tree):
            raise RuleError(f"calls itself in {z!r}; use other rows")
        smooth = f"1.0 if {self.smooth} else 0.0" if self.smooth else "1.0"
        self.smooth_tree = rules.parse(smooth, operands, functions)
        computed = (node for tree in self.partial_trees for node in ast.walk(tree))
        self.has_ends = bool(self.smooth) and any(isinstance(n, ast.BinOp) for n in computed)
        if self.textbook is self.texts:  # displayed with the shared parts written out
            trees = [self.value_tree, *self.partial_trees]
            shown = [ast.unparse(rules.written_out(tree, self.where_trees)) for tree in trees]
            self.textbook = tuple(shown) if self.where else self.texts
        for text in self.textbook:
            rules.parse(text, [*operands, "z"], functions)
        slopes = [*known, "z", *("dx", "dy")[: self.arity]]
        for text in filter(None, self.seconds.values()):
            rules.parse(text, slopes, functions)
        return (
            rules.parse(self.pieces or "0.0", operands, functions),
            rules.parse(self.ends or "nan", operands, functions),
        )

    def unknown_to(self, target: str) -> str:
        """Why a target refuses a row of Python functions."""
        return (
            f"{self.name} is a Python function (define_op), which {target} cannot run; define it "
            "by texts in x, y and z"
        )

    @property
    def signature(self) -> str:
        """The operation as a call: 'tanh(x)', 'hypot(x, y)'."""
        return f"{self.name}({', '.join('xy'[: self.arity])})"

    def _check_seconds(self) -> None:
        needed = ["dxx", "dxy", "dyy"] if self.arity == 2 else ["dxx"]
        columns = [column for column, text in self.seconds.items() if text]
        if columns and columns != needed:
            raise RuleError(f"second derivatives need {', '.join(needed)}; got {columns}")
        if columns and (taken := set(self.where) & set(_PART_NAMES.values())):
            raise RuleError(f"a part cannot have the name {min(taken)!r}, which is taken")

    def _has_row(self, partial: ast.expr) -> bool:
        # A plain number needs no row: its derivatives are 0.
        return bool(self.seconds["dxx"]) and not rules.is_number(partial)

    @cached_property
    def slopes(self) -> "dict[str, Operation]":
        """The rows of the local derivatives 'dx' and 'dy', if columns give their derivatives.

        They are generated when they are first needed, which keeps the import fast.
        """
        slopes = {}
        for k, partial in enumerate(self.partial_trees):
            if self._has_row(partial):
                slope = self._slope("xy"[k])
                slope.read(f"{self.name}_d{'xy'[k]}", {**self.known, self.name: self})
                if hasattr(self, "install"):
                    self.install(slope)
                slopes[f"d{'xy'[k]}"] = slope
        return slopes

    def _slope(self, operand: str) -> "Operation":
        """The row of the derivative in an operand, not yet parsed; its parts are this row's."""
        operands, own = "xy"[: self.arity], f"d{operand}"
        where = {**self.where, "value": self.texts[0]}
        for other, text in zip(operands, self.texts[1:], strict=True):
            if other != operand:
                where[_PART_NAMES[f"d{other}"]] = rules.renamed(text, _PART_NAMES)
        text = self.texts[1 + operands.index(operand)]
        columns = ["d" + "".join(sorted(operand + other)) for other in operands]
        part_names = {**_PART_NAMES, own: "z"}
        seconds = [rules.renamed(self.seconds[column], part_names) for column in columns]
        row = Operation(
            rules.renamed(text, _PART_NAMES), *seconds, smooth=self.smooth, pieces=self.pieces
        )
        row.where = where
        texts = [
            self.textbook[1 + operands.index(operand)],
            *(self.seconds[column] for column in columns),
        ]
        row.textbook = tuple(map(self._in_operands, texts))
        return row

    def _recorded(self, partial: str, numbers: Callable[..., float]) -> Callable[..., Any]:
        """A local derivative: the function's result for numbers, for Values a node of its row."""

        def slope(x: Any, y: Any = None, z: Any = None) -> Any:
            if isinstance(x, Operand) or isinstance(y, Operand):
                return self.slopes[partial](*(x, y)[: self.arity])
            return numbers(x, y, z)

        return slope

    def _in_operands(self, text: str) -> str:
        """A text in x, y, z, dx, dy and parts, written in the operands alone, for display."""
        tree = rules.written_out(ast.parse(text, mode="eval").body, self.where_trees)
        z, *slopes = (ast.parse(text, mode="eval").body for text in self.textbook)
        tree = rules.substitute(tree, dict(zip(("dx", "dy"), slopes, strict=False)))
        return ast.unparse(rules.substitute(tree, {"z": z}))


def _one_piece(x: object, y: object = None) -> float:
    """0, the number of the piece, for a row without the column `pieces`."""
    return 0.0


class Op(Operation, Generic[Operands]):
    """One operation: a row of the table, a method of Value, and a function of Values or numbers.

    >>> from autograd import Value, ops
    >>> ops.Ops.tanh
    Op(tanh(x))
    >>> ops.Ops.tanh(0.5) == Value(0.5).tanh().data
    True
    """

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: "Op[Unary]",
            z: str,
            dx: str,
            *,
            smooth: str = ...,
            pieces: str = ...,
            ends: str = ...,
            textbook: tuple[str, ...] = ...,
            **where: str,
        ) -> None: ...
        @overload
        def __init__(
            self: "Op[Binary]",
            z: str,
            dx: str,
            dy: str,
            *,
            smooth: str = ...,
            pieces: str = ...,
            ends: str = ...,
            textbook: tuple[str, ...] = ...,
            y: None = ...,
            **where: str,
        ) -> None: ...
        @overload
        def __init__(
            self: "Op[Optional]",
            z: str,
            dx: str,
            dy: str,
            *,
            y: float,
            smooth: str = ...,
            pieces: str = ...,
            ends: str = ...,
            textbook: tuple[str, ...] = ...,
            **where: str,
        ) -> None: ...
        def __init__(self, *texts: Any, **columns: Any) -> None: ...

    @overload
    def __get__(self, node: None, owner: type) -> Self: ...
    @overload
    def __get__(self: "Op[Unary]", node: T, owner: type) -> Callable[[], T]: ...
    @overload
    def __get__(self: "Op[Binary]", node: T, owner: type) -> Callable[[T | float], T]: ...
    @overload
    def __get__(self: "Op[Optional]", node: T, owner: type) -> Callable[..., T]: ...
    def __get__(self, node: Any, owner: type) -> Any:
        if node is None:
            return self
        return lambda y=self.default: node.apply(self, node, y)


class Reflected:
    """The operation with a number on the left: the method that Python calls for `2 - v`."""

    def __init__(self, op: Operation) -> None:
        self.op = op

    def __get__(self, node: T, owner: type) -> Callable[[float], T]:
        op = self.op
        return lambda x: node.apply(op, x, node)
