"""Every way in which a number leaves a recording for Python: the eager answer, or a refusal.

A function is compiled, called with first arguments, and then with others that must not get the
answer of the first.  What comes out is what the function itself gives; or RecordingError or
TypeError says that it cannot be had.
"""

import collections
import copy
import enum
import functools
import itertools
import json
import math
import numbers
import operator
import pickle
import random
import threading
import types
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

import autograd
from autograd import (
    NonFiniteError,
    RecordingError,
    ReplayError,
    Value,
    detect_anomaly,
    grad,
    jvp,
    no_grad,
    recording,
    select,
)
from autograd.value import number_writer
from nn import MLP, Module
from nn.optim import SGD
from tests.spies import Spy

ENGINES = ["numpy", "native"]
Way = enum.IntEnum("Way", "UP DOWN LEFT")
Mood = enum.Enum("Mood", "GOOD BAD")


class Text(enum.StrEnum):
    ONE = "one"


XY = collections.namedtuple("XY", "x y")
P = collections.namedtuple("P", "x y")
Turned = collections.namedtuple("P", "y x")  # type: ignore[name-match]  # of the same name
REFUSED = (RecordingError, TypeError)
V, W = Value(4.0), Value(4.0)
BY_NODE = {V: 5.0, W: 7.0}


def caught(x: Any) -> Any:
    try:
        return x[5]
    except IndexError:
        return x[0] * 2.0


def matched(x: Any) -> Any:
    match x:
        case 0.0:
            return x + 1.0
        case float():
            return x * 2.0
        case [a, b]:
            return a * b
        case _:
            return x * 3.0


@functools.singledispatch
def dispatched(x: Any) -> Any:
    return x * 2.0


@dispatched.register
def _(x: float) -> Any:
    return x * 3.0


def unrecorded(x: Any) -> Any:
    with no_grad():
        return float(Value(x)) * x


def changed(x: Any) -> Any:
    k = Value(x)
    before = k * 2.0
    k.data = 5.0
    return before + k


def refused(x: Any) -> Any:
    try:
        return x * float(x)
    except TypeError:
        return x * 3.0


def root(x: Any) -> Any:
    """Newton's method until nothing changes."""
    last, n = None, 0
    guess = x * 0.5
    while guess != last and n < 60:
        last, guess, n = guess, 0.5 * (guess + x / guess), n + 1
    return guess


def signed(x: Any) -> Any:
    with no_grad():
        return x + math.copysign(1.0, x)


# ---------------------------------------------------------------------- what is asked of arguments

# A function, first arguments, and others.
SAME: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]] = {
    "<": (lambda x: x if x < 1.0 else 2.0 * x, [(0.5,), (1.5,), (1.0,)]),
    "<= and >": (lambda x, y: x if x <= y else 2.0 * x if x > 5.0 else y, [(1.0, 2.0), (6.0, 2.0), (3.0, 2.0)]),
    "== and !=": (lambda x: 1.0 if x == 2.0 else x if x != 3.0 else 9.0, [(2.0,), (3.0,), (4.0,)]),
    "== of nan": (lambda x: x if x == x else 1.0, [(2.0,), (math.nan,)]),
    "a chain of comparisons": (lambda x: x if 0.0 < x < 1.0 else -x, [(0.5,), (2.0,), (-1.0,)]),
    "bool": (lambda x: 2.0 * x if x else 5.0, [(1.0,), (0.0,), (-0.0,), (math.nan,)]),
    "not": (lambda x: 5.0 if not x else x, [(0.0,), (3.0,)]),
    "and, or": (lambda x, y: (x and y) + (x or y), [(1.0, 2.0), (0.0, 2.0), (1.0, 0.0)]),
    "in a list": (lambda x: x if x in [1.0, 2.0] else -x, [(2.0,), (3.0,)]),
    "in a set": (lambda x: x if x in {1.0, 2.0} else -x, [(2.0,), (3.0,)]),
    "in a dict": (lambda x: x * {1.0: 5.0, 2.0: 7.0}.get(x, 9.0), [(2.0,), (1.0,), (4.0,)]),
    "a set of them": (lambda x, y: x * len({x, y}), [(2.0, 2.0), (2.0, 3.0)]),
    "max and min": (lambda x, y: max(x, y) - 2.0 * min(x, y), [(1.0, 2.0), (2.0, 1.0)]),
    "sorted": (lambda x: sorted(x)[1] * x[0], [([3.0, 1.0, 2.0],), ([1.0, 2.0, 3.0],)]),
    "index and count": (lambda x: x[0] * x.index(2.0) + x.count(2.0), [([1.0, 2.0],), ([2.0, 2.0],)]),
    "float": (lambda x: x * float(x), [(2.0,), (3.0,), (-0.0,), (math.nan,)]),
    "int": (lambda x: x * int(x), [(2.5,), (2.7,), (-2.5,), (0.5,), (-0.5,), (1e300,)]),
    "math.trunc": (lambda x: x * math.trunc(x), [(2.5,), (-2.5,), (-0.5,)]),
    "math.floor": (lambda x: x * math.floor(x), [(2.5,), (2.7,), (3.0,), (-2.5,), (-0.0,), (1e300,)]),
    "math.ceil": (lambda x: x * math.ceil(x), [(2.5,), (2.7,), (3.0,), (-2.5,), (1e300,)]),
    "an index by math.floor": (lambda x: x * [5.0, 7.0, 9.0][math.floor(x)], [(0.5,), (2.5,), (1.0,)]),
    "round": (lambda x: x * round(x) + round(x, 1), [(2.5,), (3.5,), (2.44,), (2.46,)]),
    "math.sqrt": (lambda x: x * math.sqrt(x), [(4.0,), (9.0,)]),
    "math.isnan": (lambda x: 1.0 if math.isnan(x) else x, [(4.0,), (math.nan,)]),
    "math.isinf": (lambda x: 1.0 if math.isinf(x) else x, [(4.0,), (math.inf,)]),
    "math.copysign": (lambda x: x + math.copysign(1.0, x), [(0.0,), (-0.0,), (2.0,)]),
    "math.atan2": (lambda x: x + math.atan2(x, -1.0), [(0.0,), (-0.0,)]),
    "complex": (lambda x: x * abs(complex(x, 1.0)), [(2.0,), (3.0,)]),
    "np.float64": (lambda x: x * float(np.float64(x)), [(2.0,), (3.0,)]),
    "an array of floats": (lambda x: x * float(np.array([x], dtype=float)[0]), [(2.0,), (3.0,)]),
    "methods of float": (lambda x: x * x.is_integer() + x.as_integer_ratio()[1], [(2.0,), (2.5,)]),
    "format": (lambda x: x * len(f"{x:.0f}"), [(5.0,), (500.0,)]),
    "format back to a number": (lambda x: x * float(f"{x:.1f}"), [(0.55,), (0.21,)]),
    "str": (lambda x: x * len(str(x)), [(5.0,), (123.25,)]),
    "repr": (lambda x: x * len(repr(x)), [(5.0,), (123.25,), (-0.0,)]),
    "%": (lambda x: x * len("%.3g" % x), [(5.0,), (1234.5,)]),
    "an empty format": (lambda x: x * len(f"{x}"), [(5.0,), (1234.5,)]),
    "text of a list": (lambda x: x[0] * len(str(x)), [([5.0, 1.0],), ([1234.5, 1.0],)]),
    "copy": (lambda x: copy.copy(x) * copy.deepcopy([x])[0], [(2.0,), (3.0,)]),
    "a while loop": (root, [(2.0,), (9.0,)]),
    "any and all": (lambda x: x[0] if any(x) and all(v > 0.0 for v in x) else 9.0, [([1.0, 2.0],), ([1.0, 0.0],)]),
    "functools.reduce": (lambda x: functools.reduce(lambda a, b: a if a > b else b, x) * x[0], [([1.0, 2.0],), ([2.0, 1.0],)]),
    "an exception that is caught": (caught, [([1.0, 2.0],), ([1.0] * 6,)]),
    "isinstance": (lambda x: x * 2.0 if isinstance(x, float) else x * 3.0, [(4.0,), (Value(4.0),), (9.0,)]),
    "isinstance of what is computed": (lambda x, y: x * 2.0 if isinstance(x * y, Value) else x * 3.0, [(4.0, 2.0), (4.0, Value(2.0)), (Value(9.0), 2.0)]),
    "isinstance of an abstract class": (lambda x: x * 2.0 if isinstance(x, numbers.Real) else x * 3.0, [(4.0,), (Value(4.0),)]),
    "match": (matched, [(4.0,), (Value(4.0),), (0.0,), ([1.0, 2.0],)]),
    "a dispatch by class": (lambda x: dispatched(x), [(4.0,), (Value(4.0),)]),
    "a Value where there is none": (lambda x: (x if isinstance(x, Value) else Value(x)) * 2.0, [(4.0,), (Value(9.0),), (9.0,)]),
    "a Value of a number": (lambda x: Value(x), [(4.0,), (9.0,)]),
    "a Value of a whole number": (lambda n: Value(n) * 1.5, [(4,), (9,)]),
    "a Value of its data": (lambda x: Value(x.data) * x, [(Value(4.0),), (Value(9.0),)]),
    "a comparison of a new Value": (lambda x: Value(x) if Value(x) > 5.0 else -x, [(4.0,), (9.0,)]),
    "text of a new Value": (lambda x: x * len(f"{Value(x):.0f}"), [(4.0,), (900.0,)]),
    "a new Value without gradients": (unrecorded, [(4.0,), (9.0,)]),
    "a new Value that changes": (changed, [(4.0,), (9.0,)]),
    "a derivative of a leaf that is cut off": (lambda x: grad(lambda t: V.detach() * t)(x) + grad(lambda t: V.detach())(x), [(4.0,), (Value(4.0),)]),
    "a derivative of an argument that is cut off": (lambda x, y: grad(lambda t: y.detach() * t)(x), [(4.0, Value(3.0)), (Value(4.0), Value(9.0))]),
    "a derivative in a new Value": (lambda x: grad((k := Value(x)) * k * V, [k])[0], [(4.0,), (9.0,)]),
    "a conversion that is caught": (refused, [(Value(2.0),), (2.0,), (Value(4.0),)]),
    "an assertion": (lambda x: x.exp(), [(Value(1.0),), (Value(2.0),)]),
    # whole numbers
    "n + n, n * n": (lambda n: n * n + n - 3, [(3,), (4,), (-5,)]),
    "-n // 2": (lambda x, n: x * (-n // 2), [(1.0, 3), (1.0, 4)]),
    "n & 1, n % 3, n << 1, ~n": (lambda x, n: x * ((n & 1) + n % 3 + (n << 1) + ~n), [(1.0, 3), (1.0, 4), (1.0, 5)]),
    "n >> 1, n | 4, n ^ 3, 7 >> n": (lambda x, n: x * ((n >> 1) + (n | 4) + (n ^ 3) + (7 >> n)), [(1.0, 1), (1.0, 2)]),
    "n ** 2, 2 ** n, abs(n)": (lambda x, n: x * (n**2 + 2**n + abs(n)), [(1.0, 2), (1.0, 5)]),
    "n / 2, 2 / n": (lambda x, n: x * (n / 2 + 2 / n), [(1.0, 2), (1.0, 5)]),
    "divmod": (lambda x, n: x * sum(divmod(n, 3)) + divmod(10, n)[1], [(1.0, 7), (1.0, 8)]),
    "range(n + 1)": (lambda x, n: sum((x * i for i in range(n + 1)), 0.0), [(1.0, 2), (1.0, 5)]),
    "x[n], x[: n + 1], x[n * n]": (lambda x, n: x[n] + sum(x[: n + 1]) + x[n * n], [([1.0, 2.0, 4.0, 8.0, 16.0], 1), ([1.0, 2.0, 4.0, 8.0, 16.0], 2)]),
    "[0.0] * n": (lambda x, n: x * len([0.0] * n) + len("ab" * n) + len((1,) * (n + 1)), [(2.0, 1), (2.0, 3)]),
    "n == 2, n > 1": (lambda x, n: x if n == 2 else 2.0 * x if n > 1 else 9.0, [(1.0, 2), (1.0, 3), (1.0, 0)]),
    "n in a set": (lambda x, n: x * 2.0 if n in {1, 2} else x * 3.0, [(2.0, 0), (2.0, 1), (2.0, 3)]),
    "a dict of n": (lambda x, n: x * {0: 1.0, 1: 2.0}.get(n, 9.0), [(2.0, 0), (2.0, 1), (2.0, 5)]),
    "isinstance(n, int)": (lambda x, n: x * 2.0 if isinstance(n, int) else x * 3.0, [(2.0, 0), (2.0, 1)]),
    "isinstance(n, Value)": (lambda x, n: x * 2.0 if isinstance(n, Value) else x * 3.0, [(2.0, 0), (2.0, 1)]),
    "text of n": (lambda x, n: x * len(f"{n}") + len(str(n)) + len(repr(n)) + len("%d" % n), [(1.0, 3), (1.0, 300)]),
    "int(n), float(n), round(n)": (lambda x, n: x * int(n) + float(n) + round(n) + n.bit_length(), [(1.0, 3), (1.0, 4)]),
    "math.factorial": (lambda x, n: x * math.factorial(n) + math.sqrt(n), [(1.0, 3), (1.0, 4)]),
    "operator.index": (lambda x, n: x * operator.index(n), [(1.0, 3), (1.0, 4)]),
    "itertools": (lambda x, n: x * sum(itertools.islice(itertools.count(), n)), [(1.0, 3), (1.0, 4)]),
    "np.arange": (lambda x, n: x * float(np.arange(n).sum()), [(1.0, 3), (1.0, 4)]),
    "json of n": (lambda x, n: x * len(json.dumps(int(n))), [(1.0, 3), (1.0, 400)]),
    "bool(n)": (lambda x, n: x if n else 2.0 * x, [(1.0, 3), (1.0, 0)]),
    "n with a float and with a Value": (lambda x, n: x * n + n * 0.5 + 0.25 * n - n, [(1.5, 3), (1.5, -4)]),
    "a seed": (lambda x, n: x * random.Random(n).random(), [(1.0, 3), (1.0, 4)]),
    "a huge whole number": (lambda x, n: x * 1.0 if n % 2 else x * 2.0, [(1.0, 2**60), (1.0, 2**60 + 1)]),
    "select": (lambda x, n: select(x, n) * 2.0, [([1.0, 2.0, 3.0], 0), ([1.0, 2.0, 3.0], 2)]),
    # what an argument is
    "a truth value": (lambda x, flag: x if flag is True else 2.0 * x, [(1.0, True), (1.0, False), (1.0, 1)]),
    "None": (lambda x, y=None: x if y is None else y, [(1.0, None), (1.0, 2.0)]),
    "text": (lambda x, kind: x if kind == "a" else 2.0 * x, [(1.0, "a"), (1.0, "b")]),
    "text of another class": (lambda x, kind: x if type(kind) is str else 2.0 * x, [(1.0, "one"), (1.0, Text.ONE)]),
    "an IntEnum": (lambda x, way: x if way is Way.UP else 2.0 * x, [(1.0, Way.UP), (1.0, Way.DOWN), (1.0, 1)]),
    "an Enum": (lambda x, mood: x if mood is Mood.GOOD else 2.0 * x, [(1.0, Mood.GOOD), (1.0, Mood.BAD)]),
    "an IntEnum from a number": (lambda x, n: x * len(Way(n).name), [(1.0, 1), (1.0, 3)]),
    "a float or a whole number": (lambda x, n: x * 2.0 if isinstance(n, int) else x * 3.0, [(1.0, 2), (1.0, 2.0)]),
    "a list or a tuple": (lambda x: x[0] if isinstance(x, list) else x[1], [([1.0, 2.0],), ((1.0, 2.0),)]),
    "the keys 1 and True": (lambda d: next(iter(d.values())) * len(str(next(iter(d)))), [({1: 2.0},), ({True: 2.0},), ({1.0: 2.0},)]),
    "the order of keys": (lambda d: next(iter(d.values())), [({"a": 1.0, "b": 2.0},), ({"b": 2.0, "a": 1.0},)]),
    "two classes of one name": (lambda p: p.x * 10.0 + p.y, [(P(1.0, 2.0),), (Turned(1.0, 2.0),)]),
    "a keyword and a default": (lambda x, y=2.0, *, k=3.0: x * y * k, [(1.0,), (1.0, 5.0)]),
    "nested": (lambda p: p["a"][0] * p["a"][1] if p["k"] > 1.0 else p["k"], [({"a": (1.0, 2.0), "k": 2.0},), ({"a": (1.0, 2.0), "k": 0.5},)]),
    "the sign of a zero": (signed, [(0.0,), (-0.0,)]),
    # Values
    "comparisons of a Value": (lambda x: x if x < 1.0 else x * x if x else 9.0, [(Value(0.5),), (Value(2.0),), (Value(0.0),)]),
    "format of a Value": (lambda x: x * len(f"{x:.0f}"), [(Value(5.0),), (Value(500.0),)]),
    "a float in no_grad": (signed, [(Value(0.0),), (Value(-0.0),), (Value(3.0),)]),
    "a Value's data": (lambda x: x * math.sqrt(x.data) + len(str(x.data)), [(Value(4.0),), (Value(9.5),)]),
    "a Value or a number": (lambda x: x * 2.0 if isinstance(x, Value) else x, [(Value(4.0),), (Value(9.0),)]),
    "a list with a Value in it": (lambda x: x[0] if x[1] in x[:1] else 5.0 * x[0], [([Value(4.0), 4.0],), ([Value(4.0), 5.0],)]),
    "a Value twice": (lambda x, y: x * 2.0 if x == y else x, [(Value(4.0), Value(4.0)), (Value(4.0), Value(5.0))]),
    "a Value in a dict": (lambda x: x * BY_NODE.get(x, 1.0), [(V,), (W,), (Value(4.0),), (4.0,)]),
    "a Value in a set": (lambda x: x * (x in {V}), [(V,), (W,), (V,), (4.0,)]),
    "text of a number, then of a Value's": (lambda x: x * len(str(getattr(x, "data", x))), [(5.0,), (Value(123.25),)]),
    "a set of numbers, then of Values": (lambda x, y: x * len({x, y}), [(2.0, 2.0), (Value(2.0), Value(2.0))]),
    "is": (lambda x, y: x * 2.0 if x is y else x * len({x, y}), [(V, Value(4.0)), (V, V), (Value(5.0), Value(4.0))]),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SAME)
def test_what_is_asked_is_asked_again(name: str, engine: str) -> None:
    f, calls = SAME[name]
    compiled = autograd.compile(f, engine=engine)
    for arguments in [*calls, *calls]:
        want, found = f(*arguments), compiled(*arguments)
        assert type(found) is type(want), arguments
        assert told(found) == told(want), arguments
    if all(len(arguments) == 1 and type(arguments[0]) is float for arguments in calls):
        # The same in the rows of an array.
        rows = autograd.compile(f, engine=engine)(np.array([x for (x,) in calls]))
        assert list(map(told, rows.tolist())) == [told(f(x)) for (x,) in calls]


def put(thing: Any, name: str, value: Any) -> Any:
    """The value, which has become an attribute."""
    setattr(thing, name, value)
    return value


def told(x: Any) -> Any:
    """A number so that nan is itself, to so many digits as regrouped sums keep."""
    x = x.data if isinstance(x, Value) else x
    return f"{float(x) + 0.0:.13g}"


ASKED_OF_A_VALUE: dict[str, Callable[..., Any]] = {
    "float": lambda x: x * float(x),
    "int": lambda x: x * int(x),
    "math": lambda x: x * math.sqrt(x),
    "round": lambda x: x * round(x),
    "np.float64": lambda x: x * np.float64(x),
    "an array of floats": lambda x: x * np.array([x], dtype=float)[0],
    "str": lambda x: x * len(str(x)),
    "repr": lambda x: x * len(repr(x)),
    "an empty format": lambda x: x * len(f"{x}"),
    "text of a list": lambda x: x * len(str([x])),
    "copy": lambda x: x * copy.copy(x),
    "deepcopy": lambda x: x * copy.deepcopy([x])[0],
    "pickle": lambda x: x * len(pickle.dumps(x)),
    "json": lambda x: x * len(json.dumps(x)),
    "an index": lambda x: x * [1.0, 2.0, 3.0][x],
    "range": lambda x: x * len(range(x)),
    "label": lambda x: x * len(x.label),
    "parents": lambda x: x * len(x.parents),
    "is_leaf": lambda x: x if x.is_leaf else 2.0 * x,
    "grad": lambda x: x * x.grad,
    "backward": lambda x: (x * x).backward() or x,
    "zero_grad": lambda x: x.zero_grad() or x,
    "register_hook": lambda x: x.register_hook(print) and x,
    "data of it": lambda x: put(x, "data", 3.0) * x,
    "data of a new Value": lambda x: put(Value(1.0), "data", x.data) * x,
    "a Value of a Value": lambda x: Value(x) * x,
    "a slice": lambda x: x * sum([1.0, 2.0][: x.data]),
    "a key that is pickled": lambda x: x * len(pickle.dumps([x.data])),
}


@pytest.mark.parametrize("name", ASKED_OF_A_VALUE)
def test_what_would_lose_a_gradient_or_freeze_a_number_is_refused(name: str) -> None:
    compiled = autograd.compile(ASKED_OF_A_VALUE[name], engine="numpy")
    with pytest.raises(REFUSED):
        compiled(Value(2.0))
    assert compiled.recordings == []
    assert autograd.compile(lambda x: x * 2.0)(3.0) == 6.0  # nothing is left behind


def test_a_number_of_a_recording_that_is_kept_answers_no_more() -> None:
    spy = Spy()
    autograd.compile(lambda x, n: spy.note(x, n)[0])(2.0, 3)
    x, n = spy.things
    asked: Callable[[], Any]
    for asked in (
        lambda: x * 2.0,
        lambda: x > 1.0,
        lambda: float(x),
        lambda: bool(x),
        lambda: n + 1,
        lambda: range(n),
        lambda: x.data * 1.0,
    ):
        with pytest.raises(RecordingError, match="was kept"):
            asked()
    assert "recorded" in repr(x)
    assert "recorded" in repr(n)


# 0 times an infinite slope: a plain 0 stops, a Value that is 0 does not.
ZEROS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda x, k: grad(lambda t: autograd.cbrt(t) * k)(x),
    "grad of grad": lambda x, k: grad(grad(lambda t: autograd.cbrt(t) * k))(x),
    "jvp": lambda x, k: jvp(autograd.cbrt, (x,), (k,))[1],
    "jvp of grad": lambda x, k: jvp(grad(lambda t: autograd.cbrt(t) * k), (x,), (1.0,))[1],
    "vjp": lambda x, k: autograd.vjp(autograd.cbrt, x)[1](k)[0],
    "hvp": lambda x, k: autograd.hvp(lambda p: autograd.cbrt(p[0]) * k, [x], [1.0])[0],
}


@pytest.mark.parametrize("name", ZEROS)
@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
def test_a_plain_0_stops_an_infinite_slope_as_in_eager_code(name: str) -> None:
    f = ZEROS[name]
    compiled = autograd.compile(f, engine="numpy")
    for k in (2.0, 0.0, Value(2.0), Value(0.0), 0, 0.0):
        for x in (0.5, 0.0):
            assert told(compiled(x, k)) == told(f(x, k)), (x, k)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("x", [math.inf, math.nan, 1.5])
@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")
def test_a_step_that_is_nan_has_a_nan_tangent_as_in_eager_code(x: float, engine: str) -> None:
    def both(x: Any) -> Any:
        return [autograd.ceil(x - x), x * 2.0]

    for f in (lambda x: autograd.ceil(x - x), lambda x: x // 2.0, both):
        compiled = autograd.compile(f, engine=engine)
        assert str(jvp(compiled, (x,), (1.0,))) == str(jvp(f, (x,), (1.0,)))
        assert str(autograd.jacobian(compiled)(x)) == str(autograd.jacobian(f)(x))


def test_a_differentiated_argument_is_none_of_the_values_from_outside() -> None:
    compiled = autograd.compile(lambda x: x * BY_NODE.get(x, 2.0) * len({x, x}))
    for _ in range(2):
        assert compiled.value_and_grad(4.0) == (8.0, 2.0)
        assert told(compiled(V)) == told(V * 5.0)


@pytest.mark.parametrize("first", ["recorded", "quiet"])
def test_a_gradient_of_an_output_is_0_inside_no_grad(first: str) -> None:
    def f(x: Any) -> Any:
        return grad(V * V * x, [V])[0] + x

    compiled = autograd.compile(f, engine="numpy")
    for quiet in (first == "quiet", first != "quiet", first == "quiet"):
        with no_grad() if quiet else recording():
            assert told(compiled(3.0)) == told(f(3.0)) == told(3.0 if quiet else 27.0)


@pytest.mark.parametrize("use", [operator.mul, operator.gt, operator.eq])
def test_a_number_that_an_earlier_recording_kept_is_refused_in_the_next_one(use: Any) -> None:
    kept = Spy()
    kept.note(1.0)

    def f(x: Any) -> Any:
        (before,) = kept.things[-1:]
        kept.note(x)
        return x + 1.0 * use(x, before)

    compiled = autograd.compile(f)
    compiled(2.0)
    with pytest.raises(RecordingError, match="was kept"):
        compiled(3)


# ---------------------------------------------------------------------- what the function closes over


class Box:
    """An object with a number, a container and another object in it."""

    def __init__(self, number: float) -> None:
        self.number, self.list, self.inner = number, [number], self

    def times(self, x: Any) -> Any:
        return x * self.number

    def __call__(self, x: Any) -> Any:
        return x * self.number


SCALE, TABLE = 2.0, [2.0]


def with_globals(x: Any) -> Any:
    return x * SCALE + TABLE[0]


def helper(x: Any) -> Any:
    return x * SCALE


def changed_global(name: str, to: Any) -> Callable[[], None]:
    return lambda: globals().__setitem__(name, to)


def of_a_number() -> Any:
    k = 2.0

    def change() -> None:
        nonlocal k
        k = 5.0

    return lambda x: x * k, change


def of_a_leaf_that_is_another() -> Any:
    w = Value(2.0)

    def change() -> None:
        nonlocal w
        w = Value(5.0)

    return lambda x: x * w, change


def of_a_function_that_is_another() -> Any:
    act: Any = operator.pos

    def change() -> None:
        nonlocal act
        act = operator.neg

    return lambda x: act(x), change


def of_a_default() -> Any:
    def f(x: Any, k: float = 2.0, *, more: float = 1.0) -> Any:
        return x * k + more

    return f, lambda: setattr(f, "__defaults__", (5.0,))


def of_a_default_list(k: Any = None) -> Any:
    kept = [2.0]

    def f(x: Any, k: Any = kept) -> Any:
        return x * k[0]

    return lambda x: f(x), lambda: kept.__setitem__(0, 5.0)


def of_what_another_function_closes_over() -> Any:
    k = 2.0

    def inner(x: Any) -> Any:
        return sum(x * k for _ in range(1))

    def change() -> None:
        nonlocal k
        k = 5.0

    return lambda x: inner(x), change


def closing(make: Callable[[], Any], f: Callable[[Any, Any], Any], change: Any) -> Any:
    def case() -> Any:
        thing = make()
        return (lambda x: f(x, thing)), (lambda: change(thing))

    return case


class Net(Module):
    """Does something else while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.w = Value(2.0)

    def forward(self, x: Any) -> Any:
        return x * self.w if self.training else x * 7.0


class Hidden:
    """A number behind a property."""

    def __init__(self) -> None:
        self._number = 2.0

    @property
    def number(self) -> float:
        return self._number


class Slotted:
    """A number without a dict."""

    __slots__ = ("number",)

    def __init__(self, number: Any = 2.0) -> None:
        self.number = number


def a_module() -> Any:
    module: Any = types.ModuleType("module")
    module.k = 2.0
    return module


def scaled(k: float, x: Any) -> Any:
    return x * k


scaled.k = 2.0  # type: ignore[attr-defined]


# What makes a function and a change after which the function gives something else.
CHANGES: dict[str, Callable[[], Any]] = {
    "a number": of_a_number,
    "a list": closing(lambda: [2.0], lambda x, a: x * a[0], lambda a: a.__setitem__(0, 7.0)),
    "a list that grows": closing(lambda: [2.0], lambda x, a: x * sum(a), lambda a: a.append(7.0)),
    "a list in a list": closing(lambda: [[2.0]], lambda x, a: x * a[0][0], lambda a: a[0].__setitem__(0, 7.0)),
    "a dict": closing(lambda: {"k": 2.0}, lambda x, a: x * a["k"], lambda a: a.update(k=7.0)),
    "a dict in a tuple": closing(lambda: ({"k": 2.0},), lambda x, a: x * a[0]["k"], lambda a: a[0].update(k=7.0)),
    "keys of a dict": closing(lambda: {"k": 2.0}, lambda x, a: x * len(next(iter(a))), lambda a: (a.clear(), a.update(long=2.0))),
    "a set": closing(lambda: {1.0}, lambda x, a: x * len(a), lambda a: a.add(2.0)),
    "an array": closing(lambda: np.array([2.0]), lambda x, a: x * float(a[0]), lambda a: a.__setitem__(0, 7.0)),
    "the shape of an array": closing(lambda: np.arange(4.0), lambda x, a: x * len(a), lambda a: setattr(a, "shape", (2, 2))),
    "a deque": closing(lambda: collections.deque([2.0]), lambda x, a: x * a[0], lambda a: a.__setitem__(0, 7.0)),
    "an array of Python's": closing(lambda: array("d", [2.0]), lambda x, a: x * a[0], lambda a: a.__setitem__(0, 7.0)),
    "bytes": closing(lambda: bytearray([2]), lambda x, a: x * a[0], lambda a: a.__setitem__(0, 7)),
    "a UserDict": closing(lambda: collections.UserDict(k=2.0), lambda x, a: x * a["k"], lambda a: a.update(k=7.0)),
    "an array of whole numbers": closing(lambda: np.arange(4), lambda x, a: x * int(a.max()), lambda a: a.__iadd__(1)),
    "an array of objects": closing(lambda: np.array([2.0, None]), lambda x, a: x * a[0], lambda a: a.__setitem__(0, 7.0)),
    "a flag": closing(lambda: [False], lambda x, a: x if a[0] else 2.0 * x, lambda a: a.__setitem__(0, True)),
    "1 and True": closing(lambda: [1], lambda x, a: x * len(str(a[0])), lambda a: a.__setitem__(0, True)),
    "the sign of a zero": closing(lambda: [0.0], lambda x, a: x * math.copysign(1.0, a[0]), lambda a: a.__setitem__(0, -0.0)),
    "text": closing(lambda: ["a"], lambda x, a: x * len(a[0]), lambda a: a.__setitem__(0, "abc")),
    "a list of leaves": closing(lambda: [Value(2.0)], lambda x, a: x * a[0], lambda a: a.__setitem__(0, Value(7.0))),
    "a leaf that is another": of_a_leaf_that_is_another,
    "a leaf's number": closing(lambda: Value(2.0), lambda x, w: x * w, lambda w: setattr(w, "data", 7.0)),
    "a leaf's data": closing(lambda: Value(2.0), lambda x, w: x * w.data, lambda w: setattr(w, "data", 7.0)),
    "a detached leaf": closing(lambda: Value(2.0), lambda x, w: x * w.detach(), lambda w: setattr(w, "data", 7.0)),
    "a leaf's item": closing(lambda: Value(2.0), lambda x, w: x * w.item(), lambda w: setattr(w, "data", 7.0)),
    "a leaf's grad": closing(lambda: Value(2.0), lambda x, w: x * w * w.grad, lambda w: setattr(w, "grad", 7.0)),
    "a comparison of a leaf": closing(lambda: Value(2.0), lambda x, w: x if w > 3.0 else -x, lambda w: setattr(w, "data", 7.0)),
    "the truth of a leaf": closing(lambda: Value(0.0), lambda x, w: x if w else -x, lambda w: setattr(w, "data", 7.0)),
    "a leaf equal to": closing(lambda: Value(2.0), lambda x, w: x if w == 2.0 else -x, lambda w: setattr(w, "data", 7.0)),
    "a leaf in a list": closing(lambda: Value(2.0), lambda x, w: x if w in [2.0] else -x, lambda w: setattr(w, "data", 7.0)),
    "format of a leaf": closing(lambda: Value(2.0), lambda x, w: x * len(f"{w:.0f}"), lambda w: setattr(w, "data", 700.0)),
    "text of a leaf's data": closing(lambda: Value(2.0), lambda x, w: x * len(str(w.data)), lambda w: setattr(w, "data", 700.0)),
    "text of a leaf": closing(lambda: Value(2.0), lambda x, w: x * len(repr(w)), lambda w: setattr(w, "grad", 0.125)),
    "math of a leaf's data": closing(lambda: Value(4.0), lambda x, w: x * math.sqrt(w.data), lambda w: setattr(w, "data", 9.0)),
    "an index by a leaf": closing(lambda: Value(1.0), lambda x, w: x * [5.0, 6.0, 7.0][int(w.data)], lambda w: setattr(w, "data", 2.0)),
    "an attribute": closing(lambda: Box(2.0), lambda x, box: x * box.number, lambda box: setattr(box, "number", 7.0)),
    "a private attribute": closing(Hidden, lambda x, box: x * box.number, lambda box: setattr(box, "_number", 7.0)),
    "a slot": closing(Slotted, lambda x, box: x * box.number, lambda box: setattr(box, "number", 7.0)),
    "an attribute of the class": closing(lambda: type("Of", (Box,), {"k": 2.0})(1.0), lambda x, box: x * box.k, lambda box: setattr(type(box), "k", 7.0)),
    "an attribute that hides that of the class": closing(lambda: type("Of", (Box,), {"k": 2.0})(1.0), lambda x, box: x * box.k, lambda box: setattr(box, "k", 7.0)),
    "an attribute of a class": closing(lambda: type("Of", (), {"k": 2.0}), lambda x, of: x * of.k, lambda of: setattr(of, "k", 7.0)),
    "a list of a class": closing(lambda: type("Of", (), {"k": [2.0]}), lambda x, of: x * of.k[0], lambda of: of.k.__setitem__(0, 7.0)),
    "an attribute of a module": closing(a_module, lambda x, m: x * m.k, lambda m: setattr(m, "k", 7.0)),
    "an attribute of a function": closing(lambda: functools.wraps(scaled)(lambda x: x), lambda x, f: x * f.k, lambda f: setattr(f, "k", 7.0)),
    "what a bound method belongs to": closing(lambda: {"k": 2.0}.get, lambda x, get: x * get("k"), lambda get: get.__self__.update(k=7.0)),
    "whether a module trains": closing(Net, lambda x, net: net(x), lambda net: net.eval()),
    "a default": of_a_default,
    "a list that is a default": of_a_default_list,
    "what another function closes over": of_what_another_function_closes_over,
    "a function that is another": of_a_function_that_is_another,
    "an argument of a partial": closing(lambda: [2.0], lambda x, a: functools.partial(scaled, a[0])(x), lambda a: a.__setitem__(0, 7.0)),
    "a global that hides a builtin": lambda: ((lambda x: abs(x)), changed_global("abs", operator.neg)),
    "a global": lambda: (with_globals, changed_global("SCALE", 5.0)),
    "a list that is a global": lambda: (with_globals, lambda: TABLE.__setitem__(0, 9.0)),
    "a global of another function": lambda: ((lambda x: helper(x)), changed_global("SCALE", 5.0)),
    "a global function": lambda: ((lambda x: helper(x)), changed_global("helper", operator.neg)),
}  # fmt: skip


@pytest.fixture
def globals_kept() -> Any:
    before = SCALE, list(TABLE), helper
    yield
    globals().update(SCALE=before[0], helper=before[2])
    globals().pop("abs", None)
    TABLE[:] = before[1]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_function_closes_over_is_seen_to_change(
    name: str, engine: str, globals_kept: None
) -> None:
    f, change = CHANGES[name]()
    compiled = autograd.compile(f, engine=engine)
    rows = autograd.compile(f, engine=engine, reduction="sum")
    x = np.array([3.0, 4.0])
    before = told(f(3.0))
    assert told(compiled(3.0)) == told(compiled(3.0)) == before
    rows(x)
    again = compiled.recorded
    compiled(3.0)
    assert compiled.recorded == again
    change()
    assert told(f(3.0)) != before, "the case is none"
    assert told(compiled(3.0)) == told(f(3.0))
    assert told(rows(x)) == told(f(3.0) + f(4.0))
    assert told(compiled.value_and_grad(3.0)[0]) == told(f(3.0))


def of_a_partial() -> Any:
    weights = [2.0]
    return functools.partial(lambda w, x: x * w[0], weights), lambda: weights.__setitem__(0, 7.0)


def of_a_method() -> Any:
    box = Box(2.0)
    return box.times, lambda: setattr(box, "number", 7.0)


def of_an_object() -> Any:
    box = Box(2.0)
    return box, lambda: setattr(box, "number", 7.0)


def of_a_compiled_one() -> Any:
    f, change = of_a_number()
    inner = autograd.compile(f)
    return autograd.compile(lambda x: inner(x) + 1.0), change


def test_whole_numbers_that_no_float_has_are_refused_in_a_result() -> None:
    compiled = autograd.compile(lambda n: n + 1)
    assert compiled(2**53 + 1) == 2**53 + 2  # a float has it
    with pytest.raises(RecordingError, match="9007199254740993 in the result is too large"):
        compiled(2**53)


@pytest.mark.parametrize("case", [of_a_partial, of_a_method, of_an_object, of_a_compiled_one])
def test_what_is_called_may_be_more_than_a_function(case: Any) -> None:
    f, change = case()
    compiled = autograd.compile(f)
    assert told(compiled(3.0)) == told(f(3.0))
    change()
    assert told(compiled(3.0)) == told(f(3.0))


def test_what_goes_back_to_an_earlier_state_is_not_recorded_again() -> None:
    k = [1.0]
    compiled = autograd.compile(lambda x: x * k[0])
    for number in (1.0, 2.0, 1.0, 2.0, 1.0):
        k[0] = number
        assert compiled(3.0) == 3.0 * number
        assert compiled.value_and_grad(3.0) == (3.0 * number, number)
    assert compiled.recorded == 2
    k[0] = float("1.0")  # another object, the same number
    assert compiled(3.0) == 3.0
    assert compiled.recorded == 2


def test_long_containers_are_known_by_their_length_and_large_arrays_by_identity() -> None:
    numbers, array = [0.0] * 5000, np.zeros(50_000)
    compiled = autograd.compile(lambda x: x * len(numbers) + array.size)
    assert compiled(2.0) == 60_000.0
    numbers.append(1.0)
    assert compiled(2.0) == 60_002.0


def test_a_flat_sees_what_changes_too() -> None:
    w, k = Value(2.0), [1.0]
    compiled = autograd.compile(lambda x: w * x * k[0], reduction="sum")
    x = np.array([1.0, 2.0])
    with compiled.flat([w]) as flat:
        for number in (1.0, 1.0, 5.0, 5.0):
            k[0] = number
            assert flat.backward(x) == 6.0 * number
            assert flat.gradients.tolist() == [3.0 * number]
            assert flat(x) == 6.0 * number


# ---------------------------------------------------------------------- what a function does beside


def counting() -> Any:
    n = 0

    def f(x: Any) -> Any:
        nonlocal n
        n += 1
        return x * n

    return f


def appending() -> Any:
    seen: list[Any] = []
    return lambda x: x * len(seen.__iadd__([1.0]))


def remembering() -> Any:
    memo: dict[str, Any] = {}
    return lambda x: x * len([memo.setdefault("x", 1.0)])


def moving() -> Any:
    box = Box(2.0)
    return lambda x: x * put(box, "number", box.number + 1.0)


def generating(generator: Any) -> Any:
    return lambda: lambda x: x * generator.random()


class Dropping:
    """Holds a generator deep inside."""

    def __init__(self) -> None:
        self.parts = [{"generator": random.Random(0)}]

    def __call__(self, x: Any) -> Any:
        return x * self.parts[0]["generator"].random()


def writing(name: str) -> Any:
    def make() -> Any:
        w = Value(1.0)
        return lambda x: w * x * put(w, name, 5.0)

    return make


def doing(name: str, *arguments: Any) -> Any:
    def make() -> Any:
        w = Value(1.0)
        return lambda x: (getattr(w, name)(*arguments) and w * x) or w * x

    return make


def iterating(make: Callable[[], Any]) -> Any:
    def case() -> Any:
        numbers = make()
        return lambda x: x * next(numbers)

    return case


def drawing(of: Any) -> Any:
    return lambda x: x * of.rng.random()


class Counting:
    """Counts its calls where nobody looks."""

    _calls = 0

    def __call__(self, x: Any) -> Any:
        self._calls += 1
        return x * self._calls


SIDE_EFFECTS: dict[str, tuple[Callable[[], Any], str]] = {
    "a counter": (counting, "the function changes 'n'"),
    "a list": (appending, "the function changes 'seen'"),
    "a memory": (remembering, "the function changes 'memo'"),
    "an attribute": (moving, "the function changes 'box"),
    "a private attribute": (Counting, "the function changes"),
    "a list that is an argument": (lambda: lambda x: x.append(1.0) or x[0], "changes a list or dict that is an argument"),
    "an entry of an argument": (lambda: lambda x: x.__setitem__(0, 2.0 * x[0]) or x[0], "changes a list or dict that is an argument"),
    "an iterator": (iterating(lambda: iter([1.0, 2.0])), "the iterator 'numbers'"),
    "itertools.count": (iterating(itertools.count), "the iterator 'numbers'"),
    "a generator": (iterating(lambda: (k * 1.0 for k in range(9))), "the iterator 'numbers'"),
    "a generator of a class": (lambda: drawing(type("Of", (), {"rng": random.Random(0)})), "random numbers"),
    "a generator of an object's class": (lambda: drawing(type("Of", (), {"rng": random.Random(0)})()), "random numbers"),
    "a generator in a slot": (lambda: (lambda box: lambda x: x * box.number.random())(Slotted(random.Random(0))), "random numbers"),
    "a generator in a deque": (lambda: (lambda box: lambda x: x * box[0].random())(collections.deque([random.Random(0)])), "random numbers"),
    "a method of a generator": (lambda: (lambda draw: lambda x: x * draw())(random.Random(0).random), "random numbers"),
    "random": (lambda: lambda x: x * random.random(), r"random numbers .*\(the module random has moved"),
    "random.gauss": (lambda: lambda x: x * random.gauss(0.0, 1.0), "random numbers"),
    "a shuffle": (lambda: lambda x: random.sample(x, 2)[0] * 1.0, "random numbers"),
    "numpy.random": (lambda: lambda x: x * float(np.random.rand()), r"random numbers .*\(numpy\.random has moved"),
    "a Random": (generating(random.Random(0)), r"random numbers .*\(a Random that it holds"),
    "a Generator": (generating(np.random.default_rng(0)), r"random numbers .*\(a Generator that it holds"),
    "a RandomState": (generating(np.random.RandomState(0)), "random numbers"),
    "a generator deep inside": (Dropping, "random numbers"),
    "data": (writing("data"), r"changes the \.data of a Value from outside"),
    "grad": (writing("grad"), r"changes the \.grad of a Value from outside"),
    "backward": (doing("backward"), "return the loss instead"),
    "zero_grad": (doing("zero_grad"), "return the loss instead"),
    "register_hook": (doing("register_hook", print), "does not run hooks"),
}  # fmt: skip


@pytest.mark.parametrize("name", SIDE_EFFECTS)
def test_what_a_replay_would_not_repeat_is_refused_by_name(name: str) -> None:
    make, why = SIDE_EFFECTS[name]
    compiled = autograd.compile(make(), engine="numpy")
    argument: Any = [1.0, 2.0] if name == "a shuffle" or "argument" in name else 2.0
    with pytest.raises(RecordingError, match=why):
        compiled(argument)
    assert compiled.recordings == []
    assert vars(Value)["data"] is not None
    w = Value(3.0)
    w.data = 4.0  # nobody is watched any more
    assert (w.data, float(w.detach().item())) == (4.0, 4.0)


def test_a_leaf_that_changes_behind_the_back_of_a_recording_is_seen() -> None:
    w = Value(1.0)

    def f(x: Any) -> Any:
        y = w * x
        number_writer([w], [5.0])()
        return y + w * x

    with pytest.raises(RecordingError, match=r"changes the \.data of a Value from outside"):
        autograd.compile(f)(2.0)
    w.grad = 1.0
    optimizer = SGD([w], lr=0.1)

    def stepping(x: Any) -> Any:
        optimizer.step()
        return w * x

    with pytest.raises(REFUSED):
        autograd.compile(stepping)(2.0)


def test_a_generator_of_the_functions_own_is_its_own_affair() -> None:
    def f(x: Any, seed: int) -> Any:
        rng = random.Random(seed)
        return x * rng.random() + float(np.random.default_rng(int(seed)).random())

    compiled = autograd.compile(f)
    for seed in (0, 1, 0):
        assert compiled(2.0, seed) == f(2.0, seed)


def test_a_constant_that_changes_halfway_has_both_of_its_numbers() -> None:
    def f(x: Any) -> Any:
        k = Value(1.0)
        before = x * k
        k.data = 2.0
        return before + x * k + k.data + k.detach()

    compiled = autograd.compile(f)
    assert compiled(Value(3.0)).data == f(Value(3.0)).data == 3.0 + 6.0 + 2.0 + 2.0


def test_an_anomaly_is_found_in_every_call() -> None:
    def f(x: Any) -> Any:
        with detect_anomaly():
            return (x * 2.0).log() + 1.0

    for engine in ENGINES:
        compiled = autograd.compile(f, engine=engine)
        assert compiled(1.0) == pytest.approx(math.log(2.0) + 1.0)
        for x in (0.0, math.inf, math.nan):
            with pytest.raises(NonFiniteError, match=r"(log|mul)\(x"):
                compiled(x)
        assert compiled(2.0) == pytest.approx(math.log(4.0) + 1.0)
        assert compiled.recorded == 1


def test_a_detection_around_a_call_is_heeded_with_and_without_values() -> None:
    compiled = autograd.compile(lambda x: x.log())
    compiled(1.0)
    compiled(Value(1.0))
    arguments: list[Any] = [0.0, Value(0.0), np.array([1.0, 0.0])]
    ways: list[Any] = [
        compiled,
        compiled.backward,
        compiled.value_and_grad,
        compiled.parameter_gradients,
    ]
    for argument, way in itertools.product(arguments, ways):
        with detect_anomaly(), pytest.raises(NonFiniteError, match=r"log\(x\) = -inf"):
            way(argument)
    with detect_anomaly():
        assert compiled(1.0) == compiled.backward(Value(1.0)) == 0.0
    root = autograd.compile(lambda x: x.sqrt() * 1.0)
    w = Value(1.0)
    rooted = autograd.compile(lambda x: w * x.sqrt(), reduction="sum")
    differentiations: list[Any] = [
        root.value_and_grad,
        lambda x: root.backward(Value(x)),
        lambda x: rooted.backward(Value(x)),
    ]
    for differentiate in differentiations:
        with detect_anomaly(), pytest.raises(NonFiniteError, match="sqrt"):
            differentiate(0.0)


# ---------------------------------------------------------------------- derivatives inside


INNER: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]] = {
    "a factor of 1": (lambda x, y: grad(lambda t: t * y)(x) * y, [(2.0, 1.0), (2.0, 3.0), (2.0, -1.0)]),
    "a factor of the variable": (lambda x: grad(lambda t: t * x * t)(1.0), [(1.0,), (-1.0,), (3.0,)]),
    "in what is outside": (lambda x: x * grad(lambda y: x * y)(1.0), [(2.0,), (1.0,), (-1.0,)]),
    "jvp": (lambda x, v: jvp(lambda t: t * t * x, (x,), (v,))[1], [(2.0, 1.0), (1.0, 0.0), (3.0, 2.0)]),
    "hessian": (lambda x: autograd.hessian(lambda p: p[0] * p[1] * p[0])([x, 1.0])[0][1], [(1.0,), (0.5,)]),
    "a branch inside": (lambda x: grad(lambda t: t * t if t > 1.0 else t * x)(x), [(2.0,), (0.5,)]),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", INNER)
def test_a_derivative_inside_is_the_eager_one_and_has_one(name: str, engine: str) -> None:
    f, calls = INNER[name]
    compiled = autograd.compile(f, engine=engine)
    for arguments in calls:
        assert told(compiled(*arguments)) == told(f(*arguments))
        value, slope = compiled.value_and_grad(*arguments)
        want, wanted = autograd.value_and_grad(f)(*arguments)
        assert (told(value), told(slope)) == (told(want), told(wanted))
        assert told(grad(compiled)(*arguments)) == told(wanted)


CHOICES: dict[str, Callable[..., Any]] = {
    "grad": lambda x, n: grad(lambda t: select([t * 2.0, t * t, t.exp()], n))(x),
    "jvp": lambda x, n: jvp(lambda t: select([t * 2.0, t * t, t.exp()], n), (x,), (1.5,))[1],
    "vjp": lambda x, n: autograd.vjp(lambda t: select([t * 2.0, t * t, t], n) * t, x)[1](2.0)[0],
    "hessian": lambda x, n: autograd.hessian(lambda t: select([t, t * t, t.exp()], n) * t)(x),
    "a mask": lambda x, n: grad(lambda t: autograd.replaced([t, t * t], n, 0.5)[1] * t)(x),
    "numbers and Values": lambda x, n: grad(lambda t: select([t * t, 3.0, x], n) * t)(x),
    "the largest": lambda x, n: grad(lambda t: select([t, x, t * t], autograd.argmax([t, x, t * t])) * t)(x),
    "rows": lambda x, n: grad(lambda t: select([[t, x], [t * t, t], [x, t]], n)[0] * t)(x),
    "what is chosen outside": lambda x, n: grad(lambda t: select([x, x * x, 2.0 * x], n) * t)(x),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CHOICES)
def test_a_derivative_through_a_choice_is_the_eager_one_and_has_one(name: str, engine: str) -> None:
    f = CHOICES[name]
    compiled = autograd.compile(f, engine=engine)
    for x, n in ((2.0, 0), (0.5, 1), (3.0, 1 if name == "a mask" else 2), (2.0, 1)):
        assert told(compiled(x, n)) == told(f(Value(x), n))
        with no_grad():
            assert told(compiled(Value(x), n)) == told(f(Value(x), n))
        slope, wanted = grad(compiled)(x, n), grad(f)(x, n)
        assert told(slope) == told(wanted)
        assert told(grad(grad(compiled))(x, n)) == told(grad(grad(f))(x, n))
        assert told(compiled.value_and_grad(x, n)[1]) == told(wanted)


def test_inf_among_what_is_not_chosen_does_not_spoil_derivatives() -> None:
    w = [Value(1.0), Value(math.inf), Value(3.0)]
    f = autograd.compile(lambda x, n: select(w, n) * x * x)
    for n, want in ((0, 2.0), (2, 6.0)):
        assert autograd.hessian(f)(1.5, n).data == want
        assert f.hvp([0.0] * 3, 1.5, n).tolist() == [0.0] * 3


# ---------------------------------------------------------------------- what is not seen


def hidden() -> Any:
    spy = Spy()
    spy.named["k"] = 2.0
    return (lambda x: x * spy.named["k"]), (lambda: spy.named.update(k=5.0))


def test_what_lies_too_deep_is_found_by_verify() -> None:
    f, change = hidden()
    blind, compiled = autograd.compile(f), autograd.compile(f, verify=3)
    assert (blind(3.0), compiled(3.0)) == (6.0, 6.0)
    change()
    assert blind(3.0) == 6.0, "not seen"
    assert compiled(3.0) == 6.0
    with pytest.raises(ReplayError, match=r"the result is 6\.0; the function itself gives 15\.0"):
        compiled(3.0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SAME)
@pytest.mark.traced(every=10)
def test_verify_agrees_where_nothing_is_hidden(name: str, engine: str) -> None:
    f, calls = SAME[name]
    compiled = autograd.compile(f, engine=engine, verify=1)
    for arguments in calls:
        compiled(*arguments)
        with no_grad():
            compiled(*arguments)


def test_verify_looks_at_gradients_rows_and_arrays_too() -> None:
    w, spy = Value(2.0), Spy()
    spy.named["k"] = 1.0

    def f(x: Any) -> Any:
        return w * x[0] + x[1] * x[1] + (spy.named["k"] - 1.0) * (x[0] - x[0].detach())

    compiled = autograd.compile(f, verify=1, reduction="sum")
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert compiled(x).data == 28.0
    assert compiled.value_and_grad(x)[1].tolist() == [[2.0, 4.0], [2.0, 8.0]]
    assert compiled.parameter_gradients(x)[1].tolist() == [4.0]
    with compiled.flat([w]) as flat:
        assert (flat.backward(x), flat.backward(x), flat(x)) == (28.0, 28.0, 28.0)
    assert compiled.backward(x) == 28.0
    spy.named["k"] = 3.0  # the result is the same, and the gradient another
    assert compiled(x).data == 28.0
    with pytest.raises(
        ReplayError, match=r"the gradient in the arguments is \[2\.0, 4\.0\]; .*\[4\.0, 4\.0\]"
    ):
        compiled.value_and_grad(x)


# ---------------------------------------------------------------------- threads and what is left behind


def test_a_recording_may_wait_for_a_thread_that_records() -> None:
    g = autograd.compile(lambda v: v * v)
    with ThreadPoolExecutor(1) as pool:
        f = autograd.compile(lambda x: pool.submit(g, 3.0).result() * x)
        assert (f(2.0), f(5.0)) == (18.0, 45.0)


def test_a_recording_may_wait_for_a_thread_that_records_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("autograd.compiled.recordings._LOCK_TIMEOUT", 0.05)
    calls = Spy()
    with ThreadPoolExecutor(1) as pool:

        def f(x: Any) -> Any:
            calls.things.append(1)
            inner = pool.submit(compiled, 3.0).result() if len(calls.things) == 1 else 1.0
            return x * 2.0 * inner

        compiled = autograd.compile(f)
        assert compiled(2.0) == 4.0 * 6.0


def test_numbers_of_a_recording_are_refused_in_another_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        f = autograd.compile(lambda x: pool.submit(lambda: x * 2.0).result())
        with pytest.raises(RecordingError, match="used outside of it"):
            f(2.0)


def test_values_are_as_usual_in_other_threads_while_one_records() -> None:
    recording, done = threading.Event(), threading.Event()
    w = Value(2.0)

    def slow(x: Any) -> Any:
        recording.set()
        assert done.wait(10.0)
        return x * w

    with ThreadPoolExecutor(2) as pool:
        future = pool.submit(autograd.compile(slow), 3.0)
        assert recording.wait(10.0)
        other = autograd.compile(lambda x: x * w.data)
        assert other(4.0) == 8.0
        (w * w).backward()
        w.data += 1.0
        seen = (w.data, w.grad, type(w.data), w.detach().data)
        done.set()
        future.result()
    assert seen == (3.0, 4.0, float, 3.0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_while_recording_leaves_nothing_behind(error: type[BaseException]) -> None:
    w = Value(2.0)

    def f(x: Any) -> Any:
        y = x * w
        if x > 1.0:
            raise error("stop")
        return y

    compiled = autograd.compile(f)
    before = vars(Value)["data"]
    with pytest.raises(error, match="stop"):
        compiled(2.0)
    assert vars(Value)["data"] is before
    assert autograd.modes.present_mode() is None
    assert compiled.recordings == []
    assert compiled(1.0).data == 2.0
    with pytest.raises(error, match="stop"):
        compiled(2.0)
    assert len(compiled.recordings) == 1


def test_keywords_are_bound_as_the_signature_says() -> None:
    def f(x: Any, y: Any = 2.0, *, k: Any = 3.0) -> Any:
        return x * y * k

    compiled = autograd.compile(f)
    assert (compiled(1.0), compiled(1.0, y=3.0), compiled(y=3.0, x=1.0)) == (6.0, 9.0, 9.0)
    assert compiled(1.0, 3.0, k=1.0) == compiled(1.0, k=1.0, y=3.0) == 3.0
    assert compiled.value_and_grad(1.0, y=4.0, argnums=1) == (12.0, 3.0)
    assert compiled.value_and_grad(1.0, 4.0, argnums=(0, -1), k=2.0) == (8.0, (8.0, 2.0))
    assert compiled(np.array([1.0, 2.0]), y=np.array([3.0, 4.0])).tolist() == [9.0, 24.0]
    x = Value(2.0)
    compiled(1.0, y=x, k=x).backward()
    assert x.grad == 4.0
    for wrong in ({"z": 1.0}, {"x": 2.0}):
        with pytest.raises(TypeError, match="argument"):
            compiled(1.0, **wrong)


def test_a_function_may_be_one_of_the_librarys() -> None:
    assert autograd.compile(autograd.tanh)(0.5) == math.tanh(0.5)
    assert autograd.compile(operator.mul)(2.0, 3.0) == 6.0
    model = MLP([2, 1], None, seed=0)
    assert autograd.compile(model.forward)([1.0, 2.0])[0].data == model([1.0, 2.0])[0].data


class Pair(NamedTuple):
    """Two numbers."""

    first: Any
    second: Any


def test_containers_that_would_not_arrive_whole_are_refused() -> None:
    class Batch(list):  # type: ignore[type-arg]
        pass

    batch = Batch([1.0, 2.0])
    assert autograd.compile(lambda x: x[0] * x[1])(batch) == 2.0
    batch.size = 5  # type: ignore[attr-defined]
    for refused in (batch, collections.defaultdict(float, a=1.0)):
        with pytest.raises(TypeError, match="has more than its entries"):
            autograd.compile(lambda x: 1.0)(refused)
    assert autograd.compile(lambda p: p.first * p.second)(Pair(2.0, 3.0)) == 6.0
    assert autograd.compile(lambda p: Pair(p.second, p.first))(Pair(2.0, 3.0)) == Pair(3.0, 2.0)
