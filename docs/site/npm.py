"""What the site takes from npm, at the versions and hashes in package-lock.json."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class MissingError(Exception):
    """Raised where the packages cannot be had; the message says why."""


def modules(folder: Path) -> Path:
    """The folder node_modules with the packages, installed into `folder` unless they are there.

    Raises MissingError without npm, and if it fails.
    """
    wanted = (HERE / "package-lock.json").read_bytes()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return folder / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode:
        raise MissingError(f"npm ci failed: {run.stderr.strip()[-500:]}")
    stamp.write_bytes(wanted)
    return folder / "node_modules"
