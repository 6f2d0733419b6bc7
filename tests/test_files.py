"""Files are written whole, with the rights that they had, and nothing is left beside them."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from autograd import files
from tests.benchmarks.presses import forked


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


LEFT = ".data.0123456789abcdef"


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "data"
    others = {".data.0123456789abcde", ".data.backup", ".other.0123456789abcdef", "data.0"}
    for name in (LEFT, ".data.fedcba9876543210", *others):
        (tmp_path / name).write_bytes(b"half")
    files.write(path, b"new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"data", *others}
    files.remove_leftovers(tmp_path / "nowhere" / "data")  # nothing is there, and nothing is said


def test_a_file_that_is_being_written_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "data"
    seen: list[int] = []

    def meanwhile(descriptor: int) -> None:
        files.remove_leftovers(path)
        seen.append(len(list(tmp_path.iterdir())))

    monkeypatch.setattr(os, "fsync", meanwhile)
    files.write(path, b"new")
    assert (seen, path.read_bytes()) == ([1], b"new")


def test_a_file_that_was_taken_for_a_leftover_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data"
    taken: list[Path] = []

    def late(descriptor: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()

    monkeypatch.setattr(files, "_lock", late)
    files.write(path, b"new")
    assert len(taken) == 1
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_where_files_cannot_be_locked_a_leftover_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    old, young = tmp_path / LEFT, tmp_path / ".data.fedcba9876543210"
    for one in (old, young):
        one.write_bytes(b"half")
    os.utime(old, (time.time() - 61, time.time() - 61))
    files.write(tmp_path / "data", b"new")
    assert sorted(tmp_path.iterdir()) == [young, tmp_path / "data"]


def test_a_filesystem_without_locks_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refused(descriptor: int, how: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    (tmp_path / LEFT).write_bytes(b"half")
    files.write(tmp_path / "data", b"new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [LEFT, "data"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
def test_kill_9_leaves_nothing_for_good(tmp_path: Path) -> None:
    path = tmp_path / "data"
    files.write(path, b"old")

    def die(descriptor: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        setattr(os, "fsync", die)  # noqa: B010 - in the child alone
        files.write(path, b"new")

    assert forked(work) == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    files.write(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
