"""The mistakes that can be planted: their list, what each does to a graph, and what is put back."""

import math
from typing import Any

import pytest

from autograd import NonFiniteWarning, Value
from autograd.faults import Fault, faults, hidden, misread, planted, used
from autograd.value import rows

FAULTS = faults()


@pytest.mark.parametrize(
    ("name", "operand", "expected"),
    [
        # 1 in place of 1 would be no mistake, and there is no other argument to mistake it for.
        ("add", "x", {"sign": ["-(1)"], "zero": ["0.0 * (1)"], "double": ["2 * (1)"],
                      "half": ["(1) / 2"], "offset": ["(1) * 1.000001"]}),
        ("div", "y", {"sign": ["-(-z / y)"], "unit": ["1.0"], "zero": ["0.0 * (-z / y)"],
                      "double": ["2 * (-z / y)"], "half": ["(-z / y) / 2"],
                      "offset": ["(-z / y) * 1.000001"], "argument": ["-z / x"], "factor": ["-z"],
                      "twice": ["(-z / y) * (-z / y)"]}),
        ("tanh", "x", {"argument": ["1 - x * x"], "square": ["1 - z"], "flip": ["1 + z * z"],
                       "result": ["1 - tanh(z) * tanh(z)"]}),
        ("mul", "y", {"argument": ["y"]}),
        # A relu of the wrong argument would be the same; one of the wrong side is not.
        ("relu", "x", {"side": ["0.0 if x > 0 else 1.0"], "argument": [], "twice": []}),
        ("pow", "y", {"factor": ["z", "log(x)"]}),
        ("sign", "x", {"sign": [], "zero": [], "unit": []}),
        ("neg", "x", {"unit": ["1.0"], "sign": ["-(-1)"]}),
        ("sin", "z", {"value": ["(sin(x)) * 1.000001"]}),
    ],
)  # fmt: skip
def test_a_row_is_misread_as_a_tired_reader_would(
    name: str, operand: str, expected: dict[str, list[str]]
) -> None:
    found = [fault for fault in FAULTS if (fault.op, fault.operand) == (name, operand)]
    for kind, wrong in expected.items():
        assert [fault.wrong for fault in found if fault.kind == kind] == wrong
    if name == "add":
        assert len(found) == len(expected)


def test_the_answer_says_what_is_wrong_and_what_is_right() -> None:
    assert misread("sin", "x", "-cos(x)") == Fault(
        "sin", "x", "text", "sin: dz/dx is -cos(x) instead of cos(x)", "-cos(x)"
    )
    assert misread("mul", "y", "y", "argument") == Fault(
        "mul", "y", "argument", "mul: dz/dy is y instead of x", "y"
    )
    assert misread("mul", "z", "x + y").answer == "mul: z is x + y instead of x * y"
    assert faults()[-7:] == [
        Fault("", "", "overwrite", "every pullback uses = where it needs +="),
        Fault("", "y", "drop", "the second operand's gradient is dropped"),
        Fault("", "", "upstream", "dL/dz is left out: dz/dx is passed on alone"),
        Fault("", "", "once", "only one of two uses by the same operation counts, as in x * x"),
        Fault("", "", "arrival", "a node passes on its whole gradient whenever something arrives"),
        Fault("", "", "order", "backward visits nodes in order of distance from the root"),
        Fault("", "", "stale", "backward adds to the last pass's gradients of inner nodes"),
    ]


def graph(a: Value, b: Value) -> Value:
    """(a - 3 b)^2 b, with a use before and after, and a square of one operand."""
    h = a - b * 3.0
    return h * h * b + h


# At a = 5, b = 1: h = 2, dL/dh = 2 h b + 1 = 5, dL/da = 5, dL/db = h^2 - 3 * 5 = -11.
@pytest.mark.parametrize(
    ("kind", "da", "db"),
    [
        ("overwrite", 2.0, -6.0),  # the last to pull into h is one factor of the square
        ("drop", 2.0, 0.0),
        ("upstream", 1.0, 7.0),
        ("once", 3.0, -5.0),
        ("arrival", 10.0, -41.0),  # h hands on 5 twice, and 3 b first -5, then -10
        ("order", 1.0, 1.0),
        ("stale", 5.0, -11.0),
    ],
)
def test_what_a_mistake_in_adding_up_makes_of_a_graph(kind: str, da: float, db: float) -> None:
    a, b = Value(5.0), Value(1.0)
    with planted(next(f for f in faults() if not f.op and f.kind == kind)):
        graph(a, b).backward()
    assert (a.grad, b.grad) == (da, db)
    a, b = Value(5.0), Value(1.0)
    graph(a, b).backward()
    assert (a.grad, b.grad) == (5.0, -11.0)


@pytest.mark.parametrize("kind", ["overwrite", "drop", "upstream", "once"])
def test_an_operation_at_its_end_still_gives_its_ends_under_a_mistake(kind: str) -> None:
    x = Value(0.0)
    fault = next(f for f in faults() if not f.op and f.kind == kind)
    with planted(fault), pytest.warns(NonFiniteWarning, match="log"):
        x.log().backward()
    assert x.grad == math.inf


def test_a_fault_is_in_the_row_for_numbers_and_for_its_derivatives_too() -> None:
    mul = rows()["mul"]
    right: dict[str, Any] = dict(vars(mul))
    with planted(misread("mul", "z", "x * y + 1.0")) as fault:
        assert fault.wrong == "x * y + 1.0"
        assert mul(2.0, 3.0) == 7.0
        assert (Value(2.0) * 3.0).data == 7.0
    with planted(misread("mul", "y", "5.0")):
        assert (mul.dx(2.0, 3.0, 6.0), mul.dy(2.0, 3.0, 6.0)) == (3.0, 5.0)
    with planted(misread("mul", "x", "7.0")):
        assert (mul.dx(2.0, 3.0, 6.0), mul.dy(2.0, 3.0, 6.0)) == (7.0, 2.0)
    with planted(misread("neg", "x", "7.0")):
        assert rows()["neg"].dx(2.0, None, -2.0) == 7.0
    same = {k for k, v in vars(mul).items() if v is right[k]}
    assert same >= {"value", "dx", "dy", "value_tree", "partial_trees", "where_trees"}


def test_the_seed_chooses_what_is_hidden() -> None:
    answers = []
    for seed in (0, 0, 1, 2, 3):
        with hidden(seed) as envelope:
            assert envelope == []
        answers += envelope
    assert answers[0] == answers[1]
    assert len(set(answers)) > 2


OPERATORS = ["add", "sub", "mul", "div", "pow", "neg", "tanh"]


@pytest.mark.parametrize("name", OPERATORS)
def test_after_a_mistake_every_function_of_the_engine_is_the_one_from_before(name: str) -> None:
    # `v * w` and `v.mul(w)` are two functions; one that stayed would be wrong without a word.
    every = [one for row in rows().values() for one in (row, *row.slopes.values())]
    before = [dict(vars(one)) for one in every], dict(vars(Value))
    fault = next(one for one in FAULTS if one.op == name and one.operand == "z")
    with planted(fault):
        assert vars(Value) != before[1]
    assert ([dict(vars(one)) for one in every], dict(vars(Value))) == before


def test_what_is_used_is_known_and_put_back() -> None:
    before = [dict(vars(op)) for op in rows().values()]
    with used() as names:
        x = Value(0.5)
        (x.tanh() * x).backward()
        assert rows()["exp"](0.0) == 1.0
    assert names == {"tanh", "mul", "exp"}
    assert [dict(vars(op)) for op in rows().values()] == before


@pytest.mark.parametrize(
    ("name", "operand", "kind", "sentence"),
    [
        ("tanh", "x", "argument", "tanh: dz/dx is 1 - x * x where it should be 1 - z * z"),
        ("tanh", "x", "square", "tanh: dz/dx is 1 - z where it should be 1 - z * z"),
        ("tanh", "x", "flip", "tanh: dz/dx is 1 + z * z where it should be 1 - z * z"),
        ("sigmoid", "x", "twice", "sigmoid: dz/dx = z * (1 - z) is multiplied in twice"),
        ("sigmoid", "x", "result", "sigmoid: dz/dx is sigmoid(z) * (1 - sigmoid(z)) where it "
         "should be z * (1 - z)"),
        ("mul", "y", "unit", "mul: dz/dy = x is left out"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_the_texts_of_the_textbook(
    name: str, operand: str, kind: str, sentence: str
) -> None:
    found = [f for f in FAULTS if (f.op, f.operand, f.kind) == (name, operand, kind)]
    assert [fault.sentence for fault in found] == [sentence]


@pytest.mark.parametrize("name", list(rows()))
@pytest.mark.untraced
def test_the_wrong_derivative_of_numbers_is_the_one_that_is_planted(name: str) -> None:
    op = rows()[name]
    at = (0.37, 0.83)[: op.arity]
    z = op.value(*at)
    for fault in FAULTS:
        if fault.op == name and fault.operand != "z":
            x, y = (*at, None)[:2]
            mine = fault.partial(x, y, z)
            with planted(fault):
                theirs = getattr(op, f"d{fault.operand}")(x, y, z)
            assert mine == theirs or (mine != mine and theirs != theirs), fault.answer


def test_what_passes_on_at_each_arrival_ends_in_a_deep_graph_too() -> None:
    x = Value(0.9)
    node = x
    for _ in range(60):
        node = node * node
    with planted(next(fault for fault in faults() if fault.kind == "arrival")):
        node.backward()
    assert math.isfinite(x.grad)
