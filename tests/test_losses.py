"""Losses: values as documented elsewhere, gradients as mathematics has them, refusals."""

import inspect
import json
import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mpmath import mp, mpf

from autograd import NonFiniteError, NonFiniteWarning, Value, detect_anomaly, no_grad, topological
from nn import log_softmax, logsumexp, losses, softmax
from nn.probabilities import total
from tests.golden import peers

Loss = Callable[..., Any]

# Every function of the module that is called as loss(outputs, targets), by its own name.
LOSSES = {
    name: loss
    for name, loss in vars(losses).items()
    if inspect.isfunction(loss)
    and loss.__module__ == losses.__name__
    and loss.__name__ == name
    and list(inspect.signature(loss).parameters)[:2] == ["outputs", "targets"]
    and not name.startswith("_")
}
NUMBERS = [[0.3, -1.2, 2.0], [0.7, 0.1, -3.0]]
PROBABILITIES = [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]
SHARES = [[0.1, 0.2, 0.7], [0.0, 1.0, 0.0]]
# What a sample's target may be, for losses that do not take any number.
SIGNS, ONES = [[1, -1, 1], [-1, -1, 1]], [[0, 0, 1], [0, 1, 0]]
TARGETS = {
    "hinge": SIGNS,
    "squared_hinge": SIGNS,
    "categorical_hinge": ONES,
    "focal": ONES,
    "poisson": [[0, 1, 3], [2, 0, 1]],
    "mape": [[0.5, 1.0, 2.5], [-1.0, 0.5, -1.0]],
    "msle": [[0.0, 1.0, 2.0], [-0.5, 0.5, 4.0]],
    "binary_crossentropy": SHARES,
    "categorical_crossentropy": SHARES,
    "sparse_categorical_crossentropy": [2, 0],
    "kl_divergence": SHARES,
}
FROM_LOGITS = [
    name for name, f in LOSSES.items() if "from_logits" in inspect.signature(f).parameters
]
BOTH = [(name, False) for name in LOSSES] + [(name, True) for name in FROM_LOGITS]


def values(rows: list[list[float]]) -> list[list[Value]]:
    return [[Value(z) for z in row] for row in rows]


def case(name: str, logits: bool) -> tuple[Loss, list[list[Value]], Any]:
    """The loss, outputs that suit it, and targets."""
    loss = LOSSES[name]
    positive = name in ("poisson", "msle") or (name in FROM_LOGITS and not logits)
    outputs = PROBABILITIES if positive else NUMBERS
    if logits:
        return lambda *a, **k: loss(*a, from_logits=True, **k), values(outputs), TARGETS[name]
    return loss, values(outputs), TARGETS.get(name, [[0.0, 1.0, 2.0], [-1.0, 0.5, -1.0]])


def flat(made: Any) -> list[float]:
    return [z.data for part in made for z in (part if isinstance(part, list) else [part])]


def test_every_loss_of_the_issue_is_found_by_the_templates() -> None:
    assert set(LOSSES) >= {*TARGETS, "mse", "mae", "huber", "log_cosh", "cosine_similarity"}
    names = {label.split()[0] for label in peers.LOSSES}
    older = {"mse", "mae", "huber", "hinge", "binary_crossentropy", "categorical_crossentropy"}
    older |= {"sparse_categorical_crossentropy", "kl_divergence"}  # whose values are below
    assert names | older == set(LOSSES)
    assert set(losses.NAMED.values()) == set(LOSSES.values())


GOLDEN = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text())


@pytest.mark.parametrize("label", peers.LOSSES)
def test_terms_and_gradients_are_those_of_pytorch_and_of_keras(label: str) -> None:
    outputs, targets, options = peers.LOSSES[label]
    rows = values(outputs)
    loss = LOSSES[label.split()[0]]
    terms = loss(rows, targets, reduction="none", **options)
    wanted = GOLDEN[label]["terms"]
    assert flat(terms) == pytest.approx([x for part in wanted for x in _parts(part)], rel=1e-12)
    loss(rows, targets, reduction="sum", **options).backward()
    slopes = [z.grad for row in rows for z in row]
    expected = [x for row in GOLDEN[label]["gradient"] for x in row]
    assert slopes == pytest.approx(expected, rel=1e-12, abs=1e-14)


def _parts(part: Any) -> list[float]:
    return part if isinstance(part, list) else [part]


# ------------------------------------------------------------------ templates over all losses


@pytest.mark.parametrize(("name", "logits"), BOTH)
def test_sum_and_mean_are_those_of_the_terms(name: str, logits: bool) -> None:
    loss, outputs, targets = case(name, logits)
    terms = flat(loss(outputs, targets, reduction="none"))
    assert len(terms) in (2, 6)
    assert loss(outputs, targets, reduction="sum").data == pytest.approx(
        math.fsum(terms), rel=1e-15
    )
    assert loss(outputs, targets).data == pytest.approx(math.fsum(terms) / len(terms), rel=1e-15)


@pytest.mark.parametrize(("name", "logits"), BOTH)
def test_gradients_match_central_differences(name: str, logits: bool) -> None:
    loss, outputs, targets = case(name, logits)
    options: dict[str, Any] = {"sample_weight": [0.5, 2.0]}
    if name in FROM_LOGITS and not logits and name not in ("binary_crossentropy", "focal"):
        # A probability moved alone would leave the simplex; a step this small is within tolerance.
        assert losses._TOLERANCE > 1e-4
    loss(outputs, targets, **options).backward()
    h = 1e-5
    for row in outputs:
        for z in row:
            at = z.data
            ends = []
            for z.data in (at + h, at - h):
                ends.append(loss(outputs, targets, **options).data)
            z.data = at
            assert z.grad == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("name", "logits"), BOTH)
def test_weights_of_one_change_nothing_and_a_weight_of_zero_silences(
    name: str, logits: bool
) -> None:
    loss, outputs, targets = case(name, logits)
    whole = loss(outputs, targets, reduction="sum").data
    assert loss(outputs, targets, reduction="sum", sample_weight=[1, 1]).data == whole
    second = loss(outputs[1:], targets[1:], reduction="sum").data
    assert loss(outputs, targets, reduction="sum", sample_weight=[0, 1]).data == second


@pytest.mark.parametrize(("name", "logits"), BOTH)
def test_plain_numbers_give_the_same_loss_as_a_leaf(name: str, logits: bool) -> None:
    loss, outputs, targets = case(name, logits)
    numbers = [[z.data for z in row] for row in outputs]
    result = loss(numbers, targets)
    assert isinstance(result, Value)
    assert result.is_leaf
    assert result.data == loss(outputs, targets).data


@pytest.mark.parametrize(("name", "logits"), BOTH)
def test_pictures_group_what_a_loss_computes(name: str, logits: bool) -> None:
    loss, outputs, targets = case(name, logits)
    assert loss(outputs, targets).scope == name
    with no_grad():
        assert loss(outputs, targets).is_leaf


@pytest.mark.parametrize("name", LOSSES)
def test_what_cannot_be_a_batch_is_refused(name: str) -> None:
    loss, outputs, targets = case(name, False)
    with pytest.raises(ValueError, match=rf"{name}: 2 outputs but 1 targets"):
        loss(outputs, targets[:1])
    with pytest.raises(ValueError, match=rf"{name}: the batch is empty"):
        loss([], [])
    with pytest.raises(TypeError, match=rf"^{name}: outputs: expected a list or an array"):
        loss(outputs[0][0], targets)
    with pytest.raises(ValueError, match=rf"{name}: reduction must be 'mean'"):
        loss(outputs, targets, reduction="average")
    with pytest.raises(ValueError, match=rf"{name}: expected 2 sample weights"):
        loss(outputs, targets, sample_weight=[1.0])
    with pytest.raises(
        ValueError, match=rf"^{name}: sample weight must be a finite number of at least 0"
    ):
        loss(outputs, targets, sample_weight=[1.0, -1.0])
    if isinstance(targets[0], list):
        with pytest.raises(ValueError, match=rf"{name}: sample 0: 3 outputs but 2 targets"):
            loss(outputs, [targets[0][:2], targets[1]])


@pytest.mark.parametrize("name", FROM_LOGITS)
def test_a_probability_outside_zero_and_one_is_refused_with_advice(name: str) -> None:
    loss, outputs, targets = case(name, False)
    for bad in (1.5, -0.5, math.inf):
        outputs[1][1].data = bad
        with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\].*from_logits=True"):
            loss(outputs, targets)


# ------------------------------------------------------------------ values documented elsewhere

SMALL = [[0.6, 0.4], [0.4, 0.6]]
THREE = [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
ONE_HOT = [[0, 1, 0], [0, 0, 1]]
LOGITS = [[-18.6, 0.51], [2.94, -12.8]]


# The examples of Keras' own documentation, which gives three digits and at times cuts them off.
@pytest.mark.parametrize(
    ("name", "outputs", "targets", "options", "expected"),
    [
        ("mse", [[1.0, 1.0], [1.0, 0.0]], [[0, 1], [0, 0]], {}, 0.5),
        ("mse", [[1.0, 1.0], [1.0, 0.0]], [[0, 1], [0, 0]], {"sample_weight": [0.7, 0.3]}, 0.25),
        ("mae", [[1.0, 1.0], [1.0, 0.0]], [[0, 1], [0, 0]], {}, 0.5),
        ("mae", [[1.0, 1.0], [1.0, 0.0]], [[0, 1], [0, 0]], {"sample_weight": [0.7, 0.3]}, 0.25),
        ("huber", SMALL, [[0, 1], [0, 0]], {}, 0.155),
        ("huber", SMALL, [[0, 1], [0, 0]], {"sample_weight": [1, 0]}, 0.09),
        ("hinge", SMALL, [[0, 1], [0, 0]], {}, 1.3),
        ("hinge", SMALL, [[0, 1], [0, 0]], {"sample_weight": [1, 0]}, 0.55),
        ("binary_crossentropy", SMALL, [[0, 1], [0, 0]], {}, 0.815),
        ("binary_crossentropy", SMALL, [[0, 1], [0, 0]], {"sample_weight": [1, 0]}, 0.458),
        ("binary_crossentropy", LOGITS, [[0, 1], [0, 0]], {"from_logits": True}, 0.865),
        (
            "binary_crossentropy",
            LOGITS,
            [[0, 1], [0, 0]],
            {"from_logits": True, "sample_weight": [0.8, 0.2]},
            0.243,
        ),
        ("categorical_crossentropy", THREE, ONE_HOT, {}, 1.177),
        ("categorical_crossentropy", THREE, ONE_HOT, {"sample_weight": [0.3, 0.7]}, 0.814),
        ("categorical_crossentropy", THREE, ONE_HOT, {"reduction": "sum"}, 2.354),
        ("sparse_categorical_crossentropy", THREE, [1, 2], {}, 1.177),
        ("sparse_categorical_crossentropy", THREE, [1, 2], {"sample_weight": [0.3, 0.7]}, 0.814),
        ("kl_divergence", SMALL, [[0, 1], [0, 0]], {}, 0.458),
        ("kl_divergence", SMALL, [[0, 1], [0, 0]], {"sample_weight": [0.8, 0.2]}, 0.366),
        ("kl_divergence", SMALL, [[0, 1], [0, 0]], {"reduction": "sum"}, 0.916),
    ],
)
def test_values_are_those_of_the_documentation_of_keras(
    name: str, outputs: Any, targets: Any, options: dict[str, Any], expected: float
) -> None:
    got = LOSSES[name](values(outputs), targets, **options).data
    assert got == pytest.approx(expected, abs=1e-3)


# PyTorch's definitions, written out with mpmath (its documentation's examples are random).


def reference_log_softmax(row: list[float]) -> list[Any]:
    exact = [mpf(z) for z in row]
    whole = mp.log(mp.fsum([mp.exp(z) for z in exact]))
    return [z - whole for z in exact]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.0]])
def test_crossentropy_of_class_indices_is_pytorchs(
    smoothing: float, weights: list[float] | None
) -> None:
    rng = random.Random(0)
    rows = [[rng.gauss(0, 3) for _ in range(3)] for _ in range(5)]
    targets = [rng.randrange(3) for _ in rows]
    w = weights or [1.0] * 3
    with mp.workdps(50):
        terms = []
        for row, y in zip(rows, targets, strict=True):
            logs = reference_log_softmax(row)
            smooth = mp.fsum([w[k] * logs[k] for k in range(3)]) * mpf(smoothing) / 3
            terms.append(-(1 - mpf(smoothing)) * w[y] * logs[y] - smooth)
        expected = float(mp.fsum(terms) / mp.fsum([w[y] for y in targets]))
    got = losses.scce(
        values(rows), targets, from_logits=True, label_smoothing=smoothing, class_weight=weights
    )
    assert got.data == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_crossentropy_of_shares_is_pytorchs_and_divides_by_the_samples(smoothing: float) -> None:
    rng = random.Random(1)
    rows = [[rng.gauss(0, 3) for _ in range(3)] for _ in range(2)]
    w = [0.2, 1.0, 3.0]
    with mp.workdps(50):
        whole = mpf(0)
        for row, target in zip(rows, SHARES, strict=True):
            logs = reference_log_softmax(row)
            for k in range(3):
                share = mpf(target[k]) * (1 - mpf(smoothing)) + mpf(smoothing) / 3
                whole -= w[k] * share * logs[k]
        expected = float(whole / 2)
    got = losses.cce(
        values(rows), SHARES, from_logits=True, label_smoothing=smoothing, class_weight=w
    )
    assert got.data == pytest.approx(expected, rel=1e-14)


def test_the_binary_class_weight_is_pytorchs_pos_weight() -> None:
    z, y, weight = 0.7, 0.4, 3.0
    with mp.workdps(50):
        p = 1 / (1 + mp.exp(-mpf(z)))
        expected = float(-(weight * mpf(y) * mp.log(p) + (1 - mpf(y)) * mp.log(1 - p)))
    got = losses.bce([Value(z)], [y], from_logits=True, class_weight=[1.0, weight])
    assert got.data == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("y", [0.0, 1.0, 0.4])
def test_binary_label_smoothing_moves_the_targets_towards_one_half(y: float) -> None:
    smooth = y * 0.8 + 0.1
    for z, logits in ((0.7, True), (0.7, False)):
        got = losses.bce([z], [y], from_logits=logits, label_smoothing=0.2).data
        assert got == pytest.approx(losses.bce([z], [smooth], from_logits=logits).data, rel=1e-15)


def test_hinge_reads_targets_of_zero_and_one_as_minus_one_and_one() -> None:
    outputs = [0.6, 0.4, -3.0]
    assert losses.hinge(outputs, [0, 1, 0]).data == losses.hinge(outputs, [-1, 1, -1]).data
    assert losses.hinge([[z] for z in outputs], [[0], [1], [0]]).data == pytest.approx(2.2 / 3)


def test_huber_is_a_square_within_delta_and_a_line_beyond() -> None:
    for d, expected, slope in [
        (0.5, 0.125, 0.5),
        (2.0, 2.0, 2.0),
        (5.0, 8.0, 2.0),
        (-5.0, 8.0, -2.0),
    ]:
        z = Value(1.0 + d)
        loss = losses.huber([z], [1.0], delta=2.0)
        loss.backward()
        assert (loss.data, z.grad) == (expected, slope)


# ------------------------------------------------------------------ large logits

LARGE = [-1000.0, -745.2, -40.0, -18.0, -1e-300, 0.0, 0.3, 18.0, 40.0, 709.9, 1000.0]


@pytest.mark.parametrize("y", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("z", LARGE)
def test_binary_gradient_is_sigmoid_minus_target_and_the_loss_exact(z: float, y: float) -> None:
    logit = Value(z)
    loss = losses.binary_crossentropy([logit], [y], from_logits=True)
    loss.backward()
    with mp.workdps(1000):
        p, share = 1 / (1 + mp.exp(-mpf(z))), mpf(y)
        expected = float(-share * mp.log(p) - (1 - share) * mp.log(1 - p))
        slope = float(p - share)
    # Absolute errors only where p - y itself cancels, as for p = y = 0.3.
    assert loss.data == pytest.approx(expected, rel=1e-15, abs=0.0)
    assert logit.grad == pytest.approx(slope, rel=1e-15, abs=0.0 if y in (0, 1) else 1e-16)


@pytest.mark.parametrize("y", [0, 1, 2])
@pytest.mark.parametrize(
    "row",
    [
        [1000.0, -1000.0, 0.0],
        [1000.0, 1000.0, -1000.0],
        [-1000.0, -1000.0, -1000.0],
        [0.0, -40.0, -50.0],
        [1.0, 2.0, 3.0],
        [710.0, 0.0, -710.0],
    ],
)
def test_gradient_is_softmax_minus_one_hot_and_the_loss_exact(row: list[float], y: int) -> None:
    logits = [Value(z) for z in row]
    loss = losses.sparse_categorical_crossentropy([logits], [y], from_logits=True)
    loss.backward()
    again = [Value(z) for z in row]
    one_hot = [float(k == y) for k in range(3)]
    dense = losses.categorical_crossentropy([again], [one_hot], from_logits=True)
    dense.backward()
    assert dense.data == loss.data
    assert [z.grad for z in again] == [z.grad for z in logits]
    with mp.workdps(1000):
        logs = reference_log_softmax(row)
        assert loss.data == pytest.approx(float(-logs[y]), rel=1e-15, abs=0.0)
        for k, z in enumerate(logits):
            slope = float(mp.exp(logs[k]) - int(k == y))
            # The largest logit's gradient is a difference of numbers near 1.
            assert z.grad == pytest.approx(slope, rel=1e-15, abs=2.3e-16 if slope else 0.0)


def test_a_right_answer_by_a_wide_margin_still_has_its_tiny_loss_and_gradient() -> None:
    logits = [Value(40.0), Value(0.0)]
    loss = losses.scce([logits], [0], from_logits=True)
    loss.backward()
    assert loss.data == pytest.approx(math.exp(-40.0), rel=1e-15)
    assert logits[0].grad == pytest.approx(-math.exp(-40.0), rel=1e-15)
    assert logits[1].grad == pytest.approx(math.exp(-40.0), rel=1e-15)


def test_a_logit_of_minus_infinity_is_a_class_that_cannot_happen() -> None:
    logits = [Value(0.0), Value(-math.inf)]
    loss = losses.scce([logits], [0], from_logits=True)
    loss.backward()
    assert loss.data == 0.0
    assert [z.grad for z in logits] == [0.0, 0.0]


# ------------------------------------------------------------------ probabilities of 0 and 1


@pytest.mark.parametrize(("p", "y"), [(0.0, 0), (1.0, 1)])
def test_a_term_of_weight_zero_is_left_out(p: float, y: int) -> None:
    leaf = Value(p)
    loss = losses.bce([leaf], [y])
    loss.backward()
    assert loss.data == 0.0
    assert leaf.grad == (1.0 if y == 0 else -1.0)  # not 0 * inf, and not clamped to 0


@pytest.mark.parametrize(("p", "y", "slope"), [(0.0, 1, -math.inf), (1.0, 0, math.inf)])
def test_an_impossible_target_is_inf_with_the_advice_to_use_logits(
    p: float, y: int, slope: float
) -> None:
    leaf = Value(p, "p")
    with pytest.warns(NonFiniteWarning, match=r"probability of exactly 0.*from_logits=True"):
        loss = losses.bce([leaf], [y])
    assert loss.data == math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)
        loss.backward()
    assert leaf.grad == slope


def test_the_anomaly_report_names_the_sample_and_says_to_use_logits() -> None:
    rows = values([[0.5, 0.5], [1.0, 0.0]])
    with detect_anomaly(), pytest.raises(NonFiniteError, match=r"sample 1: log.*from_logits=True"):
        losses.scce(rows, [0, 1])
    with pytest.warns(NonFiniteWarning, match=r"sample 1: a probability of exactly 0"):
        losses.cce(rows, [[1, 0], [0, 1]])


def test_kl_divergence_of_equal_distributions_is_zero() -> None:
    for row in PROBABILITIES:
        assert losses.kl_divergence(values([row]), [row]).data == pytest.approx(0.0, abs=1e-15)


# ------------------------------------------------------------------ shapes and kinds


def test_a_list_of_one_output_counts_as_a_number_where_the_target_is_one() -> None:
    outputs = [[Value(0.5)], [Value(2.0)]]
    assert losses.mse(outputs, [0.0, 1.0]).data == losses.mse([0.5, 2.0], [0.0, 1.0]).data
    with pytest.raises(ValueError, match="sample 0: 1 output but 2 targets"):
        losses.mse([Value(1.0)], [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"sample 0: 2 outputs but the target 1\.0"):
        losses.mse([[Value(1.0), Value(2.0)]], [1.0])


def test_targets_may_be_values_where_a_difference_is_taken() -> None:
    z, y = Value(3.0), Value(1.0)
    losses.mse([z], [y]).backward()
    assert (z.grad, y.grad) == (4.0, -4.0)


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (3, ValueError, "sample 0: expected a class from 0 to 2, got 3"),
        (-1, ValueError, "expected a class from 0 to 2, got -1"),
        (1.0, TypeError, "expected a class index, got 1.0"),
        (True, TypeError, "expected a class index, got True"),
        ([0, 1, 0], TypeError, "expected a class index"),
    ],
)
def test_a_class_that_is_none_is_refused(target: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        losses.scce(values(NUMBERS[:1]), [target], from_logits=True)


def test_probabilities_that_do_not_add_up_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"add up to 1\.5, not to 1; .*from_logits=True"):
        losses.scce(values([[0.75, 0.75]]), [0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: losses.bce([0.5], [2.0]), r"a target must lie in \[0, 1\], got 2\.0"),
        (lambda: losses.bce([0.5], [math.nan]), r"sample 0: the target is nan; leave the sample"),
        (lambda: losses.hinge([0.5], [0.5]), r"a target must be -1 or 1"),
        (
            lambda: losses.huber([0.5], [0.5], delta=0.0),
            r"huber: delta must be a finite number above 0",
        ),
        (
            lambda: losses.bce([0.5], [1], label_smoothing=1.5),
            r"label_smoothing must be from 0 to 1",
        ),
        (lambda: losses.bce([0.5], [1], class_weight=[1.0]), r"expected 2 class weights"),
        (lambda: losses.scce([0.5], [1]), r"sample 0: expected an output for each class"),
        (lambda: losses.mse([[]], [[]]), r"the samples are empty"),
    ],
)
def test_wrong_numbers_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_usual_short_names_are_the_same_functions() -> None:
    assert losses.bce is losses.binary_crossentropy
    assert losses.cce is losses.categorical_crossentropy
    assert losses.scce is losses.sparse_categorical_crossentropy
    assert losses.kld is losses.kl_divergence
    assert losses.mean_squared_error is losses.mse
    assert losses.mean_absolute_error is losses.mae


# ------------------------------------------------------------------ softmax and its logarithms


@pytest.mark.parametrize("row", [[1000.0, 999.0, -1000.0], [3.0], [-1e4, -1e4], [3.0, -40.0, 2.0]])
def test_softmax_and_its_logarithms_agree_with_high_precision(row: list[float]) -> None:
    with mp.workdps(5000):
        logs = [float(z) for z in reference_log_softmax(row)]
        parts = [float(mp.exp(z)) for z in reference_log_softmax(row)]
        whole = float(mp.log(mp.fsum([mp.exp(mpf(z)) for z in row])))
    nodes = [Value(z) for z in row]
    assert [z.data for z in log_softmax(nodes)] == pytest.approx(logs, rel=4e-16, abs=0.0)
    assert [p.data for p in softmax(nodes)] == pytest.approx(parts, rel=1e-15, abs=0.0)
    assert logsumexp(nodes).data == pytest.approx(whole, rel=4e-16)
    logsumexp(nodes).backward()
    assert [z.grad for z in nodes] == pytest.approx(parts, rel=1e-15, abs=2.3e-16)


def test_logsumexp_at_the_ends() -> None:
    nodes = [Value(-math.inf), Value(-math.inf)]
    assert logsumexp(nodes).data == -math.inf
    nodes = [Value(math.inf), Value(0.0)]
    top = logsumexp(nodes)
    assert top.data == math.inf
    assert math.isnan(logsumexp([Value(0.0), Value(math.nan)]).data)


def test_softmax_of_nothing_is_refused() -> None:
    for function in (softmax, log_softmax, logsumexp):
        with pytest.raises(ValueError, match="at least one logit"):
            function([])


def test_hinge_takes_a_batch_of_one_class() -> None:
    assert losses.hinge([0.5, -2.0], [1, 1]).data == losses.hinge([-0.5, 2.0], [0, 0]).data == 1.75


def test_what_mutants_of_the_losses_lived_through() -> None:
    assert losses.hinge([0.5, -2.0], [1, 1], reduction="sum").data == 3.5
    each = losses.hinge([0.5, -2.0], [1, 1], reduction="none")
    assert [part.data for part in each] == [0.5, 3.0]
    logits, classes = [[1.0, 2.0, 0.5]], [1]
    weighted = losses.sparse_categorical_crossentropy(
        logits, classes, from_logits=True, class_weight=[1.0, 0.0, 1.0], reduction="sum"
    )
    assert weighted.data == 0.0
    for delta in (math.inf, math.nan, 0.0):
        with pytest.raises(ValueError, match=r"^huber: delta must be"):
            losses.huber([1.0], [2.0], delta=delta)
    with pytest.raises(TypeError, match=r"^huber: delta: expected a real number"):
        losses.huber([1.0], [2.0], delta="1")


ROW = {
    "binary_crossentropy": ([0.5], [1.0]),
    "categorical_crossentropy": ([[0.5, 0.5]], [[1.0, 0.0]]),
    "sparse_categorical_crossentropy": ([[0.5, 0.5]], [1]),
    "kl_divergence": ([[0.5, 0.5]], [[1.0, 0.0]]),
}
SMOOTHED = [name for name in ROW if name != "kl_divergence"]
SHARED = [name for name in ROW if name != "sparse_categorical_crossentropy"]


def _as(name: str, number: Any) -> list[Any]:
    """An output or a target of the loss that begins with the number."""
    return [number] if name == "binary_crossentropy" else [[number, 0.5]]


REFUSED = [
    *((n, {"label_smoothing": "1"}, None, "label_smoothing: expected a real") for n in SMOOTHED),
    *((n, {"class_weight": ["1", 1.0]}, None, "class weight: expected a real") for n in SMOOTHED),
    *((n, {"class_weight": [-1.0, 1.0]}, None, "class weight must be a") for n in SMOOTHED),
    *((n, {"class_weight": [math.inf, 1.0]}, None, "class weight must be a") for n in SMOOTHED),
    *((n, {"sample_weight": ["1"]}, None, "sample weight: expected a real") for n in ROW),
    *((n, {"reduction": "max"}, None, ".*reduction") for n in ROW),
    *((n, {}, ("targets", 2.0), ".*target") for n in SHARED),
    *((n, {}, ("targets", "1"), "target: expected a real") for n in SHARED[1:]),
    *((n, {}, ("outputs", 2.0), ".*probability") for n in ROW),
    *((n, {}, ("outputs", "1"), "(output|probability): expected a real") for n in ROW),
    *((n, {"from_logits": True}, ("outputs", "1"), "(output|logit): expected a real") for n in ROW),
]


@pytest.mark.parametrize(("name", "options", "wrong", "what"), REFUSED)
def test_every_refusal_begins_with_the_loss(
    name: str, options: dict[str, Any], wrong: tuple[str, Any] | None, what: str
) -> None:
    outputs, targets = ROW[name]
    if wrong is not None:
        outputs = _as(name, wrong[1]) if wrong[0] == "outputs" else outputs
        targets = _as(name, wrong[1]) if wrong[0] == "targets" else targets
    with pytest.raises((TypeError, ValueError), match=f"^{name}: {what}"):
        getattr(losses, name)(outputs, targets, **options)


@pytest.mark.parametrize("name", ROW)
@pytest.mark.parametrize(("side", "wrong"), [("outputs", 3), ("targets", 3.0)])
def test_what_is_no_batch_is_called_by_its_side(name: str, side: str, wrong: Any) -> None:
    outputs, targets = ROW[name]
    given: dict[str, Any] = {"outputs": outputs, "targets": targets, side: wrong}
    with pytest.raises((TypeError, ValueError), match=f"^{name}: {side}: expected a list"):
        getattr(losses, name)(given["outputs"], given["targets"])


def test_targets_of_zero_and_one_keep_reduction_and_weights_of_a_hinge() -> None:
    z = [0.5, -2.0]
    assert losses.hinge(z, [1, 0], reduction="sum").data == 0.5
    assert [one.data for one in losses.hinge(z, [1, 0], reduction="none")] == [0.5, 0.0]
    assert losses.hinge(z, [1, 0], sample_weight=[4.0, 1.0]).data == 1.0


def test_a_probability_of_zero_is_warned_of_with_loss_and_sample() -> None:
    rows_ = [[0.5, 0.5], [0.0, 1.0]]
    for name, targets in (
        ("categorical_crossentropy", [[1, 0], [1, 0]]),
        ("sparse_categorical_crossentropy", [0, 0]),
    ):
        with pytest.warns(NonFiniteWarning, match=f"^{name}: sample 1: a probability of exactly 0"):
            getattr(losses, name)(rows_, targets)
    with pytest.warns(NonFiniteWarning, match="^binary_crossentropy: a probability of exactly 0"):
        losses.binary_crossentropy([0.0], [1.0])


def test_a_weight_of_one_adds_no_product_and_a_single_logit_is_certain() -> None:
    z = [Value(0.3), Value(0.7)]
    plain = losses.sparse_categorical_crossentropy([z], [0])
    names = [node.op.name for node in topological(plain) if node.op]
    assert "mul" not in names
    weighted = losses.mse([z[0]], [0.0], sample_weight=[1.0], reduction="none")[0]
    assert [node.op.name for node in topological(weighted) if node.op] == ["sub", "square"]
    alone = losses.sparse_categorical_crossentropy([[Value(3.0)]], [0], from_logits=True)
    assert alone.data == 0.0


@pytest.mark.parametrize("function", [softmax, log_softmax, logsumexp])
def test_a_function_of_no_logits_refuses_in_its_own_name(function: Any) -> None:
    with pytest.raises(ValueError, match=f"^{function.__name__}: "):
        function([])


def test_one_logit_is_certain_and_adds_no_node() -> None:
    z = Value(3.0)
    assert logsumexp([z]) is z
    (p,) = softmax([z])
    p.backward()
    assert (p.data, z.grad) == (1.0, 0.0)
    assert math.isnan(softmax([math.nan])[0])


def test_a_sum_leaves_out_zeros_that_are_plain_numbers() -> None:
    x = Value(2.0)
    assert total([0.0, x, 0.0]) is x
    zero = Value(0.0)
    assert [node.op.name for node in topological(total([zero, x, 3.0])) if node.op] == ["add"] * 2
    assert total([1.0, 2.0]) == 3.0


# ------------------------------------------------------------------ what people bring

WEIGHTED = [name for name in LOSSES if "class_weight" in inspect.signature(LOSSES[name]).parameters]
SPARSE = "sparse_categorical_crossentropy"


def weights_of(kind: str, weights: list[float]) -> Any:
    if kind == "array":
        return pytest.importorskip("numpy").array(weights)
    pairs = list(enumerate(weights))
    return {"dict": dict(pairs), "backwards": dict(pairs[::-1]), "tuple": tuple(weights)}[kind]


@pytest.mark.parametrize("kind", ["dict", "backwards", "tuple", "array"])
@pytest.mark.parametrize("name", WEIGHTED)
def test_class_weights_may_be_a_dict_or_an_array(name: str, kind: str) -> None:
    loss, outputs, targets = case(name, True)
    weights = [0.5, 3.0] if name in ("binary_crossentropy", "focal") else [0.5, 3.0, 2.0]
    expected = loss(outputs, targets, class_weight=weights).data
    assert loss(outputs, targets, class_weight=weights_of(kind, weights)).data == expected


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_class_that_a_dict_does_not_name_has_weight_1_and_another_is_refused(name: str) -> None:
    loss, outputs, targets = case(name, True)
    rest = [1.0] * (1 if name in ("binary_crossentropy", "focal") else 2)
    assert (
        loss(outputs, targets, class_weight={0: 0.5}).data
        == loss(outputs, targets, class_weight=[0.5, *rest]).data
    )
    for wrong in (7, -1, "cat", 0.5):
        with pytest.raises(ValueError, match=f"^{name}: class_weight: there is no class {wrong!r}"):
            loss(outputs, targets, class_weight={wrong: 1.0})


@pytest.mark.parametrize("name", LOSSES)
def test_a_dict_is_never_taken_for_its_keys(name: str) -> None:
    loss, outputs, targets = case(name, False)
    with pytest.raises(TypeError, match=f"^{name}: outputs: expected a list .*got a dict"):
        loss(dict(enumerate(outputs)), targets)
    with pytest.raises(TypeError, match=f"^{name}: targets: expected a list .*got a dict"):
        loss(outputs, dict(enumerate(targets)))
    with pytest.raises(TypeError, match=f"^{name}: sample weights: expected a list .*got a dict"):
        loss(outputs, targets, sample_weight={0: 1.0, 1: 2.0})
    with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
        loss([dict(enumerate(row)) for row in outputs], targets)


@pytest.mark.parametrize("name", LOSSES)
def test_an_option_of_another_library_is_refused_by_name(name: str) -> None:
    loss, outputs, targets = case(name, False)
    with pytest.raises(TypeError, match=f"^{name}: there is no option 'reductoin'; did you mean"):
        loss(outputs, targets, reductoin="sum")


@pytest.mark.parametrize("name", LOSSES)
def test_arrays_are_their_rows(name: str) -> None:
    np = pytest.importorskip("numpy")
    loss, outputs, targets = case(name, False)
    numbers = [[z.data for z in row] for row in outputs]
    expected = loss(numbers, targets).data
    for kind in (np.array, lambda rows: [np.array(row) for row in rows]):
        assert loss(kind(numbers), kind(targets)).data == expected
    columns = [np.array(column) for column in zip(*numbers, strict=True)]  # of a compiled model
    assert loss(columns, np.array(targets)).data == expected
    weights = np.array([0.5, 2.0], dtype=np.float32)
    assert (
        loss(numbers, targets, sample_weight=weights).data
        == loss(numbers, targets, sample_weight=[0.5, 2.0]).data
    )


def test_as_many_columns_as_samples_are_refused() -> None:
    np = pytest.importorskip("numpy")
    rows_ = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    with pytest.raises(ValueError, match="mse: outputs: 2 arrays of 2 numbers may be samples or"):
        losses.mse(rows_, [[1, 2], [3, 4]])
    assert losses.mse(np.array(rows_), [[1, 2], [3, 4]]).data == 0.0


def test_a_column_of_targets_is_one_target_for_each_sample_of_one_output() -> None:
    np = pytest.importorskip("numpy")
    z, column = [Value(1.0), Value(3.0)], np.array([[0.0], [1.0]])
    assert losses.mse(z, column).data == losses.mse([[v] for v in z], column).data == 2.5
    flags = np.array([True, False])
    plain = losses.bce([0.2, 0.3], [1, 0]).data
    assert losses.bce([0.2, 0.3], flags).data == losses.bce([0.2, 0.3], [True, False]).data == plain


@pytest.mark.parametrize("name", LOSSES)
def test_a_target_that_is_missing_is_named_unless_its_weight_is_0(name: str) -> None:
    loss, outputs, targets = case(name, False)
    second = loss(outputs[1:], targets[1:], reduction="sum").data
    for gap in (math.nan, math.inf, None):
        first = gap if name == SPARSE else [gap, *targets[0][1:]]
        words = rf"^{name}: sample 0: .*(nan|inf|None)"
        with pytest.raises((TypeError, ValueError), match=words):
            loss(outputs, [first, targets[1]])
        if name != SPARSE:
            masked = {"reduction": "sum", "sample_weight": [0.0, 1.0]}
            assert loss(outputs, [first, targets[1]], **masked).data == second


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.2, 1.0, 3.0]])
def test_an_ignored_target_counts_for_nothing(
    smoothing: float, weights: list[float] | None
) -> None:
    rows_ = [[0.3, -1.2, 2.0], [0.7, 0.1, -3.0], [1.0, 1.5, 0.0]]
    options: dict[str, Any] = {"label_smoothing": smoothing, "class_weight": weights}
    kept = losses.scce([rows_[0], rows_[2]], [2, 1], from_logits=True, **options).data
    for index in (-100, 1_000, 0):
        outputs = values(rows_)
        loss = losses.scce(outputs, [2, index, 1], from_logits=True, ignore_index=index, **options)
        assert loss.data == kept
        loss.backward()
        assert [z.grad for z in outputs[1]] == [0.0, 0.0, 0.0]
        with pytest.raises(
            ValueError, match=f"^{SPARSE}: there is no mean, because all targets are ignored"
        ):
            losses.scce(rows_, [index] * 3, from_logits=True, ignore_index=index, **options)
        with pytest.raises(TypeError, match="expected a class index"):
            losses.scce(rows_, [2, 0.5, 1], from_logits=True, ignore_index=index)
    with pytest.raises(ValueError, match="ignore_index must be a whole number"):
        losses.scce(rows_, [2, 0, 1], from_logits=True, ignore_index=0.5)


def test_the_other_crossentropy_is_named() -> None:
    np = pytest.importorskip("numpy")
    one_hot, indices = [[0, 1, 0], [1, 0, 0]], [1, 0]
    with pytest.raises(TypeError, match="one-hot rows are for categorical_crossentropy"):
        losses.scce(NUMBERS, one_hot, from_logits=True)
    for loss in (losses.cce, losses.kld, losses.categorical_hinge):
        with pytest.raises(ValueError, match="indices are for sparse_categorical_crossentropy"):
            loss(NUMBERS, indices)
    with pytest.raises(TypeError, match=r"got \[1\]; give one index for each sample"):
        losses.scce(NUMBERS, np.array([[1], [0]]), from_logits=True)
    with pytest.raises(TypeError, match=r"got 'cat'; nn\.data\.Dataset\.from_table and from_csv"):
        losses.scce([[1.0, 2.0]], ["cat"], from_logits=True)
    with pytest.raises(TypeError, match=r"got 1\.0; make it an int"):
        losses.scce(NUMBERS, np.array([1.0, 0.0]), from_logits=True)
    with pytest.raises(ValueError, match="the outputs come first, then the targets"):
        losses.scce(indices, NUMBERS, from_logits=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: losses.poisson([1.0], [-1.0]), "poisson: a target must be at least 0, got -1.0"),
        (lambda: losses.mape([1.0], [0.0]), "mape: a target of 0 has no percentage"),
        (lambda: losses.msle([1.0], [-1.0]), "msle: a target must be above -1, got -1.0"),
        (lambda: losses.focal([0.5], [0.5]), "focal: a target must be 0 or 1, got 0.5"),
        (lambda: losses.focal([0.5], [1], gamma=-1.0), "focal: gamma must be a finite number of"),
        (lambda: losses.cosine_similarity([[1.0, 2.0]], [[0, 0]]), "sample 0: a target of zeros"),
        (lambda: losses.squared_hinge([0.5], [0.5]), "squared_hinge: a target must be -1 or 1"),
    ],
)
def test_targets_that_a_loss_is_not_made_for_are_refused(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("d", [0.0, 1e-12, 1e-8, 0.3, 20.0, 699.0, 701.0, 1e5, 1e300])
def test_log_cosh_keeps_its_digits_and_its_gradient_is_tanh(d: float) -> None:
    for sign in (1.0, -1.0):
        z = Value(sign * d)
        loss = losses.log_cosh([z], [0.0])
        loss.backward()
        with mp.workdps(400):
            x = mpf(d)
            exact = float(x + mp.log1p(mp.exp(-2 * x)) - mp.log(2)) if d > 1 else None
            exact = float(mp.log(mp.cosh(x))) if exact is None else exact
            slope = float(mp.tanh(x))
        assert loss.data == pytest.approx(exact, rel=1e-15, abs=0.0)
        assert z.grad == pytest.approx(sign * slope, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("loss", [losses.hinge, losses.squared_hinge])
def test_targets_of_short_whole_numbers_are_signs(loss: Any) -> None:
    np = pytest.importorskip("numpy")
    outputs = [Value(0.5), Value(2.0)]
    for kind in (np.uint8, np.bool_, np.float16):
        assert loss(outputs, [kind(0), kind(1)]).data == loss(outputs, [-1, 1]).data
    assert loss(outputs, [Value(-1.0), Value(1.0)]).data == loss(outputs, [-1, 1]).data
