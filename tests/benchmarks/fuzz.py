"""Fuzzing: bytes that somebody else chose, given to whatever reads or shows them."""

import argparse
import functools
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import html5lib

import autograd.page
from autograd import ExpressionError, Value, draw, expression, play, scope, topological
from nn import FileFormatError, Layer

ATTACKS = Path(__file__).resolve().parents[1] / "attacks"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def of_expression(data: bytes) -> None:
    """A text is a Value over its names, or an ExpressionError with the place."""
    text = data.decode(errors="surrogateescape")
    try:
        found = expression(text, x=1.5)
    except ExpressionError:
        return
    assert isinstance(found, Value)
    assert len(topological(found)) <= len(text) + 1


def of_parameters(data: bytes) -> None:
    """A file is exactly a file of this model, or it is refused and the model is as it was."""
    model = Layer(1, 1, seed=0)
    before = model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        path.write_bytes(data)
        said = "model.json"
        try:
            model.load(path)
        except (FileFormatError, ValueError, TypeError) as error:
            said = str(error)
            assert model.state_dict() == before
        assert said.startswith("model.json")
        assert len(said) < 2000
        assert [*Path(folder).iterdir()] == [path]


def graph(label: str) -> Value:
    """A small graph with the text in every place where a user's text goes."""
    with scope(label.replace("/", "|") or "scope"):
        x = Value(2.0, label)
        y = x * x + 1.0
    y.label = label
    return (y * x).tanh()


def skeleton(label: str) -> tuple[str, str, list[str]]:
    """The structure of the DOT, Mermaid and HTML for a label, without any text."""
    root = graph(label)
    picture = draw(root, edges=True)
    dot = _QUOTED.sub('""', picture.source)
    mermaid = re.sub(r'"[^"]*"', '""', picture.mermaid())
    with mock.patch.object(autograd.page, "_picture", return_value=("", {})):
        text = play(root, {}).html()
    tree: Any = html5lib.parse(text, namespaceHTMLElements=False)
    tags = [f"{element.tag} {sorted(element.attrib)}" for element in tree.iter()]
    return dot, mermaid, tags


@functools.cache
def _harmless() -> tuple[str, str, list[str]]:
    return skeleton("name")


def of_labels(data: bytes) -> None:
    """A label, and a scope's name, change texts only: no node, attribute, tag or script."""
    found, wanted = skeleton(data.decode(errors="surrogateescape")), _harmless()
    assert found == wanted


TARGETS: dict[str, Callable[[bytes], None]] = {
    "expression": of_expression,
    "parameters": of_parameters,
    "labels": of_labels,
}


def corpus(target: str) -> list[bytes]:
    """The hostile inputs that are kept for a target."""
    if target == "parameters":
        return [path.read_bytes() for path in sorted((ATTACKS / "parameters").iterdir())]
    name = {"expression": "expressions", "labels": "labels"}[target]
    texts = json.loads((ATTACKS / f"{name}.json").read_text())
    return [text.encode(errors="surrogatepass") for text in texts]


def _fuzz(target: str, seconds: int) -> None:
    """Runs until the time is over; an exception of the target ends the process with status 77."""
    import atheris

    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as folder:
        for i, data in enumerate(corpus(target)):
            (Path(folder) / str(i)).write_bytes(data)
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=4096"]
        atheris.Setup([sys.argv[0], folder, *limits], TARGETS[target])
        atheris.Fuzz()


def main(arguments: list[str]) -> None:
    """Print how many inputs each target was given, and what broke it."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        parser.error("needs atheris: pip install 'chainrule[hardening]'")
    if given.inside:
        _fuzz(given.targets[0], given.seconds)
    print("| target | inputs | seconds | broken |\n|---|---|---|---|")
    for target in given.targets:
        command = [sys.executable, "-m", "tests.benchmarks", "fuzz", target, "--inside"]
        start = time.perf_counter()
        run = subprocess.run(
            [*command, "--seconds", str(given.seconds)], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - start
        runs = re.findall(r"^(?:#|Done )(\d+)", run.stderr, re.MULTILINE)
        count = max(map(int, runs), default=0)
        print(f"| {target} | {count:,} | {seconds:.0f} | {int(run.returncode != 0)} |", flush=True)
        if run.returncode:
            print(run.stderr[-3000:])
