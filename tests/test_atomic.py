"""Steps that cannot be split, and contexts with a way in and a way out that cannot be cut off."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from autograd.atomic import Setting, context, no_signal_at_start, together, undo_of
from autograd.value import number_writer, numbers, restorer
from nn import MLP
from tests.benchmarks.presses import At, Press, Watch

DEPTH: ContextVar[int] = ContextVar("depth", default=0)


class Deeper(Setting[int]):
    variable = DEPTH

    def inside(self, before: int) -> int:
        return before + 1


def changed(place: list[str], name: str = "in") -> Iterator[str]:
    try:
        place.append(name)
        yield name
    finally:
        place.clear()


def places(work: Callable[[], Any]) -> list[Any]:
    work()
    watch = Watch()
    watch(work)
    return watch.places()


def test_a_setting_can_be_entered_again_and_inside_itself() -> None:
    deeper = Deeper()
    for _ in range(2):
        with deeper, deeper:
            assert DEPTH.get() == 2
            with pytest.raises(KeyError), deeper:
                raise KeyError
            assert DEPTH.get() == 2
        assert DEPTH.get() == 0


def test_a_setting_is_left_wherever_ctrl_c_comes() -> None:
    def work() -> None:
        with Deeper(), contextlib.suppress(KeyError), Deeper():
            raise KeyError

    tried = places(work)
    assert len(tried) > 20
    for place in tried:
        assert At(place)(work)
        assert DEPTH.get() == 0, place


def test_a_context_is_left_wherever_ctrl_c_comes() -> None:
    state: list[str] = []
    within = context(changed)

    def work() -> None:
        with within(state):
            assert state == ["in"]
        with contextlib.suppress(KeyError), within(state):
            raise KeyError

    tried = places(work)
    assert len(tried) > 20
    for place in tried:
        assert At(place)(work)
        assert state == [], place


def test_contextlibs_own_is_not_which_is_why_there_is_another() -> None:
    state: list[str] = []
    within = contextlib.contextmanager(changed)

    def work() -> None:
        with within(state):
            pass

    left: list[str] = []
    for place in places(work):
        try:  # its frames are alive as long as the exception is
            watched(At(place), work, state, left)
        finally:
            state.clear()
    assert left


def watched(press: Press, work: Callable[[], Any], state: list[str], left: list[Any]) -> None:
    def keeping() -> None:
        try:
            work()
        except KeyboardInterrupt:
            left.extend(state)
            raise

    press(keeping)


@pytest.mark.parametrize("make", [context, contextlib.contextmanager], ids=["ours", "contextlib"])
def test_a_context_does_what_contextlibs_does(make: Any) -> None:
    state: list[str] = []
    within = make(changed)
    with within(state, name="x") as given:
        assert (given, state) == ("x", ["x"])
    assert state == []
    for error in (KeyError("k"), StopIteration("s"), GeneratorExit("g"), RuntimeError("r")):
        with pytest.raises(type(error)) as caught, within(state):
            raise error
        assert caught.value is error
        assert error.__cause__ is None
        assert state == []
        tb = error.__traceback__
        assert tb is not None
        assert tb.tb_frame.f_code.co_name == "test_a_context_does_what_contextlibs_does"

    @within(state)  # type: ignore[untyped-decorator]
    def decorated(x: int) -> tuple[int, list[str]]:
        """What it says."""
        return x, list(state)

    assert decorated(1) == (1, ["in"])
    assert decorated(2) == (2, ["in"])
    assert (decorated.__doc__, state) == ("What it says.", [])
    assert within.__name__ == "changed"


def test_an_error_on_the_way_out_takes_the_place_of_the_other() -> None:
    @context
    def failing() -> Iterator[None]:
        try:
            yield
        except KeyError as error:
            raise ValueError("worse") from error

    with pytest.raises(ValueError, match="worse"), failing():
        raise KeyError

    @context
    def never() -> Iterator[None]:
        raise OSError("not even in")
        yield

    with pytest.raises(OSError, match="not even in"), never():
        pass


def test_a_function_without_a_check_at_its_start_still_does_its_work() -> None:
    def plain(x: int, *rest: int, key: int = 3) -> tuple[Any, ...]:
        return x, rest, key, [DEPTH for _ in rest]

    kept = plain.__code__.co_code
    marked = no_signal_at_start(plain)
    assert marked is plain
    assert plain(1, 2, key=4) == (1, (2,), 4, [DEPTH])
    assert sum(a != b for a, b in zip(kept, plain.__code__.co_code, strict=True)) == 1


def test_where_python_has_no_such_instruction_a_function_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from autograd import atomic

    def plain() -> int:
        return 1

    before = plain.__code__
    monkeypatch.setattr(atomic, "_RESUME", None)
    assert no_signal_at_start(plain)() == 1
    assert plain.__code__ is before


def one_step(undo: Callable[[], object]) -> bool:
    """Whether the call enters no function of Python's, in which it would look for signals."""
    calls = []
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    undo()
    sys.setprofile(None)
    return "call" not in calls


def test_numbers_gradients_and_flags_are_put_back_in_one_step() -> None:
    model = MLP([2, 2, 1], "tanh", seed=0)
    parameters, modules = model.parameters(), [module for _, module in model.named_modules()]
    before = [(p.data, p.grad) for p in parameters]
    undo = together(
        [
            restorer(parameters),
            number_writer(parameters, numbers(parameters)),
            undo_of(modules, ["training"] * len(modules)),
        ]
    )
    model.eval()
    for p in parameters:
        p.data, p.grad = 1.0, 1.0
    assert one_step(undo)
    assert [(p.data, p.grad) for p in parameters] == before
    assert all(module.training for module in modules)


def test_parameters_are_loaded_in_one_step() -> None:
    # The map of them all is the last thing that `load_state_dict` does.
    one, other = MLP([2, 2, 1], "tanh", seed=0), MLP([2, 2, 1], "tanh", seed=1)
    whole = [one.state_dict(), other.state_dict()]
    tried = places(lambda: other.load_state_dict(other.state_dict()))
    for place in tried[:: max(1, len(tried) // 60)]:
        other.load_state_dict(whole[1])
        At(place)(lambda: other.load_state_dict(whole[0]))
        assert other.state_dict() in whole, place


def test_a_press_leaves_the_handler_of_signals_and_the_trace_as_they_were() -> None:
    before = signal.getsignal(signal.SIGALRM), sys.gettrace()

    def work() -> None:
        sorted([2, 1])

    (place, *_) = places(work)
    assert At(place)(work)
    assert not Press()(lambda: None)
    assert (signal.getsignal(signal.SIGALRM), sys.gettrace()) == before
