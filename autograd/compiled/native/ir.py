"""Functions in LLVM's assembly: terms with the operators of Python's numbers, memory, and loops.

A function works on three things: its record (64-bit whole numbers with the places of its operands),
the numbers of the thread that runs it, and the tables of the program.  A whole number that is known
while the text is written is a Python int.  Python does the arithmetic on it, not the machine.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from autograd.compiled.native.reals import DOUBLE, REALS, Reals

INT, POINTER, ENTRY = "i64", "ptr", "i32"  # a whole number, an address, an entry of a table


def vector(type: str, count: int) -> str:
    """The type of a vector of `count` numbers; the type itself for one."""
    return type if count == 1 else f"<{count} x {type}>"


class Term:
    """A value of a function, or a vector of values; arithmetic adds lines to the function."""

    __slots__ = ("f", "text", "type")

    def __init__(self, f: "Function", type: str, text: str) -> None:
        self.f, self.type, self.text = f, type, text

    def __str__(self) -> str:
        return self.text

    @property
    def lanes(self) -> int:
        """How many numbers the term has."""
        return int(self.type[1:].split(" ")[0]) if self.type.startswith("<") else 1

    @property
    def kind(self) -> str:
        """The type of each of its numbers."""
        return self.type.rstrip(">").split(" ")[-1]

    @property
    def is_real(self) -> bool:
        """Whether its numbers are real, not whole."""
        return self.kind in REALS

    @property
    def real(self) -> Reals:
        """The type of its real numbers."""
        return REALS[self.kind]

    def like(self, other: "Operand") -> "Term":
        """A number as a term of this type."""
        if isinstance(other, Term):
            return other
        text = self.real.text(other) if self.is_real else str(other)
        return self.f.constant([text] * self.lanes, self.kind)

    def _do(self, real: str, whole: str, x: "Term", y: "Term") -> "Term":
        return self.f.term(x.type, f"{real if self.is_real else whole} {x.type} {x}, {y}")

    def __add__(self, other: "Operand") -> "Term":
        if isinstance(other, int) and other == 0 and not self.is_real:
            return self
        return self._do("fadd", "add", self, self.like(other))

    def __sub__(self, other: "Operand") -> "Term":
        return self._do("fsub", "sub", self, self.like(other))

    def __rsub__(self, other: "Operand") -> "Term":
        return self._do("fsub", "sub", self.like(other), self)

    def __mul__(self, other: "Operand") -> "Term":
        if isinstance(other, int) and other in (0, 1) and not self.is_real:
            return self if other else 0  # type: ignore[return-value]  # it goes on as an int
        return self._do("fmul", "mul", self, self.like(other))

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: "Operand") -> "Term":
        return self._do("fdiv", "", self, self.like(other))

    def __rtruediv__(self, other: "Operand") -> "Term":
        return self._do("fdiv", "", self.like(other), self)

    def __floordiv__(self, other: "Operand") -> "Term":
        return self._do("", "sdiv", self, self.like(other))

    def __mod__(self, other: "Operand") -> "Term":
        return self._do("", "srem", self, self.like(other))

    def __and__(self, other: "Operand") -> "Term":
        return self._do("", "and", self, self.like(other))

    def __or__(self, other: "Operand") -> "Term":
        return self._do("", "or", self, self.like(other))

    def __xor__(self, other: "Operand") -> "Term":
        return self._do("", "xor", self, self.like(other))

    def __lshift__(self, places: int) -> "Term":
        return self._do("", "shl", self, self.like(places))

    def __rshift__(self, places: int) -> "Term":
        return self._do("", "ashr", self, self.like(places))

    def dropped(self, places: int) -> "Term":
        """The bits shifted to the right by `places`, with zeros on the left."""
        return self._do("", "lshr", self, self.like(places))

    def __neg__(self) -> "Term":
        return self.f.term(self.type, f"fneg {self.type} {self}")

    def __abs__(self) -> "Term":
        return self.f.intrinsic("fabs", self)

    def times_plus(self, y: "Operand", z: "Operand") -> "Term":
        """self * y + z, rounded only once if the machine can."""
        return self.f.intrinsic("fmuladd", self, self.like(y), self.like(z))

    def compare(self, order: str, other: "Operand") -> "Term":
        """A mask of the numbers that satisfy a comparison, given by LLVM's name for it."""
        op = "fcmp" if self.is_real else "icmp"
        text = f"{op} {order} {self.type} {self}, {self.like(other)}"
        return self.f.term(vector("i1", self.lanes), text)

    def select(self, x: "Term", y: "Operand") -> "Term":
        """x where this mask is true, and y elsewhere."""
        text = f"select {self.type} {self}, {x.type} {x}, {x.type} {x.like(y)}"
        return self.f.term(x.type, text)

    def replaced(self, mask: "Term", other: "Operand") -> "Term":
        """This term, with another number where the mask is true."""
        return mask.select(self.like(other), self)

    def at_most(self, limit: float) -> "Term":
        """The smaller of number and limit; nan stays nan."""
        return self.like(limit).compare("olt", self).select(self.like(limit), self)

    def at_least(self, limit: float) -> "Term":
        """The larger of number and limit; nan stays nan."""
        return self.like(limit).compare("ogt", self).select(self.like(limit), self)

    def cast(self, op: str, kind: str) -> "Term":
        """The term converted to another type by the instruction `op`."""
        type = vector(kind, self.lanes)
        return self.f.term(type, f"{op} {self.type} {self} to {type}")

    def to(self, real: Reals) -> "Term":
        """The same real numbers in another type."""
        if self.real is real:
            return self
        return self.cast("fpext" if real.bits > self.real.bits else "fptrunc", real.name)

    def part(self, k: int) -> "Term":
        """One number of a vector."""
        if self.lanes == 1:
            return self
        return self.f.term(self.kind, f"extractelement {self.type} {self}, i32 {k}")

    def shuffled(self, other: "Term", places: Sequence[int]) -> "Term":
        """The vector of the numbers at those places of this vector followed by the other."""
        if len(places) == 1:
            return self.part(places[0])
        mask = f"<{len(places)} x i32> <{', '.join(f'i32 {i}' for i in places)}>"
        type = vector(self.kind, len(places))
        return self.f.term(type, f"shufflevector {self.type} {self}, {other.type} {other}, {mask}")

    def folded(self, join: Callable[["Term", "Term"], "Term"]) -> "Term":
        """A vector's numbers combined in pairs, neighbours first."""
        x = self
        while x.lanes > 1:
            x = join(x.shuffled(x, range(0, x.lanes, 2)), x.shuffled(x, range(1, x.lanes, 2)))
        return x

    def total(self) -> "Term":
        """The sum of a vector's numbers, neighbours first."""
        return self.folded(lambda x, y: x + y)

    def any(self) -> "Term":
        """Whether a mask is true anywhere."""
        if self.lanes == 1:
            return self
        bits = f"i{self.lanes}"
        return self.f.term(bits, f"bitcast {self.type} {self} to {bits}").compare("ne", 0)


Operand = Term | int | float
Whole = Term | int
Body = Callable[[Any, list[Term]], Sequence[Term]]


class Function:
    """The text of one function, and the functions that it calls.

    Args:
        name: the function's name.
        parameters: the names of its parameters, which are all pointers.
        real: the type of the real numbers that it computes with.
        values: the type of a program's numbers in memory, if it is another one.

    Attributes:
        vector: how many numbers are computed side by side.
    """

    unrolled = False  # whether loops of a known length are written out

    def __init__(
        self, name: str, parameters: Sequence[str] = ("record", "memory", "tables"),
        real: Reals = DOUBLE, values: Reals | None = None,
    ) -> None:  # fmt: skip
        self.name, self.parameters, self.real = name, parameters, real
        self.values, self.vector = values or real, real.vector
        self.result: Term | None = None
        self.lines: list[str] = []
        self.block = "entry"
        self.declared: dict[str, str] = {}
        self.libm: set[str] = set()  # functions of the C library that it calls
        self._count = 0
        self.pointers = {name: Term(self, POINTER, f"%{name}") for name in parameters}

    def text(self) -> str:
        """The function and its declarations."""
        parameters = ", ".join(f"ptr noalias %{name}" for name in self.parameters)
        type, end = (INT, f"ret {INT} {self.result}") if self.result else ("void", "ret void")
        head = f"define {type} @{self.name}({parameters}) nounwind {{"
        return "\n".join([*self.declared.values(), head, "entry:", *self.lines, f"  {end}", "}\n"])

    # ------------------------------------------------------------------ lines

    def do(self, text: str) -> None:
        """Add a line."""
        self.lines.append(f"  {text}")

    def term(self, type: str, text: str) -> Term:
        """The value that a new line computes."""
        term = Term(self, type, f"%v{self.fresh()}")
        self.lines.append(f"  {term} = {text}")
        return term

    def fresh(self) -> int:
        """A number for a new name."""
        self._count += 1
        return self._count

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def call(self, name: str, type: str, *arguments: Term) -> Term:
        """The result of a function that is declared elsewhere."""
        self.declared[name] = f"declare {type} @{name}({', '.join(x.type for x in arguments)})"
        text = f"call {type} @{name}({', '.join(f'{x.type} {x}' for x in arguments)})"
        if type == "void":
            self.do(text)
            return arguments[0]
        return self.term(type, text)

    def intrinsic(self, name: str, *arguments: Term) -> Term:
        """The result of a function of LLVM's own, of the type of its arguments."""
        x = arguments[0]
        kind = f"f{x.real.bits}" if x.is_real else x.kind
        kind = kind if x.lanes == 1 else f"v{x.lanes}{kind}"
        return self.call(f"llvm.{name}.{kind}", x.type, *arguments)

    # ------------------------------------------------------------------ constants

    def constant(self, texts: Sequence[str], kind: str) -> Term:
        """A constant, or a vector of constants, of that type."""
        if len(texts) == 1:
            return Term(self, kind, texts[0])
        parts = ", ".join(f"{kind} {text}" for text in texts)
        return Term(self, vector(kind, len(texts)), f"<{parts}>")

    def number(self, number: float, count: int = 0, real: Reals | None = None) -> Term:
        """A number in every place of a vector; of a whole one, if no count is given."""
        real = real or self.real
        return self.constant([real.text(number)] * (count or self.vector), real.name)

    def line(self, numbers: Iterable[float]) -> Term:
        """The vector of some numbers."""
        return self.constant([self.real.text(float(x)) for x in numbers], self.real.name)

    def counting(self, count: int = 0) -> Term:
        """The vector 0, 1, 2, ..."""
        return self.constant([str(i) for i in range(count or self.vector)], INT)

    def first(self, kept: Whole, count: int = 0) -> Term:
        """The mask of the first `kept` of `count` numbers."""
        count = count or self.vector
        if isinstance(kept, int):
            return self.constant([str(int(i < kept)) for i in range(count)], "i1")
        return self.counting(count).compare("slt", self.spread(kept, count))

    def spread(self, x: Whole, count: int = 0) -> Term:
        """The same in every place of a vector."""
        count = count or self.vector
        if isinstance(x, int):
            return self.constant([str(x)] * count, INT)
        if count == 1:
            return x
        type = vector(x.type, count)
        first = self.term(type, f"insertelement {type} poison, {x.type} {x}, i32 0")
        mask = f"<{count} x i32> zeroinitializer"
        return self.term(type, f"shufflevector {type} {first}, {type} poison, {mask}")

    def as_real(self, x: Whole) -> Term:
        """A whole number as a real one."""
        return self.number(x, 1) if isinstance(x, int) else x.cast("sitofp", self.real.name)

    # ------------------------------------------------------------------ memory

    def pointer(self, base: Term, index: Whole, type: str = "") -> Term:
        """The address a count of places behind another one, in numbers or in the given type."""
        if isinstance(index, int) and index == 0:
            return base
        kind = type or self.real.name
        return self.term(POINTER, f"getelementptr {kind}, ptr {base}, {INT} {index}")

    def field(self, k: int) -> Whole:
        """The whole number at a place of the record."""
        return self.word(self.pointers["record"], k)

    def word(self, pointer: Term, k: Whole) -> Term:
        """The whole number k places behind an address."""
        return self.term(INT, f"load {INT}, ptr {self.pointer(pointer, k, INT)}, align 8")

    def at(self, index: Whole) -> Term:
        """The address of one of the thread's numbers."""
        return self.pointer(self.pointers["memory"], index)

    def table(self, start: Whole) -> Term:
        """The address of a table of the program's."""
        return self.pointer(self.pointers["tables"], start, ENTRY)

    def entry(self, table: Term, index: Whole) -> Whole:
        """The whole number at a place of a table."""
        pointer = self.pointer(table, index, ENTRY)
        return self.term(ENTRY, f"load {ENTRY}, ptr {pointer}, align 4").cast("zext", INT)

    def signed(self, table: Term, index: Whole) -> Term:
        """The whole number, which may be negative, at a place of a table."""
        pointer = self.pointer(table, index, ENTRY)
        return self.term(ENTRY, f"load {ENTRY}, ptr {pointer}, align 4").cast("sext", INT)

    def load(self, pointer: Term, count: int = 0, mask: Term | None = None) -> Term:
        """The numbers at an address; with a mask, zeros where it is false."""
        count = count or self.vector
        if mask is None:
            return self._loaded(self.real, pointer, count)
        type, size = vector(self.real.name, count), self.real.size
        name = f"llvm.masked.load.v{count}f{self.real.bits}.p0"
        align = Term(self, ENTRY, str(size))
        return self.call(name, type, pointer, align, mask, self.number(0.0, count))

    def _loaded(self, real: Reals, pointer: Term, count: int) -> Term:
        type = vector(real.name, count)
        return self.term(type, f"load {type}, ptr {pointer}, align {real.size}")

    def value(self, place: Whole, count: int = 0) -> Term:
        """Some of the program's numbers, in the type of this function."""
        pointer = self.pointer(self.pointers["memory"], place, self.values.name)
        return self._loaded(self.values, pointer, count or self.vector).to(self.real)

    def double(self, pointer: Term, index: Whole = 0, count: int = 0) -> Term:
        """The doubles some places behind an address."""
        pointer = self.pointer(pointer, index, DOUBLE.name)
        return self._loaded(DOUBLE, pointer, count or self.vector)

    def store_double(self, x: Term, pointer: Term, index: Whole = 0) -> None:
        """Store numbers as doubles some places behind an address."""
        pointer = self.pointer(pointer, index, DOUBLE.name)
        x = x.to(DOUBLE)
        self.do(f"store {x.type} {x}, ptr {pointer}, align {DOUBLE.size}")

    def store(self, x: Term, pointer: Term, mask: Term | None = None) -> None:
        """Store numbers at an address; with a mask, only those where it is true."""
        size = self.real.size
        if mask is None:
            self.do(f"store {x.type} {x}, ptr {pointer}, align {size}")
            return
        name = f"llvm.masked.store.v{x.lanes}f{self.real.bits}.p0"
        self.call(name, "void", x, pointer, Term(self, ENTRY, str(size)), mask)

    def gathered(self, base: Term, places: Term, kind: str = "") -> Term:
        """The numbers at the given places behind an address."""
        kind, count = kind or self.real.name, places.lanes
        real = REALS.get(kind)
        short, size = (f"f{real.bits}", real.size) if real else (kind, 4)
        name = f"llvm.masked.gather.v{count}{short}.v{count}p0"
        align, type = Term(self, ENTRY, str(size)), vector(kind, count)
        rest = Term(self, type, "zeroinitializer")
        pointers = self._pointers(base, places, kind)
        return self.call(name, type, pointers, align, self.first(count, count), rest)

    def scattered(self, x: Term, base: Term, places: Term) -> None:
        """Store each number at its place behind an address."""
        count, pointers = x.lanes, self._pointers(base, places, self.real.name)
        name = f"llvm.masked.scatter.v{count}f{self.real.bits}.v{count}p0"
        align = Term(self, ENTRY, str(self.real.size))
        self.call(name, "void", x, pointers, align, self.first(count, count))

    def _pointers(self, base: Term, places: Term, kind: str) -> Term:
        many = vector(POINTER, places.lanes)
        return self.term(many, f"getelementptr {kind}, ptr {base}, {places.type} {places}")

    # ------------------------------------------------------------------ loops

    def loop(self, count: Whole, body: Body, carried: Sequence[Term] = ()) -> list[Term]:
        """The result of the last of body(0, carried), body(1, result of the first), ..."""
        if isinstance(count, int) and (count <= 1 or self.unrolled):
            state = list(carried)
            for k in range(count):
                state = list(body(k, state))
            return state
        k, before = self.fresh(), self.block
        if isinstance(count, int):
            self.do(f"br label %loop{k}")
        else:
            self.do(f"br i1 {count.compare('sgt', 0)}, label %loop{k}, label %after{k}")
        self.label(f"loop{k}")
        at = len(self.lines)
        i = Term(self, INT, f"%i{k}")
        phis = [Term(self, term.type, f"%c{k}.{j}") for j, term in enumerate(carried)]
        results = list(body(i, phis))
        following, last = i + 1, self.block
        more = following.compare("ne", count)
        self.do(f"br i1 {more}, label %loop{k}, label %after{k}")
        start = Term(self, INT, "0")
        pairs = zip([i, *phis], [start, *carried], [following, *results], strict=True)
        self.lines[at:at] = [f"  {phi} = {_phi(x, before, y, last)}" for phi, x, y in pairs]
        self.label(f"after{k}")
        if isinstance(count, int):
            return results
        ends = zip(carried, results, strict=True)
        return [self.term(x.type, _phi(x, before, y, last)) for x, y in ends]

    def each(self, count: Whole, body: Callable[[Any], None]) -> None:
        """Run the body for 0, 1, 2, ..."""

        def inside(i: Whole, _: list[Term]) -> list[Term]:
            body(i)
            return []

        self.loop(count, inside)

    def when(self, condition: Term, body: Callable[[], Term], otherwise: Term) -> Term:
        """The result of the body if the condition is true, or else `otherwise`."""
        k, before = self.fresh(), self.block
        self.do(f"br i1 {condition}, label %then{k}, label %else{k}")
        self.label(f"then{k}")
        result = body()
        last = self.block
        self.do(f"br label %else{k}")
        self.label(f"else{k}")
        return self.term(result.type, _phi(otherwise, before, result, last))

    def only_if(self, condition: Term, body: Callable[[], None]) -> None:
        """Run the body if the condition is true."""

        def counted() -> Term:
            body()
            return Term(self, INT, "1")

        self.when(condition, counted, Term(self, INT, "0"))


def _phi(x: Term, before: str, y: Term, last: str) -> str:
    """The instruction that takes x from one block or y from another."""
    return f"phi {x.type} [{x}, %{before}], [{y}, %{last}]"


class Straight(Function):
    """A function for one record, whose fields and tables are known while the text is written.

    Its loops are written out, so that only loads, arithmetic and stores remain.
    """

    unrolled = True

    def __init__(
        self, name: str, record: Sequence[int], tables: Any, real: Reals, values: Reals
    ) -> None:
        super().__init__(name, real=real, values=values)
        self.record, self.known = record, tables
        self._starts: dict[Term, int] = {}

    def field(self, k: int) -> Whole:
        """The whole number at a place of the record."""
        return int(self.record[k])

    def table(self, start: Whole) -> Term:
        """The address of a table of the program's."""
        address = super().table(start)
        assert isinstance(start, int)
        self._starts[address] = start
        return address

    def entry(self, table: Term, index: Whole) -> Whole:
        """The whole number at a place of a table."""
        if isinstance(index, int):
            return int(self.known[self._starts[table] + index])
        return super().entry(table, index)
