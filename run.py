"""Creates `.venv` next to this file, then runs the demo or tests, or builds the docs or site."""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
COMMANDS = ("demo", "test", "docs", "site")


def call(*command: object) -> None:
    """Run a command in the project's folder; if it fails, end with its exit status."""
    together(command)


def together(*commands: Sequence[object]) -> None:
    """Run commands at the same time; when all are done, end with the status of one that failed."""
    lists = [[str(part) for part in command] for command in commands]
    running = [subprocess.Popen(parts, cwd=HERE) for parts in lists]  # noqa: S603 - ours
    if status := max(abs(one.wait()) for one in running):
        sys.exit(status)


def requirements(group: str) -> list[str]:
    """What a dependency group of pyproject.toml asks for, with this checkout as `chainrule`.

    Read here, because the pip of a new environment may be too old to know groups.
    """
    import tomllib

    groups = tomllib.loads((HERE / "pyproject.toml").read_text())["dependency-groups"]
    texts: list[str] = []
    for entry in groups[group]:
        if isinstance(entry, dict):
            texts += requirements(entry["include-group"])
        else:
            texts.append(entry)
    return texts


def stamp(group: str) -> Path:
    """The file that says for which Python and which files the group was installed."""
    return VENV / f"installed-{group}"


def installed(group: str) -> bool:
    """Whether `.venv` holds the group for this Python and these files."""
    return PYTHON.exists() and stamp(group).exists() and stamp(group).read_text() == fingerprint()


def fingerprint() -> str:
    """What an installation depends on: Python, the requirements, and what is compiled."""
    files = (HERE / "pyproject.toml", HERE / "autograd" / "eager.c")
    text = sys.version.encode() + b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(text).hexdigest()


def install(group: str) -> None:
    """Make `.venv` if it is not there and install a group into it, with uv if there is one."""
    uv = shutil.which("uv")
    print(f"setting up .venv with {'uv' if uv else 'pip'} (once) ...", flush=True)
    if not PYTHON.exists():
        if uv:
            call(uv, "venv", "--quiet", "--python", sys.executable, VENV)
        elif importlib.util.find_spec("ensurepip") is None:
            sys.exit("Python's venv is missing: apt install python3-venv (on Debian and Ubuntu)")
        else:
            call(sys.executable, "-m", "venv", VENV)
    ours = [text for text in requirements(group) if text.startswith("chainrule")]
    others = [text for text in requirements(group) if not text.startswith("chainrule")]
    targets = [f"-e{HERE}{text.removeprefix('chainrule')}" for text in ours]
    if uv:
        call(uv, "pip", "install", "--quiet", "--python", PYTHON, *targets, *others)
    else:
        quiet = ["--quiet", "--disable-pip-version-check"]
        call(PYTHON, "-m", "pip", "install", *quiet, *targets, *others)
    call(PYTHON, "-m", "autograd", "--version")  # says whether the engine was compiled
    stamp(group).write_text(fingerprint())


def main() -> None:
    """Read the command line and do as it says."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before pyproject.toml is read
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--bridges", action="store_true", help="test: PyTorch, too (gigabytes)")
    parser.add_argument("--quick", action="store_true", help="test: only what takes half a minute")
    parser.add_argument("--pyodide", type=Path, help="site: a folder with Pyodide's packages")
    options = parser.parse_args()
    command = options.command
    for group in [command, "bridges"] if options.bridges else [command]:
        if not installed(group):
            install(group)
    if command == "demo":
        call(PYTHON, "-m", "autograd", "demo", HERE / "out")
    elif command == "docs":
        folder = HERE / "out" / "docs"
        call(PYTHON, HERE / "docs" / "make.py", folder)
        print(folder / "docs" / "index.html")
    elif command == "site":
        more = ["--pyodide", options.pyodide.resolve()] if options.pyodide else []
        call(PYTHON, HERE / "docs" / "site" / "assemble.py", HERE / "out" / "site", *more)
    else:
        # Tests start hundreds of processes, each of which would compile the packages again.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        call(PYTHON, "-m", "ruff", "check", ".")
        call(PYTHON, "-m", "ruff", "format", "--check", ".")
        parallel = ["-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
        if options.quick:
            call(PYTHON, "-m", "pytest", "-q", *parallel, "-m", "quick")
        else:
            # Without PyTorch, its bridge is not covered.
            whole = [] if installed("bridges") else ["--cov-fail-under=0"]
            # mypy uses one core, and no test waits for it.
            tests = [PYTHON, "-m", "pytest", "-q", *parallel, "--cov", *whole]
            together(tests, [PYTHON, "-m", "mypy"])


if __name__ == "__main__":
    main()
