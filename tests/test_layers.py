"""Neurons, layers and networks: what they compute, with any activation, and what they refuse."""

import functools
import json
import math
import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import nn
from autograd import Value, rows
from nn import MLP, Embedding, Layer, Neuron, Sequential, init, mish, softmax
from nn.activations import COMPOSED, Moments, activation_function, moments, value_and_slope
from tests.golden.peers import ACTIVATIONS as COMPARED
from tests.golden.peers import POINTS

X = [0.5, -1.25, 2.0]
W = [0.75, -0.5, 0.25]

# Every operation that can stand after a neuron, and two that are none.
UNARY = {name for name, op in rows().items() if op.arity == 1 or op.default is not None}
ACTIVATIONS: list[Any] = [*sorted(UNARY), *COMPOSED, None, lambda u: u * u + 1.0]


def name_of(activation: Any) -> str:
    return activation if isinstance(activation, str) else repr(activation)[:12]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=name_of)
def test_a_neuron_is_f_of_the_weighted_sum_with_the_chain_rules_gradients(activation: Any) -> None:
    # Starts that every operation is defined at (acosh is for 1 and above, asin up to 1).
    bias = (0.5 if math.isnan(apply(activation, 1.5)) else 1.5) - 1.5
    neuron = Neuron(3, activation, init=init.zeros())
    neuron.load_state_dict({"weights": W, "bias": bias})
    x = [Value(data) for data in X]
    u = math.fsum(w * d for w, d in zip(W, X, strict=True)) + bias
    expected, slope = value_and_slope(activation_function(activation), u)
    y = neuron(x)
    assert y.data == pytest.approx(expected, rel=1e-14)
    y.backward()
    assert neuron.bias is not None
    assert neuron.bias.grad == pytest.approx(slope, rel=1e-13)
    for weight, one, w, d in zip(neuron.weights, x, W, X, strict=True):
        assert weight.grad == pytest.approx(slope * d, rel=1e-13)
        assert one.grad == pytest.approx(slope * w, rel=1e-13)


GOLDEN = json.loads((Path(__file__).parent / "golden" / "activations.json").read_text())


def test_every_composed_activation_is_compared_with_pytorch() -> None:
    assert {label.split()[0] for label in COMPARED} == set(COMPOSED)


@pytest.mark.parametrize("label", COMPARED)
def test_a_composed_activation_and_its_slope_are_those_of_pytorch(label: str) -> None:
    function: Any = functools.partial(COMPOSED[label.split()[0]], **COMPARED[label])
    for x, value, slope in zip(
        POINTS, *(GOLDEN[label][k] for k in ("value", "slope")), strict=True
    ):
        assert function(x) == pytest.approx(value, rel=1e-14)
        assert value_and_slope(function, x)[0] == function(x)
        assert value_and_slope(function, x)[1] == pytest.approx(slope, rel=1e-13, abs=1e-15)


def make(module: Any, *arguments: Any, **options: Any) -> Any:
    """The module; for arguments that a type checker refuses too."""
    return module(*arguments, **options)


def apply(activation: Any, u: float) -> float:
    return value_and_slope(activation_function(activation), u)[0]


def test_inputs_may_be_numbers_values_or_both() -> None:
    neuron = Neuron(2, "tanh", seed=0)
    results = [neuron(x).data for x in ([1, 2.0], [Value(1.0), Value(2.0)], (Value(1.0), 2))]
    assert len(set(results)) == 1


def test_an_array_of_numpy_is_a_sequence_of_numbers() -> None:
    np = pytest.importorskip("numpy")
    layer = Layer(2, 3, "tanh", seed=0)
    got = [z.data for z in layer(np.array([1.0, 2.0]))]
    assert got == [z.data for z in layer([1.0, 2.0])]


def test_a_layer_gives_a_list_also_for_one_neuron() -> None:
    (z,) = Layer(2, 1, seed=0)([1.0, 2.0])
    assert isinstance(z, Value)


def test_a_neuron_without_bias_has_one_parameter_less() -> None:
    assert len(Neuron(3, seed=0).parameters()) == 4
    assert len(Neuron(3, bias=False, seed=0).parameters()) == 3
    assert len(MLP([2, 3, 1], "tanh", bias=False, seed=0).parameters()) == 9


def test_the_repr_tells_activations_apart() -> None:
    def hat(u: Value) -> Value:
        return u - abs(u)

    assert repr(Neuron(3, seed=0)) == "Neuron 3 -> 1: 4 parameters"
    assert repr(Neuron(3, "relu", bias=False, seed=0)) == "Neuron 3 -> 1 relu: 3 parameters"
    assert repr(Layer(3, 1, hat, seed=0)) == "Layer 3 -> 1 hat: 4 parameters"
    assert "partial" in repr(Layer(3, 1, functools.partial(hat), seed=0))
    assert repr(Sequential(name="empty")) == "Sequential: 0 parameters"


def test_an_mlp_is_its_layers_one_after_the_other_with_the_last_one_linear() -> None:
    model = MLP([3, 4, 4, 2], "tanh", seed=0)
    tanh = activation_function("tanh")
    assert [layer.activation for layer in model.layers] == [tanh, tanh, None]
    signal: Any = X
    for layer in model.layers:
        signal = [
            apply(layer.activation, sum(w.data * d for w, d in zip(n.weights, signal, strict=True)))
            for n in layer.neurons
        ]
    assert [z.data for z in model(X)] == pytest.approx(signal, rel=1e-14)


def test_the_output_activation_can_be_chosen() -> None:
    model = MLP([3, 4, 1], "relu", output="sigmoid", seed=0)
    assert 0.0 < model(X)[0].data < 1.0


def test_layers_of_a_network_differ_and_the_seed_alone_decides() -> None:
    for seed in (0, random.Random(0)):
        model = MLP([3, 3, 3], "tanh", seed=seed)
        first, second = (layer.state_dict()["neurons.0.weights"] for layer in model.layers)
        assert first != second
        assert model.state_dict() == MLP([3, 3, 3], "tanh", seed=0).state_dict()
    assert model.state_dict() != MLP([3, 3, 3], "tanh", seed=1).state_dict()


def test_without_a_seed_pythons_own_decides() -> None:
    random.seed(5)
    first = MLP([2, 2], None).state_dict()
    assert first != MLP([2, 2], None).state_dict()
    random.seed(5)
    assert first == MLP([2, 2], None).state_dict()


def test_weights_start_at_the_size_that_their_activation_keeps() -> None:
    assert Layer(8, 2, "relu", seed=0).init.std(8, 2) == pytest.approx(0.5, rel=1e-12)
    assert Layer(4, 2, seed=0).init.std(4, 2) == 0.5
    assert Layer(4, 2, "log", seed=0).init.std(4, 2) == 0.5  # log has no gain
    assert Embedding(3, 2, seed=0).init == init.normal(0.0, 1.0)


def test_sequential_chains_modules_and_functions_and_names_them() -> None:
    model = Sequential(Layer(3, 4, "tanh", seed=0), Layer(4, 3, seed=1), softmax)
    outputs = model(X)
    assert math.fsum(p.data for p in outputs) == pytest.approx(1.0, rel=1e-15)
    assert outputs[0].scope == "sequential/softmax"
    assert model.layers[1].name == "layer 1"
    assert len(model.parameters()) == 31


def test_embedding_gives_the_parameters_of_a_row() -> None:
    table = Embedding(5, 3, seed=0)
    row = table(4)
    (row[0] * 2.0 + row[1]).backward()
    assert [value.grad for value in table.table[4]] == [2.0, 1.0, 0.0]
    assert [id(value) for value in row] == [id(value) for value in table.table[4]]
    assert len(table.parameters()) == 15


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: MLP([2, 3, 1], "tanh")([1.0]), ValueError, "^layer 0: expected 2 inputs, got 1$"),
        (lambda: Layer(1, 1)([1.0, 2.0]), ValueError, "^layer: expected 1 input, got 2$"),
        (lambda: Neuron(2)([1.0]), ValueError, "^neuron: expected 2 inputs, got 1$"),
        (lambda: Layer(2, 1, name="head")([]), ValueError, "^head: expected 2 inputs, got 0$"),
        (lambda: Layer(1, 1)(1.0), TypeError, r"got float; write \[x\] for one input"),
        (lambda: Layer(1, 1)(Value(1.0)), TypeError, r"got Value; write \[x\] for one input"),
        (lambda: Layer(2, 1)([[1.0, 2.0]]), ValueError, r"\[model\(x\) for x in batch\]"),
        (lambda: Layer(1, 1)(["1"]), TypeError, "expected a real number, got str"),
        (lambda: Layer(0, 1), ValueError, "fan_in must be a whole number of at least 1, got 0"),
        (
            lambda: make(Layer, 1, 2.0),
            ValueError,
            "fan_out must be a whole number of at least 1, got 2.0",
        ),
        (lambda: MLP([3], "tanh"), ValueError, "at least two sizes"),
        (lambda: MLP([3, 0, 1], "tanh"), ValueError, r"sizes\[1\] must be a whole number"),
        (lambda: Layer(1, 1, "tahn"), ValueError, "'tahn'; did you mean 'tan"),
        (lambda: Layer(1, 1, "softmax"), ValueError, "takes a whole layer's outputs"),
        (lambda: Layer(1, 1, "mul"), ValueError, "activation: mul takes two operands"),
        (lambda: make(Layer, 1, 1, 3), TypeError, "expected a name, a function or None, got 3"),
        (lambda: make(Layer, 1, 1, init=init.zeros), TypeError, r"with parentheses"),
        (
            lambda: make(Layer, 1, 1, init=3),
            TypeError,
            "expected an initializer or its name, got 3",
        ),
        (lambda: Layer(1, 1, init="he"), ValueError, "'he'; did you mean 'he_normal' or 'he_unif"),
        (lambda: Layer(1, 1, "ReLU"), ValueError, "no 'ReLU'; write activation=\"relu\""),
        (lambda: MLP([2, 3], "ReLU"), ValueError, "no 'ReLU'; write activation=\"relu\""),
        (lambda: MLP([2, 3], "Relu"), ValueError, "no 'Relu'; did you mean 'relu'"),
        (lambda: make(MLP, 3, "tanh"), ValueError, r"two sizes, as in \[4, 8, 3\], got 3"),
        (lambda: make(MLP, {2: 3, 4: 1}, "tanh"), ValueError, r"two sizes, .* got {2: 3, 4: 1}"),
        (
            lambda: Sequential(Layer(1, 1), rows()["relu"]),
            TypeError,
            r"step 1 is a function of one number; .* Layer\(\.\.\., 'relu'\)",
        ),
        (lambda: Sequential(mish), TypeError, r"as in Layer\(\.\.\., 'mish'\)"),
        (lambda: MLP([2, 1], ["tanh"]), TypeError, "one activation for all layers, got"),
        (lambda: MLP([2, 2.5, 1], "tanh"), ValueError, r"sizes\[1\] must be a whole number"),
        (
            lambda: make(Layer, 1, 1, seed=1.5),
            TypeError,
            "an int, a random.Random or None",
        ),
        (
            lambda: make(Sequential, Layer(1, 1), 3),
            TypeError,
            "step 1 must be a module or a function, got 3",
        ),
        (lambda: Embedding(3, 2)(3), IndexError, "embedding: expected an index from 0 to 2, got 3"),
        (lambda: Embedding(3, 2)(-1), IndexError, "expected an index from 0 to 2, got -1"),
        (lambda: Embedding(3, 2)(1.0), TypeError, "expected an index, got 1.0"),
        (lambda: Embedding(3, 2)(True), TypeError, "expected an index, got True"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    call: Callable[[], Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_the_table_of_contents_offers_the_operations_as_activations() -> None:
    for name in UNARY:
        assert getattr(nn, name) is rows()[name]
        assert name in dir(nn)
    with pytest.raises(AttributeError, match="no attribute 'reluu'; did you mean 'relu'"):
        nn.reluu  # noqa: B018


def test_widths_of_neighbouring_layers_fit() -> None:
    model = MLP([5, 4, 3, 2], "tanh", seed=0)
    assert all(a.fan_out == b.fan_in for a, b in pairwise(model.layers))


# ------------------------------------------------------------------ against a whole other network


def test_a_network_has_the_gradients_of_micrograd() -> None:
    engine = pytest.importorskip("micrograd.engine")
    model = MLP([3, 4, 4, 1], "relu", seed=3)
    (output,) = model(X)
    (output * output).backward()
    theirs = [
        [[engine.Value(w.data) for w in n.weights] for n in layer.neurons] for layer in model.layers
    ]
    biases = [[engine.Value(0.0) for _ in layer.neurons] for layer in model.layers]
    signal: Any = X
    for k, (matrix, bias) in enumerate(zip(theirs, biases, strict=True)):
        signal = [
            sum((w * d for w, d in zip(row, signal, strict=True)), b)
            for row, b in zip(matrix, bias, strict=True)
        ]
        if k < 2:
            signal = [u.relu() for u in signal]
    (signal[0] * signal[0]).backward()
    assert output.data == pytest.approx(signal[0].data, rel=1e-14)
    for layer, matrix, bias in zip(model.layers, theirs, biases, strict=True):
        for neuron, row, b in zip(layer.neurons, matrix, bias, strict=True):
            expected = [w.grad for w in row]
            assert [w.grad for w in neuron.weights] == pytest.approx(expected, rel=1e-13)
            assert neuron.bias is not None
            assert neuron.bias.grad == pytest.approx(b.grad, rel=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "relu", None])
@pytest.mark.parametrize("start", [None, init.normal(0.0, 2.0)])
def test_weights_start_as_the_initializer_says_for_that_seed(activation: Any, start: Any) -> None:
    scheme = start or init.lecun_normal(init.gain(activation))
    neuron = Neuron(4, activation, init=start, seed=7)
    assert neuron.init == scheme
    assert [w.data for w in neuron.weights] == scheme(4, 1, 7)[0]
    layer = Layer(4, 3, activation, init=start, seed=7)
    assert [[w.data for w in n.weights] for n in layer.neurons] == scheme(4, 3, 7)
    assert all(n.init is layer.init for n in layer.neurons)


def test_a_table_starts_as_the_initializer_says_for_that_seed() -> None:
    table = Embedding(3, 2, seed=7).table
    assert [[e.data for e in row] for row in table] == init.normal(0.0, 1.0)(2, 3, 7)
    assert [[e.label for e in row] for row in table] == [
        [f"e{i},{j}" for j in (0, 1)] for i in range(3)
    ]
    given = Embedding(3, 2, init=init.he_normal(), seed=7)
    assert [[e.data for e in row] for row in given.table] == init.he_normal()(2, 3, 7)


def test_making_a_layer_draws_nothing_but_its_weights() -> None:
    random.seed(5)
    before = random.getstate()
    Layer(4, 3, seed=7)
    assert random.getstate() == before


def test_an_activation_without_a_gain_starts_as_a_linear_unit() -> None:
    # acosh is nan below 1, and this one is 0 everywhere.
    for activation in ("acosh", lambda u: u * 0.0):
        assert Neuron(4, activation).init == init.lecun_normal()


WRONG: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: Neuron(0, name="unit"),
        ValueError,
        "unit: fan_in must be a whole number of at least 1",
    ),
    (
        lambda: Layer(0, 1, name="part"),
        ValueError,
        "part: fan_in must be a whole number of at least 1",
    ),
    (lambda: Layer(1, True, name="part"), ValueError, "part: fan_out must be a whole number"),
    (lambda: Embedding(0, 1, name="words"), ValueError, "words: count must be a whole number"),
    (lambda: Embedding(1, 0, name="words"), ValueError, "words: width must be a whole number"),
    (lambda: Embedding(2, 1, name="words")(True), TypeError, "words: expected an index, got True"),
    (lambda: Embedding(2, 1, name="words")(0.5), TypeError, r"words: expected an index, got 0\.5"),
    (lambda: Neuron(1, name="unit")(3.0), TypeError, "unit: expected a sequence of numbers"),
    (lambda: Layer(1, 1, name="part")(3.0), TypeError, "part: expected a sequence of numbers"),
    (lambda: Neuron(2, name="unit")([1.0]), ValueError, "unit: expected 2 inputs, got 1$"),
    (
        lambda: Layer(2, 1, name="part")([[1.0, 2.0]]),
        ValueError,
        r"part: expected 2 inputs, got 1 row; pass one sample at a time, as in \[model\(x\) for",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_a_refusal_begins_with_the_layers_name(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"^{text}"):
        call()


def test_a_step_that_is_a_function_is_framed_by_its_name_or_its_place() -> None:
    x = Value(2.0)

    def doubled(z: Value) -> Value:
        return z * 2.0

    assert Sequential(doubled)(x).scope.endswith("doubled")
    assert Sequential(doubled, functools.partial(lambda z: z * 3.0))(x).scope.endswith("step 1")


def test_slopes_of_activations_with_a_default_and_of_what_is_nan() -> None:
    assert value_and_slope(activation_function("leaky_relu"), -2.0) == (-0.02, 0.01)
    z, slope = value_and_slope(activation_function("acosh"), 0.5)
    assert math.isnan(z)
    assert math.isnan(slope)
    assert value_and_slope(None, 3.0) == (3.0, 1.0)


def test_moments_of_a_linear_unit_and_of_what_is_known_in_closed_form() -> None:
    assert moments(None, 4.0) == Moments(0.0, 4.0, 1.0)
    relu = moments("relu", 4.0)
    assert relu.mean == pytest.approx(2.0 / math.sqrt(2.0 * math.pi), rel=2e-4)
    assert [relu.square, relu.slope_square] == pytest.approx([2.0, 0.5])
    cubic = moments(lambda u: u * u * u + 1.0, 1.0)
    assert cubic.mean == pytest.approx(1.0, abs=1e-13)
    assert cubic.square == pytest.approx(16.0, rel=1e-12)  # E[u^6] = 15
    assert cubic.slope_square == pytest.approx(27.0, rel=1e-12)  # 9 E[u^4]
    with pytest.raises(ValueError, match=r"gain: .*mean square on N.0, 1. is 0\.0"):
        init.gain(lambda u: u * 0.0)
    with pytest.raises(ValueError, match=r"gain: .*mean square on N.0, 1. is inf"):
        init.gain(lambda u: u * 1e200)


def test_a_layers_activation_that_takes_a_row_is_refused_with_advice() -> None:
    advice = "; softmax takes a whole layer's outputs, so use a loss with from_logits=True, or"
    with pytest.raises(ValueError, match=re.escape(advice)):
        Layer(1, 2, "softmax")
