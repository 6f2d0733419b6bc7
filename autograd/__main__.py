"""The command line: `chainrule` or `python -m autograd`."""

import argparse
import json
import os
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from autograd import __version__
from autograd.check.gradients import check_gradients
from autograd.check.report import Report
from autograd.expressions import PRINTED, ExpressionError, expression
from autograd.order import topological, visited
from autograd.printers.latex import latex
from autograd.show.draw import LIMIT, draw
from autograd.show.player import play
from autograd.show.render import RenderError
from autograd.value import Value, rows

# What a file of each kind starts with, so that none of another kind is overwritten.
_STARTS = {
    ".svg": (b"<?xml", b"<svg"),
    ".png": (b"\x89PNG",),
    ".pdf": (b"%PDF",),
    ".dot": (b"digraph",),
    ".gv": (b"digraph",),
    ".mmd": (b"flowchart",),
}


# Names times characters: the referees read the expression anew for each name, and this takes a
# second or so.  `grad` checks no more than that; `check` takes the time it needs.
_QUICK = 500_000


class RefusalError(Exception):
    """What the user asked for cannot be done; the text says why, in a line."""


def markdown() -> str:
    """The op table as Markdown: the textbook's formulas, and where a row has no derivative.

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
    return _aligned([("operation", "z = h(x, y)", "dz/dx", "dz/dy"), *cells])


def _aligned(cells: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def assigned(words: list[str]) -> dict[str, float]:
    """The numbers of `w=2 x=-1`.  Raises RefusalError for what is no assignment of a number."""
    values: dict[str, float] = {}
    for word in words:
        name, equals, number = word.partition("=")
        if not equals or not name.isidentifier():
            raise RefusalError(f"expected a value such as w=2, got {word:.40}")
        if name in values:
            raise RefusalError(f"{name} is given twice")
        try:
            values[name] = float(number.translate(PRINTED))
        except ValueError:
            raise RefusalError(f"{name}: expected a number, got {number!r:.40}") from None
    return values


def _leaves(root: Value) -> list[Value]:
    return [leaf for leaf in visited(root)[1] if leaf.label]


def checked(words: str, values: dict[str, float], order: int = 1) -> Report:
    """What the referees say of the expression's gradients."""
    names = list(values)
    root = expression(words, values)
    if not _leaves(root):
        raise RefusalError("the expression has no names, so there is no gradient to check")

    def f(*leaves: Any) -> Any:
        return expression(words, dict(zip(names, leaves, strict=True)))

    inputs = [Value(values[name], name) for name in names]
    return check_gradients(f, *inputs, order=order)


def grad(chosen: argparse.Namespace) -> int:
    """The value, the gradients, and whether they are right."""
    values = assigned(chosen.values)
    root = expression(chosen.expression, values)
    player = play(root, {})
    root.backward()
    found = {leaf.label: leaf.grad for leaf in sorted(_leaves(root), key=lambda v: v.label)}
    quick = len(values) * len(chosen.expression) <= _QUICK
    report = checked(chosen.expression, values) if found and quick else None
    if chosen.json:
        verdict = report.verdict.value if report else None
        print(json.dumps({"value": root.data, "gradients": found, "check": verdict}))
        return 0
    if chosen.steps:
        print(player, end="\n\n")
    print(f"value  {root.data!r}")
    for name, number in found.items():
        print(f"dL/d{name}  {number!r}")
    if report is not None:
        print(f"check  {report.verdict.value}")
    elif found:
        print(f"check  left out for {len(found):,} names; `chainrule check` takes the time")
    return 0


def check(chosen: argparse.Namespace) -> int:
    """The referees' table; status 1 unless every gradient passes."""
    report = checked(chosen.expression, assigned(chosen.values), chosen.order)
    print(report)
    return 0 if report else 1


def writable(path: Path, force: bool, starts: dict[str, tuple[bytes, ...]] = _STARTS) -> None:
    """Raise RefusalError for a file that is not of the kind that its name says."""
    if path.suffix.lower() not in starts:
        raise RefusalError(f"{path.name}: expected a name in {', '.join(starts)}")
    if path.is_dir():
        raise RefusalError(f"{path.name} is a folder")
    if not path.parent.is_dir():
        raise RefusalError(f"{path.name}: there is no folder {path.parent}")
    if path.exists() and not force:
        with path.open("rb") as file:
            start = file.read(16)
        if start and not start.startswith(starts[path.suffix.lower()]):
            raise RefusalError(
                f"{path.name} exists and is no {path.suffix} file; --force overwrites it"
            )


def picture(chosen: argparse.Namespace) -> int:
    """The graph, with its gradients, in a file."""
    root = expression(chosen.expression, assigned(chosen.values))
    writable(chosen.output, chosen.force)
    if (count := len(topological(root))) > LIMIT:
        raise RefusalError(
            f"a picture holds {LIMIT} nodes and this graph has {count:,}; "
            "`chainrule play ... -o player.html` shows it part by part"
        )
    root.backward()
    try:
        print(draw(root).render(chosen.output))
    except RenderError as error:
        raise RefusalError(str(error)) from None
    return 0


def stepped(chosen: argparse.Namespace) -> int:
    """Every step, with keys where there is a terminal."""
    from autograd.show.terminal import show

    player = play(expression(chosen.expression, assigned(chosen.values)), {})
    if chosen.output is None:
        show(player)
        return 0
    writable(chosen.output, chosen.force, {".html": (b"<!doctype html>",)})
    print(player.save(chosen.output))
    return 0


def demo(chosen: argparse.Namespace) -> int:
    """A neuron step by step, a classifier, and their pictures."""
    from nn import demo as job

    job.main(chosen.folder)
    return 0


def table(chosen: argparse.Namespace) -> int:
    """The table of operations."""
    print(markdown() if chosen.markdown else tex() if chosen.latex else text())
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
    """What the command line understands."""
    whole = argparse.ArgumentParser(
        prog="chainrule",
        description="A scalar autograd engine in which every number can be explained.",
        epilog='examples: chainrule demo; chainrule grad "tanh(w*x + b)" w=2 x=-1 b=0.5',
    )
    version = f"chainrule {__version__}, Python {platform.python_version()}"
    whole.add_argument("--version", action="version", version=version)
    commands = whole.add_subparsers(dest="command", required=True)
    it = '"tanh(w*x + b)" w=2 x=-1 b=0.5'
    one = _command(commands, "demo", demo, "train a small network, draw it", "chainrule demo out")
    one.add_argument("folder", nargs="?", default="out", help="where the pictures go (out)")
    one = _command(commands, "grad", grad, "value, gradients, verdict", f"chainrule grad {it}")
    _with_expression(one).add_argument("--steps", action="store_true", help="every step as well")
    one.add_argument("--json", action="store_true", help="for programs to read")
    example = f"chainrule draw {it} -o neuron.svg"
    one = _with_expression(_command(commands, "draw", picture, "the graph as a picture", example))
    one.add_argument("-o", dest="output", type=Path, required=True, help=", ".join(_STARTS))
    one.add_argument("--force", action="store_true", help="overwrite a file of another kind")
    example = f"chainrule play {it} -o player.html"
    one = _with_expression(_command(commands, "play", stepped, "step through backprop", example))
    one.add_argument("-o", dest="output", type=Path, help="a page, .html, instead of the terminal")
    one.add_argument("--force", action="store_true", help="overwrite a file of another kind")
    example = f"chainrule check {it} --order 2"
    one = _with_expression(_command(commands, "check", check, "ask the referees", example))
    one.add_argument("--order", type=int, choices=[1, 2], default=1, help="2: of gradients too")
    one = _command(commands, "ops", table, "the table of operations", "chainrule ops --latex")
    kinds = one.add_mutually_exclusive_group()
    kinds.add_argument("--markdown", action="store_true", help="as in docs/operations.md")
    kinds.add_argument("--latex", action="store_true", help="an array, for amsmath")
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 0, 1 for a wrong gradient, 2 for what cannot be done."""
    chosen = parser().parse_args(_protected(sys.argv[1:] if arguments is None else arguments))
    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            status: int = chosen.run(chosen)
        sys.stdout.flush()
        # A line of this file says nothing to who typed an expression, and once is enough.
        for note in dict.fromkeys(re.sub(r", at \S+:\d+$", "", str(n.message)) for n in noted):
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
    """An expression such as -x**2 looks like an option to argparse; a space tells it is none."""
    return [f" {a}" if a.startswith("-") and len(a) > 2 and a[1] != "-" else a for a in arguments]


if __name__ == "__main__":
    sys.exit(main())
