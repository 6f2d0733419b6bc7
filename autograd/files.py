"""Files are written whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where an open file cannot be removed or renamed
    fcntl = None  # type: ignore[assignment]

_LEFTOVER_AGE = 60.0  # seconds; where files cannot be locked, an older one is a leftover


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file; if the write fails or is interrupted, the old file stays as it was.

    The data goes to a temporary file in the same folder, which takes the name once every byte is on
    the disk.  A new file has the permissions of the user's umask; a replaced one keeps its own.  A
    process that is killed leaves its temporary file behind; the next write removes it.

    Raises IsADirectoryError for a folder, FileNotFoundError if the file's folder does not exist,
    and OSError like `open`.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory; give a file name")
    if not target.parent.is_dir():
        text = f"the folder {target.parent} does not exist; create it with os.makedirs"
        raise FileNotFoundError(errno.ENOENT, text, str(target))
    remove_leftovers(target)
    while not _written(target, data):
        pass  # before it was locked, another process removed the temporary file as a leftover


def _written(target: Path, data: bytes) -> bool:
    # The name is known before the file exists, so that an interruption cannot leave it behind.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        # "x" fails if the name exists, so no data goes through a link that somebody planted.
        with temporary.open("xb") as file:
            _lock(file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                return _renamed(temporary, target)  # while it is locked
        return _renamed(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _renamed(temporary: Path, target: Path) -> bool:
    """Whether the temporary file still existed and took the target's name."""
    try:
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except FileNotFoundError:
        return False
    return True


def _lock(file: int) -> None:
    """Lock a file until it is closed; where files cannot be locked, do nothing."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove temporary files of this file that killed processes left behind.

    Those of processes that are writing now are locked, and stay.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     left = Path(folder, ".run.0123456789abcdef")
    ...     left.touch()
    ...     remove_leftovers(Path(folder, "run"))
    ...     left.exists()
    False
    """
    target = Path(path)
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}")
    with contextlib.suppress(OSError):  # `write` reports what is wrong with the folder
        for entry in os.listdir(target.parent):
            if name.fullmatch(entry):
                _remove_if_left(target.with_name(entry))


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):  # in use, gone, or another user's
        if fcntl is None:
            if time.time() - path.stat().st_mtime > _LEFTOVER_AGE:
                path.unlink()
            return
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(file)
