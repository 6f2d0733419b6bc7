"""The packages that the browser's Python gets, as one archive."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import graphviz

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
_OLDEST = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that the same sources give the same bytes
_KINDS = {".py", ".html", ".js", ".toml", ".txt", ".csv", ".json", ".gz"}


def packages() -> list[Path]:
    """The folders of the packages: the engine, what it needs, and the playground's own."""
    return [
        ROOT / "autograd",
        ROOT / "nn",
        Path(graphviz.__file__).parent,
        HERE / "playground" / "lab",
    ]


def files(package: Path) -> Iterator[tuple[str, Path]]:
    """(name in the archive, file) for all that a package consists of, in order."""
    for path in sorted(package.rglob("*")):
        if path.suffix in _KINDS and "__pycache__" not in path.parts:
            yield path.relative_to(package.parent).as_posix(), path


def write(target: Path) -> None:
    """Write the archive."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for package in packages():
            for name, path in files(package):
                info = zipfile.ZipInfo(name, _OLDEST)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())
