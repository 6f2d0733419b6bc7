"""The imports between the packages' files, and the amount of code in each."""

import ast
import functools
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("autograd", "nn")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = {path: path.relative_to(ROOT).as_posix() for path in FILES}


@dataclass(frozen=True)
class Import:
    """An import of a name from another file of the packages; '' is the file as a whole."""

    user: str
    source: str
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.user}:{self.line} imports {self.name or 'all'} from {self.source}"


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


@functools.cache
def module(dotted: str) -> str | None:
    """The file of a module of the packages, relative to the project; None if there is none."""
    path = ROOT.joinpath(*dotted.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file.relative_to(ROOT).as_posix()
    return None


def imports(path: Path) -> Iterator[Import]:
    """The imports of a file from the packages, also those in functions and for types alone."""
    user = path.relative_to(ROOT).as_posix()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in PACKAGES and (source := module(alias.name)):
                    yield Import(user, source, "", node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module.split(".")[0] not in PACKAGES:
                continue
            for alias in node.names:
                if source := module(f"{node.module}.{alias.name}"):
                    yield Import(user, source, "", node.lineno)
                elif source := module(node.module):
                    yield Import(user, source, alias.name, node.lineno)


@functools.cache
def all_imports() -> list[Import]:
    """The imports of all files, in the order of the files."""
    return [statement for path in FILES for statement in imports(path)]


def private_attributes(path: Path) -> Iterator[tuple[str, str, int]]:
    """(module, name, line) for each private name that is read from an imported module."""
    modules = {
        alias.asname or alias.name: source
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
        for alias in node.names
        if node.module.split(".")[0] in PACKAGES
        and (source := module(f"{node.module}.{alias.name}"))
    }
    for node in ast.walk(tree(path)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
            and private(node.attr)
        ):
            yield modules[node.value.id], node.attr, node.lineno


def private(name: str) -> bool:
    """Whether a name is private to a file: it starts with one underscore."""
    return name.startswith("_") and not name.startswith("__")


def circles(imported: list[Import]) -> list[list[str]]:
    """The groups of files that import each other in a circle, by Tarjan's algorithm (1972).

    >>> circles([Import("a", "b", "", 1), Import("b", "a", "", 1), Import("b", "c", "", 2)])
    [['a', 'b']]
    """
    graph: dict[str, set[str]] = {}
    for statement in imported:
        graph.setdefault(statement.user, set()).add(statement.source)
        graph.setdefault(statement.source, set())
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(file: str) -> None:
        index[file] = low[file] = len(index)
        stack.append(file)
        for source in sorted(graph[file]):
            if source not in index:
                visit(source)
                low[file] = min(low[file], low[source])
            elif source in stack:
                low[file] = min(low[file], index[source])
        if low[file] == index[file]:
            group = [stack.pop()]
            while group[-1] != file:
                group.append(stack.pop())
            if len(group) > 1 or file in graph[file]:
                groups.append(sorted(group))

    for file in sorted(graph):
        if file not in index:
            visit(file)
    return groups


@functools.cache
def code_lines(path: Path) -> int:
    """The number of lines with code, without blank lines, comments and docstrings."""
    text = path.read_text()
    lines: set[int] = set()
    skipped = {
        tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
        tokenize.ENCODING, tokenize.ENDMARKER,
    }  # fmt: skip
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node) is not None:
            first = node.body[0]
            lines -= set(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(lines)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions and methods of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# Python's own names that start with an underscore.
_PYTHONS = {"_fields", "_replace", "_asdict", "_getframe", "_make"}


def borrowed(path: Path) -> Iterator[tuple[str, int]]:
    """(name, line) for each private attribute that a file uses but does not define."""
    defined = set(_PYTHONS)
    used: list[tuple[str, int]] = []
    for node in ast.walk(tree(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                defined.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                defined.add(name)
            case ast.Constant(value=str(name)):  # __slots__, setattr
                defined.add(name)
            case ast.Attribute(attr=name, lineno=line) if private(name):
                used.append((name, line))
    yield from ((name, line) for name, line in used if name not in defined)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The number of lines of a function, without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return lines
