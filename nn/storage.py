"""Numbers in files: strict JSON that cannot execute anything, written whole or not at all.

A float is stored as `float.hex` text, so that it comes back with the same bits.  What is read is
refused unless it is exactly what `write` makes: no duplicate keys, no NaN literals, no number that
is spelled another way, and the checksum that was written with it.  Files of version 1 have none.
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
    """The file is not what it should be; the message says what is wrong and where."""


def write(path: str | os.PathLike[str], kind: str, content: Any) -> None:
    """Store a nesting of dicts, lists, numbers and text in a file of the given kind.

    The file is complete or as it was before.  Raises TypeError for anything but dict (with text
    keys), list, tuple, float, int, bool, str and None.
    """
    stored = _encoded(content, "")
    document = {"format": f"chainrule-{kind}", "version": 2, "sha256": _checksum(stored)}
    text = json.dumps(document | {"content": stored}, allow_nan=False) + "\n"
    files.write(path, text.encode("ascii"))


def _checksum(stored: Any) -> str:
    """Of the content's JSON text without line breaks, whatever breaks the file has."""
    return hashlib.sha256(json.dumps(stored).encode("ascii")).hexdigest()


def read(path: str | os.PathLike[str], kind: str, *, allow_nonfinite: bool = False) -> Any:
    """The content of a file that `write` made, with the same bits; tuples come back as lists.

    Raises FileFormatError for a file of another kind, a truncated, damaged or hostile one, one of
    more than 64 MB, and, unless `allow_nonfinite`, one that holds inf or nan.
    """
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise FileFormatError(f"{path.name}: larger than the limit of {LIMIT} bytes")
    try:
        document = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_no_float,
        )
    except FileFormatError as error:
        raise FileFormatError(f"{path.name}: {error}") from None
    except RecursionError:
        raise FileFormatError(f"{path.name}: nested too deep") from None
    except ValueError as error:  # JSON, ASCII and numbers of more than 4300 digits
        raise FileFormatError(
            f"{path.name}: not a file of this library, or a damaged one ({error})"
        ) from None
    parts = {"format", "version", "content"}
    if not isinstance(document, dict) or set(document) - {"sha256"} != parts:
        raise FileFormatError(f"{path.name}: not a file of this library")
    if document["format"] != f"chainrule-{kind}":
        raise FileFormatError(f"{path.name}: expected {kind}, got {document['format']!r:.60}")
    version = document["version"]
    if type(version) is not int or version not in (1, 2):
        raise FileFormatError(f"{path.name}: version {version!r:.60} is not known here")
    if (version == 2) != ("sha256" in document):
        raise FileFormatError(f"{path.name}: not a file of this library")
    try:
        content = _decoded(document["content"], "", allow_nonfinite, 0)
    except FileFormatError as error:
        raise FileFormatError(f"{path.name}: {error}") from None
    # Only now it is known that it is not too deep for json.
    if version == 2 and document["sha256"] != _checksum(document["content"]):
        raise FileFormatError(
            f"{path.name}: damaged: the content does not have the checksum it was written with"
        )
    return content


def _encoded(content: Any, where: str) -> Any:
    # Text is tagged, so that a float's hex can never be mistaken for text or the other way round.
    if isinstance(content, float):
        return float(content).hex()
    if isinstance(content, str):
        return {"text": content}
    if content is None or isinstance(content, bool | int):
        return content
    if isinstance(content, list | tuple):
        return [_encoded(part, f"{where}[{i}]") for i, part in enumerate(content)]
    if isinstance(content, dict):
        for key in content:
            if not isinstance(key, str):
                raise TypeError(f"{_place(where)}: expected keys of text, got {key!r}")
        return {"dict": {k: _encoded(v, f"{where}.{k}") for k, v in content.items()}}
    raise TypeError(f"{_place(where)}: cannot be stored: {type(content).__name__}")


def _place(where: str) -> str:
    """Where something stands, for a message; a name in a file may be of any length."""
    return where.lstrip(".")[:80] or "content"


def _decoded(stored: Any, where: str, allow_nonfinite: bool, depth: int) -> Any:
    place = _place(where)
    if depth > _DEPTH:
        raise FileFormatError(f"{place}: nested more than {_DEPTH} deep")
    if stored is None or isinstance(stored, bool | int):
        return stored
    if isinstance(stored, list):
        return [
            _decoded(part, f"{where}[{i}]", allow_nonfinite, depth + 1)
            for i, part in enumerate(stored)
        ]
    if isinstance(stored, dict):
        if set(stored) == {"text"} and isinstance(stored["text"], str):
            return stored["text"]
        if set(stored) == {"dict"} and isinstance(stored["dict"], dict):
            return {
                key: _decoded(part, f"{where}.{key}", allow_nonfinite, depth + 1)
                for key, part in stored["dict"].items()
            }
        raise FileFormatError(
            f"{place}: expected a text or a dict, got keys {sorted(stored)!r:.60}"
        )
    if not _HEX.fullmatch(stored):
        raise FileFormatError(
            f"{place}: expected a number as float.hex() writes it, got {stored!r:.60}"
        )
    try:
        number = float.fromhex(stored)
    except OverflowError:
        number = math.inf
    if number.hex() != stored:
        raise FileFormatError(f"{place}: {stored!r:.60} is not a number of 64 bits")
    if not allow_nonfinite and not math.isfinite(number):
        raise FileFormatError(f"{place}: is {stored}; pass allow_nonfinite=True if that is wanted")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise FileFormatError(f"the key {key!r:.60} stands twice")
        made[key] = value
    return made


def _no_constant(text: str) -> Any:
    raise FileFormatError(f"{text} is not JSON")


def _no_float(text: str) -> Any:
    raise FileFormatError(f"numbers are stored as float.hex() text, got {text:.60}")
