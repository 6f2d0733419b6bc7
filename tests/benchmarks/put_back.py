"""Work that changes things and puts them back: whatever Ctrl-C cuts off, all is as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograd import (
    Value,
    check_gradients,
    define_op,
    detect_anomaly,
    grad,
    hessian,
    hvp,
    jvp,
    no_grad,
    play,
    quiet_gc,
    recording,
    rows,
    scope,
    value,
    vjp,
)
from autograd.faults import faults, hidden, planted
from autograd.ops import Ops
from autograd.show.animation import frame
from nn import MLP, Module, find_learning_rate, fit, init, learning_rate_sweep, mse, unscoped
from nn.optim import Adam
from nn.schedules import ReduceOnPlateau
from nn.study.curvature import largest_curvature
from nn.sweeps import sweep
from tests.benchmarks.presses import Press, Trial

_INPUTS = [[0.0, 1.0], [1.0, 0.0], [0.5, -0.5]]
_TARGETS = [1.0, -1.0, 0.5]
_DATA = _INPUTS, _TARGETS


def _unchanged(work: Callable[[], object], look: Callable[[], object]) -> Trial:
    """A trial of work after which there is to be seen what was there before."""
    work()
    before = look()

    def trial(press: Press) -> tuple[bool, str]:
        hit = press(work)
        return hit, "" if look() == before else "something is not as it was"

    return trial


def _model(seed: int = 0) -> Any:
    return MLP([2, 2, 1], "tanh", seed=seed)


def _loss(outputs: list[Any], targets: list[Any]) -> Any:
    return mse([y for (y,) in outputs], targets)


def _seen(model: Module) -> Any:
    """Numbers, gradients, activations and flags of a model."""
    numbers = [(p.data.hex(), p.grad.hex()) for p in model.parameters()]
    parts = [vars(module) for _, module in model.named_modules()]
    return numbers, [(one.get("activation"), one.get("training", True)) for one in parts]


def modes(folder: Path) -> Trial:
    """Every context that says how operations are recorded, and how modules are called."""
    model = _model()
    decorated = no_grad()(model)

    def work() -> None:
        with no_grad(), scope("outer"):
            model(_INPUTS[0])
        with unscoped(), recording(), detect_anomaly():
            model(_INPUTS[1])
        with quiet_gc():
            decorated(_INPUTS[2])

    return _unchanged(work, lambda: bool((Value(2.0) * 3.0).parents))


def transforms(folder: Path) -> Trial:
    """Derivatives of functions of a leaf that has a gradient."""
    w = Value(0.5, "w")
    (w * w).backward()

    def f(x: Any) -> Any:
        return (w * x[0]).tanh() * x[1]

    def work() -> None:
        grad(f)([1.0, 2.0])
        hessian(f)([1.0, 2.0])
        hvp(f, [1.0, 2.0], [1.0, 0.0])
        jvp(f, ([1.0, 2.0],), ([1.0, 0.0],))
        vjp(f, [1.0, 2.0])[1](1.0)

    return _unchanged(work, lambda: (w.data, w.grad))


def checking(folder: Path) -> Trial:
    """`check_gradients`, by decimals and by doubles, which move a parameter."""
    w = Value(0.5, "w")
    (w * w).backward()

    def smooth(x: Any) -> Any:
        return (w * x).tanh() * x

    def of_values(x: Any) -> Any:
        if not isinstance(x, Value):
            raise TypeError("no decimals")
        return w * x * x

    def work() -> None:
        check_gradients(smooth, 0.3, parameters=[w], order=2)
        check_gradients(of_values, 0.3, parameters=[w])

    return _unchanged(work, lambda: (w.data, w.grad, type(Value(1.0) * 2.0)))


def examining(folder: Path) -> Trial:
    """`nn.init.examine`, which puts probes into the layers."""
    model = _model()
    _loss([model(x) for x in _INPUTS], _TARGETS).backward()

    def work() -> None:
        init.examine(model, _INPUTS)
        init.examine(model, _INPUTS, _TARGETS, _loss)

    return _unchanged(work, lambda: _seen(model))


def planting(folder: Path) -> Trial:
    """Mistakes planted in the engine, in a row and in the order of its passes."""
    every = faults()
    chosen = [next(f for f in every if f.op == "mul" and f.operand == o) for o in "xyz"]
    chosen.append(next(f for f in every if f.kind == "order"))

    def work() -> None:
        for fault in chosen:
            with planted(fault):
                (Value(2.0) * 3.0).backward()
        with hidden(3):
            pass

    def look() -> Any:
        return {name: dict(vars(op)) for name, op in rows().items()}, dict(vars(Value)), value.sweep

    return _unchanged(work, look)


def searching(folder: Path) -> Trial:
    """`find_learning_rate`, which trains a copy of the model step by step."""
    model = MLP([2, 1], None, seed=0)

    def work() -> None:
        find_learning_rate(model, _DATA, loss=_loss, low=0.01, high=10.0, steps=10)

    return _unchanged(work, lambda: _seen(model))


def sweeping(folder: Path) -> Trial:
    """`learning_rate_sweep`: no table may come of it, and no run that was cut short."""
    model = MLP([2, 1], None, seed=0)

    def work() -> None:
        learning_rate_sweep(model, _DATA, loss=_loss, rates=[0.1, 0.5], epochs=2)

    return _unchanged(work, lambda: _seen(model))


def gridding(folder: Path) -> Trial:
    """`nn.sweeps.sweep`, and the same."""

    def make(initializer: Any, seed: int) -> Module:
        return MLP([2, 1], None, seed=seed)

    def work() -> None:
        sweep(make, _DATA, loss=_loss, rates=[0.1], seeds=[0, 1], epochs=2)

    return _unchanged(work, lambda: None)


def curving(folder: Path) -> Trial:
    """`largest_curvature`, which records under three contexts."""
    model = MLP([2, 1], None, seed=0)
    return _unchanged(lambda: largest_curvature(model, _DATA, _loss), lambda: _seen(model))


def playing(folder: Path) -> Trial:
    """A picture of an event, for which gradients are those of that moment."""
    x = Value(2.0, "x")
    out = x * x
    out.backward()
    player = play(out)
    look = lambda: (x.grad, out.grad, player.position)  # noqa: E731
    return _unchanged(lambda: frame(player, 3), look)


def loading(folder: Path) -> Trial:
    """Numbers and an optimizer's state from files: all of them or none."""
    old, new = _model(0), _model(1)
    new.save(folder / "model")

    def started() -> Adam:
        first, *rest = old.parameters()
        return Adam([{"parameters": [first]}, {"parameters": rest, "lr": 0.5}])

    optimizer = started()
    fresh = optimizer.state_dict()
    _loss([old(x) for x in _INPUTS], _TARGETS).backward()
    optimizer.lr = 0.25
    optimizer.step()
    optimizer.save(folder / "optimizer")
    stepped = optimizer.state_dict()
    old = _model(0)

    def trial(press: Press) -> tuple[bool, str]:
        model, optimizer = _model(0), started()

        def work() -> None:
            optimizer.load(folder / "optimizer")
            model.load(folder / "model")

        hit = press(work)
        broken = []
        if _seen(model) not in (_seen(old), _seen(new)):
            broken.append("half of the parameters are loaded")
        if optimizer.state_dict() not in (fresh, stepped):
            broken.append("half of the optimizer's state is loaded")
        return hit, "; ".join(broken)

    return trial


def defining(folder: Path) -> Trial:
    """`define_op`: the operation is there, or its name is free."""
    name = "interrupted"

    def trial(press: Press) -> tuple[bool, str]:
        hit = press(lambda: define_op(name, "x * x", "2 * x"))
        there = [name in vars(Ops), name in vars(Value)]
        for owner in (Ops, Value):
            if name in vars(owner):
                delattr(owner, name)
        return hit, "" if all(there) or not any(there) else "half of an operation is defined"

    return trial


def resuming(folder: Path) -> Trial:
    """`fit(resume=True)`: schedule, history and flags belong together, and a later run goes on."""

    def fitted(model: Any, schedule: Any, epochs: int, path: Path, **more: Any) -> Any:
        return fit(
            model, _DATA, loss=_loss, optimizer=Adam(model, lr=0.05), epochs=epochs, batch_size=2,
            schedule=schedule, validation=_DATA, patience=3, checkpoint=path, progress=False,
            **more,
        )  # fmt: skip

    def started() -> tuple[Any, Any]:
        model = _model()
        model.layers[0].training = False  # frozen by its owner
        return model, ReduceOnPlateau(0.5, patience=1)

    model, schedule = started()
    kept = [dict(vars(schedule))]
    note = [lambda epoch, history: kept.append(dict(vars(schedule)))]
    fitted(model, schedule, 2, folder / "half", callbacks=note)
    half = (folder / "half").read_bytes()
    fitted(model, schedule, 4, folder / "half", callbacks=note, resume=True)
    final = _seen(model)[0]

    def trial(press: Press) -> tuple[bool, str]:
        path = folder / "run"
        path.write_bytes(half)
        made: list[Any] = []
        model, schedule = started()
        flags = _seen(model)[1]
        hit = press(lambda: made.append(fitted(model, schedule, 4, path, resume=True)))
        hit = hit or made[0].interrupted
        broken = []
        # Where there is no history, it was before `fit` or on the way back from it.
        if vars(schedule) not in ([kept[len(made[0])]] if made else [kept[0], kept[4]]):
            broken.append("the schedule is of another epoch")
        if _seen(model)[1] != flags:
            broken.append("a module is in another mode")
        model, schedule = started()
        if len(fitted(model, schedule, 4, path, resume=True)) != 4:
            broken.append("the resumed run has not all epochs")
        if [one[0] for one in _seen(model)[0]] != [one[0] for one in final]:
            broken.append("the resumed run came to other bits")
        return hit, "; ".join(broken)

    return trial


KINDS: dict[str, Callable[[Path], Trial]] = {
    "modes": modes,
    "transforms": transforms,
    "check_gradients": checking,
    "examine": examining,
    "planted": planting,
    "find_learning_rate": searching,
    "learning_rate_sweep": sweeping,
    "sweep": gridding,
    "largest_curvature": curving,
    "frame": playing,
    "load": loading,
    "define_op": defining,
    "resumed fit": resuming,
}
