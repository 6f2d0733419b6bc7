"""The command line: `chainrule` or `python -m autograd`."""

import argparse
import importlib
import json
import os
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from autograd import __version__, native
from autograd.cells import aligned
from autograd.check.gradients import check_gradients
from autograd.check.report import Report
from autograd.expressions import ExpressionError, expression, numbers
from autograd.order import topological, visited
from autograd.printers.latex import latex
from autograd.show.draw import LIMIT, draw
from autograd.show.player import play
from autograd.show.render import RenderError
from autograd.value import Value, rows

# The first bytes of each format, so that no file of another format is overwritten.
_FIRST_BYTES = {
    ".svg": (b"<?xml", b"<svg"),
    ".png": (b"\x89PNG",),
    ".pdf": (b"%PDF",),
    ".dot": (b"digraph",),
    ".gv": (b"digraph",),
    ".mmd": (b"flowchart",),
}


# Names times characters.  The referees parse the expression again for each name, which takes about
# a second at this size.  `grad` leaves out the check above it; `check` has no limit.
_MOST_PARSED = 500_000


# The libraries of which modules and functions can be read, and the tables of what is covered.
_BRIDGES = {"torch": "autograd.bridges.aten", "jax": "autograd.bridges.jax"}


class RefusalError(Exception):
    """A request that cannot be met; the text says why, in one line."""


def markdown() -> str:
    """The op table as Markdown: the textbook's formulas, and where each row is smooth.

    >>> print(markdown().splitlines()[2])
    | `add` | `x + y` | `1` | `1` | everywhere |
    """
    lines = ["| operation | z = h(x, y) | dz/dx | dz/dy | smooth |", "|---|---|---|---|---|"]
    for op in rows().values():
        formulas = [f"`{text}`" for text in op.textbook] + [""] * (2 - op.arity)
        smooth = f"`{op.smooth}`" if op.smooth else "everywhere"
        lines.append(f"| `{op.name}` | {' | '.join(formulas)} | {smooth} |")
    return "\n".join(lines)


def tex() -> str:
    """The op table as a LaTeX array, for math mode with amsmath."""
    lines = [r"\begin{array}{llll}", r"\text{operation} & z & dz/dx & dz/dy \\ \hline"]
    for op in rows().values():
        name = op.name.replace("_", r"\_")
        formulas = [latex(text) for text in op.textbook] + [""] * (2 - op.arity)
        lines.append(rf"\text{{{name}}} & {' & '.join(formulas)} \\")
    return "\n".join([*lines, r"\end{array}"])


def text() -> str:
    """The op table in aligned columns."""
    cells = [(op.name, *op.textbook, *[""] * (2 - op.arity)) for op in rows().values()]
    return "\n".join(aligned([("operation", "z = h(x, y)", "dz/dx", "dz/dy"), *cells]))


def assigned(arguments: list[str]) -> dict[str, float]:
    """The numbers by name, from `w=2 x=-1`.

    Raises RefusalError for an argument of another form, ExpressionError for what is no number.
    """
    pairs = []
    for argument in arguments:
        name, equals, number = argument.partition("=")
        if not equals or not name.isidentifier():
            raise RefusalError(f"expected a value such as w=2, got {argument:.40}")
        pairs.append((name, number))
    return numbers(pairs)


def _leaves(root: Value) -> list[Value]:
    return [leaf for leaf in visited(root)[1] if leaf.label]


def checked(source: str, values: dict[str, float], order: int = 1) -> Report:
    """The referees' report on the expression's gradients."""
    names = list(values)
    root = expression(source, values)
    if not _leaves(root):
        raise RefusalError("there is no gradient without names; name an input, as in x*x x=3")

    def f(*leaves: Any) -> Any:
        return expression(source, dict(zip(names, leaves, strict=True)))

    inputs = [Value(values[name], name) for name in names]
    return check_gradients(f, *inputs, order=order)


def grad(options: argparse.Namespace) -> int:
    """Print the value, the gradients, and whether they are right."""
    values = assigned(options.values)
    root = expression(options.expression, values)
    player = play(root, {})
    root.backward()
    grads = {leaf.label: leaf.grad for leaf in sorted(_leaves(root), key=lambda v: v.label)}
    quick = len(values) * len(options.expression) <= _MOST_PARSED
    report = checked(options.expression, values) if grads and quick else None
    if options.json:
        verdict = report.verdict.value if report else None
        print(json.dumps({"value": root.data, "gradients": grads, "check": verdict}))
        return 0
    if options.steps:
        print(player, end="\n\n")
    print(f"value  {root.data!r}")
    for name, number in grads.items():
        print(f"dL/d{name}  {number!r}")
    if report is not None:
        print(f"check  {report.verdict.value}")
    elif grads:
        print(f"check  left out for {len(grads):,} names; `chainrule check` takes longer")
    return 0


def check(options: argparse.Namespace) -> int:
    """Print the referees' table; the status is 1 unless every gradient passes."""
    report = checked(options.expression, assigned(options.values), options.order)
    print(report)
    return 0 if report else 1


def writable(path: Path, force: bool, formats: dict[str, tuple[bytes, ...]] = _FIRST_BYTES) -> None:
    """Raise RefusalError unless the file is new or of the format of its extension."""
    if path.suffix.lower() not in formats:
        raise RefusalError(f"{path.name}: expected a name that ends in {', '.join(formats)}")
    if path.is_dir():
        raise RefusalError(f"{path.name} is a folder; give a file name")
    if not path.parent.is_dir():
        raise RefusalError(f"{path.name}: the folder {path.parent} does not exist")
    if path.exists() and not force:
        with path.open("rb") as file:
            start = file.read(16)
        if start and not start.startswith(formats[path.suffix.lower()]):
            raise RefusalError(
                f"{path.name} exists and is not a {path.suffix} file; --force overwrites it"
            )


def picture(options: argparse.Namespace) -> int:
    """Draw the graph, with its gradients, to a file."""
    root = expression(options.expression, assigned(options.values))
    writable(options.output, options.force)
    if (count := len(topological(root))) > LIMIT:
        raise RefusalError(
            f"a picture shows at most {LIMIT} nodes and this graph has {count:,}; "
            "`chainrule play ... -o player.html` shows it in parts"
        )
    root.backward()
    try:
        print(draw(root).render(options.output))
    except RenderError as error:
        raise RefusalError(str(error)) from None
    return 0


def stepped(options: argparse.Namespace) -> int:
    """Step through backprop in the terminal, or save the steps as a page."""
    from autograd.show.terminal import show

    player = play(expression(options.expression, assigned(options.values)), {})
    if options.output is None:
        show(player)
        return 0
    writable(options.output, options.force, {".html": (b"<!doctype html>",)})
    print(player.save(options.output))
    return 0


def demo(options: argparse.Namespace) -> int:
    """Step through a neuron, train a classifier, and draw both."""
    from nn import demo as script

    script.main(options.folder)
    return 0


def table(options: argparse.Namespace) -> int:
    """Print the table of operations."""
    print(markdown() if options.markdown else tex() if options.latex else text())
    return 0


def bridges(options: argparse.Namespace) -> int:
    """Print what a bridge to another library covers."""
    try:
        covered = importlib.import_module(_BRIDGES[options.library])
    except ModuleNotFoundError as error:
        raise RefusalError(str(error)) from None
    print("\n".join(covered.covered()))
    return 0


def _command(
    commands: Any, name: str, run: Any, help: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _with_expression(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("expression", help='such as "tanh(w*x + b)"')
    parser.add_argument("values", nargs="*", metavar="NAME=NUMBER", help="such as w=2 x=-1 b=0.5")
    return parser


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="chainrule",
        description="A scalar autograd engine that can explain every number.",
        epilog='examples: chainrule demo; chainrule grad "tanh(w*x + b)" w=2 x=-1 b=0.5',
    )
    engine = f"eager engine in {native.engine}" + f" ({native.reason})" * bool(native.reason)
    version = f"chainrule {__version__}, Python {platform.python_version()}, {engine}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True)
    neuron = '"tanh(w*x + b)" w=2 x=-1 b=0.5'
    sub = _command(commands, "demo", demo, "train and draw a small network", "chainrule demo out")
    sub.add_argument("folder", nargs="?", default="out", help="output folder (default: out)")
    sub = _command(commands, "grad", grad, "value and gradients", f"chainrule grad {neuron}")
    _with_expression(sub).add_argument("--steps", action="store_true", help="also print every step")
    sub.add_argument("--json", action="store_true", help="print JSON")
    example = f"chainrule draw {neuron} -o neuron.svg"
    sub = _with_expression(_command(commands, "draw", picture, "draw the graph", example))
    sub.add_argument("-o", dest="output", type=Path, required=True, help=", ".join(_FIRST_BYTES))
    sub.add_argument("--force", action="store_true", help="overwrite a file of any format")
    example = f"chainrule play {neuron} -o player.html"
    sub = _with_expression(_command(commands, "play", stepped, "step through backprop", example))
    sub.add_argument("-o", dest="output", type=Path, help="save a web page (.html) instead")
    sub.add_argument("--force", action="store_true", help="overwrite a file of any format")
    example = f"chainrule check {neuron} --order 2"
    sub = _with_expression(_command(commands, "check", check, "check the gradients", example))
    sub.add_argument("--order", type=int, choices=[1, 2], default=1, help="2: second order, too")
    sub = _command(commands, "ops", table, "print the table of operations", "chainrule ops --latex")
    formats = sub.add_mutually_exclusive_group()
    formats.add_argument("--markdown", action="store_true", help="print it as Markdown")
    formats.add_argument("--latex", action="store_true", help="print it as a LaTeX array (amsmath)")
    sub = _command(commands, "bridges", bridges, "what a bridge covers", "chainrule bridges torch")
    sub.add_argument("library", choices=_BRIDGES, help="the library")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The exit status of the command: 0, 1 for a wrong gradient, 2 for a request that fails."""
    options = parser().parse_args(_protected(sys.argv[1:] if arguments is None else arguments))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            status: int = options.run(options)
        sys.stdout.flush()
        # Each note once, without its source line: the user typed an expression, not a file.
        for note in dict.fromkeys(re.sub(r", at \S+:\d+$", "", str(c.message)) for c in caught):
            print(f"chainrule: note: {note}", file=sys.stderr)
        return status
    except (ExpressionError, RefusalError) as error:
        print(f"chainrule: {error}", file=sys.stderr)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `chainrule ops | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"chainrule: {error.strerror}: {error.filename}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


def _protected(arguments: list[str]) -> list[str]:
    """The arguments, with a space before those like -x**2, which argparse takes for options."""
    return [f" {a}" if a.startswith("-") and len(a) > 2 and a[1] != "-" else a for a in arguments]


if __name__ == "__main__":
    sys.exit(main())
