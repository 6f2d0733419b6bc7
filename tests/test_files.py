"""Files are written whole, with the rights that they had, and nothing is left beside them."""

import os
import re
from pathlib import Path

import pytest

from autograd import files


def test_a_file_is_replaced_and_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files.write(path, b"old")
    path.chmod(0o640)
    files.write(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_a_failure_leaves_what_was_there_and_is_the_error_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data"
    files.write(path, b"old")
    seen: list[str] = []

    def full(descriptor: int) -> None:
        seen.extend(entry.name for entry in tmp_path.iterdir())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]
    (temporary,) = set(seen) - {"data"}
    assert re.fullmatch(r"\.data\.[0-9a-f]{16}", temporary)
    with pytest.raises(FileNotFoundError) as caught:
        files.write(tmp_path / "nowhere" / "data", b"new")
    assert caught.value.__context__ is None  # nothing went wrong with what was to be removed
    with pytest.raises(IsADirectoryError, match=r"is a directory; give a file name$"):
        files.write(tmp_path, b"new")
