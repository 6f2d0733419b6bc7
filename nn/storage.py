"""Numbers in files: strict JSON that cannot execute anything, written whole or not at all.

A float is stored as `float.hex` text, so it comes back with the same bits.  `read` refuses any file
that `write` cannot have written: one with duplicate keys, NaN literals, numbers that are spelled in
another way, or the wrong checksum.  Files of version 1 have no checksum.
"""

import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from autograd import files

LIMIT = 64 * 1024 * 1024  # bytes; a million parameters are 38 MB
_DEPTH = 100  # nested lists and dicts; json itself recurses, and the parser's stack is finite
_HEX = re.compile(r"-?(0x[01]\.[0-9a-f]+p[+-][0-9]+|0x0\.0p\+0|inf)|nan")


class FileFormatError(ValueError):
    """The file is damaged or of another kind; the message says what is wrong and where."""


def write(path: str | os.PathLike[str], kind: str, content: Any) -> None:
    """Store nested dicts, lists, numbers and text in a file of the given kind.

    If writing fails, the old file is unchanged.  Raises TypeError for anything but dict (with text
    keys), list, tuple, float, int, bool, str and None.
    """
    stored = _encoded(content, "")
    document = {"format": f"chainrule-{kind}", "version": 2, "sha256": _checksum(stored)}
    text = json.dumps(document | {"content": stored}, allow_nan=False) + "\n"
    files.write(path, text.encode("ascii"))


def _checksum(stored: Any) -> str:
    """The checksum of the content's JSON text; line breaks in the file do not matter."""
    return hashlib.sha256(json.dumps(stored).encode("ascii")).hexdigest()


def read(path: str | os.PathLike[str], kind: str, *, allow_nonfinite: bool = False) -> Any:
    """The content of a file that `write` wrote, with the same bits; tuples come back as lists.

    Raises FileFormatError if the file is of another kind, truncated, damaged or larger than 64 MB,
    and if it contains inf or nan, unless `allow_nonfinite` is set.
    """
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(LIMIT + 1)
    try:
        return _content(data, kind, allow_nonfinite)
    except FileFormatError as error:
        raise FileFormatError(f"{path.name}: {error}") from None


def _content(data: bytes, kind: str, allow_nonfinite: bool) -> Any:
    if len(data) > LIMIT:
        raise FileFormatError(f"larger than the limit of {LIMIT} bytes")
    try:
        document = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_no_float,
        )
    except FileFormatError:
        raise
    except RecursionError:
        raise FileFormatError("nested too deep") from None
    except ValueError as error:  # JSON, ASCII and numbers of more than 4300 digits
        raise FileFormatError(f"not a file of this library, or a damaged one ({error})") from None
    parts = {"format", "version", "content"}
    if not isinstance(document, dict) or set(document) - {"sha256"} != parts:
        raise FileFormatError("not a file of this library")
    if document["format"] != f"chainrule-{kind}":
        raise FileFormatError(f"expected {kind}, got {document['format']!r:.60}")
    version = document["version"]
    if type(version) is not int or version not in (1, 2):
        raise FileFormatError(f"version {version!r:.60} is not known here")
    if (version == 2) != ("sha256" in document):
        raise FileFormatError("not a file of this library")
    content = _decoded(document["content"], "", allow_nonfinite, 0)
    # Only now is it certain that the content is not nested too deep for json.
    if version == 2 and document["sha256"] != _checksum(document["content"]):
        raise FileFormatError("damaged: the content does not match its checksum")
    return content


def _encoded(content: Any, path: str) -> Any:
    # Text is tagged, so that text and the hex of a float are never confused.
    if isinstance(content, float):
        return float(content).hex()
    if isinstance(content, str):
        return {"text": content}
    if content is None or isinstance(content, bool | int):
        return content
    if isinstance(content, list | tuple):
        return [_encoded(part, f"{path}[{i}]") for i, part in enumerate(content)]
    if isinstance(content, dict):
        for key in content:
            if not isinstance(key, str):
                raise TypeError(f"{_place(path)}: expected keys of text, got {key!r}")
        return {"dict": {k: _encoded(v, f"{path}.{k}") for k, v in content.items()}}
    raise TypeError(f"{_place(path)}: cannot be stored: {type(content).__name__}")


def _place(path: str) -> str:
    """The path of an entry for a message, cut off where names in a file are very long."""
    return path.lstrip(".")[:80] or "content"


def _decoded(stored: Any, path: str, allow_nonfinite: bool, depth: int) -> Any:
    name = _place(path)
    if depth > _DEPTH:
        raise FileFormatError(f"{name}: nested more than {_DEPTH} deep")
    if stored is None or isinstance(stored, bool | int):
        return stored
    if isinstance(stored, list):
        return [
            _decoded(part, f"{path}[{i}]", allow_nonfinite, depth + 1)
            for i, part in enumerate(stored)
        ]
    if isinstance(stored, dict):
        if set(stored) == {"text"} and isinstance(stored["text"], str):
            return stored["text"]
        if set(stored) == {"dict"} and isinstance(stored["dict"], dict):
            return {
                key: _decoded(part, f"{path}.{key}", allow_nonfinite, depth + 1)
                for key, part in stored["dict"].items()
            }
        raise FileFormatError(
            f"{name}: expected text or a dict, got the keys {sorted(stored)!r:.60}"
        )
    if not _HEX.fullmatch(stored):
        raise FileFormatError(
            f"{name}: expected a number as float.hex() writes it, got {stored!r:.60}"
        )
    try:
        number = float.fromhex(stored)
    except OverflowError:
        number = math.inf
    if number.hex() != stored:
        raise FileFormatError(f"{name}: {stored!r:.60} is not a number of 64 bits")
    if not allow_nonfinite and not math.isfinite(number):
        raise FileFormatError(f"{name}: is {stored}; pass allow_nonfinite=True to allow it")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise FileFormatError(f"the key {key!r:.60} is there twice")
        unique[key] = value
    return unique


def _no_constant(text: str) -> Any:
    raise FileFormatError(f"{text} is not JSON")


def _no_float(text: str) -> Any:
    raise FileFormatError(f"numbers are stored as float.hex() text, got {text:.60}")
