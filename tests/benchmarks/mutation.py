"""Mutation testing: how many small changes to a file its tests notice; the others are listed.

The package mutmut makes the changes and runs the tests that reach each of them.  It does not
change the texts of the op table, which `autograd.faults` misreads in its own ways.  Two kinds of
change are counted apart, because no number can come out wrong by them: those of presentation (an
error's or a warning's text, `__repr__`, `__str__`), and those of the assertion `zip(strict=True)`.
"""

import argparse
import contextlib
import difflib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The tests of a file, where they are not in the test file of the same name.
TESTS = {
    "autograd/ops.py": ["table", "value", "define"],
    "autograd/rules.py": ["table", "define", "value"],
    "autograd/record.py": ["value", "table", "transform"],
    "autograd/value.py": ["value", "transform", "memory", "interruptions", "concurrency"],
    "autograd/transform.py": ["transform", "value", "concurrency"],
    "autograd/expressions.py": ["command_line", "attacks"],
    "autograd/files.py": ["module", "interruptions"],
    "autograd/paths.py": ["player"],
    "nn/activations.py": ["layers", "init"],
    "nn/metrics.py": ["training"],
    "nn/module.py": ["module", "layers"],
    "nn/probabilities.py": ["losses"],
    "nn/storage.py": ["module", "attacks"],
}
SETTINGS = """
[tool.mutmut]
paths_to_mutate = [{file}]
tests_dir = {tests}
# mutmut's own frames stand between a test and what it calls, so that a source line is another.
pytest_add_cli_args = ["-k", "not line and not frame and not process"]
also_copy = ["autograd", "nn", "tests", "README.md", "notebooks", "run.py"]
"""


def presentation(before: str, after: str, name: str) -> str:
    """'text' or 'assertion' for a change that no number can come out wrong by, else ''."""
    if any(part in name for part in ("__repr__", "__str__", "__format__")):
        return "text"
    if re.sub(r",?\s*strict=\w+|,\s*(?=\))", "", before) == re.sub(
        r",?\s*strict=\w+|,\s*(?=\))", "", after
    ):
        return "assertion"
    blank = r"XX|None|[\w\s.,:;(){}'\"!=%|<>/&*+-]"
    if re.search(r"\b(raise|warn)\b|Error\(|Warning", before):
        return "text"
    # A line of nothing but a string is a part of a message.
    if re.fullmatch(rf"\s*f?(\"({blank})*\"|'({blank})*')[,)]*", before):
        return "text"
    return ""


def _functions(text: str) -> dict[str, str]:
    """The functions of mutmut's file, by their names there."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"\s*(?:async )?def (\w+)\(", line):
            current = found.setdefault(match[1], [])
            line = line.replace(match[1], "_")
        current.append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def mutate(file: str, tests: list[str], seconds: float) -> tuple[dict[str, int], list[str]]:
    """Counts of what became of the mutants of a file, and the survivors as text."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.mkdir()
        for name in ("autograd", "nn", "tests", "notebooks"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("README.md", "run.py"):
            shutil.copy(ROOT / name, copy)
        for path in (copy / "tests").glob("test_*.py"):
            # Templates over a module's functions must not take mutants (x_...) for more of them.
            text = path.read_text()
            others = text.replace('.startswith("_")', '.startswith(("_", "x_"))')
            path.write_text(others)
        settings = SETTINGS.format(file=json.dumps(file), tests=json.dumps(tests))
        (copy / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)
        command = [sys.executable, "-m", "mutmut", "run"]
        # The tests must find the copy, not what is installed.
        environment = {**os.environ, "PYTHONPATH": "."}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                command, cwd=copy, env=environment, timeout=seconds, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        meta = json.loads((copy / "mutants" / f"{file}.meta").read_text())
        functions = _functions((copy / "mutants" / file).read_text())
    counts = dict.fromkeys(["killed", "survived", "text", "assertion", "not tried"], 0)
    survivors = []
    for key, code in meta["exit_code_by_key"].items():
        if code is None:
            counts["not tried"] += 1
        elif code not in (0, 5, 33):  # 5 and 33: no test reaches it
            counts["killed"] += 1
        else:
            name = key.rpartition(".")[2]
            original = functions[re.sub(r"\d+$", "orig", name)]
            before, after = [], []
            for line in difflib.ndiff(original.split("\n"), functions[name].split("\n")):
                before += [line[2:]] * line.startswith("- ")
                after += [line[2:]] * line.startswith("+ ")
            kind = presentation(" ".join(before), " ".join(after), name) or "survived"
            counts[kind] += 1
            if kind == "survived":
                changed = "\n".join(["    - " + b for b in before] + ["    + " + a for a in after])
                survivors.append(f"  {name}{' (no test reaches it)' * bool(code)}\n{changed}")
    return counts, survivors


def main(arguments: list[str]) -> None:
    """Print a line for each file, and then the mutants that live."""
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("files", nargs="*", default=sorted(TESTS))
    parser.add_argument("--tests", nargs="*", help="test files; by the file's name if left out")
    parser.add_argument("--seconds", type=float, default=1200.0, help="for each file")
    given = parser.parse_args(arguments)
    if importlib.util.find_spec("mutmut") is None:
        parser.error("needs mutmut: pip install 'chainrule[hardening]'")
    print("| file | mutants | killed | text | assertions | live | killed of the rest | not tried |")
    print("|---|---|---|---|---|---|---|---|")
    listed = []
    for file in given.files:
        named = TESTS.get(file, [Path(file).stem])
        tests = given.tests or [f"tests/test_{name}.py" for name in named]
        tests = [test for test in tests if (ROOT / test).exists()]
        counts, survivors = mutate(file, tests, given.seconds)
        tried = counts["killed"] + counts["survived"]
        share = f"{100 * counts['killed'] / tried:.1f} %" if tried else "-"
        print(
            f"| `{file}` | {sum(counts.values())} | {counts['killed']} | {counts['text']} "
            f"| {counts['assertion']} | {counts['survived']} | {share} | {counts['not tried']} |",
            flush=True,
        )
        listed += [f"{file}:", *survivors]
    print("\n" + "\n".join(listed))
