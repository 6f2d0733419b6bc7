"""Sets up `.venv` beside this file and runs demo, tests or docs, with nothing but Python."""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
EXTRAS = {"demo": "viz,plot,progress", "test": "test", "docs": "docs"}


def call(*command: object) -> None:
    """Run a command in the project's folder; if it fails, end with its exit status."""
    parts = [str(part) for part in command]
    status = subprocess.run(parts, cwd=HERE, check=False).returncode  # noqa: S603 - ours
    if status:
        sys.exit(status)


def installed(extras: str) -> bool:
    """Whether `.venv` holds the extras for this Python and this pyproject.toml."""
    stamp = VENV / f"installed-{extras.replace(',', '-')}"
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == fingerprint()


def fingerprint() -> str:
    """What an installation depends on."""
    text = sys.version.encode() + (HERE / "pyproject.toml").read_bytes()
    return hashlib.sha256(text).hexdigest()


def install(extras: str) -> None:
    """Make `.venv` if it is not there and install the project into it, with uv if there is one."""
    uv = shutil.which("uv")
    print(f"setting up .venv with {'uv' if uv else 'pip'} (once) ...", flush=True)
    if not PYTHON.exists():
        if uv:
            call(uv, "venv", "--quiet", "--python", sys.executable, VENV)
        elif importlib.util.find_spec("ensurepip") is None:
            sys.exit("Python's venv is missing: apt install python3-venv (on Debian and Ubuntu)")
        else:
            call(sys.executable, "-m", "venv", VENV)
    target = f"{HERE}[{extras}]"
    if uv:
        call(uv, "pip", "install", "--quiet", "--python", PYTHON, "-e", target)
    else:
        quiet = ["--quiet", "--disable-pip-version-check"]
        call(PYTHON, "-m", "pip", "install", *quiet, "-e", target)
    (VENV / f"installed-{extras.replace(',', '-')}").write_text(fingerprint())


def main() -> None:
    """Read the command line and do as it says."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before pyproject.toml is read
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument("command", choices=list(EXTRAS))
    command = parser.parse_args().command
    if not installed(EXTRAS[command]):
        install(EXTRAS[command])
    if command == "demo":
        call(PYTHON, "-m", "autograd", "demo", HERE / "out")
    elif command == "docs":
        folder = HERE / "out" / "docs"
        call(PYTHON, HERE / "docs" / "make.py", folder)
        print(folder / "index.html")
    else:
        call(PYTHON, "-m", "ruff", "check", ".")
        call(PYTHON, "-m", "ruff", "format", "--check", ".")
        call(PYTHON, "-m", "mypy")
        parallel = ["-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
        call(PYTHON, "-m", "pytest", "-q", *parallel, "--cov")


if __name__ == "__main__":
    main()
