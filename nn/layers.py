"""Neurons, layers, and networks of layers.

Call a module with a sequence of numbers or Values.  It opens a scope with its name, so pictures
show its nodes as a group.  There are no derivatives here.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, final

from autograd import Value, select
from autograd.elsewhere import absent, advised
from autograd.operation import Operation
from autograd.ops import Ops
from autograd.options import Seed, generator, position, whole
from nn import init
from nn.activations import COMPOSED, Activation, activation_function, gain, moments
from nn.init import Initializer
from nn.module import Module, grouped, opens_scope
from nn.tables import is_row, sample

Number = Any  # a float or a Value
Row = Sequence[Number]


@final
class Neuron(Module):
    """f(w1 x1 + ... + wn xn + b), as one Value.

    Args:
        fan_in: the number of inputs.
        activation: the name of an operation, any function of a Value, or None.
        bias: whether there is a b; it starts at 0.
        init: an `Initializer` for the weights, or its name, as in "he_normal"; by default their
            variance is gain^2 / fan_in with the activation's own gain (`init.gain`), which
            preserves the size of the signal.
        seed: an int, a `random.Random`, or None.

    A call raises ValueError for a wrong number of inputs.

    >>> neuron = Neuron(2, "tanh", seed=0)
    >>> neuron.load_state_dict({"weights": [2.0, -1.0], "bias": 0.5})
    >>> y = neuron([1.0, 1.5])
    >>> y.data == Value(1.0).tanh().data
    True
    """

    @advised
    def __init__(
        self,
        fan_in: int,
        activation: Activation = None,
        *,
        bias: bool = True,
        init: Initializer | str | None = None,
        seed: Seed = None,
        name: str = "neuron",
    ) -> None:
        super().__init__(name)
        self.activation = activation_function(activation)
        self.init = _initializer(init, activation)
        row = self.init(whole(fan_in, f"{name}: fan_in"), 1, seed)[0]
        self.weights = [Value(weight, f"w{i}") for i, weight in enumerate(row)]
        self.bias = Value(0.0, "b") if bias else None

    def forward(self, x: Row) -> Value:
        """The neuron's output for one input of `fan_in` numbers."""
        row = _row(x, len(self.weights), self.name)
        total: Any = None
        for weight, number in zip(self.weights, row, strict=True):
            total = weight * number if total is None else total + weight * number
        if self.bias is not None:
            total = total + self.bias
        result: Value = total if self.activation is None else self.activation(total)
        return result

    def describe(self) -> str:
        """The number of inputs and the activation."""
        return f"{len(self.weights)} -> 1 {activation_name(self.activation)}".rstrip()


@final
class Layer(Module):
    """`fan_out` neurons with the same inputs; PyTorch's Linear and Keras' Dense.

    The output is a list of `fan_out` Values, even if there is only one.  The arguments are those of
    `Neuron`; the initializer fills the layer's matrix, one row for each neuron.

    >>> layer = Layer(3, 2, "relu", seed=0)
    >>> len(layer([1.0, 2.0, 3.0])), layer
    (2, Layer 3 -> 2 relu: 8 parameters)
    >>> layer([1.0, 2.0])
    Traceback (most recent call last):
    ValueError: layer: expected 3 inputs, got 2
    """

    @advised
    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        activation: Activation = None,
        *,
        bias: bool = True,
        init: Initializer | str | None = None,
        seed: Seed = None,
        name: str = "layer",
    ) -> None:
        super().__init__(name)
        self.fan_in = whole(fan_in, f"{name}: fan_in")
        self.fan_out = whole(fan_out, f"{name}: fan_out")
        self.activation = activation_function(activation)
        self.init = _initializer(init, activation)
        self.neurons = []
        for i, row in enumerate(self.init(self.fan_in, self.fan_out, seed)):
            neuron = Neuron(
                self.fan_in, activation, bias=bias, init=_init.zeros(), seed=0, name=f"neuron {i}"
            )
            for weight, data in zip(neuron.weights, row, strict=True):
                weight.data = data
            neuron.init = self.init
            self.neurons.append(neuron)

    def forward(self, x: Row) -> list[Value]:
        """The neurons' outputs for one input of `fan_in` numbers."""
        row = _row(x, self.fan_in, self.name)
        return [neuron(row) for neuron in self.neurons]

    def describe(self) -> str:
        """The fan-in, the fan-out and the activation."""
        return f"{self.fan_in} -> {self.fan_out} {activation_name(self.activation)}".rstrip()


@final
class Sequential(Module):
    """A chain of steps: modules, and functions of a step's outputs such as `softmax`.

    In pictures and messages the modules are called 'layer 0', 'layer 1', ... unless they have a
    name of their own.

    >>> from nn import softmax
    >>> model = Sequential(Layer(2, 3, "tanh", seed=0), Layer(3, 2, seed=1), softmax)
    >>> round(sum(p.data for p in model([1.0, 2.0])), 12)
    1.0
    """

    def __init__(self, *steps: Any, name: str = "sequential") -> None:
        super().__init__(name)
        if len(steps) == 1 and isinstance(steps[0], list | tuple):  # as in Keras
            steps = tuple(steps[0])
        for i, step in enumerate(steps):
            if not callable(step):
                raise TypeError(f"{name}: step {i} must be a module or a function, got {step!r}")
            if isinstance(step, Operation) or step in COMPOSED.values():
                raise TypeError(
                    f"{name}: step {i} is a function of one number; make it the activation of the "
                    f"layer before it, as in Layer(..., {activation_name(step)!r})"
                )
            if isinstance(step, Module) and step.name == type(step).__name__.lower():
                step.name = f"layer {i}"
        self.layers = list(steps)

    def forward(self, x: Any) -> Any:
        """The last step's output, if x is the input of the first step."""
        for i, step in enumerate(self.layers):
            if isinstance(step, Module):
                x = step(x)
            else:
                name = getattr(step, "__name__", f"step {i}")
                with nullcontext() if opens_scope(step) else grouped(name):
                    x = step(x)
        return x


@final
class MLP(Module):
    """A multi-layer perceptron: layers of the given sizes; by default the last one is linear.

    `MLP(3, [4, 4, 1])`, the number of inputs and then the layers' sizes, is micrograd's form.  It
    uses tanh in all layers, and a single output is a Value, not a list.

    Args:
        sizes: the number of inputs and the number of neurons of each layer, as in [4, 8, 3].
        activation: of all layers but the last: a name, a function, or None.
        output: the last layer's activation; by default None, so the outputs can be logits.
        bias, init: as for `Neuron`.
        seed: an int, a `random.Random` or None; all layers share one source, so they differ.

    >>> model = MLP([4, 8, 3], "tanh", seed=0)
    >>> model
    MLP [4, 8, 3]: 67 parameters
      layers.0 Layer 4 -> 8 tanh: 40 parameters
      layers.1 Layer 8 -> 3: 27 parameters
    >>> [round(z.data, 4) for z in model([5.1, 3.5, 1.4, 0.2])]
    [-1.6904, -0.0716, -0.2549]
    """

    @advised
    def __init__(
        self,
        sizes: Any,
        activation: Any,
        *,
        output: Activation = None,
        bias: bool = True,
        init: Initializer | str | None = None,
        seed: Seed = None,
        name: str = "mlp",
    ) -> None:
        super().__init__(name)
        self.alone = isinstance(activation, list | tuple)
        sizes = sample(sizes)
        if self.alone and is_row(sizes):
            raise TypeError(f"{name}: expected one activation for all layers, got {activation!r}")
        if self.alone:
            sizes, activation, output = [sizes, *activation], "tanh", output or "tanh"
        if not isinstance(sizes, list | tuple) or len(sizes) < 2:
            raise ValueError(f"{name}: expected at least two sizes, as in [4, 8, 3], got {sizes!r}")
        sizes = [whole(size, f"{name}: sizes[{i}]") for i, size in enumerate(sizes)]
        activation_function(activation)  # a check, also if there is only one layer
        rng = generator(seed)
        self.sizes = tuple(sizes)
        activations = [activation] * (len(sizes) - 2) + [output]
        self.layers = [
            Layer(*fans, function, bias=bias, init=init, seed=rng, name=f"layer {i}")
            for i, (fans, function) in enumerate(zip(pairwise(sizes), activations, strict=True))
        ]

    def forward(self, x: Row) -> Any:
        """The last layer's outputs for one sample."""
        for layer in self.layers:
            x = layer(x)
        return x[0] if self.alone and len(x) == 1 else list(x)

    def describe(self) -> str:
        """The sizes."""
        return str(list(self.sizes))


@final
class Embedding(Module):
    """A table of `count` rows of `width` parameters; a call with an index returns that row.

    By default the rows start from N(0, 1) as in PyTorch (Keras: U(-0.05, 0.05)).

    A call raises TypeError for an index that is not an int, IndexError for one outside
    0 .. count - 1.

    >>> letters = Embedding(27, 2, seed=0)
    >>> len(letters(26)), letters
    (2, Embedding 27 x 2: 54 parameters)
    """

    @advised
    def __init__(
        self,
        count: int,
        width: int,
        *,
        init: Initializer | str | None = None,
        seed: Seed = None,
        name: str = "embedding",
    ) -> None:
        super().__init__(name)
        shape = whole(width, f"{name}: width"), whole(count, f"{name}: count")
        self.init = Initializer.of(_init.normal(0.0, 1.0) if init is None else init)
        rows = self.init(*shape, seed)
        self.table = [
            [Value(data, f"e{i},{j}") for j, data in enumerate(row)] for i, row in enumerate(rows)
        ]

    def forward(self, index: int) -> list[Value]:
        """The parameters of the row."""
        if not isinstance(index, Ops):  # a recorded one is checked at each call
            index = position(index, self.name, len(self.table))
        return list(select(self.table, index))

    def describe(self) -> str:
        """The number of rows and their width."""
        return f"{len(self.table)} x {len(self.table[0])}"


_init = init  # inside the classes `init` is an argument


def _initializer(init: Initializer | str | None, activation: Activation) -> Initializer:
    if init is None:
        # An activation that is not defined for all numbers has no gain.
        square = moments(activation, 1.0).square
        return _init.lecun_normal(gain(activation) if 0.0 < square < math.inf else 1.0)
    return Initializer.of(init)


def _row(x: Any, expected: int, name: str) -> Row:
    """One sample's inputs; ValueError unless there are as many as expected."""
    if type(x) is list and len(x) == expected and type(x[0]) is not list:
        return x  # the usual case
    row: Any = sample(x)
    if not is_row(row):
        kind = "Value" if isinstance(x, Ops) else type(x).__name__
        hint = "; write [x] for one input" * isinstance(x, Ops | float | int)
        raise TypeError(f"{name}: expected a sequence of numbers or Values, got {kind}{hint}")
    batch = len(row) and is_row(row[0])
    if batch or len(row) != expected:
        plural, rows = "" if expected == 1 else "s", "s" * (len(row) > 1)
        advice = f" row{rows}; pass one sample at a time, as in [model(x) for x in batch]" * batch
        raise ValueError(f"{name}: expected {expected} input{plural}, got {len(row)}{advice}")
    return row  # type: ignore[no-any-return]


def activation_name(activation: Callable[[Any], Any] | None) -> str:
    """The name of an activation, '' for none."""
    if activation is None:
        return ""
    if isinstance(activation, Operation):
        return activation.name
    return str(getattr(activation, "__name__", type(activation).__name__))


if not TYPE_CHECKING:
    __getattr__ = absent(__name__, globals())
