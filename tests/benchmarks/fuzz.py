"""Fuzzing: bytes that somebody else chose, given to whatever reads or shows them."""

import argparse
import functools
import gc
import hashlib
import importlib.util
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import html5lib
import numpy as np

import autograd.show.page
from autograd import ExpressionError, Value, draw, expression, play, scope, topological
from autograd.compiled import numpy_engine
from autograd.compiled.encoded import Batch, Encoded
from autograd.compiled.native.engine import NativeEngine
from autograd.compiled.numpy_engine import NumpyEngine
from autograd.compiled.program import Program
from autograd.show.page import Drawing
from nn import FileFormatError, Layer

ATTACKS = Path(__file__).resolve().parents[1] / "attacks"
LIMIT = 4096  # bytes of an input
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
    with scope(label.replace("/", "|").replace("\x1f", "|") or "scope"):
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
    with mock.patch.object(autograd.show.page, "drawing", return_value=Drawing()):
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


_HEAD = b"chainrule program\n"
_EDGE = 64  # numbers before and behind the memory of native code, which it must leave alone


def signed(body: bytes) -> bytes:
    """The bytes of a program with that content, and a hash that is right."""
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + body


class _Inside(np.ndarray):
    """An array that is not read from its end: a negative index is none that was meant."""

    def __getitem__(self, index: Any) -> Any:
        _meant(index, len(self))
        return np.asarray(super().__getitem__(index))  # a part may be read as one likes

    def __setitem__(self, index: Any, value: Any) -> None:
        _meant(index, len(self))
        super().__setitem__(index, value)


def _meant(index: Any, size: int) -> None:
    if isinstance(index, slice):
        assert 0 <= (index.start or 0) <= size
        assert index.stop is None or 0 <= index.stop <= size
    else:
        assert (np.asarray(index) >= 0).all()


def _strided(memory: Any, start: int, sizes: list[int], strides: list[int]) -> Any:
    """As the engine's view of its memory, which NumPy itself does not check."""
    reach = [(size - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
    assert start + sum(min(0, one) for one in reach) >= 0
    assert start + sum(max(0, one) for one in reach) < len(memory)
    return _VIEW(np.asarray(memory), start, sizes, strides)


_VIEW = numpy_engine._view


def _runs(program: Program) -> None:
    """Run a program on both engines, on one sample and on some, and see where it writes."""
    tape = program.tape
    count = tape.parameters
    program.evaluate([0.5] * count, [1.0] * tape.inputs)
    for block, samples in ((1, 1), (8, 5)):
        batch = _batch(program, samples)
        code = Encoded(program, block)
        memory, grad = (np.full(code.size + 2 * _EDGE, np.pi) for _ in range(2))
        inner = [array[_EDGE:-_EDGE].view(_Inside) for array in (memory, grad)]
        inner[0][: code.shared] = 1.0
        inner[0][: len(tape.constants)] = tape.constants
        with mock.patch.object(numpy_engine, "_view", _strided):
            NumpyEngine(program).sweep(code, inner[0], inner[1], batch)
        machine = NativeEngine(program)
        loaded, (numbers,), _ = machine.memory(samples)
        native = np.full(len(numbers) + 2 * _EDGE, np.pi)
        native[_EDGE:-_EDGE] = numbers
        machine.run((loaded, [native[_EDGE:-_EDGE]], {}), batch)
        for array in (memory, grad, native):
            assert (array[:_EDGE] == np.pi).all()
            assert (array[-_EDGE:] == np.pi).all()


def _batch(program: Program, samples: int) -> Batch:
    """So many samples for a program, with gradients."""
    tape = program.tape
    count = tape.parameters
    x = np.linspace(-1.0, 3.0, samples * tape.inputs).reshape(samples, tape.inputs)
    where = np.array([[len(tape.constants), 0, count]] * bool(count)).reshape(-1, 3)
    out = np.empty((samples, len(tape.outputs)))
    return Batch(
        numbers=np.full(count, 0.5), where=where.astype(np.int64), x=x,
        seeds=np.ones(out.shape[1]), out=out, status=np.empty(samples, dtype=np.int64),
        back=np.empty(x.shape), gradients=np.empty(count), differentiate=True,
    )  # fmt: skip


def _of_program(data: bytes) -> None:
    said = ""
    try:
        program = Program.from_bytes(data, "p")
    except ValueError as error:
        said = str(error)
    if said:
        assert said.startswith("p is ")
        assert len(said) < 2000
        return
    assert program.size <= 100 * len(data)
    again = Program.from_bytes(program.to_bytes())
    assert (again.digest, str(again)) == (program.digest, str(program))
    _runs(program)


@functools.cache
def _programs() -> list[dict[str, Any]]:
    """The arrays of the valid programs that are kept."""
    made = []
    for path in sorted((ATTACKS / "programs").glob("good-*")):
        with np.load(io.BytesIO(path.read_bytes()[len(_HEAD) + 64 :])) as stored:
            made.append({name: stored[name] for name in stored.files})
    return made


_NUMBERS = [-(1 << 40), -5, -4, -3, -2, 64, 1 << 20, 1 << 40, (1 << 63) - 1]


def tampered(data: bytes) -> bytes:
    """A valid program with changes: three bytes each for the field, the place and the number."""
    start = {name: array.copy() for name, array in _programs()[data[0] % len(_programs())].items()}
    names = sorted(start)
    for i in range(1, len(data) - 2, 3):
        name, place, number = names[data[i] % len(names)], data[i + 1], data[i + 2]
        array = start[name]
        if data[i] >= 240:
            start[name] = np.resize(array, (number % 16, *array.shape[1:]))
        elif array.size:
            value = _NUMBERS[number - 247] if number >= 247 else number - 1
            with np.errstate(all="ignore"):
                array.reshape(-1)[place % array.size] = np.array(value).astype(array.dtype)
    buffer = io.BytesIO()
    np.savez(buffer, **start)
    return signed(buffer.getvalue())


def of_programs(data: bytes) -> None:
    """Bytes are a program that runs inside its memory, or they are refused; nothing is executed.

    A wrong hash, or a wrong checksum of a part, would hide what lies behind it: both are put right
    for a second reading.  What does not begin as a program says how to change one.
    """
    _of_program(data)
    if not data.startswith(_HEAD):
        _of_program(tampered(data or b"\0"))
        return
    with mock.patch.object(zipfile.ZipExtFile, "_update_crc", return_value=None):
        _of_program(signed(data[len(_HEAD) + 64 :]))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "expression": of_expression,
    "parameters": of_parameters,
    "labels": of_labels,
    "programs": of_programs,
}


def corpus(target: str) -> list[bytes]:
    """The hostile inputs that are kept for a target."""
    if target in ("parameters", "programs"):
        return [path.read_bytes() for path in sorted((ATTACKS / target).iterdir())]
    name = {"expression": "expressions", "labels": "labels"}[target]
    texts = json.loads((ATTACKS / f"{name}.json").read_text())
    return [text.encode(errors="surrogatepass") for text in texts]


# Whose branches guide the fuzzer.  NumPy has more functions than there is time for.
_WATCHED = {"ast", "autograd", "json", "nn", "re", "tokenize", "zipfile"}


def _fuzz(target: str, seconds: int) -> None:
    """Runs until the time is over; an exception of the target ends the process with status 77."""
    import atheris

    for data in corpus(target):
        TARGETS[target](data)  # imports, and has compiled what it could not read afterwards
    for function in [one for one in gc.get_objects() if isinstance(one, types.FunctionType)]:
        if str(function.__module__).partition(".")[0] in _WATCHED:
            atheris.instrument_func(function)
    with tempfile.TemporaryDirectory() as folder:
        for i, data in enumerate(corpus(target)):
            (Path(folder) / str(i)).write_bytes(data)
        limits = [f"-max_total_time={seconds}", "-timeout=10", f"-max_len={LIMIT}"]
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
        parser.error("needs atheris: pip install atheris")
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
