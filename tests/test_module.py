"""Module: its parts, its state, and files that are hostile, damaged or for another model."""

import copy
import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autograd
from autograd import Value, check_gradients, diagnose, finite_differences, no_grad, topological
from autograd.show.names import names
from nn import MLP, Embedding, FileFormatError, Layer, Module, storage, unscoped
from nn.module import grouped, present_scoping


class Tied(Module):
    """A parameter under two names, one in a dict, one that is private, and a module twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Value(1.0, "first")
        self.second = self.first
        self.table = {"a": Value(2.0), "b": [Value(3.0), Value(4.0)]}
        self.inner = Layer(2, 1, seed=0)
        self.again = [self.inner, None, "text"]
        self.parent = self  # refers back, as some models do
        self._private = Value(5.0)
        self.computed = self.first * 2.0

    def forward(self, x: Any) -> Any:
        return self.first * x


def bits(model: Module) -> list[tuple[str, str]]:
    return [(name, value.data.hex()) for name, value in model.named_parameters()]


# ------------------------------------------------------------------ what it is made of


def test_parameters_are_named_by_path_each_once_in_the_order_of_assignment() -> None:
    names = [name for name, _ in Tied().named_parameters()]
    assert names == [
        "first",
        "table.a",
        "table.b.0",
        "table.b.1",
        "inner.neurons.0.weights.0",
        "inner.neurons.0.weights.1",
        "inner.neurons.0.bias",
    ]


def test_modules_are_named_by_path_each_once() -> None:
    assert [name for name, _ in Tied().named_modules()] == ["", "inner", "inner.neurons.0"]


def test_zero_grad_zeroes_every_parameter_and_no_more() -> None:
    model = Tied()
    private = model._private
    for value in [*model.parameters(), private]:
        value.grad = 3.0
    model.zero_grad()
    assert all(value.grad == 0.0 for value in model.parameters())
    assert private.grad == 3.0


def test_train_and_eval_reach_every_module_and_return_the_model() -> None:
    model = Tied()
    assert model.training
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert model.train().inner.neurons[0].training


def test_a_module_without_forward_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Module()  # type: ignore[abstract]


def test_repr_counts_the_parameters() -> None:
    assert repr(MLP([4, 8, 3], "tanh", seed=0)).splitlines() == [
        "MLP [4, 8, 3]: 67 parameters",
        "  layers.0 Layer 4 -> 8 tanh: 40 parameters",
        "  layers.1 Layer 8 -> 3: 27 parameters",
    ]


def test_forward_hooks_see_inputs_and_outputs_until_removed() -> None:
    model, seen = Tied(), []
    remove = model.register_forward_hook(lambda module, x, z: seen.append((module, x, z.data)))
    model(3.0)
    remove()
    model(4.0)
    assert seen == [(model, (3.0,), 3.0)]


# ------------------------------------------------------------------ scopes


def test_every_module_opens_a_scope_and_its_parameters_are_in_it() -> None:
    model = MLP([2, 2, 1], "tanh", seed=0)
    (output,) = model([1.0, 2.0])
    scopes = {node.scope for node in topological(output)}
    assert scopes == {
        "mlp/layer 0/neuron 0",
        "mlp/layer 0/neuron 1",
        "mlp/layer 1/neuron 0",
    }
    leaf = model.layers[0].neurons[1].weights[0]
    assert (leaf.label, leaf.scope) == ("w0", "mlp/layer 0/neuron 1")
    assert model.layers[0].neurons[1].bias is not None
    assert model.layers[0].neurons[1].bias.label == "b"


def test_parameters_move_with_the_scope_that_the_module_is_called_in() -> None:
    model = MLP([1, 1], None, seed=0)
    model([1.0])
    weight = model.layers[0].neurons[0].weights[0]
    model.layers[0]([1.0])
    assert weight.scope == "layer 0/neuron 0"
    model([1.0])
    assert weight.scope == "mlp/layer 0/neuron 0"


def test_unscoped_computes_the_same_bits_without_scopes() -> None:
    model = MLP([2, 3, 1], "tanh", seed=0)
    (grouped,) = model([1.0, 2.0])
    with unscoped():
        (plain,) = model([1.0, 2.0])
    assert plain.data == grouped.data
    assert plain.scope == ""
    assert model([1.0, 2.0])[0].scope == grouped.scope


def test_a_name_that_would_break_scopes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a name without '/', got 'a/b'"):
        Layer(1, 1, name="a/b")


def test_a_deep_copy_is_independent_and_computes_and_groups_the_same() -> None:
    model = MLP([2, 3, 1], "tanh", seed=0)
    (output,) = model([1.0, 2.0])
    twin = copy.deepcopy(model)
    (other,) = twin([1.0, 2.0])
    assert other.data == output.data
    other.backward()
    assert all(p.grad == 0.0 for p in model.parameters())
    assert [(p.label, p.scope) for p in twin.parameters()] == [
        (p.label, p.scope) for p in model.parameters()
    ]
    tied = copy.deepcopy(Pair())
    assert tied.first is tied.second


class Pair(Module):
    """Two names for one parameter, and no call of the inherited `__init__`."""

    def __init__(self) -> None:
        self.first = self.second = Value(1.0)

    def forward(self, x: Any) -> Any:
        return self.first * x


def test_a_subclass_may_forget_the_inherited_init() -> None:
    model = Pair()
    assert model(2.0).scope == "pair"
    assert len(model.parameters()) == 1


# ------------------------------------------------------------------ state


def test_state_dict_is_numbers_and_lists_and_loads_back() -> None:
    model = Tied()
    state = model.state_dict()
    assert state["table.b"] == [3.0, 4.0]
    assert state["first"] == state["second"] == 1.0
    other = Tied()
    for value in other.parameters():
        value.data = 0.0
    other.load_state_dict(json.loads(json.dumps(state)))
    assert bits(other) == bits(model)


def test_loading_keeps_the_parameters_identity_gradients_and_labels() -> None:
    model = Layer(2, 1, seed=0)
    weight = model.neurons[0].weights[0]
    weight.grad = 7.0
    model.load_state_dict(Layer(2, 1, seed=1).state_dict())
    assert model.neurons[0].weights[0] is weight
    assert (weight.grad, weight.label) == (7.0, "w0")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("neurons.0.bias"), r"missing: neurons\.0\.bias; not known: none"),
        (lambda s: s.update(extra=1.0), r"missing: none; not known: extra"),
        (lambda s: s.update({"neurons.0.weights": [1.0]}), r"expected 2 entries, got 1"),
        (lambda s: s.update({"neurons.0.weights": 1.0}), r"expected a list of 2, got float"),
        (lambda s: s.update({"neurons.1.bias": [1.0]}), r"neurons\.1\.bias.*got list"),
        (lambda s: s.update({"neurons.1.bias": True}), r"expected a number, got True"),
        (lambda s: s.update({"neurons.1.bias": "1.0"}), r"neurons\.1\.bias.*got str"),
        (lambda s: s["neurons.1.weights"].__setitem__(1, None), r"neurons\.1\.weights\[1\]"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    model = Layer(2, 2, seed=0)
    before = bits(model)
    state = Layer(2, 2, seed=1).state_dict()
    change(state)
    with pytest.raises((TypeError, ValueError), match=words):
        model.load_state_dict(state)
    assert bits(model) == before


def test_of_many_missing_names_five_are_listed() -> None:
    with pytest.raises(ValueError, match=r"missing: (\S+ ){4}\S+ and 3 more; not known: none"):
        Layer(1, 4, seed=0).load_state_dict({})


def test_a_shared_parameter_cannot_be_loaded_as_two_numbers() -> None:
    model = Tied()
    with pytest.raises(ValueError, match="second: a shared parameter cannot have two values"):
        model.load_state_dict({**model.state_dict(), "second": 9.0})
    assert model.first.data == 1.0


# ------------------------------------------------------------------ files


def test_a_saved_model_loads_with_the_same_bits(tmp_path: Path) -> None:
    model = MLP([3, 4, 2], "tanh", seed=1)
    numbers = [math.pi, -0.0, 5e-324, 1.7976931348623157e308, -1 / 3, 2.2250738585072014e-308]
    for value, data in zip(model.parameters(), numbers, strict=False):
        value.data = data
    model.save(tmp_path / "model.json")
    other = MLP([3, 4, 2], "tanh", seed=2)
    other.load(tmp_path / "model.json")
    assert bits(other) == bits(model)
    table = Embedding(3, 2, seed=0)
    table.save(tmp_path / "table.json")
    again = Embedding(3, 2, seed=1)
    again.load(tmp_path / "table.json")
    assert bits(again) == bits(table)


def test_random_bits_survive_a_file(tmp_path: Path) -> None:
    import struct

    rng = random.Random(0)
    numbers = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(2000)]
    finite = [number for number in numbers if math.isfinite(number)]
    storage.write(tmp_path / "n.json", "test", finite)
    assert [n.hex() for n in storage.read(tmp_path / "n.json", "test")] == [n.hex() for n in finite]


def test_every_kind_of_content_survives_a_file(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, True, None, "text", {"text": "x", "dict": 1.0}], "0x1.0p+0": "nan"}
    storage.write(tmp_path / "c.json", "test", content)
    assert storage.read(tmp_path / "c.json", "test") == content


@pytest.mark.parametrize("content", [{1: 2.0}, object(), [1j], {"a": {1.0}}, Value(1.0)])
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(content: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"cannot be stored|keys of text"):
        storage.write(tmp_path / "c.json", "test", content)
    assert list(tmp_path.iterdir()) == []


def test_nonfinite_parameters_are_saved_and_loaded_only_on_request(tmp_path: Path) -> None:
    model = Layer(3, 1, bias=False, seed=0)
    model.load_state_dict({"neurons.0.weights": [math.nan, math.inf, -math.inf]})
    model.save(tmp_path / "m.json")
    other = Layer(3, 1, bias=False, seed=0)
    before = bits(other)
    with pytest.raises(FileFormatError, match=r"weights\[0\]: is nan; pass allow_nonfinite=True"):
        other.load(tmp_path / "m.json")
    assert bits(other) == before
    other.load(tmp_path / "m.json", allow_nonfinite=True)
    assert bits(other) == bits(model)


def saved(content: Any) -> str:
    return json.dumps({"format": "chainrule-parameters", "version": 1, "content": content})


GOOD = {"dict": {"neurons.0.weights": ["0x1.8000000000000p+0"], "neurons.0.bias": "0x0.0p+0"}}
WEIGHTS = '{"dict": {"neurons.0.weights": ["0x1.8000000000000p+0"], "neurons.0.bias": %s}}'
DOCUMENT = '{"format": "chainrule-parameters", "version": 1, "content": ' + WEIGHTS + "}"


def test_the_good_file_of_the_hostile_ones_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.json"
    for text in (saved(GOOD), DOCUMENT % '"0x0.0p+0"'):
        path.write_text(text)
        model = Layer(1, 1, seed=0)
        model.load(path)
        assert model.state_dict() == {"neurons.0.weights": [1.5], "neurons.0.bias": 0.0}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a file of this library"),
        (b"\x80\x04\x95 cos\nsystem", "not a file of this library"),  # a pickle
        (b"\x93NUMPY\x01\x00", "not a file of this library"),
        (saved(GOOD).encode()[:-20], "damaged"),
        (b"[]", "not a file of this library"),
        (b"null", "not a file of this library"),
        (b"[" * 100_000, "nested too deep|damaged"),
        (b"1" * 5000, "damaged"),
        (saved(GOOD).replace("parameters", "checkpoint").encode(), "expected parameters, got"),
        (saved(GOOD).replace('"version": 1', '"version": 3').encode(), "version 3 is not known"),
        (saved(GOOD).replace('"version": 1', '"version": 2').encode(), "not a file of this"),
        (saved(GOOD).replace('"version"', '"sha256": "", "version"').encode(), "not a file of"),
        (saved(GOOD).replace('"version": 1', '"sha256": "0", "version": 2').encode(), "damaged"),
        (saved(GOOD).replace('"version": 1', '"version": true').encode(), "version True"),
        (saved(GOOD).replace('"version": 1', '"version": 1, "x": 0').encode(), "not a file of"),
        (
            b'{"format": "chainrule-parameters", "format": "chainrule-parameters"}',
            "the key 'format' is there twice",
        ),
        ((DOCUMENT % "NaN").encode(), "NaN is not JSON"),
        ((DOCUMENT % "-Infinity").encode(), "-Infinity is not JSON"),
        ((DOCUMENT % "1e999").encode(), r"stored as float\.hex\(\) text"),
        ((DOCUMENT % "0.5").encode(), r"stored as float\.hex\(\) text"),
        ((DOCUMENT % "true").encode(), "expected a number, got True"),
        ((DOCUMENT % "null").encode(), "expected a real number, got NoneType"),
        ((DOCUMENT % '"0x1p0"').encode(), r"expected a number as float\.hex\(\) writes it"),
        ((DOCUMENT % '" 0x0.0p+0"').encode(), r"expected a number as float\.hex\(\) writes it"),
        ((DOCUMENT % '"0x1.0000000000000p+99999"').encode(), "not a number of 64 bits"),
        ((DOCUMENT % '"0x1.00000000000000001p+0"').encode(), "not a number of 64 bits"),
        ((DOCUMENT % '"inf"').encode(), "pass allow_nonfinite=True"),
        ((DOCUMENT % '"\\ud800"').encode(), "expected a number"),
        ((DOCUMENT % '"\u0661"').encode(), "not a file of this library"),
        ((DOCUMENT % '{"text": "1.0"}').encode(), "got str"),
        ((DOCUMENT % '{"__class__": "os.system"}').encode(), "expected text or a dict"),
        ((DOCUMENT % '["0x0.0p+0"]').encode(), "got list"),
        ((DOCUMENT % ("[" * 300 + "]" * 300)).encode(), "nested more than 100 deep"),
        (saved({"dict": {}}).encode(), r"missing: neurons\.0\.weights, neurons\.0\.bias"),
        (saved([1]).encode(), "expected a dict by name, got list"),
    ],
)
def test_a_hostile_or_damaged_file_is_refused_and_the_model_untouched(
    data: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    model = Layer(1, 1, seed=0)
    before = bits(model)
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        model.load(path)
    assert str(caught.value).startswith("bad.json: ")
    assert bits(model) == before


def test_every_truncation_and_every_flipped_byte_is_refused_or_the_same_file(
    tmp_path: Path,
) -> None:
    model = Layer(2, 1, seed=0)
    model.save(tmp_path / "m.json")
    whole = (tmp_path / "m.json").read_bytes()
    before = bits(model)
    path = tmp_path / "damaged.json"
    for cut in range(len(whole) - 1):  # the last byte is the line's end
        path.write_bytes(whole[:cut])
        with pytest.raises((ValueError, TypeError)):
            model.load(path)
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(damaged)
        other = Layer(2, 1, seed=1)
        try:
            other.load(path)
            refusal = ""
        except FileFormatError as error:
            refusal = str(error)
        # What is not refused was white space.
        assert refusal.startswith("damaged.json: ") or bits(other) == before


def test_a_file_over_the_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LIMIT", 100)
    (tmp_path / "big.json").write_bytes(b" " * 101)
    with pytest.raises(FileFormatError, match="larger than the limit of 100 bytes"):
        Layer(1, 1).load(tmp_path / "big.json")


def test_a_file_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    MLP([2, 3, 1], "tanh", seed=0).save(tmp_path / "m.json")
    model = MLP([2, 4, 1], "tanh", seed=0)
    before = bits(model)
    with pytest.raises(ValueError, match=r"m\.json: mlp: .*missing: layers\.0\.neurons\.3"):
        model.load(tmp_path / "m.json")
    assert bits(model) == before


def test_a_save_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.json"
    model = Layer(1, 1, seed=0)
    model.save(path)
    old = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    model.neurons[0].weights[0].data = 9.0
    with pytest.raises(OSError, match="No space"):
        model.save(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    model = Layer(1, 1, seed=0)
    model.save(path)
    umask = os.umask(0o077)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o600)
    model.save(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_file_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Layer(1, 1).load(tmp_path / "none.json")


def test_nn_refuses_to_work_with_another_autograd(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "autograd").mkdir()
    (tmp_path / "autograd" / "__init__.py").write_text("def grad(f): ...\n")
    root = Path(__file__).resolve().parent.parent
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]; import nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: nn needs the `autograd` of the distribution `chainrule`" in done.stderr
    assert "HIPS" in done.stderr


def test_a_refusal_says_where(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    for content, where in (
        (1j, "content"),
        ([1j], r"\[0\]"),
        ({"a": [1.0, {"b": {1.0}}]}, r"a\[1\]\.b"),
        ({"a": {2: 1.0}}, "a"),
    ):
        with pytest.raises(TypeError, match=f"^{where}: (cannot be stored|expected keys of text)"):
            storage.write(path, "test", content)
    for stored, where in (
        ("1.0", "content"),
        ({"dict": {"a": [1, {"dict": {"b": "1.0"}}]}}, r"a\[1\]\.b"),
        ({"dict": {"n" * 200: "1.0"}}, "n" * 80),
        ({"dict": {"a": {"dict": {"b": "inf"}}}}, r"a\.b"),
    ):
        document = {"format": "chainrule-test", "version": 1, "content": stored}
        path.write_text(json.dumps(document))
        with pytest.raises(FileFormatError, match=rf"^n\.json: {where}: "):
            storage.read(path, "test")


def test_a_file_of_exactly_the_limit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "n.json"
    storage.write(path, "test", [1.0])
    monkeypatch.setattr(storage, "LIMIT", path.stat().st_size)
    assert storage.read(path, "test") == [1.0]
    monkeypatch.setattr(storage, "LIMIT", path.stat().st_size - 1)
    with pytest.raises(FileFormatError, match="larger than the limit"):
        storage.read(path, "test")


@pytest.mark.parametrize("deep", [100, 101])
def test_a_file_may_be_nested_a_hundred_deep(deep: int, tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    content: Any = 1.0
    for _ in range(deep):
        content = [content]
    storage.write(path, "test", content)
    if deep == 100:
        assert storage.read(path, "test") == content
    else:
        with pytest.raises(FileFormatError, match="nested more than 100 deep"):
            storage.read(path, "test")


class Twice(Module):
    """A part of its own, and one that it shares with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.a = Layer(1, 1, seed=0)
        self.b = self.a
        self.c = Layer(1, 1, seed=1)
        self.leaves = [Value(float(i)) for i in range(4)]
        self.tables = [[[self.leaves[0]], [self.leaves[1]]], [[self.leaves[2]], self.leaves[3]]]

    def forward(self, x: Any) -> Any:
        return self.c(self.a(x))


def test_a_module_is_called_by_its_class_and_what_it_repeats_comes_once() -> None:
    one = Twice()
    assert one.name == "twice"
    assert [path for path, _ in one.named_modules() if path.count(".") == 0] == ["", "a", "c"]
    one([1.0])
    # Every leaf of nested lists carries the scope of the module that it belongs to.
    assert {leaf.scope for leaf in one.leaves} == {"twice"}
    assert one.training
    one.eval()
    assert one.training is False
    assert one.c.training is False


def test_within_unscoped_no_group_opens_a_scope() -> None:
    with unscoped():
        assert present_scoping() is False
        with grouped("part"):
            assert (Value(1.0) * 2.0).scope == ""
    with grouped("part"):
        assert (Value(1.0) * 2.0).scope == "part"


@pytest.mark.parametrize(("missing", "told"), [(5, "a4"), (6, "a4 and 1 more"), (7, "a4 and 2")])
def test_up_to_five_names_are_told_and_the_others_counted(missing: int, told: str) -> None:
    class Many(Module):
        """Nothing but parameters."""

        def __init__(self) -> None:
            super().__init__()
            for i in range(7):
                setattr(self, f"a{i}", Value(float(i)))

        def forward(self) -> None:
            """Nothing."""

    state = Many().state_dict()
    for i in range(missing):
        del state[f"a{i}"]
    with pytest.raises(ValueError, match=told) as caught:
        Many().load_state_dict(state)
    assert ("more" in str(caught.value)) is (missing > 5)


def test_dictionaries_count_as_depth_too(tmp_path: Path) -> None:
    def nested(deep: int) -> Any:
        content: Any = 1.0
        for _ in range(deep):
            content = {"a": content}
        return content

    path = tmp_path / "deep"
    storage.write(path, "model", nested(100))
    assert storage.read(path, "model") == nested(100)
    storage.write(path, "model", nested(101))
    with pytest.raises(FileFormatError, match="nested more than"):
        storage.read(path, "model")


@pytest.mark.parametrize(
    "use",
    [
        lambda loss, p: check_gradients(loss, parameters=p),
        lambda loss, p: check_gradients(loss, parameters=p, order=2),
        lambda loss, p: autograd.compile(loss)(),
        lambda loss, p: diagnose(loss, parameters=p, gradient=lambda: [0.0] * len(p)),
        lambda loss, p: no_grad()(loss)(),
        lambda loss, p: finite_differences(lambda x: loss().data, [1.0]),
    ],
    ids=["check", "check, order=2", "compile", "diagnose", "no_grad", "differences"],
)
def test_a_graph_keeps_the_names_of_its_parameters_whatever_runs_the_model_next(use: Any) -> None:
    model = MLP([2, 2, 1], "tanh", seed=0)

    def loss() -> Any:
        return model([0.5, -1.0])[0] ** 2

    root = loss()
    before = [*names(topological(root)).values()]
    assert "layers.0.neurons.1.w0" in before
    use(loss, dict(model.named_parameters()))
    assert [*names(topological(root)).values()] == before
