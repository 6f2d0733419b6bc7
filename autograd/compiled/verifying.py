"""`check`: for `compile(f, verify=n)`, a compiled function is compared with the function itself."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from autograd.adjoints import gradients
from autograd.compiled.arguments import Call
from autograd.compiled.serving import Request, Response
from autograd.compiled.traced import ReplayError
from autograd.modes import recording
from autograd.nestings import leaves
from autograd.operands import item
from autograd.order import topological
from autograd.value import Value


def check(
    function: Callable[..., Any], name: str, call: Call, response: Response, request: Request
) -> None:
    """Raise ReplayError if the function itself gives another result or another gradient."""
    if request.sink.flat is not None:
        request.sink.flat.write()  # the function runs on the Values
    total = {} if request.scale is None else request.sink.total()
    slopes = dict.fromkeys(total, 0.0)
    size, tolerance = 0.0, response.first.precision.tolerance
    for k in range(len(call.numbers)):
        inputs, result = _eager(function, call, k, request.scale is not None)
        outputs = list(leaves(result))
        size = max(size, _size(outputs))
        allowed = tolerance * size
        _compare(name, "result", response.out[k].tolist(), [item(z) for z in outputs], allowed)
        if request.scale is None or not isinstance(outputs[0], Value):
            continue
        back: dict[Value, float] = {}
        for index, value in inputs.items():
            # The same Value may be given twice, or be a parameter.
            slopes_of = total if value in total else back
            slopes_of[value] = slopes_of.get(value, 0.0) + float(response.back[k, index])
        eager = gradients([(outputs[0], request.scale)], [*back, *slopes], False)
        largest, count = max([size, *map(abs, eager)]), len(back)
        allowed = tolerance * largest
        _compare(name, "gradient in the arguments", list(back.values()), eager[:count], allowed)
        for p, slope in zip(slopes, eager[count:], strict=True):
            slopes[p] += slope
    if total:
        largest = max(size, *map(abs, slopes.values()))
        _compare(
            name, "gradient in the parameters", list(total.values()), list(slopes.values()),
            tolerance * largest,
        )  # fmt: skip


def _eager(
    function: Callable[..., Any], call: Call, k: int, differentiate: bool
) -> tuple[dict[int, Value], Any]:
    """The inputs of a sample whose gradient is wanted, by index, and the function's result."""
    numbers = dict(enumerate(call.numbers[k].tolist()))
    inputs, given = {}, call.value_inputs()
    for index, z in numbers.items():
        if differentiate and call.values >> index & 1:
            value = given[index]
            inputs[index] = Value(z) if value is None else value
    with recording() if differentiate else nullcontext():
        args, named = call.sample(k, inputs)
        try:
            return inputs, function(*args, **named)
        except AttributeError:
            # A compiled function gets Values in place of numbers, and may use their methods.
            values = {index: Value(z) for index, z in numbers.items()}
            args, named = call.sample(k, values | inputs)
            return inputs, function(*args, **named)


def _size(outputs: Sequence[Any]) -> float:
    """The largest finite number among the outputs and the nodes behind them."""
    roots = [output for output in outputs if isinstance(output, Value)]
    sizes = [abs(node.data) for node in topological(*roots)]
    sizes += [abs(item(output)) for output in outputs]
    return max([x for x in sizes if math.isfinite(x)], default=0.0)


def _compare(
    name: str, quantity: str, compiled: list[float], eager: list[float], allowed: float
) -> None:
    agree = len(compiled) == len(eager) and all(
        x == y or (x != x and y != y) or abs(x - y) <= allowed
        for x, y in zip(compiled, eager, strict=True)
    )
    if not agree:
        raise ReplayError(
            f"{name}: compiled, the {quantity} is {_shown(compiled)}; the function itself gives "
            f"{_shown(eager)}.  It may depend on something that `compile` does not see, such as "
            "a file, the time, or what is deep inside an object: pass that as an argument"
        )


def _shown(numbers: list[float]) -> str:
    text = ", ".join(map(repr, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return text if len(numbers) == 1 else f"[{text}]"
