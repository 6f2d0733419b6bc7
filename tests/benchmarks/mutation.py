"""Mutation testing: how many small changes to the code the tests notice; the others are listed.

The package mutmut says what to change.  Each change is made in a forked process by giving the
function other code, so that frames, lines and imports stay as they are, and the tests that reach
its line run there, quickest first, until one fails.  Counted apart are changes by which no number
can come out wrong: of presentation (an error's or a warning's text, `__repr__`, `__str__`), and of
assertions (`assert`, `zip(strict=True)`).  The texts of the op table are not changed here;
`autograd.faults` misreads them in its own ways.
"""

import argparse
import ast
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What shows results, and what talks to a terminal, a browser or a notebook.
PRESENTATION = {
    "autograd/__main__.py", "autograd/printers/latex.py", "autograd/pytest_plugin.py",
    "autograd/show/animation.py", "autograd/show/draw.py", "autograd/show/events.py",
    "autograd/show/page.py", "autograd/show/player.py",
    "autograd/show/render.py", "autograd/show/steps.py", "autograd/show/terminal.py",
    "autograd/show/widget.py", "nn/demo.py", "nn/study/plots.py",
}  # fmt: skip
# They look at the sources, start other processes or a browser, and so see no change made here.
BLIND = (
    "README.md", "tests/test_docs.py", "tests/test_house.py", "tests/test_interruptions.py",
    "tests/test_notebooks.py", "tests/test_notebooks_live.py", "tests/test_packaging.py",
    "tests/test_page.py", "tests/test_plugin.py",
)  # fmt: skip
# They read the table when they are imported; each change needs that it is read again.
READERS = {
    "autograd/operation.py", "autograd/ops.py", "autograd/record.py", "autograd/rules.py",
}  # fmt: skip
SLOW = 6.0  # seconds: a test that takes longer is left out
MEMORY = 2 << 30  # bytes: a change that takes more of them is one that never ends


@dataclass
class Mutant:
    """A change in a file.

    Attributes:
        lines: of the changed expression, first and last; of the function for a default.
        kind: 'text' or 'assertion' if no number can come out wrong by it, else ''.
        source: the whole file with the change.
        name: what tells it from the others of its file, also when lines move.
        fate: 'killed', 'living', 'unreached', 'timeout', or 'same' if it changes no code.
    """

    file: str
    lines: tuple[int, int]
    kind: str
    source: str
    before: str
    after: str
    name: str = ""
    fate: str = ""


@dataclass
class Reach:
    """Which tests run which lines of a file, and how long each test takes."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def mutants(file: str) -> Iterator[Mutant]:
    """Every change that mutmut's operators make inside the functions of a file."""
    import libcst as cst
    from libcst.metadata import (
        ByteSpanPositionProvider,
        MetadataWrapper,
        ParentNodeProvider,
        PositionProvider,
    )
    from mutmut.mutation.file_mutation import MutationVisitor
    from mutmut.mutation.mutators import mutation_operators
    from mutmut.mutation.pragma_handling import IgnoredCode

    class Visitor(MutationVisitor):  # type: ignore[misc]
        def _skip_node_and_children(self, node: Any) -> bool:
            # It leaves functions with decorators alone, for reasons that do not hold here.
            return not isinstance(node, cst.FunctionDef) and super()._skip_node_and_children(node)

    data = (ROOT / file).read_bytes()
    wrapper = MetadataWrapper(cst.parse_module(data))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    places = wrapper.resolve(PositionProvider)
    parents = wrapper.resolve(ParentNodeProvider)
    rows = data.decode().split("\n")
    seen: Counter[str] = Counter()
    for mutation in visitor.mutations:
        node = mutation.original_node
        function = mutation.contained_by_top_level_function
        if not isinstance(function, cst.FunctionDef) or node not in spans:
            continue
        kind, above, reached = "", node, node
        while above in parents and not kind:
            above = parents[above]
            kind = _harmless(above, cst) or _told(above, parents, cst)
            if isinstance(above, cst.Parameters):
                reached = parents[above]  # a default matters when the function is called
        span = spans[node]
        new = wrapper.module.code_for_node(mutation.mutated_node)
        source = (data[: span.start] + new.encode() + data[span.start + span.length :]).decode()
        first, last = places[node].start.line, places[node].end.line
        changed = source.split("\n")
        more = len(changed) - len(rows)
        before = "\n".join(rows[first - 1 : last])
        after = "\n".join(changed[first - 1 : last + more])
        if not kind and _only_text(before, after):
            kind = "text"
        name = f"{function.name.value}: {before} -> {after}"
        seen[name] += 1
        lines = places[reached].start.line, places[reached].end.line
        yield Mutant(file, lines, kind, source, before, after, f"{name} ({seen[name]})")


def _harmless(node: Any, cst: Any) -> str:
    """'text' or 'assertion' if what is changed inside the node can make no number wrong."""
    if isinstance(node, cst.Raise):
        return "text"
    if isinstance(node, cst.Assert):
        return "assertion"
    if isinstance(node, cst.FunctionDef):
        return "text" if node.name.value in ("__repr__", "__str__", "__format__") else ""
    if isinstance(node, cst.Call):
        called = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
        name = called.value if isinstance(called, cst.Name) else ""
        return "text" if name in ("warn", "add_note") or name.endswith("Error") else ""
    return ""


def _told(node: Any, parents: Any, cst: Any) -> str:
    """'text' for an assignment to names in a block that ends by raising an error with them."""
    if not isinstance(node, cst.SimpleStatementLine) or len(node.body) != 1:
        return ""
    block, (statement,) = parents[node], node.body
    named = isinstance(statement, cst.Assign) and isinstance(statement.targets[0].target, cst.Name)
    if not named or not isinstance(block, cst.IndentedBlock):
        return ""
    last = block.body[-1]
    raises = isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[0], cst.Raise)
    return "text" if raises else ""


def _only_text(before: str, after: str) -> bool:
    """Whether a line of nothing but a string (a part of a message) or of zip's check differs."""
    string = r"\s*f?(\"[^\"]*\"|'[^']*')[,)]*"
    zipped = re.compile(r",?\s*strict=\w+|,\s*(?=\))")
    return bool(re.fullmatch(string, before)) or zipped.sub("", before) == zipped.sub("", after)


Key = tuple[str, int]


def _codes(code: CodeType, found: dict[Key, list[CodeType]]) -> dict[Key, list[CodeType]]:
    """The code of each function in a module's code, by its qualified name and first line."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found.setdefault((constant.co_qualname, constant.co_firstlineno), []).append(constant)
            _codes(constant, found)
    return found


def _defaults(source: str) -> dict[int, tuple[list[ast.expr], list[ast.expr | None]]]:
    """The defaults of each function, by its line."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[first] = (node.args.defaults, node.args.kw_defaults)
    return found


class Swap:
    """The functions of a file as they were imported, ready to be given other code."""

    def __init__(self, file: str) -> None:
        self.path = str(ROOT / file)
        source = (ROOT / file).read_text()
        self.codes = _codes(compile(source, self.path, "exec"), {})
        self.defaults = _defaults(source)
        self.functions: dict[Key, list[FunctionType]] = defaultdict(list)
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename == self.path:
                code = thing.__code__
                self.functions[code.co_qualname, code.co_firstlineno].append(thing)

    def apply(self, source: str) -> bool:
        """Whether any function was given other code or defaults, as the source has them."""
        changed = False
        for key, codes in _codes(compile(source, self.path, "exec"), {}).items():
            olds = self.codes.get(key, [])
            for old, new in zip(olds, codes, strict=False):
                if old == new:
                    continue
                changed = True
                for function in self.functions[key]:
                    if len(olds) == 1 or function.__code__ == old:
                        function.__code__ = new
        for line, (plain, named) in _defaults(source).items():
            before = self.defaults.get(line, ([], []))
            if [*map(_dump, before[0]), *map(_dump, before[1])] == [
                *map(_dump, plain), *map(_dump, named)
            ]:  # fmt: skip
                continue
            changed = True
            for (_, first), functions in self.functions.items():
                for function in functions if first == line else ():
                    if plain:
                        function.__defaults__ = tuple(_evaluated(d, function) for d in plain)
                    if any(named):
                        function.__kwdefaults__ = {
                            name: _evaluated(d, function)
                            for name, d in zip(_keywords(function), named, strict=True)
                            if d is not None
                        }
        return changed


def _keywords(function: FunctionType) -> list[str]:
    code = function.__code__
    return list(code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount])


def _dump(node: ast.expr | None) -> str:
    return "" if node is None else ast.dump(node)


def _evaluated(node: ast.expr | None, function: FunctionType) -> Any:
    assert node is not None
    expression = compile(ast.Expression(node), "default", "eval")
    return eval(expression, function.__globals__)  # of our own sources


def _read_again() -> None:
    from autograd import Value, record
    from autograd.value import INSTALLED_WITH, rows

    table = rows()
    for name, op in table.items():
        op.read(name, table)
    for op in table.values():
        record.install(op, Value, table, INSTALLED_WITH)


class Runner:
    """A plugin of pytest's that runs the collected tests on every mutant, instead of once."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.failed = False
        self.results: list[Mutant] = []
        self.known: dict[str, str] = {}
        if given.state and Path(given.state).exists():
            self.known = json.loads(Path(given.state).read_text())

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember that a test has failed."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run everything."""
        session.items = [item for item in session.items if not item.nodeid.startswith(BLIND)]
        self.items = {item.nodeid: item for item in session.items}
        for file in self.given.files:
            importlib.import_module(file[:-3].replace("/", ".").removesuffix(".__init__"))
        gc.collect()
        self.swaps = {file: Swap(file) for file in self.given.files}
        gc.freeze()  # or every child would copy what its collector looks at
        self.reach = self.traced()
        slow = [name for name, seconds in self.reach.seconds.items() if seconds > SLOW]
        _say(f"{len(self.items)} tests, {len(slow)} of them too slow")
        for file in self.given.files:
            self.results += self.file(file)
        return True

    # -- which tests reach what

    def traced(self) -> Reach:
        """Every test once, by two processes, with the lines that it runs."""
        path = Path(self.given.reach) if self.given.reach else None
        if path and path.exists():
            return Reach(**json.loads(path.read_text()))
        by_file: dict[str, list[str]] = defaultdict(list)
        for name in self.items:
            by_file[name.partition("::")[0]].append(name)
        found = Reach()
        with tempfile.TemporaryDirectory() as folder:
            parts = [list(by_file.values())[k :: self.given.jobs] for k in range(self.given.jobs)]
            children = []
            for k, part in enumerate(parts):
                names = [name for file in part for name in file]
                child = os.fork()
                if not child:
                    _child(lambda k=k, names=names: self._trace(names, Path(folder) / str(k)))
                children.append(child)
            for child in children:
                os.waitpid(child, 0)
            for made in Path(folder).iterdir():
                one = json.loads(made.read_text())
                found.seconds |= one["seconds"]
                for file, lines in one["lines"].items():
                    mine = found.lines.setdefault(file, {})
                    for line, names in lines.items():
                        mine.setdefault(line, []).extend(names)
        if path:
            path.write_text(json.dumps({"seconds": found.seconds, "lines": found.lines}))
        return found

    def _trace(self, names: list[str], path: Path) -> None:
        import coverage

        tracer = coverage.Coverage(
            data_file=None, config_file=False, include=[f"{ROOT}/autograd/*", f"{ROOT}/nn/*"]
        )
        seconds = {}
        tracer.start()
        for name in names:
            start = time.perf_counter()
            tracer.switch_context(name)
            self.failed = False
            self.run([name])
            seconds[name] = 1e9 if self.failed else time.perf_counter() - start
        tracer.stop()
        data = tracer.get_data()
        lines = {
            str(Path(file).relative_to(ROOT)): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        path.write_text(json.dumps({"seconds": seconds, "lines": lines}))

    def run(self, names: list[str]) -> None:
        """Run tests in order until one fails; each starts with fixtures of its own."""
        for name in names:
            item = self.items[name]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                return

    def chosen(self, mutant: Mutant) -> list[str]:
        """The tests for a mutant: those of its file first, quick ones first, within the budget."""
        lines = self.reach.lines.get(mutant.file, {})
        names: dict[str, None] = {}
        for line in range(mutant.lines[0], mutant.lines[1] + 1):
            names |= dict.fromkeys(lines.get(str(line), []))
        if mutant.file in READERS:
            own = ("value", "transform", "define", "table", "compile")
            starts = tuple(f"tests/test_{name}.py" for name in own)
            names |= {name: None for name in self.items if name.startswith(starts)}
        seconds = self.reach.seconds
        known = [n for n in names if n in self.items and seconds.get(n, SLOW) < SLOW]
        own_file = (f"tests/test_{Path(mutant.file).stem}.py", mutant.file)
        known.sort(key=lambda n: (not n.startswith(own_file), seconds[n]))
        taken, total = [], 0.0
        for name in known:
            if total + seconds[name] <= self.given.budget:
                taken.append(name)
                total += seconds[name]
        return taken

    # -- the mutants

    def file(self, file: str) -> list[Mutant]:
        """All mutants of a file, with their fates."""
        start = time.perf_counter()
        swap = self.swaps[file]
        found = list(mutants(file))
        running: dict[int, tuple[Mutant, float]] = {}
        for mutant in found:
            name = f"{file} {mutant.name}"
            if self.known.get(name) == "killed":
                mutant.fate = "killed"
                continue
            if mutant.kind or time.perf_counter() - start > self.given.seconds:
                mutant.fate = mutant.kind or "not tried"
                continue
            names = self.chosen(mutant)
            if not names:
                mutant.fate = "unreached"
                continue
            while len(running) >= self.given.jobs:
                self._wait(running)
            # Seconds of a processor, after which the change is one that never ends.
            limit = 5.0 + 3.0 * sum(self.reach.seconds[n] for n in names)
            child = os.fork()
            if not child:
                _child(lambda m=mutant, n=names: self._try(swap, m, n), limit)
            running[child] = mutant, time.perf_counter() + 4 * limit
        while running:
            self._wait(running)
        self.known |= {f"{file} {m.name}": m.fate for m in found}
        if self.given.state:
            Path(self.given.state).write_text(json.dumps(self.known))
        _say(row(file, found) + f" {time.perf_counter() - start:.0f} s")
        for mutant in found:
            if mutant.fate in ("living", "unreached"):
                _say(
                    f"{file}:{mutant.lines[0]} {mutant.fate}\n    - {mutant.before.strip()}\n"
                    f"    + {mutant.after.strip()}"
                )
        return found

    def _try(self, swap: Swap, mutant: Mutant, names: list[str]) -> int:
        try:
            if not swap.apply(mutant.source):
                return 3
            if mutant.file in READERS:
                _read_again()
        except BaseException:
            return 1  # it cannot even be imported
        self.failed = False
        self.run(names)
        return int(self.failed)

    def _wait(self, running: dict[int, tuple[Mutant, float]]) -> None:
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child in running:
                mutant, _ = running.pop(child)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child, signal.SIGKILL)  # what it has started
                fates = {0: "living", 3: "same"}
                code = os.waitstatus_to_exitcode(status)
                mutant.fate = fates.get(code, "killed")
                return
            for late, (_, deadline) in running.items():
                if time.perf_counter() > deadline:
                    os.killpg(late, signal.SIGKILL)
            time.sleep(0.002)


def _child(work: Any, seconds: float = 0.0) -> None:
    """Do the work in this forked process and end it; never returns."""
    code: Any = 1
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        if seconds:
            limit = int(seconds) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        code = work()
    finally:
        os._exit(code or 0)


def _say(text: str) -> None:
    sys.__stdout__.write(text + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


HEAD = (
    "| file | mutants | text | assertions | the rest | killed | living | not reached | share |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def row(file: str, found: list[Mutant]) -> str:
    """A line of the table."""
    count = Counter(mutant.fate for mutant in found)
    tried = count["killed"] + count["living"] + count["unreached"]
    share = f"{100 * count['killed'] / tried:.1f} %" if tried else "-"
    left = f" ({count['not tried']} not tried)" if count["not tried"] else ""
    return (
        f"| `{file}` | {len(found)} | {count['text']} | {count['assertion']} | {tried} | "
        f"{count['killed']} | {count['living']} | {count['unreached']} | {share}{left} |"
    )


def files() -> list[str]:
    """The files that are not presentation."""
    paths = [*ROOT.glob("autograd/**/*.py"), *ROOT.glob("nn/**/*.py")]
    names = sorted(str(path.relative_to(ROOT)) for path in paths)
    return [name for name in names if name not in PRESENTATION]


def main(arguments: list[str]) -> None:
    """Print a line for each file, with the mutants that live below it, and then the sum."""
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("files", nargs="*", help="all but presentation if left out")
    parser.add_argument("--tests", nargs="*", default=[], help="test files (all)")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of tests for a mutant")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--reach", help="a file that keeps which test reaches which line")
    parser.add_argument("--state", help="a file that keeps what was killed, not to be tried again")
    given = parser.parse_args(arguments)
    if importlib.util.find_spec("mutmut") is None:
        parser.error("needs mutmut: pip install mutmut==3.8.1")
    given.files = given.files or files()
    runner = Runner(given)
    _say(HEAD)
    os.chdir(ROOT)
    pytest.main(["-q", "-s", "-p", "no:cacheprovider", *given.tests], plugins=[runner])
    _say("\n" + HEAD + "\n" + row("all", runner.results))


if __name__ == "__main__":
    main(sys.argv[1:])
