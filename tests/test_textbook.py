"""Formulas that are taught: one box in place of the operations, with the graph's own numbers."""

import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import autograd
import nn
from autograd import Value, draw, explain, no_grad, play, scope
from autograd.order import topological
from autograd.show.animation import frame
from autograd.show.draw import MINUS
from autograd.show.shown import Shown
from autograd.show.steps import steps
from autograd.textbook import with_formula
from nn.losses import NAMED

LOGITS, PROBABILITIES = [2.0, -1.0, 0.5], [0.5, 0.2, 0.3]
SHARES = [0.2, 0.5, 0.3]
WEIGHTS = [1.0, 2.0, 0.5]
Function = Callable[[list[Value]], Value]


def weighted(results: list[Any]) -> Value:
    """One number that depends on all results."""
    total: Value = sum((k + 1.0) * result for k, result in enumerate(results))
    return total


def of_rows(loss: Any, target: Any, **options: Any) -> Function:
    return lambda row: loss([row], [target], **options)


def of_numbers(loss: Any, targets: list[float], **options: Any) -> Function:
    return lambda numbers: loss(numbers, targets, **options)


# What has a formula, at which numbers: with every option that changes the formula.
CASES: dict[str, tuple[Function, list[float]]] = {
    "softmax": (lambda z: weighted(nn.softmax(z)), LOGITS),
    "log_softmax": (lambda z: weighted(nn.log_softmax(z)), LOGITS),
    "logsumexp": (nn.logsumexp, LOGITS),
    "log_cosh": (of_numbers(nn.losses.log_cosh, [0.5, 1.0, -2.0]), LOGITS),
    "log_cosh far": (of_numbers(nn.losses.log_cosh, [0.5, 1.0, 800.0]), LOGITS),
    "msle": (of_numbers(nn.losses.msle, [0.5, 1.0, 2.0]), PROBABILITIES),
    "cosine_similarity": (of_rows(nn.losses.cosine_similarity, SHARES), LOGITS),
    "kl_divergence": (of_rows(nn.losses.kl_divergence, SHARES), PROBABILITIES),
    "kl_divergence of logits": (
        of_rows(nn.losses.kl_divergence, SHARES, from_logits=True), LOGITS,
    ),
}  # fmt: skip
for logits in (False, True):
    at = LOGITS if logits else PROBABILITIES
    for options in ({}, {"class_weight": WEIGHTS}, {"label_smoothing": 0.1}):
        both = {**options, "from_logits": logits}
        CASES[f"cce {both}"] = of_rows(nn.cce, SHARES, **both), at
        CASES[f"scce {both}"] = of_rows(nn.scce, 1, **both), at
        two = both | ({"class_weight": WEIGHTS[:2]} if "class_weight" in both else {})
        CASES[f"bce {both}"] = of_numbers(nn.bce, [1.0, 0.0, 0.25], **two), at
        if "label_smoothing" not in options:
            CASES[f"focal {both}"] = of_numbers(nn.losses.focal, [1.0, 0.0, 1.0], **two), at


def graph(case: str) -> tuple[Value, list[Value], Function]:
    function, at = CASES[case]
    leaves = [Value(number, f"z{i}") for i, number in enumerate(at)]
    return function(leaves), leaves, function


def test_every_loss_with_a_formula_has_a_case() -> None:
    """A loss that marks its terms is missing above if its name is in no case."""
    marked = set()
    for loss in set(NAMED.values()):
        outputs = [Value(number) for number in PROBABILITIES]
        for batch in (([outputs], [1]), ([outputs], [SHARES]), (outputs, [1.0] * 3)):
            try:
                root = loss(*batch)
            except (TypeError, ValueError):
                continue
            if any(node.formula for node in topological(root)):
                marked.add(loss.__name__)
    short = {"cce": "categorical_crossentropy", "scce": "sparse_categorical_crossentropy"}
    names = {case.split()[0] for case in CASES}
    assert marked <= {{**short, "bce": "binary_crossentropy"}.get(name, name) for name in names}
    assert len(marked) == 8


@pytest.mark.parametrize("case", CASES)
def test_the_derivative_on_an_edge_is_that_of_all_that_the_box_stands_for(case: str) -> None:
    root, leaves, function = graph(case)
    shown = Shown(root, "textbook")
    assert shown.parts
    for result, part in shown.parts.items():
        assert set(part.operands) <= {*leaves, *shown.parts}
        slopes = dict(zip(part.operands, shown.amounts(result, 1.0), strict=True))
        for leaf, slope in slopes.items():
            if leaf not in leaves:
                continue
            h = 1e-6
            ends = []
            for step in (h, -h):
                moved = function([Value(v.data + step * (v is leaf)) for v in leaves])
                ends.append(twin_of(result, root, moved).data)
            difference = (ends[0] - ends[1]) / (2 * h)
            assert slope == pytest.approx(difference, rel=1e-6, abs=1e-8)


def twin_of(result: Value, root: Value, moved: Value) -> Value:
    """The node at the same place of the same graph at other numbers."""
    return topological(moved)[[node is result for node in topological(root)].index(True)]


@pytest.mark.parametrize("case", CASES)
def test_the_amounts_along_the_edges_add_up_to_the_gradient(case: str) -> None:
    root, leaves, _ = graph(case)
    root.backward()
    player = play(root, {}, detail="textbook")
    final = player[-1]
    assert len(str(player).splitlines()) == len(player) + 2  # and two headings
    grads = dict.fromkeys(leaves, 0.0)
    for event in player:
        if event.target in grads:
            grads[event.target] += event.contribution
    assert final.kind == "backward"
    for leaf in set(leaves).intersection(topological(root)):
        assert grads[leaf] == pytest.approx(leaf.grad, rel=1e-13, abs=1e-15)
        paths = explain(root, leaf, detail="textbook")
        assert paths.total == pytest.approx(leaf.grad, rel=1e-13, abs=1e-15)
        assert paths.count <= explain(root, leaf).count


@pytest.mark.parametrize("case", CASES)
def test_a_formula_is_drawn_and_typeset(case: str) -> None:
    root, _, _ = graph(case)
    shown = Shown(root, "textbook")
    text = draw(root, detail="textbook").mermaid()
    for node in shown.parts:
        assert shown.formula(node)[0] in text
    assert len(shown.order) < len(topological(root))
    latex = root.latex("textbook")
    assert latex.count("{") == latex.count("}")
    assert root.latex() != latex


@pytest.mark.parametrize("logits", [[2.0, -1.0, 0.5], [0.0, 30.0, -30.0], [1.0, 1.0, 1.0]])
def test_the_edges_of_softmax_with_crossentropy_show_p_minus_y(logits: list[float]) -> None:
    z = [Value(number, f"z{i}") for i, number in enumerate(logits)]
    loss = nn.scce([z], [2], from_logits=True)
    slopes = Shown(loss, "textbook").amounts(loss, 1.0)
    exponentials = [math.exp(number - max(logits)) for number in logits]
    expected = [e / sum(exponentials) - (i == 2) for i, e in enumerate(exponentials)]
    assert slopes == pytest.approx(expected, rel=1e-12, abs=1e-15)
    edges = draw(loss, edges=True, detail="textbook").mermaid()
    assert edges.count("-->") == 3
    assert "log(p_2)" in edges


def test_a_softmax_has_a_box_for_each_probability() -> None:
    z = [Value(number, f"z{i}") for i, number in enumerate(LOGITS)]
    p = nn.softmax(z)
    loss = nn.cce([p], [SHARES])
    text = draw(loss, detail="textbook").mermaid()
    assert [f"e^z_{i} / Σ_j e^z_j" in text for i in range(3)] == [True] * 3
    assert text.count("-->") == 9 + 3
    latex = loss.latex("textbook")
    assert r"\frac{e^{z_{1}}}{\sum_{j} e^{z_{j}}}" in latex


def test_a_function_of_its_own_results_is_two_formulas() -> None:
    z = [Value(number, f"z{i}") for i, number in enumerate(LOGITS)]
    twice = weighted(nn.softmax(nn.softmax(z)))
    shown = Shown(twice, "textbook")
    assert len(shown.parts) == 6
    assert {len(part.operands) for part in shown.parts.values()} == {3}


def ratio(a: Value, b: Value) -> tuple[Value, Value]:
    with scope("ratio"):
        inverse = 1.0 / b
        z = (a - b) * inverse
    z.formula = "a / b - 1"
    return z, inverse


def test_a_formula_of_ones_own() -> None:
    z, _ = ratio(Value(3.0, "a"), Value(2.0, "b"))
    assert (z.formula, z.scope) == ("a / b - 1", "ratio")
    z.backward()
    text = draw(z, edges=True, detail="textbook").mermaid()
    assert f"z = a / b {MINUS} 1<br>value 0.5" in text
    assert f"∂z/∂b = {MINUS}0.75<br>+= {MINUS}0.75" in text
    z.label = "z"
    assert (z.formula, z.scope) == ("a / b - 1", "ratio")
    assert z.latex("textbook") == r"z = \frac{a}{b} - 1"
    z.scope = "elsewhere"
    assert z.formula == ""


def test_operations_that_are_used_elsewhere_stay_in_the_picture() -> None:
    z, inverse = ratio(Value(3.0, "a"), Value(2.0, "b"))
    both = z + inverse
    assert not Shown(both, "textbook").parts
    assert draw(both, detail="textbook").mermaid() == draw(both).mermaid()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a +",
        "p = 1",
        "x if y else z",
        "[a]",
        "a < b",
        "'a'",
        "f()",
        "f(x)(y)",
        "a" * 1001,
        None,
    ],
)
def test_what_is_no_formula_is_refused(text: Any) -> None:
    z, _ = ratio(Value(3.0), Value(2.0))
    with pytest.raises(ValueError, match=r"formula: expected a text like 'e\*\*z_0"):
        z.formula = text


def test_what_is_no_formula_behind_a_scope_is_ignored() -> None:
    x = Value(2.0, "x")
    z = x * 3.0
    z.scope = "a\x1f[a"
    assert (z.scope, z.formula) == ("a", "")
    assert "x" in draw(z, detail="textbook").source
    assert z.latex(detail="textbook") == z.latex()


def test_a_formula_needs_a_scope() -> None:
    z = Value(2.0) * 3.0
    with pytest.raises(ValueError, match="must be computed inside `with scope"):
        z.formula = "2 * x"
    with pytest.raises(ValueError, match="expected a name without"):
        scope(with_formula("a", "b"))


def test_an_unknown_detail_is_refused() -> None:
    for view in (draw, play):
        with pytest.raises(ValueError, match="detail must be 'computed' or 'textbook'"):
            view(Value(1.0, "x") * 2.0, detail="as taught")


def test_a_node_behind_a_formula_is_no_start_of_a_path() -> None:
    z, inverse = ratio(Value(3.0), Value(2.0))
    with pytest.raises(ValueError, match="and the textbook shows"):
        draw(z, to=inverse, detail="textbook")
    with pytest.raises(ValueError, match="and the textbook shows"):
        explain(z, inverse, detail="textbook")


def test_only_the_paths_from_a_leaf() -> None:
    z = [Value(number, f"z{i}") for i, number in enumerate(LOGITS)]
    loss = nn.scce([z], [2], from_logits=True)
    text = draw(loss, to=z[0], edges=True, detail="textbook").mermaid()
    assert text.count("-->") == 1
    assert "log(p_2)" in text


def test_numbers_and_no_grad_have_no_formula() -> None:
    assert nn.softmax([1.0, 2.0])[0] == pytest.approx(0.2689, abs=1e-4)
    with no_grad():
        results = nn.softmax([Value(1.0), Value(2.0)])
        loss = nn.scce([results], [0])
    assert [r.formula for r in [*results, loss]] == ["", "", ""]
    with nn.module.unscoped():
        assert nn.softmax([Value(1.0), Value(2.0)])[0].formula == ""


def test_a_compiled_loss_has_the_same_textbook_picture(tmp_path: Any) -> None:
    def loss(row: list[Any]) -> Any:
        return nn.scce([row], [2], from_logits=True)

    fast = autograd.compile(loss)
    pictures = []
    for function in (loss, fast):
        z = [Value(number, f"z{i}") for i, number in enumerate(LOGITS)]
        root = function(z)
        root.backward()
        pictures.append(draw(root, edges=True, detail="textbook").mermaid())
    assert pictures[0] == pictures[1]
    fast.program.save(tmp_path / "loss.program")
    lifted = type(fast.program).load(tmp_path / "loss.program").lift([], LOGITS)
    text = draw(lifted.outputs[0], detail="textbook").mermaid()
    assert "log(p_2)" in text
    assert "\x1f" not in fast.program.draw().source
    assert fast.program.locate(int(fast.program.address[fast.program.tape.outputs][0]))["scope"]


def test_a_formula_names_its_operands_where_they_have_other_names() -> None:
    for count in (3, 8):
        a, b, *more = (Value(float(i), f"u{i}") for i in range(count))
        p = nn.softmax([a * 1.0, b, *more])[0]
        text = draw(p, detail="textbook").mermaid()
        names = ", ".join(f"u{i}" for i in range(1, min(count, 6)))
        assert f"<br>of v1, {names}{', and 2 more' * (count > 6)}<br>value" in text
    z = nn.logsumexp([Value(1.0, "z0"), Value(2.0, "z_1")])
    assert "<br>of " not in draw(z, detail="textbook").mermaid()


def test_closed_scopes_and_formulas_stand_side_by_side() -> None:
    model = nn.Sequential(nn.Layer(2, 6, "tanh", seed=0), nn.Layer(6, 3, seed=1), nn.softmax)
    loss = nn.cce([model([0.5, -1.0])], [SHARES])
    loss.backward()
    picture = draw(loss, limit=30, detail="textbook")
    text = picture.mermaid()
    assert "neuron 0<br>" in text
    assert text.count("softmax") <= 1
    closed = draw(loss, limit=5, detail="textbook").mermaid()
    assert re.search(r"operations", closed)


def test_leaves_with_formulas_elsewhere_can_be_pickled() -> None:
    z = Value(2.0, "z")
    nn.softmax([z, Value(1.0)])
    assert pickle.loads(pickle.dumps(z)).label == "z"


def test_pages_frames_and_steps_show_the_formula() -> None:
    z = [Value(number, f"z{i}") for i, number in enumerate(LOGITS)]
    loss = nn.scce([z], [2], from_logits=True)
    loss.label = "L"
    player = play(loss, {}, detail="textbook")
    assert '"taught": ["\\u2212log(p_2)", "p_i = e^z_i / \\u03a3_j e^z_j"]' in player.html()
    assert '"taught"' not in play(loss, {}).html()
    picture = frame(player, -1)
    assert len(picture.boxes) == 4
    assert picture.source.count("->") == 3
    assert steps(loss, detail="textbook")[-1].startswith("  dL/dz2 += dL/dL * dL/dz2 = 1 * (-0.8")
