"""The cells of a notebook: code that the visitor may change, and what it shows."""

import ast
import base64
import contextlib
import io
import traceback
from typing import Any

from lab import display

_NAME = "<cell>"
# What a page can show, the best first.
_KINDS = (
    ("_repr_html_", "html"),
    ("_repr_svg_", "html"),
    ("_repr_png_", "png"),
)


def _shown(value: Any) -> dict[str, str]:
    """A value as the page shows it: HTML, a picture, or text."""
    bundle = value._repr_mimebundle_()[0] if hasattr(value, "_repr_mimebundle_") else {}
    if "image/svg+xml" in bundle:
        return {"kind": "html", "text": bundle["image/svg+xml"]}
    for method, kind in _KINDS:
        if not hasattr(value, method):
            continue
        found = getattr(value, method)()
        found = found[0] if isinstance(found, tuple) else found
        if isinstance(found, bytes):
            found = base64.b64encode(found).decode()
        if found:
            return {"kind": kind, "text": found}
    return {"kind": "text", "text": bundle.get("text/plain") or repr(value)}


class Cells:
    """The names of a notebook, and its cells, which are run one after the other."""

    def __init__(self) -> None:
        display.provide()
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, code: str) -> list[dict[str, str]]:
        """The outputs of a cell, in order: what it prints, its last value, or why it failed.

        >>> Cells().run("print(1); 2 + 3")
        [{'kind': 'text', 'text': '1\\n'}, {'kind': 'text', 'text': '5'}]
        """
        printed, last = io.StringIO(), []
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                value = self._value(code)
                last = [] if value is None else [_shown(value)]
            except BaseException:  # SystemExit, too: the page goes on
                last = [{"kind": "error", "text": _trace()}]
        text = printed.getvalue()
        return [{"kind": "text", "text": text}] * bool(text) + last

    def _value(self, code: str) -> Any:
        """The value of the last line, if it is an expression."""
        tree = ast.parse(code, _NAME)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
        exec(compile(tree, _NAME, "exec"), self.names)  # noqa: S102 - what the visitor typed
        if not isinstance(last, ast.Expr) or code.rstrip().endswith(";"):
            return None
        return eval(compile(ast.Expression(last.value), _NAME, "eval"), self.names)  # noqa: S307


def _trace() -> str:
    """The error of a cell, from the cell's own line on."""
    lines = traceback.format_exc().splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if _NAME in line), len(lines) - 1)
    return "".join(lines[:1] * (first > 0) + lines[first:])
