"""Files that are written whole or not at all."""

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
except ModuleNotFoundError:  # Windows, which removes and renames no file that is open
    fcntl = None  # type: ignore[assignment]

_OLD = 60.0  # seconds after which a closed file that nobody could lock is a leftover


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file; if that is interrupted or fails, what was there before is there still.

    A temporary file in the same folder takes the name only when every byte is on the disk.  A
    new file is as public as the user's umask says, an old one stays as public as it was.  A process
    that is killed meanwhile leaves its temporary file; the next one that writes removes it.

    Raises IsADirectoryError for a folder, FileNotFoundError for a file in a folder that is not
    there, and OSError as `open` does.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory; give a file name")
    if not target.parent.is_dir():
        text = f"there is no folder {target.parent}; make it with os.makedirs"
        raise FileNotFoundError(errno.ENOENT, text, str(target))
    remove_leftovers(target)
    while not _written(target, data):
        pass  # another process took the file for a leftover before it could be locked


def _written(target: Path, data: bytes) -> bool:
    # The name is known before the file exists, so that an interruption cannot leave it behind.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        # Created here and now, or an error: whoever put a link in its place gets nothing.
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
    """Whether the file was still there."""
    try:
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except FileNotFoundError:
        return False
    return True


def _lock(file: int) -> None:
    """Hold an open file, as long as it is open; where files cannot be locked, do nothing."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that processes left which were killed while they wrote this file.

    Those of other processes that are writing now are locked, and stay.

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
    with contextlib.suppress(OSError):  # `write` says what is wrong with the folder
        for entry in os.listdir(target.parent):
            if name.fullmatch(entry):
                _remove_if_left(target.with_name(entry))


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):  # in use, gone, or another user's
        if fcntl is None:
            if time.time() - path.stat().st_mtime > _OLD:
                path.unlink()
            return
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(file)
