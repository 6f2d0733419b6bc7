"""Names of other libraries: each is in the guide, leads to something that is there, and is told."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import autograd
import nn
import nn.distributed
import nn.microgpt
from autograd import Value, rows
from autograd.elsewhere import LEFT_OUT, NAMES, OPTIONS
from nn import init, losses, optim, schedules
from nn.activations import COMPOSED
from nn.optim import Optimizer
from nn.schedules import Schedule

NN: Any = nn  # for calls that a type checker would refuse
HERE: Any = autograd
PAGE = (Path(__file__).parent.parent / "docs" / "coming_from.md").read_text()
README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_on_the_page_and_leads_to_something(name: str) -> None:
    here = NAMES[name]
    assert re.search(rf"\b{name}\b", PAGE)
    for dotted in re.findall(r"\b(?:nn|autograd)(?:\.\w+)+", here):
        at: Any = {"nn": nn, "autograd": autograd}[dotted.split(".")[0]]
        for part in dotted.split(".")[1:]:
            at = getattr(at, part)
    for activation in re.findall(r'activation="(\w+)"', here):
        assert activation in {**rows(), **COMPOSED}


@pytest.mark.parametrize("name", NAMES)
def test_nn_says_what_to_write(name: str) -> None:
    if hasattr(nn, name):
        return
    with pytest.raises(AttributeError, match=re.escape(f"{name!r}; write {NAMES[name]}")):
        getattr(nn, name)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_on_its_page(name: str) -> None:
    page = (Path(__file__).parent.parent / "docs" / "left_out.md").read_text()
    assert LEFT_OUT[name] in page
    module = optim if name == "Lion" else nn
    with pytest.raises(AttributeError, match=rf"left out on purpose: see '{LEFT_OUT[name]}' in"):
        getattr(module, name)


def test_options_of_other_libraries_lead_to_arguments_that_are_there() -> None:
    known = {"parameters", "lr"}
    kinds = [*optim.NAMED.values(), *vars(schedules).values()]
    for kind in kinds:
        if inspect.isclass(kind) and issubclass(kind, Optimizer):
            known |= {*kind.defaults, *kind.shared}
        elif inspect.isclass(kind) and issubclass(kind, Schedule):
            known |= set(inspect.signature(kind).parameters)
    known |= {name for loss in losses.NAMED.values() for name in inspect.signature(loss).parameters}
    calls = (
        Value,
        Value.backward,
        nn.Layer,
        nn.Embedding,
        nn.fit,
        autograd.draw,
        nn.data.Dataset.split,
    )
    known |= {name for call in calls for name in inspect.signature(call).parameters}
    known |= {*vars(nn.History()), *vars(nn.data.Dataset([], [])), "weights", "groups", "figure"}
    for name, meanings in OPTIONS.items():
        assert set(meanings) <= known, name
        assert name not in meanings


def test_what_the_page_says_is_here_is_here() -> None:
    for dotted in set(re.findall(r"`((?:nn|autograd)(?:\.[a-z_A-Z0-9]+)+)", PAGE)):
        package, *parts = dotted.split(".")
        theirs = package == "nn" and parts[0] in {*NAMES, "Module", "ModuleList"}
        at: Any = {"nn": nn, "autograd": autograd}[package]
        for part in [] if theirs else parts:
            at = getattr(at, part)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: (Value(2.0) * 3.0)._prev, r"no attribute '_prev'; write \.parents"),
        (lambda: Value(2.0)._children, r"no attribute '_children'; write \.parents"),
        (lambda: HERE.Value(2.0).value, r"no attribute 'value'; write \.data"),
        (lambda: HERE.Value(2.0).ln(), r"no attribute 'ln'; write \.log\(\)"),
        (lambda: NN.optim.SGD(nn.Layer(1, 1)).param_groups, "it is called 'groups' here"),
        (lambda: NN.History().val_loss, "it is called 'validation_loss' here"),
        (lambda: NN.data.Dataset([], []).X, "it is called 'features' here"),
        (lambda: NN.schedules.Constant(0.1).step(), r"write optimizer\.lr = schedule"),
        (lambda: NN.schedules.Constant(0.1).rat, "did you mean 'rate'"),
        (lambda: autograd.tensor, r"write autograd\.Value\(number\)"),
        (lambda: Value(2.0)._op, r"write \.op$"),
        (lambda: Value(2.0)._local_grads, r"write \.dx and \.dy"),
        (lambda: setattr(Value(2.0), "_backward", len), r"autograd\.define_op"),
        (lambda: nn.Neuron(2).w, "'w'; it is called 'weights' here"),
        (lambda: nn.Neuron(2).b, "'b'; it is called 'bias' here"),
        (lambda: nn.Neuron(2).nonlin, "'nonlin'; it is called 'activation' here"),
        (lambda: nn.Layer(2, 1).neurns, "'neurns'; did you mean 'neurons'"),
        (lambda: nn.Layer(2, 1).zzz, "^Layer has no attribute 'zzz'$"),
        (lambda: nn.mee, "did you mean 'mse'"),
    ],
)
def test_an_attribute_of_another_library_is_an_error_with_the_present_name(
    ask: Any, words: str
) -> None:
    with pytest.raises(AttributeError, match=words):
        ask()
    assert not hasattr(Value(1.0), "_prev")


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        (optim, "adam", r"'nn\.optim' has no attribute 'adam'; did you mean 'Adam'"),
        (schedules, "StepLR", r"write nn\.schedules\.Step\("),
        (losses, "MSELoss", r"write nn\.mse"),
        (nn.metrics, "acuracy", "did you mean 'accuracy'"),
        (nn.data, "DataLoader", r"write nn\.fit"),
        (init, "xavier", "did you mean 'xavier_normal'"),
        (nn.layers, "Linear", r"write nn\.Layer"),
        (nn, "Linear", r"^module 'nn' has no attribute 'Linear'; write nn\.Layer"),
        (autograd, "draw_dot", r"'autograd' has no attribute 'draw_dot'; write autograd\.draw"),
    ],
)
def test_modules_say_what_a_name_is_called_here(module: Any, name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(module, name)
    assert not hasattr(module, name)
    with pytest.raises(ImportError, match=words):
        exec(f"from {module.__name__} import {name}", {})


def test_an_import_of_an_unknown_name_is_pythons_own_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'zzqqx' from 'nn'"):
        exec("from nn import zzqqx", {})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: NN.Neuron(2, nonlin=True), "^Neuron: .* 'nonlin'; it is called 'activation' here"),
        (lambda: NN.Layer(in_features=2, fan_out=1), "^Layer: .*; it is called 'fan_in' here"),
        (lambda: NN.MLP([2, 1], "relu", dropout=0.5), "^MLP: .* 'dropout'; there are sizes, act"),
        (lambda: NN.MLP(2, 3, 1), r"^MLP: expected sizes and activation by position, got 3 .*one"),
        (
            lambda: NN.fit(1, 2, 3),
            r"^fit: expected model and data by .* as in fit\(model, \(",
        ),
        (lambda: NN.fit(1, 2, verbose=1), "^fit: .* 'verbose'; it is called 'progress' here"),
        (lambda: NN.data.load_iris().split(test_size=0.5), "it is called 'test' here"),
        (lambda: NN.optim.SGD(nn.Layer(1, 1)).zero_grad(set_to_none=True), "write zero_grad"),
        (lambda: HERE.draw(HERE.Value(1.0), rankdir="TB"), "it is called 'direction' here"),
        (lambda: HERE.compile(len, optimizer="adam"), "^compile: .*; there are function, engine"),
        (
            lambda: HERE.Value(1.0).backward(retain_graph=True),
            r"^Value\.backward: .*; write backward\(",
        ),
        (lambda: HERE.Value(1.0).backward(gradient=1.0), "it is called 'seed' here"),
        (
            lambda: HERE.Value(1.0, (), ""),
            r"^Value: expected data and label .* autograd\.define_op adds",
        ),
        (lambda: HERE.Value(1.0, _children=()), "there are data, label, requires_grad"),
        (lambda: HERE.Value(1.0, name="x"), "it is called 'label' here"),
        (lambda: HERE.Value(1.0, dtype=float), "^Value: there is no argument 'dtype'"),
    ],
)
def test_an_argument_of_another_library_is_an_error_with_the_present_name(
    call: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_requires_grad_is_taken_where_it_is_true_and_answered_where_it_is_not() -> None:
    assert Value(2.0, requires_grad=True).data == 2.0
    with pytest.raises(TypeError, match=r"every Value has a gradient; .*v\.detach\(\)"):
        Value(2.0, requires_grad=False)


def test_initializers_have_names() -> None:
    assert nn.Layer(2, 3, init="he_normal", seed=0).init == init.he_normal()
    assert nn.MLP([2, 3, 1], "relu", init="zeros").layers[0].init == init.zeros()
    assert nn.Embedding(3, 2, init="ones").init == init.ones()
    assert {make() for make in init.NAMED.values()} == {
        made() for name, made in vars(init).items() if name in init.NAMED
    }


def test_an_mlp_of_micrograd_has_tanh_throughout_and_a_single_output_by_itself() -> None:
    one, three = nn.MLP(3, [4, 4, 1], seed=0), nn.MLP(3, [4, 3], seed=0)
    assert isinstance(one([1.0, 2.0, 3.0]), Value)
    assert len(three([1.0, 2.0, 3.0])) == 3
    tanh = rows()["tanh"]
    assert [layer.activation for layer in one.layers] == [tanh] * 3
    assert one.sizes == (3, 4, 4, 1)
    assert one.state_dict() == nn.MLP([3, 4, 4, 1], "tanh", output="tanh", seed=0).state_dict()
    assert nn.MLP(3, [4, 1], output="relu", seed=0).layers[-1].activation is rows()["relu"]
