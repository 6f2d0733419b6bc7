"""A program as bytes: arrays and text, all of which are checked when they are read."""

import dataclasses
import hashlib
import io
import json
import math
import re
import zipfile
from typing import Any

import numpy as np

from autograd.compiled.tape import Tape
from autograd.compiled.traced import ARGMAX, COMPARISONS, DETACH, MASK
from autograd.value import rows

Array = Any
FORMAT = 1
_HEAD = b"chainrule program\n"


def packed(tape: Tape) -> bytes:
    """The tape as bytes."""
    arrays: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for field in dataclasses.fields(Tape):
        value = getattr(tape, field.name)
        (arrays if isinstance(value, np.ndarray) else rest)[field.name] = value
    table = rows()
    rest["texts"] = [list(table[name].texts) for name in tape.ops]
    rest["format"] = FORMAT
    arrays["json"] = np.frombuffer(json.dumps(rest).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    try:
        np.savez(buffer, **arrays)
    except ValueError as error:
        # After Ctrl-C, zipfile raises an error about the unfinished part, which hides it.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    body = buffer.getvalue()
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + body


def unpacked(data: bytes, name: str) -> Tape:
    """The tape from the bytes that `packed` gave; ValueError for any others."""
    head, body = data[: len(_HEAD) + 64], data[len(_HEAD) + 64 :]
    if not data.startswith(_HEAD):
        raise ValueError(f"{name} is not a program")
    if head[len(_HEAD) :] != hashlib.sha256(body).hexdigest().encode():
        raise ValueError(f"{name} is damaged")
    try:
        rest, arrays = _unpacked(body)
        tape = Tape(**rest, **arrays)
        _checked(tape)
    except Exception as error:  # zipfile and json raise many kinds of errors
        raise ValueError(f"{name} is not a program ({error!s:.200})") from None
    return tape


# A .npy file as NumPy writes arrays of one or two dimensions.  Nothing is evaluated.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(?s:..)\{'descr': '([<>|][a-z]\d)', 'fortran_order': False, "
    rb"'shape': \((\d{1,15}),(?: (\d{1,15}))?\), \} *\n"
)
_KINDS = {
    "constants": "f8", "whole": "b1", "code": "i2", "a": "i8", "b": "i8", "count": "i8",
    "cut": "b1", "tables": "i8", "outputs": "i8", "guards": "i8", "note": "i8", "json": "u1",
}  # fmt: skip
_MAX_DEPTH = 100  # of the nesting of a result: Python recurses to compare or write one


def _unpacked(body: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The plain fields of a tape, and its arrays; ValueError if there are other parts.

    Reading takes no more memory than the file has bytes: nothing is decompressed, and there are
    bytes for every entry of an array.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as stored:
        entries = stored.infolist()
        names = sorted(entry.filename for entry in entries)
        if names != sorted(f"{name}.npy" for name in _KINDS):
            raise ValueError("it has other parts")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed")
        if sum(entry.file_size for entry in entries) > len(body):
            raise ValueError("its parts overlap")
        parts = {name: _array(stored.read(f"{name}.npy"), name) for name in _KINDS}
    rest = json.loads(parts.pop("json").tobytes().decode())
    wanted = {field.name for field in dataclasses.fields(Tape)} - set(parts) | {"texts", "format"}
    if not isinstance(rest, dict) or set(rest) != wanted:
        raise ValueError("its description has other fields")
    texts, version = rest.pop("texts"), rest.pop("format")
    if version != FORMAT:
        raise ValueError(f"format {version!r:.60}, and this version reads {FORMAT}")
    table = rows()
    if not (_are_texts(rest["ops"]) and isinstance(texts, list) and len(texts) == len(rest["ops"])):
        raise ValueError("the names of its operations are not texts")
    for op, text in zip(rest["ops"], texts, strict=True):
        if op not in table or list(table[op].texts) != text:
            raise ValueError(f"the operation {op!r:.60} differs from the one in this table")
    return rest, parts


def _array(data: bytes, name: str) -> Array:
    """The array in the .npy file of a field."""
    header = _NPY.match(data)
    if header is None or data[8:10] != (header.end() - 10).to_bytes(2, "little"):
        raise ValueError(f"{name} is not an array of the expected form")
    kind, rows_, columns = header.groups()
    shape = [int(size) for size in (rows_, columns) if size is not None]
    if kind[1:].decode() != _KINDS[name] or len(shape) != (2 if name == "guards" else 1):
        raise ValueError(f"{name} has another type or shape")
    numbers = np.frombuffer(data, dtype=np.dtype(kind.decode()), offset=header.end())
    if math.prod(shape) != len(numbers) or (name == "guards" and shape[1] != 4):
        raise ValueError(f"{name} has another type or shape")
    if kind[1:] == b"b1" and not set(data[header.end() :]) <= {0, 1}:
        raise ValueError(f"{name} has entries other than true and false")
    return numbers.astype(_KINDS[name]).reshape(shape)


def _are_texts(parts: Any) -> bool:
    return isinstance(parts, list) and all(isinstance(part, str) for part in parts)


def _checked(tape: Tape) -> None:
    """Refuse a tape with wrong indices, for which native code would read outside its memory."""
    count = len(tape.code)
    columns = {len(getattr(tape, key)) for key in ("a", "b", "count", "cut", "note")}
    # Every parameter is read by something, so their number has a bound.
    reads = 2 * count + len(tape.tables) + len(tape.outputs) + 2 * len(tape.guards)
    good = type(tape.parameters) is int and 0 <= tape.parameters <= reads
    good = good and tape.inputs == len(tape.whole) and type(tape.inputs) is int
    good = good and columns == {count}
    good = good and isinstance(tape.notes, list)
    good = good and all(_are_texts(note) and len(note) == 3 for note in tape.notes)
    if not (good and _in_range(tape)):
        raise ValueError("an operand is out of range")
    _nested(tape.form, len(tape.outputs))


def _nested(form: Any, outputs: int) -> None:
    """Refuse a form that is not a nesting of the outputs' indices, in order."""
    indices, level = [], [(form, 0)]
    while level:
        part, depth = level.pop()
        if depth > _MAX_DEPTH:
            raise ValueError("its result is nested too deeply")
        if isinstance(part, list | dict):
            inside = list(part.values()) if isinstance(part, dict) else part
            level += [(entry, depth + 1) for entry in reversed(inside)]
        else:
            indices.append(part)
    if indices != list(range(outputs)) or not all(type(index) is int for index in indices):
        raise ValueError("its result is not a nesting of its outputs")


def _in_range(tape: Tape) -> bool:
    """Whether every index points to something that comes before it."""

    def below(indices: Array, end: Any) -> bool:
        return bool(((indices >= 0) & (indices < end)).all())

    own = tape.sources + np.arange(len(tape.code))
    if not (below(tape.note, len(tape.notes)) and below(tape.outputs, len(tape))):
        return False
    if not (below(tape.guards[:, 1:3], len(tape)) and below(tape.guards[:, 0], len(COMPARISONS))):
        return False
    if not ((tape.code >= MASK) & (tape.code < len(tape.ops))).all():
        return False
    table = rows()
    arity = np.array([table[op].arity for op in tape.ops] + [0], dtype=np.int64)
    real = tape.code >= 0
    binary = real & (arity[np.where(real, tape.code, -1)] == 2)
    single = tape.code != ARGMAX
    if not (below(tape.a[single], own[single]) and below(tape.b[binary], own[binary])):
        return False
    if not ((tape.b[real & ~binary] == -1).all() and (tape.a[~single] == -1).all()):
        return False
    lists = tape.code < DETACH
    starts, counts, ends = tape.b[lists], tape.count[lists], own[lists]
    # The lists follow each other.  If they could overlap, few bytes could mean a lot of work.
    if not ((counts > 0) & (counts <= len(tape.tables))).all():
        return False
    if not np.array_equal(starts, np.cumsum(counts) - counts) or counts.sum() != len(tape.tables):
        return False
    if not all(
        below(tape.tables[start : start + size], end)
        for start, size, end in zip(starts.tolist(), counts.tolist(), ends.tolist(), strict=True)
    ):
        return False
    masks = tape.b[tape.code == MASK]
    if not (tape.count[tape.code == MASK] == 3).all():
        return False
    fixed = np.concatenate([tape.tables[masks + 1], tape.tables[masks + 2]])
    if not below(fixed, len(tape.constants)):
        return False
    positions = tape.constants[tape.tables[masks + 1]]
    return below(positions, 2.0**31) and bool((positions % 1 == 0).all())
