"""The tests of the engine in C, compiled with gcc's sanitizers of memory and of overflows."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# These would take minutes under a sanitizer, or start a process without it.
LEFT_OUT = "not in_python and not million and not deep and not interpreter and not does_not_fit"


def compiled(folder: Path) -> None:
    """Copy the packages and compile the extension there."""
    for name in ("autograd", "nn", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("eager.*.so"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    source = folder / "autograd" / "eager.c"
    target = source.with_name(f"eager{sysconfig.get_config_var('EXT_SUFFIX')}")
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags = ["-O1", "-g", "-fPIC", "-shared", "-ffp-contract=off", "-fno-omit-frame-pointer"]
    checksum = f"-DSOURCE={zlib.crc32(source.read_bytes())}u"
    python = f"-I{sysconfig.get_paths()['include']}"
    command = ["gcc", *flags, *checks, checksum, python, str(source), "-o", str(target)]
    subprocess.run(command, check=True)


def library(name: str) -> str:
    """The path of a library of gcc's."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def main(arguments: list[str]) -> None:
    """Run the tests of the engine, and those of the files that are given (test_value)."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compiled(folder)
        files = [f"tests/{name}.py" for name in ("test_eager", *(arguments or ["test_value"]))]
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONMALLOC": "malloc",  # so that each object is watched
            "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
            "ASAN_OPTIONS": "detect_leaks=0",  # Python leaves memory at its end
        }
        which = "from autograd import native; print(native.__file__, native.engine)"
        subprocess.run([sys.executable, "-c", which], cwd=folder, env=environment, check=True)
        options = ["-q", "-x", "-p", "no:cacheprovider", "-k", LEFT_OUT]
        run = [sys.executable, "-m", "pytest", *options, *files]
        sys.exit(subprocess.run(run, cwd=folder, env=environment, check=False).returncode)
