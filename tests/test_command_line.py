"""The command line and the language of its expressions, as people and attackers type them."""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd
from autograd import ExpressionError, Value, expression, rows
from autograd.__main__ import main, tex
from autograd.printers.latex import latex

NEURON = ["tanh(w*x + b)", "w=2", "x=-1", "b=0.5"]


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3 - 4 / 8",
        "2 ** 3 ** 2",
        "-2 ** 2",
        "2 ** -1",
        "--3 + +2",
        "-(1 + 2) * 3",
        "(1 - 2) - 3",
        "1e3 * .5",
        "3.",
        "7 - -7 / -2",
    ],
)
def test_numbers_come_out_as_in_python(text: str) -> None:
    wanted = float(eval(text))
    assert expression(text).data == pytest.approx(wanted)
    named = re.sub(r"(?<![\d.e])3(?![\d.])", "x", text)
    if "x" in named:
        assert expression(named, x=3).data == pytest.approx(wanted)


@pytest.mark.parametrize("name", list(rows()))
def test_every_operation_can_be_called(name: str) -> None:
    op = rows()[name]
    numbers = {"a": 0.4, "b": 0.7} if op.arity == 2 else {"a": 0.4}
    found = expression(f"{name}({', '.join(numbers)})", numbers)
    assert found.op is op


def test_signs_as_they_are_printed_in_books_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    minus, times = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
    assert expression(f"{minus}x {times} 2 {minus} 1", x=3.0).data == -7.0
    assert main(["grad", f"2 {times} x", f"x={minus}3"]) == 0
    assert "value  -6.0" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out.split(",")[0]
    assert (
        shown == f"chainrule {autograd.__version__}" == f"chainrule {metadata.version('chainrule')}"
    )


def test_parts_are_named_and_used_again() -> None:
    loss = expression("h = tanh(w*x); e = h - 1; e * e + h", w=1, x=0.5)
    labels = {node.label for node in [loss, *loss.parents]}
    assert "h" in labels
    loss.backward()
    h = math.tanh(0.5)
    assert loss.data == pytest.approx((h - 1) ** 2 + h)


BAD = [
    ("", "expected a number, a name or"),
    ("   ", "got the end"),
    ("x.real", "got '.'"),
    ("__import__('os')", "unknown function '__import__'"),
    ("().__class__", "expected a number, a name or '('"),
    ("x if x > 0 else 1", "expected an operator"),
    ("lambda: 1", "lambda has no value"),
    ("[1]", "got '['"),
    ("x[0]", "got '['"),
    ("q = 1 = 2", "expected an operator"),
    ("tanh", "tanh is a function: write tanh"),
    ("tahn(x)", "did you mean 't"),
    ("tanh(x, x)", "tanh takes 1 operand"),
    ("hypot(x)", "hypot takes 2 operand"),
    ("leaky_relu()", "leaky_relu takes 1 or 2 operand"),
    ("tanh(x", "expected ',' or ')'"),
    ("(x", "expected ')'"),
    ("x +", "got the end"),
    ("x y", "expected an operator"),
    ("1 2", "expected an operator"),
    ("x; x = 2; x", "x has a value already"),
    ("zz * x", "zz has no value"),
    ("1e", "a product needs its *: write 1*e"),
    ("x^2", "a power is written **, as in x**2"),
    ("(1 + x^2)", "a power is written **"),
    ("x\N{SUPERSCRIPT TWO}", "a power is written **"),
    ("2x", "a product needs its *: write 2*x"),
    ("tanh(2x)", "a product needs its *: write 2*x"),
    ("2(x + 1)", "a product needs its *: write 2*("),
    ("ln(x)", "unknown function 'ln'; write log(...)"),
    ("arctan(x)", "unknown function 'arctan'; write atan(...)"),
    ("x ** ** 2", "got '**'"),
    ("'text'", 'got "\'"'),
    ("x\x00", "expected an operator"),
    ("(" * 100_000, "longer than 20000"),
    ("(" * 5000 + "x" + ")" * 5000, "nested more than 100 deep"),
    ("-" * 5000 + "(" * 5000, "nested more than 100 deep"),
    ("x**" * 5000 + "x", "nested more than 100 deep"),
    ("tanh(" * 3000 + "x", "nested more than 100 deep"),
    ("x" * 3_000_000, "longer than 20000"),
    ("9**9**9", "9 ** 3.8742e+08 is too large for a float"),
    ("x ** 9 ** 9 ** 9", "9 ** 3.8742e+08 is too large for a float"),
    ("(0 - 9) ** 9**9", "-9 ** 3.8742e+08 is too large for a float"),
    ("x + 1e999", "1e999 is too large for a float"),
]


@pytest.mark.parametrize(("text", "why"), BAD, ids=[text[:20] for text, _ in BAD])
def test_what_is_no_expression_is_refused_with_the_place(text: str, why: str) -> None:
    with pytest.raises(ExpressionError) as failed:
        expression(text, x=1.0)
    assert why in str(failed.value)
    first, *rest = str(failed.value).split("\n")
    assert len(first) < 120
    if text:
        excerpt, caret = rest
        assert caret.strip() == "^"
        assert len(excerpt) <= 64


def test_values_without_use_and_powers_without_end() -> None:
    with pytest.raises(ExpressionError, match="y has a value, but"):
        expression("x", x=1, y=2)
    assert expression("x ** 9 ** 9", x=2).data == math.inf
    assert expression("0 ** -1").data == math.inf
    assert expression("(-8) ** (1/3)").data != expression("(-8) ** (1/3)").data
    assert expression("1 / 0").data == math.inf


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="xy0123.e+-*/()=;, tanhlogé_\n\t", max_size=60))
def test_any_text_is_a_value_or_an_expression_error(text: str) -> None:
    try:
        found = expression(text, x=1.0)
    except ExpressionError:
        return
    assert isinstance(found, Value)


def test_names_may_be_of_any_script() -> None:
    assert expression("β * größe", {"β": 2, "größe": 3}).data == 6.0


# ---------------------------------------------------------------------- commands


def run(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def test_grad_tells_value_gradients_and_verdict(capsys: Any) -> None:
    status, out, err = run(capsys, "grad", *NEURON)
    assert (status, err) == (0, "")
    y = math.tanh(-1.5)
    assert f"value  {y!r}" in out
    assert "check  pass" in out
    status, out, _ = run(capsys, "grad", *NEURON, "--json")
    found = json.loads(out)
    assert found["gradients"]["w"] == pytest.approx(-(1 - y * y))
    assert found["check"] == "pass"
    status, out, _ = run(capsys, "grad", *NEURON, "--steps")
    assert "dL/dw += dL/dv1 * x" in out


def test_an_expression_may_start_with_a_sign(capsys: Any) -> None:
    status, out, _ = run(capsys, "grad", "-x**2", "x=-3")
    assert status == 0
    assert "value  -9.0" in out


def test_check_ends_with_status_1_for_a_wrong_gradient(capsys: Any) -> None:
    from autograd.faults import misread, planted

    assert run(capsys, "check", *NEURON, "--order", "2")[0] == 0
    with planted(misread("tanh", "x", "1 - x * x")):
        status, out, _ = run(capsys, "check", *NEURON)
    assert status == 1
    assert "dz/dx of tanh" in out


def test_play_without_a_terminal_prints_everything(capsys: Any) -> None:
    status, out, _ = run(capsys, "play", *NEURON)
    assert status == 0
    assert out.startswith("forward")


@pytest.mark.parametrize("ending", ["svg", "dot", "mmd", "png"])
def test_draw_writes_a_file_and_spares_those_of_another_kind(
    ending: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / f"graph.{ending}"
    assert run(capsys, "draw", *NEURON, "-o", str(path))[0] == 0
    assert run(capsys, "draw", *NEURON, "-o", str(path))[0] == 0
    path.write_text("my only copy")
    status, out, err = run(capsys, "draw", *NEURON, "-o", str(path))
    assert (status, out) == (2, "")
    assert "--force overwrites it" in err
    assert path.read_text() == "my only copy"
    assert run(capsys, "draw", *NEURON, "-o", str(path), "--force")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["grad", "x", "x=one"], "x: expected a number, got 'one'"),
        (["grad", "x", "x"], "expected a value such as w=2"),
        (["grad", "x", "x=1", "x=2"], "x is given twice"),
        (["grad", "x +", "x=1"], "got the end"),
        (["check", "1 + 1"], "without names"),
        (["draw", "x", "x=1", "-o", "graph.txt"], "expected a name that ends in .svg"),
        (["draw", "x", "x=1", "-o", "."], "expected a name that ends in"),
        (
            ["draw", "x", "x=1", "-o", "no/such/folder/graph.svg"],
            "the folder no/such/folder does not exist",
        ),
        (["play", "x", "x=1", "-o", "no/such/player.html"], "the folder no/such does not exist"),
        (["draw", "x", "x=1", "-o", "folder.svg"], "folder.svg is a folder"),
        (["draw", "x", "x=1", "-o", "graph.pdf"], "PDF needs svg2pdf-py: pip install"),
        (["draw", "x" + " + x" * 400, "x=1", "-o", "graph.svg"], "nodes and this graph has 401"),
        (["grad", "9**9**9"], "too large for a float"),
    ],
)
def test_refusals_are_one_line_on_stderr_and_status_2(
    arguments: list[str], why: str, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "svg2pdf_py", None)
    (tmp_path / "folder.svg").mkdir()
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert why in err
    assert "Traceback" not in err


def test_numbers_alone_have_a_value_and_no_gradient(capsys: Any) -> None:
    assert run(capsys, "grad", "2 + 3") == (0, "value  5.0\n", "")


def test_play_writes_a_page(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "player.html"
    assert run(capsys, "play", *NEURON, "-o", str(path)) == (0, f"{path}\n", "")
    assert path.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(28, "No space left on device", "graph.svg"), 2, "No space left on device: graph"),
        (KeyboardInterrupt(), 130, ""),
        (ExpressionError("bad"), 2, "chainrule: bad"),
    ],
)
def test_what_goes_wrong_underneath_is_one_line(
    error: BaseException, status: int, said: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("autograd.__main__.expression", fails)
    found, out, err = run(capsys, "grad", "x", "x=1")
    assert (found, out) == (status, "")
    assert said in err


def test_a_reader_that_leaves_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Any] = []

    def gone() -> None:
        if not moved:
            raise BrokenPipeError

    monkeypatch.setattr(sys.stdout, "flush", gone)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.setattr(os, "dup2", lambda *handles: moved.append(handles))
    assert main(["ops"]) == 0
    assert [to for _, to in moved] == [1]


def test_a_note_tells_of_numbers_that_went_bad(capsys: Any) -> None:
    status, out, err = run(capsys, "grad", "log(x)", "x=0")
    assert status == 0
    assert "value  -inf" in out
    assert "note:" in err
    noted = run(capsys, "grad", "x ** 9 ** 9", "x=2")[2].splitlines()
    assert len(noted) == len(set(noted)) == 1
    assert noted[0].startswith("chainrule: note: backward: pow(x, y) = inf at x = 2.0")


def test_grad_leaves_out_a_check_that_would_take_long(capsys: Any) -> None:
    names = [f"a{i}" for i in range(400)]
    status, out, _ = run(capsys, "grad", "*".join(names), *(f"{name}=1" for name in names))
    assert status == 0
    assert "dL/da399  1.0" in out
    assert "check  left out for 400 names; `chainrule check` takes longer" in out


def test_the_table_prints_in_all_forms(capsys: Any) -> None:
    for option in ([], ["--markdown"], ["--latex"]):
        status, out, _ = run(capsys, "ops", *option)
        assert status == 0
        assert all(op.name.replace("_", r"\_") in out or op.name in out for op in rows().values())
    assert tex().count("{") == tex().count("}")
    assert tex().count(r"\left") == tex().count(r"\right")


@pytest.mark.parametrize("name", list(rows()))
def test_every_row_prints_as_latex(name: str) -> None:
    for text in (*rows()[name].texts, *rows()[name].textbook):
        printed = latex(text)
        assert printed.count("{") == printed.count("}")
        assert "**" not in printed


def test_latex_keeps_the_meaning() -> None:
    assert latex("x - (y - z)") == r"x - \left(y - z\right)"
    assert latex("(x + y) * z") == r"\left(x + y\right) \, z"
    assert latex("(-x) ** y") == r"\left(-x\right)^{y}"
    assert latex("(x * y) ** z") == r"\left(x \, y\right)^{z}"
    assert latex("-(x + y)") == r"-\left(x + y\right)"
    assert latex("1e-3 * x") == r"0.001 \, x"
    assert "cases" in latex("x if x > 0 else -x if x < -1 else 0.0")


def test_help_has_examples_and_a_closed_pipe_is_no_error() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "autograd"]
    helped = subprocess.run(
        [*command, "grad", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    assert 'example: chainrule grad "tanh(w*x + b)"' in helped.stdout
    piped = subprocess.Popen(
        [*command, "ops"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.close()
    assert piped.stderr.read() == b""
    piped.stderr.close()
    assert piped.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
class Screen:
    """Standard input and output of a terminal that is none."""

    def __init__(self, typed: bytes) -> None:
        self.typed = typed

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        read, write = os.pipe()
        os.write(write, self.typed)
        os.close(write)
        self.fileno = lambda: read  # type: ignore[method-assign]
        return read


@pytest.mark.parametrize(
    ("typed", "event"),
    [(b"", 1), (b"n", 2), (b"nnb", 2), (b"lq", 8), (b"lf", 1), (b"r", 7), (b"qn", 1), (b"?", 1)],
)
def test_every_key_has_its_place(
    typed: bytes, event: int, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograd.show import terminal

    monkeypatch.setattr(sys, "stdin", Screen(typed))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(terminal, "_raw", contextlib.nullcontext)
    assert main(["play", "x * x + x", "x=3"]) == 0
    shown = re.findall(r"event (\d+) of \d+", capsys.readouterr().out)
    assert shown[-1] == str(event)


def test_keys_step_through_the_events_in_a_terminal() -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:  # the child, at a terminal
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "autograd", "play", *NEURON])
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            seen += os.read(terminal, 4096)
        seen = b""

    until(b"event 1 of 12")
    os.write(terminal, b"n")
    until(b"event 2 of 12")
    os.write(terminal, b"\x1b[D")
    until(b"event 1 of 12")
    os.write(terminal, b"l")
    until(b"event 12 of 12")
    os.write(terminal, b"f")
    until(b"event 1 of 12")
    os.write(terminal, b"nn\x1b[C\x1bOB")  # keys typed faster than they are read
    until(b"event 5 of 12")
    os.write(terminal, b"\x1b[F")
    until(b"event 12 of 12")
    os.write(terminal, b"q")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


def test_many_powers_beside_each_other_are_not_deep() -> None:
    text = " + ".join(["x ** 2"] * 500)
    assert expression(text, x=3).data == 4500.0
    text = "+".join(["-(-x)"] * 500)
    assert expression(text, x=3).data == 1500.0


def test_an_error_shows_the_text_around_the_place_and_a_caret_below_it() -> None:
    with pytest.raises(ExpressionError) as caught:
        expression("a" * 40 + " + \t $ + " + "b" * 40, {"a" * 40: 1.0, "b" * 40: 2.0})
    lines = str(caught.value).split("\n")
    assert lines[1] == "  " + "a" * 25 + " +   $ + " + "b" * 26
    assert lines[2] == "  " + " " * 30 + "^"
    error = ExpressionError("why")
    assert (error.where, str(error)) == ("", "why")
