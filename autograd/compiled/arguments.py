"""The arguments of a compiled call: their numbers sample by sample, and the key of their shape."""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from autograd.compiled.recorder import Recorder
from autograd.compiled.traced import EXACT, number_of
from autograd.nestings import leaves, rebuilt
from autograd.operands import number
from autograd.ops import Ops
from autograd.value import Value

Array = Any
_WHOLE, _PLAIN, _NUMBERS = "iu", "iuf", "iufb"  # NumPy's kinds; the last has truth values, too
# Arguments that are a part of the key, the classes of whole numbers with a meaning among them.
_FIXED = (bool, str, bytes, Enum, type(None), np.bool_, int)


class CarriedError(TypeError):
    """An argument is of another class that carries the operations, such as a decimal."""

    def __init__(self) -> None:
        super().__init__("compile: expected numbers, Values, lists of them or arrays")


class Call:
    """The arguments of one call.

    Args:
        args, named: what was given, by position and by name.
        differentiated: which arguments a gradient is wanted in; their numbers are taken for Values,
            as `autograd.grad` takes them.

    Attributes:
        tree: the arguments; those given by name, if any, are in a dict at the end.
        places: where the numbers of each argument start among those of a sample, and the end.
        numbers: of shape (samples, numbers of a sample).
        batched: whether an array has rows, each a sample.
        values: a bit for each number of a sample, the first in the lowest bit: whether it is a
            Value's to the function.
        in_graph: whether a Value was given.
        key: the nesting, and of what kind each argument is; equal for calls that one recording may
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
                self.batched, self.columns, self.places = True, [x], [0, x.shape[1]]
                self.numbers = np.ascontiguousarray(x, dtype=np.float64)
                self.key: Any = ("rows", x.shape[1], x.dtype.kind == "f")
                if differentiated:
                    self.values = (1 << x.shape[1]) - 1
                return
        self._read(differentiated)
        for k in differentiated:
            self.values |= (1 << self.places[k + 1]) - (1 << self.places[k])

    def _read(self, differentiated: Sequence[int]) -> None:
        """Find the numbers, the columns and the key of any other arguments."""
        kinds: list[Any] = []
        columns: list[Any] = []
        values: dict[int, int] = {}  # of each Value, by `id`, which part it is
        places, width = [0], 0
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
                        kinds.append(("same", values[id(part)]))  # `x is y`, as it was given
                else:
                    given = part
                    if hasattr(part, "to_numpy"):  # a table of labelled rows, or a column
                        part = part.to_numpy()
                    if isinstance(part, np.ndarray) and not part.ndim:
                        # It is a number, whose type says whether it is a whole one.
                        part = part.item()
                    if k in differentiated:
                        part = _real(part)
                    replaced = replaced or part is not given
                    kind = _kind(part)
                parts.append(part)
                kinds.append(kind)
                if kind == "number" or kind == "whole":
                    columns.append(part)
                    width += 1
                elif kind[0] == "rows":
                    columns.append(part.reshape(len(part), -1))
                    width += columns[-1].shape[1]
            places.append(width)
        if replaced:
            self.tree = rebuilt(self.tree, iter(parts))
        self.columns, self.places = columns, places
        self.key = (_nesting(self.tree), tuple(kinds))
        self.numbers = self._gathered(width)

    def _gathered(self, width: int) -> Array:
        """The columns' numbers side by side."""
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
        made = np.empty((count, width))
        at = 0
        for column in self.columns:
            step = column.shape[1] if isinstance(column, np.ndarray) else 1
            made[:, at : at + step] = column if isinstance(column, np.ndarray) else _plain(column)
            at += step
        return made

    def of(self, row: Array) -> "Call":
        """The call of one sample."""
        made = object.__new__(Call)
        vars(made).update(vars(self), numbers=row[None, :], batched=False)
        return made

    def enter(self, recorder: Recorder, row: Array) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one sample, by position and by name, as inputs of the recording."""
        numbers, count = iter(row.tolist()), 0

        def one(whole: bool) -> Any:
            nonlocal count
            data = next(numbers)
            count += 1
            return recorder.enter(int(data) if whole else data, f"x{count - 1}")

        made: list[Any] = []
        values: dict[int, Any] = {}
        for part in leaves(self.tree):
            if isinstance(part, np.ndarray):
                whole = part.dtype.kind in _WHOLE
                made.append(_shaped(part.shape[1:], partial(one, whole)))
            elif type(part) is Value:
                entered = one(False)
                made.append(values.setdefault(id(part), entered))
            else:
                kind = _kind(part)
                made.append(part if type(kind) is tuple else one(kind == "whole"))
        return self._split(rebuilt(self.tree, iter(made)))

    def plainly(
        self, k: int, instead: dict[int, Any] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of sample k, by position and by name, as the function itself takes them.

        `instead` has what stands in the place of some of its numbers that are not whole.
        """
        place = 0

        def one(number: Any) -> Any:
            nonlocal place
            place += 1
            if instead is None or hasattr(number, "__index__"):
                return number
            return instead.get(place - 1, number)

        made: list[Any] = []
        for part in leaves(self.tree):
            if isinstance(part, np.ndarray):
                numbers = iter(part[k].reshape(-1).tolist())
                made.append(_shaped(part.shape[1:], lambda: one(next(numbers))))  # noqa: B023
            else:
                made.append(one(part) if _width(part) else part)
        return self._split(rebuilt(self.tree, iter(made)))

    def _split(self, tree: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        return (tree[:-1], tree[-1]) if self.named else (tree, {})

    def given(self) -> list[Value | None]:
        """The Value that each number of a sample is; None for one that is none."""
        made: list[Value | None] = []
        for part in leaves(self.tree):
            made += [part] if type(part) is Value else [None] * _width(part)
        return made

    def like(self, k: int, back: Array) -> Any:
        """The part of the gradients that belongs to an argument, nested as it is."""
        at, arg = self.places[k], self.tree[k]
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


def _real(part: Any) -> Any:
    """A whole number, or an array of them, as one that can be differentiated in."""
    if isinstance(part, np.ndarray):
        return part.astype(np.float64) if part.dtype.kind in _WHOLE else part
    return float(part) if _kind(part) == "whole" else part


def _kind(part: Any) -> Any:
    """The kind of an argument: "number", "whole", or a tuple: ("rows", shape, whole) of an array,
    ("fixed", class, itself) of what is a part of the key."""
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
    """How many numbers of a sample an argument is."""
    if isinstance(part, np.ndarray):
        return int(part[0].size)
    return 0 if type(_kind(part)) is tuple else 1


def _shaped(shape: tuple[int, ...], one: Callable[[], Any]) -> Any:
    """The inputs as lists in lists, as an array of that shape has them."""
    return [_shaped(shape[1:], one) for _ in range(shape[0])] if shape else one()


def _nesting(tree: Any) -> Any:
    """What of a nesting a recording depends on: classes, lengths and keys.

    Raises TypeError for a container that has more than that, which would not reach the function.
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
