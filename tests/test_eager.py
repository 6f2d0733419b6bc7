"""The engine in C: it gives the bits of the one in Python, refuses bad programs, leaks nothing."""

import array
import functools
import gc
import importlib
import json
import math
import os
import pickle
import random
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, define_op, grad, native, no_grad, rows, scope, topological
from autograd.faults import misread, planted
from autograd.modes import Mode, entered
from autograd.operation import Operation
from autograd.ops import Ops
from autograd.printers.machine import Assembler, UnknownFunctionError
from autograd.rules import parse
from tests import eager_bits

ROOT = Path(__file__).resolve().parent.parent
in_c = pytest.mark.skipif(native.engine != "C", reason="needs a C compiler")


def python(*arguments: str, **variables: str) -> str:
    run = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


# ---------------------------------------------------------------------- both engines


@in_c
def test_both_engines_give_the_same_bits_and_read_each_others_pickles() -> None:
    value = Value(2.0, "w")
    (value * 3.0).backward()
    script = str(ROOT / "tests" / "eager_bits.py")
    seen = json.loads(python(script, "60", pickle.dumps(value).hex(), CHAINRULE_PURE="1"))
    assert (seen["engine"], seen["reason"]) == ("Python", "CHAINRULE_PURE=1")
    assert seen["digest"] == eager_bits.digest(60)
    assert seen["grad"] == 3.0
    back = pickle.loads(bytes.fromhex(seen["pickled"]))
    assert (back.data, back.label) == (3.0, "w")


# The engine itself, without what is computed from the table alone.
PURE = ["value", "transform", "nesting", "meaning", "memory", "faults"]


@in_c
@pytest.mark.slow
def test_the_engine_in_python_passes_the_tests_too() -> None:
    files = [f"tests/test_{name}.py" for name in PURE]
    quick = ["-m", "pytest", "-q", "-x", "-m", "quick", "-p", "no:cacheprovider"]
    python(*quick, *files, CHAINRULE_PURE="1")


def points(op: Operation) -> list[tuple[Any, ...]]:
    rng = random.Random(op.name)
    some = [*eager_bits.SPECIAL, *(rng.gauss(0.0, 3.0) for _ in range(40))]
    if op.arity == 1:
        return [(x,) for x in some]
    return [(rng.choice(some), rng.choice(some)) for _ in range(150)]


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
@pytest.mark.parametrize("name", rows())
def test_a_row_has_the_bits_of_its_python_functions(name: str) -> None:
    op = rows()[name]
    for operands in points(op):
        leaves = [Value(number) for number in operands]
        z = op(*leaves)
        assert eager_bits.bits(z.data) == eager_bits.bits(op.value(*map(float, operands)))
        z.backward(-1.5)
        mine = [leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = 0.0
        z.grad = -1.5 if z.data == z.data else math.nan
        op.pullback(z)  # the generated Python function
        theirs = [leaf.grad for leaf in leaves]
        assert [*map(eager_bits.bits, mine)] == [*map(eager_bits.bits, theirs)], operands


def test_a_value_is_one_float_and_not_more_than_96_bytes() -> None:
    if native.engine == "C":
        assert sys.getsizeof(Value(1.0) * 2.0) <= 96
    assert type(Value(1).data) is float


@pytest.mark.parametrize(
    "call",
    [
        lambda v: v + "text",
        lambda v: v * [1.0],
        lambda v: pow(v, 2, 3),
        lambda v: v.tanh(1.0),
        lambda v: v.elu(1.0, 2.0),
        lambda v: v.add(),
        lambda v: v.mul(y=2.0),
        lambda v: 1j * v,
        lambda v: setattr(v, "data", "1"),
        lambda v: setattr(v, "grad", None),
        lambda v: setattr(v, "label", 1),
        lambda v: Value(v),
        lambda v: type(v)(),
        lambda v: type(v)(1.0, "a", 2.0),
    ],
)
def test_what_is_no_operand_is_refused(call: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        call(Value(2.0))


@pytest.mark.parametrize("name", ["data", "grad", "a", "b", "row"])
def test_nothing_of_a_node_can_be_deleted_in_c(name: str) -> None:
    node = Value(1.0) * 2.0
    if native.engine == "C":
        with pytest.raises(AttributeError):
            delattr(node, name)
    assert node.data == 2.0


def test_a_number_that_is_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(ValueError, match="mul: the integer is too large"):
        Value(2.0) * 10**400


def test_whole_numbers_and_defaults_are_operands() -> None:
    v = Value(-2.0)
    assert ((v * 3).data, (3 - v).data, (v**2).data, v.elu().data) == (
        *(-6.0, 5.0, 4.0),
        math.expm1(-2.0),
    )
    assert v.elu(b=0.5).data == 0.5 * math.expm1(-2.0)


def test_a_subclass_is_a_value_too() -> None:
    class Named(Value):  # type: ignore[misc]
        """A Value with attributes of its own."""

    v: Any = Named(2.0)
    v.extra = [v]
    z = v * 3.0 + 1.0
    z.backward()
    assert (z.data, v.grad, type(z)) == (7.0, 3.0, Value)
    token = weakref.ref(v)  # a class of Python's has weak references
    del v, z
    gc.collect()
    assert token() is None


def test_a_subclass_may_refer_to_a_node_that_depends_on_it() -> None:
    class Named(Value):  # type: ignore[misc]
        """A Value with attributes of its own."""

    v: Any = Named(2.0)
    v.later = (v * 3.0).tanh()
    token = weakref.ref(v)
    del v
    gc.collect()
    assert token() is None


def test_a_node_of_no_grad_is_a_leaf_with_the_call_that_owns_it() -> None:
    x = Value(2.0)
    with no_grad():
        z = x * x
    assert (z.data, z.parents, z.op, z.is_leaf) == (4.0, (), None, True)
    assert not hasattr(z, "x")

    def inner(v: Any) -> Any:
        with no_grad():
            constant = v * v
        return constant * v

    assert grad(inner)(3.0) == 9.0


def test_a_node_in_a_scope_shares_its_note_with_others() -> None:
    v = Value(1.0)
    with scope("s"):
        a, b, c = v * 2.0, v * 3.0, v + 1.0
    assert a.row is b.row
    assert [node.scope for node in (a, b, c)] == ["s"] * 3
    (a + b * c).backward()
    assert v.grad == 2.0 + 3.0 * 2.0 + 3.0


def test_a_mode_that_python_records_in_is_not_kept() -> None:
    class Own(Mode):
        """A mode that may refer to anything."""

    mode = Own()
    token = weakref.ref(mode)
    with entered(mode):
        z = Value(2.0) * 3.0
    del mode
    assert token() is None
    assert z.data == 6.0


def test_a_gradient_of_another_kind_of_float_adds_in_its_own_way() -> None:
    class Loud(float):
        def __add__(self, other: float) -> "Loud":
            return Loud(float(self) + other + 100.0)

    v = Value(2.0)
    v._grad = Loud(1.0)
    assert type(v.grad) is Loud
    (3.0 * v).backward()
    assert (type(v.grad), v.grad) == (Loud, 104.0)


def test_a_list_with_a_nan_of_a_value_equals_itself() -> None:
    v = Value(math.nan)
    assert [v.data] == [v.data]


# ---------------------------------------------------------------------- passes


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
def test_a_pass_with_hooks_has_the_bits_of_one_without() -> None:
    plain, hooked = (eager_bits.graph(1) for _ in range(2))
    seen: list[float] = []
    middle = topological(hooked)[10]
    middle.register_hook(seen.append)
    plain.backward()
    hooked.backward()
    assert seen == [middle.grad]
    pairs = zip(topological(plain), topological(hooked), strict=True)
    assert all(eager_bits.bits(p.grad) == eager_bits.bits(h.grad) for p, h in pairs)


def test_what_a_hook_raises_leaves_every_gradient_as_it_was() -> None:
    x = Value(2.0)
    y = x.exp()
    z = y * x
    z.backward()
    before = [node.grad for node in (x, y, z)]

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    y.register_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        z.backward(2.0)
    assert [node.grad for node in (x, y, z)] == before


def test_a_pass_that_must_be_reported_leaves_every_gradient_as_it_was() -> None:
    x = Value(0.0, "x")
    z = x.log() * 2.0
    with pytest.warns(match="log"):
        z.backward()
    before = x.grad
    with pytest.raises(RuntimeWarning, match="log"):  # a warning is an error here
        z.backward()
    assert x.grad == before


def test_gradients_of_functions_change_no_grad_attribute() -> None:
    x = Value(2.0)
    z = x * x
    z.backward()
    assert grad(z, [x, Value(1.0)]) == [4.0, 0.0]
    assert (x.grad, z.grad) == (4.0, 1.0)


def test_a_planted_mistake_reaches_nodes_that_are_there_already() -> None:
    a, b = Value(2.0), Value(5.0)
    z = a * b
    with planted(misread("mul", "x", "7.0")):
        z.backward()
        assert (a.grad, (a * b).data) == (7.0, 10.0)
    with planted(misread("mul", "z", "x * y + 1.0")):
        assert (a * b).data == (2.0 * b).data == a.mul(b).data == 11.0
    z.backward()
    assert (a.grad, (a * b).data, (2.0 * b).data) == (12.0, 10.0, 10.0)


def test_a_row_of_the_users_runs_with_a_function_that_c_does_not_have() -> None:
    op = define_op("degrees", "degrees(x)", "57.29577951308232")  # Python's math has it
    cubed = define_op("cubed_again", "x * x * x", "3 * x * x")
    v: Any = Value(0.5)
    (op(v) * cubed(v)).backward()
    assert v.grad == pytest.approx(math.degrees(0.5) * 0.75 + 57.29577951308232 * 0.125)
    assert v.cubed_again().data == 0.125
    if native.engine == "C":
        assert native.program(op, rows()) is None
        assert native.program(cubed, rows()) is not None


def test_a_million_nodes_in_a_chain_are_differentiated_and_freed() -> None:
    first = last = Value(1.0)
    for _ in range(1_000_000 if native.engine == "C" else 100_000):
        last = last + 1e-9
    last.backward()
    assert first.grad == 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_differentiates_the_graph_of_its_parent() -> None:
    x = Value(3.0)
    z = x * x
    child = os.fork()
    if child == 0:
        z.backward()
        os._exit(0 if x.grad == 6.0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert x.grad == 0.0


# ---------------------------------------------------------------------- the collector


class Token:
    """Something whose end can be noticed."""


class Keeping:
    """A hook that refers to anything."""

    def __init__(self, *kept: Any) -> None:
        self.kept = kept

    def __call__(self, grad: float) -> None:
        """Change nothing."""


def cycle(length: int = 1, register_first: bool = False, walked: bool = True) -> Token:
    """A cycle through a hook: it closes over a later node."""
    token = Token()
    v = Value(2.0)
    later: list[Any] = []

    def hook(_: float, token: Token = token) -> None:
        later.append(token)

    if register_first:
        v.register_hook(hook)
    z = v
    for _ in range(length):
        z = z * 1.5
    later.append(z)
    if not register_first:
        v.register_hook(hook)
    if walked:
        z.backward()
        later.pop()
    return token


def inner_cycle() -> Token:
    token = Token()
    v = Value(2.0)
    w = v * 3.0
    z = (w + v).tanh() * v
    w.register_hook(Keeping(z, token))
    return token


def crossed_cycles() -> Token:
    token = Token()
    v, w = Value(2.0), Value(3.0)
    a, b = v * 2.0 + 1.0, w * 2.0 + 1.0
    v.register_hook(Keeping(b))
    w.register_hook(Keeping(a, token))
    return token


def growing_cycle() -> Token:
    token = Token()
    v = Value(2.0)
    kept: list[Any] = [token]
    v.register_hook(kept.append)
    z = v * 2.0
    gc.collect()  # the nodes so far are seen; the next one is new
    kept.append(z.exp() * z)
    return token


def removed_and_other_cycle() -> Token:
    token = Token()
    v = Value(2.0)
    z = v * 2.0
    v.register_hook(Keeping(z))()
    z.register_hook(Keeping(z * 2.0, token))
    return token


CYCLES: dict[str, Callable[[], Token]] = {
    "of one node": cycle,
    "never walked": functools.partial(cycle, walked=False),
    "hooked first": functools.partial(cycle, 3, True),
    "hooked first, never walked": functools.partial(cycle, 3, True, False),
    "long": functools.partial(cycle, 1000, False, False),
    "very deep": functools.partial(cycle, 100_000, False, False),
    "at an inner node": inner_cycle,
    "crossed": crossed_cycles,
    "growing": growing_cycle,
    "after one that was removed": removed_and_other_cycle,
}


@pytest.mark.parametrize("make", CYCLES.values(), ids=CYCLES)
def test_a_cycle_through_a_hook_is_collected(make: Callable[[], Token]) -> None:
    token = weakref.ref(make())
    gc.collect()
    assert token() is None


def test_what_is_still_used_is_not_collected() -> None:
    v = Value(2.0)
    z = v * 3.0 + 1.0
    seen: list[Any] = []
    v.register_hook(lambda g: seen.append((g, z.data)))
    gc.collect()
    gc.collect()
    z.backward()
    assert (seen, v.grad, z.data) == ([(3.0, 7.0)], 3.0, 7.0)


def test_a_parent_of_another_class_is_left_to_python() -> None:
    class Other(Ops):
        """A node of somebody else's."""

        a = b = None

    v, other = Value(2.0), Other()
    strange: Any = v * 3.0
    strange.b = other
    z = strange * v
    v.register_hook(Keeping(z))
    gc.collect()  # looks at all of them
    assert topological(z) == [v, other, strange, z]
    token = weakref.ref(other)
    del v, other, strange, z
    gc.collect()
    assert token() is None


# ---------------------------------------------------------------------- programs of the machine


def machine() -> Any:
    return importlib.import_module("autograd.eager")


def code(*words: int, constants: tuple[float, ...] = ()) -> tuple[bytes, bytes]:
    return array.array("H", words).tobytes(), array.array("d", constants).tobytes()


BAD = {
    "nothing": "",
    "no end": "x",
    "an end on an empty stack": "return",
    "two results": "x x return",
    "a word after the end": "x return x",
    "an unknown instruction": "999 x return",
    "an operand too few": "x add return",
    "an argument too few": "constant",
    "a constant that is not there": "constant 1 return",
    "a part before it is stored": "part 0 return",
    "a part out of order": "x store 1 part 1 return",
    "too many parts": " ".join(f"x store {k}" for k in range(17)) + " x return",
    "a part that is stored on one path": "x y unless_less 8 x store 0 jump 8 part 0 return",
    "a part that is stored inside an expression": "x y store 0 return",
    "a function that is not there": "x call 99 return",
    "a function of two that is not there": "x y call_two 99 return",
    "a jump back": "x jump 0 return",
    "a jump to nowhere": "jump 60000 x return",
    "two depths that meet": "x y unless_less 7 x jump 9 x x return",
    "a jump into an argument": "x y unless_less 8 x jump 9 constant 0 return",
    "a jump into emptiness": "x jump 4 return return",
    "too deep a stack": "x " * 49 + "add " * 48 + "return",
}


def words(text: str) -> tuple[int, ...]:
    numbers = machine().INSTRUCTIONS
    return tuple(numbers[w] if w in numbers else int(w) for w in text.split())


@in_c
@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_program_is_refused(text: str) -> None:
    bad, good = code(*words(text), constants=(1.0,)), code(*words("x return"))
    for value, slope in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match="not a program"):
            machine().Program(rows()["exp"], None, value, (slope,))


@in_c
def test_a_stack_as_deep_as_it_may_be_is_used() -> None:
    deep = code(*words("x " * 48 + "add " * 47 + "return"))
    assert machine().Program(rows()["exp"], None, deep, (None,))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2 * 3 * x", [6.0]), ("-(1 - 4) ** 2", [-9.0]), ("1 / 0 + x", [1.0, 0.0])],
)
def test_constant_arithmetic_is_computed_when_a_rule_is_read(
    text: str, numbers: list[float]
) -> None:
    names = ["return", "constant", "x", "add", "subtract", "multiply", "divide", "power", "negate"]
    numbered = {name: k for k, name in enumerate(names)}
    row = rows()["exp"]
    _, constants = Assembler(numbered, {}, rows()).code(row, parse(text, {"x"}, {}))
    assert [*memoryview(constants).cast("d")] == numbers


def test_a_rule_with_a_function_that_the_machine_lacks_is_left_to_python() -> None:
    row = rows()["sin"]
    with pytest.raises(UnknownFunctionError, match="the machine has no function 'sin'"):
        Assembler({"x": 0, "call": 1}, {}, rows()).code(row, row.value_tree)


# ---------------------------------------------------------------------- which engine is in use


def test_the_command_line_says_which_engine_is_in_use() -> None:
    text = python("-m", "autograd", "--version", CHAINRULE_PURE="1", COLUMNS="200")
    assert text.rstrip().endswith("eager engine in Python (CHAINRULE_PURE=1)")
    assert native.engine in ("C", "Python")
    assert bool(native.reason) == (native.engine == "Python")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("SOURCE = 1", "eager.c has changed since it was compiled"),
        ("raise ImportError('it needs the lock')", "it needs the lock"),
        ("sys.getsizeof = lambda o, size=sys.getsizeof: size(o) + 8", "is of another kind"),
        (None, "installed without a C compiler"),
    ],
)
def test_an_extension_that_does_not_fit_is_not_used(source: str | None, reason: str) -> None:
    body = (
        "import sys, types, importlib.util as u, importlib.machinery as m\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'autograd.eager': return m.ModuleSpec(name, self)\n"
        "    def create_module(self, spec): return None\n"
        "    def exec_module(self, module):\n"
        f"        exec({source!r}, {{**globals(), **vars(module)}}, vars(module))\n"
        if source is not None
        else "import sys\nclass Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'autograd.eager': raise ModuleNotFoundError(name)\n"
    )
    script = (
        f"{body}sys.meta_path.insert(0, Finder())\n"
        "import autograd; print(autograd.native.engine, autograd.native.reason)\n"
        "v = autograd.Value(2.0); (v * v).backward(); print(v.grad)"
    )
    text = python("-c", script, CHAINRULE_PURE="")
    assert text.startswith("Python ")
    assert reason in text
    assert text.endswith("4.0\n")


@in_c
def test_a_second_interpreter_runs_in_python() -> None:
    script = (
        "try: import _interpreters as i\n"
        "except ImportError: import _xxsubinterpreters as i\n"
        "import autograd; assert autograd.native.engine == 'C'\n"
        "other = i.create()\n"
        "code = 'import autograd; v = autograd.Value(2.0); (v * v).backward(); '\\\n"
        "    'assert (autograd.native.engine, v.grad) == (\"Python\", 4.0)'\n"
        "if hasattr(i, 'exec'): assert i.exec(other, code) is None\n"
        "else: i.run_string(other, code)\n"
        "i.destroy(other)\n"
        "v = autograd.Value(3.0); (v * v).backward(); print(v.grad)\n"
    )
    assert python("-c", script) == "6.0\n"
