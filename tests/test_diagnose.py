"""Which mistake it is: planted ones are named, and nothing is claimed where nothing fits."""

import itertools
import math
import random
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autograd import Value, diagnose, grad, no_grad, rows, scope, tanh
from autograd.check.diagnose import mistake
from autograd.faults import Fault, faults, planted
from nn import MLP
from tests.slips import SLIPS, Case, Net, Steps, by_hand
from tests.slips_elsewhere import REPORTED, TWO_LAYERS
from tests.slips_later import LATER

FAULTS = faults()
# What no graph of one function can show: other data.
OUT_OF_REACH = {"the labels are not subtracted", "the labels of the next sample"}
CASES = [
    *(slip.case for slip in SLIPS), *TWO_LAYERS, *REPORTED,
    *(case for case in LATER if case.what not in OUT_OF_REACH),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
@pytest.mark.traced(every=3)
def test_a_mistake_of_a_backward_pass_by_hand_is_named(case: Case) -> None:
    said = diagnose(case.f, *case.inputs, gradient=case.claimed)
    assert not said
    assert re.search(case.says, said.line), str(said)


@pytest.mark.parametrize("case", CASES[::9], ids=lambda case: case.what)
@pytest.mark.untraced
def test_a_claim_in_32_bits_is_judged_by_their_rounding(case: Case) -> None:
    single = [np.asarray(one, dtype=np.float32) for one in case.claimed]
    assert re.search(case.says, diagnose(case.f, *case.inputs, gradient=single).line)


def _finite(numbers: list[float]) -> bool:
    return all(map(math.isfinite, numbers))


@pytest.mark.parametrize("name", list(rows()))
@pytest.mark.traced(every=6)
def test_what_is_planted_in_the_engine_is_found_in_its_gradients(name: str) -> None:
    # The engine with the mistake shares no code with the passes that are tried.
    op, rng = rows()[name], random.Random(name)
    own = [f for f in FAULTS if f.op == name and f.operand != "z" and f.kind != "offset"]
    for fault in rng.sample(own, min(1, len(own))):
        at = [rng.uniform(0.3, 0.9) for _ in range(op.arity + 1)]
        if not op.is_smooth(*at[: op.arity]):
            continue

        def f(*xs: Any) -> Any:
            *operands, factor = xs
            return (op(*operands) * factor).tanh() + op(*operands) * 1.25 + factor

        numbers = tuple(range(len(at)))
        right = grad(f, numbers)(*at)
        with planted(fault):
            claimed = grad(f, numbers)(*at)
        if not _finite([*right, *claimed]) or claimed == right:
            continue
        said = diagnose(f, *at, gradient=claimed)
        assert not said
        assert any(fault.sentence in text for text in said.explanations), f"{fault}\n{said}"


@pytest.mark.parametrize("fault", [f for f in FAULTS if not f.op], ids=lambda f: f.kind)
def test_what_is_planted_in_the_sums_is_found_in_the_gradients(fault: Fault) -> None:
    def f(a: Any, b: Any) -> Any:
        h = a * b + a * a
        return h * h + h.tanh() * b + h

    with planted(fault):
        claimed = grad(f, (0, 1))(0.3, 0.8)
    said = diagnose(f, 0.3, 0.8, gradient=claimed)
    if fault.kind == "stale":  # a first pass has nothing that is left of another
        assert said
    else:
        assert fault.sentence in said.explanations


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("skip", [False, True])
def test_right_gradients_are_right_in_64_and_in_32_bits(activation: str, skip: bool) -> None:
    net = Net(activation, decay=0.02, skip=skip)
    right = by_hand(net, Steps())
    for kind in (float, np.float32):
        said = diagnose(net.loss, *net.parameters, gradient=[one.astype(kind) for one in right])
        assert said
        assert str(said) == "the gradient is right"


def test_nothing_is_claimed_of_noise_and_of_other_data() -> None:
    net, rng = Net("tanh"), np.random.default_rng(1)
    right = by_hand(net, Steps())
    for size in (0.1, 1e-11):
        noisy = [one * (1 + size * rng.normal(size=one.shape)) for one in right]
        some = [*right[:-1], noisy[-1]]
        for claimed in (noisy, some):
            said = diagnose(net.loss, *net.parameters, gradient=claimed)
            assert not said
            assert said.explanations == []
            assert "no single known mistake" in str(said)
    for case in LATER:
        if case.what == "the labels of the next sample":
            assert diagnose(case.f, *case.inputs, gradient=case.claimed).explanations == []


def _pairs() -> list[tuple[Any, Any]]:
    plain = [s for s in SLIPS if s.net.activation == "tanh" and not (s.net.decay or s.net.skip)]
    pairs = [
        (a, b)
        for a, b in itertools.combinations(plain, 2)
        if not (set(a.steps) & set(b.steps) or "mean" in a.what + b.what)  # two means cancel
    ]
    return random.Random(0).sample(pairs, 6)


@pytest.mark.parametrize(("one", "other"), _pairs(), ids=lambda slip: slip.what)
@pytest.mark.untraced
def test_of_two_mistakes_none_is_claimed_to_be_the_only_one(one: Any, other: Any) -> None:
    net = Net("tanh")
    claimed = by_hand(net, replace(Steps(), **one.steps, **other.steps))
    for text in diagnose(net.loss, *net.parameters, gradient=claimed).explanations:
        assert "every gradient" in text  # a factor beside a mistake can be told


def test_a_mistake_beside_a_plain_factor_is_named_with_it() -> None:
    case = SLIPS[8].case
    five = [5 * one for one in case.claimed]
    said = diagnose(case.f, *case.inputs, gradient=five)
    assert re.search("tanh: dz/dx is 1 - x .*layer 1 only; and every gradient: 5 times", said.line)


def test_softmax_of_two_classes_under_squares_makes_half_of_its_diagonal() -> None:
    def f(z: Any) -> Any:
        e = [one.exp() for one in z]
        return (e[0] / (e[0] + e[1]) - 1.0) ** 2 + (e[1] / (e[0] + e[1])) ** 2

    half = [one / 2 for one in grad(f)([0.3, -0.4])]
    said = diagnose(f, [0.3, -0.4], gradient=[half])
    assert said.line.startswith("every gradient: 1/2 of the right one")
    assert any("cross terms" in text for text in said.explanations)


def test_noise_beside_noise_is_right_and_what_cancels_hides_a_mistake() -> None:
    def f(b: Any, w: Any) -> Any:  # a bias in front of a mean that is taken away
        z = [b + 0.1, b + 0.7, b - 0.4]
        mean = (z[0] + z[1] + z[2]) / 3
        return ((z[0] - mean) * 0.3 + (z[1] - mean) * 0.77 + (z[2] - mean) * 0.9) * w

    _, dw = grad(f, (0, 1))(0.2, 0.5)
    assert diagnose(f, 0.2, 0.5, gradient=[3e-17, dw])
    assert diagnose(f, 0.2, 0.5, gradient=[3e-10, dw]).wrong == "b"

    def g(x: Any) -> Any:
        return x * 1e18 - x * 1e18 + x

    assert "rounding hides" in str(diagnose(g, 1.0, gradient=[5.0]))


def test_one_wrong_number_is_no_odd_factor_and_may_have_many_explanations() -> None:
    def f(x: Any) -> Any:
        return x.tanh() * 2.0

    s = 0.4
    said = diagnose(f, s, gradient=2 * (1 - s * s))
    assert said.explanations == ["tanh: dz/dx is 1 - x * x where it should be 1 - z * z"]
    assert diagnose(f, s, gradient=0.1234567890123).explanations == []


@pytest.mark.untraced
def test_what_is_fitted_to_a_number_does_not_explain_it() -> None:
    rng = random.Random(4)

    def one(x: Any) -> Any:
        with scope("layer"):
            h = x.exp() * x
        return h * x.tanh()

    def two(x: Any, y: Any) -> Any:
        return (x * y).tanh() + x.sin() * y

    for _ in range(20):
        for f, count in ((one, 1), (two, 2)):
            at = [rng.uniform(0.3, 1.5) for _ in range(count)]
            right = grad(f, tuple(range(count)))(*at)
            claimed = [slope * rng.uniform(0.5, 1.5) for slope in right]
            assert diagnose(f, *at, gradient=claimed).explanations == []


class Tensor:
    """An array of another library, as far as it is asked."""

    def __init__(self, numbers: Any) -> None:
        self.tolist = lambda: numbers


def loss(w: Any, layer: Any) -> Any:
    return (w[0] * layer["x"] + w[1] * layer["b"]).tanh()


AT: tuple[Any, Any] = ([0.5, -0.3], {"x": 2.0, "b": 1.0})
GRADIENT = grad(loss, (0, 1))(*AT)


@pytest.mark.parametrize(
    "claimed",
    [
        GRADIENT,
        list(GRADIENT),
        lambda w, layer: grad(loss, (0, 1))(w, layer),
        [Tensor(list(GRADIENT[0])), Tensor(GRADIENT[1]["x"]), np.float64(GRADIENT[1]["b"])],
        np.array([*GRADIENT[0], *GRADIENT[1].values()]),
    ],
)
def test_a_claim_is_a_function_a_nesting_or_arrays_of_any_library(claimed: Any) -> None:
    assert diagnose(loss, *AT, gradient=claimed)


def test_inputs_have_the_names_of_the_functions_arguments() -> None:
    wrong = [[1.0, 2.0], {"x": 3.0, "b": 4.0}]
    said = diagnose(loss, *AT, gradient=wrong)
    assert said.wrong == "w, layer['b'], layer['x']" or "layer['x']" in said.wrong
    assert said.examples[0][:2] == ("w[0]", 1.0)


def test_a_claim_for_a_dict_is_read_by_its_keys() -> None:
    def f(p: Any, k: Any) -> Any:
        return p["a"] ** 2 * p["b"] * k

    p = {"a": 2.0, "b": 3.0}
    assert diagnose(f, p, 2.0, gradient=({"b": 8.0, "a": 24.0}, 12.0))
    assert diagnose(lambda p: f(p, 2.0), p, gradient={"b": 8.0, "a": 24.0})
    assert diagnose(f, p, 2.0, gradient=({"b": 8.0, "a": 20.0}, 12.0)).wrong == "p['a']"


def test_parameters_are_claimed_beside_the_inputs_or_alone() -> None:
    w, b = Value(0.5, "w"), Value(0.1, "b")

    def f(x: Any) -> Any:
        return (w * x + b).tanh()

    slope = 1 - tanh(0.5 * 2.0 + 0.1) ** 2
    both = {"w": w, "b": b}
    assert diagnose(f, 2.0, gradient=[0.5 * slope, 2.0 * slope, slope], parameters=[w, b])
    assert diagnose(f, 2.0, gradient=[0.5 * slope], parameters=both)
    assert diagnose(f, 2.0, gradient={"b": slope, "w": 2.0 * slope}, parameters=both)
    said = diagnose(f, 2.0, gradient={"w": 2.0 * slope, "b": 3 * slope}, parameters=both)
    assert said.line.startswith("b: 3 times the right one")
    assert (w.grad, w.data) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("claimed", "error", "message"),
    [
        ([1.0], ValueError, r"1 number\(s\); expected 2, one for each of x, y"),
        ([1.0, 2.0, 3.0], ValueError, r"3 number\(s\)"),
        ([1.0, "2"], TypeError, "claimed gradient: expected a real number"),
        ([1.0, None], TypeError, "claimed gradient: expected a real number"),
    ],
)
def test_a_claim_that_is_none_is_refused(claimed: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        diagnose(lambda x, y: x * y, 2.0, 3.0, gradient=claimed)
    assert mistake(lambda x, y: x * y, (2.0, 3.0), claimed) == ""


def test_parameters_that_are_one_value_or_computed_are_refused() -> None:
    w = Value(0.5)
    with pytest.raises(ValueError, match="a and b are the same Value"):
        diagnose(lambda: w * w, gradient=[1.0, 1.0], parameters={"a": w, "b": w})
    with pytest.raises(ValueError, match="v was computed"):
        diagnose(lambda: w * 2.0, gradient=[1.0], parameters={"v": w * 1.0})


def test_a_function_of_no_values_is_refused() -> None:
    with pytest.raises(TypeError, match="f must return one Value, got float"):
        diagnose(lambda x: 3.0, 2.0, gradient=[1.0])
    assert mistake(lambda x: float(x), (2.0,), [1.0]) == ""


def test_what_is_not_finite_is_not_explained() -> None:
    said = diagnose(lambda x: x.log(), 0.0, gradient=[1.0])
    assert (bool(said), said.explanations) == (False, [])
    assert "not finite" in str(said)
    said = diagnose(lambda x: x * x, 2.0, gradient=[math.nan])
    assert (bool(said), said.explanations) == (False, [])
    assert "not finite" in str(said)


def test_the_line_is_what_a_report_ends_with() -> None:
    line = mistake(lambda w, x: (w * x).tanh(), (0.5, 2.0), [0.0, 0.0])
    assert line == "every gradient: left out: 0; the loss differs by this factor"
    assert mistake(lambda w, x: w * x, (0.5, 2.0), [2.0, 0.5]) == ""


def test_a_notebook_shows_it_as_html() -> None:
    said = diagnose(lambda x: x.relu() + 0.0, 2.0, gradient=[-1.0])
    assert said._repr_html_().startswith("<p><b>every gradient: the wrong sign")
    assert "&gt;" in said._repr_html_()


def test_wrong_local_derivatives_are_given_with_their_nodes() -> None:
    said = diagnose(lambda x, y: x.tanh() * y, 0.5, 2.0, gradient=[1.5, math.tanh(0.5)])
    ((node, operand, used),) = said.edges
    assert (node.op, operand, used) == (rows()["tanh"], "x", 0.75)


def _twice(x: Any, w: Any) -> Any:
    for _ in range(2):
        x = (x * w).tanh()
    return x


def test_layers_that_have_no_names_are_counted() -> None:
    x, w = 0.4, 1.3
    first = math.tanh(x * w)
    second = math.tanh(first * w)
    back = (1 - second**2) * w * (1 - (x * w) ** 2)
    dw = (1 - second**2) * first + back * x
    said = diagnose(_twice, x, w, gradient=[back * w, dw])
    assert said.line.endswith("1 - z * z, in layer 1 of the graph only")


def test_a_deep_graph_is_not_searched_for_ever() -> None:
    def f(x: Any) -> Any:
        for _ in range(80):
            x = x * x * 0.5 + 0.4
        return x

    assert not diagnose(f, 0.3, gradient=[1e-3])


def test_a_jacobian_and_a_sum_of_another_scope() -> None:
    x = np.array([0.3, -0.8, 1.1])
    gain = np.array([1.0, 0.5, -0.7])

    def f(x: Any, gain: Any) -> Any:
        with scope("norm"):
            out = x * gain / (x * x).sum(keepdims=True)
        return (out * out).sum()

    dout = 2 * x * gain / (x @ x)
    said = diagnose(f, x, gain, gradient=[dout * gain / (x @ x), dout * x / (x @ x)])
    assert not said
    assert said.explanations


def test_claims_beyond_single_precision_and_of_a_modules_parameters_are_read() -> None:
    assert "claimed 1e+300" in str(diagnose(lambda x: x * x, 3.0, gradient=[1e300]))
    net = MLP([1, 1], "tanh", seed=0)
    loss = net([0.3])[0]
    loss.backward()
    claimed = [p.grad for p in net.parameters()]
    assert diagnose(lambda: net([0.3])[0], gradient=claimed, parameters=net)
    named = dict(zip([name for name, _ in net.named_parameters()], claimed, strict=True))
    assert diagnose(lambda: net([0.3])[0], gradient=named, parameters=net)


def test_what_is_computed_without_recording_is_a_constant() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            c = x * 2.0
        return x * x * c

    assert diagnose(f, 3.0, gradient=[36.0])


def test_a_search_that_is_cut_short_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograd.check.diagnose._MOST", 10)
    told = diagnose(lambda x, y: (x * y).tanh() * x, 0.5, 2.0, gradient=(17.0, -3.0))
    assert "the graph is large" in told.note


def test_a_function_that_returns_a_leaf_is_refused() -> None:
    with pytest.raises(ValueError, match="diagnose: f returns a leaf"):
        diagnose(max, 2.0, 1.0, gradient=[1.0, 0.0])
