"""The arguments of a compiled call: their numbers sample by sample, and the key of their shape."""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from autograd.ops import Ops, number
from autograd.recorder import Recorder
from autograd.tape import EXACT, number_of
from autograd.transform import leaves, rebuilt
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
        for k in differentiated:
            if not 0 <= k < len(args):
                raise TypeError(f"no argument {k} to differentiate: {len(args)} given")
            self.tree[k] = rebuilt(self.tree[k], map(_real, leaves(self.tree[k])))
        if len(self.tree) == 1 and type(self.tree[0]) is np.ndarray and self.tree[0].ndim == 2:
            (x,) = self.tree
            if x.dtype.kind in _PLAIN and len(x):
                self.batched, self.columns = True, [x]
                self.numbers = np.ascontiguousarray(x, dtype=np.float64)
                self.key: Any = ("rows", x.shape[1], x.dtype.kind == "f")
                if differentiated:
                    self.values = (1 << x.shape[1]) - 1
                return
        self._read()
        if differentiated:
            widths = [sum(map(_width, leaves([arg]))) for arg in self.tree]
            for k in differentiated:
                self.values |= ((1 << widths[k]) - 1) << sum(widths[:k])

    def _read(self) -> None:
        """Find the numbers, the columns and the key of any other arguments."""
        self.batched, count, width = False, 1, 0
        kinds: list[Any] = []
        columns: list[Any] = []
        parts = list(leaves(self.tree))
        if any(isinstance(part, np.ndarray) and not part.ndim for part in parts):
            # An array without dimensions is a number, whose type says whether it is a whole one.
            parts = [p.item() if isinstance(p, np.ndarray) and not p.ndim else p for p in parts]
            self.tree = rebuilt(self.tree, iter(parts))
        for part in parts:
            if type(part) is float:
                kinds.append("number")
                columns.append(part)
            elif type(part) is Value:
                self.in_graph = True
                self.values |= 1 << width
                kinds.append("number")
                columns.append(number_of(part))
            elif isinstance(part, np.ndarray):
                if self.batched and len(part) != count:
                    raise ValueError(
                        f"compile: arrays of {count} and of {len(part)} rows; a row is a sample"
                    )
                self.batched, count = True, len(part)
                if not count:
                    raise ValueError("compile: the array has no rows")
                if part.dtype.kind not in _NUMBERS:
                    raise TypeError(f"compile: expected an array of numbers, got {part.dtype}")
                kinds.append(("rows", part.shape[1:], part.dtype.kind in _WHOLE))
                columns.append(part.reshape(count, -1))
                width += columns[-1].shape[1] - 1
            else:
                kinds.append(_kind(part))
                if type(kinds[-1]) is tuple:
                    continue
                columns.append(number(part, "compile"))
            width += 1
        self.columns = columns
        self.numbers = np.empty((count, width))
        at = 0
        for column in columns:
            step = column.shape[1] if isinstance(column, np.ndarray) else 1
            self.numbers[:, at : at + step] = column
            at += step
        self.key = (_nesting(self.tree), tuple(kinds))

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

        made = []
        for part in leaves(self.tree):
            if isinstance(part, np.ndarray):
                whole = part.dtype.kind in _WHOLE
                made.append(_shaped(part.shape[1:], partial(one, whole)))
            else:
                kind = _kind(part)
                made.append(part if type(kind) is tuple else one(kind == "whole"))
        return self._split(rebuilt(self.tree, iter(made)))

    def plainly(
        self, k: int, instead: dict[int, Any] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of sample k, by position and by name, as the function itself takes them.

        `instead` has what stands in the place of some of its numbers.
        """
        place = 0

        def one(number: Any) -> Any:
            nonlocal place
            place += 1
            return number if instead is None else instead.get(place - 1, number)

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
        at = sum(_width(part) for part in leaves(self.tree[:k]))
        parts: list[Any] = []
        for part in leaves([self.tree[k]]):
            width = _width(part)
            if isinstance(part, np.ndarray):
                parts.append(back[:, at : at + width].reshape(part.shape))
            else:
                parts.append(float(back[:, at].sum()) if width else 0.0)
            at += width
        return rebuilt([self.tree[k]], iter(parts))[0]


def _real(part: Any) -> Any:
    """A whole number, or an array of them, as one that can be differentiated in."""
    if isinstance(part, np.ndarray):
        return part.astype(np.float64) if part.dtype.kind in _WHOLE else part
    return float(part) if _kind(part) == "whole" else part


def _kind(part: Any) -> Any:
    """The kind of an argument that is no array: a tuple for one that is a part of the key."""
    if type(part) is float or type(part) is Value:
        return "number"
    if isinstance(part, Ops):
        raise CarriedError
    if type(part) is int or isinstance(part, np.integer):
        return "whole" if -EXACT < part < EXACT else ("fixed", int, int(part))
    if isinstance(part, _FIXED):
        return "fixed", type(part), part
    return "number"


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
    if isinstance(tree, dict):
        inside = tuple((type(key), key, _nesting(part)) for key, part in tree.items())
    elif isinstance(tree, list | tuple):
        inside = tuple(map(_nesting, tree))
    else:
        return 0
    if getattr(tree, "__dict__", None) or getattr(tree, "default_factory", None) is not None:
        raise TypeError(
            f"compile: an argument of the class {type(tree).__name__} has more than its entries, "
            "which would be lost; pass a plain list, tuple or dict"
        )
    return type(tree), inside
