"""`Call`: the arguments of a compiled call, their numbers by sample, and the key of its kind."""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from autograd.compiled.recorder import Recorder
from autograd.compiled.traced import EXACT, number_of
from autograd.nestings import leaves, rebuilt
from autograd.operands import number
from autograd.ops import Ops
from autograd.value import Value

Array = Any
_WHOLE, _PLAIN, _NUMBERS = "iu", "iuf", "iufb"  # kinds of NumPy's types; b is bool
# Arguments that are a part of the key.  An int gets here as a subclass, such as an enum's.
_FIXED = (bool, str, bytes, Enum, type(None), np.bool_, int)


class CarriedError(TypeError):
    """An argument has the table's operations but is not a Value, such as a checker's decimal."""

    def __init__(self) -> None:
        super().__init__("compile: expected numbers, Values, lists of them or arrays")


class Call:
    """The arguments of one call.

    Args:
        args, named: the arguments, by position and by name.
        differentiated: the positions of arguments whose gradient is wanted; their numbers count as
            Values, as in `autograd.grad`.

    Attributes:
        tree: the arguments, followed by a dict of those given by name, if any.
        starts: the index of each argument's first number in a sample, and the end.
        numbers: of shape (samples, numbers of a sample).
        batched: whether an argument is an array whose rows are samples.
        values: a bit for each number of a sample, the first in the lowest bit: whether the function
            gets a Value for it.
        in_graph: whether any argument is a Value.
        key: the nesting and the kind of each argument; equal for calls that one recording may
            serve, apart from `values`.
    """

    def __init__(
        self,
        args: Sequence[Any],
        named: dict[str, Any] | None = None,
        differentiated: Sequence[int] = (),
    ) -> None:
        self.named, self.in_graph, self.values = bool(named), False, 0
        self.tree: list[Any] = [*args, named] if named else list(args)
        if len(self.tree) == 1 and type(args[0]) is np.ndarray and args[0].ndim == 2:
            (x,) = args
            if x.dtype.kind in ("f" if differentiated else _PLAIN) and len(x):
                self.batched, self.columns, self.starts = True, [x], [0, x.shape[1]]
                self.numbers = np.ascontiguousarray(x, dtype=np.float64)
                self.key: Any = ("rows", x.shape[1], x.dtype.kind == "f")
                if differentiated:
                    self.values = (1 << x.shape[1]) - 1
                return
        self._read(differentiated)
        for k in differentiated:
            self.values |= (1 << self.starts[k + 1]) - (1 << self.starts[k])

    def _read(self, differentiated: Sequence[int]) -> None:
        """Set the numbers, the columns and the key from arguments of any kind."""
        kinds: list[Any] = []
        columns: list[Any] = []
        values: dict[int, int] = {}  # the index of each Value, by `id`
        starts, width = [0], 0
        replaced = False
        parts: list[Any] = []
        part: Any
        for k, arg in enumerate(self.tree):
            for part in (arg,) if type(arg) is float else leaves(arg):
                if type(part) is float:
                    kind = "number"
                elif type(part) is Value:
                    kind = "number"
                    self.in_graph = True
                    self.values |= 1 << width
                    if values.setdefault(id(part), width) != width:
                        kinds.append(("same", values[id(part)]))  # the same Value twice: `x is y`
                else:
                    original = part
                    part = _array(part)
                    if k in differentiated:
                        part = _real(part)
                    replaced = replaced or part is not original
                    kind = _kind(part)
                parts.append(part)
                kinds.append(kind)
                if kind == "number" or kind == "whole":
                    columns.append(part)
                    width += 1
                elif kind[0] == "rows":
                    columns.append(part.reshape(len(part), -1))
                    width += columns[-1].shape[1]
            starts.append(width)
        if replaced:
            self.tree = rebuilt(self.tree, iter(parts))
        self.columns, self.starts = columns, starts
        self.key = (_nesting(self.tree), tuple(kinds))
        self.numbers = self._gathered(width)

    def _gathered(self, width: int) -> Array:
        """The numbers of the columns side by side, one row per sample."""
        arrays = [column for column in self.columns if isinstance(column, np.ndarray)]
        self.batched = bool(arrays)
        if not arrays:
            return np.array([[_plain(column) for column in self.columns]], dtype=np.float64)
        count = len(arrays[0])
        for array in arrays:
            if len(array) != count:
                raise ValueError(
                    f"compile: arrays of {count} and of {len(array)} rows; a row is a sample"
                )
        numbers = np.empty((count, width))
        at = 0
        for column in self.columns:
            step = column.shape[1] if isinstance(column, np.ndarray) else 1
            part = column if isinstance(column, np.ndarray) else _plain(column)
            numbers[:, at : at + step] = part
            at += step
        return numbers

    def of_row(self, row: Array) -> "Call":
        """The same call for a single sample."""
        call = object.__new__(Call)
        vars(call).update(vars(self), numbers=row[None, :], batched=False)
        return call

    def enter(self, recorder: Recorder, row: Array) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one sample, by position and by name, as inputs of the recording."""
        numbers = iter(row.tolist())
        values: dict[int, Any] = {}

        def entry(part: Any, whole: bool) -> Any:
            data = next(numbers)
            node = recorder.enter(int(data) if whole else data, f"x{len(recorder.inputs)}")
            return values.setdefault(id(part), node) if type(part) is Value else node

        return self._rebuilt(entry)

    def sample(self, k: int, instead: dict[int, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of sample k, by position and by name, for the function itself.

        `instead` has replacements for some numbers, by index; whole numbers are not replaced.
        """
        parts = (
            part[k].ravel().tolist() if isinstance(part, np.ndarray) else [part] * _width(part)
            for part in leaves(self.tree)
        )
        numbers = enumerate(chain.from_iterable(parts))

        def entry(*_: Any) -> Any:
            index, number = next(numbers)
            return number if hasattr(number, "__index__") else instead.get(index, number)

        return self._rebuilt(entry)

    def _rebuilt(self, entry: Callable[[Any, bool], Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, with `entry(part, whether it is whole)` for each number of a sample."""
        parts: list[Any] = []
        for part in leaves(self.tree):
            if isinstance(part, np.ndarray):
                whole = part.dtype.kind in _WHOLE
                parts.append(_shaped(part.shape[1:], partial(entry, part, whole)))
            else:
                kind = _kind(part)
                parts.append(part if type(kind) is tuple else entry(part, kind == "whole"))
        tree = rebuilt(self.tree, iter(parts))
        return (tree[:-1], tree[-1]) if self.named else (tree, {})

    def value_inputs(self) -> list[Value | None]:
        """For each number of a sample, the Value that was given for it, or None."""
        inputs: list[Value | None] = []
        for part in leaves(self.tree):
            inputs += [part] if type(part) is Value else [None] * _width(part)
        return inputs

    def gradient(self, k: int, back: Array) -> Any:
        """The gradient in argument k, nested as it is; `back` has those in all numbers."""
        at, arg = self.starts[k], self.tree[k]
        sums = back[0].tolist() if len(back) == 1 else back.sum(axis=0).tolist()
        if type(arg) is float:
            return sums[at]
        parts: list[Any] = []
        for part in leaves(arg):
            if isinstance(part, np.ndarray):
                width = int(part[0].size)
                parts.append(back[:, at : at + width].reshape(part.shape))
            else:
                width = 1 if type(part) is float else _width(part)
                parts.append(sums[at] if width else 0.0)
            at += width
        return rebuilt(arg, iter(parts))


class Contents:
    """What is in the lists and dicts of some arguments, to see whether it changes.

    >>> numbers = [2.0, 1.0]
    >>> contents = Contents([numbers])
    >>> numbers.sort()
    >>> contents.changed()
    True
    """

    def __init__(self, tree: Any) -> None:
        self._parts: list[tuple[Any, list[Any]]] = []
        stack = [tree]
        while stack:
            part = stack.pop()
            if isinstance(part, dict | list | tuple):
                inside = _inside(part)
                self._parts.append((part, inside))
                stack += inside

    def changed(self) -> bool:
        """Whether anything has been added, removed or replaced."""
        now = (_inside(part) for part, _ in self._parts)
        pairs = zip(now, self._parts, strict=True)
        return any(list(map(id, new)) != list(map(id, old)) for new, (_, old) in pairs)


def _inside(part: Any) -> list[Any]:
    return [*part, *part.values()] if isinstance(part, dict) else list(part)


def _real(part: Any) -> Any:
    """Floats in place of whole numbers, which have no gradient."""
    if isinstance(part, np.ndarray):
        return part.astype(np.float64) if part.dtype.kind in _WHOLE else part
    return float(part) if _kind(part) == "whole" else part


def _array(part: Any) -> Any:
    """A table or another library's array as NumPy's; a number if it has no dimensions."""
    if callable(getattr(type(part), "rows", None)):  # of polars, whose arrays count dates as days
        part = np.array(part.rows(), object)
    elif hasattr(part, "to_numpy"):  # a data frame, or a column of one
        part = part.to_numpy()
    elif getattr(part, "shape", ()) and hasattr(part, "__array__"):
        part = part if type(part) is np.ndarray else np.asanyarray(part)
    if not isinstance(part, np.ndarray):
        return part
    if np.ma.is_masked(part):
        raise ValueError("compile: some numbers of the array are masked; write x.filled(number)")
    if part.ndim and part.dtype.kind == "O":
        numbers = part.ravel().tolist()
        if not all(type(x) is int and -EXACT < x < EXACT for x in numbers):
            numbers = [number(x, "compile") for x in numbers]
        return np.array(numbers).reshape(part.shape)
    return part if part.ndim else part.item()  # an int or a float by its type


def _kind(part: Any) -> Any:
    """The kind of an argument: "number", "whole", ("rows", shape, whole) for an array, or
    ("fixed", class, itself) for what is a part of the key."""
    if type(part) is float or type(part) is Value:
        return "number"
    if isinstance(part, Ops):
        raise CarriedError
    if isinstance(part, np.ndarray):
        if not len(part):
            raise ValueError("compile: the array has no rows")
        if part.dtype.kind not in _NUMBERS:
            raise TypeError(f"compile: expected an array of numbers, got {part.dtype}")
        return "rows", part.shape[1:], part.dtype.kind in _WHOLE
    if type(part) is int or isinstance(part, np.integer):
        return "whole" if -EXACT < part < EXACT else ("fixed", int, int(part))
    if isinstance(part, _FIXED):
        return "fixed", type(part), part
    number(part, "compile")
    return "number"


def _plain(part: Any) -> float:
    """The number of an argument."""
    if type(part) is float:
        return part
    return number_of(part) if type(part) is Value else number(part, "compile")


def _width(part: Any) -> int:
    """How many numbers of a sample an argument has."""
    if isinstance(part, np.ndarray):
        return int(part[0].size)
    return 0 if type(_kind(part)) is tuple else 1


def _shaped(shape: tuple[int, ...], entry: Callable[[], Any]) -> Any:
    """Nested lists like an array of that shape, of what `entry` gives one after the other."""
    return [_shaped(shape[1:], entry) for _ in range(shape[0])] if shape else entry()


def _nesting(tree: Any) -> Any:
    """The part of the key for a nesting: its classes, lengths and keys.

    Raises TypeError for a container with more than its entries, as the rest would be lost.
    """
    kind = type(tree)
    if kind is float:
        return 0
    if isinstance(tree, dict):
        inside = tuple([(type(key), key, _nesting(part)) for key, part in tree.items()])
    elif isinstance(tree, list | tuple):
        inside = tuple([_nesting(part) for part in tree])
    else:
        return 0
    if kind is list or kind is tuple or kind is dict:
        return kind, inside
    if getattr(tree, "__dict__", None) or getattr(tree, "default_factory", None) is not None:
        raise TypeError(
            f"compile: an argument of the class {type(tree).__name__} has more than its entries, "
            "which would be lost; pass a plain list, tuple or dict"
        )
    return kind, inside
