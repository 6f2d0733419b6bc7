"""Whether a compiled function answers as the function itself does: `compile(f, verify=n)`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from autograd.adjoints import gradients
from autograd.compiled.arguments import Call
from autograd.compiled.serving import Served, Wish
from autograd.compiled.traced import ReplayError
from autograd.modes import no_grad, recording
from autograd.nestings import leaves
from autograd.operands import item
from autograd.order import topological
from autograd.value import Value

# Of the largest number that the function computes on its way: regrouped sums differ in last bits.
TOLERANCE = 1e-9


def check(function: Callable[..., Any], name: str, call: Call, served: Served, wish: Wish) -> None:
    """Raise ReplayError if the function gives other numbers, or has another gradient."""
    if wish.sink.flat is not None:
        wish.sink.flat.write()  # the function runs on the Values
    total = {} if wish.scale is None else _total(wish)
    slopes = dict.fromkeys(total, 0.0)
    size = 0.0
    for k in range(len(call.numbers)):
        inputs, result = _eager(function, call, k, wish.scale is not None)
        outputs = list(leaves(result))
        size = max(size, _size(outputs))
        _compare(name, "result", served.out[k].tolist(), [item(z) for z in outputs], size)
        if wish.scale is None or not isinstance(outputs[0], Value):
            continue
        found = gradients([(outputs[0], wish.scale)], [*inputs.values(), *slopes], False)
        back = served.back[k].tolist()
        own = [back[place] for place in inputs]
        biggest = max([size, *map(abs, found)])
        _compare(name, "gradient in the arguments", own, found[: len(inputs)], biggest)
        for p, slope in zip(slopes, found[len(inputs) :], strict=True):
            slopes[p] += slope
    if total:
        biggest = max(size, *map(abs, slopes.values()))
        _compare(
            name, "gradient in the parameters", list(total.values()), list(slopes.values()), biggest
        )


def _total(wish: Wish) -> dict[Value, float]:
    flat = wish.sink.flat
    if flat is None:
        return wish.sink.total()
    return dict(zip(flat.parameters, wish.sink.sum.tolist(), strict=True))


def _eager(
    function: Callable[..., Any], call: Call, k: int, differentiate: bool
) -> tuple[dict[int, Value], Any]:
    """Inputs of a sample that a gradient is wanted in, by place, and the function's result."""
    numbers = dict(enumerate(call.numbers[k].tolist()))
    inputs = {}
    if differentiate:
        inputs = {place: Value(z) for place, z in numbers.items() if call.values >> place & 1}
    with recording() if differentiate else no_grad():
        args, named = call.plainly(k, inputs)
        try:
            return inputs, function(*args, **named)
        except AttributeError:
            # To a compiled function a number is a Value, and it may use the methods of one.
            values = {place: Value(z) for place, z in numbers.items()}
            args, named = call.plainly(k, values | inputs)
            return inputs, function(*args, **named)


def _size(outputs: Sequence[Any]) -> float:
    roots = [one for one in outputs if isinstance(one, Value)]
    found = [abs(node.data) for node in topological(*roots)]
    found += [abs(item(one)) for one in outputs]
    return max([x for x in found if math.isfinite(x)], default=0.0)


def _compare(name: str, what: str, found: list[float], wanted: list[float], size: float) -> None:
    right = len(found) == len(wanted) and all(
        x == y or (x != x and y != y) or abs(x - y) <= TOLERANCE * size
        for x, y in zip(found, wanted, strict=True)
    )
    if not right:
        raise ReplayError(
            f"{name}: compiled, the {what} is {_shown(found)}; the function itself gives "
            f"{_shown(wanted)}.  It may depend on something that `compile` does not see, such as "
            "what is deep inside an object, a file or the time: pass that as an argument"
        )


def _shown(numbers: list[float]) -> str:
    text = ", ".join(map(repr, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return text if len(numbers) == 1 else f"[{text}]"
