"""Files that are written whole or not at all."""

import errno
import os
import secrets
import shutil
from pathlib import Path


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file; if that is interrupted or fails, what was there before is there still.

    A temporary file in the same folder takes the name only when every byte is on the disk.  A
    new file is as public as the user's umask says, an old one stays as public as it was.

    Raises IsADirectoryError for a folder, FileNotFoundError for a file in a folder that is not
    there, and OSError as `open` does.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory; give a file name")
    if not target.parent.is_dir():
        text = f"there is no folder {target.parent}; make it with os.makedirs"
        raise FileNotFoundError(errno.ENOENT, text, str(target))
    # The name is known before the file exists, so that an interruption cannot leave it behind.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        # Created here and now, or an error: whoever put a link in its place gets nothing.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
