"""PyTorch modules on Values: each operation and each kind of layer against PyTorch's autograd."""

import importlib
import math
import sys
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F
from torch import nn

from autograd import Value, check_gradients, compile, diagnose, draw, explain, play
from autograd.__main__ import main
from autograd.bridges import arrays, aten, with_torch
from autograd.bridges.refusals import UncoveredError
from autograd.bridges.torch import check_rules, from_torch
from autograd.bridges.torch_run import Run
from tests.torch_operations import CALLS


def parts(tree: Any) -> list[Any]:
    """The tensors or arrays of a result."""
    return list(tree) if isinstance(tree, list | tuple) else [tree]


def with_values(part: Any, made: list[tuple[Any, Any]]) -> Any:
    """A tensor as an array; with a gradient, of Values, which are noted beside it."""
    if isinstance(part, list):
        return [with_values(inner, made) for inner in part]
    if not isinstance(part, torch.Tensor):
        return part
    if not part.requires_grad:
        return arrays.array(part.numpy())
    made.append((part, arrays.values(part.detach().numpy(), "x")))
    return made[-1][1]


def with_gradients(part: Any) -> Any:
    """A tensor's copy that gets a gradient, if it may have one."""
    if isinstance(part, list):
        return [with_gradients(inner) for inner in part]
    if (
        isinstance(part, torch.Tensor)
        and not hasattr(part, "is_fixed")
        and part.is_floating_point()
    ):
        return part.detach().clone().requires_grad_()
    return part


def test_every_operation_that_is_covered_has_a_call() -> None:
    assert set(CALLS) == set(aten.COVERED)


@pytest.mark.filterwarnings("ignore::autograd.NonFiniteWarning")  # of an operand that is nan
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_of_an_operation_are_those_of_pytorch(name: str) -> None:
    packet, _, overload = name.partition(".")
    op = getattr(getattr(torch.ops.aten, packet), overload)
    for given, named in CALLS[name]:
        tensors = [with_gradients(part) for part in given]
        made: list[tuple[Any, Any]] = []
        theirs = parts(op(*tensors, **named))
        ours = parts(aten.COVERED[name].function(*[with_values(t, made) for t in tensors], **named))
        total, reference = Value(0.0), 0.0
        for mine, tensor in zip(ours, theirs, strict=False):
            if mine is None or tensor is None:
                continue
            assert mine.shape == tuple(tensor.shape)
            expected = tensor.detach().numpy()
            np.testing.assert_allclose(arrays.floats(mine), expected, 1e-13, 1e-15)
            if tensor.requires_grad:
                weights = np.linspace(0.7, 1.3, mine.size)
                total = sum(
                    (w * v for w, v in zip(weights.tolist(), mine.ravel(), strict=True)), total
                )
                reference = reference + (tensor.ravel() * torch.tensor(weights)).sum()
        if isinstance(reference, float):
            continue
        total.backward()
        wanted = [tensor for tensor, _ in made]
        grads = torch.autograd.grad(reference, wanted, allow_unused=True)
        for (tensor, values), grad in zip(made, grads, strict=True):
            right = np.zeros(tuple(tensor.shape)) if grad is None else grad.numpy().copy()
            right[np.isnan(arrays.floats(values))] = np.nan  # as everywhere here
            np.testing.assert_allclose(arrays.adjoints(values), right, 1e-12, 1e-14)


class Attention(nn.Module):
    """Causal attention over tokens, whose embedding is also the output's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.qkv, self.norm, self.out = nn.Linear(4, 12), nn.LayerNorm(4), nn.Linear(4, 5)
        self.out.weight = self.embedding.weight
        self.register_buffer("mask", torch.tril(torch.ones(3, 3)))

    def forward(self, tokens: Any) -> Any:
        x = self.embedding(tokens)
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        scores = (q @ k.transpose(-1, -2)) / math.sqrt(4)
        scores = scores.masked_fill(self.mask == 0, -math.inf)
        return self.out(x + F.softmax(scores, -1) @ v)


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters, self.norm, self.out = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.out(F.max_pool2d(F.relu(self.norm(self.filters(x))), 2).flatten(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.cell = nn.LSTM(2, 2), nn.GRUCell(2, 2)

    def forward(self, x: Any) -> Any:
        states, _ = self.lstm(x)
        h = torch.zeros(1, 2, dtype=x.dtype)
        for state in states:
            h = self.cell(state, h)
        return h


class InPlace(nn.Module):
    def forward(self, x: Any) -> Any:
        y = x * 2
        y[0] = x[1] * x[0]
        y.add_(1).mul_(x)
        return y


class Cuts(nn.Module):
    """Three ways to cut a branch off."""

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            cut = x.exp()
        return x * cut + x * x.detach() + x**2


def numbers(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


MODELS: dict[str, tuple[Any, tuple[Any, ...], Any]] = {
    "iris": (
        nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3)), (numbers(2, 4),),
        lambda z: F.cross_entropy(z, torch.tensor([0, 2])),
    ),
    "attention": (
        Attention(), (torch.tensor([[0, 3, 1]]),),
        lambda z: F.cross_entropy(z.reshape(-1, 5), torch.tensor([3, 1, 4])),
    ),
    "convolution": (
        Convolution(), (numbers(2, 1, 6, 6),), lambda z: F.smooth_l1_loss(z, torch.ones(2, 3)),
    ),
    "recurrent": (Recurrent(), (numbers(3, 1, 2),), lambda z: (z**2).sum()),
    "transformer": (
        nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True), (numbers(1, 2, 4),),
        lambda z: (z**3).mean(),
    ),
    "in place": (InPlace(), (numbers(2, 2),), lambda z: z.sum()),
    "cuts": (Cuts(), (numbers(2),), lambda z: z.sum()),
}  # fmt: skip


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_a_model_are_those_of_pytorch(name: str) -> None:
    module, inputs, loss = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = from_torch(module, *inputs, loss=loss)
    model.result.backward()
    table = model.gradients()
    assert table, str(table)
    theirs = loss(module(*inputs))
    assert model.result.data == pytest.approx(theirs.item(), rel=1e-5)
    named = dict(module.named_parameters())
    assert set(model.parameters) == set(named)
    for own, values in model.parameters.items():
        assert values.shape == tuple(named[own].shape)
        assert named[own].grad is None


def perceptron() -> Any:
    """A model in doubles at one input."""
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    return from_torch(net, numbers(2, 2).double(), loss=lambda z: (z**2).mean())


def test_pictures_checks_and_compile_work_on_a_model() -> None:
    model, x = perceptron(), numbers(2, 2).double()
    weight = model.parameters["0.weight"][1, 0]
    assert (weight.label, weight.scope) == ("0.weight[1, 0]", "0")
    model.result.backward()
    assert explain(model.result, weight).total == pytest.approx(weight.grad)
    assert "0.weight[1, 0]" in draw(model.result).source
    assert "0.weight[1, 0]" in str(play(model.result))
    assert check_gradients(model, x.tolist(), parameters=model)
    right = arrays.adjoints(model.inputs[0])
    assert diagnose(model, x.numpy(), gradient=[right])
    assert diagnose(model, x.numpy(), gradient=[right / 2]).wrong == "input"
    compiled = compile(model)
    assert compiled(x.tolist()).data == model.result.data
    other = (x + 1).tolist()
    assert compiled(other).data == pytest.approx(model(other).data, rel=1e-15)
    weight.data = 5.0
    assert compiled(other).data == pytest.approx(model(other).data, rel=1e-15)


def test_a_loss_may_be_made_of_values_and_the_table_still_compares() -> None:
    net = nn.Linear(2, 2)
    model = from_torch(net, numbers(1, 2))
    assert model.result.shape == (1, 2)
    with pytest.raises(ValueError, match=r"call \.backward"):
        model.gradients()
    (model.result[0, 0] * model.result[0, 1]).tanh().backward()
    table = model.gradients()
    assert table
    assert "weight" in str(table)
    assert "<td>" in table._repr_html_()
    model.parameters["bias"][0].grad += 1.0
    assert not model.gradients()
    assert "DIFFERS" in str(model.gradients())
    assert repr(model) == "Linear on Values: 6 parameters"


def test_inputs_come_in_nestings_and_one_tensor_twice_is_two_inputs() -> None:
    class Nested(nn.Module):
        def forward(self, named: Any, pair: Any, times: int) -> Any:
            return {"a": (named["x"] * times).sum() + pair[0].sum(), "b": [pair[1]]}

    x = numbers(2)
    model = from_torch(Nested(), {"x": x}, (x, x), 3)
    model.result["a"].backward()
    assert [v.grad for part in model.inputs[:3] for v in part] == [3.0, 3.0, 1.0, 1.0, 0.0, 0.0]
    assert model({"x": [1.0, 1.0]}, ([0.0, 1.0], [0.0, 0.0]), 3)["a"] == 7.0
    with pytest.raises(TypeError, match=r"expected 3 input\(s\), got 1"):
        model({"x": [1.0, 1.0]})
    with pytest.raises(ValueError, match=r"expected an input of shape \(2,\), .* got \(1,\)"):
        model({"x": [1.0]}, ([0.0, 1.0], [0.0, 0.0]), 3)


def test_tied_parameters_are_one_and_frozen_ones_are_numbers() -> None:
    shared = nn.Linear(2, 2)
    model = from_torch(nn.Sequential(shared, shared), numbers(1, 2))
    assert list(model.parameters) == ["0.weight", "0.bias"]
    shared.bias.requires_grad_(False)
    assert list(from_torch(nn.Sequential(shared), numbers(1, 2)).parameters) == ["0.weight"]


class Random(nn.Module):
    def forward(self, x: Any) -> Any:
        return x + torch.randn(2)


class Distances(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.cdist(x, x)


class Branch(nn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


class Complex(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.view_as_complex(x).abs()


class Inverse(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.linalg.inv(x)


REFUSED: dict[str, tuple[Any, str]] = {
    "random": (Random(), r"aten.randn.default is not covered \(node randn, at .*\.py:\d+\); it is"),
    "uncovered": (
        nn.Sequential(nn.Linear(2, 2), Distances()),
        r"aten._cdist_forward.default is not covered \(node _cdist_forward, in module 1, at test_br"
        r"idge_torch.py:\d+\); `chainrule bridges torch` lists",
    ),
    "branch": (Branch(), "torch.export cannot read this module: Could not guard on data-dep"),
    "dropout": (
        nn.Sequential(nn.Dropout(0.5)),
        r"aten.native_dropout.default \(node \w+.*\): dropout in training is random; call module.e",
    ),
    "complex": (Complex(), "aten.view_as_complex.default is not covered"),
    "token": (Inverse(), "aten.linalg_inv_ex.default is not covered"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_covered_is_refused_by_its_name_and_place(name: str) -> None:
    module, message = REFUSED[name]
    with pytest.raises(UncoveredError, match=message):
        from_torch(module, numbers(2, 2))


class Kwargs(nn.Module):
    """Calls a part by keyword, and another with a number alone."""

    def __init__(self) -> None:
        super().__init__()
        self.part, self.constant = Applied(next(iter(WRONG.values()))), Constant()

    def forward(self, x: Any) -> Any:
        return self.part(x=x) + self.constant(torch.tensor(2))


class Constant(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 0.5


def test_a_result_that_depends_on_no_value_has_no_gradient() -> None:
    model = from_torch(Constant(), torch.tensor(2))
    assert model.result == 1.0
    assert check_rules(Constant(), torch.tensor(2))
    (fault,) = check_rules(Kwargs(), numbers(2)).faults
    assert fault.place == "in the module"


def test_a_result_that_is_not_pytorchs_is_an_error() -> None:
    model, x = from_torch(nn.Tanh(), numbers(2)), numbers(2)
    run = Run(nn.Tanh(), (x,))
    model.verify_results(run)
    run.results[0] = run.results[0] + torch.tensor([0.0, 0.1])
    with pytest.raises(ValueError, match=r"the graph gives .* where PyTorch gives .* module.doub"):
        model.verify_results(run)


def test_sums_of_nothing_are_0_and_a_softmax_of_nothing_is_nan() -> None:
    nothing = np.empty((2, 0))
    assert arrays.matmul(nothing, nothing.T).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert all(map(math.isnan, arrays.softmax([-math.inf, -math.inf])))
    with pytest.raises(UncoveredError, match="ceil_mode with padding"):
        aten.COVERED["avg_pool1d.default"].function(np.ones((1, 3)), [2], [2], [1], True)


def test_a_large_graph_is_refused_before_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"about 2,1.*; the limit is 200,000 .* limit=2,1"):
        from_torch(nn.Linear(100, 1000), numbers(10, 100))
    with pytest.raises(ValueError, match="the limit is 5 "):
        from_torch(nn.Linear(2, 2), numbers(1, 2), limit=5)


def test_half_precision_complex_tensors_and_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match=r"a tensor of torch.bfloat16; call .float\(\) or"):
        from_torch(nn.Linear(2, 2).bfloat16(), numbers(1, 2).bfloat16())
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module, got int"):
        from_torch(3, numbers(1))
    with pytest.raises(TypeError, match="a complex tensor"):
        from_torch(nn.Identity(), torch.ones(2, dtype=torch.complex64))


# ---------------------------------------------------------------------- rules of one's own


def rule(name: str, forward: Any, saved: Any, backward: Any) -> Any:
    """An autograd.Function of one operand."""

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            z = forward(x)
            ctx.save_for_backward(saved(x, z))
            return z

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (s,) = ctx.saved_tensors
            return backward(g, s)

    Rule.__name__ = name
    return Rule


class Applied(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function.apply(x)


def _in_no_grad(x: Any) -> Any:
    with torch.no_grad():
        return torch.tanh(x)


TANH = rule("Tanh", torch.tanh, lambda x, z: z, lambda g, z: g * (1 - z * z))
RIGHT = {
    "tanh": TANH,
    "detached": rule("A", lambda x: x.detach().exp(), lambda x, z: z, lambda g, z: g * z),
    "relu": rule("B", F.relu, lambda x, z: x, lambda g, x: g * (x > 0)),
    "single": rule("C", torch.sin, lambda x, z: x, lambda g, x: (g * x.float().cos()).to(g.dtype)),
    "no_grad": rule("D", _in_no_grad, lambda x, z: z, lambda g, z: g * (1 - z * z)),
    "uncovered": rule("E", lambda x: torch.special.bessel_j0(x), lambda x, z: x,
                      lambda g, x: -g * torch.special.bessel_j1(x)),
}  # fmt: skip
WRONG = {
    "tanh: dz/dx is 1 - x * x where it should be 1 - z * z, in module 1 (Wrong)": rule(
        "Wrong", torch.tanh, lambda x, z: x, lambda g, x: g * (1 - x * x)
    ),
    "sin: dz/dx = cos(x) has the wrong sign, in module 1 (Wrong)": rule(
        "Wrong", torch.sin, lambda x, z: x, lambda g, x: -g * x.cos()
    ),
    "where it should be": rule("Wrong", torch.round, lambda x, z: x, lambda g, x: g),
    "the gradient of at": rule("Wrong", _in_no_grad, lambda x, z: x, lambda g, x: g * (1 - x * x)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_not_accused(name: str) -> None:
    at = torch.tensor([-2.0, -0.3, 0.0, 0.4, 3.0]) if name != "relu" else numbers(5)
    report = check_rules(RIGHT[name].apply, at)
    assert report, str(report)
    lines = str(report).splitlines()
    assert lines[0] == "the backward pass is right"
    assert lines[1:] == (["it is right to single precision only"] if name == "single" else [])


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_rule_is_named_with_its_module_and_its_mistake(message: str) -> None:
    net = nn.Sequential(nn.Linear(2, 2), Applied(WRONG[message]), nn.Linear(2, 2), Applied(TANH))
    report = check_rules(net, numbers(2, 2))
    assert not report
    (fault,) = report.faults
    assert message in str(fault)
    assert fault.place == "in module 1"
    assert message in report._repr_html_()


def test_every_wrong_rule_of_a_module_is_named_and_plain_modules_are_right() -> None:
    wrong = Applied(next(iter(WRONG.values())))
    net = nn.Sequential(nn.Linear(2, 2), wrong, nn.LayerNorm(2), wrong, nn.Tanh())
    assert [fault.place for fault in check_rules(net, numbers(2, 2)).faults] == ["in module 1"]
    assert check_rules(nn.GRUCell(2, 2), numbers(1, 2), numbers(1, 2))


def test_from_torch_warns_if_pytorchs_gradients_are_others() -> None:
    wrong = next(iter(WRONG.values()))
    with pytest.warns(UserWarning, match=r"PyTorch's gradient of args_0.* check_rules\(module"):
        from_torch(wrong.apply, numbers(3))
    with pytest.raises(UncoveredError, match="has a `no_grad` block in its forward"):
        from_torch(RIGHT["no_grad"].apply, numbers(3))


# ---------------------------------------------------------------------- the command, and no PyTorch


def test_the_command_prints_what_is_covered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bridges", "torch"]) == 0
    assert capsys.readouterr().out.split() == sorted(CALLS)


def test_without_the_library_a_message_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[torch\]'"):
        importlib.reload(with_torch)
    monkeypatch.setitem(sys.modules, "autograd.bridges.jax", None)
    assert main(["bridges", "jax"]) == 2
    assert "autograd.bridges.jax" in capsys.readouterr().err
