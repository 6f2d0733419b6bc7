"""What a recording notes: guards, lines, scopes, anomalies, and what it refuses."""

from typing import Any

import pytest

import autograd
import nn
from autograd import NonFiniteError, RecordingError, Value, argmax, detect_anomaly, scope, select
from autograd.compiled.function import Compiled
from autograd.compiled.traced import MASK, SELECT, Traced
from autograd.ops import Ops
from nn import MLP
from tests.spies import Spy


def compiled(f: Any, *arguments: Any) -> Compiled:
    made: Compiled = autograd.compile(f, engine="numpy")
    made(*arguments)
    return made


def lines(made: Compiled) -> set[str]:
    return {line.partition(":")[0] for _, _, line in made.program.tape.notes}


@pytest.mark.parametrize(
    "f",
    [
        lambda i, x: autograd.grad(lambda v: select([v, 3.0], i) * v)(x),
        lambda i, x: autograd.grad(lambda v: select([3.0, v], i) * v)(x),
        lambda i, x: autograd.grad(lambda v: autograd.replaced([v], i, 0.5)[0] * v)(x),
    ],
)
def test_a_derivative_through_a_choice_inside_is_the_eager_one(f: Any) -> None:
    made = compiled(f, 0, 2.0)
    assert (made(0, 2.0), made(0, 5.0)) == (f(0, 2.0), f(0, 5.0))


def test_a_choice_that_was_made_outside_of_any_transform_has_no_derivative_inside() -> None:
    def f(i: Any, x: Any) -> Any:
        chosen = select([x * 2.0, x * x], i)
        return autograd.grad(chosen * x, x)

    with pytest.raises(RecordingError, match=r"through `select`; use autograd\.grad of a function"):
        compiled(f, 0, Value(2.0))


def test_a_choice_among_plain_numbers_may_be_differentiated_around() -> None:
    def f(i: Any, x: Any) -> Any:
        return autograd.grad(lambda v: select([3.0, 4.0], i) * v)(x)

    assert compiled(f, 1, 2.0)(1, 2.0) == 4.0


def test_an_operand_of_a_foreign_kind_is_asked() -> None:
    class Stranger(Ops):
        def apply(self, op: Any, x: Any, y: Any) -> Any:
            return op.name, x, y

    stranger: Any = Stranger()
    spy = Spy()

    def f(x: Any) -> Any:
        spy.things.append((x * stranger, x))
        return x * 2.0

    compiled(f, 1.0)
    (name, left, right), x = spy.things[0]
    assert (name, left is x, right is stranger) == ("mul", True, True)


def test_an_anomaly_is_named_in_its_place_and_finite_numbers_are_none() -> None:
    def f(x: Any) -> Any:
        with detect_anomaly(), scope("inner"):
            y = (x - 1.0) * 2.0 + 3.0
            return y.log()

    assert compiled(f, 2.0)(2.0) == pytest.approx(1.6094379124341003)
    with pytest.raises(
        NonFiniteError, match=r"^log\(x\) = -inf at x = 0\.0, at test_tape\.py:\d+$"
    ):
        compiled(f, -0.5)
    compiled(lambda x: x.log(), 0.0)  # outside, it is a number as any other

    def zero(x: Any) -> Any:
        with detect_anomaly():
            return x * 0.0

    assert compiled(zero, 2.0)(2.0) == 0.0
    with pytest.raises(
        NonFiniteError, match=r"^mul\(x, y\) = inf at x = 2\.0 \('x0'\), y = inf, at "
    ):
        compiled(lambda x: infinite(x), 2.0)


def infinite(x: Any) -> Any:
    with detect_anomaly():
        return x * float("inf")


def test_the_line_is_the_users_also_where_the_package_calls_itself() -> None:
    model = MLP([2, 2, 1], "tanh", seed=0)
    assert lines(compiled(lambda x: model(x)[0], [1.0, 2.0])) == {"test_tape.py"}
    assert lines(compiled(nn.mse, [1.0, 2.0], [3.0, 4.0])) == {"test_tape.py"}
    inner = compiled(lambda x: autograd.grad(lambda v: nn.mse([v * v], [1.0]))(x), 2.0)
    assert lines(inner) == {"test_tape.py"}
    names: dict[str, Any] = {}
    exec("def nameless(x):\n    return x * 2.0 + 1.0", names)
    assert lines(compiled(names["nameless"], 2.0)) == {"test_tape.py"}


def two_lines(x: Any) -> Any:
    y = x * 2.0
    return y + 1.0


def test_each_line_of_one_call_is_noted() -> None:
    first = two_lines.__code__.co_firstlineno + 1
    notes = [line for _, _, line in compiled(two_lines, 1.0).program.tape.notes]
    assert notes == [f"test_tape.py:{first}", f"test_tape.py:{first + 1}"]

    def loop(x: Any) -> Any:
        for _ in range(3):
            x = two_lines(x)
        return x

    assert [line for _, _, line in compiled(loop, 1.0).program.tape.notes] == notes


def test_choices_masks_and_detached_numbers_are_in_the_scope_that_made_them() -> None:
    def f(i: Any, x: Any) -> Any:
        with scope("inner"):
            return [select(x, i), autograd.replaced(x, i, 0.5)[0], x[0].detach(), argmax(x)]

    tape = compiled(f, 1, [Value(1.0), Value(2.0)]).program.tape
    assert [tape.notes[k][1] for k in tape.note.tolist()] == ["inner"] * 4


def test_what_the_function_reads_of_a_leaf_is_an_input_and_what_it_asks_a_guard() -> None:
    w = Value(3.0)

    def guards(f: Any) -> int:
        return len(compiled(f, 2.0).program.tape.guards)

    assert guards(lambda x: x * w) == 0
    assert guards(lambda x: x.maximum(w) + w.tanh() ** 2) == 0
    assert guards(lambda x: x * w if w > 1.0 else x) == 1
    assert guards(lambda x: x * w.data * w.item() * w.detach()) == 0
    assert guards(lambda x: x * float(w.data)) == 1
    assert guards(lambda x: x if f"{w:.0f}" == "3" else 2.0 * x) == 1
    assert guards(lambda x: x if w == 3.0 else 2.0 * x) == 1
    assert guards(lambda x: x if w else 2.0 * x) == 1
    changed = compiled(lambda x: x * w.data, 2.0)
    w.data = 5.0
    assert changed(2.0) == 10.0
    assert changed.recorded == 1


def test_what_was_chosen_is_plain_if_all_it_was_chosen_from_is() -> None:
    w = Value(5.0)

    def f(i: Any, x: Any) -> Any:
        chosen: Any = select([x[0], x[1]], i)
        kept: Any = autograd.replaced(x, i, 0.0)[0]
        other: Any = select([x[0] * w, w], i)
        covered: Any = autograd.replaced([w, x[0]], i, 0.0)[0]
        assert (chosen.kind, kept.kind) == (SELECT, MASK)
        assert (chosen.plain, kept.plain, other.plain, covered.plain) == (True, True, False, False)
        return chosen + kept + other + covered

    assert compiled(f, 0, [1.0, 2.0])(1, [1.0, 2.0]) == 2.0 + 1.0 + 5.0 + 5.0


def test_a_choice_among_values_and_numbers_is_recorded_for_each_kind() -> None:
    w = Value(5.0)
    made = compiled(lambda i: select([w, 3.0], i), 0)
    assert [type(made(i)) for i in (0, 1)] == [Value, float]
    assert made.recorded == 2


def test_a_float_of_plain_arguments_is_theirs_and_of_a_parameter_is_refused() -> None:
    w = Value(3.0)
    made = compiled(lambda x: w * float(x * 2.0), 2.0)
    assert (made(2.0), made(4.0)) == (12.0, 24.0)
    with pytest.raises(TypeError, match=r"float\(w \* x\): a Value as a plain float"):
        compiled(lambda x: x * float(w * x), 2.0)
    with pytest.raises(TypeError, match="a Value as a plain float"):
        compiled(lambda x: x * float(x), Value(2.0))


def test_where_the_largest_stands_is_a_plain_number_that_can_be_compared() -> None:
    made = compiled(lambda x: x[0] if argmax(x) == 0 else x[1] * 2.0, [3.0, 1.0])
    assert made([3.0, 1.0]) == 3.0
    assert made([1.0, 3.0]) == 6.0
    assert made.recorded == 2
    spy = Spy()

    def f(x: Any) -> Any:
        spy.things.append(argmax(x))
        return x[0]

    compiled(f, [3.0, 1.0])
    assert type(spy.things[0]) is not Traced
    assert spy.things[0].plain is True


def test_a_list_of_one_can_be_chosen_from() -> None:
    assert compiled(lambda i, x: select([x], i) * 2.0, 0, 3.0)(0, 3.0) == 6.0
    assert compiled(lambda i, x: select([[x, x * 2.0]], i)[1], 0, 3.0)(0, 3.0) == 6.0


def test_parameters_of_rows_that_are_chosen_are_kept_row_by_row() -> None:
    rows = [[Value(0.0), Value(1.0)], [Value(2.0), Value(3.0)]]
    made = compiled(lambda i, x: select(rows, i)[1] * x + select(rows, i)[0], 1, 2.0)
    assert [p.data for p in made.parameters] == [0.0, 1.0, 2.0, 3.0]
