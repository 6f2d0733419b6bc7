"""Graphs as source text in other languages: the same value, the same gradient, safe texts."""

import ctypes
import importlib
import itertools
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Value, define_op, expression, rows, select, topological
from autograd.adjoints import gradients
from autograd.bridges import scripts
from autograd.bridges.c import to_c
from autograd.compiled.program import Program
from autograd.operation import Operation
from nn import MLP
from nn.probabilities import softmax
from tests import reference
from tests.recorded import recorded, replayed
from tests.test_engines import PROGRAMS

GCC = shutil.which("gcc")
C_COMPILER = pytest.mark.skipif(GCC is None, reason="needs gcc")
FLAGS = ["-std=c99", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-shared", "-fPIC"]


def built(folder: Path, *sources: str) -> Any:
    """The library of C sources."""
    files = [folder / f"f{i}.c" for i in range(len(sources))]
    for file, source in zip(files, sources, strict=True):
        file.write_text(source)
    assert GCC
    library = folder / f"{len(list(folder.iterdir()))}.so"
    command = [GCC, *FLAGS, "-o", str(library), *map(str, files), "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def called(f: Any, numbers: list[float]) -> tuple[float, list[float]]:
    f.restype = ctypes.c_double
    array = ctypes.c_double * len(numbers)
    gradient = array()
    value = f(array(*numbers), gradient)
    assert same(f(array(*numbers), None), value)
    return value, list(gradient)


def same(x: float, y: float) -> bool:
    return x.hex() == y.hex() or (x != x and y != y)


def near(x: float, y: float, ulps: int) -> bool:
    """Whether two numbers are nearly the same; libm and Python's `math` differ in last bits."""
    return same(x, y) or x == y or abs(x - y) <= ulps * math.ulp(x)


ENDS = [0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan]
STEPS = {"floor", "ceil", "mod", "fmod", "floordiv"}  # SymPy does not differentiate steps


def _flattened(case: Any) -> list[Any]:
    f, arguments = case
    return [f, *arguments]


def leaves(root: Value) -> list[Value]:
    return [node for node in topological(root) if node.is_leaf]


def eager(root: Value) -> list[float]:
    """The gradient of `backward`."""
    return gradients([(root, 1.0)], leaves(root), create_graph=False)


def points(op: Operation) -> list[tuple[float, ...]]:
    rng = random.Random(op.name)
    inside = [*reference.points(op, 6, rng), *itertools.islice(reference.edges(op), 40)]
    return [*inside, *itertools.product(ENDS, repeat=op.arity)]


def graph_of(op: Operation, operands: Sequence[float]) -> Value:
    z: Any = op(*(Value(v, f"x{i}") for i, v in enumerate(operands)))
    assert isinstance(z, Value)
    return z


# ---------------------------------------------------------------------- C


@C_COMPILER
def test_every_row_has_its_value_and_gradient_in_c(tmp_path: Path) -> None:
    sources = [to_c(graph_of(op, points(op)[0]), f"f_{name}") for name, op in rows().items()]
    library = built(tmp_path, "".join(sources))
    for name, op in rows().items():
        for operands in points(op):
            root = graph_of(op, operands)
            value, gradient = called(getattr(library, f"f_{name}"), list(operands))
            # Python's hypot and the last bits of some functions are its own.
            assert near(value, root.data, 2), (name, operands)
            for got, expected in zip(gradient, eager(root), strict=True):
                assert near(got, expected, 8), (name, operands)


@C_COMPILER
def test_a_network_has_the_same_bits_in_c(tmp_path: Path) -> None:
    model = MLP([2, 8, 8, 1], "relu", seed=0)
    root = (model([0.3, -0.7])[0] - 1.0) ** 2
    f = built(tmp_path, to_c(root, "loss")).loss
    value, gradient = called(f, [leaf.data for leaf in leaves(root)])
    assert same(value, root.data)
    assert all(map(same, gradient, eager(root)))
    shared = Value(0.3)
    deep = shared
    for _ in range(300):
        deep = (deep * shared + 0.25).sin()
    value, gradient = called(built(tmp_path, to_c(deep, "deep")).deep, [0.3])
    assert same(value, deep.data)
    assert same(gradient[0], eager(deep)[0])


PLAIN = sorted(set(PROGRAMS) - {"a guard", "guards on inputs and constants"})


def run_program(f: Any, program: Program, p: list[float], x: list[float]) -> tuple[Any, Any, Any]:
    """Results, and derivatives of their sum in parameters and inputs, by a C function."""
    count = len(program.tape.outputs)
    sizes = count, count, len(p), len(x)
    results, seeds, inner, outer = ((ctypes.c_double * n)() for n in sizes)
    seeds[:] = [1.0] * count
    given = [(ctypes.c_double * len(v))(*v) for v in (p, x)]
    assert f(*given, results, None, None, None) == f(*given, results, seeds, inner, outer) == 0
    return list(results), list(inner), list(outer)


@C_COMPILER
def test_programs_have_their_values_and_gradients_in_c(tmp_path: Path) -> None:
    model = MLP([3, 5, 4, 2], "gelu", seed=0)
    programs = [recorded(*_flattened(PROGRAMS[name])) for name in PLAIN]
    programs.append(recorded(lambda x: sum(v * v for v in model(x)), [0.3, -0.7, 0.2]))
    sources = [to_c(program, f"f{i}") for i, program in enumerate(programs)]
    library = built(tmp_path, *sources)
    rng = random.Random(0)
    for i, program in enumerate(programs):
        p = [rng.uniform(0.2, 0.8) for _ in range(program.tape.parameters)]
        x = [1.0 if whole else rng.uniform(0.2, 0.8) for whole in program.tape.whole]
        results, inner, outer = run_program(getattr(library, f"f{i}"), program, p, x)
        expected = replayed(program, p, x)
        assert results == pytest.approx(expected[0], rel=1e-13), i
        assert inner == pytest.approx(expected[1], rel=1e-12), i
        for got, right, whole in zip(outer, expected[2], program.tape.whole, strict=True):
            assert whole or got == pytest.approx(right, rel=1e-12)


@C_COMPILER
def test_an_operand_without_a_gradient_gets_none_in_c(tmp_path: Path) -> None:
    program = recorded(lambda x: x.hypot(4.0), 3.0)
    results, _, outer = run_program(built(tmp_path, to_c(program)).f, program, [], [3.0])
    assert results == [5.0]
    assert outer == pytest.approx([0.6])


@C_COMPILER
def test_a_program_in_c_says_when_it_is_not_valid(tmp_path: Path) -> None:
    program = recorded(lambda i, x: select(x, i), 1, [1.0, 2.0])
    f = built(tmp_path, to_c(program)).f
    numbers, out = (ctypes.c_double * 3)(2.0, 5.0, 7.0), (ctypes.c_double * 1)()
    assert f(None, numbers, out, None, None, None) == 1
    with pytest.raises(ValueError, match="to_c: the recording is valid only while"):
        to_c(recorded(*_flattened(PROGRAMS["a guard"])))


# ---------------------------------------------------------------------- labels and refusals

HOSTILE = [
    '*/ system("rm")',
    "// \\",
    "a\nb",
    "int",
    "x",
    "x",
    "",
    "'",
    '"""',
    "{0}",
    "%s",
    "é",
    "??/",
]


def hostile() -> Value:
    total: Any = 0.0
    for i, label in enumerate(HOSTILE):
        total = total + Value(0.5 + i, label) * (i - 0.0)
    total.label = 'result"""\n*/'
    return total  # type: ignore[no-any-return]


@C_COMPILER
def test_no_label_can_end_a_comment_in_c(tmp_path: Path) -> None:
    root = hostile()
    source = to_c(root)
    assert "system(" not in source.replace("system(_rm_)", "")
    assert called(built(tmp_path, source).f, [v.data for v in leaves(root)])[0] == root.data


@pytest.mark.parametrize("name", ["", "1f", "a b", "double", "sin", "x", "f;", "é", "gradient"])
def test_a_name_that_is_none_in_c_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a function in C"):
        to_c(Value(1.0), name)


@C_COMPILER
def test_numbers_that_are_not_finite_stay_what_they_are(tmp_path: Path) -> None:
    numbers = [math.inf, -math.inf, math.nan, -0.0, 5e-324, 1e308]
    x = Value(0.5, "x")
    texts = [to_c(x.maximum(c) if k % 2 else x * c, f"f{k}") for k, c in enumerate(numbers)]
    library = built(tmp_path, *texts, to_c(Value(2.0), "leaf"))
    for k, c in enumerate(numbers):
        root = x.maximum(c) if k % 2 else x * c
        value, gradient = called(getattr(library, f"f{k}"), [0.5])
        assert same(value, root.data)
        assert same(gradient[0], eager(root)[0])
    assert called(library.leaf, [3.0]) == (3.0, [1.0])


@C_COMPILER
def test_rows_of_ones_own_are_written_out(tmp_path: Path) -> None:
    op = define_op(
        "größe", "x * int / (1 + int)", "int * (2 + abs(x)) / ((1 + int) * (1 + int))", int="abs(x)"
    )
    root = op(Value(0.7, "x"))
    value, gradient = called(built(tmp_path, to_c(root)).f, [0.7])
    assert same(value, root.data)
    assert same(gradient[0], eager(root)[0])


def test_what_no_text_can_say_is_refused() -> None:
    x = Value(2.0, "x")
    op = define_op("halved", lambda x: x / 2, lambda x: 0.5)
    with pytest.raises(NotImplementedError, match=r"halved is a Python function .*C cannot run"):
        to_c(op(x))
    degrees = define_op("degrees", "degrees(x)", "57.29577951308232")
    with pytest.raises(NotImplementedError, match="degrees: C99 has no function degrees; add"):
        to_c(degrees(x))
    y = x * x
    remove = y.register_hook(lambda g: 2 * g)
    with pytest.raises(ValueError, match="v1 has a hook"):
        to_c(y)
    remove()
    with pytest.raises(TypeError, match="to_c: expected a Value or a Program, got float"):
        to_c(2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="to_torch: expected a Value, got float"):
        scripts.to_torch(2.0)  # type: ignore[arg-type]
    for _ in range(10_001):
        y = y + 1.0
    with pytest.raises(ValueError, match=r"10,002 operations.*autograd.compile"):
        to_c(y)


def test_a_compiled_call_is_written_out() -> None:
    compiled = autograd.compile(lambda x: (x * 2.0).tanh())
    assert "z_tanh" not in to_c(compiled(Value(0.5)))
    assert "tanh(v0)" in to_c(compiled(Value(0.5)))


# ---------------------------------------------------------------------- PyTorch and JAX

LARGE = "gelu(a*b) + logsigmoid(a) + cbrt(b) + elu(b, 2) + 2**a + silu(c) + relu(a)/hypot(a, c)"


@pytest.mark.parametrize("target", ["torch", "jax"])
def test_every_row_has_its_value_and_gradient_in_a_script(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(target)
    write = getattr(scripts, f"to_{target}")
    total: Any = 0.0
    for name, op in rows().items():
        numbers = (1.625, 0.375) if name == "acosh" else (0.625, 0.375)
        total = total + graph_of(op, numbers[: op.arity])
    exec(write(total), {})
    assert capsys.readouterr().out == "value and gradient agree\n"


@pytest.mark.parametrize("target", ["torch", "jax"])
def test_a_script_is_safe_and_notices_a_wrong_number(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(target)
    write = getattr(scripts, f"to_{target}")
    exec(write(hostile()), {})
    exec(write(expression(LARGE, a=0.7, b=-1.3, c=2.1)), {})
    exec(write(Value(-2.0) ** 2.0 + Value(math.inf) * -0.5), {})
    exec(write((Value(-2.0) * -2.0) ** 2), {})
    assert capsys.readouterr().out == "value and gradient agree\n" * 4
    script = write(Value(2.0, "x").tanh())
    with pytest.raises(AssertionError):
        exec(script.replace("value = 0.96", "value = 0.95"), {})
    with pytest.raises(AssertionError):
        exec(script.replace("gradient = [\n    0.07", "gradient = [\n    0.08"), {})
    x = Value(2.0)
    y = x * 3.0
    x.data = 1.0
    with pytest.raises(RuntimeError, match="run the forward pass again"):
        write(y)
    op = define_op("halved", lambda x: x / 2, lambda x: 0.5)
    with pytest.raises(NotImplementedError, match="halved is a Python function"):
        write(op(x))


# ---------------------------------------------------------------------- SymPy


@pytest.mark.parametrize("name", rows())
def test_every_row_has_its_value_and_derivatives_in_sympy(name: str) -> None:
    pytest.importorskip("sympy")
    bridge = importlib.import_module("autograd.bridges.sympy")
    op = rows()[name]
    for operands in [(1.625, 0.375)] if name == "acosh" else [(0.625, 0.375), (-0.375, 0.75)]:
        root = graph_of(op, operands[: op.arity])
        if root.data != root.data:
            continue
        if name == "round":
            with pytest.raises(NotImplementedError, match="round: SymPy has no function"):
                bridge.to_sympy(root)
            return
        formula = bridge.to_sympy(root)
        at = {f"x{i}": v for i, v in enumerate(operands)}
        assert float(formula.subs(at)) == pytest.approx(root.data, rel=1e-12)
        if name in STEPS:
            continue
        for i, slope in enumerate(eager(root)):
            assert float(formula.diff(f"x{i}").subs(at)) == pytest.approx(slope, rel=1e-12)
        back = bridge.from_sympy(formula, {f"x{i}": v for i, v in enumerate(operands[: op.arity])})
        assert back.data == pytest.approx(root.data, rel=1e-13)


def test_a_formula_of_sympy_becomes_a_graph() -> None:
    sympy = pytest.importorskip("sympy")
    bridge = importlib.import_module("autograd.bridges.sympy")
    x, y = sympy.symbols("x y")
    choice = sympy.Piecewise((x**2, (x < 0) | (y > 5)), (sympy.sqrt(y), ~(x > 3) & (y > 0)))
    formula = (
        sympy.Max(x, y, 1) + abs(x) / y + choice + sympy.pi * sympy.exp(-x) + 1 / sympy.sqrt(y)
    )
    y_ = Value(2.0, "mine")
    root = bridge.from_sympy(formula, {"x": 0.5}, y=y_)
    assert root.data == pytest.approx(float(formula.subs({"x": 0.5, "y": 2.0})), rel=1e-14)
    root.backward()
    assert y_.grad == pytest.approx(float(formula.diff(y).subs({"x": 0.5, "y": 2.0})), rel=1e-13)
    assert bridge.from_sympy(sympy.Integer(3)).data == 3.0
    assert math.isnan(bridge.from_sympy(sympy.Piecewise((x, x > 1)), x=0.5).data)
    same_name = sympy.Symbol("x") * sympy.Symbol("x", positive=True)
    assert len(leaves(bridge.from_sympy(same_name, x=2.0))) == 1
    assert bridge.from_sympy(sympy.Piecewise((x, True)) + sympy.oo, x=1.0).data == math.inf
    assert (
        str(bridge.to_sympy(Value(1.0, "x").maximum(math.inf)))
        == "Piecewise((x, x > oo), (oo, True))"
    )


def test_what_is_no_formula_is_refused() -> None:
    sympy = pytest.importorskip("sympy")
    bridge = importlib.import_module("autograd.bridges.sympy")
    x = sympy.Symbol("x")
    with pytest.raises(TypeError, match="expected an expression of SymPy, got str"):
        bridge.from_sympy("__import__('os').system('touch owned')")
    with pytest.raises(ValueError, match="x has no value"):
        bridge.from_sympy(x**2)
    with pytest.raises(ValueError, match="no symbol y"):
        bridge.from_sympy(x**2, x=1.0, y=2.0)
    for unknown in (sympy.gamma(x), x * sympy.I, sympy.Function("f")(x), sympy.Integral(x, x),
        sympy.Integral(x * sympy.Symbol("t"), (sympy.Symbol("t"), 0, 1)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="is no operation of the table"):
            bridge.from_sympy(unknown, x=1.0)
    op = define_op("halved", lambda x: x / 2, lambda x: 0.5)
    with pytest.raises(NotImplementedError, match="halved is a Python function"):
        bridge.to_sympy(op(Value(1.0)))


def test_no_library_is_imported_before_it_is_asked_for() -> None:
    script = (
        "import sys, autograd.compiled.function, autograd.bridges.c, autograd.bridges.scripts, "
        "autograd.bridges.markdown, autograd.bridges.notebook; "
        "print(*{'jax', 'torch', 'sympy', 'IPython', 'sphinx'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"


def test_without_sympy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sympy", None)
    monkeypatch.delitem(sys.modules, "autograd.bridges.sympy", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"chainrule\[sympy\]"):
        importlib.import_module("autograd.bridges.sympy")


def test_a_refused_comparison_names_the_scope_without_its_formula() -> None:
    def first(z: Any) -> Any:
        return softmax(z)[0] if softmax(z)[0] > 0.5 else z[1]

    f = autograd.compile(first)
    f([1.0, 0.0])
    with pytest.raises(ValueError, match=r"div \(softmax, \S+:\d+\) > 0.5 is True") as refused:
        to_c(f.program)
    assert str(refused.value).isprintable()
