"""PyTorch modules as graphs of Values: `from_torch`."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from autograd.bridges import arrays, aten
from autograd.bridges.arrays import Array
from autograd.bridges.exported import GETITEM, Ref, Step, module_of, name_of, named, read
from autograd.bridges.refusals import LIMIT, UncoveredError, refuse_large
from autograd.bridges.table import GradientTable, compared
from autograd.bridges.torch_run import Run, is_floating, numbers, tensors
from autograd.bridges.weighted import signature, weighted_claim
from autograd.bridges.with_torch import torch
from autograd.check.claims import Claim
from autograd.check.replay import sweep
from autograd.modes import quiet_gc, scope
from autograd.nestings import mapped
from autograd.ops import Ops
from autograd.value import Value

Tensor = Any
# Results that differ by more than this part of the largest are not the module's.
_APART, _APART_SINGLE = 1e-9, 1e-3
# Gradients that differ by more than this part of the summed sizes of all paths: no rounding error.
_CLEARLY, _CLEARLY_SINGLE = 1e-6, 1e-3


class TorchModel:
    """A PyTorch module on Values; made by `from_torch`.

    It is a function of its inputs, so `check_gradients(model, ..., parameters=model)` and
    `compile(model)` work.  It runs on nested lists or arrays of numbers or Values of the same
    shapes as the original inputs, with its present parameters.

    Attributes:
        parameters: for each of the module's names an array of Values.
        inputs: for each input an array of Values, or of plain numbers if they are whole.
        result: the module's result at these inputs: a Value, an array of Values, or a nesting.
    """

    def __init__(self, module: Any, inputs: tuple[Any, ...], limit: int) -> None:
        self.module, self._given = module, inputs
        parameters, given = named(module), tensors(inputs)
        count = sum(t.numel() for t in filter(is_floating, [*parameters.values(), *given]))
        refuse_large("from_torch", count, limit)
        # Each input is copied: a tensor that is given twice is two inputs.
        self._program = read(module, tuple(mapped(_copied, list(inputs))))
        count += sum(step.nodes for step in self._program.steps)
        refuse_large("from_torch", count, limit)
        self.parameters: dict[str, Array] = {}
        for name, parameter in parameters.items():
            with _scopes(tuple(name.split(".")[:-1])):
                self.parameters[name] = arrays.values(numbers(parameter), name)
        self.inputs = list(map(_input, self._program.inputs, given))
        if len(given) == len(inputs):  # so that checks call each input by its name
            arguments = [name or f"x{k}" for k, name in enumerate(self._program.inputs)]
            self.__signature__ = signature(arguments)
        self._constants = {n: arrays.array(numbers(t)) for n, t in self._program.constants.items()}
        with quiet_gc():
            self._flat = self._run(self.inputs)
        self.result = self._nested(self._flat)

    def __call__(self, *inputs: Any) -> Any:
        """The result at other inputs."""
        flat = [arrays.array(part) for part in self._parts(inputs)]
        for given, known in zip(flat, self.inputs, strict=True):
            if given.shape != known.shape:
                raise ValueError(
                    f"expected an input of shape {known.shape}, as in from_torch, got {given.shape}"
                )
        return self._nested(self._run(flat))

    def _parts(self, inputs: tuple[Any, ...]) -> Iterator[Any]:
        """The inputs' arrays: lists of numbers are arrays, other nestings are as in from_torch."""
        if len(inputs) != len(self._given):
            raise TypeError(f"expected {len(self._given)} input(s), got {len(inputs)}")
        stack = list(zip(inputs, self._given, strict=True))[::-1]
        while stack:
            part, like = stack.pop()
            if isinstance(like, list | tuple):
                stack += list(zip(part, like, strict=True))[::-1]
            elif isinstance(like, dict):
                stack += [(part[key], like[key]) for key in like][::-1]
            else:
                yield part

    def _run(self, inputs: list[Array]) -> list[Any]:
        """The parts of the result: arrays of Values, or plain objects."""
        program = self._program
        known: dict[str, Any] = dict(self._constants)
        known |= {name: self.parameters[own] for name, own in program.parameters.items()}
        known |= {n: x for n, x in zip(program.inputs, inputs, strict=True) if n is not None}

        def found(leaf: Any) -> Any:
            return known[leaf.name] if isinstance(leaf, Ref) else leaf

        for step in program.steps:
            args, kwargs = mapped(found, step.arguments)
            with _scopes(step.scope):
                known[step.name] = step.run(lambda: _applied(step, args, kwargs))  # noqa: B023
        return [found(part) for part in program.outputs]

    def _nested(self, flat: list[Any]) -> Any:
        parts = [
            part[()] if isinstance(part, np.ndarray) and not part.ndim else part for part in flat
        ]
        return self._program.unflatten(parts)

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Each parameter's number, as (name, Value)."""
        for name, values in self.parameters.items():
            for index in np.ndindex(values.shape):
                yield arrays.label(name, index), values[index]

    def __repr__(self) -> str:
        count = sum(values.size for values in self.parameters.values())
        return f"{name_of(self.module)} on Values: {count:,} parameters"

    # ------------------------------------------------------------------ PyTorch's own numbers

    def gradients(self) -> GradientTable:
        """The `.grad` of parameters and inputs beside PyTorch's own, after `.backward()`.

        PyTorch starts from the gradients that arrived at the module's results, and does the rest
        with its own backward pass; no `.grad` of its tensors changes.

        Raises ValueError if no gradient has arrived at the module's results.
        """
        seeds = [arrays.adjoints(part) for part in self._results]
        if not any(seed.any() for seed in seeds):
            raise ValueError("no gradient has arrived here; call .backward() on the loss first")
        claim = self.claim(Run(self.module, self._given), seeds)
        assert claim is not None
        nodes = [v for k in self._differentiated for v in self.inputs[k].ravel()]
        nodes += [v for _, v in self.named_parameters()]
        return compared("PyTorch", claim, [v.grad for v in nodes])

    @property
    def functions(self) -> list[str]:
        """The names of the autograd.Functions that the module calls."""
        return list(dict.fromkeys(s.function for s in self._program.steps if s.function))

    @property
    def _differentiated(self) -> list[int]:
        """The inputs that are arrays of Values."""
        return [k for k, x in enumerate(self.inputs) if x.size and isinstance(x.flat[0], Value)]

    @property
    def _results(self) -> list[Array]:
        """The arrays of the result."""
        return _floating(self._flat)

    def claim(self, run: Run, seeds: Sequence[Any]) -> Claim | None:
        """PyTorch's gradients of the sum of seed * result, as a claim about the graph.

        None if the result depends on no Value.
        """
        theirs = run.gradients(seeds)
        own = sum(part.size for part in self.parameters.values())  # the parameters come first
        moved = self._differentiated

        def results(given: list[Array]) -> list[Array]:
            inputs = list(self.inputs)
            for k, part in zip(moved, given, strict=True):
                inputs[k] = part
            return _floating(self._run(inputs))

        return weighted_claim(
            results,
            {self._program.inputs[k] or "": arrays.floats(self.inputs[k]) for k in moved},
            [weight for seed in seeds for weight in seed.ravel().tolist()],
            theirs[own:] + theirs[:own],
            dict(self.named_parameters()),
        )

    def verify_results(self, run: Run) -> None:
        """Raise ValueError if the results are not PyTorch's."""
        for ours, theirs in zip(self._results, run.results, strict=True):
            here, there = arrays.floats(ours), numbers(theirs)
            largest = np.max(np.abs(there), initial=0.0, where=np.isfinite(there))
            allowed = (_APART_SINGLE if run.single else _APART) * largest
            if not np.allclose(here, there, 0.0, allowed, equal_nan=True):
                raise ValueError(_different_result(here, there, run.single))

    def verify_gradients(self, run: Run) -> None:
        """Warn if PyTorch's gradients are clearly not those of the graph."""
        claim = self.claim(run, run.weights())
        if claim is None:
            return
        right, sizes = sweep(claim.tape), sweep(claim.tape, sizes=True)
        allowed = _CLEARLY_SINGLE if run.single else _CLEARLY
        gaps = [abs(c - right[i]) - allowed * sizes[i] for i, c in enumerate(claim.numbers)]
        worst = max(range(len(gaps)), key=gaps.__getitem__, default=None)
        if worst is not None and gaps[worst] > 0:
            warnings.warn(
                f"from_torch: PyTorch's gradient of {claim.names[worst]} is "
                f"{claim.numbers[worst]:.6g} where the graph gives {right[worst]:.6g}; "
                "check_rules(module, ...) says whether a custom backward is wrong",
                stacklevel=3,
            )


def _copied(part: Any) -> Any:
    return part.detach().clone() if isinstance(part, torch.Tensor) else part


def _input(name: str | None, part: Any) -> Array:
    """An input as an array: of Values if it has a gradient."""
    if name is None:
        return arrays.array(part)
    plain = numbers(part)
    return arrays.values(plain, name) if is_floating(part) else arrays.array(plain)


def _floating(parts: list[Any]) -> list[Array]:
    """The arrays of Values and floats among the parts of a result."""
    return [
        part
        for part in parts
        if isinstance(part, np.ndarray) and all(isinstance(v, Ops | float) for v in part.flat)
    ]


def _different_result(here: Any, there: Any, single: bool) -> str:
    i = np.unravel_index(np.nanargmax(np.abs(here - there)), here.shape)
    advice = "; module.double() shows whether rounding is the cause" if single else ""
    return (
        f"from_torch: the graph gives {here[i]:.10g} where PyTorch gives {there[i]:.10g}, so the "
        f"exported module is not the same function{advice}"
    )


def _scopes(path: tuple[str, ...]) -> ExitStack:
    """The scopes of a module's path, entered by `with`."""
    stack = ExitStack()
    for part in path:
        stack.enter_context(scope(part))
    return stack


def _applied(step: Step, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result of one operation."""
    if step.op == GETITEM:
        return args[0][args[1]]
    try:
        return aten.COVERED[step.op].function(*args, **kwargs)
    except (UncoveredError, TypeError) as error:
        place = f", at {step.where}" if step.where else ""
        raise UncoveredError(f"aten.{step.op} (node {step.name}{place}): {error}") from error


def from_torch(
    model: Any, *inputs: Any, loss: Callable[[Any], Tensor] | None = None, limit: int = LIMIT
) -> TorchModel:
    """The module as a graph of Values at these inputs, for pictures, checks and `compile`.

    Each parameter is an array of Values under the module's name for it, and each part of the module
    is a scope.  Floating inputs are Values too; whole numbers, such as token ids, and parameters
    that are frozen stay plain numbers.  Numbers of any precision are taken as doubles.  The
    results are compared with PyTorch's, and so are the gradients: a difference is an error or a
    warning.

    Args:
        model: a `torch.nn.Module`, or a function of tensors.  Call `.eval()` first if it has
            dropout.
        inputs: the tensors that it is called with, also in lists, tuples and dicts.
        loss: a function of the module's result, such as `lambda y: F.mse_loss(y, target)`.
        limit: the largest number of Values that the graph may have.

    Raises UncoveredError for an operation that is not covered, with its line (`chainrule bridges
    torch` lists those that are), and ValueError for a graph above the limit.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    >>> model = from_torch(net, torch.ones(1, 2), loss=lambda y: (y**2).sum())
    >>> model.result.backward()
    >>> model.parameters["0.weight"].shape, bool(model.gradients())
    ((3, 2), True)
    """
    traced = TorchModel(module_of(model, loss), inputs, limit)
    run = Run(traced.module, inputs)
    traced.verify_results(run)
    traced.verify_gradients(run)
    return traced
