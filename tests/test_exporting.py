"""Graphs as source text in other languages: the same value, the same gradient, safe texts."""

import ctypes
import itertools
import math
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autograd import Value, define_op, expression, rows, topological
from autograd.adjoints import gradients
from autograd.bridges.c import to_c
from autograd.operation import Operation
from nn import MLP
from tests import reference

GCC = shutil.which("gcc")
C_COMPILER = pytest.mark.skipif(GCC is None, reason="needs gcc")
FLAGS = ["-std=c99", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-shared", "-fPIC"]


def built(source: str, folder: Path) -> Any:
    """The library of a C source."""
    (folder / "f.c").write_text(source)
    assert GCC
    library = folder / f"{len(list(folder.iterdir()))}.so"
    command = [GCC, *FLAGS, "-o", str(library), str(folder / "f.c"), "-lm"]
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
SMALL = {"w": 2.0, "x": -1.0, "b": 0.5, "y": 1.0}


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
    library = built("".join(sources), tmp_path)
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
    f = built(to_c(root, "loss"), tmp_path).loss
    value, gradient = called(f, [leaf.data for leaf in leaves(root)])
    assert same(value, root.data)
    assert all(map(same, gradient, eager(root)))
    shared = Value(0.3)
    deep = shared
    for _ in range(300):
        deep = (deep * shared + 0.25).sin()
    value, gradient = called(built(to_c(deep, "deep"), tmp_path).deep, [0.3])
    assert same(value, deep.data)
    assert same(gradient[0], eager(deep)[0])
