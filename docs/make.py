"""Writes the pages of the API, which need no network: `python docs/make.py FOLDER`."""

import re
import sys
from pathlib import Path

import pdoc.render
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from pdoc.render_helpers import linkify, to_html

import autograd
from autograd.__main__ import markdown

HERE = Path(__file__).resolve().parent
MODULES = [
    *(
        "autograd",
        "autograd.compiled.function",
        "autograd.compiled.program",
        "autograd.faults",
        "autograd.show.animation",
    ),
    *("autograd.strategies", "autograd.pytest_plugin"),
    *("nn", "nn.distributed", "nn.microgpt", "nn.sweeps"),
]
FRONT = """\
# chainrule

A scalar autograd engine and a thin layer of neural networks on it.

- [`autograd`](autograd.html): `Value`, gradients, checks, pictures, the player, `compile`.
- [`nn`](nn.html): neurons, layers, initializers, losses, optimizers, training; on files and workers
  ([`nn.distributed`](nn/distributed.html)), and grids of trainings ([`nn.sweeps`](nn/sweeps.html)).

## Operations

Each is a method of `Value` (`v.tanh()`) and a function of Values and numbers, under its name in
both packages (`autograd.tanh(v)`).

"""


@pass_context
def linked(context: Context, code: str, namespace: str = "", shorten: bool = True) -> Markup:
    """The code with names as links, but for an attribute of what is no name, as in `f(x).data`."""
    # pdoc reads it as the module `data` beside this one, and would write `f(x)nn.data`.
    dot = '</span><span class="o">.</span>'
    return linkify(context, re.sub(rf"(?<=[)\]]){dot}", f"{dot}<wbr>", code), namespace, shorten)


def make(folder: Path) -> None:
    """Write the site into a folder."""
    _ = autograd.compile  # pdoc sees what a module has, and this is there from its first use on
    pdoc.render.configure(docformat="google", template_directory=HERE)
    pdoc.render.env.filters["linkify"] = linked
    operations = re.sub(r"(?m)^\| `(\w+)`", r"| [`\1`](autograd.html#Value.\1)", markdown())
    pdoc.render.env.globals["front"] = Markup(to_html(FRONT + operations))  # noqa: S704 - ours
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
