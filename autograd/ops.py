"""The table of operations: z = h(x, y) and its local derivatives, one row of text each.

Everything else is read from here: the methods of Value, the pullbacks, higher derivatives, the
formulas that are shown, the labels in drawings, and the tests.  How a row is written:

    name = Op(z, dz/dx, dz/dy, ...)

The texts are rules in the operands x and y and, in derivatives, the result z (`rules.py` says what
a rule may hold).  A row whose z is its own call, `exp(x)`, is a function of libm.  Further columns:

    smooth=    where the row has derivatives of every order; outside, it has an end or a kink
    pieces=    for a row with many jumps, a number that is constant between two of them
    ends=      what a function of libm gives where Python's `math` raises instead
    textbook=  (z, dz/dx, ...) as a textbook has them, where what is computed is longer for accuracy
    dxx=, dxy=, dyy=  the second derivatives, which may also use dx and dy
    y=         the second operand's value when it is left out
    t=, ...    parts that several texts share, by any other name

Derivatives are written to be good to 4 units in the last place wherever the result is a number.
`1 - z * z` for tanh is not: it is wrong by more than 1e-6 on a sixth of all inputs.

Without the columns dxx, dxy and dyy, second derivatives come from differentiating the texts of the
first.  That is right to 1e-12 for most rows; tanh needs the column, because the derivative of
`4 * t / ((1 + t) * (1 + t))` is a difference of nearly equal numbers around 0.  With the columns, a
derivative that is recorded is one node of a row of its own, `tanh_dx` (for two operands, `hypot_dx`
and `hypot_dy`), whose derivatives are these texts; `rows()["tanh_dx"]` finds it.  Third derivatives
come from differentiating the texts of the second.

A comparison with nan is false.  A value that is nan has nan derivatives, whatever the texts make of
its operands; where a value may be a number although an operand is nan, as in hypot(inf, nan), the
texts of the derivatives end in a form that is nan.
"""

import ast
import math
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from autograd import rules
from autograd.rules import RuleError

T = TypeVar("T", bound="Ops")
Operands = TypeVar("Operands")
Unary = Literal["x"]
Binary = Literal["x, y"]
Optional = Literal["x, y=..."]

# Names that the language or the generated source (`record.py`) uses for something else.
_TAKEN = {"x", "y", "z", "a", "b", "g", "dx", "dy", "op", "node", "mode", "math", *rules.CONSTANTS}
# What z, dx and dy of a row are called as parts of the rows of its derivatives.
_INSIDE = {"z": "value", "dx": "slope_x", "dy": "slope_y"}


Hook = Callable[[float], float | None]


class Origin:
    """Where a node comes from: the row itself, or a Note that adds what is known of one node."""

    label = ""
    scope = ""
    line = ""
    hooks: tuple[Hook, ...] = ()
    # Whether the node is many operations at once: it has `pull` and `push` in place of partials.
    many = False

    @property
    def op(self) -> "Operation | None":
        """The operation; None for a leaf."""
        raise NotImplementedError

    @property
    def call(self) -> Any:
        """The call of a transform in which a leaf was made; None outside of any."""
        return None

    def pullback(self, node: Any) -> None:
        """Add the node's adjoint, times the local derivatives, to those of its parents."""
        raise NotImplementedError


class Operation(Origin):
    """A row that has been read: its texts, their trees, and the functions made from them."""

    # Filled in by `record.install`, once Value exists.
    method: Callable[..., Any]
    reverse: Callable[..., Any]
    install: Callable[["Operation"], object]

    # Filled in by `read`, once the whole table is known.
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
        """Itself: a node without a Note refers to its row."""
        return self

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name  # `__add__ = add` names it a second time

    def __reduce__(self) -> Any:
        return _row, (self.name,)  # a row is the same object in every copy of what refers to it

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
        """z for numbers as a float, for Values as a Value; it never raises on a number."""
        if y is None:
            y = self.default
        if (y is None) != (self.arity == 1):
            raise TypeError(f"{self.name} takes {self.arity} operand(s)")
        if isinstance(x, Ops):
            return x.apply(self, x, y)
        if isinstance(y, Ops):
            return y.apply(self, x, y)
        return self.value(*(number(operand, self.name) for operand in (x, y)[: self.arity]))

    def read(self, name: str, rows: "Mapping[str, Operation]") -> None:
        """Parse the row as `name` and make its functions; `rows` are those that it may call.

        Raises RuleError, naming the row, when a text is not a rule in x, y (and z).
        """
        self.name = name
        self.known = rows
        vars(self).pop("slopes", None)
        try:
            piece_tree, ends_tree = self._parse({row: op.arity for row, op in rows.items()})
            self._check_seconds()
        except RuleError as error:
            raise RuleError(f"op {name!r}: {error}") from None
        names = {**rules.CONSTANTS, **rows, name: self, "math": math}
        names |= {"divide": rules.divide, "power": rules.power}
        xy = "x, y=None"
        if self.libm:
            # The one place where Python's exceptions are turned into the ends of IEEE 754.
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
            made = rules.function(f"{name}_{partial}", f"{xy}, z=None", tree, self, names)
            setattr(self, partial, self._recorded(partial, made) if self._has_row(tree) else made)

    def _parse(self, arity: dict[str, int]) -> tuple[ast.expr, ast.expr]:
        """Parse the texts into trees; returns those of `pieces` and `ends`, which are not kept."""
        name, operands = self.name, ["x", "y"][: self.arity]
        if not name.isidentifier() or name.startswith("_"):
            raise RuleError("a row needs a plain name")
        functions = {**arity, name: self.arity}
        known = [*operands]
        for part, text in self.where.items():
            if part in _TAKEN:
                raise RuleError(f"a part cannot be called {part!r}, which is taken")
            self.where_trees[part] = rules.parse(text, known, functions)
            known.append(part)
        z, *partials = self.texts
        self.value_tree = rules.parse(z, known, functions)
        self.partial_trees = [rules.parse(dz, [*known, "z"], functions) for dz in partials]
        if z == self.signature:
            self.libm = {"abs": "fabs"}.get(name, name)
            if not hasattr(math, self.libm):
                raise RuleError(f"calls itself, and Python's math has no {name!r}")
        elif name in rules.calls(self.value_tree):
            raise RuleError(f"calls itself in {z!r}")
        smooth = f"1.0 if {self.smooth} else 0.0" if self.smooth else "1.0"
        self.smooth_tree = rules.parse(smooth, operands, functions)
        if self.textbook is self.texts:  # shown with the shared parts written out
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

    @property
    def signature(self) -> str:
        """The operation as a call of itself: 'tanh(x)', 'hypot(x, y)'."""
        return f"{self.name}({', '.join('xy'[: self.arity])})"

    def _check_seconds(self) -> None:
        wanted = ["dxx", "dxy", "dyy"] if self.arity == 2 else ["dxx"]
        given = [column for column, text in self.seconds.items() if text]
        if given and given != wanted:
            raise RuleError(f"second derivatives need {', '.join(wanted)}; given {given}")
        if given and (taken := set(self.where) & set(_INSIDE.values())):
            raise RuleError(f"a part cannot be called {min(taken)!r}, which is taken")

    def _has_row(self, partial: ast.expr) -> bool:
        # A plain 1 is no operation, and its derivatives are 0.
        return bool(self.seconds["dxx"]) and not rules.is_number(partial)

    @cached_property
    def slopes(self) -> "dict[str, Operation]":
        """The rows of the local derivatives 'dx' and 'dy', if columns give their derivatives.

        Made when they are first asked for, which spares an import the time.
        """
        made = {}
        for k, partial in enumerate(self.partial_trees):
            if self._has_row(partial):
                slope = self._slope("xy"[k])
                slope.read(f"{self.name}_d{'xy'[k]}", {**self.known, self.name: self})
                if hasattr(self, "install"):
                    self.install(slope)
                made[f"d{'xy'[k]}"] = slope
        return made

    def _slope(self, operand: str) -> "Operation":
        """The row of the derivative in an operand, not yet read; what it needs are its parts."""
        operands, own = "xy"[: self.arity], f"d{operand}"
        where = {**self.where, "value": self.texts[0]}
        for other, text in zip(operands, self.texts[1:], strict=True):
            if other != operand:
                where[_INSIDE[f"d{other}"]] = rules.renamed(text, _INSIDE)
        text = self.texts[1 + operands.index(operand)]
        columns = ["d" + "".join(sorted(operand + other)) for other in operands]
        inside = {**_INSIDE, own: "z"}
        seconds = [rules.renamed(self.seconds[column], inside) for column in columns]
        row = Operation(
            rules.renamed(text, _INSIDE), *seconds, smooth=self.smooth, pieces=self.pieces
        )
        row.where = where
        shown = [
            self.textbook[1 + operands.index(operand)],
            *(self.seconds[column] for column in columns),
        ]
        row.textbook = tuple(map(self._in_operands, shown))
        return row

    def _recorded(self, partial: str, numbers: Callable[..., float]) -> Callable[..., Any]:
        """A local derivative: of numbers by the function, of Values as a node of its own row."""

        def slope(x: Any, y: Any = None, z: Any = None) -> Any:
            if isinstance(x, Ops) or isinstance(y, Ops):
                return self.slopes[partial](*(x, y)[: self.arity])
            return numbers(x, y, z)

        return slope

    def _in_operands(self, text: str) -> str:
        """A text in x, y, z, dx, dy and parts, written in the operands alone, for reading."""
        tree = rules.written_out(ast.parse(text, mode="eval").body, self.where_trees)
        z, *slopes = (ast.parse(text, mode="eval").body for text in self.textbook)
        tree = rules.substitute(tree, dict(zip(("dx", "dy"), slopes, strict=False)))
        return ast.unparse(rules.substitute(tree, {"z": z}))


def _one_piece(x: object, y: object = None) -> float:
    """The number of the piece of a row that has one, or one on each side of a kink."""
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
    """The operation with a number on the left: what Python asks for in `2 - v`."""

    def __init__(self, op: Operation) -> None:
        self.op = op

    def __get__(self, node: T, owner: type) -> Callable[[float], T]:
        op = self.op
        return lambda x: node.apply(op, x, node)


def number(operand: object, what: str) -> float:
    """The operand as a float; TypeError with advice for anything that is not a real number."""
    if isinstance(operand, float | int):
        try:
            return float(operand)
        except OverflowError:
            raise ValueError(f"{what}: the integer is too large for a float") from None
    return _foreign(operand, what)


def _foreign(operand: object, what: str) -> float:
    from numbers import Real  # 1 ms to import, and needed only for numbers of other libraries

    if isinstance(operand, Real):
        return float(operand)
    plain = unboxed(operand)
    if plain is not operand:
        return number(plain, what)
    raise TypeError(refusal(operand, what))


def unboxed(operand: object) -> object:
    """Python's own object for a NumPy scalar or an array without dimensions; others as they are.

    >>> unboxed("text")
    'text'
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(operand, numpy.generic | numpy.ndarray):
        return operand
    if operand.ndim or operand.dtype.char not in "?bhilqBHILQefdFD":  # no dates, no long doubles
        return operand
    found: object = operand.item()
    return found


def item(operand: Any) -> float:
    """The number of a Value, or a plain number as a float, where no gradient is wanted.

    >>> item(2), item(True)
    (2.0, 1.0)
    """
    found: float = operand.item() if isinstance(operand, Ops) else float(operand)
    return found


def is_foreign(operand: object, method: str) -> bool:
    """Whether another class has a reflected `method` of its own, which must be asked.

    Python's text, containers, numbers and arrays are no such classes: they would repeat themselves
    or raise without advice.
    """
    kind = type(operand)
    return (
        not isinstance(
            operand, Ops | float | int | complex | str | bytes | list | tuple | set | dict
        )
        and kind.__module__ not in ("builtins", "decimal")
        and not hasattr(kind, "__array__")
        and getattr(kind, method, None) not in (None, getattr(object, method, None))
    )


def refusal(operand: object, what: str) -> str:
    """What to write instead of an operand that is not a real number."""
    kind = type(operand).__name__
    if isinstance(operand, str | bytes):
        advice = "convert it first, as in Value(float(text)); a name goes in Value(data, label=...)"
    elif isinstance(operand, complex):
        advice = "this engine is real; use one Value for the real and one for the imaginary part"
    elif isinstance(operand, list | tuple | set | dict):
        advice = "make one Value per number, as in [Value(d) for d in data]"
    elif hasattr(operand, "__array__"):
        advice = "make one Value per number, as in [Value(d) for d in array.tolist()]"
    elif isinstance(operand, Ops):
        advice = "it is a Value already; v.detach() gives a new leaf with its number"
    else:
        advice = "give a real number"
    return f"{what}: expected a real number, got {kind}; {advice}"


class Rows(dict[str, Operation]):
    """Operations by name.  `rows["tanh_dx"]` and `in` also find the derivatives that are rows."""

    def __missing__(self, name: str) -> Operation:
        base, _, partial = name.rpartition("_")
        op = self.get(base)
        if op is None or partial not in op.slopes:
            raise KeyError(name)
        return op.slopes[partial]

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and isinstance(self[name], Operation)
        except KeyError:
            return False


def rows() -> Rows:
    """Every operation by name: the table's, and those defined since.

    >>> rows()["tanh_dx"]
    Op(tanh_dx(x) = 4 * t / ((1 + t) * (1 + t)))
    """
    return Rows(
        (name, op)
        for name, op in vars(Ops).items()
        if isinstance(op, Operation) and op.name == name
    )


def _row(name: str) -> Operation:
    known = rows()
    if name not in known:
        raise ValueError(f"no operation {name!r}; define it (define_op) before what refers to it")
    return known[name]


def table(owner: type[T]) -> type[T]:
    """Read every row of the class; a bad row is refused here, when the class is made."""
    own = {name: op for name, op in vars(owner).items() if isinstance(op, Op) and op.name == name}
    for name, op in own.items():
        op.read(name, own)
    return owner


# fmt: off
@table
class Ops:
    """The rows.  A class that inherits them says in `apply(op, x, y)` what an operation does.

    Conventions where a derivative is not unique: relu'(0) = abs'(0) = sign'(0) = 0, a tie of
    maximum or minimum gives 1/2 to each, and hypot, atan2 and x**0 at 0 have derivative 0.  The
    steps floor, ceil, round, // and sign have derivative 0 everywhere, also where they jump.
    """

    __slots__ = ()

    #            z = h(x, y)     dz/dx                            dz/dy
    add        = Op("x + y",     "1",                             "1")
    sub        = Op("x - y",     "1",                             "-1")
    mul        = Op("x * y",     "y",                             "x")
    div        = Op("x / y",     "1 / y",                         "-z / y",          smooth="abs(y) > 0")
    pos        = Op("+x",        "1")
    neg        = Op("-x",        "-1")
    square     = Op("x * x",     "2 * x")
    reciprocal = Op("1 / x",     "-z * z",                                           smooth="abs(x) > 0")
    # From y = 0.5 on, y - 1 is exact; below, its rounding would cost 350 ulp at x = 1e300.  z / x
    # first would be inf where x is below 1e-308.
    pow        = Op("x ** y",    "((y * z / x if abs(x) < inf else 0.0) if abs(x) > 0 else y * x ** (y - 1) if abs(y) > 0 else x)"
                                 " if y < 0.5 else y * x ** (y - 1)",
                                 "z * log(x) if abs(x) > 0 else x - inf if y < 0 else x * z",
                                 dxx="y * (y - 1) * x ** (y - 2) if y > 1.5 else (y - 1) * dx / x if abs(x) > 0"
                                     " else y * (y - 1) * x ** (y - 2) if abs(y * (y - 1)) > 0 else 0.0",
                                 dxy="x ** (y - 1) * (1 + y * log(x)) if abs(x) > 0 else 0.0 if y > 1 else -y * inf if abs(y) > 0 else 0.0",
                                 dyy="dy * log(x) if abs(x) > 0 else dy * dy",
                                 textbook=("x ** y", "y * x ** (y - 1)", "z * log(x)"), smooth="x > 0")
    sqrt       = Op("sqrt(x)",   "0.5 / z",                                          smooth="x > 0")
    # libm's is off by up to 3 ulp.  h is the root to 26 bits, so that h * h is exact.
    cbrt       = Op("c if x > 0 else -c if x < 0 else x", "1 / (3 * z * z)", dxx="-2 * dx / (3 * x)",
                                 w="abs(x) ** 0.3333333333333333", h="134217729 * w - (134217729 * w - w)",
                                 r="abs(x) / (h * h)", c="h + h * ((r - h) / (h + h + r)) if w < inf else w",
                                 textbook=("cbrt(x)", "1 / (3 * z * z)"),            smooth="abs(x) > 0")
    exp        = Op("exp(x)",    "z",                             ends="inf")
    exp2       = Op("2 ** x",    "0.6931471805599453 * z",        textbook=("2 ** x", "log(2) * z"))
    expm1      = Op("expm1(x)",  "exp(x)",                        ends="inf")
    log        = Op("log(x)",    "1 / x",                         ends="nan if x < 0 else -inf",  smooth="x > 0")
    log1p      = Op("log1p(x)",  "1 / (1 + x)",                   ends="nan if x < -1 else -inf", smooth="x > -1")
    log2       = Op("log2(x)",   "1.4426950408889634 / x",        ends="nan if x < 0 else -inf",  smooth="x > 0")
    log10      = Op("log10(x)",  "0.4342944819032518 / x",        ends="nan if x < 0 else -inf",  smooth="x > 0")

    sin        = Op("sin(x)",    "cos(x)")
    cos        = Op("cos(x)",    "-sin(x)")
    tan        = Op("tan(x)",    "1 + z * z")
    asin       = Op("asin(x)",   "1 / sqrt((1 - x) * (1 + x))",   dxx="x * dx / ((1 - x) * (1 + x))",  smooth="x * x < 1")
    acos       = Op("acos(x)",   "-1 / sqrt((1 - x) * (1 + x))",  dxx="x * dx / ((1 - x) * (1 + x))",  smooth="x * x < 1")
    atan       = Op("atan(x)",   "1 / t / t", t="hypot(x, 1)",    textbook=("atan(x)", "1 / (1 + x * x)"))
    # The halves in dxy cannot overflow, and x - y is exact where it is small.
    atan2      = Op("atan2(x, y)", "y / t / t if t > 0 else t",   "-x / t / t if t > 0 else t", t="hypot(x, y)",
                                 dxx="2 * dx * dy", dyy="-2 * dx * dy",
                                 dxy="4 * ((0.5 * x - 0.5 * y) / t) * ((0.5 * x + 0.5 * y) / t) / t / t if t > 0 else t",
                                 textbook=("atan2(x, y)", "y / (x * x + y * y)", "-x / (x * x + y * y)"), smooth="hypot(x, y) > 0")
    hypot      = Op("hypot(x, y)", "x / z if z > 0 else z",       "y / z if z > 0 else z", ends="inf",
                                 dxx="dy / z * dy if z > 0 else 0.0", dxy="-dx / z * dy if z > 0 else 0.0", dyy="dx / z * dx if z > 0 else 0.0",
                                 textbook=("hypot(x, y)", "x / z", "y / z"), smooth="hypot(x, y) > 0")
    sinh       = Op("sinh(x)",   "cosh(x)",                       ends="x * inf")
    cosh       = Op("cosh(x)",   "sinh(x)",                       ends="inf")
    tanh       = Op("tanh(x)",   "4 * t / ((1 + t) * (1 + t))",   t="exp(-2 * x) if x > 0 else exp(2 * x)",
                                 dxx="-2 * z * dx",               textbook=("tanh(x)", "1 - z * z"))
    asinh      = Op("asinh(x)",  "1 / hypot(x, 1)",               textbook=("asinh(x)", "1 / sqrt(x * x + 1)"))
    acosh      = Op("acosh(x)",  "1 / sqrt(x - 1) / sqrt(x + 1)", textbook=("acosh(x)", "1 / sqrt(x * x - 1)"), smooth="x > 1")
    atanh      = Op("atanh(x)",  "1 / ((1 - x) * (1 + x))",       textbook=("atanh(x)", "1 / (1 - x * x)"),     smooth="x * x < 1",
                                 ends="nan if x * x > 1 else x * inf", dxx="2 * x * dx * dx")

    # t is at most 1 in these five, so nothing overflows and no digit is lost on either side.
    sigmoid    = Op("1 / (1 + t) if x > 0 else t / (1 + t)",      "t / ((1 + t) * (1 + t))", dxx="-dx * tanh(x / 2)",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("1 / (1 + exp(-x))", "z * (1 - z)"))
    softplus   = Op("x + log1p(t) if x > 0 else log1p(t)",        "1 / (1 + t) if x > 0 else t / (1 + t)",
                                 dxx="t / ((1 + t) * (1 + t))",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("log(1 + exp(x))", "sigmoid(x)"))
    logsigmoid = Op("-log1p(t) if x > 0 else x - log1p(t)",       "t / (1 + t) if x > 0 else 1 / (1 + t)",
                                 dxx="-t / ((1 + t) * (1 + t))",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("log(sigmoid(x))", "sigmoid(-x)"))
    # exp(x) is losing digits below -700; 2.3497e-21 is exp(-47.5), which a double happens to hit to 0.001 ulp.
    silu       = Op("x / (1 + t) if x > 0 else x * t / (1 + t) if x > -700"
                    " else x * 2.349698337452817e-21 * exp(x + 47.5) if x > -1000 else 0 / x",
                    "((1 + t + x * t) / ((1 + t) * (1 + t)) if x < 1000 else 1.0) if x > 0 else t * (1 + t + x) / ((1 + t) * (1 + t)) if x > -700"
                    " else (1 + x) * 2.349698337452817e-21 * exp(x + 47.5) if x > -1000 else 0 / x",
                                 dxx="t / ((1 + t) * (1 + t)) * (2 - x * tanh(x / 2)) if x * x < 1e6 else 0.0",
                                 t="exp(-x) if x > 0 else exp(x)", textbook=("x * sigmoid(x)", "sigmoid(x) * (1 + x * sigmoid(-x))"))
    # d + e is x - y in two doubles, and exp(e) is 1 + e; where d is no number, both are infinite.
    logaddexp  = Op("x + log1p(t) if d > 0 else y + log1p(t) if d < 1 else x + y",
                    "1 / (1 + t) if d > 0 else t / (1 + t) if d < 1 else 0.5 if abs(x + y) > 0 else d",
                    "t / (1 + t) if d > 0 else 1 / (1 + t) if d < 1 else 0.5 if abs(x + y) > 0 else d",
                                 dxx="t / ((1 + t) * (1 + t))", dxy="-t / ((1 + t) * (1 + t))", dyy="t / ((1 + t) * (1 + t))",
                                 d="x - y", v="d - x", e="x - (d - v) - (y + v)",
                                 t="(exp(-d) * (1 - e) if d > 0 else exp(d) * (1 + e)) if abs(d) < 800 else 0.0 if abs(d) > 1 else d",
                                 textbook=("log(exp(x) + exp(y))", "sigmoid(x - y)", "sigmoid(y - x)"))
    # h is x to 26 bits (Veltkamp 1968), so that h * h is exact and exp(-x * x) keeps its digits.
    erf        = Op("erf(x)",    "1.1283791670955126 * exp(-h * h) * exp((h - x) * (h + x)) if x * x < 1600 else 0.0 if abs(x) > 0 else x",
                                 dxx="-2 * x * dx if x * x < 1600 else dx",
                                 h="134217729 * x - (134217729 * x - x)", textbook=("erf(x)", "2 / sqrt(pi) * exp(-x * x)"))
    erfc       = Op("erfc(x)",   "-1.1283791670955126 * exp(-h * h) * exp((h - x) * (h + x)) if x * x < 1600 else 0.0 if abs(x) > 0 else x",
                                 dxx="-2 * x * dx if x * x < 1600 else dx",
                                 h="134217729 * x - (134217729 * x - x)", textbook=("erfc(x)", "-2 / sqrt(pi) * exp(-x * x)"))
    # p + q is x / sqrt(2) in two doubles and e is exp(-x * x / 2), so c = 2 * Phi(x) is good in both tails.
    gelu       = Op("0.5 * x * c if x * x < 1600 else 0.0 if x < 0 else x",
                    "0.5 * c + 0.3989422804014327 * x * e if x * x < 1600 else 0.0 if x < 0 else 1.0 if x > 0 else x",
                                 dxx="0.3989422804014327 * e * (2 - h * h + (h - x) * (h + x)) if x * x < 1600 else 0.0",
                                 h="134217729 * x - (134217729 * x - x)", p="0.7071067811865476 * x",
                                 q="0.7071067839860916 * h - p - 2.799544089368687e-09 * x + 0.7071067839860916 * (x - h)",
                                 e="exp(-0.5 * h * h) * exp(0.5 * (h - x) * (h + x))",
                                 c="erfc(-p) + 1.1283791670955126 * e * q",
                                 textbook=("x * erfc(-x / sqrt(2)) / 2", "erfc(-x / sqrt(2)) / 2 + x * exp(-x * x / 2) / sqrt(2 * pi)"))

    relu       = Op("0.0 if x < 0 else x",          "1.0 if x > 0 else 0.0",         smooth="abs(x) > 0")
    leaky_relu = Op("x if x > 0 else y * x",        "1.0 if x > 0 else y",          "0.0 if x > 0 else x",
                                 y=0.01,                                             smooth="abs(x) > 0")
    elu        = Op("x if x > 0 else y * expm1(x)", "1.0 if x > 0 else y * exp(x)", "0.0 if x > 0 else expm1(x)",
                                 y=1.0,                                              smooth="abs(x) > 0")
    abs        = Op("abs(x)",                       "sign(x)",                       smooth="abs(x) > 0")
    sign       = Op("1.0 if x > 0 else -1.0 if x < 0 else x", "0.0",                 smooth="abs(x) > 0")
    # x + y is nan where one of them is, and else inf or -inf as both of them.
    maximum    = Op("y if x < y else x if y < inf else x + y",  "1.0 if x > y else 0.0 if x < y else 0.5",
                    "0.0 if x > y else 1.0 if x < y else 0.5",                       smooth="abs(x - y) > 0",
                                 textbook=("x if x > y else y", "1.0 if x > y else 0.0 if x < y else 0.5",
                                           "0.0 if x > y else 1.0 if x < y else 0.5"))
    minimum    = Op("y if x > y else x if y > -inf else x + y", "0.0 if x > y else 1.0 if x < y else 0.5",
                    "1.0 if x > y else 0.0 if x < y else 0.5",                       smooth="abs(x - y) > 0",
                                 textbook=("y if x > y else x", "0.0 if x > y else 1.0 if x < y else 0.5",
                                           "1.0 if x > y else 0.0 if x < y else 0.5"))

    # The remainders and steps are Python's numbers, as floats: math.floor and round give an int, and
    # raise for inf.  C's fmod is exact, with the sign of x; its slope -trunc(x / y) is a whole number.
    fmod       = Op("fmod(x, y)",                   "1",           "-round((x - z) / y)", dxx="0.0", dxy="0.0", dyy="0.0",
                                 textbook=("fmod(x, y)", "1", "(z - x) / y"), pieces="floordiv(x, y)", smooth="abs(fmod(x, y)) > 0")
    # From 2 ** 52 on all numbers are whole, so adding that rounds, from the middle to the even one.
    round      = Op("x if abs(x) > 4503599627370496 else x + 4503599627370496 - 4503599627370496 if x > 0"
                    " else -(4503599627370496 - x - 4503599627370496) if x < 0 else x", "0.0",
                                 textbook=("round(x)", "0.0"), pieces="round(x)", smooth="abs(abs(fmod(x, 1)) - 0.5) > 0")
    floor      = Op("r - 1 if r > x else r",        "0.0",         r="round(x)",
                                 textbook=("floor(x)", "0.0"), pieces="floor(x)", smooth="abs(fmod(x, 1)) > 0")
    ceil       = Op("-floor(-x)",                   "0.0",
                                 textbook=("ceil(x)", "0.0"),  pieces="ceil(x)",  smooth="abs(fmod(x, 1)) > 0")
    mod        = Op("(t + y if y > 0 else t) if t < 0 else (t + y if y < 0 else t) if t > 0 else t * t / y", "1",
                    "-round((x - z) / y)",          t="fmod(x, y)", dxx="0.0", dxy="0.0", dyy="0.0",
                                 textbook=("x - y * floor(x / y)", "1", "-floor(x / y)"),
                                 pieces="floordiv(x, y)", smooth="abs(fmod(x, y)) > 0")
    # q is Python's quotient before it is made a whole number; a result of 0 has the sign of x / y.
    floordiv   = Op("(n + 1 if q - n > 0.5 else n) if abs(q) > 0 else 0 * (x / y) if abs(y) > 0 else x / y",
                    "0.0",                          "0.0",
                                 t="fmod(x, y)", d="(x - t) / y",
                                 q="(d - 1 if y > 0 else d) if t < 0 else (d - 1 if y < 0 else d) if t > 0 else d", n="floor(q)",
                                 textbook=("floor(x / y)", "0.0", "0.0"),
                                 pieces="floordiv(x, y)", smooth="abs(fmod(x, y)) > 0")
    # fmt: on

    __add__, __sub__, __mul__, __truediv__, __pow__ = add, sub, mul, div, pow
    __radd__, __rsub__, __rmul__ = add.reflected, sub.reflected, mul.reflected
    __rtruediv__, __rpow__ = div.reflected, pow.reflected
    __mod__, __floordiv__ = mod, floordiv
    __rmod__, __rfloordiv__ = mod.reflected, floordiv.reflected
    __pos__, __neg__, __abs__ = pos, neg, abs

    def __round__(self, digits: int | None = None) -> Any:
        """`round(v)` is the operation; a number of digits has no derivative and is refused."""
        if digits is None:
            return self.round()
        raise TypeError("round(v, digits) would lose the gradient; v.data is the number alone")

    def apply(self, op: Operation, x: Any, y: Any) -> Any:
        """The result of `op` on operands of which at least one is of this class."""
        raise NotImplementedError

    def item(self) -> Any:
        """The number alone."""
        raise NotImplementedError
