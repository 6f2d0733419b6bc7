"""The packages that the browser's Python gets, as one archive."""

import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OURS = (ROOT / "autograd", ROOT / "nn", HERE / "playground" / "lab")
THEIRS = ("graphviz", "latex2mathml", "markdown-it-py", "mdurl")  # distributions, all in Python
_OLDEST = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that the same sources give the same bytes
_KINDS = {".py", ".html", ".js", ".toml", ".txt", ".csv", ".json", ".gz"}


def files() -> Iterator[tuple[str, Path]]:
    """(name in the archive, file) for all that the packages consist of."""
    for package in OURS:
        for path in package.rglob("*"):
            if path.suffix in _KINDS and "__pycache__" not in path.parts:
                yield path.relative_to(package.parent).as_posix(), path
    for name in THEIRS:
        for part in distribution(name).files or ():
            if (part.suffix in _KINDS or part.name == "METADATA") and ".." not in part.parts:
                yield part.as_posix(), Path(str(part.locate()))


def write(target: Path) -> None:
    """Write the archive."""
    with zipfile.ZipFile(target, "w", compresslevel=9) as archive:
        for name, path in sorted(files()):
            info = zipfile.ZipInfo(name, _OLDEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
