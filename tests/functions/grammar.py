"""Random Python functions: source text of a module that ends in `def f(...)`, and calls of it."""

import functools
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import autograd
from autograd import rows
from autograd.operation import Operation

COMMON = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 0.1, 0.2, 0.3, 0.7, -0.7, 1.5, -2.0]
ENDS = [float("inf"), float("-inf"), float("nan"), 1e308, -1e-310, 1e16]
# Into what most rows are smooth, and that a row with ends is called with.
SAFE = ["{}", "ag.tanh({}) * 0.9", "(ag.square({}) + 0.3)", "(ag.square({}) + 1.3)"]
LENGTH = 4  # of the lists that whole numbers index


@dataclass(frozen=True)
class Function:
    """A random function.

    Attributes:
        source: defines the leaves and numbers that f closes over, its inner functions, and f.
        calls: texts that set what is outside, `args`, and `rows` of arguments for a batch.
        leaves: the names of the Values that it closes over.
        scalar: whether it returns one number.
        plain: whether it can be called with numbers that are no Values.
        order: how often it differentiates inside.
    """

    source: str
    calls: tuple[str, ...]
    leaves: tuple[str, ...]
    scalar: bool = True
    plain: bool = True
    order: int = 0

    @property
    def list_of_leaves(self) -> str:
        """The leaves as a list's text."""
        return f"[{', '.join(self.leaves)}]"


@functools.cache
def safe(op: Operation) -> str:
    """What to put around an operand so that the row is smooth, found by trying."""
    points = [-3.0, -1.1, -0.5, 0.2, 0.8, 2.7]
    for text in SAFE:
        around = eval(f"lambda x: {text.format('x')}", {"ag": autograd})
        if all(op.is_smooth(*[around(x)] * op.arity) for x in points if op.arity == 1):
            return text
    return "{}"


def _kinked(op: Operation) -> bool:
    """Whether the row has a value and no derivative at 0, but on both sides of it."""
    return math.isfinite(op.value(0.0)) and list(map(op.is_smooth, (-0.1, 0.0, 0.1))) == [1, 0, 1]


class Writer:
    """Writes one function; what is in scope is in its lists."""

    def __init__(self, rng: random.Random, room: int = 2) -> None:
        self.rng, self.room = rng, room
        self.lines: list[str] = []
        self.indent = ""
        self.counts: dict[str, int] = {}
        self.scalars: list[str] = []
        self.lists: list[str] = []
        self.wholes: list[str] = []
        self.functions: dict[
            str, tuple[int, int]
        ] = {}  # arguments, and how often it differentiates
        self.leaves: list[str] = []
        self.outside: list[str] = []  # what a call may change
        self.level = self.order = 0
        self.plain = True
        self.inside_no_grad = False
        table = rows().values()
        self.unary = [op for op in table if op.arity == 1]
        self.binary = [op for op in table if op.arity == 2]
        self.kinked = [op for op in self.unary if _kinked(op)]

    # ---------------------------------------------------------------- text

    def name(self, kind: str) -> str:
        self.counts[kind] = self.counts.get(kind, -1) + 1
        return f"{kind}{self.counts[kind]}"

    def put(self, line: str) -> None:
        self.lines.append(self.indent + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A block whose names are not known after it."""
        self.put(head)
        with self.scope():
            self.indent += "    "
            yield
            self.indent = self.indent[:-4]

    @contextmanager
    def scope(self, *names: str) -> Iterator[None]:
        kept = list(self.scalars), list(self.lists), dict(self.functions)
        self.scalars += names
        yield
        self.scalars, self.lists, self.functions = kept

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def constant(self) -> float:
        rng = self.rng
        if self.chance(0.7):
            return rng.choice(COMMON)
        return round(rng.uniform(-2, 2), rng.choice([1, 17]))

    # ---------------------------------------------------------------- expressions

    def number(self, depth: int = 2) -> str:
        """An expression that is one number."""
        if depth <= 0 or self.chance(0.2):
            return self.atom()
        forms = self.whole_forms if self.wholes and self.chance(0.25) else FORMS
        weights = [weight for _, weight in forms]
        form = self.rng.choices([form for form, _ in forms], weights)[0]
        return form(self, depth - 1) or self.atom()

    def atom(self) -> str:
        """A name, or a constant."""
        pools = [self.scalars] * 6 + [self.leaves] * 2 + [self.outside] * 2 + [self.lists]
        pool = self.rng.choice(pools)
        if not pool or self.chance(0.12):
            return repr(self.constant())
        name = self.rng.choice(pool)
        return f"{name}[{self.rng.randrange(LENGTH)}]" if pool is self.lists else name

    def tracked(self, depth: int) -> str:
        """An expression that is a Value wherever operations are recorded."""
        choices = [*self.leaves, *([] if self.plain else self.arguments)]
        if not choices:
            return ""
        leaf = self.rng.choice(choices)
        if self.chance(0.5):
            return leaf
        return f"({leaf} {self.rng.choice('+*-')} {self.number(depth)})"

    arguments: tuple[str, ...] = ()

    def arithmetic(self, depth: int) -> str:
        x = self.number(depth)
        y = x if self.chance(0.15) else self.number(depth)
        return f"({x} {self.rng.choice('++-**')} {y})"

    def cancelling(self, depth: int) -> str:
        """A sum whose exact value is 0, or next to it: its sign is that of the rounding."""
        a, b, c = (self.atom() for _ in range(3))
        k = self.rng.choice([0.1, 0.7, 0.3])
        forms = [
            f"({k} * {a} + {k} * {b} - {k} * ({a} + {b}))",
            f"({a} + {b} + {c} - ({c} + {b} + {a}))",
        ]
        forms += [
            f"({k} * {a} + 0.2 * {a} - {k + 0.2!r} * {a})",
            f"({a} * {k} * {b} - {a} * ({k} * {b}))",
        ]
        for xs in self.lists:
            forms.append(f"(sum([{k} * t for t in {xs}], 0.0) - {k} * sum({xs}, 0.0))")
        total = self.rng.choice(forms)
        return f"ag.{self.rng.choice(self.kinked).name}({total})" if self.chance(0.4) else total

    def quotient(self, depth: int) -> str:
        return f"({self.number(depth)} / (ag.square({self.number(depth)}) + 0.5))"

    def power(self, depth: int) -> str:
        return f"({self.number(depth)} ** {self.rng.choice([2, 3, 2.0, 3.0, 1, 0])})"

    def unary_row(self, depth: int) -> str:
        op = self.rng.choice(self.unary)
        x = self.number(depth)
        return f"ag.{op.name}({x if self.chance(0.1) else safe(op).format(x)})"

    def binary_row(self, depth: int) -> str:
        op = self.rng.choice(self.binary)
        x = self.number(depth)
        y = x if self.chance(0.15) else self.number(depth)
        return f"ag.{op.name}({x}, {y})"

    def choice(self, depth: int) -> str:
        x, y, condition = self.number(depth), self.number(depth), self.condition(depth)
        if hasattr(autograd, "where") and self.chance(0.5):
            order = self.rng.choice(["<", ">=", "=="])
            low, high = sorted([self.constant(), self.constant()])
            forms = [
                f"ag.where({x} {order} {self.number(0)}, {x}, {y})",
                f"ag.clip({x}, {low}, {high})",
            ]
            return self.rng.choice(forms)
        return f"({x} if {condition} else {y})"

    def chosen(self, depth: int) -> str:
        parts = ", ".join(self.number(depth - 1) for _ in range(3))
        return self.rng.choice(["max({})", "min({})", "sum([{}], 0.0)", "sorted([{}])[1]"]).format(
            parts
        )

    def stopped(self, depth: int) -> str:
        x = self.tracked(depth)
        return x and x + self.rng.choice([".detach()", ".data"])

    def called(self, depth: int) -> str:
        if not self.functions:
            return ""
        name = self.rng.choice(list(self.functions))
        count, order = self.functions[name]
        if self.level + order > self.room:
            return ""
        self.order = max(self.order, self.level + order)
        return f"{name}({', '.join(self.number(depth) for _ in range(count))})"

    def text(self, depth: int) -> str:
        return f"({self.number(depth)} * len(format({self.number(0)}, '.1f')))"

    def condition(self, depth: int) -> str:
        depth -= 1
        kind = self.rng.random()
        if self.wholes and kind < 0.25:
            n = self.rng.choice(self.wholes)
            return self.rng.choice([f"{n} == 1", n, f"{n} in {{0, 2}}", f"{n} > 1", f"not {n}"])
        if kind < 0.35:
            return f"not {self.number(depth)}"
        if kind < 0.45:
            return self.number(depth)
        if kind < 0.5:
            return f"{self.cancelling(depth)} {self.rng.choice(['<', '<=', '==', '>='])} 0.0"
        if kind < 0.6:
            return f"{self.number(depth)} < {self.number(depth)} <= {self.number(depth)}"
        if kind < 0.67:
            joint = self.rng.choice(["and", "or"])
            return f"{self.number(depth)} > 0.0 {joint} {self.number(depth)} < 1.0"
        order = self.rng.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"{self.number(depth)} {order} {self.number(depth)}"

    # Whole numbers: an index, a count, a key, a factor.

    def whole_forms_of(self, depth: int) -> str:
        n = self.rng.choice(self.wholes)
        x, y = self.number(depth), self.number(depth)
        parts = ", ".join([x, y, self.number(0), self.number(0)])
        forms = [
            f"({x} * {n})", f"({x} + {n})", f"({x} ** {n})", f"({x} * ({n} % 2))",
            f"({x} * ({n} // 2))", f"({x} * -{n})", f"[{parts}][{n}]", f"ag.select([{parts}], {n})",
            f"{{0: {x}, 1: {y}}}.get({n}, {self.number(0)})", f"[{parts}][{n} - 1]",
            f"sum([{parts}][:{n} + 1], 0.0)", f"({x} if isinstance({n}, int) else {y})",
        ]  # fmt: skip
        if self.lists:
            forms += [f"{self.rng.choice(self.lists)}[{n}]"] * 3
        return self.rng.choice(forms)

    @property
    def whole_forms(self) -> list[Any]:
        return [(Writer.whole_forms_of, 1)]

    # Derivatives inside.

    def function_of(self, names: list[str], depth: int, order: int, several: bool = False) -> str:
        """A lambda of names, inside of so many derivatives."""
        self.level += order
        self.order = max(self.order, self.level)
        with self.scope(*names * 4):
            bodies = []
            for _ in range(1 + several):
                x = self.rng.choice(names)
                end = self.rng.choice([f" * {x}", f" * {x} * {x}", f" + ag.sin({x})", ""])
                bodies.append(self.number(max(depth, 1)) + end)
        self.level -= order
        body = f"[{', '.join(bodies)}]" if several else bodies[0]
        return f"lambda {', '.join(names)}: {body}"

    def derivative(self, depth: int) -> str:
        """A derivative of a function that may close over everything in scope."""
        if self.level >= self.room:
            return ""
        rng, number = self.rng, self.number
        first = self.level + 1 <= self.room
        second = self.level + 2 <= self.room
        s, t, p = self.name("s"), self.name("t"), self.name("p")
        at, other = number(depth - 1), number(depth - 1)
        kinds = ["grad", "argnums", "value_and_grad", "jvp", "vjp", "named"] if first else []
        kinds += ["hvp", "hessian", "grad of grad"] if second else []
        kinds += ["jacobian"] if first and hasattr(autograd, "jacobian") else []
        kind = rng.choice(kinds)
        if kind == "named":
            known = [n for n, (count, order) in self.functions.items() if count == 1 and not order]
            if known:
                self.order = max(self.order, self.level + 1)
                return f"ag.grad({rng.choice(known)})({at})"
            kind = "grad"
        if kind == "grad":
            return f"ag.grad({self.function_of([t], depth, 1)})({at})"
        if kind == "argnums":
            k = rng.choice(["0", "1", "(0, 1)"])
            end = f"[{rng.randrange(2)}]" if k[0] == "(" else ""
            return f"ag.grad({self.function_of([s, t], depth, 1)}, {k})({at}, {other}){end}"
        if kind == "value_and_grad":
            return f"ag.value_and_grad({self.function_of([t], depth, 1)})({at})[{rng.randrange(2)}]"
        if kind == "jvp":
            body = self.function_of([t], depth, 1)
            return f"ag.jvp({body}, ({at},), ({other},))[{rng.randrange(2)}]"
        if kind == "vjp":
            body = self.function_of([s, t], depth, 1)
            return f"ag.vjp({body}, {at}, {other})[1]({number(0)})[{rng.randrange(2)}]"
        if kind == "grad of grad":
            return f"ag.grad(ag.grad({self.function_of([t], depth, 2)}))({at})"
        pair = [f"{p}[0]", f"{p}[1]"]
        order = 1 if kind == "jacobian" else 2
        body = self.function_of(pair, depth, order, several=kind == "jacobian")
        body = f"lambda {p}" + body[body.index(":") :]
        i, j = rng.randrange(2), rng.randrange(2)
        if kind == "hvp":
            return f"ag.hvp({body}, [{at}, {other}], [{number(0)}, {number(0)}])[{i}]"
        return f"ag.{kind}({body})([{at}, {other}])[{i}][{j}]"

    # ---------------------------------------------------------------- statements

    def statement(self, deep: bool = True) -> None:
        weights = [weight if deep or simple else 0 for _, weight, simple in STATEMENTS]
        write = self.rng.choices([write for write, *_ in STATEMENTS], weights)[0]
        write(self)

    def assign(self) -> None:
        name, text = self.name("v"), self.number(3)
        self.put(f"{name} = {text}")
        self.scalars.append(name)

    def change(self) -> None:
        """An assignment to a name that exists already."""
        own = [name for name in self.scalars if name[0] == "v"]
        if own:
            sign = self.rng.choice(["+=", "*=", "-=", "="])
            self.put(f"{self.rng.choice(own)} {sign} {self.number(2)}")
        else:
            self.assign()

    def branch(self) -> None:
        name = self.name("v")
        self.put(f"{name} = {self.number(1)}")
        with self.block(f"if {self.condition(2)}:"):
            self.body(name)
        if self.chance(0.6):
            with self.block("else:"):
                self.body(name)
        self.scalars.append(name)

    def body(self, name: str) -> None:
        if self.chance(0.3):
            self.statement(deep=False)
        with self.scope(name):
            self.put(f"{name} = {self.number(2)}")

    def loop(self) -> None:
        name, i = self.name("v"), self.name("i")
        self.put(f"{name} = {self.number(1)}")
        n = self.rng.choice(self.wholes) if self.wholes and self.chance(0.6) else "3"
        heads = [f"for {i} in range({n}):", f"for {i} in range({n} + 1):"]
        heads += [f"for {i} in {xs}:" for xs in self.lists]
        with self.block(self.rng.choice(heads)), self.scope(name, i):
            self.put(
                f"{name} = ag.tanh({name} * {self.number(1)} + {self.number(2)})"
                if self.chance(0.6)
                else f"{name} = {name} + {self.number(2)}"
            )
        self.scalars.append(name)

    def until(self) -> None:
        """A loop whose count depends on the numbers."""
        name, i = self.name("v"), self.name("i")
        self.put(f"{name}, {i} = {self.number(1)}, 0")
        with self.block(f"while {name} < {self.number(0)} and {i} < 4:"), self.scope(name):
            self.put(f"{name} = {name} + {self.rng.choice(['0.1', '0.3', '0.7', self.number(1)])}")
            self.put(f"{i} += 1")
        self.scalars.append(name)

    def closure(self) -> None:
        name, t = self.name("g"), self.name("t")
        before, self.order = self.order, 0
        with self.block(f"def {name}({t}):"):
            self.scalars.append(t)
            if self.chance(0.5):
                self.statement(deep=False)
            if self.chance(0.3):
                self.put(f"if {self.condition(1)}:\n{self.indent}    return {self.number(1)}")
            self.put(f"return {self.number(2)} * {t}")
        self.functions[name] = 1, self.order
        self.order = max(before, self.order)

    def early(self) -> None:
        if self.early_return:
            self.put(f"if {self.condition(2)}:\n{self.indent}    return {self.number(2)}")
        else:
            self.assign()

    early_return = False

    def without(self) -> None:
        name, kept = self.name("v"), self.inside_no_grad
        with self.block("with ag.no_grad():"):
            self.inside_no_grad = True
            wrap = self.rng.choice(["{}", "{}", "float({})", "abs(float({}))"])
            self.put(f"{name} = {wrap.format(self.number(2))}")
        self.inside_no_grad = kept
        self.scalars.append(name)

    def container(self) -> None:
        kind, number = (
            self.rng.choice(["list", "grown", "each", "dict", "pair", "tuple"]),
            self.number,
        )
        if kind in ("list", "grown", "each"):
            name, known = self.name("xs"), list(self.lists)
            parts = ", ".join(number(1) for _ in range(LENGTH))
            if kind == "each" and known:
                t = self.name("t")
                with self.scope(t):
                    self.put(f"{name} = [{number(2)} for {t} in {self.rng.choice(known)}]")
            elif kind == "grown":
                self.put(f"{name} = []")
                i = self.name("i")
                with self.block(f"for {i} in range({LENGTH}):"), self.scope(i):
                    self.put(f"{name}.append({number(2)})")
            else:
                self.put(f"{name} = [{parts}]")
            self.lists.append(name)
            return
        name = self.name("d")
        if kind == "dict":
            self.put(f'{name} = {{"a": {number(1)}, "b": {number(1)}}}')
            if self.chance(0.3):
                self.put(f'{name}["a"] = {number(1)}')
            self.scalars += [f'{name}["a"]', f'{name}["b"]']
        elif kind == "pair":
            self.put(f"{name} = P({number(1)}, {number(1)})")
            self.scalars += [f"{name}.u", f"{name}.v"]
        else:
            a, b = self.name("v"), self.name("v")
            self.put(f"{a}, {b} = {number(1)}, {number(1)}")
            self.scalars += [a, b]

    def own_leaf(self) -> None:
        """A Value that the function makes itself, whose number may change halfway."""
        name = self.name("k")
        self.put(f"{name} = ag.Value({self.constant()!r})")
        if self.chance(0.5):
            before = self.name("v")
            self.put(f"{before} = {name} * {self.number(1)}")
            self.put(f"{name}.data = {self.constant()!r}")
            self.scalars.append(before)
        self.scalars.append(name)

    # ---------------------------------------------------------------- the whole

    def write(self) -> Function:
        """A function and its calls."""
        rng = self.rng
        self.plain = self.chance(0.7)
        for _ in range(rng.choice([0, 1, 1, 2])):
            self.leaves.append(self.name("w"))
            self.put(f"{self.leaves[-1]} = ag.Value({self.constant()!r})")
        if self.chance(0.2):
            self.put(f"ws = [ag.Value({self.constant()!r}), ag.Value({self.constant()!r})]")
            self.leaves += ["ws[0]", "ws[1]"]
        if self.chance(0.3):
            self.outside.append(self.name("c"))
            self.put(f"{self.outside[-1]} = {self.constant()!r}")
        if self.chance(0.15):
            self.put(f"cs = [{self.constant()!r}, {self.constant()!r}]")
            self.outside += ["cs[0]", "cs[1]"]
        self.helpers()
        shapes = [rng.choice(SHAPES) for _ in range(rng.choice([1, 1, 2, 2, 3]))]
        arguments = [self.name("x") for _ in shapes]
        wholes = [self.name("n")] if self.chance(0.35) else []
        with self.block(f"def f({', '.join([*arguments, *wholes])}):"):
            self.enter(arguments, shapes)
            self.wholes = wholes
            scalar = self.finish(rng.randint(1, 5))
        calls = tuple(self.call(shapes, bool(wholes)) for _ in range(4))
        source = "\n".join(self.lines) + "\n"
        return Function(source, calls, tuple(self.leaves), scalar, self.plain, self.order)

    def helpers(self) -> None:
        """Functions beside f, some of them compiled."""
        for _ in range(self.rng.choice([0, 0, 0, 1, 1, 2])):
            compiled = self.chance(0.7)
            name, names = (
                self.name("h"),
                [self.name("a") for _ in range(self.rng.choice([1, 1, 2]))],
            )
            self.order = 0
            text = self.function_of(names, 2, 0)
            order, self.order = self.order, 0
            engine = self.rng.choice(["", "", ', engine="numpy"', ", exact=True"])
            self.put(f"{name} = ag.compile({text}{engine})" if compiled else f"{name} = {text}")
            self.functions[name] = len(names), order

    def enter(self, arguments: list[str], shapes: list[str]) -> None:
        """Take the arguments into the scope."""
        for name, shape in zip(arguments, shapes, strict=True):
            if shape == "list":
                self.lists.append(name)
            parts = {
                "number": [""],
                "dict": ['["a"]', '["b"]'],
                "pair": [".u", ".v"],
                "tuple": ["[0]", "[1]"],
            }
            own = [name + part for part in parts.get(shape, [f"[{i}]" for i in range(LENGTH)])]
            self.scalars += own * 2
            self.arguments = (*self.arguments, *own)

    def finish(self, statements: int) -> bool:
        """The statements, and a return in which each result counts; whether it is one number."""
        scalar = self.early_return = self.chance(0.8)
        before = len(self.scalars)
        for _ in range(statements):
            self.statement()
        results = self.scalars[before:] + [
            f"{xs}[{self.rng.randrange(LENGTH)}]" for xs in self.lists
        ]
        forms = ["{}", "{}", "ag.sin({})", "0.5 * {}"]
        terms = [self.rng.choice(forms).format(result) for result in results]
        terms.insert(self.rng.randrange(len(terms) + 1), self.number(2))
        sign = self.rng.choice([" + ", " - "])
        if scalar:
            self.put(f"return {sign.join(terms)}")
        else:
            some, more = sign.join(terms[:-1]) or self.number(1), terms[-1]
            forms = ["[{}, {}]", "({}, {})", '{{"a": {}, "b": {}}}', "P({}, {})", "[{}, [{}]]"]
            self.put("return " + self.rng.choice(forms).format(some, more))
        return scalar

    def call(self, shapes: list[str], whole: bool) -> str:
        """Text that sets what is outside, the arguments, and rows of arguments."""
        near = [self.constant() for _ in range(3)]  # few numbers, so that ties come

        def point() -> float:
            if self.chance(0.03):
                return self.rng.choice(ENDS)
            return self.rng.choice(near) if self.chance(0.4) else self.constant()

        def arguments() -> str:
            parts = [_shaped(shape, point) for shape in shapes]
            return f"({', '.join(parts + [str(self.rng.randrange(LENGTH))] * whole)},)"

        lines = [f"{leaf}.data = {point()!r}" for leaf in self.leaves]
        lines += [f"{name} = {point()!r}" for name in self.outside]
        lines += [f"args = {arguments()}", f"rows = [{', '.join(arguments() for _ in range(3))}]"]
        return "\n".join(lines) + "\n"


SHAPES = ["number"] * 6 + ["list", "list", "dict", "pair", "tuple"]


def _shaped(shape: str, point: Callable[[], float]) -> str:
    count = {"number": 1, "list": LENGTH}.get(shape, 2)
    numbers = [repr(point()) for _ in range(count)]
    forms = {
        "number": "{}",
        "dict": '{{"a": {}, "b": {}}}',
        "pair": "P({}, {})",
        "tuple": "({}, {})",
    }
    return forms.get(shape, f"[{', '.join(['{}'] * count)}]").format(*numbers)


FORMS: list[tuple[Callable[[Writer, int], str], float]] = [
    (Writer.arithmetic, 8),
    (Writer.unary_row, 4),
    (Writer.binary_row, 2),
    (Writer.quotient, 0.7),
    (Writer.power, 1),
    (Writer.cancelling, 0.7),
    (Writer.choice, 1),
    (Writer.chosen, 0.7),
    (Writer.stopped, 1),
    (Writer.called, 2),
    (Writer.derivative, 1.5),
    (Writer.text, 0.15),
]
# How to write it, how often, and whether it may stand inside another block.
STATEMENTS: list[tuple[Callable[[Writer], None], float, bool]] = [
    (Writer.assign, 5, True),
    (Writer.change, 1, True),
    (Writer.branch, 2, False),
    (Writer.loop, 1, False),
    (Writer.until, 0.5, False),
    (Writer.closure, 1, False),
    (Writer.early, 0.5, False),
    (Writer.without, 1, True),
    (Writer.container, 1.5, True),
    (Writer.own_leaf, 0.3, True),
]


def function(seed: int) -> Function:
    """The random function of a seed."""
    return Writer(random.Random(seed)).write()
