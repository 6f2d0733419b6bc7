"""Magics for IPython and Jupyter that draw an expression or step through it.

After `%load_ext autograd.bridges.notebook`,

    %step tanh(w*x + b) w=2 x=-1 b=0.5

steps through a backward pass, and

    %%chainrule
    tanh(w*x + b)
    w=2 x=-1 b=0.5

draws it with its gradients.  The text is read by the engine's own grammar; nothing is executed.
"""

from typing import Any

from autograd.bridges.blocks import Block
from autograd.expressions import ExpressionError
from autograd.show.graph import Graph
from autograd.show.player import Player


def _read(text: str) -> Block:
    try:
        return Block.read(text)
    except ExpressionError as error:
        from IPython.core.error import UsageError

        raise UsageError(str(error)) from None  # IPython prints it without a traceback


def step(line: str) -> Player:
    """The backward pass of an expression, to step through.

    >>> print(step("w*x w=2 x=3"))
    forward
      w = 2
      x = 3
      v1 = w * x = 2 * 3 = 6
    backward
      dL/dv1 = 1
      dL/dw += dL/dv1 * x = 1 * 3 = 3
      dL/dx += dL/dv1 * w = 1 * 2 = 2
    """
    return _read(line).player()


def chainrule(line: str, cell: str) -> Graph:
    """The picture of an expression with its gradients; numbers may stand in the first line."""
    return _read(f"{cell.strip()} {line}").picture()


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to a shell, which calls this for `%load_ext autograd.bridges.notebook`."""
    shell.register_magic_function(step, "line", "step")
    shell.register_magic_function(chainrule, "cell", "chainrule")
