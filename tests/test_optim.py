"""Optimizers: PyTorch's losses step by step, exact state, and steps that are taken whole."""

import inspect
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

import autograd
from autograd import Value
from nn import MLP, FileFormatError, columns, hinge, optim, sparse_categorical_crossentropy, storage
from nn.optim import LBFGS, SGD, Adagrad, Adam, Optimizer, RMSprop, clip_norm, clip_value
from tests.golden.networks import NETWORKS, OPTIMIZERS, Network

ALL: list[Any] = list(optim.NAMED.values())
GOLDEN = json.loads((Path(__file__).parent / "golden" / "optimizers.json").read_text())
each = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)


def make(label: str, model: MLP) -> Optimizer:
    lr, options = OPTIMIZERS[label]
    return optim.NAMED[label.split()[0].lower()](model, lr=lr, **options)


def loss_of(network: Network, model: MLP) -> Any:
    outputs = [model(x) for x in network.inputs]
    if network.loss == "hinge":
        decay: Value = sum((p * p for p in model.parameters()), Value(0.0))
        signs = [2.0 * y - 1.0 for y in network.targets]
        return hinge([z for (z,) in outputs], signs) + 1e-4 * decay
    return sparse_categorical_crossentropy(outputs, network.targets, from_logits=True)


class Lion(Optimizer):
    """x <- x - lr * sign(b1 m + (1 - b1) g), m <- b2 m + (1 - b2) g (Chen et al. 2023, alg. 2)."""

    defaults: ClassVar[Any] = {"betas": (0.9, 0.99)}

    def update(self, x: Any, g: Any, state: Any, step: int, **options: Any) -> Any:
        (b1, b2), m = options["betas"], columns.like(x, state.get("mean"))
        d = b1 * m + (1.0 - b1) * g
        return x - options["lr"] * columns.divided(d, abs(d)), {"mean": b2 * m + (1.0 - b2) * g}


def lion(x: float, slopes: list[float], lr: float) -> list[float]:
    """The same for one number, written anew."""
    m, xs = 0.0, []
    for g in slopes:
        d = 0.9 * m + 0.1 * g
        x -= lr * ((d > 0) - (d < 0))
        m = 0.99 * m + 0.01 * g
        xs.append(x)
    return xs


# An optimizer that PyTorch does not have comes in here, beside its recurrence for one number: from
# the number, its gradients step by step and the rate to the numbers.
BY_HAND: dict[Any, Callable[[float, list[float], float], list[float]]] = {Lion: lion}
PEERS = [kind for kind in ALL if kind not in BY_HAND]


def test_every_optimizer_is_compared_with_pytorch_or_with_its_own_recurrence() -> None:
    of_module = {
        kind
        for _, kind in inspect.getmembers(optim, inspect.isclass)
        if issubclass(kind, Optimizer) and kind is not Optimizer
    }
    assert of_module <= set(ALL)
    assert {kind.__name__ for kind in PEERS} == {label.split()[0] for label in OPTIMIZERS}
    assert optim.AdaGrad is Adagrad


@pytest.mark.parametrize("kind", BY_HAND)
def test_an_optimizer_without_a_peer_follows_its_recurrence(kind: Any, tmp_path: Path) -> None:
    slopes = [1.0, -0.5, 0.25, 3.0, -2.0, -2.0, 0.0, 0.5]
    x, optimizer = Value(2.0), None
    seen: list[float] = []
    for g in slopes:
        if optimizer is not None:
            optimizer.save(tmp_path / "state")
        optimizer = kind([x], lr=0.1)
        if seen:
            optimizer.load(tmp_path / "state")
        x.grad = g
        optimizer.step()
        seen.append(x.data)
    assert seen == pytest.approx(BY_HAND[kind](2.0, slopes, 0.1), rel=1e-12)


# Of each optimizer coverage watches the steps of one network.
WATCHED = [
    "classes", *(pytest.param(n, marks=pytest.mark.untraced) for n in NETWORKS if n != "classes"),
]  # fmt: skip


@pytest.mark.parametrize("label", OPTIMIZERS)
@pytest.mark.parametrize("name", WATCHED)
def test_steps_give_the_losses_of_pytorch(name: str, label: str) -> None:
    network = NETWORKS[name]
    model = network.model()
    optimizer = make(label, model)
    # Not all steps that are known, for the sake of time.
    for expected in GOLDEN[f"{name}: {label}"][: 25 if name == "classes" else 10]:
        loss = loss_of(network, model)
        # The curvature that LBFGS computes with is a quotient of small differences.
        rel = 1e-8 if label == "LBFGS" else 1e-10
        assert loss.data == pytest.approx(expected, rel=rel)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@each
def test_a_quadratic_is_minimized(kind: Any) -> None:
    x, y = Value(3.0), Value(-2.0)
    rates = {Adagrad: 0.3, optim.Adadelta: 5.0, LBFGS: 1.0}
    optimizer = kind([x, y], lr=rates.get(kind, 0.05))
    for _ in range(800):
        optimizer.zero_grad()
        ((x - 1.0) ** 2 + 3.0 * (y + 0.5) ** 2).backward()
        optimizer.step()
    assert [x.data, y.data] == pytest.approx([1.0, -0.5], abs=0.05)


@pytest.mark.parametrize("label", OPTIMIZERS)
@pytest.mark.traced(every=7)
def test_a_run_goes_on_from_a_file_to_the_same_bits(label: str, tmp_path: Path) -> None:
    network = NETWORKS["classes"]

    def run(model: MLP, optimizer: Optimizer, steps: int) -> list[str]:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_of(network, model).backward()
            optimizer.step()
        return [p.data.hex() for p in model.parameters()]

    model, again = network.model(), network.model()
    whole = run(model, make(label, model), 6)
    first = make(label, again)
    run(again, first, 3)
    first.save(tmp_path / "state")
    second = make(label, again)
    second.lr = 123.0
    second.load(tmp_path / "state")
    assert second.lr == OPTIMIZERS[label][0]
    assert run(again, second, 3) == whole


def test_groups_have_options_of_their_own() -> None:
    x, y = Value(1.0), Value(1.0)
    optimizer = SGD([{"parameters": [x]}, {"parameters": [("y", y)], "lr": 0.5}], lr=0.1)
    (x + y).backward()
    optimizer.step()
    assert (x.data, y.data) == (0.9, 0.5)
    assert optimizer.groups[1].names == ["y"]
    assert "lr=0.1" in repr(optimizer)


@each
def test_a_step_with_a_bad_gradient_changes_nothing_and_names_the_parameter(kind: Any) -> None:
    x, y = Value(1.0, "x"), Value(1.0, "y")
    optimizer = kind([x, y], lr=0.1)
    (x * y).backward()
    optimizer.step()
    before = x.data, y.data, optimizer.state_dict()
    y.grad = math.nan
    with pytest.raises(ArithmeticError, match="gradient of y is nan"):
        optimizer.step()
    x.grad, y.grad, optimizer.lr = 1.0, 1.0, 1e308
    if kind is SGD:
        x.grad = 10.0
        with pytest.raises(ArithmeticError, match="new x is -inf"):
            optimizer.step()
    optimizer.lr = 0.1
    assert (x.data, y.data, optimizer.state_dict()) == before


def test_a_step_that_is_interrupted_in_any_function_is_not_taken() -> None:
    seen = set()
    for moment in range(1000):
        x, y = Value(1.0), Value(1.0)
        optimizer = Adam([x, y], lr=0.1)
        (x + y * 1.0).backward()
        events = iter(range(moment))

        def interrupt(frame: Any, event: str, _: Any, events: Iterator[int] = events) -> None:
            # What is raised while a generator is closed is lost; this test is not interrupted.
            code = frame.f_code
            apart = code.co_name == "<genexpr>" or code.co_filename == __file__
            if event in ("call", "c_return") and not apart and next(events, None) is None:
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        try:
            optimizer.step()
            break
        except KeyboardInterrupt:
            seen.add((x.data, y.data, optimizer.taken, len(optimizer.groups[0].state)))
        finally:
            sys.setprofile(None)
    assert seen == {(1.0, 1.0, 0, 0)}  # no function of Python's runs once it is being taken
    assert (x.data, optimizer.taken, moment > 20) == (y.data, 1, True)


def test_what_cannot_be_optimized_is_refused() -> None:
    x = Value(1.0)
    with pytest.raises(ValueError, match="no parameters"):
        SGD([])
    with pytest.raises(ValueError, match="comes twice"):
        SGD([x, x])
    model = MLP([1, 1], None, seed=0)
    with pytest.raises(TypeError, match=r"expected a module or Values, got a method; call it$"):
        SGD(model.parameters)
    with pytest.raises(ValueError, match=r"\['params'\]; it is called 'parameters' here"):
        SGD({"params": model.parameters()})
    with pytest.raises(TypeError, match="leaf Value"):
        SGD([x * 2.0])
    with pytest.raises(ValueError, match="lr must be"):
        SGD([x], lr=-0.1)
    with pytest.raises(ValueError, match="lr must be"):
        SGD([x], lr=math.nan)
    with pytest.raises(ValueError, match="unknown option 'momentun'; did you mean 'momentum'"):
        SGD([x], momentun=0.9)
    with pytest.raises(ValueError, match="betas must be at least 0 and less than 1"):
        Adam([x], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        SGD([x], nesterov=True)
    with pytest.raises(ValueError, match="no gradient yet"):
        SGD([x]).step()
    with pytest.raises(ValueError, match="must have"):
        SGD([{"lr": 0.1}])


def test_states_of_others_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    model = MLP([1, 2], None, seed=0)
    optimizer = Adam(model)
    before = optimizer.state_dict()
    other = Adam([Value(1.0)])
    bad: list[Any] = [{}, [], SGD(model).state_dict(), other.state_dict()]
    bad.append({**before, "groups": [{**before["groups"][0], "state": {"mean": [1.0]}}]})
    bad.append({**before, "groups": [{**before["groups"][0], "options": {"lr": 0.1}}]})
    for state in bad:
        with pytest.raises(ValueError, match="Adam:"):
            optimizer.load_state_dict(state)
    assert optimizer.state_dict() == before
    storage.write(tmp_path / "parameters", "parameters", {})
    with pytest.raises(FileFormatError, match="expected optimizer"):
        optimizer.load(tmp_path / "parameters")


def test_clipping() -> None:
    x, y = Value(3.0), Value(4.0)
    (x * x / 2 + y * y / 2).backward()
    assert clip_norm([x, y], 10.0) == 5.0
    assert (x.grad, y.grad) == (3.0, 4.0)
    assert clip_norm([x, y], 2.5) == 5.0
    assert (x.grad, y.grad) == (1.5, 2.0)
    clip_value([x, y], 1.75)
    assert (x.grad, y.grad) == (1.5, 1.75)
    x.grad = math.inf
    with pytest.raises(ArithmeticError, match="inf"):
        clip_norm([x, y], 1.0)
    x.grad = math.nan
    with pytest.raises(ArithmeticError, match="nan"):
        clip_value([x], 1.0)
    for clip in (clip_norm, clip_value):
        with pytest.raises(ValueError, match="above 0"):
            clip([x], 0.0)


def test_a_gradient_of_zero_moves_nothing_even_without_eps() -> None:
    for kind in (RMSprop, Adagrad, Adam):
        x = Value(1.0)
        optimizer = kind([x], eps=0.0)
        (x * 0.0).backward()
        x.grad = 0.0
        optimizer.step()
        assert x.data == 1.0


@pytest.mark.parametrize(
    ("kind", "option", "wrong", "range"),
    [
        (SGD, "momentum", 1.5, "from 0 to 1"),
        (SGD, "dampening", 1.5, "from 0 to 1"),
        (RMSprop, "alpha", 1.5, "at least 0 and less than 1"),
        (RMSprop, "alpha", 1.0, "at least 0 and less than 1"),
        (optim.Adadelta, "rho", 1.0, "at least 0 and less than 1"),
        (RMSprop, "momentum", -0.1, "from 0 to 1"),
        (Adam, "betas", 1.0, "2 numbers"),
        (Adam, "betas", (0.9,), "2 numbers"),
        (Adam, "eps", -1.0, "a finite number of at least 0"),
        (Adam, "lr", math.inf, "a finite number of at least 0"),
        (Adam, "lr", math.nan, "a finite number of at least 0"),
        (LBFGS, "history_size", 0, "a whole number of at least 1"),
    ],
)
def test_an_option_out_of_range_is_refused_with_its_range(
    kind: Any, option: str, wrong: Any, range: str
) -> None:
    shown = re.escape(repr(wrong))
    with pytest.raises(
        ValueError, match=f"^{kind.__name__}: {option} must be {range}, got {shown}$"
    ):
        kind([Value(1.0)], **{option: wrong})
    if option not in ("betas", "history_size"):
        with pytest.raises(TypeError, match=f"^{kind.__name__}: {option}: expected a real number"):
            kind([Value(1.0)], **{option: "x"})


def test_options_of_other_libraries_are_named() -> None:
    for kind, option, words in (
        (Adam, "learning_rate", "it is called 'lr' here"),
        (Adam, "beta_1", "it is called 'betas' here"),
        (Adam, "epsilon", "it is called 'eps' here"),
        (RMSprop, "rho", "it is called 'alpha' here"),
        (Adagrad, "initial_accumulator_value", "it is called 'initial' here"),
        (SGD, "dampning", "did you mean 'dampening'"),
    ):
        with pytest.raises(ValueError, match=f"^{kind.__name__}: unknown option .*{words}"):
            kind([Value(1.0)], **{option: 0.5})
    for option in ("nesterov", "maximize"):
        with pytest.raises(TypeError, match=f"^SGD: {option} must be True or False, got 'no'"):
            SGD([Value(1.0)], 0.1, **{option: "no"})


def test_numbers_of_other_libraries_are_stored_as_pythons(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    x = Value(1.0)
    given: list[Any] = [np.float32(0.5), np.float64(0.5), np.int64(1), Fraction(1, 2)]
    for lr in given:
        optimizer = SGD([x], lr=lr, momentum=np.float32(0.5), nesterov=np.bool_(True))
        options = optimizer.groups[0].options
        assert [type(options[k]) for k in ("lr", "momentum", "nesterov")] == [float, float, bool]
        optimizer.save(tmp_path / "state")
    betas = Adam([x], betas=[np.float64(0.5), np.float32(0.25)]).groups[0].options["betas"]
    assert betas == (0.5, 0.25)
    assert [type(beta) for beta in betas] == [float, float]
    x.grad = 2.0
    clip_value([x], np.float32(0.5))
    assert (x.grad, type(x.grad)) == (0.5, float)
    start = Adagrad([x], initial=1).groups[0].options["initial"]
    assert (start, type(start)) == (1.0, float)


def test_a_step_takes_a_closure_and_returns_its_loss() -> None:
    x = Value(3.0)
    optimizer = SGD([x], lr=0.5)

    def closure() -> Value:
        optimizer.zero_grad()
        loss = x * x
        loss.backward()
        return loss

    assert optimizer.step(closure).data == 9.0
    assert x.data == 0.0
    with pytest.warns(UserWarning, match="include those of the last step"):
        assert optimizer.step() is None


def test_clipping_takes_a_model() -> None:
    model = MLP([1, 1], None, seed=0)
    for p in model.parameters():
        p.grad = 3.0
    assert clip_norm(model, 1.0) == pytest.approx(math.hypot(3.0, 3.0))
    clip_value(model, 0.5)
    assert [p.grad for p in model.parameters()] == [0.5, 0.5]


def rosenbrock(v: list[Value]) -> Value:
    return sum(((1.0 - a) ** 2 + 100.0 * (b - a * a) ** 2 for a, b in pairwise(v)), Value(0.0))


@pytest.mark.parametrize(("count", "most"), [(2, 70), (6, 100)])
def test_lbfgs_searches_along_lines_with_about_as_many_gradients_as_pytorch(
    count: int, most: int
) -> None:
    # PyTorch's strong_wolfe takes 43 and 62 to the same accuracy.
    v = [Value(1.0 if i % 2 else -1.2) for i in range(count)]
    optimizer, taken = LBFGS(v), 0
    while True:
        optimizer.zero_grad()
        loss = rosenbrock(v)
        loss.backward()
        if max(abs(p.grad) for p in v) < 1e-6:
            break
        optimizer.step()
        taken += 1
        assert taken < most
    assert loss.data < 1e-9


def test_lbfgs_gets_over_a_kink_and_stays_where_the_gradient_is_0() -> None:
    x, y = Value(3.0), Value(1.0)
    optimizer = LBFGS([x, y])
    for _ in range(80):
        optimizer.zero_grad()
        (abs(x) + (y - x) ** 2).backward()
        optimizer.step()
    assert [x.data, y.data] == pytest.approx([0.0, 0.0], abs=1e-3)
    for p in (x, y):
        p.data = p.grad = 0.0
    optimizer = LBFGS([x, y])
    optimizer.step()
    assert (x.data, y.data) == (0.0, 0.0)
    with pytest.raises(ValueError, match="LBFGS: expected one group, got 2"):
        LBFGS([{"parameters": x}, {"parameters": y}])


@each
def test_steps_on_arrays_have_the_bits_of_steps_on_values(kind: Any) -> None:
    pytest.importorskip("numpy")
    model, again = NETWORKS["classes"].model(), NETWORKS["classes"].model()
    one, two = kind(model, lr=0.05, maximize=True), kind(again, lr=0.05, maximize=True)
    flat = autograd.compile(lambda x: sum(p * x for p in again.parameters())).flat(
        again.parameters()
    )
    for step in range(6):
        slopes = [math.sin(step + 0.3 * i) for i in range(len(model.parameters()))]
        for p, g in zip(model.parameters(), slopes, strict=True):
            p.grad = g
        flat.gradients[:] = slopes
        one.step()
        two.step_flat(flat)
        assert flat.numbers.tolist() == [p.data for p in model.parameters()]
        assert one.state_dict() == two.state_dict()


def test_the_ends_of_the_ranges_are_options() -> None:
    assert SGD([Value(1.0)], momentum=1.0, dampening=1.0).groups[0].options["momentum"] == 1.0
    assert SGD([Value(1.0)], lr=0.0, weight_decay=2.0).lr == 0.0


def test_an_optimizer_says_what_it_is_and_what_it_lacks() -> None:
    x = Value(1.0)
    assert repr(Adam([x], lr=0.5)).startswith("Adam(1 parameters, ")
    assert "betas=(0.9, 0.999), eps=1e-08, " in repr(Adam([x]))
    with pytest.raises(ValueError, match=r"^Adam\.step: no gradient yet"):
        Adam([x]).step()
    assert Adam([x]).state_dict()["groups"][0]["options"]["betas"] == [0.9, 0.999]


RATES = {
    "SGD": 0.001,
    "Adagrad": 0.01,
    "Adadelta": 1.0,
    "RMSprop": 0.01,
    "Adam": 0.001,
    "AdamW": 0.001,
    "Adamax": 0.002,
    "NAdam": 0.002,
    "LBFGS": 1.0,
}


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.__name__)
def test_the_learning_rate_that_is_not_given_is_pytorchs(kind: Any) -> None:
    assert kind([Value(1.0)]).lr == RATES[kind.__name__]


def test_one_group_may_be_a_dict_and_its_parameters_a_single_value() -> None:
    w = Value(2.0, "w")
    optimizer = SGD({"parameters": w, "lr": 0.25}, lr=1.0)
    assert (len(optimizer.groups), optimizer.lr, optimizer.groups[0].names) == (1, 0.25, ["w"])
    (w * w).backward()
    optimizer.step()
    assert w.data == 1.0


def test_groups_that_lie_apart_or_in_another_order_step_on_arrays_as_on_values() -> None:
    pytest.importorskip("numpy")
    for places in ([[1, 2], [0, 3]], [[3, 1], [0, 2]], [[0], [3, 2, 1]]):
        values = [Value(float(k)) for k in range(4)]
        slopes = [1.0 + k for k in range(4)]
        for value, slope in zip(values, slopes, strict=True):
            value.grad = slope
        flat = autograd.compile(lambda x, of=values: sum(v * x for v in of)).flat(values)
        flat.gradients[:] = slopes
        groups = [
            {"parameters": [values[k] for k in group], "lr": lr}
            for group, lr in zip(places, (0.1, 0.5), strict=True)
        ]
        SGD(groups, lr=1.0).step_flat(flat)
        SGD(groups, lr=1.0).step()
        assert flat.numbers.tolist() == [value.data for value in values]


@pytest.mark.parametrize("call", [lambda o: o.step(), lambda o: setattr(o, "lr", -1.0)])
def test_a_refusal_begins_with_the_optimizer(call: Any) -> None:
    with pytest.raises(ValueError, match=r"^SGD(\.step)?: "):
        call(SGD([Value(1.0)]))


def test_a_norm_of_exactly_the_bound_is_left_alone() -> None:
    p = Value(1.0)
    p.grad = 0.1 + 0.2
    clip_norm([p], 0.1 + 0.2)
    assert p.grad == 0.1 + 0.2


def test_columns_of_numbers_and_of_arrays_compute_the_same() -> None:
    np = pytest.importorskip("numpy")
    x, y = [0.0, 1.0, -3.0], [0.0, 4.0, 2.0]
    lists, arrays = columns.Numbers(x), np.array(x)
    assert list(columns.divided(lists, columns.Numbers(y))) == [0.0, 0.25, -1.5]
    assert columns.divided(arrays, np.array(y)).tolist() == [0.0, 0.25, -1.5]
    for numbers, want in ((None, [0.0] * 3), (2.5, [2.5] * 3), ([1, 2, 3], [1.0, 2.0, 3.0])):
        of_list, of_array = columns.like(lists, numbers), columns.like(arrays, numbers)
        assert isinstance(of_list, columns.Numbers)
        assert (list(of_list), of_array.tolist()) == (want, want)
        assert of_array.dtype == np.float64
    assert list(abs(lists)) == abs(arrays).tolist() == [0.0, 1.0, 3.0]
    assert list(columns.larger(lists, columns.Numbers(y))) == [0.0, 4.0, 2.0]
    assert columns.larger(arrays, np.array(y)).tolist() == [0.0, 4.0, 2.0]
    same = columns.Numbers(y)
    assert columns.like(lists, same) is same
