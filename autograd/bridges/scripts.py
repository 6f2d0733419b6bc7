"""A graph of Values as a PyTorch or JAX script that computes value and gradient again."""

from collections.abc import Callable, Sequence
from typing import Any

from autograd.adjoints import gradients, recorded_operands
from autograd.bridges.straight import Straight, straight
from autograd.printers.frameworks import Framework, FrameworkRows, number
from autograd.printers.source import remark
from autograd.value import Value

_BODY = """\
{definitions}
def f({parameters}):
{lines}    return {result}


# The inputs, and what chainrule computed from them.
numbers = [
{numbers}]
value = {value}
gradient = [
{gradient}]


def near(here, there, size):
    return here == there or (here != here and there != there) or abs(here - there) <= 1e-9 * size


{run}
assert near(result, value, max(1.0, abs(value))), (result, value)
size = max([1.0, *map(abs, gradient)])
for i, (here, there) in enumerate(zip(slopes, gradient)):
    assert near(here, there, size), (i, here, there)
print("value and gradient agree")
"""
_TORCH = '''\
"""The graph in PyTorch, compared with chainrule: run it with `python FILE`."""

import math

import torch


def tensor(number):
    return torch.as_tensor(number, dtype=torch.float64)


def where(test, x, y):
    return torch.where(test, tensor(x), tensor(y))

'''
_RUN_TORCH = """\
leaves = [tensor(number).requires_grad_() for number in numbers]
output = f(*leaves)
output.backward()
result = output.item()
slopes = [0.0 if leaf.grad is None else leaf.grad.item() for leaf in leaves]
"""
_JAX = '''\
"""The graph in JAX, compared with chainrule: run it with `python FILE`."""

import math

import jax
import jax.numpy as jnp
import jax.scipy.special

'''
_RUN_JAX = """\
with jax.enable_x64(True):
    output, slopes = jax.value_and_grad(f, tuple(range(len(numbers))))(*numbers)
    result, slopes = float(output), [float(slope) for slope in slopes]
"""


def to_torch(root: Value) -> str:
    """The source of a Python script that computes the value and its gradient with PyTorch.

    PyTorch differentiates its own functions, so the script is a second opinion: it ends with
    assertions that both agree.  Where a function has a kink, a library may take another slope.

    Raises ValueError for a graph of more than 10,000 operations and for hooks, NotImplementedError
    for an operation that PyTorch has no function for, ModuleNotFoundError without PyTorch.

    >>> w, x = Value(2.0, "w"), Value(-1.0, "x")
    >>> script = to_torch((w * x).tanh())
    >>> print(script[script.index("def f") : script.index("numbers")])
    def f(x0, x1):
        v0 = x0 * x1
        v1 = torch.tanh(v0)
        return v1
    <BLANKLINE>
    <BLANKLINE>
    # The inputs, and what chainrule computed from them.
    <BLANKLINE>
    """
    from autograd.bridges.with_torch import torch

    def differentiated(
        function: Callable[..., Any], operands: Sequence[Sequence[float]]
    ) -> list[list[float]]:
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in operands]
        z = function(*leaves)
        return [x.tolist() for x in (z, *torch.autograd.grad(z.sum(), leaves))]

    modules = {
        "torch": torch, "torch.special": torch.special, "torch.nn.functional": torch.nn.functional,
    }  # fmt: skip
    framework = Framework("PyTorch", modules, differentiated, "where({}, {}, {})", "tensor({})")
    return _TORCH + _script(root, framework, "to_torch", _RUN_TORCH)


def to_jax(root: Value) -> str:
    """The source of a Python script that computes the value and its gradient with JAX.

    It is as `to_torch` says; for a function that stays a function, see `Program.to_jax`.

    >>> w, x = Value(2.0, "w"), Value(-1.0, "x")
    >>> script = to_jax((w * x).tanh())
    >>> "v1 = jnp.tanh(v0)" in script
    True
    """
    from autograd.bridges.with_jax import jax

    def differentiated(
        function: Callable[..., Any], operands: Sequence[Sequence[float]]
    ) -> list[list[float]]:
        with jax.enable_x64(True):
            z, pull = jax.vjp(function, *map(jax.numpy.array, operands))
            return [x.tolist() for x in (z, *pull(jax.numpy.ones(z.shape)))]

    modules = {"jnp": jax.numpy, "jax.nn": jax.nn, "jax.scipy.special": jax.scipy.special}
    framework = Framework("JAX", modules, differentiated, "jnp.where({}, {}, {})", "{}")
    return _JAX + _script(root, framework, "to_jax", _RUN_JAX)


def _script(root: Value, framework: Framework, target: str, run: str) -> str:
    graph, rows = straight(root, target), FrameworkRows(framework)
    lines = [_line(graph, node, rows) for node in graph.inner]
    slopes = gradients([(root, 1.0)], graph.leaves, create_graph=False)
    numbers = [
        f"    {number(leaf.data)},  # {remark(graph.shown[leaf])}\n" for leaf in graph.leaves
    ]
    return _BODY.format(
        definitions="".join(f"\n{text}" for text in rows.defined.texts.values()),
        parameters=", ".join(graph.texts[leaf] for leaf in graph.leaves),
        lines="".join(f"    {line}\n" for line in lines),
        result=graph.texts[root],
        numbers="".join(numbers),
        value=number(root.data),
        gradient="".join(f"    {number(slope)},\n" for slope in slopes),
        run=run,
    )


def _line(graph: Straight, node: Value, rows: FrameworkRows) -> str:
    """The line that computes a node."""
    assert node.op is not None
    recorded_operands(node)  # raises if a leaf has another number now
    text = rows.text(node.op, graph.operands(node, number))
    name = f"  # {remark(node.label)}" if node.label else ""
    return f"{graph.texts[node]} = {text}{name}"
