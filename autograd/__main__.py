"""The command line: `chainrule` or `python -m autograd`."""

import argparse

from autograd.value import rows


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


def text() -> str:
    """The op table in aligned columns."""
    cells = [(op.name, *op.textbook, *[""] * (2 - op.arity)) for op in rows().values()]
    head = ("operation", "z = h(x, y)", "dz/dx", "dz/dy")
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *cells]
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(
        prog="chainrule",
        description="A scalar autograd engine in which every number can be explained.",
        epilog="examples: chainrule demo; chainrule ops --markdown",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train a small network and write its pictures")
    demo.add_argument("folder", nargs="?", default="out", help="where the pictures go (out)")
    ops = commands.add_parser("ops", help="print the table of operations")
    ops.add_argument("--markdown", action="store_true", help="as the README has it")
    chosen = parser.parse_args(arguments)
    if chosen.command == "demo":
        from nn import demo as job

        job.main(chosen.folder)
    else:
        print(markdown() if chosen.markdown else text())


if __name__ == "__main__":
    main()
