"""Conversion of arrays, DataFrames, Series and CSV files to lists of Python numbers."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from autograd.operands import is_time, unboxed
from autograd.ops import Ops
from autograd.options import as_float

_FILL = "leave the row out, or fill the gap in"
# How tables and arrays of other libraries become lists; the first that the class has is used.
_METHODS = ("tolist", "to_list", "rows", "to_numpy", "__array__")


def plain(z: Any, subject: str) -> float:
    """A Value's number, or a plain number as a float."""
    value: Any = z  # a Value, or its stand-in in a recording or a check
    return value.data if isinstance(z, Ops) else as_float(z, subject)


def sample(value: Any) -> Any:
    """The sample, as a list if it is an array, a table or a Series; dates stay dates."""
    if isinstance(value, list | tuple | float | int | Ops):
        return value
    kind = type(value)  # not the value, whose columns may have such names
    for method in _METHODS:
        if callable(getattr(kind, method, None)):
            if is_time(value) and hasattr(value, "ndim"):  # else `tolist` counts nanoseconds
                return value.astype(f"{value.dtype.kind}8[us]").tolist()
            listed = getattr(value, method)()
            return listed if isinstance(listed, list | kind) else sample(listed)
    return value


def is_row(value: Any) -> bool:
    """Whether a sample is a sequence of numbers, not a number, text or a dict."""
    if isinstance(value, list | tuple):
        return True
    if isinstance(value, float | int | Ops | str | bytes | Mapping):
        return False
    return hasattr(value, "__len__") and hasattr(value, "__getitem__")


def samples(data: Any, subject: str, noun: str = "samples") -> Sequence[Any]:
    """The samples of a list, an array, a DataFrame or a Series, in order; labels are ignored.

    Raises TypeError for dicts and for anything that is not a sequence.

    >>> samples([[1.0, 2.0], [3.0, 4.0]], "inputs")
    [[1.0, 2.0], [3.0, 4.0]]
    """
    rows = sample(data)
    if not is_row(rows) or hasattr(data, "toarray"):
        kind, hint = type(data).__name__, "; write [x] for one sample" * (noun == "samples")
        if hasattr(data, "toarray"):
            hint = "; write .toarray() for a sparse matrix"
        elif isinstance(data, Iterator):
            hint = "; write list(...) of it"
        elif isinstance(data, Mapping | Set):
            hint = "; it has no order that samples could follow"
        raise TypeError(
            f"{subject}: expected a list or an array of {noun}, got a {kind}: {data!r:.60}{hint}"
        )
    return [row if type(row) is list else sample(row) for row in rows]


def outputs(data: Any, count: int, subject: str) -> Sequence[Any]:
    """The outputs of each sample; the columns from a compiled model are transposed.

    Raises ValueError if there are as many arrays as samples, so they may be rows or columns.
    """
    shapes = {getattr(part, "shape", None) for part in data} if isinstance(data, list) else set()
    if shapes == {(count,)}:
        if len(data) == count:
            raise ValueError(
                f"{subject}: {count} arrays of {count} numbers may be samples or columns; pass "
                "np.array(outputs) for samples, or np.stack(outputs, axis=1) for columns"
            )
        return [list(row) for row in zip(*(column.tolist() for column in data), strict=True)]
    return samples(data, subject)


def numbers(data: Any, subject: str) -> list[float]:
    """The numbers of a list, an array or a Series as floats.

    >>> numbers((1, 2.5), "rates")
    [1.0, 2.5]
    """
    return [plain(x, subject) for x in samples(data, subject, "numbers")]


def complete(
    data: Any, subject: str, names: Sequence[str] = (), text: bool | None = None
) -> list[Any]:
    """The samples with Python's numbers, after a check of every number.

    Args:
        names: of the columns; by default a DataFrame's own.
        text: whether text is allowed; by default it is in a list, because a custom model may use
            it, but not in an array or a DataFrame.

    Raises ValueError, with row and column, for a number that is missing, nan or inf, and for text.
    """
    names = names or columns(data)
    if text is None:
        text = isinstance(data, list | tuple)
    rows = list(samples(data, subject))
    for i, row in enumerate(rows):
        foreign = False
        for path, x in _cells(row, ()):
            if wrong := _wrong(sample(x), text):
                raise ValueError(f"{subject}: {_place(i, path, names)} is {wrong}")
            foreign = foreign or type(x) not in _PLAIN
        if foreign:
            rows[i] = _plain_row(row)
    return rows


def columns(table: Any) -> list[str]:
    """The names of a table's columns; none for anything else."""
    names = getattr(table, "column_names", getattr(table, "columns", ()))
    return [str(name) for name in names]


_PLAIN = (float, int, bool, str)
_LARGEST = sys.float_info.max


def _plain_row(row: Any) -> Any:
    """The sample with Python's numbers in place of other libraries'."""
    if is_row(row):
        return [_plain_row(sample(part)) for part in row]
    if isinstance(row, Ops | str | Mapping):
        return row
    whole: Any = unboxed(row)
    return whole if isinstance(whole, int) else as_float(row, "")


def _place(row: int, path: tuple[int, ...], names: Sequence[str]) -> str:
    """The place of a number, in words; rows and columns count from 0."""
    if not path:
        return f"row {row}"
    column = repr(names[path[0]]) if names else str(path[0])
    return f"row {row}, column {column}" + "".join(f"[{k}]" for k in path[1:])


def _cells(row: Any, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    if isinstance(row, list | tuple):
        for j, part in enumerate(row):
            if type(part) in (float, int) and -_LARGEST < part < _LARGEST:
                continue
            inner = sample(part)
            yield from _cells(inner if isinstance(inner, list) else part, (*path, j))
    else:
        yield path, row


def _wrong(x: Any, text: bool) -> str:
    """Why a value cannot be used for training, and the fix; '' if it can."""
    if isinstance(x, Ops) or (text and isinstance(x, str | Mapping)):
        return ""
    if is_missing(x):
        return f"missing; {_FILL}"
    try:
        x = as_float(x, "")
    except TypeError:
        return f"{x!r:.40}; convert it to numbers, or leave the column out"
    except ValueError:
        return "an integer that is too large for a float"
    return "" if x - x == 0.0 else f"{x!r}; {_FILL}"


def is_missing(x: Any) -> bool:
    """Whether it is a gap: None, or pandas' NA and NaT."""
    return x is None or type(x).__name__ in ("NAType", "NaTType")


def read_csv(
    path: str | os.PathLike[str], delimiter: str = ","
) -> tuple[list[str], list[list[Any]]]:
    """The names in the first line of a CSV file, and its other lines: ints, floats, text, None.

    Raises ValueError, with the line, if a line has more or fewer cells than there are names.
    """
    name = os.path.basename(os.fspath(path))
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(_decoded(file, name), delimiter=delimiter)
        names = [cell.strip() for cell in next(reader, [])]
        lines = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                raise ValueError(
                    f"{name}, line {reader.line_num}: {len(cells)} cells, but the first line has "
                    f"{len(names)}"
                )
            lines.append([_cell(cell.strip()) for cell in cells])
    if len(set(names)) < len(names) or not lines:
        wrong = "the first line has the same name twice" if lines else "there are no rows"
        raise ValueError(f"{name}: {wrong}")
    return names, lines


def _decoded(file: Iterable[str], name: str) -> Iterator[str]:
    """The file's lines; ValueError unless they are UTF-8."""
    try:
        yield from file
    except UnicodeDecodeError:
        raise ValueError(f"{name}: it is not in UTF-8; save it in this encoding") from None


def _cell(text: str) -> Any:
    """A cell's number, its text, or None for a gap."""
    if text.lower() in ("", "na", "n/a", "nan", "null", "none"):
        return None
    for kind in (int, float):
        try:
            return text if "_" in text else kind(text)  # Python reads 1_000 as 1000
        except ValueError:
            continue
    return text
