"""A check of PyTorch modules that define their own backward pass: which one is wrong, and how."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograd.bridges.exported import module_of, named, without_wrapper
from autograd.bridges.refusals import LIMIT, UncoveredError
from autograd.bridges.rules import SINGLY, Fault, RuleReport
from autograd.bridges.torch_model import TorchModel
from autograd.bridges.torch_run import Run, is_floating, numbers, tensors
from autograd.bridges.with_torch import torch
from autograd.check.black_box import judge_black_box
from autograd.check.claims import SINGLE
from autograd.check.diagnose import Diagnosis, diagnosed
from autograd.check.report import Report, Verdict
from autograd.nestings import leaves, mapped


@dataclass(frozen=True)
class Called:
    """A module and the inputs that it was called with."""

    path: str
    module: Any
    inputs: tuple[Any, ...]


def check_rules(model: Any, *inputs: Any, limit: int = LIMIT) -> RuleReport:
    """A RuleReport on the backward passes that a module, or a function of tensors, defines itself.

    The model is a `torch.nn.Module`, or a function such as the `apply` of an `autograd.Function`.

    PyTorch's gradients are compared with those of the forward pass.  If they differ, each part of
    the module is compared by itself, and the mistake in it is searched for as in `diagnose`.
    Differences of the forward pass must confirm that the gradient is wrong before it is reported.
    A part that has no graph, because it is not covered, is judged by them alone.  All is done in
    double precision, on a copy.

    A rule that is not the derivative on purpose, such as a straight-through estimator, is reported
    too.

    >>> import torch
    >>> class Tanh(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return torch.tanh(x)
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         x, = ctx.saved_tensors
    ...         return g * (1 - x * x)
    >>> print(check_rules(Tanh.apply, torch.tensor([0.5, 1.0])))
    tanh: dz/dx is 1 - x * x where it should be 1 - z * z, in the function (Tanh)
    """
    whole = _doubled(Called("", module_of(model), inputs))
    first = _judged(whole, limit)
    if first is not None and first.diagnosis:
        return RuleReport(note=first.note)
    faults: list[Fault] = []
    guilty: list[str] = []
    for part in _parts(whole):
        if any(_is_inside(other, part.path) for other in guilty):
            continue  # a part of it is wrong, so it is, too
        judged = first if part is whole else _judged(part, limit)
        mistake = _mistake(part, judged)
        if mistake:
            guilty.append(part.path)
            faults.append(
                Fault(_place(part, model), ", ".join(judged.rules if judged else []), mistake)
            )
    at_kink = first is not None and not faults
    return RuleReport(faults, "its slope at a kink is another than the graph's" * at_kink)


@dataclass(frozen=True)
class Judged:
    """The diagnosis of a module's gradients, and the names of the rules that it defines."""

    diagnosis: Diagnosis
    rules: list[str]
    note: str = ""


def _is_inside(path: str, other: str) -> bool:
    return not other or path == other or path.startswith(other + ".")


def _place(part: Called, model: Any) -> str:
    if part.path:
        return f"in module {part.path}"
    return "in the module" if isinstance(model, torch.nn.Module) else "in the function"


def _mistake(part: Called, judged: Judged | None) -> str:
    """What is wrong with the gradients of a part; '' if nothing is.

    Differences of PyTorch's forward pass decide: at a kink every slope between the two sides is
    right, and without a graph there is no other judge.  Where they decide nothing, as at the steps
    of `round`, a rule that the module defines is not believed.
    """
    if judged is not None and judged.diagnosis:
        return ""
    report = _differences(part)
    undecided = report.verdict is Verdict.INCONCLUSIVE and judged is not None and judged.rules
    if report.verdict is not Verdict.FAIL and not undecided:
        return ""
    if judged is not None:
        return judged.diagnosis.mistake
    row = next(row for row in report.rows if row.verdict is Verdict.FAIL)
    return f"the gradient of {row.name} is {row.analytic:.6g} where it should be {row.referee:.6g}"


def _doubled(part: Called) -> Called:
    """A copy in double precision."""

    def doubled(tensor: Any) -> Any:
        return tensor.detach().double() if is_floating(tensor) else tensor

    module = copy.deepcopy(part.module).double()
    return Called(part.path, module, tuple(mapped(doubled, list(part.inputs))))


def _parts(whole: Called) -> list[Called]:
    """The modules inside, each at its first call, and then the whole; inner ones come first."""
    calls: dict[str, Called] = {}

    def note(path: str) -> Callable[..., None]:
        def called(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
            if not kwargs:  # else the module around it is asked
                calls.setdefault(path, Called(path, module, args))

        return called

    hooks = [
        module.register_forward_hook(note(without_wrapper(path)), with_kwargs=True)
        for path, module in whole.module.named_modules()
        if without_wrapper(path)
    ]
    try:
        Run(whole.module, whole.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    parts = [_doubled(call) for call in calls.values()]
    return [*parts, whole]


def _judged(part: Called, limit: int) -> Judged | None:
    """PyTorch's gradients of a part, judged by its graph; None if there is no graph."""
    run = Run(part.module, part.inputs)
    try:
        traced = TorchModel(part.module, part.inputs, limit)
    except UncoveredError:
        return None
    traced.verify_results(run)
    claim = traced.claim(run, run.weights())
    if claim is None:
        return Judged(Diagnosis(), traced.functions)
    diagnosis = diagnosed(claim)
    if diagnosis:
        return Judged(diagnosis, traced.functions)
    # A rule may compute in single precision.
    diagnosis = diagnosed(replace(claim, unit=SINGLE))
    return Judged(diagnosis, traced.functions, SINGLY if diagnosis else "")


def _differences(part: Called) -> Report:
    """The report on PyTorch's gradients of a part, by differences of PyTorch's forward pass."""
    run = Run(part.module, part.inputs)
    weights = run.weights()
    moved = {name: numbers(tensor) for name, tensor in named(part.module).items()}
    given = tensors(part.inputs)
    moved |= {str(k): numbers(x) for k, x in enumerate(given) if is_floating(x)}
    flat = iter(run.gradients(weights))
    gradient = {
        name: np.array([next(flat) for _ in range(x.size)]).reshape(x.shape)
        for name, x in moved.items()
    }

    copied = copy.deepcopy(part.module)

    def f(at: dict[str, Any]) -> float:
        for name, tensor in named(copied).items():
            tensor.data = torch.as_tensor(at[name])
        rest = iter(
            torch.as_tensor(at[str(k)]) if is_floating(x) else x for k, x in enumerate(given)
        )
        with torch.no_grad():
            result = copied(*mapped(lambda _: next(rest), list(part.inputs)))
        results = filter(is_floating, leaves(result))
        return sum(
            float((numbers(result) * weight).sum())
            for result, weight in zip(results, weights, strict=True)
        )

    return judge_black_box(f, (moved,), (gradient,))
